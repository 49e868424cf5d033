# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# Steps with their times, and the packages of tools and peers. Sourced by the scripts of tests/.

FAILED_STEPS=()

# show LOG: its lines, indented, but not pytest's dots; first what failed, for whoever sees the beginning only.
show() {
    grep -E '^(FAILED|ERROR) ' "$1" | sed 's/^/        | /' || :
    sed -E '/^[.sxEF]+ *(\[ *[0-9]+%\])?$/d; s/^/        | /' "$1"
}

# step NAME COMMAND..: runs the command quietly; its output is shown whole if it fails, and what it
# skipped (lines that begin with SKIP) if it does not.
step() {
    local name=$1 start=$SECONDS log
    shift
    log=$(mktemp)
    if (set -e && "$@") >"$log" 2>&1 </dev/null; then
        printf '  ok    %-34s %4d s\n' "$name" $((SECONDS - start))
        # what was left out is always shown
        sed -n '/^SKIP/s/^/        | /p' "$log"
    else
        printf '  FAIL  %-34s %4d s\n' "$name" $((SECONDS - start))
        show "$log"
        FAILED_STEPS+=("$name")
    fi
    rm -f "$log"
}

# skip NAME WHY: a step that cannot run here; with NK_REQUIRE_PEERS=1 that is a failure.
skip() {
    if [ "${NK_REQUIRE_PEERS:-0}" = 1 ]; then
        printf '  FAIL  %-34s required: %s\n' "$1" "$2"
        FAILED_STEPS+=("$1")
    else
        printf '  SKIP  %-34s %s\n' "$1" "$2"
    fi
}

summary() {
    [ ${#FAILED_STEPS[@]} -gt 0 ] || return 0
    echo "failed: ${FAILED_STEPS[*]}"
    return 1
}

# need_tools COMMAND..: installs the packages of the same names where that is possible.
need_tools() {
    local t missing=()
    for t in "$@"; do command -v "$t" >/dev/null || missing+=("$t"); done
    [ ${#missing[@]} -gt 0 ] || return 0
    ./build.sh packages "${missing[@]}"
}

# The files of the project, NUL-separated: what git would commit, or what is there without git.
project_files() {
    git ls-files -z --cached --others --exclude-standard 2>/dev/null ||
        find . -path ./build -prune -o -path ./.git -prune -o -type f ! -name netkit ! -name netkit.debug -print0
}
