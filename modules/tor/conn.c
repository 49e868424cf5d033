/* SPDX-License-Identifier: MIT */
#include "tor/conn.h"

#include <stdlib.h>
#include <string.h>

#include "core/app.h"
#include "core/clock.h"
#include "core/stream.h"
#include "core/timer.h"
#include "tor/proto.h"

#define READ_SIZE                                                                                  \
    ((size_t)64 * 1024) /* per turn, so that a storm of events leaves the loop free                \
                         */

struct tor_conn {
    struct tor_conn_conf conf;
    struct nk_stream *s;
    struct tor_proto proto;
    struct nk_timer late;
    uint64_t due;          /* when `late` fires */
    struct nk_defer flush; /* writes what this turn has queued */
    struct nk_diag why;
    bool connected, deaf; /* deaf: nothing can be written any more, what came is still read */
    bool over, closed;
    bool busy; /* called by the loop: the memory stays until that returns */
};

/* The clock for the first reply that is due. */
static void watch_deadline(struct tor_conn *c)
{
    uint64_t due = tor_proto_deadline(&c->proto), now = nk_now_ms(c->conf.app);
    if (due == c->due || c->over) {
        return;
    }
    c->due = due;
    if (due == TOR_NEVER) {
        nk_timer_stop(&c->late);
    } else {
        nk_timer_start(&c->late, due > now ? due - now : 0);
    }
}

static void write_out(struct tor_conn *c)
{
    struct nk_buf *out = &c->proto.out;
    while (c->connected && !c->deaf && nk_buf_len(out) > 0) {
        ssize_t n = nk_stream_write(c->s, nk_buf_ptr(out), nk_buf_len(out));
        if (n == NK_EAGAIN) {
            return;
        }
        if (n < 0) {
            c->deaf = true; /* why, tor may have said before it closed: reading finds it */
            nk_buf_reset(out);
            return;
        }
        nk_buf_consume(out, (size_t)n);
    }
}

static void release(struct tor_conn *c)
{
    nk_app_defer_cancel(c->conf.app, &c->flush);
    tor_proto_clear(&c->proto);
    free(c);
}

/* The loop's call is over. */
static void leave(struct tor_conn *c)
{
    c->busy = false;
    if (c->closed) {
        release(c);
    }
}

static void on_turn_end(void *owner)
{
    struct tor_conn *c = owner;
    if (!c->over) {
        write_out(c);
    }
}

/* The end of the connection: whoever waits is told, then the owner. */
static void end(struct tor_conn *c, int err)
{
    struct tor_request *r;
    if (c->over) {
        return;
    }
    c->over = true;
    c->proto.error = c->proto.error < 0 ? c->proto.error : NK_ECLOSED;
    nk_timer_stop(&c->late);
    nk_stream_close(c->s);
    c->s = NULL;
    while (!c->closed && (r = tor_proto_take(&c->proto)) != NULL) {
        r->conn = NULL;
        r->fn(r->owner, err, NULL, &c->why);
    }
    if (!c->closed) {
        c->conf.on_end(c->conf.owner, err, &c->why);
    }
}

static void on_late(void *owner)
{
    struct tor_conn *c = owner;
    c->busy = true;
    end(c, nk_fail(&c->why, -ETIMEDOUT, "tor did not answer in time"));
    leave(c);
}

static void give(struct tor_conn *c, const struct tor_message *m)
{
    struct tor_request *r = m->who;
    if (m->kind == TOR_REPLY_EVENT) {
        if (c->conf.on_event) {
            c->conf.on_event(c->conf.owner, &m->reply);
        }
    } else if (m->kind == TOR_REPLY_LINE) {
        r->on_line(r->owner, &m->reply.lines[0]);
    } else {
        r->conn = NULL;
        r->fn(r->owner, 0, &m->reply, NULL);
    }
}

/* Everything that is whole. */
static void take_in(struct tor_conn *c)
{
    struct tor_message m;
    int rc = 0;
    while (!c->closed && (rc = tor_proto_next(&c->proto, &m, &c->why)) == 1) {
        give(c, &m);
    }
    if (!c->closed && rc < 0) {
        end(c, rc);
    } else if (!c->closed) {
        watch_deadline(c);
    }
}

static void on_readable(struct tor_conn *c)
{
    uint8_t *p;
    if (tor_proto_space(&c->proto, READ_SIZE, &p, &c->why) < 0) {
        end(c, c->why.code);
        return;
    }
    ssize_t n = nk_stream_read(c->s, p, READ_SIZE);
    if (n == NK_EAGAIN) {
        return;
    }
    if (n > 0) {
        tor_proto_filled(&c->proto, (size_t)n);
        take_in(c);
    } else if (n == 0) {
        end(c, tor_proto_end(&c->proto, &c->why));
    } else {
        end(c, nk_fail_sys(&c->why, (int)n, "the control connection"));
    }
}

static void on_stream(struct tor_conn *c, struct nk_stream *s, unsigned events)
{
    if (events & NK_CLOSED) {
        int err = nk_stream_error(s, &c->why);
        end(c, err < 0 ? err : nk_fail_sys(&c->why, NK_ECLOSED, "the control connection"));
        return;
    }
    if (events & NK_CONNECTED) {
        c->connected = true;
        nk_stream_interest(s, NK_READABLE | NK_WRITABLE);
        if (c->conf.on_open) {
            c->conf.on_open(c->conf.owner);
        }
    }
    if (!c->over && !c->closed && (events & (NK_CONNECTED | NK_WRITABLE))) {
        write_out(c);
    }
    if (!c->over && !c->closed && (events & NK_READABLE)) {
        on_readable(c);
    }
}

static void on_event(void *owner, struct nk_stream *s, unsigned events)
{
    struct tor_conn *c = owner;
    c->busy = true;
    on_stream(c, s, events);
    leave(c);
}

int tor_conn_new(struct tor_conn **out, const struct tor_conn_conf *conf,
                 struct nk_stream *take_stream, struct nk_diag *diag)
{
    struct tor_conn *c = calloc(1, sizeof(*c));
    if (!c) {
        nk_stream_close(take_stream);
        return nk_fail(diag, -ENOMEM, "out of memory");
    }
    c->conf = *conf;
    c->conf.timeout_ms = conf->timeout_ms ? conf->timeout_ms : TOR_CONN_TIMEOUT_MS;
    c->s = take_stream;
    c->due = TOR_NEVER;
    tor_proto_init(&c->proto);
    nk_timer_init(&c->late, conf->app, on_late, c);
    c->flush.fn = on_turn_end;
    c->flush.owner = c;
    nk_stream_own(c->s, on_event, c);
    *out = c;
    return 0;
}

void tor_conn_close(struct tor_conn *c)
{
    struct tor_request *r;
    if (!c || c->closed) {
        return;
    }
    c->closed = true;
    c->over = true;
    nk_timer_stop(&c->late);
    if (c->s) {
        write_out(c);
        nk_stream_close(c->s);
        c->s = NULL;
    }
    while ((r = tor_proto_take(&c->proto)) != NULL) {
        r->conn = NULL;
    }
    if (!c->busy) {
        release(c);
    }
}

int tor_conn_send(struct tor_conn *c, struct tor_request *r, const char *line, const void *data,
                  size_t len, struct nk_diag *diag)
{
    uint64_t wait = r->timeout_ms ? r->timeout_ms : c->conf.timeout_ms;
    int rc = tor_proto_send(&c->proto, r, line, strlen(line), data, len, r->on_line != NULL,
                            nk_now_ms(c->conf.app) + wait, &r->id, diag);
    if (rc < 0) {
        return rc;
    }
    r->conn = c;
    nk_app_defer(c->conf.app, &c->flush);
    watch_deadline(c);
    return 0;
}

void tor_request_cancel(struct tor_request *r)
{
    if (r->conn) {
        tor_proto_forget(&r->conn->proto, r->id);
        r->conn = NULL;
    }
}

size_t tor_conn_pending(const struct tor_conn *c)
{
    return tor_proto_pending(&c->proto);
}
