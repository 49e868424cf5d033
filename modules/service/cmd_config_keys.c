/* SPDX-License-Identifier: MIT */
/* netkit config keys: the schema of netkit.ini. */
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "service/config.h"

static const char *const types[] = {
    [NK_OPT_FLAG] = "bool",      [NK_OPT_BOOL] = "bool",         [NK_OPT_INT] = "int",
    [NK_OPT_SIZE] = "size",      [NK_OPT_DURATION] = "duration", [NK_OPT_STRING] = "string",
    [NK_OPT_PATH] = "path",      [NK_OPT_ENUM] = "enum",         [NK_OPT_LISTEN] = "listen",
    [NK_OPT_CONNECT] = "connect"};

static int text_row(struct nk_buf *out, const char *title, const struct nk_opt *o)
{
    char key[64];
    nk_opt_ini_name(key, sizeof(key), o);
    return nk_buf_printf(out, "[%s] %s  %s%s%s%s  %s\n", title, key, types[o->type],
                         o->flags & NK_OPT_REPEAT ? ", list" : "", o->def ? ", default " : "",
                         o->def ? o->def : "", o->help ? o->help : "");
}

static void json_row(struct nk_json *j, const struct nk_section *s, const struct nk_opt *o)
{
    char key[64], env[160];
    nk_json_object(j);
    nk_json_kv_str(j, "key", nk_opt_ini_name(key, sizeof(key), o));
    nk_json_kv_str(j, "env", nk_conf_env_name(env, sizeof(env), s, o));
    nk_json_kv_str(j, "type", types[o->type]);
    nk_json_kv_str(j, "default", o->def);
    if (nk_opt_has_bounds(o)) {
        nk_json_kv_i64(j, "min", o->min);
        nk_json_kv_i64(j, "max", o->max);
    }
    if (o->type == NK_OPT_ENUM) {
        nk_json_key(j, "choices");
        nk_json_array(j);
        for (size_t i = 0; o->choices[i]; i++) {
            nk_json_str(j, o->choices[i]);
        }
        nk_json_close(j);
    }
    nk_json_kv_bool(j, "list", (o->flags & NK_OPT_REPEAT) != 0);
    nk_json_kv_bool(j, "secret", (o->flags & NK_OPT_SECRET) != 0);
    nk_json_kv_bool(j, "required", (o->flags & NK_OPT_REQUIRED) != 0);
    nk_json_kv_bool(j, "reload", (o->flags & NK_OPT_RELOAD) != 0);
    nk_json_kv_str(j, "help", o->help);
    nk_json_close(j);
}

static void json_section(struct nk_json *j, const struct nk_section *s)
{
    nk_json_object(j);
    nk_json_kv_str(j, "section", s->name);
    nk_json_kv_bool(j, "named", s->named);
    nk_json_kv_str(j, "summary", s->summary);
    nk_json_key(j, "keys");
    nk_json_array(j);
    for (const struct nk_opt *o = nk_opt_first(s->opts); o; o = nk_opt_next(s->opts, o)) {
        if (!(o->flags & NK_OPT_CLI_ONLY)) {
            json_row(j, s, o);
        }
    }
    nk_json_close(j);
    nk_json_close(j);
}

static int write_json(struct nk_buf *out, const struct nk_section **sections)
{
    struct nk_json j;
    nk_json_init(&j, out, true);
    nk_json_object(&j);
    nk_json_kv_i64(&j, "schema", 1);
    nk_json_key(&j, "sections");
    nk_json_array(&j);
    for (size_t i = 0; sections[i]; i++) {
        json_section(&j, sections[i]);
    }
    nk_json_close(&j);
    nk_json_close(&j);
    int rc = nk_json_end(&j);
    return rc < 0 ? rc : nk_buf_puts(out, "\n");
}

static int write_text(struct nk_buf *out, const struct nk_section **sections)
{
    char title[96];
    int rc = 0;
    for (size_t i = 0; sections[i]; i++) {
        service_section_title(title, sizeof(title), sections[i], NULL);
        for (const struct nk_opt *o = nk_opt_first(sections[i]->opts); o && rc == 0;
             o = nk_opt_next(sections[i]->opts, o)) {
            rc = o->flags & NK_OPT_CLI_ONLY ? 0 : text_row(out, title, o);
        }
    }
    return rc;
}

static int run(struct nk_cmd_ctx *ctx)
{
    const struct nk_cmds cmds = {nk_cmd_table, nk_cmd_count};
    const struct nk_section *sections[NK_CLI_MAX_SECTIONS + 1];
    struct nk_buf out;
    nk_cli_sections(cmds, sections);
    nk_buf_init(&out, SERVICE_CONFIG_MAX);
    int rc = ctx->globals->json ? write_json(&out, sections) : write_text(&out, sections);
    nk_cli_print(&out);
    nk_buf_clear(&out);
    return rc;
}

const struct nk_cmd nk_cmd_config_keys = {
    .synopsis = "[--json]",
    .summary = "List every key of netkit.ini with type, default and meaning",
    .flags = NK_CMD_NO_CONFIG,
    .run = run,
};
