/* SPDX-License-Identifier: MIT */
/*
 * queue_testkit - the queue core with two groups and members that write down what they hear, for
 * tests. "G" has a lease time, three deliveries, and "dead" for its dead letters.
 */
#ifndef NK_RELAY_QUEUE_TESTKIT_H
#define NK_RELAY_QUEUE_TESTKIT_H

#include "relay/queue.h"

enum { QT_PEERS = 4, QT_LEASE = 1000, QT_WALL = 1700000000 };

/* Writes down what it hears: "1" is object 1 as an item, "1'" once more (one ' for each delivery
 * before), "1*" broadcast, "1=" retained, "<7:0>" token 7 has ended with 0. */
struct qt_peer {
    struct relay_member *m;
    char got[2048];
    uint64_t seq; /* of the last item */
};

struct qt_world {
    struct relay_queue *q;
    struct relay_groups *gs;
    struct relay_group *g, *dead;
    struct qt_peer p[QT_PEERS];
    struct relay_memory memory;
    uint64_t now;     /* monotonic, ms */
    int64_t wall_off; /* how far the wall clock was set off QT_WALL + now, ms */
    char journal[2048];
};

/* Members with leases that end, and such that know nothing of lease times. */
extern const struct relay_member_ops qt_timed, qt_untimed;

/* qt_write_down - append to what was got. */
void qt_write_down(char *got, size_t size, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* qt_setup, qt_teardown - of a test, whose state is the struct qt_world; nothing may be left. */
int qt_setup(void **state);
int qt_teardown(void **state);

/* qt_tick - so many ms later. */
void qt_tick(struct qt_world *w, uint64_t ms);

/* qt_peer_new - a member that has joined nothing. qt_peer_leave - detach it. */
void qt_peer_new(struct qt_world *w, int who, const struct relay_member_ops *ops);
void qt_peer_leave(struct qt_world *w, int who);

/* qt_put - enqueue a text in G; returns as relay_queue_enqueue. qt_produce - one copy, which must
 * be taken. */
int qt_put(struct qt_world *w, const char *text, const struct relay_put *put);
void qt_produce(struct qt_world *w, const char *text);

/* qt_join - a group. qt_demand - relay_queue_demand in G. qt_settle - the item that came last. */
void qt_join(struct qt_world *w, int who, struct relay_group *g);
int qt_demand(struct qt_world *w, int who, int64_t n, uint64_t token);
int qt_settle(struct qt_world *w, int who, enum relay_settle how, uint64_t ms);

/* qt_expect - this was heard since the last time. */
void qt_expect(struct qt_world *w, int who, const char *text);

/* qt_stats - of a group. qt_change - other settings for G. */
struct relay_queue_stats qt_stats(const struct relay_group *g);
void qt_change(struct qt_world *w, struct relay_group_settings set);

#endif
