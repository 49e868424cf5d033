/* SPDX-License-Identifier: MIT */
/*
 * The native wire from the endpoint's side (wire_native.h): greeting, login, groups, endings.
 *
 *     GREETING the CHALLENGE | LOGIN the relay's AUTH, or WELCOME | PROBE an OPENED for each group
 *     that we are a member of
 *
 * The session's id is kept, so that the relay gives back what belongs to it when we return in time.
 * What is not settled is sent again in any case: the producer's id is this process's own, and
 * (producer, group, number) tells the relay what it has already.
 */
#include "relay/client_native.h"

#include <stdlib.h>
#include <string.h>

#include "base/codec.h"
#include "base/log.h"
#include "core/stream.h"

#define TABLE_FIRST 16      /* places of the table of groups, at first */
#define PROBE_LEAST_MS 1000 /* a relay that wants to hear from us oftener does not get it */
#define PROBE_MOST_MS 30000
#define PROBE_ANSWER 3 /* times as long it may take to answer, where that is less than usual */

/* --- groups ----------------------------------------------------------------------------------- */

static void table_put(struct client_native *t, struct client_group *g)
{
    uint32_t mask = t->table_cap - 1, i = g->native->id & mask;
    while (t->table[i]) {
        i = (i + 1) & mask;
    }
    t->table[i] = g;
    t->table_used++;
}

/* Room for one more, at most half full. */
static int table_room(struct relay_client *c)
{
    struct client_native *t = client_native_of(c);
    if (t->table_used * 2 < t->table_cap) {
        return 0;
    }
    uint32_t cap = t->table_cap ? t->table_cap * 2 : TABLE_FIRST;
    struct client_group **v = calloc(cap, sizeof(struct client_group *));
    if (!v) {
        return -ENOMEM;
    }
    free(t->table);
    t->table = v;
    t->table_cap = cap;
    t->table_used = 0;
    for (uint32_t i = 0; i < c->ngroups; i++) {
        if (c->groups[i]->native && c->groups[i]->native->open) {
            table_put(t, c->groups[i]);
        }
    }
    return 0;
}

struct client_group *client_native_find(struct client_native *t, uint32_t id)
{
    if (t->last && t->last->native->id == id) {
        return t->last;
    }
    uint32_t mask = t->table_cap - 1;
    for (uint32_t i = id & mask; t->table_cap && t->table[i]; i = (i + 1) & mask) {
        if (t->table[i]->native->id == id) {
            t->last = t->table[i];
            return t->last;
        }
    }
    return NULL;
}

/* Forget what this connection knew of its groups. */
static void forget_groups(struct relay_client *c)
{
    struct client_native *t = client_native_of(c);
    for (uint32_t i = 0; i < c->ngroups; i++) {
        struct client_native_group *ng = c->groups[i]->native;
        if (ng) {
            ng->open = ng->opening = ng->blocked = ng->drain_asked = ng->reopen = false;
            ng->refusal = 0;
            ng->window = ng->used = ng->items = ng->credit = 0;
            ng->claiming = ng->purge = false;
            ng->id = 0;
        }
    }
    if (t->table) {
        memset(t->table, 0, t->table_cap * sizeof(struct client_group *));
    }
    t->table_used = 0;
    t->last = NULL;
    t->opens = 0;
}

static int open_group(struct relay_client *c, struct client_group *g)
{
    uint8_t frame[RELAY_NATIVE_OPEN_MAX];
    if (!g->native) {
        g->native = calloc(1, sizeof(*g->native));
        if (!g->native) {
            return -ENOMEM;
        }
    }
    struct client_native_group *ng = g->native;
    const struct relay_native_open v = {.request = (uint64_t)g->handle + 1,
                                        .member = g->member,
                                        .known = ng->known && g->member,
                                        .epoch = ng->known && g->member ? ng->epoch : 0,
                                        .version = ng->known && g->member ? ng->version : 0,
                                        .name = {.p = g->name, .len = strlen(g->name)}};
    ng->opening = true;
    ng->member = g->member;
    client_native_control(c, frame, relay_native_put_open(frame, &v));
    return 0;
}

/* Membership is a matter of OPEN: close, and open again. What is not settled is sent once more. */
static void reopen(struct relay_client *c, struct client_group *g)
{
    struct client_native_group *ng = g->native;
    uint8_t frame[RELAY_NATIVE_HEAD];
    ng->reopen = ng->open = ng->blocked = ng->drain_asked = false;
    ng->window = ng->used = ng->items = ng->credit = 0;
    client_line_rewind(&c->spool, &g->line);
    client_native_control(c, frame, relay_native_put_plain(frame, RELAY_N_CLOSE, ng->id, 0));
    (void)open_group(c, g); /* its memory is there */
}

void client_native_todo(struct relay_client *c)
{
    struct client_native *t = client_native_of(c);
    for (uint32_t i = 0; t->todo && i < c->ngroups && c->stream && !c->closed; i++) {
        struct client_group *g = c->groups[i];
        if (g->native && g->native->refusal < 0 && g->line.next > 1) {
            client_settled(c, g, g->line.next - 1, g->native->refusal);
            client_line_reap(&c->spool, &g->line);
        }
        if (g->native && g->native->reopen && g->native->open && c->stream) {
            reopen(c, g);
        }
        if (g->native && c->stream && !c->closed) {
            client_native_purge_due(c, g);
        }
    }
    t->todo = false;
}

void client_native_todo_later(struct relay_client *c)
{
    client_native_of(c)->todo = true;
    client_flush_later(c);
}

static void open_refused(struct relay_client *c, struct client_group *g,
                         const struct relay_native_opened *v)
{
    struct nk_diag why = {0};
    char name[128], text[256];
    int status = relay_native_error(v->status);
    nk_escape(name, sizeof(name), g->name, strlen(g->name));
    nk_escape(text, sizeof(text), v->text.p, v->text.len);
    (void)nk_fail(&why, status == NK_ELIMIT ? NK_EAUTH : status, "%s refused the group '%s': %s",
                  c->conf->where, name, text);
    if (g->member) { /* full: perhaps of our own dead connection */
        client_fail(c, &why, status == NK_ELIMIT);
    } else {
        nk_warn(nk_app_log(c->app), "relay", "%s", why.text);
        g->native->refusal = status;
        client_native_todo_later(c);
    }
}

/* ALIVE, when every group that we are a member of is open. */
static void become_alive(struct relay_client *c)
{
    if (!c->stream || c->closed || c->state != CLIENT_PROBE || client_native_of(c)->opens > 0) {
        return;
    }
    for (uint32_t i = 0; i < c->ngroups; i++) { /* what the owner has named meanwhile */
        struct client_group *g = c->groups[i];
        if (!g->native || (!g->native->open && !g->native->opening && g->native->refusal == 0)) {
            if (open_group(c, g) < 0) {
                client_broken(c, -ENOMEM, "out of memory");
                return;
            }
        } else if (g->member && !g->native->member) {
            g->native->reopen = true;
            client_native_todo_later(c);
        }
    }
    client_become_alive(c);
}

void client_native_opened(struct relay_client *c, const struct relay_native_head *h,
                          const uint8_t *payload)
{
    struct client_native *t = client_native_of(c);
    struct relay_native_opened v;
    if (relay_native_get_opened(h, payload, &v) < 0 || v.request == 0 || v.request > c->ngroups ||
        !c->groups[v.request - 1]->native || !c->groups[v.request - 1]->native->opening) {
        client_broken(c, NK_EPROTO, "an OPENED that answers nothing");
        return;
    }
    struct client_group *g = c->groups[v.request - 1];
    struct client_native_group *ng = g->native;
    ng->opening = false;
    t->opens -= ng->member && t->opens > 0;
    if (v.status != 0) {
        open_refused(c, g, &v);
    } else if (table_room(c) < 0) {
        client_broken(c, -ENOMEM, "out of memory");
    } else {
        ng->id = v.group;
        ng->open = true;
        ng->window = v.window;
        if (ng->epoch != v.epoch) {
            ng->known = false;
        }
        ng->epoch = v.epoch;
        if (client_native_find(t, v.group) != g) {
            table_put(t, g);
        }
        if (ng->reopen || ng->purge) {
            client_native_todo_later(c);
        }
        if (t->resumed && ng->member && c->state == CLIENT_PROBE) {
            client_native_claim(c, g);
        }
        client_native_demanded(c, g);
    }
    become_alive(c);
}

static void open_groups(struct relay_client *c)
{
    struct client_native *t = client_native_of(c);
    client_set_state(c, CLIENT_PROBE);
    for (uint32_t i = 0; i < c->ngroups && c->stream; i++) {
        t->opens += c->groups[i]->member;
        if (open_group(c, c->groups[i]) < 0) {
            client_broken(c, -ENOMEM, "out of memory");
            return;
        }
    }
    become_alive(c);
}

/* --- greeting and login ----------------------------------------------------------------------- */

static int create(struct relay_client *c, void **out)
{
    struct client_native *t = calloc(1, sizeof(*t));
    if (!t) {
        return -ENOMEM;
    }
    if (c->conf->password && c->conf->password->len > 0 &&
        relay_stretcher_new(&t->stretcher, c->app, c->conf->password) < 0) {
        free(t);
        return -ENOMEM;
    }
    do {
        nk_random(&t->producer, sizeof(t->producer));
    } while (t->producer == 0);
    nk_buf_init(&t->control, CLIENT_CONTROL);
    nk_buf_init(&t->writing, CLIENT_CONTROL);
    t->sent_last = &t->sent_acks;
    t->extends_last = &t->extends;
    *out = t;
    return 0;
}

static void destroy(struct relay_client *c, void *session)
{
    struct client_native *t = session;
    relay_stretcher_free(t->stretcher);
    relay_login_client_clear(&t->login);
    client_native_acks_clear(t);
    free(t->spare_ack);
    client_native_extends_clear(t);
    client_native_parts_clear(t);
    nk_buf_clear(&t->control);
    nk_buf_clear(&t->writing);
    free(t->table);
    client_native_unhold(c);
    for (uint32_t i = 0; i < c->ngroups; i++) {
        free(c->groups[i]->native);
        c->groups[i]->native = NULL;
    }
    free(t);
}

static void begin(struct relay_client *c)
{
    struct client_native *t = client_native_of(c);
    uint8_t frame[RELAY_NATIVE_HELLO_MAX];
    const char *name = c->conf->name ? c->conf->name : "";
    struct relay_native_hello v = {.version_min = RELAY_NATIVE_VERSION,
                                   .version_max = RELAY_NATIVE_VERSION,
                                   .producer = t->producer,
                                   .name = {.p = name, .len = strlen(name)}};
    memcpy(v.session, t->session, sizeof(v.session));
    v.name.len = v.name.len < RELAY_NATIVE_TEXT ? v.name.len : RELAY_NATIVE_TEXT;
    t->goaway = 0;
    t->said_bye = false;
    client_native_control(c, frame, relay_native_put_hello(frame, &v));
}

static void login_failed(struct relay_client *c, int status, struct nk_diag *why)
{
    why->code = status;
    (void)nk_fail_context(why, "%s", c->conf->where);
    if (status == NK_EAUTH && !why->hint[0]) {
        nk_hint(why, "check --password-file");
    }
    client_fail(c, why, false);
}

static void on_stretched(void *owner, int status, const uint8_t *prs);

/* What the login wants done next. */
static void login_next(struct relay_client *c, int todo, struct nk_diag *why)
{
    struct client_native *t = client_native_of(c);
    uint8_t frame[RELAY_NATIVE_AUTH_MAX], key[RELAY_LOGIN_PRS];
    size_t n = sizeof(key);
    if (todo == RELAY_LOGIN_SEND) {
        const struct relay_native_head h = {
            .type = RELAY_N_AUTH, .len = (uint32_t)t->login.out_len, .seq = t->login.out_step};
        relay_native_put_head(frame, &h);
        memcpy(frame + RELAY_NATIVE_HEAD, t->login.out, t->login.out_len);
        client_native_control(c, frame, RELAY_NATIVE_HEAD + t->login.out_len);
    } else if (todo == RELAY_LOGIN_STRETCH) {
        bool has = nk_stream_query(c->stream, NK_Q_PEERSPKI, key, &n) == 0;
        int status = relay_stretcher_start(t->stretcher, has ? key : NULL,
                                           &t->login.challenge.stretch, on_stretched, c);
        if (status < 0) {
            client_broken(c, status, "the password could not be stretched");
        }
    } else if (todo < 0) {
        login_failed(c, todo, why);
    }
}

static void on_stretched(void *owner, int status, const uint8_t *prs)
{
    struct relay_client *c = owner;
    struct client_native *t = client_native_of(c);
    struct nk_diag why = {0};
    client_enter(c);
    if (status < 0) {
        client_broken(c, status, "the password could not be stretched");
    } else {
        login_next(c, relay_login_client_stretched(&t->login, prs, &why), &why);
    }
    client_leave(c);
}

static void got_challenge(struct relay_client *c, const struct relay_native_head *h,
                          const uint8_t *payload)
{
    struct client_native *t = client_native_of(c);
    struct relay_native_challenge v;
    struct relay_login_challenge l = {0};
    struct nk_diag why = {0};
    uint8_t exporter[RELAY_LOGIN_EXPORTER];
    size_t n = sizeof(exporter);
    if (relay_native_get_challenge(h, payload, &v) < 0) {
        client_broken(c, NK_EPROTO, "a malformed CHALLENGE");
        return;
    }
    l.methods = v.methods;
    l.candidates = v.candidates;
    memcpy(l.nonce, v.nonce, sizeof(l.nonce));
    memcpy(l.stretch.salt, v.salt, sizeof(l.stretch.salt));
    l.stretch.mem_kib = v.argon2_kib;
    l.stretch.passes = v.argon2_passes;
    bool tls = nk_stream_query(c->stream, NK_Q_EXPORTER, exporter, &n) == 0;
    if (c->conf->secure && !tls) {
        login_failed(c,
                     nk_fail(&why, NK_EVERIFY,
                             "the relay speaks TLS 1.2 without extended master secret, to which "
                             "no login can be bound"),
                     &why);
        return;
    }
    const struct relay_login_client_conf conf = {.exporter = tls ? exporter : NULL,
                                                 .password =
                                                     t->stretcher ? c->conf->password : NULL,
                                                 .key = c->conf->key,
                                                 .certificate = c->conf->certificate,
                                                 .local = c->conf->local,
                                                 .identity = c->conf->identity,
                                                 .trust = client_trust(c)};
    relay_login_client_clear(&t->login);
    relay_login_client_init(&t->login, &conf);
    client_set_state(c, CLIENT_LOGIN);
    login_next(c, relay_login_client_challenge(&t->login, &l, v.logged_in, &why), &why);
    t->login.conf.exporter = NULL; /* it was on our stack; the binding has a copy */
    nk_wipe(exporter, sizeof(exporter));
}

static void got_auth(struct relay_client *c, const struct relay_native_head *h,
                     const uint8_t *payload)
{
    struct nk_diag why = {0};
    login_next(c,
               relay_login_client_step(&client_native_of(c)->login, h->seq, payload, h->len, &why),
               &why);
}

/* The session is a new one, or the old one goes on. */
static void set_session(struct relay_client *c, const struct relay_native_welcome *v)
{
    struct client_native *t = client_native_of(c);
    t->resumed = v->resumed;
    memcpy(t->session, v->session, sizeof(t->session));
    t->max_object = v->max_object;
    if (v->resumed) {
        client_native_acks_again(t);
    } else {
        t->generation++;
        client_native_acks_clear(t);
        client_native_unhold(c);
    }
    if (v->heartbeat_ms > 0 && v->heartbeat_ms < PROBE_MOST_MS) {
        c->probe_ms = v->heartbeat_ms > PROBE_LEAST_MS ? v->heartbeat_ms : PROBE_LEAST_MS;
        if (c->probe_ms * PROBE_ANSWER < c->answer_ms) {
            c->answer_ms = c->probe_ms * PROBE_ANSWER;
        }
    }
}

static void got_welcome(struct relay_client *c, const struct relay_native_head *h,
                        const uint8_t *payload)
{
    struct client_native *t = client_native_of(c);
    struct relay_native_welcome v;
    struct nk_diag why = {0};
    if (relay_native_get_welcome(payload, h->len, &v) < 0) {
        client_broken(c, NK_EPROTO, "a malformed WELCOME");
        return;
    }
    int status = relay_login_client_welcome(&t->login, &why);
    if (status == 0 && c->conf->on_login) {
        status = c->conf->on_login(c->conf->login_arg, c->stream, t->login.trust, &why);
    }
    if (status < 0) {
        login_failed(c, status, &why);
        return;
    }
    nk_debug(nk_app_log(c->app), "relay", "session %s, the relay is trusted by %s",
             v.resumed ? "resumed" : "begun", relay_trust_name(t->login.trust));
    set_session(c, &v);
    open_groups(c);
}

void client_native_handshake(struct relay_client *c, const struct relay_native_head *h,
                             const uint8_t *payload)
{
    if (c->state == CLIENT_GREETING && h->type == RELAY_N_CHALLENGE) {
        got_challenge(c, h, payload);
    } else if (c->state == CLIENT_LOGIN && h->type == RELAY_N_AUTH) {
        got_auth(c, h, payload);
    } else if (c->state == CLIENT_LOGIN && h->type == RELAY_N_WELCOME) {
        got_welcome(c, h, payload);
    } else {
        client_broken(c, NK_EPROTO, "not what a relay says at this point");
    }
}

/* --- endings ---------------------------------------------------------------------------------- */

static bool probe(struct relay_client *c)
{
    uint8_t frame[RELAY_NATIVE_ECHO_MAX];
    client_native_control(c, frame, relay_native_put_echo(frame, RELAY_N_PING, NULL, 0));
    return c->stream != NULL;
}

static void keep(struct relay_client *c)
{
    (void)probe(c);
}

static bool done(struct relay_client *c)
{
    struct client_native *t = client_native_of(c);
    uint8_t frame[RELAY_NATIVE_GOAWAY_MAX];
    if (client_native_acks_left(t)) {
        return false;
    }
    if (!t->said_bye) {
        t->said_bye = true;
        client_native_control(c, frame, relay_native_put_goaway(frame, RELAY_GOAWAY_DONE, ""));
        return false;
    }
    return true;
}

/* All that these were to bring has come; only DRAINED is missing. */
static void end_drains(struct relay_client *c)
{
    for (uint32_t i = 0; i < c->ngroups; i++) {
        struct client_group *g = c->groups[i];
        if (g->native && g->drain_most > 0 && g->drain_came >= g->drain_most) {
            client_native_drained(c, g);
        }
    }
}

static uint64_t lost(struct relay_client *c)
{
    struct client_native *t = client_native_of(c);
    relay_stretcher_cancel(t->stretcher);
    relay_login_client_clear(&t->login);
    client_native_parts_clear(t);
    client_native_extends_clear(t);
    client_native_out_reset(c);
    end_drains(c);
    forget_groups(c);
    for (uint32_t i = 0; i < c->ngroups; i++) {
        client_line_rewind(&c->spool, &c->groups[i]->line);
    }
    return 0;
}

static uint64_t doubt(const struct relay_client *c)
{
    (void)c;
    return 0;
}

/* The text of GOAWAY, if there was one, is the reason. */
static bool explain_goaway(const struct relay_client *c, struct nk_diag *why, bool *retry)
{
    const struct client_native *t = client_native_of(c);
    char text[RELAY_NATIVE_REASON + 1];
    if (t->goaway == 0) {
        return false;
    }
    uint32_t code = t->goaway - 1;
    nk_escape(text, sizeof(text), t->goaway_text, strlen(t->goaway_text));
    bool auth = code == RELAY_GOAWAY_AUTH;
    bool fault = code == RELAY_GOAWAY_PROTOCOL;
    (void)nk_fail(why,
                  auth    ? NK_EAUTH
                  : fault ? NK_EPROTO
                          : NK_ECLOSED,
                  "%s: %s: %s", c->conf->where,
                  auth ? "the relay refused the login" : "the relay ended the connection",
                  text[0] ? text : "no reason given");
    *retry = !auth;
    return true;
}

static void refused(struct relay_client *c, struct nk_diag *why, bool *retry)
{
    const char *where = c->conf->where;
    if (explain_goaway(c, why, retry)) {
        if (why->code == NK_EAUTH) {
            nk_hint(why, "check --password-file");
        }
        return;
    }
    if (client_in_session(c)) {
        (void)nk_fail(why, NK_ECLOSED, "%s: the relay closed the connection", where);
        return;
    }
    (void)nk_fail(why, NK_ECLOSED, "%s closed the connection %s", where,
                  c->state == CLIENT_GREETING ? "without a greeting" : "during the login");
    if (c->state == CLIENT_GREETING) {
        nk_hint(why, "is this a netkit relay's address, and do both sides agree on TLS "
                     "(--connection)?");
    }
}

/* --- the owner's calls ------------------------------------------------------------------------ */

static int joined(struct relay_client *c, struct client_group *g)
{
    struct client_native_group *ng = g->native;
    if (!ng || (!ng->open && !ng->opening)) {
        return open_group(c, g);
    }
    ng->reopen = true; /* at once, or when OPENED has come */
    client_native_todo_later(c);
    return 0;
}

static void published(struct relay_client *c, struct client_group *g)
{
    if (g->native && g->native->refusal < 0) {
        client_native_todo_later(c);
    }
}

static void ack(struct relay_client *c, const struct relay_client_lease *l)
{
    (void)client_native_settle(c, l, RELAY_N_ACK, 0);
}

/* While there is no connection the session may still be resumed. */
static bool holds(const struct relay_client *c, const struct relay_client_lease *l)
{
    const struct client_group *g = l->group < c->ngroups ? c->groups[l->group] : NULL;
    return l->connection == client_native_of(c)->generation &&
           (l->seq == 0 || !g || !g->native || client_ranges_has(&g->native->held, l->seq));
}

static int nack(struct relay_client *c, const struct relay_client_lease *l, uint32_t ms)
{
    return client_native_settle(c, l, RELAY_N_NACK, ms);
}

const struct client_wire client_wire_native = {.name = "native",
                                               .kind = RELAY_CLIENT_NATIVE,
                                               .create = create,
                                               .destroy = destroy,
                                               .begin = begin,
                                               .input = client_native_input,
                                               .iov = client_native_iov,
                                               .sent = client_native_sent,
                                               .idle = client_native_idle,
                                               .probe = probe,
                                               .keep = keep,
                                               .done = done,
                                               .lost = lost,
                                               .leave = client_native_leave,
                                               .doubt = doubt,
                                               .refused = refused,
                                               .joined = joined,
                                               .published = published,
                                               .demanded = client_native_demanded,
                                               .ack = ack,
                                               .holds = holds,
                                               .nack = nack,
                                               .extend = client_native_extend,
                                               .purge = client_native_purge};
