/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "ssh/known_cli.h"
#include "ssh/pubkey.h"

static const struct nk_opt opts[] = {
    SSH_KNOWN_FILE_ROW,
    SSH_KNOWN_PORT_ROW,
    {.name = "hash",
     .type = NK_OPT_FLAG,
     .offset = NK_FIELD(struct ssh_known_conf, hash),
     .help = "Write the name hashed"},
    {.name = "ca",
     .type = NK_OPT_FLAG,
     .offset = NK_FIELD(struct ssh_known_conf, ca),
     .help = "They are keys of authorities whose certificates count for the host"},
    {.name = "revoked",
     .type = NK_OPT_FLAG,
     .offset = NK_FIELD(struct ssh_known_conf, revoked),
     .help = "They are never to be accepted for the host"},
    NK_OPT_END,
};

struct addition {
    struct nk_cmd_ctx *ctx;
    const char *name;
    enum ssh_known_marker marker;
    struct nk_buf had; /* the file's text; empty when there is none */
    struct nk_buf lines;
    int n;
};

static int has(const struct addition *a, struct ssh_str raw)
{
    struct ssh_known_reader r;
    struct ssh_known_line l;
    bool found = false;
    int rc = 0;
    ssh_known_read(&r, nk_buf_ptr(&a->had), nk_buf_len(&a->had));
    while (rc == 0 && !found && ssh_known_next(&r, &l)) {
        struct nk_buf blob;
        if (!l.entry || l.marker != a->marker ||
            !(ssh_str_is(l.hosts, a->name) || ssh_known_matches(l.hosts, a->name))) {
            continue;
        }
        nk_buf_init(&blob, SSH_BLOB_MAX);
        rc = ssh_known_key(&l, &blob);
        found = rc == 0 && raw.p && nk_buf_len(&blob) == raw.n &&
                memcmp(nk_buf_ptr(&blob), raw.p, raw.n) == 0;
        rc = rc == -ENOMEM ? rc : 0;
        nk_buf_clear(&blob);
    }
    return rc < 0 ? rc : found;
}

/* The key of a line of known_hosts, or of a .pub file: "TYPE BASE64 [COMMENT]". */
static int add_line(struct addition *a, struct ssh_known_line *l)
{
    const struct ssh_known_conf *c = a->ctx->conf;
    struct ssh_public public;
    struct nk_buf blob;
    nk_buf_init(&blob, SSH_BLOB_MAX);
    if (l->type.n >= 4 && memcmp(l->type.p, "AAAA", 4) == 0) {
        l->key = l->type;
        l->type = l->hosts;
    }
    int rc = ssh_known_key(l, &blob);
    const struct ssh_str raw = {nk_buf_ptr(&blob), nk_buf_len(&blob)};
    if (rc < 0) {
        nk_fail(&a->ctx->diag, rc, "%s: line %u is no public key", a->ctx->argv[1], l->number);
    } else {
        rc = ssh_public_parse(raw, 1, &public, &a->ctx->diag);
    }
    rc = rc < 0 ? rc : has(a, raw);
    if (rc == 0) {
        rc = ssh_known_put(&a->lines, a->marker, a->name, c->hash && !a->marker, raw, NULL);
        a->n++;
    }
    nk_buf_clear(&blob);
    return rc < 0 ? rc : 0;
}

static int add_all(struct addition *a, const struct nk_buf *keys, const char *file)
{
    struct ssh_known_reader r;
    struct ssh_known_line l;
    int rc = 0;
    ssh_known_read(&r, nk_buf_ptr(keys), nk_buf_len(keys));
    while (rc == 0 && ssh_known_next(&r, &l)) {
        if (l.entry || l.problem) {
            rc = add_line(a, &l);
        }
    }
    if (rc == 0 && !a->ctx->globals->dry_run) {
        rc = ssh_known_hosts_append(file, nk_buf_ptr(&a->lines), nk_buf_len(&a->lines),
                                    &a->ctx->diag);
    }
    return rc < 0 ? rc : a->n;
}

/* Authorities and revoked keys may be for patterns. */
static int find_name(struct addition *a, char name[SSH_KNOWN_NAME_SIZE])
{
    const char *given = a->ctx->argv[0];
    a->name = a->marker ? given : name;
    if (a->marker == SSH_KNOWN_PLAIN) {
        return ssh_known_cli_name(a->ctx, given, name);
    }
    return *given && !strpbrk(given, " \t\r\n#|") && *given != '@'
               ? 0
               : nk_fail(&a->ctx->diag, NK_EUSAGE, "'%s' is no pattern of hosts", given);
}

static int read_had(struct addition *a, const char *file)
{
    struct nk_diag why = {0};
    int rc = nk_file_read(file, 0, &a->had, &why);
    if (rc < 0 && rc != -ENOENT) {
        a->ctx->diag = why;
        return rc;
    }
    return 0;
}

static int run(struct nk_cmd_ctx *ctx)
{
    const struct ssh_known_conf *c = ctx->conf;
    char name[SSH_KNOWN_NAME_SIZE], file[NK_PATH_MAX];
    struct nk_buf keys;
    struct addition a = {.ctx = ctx,
                         .marker = c->ca        ? SSH_KNOWN_CA
                                   : c->revoked ? SSH_KNOWN_REVOKED
                                                : SSH_KNOWN_PLAIN};
    if (c->ca && c->revoked) {
        return nk_fail(&ctx->diag, NK_EUSAGE, "--ca and --revoked exclude each other");
    }
    nk_buf_init(&keys, SSH_KNOWN_FILE_MAX);
    nk_buf_init(&a.had, SSH_KNOWN_FILE_MAX);
    nk_buf_init(&a.lines, SSH_KNOWN_FILE_MAX);
    int rc = find_name(&a, name);
    rc = rc < 0 ? rc : ssh_known_cli_file(ctx, file);
    rc = rc < 0 ? rc : nk_file_read(ctx->argv[1], 0, &keys, &ctx->diag);
    rc = rc < 0 ? rc : read_had(&a, file);
    rc = rc < 0 ? rc : add_all(&a, &keys, file);
    if (rc < 0 && !ctx->diag.code) {
        nk_fail_sys(&ctx->diag, rc, "%s", file);
    }
    nk_buf_clear(&keys);
    nk_buf_clear(&a.had);
    nk_buf_clear(&a.lines);
    return ssh_known_cli_done(ctx, file, rc);
}

extern const struct nk_cmd nk_cmd_ssh_key_known_hosts_add;
const struct nk_cmd nk_cmd_ssh_key_known_hosts_add = {
    .synopsis = "[-f FILE] [-p PORT] [--hash] [--ca|--revoked] HOST KEYS|-",
    .summary = "Remember the keys of a host",
    .opts = opts,
    .conf_size = sizeof(struct ssh_known_conf),
    .min_args = 2,
    .max_args = 2,
    .flags = NK_CMD_NO_CONFIG,
    .run = run,
};
