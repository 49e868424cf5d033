/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "hs/finding.h"

#define TEXT_MAX 65536

int nk_test_hs_finding(void);

static void fill(struct hs_findings *l)
{
    struct nk_diag diag;
    hs_find(l, HS_WARNING, "/k/a", "mode", "it is %04o", 0666u);
    hs_find_remedy(l, "chmod 600 %s", "/k/a");
    hs_find(l, HS_ERROR, "/k/b\n", NULL, "gone");
    nk_fail(&diag, NK_EFORMAT, "line %d", 2);
    nk_hint(&diag, "write it again");
    hs_find_diag(l, HS_ERROR, "/k/c", "key", &diag);
}

static void counts_and_fails_with_the_first_error(void **state)
{
    struct hs_findings l = {0};
    struct nk_diag diag = {0};
    (void)state;
    assert_int_equal(hs_findings_fail(&l, &diag), 0);
    assert_null(hs_findings_first(&l, HS_ERROR));
    fill(&l);
    assert_int_equal(hs_findings_end(&l, &diag), 0);
    assert_int_equal(l.n, 3);
    assert_int_equal(l.count[HS_ERROR], 2);
    assert_int_equal(l.count[HS_WARNING], 1);
    assert_int_equal(l.count[HS_NOTE], 0);
    assert_string_equal(hs_findings_first(&l, HS_WARNING)->remedy, "chmod 600 /k/a");
    assert_int_equal(hs_findings_fail(&l, &diag), NK_EFORMAT);
    assert_string_equal(diag.text, "/k/b?: gone");
    assert_string_equal(diag.hint, "");
    hs_findings_clear(&l);
    assert_int_equal(l.n, 0);
}

static void prints_lines(void **state)
{
    struct hs_findings l = {0};
    struct nk_buf out;
    (void)state;
    fill(&l);
    nk_buf_init(&out, TEXT_MAX);
    assert_int_equal(hs_findings_print(&l, &out), 0);
    assert_string_equal(nk_buf_str(&out), "warning: /k/a: mode: it is 0666 (hint: chmod 600 /k/a)\n"
                                          "error: /k/b\\x0a: gone\n"
                                          "error: /k/c: key: line 2 (hint: write it again)\n");
    nk_buf_clear(&out);
    hs_findings_clear(&l);
}

static void writes_json(void **state)
{
    struct hs_findings l = {0};
    struct nk_buf out;
    struct nk_json j;
    (void)state;
    hs_find(&l, HS_NOTE, "p", NULL, "r");
    nk_buf_init(&out, TEXT_MAX);
    nk_json_init(&j, &out, false);
    hs_findings_json(&l, &j);
    assert_int_equal(nk_json_end(&j), 0);
    assert_string_equal(nk_buf_str(&out), "[{\"severity\":\"note\",\"path\":\"p\",\"field\":null,"
                                          "\"reason\":\"r\",\"remedy\":null}]");
    nk_buf_clear(&out);
    hs_findings_clear(&l);
}

static void keeps_an_error(void **state)
{
    struct hs_findings l = {.error = -ENOMEM};
    struct nk_diag diag = {0};
    (void)state;
    assert_int_equal(hs_findings_end(&l, &diag), -ENOMEM);
    hs_find_remedy(&l, "x"); /* nothing to add it to */
    assert_int_equal(l.n, 0);
}

int nk_test_hs_finding(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_and_fails_with_the_first_error),
        cmocka_unit_test(prints_lines),
        cmocka_unit_test(writes_json),
        cmocka_unit_test(keeps_an_error),
    };
    return cmocka_run_group_tests_name("hs/finding", tests, NULL, NULL);
}
