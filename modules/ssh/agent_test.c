/* SPDX-License-Identifier: MIT */
#include "ssh/agent.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/app.h"
#include "core/stream.h"
#include "torture.h"

#define STR(text)                                                                                  \
    (struct ssh_str)                                                                               \
    {                                                                                              \
        (const uint8_t *)(text), sizeof(text) - 1                                                  \
    }

/* The client, and the agent's end of its socket. */
struct pair {
    struct nk_app *app;
    struct ssh_agent *agent;
    int fd;
    /* what came */
    int calls, rc;
    size_t nkeys;
    char first[64], text[320];
    bool close_at_once;
};

static void begin(struct pair *p)
{
    const struct nk_app_conf conf = {0};
    struct nk_stream *s;
    int fds[2];
    *p = (struct pair){.rc = 1};
    assert_int_equal(nk_app_new(&p->app, &conf, NULL), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
    assert_int_equal(nk_stream_from_fd(p->app, fds[0], "unix", &s), 0);
    assert_int_equal(ssh_agent_over(p->app, s, &p->agent), 0);
    p->fd = fds[1];
}

static void end(struct pair *p)
{
    ssh_agent_close(p->agent);
    if (p->fd >= 0) {
        close(p->fd);
    }
    while (nk_app_turn(p->app, 0)) {
    }
    nk_app_free(p->app);
}

static void turns(struct pair *p)
{
    for (int i = 0; i < 5; i++) {
        nk_app_turn(p->app, 10);
    }
}

static void on_answer(void *owner, const struct ssh_agent_answer *a)
{
    struct pair *p = owner;
    p->calls++;
    p->rc = a->rc;
    p->nkeys = a->nkeys;
    assert_true((a->rc < 0) == (a->diag != NULL));
    snprintf(p->text, sizeof(p->text), "%s", a->diag ? a->diag->text : "");
    if (a->nkeys) {
        snprintf(p->first, sizeof(p->first), "%.*s", (int)a->keys[0].comment.n,
                 (const char *)a->keys[0].comment.p);
    }
    if (a->signature.n) {
        p->nkeys = a->signature.n;
    }
    if (p->close_at_once) {
        ssh_agent_close(p->agent);
        p->agent = NULL;
    }
}

static void say(const struct pair *p, const void *bytes, size_t n)
{
    assert_int_equal(write(p->fd, bytes, n), (ssize_t)n);
}
#define SAY(p, text) say(p, text, sizeof(text) - 1)

static void assert_asked(const struct pair *p, const void *bytes, size_t n)
{
    uint8_t got[512];
    ssize_t have = read(p->fd, got, sizeof(got));
    assert_int_equal(have, n);
    assert_memory_equal(got, bytes, n);
}
#define ASKED(p, text) assert_asked(p, text, sizeof(text) - 1)

static const char TWO_KEYS[] = "\0\0\0\x1d\x0c\0\0\0\x02\0\0\0\x01"
                               "a\0\0\0\x03one\0\0\0\x01"
                               "b\0\0\0\x03two";
static const char REFUSED[] = "\0\0\0\x01\x05";
static const char SIGNED[] = "\0\0\0\x1d\x0e\0\0\0\x18\0\0\0\x0bssh-ed25519\0\0\0\x05"
                             "bytes";

static void requests(void **state)
{
    (void)state;
    struct pair p;
    struct ssh_agent_request *r;
    begin(&p);
    assert_int_equal(ssh_agent_list(p.agent, on_answer, &p, &r), 0);
    turns(&p);
    ASKED(&p, "\0\0\0\x01\x0b");
    for (size_t i = 0; i < sizeof(TWO_KEYS) - 1; i++) { /* byte by byte */
        assert_int_equal(p.calls, 0);
        say(&p, TWO_KEYS + i, 1);
        turns(&p);
    }
    assert_int_equal(p.calls, 1);
    assert_int_equal(p.rc, 0);
    assert_int_equal(p.nkeys, 2);
    assert_string_equal(p.first, "one");
    assert_int_equal(
        ssh_agent_sign(p.agent, STR("blob"), "data", 4, "rsa-sha2-512", on_answer, &p, &r), 0);
    assert_int_equal(ssh_agent_sign(p.agent, STR("blob"), "", 0, "ssh-ed25519", on_answer, &p, &r),
                     0);
    assert_int_equal(ssh_agent_bind(p.agent, STR("h"), STR("i"), STR("s"), true, on_answer, &p, &r),
                     0);
    turns(&p);
    ASKED(&p,
          "\0\0\0\x15\x0d\0\0\0\x04"
          "blob\0\0\0\x04"
          "data\0\0\0\x04"
          "\0\0\0\x11\x0d\0\0\0\x04"
          "blob\0\0\0\0\0\0\0\0"
          "\0\0\0\x2d\x1b\0\0\0\x18session-bind@openssh.com\0\0\0\x01h\0\0\0\x01i\0\0\0\x01s\x01");
    SAY(&p, REFUSED);
    turns(&p);
    assert_int_equal(p.calls, 2);
    assert_int_equal(p.rc, NK_EAUTH);
    SAY(&p, SIGNED);
    SAY(&p, "\0\0\0\x01\x06");
    turns(&p);
    assert_int_equal(p.calls, 4);
    assert_int_equal(p.rc, 0);
    end(&p);
}

/* One request, one answer, and what comes of it. */
static void answered(const void *bytes, size_t n, int rc, const char *words)
{
    struct pair p;
    struct ssh_agent_request *r;
    begin(&p);
    assert_int_equal(ssh_agent_list(p.agent, on_answer, &p, &r), 0);
    turns(&p);
    ASKED(&p, "\0\0\0\x01\x0b");
    say(&p, bytes, n);
    if (rc == NK_ECLOSED) {
        close(p.fd);
        p.fd = -1;
    }
    turns(&p);
    assert_int_equal(p.calls, 1);
    assert_int_equal(p.rc, rc);
    assert_non_null(strstr(p.text, words));
    end(&p);
}
#define ANSWERED(text, rc, words) answered(text, sizeof(text) - 1, rc, words)

static void hostile(void **state)
{
    (void)state;
    ANSWERED("\xff\xff\xff\xff\x0c", NK_EPROTO, "longer than");
    ANSWERED("\0\x04\0\x01\x0c", NK_EPROTO, "longer than");
    ANSWERED("\0\0\0\0", NK_EPROTO, "empty");
    ANSWERED("\0\0\0\x01\x0c", NK_EPROTO, "malformed");
    ANSWERED("\0\0\0\x05\x0c\0\0\x10\0", NK_ETOOBIG, "4096 keys");
    ANSWERED("\0\0\0\x05\x0c\0\0\x01\0", NK_EPROTO, "malformed");
    ANSWERED("\0\0\0\x0e\x0c\0\0\0\x01\0\0\0\0\0\0\0\x02x", NK_EPROTO, "malformed");
    ANSWERED("\0\0\0\x0f\x0c\0\0\0\x01\0\0\0\0\0\0\0\0yy", NK_EPROTO, "malformed");
    ANSWERED("\0\0\0\x01\x63", NK_EPROTO, "type 99");
    ANSWERED("\0\0\0\x01\x66", NK_EAUTH, "refuses");
    ANSWERED("\0\0\0\x09\x0c", NK_ECLOSED, "agent");
    ANSWERED("\0\0\0\x05\x0c\0\0\0\0", 0, "");
}

static void unasked(void **state)
{
    (void)state;
    struct pair p;
    struct ssh_agent_request *r;
    begin(&p);
    turns(&p);
    SAY(&p, REFUSED);
    turns(&p);
    assert_int_equal(ssh_agent_list(p.agent, on_answer, &p, &r), NK_EPROTO);
    assert_int_equal(p.calls, 0);
    end(&p);
}

static void another_algorithm(void **state)
{
    (void)state;
    struct pair p;
    struct ssh_agent_request *r;
    begin(&p);
    assert_int_equal(ssh_agent_sign(p.agent, STR("b"), "d", 1, "rsa-sha2-256", on_answer, &p, &r),
                     0);
    turns(&p);
    SAY(&p, SIGNED);
    turns(&p);
    assert_int_equal(p.rc, NK_EPROTO);
    end(&p);
}

static void ended_early(void **state)
{
    (void)state;
    struct pair p;
    struct ssh_agent_request *r, *r2;
    begin(&p); /* closed from within the answer, with another request under way */
    p.close_at_once = true;
    assert_int_equal(ssh_agent_list(p.agent, on_answer, &p, &r), 0);
    assert_int_equal(ssh_agent_list(p.agent, on_answer, &p, &r2), 0);
    turns(&p);
    SAY(&p, TWO_KEYS);
    SAY(&p, REFUSED);
    turns(&p);
    assert_int_equal(p.calls, 1);
    assert_null(p.agent);
    end(&p);
    begin(&p); /* cancelled: the answer goes to nobody, the next one to its own */
    assert_int_equal(ssh_agent_list(p.agent, on_answer, &p, &r), 0);
    assert_int_equal(ssh_agent_list(p.agent, on_answer, &p, &r2), 0);
    ssh_agent_cancel(r);
    turns(&p);
    SAY(&p, REFUSED);
    turns(&p);
    assert_int_equal(p.calls, 0);
    SAY(&p, TWO_KEYS);
    turns(&p);
    assert_int_equal(p.calls, 1);
    assert_int_equal(p.rc, 0);
    end(&p);
    begin(&p); /* closed by the agent, and then by us from within */
    p.close_at_once = true;
    assert_int_equal(ssh_agent_list(p.agent, on_answer, &p, &r), 0);
    assert_int_equal(ssh_agent_list(p.agent, on_answer, &p, &r2), 0);
    close(p.fd);
    p.fd = -1;
    turns(&p);
    assert_int_equal(p.calls, 1);
    end(&p);
    begin(&p);
    assert_int_equal(ssh_agent_list(p.agent, on_answer, &p, &r), 0);
    end(&p);
    assert_int_equal(p.calls, 0);
}

static void no_agent(void **state)
{
    (void)state;
    struct pair p = {.rc = 1, .fd = -1};
    const struct nk_app_conf conf = {0};
    struct ssh_agent_request *r;
    struct nk_diag diag;
    assert_int_equal(nk_app_new(&p.app, &conf, NULL), 0);
    assert_int_equal(ssh_agent_open(p.app, "/nonexistent, agent=%", &p.agent, &diag), 0);
    assert_int_equal(ssh_agent_list(p.agent, on_answer, &p, &r), 0);
    turns(&p);
    assert_int_equal(p.calls, 1);
    assert_int_equal(p.rc, -ENOENT);
    end(&p);
    assert_null(ssh_agent_path("none"));
    assert_string_equal(ssh_agent_path("/run/a"), "/run/a");
    setenv("NK_TEST_AGENT", "/run/b", 1);
    assert_string_equal(ssh_agent_path("$NK_TEST_AGENT"), "/run/b");
    unsetenv("NK_TEST_AGENT");
    assert_null(ssh_agent_path("$NK_TEST_AGENT"));
}

static void too_big(void **state)
{
    (void)state;
    struct nk_buf b;
    struct ssh_str big = {(const uint8_t *)TWO_KEYS, SSH_AGENT_MAX};
    nk_buf_init(&b, 64);
    assert_int_equal(ssh_agent_put_sign(&b, big, "", 0, "x"), NK_ETOOBIG);
    assert_int_equal(ssh_agent_put_bind(&b, big, big, big, false), NK_ETOOBIG);
    assert_int_equal(nk_buf_len(&b), 0);
    nk_buf_clear(&b);
}

/* --- memory ----------------------------------------------------------------------------------- */

/* As on_answer, without assertions. */
static void note(void *owner, const struct ssh_agent_answer *a)
{
    struct pair *p = owner;
    p->calls++;
    p->rc = a->rc;
    p->nkeys = a->nkeys;
}

/* Each request in turn, with its answer. */
static int ask_all(struct pair *p)
{
    static const char bound[] = "\0\0\0\x01\x06";
    const struct {
        const char *text;
        size_t n;
    } said[] = {{TWO_KEYS, sizeof(TWO_KEYS) - 1}, {SIGNED, sizeof(SIGNED) - 1}, {bound, 5}};
    struct ssh_agent_request *r;
    for (int i = 0; i < 3; i++) {
        int rc = i == 0 ? ssh_agent_list(p->agent, note, p, &r)
                 : i == 1
                     ? ssh_agent_sign(p->agent, STR("k"), "d", 1, "ssh-ed25519", note, p, &r)
                     : ssh_agent_bind(p->agent, STR("h"), STR("i"), STR("s"), false, note, p, &r);
        if (rc < 0) {
            return rc;
        }
        if (write(p->fd, said[i].text, said[i].n) != (ssize_t)said[i].n) {
            return 1;
        }
        for (int turn = 0; turn < 5 && p->calls == i; turn++) {
            nk_app_turn(p->app, 10);
        }
        if (p->calls != i + 1 || p->rc != 0) {
            return p->rc < 0 ? p->rc : 1;
        }
        if (i == 0 && p->nkeys != 2) {
            return 1;
        }
    }
    return 0;
}

static int whole_life(void *arg)
{
    const struct nk_app_conf conf = {0};
    struct pair p = {.rc = 1};
    struct nk_stream *s;
    int fds[2];
    (void)arg;
    nk_torture_pause();
    if (nk_app_new(&p.app, &conf, NULL) < 0 ||
        socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) < 0) {
        return 1;
    }
    p.fd = fds[1];
    int rc = nk_stream_from_fd(p.app, fds[0], "unix", &s);
    nk_torture_resume();
    rc = rc < 0 ? rc : ssh_agent_over(p.app, s, &p.agent);
    rc = rc < 0 ? rc : ask_all(&p);
    end(&p);
    return rc;
}

static void without_memory(void **state)
{
    (void)state;
    assert_true(nk_torture(whole_life, NULL) >= 5); /* the agent, three requests, a list */
}

int nk_test_ssh_agent(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests),    cmocka_unit_test(hostile),
        cmocka_unit_test(unasked),     cmocka_unit_test(another_algorithm),
        cmocka_unit_test(ended_early), cmocka_unit_test(no_agent),
        cmocka_unit_test(too_big),     cmocka_unit_test(without_memory),
    };
    return cmocka_run_group_tests_name("ssh/agent", tests, NULL, NULL);
}
