/* SPDX-License-Identifier: MIT */
/* netkit config show [--origin] */
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "service/config.h"

struct show_conf {
    bool origin;
};

static const struct nk_opt opts[] = {{.name = "origin",
                                      .type = NK_OPT_FLAG,
                                      .offset = NK_FIELD(struct show_conf, origin),
                                      .help = "Say where each value comes from"},
                                     NK_OPT_END};

static const char *const origins[] = {"default", "file", "environment", "-C", "flag"};

static void title_of(char *out, size_t max, const struct nk_conf_value *v)
{
    snprintf(out, max, "%s%s%s", v->section, v->name ? " " : "", v->name ? v->name : "");
}

static int write_text(struct nk_buf *out, const struct nk_conf *c, bool origin)
{
    struct nk_conf_value v;
    char last[128] = "", title[128], key[64];
    int rc = 0;
    for (size_t i = 0; rc == 0 && nk_conf_value_at(c, i, &v); i++) {
        title_of(title, sizeof(title), &v);
        if (strcmp(title, last) != 0) {
            rc = nk_buf_printf(out, "%s[%s]\n", *last ? "\n" : "", title);
            memcpy(last, title, sizeof(last));
        }
        nk_opt_ini_name(key, sizeof(key), v.row);
        if (rc == 0) {
            rc = nk_buf_printf(out, "%s%s = %s", v.text ? "" : "# ", key, v.text ? v.text : "");
        }
        if (rc == 0 && origin) {
            rc = nk_buf_printf(out, "    # %s", v.where);
        }
        rc = rc < 0 ? rc : nk_buf_puts(out, "\n");
    }
    return rc;
}

static int write_json(struct nk_buf *out, const struct nk_conf *c)
{
    struct nk_json j;
    struct nk_conf_value v;
    char key[64];
    nk_json_init(&j, out, true);
    nk_json_object(&j);
    nk_json_kv_i64(&j, "schema", 1);
    nk_json_kv_str(&j, "file", nk_conf_path(c));
    nk_json_key(&j, "values");
    nk_json_array(&j);
    for (size_t i = 0; nk_conf_value_at(c, i, &v); i++) {
        nk_json_object(&j);
        nk_json_kv_str(&j, "section", v.section);
        nk_json_kv_str(&j, "name", v.name);
        nk_json_kv_str(&j, "key", nk_opt_ini_name(key, sizeof(key), v.row));
        nk_json_kv_str(&j, "value", v.text);
        nk_json_kv_str(&j, "origin", origins[v.origin]);
        nk_json_kv_str(&j, "where", v.where);
        nk_json_close(&j);
    }
    nk_json_close(&j);
    nk_json_close(&j);
    int rc = nk_json_end(&j);
    return rc < 0 ? rc : nk_buf_puts(out, "\n");
}

static int run(struct nk_cmd_ctx *ctx)
{
    const struct show_conf *conf = ctx->conf;
    struct nk_conf *c;
    struct nk_buf out;
    int rc = service_config_load(ctx, &c);
    if (!c) {
        return rc;
    }
    nk_cli_report_problems(ctx->self->name, c, ctx->globals->json);
    nk_buf_init(&out, SERVICE_CONFIG_MAX);
    if (rc == 0) {
        rc = ctx->globals->json ? write_json(&out, c) : write_text(&out, c, conf->origin);
        nk_cli_print(&out);
    } else {
        rc = nk_conf_problem_at(c, 0) ? NK_EXIT_CONFIG : rc; /* all was said */
    }
    nk_buf_clear(&out);
    nk_conf_free(c);
    return rc;
}

const struct nk_cmd nk_cmd_config_show = {
    .synopsis = "[--origin] [--json]",
    .summary = "Show the values in force",
    .opts = opts,
    .conf_size = sizeof(struct show_conf),
    .flags = NK_CMD_NO_CONFIG,
    .run = run,
};
