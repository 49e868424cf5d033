/* SPDX-License-Identifier: MIT */
#include "tor/list.h"

#include <stdio.h>
#include <string.h>

#include "base/cli.h"
#include "tor/table.h"

#define OUTPUT_MAX ((size_t)1 << 25)

const struct tor_list tor_list_circuits = {"circuit-status", "circuits",
                                           "id,status,purpose,path,time_created,build_flags"};
const struct tor_list tor_list_streams = {"stream-status", "streams", "id,status,circuit,target"};
const struct tor_list tor_list_guards = {"entry-guards", "guards", "name,status,since"};
const struct tor_list tor_list_maps = {"address-mappings/all", "mappings",
                                       "address,new_address,expiry"};

const struct nk_opt tor_list_opts[] = {TOR_FILTER_ROW(struct tor_list_conf, filter),
                                       TOR_ROWS(struct tor_list_conf, cli), NK_OPT_END};

struct list {
    struct nk_cmd_ctx *ctx;
    struct tor_cli *cli;
    const struct tor_list *what;
    struct tor_filters filters;
    struct tor_request request;
    struct tor_table table;
    struct nk_json json;
    struct nk_buf out;
};

int tor_filters_parse(struct tor_filters *f, const struct nk_strlist *list, struct nk_diag *diag)
{
    int rc = 0;
    f->n = 0;
    if (list->n > TOR_FILTERS_MAX)
        return nk_fail(diag, NK_EUSAGE, "more than %d conditions", TOR_FILTERS_MAX);
    for (size_t i = 0; rc == 0 && i < list->n; i++)
        rc = tor_filter_parse(&f->v[f->n++], list->v[i], diag);
    return rc;
}

bool tor_filters_match(const struct tor_filters *f, const struct tor_event *e)
{
    for (size_t i = 0; i < f->n; i++) {
        if (!tor_filter_match(&f->v[i], e))
            return false;
    }
    return true;
}

static void put_row(struct list *l, const struct tor_event *e)
{
    struct tor_split s = {.text = l->what->columns, .len = strlen(l->what->columns)};
    struct nk_buf text;
    nk_buf_init(&text, OUTPUT_MAX);
    while (tor_split_next(&s, ',')) {
        char name[TOR_NAME_MAX];
        (void)snprintf(name, sizeof name, "%.*s", (int)s.word_len, s.word);
        const struct tor_value *v = tor_event_get(e, name);
        nk_buf_reset(&text);
        if (v && l->table.error == 0)
            l->table.error = tor_value_text(v, &text);
        tor_table_cell(&l->table, (const char *)nk_buf_ptr(&text), nk_buf_len(&text));
    }
    nk_buf_clear(&text);
}

static void put_line(struct list *l, const char *line, size_t len)
{
    struct tor_event e;
    if (tor_event_parse_line(&e, l->what->key, line, len) < 0 ||
        !tor_filters_match(&l->filters, &e))
        return;
    if (!l->ctx->globals->json) {
        put_row(l, &e);
        return;
    }
    nk_json_object(&l->json);
    if (tor_event_json(&e, false, &l->json) < 0)
        l->table.error = -ENOMEM;
    nk_json_close(&l->json);
}

static int finish(struct list *l)
{
    int rc = l->table.error;
    if (l->ctx->globals->json) {
        nk_json_close(&l->json);
        nk_json_close(&l->json);
        return rc < 0 ? rc : nk_cli_put_json(&l->json, &l->ctx->diag);
    }
    rc = tor_table_put(&l->table, &l->out);
    if (rc == 0)
        nk_cli_print(&l->out);
    return rc;
}

static void on_reply(void *owner, int err, const struct tor_reply *reply, const struct nk_diag *why)
{
    struct list *l = owner;
    struct tor_word value;
    if (!tor_cli_reply(l->cli, err, reply, why, l->what->key))
        return;
    if (!tor_reply_find(reply, l->what->key, &value)) {
        tor_cli_finish(l->cli, nk_fail(&l->ctx->diag, NK_EPROTO, "tor's answer is not about %s",
                                       l->what->key));
        return;
    }
    struct tor_split lines = {.text = value.value, .len = value.value_len};
    while (tor_split_next(&lines, '\n')) {
        if (lines.word_len > 0)
            put_line(l, lines.word, lines.word_len);
    }
    tor_cli_finish(l->cli, finish(l));
}

static void ready(struct tor_cli *cli)
{
    struct list *l = cli->task->owner;
    l->cli = cli;
    l->request = (struct tor_request){.fn = on_reply, .owner = l};
    int rc =
        tor_control_sendf(cli->control, &l->request, &l->ctx->diag, "GETINFO %s", l->what->key);
    if (rc < 0)
        tor_cli_finish(cli, rc);
}

int tor_list_run(struct nk_cmd_ctx *ctx, const struct tor_list *what)
{
    const struct tor_list_conf *conf = ctx->conf;
    struct list l = {.ctx = ctx, .what = what};
    size_t columns = 1;
    for (const char *c = what->columns; *c; c++)
        columns += *c == ',';
    int rc = tor_filters_parse(&l.filters, &conf->filter, &ctx->diag);
    if (rc < 0)
        return rc;
    nk_buf_init(&l.out, OUTPUT_MAX);
    tor_table_init(&l.table, columns);
    nk_json_init(&l.json, &l.out, false);
    if (ctx->globals->json) {
        nk_json_object(&l.json);
        nk_json_key(&l.json, what->name);
        nk_json_array(&l.json);
    } else {
        tor_table_head(&l.table, what->columns);
    }
    const struct tor_cli_task task = {.ready = ready, .owner = &l};
    rc = tor_cli_run(ctx, &conf->cli, &task);
    nk_buf_clear(&l.table.cells);
    nk_buf_clear(&l.out);
    return rc;
}
