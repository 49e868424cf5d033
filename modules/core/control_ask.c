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
#include "base/cmd.h"
#include "base/file.h"
#include "core/control.h"

#define READ_SIZE ((size_t)4096)

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

int nk_control_connect(const char *path, int *out)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    size_t len = strlen(path);
    if (len >= sizeof(to.sun_path)) {
        return NK_ETOOBIG;
    }
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return -errno;
    }
    memcpy(to.sun_path, path, len + 1);
    if (connect(fd, (const struct sockaddr *)&to, sizeof(to)) < 0) {
        int rc = errno == ENOENT || errno == ECONNREFUSED ? NK_ECLOSED : -errno;
        close(fd);
        return rc;
    }
    *out = fd;
    return 0;
}

static int connect_to(const struct nk_control_ask *ask, int *out, struct nk_diag *diag)
{
    char path[NK_PATH_MAX];
    int rc = nk_path_join(path, sizeof(path), ask->dir, NK_CONTROL_NAME);
    rc = rc < 0 ? rc : nk_control_connect(path, out);
    if (rc == NK_ECLOSED) {
        nk_fail(diag, rc, "%s is not running in %s", ask->who, ask->dir);
        nk_hint(diag, "--state-dir says which one is meant");
    } else if (rc == NK_ETOOBIG) {
        nk_fail(diag, rc, "%s: the path is too long for a socket", ask->dir);
    } else if (rc < 0) {
        nk_fail_sys(diag, rc, "%s", path);
    }
    return rc;
}

/* The request line, words encoded as control.h says. */
static int put_request(const struct nk_control_ask *ask, struct nk_buf *out)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < ask->n; i++) {
        rc = i > 0 ? nk_buf_u8(out, ' ') : 0;
        for (const char *p = ask->words[i]; rc == 0 && *p; p++) {
            bool plain = (unsigned char)*p > ' ' && *p != '%' && *p != '\x7f';
            rc = plain ? nk_buf_u8(out, (uint8_t)*p)
                       : nk_buf_printf(out, "%%%02X", (unsigned)(unsigned char)*p);
        }
    }
    return rc < 0 ? rc : nk_buf_u8(out, '\n');
}

static int send_all(int fd, struct nk_buf *line, uint64_t deadline)
{
    while (nk_buf_len(line) > 0) {
        ssize_t put = send(fd, nk_buf_ptr(line), nk_buf_len(line), MSG_NOSIGNAL);
        if (put > 0) {
            nk_buf_consume(line, (size_t)put);
            continue;
        }
        int rc = errno == EAGAIN ? wait_for(fd, POLLOUT, deadline) : -errno;
        if (rc < 0 && rc != -EINTR) {
            return rc;
        }
    }
    return 0;
}

static int send_request(int fd, const struct nk_control_ask *ask, uint64_t deadline)
{
    struct nk_buf line;
    nk_buf_init(&line, NK_CONTROL_REQUEST);
    int rc = put_request(ask, &line);
    rc = rc < 0 ? rc : send_all(fd, &line, deadline);
    nk_buf_clear(&line);
    return rc;
}

static int read_answer(int fd, struct nk_buf *out, uint64_t deadline)
{
    for (;;) {
        uint8_t *to;
        int rc = wait_for(fd, POLLIN, deadline);
        rc = rc < 0 ? rc : nk_buf_reserve(out, READ_SIZE, &to);
        if (rc < 0) {
            return rc;
        }
        ssize_t n = recv(fd, to, READ_SIZE, 0);
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
static int take_verdict(const struct nk_control_ask *ask, struct nk_buf *out, struct nk_diag *diag)
{
    const char *text = nk_buf_str(out);
    const char *end = text ? strchr(text, '\n') : NULL;
    if (!end) {
        return nk_fail(diag, text ? NK_EPROTO : -ENOMEM, "the answer of %s is cut short", ask->who);
    }
    if (strncmp(text, "ok\n", 3) == 0) {
        nk_buf_consume(out, 3);
        return 0;
    }
    char *rest = NULL;
    long status = strncmp(text, "error ", 6) == 0 ? strtol(text + 6, &rest, 10) : 0;
    if (status < 1 || status > 255 || !rest || *rest != ' ') {
        return nk_fail(diag, NK_EPROTO, "%s gave an answer that is none", ask->who);
    }
    nk_fail(diag, NK_EINTERNAL, "%.*s", (int)(end - rest - 1), rest + 1);
    return (int)status;
}

int nk_control_ask(const struct nk_control_ask *ask, struct nk_buf *out, struct nk_diag *diag)
{
    int fd = -1;
    uint64_t deadline = ask->timeout_ms ? now_ms() + ask->timeout_ms : 0;
    int rc = connect_to(ask, &fd, diag);
    if (rc < 0) {
        return rc;
    }
    rc = send_request(fd, ask, deadline);
    rc = rc < 0 ? rc : read_answer(fd, out, deadline);
    close(fd);
    return rc < 0 ? nk_fail_sys(diag, rc, "asking %s", ask->who) : take_verdict(ask, out, diag);
}

int nk_control_show(struct nk_cmd_ctx *ctx, const struct nk_control_ask *ask)
{
    struct nk_buf out;
    nk_buf_init(&out, NK_CONTROL_ANSWER);
    int rc = nk_control_ask(ask, &out, &ctx->diag);
    if (rc == 0) {
        nk_cli_print(&out);
    } else if (rc > 0) {
        nk_cli_report(ctx->self->name, &ctx->diag, ctx->globals->json);
    }
    nk_buf_clear(&out);
    return rc;
}
