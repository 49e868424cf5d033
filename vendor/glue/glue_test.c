/* SPDX-License-Identifier: MIT */
/*
 * libsodium beneath mbedTLS: published vectors, and the fast paths against upstream's code over
 * every length that changes how blocks are handled. Vector sources: the GCM specification of McGrew
 * and Viega (appendix B), Project Wycheproof (aes_gcm, "tc" numbers), RFC 8439 section 2.8.2, RFC
 * 7748 sections 5.2 and 6.1; FIPS 180-4's "abc".
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <mbedtls/chachapoly.h>
#include <mbedtls/ecdh.h>
#include <mbedtls/gcm.h>
#include <mbedtls/sha256.h>
#include <mbedtls/sha512.h>
#include <psa/crypto.h>
#include <sodium.h>

#include "glue.h"
#include "soft.h"

int nk_test_glue_glue(void);

#define MAX 512

struct bytes {
    unsigned char data[MAX];
    size_t len;
};

static struct bytes hex(const char *text)
{
    struct bytes b = {.len = 0};
    assert_int_equal(sodium_hex2bin(b.data, sizeof(b.data), text, strlen(text), NULL, &b.len, NULL),
                     0);
    return b;
}

struct vector {
    const char *name, *key, *iv, *aad, *plain, *cipher, *tag;
};

#define KEY_MV "feffe9928665731c6d6a8f9467308308"
#define PLAIN_MV                                                                                   \
    "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6" \
    "b525b16aedf5aa0de657ba637b39"
#define AAD_MV "feedfacedeadbeeffeedfacedeadbeefabaddad2"
#define ZERO16 "00000000000000000000000000000000"
#define ZERO40 "00000000000000000000000000000000000000000000000000000000000000000000000000000000"

static const struct vector gcm_vectors[] = {
    {"case 1, AES-128", ZERO16, "000000000000000000000000", "", "", "",
     "58e2fccefa7e3061367f1d57a4e7455a"},
    {"case 4, AES-128", KEY_MV, "cafebabefacedbaddecaf888", AAD_MV, PLAIN_MV,
     "42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e21d514b25466931c7d8f6a5aac84"
     "aa051ba30b396a0aac973d58e091",
     "5bc94fbc3221a5db94fae95ae7121a47"},
    {"case 10, AES-192", KEY_MV "feffe9928665731c", "cafebabefacedbaddecaf888", AAD_MV, PLAIN_MV,
     "3980ca0b3c00e841eb06fac4872a2757859e1ceaa6efd984628593b40ca1e19c7d773d00c144c525ac619d18c84a"
     "3f4718e2448b2fe324d9ccda2710",
     "2519498e80f1478f37ba55bd6d27618c"},
    {"case 13, AES-256", ZERO16 ZERO16, "000000000000000000000000", "", "", "",
     "530f8afbc74536b9a963b4f1c4cb738b"},
    {"case 14, AES-256", ZERO16 ZERO16, "000000000000000000000000", "", ZERO16,
     "cea7403d4d606b6e074ec5d3baf39d18", "d0d1c8a799996bf0265b98b5d48ab919"},
    {"case 16, AES-256", KEY_MV KEY_MV, "cafebabefacedbaddecaf888", AAD_MV, PLAIN_MV,
     "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b105682"
     "8838c5f61e6393ba7a0abcc9f662",
     "76fc6ece0f4e1768cddf8853bb2d551b"},
    {"case 17, 8-byte nonce", KEY_MV KEY_MV, "cafebabefacedbad", AAD_MV, PLAIN_MV,
     "c3762df1ca787d32ae47c13bf19844cbaf1ae14d0b976afac52ff7d79bba9de0feb582d33934a4f0954cc2363bc7"
     "3f7862ac430e64abe499f47c9b1f",
     "3a337dbf46a792c45e454913fe2ea8f2"},
    {"case 18, 60-byte nonce", KEY_MV KEY_MV,
     "9313225df88406e555909c5aff5269aa6a7a9538534f7da1e4c303d2a318a728c3c0c95156809539fcf0e2429a6b"
     "525416aedbf5a0de6a57a637b39b",
     AAD_MV, PLAIN_MV,
     "5a8def2f0c9e53f1f75d7853659e2a20eeb2b22aafde6419a058ab4f6f746bf40fc0c3b780f244452da3ebf1c5d8"
     "2cdea2418997200ef82e44ae7e3f",
     "a44a8266ee1c8eb0c8b5d4cf5ae9f19a"},
    {"tc 91", "92ace3e348cd821092cd921aa3546374299ab46209691bc28b8752d17f123c20",
     "00112233445566778899aabb", "00000000ffffffff", "00010203040506070809", "e27abdd2d2a53d2f136b",
     "9a4a2579529301bcfb71c78d4060f52c"},
    {"tc 92", "29d3a44f8723dc640239100c365423a312934ac80239212ac3df3421a2098123",
     "00112233445566778899aabb", "aabbccddeeff", "", "", "2a7d77fa526b8250cb296078926b5020"},
    {"tc 94", "cc56b680552eb75008f5484b4cb803fa5063ebd6eab91f6ab6aef4916a766273",
     "99e23ec48985bccdeeab60f1", "", "2a", "06", "633c1e9703ef744ffffb40edf9d14355"},
    {"tc 98", "3b2458d8176e1621c0cc24c0c0e24c1e80d72f7ee9149a4b166176629616d011",
     "45aaa3e5d16d2d42dc03445d", "", "3ff1514b1c503915918f0c0c31094a6e1f",
     "73a6b6f45f6ccc5131e07f2caa1f2e2f56", "2d7379ec1db5952d4e95d30c340b1b1d"},
    {"tc 86, counter wraps", "00112233445566778899aabbccddeeff", "7eb6e3079fa0b4c3eee366177d1c1d1d",
     "", ZERO40, "d82ce58771bf6487116bf8e96421877ed6928e094c06e0a7c4db42184cf7529e95de88b767edebe9",
     "1e43926828bc9a1614c7b1639096c195"},
    {"tc 89, zero tag", "00112233445566778899aabbccddeeff", ZERO16, "",
     "bec6fa05c1718b9b84c47345bbed7dcb", "45a3f89d02918bfd0c8161658ccc9795", ZERO16},
    {"tc 90, tag of ones", "00112233445566778899aabbccddeeff", "ffffffffffffffffffffffffffffffff",
     "", "4d82639c39d3f3490ee903dd0be7afcf", "1cd5a06214235ceb044d4bad7b047312",
     "ffffffffffffffffffffffffffffffff"},
};

static const struct vector chacha_vector = {
    "RFC 8439 2.8.2",
    "808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f",
    "070000004041424344454647",
    "50515253c0c1c2c3c4c5c6c7",
    "4c616469657320616e642047656e746c656d656e206f662074686520636c617373206f66202739393a204966204920"
    "636f756c64206f6666657220796f75206f6e6c79206f6e652074697020666f7220746865206675747572652c207375"
    "6e73637265656e20776f756c642062652069742e",
    "d31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d63dbea45e8ca9671282fafb69da9272"
    "8b1a71de0a9e060b2905d6a5b67ecd3b3692ddbd7f2d778b8c9803aee328091b58fab324e4fad675945585808b4831"
    "d7bc3ff4def08e4b7a9de576d26586cec64b6116",
    "1ae10b594f09e26a7e902ecbd0600691",
};

typedef int gcm_setkey_fn(mbedtls_gcm_context *, int, const unsigned char *, unsigned);

static int setkey_default(mbedtls_gcm_context *ctx, int cipher, const unsigned char *key,
                          unsigned bits)
{
    return mbedtls_gcm_setkey(ctx, (mbedtls_cipher_id_t)cipher, key, bits);
}

static void check_gcm_vector(const struct vector *v, gcm_setkey_fn *setkey)
{
    struct bytes key = hex(v->key), iv = hex(v->iv), aad = hex(v->aad), plain = hex(v->plain);
    struct bytes cipher = hex(v->cipher), tag = hex(v->tag);
    unsigned char out[MAX], got[16];
    mbedtls_gcm_context ctx;
    mbedtls_gcm_init(&ctx);
    assert_int_equal(setkey(&ctx, MBEDTLS_CIPHER_ID_AES, key.data, (unsigned)key.len * 8), 0);
    assert_int_equal(mbedtls_gcm_crypt_and_tag(&ctx, MBEDTLS_GCM_ENCRYPT, plain.len, iv.data,
                                               iv.len, aad.data, aad.len, plain.data, out, 16, got),
                     0);
    assert_memory_equal(out, cipher.data, cipher.len);
    assert_memory_equal(got, tag.data, 16);
    assert_int_equal(mbedtls_gcm_auth_decrypt(&ctx, cipher.len, iv.data, iv.len, aad.data, aad.len,
                                              tag.data, 16, cipher.data, out),
                     0);
    assert_memory_equal(out, plain.data, plain.len);
    /* every bit of the tag counts, and a refused message leaves no plaintext */
    for (unsigned bit = 0; bit < 128; bit += 9) {
        struct bytes bad = tag;
        static const unsigned char zero[MAX];
        bad.data[bit / 8] ^= (unsigned char)(1u << bit % 8);
        memset(out, 0xa5, sizeof(out));
        assert_int_equal(mbedtls_gcm_auth_decrypt(&ctx, cipher.len, iv.data, iv.len, aad.data,
                                                  aad.len, bad.data, 16, cipher.data, out),
                         MBEDTLS_ERR_GCM_AUTH_FAILED);
        assert_memory_equal(out, zero, cipher.len);
    }
    mbedtls_gcm_free(&ctx);
}

static void gcm_published_vectors(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(gcm_vectors) / sizeof(gcm_vectors[0]); i++) {
        print_message("  %s\n", gcm_vectors[i].name);
        check_gcm_vector(&gcm_vectors[i], setkey_default);
        check_gcm_vector(&gcm_vectors[i], nk_glue_gcm_setkey_soft);
    }
}

static void gcm_streaming(void **state)
{
    (void)state;
    const struct vector *v = &gcm_vectors[5];
    struct bytes key = hex(v->key), iv = hex(v->iv), aad = hex(v->aad), plain = hex(v->plain);
    struct bytes cipher = hex(v->cipher), tag = hex(v->tag);
    unsigned char out[MAX], got[16];
    size_t n, total = 0;
    mbedtls_gcm_context ctx;
    mbedtls_gcm_init(&ctx);
    /* nothing may happen before the key and the nonce are there */
    assert_true(mbedtls_gcm_starts(&ctx, MBEDTLS_GCM_ENCRYPT, iv.data, iv.len) < 0);
    assert_true(mbedtls_gcm_update(&ctx, plain.data, 1, out, 1, &n) < 0);
    assert_int_equal(mbedtls_gcm_setkey(&ctx, MBEDTLS_CIPHER_ID_AES, key.data, 256), 0);
    assert_true(mbedtls_gcm_update(&ctx, plain.data, 1, out, 1, &n) < 0);
    assert_int_equal(mbedtls_gcm_starts(&ctx, MBEDTLS_GCM_ENCRYPT, iv.data, iv.len), 0);
    assert_int_equal(mbedtls_gcm_update_ad(&ctx, aad.data, aad.len), 0);
    for (size_t i = 0; i < plain.len; i += 7) {
        size_t piece = plain.len - i < 7 ? plain.len - i : 7;
        assert_int_equal(
            mbedtls_gcm_update(&ctx, plain.data + i, piece, out + total, sizeof(out) - total, &n),
            0);
        total += n;
    }
    assert_int_equal(
        mbedtls_gcm_finish(&ctx, out + total, sizeof(out) - total, &n, got, sizeof(got)), 0);
    assert_int_equal(total + n, cipher.len);
    assert_memory_equal(out, cipher.data, cipher.len);
    assert_memory_equal(got, tag.data, 16);
    mbedtls_gcm_free(&ctx);
}

/* One length: the fast path and upstream's code must agree, in place too, and open each other's. */
static void cross_check_gcm(mbedtls_gcm_context *fast, mbedtls_gcm_context *soft,
                            unsigned char *buf, size_t len)
{
    unsigned char *in = buf, *a = buf + len, *b = a + len, iv[12], aad[33], ta[16], tb[16];
    size_t aad_len = len % sizeof(aad);
    randombytes_buf(in, len);
    randombytes_buf(iv, sizeof(iv));
    randombytes_buf(aad, sizeof(aad));
    assert_int_equal(mbedtls_gcm_crypt_and_tag(fast, MBEDTLS_GCM_ENCRYPT, len, iv, 12, aad, aad_len,
                                               in, a, 16, ta),
                     0);
    assert_int_equal(mbedtls_gcm_crypt_and_tag(soft, MBEDTLS_GCM_ENCRYPT, len, iv, 12, aad, aad_len,
                                               in, b, 16, tb),
                     0);
    assert_memory_equal(a, b, len);
    assert_memory_equal(ta, tb, 16);
    assert_int_equal(mbedtls_gcm_auth_decrypt(soft, len, iv, 12, aad, aad_len, ta, 16, a, b), 0);
    assert_memory_equal(b, in, len);
    assert_int_equal(mbedtls_gcm_auth_decrypt(fast, len, iv, 12, aad, aad_len, ta, 16, a, a), 0);
    assert_memory_equal(a, in, len);
    assert_int_equal(mbedtls_gcm_crypt_and_tag(fast, MBEDTLS_GCM_ENCRYPT, len, iv, 12, aad, aad_len,
                                               a, a, 16, tb),
                     0);
    assert_memory_equal(ta, tb, 16);
    /* a short tag is upstream's business and must still be the same tag */
    assert_int_equal(mbedtls_gcm_auth_decrypt(fast, len, iv, 12, aad, aad_len, ta, 12, a, b), 0);
    assert_memory_equal(b, in, len);
    ta[len % 16] ^= 0x40;
    assert_int_equal(mbedtls_gcm_auth_decrypt(fast, len, iv, 12, aad, aad_len, ta, 16, a, b),
                     MBEDTLS_ERR_GCM_AUTH_FAILED);
}

static void gcm_cross_check(void **state)
{
    (void)state;
    unsigned char key[32], *buf = malloc(3 * 16385);
    mbedtls_gcm_context fast, soft;
    assert_non_null(buf);
    mbedtls_gcm_init(&fast);
    mbedtls_gcm_init(&soft);
    for (size_t len = 0; len <= 16385; len += len < 300 || len >= 16383 ? 1 : 16383 - 300) {
        randombytes_buf(key, sizeof(key));
        assert_int_equal(mbedtls_gcm_setkey(&fast, MBEDTLS_CIPHER_ID_AES, key, 256), 0);
        assert_int_equal(nk_glue_gcm_setkey_soft(&soft, MBEDTLS_CIPHER_ID_AES, key, 256), 0);
        cross_check_gcm(&fast, &soft, buf, len);
    }
    mbedtls_gcm_free(&fast);
    mbedtls_gcm_free(&soft);
    free(buf);
}

static void gcm_overlap_and_bad_input(void **state)
{
    (void)state;
    unsigned char key[32] = {1}, iv[12] = {2}, buf[80], want[64], tag[16], want_tag[16];
    mbedtls_gcm_context ctx;
    mbedtls_gcm_init(&ctx);
    assert_true(mbedtls_gcm_setkey(&ctx, MBEDTLS_CIPHER_ID_AES, key, 100) < 0);
    assert_true(mbedtls_gcm_setkey(&ctx, MBEDTLS_CIPHER_ID_AES, key, 512) < 0);
    assert_true(mbedtls_gcm_crypt_and_tag(&ctx, MBEDTLS_GCM_ENCRYPT, 16, iv, 12, NULL, 0, buf, buf,
                                          16, tag) < 0);
    assert_int_equal(mbedtls_gcm_setkey(&ctx, MBEDTLS_CIPHER_ID_AES, key, 256), 0);
    randombytes_buf(buf, sizeof(buf));
    assert_int_equal(mbedtls_gcm_crypt_and_tag(&ctx, MBEDTLS_GCM_ENCRYPT, 64, iv, 12, NULL, 0,
                                               buf + 16, want, 16, want_tag),
                     0);
    /* output in front of the input, overlapping it: upstream allows that from eight bytes on */
    assert_int_equal(mbedtls_gcm_crypt_and_tag(&ctx, MBEDTLS_GCM_ENCRYPT, 64, iv, 12, NULL, 0,
                                               buf + 16, buf, 16, tag),
                     0);
    assert_memory_equal(buf, want, 64);
    assert_memory_equal(tag, want_tag, 16);
    mbedtls_gcm_free(&ctx);
    /* freed means forgotten, and freeing twice is harmless */
    assert_int_equal(ctx.key_bits, 0);
    mbedtls_gcm_free(&ctx);
}

static void chachapoly_vector(void **state)
{
    (void)state;
    const struct vector *v = &chacha_vector;
    struct bytes key = hex(v->key), iv = hex(v->iv), aad = hex(v->aad), plain = hex(v->plain);
    struct bytes cipher = hex(v->cipher), tag = hex(v->tag);
    unsigned char out[MAX], got[16];
    mbedtls_chachapoly_context ctx;
    mbedtls_chachapoly_init(&ctx);
    assert_true(mbedtls_chachapoly_update(&ctx, 1, plain.data, out) < 0);
    assert_int_equal(mbedtls_chachapoly_setkey(&ctx, key.data), 0);
    assert_int_equal(mbedtls_chachapoly_encrypt_and_tag(&ctx, plain.len, iv.data, aad.data, aad.len,
                                                        plain.data, out, got),
                     0);
    assert_memory_equal(out, cipher.data, cipher.len);
    assert_memory_equal(got, tag.data, 16);
    assert_int_equal(mbedtls_chachapoly_auth_decrypt(&ctx, cipher.len, iv.data, aad.data, aad.len,
                                                     tag.data, cipher.data, out),
                     0);
    assert_memory_equal(out, plain.data, plain.len);
    got[15] ^= 1;
    assert_int_equal(mbedtls_chachapoly_auth_decrypt(&ctx, cipher.len, iv.data, aad.data, aad.len,
                                                     got, cipher.data, out),
                     MBEDTLS_ERR_CHACHAPOLY_AUTH_FAILED);
    assert_true(sodium_is_zero(out, cipher.len));
    mbedtls_chachapoly_free(&ctx);
}

/* Upstream's streaming code against libsodium's one-shot code. */
static void chachapoly_cross_check(void **state)
{
    (void)state;
    unsigned char key[32], nonce[12], aad[40], in[400], a[400], b[400], ta[16], tb[16];
    mbedtls_chachapoly_context ctx;
    mbedtls_chachapoly_init(&ctx);
    for (size_t len = 0; len < sizeof(in); len++) {
        size_t first = len / 3;
        randombytes_buf(key, sizeof(key));
        randombytes_buf(nonce, sizeof(nonce));
        randombytes_buf(in, sizeof(in));
        randombytes_buf(aad, sizeof(aad));
        assert_int_equal(mbedtls_chachapoly_setkey(&ctx, key), 0);
        assert_int_equal(
            mbedtls_chachapoly_encrypt_and_tag(&ctx, len, nonce, aad, len % 41, in, a, ta), 0);
        assert_int_equal(mbedtls_chachapoly_starts(&ctx, nonce, MBEDTLS_CHACHAPOLY_ENCRYPT), 0);
        assert_int_equal(mbedtls_chachapoly_update_aad(&ctx, aad, len % 41), 0);
        assert_int_equal(mbedtls_chachapoly_update(&ctx, first, in, b), 0);
        assert_int_equal(mbedtls_chachapoly_update(&ctx, len - first, in + first, b + first), 0);
        assert_int_equal(mbedtls_chachapoly_finish(&ctx, tb), 0);
        assert_memory_equal(a, b, len);
        assert_memory_equal(ta, tb, 16);
        assert_int_equal(mbedtls_chachapoly_auth_decrypt(&ctx, len, nonce, aad, len % 41, ta, a, a),
                         0);
        assert_memory_equal(a, in, len);
    }
    mbedtls_chachapoly_free(&ctx);
}

static const struct {
    const char *key, *peer, *secret;
} x25519_vectors[] = {
    {"a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4",
     "e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c",
     "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552"},
    {"4b66e9d4d1b4673c5ad22691957d6af5c11b6421e0ea01d42ca4169e7918ba0d",
     "e5210f12786811d3f4b7959d0538ae2c31dbe7106fc03c3efc4cd549c715a493",
     "95cbde9476e8907d7aade45cb4b873f88b595a68799fa152e6f8f7647aac7957"},
    {"77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a",
     "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f",
     "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742"},
};

/* Points of small order: their shared secret is zero whatever the key (RFC 7748 section 7). */
static const char *const low_order[] = {
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0100000000000000000000000000000000000000000000000000000000000000",
    "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
    "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
};

static psa_status_t psa_agree(const unsigned char *key, psa_ecc_family_t family, size_t key_len,
                              const unsigned char *peer, size_t peer_len, unsigned char *out,
                              size_t out_size, size_t *out_len)
{
    psa_key_attributes_t attributes = PSA_KEY_ATTRIBUTES_INIT;
    mbedtls_svc_key_id_t id = MBEDTLS_SVC_KEY_ID_INIT;
    psa_set_key_type(&attributes, PSA_KEY_TYPE_ECC_KEY_PAIR(family));
    psa_set_key_usage_flags(&attributes, PSA_KEY_USAGE_DERIVE);
    psa_set_key_algorithm(&attributes, PSA_ALG_ECDH);
    psa_status_t status = psa_import_key(&attributes, key, key_len, &id);
    assert_int_equal(status, PSA_SUCCESS);
    status = psa_raw_key_agreement(PSA_ALG_ECDH, id, peer, peer_len, out, out_size, out_len);
    assert_int_equal(psa_destroy_key(id), PSA_SUCCESS);
    return status;
}

static void x25519_through_psa(void **state)
{
    (void)state;
    unsigned char out[32];
    size_t n = 0;
    assert_int_equal(psa_crypto_init(), PSA_SUCCESS);
    for (size_t i = 0; i < sizeof(x25519_vectors) / sizeof(x25519_vectors[0]); i++) {
        struct bytes key = hex(x25519_vectors[i].key), peer = hex(x25519_vectors[i].peer);
        struct bytes secret = hex(x25519_vectors[i].secret);
        assert_int_equal(
            psa_agree(key.data, PSA_ECC_FAMILY_MONTGOMERY, 32, peer.data, 32, out, 32, &n),
            PSA_SUCCESS);
        assert_int_equal(n, 32);
        assert_memory_equal(out, secret.data, 32);
    }
    for (size_t i = 0; i < sizeof(low_order) / sizeof(low_order[0]); i++) {
        struct bytes key = hex(x25519_vectors[0].key), peer = hex(low_order[i]);
        assert_int_not_equal(
            psa_agree(key.data, PSA_ECC_FAMILY_MONTGOMERY, 32, peer.data, 32, out, 32, &n),
            PSA_SUCCESS);
    }
}

/* Two generated keys agree, on X25519 (ours) and on P-256 (handed on). */
static void psa_generated_keys(void **state)
{
    (void)state;
    static const psa_ecc_family_t families[] = {PSA_ECC_FAMILY_MONTGOMERY, PSA_ECC_FAMILY_SECP_R1};
    static const size_t bits[] = {255, 256};
    assert_int_equal(psa_crypto_init(), PSA_SUCCESS);
    for (size_t f = 0; f < 2; f++) {
        mbedtls_svc_key_id_t id[2];
        unsigned char public[2][65], secret[2][32];
        size_t len[2], n;
        for (size_t i = 0; i < 2; i++) {
            psa_key_attributes_t attributes = PSA_KEY_ATTRIBUTES_INIT;
            psa_set_key_type(&attributes, PSA_KEY_TYPE_ECC_KEY_PAIR(families[f]));
            psa_set_key_bits(&attributes, bits[f]);
            psa_set_key_usage_flags(&attributes, PSA_KEY_USAGE_DERIVE);
            psa_set_key_algorithm(&attributes, PSA_ALG_ECDH);
            assert_int_equal(psa_generate_key(&attributes, &id[i]), PSA_SUCCESS);
            assert_int_equal(psa_export_public_key(id[i], public[i], sizeof(public[i]), &len[i]),
                             PSA_SUCCESS);
        }
        for (size_t i = 0; i < 2; i++) {
            assert_int_equal(psa_raw_key_agreement(PSA_ALG_ECDH, id[i], public[1 - i], len[1 - i],
                                                   secret[i], sizeof(secret[i]), &n),
                             PSA_SUCCESS);
            assert_int_equal(n, 32);
        }
        assert_memory_equal(secret[0], secret[1], 32);
        psa_destroy_key(id[0]);
        psa_destroy_key(id[1]);
    }
}

/* The TLS 1.2 hooks: both sides agree, and a point of small order is refused. */
static void ecdh_hooks(void **state)
{
    (void)state;
    static const mbedtls_ecp_group_id curves[] = {
        MBEDTLS_ECP_DP_CURVE25519, MBEDTLS_ECP_DP_SECP256R1, MBEDTLS_ECP_DP_SECP384R1};
    for (size_t c = 0; c < sizeof(curves) / sizeof(curves[0]); c++) {
        unsigned char a[256], b[256], sa[64], sb[64];
        size_t na, nb, la, lb;
        mbedtls_ecdh_context server, client;
        mbedtls_ecdh_init(&server);
        mbedtls_ecdh_init(&client);
        assert_int_equal(mbedtls_ecdh_setup(&server, curves[c]), 0);
        assert_int_equal(mbedtls_ecdh_make_params(&server, &na, a, sizeof(a), nk_glue_random, NULL),
                         0);
        const unsigned char *p = a;
        assert_int_equal(mbedtls_ecdh_read_params(&client, &p, a + na), 0);
        assert_int_equal(mbedtls_ecdh_make_public(&client, &nb, b, sizeof(b), nk_glue_random, NULL),
                         0);
        assert_int_equal(mbedtls_ecdh_read_public(&server, b, nb), 0);
        assert_int_equal(
            mbedtls_ecdh_calc_secret(&server, &la, sa, sizeof(sa), nk_glue_random, NULL), 0);
        assert_int_equal(
            mbedtls_ecdh_calc_secret(&client, &lb, sb, sizeof(sb), nk_glue_random, NULL), 0);
        assert_int_equal(la, lb);
        assert_memory_equal(sa, sb, la);
        if (curves[c] == MBEDTLS_ECP_DP_CURVE25519) {
            struct bytes zero = hex("20" ZERO16 ZERO16);
            int rc = mbedtls_ecdh_read_public(&server, zero.data, zero.len);
            rc = rc ? rc
                    : mbedtls_ecdh_calc_secret(&server, &la, sa, sizeof(sa), nk_glue_random, NULL);
            assert_true(rc < 0);
        }
        mbedtls_ecdh_free(&server);
        mbedtls_ecdh_free(&client);
    }
}

/* One of the four hashes, of len bytes that come in two pieces. */
static void sha2(unsigned bits, const unsigned char *p, size_t len, size_t first,
                 unsigned char out[64])
{
    if (bits <= 256) {
        mbedtls_sha256_context c, copy;
        mbedtls_sha256_init(&c);
        mbedtls_sha256_init(&copy);
        assert_int_equal(mbedtls_sha256_starts(&c, bits == 224), 0);
        assert_int_equal(mbedtls_sha256_update(&c, p, first), 0);
        mbedtls_sha256_clone(&copy, &c);
        mbedtls_sha256_free(&c);
        assert_int_equal(mbedtls_sha256_update(&copy, p + first, len - first), 0);
        assert_int_equal(mbedtls_sha256_finish(&copy, out), 0);
        mbedtls_sha256_free(&copy);
    } else {
        mbedtls_sha512_context c, copy;
        mbedtls_sha512_init(&c);
        mbedtls_sha512_init(&copy);
        assert_int_equal(mbedtls_sha512_starts(&c, bits == 384), 0);
        assert_int_equal(mbedtls_sha512_update(&c, p, first), 0);
        mbedtls_sha512_clone(&copy, &c);
        mbedtls_sha512_free(&c);
        assert_int_equal(mbedtls_sha512_update(&copy, p + first, len - first), 0);
        assert_int_equal(mbedtls_sha512_finish(&copy, out), 0);
        mbedtls_sha512_free(&copy);
    }
}

static void sha2_vectors(void **state)
{
    (void)state;
    static const struct {
        unsigned bits;
        const char *abc, *bytes; /* of the text, and of the bytes 0 to 255 */
    } v[] = {
        {224, "23097d223405d8228642a477bda255b32aadbce4bda0b3f7e36c9da7",
         "88702e63237824c4eb0d0fcfe41469a462493e8beb2a75bbe5981734"},
        {256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
         "40aff2e9d2d8922e47afd4648e6967497158785fbd1da870e7110266bf944880"},
        {384,
         "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed"
         "8086072ba1e7cc2358baeca134c825a7",
         "ffdaebff65ed05cf400f0221c4ccfb4b2104fb6a51f87e40be6c4309386bfdec"
         "2892e9179b34632331a59592737db5c5"},
        {512,
         "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
         "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
         "1e7b80bc8edc552c8feeb2780e111477e5bc70465fac1a77b29b35980c3f0ce4"
         "a036a6c9462036824bd56801e62af7e9feba5c22ed8a5af877bf7de117dcac6d"},
    };
    unsigned char bytes[256], out[65];
    for (size_t i = 0; i < sizeof bytes; i++) {
        bytes[i] = (unsigned char)i;
    }
    for (size_t i = 0; i < sizeof v / sizeof *v; i++) {
        struct bytes abc = hex(v[i].abc), all = hex(v[i].bytes);
        assert_int_equal(abc.len, v[i].bits / 8);
        memset(out, 0x5a, sizeof out);
        sha2(v[i].bits, (const unsigned char *)"abc", 3, 1, out);
        assert_memory_equal(out, abc.data, abc.len);
        assert_int_equal(out[abc.len], 0x5a);
        for (size_t first = 0; first <= sizeof bytes; first++) {
            sha2(v[i].bits, bytes, sizeof bytes, first, out);
            assert_memory_equal(out, all.data, all.len);
        }
    }
    mbedtls_sha256_context wrong;
    assert_int_equal(mbedtls_sha256_starts(&wrong, 2), MBEDTLS_ERR_SHA256_BAD_INPUT_DATA);
    mbedtls_sha512_context wrong_too;
    assert_int_equal(mbedtls_sha512_starts(&wrong_too, 2), MBEDTLS_ERR_SHA512_BAD_INPUT_DATA);
}

static void acceleration_is_reported(void **state)
{
    (void)state;
    assert_int_equal(nk_glue_aes256gcm_accelerated(), crypto_aead_aes256gcm_is_available());
    mbedtls_gcm_context ctx;
    unsigned char key[32] = {0};
    mbedtls_gcm_init(&ctx);
    assert_int_equal(mbedtls_gcm_setkey(&ctx, MBEDTLS_CIPHER_ID_AES, key, 256), 0);
    /* where the processor can, the fast state is really there; otherwise upstream's is */
    assert_int_equal(ctx.fast != NULL, nk_glue_aes256gcm_accelerated());
    assert_int_equal(ctx.soft != NULL, !nk_glue_aes256gcm_accelerated());
    mbedtls_gcm_free(&ctx);
}

int nk_test_glue_glue(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(acceleration_is_reported),
        cmocka_unit_test(sha2_vectors),
        cmocka_unit_test(gcm_published_vectors),
        cmocka_unit_test(gcm_streaming),
        cmocka_unit_test(gcm_cross_check),
        cmocka_unit_test(gcm_overlap_and_bad_input),
        cmocka_unit_test(chachapoly_vector),
        cmocka_unit_test(chachapoly_cross_check),
        cmocka_unit_test(x25519_through_psa),
        cmocka_unit_test(psa_generated_keys),
        cmocka_unit_test(ecdh_hooks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
