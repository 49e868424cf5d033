/* SPDX-License-Identifier: MIT */
/*
 * Events as they come. What the reader of the output does not take is kept up to OUTPUT_MAX; then
 * events are left out and counted: neither this process nor tor, which would have to keep them,
 * grows with a slow reader.
 */
#include <ctype.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/app.h"
#include "core/stream.h"
#include "tor/cli.h"
#include "tor/given.h"
#include "tor/list.h"

enum {
    NAMES_MAX = 64, /* events that are subscribed to; tor 0.4.9 has 31 */
    NAME_SIZE = 32,
    FIRST_FD = 3
};
#define OUTPUT_MAX ((size_t)1 << 23)  /* the public network's NEWCONSENSUS is 3 MB as JSON */
#define OUTPUT_KEPT ((size_t)1 << 18) /* memory that is kept while nothing waits */

struct events_conf {
    struct tor_cli_conf cli;
    struct nk_strlist filter;
    bool raw;
    int64_t count;
};

static const struct nk_opt opts[] = {TOR_FILTER_ROW(struct events_conf, filter),
                                     {.name = "raw",
                                      .type = NK_OPT_FLAG,
                                      .offset = NK_FIELD(struct events_conf, raw),
                                      .flags = NK_OPT_CLI_ONLY,
                                      .help = "The lines as tor sends them"},
                                     {.name = "count",
                                      .short_name = 'n',
                                      .type = NK_OPT_INT,
                                      .offset = NK_FIELD(struct events_conf, count),
                                      .arg = "N",
                                      .min = 1,
                                      .max = INT64_MAX,
                                      .flags = NK_OPT_CLI_ONLY,
                                      .help = "End after N events; else go on until interrupted"},
                                     TOR_ROWS(struct events_conf, cli),
                                     NK_OPT_END};

struct events {
    struct tor_cli *cli;
    struct nk_cmd_ctx *ctx;
    const struct events_conf *conf;
    struct tor_request request;
    struct nk_stream *out; /* NULL: not open, or direct */
    bool direct;           /* a file or device, which takes what it gets at once */
    struct nk_buf text;
    struct nk_defer flush;
    uint64_t shown, dropped, told;
    bool asked, ending;
    size_t nnames;
    struct tor_filters filters;
    struct tor_subscription sub[NAMES_MAX];
    char name[NAMES_MAX][NAME_SIZE];
};

/* --- output ---------------------------------------------------------------------------------- */

static void tell_dropped(struct events *ev)
{
    if (ev->dropped > ev->told)
        fprintf(stderr,
                "netkit tor events: %llu events left out, as the output is read too slowly\n",
                (unsigned long long)(ev->dropped - ev->told));
    ev->told = ev->dropped;
}

static void end_when_written(struct events *ev)
{
    if (ev->ending && nk_buf_len(&ev->text) == 0)
        tor_cli_finish(ev->cli, 0);
}

static ssize_t write_some(struct events *ev)
{
    if (!ev->direct)
        return nk_stream_write(ev->out, nk_buf_ptr(&ev->text), nk_buf_len(&ev->text));
    ssize_t n = write(STDOUT_FILENO, nk_buf_ptr(&ev->text), nk_buf_len(&ev->text));
    return n < 0 ? -errno : n;
}

static void write_out(void *owner)
{
    struct events *ev = owner;
    ssize_t n = 1;
    while (n > 0 && (ev->out || ev->direct) && nk_buf_len(&ev->text) > 0) {
        n = write_some(ev);
        if (n == -EINTR)
            n = 1;
        else if (n > 0)
            nk_buf_consume(&ev->text, (size_t)n);
    }
    if (n < 0 && n != NK_EAGAIN) {
        int rc = n == -EPIPE ? -EPIPE : NK_EOUTPUT;
        nk_buf_reset(&ev->text);
        tor_cli_finish(ev->cli, nk_fail_sys(&ev->ctx->diag, rc, "standard output"));
    }
    if (nk_buf_len(&ev->text) == 0 && ev->text.cap > OUTPUT_KEPT)
        nk_buf_clear(&ev->text);
    if (nk_buf_len(&ev->text) < OUTPUT_MAX / 2)
        tell_dropped(ev);
    end_when_written(ev);
}

static void on_out(void *owner, struct nk_stream *s, unsigned what)
{
    struct events *ev = owner;
    if (what & NK_CLOSED) {
        tor_cli_finish(ev->cli, nk_stream_error(s, &ev->ctx->diag));
        return;
    }
    write_out(ev);
}

static int open_out(struct events *ev)
{
    struct stat st;
    bool known = fstat(STDOUT_FILENO, &st) == 0;
    ev->direct = known && (S_ISREG(st.st_mode) || (S_ISCHR(st.st_mode) && !isatty(STDOUT_FILENO)));
    if (ev->direct)
        return 0;
    int fd = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, FIRST_FD);
    if (fd < 0)
        return nk_fail_sys(&ev->ctx->diag, NK_EOUTPUT, "standard output");
    int rc = nk_stream_from_inherited(ev->cli->app, -1, fd, "stdout", &ev->out, &ev->ctx->diag);
    if (rc == 0) {
        nk_stream_own(ev->out, on_out, ev);
        nk_stream_interest(ev->out, NK_WRITABLE);
    }
    return rc;
}

/* What the output takes without waiting is still written, whyever it ends. */
static void end(struct tor_cli *cli)
{
    struct events *ev = cli->task->owner;
    if (!ev->cli)
        return;
    write_out(ev);
    nk_app_defer_cancel(cli->app, &ev->flush);
    if (ev->out)
        nk_stream_close(ev->out);
    ev->out = NULL;
}

/* The lines of an event as tor has sent them (dots of data undone). */
static int put_raw(struct nk_buf *out, const struct tor_reply *r)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < r->n; i++) {
        const struct tor_line *l = &r->lines[i];
        rc = nk_buf_printf(out, "%03d%c%.*s\n", l->code, l->kind, (int)l->len, l->text);
        if (rc == 0 && l->data) {
            rc = nk_buf_put(out, l->data, l->data_len);
            rc = rc < 0 ? rc : nk_buf_puts(out, ".\n");
        }
    }
    return rc;
}

static int put_json(struct nk_buf *out, const struct tor_event *e)
{
    struct nk_json j;
    nk_json_init(&j, out, false);
    nk_json_object(&j);
    int rc = tor_event_json(e, true, &j);
    nk_json_close(&j);
    rc = rc < 0 ? rc : nk_json_end(&j);
    return rc < 0 ? rc : nk_buf_u8(out, '\n');
}

static int put_event(struct events *ev, const struct tor_event *e, const struct tor_reply *r)
{
    if (ev->conf->raw)
        return put_raw(&ev->text, r);
    if (ev->ctx->globals->json)
        return put_json(&ev->text, e);
    int rc = tor_event_text(e, &ev->text);
    return rc < 0 ? rc : nk_buf_u8(&ev->text, '\n');
}

static void on_event(void *owner, const struct tor_reply *r)
{
    struct events *ev = owner;
    struct tor_event e;
    if (ev->ending || tor_event_parse(&e, r) < 0 || !tor_filters_match(&ev->filters, &e))
        return;
    size_t before = nk_buf_len(&ev->text);
    if (put_event(ev, &e, r) < 0) {
        ev->text.len = before;
        ev->dropped++;
    }
    ev->shown++;
    ev->ending = ev->conf->count > 0 && ev->shown == (uint64_t)ev->conf->count;
    nk_app_defer(ev->cli->app, &ev->flush);
}

/* --- which events ---------------------------------------------------------------------------- */

static void on_subscribed(void *owner, int err, const struct nk_diag *why)
{
    struct events *ev = owner;
    if (err < 0) {
        ev->ctx->diag = *why;
        nk_hint(&ev->ctx->diag, "netkit tor info events/names lists what this tor has");
        tor_cli_finish(ev->cli, err);
    }
}

static int add_name(struct events *ev, const char *text, size_t len)
{
    if (ev->nnames == NAMES_MAX)
        return nk_fail(&ev->ctx->diag, NK_EUSAGE, "these are more than %d events", NAMES_MAX);
    char *name = ev->name[ev->nnames];
    for (size_t i = 0; i < len; i++)
        name[i] = (char)toupper((unsigned char)text[i]);
    name[len] = '\0';
    for (size_t i = 0; i < ev->nnames; i++) {
        if (strcmp(ev->name[i], name) == 0)
            return 0;
    }
    ev->nnames++;
    return 0;
}

static void subscribe(struct events *ev)
{
    for (size_t i = 0; i < ev->nnames; i++) {
        ev->sub[i] = (struct tor_subscription){
            .event = ev->name[i], .fn = on_event, .on_ready = on_subscribed, .owner = ev};
        if (tor_control_subscribe(ev->cli->control, &ev->sub[i]) < 0) {
            tor_cli_finish(ev->cli, nk_fail(&ev->ctx->diag, NK_EUSAGE, "'%s' is no event of tor",
                                            ev->name[i]));
            return;
        }
    }
}

/* All that tor has; without "all", not what it logs for its developers, of which there is more than
 * of everything else together. */
static void on_names(void *owner, int err, const struct tor_reply *reply, const struct nk_diag *why)
{
    struct events *ev = owner;
    struct tor_word names;
    if (!tor_cli_reply(ev->cli, err, reply, why, "GETINFO events/names"))
        return;
    if (!tor_reply_find(reply, "events/names", &names)) {
        tor_cli_finish(ev->cli,
                       nk_fail(&ev->ctx->diag, NK_EPROTO, "tor does not say which events it has"));
        return;
    }
    struct tor_split s = {.text = names.value, .len = names.value_len};
    while (tor_split_next(&s, ' ')) {
        const struct tor_word name = {.value = s.word, .value_len = s.word_len};
        bool log = tor_word_is(&name, "DEBUG") || tor_word_is(&name, "INFO");
        if ((!log || ev->ctx->argc > 0) && s.word_len < NAME_SIZE && ev->nnames < NAMES_MAX)
            (void)add_name(ev, s.word, s.word_len);
    }
    subscribe(ev);
}

static void ready(struct tor_cli *cli)
{
    struct events *ev = cli->task->owner;
    if (ev->asked) { /* the subscriptions are back by themselves */
        fprintf(stderr, "netkit tor events: connected again\n");
        return;
    }
    ev->asked = true;
    ev->cli = cli;
    ev->flush = (struct nk_defer){.fn = write_out, .owner = ev};
    int rc = open_out(ev);
    if (rc == 0 && ev->nnames == 0) {
        ev->request = (struct tor_request){.fn = on_names, .owner = ev};
        rc = tor_control_send(cli->control, &ev->request, "GETINFO events/names", NULL, 0,
                              &ev->ctx->diag);
    } else if (rc == 0) {
        subscribe(ev);
    }
    if (rc < 0)
        tor_cli_finish(cli, rc);
}

/* The names that were given; none when it is all of them. */
static int add_names(struct events *ev)
{
    const struct nk_cmd_ctx *ctx = ev->ctx;
    bool all = ctx->argc == 1 && strcasecmp(ctx->argv[0], "all") == 0;
    int rc = 0;
    for (int i = 0; rc == 0 && !all && i < ctx->argc; i++) {
        size_t len = strlen(ctx->argv[i]);
        rc =
            tor_name_check(ctx->argv[i], len < NAME_SIZE ? len : 0, "event of tor", &ev->ctx->diag);
        if (rc == 0 && strcasecmp(ctx->argv[i], "all") == 0)
            rc = nk_fail(&ev->ctx->diag, NK_EUSAGE, "'all' stands alone");
        rc = rc < 0 ? rc : add_name(ev, ctx->argv[i], len);
    }
    return rc;
}

static void lost(struct tor_cli *cli, const struct nk_diag *why)
{
    (void)cli;
    fprintf(stderr, "netkit tor events: %s; connecting again\n", why->text);
}

static void stop(struct tor_cli *cli, int signum)
{
    struct events *ev = cli->task->owner;
    (void)signum;
    ev->ending = true;
    if (ev->cli)
        end_when_written(ev);
    else
        tor_cli_finish(cli, 0);
}

static int run(struct nk_cmd_ctx *ctx)
{
    const struct events_conf *conf = ctx->conf;
    struct events *ev = calloc(1, sizeof *ev);
    if (!ev)
        return -ENOMEM;
    ev->ctx = ctx;
    ev->conf = conf;
    nk_buf_init(&ev->text, OUTPUT_MAX);
    int rc = tor_filters_parse(&ev->filters, &conf->filter, &ctx->diag);
    rc = rc < 0 ? rc : add_names(ev);
    const struct tor_cli_task task = {
        .ready = ready, .lost = lost, .stop = stop, .end = end, .owner = ev, .reconnect = true};
    rc = rc < 0 ? rc : tor_cli_run(ctx, &conf->cli, &task);
    tell_dropped(ev);
    nk_buf_clear(&ev->text);
    free(ev);
    return rc;
}

const struct nk_cmd nk_cmd_tor_events = {
    .synopsis = "[TYPE..] [--filter CONDITION]..",
    .summary = "Show tor's events as they come",
    .opts = opts,
    .conf_size = sizeof(struct events_conf),
    .max_args = -1,
    .run = run,
};
