/* SPDX-License-Identifier: MIT */
/*
 * A native session beyond its connection: the engine keeps what was delivered and not settled for
 * the grace, and gives it to the connection that shows the session's id.
 */
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "relay/native.h"

enum { CLAIMS_MIN = 8, CLAIMS_MAX = 65536 };

/* Only who logs in as the same identity finds the session. */
static void make_tag(struct relay_conn *c)
{
    struct relay_native_session *s = relay_native_of(c);
    crypto_generichash_state st;
    crypto_generichash_init(&st, NULL, 0, sizeof(s->tag));
    crypto_generichash_update(&st, s->id, sizeof(s->id));
    crypto_generichash_update(&st, (const uint8_t *)c->identity, strlen(c->identity));
    crypto_generichash_final(&st, s->tag, sizeof(s->tag));
}

void relay_native_resume(struct relay_conn *c)
{
    struct relay_native_session *s = relay_native_of(c);
    struct relay_engine *e = c->hub->conf.engine;
    if (c->hub->limits.grace_ms == 0 || !(e->ops->caps & RELAY_CAP_RESUME)) {
        relay_native_welcome(c);
        return;
    }
    make_tag(c);
    if (relay_engine_resume(e, s->member, s->tag, c->hub->limits.grace_ms,
                            relay_native_token(RELAY_NT_RESUME, 0, 0)) < 0) {
        relay_native_no_memory(c);
        return;
    }
    relay_conn_stall(c);
}

/* Standing credit would bring items of groups that are not open yet. */
static void withdraw(void *arg, struct relay_group *g, const struct relay_seat_stats *st)
{
    struct relay_conn *c = arg;
    struct relay_native_session *s = relay_native_of(c);
    if (st->credit) {
        (void)relay_engine_cancel(c->hub->conf.engine, s->member, g, 0); /* else it comes back */
    }
}

/* The connection that had the session until now, if it is still there. */
static void send_off_predecessor(struct relay_conn *c)
{
    const struct relay_native_session *s = relay_native_of(c);
    for (struct relay_conn *o = c->hub->conns; o; o = o->next) {
        if (o != c && o->wire == &relay_wire_native && o->session &&
            sodium_memcmp(relay_native_of(o)->tag, s->tag, sizeof(s->tag)) == 0) {
            relay_native_refuse(o, RELAY_GOAWAY_RESUMED, "another connection has the session now");
            return;
        }
    }
}

void relay_native_resumed(struct relay_conn *c, int status)
{
    struct relay_native_session *s = relay_native_of(c);
    if (status < 0) {
        relay_native_refuse(c, RELAY_GOAWAY_INTERNAL, "the session could not be set up");
        return;
    }
    s->resumed = status == 1;
    if (s->resumed) {
        send_off_predecessor(c);
        relay_queue_seats(s->member, withdraw, c);
    }
    relay_native_welcome(c);
    relay_hub_touch(c->hub); /* it was stalled until now */
}

/* --- claims ----------------------------------------------------------------------------------- */

int relay_native_claim(struct relay_handle *h, const struct relay_native_ranges *r)
{
    if (r->n > CLAIMS_MAX - h->nclaims) {
        return NK_ELIMIT;
    }
    uint32_t cap = h->claim_cap ? h->claim_cap : CLAIMS_MIN;
    while (cap < h->nclaims + r->n) {
        cap *= 2;
    }
    if (cap > h->claim_cap) {
        struct relay_native_range *v = realloc(h->claim, cap * sizeof(*v));
        if (!v) {
            return -ENOMEM;
        }
        h->claim = v;
        h->claim_cap = cap;
    }
    for (uint32_t i = 0; i < r->n; i++) {
        h->claim[h->nclaims++] = relay_native_range(r, i);
    }
    return 0;
}

static int by_first(const void *a, const void *b)
{
    const struct relay_native_range *x = a, *y = b;
    return (x->first > y->first) - (x->first < y->first);
}

/* Leases on [from, to) go back; the engine takes 32-bit counts. */
static int give_back(struct relay_conn *c, struct relay_handle *h, uint64_t from, uint64_t to)
{
    int rc = 0;
    if (to > from && to - from >= UINT32_MAX) { /* older ones ended long ago */
        from = to == UINT64_MAX ? from : to - UINT32_MAX + 1;
    }
    if (to > from) {
        uint32_t count = to - from >= UINT32_MAX ? UINT32_MAX : (uint32_t)(to - from);
        rc = relay_engine_settle(c->hub->conf.engine, h->session->member, h->group, from, count,
                                 RELAY_NACK, 0, 0);
    }
    return rc;
}

void relay_native_claims_end(struct relay_conn *c, struct relay_handle *h)
{
    uint64_t from = 1;
    int rc = 0;
    h->claiming = false;
    if (h->nclaims > 1) {
        qsort(h->claim, h->nclaims, sizeof(*h->claim), by_first);
    }
    for (uint32_t i = 0; i < h->nclaims && rc == 0; i++) {
        uint64_t end = h->claim[i].first + h->claim[i].count;
        rc = give_back(c, h, from, h->claim[i].first);
        from = end > from ? end : from;
    }
    rc = rc < 0 ? rc : give_back(c, h, from, UINT64_MAX);
    free(h->claim);
    h->claim = NULL;
    h->nclaims = h->claim_cap = 0;
    if (rc < 0) {
        relay_native_no_memory(c);
    }
}

void relay_native_forget(struct relay_conn *c)
{
    struct relay_native_session *s = relay_native_of(c);
    if (!sodium_is_zero(s->tag, sizeof(s->tag))) { /* no grace: else it waits for a client */
        (void)relay_engine_resume(c->hub->conf.engine, s->member, s->tag, 0, 0);
    }
}
