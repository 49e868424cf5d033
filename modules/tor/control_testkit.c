/* SPDX-License-Identifier: MIT */
#include "tor/control_testkit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "core/app.h"
#include "core/stream.h"

enum { PATIENCE_S = 20, IDLE_TURNS = 8, TURN_MS = 5, TRANSCRIPT_MAX = 1 << 20 };

static void start(struct tor_kit *k)
{
    struct nk_app_conf conf = {0};
    *k = (struct tor_kit){.fd = -1, .listener = -1};
    nk_buf_init(&k->in, (size_t)8 << 20);
    assert_int_equal(nk_app_new(&k->app, &conf, NULL), 0);
}

void tor_kit_open(struct tor_kit *k)
{
    int fds[2];
    start(k);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    k->fd = fds[0];
    assert_int_equal(nk_stream_from_fd(k->app, fds[1], "kit", &k->stream), 0);
}

void tor_kit_listen(struct tor_kit *k)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    start(k);
    (void)snprintf(k->dir, sizeof(k->dir), "/tmp/netkit-kit-XXXXXX");
    assert_non_null(mkdtemp(k->dir));
    (void)snprintf(k->address, sizeof(k->address), "unix:%s/control", k->dir);
    (void)snprintf(at.sun_path, sizeof(at.sun_path), "%s/control", k->dir);
    k->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    assert_true(k->listener >= 0);
    assert_int_equal(bind(k->listener, (struct sockaddr *)&at, sizeof(at)), 0);
    assert_int_equal(listen(k->listener, 8), 0);
}

/* Whether the test has waited too long; turns the loop once. */
static void turn(struct tor_kit *k, time_t since)
{
    assert_true(time(NULL) - since < PATIENCE_S);
    nk_app_turn(k->app, TURN_MS);
}

void tor_kit_accept(struct tor_kit *k)
{
    time_t since = time(NULL);
    tor_kit_hangup(k);
    while ((k->fd = accept4(k->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) < 0) {
        turn(k, since);
    }
}

void tor_kit_login(struct tor_kit *k)
{
    tor_kit_accept(k);
    tor_kit_expect(k, "PROTOCOLINFO 1");
    tor_kit_say(k, "250-PROTOCOLINFO 1\r\n250-AUTH METHODS=NULL\r\n"
                   "250-VERSION Tor=\"0.4.9.11\"\r\n250 OK\r\n");
    tor_kit_expect(k, "AUTHENTICATE");
    tor_kit_say(k, "250 OK\r\n");
}

const char *tor_kit_line(struct tor_kit *k)
{
    time_t since = time(NULL);
    for (;;) {
        const char *base = (const char *)nk_buf_ptr(&k->in);
        const char *lf = nk_buf_len(&k->in) ? memchr(base, '\n', nk_buf_len(&k->in)) : NULL;
        if (lf) {
            size_t n = (size_t)(lf - base);
            assert_true(n > 0 && n < sizeof(k->line) && lf[-1] == '\r');
            memcpy(k->line, base, n - 1);
            k->line[n - 1] = '\0';
            nk_buf_consume(&k->in, n + 1);
            return k->line;
        }
        char bytes[4096];
        ssize_t got = read(k->fd, bytes, sizeof(bytes));
        if (got > 0) {
            assert_int_equal(nk_buf_put(&k->in, bytes, (size_t)got), 0);
        } else {
            assert_true(got < 0);
            turn(k, since);
        }
    }
}

void tor_kit_expect(struct tor_kit *k, const char *line)
{
    assert_string_equal(tor_kit_line(k), line);
}

void tor_kit_put(struct tor_kit *k, const void *p, size_t n)
{
    const char *at = p;
    time_t since = time(NULL);
    while (n > 0) {
        ssize_t put = send(k->fd, at, n, MSG_NOSIGNAL);
        if (put > 0) {
            at += put;
            n -= (size_t)put;
        } else {
            turn(k, since);
        }
    }
    nk_app_turn(k->app, 0);
}

void tor_kit_say(struct tor_kit *k, const char *text)
{
    tor_kit_put(k, text, strlen(text));
}

void tor_kit_turn(struct tor_kit *k, const bool *done)
{
    time_t since = time(NULL);
    while (!*done) {
        turn(k, since);
    }
}

void tor_kit_idle(struct tor_kit *k)
{
    for (int i = 0; i < IDLE_TURNS; i++) {
        nk_app_turn(k->app, TURN_MS);
    }
}

void tor_kit_hangup(struct tor_kit *k)
{
    if (k->fd >= 0) {
        close(k->fd);
        k->fd = -1;
        nk_buf_reset(&k->in);
    }
}

void tor_kit_close(struct tor_kit *k)
{
    tor_kit_hangup(k);
    if (k->listener >= 0) {
        close(k->listener);
        (void)unlink(k->address + strlen("unix:"));
        assert_int_equal(rmdir(k->dir), 0);
    }
    nk_buf_clear(&k->in);
    nk_app_free(k->app);
}

bool tor_kit_transcript(const char *name, struct nk_buf *out)
{
    char path[NK_PATH_MAX];
    struct nk_diag diag;
    if (access(TOR_KIT_TRANSCRIPTS "/README.md", R_OK) != 0) {
        print_message("no " TOR_KIT_TRANSCRIPTS ": what tor really said is not replayed\n");
        return false;
    }
    (void)snprintf(path, sizeof(path), TOR_KIT_TRANSCRIPTS "/%s.txt", name);
    nk_buf_init(out, TRANSCRIPT_MAX);
    assert_int_equal(nk_file_read(path, 0, out, &diag), 0);
    return true;
}
