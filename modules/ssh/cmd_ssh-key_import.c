/* SPDX-License-Identifier: MIT */
/* netkit ssh-key import: keys of other forms become OpenSSH's. */
#include <string.h>
#include <unistd.h>

#include "base/cli.h"
#include "base/file.h"
#include "ssh/key_cli.h"
#include "ssh/keyfile.h"
#include "ssh/pubfile.h"

struct import_conf {
    struct ssh_pass_conf pass;
    char *output, *comment;
    bool plain, force;
};

static const struct nk_opt opts[] = {
    {.name = "output",
     .short_name = 'o',
     .type = NK_OPT_PATH,
     .offset = NK_FIELD(struct import_conf, output),
     .arg = "FILE",
     .flags = NK_OPT_CLI_ONLY | NK_OPT_MAY_MISS,
     .help = "File to write; a public key is printed without it. Private keys need it"},
    {.name = "comment",
     .type = NK_OPT_STRING,
     .offset = NK_FIELD(struct import_conf, comment),
     .arg = "TEXT",
     .flags = NK_OPT_CLI_ONLY,
     .help = "Comment in place of the key's own"},
    SSH_PASS_ROWS(struct import_conf, pass),
    {.name = "no-passphrase",
     .type = NK_OPT_FLAG,
     .offset = NK_FIELD(struct import_conf, plain),
     .flags = NK_OPT_CLI_ONLY,
     .help = "Write a private key that was encrypted without a passphrase"},
    {.name = "force",
     .type = NK_OPT_FLAG,
     .offset = NK_FIELD(struct import_conf, force),
     .flags = NK_OPT_CLI_ONLY,
     .help = "Replace an existing file"},
    NK_OPT_END};

static int write_out(struct nk_cmd_ctx *ctx, unsigned flags, const struct nk_buf *b)
{
    const struct import_conf *c = ctx->conf;
    if (!c->output || strcmp(c->output, "-") == 0) {
        nk_cli_print(b);
        return 0;
    }
    if (!c->force && access(c->output, F_OK) == 0) {
        return nk_fail(&ctx->diag, -EEXIST, "%s exists, and stays as it is", c->output);
    }
    return ctx->globals->dry_run
               ? 0
               : nk_file_write(c->output, flags | (c->force ? NK_FILE_OVERWRITE : 0u),
                               nk_buf_ptr(b), nk_buf_len(b), &ctx->diag);
}

static int import_public(struct nk_cmd_ctx *ctx, const struct nk_buf *text, struct nk_buf *out)
{
    const struct import_conf *c = ctx->conf;
    struct ssh_pubfile f;
    struct ssh_public k;
    int rc = ssh_pubfile_parse(nk_buf_ptr(text), nk_buf_len(text), &f, &ctx->diag);
    if (rc < 0) {
        return rc;
    }
    struct ssh_str blob = {nk_buf_ptr(&f.blob), nk_buf_len(&f.blob)};
    rc = ssh_public_parse(blob, 0, &k, &ctx->diag);
    if (rc == 0) {
        rc = ssh_public_line(blob, c->comment ? c->comment : f.comment, out);
        rc = rc < 0 ? nk_fail_sys(&ctx->diag, rc, "the public key") : 0;
    }
    ssh_pubfile_clear(&f);
    return rc;
}

static int import_private(struct nk_cmd_ctx *ctx, const struct nk_buf *text, struct nk_buf *out)
{
    const struct import_conf *c = ctx->conf;
    struct ssh_sealed *s;
    struct ssh_private *k = NULL;
    struct nk_secret pass = {0};
    if (!c->output) {
        return nk_fail(&ctx->diag, NK_EUSAGE, "a private key is written with --output only");
    }
    int rc = ssh_sealed_parse(nk_buf_ptr(text), nk_buf_len(text), &s, &ctx->diag);
    if (rc < 0) {
        return rc;
    }
    rc = ssh_cli_passphrase(&c->pass, &pass, &ctx->diag);
    rc = rc < 0 ? rc
                : ssh_sealed_ask(s, ctx->argv[0], &pass, ctx->globals->no_input, 0, &k, &ctx->diag);
    if (rc == 0 && c->comment) {
        rc = ssh_private_rename(k, c->comment);
        rc = rc < 0 ? nk_fail_sys(&ctx->diag, rc, "the comment") : 0;
    }
    if (rc == 0) {
        bool encrypt = ssh_sealed_locked(s) && !c->plain;
        rc = ssh_private_write(k, encrypt ? &pass : NULL, SSH_ROUNDS, out);
        rc = rc < 0 ? nk_fail_sys(&ctx->diag, rc, "the private key") : 0;
    }
    ssh_private_unref(k);
    ssh_sealed_unref(s);
    nk_secret_clear(&pass);
    return rc;
}

static int run(struct nk_cmd_ctx *ctx)
{
    const char *path = ctx->argv[0];
    struct nk_buf text, out;
    nk_buf_init_secret(&text, SSH_KEY_FILE_MAX);
    nk_buf_init_secret(&out, 2 * SSH_KEY_FILE_MAX);
    int rc = nk_file_read(path, 0, &text, &ctx->diag);
    if (rc == 0) {
        bool secret = ssh_sealed_is(nk_buf_ptr(&text), nk_buf_len(&text));
        rc = secret ? import_private(ctx, &text, &out) : import_public(ctx, &text, &out);
        rc = rc < 0 ? nk_fail_context(&ctx->diag, "%s", path)
                    : write_out(ctx, secret ? 0 : NK_FILE_PUBLIC, &out);
    }
    nk_buf_clear(&text);
    nk_buf_clear(&out);
    return rc;
}

extern const struct nk_cmd nk_cmd_ssh_key_import;
const struct nk_cmd nk_cmd_ssh_key_import = {
    .synopsis = "[-o FILE] [--comment TEXT] [--passphrase-file FILE] FILE|-",
    .summary = "Convert a key of another form to OpenSSH's",
    .opts = opts,
    .conf_size = sizeof(struct import_conf),
    .min_args = 1,
    .max_args = 1,
    .flags = NK_CMD_NO_CONFIG,
    .run = run,
};
