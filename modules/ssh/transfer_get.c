/* SPDX-License-Identifier: MIT */
/* Files and directories from there to here. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/work.h"
#include "ssh/transfer_impl.h"

enum {
    MODE_BITS = 0777, /* what a server may say about modes here: no set-user-id */
    MODE_DEFAULT = 0666,
    MODE_PART = 0600,
    MODE_OWNER = 0700
};
/* Most bytes of a file whose size is not known, as of those in /proc. */
#define ENDLESS_MAX ((uint64_t)64 * 1024 * 1024)

static void on_reply(void *owner, const struct ssh_sftp_reply *r);

static struct ssh_sftp_for by(struct transfer_file *f)
{
    return (struct ssh_sftp_for){.fn = on_reply, .owner = f};
}

/* ---- the end of a file ---------------------------------------------------------------------- */

struct sync_job {
    struct transfer_file *f;
    int fd, rc;
};

static void publish(struct transfer_file *f)
{
    if (renameat(f->at, f->part, f->at, f->name) < 0) {
        transfer_file_fail(f, -errno, "cannot give its name to");
    } else {
        transfer_file_whole(f);
    }
}

static void sync_run(void *job)
{
    struct sync_job *j = job;
    j->rc = fsync(j->fd) < 0 ? -errno : 0;
}

static void sync_done(void *job)
{
    struct sync_job *j = job;
    j->f->work = NULL;
    if (j->rc < 0) {
        transfer_file_fail(j->f, j->rc, "cannot write to the disk");
    } else {
        publish(j->f);
    }
}

static void sync_drop(void *job)
{
    struct sync_job *j = job;
    close(j->fd);
    free(j);
}

static int sync_start(struct transfer_file *f)
{
    static const struct nk_work_ops ops = {.run = sync_run, .done = sync_done, .drop = sync_drop};
    struct sync_job *j = malloc(sizeof(*j));
    if (!j) {
        return -ENOMEM;
    }
    *j = (struct sync_job){.f = f, .fd = fcntl(f->fd, F_DUPFD_CLOEXEC, 0)};
    if (j->fd < 0) {
        free(j);
        return -EMFILE; /* the descriptor is open: there are too many */
    }
    int rc = nk_work_submit(f->t->conf.app, NK_LANE_DISK, &ops, j, &f->work);
    if (rc < 0) {
        sync_drop(j);
    }
    return rc;
}

static mode_t mode_of(const struct ssh_transfer *t, const struct ssh_sftp_attrs *a, mode_t usual)
{
    const mode_t mode = a->has & SSH_SFTP_HAS_MODE ? (mode_t)a->mode & MODE_BITS : usual;
    return t->conf.preserve ? mode : mode & ~(mode_t)t->conf.umask;
}

static int set_attrs(const struct ssh_transfer *t, int fd, const struct ssh_sftp_attrs *a,
                     mode_t usual)
{
    const struct timespec times[2] = {{.tv_sec = (time_t)a->atime}, {.tv_sec = (time_t)a->mtime}};
    if (fchmod(fd, mode_of(t, a, usual)) < 0) {
        return -errno;
    }
    if (t->conf.preserve && a->has & SSH_SFTP_HAS_TIMES && futimens(fd, times) < 0) {
        return -errno;
    }
    return 0;
}

static void finish(struct transfer_file *f)
{
    f->step = STEP_SYNC;
    f->open = false;
    (void)ssh_sftp_of(&f->t->sftp, SSH_FXP_CLOSE, &f->handle, transfer_nobody(f->t));
    int rc = set_attrs(f->t, f->fd, &f->attrs, MODE_DEFAULT);
    rc = rc < 0 || !f->t->conf.sync ? rc : sync_start(f);
    if (rc < 0) {
        transfer_file_fail(f, rc, "cannot finish");
    } else if (!f->t->conf.sync) {
        publish(f);
    }
}

/* ---- its data ------------------------------------------------------------------------------- */

static int ask_read(struct transfer_file *f, uint64_t offset, size_t n)
{
    int rc = ssh_sftp_read(&f->t->sftp, &f->handle, offset, n, by(f));
    if (rc == 0) {
        f->waiting++;
        transfer_moving(f, offset, n);
    }
    return rc;
}

void transfer_get_data(struct transfer_file *f)
{
    const size_t max = f->t->sftp.read_max;
    int rc = 0;
    while (rc == 0 && f->next < f->size && transfer_may_move(f->t) &&
           (!f->endless || f->waiting == 0)) {
        size_t n = f->size - f->next < max ? (size_t)(f->size - f->next) : max;
        rc = ask_read(f, f->next, n);
        f->next += rc == 0 && !f->endless ? n : 0;
    }
    if (rc < 0 && rc != NK_EAGAIN) {
        transfer_file_fail(f, rc, "cannot ask for");
    } else if (f->next >= f->size && f->waiting == 0) {
        if (f->endless) {
            transfer_file_fail(f, NK_ETOOBIG, "no size is known of");
        } else {
            finish(f);
        }
    }
}

/* Write all of it; 0 or -errno. */
static int write_here(const struct transfer_file *f, struct ssh_str data, uint64_t offset)
{
    size_t done = 0;
    while (done < data.n) {
        ssize_t n = pwrite(f->fd, data.p + done, data.n - done, (off_t)(offset + done));
        if (n < 0 && errno != EINTR) {
            return -errno;
        }
        done += n > 0 ? (size_t)n : 0;
    }
    return 0;
}

static void on_end(struct transfer_file *f)
{
    if (!f->endless) {
        transfer_file_fail(f, NK_ETRUNC, "has become shorter:");
        return;
    }
    f->endless = false;
    f->size = f->next; /* known now */
    transfer_get_data(f);
}

static void on_data(struct transfer_file *f, const struct ssh_sftp_reply *r)
{
    if (r->status == SSH_FX_EOF) {
        on_end(f);
        return;
    }
    if (transfer_reply_failed(f->t, r, "cannot read", f->remote)) {
        transfer_file_stop(f);
        return;
    }
    int rc = write_here(f, r->data, r->offset);
    if (rc == 0 && f->endless) {
        f->next += r->data.n;
    } else if (rc == 0 && r->data.n < r->asked) { /* a server may give less than was asked for */
        rc = ask_read(f, r->offset + r->data.n, r->asked - r->data.n);
    }
    if (rc < 0) {
        transfer_file_fail(f, rc, "cannot write here");
    } else {
        transfer_get_data(f);
    }
}

/* ---- its beginning -------------------------------------------------------------------------- */

static void open_new(struct transfer_file *f)
{
    (void)unlinkat(f->at, f->part, 0); /* of another time */
    f->fd = openat(f->at, f->part, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, MODE_PART);
    if (f->fd < 0) {
        transfer_file_fail(f, -errno, "cannot write here");
        return;
    }
    transfer_begins(f, 0);
    transfer_get_data(f);
}

/* A regular file here that may be the one, or (part) its beginning: f->fd and f->start. */
static bool open_old(struct transfer_file *f, const char *name, bool part)
{
    struct stat st;
    f->fd = openat(f->at, name,
                   (part ? O_RDWR : O_RDONLY) | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (f->fd < 0) {
        return false;
    }
    if (fstat(f->fd, &st) == 0 && S_ISREG(st.st_mode)) {
        /* what came out of order before an end may have left a hole */
        off_t hole = part && st.st_size > 0 ? lseek(f->fd, 0, SEEK_HOLE) : st.st_size;
        f->start = (uint64_t)(hole >= 0 && hole < st.st_size ? hole : st.st_size);
        const bool same_time = !f->t->conf.preserve || st.st_mtim.tv_sec == (time_t)f->attrs.mtime;
        if (part ? f->start > 0 && f->start <= f->size : f->start == f->size && same_time) {
            return true;
        }
    }
    close(f->fd);
    f->fd = -1;
    return false;
}

static void already_here(struct transfer_file *f)
{
    (void)ssh_sftp_of(&f->t->sftp, SSH_FXP_CLOSE, &f->handle, transfer_nobody(f->t));
    f->t->state.had++;
    transfer_file_whole(f);
}

static void try_old(struct transfer_file *f)
{
    bool found = !f->old_part && open_old(f, f->name, false);
    if (!found) {
        f->old_part = true;
        found = open_old(f, f->part, true);
    }
    if (!found) {
        open_new(f);
        return;
    }
    size_t n = f->start < TRANSFER_TAIL ? (size_t)f->start : TRANSFER_TAIL;
    n = n < f->t->sftp.read_max ? n : f->t->sftp.read_max;
    f->step = STEP_TAIL;
    transfer_asked(f, ssh_sftp_read(&f->t->sftp, &f->handle, f->start - n, n, by(f)));
}

static void on_tail(struct transfer_file *f, const struct ssh_sftp_reply *r)
{
    const bool same = r->rc == 0 && r->data.n == r->asked && transfer_same(f, r->offset, r->data);
    if (same && !f->old_part) {
        already_here(f);
    } else if (same && ftruncate(f->fd, (off_t)f->start) == 0) {
        transfer_begins(f, f->start);
        transfer_get_data(f);
    } else {
        close(f->fd);
        f->fd = -1;
        if (f->old_part) {
            open_new(f);
        } else {
            f->old_part = true;
            try_old(f);
        }
    }
}

static void on_open(struct transfer_file *f, const struct ssh_sftp_reply *r)
{
    if (transfer_reply_failed(f->t, r, "cannot open", f->remote)) {
        transfer_file_stop(f);
        return;
    }
    f->handle = r->handle;
    f->open = true;
    if (f->t->conf.resume && f->size > 0 && !f->endless) {
        try_old(f);
    } else {
        open_new(f);
    }
}

static void on_reply(void *owner, const struct ssh_sftp_reply *r)
{
    struct transfer_file *f = owner;
    f->waiting--;
    if (f->step != STEP_TAIL && r->asked > 0) {
        transfer_moved(f, r, r->data.n);
    }
    switch (f->step) {
    case STEP_OPEN:
        on_open(f, r);
        break;
    case STEP_TAIL:
        on_tail(f, r);
        break;
    case STEP_DATA:
        on_data(f, r);
        break;
    default:
        transfer_file_clean(f);
        break;
    }
    transfer_go_on(f->t);
}

static void get_file(struct ssh_transfer *t, struct transfer_dir *dir, char *take_remote, int at,
                     const char *name, const struct ssh_sftp_attrs *a)
{
    struct transfer_file *f = transfer_file_new(t, dir, take_remote, -1);
    if (!f) {
        return;
    }
    f->at = at;
    f->attrs = *a;
    f->endless = !(a->has & SSH_SFTP_HAS_SIZE) || a->size == 0;
    f->size = f->endless ? ENDLESS_MAX : a->size;
    size_t n = strlen(name);
    f->part = malloc(n + sizeof(SSH_TRANSFER_PART));
    if (!f->part) {
        transfer_file_fail(f, -ENOMEM, "cannot transfer");
        return;
    }
    memcpy(f->name, name, n + 1);
    memcpy(f->part, name, n);
    memcpy(f->part + n, SSH_TRANSFER_PART, sizeof(SSH_TRANSFER_PART));
    if (transfer_collides(f)) {
        transfer_file_fail(f, -EEXIST, TRANSFER_COLLISION);
        return;
    }
    transfer_asked(f, ssh_sftp_open(&t->sftp, f->remote, SSH_SFTP_READ, NULL, by(f)));
}

/* ---- directories ---------------------------------------------------------------------------- */

static void on_dir_open(void *owner, const struct ssh_sftp_reply *r)
{
    struct transfer_dir *d = owner;
    d->waiting = false;
    d->handle = r->handle;
    d->ended = transfer_reply_failed(d->t, r, "cannot open", d->remote);
    d->open = !d->ended;
    transfer_go_on(d->t);
}

static void on_names(void *owner, const struct ssh_sftp_reply *r)
{
    struct transfer_dir *d = owner;
    int rc = 0;
    d->waiting = false;
    if (r->status == SSH_FX_EOF || transfer_reply_failed(d->t, r, "cannot list", d->remote) ||
        nk_cur_left(&r->names) == 0) {
        d->ended = true;
    } else {
        nk_buf_reset(&d->names);
        rc = nk_buf_put(&d->names, r->names.p, nk_cur_left(&r->names));
    }
    if (rc < 0) {
        transfer_failed(d->t, rc, "cannot list", d->remote);
        d->ended = true;
    }
    transfer_go_on(d->t);
}

/* A directory here, below at, that is made unless it is there; not through a link. */
static int make_here(int at, const char *name, bool *made)
{
    *made = mkdirat(at, name, MODE_OWNER) == 0;
    if (!*made && errno != EEXIST) {
        return -errno;
    }
    int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

/* name: "" is the directory at itself. */
static void get_dir(struct ssh_transfer *t, struct transfer_dir *up, const char *remote, int at,
                    const char *name, const struct ssh_sftp_attrs *a)
{
    bool made = false;
    int fd = name[0] ? make_here(at, name, &made) : fcntl(at, F_DUPFD_CLOEXEC, 0);
    if (fd < 0) {
        transfer_failed(t, name[0] ? fd : -errno, "cannot make the directory for", remote);
        return;
    }
    struct transfer_dir *d = transfer_dir_new(t, up, fd, remote);
    if (!d) {
        return;
    }
    d->attrs = *a;
    d->made = made || (name[0] && t->conf.preserve);
    int rc = ssh_sftp_path(&t->sftp, SSH_FXP_OPENDIR, remote,
                           (struct ssh_sftp_for){.fn = on_dir_open, .owner = d});
    d->waiting = rc == 0;
    if (rc < 0) {
        transfer_failed(t, rc, "cannot open", remote);
        d->ended = true;
    }
}

void transfer_get_dir_end(struct transfer_dir *d)
{
    int rc = set_attrs(d->t, d->fd, &d->attrs, MODE_BITS);
    if (rc < 0) {
        transfer_failed(d->t, rc, "cannot set mode and times of", d->remote);
    }
}

/* ---- what comes next ------------------------------------------------------------------------ */

/* A thing of the server that becomes `name` below at. */
static void get_thing(struct ssh_transfer *t, struct transfer_dir *up, char *take_remote, int at,
                      const char *name, const struct ssh_sftp_attrs *a)
{
    const uint32_t mode = a->has & SSH_SFTP_HAS_MODE ? a->mode : 0;
    const bool part = S_ISREG(mode) && transfer_is_part(t, up, name);
    if (S_ISREG(mode) && name[0] && !part) {
        get_file(t, up, take_remote, at, name, a);
        return;
    }
    if (S_ISDIR(mode) && t->conf.recursive) {
        get_dir(t, up, take_remote, at, name, a);
    } else {
        transfer_left_out(t, take_remote,
                          S_ISDIR(mode)   ? "a directory"
                          : S_ISLNK(mode) ? "a symbolic link"
                          : part          ? TRANSFER_PART
                                          : "not a regular file");
    }
    free(take_remote);
}

/* The next name that the server told; what is wrong with it is told, too. */
static void get_name(struct ssh_transfer *t, struct transfer_dir *d)
{
    char text[SSH_SFTP_NAME_MAX + 1] = "";
    struct ssh_sftp_attrs a;
    struct ssh_str name;
    struct nk_cur c;
    nk_cur_init(&c, nk_buf_ptr(&d->names), nk_buf_len(&d->names));
    if (!ssh_sftp_next_name(&c, &name, &a)) {
        nk_buf_reset(&d->names);
        return;
    }
    const size_t used = nk_buf_len(&d->names) - nk_cur_left(&c);
    const bool ok = ssh_sftp_name_ok(name);
    const bool dots = ssh_str_is(name, ".") || ssh_str_is(name, "..");
    memcpy(text, name.p, name.n < SSH_SFTP_NAME_MAX ? name.n : SSH_SFTP_NAME_MAX);
    nk_buf_consume(&d->names, used);
    char *remote = ok ? transfer_path(d->remote, text) : NULL;
    if (remote) {
        get_thing(t, d, remote, d->fd, text, &a);
    } else if (!dots) {
        transfer_failed(t, ok ? -ENOMEM : NK_EPROTO, "refused the file name", text);
    }
}

static bool get_from_dir(struct ssh_transfer *t, struct transfer_dir *d)
{
    if (d->waiting) {
        return false;
    }
    if (nk_buf_len(&d->names) > 0) {
        get_name(t, d);
        return true;
    }
    if (!d->ended) {
        int rc = ssh_sftp_of(&t->sftp, SSH_FXP_READDIR, &d->handle,
                             (struct ssh_sftp_for){.fn = on_names, .owner = d});
        d->waiting = rc == 0;
        if (rc == 0) {
            return false;
        }
        transfer_failed(t, rc, "cannot list", d->remote);
    }
    if (d->open) {
        (void)ssh_sftp_of(&t->sftp, SSH_FXP_CLOSE, &d->handle, transfer_nobody(t));
    }
    transfer_dir_leave(d);
    return true;
}

static void on_from(void *owner, const struct ssh_sftp_reply *r)
{
    struct ssh_transfer *t = owner;
    const char *from = t->conf.from[t->from_next++];
    char base[SSH_SFTP_NAME_MAX + 1];
    t->from_waiting = false;
    transfer_base(base, t->to_dir ? from : t->conf.to);
    if (!ssh_sftp_name_ok((struct ssh_str){.p = (const uint8_t *)base, .n = strlen(base)})) {
        base[0] = '\0'; /* of ".", the contents */
    }
    if (!transfer_reply_failed(t, r, "cannot get", from)) {
        char *remote = strdup(from[0] ? from : ".");
        if (remote) {
            get_thing(t, NULL, remote, t->to_fd, base, &r->attrs);
        } else {
            transfer_failed(t, -ENOMEM, "cannot get", from);
        }
    }
    transfer_go_on(t);
}

bool transfer_get_next(struct ssh_transfer *t)
{
    if (t->top) {
        return get_from_dir(t, t->top);
    }
    if (t->from_next == t->conf.from_n || t->from_waiting) {
        return false;
    }
    const char *from = t->conf.from[t->from_next];
    int rc = ssh_sftp_path(&t->sftp, SSH_FXP_STAT, from[0] ? from : ".",
                           (struct ssh_sftp_for){.fn = on_from, .owner = t});
    t->from_waiting = rc == 0;
    if (rc < 0) {
        t->from_next++;
        transfer_failed(t, rc, "cannot get", from);
    }
    return rc < 0;
}

/* The directory that path is in, or is itself; the user's own words, so links are followed. */
static int open_to(const char *path, bool *is_dir)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    *is_dir = fd >= 0;
    if (fd >= 0 || path[0] == '\0' || path[strlen(path) - 1] == '/') {
        return fd < 0 ? -errno : fd;
    }
    const char *slash = strrchr(path, '/');
    char *dir = slash ? strndup(path, (size_t)(slash - path) + 1) : strdup(".");
    fd = dir ? open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    int rc = !dir ? -ENOMEM : fd < 0 ? -errno : fd;
    free(dir);
    return rc;
}

void transfer_get_to(struct ssh_transfer *t)
{
    int rc = open_to(t->conf.to, &t->to_dir);
    t->to_known = true;
    t->to_fd = rc < 0 ? -1 : rc;
    if (rc >= 0 && t->conf.from_n > 1 && !t->to_dir) {
        rc = -ENOTDIR;
    }
    if (rc < 0) {
        transfer_failed(t, rc, "cannot write into", t->conf.to);
        t->from_next = t->conf.from_n;
    }
}
