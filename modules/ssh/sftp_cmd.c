/* SPDX-License-Identifier: MIT */
#include "ssh/sftp_cmd.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/progress.h"
#include "core/app.h"
#include "core/clock.h"
#include "core/signal.h"
#include "core/timer.h"
#include "ssh/client.h"
#include "ssh/transfer.h"

#define MIB (1024.0 * 1024.0)

/* clang-format off */
const struct nk_opt sftp_cmd_rows[] = {
    {.name = "recursive", .short_name = 'r', .type = NK_OPT_FLAG,
     .offset = NK_FIELD(struct sftp_cmd_conf, recursive), .flags = NK_OPT_CLI_ONLY,
     .help = "Directories, too, with all that is in them"},
    {.name = "resume", .type = NK_OPT_FLAG,
     .offset = NK_FIELD(struct sftp_cmd_conf, resume), .flags = NK_OPT_CLI_ONLY,
     .help = "Go on where an earlier transfer ended"},
    {.name = "preserve", .short_name = 'p', .type = NK_OPT_FLAG,
     .offset = NK_FIELD(struct sftp_cmd_conf, preserve), .flags = NK_OPT_CLI_ONLY,
     .help = "Keep modes and times"},
    {.name = "sync", .type = NK_OPT_FLAG,
     .offset = NK_FIELD(struct sftp_cmd_conf, sync), .flags = NK_OPT_CLI_ONLY,
     .help = "Have each file on the disk before it gets its name"},
    SFTP_LINK_ROWS(struct sftp_cmd_conf, link),
    NK_OPT_END};
/* clang-format on */

struct work {
    struct nk_cmd_ctx *ctx;
    struct nk_app *app;
    struct ssh_transfer *transfer;
    struct ssh_transfer_conf conf;
    struct sftp_link link;
    char *host; /* of the words, without their paths */
    struct nk_timer tick, timeout;
    uint64_t started_ms, total_ms;
    unsigned failed;
    struct nk_progress progress;
    bool ended;
    struct nk_diag why;
};

/* ---- how far it is -------------------------------------------------------------------------- */

static int put_json(char *text, size_t max, const struct ssh_transfer_state *s, uint64_t ms)
{
    return snprintf(text, max,
                    "{\"bytes\":%" PRIu64 ",\"total\":%" PRIu64 ",\"files\":%" PRIu64
                    ",\"had\":%" PRIu64 ",\"left_out\":%" PRIu64 ",\"failed\":%" PRIu64
                    ",\"ms\":%" PRIu64 "}",
                    s->bytes, s->total, s->files, s->had, s->left, s->failed, ms);
}

static int put_text(char *text, size_t max, const struct ssh_transfer_state *s, uint64_t ms)
{
    const double mib = (double)s->bytes / MIB;
    return snprintf(text, max, "%" PRIu64 " file(s), %.1f of %.1f MiB, %.1f MiB/s", s->files, mib,
                    (double)s->total / MIB, ms > 0 ? mib * 1000.0 / (double)ms : 0.0);
}

static void put_state(bool json, char *text, size_t max, const struct ssh_transfer_state *s,
                      uint64_t ms)
{
    if (json) {
        (void)put_json(text, max, s, ms);
    } else {
        (void)put_text(text, max, s, ms);
    }
}

static void on_tick(void *owner)
{
    struct work *w = owner;
    struct ssh_transfer_state s;
    char text[256];
    ssh_transfer_state(w->transfer, &s);
    put_state(w->progress.mode == NK_PROGRESS_JSON, text, sizeof(text), &s,
              nk_now_ms(w->app) - w->started_ms);
    nk_progress_say(&w->progress, text);
    nk_timer_start(&w->tick, nk_progress_pause_ms(&w->progress));
}

static void start_progress(struct work *w)
{
    nk_progress_open(&w->progress, w->ctx->globals, false);
    if (w->progress.mode != NK_PROGRESS_NONE) {
        nk_timer_start(&w->tick, NK_PROGRESS_FIRST_MS);
    }
}

/* ---- what happens --------------------------------------------------------------------------- */

/* The first failure is told at the end, by main. */
static void on_note(void *owner, int rc, const char *text)
{
    struct work *w = owner;
    w->failed += rc < 0;
    if (rc < 0 ? w->failed > 1 : !w->ctx->globals->quiet) {
        nk_progress_clean(&w->progress);
        (void)fprintf(stderr, "netkit sftp %s: %s\n", w->conf.put ? "put" : "get", text);
    }
}

static void stop(struct work *w, int rc)
{
    w->ended = true;
    w->total_ms = nk_now_ms(w->app) - w->started_ms;
    nk_app_stop(w->app, rc);
}

static void on_done(void *owner, int rc, const struct nk_diag *why)
{
    struct work *w = owner;
    if (w->ended) {
        return; /* on_lost has said why */
    }
    if (rc < 0) {
        w->ctx->diag = *why;
    }
    stop(w, rc);
}

static void on_timeout(void *owner)
{
    struct work *w = owner;
    stop(w, nk_fail(&w->ctx->diag, -ETIMEDOUT, "not done within the time allowed"));
}

static void on_ready(void *owner, struct nk_stream *take_stream)
{
    struct work *w = owner;
    if (w->link.client) { /* this session is all that is wanted of it */
        ssh_client_no_more_sessions(w->link.client);
    }
    int rc = ssh_transfer_start(&w->transfer, &w->conf, take_stream);
    if (rc < 0) {
        stop(w, nk_fail_sys(&w->ctx->diag, rc, "cannot begin"));
    } else {
        start_progress(w);
    }
}

/* It knows better than the stream above it why that ended. */
static void on_lost(void *owner, int rc, const struct nk_diag *why)
{
    struct work *w = owner;
    if (rc < 0) {
        w->ctx->diag = *why;
        stop(w, rc);
    } else {
        stop(w, nk_fail(&w->ctx->diag, NK_ECLOSED, "the connection has ended"));
    }
}

static int go(struct work *w)
{
    const struct nk_cmd_ctx *ctx = w->ctx;
    const struct sftp_cmd_conf *c = ctx->conf;
    const struct nk_app_conf app_conf = {.log = ctx->log,
                                         .launcher = ctx->launcher,
                                         .state_dir = ctx->globals->state_dir,
                                         .ini = ctx->ini};
    int rc = nk_app_new(&w->app, &app_conf, &w->ctx->diag);
    if (rc < 0) {
        return rc;
    }
    w->started_ms = nk_now_ms(w->app);
    w->conf.app = w->app;
    w->link = (struct sftp_link){
        .ctx = ctx, .app = w->app, .ready = on_ready, .failed = on_lost, .owner = w};
    nk_timer_init(&w->tick, w->app, on_tick, w);
    nk_timer_init(&w->timeout, w->app, on_timeout, w);
    if (ctx->globals->timeout_ms > 0) {
        nk_timer_start(&w->timeout, ctx->globals->timeout_ms);
    }
    rc = nk_signal_oneshot_guard(w->app);
    rc = rc < 0 ? nk_fail_sys(&w->ctx->diag, rc, "signals")
                : sftp_link_open(&w->link, &c->link, w->host, &w->ctx->diag);
    return rc < 0 ? rc : nk_app_run(w->app);
}

static int report(struct work *w, int rc)
{
    struct ssh_transfer_state s = {0};
    char text[256];
    if (w->transfer) {
        ssh_transfer_state(w->transfer, &s);
    }
    put_state(w->ctx->globals->json, text, sizeof(text), &s, w->total_ms);
    if ((w->ctx->globals->json || (rc == 0 && !w->ctx->globals->quiet)) &&
        (puts(text) < 0 || fflush(stdout) != 0)) {
        return rc < 0 ? rc : nk_fail(&w->ctx->diag, NK_EOUTPUT, "%s", nk_strerror(NK_EOUTPUT));
    }
    return rc;
}

/* ---- words ---------------------------------------------------------------------------------- */

/* What follows HOST: in a word; NULL where there is no host. [..] may hold colons. */
static char *path_of(char *word)
{
    char *from = word[0] == '[' ? strchr(word, ']') : word;
    char *colon = from ? strchr(from, ':') : NULL;
    const char *slash = strchr(word, '/');
    return colon && (!slash || colon < slash) ? colon + 1 : NULL;
}

/* The paths of the server without their host, which must be the same for all. */
static int read_words(struct work *w, const struct sftp_link_conf *conf, char **paths)
{
    const struct nk_cmd_ctx *ctx = w->ctx;
    const int n = ctx->argc - 1;
    const int first = w->conf.put ? n : 0, last = w->conf.put ? n : n - 1;
    for (int i = 0; i <= n; i++) {
        paths[i] = ctx->argv[i];
        if (i >= first && i <= last) {
            paths[i] = path_of(ctx->argv[i]);
            const size_t host = paths[i] ? (size_t)(paths[i] - ctx->argv[i]) : 0;
            if (!paths[i] || strncmp(ctx->argv[i], ctx->argv[first], host) != 0) {
                return nk_fail(&w->ctx->diag, NK_EUSAGE,
                               paths[i] ? "%s is on another host" : "%s names no host (HOST:PATH)",
                               ctx->argv[i]);
            }
        }
    }
    const size_t length = (size_t)(paths[first] - ctx->argv[first]) - 1;
    w->host = strndup(ctx->argv[first], length);
    if (!w->host || (length == 0 && !conf->connect)) {
        return !w->host ? -ENOMEM
                        : nk_fail(&w->ctx->diag, NK_EUSAGE, "%s names no host (HOST:PATH)",
                                  ctx->argv[first]);
    }
    w->conf.from = paths;
    w->conf.from_n = (size_t)n;
    w->conf.to = paths[n];
    return 0;
}

int sftp_cmd_run(struct nk_cmd_ctx *ctx, bool put)
{
    const struct sftp_cmd_conf *c = ctx->conf;
    struct work w = {.ctx = ctx};
    char **paths = calloc((size_t)ctx->argc, sizeof(*paths));
    w.conf = (struct ssh_transfer_conf){.put = put,
                                        .recursive = c->recursive,
                                        .resume = c->resume,
                                        .preserve = c->preserve,
                                        .sync = c->sync,
                                        .umask = ctx->globals->umask,
                                        .note = on_note,
                                        .done = on_done,
                                        .owner = &w};
    int rc = paths ? read_words(&w, &c->link, paths) : -ENOMEM;
    rc = rc < 0 ? rc : go(&w);
    nk_progress_clean(&w.progress);
    if (w.ended) {
        rc = report(&w, rc);
    }
    if (w.app) {
        nk_timer_stop(&w.tick);
        nk_timer_stop(&w.timeout);
        ssh_transfer_free(w.transfer);
        sftp_link_close(&w.link);
        nk_app_free(w.app);
    }
    free(w.host);
    free(paths);
    return rc;
}
