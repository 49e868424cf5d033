/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "hs/slug.h"

int nk_test_hs_slug(void);

static void takes_what_arti_takes(void **state)
{
    static const char *const good[] = {"a", "0", "_", "allium-cepa", "a-", "client_7", "_-"};
    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        struct nk_diag diag = {0};
        assert_true(hs_slug_ok(good[i], strlen(good[i])));
        assert_int_equal(hs_slug_check("nickname", good[i], &diag), 0);
    }
}

static void says_what_is_wrong(void **state)
{
    static const struct {
        const char *name, *why;
    } bad[] = {
        {"", "the nickname is empty"},
        {"-a", "begins with '-'"},
        {"Alice", "the nickname 'Alice' has the character 'A'"},
        {"bob@laptop", "has the character '@'"},
        {"a/b", "has the character '/'"},
        {"..", "has the character '.'"},
        {"a b", "has the character ' '"},
        {"z\xc3\xbcrich", "other than ASCII"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct nk_diag diag = {0};
        assert_false(hs_slug_ok(bad[i].name, strlen(bad[i].name)));
        assert_int_equal(hs_slug_check("nickname", bad[i].name, &diag), NK_EUSAGE);
        assert_non_null(strstr(diag.text, bad[i].why));
    }
}

static void has_a_limit(void **state)
{
    char name[HS_SLUG_MAX + 2];
    struct nk_diag diag = {0};
    (void)state;
    memset(name, 'a', sizeof(name));
    name[HS_SLUG_MAX + 1] = '\0';
    assert_int_equal(hs_slug_check("service", name, &diag), NK_EUSAGE);
    assert_non_null(strstr(diag.text, "longer than 128"));
    name[HS_SLUG_MAX] = '\0';
    assert_int_equal(hs_slug_check("service", name, &diag), 0);
}

int nk_test_hs_slug(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_what_arti_takes),
        cmocka_unit_test(says_what_is_wrong),
        cmocka_unit_test(has_a_limit),
    };
    return cmocka_run_group_tests_name("hs/slug", tests, NULL, NULL);
}
