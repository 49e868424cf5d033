/* SPDX-License-Identifier: MIT */
/*
 * utf8 - one character at a time, for the writers that must look at each (escape, JSON, log).
 */
#ifndef NK_BASE_UTF8_H
#define NK_BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* nk_utf8_next - decode the character at p (n bytes left) into *cp; returns its length 1..4, or 0
 * when the bytes there are not well-formed UTF-8 (RFC 3629: shortest form, no surrogates). */
size_t nk_utf8_next(const uint8_t *p, size_t n, uint32_t *cp);

/* nk_utf8_control - true for characters that must not reach a log or terminal as they are: C0 and
 * C1 controls, DEL, direction marks and overrides, line and paragraph separators. */
bool nk_utf8_control(uint32_t cp);

#endif
