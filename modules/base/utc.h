/* SPDX-License-Identifier: MIT */
/* utc - points in time as text, in UTC (RFC 3339). */
#ifndef NK_BASE_UTC_H
#define NK_BASE_UTC_H

#include <stdbool.h>
#include <stdint.h>

#define NK_UTC_SIZE 24 /* "2026-01-31T12:00:00Z", its NUL, and some room */

/* nk_format_utc - seconds since 1970 as "2026-01-31T12:00:00Z"; false, and "" in out, for a year
 * before 0 or after 9999. */
bool nk_format_utc(char out[NK_UTC_SIZE], int64_t seconds);

/* nk_parse_utc - "2026-01-31T12:00:00" with or without Z, or with a blank instead of T; digits that
 * are zero may be missing from the front of a number. 0, or NK_EFORMAT. */
int nk_parse_utc(const char *text, int64_t *out);

#endif
