/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cli.h"
#include "core/control.h"
#include "relay/admin_ask.h"
#include "relay/endpoint_purge.h"

static const struct nk_opt opts[] = {RELAY_ENDPOINT_NAME_ROW, RELAY_ENDPOINT_ROWS, NK_OPT_END};

/* Whether nobody has to be asked (1), or may be (0), or it is refused (NK_EUSAGE). */
static int asked_already(struct nk_cmd_ctx *ctx)
{
    if (ctx->globals->yes) {
        return 1;
    }
    if (ctx->globals->no_input || !isatty(STDIN_FILENO) || !isatty(STDERR_FILENO)) {
        return nk_fail(&ctx->diag, NK_EUSAGE, "what is purged is gone: say --yes if you mean it");
    }
    return 0;
}

/* Read the answer to a question that has been printed. 0 or NK_EUSAGE. */
static int read_answer(struct nk_cmd_ctx *ctx)
{
    char answer[8] = "";
    if (!fgets(answer, sizeof(answer), stdin) || (answer[0] != 'y' && answer[0] != 'Y')) {
        return nk_fail(&ctx->diag, NK_EUSAGE, "nothing was purged");
    }
    return 0;
}

/* Somebody at a terminal is asked; scripts have to say --yes. 0 or NK_EUSAGE. */
static int confirm(struct nk_cmd_ctx *ctx, const char *const *words, size_t n)
{
    struct nk_buf out;
    int known = asked_already(ctx);
    if (known != 0) {
        nk_hint(&ctx->diag, "--dry-run tells how much it is");
        return known < 0 ? known : 0;
    }
    nk_buf_init(&out, NK_CONTROL_ANSWER);
    int rc = relay_admin_ask(ctx, words, n, &out);
    const char *text = rc == 0 ? nk_buf_str(&out) : NULL;
    if (rc == 0 && text) {
        fprintf(stderr, "purge %.*s: sure? [y/N] ", (int)strcspn(text, "\n"), text);
        rc = read_answer(ctx);
    } else if (rc > 0) {
        nk_cli_report(ctx->self->name, &ctx->diag, ctx->globals->json);
    }
    nk_buf_clear(&out);
    return rc;
}

/* Over the network. Only the relay's own machine can tell how much it is. */
static int run_remote(struct nk_cmd_ctx *ctx, const struct relay_endpoint_conf *conf)
{
    const struct nk_strlist list = {.v = ctx->argv, .n = (size_t)ctx->argc};
    int rc = relay_endpoint_groups_check(&list, &ctx->diag);
    if (rc < 0) {
        return rc;
    }
    if (ctx->globals->dry_run) {
        return nk_fail(&ctx->diag, NK_EUSAGE, "--dry-run works on the relay's own machine only");
    }
    rc = asked_already(ctx);
    if (rc == 0) {
        fprintf(stderr, "purge %d group(s) of %s: sure? [y/N] ", ctx->argc,
                conf->connect ? conf->connect : conf->endpoint);
        rc = read_answer(ctx);
    }
    return rc < 0
               ? rc
               : relay_endpoint_purge(ctx, conf, (const char *const *)ctx->argv, (size_t)ctx->argc);
}

static int run(struct nk_cmd_ctx *ctx)
{
    const struct relay_endpoint_conf *conf = ctx->conf;
    const char *words[NK_CONTROL_WORDS] = {"purge", "dry"};
    size_t n = 2;
    if (conf->connect || conf->endpoint) {
        return run_remote(ctx, conf);
    }
    if ((size_t)ctx->argc + n > NK_CONTROL_WORDS) {
        return nk_fail(&ctx->diag, NK_EUSAGE, "more than %d groups at once", NK_CONTROL_WORDS - 2);
    }
    for (int i = 0; i < ctx->argc; i++) {
        words[n++] = ctx->argv[i];
    }
    if (!ctx->globals->dry_run) {
        int rc = confirm(ctx, words, n);
        if (rc != 0) {
            return rc;
        }
        words[1] = "now";
    }
    return relay_admin_run(ctx, words, n);
}

const struct nk_cmd nk_cmd_relay_purge = {
    .synopsis = "GROUP.. [--yes] [--dry-run] [--connect CONNECT]",
    .summary = "Drop what waits in groups of a relay",
    .min_args = 1,
    .max_args = -1,
    .opts = opts,
    .conf_size = sizeof(struct relay_endpoint_conf),
    .run = run,
};
