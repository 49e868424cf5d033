/* SPDX-License-Identifier: MIT */
/* netkit uninstall DIR */
#include "service/install.h"

#define F(field) NK_FIELD(struct install_conf, field)

static const struct nk_opt opts[] = {{.name = "prefix",
                                      .type = NK_OPT_STRING,
                                      .offset = F(prefix),
                                      .arg = "TEXT",
                                      .def = "nk-",
                                      .help = "What the names of the links begin with"},
                                     {.name = "man",
                                      .type = NK_OPT_PATH,
                                      .offset = F(man),
                                      .arg = "DIR",
                                      .help = "Also remove the man pages from DIR/man1"},
                                     {.name = "completion",
                                      .type = NK_OPT_PATH,
                                      .offset = F(completion),
                                      .arg = "DIR",
                                      .help = "Also remove the completion scripts"},
                                     NK_OPT_END};

static int run(struct nk_cmd_ctx *ctx)
{
    return install_all(ctx, ctx->conf, true);
}

const struct nk_cmd nk_cmd_uninstall = {
    .synopsis = "DIR [--prefix TEXT] [--man DIR] [--completion DIR]",
    .summary = "Remove what 'netkit install' made",
    .description =
        "Removes only links that lead to this program, and only texts that netkit wrote. "
        "--dry-run shows what would be done.",
    .opts = opts,
    .conf_size = sizeof(struct install_conf),
    .min_args = 1,
    .max_args = 1,
    .flags = NK_CMD_NO_CONFIG,
    .run = run,
};
