#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The main job from start to end, as in the example of tlspyo's README: a relay, a producer and two
# consumers over TLS. Consumer 2 is a stock-protocol Python peer where python3 is there. Nothing waits
# for time to pass: every step waits for what the one before says. Ends by itself, 0 if all was right.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export LC_ALL=C
unset "${!NETKIT_@}" CREDENTIALS_DIRECTORY STATE_DIRECTORY
NETKIT=${NETKIT:-./netkit}
PYTHON=${PYTHON:-/usr/bin/python3}
PATIENCE=30 # seconds after which something that must come is given up

BROADCAST="I HAVE BEEN BROADCAST"
PRODUCED="I HAVE BEEN PRODUCED"

state=$(mktemp -d)
pids=()
cleanup() {
    local pid
    for pid in "${pids[@]}"; do kill -KILL "$pid" 2>/dev/null || true; done
    rm -rf "$state"
}
trap cleanup EXIT

say() { printf '\n== %s\n' "$*"; }
die() {
    printf 'demo: %s\n' "$*" >&2
    exit 1
}

# show WORD..: print a command as a user would type it.
show() {
    local word line='$ netkit'
    for word in "$@"; do
        case $word in
        *" "*) line+=" '$word'" ;;
        *) line+=" $word" ;;
        esac
    done
    printf '%s\n' "$line"
}

# next_line FD: the next line of a running program into LINE.
next_line() { IFS= read -r -t "$PATIENCE" -u "$1" LINE || die "$2 is silent"; }

# ended PID NAME: it must end by itself, with status 0.
ended() {
    local rc=0
    wait "$1" || rc=$?
    [ $rc = 0 ] || die "$2 ended with status $rc"
}

# expect WHAT IS SHALL
expect() { [ "$2" = "$3" ] || die "$1 is '$2' instead of '$3'"; }

mkfifo "$state/relay.err" "$state/one.out" "$state/two.out" "$state/two.in"

say "A relay. Its first start makes a key, a certificate and a password in the state directory."
show relay --listen tcp:127.0.0.1:0 --state-dir STATE
"$NETKIT" relay --listen tcp:127.0.0.1:0 --state-dir "$state" 2>"$state/relay.err" &
relay=$!
pids+=("$relay")
exec 3<"$state/relay.err"
address=
while [ -z "$address" ]; do
    next_line 3 "the relay"
    printf '%s\n' "${LINE//$state/STATE}"
    [[ $LINE =~ listening\ on\ (tcp:[0-9.]+:[0-9]+) ]] && address=${BASH_REMATCH[1]}
done
# what it says from now on is shown, too
sed -u "s|$state|STATE|g" <&3 &
echo=$!
pids+=("$echo")
exec 3<&-
common=(--connect "$address" --state-dir "$state" --timeout "$PATIENCE")

say "Consumer 1, netkit: joins the group 'consumers' and asks for one produced object."
show endpoint receive --group consumers --notify 1 -n 2 --format text
"$NETKIT" endpoint receive --group consumers --notify 1 -n 2 --format text "${common[@]}" \
    >"$state/one.out" &
one=$!
pids+=("$one")
exec 4<"$state/one.out"

if [ -x "$PYTHON" ] && "$PYTHON" -c 'import ssl, asyncio' 2>/dev/null; then
    say "Consumer 2, a Python endpoint that speaks tlspyo's protocol with the standard library alone."
    printf '$ %s tests/peers/tlspyo_peer.py endpoint --group consumers\n' "$PYTHON"
    peer=yes
    "$PYTHON" -B tests/peers/tlspyo_peer.py endpoint --connect "${address#tcp:}" --group consumers \
        --ca "$state/credentials/certificate.pem" --password-file "$state/credentials/password" \
        --timeout "$PATIENCE" <"$state/two.in" >"$state/two.out" &
else
    say "Consumer 2, netkit (there is no $PYTHON): joins the group and asks for nothing."
    show endpoint receive --group consumers --format text
    peer=no
    "$NETKIT" endpoint receive --group consumers --format text "${common[@]}" \
        <"$state/two.in" >"$state/two.out" &
fi
two=$!
pids+=("$two")
exec 6>"$state/two.in" 5<"$state/two.out"
if [ $peer = yes ]; then
    next_line 5 "consumer 2"
    expect "consumer 2's first line" "$LINE" '{"event": "joined", "groups": ["consumers"]}'
fi

say "The producer: one object for everybody, one for whoever asked."
show endpoint broadcast --to consumers --text "$BROADCAST"
"$NETKIT" endpoint broadcast --to consumers --text "$BROADCAST" "${common[@]}"
show endpoint produce --to consumers --text "$PRODUCED"
"$NETKIT" endpoint produce --to consumers --text "$PRODUCED" "${common[@]}"

next_line 4 "consumer 1"
expect "consumer 1's first object" "$LINE" "$BROADCAST"
next_line 4 "consumer 1"
expect "consumer 1's second object" "$LINE" "$PRODUCED"
ended "$one" "consumer 1"
! IFS= read -r -u 4 LINE || die "consumer 1 has more: $LINE"
say "Consumer 1 has received: ['$BROADCAST', '$PRODUCED']"

if [ $peer = yes ]; then
    printf 'receive 1\nnothing\n' >&6
    next_line 5 "consumer 2"
    expect "consumer 2's object" "$LINE" \
        "{\"event\": \"object\", \"type\": \"str\", \"value\": \"$BROADCAST\"}"
    next_line 5 "consumer 2"
    expect "consumer 2's queue after that" "$LINE" '{"event": "nothing", "ok": true}'
    exec 6>&-
    next_line 5 "consumer 2"
    expect "consumer 2's end" "$LINE" '{"event": "stopped", "flushed": true}'
else
    next_line 5 "consumer 2"
    expect "consumer 2's object" "$LINE" "$BROADCAST"
    kill -TERM "$two"
fi
ended "$two" "consumer 2"
! IFS= read -r -u 5 LINE || die "consumer 2 has more: $LINE"
say "Consumer 2 has received: ['$BROADCAST']"

say "SIGTERM: the relay stops in order."
kill -TERM "$relay"
ended "$relay" "the relay"
ended "$echo" "its output"
say "Done: everything arrived where it should, and everybody stopped in order."
