/* SPDX-License-Identifier: MIT */
#include "net/forward.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/codec.h"
#include "base/secret.h"
#include "core/app.h"
#include "core/files.h"
#include "core/clock.h"
#include "core/pump.h"
#include "core/registry.h"

#define PEER_MAX 128

enum {
    LOG_WINDOW_MS = 10 * 1000, /* in which at most */
    LOG_LINES = 10             /* failures are logged one by one */
};

/* One accepted stream and its connection. */
struct pair {
    struct nk_service *f;
    struct nk_stream *from, *to; /* until the pump has them: the peer says where to connect */
    struct nk_pump *pump;
    struct pair *prev, *next;
    char peer[PEER_MAX];
};

struct nk_service {
    struct nk_service_args args;
    struct nk_app *app;
    const struct net_forward_conf *conf;
    struct nk_endpoint *connect;
    struct nk_listener *listener;
    struct pair *pairs;
    struct nk_defer ready, end;
    uint64_t active, accepted, denied, failed;
    uint64_t bytes[2];                   /* of ended pairs: from the listener's side, to it */
    uint64_t window_ms, lines, unlogged; /* of failures */
    bool paused, draining, ended;
};

static struct nk_log *log_of(const struct nk_service *f)
{
    return nk_app_log(f->app);
}

/* --- who may ---------------------------------------------------------------------------------- */

static int check_conf(const struct net_forward_conf *conf, const struct nk_endpoint *listen,
                      struct nk_diag *diag)
{
    size_t i = 0;
    uint64_t uid;
    for (i = 0; i < conf->allow_uid.n; i++) {
        if (nk_parse_u64(conf->allow_uid.v[i], &uid) < 0 || uid > UINT32_MAX) {
            return nk_fail(diag, NK_ECONFIG, "allow_uid: '%s' is not the number of a user",
                           conf->allow_uid.v[i]);
        }
    }
    const struct nk_ep_layer *last = NULL;
    for (i = 0; nk_endpoint_layer(listen, i); i++) {
        last = nk_endpoint_layer(listen, i);
    }
    bool knows_uid = last && (strcmp(last->driver->scheme, "unix") == 0 ||
                              strcmp(last->driver->scheme, "fd") == 0);
    if (conf->allow_uid.n > 0 && !knows_uid) {
        return nk_fail(diag, NK_ECONFIG,
                       "allow_uid needs a listener on a unix socket: %s does not know users",
                       nk_endpoint_text(listen));
    }
    return 0;
}

/* No list: everybody who can reach the socket. With one, an unknown user is nobody. */
static bool may_use(const struct nk_service *f, struct nk_stream *s, int64_t *uid)
{
    size_t n = sizeof(*uid);
    *uid = -1;
    if (f->conf->allow_uid.n == 0) {
        return true;
    }
    if (nk_stream_query(s, NK_Q_UID, uid, &n) < 0 || *uid < 0) {
        return false;
    }
    for (size_t i = 0; i < f->conf->allow_uid.n; i++) {
        uint64_t allowed;
        if (nk_parse_u64(f->conf->allow_uid.v[i], &allowed) == 0 && allowed == (uint64_t)*uid) {
            return true;
        }
    }
    return false;
}

/* --- failures --------------------------------------------------------------------------------- */

/* Counts one; true when it is to be logged. A target that is down must not fill the log. */
static bool note_failure(struct nk_service *f)
{
    uint64_t now = nk_now_ms(f->app);
    f->failed++;
    if (f->lines == 0 || now - f->window_ms >= LOG_WINDOW_MS) {
        if (f->unlogged > 0) {
            nk_warn(log_of(f), "forward", "%" PRIu64 " more failures like these", f->unlogged);
        }
        f->window_ms = now;
        f->lines = 0;
        f->unlogged = 0;
    }
    if (f->lines < LOG_LINES) {
        f->lines++;
        return true;
    }
    f->unlogged++;
    return false;
}

/* --- connections ------------------------------------------------------------------------------ */

static void update_pause(struct nk_service *f)
{
    bool full = f->active >= (uint64_t)f->conf->max_connections;
    if (f->listener && full != f->paused) {
        f->paused = full;
        nk_listener_pause(f->listener, full);
        if (full) {
            nk_warn(log_of(f), "forward", "%" PRIu64 " connections: more have to wait", f->active);
        }
    }
}

static void pair_free(struct pair *p)
{
    struct nk_service *f = p->f;
    *(p->prev ? &p->prev->next : &f->pairs) = p->next;
    if (p->next) {
        p->next->prev = p->prev;
    }
    f->active--;
    free(p);
}

static void end_when_drained(struct nk_service *f)
{
    if (f->draining && f->active == 0 && !f->ended) {
        nk_app_defer(f->app, &f->end);
    }
}

/* Its streams are gone, or never were. */
static void pair_gone(struct pair *p)
{
    struct nk_service *f = p->f;
    pair_free(p);
    update_pause(f);
    end_when_drained(f);
}

static void on_pair_done(void *owner, const struct nk_pump_result *r)
{
    struct pair *p = owner;
    struct nk_service *f = p->f;
    if (r->error < 0) {
        if (note_failure(f)) {
            nk_warn(log_of(f), "forward", "%s: %s", p->peer, r->why->text);
        }
    } else {
        nk_debug(log_of(f), "forward", "%s: ended, %" PRIu64 " bytes in, %" PRIu64 " out", p->peer,
                 r->bytes[0], r->bytes[1]);
    }
    f->bytes[0] += r->bytes[0];
    f->bytes[1] += r->bytes[1];
    pair_gone(p);
}

static int start_pump(struct pair *p, struct nk_stream *take_from, struct nk_stream *take_to,
                      struct nk_diag *diag)
{
    const struct net_forward_conf *c = p->f->conf;
    const struct nk_pump_conf conf = {.idle_ms = c->idle_ms, .half_idle_ms = c->half_idle_ms};
    p->from = p->to = NULL;
    int rc = nk_pump_start(p->f->app, take_from, take_to, &conf, on_pair_done, p, &p->pump);
    return rc < 0 ? nk_fail_sys(diag, rc, "forward") : 0;
}

/* --- a peer that says where to connect -------------------------------------------------------- */

/* The peer hears what went wrong as far as its protocol can say it. */
static void pair_fail(struct pair *p, int rc, const struct nk_diag *why)
{
    if (note_failure(p->f)) {
        nk_warn(log_of(p->f), "forward", "%s: %s%s%s%s", p->peer, why->text,
                why->hint[0] ? " (hint: " : "", why->hint, why->hint[0] ? ")" : "");
    }
    (void)nk_stream_answer(p->from, rc); /* nobody asked when the request itself was wrong */
    nk_stream_close(p->from);
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

static void on_asked(void *owner, struct nk_stream *from, unsigned events)
{
    struct pair *p = owner;
    struct nk_diag why = {0};
    struct nk_target target;
    size_t n = sizeof(target);
    int rc = events & NK_CLOSED ? nk_stream_error(from, &why)
                                : nk_stream_query(from, NK_Q_TARGET, &target, &n);
    if (rc == 0) {
        rc = nk_dial_to(p->f->app, p->f->connect, &target, on_target_event, p, &p->to, &why);
    } else if (rc == -ENOENT) {
        nk_fail(&why, rc, "the client did not say where to connect");
    }
    nk_wipe(&target, sizeof(target));
    if (rc < 0) {
        pair_fail(p, rc, &why);
    }
}

static int join(struct nk_service *f, struct nk_stream *take_s, struct pair *p,
                struct nk_diag *diag)
{
    struct nk_stream *to;
    if (nk_endpoint_open(f->connect)) {
        p->from = take_s;
        nk_stream_own(take_s, on_asked, p);
        return 0;
    }
    int rc = nk_dial(f->app, f->connect, NULL, NULL, &to, diag);
    if (rc < 0) {
        nk_stream_close(take_s);
        return rc;
    }
    return start_pump(p, take_s, to, diag);
}

static void on_accept(void *owner, struct nk_listener *l, struct nk_stream *take_s)
{
    struct nk_service *f = owner;
    struct nk_diag diag = {0};
    char peer[PEER_MAX];
    int64_t uid;
    (void)l;
    nk_stream_peer(take_s, peer, sizeof(peer));
    if (!may_use(f, take_s, &uid)) {
        f->denied++;
        nk_audit(log_of(f), "forward", NK_LOG_WARN, "acl.deny", peer,
                 "uid %" PRId64 " may not use %s", uid, f->conf->listen);
        nk_stream_close(take_s);
        return;
    }
    struct pair *p = calloc(1, sizeof(*p));
    if (!p) {
        nk_stream_close(take_s);
        nk_warn(log_of(f), "forward", "%s: dropped: %s", peer, nk_strerror(-ENOMEM));
        return;
    }
    p->f = f;
    memcpy(p->peer, peer, sizeof(peer));
    p->next = f->pairs;
    if (f->pairs) {
        f->pairs->prev = p;
    }
    f->pairs = p;
    f->active++;
    f->accepted++;
    if (join(f, take_s, p, &diag) < 0) {
        if (note_failure(f)) {
            nk_warn(log_of(f), "forward", "%s: %s", peer, diag.text);
        }
        pair_free(p);
    }
    update_pause(f);
}

/* --- the service ------------------------------------------------------------------------------ */

static void on_ready(void *owner)
{
    struct nk_service *f = owner;
    char local[256];
    if (nk_listener_local(f->listener, local, sizeof(local)) < 0) {
        snprintf(local, sizeof(local), "%s", f->conf->listen);
    }
    nk_info(log_of(f), "forward", "listening on %s, forwarding to %s", local, f->conf->connect);
    (void)nk_files_tell(log_of(f), NK_LOG_INFO, "forward", "max_connections",
                        (uint64_t)f->conf->max_connections, 2);
    f->args.on_ready(f->args.owner);
}

static void on_end(void *owner)
{
    struct nk_service *f = owner;
    f->ended = true;
    f->args.on_end(f->args.owner, 0, NULL);
}

/* Both strings of conf, checked; nothing is opened. */
static int parse_both(const struct net_forward_conf *conf, struct nk_endpoint **listen,
                      struct nk_endpoint **connect, struct nk_diag *diag)
{
    if (!conf->listen || !conf->connect) {
        return nk_fail(diag, NK_ECONFIG, "%s is missing", conf->listen ? "connect" : "listen");
    }
    int rc = nk_endpoint_parse(conf->listen, NK_EP_LISTEN_OPEN, listen, diag);
    if (rc < 0) {
        return rc;
    }
    /* where peers say what they want, the connector has to follow them, and only there */
    bool open = nk_endpoint_open(*listen);
    rc = check_conf(conf, *listen, diag);
    rc = rc < 0 ? rc
                : nk_endpoint_parse(conf->connect, open ? NK_EP_CONNECT_OPEN : NK_EP_CONNECT,
                                    connect, diag);
    if (rc == 0 && open && !nk_endpoint_open(*connect)) {
        rc = nk_fail(diag, NK_ECONFIG,
                     "the clients of '%s' say where to connect, and '%s' has an end of its own",
                     conf->listen, conf->connect);
        nk_hint(diag, "leave the end out: tcp: connects to wherever they want");
        nk_endpoint_free(*connect);
    }
    if (rc < 0) {
        nk_endpoint_free(*listen);
    }
    return rc;
}

static int forward_start(const struct nk_service_args *args, struct nk_service **out,
                         struct nk_diag *diag)
{
    const struct net_forward_conf *conf = args->conf;
    struct nk_endpoint *listen = NULL, *connect = NULL;
    int rc = parse_both(conf, &listen, &connect, diag);
    if (rc < 0) {
        return rc;
    }
    struct nk_service *f = calloc(1, sizeof(*f));
    rc = f ? nk_listen(args->app, listen, on_accept, f, &f->listener, diag)
           : nk_fail_sys(diag, -ENOMEM, "forward");
    nk_endpoint_free(listen);
    if (rc < 0) {
        nk_endpoint_free(connect);
        free(f);
        return rc;
    }
    f->args = *args;
    f->app = args->app;
    f->conf = conf;
    f->connect = connect;
    f->ready = (struct nk_defer){.fn = on_ready, .owner = f};
    f->end = (struct nk_defer){.fn = on_end, .owner = f};
    nk_app_defer(f->app, &f->ready);
    *out = f;
    return 0;
}

static void forward_drain(struct nk_service *f)
{
    f->draining = true;
    nk_listener_close(f->listener);
    f->listener = NULL;
    end_when_drained(f);
}

/* New connections use the new values; a listener with the same name stays open, and its files are
 * read again. */
static int forward_reload(struct nk_service *f, const void *conf, const struct nk_conf *ini,
                          struct nk_diag *diag)
{
    const struct net_forward_conf *fresh = conf;
    struct nk_endpoint *listen = NULL, *connect = NULL;
    struct nk_listener *l = NULL;
    (void)ini;
    int rc = parse_both(fresh, &listen, &connect, diag);
    if (rc < 0) {
        return rc;
    }
    if (!f->draining && strcmp(fresh->listen, f->conf->listen) != 0) {
        rc = nk_listen(f->app, listen, on_accept, f, &l, diag);
    } else if (!f->draining) {
        rc = nk_listener_refresh(f->listener, diag);
    }
    nk_endpoint_free(listen);
    if (rc < 0) {
        nk_endpoint_free(connect);
        return rc;
    }
    if (l) {
        nk_listener_close(f->listener);
        f->listener = l;
        f->paused = false;
    }
    nk_endpoint_free(f->connect);
    f->connect = connect;
    f->conf = fresh;
    update_pause(f);
    return 0;
}

static void forward_status(const struct nk_service *f, struct nk_json *out)
{
    char local[256] = "";
    uint64_t in = f->bytes[0], sent = f->bytes[1];
    for (const struct pair *p = f->pairs; p; p = p->next) {
        in += p->pump ? nk_pump_bytes(p->pump, 0) : 0;
        sent += p->pump ? nk_pump_bytes(p->pump, 1) : 0;
    }
    if (f->listener) {
        (void)nk_listener_local(f->listener, local, sizeof(local)); /* "" when unknown */
    }
    nk_json_kv_str(out, "listen", local);
    nk_json_kv_str(out, "connect", f->conf->connect);
    nk_json_kv_u64(out, "active", f->active);
    nk_json_kv_u64(out, "accepted", f->accepted);
    nk_json_kv_u64(out, "denied", f->denied);
    nk_json_kv_u64(out, "failed", f->failed);
    nk_json_kv_u64(out, "bytes_in", in);
    nk_json_kv_u64(out, "bytes_out", sent);
}

static void forward_close(struct nk_service *f)
{
    nk_app_defer_cancel(f->app, &f->ready);
    nk_app_defer_cancel(f->app, &f->end);
    nk_listener_close(f->listener);
    for (struct pair *p = f->pairs, *next; p; p = next) {
        next = p->next;
        nk_pump_close(p->pump);
        nk_stream_close(p->from);
        nk_stream_close(p->to);
        free(p);
    }
    nk_endpoint_free(f->connect);
    free(f);
}

const struct nk_service_type net_forward_service = {
    .section = "forward",
    .start = forward_start,
    .drain = forward_drain,
    .reload = forward_reload,
    .status = forward_status,
    .close = forward_close,
};

/* --- one connection --------------------------------------------------------------------------- */

bool net_forward_can_listen(const char *text)
{
    struct nk_endpoint *ep;
    bool only_connects = false;
    if (nk_endpoint_parse(text, NK_EP_CONNECT, &ep, NULL) == 0) {
        for (size_t i = 0; nk_endpoint_layer(ep, i); i++) {
            unsigned flags = nk_endpoint_layer(ep, i)->driver->flags;
            only_connects = only_connects || !(flags & NK_EP_CAN_LISTEN);
        }
        nk_endpoint_free(ep);
    }
    return !only_connects;
}

struct once {
    struct nk_app *app;
    struct nk_diag *diag;
};

static void on_once_done(void *owner, const struct nk_pump_result *r)
{
    struct once o = *(struct once *)owner;
    free(owner);
    if (r->error < 0) {
        *o.diag = *r->why;
    }
    nk_app_stop(o.app, r->error);
}

static int dial_text(struct nk_app *app, const char *text, struct nk_stream **out,
                     struct nk_diag *diag)
{
    struct nk_endpoint *ep;
    int rc = nk_endpoint_parse(text, NK_EP_CONNECT, &ep, diag);
    if (rc == 0) {
        rc = nk_dial(app, ep, NULL, NULL, out, diag);
        nk_endpoint_free(ep);
    }
    return rc;
}

static int check_connect(const char *text, struct nk_diag *diag)
{
    struct nk_endpoint *ep;
    int rc = nk_endpoint_parse(text, NK_EP_CONNECT, &ep, diag);
    if (rc == 0) {
        nk_endpoint_free(ep);
    }
    return rc;
}

int net_forward_once(struct nk_app *app, const struct net_forward_conf *conf, struct nk_diag *diag)
{
    const struct nk_pump_conf limits = {.idle_ms = conf->idle_ms,
                                        .half_idle_ms = conf->half_idle_ms};
    struct nk_stream *a = NULL, *b = NULL;
    struct nk_pump *pump;
    struct once *o = malloc(sizeof(*o));
    int rc = o ? check_connect(conf->connect, diag) : nk_fail_sys(diag, -ENOMEM, "forward");
    rc = rc < 0 ? rc : dial_text(app, conf->listen, &a, diag);
    rc = rc < 0 ? rc : dial_text(app, conf->connect, &b, diag);
    if (rc < 0) {
        nk_stream_close(a);
        free(o);
        return rc;
    }
    *o = (struct once){.app = app, .diag = diag};
    rc = nk_pump_start(app, a, b, &limits, on_once_done, o, &pump);
    if (rc < 0) {
        free(o);
        return nk_fail_sys(diag, rc, "forward");
    }
    return 0;
}
