/* SPDX-License-Identifier: MIT */
/* netkit tor info: GETINFO (control-spec 3.9). */
#include <stdio.h>
#include <string.h>

#include "base/cli.h"
#include "tor/cli.h"
#include "tor/given.h"
#include "tor/proto.h"

enum { KEY_MAX = 256 /* with its end */ };

struct info {
    struct tor_cli *cli;
    int values; /* that tor has given */
    struct tor_request request;
};

/* One key prints its value alone; several print key=value. A block begins on a line of its own. */
static void print_line(void *owner, const struct tor_line *line)
{
    struct info *info = owner;
    bool bare = info->cli->ctx->argc == 1;
    struct tor_word pair;
    if (line->code != TOR_OK) {
        return; /* tor's reason is in the last line */
    }
    info->values += line->kind == '=' ? 0 : 1;
    if (line->kind == '=') {
        tor_cli_print(line->text, line->len);
    } else if (bare && tor_line_pair(line, &pair)) {
        if (line->kind == '+') {
            return;
        }
        tor_cli_print(pair.value, pair.value_len);
    } else {
        tor_cli_print(line->text, line->len);
    }
    putchar('\n');
}

static int print_json(struct info *info, const struct tor_reply *reply)
{
    struct nk_buf out;
    struct nk_json j;
    nk_buf_init(&out, TOR_REPLY_MAX * 2);
    nk_json_init(&j, &out, false);
    nk_json_object(&j);
    nk_json_kv_i64(&j, "schema", 1);
    nk_json_key(&j, "info");
    nk_json_object(&j);
    for (size_t i = 0; i + 1 < reply->n; i++) {
        struct tor_word pair;
        char key[KEY_MAX];
        if (tor_line_pair(&reply->lines[i], &pair) && pair.key_len < sizeof(key)) {
            info->values++;
            memcpy(key, pair.key, pair.key_len);
            key[pair.key_len] = '\0';
            nk_json_key(&j, key);
            nk_json_strn(&j, pair.value, pair.value_len);
        }
    }
    nk_json_close(&j);
    nk_json_close(&j);
    if (info->values != info->cli->ctx->argc) {
        nk_buf_clear(&out);
        return 0; /* told by the caller */
    }
    return nk_cli_put_json(&j, &info->cli->ctx->diag);
}

static void on_reply(void *owner, int err, const struct tor_reply *reply, const struct nk_diag *why)
{
    struct info *info = owner;
    struct nk_cmd_ctx *ctx = info->cli->ctx;
    if (!tor_cli_reply(info->cli, err, reply, why, "GETINFO")) {
        if (err == 0) {
            nk_hint(&ctx->diag, "netkit tor info info/names lists what it knows");
        }
        return;
    }
    int rc = ctx->globals->json ? print_json(info, reply) : 0;
    if (rc == 0 && info->values != ctx->argc) {
        rc = nk_fail(&ctx->diag, NK_EPROTO, "tor has left out values that were asked for");
    }
    tor_cli_finish(info->cli, rc);
}

static void ready(struct tor_cli *cli)
{
    struct info *info = cli->task->owner;
    info->cli = cli;
    info->request = (struct tor_request){.fn = on_reply, .owner = info};
    info->request.on_line = cli->ctx->globals->json ? NULL : print_line;
    tor_cli_send_words(cli, &info->request, "GETINFO", cli->ctx->argv, cli->ctx->argc);
}

static int run(struct nk_cmd_ctx *ctx)
{
    const struct tor_cli_conf *conf = ctx->conf;
    struct info info = {0};
    const struct tor_cli_task task = {.ready = ready, .owner = &info};
    int rc = tor_words_check(ctx->argv, ctx->argc, "key of GETINFO", &ctx->diag);
    return rc < 0 ? rc : tor_cli_run(ctx, conf, &task);
}

extern const struct nk_cmd nk_cmd_tor_info;
const struct nk_cmd nk_cmd_tor_info = {
    .synopsis = "KEY..",
    .summary = "Ask tor for values (GETINFO)",
    .opts = tor_cli_rows,
    .conf_size = sizeof(struct tor_cli_conf),
    .min_args = 1,
    .max_args = -1,
    .flags = NK_CMD_EXEC,
    .run = run,
};
