/* SPDX-License-Identifier: MIT */
#include "relay/conn.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/codec.h"
#include "core/clock.h"
#include "relay/wire_native.h"
#include "relay/wire_tlspyo.h"

#define UID_PREFIX "uid:" /* identities of unix peers without a section */

enum {
    GROUP_TEXT = 128, /* of a group's name in the log */
    IOV_MAX_PIECES = 64,
    PAGE = 4096,        /* the smallest there is */
    LIVENESS_STEPS = 3, /* how often the timer looks within the ping interval */
    /* bytes per ms: a stock Endpoint handles a frame of 64 MB for minutes before it says anything
     * again, because it copies all it has for every TLS record */
    SLOWEST_READER = 64
};

/* --- closing ---------------------------------------------------------------------------------- */

static void log_close(struct relay_conn *c, enum nk_level level, const char *why)
{
    struct relay_hub *h = c->hub;
    if (!nk_log_on(h->log, "relay", level) || (level <= NK_LOG_INFO && !relay_hub_may_log(h))) {
        return;
    }
    NK_LOG_(h->log, "relay", level, NULL, c->peer,
            "closed: %s (objects: %" PRIu64 " in, %" PRIu64 " out)", why, c->objects_in,
            c->objects_out);
}

static void leave_guests(struct relay_conn *c)
{
    if (c->arrival) {
        nk_preauth_leave(&c->arrival->preauth);
        relay_guard_leave(c->hub->guard, &c->arrival->guest);
    }
}

static void close_now(struct relay_conn *c)
{
    struct relay_hub *h = c->hub;
    c->closed = true;
    if (c->session) {
        c->wire->close(c);
    }
    relay_conn_unwait(c);
    nk_timer_stop(&c->timer);
    nk_stream_close(c->s);
    c->s = NULL;
    leave_guests(c);
    relay_out_clear(&c->out);
    relay_rx_drop(c);
    free(c->stash);
    c->stash = NULL;
    *(c->prev ? &c->prev->next : &h->conns) = c->next;
    if (c->next) {
        c->next->prev = c->prev;
    }
    h->nconns--;
    c->prev = NULL;
    c->next = h->dead;
    h->dead = c;
    nk_app_defer(h->conf.app, &h->reap);
    if (h->waiting) {
        relay_hub_touch(h); /* memory or a full group may have become free */
    }
}

void relay_conn_free(struct relay_conn *c)
{
    if (c->dirty) { /* the flush of this turn has not seen it yet */
        struct relay_conn **at = &c->hub->dirty;
        while (*at != c) {
            at = &(*at)->dirty_next;
        }
        *at = c->dirty_next;
    }
    if (c->held) {
        struct relay_conn **at = &c->hub->held;
        while (*at != c) {
            at = &(*at)->held_next;
        }
        *at = c->held_next;
    }
    relay_login_unref(c->login);
    free(c->arrival);
    free(c->peer);
    free(c->why);
    free(c);
}

void relay_conn_close(struct relay_conn *c, enum nk_level level, const char *fmt, ...)
{
    char why[RELAY_WHY_TEXT];
    va_list ap;
    if (c->closed) {
        return;
    }
    va_start(ap, fmt);
    vsnprintf(why, sizeof(why), fmt, ap);
    va_end(ap);
    log_close(c, level, why);
    close_now(c);
}

static void arm_liveness(struct relay_conn *c);

void relay_conn_end(struct relay_conn *c, enum nk_level level, const char *fmt, ...)
{
    char why[RELAY_WHY_TEXT];
    va_list ap;
    if (c->closed || c->ending) {
        return;
    }
    va_start(ap, fmt);
    vsnprintf(why, sizeof(why), fmt, ap);
    va_end(ap);
    c->why = strdup(why);
    c->why_level = level;
    c->ending = true;
    relay_conn_unwait(c);
    nk_stream_interest(c->s, NK_WRITABLE);
    relay_conn_output(c);
    if (c->authenticated && !c->penalty) {
        arm_liveness(c);
    }
}

/* --- login ------------------------------------------------------------------------------------ */

static void on_guest_drop(void *owner)
{
    struct relay_conn *c = owner;
    c->hub->count.refused++;
    relay_conn_close(c, NK_LOG_WARN, "not logged in, and newer connections need its place");
}

void relay_conn_authenticated(struct relay_conn *c, const char *identity, const char *method)
{
    c->authenticated = true;
    snprintf(c->identity, sizeof(c->identity), "%s", identity);
    c->publisher = relay_hub_publisher(c->hub, c->identity);
    c->hub->count.auth_ok++;
    leave_guests(c);
    free(c->arrival);
    c->arrival = NULL;
    nk_audit(c->hub->log, "relay", relay_hub_may_log(c->hub) ? NK_LOG_INFO : NK_LOG_TRACE,
             "auth.ok", c->peer, "%s as '%s', %s", method, c->identity,
             c->encrypted ? "TLS" : "no TLS");
}

bool relay_conn_may(struct relay_conn *c, const void *group, size_t len, enum relay_right right)
{
    struct relay_hub *h = c->hub;
    if (relay_acl_allows(h->login->acl, c->identity, group, len, right)) {
        return true;
    }
    char name[GROUP_TEXT];
    h->count.acl_deny++;
    nk_audit(h->log, "relay", relay_hub_may_log(h) ? NK_LOG_WARN : NK_LOG_TRACE, "acl.deny",
             c->peer, "'%s' may not %s in group '%s'", c->identity, relay_acl_right_name(right),
             nk_escape(name, sizeof(name), group, len));
    return false;
}

/* Is there still such an identity? Users of this machine have none unless they are configured. */
static bool identity_known(const struct relay_conn *c)
{
    return strncmp(c->identity, UID_PREFIX, strlen(UID_PREFIX)) == 0 ||
           relay_identities_find(c->hub->login->identities, c->identity, strlen(c->identity));
}

void relay_conn_recheck(struct relay_conn *c)
{
    if (!c->authenticated || c->ending || c->closed) {
        return;
    }
    if (!identity_known(c)) {
        relay_conn_end(c, NK_LOG_WARN, "identity '%s' was removed", c->identity);
    } else if (c->session && c->wire->forbidden && c->wire->forbidden(c)) {
        relay_conn_end(c, NK_LOG_WARN, "'%s' may no longer do what it does", c->identity);
    }
}

uint64_t relay_conn_failed(struct relay_conn *c, const char *why)
{
    struct relay_hub *h = c->hub;
    h->count.auth_fail++;
    nk_audit(h->log, "relay", relay_hub_may_log(h) ? NK_LOG_WARN : NK_LOG_TRACE, "auth.fail",
             c->peer, "%s", why);
    return c->arrival && c->arrival->guest.address
               ? relay_guard_failed(h->guard, &c->arrival->guest, nk_now_ms(h->conf.app))
               : RELAY_PENALTY_FIRST_MS; /* it changed its password after the login */
}

void relay_conn_denied(struct relay_conn *c, const char *why)
{
    uint64_t delay = relay_conn_failed(c, why);
    relay_conn_flush(c); /* what the wire says about it */
    if (c->closed) {
        return;
    }
    c->penalty = true;
    nk_stream_interest(c->s, 0);
    relay_out_clear(&c->out);
    nk_timer_start(&c->timer, delay);
}

/* --- the turn's end
 * ---------------------------------------------------------------------------------- */

void relay_conn_output(struct relay_conn *c)
{
    if (c->dirty || c->closed) {
        return;
    }
    c->dirty = true;
    c->dirty_next = c->hub->dirty;
    c->hub->dirty = c;
    if (!c->hub->flushing) {
        nk_app_defer(c->hub->conf.app, &c->hub->flush);
    }
}

static void finish(struct relay_conn *c)
{
    nk_stream_shutdown(c->s); /* what was written still arrives */
    log_close(c, c->why_level, c->why ? c->why : nk_strerror(-ENOMEM));
    close_now(c);
}

/* The kernel could not read what it was to send: a page of a mapped segment is not there any more.
 * Reading it ourselves ends the relay (nk_signal_bus); else it is there again. */
static void touch(const struct iovec *iov, int n)
{
    for (int i = 0; i < n; i++) {
        const volatile uint8_t *p = iov[i].iov_base;
        for (size_t at = 0; at < iov[i].iov_len; at += PAGE) {
            (void)p[at];
        }
        if (iov[i].iov_len) {
            (void)p[iov[i].iov_len - 1];
        }
    }
}

void relay_conn_flush(struct relay_conn *c)
{
    if (c->session && c->wire->prepare) {
        bool dirty = c->dirty;
        c->dirty = true; /* what it adds goes out with this flush */
        c->wire->prepare(c);
        c->dirty = dirty;
    }
    if (c->closed) {
        return;
    }
    size_t before = c->out.bytes;
    while (c->out.bytes && !c->blocked && !c->penalty && c->connected) {
        struct iovec iov[IOV_MAX_PIECES];
        int n = relay_out_iov(&c->out, iov, IOV_MAX_PIECES);
        ssize_t put = nk_stream_writev(c->s, iov, n);
        if (put == NK_EAGAIN) {
            c->blocked = true;
        } else if (put < 0) {
            if (put == -EFAULT) {
                touch(iov, n);
            }
            relay_conn_close(c, NK_LOG_INFO, "%s", nk_strerror((int)put));
            return;
        } else {
            relay_out_consume(&c->out, (size_t)put);
        }
    }
    if (c->owes_ack && c->out.bytes == before) {
        /* an Endpoint never sets TCP_NODELAY: its next small frame waits for TCP's acknowledgement,
         * which the kernel would hold back for 40 ms hoping for something to send along */
        nk_stream_tune(c->s, NK_TUNE_QUICKACK, 1);
    }
    c->owes_ack = false;
    if (c->out.bytes != before) {
        c->hub->count.bytes_out += before - c->out.bytes;
        c->tx_ms = nk_now_ms(c->hub->conf.app);
        c->unheard += before - c->out.bytes;
        c->wire->written(c);
    }
    if (c->ending && !c->closed && c->out.bytes == 0 && (!c->session || c->wire->settled(c))) {
        finish(c);
    }
}

void relay_conn_drain(struct relay_conn *c)
{
    if (!c->connected || !c->wire->established(c) || c->penalty) {
        relay_conn_close(c, NK_LOG_DEBUG, "the relay ends");
        return;
    }
    if (c->wire->goodbye) {
        c->wire->goodbye(c);
    }
    relay_conn_end(c, NK_LOG_DEBUG, "the relay ends");
}

/* --- time ------------------------------------------------------------------------------------- */

static uint64_t since(uint64_t now, uint64_t then)
{
    return now > then ? now - then : 0;
}

static void arm_liveness(struct relay_conn *c)
{
    const struct relay_limits *l = &c->hub->limits;
    uint64_t step = l->ping_ms / LIVENESS_STEPS;
    if ((c->full || c->ending) && l->stall_ms < step) {
        step = l->stall_ms;
    }
    c->look_ms = nk_now_ms(c->hub->conf.app) + (step ? step : 1);
    nk_timer_start(&c->timer, step ? step : 1);
}

/* While we were not running (suspended, or stopped) nobody was silent. */
static void forgive_absence(struct relay_conn *c, uint64_t now)
{
    uint64_t away = since(now, c->look_ms);
    c->rx_ms = c->rx_ms + away < now ? c->rx_ms + away : now;
    c->tx_ms = c->tx_ms + away < now ? c->tx_ms + away : now;
}

static void on_timer(void *owner)
{
    struct relay_conn *c = owner;
    const struct relay_limits *l = &c->hub->limits;
    uint64_t now = nk_now_ms(c->hub->conf.app);
    if (c->penalty) {
        relay_conn_close(c, NK_LOG_DEBUG, "wrong password");
        return;
    }
    if (!c->connected || !c->wire->established(c)) {
        c->hub->count.refused++;
        relay_conn_close(c, NK_LOG_WARN, "%s within %" PRIu64 " s",
                         c->connected ? "no HELLO" : "no TLS handshake", l->hello_ms / 1000);
        return;
    }
    forgive_absence(c, now);
    uint64_t quiet = since(now, c->rx_ms), stuck = since(now, c->tx_ms);
    if (c->ending && stuck >= l->stall_ms) { /* it does not even read why it has to go */
        relay_conn_close(c, c->why_level, "%s", c->why);
        return;
    }
    if (c->full && stuck >= l->stall_ms) {
        c->hub->count.closed_slow++;
        relay_conn_close(c, NK_LOG_WARN, "it reads nothing, and %zu bytes wait for it",
                         c->out.bytes);
        return;
    }
    uint64_t patience = l->dead_ms + c->unheard / SLOWEST_READER;
    if (quiet >= patience && (c->out.bytes == 0 || stuck >= patience)) {
        relay_conn_close(c, NK_LOG_WARN, "no sign of life for %" PRIu64 " s", quiet / 1000);
        return;
    }
    if (quiet >= l->ping_ms && !c->pinged_ms && c->out.bytes == 0 && !c->ending) {
        c->pinged_ms = now;
        c->wire->ping(c);
    }
    arm_liveness(c);
}

void relay_conn_established(struct relay_conn *c)
{
    arm_liveness(c);
}

/* --- birth ------------------------------------------------------------------------------------ */

static bool negotiated_native(const struct relay_conn *c)
{
    char alpn[sizeof(RELAY_NATIVE_ALPN) + 1];
    size_t n = sizeof(alpn);
    return nk_stream_query(c->s, NK_Q_ALPN, alpn, &n) == 0 && strcmp(alpn, RELAY_NATIVE_ALPN) == 0;
}

/* With TLS, ALPN has decided; without it the first byte will, and tlspyo's HELLO goes out at once.
 */
static void begin_wire(struct relay_conn *c)
{
    enum relay_wires wires = c->hub->conf.wires;
    if (c->encrypted && negotiated_native(c)) {
        relay_conn_use_wire(c, &relay_wire_native);
    } else if (c->encrypted && wires == RELAY_WIRES_NATIVE) {
        c->hub->count.refused++;
        relay_conn_close(c, NK_LOG_WARN,
                         "it does not offer " RELAY_NATIVE_ALPN
                         ", and this relay speaks nothing else (wire = native)");
    } else if (wires == RELAY_WIRES_NATIVE) {
        relay_conn_use_wire(c, &relay_wire_native);
    } else {
        c->choosing = !c->encrypted && wires == RELAY_WIRES_AUTO;
        relay_conn_use_wire(c, &relay_wire_tlspyo);
    }
}

static void on_connected(struct relay_conn *c)
{
    c->connected = true;
    nk_stream_tune(c->s, NK_TUNE_NODELAY, 1);
    begin_wire(c);
    if (c->closed) {
        return;
    }
    relay_hub_touch(c->hub);
}

static void on_event(void *owner, struct nk_stream *s, unsigned events)
{
    struct relay_conn *c = owner;
    if (events & NK_CLOSED) {
        struct nk_diag diag = {0};
        nk_stream_error(s, &diag);
        c->hub->count.refused++;
        relay_conn_close(c, NK_LOG_WARN, "%s", diag.text);
        return;
    }
    if (events & NK_CONNECTED) {
        on_connected(c);
    }
    if (!c->closed && (events & NK_WRITABLE)) {
        c->blocked = false;
        relay_conn_flush(c);
    }
    if (!c->closed && (events & NK_READABLE)) {
        relay_conn_readable(c);
    }
}

static void free_rejected(struct relay_conn *c)
{
    if (c) {
        free(c->arrival);
        free(c->peer);
        free(c);
    }
}

/* Before it is on any list. */
static void reject(struct relay_hub *h, struct relay_conn *c, struct nk_stream *s, const char *why)
{
    h->count.refused++;
    if (relay_hub_may_log(h)) {
        char peer[RELAY_PEER_TEXT];
        NK_LOG_(h->log, "relay", NK_LOG_WARN, NULL, nk_stream_peer(s, peer, sizeof(peer)),
                "refused: %s", why);
    }
    nk_stream_close(s);
    free_rejected(c);
}

static struct relay_conn *conn_new(struct nk_stream *s)
{
    char peer[RELAY_PEER_TEXT];
    struct relay_conn *c = calloc(1, sizeof(*c));
    if (!c || !(c->arrival = calloc(1, sizeof(*c->arrival))) ||
        !(c->peer = strdup(nk_stream_peer(s, peer, sizeof(peer))))) {
        free_rejected(c);
        return NULL;
    }
    c->arrival->guest = (struct relay_guest){.drop = on_guest_drop, .owner = c};
    c->arrival->preauth.drop = on_guest_drop;
    c->arrival->preauth.owner = c;
    return c;
}

void relay_conn_open(struct relay_hub *h, struct nk_stream *take_s, bool encrypted)
{
    if (h->draining || h->nconns >= h->limits.max_connections) {
        reject(h, NULL, take_s, h->draining ? "the relay ends" : "max_connections is reached");
        return;
    }
    struct relay_conn *c = conn_new(take_s);
    if (!c || relay_guard_enter(h->guard, &c->arrival->guest, c->peer) < 0) {
        reject(h, c, take_s, nk_strerror(-ENOMEM));
        return;
    }
    c->hub = h;
    c->id = h->count.accepted;
    c->since_s = nk_wall_s(h->conf.app);
    c->s = take_s;
    c->wire = &relay_wire_tlspyo;
    c->encrypted = encrypted;
    c->login = h->login;
    c->login->refs++;
    c->rx_ms = c->tx_ms = nk_now_ms(h->conf.app);
    relay_out_init(&c->out, &h->pool);
    c->next = h->conns;
    if (c->next) {
        c->next->prev = c;
    }
    h->conns = c;
    h->nconns++;
    nk_timer_init(&c->timer, h->conf.app, on_timer, c);
    nk_timer_start(&c->timer, h->limits.hello_ms);
    nk_stream_own(take_s, on_event, c);
    nk_stream_interest(take_s, NK_READABLE | NK_WRITABLE);
    nk_preauth_enter(nk_app_preauth(h->conf.app), &c->arrival->preauth);
    if (nk_preauth_charge(&c->arrival->preauth, RELAY_GUEST_BYTES) < 0) {
        relay_conn_close(c, NK_LOG_WARN, "no memory for connections that are not logged in");
    }
}
