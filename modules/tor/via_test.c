/* SPDX-License-Identifier: MIT */
/* Requests to a SOCKS port that plays tor: what it is sent, what is made of its answers. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "core/app.h"
#include "core/registry.h"
#include "tor/resolve.h"
#include "tor/target.h"
#include "torture.h"

enum { PATIENCE_MS = 5000 };

/* Plays: after `pause` more bytes from the client the next of the answers. */
struct player {
    struct nk_app *app;
    struct nk_listener *listener;
    struct nk_stream *s;
    char place[128]; /* its endpoint string */
    const char *answer[3];
    size_t answer_n[3], after[3], answers, next;
    uint8_t got[1024];
    size_t have;
    bool ended;
    int err; /* 1: nothing yet */
    unsigned seen;
    char text[256];
    struct nk_diag why;
};

static void on_server(void *owner, struct nk_stream *s, unsigned events)
{
    struct player *p = owner;
    if (events & NK_CONNECTED) {
        nk_stream_interest(s, NK_READABLE);
    }
    if (!(events & NK_READABLE)) {
        return;
    }
    ssize_t n = nk_stream_read(s, p->got + p->have, sizeof(p->got) - p->have);
    p->ended = p->ended || n == 0;
    p->have += n > 0 ? (size_t)n : 0;
    if (n == 0) {
        nk_stream_interest(s, 0);
    }
    while (p->next < p->answers && p->have >= p->after[p->next]) {
        assert_int_equal(nk_stream_write(s, p->answer[p->next], p->answer_n[p->next]),
                         p->answer_n[p->next]);
        p->next++;
    }
}

static void on_accept(void *owner, struct nk_listener *l, struct nk_stream *take_s)
{
    struct player *p = owner;
    (void)l;
    p->s = take_s;
    nk_stream_own(take_s, on_server, p);
}

static void play(struct player *p, size_t after, const char *answer, size_t n)
{
    p->after[p->answers] = after;
    p->answer[p->answers] = answer;
    p->answer_n[p->answers++] = n;
}

static void begin(struct player *p)
{
    const struct nk_app_conf conf = {.test_endpoints = true};
    struct nk_endpoint *ep;
    memset(p, 0, sizeof(*p));
    p->err = 1;
    assert_int_equal(nk_app_new(&p->app, &conf, NULL), 0);
    assert_int_equal(nk_endpoint_parse("tcp:127.0.0.1:0", NK_EP_LISTEN, &ep, NULL), 0);
    assert_int_equal(nk_listen(p->app, ep, on_accept, p, &p->listener, NULL), 0);
    nk_endpoint_free(ep);
    assert_int_equal(nk_listener_local(p->listener, p->place, sizeof(p->place)), 0);
}

static void end(struct player *p)
{
    nk_stream_close(p->s);
    nk_listener_close(p->listener);
    nk_app_turn(p->app, 0);
    nk_app_free(p->app);
}

static long now_ms(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

#define WAIT_FOR(p, condition)                                                                     \
    do {                                                                                           \
        for (long until = now_ms() + PATIENCE_MS; !(condition) && now_ms() < until;) {             \
            nk_app_turn((p)->app, 50);                                                             \
        }                                                                                          \
        assert_true(condition);                                                                    \
    } while (0)

static void on_found(void *owner, int err, const char *answer, const struct nk_diag *why)
{
    struct player *p = owner;
    p->err = err;
    snprintf(p->text, sizeof(p->text), "%s", answer);
    if (err < 0) {
        p->why = *why;
    }
}

static struct tor_lookup *look_up(struct player *p, const char *word, bool ptr)
{
    const struct tor_lookup_conf conf = {.via = {.socks = p->place, .timeout_ms = 60000},
                                         .ptr = ptr};
    struct tor_lookup *l;
    assert_int_equal(tor_lookup_start(p->app, &conf, word, on_found, p, &l, NULL), 0);
    assert_int_equal(p->err, 1); /* never from inside */
    return l;
}

static void names_become_addresses(void **state)
{
    struct player p;
    (void)state;
    begin(&p);
    play(&p, 3, "\5\0", 2);
    play(&p, 3 + 18, "\5\0\0\1\300\0\2\7\0\0", 10);
    look_up(&p, "example.com", false);
    WAIT_FOR(&p, p.err != 1);
    assert_int_equal(p.err, 0);
    assert_string_equal(p.text, "192.0.2.7");
    assert_memory_equal(p.got, "\5\1\0\5\xf0\0\3\13example.com\0\0", 3 + 18);
    end(&p);
}

static void addresses_become_names(void **state)
{
    static const struct {
        const char *reply;
        size_t n;
        int err;
    } cases[] = {{"\5\0\0\3\6h.test\0\0", 13, 0},
                 {"\5\0\0\3\6h\n.tst\0\0", 13, NK_EPROTO}, /* would forge a line */
                 {"\5\0\0\3\6h\0.tst\0\0", 13, NK_EPROTO},
                 {"\5\0\0\1\300\0\2\7\0\0", 10, NK_EPROTO},
                 {"\5\4\0\1\0\0\0\0\0\0", 10, -EHOSTUNREACH}};
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct player p;
        begin(&p);
        play(&p, 3, "\5\0", 2);
        play(&p, 3 + 10, cases[i].reply, cases[i].n);
        look_up(&p, "192.0.2.5", true);
        WAIT_FOR(&p, p.err != 1);
        assert_int_equal(p.err, cases[i].err);
        assert_string_equal(p.text, cases[i].err ? "" : "h.test");
        assert_memory_equal(p.got, "\5\1\0\5\xf1\0\1\300\0\2\5\0\0", 13);
        end(&p);
    }
}

static void some_answers_need_no_tor(void **state)
{
    static const char *const words[][2] = {{"localhost", "127.0.0.1"},
                                           {"A.LocalHost.", "127.0.0.1"},
                                           {"192.0.2.1", "192.0.2.1"},
                                           {"10.0.0.1", "10.0.0.1"},
                                           {"[2001:DB8::1]", "2001:db8::1"}};
    static const struct {
        const char *word;
        bool ptr;
    } bad[] = {{"2gzyxa5ihm7nsggfxnu52rck2vv4rvmdlkiu3zzui5du4xyclen53wid.onion", false},
               {"expyuzz4wqqyqhjn.onion", false},
               {"example.com", true},
               {"10.0.0.1", true},
               {"127.1", false}};
    struct player p;
    (void)state;
    begin(&p);
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        p.err = 1;
        look_up(&p, words[i][0], false);
        WAIT_FOR(&p, p.err != 1);
        assert_int_equal(p.err, 0);
        assert_string_equal(p.text, words[i][1]);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        const struct tor_lookup_conf conf = {.via = {.socks = p.place}, .ptr = bad[i].ptr};
        struct tor_lookup *l;
        struct nk_diag why = {0};
        assert_true(tor_lookup_start(p.app, &conf, bad[i].word, on_found, &p, &l, &why) < 0);
        assert_true(why.text[0] != '\0');
    }
    assert_null(p.s); /* nobody was asked */
    end(&p);
}

static void a_lookup_can_be_cancelled(void **state)
{
    struct player p;
    (void)state;
    begin(&p);
    tor_lookup_cancel(look_up(&p, "localhost", false));
    struct tor_lookup *l = look_up(&p, "example.com", false);
    WAIT_FOR(&p, p.have > 0);
    tor_lookup_cancel(l);
    WAIT_FOR(&p, p.ended);
    assert_int_equal(p.err, 1);
    tor_lookup_cancel(NULL);
    end(&p);
}

static void on_client(void *owner, struct nk_stream *s, unsigned events)
{
    struct player *p = owner;
    p->seen |= events;
    if (events & NK_CLOSED) {
        p->err = nk_stream_error(s, &p->why);
    }
}

static void isolation_is_a_login(void **state)
{
    static const struct {
        const char *isolate;
        struct nk_target client;
        const char *sent; /* after the choice */
        size_t n;
    } cases[] = {
        {"me", {.has_login = false}, "\1\2me\6netkit", 11},
        {NULL,
         {.has_login = true, .user_len = 1, .user = "u", .password_len = 2, .password = "pw"},
         "\1\1u\2pw",
         6},
        {"me",
         {.has_login = true, .user_len = 1, .user = "u", .password_len = 2, .password = "pw"},
         "\1\2me\40",
         5}, /* 32 digits made of the pair */
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct player p;
        struct tor_via_conf conf = {
            .isolate = cases[i].isolate, .client = &cases[i].client, .command = SOCKS_CONNECT};
        struct nk_stream *s;
        begin(&p);
        play(&p, 3, "\5\2", 2);
        play(&p, 3 + cases[i].n + (i == 2 ? 32 : 0) + 18, "\1\0\5\0\0\1\0\0\0\0\0\0", 12);
        conf.socks = p.place;
        assert_int_equal(tor_target_set(&conf.to, "example.com", 80, false, &conf.onion, NULL), 0);
        assert_int_equal(tor_via_open(p.app, &conf, &s, NULL), 0);
        nk_stream_own(s, on_client, &p);
        WAIT_FOR(&p, p.seen != 0);
        assert_int_equal(p.seen, NK_CONNECTED);
        assert_memory_equal(p.got, "\5\1\2", 3);
        assert_memory_equal(p.got + 3, cases[i].sent, cases[i].n);
        nk_stream_close(s);
        end(&p);
    }
}

static void no_isolation_no_connection(void **state)
{
    struct player p;
    struct tor_via_conf conf = {.isolate = "me", .command = SOCKS_CONNECT};
    struct nk_stream *s;
    (void)state;
    begin(&p);
    play(&p, 3, "\5\0", 2); /* a server that takes everybody as one */
    conf.socks = p.place;
    assert_int_equal(tor_target_set(&conf.to, "example.com", 80, false, &conf.onion, NULL), 0);
    assert_int_equal(tor_via_open(p.app, &conf, &s, NULL), 0);
    nk_stream_own(s, on_client, &p);
    WAIT_FOR(&p, p.seen != 0);
    assert_int_equal(p.seen, NK_CLOSED);
    assert_int_equal(p.err, NK_EPROTO);
    nk_stream_close(s);
    end(&p);
}

static void the_end_of_our_side_waits_for_the_other(void **state)
{
    struct player p;
    struct tor_via_conf conf = {.command = SOCKS_CONNECT, .linger_ms = 100};
    struct nk_stream *s;
    char byte;
    (void)state;
    begin(&p);
    play(&p, 3, "\5\0", 2);
    play(&p, 3 + 18, "\5\0\0\1\0\0\0\0\0\0", 10);
    conf.socks = p.place;
    assert_int_equal(tor_target_set(&conf.to, "example.com", 80, false, &conf.onion, NULL), 0);
    assert_int_equal(tor_via_open(p.app, &conf, &s, NULL), 0);
    nk_stream_own(s, on_client, &p);
    assert_int_equal(nk_stream_shutdown(s), 0); /* also before it stands */
    WAIT_FOR(&p, p.seen & NK_CONNECTED);
    assert_int_equal(nk_stream_write(s, "x", 1), -EPIPE);
    nk_stream_interest(s, NK_READABLE);
    long start = now_ms();
    assert_int_equal(nk_stream_write(p.s, "r", 1), 1);
    WAIT_FOR(&p, p.seen & NK_READABLE);
    assert_int_equal(nk_stream_read(s, &byte, 1), 1);
    assert_false(p.ended);
    WAIT_FOR(&p, p.ended);
    assert_true(now_ms() - start >= 100);
    nk_stream_close(s);
    end(&p);
}

static void wrong_settings_are_refused(void **state)
{
    char name[300];
    struct tor_via_conf conf = {.socks = "9050"};
    (void)state;
    assert_int_equal(tor_via_check(&conf, NULL), 0);
    conf.kind = TOR_PRIVATE; /* and where it is */
    assert_int_equal(tor_via_check(&conf, NULL), NK_ECONFIG);
    char nonsense[] = "nonsense";
    conf = (struct tor_via_conf){.access = {.control = nonsense}};
    assert_int_equal(tor_via_check(&conf, NULL), NK_ECONFIG);
    conf = (struct tor_via_conf){.socks = "nonsense"};
    assert_int_equal(tor_via_check(&conf, NULL), NK_ECONFIG);
    conf = (struct tor_via_conf){.isolate = ""};
    assert_int_equal(tor_via_check(&conf, NULL), NK_ECONFIG);
    conf.isolate = "<torS0X>0x";
    assert_int_equal(tor_via_check(&conf, NULL), NK_ECONFIG);
    memset(name, 'a', sizeof(name));
    name[256] = '\0';
    conf.isolate = name;
    assert_int_equal(tor_via_check(&conf, NULL), NK_ECONFIG);
    name[255] = '\0';
    assert_int_equal(tor_via_check(&conf, NULL), 0);
}

static void on_lost(void *owner, struct nk_stream *s, unsigned events)
{
    int *err = owner;
    if (events & NK_CLOSED) {
        *err = nk_stream_error(s, NULL);
    }
}

/* To a SOCKS port that is not there, with a login of our own. */
static int open_once(void *arg)
{
    const struct nk_app_conf app_conf = {0};
    struct tor_via_conf conf = *(const struct tor_via_conf *)arg;
    struct nk_stream *s = NULL;
    struct nk_app *app;
    int err = 1;
    nk_torture_pause();
    int rc = nk_app_new(&app, &app_conf, NULL);
    nk_torture_resume();
    if (rc < 0) {
        return 1;
    }
    rc = tor_via_open(app, &conf, &s, NULL);
    if (rc == 0) {
        nk_stream_own(s, on_lost, &err);
        for (long until = now_ms() + PATIENCE_MS; err == 1 && now_ms() < until;) {
            nk_app_turn(app, 50);
        }
        nk_stream_close(s);
        rc = err == -ENOENT ? 0 : err;
    }
    nk_torture_pause();
    nk_app_turn(app, 0);
    nk_app_free(app);
    nk_torture_resume();
    return rc;
}

static void without_memory(void **state)
{
    struct tor_via_conf conf = {.socks = "unix:/nonexistent/socks",
                                .command = SOCKS_CONNECT,
                                .isolate = "me",
                                .timeout_ms = 60000};
    (void)state;
    assert_int_equal(tor_target_set(&conf.to, "example.com", 80, false, &conf.onion, NULL), 0);
    assert_true(nk_torture(open_once, &conf) >= 4);
}

int nk_test_tor_via(void);
int nk_test_tor_via(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_become_addresses),
        cmocka_unit_test(addresses_become_names),
        cmocka_unit_test(some_answers_need_no_tor),
        cmocka_unit_test(a_lookup_can_be_cancelled),
        cmocka_unit_test(isolation_is_a_login),
        cmocka_unit_test(no_isolation_no_connection),
        cmocka_unit_test(the_end_of_our_side_waits_for_the_other),
        cmocka_unit_test(wrong_settings_are_refused),
        cmocka_unit_test(without_memory),
    };
    return cmocka_run_group_tests_name("tor/via", tests, NULL, NULL);
}
