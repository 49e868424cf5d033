#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The SSH client against OpenSSH's and dropbear's, in the same run and on the same sshd: CPU of the client for a
# gigabyte that a remote `cat` gives, and milliseconds to the first byte of a program behind a delay.
set -euo pipefail
cd "$(dirname "$0")/../.."
. tests/bench/lib.sh
netkit=$(realpath "${NETKIT:-./netkit}")
python=$(bench_python)
./build.sh packages openssh-server openssh-client dropbear-bin python3

# Lines "cpu CIPHER netkit ssh dbclient" in seconds per 10^9 bytes (0: the client lacks the cipher) and
# "delay netkit ssh dbclient" in milliseconds, all medians.
"$python" -B tests/bench/ssh_clients.py "$netkit" >build/bench-ssh.txt

bench_begin ssh "client CPU for 10^9 bytes from a remote cat, exec to end; first byte of a program behind 50 ms;
  $(ssh -V 2>&1 | cut -d, -f1), dbclient $(dbclient -V 2>&1 | grep -o '[0-9][0-9.]*' | head -n 1); $(nproc) processors"
while read -r what name ours openssh dropbear; do
    case $what in
    cpu)
        target=0.85 share=1
        [ "$name" != chacha20-poly1305 ] || target=1.0 share=0.8
        peers="openssh=$openssh"
        [ "$dropbear" = 0.00 ] || peers+=" dropbear=$dropbear"
        bench_row "download $name" "CPU" s/GB "$ours" "$peers" "at most $target" \
            "$(at_most "$ours" "$target")"
        bench_row "download $name" "CPU / OpenSSH's" "" "$(ratio "$ours" "$openssh")" "" "at most $share" \
            "$(at_most "$(ratio "$ours" "$openssh")" "$share")"
        ;;
    delay)
        bench_row "login and exec, 50 ms" "first byte" ms "$ours" "openssh=$openssh dropbear=$dropbear" "at most 340" \
            "$(at_most "$ours" 340)"
        ;;
    rss)
        bench_row "idle session" "RSS" MB "$ours" "openssh=$openssh dropbear=$dropbear" "at most 3" "$(at_most "$ours" 3)"
        ;;
    esac
done <build/bench-ssh.txt
rm -f build/bench-ssh.txt
bench_end
