/* SPDX-License-Identifier: MIT */
/*
 * conn - one connection of a hub: moves bytes between its stream and the wire's session, with its
 * deadlines, its limits before login and its back-pressure. Private to this module.
 */
#ifndef NK_RELAY_CONN_H
#define NK_RELAY_CONN_H

#include "core/budget.h"
#include "core/stream.h"
#include "core/timer.h"
#include "relay/hub.h"

#define RELAY_SCRATCH ((size_t)128 * 1024) /* one read; shared by all connections of a hub */
#define RELAY_PEER_TEXT 96
#define RELAY_WHY_TEXT 160 /* of a reason to close */
/* Bytes of a native connection that the kernel may hold unsent: what a PONG waits for (measured: a
 * receiver of 20 MB/s drains them in 7 ms). */
#define RELAY_NOTSENT_LOWAT (128 * 1024)
/* What a connection may cost before its login: the struct, its output, a stash of one frame's
 * beginning (TLS counts its own memory). */
#define RELAY_GUEST_BYTES ((size_t)4096)

struct relay_conn;

/* A wire: how bytes of a connection are understood. All calls come from conn.c, except that the
 * session hears from its engine member directly. */
struct relay_wire {
    const char *name;
    bool chunks; /* input lies in c->rx, so that objects can be slices of it */
    /* connected: make the session (c->session) and greet. 0 or -ENOMEM. */
    int (*open)(struct relay_conn *c);
    /* n bytes from the peer: returns how many were taken; the rest comes again with what follows.
     * Stops early when the connection was closed, ended or stalled. */
    size_t (*input)(struct relay_conn *c, const uint8_t *p, size_t n);
    /* where the rest of a large object shall be read to, or NULL; then `got` bytes were */
    uint8_t *(*direct)(struct relay_conn *c, size_t *room);
    void (*direct_done)(struct relay_conn *c, size_t got);
    /* output is about to be written: add what was collected during the turn; or NULL */
    void (*prepare)(struct relay_conn *c);
    /* windows that were held back may be given now (relay_hub_hold); or NULL */
    void (*held)(struct relay_conn *c);
    /* the relay ends: say so; or NULL */
    void (*goodbye)(struct relay_conn *c);
    /* is what stalled the connection over? May take up work again. */
    bool (*ready)(struct relay_conn *c);
    /* output has shrunk */
    void (*written)(struct relay_conn *c);
    /* ask for a sign of life */
    void (*ping)(struct relay_conn *c);
    /* logged in and greeted; nothing that was read still waits for the engine */
    bool (*established)(const struct relay_conn *c);
    bool (*settled)(const struct relay_conn *c);
    /* for administrators: call fn for each group it is a member of; the deliveries that it has not
     * acknowledged */
    void (*groups)(const struct relay_conn *c, void (*fn)(void *arg, const struct relay_group *g),
                   void *arg);
    uint64_t (*unacked)(const struct relay_conn *c);
    /* the rules have changed: does it do something that it may not any more? May be NULL. */
    bool (*forbidden)(struct relay_conn *c);
    /* free the session; must leave c->session NULL */
    void (*close)(struct relay_conn *c);
};

/* Only until its peer has shown who it is. */
struct relay_arrival {
    struct relay_guest guest;
    struct nk_preauth preauth;
};

/* Most connections of a relay are idle: what few of them need, or none for long, lies elsewhere. */
struct relay_conn {
    struct relay_hub *hub;
    uint64_t id;     /* for administrators: 1, 2, 3 .. in the order of their coming */
    int64_t since_s; /* when it came, UTC */
    struct nk_stream *s;
    const struct relay_wire *wire;
    void *session;
    struct relay_login *login;
    struct relay_arrival *arrival; /* NULL once authenticated */
    struct nk_timer timer;
    struct relay_out out;
    uint8_t *stash; /* the beginning of a frame that is not complete */
    size_t stash_len, stash_cap;
    struct relay_object *rx; /* the chunk that is read into; NULL between turns, except in the
                                middle of a long frame */
    size_t rx_at, rx_len;    /* what was read into it and not taken yet */
    size_t need;             /* length of the frame that rx_at begins, when that is known */
    uint64_t rx_ms, tx_ms;   /* last time bytes came, went, as far as we were there to see it */
    uint64_t look_ms;        /* when liveness is looked at next */
    char identity[RELAY_IDENTITY_MAX + 1]; /* once authenticated */
    bool encrypted, connected, authenticated;
    bool closed;   /* only waits to be freed */
    bool ending;   /* closes when the output is out */
    bool penalty;  /* failed to log in: closes later, is not read */
    bool stalled;  /* not read until wire->ready */
    bool blocked;  /* the stream takes no more for now */
    bool dirty;    /* on the hub's list of connections with something to do at the turn's end */
    bool owes_ack; /* bytes came, and nothing was sent since that carries TCP's acknowledgement */
    bool full;     /* holds more than max_backlog */
    bool held;     /* on the hub's list of connections whose window is held back */
    bool choosing; /* its first byte decides on the wire */
    uint32_t publisher; /* the same as a number, see relay_hub_publisher */
    enum nk_level why_level;
    uint64_t unheard;   /* bytes written since bytes came last */
    uint64_t pinged_ms; /* when a ping was sent that nothing has answered; 0 = none */
    uint64_t objects_in, objects_out;
    struct relay_conn *prev, *next;
    struct relay_conn *dirty_next;
    struct relay_conn *wait_prev, *wait_next;
    struct relay_conn *held_next;
    char *peer;
    char *why; /* ending: the reason for the log; NULL: there was no memory for it */
};

struct relay_hub {
    struct relay_hub_conf conf;
    struct relay_limits limits; /* as in conf */
    struct nk_log *log;
    struct relay_login *login;
    struct relay_publishers *publishers, own_publishers; /* the second unless conf has one */
    struct relay_guard *guard;
    struct relay_pickle *pickle;
    struct relay_out_pool pool;
    struct relay_counters count;
    struct relay_conn *conns;
    size_t nconns;
    struct relay_conn *dirty;
    struct relay_conn *waiting;
    struct relay_conn *held;
    struct relay_conn *dead;
    struct relay_object *rx; /* the chunk that connections read into one after the other */
    size_t rx_used;
    struct nk_defer flush, reap;
    struct nk_timer trim; /* gives memory back some time after the last burst */
    uint64_t trim_taken;  /* memory->taken at its last look */
    uint64_t log_ms;      /* rate limit of lines about single connections */
    unsigned log_lines, log_suppressed;
    bool memory_warned;
    bool flushing; /* what gets output now is seen by the flush that runs */
    bool draining, drained;
    uint8_t *scratch;
};

/* relay_conn_open - see relay_hub_accept. */
void relay_conn_open(struct relay_hub *h, struct nk_stream *take_s, bool encrypted);

/* relay_conn_close - end it now; the reason is logged once. The struct lives until the turn's end,
 * c is `closed` from now on. */
void relay_conn_close(struct relay_conn *c, enum nk_level level, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* relay_conn_end - read no more, close when the output is out. */
void relay_conn_end(struct relay_conn *c, enum nk_level level, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* relay_conn_authenticated - the peer has shown that it is this identity, by this method
 * ("password"); both are copied. */
void relay_conn_authenticated(struct relay_conn *c, const char *identity, const char *method);

/* relay_conn_denied - the peer has shown that it is nobody; why ("wrong password") is for the log
 * only. The connection closes after a delay that grows with each failure of its address. */
void relay_conn_denied(struct relay_conn *c, const char *why);

/* relay_conn_failed - a login has failed, of a connection that ends anyhow: counted, told to the
 * log, and remembered against its address. Returns the delay that relay_conn_denied would wait
 * (ms). */
uint64_t relay_conn_failed(struct relay_conn *c, const char *why);

/* relay_conn_may - may the peer do that in this group, by the newest rules? If not it is counted
 * and told to the log (acl.deny). */
bool relay_conn_may(struct relay_conn *c, const void *group, size_t len, enum relay_right right);

/* relay_conn_recheck - the rules have changed: end it when it does what it may not, or when its
 * identity is gone. */
void relay_conn_recheck(struct relay_conn *c);

/* relay_conn_output - bytes were added to c->out. */
void relay_conn_output(struct relay_conn *c);

/* relay_conn_stall - do not read until wire->ready says so; the hub asks whenever something
 * changed. */
void relay_conn_stall(struct relay_conn *c);

/* For conn.c (conn_read.c): relay_conn_readable - read and take what is there. relay_conn_unwait -
 * it waits for nothing any more. relay_conn_use_wire - speak this one from now on. */
void relay_conn_readable(struct relay_conn *c);
void relay_conn_unwait(struct relay_conn *c);
void relay_conn_use_wire(struct relay_conn *c, const struct relay_wire *w);

/* relay_conn_established - the wire's greeting is complete: the deadline turns into liveness. */
void relay_conn_established(struct relay_conn *c);

/* For hub.c: try to write, try again to read after a stall, free. */
void relay_conn_flush(struct relay_conn *c);
void relay_conn_retry(struct relay_conn *c);
void relay_conn_drain(struct relay_conn *c);
void relay_conn_free(struct relay_conn *c);

/* relay_hub_hold - call wire->held at the end of a later turn. */
void relay_hub_hold(struct relay_conn *c);

/* For conn.c: the chunk to read into (relay_rx.c). relay_rx_take: c->rx is set, and holds what was
 * left over; there is room for *room more bytes at the returned place. NULL: no memory.
 * relay_rx_park: the turn ends. relay_rx_drop: the connection ends. */
uint8_t *relay_rx_take(struct relay_conn *c, size_t *room);
int relay_rx_park(struct relay_conn *c);
void relay_rx_drop(struct relay_conn *c);

/* relay_hub_touch - schedule the flush of output behind the engine's work of this turn. */
void relay_hub_touch(struct relay_hub *h);

/* relay_hub_publisher - a number for an identity, for relay_object.publisher; the same as long as
 * the hub lives (or conf.publishers). 0 when memory is missing. */
uint32_t relay_hub_publisher(struct relay_hub *h, const char *identity);

/* relay_hub_may_replay - may a retained object be delivered? Not when its publisher has lost the
 * right to broadcast to that group since. */
bool relay_hub_may_replay(struct relay_hub *h, const struct relay_object *o,
                          const struct relay_group *g);

/* relay_hub_may_log - rate limit of lines that any peer can cause: 20 in a second. */
bool relay_hub_may_log(struct relay_hub *h);

extern const struct relay_wire relay_wire_tlspyo, relay_wire_native;

#endif
