/* SPDX-License-Identifier: MIT */
/* netkit tor cmd: commands of the control port as they are, and tor's replies. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cli.h"
#include "base/secret.h"
#include "core/stream.h"
#include "tor/cli.h"
#include "tor/proto.h"

enum { READ_SIZE = 4096 };

struct job {
    struct tor_cli *cli;
    struct tor_request request;
    struct nk_stream *in; /* standard input; NULL: the commands are words */
    struct nk_buf input;  /* of it, dealt with up to `read` */
    struct nk_buf line;   /* the command that is being put together, or waited for */
    struct nk_buf data;   /* its data block */
    size_t read;
    int argi;      /* next word of the command line */
    bool ended;    /* there is no more of the input */
    bool block;    /* the command has a data block */
    bool waiting;  /* for tor's reply */
    bool in_block; /* a data block of tor's is being printed */
    bool refused;  /* one of them was */
};

static bool from_input(const struct nk_cmd_ctx *ctx)
{
    return ctx->argc == 0 || (ctx->argc == 1 && strcmp(ctx->argv[0], "-") == 0);
}

/* The next line of the input, without its end; false when it is not there (yet). */
static bool input_line(struct job *job, const char **p, size_t *n)
{
    size_t have = nk_buf_len(&job->input) - job->read;
    if (have == 0) {
        return false;
    }
    const char *base = (const char *)nk_buf_ptr(&job->input) + job->read;
    const char *lf = memchr(base, '\n', have);
    if (!lf && !job->ended) {
        return false;
    }
    *p = base;
    *n = lf ? (size_t)(lf - base) : have;
    job->read += *n + (lf ? 1 : 0);
    *n -= *n > 0 && base[*n - 1] == '\r' ? 1 : 0;
    return true;
}

/* The data block of a command that begins with '+'; ends with "." or the input. 1, 0, or the error.
 */
static int read_block(struct job *job)
{
    const char *p;
    size_t n;
    int rc = 0;
    while (rc == 0 && input_line(job, &p, &n)) {
        int dot = tor_wire_undot(p, n);
        if (dot < 0) {
            return 1;
        }
        rc = nk_buf_put(&job->data, p + dot, n - (size_t)dot);
        rc = rc < 0 ? rc : nk_buf_u8(&job->data, '\n');
    }
    return rc < 0 ? rc : job->ended;
}

/* The next command into line and data: 1; 0 when there is none (yet); or the error. */
static int next_command(struct job *job)
{
    const struct nk_cmd_ctx *ctx = job->cli->ctx;
    const char *p = NULL;
    size_t n = 0;
    if (job->block) {
        return read_block(job);
    }
    nk_buf_reset(&job->line);
    nk_buf_reset(&job->data);
    if (!job->in && job->argi < ctx->argc) {
        p = ctx->argv[job->argi++];
        n = strlen(p);
    }
    while (job->in && n == 0) {
        if (!input_line(job, &p, &n)) {
            return 0;
        }
        job->block = n > 0 && p[0] == '+';
    }
    if (n == 0) {
        return 0;
    }
    int rc = nk_buf_put(&job->line, p + job->block, n - job->block);
    return rc < 0 ? rc : job->block ? read_block(job) : 1;
}

/* --- replies ---------------------------------------------------------------------------------- */

static void print_line(void *owner, const struct tor_line *line)
{
    struct job *job = owner;
    if (line->kind == '=') {
        bool dot = line->len > 0 && line->text[0] == '.';
        tor_cli_print("..", dot ? 1 : 0);
    } else {
        fputs(job->in_block ? ".\n" : "", stdout);
        job->in_block = line->kind == '+';
        printf("%d%c", line->code, line->kind);
        job->refused |= line->code >= TOR_FAILED;
    }
    tor_cli_print(line->text, line->len);
    putchar('\n');
}

static int print_json(struct job *job, const struct tor_reply *reply)
{
    struct nk_buf out;
    struct nk_json j;
    nk_buf_init(&out, TOR_REPLY_MAX * 2);
    nk_json_init(&j, &out, false);
    nk_json_object(&j);
    nk_json_kv_i64(&j, "schema", 1);
    nk_json_key(&j, "command");
    nk_json_strn(&j, nk_buf_ptr(&job->line), nk_buf_len(&job->line));
    nk_json_kv_i64(&j, "code", reply->code);
    nk_json_key(&j, "lines");
    nk_json_array(&j);
    for (size_t i = 0; i < reply->n; i++) {
        const struct tor_line *l = &reply->lines[i];
        job->refused |= l->code >= TOR_FAILED;
        nk_json_object(&j);
        nk_json_kv_i64(&j, "code", l->code);
        nk_json_key(&j, "text");
        nk_json_strn(&j, l->text, l->len);
        if (l->data) {
            nk_json_key(&j, "data");
            nk_json_strn(&j, l->data, l->data_len);
        }
        nk_json_close(&j);
    }
    nk_json_close(&j);
    nk_json_close(&j);
    return nk_cli_put_json(&j, &job->cli->ctx->diag);
}

/* --- one after the other ---------------------------------------------------------------------- */

static void go_on(struct job *job);

static void on_reply(void *owner, int err, const struct tor_reply *reply, const struct nk_diag *why)
{
    struct job *job = owner;
    struct nk_cmd_ctx *ctx = job->cli->ctx;
    int rc = err;
    if (err < 0) {
        ctx->diag = *why;
    } else if (ctx->globals->json) {
        rc = print_json(job, reply);
    } else {
        print_line(job, &reply->lines[0]);
    }
    rc = rc < 0 ? rc : nk_cli_flush(&ctx->diag);
    if (rc < 0) {
        tor_cli_finish(job->cli, rc);
        return;
    }
    job->waiting = job->block = false;
    go_on(job);
}

static int send_command(struct job *job)
{
    struct nk_diag *diag = &job->cli->ctx->diag;
    const char *line = nk_buf_str(&job->line);
    const char *data = line && job->block ? nk_buf_str(&job->data) : NULL;
    if (!line || (job->block && !data)) {
        return nk_fail_sys(diag, -ENOMEM, "the command");
    }
    if (strlen(line) != nk_buf_len(&job->line)) {
        return nk_fail(diag, NK_EUSAGE, "a command of tor has no NUL");
    }
    job->waiting = true;
    return tor_control_send(job->cli->control, &job->request, line, data, nk_buf_len(&job->data),
                            diag);
}

/* What has come of the commands is sent; more of them is read only when there is need of it. */
static void go_on(struct job *job)
{
    int rc = job->waiting ? 0 : next_command(job);
    bool more = job->in && !job->ended;
    if (rc < 0) {
        nk_fail_sys(&job->cli->ctx->diag, rc, "the commands");
    } else if (rc > 0) {
        rc = send_command(job);
    } else if (!job->waiting && !more) {
        tor_cli_finish(job->cli, job->refused ? NK_EXIT_FAILED : 0);
    }
    if (rc < 0) {
        tor_cli_finish(job->cli, rc);
    }
    if (job->in) {
        nk_stream_interest(job->in, !job->waiting && more ? (unsigned)NK_READABLE : 0);
    }
}

static void on_input(void *owner, struct nk_stream *in, unsigned events)
{
    struct job *job = owner;
    char bytes[READ_SIZE];
    if (job->waiting || job->ended) {
        return;
    }
    ssize_t n =
        events & (NK_READABLE | NK_CLOSED) ? nk_stream_read(in, bytes, sizeof(bytes)) : NK_EAGAIN;
    int rc = n < 0 && n != NK_EAGAIN ? (int)n : 0;
    if (n > 0) {
        nk_buf_consume(&job->input, job->read);
        job->read = 0;
        rc = nk_buf_put(&job->input, bytes, (size_t)n);
        nk_wipe(bytes, (size_t)n);
    }
    job->ended = n == 0;
    if (rc < 0) {
        tor_cli_finish(job->cli, nk_fail_sys(&job->cli->ctx->diag, rc, "standard input"));
    } else {
        go_on(job);
    }
}

static void ready(struct tor_cli *cli)
{
    struct job *job = cli->task->owner;
    int rc = 0;
    job->cli = cli;
    job->request = (struct tor_request){.fn = on_reply, .owner = job};
    job->request.on_line = cli->ctx->globals->json ? NULL : print_line;
    if (from_input(cli->ctx)) {
        rc = nk_stream_from_inherited(cli->app, STDIN_FILENO, -1, "stdin", &job->in,
                                      &cli->ctx->diag);
    }
    if (rc < 0) {
        tor_cli_finish(cli, rc);
        return;
    }
    if (job->in) {
        nk_stream_own(job->in, on_input, job);
    }
    go_on(job);
}

static void end(struct tor_cli *cli)
{
    struct job *job = cli->task->owner;
    nk_stream_close(job->in);
    job->in = NULL;
}

/* What tor would not take, or not answer, is known before it is asked. */
static int check_words(struct nk_cmd_ctx *ctx, struct nk_buf *scratch)
{
    int rc = 0;
    for (int i = 0; rc == 0 && i < ctx->argc; i++) {
        const char *word = ctx->argv[i];
        nk_buf_reset(scratch);
        rc = strcmp(word, "-") == 0
                 ? nk_fail(&ctx->diag, NK_EUSAGE, "'-' stands alone")
                 : tor_wire_put_command(scratch, word, strlen(word), NULL, 0, &ctx->diag);
    }
    return rc;
}

static int run(struct nk_cmd_ctx *ctx)
{
    const struct tor_cli_conf *conf = ctx->conf;
    struct job job = {0};
    const struct tor_cli_task task = {.ready = ready, .end = end, .owner = &job};
    nk_buf_init_secret(&job.input, TOR_COMMAND_MAX + READ_SIZE);
    nk_buf_init_secret(&job.line, TOR_COMMAND_MAX + READ_SIZE);
    nk_buf_init_secret(&job.data, TOR_COMMAND_MAX + READ_SIZE);
    int rc = from_input(ctx) ? 0 : check_words(ctx, &job.line);
    rc = rc < 0 ? rc : tor_cli_run(ctx, conf, &task);
    nk_buf_clear(&job.input);
    nk_buf_clear(&job.line);
    nk_buf_clear(&job.data);
    return rc;
}

extern const struct nk_cmd nk_cmd_tor_cmd;
const struct nk_cmd nk_cmd_tor_cmd = {
    .synopsis = "[LINE..|-]",
    .summary = "Send commands to tor's control port as they are",
    .opts = tor_cli_rows,
    .conf_size = sizeof(struct tor_cli_conf),
    .max_args = -1,
    .flags = NK_CMD_EXEC,
    .run = run,
};
