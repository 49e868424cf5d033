/* SPDX-License-Identifier: MIT */
#include "socks/wire.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

static void addresses_are_literals_or_names(void **state)
{
    static const struct {
        const char *text, *back;
        int type;
    } good[] = {{"192.0.2.7", "192.0.2.7", SOCKS_IPV4},
                {"::1", "::1", SOCKS_IPV6},
                {"[2001:db8::9]", "2001:db8::9", SOCKS_IPV6},
                {"example.com", "example.com", SOCKS_NAME},
                {"127.1", "127.1", SOCKS_NAME}, /* not an address; never made one */
                {"0x7f000001", "0x7f000001", SOCKS_NAME}};
    static const char *const bad[] = {
        "", "a b", "a\nb", "\xc3\xa9.example", "[::1", "[abc]x y", "[not-an-address]"};
    struct socks_addr a;
    char host[SOCKS_TEXT_MAX + 1], name[SOCKS_TEXT_MAX + 2];
    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        assert_int_equal(socks_addr_set(&a, good[i].text, 80, NULL), 0);
        assert_int_equal(a.type, good[i].type);
        assert_string_equal(socks_addr_host(&a, host), good[i].back);
        assert_int_equal(a.port, 80);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct nk_diag why = {0};
        bool plain_bracket = strcmp(bad[i], "[::1") == 0; /* a strange name, but printable */
        assert_int_equal(socks_addr_set(&a, bad[i], 80, &why), plain_bracket ? 0 : NK_EUSAGE);
        assert_true(plain_bracket || why.text[0] != '\0');
    }
    memset(name, 'a', sizeof(name));
    name[SOCKS_TEXT_MAX + 1] = '\0';
    assert_int_equal(socks_addr_set(&a, name, 1, NULL), NK_EUSAGE);
    name[SOCKS_TEXT_MAX] = '\0';
    assert_int_equal(socks_addr_set(&a, name, 1, NULL), 0);
    assert_string_equal(socks_addr_host(&a, host), name);
}

/* A whole message parses; no part of it and nothing longer does, and every part asks for more. */
static void check_addressed(const uint8_t *m, size_t n, uint8_t what, const char *host)
{
    uint8_t more[SOCKS_MESSAGE_MAX + 1], got;
    struct socks_addr a;
    char text[SOCKS_TEXT_MAX + 1];
    assert_int_equal(socks_want(SOCKS_REQUEST, m, n), n);
    for (size_t cut = 0; cut < n; cut++) {
        size_t want = socks_want(SOCKS_REPLY, m, cut);
        assert_true(want > cut && want <= n);
        assert_int_not_equal(socks_parse_request(m, cut, &got, &a), 0);
        assert_int_not_equal(socks_parse_reply(m, cut, &got, &a), 0);
    }
    memcpy(more, m, n);
    more[n] = 0;
    assert_int_equal(socks_parse_reply(more, n + 1, &got, &a), NK_EPROTO);
    assert_int_equal(socks_parse_request(m, n, &got, &a), 0);
    assert_int_equal(got, what);
    assert_string_equal(socks_addr_host(&a, text), host);
    assert_int_equal(a.port, 0x1f90);
}

static void requests_and_replies_round_trip(void **state)
{
    static const char *const hosts[] = {"192.0.2.7", "2001:db8::9", "example.com", "x"};
    static const size_t lengths[] = {10, 22, 18, 8};
    uint8_t m[SOCKS_MESSAGE_MAX];
    struct socks_addr a;
    (void)state;
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(socks_addr_set(&a, hosts[i], 0x1f90, NULL), 0);
        assert_int_equal(socks_put_request(m, SOCKS_RESOLVE, &a), lengths[i]);
        check_addressed(m, lengths[i], SOCKS_RESOLVE, hosts[i]);
        assert_int_equal(socks_put_reply(m, SOCKS_REPLY_HS_AUTH_MISSING, &a), lengths[i]);
        check_addressed(m, lengths[i], SOCKS_REPLY_HS_AUTH_MISSING, hosts[i]);
    }
    assert_int_equal(socks_put_reply(m, 0, NULL), 10);
    assert_memory_equal(m, "\5\0\0\1\0\0\0\0\0\0", 10);
}

static void malformed_requests_are_refused(void **state)
{
    uint8_t what = 77;
    struct socks_addr a = {.port = 9};
    (void)state;
    assert_int_equal(socks_parse_request((const uint8_t *)"\5\1\0\2\1\1\1\1\0\1", 10, &what, &a),
                     NK_EUNSUPPORTED);
    assert_int_equal(socks_parse_request((const uint8_t *)"\4\1\0\1\1\1\1\1\0\1", 10, &what, &a),
                     NK_EPROTO);
    assert_int_equal(socks_parse_request((const uint8_t *)"\5\1\0\3\0\0\1", 7, &what, &a),
                     NK_EPROTO); /* a name of no bytes */
    assert_int_equal(socks_parse_request((const uint8_t *)"\5\1\0\3\3a\0b\0\1", 10, &what, &a),
                     NK_EPROTO); /* NUL would cut the name */
    assert_int_equal(socks_parse_request((const uint8_t *)"\5\1\0\3\3a\nb\0\1", 10, &what, &a),
                     NK_EPROTO);
    assert_int_equal(what, 77);
    assert_int_equal(a.port, 9);
    /* the reserved byte is ignored, as everybody does */
    assert_int_equal(socks_parse_request((const uint8_t *)"\5\1\7\1\1\1\1\1\0\1", 10, &what, &a),
                     0);
}

static void logins_round_trip(void **state)
{
    uint8_t text[SOCKS_TEXT_MAX], m[SOCKS_MESSAGE_MAX];
    static const uint8_t lengths[] = {0, 1, 254, 255};
    (void)state;
    for (size_t i = 0; i < sizeof(text); i++) {
        text[i] = (uint8_t)i;
    }
    for (size_t u = 0; u < 4; u++) {
        for (size_t v = 0; v < 4; v++) {
            const struct socks_login l = {text, text, lengths[u], lengths[v]};
            struct socks_login got;
            size_t n = socks_put_login(m, &l);
            assert_int_equal(n, 3 + lengths[u] + lengths[v]);
            for (size_t cut = 0; cut < n; cut++) {
                size_t want = socks_want(SOCKS_LOGIN, m, cut);
                assert_true(want > cut && want <= n);
                assert_int_equal(socks_parse_login(m, cut, &got), NK_EPROTO);
            }
            assert_int_equal(socks_want(SOCKS_LOGIN, m, n), n);
            assert_int_equal(socks_parse_login(m, n, &got), 0);
            assert_int_equal(got.user_len, l.user_len);
            assert_int_equal(got.password_len, l.password_len);
            assert_memory_equal(got.user, text, l.user_len);
            assert_memory_equal(got.password, text, l.password_len);
        }
    }
}

static void greetings_say_what_is_known(void **state)
{
    uint8_t m[8];
    bool none = false, login = false;
    (void)state;
    assert_int_equal(socks_put_greeting(m, true, true), 4);
    assert_memory_equal(m, "\5\2\0\2", 4);
    assert_int_equal(socks_parse_greeting(m, 4, &none, &login), 0);
    assert_true(none && login);
    assert_int_equal(socks_parse_greeting((const uint8_t *)"\5\2\1\x80", 4, &none, &login), 0);
    assert_false(none || login);
    assert_int_equal(socks_parse_greeting((const uint8_t *)"\5\0", 2, &none, &login), NK_EPROTO);
    assert_int_equal(socks_parse_greeting((const uint8_t *)"\5\2\0", 3, &none, &login), NK_EPROTO);
    assert_int_equal(socks_want(SOCKS_GREETING, (const uint8_t *)"\5\xff", 2), 257);
}

static void errors_and_codes_map_both_ways(void **state)
{
    (void)state;
    assert_int_equal(socks_reply_for(0), 0);
    assert_int_equal(socks_reply_for(-ECONNREFUSED), SOCKS_REPLY_REFUSED);
    assert_int_equal(socks_reply_for(NK_ENONAME), SOCKS_REPLY_HOST_UNREACHABLE);
    assert_int_equal(socks_reply_for(-ENETUNREACH), SOCKS_REPLY_NET_UNREACHABLE);
    assert_int_equal(socks_reply_for(-ETIMEDOUT), SOCKS_REPLY_EXPIRED);
    assert_int_equal(socks_reply_for(NK_EUSAGE), SOCKS_REPLY_NOT_ALLOWED);
    assert_int_equal(socks_reply_for(-ENOMEM), SOCKS_REPLY_FAILURE);
    assert_int_equal(socks_reply_error(SOCKS_REPLY_REFUSED), -ECONNREFUSED);
    assert_int_equal(socks_reply_error(SOCKS_REPLY_HS_AUTH_WRONG), NK_EAUTH);
    for (unsigned code = 1; code < 256; code++) {
        assert_true(socks_reply_error(code) < 0);
        assert_true(socks_reply_text(code)[0] != '\0');
    }
}

int nk_test_socks_wire(void);
int nk_test_socks_wire(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_are_literals_or_names),
        cmocka_unit_test(requests_and_replies_round_trip),
        cmocka_unit_test(malformed_requests_are_refused),
        cmocka_unit_test(logins_round_trip),
        cmocka_unit_test(greetings_say_what_is_known),
        cmocka_unit_test(errors_and_codes_map_both_ways),
    };
    return cmocka_run_group_tests_name("socks/wire", tests, NULL, NULL);
}
