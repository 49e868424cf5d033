/* SPDX-License-Identifier: MIT */
/* netkit tor cmd: commands of the control port as they are, and tor's replies. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "tor/cli.h"
#include "tor/proto.h"

enum { INPUT_MAX = 16 << 20 };

struct job {
    struct tor_cli *cli;
    struct tor_request request;
    struct nk_buf input; /* all of standard input, up to `read` dealt with */
    struct nk_buf line;  /* the command that is being sent */
    struct nk_buf data;  /* its data block */
    size_t read;
    int argi;      /* next word of the command line */
    bool in_block; /* a data block of tor's is being printed */
    bool refused;  /* one of them was */
};

static bool from_input(const struct job *job)
{
    const struct nk_cmd_ctx *ctx = job->cli->ctx;
    return ctx->argc == 0 || (ctx->argc == 1 && strcmp(ctx->argv[0], "-") == 0);
}

/* The next line of the input, without its end, or false. */
static bool input_line(struct job *job, const char **p, size_t *n)
{
    size_t have = nk_buf_len(&job->input) - job->read;
    if (have == 0) {
        return false;
    }
    const char *base = (const char *)nk_buf_ptr(&job->input) + job->read;
    const char *lf = memchr(base, '\n', have);
    *p = base;
    *n = lf ? (size_t)(lf - base) : have;
    job->read += *n + (lf ? 1 : 0);
    *n -= *n > 0 && base[*n - 1] == '\r' ? 1 : 0;
    return true;
}

/* The data block of a command that begins with '+'; ends with "." or the input. */
static int read_block(struct job *job)
{
    const char *p;
    size_t n;
    int rc = 0;
    while (rc == 0 && input_line(job, &p, &n)) {
        int dot = tor_wire_undot(p, n);
        if (dot < 0) {
            return 0;
        }
        rc = nk_buf_put(&job->data, p + dot, n - (size_t)dot);
        rc = rc < 0 ? rc : nk_buf_u8(&job->data, '\n');
    }
    return rc;
}

/* The next command into job->line and job->data: 1; 0 when there is none. */
static int next_command(struct job *job, bool *block)
{
    const char *p = NULL;
    size_t n = 0;
    nk_buf_reset(&job->line);
    nk_buf_reset(&job->data);
    *block = false;
    if (from_input(job)) {
        do {
            if (!input_line(job, &p, &n)) {
                return 0;
            }
        } while (n == 0);
        *block = p[0] == '+';
    } else if (job->argi < job->cli->ctx->argc) {
        p = job->cli->ctx->argv[job->argi++];
        n = strlen(p);
    } else {
        return 0;
    }
    int rc = nk_buf_put(&job->line, p + (*block ? 1 : 0), n - (*block ? 1 : 0));
    rc = rc < 0 || !*block ? rc : read_block(job);
    return rc < 0 ? nk_fail_sys(&job->cli->ctx->diag, rc, "the commands") : 1;
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
    return tor_cli_put_json(&j, &job->cli->ctx->diag);
}

static void send_next(struct job *job);

static void on_reply(void *owner, int err, const struct tor_reply *reply, const struct nk_diag *why)
{
    struct job *job = owner;
    struct nk_cmd_ctx *ctx = job->cli->ctx;
    int rc = 0;
    if (err < 0) {
        ctx->diag = *why;
        tor_cli_finish(job->cli, err);
        return;
    }
    if (ctx->globals->json) {
        rc = print_json(job, reply);
    } else {
        print_line(job, &reply->lines[0]);
    }
    if (rc < 0) {
        tor_cli_finish(job->cli, rc);
    } else {
        send_next(job);
    }
}

static void send_next(struct job *job)
{
    struct nk_cmd_ctx *ctx = job->cli->ctx;
    bool block;
    int rc = next_command(job, &block);
    if (rc == 0) {
        tor_cli_finish(job->cli, job->refused ? NK_EXIT_FAILED : 0);
        return;
    }
    const char *line = rc > 0 ? nk_buf_str(&job->line) : NULL;
    const char *data = line && block ? nk_buf_str(&job->data) : NULL;
    rc = rc > 0 && (!line || (block && !data)) ? nk_fail(&ctx->diag, -ENOMEM, "out of memory") : rc;
    if (rc > 0 && strlen(line) != nk_buf_len(&job->line)) {
        rc = nk_fail(&ctx->diag, NK_EUSAGE, "a command of tor has no NUL");
    }
    rc = rc < 0 ? rc
                : tor_control_send(job->cli->control, &job->request, line, data,
                                   nk_buf_len(&job->data), &ctx->diag);
    if (rc < 0) {
        tor_cli_finish(job->cli, rc);
    }
}

static void ready(struct tor_cli *cli)
{
    struct job *job = cli->task->owner;
    job->cli = cli;
    job->request = (struct tor_request){.fn = on_reply, .owner = job};
    job->request.on_line = cli->ctx->globals->json ? NULL : print_line;
    int rc = from_input(job) ? nk_file_read_fd(STDIN_FILENO, &job->input, &cli->ctx->diag) : 0;
    if (rc < 0) {
        tor_cli_finish(cli, rc);
    } else {
        send_next(job);
    }
}

static int run(struct nk_cmd_ctx *ctx)
{
    const struct tor_cli_conf *conf = ctx->conf;
    struct job job = {0};
    const struct tor_cli_task task = {.ready = ready, .owner = &job};
    nk_buf_init_secret(&job.input, INPUT_MAX);
    nk_buf_init_secret(&job.line, TOR_COMMAND_MAX + 1);
    nk_buf_init_secret(&job.data, TOR_COMMAND_MAX + 1);
    int rc = tor_cli_run(ctx, conf, &task);
    nk_buf_clear(&job.input);
    nk_buf_clear(&job.line);
    nk_buf_clear(&job.data);
    return rc;
}

extern const struct nk_cmd nk_cmd_tor_cmd;
const struct nk_cmd nk_cmd_tor_cmd = {
    .synopsis = "[LINE..|-]",
    .summary = "Send commands to tor's control port as they are",
    .description =
        "Each LINE is a command of control-spec; without any, or with '-', they are the lines of "
        "standard input, where one that begins with '+' is followed by its data up to a line with "
        "a "
        "single dot. The connection is authenticated already. Replies are printed as they come, "
        "data blocks as well; with --json each reply is one line. All commands are sent, one after "
        "the other; the exit status is 1 when tor refused something.\n\n"
        "Commands that tor does not answer (ADD_ONION with ClientAuth=, HSPOST without HSADDRESS=) "
        "are refused. Do not put keys and passwords on the command line, where others see them: "
        "standard input is for that.",
    .examples = "netkit tor cmd 'GETINFO version'\n"
                "netkit tor cmd 'SETCONF MaxCircuitDirtiness=60' 'GETCONF MaxCircuitDirtiness'\n"
                "netkit tor cmd - <commands.txt",
    .opts = tor_cli_rows,
    .conf_size = sizeof(struct tor_cli_conf),
    .max_args = -1,
    .flags = NK_CMD_EXEC,
    .run = run,
};
