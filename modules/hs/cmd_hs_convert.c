/* SPDX-License-Identifier: MIT */
/* netkit hs convert: a key from one form into another. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cli.h"
#include "base/codec.h"
#include "hs/key_cli.h"
#include "hs/outputs.h"

struct convert_conf {
    struct hs_in_conf in;
    int to; /* enum hs_format, enum hs_to */
    char *output, *nickname;
};

static const struct nk_opt opts[] = {
    {.name = "to",
     .short_name = 't',
     .type = NK_OPT_ENUM,
     .offset = NK_FIELD(struct convert_conf, to),
     .arg = "FORM",
     .choices = hs_to_names,
     .flags = NK_OPT_REQUIRED | NK_OPT_CLI_ONLY,
     .help = "Form or place to write"},
    {.name = "output",
     .short_name = 'o',
     .type = NK_OPT_STRING,
     .offset = NK_FIELD(struct convert_conf, output),
     .arg = "FILE|DIR|ID|-",
     .help = "Where to write: a new file, - for standard output, a directory, or for keystore the "
             "ID of a [keystore ID]. Public halves go to standard output without it"},
    HS_FROM_OPT,
    HS_KIND_OPT,
    HS_ADDRESS_OPT,
    HS_SERVICE_OPT,
    {.name = "nickname",
     .type = NK_OPT_STRING,
     .offset = NK_FIELD(struct convert_conf, nickname),
     .arg = "NAME",
     .help = "Name that the service gets in arti's keystore"},
    NK_OPT_END};

/* What is said about each key that was written. */
struct report {
    struct nk_cmd_ctx *ctx;
    const struct convert_conf *conf;
    struct nk_json *json;
};

static void written(void *arg, const struct hs_found *key, const char *path)
{
    const struct report *r = arg;
    char address[NK_ONION_SIZE], public[NK_HEX_SIZE(HS_PUBLIC_KEY)];
    bool has_address = hs_cli_address(address, &key->item);
    if (!r->json) {
        if (strcmp(path, "-") != 0 && !r->ctx->globals->quiet) {
            printf("%s\n", path);
        }
        return;
    }
    nk_hex_encode(public, hs_item_pub(&key->item), HS_PUBLIC_KEY);
    nk_json_object(r->json);
    nk_json_kv_str(r->json, "source", key->source);
    nk_json_kv_str(r->json, "from", hs_format_info(key->item.format)->name);
    nk_json_kv_str(r->json, "to", hs_to_names[r->conf->to]);
    nk_json_kv_str(r->json, "kind", key->item.kind == HS_CLIENT ? "client" : "identity");
    nk_json_kv_str(r->json, "address", has_address ? address : NULL);
    nk_json_kv_str(r->json, "public", public);
    nk_json_kv_str(r->json, "output", path);
    nk_json_close(r->json);
}

/* Without --output, public halves go to standard output. */
static int choose_output(struct nk_cmd_ctx *ctx, const struct convert_conf *c,
                         struct hs_output *out)
{
    const struct hs_format_info *form = hs_format_info((enum hs_format)c->to);
    bool public = form && !(form->holds & HS_HOLDS_SECRET);
    *out = (struct hs_output){.to = c->to, .path = c->output, .service = c->nickname};
    if (!c->output && public) {
        out->path = "-";
    }
    if (!out->path) {
        nk_fail(&ctx->diag, NK_EUSAGE, "the form '%s' holds secrets: --output says where they go",
                hs_to_names[c->to]);
        nk_hint(&ctx->diag, "%s",
                form ? "a new file, or - for standard output" : "a directory, or a keystore's ID");
        return NK_EUSAGE;
    }
    if (strcmp(out->path, "-") == 0 && !form) {
        return nk_fail(&ctx->diag, NK_EUSAGE, "'%s' is a directory, not standard output",
                       hs_to_names[c->to]);
    }
    if (strcmp(out->path, "-") == 0 && ctx->globals->json) {
        nk_fail(&ctx->diag, NK_EUSAGE, "the key and --json do not both fit on standard output");
        nk_hint(&ctx->diag, "--output FILE");
        return NK_EUSAGE;
    }
    return 0;
}

static int run(struct nk_cmd_ctx *ctx)
{
    const struct convert_conf *c = ctx->conf;
    struct hs_items items = {0};
    struct hs_output output;
    struct nk_buf out;
    struct nk_json j;
    struct report report = {ctx, c, ctx->globals->json ? &j : NULL};
    nk_buf_init(&out, HS_JSON_MAX);
    nk_json_init(&j, &out, true);
    nk_json_array(&j);
    int rc = choose_output(ctx, c, &output);
    rc = rc < 0 ? rc : hs_cli_read(ctx, &c->in, ctx->argv[0], &items);
    rc = rc < 0 ? rc : hs_outputs_write(ctx, &output, &items, written, &report);
    nk_json_close(&j);
    hs_items_clear(&items);
    if (rc == 0 && ctx->globals->json) {
        return nk_cli_put_json(&j, &ctx->diag);
    }
    nk_buf_clear(&out);
    return rc;
}

extern const struct nk_cmd nk_cmd_hs_convert;
const struct nk_cmd nk_cmd_hs_convert = {
    .synopsis = "--to FORM [-o FILE|DIR|ID|-] [--from FORM] [--address ADDRESS] FILE|DIR|-",
    .summary = "Convert keys of onion services and of their clients",
    .opts = opts,
    .conf_size = sizeof(struct convert_conf),
    .min_args = 1,
    .max_args = 1,
    .run = run,
};
