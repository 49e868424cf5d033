/* SPDX-License-Identifier: MIT */
#include "tor/control.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/secret.h"
#include "core/app.h"
#include "core/clock.h"
#include "core/registry.h"
#include "core/timer.h"
#include "tor/auth.h"
#include "tor/events.h"

enum {
    CONNECT_MS = 20000,   /* for a connection, and for each step of authentication */
    RETRY_FIRST_MS = 250, /* doubled for every attempt that fails, half of it random */
    RETRY_LAST_MS = 30000,
    STABLE_MS = 10000, /* a connection that lasted so long is no failed attempt */
    LINE_MAX_FORMATTED = 1 << 20
};

struct tor_control {
    struct tor_control_conf conf;
    enum tor_control_state state;
    struct tor_conn *conn;
    struct tor_auth auth;
    struct tor_events events;
    struct nk_defer start; /* begins the first attempt */
    struct nk_timer retry;
    uint64_t retry_ms, ready_at;
    unsigned failures; /* attempts in a row */
    size_t place_i;
    char place[NK_EP_MAX_TEXT];
    bool opened, was_ready, closed, busy;
    struct nk_diag why,
        denied; /* why: of this attempt; denied: a place that is there, not for us */
    char version[TOR_VERSION_SIZE];
    enum tor_method method;
    struct tor_control_watch *first_watch, *last_watch, *walk; /* walk: the next one to be told */
    struct nk_defer fresh;                                     /* tells those that were added */
};

static void next_place(struct tor_control *c);

/* --- watches ---------------------------------------------------------------------------------- */

void tor_control_watch(struct tor_control *c, struct tor_control_watch *w)
{
    w->control = c;
    w->next = NULL;
    w->prev = c->last_watch;
    if (c->last_watch) {
        c->last_watch->next = w;
    } else {
        c->first_watch = w;
    }
    c->last_watch = w;
    w->fresh = c->state != TOR_CONTROL_CONNECTING;
    if (w->fresh) {
        nk_app_defer(c->conf.app, &c->fresh);
    }
}

void tor_control_unwatch(struct tor_control_watch *w)
{
    struct tor_control *c = w->control;
    if (!c) {
        return;
    }
    if (c->walk == w) {
        c->walk = w->next;
    }
    if (c->first_watch == w) {
        c->first_watch = w->next;
    } else {
        w->prev->next = w->next;
    }
    if (c->last_watch == w) {
        c->last_watch = w->prev;
    } else {
        w->next->prev = w->prev;
    }
    w->control = NULL;
    w->next = w->prev = NULL;
}

/* Tell everybody, or only those that were added since the last change. */
static void tell(struct tor_control *c, bool only_fresh)
{
    bool bad = c->state == TOR_CONTROL_LOST || c->state == TOR_CONTROL_CLOSED;
    struct nk_diag why = c->why;
    c->walk = c->first_watch;
    while (!c->closed && c->walk) {
        struct tor_control_watch *w = c->walk;
        c->walk = w->next;
        if (w->fresh || !only_fresh) {
            w->fresh = false;
            w->fn(w->owner, c->state, bad ? why.code : 0, bad ? &why : NULL);
        }
    }
    c->walk = NULL;
}

static void release(struct tor_control *c)
{
    tor_auth_clear(&c->auth);
    free(c);
}

/* The loop's call is over. */
static void leave(struct tor_control *c)
{
    c->busy = false;
    if (c->closed) {
        release(c);
    }
}

static void on_fresh(void *owner)
{
    struct tor_control *c = owner;
    c->busy = true;
    tell(c, true);
    leave(c);
}

static void set_state(struct tor_control *c, enum tor_control_state state)
{
    static const char *const names[] = {"connecting", "ready", "lost", "closed"};
    nk_debug(nk_app_log(c->conf.app), "tor", "control port %s: %s -> %s", c->place, names[c->state],
             names[state]);
    c->state = state;
    tell(c, false);
}

/* --- the end of an attempt, or of a connection --------------------------------------------------
 */

static void drop_conn(struct tor_control *c)
{
    tor_auth_cancel(&c->auth);
    tor_events_lost(&c->events);
    tor_conn_close(c->conn);
    c->conn = NULL;
}

/* Half of the delay is random, so that the services of one tor do not all come at once. */
static uint64_t backoff(unsigned failures)
{
    unsigned shift = failures < 10 ? failures : 10;
    uint32_t full = (uint32_t)RETRY_FIRST_MS << shift;
    full = full < RETRY_LAST_MS ? full : RETRY_LAST_MS;
    return full / 2 + nk_random_u32(full / 2 + 1);
}

/* c->why says why it is over. */
static void attempt_over(struct tor_control *c)
{
    uint64_t now = nk_now_ms(c->conf.app);
    drop_conn(c);
    if (!c->conf.reconnect || !(c->was_ready || c->conf.wait)) {
        set_state(c, TOR_CONTROL_CLOSED);
        return;
    }
    bool was_stable = c->state == TOR_CONTROL_READY && now - c->ready_at >= STABLE_MS;
    c->failures = was_stable ? 0 : c->failures;
    c->retry_ms = backoff(c->failures++);
    nk_timer_start(&c->retry, c->retry_ms);
    set_state(c, TOR_CONTROL_LOST);
}

/* Nothing was found at any place. */
static void nowhere(struct tor_control *c)
{
    if (c->denied.code != 0) {
        c->why = c->denied;
    } else if (!c->conf.access->control) {
        (void)nk_fail(&c->why, -ECONNREFUSED,
                      "no tor has a control port here: nothing at "
                      "/run/tor/control, 127.0.0.1:9051 and 127.0.0.1:9151");
        nk_hint(&c->why, "start tor, set ControlSocket or ControlPort in its torrc, or name the "
                         "port with --control; `netkit tor doctor` tells more");
    }
    attempt_over(c);
}

/* --- connecting ------------------------------------------------------------------------------- */

static void on_event(void *owner, const struct tor_reply *event)
{
    struct tor_control *c = owner;
    c->busy = true;
    tor_events_give(&c->events, event);
    leave(c);
}

static void on_open(void *owner)
{
    struct tor_control *c = owner;
    c->opened = true;
}

/* A socket that is there, but not for us, says more than that others are not there. */
static void note_denied(struct tor_control *c, int err)
{
    static const char unix_place[] = "unix:";
    size_t n = sizeof(unix_place) - 1;
    if (err == -EACCES && c->denied.code == 0 && strncmp(c->place, unix_place, n) == 0) {
        (void)tor_access_denied(c->place + n, W_OK, "ControlSocketsGroupWritable 1", &c->denied);
    }
}

/* The connection is over: that place was none, or it is lost. */
static void conn_over(struct tor_control *c, int err, const struct nk_diag *why)
{
    c->why = *why;
    c->why.code = err;
    if (c->opened) {
        attempt_over(c);
    } else {
        /* a socket that is not there is a service that is not there */
        c->why.code = err == -ENOENT ? -ECONNREFUSED : err;
        note_denied(c, err);
        drop_conn(c);
        next_place(c);
    }
}

static void on_end(void *owner, int err, const struct nk_diag *why)
{
    struct tor_control *c = owner;
    c->busy = true;
    conn_over(c, err, why);
    leave(c);
}

static void on_auth(void *owner, int err, const struct nk_diag *why)
{
    struct tor_control *c = owner;
    c->busy = true;
    if (err == 0) {
        c->method = c->auth.method;
        (void)memcpy(c->version, c->auth.version, sizeof(c->version));
        c->ready_at = nk_now_ms(c->conf.app);
        c->was_ready = true;
        tor_auth_clear(&c->auth); /* the cookie is not needed any more */
        tor_events_ready(&c->events, c->conn);
        set_state(c, TOR_CONTROL_READY);
    } else if (err == NK_EAGAIN) {
        drop_conn(c);
        c->place_i--; /* once more, with the next method */
        next_place(c);
    } else {
        conn_over(c, err, why);
    }
    leave(c);
}

static int dial(struct tor_control *c)
{
    struct nk_endpoint *ep = NULL;
    struct nk_stream *s = NULL;
    const struct tor_conn_conf conf = {.app = c->conf.app,
                                       .timeout_ms = c->conf.timeout_ms,
                                       .on_event = on_event,
                                       .on_open = on_open,
                                       .on_end = on_end,
                                       .owner = c};
    int rc = nk_endpoint_parse(c->place, NK_EP_CONNECT, &ep, &c->why);
    rc = rc < 0 ? rc : nk_dial(c->conf.app, ep, NULL, NULL, &s, &c->why);
    nk_endpoint_free(ep);
    c->opened = false;
    rc = rc < 0 ? rc : tor_conn_new(&c->conn, &conf, s, &c->why);
    uint64_t ms = c->conf.timeout_ms;
    ms = ms && ms < CONNECT_MS ? ms : CONNECT_MS;
    return rc < 0 ? rc : tor_auth_start(&c->auth, c->conn, ms, &c->why);
}

/* The next place to try; after the last one this attempt is over. */
static void next_place(struct tor_control *c)
{
    for (;;) {
        int rc = tor_access_place(c->conf.access, c->place_i, c->place, sizeof(c->place));
        if (rc == -ENOENT && c->place_i > 0) {
            nowhere(c);
            return;
        }
        c->place_i++;
        rc = rc < 0 ? nk_fail_sys(&c->why, rc, "the control port's address") : dial(c);
        if (rc == 0) {
            return;
        }
        note_denied(c, rc);
        drop_conn(c);
    }
}

static void begin(void *owner)
{
    struct tor_control *c = owner;
    c->busy = true;
    c->place_i = 0;
    c->denied = (struct nk_diag){0};
    tor_auth_clear(&c->auth);
    tor_auth_init(&c->auth, c->conf.access, on_auth, c);
    next_place(c);
    leave(c);
}

/* --- life ------------------------------------------------------------------------------------- */

int tor_control_open(struct tor_control **out, const struct tor_control_conf *conf,
                     struct nk_diag *diag)
{
    struct tor_control *c = calloc(1, sizeof(*c));
    if (!c) {
        return nk_fail(diag, -ENOMEM, "out of memory");
    }
    c->conf = *conf;
    c->fresh = (struct nk_defer){.fn = on_fresh, .owner = c};
    tor_events_init(&c->events, conf->app, c);
    nk_timer_init(&c->retry, conf->app, begin, c);
    c->start = (struct nk_defer){.fn = begin, .owner = c};
    nk_app_defer(conf->app, &c->start);
    *out = c;
    return 0;
}

void tor_control_close(struct tor_control *c)
{
    if (!c || c->closed) {
        return;
    }
    c->closed = true;
    c->state = TOR_CONTROL_CLOSED;
    nk_timer_stop(&c->retry);
    nk_app_defer_cancel(c->conf.app, &c->start);
    nk_app_defer_cancel(c->conf.app, &c->fresh);
    drop_conn(c);
    tor_events_close(&c->events);
    while (c->first_watch) {
        tor_control_unwatch(c->first_watch);
    }
    if (!c->busy) {
        release(c);
    }
}

int tor_control_subscribe(struct tor_control *c, struct tor_subscription *s)
{
    return tor_events_add(&c->events, s);
}

void tor_control_unsubscribe(struct tor_subscription *s)
{
    if (s->control) {
        tor_events_remove(&s->control->events, s);
    }
}

int tor_control_send(struct tor_control *c, struct tor_request *r, const char *line,
                     const void *data, size_t len, struct nk_diag *diag)
{
    if (c->state != TOR_CONTROL_READY) {
        return nk_fail(diag, NK_ECLOSED, "not connected to tor");
    }
    tor_events_flush(&c->events);
    return tor_conn_send(c->conn, r, line, data, len, diag);
}

int tor_control_sendf(struct tor_control *c, struct tor_request *r, struct nk_diag *diag,
                      const char *fmt, ...)
{
    struct nk_buf line;
    va_list ap;
    nk_buf_init_secret(&line, LINE_MAX_FORMATTED); /* keys of services are sent, too */
    va_start(ap, fmt);
    int rc = nk_buf_vprintf(&line, fmt, ap);
    va_end(ap);
    const char *text = rc == 0 ? nk_buf_str(&line) : NULL;
    rc = rc == 0 && !text ? -ENOMEM : rc;
    rc = rc < 0 ? nk_fail_sys(diag, rc, "a command for tor")
                : tor_control_send(c, r, text, NULL, 0, diag);
    nk_buf_clear(&line);
    return rc;
}

enum tor_control_state tor_control_state(const struct tor_control *c)
{
    return c->state;
}

uint64_t tor_control_retry_ms(const struct tor_control *c)
{
    return c->retry_ms;
}

const char *tor_control_version(const struct tor_control *c)
{
    return c->version;
}

const char *tor_control_place(const struct tor_control *c)
{
    return c->place;
}

const char *tor_control_method(const struct tor_control *c)
{
    return tor_method_name(c->method);
}
