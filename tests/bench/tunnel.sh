#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Tunnels against what else makes them. Each tests/bench/tunnel_KIND.sh is a part, run here in this shell; TUNNEL=KIND
# leaves the others out.
set -euo pipefail
cd "$(dirname "$0")/../.."
. tests/bench/lib.sh
# shellcheck disable=SC2034 # the parts use it
netkit=$(realpath "${NETKIT:-./netkit}")
work=$(mktemp -d)
started=()
trap 'for pid in "${started[@]}"; do kill "$pid" 2>/dev/null || true; done; rm -rf "$work"' EXIT
gcc -O2 -o "$work/load" tests/bench/tunnel_tcp_load.c -lpthread

# background LOG COMMAND..: starts it; its id is in $pid. It ends with the benchmark, if not before (finish).
background() {
    local log=$1
    shift
    "$@" >"$log" 2>&1 </dev/null &
    pid=$!
    started+=("$pid")
}

# finish PID..: ends them
finish() {
    local p
    for p in "$@"; do
        kill "$p" 2>/dev/null || true
        wait "$p" 2>/dev/null || true
    done
}

# wait_for FILE PATTERN: the first line that has it, within a minute; what \1 is in it
wait_for() {
    local i got
    for ((i = 0; i < 1200; i++)); do
        got=$(sed -nE "s/.*$2.*/\\1/p" "$1" | head -n 1)
        [ -z "$got" ] || { echo "$got" && return; }
        sleep 0.05
    done
    echo "tunnel.sh: $1 never said $2" >&2
    cat "$1" >&2
    return 1
}

# wait_port PORT: until something accepts there
wait_port() {
    local i
    for ((i = 0; i < 200; i++)); do
        (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null && return
        sleep 0.05
    done
    echo "tunnel.sh: nothing listens on $1" >&2
    return 1
}

# free_port: one that nobody uses now
free_port() { "$(bench_python)" -c 'import socket; s = socket.create_server(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

# cpu PID..: seconds of the processor that they have used together; rss PID..: their resident kB
cpu() {
    local p
    for p in "$@"; do sed 's/.*) //' "/proc/$p/stat"; done | awk -v hz="$(getconf CLK_TCK)" '{s += $12 + $13} END {printf "%.2f\n", s / hz}'
}
rss() {
    local p
    for p in "$@"; do sed -nE 's/VmRSS:[^0-9]*([0-9]+).*/\1/p' "/proc/$p/status"; done | awk '{s += $1} END {print s}'
}

background "$work/serve.log" "$work/load" serve
# shellcheck disable=SC2034
target=$(wait_for "$work/serve.log" '^([0-9]+)$')

bench_begin tunnel "loopback, $(nproc) processors shared by load and tunnels, medians of 3 interleaved runs; CPU: user and system of both sides"
for part in tests/bench/tunnel_*.sh; do
    kind=${part##*/tunnel_}
    [ "${TUNNEL:-${kind%.sh}}" = "${kind%.sh}" ] || continue
    # shellcheck source=/dev/null
    . "$part"
done
bench_end
