/* SPDX-License-Identifier: MIT */
/* Logins over the native wire against a hub, on TCP, where no uid says who the peer is. */
#include "relay/login_client.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/buf.h"
#include "core/app.h"
#include "core/clock.h"
#include "core/stream.h"
#include "relay/hub.h"
#include "relay/stretch.h"
#include "relay/wire_native.h"

enum { PATIENCE = 5000, CLOCK_SCALE = 20 };

struct world {
    struct nk_app *app;
    struct relay_engine *engine;
    struct relay_groups *groups;
    struct relay_hub *hub;
    struct relay_memory memory;
};

struct client {
    int fd;
    struct nk_buf in;
    struct relay_native_head h;
    uint8_t payload[RELAY_NATIVE_GUEST];
};

static struct relay_login *make_login(void)
{
    struct nk_secret pw = {0};
    assert_int_equal(nk_secret_set(&pw, "right", 5), 0);
    struct relay_login *login = relay_login_new(&pw);
    assert_int_equal(relay_identities_stretch(login->identities), 0);
    return login;
}

static void world_new(struct world *w)
{
    struct nk_app_conf app = {.clock_scale = CLOCK_SCALE};
    struct relay_groups_conf groups = {.max_groups = 10};
    struct relay_login *login = make_login();
    memset(w, 0, sizeof(*w));
    assert_int_equal(nk_app_new(&w->app, &app, NULL), 0);
    assert_int_equal(relay_engine_memory(w->app, &w->engine), 0);
    w->groups = relay_groups_new(&groups);
    struct relay_hub_conf conf = {.app = w->app,
                                  .limits = {.header_size = 10,
                                             .max_object = 1 << 20,
                                             .max_memory = 1 << 24,
                                             .max_backlog = 1 << 20,
                                             .max_connections = 100,
                                             .max_guests = 50,
                                             .hello_ms = 100000,
                                             .ping_ms = 3600000,
                                             .dead_ms = 3 * 3600000,
                                             .stall_ms = 10000},
                                  .wires = RELAY_WIRES_NATIVE,
                                  .login = login,
                                  .engine = w->engine,
                                  .groups = w->groups,
                                  .memory = &w->memory};
    assert_int_equal(relay_hub_new(&w->hub, &conf), 0);
    relay_login_unref(login);
}

static void world_free(struct world *w)
{
    relay_hub_free(w->hub);
    relay_engine_free(w->engine);
    relay_groups_free(w->groups);
    relay_memory_trim(&w->memory);
    nk_app_free(w->app);
}

/* A TCP connection to itself; the relay's end goes to the hub. */
static void client_open(struct world *w, struct client *c)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof(at);
    struct nk_stream *s;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(listener, (struct sockaddr *)&at, sizeof(at)), 0);
    assert_int_equal(listen(listener, 1), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&at, &n), 0);
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(c->fd, (struct sockaddr *)&at, sizeof(at)), 0);
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    close(listener);
    assert_int_equal(fcntl(c->fd, F_SETFL, O_NONBLOCK), 0);
    assert_int_equal(nk_stream_from_fd(w->app, fd, "tcp", &s), 0);
    nk_buf_init(&c->in, 65536);
    relay_hub_accept(w->hub, s, false);
}

static void client_close(struct client *c)
{
    close(c->fd);
    nk_buf_clear(&c->in);
}

static bool take_frame(struct client *c)
{
    const char *why;
    size_t n = nk_buf_len(&c->in);
    int rc = n ? relay_native_head(nk_buf_ptr(&c->in), n, RELAY_FROM_RELAY, RELAY_NATIVE_GUEST,
                                   &c->h, &why)
               : 0;
    assert_true(rc >= 0);
    if (rc == 0 || c->h.len > n - RELAY_NATIVE_HEAD) {
        return false;
    }
    memcpy(c->payload, nk_buf_ptr(&c->in) + RELAY_NATIVE_HEAD, c->h.len);
    nk_buf_consume(&c->in, RELAY_NATIVE_HEAD + c->h.len);
    return true;
}

/* The next frame; 0 at the end of the connection. */
static unsigned next_frame(struct world *w, struct client *c)
{
    for (int turn = 0; turn < PATIENCE; turn++) {
        uint8_t *to;
        assert_int_equal(nk_buf_reserve(&c->in, 4096, &to), 0);
        ssize_t n = recv(c->fd, to, 4096, 0);
        nk_buf_commit(&c->in, n > 0 ? (size_t)n : 0);
        if (take_frame(c)) {
            return c->h.type;
        }
        if (n == 0 || (n < 0 && errno != EAGAIN)) {
            return 0;
        }
        nk_app_turn(w->app, 2);
    }
    fail_msg("nothing came");
    return 0;
}

static void send_all(struct client *c, const uint8_t *p, size_t n)
{
    assert_int_equal(send(c->fd, p, n, MSG_NOSIGNAL), n);
}

static void send_auth(struct client *c, const struct relay_login_client *l)
{
    uint8_t frame[RELAY_NATIVE_AUTH_MAX];
    size_t n = relay_native_put_auth(frame, l->out_step, l->out[0], l->out + 1, l->out_len - 1);
    send_all(c, frame, n);
}

/* HELLO, CHALLENGE and the first AUTH with this password. */
static void begin(struct world *w, struct client *c, struct relay_login_client *l,
                  const char *password)
{
    struct relay_native_hello hello = {.version_min = 1, .version_max = 1};
    struct relay_native_challenge got;
    struct relay_login_challenge ch = {0};
    struct nk_secret pw = {0};
    uint8_t frame[RELAY_NATIVE_HELLO_MAX], prs[RELAY_LOGIN_PRS];
    client_open(w, c);
    send_all(c, frame, relay_native_put_hello(frame, &hello));
    assert_int_equal(next_frame(w, c), RELAY_N_CHALLENGE);
    assert_int_equal(relay_native_get_challenge(&c->h, c->payload, &got), 0);
    assert_false(got.logged_in);
    ch.methods = got.methods;
    ch.candidates = got.candidates;
    memcpy(ch.nonce, got.nonce, sizeof(ch.nonce));
    memcpy(ch.stretch.salt, got.salt, sizeof(ch.stretch.salt));
    ch.stretch.mem_kib = got.argon2_kib;
    ch.stretch.passes = got.argon2_passes;
    assert_int_equal(nk_secret_set(&pw, password, strlen(password)), 0);
    struct relay_login_client_conf conf = {.password = &pw, .trust = RELAY_TRUST_LOCAL};
    relay_login_client_init(l, &conf);
    assert_int_equal(relay_login_client_challenge(l, &ch, false, NULL), RELAY_LOGIN_STRETCH);
    assert_int_equal(relay_stretch(&ch.stretch, pw.data, pw.len, prs), 0);
    assert_int_equal(relay_login_client_stretched(l, prs, NULL), RELAY_LOGIN_SEND);
    nk_secret_clear(&pw);
    send_auth(c, l);
}

/* The relay's answer: did it know the password? */
static int answer(struct world *w, struct client *c, struct relay_login_client *l)
{
    assert_int_equal(next_frame(w, c), RELAY_N_AUTH);
    return relay_login_client_step(l, c->h.seq, c->payload, c->h.len, NULL);
}

static uint64_t log_in(struct world *w)
{
    struct client c = {0};
    struct relay_login_client l;
    uint64_t before = nk_now_ms(w->app);
    begin(w, &c, &l, "right");
    assert_int_equal(answer(w, &c, &l), RELAY_LOGIN_SEND);
    uint64_t took = nk_now_ms(w->app) - before;
    send_auth(&c, &l);
    assert_int_equal(next_frame(w, &c), RELAY_N_WELCOME);
    assert_int_equal(relay_login_client_welcome(&l, NULL), 0);
    assert_int_equal(l.trust, RELAY_TRUST_PASSWORD);
    relay_login_client_clear(&l);
    client_close(&c);
    return took;
}

static void guess_and_go(struct world *w)
{
    struct client c = {0};
    struct relay_login_client l;
    begin(w, &c, &l, "wrong");
    assert_int_equal(answer(w, &c, &l), NK_EAUTH);
    relay_login_client_clear(&l);
    client_close(&c);
}

/* Who guesses hears the answer before the relay knows that it was wrong, and may go then: the next
 * answers come later all the same, and who knows the password is never slowed down by himself. */
static void test_guesses_are_slow(void **state)
{
    (void)state;
    struct world w;
    world_new(&w);
    for (int i = 0; i < 3; i++) {
        log_in(&w);
    }
    assert_int_equal(relay_hub_counters(w.hub)->auth_ok, 3);
    guess_and_go(&w);
    for (int i = 0; i < PATIENCE && relay_hub_counters(w.hub)->auth_fail == 0; i++) {
        nk_app_turn(w.app, 2);
    }
    assert_int_equal(relay_hub_counters(w.hub)->auth_fail, 1);
    assert_true(log_in(&w) >= RELAY_PENALTY_FIRST_MS);
    guess_and_go(&w);
    assert_true(log_in(&w) >= 2 * RELAY_PENALTY_FIRST_MS);
    world_free(&w);
}

/* Gone while its answer waits. */
static void test_gone_while_waiting(void **state)
{
    (void)state;
    struct world w;
    struct client c = {0};
    struct relay_login_client l;
    world_new(&w);
    guess_and_go(&w);
    begin(&w, &c, &l, "wrong");
    for (int i = 0; i < 5; i++) {
        nk_app_turn(w.app, 1);
    }
    relay_login_client_clear(&l);
    client_close(&c);
    for (int i = 0; i < PATIENCE && relay_hub_connections(w.hub) > 0; i++) {
        nk_app_turn(w.app, 2);
    }
    assert_int_equal(relay_hub_connections(w.hub), 0);
    world_free(&w);
}

static void test_wrong_confirmation(void **state)
{
    (void)state;
    struct world w;
    struct client c = {0};
    struct relay_login_client l;
    world_new(&w);
    begin(&w, &c, &l, "right");
    assert_int_equal(answer(&w, &c, &l), RELAY_LOGIN_SEND);
    l.out[5] ^= 1;
    send_auth(&c, &l);
    unsigned type = next_frame(&w, &c);
    assert_true(type == 0 || type == RELAY_N_GOAWAY);
    assert_int_equal(relay_hub_counters(w.hub)->auth_fail, 1);
    assert_int_equal(relay_hub_counters(w.hub)->auth_ok, 0);
    relay_login_client_clear(&l);
    client_close(&c);
    world_free(&w);
}

int nk_test_relay_native_login(void);
int nk_test_relay_native_login(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_guesses_are_slow),
        cmocka_unit_test(test_gone_while_waiting),
        cmocka_unit_test(test_wrong_confirmation),
    };
    return cmocka_run_group_tests_name("relay/native_login", tests, NULL, NULL);
}
