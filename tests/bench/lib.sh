# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# Tables and JSON of a benchmark. Sourced by tests/bench/AREA.sh:
#   bench_begin AREA "what was measured and how"
#   bench_row CASE METRIC UNIT NETKIT "peer=value peer=value" TARGET MET    (MET: yes, no or -)
#   bench_end
# Nothing here fails because of a number: results are for reading.

BENCH_ROWS=""

bench_begin() {
    BENCH_AREA=$1
    BENCH_ABOUT=$2
    printf '\n%s: %s\n' "$1" "$2"
    printf '  %-26s %-22s %12s  %-34s %s\n' case metric netkit peers target
}

json_string() {
    local s=${1//\\/\\\\}
    printf '"%s"' "${s//\"/\\\"}"
}

bench_row() {
    local peers="" p met=null
    for p in $5; do peers+="${peers:+, }$(json_string "${p%%=*}"): ${p#*=}"; done
    case $7 in yes) met=true ;; no) met=false ;; esac
    BENCH_ROWS+="${BENCH_ROWS:+,}"$'\n'"    {\"case\": $(json_string "$1"), \"metric\": $(json_string "$2"), \"unit\": $(json_string "$3"), \"netkit\": $4, \"peers\": {$peers}, \"target\": $(json_string "$6"), \"met\": $met}"
    printf '  %-26s %-22s %12s  %-34s %s%s\n' "$1" "$2 $3" "$4" "${5:--}" "$6" "$([ "$7" = - ] || printf ' (met: %s)' "$7")"
}

bench_end() {
    mkdir -p build/bench
    {
        printf '{\n  "area": %s,\n  "about": %s,\n' "$(json_string "$BENCH_AREA")" "$(json_string "$BENCH_ABOUT")"
        printf '  "cpu": %s,\n  "rows": [%s\n  ]\n}\n' \
            "$(json_string "$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)")" "$BENCH_ROWS"
    } >"build/bench/$BENCH_AREA.json"
    printf '  -> build/bench/%s.json\n' "$BENCH_AREA"
}

# bench_python: a Python that sees Debian's packages, which one in PATH of another origin does not
bench_python() {
    if [ -n "${PYTHON:-}" ]; then
        printf '%s\n' "$PYTHON"
    elif [ -x /usr/bin/python3 ]; then
        printf '%s\n' /usr/bin/python3
    else
        printf '%s\n' python3
    fi
}

# median VALUE..
median() { printf '%s\n' "$@" | sort -n | sed -n "$((($# + 1) / 2))p"; }

# at_least VALUE LIMIT, at_most VALUE LIMIT: "yes" or "no"
at_least() { awk -v v="$1" -v l="$2" 'BEGIN { print (v >= l ? "yes" : "no") }'; }
at_most() { awk -v v="$1" -v l="$2" 'BEGIN { print (v <= l ? "yes" : "no") }'; }
ratio() { awk -v a="$1" -v b="$2" 'BEGIN { printf "%.2f", (b > 0 ? a / b : 0) }'; }
