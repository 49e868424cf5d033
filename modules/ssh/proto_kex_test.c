/* SPDX-License-Identifier: MIT */
/* Everything a hostile server, or somebody in between, can do to a key exchange; most of it has a
 * CVE of another implementation. Each ends with a named error and nothing handed up. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <sodium.h>

#include "ssh/transport_testkit.h"

int nk_test_ssh_proto_kex(void);

enum { MLKEM_REPLY = 1088 + 32, FLOOD = 9000 };

static bool is(const struct nk_buf *b, uint8_t number)
{
    return nk_buf_len(b) > 0 && *nk_buf_ptr(b) == number;
}

static void expect(ssh_kit_tamper_fn *tamper, bool strict, int rc, const char *word)
{
    struct ssh_kit k;
    ssh_kit_init(&k);
    k.tamper = tamper;
    k.strict = strict;
    assert_int_equal(ssh_kit_run(&k), rc);
    if (rc < 0) {
        assert_int_equal(k.diag.code, rc);
        assert_non_null(strstr(k.diag.text, word));
        assert_int_equal(k.ready, 0);
        assert_int_equal(k.disconnects, 1);
        assert_int_equal(k.t->state, SSH_T_OVER);
        assert_null(k.t->x);
    } else {
        assert_int_equal(k.ready, 1);
    }
    assert_int_equal(nk_buf_len(&k.handed), 0);
    ssh_kit_clear(&k);
}

/* --- order ------------------------------------------------------------------------------------ */

static bool twice(struct ssh_kit *k, struct nk_buf *b)
{
    return !is(b, SSH_MSG_KEXINIT) || ssh_kit_send(k, nk_buf_ptr(b), nk_buf_len(b));
}

static bool ignore_before_kexinit(struct ssh_kit *k, struct nk_buf *b)
{
    return !is(b, SSH_MSG_KEXINIT) || ssh_kit_send_number(k, SSH_MSG_IGNORE);
}

static bool ignore_before_reply(struct ssh_kit *k, struct nk_buf *b)
{
    return !is(b, SSH_MSG_KEX_REPLY) || ssh_kit_send_number(k, SSH_MSG_IGNORE);
}

static bool unimplemented_before_newkeys(struct ssh_kit *k, struct nk_buf *b)
{
    return !is(b, SSH_MSG_NEWKEYS) || ssh_kit_send(k, "\3\0\0\0\0", 5);
}

static bool success_before_newkeys(struct ssh_kit *k, struct nk_buf *b)
{
    return !is(b, SSH_MSG_NEWKEYS) || ssh_kit_send_number(k, SSH_MSG_USERAUTH_SUCCESS);
}

static bool success_before_reply(struct ssh_kit *k, struct nk_buf *b)
{
    return !is(b, SSH_MSG_KEX_REPLY) || ssh_kit_send_number(k, SSH_MSG_USERAUTH_SUCCESS);
}

static bool newkeys_too_early(struct ssh_kit *k, struct nk_buf *b)
{
    return !is(b, SSH_MSG_KEX_REPLY) || ssh_kit_send_number(k, SSH_MSG_NEWKEYS);
}

static bool newkeys_only(struct ssh_kit *k, struct nk_buf *b)
{
    (void)k;
    return !is(b, SSH_MSG_KEX_REPLY);
}

static bool long_newkeys(struct ssh_kit *k, struct nk_buf *b)
{
    (void)k;
    return !is(b, SSH_MSG_NEWKEYS) || nk_buf_u8(b, 0) == 0;
}

static bool wrong_number(struct ssh_kit *k, struct nk_buf *b)
{
    (void)k;
    if (is(b, SSH_MSG_KEX_REPLY)) {
        *nk_buf_ptr(b) = SSH_MSG_KEX_GEX_REPLY;
    }
    return true;
}

static void test_order(void **state)
{
    (void)state;
    for (int strict = 0; strict <= 1; strict++) {
        int loose = strict ? NK_EPROTO : 0; /* RFC 4253 allows it */
        expect(twice, strict, NK_EPROTO, "KEXINIT");
        expect(ignore_before_kexinit, strict, loose, "strict");
        expect(ignore_before_reply, strict, loose, "IGNORE");
        expect(unimplemented_before_newkeys, strict, loose, "UNIMPLEMENTED");
        expect(success_before_newkeys, strict, NK_EPROTO, "USERAUTH_SUCCESS");
        expect(success_before_reply, strict, NK_EPROTO, "USERAUTH_SUCCESS");
        expect(newkeys_too_early, strict, NK_EPROTO, "NEWKEYS");
        expect(newkeys_only, strict, NK_EPROTO, "NEWKEYS");
        expect(long_newkeys, strict, NK_EPROTO, "NEWKEYS is malformed");
        expect(wrong_number, strict, NK_EPROTO, "KEX_GEX_REPLY");
    }
}

/* CVE-2023-48795: a packet put in before NEWKEYS, and EXT_INFO, the first one under the new keys,
 * taken out. Without strict key exchange the numbers fit again, which is why chacha20 is the last
 * choice there; with it both halves are noticed. */
static void test_prefix_truncation(void **state)
{
    (void)state;
    for (int strict = 0; strict <= 1; strict++) {
        struct ssh_kit k;
        ssh_kit_init(&k);
        k.strict = strict;
        k.cipher = "chacha20-poly1305@openssh.com";
        assert_int_equal(ssh_kit_run(&k), 0);
        assert_int_equal(k.t->opener.seq, strict ? 0 : 3);
        size_t before = nk_buf_len(&k.out);
        assert_true(ssh_kit_send_number(&k, SSH_MSG_IGNORE)); /* what is cut off */
        nk_buf_consume(&k.out, nk_buf_len(&k.out) - before);
        k.t->opener.seq += !strict; /* what was put in had its number */
        assert_true(ssh_kit_send_number(&k, SSH_MSG_USERAUTH_SUCCESS));
        assert_int_equal(ssh_kit_pump(&k), strict ? NK_EPROTO : 0);
        assert_int_equal(k.t->authenticated, !strict);
        ssh_kit_clear(&k);
    }
}

static void test_strict_policy(void **state)
{
    struct ssh_kit k;
    (void)state;
    ssh_kit_init(&k);
    k.strict = false;
    k.conf.strict = SSH_STRICT_KEX_REQUIRE;
    assert_int_equal(ssh_kit_run(&k), NK_EPROTO);
    assert_non_null(strstr(k.diag.text, "CVE-2023-48795"));
    ssh_kit_clear(&k);
}

/* What is only said in the first KEXINIT (OpenSSH's PROTOCOL 1.10, RFC 8308 2.1): old servers take
 * it ill in another one. */
static bool has_markers(const struct ssh_kit *k)
{
    const void *p = nk_buf_ptr(&k->theirs);
    size_t n = nk_buf_len(&k->theirs);
    bool ext = memmem(p, n, "ext-info-c", 10) != NULL;
    assert_int_equal(memmem(p, n, SSH_STRICT_CLIENT, strlen(SSH_STRICT_CLIENT)) != NULL, ext);
    return ext;
}

/* The marker counts in the first KEXINIT alone: a server may say it later, or leave it out. */
static void test_marker_in_rekey(void **state)
{
    (void)state;
    for (int strict = 0; strict <= 1; strict++) {
        struct ssh_kit k;
        ssh_kit_init(&k);
        k.strict = strict;
        k.cipher = "aes128-ctr";
        assert_int_equal(ssh_kit_run(&k), 0);
        assert_true(ssh_kit_send_number(&k, SSH_MSG_USERAUTH_SUCCESS));
        assert_int_equal(ssh_kit_pump(&k), 0);
        assert_true(has_markers(&k));
        k.strict = !strict; /* what it says, ... */
        assert_true(ssh_kit_rekey(&k));
        k.strict = strict; /* ... and what it does */
        assert_int_equal(ssh_kit_pump(&k), 0);
        assert_int_equal(ssh_transport_rekeys(k.t), 1);
        assert_false(has_markers(&k));
        assert_int_equal(ssh_transport_is_strict(k.t), strict);
        assert_int_equal(k.t->opener.seq == 0, strict);
        ssh_kit_clear(&k);
    }
}

static void test_during_rekey(void **state)
{
    static const uint8_t numbers[] = {SSH_MSG_CHANNEL_DATA,   SSH_MSG_PING,    SSH_MSG_EXT_INFO,
                                      SSH_MSG_SERVICE_ACCEPT, SSH_MSG_KEXINIT, SSH_MSG_NEWKEYS,
                                      SSH_MSG_IGNORE};
    (void)state;
    for (size_t i = 0; i < sizeof(numbers); i++) {
        struct ssh_kit k;
        ssh_kit_init(&k);
        assert_int_equal(ssh_kit_run(&k), 0);
        assert_true(ssh_kit_send_number(&k, SSH_MSG_USERAUTH_SUCCESS));
        assert_int_equal(ssh_kit_pump(&k), 0);
        nk_buf_reset(&k.handed);
        assert_true(ssh_kit_rekey(&k));
        assert_true(ssh_kit_send_number(&k, numbers[i]));
        bool fine = numbers[i] == SSH_MSG_IGNORE;
        assert_int_equal(ssh_kit_pump(&k), fine ? 0 : NK_EPROTO);
        assert_int_equal(ssh_transport_rekeys(k.t), fine);
        assert_int_equal(nk_buf_len(&k.handed), 0);
        ssh_kit_clear(&k);
    }
}

/* --- a server's guess (RFC 4253 7) ------------------------------------------------------------ */

static bool guess(struct ssh_kit *k, struct nk_buf *b)
{
    bool first = is(b, SSH_MSG_KEXINIT);
    return !first || (ssh_kit_send(k, nk_buf_ptr(b), nk_buf_len(b)) &&
                      ssh_kit_send(k, "\37guess", 6) && false);
}

static void test_guess(void **state)
{
    (void)state;
    for (int right = 0; right <= 1; right++) {
        struct ssh_kit k;
        ssh_kit_init(&k);
        k.follows = true;
        k.cert = right;
        k.kex = right ? NULL : "curve25519-sha256,mlkem768x25519-sha256";
        k.tamper = guess;
        assert_int_equal(ssh_kit_run(&k), right ? NK_EPROTO : 0); /* taken for what it says it is */
        ssh_kit_clear(&k);
    }
}

/* --- values and signatures -------------------------------------------------------------------- */

/* The place of the n-th string of a reply. */
static uint8_t *string_at(struct nk_buf *b, int n, size_t *len)
{
    struct nk_cur c;
    struct ssh_str s = {0};
    nk_cur_init(&c, nk_buf_ptr(b) + 1, nk_buf_len(b) - 1);
    for (int i = 0; i <= n; i++) {
        s = ssh_cur_string(&c);
    }
    *len = s.n;
    return nk_buf_ptr(b) + (s.p - nk_buf_ptr(b));
}

static bool zero_point(struct ssh_kit *k, struct nk_buf *b)
{
    size_t n;
    (void)k;
    if (is(b, SSH_MSG_KEX_REPLY)) {
        uint8_t *p = string_at(b, 1, &n);
        memset(p + n - 32, 0, 32);
    }
    return true;
}

/* One byte less of ML-KEM's ciphertext, everything else in its place. */
static bool short_ciphertext(struct ssh_kit *k, struct nk_buf *b)
{
    size_t n;
    (void)k;
    if (is(b, SSH_MSG_KEX_REPLY)) {
        uint8_t *p = string_at(b, 1, &n);
        size_t behind = nk_buf_len(b) - (size_t)(p + n - nk_buf_ptr(b));
        assert_int_equal(n, MLKEM_REPLY);
        memmove(p + n - 1, p + n, behind);
        p[-1]--; /* the last byte of the length */
        b->len--;
    }
    return true;
}

static bool other_ciphertext(struct ssh_kit *k, struct nk_buf *b)
{
    size_t n;
    (void)k;
    if (is(b, SSH_MSG_KEX_REPLY)) {
        string_at(b, 1, &n)[7] ^= 1;
    }
    return true;
}

static bool other_signature(struct ssh_kit *k, struct nk_buf *b)
{
    size_t n;
    (void)k;
    if (is(b, SSH_MSG_KEX_REPLY)) {
        uint8_t *p = string_at(b, 2, &n);
        p[n - 1] ^= 0x10;
    }
    return true;
}

static bool other_signature_name(struct ssh_kit *k, struct nk_buf *b)
{
    size_t n;
    (void)k;
    if (is(b, SSH_MSG_KEX_REPLY)) {
        string_at(b, 2, &n)[4 + 4] = 'E'; /* ssh-Ed25519 */
    }
    return true;
}

static bool unknown_key(struct ssh_kit *k, struct nk_buf *b)
{
    size_t n;
    (void)k;
    if (is(b, SSH_MSG_KEX_REPLY)) {
        string_at(b, 0, &n)[4 + 4] = 'E';
    }
    return true;
}

static bool left_over(struct ssh_kit *k, struct nk_buf *b)
{
    (void)k;
    return is(b, SSH_MSG_NEWKEYS) || nk_buf_u8(b, 0) == 0;
}

/* A certificate where a plain key was agreed on. */
static bool sudden_certificate(struct ssh_kit *k, struct nk_buf *b)
{
    k->cert = k->cert || is(b, SSH_MSG_KEXINIT);
    return true;
}

static bool short_reply(struct ssh_kit *k, struct nk_buf *b)
{
    (void)k;
    b->len -= is(b, SSH_MSG_KEX_REPLY) ? 1 : 0;
    return true;
}

static void test_values(void **state)
{
    (void)state;
    expect(zero_point, true, NK_EPROTO, "the server's part of mlkem768x25519-sha256");
    expect(short_ciphertext, true, NK_EPROTO, "instead of 1120");
    expect(other_ciphertext, true, NK_EVERIFY, "signature"); /* another secret */
    expect(other_signature, true, NK_EVERIFY, "signature");
    expect(other_signature_name, true, NK_EVERIFY, "signature");
    expect(unknown_key, true, NK_EPROTO, "not supported");
    expect(sudden_certificate, true, NK_EPROTO, "certificate");
    expect(left_over, true, NK_EPROTO, "malformed");
    expect(short_reply, true, NK_EPROTO, "malformed");
}

static bool other_host_key(struct ssh_kit *k, struct nk_buf *b)
{
    (void)b;
    if (k->keyed && !k->arg) {
        uint8_t public_key[32];
        k->arg = k;
        crypto_sign_keypair(public_key, k->secret_key);
    }
    return true;
}

static void test_changed_host_key(void **state)
{
    struct ssh_kit k;
    (void)state;
    ssh_kit_init(&k);
    assert_int_equal(ssh_kit_run(&k), 0);
    assert_true(ssh_kit_send_number(&k, SSH_MSG_USERAUTH_SUCCESS));
    k.tamper = other_host_key;
    assert_true(ssh_kit_rekey(&k));
    assert_int_equal(ssh_kit_pump(&k), NK_EVERIFY);
    assert_int_equal(k.asked, 1);
    ssh_kit_clear(&k);
}

static void test_nothing_in_common(void **state)
{
    struct ssh_kit k;
    (void)state;
    ssh_kit_init(&k);
    k.kex = "diffie-hellman-group1-sha1";
    assert_int_equal(ssh_kit_run(&k), NK_EPROTO);
    assert_non_null(strstr(k.diag.text, "diffie-hellman-group1-sha1"));
    assert_int_equal(k.t->state, SSH_T_OVER);
    ssh_kit_clear(&k);
}

/* --- identification and packets --------------------------------------------------------------- */

static void ident(const char *text, int rc)
{
    struct ssh_kit k;
    ssh_kit_init(&k);
    k.ident = text;
    assert_int_equal(ssh_kit_run(&k), rc);
    assert_int_equal(k.ready, rc == 0);
    ssh_kit_clear(&k);
}

static void test_ident(void **state)
{
    char text[FLOOD + 32];
    (void)state;
    ident("SSH-1.5-old\r\n", NK_EPROTO);
    ident("SSH-2.0\r\n", NK_EPROTO);
    ident("SSH-2.0-a\x01\r\n", NK_EPROTO);
    ident("SSH-3.0-new\r\n", NK_EPROTO);
    memset(text, 'a', sizeof(text));
    memcpy(text, "SSH-2.0-", 8);
    strcpy(text + SSH_IDENT_MAX - 2, "\r\n");
    ident(text, 0);
    text[SSH_IDENT_MAX - 2] = 'a';
    strcpy(text + SSH_IDENT_MAX - 1, "\r\n");
    ident(text, NK_EPROTO);
    text[FLOOD] = '\0'; /* no end of line at all */
    memset(text, 'a', FLOOD);
    ident(text, NK_EPROTO);
    memset(text, '\n', FLOOD);
    ident(text, NK_EPROTO);
    for (size_t i = 0; i < SSH_PRE_IDENT_LINES; i++) {
        text[i] = '\n';
    }
    strcpy(text + SSH_PRE_IDENT_LINES, "SSH-2.0-kit\n");
    ident(text, 0);
}

static void test_lengths(void **state)
{
    static const uint8_t bad[][5] = {{0, 0, 0, 0, 0},
                                     {0, 0, 0, 5, 4},
                                     {0, 0, 0, 13, 4},
                                     {0, 4, 0, 12, 4},
                                     {0xff, 0xff, 0xff, 0xfc, 4},
                                     {0, 0, 0, 12, 3}};
    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct ssh_kit k;
        uint8_t rest[16] = {0};
        ssh_kit_init(&k);
        assert_int_equal(ssh_kit_start(&k), 0);
        assert_int_equal(nk_buf_put(&k.out, bad[i], sizeof(bad[i])), 0);
        assert_int_equal(nk_buf_put(&k.out, rest, sizeof(rest)), 0);
        assert_int_equal(ssh_kit_pump(&k), NK_EPROTO);
        assert_true(k.t->in.cap <= 2u * SSH_READ_SIZE); /* nothing was made ready for it */
        ssh_kit_clear(&k);
    }
}

static void test_changed_packet(void **state)
{
    struct ssh_kit k;
    (void)state;
    ssh_kit_init(&k);
    assert_int_equal(ssh_kit_run(&k), 0);
    assert_true(ssh_kit_send_number(&k, SSH_MSG_USERAUTH_SUCCESS));
    nk_buf_ptr(&k.out)[8] ^= 1;
    assert_int_equal(ssh_kit_pump(&k), NK_EPROTO);
    assert_int_equal(nk_buf_len(&k.handed), 0);
    ssh_kit_clear(&k);
}

/* 2^32 packets before the first NEWKEYS would bring the numbers back to where they were. */
static bool wrap(struct ssh_kit *k, struct nk_buf *b)
{
    if (is(b, SSH_MSG_KEX_REPLY)) {
        k->t->opener.seq = UINT32_MAX;
    }
    return true;
}

static void test_wrap(void **state)
{
    (void)state;
    expect(wrap, true, NK_EPROTO, "too many packets");
    expect(wrap, false, NK_EPROTO, "too many packets");
}

static void test_ext_info(void **state)
{
    static const uint8_t good[] = {SSH_MSG_EXT_INFO, 0, 0, 0, 1, 0, 0, 0, 1, 'x', 0, 0, 0, 0};
    static const uint8_t huge[] = {SSH_MSG_EXT_INFO, 0xff, 0xff, 0xff, 0xff};
    struct ssh_kit k;
    (void)state;
    ssh_kit_init(&k);
    assert_int_equal(ssh_kit_run(&k), 0);
    for (int i = 0; i < 3; i++) {
        assert_true(ssh_kit_send(&k, good, sizeof(good)));
        assert_int_equal(ssh_kit_pump(&k), i < 2 ? 0 : NK_EPROTO);
    }
    ssh_kit_clear(&k);
    ssh_kit_init(&k);
    assert_int_equal(ssh_kit_run(&k), 0);
    assert_true(ssh_kit_send(&k, huge, sizeof(huge)));
    assert_int_equal(ssh_kit_pump(&k), NK_EPROTO);
    ssh_kit_clear(&k);
}

enum { FLOOD_PAYLOAD = 128 * 1024 }; /* bytes of a payload */

/* Requests that are to be answered while keys are exchanged are kept, but not without end. */
static void test_flood_in_exchange(void **state)
{
    struct ssh_kit k;
    int rc = 0;
    size_t sent = 0;
    (void)state;
    ssh_kit_init(&k);
    assert_int_equal(ssh_kit_run(&k), 0);
    assert_true(ssh_kit_send_number(&k, SSH_MSG_USERAUTH_SUCCESS));
    assert_int_equal(ssh_kit_pump(&k), 0);
    assert_int_equal(ssh_transport_rekey(k.t, 0), 0);
    uint8_t *ping = calloc(1, FLOOD_PAYLOAD);
    assert_non_null(ping);
    *ping = SSH_MSG_PING;
    for (; rc == 0 && sent < 4 * SSH_HELD_MAX; sent += FLOOD_PAYLOAD) { /* it never says KEXINIT */
        uint8_t *room;
        size_t max, n;
        assert_true(ssh_kit_send(&k, ping, FLOOD_PAYLOAD));
        while (rc == 0 && (n = nk_buf_len(&k.out)) > 0) {
            assert_int_equal(ssh_transport_space(k.t, &room, &max, &k.diag), 0);
            n = n > max ? max : n;
            memcpy(room, nk_buf_ptr(&k.out), n);
            nk_buf_consume(&k.out, n);
            rc = ssh_transport_feed(k.t, n, 0, &k.diag);
        }
    }
    free(ping);
    assert_int_equal(rc, NK_ELIMIT);
    assert_true(sent <= SSH_HELD_MAX + FLOOD_PAYLOAD);
    ssh_kit_clear(&k);
}

int nk_test_ssh_proto_kex(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_prefix_truncation),
        cmocka_unit_test(test_strict_policy),
        cmocka_unit_test(test_marker_in_rekey),
        cmocka_unit_test(test_during_rekey),
        cmocka_unit_test(test_guess),
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_changed_host_key),
        cmocka_unit_test(test_nothing_in_common),
        cmocka_unit_test(test_ident),
        cmocka_unit_test(test_lengths),
        cmocka_unit_test(test_changed_packet),
        cmocka_unit_test(test_wrap),
        cmocka_unit_test(test_ext_info),
        cmocka_unit_test(test_flood_in_exchange),
    };
    return cmocka_run_group_tests_name("ssh/proto_kex", tests, NULL, NULL);
}
