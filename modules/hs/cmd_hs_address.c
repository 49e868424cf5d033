/* SPDX-License-Identifier: MIT */
/* netkit hs address: the onion address of whatever has one. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cli.h"
#include "hs/key_cli.h"

struct address_conf {
    struct hs_in_conf in;
};

static const struct nk_opt opts[] = {HS_FROM_OPT, HS_KIND_OPT, HS_SERVICE_OPT, NK_OPT_END};

static void put(struct nk_json *j, const char *source, const char *address)
{
    if (!j) {
        printf("%s\n", address);
        return;
    }
    nk_json_object(j);
    nk_json_kv_str(j, "source", source);
    nk_json_kv_str(j, "address", address);
    nk_json_close(j);
}

/* An address itself: checked, and written as it should be. */
static int from_text(struct nk_cmd_ctx *ctx, const char *text, struct nk_json *j)
{
    uint8_t key[NK_ONION_KEY];
    char address[NK_ONION_SIZE];
    int rc = nk_onion_parse(key, text, strlen(text), &ctx->diag);
    if (rc == 0) {
        nk_onion_format(address, key);
        put(j, text, address);
    }
    return rc;
}

static int from_file(struct nk_cmd_ctx *ctx, const char *path, struct nk_json *j)
{
    const struct address_conf *c = ctx->conf;
    struct hs_items items = {0};
    char address[NK_ONION_SIZE];
    int rc = hs_cli_read(ctx, &c->in, path, &items);
    for (size_t i = 0; rc == 0 && i < items.n; i++) {
        if (hs_cli_address(address, &items.v[i].item)) {
            put(j, items.v[i].source, address);
        } else {
            rc = nk_fail(&ctx->diag, NK_EFORMAT,
                         "%s: a client's key, which does not say for which service it is",
                         hs_found_name(&items.v[i]));
        }
    }
    hs_items_clear(&items);
    return rc;
}

/* Does it look like an address, and not like the name of a file? */
static bool looks_like_address(const char *s)
{
    size_t n = strlen(s);
    return !strchr(s, '/') && (n == NK_ONION_LABEL || n == NK_ONION_V2_LABEL ||
                               (n > 6 && strcmp(s + n - 6, ".onion") == 0));
}

static int run(struct nk_cmd_ctx *ctx)
{
    struct nk_buf out;
    struct nk_json json;
    int rc = 0;
    nk_buf_init(&out, HS_JSON_MAX);
    nk_json_init(&json, &out, true);
    struct nk_json *j = ctx->globals->json ? &json : NULL;
    nk_json_array(&json);
    for (int i = 0; rc == 0 && i < ctx->argc; i++) {
        const char *word = ctx->argv[i];
        bool file = strcmp(word, "-") == 0 || access(word, F_OK) == 0;
        rc = !file && looks_like_address(word) ? from_text(ctx, word, j) : from_file(ctx, word, j);
    }
    nk_json_close(&json);
    if (rc == 0 && j) {
        return nk_cli_put_json(&json, &ctx->diag);
    }
    nk_buf_clear(&out);
    return rc;
}

extern const struct nk_cmd nk_cmd_hs_address;
const struct nk_cmd nk_cmd_hs_address = {
    .synopsis = "[--from FORM] FILE|DIR|ADDRESS|-..",
    .summary = "Print the onion address of a key",
    .opts = opts,
    .conf_size = sizeof(struct address_conf),
    .min_args = 1,
    .max_args = -1,
    .run = run,
};
