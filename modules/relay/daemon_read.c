/* SPDX-License-Identifier: MIT */
#include "relay/daemon_read.h"

#include <stdio.h>
#include <string.h>

#include "base/cli.h"

#define OUTPUT_GROWTH 6 /* JSON of an object against its pickle */
#define OUTPUT_SLACK ((size_t)1 << 20)
#define LATE_MS 5000 /* longer than the daemon waits itself */

const struct nk_opt relay_daemon_read_rows[] = {
    RELAY_DAEMON_NAME_ROW(struct relay_daemon_read_conf, name,
                          "The daemon to ask; default: default"),
    {.name = "block",
     .type = NK_OPT_FLAG,
     .offset = NK_FIELD(struct relay_daemon_read_conf, block),
     .flags = NK_OPT_CLI_ONLY,
     .help = "Wait until there is at least one object; with --timeout for so long"},
    RELAY_ENDPOINT_FORMAT_ROW(struct relay_daemon_read_conf),
    RELAY_ENDPOINT_DIR_ROW(struct relay_daemon_read_conf),
    NK_OPT_END};

struct reader {
    struct nk_cmd_ctx *ctx;
    struct relay_daemon_link link;
    struct nk_buf out;
    struct relay_value_doc doc;
    bool array; /* --json: all of it is one document */
    uint64_t items;
    uint64_t counter; /* of files without a number */
};

/* Into a file, and its path into x->out. */
static int write_file(struct reader *x, const struct relay_client_object *d, const char *group)
{
    const struct relay_daemon_read_conf *conf = x->ctx->conf;
    struct relay_endpoint_file *f;
    int rc = relay_endpoint_file_new(&f, &x->doc, d, group, x->array);
    if (rc < 0) {
        return nk_fail_sys(&x->ctx->diag, rc, "cannot write an object of %zu bytes", d->len);
    }
    rc = relay_endpoint_file_write(f, conf->dir, &x->counter, &x->ctx->diag);
    rc = rc < 0 ? rc : relay_endpoint_file_print(f, &x->out);
    relay_endpoint_file_free(f);
    return rc;
}

static int format_object(struct reader *x, const struct relay_client_object *d, const char *group)
{
    const struct relay_daemon_read_conf *conf = x->ctx->conf;
    enum relay_endpoint_format format =
        x->array ? ENDPOINT_JSON : (enum relay_endpoint_format)conf->format;
    if (conf->format == ENDPOINT_FILES) {
        return write_file(x, d, group);
    }
    int rc = relay_endpoint_format_delivery(&x->out, format, &x->doc, d, group);
    return rc < 0 ? nk_fail_sys(&x->ctx->diag, rc, "cannot print an object of %zu bytes", d->len)
                  : 0;
}

static int print_object(struct reader *x, const uint8_t *p, size_t n)
{
    struct relay_daemon_object o;
    int rc = relay_daemon_get_object(p, n, &o);
    if (rc == 0 && (o.kind > RELAY_KIND_ITEM || o.content > RELAY_CONTENT_PICKLE)) {
        rc = NK_EPROTO;
    }
    if (rc < 0) {
        return nk_fail(&x->ctx->diag, rc, "endpoint %s: not an answer", x->link.name);
    }
    nk_buf_init(&x->out, o.len > SIZE_MAX / (2 * OUTPUT_GROWTH)
                             ? o.len
                             : o.len * OUTPUT_GROWTH + OUTPUT_SLACK);
    char group[ENDPOINT_GROUP_MAX + 1];
    size_t glen = o.glen <= ENDPOINT_GROUP_MAX ? o.glen : 0;
    memcpy(group, glen > 0 ? o.group : "", glen);
    group[glen] = '\0';
    struct relay_meta meta;
    bool has_meta = o.meta && relay_meta_get(o.meta, o.meta_len, &meta) == 0;
    /* only the native wire tells numbers */
    const struct relay_client_object d = {.lease.wire =
                                              o.seq > 0 ? RELAY_CLIENT_NATIVE : RELAY_CLIENT_TLSPYO,
                                          .kind = (enum relay_client_kind)o.kind,
                                          .content = (enum relay_content)o.content,
                                          .seq = o.seq,
                                          .tries = o.tries,
                                          .meta = has_meta ? &meta : NULL,
                                          .meta_block = has_meta ? o.meta : NULL,
                                          .data = o.data,
                                          .len = o.len};
    rc = format_object(x, &d, glen > 0 ? group : NULL);
    if (rc == 0 && x->array) {
        x->out.len--; /* the line end */
        fputs(x->items > 0 ? ",\n " : "[", stdout);
    }
    if (rc == 0) {
        nk_cli_print(&x->out);
        x->items++;
    }
    nk_buf_clear(&x->out);
    return rc;
}

/* Objects until DONE: its verdict. */
static int print_all(struct reader *x)
{
    for (;;) {
        enum relay_daemon_type type;
        const uint8_t *p;
        size_t n;
        int rc = relay_daemon_next(&x->link, &type, &p, &n);
        if (rc == 0 && type != DAEMON_OBJECT) {
            return relay_daemon_verdict(&x->link, type, p, n, NULL);
        }
        rc = rc < 0 ? rc : print_object(x, p, n);
        if (rc < 0) {
            return rc;
        }
    }
}

static int ask(struct reader *x, enum relay_daemon_mode mode)
{
    const struct relay_daemon_read_conf *conf = x->ctx->conf;
    const struct relay_daemon_read r = {.mode = mode,
                                        .block = conf->block,
                                        .max = (uint64_t)conf->max_items,
                                        .wait_ms = x->ctx->globals->timeout_ms};
    struct nk_buf b;
    nk_buf_init(&b, RELAY_DAEMON_REQUEST);
    int rc = relay_daemon_put_read(&b, &r);
    rc = rc < 0 ? nk_fail_sys(&x->ctx->diag, rc, "endpoint") : relay_daemon_say(&x->link, &b);
    nk_buf_clear(&b);
    return rc;
}

static int confirm(struct reader *x)
{
    struct nk_buf b;
    nk_buf_init(&b, RELAY_DAEMON_REQUEST);
    int rc = relay_daemon_put(&b, DAEMON_TAKEN, NULL, 0);
    rc = rc < 0 ? nk_fail_sys(&x->ctx->diag, rc, "endpoint") : relay_daemon_say(&x->link, &b);
    nk_buf_clear(&b);
    return rc < 0 ? rc : relay_daemon_wait(&x->link, NULL);
}

int relay_daemon_read_run(struct nk_cmd_ctx *ctx, enum relay_daemon_mode mode)
{
    const struct relay_daemon_read_conf *conf = ctx->conf;
    struct reader x = {.ctx = ctx, .array = ctx->globals->json};
    uint64_t limit = ctx->globals->timeout_ms;
    int rc =
        relay_endpoint_files_check((enum relay_endpoint_format)conf->format, conf->dir, &ctx->diag);
    if (rc < 0) {
        return rc;
    }
    rc = relay_daemon_connect(&x.link, ctx, conf->name, limit ? limit + LATE_MS : 0);
    rc = rc != 0 ? rc : ask(&x, mode);
    rc = rc != 0 ? rc : print_all(&x);
    if (rc == 0 && x.array) {
        fputs(x.items > 0 ? "]\n" : "[]\n", stdout);
    }
    /* what is not written is not taken */
    rc = rc != 0 ? rc : nk_cli_flush(&ctx->diag);
    rc = rc != 0 ? rc : confirm(&x);
    relay_daemon_hangup(&x.link);
    relay_value_doc_clear(&x.doc);
    return relay_daemon_result(ctx, rc);
}
