#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Durable produce over the wire: 1 KB objects of one producer and of 16, some of them under way.
# netkit (engine = log, sync = always), NATS JetStream (sync_interval: always) and Redis (appendonly
# yes, appendfsync always) in turns on the same disk, and what the disk allows: the bare loop of
# log_engine.c. Brokers that are not installed are named and left out (Debian: nats-server,
# redis-server or valkey-server).
#
#   SECONDS_EACH   length of one measurement (2)
#   LOG_DIR        where everything is written: the disk that is measured (build/bench)
set -euo pipefail
cd "$(dirname "$0")/../.."
. tests/bench/lib.sh
netkit=${NETKIT:-./netkit}
seconds=${SECONDS_EACH:-2}
size=1024
mkdir -p "${LOG_DIR:-build/bench}"
dir=$(cd "$(mktemp -d -p "${LOG_DIR:-build/bench}")" && pwd)
pids=()
stop_all() {
    for pid in "${pids[@]}"; do
        kill "$pid" 2>/dev/null || true
        wait "$pid" 2>/dev/null || true
    done
}
trap 'stop_all; rm -rf "$dir"' EXIT
python=$(bench_python)
load=build/bench/durable_load raw=build/bench/log_engine
./build.sh program debug tests/bench/durable_load.c $load -O2 -Itests/bench tests/bench/broker/bytes.c \
    tests/bench/broker/native.c tests/bench/broker/process.c tests/bench/broker/wire.c \
    -Wl,--no-as-needed -lssl -lcrypto
./build.sh program release tests/bench/log_engine.c $raw -Wno-missing-prototypes

free_port() { "$python" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
declare -A port pid proto
brokers=()

# started NAME PROTO PORT PID
started() {
    pids+=("$4")
    if "$python" tests/bench/wait_port.py "$3"; then
        port[$1]=$3 pid[$1]=$4 proto[$1]=$2
        brokers+=("$1")
    else
        printf '  %s did not start: left out\n' "$1"
    fi
}

(umask 077 && head -c 18 /dev/urandom | base64 | tr '+/' 'ab' >"$dir/password")
start_netkit() {
    local p
    p=$(free_port)
    "$netkit" relay --quiet --engine log --sync always --state-dir "$dir/netkit" --connection TCP --wire native \
        --listen "tcp:127.0.0.1:$p" --password-file "$dir/password" 2>"$dir/netkit.log" &
    started netkit nk "$p" $!
}
# Before 2.10 JetStream acknowledges what it has written and syncs every two minutes: it is measured
# as that, under another name.
start_nats() {
    local p name=jetstream sync=", sync_interval: always"
    p=$(free_port)
    nats_conf() { printf 'port: %s\nhost: 127.0.0.1\njetstream { store_dir: "%s/nats"%s }\n' "$p" "$dir" "$1" >"$dir/nats.conf"; }
    nats_conf "$sync"
    if ! nats-server -t -c "$dir/nats.conf" >/dev/null 2>&1; then
        name=jetstream-unsynced
        nats_conf ""
        printf '  this nats-server has no sync_interval: its acknowledgements do not wait for the disk\n'
    fi
    nats-server -c "$dir/nats.conf" >"$dir/nats.log" 2>&1 &
    started $name nats "$p" $!
}
start_redis() {
    local p
    p=$(free_port)
    mkdir "$dir/redis"
    "$redis" --port "$p" --bind 127.0.0.1 --save '' --appendonly yes --appendfsync always \
        --auto-aof-rewrite-percentage 0 --dir "$dir/redis" >"$dir/redis.log" 2>&1 &
    started redis resp "$p" $!
}

versions="netkit $("$netkit" --version | sed -n '1s/^[^0-9]*//p')"
start_netkit
if command -v nats-server >/dev/null; then
    versions+=", $(nats-server --version)"
    start_nats
else
    printf '  nats-server is not installed: left out\n'
fi
redis=$(command -v redis-server || command -v valkey-server || true)
if [ -n "$redis" ]; then
    versions+=", $("$redis" --version | cut -c 1-30)"
    start_redis
else
    printf '  neither redis-server nor valkey-server is installed: left out\n'
fi

# "PRODUCERS WINDOW": a window for each of them
loads="1:64 1:4096 16:256"
for run in 1 2 3; do
    for l in $loads; do
        under_way=$((${l%:*} * ${l#*:}))
        rm -rf "$dir/raw" && mkdir "$dir/raw"
        echo "raw $l $($raw raw "$dir/raw" $size "$under_way" "$seconds")" >>"$dir/results"
        for name in "${brokers[@]}"; do
            echo "$name $l $($load "${proto[$name]}" "${port[$name]}" "${pid[$name]}" $size "${l%:*}" "${l#*:}" \
                "$seconds" "$dir/password")" >>"$dir/results"
        done
    done
    "$netkit" relay purge --yes --state-dir "$dir/netkit" bench.d >/dev/null
done

# value NAME LOAD COLUMN: the median of the runs
value() {
    # shellcheck disable=SC2046
    median $(awk -v n="$1" -v l="$2" -v c="$3" '$1 == n && $2 == l {print $(c + 2)}' "$dir/results")
}
# peers LOAD COLUMN [raw]
peers() {
    local name
    for name in "${brokers[@]}" ${3:-}; do
        [ "$name" = netkit ] || printf '%s=%s ' "$name" "$(value "$name" "$1" "$2")"
    done
}

bench_begin durable "$size B objects on plain TCP, each acknowledged when it is on the disk, PRODUCERS x WINDOW of them under way;
  median of 3 runs; raw: the same bytes in batches of all that is under way by a bare loop; $(df --output=fstype "$dir" | tail -n 1), $(uname -r);
  $versions"
for l in $loads; do
    ours=$(value netkit "$l" 1)
    bound=$(value raw "$l" 1)
    target=- met=-
    if [ "$l" != 1:64 ]; then
        target=">= 100000, >= 0.5 x raw"
        met=$(awk -v o="$ours" -v r="$bound" 'BEGIN { print (o >= 100000 && o >= r / 2 ? "yes" : "no") }')
    fi
    row="1 KB ${l%:*} x ${l#*:}"
    bench_row "$row" "objects ($(ratio "$ours" "$bound") x raw)" 1/s "$ours" "$(peers "$l" 1 raw)" "$target" "$met"
    for name in "${brokers[@]}"; do
        [ "$name" = netkit ] ||
            bench_row "$row" "objects / $name's" x "$(ratio "$ours" "$(value "$name" "$l" 1)")" "" - -
    done
    bench_row "$row" "CPU" us "$(value netkit "$l" 2)" "$(peers "$l" 2)" - -
done
bench_end
