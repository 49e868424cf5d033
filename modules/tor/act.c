/* SPDX-License-Identifier: MIT */
#include "base/cli.h"
#include "tor/act.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct act {
    struct nk_cmd_ctx *ctx;
    char *const *lines;
    size_t n, sent, answered;
    int rc;
    struct tor_cli *cli;
    struct nk_json json;
    struct nk_buf out;
    struct one {
        struct act *act;
        struct tor_request request;
    } each[];
};

#define OUTPUT_MAX ((size_t)1 << 22)
#define LINE_SIZE 64 /* a command with an id */

/* What tor 0.4.9 says, and what to do about it. */
static const struct {
    const char *said, *hint;
} hints[] = {
    {"Unknown circuit", "'netkit tor circuits list' shows those that are there"},
    {"Unknown stream", "'netkit tor streams list' shows those that are there"},
    {"No such router", "'netkit tor relays' shows those that tor knows"},
    {"Unknown purpose", "tor lets a controller use general and controller"},
    {"managed by controller",
     "tor attaches streams itself unless __LeaveStreamsUnattached is 1 when they are made"},
    {"Can't attach stream to non-open", "the circuit is not built yet"},
    {"one-hop", "tor does not use circuits of one relay for streams"},
};

void tor_act_explain(const struct tor_reply *reply, struct nk_diag *diag)
{
    for (size_t i = 0; i < reply->n; i++) {
        const struct tor_line *l = &reply->lines[i];
        for (size_t k = 0; l->code >= TOR_FAILED && k < sizeof hints / sizeof hints[0]; k++) {
            if (memmem(l->text, l->len, hints[k].said, strlen(hints[k].said))) {
                nk_hint(diag, "%s", hints[k].hint);
                return;
            }
        }
    }
}

static void put_json(struct act *a, size_t i, const struct tor_reply *reply)
{
    const struct tor_line *last = &reply->lines[reply->n - 1];
    nk_json_object(&a->json);
    nk_json_kv_str(&a->json, "command", a->lines[i]);
    nk_json_kv_i64(&a->json, "code", reply->code);
    nk_json_key(&a->json, "text");
    nk_json_strn(&a->json, last->text, last->len);
    nk_json_close(&a->json);
}

static void on_reply(void *owner, int err, const struct tor_reply *reply, const struct nk_diag *why)
{
    struct one *one = owner;
    struct act *a = one->act;
    size_t i = (size_t)(one - a->each);
    if (err < 0) {
        a->ctx->diag = *why;
        tor_cli_finish(a->cli, err);
        return;
    }
    put_json(a, i, reply);
    struct nk_diag diag;
    int rc = tor_reply_error(reply, a->lines[i], &diag);
    if (rc < 0 && a->rc == 0) {
        tor_act_explain(reply, &diag);
        a->ctx->diag = diag;
        a->rc = rc;
    }
    if (++a->answered < a->n)
        return;
    nk_json_close(&a->json);
    nk_json_close(&a->json);
    rc = a->ctx->globals->json ? nk_cli_put_json(&a->json, &diag) : 0;
    tor_cli_finish(a->cli, a->rc < 0 ? a->rc : rc);
}

static void ready(struct tor_cli *cli)
{
    struct act *a = cli->task->owner;
    int rc = 0;
    a->cli = cli;
    for (size_t i = 0; rc == 0 && i < a->n; i++) {
        a->each[i].act = a;
        a->each[i].request = (struct tor_request){.fn = on_reply, .owner = &a->each[i]};
        rc = tor_control_send(cli->control, &a->each[i].request, a->lines[i], NULL, 0,
                              &a->ctx->diag);
    }
    if (rc < 0)
        tor_cli_finish(cli, rc);
}

int tor_act_run(struct nk_cmd_ctx *ctx, const struct tor_cli_conf *conf, char *const *lines,
                size_t n)
{
    struct act *a = calloc(1, sizeof *a + n * sizeof a->each[0]);
    if (!a)
        return -ENOMEM;
    a->ctx = ctx;
    a->lines = lines;
    a->n = n;
    nk_buf_init(&a->out, OUTPUT_MAX);
    nk_json_init(&a->json, &a->out, false);
    nk_json_object(&a->json);
    nk_json_key(&a->json, "replies");
    nk_json_array(&a->json);
    const struct tor_cli_task task = {.ready = ready, .owner = a};
    int rc = tor_cli_run(ctx, conf, &task);
    nk_buf_clear(&a->out);
    free(a);
    return rc;
}

int tor_act_each(struct nk_cmd_ctx *ctx, const struct tor_cli_conf *conf, const char *what,
                 const char *before, const char *behind)
{
    struct nk_strlist lines = {NULL, 0};
    int rc = 0;
    for (int i = 0; rc == 0 && i < ctx->argc; i++) {
        char line[LINE_SIZE];
        rc = tor_id_check(ctx->argv[i], false, what, &ctx->diag);
        int n = snprintf(line, sizeof line, "%s %.*s%s", before, TOR_ID_MAX, ctx->argv[i], behind);
        rc = rc < 0 ? rc : nk_strlist_add(&lines, line, (size_t)n);
    }
    rc = rc < 0 ? rc : tor_act_run(ctx, conf, lines.v, lines.n);
    nk_strlist_clear(&lines);
    return rc;
}
