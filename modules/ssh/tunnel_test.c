/* SPDX-License-Identifier: MIT */
/* [tunnel NAME]: its rows, what is refused and how it is said, and what a reload leaves as it was.
 * Forwards that work have tests against real servers (tests/e2e/test_tunnel.py). */
#include "ssh/tunnel.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/json.h"
#include "core/app.h"

enum { STATUS_MAX = 16 * 1024, KEYS = 6 };

extern const struct nk_cmd nk_cmd_tunnel;

struct world {
    struct nk_app *app;
    struct nk_service *s;
    struct nk_diag diag;
    int taken; /* a socket that listens on port */
    uint16_t port;
    int ended;
};

struct key {
    const char *name, *value;
};

static int fill(struct ssh_tunnel_conf *c, const struct key *keys, struct nk_diag *diag)
{
    const struct nk_opt *rows = nk_cmd_tunnel.section->opts;
    int rc = 0;
    memset(c, 0, sizeof(*c));
    for (const struct nk_opt *row = nk_opt_first(rows); row; row = nk_opt_next(rows, row)) {
        assert_int_equal(nk_opt_parse_default(row, c, NULL), 0);
    }
    for (size_t i = 0; rc == 0 && i < KEYS && keys[i].name; i++) {
        const struct nk_opt *row = nk_opt_find(rows, keys[i].name);
        assert_non_null(row);
        assert_true(row->flags & NK_OPT_RELOAD);
        rc = nk_opt_parse_value(row, keys[i].value, c, diag);
    }
    return rc;
}

static void forget(struct ssh_tunnel_conf *c)
{
    nk_opt_free_values(nk_cmd_tunnel.section->opts, c);
}

static void on_ready(void *owner)
{
    (void)owner;
    fail_msg("there is no server");
}

static void on_end(void *owner, int status, const struct nk_diag *diag)
{
    struct world *w = owner;
    (void)status;
    (void)diag;
    w->ended++;
}

static int start(struct world *w, const struct ssh_tunnel_conf *c)
{
    const struct nk_service_args args = {
        .app = w->app, .conf = c, .on_ready = on_ready, .on_end = on_end, .owner = w};
    w->diag = (struct nk_diag){0};
    return ssh_tunnel_service.start(&args, &w->s, &w->diag);
}

/* A socket at a free port of the loopback interface. */
static int bound(uint16_t *port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof(a);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&a, n), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &n), 0);
    *port = ntohs(a.sin_port);
    return fd;
}

static void open_world(struct world *w)
{
    const struct nk_app_conf conf = {0};
    memset(w, 0, sizeof(*w));
    assert_int_equal(nk_app_new(&w->app, &conf, NULL), 0);
    w->taken = bound(&w->port);
    assert_int_equal(listen(w->taken, 1), 0);
}

static void close_world(struct world *w)
{
    close(w->taken);
    nk_app_free(w->app);
}

/* --- rows ------------------------------------------------------------------------------------- */

static void test_rows(void **state)
{
    (void)state;
    struct ssh_tunnel_conf c;
    const struct key keys[KEYS] = {{"host", "alice@web"}, {"local", "1:a:2"},   {"local", "3:b:4"},
                                   {"dynamic", "1080"},   {"keepalive", "20s"}, {"hold", "0"}};
    assert_int_equal(fill(&c, keys, NULL), 0);
    assert_true(c.reconnect); /* kept unless told otherwise */
    assert_int_equal(c.local.n, 2);
    assert_string_equal(c.local.v[1], "3:b:4");
    assert_int_equal(c.alive_ms, 20 * 1000);
    assert_int_equal(c.hold_ms, 0);
    forget(&c);
    const struct key none[KEYS] = {{NULL, NULL}};
    assert_int_equal(fill(&c, none, NULL), 0);
    assert_int_equal(c.hold_ms, 30 * 1000);
    forget(&c);
}

static void test_rows_that_are_wrong(void **state)
{
    (void)state;
    static const struct key wrong[] = {{"port", "70000"},   {"port", "ssh"},
                                       {"hold", "soon"},    {"hold", "2h"},
                                       {"keepalive", "2d"}, {"reconnect", "maybe"}};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        const struct key keys[KEYS] = {wrong[i]};
        struct ssh_tunnel_conf c;
        struct nk_diag diag = {0};
        assert_true(fill(&c, keys, &diag) < 0);
        assert_non_null(strstr(diag.text, wrong[i].value));
        forget(&c);
    }
}

/* --- what they say ---------------------------------------------------------------------------- */

static void must_refuse(struct world *w, const struct key *keys, int code, const char *said)
{
    struct ssh_tunnel_conf c;
    assert_int_equal(fill(&c, keys, NULL), 0);
    int rc = start(w, &c);
    if (rc != code || !strstr(w->diag.text, said)) {
        fail_msg("%d (%s) instead of %d (%s)", rc, w->diag.text, code, said);
    }
    forget(&c);
}

static void test_what_is_refused(void **state)
{
    (void)state;
    static char far[600], taken[64];
    struct world w;
    open_world(&w);
    memset(far, 'a', sizeof(far) - 1);
    (void)snprintf(taken, sizeof(taken), "127.0.0.1:%u:a:1", w.port);
    const struct {
        struct key keys[KEYS];
        int code;
        const char *said;
    } cases[] = {
        {{{"local", "1:a:2"}, {"ssh_config", "none"}}, NK_ECONFIG, "host is missing"},
        {{{"host", far}, {"local", "1:a:2"}, {"ssh_config", "none"}}, NK_ECONFIG, "too long"},
        {{{"host", "a;b"}, {"local", "1:a:2"}, {"ssh_config", "none"}}, NK_EUSAGE, "'a;b'"},
        {{{"host", "web"}, {"ssh_config", "none"}}, NK_ECONFIG, "local, remote or dynamic"},
        {{{"host", "web"}, {"local", "1"}, {"ssh_config", "none"}}, NK_ECONFIG, "'1'"},
        {{{"host", "web"}, {"local", "0:a:2"}, {"ssh_config", "none"}}, NK_ECONFIG, "'0:a:2'"},
        {{{"host", "web"}, {"remote", "1:a"}, {"ssh_config", "none"}}, NK_ECONFIG, "'1:a'"},
        {{{"host", "web"}, {"dynamic", "/s"}, {"ssh_config", "none"}}, NK_ECONFIG, "'/s'"},
        {{{"host", "web"}, {"local", "1:a:2"}, {"ssh_config", "/nonexistent"}},
         NK_ECONFIG,
         "/nonexistent"},
        {{{"host", "web"}, {"local", "1:a:2"}, {"ssh_config", "none"}, {"option", "Port=x"}},
         NK_EUSAGE,
         "Port"},
        {{{"host", "web"}, {"local", "1:a:2"}, {"ssh_config", "none"}, {"password_file", "/no"}},
         NK_ECONFIG,
         "/no"},
        {{{"host", "127.0.0.1"}, {"local", taken}, {"ssh_config", "none"}}, -EADDRINUSE, "in use"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        must_refuse(&w, cases[i].keys, cases[i].code, cases[i].said);
    }
    assert_int_equal(w.ended, 0);
    close_world(&w);
}

/* --- a reload --------------------------------------------------------------------------------- */

static void status(const struct world *w, struct nk_buf *b)
{
    struct nk_json j;
    nk_buf_clear(b);
    nk_buf_init(b, STATUS_MAX);
    nk_json_init(&j, b, false);
    nk_json_object(&j);
    ssh_tunnel_service.status(w->s, &j);
    nk_json_close(&j);
    assert_non_null(nk_buf_str(b));
}

static int reload(struct world *w, struct ssh_tunnel_conf *c, const struct key *keys)
{
    assert_int_equal(fill(c, keys, NULL), 0);
    w->diag = (struct nk_diag){0};
    return ssh_tunnel_service.reload(w->s, c, NULL, &w->diag);
}

static bool can_connect(struct world *w, uint16_t port)
{
    struct sockaddr_in a = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool can = connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0;
    close(fd);
    nk_app_turn(w->app, 1);
    return can;
}

/* The port here of the first forward. */
static uint16_t here(const struct world *w, struct nk_buf *b)
{
    status(w, b);
    const char *at = strstr(nk_buf_str(b), "\"listen\":\"tcp:127.0.0.1:");
    at = at ? at : strstr(nk_buf_str(b), "\"listen\": \"tcp:127.0.0.1:");
    assert_non_null(at);
    return (uint16_t)strtoul(strstr(at, "127.0.0.1:") + strlen("127.0.0.1:"), NULL, 10);
}

static void test_reload(void **state)
{
    (void)state;
    struct world w;
    struct nk_buf b = {0};
    struct ssh_tunnel_conf c[4];
    static char local[64], taken[64], other[64];
    uint16_t free_port;
    open_world(&w);
    close(bound(&free_port));
    (void)snprintf(taken, sizeof(taken), "127.0.0.1:%u:a:1", w.port);
    (void)snprintf(local, sizeof(local), "127.0.0.1:%u:a:1", free_port);
    (void)snprintf(other, sizeof(other), "127.0.0.1:%u:b:1", free_port);
    const struct key keys[KEYS] = {{"host", "127.0.0.1"},
                                   {"port", "1"},
                                   {"ssh_config", "none"},
                                   {"user", "me"},
                                   {"local", local}};
    assert_int_equal(fill(&c[0], keys, NULL), 0);
    assert_int_equal(start(&w, &c[0]), 0);
    uint16_t port = here(&w, &b);
    assert_int_equal(port, free_port);
    assert_true(can_connect(&w, port));
    const struct nk_service_type *type = &ssh_tunnel_service;

    assert_int_equal(reload(&w, &c[1], keys), 0); /* nothing new */
    assert_int_equal(here(&w, &b), port);
    assert_non_null(strstr(nk_buf_str(&b), "[a]:1"));

    const struct key bad[KEYS] = {{"host", "127.0.0.1"},
                                  {"port", "1"},
                                  {"ssh_config", "none"},
                                  {"local", other},
                                  {"local", taken}};
    assert_int_equal(reload(&w, &c[2], bad), -EADDRINUSE);
    forget(&c[2]);
    assert_int_equal(here(&w, &b), port); /* neither port nor target are others */
    assert_non_null(strstr(nk_buf_str(&b), "[a]:1"));
    assert_true(can_connect(&w, port));

    const struct key good[KEYS] = {{"host", "127.0.0.1"},
                                   {"port", "1"},
                                   {"ssh_config", "none"},
                                   {"user", "me"},
                                   {"local", other}};
    assert_int_equal(reload(&w, &c[3], good), 0);
    assert_int_equal(here(&w, &b), port); /* the same listener */
    assert_non_null(strstr(nk_buf_str(&b), "[b]:1"));
    assert_true(can_connect(&w, port));
    assert_int_equal(w.ended, 0);
    type->drain(w.s);
    assert_int_equal(reload(&w, &c[2], keys), 0); /* too late to change anything */
    type->close(w.s);
    for (size_t i = 0; i < 4; i++) {
        forget(&c[i]);
    }
    nk_buf_clear(&b);
    close_world(&w);
}

int nk_test_ssh_tunnel(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_rows_that_are_wrong),
        cmocka_unit_test(test_what_is_refused),
        cmocka_unit_test(test_reload),
    };
    return cmocka_run_group_tests_name("ssh/tunnel", tests, NULL, NULL);
}
