/* SPDX-License-Identifier: MIT */
#include "service/supervise.h"
#include "service/wrap.h"

struct run_conf {
    uint64_t drain_ms;
};

static const struct nk_opt opts[] = {
    /* 8 s: `docker stop` kills after 10 s */
    {.name = "drain-timeout",
     .type = NK_OPT_DURATION,
     .offset = NK_FIELD(struct run_conf, drain_ms),
     .arg = "TIME",
     .def = "8s",
     .min = 0,
     .max = 24 * 3600 * INT64_C(1000),
     .flags = NK_OPT_CLI_ONLY,
     .help = "How long services may finish what they are doing after TERM or INT"},
    NK_OPT_END};

static int run(struct nk_cmd_ctx *ctx)
{
    const struct run_conf *conf = ctx->conf;
    if (ctx->dashes < 0) {
        return service_supervise(ctx, conf->drain_ms);
    }
    if (ctx->dashes > 0) {
        return nk_fail(&ctx->diag, NK_EUSAGE, "either sections or a command after '--', not both");
    }
    if (ctx->argc == 0) {
        return nk_fail(&ctx->diag, NK_EUSAGE, "there is no command after '--'");
    }
    return service_wrap(ctx, ctx->argv);
}

const struct nk_cmd nk_cmd_run = {
    .synopsis = "[SECTION..] | -- COMMAND [ARGUMENT..]",
    .summary = "Start every service of the configuration, or one program, and look after it",
    .description =
        "Without '--' every section of the configuration file that is a service is started, or "
        "only "
        "those named: a section's name means all of its kind, \"tunnel db\" means that one. All "
        "start or none. TERM or INT lets them finish, a second one ends at once; HUP loads the "
        "configuration again and keeps the old one if there is an error; USR1 writes their status "
        "to the log. READY, RELOADING and STOPPING are told to systemd.\n\n"
        "After '--' stands a program, which gets signals and the terminal passed on, and whose "
        "exit "
        "status is ours: 128 + N when signal N ended it, 126 when it cannot be executed, 127 "
        "when it is not found.\n\n"
        "Both do what PID 1 of a container must: pass signals on and reap orphans.",
    .examples = "netkit run -c ./netkit.ini           # all services of that file\n"
                "netkit run relay                     # only [relay]\n"
                "netkit run -- /usr/bin/server -p 80  # as a container's entry point",
    .opts = opts,
    .conf_size = sizeof(struct run_conf),
    .max_args = -1,
    .flags = NK_CMD_EXEC,
    .run = run,
};
