/* SPDX-License-Identifier: MIT */
#include "relay/client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "core/app.h"
#include "core/clock.h"
#include "core/registry.h"
#include "core/stream.h"
#include "core/timer.h"

#define LOGIN_MS 15000       /* default of conf->login_ms */
#define BACKOFF_FIRST_MS 250 /* first pause before another attempt, doubled each time */
#define BACKOFF_MAX_MS 30000
#define BACKOFF_JITTER 4      /* +- 1/4, so that many endpoints do not come back at once */
#define IDLE_PROBE_MS 30000   /* nothing heard for so long: ask for a sign of life */
#define IDLE_GIVE_UP_MS 20000 /* and wait so long for it */
#define CLOSE_WAIT_MS 1000    /* after our end-of-stream, for the relay's */
#define READ_SMALL ((size_t)64 << 10)
#define READ_LARGE ((size_t)1 << 20) /* room reserved at once while a large frame arrives */
#define ENVELOPE_MAX 64              /* bytes of a delivery's frame around the object */

#define CLIENT_STATES(X)                                                                           \
    X(DIAL)     /* connection and TLS handshake */                                                 \
    X(GREETING) /* the relay's HELLO */                                                            \
    X(LOGIN)    /* acknowledgement of our HELLO */                                                 \
    X(PROBE)    /* acknowledgement of the notify of nothing */                                     \
    X(ALIVE)                                                                                       \
    X(FINISH)  /* like ALIVE, but the last acknowledgements are awaited */                         \
    X(BYE)     /* our end of stream is sent, the relay's is awaited */                             \
    X(BACKOFF) /* waiting before another attempt */                                                \
    X(ENDED)

#define AS_ENUM(name) CLIENT_##name,
enum client_state { CLIENT_STATES(AS_ENUM) };
#undef AS_ENUM

#define AS_TEXT(name) #name,
static const char *const state_names[] = {CLIENT_STATES(AS_TEXT)};
#undef AS_TEXT

struct relay_client {
    struct nk_app *app;
    const struct relay_client_conf *conf;
    const struct relay_client_ops *ops;
    void *owner;
    enum client_state state;
    struct nk_stream *stream;
    struct nk_timer timer;  /* of the state: login, idle, backoff, bye */
    struct nk_defer flush;  /* write what this turn gathered */
    struct nk_defer report; /* on_progress */
    struct relay_client_out out;
    struct nk_buf in;
    struct relay_value_doc doc;
    struct relay_wire_format format;
    int64_t awaited;     /* stamp whose acknowledgement moves LOGIN and PROBE on */
    uint64_t connection; /* how many connections there have been */
    uint64_t opened_ms;  /* when relay_client_open was called */
    uint64_t backoff_ms; /* next pause */
    uint64_t heard_ms;   /* when the relay last sent something */
    unsigned depth;      /* callbacks we are inside of */
    bool been_alive;
    bool demanded;   /* asked for objects on this connection */
    bool owes_probe; /* acknowledgements were sent whose arrival nothing has proved */
    bool probing;    /* a sign of life was asked for */
    bool finishing;
    bool paused;
    bool closed; /* free when depth is 0 */
};

static void dial(struct relay_client *c);
static void advance(struct relay_client *c);

static void set_state(struct relay_client *c, enum client_state state)
{
    if (c->state != state) {
        nk_debug(nk_app_log(c->app), "relay", "client %s -> %s", state_names[c->state],
                 state_names[state]);
    }
    c->state = state;
}

static bool in_session(const struct relay_client *c)
{
    return c->state == CLIENT_ALIVE || c->state == CLIENT_FINISH;
}

/* The owner takes no objects now: nothing is read. Whoever finishes reads on for its last ACKs. */
static bool holding(const struct relay_client *c)
{
    return c->paused && !c->finishing && in_session(c);
}

static void set_interest(struct relay_client *c)
{
    nk_stream_interest(c->stream, holding(c) ? NK_WRITABLE : NK_READABLE | NK_WRITABLE);
}

/* --- life ------------------------------------------------------------------------------------ */

static void free_client(struct relay_client *c)
{
    relay_client_out_clear(&c->out);
    nk_buf_clear(&c->in);
    relay_value_doc_clear(&c->doc);
    free(c);
}

static void enter(struct relay_client *c)
{
    c->depth++;
}

/* Every path from the loop into this file ends here. */
static void leave(struct relay_client *c)
{
    if (--c->depth == 0 && c->closed) {
        free_client(c);
    }
}

static void drop_stream(struct relay_client *c)
{
    nk_stream_close(c->stream);
    c->stream = NULL;
    nk_timer_stop(&c->timer);
    nk_app_defer_cancel(c->app, &c->flush);
}

void relay_client_close(struct relay_client *c)
{
    if (!c || c->closed) {
        return;
    }
    drop_stream(c);
    nk_app_defer_cancel(c->app, &c->report);
    c->closed = true;
    if (c->depth == 0) {
        free_client(c);
    }
}

static void end(struct relay_client *c, int status, const struct nk_diag *why)
{
    if (c->closed || c->state == CLIENT_ENDED) {
        return;
    }
    drop_stream(c);
    nk_app_defer_cancel(c->app, &c->report);
    set_state(c, CLIENT_ENDED);
    c->ops->on_end(c->owner, status, why);
}

static uint64_t next_backoff(struct relay_client *c)
{
    uint64_t base = c->backoff_ms, spread = base / BACKOFF_JITTER;
    c->backoff_ms = base * 2 < BACKOFF_MAX_MS ? base * 2 : BACKOFF_MAX_MS;
    return base - spread + nk_random_u32((uint32_t)(2 * spread + 1));
}

/* May this failure be followed by another attempt, and is there time for one? */
static bool may_retry(const struct relay_client *c, int status, bool refused_group)
{
    if (c->out.objects_in_flight > 0 || c->out.active) {
        return false; /* what was sent may have arrived: only the user can decide to repeat it */
    }
    if (c->been_alive) {
        /* our own dead connection may still fill the group at the relay */
        return c->conf->reconnect && !c->finishing &&
               (nk_exit_code(status) != NK_EXIT_DENIED || refused_group);
    }
    return nk_exit_code(status) != NK_EXIT_DENIED &&
           nk_now_ms(c->app) - c->opened_ms < c->conf->retry_ms;
}

static void count_unacked(const struct relay_client *c, struct nk_diag *why)
{
    uint64_t waiting = c->out.objects_in_flight;
    if (waiting > 0) {
        nk_hint(why,
                "up to %llu of %llu objects were not acknowledged: they may have arrived or not",
                (unsigned long long)waiting, (unsigned long long)c->out.objects);
    } else if (c->out.first && !why->hint[0]) {
        nk_hint(why, "nothing of what waits was sent");
    }
}

static void fail(struct relay_client *c, struct nk_diag *why, bool refused_group)
{
    if (c->closed || c->state == CLIENT_ENDED) {
        return;
    }
    if (!may_retry(c, why->code, refused_group)) {
        count_unacked(c, why);
        end(c, why->code, why);
        return;
    }
    drop_stream(c);
    relay_client_out_restart(&c->out);
    nk_buf_reset(&c->in);
    set_state(c, CLIENT_BACKOFF);
    uint64_t pause = next_backoff(c);
    nk_timer_start(&c->timer, pause);
    if (c->ops->on_lost) {
        c->ops->on_lost(c->owner, why, pause);
    }
}

/* A relay says "no" by closing, in order or not; other errors are the network's. */
static bool is_refusal(int status)
{
    return status == 0 || status == -ECONNRESET || status == -EPIPE || status == NK_ETRUNC;
}

/* The connection ended (status 0: in order) where it should not: say what that means. */
static void lost(struct relay_client *c, int status)
{
    struct nk_diag why = {0};
    const char *where = c->conf->where;
    bool refused_group = false;
    if (!is_refusal(status)) {
        (void)nk_fail_sys(&why, status, "%s: connection lost", where);
    } else if (c->state == CLIENT_GREETING) {
        (void)nk_fail(&why, NK_ECLOSED, "%s closed the connection without a greeting", where);
        nk_hint(&why, "is this a relay's address, and do both sides agree on TLS (--connection)?");
    } else if (c->state == CLIENT_LOGIN) {
        (void)nk_fail(&why, NK_EAUTH, "%s refused the login: wrong password", where);
        nk_hint(&why, "check --password-file (and --header-size, which must be the relay's)");
    } else if (c->state == CLIENT_PROBE) {
        refused_group = true;
        (void)nk_fail(&why, NK_EAUTH, "%s refused a group: it is not accepted there, or full",
                      where);
        nk_hint(&why, "the relay's log says which one");
    } else {
        (void)nk_fail(&why, NK_ECLOSED, "%s: the relay closed the connection", where);
    }
    fail(c, &why, refused_group);
}

static void broken(struct relay_client *c, int code, const char *what)
{
    struct nk_diag why = {0};
    (void)nk_fail(&why, code, "%s: %s", c->conf->where, what);
    if (c->state == CLIENT_GREETING) {
        nk_hint(&why, "is this a relay's address, and is --header-size the relay's?");
    }
    fail(c, &why, false);
}

/* --- writing --------------------------------------------------------------------------------- */

static void changed(struct relay_client *c)
{
    if (c->ops->on_progress && !c->closed) {
        nk_app_defer(c->app, &c->report);
    }
}

static void on_report(void *owner)
{
    struct relay_client *c = owner;
    if (c->state != CLIENT_ENDED) {
        enter(c);
        c->ops->on_progress(c->owner);
        leave(c);
    }
}

static void write_more(struct relay_client *c)
{
    struct iovec iov[RELAY_CLIENT_IOV];
    while (c->stream && c->state != CLIENT_DIAL && c->state != CLIENT_BYE) {
        int n = relay_client_out_iov(&c->out, &c->format, in_session(c), iov);
        if (n < 0) {
            broken(c, n,
                   n == NK_ETOOBIG ? "the object is too long for the frame's header"
                                   : "out of memory");
            return;
        }
        if (n == 0) {
            advance(c);
            return;
        }
        ssize_t done = nk_stream_writev(c->stream, iov, n);
        if (done == NK_EAGAIN) {
            return;
        }
        if (done < 0) {
            /* the reason, or the last words of the relay, may still be readable */
            if (c->paused) {
                lost(c, (int)done);
            }
            return;
        }
        relay_client_out_sent(&c->out, (size_t)done);
        changed(c);
    }
}

static void on_flush(void *owner)
{
    struct relay_client *c = owner;
    enter(c);
    write_more(c);
    leave(c);
}

static void flush_later(struct relay_client *c)
{
    nk_app_defer(c->app, &c->flush);
}

/* A frame could not be appended: the connection cannot go on. */
static void check_put(struct relay_client *c, int status)
{
    if (status < 0) {
        broken(c, status, "the relay does not read what it is sent");
    } else {
        flush_later(c);
    }
}

/* Send a notify of nothing: an echo request that stock relays answer, too. */
static bool send_probe(struct relay_client *c)
{
    int64_t stamp = relay_client_out_stamp(&c->out);
    if (stamp == 0) {
        return false;
    }
    c->awaited = stamp;
    check_put(c,
              relay_wire_put_notify(relay_client_out_frames(&c->out), &c->format, stamp, NULL, 0));
    return true;
}

/* What is due once everything gathered so far is with the kernel. */
static void advance(struct relay_client *c)
{
    if (c->state != CLIENT_FINISH || !relay_client_out_empty(&c->out) ||
        relay_client_out_waiting(&c->out) > 0) {
        return;
    }
    if (c->owes_probe) {
        c->owes_probe = false;
        (void)send_probe(c);
        return;
    }
    set_state(c, CLIENT_BYE);
    (void)nk_stream_shutdown(c->stream);
    nk_timer_start(&c->timer, CLOSE_WAIT_MS);
}

/* --- reading --------------------------------------------------------------------------------- */

static void got_hello(struct relay_client *c)
{
    int64_t stamp = relay_client_out_stamp(&c->out);
    c->awaited = stamp;
    set_state(c, CLIENT_LOGIN);
    check_put(c, relay_wire_put_hello(relay_client_out_frames(&c->out), &c->format, stamp,
                                      c->conf->groups, c->conf->ngroups));
}

static void become_alive(struct relay_client *c)
{
    bool again = c->been_alive;
    c->been_alive = true;
    c->backoff_ms = BACKOFF_FIRST_MS;
    set_state(c, c->finishing ? CLIENT_FINISH : CLIENT_ALIVE);
    set_interest(c); /* the owner may have paused before */
    nk_timer_start(&c->timer, IDLE_PROBE_MS);
    flush_later(c);
    c->ops->on_alive(c->owner, again);
}

static void got_ack(struct relay_client *c, int64_t stamp)
{
    if (!relay_client_out_ack(&c->out, stamp)) {
        nk_debug(nk_app_log(c->app), "relay", "acknowledgement of unknown stamp %lld",
                 (long long)stamp);
        return;
    }
    if (c->state == CLIENT_LOGIN && stamp == c->awaited) {
        set_state(c, CLIENT_PROBE);
        (void)send_probe(c);
    } else if (c->state == CLIENT_PROBE && stamp == c->awaited) {
        become_alive(c);
    } else {
        changed(c);
        flush_later(c); /* room in the window, or the last one of FINISH */
    }
}

static void send_ack(struct relay_client *c, int64_t stamp)
{
    c->owes_probe = true;
    check_put(c, relay_wire_put_ack(relay_client_out_frames(&c->out), &c->format, stamp));
}

static void got_object(struct relay_client *c, const struct relay_wire_message *m)
{
    if (c->finishing || !c->ops->on_object) {
        return; /* not ours to keep: without an acknowledgement it goes to somebody else */
    }
    struct relay_delivery d = {.pickle = m->obj,
                               .len = m->obj_len,
                               .stamp = m->stamp,
                               .connection = c->connection,
                               .before_demand = !c->demanded};
    c->ops->on_object(c->owner, &d);
}

static void got_message(struct relay_client *c, const struct relay_wire_message *m)
{
    if ((c->state == CLIENT_GREETING) != (m->cmd == RELAY_WIRE_HELLO)) {
        broken(c, NK_EPROTO, "not what a relay says at this point");
        return;
    }
    switch (m->cmd) {
    case RELAY_WIRE_HELLO:
        send_ack(c, m->stamp);
        got_hello(c);
        break;
    case RELAY_WIRE_ACK:
        got_ack(c, m->stamp);
        break;
    case RELAY_WIRE_OBJ:
        got_object(c, m);
        break;
    case RELAY_WIRE_OTHER:
        send_ack(c, m->stamp); /* as stock endpoints do: relays use it to see whether we live */
        break;
    }
}

/* Handle the whole frames in c->in; the length of an incomplete one is in *missing. */
static void parse(struct relay_client *c, size_t *missing)
{
    *missing = 0;
    while (c->stream && !c->closed && !holding(c)) {
        struct relay_wire_message m;
        size_t total;
        unsigned header = c->format.header_size;
        int status = relay_wire_frame_length(nk_buf_ptr(&c->in), nk_buf_len(&c->in), header,
                                             c->conf->max_object + ENVELOPE_MAX, &total);
        if (status < 0) {
            broken(c, status,
                   status == NK_ETOOBIG ? "an object is larger than --max-object"
                                        : "this is not a frame of a relay");
            return;
        }
        if (total == 0 || total > nk_buf_len(&c->in)) {
            *missing = total > 0 ? total - nk_buf_len(&c->in) : 0;
            return;
        }
        uint64_t connection = c->connection;
        status = relay_wire_parse(&c->doc, nk_buf_ptr(&c->in) + header, total - header, &m);
        if (status < 0) {
            broken(c, status, "a frame holds something else than a relay's message");
            return;
        }
        got_message(c, &m);
        if (c->closed || !c->stream || connection != c->connection) {
            return;
        }
        nk_buf_consume(&c->in, total);
    }
}

static void read_more(struct relay_client *c)
{
    size_t missing = 0;
    parse(c, &missing); /* what a pause left over */
    while (c->stream && !c->closed && !holding(c)) {
        uint8_t *room;
        size_t want = missing > READ_SMALL ? missing : READ_SMALL;
        want = want > READ_LARGE ? READ_LARGE : want;
        int status = nk_buf_reserve(&c->in, want, &room);
        if (status < 0) {
            broken(c, status, "no memory for an object");
            return;
        }
        ssize_t n = nk_stream_read(c->stream, room, want);
        if (n == NK_EAGAIN) {
            return;
        }
        if (n <= 0) {
            if (c->state == CLIENT_BYE) {
                end(c, 0, NULL);
            } else {
                lost(c, (int)n);
            }
            return;
        }
        c->heard_ms = nk_now_ms(c->app);
        c->probing = false;
        nk_buf_commit(&c->in, (size_t)n);
        if (c->state == CLIENT_BYE) {
            nk_buf_reset(&c->in); /* nothing is of interest any more but the end */
        } else {
            parse(c, &missing);
        }
    }
}

/* --- the loop's side --- */

static void connected(struct relay_client *c)
{
    c->connection++;
    c->demanded = c->owes_probe = c->probing = false;
    c->heard_ms = nk_now_ms(c->app);
    set_state(c, CLIENT_GREETING);
    set_interest(c);
}

static void on_stream(void *owner, struct nk_stream *s, unsigned events)
{
    struct relay_client *c = owner;
    enter(c);
    if (events & NK_CLOSED) {
        struct nk_diag why = {0};
        int status = nk_stream_error(s, &why);
        why.code = status < 0 ? status : NK_ECLOSED;
        if (!why.text[0]) {
            (void)nk_fail_sys(&why, why.code, "%s", c->conf->where);
        }
        fail(c, &why, false);
    } else {
        if (events & NK_CONNECTED) {
            connected(c);
        }
        if (events & NK_WRITABLE) {
            write_more(c);
        }
        if (events & NK_READABLE && !c->closed && c->stream == s) {
            read_more(c);
        }
    }
    leave(c);
}

/* Nothing came for a while: ask, and give the connection up when nothing comes back. */
static void idle(struct relay_client *c)
{
    uint64_t silent = nk_now_ms(c->app) - c->heard_ms;
    if (holding(c) || !relay_client_out_empty(&c->out)) {
        c->probing = false; /* our own doing, or the kernel's timeouts apply */
        nk_timer_start(&c->timer, IDLE_PROBE_MS);
    } else if (c->probing && silent >= IDLE_GIVE_UP_MS) {
        lost(c, -ETIMEDOUT);
    } else if (silent >= IDLE_PROBE_MS) {
        c->probing = send_probe(c);
        nk_timer_start(&c->timer, IDLE_GIVE_UP_MS);
    } else {
        nk_timer_start(&c->timer, IDLE_PROBE_MS - silent);
    }
}

static void on_timer(void *owner)
{
    struct relay_client *c = owner;
    struct nk_diag why = {0};
    enter(c);
    switch (c->state) {
    case CLIENT_DIAL:
    case CLIENT_GREETING:
    case CLIENT_LOGIN:
    case CLIENT_PROBE:
        (void)nk_fail(
            &why, -ETIMEDOUT, "%s: no login within %llu s (%s)", c->conf->where,
            (unsigned long long)((c->conf->login_ms ? c->conf->login_ms : LOGIN_MS) / 1000),
            c->state == CLIENT_DIAL ? "still connecting" : "connected");
        fail(c, &why, false);
        break;
    case CLIENT_ALIVE:
    case CLIENT_FINISH:
        idle(c);
        break;
    case CLIENT_BYE:
        end(c, 0, NULL);
        break;
    case CLIENT_BACKOFF:
        dial(c);
        break;
    case CLIENT_ENDED:
        break;
    }
    leave(c);
}

static void dial(struct relay_client *c)
{
    struct nk_diag why = {0};
    set_state(c, CLIENT_DIAL);
    nk_timer_start(&c->timer, c->conf->login_ms ? c->conf->login_ms : LOGIN_MS);
    int status = nk_dial(c->app, c->conf->connect, on_stream, c, &c->stream, &why);
    if (status == 0 && c->conf->secure) {
        struct nk_stream *lower = c->stream;
        status = c->conf->secure(c->conf->secure_arg, c->app, lower, &c->stream, &why);
        if (status == 0) {
            nk_stream_own(c->stream, on_stream, c);
        }
    }
    if (status < 0) {
        c->stream = NULL;
        why.code = status;
        fail(c, &why, false);
    }
}

int relay_client_open(struct nk_app *app, const struct relay_client_conf *conf,
                      const struct relay_client_ops *ops, void *owner, struct relay_client **out)
{
    struct relay_client *c = calloc(1, sizeof(*c));
    if (!c) {
        return -ENOMEM;
    }
    c->app = app;
    c->conf = conf;
    c->ops = ops;
    c->owner = owner;
    c->format =
        (struct relay_wire_format){.header_size = conf->header_size, .password = conf->password};
    c->opened_ms = nk_now_ms(app);
    c->backoff_ms = BACKOFF_FIRST_MS;
    c->flush = (struct nk_defer){.fn = on_flush, .owner = c};
    c->report = (struct nk_defer){.fn = on_report, .owner = c};
    relay_client_out_init(&c->out);
    nk_buf_init(&c->in, conf->max_object + ENVELOPE_MAX + conf->header_size + READ_LARGE);
    nk_timer_init(&c->timer, app, on_timer, c);
    set_state(c, CLIENT_BACKOFF); /* the first attempt is made by the loop, like all others */
    nk_timer_start(&c->timer, 0);
    *out = c;
    return 0;
}

/* --- the owner's side --- */

int relay_client_send(struct relay_client *c, const struct relay_wire_dest *dest, size_t ndest,
                      enum relay_form form, uint8_t *take_data, size_t len)
{
    if (c->finishing || c->state == CLIENT_ENDED) {
        free(take_data);
        return NK_ECLOSED;
    }
    int status = relay_client_out_push(&c->out, dest, ndest, form, take_data, len);
    if (status == 0) {
        flush_later(c);
    }
    return status;
}

int relay_client_notify(struct relay_client *c, const struct relay_wire_dest *dest, size_t ndest)
{
    if (c->state != CLIENT_ALIVE) {
        return NK_EAGAIN;
    }
    int64_t stamp = relay_client_out_stamp(&c->out);
    if (stamp == 0) {
        return NK_EAGAIN;
    }
    int status =
        relay_wire_put_notify(relay_client_out_frames(&c->out), &c->format, stamp, dest, ndest);
    c->demanded = true;
    flush_later(c);
    return status;
}

void relay_client_ack(struct relay_client *c, const struct relay_delivery *d)
{
    if (c->stream && d->connection == c->connection && c->state != CLIENT_BYE) {
        c->owes_probe = true;
        if (relay_wire_put_ack(relay_client_out_frames(&c->out), &c->format, d->stamp) == 0) {
            flush_later(c);
        }
    }
}

void relay_client_pause(struct relay_client *c, bool paused)
{
    if (c->paused == paused) {
        return;
    }
    c->paused = paused;
    if (c->stream && in_session(c)) {
        set_interest(c);
        if (!paused) {
            nk_stream_again(c->stream); /* frames may lie in our own buffer */
        }
    }
}

void relay_client_finish(struct relay_client *c)
{
    c->finishing = true;
    if (c->state == CLIENT_ALIVE) {
        set_state(c, CLIENT_FINISH);
        relay_client_pause(c, false);
        flush_later(c);
    }
}

bool relay_client_alive(const struct relay_client *c)
{
    return in_session(c);
}

size_t relay_client_queued(const struct relay_client *c)
{
    return c->out.queued;
}

uint64_t relay_client_unacked(const struct relay_client *c)
{
    return relay_client_out_waiting(&c->out);
}
