/* SPDX-License-Identifier: MIT */
/* netkit relay password new: a password file that nobody guesses. */
#include <stdio.h>
#include <string.h>

#include "base/cmd.h"
#include "base/file.h"
#include "relay/password.h"
#include "relay/relay.h"

struct password_conf {
    char *from;
};

static const struct nk_opt opts[] = {
    {.name = "from",
     .type = NK_OPT_PATH,
     .offset = NK_FIELD(struct password_conf, from),
     .arg = "FILE",
     .help = "Take the password from this file ('-': standard input) instead of making one, and "
             "warn when it is weak"},
    NK_OPT_END};

/* The user's own, with a warning when it could be guessed. */
static int take(struct nk_cmd_ctx *ctx, const char *from, const char *path)
{
    struct nk_secret pw = {0}, line = {0};
    int rc = relay_password_load(from, &pw, &ctx->diag);
    const char *weak = rc == 0 ? relay_password_weakness(&pw) : NULL;
    if (weak) {
        nk_warn(ctx->log, "relay", "this password is weak: it %s", weak);
    }
    if (rc == 0 && (rc = nk_secret_alloc(&line, pw.len + 1)) < 0) {
        nk_fail_sys(&ctx->diag, rc, "%s", path);
    }
    if (rc == 0 && !ctx->globals->dry_run) {
        memcpy(line.data, pw.data, pw.len);
        line.data[pw.len] = '\n';
        rc = nk_file_write(path, 0, line.data, line.len, &ctx->diag);
    }
    nk_secret_clear(&line);
    nk_secret_clear(&pw);
    return rc;
}

static int run(struct nk_cmd_ctx *ctx)
{
    const struct password_conf *c = ctx->conf;
    char dir[NK_PATH_MAX], standard[NK_PATH_MAX];
    const char *path = ctx->argc ? ctx->argv[0] : standard;
    int rc = 0;
    if (!ctx->argc) {
        if (nk_path_join(dir, sizeof(dir), ctx->globals->state_dir, RELAY_CREDENTIALS_DIR) < 0 ||
            nk_path_join(standard, sizeof(standard), dir, RELAY_PASSWORD_FILE) < 0) {
            return nk_fail(&ctx->diag, NK_ETOOBIG, "the state directory's path is too long");
        }
        rc = ctx->globals->dry_run ? 0 : nk_mkdirs(dir, &ctx->diag);
    }
    if (rc == 0 && c->from) {
        rc = take(ctx, c->from, path);
    } else if (rc == 0 && !ctx->globals->dry_run) {
        rc = relay_password_create(path, &ctx->diag);
    }
    if (rc == -EEXIST) {
        nk_hint(&ctx->diag, "to change a password without interruption write a new file and name "
                            "both in an [identity ..] section");
    }
    if (rc == 0) {
        nk_audit(ctx->log, "relay", NK_LOG_INFO, "key.created", NULL, "new password %s", path);
        printf("%s\n", path);
    }
    return rc;
}

const struct nk_cmd nk_cmd_relay_password_new = {
    .synopsis = "[FILE] [--from FILE|-]",
    .summary = "Make a password file for a relay and its endpoints",
    .opts = opts,
    .conf_size = sizeof(struct password_conf),
    .max_args = 1,
    .flags = NK_CMD_NO_CONFIG,
    .run = run,
};
