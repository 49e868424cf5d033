#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Everything: test.sh [--ci|--full] [STEP..]. --ci fails where a peer is missing instead of skipping;
# --full adds the long checks. Steps are the functions test_NAME.
set -euo pipefail
cd "$(dirname "$0")/.."
export LC_ALL=C
shopt -s nullglob

. tests/lib.sh

# Debian packages of the peers and tools that the tests use; probes are files or commands.
PACKAGES="clang clang-format clang-tidy cppcheck shellcheck libclang-rt-dev binutils git openssl
    iproute2 procps python3 python3-pytest python3-pytest-xdist python3-twisted python3-openssl
    python3-service-identity python3-cryptography strace tor curl openssh-client openssh-server
    dropbear-bin putty-tools tinysshd ucspi-tcp python3-asyncssh
    python3-rpyc python3-plumbum stunnel4"
PYTHON=${PYTHON:-/usr/bin/python3}

install_peers() {
    # shellcheck disable=SC2086
    ./build.sh packages $PACKAGES || {
        [ "${NK_REQUIRE_PEERS:-0}" != 1 ] || return 1
        echo "  (tests whose peers are missing will be skipped)"
    }
}

test_lint() { bash tests/lint.sh; }
test_unit_asan() { ./build.sh unit asan; }
test_unit_release() { ./build.sh unit release; }
test_fuzz_replay() { ./build.sh replay; }
test_release() { ./build.sh release && bash tests/release_check.sh ./netkit; }
test_repro() { ./build.sh repro; }
test_noop() {
    local start end
    ./build.sh release
    start=$(date +%s%N)
    ./build.sh release
    end=$(date +%s%N)
    echo "an incremental build with nothing to do took $(((end - start) / 1000000)) ms"
}
test_meta() {
    local f rc=0
    for f in tests/meta/*.sh; do NETKIT=./netkit bash "$f" || rc=1; done
    return $rc
}
test_golden() { bash tests/golden/run.sh ./netkit; }
test_demo() { ./build.sh demo; }
# The tests mostly wait: several at a time where pytest-xdist is there (see conftest.py for who shares what).
test_e2e() {
    local parallel=()
    ! "$PYTHON" -c 'import xdist' 2>/dev/null || parallel=(-n 4 --dist loadgroup)
    NETKIT=$PWD/netkit "$PYTHON" -B -m pytest -q -p no:cacheprovider -rs "${parallel[@]}" tests/e2e
}
# What a hostile server or agent says must not make the program do what a sanitizer sees.
test_hostile_asan() {
    ./build.sh asan
    NETKIT=$PWD/build/asan/netkit "$PYTHON" -B -m pytest -q -p no:cacheprovider -rs tests/e2e/test_ssh_hostile*.py
}
# The long checks, each with its time; 'test full_NAME' runs one of them.
test_full_fuzz() { bash tests/full/fuzz.sh; }
test_full_tidy() { timeout 1200 bash tests/lint.sh tidy_deep; }
test_full_torture() { bash tests/full/torture.sh; }
test_full_soak() { NETKIT=$PWD/netkit bash tests/full/soak.sh; }
test_full_stock() { bash tests/full/stock.sh; }

main() {
    local tier=user s steps=()
    while [ $# -gt 0 ]; do
        case $1 in
        --ci) tier=ci && export NK_REQUIRE_PEERS=1 ;;
        --full) tier=full ;;
        --*) echo "usage: ./build.sh test [--ci|--full] [STEP..]" >&2 && exit 2 ;;
        *) steps+=("$1") ;;
        esac
        shift
    done
    if [ ${#steps[@]} = 0 ]; then
        step "tools and peers" install_peers
        steps=(release lint unit_asan unit_release fuzz_replay noop repro)
        [ ! -d tests/meta ] || steps+=(meta)
        [ ! -f tests/golden/run.sh ] || steps+=(golden)
        [ ! -f tests/demo.sh ] || steps+=(demo)
        [ ! -d tests/e2e ] || steps+=(e2e hostile_asan)
        [ "$tier" != full ] || steps+=(full_tidy full_torture full_soak full_stock full_fuzz)
    fi
    for s in "${steps[@]}"; do
        if [[ $s = @(e2e|hostile_asan) ]] && ! "$PYTHON" -c 'import pytest' 2>/dev/null; then
            skip "$s" "$PYTHON has no pytest"
        else
            step "$s" "test_$s"
        fi
    done
    echo "total $SECONDS s"
    summary
}

main "$@"
