/* SPDX-License-Identifier: MIT */
/* netkit tor conf set: options of a running tor. */
#include <string.h>
#include <strings.h>

#include "tor/conf_cli.h"
#include "tor/wire.h"

struct set_conf {
    struct tor_cli_conf cli;
    bool append, replace;
};

static const struct nk_opt opts[] = {
    TOR_ROWS(struct set_conf, cli),
    {.name = "append",
     .type = NK_OPT_FLAG,
     .offset = NK_FIELD(struct set_conf, append),
     .help = "Keep the lines that the given lists have already; the given ones follow them"},
    {.name = "replace",
     .type = NK_OPT_FLAG,
     .offset = NK_FIELD(struct set_conf, replace),
     .help = "Onion services that are not given may go"},
    NK_OPT_END};

struct task {
    struct tor_conf_cli c; /* first: what the callbacks get */
    struct nk_buf words;   /* " Name=value .." that were given */
};

static const struct tor_conf_option *named(const struct tor_conf_cli *c, size_t i)
{
    return tor_conf_find(&c->names, c->ctx->argv[i], strcspn(c->ctx->argv[i], "="));
}

static void on_got(struct tor_conf_cli *c, const struct tor_reply *reply)
{
    tor_conf_cli_show(c, reply);
}

static void on_set(struct tor_conf_cli *c, const struct tor_reply *reply)
{
    (void)reply;
    int rc = tor_conf_cli_get(c, c->ctx->argv, (size_t)c->ctx->argc, true);
    if (rc < 0) {
        tor_conf_cli_end(c, rc);
        return;
    }
    tor_conf_cli_send(c, on_got);
}

/* line begins with SETCONF and what is kept: the given words follow. */
static void send_all(struct tor_conf_cli *c)
{
    struct task *t = (struct task *)c;
    int rc = nk_buf_put(&c->line, nk_buf_ptr(&t->words), nk_buf_len(&t->words));
    if (rc < 0) {
        tor_conf_cli_end(c, nk_fail_sys(&c->ctx->diag, rc, "the options"));
    } else if (c->ctx->globals->dry_run) {
        rc = nk_buf_puts(&c->line, "\n");
        nk_cli_print(&c->line);
        tor_conf_cli_end(c, rc < 0 ? nk_fail_sys(&c->ctx->diag, rc, "the options") : 0);
    } else {
        tor_conf_cli_send(c, on_set);
    }
}

/* Whether one of the words is this line. */
static bool is_given(const struct tor_conf_cli *c, const struct tor_conf_line *line,
                     const struct nk_buf *value)
{
    for (int i = 0; i < c->ctx->argc; i++) {
        const char *word = c->ctx->argv[i], *equals = strchr(word, '=');
        const size_t n = equals ? (size_t)(equals - word) : 0;
        if (n == line->name_len && strncasecmp(word, line->name, n) == 0 &&
            strlen(equals + 1) == nk_buf_len(value) &&
            (nk_buf_len(value) == 0 ||
             memcmp(equals + 1, nk_buf_ptr(value), nk_buf_len(value)) == 0)) {
            return true;
        }
    }
    return false;
}

/* A line that tor has already: kept, or an onion service that would be lost. */
static int keep_line(struct tor_conf_cli *c, const struct tor_line *l)
{
    const struct set_conf *conf = c->ctx->conf;
    struct tor_conf_line line;
    struct nk_buf value;
    nk_buf_init(&value, TOR_COMMAND_MAX);
    int rc = tor_conf_read(l->text, l->len, true, &line, &value, &c->ctx->diag);
    if (rc == 0 && line.set && conf->append) {
        rc = nk_buf_printf(&c->line, " %.*s=", (int)line.name_len, line.name);
        rc = rc < 0 ? rc
                    : tor_wire_quote_arg(&c->line, (const char *)nk_buf_ptr(&value),
                                         nk_buf_len(&value));
        rc = rc < 0 ? nk_fail_sys(&c->ctx->diag, rc, "the options") : 0;
    } else if (rc == 0 && line.set && !conf->replace &&
               line.name_len == strlen("HiddenServiceDir") &&
               strncasecmp(line.name, "HiddenServiceDir", line.name_len) == 0 &&
               !is_given(c, &line, &value)) {
        rc = nk_fail(&c->ctx->diag, NK_EUSAGE,
                     "this would end the onion service in %.*s, as tor takes the whole list of "
                     "services at once",
                     (int)nk_buf_len(&value), (const char *)nk_buf_ptr(&value));
        nk_hint(
            &c->ctx->diag,
            "--append keeps the services that are there ('netkit tor conf get " TOR_CONF_SERVICES
            "' shows them), --replace lets them go");
    }
    nk_buf_clear(&value);
    return rc;
}

static void on_current(struct tor_conf_cli *c, const struct tor_reply *reply)
{
    nk_buf_reset(&c->line);
    int rc = nk_buf_puts(&c->line, "SETCONF");
    rc = rc < 0 ? nk_fail_sys(&c->ctx->diag, rc, "the options") : 0;
    for (size_t i = 0; i < reply->n && rc == 0; i++) {
        rc = keep_line(c, &reply->lines[i]);
    }
    if (rc < 0) {
        tor_conf_cli_end(c, rc);
        return;
    }
    send_all(c);
}

/* The lists whose present lines matter, into line as GETCONF. false: none. */
static bool need_current(struct tor_conf_cli *c, int *rc)
{
    const struct set_conf *conf = c->ctx->conf;
    bool any = false, services = false;
    nk_buf_reset(&c->line);
    *rc = nk_buf_puts(&c->line, "GETCONF");
    for (int i = 0; i < c->ctx->argc && *rc == 0; i++) {
        const struct tor_conf_option *o = named(c, (size_t)i);
        bool again = false;
        for (int k = 0; k < i && !again; k++) {
            again = named(c, (size_t)k) == o;
        }
        if (tor_conf_is_service(o)) {
            any = any || !conf->replace;
            if (!services && !conf->replace) {
                *rc = nk_buf_puts(&c->line, " " TOR_CONF_SERVICES);
            }
            services = true;
        } else if (conf->append && tor_conf_is_list(o->type) && !again) {
            any = true;
            *rc = nk_buf_printf(&c->line, " %s", o->name);
        }
    }
    return any;
}

static void on_names(struct tor_conf_cli *c)
{
    struct task *t = (struct task *)c;
    int rc = tor_conf_assign(&c->names, c->ctx->argv, (size_t)c->ctx->argc, false, &t->words,
                             &c->ctx->diag);
    if (rc < 0) {
        tor_conf_cli_end(c, rc);
    } else if (need_current(c, &rc)) {
        tor_conf_cli_send(c, on_current);
    } else {
        nk_buf_reset(&c->line);
        (void)nk_buf_puts(&c->line, "SETCONF"); /* the buffer was just longer than that */
        send_all(c);
    }
}

static int run(struct nk_cmd_ctx *ctx)
{
    struct task t = {.c = {.start = on_names, .words = TOR_CONF_PAIRS}};
    const struct set_conf *conf = ctx->conf;
    if (conf->append && conf->replace) {
        return nk_fail(&ctx->diag, NK_EUSAGE, "--append and --replace exclude each other");
    }
    nk_buf_init(&t.words, TOR_COMMAND_MAX);
    int rc = tor_conf_cli_run(&t.c, ctx);
    nk_buf_clear(&t.words);
    return rc;
}

extern const struct nk_cmd nk_cmd_tor_conf_set;
const struct nk_cmd nk_cmd_tor_conf_set = {
    .synopsis = "[--append|--replace] KEY=VALUE..",
    .summary = "Set options of a running tor",
    .opts = opts,
    .conf_size = sizeof(struct set_conf),
    .min_args = 1,
    .max_args = -1,
    .flags = NK_CMD_EXEC,
    .run = run,
};
