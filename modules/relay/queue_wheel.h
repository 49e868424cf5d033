/* SPDX-License-Identifier: MIT */
/*
 * queue_wheel - when things are due, pure: a timer wheel of milliseconds with 8 levels of 64 slots,
 * for as many entries as there are leases. Entering and leaving cost the same for one and for a
 * million; entries more than 2^48 ms away are due then.
 */
#ifndef NK_RELAY_QUEUE_WHEEL_H
#define NK_RELAY_QUEUE_WHEEL_H

#include <stdbool.h>
#include <stdint.h>

#define RELAY_WHEEL_BITS 6
#define RELAY_WHEEL_SLOTS (1 << RELAY_WHEEL_BITS)
#define RELAY_WHEEL_LEVELS 8

/* One entry, embedded in what it is about. Zero it. */
struct relay_due {
    struct relay_due *next, **at; /* at: who points here; NULL = not entered */
    uint64_t when;
    uint16_t where; /* level * RELAY_WHEEL_SLOTS + slot */
    uint8_t what;   /* for the user */
};

struct relay_wheel {
    uint64_t now;
    uint64_t used[RELAY_WHEEL_LEVELS]; /* bit per slot */
    struct relay_due *slot[RELAY_WHEEL_LEVELS][RELAY_WHEEL_SLOTS];
    struct relay_due *moving; /* of a slot that time has come to: they find their places below */
};

/* relay_wheel_enter - d is due at `when` (or now, when that is over). It must not be entered.
 * relay_wheel_leave - not any more; fine when it is not entered. */
void relay_wheel_enter(struct relay_wheel *w, struct relay_due *d, uint64_t when);
void relay_wheel_leave(struct relay_wheel *w, struct relay_due *d);

/* relay_wheel_pop - the next entry that is due at `now` or before, taken out; NULL when there is
 * none, and w->now is `now` from then on. Time does not go back. *work goes down by one for each
 * entry that is looked at; NULL with *work 0 means that it was used up, and relay_wheel_next says
 * when to go on: at once. */
struct relay_due *relay_wheel_pop(struct relay_wheel *w, uint64_t now, unsigned *work);

/* relay_wheel_next - a time at which it is worth to look again, not later than the first entry is
 * due; UINT64_MAX when there is none. */
uint64_t relay_wheel_next(const struct relay_wheel *w);

static inline bool relay_due_entered(const struct relay_due *d)
{
    return d->at != 0;
}

#endif
