/* SPDX-License-Identifier: MIT */
/* netkit ssh-key check: what keys and certificates in files are, and what is wrong with them. */
#include <stdio.h>
#include <string.h>

#include "base/cli.h"
#include "base/file.h"
#include "ssh/key_cli.h"
#include "ssh/keyfile.h"
#include "ssh/pubfile.h"

struct check_conf {
    struct ssh_pass_conf pass;
    bool open;
};

static const struct nk_opt opts[] = {
    {.name = "open",
     .type = NK_OPT_FLAG,
     .offset = NK_FIELD(struct check_conf, open),
     .flags = NK_OPT_CLI_ONLY,
     .help = "Open encrypted keys too: ask for the passphrase on the terminal"},
    SSH_PASS_ROWS(struct check_conf, pass),
    NK_OPT_END};

enum { ANY_RSA = 1, JSON_MAX = 1024 * 1024 };

/* One file, and what was found out about it. */
struct checked {
    struct nk_cmd_ctx *ctx;
    struct ssh_cli_key about;
    struct nk_diag problem; /* the first one; code 0: none */
    struct nk_json *j;
};

static void found(struct checked *t, const struct nk_diag *diag)
{
    if (t->problem.code == 0) {
        t->problem = *diag;
    }
}

/* Say it, and what is wrong with it: the key's size at last. */
static void show(struct checked *t, const struct ssh_public *k)
{
    struct ssh_public again;
    struct nk_diag diag;
    if (k && ssh_public_parse(k->blob, 0, &again, &diag) < 0) {
        found(t, &diag);
    }
    t->about.problem = t->problem.code ? t->problem.text : NULL;
    ssh_cli_describe(&t->about, k, t->j);
}

static int check_public(struct checked *t, const struct nk_buf *text)
{
    struct ssh_pubfile f;
    struct ssh_public k;
    int rc = ssh_pubfile_parse(nk_buf_ptr(text), nk_buf_len(text), &f, &t->ctx->diag);
    if (rc < 0) {
        return rc;
    }
    rc = ssh_public_parse((struct ssh_str){nk_buf_ptr(&f.blob), nk_buf_len(&f.blob)}, ANY_RSA, &k,
                          &t->ctx->diag);
    if (rc == 0) {
        t->about.form = f.form;
        t->about.comment = f.comment;
        show(t, &k);
    }
    ssh_pubfile_clear(&f);
    return rc;
}

/* The key, when it can be opened; NULL: it is not to be. */
static int open_key(struct checked *t, const struct ssh_sealed *s, struct ssh_private **out)
{
    const struct check_conf *c = t->ctx->conf;
    struct nk_secret pass = {0};
    int rc = 0;
    if (!ssh_sealed_locked(s)) {
        return ssh_sealed_open(s, NULL, ANY_RSA, out, &t->ctx->diag);
    }
    if (c->pass.file || c->pass.fd >= 0) {
        rc = ssh_cli_passphrase(&c->pass, &pass, &t->ctx->diag);
        rc = rc < 0 ? rc : ssh_sealed_unlock(s, &pass, ANY_RSA, out, &t->ctx->diag);
    } else if (c->open) {
        rc = ssh_sealed_ask(s, t->about.file, &pass, t->ctx->globals->no_input, ANY_RSA, out,
                            &t->ctx->diag);
    }
    nk_secret_clear(&pass);
    return rc;
}

static int check_private(struct checked *t, const struct nk_buf *text)
{
    struct ssh_sealed *s;
    struct ssh_private *k = NULL;
    struct ssh_public pub;
    struct nk_diag diag;
    int rc = ssh_sealed_parse(nk_buf_ptr(text), nk_buf_len(text), &s, &t->ctx->diag);
    if (rc < 0) {
        return rc;
    }
    t->about.is_private = true;
    t->about.form = ssh_sealed_form(s);
    t->about.cipher = ssh_sealed_cipher(s);
    rc = open_key(t, s, &k);
    if (rc == 0 && k) {
        t->about.comment = k->comment;
        show(t, &k->pub);
    } else if (rc == 0) {
        bool clear =
            ssh_sealed_blob(s).p && ssh_public_parse(ssh_sealed_blob(s), ANY_RSA, &pub, &diag) == 0;
        show(t, clear ? &pub : NULL);
    }
    ssh_private_unref(k);
    ssh_sealed_unref(s);
    return rc;
}

/* The file's bytes; whether others could read or change them is of interest for private keys. */
static int read_file(struct checked *t, struct nk_buf *text)
{
    struct nk_diag mode = {0};
    int rc = nk_file_read(t->about.file, NK_FILE_SECRET, text, &mode);
    if (rc == NK_EBADMODE) {
        rc = nk_file_read(t->about.file, 0, text, &t->ctx->diag);
        if (rc == 0 && ssh_sealed_is(nk_buf_ptr(text), nk_buf_len(text))) {
            found(t, &mode);
        }
        return rc;
    }
    if (rc < 0) {
        t->ctx->diag = mode;
    }
    return rc;
}

static int check_one(struct nk_cmd_ctx *ctx, const char *path, struct nk_json *j,
                     struct nk_diag *problem)
{
    struct checked t = {.ctx = ctx, .about = {.file = path}, .j = j};
    struct nk_buf text;
    nk_buf_init_secret(&text, SSH_KEY_FILE_MAX);
    int rc = read_file(&t, &text);
    if (rc == 0) {
        rc = ssh_sealed_is(nk_buf_ptr(&text), nk_buf_len(&text)) ? check_private(&t, &text)
                                                                 : check_public(&t, &text);
        if (rc < 0) {
            nk_fail_context(&ctx->diag, "%s", path);
        }
    }
    nk_buf_clear(&text);
    if (rc == 0 && t.problem.code && problem->code == 0) {
        *problem = t.problem;
        if (!strstr(problem->text, path)) {
            nk_fail_context(problem, "%s", path);
        }
    }
    return rc;
}

static int run(struct nk_cmd_ctx *ctx)
{
    struct nk_diag problem = {0};
    struct nk_buf out;
    struct nk_json j;
    bool json = ctx->globals->json;
    int rc = 0;
    nk_buf_init(&out, JSON_MAX);
    nk_json_init(&j, &out, true);
    nk_json_array(&j);
    for (int i = 0; rc == 0 && i < ctx->argc; i++) {
        rc = check_one(ctx, ctx->argv[i], json ? &j : NULL, &problem);
    }
    nk_json_close(&j);
    if (rc == 0 && json) {
        rc = nk_cli_put_json(&j, &ctx->diag);
    }
    nk_buf_clear(&out);
    if (rc == 0 && problem.code) {
        ctx->diag = problem;
        rc = problem.code;
    }
    return rc;
}

extern const struct nk_cmd nk_cmd_ssh_key_check;
const struct nk_cmd nk_cmd_ssh_key_check = {
    .synopsis = "[--open] [--passphrase-file FILE] FILE|-..",
    .summary = "Show what SSH keys and certificates are",
    .opts = opts,
    .conf_size = sizeof(struct check_conf),
    .min_args = 1,
    .max_args = -1,
    .flags = NK_CMD_NO_CONFIG,
    .run = run,
};
