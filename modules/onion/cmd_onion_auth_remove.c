/* SPDX-License-Identifier: MIT */
/* netkit onion auth remove: take clients' keys out of a tor that runs. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cli.h"
#include "base/cmd.h"
#include "base/onion.h"
#include "tor/tor.h"

enum { NOT_THERE = 251 /* control-spec 3.31 */ };

struct removal {
    struct tor_cli *cli;
    uint8_t (*addresses)[HS_PUBLIC_KEY];
    size_t at;
    struct nk_buf out;
    struct nk_json j;
    struct tor_request request;
};

static void next(struct removal *r)
{
    struct nk_cmd_ctx *ctx = r->cli->ctx;
    char address[NK_ONION_SIZE];
    int rc = 0;
    if (r->at == (size_t)ctx->argc) {
        nk_json_close(&r->j);
        rc = ctx->globals->json ? nk_cli_put_json(&r->j, &ctx->diag) : 0;
        tor_cli_finish(r->cli, rc);
        return;
    }
    nk_onion_format(address, r->addresses[r->at]);
    rc = tor_control_sendf(r->cli->control, &r->request, &ctx->diag,
                           "ONION_CLIENT_AUTH_REMOVE %.*s", NK_ONION_LABEL, address);
    if (rc < 0) {
        tor_cli_finish(r->cli, rc);
    }
}

static void on_reply(void *owner, int err, const struct tor_reply *reply, const struct nk_diag *why)
{
    struct removal *r = owner;
    char address[NK_ONION_SIZE];
    if (err < 0) {
        r->cli->ctx->diag = *why;
    } else {
        err = tor_client_auth_error(reply, false, &r->cli->ctx->diag);
    }
    if (err < 0) {
        tor_cli_finish(r->cli, err);
        return;
    }
    nk_onion_format(address, r->addresses[r->at++]);
    if (r->cli->ctx->globals->json) {
        nk_json_object(&r->j);
        nk_json_kv_str(&r->j, "address", address);
        nk_json_kv_bool(&r->j, "removed", reply->code != NOT_THERE);
        nk_json_close(&r->j);
    } else {
        printf("%s  %s\n", address, reply->code == NOT_THERE ? "there was none" : "removed");
    }
    next(r);
}

static void on_ready(struct tor_cli *cli)
{
    struct removal *r = cli->task->owner;
    r->cli = cli;
    next(r);
}

static int run(struct nk_cmd_ctx *ctx)
{
    const struct tor_cli_conf *c = ctx->conf;
    struct removal r = {.request = {.fn = on_reply, .owner = &r}};
    const struct tor_cli_task task = {.ready = on_ready, .owner = &r};
    int rc = 0;
    if (!(r.addresses = calloc((size_t)ctx->argc, HS_PUBLIC_KEY))) {
        return nk_fail(&ctx->diag, -ENOMEM, "out of memory");
    }
    for (int i = 0; rc == 0 && i < ctx->argc; i++) {
        rc = nk_onion_parse(r.addresses[i], ctx->argv[i], strlen(ctx->argv[i]), &ctx->diag);
    }
    nk_buf_init(&r.out, (size_t)1 << 20);
    nk_json_init(&r.j, &r.out, true);
    nk_json_array(&r.j);
    rc = rc < 0 || ctx->globals->dry_run ? rc : tor_cli_run(ctx, c, &task);
    nk_buf_clear(&r.out);
    free(r.addresses);
    return rc;
}

extern const struct nk_cmd nk_cmd_onion_auth_remove;
const struct nk_cmd nk_cmd_onion_auth_remove = {
    .synopsis = "ADDRESS..",
    .summary = "Take clients' keys for onion services out of tor",
    .opts = tor_cli_rows,
    .conf_size = sizeof(struct tor_cli_conf),
    .min_args = 1,
    .max_args = -1,
    .flags = NK_CMD_EXEC,
    .run = run,
};
