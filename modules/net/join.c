/* SPDX-License-Identifier: MIT */
#include "net/join.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/codec.h"
#include "base/secret.h"
#include "core/app.h"
#include "core/clock.h"
#include "core/pump.h"
#include "core/registry.h"
#include "net/greeting.h"

#define PEER_MAX 128

enum {
    LOG_WINDOW_MS = 10 * 1000, /* in which at most */
    LOG_LINES = 10             /* failures are logged one by one */
};

const char *const net_join_proxy_versions[] = {"none", "v1", "v2", NULL};

/* One accepted stream and its connection. */
struct pair {
    struct net_join *j;
    struct nk_stream *from, *to; /* until the pump has them */
    struct net_greeting *said;   /* until then: how the stream began */
    struct nk_pump *pump;
    struct pair *prev, *next;
    char peer[PEER_MAX];
};

struct net_join {
    struct net_join_conf conf;
    struct nk_log *log;
    struct nk_listener *listener;
    struct pair *pairs;
    struct nk_defer end, usable;
    struct net_join_counts sum;          /* bytes: of ended pairs */
    uint64_t window_ms, lines, unlogged; /* of failures */
    bool paused, draining;
};

/* --- who may ---------------------------------------------------------------------------------- */

int net_join_check(const struct nk_strlist *allow_uid, const struct nk_endpoint *listen,
                   struct nk_diag *diag)
{
    size_t i = 0;
    uint64_t uid;
    for (i = 0; i < allow_uid->n; i++) {
        if (nk_parse_u64(allow_uid->v[i], &uid) < 0 || uid > UINT32_MAX) {
            return nk_fail(diag, NK_ECONFIG, "allow_uid: '%s' is not the number of a user",
                           allow_uid->v[i]);
        }
    }
    const struct nk_ep_layer *last = NULL;
    for (i = 0; nk_endpoint_layer(listen, i); i++) {
        last = nk_endpoint_layer(listen, i);
    }
    bool knows_uid = last && (strcmp(last->driver->scheme, "unix") == 0 ||
                              strcmp(last->driver->scheme, "fd") == 0);
    if (allow_uid->n > 0 && !knows_uid) {
        return nk_fail(diag, NK_ECONFIG,
                       "allow_uid needs a listener on a unix socket: %s does not know users",
                       nk_endpoint_text(listen));
    }
    return 0;
}

/* No list: everybody who can reach the socket. With one, an unknown user is nobody. */
static bool may_use(const struct net_join *j, struct nk_stream *s, int64_t *uid)
{
    const struct nk_strlist *allowed = j->conf.allow_uid;
    size_t n = sizeof(*uid);
    *uid = -1;
    if (!allowed || allowed->n == 0) {
        return true;
    }
    if (nk_stream_query(s, NK_Q_UID, uid, &n) < 0 || *uid < 0) {
        return false;
    }
    for (size_t i = 0; i < allowed->n; i++) {
        uint64_t one;
        if (nk_parse_u64(allowed->v[i], &one) == 0 && one == (uint64_t)*uid) {
            return true;
        }
    }
    return false;
}

/* --- failures --------------------------------------------------------------------------------- */

/* A target that is down must not fill the log, nor must strangers. */
static void tell_failure(struct net_join *j, const char *peer, const char *event,
                         const struct nk_diag *why)
{
    uint64_t now = nk_now_ms(j->conf.app);
    if (j->lines == 0 || now - j->window_ms >= LOG_WINDOW_MS) {
        if (j->unlogged > 0) {
            nk_warn(j->log, j->conf.module, "%" PRIu64 " more failures like these", j->unlogged);
        }
        j->window_ms = now;
        j->lines = 0;
        j->unlogged = 0;
    }
    if (j->lines >= LOG_LINES) {
        j->unlogged++;
        return;
    }
    j->lines++;
    nk_log_write(j->log, j->conf.module, NK_LOG_WARN, event, event ? peer : NULL, "%s%s%s%s%s%s",
                 event ? "" : peer, event ? "" : ": ", why->text, why->hint[0] ? " (hint: " : "",
                 why->hint, why->hint[0] ? ")" : "");
}

static void failed(struct net_join *j, const char *peer, const char *event,
                   const struct nk_diag *why)
{
    j->sum.failed++;
    tell_failure(j, peer, event, why);
}

/* --- connections ------------------------------------------------------------------------------ */

/* Without an answer an end would look like one that the target has sent. */
static void reset(struct nk_stream *s)
{
    (void)nk_stream_tune(s, NK_TUNE_RESET, 1); /* what has no resets is just closed */
    nk_stream_close(s);
}

static void update_pause(struct net_join *j)
{
    bool full = j->conf.max_connections > 0 && j->sum.active >= j->conf.max_connections;
    if (j->listener && full != j->paused) {
        j->paused = full;
        nk_listener_pause(j->listener, full);
        if (full) {
            nk_warn(j->log, j->conf.module, "%" PRIu64 " connections: more have to wait",
                    j->sum.active);
        }
    }
}

static void end_when_drained(struct net_join *j)
{
    if (j->draining && j->sum.active == 0) {
        nk_app_defer(j->conf.app, &j->end);
    }
}

/* Its streams are gone, or never were. */
static void pair_gone(struct pair *p)
{
    struct net_join *j = p->j;
    *(p->prev ? &p->prev->next : &j->pairs) = p->next;
    if (p->next) {
        p->next->prev = p->prev;
    }
    j->sum.active--;
    net_greeting_free(p->said);
    free(p);
    update_pause(j);
    end_when_drained(j);
}

/* One side of a connection that stood has ended with an error, and the other was reset. */
static void cut(const struct pair *p, const struct nk_pump_result *r)
{
    static const char *const sides[] = {"the client's side", "the target's side"};
    struct nk_diag why = *r->why;
    p->j->sum.cut++;
    if (r->side >= 0) {
        nk_fail(&why, r->error, "cut off on %s: %s", sides[r->side], r->why->text);
        nk_hint(&why, "%s", r->why->hint);
    }
    tell_failure(p->j, p->peer, NULL, &why);
}

static void on_pair_done(void *owner, const struct nk_pump_result *r)
{
    struct pair *p = owner;
    struct net_join *j = p->j;
    if (r->error < 0 && r->stood) {
        cut(p, r);
    } else if (r->error < 0) {
        failed(j, p->peer, NULL, r->why);
    } else {
        nk_debug(j->log, j->conf.module, "%s: ended, %" PRIu64 " bytes in, %" PRIu64 " out",
                 p->peer, r->bytes[0], r->bytes[1]);
    }
    j->sum.bytes_in += r->bytes[0];
    j->sum.bytes_out += r->bytes[1];
    pair_gone(p);
}

/* The header for the other side: the addresses that came with ours, or the real ones. */
static int put_header(const struct pair *p, struct nk_stream *from, struct nk_buf *out)
{
    const struct net_join_conf *c = &p->j->conf;
    struct net_proxy_header h = {0};
    struct nk_buf tlvs;
    char text[PEER_MAX] = "";
    size_t n = sizeof(text);
    int rc = 0;
    nk_buf_init(&tlvs, NET_PROXY_MAX);
    if (p->said) {
        h = *net_greeting_header(p->said);
    }
    if (!h.known) {
        (void)net_proxy_addr(nk_stream_peer(from, text, sizeof(text)), &h.from);
        (void)nk_stream_query(from, NK_Q_LOCAL, text, &n); /* else it stays what is no address */
        (void)net_proxy_addr(text, &h.to);
    }
    if (c->proxy_out == 2) {
        rc = c->fields ? c->fields(c->owner, from, &tlvs) : 0;
        rc = rc < 0 ? rc : net_proxy_put_others(&tlvs, h.tlvs, h.tlvs_len);
    }
    if (rc == 0) {
        rc = net_proxy_write(out, c->proxy_out, &h.from, &h.to, nk_buf_ptr(&tlvs),
                             nk_buf_len(&tlvs));
    }
    nk_buf_clear(&tlvs);
    return rc;
}

static int start_pump(struct pair *p, struct nk_stream *take_from, struct nk_stream *take_to,
                      struct nk_diag *diag)
{
    const struct net_join_conf *c = &p->j->conf;
    struct nk_pump_conf conf = {.idle_ms = c->idle_ms, .half_idle_ms = c->half_idle_ms};
    struct nk_buf header;
    nk_buf_init(&header, NET_PROXY_MAX);
    int rc = c->proxy_out ? put_header(p, take_from, &header) : 0;
    p->from = p->to = NULL;
    net_greeting_free(p->said);
    p->said = NULL;
    if (rc < 0) {
        nk_stream_close(take_from);
        nk_stream_close(take_to);
    } else {
        conf.first = nk_buf_ptr(&header);
        conf.first_len = nk_buf_len(&header);
        rc = nk_pump_start(c->app, take_from, take_to, &conf, on_pair_done, p, &p->pump);
    }
    nk_buf_clear(&header);
    return rc < 0 ? nk_fail_sys(diag, rc, "%s", c->module) : 0;
}

/* --- a peer that has to say something first --------------------------------------------------- */

/* The peer hears what went wrong as far as its protocol can say it. */
static void pair_fail(struct pair *p, int rc, const struct nk_diag *why)
{
    failed(p->j, p->peer, NULL, why);
    if (p->from && nk_stream_answer(p->from, rc) == -ENOENT) { /* no protocol that can say it */
        reset(p->from);
    } else {
        nk_stream_close(p->from);
    }
    nk_stream_close(p->to);
    pair_gone(p);
}

static void on_target_event(void *owner, struct nk_stream *to, unsigned events)
{
    struct pair *p = owner;
    struct nk_diag why = {0};
    if (events & NK_CLOSED) {
        int rc = nk_stream_error(to, &why);
        pair_fail(p, rc, &why);
        return;
    }
    int rc = nk_stream_answer(p->from, 0);
    rc = rc < 0 ? nk_fail_sys(&why, rc, "answer") : start_pump(p, p->from, p->to, &why);
    if (rc < 0) {
        pair_fail(p, rc, &why);
    }
}

/* It did not get through the layer that was put over it. */
static void not_let_in(struct pair *p, int rc, const struct nk_diag *why)
{
    struct net_join *j = p->j;
    if (rc == -EACCES) { /* somebody who is known: always told */
        j->sum.denied++;
        nk_audit(j->log, j->conf.module, NK_LOG_WARN, "acl.deny", p->peer, "%s", why->text);
    } else {
        failed(j, p->peer, rc == NK_EVERIFY ? "auth.fail" : NULL, why);
    }
    nk_stream_close(p->from);
    pair_gone(p);
}

static void on_wrapped(void *owner, struct nk_stream *from, unsigned events)
{
    struct pair *p = owner;
    const struct net_join_conf *c = &p->j->conf;
    struct nk_diag why = {0};
    struct nk_stream *to;
    if (events & NK_CLOSED) {
        int rc = nk_stream_error(from, &why);
        not_let_in(p, rc, &why);
        return;
    }
    int rc = c->dial(c->owner, NULL, NULL, NULL, &to, &why);
    if (rc < 0) {
        pair_fail(p, rc, &why);
    } else if (start_pump(p, p->from, to, &why) < 0) {
        failed(p->j, p->peer, NULL, &why);
        pair_gone(p);
    }
}

static void on_asked(void *owner, struct nk_stream *from, unsigned events)
{
    struct pair *p = owner;
    const struct net_join_conf *c = &p->j->conf;
    struct nk_diag why = {0};
    struct nk_target target;
    size_t n = sizeof(target);
    int rc = events & NK_CLOSED ? nk_stream_error(from, &why)
                                : nk_stream_query(from, NK_Q_TARGET, &target, &n);
    if (rc == 0) {
        rc = c->dial(c->owner, &target, on_target_event, p, &p->to, &why);
    } else if (rc == -ENOENT) {
        nk_fail(&why, rc, "the client did not say where to connect");
    }
    nk_wipe(&target, sizeof(target));
    if (rc < 0) {
        pair_fail(p, rc, &why);
    }
}

static void join(struct pair *p, struct nk_stream *take_s);

static void on_said(void *owner, int rc, const struct nk_diag *why)
{
    struct pair *p = owner;
    struct nk_stream *from = p->from;
    if (rc < 0) {
        pair_fail(p, rc, why);
        return;
    }
    const struct net_proxy_header *h = net_greeting_header(p->said);
    if (h->known) {
        char peer[PEER_MAX];
        nk_addr_format(peer, sizeof(peer), &h->from);
        nk_debug(p->j->log, p->j->conf.module, "%s: connection of %s", p->peer, peer);
        memcpy(p->peer, peer, sizeof(peer));
    }
    p->from = NULL;
    join(p, from);
}

static void greet(struct pair *p, struct nk_stream *take_s)
{
    struct nk_diag why = {0};
    p->from = take_s;
    int rc = net_greeting_start(p->j->conf.app, take_s, on_said, p, &p->said);
    if (rc < 0) {
        nk_fail_sys(&why, rc, "PROXY protocol");
        pair_fail(p, rc, &why);
    }
}

static void join(struct pair *p, struct nk_stream *take_s)
{
    const struct net_join_conf *c = &p->j->conf;
    struct nk_diag why = {0};
    struct nk_stream *to;
    if (c->asks) {
        p->from = take_s;
        nk_stream_own(take_s, on_asked, p);
        return;
    }
    int rc;
    if (!c->wrap && nk_stream_waits(take_s)) { /* nothing of it is used before that stands */
        p->from = take_s;
        rc = c->dial(c->owner, NULL, on_target_event, p, &p->to, &why);
        if (rc < 0) {
            pair_fail(p, rc, &why);
        }
        return;
    }
    if (c->wrap) {
        rc = c->wrap(c->owner, take_s, &p->from, &why);
        if (rc == 0) {
            nk_stream_own(p->from, on_wrapped, p);
            return;
        }
    } else if ((rc = c->dial(c->owner, NULL, NULL, NULL, &to, &why)) < 0) {
        reset(take_s);
    } else {
        rc = start_pump(p, take_s, to, &why);
    }
    if (rc < 0) {
        failed(p->j, p->peer, NULL, &why);
        pair_gone(p);
    }
}

void net_join_take(struct net_join *j, struct nk_stream *take_s)
{
    char peer[PEER_MAX];
    int64_t uid;
    if (j->draining) {
        nk_stream_close(take_s);
        return;
    }
    nk_stream_peer(take_s, peer, sizeof(peer));
    if (!may_use(j, take_s, &uid)) {
        j->sum.denied++;
        nk_audit(j->log, j->conf.module, NK_LOG_WARN, "acl.deny", peer,
                 "uid %" PRId64 " may not use %s", uid, j->conf.name);
        nk_stream_close(take_s);
        return;
    }
    struct pair *p = calloc(1, sizeof(*p));
    if (!p) {
        nk_stream_close(take_s);
        nk_warn(j->log, j->conf.module, "%s: dropped: %s", peer, nk_strerror(-ENOMEM));
        return;
    }
    p->j = j;
    memcpy(p->peer, peer, sizeof(peer));
    p->next = j->pairs;
    if (j->pairs) {
        j->pairs->prev = p;
    }
    j->pairs = p;
    j->sum.active++;
    j->sum.accepted++;
    if (j->conf.proxy_in) {
        greet(p, take_s);
    } else {
        join(p, take_s);
    }
    update_pause(j);
}

void net_join_accept(void *owner, struct nk_listener *l, struct nk_stream *take_s)
{
    (void)l;
    net_join_take(owner, take_s);
}

/* --- the whole -------------------------------------------------------------------------------- */

static void on_end(void *owner)
{
    const struct net_join *j = owner;
    if (j->conf.drained) {
        j->conf.drained(j->conf.owner);
    }
}

static void on_usable(void *owner)
{
    const struct net_join *j = owner;
    if (j->conf.usable) {
        j->conf.usable(j->conf.owner, 0, NULL);
    }
}

static void on_state(void *owner, struct nk_listener *l, int state, const struct nk_diag *why)
{
    struct net_join *j = owner;
    (void)l;
    if (state != 0) {
        nk_app_defer_cancel(j->conf.app, &j->usable);
    }
    if (state != NK_EAGAIN && j->conf.usable) {
        j->conf.usable(j->conf.owner, state, why);
    }
}

int net_join_new(const struct net_join_conf *conf, struct net_join **out)
{
    struct net_join *j = calloc(1, sizeof(*j));
    if (!j) {
        return -ENOMEM;
    }
    j->end = (struct nk_defer){.fn = on_end, .owner = j};
    j->usable = (struct nk_defer){.fn = on_usable, .owner = j};
    j->conf.app = conf->app;
    net_join_set(j, conf);
    *out = j;
    return 0;
}

void net_join_close(struct net_join *j)
{
    if (!j) {
        return;
    }
    nk_app_defer_cancel(j->conf.app, &j->end);
    nk_app_defer_cancel(j->conf.app, &j->usable);
    nk_listener_close(j->listener);
    for (struct pair *p = j->pairs, *next; p; p = next) {
        next = p->next;
        nk_pump_close(p->pump);
        nk_stream_close(p->from);
        nk_stream_close(p->to);
        net_greeting_free(p->said);
        free(p);
    }
    free(j);
}

void net_join_listener(struct net_join *j, struct nk_listener *take_l)
{
    nk_listener_close(j->listener);
    j->listener = take_l;
    j->paused = false;
    nk_app_defer_cancel(j->conf.app, &j->usable);
    if (take_l) {
        nk_listener_watch(take_l, on_state, j);
        if (nk_listener_state(take_l) == 0) {
            nk_app_defer(j->conf.app, &j->usable);
        }
    }
    update_pause(j);
}

struct nk_listener *net_join_release(struct net_join *j)
{
    struct nk_listener *l = j->listener;
    j->listener = NULL;
    nk_app_defer_cancel(j->conf.app, &j->usable);
    if (l) {
        nk_listener_watch(l, NULL, NULL);
        nk_listener_pause(l, 0);
    }
    j->paused = false;
    return l;
}

void net_join_set(struct net_join *j, const struct net_join_conf *conf)
{
    struct nk_app *app = j->conf.app;
    j->conf = *conf;
    j->conf.app = app;
    j->log = conf->log ? conf->log : nk_app_log(app);
    update_pause(j);
}

int net_join_refresh(struct net_join *j, struct nk_diag *diag)
{
    return j->listener ? nk_listener_refresh(j->listener, diag) : 0;
}

void net_join_drain(struct net_join *j)
{
    if (!j->draining) {
        j->draining = true;
        net_join_listener(j, NULL);
        end_when_drained(j);
    }
}

int net_join_local(const struct net_join *j, char *out, size_t max)
{
    return j->listener ? nk_listener_local(j->listener, out, max) : -ENOENT;
}

void net_join_counts(const struct net_join *j, struct net_join_counts *out)
{
    *out = j->sum;
    for (const struct pair *p = j->pairs; p; p = p->next) {
        out->bytes_in += p->pump ? nk_pump_bytes(p->pump, 0) : 0;
        out->bytes_out += p->pump ? nk_pump_bytes(p->pump, 1) : 0;
    }
}

void net_join_status(const struct net_join *j, struct nk_json *out)
{
    struct net_join_counts c;
    net_join_counts(j, &c);
    nk_json_kv_u64(out, "active", c.active);
    nk_json_kv_u64(out, "accepted", c.accepted);
    nk_json_kv_u64(out, "denied", c.denied);
    nk_json_kv_u64(out, "failed", c.failed);
    nk_json_kv_u64(out, "cut", c.cut);
    nk_json_kv_u64(out, "bytes_in", c.bytes_in);
    nk_json_kv_u64(out, "bytes_out", c.bytes_out);
}
