/* SPDX-License-Identifier: MIT */
/* netkit hs show: what a key is, without its secret unless that is asked for. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "base/cli.h"
#include "base/codec.h"
#include "base/secret.h"
#include "hs/key_cli.h"

struct show_conf {
    struct hs_in_conf in;
    bool reveal;
};

static const struct nk_opt opts[] = {HS_FROM_OPT,
                                     HS_KIND_OPT,
                                     HS_ADDRESS_OPT,
                                     HS_SERVICE_OPT,
                                     {.name = "reveal",
                                      .type = NK_OPT_FLAG,
                                      .offset = NK_FIELD(struct show_conf, reveal),
                                      .flags = NK_OPT_CLI_ONLY,
                                      .help = "Show the secret half, too"},
                                     NK_OPT_END};

enum { SECRET_HEX = NK_HEX_SIZE(HS_EXPANDED), LINE_MAX_BYTES = 128 };

/* What is said about a key, as text. */
struct facts {
    char address[NK_ONION_SIZE], public[NK_HEX_SIZE(HS_PUBLIC_KEY)];
    char line[LINE_MAX_BYTES], fingerprint[HS_FINGERPRINT_SIZE]; /* of clients */
    char secret[SECRET_HEX], seed[NK_HEX_SIZE(HS_SEED)];         /* empty unless revealed */
    const char *kind, *scalar;
};

/* How the scalar is written, by which one sees who made the key. */
static const char *scalar_form(const struct hs_identity *k)
{
    uint8_t reduced[HS_EXPANDED];
    hs_identity_reduced(reduced, k);
    bool is_reduced = memcmp(reduced, k->secret, HS_SCALAR) == 0;
    nk_wipe(reduced, sizeof(reduced));
    if (hs_identity_is_clamped(k)) {
        return "clamped";
    }
    return is_reduced ? "reduced" : "neither clamped nor reduced";
}

static void reveal(const struct hs_item *item, struct facts *f)
{
    if (item->kind == HS_CLIENT) {
        nk_hex_encode(f->secret, item->client.secret, HS_CLIENT_SECRET);
        return;
    }
    nk_hex_encode(f->secret, item->identity.secret, HS_EXPANDED);
    if (item->identity.has_seed) {
        nk_hex_encode(f->seed, item->identity.seed, HS_SEED);
    }
}

/* The line for the service's .auth file, without its newline. */
static int auth_line(const struct hs_item *item, char out[LINE_MAX_BYTES], struct nk_diag *diag)
{
    struct nk_buf b;
    nk_buf_init(&b, LINE_MAX_BYTES - 1);
    int rc = hs_format_write(item, HS_AUTH, &b, diag);
    const char *text = rc == 0 ? nk_buf_str(&b) : NULL;
    if (text) {
        size_t n = strcspn(text, "\n");
        memcpy(out, text, n);
        out[n] = 0;
    } else if (rc == 0) {
        rc = nk_fail_sys(diag, -ENOMEM, "the line");
    }
    nk_buf_clear(&b);
    return rc;
}

static int collect(const struct hs_item *item, bool secrets, struct facts *f, struct nk_diag *diag)
{
    *f = (struct facts){.kind = item->kind == HS_CLIENT ? "client" : "identity"};
    if (!hs_cli_address(f->address, item)) {
        f->address[0] = 0;
    }
    nk_hex_encode(f->public, hs_item_pub(item), HS_PUBLIC_KEY);
    if (secrets && hs_item_has_secret(item)) {
        reveal(item, f);
    }
    if (item->kind == HS_IDENTITY) {
        f->scalar = item->identity.has_secret ? scalar_form(&item->identity) : NULL;
        return 0;
    }
    hs_client_fingerprint(f->fingerprint, item->client.pub);
    return auth_line(item, f->line, diag);
}

static void put_json(struct nk_json *j, const struct hs_found *k, const struct facts *f)
{
    const struct hs_item *item = &k->item;
    nk_json_object(j);
    nk_json_kv_str(j, "source", k->source);
    nk_json_kv_str(j, "kind", f->kind);
    nk_json_kv_str(j, "form", hs_format_info(item->format)->name);
    nk_json_kv_str(j, "address", *f->address ? f->address : NULL);
    nk_json_kv_str(j, "public", f->public);
    if (item->kind == HS_CLIENT) {
        nk_json_kv_str(j, "line", f->line);
        nk_json_kv_str(j, "fingerprint", f->fingerprint);
    } else {
        nk_json_kv_str(j, "scalar", f->scalar);
        nk_json_kv_bool(j, "has_seed", item->identity.has_seed);
    }
    nk_json_kv_bool(j, "has_secret", hs_item_has_secret(item));
    if (*item->comment) {
        nk_json_kv_str(j, "comment", item->comment);
    }
    if (*f->secret) {
        nk_json_kv_str(j, "secret", f->secret);
    }
    if (*f->seed) {
        nk_json_kv_str(j, "seed", f->seed);
    }
    nk_json_close(j);
}

static void print_secret(const struct hs_item *item, const struct facts *f)
{
    const char *hidden = "not shown; --reveal shows it";
    if (!hs_item_has_secret(item)) {
        printf("  secret       none\n");
        return;
    }
    if (f->scalar) {
        printf("  scalar       %s\n", f->scalar);
    }
    printf("  secret       %s\n", *f->secret ? f->secret : hidden);
    if (item->kind == HS_IDENTITY && item->identity.has_seed) {
        printf("  seed         %s\n", *f->seed ? f->seed : hidden);
    }
}

static void print(const struct hs_found *k, const struct facts *f)
{
    const struct hs_item *item = &k->item;
    const struct hs_format_info *form = hs_format_info(item->format);
    char comment[HS_COMMENT_MAX + 1];
    printf("%s\n", hs_found_name(k));
    printf("  kind         %s\n",
           item->kind == HS_CLIENT ? "a client's key for a service" : "identity of a service");
    printf("  form         %s: %s\n", form->name, form->summary);
    if (*f->address) {
        printf("  %s      %s\n", item->kind == HS_CLIENT ? "service" : "address", f->address);
    }
    printf("  public       %s\n", f->public);
    if (item->kind == HS_CLIENT) {
        printf("  line         %s\n", f->line);
        printf("  fingerprint  %s\n", f->fingerprint);
    }
    if (*item->comment) {
        printf("  comment      %s\n",
               nk_escape(comment, sizeof(comment), item->comment, strlen(item->comment)));
    }
    print_secret(item, f);
}

static int show(struct nk_cmd_ctx *ctx, const char *path, struct nk_json *j)
{
    const struct show_conf *c = ctx->conf;
    struct hs_items items = {0};
    struct facts f;
    int rc = hs_cli_read(ctx, &c->in, path, &items);
    for (size_t i = 0; rc == 0 && i < items.n; i++) {
        rc = collect(&items.v[i].item, c->reveal, &f, &ctx->diag);
        if (rc == 0 && j) {
            put_json(j, &items.v[i], &f);
        } else if (rc == 0) {
            print(&items.v[i], &f);
        }
        nk_wipe(&f, sizeof(f));
    }
    hs_items_clear(&items);
    return rc;
}

static int run(struct nk_cmd_ctx *ctx)
{
    struct nk_buf out;
    struct nk_json json;
    int rc = 0;
    nk_buf_init_secret(&out, HS_JSON_MAX);
    nk_json_init(&json, &out, true);
    nk_json_array(&json);
    for (int i = 0; rc == 0 && i < ctx->argc; i++) {
        rc = show(ctx, ctx->argv[i], ctx->globals->json ? &json : NULL);
    }
    nk_json_close(&json);
    if (rc == 0 && ctx->globals->json) {
        return nk_cli_put_json(&json, &ctx->diag);
    }
    nk_buf_clear(&out);
    return rc;
}

extern const struct nk_cmd nk_cmd_hs_show;
const struct nk_cmd nk_cmd_hs_show = {
    .synopsis = "[--reveal] [--from FORM] [--kind KIND] [--address ADDRESS] FILE|DIR|-..",
    .summary = "Show what keys of onion services are",
    .opts = opts,
    .conf_size = sizeof(struct show_conf),
    .min_args = 1,
    .max_args = -1,
    .run = run,
};
