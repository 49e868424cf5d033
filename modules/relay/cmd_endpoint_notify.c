/* SPDX-License-Identifier: MIT */
#include <stdlib.h>

#include "relay/daemon_send.h"
#include "relay/endpoint_files.h"
#include "relay/endpoint_receive.h"

#define NOTIFY_MAX 1000000000
#define EVERYTHING (-1) /* what a negative number asks for on tlspyo's wire */

struct notify_conf {
    struct relay_endpoint_conf common;
    int format;
    char *dir;
    bool no_wait;
    char *daemon;
};

static const struct nk_opt opts[] = {
    RELAY_ENDPOINT_FORMAT_ROW(struct notify_conf),
    RELAY_ENDPOINT_DIR_ROW(struct notify_conf),
    {.name = "no-wait",
     .type = NK_OPT_FLAG,
     .offset = NK_FIELD(struct notify_conf, no_wait),
     .help = "Take what is there now, and do not wait for more"},
    RELAY_DAEMON_NAME_ROW(struct notify_conf, daemon,
                          "Add to what this endpoint daemon wants, and end at once; what comes is "
                          "taken with pop"),
    RELAY_ENDPOINT_ROWS,
    NK_OPT_END};

static int receive(struct nk_cmd_ctx *ctx, const struct relay_endpoint_dest *dest,
                   const char **groups)
{
    const struct notify_conf *conf = ctx->conf;
    size_t everything = 0;
    uint64_t total = 0;
    for (size_t i = 0; i < dest->n; i++) {
        groups[i] = dest->v[i].group;
        everything += dest->v[i].n < 0;
        total += dest->v[i].n > 0 ? (uint64_t)dest->v[i].n : 0;
    }
    if (everything > 0 && everything < dest->n && !conf->no_wait) {
        return nk_fail(&ctx->diag, NK_EUSAGE,
                       "GROUP=-1 (what is there now) and GROUP=N (wait for N) need --no-wait "
                       "together");
    }
    const struct relay_endpoint_receive what = {.conf = &conf->common,
                                                .format = (enum relay_endpoint_format)conf->format,
                                                .dir = conf->dir,
                                                .groups = groups,
                                                .ngroups = dest->n,
                                                .demand = dest->v,
                                                .ndemand = dest->n,
                                                .max_items = everything ? 0 : total,
                                                .only_demanded = true,
                                                .drain = everything > 0 || conf->no_wait};
    return relay_endpoint_receive(ctx, &what);
}

static int run(struct nk_cmd_ctx *ctx)
{
    struct relay_endpoint_dest dest = {0};
    int status = relay_endpoint_dest_parse((const char *const *)ctx->argv, (size_t)ctx->argc, 1,
                                           EVERYTHING, NOTIFY_MAX, &dest, &ctx->diag);
    const struct notify_conf *conf = ctx->conf;
    if (status == 0 && conf->daemon) {
        status = relay_daemon_notify_run(ctx, conf->daemon, &dest);
    } else if (status == 0) {
        const char **groups = calloc(dest.n, sizeof(*groups));
        status = groups ? receive(ctx, &dest, groups) : -ENOMEM;
        free(groups);
    }
    relay_endpoint_dest_clear(&dest);
    return status;
}

const struct nk_cmd nk_cmd_endpoint_notify = {
    .synopsis = "GROUP[=N].. [--no-wait] [--format FORMAT] | --name NAME GROUP[=N]..",
    .summary = "Take produced objects out of the queues of groups",
    .opts = opts,
    .conf_size = sizeof(struct notify_conf),
    .min_args = 1,
    .max_args = -1,
    .run = run,
};
