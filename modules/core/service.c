/* SPDX-License-Identifier: MIT */
/*
 * Every event (ready, ended, signal, drain over) only records itself; `advance`, a deferred call,
 * looks at the whole and acts. Services are closed there, never inside their own callbacks.
 */
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "core/app.h"
#include "core/clock.h"
#include "core/control.h"
#include "core/files.h"
#include "core/notify.h"
#include "core/service.h"
#include "core/service_changes.h"
#include "core/signal.h"
#include "core/timer.h"

#define FOREVER_MS (UINT64_C(1) << 40) /* the longest that a timer takes */
#define STATUS_MAX 4000                /* bytes of the status in the log */

static const int watched[] = {SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGQUIT};
enum { WATCHED = sizeof(watched) / sizeof(watched[0]) };

struct unit {
    struct nk_service_group *group;
    struct nk_service *service; /* NULL: not started, or closed */
    struct nk_control *control; /* of its verbs; NULL: none */
    const void *conf;
    bool ready, ended;
    int status;
};

struct nk_service_group {
    const struct nk_services *conf;
    const struct nk_service_unit *specs;
    struct unit *units;
    size_t n;
    const struct nk_conf *ini;
    struct nk_changes changes; /* of the last reload */
    struct nk_signal *signals[WATCHED];
    struct nk_notify *notify;
    struct nk_timer drain, alive; /* alive: a service may wait for nothing but signals */
    struct nk_defer advance;
    bool ready, draining, over;
    int stop_signal; /* the first of TERM and INT */
    int result;
    struct nk_diag *diag;
};

static struct nk_log *group_log(const struct nk_service_group *g)
{
    return nk_app_log(g->conf->app);
}

/* Say in the diagnostic which one it was, where there are several. */
static void name_unit(const struct nk_service_group *g, size_t i)
{
    if (g->n > 1) {
        nk_fail_context(g->diag, "%s", g->specs[i].label);
    }
}

static void group_over(struct nk_service_group *g)
{
    g->over = true;
    nk_app_stop(g->conf->app, 0);
}

/* --- draining --------------------------------------------------------------------------------- */

static void drain_all(struct nk_service_group *g)
{
    if (g->draining) {
        return;
    }
    g->draining = true;
    nk_notify_send(g->notify, NK_NOTIFY_STOPPING);
    nk_timer_start(&g->drain, g->conf->drain_ms);
    for (size_t i = 0; i < g->n; i++) {
        struct unit *u = &g->units[i];
        if (u->service && !u->ended) {
            g->specs[i].type->drain(u->service);
        }
    }
}

static void on_drain_over(void *owner)
{
    struct nk_service_group *g = owner;
    for (size_t i = 0; i < g->n; i++) {
        if (g->units[i].service && !g->units[i].ended) {
            nk_warn(group_log(g), "service", "%s: still busy, ended anyway", g->specs[i].label);
        }
    }
    group_over(g);
}

static void on_alive(void *owner)
{
    struct nk_service_group *g = owner;
    nk_timer_start(&g->alive, FOREVER_MS);
}

/* --- the services' callbacks ------------------------------------------------------------------ */

static void on_unit_ready(void *owner)
{
    struct unit *u = owner;
    u->ready = true;
    nk_app_defer(u->group->conf->app, &u->group->advance);
}

static void on_unit_end(void *owner, int status, const struct nk_diag *diag)
{
    struct unit *u = owner;
    struct nk_service_group *g = u->group;
    size_t i = (size_t)(u - g->units);
    u->ended = true;
    u->status = status;
    if (status < 0 && g->result == 0) {
        g->result = status;
        if (diag && g->diag) {
            *g->diag = *diag;
            name_unit(g, i);
        } else {
            nk_fail_sys(g->diag, status, "%s", g->specs[i].label);
        }
    }
    if (g->conf->on_end) {
        g->conf->on_end(g->conf->owner, i, status, diag);
    }
    nk_app_defer(g->conf->app, &g->advance);
}

/* The socket goes first: its calls must not be answered any more. */
static void close_unit(struct nk_service_group *g, size_t i)
{
    struct unit *u = &g->units[i];
    if (u->service) {
        nk_control_close(u->control);
        u->control = NULL;
        g->specs[i].type->close(u->service);
        u->service = NULL;
    }
}

/* Close what has ended. Returns how many are still there. */
static size_t close_ended(struct nk_service_group *g)
{
    size_t left = 0;
    for (size_t i = 0; i < g->n; i++) {
        struct unit *u = &g->units[i];
        if (u->service && u->ended) {
            close_unit(g, i);
            nk_debug(group_log(g), "service", "%s: ended", g->specs[i].label);
        }
        left += u->service != NULL;
    }
    return left;
}

static void become_ready(struct nk_service_group *g)
{
    for (size_t i = 0; i < g->n; i++) {
        if (!g->units[i].ready) {
            return;
        }
    }
    g->ready = true;
    nk_info(group_log(g), "service", "ready");
    nk_notify_send(g->notify, NK_NOTIFY_READY);
    if (g->conf->on_ready) {
        g->conf->on_ready(g->conf->owner);
    }
}

static void advance(void *owner)
{
    struct nk_service_group *g = owner;
    if (g->over) {
        return;
    }
    size_t left = close_ended(g);
    if (left == 0) {
        group_over(g);
        return;
    }
    if (!g->ready && !g->draining) {
        become_ready(g);
    }
    if (g->result < 0) {
        drain_all(g);
    }
}

/* --- reload ----------------------------------------------------------------------------------- */

/* Give the units before `n` what they had. Returns false when one of them refuses even that. */
static bool roll_back(struct nk_service_group *g, size_t n, const bool *moved)
{
    struct nk_diag diag;
    bool ok = true;
    while (n-- > 0) {
        const struct nk_service_type *type = g->specs[n].type;
        struct unit *u = &g->units[n];
        if (moved[n] && u->service && type->reload(u->service, u->conf, g->ini, &diag) < 0) {
            nk_error(group_log(g), "service", "%s: going back to the old configuration: %s",
                     g->specs[n].label, diag.text);
            ok = false;
        }
    }
    return ok;
}

/* One unit. 1: has the new one; 0: keeps the old one; negative: refused. */
static int reload_unit(struct nk_service_group *g, size_t i, const struct nk_conf *ini,
                       const void *conf, struct nk_diag *diag)
{
    const struct nk_service_type *type = g->specs[i].type;
    struct unit *u = &g->units[i];
    if (!u->service || u->ended) {
        return 1;
    }
    if (!conf || !type->reload) {
        return 0; /* what has changed is told with the other changes */
    }
    int rc = type->reload(u->service, conf, ini, diag);
    return rc < 0 ? nk_fail_context(diag, "%s", g->specs[i].label) : 1;
}

/* --- what a reload changes -------------------------------------------------------------------- */

/* The changes of units are told from their own structs, in which flags have their say. */
struct unit_names {
    const struct nk_service_group *group;
    const struct nk_section *section;
};

static bool is_unit(void *arg, const char *name)
{
    const struct unit_names *x = arg;
    for (size_t i = 0; i < x->group->n; i++) {
        const struct nk_service_unit *spec = &x->group->specs[i];
        if (strcmp(spec->type->section, x->section->name) == 0 &&
            (!spec->name || (name && strcmp(spec->name, name) == 0))) {
            return true;
        }
    }
    return false;
}

static int unit_changes(struct nk_service_group *g, size_t i, const struct nk_conf *ini,
                        struct nk_changes *out)
{
    const struct nk_service_unit *spec = &g->specs[i];
    const void *now = g->conf->pick(g->conf->owner, ini, i);
    if (!g->units[i].service || g->units[i].ended) {
        return 0;
    }
    return now ? nk_changes_rows(out, spec->type->section, spec->name, spec->opts, spec->conf,
                                 g->units[i].conf, now, spec->type->reload != NULL)
               : nk_changes_section(out, spec->type->section, spec->name, NK_REMOVED, false);
}

/* Compare while the old configuration is still there. */
static int find_changes(struct nk_service_group *g, const struct nk_conf *ini,
                        struct nk_changes *out)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < g->n; i++) {
        rc = unit_changes(g, i, ini, out);
    }
    const struct nk_section *const *s = ini ? g->conf->sections : NULL;
    for (; rc == 0 && s && *s; s++) {
        struct unit_names units = {g, *s};
        rc = nk_changes_compare(out, *s, g->conf->ini, g->ini, ini, is_unit, &units);
    }
    return rc;
}

const struct nk_changes *nk_services_changes(const struct nk_service_group *g)
{
    return &g->changes;
}

static void settle(struct nk_service_group *g, const struct nk_conf *unused)
{
    if (g->conf->settle) {
        g->conf->settle(g->conf->owner, unused);
    }
}

/* others: sections that are no service of this group have changes that can be applied. */
static int reload_units(struct nk_service_group *g, const struct nk_conf *ini, bool others,
                        struct nk_diag *diag)
{
    const void **confs = calloc(g->n, sizeof(*confs));
    bool *moved = calloc(g->n, sizeof(*moved));
    const struct nk_conf *unused;
    bool all = true, any = false;
    size_t i = 0;
    int rc = 0;
    if (!confs || !moved) {
        free(confs);
        free(moved);
        settle(g, ini);
        return nk_fail_sys(diag, -ENOMEM, "reload");
    }
    for (; rc >= 0 && i < g->n; i++) {
        confs[i] = g->conf->pick(g->conf->owner, ini, i);
        rc = reload_unit(g, i, ini, confs[i], diag);
        moved[i] = rc > 0;
        all = all && moved[i];
        any = any || moved[i];
    }
    if (rc < 0) {
        unused = roll_back(g, i, moved) ? ini : NULL;
    } else if (!any && !others) {
        unused = ini;
        rc = 0;
    } else {
        for (i = 0; i < g->n; i++) {
            g->units[i].conf = moved[i] ? confs[i] : g->units[i].conf;
        }
        unused = all ? g->ini : NULL;
        g->ini = ini;
        nk_app_set_ini(g->conf->app, ini);
        rc = 0;
    }
    free(confs);
    free(moved);
    settle(g, unused);
    return rc;
}

/* Load, compare, and offer to the services. */
static int reload_all(struct nk_service_group *g, struct nk_diag *diag)
{
    const struct nk_conf *ini = g->ini;
    struct nk_changes changes = {0};
    int rc = g->conf->reload(g->conf->owner, &ini, diag);
    if (rc < 0) {
        return rc;
    }
    rc = find_changes(g, ini, &changes);
    if (rc < 0) {
        settle(g, ini);
        nk_fail_sys(diag, rc, "reload");
    } else {
        rc = reload_units(g, ini, changes.n + changes.more > changes.restart, diag);
    }
    if (rc < 0) {
        nk_changes_clear(&changes);
    }
    g->changes = changes;
    return rc;
}

static void tell_reload(struct nk_service_group *g, int rc, const struct nk_diag *diag)
{
    if (rc < 0) {
        nk_audit(group_log(g), "service", NK_LOG_ERROR, "reload", NULL,
                 "the old configuration stays in force: %s",
                 diag->text[0] ? diag->text : nk_strerror(rc));
        return;
    }
    nk_changes_log(&g->changes, group_log(g));
    nk_audit(group_log(g), "service", NK_LOG_INFO, "reload", NULL,
             "the new configuration is in force%s",
             g->changes.restart ? ", except for what needs a restart" : "");
}

int nk_services_reload(struct nk_service_group *g, struct nk_diag *diag)
{
    nk_changes_clear(&g->changes);
    if (g->draining) {
        return nk_fail(diag, NK_ECLOSED, "about to end");
    }
    if (!g->conf->reload) {
        return nk_fail(diag, NK_EUNSUPPORTED, "this command cannot reload; start it again");
    }
    nk_notify_send(g->notify, NK_NOTIFY_RELOADING);
    int rc = reload_all(g, diag);
    tell_reload(g, rc, diag);
    if (g->ready) {
        nk_notify_send(g->notify, NK_NOTIFY_READY);
    }
    return rc;
}

static void on_hup(struct nk_service_group *g)
{
    struct nk_diag diag = {0};
    int rc = nk_services_reload(g, &diag);
    if (rc == NK_EUNSUPPORTED) {
        nk_warn(group_log(g), "service", "HUP: %s", diag.text);
    }
}

/* --- signals ---------------------------------------------------------------------------------- */

enum nk_service_phase nk_services_phase(const struct nk_service_group *g)
{
    return g->draining ? NK_PHASE_DRAINING : g->ready ? NK_PHASE_READY : NK_PHASE_STARTING;
}

void nk_services_status(const struct nk_service_group *g, struct nk_json *out)
{
    for (size_t i = 0; i < g->n; i++) {
        const struct unit *u = &g->units[i];
        nk_json_key(out, g->specs[i].label);
        nk_json_object(out);
        nk_json_kv_str(out, "state",
                       !u->service || u->ended ? "ended"
                       : g->draining           ? "draining"
                       : u->ready              ? "ready"
                                               : "starting");
        if (u->service && g->specs[i].type->status) {
            g->specs[i].type->status(u->service, out);
        }
        nk_json_close(out);
    }
}

static void log_status(struct nk_service_group *g)
{
    struct nk_buf buf;
    struct nk_json json;
    nk_buf_init(&buf, STATUS_MAX);
    nk_json_init(&json, &buf, false);
    nk_json_object(&json);
    nk_services_status(g, &json);
    nk_json_close(&json);
    const char *text = nk_json_end(&json) == 0 ? nk_buf_str(&buf) : NULL;
    nk_info(group_log(g), "service", "%s", text ? text : "status too long");
    nk_buf_clear(&buf);
}

void nk_services_stop(struct nk_service_group *g)
{
    drain_all(g);
}

static void on_stop(struct nk_service_group *g, int signum)
{
    if (g->stop_signal) {
        g->result = NK_EXIT_SIGNAL + signum;
        group_over(g);
        return;
    }
    g->stop_signal = signum;
    drain_all(g);
    nk_info(group_log(g), "service", "%s: finishing; once more ends at once",
            signum == SIGINT ? "interrupted" : "asked to stop");
}

static void on_signal(void *owner, int signum)
{
    struct nk_service_group *g = owner;
    switch (signum) {
    case SIGTERM:
    case SIGINT:
        on_stop(g, signum);
        break;
    case SIGHUP:
        on_hup(g);
        break;
    case SIGUSR1:
        log_status(g);
        break;
    default:
        break; /* QUIT would end us without draining, for a core file that is switched off */
    }
}

/* --- verbs ------------------------------------------------------------------------------------ */

int nk_service_dir(char *out, size_t max, const char *state_dir, const char *section,
                   const char *name)
{
    char dir[NK_PATH_MAX];
    if (!name) {
        return nk_path_join(out, max, state_dir, section);
    }
    int rc = nk_path_join(dir, sizeof(dir), state_dir, section);
    return rc < 0 ? rc : nk_path_join(out, max, dir, name);
}

static void on_verb(void *owner, struct nk_control_call *call, size_t n, char *const *words)
{
    struct unit *u = owner;
    struct nk_diag diag = {0};
    const struct nk_service_verb *v = u->group->specs[u - u->group->units].type->verbs;
    while (v->name && strcmp(v->name, words[0]) != 0) {
        v++;
    }
    if (v->name) {
        v->run(u->service, call, n, words);
    } else {
        nk_control_done(call, nk_fail(&diag, NK_EUSAGE, "no such request"), &diag);
    }
}

/* Without its socket (the path is too long for one) a service does everything else. */
static void open_verbs(struct nk_service_group *g, struct unit *u,
                       const struct nk_service_unit *spec)
{
    char dir[NK_PATH_MAX];
    struct nk_diag diag = {0};
    const char *state = nk_app_state_dir(g->conf->app);
    if (!spec->type->verbs || !state) {
        return;
    }
    int rc = nk_service_dir(dir, sizeof(dir), state, spec->type->section, spec->name);
    if (rc < 0) {
        nk_fail_sys(&diag, rc, "control socket");
    } else {
        rc = nk_control_open(g->conf->app, dir, on_verb, u, &u->control, &diag);
    }
    if (rc < 0) {
        nk_log_diag(group_log(g), "service", NK_LOG_WARN, &diag);
    }
}

/* --- the run ---------------------------------------------------------------------------------- */

static int start_units(struct nk_service_group *g)
{
    for (size_t i = 0; i < g->n; i++) {
        struct unit *u = &g->units[i];
        const struct nk_service_unit *spec = &g->specs[i];
        struct nk_service_args args = {.app = g->conf->app,
                                       .name = spec->name,
                                       .conf = spec->conf,
                                       .ini = g->ini,
                                       .on_ready = on_unit_ready,
                                       .on_end = on_unit_end,
                                       .owner = u};
        u->group = g;
        u->conf = spec->conf;
        int rc = spec->type->start(&args, &u->service, g->diag);
        if (rc < 0) {
            u->service = NULL;
            name_unit(g, i);
            return rc;
        }
        open_verbs(g, u, spec);
    }
    return 0;
}

static int group_open(struct nk_service_group *g)
{
    struct nk_app *app = g->conf->app;
    nk_timer_init(&g->drain, app, on_drain_over, g);
    nk_timer_init(&g->alive, app, on_alive, g);
    g->advance = (struct nk_defer){.fn = advance, .owner = g};
    (void)nk_files_raise();
    for (size_t i = 0; i < WATCHED; i++) {
        int rc = nk_signal_watch(app, watched[i], on_signal, g, &g->signals[i]);
        if (rc < 0) {
            return nk_fail_sys(g->diag, rc, "signals");
        }
    }
    int rc = nk_notify_open(app, &g->notify, g->diag);
    if (rc < 0) {
        return rc;
    }
    if (g->conf->on_open) {
        g->conf->on_open(g->conf->owner, g);
    }
    return start_units(g);
}

static void group_close(struct nk_service_group *g)
{
    for (size_t i = g->n; i-- > 0;) {
        close_unit(g, i);
    }
    for (size_t i = 0; i < WATCHED; i++) {
        nk_signal_close(g->signals[i]);
    }
    nk_app_defer_cancel(g->conf->app, &g->advance);
    nk_timer_stop(&g->drain);
    nk_timer_stop(&g->alive);
    nk_notify_close(g->notify);
    nk_changes_clear(&g->changes);
    free(g->units);
}

int nk_services_run(const struct nk_services *conf, const struct nk_service_unit *units, size_t n,
                    struct nk_diag *diag)
{
    struct nk_service_group g = {
        .conf = conf, .specs = units, .n = n, .ini = conf->ini, .diag = diag};
    g.units = calloc(n, sizeof(*g.units));
    if (!g.units) {
        return nk_fail_sys(diag, -ENOMEM, "services");
    }
    nk_app_set_ini(conf->app, conf->ini);
    int rc = group_open(&g);
    if (rc == 0) {
        nk_timer_start(&g.alive, FOREVER_MS);
        int code = nk_app_run(conf->app);
        rc = g.over ? g.result : code; /* else somebody else has stopped the loop */
    }
    group_close(&g);
    return rc;
}

/* --- one service ------------------------------------------------------------------------------ */

struct single {
    const struct nk_service_args *args;
    const void *conf; /* the newest one */
    const struct nk_conf *fresh;
};

static void single_ready(void *owner)
{
    struct single *s = owner;
    if (s->args->on_ready) {
        s->args->on_ready(s->args->owner);
    }
}

static void single_end(void *owner, size_t i, int status, const struct nk_diag *diag)
{
    struct single *s = owner;
    (void)i;
    if (s->args->on_end) {
        s->args->on_end(s->args->owner, status, diag);
    }
}

static int single_reload(void *owner, const struct nk_conf **ini, struct nk_diag *diag)
{
    struct single *s = owner;
    int rc = s->args->reload_conf(s->args->owner, &s->conf, ini, diag);
    s->fresh = *ini;
    return rc;
}

static const void *single_pick(void *owner, const struct nk_conf *ini, size_t i)
{
    struct single *s = owner;
    (void)ini;
    (void)i;
    return s->conf;
}

static void single_settle(void *owner, const struct nk_conf *unused)
{
    struct single *s = owner;
    if (s->args->reload_done) {
        s->args->reload_done(s->args->owner, unused != s->fresh);
    }
}

int nk_service_run(struct nk_app *app, const struct nk_service_type *type,
                   const struct nk_service_args *args, uint64_t drain_ms, struct nk_diag *diag)
{
    struct single s = {.args = args, .conf = args->conf};
    struct nk_services conf = {.app = app,
                               .ini = args->ini,
                               .sections = args->sections,
                               .drain_ms = drain_ms,
                               .owner = &s,
                               .on_ready = single_ready,
                               .on_end = single_end,
                               .reload = args->reload_conf ? single_reload : NULL,
                               .pick = single_pick,
                               .settle = single_settle};
    struct nk_service_unit unit = {.label = type->section,
                                   .type = type,
                                   .name = args->name,
                                   .conf = args->conf,
                                   .opts = args->opts};
    return nk_services_run(&conf, &unit, 1, diag);
}
