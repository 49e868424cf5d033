/* SPDX-License-Identifier: MIT */
#include "ssh/proto_transport.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/codec.h"
#include "base/secret.h"
#include "ssh/transport_impl.h"

enum {
    LENGTH = 4, /* bytes before a kept packet */
    TEXT_MAX = 256,
    DISCONNECT_TEXT_MAX = 128,
    EXT_INFOS_MAX = 2, /* RFC 8308 2.4 */
    SIG_ALGS_MAX = 8 * 1024,
    ANSWER_MAX = 5, /* payload of UNIMPLEMENTED */
    KEX_FIRST = 20, /* numbers of messages of key exchanges (RFC 4250 4.1.1) */
    KEX_LAST = 49,
    AUTH_CANCELLED = 13, /* reasons of DISCONNECT that are about the login (RFC 4253 11.1) */
    ILLEGAL_USER = 15
};

void ssh_transport_set(struct ssh_transport *t, enum ssh_transport_state s)
{
    t->state = s;
}

int ssh_transport_full(int rc)
{
    return rc == NK_ETOOBIG ? NK_ELIMIT : rc;
}

void ssh_transport_say(const struct ssh_transport *t, enum ssh_trace what, const void *p, size_t n)
{
    char text[TEXT_MAX];
    if (t->conf.ops->trace) {
        t->conf.ops->trace(t->conf.owner, what, nk_escape(text, sizeof(text), p, n));
    }
}

static bool is_over(const struct ssh_transport *t)
{
    return t->state == SSH_T_OVER;
}

/* --- the sink of those above ------------------------------------------------------------------ */

static void count_traffic(struct ssh_transport *t);

static int sink_begin(struct ssh_sink *s, size_t max, uint8_t **payload)
{
    struct ssh_transport *t = (struct ssh_transport *)s;
    uint8_t *room;
    if (is_over(t) || !t->keyed) {
        return NK_ECLOSED;
    }
    if (max > SSH_PAYLOAD_MAX) {
        return NK_ETOOBIG;
    }
    if (!t->locked) {
        return ssh_transport_full(ssh_seal_begin(&t->sealer, &t->out, max, payload));
    }
    int rc = nk_buf_reserve(&t->held, LENGTH + max, &room);
    if (rc == 0) {
        *payload = room + LENGTH;
    }
    return ssh_transport_full(rc);
}

static void sink_end(struct ssh_sink *s, uint8_t *payload, size_t n)
{
    struct ssh_transport *t = (struct ssh_transport *)s;
    if (!t->locked) {
        ssh_seal_end(&t->sealer, &t->out, payload, n);
        count_traffic(t);
        return;
    }
    for (int i = 0; i < LENGTH; i++) {
        payload[i - LENGTH] = (uint8_t)(n >> (8 * (LENGTH - 1 - i)));
    }
    nk_buf_commit(&t->held, LENGTH + n);
}

static const struct ssh_sink_ops sink_ops = {.begin = sink_begin, .end = sink_end};

int ssh_transport_flush(struct ssh_transport *t, struct nk_diag *diag)
{
    int rc = 0;
    while (rc == 0 && nk_buf_len(&t->held) > 0) {
        struct nk_cur c;
        nk_cur_init(&c, nk_buf_ptr(&t->held), nk_buf_len(&t->held));
        struct ssh_str payload = ssh_cur_string(&c);
        rc = ssh_transport_full(ssh_seal(&t->sealer, &t->out, payload.p, payload.n));
        nk_buf_consume(&t->held, LENGTH + payload.n);
    }
    if (rc < 0) {
        return nk_fail_sys(diag, rc, "what had to wait for a key exchange");
    }
    nk_buf_clear(&t->held);
    return 0;
}

/* --- re-exchange ------------------------------------------------------------------------------ */

static bool is_used_up(const struct ssh_transport *t, const struct ssh_traffic *since, int dir)
{
    uint64_t packets = t->conf.rekey_packets ? t->conf.rekey_packets : SSH_REKEY_PACKETS;
    return since->packets >= packets || since->bytes >= t->limit[dir];
}

/* New keys when the old ones have done enough. Without memory for it the next packet tries again.
 */
static void count_traffic(struct ssh_transport *t)
{
    if (t->state == SSH_T_OPEN && t->authenticated &&
        (is_used_up(t, &t->sealer.since, SSH_OUT) || is_used_up(t, &t->opener.since, SSH_IN))) {
        t->since_late = ssh_kex_begin(t) == 0;
    }
}

/* The time that an exchange begun between two looks at the clock begins with. */
static void set_now(struct ssh_transport *t, uint64_t now_ms)
{
    t->now = now_ms;
    if (t->since_late) {
        t->since_late = false;
        t->since = t->begun = now_ms;
    }
}

int ssh_transport_rekey(struct ssh_transport *t, uint64_t now_ms)
{
    set_now(t, now_ms);
    return t->state == SSH_T_OPEN && t->authenticated ? ssh_kex_begin(t) : 0;
}

/* --- the end ---------------------------------------------------------------------------------- */

void ssh_transport_disconnect(struct ssh_transport *t, enum ssh_reason reason, const char *text)
{
    struct nk_buf b;
    if (is_over(t)) {
        return;
    }
    nk_buf_init(&b, DISCONNECT_TEXT_MAX);
    int rc = nk_buf_u8(&b, SSH_MSG_DISCONNECT);
    rc = rc < 0 ? rc : nk_buf_be32(&b, (uint32_t)reason);
    rc = rc < 0 ? rc : ssh_put_text(&b, text);
    rc = rc < 0 ? rc : ssh_put_text(&b, ""); /* language */
    if (rc == 0 && t->state != SSH_T_IDENT) {
        (void)ssh_seal(&t->sealer, &t->out, nk_buf_ptr(&b), nk_buf_len(&b)); /* best effort */
    }
    nk_buf_clear(&b);
    nk_buf_clear(&t->held);
    ssh_transport_set(t, SSH_T_OVER);
    if (!t->busy) { /* else it may still be looked at */
        ssh_kex_drop(t);
    }
}

/* It cannot go on: the server is told, as far as it is its business. */
static int fail(struct ssh_transport *t, int rc, struct nk_diag *diag)
{
    enum ssh_reason reason = t->x ? SSH_REASON_KEX_FAILED : SSH_REASON_PROTOCOL_ERROR;
    const char *text = t->x ? "key exchange failed" : "protocol error";
    if (rc == NK_EVERIFY) {
        reason = SSH_REASON_HOST_KEY;
        text = "host key not verifiable";
    } else if (rc == NK_EAUTH) {
        reason = SSH_REASON_NO_AUTH;
        text = "no more authentication methods";
    } else if (rc != NK_EPROTO) {
        reason = SSH_REASON_BY_APPLICATION;
        text = rc == -ETIMEDOUT ? "timeout" : "closed";
    }
    if (diag) {
        diag->code = rc;
    }
    ssh_transport_disconnect(t, reason, text);
    return rc;
}

static int on_disconnect(struct ssh_transport *t, const struct ssh_packet *p, struct nk_diag *diag)
{
    struct nk_cur c;
    char shown[SSH_SAID_MAX];
    nk_cur_init(&c, p->payload + 1, p->n - 1);
    uint32_t reason = nk_cur_be32(&c);
    struct ssh_str text = ssh_cur_string(&c);
    bool login = t->keyed && !t->authenticated &&
                 (reason == SSH_REASON_PROTOCOL_ERROR || /* OpenSSH: too many failures */
                  (reason >= AUTH_CANCELLED && reason <= ILLEGAL_USER));
    ssh_kex_drop(t);
    nk_buf_clear(&t->held);
    ssh_transport_set(t, SSH_T_OVER);
    return nk_fail(diag, login ? NK_EAUTH : NK_ECLOSED, "the server has disconnected: %s (%u)",
                   text.n ? nk_escape(shown, sizeof(shown), text.p, text.n) : "no reason given",
                   reason);
}

int ssh_transport_eof(struct ssh_transport *t, struct nk_diag *diag)
{
    bool partial = nk_buf_len(&t->in) > 0 && t->state != SSH_T_IDENT && t->state != SSH_T_ANSWER;
    enum ssh_transport_state was = t->state;
    ssh_kex_drop(t);
    ssh_transport_set(t, SSH_T_OVER);
    if (was == SSH_T_IDENT && *t->said) {
        nk_fail(diag, NK_ECLOSED, "the server has closed the connection: it said \"%s\"", t->said);
        nk_hint(diag, "it may take more connections later");
        return NK_ECLOSED;
    }
    if (was == SSH_T_IDENT) {
        return nk_fail(diag, NK_ECLOSED,
                       "the server closed the connection before it said anything");
    }
    return nk_fail(diag, partial ? NK_ETRUNC : NK_ECLOSED, "the server has closed the connection%s",
                   t->keyed ? "" : " during key exchange");
}

/* --- messages --------------------------------------------------------------------------------- */

static int on_ext_info(struct ssh_transport *t, const struct ssh_packet *p, struct nk_diag *diag)
{
    struct nk_cur c;
    nk_cur_init(&c, p->payload + 1, p->n - 1);
    uint32_t n = nk_cur_be32(&c);
    if (++t->ext_infos > EXT_INFOS_MAX) {
        return nk_fail(diag, NK_EPROTO, "the server sends EXT_INFO again and again");
    }
    for (; n > 0 && !c.failed; n--) {
        struct ssh_str name = ssh_cur_string(&c), value = ssh_cur_string(&c);
        if (c.failed) {
            break;
        }
        ssh_transport_say(t, SSH_TRACE_EXT_INFO, name.p, name.n);
        t->hostbound = t->hostbound || ssh_str_is(name, "publickey-hostbound@openssh.com");
        t->ping = t->ping || ssh_str_is(name, "ping@openssh.com");
        if (ssh_str_is(name, "server-sig-algs") && value.n <= SIG_ALGS_MAX) {
            nk_buf_reset(&t->sig_algs);
            int rc = nk_buf_put(&t->sig_algs, value.p, value.n);
            if (rc < 0) {
                return nk_fail_sys(diag, rc, "EXT_INFO");
            }
            t->has_sig_algs = true;
        }
    }
    return nk_cur_done(&c) ? 0 : nk_fail(diag, NK_EPROTO, "the server's EXT_INFO is malformed");
}

static int on_ping(struct ssh_transport *t, const struct ssh_packet *p, struct nk_diag *diag)
{
    uint8_t *out;
    int rc = ssh_sink_begin(&t->sink, p->n, &out);
    if (rc < 0) {
        return nk_fail_sys(diag, rc, "answering the server's PING");
    }
    memcpy(out, p->payload, p->n);
    *out = SSH_MSG_PONG;
    ssh_sink_end(&t->sink, out, p->n);
    return 0;
}

static int on_debug(struct ssh_transport *t, const struct ssh_packet *p, struct nk_diag *diag)
{
    struct nk_cur c;
    nk_cur_init(&c, p->payload + 1, p->n - 1);
    (void)ssh_cur_bool(&c);
    struct ssh_str text = ssh_cur_string(&c);
    if (c.failed) {
        return nk_fail(diag, NK_EPROTO, "the server's DEBUG is malformed");
    }
    ssh_transport_say(t, SSH_TRACE_DEBUG, text.p, text.n);
    return 0;
}

/* RFC 4253 11.4 */
static int unimplemented(struct ssh_transport *t, uint32_t seq, struct nk_diag *diag)
{
    const uint8_t p[ANSWER_MAX] = {SSH_MSG_UNIMPLEMENTED, (uint8_t)(seq >> 24),
                                   (uint8_t)(seq >> 16), (uint8_t)(seq >> 8), (uint8_t)seq};
    int rc = ssh_transport_full(ssh_seal(&t->sealer, &t->out, p, sizeof(p)));
    return rc < 0 ? nk_fail_sys(diag, rc, "answering the server") : 0;
}

/* For those above. */
static int hand_up(struct ssh_transport *t, const struct ssh_packet *p, struct nk_diag *diag)
{
    uint8_t number = p->payload[0];
    int rc = t->conf.ops->payload(t->conf.owner, p->payload, p->n, diag);
    if (rc < 0 || is_over(t)) {
        return rc < 0 ? rc : 0;
    }
    if (rc == 0) {
        return number == SSH_MSG_UNIMPLEMENTED ? 0 : unimplemented(t, p->seq, diag);
    }
    t->authenticated = t->authenticated || number == SSH_MSG_USERAUTH_SUCCESS;
    return 0;
}

/* What may come when no key exchange forbids it. */
static int on_message(struct ssh_transport *t, const struct ssh_packet *p, struct nk_diag *diag)
{
    switch (p->payload[0]) {
    case SSH_MSG_IGNORE:
        return 0;
    case SSH_MSG_DEBUG:
        return on_debug(t, p, diag);
    case SSH_MSG_EXT_INFO:
        return on_ext_info(t, p, diag);
    case SSH_MSG_PING:
        return on_ping(t, p, diag);
    default:
        return hand_up(t, p, diag);
    }
}

/* The server's KEXINIT came and its NEWKEYS did not, or there are no keys at all. */
static bool in_exchange(const struct ssh_transport *t)
{
    return !t->keyed || (t->x && t->state != SSH_T_KEXINIT);
}

/* Strict: during the first exchange nothing but the exchange (OpenSSH's PROTOCOL 1.10). Else, and
 * later, what RFC 4253 7.1 allows. */
static int in_between(struct ssh_transport *t, const struct ssh_packet *p, struct nk_diag *diag)
{
    uint8_t number = p->payload[0];
    bool first = !t->opener.protect;
    if ((first && t->strict) ||
        (number != SSH_MSG_IGNORE && number != SSH_MSG_DEBUG && number != SSH_MSG_UNIMPLEMENTED)) {
        return nk_fail(diag, NK_EPROTO, "the server sent %s (%u) during key exchange",
                       ssh_message_name(number), number);
    }
    if (number == SSH_MSG_UNIMPLEMENTED && t->authenticated) {
        return hand_up(t, p, diag);
    }
    return number == SSH_MSG_DEBUG ? on_debug(t, p, diag) : 0;
}

static int dispatch(struct ssh_transport *t, const struct ssh_packet *p, struct nk_diag *diag)
{
    uint8_t number = p->payload[0];
    if (number == SSH_MSG_DISCONNECT) {
        return on_disconnect(t, p, diag);
    }
    if (t->x && t->x->skip && number != SSH_MSG_KEXINIT) { /* RFC 4253 7 */
        t->x->skip = false;
        return 0;
    }
    if (number >= KEX_FIRST && number <= KEX_LAST) {
        return ssh_kex_message(t, p, diag);
    }
    return in_exchange(t) ? in_between(t, p, diag) : on_message(t, p, diag);
}

/* --- in --------------------------------------------------------------------------------------- */

static int wrapped(struct nk_diag *diag)
{
    return nk_fail(diag, NK_EPROTO, "too many packets came during the first key exchange");
}

/* The next packet, or line. 1: there was one; 0: not yet. */
static int step(struct ssh_transport *t, struct nk_diag *diag)
{
    struct ssh_packet p;
    if (t->state == SSH_T_IDENT) {
        return ssh_ident_take(t, diag);
    }
    if (!ssh_transport_wants_input(t)) {
        return 0;
    }
    bool first = !t->opener.protect;
    int rc = ssh_open(&t->opener, nk_buf_ptr(&t->in), nk_buf_len(&t->in), &p, diag);
    if (rc <= 0) {
        return rc == NK_EAUTH ? NK_EPROTO : rc;
    }
    if (first && t->opener.wrapped) { /* a number would come twice (OpenSSH's PROTOCOL 1.10) */
        return wrapped(diag);
    }
    rc = dispatch(t, &p, diag);
    if (rc < 0) {
        return rc;
    }
    if (t->keyed && t->state == SSH_T_KEXINIT && t->now - t->begun < SSH_KEXINIT_WAIT_MS) {
        t->since = t->now; /* what was on its way when ours was sent takes its time */
    }
    nk_buf_consume(&t->in, p.used);
    count_traffic(t);
    return 1;
}

/* An answer that was given from within the question. */
static int answered(struct ssh_transport *t, struct nk_diag *diag)
{
    if (!t->trusted) {
        return 0;
    }
    t->trusted = false;
    t->asked = false;
    t->since = t->now;
    if (t->refused < 0) {
        if (diag) {
            *diag = t->why;
        }
        return NK_EVERIFY;
    }
    int rc = ssh_kex_accept(t, diag);
    return rc < 0 ? rc : 1;
}

/* Whatever can be done with what is there. */
static int run(struct ssh_transport *t, struct nk_diag *diag)
{
    int rc = 1;
    t->busy = true;
    while (rc > 0 && !is_over(t)) {
        rc = step(t, diag);
        rc = rc < 0 || t->state != SSH_T_ANSWER ? rc : answered(t, diag);
    }
    if (rc >= 0 && t->ready_due && !is_over(t)) {
        t->ready_due = false;
        t->conf.ops->ready(t->conf.owner);
    }
    t->busy = false;
    if (is_over(t)) {
        ssh_kex_drop(t);
    }
    return rc < 0 ? fail(t, rc, diag) : 0;
}

int ssh_transport_space(struct ssh_transport *t, uint8_t **p, size_t *n, struct nk_diag *diag)
{
    size_t have = nk_buf_len(&t->in), want = SSH_READ_SIZE;
    if (t->state != SSH_T_IDENT && t->opener.need > have && t->opener.need - have > want) {
        want = t->opener.need - have;
    }
    int rc = nk_buf_reserve(&t->in, want, p);
    if (rc < 0) {
        return nk_fail_sys(diag, ssh_transport_full(rc), "reading from the server");
    }
    *n = want;
    return 0;
}

static int gone(struct nk_diag *diag)
{
    return nk_fail(diag, NK_ECLOSED, "the connection is over");
}

int ssh_transport_feed(struct ssh_transport *t, size_t n, uint64_t now_ms, struct nk_diag *diag)
{
    if (is_over(t)) {
        return gone(diag);
    }
    set_now(t, now_ms);
    nk_buf_commit(&t->in, n);
    return run(t, diag);
}

int ssh_transport_trust(struct ssh_transport *t, int answer, const struct nk_diag *why,
                        uint64_t now_ms, struct nk_diag *diag)
{
    if (is_over(t) || !t->asked) {
        return is_over(t) ? gone(diag) : nk_fail(diag, -EINVAL, "nobody has asked");
    }
    t->trusted = true;
    t->refused = answer;
    if (answer < 0) {
        nk_fail(&t->why, NK_EVERIFY, "the server's host key was refused");
        t->why = why ? *why : t->why;
    }
    set_now(t, now_ms);
    return t->busy ? 0 : run(t, diag);
}

int ssh_transport_computed(struct ssh_transport *t, struct ssh_kex_task *take_task, uint64_t now_ms,
                           struct nk_diag *diag)
{
    if (t->state != SSH_T_WORK) {
        ssh_kex_task_free(take_task);
        return gone(diag);
    }
    set_now(t, now_ms);
    t->since = t->now; /* the server had nothing to do with it */
    t->busy = true;
    int rc = ssh_kex_computed(t, take_task, diag);
    t->busy = false;
    return rc < 0 ? fail(t, rc, diag) : run(t, diag);
}

/* --- time ------------------------------------------------------------------------------------- */

uint64_t ssh_transport_due(const struct ssh_transport *t)
{
    if (!ssh_transport_wants_input(t)) {
        return SSH_NEVER;
    }
    if (t->state == SSH_T_OPEN) {
        return t->authenticated && t->conf.rekey_ms ? t->keys_since + t->conf.rekey_ms : SSH_NEVER;
    }
    bool patient = t->state == SSH_T_KEXINIT && !t->x;
    return t->since + (patient ? SSH_KEXINIT_PATIENCE_MS : SSH_KEX_TIMEOUT_MS);
}

int ssh_transport_tick(struct ssh_transport *t, uint64_t now_ms, struct nk_diag *diag)
{
    if (is_over(t)) {
        return gone(diag);
    }
    set_now(t, now_ms);
    if (now_ms < ssh_transport_due(t)) {
        return 0;
    }
    if (t->state == SSH_T_KEXINIT && !t->x) { /* the server may be waiting, too */
        ssh_proposal_guard(&t->proposal);
    } else if (t->state != SSH_T_OPEN) {
        return fail(t, nk_fail(diag, -ETIMEDOUT, "the server does not go on with the key exchange"),
                    diag);
    }
    int rc = ssh_kex_begin(t);
    return rc < 0 ? fail(t, nk_fail_sys(diag, rc, "key exchange"), diag) : 0;
}

/* --- birth, death, questions ------------------------------------------------------------------ */

int ssh_transport_new(struct ssh_transport **out, const struct ssh_transport_conf *conf,
                      uint64_t now_ms, struct nk_diag *diag)
{
    struct ssh_transport *t = calloc(1, sizeof(*t));
    if (!t) {
        return nk_fail_sys(diag, -ENOMEM, "ssh");
    }
    t->sink.ops = &sink_ops;
    t->conf = *conf;
    if (conf->proposal) {
        t->proposal = *conf->proposal;
    } else {
        ssh_proposal_init(&t->proposal);
    }
    t->now = t->since = now_ms;
    nk_buf_init(&t->in, 2 * SSH_PACKET_MAX + SSH_READ_SIZE);
    nk_buf_init(&t->out, SSH_OUTPUT_MAX);
    nk_buf_init_secret(&t->held, SSH_HELD_MAX);
    nk_buf_init(&t->host, SSH_BLOB_MAX);
    nk_buf_init(&t->host_signature, SSH_BLOB_MAX);
    nk_buf_init(&t->sig_algs, SIG_ALGS_MAX);
    ssh_sealer_init(&t->sealer);
    ssh_opener_init(&t->opener);
    snprintf(t->ident, sizeof(t->ident), "SSH-2.0-%.64s", conf->software);
    int rc = nk_buf_printf(&t->out, "%s\r\n", t->ident);
    if (rc < 0) {
        ssh_transport_free(t);
        return nk_fail_sys(diag, rc, "ssh");
    }
    *out = t;
    return 0;
}

void ssh_transport_free(struct ssh_transport *t)
{
    if (!t) {
        return;
    }
    ssh_kex_drop(t);
    ssh_sealer_clear(&t->sealer);
    ssh_opener_clear(&t->opener);
    struct nk_buf *const bufs[] = {&t->in,      &t->out, &t->held, &t->host, &t->host_signature,
                                   &t->sig_algs};
    for (size_t i = 0; i < sizeof(bufs) / sizeof(bufs[0]); i++) {
        bufs[i]->secret = true; /* passwords may have been there */
        nk_buf_clear(bufs[i]);
    }
    nk_free_wiped(t, sizeof(*t));
}

struct nk_buf *ssh_transport_out(struct ssh_transport *t)
{
    return &t->out;
}

bool ssh_transport_wants_input(const struct ssh_transport *t)
{
    return t->state != SSH_T_ANSWER && t->state != SSH_T_WORK && !is_over(t);
}

struct ssh_sink *ssh_transport_sink(struct ssh_transport *t)
{
    return &t->sink;
}

size_t ssh_transport_backlog(const struct ssh_transport *t)
{
    return nk_buf_len(&t->out) + nk_buf_len(&t->held);
}

bool ssh_transport_in_kex(const struct ssh_transport *t)
{
    return t->locked || !t->keyed;
}

static struct ssh_str contents(const struct nk_buf *b)
{
    return (struct ssh_str){.p = nk_buf_ptr(b), .n = nk_buf_len(b)};
}

struct ssh_str ssh_transport_session_id(const struct ssh_transport *t)
{
    return (struct ssh_str){.p = t->session_id, .n = t->session_id_n};
}

struct ssh_str ssh_transport_host_key(const struct ssh_transport *t)
{
    return contents(&t->host);
}

struct ssh_str ssh_transport_host_signature(const struct ssh_transport *t)
{
    return contents(&t->host_signature);
}

struct ssh_str ssh_transport_sig_algs(const struct ssh_transport *t)
{
    struct ssh_str algs = contents(&t->sig_algs);
    static const uint8_t empty[1] = {0};
    if (t->has_sig_algs && algs.n == 0) {
        algs.p = empty;
    }
    return t->has_sig_algs ? algs : (struct ssh_str){0};
}

bool ssh_transport_has_hostbound(const struct ssh_transport *t)
{
    return t->hostbound;
}

bool ssh_transport_has_ping(const struct ssh_transport *t)
{
    return t->ping;
}

const struct ssh_choice *ssh_transport_choice(const struct ssh_transport *t)
{
    return &t->choice;
}

bool ssh_transport_is_strict(const struct ssh_transport *t)
{
    return t->strict;
}

const char *ssh_transport_ident(const struct ssh_transport *t)
{
    return t->server;
}

uint64_t ssh_transport_rekeys(const struct ssh_transport *t)
{
    return t->rekeys;
}
