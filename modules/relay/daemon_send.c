/* SPDX-License-Identifier: MIT */
#include "relay/daemon_send.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"

struct sender {
    struct nk_cmd_ctx *ctx;
    const struct relay_endpoint_send_conf *conf;
    const struct relay_daemon_send *what; /* without what differs from object to object */
    struct relay_daemon_link link;
    struct nk_buf head;
    uint64_t sent;
};

static int send_data(struct sender *x, const char *where, bool is_text, const void *p, size_t n)
{
    struct relay_daemon_send s = *x->what;
    s.form = (uint8_t)relay_endpoint_as_for(x->conf, is_text);
    s.content = (uint8_t)x->conf->content;
    s.len = n;
    int rc = relay_endpoint_check_data(x->conf, where, is_text, p, n, &x->ctx->diag);
    if (rc < 0) {
        return rc;
    }
    rc = relay_daemon_put_send(&x->head, &s);
    if (rc < 0) {
        return nk_fail_sys(&x->ctx->diag, rc, "%s", where);
    }
    rc = relay_daemon_say(&x->link, &x->head);
    rc = rc < 0 ? rc : relay_daemon_write(&x->link, p, n);
    x->sent += rc == 0;
    return rc;
}

static int send_file(struct sender *x, const char *path)
{
    struct nk_buf b;
    nk_buf_init(&b, (size_t)x->conf->common.max_object);
    int rc = nk_file_read(path, 0, &b, &x->ctx->diag);
    rc = rc < 0 ? rc : send_data(x, path, false, nk_buf_ptr(&b), nk_buf_len(&b));
    nk_buf_clear(&b);
    return rc;
}

static int send_lines_of(struct sender *x, FILE *f, const char *path)
{
    char *line = NULL;
    size_t cap = 0;
    int rc = 0;
    ssize_t n;
    while (rc == 0 && (n = getline(&line, &cap, f)) >= 0) {
        rc = send_data(x, "line", false, line, (size_t)n - (n > 0 && line[n - 1] == '\n'));
    }
    if (rc == 0 && ferror(f)) {
        rc = nk_fail_sys(&x->ctx->diag, -errno, "reading %s", path);
    }
    free(line);
    return rc;
}

static int send_lines(struct sender *x, const char *path)
{
    if (strcmp(path, "-") == 0) {
        return send_lines_of(x, stdin, "standard input");
    }
    FILE *f = fopen(path, "re");
    if (!f) {
        return nk_fail_sys(&x->ctx->diag, -errno, "%s", path);
    }
    int rc = send_lines_of(x, f, path);
    (void)fclose(f);
    return rc;
}

static int send_all(struct sender *x)
{
    const struct nk_cmd_ctx *ctx = x->ctx;
    int rc = 0;
    for (size_t i = 0; i < x->conf->text.n && rc == 0; i++) {
        const char *text = x->conf->text.v[i];
        rc = send_data(x, "--text", true, text, strlen(text));
    }
    for (int i = 0; i < ctx->argc && rc == 0; i++) {
        rc = x->conf->lines ? send_lines(x, ctx->argv[i]) : send_file(x, ctx->argv[i]);
    }
    if (rc == 0 && ctx->argc == 0 && x->conf->text.n == 0) {
        rc = x->conf->lines ? send_lines(x, "-") : send_file(x, "-");
    }
    return rc;
}

static int finish(struct sender *x)
{
    const uint8_t wait = !x->conf->no_wait;
    int rc = relay_daemon_put(&x->head, DAEMON_FLUSH, &wait, sizeof(wait));
    rc = rc < 0 ? nk_fail_sys(&x->ctx->diag, rc, "endpoint") : relay_daemon_say(&x->link, &x->head);
    rc = rc < 0 ? rc : relay_daemon_wait(&x->link, NULL);
    if (rc == 0 && x->ctx->globals->json) {
        printf("{\"objects\":%llu,\"acknowledged\":%s}\n", (unsigned long long)x->sent,
               wait ? "true" : "false");
    }
    return rc;
}

/* The daemon may have said why before it hung up. */
static int last_words(struct sender *x, int status)
{
    struct nk_diag kept = x->ctx->diag;
    if (status != NK_ECLOSED) {
        return status;
    }
    int rc = relay_daemon_wait(&x->link, NULL);
    if (rc > 0) {
        return rc;
    }
    x->ctx->diag = kept;
    return status;
}

int relay_daemon_send_run(struct nk_cmd_ctx *ctx, const struct relay_endpoint_send_conf *conf,
                          const struct relay_daemon_send *what)
{
    struct sender x = {.ctx = ctx, .conf = conf, .what = what};
    nk_buf_init(&x.head, 2 * RELAY_DAEMON_REQUEST);
    int rc = what->dest.n > RELAY_DAEMON_DESTS
                 ? nk_fail(&ctx->diag, NK_EUSAGE, "more than %d groups at once", RELAY_DAEMON_DESTS)
                 : relay_daemon_connect(&x.link, ctx, conf->daemon, ctx->globals->timeout_ms);
    if (rc == 0) {
        rc = send_all(&x);
        rc = rc < 0 ? rc : finish(&x);
        rc = last_words(&x, rc);
        relay_daemon_hangup(&x.link);
    }
    nk_buf_clear(&x.head);
    return relay_daemon_result(ctx, rc);
}

int relay_daemon_notify_run(struct nk_cmd_ctx *ctx, const char *name,
                            const struct relay_endpoint_dest *dest)
{
    struct relay_daemon_link l = {.fd = -1};
    struct nk_buf b;
    nk_buf_init(&b, 2 * RELAY_DAEMON_REQUEST);
    int rc = relay_daemon_put_notify(&b, dest);
    if (rc < 0) {
        nk_fail_sys(&ctx->diag, rc, "the groups");
    }
    rc = rc < 0 ? rc : relay_daemon_connect(&l, ctx, name, ctx->globals->timeout_ms);
    rc = rc != 0 ? rc : relay_daemon_say(&l, &b);
    rc = rc != 0 ? rc : relay_daemon_wait(&l, NULL);
    relay_daemon_hangup(&l);
    nk_buf_clear(&b);
    return relay_daemon_result(ctx, rc);
}
