/* SPDX-License-Identifier: MIT */
/* netkit onion auth add: a client's key for a restricted service, into a tor that runs. */
#include <stdio.h>
#include <string.h>

#include "base/cli.h"
#include "base/cmd.h"
#include "base/onion.h"
#include "tor/tor.h"

enum { REPLACED = 251, DECRYPTED = 252 /* control-spec 3.30 */ };

struct add_conf {
    struct tor_cli_conf tor;
    char *key, *keystore, *name;
    bool permanent;
};

static const struct nk_opt opts[] = {
    TOR_ROWS(struct add_conf, tor),
    {.name = "key",
     .type = NK_OPT_STRING,
     .offset = NK_FIELD(struct add_conf, key),
     .arg = "FILE|-",
     .help = "The client's private key, in any form that 'hs convert' reads; without it netkit's "
             "keystores are looked through"},
    {.name = "keystore",
     .short_name = 'k',
     .type = NK_OPT_STRING,
     .offset = NK_FIELD(struct add_conf, keystore),
     .arg = "ID|DIR",
     .help = "Look in this keystore only: a [keystore ID], or a directory of arti or tor"},
    {.name = "name",
     .type = NK_OPT_STRING,
     .offset = NK_FIELD(struct add_conf, name),
     .arg = "NAME",
     .help = "What tor calls the key"},
    {.name = "permanent",
     .type = NK_OPT_FLAG,
     .offset = NK_FIELD(struct add_conf, permanent),
     .help = "tor keeps it in its ClientOnionAuthDir"},
    NK_OPT_END};

struct add {
    struct tor_cli *cli;
    const struct add_conf *c;
    struct tor_client_key k;
    struct hs_client key;
    struct tor_request request;
};

static int print_json(struct add *a, const char *address, const char *mark, int code)
{
    struct nk_buf out;
    struct nk_json j;
    nk_buf_init(&out, 4096);
    nk_json_init(&j, &out, false);
    nk_json_object(&j);
    nk_json_kv_i64(&j, "schema", 1);
    nk_json_kv_str(&j, "address", address);
    nk_json_kv_str(&j, "fingerprint", mark);
    nk_json_kv_str(&j, "name", a->c->name);
    nk_json_kv_bool(&j, "permanent", a->c->permanent);
    nk_json_kv_bool(&j, "replaced", code == REPLACED);
    nk_json_kv_bool(&j, "decrypted", code == DECRYPTED);
    nk_json_close(&j);
    return nk_cli_put_json(&j, &a->cli->ctx->diag);
}

static void on_reply(void *owner, int err, const struct tor_reply *reply, const struct nk_diag *why)
{
    struct add *a = owner;
    char address[NK_ONION_SIZE], mark[HS_FINGERPRINT_SIZE];
    if (err < 0) {
        a->cli->ctx->diag = *why;
    } else {
        err = tor_client_auth_error(reply, a->c->permanent, &a->cli->ctx->diag);
    }
    nk_onion_format(address, a->k.address);
    hs_client_fingerprint(mark, a->key.pub);
    if (err == 0 && a->cli->ctx->globals->json) {
        err = print_json(a, address, mark, reply->code);
    } else if (err == 0) {
        printf("%s  %s  %s\n", address, mark,
               reply->code == REPLACED    ? "replaced the key that was there"
               : reply->code == DECRYPTED ? "added; the service lets it in"
                                          : "added");
    }
    tor_cli_finish(a->cli, err);
}

static void on_ready(struct tor_cli *cli)
{
    struct add *a = cli->task->owner;
    a->cli = cli;
    a->request = (struct tor_request){.fn = on_reply, .owner = a};
    int rc = tor_client_auth_add(cli->control, &a->request, &a->k, &cli->ctx->diag);
    if (rc < 0) {
        tor_cli_finish(cli, rc);
    }
}

static int from_file(struct nk_cmd_ctx *ctx, struct add *a)
{
    const struct hs_hints hints = {
        .format = HS_DETECT, .kind = HS_CLIENT, .address = ctx->argc ? ctx->argv[0] : NULL};
    struct hs_item item;
    int rc = hs_format_load(a->c->key, &hints, &item, &ctx->diag);
    if (rc < 0) {
        return rc;
    }
    if (!item.client.has_secret) {
        rc = nk_fail(&ctx->diag, NK_EFORMAT, "%s holds only the public half of a key", a->c->key);
        nk_hint(&ctx->diag, "that one is for the service: 'netkit onion clients'");
    } else if (!item.has_address) {
        rc = nk_fail(&ctx->diag, NK_EUSAGE,
                     "the key does not say for which service it is: give "
                     "ADDRESS");
    } else {
        memcpy(a->k.address, item.address, sizeof(a->k.address));
        a->key = item.client;
    }
    hs_item_wipe(&item);
    return rc;
}

static int from_keystore(struct nk_cmd_ctx *ctx, struct add *a)
{
    struct hs_where where;
    if (ctx->argc == 0) {
        return nk_fail(&ctx->diag, NK_EUSAGE, "which service? Give ADDRESS, or a key by --key");
    }
    int rc = nk_onion_parse(a->k.address, ctx->argv[0], strlen(ctx->argv[0]), &ctx->diag);
    if (rc < 0) {
        return rc;
    }
    if (a->c->keystore) {
        rc = hs_where_find(&where, a->c->keystore, ctx->ini, ctx->globals->state_dir, &ctx->diag);
        rc = rc < 0 ? rc : tor_client_key_in(&where, a->k.address, &a->key, &ctx->diag);
    } else {
        rc = tor_client_key_find(ctx->ini, ctx->globals->state_dir, a->k.address, &a->key,
                                 &ctx->diag);
    }
    if (rc == -ENOENT) {
        nk_fail(&ctx->diag, rc, "there is no key for %s in %s", ctx->argv[0],
                a->c->keystore ? a->c->keystore : "netkit's keystores");
        nk_hint(&ctx->diag,
                "'netkit hsc generate-key --hsid %s' makes one, 'netkit hsc import' "
                "takes one over, --key reads one",
                ctx->argv[0]);
    }
    return rc;
}

static int run(struct nk_cmd_ctx *ctx)
{
    struct add a = {.c = ctx->conf};
    const struct tor_cli_task task = {.ready = on_ready, .owner = &a};
    int rc = a.c->name ? hs_slug_check("name", a.c->name, &ctx->diag) : 0;
    if (rc == 0 && a.c->key && a.c->keystore) {
        rc = nk_fail(&ctx->diag, NK_EUSAGE, "--key and --keystore are two places for one key");
    }
    rc = rc < 0 ? rc : a.c->key ? from_file(ctx, &a) : from_keystore(ctx, &a);
    a.k.key = &a.key;
    a.k.name = a.c->name;
    a.k.permanent = a.c->permanent;
    rc = rc < 0 || ctx->globals->dry_run ? rc : tor_cli_run(ctx, &a.c->tor, &task);
    hs_client_wipe(&a.key);
    return rc;
}

extern const struct nk_cmd nk_cmd_onion_auth_add;
const struct nk_cmd nk_cmd_onion_auth_add = {
    .synopsis = "[ADDRESS] [--key FILE|-|--keystore ID|DIR] [--name NAME] [--permanent]",
    .summary = "Give tor a client's key for a restricted onion service",
    .opts = opts,
    .conf_size = sizeof(struct add_conf),
    .max_args = 1,
    .flags = NK_CMD_EXEC,
    .run = run,
};
