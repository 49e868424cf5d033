# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# Compilers, flags of each mode, and the Debian packages that they come from. Sourced by build.sh.

# need_packages PROBE=PACKAGE...: a probe is a command name, an absolute path or a pkg:NAME that dpkg
# must know. Installs what is missing when we are root, else names the one command that would.
need_packages() {
    local item probe missing=()
    for item in "$@"; do
        probe=${item%%=*}
        case $probe in
        /*) [ -e "$probe" ] && continue ;;
        pkg:*) dpkg -s "${probe#pkg:}" >/dev/null 2>&1 && continue ;;
        *) command -v "$probe" >/dev/null && continue ;;
        esac
        missing+=("${item#*=}")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
        say "missing: ${missing[*]}. As root run:"
        say "  apt-get install -y --no-install-recommends ${missing[*]}"
        return 1
    fi
    install_packages "${missing[@]}"
}

install_packages() {
    say "installing $*"
    local log=build/apt-install.log apt=(env DEBIAN_FRONTEND=noninteractive apt-get -qq)
    mkdir -p build
    # the machine's package lists may be missing or stale: refresh them only when that is the case
    "${apt[@]}" install -y --no-install-recommends "$@" >"$log" 2>&1 && return
    "${apt[@]}" update >>"$log" 2>&1 &&
        "${apt[@]}" install -y --no-install-recommends "$@" >>"$log" 2>&1 && return
    tail -n 20 "$log" >&2
    die "apt-get could not install: $*"
}

machine_arch() {
    case $(uname -m) in
    x86_64) echo x86_64 ;;
    aarch64 | arm64) echo aarch64 ;;
    *) die "unsupported processor $(uname -m): x86_64 and aarch64 are" ;;
    esac
}

# need_toolchain MODE: the packages for compiling in that mode.
need_toolchain() {
    local arch
    arch=$(machine_arch)
    need_packages ninja=ninja-build bzip2=bzip2 xz=xz-utils gcc=gcc /usr/include/stdio.h=libc6-dev
    case $1 in
    release | stock) need_packages "/usr/lib/$arch-linux-musl/rcrt1.o=musl-dev" ;;
    asan | fuzz)
        need_packages clang=clang
        need_packages "$(clang -print-resource-dir)/lib/linux/libclang_rt.asan-$arch.a=libclang-rt-dev"
        ;;
    esac
}

# Header and start-file paths for musl under Debian's own gcc: its musl-gcc wrapper cannot link
# static-pie, so the paths are spelled out. Kernel headers come through three links, last.
musl_paths() {
    local arch=$1
    MUSL_LIB=/usr/lib/$arch-linux-musl
    mkdir -p build/kernel-headers
    link_to /usr/include/linux build/kernel-headers/linux
    link_to /usr/include/asm-generic build/kernel-headers/asm-generic
    link_to "/usr/include/$arch-linux-gnu/asm" build/kernel-headers/asm
    MUSL_CFLAGS="-nostdinc -isystem /usr/include/$arch-linux-musl"
    MUSL_CFLAGS+=" -isystem $(gcc -print-file-name=include) -isystem build/kernel-headers"
}

# set_mode MODE: CC, CFLAGS (all code), DEP_CFLAGS, OWN_CFLAGS, LINK (before the objects), LIBS (after).
#   release  gcc, musl, static-pie, optimised      debug  gcc, glibc, dynamic, quick to build
#   asan     clang, glibc, Address+UB sanitizers   fuzz   the same with libFuzzer
#   cov      debug with coverage counters          stock  release with mbedTLS as upstream ships it
set_mode() {
    MODE=$1
    local arch san="-fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer"
    arch=$(machine_arch)
    WARN="-Wall -Wextra -Wconversion -Wshadow -Wformat=2 -Wpointer-arith -Wwrite-strings"
    WARN+=" -Wstrict-prototypes -Wvla"
    [ -n "${NK_NO_WERROR:-}" ] || WARN+=" -Werror"
    CC=gcc AR=ar DEP_MODE=$1 OWN_CFLAGS="" LIBS="-lpthread" LINK=""
    CFLAGS="-std=gnu11 -g -D_GNU_SOURCE -fno-strict-aliasing -ffunction-sections -fdata-sections"
    CFLAGS+=" -fvisibility=hidden"
    [ "$arch" != x86_64 ] || CFLAGS+=" -fcf-protection=none"
    case $1 in
    release | stock) mode_musl "$arch" ;;
    debug)
        CFLAGS+=" -Og -fPIE -D_FORTIFY_SOURCE=2 -fstack-protector-strong"
        LINK="-pie -Wl,--gc-sections"
        ;;
    asan)
        CC=clang CFLAGS+=" -O1 -fPIE $san" LINK="-pie $san"
        ;;
    fuzz)
        CC=clang DEP_MODE=asan CFLAGS+=" -O1 -fPIE $san" LINK="-pie $san"
        OWN_CFLAGS="-fsanitize=fuzzer-no-link"
        ;;
    cov)
        DEP_MODE=debug CFLAGS+=" -Og -fPIE" OWN_CFLAGS="--coverage -fprofile-update=atomic"
        LINK="-pie --coverage"
        ;;
    *) die "no mode '$1'" ;;
    esac
}

mode_musl() {
    musl_paths "$1"
    # nothing unwinds the stack at run time: the tables for it go to the debug file only
    CFLAGS+=" -O2 -fPIE -fno-asynchronous-unwind-tables -fno-unwind-tables"
    # loops inside of functions are aligned all the same
    CFLAGS+=" -falign-functions=1"
    # headers of libraries keep the paths that they are asked for, whichever directory this is
    CFLAGS+=" -fno-canonical-system-headers"
    CFLAGS+=" -fstack-protector-strong -fstack-clash-protection $MUSL_CFLAGS"
    LINK="-nostdlib -nostartfiles -static-pie -Wl,--no-dynamic-linker -Wl,--gc-sections"
    LINK+=" -Wl,-z,relro,-z,now,-z,noexecstack,-z,separate-code -Wl,--build-id=none"
    # a pointer in a table costs a bit instead of 24 bytes; modules/base/start.c unpacks them
    [ "$1" != x86_64 ] || LINK+=" -Wl,-z,pack-relative-relocs -Wl,-u,nk_start -Wl,-e,nk_start"
    LINK+=" $MUSL_LIB/rcrt1.o $MUSL_LIB/crti.o $(gcc -print-file-name=crtbeginS.o) -L$MUSL_LIB"
    LIBS="-Wl,--start-group -lc -lgcc -lgcc_eh -Wl,--end-group"
    LIBS+=" $(gcc -print-file-name=crtendS.o) $MUSL_LIB/crtn.o"
}
