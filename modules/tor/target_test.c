/* SPDX-License-Identifier: MIT */
#include "tor/target.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#define GOOD "2gzyxa5ihm7nsggfxnu52rck2vv4rvmdlkiu3zzui5du4xyclen53wid"

static int set(const char *host, bool allow_private, bool *onion, struct nk_diag *why)
{
    struct socks_addr a = {.port = 7};
    int rc = tor_target_set(&a, host, 80, allow_private, onion, why);
    assert_int_equal(a.port, rc == 0 ? 80 : 7); /* untouched on failure */
    return rc;
}

static void names_and_public_addresses_pass(void **state)
{
    static const char *const good[] = {
        "example.com", "EXAMPLE.com.", "192.0.2.1",        "[2001:db8::1]", "2001:db8::1",
        "172.32.0.1",  "169.253.1.1",  "notonion.example", "exit.example",  "localhost.example",
        "127.192.0.1", /* tor's own virtual addresses */
        "127.255.0.1", "fe80::1"};
    bool onion = true;
    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        assert_int_equal(set(good[i], false, &onion, NULL), 0);
        assert_false(onion);
    }
}

static void onion_addresses_are_checked(void **state)
{
    static const char *const good[] = {
        GOOD ".onion", "www." GOOD ".onion", "a.b." GOOD ".onion.",
        "2GZYXA5IHM7NSGGFXNU52RCK2VV4RVMDLKIU3ZZUI5DU4XYCLEN53WID.Onion"};
    static const struct {
        const char *host, *text;
        int rc;
    } bad[] = {{"expyuzz4wqqyqhjn.onion", "version 2", NK_EVERSION},
               {"www.expyuzz4wqqyqhjn.onion", "version 2", NK_EVERSION},
               {"3gzyxa5ihm7nsggfxnu52rck2vv4rvmdlkiu3zzui5du4xyclen53wid.onion", "", NK_EFORMAT},
               {"abc.onion", "", NK_EFORMAT},
               {".onion", "", NK_EFORMAT},
               {GOOD ".www.onion", "", NK_EFORMAT}};
    bool onion = false;
    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        onion = false;
        assert_int_equal(set(good[i], false, &onion, NULL), 0);
        assert_true(onion);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct nk_diag why = {0};
        assert_int_equal(set(bad[i].host, true, &onion, &why), bad[i].rc);
        assert_true(why.text[0] != '\0');
        assert_non_null(strstr(why.text, bad[i].text));
    }
}

static void what_tor_cannot_lead_to_is_refused(void **state)
{
    static const char *const here[] = {
        "localhost",  "LOCALHOST.", "a.localhost", "127.0.0.1",   "127.9.9.9",      "0.0.0.0",
        "10.255.0.1", "172.16.0.1", "172.31.9.9",  "192.168.0.9", "169.254.0.1",    "::",
        "::1",        "[fc00::1]",  "fdff::1",     "fec0::1",     "::ffff:10.1.1.1"};
    static const char *const never[] = {"127.1", "0x7f000001", "2130706433", "a.exit",
                                        "",      "a b",        "a\nb"};
    bool onion = false;
    (void)state;
    for (size_t i = 0; i < sizeof(here) / sizeof(here[0]); i++) {
        struct nk_diag why = {0};
        assert_int_equal(set(here[i], false, &onion, &why), NK_EUSAGE);
        assert_true(why.text[0] != '\0' && why.hint[0] != '\0');
        assert_int_equal(set(here[i], true, &onion, NULL), 0);
    }
    for (size_t i = 0; i < sizeof(never) / sizeof(never[0]); i++) {
        assert_true(set(never[i], true, &onion, NULL) < 0);
    }
}

static void answers_have_a_next_step(void **state)
{
    struct socks_addr service, name;
    bool onion;
    (void)state;
    assert_int_equal(tor_target_set(&service, GOOD ".onion", 80, false, &onion, NULL), 0);
    assert_int_equal(tor_target_set(&name, "example.com", 80, false, &onion, NULL), 0);
    for (unsigned code = SOCKS_REPLY_HS_DESC_NOT_FOUND; code <= SOCKS_REPLY_HS_INTRO_TIMEOUT;
         code++) {
        struct nk_diag why = {0};
        assert_int_equal(tor_target_explain(code, &service, &why), socks_reply_error(code));
        assert_true(why.hint[0] != '\0');
        assert_true(strlen(why.hint) < sizeof(why.hint) - 1); /* not cut */
    }
    for (unsigned code = SOCKS_REPLY_FAILURE; code < 256; code++) {
        struct nk_diag why = {0};
        assert_true(tor_target_explain(code, &name, &why) < 0);
        assert_true(why.text[0] != '\0');
    }
    struct nk_diag why = {0};
    assert_int_equal(tor_target_explain(SOCKS_REPLY_HS_AUTH_MISSING, &service, &why), NK_EAUTH);
    assert_non_null(strstr(why.hint, "netkit hsc generate-key"));
    assert_non_null(strstr(why.hint, "netkit hsc import"));
    assert_int_equal(tor_target_explain(SOCKS_REPLY_FAILURE, &service, &why), NK_ECLOSED);
    assert_non_null(strstr(why.hint, "ExtendedErrors"));
    assert_int_equal(tor_target_explain(SOCKS_REPLY_FAILURE, &name, &why), NK_ECLOSED);
    assert_null(strstr(why.hint, "ExtendedErrors"));
}

int nk_test_tor_target(void);
int nk_test_tor_target(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_and_public_addresses_pass),
        cmocka_unit_test(onion_addresses_are_checked),
        cmocka_unit_test(what_tor_cannot_lead_to_is_refused),
        cmocka_unit_test(answers_have_a_next_step),
    };
    return cmocka_run_group_tests_name("tor/target", tests, NULL, NULL);
}
