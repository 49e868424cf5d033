/* SPDX-License-Identifier: MIT */
#include "relay/pipe.h"

static const struct nk_opt opts[] = {
    {.name = "group",
     .type = NK_OPT_STRING,
     .offset = NK_FIELD(struct relay_pipe_conf, group),
     .arg = "GROUP",
     .flags = NK_OPT_REPEAT | NK_OPT_CLI_ONLY,
     .help = "Group to join"},
    {.name = "auto-ack",
     .type = NK_OPT_FLAG,
     .offset = NK_FIELD(struct relay_pipe_conf, auto_ack),
     .flags = NK_OPT_CLI_ONLY,
     .help = "Acknowledge objects as soon as their event is written"},
    RELAY_ENDPOINT_NAME_ROW,
    RELAY_ENDPOINT_ROWS,
    NK_OPT_END};

static int run(struct nk_cmd_ctx *ctx)
{
    return relay_pipe_run(ctx);
}

const struct nk_cmd nk_cmd_endpoint_pipe = {
    .synopsis = "[--group GROUP].. [--auto-ack]",
    .summary = "Be the endpoint of a program in any language, over lines of JSON",
    .description =
        "Reads requests from standard input and writes events to standard output, one JSON object "
        "on each line, for as long as standard input is open. Requests:\n\n"
        "  {\"op\":\"join\",\"group\":G}   {\"op\":\"notify\",\"group\":G,\"n\":N}   (N -1: what "
        "is "
        "there)\n"
        "  {\"op\":\"produce\",\"group\":G,PAYLOAD,\"copies\":N,\"id\":ID}\n"
        "  {\"op\":\"broadcast\",\"group\":G,PAYLOAD,\"id\":ID}   {\"op\":\"flush\",\"id\":ID}\n"
        "  {\"op\":\"ack\",\"lease\":N}   {\"op\":\"nack\",\"lease\":N,\"delay\":MS}   "
        "{\"op\":\"extend\",\"lease\":N,\"ms\":MS}\n\n"
        "PAYLOAD is one of \"value\" (any JSON, a Python object for others), \"text\", \"base64\", "
        "\"file\" (a path) and \"pickle\" (base64). On the native wire \"content\" (bytes, text, "
        "json, pickle), \"ttl\" (ms), \"reply_to\", \"correlation\" and \"headers\" may stand "
        "beside it, and come with the object. Events: connected, disconnected, object, "
        "stored, failed, flushed, drained, lost, error. An object with a lease is yours until you "
        "acknowledge it (ack); what is not goes to somebody else when the pipe ends. At the end of "
        "standard input it waits until the relay has everything, and ends with status 0.",
    .examples = "echo '{\"op\":\"produce\",\"group\":\"jobs\",\"value\":{\"n\":1}}' | netkit "
                "endpoint pipe\n"
                "netkit endpoint pipe --group news < /dev/null   # nothing to say: ends at once",
    .opts = opts,
    .conf_size = sizeof(struct relay_pipe_conf),
    .run = run,
};
