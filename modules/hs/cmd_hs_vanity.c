/* SPDX-License-Identifier: MIT */
/* netkit hs vanity: onion addresses that begin as one wants. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cmd.h"
#include "base/file.h"
#include "base/json.h"
#include "core/app.h"
#include "core/clock.h"
#include "core/signal.h"
#include "core/work.h"
#include "hs/ctor_dir.h"
#include "hs/format.h"
#include "hs/vanity.h"
#include "hs/vanity_checkpoint.h"
#include "hs/vanity_progress.h"

#define SAVE_MS 60000u          /* between two checkpoints */
#define MEASURE_MS 2000u        /* of --estimate */
#define LN_2 0.693147180559945  /* after mean·ln 2 half of all searches have ended */
#define LN_20 2.995732273553991 /* and 19 of 20 after mean·ln 20 */
#define WORDS_MAX ((size_t)4 << 20)
#define DIR_FORMAT "ctor-dir" /* the --format that is a directory */

struct vanity_conf {
    char *words, *output, *format, *checkpoint;
    int64_t count, threads;
    int kernel;
    bool estimate;
};

/* The order of --kernel. */
enum kernel_choice { KERNEL_AUTO, KERNEL_PORTABLE, KERNEL_IFMA };
static const char *const kernel_names[] = {"auto", "portable", "avx512-ifma", NULL};

static const struct nk_opt opts[] = {
    {.name = "words",
     .short_name = 'f',
     .type = NK_OPT_PATH,
     .offset = NK_FIELD(struct vanity_conf, words),
     .arg = "FILE",
     .help = "Look for the beginnings in this file too, one per line ('-': standard input); empty "
             "lines and those that begin with '#' do not count"},
    {.name = "count",
     .short_name = 'n',
     .type = NK_OPT_INT,
     .offset = NK_FIELD(struct vanity_conf, count),
     .arg = "N",
     .min = 1,
     .max = HS_VANITY_FOUND_MAX,
     .help = "End after so many results, those that a checkpoint names included; without it 1, or "
             "what the checkpoint says"},
    {.name = "output",
     .short_name = 'o',
     .type = NK_OPT_PATH,
     .offset = NK_FIELD(struct vanity_conf, output),
     .arg = "DIR",
     .def = ".",
     .flags = NK_OPT_MAY_MISS,
     .help = "Directory for the results; made when it is missing"},
    {.name = "format",
     .type = NK_OPT_STRING,
     .offset = NK_FIELD(struct vanity_conf, format),
     .arg = "FORMAT",
     .def = DIR_FORMAT,
     .help = "What is written for each result: 'ctor-dir', a HiddenServiceDir ADDRESS.onion as tor "
             "has it, or a file ADDRESS.onion.FORMAT in one of the formats of 'hs convert' that "
             "have the secret key"},
    {.name = "threads",
     .short_name = 't',
     .type = NK_OPT_INT,
     .offset = NK_FIELD(struct vanity_conf, threads),
     .arg = "N",
     .min = 0,
     .max = 1024,
     .def = "0",
     .help = "Threads; 0: one for each processor"},
    {.name = "checkpoint",
     .type = NK_OPT_PATH,
     .offset = NK_FIELD(struct vanity_conf, checkpoint),
     .arg = "FILE",
     .flags = NK_OPT_MAY_MISS,
     .help = "Note in this file what was found and done, every minute and at the end; go on where "
             "it exists. It has no secret in it"},
    {.name = "estimate",
     .type = NK_OPT_FLAG,
     .offset = NK_FIELD(struct vanity_conf, estimate),
     .help = "Measure for two seconds and say how long the search would take; write nothing"},
    {.name = "kernel",
     .type = NK_OPT_ENUM,
     .offset = NK_FIELD(struct vanity_conf, kernel),
     .arg = "NAME",
     .def = "auto",
     .choices = kernel_names,
     .flags = NK_OPT_HIDDEN,
     .help = "Inner loop: for measurements"},
    NK_OPT_END};

/* A run of the command. */
struct job {
    struct nk_cmd_ctx *ctx;
    const struct vanity_conf *conf;
    enum hs_format format; /* HS_DETECT: the directory */
    struct hs_vanity_checkpoint state;
    uint64_t found, tried; /* found: with earlier runs; tried: in this one */
    double odds;
    struct nk_app *app;
    struct hs_vanity *search;
    struct hs_vanity_progress progress;
    struct nk_timer save, end;
    uint64_t begun_ms;
    int status; /* of the run, when it is not a signal */
};

static bool over(const struct job *x)
{
    return x->status < 0 || (!x->conf->estimate && x->found >= x->state.wanted);
}

static void finish(struct job *x, int status)
{
    if (x->status == 0) {
        x->status = status;
    }
    hs_vanity_stop(x->search);
    nk_app_stop(x->app, 0);
}

/* One file per result. */
static int write_file(struct job *x, const char *path, const struct hs_identity *k)
{
    struct hs_item item;
    struct nk_buf text;
    nk_buf_init_secret(&text, HS_FORMAT_MAX);
    hs_item_from_identity(&item, k);
    int rc = hs_format_write(&item, x->format, &text, &x->ctx->diag);
    if (rc == 0) {
        rc = nk_file_write(path, 0, nk_buf_ptr(&text), nk_buf_len(&text), &x->ctx->diag);
    }
    nk_buf_clear(&text);
    hs_item_wipe(&item);
    return rc;
}

static int write_hit(struct job *x, const struct hs_identity *k, const char *address, char *path,
                     size_t max)
{
    char name[128];
    const bool dir = x->format == HS_DETECT;
    (void)snprintf(name, sizeof(name), "%s%s%s", address, dir ? "" : ".",
                   dir ? "" : hs_format_info(x->format)->name);
    if (nk_path_join(path, max, x->conf->output, name) < 0) {
        return nk_fail(&x->ctx->diag, NK_ETOOBIG, "%s: the path is too long", x->conf->output);
    }
    if (x->ctx->globals->dry_run) {
        return 0;
    }
    return dir ? hs_ctor_dir_write(path, k, &x->ctx->diag) : write_file(x, path, k);
}

static void print_hit(struct job *x, const char *address, const char *pattern, const char *path)
{
    hs_vanity_progress_clean(&x->progress);
    if (x->ctx->globals->json) {
        struct nk_buf out;
        struct nk_json j;
        nk_buf_init(&out, 4 * NK_PATH_MAX);
        nk_json_init(&j, &out, false);
        nk_json_object(&j);
        nk_json_kv_str(&j, "address", address);
        nk_json_kv_str(&j, "pattern", pattern);
        nk_json_kv_str(&j, "path", path);
        nk_json_close(&j);
        if (nk_json_end(&j) == 0) {
            printf("%.*s\n", (int)nk_buf_len(&out), (const char *)nk_buf_ptr(&out));
        }
        nk_buf_clear(&out);
    } else {
        printf("%s\n", address);
    }
    (void)fflush(stdout); /* a failure is found at the end, by whoever closes it */
}

static void on_hit(void *owner, const struct hs_vanity_hit *hit)
{
    struct job *x = owner;
    char address[NK_ONION_SIZE], path[NK_PATH_MAX];
    if (over(x) || x->conf->estimate) {
        return; /* one more than wanted: forgotten */
    }
    const char *pattern = x->state.patterns.v[hit->pattern];
    nk_onion_format(address, hit->identity.pub);
    int rc = hs_vanity_pattern_fits(pattern, address)
                 ? write_hit(x, &hit->identity, address, path, sizeof(path))
                 : nk_fail(&x->ctx->diag, NK_EINTERNAL, "%s is not what was looked for", address);
    if (rc == 0 && (rc = hs_vanity_checkpoint_found(&x->state, address)) < 0) {
        nk_fail_sys(&x->ctx->diag, rc, "%s was written to %s; but then", address, path);
    }
    if (rc == 0) {
        x->found++;
        nk_audit(x->ctx->log, "hs", NK_LOG_INFO, "key.created", NULL, "vanity address %.12s.. %s",
                 address, path);
        print_hit(x, address, pattern, path);
    }
    if (rc < 0 || over(x)) {
        finish(x, rc);
    }
}

static void on_slice(void *owner)
{
    struct job *x = owner;
    x->tried = hs_vanity_tried(x->search);
}

static void on_fail(void *owner, int status)
{
    struct job *x = owner;
    finish(x, nk_fail_sys(&x->ctx->diag, status, "the search cannot go on"));
}

/* The file as it would be if the run ended now. */
static int save(struct job *x, struct nk_diag *diag)
{
    if (!x->conf->checkpoint || x->conf->estimate || x->ctx->globals->dry_run) {
        return 0;
    }
    struct hs_vanity_checkpoint c = x->state; /* borrows the lists */
    c.tried += x->tried;
    c.busy_ms += nk_now_ms(x->app) - x->begun_ms;
    return hs_vanity_checkpoint_save(x->conf->checkpoint, &c, diag);
}

static void on_save(void *owner)
{
    struct job *x = owner;
    int rc = save(x, &x->ctx->diag);
    if (rc < 0) {
        finish(x, rc);
        return;
    }
    nk_timer_start(&x->save, SAVE_MS);
}

static void on_end(void *owner)
{
    struct job *x = owner;
    finish(x, x->conf->estimate ? 0
                                : nk_fail(&x->ctx->diag, -ETIMEDOUT,
                                          "%" PRIu64 " of %" PRIu64 " addresses found in time",
                                          x->found, x->state.wanted));
}

static int add_words(struct job *x, const char *path)
{
    struct nk_buf text;
    nk_buf_init(&text, WORDS_MAX);
    int rc = nk_file_read(path, 0, &text, &x->ctx->diag);
    const char *s = rc == 0 ? nk_buf_str(&text) : "";
    if (!s) {
        rc = nk_fail_sys(&x->ctx->diag, -ENOMEM, "%s", path);
    }
    while (rc == 0 && *s) {
        const size_t line = strcspn(s, "\n"), word = strcspn(s, "\r\n");
        if (word > 0 && *s != '#' && nk_strlist_add(&x->state.patterns, s, word) < 0) {
            rc = nk_fail_sys(&x->ctx->diag, -ENOMEM, "%s", path);
        }
        s += line + (s[line] == '\n');
    }
    nk_buf_clear(&text);
    return rc;
}

static int read_patterns(struct job *x)
{
    for (int i = 0; i < x->ctx->argc; i++) {
        if (nk_strlist_add(&x->state.patterns, x->ctx->argv[i], strlen(x->ctx->argv[i])) < 0) {
            return nk_fail_sys(&x->ctx->diag, -ENOMEM, "beginnings of addresses");
        }
    }
    return x->conf->words ? add_words(x, x->conf->words) : 0;
}

static bool same_list(const struct nk_strlist *a, const struct nk_strlist *b)
{
    bool same = a->n == b->n;
    for (size_t i = 0; i < a->n && same; i++) {
        same = strcmp(a->v[i], b->v[i]) == 0;
    }
    return same;
}

/* What an earlier run left; patterns that are given again must be the same ones. */
static int resume(struct job *x)
{
    struct hs_vanity_checkpoint old = {0};
    int rc = hs_vanity_checkpoint_load(x->conf->checkpoint, &old, &x->ctx->diag);
    if (rc == -ENOENT) {
        x->ctx->diag = (struct nk_diag){0};
        return 0;
    }
    if (rc == 0 && x->state.patterns.n && !same_list(&x->state.patterns, &old.patterns)) {
        rc = nk_fail(&x->ctx->diag, NK_EUSAGE, "%s is of a search for something else",
                     x->conf->checkpoint);
        nk_hint(&x->ctx->diag, "give no beginnings to go on with it, or name another file");
    }
    if (rc < 0) {
        hs_vanity_checkpoint_clear(&old);
        return rc;
    }
    hs_vanity_checkpoint_clear(&x->state);
    x->state = old;
    if (x->conf->count) {
        x->state.wanted = (uint64_t)x->conf->count;
    }
    x->found = old.found.n;
    return 0;
}

static int check_format(struct job *x)
{
    x->format = HS_DETECT;
    if (strcmp(x->conf->format, DIR_FORMAT) == 0) {
        return 0;
    }
    x->format = hs_format_by_name(x->conf->format);
    if (x->format == HS_DETECT) {
        return nk_fail(&x->ctx->diag, NK_EUSAGE, "--format: '%s' is not known", x->conf->format);
    }
    const unsigned holds = hs_format_info(x->format)->holds;
    if (!(holds & HS_HOLDS_IDENTITY) || !(holds & HS_HOLDS_SECRET) || (holds & HS_HOLDS_SEED)) {
        return nk_fail(&x->ctx->diag, NK_EUSAGE,
                       "--format: '%s' cannot hold the secret key of a service that was searched "
                       "for (it has no seed)",
                       x->conf->format);
    }
    return 0;
}

/* Everything that can be wrong before the work begins. */
static int prepare(struct job *x, struct hs_vanity_filter **filter)
{
    struct nk_diag *diag = &x->ctx->diag;
    x->state.wanted = x->conf->count ? (uint64_t)x->conf->count : 1;
    int rc = check_format(x);
    rc = rc < 0 ? rc : read_patterns(x);
    rc = rc < 0 || !x->conf->checkpoint ? rc : resume(x);
    if (rc == 0 && x->state.patterns.n == 0) {
        rc = nk_fail(diag, NK_EUSAGE, "what should the address begin with?");
        nk_hint(diag, "netkit hs vanity WORD..");
    }
    rc = rc < 0 ? rc : hs_vanity_filter_new(filter, &x->state.patterns, diag);
    if (rc == 0 && !x->conf->estimate && !x->ctx->globals->dry_run) {
        rc = nk_mkdirs(x->conf->output, diag);
        if (rc == 0 && access(x->conf->output, W_OK) < 0) {
            rc = nk_fail_sys(diag, -errno, "%s", x->conf->output);
        }
    }
    return rc;
}

static const struct hs_vanity_kernel *choose_kernel(struct job *x)
{
    const struct hs_vanity_kernel *k = NULL;
    if (x->conf->kernel == KERNEL_AUTO) {
        return hs_vanity_kernel_best();
    }
    for (unsigned i = 0; (k = hs_vanity_kernel_at(i)); i++) {
        if (strcmp(k->name, kernel_names[x->conf->kernel]) == 0 && k->usable()) {
            return k;
        }
    }
    (void)nk_fail(&x->ctx->diag, NK_EUNSUPPORTED, "--kernel %s: not on this processor",
                  kernel_names[x->conf->kernel]);
    return NULL;
}

static void print_estimate(const struct job *x, double seconds)
{
    const double rate = (double)x->tried / seconds;
    char a[64], b[64], c[64], d[64];
    const double mean = 1 / x->odds / rate, half = mean * LN_2, most = mean * LN_20;
    if (x->ctx->globals->json) {
        printf("{\"schema\":1,\"odds\":%.6g,\"tried\":%" PRIu64
               ",\"seconds\":%.3f,\"keys_per_s\":%.0f,\"mean_s\":%.3f,\"half_s\":%.3f,"
               "\"p95_s\":%.3f}\n",
               x->odds, x->tried, seconds, rate, mean, half, most);
        return;
    }
    printf("one address in %s; %.1f million/s\n", hs_vanity_count_text(a, sizeof(a), 1 / x->odds),
           rate / 1e6);
    printf("on average %s, half of all searches take less than %s, one of 20 more than %s\n",
           hs_vanity_time_text(b, sizeof(b), mean), hs_vanity_time_text(c, sizeof(c), half),
           hs_vanity_time_text(d, sizeof(d), most));
}

/* The last line of --json; without it what was found stands there already. */
static void print_sum(const struct job *x, double seconds)
{
    if (x->conf->estimate) {
        print_estimate(x, seconds);
    } else if (x->ctx->globals->json) {
        printf("{\"schema\":1,\"found\":%" PRIu64 ",\"wanted\":%" PRIu64 ",\"tried\":%" PRIu64
               ",\"seconds\":%.3f,\"all_tried\":%" PRIu64 ",\"all_seconds\":%.3f}\n",
               x->found, x->state.wanted, x->tried, seconds, x->state.tried + x->tried,
               (double)x->state.busy_ms / 1e3 + seconds);
    }
}

static int start(struct job *x, const struct hs_vanity_filter *filter)
{
    static const struct hs_vanity_ops ops = {
        .on_hit = on_hit, .on_slice = on_slice, .on_fail = on_fail};
    const unsigned cores = nk_work_threads(NK_LANE_SEARCH);
    const struct nk_app_conf app = {.log = x->ctx->log, .state_dir = x->ctx->globals->state_dir};
    struct hs_vanity_conf conf = {.filter = filter, .ops = &ops, .owner = x};
    conf.kernel = choose_kernel(x);
    conf.threads =
        x->conf->threads > 0 && x->conf->threads < cores ? (unsigned)x->conf->threads : cores;
    if (!conf.kernel) {
        return NK_EUNSUPPORTED;
    }
    int rc = nk_app_new(&x->app, &app, &x->ctx->diag);
    if (rc < 0) {
        return rc;
    }
    nk_timer_init(&x->save, x->app, on_save, x);
    nk_timer_init(&x->end, x->app, on_end, x);
    rc = nk_signal_oneshot_guard(x->app);
    rc = rc < 0 ? rc : hs_vanity_start(x->app, &conf, &x->search);
    if (rc < 0) {
        return nk_fail_sys(&x->ctx->diag, rc, "the search cannot begin");
    }
    nk_info(x->ctx->log, "hs", "%u threads, %s", conf.threads, conf.kernel->name);
    x->progress.tried = &x->tried;
    x->progress.found = &x->found;
    x->progress.wanted = x->state.wanted;
    x->progress.odds = x->odds;
    hs_vanity_progress_start(&x->progress, x->app, x->ctx->globals);
    nk_timer_start(&x->save, SAVE_MS);
    const uint64_t limit = x->conf->estimate ? MEASURE_MS : x->ctx->globals->timeout_ms;
    if (limit) {
        nk_timer_start(&x->end, limit);
    }
    return 0;
}

/* Search to the end. The positive result is that of a signal. */
static int search(struct job *x, const struct hs_vanity_filter *filter)
{
    struct nk_diag late = {0};
    x->odds = hs_vanity_filter_odds(filter);
    int rc = start(x, filter), signalled = 0;
    if (rc == 0) {
        const uint64_t begun_ns = nk_now_ns(x->app);
        x->begun_ms = nk_now_ms(x->app);
        signalled = nk_app_run(x->app);
        hs_vanity_progress_stop(&x->progress);
        nk_timer_stop(&x->save);
        nk_timer_stop(&x->end);
        hs_vanity_free(x->search); /* what the threads have found by now still counts */
        x->search = NULL;
        rc = x->status;
        const int saved = save(x, rc < 0 ? &late : &x->ctx->diag);
        print_sum(x, (double)(nk_now_ns(x->app) - begun_ns) / 1e9);
        if (rc == 0 && saved < 0) {
            rc = saved;
        } else if (saved < 0) {
            nk_error(x->ctx->log, "hs", "%s", late.text);
        }
    }
    if (x->app) {
        nk_app_free(x->app);
    }
    return rc < 0 ? rc : over(x) ? 0 : signalled;
}

static int run(struct nk_cmd_ctx *ctx)
{
    struct job x = {.ctx = ctx, .conf = ctx->conf};
    struct hs_vanity_filter *filter = NULL;
    int rc = prepare(&x, &filter);
    if (rc == 0 && over(&x)) {
        nk_info(ctx->log, "hs", "%s: all were found already", x.conf->checkpoint);
        print_sum(&x, 0);
    } else if (rc == 0) {
        rc = search(&x, filter);
    }
    hs_vanity_filter_free(filter);
    hs_vanity_checkpoint_clear(&x.state);
    return rc;
}

extern const struct nk_cmd nk_cmd_hs_vanity;
const struct nk_cmd nk_cmd_hs_vanity = {
    .synopsis = "[-n N] [-o DIR] [--format FORMAT] [--checkpoint FILE] [-f FILE] [WORD..]",
    .summary = "Search for onion addresses that begin with a word",
    .opts = opts,
    .conf_size = sizeof(struct vanity_conf),
    .max_args = -1,
    .flags = NK_CMD_NO_CONFIG,
    .run = run,
};
