/* SPDX-License-Identifier: MIT */
#include "service/config.h"

#include <stdio.h>

int service_config_load(struct nk_cmd_ctx *ctx, struct nk_conf **out)
{
    const struct nk_cmds cmds = {nk_cmd_table, nk_cmd_count};
    *out = NULL;
    return nk_cli_load(out, cmds, ctx->globals, NULL, ctx->check_endpoint, &ctx->diag);
}

char *service_section_title(char *out, size_t max, const struct nk_section *s, const char *name)
{
    snprintf(out, max, "%s%s%s", s->name, s->named ? " " : "",
             !s->named ? ""
             : name    ? name
                       : "NAME");
    return out;
}
