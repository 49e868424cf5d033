/* SPDX-License-Identifier: MIT */
#include "net/conform_testkit.h"

#include <stdlib.h>
#include <sys/socket.h>

static int open_socketpair(struct nk_app *app, struct nk_stream **a, struct nk_stream **b)
{
    int fd[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd) < 0) {
        return -errno;
    }
    int rc = nk_stream_from_fd(app, fd[0], "pair", a);
    return rc < 0 ? rc : nk_stream_from_fd(app, fd[1], "pair", b);
}

static const struct nk_conform_row rows[] = {
    {.name = "mem", .listen = "mem:x", .refused = "mem:nobody"},
    {.name = "mem, tiny",
     .listen = "mem:x,capacity=7,chunk=3",
     .suffix = ",capacity=5",
     .flags = NK_CONFORM_TINY},
    {.name = "tcp, IPv4", .listen = "tcp:127.0.0.1:0", .refused = "tcp:127.0.0.1:1"},
    {.name = "tcp, IPv6", .listen = "tcp:[::1]:0", .refused = "tcp:[::1]:1"},
    {.name = "tcp, localhost", .listen = "tcp:localhost:0", .refused = "tcp:localhost:1"},
    {.name = "tcp, tiny windows",
     .listen = "tcp:127.0.0.1:0,sndbuf=4096,rcvbuf=2048",
     .suffix = ",sndbuf=4096,rcvbuf=2048"},
    {.name = "unix, abstract", .listen = "unix:@netkit-conform", .refused = "unix:@netkit-nobody"},
    {.name = "unix, small buffers",
     .listen = "unix:@netkit-conform,sndbuf=4096",
     .suffix = ",sndbuf=4096"},
    {.name = "socketpair", .open = open_socketpair},
};

int nk_test_net_conform(void)
{
    return nk_conform_run("net/conform", rows, sizeof(rows) / sizeof(rows[0]), NULL);
}
