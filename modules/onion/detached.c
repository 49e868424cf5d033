/* SPDX-License-Identifier: MIT */
#include "onion/detached.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cli.h"
#include "base/codec.h"
#include "base/conf.h"
#include "base/file.h"
#include "core/app.h"
#include "onion/replace.h"

enum { FILE_MAX = 256 * 1024, VALUE_MAX = 4096, NAME_MAX_LEN = 64 };

static const char FILE_NAME[] = "detached";

/* --- the file --------------------------------------------------------------------------------- */

static int path_of(char out[NK_PATH_MAX], const char *dir, const char *name, struct nk_diag *diag)
{
    int rc = nk_path_join(out, NK_PATH_MAX, dir, name);
    return rc < 0 ? nk_fail_sys(diag, rc, "%s", dir) : 0;
}

void onion_detached_forget(const char *dir)
{
    char path[NK_PATH_MAX];
    if (path_of(path, dir, FILE_NAME, NULL) == 0) {
        (void)unlink(path);
    }
}

/* One value of a row; that of a file is found from anywhere. */
static int put_value(struct nk_buf *out, const struct nk_opt *row, const char *text)
{
    char key[NAME_MAX_LEN], path[NK_PATH_MAX];
    if (row->type == NK_OPT_PATH && text[0] != '/' && getcwd(path, sizeof(path))) {
        int rc =
            nk_buf_printf(out, "%s = %s/%s\n", nk_opt_ini_name(key, sizeof(key), row), path, text);
        return rc;
    }
    return nk_buf_printf(out, "%s = %s\n", nk_opt_ini_name(key, sizeof(key), row), text);
}

/* Those that say something: neither unset nor, as they are keys, clients. */
static int put_rows(struct nk_buf *out, const struct onion_serve_conf *conf)
{
    static const struct onion_serve_conf unset;
    char value[VALUE_MAX];
    int rc = 0;
    for (const struct nk_opt *row = onion_serve_rows; rc == 0 && row->name; row++) {
        bool clients = row->offset == NK_FIELD(struct onion_serve_conf, onion.client_auth);
        bool skip = clients || (!row->def && nk_opt_same(row, conf, &unset));
        for (size_t i = 0;
             rc == 0 && !skip && nk_opt_format_value(value, sizeof(value), row, conf, i); i++) {
            rc = value[0] != '\0' ? put_value(out, row, value) : 0;
            skip = !(row->flags & NK_OPT_REPEAT);
        }
    }
    return rc;
}

static int put_clients(struct nk_buf *out, const struct onion_clients *clients)
{
    char key[NK_BASE32_SIZE(HS_PUBLIC_KEY)];
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < clients->n; i++) {
        nk_base32_encode(key, clients->keys[i], HS_PUBLIC_KEY);
        rc = nk_buf_printf(out, "client_auth = descriptor:x25519:%s\n", key);
    }
    return rc;
}

int onion_detached_write(const char *dir, const char *name, const struct onion_serve_conf *conf,
                         const struct onion_clients *clients, struct nk_diag *diag)
{
    char path[NK_PATH_MAX];
    struct nk_buf text;
    const char *key = conf->onion.key;
    if (conf->onion.hsdir ||
        (key && (strcmp(key, ONION_KEY_NEW) == 0 || strcmp(key, ONION_KEY_DISCARD) == 0))) {
        onion_detached_forget(dir);
        return 0;
    }
    nk_buf_init(&text, FILE_MAX);
    int rc = nk_buf_printf(&text, "[%s %s]\n", ONION_SECTION, name);
    rc = rc < 0 ? rc : put_rows(&text, conf);
    rc = rc < 0 ? rc : put_clients(&text, clients);
    rc = rc < 0 ? nk_fail_sys(diag, rc, "what is kept of the service") : 0;
    rc = rc < 0 ? rc : path_of(path, dir, FILE_NAME, diag);
    rc = rc < 0
             ? rc
             : nk_file_write(path, NK_FILE_OVERWRITE, nk_buf_ptr(&text), nk_buf_len(&text), diag);
    nk_buf_clear(&text);
    return rc;
}

/* *out is in *ini, which the caller frees in any case. */
static int load(const char *dir, const char *name, struct nk_conf **ini,
                const struct onion_serve_conf **out, struct nk_diag *diag)
{
    static const struct nk_section *const sections[] = {&onion_section, NULL};
    char path[NK_PATH_MAX];
    int rc = path_of(path, dir, FILE_NAME, diag);
    if (rc < 0 || access(path, F_OK) < 0) {
        return rc < 0 ? rc : -ENOENT;
    }
    const struct nk_conf_source source = {.path = path, .sections = sections};
    rc = nk_conf_load(ini, &source, NULL);
    *out = rc < 0 ? NULL : nk_conf_get(*ini, ONION_SECTION, name);
    if (!*out) {
        const struct nk_conf_problem *p = *ini ? nk_conf_problem_at(*ini, 0) : NULL;
        return p ? nk_fail(diag, rc < 0 ? rc : NK_ECONFIG, "%s", p->text)
                 : nk_fail(diag, NK_ECONFIG, "%s is of another service", path);
    }
    return 0;
}

/* --- its clients ------------------------------------------------------------------------------ */

struct job {
    struct nk_cmd_ctx *ctx;
    const char *dir;
    const char *const *words;
    const struct onion_serve_conf *conf;
    struct onion_plan plan;
    struct onion_clients fixed;
    struct onion_gate gate;
    struct onion_replace replace;
    struct tor_cli *cli;
};

static void on_change(void *owner)
{
    (void)owner; /* nothing waits for it: the set is taken at once */
}

static int open_gate(struct job *job, struct nk_app *app, struct nk_diag *diag)
{
    return onion_gate_open(&job->gate, app, &job->conf->gate, &job->fixed, job->dir, on_change, job,
                           diag);
}

static int list(struct job *job)
{
    struct nk_cmd_ctx *ctx = job->ctx;
    const struct nk_app_conf conf = {.log = ctx->log};
    struct nk_app *app;
    struct nk_buf out;
    int rc = nk_app_new(&app, &conf, &ctx->diag);
    if (rc < 0) {
        return rc;
    }
    nk_buf_init(&out, FILE_MAX * 4);
    rc = open_gate(job, app, &ctx->diag);
    if (rc == 0 && (rc = onion_gate_list(&job->gate, ctx->globals->json, &out)) < 0) {
        nk_fail_sys(&ctx->diag, rc, "the list");
    }
    if (rc == 0) {
        nk_cli_print(&out);
    }
    nk_buf_clear(&out);
    onion_gate_close(&job->gate);
    nk_app_free(app);
    return rc;
}

static void on_replaced(void *owner, int err, const struct nk_diag *why)
{
    struct job *job = owner;
    if (err < 0) {
        job->ctx->diag = *why;
        nk_fail_context(&job->ctx->diag, "the clients are changed in %s, but not at tor",
                        job->gate.dir);
    }
    tor_cli_finish(job->cli, err);
}

/* tor has it: its clients, then the service. */
static void on_there(void *owner, int err, const struct nk_diag *why)
{
    struct job *job = owner;
    struct nk_diag *diag = &job->ctx->diag;
    int rc = err;
    if (err < 0) {
        *diag = *why;
    }
    rc = rc < 0 ? rc : open_gate(job, job->cli->app, diag);
    rc = rc < 0 ? rc : onion_gate_change(&job->gate, job->words[2], job->words[3], diag);
    rc = rc < 0 ? rc : onion_clients_join(&job->plan.clients, &job->gate.clients, diag);
    if (rc == 0) {
        onion_clients_spec(&job->plan.clients, &job->plan.spec);
        rc = onion_replace_begin(&job->replace, ONION_WAIT_NONE, on_replaced, diag);
    }
    if (rc < 0) {
        tor_cli_finish(job->cli, rc);
    }
}

static void on_ready(struct tor_cli *cli)
{
    struct job *job = cli->task->owner;
    job->cli = cli;
    int rc = onion_replace_open(&job->replace, cli->app, cli->control, &job->plan, on_there, job,
                                &cli->ctx->diag);
    if (rc < 0) {
        tor_cli_finish(cli, rc);
    }
}

static void on_end(struct tor_cli *cli)
{
    struct job *job = cli->task->owner;
    onion_replace_close(&job->replace);
    onion_gate_close(&job->gate);
}

static int change(struct job *job)
{
    const struct tor_cli_task task = {.ready = on_ready, .end = on_end, .owner = job};
    return tor_cli_run(job->ctx, &job->conf->tor, &task);
}

/* The service as its configuration has it, and the clients that it names. */
static int prepare(struct job *job)
{
    struct nk_diag *diag = &job->ctx->diag;
    char key[NK_PATH_MAX];
    struct onion_conf onion = job->conf->onion;
    int rc = path_of(key, job->dir, ONION_KEY_FILE, diag);
    onion.detach = true;
    onion.key = onion.key ? onion.key : key;
    if (rc == 0 && access(onion.key, F_OK) < 0) { /* else a new one would be made */
        rc = nk_fail_sys(diag, -errno, "%s, the key of the service", onion.key);
    }
    rc = rc < 0 ? rc : onion_plan_init(&job->plan, &onion, job->ctx->log, diag);
    job->plan.key_file = NULL; /* which points to our stack */
    job->fixed = job->plan.clients;
    job->plan.clients = (struct onion_clients){0};
    return rc;
}

int onion_detached_clients(struct nk_cmd_ctx *ctx, const char *dir, const char *const *words)
{
    struct job job = {.ctx = ctx, .dir = dir, .words = words, .plan = {.draft = {.dir = -1}}};
    struct nk_conf *ini = NULL;
    char path[NK_PATH_MAX];
    int lock = -1;
    int rc = load(dir, ctx->argv[0], &ini, &job.conf, &ctx->diag);
    rc = rc < 0 ? rc : path_of(path, dir, ONION_LOCK_FILE, &ctx->diag);
    rc = rc < 0 ? rc : nk_lock_open(path, &lock, &ctx->diag);
    rc = rc < 0 ? rc : prepare(&job);
    if (rc == 0) {
        rc = strcmp(words[1], "list") == 0 ? list(&job) : change(&job);
    }
    onion_clients_clear(&job.fixed);
    onion_plan_clear(&job.plan);
    if (lock >= 0) {
        close(lock);
    }
    nk_conf_free(ini);
    return rc;
}
