/* SPDX-License-Identifier: MIT */
/* netkit tor conf reset: options of a running tor back to their defaults, or to a value. */
#include "tor/conf_cli.h"

static void on_got(struct tor_conf_cli *c, const struct tor_reply *reply)
{
    tor_conf_cli_show(c, reply);
}

static void on_reset(struct tor_conf_cli *c, const struct tor_reply *reply)
{
    (void)reply;
    if (tor_conf_cli_get(c, c->ctx->argv, (size_t)c->ctx->argc, true) == 0) {
        tor_conf_cli_send(c, on_got);
    } else {
        tor_conf_cli_end(c, c->ctx->diag.code);
    }
}

static void on_names(struct tor_conf_cli *c)
{
    int rc = nk_buf_puts(&c->line, "RESETCONF");
    rc = rc < 0 ? nk_fail_sys(&c->ctx->diag, rc, "the options")
                : tor_conf_assign(&c->names, c->ctx->argv, (size_t)c->ctx->argc, true, &c->line,
                                  &c->ctx->diag);
    if (rc < 0) {
        tor_conf_cli_end(c, rc);
    } else {
        tor_conf_cli_send(c, on_reset);
    }
}

static int run(struct nk_cmd_ctx *ctx)
{
    struct tor_conf_cli c = {.start = on_names, .words = TOR_CONF_EITHER};
    return tor_conf_cli_run(&c, ctx);
}

extern const struct nk_cmd nk_cmd_tor_conf_reset;
const struct nk_cmd nk_cmd_tor_conf_reset = {
    .synopsis = "KEY[=VALUE]..",
    .summary = "Give options of a running tor their defaults back",
    .opts = tor_cli_rows,
    .conf_size = sizeof(struct tor_cli_conf),
    .min_args = 1,
    .max_args = -1,
    .flags = NK_CMD_EXEC,
    .run = run,
};
