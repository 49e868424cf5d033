#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The Tor controller against stem (Debian's python3-stem), both on the same offline tor: one process that
# connects, authenticates with SAFECOOKIE and asks one value, from exec to its end.
set -euo pipefail
cd "$(dirname "$0")/../.."
. tests/bench/lib.sh
netkit=${NETKIT:-./netkit}
python=$(bench_python)
runs=60
./build.sh packages tor python3-stem python3-txtorcon

# Prints a word, the version of stem and the median milliseconds of netkit and of stem, of the least
# that stem can be (its module loaded and nothing done), and of a program that does nothing.
measure() {
    PYTHONPATH=tests/peers "$python" - "$netkit" "$runs" <<'END'
import pathlib, statistics, subprocess, sys, tempfile, time
from tor_offline import OfflineTor

netkit, runs = sys.argv[1], int(sys.argv[2])
STEM = """
import sys
from stem.control import Controller
with Controller.from_socket_file(sys.argv[1]) as c:
    c.authenticate()
    sys.stdout.write(c.get_info("version") + "\\n")
"""


def once(argv):
    start = time.perf_counter()
    done = subprocess.run(argv, stdout=subprocess.PIPE, check=True)
    return (time.perf_counter() - start) * 1000, done.stdout


with tempfile.TemporaryDirectory(prefix="nk-bench-") as work:
    with OfflineTor(pathlib.Path(work)) as tor:
        tor.control.command(f'SETCONF CookieAuthFile="{work}/cookie" CookieAuthentication=1')
        control = str(tor.base / "control")
        cases = {"netkit": [netkit, "tor", "info", "version", "--control", control],
                 "stem": [sys.executable, "-c", STEM, control],
                 "import": [sys.executable, "-c", "import stem.control"],
                 "floor": [netkit, "version"]}
        took = {name: [] for name in cases}
        for i in range(runs):  # interleaved, so that a change of the machine's load meets all of them
            for name, argv in cases.items():
                if name in ("netkit", "floor") or i % 6 == 0:
                    ms, out = once(argv)
                    took[name].append(ms)
                    if name in ("netkit", "stem"):
                        assert out.startswith(b"0."), out
import stem
print("medians", stem.__version__,
      *(f"{statistics.median(took[name]):.2f}" for name in cases), f"{min(took['netkit']):.2f}")
END
}

read -r _ stem ours theirs import floor best < <(measure)
bench_begin tor "exec to end, milliseconds, median of $runs runs (stem: $((runs / 6)));
  $(tor --version 2>/dev/null | head -n 1 | cut -d' ' -f1-3 || true) stem $stem, $("$python" --version); $(nproc) processors"
bench_row "connect, SAFECOOKIE, GETINFO" "whole process" ms "$ours" "stem=$theirs stem-import=$import" "<= 5" "$(at_most "$ours" 5)"
bench_row "connect, SAFECOOKIE, GETINFO" "best of $runs" ms "$best" "" none -
bench_row "connect, SAFECOOKIE, GETINFO" "times faster than stem" x "$(ratio "$theirs" "$ours")" "" ">= 20" "$(at_least "$(ratio "$theirs" "$ours")" 20)"
bench_row "no connection at all" "netkit version" ms "$floor" "" none -
declare -A rate=() cost=()
while read -r who per_s us; do
    rate[$who]=$per_s cost[$who]=$us
done < <("$python" tests/bench/tor_events.py "$netkit")
bench_row "events to JSON lines" "events read" events/s "${rate[netkit]}" "stem=${rate[stem]} txtorcon=${rate[txtorcon]}" ">= 50000" "$(at_least "${rate[netkit]}" 50000)"
bench_row "events to JSON lines" "processor time" us/event "${cost[netkit]}" "stem=${cost[stem]} txtorcon=${cost[txtorcon]}" "<= 5" "$(at_most "${cost[netkit]}" 5)"
declare -A held=() now=()
while read -r who kib resident; do
    held[$who]=$kib now[$who]=$resident
done < <("$python" tests/bench/tor_memory.py "$netkit")
limit=4096
for who in events top; do
    bench_row "tor $who, a day of events" "peak memory" KiB "${held[$who]}" "netkit-sleep=${held[sleep]}" "<= $limit" "$(at_most "${held[$who]}" $limit)"
    bench_row "tor $who, a day of events" "resident at the end" KiB "${now[$who]}" "netkit-sleep=${now[sleep]}" "<= $limit" "$(at_most "${now[$who]}" $limit)"
done
bench_end
