# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2154
# netkit tls client and server, mutual TLS 1.3 with AES-256-GCM and P-256, against a pair of stunnel and a pair of
# spiped. A part of tunnel.sh. TLS_MB and TLS_SECONDS make it shorter.

./build.sh packages stunnel4 spiped openssl libssl-dev
gcc -O2 -o "$work/tls_load" tests/bench/tunnel_tls_load.c -lssl -lcrypto
TLS_MB=${TLS_MB:-1000} TLS_SECONDS=${TLS_SECONDS:-3} TLS_IDLE=${TLS_IDLE:-500}

certificates() {
    local name
    mkdir -p "$work/ca"
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=ca -keyout \
        "$work/ca/key.pem" -out "$work/ca/certificate.pem" 2>/dev/null
    for name in srv.test client; do
        "$netkit" cert new --cn "$name" --ca "$work/ca/certificate.pem" --ca-key "$work/ca/key.pem" -o "$work/$name" >/dev/null
    done
    head -c 32 /dev/urandom >"$work/spiped.key"
    ca=$work/ca/certificate.pem
}

# start_PEER: a pair that leads to $target; sets front (a port) and both (two ids)
start_netkit() {
    local back
    background "$work/netkit-s.log" "$netkit" tls server --listen tcp:127.0.0.1:0 --connect "tcp:127.0.0.1:$target" \
        --cert "$work/srv.test/certificate.pem" --key "$work/srv.test/key.pem" --ca "$ca" --allow-cn client
    both=("$pid")
    back=$(wait_for "$work/netkit-s.log" 'listening on tcp:127.0.0.1:([0-9]+)')
    background "$work/netkit-c.log" "$netkit" tls client --listen tcp:127.0.0.1:0 --connect "tcp:127.0.0.1:$back" \
        --server-name srv.test --cert "$work/client/certificate.pem" --key "$work/client/key.pem" --ca "$ca"
    both+=("$pid")
    front=$(wait_for "$work/netkit-c.log" 'listening on tcp:127.0.0.1:([0-9]+)')
}

# stunnel_conf NAME LINE..: a service; its certificate is NAME's
stunnel_conf() {
    local name=$1
    shift
    {
        printf 'foreground = yes\npid =\ndebug = 3\n[x]\nCAfile = %s\nverifyChain = yes\n' "$ca"
        printf 'sslVersionMin = TLSv1.3\ncert = %s/%s/certificate.pem\nkey = %s/%s/key.pem\n' "$work" "$name" "$work" "$name"
        printf '%s\n' "$@"
    } >"$work/stunnel-$name.conf"
}

start_stunnel() {
    local back
    back=$(free_port) front=$(free_port)
    stunnel_conf srv.test "accept = 127.0.0.1:$back" "connect = 127.0.0.1:$target"
    stunnel_conf client 'client = yes' "accept = 127.0.0.1:$front" "connect = 127.0.0.1:$back"
    background "$work/stunnel-s.log" stunnel4 "$work/stunnel-srv.test.conf"
    both=("$pid")
    background "$work/stunnel-c.log" stunnel4 "$work/stunnel-client.conf"
    both+=("$pid")
    wait_port "$back" && wait_port "$front"
}

start_spiped() {
    local back
    back=$(free_port) front=$(free_port)
    background "$work/spiped-s.log" spiped -F -d -s "[127.0.0.1]:$back" -t "[127.0.0.1]:$target" -k "$work/spiped.key" -n 2000
    both=("$pid")
    wait_port "$back"
    background "$work/spiped-c.log" spiped -F -e -s "[127.0.0.1]:$front" -t "[127.0.0.1]:$back" -k "$work/spiped.key" -n 2000
    both+=("$pid")
    wait_port "$front"
}

# measure_pair: lines "METRIC VALUE" of the pair that has just been started
measure_pair() {
    local before after streams
    "$work/load" ping "$front" 20 64 >/dev/null
    for streams in 1 8; do
        before=$(cpu "${both[@]}")
        echo "rate$streams $("$work/load" bulk "$front" "$TLS_MB" "$streams")"
        after=$(cpu "${both[@]}")
        awk -v a="$before" -v b="$after" -v mb="$TLS_MB" -v n="$streams" 'BEGIN {printf "cpu%d %.2f\n", n, (b - a) * 1000 / mb}'
    done
    "$work/load" ping "$front" 5000 64 | awk '{print "p50 " $1; print "p99 " $2}'
    before=$(cpu "${both[@]}")
    "$work/load" conn "$front" "$TLS_SECONDS" 8 >"$work/conn"
    after=$(cpu "${both[@]}")
    awk -v a="$before" -v b="$after" '{print "conn " $1; printf "conncpu %.2f\n", (b - a) * 1000 / $2}' "$work/conn"
}

# idle_pair: resident memory of each side, with nothing and with idle connections
idle_pair() {
    local holder before i names=(server client)
    before=("$(rss "${both[0]}")" "$(rss "${both[1]}")")
    mkfifo "$work/hold"
    "$work/load" idle "$front" "$TLS_IDLE" <"$work/hold" >"$work/idle.log" &
    holder=$!
    exec 4>"$work/hold"
    wait_for "$work/idle.log" '(open)' >/dev/null
    for i in 0 1; do
        echo "rss-${names[i]} $(awk -v k="${before[i]}" 'BEGIN {printf "%.1f", k / 1024}')"
        echo "idle-${names[i]} $(awk -v a="${before[i]}" -v b="$(rss "${both[i]}")" -v n="$TLS_IDLE" 'BEGIN {printf "%.1f", (b - a) / n}')"
    done
    exec 4>&-
    wait "$holder"
    rm -f "$work/hold"
}

# value PEER METRIC: the median of what was measured
value() {
    # shellcheck disable=SC2046
    median $(awk -v m="$2" '$1 == m {print $2}' "$work/result.$1")
}

# new_connections KIND: of a server alone, "connections/s" and CPU ms for each, with OpenSSL as its client
new_connections() {
    local kind=$1 mode=full peer back before extra=() verify=(--client-cert none)
    [ "$kind" != resumed ] || mode=resumed
    if [ "$kind" = mutual ]; then
        extra=("$work/client/certificate.pem" "$work/client/key.pem")
        verify=(--ca "$ca" --allow-cn client)
    fi
    for peer in netkit stunnel; do
        if [ "$peer" = netkit ]; then
            background "$work/one.log" "$netkit" tls server --listen tcp:127.0.0.1:0 --connect "tcp:127.0.0.1:$target" \
                --cert "$work/srv.test/certificate.pem" --key "$work/srv.test/key.pem" "${verify[@]}"
            back=$(wait_for "$work/one.log" 'listening on tcp:127.0.0.1:([0-9]+)')
        else
            back=$(free_port)
            stunnel_conf srv.test "accept = 127.0.0.1:$back" "connect = 127.0.0.1:$target"
            [ "$kind" = mutual ] || sed -i '/^CAfile\|^verifyChain/d' "$work/stunnel-srv.test.conf"
            background "$work/one.log" stunnel4 "$work/stunnel-srv.test.conf"
            wait_port "$back"
        fi
        before=$(cpu "$pid")
        "$work/tls_load" "$back" "$TLS_SECONDS" $mode "$ca" "${extra[@]}" >"$work/new"
        awk -v kind="$kind" -v a="$before" -v b="$(cpu "$pid")" \
            '{print "new-" kind " " $1; printf "newcpu-%s %.2f\n", kind, (b - a) * 1000 / $2; print "resumed-" kind " " $3 / $2}' \
            "$work/new" >>"$work/result.$peer"
        finish "$pid"
    done
}

certificates
for run in 1 2 3; do
    for peer in netkit stunnel spiped; do
        "start_$peer"
        measure_pair >>"$work/result.$peer"
        [ "$run" != 1 ] || idle_pair >>"$work/result.$peer"
        finish "${both[@]}"
    done
    for kind in mutual server-auth resumed; do new_connections "$kind"; done
done

# tls_row CASE METRIC UNIT KEY TARGET MET
tls_row() {
    local peer others=""
    for peer in stunnel spiped; do
        [ -z "$(awk -v m="$4" '$1 == m' "$work/result.$peer")" ] || others+="${others:+ }$peer=$(value "$peer" "$4")"
    done
    bench_row "$1" "$2" "$3" "$(value netkit "$4")" "$others" "$5" "$6"
}

ours=$(value netkit cpu1)
tls_row "tls pair, 1 stream" "CPU" s/GB cpu1 "at most stunnel's" "$(at_most "$ours" "$(value stunnel cpu1)")"
bench_row "tls pair, 1 stream" "spiped's CPU / ours" "" "$(ratio "$(value spiped cpu1)" "$ours")" "" "at least 2.5" \
    "$(at_least "$(ratio "$(value spiped cpu1)" "$ours")" 2.5)"
tls_row "tls pair, 8 streams" "CPU" s/GB cpu8 "none" -
tls_row "tls pair, 1 stream" "throughput" MB/s rate1 "none" -
tls_row "tls pair, 8 streams" "throughput" MB/s rate8 "none" -
tls_row "tls pair, 64 bytes" "round trip, median" us p50 "at most stunnel's" "$(at_most "$(value netkit p50)" "$(value stunnel p50)")"
tls_row "tls pair, 64 bytes" "round trip, 99 %" us p99 "none" -
tls_row "tls pair, mutual" "new connections" /s conn "at least 250" "$(at_least "$(value netkit conn)" 250)"
tls_row "tls pair, mutual" "CPU of a new one" ms conncpu "none" -
for kind in mutual server-auth resumed; do
    least=250
    [ $kind != server-auth ] || least=500
    [ $kind != resumed ] || least=1000
    tls_row "tls server, $kind" "new connections" /s "new-$kind" "at least $least" "$(at_least "$(value netkit "new-$kind")" $least)"
    tls_row "tls server, $kind" "CPU of a new one" ms "newcpu-$kind" "none" -
done
tls_row "tls server, resumed" "share resumed" "" resumed-resumed "none" -
for side in server client; do
    tls_row "tls $side, idle" "RSS" MB "rss-$side" "at most 5" "$(at_most "$(value netkit "rss-$side")" 5)"
    tls_row "tls $side, idle" "RSS per connection" kB "idle-$side" "at most 8" "$(at_most "$(value netkit "idle-$side")" 8)"
done
