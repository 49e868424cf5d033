/* SPDX-License-Identifier: MIT */
/* Packets of every cipher and MAC, there and back, cut anywhere, changed anywhere. */
#include "ssh/packet.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/codec.h"
#include "ssh/wire.h"

int nk_test_ssh_packet(void);

enum { ROOM = 1 << 20, KINDS = 12 };

struct kind {
    const struct ssh_cipher_type *c;
    const struct ssh_mac_type *m;
};

/* The i-th combination; false behind the last one. */
static bool kind_at(size_t i, struct kind *k)
{
    *k = (struct kind){0};
    for (const struct ssh_cipher_type *c = ssh_cipher_types; c->name; c++) {
        for (const struct ssh_mac_type *m = ssh_mac_types; m->name; m++) {
            if (c->usable && !c->usable()) {
                break;
            }
            if (i-- == 0) {
                *k = (struct kind){.c = c, .m = c->aead ? NULL : m};
                return true;
            }
            if (c->aead) {
                break;
            }
        }
    }
    return false;
}

static struct ssh_protect *protect(const struct kind *k)
{
    uint8_t key[SSH_KEY_MAX], iv[SSH_IV_MAX], mac[SSH_KEY_MAX];
    struct ssh_protect *t;
    memset(key, 'k', sizeof(key));
    key[40] = 'l'; /* ChaCha's second key is another one */
    memset(iv, 0xff, sizeof(iv));
    memset(mac, 'm', sizeof(mac));
    assert_int_equal(ssh_protect_new(k->c, k->m, key, iv, mac, &t), 0);
    return t;
}

struct pair {
    struct ssh_sealer s;
    struct ssh_opener o;
    struct nk_buf wire;
};

static void pair_open(struct pair *p, const struct kind *k)
{
    ssh_sealer_init(&p->s);
    ssh_opener_init(&p->o);
    nk_buf_init(&p->wire, ROOM);
    if (k) {
        ssh_sealer_key(&p->s, protect(k), true);
        ssh_opener_key(&p->o, protect(k), true);
    }
}

static void pair_close(struct pair *p)
{
    ssh_sealer_clear(&p->s);
    ssh_opener_clear(&p->o);
    nk_buf_clear(&p->wire);
}

static void fill(uint8_t *p, size_t n, unsigned seed)
{
    for (size_t i = 0; i < n; i++) {
        p[i] = (uint8_t)(seed + i * 7 + i / 256);
    }
}

/* Several payloads through one connection, the bytes of each coming in three pieces. */
static void there_and_back(const struct kind *k)
{
    static const size_t sizes[] = {1, 2, 7, 8, 15, 16, 17, 255, 256, 32768, 200000, 1};
    uint8_t *text = malloc(SSH_PAYLOAD_MAX);
    struct pair p;
    pair_open(&p, k);
    for (unsigned i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
        struct ssh_packet got;
        struct nk_diag diag = {0};
        fill(text, sizes[i], i);
        assert_int_equal(ssh_seal(&p.s, &p.wire, text, sizes[i]), 0);
        size_t n = nk_buf_len(&p.wire), cuts[] = {0, 3, n / 2, n - 1, n};
        for (size_t c = 0; c < 4; c++) {
            assert_int_equal(ssh_open(&p.o, nk_buf_ptr(&p.wire), cuts[c], &got, &diag), 0);
            assert_true(p.o.need > cuts[c] && p.o.need <= n);
        }
        assert_int_equal(ssh_open(&p.o, nk_buf_ptr(&p.wire), n, &got, &diag), 1);
        assert_int_equal(got.n, sizes[i]);
        assert_int_equal(got.used, n);
        assert_int_equal(got.seq, i);
        assert_memory_equal(got.payload, text, sizes[i]);
        nk_buf_consume(&p.wire, n);
    }
    assert_int_equal(p.s.seq, p.o.seq);
    assert_int_equal(p.s.since.bytes, p.o.since.bytes);
    pair_close(&p);
    free(text);
}

static void test_every_cipher(void **state)
{
    struct kind k;
    size_t n = 0;
    (void)state;
    there_and_back(NULL);
    for (; kind_at(n, &k); n++) {
        there_and_back(&k);
    }
    assert_true(n >= KINDS + 2);
}

/* A request with a password, and answers, are as long for 0 bytes of it as for a hundred. */
static void test_login_is_padded(void **state)
{
    static const uint8_t numbers[] = {SSH_MSG_USERAUTH_REQUEST, SSH_MSG_USERAUTH_INFO_RESPONSE};
    struct kind k;
    uint8_t text[600];
    (void)state;
    for (size_t i = 0; kind_at(i, &k); i++) {
        struct pair p;
        pair_open(&p, &k);
        fill(text, sizeof(text), 1);
        for (size_t n = 1; n < sizeof(text); n++) {
            struct ssh_packet got;
            text[0] = numbers[n % 2];
            assert_int_equal(ssh_seal(&p.s, &p.wire, text, n), 0);
            size_t len = nk_buf_len(&p.wire);
            assert_int_equal(ssh_open(&p.o, nk_buf_ptr(&p.wire), len, &got, NULL), 1);
            assert_int_equal(got.n, n);
            nk_buf_consume(&p.wire, got.used);
            len -= p.o.protect->tag + (p.o.protect->apart ? 4 : 0);
            assert_int_equal(len % SSH_LOGIN_UNIT, 0);
            assert_true(len <= n + 5 + SSH_LOGIN_UNIT + SSH_PADDING_MIN);
        }
        pair_close(&p);
    }
}

/* Any bit that is changed ends the connection: as a wrong length, or as a wrong tag. */
static void test_every_bit(void **state)
{
    struct kind k;
    (void)state;
    for (size_t i = 0; kind_at(i, &k); i++) {
        struct pair p;
        pair_open(&p, &k);
        assert_int_equal(ssh_seal(&p.s, &p.wire, "hello", 5), 0);
        size_t n = nk_buf_len(&p.wire);
        for (size_t bit = 0; bit < n * 8; bit++) {
            uint8_t copy[256];
            struct ssh_opener o;
            struct ssh_packet got;
            struct nk_diag diag = {0};
            ssh_opener_init(&o);
            ssh_opener_key(&o, protect(&k), true);
            memcpy(copy, nk_buf_ptr(&p.wire), n);
            copy[bit / 8] ^= (uint8_t)(1u << bit % 8);
            int rc = ssh_open(&o, copy, n, &got, &diag);
            if (rc == 0) { /* a length that could be, of a packet that is longer */
                assert_true(o.need > n && o.need <= SSH_PACKET_MAX + 4 + SSH_TAG_MAX);
            } else {
                assert_true(rc == NK_EPROTO || rc == NK_EAUTH);
            }
            ssh_opener_clear(&o);
        }
        pair_close(&p);
    }
}

static void refuse(const char *hex)
{
    uint8_t bytes[64];
    struct ssh_opener o;
    struct ssh_packet got;
    struct nk_diag diag = {0};
    ssize_t n = nk_hex_decode(bytes, sizeof(bytes), hex, strlen(hex), false);
    assert_true(n > 0);
    ssh_opener_init(&o);
    assert_int_equal(ssh_open(&o, bytes, (size_t)n, &got, &diag), NK_EPROTO);
    ssh_opener_clear(&o);
}

/* Lengths and paddings that cannot be, before there is any key. */
static void test_lengths(void **state)
{
    (void)state;
    refuse("00000000");
    refuse("00000004");
    refuse("0000000d"); /* no multiple of 8 */
    refuse("00040004"); /* more than 256 KiB */
    refuse("ffffffff");
    refuse("0000000c03140000000000000000000000"); /* padding below 4 */
    refuse("0000000c0b140000000000000000000000"); /* no payload */
    refuse("0000000cff140000000000000000000000");
}

/* Numbers go on over new keys, unless strict key exchange sets them back; they may pass their end.
 */
static void test_numbers(void **state)
{
    struct kind k;
    struct pair p;
    struct ssh_packet got;
    struct nk_diag diag = {0};
    (void)state;
    assert_true(kind_at(1, &k));
    for (int restart = 0; restart < 2; restart++) {
        pair_open(&p, NULL);
        p.s.seq = p.o.seq = UINT32_MAX;
        for (uint32_t i = 0; i < 2; i++) {
            assert_int_equal(ssh_seal(&p.s, &p.wire, "x", 1), 0);
            size_t n = nk_buf_len(&p.wire);
            assert_int_equal(ssh_open(&p.o, nk_buf_ptr(&p.wire), n, &got, &diag), 1);
            assert_true(got.seq == UINT32_MAX + i && p.o.wrapped && p.s.wrapped);
            nk_buf_consume(&p.wire, n);
        }
        ssh_sealer_key(&p.s, protect(&k), restart);
        ssh_opener_key(&p.o, protect(&k), restart);
        assert_int_equal(p.s.since.packets, 0);
        assert_int_equal(p.o.wrapped, !restart);
        assert_int_equal(ssh_seal(&p.s, &p.wire, "y", 1), 0);
        assert_int_equal(ssh_open(&p.o, nk_buf_ptr(&p.wire), nk_buf_len(&p.wire), &got, &diag), 1);
        assert_int_equal(got.seq, restart ? 0 : 1);
        pair_close(&p);
    }
}

static void test_limits(void **state)
{
    struct pair p;
    uint8_t *to;
    (void)state;
    pair_open(&p, NULL);
    assert_int_equal(ssh_seal_begin(&p.s, &p.wire, SSH_PAYLOAD_MAX, &to), 0);
    memset(to, 1, SSH_PAYLOAD_MAX);
    ssh_seal_end(&p.s, &p.wire, to, SSH_PAYLOAD_MAX);
    assert_int_equal(ssh_seal_begin(&p.s, &p.wire, SSH_PAYLOAD_MAX + 1, &to), NK_ETOOBIG);
    struct ssh_packet got;
    assert_int_equal(ssh_open(&p.o, nk_buf_ptr(&p.wire), nk_buf_len(&p.wire), &got, NULL), 1);
    assert_int_equal(got.n, SSH_PAYLOAD_MAX);
    pair_close(&p);
}

int nk_test_ssh_packet(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_cipher), cmocka_unit_test(test_every_bit),
        cmocka_unit_test(test_lengths),      cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_limits),       cmocka_unit_test(test_login_is_padded),
    };
    return cmocka_run_group_tests_name("ssh/packet", tests, NULL, NULL);
}
