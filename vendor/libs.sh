# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# Compiles the unpacked third-party sources to static libraries, without their own build systems: a
# list of files and macros per library is enough. Sourced by build.sh.
#
# A library lives in build/dep-<name>-<hash>, where the hash covers its archive, our configuration
# of it, the compiler and the flags; it never changes once made. NK_DEPCACHE may name a directory
# that keeps them for several work trees.

LIBS_PRODUCT="mbedtls ring libsodium libuv inih yyjson qrcodegen zlib"

# lib_flags NAME: the preprocessor flags that compile the library itself.
lib_flags() {
    local src=SRC_$1
    src=${!src}
    case $1 in
    mbedtls) echo "$(mbedtls_config_flags) -I$src/include -I$src/library" ;;
    ring) echo "-I$src/include -I$src/pregenerated" ;;
    libsodium)
        echo "-I$src/src/libsodium/include -I$src/src/libsodium/include/sodium -Ibuild/gen/sodium/sodium" \
            "-Ibuild/gen/sodium $(sodium_macros) -Wno-attributes"
        ;;
    libuv) echo "-I$src/include -I$src/src -D_FILE_OFFSET_BITS=64 -D_LARGEFILE_SOURCE" ;;
    inih) echo "-I$src $(inih_macros)" ;;
    yyjson) echo "-I$src/src $(yyjson_macros)" ;;
    qrcodegen) echo "-I$src/c -DNDEBUG" ;;
    # the codes of RFC 1951 section 3.2.6 are computed where they are needed, not kept
    zlib) echo "-I$src -DBUILDFIXED" ;;
    cmocka)
        echo "-I$src/include -DHAVE_INTTYPES_H -DHAVE_MALLOC_H -DHAVE_SIGNAL_H -DHAVE_STRINGS_H" \
            "-DHAVE_CLOCK_REALTIME -DHAVE_SIGLONGJMP -DHAVE_STRSIGNAL -DHAVE_STRUCT_TIMESPEC" \
            "-DHAVE_GCC_THREAD_LOCAL_STORAGE -DHAVE_UINTPTR_T"
        ;;
    esac
}

# Our vendor/mbedtls/mbedtls/mbedtls_config.h is found before upstream's file of that name.
mbedtls_config_flags() {
    printf '%s' '-Ivendor/mbedtls'
    [ "$MODE" != stock ] || printf ' -DNK_STOCK'
}

# inih: no continuation lines (they lose keys silently), no inline comments (they cut passwords), long
# lines, line numbers and empty sections reported to us.
inih_macros() {
    echo "-DINI_USE_STACK=0 -DINI_ALLOW_REALLOC=1 -DINI_INITIAL_ALLOC=256 -DINI_MAX_LINE=65536" \
        "-DINI_HANDLER_LINENO=1 -DINI_CALL_HANDLER_ON_NEW_SECTION=1 -DINI_ALLOW_MULTILINE=0" \
        "-DINI_ALLOW_INLINE_COMMENTS=0"
}

# yyjson: only its strict reader; base/json.h writes, and base/decimal.h reads floating point numbers.
yyjson_macros() {
    echo "-DYYJSON_DISABLE_WRITER=1 -DYYJSON_DISABLE_UTILS=1 -DYYJSON_DISABLE_NON_STANDARD=1" \
        "-DYYJSON_DISABLE_FAST_FP_CONV=1"
}

# What libsodium's configure would find on Linux with gcc or clang (its build.zig has the same list).
sodium_macros() {
    local m
    for m in CONFIGURED DEV_MODE HAVE_ATOMIC_OPS HAVE_C11_MEMORY_FENCES HAVE_GCC_MEMORY_FENCES \
        HAVE_INLINE_ASM HAVE_INTTYPES_H HAVE_STDINT_H HAVE_TI_MODE NATIVE_LITTLE_ENDIAN \
        HAVE_CATCHABLE_ABRT HAVE_CATCHABLE_SEGV HAVE_CLOCK_GETTIME HAVE_GETPID HAVE_MADVISE \
        HAVE_MLOCK HAVE_MMAP HAVE_MPROTECT HAVE_NANOSLEEP HAVE_POSIX_MEMALIGN HAVE_PTHREAD \
        HAVE_PTHREAD_PRIO_INHERIT HAVE_RAISE HAVE_SYSCONF HAVE_SYS_AUXV_H HAVE_SYS_MMAN_H \
        HAVE_SYS_PARAM_H HAVE_SYS_RANDOM_H HAVE_WEAK_SYMBOLS; do
        printf ' -D%s=1' "$m"
    done
    printf ' -DASM_HIDE_SYMBOL=.hidden -DTLS=_Thread_local'
    if [ "$(machine_arch)" = aarch64 ]; then
        printf ' -DHAVE_ARMCRYPTO=1'
        return
    fi
    for m in HAVE_CET_H HAVE_AMD64_ASM HAVE_AVX_ASM HAVE_CPUID HAVE_MMINTRIN_H HAVE_EMMINTRIN_H \
        HAVE_PMMINTRIN_H HAVE_TMMINTRIN_H HAVE_SMMINTRIN_H HAVE_AVXINTRIN_H HAVE_AVX2INTRIN_H \
        HAVE_AVX512FINTRIN_H HAVE_WMMINTRIN_H HAVE_RDRAND; do
        printf ' -D%s=1' "$m"
    done
}

# libsodium's version.h is made by its configure from numbers in configure.ac.
sodium_version_h() {
    local src=$SRC_libsodium major minor
    major=$(sed -n 's/^SODIUM_LIBRARY_VERSION_MAJOR=//p' "$src/configure.ac")
    minor=$(sed -n 's/^SODIUM_LIBRARY_VERSION_MINOR=//p' "$src/configure.ac")
    mkdir -p build/gen/sodium/sodium
    sed -e "s/@VERSION@/$VERSION_libsodium/" -e "s/@SODIUM_LIBRARY_VERSION_MAJOR@/$major/" \
        -e "s/@SODIUM_LIBRARY_VERSION_MINOR@/$minor/" -e "s/@SODIUM_LIBRARY_MINIMAL_DEF@//" -e 's|"export.h"|"sodium/export.h"|' \
        "$src/src/libsodium/include/sodium/version.h.in" | write_if_changed build/gen/sodium/sodium/version.h
}

# libsodium writes all rounds of Keccak out, 21 KB of code; as a loop over two rounds at a time they are
# a tenth of that and as fast. A source that looks different from what is expected stays as it is.
sodium_keccak_loop() {
    awk '
        match($0, /_PRE\([0-9]+, [AE], [AE]\);/) {
            round = substr($0, RSTART + 5) + 0
            if (!inside) {
                inside = 1
                first = round
                print "    for (unsigned round = " first "; round < 22; round += 2) {"
            }
            if (round == 22) {
                inside = 0
                print "    }"
                print
            } else if (round - first < 2) {
                sub(/[0-9]+,/, "round + " (round - first) ",")
                print
            }
            next
        }
        { print }' "$SRC_libsodium/src/libsodium/crypto_core/keccak1600/ref/keccak1600_ref.c" |
        write_if_changed build/gen/sodium/keccak1600_ref.c
}

# Of ring only P-256 in assembly is used. Upstream has it in one section, which would be linked as a whole, with a
# second implementation for newer processors; here each function gets its own.
ring_sections() {
    local asm=p256-x86_64-asm-elf.S
    [ "$(machine_arch)" = x86_64 ] || asm=p256-armv8-asm-linux64.S
    mkdir -p build/gen/ring
    awk '
        $1 == ".type" {
            name = $2
            sub(/,.*/, "", name)
            print ".section .text." name ",\"ax\",%progbits"
        }
        { print }' "$SRC_ring/pregenerated/$asm" | write_if_changed build/gen/ring/p256.S
}

# lib_sources NAME: the files to compile.
lib_sources() {
    local src=SRC_$1 f
    src=${!src}
    case $1 in
    mbedtls)
        printf '%s\n' "$src"/library/*.c
        ;;
    ring) echo build/gen/ring/p256.S ;;
    libsodium)
        # the other sandy2x files are included by sandy2x.S
        find "$src/src/libsodium" -name '*.c' -o -name '*.S' | LC_ALL=C sort |
            grep -v -e 'sandy2x/\(consts\|fe51_.*\|ladder\)\.S' -e 'keccak1600_ref\.c'
        echo build/gen/sodium/keccak1600_ref.c
        ;;
    libuv)
        for f in fs-poll idna inet random strscpy strtok thread-common threadpool timer uv-common \
            uv-data-getter-setters version unix/{async,core,dl,fs,getaddrinfo,getnameinfo} \
            unix/{loop-watcher,loop,pipe,poll,process,random-devurandom,signal,stream,tcp,thread} \
            unix/{tty,udp,linux,procfs-exepath,random-getrandom,random-sysctl-linux,proctitle}; do
            printf '%s\n' "$src/src/$f.c"
        done
        ;;
    inih) printf '%s\n' "$src/ini.c" ;;
    yyjson) printf '%s\n' "$src/src/yyjson.c" ;;
    qrcodegen) printf '%s\n' "$src/c/qrcodegen.c" ;;
    zlib) for f in infback inffast inftrees zutil; do printf '%s\n' "$src/$f.c"; done ;;
    cmocka) printf '%s\n' "$src/src/cmocka.c" ;;
    esac
}

# file_flags NAME FILE: what one file needs beyond the rest of its library.
file_flags() {
    case $MODE:$1:$2 in
    stock:*) ;;
    *:mbedtls:*/psa_crypto_ecp.c) x25519_renames && printf " " ;;
    *:mbedtls:*/ecp.c) p256_renames && printf " " ;;
    # its start would link AEGIS, which nothing uses: it chooses a Salsa20 three times instead
    *:libsodium:*/sodium/core.c) aegis_unused && printf " " ;;
    # the product of two scalars is their product plus nothing: the same code as for signatures, once
    *:libsodium:*/core_ed25519.c) printf '%s' "-Dsc25519_mul=nk_sc25519_mul " ;;
    # X25519 in portable C; the assembler is a fifth faster and 12 KB more. runtime.c needs the macro to see AVX.
    *:libsodium:*/scalarmult_curve25519.c) printf '%s' "-UHAVE_AVX_ASM " ;;
    *:yyjson:*) printf '%s' "-Dstrtod=nk_strtod " ;;
    # without requests for files libuv's thirty system calls for them are not linked; see core/uv_files.c
    *:libuv:*/unix/linux.c) printf '%s' "-Duv__fs_post=nk_uv_fs_post " ;;
    *:libsodium:*/keccak1600_ref.c) printf '%s' "-I$SRC_libsodium/src/libsodium/crypto_core/keccak1600/ref " ;;
    esac
    case $MODE:$1:$2 in
    # libsodium's AES-GCM is three times faster at -O3, as are its loops over many bytes; what AES-GCM does once
    # per message is not worth three copies
    release:libsodium:*/crypto_aead/aes256gcm/*) echo "-O3 --param=max-inline-insns-single=150" ;;
    release:libsodium:*/@(crypto_stream/chacha20|crypto_onetimeauth|crypto_aead/chacha20poly1305)/*) echo "-O3" ;;
    # one implementation besides the portable one is enough for what makes a key out of a password and seals a backup
    release:libsodium:*/blake2b-ref.c) echo "-Os -UHAVE_TMMINTRIN_H" ;;
    release:libsodium:*/argon2-core.c) echo "-Os -UHAVE_AVX512FINTRIN_H -UHAVE_EMMINTRIN_H" ;;
    release:libsodium:*/@(stream_salsa20|salsa20_ref).c) echo "-Os -UHAVE_AMD64_ASM -UHAVE_AVX2INTRIN_H -UHAVE_EMMINTRIN_H" ;;
    release:libsodium:*/ed25519_ref10.c) echo "-include vendor/sodium/cold.h" ;;
    # handshakes, keys and hashes
    release:libsodium:*/@(crypto_core/ed25519|crypto_scalarmult|crypto_hash|crypto_kem|crypto_verify)/*) ;;
    release:libsodium:*/@(argon2-fill-block|blake2b-compress|keccak1600_)*.c) ;;
    # what is not used, or a few times per connection at most, is better small
    release:libsodium:*) echo "-Os" ;;
    stock:libsodium:*) echo "-O3" ;;
    # handshakes and records; the rest of mbedTLS (certificates, negotiation) is better small
    release:mbedtls:*/@(aes|aesni|aesce|bignum_*|chacha20|constant_time|ecp_curves|gcm|poly1305).c) ;;
    release:mbedtls:*/@(ssl_msg|block_cipher|cipher|md).c) ;;
    # upstream has every function inlined wherever it is called, which triples the reader
    release:yyjson:*) echo "-Os -Dyyjson_inline=inline" ;;
    # what is done for every event
    release:libuv:*/@(timer|uv-common|async|core|linux|loop|loop-watcher|poll|stream|threadpool).c) ;;
    release:mbedtls:* | release:libuv:* | release:qrcodegen:* | release:zlib:*) echo "-Os" ;;
    esac
}

# PSA's entry points for elliptic curves become the fallback of vendor/glue/x25519.c.
x25519_renames() {
    local f
    for f in mbedtls_psa_key_agreement_ecdh mbedtls_psa_ecp_export_public_key mbedtls_psa_ecp_generate_key; do
        printf ' -D%s=nk_soft_%s' "$f" "${f#mbedtls_}"
    done
}

# ... and these two of vendor/glue/ecdsa_glue.c's.
p256_renames() {
    printf ' -Dmbedtls_ecp_%s' mul=nk_soft_ecp_mul gen_keypair=nk_soft_ecp_gen_keypair
}

aegis_unused() {
    printf ' -D_crypto_aead_aegis%s_pick_best_implementation=_crypto_stream_salsa20_pick_best_implementation' \
        128l 256
}

# lib_config NAME: files of ours that go into the library.
lib_config() {
    case $1 in
    mbedtls) printf '%s\n' vendor/mbedtls/*.h vendor/mbedtls/*/*.h ;;
    libsodium) printf '%s\n' vendor/sodium/*.h ;;
    esac
}

# lib_hash NAME: the name of everything that the library is made from.
lib_hash() {
    local sha=SHA_$1 config
    mapfile -t config < <(lib_config "$1")
    {
        echo "${!sha} $COMPILER_ID $CFLAGS $([ "$MODE" != stock ] || echo stock)"
        declare -f lib_flags lib_sources file_flags sodium_macros inih_macros yyjson_macros x25519_renames \
            p256_renames sodium_keccak_loop ring_sections aegis_unused
        [ ${#config[@]} = 0 ] || cat "${config[@]}"
    } | sha256sum | cut -c1-12
}

# lib_rules NAME OUTDIR: ninja lines that make OUTDIR/libNAME.a
lib_rules() {
    local objs="" f o extra
    echo "flags_$1 = $(lib_flags "$1")"
    while read -r f; do
        o=${f#build/src/}
        o=$2/obj/${o//\//_}.o
        objs+=" $o"
        extra=$(file_flags "$1" "$f")
        printf 'build %s: cc %s\n  flags = $flags_%s %s\n' "$o" "$f" "$1" "$extra"
    done < <(lib_sources "$1")
    printf 'build %s: ar%s\n' "$2/lib$1.a" "$objs"
}

# need_libs NAME...: compiles what is missing for the current mode; sets DEP_NAME to each directory.
need_libs() {
    local name dir tmp=build/deptmp missing=()
    COMPILER_ID=$("$CC" --version | head -n 1)
    [ -z "${SRC_libsodium:-}" ] || { sodium_version_h && sodium_keccak_loop; }
    [ -z "${SRC_ring:-}" ] || ring_sections
    for name in "$@"; do
        dir=dep-$name-$(lib_hash "$name")
        printf -v "DEP_$name" '%s' "build/$dir"
        [ ! -f "build/$dir/lib$name.a" ] || continue
        rm -f "build/$dir"
        if [ -n "${NK_DEPCACHE:-}" ] && [ -f "$NK_DEPCACHE/$dir/lib$name.a" ]; then
            ln -sfn "$NK_DEPCACHE/$dir" "build/$dir"
        else
            missing+=("$name")
        fi
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    say "compiling ${missing[*]} ($MODE)"
    mkdir -p "$tmp"
    {
        ninja_rules
        for name in "${missing[@]}"; do
            dir=DEP_$name
            lib_rules "$name" "$tmp/${!dir#build/}"
        done
    } >"$tmp/$MODE.ninja"
    run_ninja "$tmp/$MODE.ninja"
    for name in "${missing[@]}"; do
        dir=DEP_$name
        keep_lib "$name" "$tmp/${!dir#build/}" "${!dir}"
    done
}

# keep_lib NAME FROM TO
keep_lib() {
    rm -rf "$2/obj"
    if [ -n "${NK_DEPCACHE:-}" ] && mkdir -p "$NK_DEPCACHE" && [ -w "$NK_DEPCACHE" ]; then
        # several work trees may finish the same library: the first one wins
        cp -r "$2" "$NK_DEPCACHE/${2##*/}.$$"
        mv -T "$NK_DEPCACHE/${2##*/}.$$" "$NK_DEPCACHE/${2##*/}" 2>/dev/null ||
            rm -rf "$NK_DEPCACHE/${2##*/}.$$"
        rm -rf "$2"
        ln -sfn "$NK_DEPCACHE/${2##*/}" "$3"
    else
        rm -rf "$3"
        mv -T "$2" "$3"
    fi
}

# The -isystem flags of a library for our own code.
lib_include() {
    local src=SRC_$1
    src=${!src}
    case $1 in
    mbedtls) echo "$(mbedtls_config_flags) -isystem $src/include" ;;
    ring) echo "-isystem $src/include -isystem $src/pregenerated -isystem $src/crypto/fipsmodule/ec" ;;
    libsodium) echo "-isystem $src/src/libsodium/include -isystem build/gen/sodium" ;;
    libuv) echo "-isystem $src/include" ;;
    inih) echo "-isystem $src $(inih_macros)" ;;
    yyjson) echo "-isystem $src/src $(yyjson_macros)" ;;
    qrcodegen) echo "-isystem $src/c" ;;
    zlib) echo "-isystem $src" ;;
    cmocka) echo "-isystem $src/include" ;;
    esac
}
