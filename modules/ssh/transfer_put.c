/* SPDX-License-Identifier: MIT */
/* Files and directories from here to there. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ssh/transfer_impl.h"

enum {
    MODE_BITS = 0777, /* what is told of a mode; the server's umask counts, too */
    MODE_OWNER = 0700 /* of a directory that is being filled */
};

static void on_reply(void *owner, const struct ssh_sftp_reply *r);

static struct ssh_sftp_for by(struct transfer_file *f)
{
    return (struct ssh_sftp_for){.fn = on_reply, .owner = f};
}

/* ---- one file ------------------------------------------------------------------------------- */

static void ask_open_new(struct transfer_file *f)
{
    const struct ssh_sftp_attrs a = {.has = SSH_SFTP_HAS_MODE, .mode = f->attrs.mode & MODE_BITS};
    f->step = STEP_OPEN;
    transfer_asked(f,
                   ssh_sftp_open(&f->t->sftp, f->part,
                                 SSH_SFTP_WRITE | SSH_SFTP_CREATE | SSH_SFTP_EXCLUSIVE, &a, by(f)));
}

/* A part that nobody can use is in the way. */
static void ask_remove(struct transfer_file *f)
{
    f->step = STEP_REMOVE;
    transfer_asked(f, ssh_sftp_path(&f->t->sftp, SSH_FXP_REMOVE, f->part, by(f)));
}

static void ask_look(struct transfer_file *f)
{
    f->step = STEP_LOOK;
    transfer_asked(
        f, ssh_sftp_path(&f->t->sftp, SSH_FXP_LSTAT, f->old_part ? f->part : f->remote, by(f)));
}

/* What was found cannot be used: after the file its part, then from the beginning. */
static void next_candidate(struct transfer_file *f)
{
    if (f->open) {
        f->open = false;
        (void)ssh_sftp_of(&f->t->sftp, SSH_FXP_CLOSE, &f->handle, transfer_nobody(f->t));
    }
    if (!f->old_part) {
        f->old_part = true;
        ask_look(f);
    } else if (f->start > 0) {
        ask_remove(f);
    } else {
        ask_open_new(f);
    }
}

static bool candidate(const struct transfer_file *f, const struct ssh_sftp_reply *r)
{
    const struct ssh_sftp_attrs *a = &r->attrs;
    if (r->rc < 0 || !(a->has & SSH_SFTP_HAS_SIZE) || !(a->has & SSH_SFTP_HAS_MODE) ||
        !S_ISREG(a->mode)) {
        return false;
    }
    if (f->old_part) {
        return a->size > 0 && a->size <= f->size;
    }
    return a->size == f->size && (!f->t->conf.preserve || a->mtime == f->attrs.mtime);
}

static void already_there(struct transfer_file *f)
{
    if (f->open) {
        (void)ssh_sftp_of(&f->t->sftp, SSH_FXP_CLOSE, &f->handle, transfer_nobody(f->t));
    }
    f->t->state.had++;
    transfer_file_whole(f);
}

static void on_look(struct transfer_file *f, const struct ssh_sftp_reply *r)
{
    f->start = 0;
    if (!candidate(f, r)) {
        next_candidate(f);
    } else if (r->attrs.size == 0) {
        already_there(f);
    } else {
        f->start = r->attrs.size;
        f->step = STEP_OLD;
        transfer_asked(f,
                       ssh_sftp_open(&f->t->sftp, f->old_part ? f->part : f->remote,
                                     f->old_part ? SSH_SFTP_READ | SSH_SFTP_WRITE : SSH_SFTP_READ,
                                     NULL, by(f)));
    }
}

static void on_old(struct transfer_file *f, const struct ssh_sftp_reply *r)
{
    if (r->rc < 0) {
        next_candidate(f);
        return;
    }
    size_t n = f->start < TRANSFER_TAIL ? (size_t)f->start : TRANSFER_TAIL;
    n = n < f->t->sftp.read_max ? n : f->t->sftp.read_max;
    f->handle = r->handle;
    f->open = true;
    f->step = STEP_TAIL;
    transfer_asked(f, ssh_sftp_read(&f->t->sftp, &f->handle, f->start - n, n, by(f)));
}

static void on_tail(struct transfer_file *f, const struct ssh_sftp_reply *r)
{
    if (r->rc < 0 || r->data.n != r->asked || !transfer_same(f, r->offset, r->data)) {
        next_candidate(f);
    } else if (!f->old_part) {
        already_there(f);
    } else {
        transfer_begins(f, f->start);
    }
}

static void on_open(struct transfer_file *f, const struct ssh_sftp_reply *r)
{
    if (r->rc == 0) {
        f->handle = r->handle;
        f->open = true;
        transfer_begins(f, 0);
    } else if (r->rc == -EIO && !f->again) { /* it may be there; version 3 has no word for that */
        f->again = true;
        ask_remove(f);
    } else if (transfer_reply_failed(f->t, r, "cannot create", f->part)) {
        transfer_file_stop(f);
    }
}

/* All its data are on their way: what else is to be done while it is open, and close it. */
static void ask_close(struct transfer_file *f)
{
    struct ssh_sftp *s = &f->t->sftp;
    f->step = STEP_CLOSE;
    if (f->t->conf.sync && s->fsync) {
        transfer_asked(f, ssh_sftp_of(s, SSH_FXP_EXTENDED, &f->handle, by(f)));
    }
    if (f->step == STEP_CLOSE) {
        f->open = false;
        transfer_asked(f, ssh_sftp_of(s, SSH_FXP_CLOSE, &f->handle, by(f)));
    }
}

void transfer_put_data(struct transfer_file *f)
{
    struct ssh_sftp *s = &f->t->sftp;
    while (f->next < f->size && transfer_may_move(f->t)) {
        uint64_t left = f->size - f->next;
        size_t n = left < s->write_max ? (size_t)left : s->write_max;
        uint8_t *data;
        int rc = ssh_sftp_write_begin(s, &f->handle, n, &data);
        ssize_t got = rc < 0 ? 0 : pread(f->fd, data, n, (off_t)f->next);
        if (rc == NK_EAGAIN) {
            return;
        }
        if (rc < 0 || got <= 0) {
            transfer_file_fail(f, rc < 0 ? rc : got < 0 ? -errno : NK_ETRUNC, "cannot read for");
            return;
        }
        ssh_sftp_write_end(s, &f->handle, f->next, data, (size_t)got, by(f));
        f->waiting++;
        transfer_moving(f, f->next, (size_t)got);
        f->next += (uint64_t)got;
    }
    if (f->next == f->size) {
        ask_close(f);
    }
}

static void ask_rename(struct transfer_file *f)
{
    f->step = STEP_RENAME;
    transfer_asked(f, ssh_sftp_rename(&f->t->sftp, f->part, f->remote, by(f)));
}

/* Only now: servers that answer out of order may write after they have set the time. By its name:
 * Conch cannot do it to an open file. */
static void on_closed(struct transfer_file *f)
{
    if (!f->t->conf.preserve) {
        ask_rename(f);
        return;
    }
    f->step = STEP_SET;
    transfer_asked(f, ssh_sftp_set(&f->t->sftp, SSH_FXP_SETSTAT, f->part, &f->attrs, by(f)));
}

static void on_set(struct transfer_file *f, const struct ssh_sftp_reply *r)
{
    if (transfer_reply_failed(f->t, r, "cannot set mode and times of", f->remote)) {
        transfer_file_stop(f);
    } else {
        ask_rename(f);
    }
}

static void on_renamed(struct transfer_file *f, const struct ssh_sftp_reply *r)
{
    struct ssh_sftp *s = &f->t->sftp;
    if (r->rc == 0) {
        transfer_file_whole(f);
    } else if (!s->posix_rename && !f->again) {
        f->again = true;
        f->step = STEP_REPLACE;
        transfer_asked(f, ssh_sftp_path(s, SSH_FXP_REMOVE, f->remote, by(f)));
    } else if (transfer_reply_failed(f->t, r, "cannot rename to", f->remote)) {
        transfer_file_stop(f);
    }
}

/* A write was answered, or what followed it. */
static void on_data(struct transfer_file *f, const struct ssh_sftp_reply *r)
{
    if (transfer_reply_failed(f->t, r, "cannot write", f->remote)) {
        transfer_file_stop(f);
    } else if (f->step == STEP_CLOSE && f->waiting == 0) {
        on_closed(f);
    } else {
        transfer_go_on(f->t);
    }
}

static void on_reply(void *owner, const struct ssh_sftp_reply *r)
{
    struct transfer_file *f = owner;
    f->waiting--;
    if (f->step != STEP_TAIL && r->asked > 0) {
        transfer_moved(f, r, r->rc == 0 ? r->asked : 0);
    }
    switch (f->step) {
    case STEP_LOOK:
        on_look(f, r);
        break;
    case STEP_OLD:
        on_old(f, r);
        break;
    case STEP_TAIL:
        on_tail(f, r);
        break;
    case STEP_REMOVE:
        ask_open_new(f);
        break;
    case STEP_OPEN:
        on_open(f, r);
        break;
    case STEP_DATA:
    case STEP_CLOSE:
        on_data(f, r);
        break;
    case STEP_SET:
        on_set(f, r);
        break;
    case STEP_RENAME:
        on_renamed(f, r);
        break;
    case STEP_REPLACE:
        ask_rename(f);
        break;
    default:
        transfer_file_clean(f);
        break;
    }
}

static uint32_t seconds(time_t t)
{
    return t < 0 ? 0 : t > UINT32_MAX ? UINT32_MAX : (uint32_t)t; /* version 3 knows no others */
}

static struct ssh_sftp_attrs attrs_of(const struct stat *st)
{
    return (struct ssh_sftp_attrs){.has = SSH_SFTP_HAS_MODE | SSH_SFTP_HAS_TIMES,
                                   .mode = (uint32_t)st->st_mode & 07777,
                                   .atime = seconds(st->st_atime),
                                   .mtime = seconds(st->st_mtime)};
}

/* A regular file that is open here. */
static void put_file(struct ssh_transfer *t, struct transfer_dir *dir, int take_fd,
                     const struct stat *st, char *take_remote)
{
    struct transfer_file *f = transfer_file_new(t, dir, take_remote, take_fd);
    if (!f) {
        return;
    }
    f->size = (uint64_t)st->st_size;
    f->attrs = attrs_of(st);
    size_t n = strlen(f->remote);
    f->part = malloc(n + sizeof(SSH_TRANSFER_PART));
    if (!f->part) {
        transfer_file_fail(f, -ENOMEM, "cannot transfer");
        return;
    }
    memcpy(f->part, f->remote, n);
    memcpy(f->part + n, SSH_TRANSFER_PART, sizeof(SSH_TRANSFER_PART));
    if (transfer_collides(f)) {
        transfer_file_fail(f, -EEXIST, TRANSFER_COLLISION);
    } else if (t->conf.resume) {
        ask_look(f);
    } else {
        ask_open_new(f);
    }
}

/* ---- directories ---------------------------------------------------------------------------- */

static void on_there(void *owner, const struct ssh_sftp_reply *r)
{
    struct transfer_dir *d = owner;
    const bool is = r->rc == 0 && (r->attrs.has & SSH_SFTP_HAS_MODE) && S_ISDIR(r->attrs.mode);
    d->waiting = false;
    if (!is) {
        transfer_failed(d->t, r->rc < 0 ? r->rc : -ENOTDIR, "cannot make", d->remote);
        d->ended = true;
    }
    transfer_go_on(d->t);
}

static void on_made(void *owner, const struct ssh_sftp_reply *r)
{
    struct transfer_dir *d = owner;
    int rc = 0;
    d->made = r->rc == 0 || d->t->conf.preserve;
    d->waiting = false;
    if (r->rc < 0) { /* it may be there already */
        rc = ssh_sftp_path(&d->t->sftp, SSH_FXP_STAT, d->remote,
                           (struct ssh_sftp_for){.fn = on_there, .owner = d});
        d->waiting = rc == 0;
    }
    if (rc < 0) {
        transfer_failed(d->t, rc, "cannot make", d->remote);
        d->ended = true;
    }
    transfer_go_on(d->t);
}

static void put_dir(struct ssh_transfer *t, struct transfer_dir *up, int take_fd,
                    const struct stat *st, const char *remote)
{
    struct transfer_dir *d = transfer_dir_new(t, up, take_fd, remote);
    if (!d) {
        return;
    }
    struct ssh_sftp_attrs a = {.has = SSH_SFTP_HAS_MODE,
                               .mode = ((uint32_t)st->st_mode & MODE_BITS) | MODE_OWNER};
    d->attrs = attrs_of(st);
    d->list = fdopendir(d->fd);
    int rc = d->list ? ssh_sftp_set(&t->sftp, SSH_FXP_MKDIR, remote, &a,
                                    (struct ssh_sftp_for){.fn = on_made, .owner = d})
                     : -errno;
    d->waiting = rc == 0;
    if (rc < 0) {
        transfer_failed(t, rc, "cannot make", remote);
        d->ended = true;
    }
}

static void on_dir_set(void *owner, const struct ssh_sftp_reply *r)
{
    struct ssh_transfer *t = owner;
    (void)transfer_reply_failed(t, r, "cannot set mode and times of", "a directory");
    transfer_go_on(t);
}

void transfer_put_dir_end(struct transfer_dir *d)
{
    if (d->t->conf.preserve || (d->attrs.mode & MODE_OWNER) != MODE_OWNER) {
        d->attrs.has = d->t->conf.preserve ? d->attrs.has : SSH_SFTP_HAS_MODE;
        int rc = ssh_sftp_set(&d->t->sftp, SSH_FXP_SETSTAT, d->remote, &d->attrs,
                              (struct ssh_sftp_for){.fn = on_dir_set, .owner = d->t});
        if (rc < 0) {
            transfer_failed(d->t, rc, "cannot set mode and times of", d->remote);
        }
    }
}

/* ---- what comes next ------------------------------------------------------------------------ */

/* What has been opened here, without waiting and without following a link inside a directory. */
static void put_open(struct ssh_transfer *t, struct transfer_dir *up, int at, const char *name,
                     char *take_remote, int flags)
{
    struct stat st;
    int fd = openat(at, name, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC | flags);
    if (fd < 0 || fstat(fd, &st) < 0) {
        transfer_failed(t, -errno, "cannot open", name);
    } else if (S_ISREG(st.st_mode) && transfer_is_part(t, up, name)) {
        transfer_left_out(t, name, TRANSFER_PART);
    } else if (S_ISREG(st.st_mode)) {
        put_file(t, up, fd, &st, take_remote);
        return;
    } else if (S_ISDIR(st.st_mode) && t->conf.recursive) {
        put_dir(t, up, fd, &st, take_remote);
        fd = -1;
    } else {
        transfer_left_out(t, name, S_ISDIR(st.st_mode) ? "a directory" : "not a regular file");
    }
    if (fd >= 0) {
        close(fd);
    }
    free(take_remote);
}

static bool put_from_dir(struct ssh_transfer *t, struct transfer_dir *d)
{
    if (d->waiting) {
        return false;
    }
    const struct dirent *e = d->ended ? NULL : readdir(d->list);
    struct stat st;
    if (!e) {
        transfer_dir_leave(d);
        return true;
    }
    if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0) {
        return true;
    }
    if (fstatat(d->fd, e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && !S_ISREG(st.st_mode) &&
        !S_ISDIR(st.st_mode)) {
        transfer_left_out(t, e->d_name,
                          S_ISLNK(st.st_mode) ? "a symbolic link" : "not a regular file");
        return true;
    }
    char *remote = transfer_path(d->remote, e->d_name);
    if (!remote) {
        transfer_failed(t, -ENOMEM, "cannot transfer", e->d_name);
        return true;
    }
    put_open(t, d, d->fd, e->d_name, remote, O_NOFOLLOW);
    return true;
}

bool transfer_put_next(struct ssh_transfer *t)
{
    char base[SSH_SFTP_NAME_MAX + 1];
    if (t->top) {
        return put_from_dir(t, t->top);
    }
    if (t->from_next == t->conf.from_n) {
        return false;
    }
    const char *from = t->conf.from[t->from_next++];
    transfer_base(base, from);
    /* of what has no name of its own, such as ".", the contents go into the directory */
    const struct ssh_str name = {.p = (const uint8_t *)base, .n = strlen(base)};
    const bool below = t->to_dir && ssh_sftp_name_ok(name);
    const char *to = t->conf.to[0] ? t->conf.to : ".";
    char *remote = below ? transfer_path(to, base) : strdup(to);
    if (!remote) {
        transfer_failed(t, -ENOMEM, "cannot transfer", from);
        return true;
    }
    put_open(t, NULL, AT_FDCWD, from, remote, 0);
    return true;
}

static void on_to(void *owner, const struct ssh_sftp_reply *r)
{
    struct ssh_transfer *t = owner;
    const char *to = t->conf.to;
    t->to_known = true;
    t->to_dir = r->rc == 0 && (r->attrs.has & SSH_SFTP_HAS_MODE) && S_ISDIR(r->attrs.mode);
    const bool must = t->conf.from_n > 1 || to[0] == '\0' || to[strlen(to) - 1] == '/';
    if ((r->rc < 0 && r->rc != -ENOENT) || (must && !t->to_dir)) {
        transfer_failed(t, r->rc < 0 ? r->rc : -ENOTDIR, "cannot put into", to);
        t->from_next = t->conf.from_n;
    }
    transfer_go_on(t);
}

void transfer_put_to(struct ssh_transfer *t)
{
    const char *to = t->conf.to[0] ? t->conf.to : ".";
    int rc =
        ssh_sftp_path(&t->sftp, SSH_FXP_STAT, to, (struct ssh_sftp_for){.fn = on_to, .owner = t});
    if (rc < 0) {
        transfer_failed(t, rc, "cannot look at", to);
        t->to_known = true;
        t->from_next = t->conf.from_n;
    }
}
