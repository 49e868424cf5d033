/* SPDX-License-Identifier: MIT */
/* One program per object: `netkit endpoint consume --group g --exec CMD`. */
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/app.h"
#include "core/process.h"
#include "core/stream.h"
#include "relay/endpoint.h"
#include "relay/endpoint_print.h"

#define BACKLOG_OBJECTS 64 /* objects kept while the program runs; more wait outside */
#define BACKLOG_BYTES ((size_t)64 << 20) /* the same in bytes */
#define OUTPUT_GROWTH 6 /* JSON of an object against its pickle: a control byte becomes \u00XX */
#define OUTPUT_SLACK ((size_t)1 << 20)
#define ARGS_MAX 128 /* words of the program's command line */

struct consume_conf {
    struct relay_endpoint_conf common;
    struct nk_strlist group;
    char *exec;
    int format;
    int64_t max_items;
    bool keep_going;
};

static const struct nk_opt opts[] = {
    {.name = "group",
     .type = NK_OPT_STRING,
     .offset = NK_FIELD(struct consume_conf, group),
     .arg = "GROUP",
     .flags = NK_OPT_REPEAT | NK_OPT_REQUIRED | NK_OPT_CLI_ONLY,
     .help = "Group whose objects are worked on; may be repeated"},
    {.name = "exec",
     .type = NK_OPT_STRING,
     .offset = NK_FIELD(struct consume_conf, exec),
     .arg = "PROGRAM",
     .flags = NK_OPT_REQUIRED | NK_OPT_CLI_ONLY,
     .help = "Program to run for each object, which is its standard input; its arguments stand "
             "after --. No shell is involved"},
    {.name = "format",
     .type = NK_OPT_ENUM,
     .offset = NK_FIELD(struct consume_conf, format),
     .arg = "FORMAT",
     .def = "raw",
     .choices = relay_endpoint_formats,
     .help = "What the program reads: raw: the bytes of a str or bytes object, else its pickle; "
             "text: the same with a line end, else JSON; json: type and value; pickle: as it came"},
    {.name = "max-items",
     .short_name = 'n',
     .type = NK_OPT_INT,
     .offset = NK_FIELD(struct consume_conf, max_items),
     .arg = "N",
     .def = "0",
     .max = INT64_MAX,
     .help = "End after N objects; 0: work for ever"},
    {.name = "keep-going",
     .type = NK_OPT_FLAG,
     .offset = NK_FIELD(struct consume_conf, keep_going),
     .help = "When the program fails, drop that object and go on"},
    RELAY_ENDPOINT_ROWS,
    NK_OPT_END};

struct job {
    struct job *next;
    struct relay_client_lease lease;
    size_t len;
    uint8_t data[];
};

struct consumer {
    struct relay_endpoint_session session;
    const struct consume_conf *conf;
    char *argv[ARGS_MAX + 2];
    struct job *first, **last;
    size_t backlog, backlog_bytes;
    struct nk_process *process;
    struct relay_endpoint_sink input; /* the program's standard input */
    struct relay_value_doc doc;
    uint64_t items;
    bool stopping; /* take no more; end when the program has ended */
};

static void work(struct consumer *x);

/* --- objects --- */

/* One object of each group. */
static void ask(struct consumer *x)
{
    for (uint32_t i = 0; i < x->conf->group.n && !x->stopping && !x->process && !x->first; i++) {
        if (relay_client_wanted(x->session.client, i) == 0) {
            relay_client_credit(x->session.client, i, 1);
        }
    }
}

static void finish(struct consumer *x)
{
    x->stopping = true;
    if (x->process) {
        return; /* its end comes here again */
    }
    if (relay_client_alive(x->session.client)) {
        relay_client_finish(x->session.client);
    } else {
        relay_endpoint_end(&x->session, 0, NULL);
    }
}

static bool backlog_full(const struct consumer *x)
{
    return x->backlog >= BACKLOG_OBJECTS || x->backlog_bytes >= BACKLOG_BYTES;
}

static void free_first(struct consumer *x)
{
    struct job *j = x->first;
    x->first = j->next;
    if (!x->first) {
        x->last = &x->first;
    }
    x->backlog--;
    x->backlog_bytes -= j->len;
    free(j);
}

static void on_object(void *owner, const struct relay_client_object *d)
{
    struct consumer *x = owner;
    struct nk_diag why = {0};
    struct job *j = malloc(sizeof(*j) + d->len);
    if (!j) {
        (void)nk_fail(&why, -ENOMEM, "no memory for an object of %zu bytes", d->len);
        relay_endpoint_end(&x->session, why.code, &why);
        return;
    }
    j->next = NULL;
    j->lease = d->lease;
    j->len = d->len;
    memcpy(j->data, d->data, d->len);
    *x->last = j;
    x->last = &j->next;
    x->backlog++;
    x->backlog_bytes += d->len;
    relay_client_pause(x->session.client, backlog_full(x));
    work(x);
}

/* --- the program --- */

/* The object at the head of the backlog is done with. */
static void settle(struct consumer *x)
{
    relay_client_ack(x->session.client, &x->first->lease);
    free_first(x);
    relay_client_pause(x->session.client, backlog_full(x));
    x->items++;
    if (x->stopping || (x->conf->max_items > 0 && x->items >= (uint64_t)x->conf->max_items)) {
        finish(x);
    } else {
        work(x);
    }
}

static void program_failed(struct consumer *x, const struct nk_process_exit *how)
{
    struct nk_diag why = {0};
    if (how->error < 0) {
        (void)nk_fail_sys(&why, how->error, "cannot start %s", x->argv[0]);
        nk_hint(&why, "the object was not acknowledged");
        relay_endpoint_end(&x->session, how->error == -ENOENT ? NK_EXIT_NOTFOUND : NK_EXIT_NOEXEC,
                           NULL);
        nk_error(x->session.ctx->log, "relay", "%s", why.text);
        return;
    }
    if (how->signal > 0) {
        (void)nk_fail(&why, -ECANCELED, "%s was ended by signal %d", x->argv[0], how->signal);
    } else {
        (void)nk_fail(&why, -ECANCELED, "%s failed with status %d", x->argv[0], how->status);
    }
    if (x->conf->keep_going && !x->stopping) {
        nk_warn(x->session.ctx->log, "relay", "%s; the object is dropped", why.text);
        settle(x);
        return;
    }
    nk_hint(&why, "the object was not acknowledged: a netkit relay gives it to another consumer");
    relay_endpoint_end(&x->session, why.code, &why);
}

static void on_exit_of_program(void *owner, const struct nk_process_exit *how)
{
    struct consumer *x = owner;
    x->process = NULL;
    relay_endpoint_sink_close(&x->input);
    if (how->error == 0 && how->status == 0 && how->signal == 0) {
        settle(x);
    } else {
        program_failed(x, how);
    }
}

/* Everything is written, or the program does not want it (which is its own affair: its exit status
 * decides). Closing is its end of file. */
static void on_input_drained(void *owner, int status)
{
    struct consumer *x = owner;
    (void)status;
    relay_endpoint_sink_close(&x->input);
}

/* Start the program with its standard input in *input; our end of it is the sink. */
static int start_program(struct consumer *x, struct nk_diag *diag)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0) {
        return nk_fail_sys(diag, -errno, "cannot make a pipe");
    }
    const struct nk_process_spec spec = {
        .argv = x->argv, .fds = {ends[0], STDOUT_FILENO, STDERR_FILENO}, .nfds = 3};
    int status = nk_process_start(x->session.app, &spec, on_exit_of_program, x, &x->process, diag);
    (void)close(ends[0]);
    if (status < 0) {
        x->process = NULL;
        (void)close(ends[1]);
        return status;
    }
    size_t max = x->first->len;
    max = max > SIZE_MAX / (2 * OUTPUT_GROWTH) ? max : max * OUTPUT_GROWTH;
    return relay_endpoint_sink_pipe(&x->input, x->session.app, ends[1], max + OUTPUT_SLACK,
                                    on_input_drained, x);
}

/* Run the program on the oldest object, or ask for one. */
static void work(struct consumer *x)
{
    struct nk_diag why = {0};
    if (x->process) {
        return;
    }
    if (!x->first) {
        ask(x);
        return;
    }
    int status = start_program(x, &why);
    if (status == 0) {
        status = relay_endpoint_format_object(&x->input.pending,
                                              (enum relay_endpoint_format)x->conf->format, &x->doc,
                                              x->first->data, x->first->len);
    }
    if (status < 0) {
        why.code = status;
        relay_endpoint_end(&x->session, status, &why);
        return;
    }
    if (relay_endpoint_sink_flush(&x->input) != 0) {
        relay_endpoint_sink_close(&x->input); /* all written, or refused */
    }
}

/* --- the connection's events --- */

static void on_alive(void *owner, bool again)
{
    struct consumer *x = owner;
    (void)again;
    if (x->stopping) {
        finish(x);
    } else {
        ask(x);
    }
}

/* What waits here was not acknowledged: the relay gives it to somebody else. The object that is
 * being worked on is finished all the same, and may be done twice. */
static void on_lost(void *owner, const struct nk_diag *why, uint64_t again_ms)
{
    struct consumer *x = owner;
    struct job **from = x->process ? &x->first->next : &x->first;
    while (*from) {
        struct job *j = *from;
        *from = j->next;
        x->backlog--;
        x->backlog_bytes -= j->len;
        free(j);
    }
    x->last = from;
    relay_endpoint_lost(&x->session, why, again_ms);
}

static void on_end(void *owner, int status, const struct nk_diag *why)
{
    struct consumer *x = owner;
    relay_endpoint_end(&x->session, status, why);
}

static void on_stop(void *owner, bool timed_out)
{
    struct consumer *x = owner;
    if (!timed_out && x->session.signum == SIGINT) {
        relay_endpoint_end(&x->session, NK_EXIT_SIGNAL + SIGINT, NULL);
        return;
    }
    finish(x);
}

static const struct relay_client_ops client_ops = {
    .on_alive = on_alive, .on_object = on_object, .on_lost = on_lost, .on_end = on_end};

static int start(struct consumer *x, struct nk_cmd_ctx *ctx)
{
    const struct nk_strlist *group = &x->conf->group;
    const struct relay_endpoint_plan plan = {.conf = &x->conf->common,
                                             .groups = (const char *const *)group->v,
                                             .ngroups = group->n,
                                             .reconnect = true,
                                             .ops = &client_ops,
                                             .on_stop = on_stop,
                                             .owner = x};
    int status = relay_endpoint_groups_check(group, &ctx->diag);
    if (status < 0) {
        return status;
    }
    if (ctx->argc > ARGS_MAX) {
        return nk_fail(&ctx->diag, NK_EUSAGE, "more than %d arguments for the program", ARGS_MAX);
    }
    x->argv[0] = x->conf->exec;
    for (int i = 0; i < ctx->argc; i++) {
        x->argv[i + 1] = ctx->argv[i];
    }
    return relay_endpoint_start(&x->session, ctx, &plan);
}

static int run(struct nk_cmd_ctx *ctx)
{
    struct consumer x = {.conf = ctx->conf};
    x.last = &x.first;
    int status = start(&x, ctx);
    if (status == 0) {
        status = relay_endpoint_run(&x.session);
    }
    if (x.process) {
        nk_process_close(x.process);
    }
    relay_endpoint_sink_close(&x.input);
    relay_endpoint_stop(&x.session);
    while (x.first) {
        free_first(&x);
    }
    relay_value_doc_clear(&x.doc);
    return status;
}

const struct nk_cmd nk_cmd_endpoint_consume = {
    .synopsis = "--group GROUP.. --exec PROGRAM [-n N] [--keep-going] [--format FORMAT] "
                "[-- ARGUMENT..]",
    .summary = "Run a program for each object of a group",
    .description =
        "A worker: asks for one object, runs the program with the object as its standard input, "
        "acknowledges the object when the program ends with status 0, and asks for the next one. "
        "A program that fails ends the worker with status 1 and leaves its object unacknowledged "
        "(a netkit relay gives it to another consumer; a stock tlspyo relay has forgotten it), "
        "unless --keep-going says to drop it.\n"
        "\n"
        "tlspyo's wire does not tell a produced object from a broadcast, so broadcasts to the "
        "group "
        "are worked on, too. A lost connection is made again; the object in work is finished, and "
        "may then be given to somebody a second time. SIGTERM lets the program finish first.",
    .examples = "netkit endpoint consume --group jobs --exec ./work.sh\n"
                "netkit endpoint consume --group mail --exec sendmail -- -t -i",
    .opts = opts,
    .conf_size = sizeof(struct consume_conf),
    .max_args = -1,
    .flags = NK_CMD_EXEC,
    .run = run,
};
