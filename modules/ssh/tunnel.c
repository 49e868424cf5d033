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

enum { HOST_MAX = 512, LOCAL_MAX = 128, MS = 1000 };

struct nk_service {
    struct nk_service_args args;
    const struct ssh_tunnel_conf *conf;
    struct ssh_forwards forwards;
    struct ssh_link *link;
    struct ssh_link_user user;
    struct ssh_forwarding *forwarding;
    struct nk_defer end;
    struct nk_diag why;
    int status;
    bool ended;
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

static void on_failed(void *owner, int rc, const struct nk_diag *why)
{
    end(owner, rc, why);
}

static void on_down(void *owner, struct ssh_link *l, const struct nk_diag *why)
{
    if (ssh_link_state(l) == SSH_LINK_OVER) {
        end(owner, why->code < 0 ? why->code : NK_ECLOSED, why);
    }
}

static void on_drained(void *owner)
{
    end(owner, 0, NULL);
}

/* --- its beginning ---------------------------------------------------------------------------- */

static void on_ready(void *owner)
{
    struct nk_service *s = owner;
    struct nk_diag diag = {0};
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

static int load(const struct nk_service *s, struct ssh_config **out, struct nk_diag *diag)
{
    const struct ssh_tunnel_conf *c = s->conf;
    char text[HOST_MAX], *user, *host;
    if (!c->host || strlen(c->host) >= sizeof(text)) {
        return nk_fail(diag, NK_ECONFIG, "host is %s", c->host ? "too long" : "missing");
    }
    memcpy(text, c->host, strlen(c->host) + 1);
    ssh_dest_split(text, &user, &host);
    int rc = ssh_dest_load(&c->dest, host, c->user ? c->user : user, (int)c->port,
                           nk_app_log(s->args.app), out, diag);
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

static int open_link(struct nk_service *s, struct nk_diag *diag)
{
    const struct ssh_tunnel_conf *c = s->conf;
    struct nk_secret password = {0};
    struct ssh_link_conf conf = {.app = s->args.app,
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
    rc = rc < 0 ? rc : load(s, &conf.config, diag);
    if (rc == 0) {
        conf.password = c->dest.password_file ? &password : NULL;
        rc = ssh_link_new(&conf, &s->link, diag);
    }
    nk_secret_clear(&password);
    if (rc == 0) {
        s->user = (struct ssh_link_user){.down = on_down, .owner = s};
        ssh_link_attach(s->link, &s->user);
    }
    return rc;
}

static void tunnel_close(struct nk_service *s)
{
    nk_app_defer_cancel(s->args.app, &s->end);
    ssh_forwarding_close(s->forwarding);
    if (s->link) {
        ssh_link_detach(s->link, &s->user);
        ssh_link_unref(s->link);
    }
    ssh_forwards_clear(&s->forwards);
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
    int rc = gather(&s->forwards, s->conf, diag);
    rc = rc < 0 ? rc : open_link(s, diag);
    if (rc == 0) {
        const struct ssh_forwarding_conf conf = {.link = s->link,
                                                 .forwards = &s->forwards,
                                                 .config = ssh_link_config(s->link),
                                                 .once = !s->conf->reconnect,
                                                 .ready = on_ready,
                                                 .failed = s->conf->reconnect ? NULL : on_failed,
                                                 .drained = on_drained,
                                                 .owner = s};
        rc = ssh_forwarding_open(&conf, &s->forwarding, diag);
    }
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
    ssh_forwarding_drain(s->forwarding);
}

/* Everything that it is made of needs a restart; but whoever reloads wants it to be there. */
static int tunnel_reload(struct nk_service *s, const void *conf, const struct nk_conf *ini,
                         struct nk_diag *diag)
{
    (void)ini;
    (void)diag;
    s->conf = conf;
    ssh_link_retry(s->link);
    return 0;
}

static void tunnel_status(const struct nk_service *s, struct nk_json *out)
{
    const struct nk_diag *why = ssh_link_why(s->link);
    nk_json_kv_str(out, "host", ssh_link_config(s->link)->original_host);
    nk_json_kv_str(out, "connection", ssh_link_state_name(ssh_link_state(s->link)));
    nk_json_kv_str(out, "why", why->text[0] ? why->text : NULL);
    nk_json_kv_u64(out, "connected", ssh_link_ups(s->link));
    ssh_forwarding_status(s->forwarding, out);
}

uint16_t ssh_tunnel_port(const struct nk_service *s)
{
    char local[LOCAL_MAX], host[LOCAL_MAX];
    uint16_t port = 0;
    if (s->conf->remote_port && ssh_forwarding_local(s->forwarding, 0, local, sizeof(local)) == 0 &&
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
