/* SPDX-License-Identifier: MIT */
#include "ssh/copy_id.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/secret.h"
#include "core/stream.h"
#include "ssh/copy_sh.h"
#include "ssh/proto_sftp.h"
#include "ssh/pubfile.h"

#define FOLDER ".ssh"
#define PATH FOLDER "/authorized_keys"

enum {
    INPUT = 16 * 1024,
    NAME_MAX_ = 1024, /* of the file, as the server tells it */
    MODE_FOLDER = 0700,
    MODE_FILE = 0600,
    MODE_KEPT = 0755, /* of an existing file: nobody else may write */
    SUFFIX = 4        /* random bytes in the name of what is not whole yet */
};

struct ssh_copy_id {
    struct ssh_copy_id_conf conf;
    struct nk_stream *stream;
    struct ssh_sftp sftp;
    struct ssh_sftp_handle handle;
    struct nk_buf text; /* of the file, as it is and then as it is to be */
    uint64_t at;        /* of it: written */
    uint32_t mode;
    bool made; /* what is not whole yet is there */
    bool over;
    bool greeted; /* there is an SFTP server */
    bool ending;  /* there was none, and its channel is not closed yet */
    bool shell;   /* there is none: sh is who we talk to */
    bool said;    /* everything, to it */
    struct ssh_copy_sh sh;
    struct nk_buf to_sh;
    char path[NAME_MAX_], part[NAME_MAX_ + 32];
    struct nk_diag why;
};

/* --- the text --------------------------------------------------------------------------------- */

static bool has_key(const char *line, size_t n, const struct nk_buf *blob, int *error)
{
    struct ssh_pubfile f;
    int rc = ssh_pubfile_parse(line, n, &f, NULL);
    if (rc < 0) {
        *error = rc == -ENOMEM ? rc : *error;
        return false; /* a comment, or nothing that sshd would take */
    }
    bool same = nk_buf_len(&f.blob) == nk_buf_len(blob) &&
                memcmp(nk_buf_ptr(&f.blob), nk_buf_ptr(blob), nk_buf_len(blob)) == 0;
    ssh_pubfile_clear(&f);
    return same;
}

int ssh_copy_id_look(const void *text, size_t size, struct ssh_copy_key *keys, size_t n)
{
    int missing = 0, error = 0;
    for (size_t i = 0; i < n; i++) {
        const char *p = text, *end = p ? p + size : p;
        bool found = false;
        for (size_t j = 0; j < i && !found; j++) { /* given twice */
            found = nk_buf_len(&keys[j].blob) == nk_buf_len(&keys[i].blob) &&
                    memcmp(nk_buf_ptr(&keys[j].blob), nk_buf_ptr(&keys[i].blob),
                           nk_buf_len(&keys[i].blob)) == 0;
        }
        while (p < end && !found) {
            const char *lf = memchr(p, '\n', (size_t)(end - p));
            const char *next = lf ? lf + 1 : end;
            found = *p != '#' && has_key(p, (size_t)(next - p), &keys[i].blob, &error);
            p = next;
        }
        keys[i].added = !found;
        missing += !found;
    }
    return error < 0 ? error : missing;
}

/* --- the end ---------------------------------------------------------------------------------- */

static void end(struct ssh_copy_id *c, int rc)
{
    if (!c->over) {
        c->over = true;
        nk_stream_close(c->stream);
        c->stream = NULL;
        c->conf.done(c->conf.owner, rc, &c->why);
    }
}

static struct ssh_sftp_for then(struct ssh_copy_id *c, ssh_sftp_reply_fn *fn)
{
    return (struct ssh_sftp_for){fn, c};
}

static void on_removed(void *owner, const struct ssh_sftp_reply *r)
{
    struct ssh_copy_id *c = owner;
    (void)r; /* the first failure is the one that is told */
    end(c, c->why.code);
}

/* It has failed: what was begun goes away again. */
static void give_up(struct ssh_copy_id *c, int rc)
{
    c->why.code = rc;
    if (!c->made || ssh_sftp_path(&c->sftp, SSH_FXP_REMOVE, c->part, then(c, on_removed)) < 0) {
        end(c, rc);
    }
}

static void refused(struct ssh_copy_id *c, const struct ssh_sftp_reply *r, const char *what)
{
    give_up(c, ssh_sftp_explain(r, &c->why, what, c->path));
}

/* A request that could not even be made. */
static void asked(struct ssh_copy_id *c, int rc)
{
    if (rc < 0) {
        give_up(c, nk_fail_sys(&c->why, rc, "%s", c->path));
    }
}

/* --- writing ---------------------------------------------------------------------------------- */

static void on_renamed(void *owner, const struct ssh_sftp_reply *r)
{
    struct ssh_copy_id *c = owner;
    if (r->rc < 0) {
        refused(c, r, "replacing");
    } else {
        end(c, 0);
    }
}

static void on_closed(void *owner, const struct ssh_sftp_reply *r)
{
    struct ssh_copy_id *c = owner;
    if (r->rc < 0) {
        refused(c, r, "writing");
    } else {
        asked(c, ssh_sftp_rename(&c->sftp, c->part, c->path, then(c, on_renamed)));
    }
}

static void on_synced(void *owner, const struct ssh_sftp_reply *r)
{
    struct ssh_copy_id *c = owner;
    if (r->rc < 0) {
        refused(c, r, "writing");
    } else {
        asked(c, ssh_sftp_of(&c->sftp, SSH_FXP_CLOSE, &c->handle, then(c, on_closed)));
    }
}

static void on_written(void *owner, const struct ssh_sftp_reply *r)
{
    struct ssh_copy_id *c = owner;
    size_t left = nk_buf_len(&c->text) - (size_t)c->at;
    size_t n = left < c->sftp.write_max ? left : c->sftp.write_max;
    uint8_t *to;
    if (r && r->rc < 0) {
        refused(c, r, "writing");
        return;
    }
    if (n == 0) {
        asked(c, c->sftp.fsync
                     ? ssh_sftp_of(&c->sftp, SSH_FXP_EXTENDED, &c->handle, then(c, on_synced))
                     : ssh_sftp_of(&c->sftp, SSH_FXP_CLOSE, &c->handle, then(c, on_closed)));
        return;
    }
    int rc = ssh_sftp_write_begin(&c->sftp, &c->handle, n, &to);
    if (rc == 0) {
        memcpy(to, nk_buf_ptr(&c->text) + c->at, n);
        ssh_sftp_write_end(&c->sftp, &c->handle, c->at, to, n, then(c, on_written));
        c->at += n;
    }
    asked(c, rc);
}

static void on_made(void *owner, const struct ssh_sftp_reply *r)
{
    struct ssh_copy_id *c = owner;
    if (r->rc < 0) {
        refused(c, r, "writing beside");
        return;
    }
    c->made = true;
    c->handle = r->handle;
    on_written(c, NULL);
}

static int add_lines(struct ssh_copy_id *c)
{
    size_t n = nk_buf_len(&c->text);
    int rc = n > 0 && nk_buf_ptr(&c->text)[n - 1] != '\n' ? nk_buf_u8(&c->text, '\n') : 0;
    for (size_t i = 0; rc == 0 && i < c->conf.n; i++) {
        const struct ssh_copy_key *k = &c->conf.keys[i];
        rc = k->added ? nk_buf_put(&c->text, nk_buf_ptr(&k->line), nk_buf_len(&k->line)) : 0;
    }
    return rc;
}

/* The file is known: what is missing? */
static void on_known(struct ssh_copy_id *c)
{
    const struct ssh_sftp_attrs a = {.has = SSH_SFTP_HAS_MODE, .mode = c->mode};
    uint8_t random[SUFFIX];
    int rc = ssh_copy_id_look(nk_buf_ptr(&c->text), nk_buf_len(&c->text), c->conf.keys, c->conf.n);
    if (rc == 0 || (rc > 0 && c->conf.dry_run)) {
        end(c, 0);
        return;
    }
    nk_random(random, sizeof(random));
    (void)snprintf(c->part, sizeof(c->part), "%s.nk-%02x%02x%02x%02x", c->path, random[0],
                   random[1], random[2], random[3]);
    rc = rc < 0 ? rc : add_lines(c);
    asked(c, rc < 0 ? rc
                    : ssh_sftp_open(&c->sftp, c->part,
                                    SSH_SFTP_WRITE | SSH_SFTP_CREATE | SSH_SFTP_EXCLUSIVE, &a,
                                    then(c, on_made)));
}

/* --- reading ---------------------------------------------------------------------------------- */

static void on_read_closed(void *owner, const struct ssh_sftp_reply *r)
{
    (void)r; /* it was read, and that is all there was to do with it */
    on_known(owner);
}

static void on_data(void *owner, const struct ssh_sftp_reply *r)
{
    struct ssh_copy_id *c = owner;
    int rc = 0;
    if (r && r->status == SSH_FX_EOF) {
        asked(c, ssh_sftp_of(&c->sftp, SSH_FXP_CLOSE, &c->handle, then(c, on_read_closed)));
        return;
    }
    if (r && r->rc < 0) {
        refused(c, r, "reading");
        return;
    }
    rc = r ? nk_buf_put(&c->text, r->data.p, r->data.n) : 0;
    asked(c, rc < 0 ? rc
                    : ssh_sftp_read(&c->sftp, &c->handle, nk_buf_len(&c->text), c->sftp.read_max,
                                    then(c, on_data)));
}

static void on_stat(void *owner, const struct ssh_sftp_reply *r)
{
    struct ssh_copy_id *c = owner;
    if (r->rc == 0 && r->attrs.has & SSH_SFTP_HAS_MODE) {
        c->mode = r->attrs.mode & MODE_KEPT;
    }
    on_data(c, NULL);
}

static void on_opened(void *owner, const struct ssh_sftp_reply *r)
{
    struct ssh_copy_id *c = owner;
    if (r->rc == -ENOENT) {
        on_known(c);
    } else if (r->rc < 0) {
        refused(c, r, "reading");
    } else {
        c->handle = r->handle;
        asked(c, ssh_sftp_of(&c->sftp, SSH_FXP_FSTAT, &c->handle, then(c, on_stat)));
    }
}

/* Where it really is, so that a link to it stays one. */
static void on_real(void *owner, const struct ssh_sftp_reply *r)
{
    struct ssh_copy_id *c = owner;
    struct nk_cur names = r->names;
    struct ssh_str name;
    if (r->rc == 0 && ssh_sftp_next_name(&names, &name, NULL) && name.n > 0 &&
        name.n < sizeof(c->path) && !memchr(name.p, '\0', name.n)) {
        memcpy(c->path, name.p, name.n);
        c->path[name.n] = '\0';
    }
    asked(c, ssh_sftp_open(&c->sftp, c->path, SSH_SFTP_READ, NULL, then(c, on_opened)));
}

static void on_folder(void *owner, const struct ssh_sftp_reply *r)
{
    struct ssh_copy_id *c = owner;
    (void)r; /* it is there already, or what follows fails */
    asked(c, ssh_sftp_path(&c->sftp, SSH_FXP_REALPATH, PATH, then(c, on_real)));
}

static void on_ready(void *owner)
{
    struct ssh_copy_id *c = owner;
    const struct ssh_sftp_attrs a = {.has = SSH_SFTP_HAS_MODE, .mode = MODE_FOLDER};
    c->greeted = true;
    asked(c, c->conf.dry_run
                 ? ssh_sftp_path(&c->sftp, SSH_FXP_REALPATH, PATH, then(c, on_real))
                 : ssh_sftp_set(&c->sftp, SSH_FXP_MKDIR, FOLDER, &a, then(c, on_folder)));
}

/* --- without SFTP ----------------------------------------------------------------------------- */

/* The file is known: say what is to be appended, or that this was all. */
static int tell_shell(struct ssh_copy_id *c)
{
    size_t before = nk_buf_len(&c->text);
    int rc = ssh_copy_id_look(nk_buf_ptr(&c->text), before, c->conf.keys, c->conf.n);
    c->said = true;
    if (rc > 0 && !c->conf.dry_run) {
        rc = add_lines(c);
        const size_t more = nk_buf_len(&c->text) - before;
        rc = rc < 0 ? rc : nk_buf_printf(&c->to_sh, "%zu\n", more);
        return rc < 0 ? rc : nk_buf_put(&c->to_sh, nk_buf_ptr(&c->text) + before, more);
    }
    if (rc >= 0) {
        end(c, 0);
    }
    return rc;
}

static int feed_shell(struct ssh_copy_id *c, const uint8_t *p, size_t n)
{
    int rc;
    while ((rc = ssh_copy_sh_feed(&c->sh, p, n, &c->text)) > 0 && !c->over) {
        n = 0;
        rc = c->sh.step == SSH_COPY_WRITTEN ? tell_shell(c) : 0;
        if (rc < 0) {
            break;
        }
        if (c->sh.step > SSH_COPY_WRITTEN) {
            end(c, 0);
        }
    }
    return rc < 0 ? nk_fail_sys(&c->why, rc, "%s", c->path) : 0;
}

static void on_event(void *owner, struct nk_stream *s, unsigned events);

/* SFTP was refused, or has ended before it began. */
static void fall_back(struct ssh_copy_id *c, int rc)
{
    struct nk_stream *s;
    struct nk_diag why;
    if (!c->conf.shell || c->greeted || c->shell ||
        c->conf.shell(c->conf.owner, ssh_copy_sh_command, &s, &why) < 0) {
        end(c, rc);
        return;
    }
    nk_stream_close(c->stream);
    c->stream = s;
    c->shell = true;
    nk_stream_own(s, on_event, c);
    rc = nk_buf_printf(&c->to_sh, "%s\n", c->sh.token);
    if (rc < 0) {
        end(c, nk_fail_sys(&c->why, rc, "%s", c->path));
    }
}

/* There was no SFTP server to be started. dropbear mixes up two sessions of which one is just
 * ending, so the next one waits until this one is closed, which a write tells. */
static void on_ending(struct ssh_copy_id *c)
{
    ssize_t n = nk_stream_write(c->stream, "", 1);
    if (n < 0 && n != NK_EAGAIN) {
        c->ending = false;
        fall_back(c, NK_ETRUNC);
    }
}

/* --- the stream ------------------------------------------------------------------------------- */

static void flush(struct ssh_copy_id *c)
{
    struct nk_buf *out = c->shell ? &c->to_sh : &c->sftp.out;
    while (!c->over && nk_buf_len(out) > 0) {
        ssize_t n = nk_stream_write(c->stream, nk_buf_ptr(out), nk_buf_len(out));
        if (n == NK_EAGAIN) {
            return;
        }
        if (n < 0) {
            nk_fail_sys(&c->why, (int)n, "writing to the server");
            fall_back(c, (int)n);
            return;
        }
        nk_buf_consume(out, (size_t)n);
    }
    if (!c->over && c->said) {
        c->said = false;
        (void)nk_stream_shutdown(c->stream); /* what is wrong with it shows in the answer */
    }
}

/* What came, or (n <= 0) why nothing more does. */
static void take(struct ssh_copy_id *c, const uint8_t *p, ssize_t n)
{
    int rc = 0;
    if (n > 0) {
        rc =
            c->shell ? feed_shell(c, p, (size_t)n) : ssh_sftp_feed(&c->sftp, p, (size_t)n, &c->why);
    } else if (n < 0) {
        rc = nk_fail_sys(&c->why, (int)n, "reading from the server");
    } else if (c->shell) {
        rc = ssh_copy_sh_why(&c->sh, &c->why);
    } else {
        rc = nk_fail(&c->why, NK_ETRUNC, "the SFTP server ended the connection");
        c->ending = !c->greeted;
        if (c->ending) {
            nk_stream_interest(c->stream, NK_WRITABLE);
            rc = 0;
            on_ending(c);
        }
    }
    if (rc < 0) {
        end(c, rc);
    }
}

static void read_all(struct ssh_copy_id *c)
{
    uint8_t input[INPUT];
    for (bool shell = c->shell; !c->over && !c->ending && c->shell == shell;) {
        ssize_t n = nk_stream_read(c->stream, input, sizeof(input));
        if (n == NK_EAGAIN) {
            return;
        }
        take(c, input, n);
        if (c->shell == shell && !c->ending) {
            flush(c);
        }
    }
}

static void on_event(void *owner, struct nk_stream *s, unsigned events)
{
    struct ssh_copy_id *c = owner;
    if (events & NK_CLOSED) {
        int rc = nk_stream_error(s, &c->why);
        rc = rc < 0 ? rc : nk_fail(&c->why, NK_ECLOSED, "the SFTP server ended the connection");
        if ((rc == NK_EUNSUPPORTED || c->ending) && !c->shell) {
            fall_back(c, rc);
        } else {
            end(c, rc);
        }
        return;
    }
    if (c->ending) {
        on_ending(c);
        return;
    }
    if (events & NK_CONNECTED) {
        nk_stream_interest(s, NK_READABLE | NK_WRITABLE);
    }
    flush(c);
    if (events & NK_READABLE) {
        read_all(c);
    }
}

int ssh_copy_id_start(struct ssh_copy_id **out, const struct ssh_copy_id_conf *conf,
                      struct nk_stream *take_stream)
{
    struct ssh_copy_id *c = calloc(1, sizeof(*c));
    if (!c || ssh_sftp_init(&c->sftp, on_ready, c) < 0) {
        free(c);
        nk_stream_close(take_stream);
        return -ENOMEM;
    }
    c->conf = *conf;
    c->mode = MODE_FILE;
    memcpy(c->path, PATH, sizeof(PATH));
    nk_buf_init(&c->text, SSH_AUTHORIZED_MAX);
    nk_buf_init(&c->to_sh, SSH_AUTHORIZED_MAX);
    ssh_copy_sh_init(&c->sh, 2 * SSH_AUTHORIZED_MAX);
    c->stream = take_stream;
    nk_stream_own(take_stream, on_event, c);
    *out = c;
    return 0;
}

void ssh_copy_id_free(struct ssh_copy_id *c)
{
    if (c) {
        nk_stream_close(c->stream);
        ssh_sftp_clear(&c->sftp);
        nk_buf_clear(&c->text);
        nk_buf_clear(&c->to_sh);
        ssh_copy_sh_clear(&c->sh);
        free(c);
    }
}
