#!/bin/sh
# SPDX-License-Identifier: MIT
# Golden tests of the command line: run.sh NETKIT [--update] [NAME..]
#
# A file NAME.t is a dialogue. Each "$ COMMAND" line is run by sh in a directory that is empty at the
# start of the file, with an empty environment and `netkit` on the PATH; after it stand its output:
#   > a line on stdout      ! a line on stderr      = the exit status, when it is not 0
# Comments (#) and empty lines are kept. --update writes what came out into the files.
set -u
export LC_ALL=C

[ $# -ge 1 ] || { echo "usage: run.sh NETKIT [--update] [NAME..]" >&2 && exit 2; }
here=$(cd "$(dirname "$0")" && pwd) || exit 1
binary=$(cd "$(dirname "$1")" && pwd)/$(basename "$1") || exit 1
shift
update=no
[ "${1:-}" != --update ] || { update=yes && shift; }
[ -x "$binary" ] || { echo "golden: $binary is no program" >&2 && exit 2; }

work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
mkdir "$work/bin" && cp "$binary" "$work/bin/netkit" || exit 1

# run_line COMMAND: the command and what it says
run_line() {
    (
        cd "$work/dir" || exit 125
        exec env -i PATH="$work/bin:/usr/sbin:/usr/bin:/sbin:/bin" HOME="$work/dir" LC_ALL=C \
            sh -c "$1" </dev/null >"$work/out" 2>"$work/err"
    )
    status=$?
    printf '$ %s\n' "$1"
    # a last line without its end gets one: the files are text
    sed 's/^/> /' "$work/out" | sed '$a\' 2>/dev/null
    sed 's/^/! /' "$work/err"
    [ "$status" = 0 ] || echo "= $status"
}

# run_file FILE: the file as it should be
run_file() {
    rm -rf "$work/dir" && mkdir "$work/dir" || exit 1
    while IFS= read -r line; do
        case $line in
        '$ '*) run_line "${line#'$ '}" ;;
        '> '* | '! '* | '= '* | '>' | '!') ;;
        *) printf '%s\n' "$line" ;;
        esac
    done <"$1"
}

failed=0
count=0
for file in "$here"/*.t; do
    name=$(basename "$file" .t)
    case " $* " in
    '  ' | *" $name "*) ;;
    *) continue ;;
    esac
    count=$((count + 1))
    # trailing spaces of empty lines are not kept by editors
    run_file "$file" | sed 's/ *$//' >"$work/new"
    if [ "$update" = yes ]; then
        cmp -s "$work/new" "$file" || { cp "$work/new" "$file" && echo "golden: updated $name"; }
    elif ! diff -u "$file" "$work/new" >"$work/diff"; then
        echo "golden: $name differs (- expected, + got):"
        cat "$work/diff"
        failed=$((failed + 1))
    fi
done
[ "$count" -gt 0 ] || { echo "golden: no such test" >&2 && exit 2; }
echo "golden: $count files, $failed failed"
[ "$failed" = 0 ]
