#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# TLS 1.3 records in memory: netkit's over libsodium, mbedTLS as upstream ships it, OpenSSL. Each has
# the two copies of a transport, into the pipe and out of it.
set -euo pipefail
cd "$(dirname "$0")/../.."
. tests/bench/lib.sh
out=build/bench/tls-record
mkdir -p "$out"

./build.sh program release tests/bench/tls_record_mbedtls.c "$out/netkit" -Wno-missing-prototypes
./build.sh program stock tests/bench/tls_record_mbedtls.c "$out/stock" -Wno-missing-prototypes
peers="netkit stock"
if ./build.sh packages libssl-dev && gcc -O2 -o "$out/openssl" tests/bench/tls_record_openssl.c -lssl -lcrypto; then
    peers+=" openssl"
fi
# interleaved, so that a change of the machine's load meets all of them
for run in 1 2 3; do
    for p in $peers; do "$out/$p" >"$out/$p.$run"; done
done

rate() { # rate PROGRAM SUITE SIZE: the median of the three runs
    # shellcheck disable=SC2046
    median $(awk -v s="$2" -v n="$3" '$1 == s && $2 == n {print $3}' "$out/$1".[123])
}

bench_begin tls-record "client and server on one core, encrypt + decrypt, MB/s of CPU time, median of 3 runs;
  $(./netkit --version | grep -E '^ *(mbedtls|libsodium)' | tr -s ' ' | tr '\n' ' '); $(openssl version); $(gcc --version | head -n 1), release: -O2 (libsodium -O3); stock: all -O2"
for suite in aes256gcm chacha20poly1305; do
    for size in 64 512 4096 16383; do
        ours=$(rate netkit $suite $size)
        stock=$(rate stock $suite $size)
        others="stock=$stock"
        vs=""
        if [ -x "$out/openssl" ]; then
            openssl=$(rate openssl $suite $size)
            others+=" openssl=$openssl"
            vs=", $(ratio "$ours" "$openssl") x openssl"
        fi
        x=$(ratio "$ours" "$stock")
        target="none" met=-
        if [ $suite = aes256gcm ] && [ -x "$out/openssl" ]; then
            target=">= 1 x openssl" met=$(at_least "$(ratio "$ours" "$openssl")" 1)
        fi
        bench_row "$suite $size" throughput MB/s "$ours" "$others" "$target: $x x stock$vs" "$met"
    done
done
bench_end
