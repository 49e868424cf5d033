#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# What a tlspyo message costs the relay: processor time per message, and latency. The load is
# relay_load.c, which behaves on the wire as two Endpoints do, and the same for every relay.
#
#   TLSPYO   a checkout of tlspyo (with what it needs to run): its relay is measured in the same run,
#            and the latency between its unmodified Endpoints through both relays
#   PYTHON   a Python with tlspyo's requirements; by default Debian's own, whatever PATH says
#   SECONDS_EACH   length of one measurement (2)
set -euo pipefail
cd "$(dirname "$0")/../.."
. tests/bench/lib.sh
netkit=${NETKIT:-./netkit}
seconds=${SECONDS_EACH:-2}
python=$(bench_python)
dir=$(mktemp -d)
pids=()
PIDS_tlspyo=
# tlspyo's relay has a process of its own behind the one that was started
stop_all() {
    local pid
    # shellcheck disable=SC2086
    for pid in "${pids[@]}" ${PIDS_tlspyo//,/ }; do kill "$pid" 2>/dev/null || true; done
}
trap 'stop_all; rm -rf "$dir"' EXIT

mkdir -p build/bench
load=build/bench/relay_load
${CC:-cc} -O2 -Wall -Wextra -o $load tests/bench/relay_load.c -lssl -lcrypto
${CC:-cc} -O2 -Wall -Wextra -o build/bench/relay_floor tests/bench/relay_floor.c

free_port() { "$python" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
wait_port() { "$python" tests/bench/wait_port.py "$1"; }

password=$(head -c 18 /dev/urandom | base64 | tr '+/' 'ab')
(umask 077 && printf '%s\n' "$password" >"$dir/password")
"$netkit" cert new -o "$dir/cert" >/dev/null

# start_netkit NAME CONNECTION: sets PORT_NAME and PIDS_NAME
start_netkit() {
    local port
    port=$(free_port)
    "$netkit" relay --quiet --engine memory --state-dir "$dir/$1" --connection "$2" --listen "tcp:127.0.0.1:$port" \
        --password-file "$dir/password" --cert "$dir/cert/certificate.pem" --key "$dir/cert/key.pem" 2>"$dir/$1.log" &
    pids+=($!)
    declare -g "PORT_$1=$port" "PIDS_$1=$!"
    wait_port "$port" || { cat "$dir/$1.log" >&2 && exit 1; }
}

# its relay is a parent and a child; the work is the child's
start_tlspyo() {
    local port
    [ -z "${PIDS_tlspyo:-}" ] || kill ${PIDS_tlspyo//,/ } 2>/dev/null || true
    port=$(free_port)
    PYTHONPATH=$TLSPYO "$python" tests/bench/tlspyo_relay.py "$port" "$password" "$dir/cert" "$(free_port)" \
        >"$dir/tlspyo.log" 2>&1 &
    local parent=$!
    pids+=("$parent")
    wait_port "$port" || { cat "$dir/tlspyo.log" >&2 && exit 1; }
    PORT_tlspyo=$port
    PIDS_tlspyo=$parent$(pgrep -P "$parent" | sed 's/^/,/' | tr -d '\n')
}

# measure RELAY MODE SIZE WINDOW [tls]: sets RATE CPU P50 P99 RSS to the medians of three runs
measure() {
    local port=PORT_$1 pid=PIDS_$1 run
    local rate=() cpu=() p50=() p99=() rss=()
    for run in 1 2 3; do
        read -r r c a b m < <($load "${!port}" "$password" 10 "$2" "$3" "$4" "$seconds" "${!pid}" ${5:-})
        rate+=("$r") cpu+=("$c") p50+=("$a") p99+=("$b") rss+=("$m")
    done
    RATE=$(median "${rate[@]}") CPU=$(median "${cpu[@]}") P50=$(median "${p50[@]}") P99=$(median "${p99[@]}") RSS=$(median "${rss[@]}")
}

# floor WINDOW: what the kernel alone takes for one object at a time over TCP, just now, as a peer
floor() {
    local run cpu=()
    [ "$1" = 1 ] || return 0
    for run in 1 2 3; do cpu+=("$(build/bench/relay_floor "$seconds" | cut -d ' ' -f 2)"); done
    printf 'bare-epoll=%s' "$(median "${cpu[@]}")"
}

# row CASE MODE SIZE WINDOW TARGET: TLS against tlspyo, then netkit over plain TCP
row() {
    local target=$5 peers="" ours rate
    measure netkit_tls "$2" "$3" "$4" tls
    ours=$CPU rate=$RATE
    if [ -n "${TLSPYO:-}" ]; then
        start_tlspyo # a new one each time: a receiver that left with credit can end it
        measure tlspyo "$2" "$3" "$4" tls
        peers="tlspyo=$CPU"
        bench_row "$1 TLS" "messages" 1/s "$rate" "tlspyo=$RATE" - -
    fi
    bench_row "$1 TLS" "relay CPU" us "$ours" "$peers" "<= $target" "$(at_most "$ours" "$target")"
    measure netkit_tcp "$2" "$3" "$4"
    bench_row "$1 TCP" "relay CPU" us "$CPU" "$(floor "$4")" "<= $target" "$(at_most "$CPU" "$target")"
}

start_netkit netkit_tls TLS
start_netkit netkit_tcp TCP

bench_begin relay-tlspyo "one sender, one receiver on tlspyo's wire; medians of three runs of $seconds s${TLSPYO:+; tlspyo $(git -C "$TLSPYO" rev-parse --short HEAD 2>/dev/null || true)}"
idle=$(awk '/VmRSS/ {print $2}' "/proc/$PIDS_netkit_tls/status")
bench_row "idle" RSS KiB "$idle" "" "<= 4096" "$(at_most "$idle" 4096)"
row "broadcast 64 B, 16 under way" broadcast 64 16 3
row "produce 64 B, 16 under way" produce 64 16 3
row "broadcast 64 B, one at a time" broadcast 64 1 8
row "produce 64 B, one at a time" produce 64 1 8
row "broadcast 1 MB" broadcast 1048576 16 1500
row "produce 1 MB" produce 1048576 4 1500
measure netkit_tls notify 64 1 tls
bench_row "notify to object TLS" "p50" us "$P50" "" "<= 1000" "$(at_most "$P50" 1000)"
if [ -n "${TLSPYO:-}" ]; then
    start_tlspyo
    ours=$(PYTHONPATH=$TLSPYO "$python" tests/bench/tlspyo_notify.py "$PORT_netkit_tls" "$password" "$dir/cert" "$(free_port)" "$(free_port)" | tail -n 1)
    theirs=$(PYTHONPATH=$TLSPYO "$python" tests/bench/tlspyo_notify.py "$PORT_tlspyo" "$password" "$dir/cert" "$(free_port)" "$(free_port)" | tail -n 1)
    bench_row "notify to pop, Endpoints" "p50" us "$ours" "tlspyo=$theirs" "<= 1000" "$(at_most "$ours" 1000)"
fi
bench_end
