/* SPDX-License-Identifier: MIT */
#include "tor/access.h"

#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/secret.h"
#include "core/registry.h"
#include "tor/address.h"

enum { ENTRY_MAX = 4096, NAME_SIZE = 48, MODE_BITS = 07777 };

/* Where a tor of the system and the one of Tor Browser listen. */
static const char *const usual_places[] = {"unix:/run/tor/control", "unix:/var/run/tor/control",
                                           "tcp:127.0.0.1:9051", "tcp:127.0.0.1:9151"};
enum { VAR_RUN = 1 };

/* /var/run is /run nearly everywhere. */
static bool same_file(const char *a, const char *b)
{
    struct stat x, y;
    return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

static int place(char *out, size_t max, const char *prefix, const char *text)
{
    int n = snprintf(out, max, "%s%s", prefix, text);
    return n >= 0 && (size_t)n < max ? 0 : NK_ETOOBIG;
}

/* What the user gave: a path, a port, HOST:PORT, or an endpoint string as it is. */
static int place_given(const char *text, char *out, size_t max)
{
    char scheme[NK_EP_MAX_SCHEME + 1];
    size_t n = strcspn(text, ":+");
    if (text[0] == '/') {
        return tor_address_unix(out, max, text);
    }
    if (text[0] && strspn(text, "0123456789") == strlen(text)) {
        return place(out, max, "tcp:127.0.0.1:", text);
    }
    if (n < sizeof(scheme) && text[n]) {
        memcpy(scheme, text, n);
        scheme[n] = '\0';
        if (nk_ep_driver_find(scheme)) {
            return place(out, max, "", text);
        }
    }
    return place(out, max, "tcp:", text);
}

int tor_access_place(const struct tor_access *access, size_t i, char *out, size_t max)
{
    if (access->control) {
        return i == 0 ? place_given(access->control, out, max) : -ENOENT;
    }
    const char *run = usual_places[0] + strlen("unix:");
    const char *var = usual_places[VAR_RUN] + strlen("unix:");
    if (i >= VAR_RUN && same_file(run, var)) {
        i++;
    }
    return i < sizeof(usual_places) / sizeof(usual_places[0]) ? place(out, max, "", usual_places[i])
                                                              : -ENOENT;
}

/* --- permission ------------------------------------------------------------------------------- */

static const char *user_name(uid_t uid, char out[NAME_SIZE])
{
    char text[ENTRY_MAX];
    struct passwd entry, *found = NULL;
    if (getpwuid_r(uid, &entry, text, sizeof(text), &found) == 0 && found) {
        (void)snprintf(out, NAME_SIZE, "%s", found->pw_name);
    } else {
        (void)snprintf(out, NAME_SIZE, "uid %u", (unsigned)uid);
    }
    return out;
}

static const char *group_name(gid_t gid, char out[NAME_SIZE])
{
    char text[ENTRY_MAX];
    struct group entry, *found = NULL;
    if (getgrgid_r(gid, &entry, text, sizeof(text), &found) == 0 && found) {
        (void)snprintf(out, NAME_SIZE, "%s", found->gr_name);
    } else {
        (void)snprintf(out, NAME_SIZE, "gid %u", (unsigned)gid);
    }
    return out;
}

/* What stands in the way: the first directory that may not be searched, else the file itself. */
static void find_obstacle(const char *path, char out[NK_PATH_MAX], struct stat *st)
{
    size_t n = strlen(path);
    for (size_t i = 1; i < n; i++) {
        if (path[i] != '/') {
            continue;
        }
        memcpy(out, path, i);
        out[i] = '\0';
        if (stat(out, st) == 0 && S_ISDIR(st->st_mode) &&
            faccessat(AT_FDCWD, out, X_OK, AT_EACCESS) != 0) {
            return;
        }
    }
    memcpy(out, path, n + 1);
    if (stat(out, st) != 0) {
        st->st_mode = 0;
        st->st_uid = 0;
        st->st_gid = 0;
    }
}

int tor_access_denied(const char *path, int how, const char *torrc_line, struct nk_diag *diag)
{
    char obstacle[NK_PATH_MAX], user[NAME_SIZE], group[NAME_SIZE], us[NAME_SIZE];
    struct stat st;
    if (strlen(path) >= sizeof(obstacle)) {
        return nk_fail_sys(diag, -EACCES, "%.100s..", path);
    }
    find_obstacle(path, obstacle, &st);
    bool dir = S_ISDIR(st.st_mode);
    unsigned want = dir ? S_IXGRP : how == W_OK ? S_IWGRP : S_IRGRP;
    group_name(st.st_gid, group);
    nk_fail(diag, -EACCES, "%s may not be %s by this user: %s%s%s owner %s, group %s, mode %04o",
            path, how == W_OK ? "used" : "read", dir ? "directory " : "", dir ? obstacle : "",
            dir ? " has" : "its", user_name(st.st_uid, user), group,
            (unsigned)st.st_mode & MODE_BITS);
    if (st.st_mode & want) {
        nk_hint(diag, "adduser %s %s, then log in again; or run as %s", user_name(geteuid(), us),
                group, user);
    } else {
        nk_hint(diag, "torrc: %s, and this user in group %s; or run as %s", torrc_line, group,
                user);
    }
    return -EACCES;
}

/* --- the cookie ------------------------------------------------------------------------------- */

static int read_cookie(int fd, const char *path, uint8_t out[TOR_COOKIE_SIZE], struct nk_diag *diag)
{
    struct stat st;
    uint8_t bytes[TOR_COOKIE_SIZE + 1];
    if (fstat(fd, &st) < 0) {
        return nk_fail_sys(diag, -errno, "%s", path);
    }
    if (!S_ISREG(st.st_mode) || st.st_size != TOR_COOKIE_SIZE) {
        return nk_fail(diag, NK_EBADMODE, "%s is no cookie of tor, which is a file of %d bytes",
                       path, TOR_COOKIE_SIZE);
    }
    ssize_t n = read(fd, bytes, sizeof(bytes));
    if (n == TOR_COOKIE_SIZE) {
        memcpy(out, bytes, TOR_COOKIE_SIZE);
    }
    nk_wipe(bytes, sizeof(bytes));
    if (n < 0) {
        return nk_fail_sys(diag, -errno, "%s", path);
    }
    return n == TOR_COOKIE_SIZE ? 0
                                : nk_fail(diag, NK_EBADMODE, "%s changed while it was read", path);
}

int tor_cookie_read(const char *path, bool named, uint8_t out[TOR_COOKIE_SIZE],
                    struct nk_diag *diag)
{
    if (!named && path[0] != '/') {
        return nk_fail(diag, NK_EBADMODE, "tor names %s as its cookie, which is no absolute path",
                       path);
    }
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | (named ? 0 : O_NOFOLLOW));
    if (fd < 0) {
        int rc = -errno;
        switch (rc) {
        case -EACCES:
            return tor_access_denied(path, R_OK, "CookieAuthFileGroupReadable 1", diag);
        case -ELOOP:
            return nk_fail(diag, NK_EBADMODE, "%s is a symbolic link; no cookie of tor is", path);
        case -ENOENT:
            nk_fail(diag, NK_EAUTH, "tor's cookie should be in %s, which does not exist here",
                    path);
            nk_hint(diag, "if tor runs in another container, share the file and name it with "
                          "--cookie-file, or use --password-file");
            return NK_EAUTH;
        default:
            return nk_fail_sys(diag, rc, "%s", path);
        }
    }
    int rc = read_cookie(fd, path, out, diag);
    close(fd);
    return rc;
}
