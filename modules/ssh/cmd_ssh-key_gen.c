/* SPDX-License-Identifier: MIT */
/* netkit ssh-key gen: a new key pair, in files as ssh-keygen writes them. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/ask.h"
#include "base/cli.h"
#include "base/file.h"
#include "ssh/key_cli.h"
#include "ssh/pk.h"
#include "ssh/pubfile.h"

struct gen_conf {
    struct ssh_pass_conf pass;
    int type;
    int64_t bits, rounds;
    char *comment, *output;
    bool plain, force;
};

enum { ED25519, ECDSA, RSA, BITS_ECDSA = 256, SUFFIX = sizeof(".pub") };
static const char *const types[] = {"ed25519", "ecdsa", "rsa", NULL};

static const struct nk_opt opts[] = {
    {.name = "type",
     .short_name = 't',
     .type = NK_OPT_ENUM,
     .offset = NK_FIELD(struct gen_conf, type),
     .arg = "TYPE",
     .def = "ed25519",
     .choices = types,
     .flags = NK_OPT_CLI_ONLY,
     .help = "Kind of key"},
    {.name = "bits",
     .short_name = 'b',
     .type = NK_OPT_INT,
     .offset = NK_FIELD(struct gen_conf, bits),
     .arg = "N",
     .min = 0,
     .max = SSH_RSA_PRIVATE_MAX,
     .flags = NK_OPT_CLI_ONLY,
     .help =
         "Size: of ecdsa 256 (the default), 384 or 521, of rsa 3072 (the default), 2048 to 8192"},
    {.name = "comment",
     .type = NK_OPT_STRING,
     .offset = NK_FIELD(struct gen_conf, comment),
     .arg = "TEXT",
     .flags = NK_OPT_CLI_ONLY,
     .help = "Comment; $USER@HOST without it"},
    {.name = "output",
     .short_name = 'o',
     .type = NK_OPT_PATH,
     .offset = NK_FIELD(struct gen_conf, output),
     .arg = "FILE",
     .flags = NK_OPT_CLI_ONLY | NK_OPT_MAY_MISS,
     .help = "File of the private key, FILE.pub that of the public one; ~/.ssh/id_TYPE without it"},
    SSH_PASS_ROWS(struct gen_conf, pass),
    {.name = "no-passphrase",
     .type = NK_OPT_FLAG,
     .offset = NK_FIELD(struct gen_conf, plain),
     .flags = NK_OPT_CLI_ONLY,
     .help = "Do not encrypt the private key"},
    {.name = "rounds",
     .type = NK_OPT_INT,
     .offset = NK_FIELD(struct gen_conf, rounds),
     .arg = "N",
     .def = "24",
     .min = 1,
     .max = SSH_ROUNDS_MAX,
     .flags = NK_OPT_CLI_ONLY,
     .help = "Rounds of bcrypt that each try of a passphrase costs"},
    {.name = "force",
     .type = NK_OPT_FLAG,
     .offset = NK_FIELD(struct gen_conf, force),
     .flags = NK_OPT_CLI_ONLY,
     .help = "Replace existing files"},
    NK_OPT_END};

static const struct ssh_key_type *type_of(const struct gen_conf *c)
{
    const struct ssh_key_type *t = ssh_key_types;
    if (c->type == ECDSA) {
        return ssh_pk_curve(c->bits ? (unsigned)c->bits : BITS_ECDSA);
    }
    while (t->kind != (c->type == RSA ? SSH_KEY_RSA : SSH_KEY_ED25519)) {
        t++;
    }
    return t;
}

/* An empty one is none, as ssh-keygen has it. */
static int check_passphrase(void *arg, const struct nk_secret *s, struct nk_diag *diag)
{
    (void)arg;
    return s->len > SSH_PASSPHRASE_MAX ? nk_fail(diag, NK_EUSAGE, "the passphrase is too long") : 0;
}

static int get_passphrase(struct nk_cmd_ctx *ctx, struct nk_secret *out)
{
    const struct gen_conf *c = ctx->conf;
    bool given = c->pass.file || c->pass.fd >= 0;
    const struct nk_ask q = {.what = "passphrase",
                             .question = "passphrase of the new key (empty: none): ",
                             .hint = "use --passphrase-file, --passphrase-fd or --no-passphrase",
                             .is_new = true,
                             .check = check_passphrase};
    if (c->plain) {
        return given ? nk_fail(&ctx->diag, NK_EUSAGE, "--no-passphrase contradicts a passphrase")
                     : 0;
    }
    if (!given && ctx->globals->no_input) {
        return nk_fail(&ctx->diag, NK_EUSAGE,
                       "--no-input needs --passphrase-file, --passphrase-fd or --no-passphrase");
    }
    return given ? ssh_cli_passphrase(&c->pass, out, &ctx->diag)
                 : nk_ask_secret(&q, out, &ctx->diag);
}

static int path_of(struct nk_cmd_ctx *ctx, char path[NK_PATH_MAX])
{
    const struct gen_conf *c = ctx->conf;
    const char *home = getenv("HOME");
    char dir[NK_PATH_MAX];
    int n = 0;
    if (c->output) {
        n = snprintf(path, NK_PATH_MAX, "%s", c->output);
    } else if (!home || !*home || nk_path_join(dir, sizeof(dir), home, ".ssh") < 0) {
        return nk_fail(&ctx->diag, NK_EUSAGE, "there is no $HOME: use --output");
    } else {
        n = snprintf(path, NK_PATH_MAX, "%s/id_%s", dir, types[c->type]);
    }
    if (n >= NK_PATH_MAX - SUFFIX) {
        return nk_fail_sys(&ctx->diag, -ENAMETOOLONG, "the file of the key");
    }
    return c->output || ctx->globals->dry_run ? 0 : nk_mkdirs(dir, &ctx->diag);
}

/* Neither file is there unless they may be replaced. */
static int check_free(struct nk_cmd_ctx *ctx, const char *path, const char *public_path)
{
    const struct gen_conf *c = ctx->conf;
    const char *taken = access(path, F_OK) == 0          ? path
                        : access(public_path, F_OK) == 0 ? public_path
                                                         : NULL;
    if (!taken || c->force) {
        return 0;
    }
    nk_fail(&ctx->diag, -EEXIST, "%s exists, and stays as it is", taken);
    nk_hint(&ctx->diag, "--force replaces it");
    return -EEXIST;
}

/* Both files or none. */
static int write_files(struct nk_cmd_ctx *ctx, const char *path, const char *public_path,
                       const struct nk_buf *key, const struct nk_buf *line)
{
    const struct gen_conf *c = ctx->conf;
    unsigned flags = c->force ? NK_FILE_OVERWRITE : 0;
    struct nk_file_draft d = {.dir = -1};
    if (ctx->globals->dry_run) {
        return 0;
    }
    int rc = nk_file_draft(&d, public_path, flags | NK_FILE_PUBLIC, nk_buf_ptr(line),
                           nk_buf_len(line), &ctx->diag);
    rc = rc < 0 ? rc : nk_file_write(path, flags, nk_buf_ptr(key), nk_buf_len(key), &ctx->diag);
    if (rc < 0) {
        nk_file_discard(&d);
        return rc;
    }
    return nk_file_publish(&d, &ctx->diag);
}

static int report(struct nk_cmd_ctx *ctx, const char *path, const struct ssh_private *k,
                  bool encrypted, const struct nk_buf *line)
{
    const struct ssh_cli_key about = {.file = path,
                                      .form = "OpenSSH",
                                      .cipher = encrypted ? "aes256-ctr" : "none",
                                      .comment = k->comment,
                                      .is_private = true};
    char print[SSH_FINGERPRINT_SIZE];
    ssh_fingerprint_sha256(k->pub.blob, print);
    nk_audit(ctx->log, "ssh", NK_LOG_INFO, "key.created", NULL, "%s %s", path, print);
    if (ctx->globals->json) {
        struct nk_buf out;
        struct nk_json j;
        nk_buf_init(&out, SSH_KEY_FILE_MAX);
        nk_json_init(&j, &out, true);
        ssh_cli_describe(&about, &k->pub, &j);
        return nk_cli_put_json(&j, &ctx->diag);
    }
    ssh_cli_describe(&about, &k->pub, NULL);
    nk_cli_print(line);
    return 0;
}

static int make_files(struct nk_cmd_ctx *ctx, const struct ssh_private *k, const char *path,
                      const char *public_path, const struct nk_secret *pass)
{
    const struct gen_conf *c = ctx->conf;
    struct nk_buf key, line;
    nk_buf_init_secret(&key, 2 * SSH_KEY_FILE_MAX);
    nk_buf_init(&line, SSH_KEY_FILE_MAX);
    int rc = ssh_private_write(k, pass, (unsigned)c->rounds, &key);
    rc = rc < 0 ? rc : ssh_public_line(k->pub.blob, k->comment, &line);
    rc = rc < 0 ? nk_fail_sys(&ctx->diag, rc, "the key")
                : write_files(ctx, path, public_path, &key, &line);
    rc = rc < 0 ? rc : report(ctx, path, k, pass->len > 0, &line);
    nk_buf_clear(&key);
    nk_buf_clear(&line);
    return rc;
}

static int generate(struct nk_cmd_ctx *ctx, const struct ssh_key_type *type,
                    struct ssh_private **out)
{
    const struct gen_conf *c = ctx->conf;
    const char *user = getenv("USER");
    char host[HOST_NAME_MAX + 1] = "", who[SSH_COMMENT_MAX];
    (void)gethostname(host, sizeof(host) - 1);
    snprintf(who, sizeof(who), "%s%s%s", user ? user : "", user ? "@" : "", host);
    return ssh_private_generate(type, c->bits ? (unsigned)c->bits : SSH_RSA_NEW,
                                c->comment ? c->comment : who, out, &ctx->diag);
}

static int run(struct nk_cmd_ctx *ctx)
{
    const struct gen_conf *c = ctx->conf;
    const struct ssh_key_type *type = type_of(c);
    char path[NK_PATH_MAX], public_path[NK_PATH_MAX];
    struct nk_secret pass = {0};
    struct ssh_private *k = NULL;
    if (!type || (c->type == ED25519 && c->bits)) {
        return nk_fail(&ctx->diag, NK_EUSAGE, "there is no key of type %s with %lld bits",
                       types[c->type], (long long)c->bits);
    }
    int rc = path_of(ctx, path);
    if (rc < 0) {
        return rc;
    }
    snprintf(public_path, sizeof(public_path), "%.*s.pub", NK_PATH_MAX - SUFFIX, path);
    rc = check_free(ctx, path, public_path);
    rc = rc < 0 ? rc : get_passphrase(ctx, &pass);
    rc = rc < 0 ? rc : generate(ctx, type, &k);
    rc = rc < 0 ? rc : make_files(ctx, k, path, public_path, &pass);
    ssh_private_unref(k);
    nk_secret_clear(&pass);
    return rc;
}

extern const struct nk_cmd nk_cmd_ssh_key_gen;
const struct nk_cmd nk_cmd_ssh_key_gen = {
    .synopsis = "[-t TYPE] [-b N] [--comment TEXT] [-o FILE] [--no-passphrase]",
    .summary = "Make a key pair for SSH",
    .opts = opts,
    .conf_size = sizeof(struct gen_conf),
    .flags = NK_CMD_NO_CONFIG,
    .run = run,
};
