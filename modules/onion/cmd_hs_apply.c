/* SPDX-License-Identifier: MIT */
/* netkit hs apply: look at what tor would read, then let it. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/cli.h"
#include "hs/hs.h"
#include "onion/hs_watch.h"
#include "onion/live.h"
#include "tor/tor.h"

enum { ANSWER_MAX = 1 << 20 };

struct apply_conf {
    struct hs_apply_conf tor;
    struct tor_cli_conf control;
    struct nk_strlist ports;
    uint64_t wait_ms;
};

static const struct nk_opt opts[] = {
    HS_APPLY_ROWS(struct apply_conf, tor),
    TOR_ROWS_OF(struct apply_conf, control, "system"),
    ONION_LIVE_ROW(struct apply_conf, ports),
    {.name = "wait",
     .type = NK_OPT_DURATION,
     .offset = NK_FIELD(struct apply_conf, wait_ms),
     .arg = "TIME",
     .def = "30s",
     .min = 0,
     .max = 3600LL * 1000,
     .help = "How long to wait until tor has read the directories, and over the control port until "
             "it has uploaded what changed; 0: do not"},
    NK_OPT_END};

/* One run. */
struct job {
    struct nk_cmd_ctx *ctx;
    const struct apply_conf *c;
    struct hs_targets targets;
    struct hs_sight *sights; /* one for each target */
    struct hs_findings findings;
    struct hs_tor tor;
    bool live; /* over the control port */
    bool done; /* tor was told */
    struct hs_reread reread;
    struct tor_cli *cli; /* with --control */
    struct onion_live told;
};

static int look(struct job *job)
{
    struct nk_diag *diag = &job->ctx->diag;
    bool dry = job->ctx->globals->dry_run;
    enum hs_empty empty = hs_apply_empty(&job->c->tor, false);
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < job->targets.n; i++) {
        struct hs_target *t = &job->targets.v[i];
        rc = hs_target_open(t, dry, diag);
        t->auth.dry = dry;
        rc = rc < 0 ? rc : hs_preflight(t, empty, &job->sights[i], &job->findings, diag);
    }
    return rc;
}

static int wait_reread(struct job *job)
{
    return job->c->wait_ms ? hs_reread_wait(&job->reread, &job->targets, &job->tor, job->c->wait_ms,
                                            &job->ctx->diag)
                           : 0;
}

/* --- by signal -------------------------------------------------------------------------------- */

static int by_signal(struct job *job)
{
    int rc = hs_tor_reload(&job->tor, &job->ctx->diag);
    if (rc == 0) {
        job->done = true;
        nk_audit(job->ctx->log, "hs", NK_LOG_INFO, "reload", NULL, "tor %d was told to reload",
                 (int)job->tor.pid);
        rc = wait_reread(job);
    }
    return rc;
}

/* --- over the control port -------------------------------------------------------------------- */

static int on_applied(void *owner, struct nk_diag *diag)
{
    struct job *job = owner;
    job->done = true;
    for (size_t i = 0; i < job->targets.n; i++) {
        if (job->told.v[i].way != ONION_LIVE_RELOAD) {
            hs_reread_skip(&job->reread, i);
        }
    }
    int rc = wait_reread(job);
    if (rc < 0) {
        *diag = job->ctx->diag;
    }
    return rc;
}

static void on_progress(void *owner)
{
    struct job *job = owner;
    unsigned done, total;
    char summary[64];
    onion_live_progress(&job->told, &done, &total);
    (void)snprintf(summary, sizeof(summary), "%u of %u directories have answered", done, total);
    tor_progress_step(&job->cli->progress,
                      &(struct tor_step){.phase = "descriptors",
                                         .percent = total ? done * 100 / total : 0,
                                         .tag = "uploading",
                                         .summary = summary});
}

static void on_done(void *owner, int err, const struct nk_diag *why)
{
    struct job *job = owner;
    if (err < 0) {
        job->ctx->diag = *why;
    }
    tor_cli_finish(job->cli, err);
}

static void on_ready(struct tor_cli *cli)
{
    struct job *job = cli->task->owner;
    const struct onion_live_conf conf = {.app = cli->app,
                                         .control = cli->control,
                                         .targets = &job->targets,
                                         .sights = job->sights,
                                         .ports = &job->c->ports,
                                         .confirm_ms = job->c->wait_ms,
                                         .on_applied = on_applied,
                                         .on_progress = on_progress,
                                         .on_done = on_done,
                                         .owner = job};
    job->cli = cli;
    int rc = onion_live_open(&job->told, &conf, &cli->ctx->diag);
    if (rc < 0) {
        tor_cli_finish(cli, rc);
    }
}

static void on_end(struct tor_cli *cli)
{
    struct job *job = cli->task->owner;
    onion_live_stop(&job->told);
}

static int by_control(struct job *job)
{
    const struct tor_cli_task task = {.ready = on_ready, .end = on_end, .owner = job};
    return tor_cli_run(job->ctx, &job->c->control, &task);
}

/* --- all of it -------------------------------------------------------------------------------- */

static int reload(struct job *job)
{
    int rc = hs_reread_open(&job->reread, &job->targets, &job->ctx->diag);
    if (rc < 0) {
        return rc;
    }
    rc = job->live ? by_control(job) : by_signal(job);
    hs_reread_close(&job->reread);
    return rc;
}

/* What tor made of it, over the control port. */
static void print_told(const struct job *job, size_t i)
{
    const struct onion_live_target *t = &job->told.v[i];
    if (!job->targets.v[i].service) {
        printf(" (%u given to tor)", t->added);
    } else if (t->expected || t->upload.started > 0) {
        printf(" (uploaded to %u directories)", (unsigned)t->upload.uploaded);
    } else {
        printf(" (nothing new)");
    }
}

static void print_text(const struct job *job)
{
    for (size_t i = 0; i < job->targets.n; i++) {
        const struct hs_sight *s = &job->sights[i];
        const char *path = job->targets.v[i].path;
        if (!job->targets.v[i].service) {
            printf("%s: keys for %zu services", path, s->clients);
        } else if (!s->restricted) {
            printf("%s: open to everybody", path);
        } else {
            printf("%s: %zu client%s authorized", path, s->clients, s->clients == 1 ? "" : "s");
        }
        if (job->told.v) {
            print_told(job, i);
        }
        printf("\n");
    }
}

static int print_json(struct job *job)
{
    struct nk_buf out;
    struct nk_json j;
    nk_buf_init(&out, ANSWER_MAX);
    nk_json_init(&j, &out, false);
    nk_json_object(&j);
    nk_json_kv_i64(&j, "schema", 1);
    if (job->tor.pid) {
        nk_json_kv_i64(&j, "pid", job->tor.pid);
    }
    nk_json_kv_bool(&j, "applied", job->done);
    nk_json_key(&j, "directories");
    nk_json_array(&j);
    for (size_t i = 0; i < job->targets.n; i++) {
        hs_sight_json(&j, &job->targets.v[i], &job->sights[i]);
    }
    nk_json_close(&j);
    if (job->told.v) {
        onion_live_json(&job->told, &j);
    }
    nk_json_key(&j, "findings");
    hs_findings_json(&job->findings, &j);
    nk_json_close(&j);
    return nk_cli_put_json(&j, &job->ctx->diag);
}

static int apply(struct job *job)
{
    struct nk_cmd_ctx *ctx = job->ctx;
    const struct hs_tor_conf conf = {
        .pid = job->c->tor.pid, .pid_file = job->c->tor.pid_file, .uid = job->targets.uid};
    int live = onion_hs_live(&job->c->tor, &job->c->control, &ctx->diag);
    bool only_look = live || (ctx->globals->dry_run && !conf.pid && !conf.pid_file);
    if (live < 0) {
        return live;
    }
    job->live = live == 1;
    int rc = only_look ? 0 : hs_tor_find(&job->tor, &conf, &ctx->diag);
    rc = rc < 0 ? rc : look(job);
    if (rc < 0) {
        return rc;
    }
    bool bad = job->findings.count[HS_ERROR] > 0;
    if (!ctx->globals->json) {
        hs_log_findings(ctx->log, &job->findings);
    }
    if (!bad && !ctx->globals->dry_run) {
        rc = reload(job);
    }
    if (rc == 0 && ctx->globals->json) {
        rc = print_json(job);
        return rc == 0 && bad ? NK_EXIT_FAILED : rc;
    }
    if (rc == 0 && bad) {
        nk_fail(&ctx->diag, NK_EFORMAT, "tor was not told to read this: see the errors above");
        return NK_EFORMAT;
    }
    if (rc == 0) {
        print_text(job);
    }
    return rc;
}

static int run(struct nk_cmd_ctx *ctx)
{
    const struct apply_conf *c = ctx->conf;
    struct job job = {.ctx = ctx, .c = c, .tor = {.pidfd = -1}};
    int rc = hs_apply_check(&c->tor, &ctx->diag);
    rc = rc < 0 ? rc : hs_targets_init(&job.targets, ctx->argv, (size_t)ctx->argc, &ctx->diag);
    if (rc == 0 && !(job.sights = calloc((size_t)ctx->argc, sizeof(*job.sights)))) {
        rc = nk_fail(&ctx->diag, -ENOMEM, "out of memory");
    }
    rc = rc < 0 ? rc : apply(&job);
    onion_live_close(&job.told);
    hs_tor_close(&job.tor);
    hs_findings_clear(&job.findings);
    hs_targets_clear(&job.targets);
    free(job.sights);
    return rc;
}

extern const struct nk_cmd nk_cmd_hs_apply;
const struct nk_cmd nk_cmd_hs_apply = {
    .synopsis = "DIR.. --pid N|--pid-file FILE|--control ADDR [--port PORT[:TARGET]].. "
                "[--restrict|--allow-public] [--wait TIME]",
    .summary = "Check directories of keys, then let tor read them again",
    .opts = opts,
    .conf_size = sizeof(struct apply_conf),
    .min_args = 1,
    .max_args = -1,
    .flags = NK_CMD_NO_CONFIG,
    .run = run,
};
