/* SPDX-License-Identifier: MIT */
/*
 * client_ranges - a set of sequence numbers as ascending ranges, for the leases that a client
 * holds. Numbers mostly come in order and go in order; then it is one range. Pure.
 */
#ifndef NK_RELAY_CLIENT_RANGES_H
#define NK_RELAY_CLIENT_RANGES_H

#include <stdbool.h>
#include <stdint.h>

#include "relay/wire_native.h"

struct client_ranges {
    struct relay_native_range *v; /* neither overlapping nor touching, unless a count is full */
    uint32_t n, cap;
};

/* client_ranges_add - seq belongs to it from now on. 0 or -ENOMEM. */
int client_ranges_add(struct client_ranges *r, uint64_t seq);

/* client_ranges_remove - seq does not belong to it any more; false when it did not. -ENOMEM cannot
 * be: where a range would have to be split and there is no room, seq stays (it is claimed once too
 * often then, and the relay says so). */
bool client_ranges_remove(struct client_ranges *r, uint64_t seq);

/* client_ranges_has - does seq belong to it? */
bool client_ranges_has(const struct client_ranges *r, uint64_t seq);

/* client_ranges_clear - empty, and its memory is freed. */
void client_ranges_clear(struct client_ranges *r);

#endif
