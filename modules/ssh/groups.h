/* SPDX-License-Identifier: MIT */
/* groups - primes of Diffie-Hellman groups that mbedTLS does not have. */
#ifndef SSH_GROUPS_H
#define SSH_GROUPS_H

#include <stdint.h>

enum { SSH_GROUP18 = 1024 };

/* Group 18 (RFC 3526 7): 2^8192 - 2^8128 - 1 + 2^64 * ([2^8062 pi] + 4743158), big-endian; its
 * generator is 2. */
extern const uint8_t ssh_group18[SSH_GROUP18];

#endif
