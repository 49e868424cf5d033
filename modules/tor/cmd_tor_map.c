/* SPDX-License-Identifier: MIT */
/* Without arguments what tor has mapped; else new mappings. */
#include <stdio.h>
#include <string.h>

#include "base/cli.h"
#include "tor/act.h"
#include "tor/list.h"

#define LINE_MAX_BYTES ((size_t)1 << 16)

struct map {
    struct nk_cmd_ctx *ctx;
    struct tor_cli *cli;
    struct tor_request request;
    struct nk_buf line, out;
};

/* tor answers each mapping in a line of its own, refused ones too. */
static void on_reply(void *owner, int err, const struct tor_reply *reply, const struct nk_diag *why)
{
    struct map *m = owner;
    struct nk_json j;
    bool json = m->ctx->globals->json;
    if (err < 0) {
        m->ctx->diag = *why;
        tor_cli_finish(m->cli, err);
        return;
    }
    nk_json_init(&j, &m->out, false);
    nk_json_object(&j);
    nk_json_key(&j, "mappings");
    nk_json_array(&j);
    if (!json)
        nk_buf_reset(&m->out);
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < reply->n; i++) {
        struct tor_word pair;
        if (reply->lines[i].code != TOR_OK || !tor_line_pair(&reply->lines[i], &pair))
            continue;
        if (json) {
            nk_json_object(&j);
            nk_json_key(&j, "address");
            nk_json_strn(&j, pair.key, pair.key_len);
            nk_json_key(&j, "new_address");
            nk_json_strn(&j, pair.value, pair.value_len);
            nk_json_close(&j);
        } else {
            rc = nk_buf_printf(&m->out, "%.*s %.*s\n", (int)pair.key_len, pair.key,
                               (int)pair.value_len, pair.value);
        }
    }
    if (json) {
        nk_json_close(&j);
        nk_json_close(&j);
        rc = nk_cli_put_json(&j, &m->ctx->diag);
    } else {
        tor_cli_print((const char *)nk_buf_ptr(&m->out), nk_buf_len(&m->out));
    }
    rc = rc < 0 ? rc : tor_reply_error(reply, "MAPADDRESS", &m->ctx->diag);
    tor_cli_finish(m->cli, rc);
}

static void ready(struct tor_cli *cli)
{
    struct map *m = cli->task->owner;
    m->cli = cli;
    m->request = (struct tor_request){.fn = on_reply, .owner = m};
    int rc =
        tor_control_send(cli->control, &m->request, nk_buf_str(&m->line), NULL, 0, &m->ctx->diag);
    if (rc < 0)
        tor_cli_finish(cli, rc);
}

static int run(struct nk_cmd_ctx *ctx)
{
    const struct tor_list_conf *conf = ctx->conf;
    struct map m = {.ctx = ctx};
    if (ctx->argc == 0)
        return tor_list_run(ctx, &tor_list_maps);
    nk_buf_init(&m.line, LINE_MAX_BYTES);
    nk_buf_init(&m.out, LINE_MAX_BYTES * 2);
    int rc = nk_buf_puts(&m.line, "MAPADDRESS");
    if (conf->filter.n > 0)
        rc = nk_fail(&ctx->diag, NK_EUSAGE, "--filter is for what tor has mapped");
    for (int i = 0; rc == 0 && i < ctx->argc; i++) {
        const char *equals = strchr(ctx->argv[i], '=');
        rc = tor_word_check(ctx->argv[i], "mapping", &ctx->diag);
        if (rc == 0 && (!equals || equals == ctx->argv[i] || !equals[1] || strchr(equals + 1, '=')))
            rc = nk_fail(&ctx->diag, NK_EUSAGE, "'%s' is no mapping FROM=TO", ctx->argv[i]);
        rc = rc < 0 ? rc : nk_buf_printf(&m.line, " %s", ctx->argv[i]);
    }
    if (rc == 0 && !nk_buf_str(&m.line))
        rc = -ENOMEM;
    const struct tor_cli_task task = {.ready = ready, .owner = &m};
    rc = rc < 0 ? rc : tor_cli_run(ctx, &conf->cli, &task);
    nk_buf_clear(&m.line);
    nk_buf_clear(&m.out);
    return rc;
}

const struct nk_cmd nk_cmd_tor_map = {
    .synopsis = "[FROM=TO..] [--filter CONDITION]..",
    .summary = "Show or make tor's address mappings",
    .opts = tor_list_opts,
    .conf_size = sizeof(struct tor_list_conf),
    .max_args = -1,
    .run = run,
};
