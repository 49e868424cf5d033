/* SPDX-License-Identifier: MIT */
/* Checkpoints of a search: what can be read has the bounds that the header promises. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "hs/vanity_checkpoint.h"
#include "hs/vanity_filter.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hs_vanity_checkpoint c = {0};
    struct nk_diag diag = {0};
    int rc = hs_vanity_checkpoint_parse(data, size, &c, &diag);
    if (rc == 0 && (c.wanted < 1 || c.wanted > HS_VANITY_FOUND_MAX || c.patterns.n < 1 ||
                    c.patterns.n > HS_VANITY_PATTERNS || c.found.n > HS_VANITY_FOUND_MAX)) {
        abort();
    }
    if (rc < 0 && (diag.text[0] == 0 || c.patterns.v || c.found.v)) {
        abort();
    }
    hs_vanity_checkpoint_clear(&c);
    return 0;
}
