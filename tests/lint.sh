#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Everything that reads our sources without running them: lint.sh [CHECK..]. Each check is a function
# check_NAME below; all of them run, and the failing ones are named at the end.
set -euo pipefail
cd "$(dirname "$0")/.."
export LC_ALL=C
shopt -s nullglob extglob

. tests/lib.sh
LINT=build/lint
mkdir -p "$LINT"

mapfile -t SOURCES < <(ls main.c modules/*/*.c vendor/glue/*.c tests/*.c tests/*/*.c 2>/dev/null)
mapfile -t HEADERS < <(ls modules/*/*.h vendor/glue/*.h vendor/mbedtls/*.h vendor/mbedtls/*/*.h tests/*.h 2>/dev/null)
OURS=("${SOURCES[@]}" "${HEADERS[@]}")

check_format() {
    clang-format --dry-run "${OURS[@]}" 2>&1 | sed -n 's/:[0-9]*:[0-9]*: warning: code should be clang-formatted.*//p' |
        sort | uniq -c >"$LINT/format"
    [ ! -s "$LINT/format" ] || {
        cat "$LINT/format"
        echo "lines to be formatted in these files: './build.sh format' does it"
        return 1
    }
}

# How many states of each function the path analysis looks at. It takes nearly all of the time (4 s of
# 4.1 for a file of 400 lines), and a quarter of clang's own limit of 225000 needs a quarter of that;
# 'lint tidy_deep' goes all the way.
TIDY_NODES=50000
TIDY_NODES_DEEP=225000

# clang-tidy on one file, unless the file, our headers and the checks are as they were when it passed.
# The path analysis is left out for tests: cmocka's macros make it slow and say nothing.
tidy_one() {
    local f=$1 nodes=$2 key out word extra=()
    key=$({ cat "$f" "$LINT/headers" .clang-tidy && echo "$nodes"; } | sha256sum)
    key=$LINT/tidy/${key%% *}
    [ ! -f "$key" ] || return 0
    for word in -analyzer-config "max-nodes=$nodes"; do
        extra+=(--extra-arg=-Xclang "--extra-arg=$word")
    done
    case $f in *_test.c | *_testkit.c | tests/*) extra+=("--checks=-clang-analyzer-*,-cert-err34-c") ;; esac
    if out=$(clang-tidy --quiet -p "$LINT" "${extra[@]}" "$f" 2>/dev/null); then
        : >"$key"
    else
        printf '%s\n' "$out"
        return 1
    fi
}

check_tidy() { tidy_all "$TIDY_NODES"; }
check_tidy_deep() { tidy_all "$TIDY_NODES_DEEP"; }

tidy_all() {
    local f pending=()
    ./build.sh compdb >"$LINT/compile_commands.json"
    cat "${HEADERS[@]}" | sha256sum >"$LINT/headers"
    mkdir -p "$LINT/tidy"
    for f in "${SOURCES[@]}"; do
        # upstream's code under other names, and programs outside the build
        case $f in vendor/glue/soft_* | tests/bench/* | tests/peers/* | tests/e2e/*) continue ;; esac
        pending+=("$f")
    done
    printf '%s\0' "${pending[@]}" | xargs -0 -I '{}' -P "$(nproc)" bash tests/lint.sh --tidy-one '{}' "$1"
}

check_cppcheck() {
    mkdir -p "$LINT/cppcheck"
    local f own=()
    for f in main.c modules/*/*.c vendor/glue/*.c; do
        case $f in *_test.c | *_testkit.c) ;; *) own+=("$f") ;; esac
    done
    # headers of libraries are not followed: their macros would have to be configured again
    cppcheck --quiet --std=c11 --enable=warning,performance,portability --inline-suppr -j "$(nproc)" \
        --error-exitcode=1 --cppcheck-build-dir="$LINT/cppcheck" --suppress=missingInclude \
        --suppress=missingIncludeSystem --suppress=unusedStructMember --suppress=normalCheckLevelMaxBranches \
        --suppress=unknownMacro --suppress=ctuuninitvar --suppress=returnDanglingLifetime --suppress=preprocessorErrorDirective -Imodules -D__x86_64__ -D__linux__ \
        "${own[@]}"
}

# A header must bring what it needs.
check_headers() {
    local f flags rc=0
    while read -r f flags; do
        printf '#include "%s"\n' "${f#modules/}" >"$LINT/header.c"
        # shellcheck disable=SC2086
        if ! gcc -std=gnu11 -D_GNU_SOURCE -Wall -Wextra -Werror -fsyntax-only $flags "$LINT/header.c"; then
            echo "$f does not compile by itself"
            rc=1
        fi
    done < <(./build.sh includes modules/*/*.h)
    return $rc
}

# A declaration of a function in a header stands under a comment; one comment may cover the
# declarations that follow it up to the next empty line.
check_documented() {
    awk '
        FNR == 1 { covered = 0; inside = 0; depth = 0 }
        /^[[:space:]]*$/ { covered = 0; next }
        inside { if (/\*\//) { inside = 0; covered = 1 } next }
        /^[[:space:]]*\/\*/ { if (/\*\//) covered = 1; else inside = 1; next }
        /^#/ { next }
        depth == 0 && /^[a-z].*\(/ && !/^(typedef|static|extern "C"|_Static_assert|struct [a-z_]+ \{|enum)/ {
            if (!covered) { print FILENAME ":" FNR ": undocumented: " $0; bad = 1 }
        }
        { depth += gsub(/\{/, "{") - gsub(/\}/, "}") }
        END { exit bad }' modules/*/*.h vendor/glue/*.h
}

# All mutable state hangs off struct nk_app: no object of ours may have a writable variable of static
# storage, except those in the list.
check_statics() {
    ./build.sh release >/dev/null
    objdump -t build/release/libnetkit.a | awk '
        /:  *file format/ { file = $1; sub(/:$/, "", file) }
        / O \.(data|bss|tbss|tdata)/ && !/\.data\.rel\.ro/ { print $NF }' | sort -u >"$LINT/statics"
    grep -v '^#' tests/lint/writable.allow | sort -u | comm -23 "$LINT/statics" - >"$LINT/statics.bad"
    [ ! -s "$LINT/statics.bad" ] || {
        echo "writable variables of static storage (tests/lint/writable.allow lists the accepted ones):"
        cat "$LINT/statics.bad"
        return 1
    }
}

# Functions that overflow, race, hide errors, or end the process from library code.
check_banned() {
    local rc=0 f
    local banned='strcpy|strcat|sprintf|vsprintf|gets|system|popen|rand|srand|random|strtok|atoi|atol|alloca|tmpnam|mktemp|strncpy|readdir_r|localtime|gmtime|ctime|asctime|usleep'
    for f in main.c modules/*/*.c; do
        case $f in *_fuzz.c | *_test.c | *_testkit.c) continue ;; esac
        without_comments "$f" >"$LINT/code"
        grep -nE "(^|[^a-zA-Z0-9_.>])($banned)[[:space:]]*\(" "$LINT/code" | sed "s|^|$f:|" && rc=1
        case $f in main.c | */cmd_*.c) continue ;; esac
        grep -nE '(^|[^a-zA-Z0-9_.>])(exit|abort)[[:space:]]*\(' "$LINT/code" | sed "s|^|$f:|" && rc=1
    done
    return $rc
}

# Comments and strings blanked, lines kept.
without_comments() {
    awk '{
        out = ""; line = $0
        while (line != "") {
            if (inside) {
                at = index(line, "*/")
                if (!at) { line = ""; break }
                line = substr(line, at + 2); inside = 0; continue
            }
            if (match(line, /"([^"\\]|\\.)*"|\/\*|\/\//)) {
                out = out substr(line, 1, RSTART - 1)
                tok = substr(line, RSTART, RLENGTH)
                line = substr(line, RSTART + RLENGTH)
                if (tok == "/*") inside = 1
                else if (tok == "//") line = ""
                else out = out "\"\""
            } else { out = out line; line = "" }
        }
        print out
    }' "$1"
}

check_texts() {
    awk '
        FNR == 1 { examples = 0 }
        /[^ -~]/ || /[ ]$/ || (!examples && (length($0) > 100 || /^ /)) || (examples && !/^  [^ ]/) {
            print FILENAME ":" FNR ": " $0
            bad = 1
        }
        $0 == "examples:" { examples = 1 }
        END { exit bad }' "$@"
}

check_rules() {
    local rc=0 f
    for f in "${OURS[@]}"; do
        head -n 1 "$f" | grep -q '^/\* SPDX-License-Identifier: MIT \*/$' || { echo "$f: no SPDX line" && rc=1; }
    done
    grep -nE '#include "\.\./' "${OURS[@]}" && { echo "include by module: \"base/err.h\"" && rc=1; }
    grep -nE '\b(TODO|FIXME|XXX|HACK)\b' "${OURS[@]}" && { echo "unfinished work" && rc=1; }
    grep -nE '^typedef struct' modules/*/*.[ch] && { echo "structs are used without typedef" && rc=1; }
    grep -nE 'mbedtls/|psa/' modules/*/*.[ch] | grep '#include' | grep -v '^modules/\(tls/\|ssh/crypto_\)' && { echo "mbedTLS belongs to modules/tls and the crypto_ files of modules/ssh" && rc=1; }
    grep -n '<uv.h>' modules/*/*.[ch] | grep -v '^modules/core/' && { echo "libuv belongs to modules/core" && rc=1; }
    grep -nE '^ +\.(description|examples) =' modules/*/cmd_*.c && { echo "a command's long texts stand in cmd_NAME.txt beside it, see base/packed.h" && rc=1; }
    check_texts modules/*/cmd_*.txt || { echo "texts of commands: at most 100 columns of ASCII; examples indented by two" && rc=1; }
    project_files | grep -zE '\.(deb|rpm|whl|jar|zip|tar|tgz|gz|xz|zst|o|a|so)$' | tr '\0' '\n' | grep . &&
        { echo "archives and compiled files do not belong into the project" && rc=1; }
    project_files | xargs -0 grep -nIE 'deb\.debian\.org|snapshot\.debian\.org|/debian-security' -- | grep -v '^\(./\)\?tests/lint.sh' &&
        { echo "no mirror's host name belongs into the project" && rc=1; }
    return $rc
}

# What one module may include of another is modules/DEPS (enforced by the include paths) and, of
# feature modules, only the header that carries the module's name.
check_interfaces() {
    local rc=0 f m line other
    for f in modules/*/*.[ch]; do
        m=${f#modules/}
        m=${m%%/*}
        while read -r line; do
            other=${line%%/*}
            case $other in base | core | "$m") continue ;; esac
            [ -d "modules/$other" ] || continue
            [[ $f != *_test.c || $line != */*_testkit.h ]] || continue # tests share their kits
            [ "$line" = "$other/$other.h" ] || { echo "$f includes $line; others may include $other/$other.h only" && rc=1; }
        done < <(sed -n 's/^#include "\([a-z0-9]*\/[^"]*\)".*/\1/p' "$f")
    done
    return $rc
}

check_shell() {
    shellcheck -S warning -e SC1091,SC2034,SC2154 build.sh .ci/run vendor/*.sh tests/*.sh tests/*/*.sh
}

main() {
    if [ "${1:-}" = --tidy-one ]; then
        tidy_one "$2" "$3"
        return
    fi
    local checks=("$@") c
    need_tools clang-format clang-tidy cppcheck shellcheck
    [ $# -gt 0 ] || checks=(rules format banned documented interfaces shell headers statics cppcheck tidy)
    for c in "${checks[@]}"; do step "lint: $c" "check_$c"; done
    summary
}

main "$@"
