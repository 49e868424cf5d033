#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Rules that hold for every command, whatever it does. Called with NETKIT=./netkit.
set -euo pipefail
export LC_ALL=C

netkit=${NETKIT:?}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0

bad() {
    echo "meta: $*" >&2
    failed=1
}

# plain_man FILE: the text of a man page without its macros and escapes
plain_man() {
    sed -e '/^\./d' -e 's/\\&//g; s/\\-/-/g; s/\\e/\\/g' -e "s/\\\\(aq/'/g" "$1"
}

check_command() {
    local name=$1 words
    read -ra words <<<"$name"
    "$netkit" "${words[@]}" --help >"$work/help" 2>"$work/err" || bad "'$name --help' fails"
    [ ! -s "$work/err" ] || bad "'$name --help' writes to stderr"
    "$netkit" help "${words[@]}" >"$work/help2" 2>&1 || bad "'help $name' fails"
    cmp -s "$work/help" "$work/help2" || bad "'help $name' is not '$name --help'"
    grep -q "^  netkit $name" "$work/help" || bad "the usage of '$name' does not begin with its name"
    "$netkit" man "${words[@]}" >"$work/man" || bad "'man $name' fails"
    check_man "$name"
    "$netkit" "${words[@]}" --version | head -n 1 | grep -q '^netkit ' || bad "'$name --version' fails"
}

# Every line of the help text is in the man page, headings in capitals.
check_man() {
    local line
    plain_man "$work/man" | sed 's/^ *//' >"$work/plain"
    grep '^\.SH' "$work/man" | tr -d '"' | sed 's/^\.SH //' >"$work/headings"
    sed -n '2,$p' "$work/help" | while IFS= read -r line; do
        case $line in
        '') ;;
        ' '*)
            line=${line#"${line%%[! ]*}"}
            grep -qxF -e "$line" "$work/plain" || echo "$line"
            ;;
        *)
            line=${line%:}
            grep -qxF -e "${line^^}" "$work/headings" || echo "$line"
            ;;
        esac
    done >"$work/missing"
    [ ! -s "$work/missing" ] || bad "the man page of '$1' lacks: $(head -n 1 "$work/missing")"
    grep -qF "$(sed -n '1s/^netkit [^:]*: //p' "$work/help")" "$work/plain" ||
        bad "the man page of '$1' lacks its summary"
}

# check_source NAME FILE: the file exists, is named after the command and defines it
check_source() {
    local base=${2##*/}
    [ -f "$2" ] || bad "'$1': no file $2"
    [ "$base" = "cmd_${1// /_}.c" ] || bad "'$1' comes from $base"
    grep -q "nk_cmd_$(tr ' -' '__' <<<"$1") = " "$2" || bad "$2 does not define '$1'"
}

"$netkit" --list >"$work/list"
[ -s "$work/list" ] || bad "--list is empty"
sort -c "$work/list" || bad "--list is not sorted"
while IFS= read -r name; do
    check_command "$name"
done <"$work/list"
"$netkit" list -v >"$work/sources"
while IFS= read -r line; do
    check_source "$(sed 's/  *[^ ]*$//' <<<"$line")" "${line##* }"
done <"$work/sources"
[ "$(wc -l <"$work/list")" = "$(wc -l <"$work/sources")" ] || bad "list -v has other commands than --list"

"$netkit" config init | cmp -s - netkit.ini || bad "config init does not print netkit.ini"
for shell in bash zsh fish; do
    "$netkit" completion "$shell" >"$work/$shell"
    while IFS= read -r name; do
        grep -qF -e "${name##* }" "$work/$shell" || bad "the $shell completion lacks '$name'"
    done <"$work/list"
done
bash -n "$work/bash" || bad "the bash completion has a syntax error"
"$netkit" list --json >"$work/json"
"$netkit" config keys --json >>"$work/json"
"$netkit" version --json >>"$work/json"
if command -v python3 >/dev/null; then
    python3 - "$work/json" <<'END' || bad "--json is no JSON"
import json, sys
text, decoder = open(sys.argv[1]).read(), json.JSONDecoder()
count = 0
while text.strip():
    value, end = decoder.raw_decode(text.lstrip())
    text = text.lstrip()[end:]
    assert value["schema"] == 1
    count += 1
assert count == 3
END
fi

[ "$failed" = 0 ] && echo "meta: $(wc -l <"$work/list") commands follow the rules"
exit "$failed"
