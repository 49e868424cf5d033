# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2154
# netkit forward tcp: tcp: against socat with its best buffer. A part of tunnel.sh.

./build.sh packages socat
FORWARD_MB=2000 FORWARD_SECONDS=3 FORWARD_IDLE=1000

# forward_start PEER: something that leads from $front to $target; its id is in $pid
forward_start() {
    if [ "$1" = netkit ]; then
        background "$work/forward.log" "$netkit" forward tcp:127.0.0.1:0 "tcp:127.0.0.1:$target"
        front=$(wait_for "$work/forward.log" 'listening on tcp:127.0.0.1:([0-9]+)')
    else
        front=$(free_port)
        background "$work/forward.log" socat -b 262144 "TCP-LISTEN:$front,bind=127.0.0.1,fork,reuseaddr,backlog=512,nodelay" \
            "TCP:127.0.0.1:$target,nodelay"
        wait_port "$front"
    fi
}

# forward_cpu: seconds of the processor, with those of processes that have ended (socat's one per connection)
forward_cpu() {
    sed 's/.*) //' "/proc/$pid/stat" | awk -v hz="$(getconf CLK_TCK)" '{printf "%.2f\n", ($12 + $13 + $14 + $15) / hz}'
}

# forward_measure: lines "METRIC VALUE" of the one that has just been started
forward_measure() {
    local before streams
    "$work/load" ping "$front" 20 64 >/dev/null
    for streams in 1 8; do
        before=$(forward_cpu)
        echo "rate$streams $("$work/load" bulk "$front" $FORWARD_MB "$streams")"
        awk -v a="$before" -v b="$(forward_cpu)" -v mb=$FORWARD_MB -v n="$streams" \
            'BEGIN {printf "cpu%d %.3f\n", n, (b - a) * 1000 / mb}'
    done
    "$work/load" ping "$front" 5000 64 | awk '{print "p50 " $1; print "p99 " $2}'
    before=$(forward_cpu)
    "$work/load" conn "$front" $FORWARD_SECONDS 8 >"$work/conn"
    awk -v a="$before" -v b="$(forward_cpu)" '{print "conn " $1; printf "conncpu %.3f\n", (b - a) * 1000 / $2}' "$work/conn"
}

# forward_idle: resident kB of netkit with nothing, and for each idle connection
forward_idle() {
    local holder before
    before=$(rss "$pid")
    mkfifo "$work/hold"
    "$work/load" idle "$front" $FORWARD_IDLE <"$work/hold" >"$work/idle.log" &
    holder=$!
    exec 4>"$work/hold"
    wait_for "$work/idle.log" '(open)' >/dev/null
    awk -v a="$before" -v b="$(rss "$pid")" -v n=$FORWARD_IDLE 'BEGIN {printf "rss %.1f\nidle %.2f\n", a / 1024, (b - a) / n}'
    exec 4>&-
    wait "$holder"
    rm -f "$work/hold"
}

# forward_value PEER METRIC: the median of what was measured
forward_value() {
    # shellcheck disable=SC2046
    median $(awk -v m="$2" '$1 == m {print $2}' "$work/forward.$1")
}

for run in 1 2 3; do
    for peer in netkit socat; do
        forward_start "$peer"
        forward_measure >>"$work/forward.$peer"
        [ "$run$peer" != 1netkit ] || forward_idle >>"$work/forward.$peer"
        finish "$pid"
    done
done

# forward_row CASE METRIC UNIT KEY TARGET MET
forward_row() { bench_row "$1" "$2" "$3" "$(forward_value netkit "$4")" "socat=$(forward_value socat "$4")" "$5" "$6"; }

for streams in 1 8; do
    best=$(awk -v v="$(forward_value socat "cpu$streams")" 'BEGIN {printf "%.3f", v * 0.75}')
    forward_row "forward, $streams streams" CPU s/GB "cpu$streams" "at most 0.75 x socat" \
        "$(at_most "$(forward_value netkit "cpu$streams")" "$best")"
    forward_row "forward, $streams streams" rate MB/s "rate$streams" "-" -
done
forward_row "forward, 64 B ping-pong" p50 us p50 "at most socat's" "$(at_most "$(forward_value netkit p50)" "$(forward_value socat p50)")"
forward_row "forward, 64 B ping-pong" p99 us p99 "-" -
forward_row "forward, new connections" rate 1/s conn "-" -
forward_row "forward, new connections" CPU ms conncpu "at most socat's" \
    "$(at_most "$(forward_value netkit conncpu)" "$(forward_value socat conncpu)")"
bench_row "forward, nothing" RSS MB "$(forward_value netkit rss)" "" "-" -
bench_row "forward, idle" "each connection" kB "$(forward_value netkit idle)" "" "at most 8 kB" "$(at_most "$(forward_value netkit idle)" 8)"
