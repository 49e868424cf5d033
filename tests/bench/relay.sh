#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The native wire against other brokers: the same load (broker/), in the same run, in turns. Brokers
# that are not installed are named and left out (Debian: nats-server, redis-server or valkey-server,
# mosquitto).
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
# all but main.c, which comes first
sources=(tests/bench/broker/[!m]*.c)
./build.sh program debug tests/bench/broker/main.c $load -O2 "${sources[@]}" \
    -Wl,--no-as-needed -lssl -lcrypto

free_port() { "$python" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
wait_port() { "$python" tests/bench/wait_port.py "$1"; }

(umask 077 && head -c 18 /dev/urandom | base64 | tr '+/' 'ab' >"$dir/password")
"$netkit" cert new -o "$dir/cert" >/dev/null
"$netkit" cert new -o "$dir/client" >/dev/null
cert=$dir/cert/certificate.pem key=$dir/cert/key.pem
client_cert=$dir/client/certificate.pem client_key=$dir/client/key.pem
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

# start_netkit NAME TLS|TCP [OPTION..]
start_netkit() {
    local name=$1 connection=$2 p
    shift 2
    p=$(free_port)
    "$netkit" relay --quiet --engine memory --state-dir "$dir/$name" --connection "$connection" --wire native \
        --listen "tcp:127.0.0.1:$p" --password-file "$dir/password" --cert "$cert" --key "$key" "$@" \
        2>"$dir/$name.log" &
    started "$name" nk "$p" $!
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
start_netkit netkit-mtls TLS --client-ca "$client_cert"
redis=$(command -v redis-server || command -v valkey-server || true)
for name in nats-server "${redis:-redis-server}" mosquitto; do
    command -v "$name" >/dev/null || { printf '  %s is not installed: left out\n' "$name" && continue; }
    case $name in
    nats-server) start_nats "" && start_nats -tls && brokers+=(nats) ;;
    mosquitto) start_mosquitto "" && start_mosquitto -tls && brokers+=(mosquitto) ;;
    *) start_redis "" && start_redis -tls && brokers+=(redis) ;;
    esac
done

# load NAME MODE [NAME=VALUE]..: one measurement; zeros when there is none
load() {
    local name=$1 mode=$2 args=(password="$dir/password")
    shift 2
    case $name in
    *-mtls) args+=(tls=1 cert="$client_cert" key="$client_key") ;;
    *-tls) args+=(tls=1) ;;
    esac
    timeout 60 $load "${proto[$name]}" "$mode" "${port[$name]}" "${pid[$name]}" "${args[@]}" "$@" || echo 0 0 0
}

# measure SUFFIX MODE [NAME=VALUE]..: netkit and all brokers in turns, three times, so that a change
# of the machine's load meets all of them. Leaves each one's median (by the first figure) in `line`.
declare -A line
measure() {
    local suffix=$1 mode=$2 names=() name i
    shift 2
    for name in netkit "${brokers[@]}"; do
        [ -z "${port[$name$suffix]:-}" ] || names+=("$name")
    done
    for i in 1 2 3; do
        for name in "${names[@]}"; do load "$name$suffix" "$mode" "$@" >"$dir/$name.$i"; done
    done
    line=()
    for name in "${names[@]}"; do line[$name]=$(cat "$dir/$name".[123] | sort -n | sed -n 2p); done
}

# field N NAME: a figure of a broker. peers N: the same of all but netkit, as bench_row takes them.
field() { cut -d' ' -f"$1" <<<"${line[$2]}"; }
peers() {
    local b
    for b in "${brokers[@]}"; do
        [ -z "${line[$b]:-}" ] || printf '%s=%s ' "$b" "$(field "$1" "$b")"
    done
}
# best N high|low: the best figure of a peer; nothing without one
best() {
    local order=-n
    [ "$2" = low ] || order=-rn
    peers "$1" | tr ' ' '\n' | sed -n 's/.*=//p' | awk '$1 > 0' | sort $order | head -n 1
}

# throughput CASE SUFFIX SIZE N WINDOW TARGET FACTOR
throughput() {
    local rate top
    measure "$2" thr size="$3" n="$4" ahead="$5" seconds="$seconds"
    rate=$(field 1 netkit)
    top=$(best 1 high)
    bench_row "$1" rate "msg/s" "$rate" "$(peers 1)" ">= $6" "$(at_least "$rate" "$6")"
    [ -z "$top" ] || bench_row "$1" "ratio to best peer" "" "$(ratio "$rate" "$top")" "" ">= $7" \
        "$(at_least "$(ratio "$rate" "$top")" "$7")"
    bench_row "$1" "cpu per delivery" ns "$(field 2 netkit)" "$(peers 2)" "" -
    [ "$3" -lt 65536 ] || bench_row "$1" payload MB/s "$(field 3 netkit)" "$(peers 3)" ">= 600" \
        "$(at_least "$(field 3 netkit)" 600)"
}

# lowest CASE METRIC UNIT FIELD: no worse than the best peer
lowest() {
    local value top met=-
    value=$(field "$4" netkit)
    top=$(best "$4" low)
    [ -z "$top" ] || met=$(at_most "$value" "$top")
    bench_row "$1" "$2" "$3" "$value" "$(peers "$4")" "${top:+<= $top}" "$met"
    [ -z "$top" ] || bench_row "$1" "$2, ratio to best peer" "" "$(ratio "$value" "$top")" "" "<= 1" "$met"
}

# latency CASE SUFFIX: on one processor, where the figure is the broker's; then wherever the
# scheduler puts broker and load, where most of it is the waking of an idle processor
latency() {
    measure "$2" ping one-cpu=1 seconds="$seconds"
    lowest "$1" p50 us 1
    bench_row "$1" p99 us "$(field 2 netkit)" "$(peers 2)" "" -
    lowest "$1" "cpu per message" us 3
    measure "$2" ping seconds="$seconds"
    bench_row "$1, two processors" p50 us "$(field 1 netkit)" "$(peers 1)" "" -
    bench_row "$1, two processors" p99 us "$(field 2 netkit)" "$(peers 2)" "" -
}

idle() {
    measure "$2" idle n=200
    bench_row "$1" "memory" bytes "$(field 1 netkit)" "$(peers 1)" "<= $3" "$(at_most "$(field 1 netkit)" "$3")"
}

# handshake CASE MODE TARGET PLAIN: connections with TLS, and what is left of one without the cost
# of a plain connection (PLAIN, us)
handshake() {
    local value
    measure -tls "$2" n=300 one-cpu=1
    value=$(awk -v a="$(field 1 netkit)" -v b="$4" 'BEGIN { printf "%.1f", a - b }')
    bench_row "$1" "cpu of connection" us "$(field 1 netkit)" "$(peers 1)" "" -
    bench_row "$1" "cpu of handshake" us "$value" "" "<= $3" "$(at_most "$value" "$3")"
}

bench_begin relay "one publisher to n subscribers; the publisher stays a window ahead of the slowest"
throughput "1 to 1, 64 B" "" 64 1 50000 5000000 2.5
throughput "1 to 100, 64 B" "" 64 100 8192 15000000 2
throughput "1 to 1, 1 KB, TLS" -tls 1024 1 2048 300000 1.2
throughput "1 to 100, 1 KB, TLS" -tls 1024 100 2048 1000000 1
throughput "1 to 1, 64 KB, TLS" -tls 65536 1 32 9155 1
measure "" connect n=1000
plain=$(field 1 netkit)
bench_row "plain connection" "cpu of connection" us "$plain" "$(peers 1)" "" -
handshake "full handshake" handshake 1200 "$plain"
handshake "resumed handshake" resume 350 "$plain"
idle "idle endpoint" "" 2048
idle "idle endpoint, TLS" -tls 8192
idle "idle endpoint, mTLS" -mtls 10240
latency "ping 64 B, TLS" -tls
latency "ping 64 B" ""
bench_end
