#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Which archives the build accepts: none with another hash than the pinned one, wherever it comes from.
set -euo pipefail
cd "$(dirname "$0")/../.."
root=$PWD
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
./build.sh fetch 2>/dev/null
read -r file sum < <(awk '$1 == "inih" {print $3, $4; exit}' vendor/pins)
[ -f "build/dist/$file" ] || { echo "fetch: $file is not in build/dist, another pin of it was taken" && exit 0; }

mkdir -p "$work/bin" "$work/tree/vendor" "$work/good" "$work/bad"
cp vendor/pins "$work/tree/vendor/"
cp "build/dist/$file" "$work/good/"
cp "build/dist/$file" "$work/bad/"
printf 'x' >>"$work/bad/$file"
tampered=$(sha256sum "$work/bad/$file")
tampered=${tampered%% *}
# no network: only these programs are there
for tool in sha256sum cp mv rm mkdir tr cat awk stat tar gzip; do ln -s "$(command -v $tool)" "$work/bin/$tool"; done

# fetch DIST_FILE CACHE..: runs the fetch of inih alone; its output in $work/out, its status in $rc
fetch() {
    rm -rf "$work/tree/build"
    mkdir -p "$work/tree/build/dist"
    [ -z "$1" ] || cp "$1" "$work/tree/build/dist/"
    shift
    rc=0
    (cd "$work/tree" && PATH="$work/bin" NK_CACHE="$*" NK_LOCKED=${locked:-0} "$BASH" -c \
        'set -euo pipefail; . "$0/vendor/fetch.sh"; need_src inih; echo "got $FETCHED"' "$root") >"$work/out" 2>&1 || rc=$?
}
expect() { # expect WHAT CONDITION..
    local what=$1
    shift
    "$@" || { echo "FAIL: $what (status $rc)" && cat "$work/out" && exit 1; }
}
said() { grep -q -- "$1" "$work/out"; }

fetch "" "$work/good"
expect "a pinned archive from a cache is taken" test $rc = 0
expect "and named" said "got .*$file $sum"
fetch "$work/bad/$file" "$work/good"
expect "a tampered archive in build/dist stops the build" test $rc != 0
expect "its hash is printed" said "$tampered"
expect "and the pinned one" said "$sum"
fetch "" "$work/bad" "$work/good"
expect "a tampered archive in a cache is passed over" test $rc = 0
expect "and said to be refused" said "REFUSED .*bad/$file"
fetch "" "$work/bad"
expect "a tampered archive alone is not enough" test $rc != 0
expect "what would do is listed" said "MISSING inih"

# an archive that only a signed index vouched for counts unless locked
printf '99 %s %s libinih -\n' "$file" "$tampered" >"$work/signed"
fetch_signed() {
    cp "$work/bad/$file" "$work/good/signed-$file"
    sed "s/ $file / signed-$file /" "$work/signed" >"$work/tree/inih.signed"
    rm -rf "$work/tree/build"
    mkdir -p "$work/tree/build/dist"
    cp "$work/tree/inih.signed" "$work/tree/build/dist/inih.signed"
    cp "$work/bad/$file" "$work/tree/build/dist/signed-$file"
    rc=0
    (cd "$work/tree" && PATH="$work/bin" NK_CACHE='' NK_LOCKED=$1 "$BASH" -c \
        'set -euo pipefail; . "$0/vendor/fetch.sh"; fetch_one inih; echo "got $FETCHED"' "$root") >"$work/out" 2>&1 || rc=$?
}
fetch_signed 0
expect "a remembered signed version is taken" said "got 99 signed-$file"
fetch_signed 1
expect "but not with --locked" test $rc != 0
echo "fetch: 9 cases"
