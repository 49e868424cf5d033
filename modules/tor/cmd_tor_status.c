/* SPDX-License-Identifier: MIT */
/* netkit tor status: what there is to know about a running tor at a glance. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cli.h"
#include "base/codec.h"
#include "tor/bootstrap.h"
#include "tor/cli.h"

enum form { TEXT, NUMBER, SECONDS, BYTES, YES, BOOTSTRAP, LISTENERS, COUNT };

/* What is asked, one by one: an older tor does not know all of it. */
static const struct {
    const char *key, *name, *label;
    enum form form;
} rows[] = {
    {"process/pid", "pid", "process", NUMBER},
    {"process/user", "user", "user", TEXT},
    {"uptime", "uptime_s", "running for", SECONDS},
    {"config-file", "torrc", "configuration", TEXT},
    {"status/bootstrap-phase", "bootstrap", "bootstrap", BOOTSTRAP},
    {"status/circuit-established", "circuit_established", "circuits can be used", YES},
    {"network-liveness", "network", "network", TEXT},
    {"dormant", "dormant", "dormant", YES},
    {"net/listeners/socks", "socks", "SOCKS", LISTENERS},
    {"net/listeners/control", "control", "control port", LISTENERS},
    {"circuit-status", "circuits", "circuits", COUNT},
    {"stream-status", "streams", "streams", COUNT},
    {"onions/current", "onions", "onion services (own)", COUNT},
    {"onions/detached", "onions_detached", "onion services (detached)", COUNT},
    {"traffic/read", "read_bytes", "read", BYTES},
    {"traffic/written", "written_bytes", "written", BYTES},
};
enum { ROWS = sizeof(rows) / sizeof(rows[0]), LABEL_WIDTH = 26, SHOWN = 400 };

struct status {
    struct tor_cli *cli;
    struct row {
        struct tor_request request;
        struct status *status;
        size_t i;
    } row[ROWS];
    struct nk_buf out;
    struct nk_json j;
};

static uint64_t number(const struct tor_word *w)
{
    uint64_t v = 0;
    return tor_word_u64(w, &v) == 0 ? v : 0;
}

/* Lines of a value that may be a block or a single line. */
static uint64_t count_lines(const struct tor_word *w)
{
    uint64_t n = 0;
    for (size_t i = 0; i < w->value_len; i++) {
        n += w->value[i] == '\n' ? 1 : 0;
    }
    return n + (w->value_len > 0 && w->value[w->value_len - 1] != '\n' ? 1 : 0);
}

static void json_bootstrap(struct nk_json *j, const struct tor_word *w)
{
    struct tor_bootstrap b;
    if (tor_bootstrap_parse(&b, w->value, w->value_len) != 0) {
        nk_json_null(j);
        return;
    }
    nk_json_object(j);
    nk_json_kv_u64(j, "percent", b.percent);
    nk_json_kv_str(j, "tag", b.tag);
    nk_json_kv_str(j, "summary", b.summary);
    if (b.trouble) {
        nk_json_kv_str(j, "warning", b.warning);
    }
    nk_json_close(j);
}

/* Each of a list of quoted listeners; those that are not quoted as they are. */
static void json_listeners(struct nk_json *j, const struct tor_word *value)
{
    struct tor_words words;
    struct tor_word w;
    struct nk_buf text;
    nk_json_array(j);
    tor_words_init(&words, value->value, value->value_len);
    while (tor_words_next(&words, &w)) {
        nk_buf_init(&text, SHOWN);
        if (tor_word_put(&w, &text) == 0) {
            nk_json_strn(j, nk_buf_ptr(&text), nk_buf_len(&text));
        }
        nk_buf_clear(&text);
    }
    nk_json_close(j);
}

static void put_json(struct nk_json *j, enum form form, const struct tor_word *w)
{
    switch (form) {
    case NUMBER:
    case SECONDS:
    case BYTES:
        nk_json_u64(j, number(w));
        break;
    case COUNT:
        nk_json_u64(j, count_lines(w));
        break;
    case YES:
        nk_json_bool(j, number(w) != 0);
        break;
    case BOOTSTRAP:
        json_bootstrap(j, w);
        break;
    case LISTENERS:
        json_listeners(j, w);
        break;
    default:
        nk_json_strn(j, w->value, w->value_len);
        break;
    }
}

static void put_text(enum form form, const struct tor_word *w)
{
    char shown[SHOWN];
    struct tor_bootstrap b;
    switch (form) {
    case SECONDS:
        printf("%s\n", nk_format_duration(shown, sizeof(shown), number(w) * 1000));
        break;
    case BYTES:
        printf("%s\n", nk_format_size(shown, sizeof(shown), number(w)));
        break;
    case COUNT:
        printf("%llu\n", (unsigned long long)count_lines(w));
        break;
    case YES:
        printf("%s\n", number(w) ? "yes" : "no");
        break;
    case BOOTSTRAP:
        if (tor_bootstrap_parse(&b, w->value, w->value_len) == 0) {
            printf("%u %% %s%s%s\n", b.percent, b.summary, b.trouble ? "; " : "",
                   b.trouble ? b.warning : "");
            break;
        }
        /* fall through */
    default:
        printf("%s\n", nk_escape(shown, sizeof(shown), w->value, w->value_len));
        break;
    }
}

static void put_row(struct status *s, size_t i, const struct tor_word *w)
{
    if (s->cli->ctx->globals->json) {
        nk_json_key(&s->j, rows[i].name);
        put_json(&s->j, rows[i].form, w);
    } else if (w->value_len > 0) {
        printf("%-*s", LABEL_WIDTH, rows[i].label);
        put_text(rows[i].form, w);
    }
}

static void on_reply(void *owner, int err, const struct tor_reply *reply, const struct nk_diag *why)
{
    struct row *row = owner;
    struct status *s = row->status;
    struct nk_cmd_ctx *ctx = s->cli->ctx;
    struct tor_word w;
    if (err < 0) {
        ctx->diag = *why;
        tor_cli_finish(s->cli, err);
        return;
    }
    if (reply->code == TOR_OK && tor_reply_find(reply, rows[row->i].key, &w)) {
        put_row(s, row->i, &w);
    }
    if (row->i == ROWS - 1) {
        int rc = 0;
        if (ctx->globals->json) {
            nk_json_close(&s->j);
            rc = nk_cli_put_json(&s->j, &ctx->diag);
        }
        tor_cli_finish(s->cli, rc);
    }
}

static void begin(struct status *s)
{
    const struct tor_control *c = s->cli->control;
    if (!s->cli->ctx->globals->json) {
        printf("%-*s%s\n%-*s%s (%s)\n", LABEL_WIDTH, "version", tor_control_version(c), LABEL_WIDTH,
               "connected to", tor_control_place(c), tor_control_method(c));
        return;
    }
    nk_json_object(&s->j);
    nk_json_kv_i64(&s->j, "schema", 1);
    nk_json_kv_str(&s->j, "version", tor_control_version(c));
    nk_json_kv_str(&s->j, "connected_to", tor_control_place(c));
    nk_json_kv_str(&s->j, "authentication", tor_control_method(c));
}

static void ready(struct tor_cli *cli)
{
    struct status *s = cli->task->owner;
    int rc = 0;
    s->cli = cli;
    begin(s);
    for (size_t i = 0; rc == 0 && i < ROWS; i++) {
        s->row[i] = (struct row){.status = s, .i = i};
        s->row[i].request = (struct tor_request){.fn = on_reply, .owner = &s->row[i]};
        rc = tor_control_sendf(cli->control, &s->row[i].request, &cli->ctx->diag, "GETINFO %s",
                               rows[i].key);
    }
    if (rc < 0) {
        tor_cli_finish(cli, rc);
    }
}

static int run(struct nk_cmd_ctx *ctx)
{
    const struct tor_cli_conf *conf = ctx->conf;
    struct status s = {0};
    const struct tor_cli_task task = {.ready = ready, .owner = &s};
    nk_buf_init(&s.out, (size_t)1 << 20);
    nk_json_init(&s.j, &s.out, false);
    int rc = tor_cli_run(ctx, conf, &task);
    nk_buf_clear(&s.out);
    return rc;
}

extern const struct nk_cmd nk_cmd_tor_status;
const struct nk_cmd nk_cmd_tor_status = {
    .summary = "Show how a running tor is doing",
    .opts = tor_cli_rows,
    .conf_size = sizeof(struct tor_cli_conf),
    .flags = NK_CMD_EXEC,
    .run = run,
};
