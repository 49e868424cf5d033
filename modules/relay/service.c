/* SPDX-License-Identifier: MIT */
/* The relay as a service: configuration, credentials, listeners; the rest is the hub's. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/app.h"
#include "core/control.h"
#include "core/files.h"
#include "core/listener.h"
#include "core/registry.h"
#include "core/resolve.h"
#include "core/work.h"
#include "relay/access.h"
#include "relay/admin.h"
#include "relay/admin_purge.h"
#include "relay/credentials.h"
#include "relay/hub.h"
#include "relay/service_engine.h"
#include "relay/service_groups.h"
#include "tls/tls.h"

enum { ADDRESS_TEXT = 256 };

struct nk_service {
    struct nk_service_args args;
    const struct relay_conf *conf; /* both: in force */
    const struct nk_conf *ini;
    struct relay_credential_paths paths;
    struct tls_creds *creds; /* NULL: connection = TCP */
    struct relay_login *login;
    struct relay_groups *groups;
    struct relay_engine *engine;
    struct relay_hub *hub;
    struct relay_purger *purger;
    struct nk_listener **listener;
    size_t nlisteners;
    struct nk_defer ready;
    struct relay_memory memory;
    struct relay_publishers publishers;
    struct nk_work *stretching; /* after a reload */
    int lock;                   /* fd, or -1 */
    bool ended;                 /* and said so */
};

static struct nk_log *log_of(const struct nk_service *s)
{
    return nk_app_log(s->args.app);
}

/* --- where to listen -------------------------------------------------------------------------- */

static int refuse_plain(const char *text, struct nk_diag *diag)
{
    nk_fail(diag, NK_ECONFIG,
            "relay: '%s' is reachable from other machines, and connection = TCP is "
            "not encrypted",
            text);
    nk_hint(diag, "use connection = TLS, listen on 127.0.0.1, or say allow_plain = yes");
    return NK_ECONFIG;
}

/* The transport alone: TLS is the relay's own, and plain TCP stays on this machine. */
static int check_listen(const struct relay_conf *conf, const char *text, struct nk_diag *diag)
{
    struct nk_ep_text t;
    int rc = nk_ep_text_parse(&t, text, diag);
    for (size_t i = 0; rc == 0 && i < t.layers; i++) {
        if (strcmp(t.scheme[i], "tls") == 0) {
            rc = nk_fail(diag, NK_ECONFIG,
                         "relay: 'listen' names a transport only: the relay adds TLS "
                         "itself (connection = TLS, with cert and key)");
        }
    }
    if (rc == 0 && conf->connection == RELAY_TCP && !conf->allow_plain &&
        strcmp(t.scheme[t.layers - 1], "tcp") == 0 && !nk_resolve_body_is_local(t.body)) {
        rc = refuse_plain(text, diag);
    }
    nk_ep_text_clear(&t);
    return rc;
}

static int check_conf(const struct relay_conf *conf, struct nk_diag *diag)
{
    if (conf->listen.n == 0) {
        return nk_fail(diag, NK_ECONFIG, "relay: 'listen' is empty");
    }
    if (conf->client_ca && conf->connection != RELAY_TLS) {
        return nk_fail(diag, NK_ECONFIG, "relay: 'client_ca' needs connection = TLS");
    }
    if (conf->client_cert == RELAY_CLIENT_CERT_OPTIONAL && !conf->client_ca) {
        return nk_fail(diag, NK_ECONFIG, "relay: 'client_cert' is about client_ca");
    }
    if (conf->ping_timeout <= conf->ping_interval) {
        return nk_fail(diag, NK_ECONFIG,
                       "relay: 'ping_timeout' must be longer than 'ping_interval'");
    }
    for (size_t i = 0; i < conf->listen.n; i++) {
        int rc = check_listen(conf, conf->listen.v[i], diag);
        if (rc < 0) {
            return rc;
        }
    }
    return relay_service_engine_check(conf, diag);
}

static void on_accept(void *owner, struct nk_listener *l, struct nk_stream *take_s)
{
    struct nk_service *s = owner;
    struct nk_stream *stream = take_s;
    (void)l;
    if (s->creds) {
        struct nk_diag diag = {0};
        if (tls_wrap_server(s->args.app, s->creds, take_s, &stream, &diag) < 0) {
            nk_warn(log_of(s), "relay", "a connection could not be taken: %s", diag.text);
            return;
        }
    }
    relay_hub_accept(s->hub, stream, s->creds != NULL);
}

static int listen_on(struct nk_service *s, const char *text, struct nk_listener **out,
                     struct nk_diag *diag)
{
    const struct relay_conf *first = s->args.conf; /* what takes a restart is as it says */
    struct nk_endpoint *ep;
    struct nk_listener *l;
    char where[ADDRESS_TEXT];
    int rc = nk_endpoint_parse(text, NK_EP_LISTEN, &ep, diag);
    if (rc < 0) {
        return rc;
    }
    rc = nk_listen(s->args.app, ep, on_accept, s, &l, diag);
    nk_endpoint_free(ep);
    if (rc < 0) {
        return rc;
    }
    if (nk_listener_local(l, where, sizeof(where)) < 0) {
        nk_info(log_of(s), "relay", "listening on %s", text);
        *out = l;
        return 0;
    }
    /* an inherited descriptor shows its address only now */
    if (!s->creds && !first->allow_plain && strncmp(where, "tcp:", 4) == 0 &&
        !nk_resolve_body_is_local(where + 4)) {
        nk_listener_close(l);
        return refuse_plain(text, diag);
    }
    nk_info(log_of(s), "relay", "listening on %s (%s)", where, s->creds ? "TLS" : "plain");
    *out = l;
    return 0;
}

/* --- start ------------------------------------------------------------------------------------ */

static int take_lock(struct nk_service *s, struct nk_diag *diag)
{
    char dir[NK_PATH_MAX], path[NK_PATH_MAX];
    const char *state = nk_app_state_dir(s->args.app);
    if (!state) {
        return 0; /* nothing of ours lies anywhere */
    }
    if (nk_path_join(dir, sizeof(dir), state, "relay") < 0 ||
        nk_path_join(path, sizeof(path), dir, "lock") < 0) {
        return nk_fail(diag, NK_ETOOBIG, "path too long: %s", state);
    }
    int rc = nk_mkdirs(dir, diag);
    return rc < 0 ? rc : nk_lock_open(path, &s->lock, diag);
}

/* Nothing is created before all that the configuration names has been found to be right. */
/* Who may log in, by this configuration; its passwords are not stretched yet. */
static int load_login(const struct nk_service *s, const struct relay_conf *conf,
                      const struct nk_conf *ini, const struct tls_creds *creds,
                      struct nk_secret *take_password, struct relay_login **out,
                      struct nk_diag *diag)
{
    uint8_t spki[TLS_HASH];
    struct relay_access_conf access = {
        .ini = ini, .certificates = conf->client_ca != NULL, .log = log_of(s)};
    if (creds && tls_creds_hash(creds, NULL, spki) == 0) {
        access.relay_key = spki;
    } else if (s->login) {
        access.params = relay_identities_params(s->login->identities);
    }
    return relay_access_load(out, &access, take_password, diag);
}

/* At the start nothing else is served, and threads must not be there before the sandbox is. */
static int open_login(struct nk_service *s, struct nk_secret *take_password, struct nk_diag *diag)
{
    int rc = load_login(s, s->conf, s->ini, s->creds, take_password, &s->login, diag);
    if (rc == 0 && (rc = relay_identities_stretch(s->login->identities)) < 0) {
        nk_fail_sys(diag, rc, "relay: stretching passwords");
    }
    return rc;
}

static int open_credentials(struct nk_service *s, struct nk_diag *diag)
{
    bool tls = s->conf->connection == RELAY_TLS;
    struct nk_secret password = {0};
    const struct relay_access_conf access = {.ini = s->ini,
                                             .certificates = s->conf->client_ca != NULL};
    int rc = relay_credentials_find(&s->paths, s->conf, nk_app_state_dir(s->args.app), diag);
    rc = rc < 0 ? rc : relay_access_check(&access, diag);
    rc = rc < 0 ? rc : relay_credentials_given(&s->paths, s->conf, log_of(s), &password, diag);
    rc = rc < 0 ? rc : take_lock(s, diag);
    rc = rc < 0 ? rc : relay_credentials_create(&s->paths, tls, s->args.app, diag);
    if (rc == 0 && tls) {
        rc = relay_credentials_tls(&s->paths, s->conf, s->args.app, &s->creds, diag);
    }
    if (rc == 0 && s->paths.own_password) {
        rc = relay_credentials_password(&s->paths, log_of(s), &password, diag);
    }
    rc = rc < 0 ? rc : open_login(s, &password, diag);
    nk_secret_clear(&password);
    return rc;
}

static struct relay_service_groups groups_now(const struct nk_service *s)
{
    return (struct relay_service_groups){.conf = s->conf, .ini = s->ini, .log = log_of(s)};
}

static void on_drained(void *owner)
{
    struct nk_service *s = owner;
    if (!s->ended) {
        s->ended = true;
        s->args.on_end(s->args.owner, 0, NULL);
    }
}

/* The disk failed. What was not acknowledged yet never will be: whoever sent it sends it again. */
static void on_fatal(void *owner, int code)
{
    struct nk_service *s = owner;
    struct nk_diag diag;
    if (!s->ended) {
        s->ended = true;
        nk_fail(&diag, -EIO, "relay: the log cannot be written any more: %s", nk_strerror(code));
        s->args.on_end(s->args.owner, diag.code, &diag);
    }
}

static int open_hub(struct nk_service *s, struct nk_diag *diag)
{
    const struct relay_conf *c = s->conf;
    struct relay_hub_conf conf = {
        .app = s->args.app,
        .name = s->args.name,
        .limits = {.header_size = (unsigned)c->header_size,
                   .max_object = c->max_object,
                   .max_memory = c->max_memory,
                   .max_backlog = c->max_backlog,
                   .max_connections = (size_t)c->max_connections,
                   .max_guests = (size_t)c->max_guests,
                   .hello_ms = c->hello_timeout,
                   .ping_ms = c->ping_interval,
                   .dead_ms = c->ping_timeout,
                   .stall_ms = c->stall_timeout,
                   .grace_ms = c->session_grace},
        .wires = (enum relay_wires)c->wire,
        .login = s->login,
        .groups = s->groups,
        .memory = &s->memory,
        .publishers = &s->publishers,
        .on_drained = on_drained,
        .owner = s,
    };
    const struct relay_service_engine engine = {.app = s->args.app,
                                                .conf = c,
                                                .groups = s->groups,
                                                .memory = &s->memory,
                                                .publishers = &s->publishers,
                                                .fatal = on_fatal,
                                                .owner = s};
    int rc = relay_service_engine_open(&engine, &s->engine, diag);
    if (rc < 0) {
        return rc;
    }
    conf.engine = s->engine;
    rc = relay_hub_new(&s->hub, &conf);
    rc = rc < 0 ? rc : relay_purger_new(s->engine, s->groups, log_of(s), &s->purger);
    return rc < 0 ? nk_fail_sys(diag, rc, "relay") : 0;
}

/* How often text stands among the first n of a list. */
static size_t occurrences(const struct nk_strlist *list, size_t n, const char *text)
{
    size_t count = 0;
    for (size_t i = 0; i < n; i++) {
        count += strcmp(list->v[i], text) == 0;
    }
    return count;
}

/* The listener that has been open for entry i of a new list, or NULL. */
static struct nk_listener *open_already(const struct nk_service *s, const struct nk_strlist *list,
                                        size_t i)
{
    size_t before = occurrences(list, i, list->v[i]);
    for (size_t k = 0; k < s->nlisteners; k++) {
        if (strcmp(s->conf->listen.v[k], list->v[i]) == 0 &&
            occurrences(&s->conf->listen, k, list->v[i]) == before) {
            return s->listener[k];
        }
    }
    return NULL;
}

/* Close those of v that are not in keep as well. */
static void close_others(struct nk_listener *const *v, size_t n, struct nk_listener *const *keep,
                         size_t nkeep)
{
    for (size_t i = 0; i < n; i++) {
        size_t k = 0;
        while (k < nkeep && keep[k] != v[i]) {
            k++;
        }
        if (k == nkeep) {
            nk_listener_close(v[i]);
        }
    }
}

/* A listener for each text; *out is an array to free. Those that are open already are taken over,
 * and stay open on failure. */
static int open_listeners(struct nk_service *s, const struct nk_strlist *list,
                          struct nk_listener ***out, struct nk_diag *diag)
{
    struct nk_listener **v = calloc(list->n, sizeof(struct nk_listener *));
    if (!v) {
        return nk_fail_sys(diag, -ENOMEM, "relay");
    }
    for (size_t i = 0; i < list->n; i++) {
        v[i] = open_already(s, list, i);
        int rc = v[i] ? 0 : listen_on(s, list->v[i], &v[i], diag);
        if (rc < 0) {
            close_others(v, i, s->listener, s->nlisteners);
            free(v);
            return rc;
        }
    }
    *out = v;
    return 0;
}

/* From now on these; take_v may be NULL with n = 0. */
static void set_listeners(struct nk_service *s, struct nk_listener **take_v, size_t n)
{
    close_others(s->listener, s->nlisteners, take_v, n);
    free(s->listener);
    s->listener = take_v;
    s->nlisteners = n;
}

/* Where the new configuration listens, as far as it can be in force: with the encryption that this
 * process was started with. */
static int reload_listeners(struct nk_service *s, const struct relay_conf *conf,
                            struct nk_listener ***out, struct nk_diag *diag)
{
    const struct relay_conf *first = s->args.conf;
    struct relay_conf now = *conf;
    int rc = check_conf(conf, diag);
    now.connection = first->connection;
    now.allow_plain = first->allow_plain;
    for (size_t i = 0; rc == 0 && i < now.listen.n; i++) {
        rc = check_listen(&now, now.listen.v[i], diag);
    }
    return rc < 0 ? rc : open_listeners(s, &now.listen, out, diag);
}

static void relay_close(struct nk_service *s)
{
    set_listeners(s, NULL, 0);
    nk_app_defer_cancel(s->args.app, &s->ready);
    nk_work_cancel(s->stretching);
    relay_hub_free(s->hub);
    relay_purger_free(s->purger);
    relay_engine_free(s->engine);
    relay_groups_free(s->groups);
    relay_memory_trim(&s->memory);
    relay_publishers_clear(&s->publishers);
    relay_login_unref(s->login);
    tls_creds_unref(s->creds);
    if (s->lock >= 0) {
        close(s->lock);
    }
    free(s);
}

static void on_ready(void *owner)
{
    struct nk_service *s = owner;
    (void)nk_files_tell(log_of(s), NK_LOG_WARN, "relay", "max_connections",
                        (uint64_t)s->conf->max_connections, 1);
    s->args.on_ready(s->args.owner);
}

static int relay_start(const struct nk_service_args *args, struct nk_service **out,
                       struct nk_diag *diag)
{
    struct nk_service *s = calloc(1, sizeof(*s));
    if (!s) {
        return nk_fail_sys(diag, -ENOMEM, "relay");
    }
    s->args = *args;
    s->conf = args->conf;
    s->ini = args->ini;
    s->lock = -1;
    s->ready = (struct nk_defer){.fn = on_ready, .owner = s};
    struct nk_listener **listeners = NULL;
    int rc = check_conf(s->conf, diag);
    const struct relay_service_groups groups = groups_now(s);
    rc = rc < 0 ? rc : relay_service_groups_open(&groups, &s->groups, diag);
    rc = rc < 0 ? rc : open_credentials(s, diag);
    rc = rc < 0 ? rc : open_hub(s, diag);
    rc = rc < 0 ? rc : open_listeners(s, &s->conf->listen, &listeners, diag);
    if (rc < 0) {
        relay_close(s);
        return rc;
    }
    set_listeners(s, listeners, s->conf->listen.n);
    nk_app_defer(args->app, &s->ready);
    *out = s;
    return 0;
}

/* --- later ------------------------------------------------------------------------------------ */

static void relay_drain(struct nk_service *s)
{
    set_listeners(s, NULL, 0);
    relay_hub_drain(s->hub);
}

static void use_login(struct nk_service *s, struct relay_login *take_login)
{
    relay_hub_set_login(s->hub, take_login);
    relay_login_unref(s->login);
    s->login = take_login;
}

/* New passwords of a reload are stretched in the crypto lane; until that is done the old ones hold.
 */
struct stretching {
    struct nk_service *service; /* looked at on the loop only */
    struct relay_login *login;
    int status;
};

static void stretching_run(void *job)
{
    struct stretching *j = job;
    j->status = relay_identities_stretch(j->login->identities);
}

static void stretching_done(void *job)
{
    struct stretching *j = job;
    j->service->stretching = NULL;
    if (j->status < 0) {
        nk_error(log_of(j->service), "relay", "the new passwords are not in force: %s",
                 nk_strerror(j->status));
        return;
    }
    use_login(j->service, j->login);
    j->login = NULL;
}

static void stretching_drop(void *job)
{
    struct stretching *j = job;
    relay_login_unref(j->login);
    free(j);
}

/* take_login is in force soon: at once when there is nothing to compute. */
static int change_login(struct nk_service *s, struct relay_login *take_login)
{
    static const struct nk_work_ops ops = {
        .run = stretching_run, .done = stretching_done, .drop = stretching_drop};
    nk_work_cancel(s->stretching); /* of a reload before this one */
    s->stretching = NULL;
    if (relay_identities_adopt(take_login->identities, s->login->identities) == 0) {
        use_login(s, take_login);
        return 0;
    }
    struct stretching *j = calloc(1, sizeof(*j));
    if (!j) {
        return -ENOMEM;
    }
    *j = (struct stretching){.service = s, .login = take_login};
    int rc = nk_work_submit(s->args.app, NK_LANE_CRYPTO, &ops, j, &s->stretching);
    if (rc < 0) {
        free(j);
    }
    return rc;
}

/* Certificates, identities and rules are read again, and groups take their new limits; everything
 * else takes a restart, which the rows' flags say. */
static int relay_reload(struct nk_service *s, const void *conf, const struct nk_conf *ini,
                        struct nk_diag *diag)
{
    const struct relay_conf *new_conf = conf;
    struct relay_credential_paths paths;
    struct nk_secret password = {0};
    int rc = relay_credentials_find(&paths, new_conf, nk_app_state_dir(s->args.app), diag);
    rc = rc < 0 ? rc : relay_credentials_password(&paths, log_of(s), &password, diag);
    struct tls_creds *creds = NULL;
    if (rc == 0 && s->creds) {
        rc = relay_credentials_tls(&paths, new_conf, s->args.app, &creds, diag);
    }
    struct relay_login *login = NULL;
    struct nk_listener **listeners = NULL;
    rc = rc < 0 ? rc : load_login(s, new_conf, ini, creds, &password, &login, diag);
    rc = rc < 0 ? rc : reload_listeners(s, new_conf, &listeners, diag);
    const struct relay_service_groups old = groups_now(s);
    rc = rc < 0 ? rc : relay_service_groups_reload(&old, s->groups, new_conf, ini, diag);
    if (rc == 0 && (rc = change_login(s, login)) < 0) {
        nk_fail_sys(diag, rc, "relay");
    }
    nk_secret_clear(&password);
    if (rc < 0) {
        close_others(listeners, listeners ? new_conf->listen.n : 0, s->listener, s->nlisteners);
        free(listeners);
        relay_login_unref(login);
        tls_creds_unref(creds);
        return rc;
    }
    set_listeners(s, listeners, new_conf->listen.n);
    if (creds) {
        tls_creds_unref(s->creds);
        s->creds = creds;
    }
    s->conf = new_conf;
    s->ini = ini;
    s->paths = paths;
    return 0;
}

static void relay_status(const struct nk_service *s, struct nk_json *out)
{
    nk_json_key(out, "listen");
    nk_json_array(out);
    for (size_t i = 0; i < s->nlisteners; i++) {
        char where[ADDRESS_TEXT];
        nk_json_str(out,
                    nk_listener_local(s->listener[i], where, sizeof(where)) < 0 ? NULL : where);
    }
    nk_json_close(out);
    nk_json_kv_bool(out, "encrypted", s->creds != NULL);
    relay_hub_status(s->hub, out);
    relay_service_engine_status(s->engine, out);
}

/* --- the control socket ----------------------------------------------------------------------- */

static void answer_status(struct nk_service *s, struct nk_control_call *call, size_t n,
                          char *const *words)
{
    struct nk_json j;
    (void)n, (void)words;
    nk_json_init(&j, nk_control_body(call), true);
    nk_json_object(&j);
    relay_status(s, &j);
    nk_json_close(&j);
    int rc = nk_json_end(&j);
    nk_control_done(call, rc < 0 ? rc : nk_buf_u8(nk_control_body(call), '\n'), NULL);
}

static void answer_hub(struct nk_service *s, struct nk_control_call *call, size_t n,
                       char *const *words)
{
    relay_admin_answer(s->hub, call, n, words);
}

static void answer_purge(struct nk_service *s, struct nk_control_call *call, size_t n,
                         char *const *words)
{
    relay_purger_answer(s->purger, call, n, words);
}

static const struct nk_service_verb verbs[] = {{"status", answer_status}, {"groups", answer_hub},
                                               {"endpoints", answer_hub}, {"kick", answer_hub},
                                               {"purge", answer_purge},   {NULL, NULL}};

const struct nk_service_type relay_service = {
    .section = "relay",
    .start = relay_start,
    .drain = relay_drain,
    .reload = relay_reload,
    .status = relay_status,
    .close = relay_close,
    .verbs = verbs,
};
