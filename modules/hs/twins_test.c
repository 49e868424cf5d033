/* SPDX-License-Identifier: MIT */
#include "hs/twins.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Against comparing each with each. */
static void first_of_each(void **state)
{
    (void)state;
    enum { N = 200, KEYS = 60, STEP = 3 };
    uint8_t keys[KEYS][HS_PUBLIC_KEY] = {{0}};
    struct hs_twin v[N];
    uint32_t random = 1;
    for (size_t i = 0; i < KEYS; i++) {
        keys[i][i % HS_PUBLIC_KEY] = (uint8_t)(i + 1); /* different in one byte, the last one too */
    }
    for (size_t i = 0; i < N; i++) {
        random = random * 1664525u + 1013904223u; /* any sequence does */
        v[i] = (struct hs_twin){.key = keys[(random >> 16) % KEYS], .index = STEP * i};
    }
    hs_twins_find(v, N);
    size_t twins = 0;
    for (size_t i = 0; i < N; i++) {
        size_t first = 0;
        while (memcmp(v[first].key, v[i].key, HS_PUBLIC_KEY) != 0) {
            first++;
        }
        assert_int_equal(v[i].index, STEP * i);
        assert_int_equal(v[i].first, STEP * first);
        twins += first != i;
    }
    assert_true(twins >= N - KEYS);
    hs_twins_find(NULL, 0);
}

int nk_test_hs_twins(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(first_of_each),
    };
    return cmocka_run_group_tests_name("hs/twins", tests, NULL, NULL);
}
