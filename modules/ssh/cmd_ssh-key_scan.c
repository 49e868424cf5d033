/* SPDX-License-Identifier: MIT */
/* netkit ssh-key scan: the host keys that servers show. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cli.h"
#include "base/codec.h"
#include "base/json.h"
#include "core/app.h"
#include "core/registry.h"
#include "ssh/config.h"
#include "ssh/known_cli.h"
#include "ssh/scan.h"

#define OUTPUT_MAX ((size_t)64 * 1024 * 1024)

enum { AT_ONCE = 32 /* hosts that are asked at the same time */, TIMEOUT_MS = 10000 };

struct scan_conf {
    int64_t port;
    bool hash, certificates;
    char *connect;
};

static const struct nk_opt opts[] = {
    {.name = "port",
     .short_name = 'p',
     .type = NK_OPT_INT,
     .offset = NK_FIELD(struct scan_conf, port),
     .arg = "PORT",
     .def = "22",
     .min = 1,
     .max = UINT16_MAX,
     .help = "The servers' port; also as [HOST]:PORT"},
    {.name = "hash",
     .type = NK_OPT_FLAG,
     .offset = NK_FIELD(struct scan_conf, hash),
     .help = "Write the names hashed"},
    {.name = "certificates",
     .type = NK_OPT_FLAG,
     .offset = NK_FIELD(struct scan_conf, certificates),
     .help = "Ask for certificates, too"},
    {.name = "connect",
     .type = NK_OPT_CONNECT,
     .offset = NK_FIELD(struct scan_conf, connect),
     .arg = "CONNECT",
     .help = "Reach the only HOST over this endpoint, such as tor:NAME.onion:22"},
    NK_OPT_END,
};

struct host {
    struct scanning *all;
    const char *arg;
    char name[SSH_KNOWN_NAME_SIZE];
    struct nk_endpoint *endpoint;
    struct ssh_scan *scan;
    int rc;
    struct nk_diag why;
};

struct scanning {
    struct nk_cmd_ctx *ctx;
    struct nk_app *app;
    struct host *hosts;
    size_t n, begun, over;
};

static int set_host(struct scanning *a, struct host *h, const char *arg)
{
    const struct scan_conf *c = a->ctx->conf;
    char host[SSH_KNOWN_HOST_MAX + 1], text[SSH_KNOWN_HOST_MAX + 32];
    struct nk_diag *diag = &a->ctx->diag;
    uint16_t port;
    h->all = a;
    h->arg = arg;
    if (!ssh_known_cli_host(arg, (uint16_t)c->port, host, &port) ||
        ssh_host_check(host, NULL) < 0 || strpbrk(host, ",%/") ||
        !ssh_known_name(h->name, host, port)) {
        return nk_fail(diag, NK_EUSAGE, "'%s' cannot be the name of a host", arg);
    }
    snprintf(text, sizeof(text), strchr(host, ':') ? "tcp:[%s]:%u" : "tcp:%s:%u", host, port);
    return nk_endpoint_parse(c->connect ? c->connect : text, NK_EP_CONNECT, &h->endpoint, diag);
}

static void begin_more(struct scanning *a);

static void on_done(void *owner, struct ssh_scan *s)
{
    struct host *h = owner;
    h->rc = ssh_scan_result(s, &h->why);
    h->all->over++;
    begin_more(h->all);
}

static void begin_more(struct scanning *a)
{
    uint64_t ms = a->ctx->globals->timeout_ms;
    const struct scan_conf *c = a->ctx->conf;
    while (a->begun < a->n && a->begun - a->over < AT_ONCE) {
        struct host *h = &a->hosts[a->begun++];
        const struct ssh_scan_conf conf = {.app = a->app,
                                           .endpoint = h->endpoint,
                                           .certificates = c->certificates,
                                           .timeout_ms = ms ? ms : TIMEOUT_MS,
                                           .done = on_done,
                                           .owner = h};
        h->rc = ssh_scan_open(&h->scan, &conf, &h->why);
        a->over += h->rc < 0;
    }
    if (a->over == a->n) {
        nk_app_stop(a->app, 0);
    }
}

/* --- printing --------------------------------------------------------------------------------- */

static int put_lines(const struct host *h, bool hash, struct nk_buf *out)
{
    struct ssh_str key;
    int rc = 0;
    for (size_t i = 0; rc == 0 && (key = ssh_scan_key(h->scan, i)).n > 0; i++) {
        rc = ssh_known_put(out, SSH_KNOWN_PLAIN, h->name, hash, key, NULL);
    }
    return rc;
}

/* Of a certificate it is that of the key. */
static int fingerprint(struct ssh_str key, char out[SSH_FINGERPRINT_SIZE])
{
    struct ssh_public k;
    struct nk_buf plain;
    nk_buf_init(&plain, SSH_BLOB_MAX);
    int rc = ssh_public_parse(key, SSH_SCAN_RSA_MIN, &k, NULL);
    rc = rc < 0 ? rc : ssh_plain_put(&k, &plain);
    if (rc == 0) {
        ssh_fingerprint_sha256((struct ssh_str){nk_buf_ptr(&plain), nk_buf_len(&plain)}, out);
    }
    nk_buf_clear(&plain);
    return rc;
}

static int put_json_key(struct nk_json *j, struct ssh_str key)
{
    char print[SSH_FINGERPRINT_SIZE];
    struct nk_cur c;
    struct nk_buf text;
    uint8_t *p;
    nk_buf_init(&text, NK_BASE64_SIZE(SSH_BLOB_MAX));
    int rc = fingerprint(key, print);
    rc = rc < 0 ? rc : nk_buf_reserve(&text, NK_BASE64_SIZE(key.n), &p);
    if (rc == 0) {
        nk_base64_encode((char *)p, key.p, key.n, true);
        nk_cur_init(&c, key.p, key.n);
        struct ssh_str type = ssh_cur_string(&c);
        nk_json_object(j);
        nk_json_key(j, "type");
        nk_json_strn(j, type.p, type.n);
        nk_json_kv_str(j, "fingerprint", print);
        nk_json_kv_str(j, "key", (const char *)p);
        nk_json_close(j);
    }
    nk_buf_clear(&text);
    return rc;
}

static int put_json_host(struct nk_json *j, const struct host *h)
{
    struct ssh_str key;
    int rc = 0;
    nk_json_object(j);
    nk_json_kv_str(j, "host", h->name);
    nk_json_kv_str(j, "server",
                   h->scan && *ssh_scan_ident(h->scan) ? ssh_scan_ident(h->scan) : NULL);
    nk_json_key(j, "keys");
    nk_json_array(j);
    for (size_t i = 0; rc == 0 && h->scan && (key = ssh_scan_key(h->scan, i)).n > 0; i++) {
        rc = put_json_key(j, key);
    }
    nk_json_close(j);
    nk_json_kv_str(j, "error", h->rc < 0 ? h->why.text : NULL);
    nk_json_close(j);
    return rc;
}

static int put_all(struct scanning *a, struct nk_buf *out)
{
    const struct scan_conf *c = a->ctx->conf;
    const bool json = a->ctx->globals->json;
    struct nk_json j;
    int rc = 0;
    nk_json_init(&j, out, true);
    if (json) {
        nk_json_array(&j);
    }
    for (size_t i = 0; rc == 0 && i < a->n; i++) {
        const struct host *h = &a->hosts[i];
        if (json) {
            rc = put_json_host(&j, h);
        } else if (h->scan) {
            rc = put_lines(h, c->hash, out);
        }
        if (!json && h->rc < 0) {
            fprintf(stderr, "%s: %s\n", h->arg, h->why.text);
        }
    }
    if (json) {
        nk_json_close(&j);
        rc = rc < 0 ? rc : nk_json_end(&j);
        rc = rc < 0 ? rc : nk_buf_puts(out, "\n");
    }
    return rc;
}

static int print(struct scanning *a)
{
    struct nk_buf out;
    nk_buf_init(&out, OUTPUT_MAX);
    int rc = put_all(a, &out), status = 0;
    if (rc == 0) {
        nk_cli_print(&out);
    } else {
        nk_fail_sys(&a->ctx->diag, rc, "the output");
    }
    nk_buf_clear(&out);
    for (size_t i = 0; i < a->n && status == 0; i++) {
        status = nk_exit_code(a->hosts[i].rc);
    }
    return rc < 0 ? rc : status;
}

static int run(struct nk_cmd_ctx *ctx)
{
    const struct scan_conf *c = ctx->conf;
    const struct nk_app_conf app = {
        .log = ctx->log, .launcher = ctx->launcher, .state_dir = ctx->globals->state_dir};
    struct scanning a = {.ctx = ctx, .n = (size_t)ctx->argc};
    if (c->connect && ctx->argc > 1) {
        return nk_fail(&ctx->diag, NK_EUSAGE, "--connect is for one HOST");
    }
    a.hosts = calloc(a.n, sizeof(*a.hosts));
    int rc = a.hosts ? 0 : nk_fail_sys(&ctx->diag, -ENOMEM, "hosts");
    for (size_t i = 0; rc == 0 && i < a.n; i++) {
        rc = set_host(&a, &a.hosts[i], ctx->argv[i]);
    }
    rc = rc < 0 ? rc : nk_app_new(&a.app, &app, &ctx->diag);
    if (rc == 0) {
        begin_more(&a);
        rc = nk_app_run(a.app);
        rc = rc < 0 ? rc : print(&a);
    }
    for (size_t i = 0; a.hosts && i < a.n; i++) {
        ssh_scan_close(a.hosts[i].scan);
        nk_endpoint_free(a.hosts[i].endpoint);
    }
    if (a.app) {
        nk_app_free(a.app);
    }
    free(a.hosts);
    return rc;
}

extern const struct nk_cmd nk_cmd_ssh_key_scan;
const struct nk_cmd nk_cmd_ssh_key_scan = {
    .synopsis = "[-p PORT] [--hash] [--certificates] [--connect CONNECT] HOST.. [--json]",
    .summary = "Show the host keys of servers",
    .opts = opts,
    .conf_size = sizeof(struct scan_conf),
    .min_args = 1,
    .max_args = -1,
    .flags = NK_CMD_NO_CONFIG | NK_CMD_EXEC,
    .run = run,
};
