/* SPDX-License-Identifier: MIT */
/* netkit relay log inspect: what is written in the log of a relay that does not run. */
#include <inttypes.h>
#include <stdio.h>

#include "base/json.h"
#include "relay/log_tool.h"

#define JSON_MAX ((size_t)64 * 1024 * 1024)

struct inspect_conf {
    bool records;
};

static const struct nk_opt opts[] = {
    {.name = "records",
     .type = NK_OPT_FLAG,
     .offset = NK_FIELD(struct inspect_conf, records),
     .help = "Every record as well: where it stands, type, group, number, bytes, flags"},
    NK_OPT_END};

static void print_record(void *arg, const struct relay_log_record *r, size_t at)
{
    (void)arg;
    printf("  %12zu  %-10s  group %-6" PRIu32 " number %-12" PRIu64 " %zu bytes  flags %02x\n", at,
           relay_log_type_name(r->type), r->group, r->seq, r->len, r->flags);
}

static void json_segment(struct nk_json *j, uint64_t number, const struct relay_log_tool_segment *s)
{
    nk_json_object(j);
    nk_json_kv_u64(j, "segment", number);
    nk_json_kv_u64(j, "bytes", s->bytes);
    nk_json_kv_u64(j, "created_ms", s->head.created_ms);
    nk_json_kv_bool(j, "index", s->index == RELAY_LOG_INDEX_GOOD);
    nk_json_kv_str(j, "error", s->error ? nk_err_name(s->error) : NULL);
    nk_json_kv_bool(j, "torn", s->torn);
    nk_json_key(j, "records");
    nk_json_object(j);
    for (unsigned type = RELAY_LOG_GROUP; type < RELAY_LOG_TYPES; type++) {
        nk_json_kv_u64(j, relay_log_type_name((uint8_t)type), s->records[type]);
    }
    nk_json_close(j);
    nk_json_close(j);
}

static void print_segment(uint64_t number, const struct relay_log_tool_segment *s)
{
    printf("segment %016" PRIx64 "  %" PRIu64 " bytes%s%s\n", number, s->bytes,
           s->index == RELAY_LOG_INDEX_GOOD ? ", indexed" : "",
           s->torn    ? ", the end was not written completely"
           : s->error ? ", DAMAGED"
                      : "");
    for (unsigned type = RELAY_LOG_GROUP; type < RELAY_LOG_TYPES; type++) {
        if (s->records[type]) {
            printf("  %-10s %" PRIu64 "\n", relay_log_type_name((uint8_t)type), s->records[type]);
        }
    }
}

static int inspect(struct nk_cmd_ctx *ctx, const struct relay_log_tool *t, struct nk_json *j)
{
    const struct inspect_conf *c = ctx->conf;
    bool json = ctx->globals->json;
    for (size_t i = 0; i < t->n; i++) {
        struct relay_log_tool_segment s;
        int rc = relay_log_tool_read(t, i, &s, c->records && !json ? print_record : NULL, NULL);
        if (rc < 0) {
            return nk_fail_sys(&ctx->diag, rc, "segment %016" PRIx64, t->number[i]);
        }
        if (json) {
            json_segment(j, t->number[i], &s);
        } else {
            print_segment(t->number[i], &s);
        }
    }
    return 0;
}

static int run(struct nk_cmd_ctx *ctx)
{
    struct relay_log_tool t;
    struct nk_buf out;
    struct nk_json j;
    nk_buf_init(&out, JSON_MAX);
    nk_json_init(&j, &out, true);
    nk_json_array(&j);
    int rc = relay_log_tool_open(&t, ctx);
    rc = rc < 0 ? rc : inspect(ctx, &t, &j);
    nk_json_close(&j);
    if (rc == 0 && ctx->globals->json && (rc = nk_json_end(&j)) == 0) {
        printf("%s\n", nk_buf_str(&out));
    }
    nk_buf_clear(&out);
    relay_log_tool_close(&t);
    return rc;
}

extern const struct nk_cmd nk_cmd_relay_log_inspect;
const struct nk_cmd nk_cmd_relay_log_inspect = {
    .synopsis = "[--records]",
    .summary = "Show what the log of a stopped relay holds",
    .opts = opts,
    .conf_size = sizeof(struct inspect_conf),
    .flags = NK_CMD_NO_CONFIG,
    .run = run,
};
