/* SPDX-License-Identifier: MIT */
/* What a connection reads: which wire it is, how its bytes come to the session, and when they wait.
 */
#include "relay/conn.h"

#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "relay/wire_native.h"

enum { STASH_KEEP = 512 }; /* bytes of an emptied stash that stay allocated */

void relay_conn_unwait(struct relay_conn *c)
{
    if (!c->stalled) {
        return;
    }
    c->stalled = false;
    *(c->wait_prev ? &c->wait_prev->wait_next : &c->hub->waiting) = c->wait_next;
    if (c->wait_next) {
        c->wait_next->wait_prev = c->wait_prev;
    }
    c->wait_prev = c->wait_next = NULL;
}

void relay_conn_stall(struct relay_conn *c)
{
    struct relay_hub *h = c->hub;
    if (c->stalled || c->closed || c->ending) {
        return;
    }
    h->count.stalls++;
    c->stalled = true;
    c->wait_next = h->waiting;
    if (h->waiting) {
        h->waiting->wait_prev = c;
    }
    h->waiting = c;
    nk_stream_interest(c->s, NK_WRITABLE);
}

static bool stopped(const struct relay_conn *c)
{
    return c->closed || c->ending || c->stalled || c->penalty;
}

/* Keep n bytes at p for later; p may lie in the stash itself. */
static void stash_set(struct relay_conn *c, const uint8_t *p, size_t n)
{
    if (n > c->stash_cap) {
        uint8_t *v = malloc(n);
        if (!v) {
            relay_conn_close(c, NK_LOG_ERROR, "%s", nk_strerror(-ENOMEM));
            return;
        }
        memcpy(v, p, n);
        free(c->stash);
        c->stash = v;
        c->stash_cap = n;
    } else if (n) {
        memmove(c->stash, p, n);
    } else if (c->stash_cap > STASH_KEEP) {
        free(c->stash);
        c->stash = NULL;
        c->stash_cap = 0;
    }
    c->stash_len = n;
}

void relay_conn_use_wire(struct relay_conn *c, const struct relay_wire *w)
{
    c->wire = w;
    if (w->open(c) < 0) {
        relay_conn_close(c, NK_LOG_ERROR, "%s", nk_strerror(-ENOMEM));
    }
}

/* The first byte of a connection without TLS says which wire it is. */
static void choose_wire(struct relay_conn *c, uint8_t first)
{
    c->choosing = false;
    if (first == RELAY_N_HELLO) {
        c->wire->close(c);
        relay_conn_use_wire(c, &relay_wire_native);
    }
}

static void take_input(struct relay_conn *c, const uint8_t *p, size_t n)
{
    if (c->choosing) {
        choose_wire(c, p[0]);
    }
    if (c->closed) {
        return;
    }
    size_t used = c->wire->input(c, p, n);
    if (!c->closed) {
        stash_set(c, p + used, n - used);
    }
}

static void take_chunk_input(struct relay_conn *c)
{
    size_t used = c->wire->input(c, c->rx->bytes + c->rx_at, c->rx_len);
    if (!c->closed) {
        c->rx_at += used;
        c->rx_len -= used;
    }
}

static ssize_t read_chunk(struct relay_conn *c, size_t *room)
{
    uint8_t *to = relay_rx_take(c, room);
    ssize_t got = to ? nk_stream_read(c->s, to, *room) : -ENOMEM;
    if (got > 0) {
        c->rx_len += (size_t)got;
        take_chunk_input(c);
    }
    return got;
}

/* One read. Returns what the stream returned; *room is what was asked for. */
static ssize_t read_once(struct relay_conn *c, size_t *room)
{
    if (c->wire->chunks) {
        return read_chunk(c, room);
    }
    uint8_t *scratch = c->hub->scratch, *to = c->wire->direct(c, room);
    ssize_t got;
    if (to) {
        got = nk_stream_read(c->s, to, *room);
        if (got > 0) {
            c->wire->direct_done(c, (size_t)got);
        }
        return got;
    }
    *room = RELAY_SCRATCH - c->stash_len;
    got = nk_stream_read(c->s, scratch + c->stash_len, *room);
    if (got > 0) {
        if (c->stash_len) {
            memcpy(scratch, c->stash, c->stash_len);
        }
        take_input(c, scratch, c->stash_len + (size_t)got);
    }
    return got;
}

static void read_ended(struct relay_conn *c, ssize_t got)
{
    if (got < 0 && got != NK_ETRUNC) {
        relay_conn_close(c, NK_LOG_INFO, "%s", nk_strerror((int)got));
    } else if (!c->wire->established(c)) {
        relay_conn_close(
            c, NK_LOG_WARN,
            "the endpoint closed it before its HELLO (an Endpoint with a serializer of "
            "its own cannot read this relay's)");
    } else { /* it may still read what waits for it */
        relay_conn_end(c, NK_LOG_INFO, "the endpoint closed it%s",
                       c->stash_len ? " in the middle of a frame" : "");
    }
}

void relay_conn_readable(struct relay_conn *c)
{
    struct relay_hub *h = c->hub;
    bool any = false;
    while (!stopped(c)) {
        size_t room;
        ssize_t got = read_once(c, &room);
        if (got == NK_EAGAIN) {
            break;
        }
        if (got <= 0) {
            read_ended(c, got);
            break;
        }
        any = true;
        h->count.bytes_in += (uint64_t)got;
        if ((size_t)got < room) {
            break; /* drained; if not, the event comes again */
        }
    }
    if (!c->closed && relay_rx_park(c) < 0) {
        relay_conn_close(c, NK_LOG_ERROR, "%s", nk_strerror(-ENOMEM));
    }
    if (any && !c->closed) {
        c->rx_ms = nk_now_ms(h->conf.app);
        c->unheard = 0;
        c->pinged_ms = 0;
        if (!c->wire->direct(c, &(size_t){0})) { /* not in the middle of a large object */
            c->owes_ack = true;
            relay_conn_output(c);
        }
    }
    relay_hub_touch(h);
}

static void retry_chunk(struct relay_conn *c)
{
    if (relay_rx_take(c, &(size_t){0}) == NULL) {
        relay_conn_close(c, NK_LOG_ERROR, "%s", nk_strerror(-ENOMEM));
        return;
    }
    take_chunk_input(c);
    if (!c->closed && relay_rx_park(c) < 0) {
        relay_conn_close(c, NK_LOG_ERROR, "%s", nk_strerror(-ENOMEM));
    }
}

void relay_conn_retry(struct relay_conn *c)
{
    if (c->hub->draining || !c->wire->ready(c)) {
        return;
    }
    relay_conn_unwait(c);
    if (c->wire->chunks) {
        retry_chunk(c);
    } else if (c->stash_len) {
        /* the wire may stall again and leave the rest */
        size_t n = c->stash_len;
        size_t used = c->wire->input(c, c->stash, n);
        if (c->closed) {
            return;
        }
        stash_set(c, c->stash + used, n - used);
    }
    if (!stopped(c)) {
        nk_stream_interest(c->s, NK_READABLE | NK_WRITABLE);
    }
}
