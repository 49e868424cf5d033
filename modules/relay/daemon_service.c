/* SPDX-License-Identifier: MIT */
#include "relay/daemon_service.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "core/app.h"
#include "core/control.h"
#include "core/listener.h"
#include "relay/daemon.h"
#include "tls/tls.h"

#define NAME_MAX_LEN 64
#define NOTIFY_MAX 1000000000

struct nk_service {
    struct nk_service_args args;
    char name[NAME_MAX_LEN + 1];
    struct nk_globals globals; /* what the endpoint's helpers want of a command */
    struct nk_cmd_ctx ctx;
    struct nk_strlist
        groups; /* a copy: the client borrows them longer than a configuration lives */
    struct relay_endpoint_session session;
    struct relay_daemon daemon;
    struct nk_listener *listener;
    struct nk_defer ready;
    char path[NK_PATH_MAX]; /* of the socket; "" when there is none */
    int lock;
};

int relay_daemon_name_check(const char *name, struct nk_diag *diag)
{
    size_t n = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-");
    if (n == 0 || n > NAME_MAX_LEN || name[n] != '\0') {
        return nk_fail(diag, NK_EUSAGE,
                       "'%s' is no name of an endpoint: up to %d of a-z, 0-9 and '-'", name,
                       NAME_MAX_LEN);
    }
    return 0;
}

/* --- start ------------------------------------------------------------------------------------ */

static int take_lock(struct nk_service *s, struct nk_diag *diag)
{
    char dir[NK_PATH_MAX], path[NK_PATH_MAX];
    const char *state = nk_app_state_dir(s->args.app);
    if (!state) {
        return nk_fail(diag, NK_ECONFIG, "endpoint: there is no state directory");
    }
    if (nk_service_dir(dir, sizeof(dir), state, RELAY_DAEMON_SECTION, s->name) < 0 ||
        nk_path_join(path, sizeof(path), dir, "lock") < 0 ||
        nk_path_join(s->path, sizeof(s->path), dir, NK_CONTROL_NAME) < 0) {
        s->path[0] = '\0';
        return nk_fail(diag, NK_ETOOBIG, "path too long: %s", state);
    }
    int rc = nk_mkdirs(dir, diag);
    rc = rc < 0 ? rc : nk_lock_open(path, &s->lock, diag);
    if (rc < 0) {
        s->path[0] = '\0'; /* the socket there is somebody else's */
    }
    return rc;
}

static void free_groups(struct nk_strlist *l)
{
    for (size_t i = 0; i < l->n; i++) {
        free(l->v[i]);
    }
    free(l->v);
    *l = (struct nk_strlist){0};
}

/* The groups to join: those listed, and those that are asked for. */
static int copy_groups(struct nk_service *s, const struct nk_strlist *listed,
                       const struct relay_endpoint_dest *asked)
{
    s->groups.v = calloc(listed->n + asked->n + 1, sizeof(char *));
    if (!s->groups.v) {
        return -ENOMEM;
    }
    s->groups.n = 0;
    for (size_t i = 0; i < listed->n + asked->n; i++) {
        const char *name = i < listed->n ? listed->v[i] : asked->v[i - listed->n].group;
        bool known = false;
        for (size_t k = 0; k < s->groups.n; k++) {
            known = known || strcmp(s->groups.v[k], name) == 0;
        }
        if (!known && !(s->groups.v[s->groups.n] = strdup(name))) {
            return -ENOMEM;
        }
        s->groups.n += !known;
    }
    return 0;
}

static int prepare(struct nk_service *s, const struct nk_conf *ini,
                   const struct relay_daemon_opts *conf, struct relay_endpoint_session *out,
                   struct nk_diag *diag)
{
    const struct relay_endpoint_plan plan = {.conf = &conf->common,
                                             .groups = (const char *const *)s->groups.v,
                                             .ngroups = s->groups.n,
                                             .reconnect = true,
                                             .doubt = RELAY_CLIENT_DOUBT_DROPS,
                                             .owner = s};
    s->globals = (struct nk_globals){.state_dir = (char *)(uintptr_t)nk_app_state_dir(s->args.app)};
    s->ctx =
        (struct nk_cmd_ctx){.globals = &s->globals, .ini = ini, .log = nk_app_log(s->args.app)};
    int rc = relay_endpoint_prepare(out, &s->ctx, &plan);
    if (rc < 0) {
        *diag = s->ctx.diag;
        if (!diag->text[0]) {
            nk_fail_sys(diag, rc, "endpoint");
        }
    }
    out->client_conf.buffer_bytes = (size_t)conf->buffer;
    if (conf->common.retry_ms == 0) {
        out->client_conf.retry_ms = UINT64_MAX; /* until it works */
    }
    return rc;
}

static void on_accept(void *owner, struct nk_listener *l, struct nk_stream *take_s)
{
    struct nk_service *s = owner;
    (void)l;
    daemon_conn_accept(&s->daemon, take_s);
}

static int open_socket(struct nk_service *s, struct nk_diag *diag)
{
    int fd;
    int rc = nk_control_bind(s->path, &fd, diag);
    return rc < 0 ? rc : nk_listener_from_fd(s->args.app, fd, on_accept, s, &s->listener, diag);
}

static void on_end(void *owner, int status, const struct nk_diag *why)
{
    struct nk_service *s = owner;
    s->args.on_end(s->args.owner, status, why);
}

static void on_stop(void *owner)
{
    struct nk_service *s = owner;
    relay_daemon_drain(&s->daemon);
}

static struct relay_local_limits limits_of(const struct relay_daemon_opts *conf)
{
    return (struct relay_local_limits){.max_items = (uint64_t)conf->queue_items,
                                       .max_bytes = conf->queue_bytes};
}

static int open_daemon(struct nk_service *s, const struct relay_endpoint_dest *asked,
                       struct nk_diag *diag)
{
    const struct relay_daemon_opts *conf = s->args.conf;
    struct relay_daemon_conf d = {.app = s->args.app,
                                  .name = s->name,
                                  .client = &s->session.client_conf,
                                  .limits = limits_of(conf),
                                  .on_end = on_end,
                                  .on_stop = on_stop,
                                  .owner = s};
    int rc = relay_daemon_open(&s->daemon, &d);
    if (rc < 0) {
        return nk_fail_sys(diag, rc, "endpoint");
    }
    return asked->n > 0 ? daemon_notify(&s->daemon, asked, diag) : 0;
}

static void daemon_close(struct nk_service *s)
{
    nk_listener_close(s->listener);
    nk_app_defer_cancel(s->args.app, &s->ready);
    relay_daemon_close(&s->daemon);
    relay_endpoint_stop(&s->session);
    free_groups(&s->groups);
    if (s->path[0]) {
        (void)unlink(s->path);
    }
    if (s->lock >= 0) {
        close(s->lock);
    }
    free(s);
}

static int start_all(struct nk_service *s, struct nk_diag *diag)
{
    const struct relay_daemon_opts *conf = s->args.conf;
    const char *name = s->args.name ? s->args.name : conf->name ? conf->name : RELAY_DAEMON_NAME;
    struct relay_endpoint_dest asked = {0};
    int rc = relay_daemon_name_check(name, diag);
    if (rc < 0) {
        return rc;
    }
    memcpy(s->name, name, strlen(name) + 1);
    rc = relay_endpoint_groups_check(&conf->group, diag);
    rc = rc < 0 || conf->notify.n == 0
             ? rc
             : relay_endpoint_dest_parse((const char *const *)conf->notify.v, conf->notify.n, 1, 1,
                                         NOTIFY_MAX, &asked, diag);
    if (rc == 0 && copy_groups(s, &conf->group, &asked) < 0) {
        rc = nk_fail_sys(diag, -ENOMEM, "endpoint");
    }
    rc = rc < 0 ? rc : take_lock(s, diag);
    rc = rc < 0 ? rc : prepare(s, s->args.ini, conf, &s->session, diag);
    rc = rc < 0 ? rc : open_daemon(s, &asked, diag);
    rc = rc < 0 ? rc : open_socket(s, diag);
    relay_endpoint_dest_clear(&asked);
    return rc;
}

static void on_ready(void *owner)
{
    struct nk_service *s = owner;
    s->args.on_ready(s->args.owner);
}

static int daemon_start(const struct nk_service_args *args, struct nk_service **out,
                        struct nk_diag *diag)
{
    struct nk_service *s = calloc(1, sizeof(*s));
    if (!s) {
        return nk_fail_sys(diag, -ENOMEM, "endpoint");
    }
    s->args = *args;
    s->lock = -1;
    s->ready = (struct nk_defer){.fn = on_ready, .owner = s};
    int rc = start_all(s, diag);
    if (rc < 0) {
        daemon_close(s);
        return rc;
    }
    nk_info(nk_app_log(args->app), "relay", "endpoint %s: commands use %s", s->name, s->path);
    nk_app_defer(args->app, &s->ready);
    *out = s;
    return 0;
}

/* --- later ------------------------------------------------------------------------------------ */

static void daemon_drain(struct nk_service *s)
{
    nk_listener_close(s->listener);
    s->listener = NULL;
    relay_daemon_drain(&s->daemon);
}

/* Limits at once; password and certificates for the next connection; the rest takes a restart. */
static int daemon_reload(struct nk_service *s, const void *conf, const struct nk_conf *ini,
                         struct nk_diag *diag)
{
    const struct relay_daemon_opts *fresh = conf;
    struct relay_endpoint_session next = {0};
    int rc = prepare(s, ini, fresh, &next, diag);
    if (rc == 0) {
        struct nk_secret password = s->session.password;
        struct tls_creds *creds = s->session.creds;
        s->session.password = next.password;
        s->session.creds = next.creds;
        next.password = password;
        next.creds = creds;
        struct relay_local_limits limits = limits_of(fresh);
        relay_daemon_limit(&s->daemon, &limits);
        s->args.conf = fresh;
    }
    relay_endpoint_stop(&next);
    return rc;
}

static void daemon_status(const struct nk_service *s, struct nk_json *out)
{
    relay_daemon_status(&s->daemon, out);
}

const struct nk_service_type relay_daemon_service = {
    .section = RELAY_DAEMON_SECTION,
    .start = daemon_start,
    .drain = daemon_drain,
    .reload = daemon_reload,
    .status = daemon_status,
    .close = daemon_close,
};
