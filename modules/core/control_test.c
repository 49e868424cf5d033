/* SPDX-License-Identifier: MIT */
#include "core/control.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/file.h"
#include "core/app.h"

enum { TURNS = 200, TEXT = 4096 };

struct world {
    struct nk_app *app;
    struct nk_control *control;
    struct nk_control_call *late; /* not answered yet */
    char words[TEXT];             /* of the last request, joined by '|' */
    char dir[64];
};

static void on_request(void *owner, struct nk_control_call *call, size_t n, char *const *words)
{
    struct world *w = owner;
    struct nk_diag diag = {0};
    w->words[0] = '\0';
    for (size_t i = 0; i < n; i++) {
        size_t have = strlen(w->words);
        (void)snprintf(w->words + have, TEXT - have, "%s|", words[i]);
    }
    if (strcmp(words[0], "late") == 0) {
        w->late = call;
    } else if (strcmp(words[0], "fail") == 0) {
        assert_int_equal(nk_buf_puts(nk_control_body(call), "never seen"), 0);
        nk_control_done(call, nk_fail(&diag, NK_EAUTH, "two\nlines"), &diag);
    } else {
        assert_int_equal(nk_buf_printf(nk_control_body(call), "%zu words", n), 0);
        nk_control_done(call, 0, NULL);
    }
}

static int setup(void **state)
{
    struct world *w = calloc(1, sizeof(*w));
    struct nk_diag diag = {0};
    assert_non_null(w);
    (void)snprintf(w->dir, sizeof(w->dir), "/tmp/nk-control-XXXXXX");
    assert_non_null(mkdtemp(w->dir));
    assert_int_equal(nk_app_new(&w->app, &(struct nk_app_conf){0}, &diag), 0);
    assert_int_equal(nk_control_open(w->app, w->dir, on_request, w, &w->control, &diag), 0);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;
    nk_control_close(w->control);
    nk_app_turn(w->app, 0);
    nk_app_free(w->app);
    assert_int_equal(rmdir(w->dir), 0); /* the socket is gone, too */
    free(w);
    return 0;
}

static int dial(const struct world *w)
{
    char path[NK_PATH_MAX];
    int fd;
    assert_int_equal(nk_path_join(path, sizeof(path), w->dir, NK_CONTROL_NAME), 0);
    assert_int_equal(nk_control_connect(path, &fd), 0);
    return fd;
}

/* Turn the loop until the other side has closed fd; what it said is in out. */
static void read_all(struct world *w, int fd, char out[TEXT])
{
    size_t have = 0;
    for (int i = 0; i < TURNS; i++) {
        nk_app_turn(w->app, 10);
        ssize_t n = recv(fd, out + have, TEXT - 1 - have, MSG_DONTWAIT);
        if (n == 0) {
            out[have] = '\0';
            close(fd);
            return;
        }
        have += n > 0 ? (size_t)n : 0;
    }
    fail_msg("no answer");
}

static void exchange(struct world *w, const char *request, char out[TEXT])
{
    int fd = dial(w);
    assert_int_equal(send(fd, request, strlen(request), 0), strlen(request));
    read_all(w, fd, out);
}

static void words(void **state)
{
    struct world *w = *state;
    char out[TEXT];
    exchange(w, "one\n", out);
    assert_string_equal(out, "ok\n1 words");
    assert_string_equal(w->words, "one|");
    exchange(w, "a  b%20c %25%0a%7F\n", out);
    assert_string_equal(out, "ok\n4 words");
    assert_string_equal(w->words, "a||b c|%\n\x7f|");
    exchange(w, "fail\n", out);
    assert_string_equal(out, "error 77 two?lines\n");
}

static void bad_requests(void **state)
{
    struct world *w = *state;
    char out[TEXT];
    static const char *const bad[] = {"a%\n", "a%2\n", "a%zz\n", "a%00\n"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        exchange(w, bad[i], out);
        assert_string_equal(out, "error 2 not a request\n");
    }
    char many[2 * NK_CONTROL_WORDS + 4];
    memset(many, ' ', sizeof(many));
    many[NK_CONTROL_WORDS - 1] = '\n'; /* so many empty words */
    many[NK_CONTROL_WORDS] = '\0';
    exchange(w, many, out);
    assert_string_equal(out, "ok\n64 words");
    many[NK_CONTROL_WORDS - 1] = ' ';
    many[NK_CONTROL_WORDS] = '\n';
    many[NK_CONTROL_WORDS + 1] = '\0';
    exchange(w, many, out);
    assert_string_equal(out, "error 2 not a request\n");
    char *longest = malloc(NK_CONTROL_REQUEST + 2);
    assert_non_null(longest);
    memset(longest, 'x', NK_CONTROL_REQUEST + 1);
    longest[NK_CONTROL_REQUEST + 1] = '\0';
    exchange(w, longest, out);
    assert_non_null(strstr(out, "too long"));
    free(longest);
}

static void late_answers(void **state)
{
    struct world *w = *state;
    char out[TEXT];
    struct nk_diag diag = {0};
    int fd = dial(w);
    assert_int_equal(send(fd, "late\n", 5, 0), 5);
    for (int i = 0; i < TURNS && !w->late; i++) {
        nk_app_turn(w->app, 10);
    }
    assert_non_null(w->late);
    assert_int_equal(nk_buf_puts(nk_control_body(w->late), "at last"), 0);
    nk_control_done(w->late, 0, NULL);
    read_all(w, fd, out);
    assert_string_equal(out, "ok\nat last");
    /* the client goes away before */
    w->late = NULL;
    fd = dial(w);
    assert_int_equal(send(fd, "late\n", 5, 0), 5);
    for (int i = 0; i < TURNS && !w->late; i++) {
        nk_app_turn(w->app, 10);
    }
    close(fd);
    nk_app_turn(w->app, 0);
    nk_control_done(w->late, nk_fail(&diag, -EIO, "nobody reads this"), &diag);
    /* and one that is never answered dies with the socket (teardown) */
    fd = dial(w);
    w->late = NULL;
    assert_int_equal(send(fd, "late\n", 5, 0), 5);
    for (int i = 0; i < TURNS && !w->late; i++) {
        nk_app_turn(w->app, 10);
    }
    assert_non_null(w->late);
    close(fd);
}

static void bind_refuses(void **state)
{
    char path[300];
    int fd = -1;
    struct nk_diag diag = {0};
    (void)state;
    memset(path, 'x', sizeof(path) - 1);
    path[sizeof(path) - 1] = '\0';
    assert_int_equal(nk_control_bind(path, &fd, &diag), NK_ETOOBIG);
    assert_int_equal(nk_control_connect(path, &fd), NK_ETOOBIG);
    assert_int_equal(nk_control_connect("/nowhere/at/all", &fd), NK_ECLOSED);
    assert_int_equal(fd, -1);
}

int nk_test_core_control(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(words, setup, teardown),
        cmocka_unit_test_setup_teardown(bad_requests, setup, teardown),
        cmocka_unit_test_setup_teardown(late_answers, setup, teardown),
        cmocka_unit_test(bind_refuses),
    };
    return cmocka_run_group_tests_name("core/control", tests, NULL, NULL);
}
