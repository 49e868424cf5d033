/* SPDX-License-Identifier: MIT */
/* netkit hs backup: services' keys and clients into one encrypted file. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/onion.h"
#include "hs/auth.h"
#include "hs/backup_cli.h"
#include "hs/ctor_dir.h"
#include "hs/format.h"
#include "hs/keystore.h"
#include "hs/password.h"
#include "hs/where.h"

struct backup_conf {
    struct hs_password_conf password;
    char *output, *nickname;
    uint64_t memory;
};

static const struct nk_opt opts[] = {
    {.name = "output",
     .short_name = 'o',
     .type = NK_OPT_PATH,
     .offset = NK_FIELD(struct backup_conf, output),
     .arg = "FILE",
     .flags = NK_OPT_REQUIRED | NK_OPT_MAY_MISS,
     .help = "File to write; an existing one is never replaced"},
    HS_BACKUP_NICKNAME(struct backup_conf, "Of arti's services only this one"),
    HS_PASSWORD_ROWS(struct backup_conf, password),
    {.name = "memory",
     .type = NK_OPT_SIZE,
     .offset = NK_FIELD(struct backup_conf, memory),
     .arg = "SIZE",
     .def = "256M",
     .min = (int64_t)HS_BACKUP_MEMORY_MIN,
     .max = (int64_t)HS_BACKUP_MEMORY_MAX,
     .help = "Memory that each try of a password costs, and that restoring needs"},
    NK_OPT_END};

static int added(int rc, const char *path, struct nk_diag *diag)
{
    switch (rc) {
    case 0:
        return 0;
    case NK_EFORMAT:
        return nk_fail(diag, rc, "%s: a backup cannot have this name", path);
    case -EEXIST:
        return nk_fail(diag, NK_EUSAGE, "%s: this service is in the backup already", path);
    default:
        return nk_fail_sys(diag, rc, "%s", path);
    }
}

/* A service by its name; by its address without one, and when another one is called so. */
static int add_service(struct hs_backup *b, const char *path, const char *name, size_t len,
                       const struct hs_identity *k, struct nk_diag *diag)
{
    char address[NK_ONION_SIZE];
    if (!k->has_secret) {
        return nk_fail(diag, NK_EUSAGE, "%s: the secret key is not there", path);
    }
    for (size_t i = 0; i < b->n; i++) {
        if (hs_identity_same(&b->services[i].identity, k)) {
            return added(-EEXIST, path, diag);
        }
    }
    if (hs_backup_name_ok(name, len) && hs_backup_add_service(b, name, len, k) == 0) {
        return 0;
    }
    nk_onion_format(address, k->pub);
    return added(hs_backup_add_service(b, address, strlen(address), k), path, diag);
}

/* Is a client of the last service there already, with this very key? (arti reads NAME.auth and a
 * directory NAME.) */
static bool has_client(const struct hs_backup *b, const struct hs_auth_client *c)
{
    const struct hs_backup_service *s = &b->services[b->n - 1];
    for (size_t i = 0; i < s->nclients; i++) {
        const struct hs_backup_client *have = &s->clients[i];
        if (strcmp(have->name, c->name) == 0 && have->enabled == c->enabled &&
            memcmp(have->pub, c->pub, sizeof(c->pub)) == 0) {
            return true;
        }
    }
    return false;
}

/* A file that cannot be used would be missing after a restore, or would be used then: somebody's
 * access, or the lock. */
static int add_client(struct hs_backup *b, const struct hs_auth_client *c, struct nk_diag *diag)
{
    if (!c->readable || c->problem) {
        return nk_fail(diag, NK_EFORMAT, "%s: %s; correct or remove it first", c->path,
                       c->problem ? c->problem : "it cannot be read");
    }
    int rc = hs_backup_add_client(b, c->name, strlen(c->name), c->pub, c->enabled);
    if (rc == -EEXIST && !has_client(b, c)) {
        return nk_fail(diag, NK_EFORMAT, "%s: another file has another key for '%s'", c->path,
                       c->name);
    }
    return rc == -EEXIST ? 0 : added(rc, c->path, diag);
}

static int add_clients(struct hs_backup *b, enum hs_auth_kind kind, const char *dir,
                       const char *service, struct nk_diag *diag)
{
    struct hs_auth auth;
    struct hs_auth_list list = {0};
    struct hs_findings findings = {0};
    int rc = hs_auth_open_any(&auth, kind, dir, service, 0, diag);
    rc = rc < 0 ? rc : hs_auth_list_read(&list, &auth, &findings, diag);
    for (size_t i = 0; i < list.n && rc == 0; i++) {
        rc = add_client(b, &list.v[i], diag);
    }
    hs_findings_clear(&findings);
    hs_auth_list_clear(&list);
    hs_auth_close(&auth);
    return rc;
}

static int add_ctor(struct hs_backup *b, const char *dir, struct nk_diag *diag)
{
    struct hs_identity k;
    int rc = hs_ctor_dir_read(dir, &k, diag);
    if (rc < 0) {
        return rc;
    }
    size_t end = strlen(dir);
    while (end > 1 && dir[end - 1] == '/') {
        end--;
    }
    size_t begin = end;
    while (begin > 0 && dir[begin - 1] != '/') {
        begin--;
    }
    rc = add_service(b, dir, dir + begin, end - begin, &k, diag);
    hs_identity_wipe(&k);
    return rc < 0 ? rc : add_clients(b, HS_AUTH_CTOR, dir, NULL, diag);
}

static int add_arti(struct hs_backup *b, const char *dir, const char *service, struct nk_diag *diag)
{
    struct hs_identity k;
    char state[NK_PATH_MAX];
    int rc = hs_keystore_identity_read(dir, service, &k, diag);
    if (rc < 0) {
        return rc;
    }
    rc = add_service(b, dir, service, strlen(service), &k, diag);
    hs_identity_wipe(&k);
    int has_state = rc < 0 ? rc : hs_keystore_state_dir(state, dir);
    if (has_state == -ENOENT) {
        return 0;
    }
    return has_state < 0 ? nk_fail_sys(diag, has_state, "%s", dir)
                         : add_clients(b, HS_AUTH_ARTI, state, service, diag);
}

/* One service of arti, or all of them. */
static int add_keystore(struct hs_backup *b, const char *dir, const char *only,
                        struct nk_diag *diag)
{
    struct hs_store s;
    struct hs_names services = {0};
    if (only) {
        return add_arti(b, dir, only, diag);
    }
    int rc = hs_store_open(&s, HS_STORE_ARTI, dir, HS_STORE_READ, diag);
    rc = rc < 0 ? rc : hs_keystore_services(&s.place, &services, diag);
    hs_store_close(&s);
    if (rc == 0 && services.n == 0) {
        rc = nk_fail(diag, -ENOENT, "%s has no key of a service", dir);
    }
    for (size_t i = 0; i < services.n && rc == 0; i++) {
        rc = add_arti(b, dir, services.v[i], diag);
    }
    hs_names_clear(&services);
    return rc;
}

static int add_file(struct hs_backup *b, const char *path, struct nk_diag *diag)
{
    struct hs_item item;
    const struct hs_hints hints = {.format = HS_DETECT, .kind = HS_IDENTITY};
    int rc = hs_format_load(path, &hints, &item, diag);
    if (rc == 0) {
        rc = add_service(b, path, "", 0, &item.identity, diag);
        hs_item_wipe(&item);
    }
    return rc;
}

static int add(struct nk_cmd_ctx *ctx, struct hs_backup *b, const char *what)
{
    const struct backup_conf *c = ctx->conf;
    struct hs_where where;
    struct stat st;
    if (strcmp(what, "-") == 0 || (stat(what, &st) == 0 && !S_ISDIR(st.st_mode))) {
        return add_file(b, what, &ctx->diag);
    }
    int rc = hs_where_find(&where, what, ctx->ini, ctx->globals->state_dir, &ctx->diag);
    if (rc < 0) {
        return rc;
    }
    return where.kind == HS_STORE_CTOR ? add_ctor(b, where.dir, &ctx->diag)
                                       : add_keystore(b, where.dir, c->nickname, &ctx->diag);
}

static int seal(struct nk_cmd_ctx *ctx, const struct hs_backup *b)
{
    const struct backup_conf *c = ctx->conf;
    const struct hs_backup_cost cost = {.passes = HS_BACKUP_PASSES, .memory = c->memory};
    struct nk_secret password = {0};
    struct nk_buf out;
    nk_buf_init(&out, HS_BACKUP_MAX);
    int rc = hs_password_get(&c->password, true, ctx->globals->no_input, &password, &ctx->diag);
    rc = rc < 0 ? rc : hs_backup_seal(b, &password, &cost, &out, &ctx->diag);
    if (rc == 0 && !ctx->globals->dry_run) {
        rc = nk_file_write(c->output, 0, nk_buf_ptr(&out), nk_buf_len(&out), &ctx->diag);
    }
    nk_secret_clear(&password);
    nk_buf_clear(&out);
    return rc;
}

static int print(struct nk_cmd_ctx *ctx, const struct hs_backup *b)
{
    struct hs_backup_rows r;
    hs_backup_rows_begin(&r, ctx);
    for (size_t i = 0; i < b->n; i++) {
        if (hs_backup_row(&r, &b->services[i])) {
            nk_json_kv_u64(&r.j, "clients", b->services[i].nclients);
            nk_json_close(&r.j);
        } else {
            putchar('\n');
        }
    }
    return hs_backup_rows_end(&r);
}

static int run(struct nk_cmd_ctx *ctx)
{
    struct hs_backup b = {0};
    int rc = 0;
    for (int i = 0; i < ctx->argc && rc == 0; i++) {
        rc = add(ctx, &b, ctx->argv[i]);
    }
    rc = rc < 0 ? rc : seal(ctx, &b);
    rc = rc < 0 ? rc : print(ctx, &b);
    hs_backup_clear(&b);
    return rc;
}

extern const struct nk_cmd nk_cmd_hs_backup;
const struct nk_cmd nk_cmd_hs_backup = {
    .synopsis = "-o FILE [--password-file FILE] [-n NAME] DIR|ID|KEYFILE..",
    .summary = "Save services' keys and clients in one encrypted file",
    .opts = opts,
    .conf_size = sizeof(struct backup_conf),
    .min_args = 1,
    .max_args = -1,
    .run = run,
};
