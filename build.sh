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
  replay               run the committed fuzz corpora under the sanitizers
  bench [AREA..]       measure; results in build/bench/AREA.json
  run [ARGUMENT..]     build and start 'netkit run' with ./netkit.ini, state under build/state
  demo                 build and show the main job from start to end
  cov                  unit tests with coverage, summary by file
  repro                build in two different places and compare
  format               rewrite our sources as clang-format wants them
  program MODE SOURCE OUTPUT [FLAG..]
                       compile one C file against the libraries of a mode (for benchmarks and peers)
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

JOBS=$(nproc)

run_ninja() { ninja -j "$JOBS" --quiet -f "$@" | { grep -v "no work to do" || true; }; }

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
    if [ $# -gt 0 ]; then
        "build/$mode/unit" "$@"
    else
        unit_parts "build/$mode"
    fi
}

# All unit tests of DIRECTORY/unit, a part for each processor. (Not as jobs of this shell, whose
# children would ignore SIGINT.)
unit_parts() {
    local rc=0
    rm -f "$1"/unit.*.log
    # shellcheck disable=SC2016
    seq "$JOBS" | xargs -P "$JOBS" -I PART \
        sh -c '"$1/unit" --part "$2" >"$1/unit.$3.log" 2>&1' unit "$1" "PART/$JOBS" PART || rc=1
    cat "$1"/unit.*.log
    return $rc
}

# Compiles one C file and links it with the program's libraries; with MODE stock, mbedTLS is as
# upstream ships it and nothing of ours is linked.
verb_program() {
    [ $# -ge 3 ] || die "usage: ./build.sh program MODE SOURCE OUTPUT [FLAG..]"
    local mode=$1 source=$2 out=$3
    shift 3
    prepare "$mode"
    local objects=() libs
    IFS=' ' read -ra libs <<<"$(lib_archives)"
    if [ "$mode" != stock ]; then
        mapfile -t objects < <(info_objects)
        libs+=("build/$mode/libnetkit.a")
        run_ninja "build/$mode/build.ninja" "build/$mode/libnetkit.a" "${objects[@]}"
    fi
    mkdir -p "$(dirname "$out")"
    # shellcheck disable=SC2086
    "$CC" $CFLAGS $WARN ${INCLUDES[all]} "$@" $LINK -o "$out" "$source" "${objects[@]}" \
        -Wl,--start-group "${libs[@]}" -Wl,--end-group $LIBS
}

verb_fuzz() {
    local target seconds=${2:-60} name goal=fuzzers
    [ -z "${1:-}" ] || goal=build/fuzz/fuzz/$1
    prepare fuzz unit
    run_ninja build/fuzz/build.ninja "$goal"
    for target in build/fuzz/fuzz/*; do
        name=${target##*/}
        [ -x "$target" ] && [ "${name%.*}" = "$name" ] || continue
        [ -z "${1:-}" ] || [ "$1" = "$name" ] || continue
        mkdir -p "build/fuzz-corpus/$name" "tests/fuzz/corpus/$name"
        say "fuzzing $name for $seconds s"
        "$target" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 \
            -artifact_prefix="build/fuzz-corpus/$name." "build/fuzz-corpus/$name" "tests/fuzz/corpus/$name"
    done
}

# Replays the committed corpora under the sanitizers, with a fixed set of mutations of each file.
verb_replay() {
    local targets=()
    prepare asan unit
    run_ninja build/asan/build.ninja fuzzers
    targets=(build/asan/fuzz/*)
    # shellcheck disable=SC2016
    printf '%s\n' "${targets[@]##*/}" |
        xargs -P "$JOBS" -I NAME sh -c 'exec "build/asan/fuzz/$1" "tests/fuzz/corpus/$1"' replay NAME
    say "${#targets[@]} fuzz targets replayed"
}

verb_bench() {
    local area areas=("$@")
    verb_release
    [ $# -gt 0 ] || for area in tests/bench/*.sh; do
        area=${area##*/}
        case $area in lib.sh | *_*) ;; *) areas+=("${area%.sh}") ;; esac # a_b.sh: a part of a.sh
    done
    mkdir -p build/bench
    for area in "${areas[@]}"; do
        [ -f "tests/bench/$area.sh" ] || die "no benchmark '$area'; tests/bench/ has them"
        say "bench $area"
        NETKIT=./netkit bash "tests/bench/$area.sh"
    done
}

verb_run() {
    verb_release
    mkdir -p build/state
    exec ./netkit run -c ./netkit.ini --state-dir build/state "$@"
}

verb_demo() {
    verb_release
    [ -f tests/demo.sh ] || die "tests/demo.sh is not there"
    NETKIT=./netkit exec bash tests/demo.sh "$@"
}

verb_cov() {
    rm -f build/cov/obj/**/*.gcda
    find build/cov -name '*.gcda' -delete 2>/dev/null || true
    verb_unit cov "$@" >build/cov.log 2>&1 || { tail -n 40 build/cov.log && die "unit tests fail"; }
    bash tests/coverage.sh
}

# For the scripts in tests/: Debian packages by name, the compilation database, the include flags of files.
verb_packages() {
    local p items=()
    for p in "$@"; do items+=("pkg:$p=$p"); done
    need_packages "${items[@]}"
}

verb_compdb() {
    prepare asan unit
    ninja -f build/asan/build.ninja -t compdb cc
}

verb_includes() {
    local f
    prepare release
    for f in "$@"; do
        file_class "$f"
        printf '%s %s\n' "$f" "${INCLUDES[$CLASS]}"
    done
}

verb_format() {
    need_packages clang-format=clang-format
    clang-format -i main.c modules/*/*.[ch] vendor/*/*.[ch] vendor/mbedtls/*/*.h tests/*.[ch] tests/*/*.[ch]
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
    debug | asan) build_program "$verb" ;;
    lint | test | repro) exec bash "tests/$verb.sh" "$@" ;;
    release | unit | fuzz | replay | bench | run | demo | cov | fetch | format | program | clean | \
        packages | compdb | includes)
        "verb_$verb" "$@"
        ;;
    *)
        say "unknown verb '$verb'; './build.sh help' lists them"
        exit 2
        ;;
    esac
}

main "$@"
