/* SPDX-License-Identifier: MIT */
#include "ssh/tunnel.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/endpoint.h"
#include "base/file.h"
#include "core/app.h"
#include "ssh/forwarding.h"

enum { HOST_MAX = 512, LOCAL_MAX = 128, FORWARD_MAX = 4096, MS = 1000 };

/* A connection and what is forwarded over it. */
struct set {
    struct nk_service *s;
    struct ssh_forwards forwards;
    struct ssh_link *link;
    struct ssh_link_user user;
    struct ssh_forwarding *forwarding;
};

struct nk_service {
    struct nk_service_args args;
    const struct ssh_tunnel_conf *conf;
    struct set *now,
        *old; /* old: of before a reload, until its connections have ended. May be NULL */
    struct nk_defer end;
    struct nk_diag why;
    int status;
    bool ended, ready, draining, drained;
};

/* --- its end ---------------------------------------------------------------------------------- */

static void on_end(void *owner)
{
    struct nk_service *s = owner;
    s->args.on_end(s->args.owner, s->status, s->status < 0 ? &s->why : NULL);
}

static void end(struct nk_service *s, int status, const struct nk_diag *why)
{
    if (s->ended) {
        return;
    }
    s->ended = true;
    s->status = status;
    if (why) {
        s->why = *why;
    }
    nk_app_defer(s->args.app, &s->end);
}

static void set_close(struct set *set)
{
    if (!set) {
        return;
    }
    ssh_forwarding_close(set->forwarding);
    if (set->link) {
        ssh_link_detach(set->link, &set->user);
        ssh_link_unref(set->link);
    }
    ssh_forwards_clear(&set->forwards);
    free(set);
}

static void on_failed(void *owner, int rc, const struct nk_diag *why)
{
    end(((struct set *)owner)->s, rc, why);
}

static void on_down(void *owner, struct ssh_link *l, const struct nk_diag *why)
{
    const struct set *set = owner;
    if (ssh_link_state(l) == SSH_LINK_OVER && set == set->s->now) {
        end(set->s, why->code < 0 ? why->code : NK_ECLOSED, why);
    }
}

static void on_drained(void *owner)
{
    struct set *set = owner;
    struct nk_service *s = set->s;
    if (set == s->old) {
        s->old = NULL;
        set_close(set);
    } else {
        s->drained = true;
    }
    if (s->drained && !s->old) {
        end(s, 0, NULL);
    }
}

/* --- its beginning ---------------------------------------------------------------------------- */

/* It forwards, and that is all. */
static void on_up(void *owner, struct ssh_link *l)
{
    (void)owner;
    ssh_link_no_more_sessions(l);
}

static void on_ready(void *owner)
{
    const struct set *set = owner;
    struct nk_service *s = set->s;
    struct nk_diag diag = {0};
    if (s->ready || set != s->now) {
        return;
    }
    s->ready = true;
    int rc = s->conf->usable ? s->conf->usable(s->conf->ctx, ssh_tunnel_port(s), &diag) : 0;
    if (rc < 0) {
        end(s, rc, &diag);
    } else {
        s->args.on_ready(s->args.owner);
    }
}

static int add_all(struct ssh_forwards *l, enum ssh_forward_kind kind,
                   const struct nk_strlist *words, struct nk_diag *diag)
{
    int rc = 0;
    for (size_t i = 0; i < words->n && rc == 0; i++) {
        rc = ssh_forwards_add(l, kind, words->v[i], diag);
    }
    return rc;
}

/* The command's port is the first. Words cannot say that any port here will do. */
static int gather(struct ssh_forwards *l, const struct ssh_tunnel_conf *c, struct nk_diag *diag)
{
    char text[64];
    int rc = 0;
    if (c->remote_port) {
        (void)snprintf(text, sizeof(text), "127.0.0.1:1:localhost:%u", c->remote_port);
        rc = ssh_forwards_add(l, SSH_FORWARD_LOCAL, text, diag);
        if (rc == 0) {
            l->v[0].listen.port = (uint16_t)c->local_port;
        }
    }
    rc = rc < 0 ? rc : add_all(l, SSH_FORWARD_LOCAL, &c->local, diag);
    rc = rc < 0 ? rc : add_all(l, SSH_FORWARD_REMOTE, &c->remote, diag);
    rc = rc < 0 ? rc : add_all(l, SSH_FORWARD_DYNAMIC, &c->dynamic, diag);
    if (rc == 0 && l->n == 0) {
        rc = nk_fail(diag, NK_ECONFIG, "local, remote or dynamic is missing");
    }
    return rc == NK_EUSAGE ? NK_ECONFIG : rc;
}

static int load(const struct ssh_tunnel_conf *c, struct nk_log *log, struct ssh_config **out,
                struct nk_diag *diag)
{
    char text[HOST_MAX], *user, *host;
    if (!c->host || strlen(c->host) >= sizeof(text)) {
        return nk_fail(diag, NK_ECONFIG, "host is %s", c->host ? "too long" : "missing");
    }
    memcpy(text, c->host, strlen(c->host) + 1);
    ssh_dest_split(text, &user, &host);
    int rc = ssh_dest_load(&c->dest, host, c->user ? c->user : user, (int)c->port, log, out, diag);
    if (rc == 0) {
        (*out)->exit_on_forward_failure = true; /* a port here that is taken is an error */
        (*out)->session = SSH_SESSION_NONE;
        if (c->alive_ms) {
            (*out)->alive_interval = (int64_t)((c->alive_ms + MS - 1) / MS);
        }
    }
    return rc;
}

/* Questions can only be asked where somebody looks, and by a command. */
static bool can_ask(const struct ssh_tunnel_conf *c)
{
    return c->ctx && !c->ctx->globals->no_input && isatty(STDIN_FILENO) && isatty(STDERR_FILENO);
}

/* A new link, or one more reference to that of `same` when it would be equal. */
static int get_link(struct set *set, const struct ssh_tunnel_conf *c, const struct set *same,
                    struct nk_diag *diag)
{
    struct nk_secret password = {0};
    struct nk_app *app = set->s->args.app;
    struct ssh_link_conf conf = {.app = app,
                                 .file = c->dest.file,
                                 .pins = (const char *const *)c->dest.pins.v,
                                 .npins = c->dest.pins.n,
                                 .answers = &c->dest.answers,
                                 .env = &c->dest.env,
                                 .cwd = c->dest.cwd,
                                 .no_input = !can_ask(c),
                                 .quiet = !c->ctx,
                                 .once = !c->reconnect,
                                 .refuse = c->hold_ms == 0,
                                 .hold_ms = c->hold_ms};
    int rc = c->dest.password_file
                 ? nk_file_read_secret(c->dest.password_file, true, &password, diag)
                 : 0;
    rc = rc < 0 ? rc : load(c, nk_app_log(app), &conf.config, diag);
    if (rc == 0) {
        conf.password = c->dest.password_file ? &password : NULL;
        if (same && ssh_link_same(same->link, &conf)) {
            ssh_config_free(conf.config);
            set->link = ssh_link_ref(same->link);
        } else {
            rc = ssh_link_new(&conf, &set->link, diag);
        }
    }
    nk_secret_clear(&password);
    return rc;
}

static bool same_forwards(const struct ssh_forwards *a, const struct ssh_forwards *b)
{
    bool same = a->n == b->n;
    for (size_t i = 0; same && i < a->n; i++) {
        struct nk_buf x, y;
        nk_buf_init(&x, FORWARD_MAX);
        nk_buf_init(&y, FORWARD_MAX);
        same = a->v[i].kind == b->v[i].kind && ssh_forward_put(&a->v[i], &x) == 0 &&
               ssh_forward_put(&b->v[i], &y) == 0 && nk_buf_len(&x) == nk_buf_len(&y) &&
               memcmp(nk_buf_ptr(&x), nk_buf_ptr(&y), nk_buf_len(&x)) == 0;
        nk_buf_clear(&x);
        nk_buf_clear(&y);
    }
    return same;
}

static int open_forwarding(struct set *set, bool reconnect, struct set *before,
                           struct nk_diag *diag)
{
    set->user = (struct ssh_link_user){.up = on_up, .down = on_down, .owner = set};
    ssh_link_attach(set->link, &set->user);
    const struct ssh_forwarding_conf conf = {.link = set->link,
                                             .forwards = &set->forwards,
                                             .config = ssh_link_config(set->link),
                                             .before = before ? before->forwarding : NULL,
                                             .once = !reconnect,
                                             .ready = on_ready,
                                             .failed = reconnect ? NULL : on_failed,
                                             .drained = on_drained,
                                             .owner = set};
    return ssh_forwarding_open(&conf, &set->forwarding, diag);
}

/* What conf says, over its own connection or that of before, whose listeners it takes then. *out is
 * before itself when nothing is different. */
static int set_open(struct nk_service *s, const struct ssh_tunnel_conf *conf, struct set *before,
                    struct set **out, struct nk_diag *diag)
{
    struct set *set = calloc(1, sizeof(*set));
    if (!set) {
        return nk_fail_sys(diag, -ENOMEM, "tunnel");
    }
    set->s = s;
    int rc = gather(&set->forwards, conf, diag);
    rc = rc < 0 ? rc : get_link(set, conf, before, diag);
    bool same = rc == 0 && before && set->link == before->link &&
                same_forwards(&set->forwards, &before->forwards);
    rc = rc < 0 || same ? rc : open_forwarding(set, conf->reconnect, before, diag);
    if (rc < 0 || same) {
        set_close(set);
        set = before;
    }
    *out = set;
    return rc;
}

static void tunnel_close(struct nk_service *s)
{
    nk_app_defer_cancel(s->args.app, &s->end);
    set_close(s->old);
    set_close(s->now);
    free(s);
}

static int tunnel_start(const struct nk_service_args *args, struct nk_service **out,
                        struct nk_diag *diag)
{
    struct nk_service *s = calloc(1, sizeof(*s));
    if (!s) {
        return nk_fail_sys(diag, -ENOMEM, "tunnel");
    }
    s->args = *args;
    s->conf = args->conf;
    s->end = (struct nk_defer){.fn = on_end, .owner = s};
    int rc = set_open(s, s->conf, NULL, &s->now, diag);
    if (rc < 0) {
        tunnel_close(s);
        return rc;
    }
    *out = s;
    return 0;
}

/* --- what can be done with it ----------------------------------------------------------------- */

static void tunnel_drain(struct nk_service *s)
{
    s->draining = true;
    ssh_forwarding_drain(s->now->forwarding);
}

/* What is equal stays connected, but does not wait any longer to be. What is different is replaced:
 * its connections go on until they end, those of a change before that one are ended. */
static int tunnel_reload(struct nk_service *s, const void *conf, const struct nk_conf *ini,
                         struct nk_diag *diag)
{
    const struct ssh_tunnel_conf *fresh = conf;
    struct set *set;
    (void)ini;
    if (s->draining || s->ended) {
        s->conf = conf;
        return 0;
    }
    int rc = set_open(s, fresh, s->now, &set, diag);
    if (rc < 0) {
        return rc;
    }
    s->conf = fresh;
    if (set != s->now) {
        set_close(s->old);
        s->old = s->now;
        s->now = set;
        ssh_forwarding_drain(s->old->forwarding);
    }
    ssh_link_retry(s->now->link);
    return 0;
}

static void tunnel_status(const struct nk_service *s, struct nk_json *out)
{
    const struct nk_diag *why = ssh_link_why(s->now->link);
    nk_json_kv_str(out, "host", ssh_link_config(s->now->link)->original_host);
    nk_json_kv_str(out, "connection", ssh_link_state_name(ssh_link_state(s->now->link)));
    nk_json_kv_str(out, "why", why->text[0] ? why->text : NULL);
    nk_json_kv_u64(out, "connected", ssh_link_ups(s->now->link));
    ssh_forwarding_status(s->now->forwarding, out);
}

uint16_t ssh_tunnel_port(const struct nk_service *s)
{
    char local[LOCAL_MAX], host[LOCAL_MAX];
    uint16_t port = 0;
    if (s->conf->remote_port &&
        ssh_forwarding_local(s->now->forwarding, 0, local, sizeof(local)) == 0 &&
        strncmp(local, "tcp:", 4) == 0 &&
        nk_ep_host_port(local + 4, host, sizeof(host), &port, 0, NULL) < 0) {
        return 0;
    }
    return port;
}

const struct nk_service_type ssh_tunnel_service = {
    .section = "tunnel",
    .start = tunnel_start,
    .drain = tunnel_drain,
    .reload = tunnel_reload,
    .status = tunnel_status,
    .close = tunnel_close,
};
