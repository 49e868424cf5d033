/* SPDX-License-Identifier: MIT */
#include "core/gather.h"

static size_t from(const struct nk_gather *g)
{
    return (size_t)NK_GATHER_FROM << g->doubled;
}

static void count_anew(struct nk_gather *g, uint64_t now_ms)
{
    g->since_ms = now_ms;
    g->bytes = 0;
}

static bool end(struct nk_gather *g)
{
    bool was = g->least > 0;
    g->least = 0;
    g->bytes = 0;
    return was;
}

bool nk_gather_read(struct nk_gather *g, size_t n, uint64_t now_ms)
{
    if (g->bytes == 0 || now_ms - g->last_ms > NK_GATHER_PAUSE_MS) {
        count_anew(g, now_ms);
    }
    g->last_ms = now_ms;
    g->bytes += n;
    g->burst += n;
    if (g->least > 0) {
        g->doubled = g->bytes >= NK_GATHER_FROM_MAX ? 0 : g->doubled;
        return false;
    }
    if (g->bytes < from(g)) {
        return false;
    }
    uint64_t passed = now_ms - g->since_ms, half = g->bytes / (passed ? passed : 1) / 2;
    count_anew(g, now_ms);
    g->least = half < NK_GATHER_LEAST ? 0 : half > NK_GATHER_MOST ? NK_GATHER_MOST : half;
    return g->least > 0;
}

bool nk_gather_wrote(struct nk_gather *g)
{
    bool talk = g->burst < NK_GATHER_TALK;
    g->burst = 0;
    return talk && end(g);
}

bool nk_gather_late(struct nk_gather *g)
{
    g->doubled += from(g) < NK_GATHER_FROM_MAX;
    return end(g);
}
