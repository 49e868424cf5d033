/* SPDX-License-Identifier: MIT */
/* netkit tor conf get: options of a running tor, also as they change. */
#include <string.h>

#include "tor/conf_cli.h"
#include "tor/wire.h"

struct get_conf {
    struct tor_cli_conf cli;
    bool raw, follow;
    int64_t count;
};

static const struct nk_opt opts[] = {
    TOR_ROWS(struct get_conf, cli),
    {.name = "raw",
     .type = NK_OPT_FLAG,
     .offset = NK_FIELD(struct get_conf, raw),
     .help = "Only the values, as tor has them, a line each"},
    {.name = "follow",
     .short_name = 'f',
     .type = NK_OPT_FLAG,
     .offset = NK_FIELD(struct get_conf, follow),
     .help = "Then print each change, until a signal or --count of them"},
    {.name = "count",
     .short_name = 'n',
     .type = NK_OPT_INT,
     .offset = NK_FIELD(struct get_conf, count),
     .arg = "N",
     .def = "0",
     .min = 0,
     .max = INT64_MAX,
     .help = "With --follow: end after so many changes; 0: never"},
    NK_OPT_END};

struct task {
    struct tor_conf_cli c; /* first: what the callbacks get */
    struct tor_subscription changes;
    int64_t printed;
};

static bool is_asked(const struct tor_conf_cli *c, const struct tor_line *l)
{
    const char *equals = memchr(l->text, '=', l->len);
    const size_t n = equals ? (size_t)(equals - l->text) : l->len;
    const struct tor_conf_option *o = tor_conf_find(&c->names, l->text, n);
    for (int i = 0; i < c->ctx->argc; i++) {
        if (tor_conf_find(&c->names, c->ctx->argv[i], strlen(c->ctx->argv[i])) == o) {
            return o != NULL;
        }
    }
    return c->ctx->argc == 0;
}

/* 650-CONF_CHANGED, then a line for each option, never quoted, then 650 OK (control-spec 4.1.18).
 */
static void on_changed(void *owner, const struct tor_reply *event)
{
    struct task *t = owner;
    struct tor_conf_cli *c = &t->c;
    const struct get_conf *conf = c->ctx->conf;
    for (size_t i = 1; i + 1 < event->n; i++) {
        const struct tor_line *l = &event->lines[i];
        if (!is_asked(c, l)) {
            continue;
        }
        struct tor_conf_print p;
        tor_conf_print_open(&p, c, conf->raw, true);
        int rc = tor_conf_print_line(&p, c, l->text, l->len, false);
        rc = tor_conf_print_close(&p, c, rc);
        rc = rc < 0 ? rc : nk_cli_flush(&c->ctx->diag);
        if (rc < 0 || ++t->printed == conf->count) {
            tor_conf_cli_end(c, rc);
            return;
        }
    }
}

static void on_subscribed(void *owner, int err, const struct nk_diag *why)
{
    struct task *t = owner;
    if (err < 0) {
        t->c.ctx->diag = *why;
        tor_conf_cli_end(&t->c, err);
    }
}

static void printed(struct tor_conf_cli *c, int rc)
{
    rc = rc < 0 ? rc : nk_cli_flush(&c->ctx->diag);
    if (rc < 0 || !((const struct get_conf *)c->ctx->conf)->follow) {
        tor_conf_cli_end(c, rc);
    }
}

static void on_got(struct tor_conf_cli *c, const struct tor_reply *reply)
{
    printed(c, tor_conf_cli_print(c, reply, ((const struct get_conf *)c->ctx->conf)->raw));
}

/* Everything that is not at its default, as a torrc: "Name value" a line. */
static void on_text(struct tor_conf_cli *c, const struct tor_reply *reply)
{
    struct tor_word text;
    if (!tor_reply_find(reply, "config-text", &text)) {
        printed(c, nk_fail(&c->ctx->diag, NK_EPROTO, "tor does not tell its configuration"));
        return;
    }
    const struct get_conf *conf = c->ctx->conf;
    printed(c, tor_conf_cli_print_torrc(c, text.value, text.value_len, conf->raw));
}

static void on_names(struct tor_conf_cli *c)
{
    struct task *t = (struct task *)c;
    const struct get_conf *conf = c->ctx->conf;
    int rc = tor_conf_cli_get(c, c->ctx->argv, (size_t)c->ctx->argc, false);
    if (rc == 0 && conf->follow) { /* before the question: no change is lost between them */
        t->changes = (struct tor_subscription){
            .event = "CONF_CHANGED", .fn = on_changed, .on_ready = on_subscribed, .owner = t};
        rc = tor_control_subscribe(c->cli->control, &t->changes);
    }
    if (rc < 0) {
        tor_conf_cli_end(c, rc);
    } else if (c->ctx->argc > 0) {
        tor_conf_cli_send(c, on_got);
    } else {
        tor_conf_cli_ask(c, "GETINFO config-text", NULL, 0, on_text);
    }
}

static int run(struct nk_cmd_ctx *ctx)
{
    struct task t = {.c = {.start = on_names, .words = TOR_CONF_KEYS}};
    return tor_conf_cli_run(&t.c, ctx);
}

extern const struct nk_cmd nk_cmd_tor_conf_get;
const struct nk_cmd nk_cmd_tor_conf_get = {
    .synopsis = "[--raw] [--follow [-n N]] [KEY..]",
    .summary = "Show options of a running tor",
    .opts = opts,
    .conf_size = sizeof(struct get_conf),
    .max_args = -1,
    .flags = NK_CMD_EXEC,
    .run = run,
};
