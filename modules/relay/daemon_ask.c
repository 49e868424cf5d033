/* SPDX-License-Identifier: MIT */
#include "relay/daemon_ask.h"

#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/cli.h"
#include "base/file.h"
#include "core/control.h"
#include "relay/daemon_service.h"

#define READ_SIZE ((size_t)256 * 1024)
#define FRAME_MAX ((size_t)UINT32_MAX + RELAY_DAEMON_HEADER)

static uint64_t now_ms(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static int wait_for(const struct relay_daemon_link *l, short events)
{
    for (;;) {
        struct pollfd p = {.fd = l->fd, .events = events};
        uint64_t now = l->deadline ? now_ms() : 0;
        if (l->deadline && now >= l->deadline) {
            return -ETIMEDOUT;
        }
        uint64_t left = l->deadline - now;
        int n = poll(&p, 1, !l->deadline ? -1 : left > INT32_MAX ? INT32_MAX : (int)left);
        if (n > 0) {
            return 0;
        }
        if (n < 0 && errno != EINTR) {
            return -errno;
        }
    }
}

static int failed(struct relay_daemon_link *l, int status)
{
    if (status == NK_ECLOSED || status == -EPIPE || status == -ECONNRESET) {
        return nk_fail(l->diag, NK_ECLOSED, "endpoint %s ended", l->name);
    }
    return nk_fail_sys(l->diag, status, "endpoint %s", l->name);
}

int relay_daemon_write(struct relay_daemon_link *l, const void *p, size_t n)
{
    const uint8_t *at = p;
    while (n > 0) {
        ssize_t put = send(l->fd, at, n, MSG_NOSIGNAL);
        if (put > 0) {
            at += put;
            n -= (size_t)put;
            l->sent += (uint64_t)put;
            relay_endpoint_progress_tick(&l->progress, l->sent, l->received);
            continue;
        }
        int rc = errno == EAGAIN ? wait_for(l, POLLOUT) : errno == EINTR ? 0 : -errno;
        if (rc < 0) {
            return failed(l, rc);
        }
    }
    return 0;
}

int relay_daemon_say(struct relay_daemon_link *l, struct nk_buf *b)
{
    int rc = relay_daemon_write(l, nk_buf_ptr(b), nk_buf_len(b));
    nk_buf_reset(b);
    return rc;
}

static int read_more(struct relay_daemon_link *l, size_t want)
{
    uint8_t *to;
    want = want < READ_SIZE ? READ_SIZE : want;
    int rc = nk_buf_reserve(&l->in, want, &to);
    if (rc < 0) {
        return rc;
    }
    ssize_t n = recv(l->fd, to, want, 0);
    if (n > 0) {
        nk_buf_commit(&l->in, (size_t)n);
        l->received += (uint64_t)n;
        relay_endpoint_progress_tick(&l->progress, l->sent, l->received);
        return 0;
    }
    if (n == 0) {
        return NK_ECLOSED;
    }
    return errno == EAGAIN ? wait_for(l, POLLIN) : errno == EINTR ? 0 : -errno;
}

int relay_daemon_next(struct relay_daemon_link *l, enum relay_daemon_type *type, const uint8_t **p,
                      size_t *n)
{
    nk_buf_consume(&l->in, l->frame);
    l->frame = 0;
    for (;;) {
        size_t have = nk_buf_len(&l->in), need = RELAY_DAEMON_HEADER;
        if (have >= need) {
            if (relay_daemon_header(nk_buf_ptr(&l->in), type, n) < 0) {
                return nk_fail(l->diag, NK_EPROTO, "endpoint %s: not an answer", l->name);
            }
            need += *n;
        }
        if (have >= need) {
            *p = nk_buf_ptr(&l->in) + RELAY_DAEMON_HEADER;
            l->frame = need;
            return 0;
        }
        int rc = read_more(l, need - have);
        if (rc < 0) {
            return failed(l, rc);
        }
    }
}

int relay_daemon_verdict(struct relay_daemon_link *l, enum relay_daemon_type type, const uint8_t *p,
                         size_t n, struct relay_daemon_done *out)
{
    struct relay_daemon_done done;
    if (type != DAEMON_DONE || relay_daemon_get_done(p, n, &done) < 0) {
        return nk_fail(l->diag, NK_EPROTO, "endpoint %s: not an answer", l->name);
    }
    if (done.status > 0) {
        nk_fail(l->diag, NK_EINTERNAL, "endpoint %s: %.*s", l->name,
                done.len < INT32_MAX ? (int)done.len : 0, done.text);
    }
    if (out) {
        *out = done;
    }
    return (int)done.status;
}

int relay_daemon_wait(struct relay_daemon_link *l, struct relay_daemon_done *out)
{
    enum relay_daemon_type type;
    const uint8_t *p;
    size_t n;
    int rc = relay_daemon_next(l, &type, &p, &n);
    return rc < 0 ? rc : relay_daemon_verdict(l, type, p, n, out);
}

static int dial(struct relay_daemon_link *l, const char *state_dir)
{
    char dir[NK_PATH_MAX], path[NK_PATH_MAX];
    int rc = nk_service_dir(dir, sizeof(dir), state_dir, RELAY_DAEMON_SECTION, l->name);
    rc = rc < 0 ? rc : nk_path_join(path, sizeof(path), dir, NK_CONTROL_NAME);
    rc = rc < 0 ? rc : nk_control_connect(path, &l->fd);
    if (rc == NK_ECLOSED) {
        nk_fail(l->diag, rc, "no endpoint daemon '%s' is running in %s", l->name, state_dir);
        nk_hint(l->diag, "'netkit endpoint daemon --name %s' starts one", l->name);
    } else if (rc < 0) {
        nk_fail_sys(l->diag, rc, "endpoint %s", l->name);
    }
    return rc;
}

static int greet(struct relay_daemon_link *l)
{
    struct nk_buf hello;
    enum relay_daemon_type type;
    const uint8_t *p;
    size_t n;
    nk_buf_init(&hello, READ_SIZE);
    int rc = relay_daemon_put_hello(&hello);
    rc = rc < 0 ? rc : relay_daemon_say(l, &hello);
    nk_buf_clear(&hello);
    rc = rc < 0 ? rc : relay_daemon_next(l, &type, &p, &n);
    if (rc == 0 && type == DAEMON_HELLO && relay_daemon_get_hello(p, n) == 0) {
        return 0;
    }
    if (rc == 0 && type == DAEMON_DONE) {
        return relay_daemon_verdict(l, type, p, n, NULL);
    }
    return rc < 0
               ? rc
               : nk_fail(l->diag, NK_EVERSION, "endpoint %s is another version of netkit", l->name);
}

int relay_daemon_connect(struct relay_daemon_link *l, struct nk_cmd_ctx *ctx, const char *name,
                         uint64_t timeout_ms)
{
    *l = (struct relay_daemon_link){.fd = -1,
                                    .name = name ? name : RELAY_DAEMON_NAME,
                                    .deadline = timeout_ms ? now_ms() + timeout_ms : 0,
                                    .diag = &ctx->diag};
    relay_endpoint_progress_open(&l->progress, ctx->globals);
    nk_buf_init(&l->in, FRAME_MAX + READ_SIZE);
    int rc = relay_daemon_name_check(l->name, l->diag);
    rc = rc < 0 ? rc : dial(l, ctx->globals->state_dir);
    return rc < 0 ? rc : greet(l);
}

void relay_daemon_hangup(struct relay_daemon_link *l)
{
    relay_endpoint_progress_stop(&l->progress);
    if (l->fd >= 0) {
        close(l->fd);
        l->fd = -1;
    }
    nk_buf_clear(&l->in);
}

int relay_daemon_result(struct nk_cmd_ctx *ctx, int status)
{
    if (status > 0) {
        nk_cli_report(ctx->self->name, &ctx->diag, ctx->globals->json);
    }
    return status;
}
