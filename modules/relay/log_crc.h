/* SPDX-License-Identifier: MIT */
/*
 * log_crc - CRC-32C (Castagnoli; RFC 3720 appendix B.4), pure: with SSE4.2's instruction where the
 * processor has it, else by table.
 */
#ifndef NK_RELAY_LOG_CRC_H
#define NK_RELAY_LOG_CRC_H

#include <stddef.h>
#include <stdint.h>

/* relay_crc32c - continue crc (0 at the start) over n bytes at p. May be called on any thread. */
uint32_t relay_crc32c(uint32_t crc, const void *p, size_t n);

/* relay_crc32c_table - the same, always by table. */
uint32_t relay_crc32c_table(uint32_t crc, const void *p, size_t n);

#endif
