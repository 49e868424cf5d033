/* SPDX-License-Identifier: MIT */
#include "hs/trust.h"

#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    NO_ACCESS = 077, /* bits that others must not have: on the directory of keys */
    NO_WRITE = 022,  /* elsewhere */
    GROUP = 070,
    NO_GROUP = -1,
    ENTRY_MAX = 4096 /* bytes of an entry of passwd or group */
};

/* --- who ------------------------------------------------------------------------------------- */

static bool is_switched_off(void)
{
    static const char *const names[] = {"FS_MISTRUST_DISABLE_PERMISSIONS_CHECKS",
                                        "ARTI_FS_DISABLE_PERMISSION_CHECKS"};
    static const char *const no[] = {"", "0", "no", "n", "never", "false"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        const char *value = getenv(names[i]);
        bool off = value != NULL;
        for (size_t k = 0; off && k < sizeof(no) / sizeof(no[0]); k++) {
            off = strcasecmp(value, no[k]) != 0;
        }
        if (off) {
            return true;
        }
    }
    return false;
}

/* The group called like the user, if the user is in it; an entry larger than the buffers is none.
 * (The functions without _r keep memory of their own.) */
static gid_t own_group(uid_t uid)
{
    char user_text[ENTRY_MAX], group_text[ENTRY_MAX];
    struct passwd user, *u = NULL;
    struct group group, *g = NULL;
    if (getpwuid_r(uid, &user, user_text, sizeof(user_text), &u) != 0 || !u ||
        getgrnam_r(u->pw_name, &group, group_text, sizeof(group_text), &g) != 0 || !g) {
        return (gid_t)NO_GROUP;
    }
    bool member = u->pw_gid == g->gr_gid;
    for (char **name = g->gr_mem; !member && *name; name++) {
        member = strcmp(*name, u->pw_name) == 0;
    }
    return member ? g->gr_gid : (gid_t)NO_GROUP;
}

void hs_trust_init(struct hs_trust *t, const struct hs_place *p)
{
    uid_t us = geteuid();
    *t = (struct hs_trust){.off = is_switched_off(), .uid = us == 0 ? p->uid : us};
    t->group = own_group(t->uid);
}

/* --- what ------------------------------------------------------------------------------------ */

static void judge_owner(const struct hs_trust *t, const struct stat *st, const char *path,
                        struct hs_findings *l)
{
    if (st->st_uid == 0 || st->st_uid == t->uid) {
        return;
    }
    hs_find(l, HS_ERROR, path, "owner", "belongs to uid %u, neither to uid %u nor to root",
            (unsigned)st->st_uid, (unsigned)t->uid);
    hs_find_remedy(l, "chown %u %s", (unsigned)t->uid, path);
}

/* The bits of `forbidden` that the mode has and that matter. */
static mode_t excess(const struct hs_trust *t, const struct stat *st, mode_t forbidden)
{
    if (st->st_gid == t->group) {
        forbidden &= ~(mode_t)GROUP;
    }
    return st->st_mode & forbidden;
}

static void judge_mode(const struct hs_trust *t, const struct stat *st, const char *path,
                       mode_t forbidden, struct hs_findings *l)
{
    mode_t bad = excess(t, st, forbidden);
    if (bad) {
        bool write = (bad & NO_WRITE) != 0;
        hs_find(l, HS_ERROR, path, "mode", "%04o: others can %s", (unsigned)st->st_mode & 07777u,
                write ? "write to it" : "get in");
        hs_find_remedy(l, "chmod %s %s", forbidden == NO_ACCESS ? "go-rwx" : "go-w", path);
    }
}

/* Correct the mode instead of complaining: true when that was done. */
static bool fixed(const struct hs_trust *t, const struct stat *st, const char *path, int dir,
                  const char *name, mode_t forbidden, struct hs_findings *l)
{
    mode_t mode = st->st_mode & 07777;
    int rc = -1;
    if (!t->fix || !excess(t, st, forbidden)) {
        return false;
    }
    int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd >= 0) {
        rc = fchmod(fd, mode & ~(mode_t)NO_ACCESS);
        close(fd);
    }
    if (rc < 0) {
        hs_find(l, HS_WARNING, path, "mode", "could not be changed: %s", nk_strerror(-errno));
        return false;
    }
    hs_find(l, HS_NOTE, path, "mode", "was %04o, is %04o now", (unsigned)mode,
            (unsigned)(mode & ~(mode_t)NO_ACCESS));
    return true;
}

void hs_trust_place(const struct hs_trust *t, const struct hs_place *p, struct hs_findings *l)
{
    struct stat st;
    if (t->off) {
        return;
    }
    if (fstat(p->fd, &st) < 0) {
        hs_find(l, HS_ERROR, p->path, NULL, "cannot be checked: %s", nk_strerror(-errno));
        return;
    }
    judge_owner(t, &st, p->path, l);
    if (!fixed(t, &st, p->path, p->fd, ".", NO_ACCESS, l)) {
        judge_mode(t, &st, p->path, NO_ACCESS, l);
    }
}

bool hs_trust_entry(const struct hs_trust *t, const struct hs_place *p, const char *name,
                    struct hs_findings *l)
{
    char path[NK_PATH_MAX];
    struct stat st;
    if (nk_path_join(path, sizeof(path), p->path, name) < 0) {
        hs_find(l, HS_ERROR, p->path, NULL, "the path of '%.64s..' in it is too long", name);
        return false;
    }
    if (fstatat(p->fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
        hs_find(l, HS_ERROR, path, NULL, "cannot be checked: %s", nk_strerror(-errno));
        return false;
    }
    if (S_ISLNK(st.st_mode)) {
        hs_find(l, HS_ERROR, path, NULL, "is a symbolic link, which arti and netkit do not follow");
        hs_find_remedy(l, "put the file itself there");
        return false;
    }
    if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode)) {
        hs_find(l, HS_ERROR, path, NULL, "is neither a file nor a directory");
        return false;
    }
    if (!t->off) {
        judge_owner(t, &st, path, l);
        if (!fixed(t, &st, path, p->fd, name, NO_WRITE, l)) {
            judge_mode(t, &st, path, NO_WRITE, l);
        }
    }
    return true;
}

/* --- above ----------------------------------------------------------------------------------- */

static void judge_above(const struct hs_trust *t, const char *path, struct hs_findings *l)
{
    struct stat st;
    if (stat(path, &st) < 0) {
        hs_find(l, HS_ERROR, path, NULL, "cannot be checked: %s", nk_strerror(-errno));
        return;
    }
    judge_owner(t, &st, path, l);
    if (!(st.st_mode & S_ISVTX)) {
        judge_mode(t, &st, path, NO_WRITE, l);
    }
}

/* Every directory on the way to `real`, a path without links; with `real` itself if itself. */
static void judge_way(const struct hs_trust *t, const char *real, bool itself,
                      struct hs_findings *l)
{
    char part[PATH_MAX];
    size_t len = strlen(real);
    judge_above(t, "/", l);
    for (size_t n = 1; n <= len && len > 1; n++) {
        if (real[n] == '/' || (itself && real[n] == '\0')) {
            snprintf(part, sizeof(part), "%.*s", (int)n, real);
            judge_above(t, part, l);
        }
    }
}

/* Who may write to where a link is decides what it leads to. */
static void judge_link(const struct hs_trust *t, const char *link, struct hs_findings *l)
{
    char dir[PATH_MAX], real[PATH_MAX];
    if (nk_file_dir(dir, sizeof(dir), link) == 0 && realpath(dir, real)) {
        judge_way(t, real, true, l);
    }
}

void hs_trust_above(const struct hs_trust *t, const struct hs_place *p, struct hs_findings *l)
{
    char real[PATH_MAX], part[NK_PATH_MAX];
    struct stat st;
    if (t->off) {
        return;
    }
    if (!realpath(p->path, real)) {
        hs_find(l, HS_ERROR, p->path, NULL, "cannot be checked: %s", nk_strerror(-errno));
        return;
    }
    judge_way(t, real, false, l);
    for (size_t n = 1; n <= strlen(p->path); n++) {
        if (p->path[n] == '/' || p->path[n] == '\0') {
            snprintf(part, sizeof(part), "%.*s", (int)n, p->path);
            if (lstat(part, &st) == 0 && S_ISLNK(st.st_mode)) {
                judge_link(t, part, l);
            }
        }
    }
}

int hs_trust_require(const struct hs_place *p, bool above, struct nk_diag *diag)
{
    struct hs_trust t;
    struct hs_findings l = {0};
    hs_trust_init(&t, p);
    hs_trust_place(&t, p, &l);
    if (above) {
        hs_trust_above(&t, p, &l);
    }
    int rc = hs_findings_end(&l, diag);
    if (rc == 0 && hs_findings_fail(&l, diag) < 0) {
        rc = NK_EBADMODE;
        if (diag) {
            diag->code = rc;
        }
    }
    hs_findings_clear(&l);
    return rc;
}
