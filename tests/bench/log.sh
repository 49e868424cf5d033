#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The relay's log: durable objects through the log engine against what the disk allows (the same
# records with the same checksums, written and synced in the same batches by a bare loop), and the
# time a restart takes.
#
#   SECONDS_EACH   length of one measurement (2)
#   LOG_DIR        where the logs are written: the disk that is measured (build/bench)
set -euo pipefail
cd "$(dirname "$0")/../.."
. tests/bench/lib.sh
seconds=${SECONDS_EACH:-2}
mkdir -p "${LOG_DIR:-build/bench}"
dir=$(mktemp -d -p "${LOG_DIR:-build/bench}")
trap 'rm -rf "$dir"' EXIT
program=build/bench/log_engine
./build.sh program release tests/bench/log_engine.c $program -Wno-missing-prototypes

# measure MODE SIZE WINDOW RUN: a line of $dir/results
measure() {
    rm -rf "$dir/log" && mkdir "$dir/log"
    echo "$1 $2 $3 $($program "$1" "$dir/log" "$2" "$3" "$seconds")" >>"$dir/results"
}
# value MODE SIZE WINDOW COLUMN: the median of the runs
value() {
    # shellcheck disable=SC2046
    median $(awk -v m="$1" -v s="$2" -v w="$3" -v c="$4" '$1 == m && $2 == s && $3 == w {print $(c + 3)}' "$dir/results")
}

windows="1 64 1024 4096"
for run in 1 2 3; do
    for window in $windows; do
        measure raw 1024 "$window"
        measure produce 1024 "$window"
    done
done
bench_begin log "durable objects of 1 KB (fdatasync before each is done), WINDOW of them under way; median of 3 runs;
  raw: the same bytes and checksums in batches of WINDOW by a bare loop; $(df --output=fstype "$dir" | tail -n 1), $(uname -r)"
for window in $windows; do
    ours=$(value produce 1024 "$window" 1)
    bound=$(value raw 1024 "$window" 1)
    target=- met=-
    if [ "$window" = 4096 ]; then
        target=">= 100000, >= 0.5 x raw"
        met=$(awk -v o="$ours" -v r="$bound" 'BEGIN { print (o >= 100000 && o >= r / 2 ? "yes" : "no") }')
    fi
    bench_row "1 KB window $window" "objects ($(ratio "$ours" "$bound") x raw)" 1/s "$ours" "raw=$bound" "$target" "$met"
    bench_row "1 KB window $window" "CPU" us "$(value produce 1024 "$window" 2)" "raw=$(value raw 1024 "$window" 2)" - -
    bench_row "1 KB window $window" "mean fdatasync" us "$(value produce 1024 "$window" 4)" "raw=$(value raw 1024 "$window" 4)" - -
done
rm -rf "$dir/log" && mkdir "$dir/log"
read -r ms objects < <($program recover "$dir/log" 1024 1000)
bench_row "restart" "1 GB, $objects objects" ms "$ms" "" "<= 1000" "$(at_most "$ms" 1000)"
bench_end
