/* SPDX-License-Identifier: MIT */
#include "relay/endpoint_work.h"

#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/app.h"
#include "core/process.h"
#include "core/stream.h"
#include "relay/endpoint_progress.h"
#include "relay/endpoint_task.h"

const struct nk_opt relay_endpoint_work_rows[] = {
    {.name = "group",
     .type = NK_OPT_STRING,
     .offset = NK_FIELD(struct relay_endpoint_work_conf, group),
     .arg = "GROUP",
     .flags = NK_OPT_REPEAT | NK_OPT_REQUIRED | NK_OPT_CLI_ONLY,
     .help = "Group whose objects are worked on"},
    {.name = "exec",
     .type = NK_OPT_STRING,
     .offset = NK_FIELD(struct relay_endpoint_work_conf, exec),
     .arg = "PROGRAM",
     .flags = NK_OPT_REQUIRED | NK_OPT_CLI_ONLY,
     .help = "Program to run for each object, which is its standard input; its arguments "
             "stand after --. No shell is involved"},
    {.name = "jobs",
     .short_name = 'j',
     .type = NK_OPT_INT,
     .offset = NK_FIELD(struct relay_endpoint_work_conf, jobs),
     .arg = "N",
     .def = "1",
     .min = 1,
     .max = ENDPOINT_JOBS_MAX,
     .help = "Programs at one time"},
    {.name = "format",
     .type = NK_OPT_ENUM,
     .offset = NK_FIELD(struct relay_endpoint_work_conf, format),
     .arg = "FORMAT",
     .def = "raw",
     .choices = relay_endpoint_formats,
     .help = "What the program reads: raw: the bytes of a str or bytes object, else its "
             "pickle; text: the same with a line end, else JSON; json: type and value; "
             "pickle: as it came"},
    {.name = "max-items",
     .short_name = 'n',
     .type = NK_OPT_INT,
     .offset = NK_FIELD(struct relay_endpoint_work_conf, max_items),
     .arg = "N",
     .def = "0",
     .max = INT64_MAX,
     .help = "End after N objects; 0: work for ever"},
    {.name = "delay",
     .type = NK_OPT_DURATION,
     .offset = NK_FIELD(struct relay_endpoint_work_conf, delay_ms),
     .arg = "TIME",
     .def = "1s",
     .max = 86400000,
     .help = "How long an object on which the program failed stays away (native wire)"},
    {.name = "lease",
     .type = NK_OPT_DURATION,
     .offset = NK_FIELD(struct relay_endpoint_work_conf, lease_ms),
     .arg = "TIME",
     .def = "60s",
     .min = 500,
     .max = 86400000,
     .help = "How long an object stays ours without a sign of life from us; renewed after a "
             "third of it while its program runs (native wire)"},
    {.name = "keep-going",
     .type = NK_OPT_FLAG,
     .offset = NK_FIELD(struct relay_endpoint_work_conf, keep_going),
     .help = "When the program fails, drop that object and go on"},
    NK_OPT_END};

#define BACKLOG_TASKS 64 /* objects kept while all programs run; more wait outside */
#define BACKLOG_BYTES ((size_t)64 << 20) /* the same in bytes */
#define ARGS_MAX 128                     /* words of the program's command line */
#define LEASE_PARTS 3                    /* it is renewed after a third of its time */
#define ANSWER_TTL_MS 600000u            /* an answer that nobody fetches is forgotten */
#define READ_SIZE ((size_t)64 << 10)

struct worker;

/* One program. */
struct slot {
    struct worker *x;
    struct relay_endpoint_task *task; /* NULL: free */
    struct nk_process *process;
    struct relay_endpoint_sink input; /* its standard input */
    struct nk_stream *output;         /* its standard output, when that is the answer */
    struct nk_buf answer;
    struct nk_process_exit how;
    bool exited;
    bool answering; /* the answer is on its way to the relay */
    uint32_t answer_group;
    uint64_t answer_number;
};

struct worker {
    struct relay_endpoint_session session;
    struct relay_endpoint_progress progress;
    const struct relay_endpoint_work_conf *conf;
    bool answers;
    char *argv[ARGS_MAX + 2];
    struct slot slot[ENDPOINT_JOBS_MAX];
    struct relay_endpoint_tasks waiting;
    struct relay_value_doc doc;
    struct nk_timer extend;
    size_t busy; /* slots in use */
    uint64_t items;
    bool stopping; /* take no more; end when the programs have ended */
};

static void work(struct worker *x);

/* --- taking ----------------------------------------------------------------------------------- */

static bool enough(const struct worker *x)
{
    uint64_t started = x->items + x->busy + x->waiting.n;
    return x->stopping || (x->conf->max_items > 0 && started >= (uint64_t)x->conf->max_items);
}

/* As many objects as there are free programs. */
static void ask(struct worker *x)
{
    size_t used = x->busy + x->waiting.n, jobs = (size_t)x->conf->jobs;
    if (enough(x) || used >= jobs || !x->session.client) {
        return;
    }
    uint64_t most = jobs - used;
    if (x->conf->max_items > 0) {
        uint64_t left = (uint64_t)x->conf->max_items - x->items - used;
        most = most < left ? most : left;
    }
    for (uint32_t i = 0; i < x->conf->group.n; i++) {
        uint64_t wanted = relay_client_wanted(x->session.client, i);
        if (wanted < most) {
            relay_client_credit(x->session.client, i, most - wanted);
        }
    }
}

static void pause_if_full(struct worker *x)
{
    relay_client_pause(x->session.client,
                       x->waiting.n >= BACKLOG_TASKS || x->waiting.bytes >= BACKLOG_BYTES);
}

static void finish(struct worker *x)
{
    x->stopping = true;
    while (x->waiting.first) { /* for somebody else, at once */
        struct relay_endpoint_task *task = relay_endpoint_task_take(&x->waiting);
        (void)relay_client_nack(x->session.client, &task->lease, 0);
        relay_endpoint_task_free(task);
    }
    if (x->busy > 0) {
        return; /* their ends come here again */
    }
    if (relay_client_alive(x->session.client)) {
        relay_client_finish(x->session.client);
    } else {
        relay_endpoint_end(&x->session, 0, NULL);
    }
}

static void on_object(void *owner, const struct relay_client_object *d)
{
    struct worker *x = owner;
    struct nk_diag why = {0};
    struct relay_endpoint_task *task = NULL;
    const char *group = relay_client_group_name(x->session.client, d->group);
    if (d->kind == RELAY_KIND_RETAINED ||
        (d->kind == RELAY_KIND_BROADCAST && d->lease.wire == RELAY_CLIENT_NATIVE)) {
        return; /* not work */
    }
    int status = relay_endpoint_task_new(&task, (enum relay_endpoint_format)x->conf->format,
                                         &x->doc, d, group);
    if (status < 0) {
        (void)nk_fail_sys(&why, status, "an object of %zu bytes", d->len);
        relay_endpoint_end(&x->session, status, &why);
        return;
    }
    (void)relay_client_extend(x->session.client, &task->lease, (uint32_t)x->conf->lease_ms);
    relay_endpoint_task_put(&x->waiting, task);
    pause_if_full(x);
    work(x);
}

/* --- the end of a task ------------------------------------------------------------------------ */

/* The slot is free again. counts: its object was dealt with. */
static void settle(struct worker *x, struct slot *s, bool counts)
{
    relay_endpoint_task_free(s->task);
    s->task = NULL;
    nk_buf_clear(&s->answer);
    s->exited = s->answering = false;
    x->busy--;
    x->items += counts;
    if (x->stopping || (x->conf->max_items > 0 && x->items >= (uint64_t)x->conf->max_items)) {
        finish(x);
    } else {
        work(x);
    }
}

static void done(struct worker *x, struct slot *s)
{
    relay_client_ack(x->session.client, &s->task->lease);
    settle(x, s, true);
}

/* The relay gives the object to somebody else: the program works for nobody. What it has finished,
 * or answered, stands. */
static void abandon(struct worker *x, struct slot *s)
{
    if (!s->process) {
        return;
    }
    nk_warn(x->session.ctx->log, "relay",
            "the relay has given up object %" PRIu64 " of this worker; %s is ended",
            s->task->lease.seq, x->argv[0]);
    nk_process_close(s->process); /* TERM, and KILL after 2 s */
    s->process = NULL;
    relay_endpoint_sink_close(&s->input);
    nk_stream_close(s->output);
    s->output = NULL;
    settle(x, s, false);
}

static void describe(const struct worker *x, const struct nk_process_exit *how, struct nk_diag *why)
{
    if (how->signal > 0) {
        (void)nk_fail(why, -ECANCELED, "%s was ended by signal %d", x->argv[0], how->signal);
    } else {
        (void)nk_fail(why, -ECANCELED, "%s failed with status %d", x->argv[0], how->status);
    }
}

static void answer(struct worker *x, struct slot *s, const char *error);

static void failed(struct worker *x, struct slot *s)
{
    struct nk_diag why = {0};
    struct nk_log *log = x->session.ctx->log;
    describe(x, &s->how, &why);
    if (x->answers && s->task->reply_to && !x->conf->requeue) {
        nk_warn(log, "relay", "%s; who asked is told", why.text);
        answer(x, s, why.text);
    } else if (x->conf->keep_going && !x->stopping) {
        nk_warn(log, "relay", "%s; the object is dropped", why.text);
        done(x, s);
    } else if (relay_client_nack(x->session.client, &s->task->lease, (uint32_t)x->conf->delay_ms) !=
               NK_EUNSUPPORTED) {
        nk_warn(log, "relay", "%s; the object goes back (delivery %u)", why.text,
                s->task->tries + 1);
        settle(x, s, true);
    } else {
        nk_hint(&why,
                "the object was not acknowledged: a netkit relay gives it to another consumer");
        relay_endpoint_end(&x->session, why.code, &why);
    }
}

static void not_started(struct worker *x, int error)
{
    struct nk_diag why = {0};
    (void)nk_fail_sys(&why, error, "cannot start %s", x->argv[0]);
    nk_error(x->session.ctx->log, "relay", "%s (the object was not acknowledged)", why.text);
    relay_endpoint_end(&x->session, error == -ENOENT ? NK_EXIT_NOTFOUND : NK_EXIT_NOEXEC, NULL);
}

/* Send what the program has written to whoever asked, with a header that tells of its failure
 * (error, or NULL). Its object is acknowledged when the relay has the answer. */
static void answer(struct worker *x, struct slot *s, const char *error)
{
    char header[sizeof(RELAY_ANSWER_ERROR) + NK_DIAG_TEXT];
    const char *const headers[] = {header};
    struct relay_client_publish p = {.copies = 1,
                                     .wrap = RELAY_WRAP_BYTES,
                                     .content = RELAY_CONTENT_PICKLE,
                                     .ttl_ms = ANSWER_TTL_MS,
                                     .correlation = s->task->correlation,
                                     .correlation_len = s->task->correlation_len,
                                     .headers = headers,
                                     .nheaders = error ? 1 : 0};
    (void)snprintf(header, sizeof(header), "%s%s", RELAY_ANSWER_ERROR, error ? error : "");
    struct relay_client *c = x->session.client;
    int status = relay_client_group(c, s->task->reply_to, false, &p.group);
    if (status == 0) {
        status = relay_client_publish(c, &p, nk_buf_ptr(&s->answer), nk_buf_len(&s->answer),
                                      &s->answer_number);
    }
    if (status < 0) {
        nk_warn(x->session.ctx->log, "relay", "an answer could not be sent: %s",
                nk_strerror(status));
        done(x, s);
        return;
    }
    s->answer_group = p.group;
    s->answering = true;
}

/* The program has ended, and what it wrote was read. */
static void advance(struct worker *x, struct slot *s)
{
    if (!s->exited || s->output || s->answering) {
        return;
    }
    if (s->how.error < 0) {
        not_started(x, s->how.error);
    } else if (s->how.status != 0 || s->how.signal != 0) {
        failed(x, s);
    } else if (x->answers && s->task->reply_to) {
        answer(x, s, NULL);
    } else {
        done(x, s);
    }
}

static void on_settled(void *owner, uint32_t group, uint64_t first, uint64_t last, int status)
{
    struct worker *x = owner;
    for (size_t i = 0; i < (size_t)x->conf->jobs; i++) {
        struct slot *s = &x->slot[i];
        if (s->answering && s->answer_group == group && s->answer_number >= first &&
            s->answer_number <= last) {
            if (status < 0) {
                nk_warn(x->session.ctx->log, "relay", "the relay did not take an answer: %s",
                        nk_strerror(status));
            }
            done(x, s);
        }
    }
}

/* --- the program ------------------------------------------------------------------------------ */

static void on_exit_of_program(void *owner, const struct nk_process_exit *how)
{
    struct slot *s = owner;
    nk_process_close(s->process);
    s->process = NULL;
    relay_endpoint_sink_close(&s->input);
    s->exited = true;
    s->how = *how;
    advance(s->x, s);
}

/* Everything is written, or the program does not want it (which is its own affair: its exit status
 * decides). Closing is its end of file. */
static void on_input_drained(void *owner, int status)
{
    struct slot *s = owner;
    (void)status;
    relay_endpoint_sink_close(&s->input);
}

static void on_output(void *owner, struct nk_stream *stream, unsigned events)
{
    struct slot *s = owner;
    ssize_t n = events & NK_CLOSED ? 0 : 1;
    while (events & NK_READABLE && n > 0) {
        uint8_t *room;
        int status = nk_buf_reserve(&s->answer, READ_SIZE, &room);
        n = status < 0 ? status : nk_stream_read(stream, room, READ_SIZE);
        if (n > 0) {
            nk_buf_commit(&s->answer, (size_t)n);
        }
    }
    if (n == NK_EAGAIN || n > 0) {
        return;
    }
    nk_stream_close(s->output);
    s->output = NULL;
    if (n < 0 && s->process) {
        nk_warn(s->x->session.ctx->log, "relay", "an answer is too long: %s", nk_strerror((int)n));
        (void)nk_process_kill(s->process, SIGTERM);
    }
    advance(s->x, s);
}

static int make_pipe(int ends[2], struct nk_diag *diag)
{
    return pipe2(ends, O_CLOEXEC) < 0 ? nk_fail_sys(diag, -errno, "cannot make a pipe") : 0;
}

/* Our end of the program's standard output. */
static int read_output(struct slot *s, int take_fd)
{
    nk_buf_init(&s->answer, (size_t)s->x->conf->common.max_object + READ_SIZE);
    int status = nk_stream_from_fd(s->x->session.app, take_fd, "stdout of a program", &s->output);
    if (status < 0) {
        s->output = NULL;
        return status;
    }
    nk_stream_own(s->output, on_output, s);
    nk_stream_interest(s->output, NK_READABLE);
    return 0;
}

/* Start the program for the slot's task; its input is in the task. */
static int start_program(struct worker *x, struct slot *s, struct nk_diag *diag)
{
    int in[2] = {-1, -1}, out[2] = {-1, STDOUT_FILENO};
    int status = make_pipe(in, diag);
    if (status == 0 && x->answers) {
        status = make_pipe(out, diag);
    }
    if (status < 0) {
        close(in[0]);
        close(in[1]);
        return status;
    }
    const struct nk_process_spec spec = {
        .argv = x->argv, .env = s->task->env, .fds = {in[0], out[1], STDERR_FILENO}, .nfds = 3};
    status = nk_process_start(x->session.app, &spec, on_exit_of_program, s, &s->process, diag);
    close(in[0]);
    if (x->answers) {
        close(out[1]);
    }
    if (status < 0) {
        s->process = NULL;
        close(in[1]);
        if (x->answers) {
            close(out[0]);
        }
        return status;
    }
    if (x->answers && (status = read_output(s, out[0])) < 0) {
        close(in[1]);
        return status;
    }
    return relay_endpoint_sink_pipe(&s->input, x->session.app, in[1], SIZE_MAX / 8,
                                    on_input_drained, s);
}

static int begin(struct worker *x, struct slot *s, struct relay_endpoint_task *take_task,
                 struct nk_diag *diag)
{
    s->x = x;
    s->task = take_task;
    x->busy++;
    int status = start_program(x, s, diag);
    if (status < 0) {
        return status;
    }
    struct nk_buf none = s->input.pending;
    s->input.pending = s->task->input;
    s->task->input = none;
    if (relay_endpoint_sink_flush(&s->input) != 0) {
        relay_endpoint_sink_close(&s->input); /* all written, or refused */
    }
    return 0;
}

static struct slot *free_slot(struct worker *x)
{
    for (size_t i = 0; i < (size_t)x->conf->jobs; i++) {
        if (!x->slot[i].task) {
            return &x->slot[i];
        }
    }
    return NULL;
}

/* Run programs on what waits, or ask for more. */
static void work(struct worker *x)
{
    struct nk_diag why = {0};
    struct slot *s;
    while (x->waiting.first && !x->stopping && (s = free_slot(x))) {
        int status = begin(x, s, relay_endpoint_task_take(&x->waiting), &why);
        if (status < 0) {
            why.code = status;
            relay_endpoint_end(&x->session, status, &why);
            return;
        }
    }
    pause_if_full(x);
    ask(x);
}

/* Leases last while somebody works on them, or they wait for a free program. */
static void on_extend(void *owner)
{
    struct worker *x = owner;
    for (size_t i = 0; i < (size_t)x->conf->jobs; i++) {
        if (x->slot[i].task) {
            (void)relay_client_extend(x->session.client, &x->slot[i].task->lease,
                                      (uint32_t)x->conf->lease_ms);
        }
    }
    for (struct relay_endpoint_task *t = x->waiting.first; t; t = t->next) {
        (void)relay_client_extend(x->session.client, &t->lease, (uint32_t)x->conf->lease_ms);
    }
    nk_timer_start(&x->extend, x->conf->lease_ms / LEASE_PARTS);
}

/* --- the connection's events ------------------------------------------------------------------ */

static bool same_lease(const struct relay_client_lease *a, const struct relay_client_lease *b)
{
    return a->group == b->group && a->seq == b->seq && a->connection == b->connection;
}

/* What waits here and is not ours any more goes to somebody else, and so does what is worked on; on
 * tlspyo's wire that is finished all the same: a stock relay has forgotten it, a netkit relay gives
 * it to somebody, and it may be done twice. l: only this one; NULL: what is not held. */
static void forget_lost(struct worker *x, const struct relay_client_lease *l)
{
    struct relay_endpoint_tasks keep = {.last = &keep.first};
    while (x->waiting.first) {
        struct relay_endpoint_task *task = relay_endpoint_task_take(&x->waiting);
        if (l ? !same_lease(&task->lease, l)
              : relay_client_holds(x->session.client, &task->lease)) {
            relay_endpoint_task_put(&keep, task);
        } else {
            relay_endpoint_task_free(task);
        }
    }
    while (keep.first) {
        relay_endpoint_task_put(&x->waiting, relay_endpoint_task_take(&keep));
    }
    for (size_t i = 0; i < (size_t)x->conf->jobs; i++) {
        struct slot *s = &x->slot[i];
        if (s->task && s->task->lease.wire == RELAY_CLIENT_NATIVE &&
            (l ? same_lease(&s->task->lease, l)
               : !relay_client_holds(x->session.client, &s->task->lease))) {
            abandon(x, s);
        }
    }
}

static void on_alive(void *owner, bool again)
{
    struct worker *x = owner;
    (void)again;
    forget_lost(x, NULL);
    if (x->stopping) {
        finish(x);
    } else {
        work(x);
    }
}

static void on_lease_lost(void *owner, const struct relay_client_lease *l)
{
    forget_lost(owner, l);
}

static void on_lost(void *owner, const struct nk_diag *why, uint64_t again_ms)
{
    struct worker *x = owner;
    relay_endpoint_lost(&x->session, why, again_ms);
}

static void on_end(void *owner, int status, const struct nk_diag *why)
{
    struct worker *x = owner;
    relay_endpoint_end(&x->session, status, why);
}

static void on_stop(void *owner, bool timed_out)
{
    struct worker *x = owner;
    if (!timed_out && x->session.signum == SIGINT) {
        relay_endpoint_end(&x->session, NK_EXIT_SIGNAL + SIGINT, NULL);
        return;
    }
    finish(x);
}

static const struct relay_client_ops client_ops = {.on_alive = on_alive,
                                                   .on_object = on_object,
                                                   .on_settled = on_settled,
                                                   .on_lease_lost = on_lease_lost,
                                                   .on_lost = on_lost,
                                                   .on_end = on_end};

static int start(struct worker *x, struct nk_cmd_ctx *ctx)
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
    status = relay_endpoint_start(&x->session, ctx, &plan);
    if (status == 0) {
        nk_timer_init(&x->extend, x->session.app, on_extend, x);
        nk_timer_start(&x->extend, x->conf->lease_ms / LEASE_PARTS);
    }
    return status;
}

static void clear(struct worker *x)
{
    for (size_t i = 0; i < ENDPOINT_JOBS_MAX; i++) {
        struct slot *s = &x->slot[i];
        nk_process_close(s->process);
        relay_endpoint_sink_close(&s->input);
        nk_stream_close(s->output);
        nk_buf_clear(&s->answer);
        relay_endpoint_task_free(s->task);
    }
    while (x->waiting.first) {
        relay_endpoint_task_free(relay_endpoint_task_take(&x->waiting));
    }
    if (x->extend.app) {
        nk_timer_stop(&x->extend);
    }
    relay_endpoint_stop(&x->session);
    relay_value_doc_clear(&x->doc);
    free(x);
}

int relay_endpoint_work(struct nk_cmd_ctx *ctx, const struct relay_endpoint_work_conf *conf,
                        bool answers)
{
    struct worker *x = calloc(1, sizeof(*x));
    if (!x) {
        return -ENOMEM;
    }
    x->conf = conf;
    x->answers = answers;
    x->waiting.last = &x->waiting.first;
    int status = start(x, ctx);
    if (status == 0) {
        relay_endpoint_progress_start(&x->progress, &x->session, true);
        status = relay_endpoint_run(&x->session);
    }
    relay_endpoint_progress_stop(&x->progress);
    clear(x);
    return status;
}
