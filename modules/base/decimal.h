/* SPDX-License-Identifier: MIT */
/* decimal - read a floating point number, faster than the C library does. */
#ifndef NK_BASE_DECIMAL_H
#define NK_BASE_DECIMAL_H

/*
 * nk_strtod - strtod(3) in every respect: what it accepts, the nearest double, *end behind what was
 * read (end may be NULL). Plain numbers of at most 19 digits that are no further than 27 places
 * from the point, as programs write doubles, take an eighth of the time with musl; the rest goes to
 * strtod.
 */
double nk_strtod(const char *text, char **end);

#endif
