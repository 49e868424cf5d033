/* SPDX-License-Identifier: MIT */
/* The client's side needs no loop: it waits for one answer, and signals end it as they end any
 * program. */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/cli.h"
#include "base/file.h"
#include "service/control.h"

static uint64_t now_ms(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

/* Wait for events on fd until `deadline` (0: for ever). 0, -ETIMEDOUT or -errno. */
static int wait_for(int fd, short events, uint64_t deadline)
{
    for (;;) {
        struct pollfd p = {.fd = fd, .events = events};
        uint64_t now = now_ms();
        if (deadline && now >= deadline) {
            return -ETIMEDOUT;
        }
        uint64_t left = deadline ? deadline - now : 0;
        int n = poll(&p, 1, !deadline ? -1 : left > INT32_MAX ? INT32_MAX : (int)left);
        if (n > 0) {
            return 0;
        }
        if (n < 0 && errno != EINTR) {
            return -errno;
        }
    }
}

static int connect_to(const char *dir, int *out, struct nk_diag *diag)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    if (nk_path_join(to.sun_path, sizeof(to.sun_path), dir, SERVICE_CONTROL_NAME) < 0) {
        return nk_fail(diag, NK_ETOOBIG, "the state directory's path is too long for a socket");
    }
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return nk_fail_sys(diag, -errno, "socket");
    }
    if (connect(fd, (const struct sockaddr *)&to, sizeof(to)) < 0) {
        int rc = -errno;
        close(fd);
        if (rc == -ENOENT || rc == -ECONNREFUSED) {
            rc = nk_fail(diag, NK_ECLOSED, "'netkit run' is not running in %s", dir);
            nk_hint(diag, "--state-dir says which one is meant");
            return rc;
        }
        return nk_fail_sys(diag, rc, "%s", to.sun_path);
    }
    *out = fd;
    return 0;
}

static int send_request(int fd, const char *request, uint64_t deadline)
{
    char line[SERVICE_CONTROL_REQUEST + 1];
    int n = snprintf(line, sizeof(line), "%s\n", request);
    if (n < 0 || (size_t)n >= sizeof(line)) {
        return NK_ETOOBIG;
    }
    for (int at = 0; at < n;) {
        ssize_t put = send(fd, line + at, (size_t)(n - at), MSG_NOSIGNAL);
        if (put > 0) {
            at += (int)put;
            continue;
        }
        int rc = errno == EAGAIN ? wait_for(fd, POLLOUT, deadline) : -errno;
        if (rc < 0 && rc != -EINTR) {
            return rc;
        }
    }
    return 0;
}

static int read_answer(int fd, struct nk_buf *out, uint64_t deadline)
{
    for (;;) {
        uint8_t *to;
        int rc = wait_for(fd, POLLIN, deadline);
        rc = rc < 0 ? rc : nk_buf_reserve(out, 4096, &to);
        if (rc < 0) {
            return rc;
        }
        ssize_t n = recv(fd, to, 4096, 0);
        if (n == 0) {
            return 0;
        }
        if (n > 0) {
            nk_buf_commit(out, (size_t)n);
        } else if (errno != EAGAIN && errno != EINTR) {
            return -errno;
        }
    }
}

/* Take the first line off; 0, the exit status of an error, or NK_EPROTO. */
static int take_verdict(struct nk_buf *out, struct nk_diag *diag)
{
    const char *text = nk_buf_str(out);
    const char *end = text ? strchr(text, '\n') : NULL;
    if (!end) {
        return nk_fail(diag, text ? NK_EPROTO : -ENOMEM, "the answer of 'netkit run' is cut short");
    }
    if (strncmp(text, "ok\n", 3) == 0) {
        nk_buf_consume(out, 3);
        return 0;
    }
    char *rest = NULL;
    long status = strncmp(text, "error ", 6) == 0 ? strtol(text + 6, &rest, 10) : 0;
    if (status < 1 || status > 255 || !rest || *rest != ' ') {
        return nk_fail(diag, NK_EPROTO, "'netkit run' gave an answer that is none");
    }
    nk_fail(diag, NK_EINTERNAL, "%.*s", (int)(end - rest - 1), rest + 1);
    return (int)status;
}

int service_control_ask(struct nk_cmd_ctx *ctx, const char *request, uint64_t timeout_ms,
                        struct nk_buf *out)
{
    int fd = -1;
    uint64_t deadline = timeout_ms ? now_ms() + timeout_ms : 0;
    int rc = connect_to(ctx->globals->state_dir, &fd, &ctx->diag);
    if (rc < 0) {
        return rc;
    }
    rc = send_request(fd, request, deadline);
    rc = rc < 0 ? rc : read_answer(fd, out, deadline);
    close(fd);
    if (rc < 0) {
        return nk_fail_sys(&ctx->diag, rc, "asking 'netkit run'");
    }
    return take_verdict(out, &ctx->diag);
}

int service_control_run(struct nk_cmd_ctx *ctx, const char *request, uint64_t timeout_ms)
{
    struct nk_buf out;
    uint64_t limit = ctx->globals->timeout_ms ? ctx->globals->timeout_ms : timeout_ms;
    nk_buf_init(&out, SERVICE_CONTROL_ANSWER);
    int rc = service_control_ask(ctx, request, limit, &out);
    if (rc == 0) {
        nk_cli_print(&out);
    } else if (rc > 0) {
        nk_cli_report(ctx->self->name, &ctx->diag, ctx->globals->json);
    }
    nk_buf_clear(&out);
    return rc;
}
