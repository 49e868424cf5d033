/* SPDX-License-Identifier: MIT */
/* One publisher, n subscribers. The publisher keeps at most `ahead` messages ahead of the slowest
 * subscriber, so that no broker drops or disconnects anybody. Prints deliveries per second, the
 * broker's CPU in ns per delivery, MB/s of payload. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>

#include "broker.h"
#include "relay/wire_native.h"

struct run {
    struct conn *pub, **sub;
    int epoll;
    uint8_t *batch; /* the same messages every time; of netkit's only seq changes */
    size_t each, messages;
    size_t len, off;
    uint64_t sent;
};

static uint64_t slowest(const struct load *o, const struct run *r)
{
    uint64_t least = UINT64_MAX;
    for (int i = 0; i < o->n; i++) {
        least = r->sub[i]->got < least ? r->sub[i]->got : least;
    }
    return least;
}

static void make_batch(struct load *o, struct run *r)
{
    r->messages = BATCH / (o->size + 64) + 1;
    r->batch = malloc(r->messages * (o->size + 256));
    uint64_t seq = o->seq;
    for (size_t i = 0; i < r->messages; i++) {
        r->each = publish(o, r->batch + i * r->each, "bench.x");
    }
    o->seq = seq;
}

static void stamp(struct load *o, struct run *r, size_t n)
{
    struct relay_native_head h = {
        .type = RELAY_N_BROADCAST, .len = (uint32_t)o->size, .group = o->group};
    for (size_t i = 0; i < n; i++) {
        h.seq = ++o->seq;
        relay_native_put_head(r->batch + i * r->each, &h);
    }
}

static void fill(struct load *o, struct run *r)
{
    uint64_t n = o->ahead - (r->sent - slowest(o, r));
    n = n < r->messages ? n : r->messages;
    if (o->proto == NK) {
        uint64_t room = (r->pub->window - o->published) / r->each;
        n = n < room ? n : room;
        stamp(o, r, n);
    }
    r->off = 0;
    r->len = n * r->each;
    r->sent += n;
    o->published += r->len;
}

static void turn(struct load *o, struct run *r)
{
    struct epoll_event ev[128];
    if (r->off == r->len) {
        fill(o, r);
    }
    bool idle = r->off == r->len;
    if (!idle) {
        ssize_t k = wr(r->pub, r->batch + r->off, r->len - r->off);
        if (k < 0 && errno != EAGAIN) {
            die("publish");
        }
        r->off += k > 0 ? (size_t)k : 0;
        idle = k <= 0;
    } else if (r->pub->ssl) {
        put(r->pub, NULL, 0); /* what its buffer still holds */
    }
    int n = epoll_wait(r->epoll, ev, 128, idle ? 1 : 0);
    for (int i = 0; i < n; i++) {
        struct conn *c = ev[i].data.ptr;
        while (more(c)) {
            bool full = c->len == READ;
            count(o, c);
            if (!c->ssl && !full) {
                break;
            }
        }
    }
}

static void watch(struct run *r, struct conn *c)
{
    struct epoll_event e = {.events = EPOLLIN, .data.ptr = c};
    epoll_ctl(r->epoll, EPOLL_CTL_ADD, c->fd, &e);
}

static void connect_all(struct load *o, struct run *r)
{
    r->epoll = epoll_create1(0);
    r->sub = calloc((size_t)o->n, sizeof(struct conn *));
    for (int i = 0; i < o->n; i++) {
        r->sub[i] = dial(o, i);
        subscribe(o, r->sub[i], "bench.x");
        watch(r, r->sub[i]);
    }
    r->pub = dial(o, o->n);
    if (o->proto == NK) {
        nk_open(o, r->pub, "bench.x", false);
    }
    watch(r, r->pub);
}

void throughput(struct load *o)
{
    struct run r = {0};
    connect_all(o, &r);
    make_batch(o, &r);
    double start = now(), warm = start + o->seconds / 4, end = start + o->seconds, from = 0,
           cpu = 0;
    uint64_t first = 0;
    for (double t = start; t < end; t = now()) {
        if (from == 0 && t >= warm) {
            from = t;
            cpu = cpu_of(o->pid);
            first = slowest(o, &r);
        }
        for (int i = 0; i < 64; i++) {
            turn(o, &r);
        }
    }
    double took = now() - from, total = (double)(slowest(o, &r) - first) * o->n;
    cpu = cpu_of(o->pid) - cpu;
    printf("%.0f %.1f %.1f\n", total / took, total > 0 ? cpu * 1e9 / total : 0,
           total * (double)o->size / took / 1e6);
}
