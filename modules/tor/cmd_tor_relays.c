/* SPDX-License-Identifier: MIT */
/* The relays that tor knows, from its consensus; countries from its GeoIP data. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/cli.h"
#include "tor/cli.h"
#include "tor/ns.h"
#include "tor/table.h"

enum { BATCH = 200 /* addresses that are asked for in one GETINFO */, COLUMNS = 6 };
#define OUTPUT_MAX ((size_t)1 << 25)
#define LINE_SIZE ((size_t)1 << 14)

struct relays_conf {
    struct tor_cli_conf cli;
    struct nk_strlist flag;
    char *country;
};

static const struct nk_opt opts[] = {
    {.name = "flag",
     .type = NK_OPT_STRING,
     .offset = NK_FIELD(struct relays_conf, flag),
     .arg = "FLAG",
     .flags = NK_OPT_REPEAT | NK_OPT_CLI_ONLY,
     .help = "Only relays with this flag: Guard, Exit, HSDir, Stable ..; all that are given"},
    {.name = "country",
     .type = NK_OPT_STRING,
     .offset = NK_FIELD(struct relays_conf, country),
     .arg = "CC",
     .flags = NK_OPT_CLI_ONLY,
     .help = "Only relays in this country, two letters; tor needs its GeoIP file for it"},
    TOR_ROWS(struct relays_conf, cli),
    NK_OPT_END};

struct relays {
    struct nk_cmd_ctx *ctx;
    const struct relays_conf *conf;
    struct tor_cli *cli;
    struct tor_request request;
    struct nk_buf text; /* tor's list; `found` borrows from it */
    struct tor_ns *found;
    size_t n, room, asked, placed;
};

static bool is_named(const struct tor_ns *r, const char *name)
{
    size_t len = strlen(name);
    name += name[0] == '$';
    return (len == r->nickname.n && strncasecmp(name, r->nickname.p, len) == 0) ||
           strncasecmp(name, r->fingerprint, TOR_FINGERPRINT) == 0;
}

static bool wanted(const struct relays *rs, const struct tor_ns *r)
{
    bool named = rs->ctx->argc == 0;
    for (int i = 0; i < rs->ctx->argc; i++)
        named = named || is_named(r, rs->ctx->argv[i]);
    for (size_t i = 0; named && i < rs->conf->flag.n; i++)
        named = tor_ns_has_flag(r, rs->conf->flag.v[i]);
    return named;
}

static int print(struct relays *rs)
{
    const char *country = rs->conf->country;
    struct tor_table table;
    struct nk_json j;
    struct nk_buf out;
    nk_buf_init(&out, OUTPUT_MAX);
    nk_json_init(&j, &out, false);
    if (rs->ctx->globals->json) {
        nk_json_object(&j);
        nk_json_key(&j, "relays");
        nk_json_array(&j);
    }
    tor_table_init(&table, COLUMNS);
    tor_table_head(&table, "nickname,fingerprint,address,country,bandwidth,flags");
    for (size_t i = 0; i < rs->n; i++) {
        const struct tor_ns *r = &rs->found[i];
        char number[24];
        if (country && strcasecmp(country, r->country) != 0)
            continue;
        if (rs->ctx->globals->json) {
            nk_json_object(&j);
            tor_ns_json(r, &j);
            nk_json_close(&j);
            continue;
        }
        (void)snprintf(number, sizeof number, "%llu", (unsigned long long)r->bandwidth);
        tor_table_cell(&table, r->nickname.p, r->nickname.n);
        tor_table_cell(&table, r->fingerprint, TOR_FINGERPRINT);
        tor_table_cell(&table, r->address.p, r->address.n);
        tor_table_cell(&table, r->country, strlen(r->country));
        tor_table_cell(&table, number, strlen(number));
        tor_table_cell(&table, r->flags.p, r->flags.n);
    }
    if (rs->ctx->globals->json) {
        nk_json_close(&j);
        nk_json_close(&j);
        nk_buf_clear(&table.cells);
        return nk_cli_put_json(&j, &rs->ctx->diag);
    }
    int rc = tor_table_put(&table, &out);
    if (rc == 0)
        nk_cli_print(&out);
    nk_buf_clear(&out);
    return rc;
}

static void on_countries(void *owner, int err, const struct tor_reply *reply,
                         const struct nk_diag *why);

/* Ask where the next relays are; when all are known, print. */
static void go_on(struct relays *rs)
{
    struct nk_buf line;
    nk_buf_init(&line, LINE_SIZE);
    int rc = nk_buf_puts(&line, "GETINFO");
    bool need = rs->conf->country || rs->ctx->argc > 0;
    for (size_t i = 0; need && rc == 0 && i < BATCH && rs->asked < rs->n; i++) {
        const struct tor_ns_text *a = &rs->found[rs->asked++].address;
        rc = nk_buf_printf(&line, " ip-to-country/%.*s", (int)a->n, a->p);
    }
    if (rc == 0 && rs->placed < rs->asked) {
        rs->request = (struct tor_request){.fn = on_countries, .owner = rs};
        const char *text = nk_buf_str(&line);
        rc = text ? tor_control_send(rs->cli->control, &rs->request, text, NULL, 0, &rs->ctx->diag)
                  : -ENOMEM;
        if (rc < 0)
            tor_cli_finish(rs->cli, rc);
    } else {
        tor_cli_finish(rs->cli, rc < 0 ? rc : print(rs));
    }
    nk_buf_clear(&line);
}

/* "ip-to-country/ADDRESS=cc", in the order in which they were asked for. Without GeoIP data tor
 * refuses the question: then it is unknown, unless it was to be chosen by. */
static void on_countries(void *owner, int err, const struct tor_reply *reply,
                         const struct nk_diag *why)
{
    struct relays *rs = owner;
    bool refused = err == 0 && reply->code != TOR_OK;
    if ((err < 0 || (refused && rs->conf->country)) &&
        !tor_cli_reply(rs->cli, err, reply, why, "GETINFO ip-to-country"))
        return;
    for (size_t i = 0; !refused && i < reply->n && rs->placed < rs->asked; i++) {
        struct tor_word pair;
        if (!tor_line_pair(&reply->lines[i], &pair))
            continue;
        struct tor_ns *r = &rs->found[rs->placed++];
        if (pair.value_len == TOR_COUNTRY_SIZE - 1)
            memcpy(r->country, pair.value, pair.value_len);
    }
    rs->placed = rs->asked; /* whatever is missing stays unknown */
    go_on(rs);
}

static int keep(struct relays *rs, const struct tor_ns *r)
{
    if (rs->n == rs->room) {
        size_t room = rs->room ? rs->room * 2 : BATCH;
        struct tor_ns *more = realloc(rs->found, room * sizeof *more);
        if (!more)
            return -ENOMEM;
        rs->found = more;
        rs->room = room;
    }
    rs->found[rs->n++] = *r;
    return 0;
}

static void on_relays(void *owner, int err, const struct tor_reply *reply,
                      const struct nk_diag *why)
{
    struct relays *rs = owner;
    struct tor_word ns;
    struct tor_ns_walk walk;
    struct tor_ns r;
    if (!tor_cli_reply(rs->cli, err, reply, why, "GETINFO ns/all"))
        return;
    int rc = 0;
    if (tor_reply_find(reply, "ns/all", &ns))
        rc = nk_buf_put(&rs->text, ns.value, ns.value_len);
    tor_ns_begin(&walk, (const char *)nk_buf_ptr(&rs->text), nk_buf_len(&rs->text));
    while (rc == 0 && walk.p && tor_ns_next(&walk, &r)) {
        if (wanted(rs, &r))
            rc = keep(rs, &r);
    }
    if (rc == 0 && rs->n == 0 && rs->ctx->argc > 0)
        rc = nk_fail(&rs->ctx->diag, -ENOENT, "tor knows no relay '%s'", rs->ctx->argv[0]);
    if (rc < 0)
        tor_cli_finish(rs->cli, rc);
    else
        go_on(rs);
}

static void ready(struct tor_cli *cli)
{
    struct relays *rs = cli->task->owner;
    rs->cli = cli;
    rs->request = (struct tor_request){.fn = on_relays, .owner = rs};
    tor_cli_send(cli, &rs->request, "GETINFO ns/all");
}

static int run(struct nk_cmd_ctx *ctx)
{
    const struct relays_conf *conf = ctx->conf;
    struct relays rs = {.ctx = ctx, .conf = conf};
    const struct tor_cli_task task = {.ready = ready, .owner = &rs};
    nk_buf_init(&rs.text, OUTPUT_MAX);
    int rc = tor_cli_run(ctx, &conf->cli, &task);
    nk_buf_clear(&rs.text);
    free(rs.found);
    return rc;
}

const struct nk_cmd nk_cmd_tor_relays = {
    .synopsis = "[NAME..] [--flag FLAG].. [--country CC]",
    .summary = "Show the relays that tor knows",
    .opts = opts,
    .conf_size = sizeof(struct relays_conf),
    .max_args = -1,
    .run = run,
};
