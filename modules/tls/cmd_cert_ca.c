/* SPDX-License-Identifier: MIT */
/* netkit cert ca: a certificate authority of one's own. */
#include "base/file.h"
#include "core/clock.h"
#include "tls/cert_cli.h"

struct ca_conf {
    char *cn, *org, *output;
    int64_t days;
    bool force;
};

static const struct nk_opt opts[] = {
    {.name = "cn",
     .type = NK_OPT_STRING,
     .offset = NK_FIELD(struct ca_conf, cn),
     .arg = "NAME",
     .def = "netkit CA",
     .help = "Common name of the authority"},
    {.name = "org",
     .type = NK_OPT_STRING,
     .offset = NK_FIELD(struct ca_conf, org),
     .arg = "NAME",
     .help = "Organization of the authority"},
    {.name = "days",
     .type = NK_OPT_INT,
     .offset = NK_FIELD(struct ca_conf, days),
     .arg = "N",
     .def = "3650",
     .min = 1,
     .max = 36500,
     .help = "Days that the authority is valid"},
    {.name = "output",
     .short_name = 'o',
     .type = NK_OPT_PATH,
     .offset = NK_FIELD(struct ca_conf, output),
     .arg = "DIR",
     .help = "Directory for key.pem and certificate.pem; without it, ca in the state directory"},
    {.name = "force",
     .type = NK_OPT_FLAG,
     .offset = NK_FIELD(struct ca_conf, force),
     .help = "Replace existing files"},
    NK_OPT_END};

static int run(struct nk_cmd_ctx *ctx)
{
    const struct ca_conf *c = ctx->conf;
    char standard[NK_PATH_MAX];
    const char *dir = c->output;
    struct nk_secret key = {0};
    struct nk_buf cert;
    int64_t now = nk_wall_s(NULL);
    const struct tls_cert_spec spec = {.cn = c->cn,
                                       .org = c->org,
                                       .ca = true,
                                       .not_before = now - CERT_BACKDATE,
                                       .not_after = now + c->days * CERT_DAY};
    if (!dir && cert_ca_dir(ctx, standard) < 0) {
        return ctx->diag.code;
    }
    dir = dir ? dir : standard;
    nk_buf_init(&cert, TLS_PEM_MAX);
    int rc = tls_cert_generate(&spec, &key, &cert, &ctx->diag);
    if (rc == 0 && !ctx->globals->dry_run) {
        rc = cert_write_pair(dir, c->force, &key, &cert, &ctx->diag);
    }
    if (rc == 0) {
        rc = cert_report(ctx, dir, &cert);
    }
    nk_secret_clear(&key);
    nk_buf_clear(&cert);
    return rc;
}

extern const struct nk_cmd nk_cmd_cert_ca;
const struct nk_cmd nk_cmd_cert_ca = {
    .synopsis = "[--cn NAME] [--org NAME] [--days N] [--force] [-o DIR]",
    .summary = "Make a certificate authority",
    .opts = opts,
    .conf_size = sizeof(struct ca_conf),
    .flags = NK_CMD_NO_CONFIG,
    .run = run,
};
