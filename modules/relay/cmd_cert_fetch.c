/* SPDX-License-Identifier: MIT */
/* netkit cert fetch: get a relay's certificate, and know that it is the relay's. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cmd.h"
#include "base/file.h"
#include "core/app.h"
#include "core/registry.h"
#include "core/timer.h"
#include "relay/certshare.h"
#include "relay/password.h"
#include "relay/relay.h"
#include "relay/stretcher.h"
#include "tls/tls.h"

enum { DEFAULT_TIMEOUT_MS = 15000, READ_BYTES = 4096 };
#define PEM_BEGIN "-----BEGIN"

struct fetch_conf {
    char *fingerprint, *password_file, *output;
    bool force;
};

struct fetch {
    struct nk_cmd_ctx *ctx;
    const struct fetch_conf *conf;
    struct nk_app *app;
    struct nk_stream *s;
    struct nk_timer timeout;
    struct nk_secret password;
    struct relay_stretcher *stretcher;
    struct relay_certshare share;
    struct nk_buf in; /* with --fingerprint: the certificate */
    bool done;        /* the certificate is authenticated; what is in share.out goes out first */
};

static const struct nk_opt opts[] = {
    {.name = "fingerprint",
     .type = NK_OPT_STRING,
     .offset = NK_FIELD(struct fetch_conf, fingerprint),
     .arg = "sha256:HASH",
     .help = "Accept the certificate only when it or its public key has this hash"},
    {.name = "password-file",
     .type = NK_OPT_PATH,
     .offset = NK_FIELD(struct fetch_conf, password_file),
     .arg = "FILE",
     .help = "File with the relay's password: it authenticates the certificate without travelling"},
    {.name = "output",
     .short_name = 'o',
     .type = NK_OPT_PATH,
     .offset = NK_FIELD(struct fetch_conf, output),
     .arg = "FILE",
     .flags = NK_OPT_MAY_MISS,
     .help = "Where to write it ('-': standard output); default: certificate.pem of the "
             "credentials folder"},
    {.name = "force",
     .type = NK_OPT_FLAG,
     .offset = NK_FIELD(struct fetch_conf, force),
     .help = "Replace an existing file"},
    NK_OPT_END};

static void end(struct fetch *f, int rc)
{
    nk_app_stop(f->app, rc);
}

static void end_text(struct fetch *f, int code, const char *text, const char *hint)
{
    (void)nk_fail(&f->ctx->diag, code, "%s", text);
    if (hint) {
        nk_hint(&f->ctx->diag, "%s", hint);
    }
    end(f, code);
}

static void flush(struct fetch *f)
{
    struct nk_buf *out = &f->share.out;
    while (nk_buf_len(out)) {
        ssize_t put = nk_stream_write(f->s, nk_buf_ptr(out), nk_buf_len(out));
        if (put == NK_EAGAIN) {
            return;
        }
        if (put < 0) {
            end(f, nk_fail_sys(&f->ctx->diag, (int)put, "%s", f->ctx->argv[0]));
            return;
        }
        nk_buf_consume(out, (size_t)put);
    }
    if (f->done) {
        nk_stream_shutdown(f->s);
        end(f, 0);
    }
}

static void on_stretched(void *owner, int status, const uint8_t *prs)
{
    struct fetch *f = owner;
    int rc = status < 0 ? status : relay_certshare_client_stretched(&f->share, prs);
    if (rc < 0) {
        end(f, nk_fail_sys(&f->ctx->diag, rc, "stretching the password"));
        return;
    }
    flush(f);
}

static void explain(struct fetch *f, int rc)
{
    const uint8_t *p = nk_buf_ptr(&f->in);
    size_t n = strlen(PEM_BEGIN);
    if (rc == NK_EAUTH) {
        end_text(f, rc, "the server does not know this password, or somebody is between it and us",
                 NULL);
    } else if (nk_buf_len(&f->in) >= n && memcmp(p, PEM_BEGIN, n) == 0) {
        end_text(f, rc, "this server sends the certificate as it is (tlspyo's --broadcast)",
                 "use --fingerprint with the hash that 'netkit cert fingerprint' shows there");
    } else {
        end_text(f, rc, "the server does not speak this protocol", NULL);
    }
}

/* What came belongs to the exchange. */
static void run_exchange(struct fetch *f)
{
    size_t used = 1;
    while (used && nk_buf_len(&f->in) && f->share.state != RELAY_CERTSHARE_STRETCH_STATE) {
        int rc = relay_certshare_input(&f->share, nk_buf_ptr(&f->in), nk_buf_len(&f->in), &used);
        if (rc < 0) {
            explain(f, rc);
            return;
        }
        nk_buf_consume(&f->in, used);
        if (rc == RELAY_CERTSHARE_STRETCH) {
            rc = relay_stretcher_start(f->stretcher, NULL, &f->share.params, on_stretched, f);
            if (rc < 0) {
                end(f, nk_fail_sys(&f->ctx->diag, rc, "stretching the password"));
            }
            return;
        }
        if (rc == RELAY_CERTSHARE_DONE) {
            f->done = true;
            flush(f);
            return;
        }
    }
}

/* Everything was sent as it is: is it what the user named? */
static void compare(struct fetch *f)
{
    uint8_t want[TLS_HASH], cert[TLS_HASH], spki[TLS_HASH];
    char pin[TLS_PIN_TEXT];
    struct nk_diag *diag = &f->ctx->diag;
    int rc = tls_pin_parse(f->conf->fingerprint, want);
    rc = rc < 0 ? rc : tls_hash_cert(nk_buf_ptr(&f->in), nk_buf_len(&f->in), cert, spki, diag);
    if (rc < 0) {
        end_text(f, NK_EFORMAT, "the server did not send a certificate", NULL);
    } else if (memcmp(want, cert, TLS_HASH) != 0 && memcmp(want, spki, TLS_HASH) != 0) {
        rc = nk_fail(diag, NK_EVERIFY, "the certificate has another fingerprint: its key is %s",
                     tls_pin_format(pin, spki));
        nk_hint(diag, "nothing was written; somebody may be between the server and us");
        end(f, rc);
    } else {
        rc = nk_buf_put(&f->share.cert, nk_buf_ptr(&f->in), nk_buf_len(&f->in));
        end(f, rc < 0 ? nk_fail_sys(diag, rc, "certificate") : 0);
    }
}

static void on_readable(struct fetch *f)
{
    uint8_t bytes[READ_BYTES];
    ssize_t got = nk_stream_read(f->s, bytes, sizeof(bytes));
    if (got == NK_EAGAIN) {
        return;
    }
    if (got == 0 && f->conf->fingerprint) {
        compare(f);
    } else if (got == 0) {
        end_text(f, NK_ETRUNC, "the server closed the connection",
                 "does it have a password? 'cert serve' without one needs --fingerprint here");
    } else if (got < 0) {
        end(f, nk_fail_sys(&f->ctx->diag, (int)got, "%s", f->ctx->argv[0]));
    } else if (nk_buf_put(&f->in, bytes, (size_t)got) < 0) {
        end_text(f, NK_ETOOBIG, "the server sends more than a certificate", NULL);
    } else if (!f->conf->fingerprint) {
        run_exchange(f);
    }
}

static void on_event(void *owner, struct nk_stream *s, unsigned events)
{
    struct fetch *f = owner;
    if (f->done) {
        if (events & NK_WRITABLE) {
            flush(f);
        }
        return;
    }
    if (events & NK_CLOSED) {
        int rc = nk_stream_error(s, &f->ctx->diag);
        end(f, rc);
        return;
    }
    if (events & NK_CONNECTED) {
        nk_stream_interest(s, NK_READABLE | NK_WRITABLE);
        flush(f);
    }
    if (events & NK_WRITABLE) {
        flush(f);
    }
    if (events & NK_READABLE) {
        on_readable(f);
    }
}

static void on_timeout(void *owner)
{
    end_text(owner, -ETIMEDOUT, "no certificate within the time allowed", "--timeout changes it");
}

/* --- the command ------------------------------------------------------------------------------ */

static int check(const struct nk_cmd_ctx *ctx, const struct fetch_conf *c, struct nk_diag *diag)
{
    uint8_t hash[TLS_HASH];
    (void)ctx;
    if (!c->fingerprint == !c->password_file) {
        int rc = nk_fail(diag, NK_EUSAGE, "give either --fingerprint or --password-file");
        nk_hint(diag, "a certificate that nothing vouches for protects from nobody");
        return rc;
    }
    if (c->fingerprint && tls_pin_parse(c->fingerprint, hash) < 0) {
        return nk_fail(diag, NK_EUSAGE, "--fingerprint is sha256: and 64 hex digits or base64");
    }
    return 0;
}

/* HOST or HOST:PORT, as an endpoint string is fine too. */
static int dial(struct fetch *f, const char *where, struct nk_diag *diag)
{
    char text[512];
    struct nk_endpoint *ep;
    const char *colon = strrchr(where, ':');
    bool port = colon && strspn(colon + 1, "0123456789") == strlen(colon + 1) && colon[1];
    bool whole = strncmp(where, "tcp:", 4) == 0 || strncmp(where, "tor:", 4) == 0 ||
                 strncmp(where, "ssh:", 4) == 0 || strncmp(where, "unix:", 5) == 0;
    int n = whole  ? snprintf(text, sizeof(text), "%s", where)
            : port ? snprintf(text, sizeof(text), "tcp:%s", where)
                   : snprintf(text, sizeof(text), "tcp:%s:%d", where, RELAY_CERTSHARE_PORT);
    if (n < 0 || (size_t)n >= sizeof(text)) {
        return nk_fail(diag, NK_EUSAGE, "the address is too long");
    }
    int rc = nk_endpoint_parse(text, NK_EP_CONNECT, &ep, diag);
    if (rc == 0) {
        rc = nk_dial(f->app, ep, on_event, f, &f->s, diag);
        nk_endpoint_free(ep);
    }
    return rc;
}

static int prepare(struct fetch *f, struct nk_diag *diag)
{
    const struct nk_app_conf conf = {
        .log = f->ctx->log, .launcher = f->ctx->launcher, .state_dir = f->ctx->globals->state_dir};
    int rc = nk_app_new(&f->app, &conf, diag);
    if (rc < 0) {
        return rc;
    }
    uint64_t ms = f->ctx->globals->timeout_ms;
    nk_timer_init(&f->timeout, f->app, on_timeout, f);
    nk_timer_start(&f->timeout, ms ? ms : DEFAULT_TIMEOUT_MS);
    rc = relay_certshare_client_init(&f->share);
    if (f->conf->fingerprint) { /* tlspyo's way: say nothing */
        nk_buf_reset(&f->share.out);
        return rc;
    }
    rc = rc < 0 ? rc : relay_password_load(f->conf->password_file, &f->password, diag);
    if (rc == 0 && (rc = relay_stretcher_new(&f->stretcher, f->app, &f->password)) < 0) {
        nk_fail_sys(diag, rc, "cert fetch");
    }
    return rc;
}

static int write_cert(struct fetch *f, struct nk_diag *diag)
{
    const struct nk_buf *cert = &f->share.cert;
    char dir[NK_PATH_MAX], path[NK_PATH_MAX], pin[TLS_PIN_TEXT];
    struct tls_cert_info info;
    const char *to = f->conf->output;
    int rc = tls_cert_describe(nk_buf_ptr(cert), nk_buf_len(cert), &info, diag);
    if (rc == 0 && to && strcmp(to, "-") == 0) {
        return fwrite(nk_buf_ptr(cert), 1, nk_buf_len(cert), stdout) == nk_buf_len(cert)
                   ? 0
                   : nk_fail(diag, NK_EOUTPUT, "standard output");
    }
    if (rc == 0 && !to) {
        rc = nk_path_join(dir, sizeof(dir), f->ctx->globals->state_dir, RELAY_CREDENTIALS_DIR);
        rc = rc < 0 ? rc : nk_path_join(path, sizeof(path), dir, RELAY_CERT_FILE);
        rc = rc < 0 ? nk_fail(diag, rc, "the state directory's path is too long")
                    : nk_mkdirs(dir, diag);
        to = path;
    }
    if (rc == 0 && !f->ctx->globals->dry_run) {
        rc = nk_file_write(to, NK_FILE_PUBLIC | (f->conf->force ? NK_FILE_OVERWRITE : 0u),
                           nk_buf_ptr(cert), nk_buf_len(cert), diag);
        if (rc == -EEXIST) {
            nk_hint(diag, "--force replaces it");
        }
    }
    if (rc == 0) {
        nk_audit(f->ctx->log, "cert", NK_LOG_INFO, "trust.new", f->ctx->argv[0],
                 "certificate authenticated by %s: %s",
                 f->conf->fingerprint ? "its fingerprint" : "the password",
                 tls_pin_format(pin, info.spki));
        printf("%s  %s\n", to, tls_pin_format(pin, info.spki));
    }
    return rc;
}

static int run(struct nk_cmd_ctx *ctx)
{
    struct fetch f = {.ctx = ctx, .conf = ctx->conf};
    nk_buf_init(&f.in, RELAY_CERTSHARE_MAX + READ_BYTES);
    int rc = check(ctx, f.conf, &ctx->diag);
    rc = rc < 0 ? rc : prepare(&f, &ctx->diag);
    rc = rc < 0 ? rc : dial(&f, ctx->argv[0], &ctx->diag);
    rc = rc < 0 ? rc : nk_app_run(f.app);
    rc = rc < 0 ? rc : write_cert(&f, &ctx->diag);
    relay_stretcher_free(f.stretcher);
    nk_stream_close(f.s);
    if (f.app) {
        nk_timer_stop(&f.timeout);
        nk_app_free(f.app);
    }
    relay_certshare_clear(&f.share);
    nk_buf_clear(&f.in);
    nk_secret_clear(&f.password);
    return rc;
}

const struct nk_cmd nk_cmd_cert_fetch = {
    .synopsis = "HOST[:PORT] --password-file FILE|--fingerprint sha256:HASH [-o FILE]",
    .summary = "Get a relay's certificate and know that it is the relay's",
    .opts = opts,
    .conf_size = sizeof(struct fetch_conf),
    .min_args = 1,
    .max_args = 1,
    .flags = NK_CMD_NO_CONFIG | NK_CMD_EXEC,
    .run = run,
};
