/* SPDX-License-Identifier: MIT */
/* The two sides as streams: targets, answers, limits, what is not passed on, open ends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "core/app.h"
#include "core/endpoint_testkit.h"
#include "socks/socks.h"

enum { PATIENCE_MS = 5000, PEERS = 8 };

struct peer {
    struct nk_stream *s;
    unsigned seen;
    int error;
    struct nk_diag why;
};

struct scene {
    struct nk_app *app;
    struct nk_listener *listener;
    struct peer client, server[PEERS];
    size_t servers;
};

static void on_event(void *owner, struct nk_stream *s, unsigned events)
{
    struct peer *p = owner;
    p->seen |= events;
    if (events & NK_CLOSED) {
        p->error = nk_stream_error(s, &p->why);
    }
}

static void on_accept(void *owner, struct nk_listener *l, struct nk_stream *take_s)
{
    struct scene *sc = owner;
    (void)l;
    assert_true(sc->servers < PEERS);
    struct peer *p = &sc->server[sc->servers++];
    p->s = take_s;
    nk_stream_own(take_s, on_event, p);
}

static void open_scene(struct scene *sc, const char *listen, uint64_t preauth)
{
    const struct nk_app_conf conf = {.test_endpoints = true, .preauth_bytes = preauth};
    memset(sc, 0, sizeof(*sc));
    assert_int_equal(nk_app_new(&sc->app, &conf, NULL), 0);
    sc->listener = nk_kit_listen(sc->app, listen, on_accept, sc);
}

static void close_scene(struct scene *sc)
{
    nk_stream_close(sc->client.s);
    for (size_t i = 0; i < sc->servers; i++) {
        nk_stream_close(sc->server[i].s);
    }
    nk_listener_close(sc->listener);
    nk_app_turn(sc->app, 0);
    nk_app_free(sc->app);
}

static void dial(struct scene *sc, const char *text)
{
    sc->client = (struct peer){0};
    sc->client.s = nk_kit_dial(sc->app, text, on_event, &sc->client);
}

static long now_ms(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static void wait_for(struct scene *sc, const struct peer *p, unsigned events)
{
    long end = now_ms() + PATIENCE_MS;
    while (!(p->seen & events) && now_ms() < end) {
        nk_app_turn(sc->app, 100);
    }
    assert_true(p->seen & events);
}

static void the_owner_hears_what_is_asked_for(void **state)
{
    struct scene sc;
    struct nk_target t;
    size_t n = sizeof(t) - 1;
    (void)state;
    open_scene(&sc, "socks5+mem:x", 0);
    dial(&sc, "socks5+mem:x,to=far.example:8080,user=alice");
    wait_for(&sc, &sc.server[0], NK_CONNECTED);
    struct nk_stream *s = sc.server[0].s;
    assert_int_equal(nk_stream_query(s, NK_Q_TARGET, &t, &n), -ENOENT); /* no room */
    n = sizeof(t);
    assert_int_equal(nk_stream_query(s, NK_Q_TARGET, &t, &n), 0);
    assert_string_equal(t.host, "far.example");
    assert_int_equal(t.port, 8080);
    assert_true(t.has_login);
    assert_int_equal(t.user_len, 5);
    assert_memory_equal(t.user, "alice", 5);
    assert_int_equal(t.password_len, 0);
    assert_int_equal(nk_stream_write(s, "x", 1), NK_EAGAIN); /* not before the answer */
    assert_int_equal(sc.client.seen, 0);
    assert_int_equal(nk_stream_answer(s, 0), 0);
    assert_int_equal(nk_stream_answer(s, 0), -EINVAL);
    assert_int_equal(nk_stream_query(s, NK_Q_TARGET, &t, &n), -ENOENT);
    wait_for(&sc, &sc.client, NK_CONNECTED);
    assert_int_equal(nk_stream_write(s, "x", 1), 1);
    assert_int_equal(nk_stream_answer(sc.client.s, 0), -EINVAL); /* nobody asked a client */
    close_scene(&sc);
}

static void the_client_hears_why_it_failed(void **state)
{
    static const struct {
        int error, heard;
        const char *text;
    } cases[] = {{-ECONNREFUSED, -ECONNREFUSED, "connection refused"},
                 {NK_ENONAME, -EHOSTUNREACH, "no such name"},
                 {NK_EUSAGE, NK_EAUTH, "not allowed"},
                 {-EMFILE, NK_ECLOSED, "general failure"},
                 {0, NK_ECLOSED, "general failure"} /* closed without an answer */};
    (void)state;
    for (size_t i = 0; i < 5; i++) {
        struct scene sc;
        open_scene(&sc, "socks5+tcp:127.0.0.1:0", 0);
        char local[128], text[192];
        assert_int_equal(nk_listener_local(sc.listener, local, sizeof(local)), 0);
        snprintf(text, sizeof(text), "%s,to=far.example:80", local);
        dial(&sc, text);
        wait_for(&sc, &sc.server[0], NK_CONNECTED);
        if (cases[i].error) {
            assert_int_equal(nk_stream_answer(sc.server[0].s, cases[i].error), 0);
        }
        nk_stream_close(sc.server[0].s);
        sc.server[0].s = NULL;
        wait_for(&sc, &sc.client, NK_CLOSED);
        assert_int_equal(sc.client.error, cases[i].heard);
        assert_non_null(strstr(sc.client.why.text, cases[i].text));
        assert_non_null(strstr(sc.client.why.text, "far.example:80"));
        close_scene(&sc);
    }
}

static void silence_ends(void **state)
{
    struct scene sc;
    (void)state;
    open_scene(&sc, "socks5+mem:x,request_timeout=30ms", 0);
    dial(&sc, "mem:x"); /* a client that says nothing */
    wait_for(&sc, &sc.server[0], NK_CLOSED);
    assert_int_equal(sc.server[0].error, -ETIMEDOUT);
    nk_stream_close(sc.client.s);
    dial(&sc, "socks5+mem:x,to=far.example:80,reply_timeout=30ms"); /* nobody answers it */
    wait_for(&sc, &sc.client, NK_CLOSED);
    assert_int_equal(sc.client.error, -ETIMEDOUT);
    assert_true(sc.server[1].seen & NK_CONNECTED);
    close_scene(&sc);
}

static void the_oldest_silent_client_makes_room(void **state)
{
    struct scene sc;
    struct peer clients[4] = {{0}};
    (void)state;
    open_scene(&sc, "socks5+mem:x", 3 * 3000); /* an attempt is between 2 and 3 KB */
    for (size_t i = 0; i < 4; i++) {
        dial(&sc, "mem:x");
        clients[i] = sc.client;
        sc.client.s = NULL;
        nk_app_turn(sc.app, 0);
        nk_app_turn(sc.app, 0);
    }
    wait_for(&sc, &sc.server[0], NK_CLOSED);
    assert_int_equal(sc.server[0].error, NK_ELIMIT);
    assert_int_equal(sc.server[3].seen, 0);
    for (size_t i = 0; i < 4; i++) {
        nk_stream_close(clients[i].s);
    }
    close_scene(&sc);
}

static void who_the_proxy_is_does_not_count(void **state)
{
    struct scene sc;
    int64_t uid;
    int encrypted = 7;
    char listen[64], connect[96];
    size_t n = sizeof(uid);
    (void)state;
    snprintf(listen, sizeof(listen), "socks5+unix:@netkit-socks-who-%d", (int)getpid());
    open_scene(&sc, listen, 0);
    snprintf(connect, sizeof(connect), "%s,to=far.example:80", listen);
    dial(&sc, connect);
    wait_for(&sc, &sc.server[0], NK_CONNECTED);
    assert_int_equal(nk_stream_query(sc.server[0].s, NK_Q_UID, &uid, &n), 0);
    assert_int_equal(uid, (int64_t)getuid());
    assert_int_equal(nk_stream_answer(sc.server[0].s, 0), 0);
    wait_for(&sc, &sc.client, NK_CONNECTED);
    n = sizeof(uid);
    assert_int_equal(nk_stream_query(sc.client.s, NK_Q_UID, &uid, &n), -ENOENT);
    n = sizeof(encrypted);
    assert_int_equal(nk_stream_query(sc.client.s, NK_Q_ENCRYPTED, &encrypted, &n), 0);
    assert_int_equal(encrypted, 0);
    close_scene(&sc);
}

static void count(void *arg)
{
    ++*(int *)arg;
}

static void a_client_without_its_stream_can_end(void **state)
{
    struct scene sc;
    int closed = 0;
    struct socks_client_conf conf = {.what = "tor", .closed = count, .arg = &closed};
    struct nk_diag why = {0};
    (void)state;
    open_scene(&sc, "socks5+mem:x", 0);
    assert_int_equal(socks_addr_set(&conf.to, "far.example", 80, NULL), 0);
    assert_int_equal(socks_client_new(sc.app, &conf, &sc.client.s), 0);
    nk_stream_close(sc.client.s); /* before anything came of it */
    assert_int_equal(closed, 1);
    assert_int_equal(socks_client_new(sc.app, &conf, &sc.client.s), 0);
    nk_stream_own(sc.client.s, on_event, &sc.client);
    nk_fail(&why, -ENOENT, "no tor");
    socks_client_fail(sc.client.s, -ENOENT, &why);
    assert_int_equal(sc.client.seen, 0);
    wait_for(&sc, &sc.client, NK_CLOSED);
    assert_int_equal(sc.client.error, -ENOENT);
    assert_string_equal(sc.client.why.text, "tor: no tor");
    assert_int_equal(closed, 1); /* not before it is closed */
    close_scene(&sc);
}

static void the_answer_of_resolve_is_kept(void **state)
{
    struct scene sc;
    struct socks_client_conf conf = {.command = SOCKS_RESOLVE, .pipeline = true};
    static const char reply[] = "\5\0\5\0\0\4\x20\1\xd\xb8\0\0\0\0\0\0\0\0\0\0\0\7\0\0";
    struct socks_addr a;
    struct nk_endpoint *ep;
    struct nk_stream *lower;
    char host[SOCKS_TEXT_MAX + 1];
    uint8_t got[64];
    (void)state;
    open_scene(&sc, "mem:x", 0);
    assert_int_equal(nk_endpoint_parse("mem:x", NK_EP_CONNECT, &ep, NULL), 0);
    assert_int_equal(nk_dial(sc.app, ep, NULL, NULL, &lower, NULL), 0);
    nk_endpoint_free(ep);
    assert_int_equal(socks_addr_set(&conf.to, "far.example", 0, NULL), 0);
    assert_int_equal(socks_client_wrap(sc.app, &conf, lower, &sc.client.s, NULL), 0);
    nk_stream_own(sc.client.s, on_event, &sc.client);
    wait_for(&sc, &sc.server[0], NK_CONNECTED);
    nk_stream_interest(sc.server[0].s, NK_READABLE);
    wait_for(&sc, &sc.server[0], NK_READABLE);
    assert_int_equal(nk_stream_read(sc.server[0].s, got, sizeof(got)), 3 + 18);
    assert_int_equal(socks_client_bound(sc.client.s, &a), -ENOENT);
    assert_int_equal(nk_stream_write(sc.server[0].s, reply, sizeof(reply) - 1), 24);
    wait_for(&sc, &sc.client, NK_CONNECTED);
    assert_int_equal(socks_client_bound(sc.client.s, &a), 0);
    assert_string_equal(socks_addr_host(&a, host), "2001:db8::7");
    close_scene(&sc);
}

static int parse(const char *text, enum nk_ep_role role, bool *open)
{
    struct nk_endpoint *ep;
    struct nk_diag why = {0};
    int rc = nk_endpoint_parse(text, role, &ep, &why);
    if (rc == 0) {
        *open = nk_endpoint_open(ep);
        nk_endpoint_free(ep);
    } else {
        assert_true(why.text[0] != '\0');
    }
    return rc;
}

static void open_ends_need_somebody_who_knows_them(void **state)
{
    bool open = false;
    (void)state;
    assert_int_equal(parse("socks5:127.0.0.1:0", NK_EP_LISTEN, &open), NK_ECONFIG);
    assert_int_equal(parse("socks5:127.0.0.1:0", NK_EP_LISTEN_OPEN, &open), 0);
    assert_true(open);
    assert_int_equal(parse("socks5:proxy:1080", NK_EP_CONNECT, &open), NK_ECONFIG);
    assert_int_equal(parse("socks5:proxy:1080", NK_EP_CONNECT_OPEN, &open), 0);
    assert_true(open);
    assert_int_equal(parse("socks5:proxy:1080,to=a:1", NK_EP_CONNECT_OPEN, &open), 0);
    assert_false(open);
    assert_int_equal(parse("tcp:", NK_EP_CONNECT, &open), NK_ECONFIG);
    assert_int_equal(parse("tcp:", NK_EP_CONNECT_OPEN, &open), 0);
    assert_true(open);
    assert_int_equal(parse("tcp:", NK_EP_LISTEN_OPEN, &open), NK_ECONFIG);
    /* under a filter nobody would hear of it */
    assert_int_equal(parse("socks5+tcp:,to=a:1", NK_EP_CONNECT_OPEN, &open), NK_ECONFIG);
    assert_int_equal(parse("tls+socks5:proxy:1080,name=x", NK_EP_CONNECT_OPEN, &open), NK_ECONFIG);
    /* nonsense */
    assert_int_equal(parse("socks5:proxy:1080,to=a", NK_EP_CONNECT_OPEN, &open), NK_ECONFIG);
    assert_int_equal(parse("socks5:proxy:1080,to=:1", NK_EP_CONNECT_OPEN, &open), NK_ECONFIG);
    assert_int_equal(parse("socks5:proxy:1080,to=a:0", NK_EP_CONNECT_OPEN, &open), NK_ECONFIG);
    assert_int_equal(parse("socks5:127.0.0.1:1,to=a:1", NK_EP_LISTEN_OPEN, &open), NK_ECONFIG);
    assert_int_equal(parse("socks5:p:1,to=a:1,password_file=/x", NK_EP_CONNECT, &open), NK_ECONFIG);
}

/* Is this listener refused, as one that anybody elsewhere could use? */
static void check_remote(const char *text, bool refused)
{
    struct nk_endpoint *ep = NULL;
    struct nk_diag why = {0};
    int rc = nk_endpoint_parse(text, NK_EP_LISTEN_OPEN, &ep, &why);
    nk_endpoint_free(rc == 0 ? ep : NULL);
    assert_int_equal(rc, refused ? NK_ECONFIG : 0);
    if (refused) {
        assert_non_null(strstr(why.text, "reachable from other machines"));
        assert_non_null(strstr(why.hint, "allow_remote=yes"));
    }
}

static void a_proxy_for_everybody_is_asked_for_by_name(void **state)
{
    static const char *const open[] = {"socks5:0.0.0.0:0",
                                       "socks5::0",
                                       "socks5:[::]:0",
                                       "socks5:192.0.2.1:1080",
                                       "socks5+tcp:0.0.0.0:0,allow_remote=no",
                                       "socks5+tls+tcp:0.0.0.0:0,cert=/x",
                                       "socks5+tls:0.0.0.0:0,cert=/x",
                                       "socks5+onion:80"};
    static const char *const fine[] = {"socks5:127.0.0.1:0",
                                       "socks5:127.1.2.3:0",
                                       "socks5:[::1]:0",
                                       "socks5:localhost:0",
                                       "socks5+unix:/x",
                                       "socks5+mem:x",
                                       "socks5+fd:3",
                                       "socks5:0.0.0.0:0,allow_remote=yes",
                                       "socks5+tls+tcp:0.0.0.0:0,cert=/x,ca=/y",
                                       "socks5+tls+tcp:127.0.0.1:0,cert=/x",
                                       "socks5+onion:80,allow_remote=yes"};
    bool end;
    (void)state;
    for (size_t i = 0; i < sizeof(open) / sizeof(open[0]); i++) {
        check_remote(open[i], true);
    }
    for (size_t i = 0; i < sizeof(fine) / sizeof(fine[0]); i++) {
        check_remote(fine[i], false);
    }
    assert_int_equal(parse("socks5:p:1,to=a:1,allow_remote=yes", NK_EP_CONNECT, &end), NK_ECONFIG);
}

/* An inherited socket shows its address only when it is listened on. */
static void an_inherited_socket_is_looked_at(void **state)
{
    static const struct {
        uint32_t at;
        const char *more;
        int rc;
    } cases[] = {{INADDR_ANY, "", NK_ECONFIG},
                 {INADDR_ANY, ",allow_remote=yes", 0},
                 {INADDR_LOOPBACK, "", 0}};
    const struct nk_app_conf conf = {.test_endpoints = true};
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct sockaddr_in at = {.sin_family = AF_INET,
                                       .sin_addr.s_addr = htonl(cases[i].at)};
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        struct nk_app *app;
        struct nk_endpoint *ep;
        struct nk_listener *l = NULL;
        char text[64];
        assert_int_equal(bind(fd, (const struct sockaddr *)&at, sizeof(at)), 0);
        assert_int_equal(listen(fd, 1), 0);
        snprintf(text, sizeof(text), "socks5+fd:%d%s", fd, cases[i].more);
        assert_int_equal(nk_app_new(&app, &conf, NULL), 0);
        assert_int_equal(nk_endpoint_parse(text, NK_EP_LISTEN_OPEN, &ep, NULL), 0);
        assert_int_equal(nk_listen(app, ep, on_accept, NULL, &l, NULL), cases[i].rc);
        nk_endpoint_free(ep);
        nk_listener_close(cases[i].rc == 0 ? l : NULL);
        nk_app_turn(app, 0);
        nk_app_free(app);
        close(fd);
    }
}

static void dialling_needs_an_end(void **state)
{
    struct scene sc;
    struct nk_endpoint *ep;
    struct nk_target t = {.host = "far.example", .port = 80};
    (void)state;
    open_scene(&sc, "socks5+mem:x", 0);
    assert_int_equal(nk_endpoint_parse("socks5+mem:x", NK_EP_CONNECT_OPEN, &ep, NULL), 0);
    assert_int_equal(nk_dial(sc.app, ep, on_event, &sc.client, &sc.client.s, NULL), NK_ECONFIG);
    assert_int_equal(nk_dial_to(sc.app, ep, &t, on_event, &sc.client, &sc.client.s, NULL), 0);
    nk_endpoint_free(ep);
    wait_for(&sc, &sc.server[0], NK_CONNECTED);
    nk_stream_close(sc.client.s);
    assert_int_equal(nk_endpoint_parse("mem:x", NK_EP_CONNECT_OPEN, &ep, NULL), 0);
    assert_int_equal(nk_dial_to(sc.app, ep, &t, on_event, &sc.client, &sc.client.s, NULL),
                     NK_ECONFIG);
    nk_endpoint_free(ep);
    sc.client.s = NULL;
    close_scene(&sc);
}

int nk_test_socks_stream(void);
int nk_test_socks_stream(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_owner_hears_what_is_asked_for),
        cmocka_unit_test(the_client_hears_why_it_failed),
        cmocka_unit_test(silence_ends),
        cmocka_unit_test(the_oldest_silent_client_makes_room),
        cmocka_unit_test(who_the_proxy_is_does_not_count),
        cmocka_unit_test(a_client_without_its_stream_can_end),
        cmocka_unit_test(the_answer_of_resolve_is_kept),
        cmocka_unit_test(open_ends_need_somebody_who_knows_them),
        cmocka_unit_test(a_proxy_for_everybody_is_asked_for_by_name),
        cmocka_unit_test(an_inherited_socket_is_looked_at),
        cmocka_unit_test(dialling_needs_an_end),
    };
    return cmocka_run_group_tests_name("socks/stream", tests, NULL, NULL);
}
