/* SPDX-License-Identifier: MIT */
/* netkit cert sign: a certificate from one's own authority, for a request or with a new key. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cli.h"
#include "base/file.h"
#include "core/clock.h"
#include "tls/cert_cli.h"

enum { REQUEST_MAX = 64 * 1024 };

struct sign_conf {
    char *ca, *ca_key, *cn, *output;
    struct nk_strlist sans;
    int64_t days;
    int usage; /* enum tls_usage */
    bool force;
};

static const char *const usages[] = {"both", "server", "client", NULL};

#define ROW(n, t, f, a) .name = n, .type = t, .offset = NK_FIELD(struct sign_conf, f), .arg = a

static const struct nk_opt opts[] = {
    {ROW("ca", NK_OPT_PATH, ca, "DIR|FILE"),
     .help = "The authority: its directory, or its certificate; without it, ca in the state "
             "directory"},
    {ROW("ca-key", NK_OPT_PATH, ca_key, "FILE"),
     .help = "Its private key; key.pem beside its certificate when not given"},
    {ROW("cn", NK_OPT_STRING, cn, "NAME"),
     .help = "Common name; replaces the subject of the request"},
    {ROW("san", NK_OPT_STRING, sans, "NAME"), .flags = NK_OPT_REPEAT,
     .help = "Name that the certificate is valid for, as in cert new; replaces those of the "
             "request"},
    {ROW("days", NK_OPT_INT, days, "N"), .def = "365", .min = 1, .max = 36500,
     .help = "Days that the certificate is valid, but not longer than the authority"},
    {ROW("usage", NK_OPT_ENUM, usage, "USAGE"), .def = "both", .choices = usages,
     .help = "What it is good for: server, client or both"},
    {ROW("output", NK_OPT_PATH, output, "PATH"), .short_name = 'o',
     .help = "File for the certificate, standard output without it; without REQUEST the directory "
             "for key.pem and certificate.pem"},
    {ROW("force", NK_OPT_FLAG, force, NULL), .help = "Replace existing files"},
    NK_OPT_END};

/* The authority's certificate and key. */
static int load_ca(struct nk_cmd_ctx *ctx, struct nk_buf *cert, struct nk_secret *key)
{
    const struct sign_conf *c = ctx->conf;
    char standard[NK_PATH_MAX], dir[NK_PATH_MAX], cert_path[NK_PATH_MAX], key_path[NK_PATH_MAX];
    const char *ca = c->ca;
    struct stat st;
    if (!ca && cert_ca_dir(ctx, standard) < 0) {
        return ctx->diag.code;
    }
    ca = ca ? ca : standard;
    bool is_dir = stat(ca, &st) == 0 && S_ISDIR(st.st_mode);
    int rc = is_dir ? nk_path_join(cert_path, sizeof(cert_path), ca, CERT_CERT_FILE)
                    : nk_file_dir(dir, sizeof(dir), ca);
    rc = rc < 0 ? rc : nk_path_join(key_path, sizeof(key_path), is_dir ? ca : dir, CERT_KEY_FILE);
    if (rc < 0) {
        return nk_fail(&ctx->diag, rc, "the path %.64s... is too long", ca);
    }
    rc = cert_read(is_dir ? cert_path : ca, cert, &ctx->diag);
    if (rc == -ENOENT && !c->ca) {
        nk_hint(&ctx->diag, "'netkit cert ca' makes an authority");
    }
    return rc < 0 ? rc
                  : nk_file_read_secret(c->ca_key ? c->ca_key : key_path, false, key, &ctx->diag);
}

static int set_validity(struct tls_cert_spec *spec, int64_t days, const struct nk_buf *ca,
                        struct nk_diag *diag)
{
    struct tls_cert_info info;
    char when[TLS_TIME_TEXT];
    int64_t now = nk_wall_s(NULL), end = now + days * CERT_DAY;
    int rc = tls_cert_describe(nk_buf_ptr(ca), nk_buf_len(ca), &info, diag);
    if (rc == 0 && info.not_after <= now) {
        rc = nk_fail(diag, NK_ECONFIG, "the CA has expired on %s",
                     tls_format_time(when, info.not_after));
    }
    spec->not_before = now - CERT_BACKDATE;
    spec->not_after = rc == 0 && info.not_after < end ? info.not_after : end;
    return rc;
}

/* A certificate without its key: to a file or to standard output. */
static int deliver(struct nk_cmd_ctx *ctx, const struct nk_buf *cert)
{
    const struct sign_conf *c = ctx->conf;
    unsigned flags = NK_FILE_PUBLIC | (c->force ? (unsigned)NK_FILE_OVERWRITE : 0);
    if (!c->output) {
        fwrite(nk_buf_ptr(cert), 1, nk_buf_len(cert), stdout);
        return 0; /* the command's end checks standard output */
    }
    int rc = ctx->globals->dry_run
                 ? 0
                 : nk_file_write(c->output, flags, nk_buf_ptr(cert), nk_buf_len(cert), &ctx->diag);
    return rc < 0 ? rc : cert_tell(ctx, NULL, c->output, cert);
}

static int sign(struct nk_cmd_ctx *ctx, const struct tls_cert_spec *what)
{
    const struct sign_conf *c = ctx->conf;
    struct tls_cert_spec spec = *what;
    struct nk_buf ca, cert;
    struct nk_secret ca_key = {0}, key = {0};
    nk_buf_init(&ca, TLS_PEM_MAX);
    nk_buf_init(&cert, TLS_PEM_MAX);
    int rc = load_ca(ctx, &ca, &ca_key);
    rc = rc < 0 ? rc : set_validity(&spec, c->days, &ca, &ctx->diag);
    if (rc == 0) {
        spec.issuer_cert = nk_buf_str(&ca);
        spec.issuer_key = &ca_key;
        rc = spec.issuer_cert ? tls_cert_generate(&spec, &key, &cert, &ctx->diag) : -ENOMEM;
    }
    if (rc == 0 && spec.csr) {
        rc = deliver(ctx, &cert);
    } else if (rc == 0) {
        rc = ctx->globals->dry_run ? 0
                                   : cert_write_pair(c->output, c->force, &key, &cert, &ctx->diag);
        rc = rc < 0 ? rc : cert_report(ctx, c->output, &cert);
    }
    nk_secret_clear(&ca_key);
    nk_secret_clear(&key);
    nk_buf_clear(&ca);
    nk_buf_clear(&cert);
    return rc;
}

static int run(struct nk_cmd_ctx *ctx)
{
    const struct sign_conf *c = ctx->conf;
    struct tls_cert_spec spec = {.cn = c->cn,
                                 .sans = (const char *const *)c->sans.v,
                                 .nsans = c->sans.n,
                                 .usage = (enum tls_usage)c->usage};
    struct nk_buf request;
    int rc;
    if (ctx->argc == 0) {
        return c->cn && c->output
                   ? sign(ctx, &spec)
                   : nk_fail(&ctx->diag, NK_EUSAGE, "without REQUEST --cn and --output are needed");
    }
    nk_buf_init(&request, REQUEST_MAX);
    rc = strcmp(ctx->argv[0], "-") == 0 ? nk_file_read_fd(STDIN_FILENO, &request, &ctx->diag)
                                        : nk_file_read(ctx->argv[0], 0, &request, &ctx->diag);
    if (rc == 0) {
        spec.csr = nk_buf_len(&request) > 0 ? (const void *)nk_buf_ptr(&request) : "";
        spec.csr_len = nk_buf_len(&request);
        rc = sign(ctx, &spec);
    }
    nk_buf_clear(&request);
    return rc;
}

extern const struct nk_cmd nk_cmd_cert_sign;
const struct nk_cmd nk_cmd_cert_sign = {
    .synopsis = "[--ca DIR] [--cn NAME] [--san NAME].. [--days N] [--usage server|client|both] "
                "[-o PATH] [REQUEST|-]",
    .summary = "Sign a request, or make a key and a certificate",
    .opts = opts,
    .conf_size = sizeof(struct sign_conf),
    .max_args = 1,
    .flags = NK_CMD_NO_CONFIG,
    .run = run,
};
