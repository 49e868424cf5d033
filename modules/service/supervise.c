/* SPDX-License-Identifier: MIT */
#include "service/supervise.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cli.h"
#include "base/file.h"
#include "core/app.h"
#include "core/service.h"
#include "service/control.h"

/* A configuration that a reload has brought. */
struct loaded {
    struct nk_conf *conf;
    struct loaded *next;
};

/* One section that becomes a service. Names are ours, as a reload may free those of the first load.
 */
struct planned {
    const struct nk_cmd *cmd; /* that serves it */
    char *label;              /* "tunnel db" */
    char *name;               /* "db", inside label; NULL for unnamed sections */
};

struct supervisor {
    struct nk_cmd_ctx *ctx;
    struct planned *plan;
    struct nk_service_unit *units;
    size_t n;
    const struct nk_section *sections[NK_CLI_MAX_SECTIONS + 1]; /* what reloads tell changes of */
    struct loaded *loaded;
    int lock;
    struct nk_app *app;
    struct service_control *control;
};

/* --- what to start ---------------------------------------------------------------------------- */

static bool wanted(const struct nk_cmd_ctx *ctx, const struct nk_section *section,
                   const char *label)
{
    for (int i = 0; i < ctx->argc; i++) {
        if (strcmp(ctx->argv[i], label) == 0 || strcmp(ctx->argv[i], section->name) == 0) {
            return true;
        }
    }
    return ctx->argc == 0;
}

static int out_of_memory(struct supervisor *s)
{
    return nk_fail_sys(&s->ctx->diag, -ENOMEM, "services");
}

/* Room for one more after n; the array stays whole when there is none. */
static int grow(void **array, size_t n, size_t size)
{
    void *more = reallocarray(*array, n + 1, size);
    if (!more) {
        return -ENOMEM;
    }
    *array = more;
    return 0;
}

/* Add one section if it is wanted. */
static int add(struct supervisor *s, const struct nk_cmd *cmd, const char *name)
{
    char *label;
    if (asprintf(&label, "%s%s%s", cmd->section->name, name ? " " : "", name ? name : "") < 0) {
        return out_of_memory(s);
    }
    if (!wanted(s->ctx, cmd->section, label)) {
        free(label);
        return 0;
    }
    int rc = grow((void **)&s->plan, s->n, sizeof(*s->plan));
    if (rc == 0) {
        rc = grow((void **)&s->units, s->n, sizeof(*s->units));
    }
    if (rc < 0) {
        free(label);
        return out_of_memory(s);
    }
    char *own_name = name ? label + strlen(cmd->section->name) + 1 : NULL;
    s->plan[s->n] = (struct planned){cmd, label, own_name};
    s->units[s->n] = (struct nk_service_unit){
        .label = label,
        .type = cmd->service,
        .name = own_name,
        .conf = nk_conf_get(s->ctx->ini, cmd->section->name, name),
        .opts = cmd->section->opts,
    };
    s->n++;
    return 0;
}

static int add_sections(struct supervisor *s, const struct nk_cmd *cmd)
{
    const struct nk_conf *ini = s->ctx->ini;
    const char *name;
    int rc = 0;
    if (!cmd->section->named) {
        return nk_conf_get(ini, cmd->section->name, NULL) ? add(s, cmd, NULL) : 0;
    }
    for (size_t i = 0; rc == 0 && (name = nk_conf_name_at(ini, cmd->section->name, i)); i++) {
        rc = add(s, cmd, name);
    }
    return rc;
}

/* A section is served by one command only, whichever else shows its rows. */
static bool is_service(const struct nk_cmd *cmd)
{
    return cmd->service && cmd->section && strcmp(cmd->service->section, cmd->section->name) == 0;
}

static bool matches_any(const struct supervisor *s, const char *word)
{
    for (size_t i = 0; i < s->n; i++) {
        if (strcmp(s->plan[i].label, word) == 0 ||
            strcmp(s->plan[i].cmd->section->name, word) == 0) {
            return true;
        }
    }
    return false;
}

static int nothing_to_start(struct supervisor *s)
{
    const char *path = nk_conf_path(s->ctx->ini);
    int rc;
    if (!path) {
        rc = nk_fail(&s->ctx->diag, NK_ECONFIG, "there is no configuration: nothing to start");
        nk_hint(&s->ctx->diag, "write one with 'netkit config init > netkit.ini' and start it with "
                               "'netkit run -c netkit.ini', or use 'netkit run -- COMMAND'");
        return rc;
    }
    rc = nk_fail(&s->ctx->diag, NK_ECONFIG, "%s has no section that is a service: nothing to start",
                 path);
    nk_hint(&s->ctx->diag, "add one, for example a line '[relay]'; 'netkit config init' shows all");
    return rc;
}

static int make_plan(struct supervisor *s)
{
    for (size_t i = 0; i < nk_cmd_count; i++) {
        int rc = is_service(nk_cmd_table[i].cmd) ? add_sections(s, nk_cmd_table[i].cmd) : 0;
        if (rc < 0) {
            return rc;
        }
    }
    for (int i = 0; i < s->ctx->argc; i++) {
        if (!matches_any(s, s->ctx->argv[i])) {
            const char *path = nk_conf_path(s->ctx->ini);
            return nk_fail(&s->ctx->diag, NK_ECONFIG, "no service [%s] in %s", s->ctx->argv[i],
                           path ? path : "the configuration (there is no file)");
        }
    }
    return s->n ? 0 : nothing_to_start(s);
}

/* --- reload ----------------------------------------------------------------------------------- */

static int reload(void *owner, const struct nk_conf **ini, struct nk_diag *diag)
{
    struct supervisor *s = owner;
    struct nk_conf *fresh;
    const void *own; /* the rows of `run` itself do not change */
    struct loaded *l = calloc(1, sizeof(*l));
    if (!l) {
        return nk_fail_sys(diag, -ENOMEM, "reload");
    }
    int rc = s->ctx->reload(s->ctx, &own, &fresh, diag);
    if (rc < 0) {
        free(l);
        return rc;
    }
    *l = (struct loaded){fresh, s->loaded};
    s->loaded = l;
    *ini = fresh;
    return 0;
}

static void add_told(struct supervisor *s, const struct nk_section *section)
{
    size_t i = 0;
    while (s->sections[i] && s->sections[i] != section) {
        i++;
    }
    s->sections[i] = section;
}

/* Every section when all that there is was started; else those of what was asked for. */
static void choose_told(struct supervisor *s)
{
    if (s->ctx->argc == 0) {
        const struct nk_cmds all = {nk_cmd_table, nk_cmd_count};
        nk_cli_sections(all, s->sections);
        return;
    }
    for (size_t i = 0; i < s->n; i++) {
        const struct nk_cmd *cmd = s->plan[i].cmd;
        add_told(s, cmd->section);
        for (size_t k = 0; cmd->sections && cmd->sections[k]; k++) {
            add_told(s, cmd->sections[k]);
        }
    }
}

static const void *pick(void *owner, const struct nk_conf *ini, size_t i)
{
    const struct supervisor *s = owner;
    return nk_conf_get(ini, s->plan[i].cmd->section->name, s->plan[i].name);
}

/* The first configuration belongs to whoever called us; the others are ours. */
static void settle(void *owner, const struct nk_conf *unused)
{
    struct supervisor *s = owner;
    for (struct loaded **at = &s->loaded; *at; at = &(*at)->next) {
        struct loaded *l = *at;
        if (l->conf == unused) {
            *at = l->next;
            nk_conf_free(l->conf);
            free(l);
            return;
        }
    }
}

/* --- the run ---------------------------------------------------------------------------------- */

static int lock_state(struct supervisor *s)
{
    char path[NK_PATH_MAX];
    struct nk_diag *diag = &s->ctx->diag;
    const char *dir = s->ctx->globals->state_dir;
    int rc = nk_mkdirs(dir, diag);
    if (rc == 0) {
        rc = nk_path_join(path, sizeof(path), dir, "run.lock");
        if (rc < 0) {
            return nk_fail_sys(diag, rc, "state directory %s", dir);
        }
    }
    return rc < 0 ? rc : nk_lock_open(path, &s->lock, diag);
}

/* Without the socket (a path that is too long for one) everything else works. */
static void open_control(void *owner, struct nk_service_group *g)
{
    struct supervisor *s = owner;
    struct nk_diag diag = {0};
    if (service_control_open(s->app, g, &s->control, &diag) < 0) {
        nk_log_diag(s->ctx->log, "service", NK_LOG_WARN, &diag);
    }
}

static int run_services(struct supervisor *s, uint64_t drain_ms)
{
    struct nk_app_conf app_conf = {
        .log = s->ctx->log, .launcher = s->ctx->launcher, .state_dir = s->ctx->globals->state_dir};
    int rc = nk_app_new(&s->app, &app_conf, &s->ctx->diag);
    if (rc < 0) {
        return rc;
    }
    choose_told(s);
    struct nk_services conf = {.app = s->app,
                               .ini = s->ctx->ini,
                               .sections = s->sections,
                               .drain_ms = drain_ms,
                               .owner = s,
                               .on_open = open_control,
                               .reload = reload,
                               .pick = pick,
                               .settle = settle};
    const char *path = nk_conf_path(s->ctx->ini);
    nk_info(s->ctx->log, "service", "starting %zu service%s from %s", s->n, s->n == 1 ? "" : "s",
            path ? path : "the environment");
    rc = nk_services_run(&conf, s->units, s->n, &s->ctx->diag);
    service_control_close(s->control);
    nk_app_free(s->app);
    return rc;
}

static void clear(struct supervisor *s)
{
    for (size_t i = 0; i < s->n; i++) {
        free(s->plan[i].label);
    }
    free(s->plan);
    free(s->units);
    while (s->loaded) {
        struct loaded *l = s->loaded;
        s->loaded = l->next;
        nk_conf_free(l->conf);
        free(l);
    }
    if (s->lock >= 0) {
        close(s->lock);
    }
}

int service_supervise(struct nk_cmd_ctx *ctx, uint64_t drain_ms)
{
    struct supervisor s = {.ctx = ctx, .lock = -1};
    int rc = make_plan(&s);
    if (rc == 0) {
        rc = lock_state(&s);
    }
    if (rc == 0) {
        rc = run_services(&s, drain_ms);
    }
    clear(&s);
    return rc;
}
