#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Every fuzz target, new inputs: NK_FUZZ_SECONDS each (default: 8 minutes for all of them together).
set -euo pipefail
cd "$(dirname "$0")/../.."

targets=(modules/*/*_fuzz.c)
each=${NK_FUZZ_SECONDS:-$((480 / ${#targets[@]}))}
for f in "${targets[@]}"; do
    name=${f#modules/}
    name=${name%_fuzz.c}
    ./build.sh fuzz "${name/\//_}" "$each"
done
# what it found would have ended it; leftovers of an older run must not hide
found=(build/fuzz-corpus/*.crash-* build/fuzz-corpus/*.leak-* build/fuzz-corpus/*.timeout-* build/fuzz-corpus/*.oom-*)
for f in "${found[@]}"; do
    [ ! -e "$f" ] || { echo "an input that broke something: $f" && exit 1; }
done
