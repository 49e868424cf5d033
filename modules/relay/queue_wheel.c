/* SPDX-License-Identifier: MIT */
#include "relay/queue_wheel.h"

#include <stddef.h>

enum { BITS = RELAY_WHEEL_BITS, SLOTS = RELAY_WHEEL_SLOTS, LEVELS = RELAY_WHEEL_LEVELS };
#define FARTHEST ((UINT64_C(1) << (BITS * LEVELS)) - 1)

/*
 * An entry lies on the level of the highest digit (base 64) in which its time differs from now, in
 * the slot of that digit. So everything on a level is due before anything on the levels above, and
 * within a level the slots are in order; when time reaches a slot of an upper level, its entries
 * are entered again and find their places below.
 */
void relay_wheel_enter(struct relay_wheel *w, struct relay_due *d, uint64_t when)
{
    uint64_t last = w->now | FARTHEST; /* the digits above stay equal */
    when = when > w->now ? when : w->now;
    when = when < last ? when : last;
    uint64_t differs = (when ^ w->now) | 1;
    unsigned level = (unsigned)(63 - __builtin_clzll(differs)) / BITS;
    unsigned slot = (unsigned)(when >> (level * BITS)) % SLOTS;
    struct relay_due **head = &w->slot[level][slot];
    d->when = when;
    d->where = (uint16_t)(level * SLOTS + slot);
    d->next = *head;
    d->at = head;
    if (d->next) {
        d->next->at = &d->next;
    }
    *head = d;
    w->used[level] |= UINT64_C(1) << slot;
}

void relay_wheel_leave(struct relay_wheel *w, struct relay_due *d)
{
    if (!d->at) {
        return;
    }
    *d->at = d->next;
    if (d->next) {
        d->next->at = d->at;
    }
    unsigned level = d->where / SLOTS, slot = d->where % SLOTS;
    if (!w->slot[level][slot]) {
        w->used[level] &= ~(UINT64_C(1) << slot);
    }
    d->next = NULL;
    d->at = NULL;
}

/* The first slot in use: level, slot and the time at which it begins. */
static bool first(const struct relay_wheel *w, unsigned *level, unsigned *slot, uint64_t *when)
{
    for (unsigned l = 0; l < LEVELS; l++) {
        if (w->used[l]) {
            unsigned s = (unsigned)__builtin_ctzll(w->used[l]);
            uint64_t above = w->now >> (l * BITS) >> BITS << BITS;
            *level = l;
            *slot = s;
            *when = (above | s) << (l * BITS);
            return true;
        }
    }
    return false;
}

uint64_t relay_wheel_next(const struct relay_wheel *w)
{
    unsigned level, slot;
    uint64_t when;
    if (w->moving) {
        return w->now;
    }
    return first(w, &level, &slot, &when) ? when : UINT64_MAX;
}

/* Time has come to a slot above the lowest level: its entries are to be entered again. Nothing else
 * happens before all of them are, however many pieces that takes. */
static void cascade(struct relay_wheel *w, unsigned level, unsigned slot)
{
    w->moving = w->slot[level][slot];
    w->moving->at = &w->moving;
    w->slot[level][slot] = NULL;
    w->used[level] &= ~(UINT64_C(1) << slot);
}

static void move(struct relay_wheel *w, unsigned *work)
{
    for (; w->moving && *work; (*work)--) {
        struct relay_due *d = w->moving;
        relay_wheel_leave(w, d);
        relay_wheel_enter(w, d, d->when);
    }
}

struct relay_due *relay_wheel_pop(struct relay_wheel *w, uint64_t now, unsigned *work)
{
    unsigned level, slot;
    uint64_t when;
    for (;;) {
        move(w, work);
        if (w->moving) {
            return NULL;
        }
        if (!first(w, &level, &slot, &when) || when > now) {
            break;
        }
        if (!*work) {
            return NULL;
        }
        w->now = when > w->now ? when : w->now;
        if (level == 0) {
            struct relay_due *d = w->slot[0][slot];
            relay_wheel_leave(w, d);
            (*work)--;
            return d;
        }
        cascade(w, level, slot);
    }
    w->now = now > w->now ? now : w->now;
    return NULL;
}
