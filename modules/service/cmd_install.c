/* SPDX-License-Identifier: MIT */
/* netkit install DIR */
#include "service/install.h"

#define F(field) NK_FIELD(struct install_conf, field)

static const struct nk_opt opts[] = {
    INSTALL_ROWS("Also write the man pages, to DIR/man1",
                 "Also write the completion scripts for bash, zsh and fish"),
    {.name = "symbolic",
     .short_name = 's',
     .type = NK_OPT_FLAG,
     .offset = F(symbolic),
     .help = "Symbolic links: what it does anyway"},
    {.name = "hard",
     .short_name = 'H',
     .type = NK_OPT_FLAG,
     .offset = F(hard),
     .help = "Hard links"},
    {.name = "relative",
     .type = NK_OPT_FLAG,
     .offset = F(relative),
     .help = "Links with a path relative to DIR"},
    {.name = "force",
     .type = NK_OPT_FLAG,
     .offset = F(force),
     .help = "Replace files of others (never directories)"},
    NK_OPT_END};

static int run(struct nk_cmd_ctx *ctx)
{
    const struct install_conf *conf = ctx->conf;
    if (conf->hard && (conf->symbolic || conf->relative)) {
        return nk_fail(&ctx->diag, NK_EUSAGE, "--hard goes with neither --symbolic nor --relative");
    }
    return install_all(ctx, conf, false);
}

const struct nk_cmd nk_cmd_install = {
    .synopsis = "DIR [--prefix TEXT] [--relative] [--force] [--man DIR] [--completion DIR]",
    .summary = "Make links to the commands in a directory",
    INSTALL_COMMAND,
};
