/* SPDX-License-Identifier: MIT */
#include "net/conform_testkit.h"
#include "core/pump.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static int open_socketpair(struct nk_app *app, struct nk_stream **a, struct nk_stream **b)
{
    int fd[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd) < 0) {
        return -errno;
    }
    int rc = nk_stream_from_fd(app, fd[0], "pair", a);
    return rc < 0 ? rc : nk_stream_from_fd(app, fd[1], "pair", b);
}

/* As fd: has it: the descriptions may be shared, so nothing is changed on them. */
static int open_inherited(struct nk_app *app, struct nk_stream **a, struct nk_stream **b)
{
    int fd[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd) < 0) {
        return -errno;
    }
    int rc = nk_stream_from_inherited(app, fd[0], fd[0], "a", a, NULL);
    return rc < 0 ? rc : nk_stream_from_inherited(app, fd[1], fd[1], "b", b, NULL);
}

/* As stdio: has it in a pipeline: one pipe in, another one out. */
static int open_pipes(struct nk_app *app, struct nk_stream **a, struct nk_stream **b)
{
    int there[2], back[2];
    if (pipe2(there, O_CLOEXEC) < 0 || pipe2(back, O_CLOEXEC) < 0) {
        return -errno;
    }
    int rc = nk_stream_from_inherited(app, back[0], there[1], "a", a, NULL);
    return rc < 0 ? rc : nk_stream_from_inherited(app, there[0], back[1], "b", b, NULL);
}

/* Two socket pairs with a pump between them, which is closed with the app. */
static void on_pumped(void *owner, const struct nk_pump_result *r)
{
    (void)r;
    *(struct nk_pump **)owner = NULL;
}

static void pump_free(void *value)
{
    struct nk_pump **p = value;
    nk_pump_close(*p);
    free(p);
}

static int open_pumped(struct nk_app *app, enum nk_pump_how how, struct nk_stream **a,
                       struct nk_stream **b)
{
    const struct nk_pump_conf conf = {.how = how};
    struct nk_stream *x, *y;
    struct nk_pump **p = calloc(1, sizeof(*p)); /* its address is the slot's key, too */
    int rc = p ? nk_app_slot_set(app, p, p, pump_free) : -ENOMEM;
    rc = rc < 0 ? rc : open_socketpair(app, a, &x);
    rc = rc < 0 ? rc : open_socketpair(app, &y, b);
    return rc < 0 ? rc : nk_pump_start(app, x, y, &conf, on_pumped, p, p);
}

static int open_copied(struct nk_app *app, struct nk_stream **a, struct nk_stream **b)
{
    return open_pumped(app, NK_PUMP_COPY, a, b);
}

static int open_spliced(struct nk_app *app, struct nk_stream **a, struct nk_stream **b)
{
    return open_pumped(app, NK_PUMP_SPLICE, a, b);
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
    {.name = "unix, abstract",
     .listen = "unix:@netkit-conform-$$",
     .refused = "unix:@netkit-nobody-$$"},
    {.name = "unix, small buffers",
     .listen = "unix:@netkit-conform-$$,sndbuf=4096",
     .suffix = ",sndbuf=4096"},
    {.name = "socketpair", .open = open_socketpair},
    {.name = "pump that copies", .open = open_copied},
    {.name = "pump through pipes", .open = open_spliced},
    {.name = "inherited socket", .open = open_inherited},
    {.name = "inherited pipes", .open = open_pipes},
};

int nk_test_net_conform(void)
{
    return nk_conform_run("net/conform", rows, sizeof(rows) / sizeof(rows[0]), NULL);
}
