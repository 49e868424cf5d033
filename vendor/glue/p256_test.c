/* SPDX-License-Identifier: MIT */
/*
 * P-256 beneath mbedTLS: RFC 6979 appendix A.2.5, RFC 5903 section 8.1, edge cases of the kinds
 * that Project Wycheproof collects (made for this test, and checked with OpenSSL), and everything
 * against upstream's own code with random and with peculiar numbers.
 */
#define MBEDTLS_ALLOW_PRIVATE_ACCESS
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include <mbedtls/ecdh.h>
#include <mbedtls/md.h>
#include <psa/crypto.h>
#include <sodium.h>

#include "glue.h"
#include "p256.h"
#include "soft_ecdsa.h"

int nk_test_glue_p256(void);

#define KEY                                                                                        \
    "06199e054b2f3b9ef37e8b58a6275777cc07e2f4e1b53fc200daaac439d48c4b"                             \
    "2453cfd3cd068557d681a1a11d65817195d4718336a4ac9f8632093250aa8d09"
#define HASH "ab530a13e45914982b79f9b7e3fba994cfd1f3fb22f71cea1afbf02b460c6d1d"
#define R "f9ebe464147cc102d92324d099d927c1a50e42d57a08a116ffec0a29819d8c65"
#define S "cda09b6dab6df198ae3648547bb3b3d6858b18c7007c370b8e8df0eb2b98926d"
#define ZERO "0000000000000000000000000000000000000000000000000000000000000000"
#define ONE "0000000000000000000000000000000000000000000000000000000000000001"
#define ORDER "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551"
#define ORDER_1 "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632550"
#define ONES "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"
#define PRIME "ffffffff00000001000000000000000000000000ffffffffffffffffffffffff"
#define GENERATOR                                                                                  \
    "6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296"                             \
    "4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5"

#define LEN NK_P256_BYTES

static size_t hex(uint8_t *out, size_t size, const char *text)
{
    size_t len;
    assert_int_equal(sodium_hex2bin(out, size, text, strlen(text), NULL, &len, NULL), 0);
    return len;
}

struct curve {
    mbedtls_ecp_group g;
    mbedtls_ecp_point q, result, expected;
    mbedtls_mpi d, r, s, r2, s2;
};

static void curve_init(struct curve *c, mbedtls_ecp_group_id id)
{
    mbedtls_ecp_group_init(&c->g);
    mbedtls_ecp_point_init(&c->q);
    mbedtls_ecp_point_init(&c->result);
    mbedtls_ecp_point_init(&c->expected);
    mbedtls_mpi_init(&c->d);
    mbedtls_mpi_init(&c->r);
    mbedtls_mpi_init(&c->s);
    mbedtls_mpi_init(&c->r2);
    mbedtls_mpi_init(&c->s2);
    assert_int_equal(mbedtls_ecp_group_load(&c->g, id), 0);
}

static void curve_free(struct curve *c)
{
    mbedtls_mpi_free(&c->d);
    mbedtls_mpi_free(&c->r);
    mbedtls_mpi_free(&c->s);
    mbedtls_mpi_free(&c->r2);
    mbedtls_mpi_free(&c->s2);
    mbedtls_ecp_point_free(&c->q);
    mbedtls_ecp_point_free(&c->result);
    mbedtls_ecp_point_free(&c->expected);
    mbedtls_ecp_group_free(&c->g);
}

/* without mbedTLS's own look at the curve */
static void set_point(mbedtls_ecp_point *p, const uint8_t xy[NK_P256_POINT_BYTES])
{
    assert_int_equal(mbedtls_mpi_read_binary(&p->X, xy, LEN), 0);
    assert_int_equal(mbedtls_mpi_read_binary(&p->Y, xy + LEN, LEN), 0);
    assert_int_equal(mbedtls_mpi_lset(&p->Z, 1), 0);
}

static const struct signature {
    const char *name, *key, *r, *s, *hash;
    bool good;
} signatures[] = {
    {"good", KEY, R, S, HASH, true},
    {"the other s", KEY, R, "325f649154920e6851c9b7ab844c4c29375be1e6a69b6779652bd9d7d0ca92e4",
     HASH, true},
    {"r is 0", KEY, ZERO, S, HASH, false},
    {"s is 0", KEY, R, ZERO, HASH, false},
    {"both are 0", KEY, ZERO, ZERO, HASH, false},
    {"r is n", KEY, ORDER, S, HASH, false},
    {"s is n", KEY, R, ORDER, HASH, false},
    {"r is 1, s is n - 1", KEY, ONE, ORDER_1, HASH, false},
    {"r and s are n - 1", KEY, ORDER_1, ORDER_1, HASH, false},
    {"r is p", KEY, "ffffffff00000001000000000000000000000000ffffffffffffffffffffffff", S, HASH,
     false},
    {"all ones", KEY, ONES, ONES, HASH, false},
    {"r and s exchanged", KEY, S, R, HASH, false},
    {"one bit of the hash", KEY, R, S,
     "aa530a13e45914982b79f9b7e3fba994cfd1f3fb22f71cea1afbf02b460c6d1d", false},
    {"-y of the key",
     "06199e054b2f3b9ef37e8b58a6275777cc07e2f4e1b53fc200daaac439d48c4b"
     "dbac302b32f97aa9297e5e5ee29a7e8e6a2b8e7dc95b536079cdf6cdaf5572f6",
     R, S, HASH, false},
    {"hash of 20 bytes", KEY, "6ea47afdf3915c62c1ad95c87992d26f0e0843663713b8148dff62be30584afb",
     "f1d22912cbba3ea2dcc491030927e33976e57d58d34e6630f64a9a047beb7a7e",
     "6f9b9af3cd6e8b8a73c2cdced37fe9f59226e27d", true},
    {"hash of 28 bytes", KEY, "6ea47afdf3915c62c1ad95c87992d26f0e0843663713b8148dff62be30584afb",
     "702f8d3114fa36450df1256a2f52a485c5fbf305ef26edb91fb88fa52707de93",
     "ff51ddfabb180148583ba6ac23483acd2d049e7c4fdba6a891419320", true},
    {"hash of 48 bytes", KEY, "6ea47afdf3915c62c1ad95c87992d26f0e0843663713b8148dff62be30584afb",
     "06b068742182a4d735f9bcd9b662104c3b5f3dc12e66d3594d223623a55d3175",
     "353eb7516a27ef92e96d1a319712d84b902eaa828819e53a8b09af7028103a9978ba8feb6161e33c3619c5da4c466"
     "6a5",
     true},
    {"hash of 64 bytes", KEY, "6ea47afdf3915c62c1ad95c87992d26f0e0843663713b8148dff62be30584afb",
     "ad8d8ce64c710dbb46533f681d21150670ab572595b3774f9c54c84bb124d715",
     "f8daf57a3347cc4d6b9d575b31fe6077e2cb487f60a96233c08cb479dbf31538cc915ec6d48bdbaa96ddc1a16db4f"
     "4f96f37276cfcb3510b8246241770d5952c",
     true},
    {"hash is 0", KEY, "b5863ce50e05eb86703061bbb6bb2837169661b68f3369c7cef6caf27c19829e",
     "9abaeb842d30a8df81ea37180c52265069e4adbed4775d39159c0fff4e0c8d0a", ZERO, true},
    {"hash is n", KEY, "b5863ce50e05eb86703061bbb6bb2837169661b68f3369c7cef6caf27c19829e",
     "9abaeb842d30a8df81ea37180c52265069e4adbed4775d39159c0fff4e0c8d0a", ORDER, true},
    {"no hash", KEY, "b5863ce50e05eb86703061bbb6bb2837169661b68f3369c7cef6caf27c19829e",
     "9abaeb842d30a8df81ea37180c52265069e4adbed4775d39159c0fff4e0c8d0a", "", true},
    {"hash is n - 1", KEY, "128b437b49e0223ce3e2d09c55ad1fe5443a54d546c8cf60a037342b7eb17707",
     "e2b12a45955987c224c4211957ec3345f06ce2d6fa930f407be6c191e0ad0a16", ORDER_1, true},
    {"hash of ones", KEY, "e357bfcea651096e4bbe59be8153a0908f049e58a4abe735e798fe95c9bc957b",
     "81a21afc4b0b5cf5d0d6451857ab285abfd71b03208dcd0ae9eb393da819961d", ONES, true},
    {"hash of one byte", KEY, "037ca3df21ec55ea447ef86247a9f4ade264043c518ef3a7a12e1a77ff72cb98",
     "6a23c1e286c15d56a525b6e38fe531b9857c7d861d0ef906f596cb6f3c0d4f87", "05", true},
    {"r begins with two zero bytes", KEY,
     "00003f5f178aa0706c4231eb6e5495aa1642c5b8a994127c89465f22994a42f9",
     "bef0dfb725dd9649b0f77f2f4147bcb12942c0ad714577b48f00b4fcc844ed90", HASH, true},
    {"x of the nonce's point is above n",
     "f6bded158a3254f55ff309586ad14b95c0c60655f0458b9d658de346add61215"
     "c7a6dd1d4a17de984dcdad779b8094ba3a695ceefecd12086e7009058bc6f08d",
     "0000000000000000000000000000000000000000000000000000000000000003",
     "0000000000000000000000000000000077777777777777777777777777777777", HASH, true},
    {"both products are the same point",
     "84c02a9ff288e2d9c5ce5df126519417e7268cbaab72da7cfe40f93acb86ad02"
     "f40fba3380b18a8d165ea8d4c7f2e2c9822628713e62559d1c31874ff5b82baf",
     "0d1282a8561152993298c320264f7bb2f7398777991eb50057617e59a9f6ce07",
     "6667a0c64b7eb6d851a894c735bd6f0520d4472dde6ab5915b8fcbda28b073fb",
     "116a5b5f55e4cbdd7db5297d4a4c5702f2b3787110a3ec9f95d80bea4c176290", true},
    {"the sum is infinity",
     "84c02a9ff288e2d9c5ce5df126519417e7268cbaab72da7cfe40f93acb86ad02"
     "f40fba3380b18a8d165ea8d4c7f2e2c9822628713e62559d1c31874ff5b82baf",
     "0d1282a8561152993298c320264f7bb2f7398777991eb50057617e59a9f6ce07",
     "6667a0c64b7eb6d851a894c735bd6f0520d4472dde6ab5915b8fcbda28b073fb",
     "ee95a49faa1b3423824ad682b5b3a8fcca33823c9673b1e55de1bed8b04bc2c1", false},
    {"the sum is infinity",
     "84c02a9ff288e2d9c5ce5df126519417e7268cbaab72da7cfe40f93acb86ad02"
     "f40fba3380b18a8d165ea8d4c7f2e2c9822628713e62559d1c31874ff5b82baf",
     ONE, "c47ab504792040dbb0537bf2004f64a0990d05ee1e9add046726dad203b6678d",
     "ffffffff00000000ffffffffffffffffbce6faada7179e8447ebdbc1d91dbdc8", false},
    {"key is the generator",
     "6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296"
     "4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5",
     R, "26d783377a10c13fd07124ae3f4c4f3f9e07acb3530917625db84a79778f27f6", HASH, true},
    {"key is -1 times the generator",
     "6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296"
     "b01cbd1c01e58065711814b583f061e9d431cca994cea1313449bf97c840ae0a",
     R, "e55aa716d4105e4956fbbc454dcc8e9aeadecda855c41ffaa6ee7a7305fe46e6", HASH, true},
    {"same factors, key is the generator",
     "6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296"
     "4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5",
     "c7a73942d0b2d929f0141c687d3c389faab09710ed4ba134a7e43a73c46a1b49",
     "6729804dc7ca97a7fb8b2db0981556cc981acc760ea32b77aba353fe3070cb7d",
     "c7a73942d0b2d929f0141c687d3c389faab09710ed4ba134a7e43a73c46a1b49", true},
    {"r is 5, s is 1",
     "77a49b5e6e4bb144bf8361b1c6e050c6dc9c8c3a7dd48333519e71c344b0174b"
     "5756ca2d83c356b212cefe5c86d2ba8ef6927c51535e8d09dcc7882c2d6aa546",
     "0000000000000000000000000000000000000000000000000000000000000005", ONE, HASH, true},
    {"r is n - 2, s is n - 1",
     "ec93080b4dc030ec81d18a8ceab05fa6a271f0496312e9fba79ef92a054d561a"
     "cdf00d7b54c4a162eebb052c276f3561c24d0ad0018ad7988b593ae9df910e62",
     "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc63254f", ORDER_1, HASH, true},
    {"key is not on the curve",
     "06199e054b2f3b9ef37e8b58a6275777cc07e2f4e1b53fc200daaac439d48c4b"
     "2453cfd3cd068557d681a1a11d65817195d4718336a4ac9f8632093250aa8d08",
     R, S, HASH, false},
    {"key is 0, 0", ZERO ZERO, R, S, HASH, false},
    {"x of the key is 0", ZERO "66485c780e2f83d72433bd5d84a06bb6541c2af31dae871728bf856a174f93f4",
     "761fa8bc78b040b7dcb6c823bcf0b28d351cb612f60d74d183d5ea0dc7618511",
     "7c0eb6d2109cb7a0419f709d4219eaa113b713371f9aaa34f1df0c4b1f411c12",
     "618e2f411552d79e819d8f6893c377af9a07f76c8f6fac6c7d87da509600a544", true},
    {"x of the key is p",
     "ffffffff00000001000000000000000000000000ffffffffffffffffffffffff"
     "66485c780e2f83d72433bd5d84a06bb6541c2af31dae871728bf856a174f93f4",
     "761fa8bc78b040b7dcb6c823bcf0b28d351cb612f60d74d183d5ea0dc7618511",
     "7c0eb6d2109cb7a0419f709d4219eaa113b713371f9aaa34f1df0c4b1f411c12",
     "618e2f411552d79e819d8f6893c377af9a07f76c8f6fac6c7d87da509600a544", false},
    {"y of the key is above p", ZERO ONES,
     "761fa8bc78b040b7dcb6c823bcf0b28d351cb612f60d74d183d5ea0dc7618511",
     "7c0eb6d2109cb7a0419f709d4219eaa113b713371f9aaa34f1df0c4b1f411c12",
     "618e2f411552d79e819d8f6893c377af9a07f76c8f6fac6c7d87da509600a544", false},
};

/* By p256.c, through mbedTLS's function, and by upstream's code: all three agree. */
static void test_verify(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(signatures) / sizeof(signatures[0]); i++) {
        const struct signature *v = &signatures[i];
        uint8_t key[NK_P256_POINT_BYTES], sig[2 * LEN], hash[64];
        struct curve c;
        curve_init(&c, MBEDTLS_ECP_DP_SECP256R1);
        assert_int_equal(hex(key, sizeof(key), v->key), sizeof(key));
        assert_int_equal(hex(sig, LEN, v->r), LEN);
        assert_int_equal(hex(sig + LEN, LEN, v->s), LEN);
        size_t len = hex(hash, sizeof(hash), v->hash);
        set_point(&c.q, key);
        assert_int_equal(mbedtls_mpi_read_binary(&c.r, sig, LEN), 0);
        assert_int_equal(mbedtls_mpi_read_binary(&c.s, sig + LEN, LEN), 0);
        bool direct = nk_p256_verify(sig, key, hash, len) == 0;
        bool hooked = mbedtls_ecdsa_verify(&c.g, hash, len, &c.q, &c.r, &c.s) == 0;
        bool soft = nk_soft_ecdsa_verify_restartable(&c.g, hash, len, &c.q, &c.r, &c.s, NULL) == 0;
        if (direct != v->good || hooked != v->good || soft != v->good) {
            fail_msg("%s: %d, through mbedTLS %d, upstream %d", v->name, direct, hooked, soft);
        }
        curve_free(&c);
    }
}

/* Integers that no 32 bytes hold, and points that are not affine, never get as far as p256.c. */
static void test_verify_odd_numbers(void **state)
{
    (void)state;
    uint8_t key[NK_P256_POINT_BYTES], r[LEN], s[LEN], hash[LEN];
    struct curve c;
    curve_init(&c, MBEDTLS_ECP_DP_SECP256R1);
    hex(key, sizeof(key), KEY);
    hex(r, LEN, R);
    hex(s, LEN, S);
    hex(hash, LEN, HASH);
    set_point(&c.q, key);
    assert_int_equal(mbedtls_mpi_read_binary(&c.r, r, LEN), 0);
    assert_int_equal(mbedtls_mpi_read_binary(&c.s, s, LEN), 0);
    assert_int_equal(mbedtls_ecdsa_verify(&c.g, hash, LEN, &c.q, &c.r, &c.s), 0);

    assert_int_equal(mbedtls_mpi_add_mpi(&c.r2, &c.r, &c.g.N), 0);
    assert_int_equal(mbedtls_mpi_set_bit(&c.s2, 256, 1), 0);
    assert_int_equal(mbedtls_mpi_add_mpi(&c.s2, &c.s2, &c.s), 0);
    assert_int_not_equal(mbedtls_ecdsa_verify(&c.g, hash, LEN, &c.q, &c.r2, &c.s), 0);
    assert_int_not_equal(mbedtls_ecdsa_verify(&c.g, hash, LEN, &c.q, &c.r, &c.s2), 0);
    assert_int_equal(mbedtls_mpi_sub_mpi(&c.r2, &c.d, &c.r), 0); /* -r */
    assert_int_equal(mbedtls_mpi_sub_mpi(&c.s2, &c.d, &c.s), 0);
    assert_int_not_equal(mbedtls_ecdsa_verify(&c.g, hash, LEN, &c.q, &c.r2, &c.s), 0);
    assert_int_not_equal(mbedtls_ecdsa_verify(&c.g, hash, LEN, &c.q, &c.r, &c.s2), 0);

    assert_int_equal(mbedtls_mpi_lset(&c.q.Z, 2), 0);
    assert_int_not_equal(mbedtls_ecdsa_verify(&c.g, hash, LEN, &c.q, &c.r, &c.s), 0);
    assert_int_equal(mbedtls_ecp_set_zero(&c.q), 0);
    assert_int_not_equal(mbedtls_ecdsa_verify(&c.g, hash, LEN, &c.q, &c.r, &c.s), 0);
    set_point(&c.q, key);
    assert_int_equal(mbedtls_mpi_sub_mpi(&c.q.X, &c.q.X, &c.g.P), 0); /* the same modulo p */
    assert_int_not_equal(mbedtls_ecdsa_verify(&c.g, hash, LEN, &c.q, &c.r, &c.s), 0);
    curve_free(&c);
}

#define RFC6979_KEY "c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721"

static const struct {
    mbedtls_md_type_t md;
    const char *message, *r, *s;
} rfc6979[] = {
    {MBEDTLS_MD_SHA224, "sample",
     "53b2fff5d1752b2c689df257c04c40a587fababb3f6fc2702f1343af7ca9aa3f",
     "b9afb64fdc03dc1a131c7d2386d11e349f070aa432a4acc918bea988bf75c74c"},
    {MBEDTLS_MD_SHA224, "test", "c37edb6f0ae79d47c3c27e962fa269bb4f441770357e114ee511f662ec34a692",
     "c820053a05791e521fcaad6042d40aea1d6b1a540138558f47d0719800e18f2d"},
    {MBEDTLS_MD_SHA256, "sample",
     "efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716",
     "f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8"},
    {MBEDTLS_MD_SHA256, "test", "f1abb023518351cd71d881567b1ea663ed3efcf6c5132b354f28d3b0b7d38367",
     "019f4113742a2b14bd25926b49c649155f267e60d3814b4c0cc84250e46f0083"},
    {MBEDTLS_MD_SHA384, "sample",
     "0eafea039b20e9b42309fb1d89e213057cbf973dc0cfc8f129edddc800ef7719",
     "4861f0491e6998b9455193e34e7b0d284ddd7149a74b95b9261f13abde940954"},
    {MBEDTLS_MD_SHA384, "test", "83910e8b48bb0c74244ebdf7f07a1c5413d61472bd941ef3920e623fbccebeb6",
     "8ddbec54cf8cd5874883841d712142a56a8d0f218f5003cb0296b6b509619f2c"},
    {MBEDTLS_MD_SHA512, "sample",
     "8496a60b5e9b47c825488827e0495b0e3fa109ec4568fd3f8d1097678eb97f00",
     "2362ab1adbe2b8adf9cb9edab740ea6049c028114f2460f96554f61fae3302fe"},
    {MBEDTLS_MD_SHA512, "test", "461d93f31b6540894788fd206c07cfa0cc35f46fa3c91816fff1040ad1581a04",
     "39af9f15de0db8d97e72719c74820d304ce5226e32dedae67519e840d1194e55"},
};

static void test_rfc6979(void **state)
{
    (void)state;
    uint8_t d[LEN], expected[LEN], got[LEN], hash[MBEDTLS_MD_MAX_SIZE];
    struct curve c;
    curve_init(&c, MBEDTLS_ECP_DP_SECP256R1);
    hex(d, LEN, RFC6979_KEY);
    assert_int_equal(mbedtls_mpi_read_binary(&c.d, d, LEN), 0);
    for (size_t i = 0; i < sizeof(rfc6979) / sizeof(rfc6979[0]); i++) {
        const mbedtls_md_info_t *md = mbedtls_md_info_from_type(rfc6979[i].md);
        const unsigned char *text = (const unsigned char *)rfc6979[i].message;
        assert_int_equal(mbedtls_md(md, text, strlen(rfc6979[i].message), hash), 0);
        assert_int_equal(mbedtls_ecdsa_sign_det_ext(&c.g, &c.r, &c.s, &c.d, hash,
                                                    mbedtls_md_get_size(md), rfc6979[i].md,
                                                    nk_glue_random, NULL),
                         0);
        hex(expected, LEN, rfc6979[i].r);
        assert_int_equal(mbedtls_mpi_write_binary(&c.r, got, LEN), 0);
        assert_memory_equal(got, expected, LEN);
        hex(expected, LEN, rfc6979[i].s);
        assert_int_equal(mbedtls_mpi_write_binary(&c.s, got, LEN), 0);
        assert_memory_equal(got, expected, LEN);
    }
    curve_free(&c);
}

static const struct {
    const char *k, *xy;
} products[] = {
    {"0000000000000000000000000000000000000000000000000000000000000001",
     "6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296"
     "4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5"},
    {"0000000000000000000000000000000000000000000000000000000000000002",
     "7cf27b188d034f7e8a52380304b51ac3c08969e277f21b35a60b48fc47669978"
     "07775510db8ed040293d9ac69f7430dbba7dade63ce982299e04b79d227873d1"},
    {"0000000000000000000000000000000000000000000000000000000000000003",
     "5ecbe4d1a6330a44c8f7ef951d4bf165e6c6b721efada985fb41661bc6e7fd6c"
     "8734640c4998ff7e374b06ce1a64a2ecd82ab036384fb83d9a79b127a27d5032"},
    {"000000000000000000000000000000000000000000000000000000000000000f",
     "f0454dc6971abae7adfb378999888265ae03af92de3a0ef163668c63e59b9d5f"
     "b5b93ee3592e2d1f4e6594e51f9643e62a3b21ce75b5fa3f47e59cde0d034f36"},
    {"0000000000000000000000000000000000000000000000000000000000000010",
     "76a94d138a6b41858b821c629836315fcd28392eff6ca038a5eb4787e1277c6e"
     "a985fe61341f260e6cb0a1b5e11e87208599a0040fc78baa0e9ddd724b8c5110"},
    {"0000000000000000000000000000000000000000000000000000000000000011",
     "47776904c0f1cc3a9c0984b66f75301a5fa68678f0d64af8ba1abce34738a73e"
     "aa005ee6b5b957286231856577648e8381b2804428d5733f32f787ff71f1fcdc"},
    {"ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632550",
     "6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296"
     "b01cbd1c01e58065711814b583f061e9d431cca994cea1313449bf97c840ae0a"},
    {"ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc63254f",
     "7cf27b188d034f7e8a52380304b51ac3c08969e277f21b35a60b48fc47669978"
     "f888aaee24712fc0d6c26539608bcf244582521ac3167dd661fb4862dd878c2e"},
    {"7fffffff800000007fffffffffffffffde737d56d38bcf4279dce5617e3192a8",
     "2afa386b3f2bdcdb83f4d83f8fa3874d7b74dcb454bd644fdd6bf3d1f2da8db6"
     "72184be1caa8563462b536f10852d665ae8a64fdf1eb8d4c946ad589796f729c"},
    {"7fffffff800000007fffffffffffffffde737d56d38bcf4279dce5617e3192a9",
     "2afa386b3f2bdcdb83f4d83f8fa3874d7b74dcb454bd644fdd6bf3d1f2da8db6"
     "8de7b41d3557a9cc9d4ac90ef7ad299a51759b030e1472b36b952a7686908d63"},
    {"0000000000000000000000000000000000000000000000000000000100000000",
     "7fe36b40af22af8921656b32262c71da1ab919365c65dfb63a5a9e22185a5943"
     "e697d45825b636249f09f40407dca6f174b3d5867b8af212d50d152c699ca101"},
    {"00000000000000000000000000000000000000000000000000000000ffffffff",
     "618466bcb739585c20c44b7fc962d8671d94867054859361a18293ffe4a720e1"
     "34587f80988db9bd798cb5da178ec512db9aec2fe35f85e0678b4e91f7c873b4"},
    {"000000000000000000000000000000000000000000000000ffffffffffffffff",
     "fcb7116120d0174bc4191acf8423c0baff33d7071d3980926f3136898abf6bd1"
     "deeae37c8366664424aa32136e277d6a41f3c2388752102333192f74f86c5bd9"},
    {"0000000100000000000000000000000000000000000000000000000000000000",
     "68f6b8542783dfeeeb5b06e70ce08ffefd75f3fa01876bd86a703f10e895df07"
     "cbe1feba92e40ce6fbc8044dfda45028cf5293d2f310bf7f90c76f8a78712655"},
    {"8000000000000000000000000000000000000000000000000000000000000000",
     "77b20a912e6b23135066e911891524bc4efe3560e3e92350b52dec8f375f2b54"
     "a3dc291825cea3f7f7b10bfcdd038a72df623da1e850e0f1caa801fcd6cc67ff"},
    {"0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f",
     "8ffb7a2eaeaaf7931c1fb21192b737b39290fec6f055df4a35fd5e55c87a94ce"
     "656ced1ba84ae54ea9a3fb92122f3863c2448bd0719824d8d527615ce2a46d99"},
    {"8080808080808080808080808080808080808080808080808080808080808080",
     "fcfd57cc9e3523710adfcb43d453fc893a6c3b63c418edfe1167ed1570c662a1"
     "41ad15df4fa0917ced42ba894b4acc5e7a8fe8d421177b28ab27b7302b677a20"},
    {"0101010101010101010101010101010101010101010101010101010101010101",
     "6ff03b949241ce1dadd43519e6960e0a85b41a69a05c328103aa2bce1594ca16"
     "3c4f753a55bf01dc53f6c0b0c7eee78b40c6ff7d25a96e2282b989cef71c144a"},
    {"aaaaaaaaffffffffaaaaaaaa5555555555555555555555555555555555555555",
     "20c9246b120634c13d92e474eb952a02a279475e5be490f6d95db02912cf48da"
     "1476aa1143d4b1dfc2a62972b15ebf5930e63e01488147df9ac79fa41d935d68"},
};

/* Multiples of the generator, by its own table and as any other point. */
static void test_multiples(void **state)
{
    (void)state;
    uint8_t k[LEN], base[NK_P256_POINT_BYTES], expected[NK_P256_POINT_BYTES],
        got[NK_P256_POINT_BYTES];
    hex(base, sizeof(base), GENERATOR);
    for (size_t i = 0; i < sizeof(products) / sizeof(products[0]); i++) {
        hex(k, LEN, products[i].k);
        hex(expected, sizeof(expected), products[i].xy);
        assert_int_equal(nk_p256_mul(got, k, NULL), 0);
        assert_memory_equal(got, expected, sizeof(got));
        memcpy(got, base, sizeof(got));
        assert_int_equal(nk_p256_mul(got, k, got), 0);
        assert_memory_equal(got, expected, sizeof(got));
    }
}

/* RFC 5903 section 8.1, through what TLS 1.2 calls and through PSA, which TLS 1.3 calls. */
static void test_ecdh(void **state)
{
    (void)state;
    uint8_t i[LEN], peer[1 + NK_P256_POINT_BYTES] = {4}, public[1 + NK_P256_POINT_BYTES], z[LEN],
                             got[LEN];
    size_t len;
    hex(i, LEN, "c88f01f510d9ac3f70a292daa2316de544e9aab8afe84049c62a9c57862d1433");
    hex(peer + 1, sizeof(peer) - 1,
        "d12dfb5289c8d4f81208b70270398c342296970a0bccb74c736fc7554494bf63"
        "56fbf3ca366cc23e8157854c13c58d6aac23f046ada30f8353e74f33039872ab");
    hex(z, LEN, "d6840f6b42f6edafd13116e0e12565202fef8e9ece7dce03812464d04b9442de");
    struct curve c;
    curve_init(&c, MBEDTLS_ECP_DP_SECP256R1);
    set_point(&c.q, peer + 1);
    assert_int_equal(mbedtls_mpi_read_binary(&c.d, i, LEN), 0);
    assert_int_equal(mbedtls_ecdh_compute_shared(&c.g, &c.r, &c.q, &c.d, nk_glue_random, NULL), 0);
    assert_int_equal(mbedtls_mpi_write_binary(&c.r, got, LEN), 0);
    assert_memory_equal(got, z, LEN);
    curve_free(&c);

    psa_key_attributes_t a = PSA_KEY_ATTRIBUTES_INIT;
    psa_key_id_t key;
    assert_int_equal(psa_crypto_init(), PSA_SUCCESS);
    psa_set_key_usage_flags(&a, PSA_KEY_USAGE_DERIVE);
    psa_set_key_algorithm(&a, PSA_ALG_ECDH);
    psa_set_key_type(&a, PSA_KEY_TYPE_ECC_KEY_PAIR(PSA_ECC_FAMILY_SECP_R1));
    assert_int_equal(psa_import_key(&a, i, LEN, &key), PSA_SUCCESS);
    assert_int_equal(psa_export_public_key(key, public, sizeof(public), &len), PSA_SUCCESS);
    assert_int_equal(len, sizeof(public));
    hex(got, LEN, "dad0b65394221cf9b051e1feca5787d098dfe637fc90b9ef945d0c3772581180");
    assert_memory_equal(public + 1, got, LEN);
    memset(got, 0, LEN);
    assert_int_equal(psa_raw_key_agreement(PSA_ALG_ECDH, key, peer, sizeof(peer), got, LEN, &len),
                     PSA_SUCCESS);
    assert_memory_equal(got, z, LEN);
    peer[64] ^= 1; /* not on the curve */
    assert_int_not_equal(
        psa_raw_key_agreement(PSA_ALG_ECDH, key, peer, sizeof(peer), got, LEN, &len), PSA_SUCCESS);
    psa_destroy_key(key);
    mbedtls_psa_crypto_free();
}

/* What is refused leaves the output alone. */
static void test_refused(void **state)
{
    (void)state;
    static const char *const scalars[] = {ZERO, ORDER, PRIME, ONES};
    static const char *const points[] = {
        ZERO ZERO, ZERO ONE, ONES ONES, PRIME ZERO,
        "06199e054b2f3b9ef37e8b58a6275777cc07e2f4e1b53fc200daaac439d48c4b"
        "2453cfd3cd068557d681a1a11d65817195d4718336a4ac9f8632093250aa8d08",
        /* x of the generator plus 2^256 - p, and its y */
        "6b17d1f3e12c4246f8bce6e563a440f177037d812deb33a0f4a13945d898c297"
        "4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5"};
    uint8_t k[LEN], one[LEN], point[NK_P256_POINT_BYTES], out[NK_P256_POINT_BYTES];
    uint8_t before[NK_P256_POINT_BYTES], hash[LEN];
    memset(out, 0x5a, sizeof(out));
    memset(before, 0x5a, sizeof(before));
    hex(one, LEN, ONE);
    hex(hash, LEN, HASH);
    for (size_t i = 0; i < sizeof(scalars) / sizeof(scalars[0]); i++) {
        hex(k, LEN, scalars[i]);
        assert_int_equal(nk_p256_scalar_ok(k), 0);
        assert_int_equal(nk_p256_mul(out, k, NULL), -1);
        assert_int_equal(nk_p256_sign(out, k, one, hash, LEN), -1);
        assert_int_equal(nk_p256_sign(out, one, k, hash, LEN), -1);
    }
    for (size_t i = 0; i < sizeof(points) / sizeof(points[0]); i++) {
        hex(point, sizeof(point), points[i]);
        assert_int_equal(nk_p256_mul(out, one, point), -1);
    }
    /* s would be 0: e = -r * d with d = 1, and r that of k = 1 */
    uint8_t minus_r[LEN], order[LEN];
    hex(order, LEN, ORDER);
    hex(minus_r, LEN, "6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296");
    unsigned borrow = 0;
    for (int i = LEN - 1; i >= 0; i--) {
        unsigned v = 256u + order[i] - minus_r[i] - borrow;
        minus_r[i] = (uint8_t)v;
        borrow = v < 256 ? 1 : 0;
    }
    assert_int_equal(nk_p256_sign(out, one, one, minus_r, LEN), -1);
    assert_memory_equal(out, before, sizeof(out));
    minus_r[0] ^= 1;
    assert_int_equal(nk_p256_sign(out, one, one, minus_r, LEN), 0);
}

/* A generator of nonces that fails, and one that yields none in range before the fourth. */
static int no_nonce(void *ctx, unsigned char *out, size_t len)
{
    (void)ctx;
    memset(out, 0, len);
    return MBEDTLS_ERR_ECP_RANDOM_FAILED - 1;
}

static int fourth_nonce(void *ctx, unsigned char *out, size_t len)
{
    int *calls = ctx;
    ++*calls;
    memset(out, *calls == 1 ? 0 : 0xff, len);
    if (*calls == 3) {
        hex(out, len, ORDER);
    } else if (*calls == 4) {
        hex(out, len, ONE);
    }
    return 0;
}

static int never_a_nonce(void *ctx, unsigned char *out, size_t len)
{
    (void)ctx;
    memset(out, 0xff, len);
    return 0;
}

static void test_nonces(void **state)
{
    (void)state;
    uint8_t hash[LEN], x[NK_P256_POINT_BYTES], got[LEN];
    int calls = 0;
    struct curve c;
    curve_init(&c, MBEDTLS_ECP_DP_SECP256R1);
    hex(hash, LEN, HASH);
    assert_int_equal(mbedtls_mpi_lset(&c.d, 77), 0);
    assert_int_equal(mbedtls_ecdsa_sign(&c.g, &c.r, &c.s, &c.d, hash, LEN, no_nonce, NULL),
                     MBEDTLS_ERR_ECP_RANDOM_FAILED - 1);
    assert_int_equal(mbedtls_ecdsa_sign(&c.g, &c.r, &c.s, &c.d, hash, LEN, never_a_nonce, NULL),
                     MBEDTLS_ERR_ECP_RANDOM_FAILED);
    assert_int_equal(mbedtls_ecdsa_sign(&c.g, &c.r, &c.s, &c.d, hash, LEN, fourth_nonce, &calls),
                     0);
    assert_int_equal(calls, 4);
    hex(x, sizeof(x), GENERATOR);
    assert_int_equal(mbedtls_mpi_write_binary(&c.r, got, LEN), 0);
    assert_memory_equal(got, x, LEN); /* the nonce was 1 */

    /* keys out of range */
    assert_int_equal(mbedtls_mpi_lset(&c.d, 0), 0);
    assert_int_equal(mbedtls_ecdsa_sign(&c.g, &c.r, &c.s, &c.d, hash, LEN, nk_glue_random, NULL),
                     MBEDTLS_ERR_ECP_INVALID_KEY);
    assert_int_equal(mbedtls_mpi_lset(&c.d, -5), 0);
    assert_int_equal(mbedtls_ecdsa_sign(&c.g, &c.r, &c.s, &c.d, hash, LEN, nk_glue_random, NULL),
                     MBEDTLS_ERR_ECP_INVALID_KEY);
    assert_int_equal(mbedtls_ecp_mul(&c.g, &c.result, &c.d, &c.g.G, nk_glue_random, NULL),
                     MBEDTLS_ERR_ECP_INVALID_KEY);
    assert_int_equal(mbedtls_ecdsa_sign(&c.g, &c.r, &c.s, &c.g.N, hash, LEN, nk_glue_random, NULL),
                     MBEDTLS_ERR_ECP_INVALID_KEY);
    curve_free(&c);
}

/* A number that is random, small, near the order, or has long runs of equal bits. */
static void peculiar(uint8_t out[LEN], uint32_t kind)
{
    randombytes_buf(out, LEN);
    if (kind % 5 == 1) {
        memset(out, 0, LEN - 1 - kind % 7);
    } else if (kind % 5 == 2) {
        hex(out, LEN, ORDER);
        out[LEN - 1] = (uint8_t)(out[LEN - 1] - 1 - kind % 32);
    } else if (kind % 5 == 3) {
        for (int i = 0; i < LEN; i++) {
            out[i] = out[i] & 1 ? 0xff : 0;
        }
    } else if (kind % 5 == 4) {
        memset(out, 0, LEN);
        out[kind / 8 % LEN] = (uint8_t)(1u << kind % 8);
    }
    if (!nk_p256_scalar_ok(out)) {
        hex(out, LEN, ORDER_1);
    }
}

#define CASES 200

/* Products, signatures and their verification as upstream's code has them. */
static void compare_once(struct curve *c, uint32_t i)
{
    uint8_t d[LEN], k[LEN], hash[64];
    size_t len = i % sizeof(hash);
    randombytes_buf(hash, sizeof(hash));
    peculiar(d, i);
    peculiar(k, i / 5);
    assert_int_equal(mbedtls_mpi_read_binary(&c->d, d, LEN), 0);
    assert_int_equal(mbedtls_ecp_mul(&c->g, &c->q, &c->d, &c->g.G, nk_glue_random, NULL), 0);
    assert_int_equal(nk_soft_ecp_mul(&c->g, &c->expected, &c->d, &c->g.G, nk_glue_random, NULL), 0);
    assert_int_equal(mbedtls_ecp_point_cmp(&c->q, &c->expected), 0);
    assert_int_equal(mbedtls_mpi_read_binary(&c->s, k, LEN), 0);
    assert_int_equal(mbedtls_ecp_mul(&c->g, &c->result, &c->s, &c->q, nk_glue_random, NULL), 0);
    assert_int_equal(nk_soft_ecp_mul(&c->g, &c->expected, &c->s, &c->q, nk_glue_random, NULL), 0);
    assert_int_equal(mbedtls_ecp_point_cmp(&c->result, &c->expected), 0);

    assert_int_equal(mbedtls_ecdsa_sign_det_ext(&c->g, &c->r, &c->s, &c->d, hash, len,
                                                MBEDTLS_MD_SHA256, nk_glue_random, NULL),
                     0);
    assert_int_equal(nk_soft_ecdsa_verify_restartable(&c->g, hash, len, &c->q, &c->r, &c->s, NULL),
                     0);
    assert_int_equal(mbedtls_ecdsa_verify(&c->g, hash, len, &c->q, &c->r, &c->s), 0);
    assert_int_equal(nk_soft_ecdsa_sign_restartable(&c->g, &c->r2, &c->s2, &c->d, hash, len,
                                                    nk_glue_random, NULL, nk_glue_random, NULL,
                                                    NULL),
                     0);
    assert_int_equal(mbedtls_ecdsa_verify(&c->g, hash, len, &c->q, &c->r2, &c->s2), 0);
    assert_int_not_equal(mbedtls_ecdsa_verify(&c->g, hash, len, &c->q, &c->r2, &c->s), 0);
}

static void test_upstream(void **state)
{
    (void)state;
    struct curve c;
    curve_init(&c, MBEDTLS_ECP_DP_SECP256R1);
    for (uint32_t i = 0; i < CASES; i++) {
        compare_once(&c, i);
    }
    curve_free(&c);
}

/* The other curves get through the hooks to upstream's code. */
static void test_other_curves(void **state)
{
    (void)state;
    static const mbedtls_ecp_group_id ids[] = {MBEDTLS_ECP_DP_SECP384R1, MBEDTLS_ECP_DP_SECP521R1};
    uint8_t hash[48];
    randombytes_buf(hash, sizeof(hash));
    for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
        struct curve c;
        curve_init(&c, ids[i]);
        assert_int_equal(mbedtls_ecp_gen_keypair(&c.g, &c.d, &c.q, nk_glue_random, NULL), 0);
        assert_int_equal(mbedtls_ecp_check_pubkey(&c.g, &c.q), 0);
        assert_int_equal(mbedtls_ecdsa_sign_det_ext(&c.g, &c.r, &c.s, &c.d, hash, sizeof(hash),
                                                    MBEDTLS_MD_SHA384, nk_glue_random, NULL),
                         0);
        assert_int_equal(mbedtls_ecdsa_verify(&c.g, hash, sizeof(hash), &c.q, &c.r, &c.s), 0);
        hash[0] ^= 1;
        assert_int_not_equal(mbedtls_ecdsa_verify(&c.g, hash, sizeof(hash), &c.q, &c.r, &c.s), 0);
        curve_free(&c);
    }
}

int nk_test_glue_p256(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_verify),       cmocka_unit_test(test_verify_odd_numbers),
        cmocka_unit_test(test_rfc6979),      cmocka_unit_test(test_multiples),
        cmocka_unit_test(test_ecdh),         cmocka_unit_test(test_refused),
        cmocka_unit_test(test_nonces),       cmocka_unit_test(test_upstream),
        cmocka_unit_test(test_other_curves),
    };
    return cmocka_run_group_tests_name("glue/p256", tests, NULL, NULL);
}
