/* SPDX-License-Identifier: MIT */
/* SSH's data types: RFC 4251 5 gives the examples of mpint. */
#include "ssh/wire.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/err.h"

int nk_test_ssh_wire(void);

static struct nk_cur over(const void *p, size_t n)
{
    struct nk_cur c;
    nk_cur_init(&c, p, n);
    return c;
}

#define OVER(text) over(text, sizeof(text) - 1)

static void mpint(const char *bytes, size_t len, const char *wire, size_t n)
{
    struct nk_buf b;
    nk_buf_init(&b, 64);
    assert_int_equal(ssh_put_mpint(&b, (const uint8_t *)bytes, len), 0);
    assert_int_equal(nk_buf_len(&b), n);
    assert_memory_equal(nk_buf_ptr(&b), wire, n);
    struct nk_cur c = over(nk_buf_ptr(&b), n);
    struct ssh_str got = ssh_cur_mpint(&c);
    while (len > 0 && *bytes == 0) {
        bytes++;
        len--;
    }
    assert_true(nk_cur_done(&c) && got.n == len);
    assert_memory_equal(got.p, bytes, len);
    nk_buf_clear(&b);
}

#define MPINT(bytes, wire) mpint(bytes, sizeof(bytes) - 1, wire, sizeof(wire) - 1)

static void test_mpint(void **state)
{
    (void)state;
    MPINT("", "\0\0\0\0");
    MPINT("\0\0", "\0\0\0\0");
    MPINT("\x09\xa3\x78\xf9\xb2\xe3\x32\xa7", "\0\0\0\x08\x09\xa3\x78\xf9\xb2\xe3\x32\xa7");
    MPINT("\0\x80", "\0\0\0\x02\0\x80");
    MPINT("\x80", "\0\0\0\x02\0\x80");
}

static void refused_mpint(const char *wire, size_t n)
{
    struct nk_cur c = over(wire, n);
    struct ssh_str got = ssh_cur_mpint(&c);
    assert_true(c.failed && got.n == 0);
}

#define REFUSED_MPINT(wire) refused_mpint(wire, sizeof(wire) - 1)

static void test_mpint_refused(void **state)
{
    (void)state;
    REFUSED_MPINT("\0\0\0\x02\xed\xcc");             /* -1234 */
    REFUSED_MPINT("\0\0\0\x05\xff\x21\x52\x41\x11"); /* -deadbeef */
    REFUSED_MPINT("\0\0\0\x01\0");                   /* zero has no bytes */
    REFUSED_MPINT("\0\0\0\x02\0\x7f");               /* a byte too many */
    REFUSED_MPINT("\0\0\0\x02\x7f");                 /* a byte too few */
    REFUSED_MPINT("\xff\xff\xff\xff\x7f");
    REFUSED_MPINT("\0\0\0");
}

static void test_string(void **state)
{
    struct nk_buf b;
    (void)state;
    nk_buf_init(&b, 64);
    assert_int_equal(ssh_put_text(&b, "testing"), 0);
    assert_int_equal(ssh_put_string(&b, "", 0), 0);
    assert_int_equal(ssh_put_bool(&b, true), 0);
    assert_int_equal(ssh_put_bool(&b, false), 0);
    assert_int_equal(nk_buf_len(&b), 4 + 7 + 4 + 2);
    struct nk_cur c = over(nk_buf_ptr(&b), nk_buf_len(&b));
    assert_true(ssh_str_is(ssh_cur_string(&c), "testing"));
    struct ssh_str empty = ssh_cur_string(&c);
    assert_true(empty.p && empty.n == 0);
    assert_true(ssh_cur_bool(&c));
    assert_false(ssh_cur_bool(&c));
    assert_true(nk_cur_done(&c));
    /* what does not fit leaves nothing behind */
    uint8_t large[64] = {0};
    size_t before = nk_buf_len(&b);
    assert_int_equal(ssh_put_string(&b, large, sizeof(large)), NK_ETOOBIG);
    assert_int_equal(ssh_put_mpint(&b, memset(large, 1, sizeof(large)), sizeof(large)), NK_ETOOBIG);
    assert_int_equal(nk_buf_len(&b), before);
    nk_buf_clear(&b);
}

static void test_names(void **state)
{
    (void)state;
    struct nk_cur c = OVER("\0\0\0\x0ezlib,,none,nil");
    struct ssh_str list = ssh_cur_names(&c), name;
    static const char *const want[] = {"zlib", "none", "nil"};
    assert_true(ssh_names_have(list, (struct ssh_str){(const uint8_t *)"none", 4}));
    assert_false(ssh_names_have(list, (struct ssh_str){(const uint8_t *)"non", 3}));
    for (size_t i = 0; i < 3; i++) {
        assert_true(ssh_names_next(&list, &name));
        assert_true(ssh_str_is(name, want[i]));
    }
    assert_false(ssh_names_next(&list, &name));
    c = OVER("\0\0\0\x04zl b");
    list = ssh_cur_names(&c);
    assert_true(c.failed && !ssh_names_next(&list, &name));
    c = OVER("\0\0\0\x04zl\0b");
    assert_true(ssh_cur_names(&c).n == 0 && c.failed);
    c = OVER("\0\0\0\0");
    list = ssh_cur_names(&c);
    assert_false(ssh_names_next(&list, &name) || c.failed);
}

static void test_message_names(void **state)
{
    (void)state;
    assert_string_equal(ssh_message_name(SSH_MSG_KEXINIT), "KEXINIT");
    assert_string_equal(ssh_message_name(SSH_MSG_CHANNEL_DATA), "CHANNEL_DATA");
    assert_string_equal(ssh_message_name(0), "?");
}

int nk_test_ssh_wire(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mpint),         cmocka_unit_test(test_mpint_refused),
        cmocka_unit_test(test_string),        cmocka_unit_test(test_names),
        cmocka_unit_test(test_message_names),
    };
    return cmocka_run_group_tests_name("ssh/wire", tests, NULL, NULL);
}
