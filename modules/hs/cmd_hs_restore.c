/* SPDX-License-Identifier: MIT */
/* netkit hs restore: services out of the file that 'hs backup' made. */
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "hs/auth.h"
#include "hs/backup_cli.h"
#include "hs/ctor_dir.h"
#include "hs/format.h"
#include "hs/keystore.h"
#include "hs/password.h"
#include "hs/where.h"

struct restore_conf {
    struct hs_password_conf password;
    char *output, *keystore, *nickname;
    bool list;
};

/* Where to. */
struct target {
    bool arti;
    char dir[NK_PATH_MAX];   /* with a HiddenServiceDir for each service; arti's keystore */
    char state[NK_PATH_MAX]; /* arti's state directory, for clients; "" when there is none */
};

static const struct nk_opt opts[] = {
    {.name = "output",
     .short_name = 'o',
     .type = NK_OPT_PATH,
     .offset = NK_FIELD(struct restore_conf, output),
     .arg = "DIR",
     .flags = NK_OPT_MAY_MISS,
     .help = "For tor: directory in which each service gets its own"},
    {.name = "keystore",
     .short_name = 'k',
     .type = NK_OPT_STRING,
     .offset = NK_FIELD(struct restore_conf, keystore),
     .arg = "ID|DIR",
     .help = "For arti: a [keystore ID] section, or its state directory or keystore"},
    HS_BACKUP_NICKNAME(struct restore_conf, "Another name for the service; for one only"),
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

static const char *name_of(const struct nk_cmd_ctx *ctx, const struct hs_backup_service *s)
{
    const struct restore_conf *c = ctx->conf;
    return c->nickname ? c->nickname : s->name;
}

static int find_target(struct nk_cmd_ctx *ctx, const struct hs_backup *b, struct target *t)
{
    const struct restore_conf *c = ctx->conf;
    struct hs_where where;
    size_t n = 0;
    for (size_t i = 0; i < b->n; i++) {
        n += wanted(ctx, &b->services[i]);
    }
    if (c->nickname && n != 1) {
        return nk_fail(&ctx->diag, NK_EUSAGE, "--nickname is for one service, and these are %zu",
                       n);
    }
    if (c->nickname && !hs_backup_name_ok(c->nickname, strlen(c->nickname))) {
        return nk_fail(&ctx->diag, NK_EUSAGE, "--nickname %.64s: no directory can be called so",
                       c->nickname);
    }
    *t = (struct target){.arti = c->keystore != NULL};
    if (!t->arti) {
        return snprintf(t->dir, sizeof(t->dir), "%s", c->output) >= NK_PATH_MAX
                   ? nk_fail(&ctx->diag, NK_ETOOBIG, "%.64s..: the path is too long", c->output)
                   : 0;
    }
    int rc = hs_where_find(&where, c->keystore, ctx->ini, ctx->globals->state_dir, &ctx->diag);
    if (rc == 0 && where.kind != HS_STORE_ARTI) {
        rc = nk_fail(&ctx->diag, NK_EUSAGE, "%s is tor's", where.dir);
        nk_hint(&ctx->diag, "--output DIR restores for tor");
    }
    if (rc < 0) {
        return rc;
    }
    memcpy(t->dir, where.dir, sizeof(t->dir));
    rc = hs_keystore_state_dir(t->state, t->dir);
    return rc == 0 || rc == -ENOENT ? 0 : nk_fail_sys(&ctx->diag, rc, "%s", t->dir);
}

/* Of a service for tor. */
static int path_of(struct nk_cmd_ctx *ctx, const struct target *t,
                   const struct hs_backup_service *s, char path[NK_PATH_MAX])
{
    const char *name = name_of(ctx, s);
    return nk_path_join(path, NK_PATH_MAX, t->dir, name) < 0
               ? nk_fail(&ctx->diag, NK_ETOOBIG, "%s/%s: the path is too long", t->dir, name)
               : 0;
}

/* --- clients -----------------------------------------------------------------------------------
 */

static int open_clients(struct nk_cmd_ctx *ctx, const struct target *t,
                        const struct hs_backup_service *s, unsigned flags, struct hs_auth *a)
{
    char path[NK_PATH_MAX];
    if (t->arti) {
        return hs_auth_open_any(a, HS_AUTH_ARTI, t->state, name_of(ctx, s), flags, &ctx->diag);
    }
    int rc = path_of(ctx, t, s, path);
    return rc < 0 ? rc : hs_auth_open_any(a, HS_AUTH_CTOR, path, NULL, flags, &ctx->diag);
}

/* Whoever has a client's name must be that client, and in the same directory: a restore does not
 * let somebody in again who was shut out by 'disable'. *there: it is so. */
static int check_client(const struct hs_auth_list *l, const struct hs_backup_client *c, bool *there,
                        struct nk_diag *diag)
{
    const struct hs_auth_client *have;
    *there = false;
    for (size_t i = 0; (have = hs_auth_find(l, c->name, i)); i++) {
        if (!have->readable || memcmp(have->pub, c->pub, sizeof(c->pub)) != 0) {
            return nk_fail(diag, -EEXIST, "%s has another key", have->path);
        }
        if (have->enabled != c->enabled) {
            return nk_fail(diag, -EEXIST, "%s is %s, and in the backup it is not", have->path,
                           have->enabled ? "enabled" : "disabled");
        }
        *there = true;
    }
    return 0;
}

static int write_client(struct hs_auth *a, const struct hs_backup_client *c, struct nk_diag *diag)
{
    struct hs_item item;
    struct hs_client k;
    struct nk_buf text;
    char file[HS_BACKUP_NAME + sizeof(HS_AUTH_EXTENSION)];
    struct hs_place *p = c->enabled ? &a->on : &a->off;
    int rc = hs_client_from_public(&k, c->pub, diag);
    if (rc == 0 && p->fd < 0) {
        rc =
            hs_place_sub(p, &a->base, c->enabled ? a->on_name : a->off_name, HS_PLACE_CREATE, diag);
    }
    if (rc < 0) {
        return rc;
    }
    (void)snprintf(file, sizeof(file), "%s%s", c->name, HS_AUTH_EXTENSION);
    nk_buf_init(&text, HS_FORMAT_MAX);
    hs_item_from_client(&item, &k, NULL);
    rc = hs_format_write(&item, HS_AUTH, &text, diag);
    rc = rc < 0 ? rc : hs_place_write(p, file, 0, nk_buf_ptr(&text), nk_buf_len(&text), diag);
    nk_buf_clear(&text);
    return rc;
}

/* Without `write` the clients are only compared with what is there. */
static int put_clients(struct hs_auth *a, const struct hs_backup_service *s, bool write,
                       struct nk_diag *diag)
{
    struct hs_auth_list list = {0};
    struct hs_findings findings = {0};
    bool enabled = false, there = false;
    int rc = hs_auth_list_read(&list, a, &findings, diag);
    for (size_t i = 0; i < s->nclients && rc == 0; i++) {
        rc = check_client(&list, &s->clients[i], &there, diag);
        if (rc == 0 && write && !there) {
            rc = write_client(a, &s->clients[i], diag);
        }
        enabled = enabled || s->clients[i].enabled;
    }
    if (rc == 0 && write && s->nclients > 0 && !enabled) {
        rc = hs_auth_lock(a, diag); /* arti keeps such a service closed, and tor would open it */
    }
    hs_findings_clear(&findings);
    hs_auth_list_clear(&list);
    return rc;
}

/* --- a service ---------------------------------------------------------------------------------
 */

/* Can arti have it under these names? */
static int check_names_arti(struct nk_cmd_ctx *ctx, const struct target *t,
                            const struct hs_backup_service *s)
{
    int rc = hs_slug_check("service", name_of(ctx, s), &ctx->diag);
    if (rc < 0) {
        nk_hint(&ctx->diag, "--nickname gives it another name");
    }
    for (size_t i = 0; i < s->nclients && rc == 0; i++) {
        rc = hs_slug_check("client", s->clients[i].name, &ctx->diag);
    }
    if (rc == 0 && s->nclients > 0 && !t->state[0]) {
        rc = nk_fail(&ctx->diag, NK_EUSAGE,
                     "%s: '%s' has clients, which go to arti's state directory, and this keystore "
                     "is in none",
                     t->dir, s->name);
        nk_hint(&ctx->diag, "it is called '%s' there", HS_KEYSTORE_DIR);
    }
    return rc;
}

/* Nothing may be there but the same. */
static int check(struct nk_cmd_ctx *ctx, const struct target *t, const struct hs_backup_service *s,
                 enum outcome *out)
{
    struct hs_auth a = {.base.fd = -1, .on.fd = -1, .off.fd = -1};
    struct hs_identity there = {0};
    char path[NK_PATH_MAX];
    int rc = t->arti ? check_names_arti(ctx, t, s) : path_of(ctx, t, s, path);
    if (rc < 0) {
        return rc;
    }
    rc = t->arti ? hs_keystore_identity_read(t->dir, name_of(ctx, s), &there, &ctx->diag)
                 : hs_ctor_dir_read(path, &there, &ctx->diag);
    if (rc == 0 && !hs_identity_same(&there, &s->identity)) {
        rc = nk_fail(&ctx->diag, -EEXIST, "%s has another service's key%s%s",
                     t->arti ? t->dir : path, t->arti ? " for " : "",
                     t->arti ? name_of(ctx, s) : "");
        nk_hint(&ctx->diag, "restore to another directory, or with another --nickname");
    }
    *out = rc == 0 && there.has_secret ? THERE : RESTORED;
    hs_identity_wipe(&there);
    if ((rc < 0 && rc != -ENOENT) || (t->arti && !t->state[0])) {
        return rc == -ENOENT ? 0 : rc;
    }
    rc = open_clients(ctx, t, s, 0, &a);
    rc = rc < 0 ? rc : put_clients(&a, s, false, &ctx->diag);
    hs_auth_close(&a);
    return rc == -ENOENT ? 0 : rc;
}

/* The clients before the key: a tor that starts in between must not find an open service. */
static int restore(struct nk_cmd_ctx *ctx, const struct target *t,
                   const struct hs_backup_service *s, enum outcome outcome)
{
    struct hs_auth a = {.base.fd = -1, .on.fd = -1, .off.fd = -1};
    char path[NK_PATH_MAX];
    int rc = 0;
    if (s->nclients > 0) {
        rc = open_clients(ctx, t, s, HS_PLACE_CREATE | HS_PLACE_LOCK, &a);
        rc = rc < 0 ? rc : put_clients(&a, s, true, &ctx->diag);
        hs_auth_close(&a);
    }
    if (rc < 0 || outcome == THERE) {
        return rc;
    }
    if (t->arti) {
        rc = hs_keystore_identity_write(t->dir, name_of(ctx, s), &s->identity, &ctx->diag);
    } else {
        rc = path_of(ctx, t, s, path);
        rc = rc < 0 ? rc : hs_ctor_dir_write(path, &s->identity, &ctx->diag);
    }
    if (rc == 0) {
        nk_audit(ctx->log, "hs", NK_LOG_INFO, "key.created", NULL, "restored %s in %s",
                 name_of(ctx, s), t->dir);
    }
    return rc;
}

static void warn_in_use(struct nk_cmd_ctx *ctx, const struct target *t)
{
    struct hs_place p;
    if (t->arti && hs_place_open(&p, t->dir, 0, NULL) == 0) {
        if (hs_keystore_in_use(&p)) {
            nk_warn(ctx->log, "hs", "%s: arti runs on it, and will not see the change at once",
                    t->dir);
        }
        hs_place_close(&p);
    }
}

/* All of them, or, when one of them cannot be, none. */
static int restore_all(struct nk_cmd_ctx *ctx, const struct hs_backup *b, enum outcome *outcome)
{
    struct target t;
    int rc = find_target(ctx, b, &t);
    for (size_t i = 0; i < b->n && rc == 0; i++) {
        rc = wanted(ctx, &b->services[i]) ? check(ctx, &t, &b->services[i], &outcome[i]) : 0;
    }
    if (rc < 0 || ctx->globals->dry_run) {
        return rc;
    }
    for (size_t i = 0; i < b->n && rc == 0; i++) {
        rc = wanted(ctx, &b->services[i]) ? restore(ctx, &t, &b->services[i], outcome[i]) : 0;
    }
    warn_in_use(ctx, &t);
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

static void print_clients(struct nk_json *j, const struct hs_backup_service *s)
{
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
}

static int print(struct nk_cmd_ctx *ctx, const struct hs_backup *b, const enum outcome *outcome)
{
    struct hs_backup_rows r;
    hs_backup_rows_begin(&r, ctx);
    for (size_t i = 0; i < b->n; i++) {
        const char *became = outcomes[outcome[i]];
        if (!wanted(ctx, &b->services[i])) {
            continue;
        }
        if (hs_backup_row(&r, &b->services[i])) {
            nk_json_kv_str(&r.j, "outcome", became);
            print_clients(&r.j, &b->services[i]);
            nk_json_close(&r.j);
        } else {
            printf("  %s\n", became);
        }
    }
    return hs_backup_rows_end(&r);
}

static int run(struct nk_cmd_ctx *ctx)
{
    const struct restore_conf *c = ctx->conf;
    struct hs_backup b = {0};
    enum outcome outcome[HS_BACKUP_SERVICES] = {LISTED};
    if (c->list + (c->output != NULL) + (c->keystore != NULL) != 1) {
        return nk_fail(&ctx->diag, NK_EUSAGE,
                       "one of --output DIR, --keystore DIR and --list is needed");
    }
    int rc = open_backup(ctx, &b);
    rc = rc < 0 ? rc : check_names(ctx, &b);
    rc = rc < 0 || c->list ? rc : restore_all(ctx, &b, outcome);
    rc = rc < 0 ? rc : print(ctx, &b, outcome);
    hs_backup_clear(&b);
    return rc;
}

extern const struct nk_cmd nk_cmd_hs_restore;
const struct nk_cmd nk_cmd_hs_restore = {
    .synopsis = "[--list] [-o DIR|-k ID|DIR] [-n NAME] [--password-file FILE] FILE [NAME..]",
    .summary = "Restore services from the file that 'hs backup' made",
    .opts = opts,
    .conf_size = sizeof(struct restore_conf),
    .min_args = 1,
    .max_args = -1,
    .run = run,
};
