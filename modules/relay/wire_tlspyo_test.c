/* SPDX-License-Identifier: MIT */
#include "relay/wire_tlspyo.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static const struct nk_secret pw = {.data = (uint8_t *)(uintptr_t) "pw", .len = 2};

static int head(unsigned header_size, uint64_t max, const char *text, uint64_t *payload)
{
    struct relay_frames f = {.header_size = header_size, .password = &pw, .max_payload = max};
    size_t n = strlen(text);
    char *exact = malloc(n ? n : 1);
    memcpy(exact, text, n);
    int rc = relay_frame_head(&f, exact, n, payload);
    free(exact);
    return rc;
}

static void test_good_heads(void **state)
{
    (void)state;
    uint64_t n;
    assert_int_equal(head(10, 1000, "25        pw", &n), 12);
    assert_int_equal(n, 25);
    assert_int_equal(head(10, 1000, "0         pwrest", &n), 12);
    assert_int_equal(n, 0);
    assert_int_equal(head(12, 1000, "1000        pw", &n), 14);
    assert_int_equal(n, 1000);
    assert_int_equal(head(2, 99, "99pw", &n), 4);
    assert_int_equal(n, 99);
    assert_int_equal(head(10, 1000, "0000000025pw", &n), 12);
    assert_int_equal(n, 25);
}

/* Every proper prefix of a good head asks for more; the last byte completes it. */
static void test_byte_by_byte(void **state)
{
    (void)state;
    const char *text = "25        pw";
    for (size_t cut = 0; cut < strlen(text); cut++) {
        char part[16] = "";
        uint64_t n = 7;
        memcpy(part, text, cut);
        assert_int_equal(head(10, 1000, part, &n), 0);
        assert_int_equal(n, 0);
    }
}

static void test_bad_heads(void **state)
{
    (void)state;
    static const char *const bad[] = {"x",          " 25",          "+5",           "-5",   "1_0",
                                      "2 5",        "25\t",         "\x16\x03\x01", "GET ", "25 x",
                                      "25        ", "          pw", "25       1pw"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        uint64_t n;
        int want = strcmp(bad[i], "25        ") == 0 ? 0 : NK_EPROTO;
        assert_int_equal(head(10, 1000, bad[i], &n), want);
    }
}

/* The length is judged as soon as it shows, before the password. */
static void test_too_long(void **state)
{
    (void)state;
    uint64_t n;
    assert_int_equal(head(10, 1000, "1001", &n), NK_ETOOBIG);
    assert_int_equal(head(10, 1000, "1001      ", &n), NK_ETOOBIG);
    assert_int_equal(n, 1001);
    assert_int_equal(head(20, 1000, "99999999999999999999", &n), NK_ETOOBIG);
    assert_int_equal(head(20, UINT64_MAX, "18446744073709551615pw", &n), 22);
    assert_true(n == UINT64_MAX);
}

static void test_password(void **state)
{
    (void)state;
    uint64_t n = 1;
    assert_int_equal(head(10, 1000, "25        pW", &n), NK_EAUTH);
    assert_int_equal(n, 0);
    assert_int_equal(head(10, 1000, "25        p", &n), 0);
    assert_int_equal(head(10, 1000, "25        x", &n), 0); /* judged whole only */
    struct nk_secret none = {0};
    struct relay_frames f = {.header_size = 10, .password = &none, .max_payload = 100};
    assert_int_equal(relay_frame_head(&f, "25        ", 10, &n), NK_EAUTH);
}

static void test_header(void **state)
{
    (void)state;
    char out[21] = "";
    relay_frame_header((uint8_t *)out, 10, 25);
    assert_string_equal(out, "25        ");
    relay_frame_header((uint8_t *)out, 20, UINT64_MAX);
    assert_string_equal(out, "18446744073709551615");
    memset(out, 0, sizeof(out));
    relay_frame_header((uint8_t *)out, 2, 18);
    assert_string_equal(out, "18");
    assert_true(relay_frames_limit(2) == 99);
    assert_true(relay_frames_limit(10) == UINT64_C(9999999999));
    assert_true(relay_frames_limit(20) == UINT64_MAX);
}

static void test_foreign(void **state)
{
    (void)state;
    assert_string_equal(relay_frame_foreign("\x16\x03\x01\x02", 4), "TLS");
    assert_string_equal(relay_frame_foreign("GET / HTTP", 10), "HTTP");
    assert_null(relay_frame_foreign("G", 1));
    assert_null(relay_frame_foreign("", 0));
}

int nk_test_relay_wire_tlspyo(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good_heads), cmocka_unit_test(test_byte_by_byte),
        cmocka_unit_test(test_bad_heads),  cmocka_unit_test(test_too_long),
        cmocka_unit_test(test_password),   cmocka_unit_test(test_header),
        cmocka_unit_test(test_foreign),
    };
    return cmocka_run_group_tests_name("relay/wire_tlspyo", tests, NULL, NULL);
}
