/* SPDX-License-Identifier: MIT */
/* netkit onion clients: who may find a service that runs. */
#include <string.h>

#include "base/cmd.h"
#include "base/file.h"
#include "base/onion.h"
#include "core/control.h"
#include "core/service.h"
#include "onion/clients.h"
#include "onion/detached.h"

enum { WORDS = 4 };

/* What can be done for services that netkit does not know by a name. */
static void put_ways(struct nk_diag *diag)
{
    nk_hint(diag, "NAME is of [onion NAME] or 'onion add --name NAME'; in a directory of tor: 'hs "
                  "auth', then 'hs apply'; detached without a name: delete it, then add it with "
                  "--key, --client-auth and --name");
}

static int refuse_address(struct nk_cmd_ctx *ctx)
{
    uint8_t key[NK_ONION_KEY];
    const char *name = ctx->argv[0];
    int rc = nk_onion_parse(key, name, strlen(name), &ctx->diag);
    if (rc == NK_EVERSION ||
        (rc < 0 && !strchr(name, '.') && !strchr(name, '/') && strlen(name) < NK_ONION_LABEL)) {
        return rc == NK_EVERSION ? rc : 0;
    }
    nk_fail(&ctx->diag, NK_EUSAGE, "'%s' is no name of a service that netkit has", name);
    put_ways(&ctx->diag);
    return NK_EUSAGE;
}

/* The words of the request; line is where a public key is kept. */
static int request(struct nk_cmd_ctx *ctx, const char *words[WORDS], struct nk_buf *line)
{
    const char *verb = ctx->argc > 1 ? ctx->argv[1] : "list";
    int want = strcmp(verb, "list") == 0 ? 2 : strcmp(verb, "remove") == 0 ? 3 : 4;
    words[0] = "clients";
    words[1] = verb;
    words[2] = want == 2 ? (ctx->globals->json ? "json" : "text") : ctx->argv[2];
    if (want == 4 && strcmp(verb, "add") != 0) {
        return nk_fail(&ctx->diag, NK_EUSAGE, "'%s': list, add or remove?", verb);
    }
    if (ctx->argc != want && !(want == 2 && ctx->argc == 1)) {
        return nk_fail(&ctx->diag, NK_EUSAGE, "what is needed: %s%s", verb,
                       want == 2   ? ""
                       : want == 3 ? " CLIENT"
                                   : " CLIENT PUB");
    }
    int rc = want > 2 ? hs_slug_check("client", ctx->argv[2], &ctx->diag) : 0;
    if (rc < 0 || want < 4) {
        return rc;
    }
    rc = onion_clients_line(ctx->argv[3], line, ctx->log, &ctx->diag);
    words[3] = nk_buf_str(line);
    return rc;
}

static int run(struct nk_cmd_ctx *ctx)
{
    const char *words[WORDS] = {NULL};
    char dir[NK_PATH_MAX];
    struct nk_buf line;
    int rc = refuse_address(ctx);
    nk_buf_init(&line, HS_FORMAT_MAX);
    rc = rc < 0 ? rc : request(ctx, words, &line);
    if (rc == 0 &&
        nk_service_dir(dir, sizeof(dir), ctx->globals->state_dir, "onion", ctx->argv[0]) < 0) {
        rc = nk_fail(&ctx->diag, NK_ETOOBIG, "the path of the state directory is too long");
    }
    if (rc == 0) {
        const struct nk_control_ask ask = {.dir = dir,
                                           .who = "an onion service of this name",
                                           .words = words,
                                           .n = words[1][0] == 'a' ? WORDS : WORDS - 1,
                                           .timeout_ms = ctx->globals->timeout_ms};
        rc = nk_control_show(ctx, &ask);
        if (rc == NK_ECLOSED && (rc = onion_detached_clients(ctx, dir, words)) == -ENOENT &&
            ctx->diag.code == NK_ECLOSED) {
            rc = NK_ECLOSED;
            put_ways(&ctx->diag);
        }
    }
    nk_buf_clear(&line);
    return rc;
}

extern const struct nk_cmd nk_cmd_onion_clients;
const struct nk_cmd nk_cmd_onion_clients = {
    .synopsis = "NAME [list | add CLIENT PUB | remove CLIENT]",
    .summary = "Show and change who may find an onion service that runs",
    .min_args = 1,
    .max_args = 4,
    .flags = NK_CMD_EXEC,
    .run = run,
};
