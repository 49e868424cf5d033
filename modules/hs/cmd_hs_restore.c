/* SPDX-License-Identifier: MIT */
/* netkit hs restore: services out of the file that 'hs backup' made. */
#include <stdio.h>
#include <string.h>

#include "base/cmd.h"
#include "base/file.h"
#include "base/json.h"
#include "base/onion.h"
#include "hs/auth.h"
#include "hs/backup.h"
#include "hs/ctor_dir.h"
#include "hs/format.h"
#include "hs/password.h"

struct restore_conf {
    struct hs_password_conf password;
    char *output;
    bool list;
};

static const struct nk_opt opts[] = {{.name = "output",
                                      .short_name = 'o',
                                      .type = NK_OPT_PATH,
                                      .offset = NK_FIELD(struct restore_conf, output),
                                      .arg = "DIR",
                                      .flags = NK_OPT_MAY_MISS,
                                      .help = "Directory in which each service gets its own"},
                                     {.name = "list",
                                      .type = NK_OPT_FLAG,
                                      .offset = NK_FIELD(struct restore_conf, list),
                                      .help = "Only show what is in it"},
                                     HS_PASSWORD_ROWS(struct restore_conf, password),
                                     NK_OPT_END};

/* What became of a service. */
enum outcome { LISTED, RESTORED, THERE };
static const char *const outcomes[] = {"listed", "restored", "already there"};

static bool wanted(const struct nk_cmd_ctx *ctx, const struct hs_backup_service *s)
{
    for (int i = 1; i < ctx->argc; i++) {
        if (strcmp(ctx->argv[i], s->name) == 0) {
            return true;
        }
    }
    return ctx->argc == 1;
}

static int check_names(struct nk_cmd_ctx *ctx, const struct hs_backup *b)
{
    for (int i = 1; i < ctx->argc; i++) {
        bool found = false;
        for (size_t j = 0; j < b->n && !found; j++) {
            found = strcmp(ctx->argv[i], b->services[j].name) == 0;
        }
        if (!found) {
            nk_fail(&ctx->diag, NK_EUSAGE, "the backup has no service '%s'", ctx->argv[i]);
            nk_hint(&ctx->diag, "--list shows what is in it");
            return NK_EUSAGE;
        }
    }
    return 0;
}

static int path_of(struct nk_cmd_ctx *ctx, const struct hs_backup_service *s,
                   char path[NK_PATH_MAX])
{
    const struct restore_conf *c = ctx->conf;
    return nk_path_join(path, NK_PATH_MAX, c->output, s->name) < 0
               ? nk_fail(&ctx->diag, NK_ETOOBIG, "%s/%s: the path is too long", c->output, s->name)
               : 0;
}

/* A client's file: may it be written? *there: it is, and the same. */
static int check_client(const struct hs_place *p, const struct hs_backup_client *c, bool *there,
                        char *name, size_t max, struct nk_diag *diag)
{
    struct nk_buf text;
    uint8_t pub[HS_PUBLIC_KEY];
    (void)snprintf(name, max, "%s%s", c->name, HS_AUTH_EXTENSION);
    *there = hs_place_has(p, name);
    if (!*there) {
        return 0;
    }
    nk_buf_init(&text, HS_AUTH_LINE_MAX + 1);
    int rc = hs_place_read(p, name, &text, diag);
    rc = rc < 0 ? rc : hs_auth_line_parse(nk_buf_ptr(&text), nk_buf_len(&text), pub, NULL, diag);
    nk_buf_clear(&text);
    if (rc < 0 || memcmp(pub, c->pub, sizeof(pub)) != 0) {
        rc = nk_fail(diag, -EEXIST, "%s/%s has another key", p->path, name);
    }
    return rc;
}

static int write_client(const struct hs_place *p, const char *name,
                        const struct hs_backup_client *c, struct nk_diag *diag)
{
    struct hs_item item;
    struct hs_client k;
    struct nk_buf text;
    int rc = hs_client_from_public(&k, c->pub, diag);
    if (rc < 0) {
        return rc;
    }
    nk_buf_init(&text, HS_FORMAT_MAX);
    hs_item_from_client(&item, &k, NULL);
    rc = hs_format_write(&item, HS_AUTH, &text, diag);
    rc = rc < 0 ? rc : hs_place_write(p, name, 0, nk_buf_ptr(&text), nk_buf_len(&text), diag);
    nk_buf_clear(&text);
    return rc;
}

/* The clients of one kind; without `write` they are only compared with what is there. */
static int put_clients(const struct hs_place *in, const struct hs_backup_service *s, bool enabled,
                       bool write, struct nk_diag *diag)
{
    const char *dir = enabled ? HS_AUTH_DIR : HS_AUTH_DISABLED_DIR;
    struct hs_place p = {.fd = -1};
    int rc = 0;
    for (size_t i = 0; i < s->nclients && rc == 0; i++) {
        const struct hs_backup_client *c = &s->clients[i];
        char name[HS_BACKUP_NAME + sizeof(HS_AUTH_EXTENSION)];
        bool there = false;
        if (c->enabled != enabled) {
            continue;
        }
        if (p.fd < 0) {
            rc = hs_place_sub(&p, in, dir, write ? HS_PLACE_CREATE : 0, diag);
        }
        if (rc == -ENOENT && !write) {
            rc = 0;
            break;
        }
        rc = rc < 0 ? rc : check_client(&p, c, &there, name, sizeof(name), diag);
        if (rc == 0 && write && !there) {
            rc = write_client(&p, name, c, diag);
        }
    }
    hs_place_close(&p);
    return rc;
}

/* Nothing may be there but the same. */
static int check(struct nk_cmd_ctx *ctx, const struct hs_backup_service *s, enum outcome *out)
{
    struct hs_place p = {.fd = -1};
    struct hs_identity there = {0};
    char path[NK_PATH_MAX];
    int rc = path_of(ctx, s, path);
    rc = rc < 0 ? rc : hs_place_open(&p, path, 0, &ctx->diag);
    if (rc == -ENOENT) {
        *out = RESTORED;
        return 0;
    }
    rc = rc < 0 ? rc : hs_ctor_place_read(&p, &there, &ctx->diag);
    if (rc == 0 && !hs_identity_same(&there, &s->identity)) {
        rc = nk_fail(&ctx->diag, -EEXIST, "%s has another service's key", path);
        nk_hint(&ctx->diag, "restore to another directory");
    }
    *out = rc == 0 && there.has_secret ? THERE : RESTORED;
    rc = rc == -ENOENT ? 0 : rc;
    rc = rc < 0 ? rc : put_clients(&p, s, true, false, &ctx->diag);
    rc = rc < 0 ? rc : put_clients(&p, s, false, false, &ctx->diag);
    hs_identity_wipe(&there);
    hs_place_close(&p);
    return rc;
}

/* The clients before the key: a tor that starts in between must not find an open service. */
static int restore(struct nk_cmd_ctx *ctx, const struct hs_backup_service *s, enum outcome outcome)
{
    struct hs_place p = {.fd = -1};
    char path[NK_PATH_MAX];
    int rc = path_of(ctx, s, path);
    rc = rc < 0 ? rc : hs_place_open(&p, path, HS_PLACE_CREATE | HS_PLACE_LOCK, &ctx->diag);
    rc = rc < 0 ? rc : put_clients(&p, s, true, true, &ctx->diag);
    rc = rc < 0 ? rc : put_clients(&p, s, false, true, &ctx->diag);
    hs_place_close(&p);
    if (rc == 0 && outcome != THERE) {
        rc = hs_ctor_dir_write(path, &s->identity, &ctx->diag);
        if (rc == 0) {
            nk_audit(ctx->log, "hs", NK_LOG_INFO, "key.created", NULL, "restored %s", path);
        }
    }
    return rc;
}

static int open_backup(struct nk_cmd_ctx *ctx, struct hs_backup *b)
{
    const struct restore_conf *c = ctx->conf;
    struct hs_backup_cost cost = {0};
    struct nk_secret password = {0};
    struct nk_buf file;
    nk_buf_init(&file, HS_BACKUP_MAX);
    int rc = nk_file_read(ctx->argv[0], 0, &file, &ctx->diag);
    if (rc == 0) {
        const void *bytes = nk_buf_ptr(&file);
        const size_t n = nk_buf_len(&file);
        rc =
            hs_backup_cost_read(bytes, n, &cost, &ctx->diag); /* before the password is asked for */
        rc = rc < 0 ? rc
                    : hs_password_get(&c->password, false, ctx->globals->no_input, &password,
                                      &ctx->diag);
        rc = rc < 0 ? rc : hs_backup_open(bytes, n, &password, b, &ctx->diag);
        if (rc == NK_EFORMAT || rc == NK_EVERSION || rc == NK_ELIMIT || rc == NK_EAUTH) {
            nk_fail_context(&ctx->diag, "%s", ctx->argv[0]);
        }
    }
    nk_secret_clear(&password);
    nk_buf_clear(&file);
    return rc;
}

static void print_json(struct nk_json *j, const struct hs_backup_service *s, const char *address,
                       enum outcome outcome)
{
    nk_json_object(j);
    nk_json_kv_str(j, "name", s->name);
    nk_json_kv_str(j, "address", address);
    nk_json_kv_str(j, "outcome", outcomes[outcome]);
    nk_json_key(j, "clients");
    nk_json_array(j);
    for (size_t i = 0; i < s->nclients; i++) {
        char fingerprint[HS_FINGERPRINT_SIZE];
        hs_client_fingerprint(fingerprint, s->clients[i].pub);
        nk_json_object(j);
        nk_json_kv_str(j, "name", s->clients[i].name);
        nk_json_kv_str(j, "fingerprint", fingerprint);
        nk_json_kv_bool(j, "enabled", s->clients[i].enabled);
        nk_json_close(j);
    }
    nk_json_close(j);
    nk_json_close(j);
}

static int print(struct nk_cmd_ctx *ctx, const struct hs_backup *b, const enum outcome *outcome)
{
    struct nk_buf out;
    struct nk_json j;
    nk_buf_init(&out, 4 * HS_BACKUP_MAX);
    nk_json_init(&j, &out, true);
    nk_json_array(&j);
    for (size_t i = 0; i < b->n; i++) {
        const struct hs_backup_service *s = &b->services[i];
        char address[NK_ONION_SIZE];
        nk_onion_format(address, s->identity.pub);
        if (!wanted(ctx, s)) {
            continue;
        }
        if (ctx->globals->json) {
            print_json(&j, s, address, outcome[i]);
        } else {
            printf("%s  %s  %zu client(s)  %s\n", address, s->name, s->nclients,
                   outcomes[outcome[i]]);
        }
    }
    nk_json_close(&j);
    int rc = nk_json_end(&j);
    if (rc == 0 && ctx->globals->json) {
        printf("%.*s\n", (int)nk_buf_len(&out), (const char *)nk_buf_ptr(&out));
    }
    nk_buf_clear(&out);
    return rc < 0 ? nk_fail_sys(&ctx->diag, rc, "the result") : 0;
}

static int run(struct nk_cmd_ctx *ctx)
{
    const struct restore_conf *c = ctx->conf;
    struct hs_backup b = {0};
    enum outcome outcome[HS_BACKUP_SERVICES] = {LISTED};
    if (!c->list == !c->output) {
        return nk_fail(&ctx->diag, NK_EUSAGE, "either --output DIR or --list is needed");
    }
    int rc = open_backup(ctx, &b);
    rc = rc < 0 ? rc : check_names(ctx, &b);
    for (size_t i = 0; i < b.n && rc == 0 && !c->list; i++) {
        rc = wanted(ctx, &b.services[i]) ? check(ctx, &b.services[i], &outcome[i]) : 0;
    }
    for (size_t i = 0; i < b.n && rc == 0 && !c->list && !ctx->globals->dry_run; i++) {
        rc = wanted(ctx, &b.services[i]) ? restore(ctx, &b.services[i], outcome[i]) : 0;
    }
    rc = rc < 0 ? rc : print(ctx, &b, outcome);
    hs_backup_clear(&b);
    return rc;
}

extern const struct nk_cmd nk_cmd_hs_restore;
const struct nk_cmd nk_cmd_hs_restore = {
    .synopsis = "[--list] [-o DIR] [--password-file FILE] FILE [NAME..]",
    .summary = "Restore services from the file that 'hs backup' made",
    .description =
        "Makes DIR/NAME for every service in the file, or for those that are named: a "
        "HiddenServiceDir for tor with its key and its clients, the clients first. Nothing is ever "
        "replaced: when a directory has another service's key, or a client's file has another key, "
        "nothing at all is written. What is there already and the same is left as it is, so an "
        "interrupted restore can be repeated.",
    .examples = "netkit hs restore --list services.backup         # what is in it?\n"
                "netkit hs restore -o /var/lib/tor services.backup web",
    .opts = opts,
    .conf_size = sizeof(struct restore_conf),
    .min_args = 1,
    .max_args = -1,
    .flags = NK_CMD_NO_CONFIG,
    .run = run,
};
