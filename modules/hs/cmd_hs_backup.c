/* SPDX-License-Identifier: MIT */
/* netkit hs backup: services' keys and clients into one encrypted file. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cmd.h"
#include "base/file.h"
#include "base/json.h"
#include "base/onion.h"
#include "hs/auth.h"
#include "hs/backup.h"
#include "hs/ctor_dir.h"
#include "hs/format.h"
#include "hs/password.h"

struct backup_conf {
    struct hs_password_conf password;
    char *output;
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

/* A service by the last part of its path; by its address when another one is called so. */
static int add_service(struct hs_backup *b, const char *path, const struct hs_identity *k,
                       bool by_name, struct nk_diag *diag)
{
    size_t end = strlen(path);
    char address[NK_ONION_SIZE];
    while (end > 1 && path[end - 1] == '/') {
        end--;
    }
    size_t begin = end;
    while (begin > 0 && path[begin - 1] != '/') {
        begin--;
    }
    nk_onion_format(address, k->pub);
    for (size_t i = 0; i < b->n; i++) {
        if (hs_identity_same(&b->services[i].identity, k)) {
            return added(-EEXIST, path, diag);
        }
    }
    if (by_name && hs_backup_name_ok(path + begin, end - begin) &&
        hs_backup_add_service(b, path + begin, end - begin, k) == 0) {
        return 0;
    }
    return added(hs_backup_add_service(b, address, strlen(address), k), path, diag);
}

/* A file that cannot be read would be missing after a restore: somebody's access, or the lock. */
static int add_clients(struct hs_backup *b, const char *path, struct nk_diag *diag)
{
    struct hs_auth auth;
    struct hs_auth_list list = {0};
    struct hs_findings findings = {0};
    int rc = hs_auth_open_ctor(&auth, path, HS_AUTH_READ, diag);
    if (rc < 0) {
        return rc;
    }
    rc = hs_auth_list_read(&list, &auth, &findings, diag);
    for (size_t i = 0; i < list.n && rc == 0; i++) {
        const struct hs_auth_client *c = &list.v[i];
        if (!c->readable) {
            rc = nk_fail(diag, NK_EFORMAT, "%s: %s; correct or remove it first", c->path,
                         c->problem ? c->problem : "it cannot be read");
        } else {
            rc = added(hs_backup_add_client(b, c->name, strlen(c->name), c->pub, c->enabled),
                       c->path, diag);
        }
    }
    hs_findings_clear(&findings);
    hs_auth_list_clear(&list);
    hs_auth_close(&auth);
    return rc;
}

static int add(struct hs_backup *b, const char *path, struct nk_diag *diag)
{
    struct hs_item item = {.kind = HS_IDENTITY};
    struct stat st;
    const struct hs_hints hints = {.format = HS_DETECT, .kind = HS_IDENTITY};
    const bool dir = stat(path, &st) == 0 && S_ISDIR(st.st_mode);
    int rc = dir ? hs_ctor_dir_read(path, &item.identity, diag)
                 : hs_format_load(path, &hints, &item, diag);
    if (rc == 0 && !item.identity.has_secret) {
        rc = nk_fail(diag, NK_EUSAGE, "%s: the secret key is not there", path);
    }
    rc = rc < 0 ? rc : add_service(b, path, &item.identity, dir, diag);
    rc = rc < 0 || !dir ? rc : add_clients(b, path, diag);
    hs_item_wipe(&item);
    return rc;
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
    struct nk_buf out;
    struct nk_json j;
    nk_buf_init(&out, HS_BACKUP_MAX);
    nk_json_init(&j, &out, true);
    nk_json_array(&j);
    for (size_t i = 0; i < b->n; i++) {
        char address[NK_ONION_SIZE];
        nk_onion_format(address, b->services[i].identity.pub);
        if (!ctx->globals->json) {
            printf("%s  %s  %zu client(s)\n", address, b->services[i].name,
                   b->services[i].nclients);
        }
        nk_json_object(&j);
        nk_json_kv_str(&j, "name", b->services[i].name);
        nk_json_kv_str(&j, "address", address);
        nk_json_kv_u64(&j, "clients", b->services[i].nclients);
        nk_json_close(&j);
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
    struct hs_backup b = {0};
    int rc = 0;
    for (int i = 0; i < ctx->argc && rc == 0; i++) {
        rc = add(&b, ctx->argv[i], &ctx->diag);
    }
    rc = rc < 0 ? rc : seal(ctx, &b);
    rc = rc < 0 ? rc : print(ctx, &b);
    hs_backup_clear(&b);
    return rc;
}

extern const struct nk_cmd nk_cmd_hs_backup;
const struct nk_cmd nk_cmd_hs_backup = {
    .synopsis = "-o FILE [--password-file FILE] DIR|KEYFILE..",
    .summary = "Save services' keys and clients in one encrypted file",
    .description =
        "Takes the identity of each HiddenServiceDir, and its clients' public keys, those that are "
        "disabled too; or the identity in a key file of any form that 'hs convert' reads. Nothing "
        "else is needed to have a service again: tor and arti make all other keys anew.\n\n"
        "The file is encrypted with XSalsa20-Poly1305 under a key that Argon2id makes of a "
        "password. Without the password nobody opens it, you neither.",
    .examples = "netkit hs backup -o services.backup /var/lib/tor/web /var/lib/tor/ssh",
    .opts = opts,
    .conf_size = sizeof(struct backup_conf),
    .min_args = 1,
    .max_args = -1,
    .flags = NK_CMD_NO_CONFIG,
    .run = run,
};
