/* SPDX-License-Identifier: MIT */
#include "hs/vanity_filter.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#include "base/onion.h"

static int make(struct hs_vanity_filter **f, struct nk_diag *diag, const char *const *patterns,
                size_t n)
{
    const struct nk_strlist list = {.v = (char **)(uintptr_t)patterns, .n = n};
    return hs_vanity_filter_new(f, &list, diag);
}

static uint64_t low_of(const uint8_t pub[32])
{
    uint64_t low = 0;
    for (unsigned i = 0; i < 8; i++) {
        low |= (uint64_t)pub[i] << (8 * i);
    }
    return low;
}

/* The filter says of random keys what the text of their addresses says. */
static void as_the_text_says(void **state)
{
    (void)state;
    static const char *const used[] = {"a",    "B",        "c7",   "x.z",         "qr",
                                       "[27]", "[hij][k]", "..m.", "wwwwwwwwwwww"};
    const size_t n = sizeof(used) / sizeof(*used);
    struct hs_vanity_filter *f = NULL;
    size_t hits = 0;
    assert_int_equal(make(&f, NULL, used, n), 0);
    for (unsigned i = 0; i < 20000; i++) {
        uint8_t pub[32];
        char address[NK_ONION_SIZE];
        bool text = false;
        randombytes_buf(pub, sizeof(pub));
        nk_onion_format(address, pub);
        for (size_t p = 0; p < n; p++) {
            text |= hs_vanity_pattern_fits(used[p], address);
        }
        const int found = hs_vanity_filter_match(f, low_of(pub));
        assert_int_equal(found >= 0, text);
        if (found >= 0) {
            hits++;
            assert_true(hs_vanity_pattern_fits(used[found], address));
            assert_true(hs_vanity_filter_maybe(f, low_of(pub)));
        }
    }
    /* odds: 1/32 each for a, B, m; 2/32 for 2 and 7; some more. 20000 keys: 4 % are 800 */
    const double odds = hs_vanity_filter_odds(f);
    assert_true((double)hits > 20000 * odds * 0.85 && (double)hits < 20000 * odds * 1.15);
    hs_vanity_filter_free(f);
}

/* The longest beginning of a known address, and every beginning of it. */
static void beginnings(void **state)
{
    (void)state;
    static const char address[] = "25njqamcweflpvkl73j4szahhihoc4xt3ktcgjnpaingr5yhkenl5sid.onion";
    uint8_t pub[32];
    assert_int_equal(nk_onion_parse(pub, address, strlen(address), NULL), 0);
    for (size_t n = 1; n <= HS_VANITY_CHARS; n++) {
        char text[HS_VANITY_CHARS + 1] = {0};
        const char *one[] = {text};
        struct hs_vanity_filter *f = NULL;
        memcpy(text, address, n);
        assert_int_equal(make(&f, NULL, one, 1), 0);
        assert_true(f->single);
        assert_int_equal(hs_vanity_filter_match(f, low_of(pub)), 0);
        assert_true(hs_vanity_filter_maybe(f, low_of(pub)));
        double odds = 1;
        for (size_t i = 0; i < n; i++) {
            odds /= 32;
        }
        assert_true(hs_vanity_filter_odds(f) == odds);
        for (unsigned bit = 0; bit < 64; bit++) { /* each bit of the beginning counts, no other */
            const unsigned place = bit / 8 * 8 + (7 - bit % 8);
            const int want = place < 5 * n ? -1 : 0;
            assert_int_equal(hs_vanity_filter_match(f, low_of(pub) ^ (uint64_t)1 << bit), want);
        }
        hs_vanity_filter_free(f);
    }
}

static void refuse(const char *pattern, const char *word, const char *hint)
{
    struct hs_vanity_filter *f = NULL;
    struct nk_diag diag = {0};
    assert_int_equal(make(&f, &diag, &pattern, 1), NK_EUSAGE);
    assert_null(f);
    assert_non_null(strstr(diag.text, word));
    assert_non_null(strstr(diag.hint, hint));
}

static void refused(void **state)
{
    (void)state;
    refuse("", "every address", "");
    refuse("...", "every address", "");
    refuse("netk1t", "never '1'", "'l'");
    refuse("0k", "never '0'", "'o'");
    refuse("8", "never '8'", "'b'");
    refuse("h9", "never '9'", "'g'");
    refuse("ne-t", "never '-'", "");
    refuse("[", "']'", "");
    refuse("[]", "']'", "");
    refuse("[ab", "']'", "");
    refuse("a]", "']'", "");
    refuse("[a1]", "never '1'", "'l'");
    refuse("\x1b[31m", "never", "");
    refuse("abcdefghijklm", "longer than 12", "32 times");
    struct hs_vanity_filter *f = NULL;
    struct nk_diag diag = {0};
    const char *const wide[] = {"[abcdefghij][abcdefghij][abcdefghij][abcdefghij][abcdefghij]"};
    assert_int_equal(make(&f, &diag, wide, 1), NK_ELIMIT);
    const struct nk_strlist none = {0};
    assert_int_equal(hs_vanity_filter_new(&f, &none, &diag), NK_EUSAGE);
}

static void equal_ones_count_once(void **state)
{
    (void)state;
    const char *const same[] = {"abc", "ABC", "[a]bc"};
    struct hs_vanity_filter *f = NULL;
    assert_int_equal(make(&f, NULL, same, 3), 0);
    assert_int_equal(f->nvalues, 1);
    assert_true(f->single);
    hs_vanity_filter_free(f);
}

int nk_test_hs_vanity_filter(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(as_the_text_says),
        cmocka_unit_test(beginnings),
        cmocka_unit_test(refused),
        cmocka_unit_test(equal_ones_count_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
