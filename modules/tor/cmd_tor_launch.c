/* SPDX-License-Identifier: MIT */
/* netkit tor launch: a tor of our own in the foreground, or around a program. */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cli.h"
#include "base/file.h"
#include "base/json.h"
#include "core/app.h"
#include "core/foreground.h"
#include "core/signal.h"
#include "core/timer.h"
#include "tor/launch.h"
#include "tor/progress.h"
#include "tor/torrc.h"

#define PROGRAM_END_MS 8000u /* from TERM to KILL for the program when tor has gone */
enum { ENV_MAX = 8, ENV_SIZE = NK_PATH_MAX + 64, OUT_MAX = 8192 };

struct launch_conf {
    char *data_dir, *socks, *binary, *user, *seed;
    struct nk_strlist torrc;
};

#define ROW(field) .offset = NK_FIELD(struct launch_conf, field)
static const struct nk_opt opts[] = {
    {.name = "data-dir",
     .type = NK_OPT_PATH,
     ROW(data_dir),
     .arg = "DIR",
     .flags = NK_OPT_MAY_MISS,
     .help = "Tor's data directory, kept for the next time; default: a temporary one"},
    {.name = "socks",
     .type = NK_OPT_STRING,
     ROW(socks),
     .arg = "auto|PORT|0|unix[:PATH]",
     .def = "auto",
     .help = "Where it offers SOCKS: a free port of this machine, a port, nowhere, or a socket"},
    {.name = "tor-binary",
     .type = NK_OPT_STRING,
     ROW(binary),
     .arg = "FILE",
     .def = "tor",
     .help = "The program: a path, or a name that is looked for in PATH and the usual places"},
    {.name = "torrc",
     .type = NK_OPT_STRING,
     ROW(torrc),
     .arg = "LINE",
     .flags = NK_OPT_REPEAT,
     .help = "A further line of its configuration, such as 'Bridge ..' or 'ClientTransportPlugin "
             "..'"},
    {.name = "user",
     .type = NK_OPT_STRING,
     ROW(user),
     .arg = "USER",
     .help = "Who tor runs as, when root starts it"},
    {.name = "seed",
     .type = NK_OPT_PATH,
     ROW(seed),
     .arg = "DIR",
     .help = "Data directory of another tor, whose knowledge of the network is copied; default: "
             "that of the user's global one"},
    NK_OPT_END};

/* One run. */
struct job {
    struct nk_cmd_ctx *ctx;
    const struct launch_conf *conf;
    struct nk_app *app;
    struct tor_launch *launch;
    struct tor_progress progress;
    struct nk_foreground *program;
    struct nk_signal *signals[3];
    struct nk_timer kill;
    int result; /* of the command */
};

static const int ends[] = {SIGTERM, SIGINT, SIGHUP};
enum { ENDS = sizeof(ends) / sizeof(*ends) };

static void close_signals(struct job *job)
{
    for (size_t i = 0; i < ENDS; i++) {
        nk_signal_close(job->signals[i]);
        job->signals[i] = NULL;
    }
}

/* --- what others need to know of it ----------------------------------------------------------- */

struct facts {
    char cookie[NK_PATH_MAX];
    const char *socks, *control, *data;
    int pid;
};

static struct facts facts_of(const struct job *job)
{
    struct facts f = {.socks = tor_launch_socks(job->launch),
                      .control = tor_launch_address(job->launch),
                      .data = tor_launch_data_dir(job->launch),
                      .pid = (int)tor_launch_pid(job->launch)};
    if (nk_path_join(f.cookie, sizeof(f.cookie), f.data, "control_auth_cookie") < 0) {
        f.cookie[0] = '\0';
    }
    return f;
}

static int print_facts(struct job *job)
{
    const struct facts f = facts_of(job);
    struct nk_buf out;
    nk_buf_init(&out, OUT_MAX);
    if (job->ctx->globals->json) {
        struct nk_json j;
        nk_json_init(&j, &out, false);
        nk_json_object(&j);
        nk_json_kv_i64(&j, "schema", 1);
        nk_json_kv_i64(&j, "pid", f.pid);
        nk_json_kv_str(&j, "socks", f.socks[0] ? f.socks : NULL);
        nk_json_kv_str(&j, "control", f.control);
        nk_json_kv_str(&j, "cookie", f.cookie);
        nk_json_kv_str(&j, "data_dir", f.data);
        nk_json_close(&j);
        (void)nk_buf_puts(&out, "\n");
    } else {
        (void)nk_buf_printf(&out, "socks    %s\ncontrol  %s\n", f.socks[0] ? f.socks : "(none)",
                            f.control);
    }
    nk_cli_print(&out);
    nk_buf_clear(&out);
    return nk_cli_flush(&job->ctx->diag);
}

/* tor is not needed any more. */
static void on_program_end(void *owner, const struct nk_process_exit *how)
{
    struct job *job = owner;
    nk_timer_stop(&job->kill);
    if (job->result == 0) {
        job->result = nk_foreground_status(job->ctx, how, job->ctx->argv[0]);
    }
    nk_foreground_close(job->program);
    job->program = NULL;
    if (job->launch) {
        tor_launch_end(job->launch);
    } else {
        nk_app_stop(job->app, 0);
    }
}

/* NETKIT_TOR_.. for everybody who asks; ALL_PROXY for what already knows how to use a proxy, with
 * names resolved behind it (socks5h). */
static int start_program(struct job *job)
{
    static const char tcp[] = "tcp:";
    const struct facts f = facts_of(job);
    char text[ENV_MAX][ENV_SIZE], *env[ENV_MAX + 1] = {NULL};
    const struct {
        const char *name, *prefix, *value;
    } rows[] = {{"NETKIT_TOR_CONTROL", "", f.control}, {"NETKIT_TOR_COOKIE", "", f.cookie},
                {"NETKIT_TOR_DATA_DIR", "", f.data},   {"NETKIT_TOR_SOCKS", "", f.socks},
                {"ALL_PROXY", "socks5h://", f.socks},  {"all_proxy", "socks5h://", f.socks}};
    const bool is_tcp = strncmp(f.socks, tcp, sizeof(tcp) - 1) == 0;
    size_t n = 0;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        const bool proxy = rows[i].prefix[0] != '\0';
        if (rows[i].value[0] && (!proxy || is_tcp)) {
            (void)snprintf(text[n], sizeof(text[n]), "%s=%s%s", rows[i].name, rows[i].prefix,
                           rows[i].value + (proxy ? sizeof(tcp) - 1 : 0));
            env[n] = text[n];
            n++;
        }
    }
    close_signals(job); /* from now on they are the program's */
    return nk_foreground_start(job->app, job->ctx->argv, env, on_program_end, job, &job->program,
                               &job->ctx->diag);
}

/* --- its life --------------------------------------------------------------------------------- */

static void end(struct job *job, int result)
{
    if (job->result == 0) {
        job->result = result;
    }
    tor_launch_end(job->launch);
}

static void on_ready(struct job *job)
{
    const bool program = job->ctx->dashes >= 0;
    tor_progress_clean(&job->progress);
    int rc = program ? start_program(job) : print_facts(job);
    if (rc < 0) {
        end(job, rc);
    } else if (!program) {
        nk_info(job->ctx->log, "tor", "ready, SOCKS at %s", tor_launch_socks(job->launch));
    }
}

static void on_kill(void *owner)
{
    struct job *job = owner;
    (void)nk_foreground_kill(job->program, SIGKILL); /* -ESRCH: it is just ending */
}

/* Without tor the program would be cut off, or worse, go on without it. */
static void on_tor_end(struct job *job, int err, const struct nk_diag *why)
{
    tor_progress_clean(&job->progress);
    if (err < 0 && job->result == 0) {
        job->ctx->diag = *why;
        job->result = err;
    }
    tor_launch_close(job->launch);
    job->launch = NULL;
    if (!job->program) {
        nk_app_stop(job->app, 0);
        return;
    }
    nk_warn(job->ctx->log, "tor", "tor has ended, so %s is ended too", job->ctx->argv[0]);
    (void)nk_foreground_kill(job->program, SIGTERM);
    nk_timer_start(&job->kill, PROGRAM_END_MS);
}

static void on_launch(void *owner, enum tor_launch_event what, int err, const struct nk_diag *why)
{
    struct job *job = owner;
    switch (what) {
    case TOR_LAUNCH_PROGRESS:
        tor_progress_bootstrap(&job->progress, tor_launch_bootstrap(job->launch));
        break;
    case TOR_LAUNCH_READY:
        on_ready(job);
        break;
    case TOR_LAUNCH_ENDED:
        on_tor_end(job, err, why);
        break;
    default:
        break;
    }
}

/* Serving without a program, TERM and INT are the regular end; before it serves they are an end
 * like any other command's. */
static void on_signal(void *owner, int signum)
{
    struct job *job = owner;
    const bool served =
        job->ctx->dashes < 0 && tor_launch_bootstrap(job->launch)->percent == TOR_BOOTSTRAP_DONE;
    if (signum == SIGHUP && served) {
        return; /* its configuration does not change; 'tor signal reload' has it read again */
    }
    end(job, served ? 0 : NK_EXIT_SIGNAL + signum);
}

static int start(struct job *job)
{
    const struct launch_conf *c = job->conf;
    char seed[NK_PATH_MAX];
    struct tor_launch_conf conf = {.binary = c->binary,
                                   .data_dir = c->data_dir,
                                   .socks = c->socks,
                                   .user = c->user,
                                   .torrc = &c->torrc,
                                   .seed = c->seed,
                                   .timeout_ms = job->ctx->globals->timeout_ms,
                                   .fn = on_launch,
                                   .owner = job};
    if (!c->seed &&
        nk_path_join(seed, sizeof(seed), job->ctx->globals->state_dir, TOR_GLOBAL_DATA) == 0) {
        conf.seed = seed;
    }
    for (size_t i = 0; i < ENDS; i++) {
        int rc = nk_signal_watch(job->app, ends[i], on_signal, job, &job->signals[i]);
        if (rc < 0) {
            return nk_fail_sys(&job->ctx->diag, rc, "signals");
        }
    }
    return tor_launch_start(job->app, &conf, &job->launch, &job->ctx->diag);
}

static int run(struct nk_cmd_ctx *ctx)
{
    struct job job = {.ctx = ctx, .conf = ctx->conf};
    const struct nk_app_conf conf = {
        .log = ctx->log, .launcher = ctx->launcher, .state_dir = ctx->globals->state_dir};
    if (ctx->dashes > 0 || (ctx->dashes < 0 && ctx->argc > 0)) {
        return nk_fail(&ctx->diag, NK_EUSAGE, "a program stands behind '--'");
    }
    if (ctx->dashes == 0 && ctx->argc == 0) {
        return nk_fail(&ctx->diag, NK_EUSAGE, "there is no program behind '--'");
    }
    int rc = nk_app_new(&job.app, &conf, &ctx->diag);
    if (rc < 0) {
        return rc;
    }
    tor_progress_open(&job.progress, ctx->globals);
    nk_timer_init(&job.kill, job.app, on_kill, &job);
    rc = start(&job);
    if (rc == 0) {
        nk_app_run(job.app);
        rc = job.result;
    }
    nk_timer_stop(&job.kill);
    nk_foreground_close(job.program);
    tor_launch_close(job.launch);
    close_signals(&job);
    nk_app_free(job.app);
    return rc;
}

extern const struct nk_cmd nk_cmd_tor_launch;
const struct nk_cmd nk_cmd_tor_launch = {
    .synopsis = "[--data-dir DIR] [--socks auto|PORT|0|unix] [--torrc LINE].. [-- COMMAND ..]",
    .summary = "Start a tor of one's own, and a program that uses it",
    .opts = opts,
    .conf_size = sizeof(struct launch_conf),
    .max_args = -1,
    .flags = NK_CMD_EXEC | NK_CMD_NO_CONFIG,
    .run = run,
};
