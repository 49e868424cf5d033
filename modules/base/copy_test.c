/* SPDX-License-Identifier: MIT */
/* memcpy and memmove, ours or libc's: every length around the borders between their ways, every
 * alignment, every overlap, and not a byte outside. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

int nk_test_base_copy(void);

enum { LENGTHS = 290, AROUND = 80, ROOM = LENGTHS + 2 * AROUND };

/* The compiler must not know which function it is, or it would put its own code there. */
static void *(*volatile copy)(void *restrict, const void *restrict, size_t) = memcpy;
static void *(*volatile move)(void *, const void *, size_t) = memmove;

static void fill(uint8_t *p, size_t n, unsigned seed)
{
    for (size_t i = 0; i < n; i++) {
        p[i] = (uint8_t)(i * 7 + seed + (i >> 8));
    }
}

/* p must be the fill of `seed`, but for n bytes from `at` on, which are `from`'s. */
static void check(const uint8_t *p, size_t room, unsigned seed, size_t at, const uint8_t *from,
                  size_t n)
{
    for (size_t i = 0; i < room; i++) {
        uint8_t want = i >= at && i < at + n ? from[i - at] : (uint8_t)(i * 7 + seed + (i >> 8));
        if (p[i] != want) {
            fail_msg("%zu bytes to %zu: byte %zu is %u, not %u", n, at, i, p[i], want);
        }
    }
}

static void copies(void **state)
{
    uint8_t a[ROOM], b[ROOM];
    (void)state;
    fill(a, ROOM, 100);
    for (size_t n = 0; n < LENGTHS; n++) {
        for (size_t from = 0; from < 17; from++) {
            for (size_t at = AROUND; at < AROUND + 17; at += from % 3 + 1) {
                fill(b, ROOM, 3);
                assert_ptr_equal(copy(b + at, a + from, n), b + at);
                check(b, ROOM, 3, at, a + from, n);
                assert_ptr_equal(move(b + at, a + from, n), b + at);
                check(b, ROOM, 3, at, a + from, n);
            }
        }
    }
}

static void overlaps(void **state)
{
    uint8_t a[ROOM], b[ROOM];
    (void)state;
    fill(a, ROOM, 9);
    for (size_t n = 0; n < LENGTHS; n++) {
        for (size_t at = 0; at <= 2 * AROUND; at++) {
            memcpy(b, a, ROOM);
            assert_ptr_equal(move(b + at, b + AROUND, n), b + at);
            check(b, ROOM, 9, at, a + AROUND, n);
        }
    }
}

static void long_ones(void **state)
{
    enum { MOST = 40000 };
    static uint8_t a[MOST], b[MOST];
    static const size_t lengths[] = {1000, 4095, 4096, 4097, 16389, 30001};
    (void)state;
    fill(a, MOST, 1);
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        for (size_t at = 0; at < 9000; at += 601) {
            memcpy(b, a, MOST);
            move(b + at, b + 5000, lengths[i]);
            check(b, MOST, 1, at, a + 5000, lengths[i]);
            fill(b, MOST, 2);
            copy(b + at, a + 77, lengths[i]);
            check(b, MOST, 2, at, a + 77, lengths[i]);
        }
    }
}

int nk_test_base_copy(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(copies),
        cmocka_unit_test(overlaps),
        cmocka_unit_test(long_ones),
    };
    return cmocka_run_group_tests_name("base/copy", tests, NULL, NULL);
}
