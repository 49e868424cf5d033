/* SPDX-License-Identifier: MIT */
/* netkit tor hash-password: the line for torrc that lets a password open the control port. */
#include <stdio.h>

#include "base/cli.h"
#include "hs/hs.h"
#include "tor/cli.h"
#include "tor/s2k.h"

enum { JSON_SIZE = 512 };

struct hash_conf {
    struct hs_password_conf password;
};

static const struct nk_opt opts[] = {HS_PASSWORD_ROWS(struct hash_conf, password), NK_OPT_END};

static int run(struct nk_cmd_ctx *ctx)
{
    const struct hash_conf *conf = ctx->conf;
    struct nk_secret password = {0};
    uint8_t salt[TOR_S2K_SALT];
    char line[TOR_S2K_TEXT];
    int rc = hs_password_get(&conf->password, true, ctx->globals->no_input, &password, &ctx->diag);
    if (rc < 0) {
        return rc;
    }
    nk_random(salt, sizeof(salt));
    tor_s2k(line, salt, password.data, password.len);
    nk_secret_clear(&password);
    if (!ctx->globals->json) {
        printf("HashedControlPassword %s\n", line);
        return 0;
    }
    struct nk_buf out;
    struct nk_json j;
    nk_buf_init(&out, JSON_SIZE);
    nk_json_init(&j, &out, false);
    nk_json_object(&j);
    nk_json_kv_i64(&j, "schema", 1);
    nk_json_kv_str(&j, "hash", line);
    nk_json_close(&j);
    return nk_cli_put_json(&j, &ctx->diag);
}

extern const struct nk_cmd nk_cmd_tor_hash_password;
const struct nk_cmd nk_cmd_tor_hash_password = {
    .summary = "Hash a password for tor's control port",
    .opts = opts,
    .conf_size = sizeof(struct hash_conf),
    .flags = NK_CMD_NO_CONFIG,
    .run = run,
};
