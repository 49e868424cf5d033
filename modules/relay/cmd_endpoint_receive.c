/* SPDX-License-Identifier: MIT */
#include <stdlib.h>

#include "relay/endpoint_files.h"
#include "relay/endpoint_receive.h"

#define NOTIFY_MAX 1000000000

struct receive_conf {
    struct relay_endpoint_conf common;
    struct nk_strlist group;
    int format;
    char *dir;
    int64_t notify;
    int64_t max_items;
};

static const struct nk_opt opts[] = {
    {.name = "group",
     .type = NK_OPT_STRING,
     .offset = NK_FIELD(struct receive_conf, group),
     .arg = "GROUP",
     .flags = NK_OPT_REPEAT | NK_OPT_REQUIRED | NK_OPT_CLI_ONLY,
     .help = "Group to join"},
    RELAY_ENDPOINT_FORMAT_ROW(struct receive_conf),
    RELAY_ENDPOINT_DIR_ROW(struct receive_conf),
    {.name = "notify",
     .type = NK_OPT_INT,
     .offset = NK_FIELD(struct receive_conf, notify),
     .arg = "N",
     .def = "0",
     .max = NOTIFY_MAX,
     .help = "Also ask for N produced objects of each group, now there or later"},
    {.name = "max-items",
     .short_name = 'n',
     .type = NK_OPT_INT,
     .offset = NK_FIELD(struct receive_conf, max_items),
     .arg = "N",
     .def = "0",
     .max = INT64_MAX,
     .help = "End after N objects; 0: follow for ever"},
    RELAY_ENDPOINT_NAME_ROW,
    RELAY_ENDPOINT_ROWS,
    NK_OPT_END};

static int run(struct nk_cmd_ctx *ctx)
{
    const struct receive_conf *conf = ctx->conf;
    int status = relay_endpoint_groups_check(&conf->group, &ctx->diag);
    if (status < 0) {
        return status;
    }
    struct relay_wire_dest *demand = calloc(conf->group.n, sizeof(*demand));
    if (!demand) {
        return -ENOMEM;
    }
    for (size_t i = 0; i < conf->group.n; i++) {
        demand[i] = (struct relay_wire_dest){.group = conf->group.v[i], .n = conf->notify};
    }
    const struct relay_endpoint_receive what = {.conf = &conf->common,
                                                .format = (enum relay_endpoint_format)conf->format,
                                                .dir = conf->dir,
                                                .groups = (const char *const *)conf->group.v,
                                                .ngroups = conf->group.n,
                                                .demand = demand,
                                                .ndemand = conf->notify > 0 ? conf->group.n : 0,
                                                .max_items = (uint64_t)conf->max_items,
                                                .follow = true};
    status = relay_endpoint_receive(ctx, &what);
    free(demand);
    return status;
}

const struct nk_cmd nk_cmd_endpoint_receive = {
    .synopsis = "--group GROUP.. [--notify N] [-n N] [--format FORMAT] [--dir DIR]",
    .summary = "Print the objects that arrive for groups",
    .opts = opts,
    .conf_size = sizeof(struct receive_conf),
    .run = run,
};
