# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# A part of tunnel.sh: connections through `netkit ssh -L` against OpenSSH's, on the same sshd and to the same server.
# shellcheck disable=SC2154 # netkit and work are tunnel.sh's
./build.sh packages openssh-server openssh-client python3
gcc -O2 -D_GNU_SOURCE -o "$work/ssh-load" tests/bench/tunnel_ssh_load.c -lpthread
"$(bench_python)" -B tests/bench/tunnel_ssh.py "$netkit" "$work/ssh-load" >"$work/ssh.txt"

while read -r what ours theirs; do
    peers=""
    [ "$theirs" = - ] || peers="openssh=$theirs"
    case $what in
    down-far) bench_row "ssh, RTT 50 ms" "download" MB/s "$ours" "$peers" "at least 200" "$(at_least "$ours" 200)" ;;
    cold) bench_row "ssh, RTT 50 ms" "start to first byte" ms "$ours" "$peers" "at most 340" "$(at_most "$ours" 340)" ;;
    down-cpu | up-cpu)
        bench_row "ssh, ${what%-cpu}" "CPU" s/GB "$ours" "$peers" "at most OpenSSH's" "$(at_most "$ours" "$theirs")"
        ;;
    ping) bench_row "ssh, 64 bytes" "round trip" us "$ours" "$peers" "at most OpenSSH's" "$(at_most "$ours" "$theirs")" ;;
    ping-cpu) bench_row "ssh, 64 bytes" "CPU" us "$ours" "$peers" "at most 15" "$(at_most "$ours" 15)" ;;
    connect) bench_row "ssh, new connection" "first byte" us "$ours" "$peers" "at most OpenSSH's" "$(at_most "$ours" "$theirs")" ;;
    many-seconds)
        bench_row "ssh, 1000 connections" "all open" s "$ours" "$peers" "at most OpenSSH's" "$(at_most "$ours" "$theirs")"
        ;;
    many-kb) bench_row "ssh, 1000 connections" "RSS of each" KB "$ours" "$peers" "at most 8" "$(at_most "$ours" 8)" ;;
    reconnect) bench_row "ssh, server is back" "first byte" ms "$ours" "$peers" "at most 1000" "$(at_most "$ours" 1000)" ;;
    esac
done <"$work/ssh.txt"
