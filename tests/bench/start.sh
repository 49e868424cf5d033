#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# What starting the program costs: time from exec to exit of --version, and size.
set -euo pipefail
cd "$(dirname "$0")/../.."
. tests/bench/lib.sh
netkit=${NETKIT:-./netkit}
mkdir -p build/bench

./build.sh program release tests/bench/spawn_time.c build/bench/spawn_time
bench_begin start "fork, exec, run and exit, median of 500, three runs; the peer is /bin/true"
ours=() theirs=()
for run in 1 2 3; do
    ours+=("$(build/bench/spawn_time 500 "$netkit" --version)")
    theirs+=("$(build/bench/spawn_time 500 /bin/true)")
done
ms=$(median "${ours[@]}")
bench_row "netkit --version" "start to exit" ms "$ms" "true=$(median "${theirs[@]}")" "<= 2 ms" "$(at_most "$ms" 2)"
size=$(stat -c %s "$netkit")
limit=$(sed -n 's/^binary_bytes //p' tests/ceilings)
bench_row "binary size" size bytes "$size" "" "<= $limit" "$(at_most "$size" "$limit")"
bench_end
