/* SPDX-License-Identifier: MIT */
#include "tor/conf_cli.h"

#include <stdio.h>
#include <string.h>

#include "tor/given.h"
#include "tor/wire.h"

void tor_conf_cli_end(struct tor_conf_cli *c, int rc)
{
    tor_request_cancel(&c->request);
    tor_cli_finish(c->cli, rc);
}

static void on_reply(void *owner, int err, const struct tor_reply *reply, const struct nk_diag *why)
{
    struct tor_conf_cli *c = owner;
    if (err < 0) {
        c->ctx->diag = *why;
        tor_conf_cli_end(c, err);
        return;
    }
    for (size_t i = 0; i < reply->n; i++) { /* one line that failed is enough (552-.. 552 ..) */
        const struct tor_line *l = &reply->lines[i];
        if (l->code >= TOR_FAILED) {
            tor_conf_cli_end(c, tor_conf_refused("tor", l->code, l->text, l->len, &c->ctx->diag));
            return;
        }
    }
    c->answer(c, reply);
}

void tor_conf_cli_ask(struct tor_conf_cli *c, const char *line, const void *data, size_t len,
                      void (*answer)(struct tor_conf_cli *, const struct tor_reply *))
{
    c->answer = answer;
    c->request = (struct tor_request){.fn = on_reply, .owner = c};
    int rc = line ? tor_control_send(c->cli->control, &c->request, line, data, len, &c->ctx->diag)
                  : nk_fail_sys(&c->ctx->diag, -ENOMEM, "the command");
    if (rc < 0) {
        tor_conf_cli_end(c, rc);
    }
}

void tor_conf_cli_send(struct tor_conf_cli *c,
                       void (*answer)(struct tor_conf_cli *, const struct tor_reply *))
{
    tor_conf_cli_ask(c, nk_buf_str(&c->line), NULL, 0, answer);
}

/* config/names and config/defaults. */
static void on_names(struct tor_conf_cli *c, const struct tor_reply *reply)
{
    struct tor_word names, defaults;
    int rc = NK_EPROTO;
    if (!tor_reply_find(reply, "config/names", &names) ||
        !tor_reply_find(reply, "config/defaults", &defaults)) {
        nk_fail(&c->ctx->diag, rc, "tor does not tell the names of its options");
    } else {
        rc = tor_conf_names_read(&c->names, names.value, names.value_len, defaults.value,
                                 defaults.value_len, &c->ctx->diag);
    }
    if (rc < 0) {
        tor_conf_cli_end(c, rc);
        return;
    }
    c->start(c);
}

static void on_ready(struct tor_cli *cli)
{
    struct tor_conf_cli *c = cli->task->owner;
    c->cli = cli;
    if (c->no_names) {
        c->start(c);
    } else {
        tor_conf_cli_ask(c, "GETINFO config/names config/defaults", NULL, 0, on_names);
    }
}

/* What needs no tor to be seen to be wrong. */
static int check_words(enum tor_conf_words form, struct nk_cmd_ctx *ctx)
{
    int rc = 0;
    for (int i = 0; rc == 0 && i < ctx->argc; i++) {
        const char *word = ctx->argv[i];
        size_t len = form == TOR_CONF_KEYS ? strlen(word) : strcspn(word, "=");
        rc = tor_name_check(word, len, "option of tor", &ctx->diag);
        if (rc == 0 && !word[len] && form == TOR_CONF_PAIRS) {
            rc = nk_fail(&ctx->diag, NK_EUSAGE, "%s has no value", word);
            nk_hint(&ctx->diag, "write %s=VALUE; 'netkit tor conf reset %s' gives it its default",
                    word, word);
        }
    }
    return rc;
}

int tor_conf_cli_run(struct tor_conf_cli *c, struct nk_cmd_ctx *ctx)
{
    const struct tor_cli_task task = {.ready = on_ready, .owner = c};
    c->ctx = ctx;
    nk_buf_init(&c->line, TOR_COMMAND_MAX);
    int rc = c->words != TOR_CONF_NO_WORDS ? check_words(c->words, ctx) : 0;
    rc = rc < 0 ? rc : tor_cli_run(ctx, ctx->conf, &task);
    tor_conf_names_clear(&c->names);
    nk_buf_clear(&c->line);
    return rc;
}

/* What GETCONF is to be asked for a word, or NULL. */
static const struct tor_conf_option *asked(const struct tor_conf_cli *c, const char *word,
                                           bool whole, struct nk_diag *diag)
{
    const struct tor_conf_option *o = tor_conf_need(&c->names, word, strcspn(word, "="), diag);
    return o && whole && tor_conf_is_service(o)
               ? tor_conf_need(&c->names, TOR_CONF_SERVICES, strlen(TOR_CONF_SERVICES), diag)
               : o;
}

int tor_conf_cli_get(struct tor_conf_cli *c, char *const *words, size_t n, bool whole)
{
    nk_buf_reset(&c->line);
    int rc = nk_buf_puts(&c->line, "GETCONF");
    for (size_t i = 0; i < n && rc == 0; i++) {
        const struct tor_conf_option *o = asked(c, words[i], whole, &c->ctx->diag);
        bool again = false;
        if (!o) {
            return NK_EUSAGE;
        }
        for (size_t k = 0; k < i && !again; k++) {
            again = asked(c, words[k], whole, NULL) == o;
        }
        rc = again ? 0 : nk_buf_printf(&c->line, " %s", o->name);
    }
    return rc < 0 ? nk_fail_sys(&c->ctx->diag, rc, "the options") : 0;
}

/* --- printing ------------------------------------------------------------------------------- */

void tor_conf_print_open(struct tor_conf_print *p, const struct tor_conf_cli *c, bool raw,
                         bool bare)
{
    *p = (struct tor_conf_print){.json = c->ctx->globals->json, .raw = raw};
    nk_buf_init(&p->out, TOR_CONF_PRINT_MAX);
    nk_json_init(&p->j, &p->out, !bare);
    if (p->json && !bare) {
        nk_json_object(&p->j);
        nk_json_kv_u64(&p->j, "schema", 1);
        nk_json_key(&p->j, "options");
        nk_json_array(&p->j);
    }
}

int tor_conf_print_close(struct tor_conf_print *p, struct tor_conf_cli *c, int rc)
{
    if (rc == 0 && p->json) {
        while (p->j.depth > 0) {
            nk_json_close(&p->j);
        }
        rc = nk_json_end(&p->j);
        rc = rc < 0 ? rc : nk_buf_puts(&p->out, "\n");
        rc = rc < 0 ? nk_fail_sys(&c->ctx->diag, rc, "the options") : 0;
    }
    if (rc == 0) {
        nk_cli_print(&p->out);
    }
    nk_buf_clear(&p->out);
    return rc;
}

static void line_json(const struct tor_conf_option *o, const struct tor_conf_line *line,
                      const struct nk_buf *value, struct nk_json *j)
{
    const enum tor_conf_type type = o ? o->type : TOR_CONF_OTHER;
    nk_json_object(j);
    nk_json_key(j, "name");
    nk_json_strn(j, line->name, line->name_len);
    nk_json_kv_str(j, "type", o ? o->word : NULL);
    nk_json_kv_bool(j, "set", line->set);
    nk_json_key(j, "value");
    if (line->set) {
        tor_conf_put_json(j, type, nk_buf_ptr(value), nk_buf_len(value));
    } else {
        nk_json_null(j);
    }
    if (tor_conf_unit(type)) {
        nk_json_kv_str(j, "unit", tor_conf_unit(type));
    }
    nk_json_close(j);
}

static int put_line(struct tor_conf_print *p, struct tor_conf_cli *c,
                    const struct tor_conf_line *line, const struct nk_buf *value)
{
    const struct tor_conf_option *o = tor_conf_find(&c->names, line->name, line->name_len);
    int rc = 0;
    if (p->json) {
        line_json(o, line, value, &p->j);
    } else if (p->raw && line->set) {
        rc = nk_buf_put(&p->out, nk_buf_ptr(value), nk_buf_len(value));
        rc = rc < 0 ? rc : nk_buf_puts(&p->out, "\n");
    } else if (!p->raw && line->set) {
        rc = tor_conf_put_torrc(&p->out, line->name, line->name_len, o ? o->type : TOR_CONF_OTHER,
                                nk_buf_ptr(value), nk_buf_len(value));
    } else if (!p->raw) {
        rc = nk_buf_printf(&p->out, "# %.*s is not set\n", (int)line->name_len, line->name);
    }
    return rc < 0 ? nk_fail_sys(&c->ctx->diag, rc, "the options") : 0;
}

int tor_conf_print_line(struct tor_conf_print *p, struct tor_conf_cli *c, const char *text,
                        size_t len, bool quoted)
{
    struct tor_conf_line line;
    struct nk_buf value;
    nk_buf_init(&value, TOR_CONF_PRINT_MAX);
    int rc = tor_conf_read(text, len, quoted, &line, &value, &c->ctx->diag);
    rc = rc < 0 ? rc : put_line(p, c, &line, &value);
    nk_buf_clear(&value);
    return rc;
}

int tor_conf_cli_print(struct tor_conf_cli *c, const struct tor_reply *reply, bool raw)
{
    struct tor_conf_print p;
    int rc = 0;
    tor_conf_print_open(&p, c, raw, false);
    for (size_t i = 0; i < reply->n && rc == 0; i++) {
        rc = tor_conf_print_line(&p, c, reply->lines[i].text, reply->lines[i].len, true);
    }
    return tor_conf_print_close(&p, c, rc);
}

int tor_conf_cli_print_torrc(struct tor_conf_cli *c, const char *text, size_t n, bool raw)
{
    struct tor_conf_print p;
    struct nk_buf value;
    int rc = 0;
    nk_buf_init(&value, TOR_CONF_PRINT_MAX);
    tor_conf_print_open(&p, c, raw, false);
    for (const char *end = text + n; text < end && rc == 0;) {
        const char *eol = memchr(text, '\n', (size_t)(end - text));
        const size_t len = (size_t)((eol ? eol : end) - text);
        const char *space = memchr(text, ' ', len);
        const size_t name = space ? (size_t)(space - text) : len;
        const struct tor_conf_line line = {.name = text, .name_len = name, .set = true};
        nk_buf_reset(&value);
        if (len > 0) {
            rc = space ? tor_wire_value(space + 1, len - name - 1, &value, &c->ctx->diag) : 0;
            rc = rc < 0 ? rc : put_line(&p, c, &line, &value);
        }
        text += len + 1;
    }
    nk_buf_clear(&value);
    return tor_conf_print_close(&p, c, rc);
}

void tor_conf_cli_show(struct tor_conf_cli *c, const struct tor_reply *reply)
{
    int rc = tor_conf_cli_print(c, reply, false);
    if (rc == 0 && !c->ctx->globals->quiet && !c->ctx->globals->json) {
        fputs(
            "note: not saved; a reload (SIGHUP) or restart of tor takes it back. 'netkit tor conf "
            "save' keeps it\n",
            stderr);
    }
    tor_conf_cli_end(c, rc);
}
