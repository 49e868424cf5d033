/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tls/tls_testkit.h"

int nk_test_tls_cert(void);

enum { DAY = 86400 };

static void test_self_signed(void **state)
{
    (void)state;
    struct kit_cert c;
    struct tls_cert_info info;
    kit_cert_make(&c, "a,b\\c = d+e", "DNS:default,IP:127.0.0.1,IP:::1,x@y.z,https://u/", 0, DAY,
                  NULL, false);
    assert_int_equal(tls_cert_describe(nk_buf_ptr(&c.cert), nk_buf_len(&c.cert), &info, NULL), 0);
    assert_non_null(strstr(info.subject, "CN=a\\,b\\\\c"));
    assert_string_equal(info.sans,
                        "DNS:default, IP:127.0.0.1, IP:::1, EMAIL:x@y.z, URI:https://u/");
    assert_string_equal(info.key, "ECDSA P-256");
    assert_true(info.self_signed);
    assert_false(info.ca);
    assert_int_equal(info.not_after - info.not_before, DAY);
    assert_true(info.serial[0] >= '4' && info.serial[0] <= '7'); /* positive, 16 bytes */
    assert_int_equal(strlen(info.serial), 16 * 3 - 1);
    kit_cert_clear(&c);
}

static int make(struct tls_cert_spec *s, struct nk_diag *diag)
{
    struct nk_secret key = {0};
    struct nk_buf cert;
    nk_buf_init(&cert, 65536);
    s->not_before = 0;
    s->not_after = s->not_after ? s->not_after : 1000000;
    int rc = tls_cert_generate(s, &key, &cert, diag);
    if (rc != 0) {
        assert_null(key.data);
        assert_int_equal(nk_buf_len(&cert), 0);
    }
    nk_secret_clear(&key);
    nk_buf_clear(&cert);
    return rc;
}

static void test_bad_fields(void **state)
{
    (void)state;
    struct nk_diag diag;
    char longname[66];
    const char *sans[] = {"DNS:"}, *ip[] = {"IP:1.2.3"}, *blank[] = {"DNS:a b"};
    memset(longname, 'x', 65);
    longname[65] = 0;
    struct tls_cert_spec bad[] = {
        {.cn = NULL},
        {.cn = ""},
        {.cn = longname},
        {.cn = "a\nb"},
        {.cn = "\xff"},
        {.cn = "a", .country = "CAN"},
        {.cn = "a", .email = "\xc3\xa9@x"},
        {.cn = "a", .serial = "0"},
        {.cn = "a", .serial = "-1"},
        {.cn = "a", .serial = "12x"},
        {.cn = "a", .serial = "0x"},
        {.cn = "a", .serial = "0xffffffffffffffffffffffffffffffffffffffff"},
        {.cn = "a", .serial = "99999999999999999999999999999999999999999999999999"},
        {.cn = "a", .sans = sans, .nsans = 1},
        {.cn = "a", .sans = ip, .nsans = 1},
        {.cn = "a", .sans = blank, .nsans = 1},
        {.cn = "a", .not_after = -5},
        {.cn = "a", .not_after = INT64_C(999999999999)},
        {.cn = "a", .issuer_cert = "garbage"},
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        memset(&diag, 0, sizeof(diag));
        int rc = make(&bad[i], &diag);
        if (rc != NK_ECONFIG && rc != NK_EFORMAT) {
            fail_msg("case %zu gave %d", i, rc);
        }
        assert_int_equal(diag.code, rc);
    }
    struct tls_cert_spec good = {.cn = "\xc3\xa9", .serial = "0x0102", .country = "CA"};
    assert_int_equal(make(&good, &diag), 0);
    good.serial = "730750818665451459101842416358141509827966271487"; /* 2^159 - 1 */
    assert_int_equal(make(&good, &diag), 0);
}

static int verify(struct kit_cert *c, struct kit_cert *ca, const char *name, struct nk_diag *diag)
{
    memset(diag, 0, sizeof(*diag));
    return tls_cert_verify(nk_buf_ptr(&c->cert), nk_buf_len(&c->cert), nk_buf_ptr(&ca->cert),
                           nk_buf_len(&ca->cert), name, diag);
}

static void test_verify(void **state)
{
    (void)state;
    struct kit_cert ca, other, leaf, old, early, self;
    struct nk_diag diag;
    kit_cert_make(&ca, "CA", NULL, -DAY, DAY, NULL, true);
    kit_cert_make(&other, "CA", NULL, -DAY, DAY, NULL, true); /* same name, other key */
    kit_cert_make(&leaf, "leaf", "DNS:a.example,DNS:*.w.example,IP:10.0.0.1,IP:::1", -DAY, DAY, &ca,
                  false);
    kit_cert_make(&old, "leaf", "DNS:a.example", -2 * DAY, -DAY, &ca, false);
    kit_cert_make(&early, "leaf", "DNS:a.example", DAY, 2 * DAY, &ca, false);
    kit_cert_make(&self, "self", "DNS:default", -DAY, DAY, NULL, false);
    assert_int_equal(verify(&leaf, &ca, NULL, &diag), 0);
    assert_int_equal(verify(&leaf, &ca, "a.example", &diag), 0);
    assert_int_equal(verify(&leaf, &ca, "A.Example", &diag), 0);
    assert_int_equal(verify(&leaf, &ca, "x.w.example", &diag), 0);
    assert_int_equal(verify(&leaf, &ca, "10.0.0.1", &diag), 0);
    assert_int_equal(verify(&leaf, &ca, "::1", &diag), 0);
    assert_int_equal(verify(&leaf, &ca, "0:0:0:0:0:0:0:1", &diag), 0);
    static const char *const wrong[] = {"b.example", "x.y.w.example",  "w.example", "10.0.0.2",
                                        "::2",       "a.example.evil", "leaf"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        assert_int_equal(verify(&leaf, &ca, wrong[i], &diag), NK_EVERIFY);
        assert_non_null(strstr(diag.text, "DNS:a.example"));
        assert_non_null(strstr(diag.text, wrong[i]));
    }
    assert_int_equal(verify(&leaf, &other, "a.example", &diag), NK_EVERIFY);
    assert_non_null(strstr(diag.text, "issued by CN=CA"));
    assert_non_null(strstr(diag.hint, "pin=sha256:"));
    assert_int_equal(verify(&old, &ca, "a.example", &diag), NK_EVERIFY);
    assert_non_null(strstr(diag.text, "expired on 2"));
    assert_int_equal(verify(&early, &ca, "a.example", &diag), NK_EVERIFY);
    assert_non_null(strstr(diag.text, "not valid before 2"));
    assert_int_equal(verify(&self, &self, "default", &diag), 0);
    assert_int_equal(verify(&self, &ca, "default", &diag), NK_EVERIFY);
    assert_non_null(strstr(diag.text, "self-signed"));
    struct kit_cert *all[] = {&ca, &other, &leaf, &old, &early, &self};
    for (size_t i = 0; i < 6; i++) {
        kit_cert_clear(all[i]);
    }
}

/* A leaf must not be able to issue, and an IP address never matches a DNS name's four bytes. */
static void test_no_shortcuts(void **state)
{
    (void)state;
    struct kit_cert ca, leaf, four;
    struct nk_diag diag = {0};
    struct nk_secret key = {0};
    struct nk_buf cert;
    nk_buf_init(&cert, 65536);
    kit_cert_make(&ca, "CA", NULL, -DAY, DAY, NULL, true);
    kit_cert_make(&leaf, "leaf", "DNS:a", -DAY, DAY, &ca, false);
    struct tls_cert_spec s = {.cn = "sub",
                              .not_before = 0,
                              .not_after = 1000,
                              .issuer_cert = kit_cert_pem(&leaf),
                              .issuer_key = &leaf.key};
    assert_int_equal(tls_cert_generate(&s, &key, &cert, &diag), NK_ECONFIG);
    s.issuer_cert = kit_cert_pem(&ca);
    assert_int_equal(tls_cert_generate(&s, &key, &cert, &diag), NK_ECONFIG); /* not its key */
    kit_cert_make(&four, "four", "IP:97.98.99.100", -DAY, DAY, &ca, false);
    assert_int_equal(verify(&four, &ca, "abcd", &diag), NK_EVERIFY);
    assert_int_equal(verify(&four, &ca, "97.98.99.100", &diag), 0);
    nk_buf_clear(&cert);
    kit_cert_clear(&ca);
    kit_cert_clear(&leaf);
    kit_cert_clear(&four);
}

static void test_pins(void **state)
{
    (void)state;
    uint8_t hash[TLS_HASH], back[TLS_HASH];
    char text[TLS_PIN_TEXT];
    for (size_t i = 0; i < sizeof(hash); i++) {
        hash[i] = (uint8_t)(i * 7 + 1);
    }
    tls_pin_format(text, hash);
    assert_int_equal(tls_pin_parse(text, back), 0);
    assert_memory_equal(hash, back, TLS_HASH);
    assert_int_equal(tls_pin_parse(text + 7, back), 0);
    assert_int_equal(tls_pin_parse("sha256//AQgPFh0kKzI5QEdOVVxjanF4f4aNlJuiqbC3vsXM09o=", back),
                     0);
    assert_memory_equal(hash, back, TLS_HASH);
    assert_int_equal(tls_pin_parse("", back), NK_EFORMAT);
    assert_int_equal(tls_pin_parse("sha256:", back), NK_EFORMAT);
    assert_int_equal(tls_pin_parse("sha1:0011", back), NK_EFORMAT);
    text[20] = 'x';
    assert_int_equal(tls_pin_parse(text, back), NK_EFORMAT);
}

static void test_hash_forms(void **state)
{
    (void)state;
    struct kit_cert c;
    uint8_t a[TLS_HASH], b[TLS_HASH];
    kit_cert_make(&c, "x", "DNS:x", 0, DAY, NULL, false);
    assert_int_equal(tls_hash_cert(nk_buf_ptr(&c.cert), nk_buf_len(&c.cert), a, b, NULL), 0);
    assert_memory_not_equal(a, b, TLS_HASH);
    assert_int_equal(tls_hash_cert("", 0, a, b, NULL), NK_EFORMAT);
    assert_int_equal(tls_hash_cert("junk", 4, a, b, NULL), NK_EFORMAT);
    assert_int_equal(tls_hash_cert("-----BEGIN CERTIFICATE-----\n", 28, a, b, NULL), NK_EFORMAT);
    assert_int_equal(tls_name_matches(nk_buf_ptr(&c.cert), nk_buf_len(&c.cert), "x"), 1);
    assert_int_equal(tls_name_matches(nk_buf_ptr(&c.cert), nk_buf_len(&c.cert), "y"), 0);
    kit_cert_clear(&c);
}

int nk_test_tls_cert(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_self_signed), cmocka_unit_test(test_bad_fields),
        cmocka_unit_test(test_verify),      cmocka_unit_test(test_no_shortcuts),
        cmocka_unit_test(test_pins),        cmocka_unit_test(test_hash_forms),
    };
    return cmocka_run_group_tests_name("tls/cert", tests, NULL, NULL);
}
