/* SPDX-License-Identifier: MIT */
#include "hs/key.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#include "base/codec.h"
#include "base/onion.h"

enum { KNOWN = 3 };

/* Seeds, what they expand to, the same with a reduced scalar, public keys. The expansions are
 * SHA-512 with RFC 8032's clamping; the third column is arti's form. */
static const char *const known[KNOWN][4] = {
    {"000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
     "3894eea49c580aef816935762be049559d6d1440dede12e6a125f1841fff8e6f"
     "a9d71862a3e5746b571be3d187b0041046f52ebd850c7cbd5fde8ee38473b649",
     "aa9c2b77fe059cde7bbc67a4f30410d89c6d1440dede12e6a125f1841fff8e0f"
     "a9d71862a3e5746b571be3d187b0041046f52ebd850c7cbd5fde8ee38473b649",
     "03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8"},
    {"0000000000000000000000000000000000000000000000000000000000000000",
     "5046adc1dba838867b2bbbfdd0c3423e58b57970b5267a90f57960924a87f156"
     "0a6a85eaa642dac835424b5d7c8d637c00408c7a73da672b7f498521420b6dd3",
     "af22e0f057b9dccd4b1be5ce77e2e7d557b57970b5267a90f57960924a87f106"
     "0a6a85eaa642dac835424b5d7c8d637c00408c7a73da672b7f498521420b6dd3",
     "3b6a27bcceb6a42d62a3a8d02a6f0d73653215771de243a63ac048a18b59da29"},
    {"ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
     "20cd6935864716a79d74dd5fabbd8964304051ca41a31c4659158ebb7c3d0b57"
     "9b4522968797885508e64703de1cc0593063264b74b588f71b7de0161f21cf29",
     "7fa99c640258baee6d64073152dc2efc2f4051ca41a31c4659158ebb7c3d0b07"
     "9b4522968797885508e64703de1cc0593063264b74b588f71b7de0161f21cf29",
     "76a1592044a6e4f511265bca73a604d90b0529d1df602be30a19a9257660d1f5"},
};

static void unhex(uint8_t *out, size_t n, const char *hex)
{
    assert_int_equal(nk_hex_decode(out, n, hex, strlen(hex), false), (ssize_t)n);
}

static void expands(void **state)
{
    (void)state;
    for (size_t i = 0; i < KNOWN; i++) {
        uint8_t seed[HS_SEED], expanded[HS_EXPANDED], reduced[HS_EXPANDED], pub[HS_PUBLIC_KEY];
        uint8_t out[HS_EXPANDED];
        struct hs_identity a, b, c;
        unhex(seed, sizeof(seed), known[i][0]);
        unhex(expanded, sizeof(expanded), known[i][1]);
        unhex(reduced, sizeof(reduced), known[i][2]);
        unhex(pub, sizeof(pub), known[i][3]);
        assert_int_equal(hs_identity_from_seed(&a, seed), 0);
        assert_true(a.has_seed && a.has_secret && hs_identity_is_clamped(&a));
        assert_memory_equal(a.seed, seed, sizeof(seed));
        assert_memory_equal(a.secret, expanded, sizeof(expanded));
        assert_memory_equal(a.pub, pub, sizeof(pub));
        hs_identity_reduced(out, &a);
        assert_memory_equal(out, reduced, sizeof(reduced));
        assert_int_equal(hs_identity_from_expanded(&b, reduced, NULL), 0);
        assert_false(b.has_seed || hs_identity_is_clamped(&b));
        assert_memory_equal(b.secret, reduced, sizeof(reduced)); /* as found */
        assert_true(hs_identity_same(&a, &b));
        hs_identity_reduced(out, &b);
        assert_memory_equal(out, reduced, sizeof(reduced));
        assert_int_equal(hs_identity_from_public(&c, pub, NULL), 0);
        assert_true(hs_identity_same(&a, &c) && !c.has_secret && !c.has_seed);
        hs_identity_wipe(&a);
        assert_true(sodium_is_zero((const uint8_t *)&a, sizeof(a)));
    }
}

static void new_keys_differ(void **state)
{
    (void)state;
    struct hs_identity a, b;
    struct hs_client c, d;
    assert_int_equal(hs_identity_new(&a), 0);
    assert_int_equal(hs_identity_new(&b), 0);
    assert_false(hs_identity_same(&a, &b));
    assert_true(a.has_seed && hs_identity_is_clamped(&a));
    assert_int_equal(hs_client_new(&c), 0);
    assert_int_equal(hs_client_new(&d), 0);
    assert_false(hs_client_same(&c, &d));
    assert_true(c.has_secret && (c.secret[0] & 7) == 0 && (c.secret[31] & 0xc0) == 0x40);
    assert_true(hs_client_same(&c, &c) && hs_identity_same(&a, &a));
}

/* Multiples of the group order are zero as scalars. */
static void zero_scalar(void **state)
{
    static const char *const zero[] = {
        "0000000000000000000000000000000000000000000000000000000000000000",
        "edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010", /* the order l */
        "daa7ebb934c624b0ac39ef45bdf3bd2900000000000000000000000000000020", /* 2 l */
    };
    (void)state;
    for (size_t i = 0; i < sizeof(zero) / sizeof(*zero); i++) {
        uint8_t expanded[HS_EXPANDED];
        struct hs_identity k;
        struct nk_diag diag;
        memset(&k, 'k', sizeof(k));
        memset(expanded, 1, sizeof(expanded));
        unhex(expanded, HS_SCALAR, zero[i]);
        assert_int_equal(hs_identity_from_expanded(&k, expanded, &diag), NK_EFORMAT);
        assert_non_null(strstr(diag.text, "zero"));
        assert_int_equal(k.pub[0], 'k');
    }
}

/* A scalar with its highest bit set is larger than any tool makes, and still a key. */
static void large_scalar(void **state)
{
    uint8_t expanded[HS_EXPANDED], reduced[HS_EXPANDED];
    struct hs_identity k, r;
    (void)state;
    memset(expanded, 0xff, sizeof(expanded));
    assert_int_equal(hs_identity_from_expanded(&k, expanded, NULL), 0);
    assert_memory_equal(k.secret, expanded, sizeof(expanded));
    hs_identity_reduced(reduced, &k);
    assert_int_equal(hs_identity_from_expanded(&r, reduced, NULL), 0);
    assert_true(hs_identity_same(&k, &r));
    assert_false(hs_identity_is_clamped(&k));
}

static void bad_identities(void **state)
{
    static const char *const bad[] = {
        "0000000000000000000000000000000000000000000000000000000000000000", /* order 4 */
        "0100000000000000000000000000000000000000000000000000000000000000", /* the neutral one */
        "0200000000000000000000000000000000000000000000000000000000000000", /* not on the curve */
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", /* not canonical */
    };
    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        uint8_t pub[HS_PUBLIC_KEY];
        struct hs_identity k = {.has_secret = true};
        unhex(pub, sizeof(pub), bad[i]);
        assert_int_equal(hs_identity_from_public(&k, pub, NULL), NK_EFORMAT);
        assert_true(k.has_secret);
    }
}

static void clients(void **state)
{
    static const char *const pairs[][2] = {
        {"7b3e3e96665bef9f157324d743d62c1bd4d37033dc16a5a59acec98bc7452442",
         "8532418bc14aa1e65a02773faa81fad6dc74db9dac5afba41bf7a497bc36834c"},
        {"f1231b81018b52865a16c7837181227fb8e180d4897de4a95ec31475a3ab7c60",
         "d8c240f9b64509a302531caf2f81f69cc80cfc1ce79e2f2d1803172a01314627"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(pairs) / sizeof(*pairs); i++) {
        uint8_t secret[HS_CLIENT_SECRET], pub[HS_PUBLIC_KEY];
        struct hs_client a, b;
        unhex(secret, sizeof(secret), pairs[i][0]);
        unhex(pub, sizeof(pub), pairs[i][1]);
        assert_int_equal(hs_client_from_secret(&a, secret, NULL), 0);
        assert_memory_equal(a.secret, secret, sizeof(secret));
        assert_memory_equal(a.pub, pub, sizeof(pub));
        assert_int_equal(hs_client_from_public(&b, pub, NULL), 0);
        assert_true(hs_client_same(&a, &b) && a.has_secret && !b.has_secret);
        hs_client_wipe(&a);
        assert_true(sodium_is_zero((const uint8_t *)&a, sizeof(a)));
    }
}

static void bad_client_secrets(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) {
        uint8_t secret[HS_CLIENT_SECRET] = {0};
        struct hs_client k = {.pub = {'k'}};
        secret[0] = i == 1 ? 7 : 0;
        secret[HS_CLIENT_SECRET - 1] = i == 2 ? 0xc0 : 0;
        assert_int_equal(hs_client_from_secret(&k, secret, NULL), NK_EFORMAT);
        assert_int_equal(k.pub[0], 'k');
    }
}

/* The points of small order (RFC 7748 6.1), and encodings at and above the prime. */
static void bad_client_publics(void **state)
{
    static const struct {
        const char *hex, *word;
    } bad[] = {
        {"0000000000000000000000000000000000000000000000000000000000000000", "zero"},
        {"0100000000000000000000000000000000000000000000000000000000000000", "small order"},
        {"e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800", "small order"},
        {"5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157", "small order"},
        {"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", "small order"},
        {"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", "canonical"},
        {"f0ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", "canonical"},
        {"0900000000000000000000000000000000000000000000000000000000000080", "canonical"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        uint8_t pub[HS_PUBLIC_KEY];
        struct hs_client k = {.has_secret = true};
        struct nk_diag diag;
        unhex(pub, sizeof(pub), bad[i].hex);
        assert_int_equal(hs_client_from_public(&k, pub, &diag), NK_EFORMAT);
        assert_non_null(strstr(diag.text, bad[i].word));
        assert_true(k.has_secret);
    }
    uint8_t fine[HS_PUBLIC_KEY];
    struct hs_client k;
    unhex(fine, sizeof(fine), "ebffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f");
    assert_int_equal(hs_client_from_public(&k, fine, NULL), 0);
}

/* What is read may be part of what is written. */
static void overlapping(void **state)
{
    struct hs_identity a, b;
    struct hs_client c, d;
    (void)state;
    assert_int_equal(hs_identity_new(&a), 0);
    b = a;
    assert_int_equal(hs_identity_from_seed(&b, b.seed), 0);
    assert_memory_equal(&a, &b, sizeof(a));
    assert_int_equal(hs_identity_from_expanded(&b, b.secret, NULL), 0);
    assert_memory_equal(a.secret, b.secret, sizeof(a.secret));
    assert_int_equal(hs_identity_from_public(&b, b.pub, NULL), 0);
    assert_true(hs_identity_same(&a, &b) && !b.has_secret);
    assert_int_equal(hs_client_new(&c), 0);
    d = c;
    assert_int_equal(hs_client_from_secret(&d, d.secret, NULL), 0);
    assert_memory_equal(&c, &d, sizeof(c));
    assert_int_equal(hs_client_from_public(&d, d.pub, NULL), 0);
    assert_true(hs_client_same(&c, &d) && !d.has_secret);
}

static void fingerprints(void **state)
{
    char a[HS_FINGERPRINT_SIZE], b[HS_FINGERPRINT_SIZE];
    uint8_t pub[HS_PUBLIC_KEY] = {9};
    (void)state;
    hs_client_fingerprint(a, pub);
    assert_int_equal(strlen(a), HS_FINGERPRINT_SIZE - 1);
    assert_string_equal(a, "wxqql4yr");
    pub[31] = 1;
    hs_client_fingerprint(b, pub);
    assert_string_not_equal(a, b);
}

int nk_test_hs_key(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(expands),
        cmocka_unit_test(new_keys_differ),
        cmocka_unit_test(zero_scalar),
        cmocka_unit_test(large_scalar),
        cmocka_unit_test(bad_identities),
        cmocka_unit_test(clients),
        cmocka_unit_test(bad_client_secrets),
        cmocka_unit_test(bad_client_publics),
        cmocka_unit_test(overlapping),
        cmocka_unit_test(fingerprints),
    };
    return cmocka_run_group_tests_name("hs/key", tests, NULL, NULL);
}
