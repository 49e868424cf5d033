/* SPDX-License-Identifier: MIT */
/* Paths: what users may write, and which relays are drawn for the open places. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tor/build.h"

#define ID(n) n "AAAAAAAAAAAAAAAAAAAAAAAAAA"
#define R(nick, id, address, flags)                                                                \
    "r " nick " " ID(id) " YHflWUwa/DQhdHoJj4Y/AjrR4BY 2038-01-01 00:00:00 " address               \
                         " 9001 0\ns " flags " Running Valid Fast\nw Bandwidth=10\n"

static const char relays[] = R("entry", "A", "10.1.0.1", "Guard") R("mid", "B", "10.2.0.1", "HSDir")
    R("leave", "C", "10.3.0.1", "Exit") R("near", "D", "10.3.9.9", "Stable")
        R("bad", "E", "10.4.0.1", "Exit BadExit");

#define FP_ENTRY "0000000000000000000000000000000000000000"
#define FP_LEAVE "0800000000000000000000000000000000000000"

enum { OUT_MAX = 1024, DRAWS = 50 };

static int choose(struct nk_buf *out, const char *path)
{
    struct nk_diag diag;
    nk_buf_init(out, OUT_MAX);
    return tor_path_choose(out, path, true, relays, sizeof relays - 1, &diag);
}

static void test_check(void **state)
{
    struct nk_diag diag;
    (void)state;
    assert_int_equal(tor_path_check("*", &diag), 0);
    assert_int_equal(tor_path_check("a,*,$" FP_LEAVE "~c," FP_LEAVE, &diag), 0);
    assert_int_equal(tor_path_check("", &diag), NK_EUSAGE);
    assert_int_equal(tor_path_check("a,", &diag), NK_EUSAGE);
    assert_int_equal(tor_path_check(",a", &diag), NK_EUSAGE);
    assert_int_equal(tor_path_check("a b", &diag), NK_EUSAGE);
    assert_int_equal(tor_path_check("**", &diag), NK_EUSAGE);
    assert_int_equal(tor_path_check("a,a,a,a,a,a,a,a,a", &diag), NK_EUSAGE);
}

static void test_places(void **state)
{
    struct nk_buf out;
    (void)state;
    for (int i = 0; i < DRAWS; i++) { /* the guard, what is not near the exit, the exit */
        assert_int_equal(choose(&out, "*,mid,*"), 0);
        assert_string_equal(nk_buf_str(&out), "$" FP_ENTRY ",mid,$" FP_LEAVE);
        nk_buf_clear(&out);
    }
    assert_int_equal(choose(&out, FP_LEAVE ",$" FP_ENTRY), 0);
    assert_string_equal(nk_buf_str(&out), "$" FP_LEAVE ",$" FP_ENTRY);
    nk_buf_clear(&out);
    /* the only exit is named already; the only one that is left shares its network */
    assert_int_equal(choose(&out, "leave,*"), -ENOENT);
    nk_buf_clear(&out);
    assert_int_equal(choose(&out, "entry,mid,*,leave"), 0);
    assert_non_null(strstr(nk_buf_str(&out), "entry,mid,$"));
    nk_buf_clear(&out);
}

static bool ends(const char *path, const char *tail)
{
    return tor_path_ends(path, strlen(path), tail);
}

static void test_ends(void **state)
{
    static const char path[] = "$" FP_ENTRY "~entry,$" FP_LEAVE "~leave";
    (void)state;
    assert_true(ends(path, "leave"));
    assert_true(ends(path, "LEAVE"));
    assert_true(ends(path, "$" FP_LEAVE));
    assert_true(ends(path, "entry,$" FP_LEAVE "~other")); /* the fingerprint counts */
    assert_false(ends(path, "entry"));
    assert_false(ends(path, "leave,leave"));
    assert_false(ends(path, "mid,entry,leave"));
    assert_false(ends("", "leave"));
    assert_false(ends("$" FP_ENTRY, "leave")); /* tor knows no name for it */
}

int nk_test_tor_path(void);
int nk_test_tor_path(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_check), cmocka_unit_test(test_places),
                                       cmocka_unit_test(test_ends)};
    return cmocka_run_group_tests_name("tor/path", tests, NULL, NULL);
}
