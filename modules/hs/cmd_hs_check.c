/* SPDX-License-Identifier: MIT */
/* netkit hs check: what is wrong with keys on disk. */
#include <stdio.h>
#include <time.h>

#include "base/cli.h"
#include "hs/check.h"
#include "hs/key_cli.h"

struct check_conf {
    int as;
    bool fix_perms;
};

static const char *const kinds[] = {"auto", "service", "authorized", "clients", "keystore", NULL};

static const struct nk_opt opts[] = {
    {.name = "as",
     .type = NK_OPT_ENUM,
     .offset = NK_FIELD(struct check_conf, as),
     .arg = "KIND",
     .def = "auto",
     .choices = kinds,
     .help = "What a directory is, where it does not show that by itself: tor's directory of a "
             "service or of a client's keys, a directory of authorised clients, arti's keystore"},
    {.name = "fix-perms",
     .type = NK_OPT_FLAG,
     .offset = NK_FIELD(struct check_conf, fix_perms),
     .help =
         "Take away the mode bits that others have too many, of the directory and what is in it"},
    NK_OPT_END};

/* One path; what it was taken for goes into j. */
static int check_one(struct nk_cmd_ctx *ctx, const char *path, struct hs_findings *l,
                     struct nk_json *j)
{
    const struct check_conf *c = ctx->conf;
    enum hs_place_kind kind = HS_PLACE_DETECT;
    struct hs_check_conf conf = {
        .kind = c->as ? (enum hs_place_kind)(c->as - 1) : HS_PLACE_DETECT,
        .fix = c->fix_perms && !ctx->globals->dry_run,
        .now = (int64_t)time(NULL),
    };
    size_t errors = l->count[HS_ERROR], warnings = l->count[HS_WARNING];
    int rc = hs_check(path, &conf, l, &kind, &ctx->diag);
    if (rc < 0) {
        return rc;
    }
    errors = l->count[HS_ERROR] - errors;
    warnings = l->count[HS_WARNING] - warnings;
    nk_json_object(j);
    nk_json_kv_str(j, "path", path);
    nk_json_kv_str(j, "kind", hs_place_kind_name(kind));
    nk_json_kv_u64(j, "errors", errors);
    nk_json_kv_u64(j, "warnings", warnings);
    nk_json_close(j);
    nk_info(ctx->log, "hs", "%s: %s, %zu error%s, %zu warning%s", path, hs_place_kind_summary(kind),
            errors, errors == 1 ? "" : "s", warnings, warnings == 1 ? "" : "s");
    return 0;
}

static int run(struct nk_cmd_ctx *ctx)
{
    struct hs_findings l = {0};
    struct nk_buf out, text;
    struct nk_json j;
    int rc = 0;
    nk_buf_init(&out, HS_JSON_MAX);
    nk_buf_init(&text, HS_JSON_MAX);
    nk_json_init(&j, &out, true);
    nk_json_object(&j);
    nk_json_key(&j, "places");
    nk_json_array(&j);
    for (int i = 0; rc == 0 && i < ctx->argc; i++) {
        rc = check_one(ctx, ctx->argv[i], &l, &j);
    }
    nk_json_close(&j);
    nk_json_key(&j, "findings");
    hs_findings_json(&l, &j);
    nk_json_close(&j);
    rc = rc < 0 ? rc : hs_findings_end(&l, &ctx->diag);
    if (rc == 0 && ctx->globals->json) {
        rc = nk_cli_put_json(&j, &ctx->diag);
    } else if (rc == 0) {
        rc = hs_findings_print(&l, &text);
        nk_cli_print(&text);
        rc = rc < 0 ? nk_fail_sys(&ctx->diag, rc, "cannot make the output") : 0;
    }
    bool bad = l.count[HS_ERROR] > 0;
    nk_buf_clear(&out);
    nk_buf_clear(&text);
    hs_findings_clear(&l);
    return rc < 0 ? rc : bad ? NK_EXIT_FAILED : 0;
}

extern const struct nk_cmd nk_cmd_hs_check;
const struct nk_cmd nk_cmd_hs_check = {
    .synopsis = "DIR|FILE.. [--as KIND] [--fix-perms] [--json]",
    .summary = "Find what is wrong with keys on disk, before tor or arti do",
    .opts = opts,
    .conf_size = sizeof(struct check_conf),
    .min_args = 1,
    .max_args = -1,
    .flags = NK_CMD_NO_CONFIG,
    .run = run,
};
