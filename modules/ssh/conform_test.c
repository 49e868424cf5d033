/* SPDX-License-Identifier: MIT */
/* The stream contract (core/stream.h) between the two ends of a channel: one that was opened, and
 * one that was taken from the other side and is confirmed with the answer to it. Between them are
 * two halves of the connection protocol, whose packets go from one to the other once per turn. */
#include "net/conform_testkit.h"

#include <errno.h>
#include <stdlib.h>

#include "ssh/channel.h"
#include "ssh/remote.h"
#include "ssh/sink_testkit.h"

enum { SMALL_WINDOW = 40 * 1024, SMALL_ROOM = 5000 };

struct wire;

/* One side, and what it has sent. */
struct side {
    struct wire *w;
    struct ssh_sink sink;
    struct ssh_kit_sink kept;
    struct ssh_channels *c;
    struct side *other;
};

struct wire {
    struct nk_app *app;
    struct side side[2];
    struct nk_defer carry;
    struct nk_stream *taken;
    unsigned waiting;
};

static int begin(struct ssh_sink *s, size_t max, uint8_t **payload)
{
    struct side *side = (struct side *)(void *)((char *)s - offsetof(struct side, sink));
    return ssh_sink_begin(&side->kept.sink, max, payload);
}

static void end(struct ssh_sink *s, uint8_t *payload, size_t n)
{
    struct side *side = (struct side *)(void *)((char *)s - offsetof(struct side, sink));
    ssh_sink_end(&side->kept.sink, payload, n);
    nk_app_defer(side->w->app, &side->w->carry);
}

static size_t room(void *owner)
{
    const struct side *side = owner;
    size_t n = nk_buf_len(&side->kept.out);
    return n < SMALL_ROOM ? SMALL_ROOM - n : 0;
}

static void on_incoming(void *owner, struct ssh_channel *ch, struct ssh_str type,
                        struct ssh_str data)
{
    const struct side *side = owner;
    struct wire *w = side->w;
    (void)type;
    (void)data;
    if (ssh_channel_take(w->app, ch, "peer", &w->waiting, NULL, NULL, &w->taken) < 0) {
        abort();
    }
}

/* What the side has sent so far comes to the other one. */
static void carry_one(struct side *side)
{
    struct nk_buf payload;
    size_t left = nk_buf_len(&side->kept.out);
    nk_buf_init(&payload, SSH_WINDOW_MAX);
    while (left > 0) {
        struct ssh_str p = ssh_kit_take(&side->kept, &payload);
        left -= sizeof(uint32_t) + p.n;
        if (ssh_channels_receive(side->other->c, p.p, p.n, NULL) < 0) {
            abort();
        }
        ssh_channels_keep(side->other->c); /* payload is written over */
    }
    nk_buf_clear(&payload);
    if (ssh_channels_writable(side->c, NULL) < 0) {
        abort();
    }
}

static void carry(void *owner)
{
    struct wire *w = owner;
    carry_one(&w->side[0]);
    carry_one(&w->side[1]);
}

static void wire_free(void *value)
{
    struct wire *w = value;
    nk_app_defer_cancel(w->app, &w->carry);
    for (int i = 0; i < 2; i++) {
        ssh_channels_free(w->side[i].c);
        ssh_sink_clear(&w->side[i].kept);
    }
    free(w);
}

static int open_wire(struct nk_app *app, const struct ssh_channels_conf *conf, struct nk_stream **a,
                     struct nk_stream **b)
{
    static const struct ssh_sink_ops ops = {begin, end};
    struct wire *w = calloc(1, sizeof(*w)); /* its address is the slot's key, too */
    int rc = w ? nk_app_slot_set(app, w, w, wire_free) : -ENOMEM;
    if (rc < 0) {
        free(w);
        return rc;
    }
    w->app = app;
    w->carry = (struct nk_defer){.fn = carry, .owner = w};
    for (int i = 0; i < 2 && rc == 0; i++) {
        struct side *side = &w->side[i];
        struct ssh_channels_conf c = *conf;
        c.owner = side;
        c.on_incoming = on_incoming;
        *side = (struct side){.w = w, .sink = {.ops = &ops}, .other = &w->side[!i]};
        ssh_sink_init(&side->kept);
        rc = ssh_channels_new(&c, &side->sink, &side->c);
    }
    rc = rc < 0 ? rc : ssh_channel_dial_tcp(app, w->side[0].c, "db", 1, a, NULL);
    if (rc == 0) {
        carry_one(&w->side[0]);
        *b = w->taken;
    }
    return rc < 0 ? rc : *b && w->waiting == 1 ? 0 : -EPROTO;
}

static int open_plain(struct nk_app *app, struct nk_stream **a, struct nk_stream **b)
{
    const struct ssh_channels_conf conf = {0};
    return open_wire(app, &conf, a, b);
}

/* The one that was taken is the one that dials. */
static int open_turned(struct nk_app *app, struct nk_stream **a, struct nk_stream **b)
{
    return open_plain(app, b, a);
}

static int open_small(struct nk_app *app, struct nk_stream **a, struct nk_stream **b)
{
    const struct ssh_channels_conf conf = {
        .window_start = SMALL_WINDOW, .window_max = SMALL_WINDOW, .room = room};
    return open_wire(app, &conf, a, b);
}

static const struct nk_conform_row rows[] = {
    {.name = "ssh channel", .open = open_plain},
    {.name = "ssh channel, turned", .open = open_turned},
    {.name = "ssh channel, small window and little room", .open = open_small},
};

int nk_test_ssh_conform(void);
int nk_test_ssh_conform(void)
{
    return nk_conform_run("ssh/conform", rows, sizeof(rows) / sizeof(rows[0]), NULL);
}
