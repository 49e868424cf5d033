/* SPDX-License-Identifier: MIT */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cli.h"
#include "base/codec.h"
#include "core/app.h"
#include "core/foreground.h"
#include "core/signal.h"
#include "core/timer.h"
#include "ssh/tunnel.h"

#define PLACE "{port}"

enum {
    DRAIN_MS = 10 * 1000,      /* for open connections, after the first TERM */
    PROGRAM_END_MS = 8 * 1000, /* from TERM to KILL for the program when the tunnel is gone */
    WORD_MAX = 64 * 1024,
    OUT_MAX = 4096
};

#define ROW(field) .offset = NK_FIELD(struct ssh_tunnel_conf, field)
/* clang-format off */
static const struct nk_opt shared_rows[] = {
    {.name = "user", .short_name = 'l', .type = NK_OPT_STRING, ROW(user), .arg = "USER",
     .flags = NK_OPT_RELOAD, .help = "Who to log in as"},
    {.name = "port", .short_name = 'p', .type = NK_OPT_INT, ROW(port), .arg = "PORT",
     .min = 0, .max = UINT16_MAX,
     .flags = NK_OPT_RELOAD, .help = "Port of the host's SSH server"},
    SSH_DEST_ROWS(struct ssh_tunnel_conf, dest),
    {.name = "local", .short_name = 'L', .type = NK_OPT_STRING, ROW(local),
     .arg = "[ADDRESS:]PORT:HOST:PORT", .flags = NK_OPT_REPEAT | NK_OPT_RELOAD,
     .help = "A port here that leads to what the host reaches; paths of sockets on both sides"},
    {.name = "remote", .short_name = 'R', .type = NK_OPT_STRING, ROW(remote),
     .arg = "[ADDRESS:]PORT[:HOST:PORT]", .flags = NK_OPT_REPEAT | NK_OPT_RELOAD,
     .help = "A port of the host that leads here; alone it is a SOCKS proxy"},
    {.name = "dynamic", .short_name = 'D', .type = NK_OPT_STRING, ROW(dynamic),
     .arg = "[ADDRESS:]PORT", .flags = NK_OPT_REPEAT | NK_OPT_RELOAD,
     .help = "A SOCKS proxy here, whose connections begin at the host"},
    {.name = "hold", .type = NK_OPT_DURATION, ROW(hold_ms), .arg = "TIME", .def = "30s",
     .max = 3600 * 1000,
     .flags = NK_OPT_RELOAD,
     .help = "New connections wait for so long while that to the host is made; 0: they fail"},
    {.name = "keepalive", .type = NK_OPT_DURATION, ROW(alive_ms), .arg = "TIME",
     .max = 24 * 3600 * 1000,
     .flags = NK_OPT_RELOAD,
     .help = "Ask the host for a sign of life after so long a silence; else ssh_config says, or "
             "15s"},
    NK_OPT_END};
/* clang-format on */

static const struct nk_opt opts[] = {
    {.name = "local-port",
     .type = NK_OPT_INT,
     ROW(local_port),
     .arg = "PORT",
     .min = 0,
     .max = UINT16_MAX,
     .flags = NK_OPT_CLI_ONLY,
     .help = "This port here instead of a free one"},
    {.name = "ready-fd",
     .type = NK_OPT_INT,
     ROW(ready_fd),
     .arg = "N",
     .min = 0,
     .max = INT32_MAX,
     .flags = NK_OPT_CLI_ONLY,
     .help = "Write the port to this descriptor when it is usable"},
    {.name = "reconnect",
     .type = NK_OPT_FLAG,
     ROW(reconnect),
     .help = "Make the connection again when it is lost"},
    NK_OPT_SHARED(shared_rows),
    NK_OPT_END};

static const struct nk_opt rows[] = {{.name = "host",
                                      .type = NK_OPT_STRING,
                                      ROW(host),
                                      .arg = "[USER@]HOST",
                                      .flags = NK_OPT_REQUIRED | NK_OPT_RELOAD,
                                      .help = "A host, or an alias of ssh_config"},
                                     {.name = "reconnect",
                                      .type = NK_OPT_BOOL,
                                      ROW(reconnect),
                                      .def = "yes",
                                      .flags = NK_OPT_RELOAD,
                                      .help = "Make the connection again when it is lost"},
                                     NK_OPT_SHARED(shared_rows),
                                     NK_OPT_END};

static const struct nk_section section = {
    .name = "tunnel",
    .named = true,
    .summary = "Forwards over an SSH host",
    .opts = rows,
    .conf_size = sizeof(struct ssh_tunnel_conf),
};

/* --- what others are told --------------------------------------------------------------------- */

static int tell_fd(int fd, uint16_t port, struct nk_diag *diag)
{
    char text[8];
    int n = snprintf(text, sizeof(text), "%u\n", port);
    if (fd > 0 && write(fd, text, (size_t)n) != n) {
        return nk_fail_sys(diag, errno ? -errno : -EIO, "--ready-fd %d", fd);
    }
    return 0;
}

static int print(const struct nk_cmd_ctx *ctx, uint16_t port, struct nk_diag *diag)
{
    const struct ssh_tunnel_conf *c = ctx->conf;
    struct nk_buf out;
    struct nk_json j;
    nk_buf_init(&out, OUT_MAX);
    int rc;
    if (ctx->globals->json) {
        nk_json_init(&j, &out, false);
        nk_json_object(&j);
        nk_json_kv_i64(&j, "schema", 1);
        nk_json_kv_str(&j, "address", "127.0.0.1");
        nk_json_kv_u64(&j, "port", port);
        nk_json_kv_str(&j, "host", ctx->argv[0]);
        nk_json_close(&j);
        rc = nk_cli_put_json(&j, diag);
    } else {
        rc = nk_buf_printf(&out, "%u\n", port);
        nk_cli_print(&out);
    }
    nk_buf_clear(&out);
    rc = rc < 0 ? rc : nk_cli_flush(diag);
    return rc < 0 ? rc : tell_fd((int)c->ready_fd, port, diag);
}

/* HOST and PORT; the latter was checked. */
static void fill(const struct nk_cmd_ctx *ctx, void *conf)
{
    struct ssh_tunnel_conf *c = conf;
    c->host = ctx->argv[0];
    c->remote_port = (uint16_t)strtoul(ctx->argv[1], NULL, 10);
    c->ctx = ctx;
    c->usable = ctx->dashes < 0 ? print : NULL;
}

/* --- around a program ------------------------------------------------------------------------- */

struct job {
    struct nk_cmd_ctx *ctx;
    struct ssh_tunnel_conf conf;
    struct nk_app *app;
    struct nk_service *tunnel;
    struct nk_foreground *program;
    struct nk_signal *signals[3];
    struct nk_timer kill;
    char **argv;
    int result;
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

static void on_program_end(void *owner, const struct nk_process_exit *how)
{
    struct job *job = owner;
    nk_timer_stop(&job->kill);
    if (job->result == 0) {
        job->result = nk_foreground_status(job->ctx, how, job->argv[0]);
    }
    nk_foreground_close(job->program);
    job->program = NULL;
    nk_app_stop(job->app, 0);
}

static int put_word(struct nk_buf *b, const char *word, uint16_t port)
{
    int rc = 0;
    for (const char *at; rc == 0 && (at = strstr(word, PLACE)) != NULL;
         word = at + sizeof(PLACE) - 1) {
        rc = nk_buf_put(b, word, (size_t)(at - word));
        rc = rc < 0 ? rc : nk_buf_printf(b, "%u", port);
    }
    return rc < 0 ? rc : nk_buf_puts(b, word);
}

static void free_words(struct job *job)
{
    for (char **p = job->argv; p && *p; p++) {
        free(*p);
    }
    free(job->argv);
}

static int make_words(struct job *job, uint16_t port)
{
    const struct nk_cmd_ctx *ctx = job->ctx;
    int n = ctx->argc - ctx->dashes, rc = 0;
    job->argv = calloc((size_t)n + 1, sizeof(*job->argv));
    for (int i = 0; job->argv && i < n && rc == 0; i++) {
        struct nk_buf b;
        nk_buf_init(&b, WORD_MAX);
        rc = put_word(&b, ctx->argv[ctx->dashes + i], port);
        const char *text = rc < 0 ? NULL : nk_buf_str(&b);
        job->argv[i] = text ? strdup(text) : NULL;
        rc = rc < 0 ? rc : job->argv[i] ? 0 : -ENOMEM;
        nk_buf_clear(&b);
    }
    return job->argv ? rc : -ENOMEM;
}

static int start_program(struct job *job)
{
    const uint16_t port = ssh_tunnel_port(job->tunnel);
    char text[40], *env[] = {text, NULL};
    (void)snprintf(text, sizeof(text), "NETKIT_TUNNEL_PORT=%u", port);
    int rc = make_words(job, port);
    if (rc < 0) {
        return nk_fail_sys(&job->ctx->diag, rc, "the program's words");
    }
    rc = tell_fd((int)job->conf.ready_fd, port, &job->ctx->diag);
    close_signals(job); /* from now on they are the program's */
    return rc < 0 ? rc
                  : nk_foreground_start(job->app, job->argv, env, on_program_end, job,
                                        &job->program, &job->ctx->diag);
}

static void on_ready(void *owner)
{
    struct job *job = owner;
    int rc = start_program(job);
    if (rc < 0) {
        job->result = rc;
        nk_app_stop(job->app, 0);
    }
}

static void on_kill(void *owner)
{
    const struct job *job = owner;
    (void)nk_foreground_kill(job->program, SIGKILL); /* -ESRCH: it is just ending */
}

/* Without the tunnel the program would hang, or worse, go on without it. */
static void on_tunnel_end(void *owner, int status, const struct nk_diag *diag)
{
    struct job *job = owner;
    job->result = status;
    if (diag) {
        job->ctx->diag = *diag;
    }
    if (!job->program) {
        nk_app_stop(job->app, 0);
        return;
    }
    nk_warn(job->ctx->log, "tunnel", "the tunnel is gone, so %s is ended too", job->argv[0]);
    (void)nk_foreground_kill(job->program, SIGTERM);
    nk_timer_start(&job->kill, PROGRAM_END_MS);
}

/* Before the program runs. */
static void on_signal(void *owner, int signum)
{
    struct job *job = owner;
    job->result = NK_EXIT_SIGNAL + signum;
    nk_app_stop(job->app, 0);
}

static int start(struct job *job)
{
    struct nk_cmd_ctx *ctx = job->ctx;
    const struct nk_service_args args = {.app = job->app,
                                         .conf = &job->conf,
                                         .ini = ctx->ini,
                                         .on_ready = on_ready,
                                         .on_end = on_tunnel_end,
                                         .owner = job};
    for (size_t i = 0; i < ENDS; i++) {
        int rc = nk_signal_watch(job->app, ends[i], on_signal, job, &job->signals[i]);
        if (rc < 0) {
            return nk_fail_sys(&ctx->diag, rc, "signals");
        }
    }
    return ssh_tunnel_service.start(&args, &job->tunnel, &ctx->diag);
}

static int run_program(struct nk_cmd_ctx *ctx)
{
    struct job job = {.ctx = ctx, .conf = *(const struct ssh_tunnel_conf *)ctx->conf};
    const struct nk_app_conf conf = {.log = ctx->log,
                                     .launcher = ctx->launcher,
                                     .state_dir = ctx->globals->state_dir,
                                     .ini = ctx->ini};
    fill(ctx, &job.conf);
    int rc = nk_app_new(&job.app, &conf, &ctx->diag);
    if (rc < 0) {
        return rc;
    }
    nk_timer_init(&job.kill, job.app, on_kill, &job);
    rc = start(&job);
    if (rc == 0) {
        (void)nk_app_run(job.app);
        rc = job.result;
    }
    nk_timer_stop(&job.kill);
    nk_foreground_close(job.program);
    if (job.tunnel) {
        ssh_tunnel_service.close(job.tunnel);
    }
    close_signals(&job);
    nk_app_free(job.app);
    free_words(&job);
    return rc;
}

static int run(struct nk_cmd_ctx *ctx)
{
    const int words = ctx->dashes < 0 ? ctx->argc : ctx->dashes;
    uint64_t port = 0;
    if (words != 2 || ctx->argc == ctx->dashes) {
        return nk_fail(&ctx->diag, NK_EUSAGE, "expected HOST PORT%s",
                       ctx->dashes < 0 ? "" : ", and a program behind '--'");
    }
    if (nk_parse_u64(ctx->argv[1], &port) < 0 || port == 0 || port > UINT16_MAX) {
        return nk_fail(&ctx->diag, NK_EUSAGE, "'%s' is no port", ctx->argv[1]);
    }
    return ctx->dashes < 0 ? nk_service_run_cmd_with(ctx, &ssh_tunnel_service, DRAIN_MS, NULL, fill)
                           : run_program(ctx);
}

extern const struct nk_cmd nk_cmd_tunnel;
const struct nk_cmd nk_cmd_tunnel = {
    .synopsis = "[--local-port PORT] [--ready-fd N] [--reconnect] [-L|-R|-D ..].. HOST PORT "
                "[-- COMMAND ..]",
    .summary = "A port of another machine, over SSH, for everybody here or for one program",
    .opts = opts,
    .conf_size = sizeof(struct ssh_tunnel_conf),
    .min_args = 2,
    .max_args = -1,
    .flags = NK_CMD_EXEC,
    .section = &section,
    .service = &ssh_tunnel_service,
    .run = run,
};
