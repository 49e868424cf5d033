/* SPDX-License-Identifier: MIT */
/*
 * fd:N and fd:NAME - a descriptor that came from outside: a connected socket or pipe, or a
 * listening socket. NAME is one of LISTEN_FDNAMES (sd_listen_fds(3)): descriptors from 3 on, in
 * order, meant for the process LISTEN_PID. A listener works on a duplicate, so it can be closed and
 * opened again.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/codec.h"
#include "core/registry.h"

enum {
    FIRST_FD = 3, /* SD_LISTEN_FDS_START */
    MAX_FD = 1 << 20,
    MAX_NAME = 255 /* sd_listen_fds_with_names(3) */
};

static bool is_number(const char *body)
{
    return body[0] != '\0' && strspn(body, "0123456789") == strlen(body);
}

static int decode_name(const char *body, char *out, size_t max, struct nk_diag *diag)
{
    ssize_t n = nk_percent_decode(out, max, body, strlen(body));
    return n <= 0 ? nk_fail(diag, NK_ECONFIG, "write a number (fd:3) or a name (fd:web)") : 0;
}

static int fd_check(const struct nk_ep_layer *layer, enum nk_ep_role role, struct nk_diag *diag)
{
    char name[MAX_NAME + 1];
    uint64_t v;
    (void)role;
    if (is_number(layer->body)) {
        if (nk_parse_u64(layer->body, &v) < 0 || v > MAX_FD) {
            return nk_fail(diag, NK_ECONFIG, "no descriptor has the number %s", layer->body);
        }
        return 0;
    }
    return decode_name(layer->body, name, sizeof(name), diag);
}

/* Our pid, or 1 for the child that serves while process 1 only reaps (core/launcher.h). */
static bool meant_for_us(const char *pid)
{
    uint64_t v;
    return nk_parse_u64(pid, &v) == 0 && (v == (uint64_t)getpid() || (v == 1 && getppid() == 1));
}

static int find_named(const char *name, struct nk_diag *diag)
{
    const char *pid = getenv("LISTEN_PID"), *count = getenv("LISTEN_FDS");
    const char *names = getenv("LISTEN_FDNAMES");
    uint64_t n;
    if (!pid || !count || nk_parse_u64(count, &n) < 0) {
        return nk_fail(diag, NK_ECONFIG, "no descriptor '%s': nothing was passed (LISTEN_FDS)",
                       name);
    }
    if (!meant_for_us(pid)) {
        return nk_fail(diag, NK_ECONFIG,
                       "no descriptor '%s': what LISTEN_FDS names is for process %s", name, pid);
    }
    for (uint64_t i = 0; names && i < n && i < MAX_FD; i++) {
        size_t len = strcspn(names, ":");
        if (len == strlen(name) && strncmp(names, name, len) == 0) {
            return (int)(FIRST_FD + i);
        }
        names = names[len] ? names + len + 1 : NULL;
    }
    nk_fail(diag, NK_ECONFIG, "no descriptor is called '%s'", name);
    nk_hint(diag, "LISTEN_FDNAMES is '%.100s'",
            getenv("LISTEN_FDNAMES") ? getenv("LISTEN_FDNAMES") : "");
    return NK_ECONFIG;
}

static int find_fd(const char *body, struct nk_diag *diag)
{
    char name[MAX_NAME + 1];
    uint64_t v;
    int fd;
    if (is_number(body) && nk_parse_u64(body, &v) == 0) {
        fd = (int)v;
    } else {
        int rc = decode_name(body, name, sizeof(name), diag);
        fd = rc < 0 ? rc : find_named(name, diag);
    }
    if (fd >= 0 && fcntl(fd, F_GETFD) < 0) {
        return nk_fail_sys(diag, -errno, "fd:%s", body);
    }
    return fd;
}

static int fd_dial(struct nk_app *app, const struct nk_ep_layer *layer, struct nk_stream **out,
                   struct nk_diag *diag)
{
    int fd = find_fd(layer->body, diag);
    if (fd < 0) {
        return fd;
    }
    (void)fcntl(fd, F_SETFD, FD_CLOEXEC); /* it is open, so this cannot fail */
    return nk_stream_from_inherited(app, fd, fd, "fd", out, diag);
}

static int fd_listen(struct nk_app *app, const struct nk_ep_layer *layer, nk_accept_fn *fn,
                     void *owner, struct nk_listener **out, struct nk_diag *diag)
{
    static const struct nk_listener_fd_conf conf = {.name = "fd", .inherited = true};
    int fd = find_fd(layer->body, diag), listening = 0;
    socklen_t len = sizeof(listening);
    if (fd < 0) {
        return fd;
    }
    if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &len) < 0 || !listening) {
        return nk_fail(diag, NK_ECONFIG, "fd:%s is not a listening socket", layer->body);
    }
    (void)fcntl(fd, F_SETFD, FD_CLOEXEC);
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, FIRST_FD);
    if (copy < 0) {
        return nk_fail_sys(diag, -errno, "fd:%s", layer->body);
    }
    return nk_listener_over_fd(app, copy, &conf, fn, owner, out, diag);
}

const struct nk_ep_driver nk_ep_fd = {
    .scheme = "fd",
    .summary = "Descriptor passed by the parent or by socket activation",
    .body_help = "NUMBER|NAME",
    .flags = NK_EP_CAN_CONNECT | NK_EP_CAN_LISTEN,
    .check = fd_check,
    .dial = fd_dial,
    .listen = fd_listen,
};
