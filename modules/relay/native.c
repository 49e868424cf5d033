/* SPDX-License-Identifier: MIT */
/* The session of the native wire: greeting, login, and the frames of a connection that lives. */
#include "relay/native.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/clock.h"

enum { PING_ECHO = 8 };

/* --- ending ----------------------------------------------------------------------------------- */

/* Frames of the greeting keep behind tlspyo's HELLO, if that was sent. */
static bool put_in_order(struct relay_conn *c, const uint8_t *frame, size_t n)
{
    uint8_t *p = relay_out_reserve(&c->out, n);
    if (!p) {
        relay_native_no_memory(c);
        return false;
    }
    memcpy(p, frame, n);
    relay_out_commit(&c->out, n);
    relay_conn_output(c);
    return true;
}

static void goaway(struct relay_conn *c, enum relay_goaway code, const char *text)
{
    uint8_t frame[RELAY_NATIVE_GOAWAY_MAX];
    size_t n = relay_native_put_goaway(frame, (uint32_t)code, text);
    if (!c->authenticated) {
        put_in_order(c, frame, n);
        return;
    }
    uint8_t *p = relay_out_urgent(&c->out, n);
    if (p) {
        memcpy(p, frame, n);
        relay_conn_output(c);
    }
}

void relay_native_refuse(struct relay_conn *c, enum relay_goaway code, const char *fmt, ...)
{
    char why[RELAY_WHY_TEXT];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(why, sizeof(why), fmt, ap);
    va_end(ap);
    if (c->closed || c->ending) {
        return;
    }
    relay_native_refused(&relay_native_of(c)->p);
    goaway(c, code, why);
    relay_conn_end(c, NK_LOG_WARN, "%s", why);
}

void relay_native_no_memory(struct relay_conn *c)
{
    relay_conn_close(c, NK_LOG_ERROR, "%s", nk_strerror(-ENOMEM));
}

/* --- from the engine -------------------------------------------------------------------------- */

static void on_deliver(void *owner, struct relay_group *g, struct relay_object *o,
                       enum relay_delivery kind, const struct relay_mark *mark)
{
    relay_native_deliver(owner, g, o, kind, mark);
}

static void on_done(void *owner, uint64_t token, int status)
{
    struct relay_conn *c = owner;
    struct relay_native_session *s = relay_native_of(c);
    unsigned what = (unsigned)(token >> (RELAY_NT_SLOT_BITS + RELAY_NT_COUNT_BITS));
    uint32_t slot = (uint32_t)(token >> RELAY_NT_COUNT_BITS) & ((1u << RELAY_NT_SLOT_BITS) - 1);
    uint64_t count = token & (((uint64_t)1 << RELAY_NT_COUNT_BITS) - 1);
    struct relay_handle *h = slot < s->nslots ? s->slot[slot] : NULL;
    switch ((enum relay_native_token)what) {
    case RELAY_NT_PUBLISH:
        relay_native_published(s, h, count, status);
        break;
    case RELAY_NT_OPEN:
        relay_native_opened(s, h, status);
        break;
    case RELAY_NT_DRAIN:
        relay_native_drained(c, h);
        break;
    case RELAY_NT_SETTLE:
        relay_native_settled(c, count, status);
        break;
    case RELAY_NT_RESUME:
        relay_native_resumed(c, status);
        break;
    }
}

static const struct relay_member_ops member_ops = {.deliver = on_deliver, .done = on_done};

/* --- greeting --------------------------------------------------------------------------------- */

void relay_native_welcome(struct relay_conn *c)
{
    struct relay_native_session *s = relay_native_of(c);
    const struct relay_limits *l = &c->hub->limits;
    struct relay_native_welcome w = {
        .heartbeat_ms = l->ping_ms > UINT32_MAX ? UINT32_MAX : (uint32_t)l->ping_ms,
        .resumed = s->resumed,
        .grace_ms = l->grace_ms > UINT32_MAX ? UINT32_MAX : (uint32_t)l->grace_ms,
        .max_object = l->max_object,
        .max_open_groups = RELAY_NATIVE_OPEN_GROUPS,
        .identity = {.p = c->identity, .len = strlen(c->identity)},
    };
    uint8_t frame[RELAY_NATIVE_WELCOME_MAX];
    memcpy(w.session, s->id, sizeof(w.session));
    size_t n = relay_native_put_welcome(frame, &w);
    if (put_in_order(c, frame, n)) {
        relay_native_welcomed(&s->p);
        relay_conn_established(c);
    }
}

static void logged_in(struct relay_conn *c)
{
    struct relay_native_session *s = relay_native_of(c);
    relay_native_attempt_end(c, true);
    relay_conn_authenticated(c, s->login->identity, relay_login_method_name(s->login->method));
    relay_login_server_clear(s->login);
    free(s->login);
    s->login = NULL;
    relay_native_resume(c);
}

/* What the connection itself says about its peer. */
static void know_peer(struct relay_conn *c, struct relay_peer *peer)
{
    int64_t uid;
    size_t n = sizeof(uid);
    *peer = (struct relay_peer){.uid = -1, .own_uid = (int64_t)geteuid()};
    if (nk_stream_query(c->s, NK_Q_UID, &uid, &n) == 0) {
        peer->uid = uid;
    }
    n = sizeof(peer->cert_hash);
    peer->certificate = nk_stream_query(c->s, NK_Q_PEERCERT, peer->cert_hash, &n) == 0;
    n = sizeof(peer->spki_hash);
    if (peer->certificate && nk_stream_query(c->s, NK_Q_PEERSPKI, peer->spki_hash, &n) < 0) {
        peer->certificate = false;
    }
    n = sizeof(peer->names);
    if (peer->certificate && nk_stream_query(c->s, NK_Q_PEERNAMES, peer->names, &n) < 0) {
        peer->names[0] = 0;
    }
}

static int start_login(struct relay_conn *c, struct relay_native_session *s)
{
    struct relay_peer *peer = calloc(1, sizeof(*peer));
    uint8_t exporter[RELAY_LOGIN_EXPORTER];
    size_t n = sizeof(exporter);
    s->login = calloc(1, sizeof(*s->login));
    if (!peer || !s->login) {
        free(peer);
        return -ENOMEM;
    }
    know_peer(c, peer);
    bool tls = nk_stream_query(c->s, NK_Q_EXPORTER, exporter, &n) == 0;
    if (c->encrypted && !tls) { /* nothing ties a login to this connection: fail closed */
        free(peer);
        return NK_EUNSUPPORTED;
    }
    relay_login_server_init(s->login, c->login->identities, tls ? exporter : NULL, peer);
    sodium_memzero(exporter, sizeof(exporter));
    free(peer);
    return 0;
}

static void challenge(struct relay_conn *c, bool implicit)
{
    struct relay_native_session *s = relay_native_of(c);
    const struct relay_login_challenge *l = relay_login_server_challenge(s->login);
    const char *name = c->hub->conf.name ? c->hub->conf.name : "";
    struct relay_native_challenge v = {
        .version = RELAY_NATIVE_VERSION,
        .methods = l->methods,
        .argon2_kib = l->stretch.mem_kib,
        .argon2_passes = l->stretch.passes,
        .candidates = l->candidates,
        .logged_in = implicit,
        .name = {.p = name,
                 .len = strlen(name) < RELAY_NATIVE_TEXT ? strlen(name) : RELAY_NATIVE_TEXT},
    };
    uint8_t frame[RELAY_NATIVE_CHALLENGE_MAX];
    memcpy(v.nonce, l->nonce, sizeof(v.nonce));
    memcpy(v.salt, l->stretch.salt, sizeof(v.salt));
    size_t n = relay_native_put_challenge(frame, &v);
    if (!put_in_order(c, frame, n)) {
        return;
    }
    relay_native_challenged(&s->p, implicit);
    if (implicit) {
        logged_in(c);
    }
}

static void do_hello(struct relay_conn *c, const uint8_t *p, size_t n)
{
    struct relay_native_session *s = relay_native_of(c);
    struct relay_native_hello v;
    if (relay_native_get_hello(p, n, &v) < 0) {
        relay_native_refuse(c, RELAY_GOAWAY_PROTOCOL, "a HELLO that is no HELLO of netkit-relay");
        return;
    }
    if (v.version_min > RELAY_NATIVE_VERSION) {
        relay_native_refuse(c, RELAY_GOAWAY_PROTOCOL,
                            "only version %d of netkit-relay is spoken here", RELAY_NATIVE_VERSION);
        return;
    }
    s->producer = v.producer;
    memcpy(s->id, v.session, sizeof(s->id));
    if (sodium_is_zero(s->id, sizeof(s->id))) {
        randombytes_buf(s->id, sizeof(s->id));
    }
    int rc = start_login(c, s);
    if (rc == NK_EUNSUPPORTED) {
        relay_native_refuse(c, RELAY_GOAWAY_AUTH,
                            "no login over TLS 1.2 without extended master secret");
        return;
    }
    if (rc < 0) {
        relay_native_no_memory(c);
        return;
    }
    challenge(c, relay_login_server_implicit(s->login));
}

static void do_auth(struct relay_conn *c, const struct relay_native_head *h, const uint8_t *p)
{
    struct relay_native_session *s = relay_native_of(c);
    uint8_t frame[RELAY_NATIVE_HEAD + RELAY_LOGIN_MESSAGE_MAX];
    int rc = relay_login_server_step(s->login, h->seq, p, h->len);
    if (rc == RELAY_LOGIN_SEND) {
        const struct relay_native_head out = {
            .type = RELAY_N_AUTH, .len = (uint32_t)s->login->out_len, .seq = s->login->out_step};
        relay_native_put_head(frame, &out);
        memcpy(frame + RELAY_NATIVE_HEAD, s->login->out, s->login->out_len);
        s->p.step = h->seq + 1; /* the numbers of both sides count up together */
        put_in_order(c, frame, RELAY_NATIVE_HEAD + s->login->out_len);
    } else if (rc == RELAY_LOGIN_DONE) {
        relay_native_logged_in(&s->p);
        logged_in(c);
    } else if (rc == NK_EAUTH) {
        relay_native_refused(&s->p);
        goaway(c, RELAY_GOAWAY_AUTH, "login refused");
        relay_native_attempt_end(c, true); /* it is counted here */
        relay_conn_denied(c, s->login->why ? s->login->why : "login refused");
    } else {
        relay_native_refuse(c, RELAY_GOAWAY_PROTOCOL, "a login message that is none");
    }
}

/* --- frames ----------------------------------------------------------------------------------- */

static void do_open(struct relay_conn *c, const struct relay_native_head *h, const uint8_t *p)
{
    struct relay_native_open v;
    if (relay_native_get_open(h, p, &v) < 0) {
        relay_native_refuse(c, RELAY_GOAWAY_PROTOCOL, "a malformed OPEN");
        return;
    }
    relay_native_open(c, &v);
}

static void do_ping(struct relay_conn *c, const struct relay_native_head *h, const uint8_t *p)
{
    uint8_t *to = relay_out_urgent(&c->out, RELAY_NATIVE_HEAD + h->len);
    if (!to) {
        relay_native_no_memory(c);
        return;
    }
    relay_native_put_echo(to, RELAY_N_PONG, p, h->len);
    relay_conn_output(c);
}

static void about_group(struct relay_conn *c, enum relay_native_do what,
                        const struct relay_native_head *head, const uint8_t *frame)
{
    struct relay_handle *h = relay_native_find(relay_native_of(c), head->group);
    const uint8_t *payload = frame + RELAY_NATIVE_HEAD;
    if (!h) {
        relay_native_refuse(c, RELAY_GOAWAY_PROTOCOL, "%s on a group that is not open",
                            relay_native_type_name(head->type));
        return;
    }
    switch (what) {
    case RELAY_NDO_CLOSE:
        relay_native_close_group(c, h);
        break;
    case RELAY_NDO_OBJECT:
        relay_native_object(c, h, head, frame);
        break;
    case RELAY_NDO_CREDIT:
        relay_native_credit(c, h, head, payload);
        break;
    case RELAY_NDO_PURGE:
        relay_native_purge(c, h, head);
        break;
    default:
        relay_native_settle(c, h, head, payload);
        break;
    }
}

static void act(struct relay_conn *c, const struct relay_native_head *h, const uint8_t *frame)
{
    struct relay_native_session *s = relay_native_of(c);
    const uint8_t *payload = frame + RELAY_NATIVE_HEAD;
    struct relay_native_action a = relay_native_frame(&s->p, h);
    switch (a.what) {
    case RELAY_NDO_HELLO:
        do_hello(c, payload, h->len);
        break;
    case RELAY_NDO_AUTH:
        do_auth(c, h, payload);
        break;
    case RELAY_NDO_OPEN:
        do_open(c, h, payload);
        break;
    case RELAY_NDO_CLOSE:
    case RELAY_NDO_OBJECT:
    case RELAY_NDO_CREDIT:
    case RELAY_NDO_SETTLE:
    case RELAY_NDO_PURGE:
        about_group(c, a.what, h, frame);
        break;
    case RELAY_NDO_PING:
        do_ping(c, h, payload);
        break;
    case RELAY_NDO_NOTHING:
        break;
    case RELAY_NDO_LEAVE:
        s->leaving = true;
        relay_conn_output(c);
        break;
    case RELAY_NDO_REFUSE:
        relay_native_refuse(c, a.code, "%s (%s)", a.why, relay_native_type_name(h->type));
        break;
    }
}

static bool reading(const struct relay_conn *c)
{
    return !c->closed && !c->ending && !c->stalled && !c->penalty;
}

static size_t on_input(struct relay_conn *c, const uint8_t *p, size_t n)
{
    struct relay_native_session *s = relay_native_of(c);
    size_t off = 0;
    c->need = 0;
    while (reading(c) && off < n) {
        if (p[off] == RELAY_N_BROADCAST && s->p.state == RELAY_NATIVE_ALIVE) {
            size_t run = relay_native_run(c, p + off, n - off);
            if (run) {
                off += run;
                continue;
            }
        }
        struct relay_native_head h;
        const char *why = NULL;
        int rc = relay_native_head(p + off, n - off, RELAY_FROM_CLIENT, relay_native_max_len(&s->p),
                                   &h, &why);
        if (rc < 0) {
            relay_native_refuse(c, RELAY_GOAWAY_PROTOCOL, "%s (%s)", why,
                                relay_native_type_name(p[off]));
            return n;
        }
        if (rc == 0) {
            break;
        }
        if (h.len > n - off - RELAY_NATIVE_HEAD) {
            c->need = RELAY_NATIVE_HEAD + h.len;
            break;
        }
        if (h.type == RELAY_N_AUTH &&
            relay_native_attempt_wait(c, &h, p + off + RELAY_NATIVE_HEAD)) {
            break;
        }
        c->hub->count.frames_in++;
        act(c, &h, p + off);
        off += RELAY_NATIVE_HEAD + h.len;
    }
    return c->closed || c->ending ? n : off;
}

/* --- the rest of the wire --------------------------------------------------------------------- */

/* Before output is written: what was collected during the turn. */
static void on_prepare(struct relay_conn *c)
{
    struct relay_native_session *s = relay_native_of(c);
    if (c->ending && !s->member) {
        return;
    }
    relay_native_receipts(c);
    if (!c->closed) {
        relay_native_pump(c);
    }
    if (s->leaving && !c->closed && !c->ending && s->unanswered == 0) {
        goaway(c, RELAY_GOAWAY_DONE, "");
        relay_conn_end(c, NK_LOG_INFO, "the endpoint has finished");
    }
}

static void on_written(struct relay_conn *c)
{
    if (relay_native_of(c)->backlog || relay_native_of(c)->paused) {
        relay_native_pump(c);
    }
}

static void on_ping(struct relay_conn *c)
{
    uint8_t echo[PING_ECHO] = {0};
    uint8_t *to = relay_out_urgent(&c->out, RELAY_NATIVE_HEAD + sizeof(echo));
    if (to) {
        relay_native_put_echo(to, RELAY_N_PING, echo, sizeof(echo));
        relay_conn_output(c);
    }
}

static bool on_established(const struct relay_conn *c)
{
    const struct relay_native_session *s = c->session;
    return s && (s->p.state >= RELAY_NATIVE_ALIVE || c->ending);
}

static void on_groups(const struct relay_conn *c,
                      void (*fn)(void *arg, const struct relay_group *g), void *arg)
{
    const struct relay_native_session *s = relay_native_of(c);
    for (uint32_t i = 0; i < s->nslots; i++) {
        const struct relay_handle *h = s->slot[i];
        if (h && h->member && !h->closed && !h->opening) {
            fn(arg, h->group);
        }
    }
}

static uint64_t on_unacked(const struct relay_conn *c)
{
    return relay_native_of(c)->leases;
}

static bool on_forbidden(struct relay_conn *c)
{
    return relay_native_forbidden(c);
}

static bool on_settled(const struct relay_conn *c)
{
    const struct relay_native_session *s = relay_native_of(c);
    return s->unanswered == 0 && s->backlog == 0;
}

static void on_goodbye(struct relay_conn *c)
{
    goaway(c, RELAY_GOAWAY_DRAIN, "the relay ends");
}

static bool on_ready(struct relay_conn *c)
{
    const struct relay_native_session *s = relay_native_of(c);
    return s->p.state != RELAY_NATIVE_RESUMING && relay_native_attempt_over(s);
}

static uint8_t *on_direct(struct relay_conn *c, size_t *room)
{
    (void)c, (void)room;
    return NULL;
}

static int on_open(struct relay_conn *c)
{
    struct relay_hub *h = c->hub;
    struct relay_native_session *s = calloc(1, sizeof(*s));
    int rc = s ? relay_engine_attach(h->conf.engine, &member_ops, c, &s->member) : -ENOMEM;
    if (rc < 0) {
        free(s);
        return rc;
    }
    s->conn = c;
    c->session = s;
    relay_native_init(&s->p);
    nk_stream_tune(c->s, NK_TUNE_NOTSENT_LOWAT, RELAY_NOTSENT_LOWAT);
    return 0;
}

static void on_close(struct relay_conn *c)
{
    struct relay_native_session *s = relay_native_of(c);
    if (s->leaving) {
        relay_native_forget(c);
    }
    relay_native_attempt_end(c, false);
    relay_engine_detach(c->hub->conf.engine, s->member);
    relay_native_groups_clear(s);
    if (s->login) {
        relay_login_server_clear(s->login);
        free(s->login);
    }
    free(s->asked);
    sodium_memzero(s->id, sizeof(s->id));
    free(s);
    c->session = NULL;
}

const struct relay_wire relay_wire_native = {
    .name = "native",
    .chunks = true,
    .open = on_open,
    .input = on_input,
    .direct = on_direct,
    .prepare = on_prepare,
    .held = relay_native_held,
    .ready = on_ready,
    .written = on_written,
    .ping = on_ping,
    .established = on_established,
    .settled = on_settled,
    .forbidden = on_forbidden,
    .groups = on_groups,
    .unacked = on_unacked,
    .goodbye = on_goodbye,
    .close = on_close,
};
