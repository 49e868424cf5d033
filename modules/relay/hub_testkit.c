/* SPDX-License-Identifier: MIT */
#include "relay/hub_testkit.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/stream.h"

#define MIB ((uint64_t)1024 * 1024)

static void on_drained(void *owner)
{
    ((struct relay_hub_testkit *)owner)->drained = true;
}

struct relay_limits relay_hub_testkit_limits(void)
{
    return (struct relay_limits){.header_size = RELAY_HUB_TESTKIT_HEADER,
                                 .max_object = 4 * MIB,
                                 .max_memory = 64 * MIB,
                                 .max_backlog = 8 * MIB,
                                 .max_connections = 100,
                                 .max_guests = 50,
                                 .hello_ms = 10000,
                                 .ping_ms = 3600000,
                                 .dead_ms = 3 * 3600000,
                                 .stall_ms = 10000,
                                 .grace_ms = 30000};
}

int relay_hub_testkit_open(struct relay_hub_testkit *k, const struct relay_hub_testkit_conf *conf)
{
    const struct nk_app_conf app = {.clock_scale = conf->clock_scale};
    const struct relay_engine_chaos chaos = {.seed = 42, .delay_percent = 50};
    const struct relay_groups_conf groups = {.max_groups = conf->max_groups,
                                             .listed_only = conf->listed};
    struct nk_secret pw = {0};
    *k = (struct relay_hub_testkit){.over = conf->over};
    int rc = nk_app_new(&k->app, &app, NULL);
    k->groups = rc < 0 ? NULL : relay_groups_new(&groups);
    rc = rc < 0 || k->groups ? rc : -ENOMEM;
    rc = rc < 0 ? rc
                : relay_engine_testkit_open(k->over, &chaos, k->app, k->groups, &k->memory, k->dir,
                                            &k->engine);
    rc = rc < 0 ? rc : nk_secret_set(&pw, "pw", 2);
    k->login = rc < 0 ? NULL : relay_login_new(&pw);
    rc = rc < 0 || k->login ? rc : -ENOMEM;
    const struct relay_hub_conf hub = {.app = k->app,
                                       .limits = conf->limits,
                                       .wires = conf->wires,
                                       .login = k->login,
                                       .engine = k->engine,
                                       .groups = k->groups,
                                       .memory = &k->memory,
                                       .on_drained = on_drained,
                                       .owner = k};
    return rc < 0 ? rc : relay_hub_new(&k->hub, &hub);
}

int relay_hub_testkit_connect(struct relay_hub_testkit *k, const char *scheme, int *fd)
{
    int pair[2];
    struct nk_stream *s;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) < 0) {
        return -errno;
    }
    int rc = nk_stream_from_fd(k->app, pair[0], scheme, &s);
    if (rc < 0) {
        close(pair[0]);
        close(pair[1]);
        return rc;
    }
    nk_stream_raise(s, NK_CONNECTED);
    *fd = pair[1];
    relay_hub_accept(k->hub, s, false);
    return 0;
}

int relay_hub_testkit_pull(int fd, struct nk_buf *in)
{
    for (;;) {
        uint8_t *to;
        int rc = nk_buf_reserve(in, RELAY_HUB_TESTKIT_READ, &to);
        if (rc < 0) {
            return rc;
        }
        ssize_t n = recv(fd, to, RELAY_HUB_TESTKIT_READ, 0);
        if (n <= 0) {
            return n < 0 && errno == EAGAIN;
        }
        nk_buf_commit(in, (size_t)n);
    }
}

bool relay_hub_testkit_close(struct relay_hub_testkit *k)
{
    bool clean = true;
    relay_hub_free(k->hub);
    relay_engine_free(k->engine);
    if (k->dir[0]) {
        while (nk_app_turn(k->app, 1000)) { /* what is under way on the disk */
        }
        clean = lt_dir_remove(k->dir);
    }
    clean = clean && k->memory.used == 0;
    relay_groups_free(k->groups);
    relay_memory_trim(&k->memory);
    relay_login_unref(k->login);
    nk_app_free(k->app);
    return clean;
}
