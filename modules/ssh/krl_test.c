/* SPDX-License-Identifier: MIT */
#include "ssh/krl.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "ssh/sha1.h"
#include "ssh/wire.h"

#define KEY "a key"
#define CA "an authority"
#define STRANGER "another authority"
#define ID "host seven"

int nk_test_ssh_krl(void);

enum { LIST_MAX = 4096 };

static struct ssh_str str(const char *text)
{
    return (struct ssh_str){(const uint8_t *)text, strlen(text)};
}

static void put_head(struct nk_buf *b)
{
    assert_int_equal(nk_buf_put(b, "SSHKRL\n", 8), 0);
    assert_int_equal(nk_buf_be32(b, 1), 0);
    for (int i = 0; i < 3; i++) { /* number, date, flags */
        assert_int_equal(nk_buf_be64(b, 0xfffffffffffffff0U), 0);
    }
    assert_int_equal(ssh_put_text(b, ""), 0);
    assert_int_equal(ssh_put_text(b, "comment"), 0);
}

static void put_section(struct nk_buf *b, uint8_t type, const struct nk_buf *content)
{
    assert_int_equal(nk_buf_u8(b, type), 0);
    assert_int_equal(ssh_put_string(b, nk_buf_ptr(content), nk_buf_len(content)), 0);
}

/* A list with one section; kind: of a part within a section of certificates, or 0. */
static void put_list(struct nk_buf *b, uint8_t type, const char *ca, uint8_t kind, const void *p,
                     size_t n)
{
    struct nk_buf in, part;
    nk_buf_init(&in, LIST_MAX);
    nk_buf_init(&part, LIST_MAX);
    nk_buf_reset(b);
    put_head(b);
    if (kind) {
        assert_int_equal(ssh_put_text(&in, ca), 0);
        assert_int_equal(ssh_put_text(&in, ""), 0);
        assert_int_equal(nk_buf_put(&part, p, n), 0);
        put_section(&in, kind, &part);
    } else {
        assert_int_equal(nk_buf_put(&in, p, n), 0);
    }
    put_section(b, type, &in);
    nk_buf_clear(&in);
    nk_buf_clear(&part);
}

static struct ssh_str all(const struct nk_buf *b)
{
    return (struct ssh_str){nk_buf_ptr(b), nk_buf_len(b)};
}

/* Is a plain key revoked, and a certificate for it with this serial number? The latter, after the
 * first was compared. */
static int look(const struct nk_buf *b, bool plain, uint64_t serial)
{
    struct nk_diag diag;
    struct ssh_public k = {.blob = str(KEY)};
    assert_int_equal(ssh_krl_check(all(b), &diag), 0);
    assert_int_equal(ssh_krl_revoked(all(b), &k, str(KEY), &diag), plain);
    k.is_cert = true;
    k.cert = (struct ssh_cert){.id = str(ID), .ca = str(CA), .serial = serial};
    return ssh_krl_revoked(all(b), &k, str(KEY), &diag);
}

static int refused(const struct nk_buf *b)
{
    struct nk_diag diag = {0};
    const struct ssh_public k = {.blob = str(KEY)};
    int rc = ssh_krl_check(all(b), &diag);
    assert_true(rc < 0 && diag.text[0]);
    assert_int_equal(ssh_krl_revoked(all(b), &k, str(KEY), &diag), rc);
    return rc;
}

static void test_empty(void **state)
{
    struct nk_buf b;
    (void)state;
    nk_buf_init(&b, LIST_MAX);
    put_head(&b);
    assert_true(ssh_krl_is(nk_buf_ptr(&b), nk_buf_len(&b)));
    assert_false(ssh_krl_is("SSHKR", 5));
    assert_false(ssh_krl_is("ssh-rsa AAAA", 12));
    assert_int_equal(look(&b, false, 7), 0);
    for (size_t n = nk_buf_len(&b); n > 0; n--) { /* every shorter one is malformed */
        b.len = n - 1;
        assert_int_equal(refused(&b), NK_EFORMAT);
    }
    nk_buf_clear(&b);
}

static void test_keys(void **state)
{
    struct nk_buf b, in;
    struct ssh_sha1 h;
    uint8_t print[SSH_SHA1_SIZE];
    (void)state;
    nk_buf_init(&b, LIST_MAX);
    nk_buf_init(&in, LIST_MAX);
    assert_int_equal(ssh_put_text(&in, "other"), 0);
    assert_int_equal(ssh_put_text(&in, KEY), 0);
    put_list(&b, 2, NULL, 0, nk_buf_ptr(&in), nk_buf_len(&in));
    assert_int_equal(look(&b, true, 7), 1);
    nk_buf_reset(&in);
    assert_int_equal(ssh_put_text(&in, CA), 0); /* who has signed counts, too */
    put_list(&b, 2, NULL, 0, nk_buf_ptr(&in), nk_buf_len(&in));
    assert_int_equal(look(&b, false, 7), 1);
    nk_buf_reset(&in);
    ssh_sha1_init(&h);
    ssh_sha1_put(&h, KEY, strlen(KEY));
    ssh_sha1_end(&h, print);
    assert_int_equal(ssh_put_string(&in, print, sizeof(print)), 0);
    put_list(&b, 3, NULL, 0, nk_buf_ptr(&in), nk_buf_len(&in));
    assert_int_equal(look(&b, true, 7), 1);
    put_list(&b, 5, NULL, 0, nk_buf_ptr(&in), nk_buf_len(&in)); /* too short for SHA-256 */
    assert_int_equal(refused(&b), NK_EFORMAT);
    nk_buf_clear(&b);
    nk_buf_clear(&in);
}

static void test_serials(void **state)
{
    /* parts; the serial numbers next to those that they have */
    static const struct {
        uint8_t kind;
        const char *p;
        size_t n;
        uint64_t in[2], out[2];
    } cases[] = {
        {0x20,
         "\0\0\0\0\0\0\0\7\xff\xff\xff\xff\xff\xff\xff\xff\0\0\0\0\0\0\0\0",
         24,
         {7, UINT64_MAX},
         {8, 0}},
        {0x21, "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1\0", 16, {1, 256}, {257, 0}},
        {0x21,
         "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
         16,
         {UINT64_MAX, UINT64_MAX},
         {UINT64_MAX - 1, 0}},
        {0x22, "\0\0\0\0\0\0\0\x64\0\0\0\2\1\1", 14, {100, 108}, {101, 109}},
        {0x22, "\0\0\0\0\0\0\0\0\0\0\0\2\0\x81", 14, {7, 7}, {0, 8}},
        {0x23, "\0\0\0\1x\0\0\0\12" ID, 19, {7, 0}, {0, 0}},
    };
    struct nk_buf b;
    (void)state;
    nk_buf_init(&b, LIST_MAX);
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        static const char *const authorities[] = {CA, ""};
        for (int j = 0; j < 2; j++) {
            put_list(&b, 1, authorities[j], cases[i].kind, cases[i].p, cases[i].n);
            for (int k = 0; k < 2; k++) {
                assert_int_equal(look(&b, false, cases[i].in[k]), 1);
                assert_int_equal(look(&b, false, cases[i].out[k]), cases[i].kind == 0x23);
            }
        }
        put_list(&b, 1, STRANGER, cases[i].kind, cases[i].p, cases[i].n);
        assert_int_equal(look(&b, false, cases[i].in[0]), 0);
    }
    nk_buf_clear(&b);
}

static void test_what_is_refused(void **state)
{
    static const struct {
        uint8_t type, kind;
        const char *p;
        size_t n;
        int rc;
    } cases[] = {
        {4, 0, "\0\0\0\0\0\0\0\0", 8, NK_EUNSUPPORTED},                          /* a signature */
        {6, 0, "", 0, NK_EUNSUPPORTED},                                          /* unknown */
        {255, 0, "\0\0\0\1x\1\0\0\0\0", 10, NK_EUNSUPPORTED},                    /* critical */
        {255, 0, "\0\0\0\1x\0\0\0\0", 9, NK_EFORMAT},                            /* short */
        {1, 0x39, "\0\0\0\1x\1\0\0\0\0", 10, NK_EUNSUPPORTED},                   /* critical */
        {1, 0x24, "", 0, NK_EUNSUPPORTED},                                       /* unknown */
        {1, 0x20, "\0\0\0\0\0\0\7", 7, NK_EFORMAT},                              /* short */
        {1, 0x21, "\0\0\0\0\0\0\0\2\0\0\0\0\0\0\0\1", 16, NK_EFORMAT},           /* upside down */
        {1, 0x21, "\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0\1!", 17, NK_EFORMAT},          /* bytes left */
        {1, 0x22, "\0\0\0\0\0\0\0\1\0\0\0\1\x80", 13, NK_EFORMAT},               /* negative */
        {1, 0x22, "\xff\xff\xff\xff\xff\xff\xff\xff\0\0\0\1\1", 13, NK_EFORMAT}, /* beyond */
        {2, 0, "\0\0\0\5abcd", 8, NK_EFORMAT},                                   /* short */
        {3, 0, "\0\0\0\1x", 5, NK_EFORMAT},                                      /* no SHA-1 */
    };
    struct nk_buf b;
    (void)state;
    nk_buf_init(&b, LIST_MAX);
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        put_list(&b, cases[i].type, CA, cases[i].kind, cases[i].p, cases[i].n);
        assert_int_equal(refused(&b), cases[i].rc);
    }
    put_list(&b, 255, NULL, 0, "\0\0\0\1x\0\0\0\0\1y", 11); /* not critical */
    assert_int_equal(look(&b, false, 7), 0);
    put_list(&b, 1, CA, 0x39, "\0\0\0\1x\0\0\0\0\0", 10);
    assert_int_equal(look(&b, false, 7), 0);
    nk_buf_reset(&b);
    put_head(&b);
    nk_buf_ptr(&b)[11] = 2; /* a later version */
    assert_int_equal(refused(&b), NK_EUNSUPPORTED);
    nk_buf_clear(&b);
}

int nk_test_ssh_krl(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_empty),
        cmocka_unit_test(test_keys),
        cmocka_unit_test(test_serials),
        cmocka_unit_test(test_what_is_refused),
    };
    return cmocka_run_group_tests_name("ssh/krl", tests, NULL, NULL);
}
