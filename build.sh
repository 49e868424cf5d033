#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The only build entry. See './build.sh help'.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
export LC_ALL=C
shopt -s nullglob extglob

NETKIT_VERSION=0.1.0

say() { printf 'build: %s\n' "$*" >&2; }
die() {
    say "$*"
    exit 1
}

. vendor/fetch.sh
. vendor/toolchain.sh
. vendor/libs.sh
. vendor/generate.sh

usage() {
    cat <<'END'
usage: ./build.sh [--locked] [VERB [ARGUMENT..]]

  release              build ./netkit (and ./netkit.debug): the default
  debug                build build/debug/netkit: glibc, quick, for development
  asan                 build build/asan/netkit with AddressSanitizer and UBSan
  unit [MODE] [NAME..] build and run the unit tests (MODE debug|asan|release|cov; NAME: a prefix such as base/)
  test [--ci|--full]   everything that CI runs; --full adds the long checks
  lint                 format, clang-tidy, cppcheck and the project's own rules
  fuzz [TARGET [SECS]] run one fuzz target or all of them (default 60 s each)
  bench [AREA..]       measure; results in build/bench/AREA.json
  run [ARGUMENT..]     build and start 'netkit run' with ./netkit.ini, state under build/state
  demo                 build and show the main job from start to end
  cov                  unit tests with coverage, summary by file
  repro                build twice in different places and compare
  fetch                get and verify the pinned third-party sources, nothing else
  clean                remove what was built (archives and third-party objects stay)
  help                 this text

NK_CACHE      directories (a:b) to look in for third-party archives
NK_DEPCACHE   directory that keeps compiled third-party libraries for several work trees
NK_MIRROR     Debian archive to read source packages from instead of the one apt knows
NK_NO_WERROR  set: compiler warnings do not stop the build
--locked      accept only the pinned archives, never a newer signed one (also NK_LOCKED=1)
END
}

run_ninja() { ninja --quiet -f "$@" | { grep -v "no work to do" || true; }; }

# prepare MODE [unit]: everything up to the ninja file.
prepare() {
    local libs=$LIBS_PRODUCT name
    need_toolchain "$1"
    [ "${2:-}" != unit ] || libs+=" cmocka"
    mkdir -p build
    for name in $libs; do need_src "$name"; done
    fetch_done
    set_mode "$1"
    # shellcheck disable=SC2086
    MODE=$DEP_MODE need_libs $libs
    generate_all
}

build_program() {
    prepare "$1"
    run_ninja "build/$1/build.ninja" program
}

verb_release() {
    build_program release
    cmp -s build/release/netkit netkit || { cp build/release/netkit netkit.tmp && mv netkit.tmp netkit; }
    cmp -s build/release/netkit.debug netkit.debug || cp build/release/netkit.debug netkit.debug
}

verb_unit() {
    local mode=debug
    case ${1:-} in debug | asan | release | cov) mode=$1 && shift ;; esac
    prepare "$mode" unit
    run_ninja "build/$mode/build.ninja" "build/$mode/unit"
    "build/$mode/unit" "$@"
}

verb_fetch() {
    local name version file sum
    for name in $LIBS_PRODUCT cmocka; do
        fetch_one "$name"
        read -r version file sum <<<"$FETCHED"
        say "$name $version: $DIST/$file sha256 $sum"
    done
    fetch_done
}

verb_clean() {
    local f
    for f in build/* netkit netkit.debug; do
        case $f in build/dist | build/dep-* | build/src | build/state) ;; *) rm -rf "$f" ;; esac
    done
}

main() {
    if [ "${1:-}" = --locked ]; then
        export NK_LOCKED=1
        shift
    fi
    local verb=${1:-release}
    [ $# = 0 ] || shift
    case $verb in
    help | -h | --help) usage ;;
    release) verb_release ;;
    debug | asan) build_program "$verb" ;;
    unit | fetch | clean) "verb_$verb" "$@" ;;
    *)
        say "unknown verb '$verb'; './build.sh help' lists them"
        exit 2
        ;;
    esac
}

main "$@"
