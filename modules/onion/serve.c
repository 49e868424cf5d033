/* SPDX-License-Identifier: MIT */
#include "onion/serve.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cli.h"
#include "core/app.h"
#include "core/control.h"
#include "core/timer.h"
#include "onion/detached.h"
#include "onion/host.h"

enum { OUTPUT_MAX = 1 << 20 }; /* bytes of what is printed at the start */

const char *const onion_wait_names[] = {"none", "first", "all", NULL};

struct nk_service {
    struct nk_service_args args;
    struct onion_serve_conf own; /* for good, but for its lists: a reload replaces the section's */
    const struct onion_serve_conf *conf;
    char key[NK_PATH_MAX]; /* the default of [onion NAME] */
    struct onion_plan plan;
    struct onion_gate gate;     /* of [onion NAME], unless its directory is tor's */
    struct onion_clients fixed; /* the clients that its section names */
    struct onion_host host;
    struct tor_progress progress;
    struct nk_timer timeout;
    struct nk_defer ready, end;
    struct nk_diag why;
    int status;
    int lock;       /* of the folder of one with a name, or -1 */
    bool reached;   /* on_ready was told, or is about to be */
    bool timed_out; /* it is taken away, and then that is the result */
};

/* --- what it tells ---------------------------------------------------------------------------- */

static int put_text(const struct nk_service *s, struct nk_buf *out)
{
    int rc = s->plan.address[0] != '\0' ? nk_buf_printf(out, "%s\n", s->plan.address) : 0;
    return rc < 0 ? rc : onion_new_clients_print(&s->plan.new_clients, out);
}

static int put_json(const struct nk_service *s, struct nk_buf *out)
{
    struct nk_json j;
    nk_json_init(&j, out, false);
    nk_json_object(&j);
    onion_service_json(s->host.service, &j);
    nk_json_close(&j);
    int rc = nk_json_end(&j);
    return rc < 0 ? rc : nk_buf_puts(out, "\n");
}

static int print(const struct nk_service *s, struct nk_diag *diag)
{
    struct nk_buf out;
    if (!s->conf->globals) {
        return 0;
    }
    nk_buf_init(&out, OUTPUT_MAX);
    int rc = s->conf->globals->json ? put_json(s, &out) : put_text(s, &out);
    rc = rc < 0 ? nk_fail_sys(diag, rc, "the output") : 0;
    if (rc == 0) {
        nk_cli_print(&out);
        rc = nk_cli_flush(diag);
    }
    nk_buf_clear(&out);
    return rc;
}

static void tell_progress(struct nk_service *s)
{
    unsigned done, total;
    char summary[64];
    if (!s->conf->globals || s->reached || !s->host.service) {
        return;
    }
    onion_upload_progress(onion_service_upload(s->host.service), &done, &total);
    (void)snprintf(summary, sizeof(summary), "%u of %u directories have answered", done, total);
    const struct tor_step step = {
        .phase = "descriptors",
        .percent = total ? done * 100 / total : 0,
        .tag = onion_service_state_name(s->host.service),
        .summary = total                                                   ? summary
                   : onion_service_state(s->host.service) == ONION_OFFLINE ? "connecting to tor"
                   : onion_service_state(s->host.service) == ONION_UPLOADING
                       ? "tor has the service"
                       : "the service is being added",
    };
    tor_progress_step(&s->progress, &step);
}

/* --- its end ---------------------------------------------------------------------------------- */

static void end(struct nk_service *s, int status, const struct nk_diag *why)
{
    nk_timer_stop(&s->timeout);
    tor_progress_clean(&s->progress);
    s->status = status;
    if (why) {
        s->why = *why;
    }
    nk_app_defer(s->args.app, &s->end);
}

static void on_end(void *owner)
{
    struct nk_service *s = owner;
    s->args.on_end(s->args.owner, s->status, s->status < 0 ? &s->why : NULL);
}

static void on_onion_end(void *owner, int err, const struct nk_diag *why)
{
    struct nk_service *s = owner;
    if (s->timed_out) {
        end(s, s->why.code, NULL);
    } else if (err == -ECONNREFUSED && s->plan.spec.detach) {
        struct nk_diag diag = *why;
        nk_hint(&diag, "a detached service needs a tor that runs and stays; without --detach one "
                       "is started");
        end(s, err, &diag);
    } else {
        end(s, err, why);
    }
}

static void on_timeout(void *owner)
{
    struct nk_service *s = owner;
    unsigned done = 0, total = 0;
    if (s->host.service) {
        onion_upload_progress(onion_service_upload(s->host.service), &done, &total);
    }
    (void)nk_fail(&s->why, -ETIMEDOUT,
                  "the service was not published in time: it is %s, and %u of %u directories have "
                  "answered",
                  s->host.service ? onion_service_state_name(s->host.service) : "without a tor",
                  done, total);
    s->timed_out = true;
    onion_host_drain(&s->host);
}

static void on_bootstrap(void *owner, const struct tor_bootstrap *at)
{
    struct nk_service *s = owner;
    if (s->conf->globals) {
        tor_progress_bootstrap(&s->progress, at);
    }
}

/* --- what stays of one that has a name -------------------------------------------------------- */

static int folder(const struct nk_service *s, char dir[NK_PATH_MAX])
{
    const char *state = nk_app_state_dir(s->args.app);
    return state ? nk_service_dir(dir, NK_PATH_MAX, state, ONION_SECTION, s->args.name) : -ENOENT;
}

/* Nobody else has it, as long as we run. */
static int take_folder(struct nk_service *s, struct nk_diag *diag)
{
    char dir[NK_PATH_MAX], path[NK_PATH_MAX];
    if (!s->args.name) {
        return 0;
    }
    int rc = folder(s, dir);
    rc = rc < 0 ? rc : nk_path_join(path, sizeof(path), dir, ONION_LOCK_FILE);
    rc = rc < 0 ? nk_fail_sys(diag, rc, "the service's folder in the state directory")
                : nk_mkdirs(dir, diag);
    return rc < 0 ? rc : nk_lock_open(path, &s->lock, diag);
}

/* Clients for whom keys were made belong to the service, not to this run of it. */
static int keep(struct nk_service *s, struct nk_diag *diag)
{
    char dir[NK_PATH_MAX];
    int rc = s->args.name ? folder(s, dir) : 0;
    for (size_t i = 0; rc == 0 && s->gate.app && i < s->plan.new_clients.n; i++) {
        const struct onion_new_client *c = &s->plan.new_clients.v[i];
        rc = onion_gate_put(&s->gate, c->name, c->key.pub, diag);
        if (rc == 0) {
            onion_clients_drop(&s->fixed, c->key.pub);
        }
    }
    if (rc == 0 && s->args.name && s->plan.spec.detach) {
        rc = onion_detached_write(dir, s->args.name, s->conf, &s->fixed, diag);
    } else if (rc == 0 && s->args.name) {
        onion_detached_forget(dir);
    }
    return rc;
}

/* --- what happens to it ----------------------------------------------------------------------- */

static void on_ready(void *owner)
{
    struct nk_service *s = owner;
    struct nk_diag diag;
    tor_progress_clean(&s->progress);
    int rc = keep(s, &diag);
    rc = rc < 0 ? rc : print(s, &diag);
    if (rc < 0) {
        s->timed_out = true; /* it is taken away */
        s->plan.spec.detach = false;
        s->why = diag;
        onion_host_drain(&s->host);
        return;
    }
    s->args.on_ready(s->args.owner);
    if (s->plan.spec.detach) {
        end(s, 0, NULL);
    }
}

static void on_change(void *owner)
{
    struct nk_service *s = owner;
    tell_progress(s);
    if (!s->reached &&
        onion_service_reached(s->host.service, (enum onion_upload_wait)s->conf->onion.wait)) {
        s->reached = true;
        nk_timer_stop(&s->timeout);
        nk_app_defer(s->args.app, &s->ready);
    }
}

/* --- its life --------------------------------------------------------------------------------- */

/* The field of a row that is one text, or NULL. */
static char **text_of(struct onion_serve_conf *c, const struct nk_opt *row)
{
    bool text = nk_opt_is_text(row) && !(row->flags & NK_OPT_REPEAT);
    return text ? (char **)(void *)((char *)c + row->offset) : NULL;
}

static void drop_texts(struct onion_serve_conf *c)
{
    for (const struct nk_opt *row = onion_serve_rows; row->name; row++) {
        char **text = text_of(c, row);
        if (text) {
            free(*text);
            *text = NULL;
        }
    }
}

/* *to is dropped by the caller in any case. */
static int copy_texts(struct onion_serve_conf *to, const struct onion_serve_conf *from)
{
    struct onion_serve_conf old = *from;
    int rc = 0;
    *to = old;
    for (const struct nk_opt *row = onion_serve_rows; row->name; row++) {
        char **text = text_of(to, row), **have = text_of(&old, row);
        if (text) {
            *text = rc == 0 && *have ? strdup(*have) : NULL;
            rc = *have && !*text ? -ENOMEM : rc;
        }
    }
    return rc;
}

static void serve_close(struct nk_service *s)
{
    nk_timer_stop(&s->timeout);
    nk_app_defer_cancel(s->args.app, &s->ready);
    nk_app_defer_cancel(s->args.app, &s->end);
    onion_host_close(&s->host);
    tor_progress_clean(&s->progress);
    onion_gate_close(&s->gate);
    onion_clients_clear(&s->fixed);
    onion_plan_clear(&s->plan);
    drop_texts(&s->own);
    if (s->lock >= 0) {
        close(s->lock);
    }
    free(s);
}

/* A service of netkit.ini that names no key keeps the one that it gets at its first start. */
static int default_key(struct nk_service *s, struct onion_conf *c, struct nk_diag *diag)
{
    char dir[NK_PATH_MAX];
    if (c->key || c->hsdir || !s->args.name) {
        return 0;
    }
    int rc = folder(s, dir);
    rc = rc < 0 ? rc : nk_path_join(s->key, sizeof(s->key), dir, ONION_KEY_FILE);
    c->key = s->key;
    return rc < 0 ? nk_fail_sys(diag, rc, "the path of the key") : 0;
}

/* --- who may find it -------------------------------------------------------------------------- */

static int take_clients(struct nk_service *s, struct nk_diag *diag)
{
    struct onion_clients now = {0};
    int rc = onion_clients_join(&now, &s->gate.clients, diag);
    if (rc < 0) {
        onion_clients_clear(&now);
        return rc;
    }
    onion_clients_clear(&s->plan.clients);
    s->plan.clients = now;
    onion_clients_spec(&s->plan.clients, &s->plan.spec);
    return 0;
}

static void on_clients(void *owner)
{
    struct nk_service *s = owner;
    struct nk_diag diag;
    if (take_clients(s, &diag) < 0) {
        nk_log_diag(nk_app_log(s->args.app), "onion", NK_LOG_ERROR, &diag);
    } else if (s->host.service) {
        onion_service_again(s->host.service);
    }
}

/* What the section's directory of clients adds to those that it names. */
static int open_gate(struct nk_service *s, struct nk_diag *diag)
{
    char dir[NK_PATH_MAX];
    if (!s->args.name || s->conf->onion.hsdir) {
        return 0;
    }
    s->fixed = s->plan.clients;
    s->plan.clients = (struct onion_clients){0};
    int rc = folder(s, dir);
    rc = rc < 0 ? nk_fail_sys(diag, rc, "the service's folder") : 0;
    rc = rc < 0 ? rc
                : onion_gate_open(&s->gate, s->args.app, &s->conf->gate, &s->fixed, dir, on_clients,
                                  s, diag);
    rc = rc < 0 ? rc : take_clients(s, diag);
    return rc < 0 || !s->conf->onion.probe_ms || !s->plan.spec.restricted
               ? rc
               : nk_fail(diag, NK_ECONFIG,
                         "a service that is restricted to clients cannot be probed, as the probe "
                         "is none of them");
}

static void run_clients(struct nk_service *s, struct nk_control_call *call, size_t n,
                        char *const *words)
{
    struct nk_diag diag;
    if (s->gate.app) {
        onion_gate_verb(&s->gate, call, n, words);
        return;
    }
    (void)nk_fail(&diag, NK_EUSAGE, "the clients of a service in a directory of tor are files");
    nk_hint(&diag, "'netkit hs auth --dir %s', then 'netkit hs apply'", s->conf->onion.hsdir);
    nk_control_done(call, NK_EUSAGE, &diag);
}

/* A reload changes who may find it, and nothing else. */
static int serve_reload(struct nk_service *s, const void *conf, const struct nk_conf *ini,
                        struct nk_diag *diag)
{
    const struct onion_serve_conf *c = conf;
    char dir[NK_PATH_MAX];
    int rc = s->gate.app ? folder(s, dir) : 0;
    (void)ini;
    if (rc < 0) {
        return nk_fail_sys(diag, rc, "the service's folder");
    }
    if (!s->gate.app) {
        return 0;
    }
    const struct onion_gate_conf old = s->own.gate,
                                 fresh = {.enabled = c->gate.enabled,
                                          .dir = c->gate.dir ? strdup(c->gate.dir) : NULL};
    if (c->gate.dir && !fresh.dir) {
        return nk_fail(diag, -ENOMEM, "out of memory");
    }
    s->own.gate = fresh;
    rc = onion_gate_reload(&s->gate, &s->own.gate, &s->fixed, dir, diag);
    if (rc < 0) {
        s->own.gate = old;
    }
    free(rc < 0 ? fresh.dir : old.dir);
    return rc;
}

/* One that is left to tor needs a tor that goes on without us. */
static int check_detach(struct nk_service *s, struct nk_diag *diag)
{
    struct onion_serve_conf *c = &s->own;
    if (!c->onion.detach) {
        return 0;
    }
    if (c->tor.kind != TOR_AUTO && c->tor.kind != TOR_SYSTEM) {
        nk_fail(diag, NK_EUSAGE,
                "a detached service needs a tor that stays: one that netkit starts (--tor %s) ends "
                "when nobody uses it",
                tor_kind_names[c->tor.kind]);
        nk_hint(diag, "leave --detach out, and this command holds the service");
        return NK_EUSAGE;
    }
    c->tor.kind = TOR_SYSTEM;
    return 0;
}

static int begin(struct nk_service *s, struct nk_diag *diag)
{
    struct onion_conf onion = s->conf->onion;
    const struct onion_host_conf conf = {.app = s->args.app,
                                         .tor = &s->conf->tor,
                                         .plan = &s->plan,
                                         .probe_ms = onion.probe_ms,
                                         .patient = !s->conf->globals,
                                         .on_progress = on_bootstrap,
                                         .on_change = on_change,
                                         .on_end = on_onion_end,
                                         .owner = s};
    int rc = check_detach(s, diag);
    rc = rc < 0 ? rc : take_folder(s, diag);
    rc = rc < 0 ? rc : default_key(s, &onion, diag);
    rc = rc < 0 ? rc : onion_plan_init(&s->plan, &onion, nk_app_log(s->args.app), diag);
    rc = rc < 0 ? rc : open_gate(s, diag);
    return rc < 0 ? rc : onion_host_open(&s->host, &conf, diag);
}

static int serve_start(const struct nk_service_args *args, struct nk_service **out,
                       struct nk_diag *diag)
{
    struct nk_service *s = calloc(1, sizeof(*s));
    if (!s) {
        return nk_fail(diag, -ENOMEM, "out of memory");
    }
    s->args = *args;
    s->conf = &s->own;
    s->lock = -1;
    s->ready = (struct nk_defer){.fn = on_ready, .owner = s};
    s->end = (struct nk_defer){.fn = on_end, .owner = s};
    nk_timer_init(&s->timeout, args->app, on_timeout, s);
    int rc = copy_texts(&s->own, args->conf);
    if (s->conf->globals) {
        tor_progress_open(&s->progress, s->conf->globals);
    }
    rc = rc < 0 ? nk_fail_sys(diag, rc, "a service") : begin(s, diag);
    if (rc < 0) {
        serve_close(s);
        return rc;
    }
    if (s->conf->globals && s->conf->globals->timeout_ms) {
        nk_timer_start(&s->timeout, s->conf->globals->timeout_ms);
    }
    *out = s;
    return 0;
}

static void serve_drain(struct nk_service *s)
{
    nk_timer_stop(&s->timeout);
    onion_host_drain(&s->host);
}

static void serve_status(const struct nk_service *s, struct nk_json *out)
{
    if (s->host.service) {
        onion_service_json(s->host.service, out);
    } else {
        onion_plan_json(&s->plan, out);
    }
}

static const struct nk_service_verb verbs[] = {{"clients", run_clients}, {NULL, NULL}};

const struct nk_service_type onion_serve_type = {
    .section = ONION_SECTION,
    .start = serve_start,
    .drain = serve_drain,
    .reload = serve_reload,
    .verbs = verbs,
    .status = serve_status,
    .close = serve_close,
};

const struct nk_service_type onion_add_type = {
    .section = ONION_SECTION,
    .start = serve_start,
    .drain = serve_drain,
    .status = serve_status,
    .close = serve_close,
};
