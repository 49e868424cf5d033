/* SPDX-License-Identifier: MIT */
#include "tor/launch_files.h"

#include <fcntl.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tor/scratch.h"
#include "tor/torrc.h"

#define DEFAULT_PATH "/usr/local/bin:/usr/bin:/bin" /* when PATH is unset */
#define MORE_PATH "/usr/sbin:/usr/local/sbin:/sbin" /* Debian's tor is not in a user's PATH */
#define COPY_BYTES 65536

static const char control_name[] = "control.sock", socks_name[] = "socks.sock";

/* --- the program ------------------------------------------------------------------------------ */

static bool executable(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISREG(st.st_mode) && access(path, X_OK) == 0;
}

static bool find_in(const char *path, const char *name, char *out, size_t max)
{
    for (const char *dir = path, *end; dir; dir = *end ? end + 1 : NULL) {
        end = strchrnul(dir, ':');
        int n = snprintf(out, max, "%.*s/%s", (int)(end - dir), dir, name);
        if (*dir == '/' && n > 0 && (size_t)n < max && executable(out)) {
            return true;
        }
    }
    return false;
}

int tor_launch_find(const char *name, char *out, size_t max, struct nk_diag *diag)
{
    const char *path = getenv("PATH");
    if (strchr(name, '/')) {
        if (strlen(name) >= max) {
            return nk_fail(diag, NK_ETOOBIG, "path too long: %s", name);
        }
        if (executable(name)) {
            memcpy(out, name, strlen(name) + 1);
            return 0;
        }
    } else if (name[0] && (find_in(path ? path : DEFAULT_PATH, name, out, max) ||
                           find_in(MORE_PATH, name, out, max))) {
        return 0;
    }
    nk_fail(diag, NK_ENOCMD, "there is no program '%s'", name);
    nk_hint(diag, "install Tor (Debian: apt install tor), or say where it is with --tor-binary");
    return NK_ENOCMD;
}

/* --- directories ------------------------------------------------------------------------------ */

static int too_long(const char *dir, struct nk_diag *diag)
{
    nk_fail(diag, NK_ETOOBIG, "'%s' is too long for the path of a socket", dir);
    nk_hint(diag, "set TMPDIR or --state-dir to something shorter");
    return NK_ETOOBIG;
}

static int make_temporary(struct tor_launch_files *f, const char *base, struct nk_diag *diag)
{
    const size_t behind = sizeof(control_name); /* what the sockets need */
    int rc = tor_scratch_make(base, f->dir, sizeof(f->dir) - behind, &f->lock, diag);
    f->temporary = rc == 0;
    return rc == NK_ETOOBIG ? too_long(base, diag) : rc;
}

static int find_temporary(struct tor_launch_files *f, const char *state_dir, struct nk_diag *diag)
{
    static const char *const names[] = {"TMPDIR", "TMP"};
    char base[NK_PATH_MAX] = "";
    bool state = state_dir && nk_path_join(base, sizeof(base), state_dir, "tor") == 0;
    if (state) {
        tor_scratch_sweep(base); /* also when the new one is somewhere else */
    }
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        const char *value = getenv(names[i]);
        if (value && value[0] == '/' && make_temporary(f, value, diag) == 0) {
            return 0;
        }
    }
    if (!state) {
        return nk_fail(diag, NK_ECONFIG, "there is no place for a temporary directory");
    }
    int rc = nk_mkdirs(base, diag);
    return rc < 0 ? rc : make_temporary(f, base, diag);
}

/* The data directory, as an absolute path. */
static int make_data(struct tor_launch_files *f, const char *given, struct nk_diag *diag)
{
    char path[NK_PATH_MAX], real[PATH_MAX];
    struct stat st;
    int rc = given && strlen(given) < sizeof(path) ? 0 : NK_ETOOBIG;
    if (rc == 0) {
        memcpy(path, given, strlen(given) + 1);
    } else if (given || nk_path_join(path, sizeof(path), f->dir, "data") < 0) {
        return nk_fail(diag, NK_ETOOBIG, "path too long: %s", given ? given : f->dir);
    }
    f->fresh = stat(path, &st) < 0;
    rc = nk_mkdirs(path, diag);
    if (rc < 0) {
        return rc;
    }
    if (!realpath(path, real)) {
        return nk_fail_sys(diag, -errno, "%s", path);
    }
    if (strlen(real) >= sizeof(f->data)) {
        return nk_fail(diag, NK_ETOOBIG, "path too long: %s", real);
    }
    memcpy(f->data, real, strlen(real) + 1);
    return 0;
}

/* With --user, tor starts as that user (its own option User would leave out unix sockets while its
 * network is disabled), and keeps its files so. What is written to dir later belongs to its owner.
 */
static int give_to(struct tor_launch_files *f, const char *user, struct nk_diag *diag)
{
    if (geteuid() != 0) {
        return nk_fail(diag, -EPERM, "only root can start tor as '%s'", user);
    }
    const struct passwd *pw = getpwnam(user);
    if (!pw) {
        return nk_fail(diag, NK_EUSAGE, "there is no user '%s'", user);
    }
    f->become = true;
    f->uid = pw->pw_uid;
    f->gid = pw->pw_gid;
    if (chown(f->dir, pw->pw_uid, pw->pw_gid) < 0 ||
        (f->fresh && chown(f->data, pw->pw_uid, pw->pw_gid) < 0)) {
        return nk_fail_sys(diag, -errno, "giving %s to '%s'", f->dir, user);
    }
    return 0;
}

/* --- files ------------------------------------------------------------------------------------ */

static int write_torrc(const struct tor_launch_files *f, const struct tor_launch_conf *conf,
                       bool enabled, struct nk_diag *diag)
{
    const struct tor_torrc t = {.data_dir = f->data,
                                .control = f->control,
                                .socks = conf->socks ? conf->socks : "auto",
                                .socks_path = f->socks,
                                .owner = enabled ? 0 : getpid(),
                                .enabled = enabled,
                                .keep_disk = conf->data_dir || !f->temporary,
                                .lines = conf->torrc};
    struct nk_buf text;
    nk_buf_init(&text, TOR_TORRC_MAX);
    int rc = tor_torrc_write(&text, &t, diag);
    rc = rc < 0 ? rc
                : nk_file_write(enabled ? f->next : f->torrc, NK_FILE_OVERWRITE | NK_FILE_OF_DIR,
                                nk_buf_ptr(&text), nk_buf_len(&text), diag);
    nk_buf_clear(&text);
    return rc;
}

static int name_all(struct tor_launch_files *f, struct nk_diag *diag)
{
    const struct {
        char *out;
        size_t max;
        const char *name;
    } names[] = {{f->control, sizeof(f->control), control_name},
                 {f->socks, sizeof(f->socks), socks_name},
                 {f->torrc, sizeof(f->torrc), "torrc"},
                 {f->next, sizeof(f->next), "torrc.enabled"},
                 {f->defaults, sizeof(f->defaults), "torrc-defaults"}};
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        if (nk_path_join(names[i].out, names[i].max, f->dir, names[i].name) < 0) {
            return too_long(f->dir, diag);
        }
    }
    return 0;
}

static int make_all(struct tor_launch_files *f, const struct tor_launch_conf *conf,
                    struct nk_diag *diag)
{
    int rc = name_all(f, diag);
    rc = rc < 0 ? rc : make_data(f, conf->data_dir, diag);
    rc = rc == 0 && conf->user ? give_to(f, conf->user, diag) : rc;
    rc = rc < 0 ? rc : write_torrc(f, conf, false, diag);
    rc = rc < 0 ? rc : write_torrc(f, conf, true, diag);
    return rc < 0 ? rc
                  : nk_file_write(f->defaults, NK_FILE_OVERWRITE | NK_FILE_OF_DIR, "", 0, diag);
}

int tor_launch_files_make(struct tor_launch_files *f, const struct tor_launch_conf *conf,
                          const char *state_dir, struct nk_diag *diag)
{
    int rc = 0;
    *f = (struct tor_launch_files){.temporary = false};
    if (!conf->dir) {
        rc = find_temporary(f, state_dir, diag);
    } else if (strlen(conf->dir) < sizeof(f->dir)) {
        memcpy(f->dir, conf->dir, strlen(conf->dir) + 1);
    } else {
        rc = too_long(conf->dir, diag);
    }
    rc = rc < 0 ? rc : make_all(f, conf, diag);
    if (rc < 0) {
        tor_launch_files_remove(f);
        tor_launch_files_close(f);
    }
    return rc;
}

int tor_launch_files_enabled(const struct tor_launch_files *f)
{
    return rename(f->next, f->torrc) < 0 ? -errno : 0;
}

void tor_launch_files_remove(const struct tor_launch_files *f)
{
    if (f->temporary) {
        (void)nk_remove_tree(f->dir); /* private, and in a place for temporary files */
    }
}

void tor_launch_files_close(struct tor_launch_files *f)
{
    if (f->temporary) {
        close(f->lock);
        f->temporary = false;
    }
}

/* --- seeding ---------------------------------------------------------------------------------- */

static int copy_bytes(int in, int out)
{
    char *buf = malloc(COPY_BYTES);
    int rc = buf ? 0 : -ENOMEM;
    while (rc == 0) {
        ssize_t n = read(in, buf, COPY_BYTES);
        if (n <= 0) {
            rc = n < 0 ? -errno : 0;
            break;
        }
        rc = write(out, buf, (size_t)n) == n ? 0 : -EIO;
    }
    free(buf);
    return rc;
}

/* One file between two open directories. A file that is not there is none. */
static int copy_file(int from, int to, const char *name)
{
    int in = openat(from, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    if (in < 0) {
        return errno == ENOENT ? 0 : -errno;
    }
    int out = openat(to, name, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    int rc = out < 0 ? -errno : copy_bytes(in, out);
    close(in);
    if (out >= 0 && close(out) < 0 && rc == 0) {
        rc = -errno;
    }
    if (rc < 0 && out >= 0) {
        (void)unlinkat(to, name, 0); /* half of it is worse than nothing */
    }
    return rc;
}

/* Whether `from` has a consensus, and `to` none that is as new. */
static bool is_newer(int from, int to, const char *name)
{
    struct stat a, b;
    if (fstatat(from, name, &a, AT_SYMLINK_NOFOLLOW) < 0) {
        return false;
    }
    return fstatat(to, name, &b, AT_SYMLINK_NOFOLLOW) < 0 || a.st_mtime > b.st_mtime;
}

int tor_launch_seed(const char *from, const char *to)
{
    /* the consensus last: with it the others are taken as being there */
    static const char *const names[] = {"cached-certs", "cached-microdescs",
                                        "cached-microdescs.new", "cached-microdesc-consensus"};
    enum { NAMES = sizeof(names) / sizeof(*names) };
    int a = open(from, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int b = open(to, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int rc = a < 0 || b < 0 ? -errno : is_newer(a, b, names[NAMES - 1]);
    for (size_t i = 0; rc > 0 && i < NAMES; i++) {
        int done = copy_file(a, b, names[i]);
        rc = done < 0 ? done : rc;
    }
    if (a >= 0) {
        close(a);
    }
    if (b >= 0) {
        close(b);
    }
    return rc;
}
