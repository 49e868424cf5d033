/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "base/cli.h"
#include "base/cmd.h"
#include "base/json.h"
#include "base/onion.h"
#include "onion/upload.h"
#include "tor/tor.h"

enum { LINE_MAX = 8192 };

struct conf {
    struct tor_cli_conf tor;
    int64_t count;
};

static const struct nk_opt opts[] = {TOR_ROWS(struct conf, tor),
                                     {.name = "count",
                                      .short_name = 'n',
                                      .type = NK_OPT_INT,
                                      .offset = NK_FIELD(struct conf, count),
                                      .arg = "N",
                                      .min = 0,
                                      .max = INT32_MAX,
                                      .help = "End after so many lines; 0: never"},
                                     NK_OPT_END};

struct work {
    struct tor_cli *cli;
    struct tor_subscription descriptors;
    struct onion_upload upload;
    char address[NK_ONION_SIZE];
    int64_t left; /* lines; 0: any number */
};

static int put(struct work *w, struct nk_buf *out, const char *text, size_t len)
{
    struct nk_json j;
    unsigned done, total;
    onion_upload_progress(&w->upload, &done, &total);
    if (!w->cli->ctx->globals->json) {
        int rc = nk_buf_printf(out, "%3u of %-3u  ", done, total);
        rc = rc < 0 ? rc : nk_buf_put(out, text, len);
        return rc < 0 ? rc : nk_buf_puts(out, "\n");
    }
    nk_json_init(&j, out, false);
    nk_json_object(&j);
    nk_json_kv_str(&j, "address", w->address);
    nk_json_key(&j, "event");
    nk_json_strn(&j, text, len);
    nk_json_kv_u64(&j, "answered", done);
    nk_json_kv_u64(&j, "directories", total);
    nk_json_kv_u64(&j, "uploaded", w->upload.uploaded);
    nk_json_kv_u64(&j, "failed", w->upload.failed);
    nk_json_close(&j);
    int rc = nk_json_end(&j);
    return rc < 0 ? rc : nk_buf_puts(out, "\n");
}

static void on_descriptor(void *owner, const struct tor_reply *event)
{
    static const char prefix[] = "HS_DESC ";
    struct work *w = owner;
    const struct tor_line *line = &event->lines[0];
    struct nk_buf out;
    if (!onion_upload_event(&w->upload, w->address, line->text, line->len)) {
        return;
    }
    nk_buf_init(&out, LINE_MAX);
    int rc = put(w, &out, line->text + sizeof(prefix) - 1, line->len - (sizeof(prefix) - 1));
    if (rc < 0) {
        (void)nk_fail_sys(&w->cli->ctx->diag, rc, "an event");
    } else {
        tor_cli_print((const char *)nk_buf_ptr(&out), nk_buf_len(&out));
        rc = nk_cli_flush(&w->cli->ctx->diag);
    }
    nk_buf_clear(&out);
    if (rc < 0 || (w->left > 0 && --w->left == 0)) {
        tor_control_unsubscribe(&w->descriptors);
        tor_cli_finish(w->cli, rc);
    }
}

static void on_subscribed(void *owner, int err, const struct nk_diag *why)
{
    struct work *w = owner;
    if (err < 0) {
        w->cli->ctx->diag = *why;
        tor_cli_finish(w->cli, err);
    } else {
        nk_info(w->cli->ctx->log, "onion", "watching %.8s..", w->address);
    }
}

static void on_ready(struct tor_cli *cli)
{
    struct work *w = cli->task->owner;
    if (!w->cli) { /* the subscription outlives connections */
        w->cli = cli;
        tor_control_subscribe(cli->control, &w->descriptors);
    }
}

static int run(struct nk_cmd_ctx *ctx)
{
    const struct conf *c = ctx->conf;
    struct work w = {.left = c->count};
    const struct tor_cli_task task = {.ready = on_ready, .owner = &w, .reconnect = true};
    uint8_t pub[NK_ONION_KEY];
    int rc = nk_onion_parse(pub, ctx->argv[0], strlen(ctx->argv[0]), &ctx->diag);
    if (rc < 0) {
        return rc;
    }
    nk_onion_format(w.address, pub);
    onion_upload_init(&w.upload);
    w.descriptors = (struct tor_subscription){
        .event = "HS_DESC", .fn = on_descriptor, .on_ready = on_subscribed, .owner = &w};
    return tor_cli_run(ctx, &c->tor, &task);
}

extern const struct nk_cmd nk_cmd_onion_watch;
const struct nk_cmd nk_cmd_onion_watch = {
    .synopsis = "ADDRESS [-n N]",
    .summary = "Show how the descriptors of an onion service of this tor are uploaded",
    .opts = opts,
    .conf_size = sizeof(struct conf),
    .min_args = 1,
    .max_args = 1,
    .flags = NK_CMD_EXEC | NK_CMD_NO_CONFIG,
    .run = run,
};
