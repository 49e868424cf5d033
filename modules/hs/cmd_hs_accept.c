/* SPDX-License-Identifier: MIT */
/* netkit hs accept: a key for the service of an invitation; its public half is the answer. */
#include <stdio.h>
#include <string.h>

#include "base/cli.h"
#include "base/file.h"
#include "hs/format.h"
#include "hs/key_cli.h"
#include "hs/invite.h"
#include "hs/share_cli.h"
#include "hs/where.h"

enum { ANSWER_MAX = 8192 };

struct accept_conf {
    char *keystore;
    bool qr;
};

static const struct nk_opt opts[] = {
    {.name = "keystore",
     .short_name = 'k',
     .type = NK_OPT_STRING,
     .offset = NK_FIELD(struct accept_conf, keystore),
     .arg = "ID|DIR",
     .help = "Where the private key goes: a [keystore ID] section, or a directory (arti's keystore "
             "or state directory, or tor's ClientOnionAuthDir; arti:DIR and ctor:DIR say which)"},
    {.name = "qr",
     .type = NK_OPT_FLAG,
     .offset = NK_FIELD(struct accept_conf, qr),
     .help = "Draw the public line as QR code, too"},
    NK_OPT_END};

/* One run. */
struct job {
    struct nk_cmd_ctx *ctx;
    struct hs_invite in;
    struct hs_client key;
    char path[NK_PATH_MAX];   /* of the private key */
    char line[HS_INVITE_MAX]; /* the public half */
};

static int read_invite(struct job *job, const char *word)
{
    struct nk_diag *diag = &job->ctx->diag;
    struct nk_buf text;
    if (strcmp(word, "-") != 0) {
        return hs_invite_parse(&job->in, word, diag);
    }
    nk_buf_init(&text, 2 * HS_INVITE_MAX);
    int rc = nk_file_read("-", 0, &text, diag);
    const char *s = rc == 0 ? nk_buf_str(&text) : NULL;
    if (s) {
        rc = hs_invite_parse(&job->in, s, diag);
    } else if (rc == 0) {
        rc = nk_fail(diag, -ENOMEM, "out of memory");
    }
    nk_buf_clear(&text);
    return rc;
}

static int add_key(struct job *job, const struct hs_store *store)
{
    struct nk_cmd_ctx *ctx = job->ctx;
    char name[NK_PATH_MAX] = "";
    int rc = hs_store_find(store, job->in.address, NULL, name, &ctx->diag);
    if (rc == 0) {
        nk_fail(&ctx->diag, -EEXIST, "there is a key for this service: %s/%s", store->place.path,
                name);
        nk_hint(&ctx->diag, "'netkit hsc export-pubkey' prints its public line");
        return -EEXIST;
    }
    rc = rc == -ENOENT ? 0 : rc;
    if (rc == 0 && !ctx->globals->dry_run) {
        rc = hs_store_add(store, job->in.address, &job->key, name, &ctx->diag);
    }
    if (rc == 0 && nk_path_join(job->path, sizeof(job->path), store->place.path, name) < 0) {
        rc = nk_fail(&ctx->diag, NK_ETOOBIG, "the path of the key is too long");
    }
    return rc;
}

static int store_key(struct job *job)
{
    struct nk_cmd_ctx *ctx = job->ctx;
    const struct accept_conf *c = ctx->conf;
    bool dry = ctx->globals->dry_run;
    struct hs_where where;
    struct hs_store store = {.place = {.fd = -1}};
    int rc = hs_where_find(&where, c->keystore, ctx->ini, ctx->globals->state_dir, &ctx->diag);
    rc = rc < 0 ? rc
                : hs_store_open(&store, where.kind, where.dir,
                                dry ? HS_STORE_READ : HS_STORE_CREATE, &ctx->diag);
    if (rc == -ENOENT && dry) {
        return 0; /* it would be made */
    }
    if (rc == 0) {
        rc = add_key(job, &store);
        hs_store_close(&store);
    }
    return rc;
}

static int make_line(struct job *job)
{
    struct nk_diag *diag = &job->ctx->diag;
    struct hs_item item;
    struct hs_client public = {0};
    struct nk_buf text;
    memcpy(public.pub, job->key.pub, sizeof(public.pub));
    hs_item_from_client(&item, &public, NULL);
    nk_buf_init(&text, sizeof(job->line));
    int rc = hs_format_write(&item, HS_AUTH, &text, diag);
    const char *s = rc == 0 ? nk_buf_str(&text) : NULL;
    if (s) {
        snprintf(job->line, sizeof(job->line), "%.*s", (int)strcspn(s, "\r\n"), s);
    } else if (rc == 0) {
        rc = nk_fail(diag, -ENOMEM, "out of memory");
    }
    nk_buf_clear(&text);
    return rc;
}

static int print(struct job *job)
{
    struct nk_cmd_ctx *ctx = job->ctx;
    const struct accept_conf *c = ctx->conf;
    char address[NK_ONION_SIZE], mark[HS_FINGERPRINT_SIZE];
    struct nk_buf out;
    struct nk_json j;
    if (!ctx->globals->json) {
        return hs_share_print(ctx, job->line, c->qr, true);
    }
    nk_onion_format(address, job->in.address);
    hs_client_fingerprint(mark, job->key.pub);
    nk_buf_init(&out, ANSWER_MAX);
    nk_json_init(&j, &out, false);
    nk_json_object(&j);
    nk_json_kv_i64(&j, "schema", 1);
    nk_json_kv_str(&j, "address", address);
    nk_json_kv_str(&j, "nickname", job->in.name[0] ? job->in.name : NULL);
    nk_json_kv_str(&j, "public", job->line);
    nk_json_kv_str(&j, "fingerprint", mark);
    nk_json_kv_str(&j, "path", job->path[0] ? job->path : NULL);
    nk_json_close(&j);
    return nk_cli_put_json(&j, &ctx->diag);
}

static int run(struct nk_cmd_ctx *ctx)
{
    struct job job = {.ctx = ctx};
    int rc = read_invite(&job, ctx->argv[0]);
    if (rc == 0 && (rc = hs_client_new(&job.key)) < 0) {
        nk_fail_sys(&ctx->diag, rc, "cannot make a key");
    }
    rc = rc < 0 ? rc : make_line(&job);
    rc = rc < 0 ? rc : store_key(&job);
    if (rc == 0) {
        if (!ctx->globals->dry_run) {
            nk_audit(ctx->log, "hs", NK_LOG_INFO, "key.created", NULL, "%s", job.path);
            nk_info(ctx->log, "hs",
                    "send the line below to the service's owner; the private key "
                    "stays here");
        }
        rc = print(&job);
    }
    hs_client_wipe(&job.key);
    return rc;
}

extern const struct nk_cmd nk_cmd_hs_accept;
const struct nk_cmd nk_cmd_hs_accept = {
    .synopsis = "INVITATION|- [--keystore ID|DIR] [--qr]",
    .summary = "Accept the invitation to a restricted onion service",
    .opts = opts,
    .conf_size = sizeof(struct accept_conf),
    .min_args = 1,
    .max_args = 1,
    .run = run,
};
