/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "base/cmd.h"
#include "core/service.h"
#include "onion/serve.h"

#define NAME_CHARACTERS "abcdefghijklmnopqrstuvwxyz0123456789-" /* of a section */

enum { DRAIN_MS = 10 * 1000 /* for tor to take it away */ };

static const struct nk_opt opts[] = {
    {.name = "key",
     .type = NK_OPT_PATH,
     ONION_FIELD(key),
     .arg = "FILE|new|discard",
     .flags = NK_OPT_MAY_MISS,
     .help = "Its key: a file in any form, which is made when it is not there; new: one for as "
             "long as this command runs (the default without --name); discard: one that only tor "
             "ever has"},
    {.name = "name",
     .type = NK_OPT_STRING,
     .offset = NK_FIELD(struct onion_serve_conf, name),
     .arg = "NAME",
     .flags = NK_OPT_CLI_ONLY,
     .help = "Keep its key and clients in the state directory, as those of an [onion NAME]; "
             "'onion clients NAME' changes them"},
    {.name = "new-client",
     .type = NK_OPT_STRING,
     ONION_FIELD(new_client),
     .arg = "NAME[=FILE]",
     .flags = NK_OPT_REPEAT,
     .help = "Only for clients; a pair of keys is made for this one, the private half in "
             "NAME.auth_private"},
    {.name = "detach",
     .type = NK_OPT_FLAG,
     ONION_FIELD(detach),
     .help = "Leave the service to tor, which has to be one that stays, and end as soon as it is "
             "ready"},
    ONION_ROWS,
    ONION_GATE_ROWS(struct onion_serve_conf, gate),
    NK_OPT_END};

static const char *const key_words[] = {ONION_KEY_NEW, ONION_KEY_DISCARD, NULL};

const struct nk_opt onion_serve_rows[] = {
    {.name = "port",
     .type = NK_OPT_STRING,
     ONION_FIELD(ports),
     .arg = "PORT[:TARGET]",
     .flags = NK_OPT_REPEAT | NK_OPT_REQUIRED,
     .help = "A port of the service, and the address or unix:/PATH where it leads; default: the "
             "same port of 127.0.0.1"},
    {.name = "key",
     .type = NK_OPT_PATH,
     ONION_FIELD(key),
     .arg = "FILE|new|discard",
     .choices = key_words,
     .flags = NK_OPT_MAY_MISS,
     .help = "Its key, in any form; made when it is not there; new: another one at each start; "
             "discard: one that only tor ever has. Default: onion/NAME/key in the state directory"},
    ONION_ROWS,
    ONION_GATE_ROWS(struct onion_serve_conf, gate),
    NK_OPT_END};

const struct nk_section onion_section = {
    .name = ONION_SECTION,
    .named = true,
    .summary = "An onion service, held on a tor that runs",
    .opts = onion_serve_rows,
    .conf_size = sizeof(struct onion_serve_conf),
};

static void fill(const struct nk_cmd_ctx *ctx, void *conf)
{
    struct onion_serve_conf *c = conf;
    c->onion.ports = (struct nk_strlist){.v = ctx->argv, .n = (size_t)ctx->argc};
    c->globals = ctx->globals;
}

static int run(struct nk_cmd_ctx *ctx)
{
    const char *name = ((const struct onion_serve_conf *)ctx->conf)->name;
    if (name && (!*name || name[strspn(name, NAME_CHARACTERS)])) {
        return nk_fail(&ctx->diag, NK_EUSAGE, "--name: '%s' is not of a-z, 0-9 and '-'", name);
    }
    return nk_service_run_cmd_with(ctx, name ? &onion_serve_type : &onion_add_type, DRAIN_MS, name,
                                   fill);
}

extern const struct nk_cmd nk_cmd_onion_add;
const struct nk_cmd nk_cmd_onion_add = {
    .synopsis = "PORT[:TARGET].. [--key FILE|new|discard] [--client-auth PUB].. "
                "[--new-client NAME[=FILE]].. [--name NAME] [--hsdir DIR] [--wait none|first|all] "
                "[--detach]",
    .summary = "Offer ports as an onion service for as long as this runs",
    .opts = opts,
    .conf_size = sizeof(struct onion_serve_conf),
    .min_args = 1,
    .max_args = -1,
    .flags = NK_CMD_EXEC,
    .section = &onion_section,
    .service = &onion_serve_type,
    .run = run,
};
