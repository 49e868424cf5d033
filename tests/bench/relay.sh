#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The native wire against other brokers: the same load (broker_load.c), in the same run, one after
# the other. Brokers that are not installed are named and left out (Debian: nats-server,
# redis-server or valkey-server, mosquitto).
#
#   SECONDS_EACH   length of one measurement (2)
set -euo pipefail
cd "$(dirname "$0")/../.."
. tests/bench/lib.sh
netkit=${NETKIT:-./netkit}
seconds=${SECONDS_EACH:-2}
dir=$(mktemp -d)
pids=()
stop_all() { for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done; }
trap 'stop_all; rm -rf "$dir"' EXIT
python=$(bench_python)
load=build/bench/broker_load
./build.sh program debug tests/bench/broker_load.c $load -O2 -Wno-conversion \
    -Wl,--no-as-needed -lssl -lcrypto

free_port() { "$python" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
wait_port() { "$python" tests/bench/wait_port.py "$1"; }

(umask 077 && head -c 18 /dev/urandom | base64 | tr '+/' 'ab' >"$dir/password")
"$netkit" cert new -o "$dir/cert" >/dev/null
cert=$dir/cert/certificate.pem key=$dir/cert/key.pem
declare -A port pid proto
brokers=()

# started NAME PROTO PORT PID
started() {
    pids+=("$4")
    if wait_port "$3"; then
        port[$1]=$3 pid[$1]=$4 proto[$1]=$2
    else
        printf '  %s did not start: left out\n' "$1"
    fi
}

start_netkit() {
    local p
    p=$(free_port)
    "$netkit" relay --quiet --engine memory --state-dir "$dir/$1" --connection "$2" --wire native \
        --listen "tcp:127.0.0.1:$p" --password-file "$dir/password" --cert "$cert" --key "$key" 2>"$dir/$1.log" &
    started "$1" nk "$p" $!
}

start_nats() {
    local p
    p=$(free_port)
    printf 'port: %s\nhost: 127.0.0.1\nmax_payload: 8MB\n%s\n' "$p" \
        "${1:+tls { cert_file: \"$cert\", key_file: \"$key\" \}}" >"$dir/nats$1.conf"
    nats-server -c "$dir/nats$1.conf" >"$dir/nats$1.log" 2>&1 &
    started "nats$1" nats "$p" $!
}

start_redis() {
    local p args=()
    p=$(free_port)
    if [ -n "$1" ]; then
        args=(--port 0 --tls-port "$p" --tls-cert-file "$cert" --tls-key-file "$key" --tls-auth-clients no)
    else
        args=(--port "$p")
    fi
    "$redis" "${args[@]}" --bind 127.0.0.1 --save '' --dir "$dir" --client-output-buffer-limit \
        'pubsub 0 0 0' >"$dir/redis$1.log" 2>&1 &
    started "redis$1" resp "$p" $!
}

start_mosquitto() {
    local p
    p=$(free_port)
    {
        printf 'listener %s 127.0.0.1\nallow_anonymous true\nmax_queued_messages 0\nset_tcp_nodelay true\n' "$p"
        [ -z "$1" ] || printf 'certfile %s\nkeyfile %s\n' "$cert" "$key"
        [ "$(id -u)" != 0 ] || printf 'user root\n'
    } >"$dir/mosquitto$1.conf"
    mosquitto -c "$dir/mosquitto$1.conf" >"$dir/mosquitto$1.log" 2>&1 &
    started "mosquitto$1" mqtt "$p" $!
}

start_netkit netkit TCP
start_netkit netkit-tls TLS
redis=$(command -v redis-server || command -v valkey-server || true)
for name in nats-server "${redis:-redis-server}" mosquitto; do
    command -v "$name" >/dev/null || { printf '  %s is not installed: left out\n' "$name" && continue; }
    case $name in
    nats-server) start_nats "" && start_nats -tls && brokers+=(nats) ;;
    mosquitto) start_mosquitto "" && start_mosquitto -tls && brokers+=(mosquitto) ;;
    *) start_redis "" && start_redis -tls && brokers+=(redis) ;;
    esac
done

# run NAME MODE SIZE N WINDOW: the median of three, by the first figure
run() {
    local tls="" out=() i
    [ "${1%-tls}" = "$1" ] || tls=tls
    for i in 1 2 3; do
        out+=("$(timeout 60 $load "${proto[$1]}" "$2" "${port[$1]}" "${pid[$1]}" "$3" "$4" "$seconds" "$5" \
            $tls "$dir/password" || echo 0 0 0)")
    done
    printf '%s\n' "${out[@]}" | sort -n | sed -n 2p
}

# throughput CASE SUFFIX SIZE N WINDOW TARGET FACTOR
throughput() {
    local rate cpu mb b best=0 rates="" cpus="" line
    read -r rate cpu mb <<<"$(run "netkit$2" thr "$3" "$4" "$5")"
    for b in "${brokers[@]}"; do
        [ -n "${port[$b$2]:-}" ] || continue
        line=$(run "$b$2" thr "$3" "$4" "$5")
        rates+="$b=${line%% *} "
        cpus+="$b=$(cut -d' ' -f2 <<<"$line") "
        best=$(awk -v a="$best" -v b="${line%% *}" 'BEGIN { print (a > b ? a : b) }')
    done
    bench_row "$1" rate "msg/s" "$rate" "$rates" ">= $6" "$(at_least "$rate" "$6")"
    bench_row "$1" "cpu per delivery" ns "$cpu" "$cpus" "" -
    [ "$best" = 0 ] || bench_row "$1" "ratio to best peer" "" "$(ratio "$rate" "$best")" "" ">= $7" \
        "$(at_least "$(ratio "$rate" "$best")" "$7")"
    [ "$3" -lt 65536 ] || bench_row "$1" payload MB/s "$mb" "" ">= 600" "$(at_least "$mb" 600)"
}

latency() {
    local p50 p99 b best=1000000 peers="" line
    read -r p50 p99 <<<"$(run "netkit$2" ping 64 1 1)"
    for b in "${brokers[@]}"; do
        [ -n "${port[$b$2]:-}" ] || continue
        line=$(run "$b$2" ping 64 1 1)
        peers+="$b=${line%% *} "
        best=$(awk -v a="$best" -v b="${line%% *}" 'BEGIN { print (b > 0 && b < a ? b : a) }')
    done
    bench_row "$1" p50 us "$p50" "$peers" "<= $best" "$(at_most "$p50" "$best")"
    bench_row "$1" p99 us "$p99" "" "" -
}

idle() {
    local bytes b peers=""
    bytes=$(run "netkit$2" idle 64 200 1)
    for b in "${brokers[@]}"; do
        [ -z "${port[$b$2]:-}" ] || peers+="$b=$(run "$b$2" idle 64 200 1) "
    done
    bench_row "$1" "memory" bytes "$bytes" "$peers" "<= $3" "$(at_most "$bytes" "$3")"
}

bench_begin relay "one publisher to n subscribers; the publisher stays a window ahead of the slowest"
throughput "1 to 1, 64 B" "" 64 1 50000 5000000 2.5
throughput "1 to 100, 64 B" "" 64 100 8192 15000000 2
throughput "1 to 1, 1 KB, TLS" -tls 1024 1 2048 300000 1.2
throughput "1 to 100, 1 KB, TLS" -tls 1024 100 2048 1000000 1
throughput "1 to 1, 64 KB, TLS" -tls 65536 1 32 9155 1
latency "ping 64 B" ""
latency "ping 64 B, TLS" -tls
idle "idle endpoint" "" 2048
idle "idle endpoint, TLS" -tls 8192
bench_end
