/* SPDX-License-Identifier: MIT */
/* The connection: dialling, states, time, reading and writing. The owner's side is client_api.c. */
#include "relay/client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "core/clock.h"
#include "core/registry.h"
#include "core/stream.h"
#include "relay/client_wire.h"

#define LOGIN_MS 15000       /* default of conf->login_ms */
#define GREETING_MS 3000     /* for the greeting of a relay without TLS, which speaks at once, */
#define GREETING_DIALS 4     /* and so many times as long as connecting took: slow networks */
#define BACKOFF_FIRST_MS 250 /* first pause before another attempt, doubled each time */
#define BACKOFF_MAX_MS 30000
#define BACKOFF_JITTER 4      /* +- 1/4, so that many endpoints do not come back at once */
#define IDLE_PROBE_MS 30000   /* nothing heard for so long: ask for a sign of life */
#define IDLE_GIVE_UP_MS 20000 /* and wait so long for it */
#define CLOSE_WAIT_MS 1000    /* after our end-of-stream, for the relay's */
#define FINISH_RETRY_MS 10000 /* who only owes acknowledgements tries so long to deliver them */
#define NOTSENT_LOWAT (128 * 1024) /* bytes; of a unix socket or a file there is no such limit */
#define READ_SMALL ((size_t)64 << 10)
#define READ_LARGE ((size_t)1 << 20) /* room reserved at once while a large frame arrives */
#define WRITE_TURN ((size_t)2 << 20) /* bytes written before the loop polls again */
#define ENVELOPE_MAX 64              /* bytes of a delivery's frame around the object */

#define AS_TEXT(name) #name,
static const char *const state_names[] = {CLIENT_STATES(AS_TEXT)};
#undef AS_TEXT

static void dial(struct relay_client *c);

void client_set_state(struct relay_client *c, enum client_state state)
{
    if (c->state != state) {
        nk_debug(nk_app_log(c->app), "relay", "client %s -> %s", state_names[c->state],
                 state_names[state]);
    }
    c->state = state;
}

bool client_in_session(const struct relay_client *c)
{
    return c->state == CLIENT_ALIVE || c->state == CLIENT_FINISH;
}

bool client_holding(const struct relay_client *c)
{
    return c->paused && !c->finishing && client_in_session(c);
}

void client_set_interest(struct relay_client *c)
{
    nk_stream_interest(c->stream, client_holding(c) ? NK_WRITABLE : NK_READABLE | NK_WRITABLE);
}

/* --- life ------------------------------------------------------------------------------------ */

static void free_client(struct relay_client *c)
{
    static const struct client_wire *const wires[] = {&client_wire_tlspyo, &client_wire_native};
    for (size_t i = 0; i < sizeof(wires) / sizeof(wires[0]); i++) {
        if (c->sessions[wires[i]->kind]) {
            wires[i]->destroy(c, c->sessions[wires[i]->kind]);
        }
    }
    client_groups_clear(c);
    client_spool_clear(&c->spool);
    nk_buf_clear(&c->in);
    free(c);
}

void client_enter(struct relay_client *c)
{
    c->depth++;
}

/* Every path from the loop into the client ends here. */
void client_leave(struct relay_client *c)
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
    c->closed = true; /* nothing is reported from here on */
    if (c->stream && client_in_session(c) && c->wire->leave) {
        c->wire->leave(c);
    }
    drop_stream(c);
    nk_app_defer_cancel(c->app, &c->report);
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
    client_set_state(c, CLIENT_ENDED);
    c->ops->on_end(c->owner, status, why);
}

static uint64_t next_backoff(struct relay_client *c)
{
    uint64_t base = c->backoff_ms, spread = base / BACKOFF_JITTER;
    c->backoff_ms = base * 2 < BACKOFF_MAX_MS ? base * 2 : BACKOFF_MAX_MS;
    return base - spread + nk_random_u32((uint32_t)(2 * spread + 1));
}

static uint64_t in_doubt(const struct relay_client *c)
{
    return c->wire ? c->wire->doubt(c) : 0;
}

/* Is there anything for which a client that finishes should come back? */
static bool worth_finishing(const struct relay_client *c)
{
    return relay_client_unsettled(c) > 0 || (c->wire && c->wire->kind == RELAY_CLIENT_NATIVE &&
                                             nk_now_ms(c->app) - c->finish_ms < FINISH_RETRY_MS);
}

/* May this failure be followed by another attempt, and is there time for one? */
static bool may_retry(const struct relay_client *c, int status, bool retry_refusal)
{
    bool denied = nk_exit_code(status) == NK_EXIT_DENIED;
    if (c->conf->doubt == RELAY_CLIENT_DOUBT_ENDS && in_doubt(c) > 0) {
        return false; /* what was sent may have arrived: only the user can decide to repeat it */
    }
    if (c->been_alive) {
        return c->conf->reconnect && (!denied || retry_refusal) &&
               (!c->finishing || worth_finishing(c));
    }
    return !denied && nk_now_ms(c->app) - c->opened_ms < c->conf->retry_ms;
}

static void count_unsettled(const struct relay_client *c, struct nk_diag *why)
{
    uint64_t doubt = in_doubt(c);
    if (doubt > 0) {
        nk_hint(why,
                "up to %llu of %llu objects were not acknowledged: they may have arrived or not",
                (unsigned long long)doubt, (unsigned long long)c->spool.objects);
    } else if (relay_client_unsettled(c) > 0 && !why->hint[0]) {
        if (c->wire && c->wire->kind == RELAY_CLIENT_NATIVE) {
            nk_hint(why, "%llu objects are not confirmed by the relay",
                    (unsigned long long)relay_client_unsettled(c));
        } else {
            nk_hint(why, "nothing of what waits was sent");
        }
    }
}

void client_fail(struct relay_client *c, struct nk_diag *why, bool retry_refusal)
{
    if (c->closed || c->state == CLIENT_ENDED) {
        return;
    }
    if (!may_retry(c, why->code, retry_refusal)) {
        count_unsettled(c, why);
        end(c, why->code, why);
        return;
    }
    drop_stream(c);
    client_set_state(c, CLIENT_BACKOFF);
    uint64_t lost = c->wire ? c->wire->lost(c) : 0;
    if (c->closed) {
        return;
    }
    c->wire = NULL;
    nk_buf_reset(&c->in);
    if (lost > 0) {
        nk_hint(why, "%llu objects may have arrived or not; they are not sent again",
                (unsigned long long)lost);
    }
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
    bool retry = false;
    if (!is_refusal(status)) {
        (void)nk_fail_sys(&why, status, "%s: connection lost", where);
    } else {
        c->wire->refused(c, &why, &retry);
    }
    client_fail(c, &why, retry);
}

void client_broken(struct relay_client *c, int code, const char *what)
{
    struct nk_diag why = {0};
    (void)nk_fail(&why, code, "%s: %s", c->conf->where, what);
    if (c->state == CLIENT_GREETING) {
        nk_hint(&why, "is this a relay's address, and is --header-size the relay's?");
    }
    client_fail(c, &why, false);
}

/* --- writing --------------------------------------------------------------------------------- */

void client_changed(struct relay_client *c)
{
    if (c->ops->on_progress && !c->closed) {
        nk_app_defer(c->app, &c->report);
    }
}

static void on_report(void *owner)
{
    struct relay_client *c = owner;
    if (c->state != CLIENT_ENDED) {
        client_enter(c);
        c->ops->on_progress(c->owner);
        client_leave(c);
    }
}

/* What is due once everything gathered so far is with the kernel. */
static void advance(struct relay_client *c)
{
    if (c->state != CLIENT_FINISH || relay_client_unsettled(c) > 0 || !c->wire->done(c)) {
        return;
    }
    client_set_state(c, CLIENT_BYE);
    (void)nk_stream_shutdown(c->stream);
    nk_timer_start(&c->timer, CLOSE_WAIT_MS);
}

/* Everything gathered is written, or the kernel takes no more. True: ask again. */
static bool write_some(struct relay_client *c, size_t *written)
{
    struct iovec iov[CLIENT_IOV];
    int n = c->wire->iov(c, iov);
    if (n < 0) {
        client_broken(c, n,
                      n == NK_ETOOBIG ? "the object is too long for the frame's header"
                                      : "out of memory");
        return false;
    }
    if (!c->stream) {
        return false;
    }
    if (n == 0) {
        advance(c);
        return false;
    }
    ssize_t done = nk_stream_writev(c->stream, iov, n);
    if (done < 0) {
        /* the reason, or the last words of the relay, may still be readable */
        if (done != NK_EAGAIN && c->paused) {
            lost(c, (int)done);
        }
        return false;
    }
    c->wire->sent(c, (size_t)done);
    *written += (size_t)done;
    client_changed(c);
    return true;
}

static void write_more(struct relay_client *c)
{
    size_t written = 0;
    while (c->stream && c->wire && c->state != CLIENT_BYE) {
        if (written > WRITE_TURN) {
            client_flush_later(c);
            return;
        }
        if (!write_some(c, &written)) {
            return;
        }
    }
}

static void on_flush(void *owner)
{
    struct relay_client *c = owner;
    client_enter(c);
    write_more(c);
    client_leave(c);
}

void client_flush_later(struct relay_client *c)
{
    nk_app_defer(c->app, &c->flush);
}

/* --- reading --------------------------------------------------------------------------------- */

void client_become_alive(struct relay_client *c)
{
    bool again = c->been_alive;
    c->been_alive = true;
    c->logins++;
    c->backoff_ms = BACKOFF_FIRST_MS;
    client_set_state(c, c->finishing ? CLIENT_FINISH : CLIENT_ALIVE);
    client_set_interest(c); /* the owner may have paused before */
    nk_timer_start(&c->timer, c->probe_ms);
    client_flush_later(c);
    c->ops->on_alive(c->owner, again);
}

static void input(struct relay_client *c, size_t *missing)
{
    const struct client_wire *wire;
    do { /* again when it has changed: the rest is for the other one */
        wire = c->wire;
        *missing = 0;
        wire->input(c, missing);
    } while (c->stream && !c->closed && c->wire != wire);
}

static void read_more(struct relay_client *c)
{
    size_t missing = 0;
    input(c, &missing); /* what a pause left over */
    while (c->stream && !c->closed && !client_holding(c)) {
        uint8_t *room;
        size_t want = missing > READ_SMALL ? missing : READ_SMALL;
        want = want > READ_LARGE ? READ_LARGE : want;
        int status = nk_buf_reserve(&c->in, want, &room);
        if (status < 0) {
            client_broken(c, status, "no memory for an object");
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
        c->probing = c->silent = false;
        nk_buf_commit(&c->in, (size_t)n);
        if (c->state == CLIENT_BYE) {
            nk_buf_reset(&c->in); /* nothing is of interest any more but the end */
        } else {
            input(c, &missing);
        }
    }
}

/* --- the loop's side --- */

int client_use_wire(struct relay_client *c, const struct client_wire *wire)
{
    int status = c->sessions[wire->kind] ? 0 : wire->create(c, &c->sessions[wire->kind]);
    if (status < 0) {
        client_broken(c, status, "out of memory");
        return status;
    }
    c->wire = wire;
    c->kind = wire->kind;
    client_set_state(c, CLIENT_GREETING);
    wire->begin(c);
    return 0;
}

/* tlspyo's wire carries the password itself: only to a relay that has been authenticated. */
static bool may_use(struct relay_client *c, const struct client_wire *wire)
{
    struct nk_diag why = {0};
    if (!c->conf->secure || wire->kind != RELAY_CLIENT_TLSPYO ||
        client_trust(c) != RELAY_TRUST_NONE) {
        return true;
    }
    (void)nk_fail(&why, NK_EVERIFY,
                  "%s: nothing is known of this relay's certificate, and it cannot log in by a "
                  "password that stays secret",
                  c->conf->where);
    nk_hint(&why, "give --ca or --pin (--wire tlspyo asks the system's authorities)");
    client_fail(c, &why, false);
    return false;
}

/* When this attempt is over without a login. */
static uint64_t login_end(const struct relay_client *c)
{
    return c->dialled_ms + (c->conf->login_ms ? c->conf->login_ms : LOGIN_MS);
}

/* A relay with TLS waits for our ClientHello as we wait for its greeting: nobody would say anything
 * before the end of the login's time. */
static void await_greeting(struct relay_client *c)
{
    uint64_t now = nk_now_ms(c->app), left = login_end(c) > now ? login_end(c) - now : 0;
    uint64_t limit = GREETING_MS + GREETING_DIALS * (now - c->dialled_ms);
    nk_timer_start(&c->timer, limit < left ? limit : left);
}

static void connected(struct relay_client *c)
{
    const struct client_wire *wire = client_choose_wire(c);
    /* what the kernel has not sent yet stands before every answer of ours */
    (void)nk_stream_tune(c->stream, NK_TUNE_NOTSENT_LOWAT, NOTSENT_LOWAT);
    c->connection++;
    c->asked = c->probing = false;
    c->probe_ms = IDLE_PROBE_MS;
    c->answer_ms = IDLE_GIVE_UP_MS;
    c->heard_ms = nk_now_ms(c->app);
    c->silent = true;
    if (may_use(c, wire) && client_use_wire(c, wire) == 0 && c->stream) {
        client_set_interest(c);
        if (!c->conf->secure && wire == &client_wire_tlspyo) {
            await_greeting(c);
        }
    }
}

static void on_stream(void *owner, struct nk_stream *s, unsigned events)
{
    struct relay_client *c = owner;
    client_enter(c);
    if (events & NK_CLOSED) {
        struct nk_diag why = {0};
        int status = nk_stream_error(s, &why);
        why.code = status < 0 ? status : NK_ECLOSED;
        if (!why.text[0]) {
            (void)nk_fail_sys(&why, why.code, "%s", c->conf->where);
        }
        client_fail(c, &why, false);
    } else {
        if (events & NK_CONNECTED) {
            connected(c);
        }
        if (events & NK_WRITABLE && c->stream == s) {
            write_more(c);
        }
        if (events & NK_READABLE && !c->closed && c->stream == s && c->wire) {
            read_more(c);
        }
    }
    client_leave(c);
}

/* Nothing came for a while: ask, and give the connection up when nothing comes back. */
static void idle(struct relay_client *c)
{
    uint64_t silent = nk_now_ms(c->app) - c->heard_ms;
    if (client_holding(c) || !c->wire->idle(c)) {
        c->probing = false; /* our own doing, or the kernel's timeouts apply */
        c->wire->keep(c);
        nk_timer_start(&c->timer, c->probe_ms);
    } else if (c->probing && silent >= c->answer_ms) {
        lost(c, -ETIMEDOUT);
    } else if (silent >= c->probe_ms) {
        c->probing = c->wire->probe(c);
        nk_timer_start(&c->timer, c->answer_ms);
    } else {
        nk_timer_start(&c->timer, c->probe_ms - silent);
    }
}

static void no_login(struct relay_client *c)
{
    struct nk_diag why = {0};
    uint64_t ms = c->conf->login_ms ? c->conf->login_ms : LOGIN_MS;
    (void)nk_fail(&why, -ETIMEDOUT, "%s: no login within %llu s (%s)", c->conf->where,
                  (unsigned long long)(ms / 1000),
                  c->state == CLIENT_DIAL ? "still connecting" : "connected");
    if (c->state != CLIENT_DIAL) {
        nk_hint(&why, "is this a relay's address, and do both sides agree on TLS (--connection)?");
    }
    client_fail(c, &why, false);
}

/* The time for the greeting is over, or that for the whole login. */
static void still_no_login(struct relay_client *c)
{
    struct nk_diag why = {0};
    uint64_t now = nk_now_ms(c->app), end_ms = login_end(c);
    if (now >= end_ms) {
        no_login(c);
    } else if (c->state == CLIENT_GREETING && c->silent) {
        (void)nk_fail(&why, NK_ECLOSED,
                      "%s: connected, but it does not greet as a relay without "
                      "TLS does at once",
                      c->conf->where);
        nk_hint(&why, "is it a relay with TLS? Then leave --connection TCP out (or say TLS)");
        client_fail(c, &why, false);
    } else {
        nk_timer_start(&c->timer, end_ms - now);
    }
}

static void on_timer(void *owner)
{
    struct relay_client *c = owner;
    client_enter(c);
    switch (c->state) {
    case CLIENT_DIAL:
    case CLIENT_GREETING:
    case CLIENT_LOGIN:
    case CLIENT_PROBE:
        still_no_login(c);
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
    client_leave(c);
}

static void dial(struct relay_client *c)
{
    struct nk_diag why = {0};
    client_set_state(c, CLIENT_DIAL);
    c->dialled_ms = nk_now_ms(c->app);
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
        client_fail(c, &why, false);
    }
}

int relay_client_open(struct nk_app *app, const struct relay_client_conf *conf,
                      const struct relay_client_ops *ops, void *owner, struct relay_client **out)
{
    struct relay_client *c = calloc(1, sizeof(*c));
    int status = c ? 0 : -ENOMEM;
    if (!c) {
        return status;
    }
    c->app = app;
    c->conf = conf;
    c->ops = ops;
    c->owner = owner;
    c->opened_ms = nk_now_ms(app);
    c->backoff_ms = BACKOFF_FIRST_MS;
    c->flush = (struct nk_defer){.fn = on_flush, .owner = c};
    c->report = (struct nk_defer){.fn = on_report, .owner = c};
    client_spool_init(&c->spool);
    nk_buf_init(&c->in, conf->max_object + ENVELOPE_MAX + conf->header_size + READ_LARGE +
                            RELAY_NATIVE_FRAGMENT);
    nk_timer_init(&c->timer, app, on_timer, c);
    client_set_state(c,
                     CLIENT_BACKOFF); /* the first attempt is made by the loop, like the others */
    for (size_t i = 0; i < conf->ngroups && status == 0; i++) {
        status = relay_client_group(c, conf->groups[i], true, NULL);
    }
    if (status < 0) {
        free_client(c);
        return status;
    }
    nk_timer_start(&c->timer, 0);
    *out = c;
    return 0;
}
