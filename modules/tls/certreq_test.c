/* SPDX-License-Identifier: MIT */
/* Requests: signed as they are or under other names, and refused when a bit is wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/codec.h"
#include "tls/tls_testkit.h"

int nk_test_tls_certreq(void);

enum { DAY = 86400, DER_MAX = 1024 };

/* Made by OpenSSL: /CN=bob/O=Org, four alternative names, P-256. */
static const char request[] = "-----BEGIN CERTIFICATE REQUEST-----\n"
                              "MIIBHDCBwgIBADAcMQwwCgYDVQQDDANib2IxDDAKBgNVBAoMA09yZzBZMBMGByqG\n"
                              "SM49AgEGCCqGSM49AwEHA0IABM7FmreIraWPhcqOgHpW5kHcMME/sz9GCRxmTLb9\n"
                              "HYk1+6iIvdNva6g6g2j7hK76udSQmRLO/cSuF0K9hQJvOAGgRDBCBgkqhkiG9w0B\n"
                              "CQ4xNTAzMDEGA1UdEQQqMCiCC2JvYi5leGFtcGxlhgxzcGlmZmU6Ly9hL2KHBAoA\n"
                              "AAGBBWFAYi5jMAoGCCqGSM49BAMCA0kAMEYCIQCmbKay7Y6YaH/0khOzjQndqyHO\n"
                              "aSkmvL/vOaqypQzNqAIhAKtr23aiGTbPI+0YyfV5LEwxskQt2meyz+NTh77xivdj\n"
                              "-----END CERTIFICATE REQUEST-----\n";

static int sign(struct kit_cert *ca, struct tls_cert_spec *s, struct nk_buf *out)
{
    struct nk_diag diag = {0};
    s->issuer_cert = kit_cert_pem(ca);
    s->issuer_key = &ca->key;
    s->not_before = (int64_t)time(NULL) - DAY;
    s->not_after = s->not_before + 2 * DAY;
    nk_buf_init(out, 65536);
    int rc = tls_cert_generate(s, NULL, out, &diag);
    assert_int_equal(diag.code, rc);
    assert_true(rc == 0 || nk_buf_len(out) == 0);
    return rc;
}

static void test_signs(void **state)
{
    (void)state;
    static const char *const sans[] = {"DNS:other"};
    static const char names[] = "DNS:bob.example, URI:spiffe://a/b, IP:10.0.0.1, EMAIL:a@b.c";
    struct kit_cert ca;
    kit_cert_make(&ca, "CA", NULL, -DAY, DAY, NULL, true);
    for (int other = 0; other < 2; other++) {
        struct tls_cert_spec s = {.csr = request, .csr_len = sizeof(request) - 1};
        struct tls_cert_info info;
        struct nk_buf cert;
        if (other) {
            s.cn = "eve";
            s.sans = sans;
            s.nsans = 1;
        }
        assert_int_equal(sign(&ca, &s, &cert), 0);
        assert_int_equal(tls_cert_describe(nk_buf_ptr(&cert), nk_buf_len(&cert), &info, NULL), 0);
        assert_string_equal(info.subject, other ? "CN=eve" : "CN=bob, O=Org");
        assert_string_equal(info.sans, other ? "DNS:other" : names);
        assert_false(info.ca || info.self_signed);
        assert_int_equal(tls_cert_verify(nk_buf_ptr(&cert), nk_buf_len(&cert), nk_buf_ptr(&ca.cert),
                                         nk_buf_len(&ca.cert), NULL, NULL),
                         0);
        nk_buf_clear(&cert);
    }
    kit_cert_clear(&ca);
}

/* The DER inside of the PEM. */
static size_t decode(uint8_t der[DER_MAX])
{
    char text[DER_MAX * 2];
    size_t n = 0;
    const char *p = strchr(request, '\n');
    for (; p && strncmp(p + 1, "-----", 5) != 0; p = strchr(p + 1, '\n')) {
        size_t len = strcspn(p + 1, "\n");
        memcpy(text + n, p + 1, len);
        n += len;
    }
    ssize_t got = nk_base64_decode(der, DER_MAX, text, n);
    assert_true(got > 0);
    return (size_t)got;
}

static void must_refuse(struct kit_cert *ca, const void *p, size_t n)
{
    struct tls_cert_spec s = {.csr = p, .csr_len = n};
    struct nk_buf cert;
    int rc = sign(ca, &s, &cert);
    assert_true(rc == NK_EFORMAT || rc == NK_EVERIFY || rc == NK_ECONFIG);
    nk_buf_clear(&cert);
}

/* Each byte counts, and so does each length: nothing of it is trusted before its signature is. */
static void test_refuses(void **state)
{
    (void)state;
    struct kit_cert ca;
    uint8_t der[DER_MAX];
    kit_cert_make(&ca, "CA", NULL, -DAY, DAY, NULL, true);
    size_t n = decode(der);
    struct tls_cert_spec s = {.csr = der, .csr_len = n};
    struct nk_buf cert;
    assert_int_equal(sign(&ca, &s, &cert), 0); /* DER is fine */
    nk_buf_clear(&cert);
    for (size_t i = 0; i < n; i++) {
        der[i] ^= 1;
        must_refuse(&ca, der, n);
        der[i] ^= 1;
    }
    for (size_t i = 0; i < n; i += 7) {
        must_refuse(&ca, der, i);
    }
    must_refuse(&ca, request, sizeof(request) / 2);
    must_refuse(&ca, nk_buf_ptr(&ca.cert), nk_buf_len(&ca.cert)); /* no request */
    kit_cert_clear(&ca);
}

static int count(void *owner, const struct tls_cert_info *info)
{
    int *n = owner;
    assert_true(info->not_after > 0);
    return ++*n == 2; /* enough */
}

static void test_describe_all(void **state)
{
    (void)state;
    struct kit_cert a;
    struct nk_buf three;
    int n = 0;
    kit_cert_make(&a, "a", NULL, -DAY, DAY, NULL, false);
    nk_buf_init(&three, 65536);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(nk_buf_put(&three, nk_buf_ptr(&a.cert), nk_buf_len(&a.cert)), 0);
    }
    assert_int_equal(tls_cert_describe_all(nk_buf_ptr(&three), nk_buf_len(&three), count, &n, NULL),
                     1);
    assert_int_equal(n, 2);
    assert_int_equal(tls_cert_describe_all(nk_buf_ptr(&three), nk_buf_len(&three), count, &n, NULL),
                     0);
    assert_int_equal(n, 5);
    nk_buf_clear(&three);
    kit_cert_clear(&a);
}

int nk_test_tls_certreq(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_signs),
        cmocka_unit_test(test_refuses),
        cmocka_unit_test(test_describe_all),
    };
    return cmocka_run_group_tests_name("tls/certreq", tests, NULL, NULL);
}
