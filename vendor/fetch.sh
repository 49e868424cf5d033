# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# Gets the pinned archives into build/dist and unpacks them into build/src. Sourced by build.sh.
#
# Order for one archive: build/dist, the directories of NK_CACHE, the machine's own Debian mirror (its
# signed indexes, read with private apt state), the upstream URL. An archive counts only if its sha256
# is in vendor/pins. When every pinned version has left the Debian archive and upstream cannot be
# reached, the newest signed version that is not older is taken with a warning, unless NK_LOCKED=1.

DIST=build/dist
SUITES=${NK_SUITES:-"trixie forky sid"} # stable first: its files stay where they are
APTDIR=build/apt                        # private apt state, removed after use

fetch_say() { printf 'fetch: %s\n' "$*" >&2; }

sha256_of() {
    local sum
    sum=$(sha256sum "$1") && printf '%s' "${sum%% *}"
}

# pin_rows NAME: the rows "version file sha256 source url" of a dependency, with what an earlier run
# took from a signed index (unless locked) at the end.
pin_rows() {
    local n rest
    while read -r n rest; do
        [ "$n" != "$1" ] || printf '%s\n' "$rest"
    done <vendor/pins
    if [ "${NK_LOCKED:-0}" != 1 ] && [ -f "$DIST/$1.signed" ]; then
        cat "$DIST/$1.signed"
    fi
}

# archive_ok FILE SHA256: the file is there and is the pinned one.
archive_ok() { [ -f "$1" ] && [ "$(sha256_of "$1")" = "$2" ]; }

archive_refused() {
    fetch_say "REFUSED $1"
    fetch_say "  its sha256  $(sha256_of "$1")"
    fetch_say "  pinned      $2"
}

from_dist() {
    [ -f "$DIST/$1" ] || return 1
    archive_ok "$DIST/$1" "$2" && return 0
    archive_refused "$DIST/$1" "$2"
    fetch_say "remove the file to fetch it again"
    exit 1
}

from_cache() {
    local dir
    for dir in $(tr ":" " " <<<"${NK_CACHE:-}"); do
        [ -f "$dir/$1" ] || continue
        if archive_ok "$dir/$1" "$2"; then
            cp "$dir/$1" "$DIST/$1.part" && mv "$DIST/$1.part" "$DIST/$1"
            fetch_say "cache  $1"
            return 0
        fi
        archive_refused "$dir/$1" "$2"
    done
    return 1
}

# apt with private lists and no installed-package state; the machine's proxies, transports and
# authentication stay in force. A mirror may lag behind its indexes' expiry: that is no danger, since an
# archive counts by its pinned hash, and an unpinned one must not be older than the pin.
apt_private() {
    local tool=$1
    shift
    "$tool" -o Dir::Etc::sourcelist=/dev/null -o Dir::Etc::sourceparts="$PWD/$APTDIR/parts" \
        -o Dir::State::lists="$PWD/$APTDIR/lists" -o Dir::State::status="$PWD/$APTDIR/status" \
        -o Dir::Cache="$PWD/$APTDIR/cache" -o Acquire::Languages=none -o APT::Sandbox::User= \
        -o Acquire::Retries=3 -o Acquire::Check-Valid-Until=false \
        -o Acquire::IndexTargets::deb-src::Sources::DefaultEnabled=true "$@"
}

# The URI of the Debian archive as apt itself understands the machine's set-up.
apt_mirror() {
    [ -z "${NK_MIRROR:-}" ] || { printf '%s' "$NK_MIRROR" && return; }
    # shellcheck disable=SC2016  # apt expands these, not the shell
    apt-get indextargets --format '$(REPO_URI)|$(COMPONENT)|$(RELEASE)' 2>/dev/null |
        awk -F'|' '$2 == "main" && $3 !~ /security/ && $1 ~ /\/debian\/?$/ && !found {found = 1; print $1}'
}

APT_STATE=new
apt_setup() {
    [ "$APT_STATE" = new ] || { [ "$APT_STATE" = ready ] && return 0 || return 1; }
    APT_STATE=failed
    command -v apt-get >/dev/null || return 1
    local uri key="" k
    uri=$(apt_mirror)
    [ -n "$uri" ] || { fetch_say "apt here knows no Debian archive (NK_MIRROR may name one)" && return 1; }
    for k in /usr/share/keyrings/debian-archive-keyring.{pgp,gpg}; do
        [ ! -f "$k" ] || key=$k
    done
    [ -n "$key" ] || { fetch_say "no Debian archive keyring here" && return 1; }
    mkdir -p "$APTDIR/parts" "$APTDIR/lists/partial" "$APTDIR/cache/archives/partial"
    : >"$APTDIR/status"
    printf 'Types: deb-src\nURIs: %s\nSuites: %s\nComponents: main\nSigned-By: %s\n' \
        "$uri" "$SUITES" "$key" >"$APTDIR/parts/netkit.sources"
    fetch_say "reading the signed source indexes of: $SUITES"
    if ! apt_private apt-get -qq update >"$APTDIR/log" 2>&1; then
        # one missing suite is no failure as long as some index arrived
        grep -q . "$APTDIR"/lists/*Sources* 2>/dev/null ||
            { fetch_say "apt-get update failed: $(tail -n 1 "$APTDIR/log")" && return 1; }
    fi
    APT_STATE=ready
}

# apt_versions SOURCE: the versions in the indexes, newest first.
apt_versions() {
    apt_private apt-cache showsrc --only-source "$1" 2>/dev/null |
        awk '$1 == "Version:" {print $2}' | sort -Vru
}

# apt_orig SOURCE VERSION: "url file sha256" of the upstream tarball of that version.
apt_orig() {
    apt_private apt-get source --print-uris --download-only "$1=$2" 2>/dev/null |
        sed -n "s/^'\([^']*\)' \([^ ]*\.orig\.tar\.[a-z0-9]*\) [0-9]* SHA256:\([0-9a-f]*\)\$/\1 \2 \3/p"
}

# apt_download URL FILE SHA256
apt_download() {
    apt_private /usr/lib/apt/apt-helper download-file "$1" "$PWD/$DIST/$2.part" "SHA256:$3" \
        >>"$APTDIR/log" 2>&1 && archive_ok "$DIST/$2.part" "$3" && mv "$DIST/$2.part" "$DIST/$2"
}

# from_apt FILE SHA256 SOURCE
from_apt() {
    [ "$3" != - ] && apt_setup || return 1
    local version url file sum
    for version in $(apt_versions "$3"); do
        while read -r url file sum; do
            [ "$file" = "$1" ] && [ "$sum" = "$2" ] || continue
            if apt_download "$url" "$file" "$sum"; then
                fetch_say "apt    $1"
                return 0
            fi
        done < <(apt_orig "$3" "$version")
    done
    rm -f "$DIST/$1.part"
    return 1
}

# from_url FILE SHA256 URL
from_url() {
    [ "$3" != - ] || return 1
    if command -v curl >/dev/null; then
        curl -fsSL --proto '=https' --retry 2 --connect-timeout 15 -o "$DIST/$1.part" "$3" 2>/dev/null
    elif command -v wget >/dev/null; then
        wget -q --https-only -T 15 -t 2 -O "$DIST/$1.part" "$3"
    else
        return 1
    fi || { rm -f "$DIST/$1.part" && return 1; }
    if archive_ok "$DIST/$1.part" "$2"; then
        mv "$DIST/$1.part" "$DIST/$1"
        fetch_say "url    $1"
        return 0
    fi
    archive_refused "$DIST/$1.part" "$2"
    rm -f "$DIST/$1.part"
    return 1
}

# from_newer NAME: the newest signed version that is not older than the pin; remembered in
# build/dist/NAME.signed.
from_newer() {
    [ "${NK_LOCKED:-0}" != 1 ] || return 1
    local pin source version upstream url file sum
    read -r pin _ _ source _ < <(pin_rows "$1")
    [ "$source" != - ] && apt_setup || return 1
    for version in $(apt_versions "$source"); do
        upstream=${version#*:}
        upstream=${upstream%-*}
        dpkg --compare-versions "$upstream" ge "$pin" || continue
        read -r url file sum < <(apt_orig "$source" "$version") || continue
        apt_download "$url" "$file" "$sum" || continue
        printf '%s %s %s %s -\n' "$upstream" "$file" "$sum" "$source" >"$DIST/$1.signed"
        fetch_say "WARNING: $1 $pin cannot be had any more; taking $upstream, which the archive's"
        fetch_say "WARNING: signed index vouches for (sha256 $sum). --locked refuses this."
        return 0
    done
    return 1
}

# fetch_one NAME: sets FETCHED="version file sha256" of the archive that is now in build/dist.
fetch_one() {
    local version file sum source url how
    mkdir -p "$DIST"
    for how in dist cache apt url; do
        while read -r version file sum source url; do
            FETCHED="$version $file $sum"
            case $how in
            dist) from_dist "$file" "$sum" && return 0 ;;
            cache) from_cache "$file" "$sum" && return 0 ;;
            apt) from_apt "$file" "$sum" "$source" && return 0 ;;
            url) from_url "$file" "$sum" "$url" && return 0 ;;
            esac
        done < <(pin_rows "$1")
    done
    if from_newer "$1"; then
        read -r version file sum _ <"$DIST/$1.signed"
        FETCHED="$version $file $sum"
        return 0
    fi
    fetch_say "MISSING $1; any one of these would do, in $DIST or a directory of NK_CACHE:"
    pin_rows "$1" | awk '{print "  " $2 "  sha256 " $3 "  " $5}' >&2
    return 1
}

# The state of an unpacked archive: what build/dist held when it was verified.
dist_stat() { stat -c '%s %Y' "$DIST/$1" 2>/dev/null || true; }

# find_src NAME: sets FETCHED if the dependency is unpacked from an accepted archive already.
find_src() {
    local version file sum rest seen
    while read -r version file sum rest; do
        [ -f "build/src/$1-${sum:0:8}/.ok" ] || continue
        read -r seen <"build/src/$1-${sum:0:8}/.ok" || true
        # an archive that changed since is verified again; one that is gone is not needed any more
        [ -z "$(dist_stat "$file")" ] || [ "$(dist_stat "$file")" = "$seen" ] || continue
        FETCHED="$version $file $sum"
        return 0
    done < <(pin_rows "$1")
    return 1
}

# unpack FILE DIR
unpack() {
    local tmp="$2.tmp.$$"
    rm -rf "$tmp"
    mkdir -p "$tmp"
    tar -xf "$DIST/$1" -C "$tmp" --strip-components=1 --no-same-owner
    dist_stat "$1" >"$tmp/.ok"
    rm -rf "$2"
    mv -T "$tmp" "$2"
}

# need_src NAME: makes SRC_NAME, VERSION_NAME and SHA_NAME name the unpacked source.
need_src() {
    local version file sum dir
    if ! find_src "$1"; then
        fetch_one "$1" || return 1
        read -r version file sum <<<"$FETCHED"
        unpack "$file" "build/src/$1-${sum:0:8}"
    fi
    read -r version file sum <<<"$FETCHED"
    dir=build/src/$1-${sum:0:8}
    printf -v "SRC_$1" '%s' "$dir"
    printf -v "VERSION_$1" '%s' "$version"
    printf -v "SHA_$1" '%s' "$sum"
}

fetch_done() { rm -rf "$APTDIR"; }
