/* SPDX-License-Identifier: MIT */
#include "core/registry.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/app.h"
#include "core/launcher.h"
#include "net/conform_testkit.h"
#include "net/exec_words.h"
#include "torture.h"

enum { TURNS = 1000, TURN_MS = 20000, PATIENCE_MS = 20000 };

static struct nk_launcher *launcher; /* of the whole group */

static int start_launcher(void **state)
{
    (void)state;
    return nk_launcher_start(&launcher, NULL);
}

static int end_launcher(void **state)
{
    (void)state;
    nk_launcher_free(launcher);
    while (waitpid(-1, NULL, 0) > 0 || errno == EINTR) {
    }
    return 0;
}

/* One dialled program and everything it says. */
struct talk {
    struct nk_app *app;
    struct nk_stream *s;
    bool connected, closed, ended;
    char text[4096];
};

static void on_event(void *owner, struct nk_stream *s, unsigned events)
{
    struct talk *t = owner;
    t->connected |= (events & NK_CONNECTED) != 0;
    t->closed |= (events & NK_CLOSED) != 0;
    if (events & NK_READABLE) {
        size_t have = strlen(t->text);
        ssize_t n = nk_stream_read(s, t->text + have, sizeof(t->text) - 1 - have);
        assert_true(n >= 0 || n == NK_EAGAIN);
        t->ended |= n == 0;
        if (n == 0) {
            nk_stream_interest(s, 0);
        }
    }
}

static void talk_start(struct talk *t, const char *endpoint)
{
    struct nk_app_conf conf = {.launcher = launcher};
    struct nk_endpoint *ep;
    struct nk_diag diag;
    memset(t, 0, sizeof(*t));
    assert_int_equal(nk_app_new(&t->app, &conf, NULL), 0);
    assert_int_equal(nk_endpoint_parse(endpoint, NK_EP_CONNECT, &ep, &diag), 0);
    assert_int_equal(nk_dial(t->app, ep, on_event, t, &t->s, &diag), 0);
    nk_endpoint_free(ep);
    assert_false(t->connected || t->closed);
    nk_stream_interest(t->s, NK_READABLE);
}

static void talk_until(struct talk *t, const bool *flag)
{
    for (int i = 0; i < TURNS && !*flag; i++) {
        nk_app_turn(t->app, TURN_MS);
    }
    assert_true(*flag);
}

static void talk_end(struct talk *t)
{
    nk_stream_close(t->s);
    nk_app_free(t->app);
}

/* Everything that a command prints. */
static void expect_output(const char *endpoint, const char *text)
{
    struct talk t;
    talk_start(&t, endpoint);
    talk_until(&t, &t.ended);
    assert_true(t.connected);
    assert_false(t.closed);
    assert_string_equal(t.text, text);
    talk_end(&t);
}

static void words_reach_the_program(void **state)
{
    (void)state;
    expect_output("exec:/bin/echo one two", "one two\n");
    expect_output("exec:printf %25s|  a 'b  c'   d\"e' f\"g '' 100%25 %27%2C%20%22",
                  "a|b  c|de' fg||100%|', \"|");
}

static void environment_and_directory(void **state)
{
    (void)state;
    expect_output("exec:/bin/sh -c 'echo $NK_A $NK_B ${PATH:+path}; pwd',env=NK_A=1,"
                  "env=NK_B=x%2Cy,cwd=/",
                  "1 x,y path\n/\n");
}

static void half_close_and_status(void **state)
{
    (void)state;
    struct talk t;
    char peer[64], expected[64];
    int fd = -1;
    size_t n = sizeof(fd);
    /* the program ends its answer only after our end of stream, and fails */
    talk_start(&t, "exec:/bin/sh -c 'cat; echo end; exit 3'");
    talk_until(&t, &t.connected);
    assert_int_equal(nk_stream_write(t.s, "hello\n", 6), 6);
    assert_int_equal(nk_stream_shutdown(t.s), 0);
    talk_until(&t, &t.ended);
    assert_string_equal(t.text, "hello\nend\n");
    nk_stream_peer(t.s, peer, sizeof(peer));
    snprintf(expected, sizeof(expected), "exec:/bin/sh pid ");
    assert_memory_equal(peer, expected, strlen(expected));
    assert_int_equal(nk_stream_query(t.s, NK_Q_FD, &fd, &n), 0);
    assert_true(fd >= 0);
    talk_end(&t);
}

/* Input that nobody read must not cost the output. */
static void program_that_reads_nothing(void **state)
{
    (void)state;
    struct talk t;
    int fd = -1;
    size_t n = sizeof(fd);
    talk_start(&t, "exec:/bin/echo out");
    nk_stream_interest(t.s, 0);
    assert_int_equal(nk_stream_write(t.s, "early", 5), 5);
    talk_until(&t, &t.connected);
    assert_int_equal(nk_stream_query(t.s, NK_Q_FD, &fd, &n), 0);
    struct pollfd p = {.fd = fd, .events = 0};
    assert_int_equal(poll(&p, 1, PATIENCE_MS), 1); /* POLLHUP: it has ended */
    assert_int_equal(nk_stream_write(t.s, "late", 4), 4);
    nk_stream_interest(t.s, NK_READABLE);
    talk_until(&t, &t.ended);
    assert_string_equal(t.text, "out\n");
    assert_int_equal(nk_stream_write(t.s, "x", 1), -EPIPE);
    talk_end(&t);
}

static void missing_program(void **state)
{
    (void)state;
    static const struct {
        const char *endpoint;
        int error;
    } cases[] = {{"exec:/nonexistent/x", -ENOENT},
                 {"exec:nk-no-such", -ENOENT},
                 {"exec:/etc/passwd", -EACCES}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct talk t;
        struct nk_diag diag;
        talk_start(&t, cases[i].endpoint);
        talk_until(&t, &t.closed);
        assert_false(t.connected);
        assert_int_equal(nk_stream_error(t.s, &diag), cases[i].error);
        assert_memory_equal(diag.text, cases[i].endpoint, strlen(cases[i].endpoint));
        talk_end(&t);
    }
}

/* Its stderr is ours, here a pipe: the end of file shows that everybody in the group is gone. */
static void close_ends_the_group(void **state)
{
    (void)state;
    struct talk t;
    int ends[2];
    char byte;
    int saved = fcntl(2, F_DUPFD_CLOEXEC, 3);
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    assert_int_equal(dup2(ends[1], 2), 2);
    close(ends[1]);
    talk_start(&t, "exec:/bin/sh -c 'sleep 1000 & echo go; wait'");
    assert_int_equal(dup2(saved, 2), 2);
    close(saved);
    for (int i = 0; i < TURNS && !t.text[0]; i++) {
        nk_app_turn(t.app, TURN_MS);
    }
    assert_string_equal(t.text, "go\n");
    talk_end(&t);
    struct pollfd p = {.fd = ends[0], .events = POLLIN};
    assert_int_equal(poll(&p, 1, PATIENCE_MS), 1);
    assert_int_equal(read(ends[0], &byte, 1), 0);
    close(ends[0]);
}

static void without_launcher(void **state)
{
    (void)state;
    struct nk_app *app;
    struct nk_app_conf conf = {0};
    struct nk_endpoint *ep;
    struct nk_stream *s = NULL;
    struct nk_diag diag;
    assert_int_equal(nk_app_new(&app, &conf, NULL), 0);
    assert_int_equal(nk_endpoint_parse("exec:/bin/cat", NK_EP_CONNECT, &ep, &diag), 0);
    assert_int_equal(nk_dial(app, ep, on_event, NULL, &s, &diag), NK_EUNSUPPORTED);
    assert_null(s);
    nk_endpoint_free(ep);
    nk_app_free(app);
}

static void bad_words(void **state)
{
    (void)state;
    static const char *const bad[] = {"", "  \t", "a 'b", "a \"b'", "a %zz", "a %00", "a %0A", "%"};
    struct net_words words;
    struct nk_diag diag;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(net_exec_words(bad[i], &words, &diag), NK_EFORMAT);
    }
    char *many = malloc(2 * NK_EP_MAX_TEXT);
    assert_non_null(many);
    for (size_t i = 0; i < NK_EP_MAX_TEXT; i++) {
        memcpy(many + 2 * i, "x ", 2);
    }
    many[2 * NK_EP_MAX_TEXT - 1] = '\0';
    assert_int_equal(net_exec_words(many, &words, &diag), NK_ETOOBIG);
    many[2 * 256 - 1] = '\0';
    assert_int_equal(net_exec_words(many, &words, &diag), 0);
    assert_int_equal(words.n, 256);
    assert_null(words.argv[256]);
    free(words.argv);
    free(many);
    assert_int_equal(nk_endpoint_check("exec:", false, &diag), NK_ECONFIG);
    assert_int_equal(nk_endpoint_check("exec:cat,env=A", false, &diag), NK_ECONFIG);
    assert_int_equal(nk_endpoint_check("exec:cat,env==A", false, &diag), NK_ECONFIG);
    assert_true(nk_endpoint_check("exec:cat", true, &diag) < 0); /* nothing to listen on */
}

static int words_once(void *arg)
{
    struct net_words words;
    (void)arg;
    int rc = net_exec_words("a 'b c' %25", &words, NULL);
    if (rc == 0) {
        rc = words.n == 3 && strcmp(words.argv[2], "%") == 0 ? 0 : 1;
        free(words.argv);
    }
    return rc;
}

static void words_without_memory(void **state)
{
    (void)state;
    assert_true(nk_torture(words_once, NULL) >= 2);
}

int nk_test_net_exec(void)
{
    static const struct nk_conform_row rows[] = {
        {.name = "exec", .echo = "exec:/bin/cat", .flags = NK_CONFORM_NO_REFUSED}};
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_reach_the_program), cmocka_unit_test(environment_and_directory),
        cmocka_unit_test(half_close_and_status),   cmocka_unit_test(program_that_reads_nothing),
        cmocka_unit_test(missing_program),         cmocka_unit_test(close_ends_the_group),
        cmocka_unit_test(without_launcher),        cmocka_unit_test(bad_words),
        cmocka_unit_test(words_without_memory),
    };
    int failed = cmocka_run_group_tests_name("net/exec", tests, start_launcher, end_launcher);
    if (failed == 0 && start_launcher(NULL) == 0) {
        failed = nk_conform_run("net/exec conformance", rows, 1, launcher);
        end_launcher(NULL);
    }
    return failed;
}
