/* SPDX-License-Identifier: MIT */
/* netkit hs share: an invitation to a restricted service. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cli.h"
#include "hs/ctor_dir.h"
#include "hs/key_cli.h"
#include "hs/invite.h"
#include "hs/share_cli.h"

enum { ANSWER_MAX = 4096 };

struct share_conf {
    char *nickname;
    bool qr;
};

static const struct nk_opt opts[] = {
    {.name = "nickname",
     .type = NK_OPT_STRING,
     .offset = NK_FIELD(struct share_conf, nickname),
     .arg = "CLIENT",
     .help = "What the client is going to be called here (a-z, 0-9, - and _)"},
    {.name = "qr",
     .type = NK_OPT_FLAG,
     .offset = NK_FIELD(struct share_conf, qr),
     .help = "Draw it as QR code, too"},
    NK_OPT_END};

/* The address itself, or the directory of the service. */
static int find_address(uint8_t address[HS_PUBLIC_KEY], const char *from, struct nk_diag *diag)
{
    struct hs_identity key;
    struct stat st;
    if (stat(from, &st) < 0 || !S_ISDIR(st.st_mode)) {
        int rc = nk_onion_parse(address, from, strlen(from), diag);
        return rc < 0 ? nk_fail_context(diag, "'%.80s'", from) : 0;
    }
    int rc = hs_ctor_dir_read(from, &key, diag);
    if (rc == 0) {
        memcpy(address, key.pub, HS_PUBLIC_KEY);
        hs_identity_wipe(&key);
    }
    return rc;
}

static int print_json(struct nk_cmd_ctx *ctx, const struct hs_invite *in, const char *line)
{
    char address[NK_ONION_SIZE];
    struct nk_buf out;
    struct nk_json j;
    nk_onion_format(address, in->address);
    nk_buf_init(&out, ANSWER_MAX);
    nk_json_init(&j, &out, false);
    nk_json_object(&j);
    nk_json_kv_i64(&j, "schema", 1);
    nk_json_kv_str(&j, "invitation", line);
    nk_json_kv_str(&j, "address", address);
    nk_json_kv_str(&j, "nickname", in->name[0] ? in->name : NULL);
    nk_json_close(&j);
    return nk_cli_put_json(&j, &ctx->diag);
}

static int run(struct nk_cmd_ctx *ctx)
{
    const struct share_conf *c = ctx->conf;
    struct hs_invite in = {0};
    char line[HS_INVITE_MAX];
    int rc = c->nickname ? hs_slug_check("nickname", c->nickname, &ctx->diag) : 0;
    rc = rc < 0 ? rc : find_address(in.address, ctx->argv[0], &ctx->diag);
    if (rc < 0) {
        return rc;
    }
    snprintf(in.name, sizeof(in.name), "%s", c->nickname ? c->nickname : "");
    hs_invite_format(line, &in);
    return ctx->globals->json ? print_json(ctx, &in, line)
                              : hs_share_print(ctx, line, c->qr, false);
}

extern const struct nk_cmd nk_cmd_hs_share;
const struct nk_cmd nk_cmd_hs_share = {
    .synopsis = "DIR|ADDRESS [--nickname CLIENT] [--qr]",
    .summary = "Invite somebody to a restricted onion service",
    .opts = opts,
    .conf_size = sizeof(struct share_conf),
    .min_args = 1,
    .max_args = 1,
    .flags = NK_CMD_NO_CONFIG,
    .run = run,
};
