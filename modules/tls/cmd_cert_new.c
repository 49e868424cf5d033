/* SPDX-License-Identifier: MIT */
/* netkit cert new: a key and a certificate, self-signed or signed by a CA. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cli.h"
#include "base/codec.h"
#include "base/file.h"
#include "core/clock.h"
#include "tls/cert_cli.h"

enum { MAX_SANS = 64 };

struct new_conf {
    char *cn, *email, *org, *unit, *country, *state, *locality, *serial;
    struct nk_strlist sans;
    int64_t days;
    char *ca, *ca_key, *output;
    bool ask, force;
};

#define TEXT(n, f, a, h)                                                                           \
    {                                                                                              \
        .name = n, .type = NK_OPT_STRING, .offset = NK_FIELD(struct new_conf, f), .arg = a,        \
        .help = h                                                                                  \
    }

static const struct nk_opt opts[] = {
    {.name = "cn",
     .type = NK_OPT_STRING,
     .offset = NK_FIELD(struct new_conf, cn),
     .arg = "NAME",
     .def = "default",
     .help = "Common name of the subject"},
    TEXT("email", email, "ADDRESS", "E-mail address of the subject"),
    TEXT("org", org, "NAME", "Organization of the subject"),
    TEXT("unit", unit, "NAME", "Organizational unit of the subject"),
    TEXT("country", country, "CC", "Country of the subject, two letters"),
    TEXT("state", state, "NAME", "State or province of the subject"),
    TEXT("locality", locality, "NAME", "City of the subject"),
    TEXT("serial", serial, "N", "Serial number, decimal or 0x-hexadecimal; random when not given"),
    {.name = "san",
     .type = NK_OPT_STRING,
     .offset = NK_FIELD(struct new_conf, sans),
     .arg = "NAME",
     .flags = NK_OPT_REPEAT,
     .help =
         "Name that the certificate is valid for: DNS:host, IP:address, URI:uri, EMAIL:address, or "
         "just the host or address. Without any: DNS:default, DNS:localhost, 127.0.0.1, ::1, and "
         "the common name when it looks like a host"},
    {.name = "days",
     .type = NK_OPT_INT,
     .offset = NK_FIELD(struct new_conf, days),
     .arg = "N",
     .def = "3650",
     .min = 1,
     .max = 36500,
     .help = "Days that the certificate is valid"},
    {.name = "ca",
     .type = NK_OPT_PATH,
     .offset = NK_FIELD(struct new_conf, ca),
     .arg = "FILE",
     .help = "Certificate of the CA that signs; self-signed without it"},
    {.name = "ca-key",
     .type = NK_OPT_PATH,
     .offset = NK_FIELD(struct new_conf, ca_key),
     .arg = "FILE",
     .help = "Private key of the CA"},
    {.name = "output",
     .short_name = 'o',
     .type = NK_OPT_PATH,
     .offset = NK_FIELD(struct new_conf, output),
     .arg = "DIR",
     .help = "Directory for key.pem and certificate.pem; made when it is missing. Without it they "
             "go to "
             "the credentials folder (netkit cert dir)"},
    {.name = "ask",
     .type = NK_OPT_FLAG,
     .offset = NK_FIELD(struct new_conf, ask),
     .help = "Ask for each field on the terminal"},
    {.name = "force",
     .type = NK_OPT_FLAG,
     .offset = NK_FIELD(struct new_conf, force),
     .help = "Replace existing files"},
    NK_OPT_END};

/* The subject's fields as they may be changed by the dialogue. */
struct subject {
    char *cn, *email, *org, *unit, *country, *state, *locality, *days;
};

static void subject_clear(struct subject *s)
{
    char **all[] = {&s->cn,      &s->email, &s->org,      &s->unit,
                    &s->country, &s->state, &s->locality, &s->days};
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        free(*all[i]);
    }
}

static int ask_all(struct nk_cmd_ctx *ctx, const struct new_conf *c, struct subject *s)
{
    char days[24];
    snprintf(days, sizeof(days), "%lld", (long long)c->days);
    const struct {
        const char *question, *now;
        char **value;
    } q[] = {
        {"Common name", c->cn, &s->cn},
        {"E-mail address", c->email, &s->email},
        {"Organization", c->org, &s->org},
        {"Organizational unit", c->unit, &s->unit},
        {"Country (two letters)", c->country, &s->country},
        {"State or province", c->state, &s->state},
        {"City", c->locality, &s->locality},
        {"Days of validity", days, &s->days},
    };
    for (size_t i = 0; i < sizeof(q) / sizeof(q[0]); i++) {
        *q[i].value = q[i].now ? strdup(q[i].now) : NULL;
        if (q[i].now && !*q[i].value) {
            return -ENOMEM;
        }
        int rc = c->ask ? cert_ask(q[i].question, q[i].value, &ctx->diag) : 0;
        if (rc < 0) {
            return rc;
        }
    }
    return 0;
}

static bool looks_like_host(const char *s)
{
    size_t n = strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-:");
    return n > 0 && s[n] == 0 && strcmp(s, "default") != 0 && strcmp(s, "localhost") != 0;
}

static size_t choose_sans(const struct new_conf *c, const char *cn, const char **out)
{
    static const char *const usual[] = {"DNS:default", "DNS:localhost", "IP:127.0.0.1", "IP:::1"};
    size_t n = 0;
    for (size_t i = 0; i < c->sans.n && n < MAX_SANS; i++) {
        out[n++] = c->sans.v[i];
    }
    if (n > 0) {
        return n;
    }
    if (looks_like_host(cn)) {
        out[n++] = cn;
    }
    for (size_t i = 0; i < sizeof(usual) / sizeof(usual[0]); i++) {
        out[n++] = usual[i];
    }
    return n;
}

static int load_ca(const struct new_conf *c, struct nk_buf *cert, struct nk_secret *key,
                   struct nk_diag *diag)
{
    if (!c->ca && !c->ca_key) {
        return 0;
    }
    if (!c->ca || !c->ca_key) {
        return nk_fail(diag, NK_EUSAGE, "--ca and --ca-key belong together");
    }
    int rc = nk_file_read(c->ca, 0, cert, diag);
    return rc == 0 ? nk_file_read_secret(c->ca_key, false, key, diag) : rc;
}

static int generate(struct nk_cmd_ctx *ctx, const struct new_conf *c, const struct subject *s,
                    struct nk_secret *key, struct nk_buf *cert)
{
    const char *sans[MAX_SANS + 8];
    struct nk_buf ca;
    struct nk_secret ca_key = {0};
    int64_t days = c->days;
    struct tls_cert_spec spec = {.cn = s->cn,
                                 .email = s->email,
                                 .org = s->org,
                                 .unit = s->unit,
                                 .country = s->country,
                                 .state = s->state,
                                 .locality = s->locality,
                                 .serial = c->serial,
                                 .sans = sans,
                                 .not_before = nk_wall_s(NULL) - CERT_BACKDATE};
    if (!s->cn) {
        return nk_fail(&ctx->diag, NK_ECONFIG, "certificate: the common name is missing");
    }
    if (c->ask && (!s->days || nk_parse_i64(s->days, &days) < 0 || days < 1 || days > 36500)) {
        return nk_fail(&ctx->diag, NK_EUSAGE, "the days of validity must be 1 to 36500");
    }
    spec.nsans = choose_sans(c, s->cn, sans);
    spec.not_after = spec.not_before + CERT_BACKDATE + days * CERT_DAY;
    nk_buf_init(&ca, TLS_PEM_MAX);
    int rc = load_ca(c, &ca, &ca_key, &ctx->diag);
    if (rc == 0 && c->ca) {
        spec.issuer_cert = nk_buf_str(&ca);
        spec.issuer_key = &ca_key;
    }
    if (rc == 0) {
        rc = tls_cert_generate(&spec, key, cert, &ctx->diag);
    }
    nk_secret_clear(&ca_key);
    nk_buf_clear(&ca);
    return rc;
}

static int run(struct nk_cmd_ctx *ctx)
{
    const struct new_conf *c = ctx->conf;
    struct subject s = {0};
    struct nk_secret key = {0};
    struct nk_buf cert;
    char standard[NK_PATH_MAX];
    const char *dir = c->output;
    nk_buf_init(&cert, TLS_PEM_MAX);
    if (!dir) {
        if (nk_path_join(standard, sizeof(standard), ctx->globals->state_dir, "credentials") < 0) {
            return nk_fail(&ctx->diag, NK_ETOOBIG, "the state directory's path is too long");
        }
        dir = standard;
    }
    if (c->ask && ctx->globals->no_input) {
        return nk_fail(&ctx->diag, NK_EUSAGE, "--ask and --no-input contradict each other");
    }
    int rc = ask_all(ctx, c, &s);
    if (rc == 0) {
        rc = generate(ctx, c, &s, &key, &cert);
    }
    if (rc == 0 && !ctx->globals->dry_run) {
        rc = cert_write_pair(dir, c->force, &key, &cert, &ctx->diag);
    }
    if (rc == 0) {
        rc = cert_report(ctx, dir, &cert);
    }
    subject_clear(&s);
    nk_secret_clear(&key);
    nk_buf_clear(&cert);
    return rc;
}

extern const struct nk_cmd nk_cmd_cert_new;
const struct nk_cmd nk_cmd_cert_new = {
    .synopsis = "[--cn NAME] [--san NAME].. [--days N] [--ca FILE --ca-key FILE] [--ask] [-o DIR]",
    .summary = "Make a private key and a certificate",
    .opts = opts,
    .conf_size = sizeof(struct new_conf),
    .flags = NK_CMD_NO_CONFIG,
    .run = run,
};
