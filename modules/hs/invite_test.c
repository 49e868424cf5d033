/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "base/secret.h"
#include "hs/invite.h"

int nk_test_hs_invite(void);

#define ADDRESS "rh5d6reakhpvuxe2t3next6um6iiq4jf43m7gmdrphfhopfpnoglzcyd"

static void there_and_back(void **state)
{
    struct hs_invite in, again;
    struct nk_diag diag;
    char text[HS_INVITE_MAX], padded[HS_INVITE_MAX + 8], name[HS_SLUG_MAX + 1];
    (void)state;
    assert_int_equal(hs_invite_parse(&in, "onion-auth:v1?addr=" ADDRESS "&name=alice", &diag), 0);
    assert_string_equal(in.name, "alice");
    hs_invite_format(text, &in);
    assert_string_equal(text, "onion-auth:v1?addr=" ADDRESS "&name=alice");
    snprintf(padded, sizeof(padded), " %s\r\n", text);
    assert_int_equal(hs_invite_parse(&again, padded, &diag), 0);
    assert_memory_equal(&again.address, &in.address, sizeof(in.address));
    /* order, suffix and a missing name */
    assert_int_equal(hs_invite_parse(&again, "onion-auth:v1?name=b&addr=" ADDRESS ".onion", &diag),
                     0);
    assert_string_equal(again.name, "b");
    assert_int_equal(hs_invite_parse(&again, "onion-auth:v1?addr=" ADDRESS, &diag), 0);
    assert_string_equal(again.name, "");
    hs_invite_format(text, &again);
    assert_string_equal(text, "onion-auth:v1?addr=" ADDRESS);
    memset(name, 'n', HS_SLUG_MAX);
    name[HS_SLUG_MAX] = '\0';
    memcpy(again.name, name, sizeof(name));
    hs_invite_format(text, &again);
    assert_int_equal(hs_invite_parse(&in, text, &diag), 0);
    assert_string_equal(in.name, name);
}

static void refusals(void **state)
{
    static const struct {
        const char *text;
        int rc;
        const char *why;
    } bad[] = {
        {"", NK_EFORMAT, "does not begin"},
        {"onion-auth", NK_EFORMAT, "does not begin"},
        {"onion-auth:v2?addr=" ADDRESS, NK_EVERSION, "version 1"},
        {"onion-auth:v1", NK_EVERSION, "version 1"},
        {"onion-auth:v1?", NK_EFORMAT, "unknown field ''"},
        {"onion-auth:v1?name=a", NK_EFORMAT, "addr is missing"},
        {"onion-auth:v1?addr=" ADDRESS "&", NK_EFORMAT, "unknown field ''"},
        {"onion-auth:v1?addr=" ADDRESS "&key=x", NK_EFORMAT, "unknown field 'key=x'"},
        {"onion-auth:v1?addr=" ADDRESS "&addr=" ADDRESS, NK_EFORMAT, "twice"},
        {"onion-auth:v1?addr=" ADDRESS "&name=", NK_EFORMAT, "name: only"},
        {"onion-auth:v1?addr=" ADDRESS "&name=../x", NK_EFORMAT, "name: only"},
        {"onion-auth:v1?addr=" ADDRESS "&name=a b", NK_EFORMAT, "without spaces"},
        {"onion-auth:v1?addr=abc", NK_EFORMAT, "addr: "},
        {"onion-auth:v1?addr=expyuzz4wqqyqhjn", NK_EVERSION, "addr: "},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct hs_invite in = {.name = "kept"};
        struct nk_diag diag = {0};
        assert_int_equal(hs_invite_parse(&in, bad[i].text, &diag), bad[i].rc);
        assert_non_null(strstr(diag.text, bad[i].why));
        assert_string_equal(in.name, "kept");
    }
}

int nk_test_hs_invite(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(there_and_back),
        cmocka_unit_test(refusals),
    };
    return nk_crypto_init() < 0 ? 1 : cmocka_run_group_tests_name("hs/invite", tests, NULL, NULL);
}
