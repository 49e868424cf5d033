/* SPDX-License-Identifier: MIT */
#include "ssh/conn.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/build_info.h"
#include "core/clock.h"
#include "core/stream.h"
#include "core/work.h"
#include "ssh/conn_impl.h"
#include "ssh/kex_work.h"

enum {
    ROUNDS = 4, /* of waiting channels in one turn, so that the loop stays free */
    FIRST_CHANNEL_MESSAGE = SSH_MSG_GLOBAL_REQUEST,
    LAST_CHANNEL_MESSAGE = SSH_MSG_CHANNEL_FAILURE,
    SOFTWARE_MAX = 48
};

static uint64_t now_of(const struct ssh_conn *c)
{
    return nk_now_ms(c->conf.app);
}

/* --- out -------------------------------------------------------------------------------------- */

static void write_out(struct ssh_conn *c)
{
    while (c->t && c->s && c->connected && !c->deaf) {
        struct nk_buf *out = ssh_transport_out(c->t);
        if (nk_buf_len(out) == 0) {
            return;
        }
        ssize_t n = nk_stream_write(c->s, nk_buf_ptr(out), nk_buf_len(out));
        if (n == NK_EAGAIN) {
            return;
        }
        if (n < 0) {
            c->deaf = true; /* why, the server may have said before: reading finds it */
            nk_buf_reset(out);
            return;
        }
        nk_buf_consume(out, (size_t)n);
    }
}

static size_t room_of(const struct ssh_conn *c)
{
    size_t used = nk_buf_len(ssh_transport_out(c->t));
    return ssh_transport_in_kex(c->t) || used > SSH_CONN_ROOM ? 0 : SSH_CONN_ROOM - used;
}

static size_t room(void *owner)
{
    return room_of(owner);
}

static uint64_t clock_now(void *owner)
{
    return now_of(owner);
}

/* Channels wait for room, and there is some that is worth it. */
static bool wants_room(const struct ssh_conn *c)
{
    return c->ch && !c->over && !c->closed && ssh_channels_waiting(c->ch) &&
           room_of(c) >= SSH_CONN_ROOM / 2;
}

/* Everything that may leave, leaves; then those who wait for room get it. */
static void flush(struct ssh_conn *c)
{
    struct nk_diag diag = {0};
    write_out(c);
    for (int i = 0; i < ROUNDS && wants_room(c); i++) {
        int rc = ssh_channels_writable(c->ch, &diag);
        if (rc < 0) {
            ssh_conn_fail(c, rc, &diag);
            return;
        }
        write_out(c);
    }
    if (wants_room(c)) {
        nk_app_defer(c->conf.app, &c->turn);
    }
}

static int sink_begin(struct ssh_sink *s, size_t max, uint8_t **payload)
{
    struct ssh_conn *c = (struct ssh_conn *)s;
    return c->over || c->closed ? NK_ECLOSED
                                : ssh_sink_begin(ssh_transport_sink(c->t), max, payload);
}

static void sink_end(struct ssh_sink *s, uint8_t *payload, size_t n)
{
    struct ssh_conn *c = (struct ssh_conn *)s;
    ssh_sink_end(ssh_transport_sink(c->t), payload, n);
    ssh_conn_later(c);
}

static const struct ssh_sink_ops sink_ops = {.begin = sink_begin, .end = sink_end};

/* --- the end ---------------------------------------------------------------------------------- */

void ssh_conn_fail(struct ssh_conn *c, int rc, const struct nk_diag *why)
{
    if (c->over || c->closed) {
        return;
    }
    c->over = true;
    c->rc = rc;
    c->why = *why;
    c->why.code = rc;
    ssh_conn_forget_login(c);
    if (c->t) { /* what went wrong above the transport is not known to the server yet */
        ssh_transport_disconnect(c->t,
                                 rc == NK_EAUTH    ? SSH_REASON_NO_AUTH
                                 : rc == NK_EPROTO ? SSH_REASON_PROTOCOL_ERROR
                                                   : SSH_REASON_BY_APPLICATION,
                                 rc == NK_EAUTH    ? "no more authentication methods"
                                 : rc == NK_EPROTO ? "protocol error"
                                                   : "closed");
    }
    ssh_conn_later(c);
}

static void release(struct ssh_conn *c)
{
    nk_app_defer_cancel(c->conf.app, &c->turn);
    nk_work_cancel(c->kex);
    ssh_conn_forget_login(c);
    ssh_channels_free(c->ch);
    ssh_transport_free(c->t);
    ssh_private_unref(c->conf.key);
    free(c);
}

/* The application hears of the end. */
static void tell(struct ssh_conn *c)
{
    c->told = true;
    nk_timer_stop(&c->timer);
    write_out(c);
    nk_stream_close(c->s);
    c->s = NULL;
    if (c->ch) {
        ssh_channels_end(c->ch, &c->why);
    }
    if (!c->closed) {
        c->conf.ops->closed(c->conf.owner, c->rc, &c->why);
    }
}

void ssh_conn_close(struct ssh_conn *c)
{
    if (!c || c->closed) {
        return;
    }
    c->closed = true;
    nk_timer_stop(&c->timer);
    nk_app_defer_cancel(c->conf.app, &c->turn);
    if (c->t) {
        ssh_transport_disconnect(c->t, SSH_REASON_BY_APPLICATION, "disconnected by user");
    }
    write_out(c);
    nk_stream_close(c->s);
    c->s = NULL;
    if (!c->busy) {
        release(c);
    }
}

/* --- after everything that happens ------------------------------------------------------------ */

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static void watch_clock(struct ssh_conn *c)
{
    uint64_t due = earlier(c->deadline, c->ch_due), now = now_of(c);
    due = c->t ? earlier(due, ssh_transport_due(c->t)) : due;
    if (due == c->due) {
        return;
    }
    c->due = due;
    if (due == SSH_NEVER) {
        nk_timer_stop(&c->timer);
    } else {
        nk_timer_start(&c->timer, due > now ? due - now : 0);
    }
}

/* Replies that the server does not read must not pile up: then it is not read either. Bulk data
 * never come so far (room), so both sides cannot wait for each other. */
static void watch_stream(struct ssh_conn *c)
{
    size_t waiting = nk_buf_len(ssh_transport_out(c->t));
    c->paused = waiting > (c->paused ? SSH_CONN_REPLIES_MAX / 2 : SSH_CONN_REPLIES_MAX);
    bool reads = ssh_transport_wants_input(c->t) && !c->paused;
    unsigned mask = reads ? NK_READABLE | NK_WRITABLE : NK_WRITABLE;
    if (mask != c->interest) {
        c->interest = mask;
        nk_stream_interest(c->s, mask);
    }
}

static void take_trust(struct ssh_conn *c)
{
    struct nk_diag diag = {0};
    c->host_answered = false;
    ssh_conn_login_clock(c);
    int rc =
        ssh_transport_trust(c->t, c->answer, c->answer < 0 ? &c->refusal : NULL, now_of(c), &diag);
    if (rc < 0) {
        ssh_conn_fail(c, rc, &diag);
    }
}

static void settle(struct ssh_conn *c)
{
    while (c->host_answered && !c->over && !c->closed) {
        take_trust(c);
    }
    if (!c->over && !c->closed) {
        ssh_conn_ask(c);
    }
    if (!c->over && !c->closed) {
        flush(c);
    }
    if (c->over && !c->told && !c->closed) {
        tell(c);
    }
    if (!c->over && !c->closed) {
        watch_clock(c);
    }
    if (!c->over && !c->closed && c->t && c->s) {
        watch_stream(c);
    }
}

/* The loop's call is over. */
static void leave(struct ssh_conn *c)
{
    settle(c);
    c->busy = false;
    if (c->closed) {
        release(c);
    }
}

/* What the loop calls begins so. */
static void enter(struct ssh_conn *c)
{
    c->busy = true;
    if (c->ch) {
        ssh_channels_now(c->ch, now_of(c));
    }
}

static void on_turn_end(void *owner)
{
    struct ssh_conn *c = owner;
    enter(c);
    leave(c);
}

void ssh_conn_later(struct ssh_conn *c)
{
    if (!c->busy && !c->closed) {
        nk_app_defer(c->conf.app, &c->turn);
    }
}

/* --- calls of the transport ------------------------------------------------------------------- */

static void on_host_key(void *owner, const struct ssh_host_key *k)
{
    struct ssh_conn *c = owner;
    char shown[SSH_FINGERPRINT_SIZE];
    ssh_fingerprint_sha256(k->key.blob, shown);
    nk_debug(c->log, "ssh", "server host key: %s %s", k->key.type->name, shown);
    c->host_asked = true;
    c->deadline = SSH_NEVER; /* whoever has to decide may take time */
    c->conf.ops->host_key(c->conf.owner, k);
}

static void on_ready(void *owner)
{
    ssh_conn_begin_login(owner);
}

static int on_payload(void *owner, const uint8_t *p, size_t n, struct nk_diag *diag)
{
    struct ssh_conn *c = owner;
    if (*p == SSH_MSG_SERVICE_ACCEPT ||
        (*p >= SSH_MSG_USERAUTH_REQUEST && *p < FIRST_CHANNEL_MESSAGE)) {
        return ssh_conn_login_message(c, p, n, diag);
    }
    bool refusal = *p == SSH_MSG_UNIMPLEMENTED && c->ch; /* perhaps of a global request */
    if ((*p >= FIRST_CHANNEL_MESSAGE && *p <= LAST_CHANNEL_MESSAGE) || refusal) {
        if (!c->ch) {
            return nk_fail(diag, NK_EPROTO, "the server sent %s (%u) before the login",
                           ssh_message_name(*p), *p);
        }
        int rc = ssh_channels_receive(c->ch, p, n, diag);
        return rc < 0 ? rc : 1;
    }
    if (c->ch) {
        ssh_channels_heard(c->ch);
    }
    return *p == SSH_MSG_UNIMPLEMENTED || *p == SSH_MSG_PONG;
}

static const char *mac_name(const struct ssh_mac_type *m)
{
    return m ? m->name : "<implicit>";
}

static void log_choice(const struct ssh_conn *c)
{
    static const char *const from[] = {"client->server", "server->client"};
    const struct ssh_choice *k = ssh_transport_choice(c->t);
    nk_debug(c->log, "ssh", "kex: algorithm: %s%s", k->kex->name,
             ssh_transport_is_strict(c->t) ? " (strict)" : "");
    nk_debug(c->log, "ssh", "kex: host key algorithm: %s",
             k->host_cert ? k->host->cert_name : k->host->name);
    for (int d = SSH_OUT; d <= SSH_IN; d++) {
        nk_debug(c->log, "ssh", "kex: %s cipher: %s MAC: %s compression: none", from[d],
                 k->cipher[d]->name, mac_name(k->mac[d]));
    }
}

static void on_trace(void *owner, enum ssh_trace what, const char *text)
{
    static const char *const said[] = {[SSH_TRACE_IDENT] = "server: ",
                                       [SSH_TRACE_LINE] = "server said: ",
                                       [SSH_TRACE_NEWKEYS] = "new keys",
                                       [SSH_TRACE_DEBUG] = "server's debug message: ",
                                       [SSH_TRACE_EXT_INFO] = "server knows "};
    struct ssh_conn *c = owner;
    if (what == SSH_TRACE_IDENT && !c->hurry) {
        ssh_conn_login_clock(c);
    }
    c->ext_new = c->ext_new || what == SSH_TRACE_EXT_INFO;
    if (what == SSH_TRACE_CHOICE) {
        log_choice(c);
    } else {
        nk_debug(c->log, "ssh", "%s%s", said[what], text);
    }
}

static void on_computed(void *owner, struct ssh_kex_task *take_task)
{
    struct ssh_conn *c = owner;
    struct nk_diag diag = {0};
    c->kex = NULL;
    enter(c);
    int rc = ssh_transport_computed(c->t, take_task, now_of(c), &diag);
    if (rc < 0) {
        ssh_conn_fail(c, rc, &diag);
    }
    leave(c);
}

static int on_compute(void *owner, struct ssh_kex_task *task)
{
    struct ssh_conn *c = owner;
    return ssh_kex_work_start(c->conf.app, task, on_computed, c, &c->kex);
}

static const struct ssh_transport_ops transport_ops = {.host_key = on_host_key,
                                                       .ready = on_ready,
                                                       .payload = on_payload,
                                                       .compute = on_compute,
                                                       .trace = on_trace};

/* --- calls of the loop ------------------------------------------------------------------------ */

/* One read in an event, as much as there may be in a turn: what came in it is lent to those it is
 * for until the next. */
static void on_readable(struct ssh_conn *c)
{
    struct nk_diag diag = {0};
    uint8_t *p;
    size_t max;
    if (!ssh_transport_wants_input(c->t)) {
        return;
    }
    if (c->ch) {
        ssh_channels_keep(c->ch);
    }
    int rc = ssh_transport_space(c->t, &p, &max, &diag);
    ssize_t n = rc < 0 ? rc : nk_stream_read(c->s, p, max);
    if (n == NK_EAGAIN) {
        return;
    }
    if (n > 0) {
        rc = ssh_transport_feed(c->t, (size_t)n, now_of(c), &diag);
    } else if (n == 0) {
        rc = ssh_transport_eof(c->t, &diag);
    } else if (rc == 0) {
        rc = nk_fail_sys(&diag, (int)n, "the connection to the server");
    }
    if (rc < 0) {
        ssh_conn_fail(c, rc, &diag);
    }
}

/* "netkit_0.1.0": RFC 4253 4.2 has no '-' and no space there. */
static void put_software(char out[SOFTWARE_MAX])
{
    snprintf(out, SOFTWARE_MAX, "netkit_%.*s", (int)strcspn(nk_build_info.version, "- "),
             nk_build_info.version);
}

static void on_connected(struct ssh_conn *c)
{
    struct nk_diag diag = {0};
    char software[SOFTWARE_MAX];
    put_software(software);
    const struct ssh_transport_conf conf = {.proposal = c->conf.proposal,
                                            .software = software,
                                            .strict = c->conf.strict,
                                            .min_rsa = c->conf.min_rsa,
                                            .rekey_bytes = c->conf.rekey_bytes,
                                            .rekey_ms = c->conf.rekey_ms,
                                            .ops = &transport_ops,
                                            .owner = c};
    c->connected = true;
    (void)nk_stream_tune(c->s, NK_TUNE_NOTSENT_LOWAT, SSH_CONN_UNSENT); /* where there is one */
    (void)nk_stream_tune(c->s, NK_TUNE_GATHER, 1);
    int rc = ssh_transport_new(&c->t, &conf, now_of(c), &diag);
    if (rc < 0) {
        ssh_conn_fail(c, rc, &diag);
    }
}

static void on_stream(struct ssh_conn *c, struct nk_stream *s, unsigned events)
{
    struct nk_diag diag = {0};
    if (events & NK_CLOSED) {
        int rc = nk_stream_error(s, &diag);
        rc = rc < 0 ? rc : NK_ECLOSED;
        if (!*diag.text) {
            nk_fail_sys(&diag, rc, "the connection to the server");
        }
        ssh_conn_fail(c, rc, &diag);
        return;
    }
    if (events & NK_CONNECTED) {
        on_connected(c);
    }
    if (events & NK_READABLE && !c->over) {
        on_readable(c);
    }
}

static void on_event(void *owner, struct nk_stream *s, unsigned events)
{
    struct ssh_conn *c = owner;
    enter(c);
    on_stream(c, s, events);
    leave(c);
}

static void tick(struct ssh_conn *c)
{
    struct nk_diag diag = {0};
    uint64_t now = now_of(c), next = SSH_NEVER;
    int rc = 0;
    c->due = SSH_NEVER; /* whatever is due next is to be armed again */
    if (now >= c->deadline) {
        rc = nk_fail(&diag, -ETIMEDOUT, "the server did not %s in time",
                     c->auth ? "let us in" : "answer");
    } else if (c->t) {
        rc = ssh_transport_tick(c->t, now, &diag);
    }
    if (rc == 0 && c->ch) {
        rc = ssh_channels_tick(c->ch, &next, &diag);
        c->ch_due = next == SSH_NEVER ? SSH_NEVER : now + next;
    }
    if (rc < 0) {
        ssh_conn_fail(c, rc, &diag);
    }
}

static void on_timer(void *owner)
{
    struct ssh_conn *c = owner;
    enter(c);
    if (!c->over) {
        tick(c);
    }
    leave(c);
}

/* --- birth ------------------------------------------------------------------------------------ */

int ssh_conn_new(struct ssh_conn **out, const struct ssh_conn_conf *conf,
                 struct nk_stream *take_stream, struct nk_diag *diag)
{
    struct ssh_conn *c = calloc(1, sizeof(*c));
    if (!c) {
        nk_stream_close(take_stream);
        return nk_fail_sys(diag, -ENOMEM, "ssh");
    }
    c->sink.ops = &sink_ops;
    c->conf = *conf;
    c->hurry = conf->connect_ms > 0;
    c->conf.connect_ms = conf->connect_ms ? conf->connect_ms : SSH_CONN_CONNECT_MS;
    c->conf.login_ms = conf->login_ms ? conf->login_ms : SSH_CONN_LOGIN_MS;
    c->conf.key = conf->key ? ssh_private_ref(conf->key) : NULL;
    c->first_key = conf->key != NULL;
    c->log = nk_app_log(conf->app);
    c->ch_due = c->due = SSH_NEVER;
    nk_timer_init(&c->timer, conf->app, on_timer, c);
    c->turn = (struct nk_defer){.fn = on_turn_end, .owner = c};
    c->s = take_stream;
    nk_stream_own(c->s, on_event, c);
    c->deadline = now_of(c) + c->conf.connect_ms;
    watch_clock(c);
    *out = c;
    return 0;
}

static void on_incoming(void *owner, struct ssh_channel *ch, struct ssh_str type,
                        struct ssh_str data)
{
    struct ssh_conn *c = owner;
    c->conf.ops->incoming(c->conf.owner, ch, type, data);
}

static bool on_global(void *owner, struct ssh_str type, struct ssh_str data)
{
    struct ssh_conn *c = owner;
    return c->conf.ops->global(c->conf.owner, type, data);
}

int ssh_conn_logged_in(struct ssh_conn *c, struct nk_diag *diag)
{
    const struct ssh_channels_conf conf = {.log = c->log,
                                           .window_start = c->conf.window_start,
                                           .window_max = c->conf.window_max,
                                           .windows_total = c->conf.windows_total,
                                           .keepalive_ms = c->conf.keepalive_ms,
                                           .keepalive_count = c->conf.keepalive_count,
                                           .owner = c,
                                           .clock = clock_now,
                                           .room = room,
                                           .on_incoming =
                                               c->conf.ops->incoming ? on_incoming : NULL,
                                           .on_global = c->conf.ops->global ? on_global : NULL};
    int rc = ssh_channels_new(&conf, &c->sink, &c->ch);
    if (rc < 0) {
        return nk_fail_sys(diag, rc, "ssh");
    }
    c->deadline = SSH_NEVER;
    ssh_channels_now(c->ch, now_of(c));
    c->ch_due = c->conf.keepalive_ms ? now_of(c) + c->conf.keepalive_ms : SSH_NEVER;
    c->conf.ops->open(c->conf.owner);
    return 0;
}

struct ssh_channels *ssh_conn_channels(struct ssh_conn *c)
{
    return c->ch;
}

struct ssh_transport *ssh_conn_transport(struct ssh_conn *c)
{
    return c->t;
}

struct nk_stream *ssh_conn_stream(struct ssh_conn *c)
{
    return c->s;
}

const char *ssh_conn_method(const struct ssh_conn *c)
{
    return c->method;
}

void ssh_conn_trust(struct ssh_conn *c, int answer, const struct nk_diag *why)
{
    if (!c->host_asked || c->over || c->closed) {
        return;
    }
    c->host_asked = false;
    c->host_answered = true;
    c->answer = answer;
    if (answer < 0) {
        nk_fail(&c->refusal, NK_EVERIFY, "the server's host key was refused");
        c->refusal = why ? *why : c->refusal;
    }
    ssh_conn_later(c);
}

void ssh_conn_rekey(struct ssh_conn *c)
{
    struct nk_diag diag = {0};
    int rc = c->t && !c->over && !c->closed ? ssh_transport_rekey(c->t, now_of(c)) : 0;
    if (rc < 0) {
        nk_fail_sys(&diag, rc, "new keys");
        ssh_conn_fail(c, rc, &diag);
    }
    ssh_conn_later(c);
}
