/* SPDX-License-Identifier: MIT */
#include "hs/twins.h"

#include <stdlib.h>
#include <string.h>

static int by_index(const void *a, const void *b)
{
    const struct hs_twin *x = a, *y = b;
    return (x->index > y->index) - (x->index < y->index);
}

static int by_key(const void *a, const void *b)
{
    const struct hs_twin *x = a, *y = b;
    int keys = memcmp(x->key, y->key, HS_PUBLIC_KEY);
    return keys ? keys : by_index(a, b);
}

void hs_twins_find(struct hs_twin *v, size_t n)
{
    if (n == 0) {
        return; /* v may be NULL then, which qsort does not take */
    }
    qsort(v, n, sizeof(*v), by_key);
    for (size_t i = 0; i < n; i++) {
        int same = i > 0 && memcmp(v[i].key, v[i - 1].key, HS_PUBLIC_KEY) == 0;
        v[i].first = same ? v[i - 1].first : v[i].index;
    }
    qsort(v, n, sizeof(*v), by_index);
}
