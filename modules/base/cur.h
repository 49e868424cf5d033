/* SPDX-License-Identifier: MIT */
/*
 * cur - a reading cursor over borrowed bytes with a sticky failure flag.
 *
 * Getters return the value and, once a read would pass the end, set `failed`; from then on every
 * getter returns 0/NULL without moving. Parse a whole message, then ask nk_cur_done() once: it
 * is true only when nothing failed and every byte was consumed.
 */
#ifndef NK_BASE_CUR_H
#define NK_BASE_CUR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct nk_cur {
    const uint8_t *p;
    const uint8_t *end;
    bool failed;
};

/* nk_cur_init - read the n bytes at p, which must outlive the cursor. */
void nk_cur_init(struct nk_cur *c, const void *p, size_t n);

/* nk_cur_left - bytes not yet read (0 after a failure). */
size_t nk_cur_left(const struct nk_cur *c);

/* nk_cur_done - true when nothing failed and all bytes were consumed. */
bool nk_cur_done(const struct nk_cur *c);

/* nk_cur_fail - mark the input as malformed (for checks of the caller's own). */
void nk_cur_fail(struct nk_cur *c);

/* Fixed-width integers, big endian (be) and little endian (le). 0 after a failure. */
uint8_t nk_cur_u8(struct nk_cur *c);
uint16_t nk_cur_be16(struct nk_cur *c);
uint32_t nk_cur_be32(struct nk_cur *c);
uint64_t nk_cur_be64(struct nk_cur *c);
uint16_t nk_cur_le16(struct nk_cur *c);
uint32_t nk_cur_le32(struct nk_cur *c);
uint64_t nk_cur_le64(struct nk_cur *c);

/* nk_cur_bytes - borrow the next n bytes, or NULL on failure (also NULL is never returned for n==0
 * on a live cursor: then it points at the position). */
const uint8_t *nk_cur_bytes(struct nk_cur *c, size_t n);

/* nk_cur_copy - copy the next n bytes to out; out is untouched on failure. Returns success. */
bool nk_cur_copy(struct nk_cur *c, void *out, size_t n);

/* nk_cur_sub - sub-cursor over the next n bytes, which are skipped here. On failure the sub-cursor
 * is failed too. The caller must check nk_cur_done() of the sub-cursor itself. */
struct nk_cur nk_cur_sub(struct nk_cur *c, size_t n);

#endif
