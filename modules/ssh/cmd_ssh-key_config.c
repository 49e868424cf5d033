/* SPDX-License-Identifier: MIT */
/* netkit ssh-key config: the settings that ssh_config gives for a host. */
#include <stdlib.h>
#include <string.h>

#include "base/cli.h"
#include "ssh/config.h"

#define OUTPUT_MAX ((size_t)4 * 1024 * 1024)

struct config_conf {
    char *file, *user;
    int64_t port;
    struct nk_strlist options;
    bool plain, match_exec;
};

static const struct nk_opt opts[] = {
    {.name = "file",
     .short_name = 'F',
     .type = NK_OPT_STRING,
     .offset = NK_FIELD(struct config_conf, file),
     .arg = "FILE",
     .help = "Read this file instead of the user's and the system's; 'none': no file"},
    {.name = "option",
     .short_name = 'o',
     .type = NK_OPT_STRING,
     .flags = NK_OPT_REPEAT,
     .offset = NK_FIELD(struct config_conf, options),
     .arg = "KEYWORD=VALUE",
     .help = "A setting that comes before all files"},
    {.name = "login",
     .short_name = 'l',
     .type = NK_OPT_STRING,
     .offset = NK_FIELD(struct config_conf, user),
     .arg = "USER",
     .help = "Log in as this user"},
    {.name = "port",
     .short_name = 'p',
     .type = NK_OPT_INT,
     .offset = NK_FIELD(struct config_conf, port),
     .arg = "PORT",
     .max = UINT16_MAX,
     .help = "Connect to this port"},
    {.name = "plain",
     .type = NK_OPT_FLAG,
     .offset = NK_FIELD(struct config_conf, plain),
     .help = "Print as 'ssh -G' does, without where each value comes from"},
    {.name = "match-exec",
     .type = NK_OPT_FLAG,
     .offset = NK_FIELD(struct config_conf, match_exec),
     .help = "Run the programs of Match exec, without a shell"},
    NK_OPT_END,
};

static int put(struct nk_cmd_ctx *ctx, const struct config_conf *conf, const struct ssh_config *c,
               struct nk_buf *out)
{
    struct nk_json j;
    if (!ctx->globals->json) {
        return conf->plain ? ssh_config_print(c, out) : ssh_config_print_origins(c, out);
    }
    nk_json_init(&j, out, true);
    nk_json_object(&j);
    nk_json_kv_str(&j, "host", c->original_host);
    nk_json_key(&j, "settings");
    ssh_config_json(c, &j);
    nk_json_close(&j);
    int rc = nk_json_end(&j);
    return rc < 0 ? rc : nk_buf_puts(out, "\n");
}

static int print(struct nk_cmd_ctx *ctx, const struct config_conf *conf, const struct ssh_config *c)
{
    struct nk_buf out;
    nk_buf_init(&out, OUTPUT_MAX);
    int rc = put(ctx, conf, c, &out);
    if (rc == 0) {
        nk_cli_print(&out);
    } else {
        nk_fail_sys(&ctx->diag, rc, "the output");
    }
    nk_buf_clear(&out);
    return rc;
}

static int run(struct nk_cmd_ctx *ctx)
{
    const struct config_conf *conf = ctx->conf;
    char *at = strrchr(ctx->argv[0], '@'); /* user names may have one, host names not */
    struct ssh_config_ask ask = {.host = at ? at + 1 : ctx->argv[0],
                                 .user = conf->user,
                                 .port = (int)conf->port,
                                 .file = conf->file,
                                 .options = (const char *const *)conf->options.v,
                                 .noptions = conf->options.n,
                                 .log = ctx->log,
                                 .exec = conf->match_exec ? ssh_config_exec : NULL,
                                 .exec_arg = ctx->log};
    struct ssh_config *c = NULL;
    char *user = at ? strndup(ctx->argv[0], (size_t)(at - ctx->argv[0])) : NULL;
    if (at && !user) {
        return nk_fail_sys(&ctx->diag, -ENOMEM, "the user's name");
    }
    ask.user = ask.user ? ask.user : user;
    int rc = ssh_config_load(&c, &ask, &ctx->diag);
    rc = rc < 0 ? rc : print(ctx, conf, c);
    ssh_config_free(c);
    free(user);
    return rc;
}

extern const struct nk_cmd nk_cmd_ssh_key_config;
const struct nk_cmd nk_cmd_ssh_key_config = {
    .synopsis = "[-F FILE] [-o KEYWORD=VALUE].. [-l USER] [-p PORT] [--plain] [USER@]HOST [--json]",
    .summary = "Show the settings that ssh_config gives for a host",
    .opts = opts,
    .conf_size = sizeof(struct config_conf),
    .min_args = 1,
    .max_args = 1,
    .flags = NK_CMD_NO_CONFIG | NK_CMD_EXEC,
    .run = run,
};
