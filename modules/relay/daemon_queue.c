/* SPDX-License-Identifier: MIT */
#include "relay/daemon_queue.h"

#include <stdlib.h>
#include <string.h>

void relay_local_init(struct relay_local *q, const struct relay_local_limits *limits)
{
    *q = (struct relay_local){.limits = *limits, .next_number = 1};
}

bool relay_local_is_item(const struct relay_local_item *it)
{
    return it->kind == RELAY_KIND_ITEM || it->kind == RELAY_KIND_UNKNOWN;
}

/* What it takes of the limit in bytes. */
static size_t weight(const struct relay_local_item *it)
{
    return it->meta_len + it->len;
}

/* --- lists ------------------------------------------------------------------------------------ */

static void list_remove(struct relay_local_list *l, struct relay_local_item *it)
{
    if (l->first == it) {
        l->first = it->next;
    } else {
        it->prev->next = it->next;
    }
    if (l->last == it) {
        l->last = it->prev;
    } else {
        it->next->prev = it->prev;
    }
    it->prev = it->next = NULL;
    l->n--;
}

/* Insert behind `after`; NULL: first. */
static void list_insert(struct relay_local_list *l, struct relay_local_item *after,
                        struct relay_local_item *it)
{
    it->prev = after;
    it->next = after ? after->next : l->first;
    *(after ? &after->next : &l->first) = it;
    *(it->next ? &it->next->prev : &l->last) = it;
    l->n++;
}

static void wait_remove(struct relay_local *q, struct relay_local_item *it)
{
    list_remove(&q->waiting, it);
    if (!relay_local_is_item(it)) {
        q->broadcasts--;
        q->broadcast_bytes -= weight(it);
    }
}

static void wait_insert(struct relay_local *q, struct relay_local_item *after,
                        struct relay_local_item *it)
{
    list_insert(&q->waiting, after, it);
    if (!relay_local_is_item(it)) {
        q->broadcasts++;
        q->broadcast_bytes += weight(it);
    }
}

/* It is on no list any more. */
static void forget(struct relay_local *q, struct relay_local_item *it)
{
    q->items--;
    q->bytes -= weight(it);
    free(it);
}

void relay_local_clear(struct relay_local *q)
{
    while (q->waiting.first) {
        struct relay_local_item *it = q->waiting.first;
        wait_remove(q, it);
        forget(q, it);
    }
}

/* --- in --------------------------------------------------------------------------------------- */

static bool over(const struct relay_local *q)
{
    return (q->limits.max_items > 0 && q->items > q->limits.max_items) ||
           (q->limits.max_bytes > 0 && q->bytes > q->limits.max_bytes);
}

static void drop_oldest(struct relay_local *q, relay_local_fn *dropped, void *arg)
{
    struct relay_local_item *it = q->waiting.first;
    while (q->broadcasts > 0 && it && it != q->waiting.last && over(q)) {
        struct relay_local_item *next = it->next;
        if (!relay_local_is_item(it)) {
            wait_remove(q, it);
            q->count.dropped++;
            dropped(arg, it);
            forget(q, it);
        }
        it = next;
    }
}

int relay_local_put(struct relay_local *q, const struct relay_client_object *d,
                    relay_local_fn *dropped, void *arg)
{
    size_t meta_len = d->meta ? d->meta->len : 0; /* 64 KiB at most */
    struct relay_local_item *it =
        d->len < SIZE_MAX / 2 ? malloc(sizeof(*it) + meta_len + d->len) : NULL;
    if (!it) {
        return -ENOMEM;
    }
    *it = (struct relay_local_item){.number = q->next_number++,
                                    .lease = d->lease,
                                    .group = d->group,
                                    .kind = d->kind,
                                    .content = d->content,
                                    .seq = d->seq,
                                    .tries = d->tries,
                                    .meta_len = meta_len,
                                    .len = d->len};
    if (meta_len > 0) {
        memcpy(it->data, d->meta_block, meta_len);
    }
    if (d->len > 0) {
        memcpy(it->data + meta_len, d->data, d->len);
    }
    q->items++;
    q->bytes += weight(it);
    q->count.received++;
    wait_insert(q, q->waiting.last, it);
    drop_oldest(q, dropped, arg);
    return 0;
}

uint64_t relay_local_room(const struct relay_local *q)
{
    if (q->limits.max_bytes > 0 && q->bytes - q->broadcast_bytes >= q->limits.max_bytes) {
        return 0;
    }
    if (q->limits.max_items == 0) {
        return UINT64_MAX;
    }
    uint64_t kept = q->items - q->broadcasts;
    return kept < q->limits.max_items ? q->limits.max_items - kept : 0;
}

/* --- out -------------------------------------------------------------------------------------- */

static void lend(struct relay_local *q, struct relay_local_item *it, struct relay_local_list *loan)
{
    wait_remove(q, it);
    list_insert(loan, loan->last, it);
}

void relay_local_take(struct relay_local *q, uint64_t max, struct relay_local_list *loan)
{
    for (; max > 0 && q->waiting.first; max--) {
        lend(q, q->waiting.first, loan);
    }
}

void relay_local_take_last(struct relay_local *q, uint64_t max, struct relay_local_list *loan,
                           relay_local_fn *skipped, void *arg)
{
    while (max > 0 && q->waiting.n > max) {
        struct relay_local_item *it = q->waiting.first;
        wait_remove(q, it);
        q->count.skipped++;
        skipped(arg, it);
        forget(q, it);
    }
    relay_local_take(q, UINT64_MAX, loan);
}

void relay_local_confirm(struct relay_local *q, struct relay_local_list *loan, relay_local_fn *done,
                         void *arg)
{
    while (loan->first) {
        struct relay_local_item *it = loan->first;
        list_remove(loan, it);
        q->count.taken++;
        done(arg, it);
        forget(q, it);
    }
}

void relay_local_return(struct relay_local *q, struct relay_local_list *loan)
{
    struct relay_local_item *at = NULL; /* the last one that is older */
    while (loan->first) {
        struct relay_local_item *it = loan->first;
        list_remove(loan, it);
        if (it->lost) {
            forget(q, it);
            continue;
        }
        struct relay_local_item *next = at ? at->next : q->waiting.first;
        while (next && next->number < it->number) {
            at = next;
            next = next->next;
        }
        wait_insert(q, at, it);
        at = it;
        q->count.returned++;
    }
}

/* --- after a loss ----------------------------------------------------------------------------- */

uint64_t relay_local_sweep(struct relay_local *q,
                           bool (*gone)(void *arg, const struct relay_local_item *it), void *arg)
{
    uint64_t n = 0;
    for (struct relay_local_item *it = q->waiting.first, *next; it; it = next) {
        next = it->next;
        if (gone(arg, it)) {
            wait_remove(q, it);
            q->count.lost++;
            forget(q, it);
            n++;
        }
    }
    return n;
}

uint64_t relay_local_sweep_loan(struct relay_local *q, struct relay_local_list *loan,
                                bool (*gone)(void *arg, const struct relay_local_item *it),
                                void *arg)
{
    uint64_t n = 0;
    for (struct relay_local_item *it = loan->first; it; it = it->next) {
        if (!it->lost && gone(arg, it)) {
            it->lost = true;
            q->count.lost++;
            n++;
        }
    }
    return n;
}
