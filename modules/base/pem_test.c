/* SPDX-License-Identifier: MIT */
#include "base/pem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"

static bool find(const char *text, const char *suffix, struct nk_pem *pem)
{
    return nk_pem_find(text, strlen(text), suffix, pem);
}

static void blocks(void **state)
{
    (void)state;
    struct nk_pem pem;
    struct nk_buf out;
    static const char two[] =
        "text\n-----BEGIN EC PARAMETERS-----\nBggq\n-----END EC PARAMETERS-----\n"
        "-----BEGIN EC KEY-----\r\n aGVs\r\nbG8=\r\n-----END EC KEY-----\nmore";
    assert_true(find(two, "KEY", &pem));
    assert_true(nk_pem_label(&pem, "EC KEY"));
    assert_false(nk_pem_label(&pem, "EC"));
    nk_buf_init_secret(&out, 64);
    assert_int_equal(nk_pem_decode(pem.body, pem.body_n, &out), 0);
    assert_int_equal(nk_buf_len(&out), 5);
    assert_memory_equal(nk_buf_ptr(&out), "hello", 5);
    assert_int_equal(nk_pem_decode("aGV*", 4, &out), NK_EFORMAT);
    assert_int_equal(nk_buf_len(&out), 5);
    nk_buf_clear(&out);
    assert_false(find(two, "CERTIFICATE", &pem));
    assert_false(find("-----BEGIN A-----\nAAAA\n-----END B-----\n", "A", &pem));
    assert_false(find("-----BEGIN A-----\nAAAA\n", "A", &pem));
    assert_false(find("-----BEGIN A\nA-----\n-----END A\nA-----\n", "A", &pem));
    assert_false(find("", "", &pem));
}

static void headers(void **state)
{
    (void)state;
    struct nk_pem pem;
    size_t n;
    assert_true(
        find("-----BEGIN K-----\r\nProc-Type: 4,ENCRYPTED\r\nDEK-Info:  X,00 \r\n\r\nAAAA\r\n"
             "-----END K-----",
             "K", &pem));
    const char *v = nk_pem_header(&pem, "dek-info", &n);
    assert_non_null(v);
    assert_int_equal(n, 4);
    assert_memory_equal(v, "X,00", 4);
    assert_null(nk_pem_header(&pem, "DEK", &n));
    assert_memory_equal(pem.body, "\r\nAAAA\r\n", pem.body_n);
    assert_true(find("-----BEGIN K-----\nA: b\n-----END K-----", "K", &pem));
    assert_int_equal(pem.body_n, 0);
    assert_non_null(nk_pem_header(&pem, "A", &n));
    assert_true(find("-----BEGIN K-----\nAAAA\n-----END K-----", "K", &pem));
    assert_null(nk_pem_header(&pem, "A", &n));
}

static void der(void **state)
{
    (void)state;
    static const uint8_t longest[] = {0x30, 0x82, 0x00, 0x80},
                         one[] = {0x04, 0x02, 7, 8, 0x02, 0x00};
    uint8_t long_form[3 + 0x80] = {0x30, 0x81, 0x80};
    struct nk_cur c, in;
    nk_cur_init(&c, one, sizeof(one));
    in = nk_der(&c, NK_DER_OCTETS);
    assert_int_equal(nk_cur_left(&in), 2);
    assert_int_equal(nk_cur_be16(&in), 0x0708);
    in = nk_der(&c, NK_DER_INTEGER);
    assert_true(nk_cur_done(&in) && nk_cur_done(&c));
    nk_cur_init(&c, long_form, sizeof(long_form));
    in = nk_der(&c, NK_DER_SEQUENCE);
    assert_int_equal(nk_cur_left(&in), 0x80);
    assert_true(nk_cur_done(&c));
    /* another tag, too long, not the shortest form, no length at all */
    static const uint8_t bad[][3] = {{0x04, 0, 0}, {0x30, 2, 0}, {0x30, 0x81, 1}, {0x30, 0x80, 0}};
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        nk_cur_init(&c, bad[i], sizeof(bad[i]));
        in = nk_der(&c, NK_DER_SEQUENCE);
        assert_true(c.failed && in.failed);
    }
    nk_cur_init(&c, longest, sizeof(longest));
    (void)nk_der(&c, NK_DER_SEQUENCE);
    assert_true(c.failed);
}

int nk_test_base_pem(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks),
        cmocka_unit_test(headers),
        cmocka_unit_test(der),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
