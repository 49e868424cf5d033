#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# What an object costs in the queue core and the memory engine alone: no connection, one thread, 64
# bytes, slices of receive chunks. Processor time of the thread.
#
#   SECONDS_EACH   length of one measurement (1)
set -euo pipefail
cd "$(dirname "$0")/../.."
. tests/bench/lib.sh
seconds=${SECONDS_EACH:-1}
load=build/bench/queue_load
mkdir -p build/bench
./build.sh program release tests/bench/queue_load.c $load -Wno-missing-prototypes

bench_begin queue "64 B objects, processor time of one thread, median of three"
row() { # CASE METRIC LIMIT_NS
    local ns=() i
    for i in 1 2 3; do ns+=("$($load "$1" "$seconds" | cut -d' ' -f1)"); done
    local v
    v=$(median "${ns[@]}")
    bench_row "$1" "$2" "ns" "$v" "" "<= $3 ns" "$(at_most "$v" "$3")"
}
row core "enqueue, dispatch, settle" 200
row engine "through the engine's calls" 300
row backlog "with 1 M queued, 16 k leased" 250
row timed "lease, life, producer" 300
row fanout "a broadcast in a run, to 100" 1
bench_end
