/* SPDX-License-Identifier: MIT */
/* netkit hs new: a new identity for an onion service. */
#include <stdio.h>
#include <string.h>

#include "base/cli.h"
#include "base/codec.h"
#include "base/secret.h"
#include "hs/key_cli.h"
#include "hs/outputs.h"

struct new_conf {
    char *dir, *keystore, *nickname, *output;
    int to; /* enum hs_format */
};

/* The forms only. */
#define FORM_NAME(constant, name, holds, extension, summary) name,
static const char *const forms[] = {HS_FORMAT_LIST(FORM_NAME) NULL};
#undef FORM_NAME

static const struct nk_opt opts[] = {
    {.name = "dir",
     .short_name = 'd',
     .type = NK_OPT_PATH,
     .offset = NK_FIELD(struct new_conf, dir),
     .arg = "DIR",
     .flags = NK_OPT_MAY_MISS,
     .help = "Write the three files of tor's HiddenServiceDir"},
    {.name = "keystore",
     .short_name = 'k',
     .type = NK_OPT_STRING,
     .offset = NK_FIELD(struct new_conf, keystore),
     .arg = "ID|DIR",
     .help = "Store it in arti's keystore: a [keystore ID] section, or a directory"},
    {.name = "nickname",
     .short_name = 'n',
     .type = NK_OPT_STRING,
     .offset = NK_FIELD(struct new_conf, nickname),
     .arg = "NAME",
     .help = "The service's name in arti's keystore"},
    {.name = "output",
     .short_name = 'o',
     .type = NK_OPT_STRING,
     .offset = NK_FIELD(struct new_conf, output),
     .arg = "FILE|-",
     .help = "Write one file, or to standard output"},
    {.name = "to",
     .short_name = 't',
     .type = NK_OPT_ENUM,
     .offset = NK_FIELD(struct new_conf, to),
     .arg = "FORM",
     .def = "ctor-secret",
     .choices = forms,
     .aliases = "format",
     .help = "Form of that file; see netkit hs convert"},
    NK_OPT_END};

static int choose_output(struct nk_cmd_ctx *ctx, const struct new_conf *c, struct hs_output *out)
{
    int places = (c->dir != NULL) + (c->keystore != NULL) + (c->output != NULL);
    if (places != 1) {
        return nk_fail(&ctx->diag, NK_EUSAGE,
                       "where to? One of --dir, --keystore and --output is needed");
    }
    if (c->nickname && !c->keystore) {
        return nk_fail(&ctx->diag, NK_EUSAGE, "--nickname is for --keystore only");
    }
    if (c->dir) {
        *out = (struct hs_output){.to = HS_TO_CTOR_DIR, .path = c->dir};
    } else if (c->keystore) {
        *out =
            (struct hs_output){.to = HS_TO_KEYSTORE, .path = c->keystore, .service = c->nickname};
    } else if (!(hs_format_info((enum hs_format)c->to)->holds & HS_HOLDS_SECRET)) {
        return nk_fail(&ctx->diag, NK_EUSAGE,
                       "the form '%s' has no secret half: the key would be "
                       "lost",
                       forms[c->to]);
    } else {
        *out = (struct hs_output){.to = c->to, .path = c->output};
    }
    if (c->output && strcmp(c->output, "-") == 0 && ctx->globals->json) {
        return nk_fail(&ctx->diag, NK_EUSAGE,
                       "the key and --json do not both fit on standard output");
    }
    return 0;
}

/* On standard error when the key itself is on standard output. */
static void written(void *arg, const struct hs_found *key, const char *path)
{
    struct nk_cmd_ctx *ctx = arg;
    char address[NK_ONION_SIZE], public[NK_HEX_SIZE(HS_PUBLIC_KEY)];
    bool on_stdout = strcmp(path, "-") == 0;
    struct nk_buf out;
    struct nk_json j;
    nk_onion_format(address, key->item.identity.pub);
    if (!on_stdout && !ctx->globals->dry_run) {
        nk_audit(ctx->log, "hs", NK_LOG_INFO, "key.created", NULL, "%s", path);
    }
    if (!ctx->globals->json) {
        fprintf(on_stdout ? stderr : stdout, "%s\n", address);
        return;
    }
    nk_hex_encode(public, key->item.identity.pub, HS_PUBLIC_KEY);
    nk_buf_init(&out, HS_FORMAT_MAX);
    nk_json_init(&j, &out, true);
    nk_json_object(&j);
    nk_json_kv_str(&j, "address", address);
    nk_json_kv_str(&j, "public", public);
    nk_json_kv_str(&j, "output", path);
    nk_json_close(&j);
    (void)nk_cli_put_json(&j, &ctx->diag);
}

static int run(struct nk_cmd_ctx *ctx)
{
    const struct new_conf *c = ctx->conf;
    struct hs_items items = {0};
    struct hs_output output;
    struct hs_identity k;
    struct hs_item item;
    int rc = choose_output(ctx, c, &output);
    if (rc < 0) {
        return rc;
    }
    rc = hs_identity_new(&k);
    if (rc < 0) {
        return nk_fail_sys(&ctx->diag, rc, "new identity");
    }
    hs_item_from_identity(&item, &k);
    hs_identity_wipe(&k);
    rc = hs_items_add(&items, "new key", &item);
    hs_item_wipe(&item);
    rc = rc < 0 ? nk_fail_sys(&ctx->diag, rc, "new identity")
                : hs_outputs_write(ctx, &output, &items, written, ctx);
    hs_items_clear(&items);
    return rc;
}

extern const struct nk_cmd nk_cmd_hs_new;
const struct nk_cmd nk_cmd_hs_new = {
    .synopsis = "--dir DIR | --keystore ID|DIR --nickname NAME | -o FILE|- [--to FORM]",
    .summary = "Make a new identity, and so a new address, for an onion service",
    .opts = opts,
    .conf_size = sizeof(struct new_conf),
    .run = run,
};
