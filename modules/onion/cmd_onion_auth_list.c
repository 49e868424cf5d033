/* SPDX-License-Identifier: MIT */
/* netkit onion auth list: the clients' keys that a tor has. */
#include <stdio.h>
#include <string.h>

#include "base/cli.h"
#include "base/cmd.h"
#include "base/codec.h"
#include "base/onion.h"
#include "tor/tor.h"

struct list_conf {
    struct tor_cli_conf tor;
    bool reveal;
};

static const struct nk_opt opts[] = {TOR_ROWS(struct list_conf, tor),
                                     {.name = "reveal",
                                      .type = NK_OPT_FLAG,
                                      .offset = NK_FIELD(struct list_conf, reveal),
                                      .help = "Show the private keys"},
                                     NK_OPT_END};

struct list {
    struct tor_cli *cli;
    bool reveal, one;
    uint8_t wanted[HS_PUBLIC_KEY];
    struct nk_buf out;
    struct nk_json j;
    struct tor_request request;
};

static void put(struct list *l, const struct tor_client_row *r)
{
    char address[NK_ONION_SIZE], mark[HS_FINGERPRINT_SIZE], key[NK_BASE32_SIZE(HS_PUBLIC_KEY)];
    nk_onion_format(address, r->address);
    hs_client_fingerprint(mark, r->client.pub);
    nk_base32_encode(key, r->client.pub, HS_PUBLIC_KEY);
    if (!l->cli->ctx->globals->json) {
        printf("%s  %s  %-9s  %.*s%s%.*s\n", address, mark, r->permanent ? "permanent" : "session",
               (int)r->name.value_len, r->name.value ? r->name.value : "", l->reveal ? "  " : "",
               l->reveal ? (int)r->key.value_len : 0, r->key.value);
        return;
    }
    nk_json_object(&l->j);
    nk_json_kv_str(&l->j, "address", address);
    nk_json_kv_str(&l->j, "fingerprint", mark);
    nk_json_kv_str(&l->j, "public", key);
    nk_json_key(&l->j, "name");
    if (r->name.value) {
        nk_json_strn(&l->j, r->name.value, r->name.value_len);
    } else {
        nk_json_null(&l->j);
    }
    nk_json_kv_bool(&l->j, "permanent", r->permanent);
    if (l->reveal) {
        nk_json_key(&l->j, "key");
        nk_json_strn(&l->j, r->key.value, r->key.value_len);
    }
    nk_json_close(&l->j);
}

static int show(struct list *l, const struct tor_reply *reply)
{
    struct nk_diag *diag = &l->cli->ctx->diag;
    struct tor_client_row row;
    int rc = tor_client_auth_error(reply, false, diag);
    for (size_t i = 1; rc == 0 && i + 1 < reply->n; i++) {
        if (!tor_client_row_read(&row, &reply->lines[i])) {
            rc = nk_fail(diag, NK_EPROTO, "tor's answer has a line that is no client's key");
        } else if (!l->one || memcmp(row.address, l->wanted, HS_PUBLIC_KEY) == 0) {
            put(l, &row);
        }
        hs_client_wipe(&row.client);
    }
    nk_json_close(&l->j);
    return rc < 0 || !l->cli->ctx->globals->json ? rc : nk_cli_put_json(&l->j, diag);
}

static void on_reply(void *owner, int err, const struct tor_reply *reply, const struct nk_diag *why)
{
    struct list *l = owner;
    if (err < 0) {
        l->cli->ctx->diag = *why;
    } else {
        err = show(l, reply);
    }
    tor_cli_finish(l->cli, err);
}

static void on_ready(struct tor_cli *cli)
{
    struct list *l = cli->task->owner;
    l->cli = cli;
    l->request = (struct tor_request){.fn = on_reply, .owner = l};
    /* All of them: tor compares an address that is asked for by its characters. */
    tor_cli_send(cli, &l->request, "ONION_CLIENT_AUTH_VIEW");
}

static int run(struct nk_cmd_ctx *ctx)
{
    const struct list_conf *c = ctx->conf;
    struct list l = {.reveal = c->reveal, .one = ctx->argc > 0};
    const struct tor_cli_task task = {.ready = on_ready, .owner = &l};
    int rc = l.one ? nk_onion_parse(l.wanted, ctx->argv[0], strlen(ctx->argv[0]), &ctx->diag) : 0;
    nk_buf_init_secret(&l.out, (size_t)1 << 22);
    nk_json_init(&l.j, &l.out, true);
    nk_json_array(&l.j);
    rc = rc < 0 ? rc : tor_cli_run(ctx, &c->tor, &task);
    nk_buf_clear(&l.out);
    return rc;
}

extern const struct nk_cmd nk_cmd_onion_auth_list;
const struct nk_cmd nk_cmd_onion_auth_list = {
    .synopsis = "[ADDRESS] [--reveal]",
    .summary = "List the clients' keys for onion services that tor has",
    .opts = opts,
    .conf_size = sizeof(struct list_conf),
    .max_args = 1,
    .flags = NK_CMD_EXEC,
    .run = run,
};
