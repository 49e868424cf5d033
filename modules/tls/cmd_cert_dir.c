/* SPDX-License-Identifier: MIT */
/* netkit cert dir: where credentials are kept. */
#include <stdio.h>

#include "base/file.h"
#include "tls/cert_cli.h"

struct dir_conf {
    bool create;
};

static const struct nk_opt opts[] = {{.name = "create",
                                      .type = NK_OPT_FLAG,
                                      .offset = NK_FIELD(struct dir_conf, create),
                                      .help = "Make it when it is missing (mode 0700)"},
                                     NK_OPT_END};

static int run(struct nk_cmd_ctx *ctx)
{
    const struct dir_conf *c = ctx->conf;
    char path[NK_PATH_MAX];
    if (nk_path_join(path, sizeof(path), ctx->globals->state_dir, "credentials") < 0) {
        return nk_fail(&ctx->diag, NK_ETOOBIG, "the state directory's path is too long");
    }
    int rc = c->create ? nk_mkdirs(path, &ctx->diag) : 0;
    if (rc == 0) {
        printf("%s\n", path);
    }
    return rc;
}

extern const struct nk_cmd nk_cmd_cert_dir;
const struct nk_cmd nk_cmd_cert_dir = {
    .synopsis = "[--create]",
    .summary = "Print the folder of the relay's credentials",
    .opts = opts,
    .conf_size = sizeof(struct dir_conf),
    .flags = NK_CMD_NO_CONFIG,
    .run = run,
};
