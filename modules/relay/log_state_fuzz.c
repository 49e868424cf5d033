/* SPDX-License-Identifier: MIT */
/*
 * Records in any order and of any contents, with their checksums put right: whatever they say, the
 * state that they add up to keeps its own rules.
 */
#include <stdlib.h>
#include <string.h>

#include "relay/log_segment.h"
#include "relay/log_state.h"

enum { PARTS = 3 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_items(const struct relay_log_group *g)
{
    uint64_t end = 0;
    for (size_t i = 0; i < g->items.n; i++) {
        const struct relay_log_item *it = relay_log_items_at(&g->items, i);
        if (it->copies == 0 || (i && it->first < end)) {
            abort();
        }
        end = it->first + it->copies;
    }
}

/* What is alive is counted where it lies. */
static void check(const struct relay_log_state *s)
{
    uint64_t live = 0, leases = 0, producers = 0, counted = 0;
    for (const struct relay_log_group *g = s->groups; g; g = g->next) {
        check_items(g);
        live += g->items.n + (g->retained.segment != 0) + g->producers;
        leases += g->leases;
        producers += g->producers;
    }
    for (size_t i = 0; i < s->nparts; i++) {
        counted += s->part[i].live;
    }
    if (live != counted || leases != s->nleases || producers != s->nproducers) {
        abort();
    }
}

static void apply(struct relay_log_state *s, const uint8_t *p, size_t n)
{
    struct relay_log_record r;
    size_t used;
    for (size_t at = 0; relay_log_record_read(p + at, n - at, &r, &used) == 0; at += used) {
        if (relay_log_check(&r) == 0) {
            (void)relay_log_state_apply(s, &r, at + RELAY_LOG_HEAD, at);
        }
    }
}

/* Lengths that do not fit are made to, and the checksums are right. */
static void put_right(uint8_t *p, size_t n)
{
    for (size_t at = 0; n - at >= RELAY_LOG_HEAD;) {
        size_t room = n - at - RELAY_LOG_HEAD, len = relay_log_get32(p + at) & 0xff;
        len = len < room ? len : room;
        struct relay_log_record r = {.type = p[at + 8],
                                     .flags = p[at + 9],
                                     .group = p[at + 12] & 3,
                                     .seq = relay_log_get64(p + at + 16),
                                     .len = len};
        uint8_t body[256];
        memcpy(body, p + at + RELAY_LOG_HEAD, len);
        r.body = body;
        relay_log_record_write(p + at, &r);
        at += RELAY_LOG_HEAD + len;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct relay_log_state s = {0};
    uint8_t *p = malloc(size ? size : 1);
    if (!p) {
        return 0;
    }
    if (size) {
        memcpy(p, data, size);
    }
    put_right(p, size);
    for (size_t i = 0; i < PARTS; i++) {
        size_t from = size * i / PARTS;
        if (relay_log_state_part(&s, i + 1, 0) < 0) {
            break;
        }
        apply(&s, i ? p + from : p, i ? size - from : size);
        check(&s);
    }
    relay_log_state_forget_producers(&s, size / 2);
    check(&s);
    relay_log_state_lose(&s, 2);
    check(&s);
    relay_log_state_clear(&s);
    free(p);
    return 0;
}
