# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# Writes what follows from the names of our own files: include trees, the command, endpoint and test
# tables, the licence texts, and the ninja file of a mode. Sourced by build.sh, run at every call;
# a file is only touched when its content changes.

# write_if_changed FILE <text
write_if_changed() {
    local text old=""
    IFS= read -r -d '' text || true
    if [ -f "$1" ]; then
        IFS= read -r -d '' old <"$1" || true
        [ "$text" != "$old" ] || return 0
    fi
    printf '%s' "$text" >"$1"
}

# link_to TARGET LINK
link_to() { [ "$(readlink "$2" 2>/dev/null)" = "$1" ] || ln -sfnT "$1" "$2"; }

# Sets MODULES to every module that exists, in the order of their names.
find_modules() {
    local dir
    MODULES=()
    for dir in modules/*/; do
        dir=${dir#modules/}
        MODULES+=("${dir%/}")
    done
}

# build/inc/<m>/<m> is modules/<m>: a file sees exactly the modules whose tree is on its command line.
gen_include_trees() {
    local m
    for m in "${MODULES[@]}"; do
        [ -L "build/inc/$m/$m" ] && continue
        mkdir -p "build/inc/$m"
        ln -sfn "../../../modules/$m" "build/inc/$m/$m"
    done
}

# module_deps M: the modules (beyond base, core and itself) that modules/DEPS lets M include.
module_deps() {
    local m deps
    while read -r m deps; do
        [ "$m" = "$1:" ] || continue
        [ "$deps" != everything ] || deps="${MODULES[*]}"
        printf '%s' "$deps"
    done <modules/DEPS
}

# Sets INCLUDES[m] for the ordinary files of every module, and INCLUDES[m/pure].
set_includes() {
    local m d inc sodium
    declare -gA INCLUDES=()
    sodium=$(lib_include libsodium)
    for m in "${MODULES[@]}"; do
        INCLUDES[$m/pure]="-Ibuild/inc/base -Ibuild/inc/$m $sodium"
        inc="-Ibuild/inc/base -Ibuild/inc/core"
        case $m in
        base) inc="-Ibuild/inc/base" ;;
        core) inc+=" $(lib_include libuv)" ;;
        *)
            inc+=" -Ibuild/inc/$m"
            for d in $(module_deps "$m"); do
                case " base core $m " in *" $d "*) ;; *) inc+=" -Ibuild/inc/$d" ;; esac
            done
            ;;
        esac
        [ "$m" != tls ] || inc+=" -Ivendor/glue $(lib_include mbedtls) -isystem $SRC_mbedtls/library"
        INCLUDES[$m]="$inc $sodium"
    done
    inc=""
    for m in "${MODULES[@]}"; do inc+=" -Ibuild/inc/$m"; done
    INCLUDES[all]="$inc -Itests -Ivendor/glue $(lib_include mbedtls) $(lib_include libuv) $(lib_include inih) $(lib_include yyjson) $(lib_include qrcodegen) $(lib_include zlib) $sodium"
    INCLUDES[packed]="-Ibuild/inc/base $(lib_include zlib) $sodium"
    INCLUDES[json]="-Ibuild/inc/base $(lib_include yyjson) $sodium"
    INCLUDES[qr]="${INCLUDES[hs]} $(lib_include qrcodegen)"
    INCLUDES[ssh/crypto]="-Ibuild/inc/base -Ibuild/inc/ssh $(lib_include mbedtls) $sodium"
    INCLUDES[ini]="-Ibuild/inc/base $(lib_include inih) $sodium"
    INCLUDES[glue]="-Ivendor/glue $(lib_include mbedtls) -isystem $SRC_mbedtls/library $(lib_include ring) $sodium"
}

# file_class FILE: sets CLASS to the key of INCLUDES for one of our files.
file_class() {
    local name=${1##*/} m
    case $1 in
    modules/base/ini*.c) CLASS=ini ;;
    modules/base/json_read.c) CLASS=json ;;
    modules/base/packed.c) CLASS=packed ;;
    modules/hs/qr.c) CLASS=qr ;;
    modules/ssh/crypto_*.c) CLASS=ssh/crypto ;;
    modules/*)
        m=${1#modules/}
        m=${m%%/*}
        CLASS=$m
        case $name in wire*.c | proto*.c | pickle*.c | queue*.c) CLASS=$m/pure ;; esac
        ;;
    vendor/glue/*) CLASS=glue ;;
    *) CLASS=all ;;
    esac
}

# Sorts our files into OWN (the program), TESTS, KITS (helpers of tests and fuzz targets) and FUZZ.
find_own_files() {
    local f
    OWN=() TESTS=() KITS=() FUZZ=()
    for f in modules/*/*.c vendor/glue/*.c; do
        case $f in
        *_test.c) TESTS+=("$f") ;;
        *_testkit.c) KITS+=("$f") ;;
        *_fuzz.c) FUZZ+=("$f") ;;
        *) OWN+=("$f") ;;
        esac
    done
}

# unit_name FILE SUFFIX: sets UNIT to "m/x" for modules/m/x_SUFFIX.c
unit_name() {
    UNIT=${1#modules/}
    UNIT=${UNIT#vendor/}
    UNIT=${UNIT%"$2".c}
}

c_name() { printf '%s' "${1//[^a-zA-Z0-9]/_}"; }

# Commands: modules/hsc/cmd_hsc_generate-key.c is "hsc generate-key", nk_cmd_hsc_generate_key.
gen_commands() {
    [ -f modules/base/cmd.h ] || { rm -f build/gen/commands.c && return; }
    local f name rows=""
    for f in "${OWN[@]}"; do
        name=${f##*/}
        case $name in cmd_*) ;; *) continue ;; esac
        name=${name#cmd_}
        name=${name%.c}
        rows+="${name//_/ }|$f|nk_cmd_${name//-/_}"$'\n'
    done
    rows=$(printf '%s' "$rows" | LC_ALL=C sort -t'|' -k1,1)
    {
        printf '#include "base/cmd.h"\n\n'
        [ -z "$rows" ] || awk -F'|' '{print "extern const struct nk_cmd " $3 ";"}' <<<"$rows"
        printf '\nconst struct nk_cmd_entry nk_cmd_table[] = {\n'
        [ -z "$rows" ] || awk -F'|' '{split($2, path, "/"); print "    {\"" $1 "\", \"" path[2] "\", &" $3 "},"}' <<<"$rows"
        printf '    {0},\n};\nconst size_t nk_cmd_count = sizeof(nk_cmd_table) / sizeof(nk_cmd_table[0]) - 1;\n'
    } | write_if_changed build/gen/commands.c
}

# Endpoint schemes: modules/tor/ep_tor.c defines nk_ep_tor.
gen_endpoints() {
    [ -f modules/core/registry.h ] || { rm -f build/gen/endpoints.c && return; }
    local f name names=""
    for f in "${OWN[@]}"; do
        name=${f##*/}
        case $name in ep_*) name=${name#ep_} names+=" ${name%.c}" ;; esac
    done
    {
        printf '#include "core/registry.h"\n\n'
        for name in $names; do echo "extern const struct nk_ep_driver nk_ep_${name//-/_};"; done
        printf '\nconst struct nk_ep_driver *const nk_ep_table[] = {\n'
        for name in $names; do echo "    &nk_ep_${name//-/_},"; done
        printf '    NULL,\n};\nconst size_t nk_ep_count = sizeof(nk_ep_table) / sizeof(nk_ep_table[0]) - 1;\n'
    } | write_if_changed build/gen/endpoints.c
}

gen_tests() {
    local f
    {
        printf '#include <stddef.h>\n#include "unit.h"\n\n'
        for f in "${TESTS[@]}"; do
            unit_name "$f" _test
            echo "int nk_test_$(c_name "$UNIT")(void);"
        done
        printf '\nconst struct nk_unit_test nk_unit_tests[] = {\n'
        for f in "${TESTS[@]}"; do
            unit_name "$f" _test
            echo "    {\"$UNIT\", nk_test_$(c_name "$UNIT")},"
        done
        printf '    {NULL, NULL},\n};\n'
    } | write_if_changed build/gen/tests.c
}

# packed_text FILE NAME: C source of a text as struct nk_packed: what gzip makes of it, without gzip's
# header and trailer (RFC 1952 section 2.2).
packed_text() {
    printf '#include "base/packed.h"\n\nstatic const uint8_t data[] = {\n'
    gzip -9nc "$1" | tail -c +11 | head -c -8 | od -An -v -tu1 | sed 's/\([0-9]\) /\1,/g; s/$/,/'
    printf '};\n\nextern const struct nk_packed %s;\nconst struct nk_packed %s = {data, sizeof(data), %s};\n' \
        "$2" "$2" "$(wc -c <"$1")"
}

# gen_packed FILE NAME: build/gen/NAME.c from a text, when the text (or this file) is newer.
gen_packed() {
    local out=build/gen/$2.c
    if [ ! "$out" -nt "$1" ] || [ ! "$out" -nt vendor/generate.sh ]; then
        packed_text "$1" "nk_$2" >"$out"
    fi
}

# The long texts of the commands: modules/*/cmd_*.txt as base/packed.h describes them.
gen_cmd_texts() {
    local f
    for f in modules/*/cmd_*.txt; do
        [ -f "${f%.txt}.c" ] || die "$f belongs to no command"
    done
    awk '
        FNR == 1 {
            name = FILENAME
            sub(/.*\/cmd_/, "", name)
            sub(/\.txt$/, "", name)
            gsub(/_/, " ", name)
            printf "\f%s\n", name
            examples = 0
        }
        $0 == "examples:" { printf "\v"; examples = 1; next }
        examples { sub(/^  /, "") }
        { print }' /dev/null modules/*/cmd_*.txt >build/gen/cmd_texts.new
    cmp -s build/gen/cmd_texts.new build/gen/cmd_texts.txt ||
        cp build/gen/cmd_texts.new build/gen/cmd_texts.txt
    gen_packed build/gen/cmd_texts.txt cmd_texts
}

# license_text NAME: title and licence of one part of the program.
license_text() {
    local src=SRC_$1 version=VERSION_$1 file
    case $1 in
    netkit) printf 'netkit %s\n\n' "$NETKIT_VERSION" && cat LICENSE && return ;;
    musl)
        file=/usr/share/doc/musl-dev/copyright
        [ -f "$file" ] || file=/usr/share/doc/musl/copyright
        [ -f "$file" ] || die "the licence of musl is not at $file; reinstall musl-dev"
        printf 'musl (C library, linked statically)\n\n' && cat "$file" && return
        ;;
    esac
    printf '%s %s\n\n' "$1" "${!version}"
    src=${!src}
    case $1 in
    # offered under Apache-2.0 or GPL-2.0-or-later; netkit takes the first, the file has both texts
    mbedtls) printf 'Used under the Apache License 2.0.\n\n' && sed '/GNU GENERAL PUBLIC LICENSE/,$d' "$src/LICENSE" ;;
    # what is used of it comes from BoringSSL
    ring) cat "$src/LICENSE-BoringSSL" ;;
    libuv) cat "$src/LICENSE" "$src/LICENSE-extra" ;;
    inih) cat "$src/LICENSE.txt" ;;
    # its licence is the comment at the head of its source
    qrcodegen) sed -n '/\*\//q;s|^/\* *$||;s|^ \* \{0,1\}||p' "$src/c/qrcodegen.c" ;;
    *) cat "$src/LICENSE" ;;
    esac
}

gen_licenses() {
    local name names="netkit $LIBS_PRODUCT" stamp
    [ "$MODE" != release ] || names+=" musl"
    stamp="$names $NETKIT_VERSION $SHA_mbedtls $SHA_ring $SHA_libsodium $SHA_libuv $SHA_inih $SHA_yyjson $SHA_qrcodegen $SHA_zlib"
    [ build/gen/licenses-$MODE.c -nt vendor/generate.sh ] && [ "$(cat "build/gen/licenses-$MODE.stamp" 2>/dev/null)" = "$stamp" ] && return
    for name in $names; do
        [ "$name" = netkit ] || printf '\n%s\n\n' ------------------------------------------------------------
        license_text "$name"
    done >"build/gen/licenses-$MODE.txt"
    packed_text "build/gen/licenses-$MODE.txt" nk_licenses >"build/gen/licenses-$MODE.c"
    printf '%s' "$stamp" >"build/gen/licenses-$MODE.stamp"
}

# The build id is a hash of what the program is made from, so it needs no git and two copies of the
# same tree get the same one.
build_id() {
    local files=(main.c build.sh netkit.ini vendor/pins modules/DEPS modules/*/cmd_*.txt)
    cat "${files[@]}" vendor/*.sh vendor/mbedtls/*.h vendor/mbedtls/*/*.h vendor/sodium/*.h modules/*/*.h vendor/glue/*.h "${OWN[@]}" | sha256sum | cut -c1-12
}

lib_license_id() {
    case $1 in
    mbedtls | ring) echo Apache-2.0 ;; libsodium) echo ISC ;; libuv) echo MIT ;; inih) echo BSD-3-Clause ;; yyjson | qrcodegen) echo MIT ;; zlib) echo Zlib ;;
    esac
}

gen_build_info() {
    local name version sha libc=glibc
    [ "$MODE" != release ] || libc="musl $(dpkg-query -W -f '${Version}' musl-dev 2>/dev/null || true)"
    {
        printf '#include "base/build_info.h"\n\nextern const struct nk_packed nk_licenses, nk_default_ini;\n'
        printf '\nstatic const struct nk_build_lib libs[] = {\n'
        for name in $LIBS_PRODUCT; do
            version=VERSION_$name sha=SHA_$name
            printf '    {"%s", "%s", "%s", "%s"},\n' "$name" "${!version}" "$(lib_license_id "$name")" "${!sha}"
        done
        printf '    {0},\n};\n\nconst struct nk_build_info nk_build_info = {\n'
        printf '    .version = "%s",\n    .build_id = "%s",\n' "$NETKIT_VERSION" "$(build_id)"
        printf '    .mode = "%s",\n    .compiler = "%s",\n    .libc = "%s",\n' "$MODE" "$COMPILER_ID" "${libc% }"
        printf '    .libs = libs,\n    .licenses = &nk_licenses,\n    .default_ini = &nk_default_ini,\n};\n'
    } | write_if_changed "build/gen/build_info-$MODE.c"
}

generate_all() {
    mkdir -p build/gen build/inc "build/$MODE"
    find_modules
    find_own_files
    gen_include_trees
    gen_commands
    gen_endpoints
    gen_tests
    gen_licenses
    gen_packed netkit.ini default_ini
    gen_cmd_texts
    gen_build_info
    set_includes
    gen_ninja | write_if_changed "build/$MODE/build.ninja"
}

ninja_rules() {
    cat <<END
ninja_required_version = 1.5
builddir = build/$MODE
cc = $CC
cflags = $CFLAGS -ffile-prefix-map="\$\$PWD"=.
rule cc
  command = \$cc \$cflags \$flags -MMD -MF \$out.d -c \$in -o \$out
  depfile = \$out.d
  deps = gcc
  description = cc \$in
rule ar
  command = rm -f \$out && $AR crs \$out \$in
  description = ar \$out
END
}

lib_archives() {
    printf '%s' "$DEP_mbedtls/libmbedtls.a $DEP_ring/libring.a $DEP_libsodium/liblibsodium.a $DEP_libuv/liblibuv.a $DEP_inih/libinih.a $DEP_yyjson/libyyjson.a $DEP_qrcodegen/libqrcodegen.a $DEP_zlib/libzlib.a"
}

# The generated objects that every program of ours needs beside libnetkit.a.
info_objects() {
    local f
    for f in commands endpoints "licenses-$MODE" default_ini cmd_texts "build_info-$MODE"; do
        [ ! -f "build/gen/$f.c" ] || printf '%s\n' "build/$MODE/obj/build/gen/$f.o"
    done
}

# own_object FILE KIND: sets OBJECT and prints its rule. KIND: own (warnings incl. missing prototypes),
# test (cmocka is visible).
own_object() {
    OBJECT=build/$MODE/obj/${1%.c}.o
    file_class "$1"
    local flags="\$own_$2" cold=""
    [ "$MODE" != release ] || cold=" -Os"
    case $1 in
    # the two files that compile upstream's code under other names are judged by upstream's warnings
    vendor/glue/soft_ecdsa.c) flags="\$own_soft$cold" ;;
    vendor/glue/soft_*.c) flags="\$own_soft" ;;
    # what takes time there is ring's assembly
    vendor/glue/@(p256|ecdsa_glue).c) flags+=$cold ;;
    # what runs for every message, byte or key that is tried; the rest is better small
    modules/base/@(buf|copy|cur|decimal)* | modules/core/@(app|budget|clock|pump|stream|timer)*) ;;
    modules/relay/*_restore.c | modules/hs/vanity_@(checkpoint|progress).c) flags+=$cold ;;
    # who comes, goes and comes back; letters that nobody could deal with; how a client finds its relay
    modules/relay/@(native_@(group|login|resume)|tlspyo_join|queue_@(dead|member)|client|client_@(api|spool)).c) flags+=$cold ;;
    modules/tls/@(io|record|ssl_data)* | modules/hs/@(fe|vanity)*) ;;
    modules/relay/@(backlog|client|conn|engine|hub|native|object|out|proto|queue|rx|tlspyo|wire)*) ;;
    modules/relay/log@(|_crc|_items|_record|_segment|_state|_view|_write).c) ;;
    modules/ssh/@(crypto_@(chacha|ctr|gcm|hash)|packet|wire)* | vendor/glue/*) ;;
    *) flags+=$cold ;;
    esac
    printf 'build %s: cc %s\n  flags = %s $inc_%s\n' "$OBJECT" "$1" "$flags" "${CLASS//\//_}"
}

# The allocation functions that tests/torture.c makes fail in the unit test program.
TORTURE_WRAP=$(printf ' -Wl,--wrap=%s' malloc calloc realloc free strdup strndup sodium_malloc sodium_free)

gen_ninja() {
    local key f objs="" tests="" kits="" gen="" libs
    ninja_rules
    libs=$(lib_archives)
    cat <<END
rule link
  command = \$cc $CFLAGS $LINK -o \$out \$in \$extra -Wl,--start-group \$group -Wl,--end-group $LIBS
  description = link \$out
rule strip
  command = objcopy --only-keep-debug \$in \$out.debug && strip -s -R .comment -o \$out \$in && cd build/$MODE && objcopy --add-gnu-debuglink=netkit.debug netkit
  description = strip \$out
own_own = $WARN -Wmissing-prototypes $OWN_CFLAGS
own_test = $WARN $OWN_CFLAGS -Itests ${DEP_cmocka:+$(lib_include cmocka)}
own_soft = -DNK_GLUE_SOFT $OWN_CFLAGS
END
    for key in "${!INCLUDES[@]}"; do
        printf 'inc_%s = %s\n' "${key//\//_}" "${INCLUDES[$key]}"
    done | LC_ALL=C sort
    for f in "${OWN[@]}"; do own_object "$f" own && objs+=" $OBJECT"; done
    echo "build build/$MODE/libnetkit.a: ar$objs"
    for f in commands endpoints "licenses-$MODE" default_ini cmd_texts "build_info-$MODE"; do
        [ -f "build/gen/$f.c" ] || continue
        own_object "build/gen/$f.c" own && gen+=" $OBJECT"
    done
    own_object main.c own
    ninja_program "$OBJECT$gen" "$libs"
    [ -n "${DEP_cmocka:-}" ] || return 0
    for f in "${KITS[@]}"; do own_object "$f" test && kits+=" $OBJECT"; done
    for f in "${TESTS[@]}" tests/unit_main.c tests/torture.c build/gen/tests.c; do own_object "$f" test && tests+=" $OBJECT"; done
    printf 'build build/%s/unit: link%s\n  group = %s\n  extra = %s\n' "$MODE" "$tests$kits$gen | build/$MODE/libnetkit.a $libs $DEP_cmocka/libcmocka.a" \
        "build/$MODE/libnetkit.a $libs $DEP_cmocka/libcmocka.a" "$TORTURE_WRAP"
    ninja_fuzz "$kits$gen" "$libs $DEP_cmocka/libcmocka.a"
}

# ninja_program OBJECTS LIBS
ninja_program() {
    local out=build/$MODE/netkit
    [ "$MODE" != release ] || out=build/$MODE/netkit.full
    printf 'build %s: link %s | build/%s/libnetkit.a %s\n  group = build/%s/libnetkit.a %s\n' \
        "$out" "$1" "$MODE" "$2" "$MODE" "$2"
    [ "$MODE" != release ] || printf 'build build/release/netkit: strip %s\n' "$out"
    printf 'build program: phony build/%s/netkit\n' "$MODE"
}

# ninja_fuzz OBJECTS LIBS: one program per fuzz target; outside fuzz mode it replays files.
ninja_fuzz() {
    local f driver="" extra="" all=""
    [ ${#FUZZ[@]} -gt 0 ] || { echo "build fuzzers: phony" && return; }
    if [ "$MODE" = fuzz ]; then
        extra="-fsanitize=fuzzer"
    else
        own_object tests/fuzz/replay.c test && driver=$OBJECT
    fi
    for f in "${FUZZ[@]}"; do
        own_object "$f" test
        unit_name "$f" _fuzz
        printf 'build build/%s/fuzz/%s: link %s\n  group = %s\n  extra = %s\n' "$MODE" "${UNIT//\//_}" \
            "$OBJECT $driver$1 | build/$MODE/libnetkit.a $2" "build/$MODE/libnetkit.a $2" "$extra"
        all+=" build/$MODE/fuzz/${UNIT//\//_}"
    done
    echo "build fuzzers: phony$all"
}
