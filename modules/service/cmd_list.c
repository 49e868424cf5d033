/* SPDX-License-Identifier: MIT */
/* netkit list: the commands, for people and for programs. */
#include <stdio.h>

#include "base/cli.h"
#include "base/json.h"

#define TEXT_MAX (1024 * 1024)
#define SOURCE_MAX (NK_CLI_MAX_NAME + 32)

static bool is_shown(const struct nk_cmd_entry *e)
{
    return !(e->cmd->flags & NK_CMD_HIDDEN);
}

static const char *source_of(char out[SOURCE_MAX], const struct nk_cmd_entry *e)
{
    snprintf(out, SOURCE_MAX, "modules/%s/cmd_%s.c", e->module, e->name);
    for (char *p = out; *p; p++) {
        *p = *p == ' ' ? '_' : *p;
    }
    return out;
}

static int write_json(struct nk_buf *out)
{
    struct nk_json j;
    char source[SOURCE_MAX];
    nk_json_init(&j, out, true);
    nk_json_object(&j);
    nk_json_kv_i64(&j, "schema", 1);
    nk_json_key(&j, "commands");
    nk_json_array(&j);
    for (size_t i = 0; i < nk_cmd_count; i++) {
        const struct nk_cmd_entry *e = &nk_cmd_table[i];
        if (!is_shown(e)) {
            continue;
        }
        nk_json_object(&j);
        nk_json_kv_str(&j, "name", e->name);
        nk_json_kv_str(&j, "summary", e->cmd->summary);
        nk_json_kv_str(&j, "synopsis", e->cmd->synopsis ? e->cmd->synopsis : "");
        nk_json_kv_str(&j, "source", source_of(source, e));
        nk_json_close(&j);
    }
    nk_json_close(&j);
    nk_json_close(&j);
    int rc = nk_json_end(&j);
    return rc < 0 ? rc : nk_buf_puts(out, "\n");
}

static int write_text(struct nk_buf *out, bool with_source)
{
    char source[SOURCE_MAX];
    int rc = 0;
    for (size_t i = 0; i < nk_cmd_count && rc == 0; i++) {
        const struct nk_cmd_entry *e = &nk_cmd_table[i];
        if (!is_shown(e)) {
            continue;
        }
        rc = with_source ? nk_buf_printf(out, "%-24s %s\n", e->name, source_of(source, e))
                         : nk_buf_printf(out, "%-24s %s\n", e->name, e->cmd->summary);
    }
    return rc;
}

static int run(struct nk_cmd_ctx *ctx)
{
    struct nk_buf out;
    nk_buf_init(&out, TEXT_MAX);
    int rc = ctx->globals->json ? write_json(&out) : write_text(&out, ctx->globals->verbose > 0);
    nk_cli_print(&out);
    nk_buf_clear(&out);
    return rc;
}

const struct nk_cmd nk_cmd_list = {
    .synopsis = "[-v] [--json]",
    .summary = "List the commands",
    .flags = NK_CMD_NO_CONFIG,
    .run = run,
};
