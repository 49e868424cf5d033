/* SPDX-License-Identifier: MIT */
/*
 * guard - what a relay remembers about addresses: their unauthenticated connections (a bounded
 * number each, the oldest dropped first, so that a flood never keeps a newcomer out) and their
 * failed logins (each makes the next answer slower).
 */
#ifndef NK_RELAY_GUARD_H
#define NK_RELAY_GUARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct relay_guard;
struct relay_address;

/* An unauthenticated connection; embed it. */
struct relay_guest {
    void (*drop)(void *owner); /* close now: a newer connection of this address takes the place */
    void *owner;
    struct relay_address *address; /* private from here on */
    struct relay_guest *prev, *next;
};

#define RELAY_GUESTS_DEFAULT 256   /* unauthenticated connections of one address */
#define RELAY_PENALTY_FIRST_MS 250 /* delay of the close after a failed login, doubled by each */
#define RELAY_PENALTY_MAX_MS 2000  /* further one, up to this */
#define RELAY_FORGET_MS 10000      /* after this time one failure is forgotten */
#define RELAY_ADDRESSES_MAX 4096   /* remembered at one time; the oldest idle ones are forgotten */

/* relay_guard_new - at most max_guests (>= 1) guests per address. NULL when memory is missing. */
struct relay_guard *relay_guard_new(size_t max_guests);

/* relay_guard_free - every guest must have left; NULL is fine. */
void relay_guard_free(struct relay_guard *g);

/* relay_guard_enter - a connection from peer ("127.0.0.1:4711": the port is left away). May drop
 * the oldest guest of the same address. 0 or -ENOMEM. */
int relay_guard_enter(struct relay_guard *g, struct relay_guest *guest, const char *peer);

/* relay_guard_leave - authenticated or closed. Fine when not entered. */
void relay_guard_leave(struct relay_guard *g, struct relay_guest *guest);

/* relay_guard_failed - a wrong password at time now_ms: how long to wait before the connection is
 * closed, in milliseconds. The guest must be entered. */
uint64_t relay_guard_failed(struct relay_guard *g, struct relay_guest *guest, uint64_t now_ms);

/*
 * relay_guard_attempt - a login whose next answer tells the peer whether its guess was right
 * (CPace): counts as failed from now on, so that it costs the same whether the peer goes away,
 * waits, or tries many at once. Returns how many milliseconds to wait before answering: 0 for an
 * address without failures. relay_guard_forgive - it succeeded after all. The guest must be
 * entered.
 */
uint64_t relay_guard_attempt(struct relay_guard *g, struct relay_guest *guest, uint64_t now_ms);
void relay_guard_forgive(struct relay_guard *g, struct relay_guest *guest);

/* relay_guard_dropped - guests dropped so far to make room. */
uint64_t relay_guard_dropped(const struct relay_guard *g);

#endif
