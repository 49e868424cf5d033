/* SPDX-License-Identifier: MIT */
#include "relay/pickle_json_in.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/json.h"
#include "relay/pickle_value.h"

/* There and back: the decoder of pickles writes JSON again. */
static void round_trip(const char *text, const char *want)
{
    struct nk_json_doc *d = NULL;
    struct nk_diag diag = {0};
    struct nk_buf pickle, json;
    struct relay_value_doc doc = {0};
    struct nk_json j;
    nk_buf_init(&pickle, 1 << 20);
    nk_buf_init(&json, 1 << 20);
    assert_int_equal(nk_json_parse(&d, text, strlen(text), &diag), 0);
    assert_int_equal(relay_pickle_from_json(&pickle, nk_json_root(d)), 0);
    assert_int_equal(relay_value_decode(&doc, nk_buf_ptr(&pickle), nk_buf_len(&pickle)), 0);
    nk_json_init(&j, &json, false);
    assert_int_equal(relay_value_to_json(&doc, relay_value_root(&doc), &j), 0);
    assert_int_equal(nk_json_end(&j), 0);
    assert_string_equal(nk_buf_str(&json), want);
    relay_value_doc_clear(&doc);
    nk_buf_clear(&pickle);
    nk_buf_clear(&json);
    nk_json_doc_free(d);
}

static void values(void **state)
{
    static const char *const same[] = {"null",
                                       "true",
                                       "false",
                                       "0",
                                       "255",
                                       "256",
                                       "-1",
                                       "65536",
                                       "2147483647",
                                       "2147483648",
                                       "-2147483649",
                                       "9223372036854775807",
                                       "-9223372036854775808",
                                       "1.5",
                                       "\"\"",
                                       "\"h\u00e9\"",
                                       "[]",
                                       "{}",
                                       "[1,[2,[]],\"x\"]",
                                       "{\"a\":1,\"b\":{\"c\":[null]}}"};
    char longer[1000];
    (void)state;
    for (size_t i = 0; i < sizeof(same) / sizeof(same[0]); i++) {
        round_trip(same[i], same[i]);
    }
    memset(longer, 'x', sizeof(longer) - 1);
    longer[0] = longer[sizeof(longer) - 2] = '"';
    longer[sizeof(longer) - 1] = '\0';
    round_trip(longer, longer);
}

static void depth(void **state)
{
    char text[2 * (RELAY_JSON_IN_DEPTH + 2)];
    struct nk_json_doc *d = NULL;
    struct nk_diag diag = {0};
    struct nk_buf b;
    (void)state;
    nk_buf_init(&b, 4096);
    for (size_t n = RELAY_JSON_IN_DEPTH + 1; n <= RELAY_JSON_IN_DEPTH + 2; n++) {
        memset(text, '[', n);
        memset(text + n, ']', n);
        assert_int_equal(nk_json_parse(&d, text, 2 * n, &diag), 0);
        int want = n <= RELAY_JSON_IN_DEPTH + 1 ? 0 : NK_ETOOBIG;
        assert_int_equal(relay_pickle_from_json(&b, nk_json_root(d)), want);
        assert_true(want == 0 || nk_buf_len(&b) == 0);
        nk_buf_reset(&b);
        nk_json_doc_free(d);
    }
    nk_buf_clear(&b);
}

/* Every room that is too small: nothing stays behind. */
static void full(void **state)
{
    static const char text[] = "{\"a\":[1,300,1e9,\"text\",18446744073709551615,true,null]}";
    struct nk_json_doc *d = NULL;
    struct nk_diag diag = {0};
    struct nk_buf b;
    (void)state;
    assert_int_equal(nk_json_parse(&d, text, sizeof(text) - 1, &diag), 0);
    for (size_t max = 1;; max++) {
        nk_buf_init(&b, max);
        int rc = relay_pickle_from_json(&b, nk_json_root(d));
        size_t n = nk_buf_len(&b);
        nk_buf_clear(&b);
        if (rc == 0) {
            assert_int_equal(n, max);
            break;
        }
        assert_int_equal(rc, NK_ETOOBIG);
        assert_int_equal(n, 0);
    }
    nk_json_doc_free(d);
}

int nk_test_relay_pickle_json_in(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values),
        cmocka_unit_test(depth),
        cmocka_unit_test(full),
    };
    return cmocka_run_group_tests_name("relay/pickle_json_in", tests, NULL, NULL);
}
