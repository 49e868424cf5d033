/* SPDX-License-Identifier: MIT */
/*
 * vanity_search - one thread's part of the search for vanity addresses.
 *
 * Every centre of the kernel has a secret of its own from the system's generator; the keys that are
 * looked at are that secret plus multiples of 8, so all of them have the clamped form (RFC 8032
 * §5.1.5). Whoever knew two keys of one such sequence could get one from the other: after a hit the
 * centre begins again with a fresh secret, and what else its block had is thrown away. So no two
 * results come from one secret. The second half of the expanded key is drawn at the hit.
 *
 * A search remembers nothing that would help it later: a new one has the same chance per key.
 */
#ifndef NK_HS_VANITY_SEARCH_H
#define NK_HS_VANITY_SEARCH_H

#include "hs/key.h"
#include "hs/vanity_kernel.h"

struct hs_vanity_search;

struct hs_vanity_hit {
    struct hs_identity identity;
    int pattern; /* its number */
};

/* hs_vanity_search_new - kernel must be usable; table and filter are borrowed. 0, -ENOMEM,
 * NK_EINTERNAL. hs_vanity_search_free wipes the secrets; NULL is fine. */
int hs_vanity_search_new(struct hs_vanity_search **out, const struct hs_vanity_kernel *kernel,
                         const struct hs_vanity_table *table,
                         const struct hs_vanity_filter *filter);
void hs_vanity_search_free(struct hs_vanity_search *s);

/*
 * hs_vanity_search_run - look at `keys` keys, rounded up to whole blocks, or until max hits (1 or
 * more) are there. *tried says how many it were. Each hit's public key was computed from its secret
 * by libsodium and fulfils its pattern. 0; NK_EINTERNAL when that was not so: the arithmetic is
 * broken, nothing can be used (hits found before are still there). The caller wipes the hits. On
 * any thread, one at a time per search.
 */
int hs_vanity_search_run(struct hs_vanity_search *s, uint64_t keys, struct hs_vanity_hit *hits,
                         unsigned max, unsigned *nhits, uint64_t *tried);

#endif
