/* SPDX-License-Identifier: MIT */
#include "hs/auth_cli.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cli.h"
#include "base/codec.h"
#include "hs/key_cli.h"

#define OUTPUT_MAX ((size_t)64 << 20) /* bytes of a list: far more than any has */

static const char *const settings[] = {"unknown", "yes", "no", NULL};

/* clang-format off */
#define ENABLED_ROW                                                                                \
    {.name = "enabled", .type = NK_OPT_ENUM, .offset = NK_FIELD(struct hs_auth_conf, enabled),     \
     .arg = "STATE", .def = "unknown", .choices = settings,                                        \
     .help = "What the service's configuration says (restricted_discovery.enabled): list warns "   \
             "when the clients there contradict it"}
#define CTOR_ROW                                                                                   \
    {.name = "dir", .type = NK_OPT_PATH, .offset = NK_FIELD(struct hs_auth_conf, dir),             \
     .arg = "DIR", .flags = NK_OPT_REQUIRED,                                                       \
     .help = "The service's HiddenServiceDir"}
#define ARTI_ROWS                                                                                  \
    {.name = "service", .short_name = 'n', .type = NK_OPT_STRING,                                  \
     .offset = NK_FIELD(struct hs_auth_conf, service), .arg = "SVC",                               \
     .help = "The service's nickname; without it the clients of the whole state directory are "    \
             "meant"},                                                                             \
    {.name = "arti-state", .type = NK_OPT_PATH,                                                    \
     .offset = NK_FIELD(struct hs_auth_conf, arti_state), .arg = "DIR",                            \
     .help = "arti's state directory (storage.state_dir)"},                                        \
    {.name = "key-dir", .type = NK_OPT_PATH, .offset = NK_FIELD(struct hs_auth_conf, key_dir),     \
     .arg = "DIR",                                                                                 \
     .help = "One of the service's restricted_discovery.key_dirs instead, wherever it is"},        \
    {.name = "arti-config", .type = NK_OPT_PATH, .flags = NK_OPT_HIDDEN | NK_OPT_MAY_MISS,         \
     .offset = NK_FIELD(struct hs_auth_conf, arti_config), .arg = "FILE",                          \
     .help = "Refused: netkit does not read arti.toml; says what to give instead"}
#define NICKNAME_ROW                                                                               \
    {.name = "nickname", .type = NK_OPT_STRING,                                                    \
     .offset = NK_FIELD(struct hs_auth_conf, nickname), .arg = "CLIENT",                           \
     .help = "What to call the client (a-z, 0-9, - and _); without it as its file, NAME.auth"}
#define PUBLIC_ROW                                                                                 \
    {.name = "allow-public", .type = NK_OPT_FLAG,                                                  \
     .offset = NK_FIELD(struct hs_auth_conf, allow_public),                                        \
     .help = "When no client is left: open the service to everybody instead of keeping it closed"}
/* clang-format on */

const struct nk_opt hs_auth_ctor_rows[] = {CTOR_ROW, NK_OPT_END};
const struct nk_opt hs_auth_ctor_list_rows[] = {CTOR_ROW, ENABLED_ROW, NK_OPT_END};
const struct nk_opt hs_auth_ctor_import_rows[] = {CTOR_ROW, NICKNAME_ROW, NK_OPT_END};
const struct nk_opt hs_auth_ctor_take_rows[] = {CTOR_ROW, PUBLIC_ROW, NK_OPT_END};
const struct nk_opt hs_auth_arti_rows[] = {ARTI_ROWS, NK_OPT_END};
const struct nk_opt hs_auth_arti_list_rows[] = {ARTI_ROWS, ENABLED_ROW, NK_OPT_END};
const struct nk_opt hs_auth_arti_import_rows[] = {ARTI_ROWS, NICKNAME_ROW, NK_OPT_END};

/* --- opening ---------------------------------------------------------------------------------- */

static int refuse_toml(const struct hs_auth_conf *c, struct nk_diag *diag)
{
    nk_fail(diag, NK_EUNSUPPORTED, "%s: netkit does not read arti.toml", c->arti_config);
    nk_hint(diag,
            "give --arti-state STORAGE.STATE_DIR, or --key-dir PATH; for keystores write into "
            "netkit.ini: [keystore arti], format = arti, dir = STATE_DIR/keystore");
    return NK_EUNSUPPORTED;
}

int hs_auth_cmd_open(struct nk_cmd_ctx *ctx, struct hs_auth *a, enum hs_auth_intent intent)
{
    const struct hs_auth_conf *c = ctx->conf;
    struct nk_diag *diag = &ctx->diag;
    bool dry = ctx->globals->dry_run;
    int rc;
    intent = dry ? HS_AUTH_READ : intent;
    if (c->arti_config) {
        rc = refuse_toml(c, diag);
    } else if (c->dir) {
        rc = hs_auth_open_ctor(a, c->dir, intent, diag);
    } else if (c->key_dir && c->arti_state) {
        rc = nk_fail(diag, NK_EUSAGE, "--key-dir and --arti-state name different places");
    } else if (c->key_dir) {
        rc = hs_auth_open_key_dir(a, c->key_dir, intent, diag);
    } else if (c->arti_state) {
        rc = hs_auth_open_arti(a, c->arti_state, c->service, intent, diag);
    } else {
        rc = nk_fail(diag, NK_EUSAGE, "--arti-state DIR or --key-dir DIR is missing");
    }
    if (rc == 0) {
        a->dry = dry;
    }
    return rc;
}

/* --- what everybody hears --------------------------------------------------------------------- */

void hs_log_findings(struct nk_log *log, const struct hs_findings *findings)
{
    for (size_t i = 0; i < findings->n; i++) {
        const struct hs_finding *f = &findings->v[i];
        const char *hint = f->remedy ? f->remedy : "";
        const char *field = f->field ? f->field : "";
        enum nk_level level = f->severity == HS_ERROR     ? NK_LOG_ERROR
                              : f->severity == HS_WARNING ? NK_LOG_WARN
                                                          : NK_LOG_INFO;
        nk_log_write(log, "hs", level, NULL, NULL, "%s: %s%s%s%s%s%s", f->path, field,
                     *field ? ": " : "", f->reason, *hint ? " (hint: " : "", hint,
                     *hint ? ")" : "");
    }
}

static const char *state_of(const struct hs_auth_client *c)
{
    return c->problem ? "broken" : !c->enabled ? "disabled" : c->lock ? "lock" : "enabled";
}

/* --- list ------------------------------------------------------------------------------------- */

static void put_client(struct nk_json *j, const struct hs_auth_client *c)
{
    char mark[HS_FINGERPRINT_SIZE], key[NK_BASE32_SIZE(HS_PUBLIC_KEY)];
    hs_client_fingerprint(mark, c->pub);
    nk_base32_encode(key, c->pub, sizeof(c->pub));
    nk_json_object(j);
    nk_json_kv_str(j, "name", c->name);
    nk_json_kv_str(j, "state", state_of(c));
    nk_json_kv_bool(j, "enabled", c->enabled);
    nk_json_kv_str(j, "fingerprint", c->readable ? mark : NULL);
    nk_json_kv_str(j, "key", c->readable ? key : NULL);
    nk_json_kv_str(j, "path", c->path);
    nk_json_kv_str(j, "problem", c->problem);
    nk_json_close(j);
}

static int print_json(struct nk_cmd_ctx *ctx, const struct hs_auth *a, const struct hs_auth_list *l,
                      const struct hs_findings *findings)
{
    struct nk_buf out;
    struct nk_json j;
    nk_buf_init(&out, OUTPUT_MAX);
    nk_json_init(&j, &out, false);
    nk_json_object(&j);
    nk_json_kv_i64(&j, "schema", 1);
    nk_json_kv_str(&j, "directory", a->base.path);
    nk_json_kv_bool(&j, "restricted", l->restricted);
    nk_json_kv_u64(&j, "authorized", l->counted);
    nk_json_key(&j, "clients");
    nk_json_array(&j);
    for (size_t i = 0; i < l->n; i++) {
        put_client(&j, &l->v[i]);
    }
    nk_json_close(&j);
    nk_json_key(&j, "findings");
    hs_findings_json(findings, &j);
    nk_json_close(&j);
    return nk_cli_put_json(&j, &ctx->diag);
}

static int print_table(struct nk_cmd_ctx *ctx, const struct hs_auth_list *l)
{
    char mark[HS_FINGERPRINT_SIZE], name[256], path[NK_PATH_MAX];
    struct nk_buf out;
    nk_buf_init(&out, OUTPUT_MAX);
    int rc = nk_buf_printf(&out, "%-8s  %-8s  %-20s  %s\n", "STATE", "KEY", "CLIENT", "FILE");
    for (size_t i = 0; rc == 0 && i < l->n; i++) {
        const struct hs_auth_client *c = &l->v[i];
        hs_client_fingerprint(mark, c->pub);
        nk_escape(name, sizeof(name), c->name, strlen(c->name));
        nk_escape(path, sizeof(path), c->path, strlen(c->path));
        rc = nk_buf_printf(&out, "%-8s  %-8s  %-20s  %s\n", state_of(c), c->readable ? mark : "-",
                           name, path);
    }
    if (rc < 0) {
        nk_fail_sys(&ctx->diag, rc, "cannot write the list");
    } else {
        nk_cli_print(&out);
    }
    nk_buf_clear(&out);
    return rc;
}

int hs_auth_cmd_list(struct nk_cmd_ctx *ctx)
{
    const struct hs_auth_conf *c = ctx->conf;
    struct hs_auth a;
    struct hs_auth_list l;
    struct hs_findings findings = {0};
    int rc = hs_auth_cmd_open(ctx, &a, HS_AUTH_READ);
    if (rc < 0) {
        return rc;
    }
    rc = hs_auth_list_read(&l, &a, &findings, &ctx->diag);
    if (rc == 0) {
        hs_auth_judge_open(&l, &a, &findings);
        if (c->enabled != HS_AUTH_UNKNOWN) {
            hs_auth_judge_setting(&l, &a, c->enabled == HS_AUTH_ENABLED, &findings);
        }
    }
    rc = rc < 0 ? rc : hs_findings_end(&findings, &ctx->diag);
    if (rc == 0 && ctx->globals->json) {
        rc = print_json(ctx, &a, &l, &findings);
    } else if (rc == 0) {
        hs_log_findings(ctx->log, &findings);
        if (!l.restricted) {
            nk_warn(ctx->log, "hs",
                    "%s: no client's key is in force: the service is open to everybody",
                    a.base.path);
        }
        rc = print_table(ctx, &l);
    }
    rc = rc == 0 && findings.count[HS_ERROR] ? NK_EXIT_FAILED : rc;
    hs_auth_list_clear(&l);
    hs_findings_clear(&findings);
    hs_auth_close(&a);
    return rc;
}

/* --- path ------------------------------------------------------------------------------------- */

static void print_absolute(const char *path)
{
    char *full = realpath(path, NULL);
    printf("%s\n", full ? full : path);
    free(full);
}

int hs_auth_cmd_path(struct nk_cmd_ctx *ctx)
{
    struct hs_auth a;
    struct hs_auth_list l = {0};
    struct hs_findings findings = {0};
    const struct hs_auth_client *c;
    char path[NK_PATH_MAX];
    int rc = hs_auth_cmd_open(ctx, &a, HS_AUTH_READ);
    if (rc < 0) {
        return rc;
    }
    if (ctx->argc == 0) {
        char *base = realpath(a.base.path, NULL);
        rc = nk_path_join(path, sizeof(path), base ? base : a.base.path, a.on_name);
        free(base);
        if (rc == 0) {
            printf("%s\n", path);
        }
    } else {
        rc = hs_auth_list_read(&l, &a, &findings, &ctx->diag);
        c = rc == 0 ? hs_auth_find(&l, ctx->argv[0], 0) : NULL;
        if (rc == 0 && !c) {
            rc = nk_fail(&ctx->diag, -ENOENT, "%s has no client '%s'", a.base.path, ctx->argv[0]);
        }
        for (size_t i = 0; rc == 0 && (c = hs_auth_find(&l, ctx->argv[0], i)); i++) {
            print_absolute(c->path);
        }
    }
    hs_auth_list_clear(&l);
    hs_findings_clear(&findings);
    hs_auth_close(&a);
    return rc;
}
