/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "core/clock.h"
#include "core/work.h"
#include "ssh/transfer_impl.h"

#define FLIGHT_MIN ((size_t)1024 * 1024)
#define FLIGHT_MAX ((size_t)(SSH_SFTP_SLOTS - TRANSFER_CONTROL_SLOTS) * SSH_SFTP_DATA_MAX)
#define OUT_FULL ((size_t)256 * 1024) /* unsent bytes with which nothing more is prepared */
#define INPUT_SIZE ((size_t)128 * 1024)
#define ROUND_TRIP_SLACK_NS 2000000u /* 2 ms: what scheduling adds on a busy machine */

/* ---- telling -------------------------------------------------------------------------------- */

static void tell(struct ssh_transfer *t, const struct nk_diag *diag)
{
    t->state.failed++;
    if (t->rc == 0) {
        t->rc = diag->code;
        t->why = *diag;
    }
    t->conf.note(t->conf.owner, diag->code, diag->text);
}

void transfer_failed(struct ssh_transfer *t, int rc, const char *what, const char *path)
{
    struct nk_diag diag;
    (void)nk_fail_sys(&diag, rc, "%s %s", what, path);
    tell(t, &diag);
}

bool transfer_reply_failed(struct ssh_transfer *t, const struct ssh_sftp_reply *r, const char *what,
                           const char *path)
{
    struct nk_diag diag;
    if (ssh_sftp_explain(r, &diag, what, path) == 0) {
        return false;
    }
    tell(t, &diag);
    return true;
}

void transfer_left_out(struct ssh_transfer *t, const char *path, const char *why)
{
    struct nk_diag diag;
    (void)nk_fail(&diag, 0, "left out: %s: %s", path, why);
    t->state.left++;
    t->conf.note(t->conf.owner, 0, diag.text);
}

static void no_matter(void *owner, const struct ssh_sftp_reply *r)
{
    (void)r;
    transfer_go_on(owner);
}

struct ssh_sftp_for transfer_nobody(struct ssh_transfer *t)
{
    return (struct ssh_sftp_for){.fn = no_matter, .owner = t};
}

/* ---- names ---------------------------------------------------------------------------------- */

char *transfer_path(const char *dir, const char *name)
{
    size_t n = strlen(dir), size = n + strlen(name) + 2;
    char *path = malloc(size);
    if (path) {
        const char *slash = n == 0 || dir[n - 1] == '/' ? "" : "/";
        (void)snprintf(path, size, "%s%s%s", dir, slash, name);
    }
    return path;
}

void transfer_base(char out[SSH_SFTP_NAME_MAX + 1], const char *path)
{
    size_t end = strlen(path), start;
    while (end > 0 && path[end - 1] == '/') {
        end--;
    }
    for (start = end; start > 0 && path[start - 1] != '/'; start--) {
    }
    if (end - start > SSH_SFTP_NAME_MAX) {
        end = start; /* it is the name of nothing */
    }
    memcpy(out, path + start, end - start);
    out[end - start] = '\0';
}

bool transfer_is_part(const struct ssh_transfer *t, const struct transfer_dir *dir,
                      const char *name)
{
    const size_t n = strlen(name), part = sizeof(SSH_TRANSFER_PART) - 1;
    return (dir || t->conf.from_n > 1) && n >= part &&
           strcmp(name + n - part, SSH_TRANSFER_PART) == 0;
}

static bool same_dir(int a, int b)
{
    struct stat sa, sb;
    return a == b || (fstat(a, &sa) == 0 && fstat(b, &sb) == 0 && sa.st_dev == sb.st_dev &&
                      sa.st_ino == sb.st_ino);
}

bool transfer_collides(const struct transfer_file *f)
{
    for (size_t i = 0; i < TRANSFER_FILES; i++) {
        const struct transfer_file *g = &f->t->file[i];
        if (g != f && g->step != STEP_FREE &&
            (f->t->conf.put ? strcmp(g->remote, f->remote) == 0
                            : strcmp(g->name, f->name) == 0 && same_dir(g->at, f->at))) {
            return true;
        }
    }
    return false;
}

/* ---- directories ---------------------------------------------------------------------------- */

struct transfer_dir *transfer_dir_new(struct ssh_transfer *t, struct transfer_dir *up, int take_fd,
                                      const char *remote)
{
    struct transfer_dir *d = calloc(1, sizeof(*d));
    char *copy = d ? strdup(remote) : NULL;
    unsigned depth = up ? up->depth + 1 : 0;
    if (!copy || depth >= TRANSFER_DEPTH_MAX) {
        transfer_failed(t, copy ? NK_ELIMIT : -ENOMEM, "cannot enter", remote);
        free(copy);
        free(d);
        close(take_fd);
        return NULL;
    }
    *d = (struct transfer_dir){
        .t = t, .up = up, .refs = 1, .depth = depth, .fd = take_fd, .remote = copy};
    nk_buf_init(&d->names, SSH_SFTP_PACKET_MAX);
    if (up) {
        up->refs++;
    }
    t->top = d;
    return d;
}

static void dir_free(struct transfer_dir *d)
{
    if (d->list) {
        closedir(d->list); /* with fd */
    } else {
        close(d->fd);
    }
    nk_buf_clear(&d->names);
    free(d->remote);
    free(d);
}

void transfer_dir_unref(struct transfer_dir *d)
{
    while (d && --d->refs == 0) {
        struct transfer_dir *up = d->up;
        if (!d->t->over && d->made) {
            d->t->conf.put ? transfer_put_dir_end(d) : transfer_get_dir_end(d);
        }
        dir_free(d);
        d = up;
    }
}

void transfer_dir_leave(struct transfer_dir *d)
{
    d->t->top = d->up;
    transfer_dir_unref(d);
}

/* ---- files ---------------------------------------------------------------------------------- */

struct transfer_file *transfer_file_new(struct ssh_transfer *t, struct transfer_dir *dir,
                                        char *take_remote, int take_fd)
{
    struct transfer_file *f = t->file;
    if (!take_remote) {
        transfer_failed(t, -ENOMEM, "cannot transfer", "a file");
        if (take_fd >= 0) {
            close(take_fd);
        }
        return NULL;
    }
    while (f->step != STEP_FREE) {
        f++; /* the caller knows that one is free */
    }
    *f = (struct transfer_file){
        .t = t, .step = STEP_OPEN, .dir = dir, .fd = take_fd, .remote = take_remote, .at = -1};
    if (dir) {
        dir->refs++;
    }
    t->active++;
    return f;
}

static void file_free(struct transfer_file *f)
{
    struct ssh_transfer *t = f->t;
    if (f->fd >= 0) {
        close(f->fd);
    }
    if (t->probe == f) {
        t->probe = NULL;
    }
    nk_work_cancel(f->work);
    free(f->remote);
    free(f->part);
    f->step = STEP_FREE;
    t->active--;
    transfer_dir_unref(f->dir);
}

void transfer_file_whole(struct transfer_file *f)
{
    f->t->state.files++;
    transfer_go_on(f->t);
    file_free(f);
}

/* After a failure: what is open is closed, and a part that cannot be resumed goes. */
void transfer_file_clean(struct transfer_file *f)
{
    struct ssh_transfer *t = f->t;
    if (f->waiting > 0) {
        return;
    }
    if (f->open) {
        (void)ssh_sftp_of(&t->sftp, SSH_FXP_CLOSE, &f->handle, transfer_nobody(t));
    }
    if (f->part_is && !t->conf.resume) {
        if (t->conf.put) {
            (void)ssh_sftp_path(&t->sftp, SSH_FXP_REMOVE, f->part, transfer_nobody(t));
        } else {
            (void)unlinkat(f->at, f->part, 0);
        }
    }
    transfer_go_on(t);
    file_free(f);
}

void transfer_file_stop(struct transfer_file *f)
{
    f->step = STEP_FAILED;
    transfer_file_clean(f);
}

void transfer_file_fail(struct transfer_file *f, int rc, const char *what)
{
    transfer_failed(f->t, rc, what, f->remote);
    transfer_file_stop(f);
}

void transfer_asked(struct transfer_file *f, int rc)
{
    if (rc < 0) {
        transfer_file_fail(f, rc, "cannot ask for");
    } else {
        f->waiting++;
        transfer_go_on(f->t);
    }
}

bool transfer_same(const struct transfer_file *f, uint64_t offset, struct ssh_str data)
{
    uint8_t here[TRANSFER_TAIL];
    return data.n <= sizeof(here) && pread(f->fd, here, data.n, (off_t)offset) == (ssize_t)data.n &&
           memcmp(here, data.p, data.n) == 0;
}

void transfer_begins(struct transfer_file *f, uint64_t start)
{
    f->step = STEP_DATA;
    f->part_is = true;
    f->again = false;
    f->next = start;
    f->t->state.total += f->endless ? 0 : f->size - start;
    transfer_go_on(f->t);
}

/* ---- flight --------------------------------------------------------------------------------- */

bool transfer_may_move(const struct ssh_transfer *t)
{
    return t->flight < t->flight_max && t->sftp.busy < SSH_SFTP_SLOTS - TRANSFER_CONTROL_SLOTS &&
           nk_buf_len(&t->sftp.out) < OUT_FULL;
}

void transfer_moving(struct transfer_file *f, uint64_t offset, size_t asked)
{
    struct ssh_transfer *t = f->t;
    t->flight += asked;
    if (!t->probe) {
        t->probe = f;
        t->probe_offset = offset;
        t->probe_ns = nk_now_ns(t->conf.app);
        t->probe_moved = t->moved;
    }
}

/* While round trips are about as short as they ever were, the connection has room: what arrived
 * during one, twice, may be in flight. */
static void measure(struct ssh_transfer *t)
{
    uint64_t took = nk_now_ns(t->conf.app) - t->probe_ns, moved = 2 * (t->moved - t->probe_moved);
    t->probe = NULL;
    if (t->round_trip_ns == 0 || took < t->round_trip_ns) {
        t->round_trip_ns = took;
    }
    if (took <= 2 * t->round_trip_ns + ROUND_TRIP_SLACK_NS && moved > t->flight_max) {
        t->flight_max = moved < FLIGHT_MAX ? (size_t)moved : FLIGHT_MAX;
    }
}

void transfer_moved(struct transfer_file *f, const struct ssh_sftp_reply *r, size_t n)
{
    struct ssh_transfer *t = f->t;
    t->flight -= r->asked;
    t->moved += r->asked;
    t->state.bytes += n;
    if (t->probe == f && t->probe_offset == r->offset) {
        measure(t);
    }
}

/* ---- the connection ------------------------------------------------------------------------- */

static void end(struct ssh_transfer *t, int rc)
{
    if (t->over) {
        return;
    }
    t->over = true;
    nk_app_defer_cancel(t->conf.app, &t->later);
    nk_stream_close(t->stream);
    t->stream = NULL;
    if (rc < 0) {
        t->rc = rc; /* graver than what files failed for */
    }
    t->conf.done(t->conf.owner, t->rc, &t->why);
}

/* Write what there is. False: the connection is over. */
static bool flush(struct ssh_transfer *t)
{
    while (nk_buf_len(&t->sftp.out) > 0) {
        ssize_t n = nk_stream_write(t->stream, nk_buf_ptr(&t->sftp.out), nk_buf_len(&t->sftp.out));
        if (n == NK_EAGAIN) {
            return true;
        }
        if (n < 0) {
            end(t, nk_fail_sys(&t->why, (int)n, "writing to the SFTP server"));
            return false;
        }
        nk_buf_consume(&t->sftp.out, (size_t)n);
    }
    return true;
}

static bool data_wait(const struct ssh_transfer *t)
{
    for (size_t i = 0; i < TRANSFER_FILES; i++) {
        const struct transfer_file *f = &t->file[i];
        if (f->step == STEP_DATA && f->next < f->size && !f->endless && transfer_may_move(t)) {
            return true;
        }
    }
    return false;
}

/* Everything that can be done now; the rest comes with replies, and room in the stream. */
static void work(struct ssh_transfer *t)
{
    bool (*next)(struct ssh_transfer *) = t->conf.put ? transfer_put_next : transfer_get_next;
    for (size_t i = 0; i < TRANSFER_FILES; i++) {
        if (t->file[i].step == STEP_DATA) {
            t->conf.put ? transfer_put_data(&t->file[i]) : transfer_get_data(&t->file[i]);
        }
    }
    while (t->active < TRANSFER_FILES && t->sftp.busy < SSH_SFTP_SLOTS - TRANSFER_FILES &&
           next(t)) {
    }
}

static void go_on(void *owner)
{
    struct ssh_transfer *t = owner;
    if (t->over || !t->connected) {
        return;
    }
    if (t->sftp.state == SSH_SFTP_READY && t->to_known) {
        work(t);
    }
    if (!flush(t)) {
        return;
    }
    if (t->to_known && t->active == 0 && !t->top && t->from_next == t->conf.from_n &&
        t->sftp.busy == 0) {
        end(t, 0);
    } else if (data_wait(t)) {
        transfer_go_on(t);
    }
}

void transfer_go_on(struct ssh_transfer *t)
{
    if (!t->over) {
        nk_app_defer(t->conf.app, &t->later);
    }
}

static void on_readable(struct ssh_transfer *t)
{
    ssize_t n;
    while ((n = nk_stream_read(t->stream, t->input, INPUT_SIZE)) > 0) {
        int rc = ssh_sftp_feed(&t->sftp, t->input, (size_t)n, &t->why);
        if (rc < 0) {
            end(t, rc);
            return;
        }
        transfer_go_on(t);
    }
    if (n == 0) {
        end(t, nk_fail(&t->why, NK_ETRUNC, "the SFTP server ended the connection"));
    } else if (n != NK_EAGAIN) {
        end(t, nk_fail_sys(&t->why, (int)n, "reading from the SFTP server"));
    }
}

static void on_event(void *owner, struct nk_stream *s, unsigned events)
{
    struct ssh_transfer *t = owner;
    if (events & NK_CLOSED) {
        end(t, nk_stream_error(s, &t->why));
        return;
    }
    if (events & NK_CONNECTED) {
        t->connected = true;
        nk_stream_interest(s, NK_READABLE | NK_WRITABLE);
    }
    if (events & (NK_CONNECTED | NK_WRITABLE)) {
        transfer_go_on(t);
    }
    if (events & NK_READABLE) {
        on_readable(t); /* may be the end */
    }
}

static void on_ready(void *owner)
{
    struct ssh_transfer *t = owner;
    t->conf.put ? transfer_put_to(t) : transfer_get_to(t);
    transfer_go_on(t);
}

int ssh_transfer_start(struct ssh_transfer **out, const struct ssh_transfer_conf *conf,
                       struct nk_stream *take_stream)
{
    struct ssh_transfer *t = calloc(1, sizeof(*t));
    uint8_t *input = malloc(INPUT_SIZE);
    if (!t || !input || ssh_sftp_init(&t->sftp, on_ready, t) < 0) {
        free(input);
        free(t);
        nk_stream_close(take_stream);
        return -ENOMEM;
    }
    t->conf = *conf;
    t->input = input;
    t->stream = take_stream;
    t->later = (struct nk_defer){.fn = go_on, .owner = t};
    t->flight_max = FLIGHT_MIN;
    t->to_fd = -1;
    nk_stream_own(take_stream, on_event, t);
    *out = t;
    return 0;
}

void ssh_transfer_free(struct ssh_transfer *t)
{
    if (!t) {
        return;
    }
    t->over = true;
    nk_app_defer_cancel(t->conf.app, &t->later);
    nk_stream_close(t->stream);
    for (size_t i = 0; i < TRANSFER_FILES; i++) {
        if (t->file[i].step != STEP_FREE) {
            file_free(&t->file[i]);
        }
    }
    while (t->top) {
        transfer_dir_leave(t->top);
    }
    if (t->to_fd >= 0) {
        close(t->to_fd);
    }
    ssh_sftp_clear(&t->sftp);
    free(t->input);
    free(t);
}

void ssh_transfer_state(const struct ssh_transfer *t, struct ssh_transfer_state *out)
{
    *out = t->state;
}
