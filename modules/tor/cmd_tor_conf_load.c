/* SPDX-License-Identifier: MIT */
/* netkit tor conf load: another configuration for a running tor. */
#include <string.h>

#include "base/file.h"
#include "tor/conf_cli.h"
#include "tor/wire.h"

#define TORRC_MAX (TOR_COMMAND_MAX - 64) /* tor's own bound, with room for the command */

struct task {
    struct tor_conf_cli c; /* first: what the callbacks get */
    struct nk_buf torrc;
};

static void on_loaded(struct tor_conf_cli *c, const struct tor_reply *reply)
{
    (void)reply;
    tor_conf_cli_end(c, 0);
}

static void on_names(struct tor_conf_cli *c)
{
    struct task *t = (struct task *)c;
    const char *where = strcmp(c->ctx->argv[0], "-") == 0 ? "stdin" : c->ctx->argv[0];
    const char *text = nk_buf_str(&t->torrc);
    int rc =
        text ? tor_conf_check_torrc(&c->names, where, text, nk_buf_len(&t->torrc), &c->ctx->diag)
             : nk_fail_sys(&c->ctx->diag, -ENOMEM, "%s", where);
    if (rc < 0 || c->ctx->globals->dry_run) {
        tor_conf_cli_end(c, rc);
    } else {
        tor_conf_cli_ask(c, "LOADCONF", text, nk_buf_len(&t->torrc), on_loaded);
    }
}

static int run(struct nk_cmd_ctx *ctx)
{
    struct task t = {.c = {.start = on_names}};
    nk_buf_init(&t.torrc, TORRC_MAX);
    int rc = nk_file_read(ctx->argv[0], 0, &t.torrc, &ctx->diag);
    rc = rc < 0 ? rc : tor_conf_cli_run(&t.c, ctx);
    nk_buf_clear(&t.torrc);
    return rc;
}

extern const struct nk_cmd nk_cmd_tor_conf_load;
const struct nk_cmd nk_cmd_tor_conf_load = {
    .synopsis = "FILE|-",
    .summary = "Make a torrc the configuration of a running tor",
    .opts = tor_cli_rows,
    .conf_size = sizeof(struct tor_cli_conf),
    .min_args = 1,
    .max_args = 1,
    .flags = NK_CMD_EXEC,
    .run = run,
};
