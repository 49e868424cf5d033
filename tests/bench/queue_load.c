/* SPDX-License-Identifier: MIT */
/*
 * queue_load - what the queue core and the memory engine cost without any connection: one thread,
 * objects of 64 bytes that are slices of receive chunks, as sessions make them.
 *
 *     queue_load CASE SECONDS
 *
 * core      enqueue, dispatch, settle of the queue core, 1000 at a time; nanoseconds per object
 * engine    the same through the engine's calls, its ring and the loop's turns
 * backlog   the same with 1,000,000 objects in the queue and 16,384 leases held
 * timed     core, with a lease time, a life and a producer's number on each object
 * fanout    runs of 2000 broadcasts to 100 members; nanoseconds per delivery of one broadcast, as
 *           the sum of what the members count
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/app.h"
#include "relay/engine.h"
#include "relay/wire_native.h"

enum { BATCH = 1000, SIZE = 64, CHUNK = 128 * 1024, MEMBERS = 100, RUN = 1000, HELD = 16384 };
#define BACKLOG UINT64_C(1000000)

struct load {
    struct relay_memory memory;
    struct relay_groups *groups;
    struct relay_group *g;
    struct relay_queue *q;
    struct relay_member m[MEMBERS];
    struct nk_app *app;
    struct relay_engine *engine;
    struct relay_member *em;
    struct relay_object *chunk;
    size_t chunk_at;
    uint64_t lease[1 << 16];
    size_t head, tail; /* ring of leases to settle */
    uint64_t delivered, calls, seq;
};

static void die(const char *what)
{
    fprintf(stderr, "queue_load: %s\n", what);
    exit(1);
}

static double now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void on_deliver(void *owner, struct relay_group *g, struct relay_object *o,
                       enum relay_delivery kind, const struct relay_mark *mark)
{
    struct load *l = owner;
    (void)g;
    l->calls++;
    l->delivered += o->frames ? o->frames : 1;
    if (kind == RELAY_ITEM) {
        l->lease[l->head++ % (1 << 16)] = mark->seq;
    }
}

static void on_done(void *owner, uint64_t token, int status)
{
    (void)owner, (void)token, (void)status;
}

static const struct relay_member_ops ops = {.deliver = on_deliver, .done = on_done};

/* The next object of a chunk, as a session cuts it. */
static struct relay_object *next_object(struct load *l)
{
    if (!l->chunk || l->chunk_at + RELAY_HEADROOM + SIZE > CHUNK) {
        relay_object_unref(l->chunk);
        l->chunk = relay_object_new(&l->memory, CHUNK);
        l->chunk_at = 0;
    }
    struct relay_object *o =
        l->chunk ? relay_object_slice(l->chunk, l->chunk_at + RELAY_HEADROOM, SIZE) : NULL;
    if (!o) {
        die("out of memory");
    }
    l->chunk_at += RELAY_HEADROOM + SIZE;
    return o;
}

static void produce(struct load *l, bool more)
{
    struct relay_put put = {.copies = 1};
    struct relay_object *o = next_object(l);
    if (more) {
        put.producer = 7;
        put.producer_seq = ++l->seq;
        put.expires_ms = 100000;
    }
    if (relay_queue_enqueue(l->q, l->g, o, &put) != 0) {
        die("enqueue");
    }
    relay_queue_dispatch(l->q, l->g);
    relay_object_unref(o);
}

static void core_batch(struct load *l, bool more, size_t keep)
{
    relay_queue_demand(l->q, &l->m[0], l->g, BATCH, 0);
    for (int i = 0; i < BATCH; i++) {
        produce(l, more);
    }
    while (l->head - l->tail > keep) {
        if (relay_queue_settle(l->q, &l->m[0], l->g, l->lease[l->tail++ % (1 << 16)], 1, RELAY_ACK,
                               0) != 0) {
            die("settle");
        }
    }
}

static void engine_batch(struct load *l)
{
    const struct relay_put put = {.copies = 1};
    int rc = relay_engine_demand(l->engine, l->em, l->g, BATCH, 0);
    for (int i = 0; i < BATCH && rc == 0; i++) {
        struct relay_object *o = next_object(l);
        rc = relay_engine_enqueue(l->engine, l->em, l->g, o, &put, 0);
        relay_object_unref(o);
    }
    while (l->head != l->tail && rc == 0) {
        rc = relay_engine_settle(l->engine, l->em, l->g, l->lease[l->tail++ % (1 << 16)], 1,
                                 RELAY_ACK, 0, 0);
    }
    if (rc != 0) {
        die("engine");
    }
    nk_app_turn(l->app, 0);
}

static void fanout_batch(struct load *l)
{
    enum { FRAME = RELAY_NATIVE_HEAD + SIZE };
    struct relay_object *run = relay_object_new(&l->memory, (size_t)RUN * FRAME);
    if (!run) {
        die("out of memory");
    }
    const struct relay_native_head h = {
        .type = RELAY_N_BROADCAST, .len = SIZE, .group = l->g->id, .seq = 1};
    for (size_t i = 0; i < RUN; i++) { /* what the producer sent */
        relay_native_put_head(run->bytes + i * FRAME, &h);
    }
    run->frames = RUN;
    run->headroom = false;
    if (relay_queue_retain(l->q, l->g, run, NULL) != 0) {
        die("retain");
    }
    relay_queue_publish(l->q, l->g, run);
    relay_object_unref(run);
}

static void setup(struct load *l, bool timed)
{
    const struct relay_groups_conf conf = {.max_groups = 10};
    const struct relay_group_settings set = {.max_count = RELAY_UNLIMITED,
                                             .max_consumables = RELAY_UNLIMITED,
                                             .lease_ms = timed ? 30000 : 0};
    struct nk_app_conf app = {0};
    l->groups = relay_groups_new(&conf);
    l->q = relay_queue_new();
    if (!l->groups || !l->q || relay_groups_configure(l->groups, "g", 1, &set) < 0 ||
        nk_app_new(&l->app, &app, NULL) < 0 || relay_engine_memory(l->app, &l->engine) < 0 ||
        relay_engine_attach(l->engine, &ops, l, &l->em) < 0) {
        die("setup");
    }
    l->g = relay_groups_find(l->groups, "g", 1);
    relay_queue_tick(l->q, 1, 1);
}

static void join(struct load *l, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct relay_watch w = {.group = l->g};
        l->m[i].ops = &ops;
        l->m[i].owner = l;
        if (relay_queue_join(l->q, &l->m[i], &w, 1) != 0) {
            die("join");
        }
    }
}

static double measure(struct load *l, const char *what, double seconds)
{
    bool timed = strcmp(what, "timed") == 0, fanout = strcmp(what, "fanout") == 0;
    bool engine = strcmp(what, "engine") == 0, backlog = strcmp(what, "backlog") == 0;
    uint64_t first = 0;
    double start = 0;
    setup(l, timed);
    if (engine) {
        if (relay_engine_watch(l->engine, l->em, &l->g, NULL, 1, 0) < 0) {
            die("watch");
        }
    } else {
        join(l, fanout ? MEMBERS : 1);
    }
    for (uint64_t i = 0; backlog && i < BACKLOG; i++) {
        produce(l, false);
    }
    for (int round = 0;; round++) {
        if (fanout) {
            fanout_batch(l);
        } else if (engine) {
            engine_batch(l);
        } else {
            core_batch(l, timed, backlog ? HELD : 0);
            relay_queue_tick(l->q, 2 + (uint64_t)round / 10, 1);
        }
        if (round == 40) { /* warm */
            start = now_ns();
            first = l->delivered;
        } else if (round % 64 == 0 && round > 40 && now_ns() - start > seconds * 1e9) {
            return (now_ns() - start) / (double)(l->delivered - first);
        }
    }
}

int main(int argc, char **argv)
{
    struct load *l = calloc(1, sizeof(*l));
    if (argc != 3 || !l) {
        die("usage: queue_load core|engine|backlog|timed|fanout SECONDS");
    }
    double ns = measure(l, argv[1], atof(argv[2]));
    printf("%.3f %.0f %.0f\n", ns, 1e9 / ns, (double)l->delivered / (double)l->calls);
    return 0; /* what it holds goes with the process */
}
