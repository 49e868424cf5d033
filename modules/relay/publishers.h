/* SPDX-License-Identifier: MIT */
/*
 * publishers - numbers for the identities that send objects (relay_object.publisher): who may be
 * asked about later, when what he sent is still there. Pure.
 */
#ifndef NK_RELAY_PUBLISHERS_H
#define NK_RELAY_PUBLISHERS_H

#include <stddef.h>
#include <stdint.h>

#define RELAY_PUBLISHERS_MAX 65536 /* identities that ever sent something */

/* Zero it. */
struct relay_publishers {
    char **name; /* number n is the one at n - 1 */
    uint32_t n;
};

/* relay_publisher - the number of an identity of len bytes, the same as long as the table lives. 0
 * when memory is missing, or there are too many. */
uint32_t relay_publisher(struct relay_publishers *p, const char *identity, size_t len);

/* relay_publisher_name - its name, which lives as long as the table; NULL for 0 and what was never
 * given. */
const char *relay_publisher_name(const struct relay_publishers *p, uint32_t number);

/* relay_publishers_clear - forget them all. */
void relay_publishers_clear(struct relay_publishers *p);

#endif
