/* SPDX-License-Identifier: MIT */
/* twins - which of many keys or addresses are the same, in n log n steps. */
#ifndef NK_HS_TWINS_H
#define NK_HS_TWINS_H

#include <stddef.h>
#include <stdint.h>

#include "hs/key.h"

/* One of them. */
struct hs_twin {
    const uint8_t *key; /* HS_PUBLIC_KEY bytes, of the caller */
    size_t index;       /* the caller's; each greater than the one before */
    size_t first;       /* set: the least index with this key; the own one when there is no other */
};

/* hs_twins_find - set `first` of n entries; they stay in their order. */
void hs_twins_find(struct hs_twin *v, size_t n);

#endif
