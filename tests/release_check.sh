#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The properties that the released program must have: release_check.sh [PROGRAM]
set -euo pipefail
cd "$(dirname "$0")/.."
program=${1:-./netkit}
ceiling=$(sed -n 's/^binary_bytes //p' tests/ceilings)
failed=0

check() { # check DESCRIPTION COMMAND..
    local what=$1
    shift
    if "$@" >/dev/null 2>&1; then
        echo "ok    $what"
    else
        echo "FAIL  $what"
        failed=1
    fi
}
not() { ! "$@"; }
elf() { readelf -W "$1" "$program" | grep -Eq "$2"; }
smaller() { [ "$(stat -c %s "$program")" -le "$ceiling" ]; }

check "position independent" elf -h 'Type: +DYN'
check "static: no interpreter" not elf -l 'INTERP'
check "static: no needed libraries" not elf -d 'NEEDED'
check "no run path" not elf -d 'RPATH|RUNPATH'
check "relocations are read-only (RELRO)" elf -l 'GNU_RELRO'
check "bound at start (BIND_NOW)" elf -d 'BIND_NOW|FLAGS_1.*NOW'
check "stack is not executable" elf -l 'GNU_STACK.* RW '
check "no segment is writable and executable" not elf -l 'LOAD.* RWE '
check "no text relocations" not elf -d 'TEXTREL'
check "stripped" not elf -S ' \.symtab '
check "names its debug file" elf -S ' \.gnu_debuglink '
check "no build path inside" not grep -aEq "(^|[^[:alnum:]._/-])$PWD/" "$program"
check "at most $ceiling bytes ($(stat -c %s "$program") now)" smaller
check "--version answers" "$program" --version
[ ! -f netkit.debug ] || check "debug file has symbols" sh -c 'readelf -SW netkit.debug | grep -q " \.symtab "'
exit $failed
