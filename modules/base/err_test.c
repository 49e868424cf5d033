/* SPDX-License-Identifier: MIT */
#include "base/err.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void names_and_texts(void **state)
{
    (void)state;
    assert_string_equal(nk_err_name(NK_EPROTO), "NK_EPROTO");
    assert_string_equal(nk_err_name(-ECONNREFUSED), "ECONNREFUSED");
    assert_string_equal(nk_err_name(-EAGAIN), "EAGAIN");
    assert_string_equal(nk_err_name(-4000), "EUNKNOWN");
    assert_string_equal(nk_err_name(0), "OK");
    assert_string_equal(nk_strerror(NK_ECLOSED), "closed");
    assert_string_equal(nk_strerror(-ENOENT), "No such file or directory");
    assert_string_equal(nk_strerror(-4000), "unknown error");
    assert_string_equal(nk_strerror(-12345), "unknown error");
    assert_string_equal(nk_strerror(7), "success");
    for (int e = 1; e <= 133; e++) { /* EHWPOISON: the last errno of Linux */
        if (e == 41 || e == 58)      /* the two numbers Linux leaves out */
            continue;
        assert_string_not_equal(nk_err_name(-e), "EUNKNOWN");
        assert_string_not_equal(nk_strerror(-e), "unknown error");
    }
}

static void own_codes_are_distinct(void **state)
{
    (void)state;
    static const int codes[] = {
#define ROW(name, value, exitcode, text) name,
        NK_ERR_LIST(ROW)
#undef ROW
    };
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
        assert_true(codes[i] <= -10000);
        assert_true(nk_exit_code(codes[i]) > 0);
        assert_string_not_equal(nk_strerror(codes[i]), "unknown error");
        for (size_t j = 0; j < i; j++)
            assert_int_not_equal(codes[i], codes[j]);
    }
}

static void exit_codes(void **state)
{
    (void)state;
    assert_int_equal(nk_exit_code(0), 0);
    assert_int_equal(nk_exit_code(5), 0);
    assert_int_equal(nk_exit_code(NK_EUSAGE), 2);
    assert_int_equal(nk_exit_code(NK_ECONFIG), 78);
    assert_int_equal(nk_exit_code(NK_EVERIFY), 77);
    assert_int_equal(nk_exit_code(NK_EPROTO), 76);
    assert_int_equal(nk_exit_code(NK_ELOCKED), 75);
    assert_int_equal(nk_exit_code(NK_ENOCMD), 127);
    assert_int_equal(nk_exit_code(-ECONNREFUSED), 69);
    assert_int_equal(nk_exit_code(-ETIMEDOUT), 75);
    assert_int_equal(nk_exit_code(-EACCES), 77);
    assert_int_equal(nk_exit_code(-ENOSPC), 74);
    assert_int_equal(nk_exit_code(-EEXIST), 73);
    assert_int_equal(nk_exit_code(-ENOENT), 1);
    assert_int_equal(nk_exit_code(-99999), 1);
}

static void fail_fills_diag(void **state)
{
    (void)state;
    struct nk_diag d = {.hint = "old"};
    assert_int_equal(nk_fail(&d, NK_EFORMAT, "line %d", 7), NK_EFORMAT);
    assert_int_equal(d.code, NK_EFORMAT);
    assert_string_equal(d.text, "line 7");
    assert_string_equal(d.hint, "");
    nk_hint(&d, "write %s", "x=y");
    assert_string_equal(d.hint, "write x=y");
    assert_int_equal(nk_fail_context(&d, "%s", "netkit.ini"), NK_EFORMAT);
    assert_string_equal(d.text, "netkit.ini: line 7");
    assert_string_equal(d.hint, "write x=y");
    assert_int_equal(nk_fail_sys(&d, -ENOENT, "cannot open %s", "/x"), -ENOENT);
    assert_string_equal(d.text, "cannot open /x: No such file or directory");
}

static void null_diag_is_fine(void **state)
{
    (void)state;
    assert_int_equal(nk_fail(NULL, -EIO, "x"), -EIO);
    assert_int_equal(nk_fail_sys(NULL, -EIO, "x"), -EIO);
    assert_int_equal(nk_fail_context(NULL, "x"), NK_EINTERNAL);
    nk_hint(NULL, "x");
}

static void arguments_may_be_the_diag_itself(void **state)
{
    (void)state;
    struct nk_diag d;
    nk_fail(&d, -EIO, "disk");
    nk_hint(&d, "look");
    nk_fail(&d, NK_ECONFIG, "reload: %s (%s)", d.text, d.hint);
    assert_string_equal(d.text, "reload: disk (look)");
}

static void control_bytes_cannot_forge_lines(void **state)
{
    (void)state;
    struct nk_diag d;
    nk_fail(&d, NK_EPROTO, "peer said %s",
            "a\r\nb\x1b[31mc\x7f\td\xc2\x9b"
            "e\xc3\xa9");
    assert_string_equal(d.text, "peer said a??b?[31mc??d??e\xc3\xa9");
    nk_hint(&d, "%s", "x\ny");
    assert_string_equal(d.hint, "x?y");
}

static void long_text_is_cut_at_a_character(void **state)
{
    (void)state;
    char lots[NK_DIAG_TEXT * 2];
    memset(lots, 'a', sizeof lots);
    lots[sizeof lots - 1] = '\0';
    memcpy(lots + NK_DIAG_TEXT - 3, "\xe2\x82\xac", 3); /* would be cut after two of its bytes */
    struct nk_diag d;
    nk_fail(&d, -EIO, "%s", lots);
    assert_int_equal(strlen(d.text), NK_DIAG_TEXT - 3);
    assert_int_equal(d.text[NK_DIAG_TEXT - 4], 'a');
    nk_fail_context(&d, "%s", "before");
    assert_int_equal(strlen(d.text), NK_DIAG_TEXT - 1);
    assert_memory_equal(d.text, "before: aaa", 11);
    nk_fail_sys(&d, -EIO, "%s", lots);
    assert_true(strlen(d.text) < NK_DIAG_TEXT);
}

int nk_test_base_err(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_and_texts),
        cmocka_unit_test(own_codes_are_distinct),
        cmocka_unit_test(exit_codes),
        cmocka_unit_test(fail_fills_diag),
        cmocka_unit_test(null_diag_is_fine),
        cmocka_unit_test(arguments_may_be_the_diag_itself),
        cmocka_unit_test(control_bytes_cannot_forge_lines),
        cmocka_unit_test(long_text_is_cut_at_a_character),
    };
    return cmocka_run_group_tests_name("base/err", tests, NULL, NULL);
}
