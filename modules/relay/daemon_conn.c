/* SPDX-License-Identifier: MIT */
/* A command's connection: life, output, taking objects, input. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/control.h"
#include "relay/daemon_conn.h"

#define CONNS_MAX 256
#define READ_SIZE ((size_t)64 * 1024)
#define OUT_LOW ((size_t)64 * 1024) /* written out before more of a loan is formatted */
#define OUT_SLACK ((size_t)128 * 1024)

#define AS_TEXT(name) #name,
static const char *const state_names[] = {CONN_STATES(AS_TEXT)};
#undef AS_TEXT

void daemon_conn_state(struct daemon_conn *c, enum conn_state state)
{
    nk_debug(c->d->log, "relay", "endpoint %s: command %s -> %s", c->d->conf.name,
             state_names[c->state], state_names[state]);
    c->state = state;
}

/* --- life ------------------------------------------------------------------------------------- */

/* The memory is given back at the end of the turn (or by close_all): whoever walks the list may
 * hold on to it. */
static void conn_close(struct daemon_conn *c)
{
    struct relay_daemon *d = c->d;
    if (c->closed) {
        return;
    }
    c->closed = true;
    if (c->loan.n > 0) {
        relay_local_return(&d->queue, &c->loan);
        daemon_serve_later(d);
    }
    nk_timer_stop(&c->wait);
    nk_stream_close(c->s);
    nk_buf_clear(&c->in);
    nk_buf_clear(&c->out);
    daemon_send_clear(c);
    free(c->sent);
    c->sent = NULL;
    c->nsent = c->sent_cap = 0;
    nk_app_defer(d->conf.app, &d->reap);
}

void daemon_conn_reap(struct relay_daemon *d)
{
    for (struct daemon_conn *c = d->conns, *next; c; c = next) {
        next = c->next;
        if (c->closed) {
            *(c->prev ? &c->prev->next : &d->conns) = c->next;
            if (c->next) {
                c->next->prev = c->prev;
            }
            d->nconns--;
            free(c);
        }
    }
}

void daemon_conn_close_all(struct relay_daemon *d)
{
    for (struct daemon_conn *c = d->conns; c; c = c->next) {
        conn_close(c);
    }
    daemon_conn_reap(d);
}

/* --- output ----------------------------------------------------------------------------------- */

void daemon_conn_no_memory(struct daemon_conn *c)
{
    nk_error(c->d->log, "relay", "endpoint %s: a command's connection: %s", c->d->conf.name,
             nk_strerror(-ENOMEM));
    c->ending = true;
    nk_buf_reset(&c->out);
}

void daemon_conn_answer(struct daemon_conn *c, uint32_t status, uint64_t count, const char *text)
{
    if (relay_daemon_put_done(&c->out, status, count, text) < 0) {
        daemon_conn_no_memory(c);
    }
}

void daemon_conn_error(struct daemon_conn *c, int code, const struct nk_diag *diag)
{
    daemon_conn_answer(c, (uint32_t)nk_exit_code(code), 0,
                       diag && diag->text[0] ? diag->text : nk_strerror(code));
}

/* The command does not keep to the protocol: say so and hang up. */
void daemon_conn_broken(struct daemon_conn *c, int code, const char *text)
{
    daemon_conn_answer(c, (uint32_t)nk_exit_code(code), 0, text);
    c->ending = true;
}

static int put_item(struct daemon_conn *c, const struct relay_local_item *it)
{
    const char *name = relay_client_group_name(c->d->client, it->group);
    struct relay_daemon_object o = {.kind = (uint8_t)it->kind,
                                    .content = (uint8_t)it->content,
                                    .tries = it->tries,
                                    .seq = it->seq,
                                    .group = name,
                                    .glen = name ? strlen(name) : 0,
                                    .meta = it->meta_len > 0 ? it->data : NULL,
                                    .meta_len = it->meta_len,
                                    .data = it->data + it->meta_len,
                                    .len = it->len};
    return relay_daemon_put_object(&c->out, &o);
}

/* More of the loan into the output. */
static void refill(struct daemon_conn *c)
{
    while (c->state == CONN_LOAN && c->cursor && nk_buf_len(&c->out) < OUT_LOW && !c->ending) {
        if (put_item(c, c->cursor) < 0) {
            daemon_conn_no_memory(c);
            return;
        }
        c->cursor = c->cursor->next;
        if (!c->cursor) {
            daemon_conn_answer(c, 0, c->loan.n, NULL);
        }
    }
}

/* Write what there is. */
static void flush(struct daemon_conn *c)
{
    refill(c);
    while (nk_buf_len(&c->out) > 0) {
        ssize_t n = nk_stream_write(c->s, nk_buf_ptr(&c->out), nk_buf_len(&c->out));
        if (n == NK_EAGAIN) {
            return;
        }
        if (n < 0) {
            conn_close(c);
            return;
        }
        nk_buf_consume(&c->out, (size_t)n);
        refill(c);
    }
    if (c->ending) {
        conn_close(c);
    }
}

/* Back to reading requests. */
void daemon_conn_idle(struct daemon_conn *c)
{
    nk_timer_stop(&c->wait);
    daemon_conn_state(c, CONN_IDLE);
}

/* --- READ ------------------------------------------------------------------------------------- */

static void lend(struct daemon_conn *c)
{
    struct relay_local *q = &c->d->queue;
    switch (c->read.mode) {
    case DAEMON_POP:
        relay_local_take(q, c->read.max, &c->loan);
        break;
    case DAEMON_LAST:
        relay_local_take_last(q, c->read.max, &c->loan, daemon_settle, c->d);
        break;
    case DAEMON_ALL:
        relay_local_take(q, UINT64_MAX, &c->loan);
        break;
    }
    nk_timer_stop(&c->wait);
    daemon_conn_state(c, CONN_LOAN);
    c->cursor = c->loan.first;
    if (!c->cursor) {
        daemon_conn_answer(c, 0, 0, NULL); /* an empty list */
    }
}

static void on_stop_late(struct daemon_conn *c);

static void on_wait_over(void *owner)
{
    struct daemon_conn *c = owner;
    struct nk_diag diag = {0};
    if (c->state == CONN_STOP) {
        on_stop_late(c);
        return;
    }
    daemon_conn_error(c, nk_fail(&diag, -ETIMEDOUT, "nothing arrived in time"), &diag);
    daemon_conn_idle(c);
    daemon_conn_advance(c);
}

static void do_read(struct daemon_conn *c, const uint8_t *p, size_t n)
{
    struct nk_diag diag = {0};
    if (relay_daemon_get_read(p, n, &c->read) < 0) {
        daemon_conn_broken(c, NK_EPROTO, "READ: malformed");
    } else if (c->d->draining || c->d->ended) {
        daemon_conn_error(c, nk_fail(&diag, NK_ECLOSED, "the daemon is about to end"), &diag);
    } else if (c->d->queue.waiting.n > 0 || !c->read.block) {
        lend(c);
    } else {
        daemon_conn_state(c, CONN_WAIT);
        c->turn = ++c->d->turn;
        if (c->read.wait_ms > 0) {
            nk_timer_start(&c->wait, c->read.wait_ms);
        }
    }
}

static void do_taken(struct daemon_conn *c)
{
    uint64_t n = c->loan.n;
    relay_local_confirm(&c->d->queue, &c->loan, daemon_settle, c->d);
    daemon_conn_answer(c, 0, n, NULL);
    daemon_conn_idle(c);
    daemon_serve_later(c->d); /* there is room again */
}

static struct daemon_conn *next_waiting(struct relay_daemon *d)
{
    struct daemon_conn *first = NULL;
    for (struct daemon_conn *c = d->conns; c; c = c->next) {
        if (!c->closed && c->state == CONN_WAIT && (!first || c->turn < first->turn)) {
            first = c;
        }
    }
    return first;
}

void daemon_conn_serve(struct relay_daemon *d)
{
    struct daemon_conn *c;
    while (d->queue.waiting.n > 0 && (c = next_waiting(d)) != NULL) {
        lend(c);
        daemon_conn_advance(c);
    }
}

uint64_t daemon_conn_sweep(struct relay_daemon *d,
                           bool (*gone)(void *arg, const struct relay_local_item *it), void *arg)
{
    uint64_t n = 0;
    for (struct daemon_conn *c = d->conns; c; c = c->next) {
        n += relay_local_sweep_loan(&d->queue, &c->loan, gone, arg);
    }
    return n;
}

/* --- the others ------------------------------------------------------------------------------- */

static void do_notify(struct daemon_conn *c, const uint8_t *p, size_t n)
{
    struct relay_endpoint_dest dest;
    struct nk_diag diag = {0};
    bool fine = relay_daemon_get_notify(p, n, &dest) == 0;
    for (size_t i = 0; fine && i < dest.n; i++) {
        fine = dest.v[i].n > 0 || dest.v[i].n == -1;
    }
    if (!fine) {
        daemon_conn_broken(c, NK_EPROTO, "NOTIFY: malformed");
        return;
    }
    int rc = daemon_notify(c->d, &dest, &diag);
    if (rc < 0) {
        daemon_conn_error(c, rc, &diag);
    } else {
        daemon_conn_answer(c, 0, dest.n, NULL);
    }
    relay_endpoint_dest_clear(&dest);
}

static void do_status(struct daemon_conn *c)
{
    struct nk_buf text;
    struct nk_json j;
    nk_buf_init(&text, RELAY_DAEMON_REQUEST);
    nk_json_init(&j, &text, true);
    nk_json_object(&j);
    relay_daemon_status(c->d, &j);
    nk_json_close(&j);
    const char *s = nk_json_end(&j) == 0 && nk_buf_u8(&text, '\n') == 0 ? nk_buf_str(&text) : NULL;
    if (s) {
        daemon_conn_answer(c, 0, 0, s);
    } else {
        daemon_conn_no_memory(c);
    }
    nk_buf_clear(&text);
}

/* The command that waits for the end has waited long enough. */
static void on_stop_late(struct daemon_conn *c)
{
    struct relay_daemon *d = c->d;
    char text[160];
    uint64_t n = relay_daemon_unsent(d);
    bool there = d->client && relay_client_alive(d->client);
    (void)snprintf(text, sizeof(text),
                   "%s; %" PRIu64 " object(s) are not with it yet; the daemon goes on trying",
                   there ? "the relay has not acknowledged everything" : "the relay is not there",
                   n);
    daemon_conn_answer(c, NK_EXIT_TEMPFAIL, n, text);
    daemon_conn_idle(c);
    daemon_conn_advance(c);
}

static void do_stop(struct daemon_conn *c, const uint8_t *p, size_t n)
{
    struct relay_daemon *d = c->d;
    struct relay_daemon_stop stop;
    if (relay_daemon_get_stop(p, n, &stop) < 0) {
        daemon_conn_broken(c, NK_EPROTO, "STOP: malformed");
        return;
    }
    daemon_conn_answer(c, 0, stop.force ? relay_daemon_unsent(d) : 0, NULL);
    daemon_conn_state(c, CONN_STOP);
    if (stop.force) {
        relay_daemon_quit(d);
        return;
    }
    if (stop.wait_ms > 0) {
        nk_timer_start(&c->wait, stop.wait_ms);
    }
    d->conf.on_stop(d->conf.owner);
}

void daemon_conn_refuse(struct relay_daemon *d)
{
    struct nk_diag diag = {0};
    (void)nk_fail(&diag, NK_ECLOSED, "the daemon is about to end");
    for (struct daemon_conn *c = d->conns; c; c = c->next) {
        if (!c->closed && c->state == CONN_WAIT) {
            daemon_conn_error(c, NK_ECLOSED, &diag);
            daemon_conn_idle(c);
            daemon_conn_advance(c);
        }
    }
}

/* --- input ------------------------------------------------------------------------------------ */

static void handle(struct daemon_conn *c, enum relay_daemon_type type, const uint8_t *p, size_t n)
{
    if (c->state == CONN_HELLO) {
        int rc = type == DAEMON_HELLO ? relay_daemon_get_hello(p, n) : NK_EPROTO;
        if (rc == 0 && relay_daemon_put_hello(&c->out) == 0) {
            daemon_conn_idle(c);
        } else {
            daemon_conn_broken(c, rc,
                               rc == NK_EVERSION ? "the daemon is another version of netkit"
                                                 : "not a command of netkit");
        }
        return;
    }
    if (c->state == CONN_LOAN) {
        if (type == DAEMON_TAKEN && n == 0 && !c->cursor) {
            do_taken(c);
        } else {
            daemon_conn_broken(c, NK_EPROTO, "TAKEN expected");
        }
        return;
    }
    switch (type) {
    case DAEMON_READ:
        do_read(c, p, n);
        break;
    case DAEMON_NOTIFY:
        do_notify(c, p, n);
        break;
    case DAEMON_SEND:
        daemon_send_begin(c, p, n);
        break;
    case DAEMON_FLUSH:
        daemon_send_flush(c, p, n);
        break;
    case DAEMON_STATUS:
        do_status(c);
        break;
    case DAEMON_STOP:
        do_stop(c, p, n);
        break;
    default:
        daemon_conn_broken(c, NK_EPROTO, "not a request");
        break;
    }
}

/* One frame out of c->in. False: it is not complete, or the connection is gone. */
static bool parse_one(struct daemon_conn *c)
{
    enum relay_daemon_type type;
    size_t n;
    if (nk_buf_len(&c->in) < RELAY_DAEMON_HEADER) {
        return false;
    }
    if (relay_daemon_header(nk_buf_ptr(&c->in), &type, &n) < 0 || n > RELAY_DAEMON_REQUEST) {
        daemon_conn_broken(c, NK_EPROTO, "not a request");
        return false;
    }
    if (nk_buf_len(&c->in) < RELAY_DAEMON_HEADER + n) {
        return false;
    }
    handle(c, type, nk_buf_ptr(&c->in) + RELAY_DAEMON_HEADER, n);
    nk_buf_consume(&c->in, RELAY_DAEMON_HEADER + n);
    return true;
}

static bool wants_frames(const struct daemon_conn *c)
{
    return c->state == CONN_HELLO || c->state == CONN_IDLE || (c->state == CONN_LOAN && !c->cursor);
}

void daemon_conn_advance(struct daemon_conn *c)
{
    for (bool more = !c->closed; more && !c->ending;) {
        if (c->state == CONN_BODY) {
            daemon_send_continue(c);
            more = c->state != CONN_BODY;
        } else {
            more = wants_frames(c) && parse_one(c);
        }
    }
    if (!c->closed) {
        flush(c);
    }
    if (!c->closed) {
        nk_stream_interest(c->s, c->state == CONN_HELD ? NK_WRITABLE : NK_READABLE | NK_WRITABLE);
    }
}

/* Read to where it belongs. */
static void read_some(struct daemon_conn *c)
{
    uint8_t *to;
    size_t room = READ_SIZE;
    bool body = c->state == CONN_BODY && nk_buf_len(&c->in) == 0;
    if (body) {
        uint64_t left = c->send.len - c->have;
        to = c->data + c->have;
        room = left < SIZE_MAX ? (size_t)left : SIZE_MAX;
    } else if (nk_buf_reserve(&c->in, room, &to) < 0) {
        conn_close(c); /* more than requests may have: not a command of ours */
        return;
    }
    ssize_t n = nk_stream_read(c->s, to, room);
    if (n == NK_EAGAIN) {
        return;
    }
    if (n <= 0) {
        conn_close(c);
    } else if (body) {
        c->have += (uint64_t)n;
    } else {
        nk_buf_commit(&c->in, (size_t)n);
    }
}

static void on_stream(void *owner, struct nk_stream *s, unsigned events)
{
    struct daemon_conn *c = owner;
    (void)s;
    if (events & NK_CLOSED) {
        conn_close(c);
        return;
    }
    if (events & NK_READABLE) {
        read_some(c);
    }
    daemon_conn_advance(c);
}

void daemon_conn_accept(struct relay_daemon *d, struct nk_stream *take_s)
{
    bool welcome = d->nconns < CONNS_MAX && nk_control_allowed(d->conf.app, take_s);
    struct daemon_conn *c = welcome ? calloc(1, sizeof(*c)) : NULL;
    if (!c) {
        nk_stream_close(take_s);
        return;
    }
    size_t object = d->conf.client->max_object;
    c->d = d;
    c->s = take_s;
    nk_buf_init(&c->in, RELAY_DAEMON_REQUEST + 2 * READ_SIZE);
    nk_buf_init(&c->out, object > SIZE_MAX / 8 ? object : object + OUT_LOW + OUT_SLACK);
    nk_timer_init(&c->wait, d->conf.app, on_wait_over, c);
    c->next = d->conns;
    if (c->next) {
        c->next->prev = c;
    }
    d->conns = c;
    d->nconns++;
    nk_stream_own(take_s, on_stream, c);
    nk_stream_interest(take_s, NK_READABLE);
}
