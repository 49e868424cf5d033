/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>

#include "base/cmd.h"
#include "base/onion.h"
#include "onion/hsdir.h"
#include "tor/tor.h"

struct work {
    struct tor_cli *cli;
    struct tor_request request;
    const char *id;
};

static void on_deleted(void *owner, int err, const struct tor_reply *reply,
                       const struct nk_diag *why)
{
    struct work *w = owner;
    if (err == 0 && reply->code != TOR_OK) {
        const struct tor_line *last = &reply->lines[reply->n - 1];
        err = onion_spec_explain(reply->code, last->text, last->len, &w->cli->ctx->diag);
    } else if (err < 0) {
        w->cli->ctx->diag = *why;
    }
    tor_cli_finish(w->cli, err);
}

static void send(struct work *w, tor_reply_fn *fn, const char *line)
{
    w->request = (struct tor_request){.fn = fn, .owner = w};
    tor_cli_send(w->cli, &w->request, line);
}

/* A service in a directory: tor's list, without it. */
static void on_list(void *owner, int err, const struct tor_reply *reply, const struct nk_diag *why)
{
    struct work *w = owner;
    struct nk_buf line;
    int rc = 0;
    if (!tor_cli_reply(w->cli, err, reply, why, ONION_HSDIR_ASK)) {
        return;
    }
    nk_buf_init(&line, TOR_COMMAND_MAX);
    if (!onion_hsdir_has(reply, w->id)) {
        rc = nk_fail(&w->cli->ctx->diag, -ENOENT, "tor has no service in %s", w->id);
    }
    rc = rc < 0 ? rc : onion_hsdir_set(&line, reply, w->id, NULL, &w->cli->ctx->diag);
    if (rc == 0 && nk_buf_str(&line)) {
        send(w, on_deleted, nk_buf_str(&line));
    } else {
        tor_cli_finish(w->cli, rc < 0 ? rc : -ENOMEM);
    }
    nk_buf_clear(&line);
}

static void on_ready(struct tor_cli *cli)
{
    struct work *w = cli->task->owner;
    char line[16 + NK_ONION_SIZE], address[NK_ONION_SIZE];
    uint8_t pub[NK_ONION_KEY];
    w->cli = cli;
    if (w->id[0] == '/') {
        send(w, on_list, ONION_HSDIR_ASK);
    } else if (nk_onion_parse(pub, w->id, strlen(w->id), NULL) == 0) {
        nk_onion_format(address, pub);
        (void)snprintf(line, sizeof(line), "DEL_ONION %.*s", NK_ONION_LABEL, address);
        send(w, on_deleted, line);
    }
}

static int run(struct nk_cmd_ctx *ctx)
{
    struct work w = {.id = ctx->argv[0]};
    const struct tor_cli_task task = {.ready = on_ready, .owner = &w};
    uint8_t pub[NK_ONION_KEY];
    int rc = w.id[0] == '/' ? 0 : nk_onion_parse(pub, w.id, strlen(w.id), &ctx->diag);
    return rc < 0 ? rc : tor_cli_run(ctx, ctx->conf, &task);
}

extern const struct nk_cmd nk_cmd_onion_delete;
const struct nk_cmd nk_cmd_onion_delete = {
    .synopsis = "ADDRESS|DIR",
    .summary = "Take away a detached onion service, or one in a directory",
    .opts = tor_cli_rows,
    .conf_size = sizeof(struct tor_cli_conf),
    .min_args = 1,
    .max_args = 1,
    .flags = NK_CMD_EXEC | NK_CMD_NO_CONFIG,
    .run = run,
};
