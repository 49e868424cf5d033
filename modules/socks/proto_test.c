/* SPDX-License-Identifier: MIT */
/* The negotiation against scripted peers, cut at every byte, and against itself. */
#include "socks/proto.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "base/secret.h"

#define BYTES(text) (const uint8_t *)(text), sizeof(text) - 1

static const struct socks_login alice = {(const uint8_t *)"alice", (const uint8_t *)"pw", 5, 2};

static struct socks_ask ask_for(const char *host, const struct socks_login *login)
{
    struct socks_ask ask = {.command = SOCKS_CONNECT, .login = login};
    assert_int_equal(socks_addr_set(&ask.addr, host, 443, NULL), 0);
    return ask;
}

/* Feeds n bytes in pieces of at most `piece`; returns how many were taken. */
static size_t feed(struct socks_proto *p, const uint8_t *bytes, size_t n, size_t piece, int *rc,
                   struct nk_diag *why)
{
    size_t at = 0;
    *rc = 0;
    while (*rc == 0 && at < n) {
        size_t want;
        uint8_t *room = socks_proto_room(p, &want);
        size_t take = want < piece ? want : piece;
        take = take < n - at ? take : n - at;
        if (take == 0) {
            break;
        }
        memcpy(room, bytes + at, take);
        at += take;
        *rc = socks_proto_got(p, take, why);
    }
    return at;
}

static size_t drain(struct socks_proto *p, uint8_t *out)
{
    size_t n;
    const uint8_t *bytes = socks_proto_out(p, &n);
    memcpy(out, bytes, n);
    socks_proto_sent(p, n);
    return n;
}

/* Moves bytes between the two, at most `piece` at a time, until nothing moves. */
static void converse(struct socks_proto *c, struct socks_proto *s, size_t piece)
{
    struct nk_diag why = {0};
    bool moved = true;
    while (moved) {
        moved = false;
        for (int way = 0; way < 2; way++) {
            struct socks_proto *from = way ? s : c, *to = way ? c : s;
            size_t n, want;
            const uint8_t *bytes = socks_proto_out(from, &n);
            uint8_t *room = socks_proto_room(to, &want);
            n = n < want ? n : want;
            n = n < piece ? n : piece;
            if (n > 0) {
                memcpy(room, bytes, n);
                socks_proto_sent(from, n);
                assert_int_equal(socks_proto_got(to, n, &why), 0);
                moved = true;
            }
        }
        if (s->state == SOCKS_AWAIT_ANSWER) {
            assert_false(moved && piece == 0);
            socks_proto_answer(s, SOCKS_REPLY_OK);
            moved = true;
        }
    }
}

static void both_sides_understand_each_other(void **state)
{
    static const char *const hosts[] = {"192.0.2.1", "2001:db8::1", "example.com"};
    struct socks_proto c, s;
    char host[SOCKS_TEXT_MAX + 1];
    (void)state;
    for (int kind = 0; kind < 5; kind++) {
        for (size_t piece = 1; piece < 40; piece++) {
            struct socks_ask ask = ask_for(hosts[piece % 3], kind >= 2 ? &alice : NULL);
            ask.pipeline = kind == 1 || kind == 3;
            ask.login_only = kind >= 3;
            socks_proto_client(&c, &ask);
            socks_proto_server(&s, false, NULL);
            converse(&c, &s, piece);
            assert_int_equal(c.state, SOCKS_OPEN);
            assert_int_equal(s.state, SOCKS_OPEN);
            assert_string_equal(socks_addr_host(&s.addr, host), hosts[piece % 3]);
            assert_int_equal(s.addr.port, 443);
            assert_int_equal(s.logged_in, kind >= 2);
            if (kind >= 2) {
                assert_int_equal(s.user_len, 5);
                assert_memory_equal(s.user, "alice", 5);
                assert_memory_equal(s.password, "pw", 2);
            }
        }
    }
}

static void the_client_sends_no_earlier_than_it_may(void **state)
{
    struct socks_proto c;
    struct nk_diag why;
    uint8_t out[SOCKS_OUT_MAX];
    int rc;
    (void)state;
    struct socks_ask ask = ask_for("x", &alice);
    socks_proto_client(&c, &ask);
    assert_int_equal(drain(&c, out), 4); /* the greeting alone */
    feed(&c, BYTES("\5\0"), 1, &rc, &why);
    assert_int_equal(rc, 0);
    assert_int_equal(drain(&c, out), 8); /* the request; the password never left */
    assert_memory_equal(out, "\5\1\0\3\1x\1\xbb", 8);
    ask.pipeline = true;
    ask.login_only = true;
    socks_proto_client(&c, &ask);
    assert_int_equal(drain(&c, out), 3); /* tor gives one reply for greeting and login together */
    feed(&c, BYTES("\5\2"), 1, &rc, &why);
    assert_int_equal(drain(&c, out), 10 + 8); /* but two for login and request */
    socks_proto_client(&c, &ask);
    feed(&c, BYTES("\5\0"), 1, &rc, &why); /* not offered: isolation would be lost */
    assert_int_equal(rc, NK_EPROTO);
    assert_int_equal(c.state, SOCKS_FAILED);
}

static void replies_of_any_length_are_read_whole(void **state)
{
    static const struct {
        const uint8_t *bytes;
        size_t n;
    } reply[] = {{BYTES("\5\0\0\1\1\2\3\4\5\6")},
                 {BYTES("\5\0\0\4\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1\0\0")}, /* unix SocksPort */
                 {BYTES("\5\0\0\3\4name\0\0")},
                 {BYTES("\5\0\0\3\0\0\0")}};
    struct nk_diag why;
    int rc;
    (void)state;
    for (size_t i = 0; i < 4; i++) {
        for (size_t piece = 1; piece < 24; piece++) {
            uint8_t bytes[64] = "\5";
            struct socks_proto c;
            struct socks_ask ask = ask_for("example.com", NULL);
            socks_proto_client(&c, &ask);
            memcpy(bytes + 2, reply[i].bytes, reply[i].n);
            memcpy(bytes + 2 + reply[i].n, "data", 4);
            size_t took = feed(&c, bytes, 2 + reply[i].n + 4, piece, &rc, &why);
            assert_int_equal(rc, 0);
            assert_int_equal(c.state, SOCKS_OPEN);
            assert_int_equal(took, 2 + reply[i].n); /* what follows is not ours */
        }
    }
}

static void the_client_says_what_went_wrong(void **state)
{
    static const struct {
        const uint8_t *bytes;
        size_t n;
        int rc;
        const char *text;
    } cases[] = {
        {BYTES("\5\xff"), NK_EAUTH, "takes no user name"},
        {BYTES("\5\1"), NK_EPROTO, "not offered"},
        {BYTES("\4"), NK_EPROTO, "version 5"},
        {BYTES("HTTP/1.0 400"), NK_EPROTO, "version 5"},
        {BYTES("\5\2\1\1"), NK_EAUTH, "refused user name"},
        {BYTES("\5\2\5\0\4"), NK_EPROTO, "version 5"},
        {BYTES("\5\0\5\5\0\1\0\0\0\0\0\0"), -ECONNREFUSED, "connection refused (SOCKS reply 05)"},
        {BYTES("\5\0\5\xf4\0\1\0\0\0\0\0\0"), NK_EAUTH, "client authorization"},
        {BYTES("\5\0\5\x63\0\1\0\0\0\0\0\0"), NK_EPROTO, "unknown reply code"},
        {BYTES("\5\0\5\1\0\0\0"), NK_ECLOSED, "general failure"}, /* refused, no real address */
        {BYTES("\5\0\5\0\0\0\0"), NK_EPROTO, "malformed"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        for (size_t piece = 1; piece < 14; piece++) {
            struct socks_proto c;
            struct nk_diag why = {0};
            int rc;
            struct socks_ask ask = ask_for("example.com", &alice);
            socks_proto_client(&c, &ask);
            feed(&c, cases[i].bytes, cases[i].n, piece, &rc, &why);
            assert_int_equal(rc, cases[i].rc);
            assert_non_null(strstr(why.text, cases[i].text));
            assert_int_equal(c.state, SOCKS_FAILED);
        }
    }
    struct socks_proto c;
    struct nk_diag why = {0};
    int rc;
    struct socks_ask ask = ask_for("example.com", NULL);
    socks_proto_client(&c, &ask);
    feed(&c, BYTES("\5\xff"), 2, &rc, &why);
    assert_non_null(strstr(why.text, "wants a login"));
}

static void the_server_refuses_what_it_must(void **state)
{
    static const struct {
        const uint8_t *bytes;
        size_t n;
        const char *text, *answer;
        size_t answer_n;
    } cases[] = {
        {BYTES("\4\1\0\120\1\2\3\4\0"), "SOCKS 4", "\0\x5b\0\0\0\0\0\0", 8},
        {BYTES("GET / HTTP/1.1\r\n"), "HTTP", "HTTP/1.0 501", 12},
        {BYTES("CONNECT a:1 HTTP/1.1\r\n"), "HTTP", "HTTP/1.0 501", 12},
        {BYTES("\x16\3\1\2"), "TLS", "", 0},
        {BYTES("\1"), "first byte 01", "", 0},
        {BYTES("\5\0"), "no method", "\5\xff", 2},
        {BYTES("\5\1\1"), "no method", "\5\xff", 2},
        {BYTES("\5\1\2\3"), "version 5", "\5\2", 2},
        {BYTES("\5\1\0\4"), "version 5", "\5\0", 2},
        {BYTES("\5\1\0\5\2\0\1\1\1\1\1\0\1"), "BIND", "\5\0\5\7\0\1\0\0\0\0\0\0", 12},
        {BYTES("\5\1\0\5\3\0\1\1\1\1\1\0\1"), "UDP ASSOCIATE", "\5\0\5\7\0\1\0\0\0\0\0\0", 12},
        {BYTES("\5\1\0\5\xf0\0\3\1x\0\0"), "other than CONNECT", "\5\0\5\7", 4},
        {BYTES("\5\1\0\5\1\0\2\1\1"), "unknown type", "\5\0\5\x08", 4},
        {BYTES("\5\1\0\5\1\0\3\0\0\1"), "malformed", "\5\0\5\1", 4},
        {BYTES("\5\1\0\5\1\0\3\3a\0b\0\1"), "malformed", "\5\0\5\1", 4},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        for (size_t piece = 1; piece < 14; piece++) {
            struct socks_proto s;
            struct nk_diag why = {0};
            uint8_t out[SOCKS_OUT_MAX];
            int rc;
            socks_proto_server(&s, false, NULL);
            feed(&s, cases[i].bytes, cases[i].n, piece, &rc, &why);
            assert_true(rc < 0);
            assert_non_null(strstr(why.text, cases[i].text));
            assert_int_equal(s.state, SOCKS_FAILED);
            assert_true(drain(&s, out) >= cases[i].answer_n);
            assert_memory_equal(out, cases[i].answer, cases[i].answer_n);
        }
    }
}

static void the_server_leaves_early_data_alone(void **state)
{
    static const uint8_t bytes[] = "\5\2\0\2\1\1u\1p\5\1\0\3\1x\0\120GET /";
    struct nk_diag why;
    uint8_t out[SOCKS_OUT_MAX];
    int rc;
    (void)state;
    for (size_t piece = 1; piece < sizeof(bytes); piece++) {
        struct socks_proto s;
        socks_proto_server(&s, false, NULL);
        size_t took = feed(&s, bytes, sizeof(bytes) - 1, piece, &rc, &why);
        assert_int_equal(rc, 0);
        assert_int_equal(took, sizeof(bytes) - 1 - 5);
        assert_int_equal(s.state, SOCKS_AWAIT_ANSWER);
        socks_proto_answer(&s, SOCKS_REPLY_REFUSED);
        assert_int_equal(s.state, SOCKS_FAILED);
        assert_int_equal(drain(&s, out), 2 + 2 + 10);
        assert_memory_equal(out, "\5\2\1\0\5\5\0\1", 8);
    }
}

static void the_server_takes_version_4_where_it_may(void **state)
{
    static const struct {
        const uint8_t *bytes;
        size_t n;
        const char *host, *user;
    } cases[] = {
        {BYTES("\4\1\0\120\1\2\3\4\0"), "1.2.3.4", ""},
        {BYTES("\4\1\0\120\1\2\3\4alice\0"), "1.2.3.4", "alice"},
        {BYTES("\4\1\0\120\0\0\0\1alice\0example.com\0"), "example.com", "alice"},
        {BYTES("\4\1\0\120\0\0\0\7\0x\0"), "x", ""},
        {BYTES("\4\1\0\120\0\0\0\1\0a b\0"), NULL, ""},
        {BYTES("\4\1\0\120\0\0\0\1\0\0"), NULL, ""},
        {BYTES("\4\2\0\120\1\2\3\4\0"), NULL, ""}, /* BIND */
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        for (size_t piece = 1; piece < 14; piece++) {
            struct socks_proto s;
            struct nk_diag why = {0};
            uint8_t out[SOCKS_OUT_MAX];
            char host[SOCKS_TEXT_MAX + 1];
            bool good = cases[i].host != NULL;
            int rc;
            socks_proto_server(&s, true, NULL);
            assert_int_equal(feed(&s, cases[i].bytes, cases[i].n, piece, &rc, &why), cases[i].n);
            assert_int_equal(rc == 0, good);
            assert_int_equal(s.state, good ? SOCKS_AWAIT_ANSWER : SOCKS_FAILED);
            if (good) {
                assert_string_equal(socks_addr_host(&s.addr, host), cases[i].host);
                assert_int_equal(s.addr.port, 80);
                assert_int_equal(s.user_len, strlen(cases[i].user));
                assert_memory_equal(s.user, cases[i].user, s.user_len);
                socks_proto_answer(&s, SOCKS_REPLY_OK);
            }
            assert_int_equal(drain(&s, out), 8);
            assert_memory_equal(out, good ? "\0\x5a\0" : "\0\x5b\0", 3);
        }
    }
}

static void a_version_4_request_has_a_length(void **state)
{
    uint8_t bytes[SOCKS_MESSAGE_MAX + 8] = {4, 1, 0, 80, 1, 2, 3, 4};
    struct socks_proto s;
    struct nk_diag why = {0};
    int rc;
    (void)state;
    memset(bytes + 8, 'x', sizeof(bytes) - 8);
    socks_proto_server(&s, true, NULL);
    assert_int_equal(feed(&s, bytes, sizeof(bytes), 1, &rc, &why), SOCKS_MESSAGE_MAX);
    assert_int_equal(rc, NK_EPROTO);
}

static void the_server_wants_its_login(void **state)
{
    static const struct {
        const uint8_t *bytes;
        size_t n;
        const char *answer;
        size_t answer_n;
        bool good;
    } cases[] = {
        {BYTES("\5\2\0\2\1\5alice\2pw\5\1\0\1\1\2\3\4\0\120"), "\5\2\1\0", 4, true},
        {BYTES("\5\1\2\1\5alice\2pW"), "\5\2\1\1", 4, false},
        {BYTES("\5\1\2\1\5alice\0"), "\5\2\1\1", 4, false},
        {BYTES("\5\1\2\1\10alice:pw\0"), "\5\2\1\1", 4, false},
        {BYTES("\5\1\0"), "\5\xff", 2, false},
        {BYTES("\4\1\0\120\1\2\3\4\0"), "\0\x5b", 2, false},
    };
    struct nk_secret need = {0};
    (void)state;
    assert_int_equal(nk_secret_set(&need, "alice:pw", 8), 0);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct socks_proto s;
        struct nk_diag why = {0};
        uint8_t out[SOCKS_OUT_MAX];
        int rc;
        socks_proto_server(&s, true, &need);
        feed(&s, cases[i].bytes, cases[i].n, 3, &rc, &why);
        assert_int_equal(s.state == SOCKS_AWAIT_ANSWER, cases[i].good);
        assert_int_equal(rc == 0, cases[i].good);
        assert_true(drain(&s, out) >= cases[i].answer_n);
        assert_memory_equal(out, cases[i].answer, cases[i].answer_n);
    }
    nk_secret_clear(&need);
}

int nk_test_socks_proto(void);
int nk_test_socks_proto(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_sides_understand_each_other),
        cmocka_unit_test(the_client_sends_no_earlier_than_it_may),
        cmocka_unit_test(replies_of_any_length_are_read_whole),
        cmocka_unit_test(the_client_says_what_went_wrong),
        cmocka_unit_test(the_server_refuses_what_it_must),
        cmocka_unit_test(the_server_leaves_early_data_alone),
        cmocka_unit_test(the_server_takes_version_4_where_it_may),
        cmocka_unit_test(a_version_4_request_has_a_length),
        cmocka_unit_test(the_server_wants_its_login),
    };
    return cmocka_run_group_tests_name("socks/proto", tests, NULL, NULL);
}
