/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "tor/shell.h"
#include "tor/wire.h"

int nk_test_tor_shell_words(void);

static void test_secrets(void **state)
{
    static const char *const kept[] = {"GETINFO version", "ADD_ONION NEW:ED25519-V3 Port=80",
                                       "ADD_ONION NEW:BEST Port=80 Flags=Detach",
                                       "GETCONF SocksPort", "ONION_CLIENT_AUTH_VIEW"};
    static const char *const secret[] = {"AUTHENTICATE \"secret\"",
                                         "  authenticate 00",
                                         "AUTHCHALLENGE SAFECOOKIE 00",
                                         "ADD_ONION ED25519-V3:AAAA Port=80",
                                         "add_onion rsa1024:AAAA Port=80",
                                         "ONION_CLIENT_AUTH_ADD aaaa x25519:AAAA",
                                         "SETCONF HashedControlPassword=16:AA",
                                         "SETCONF Socks5ProxyPassword=x",
                                         "resetconf HTTPSProxyAuthenticator=a:b"};
    (void)state;
    for (size_t i = 0; i < sizeof(kept) / sizeof(*kept); i++) {
        assert_false(tor_shell_is_secret(kept[i]));
    }
    for (size_t i = 0; i < sizeof(secret) / sizeof(*secret); i++) {
        assert_true(tor_shell_is_secret(secret[i]));
    }
}

static const char *only(struct tor_shell_words *w, const char *line, struct tor_edit_choices *c)
{
    c->n = 0;
    tor_shell_complete(w, line, strlen(line), c);
    return c->n == 1 ? c->v[0] : NULL;
}

static void test_complete(void **state)
{
    static const char options[] = "SocksPort Dependent\nSocksPolicy LineList\n";
    static const char info[] = "ns/id/* -- One relay.\nversion -- The version.\nns/all\n";
    const struct tor_line lines[] = {
        {.code = 250,
         .kind = '+',
         .text = "config/names=",
         .len = 13,
         .data = options,
         .data_len = strlen(options)},
        {.code = 250,
         .kind = '+',
         .text = "info/names=",
         .len = 11,
         .data = info,
         .data_len = strlen(info)},
        {.code = 250, .kind = '-', .text = "events/names=CIRC STREAM CIRC_BW", .len = 32},
        {.code = 250, .kind = '-', .text = "signal/names=RELOAD NEWNYM", .len = 26},
        {.code = 250, .kind = ' ', .text = "OK", .len = 2}};
    const struct tor_reply reply = {.code = 250, .lines = lines, .n = 5};
    struct tor_edit_choices c = {0};
    struct tor_shell_words w = {0};
    (void)state;
    assert_int_equal(tor_shell_words_read(&w, &reply), 0);
    assert_string_equal(only(&w, "geti", &c), "GETINFO");
    assert_int_equal(c.from, 0);
    assert_string_equal(only(&w, "  geti", &c), "GETINFO");
    assert_string_equal(only(&w, "/inf", &c), "/info");
    assert_string_equal(only(&w, "GETINFO ns/all ver", &c), "version");
    assert_int_equal(c.from, 15);
    assert_string_equal(only(&w, "/info NS/I", &c), "ns/id/");
    assert_string_equal(only(&w, "setconf sockspol", &c), "SocksPolicy");
    assert_string_equal(only(&w, "signal n", &c), "NEWNYM");
    assert_string_equal(only(&w, "/events str", &c), "STREAM");
    assert_string_equal(only(&w, "/help quit", &c), "QUIT");
    assert_null(only(&w, "setevents CIRC", &c));
    assert_int_equal(c.n, 2);
    assert_null(only(&w, "CLOSESTREAM v", &c));
    assert_int_equal(c.n, 0);
    assert_null(only(&w, "GETINFOX v", &c));
    tor_shell_words_clear(&w);
    assert_null(only(&w, "GETINFO v", &c));
}

static void test_help(void **state)
{
    struct nk_buf out;
    (void)state;
    nk_buf_init(&out, 16384);
    assert_int_equal(tor_shell_help(&out, NULL), 0);
    assert_non_null(strstr(nk_buf_str(&out), "ONION_CLIENT_AUTH_ADD"));
    nk_buf_reset(&out);
    assert_int_equal(tor_shell_help(&out, "getinfo"), 0);
    assert_string_equal(nk_buf_str(&out), "GETINFO KEY..\n    What tor knows\n");
    nk_buf_reset(&out);
    assert_int_equal(tor_shell_help(&out, "events"), 0);
    assert_memory_equal(nk_buf_str(&out), "/events", 7);
    nk_buf_reset(&out);
    assert_int_equal(tor_shell_help(&out, "nosuch"), 0);
    assert_non_null(strstr(nk_buf_str(&out), "no such command"));
    nk_buf_clear(&out);
}

int nk_test_tor_shell_words(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_secrets),
                                       cmocka_unit_test(test_complete),
                                       cmocka_unit_test(test_help)};
    return cmocka_run_group_tests_name("tor/shell_words", tests, NULL, NULL);
}
