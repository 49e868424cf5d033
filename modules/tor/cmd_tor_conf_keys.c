/* SPDX-License-Identifier: MIT */
/* netkit tor conf keys: the options that a tor has. */
#include <string.h>
#include <strings.h>

#include "tor/conf_cli.h"

struct keys_conf {
    struct tor_cli_conf cli;
    char *type;
};

static const struct nk_opt opts[] = {TOR_ROWS(struct keys_conf, cli),
                                     {.name = "type",
                                      .type = NK_OPT_STRING,
                                      .offset = NK_FIELD(struct keys_conf, type),
                                      .arg = "TYPE",
                                      .help = "Only options of this type (Boolean, LineList ..)"},
                                     NK_OPT_END};

static bool contains(const char *text, const char *part)
{
    const size_t n = strlen(part);
    for (; strlen(text) >= n; text++) {
        if (strncasecmp(text, part, n) == 0) {
            return true;
        }
    }
    return false;
}

static bool is_asked(const struct nk_cmd_ctx *ctx, const struct tor_conf_option *o)
{
    const struct keys_conf *conf = ctx->conf;
    bool found = ctx->argc == 0;
    for (int i = 0; i < ctx->argc && !found; i++) {
        found = contains(o->name, ctx->argv[i]);
    }
    return found && (!conf->type || strcasecmp(conf->type, o->word) == 0);
}

static void put_json(struct nk_json *j, const struct tor_conf_option *o)
{
    nk_json_object(j);
    nk_json_kv_str(j, "name", o->name);
    nk_json_kv_str(j, "type", o->word);
    nk_json_kv_bool(j, "list", tor_conf_is_list(o->type));
    nk_json_key(j, "default");
    if (o->def) {
        tor_conf_put_json(j, o->type, o->def, strlen(o->def));
    } else {
        nk_json_null(j);
    }
    if (tor_conf_unit(o->type)) {
        nk_json_kv_str(j, "unit", tor_conf_unit(o->type));
    }
    nk_json_kv_str(j, "takes", tor_conf_takes(o->type));
    nk_json_close(j);
}

static void on_names(struct tor_conf_cli *c)
{
    struct tor_conf_print p;
    size_t found = 0;
    int rc = 0;
    tor_conf_print_open(&p, c, false, false);
    for (size_t i = 0; i < c->names.n && rc == 0; i++) {
        const struct tor_conf_option *o = &c->names.v[i];
        if (!is_asked(c->ctx, o)) {
            continue;
        }
        found++;
        if (p.json) {
            put_json(&p.j, o);
        } else {
            rc = nk_buf_printf(&p.out, "%-40s %-*s%s\n", o->name, o->def ? 17 : 0, o->word,
                               o->def ? o->def : "");
        }
    }
    rc = rc < 0 ? nk_fail_sys(&c->ctx->diag, rc, "the options") : 0;
    rc = tor_conf_print_close(&p, c, rc);
    if (rc == 0 && found == 0) {
        rc = NK_EXIT_FAILED;
    }
    tor_conf_cli_end(c, rc);
}

static int run(struct nk_cmd_ctx *ctx)
{
    struct tor_conf_cli c = {.start = on_names, .words = TOR_CONF_KEYS};
    return tor_conf_cli_run(&c, ctx);
}

extern const struct nk_cmd nk_cmd_tor_conf_keys;
const struct nk_cmd nk_cmd_tor_conf_keys = {
    .synopsis = "[--type TYPE] [PART..]",
    .summary = "List the options that a tor has, with their types and defaults",
    .opts = opts,
    .conf_size = sizeof(struct keys_conf),
    .max_args = -1,
    .flags = NK_CMD_EXEC,
    .run = run,
};
