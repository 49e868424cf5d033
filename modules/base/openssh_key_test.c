/* SPDX-License-Identifier: MIT */
#include "base/openssh_key.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <sodium.h>

#include "base/codec.h"

static const struct nk_openssh_type types[] = {
    {"ssh-ed25519", 1, 2},
    {"x25519@spec.torproject.org", 1, 2},
    {"ed25519-expanded@spec.torproject.org", 1, 2},
    {"ssh-rsa", 2, 6},
};
#define NTYPES (sizeof(types) / sizeof(*types))

static const char SECRET[] = "7b3e3e96665bef9f157324d743d62c1bd4d37033dc16a5a59acec98bc7452442";
static const char PUBLIC[] = "8532418bc14aa1e65a02773faa81fad6dc74db9dac5afba41bf7a497bc36834c";
static const char LINE[] = "x25519@spec.torproject.org AAAAGngyNTUxOUBzcGVjLnRvcnByb2plY3Qub3Jn"
                           "AAAAIIUyQYvBSqHmWgJ3P6qB+tbcdNudrFr7pBv3pJe8NoNM";

struct sample {
    uint8_t secret[32], public[32];
    struct nk_openssh_key key;
};

static void make_sample(struct sample *s)
{
    nk_hex_decode(s->secret, 32, SECRET, 64, false);
    nk_hex_decode(s->public, 32, PUBLIC, 64, false);
    s->key = (struct nk_openssh_key){.type = &types[1]};
    s->key.public_field[0] = (struct nk_openssh_str){s->public, 32};
    s->key.private_field[0] = s->key.public_field[0];
    s->key.private_field[1] = (struct nk_openssh_str){s->secret, 32};
    s->key.check = nk_openssh_check_of(s->secret, 32);
}

static void assert_str(struct nk_openssh_str s, const void *p, size_t n)
{
    assert_int_equal(s.n, n);
    assert_memory_equal(s.p, p, n);
}

/* The hash of the file that arti writes for this key. */
static void identical_to_arti(void **state)
{
    (void)state;
    struct sample s;
    struct nk_buf out;
    uint8_t hash[32];
    char hex[65];
    make_sample(&s);
    nk_buf_init_secret(&out, NK_OPENSSH_MAX);
    assert_int_equal(nk_openssh_write(&s.key, &out), 0);
    crypto_hash_sha256(hash, nk_buf_ptr(&out), nk_buf_len(&out));
    nk_hex_encode(hex, hash, 32);
    assert_string_equal(hex, "13a21327d5a3b76758c276b1290d66fb26f7323cfe746c84d8d331711778de69");
    nk_buf_clear(&out);
}

/* Reads an armoured key; bin keeps what k borrows from. */
static int read_key(const void *text, size_t n, struct nk_buf *bin, struct nk_openssh_key *k,
                    struct nk_diag *diag)
{
    struct nk_openssh_file f;
    nk_buf_init_secret(bin, NK_OPENSSH_MAX);
    int rc = nk_openssh_dearmor(text, n, bin, diag);
    rc = rc < 0 ? rc : nk_openssh_parse(nk_buf_ptr(bin), nk_buf_len(bin), &f, diag);
    return rc < 0 ? rc : nk_openssh_parse_key(&f, f.inner.p, f.inner.n, types, NTYPES, k, diag);
}

static void round_trip(void **state)
{
    (void)state;
    struct sample s;
    struct nk_buf out, bin;
    struct nk_openssh_key k;
    make_sample(&s);
    /* comments of every length: every padding */
    for (size_t n = 0; n <= 16; n++) {
        s.key.comment = (struct nk_openssh_str){(const uint8_t *)"a comment of some", n};
        nk_buf_init_secret(&out, NK_OPENSSH_MAX);
        assert_int_equal(nk_openssh_write(&s.key, &out), 0);
        assert_true(nk_openssh_is_private(nk_buf_ptr(&out), nk_buf_len(&out)));
        assert_int_equal(read_key(nk_buf_ptr(&out), nk_buf_len(&out), &bin, &k, NULL), 0);
        assert_ptr_equal(k.type, &types[1]);
        assert_str(k.public_field[0], s.public, 32);
        assert_str(k.private_field[0], s.public, 32);
        assert_str(k.private_field[1], s.secret, 32);
        assert_str(k.comment, "a comment of some", n);
        nk_buf_clear(&bin);
        nk_buf_clear(&out);
    }
}

/* A file as ssh-keygen 9.2 writes it for a key of this test alone, here with CR LF and other
 * columns. */
static const char FROM_SSH_KEYGEN[] =
    "-----BEGIN OPENSSH PRIVATE KEY-----\r\n"
    "b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAMwAAAAtzc2gtZWQyNTUxOQAA\r\n"
    "ACBAh46m12c5K5fX8ljqNo0Ix081HnQjKQ988EDbZLdlxwAAAJjfQ7AY30OwGAAAAAtzc2gtZWQyNTUx\r\n"
    "OQAAACBAh46m12c5K5fX8ljqNo0Ix081HnQjKQ988EDbZLdlxwAAAEAcPKTV9Wk323L8wngTIfFcSgEd\r\n"
    "1eiUWahYB/hFlamKxkCHjqbXZzkrl9fyWOo2jQjHTzUedCMpD3zwQNtkt2XHAAAAD2VkMjU1MTktZXhh\r\n"
    "bXBsZQECAwQFBg==\r\n"
    "-----END OPENSSH PRIVATE KEY-----\r\n";

static void any_columns(void **state)
{
    (void)state;
    struct nk_buf bin;
    struct nk_openssh_key k;
    struct nk_diag diag = {0};
    int rc = read_key(FROM_SSH_KEYGEN, sizeof(FROM_SSH_KEYGEN) - 1, &bin, &k, &diag);
    assert_string_equal(diag.text, "");
    assert_int_equal(rc, 0);
    assert_string_equal(k.type->name, "ssh-ed25519");
    assert_str(k.comment, "ed25519-example", 15);
    nk_buf_clear(&bin);
}

/* Every truncation of the binary form, and every changed byte outside the key itself, is an error
 * or another key; nothing is read outside (the sanitizers watch). */
static void damaged(void **state)
{
    (void)state;
    struct sample s;
    struct nk_buf out, bin;
    struct nk_openssh_key k;
    make_sample(&s);
    nk_buf_init_secret(&out, NK_OPENSSH_MAX);
    nk_buf_init_secret(&bin, NK_OPENSSH_MAX);
    assert_int_equal(nk_openssh_write(&s.key, &out), 0);
    assert_int_equal(nk_openssh_dearmor(nk_buf_ptr(&out), nk_buf_len(&out), &bin, NULL), 0);
    struct nk_openssh_file f;
    size_t n = nk_buf_len(&bin);
    for (size_t cut = 0; cut < n; cut++) {
        assert_int_equal(nk_openssh_parse(nk_buf_ptr(&bin), cut, &f, NULL), NK_EFORMAT);
    }
    assert_int_equal(nk_openssh_parse(nk_buf_ptr(&bin), n, &f, NULL), 0);
    assert_false(f.encrypted);
    for (size_t cut = 0; cut < f.inner.n; cut++) {
        int rc = nk_openssh_parse_key(&f, f.inner.p, cut, types, NTYPES, &k, NULL);
        /* without all or some of its padding the rest is a whole key */
        assert_int_equal(rc, cut < f.inner.n - 6 ? NK_EFORMAT : 0);
    }
    uint8_t *inner = nk_buf_ptr(&bin) + (f.inner.p - nk_buf_ptr(&bin));
    inner[3] ^= 1;
    assert_int_equal(nk_openssh_parse_key(&f, inner, f.inner.n, types, NTYPES, &k, NULL),
                     NK_EFORMAT);
    inner[3] ^= 1;
    inner[f.inner.n - 1] ^= 1;
    assert_int_equal(nk_openssh_parse_key(&f, inner, f.inner.n, types, NTYPES, &k, NULL),
                     NK_EFORMAT);
    assert_int_equal(nk_openssh_parse_key(&f, inner, f.inner.n, types, 1, &k, NULL),
                     NK_EUNSUPPORTED);
    nk_buf_clear(&bin);
    nk_buf_clear(&out);
}

static void armour_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "x",
        "-----BEGIN OPENSSH PRIVATE KEY-----",
        "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n",
        "-----BEGIN OPENSSH PRIVATE KEY-----\nAA*A\n-----END OPENSSH PRIVATE KEY-----",
        "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA=A\n-----END OPENSSH PRIVATE KEY-----",
        "-----BEGIN RSA PRIVATE KEY-----\nAAAA\n-----END RSA PRIVATE KEY-----"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        struct nk_buf bin;
        nk_buf_init_secret(&bin, NK_OPENSSH_MAX);
        assert_int_equal(nk_openssh_dearmor(bad[i], strlen(bad[i]), &bin, NULL), NK_EFORMAT);
        assert_int_equal(nk_buf_len(&bin), 0);
        nk_buf_clear(&bin);
    }
}

static void public_lines(void **state)
{
    (void)state;
    struct nk_buf blob, out;
    struct nk_openssh_public k;
    uint8_t pub[32];
    nk_hex_decode(pub, 32, PUBLIC, 64, false);
    static const char *const around[][2] = {{"", ""}, {"  ", "\r\n"}, {"", " me@here and there\n"}};
    for (size_t i = 0; i < 3; i++) {
        char line[256];
        snprintf(line, sizeof(line), "%s%s%s", around[i][0], LINE, around[i][1]);
        nk_buf_init(&blob, NK_OPENSSH_MAX);
        nk_buf_init(&out, NK_OPENSSH_MAX);
        assert_int_equal(
            nk_openssh_parse_public(line, strlen(line), types, NTYPES, &blob, &k, NULL), 0);
        assert_ptr_equal(k.type, &types[1]);
        assert_str(k.field[0], pub, 32);
        assert_str(k.comment, "me@here and there", i == 2 ? 17 : 0);
        assert_int_equal(nk_openssh_write_public(&k, &out), 0);
        snprintf(line, sizeof(line), "%s%s", LINE, i == 2 ? " me@here and there" : "");
        assert_string_equal(nk_buf_str(&out), line);
        nk_buf_clear(&out);
        nk_buf_clear(&blob);
    }
}

static void public_refused(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        int code;
    } bad[] = {
        {"", NK_EFORMAT},
        {"ssh-ed25519", NK_EFORMAT},
        {"pangolin@torproject.org AAAA", NK_EUNSUPPORTED},
        {"ssh-ed25519 AAAA", NK_EFORMAT},
        {"ssh-ed25519 A*AA", NK_EFORMAT},
        /* another type within */
        {"ssh-ed25519 AAAAGngyNTUxOUBzcGVjLnRvcnByb2plY3Qub3JnAAAAIIUyQYvBSqHmWgJ3P6qB+tbcdNudrFr7"
         "pBv3pJe8NoNM",
         NK_EFORMAT},
        {"x25519@spec.torproject.org AAAAGngyNTUxOUBzcGVjLnRvcnByb2plY3Qub3JnAAAAIIUyQYvBSqHmWgJ3"
         "P6qB+tbcdNudrFr7pBv3pJe8NoNM\nx",
         NK_EFORMAT},
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        struct nk_buf blob;
        struct nk_openssh_public k;
        nk_buf_init(&blob, NK_OPENSSH_MAX);
        assert_int_equal(nk_openssh_parse_public(bad[i].line, strlen(bad[i].line), types, NTYPES,
                                                 &blob, &k, NULL),
                         bad[i].code);
        nk_buf_clear(&blob);
    }
}

int nk_test_base_openssh_key(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(identical_to_arti), cmocka_unit_test(round_trip),
        cmocka_unit_test(any_columns),       cmocka_unit_test(damaged),
        cmocka_unit_test(armour_refused),    cmocka_unit_test(public_lines),
        cmocka_unit_test(public_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
