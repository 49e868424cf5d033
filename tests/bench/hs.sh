#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Vanity search: keys per second of processor time on one thread, of each inner loop, against the keys
# that libsodium makes in the same run; mkp224o too where it is installed. And all processors at once.
set -euo pipefail
cd "$(dirname "$0")/../.."
. tests/bench/lib.sh
netkit=${NETKIT:-./netkit}
out=build/bench/hs
word=netkitnetkit # is not found
seconds=4
mkdir -p "$out"

./build.sh program release tests/bench/hs_keygen.c "$out/keygen"

# search KERNEL THREADS: "keys/s of processor time, keys/s of real time"
search() {
    local TIMEFORMAT=%U user line
    user=$({ time "$netkit" hs vanity $word --kernel "$1" -t "$2" --timeout $seconds --dry-run --json \
        >"$out/sum" 2>/dev/null || true; } 2>&1)
    line=$(tail -n 1 "$out/sum")
    printf '%s' "$line" | sed 's/.*"tried":\([0-9]*\),"seconds":\([0-9.]*\).*/\1 \2/' |
        awk -v user="$user" '{ printf "%.0f %.0f\n", $1 / user, $1 / $2 }'
}

kernels=portable
"$netkit" hs vanity $word --kernel avx512-ifma --timeout 100ms --dry-run >/dev/null 2>&1 || [ $? != 75 ] || kernels+=" avx512-ifma"

# mkp224o SECONDS: its keys per second with one thread, from the statistics that it prints
mkp() {
    (timeout $((seconds + 2)) mkp224o -t 1 -S 1 -B $word 2>&1 >/dev/null || true) |
        sed -n 's/.*calc\/sec:\([0-9.]*\).*/\1/p' | tail -n 1
}

declare -A cpu=() all=()
keygen=() mkp224o=()
for run in 1 2 3; do # interleaved, so that a change of the machine's load meets all of them
    keygen+=("$("$out/keygen" 2 2>/dev/null)")
    for k in $kernels; do
        read -r c _ < <(search "$k" 1)
        read -r _ a < <(search "$k" 0)
        cpu[$k]+=" $c" all[$k]+=" $a"
    done
    ! command -v mkp224o >/dev/null || mkp224o+=("$(mkp)")
done

bench_begin hs "one thread, keys per second of processor time, median of 3 runs of $seconds s;
  $("$netkit" --version | grep -E '^ *libsodium' | tr -s ' '); $(nproc) processors; $(gcc --version | head -n 1)"
sodium=$(median "${keygen[@]}")
for k in $kernels; do
    # shellcheck disable=SC2086
    ours=$(median ${cpu[$k]}) whole=$(median ${all[$k]})
    x=$(ratio "$ours" "$sodium")
    peers="libsodium=$sodium"
    [ ${#mkp224o[@]} = 0 ] || peers+=" mkp224o=$(median "${mkp224o[@]}")"
    bench_row "vanity, $k" "one thread" keys/s "$ours" "$peers" ">= 9000000" "$(at_least "$ours" 9000000)"
    bench_row "vanity, $k" "times libsodium" x "$x" "" ">= 130" "$(at_least "$x" 130)"
    bench_row "vanity, $k" "all processors" keys/s "$whole" "" none -
done
bench_end
