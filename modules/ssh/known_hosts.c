/* SPDX-License-Identifier: MIT */
/* Files of host keys: what they say about a host, and changing them. Lines are known_line.c's. */
#include "ssh/known_hosts.h"

#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "ssh/pubkey.h"

enum {
    LOCK_TRIES = 50, /* with LOCK_PAUSE between: whoever has the lock holds it for a moment */
    LOCK_PAUSE = 2   /* ms; flock has no event to wait for */
};

static bool is_no_file(const char *file)
{
    return strcmp(file, "none") == 0 || strcmp(file, "/dev/null") == 0;
}

/* --- looking up ------------------------------------------------------------------------------- */

static int add_key(struct ssh_known_hosts *k, const struct ssh_known_key *key)
{
    struct ssh_known_key *v = realloc(k->v, (k->n + 1) * sizeof(*v));
    if (!v) {
        return -ENOMEM;
    }
    k->v = v;
    k->v[k->n++] = *key;
    return 0;
}

static int take_line(struct ssh_known_hosts *k, const struct ssh_known_line *l, const char *file,
                     bool portless, struct nk_log *log)
{
    struct ssh_known_key key = {.file = file,
                                .number = l->number,
                                .marker = l->marker,
                                .portless = portless,
                                .single = ssh_known_single(l->hosts),
                                .hashed = ssh_known_hashed(l->hosts)};
    struct ssh_public public;
    struct nk_diag why = {0};
    struct nk_buf blob;
    nk_buf_init(&blob, SSH_BLOB_MAX);
    int rc = ssh_known_key(l, &blob);
    if (rc == NK_EFORMAT || rc == NK_ETOOBIG) {
        nk_warn(log, "ssh", "%s:%u: the key is malformed", file, l->number);
        k->malformed++;
    } else if (rc == 0) {
        struct ssh_str raw = {nk_buf_ptr(&blob), nk_buf_len(&blob)};
        /* a short RSA key is known all the same: what it may be used for is decided elsewhere */
        if (ssh_public_parse(raw, 1, &public, &why) < 0 || public.is_cert) {
            nk_debug(log, "ssh", "%s:%u: left out: %s", file, l->number,
                     why.text[0] ? why.text : "a certificate");
        } else {
            key.blob = nk_buf_detach(&blob, &key.n);
            rc = add_key(k, &key);
            if (rc < 0) {
                free(key.blob);
            }
        }
    }
    nk_buf_clear(&blob);
    return rc == -ENOMEM ? rc : 0;
}

static int take_text(struct ssh_known_hosts *k, const char *file, const struct nk_buf *text,
                     struct nk_log *log)
{
    struct ssh_known_reader r;
    struct ssh_known_line l;
    int rc = 0;
    ssh_known_read(&r, nk_buf_ptr(text), nk_buf_len(text));
    while (rc == 0 && ssh_known_next(&r, &l)) {
        if (l.problem) {
            nk_warn(log, "ssh", "%s:%u: %s", file, l.number, l.problem);
            k->malformed++;
        } else if (l.entry && ssh_known_matches(l.hosts, k->name)) {
            rc = take_line(k, &l, file, false, log);
        } else if (l.entry && k->portless[0] && ssh_known_matches(l.hosts, k->portless)) {
            rc = take_line(k, &l, file, true, log);
        }
    }
    return rc;
}

static int load_file(struct ssh_known_hosts *k, const char *file, struct nk_log *log,
                     struct nk_diag *diag)
{
    struct nk_buf text;
    if (is_no_file(file) || (access(file, F_OK) < 0 && (errno == ENOENT || errno == ENOTDIR))) {
        return 0;
    }
    nk_buf_init(&text, SSH_KNOWN_FILE_MAX);
    int rc = nk_file_read(file, 0, &text, diag);
    if (rc == 0) {
        rc = take_text(k, file, &text, log);
        rc = rc < 0 ? nk_fail_sys(diag, rc, "%s", file) : 0;
    }
    nk_buf_clear(&text);
    return rc;
}

int ssh_known_hosts_load(struct ssh_known_hosts *out, const char *host, uint16_t port,
                         const char *const *files, size_t nfiles, struct nk_log *log,
                         struct nk_diag *diag)
{
    int rc = 0;
    if (!ssh_known_name(out->name, host, port) ||
        (port != SSH_PORT && !ssh_known_name(out->portless, host, SSH_PORT))) {
        return nk_fail(diag, NK_EUSAGE, "'%s' cannot be the name of a host", host);
    }
    for (size_t i = 0; rc == 0 && i < nfiles; i++) {
        rc = load_file(out, files[i], log, diag);
    }
    return rc;
}

void ssh_known_hosts_clear(struct ssh_known_hosts *k)
{
    for (size_t i = 0; i < k->n; i++) {
        free(k->v[i].blob);
    }
    free(k->v);
    *k = (struct ssh_known_hosts){0};
}

/* --- writing ---------------------------------------------------------------------------------- */

static int lock(int fd)
{
    for (int i = 0; flock(fd, LOCK_EX | LOCK_NB) < 0; i++) {
        if (errno != EWOULDBLOCK && errno != EINTR) {
            return -errno;
        }
        if (i == LOCK_TRIES) {
            return NK_ELOCKED;
        }
        (void)poll(NULL, 0, LOCK_PAUSE);
    }
    return 0;
}

/* 1: the file that was locked is the one that is called so; 0: it has been replaced meanwhile. */
static int lock_opened(int fd, const char *file, struct stat *st)
{
    struct stat now;
    int rc = fstat(fd, st) < 0 ? -errno : 0;
    if (rc == 0 && !S_ISREG(st->st_mode)) {
        rc = -EINVAL;
    }
    rc = rc < 0 ? rc : lock(fd);
    if (rc == 0) {
        rc = fstat(fd, st) == 0 && lstat(file, &now) == 0 && now.st_ino == st->st_ino &&
             now.st_dev == st->st_dev;
    }
    return rc;
}

static int open_locked(const char *file, int flags, struct stat *st, struct nk_diag *diag)
{
    int fd, rc;
    do {
        fd = open(file, flags | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0600);
        rc = fd < 0 ? -errno : lock_opened(fd, file, st);
        if (rc <= 0 && fd >= 0) {
            (void)close(fd);
        }
    } while (rc == 0);
    if (rc < 0) {
        nk_fail_sys(diag, rc, "%s", file);
        if (rc == -ELOOP) {
            nk_hint(diag, "it is a symbolic link; name the file itself");
        }
        return rc;
    }
    return fd;
}

static int write_all(int fd, const struct nk_buf *b, off_t before)
{
    ssize_t n = write(fd, nk_buf_ptr(b), nk_buf_len(b));
    int rc = n < 0 ? -errno : 0;
    if (rc == 0 && (size_t)n < nk_buf_len(b)) { /* no half lines */
        rc = ftruncate(fd, before) < 0 ? -errno : -ENOSPC;
    }
    return rc;
}

/* The lines, after the end that the last one may lack. */
static int append(int fd, const struct stat *st, const void *lines, size_t n)
{
    struct nk_buf b;
    char last = '\n';
    if (st->st_size > 0 && pread(fd, &last, 1, st->st_size - 1) != 1) {
        return -EIO;
    }
    nk_buf_init(&b, n + 1);
    int rc = last == '\n' ? 0 : nk_buf_u8(&b, '\n');
    rc = rc < 0 ? rc : nk_buf_put(&b, lines, n);
    rc = rc < 0 ? rc : write_all(fd, &b, st->st_size);
    nk_buf_clear(&b);
    return rc;
}

int ssh_known_hosts_append(const char *file, const void *lines, size_t n, struct nk_diag *diag)
{
    char dir[NK_PATH_MAX];
    struct stat st;
    if (is_no_file(file) || n == 0) {
        return 0;
    }
    int rc = nk_file_dir(dir, sizeof(dir), file);
    rc = rc < 0 ? nk_fail_sys(diag, rc, "%s", file) : nk_mkdirs(dir, diag);
    int fd = rc < 0 ? rc : open_locked(file, O_RDWR | O_APPEND | O_CREAT, &st, diag);
    if (fd < 0) {
        return fd;
    }
    rc = append(fd, &st, lines, n);
    if (close(fd) < 0 && rc == 0) {
        rc = -errno;
    }
    return rc < 0 ? nk_fail_sys(diag, rc, "%s", file) : 0;
}

/* --- writing anew ----------------------------------------------------------------------------- */

/* The text as fn wants it. The number of changes, or an error. */
static int rewrite(const struct nk_buf *text, struct nk_buf *out, ssh_known_edit_fn *fn, void *arg)
{
    struct ssh_known_reader r;
    struct ssh_known_line l;
    int changes = 0;
    ssh_known_read(&r, nk_buf_ptr(text), nk_buf_len(text));
    while (ssh_known_next(&r, &l)) {
        int rc = fn(arg, &l, out);
        if (rc > 0) {
            rc = nk_buf_put(out, l.whole.p, l.whole.n);
            rc = rc < 0 ? rc : nk_buf_u8(out, '\n');
        } else if (rc == 0) {
            changes++;
        }
        if (rc < 0) {
            return rc;
        }
    }
    size_t before = nk_buf_len(out);
    int rc = fn(arg, NULL, out);
    return rc < 0 ? rc : changes + (nk_buf_len(out) > before);
}

/* Like the file it replaces: mode and owner. */
static int replace(const char *file, const struct stat *st, const struct nk_buf *b,
                   struct nk_diag *diag)
{
    struct nk_file_draft d = {.dir = -1};
    int rc = nk_file_draft(&d, file, NK_FILE_OVERWRITE, nk_buf_ptr(b), nk_buf_len(b), diag);
    if (rc < 0) {
        return rc;
    }
    bool ours = st->st_uid == geteuid() && st->st_gid == getegid();
    if ((!ours && fchownat(d.dir, d.temp, st->st_uid, st->st_gid, AT_SYMLINK_NOFOLLOW) < 0) ||
        fchmodat(d.dir, d.temp, st->st_mode & 0777, 0) < 0) {
        rc = nk_fail_sys(diag, -errno, "%s", file);
        nk_file_discard(&d);
        return rc;
    }
    return nk_file_publish(&d, diag);
}

int ssh_known_hosts_edit(const char *file, bool dry, ssh_known_edit_fn *fn, void *arg,
                         struct nk_diag *diag)
{
    struct nk_buf text, out;
    struct stat st;
    if (is_no_file(file)) {
        return 0;
    }
    int fd = open_locked(file, O_RDWR, &st, diag);
    if (fd < 0) {
        return fd;
    }
    nk_buf_init(&text, SSH_KNOWN_FILE_MAX);
    nk_buf_init(&out, SSH_KNOWN_FILE_MAX);
    int rc = nk_file_read_fd(fd, &text, diag);
    if (rc == 0) {
        rc = rewrite(&text, &out, fn, arg);
        if (rc < 0) {
            nk_fail_sys(diag, rc, "%s", file);
        }
    }
    if (rc > 0 && !dry) {
        int written = replace(file, &st, &out, diag);
        rc = written < 0 ? written : rc;
    }
    (void)close(fd); /* after the rename: the lock is on what was replaced */
    nk_buf_clear(&text);
    nk_buf_clear(&out);
    return rc;
}
