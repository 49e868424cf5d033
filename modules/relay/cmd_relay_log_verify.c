/* SPDX-License-Identifier: MIT */
/* netkit relay log verify: read every byte of the log of a relay that does not run. */
#include <inttypes.h>
#include <stdio.h>

#include "base/json.h"
#include "relay/log_tool.h"

struct sums {
    uint64_t records, bytes, damaged, torn;
};

static void complain(const struct relay_log_tool *t, size_t i,
                     const struct relay_log_tool_segment *s)
{
    if (s->torn) {
        printf("segment %016" PRIx64 ": the last %" PRIu64
               " bytes were not written completely; the next start drops them\n",
               t->number[i], s->bytes - s->good);
    } else if (s->error) {
        printf("segment %016" PRIx64 ": damaged at byte %" PRIu64 " of %" PRIu64 ": %s\n",
               t->number[i], s->good, s->bytes, nk_strerror(s->error));
    } else if (s->index == RELAY_LOG_INDEX_BAD) {
        printf("segment %016" PRIx64 ": its index does not fit; delete %016" PRIx64
               ".idx and it is made again\n",
               t->number[i], t->number[i]);
    } else {
        printf("segment %016" PRIx64 ": is missing before it\n", t->number[i]);
    }
}

static int verify(struct nk_cmd_ctx *ctx, const struct relay_log_tool *t, struct sums *sums)
{
    for (size_t i = 0; i < t->n; i++) {
        struct relay_log_tool_segment s;
        int rc = relay_log_tool_read(t, i, &s, NULL, NULL);
        if (rc < 0) {
            return nk_fail_sys(&ctx->diag, rc, "segment %016" PRIx64, t->number[i]);
        }
        bool gap = i && t->number[i] != t->number[i - 1] + 1;
        bool bad = (s.error && !s.torn) || s.index == RELAY_LOG_INDEX_BAD || gap;
        sums->damaged += bad;
        sums->torn += s.torn;
        sums->bytes += s.bytes;
        for (size_t type = 0; type < RELAY_LOG_TYPES; type++) {
            sums->records += s.records[type];
        }
        if ((bad || s.torn) && !ctx->globals->json) {
            complain(t, i, &s);
        }
    }
    return 0;
}

static void report(const struct nk_cmd_ctx *ctx, const struct relay_log_tool *t,
                   const struct sums *sums)
{
    if (ctx->globals->json) {
        printf("{\"segments\": %zu, \"records\": %" PRIu64 ", \"bytes\": %" PRIu64
               ", \"damaged\": %" PRIu64 ", \"torn\": %s}\n",
               t->n, sums->records, sums->bytes, sums->damaged, sums->torn ? "true" : "false");
    } else if (!ctx->globals->quiet && !sums->damaged) {
        printf("%zu segments, %" PRIu64 " records, %" PRIu64 " bytes: good\n", t->n, sums->records,
               sums->bytes);
    }
}

static int run(struct nk_cmd_ctx *ctx)
{
    struct relay_log_tool t;
    struct sums sums = {0};
    int rc = relay_log_tool_open(&t, ctx);
    rc = rc < 0 ? rc : verify(ctx, &t, &sums);
    if (rc == 0) {
        report(ctx, &t, &sums);
    }
    if (rc == 0 && sums.damaged) {
        rc = nk_fail(&ctx->diag, NK_EFORMAT, "%" PRIu64 " segments of %s are damaged", sums.damaged,
                     t.path);
        nk_hint(&ctx->diag, "'netkit relay --log-damage quarantine' puts them aside");
    }
    relay_log_tool_close(&t);
    return rc;
}

extern const struct nk_cmd nk_cmd_relay_log_verify;
const struct nk_cmd nk_cmd_relay_log_verify = {
    .synopsis = "",
    .summary = "Check every checksum in the log of a stopped relay",
    .flags = NK_CMD_NO_CONFIG,
    .run = run,
};
