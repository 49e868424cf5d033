/* SPDX-License-Identifier: MIT */
/* netkit endpoint daemon in the foreground; also the rows of [endpoint NAME]. */
#include "relay/daemon_service.h"

#define DRAIN_MS 10000 /* tlspyo's own patience when it stops */
#define ROW(field) .offset = NK_FIELD(struct relay_daemon_opts, field)

/* clang-format off */
#define SHARED_ROWS                                                                                \
    {.name = "group", .type = NK_OPT_STRING, ROW(group), .arg = "GROUP", .flags = NK_OPT_REPEAT,   \
     .help = "Group to join"},                                                                     \
    {.name = "notify", .type = NK_OPT_STRING, ROW(notify), .arg = "GROUP[=N]",                     \
     .flags = NK_OPT_REPEAT,                                                                       \
     .help = "Group to join and to ask for N produced objects of, now there or later"},            \
    {.name = "queue-items", .type = NK_OPT_INT, ROW(queue_items), .arg = "N", .def = "100000",     \
     .max = INT64_MAX, .flags = NK_OPT_RELOAD,                                                     \
     .help = "Objects that may wait for commands: beyond it the oldest broadcasts are dropped, "   \
             "and no produced ones asked for; 0: no limit"},                                       \
    {.name = "queue-bytes", .type = NK_OPT_SIZE, ROW(queue_bytes), .arg = "SIZE", .def = "256M",   \
     .max = INT64_MAX, .flags = NK_OPT_RELOAD, .help = "The same in bytes"},                       \
    {.name = "buffer", .type = NK_OPT_SIZE, ROW(buffer), .arg = "SIZE", .def = "256M",             \
     .max = INT64_MAX,                                                                             \
     .help = "Bytes of objects that may wait for the relay: beyond it commands that send wait; "   \
             "0: no limit"},                                                                       \
    RELAY_ENDPOINT_ROWS
/* clang-format on */

static const struct nk_opt opts[] = {
    {.name = "name",
     .type = NK_OPT_STRING,
     ROW(name),
     .arg = "NAME",
     .def = RELAY_DAEMON_NAME,
     .flags = NK_OPT_CLI_ONLY,
     .help = "What commands call this daemon (a-z, 0-9 and '-'); what is not given here is taken "
             "from [endpoint NAME] in netkit.ini, where that is"},
    SHARED_ROWS,
    NK_OPT_END};

static const struct nk_opt rows[] = {SHARED_ROWS, NK_OPT_END};

static const struct nk_section section = {
    .name = RELAY_DAEMON_SECTION,
    .named = true,
    .summary = "An endpoint that stays connected, for commands",
    .opts = rows,
    .conf_size = sizeof(struct relay_daemon_opts),
};

static int run(struct nk_cmd_ctx *ctx)
{
    return nk_service_run_cmd(ctx, &relay_daemon_service, DRAIN_MS);
}

const struct nk_cmd nk_cmd_endpoint_daemon = {
    .synopsis = "[--name NAME] [--group GROUP].. [--notify GROUP[=N]]..",
    .summary = "Keep an endpoint connected, for other commands to use",
    .opts = opts,
    .conf_size = sizeof(struct relay_daemon_opts),
    .section = &section,
    .service = &relay_daemon_service,
    .run = run,
};
