/* SPDX-License-Identifier: MIT */
/* Descriptors from outside: never O_NONBLOCK on a shared description, never a blocked loop. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#include "core/app.h"
#include "core/stream.h"
#include "core/stream_fd.h"
#include "core/watch.h"

enum { PATIENCE = 2000 /* turns */ };

struct reader {
    struct nk_stream *s;
    char data[300000];
    size_t got;
    ssize_t last;
    int connected;
};

static void on_event(void *owner, struct nk_stream *s, unsigned events)
{
    struct reader *r = owner;
    r->connected += (events & NK_CONNECTED) != 0;
    if (events & NK_READABLE) {
        r->last = nk_stream_read(s, r->data + r->got, sizeof(r->data) - r->got);
        if (r->last > 0) {
            r->got += (size_t)r->last;
        } else if (r->last != NK_EAGAIN) {
            nk_stream_interest(s, 0);
        }
    }
}

static struct nk_app *new_app(void)
{
    struct nk_app *app = NULL;
    struct nk_app_conf conf = {0};
    assert_int_equal(nk_app_new(&app, &conf, NULL), 0);
    return app;
}

static struct reader *open_reader(struct nk_app *app, int rfd, int wfd)
{
    struct reader *r = calloc(1, sizeof(*r));
    struct nk_diag diag = {0};
    assert_non_null(r);
    r->last = 1;
    if (nk_stream_from_inherited(app, rfd, wfd, "test", &r->s, &diag) < 0) {
        fail_msg("%s", diag.text);
    }
    nk_stream_own(r->s, on_event, r);
    nk_stream_interest(r->s, NK_READABLE);
    return r;
}

static void close_reader(struct nk_app *app, struct reader *r)
{
    nk_stream_close(r->s);
    free(r);
    nk_app_run(app);
    nk_app_free(app);
}

static bool blocking(int fd)
{
    return (fcntl(fd, F_GETFL) & O_NONBLOCK) == 0;
}

static void read_to_end(struct nk_app *app, struct reader *r)
{
    for (int i = 0; i < PATIENCE && (r->last > 0 || r->last == NK_EAGAIN); i++) {
        nk_app_turn(app, 100);
    }
}

/* A pair whose our end is shared with "another process": a duplicate that must stay blocking. */
static void check_shared(int ours, int peer)
{
    struct nk_app *app = new_app();
    int other = fcntl(ours, F_DUPFD_CLOEXEC, 3);
    assert_true(blocking(other));
    struct reader *r = open_reader(app, ours, ours);
    assert_int_equal(write(peer, "hello", 5), 5);
    for (int i = 0; i < 10 && r->got < 5; i++) {
        nk_app_turn(app, 100);
    }
    assert_int_equal(r->got, 5);
    assert_int_equal(nk_stream_read(r->s, r->data, 10), NK_EAGAIN); /* and it did not block */
    assert_true(blocking(other));
    close(other);
    close(peer);
    read_to_end(app, r);
    assert_int_equal(r->last, 0);
    close_reader(app, r);
}

static void test_socket_stays_blocking(void **state)
{
    (void)state;
    int fd[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd), 0);
    check_shared(fd[0], fd[1]);
}

static void test_pipe_stays_blocking(void **state)
{
    (void)state;
    int fd[2];
    assert_int_equal(pipe2(fd, O_CLOEXEC), 0);
    check_shared(fd[0], fd[1]);
}

static void test_full_shared_socket_does_not_block(void **state)
{
    (void)state;
    static char block[65536];
    struct nk_app *app = new_app();
    int fd[2];
    ssize_t n;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd), 0);
    struct reader *r = open_reader(app, fd[0], fd[0]);
    do {
        n = nk_stream_write(r->s, block, sizeof(block));
    } while (n > 0);
    assert_int_equal(n, NK_EAGAIN);
    close(fd[1]);
    close_reader(app, r);
}

/* Where /proc is missing a pipe is used in place: through the watcher's own epoll set. */
static void test_pipe_in_place(void **state)
{
    (void)state;
    static char block[65536];
    struct nk_app *app = new_app();
    int in[2], out[2];
    ssize_t n;
    size_t put = 0;
    struct nk_stream *a, *b, *both;
    struct reader *r = calloc(1, sizeof(*r));
    assert_non_null(r);
    r->last = 1;
    assert_int_equal(pipe2(in, O_CLOEXEC), 0);
    assert_int_equal(pipe2(out, O_CLOEXEC), 0);
    assert_int_equal(nk_stream_over_fd(app, in[0], NK_WATCH_SHARED, "in", &a), 0);
    assert_int_equal(nk_stream_over_fd(app, out[1], NK_WATCH_SHARED, "out", &b), 0);
    assert_int_equal(nk_stream_join(app, a, b, &both), 0);
    r->s = both;
    nk_stream_own(both, on_event, r);
    nk_stream_interest(both, NK_READABLE);
    assert_int_equal(write(in[1], "xyz", 3), 3);
    for (int i = 0; i < 10 && r->got < 3; i++) {
        nk_app_turn(app, 100);
    }
    assert_int_equal(r->got, 3);
    assert_true(blocking(in[0]) && blocking(out[1]));
    while ((n = nk_stream_write(both, block, sizeof(block))) > 0) {
        put += (size_t)n;
    }
    assert_int_equal(n, NK_EAGAIN); /* full, and it did not block */
    assert_true(put >= 4096);
    assert_int_equal(nk_stream_shutdown(both), 0);
    while (put > 0) {
        n = read(out[0], block, sizeof(block));
        assert_true(n > 0);
        put -= (size_t)n;
    }
    assert_int_equal(read(out[0], block, 1), 0);
    close(in[1]);
    close(out[0]);
    close_reader(app, r);
}

static int temp_file(const void *p, size_t n)
{
    char path[] = "/tmp/netkit-test-XXXXXX";
    int fd = mkostemp(path, O_CLOEXEC);
    assert_true(fd >= 0);
    unlink(path);
    assert_int_equal(write(fd, p, n), (ssize_t)n);
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    return fd;
}

static void test_file_in_and_out(void **state)
{
    (void)state;
    static char text[200000];
    struct nk_app *app = new_app();
    memset(text, 'q', sizeof(text));
    text[150000] = 'Z';
    int in = temp_file(text, sizeof(text)), out = temp_file("", 0), check = dup(out);
    struct reader *r = open_reader(app, in, out);
    read_to_end(app, r);
    assert_int_equal(r->last, 0);
    assert_int_equal(r->got, sizeof(text));
    assert_memory_equal(r->data, text, sizeof(text));
    size_t put = 0;
    for (int i = 0; i < PATIENCE && put < sizeof(text); i++) {
        ssize_t n = nk_stream_write(r->s, text + put, sizeof(text) - put);
        assert_true(n > 0 || n == NK_EAGAIN);
        put += n > 0 ? (size_t)n : 0;
        if (put < sizeof(text)) {
            nk_app_turn(app, 10);
        }
    }
    nk_stream_close(r->s); /* the last piece is still under way: it must not be lost */
    r->s = NULL;
    assert_int_equal(pread(check, r->data, sizeof(r->data), 0), sizeof(text));
    assert_memory_equal(r->data, text, sizeof(text));
    close(check);
    close_reader(app, r);
}

static void test_dev_null(void **state)
{
    (void)state;
    struct nk_app *app = new_app();
    struct reader *r = open_reader(app, open("/dev/null", O_RDONLY | O_CLOEXEC),
                                   open("/dev/null", O_WRONLY | O_CLOEXEC));
    assert_int_equal(nk_stream_write(r->s, "x", 1), 1);
    read_to_end(app, r);
    assert_int_equal(r->last, 0);
    assert_int_equal(r->got, 0);
    assert_int_equal(r->connected, 1);
    close_reader(app, r);
}

static void test_full_disk_is_an_error(void **state)
{
    (void)state;
    struct nk_app *app = new_app();
    int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
    if (fd < 0) {
        print_message("skipped: no /dev/full\n");
        nk_app_free(app);
        return;
    }
    struct reader *r = open_reader(app, open("/dev/null", O_RDONLY | O_CLOEXEC), fd);
    ssize_t n = 0;
    for (int i = 0; i < PATIENCE && (n >= 0 || n == NK_EAGAIN); i++) {
        n = nk_stream_write(r->s, "x", 1);
        nk_app_turn(app, 10);
    }
    assert_int_equal(n, -ENOSPC);
    close_reader(app, r);
}

static void test_closed_descriptor(void **state)
{
    (void)state;
    struct nk_app *app = new_app();
    struct nk_stream *s;
    struct nk_diag diag = {0};
    int fd = open("/dev/null", O_RDONLY);
    close(fd);
    assert_int_equal(nk_stream_from_inherited(app, fd, fd, "fd:9", &s, &diag), -EBADF);
    assert_non_null(strstr(diag.text, "fd:9"));
    nk_app_free(app);
}

int nk_test_core_inherited(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_socket_stays_blocking),
        cmocka_unit_test(test_pipe_stays_blocking),
        cmocka_unit_test(test_full_shared_socket_does_not_block),
        cmocka_unit_test(test_pipe_in_place),
        cmocka_unit_test(test_file_in_and_out),
        cmocka_unit_test(test_dev_null),
        cmocka_unit_test(test_full_disk_is_an_error),
        cmocka_unit_test(test_closed_descriptor),
    };
    return cmocka_run_group_tests_name("core/inherited", tests, NULL, NULL);
}
