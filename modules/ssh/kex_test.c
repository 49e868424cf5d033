/* SPDX-License-Identifier: MIT */
/* Methods of key exchange: both sides come to the same secret, and nothing else is taken. */
#include "ssh/kex.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <sodium.h>

#include "base/codec.h"
#include "ssh/groups.h"

int nk_test_ssh_kex(void);

enum { PUBLIC_MAX = 4096 };

struct side {
    struct ssh_kex *k;
    struct nk_buf pub, secret;
};

static void side_open(struct side *s, const struct ssh_kex_type *t)
{
    struct nk_diag diag = {0};
    nk_buf_init(&s->pub, PUBLIC_MAX);
    nk_buf_init_secret(&s->secret, PUBLIC_MAX);
    assert_int_equal(ssh_kex_new(t, &s->k), 0);
    if (t->bits == 0) {
        const struct ssh_str p = {ssh_group18, sizeof(ssh_group18)}, g = {(const uint8_t *)"\2", 1};
        assert_int_equal(ssh_kex_group(s->k, p, g, &diag), 0);
    }
    assert_int_equal(ssh_kex_start(s->k, &s->pub, &diag), 0);
}

static void side_close(struct side *s)
{
    ssh_kex_free(s->k);
    nk_buf_clear(&s->pub);
    nk_buf_clear(&s->secret);
}

static int finish(struct side *s, const void *p, size_t n)
{
    struct nk_diag diag = {0};
    int rc = ssh_kex_finish(s->k, (struct ssh_str){p, n}, &s->secret, &diag);
    assert_true(rc == 0 || (diag.code == rc && nk_buf_len(&s->secret) == 0));
    return rc;
}

static void refused(struct side *s, const void *p, size_t n)
{
    assert_int_equal(finish(s, p, n), NK_EPROTO);
}

/* What no method takes: too short, too long, all zeros, all ones. */
static void refuse_nonsense(struct side *s, const struct side *other)
{
    size_t n = nk_buf_len(&other->pub);
    uint8_t *bad = calloc(1, n + 1);
    refused(s, "", 0);
    refused(s, bad, n);
    memset(bad, 0xff, n + 1);
    refused(s, bad, n + 1);
    if (s->k->type->bits != 256 || s->k->type->make != ssh_kex_make_25519) {
        refused(s, bad, n);
    }
    if (!s->k->type->numbers) {
        refused(s, nk_buf_ptr(&other->pub), n - 1);
    }
    free(bad);
}

static void agree(const struct ssh_kex_type *t)
{
    struct side a, b;
    side_open(&a, t);
    side_open(&b, t);
    assert_true(nk_buf_len(&a.pub) != nk_buf_len(&b.pub) ||
                memcmp(nk_buf_ptr(&a.pub), nk_buf_ptr(&b.pub), nk_buf_len(&a.pub)) != 0);
    refuse_nonsense(&a, &b);
    assert_int_equal(finish(&a, nk_buf_ptr(&b.pub), nk_buf_len(&b.pub)), 0);
    assert_int_equal(finish(&b, nk_buf_ptr(&a.pub), nk_buf_len(&a.pub)), 0);
    assert_int_equal(nk_buf_len(&a.secret), nk_buf_len(&b.secret));
    assert_memory_equal(nk_buf_ptr(&a.secret), nk_buf_ptr(&b.secret), nk_buf_len(&a.secret));
    struct nk_cur c;
    nk_cur_init(&c, nk_buf_ptr(&a.secret), nk_buf_len(&a.secret));
    assert_true(ssh_cur_mpint(&c).n > 16 && nk_cur_done(&c));
    side_close(&a);
    side_close(&b);
}

static void test_agreement(void **state)
{
    (void)state;
    for (const struct ssh_kex_type *t = ssh_kex_types; t->name; t++) {
        assert_ptr_equal(ssh_kex_find(t->name, strlen(t->name)), t);
        if (!t->hybrid) {
            agree(t);
        }
    }
    assert_null(ssh_kex_find("curve25519-sha25", 16));
}

/* Secrets are numbers (RFC 8731 3.1): without leading zero bytes, and with one where the first bit
 * is set. One in 256 has a zero byte: points are tried until there is one. */
static void test_first_bytes(void **state)
{
    struct side a;
    uint8_t scalar[32], point[32], shared[32];
    (void)state;
    side_open(&a, ssh_kex_find("curve25519-sha256", 17));
    for (int what = 0; what < 3; what++) { /* the first byte is zero, small, large */
        do {
            randombytes_buf(scalar, sizeof(scalar));
            assert_int_equal(crypto_scalarmult(shared, scalar, nk_buf_ptr(&a.pub)), 0);
        } while ((shared[0] != 0) + (shared[0] >= 0x80) != what);
        assert_int_equal(crypto_scalarmult_base(point, scalar), 0);
        nk_buf_reset(&a.secret);
        assert_int_equal(finish(&a, point, sizeof(point)), 0);
        size_t zeros = 0, sign;
        while (shared[zeros] == 0) {
            zeros++;
        }
        sign = shared[zeros] >= 0x80 ? 1 : 0;
        const uint8_t *p = nk_buf_ptr(&a.secret);
        assert_int_equal(nk_buf_len(&a.secret), 4 + sign + 32 - zeros);
        assert_int_equal(p[3], sign + 32 - zeros);
        assert_memory_equal(p + 4 + sign, shared + zeros, 32 - zeros);
        assert_true(sign == 0 || p[4] == 0);
    }
    side_close(&a);
}

/* The server's side of the hybrid method, from its specification. */
static void test_hybrid(void **state)
{
    enum { KEM = crypto_kem_mlkem768_PUBLICKEYBYTES, CT = crypto_kem_mlkem768_CIPHERTEXTBYTES };
    struct side a;
    uint8_t reply[CT + 32], both[64], scalar[32], want[36] = {0, 0, 0, 32};
    (void)state;
    side_open(&a, ssh_kex_find("mlkem768x25519-sha256", 21));
    assert_int_equal(nk_buf_len(&a.pub), KEM + 32);
    randombytes_buf(scalar, sizeof(scalar));
    assert_int_equal(crypto_kem_mlkem768_enc(reply, both, nk_buf_ptr(&a.pub)), 0);
    assert_int_equal(crypto_scalarmult_base(reply + CT, scalar), 0);
    assert_int_equal(crypto_scalarmult(both + 32, scalar, nk_buf_ptr(&a.pub) + KEM), 0);
    crypto_hash_sha256(want + 4, both, sizeof(both));
    refused(&a, reply, sizeof(reply) - 1);
    assert_int_equal(finish(&a, reply, sizeof(reply)), 0);
    assert_int_equal(nk_buf_len(&a.secret), sizeof(want)); /* a string, whatever its first bit */
    assert_memory_equal(nk_buf_ptr(&a.secret), want, sizeof(want));
    nk_buf_reset(&a.secret);
    memset(reply + CT, 0, 32);
    refused(&a, reply, sizeof(reply));
    side_close(&a);
}

/* A group that a server may not choose. */
static void test_bad_groups(void **state)
{
    struct nk_diag diag = {0};
    struct ssh_kex *k;
    uint8_t p[SSH_GROUP_MAX / 8 + 1], top[SSH_GROUP18];
    const struct ssh_str two = {(const uint8_t *)"\2", 1}, one = {(const uint8_t *)"\1", 1};
    (void)state;
    memset(p, 0xff, sizeof(p));
    memcpy(top, ssh_group18, sizeof(top));
    top[sizeof(top) - 1]--; /* p - 1 */
    assert_int_equal(ssh_kex_new(ssh_kex_find("diffie-hellman-group-exchange-sha256", 36), &k), 0);
    const struct ssh_str prime = {ssh_group18, sizeof(ssh_group18)};
    assert_int_equal(ssh_kex_group(k, (struct ssh_str){p, sizeof(p)}, two, &diag), NK_EPROTO);
    assert_int_equal(ssh_kex_group(k, (struct ssh_str){p, SSH_GROUP_MIN / 8 - 1}, two, &diag),
                     NK_EPROTO);
    assert_int_equal(ssh_kex_group(k, (struct ssh_str){top, sizeof(top)}, two, &diag), NK_EPROTO);
    assert_int_equal(ssh_kex_group(k, prime, one, &diag), NK_EPROTO);
    assert_int_equal(ssh_kex_group(k, prime, (struct ssh_str){top, sizeof(top)}, &diag), NK_EPROTO);
    assert_int_equal(ssh_kex_group(k, prime, two, &diag), 0);
    ssh_kex_free(k);
}

/* RFC 4253 7.2, computed with another implementation of the hashes. */
static void test_derive(void **state)
{
    struct nk_buf secret;
    uint8_t h[SSH_HASH_MAX], id[32], out[80];
    char hex[sizeof(out) * 2 + 1];
    (void)state;
    nk_buf_init_secret(&secret, 64);
    assert_int_equal(ssh_put_mpint(&secret, (const uint8_t *)"\x80", 1), 0);
    for (unsigned i = 0; i < sizeof(h); i++) {
        h[i] = (uint8_t)i;
    }
    memset(id, 0x55, sizeof(id));
    assert_int_equal(ssh_kex_derive(SSH_SHA256, &secret, h, id, sizeof(id), 'C', out, sizeof(out)),
                     0);
    nk_hex_encode(hex, out, sizeof(out));
    assert_string_equal(
        hex, "f8de8f9365ad4db619a5e74cc127b34e97db460328813488d9a6c63ee830c5407d266ff9360daa31"
             "31e9ac3c3d66818bc30874b9c2302d7a3a9671a5202c859f0e7160cbecf665e910cb7f0ea6a88e7c");
    assert_int_equal(ssh_kex_derive(SSH_SHA512, &secret, h, id, sizeof(id), 'A', out, 12), 0);
    nk_hex_encode(hex, out, 12);
    assert_string_equal(hex, "49569ed795b10890c2a8c8c7");
    nk_buf_clear(&secret);
}

int nk_test_ssh_kex(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_agreement), cmocka_unit_test(test_first_bytes),
        cmocka_unit_test(test_hybrid),    cmocka_unit_test(test_bad_groups),
        cmocka_unit_test(test_derive),
    };
    return cmocka_run_group_tests_name("ssh/kex", tests, NULL, NULL);
}
