/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cli.h"
#include "core/control.h"
#include "relay/admin_ask.h"

/* Somebody at a terminal is asked; scripts have to say --yes. 0 or NK_EUSAGE. */
static int confirm(struct nk_cmd_ctx *ctx, const char *const *words, size_t n)
{
    struct nk_buf out;
    char answer[8] = "";
    if (ctx->globals->yes) {
        return 0;
    }
    if (ctx->globals->no_input || !isatty(STDIN_FILENO) || !isatty(STDERR_FILENO)) {
        int rc = nk_fail(&ctx->diag, NK_EUSAGE, "what is purged is gone: say --yes if you mean it");
        nk_hint(&ctx->diag, "--dry-run tells how much it is");
        return rc;
    }
    nk_buf_init(&out, NK_CONTROL_ANSWER);
    int rc = relay_admin_ask(ctx, words, n, &out);
    const char *text = rc == 0 ? nk_buf_str(&out) : NULL;
    if (rc == 0 && text) {
        fprintf(stderr, "purge %.*s: sure? [y/N] ", (int)strcspn(text, "\n"), text);
        if (!fgets(answer, sizeof(answer), stdin) || (answer[0] != 'y' && answer[0] != 'Y')) {
            rc = nk_fail(&ctx->diag, NK_EUSAGE, "nothing was purged");
        }
    } else if (rc > 0) {
        nk_cli_report(ctx->self->name, &ctx->diag, ctx->globals->json);
    }
    nk_buf_clear(&out);
    return rc;
}

static int run(struct nk_cmd_ctx *ctx)
{
    const char *words[NK_CONTROL_WORDS] = {"purge", "dry"};
    size_t n = 2;
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
    .synopsis = "GROUP.. [--yes] [--dry-run]",
    .summary = "Drop what waits in groups of the relay that runs in the state directory",
    .description =
        "Drops the produced objects that wait in the queues of these groups, and their retained "
        "broadcasts; not what consumers hold and did not acknowledge. Prints how many that were: "
        "{\"groups\":N,\"objects\":N}. On a terminal it asks first, otherwise it needs --yes; "
        "--dry-run only counts. When one of the groups does not exist nothing is purged, with exit "
        "status 2.",
    .examples = "netkit relay purge jobs --yes\n"
                "netkit relay purge jobs results --dry-run",
    .min_args = 1,
    .max_args = -1,
    .flags = NK_CMD_NO_CONFIG,
    .run = run,
};
