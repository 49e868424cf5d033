/* SPDX-License-Identifier: MIT */
/*
 * netkit hello: the template for a new command. Copy it to modules/<m>/cmd_<name>.c ('_' in the
 * file name separates words, '-' stays), rename nk_cmd_hello to nk_cmd_<name>, and change what you
 * need. Help, man page, completion and the list of commands follow from the descriptor.
 */
#include <inttypes.h>
#include <stdio.h>

#include "base/cmd.h"

/* The configuration: flat, filled before run() is called, immutable afterwards. */
struct hello_conf {
    char *greeting;
    int64_t times;
};

/* One row per value: flag, help, man page and completion at once. */
static const struct nk_opt opts[] = {{.name = "greeting",
                                      .short_name = 'g',
                                      .type = NK_OPT_STRING,
                                      .offset = NK_FIELD(struct hello_conf, greeting),
                                      .arg = "TEXT",
                                      .def = "hello",
                                      .help = "What to say"},
                                     {.name = "times",
                                      .short_name = 'n',
                                      .type = NK_OPT_INT,
                                      .offset = NK_FIELD(struct hello_conf, times),
                                      .arg = "N",
                                      .def = "1",
                                      .min = 1,
                                      .max = 100,
                                      .help = "How often"},
                                     NK_OPT_END};

static int run(struct nk_cmd_ctx *ctx)
{
    const struct hello_conf *conf = ctx->conf;
    for (int64_t i = 0; i < conf->times; i++) {
        printf("%s, %s\n", conf->greeting, ctx->argc > 0 ? ctx->argv[0] : "world");
    }
    return 0; /* or nk_fail(&ctx->diag, NK_E..., "what and where") */
}

const struct nk_cmd nk_cmd_hello = {
    .synopsis = "[-g TEXT] [-n N] [NAME]",
    .summary = "Say hello: the template for new commands",
    .opts = opts,
    .conf_size = sizeof(struct hello_conf),
    .max_args = 1,
    .flags = NK_CMD_NO_CONFIG | NK_CMD_HIDDEN,
    .run = run,
};
