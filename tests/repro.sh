#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Builds the program again, from nothing and in another directory, and compares it with ./netkit.
set -euo pipefail
cd "$(dirname "$0")/.."
. tests/lib.sh
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-1700000000}

./build.sh fetch 2>/dev/null
./build.sh release
copy="$work/another place/netkit"
mkdir -p "$copy/build/dist"
project_files | xargs -0 cp --parents -t "$copy"
cp build/dist/* "$copy/build/dist/"
if ! (cd "$copy" && env -u NK_DEPCACHE ./build.sh release >build.log 2>&1); then
    cat "$copy/build.log" >&2
    exit 1
fi
here=$(sha256sum <netkit)
there=$(sha256sum <"$copy/netkit")
if [ "$here" != "$there" ]; then
    echo "repro: the builds differ: $here here, $there in $copy" >&2
    cmp netkit "$copy/netkit" >&2 || true
    exit 1
fi
echo "repro: both builds are $here" >&2
