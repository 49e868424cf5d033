/* SPDX-License-Identifier: MIT */
/*
 * client_spool - what an endpoint has published and the relay has not settled yet, pure.
 *
 * Objects are kept as the native wire wants them, so that a send, and the same again after a
 * reconnect, are one iovec for many small objects: whole frames packed into arenas, in runs of one
 * group. Large objects stay where they are and are cut into fragments when they are sent. tlspyo's
 * session reads the same frames with client_spool_next().
 *
 * Every group has a line of its own: a group whose window is closed does not hold up the others.
 * Between the lines the order is that of the tickets, which is the order of publishing.
 */
#ifndef NK_RELAY_CLIENT_SPOOL_H
#define NK_RELAY_CLIENT_SPOOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "relay/client.h"
#include "relay/wire_native.h"

#define CLIENT_ARENA_SIZE ((size_t)256 << 10)
#define CLIENT_SMALL ((size_t)32 << 10) /* longer objects keep their own memory */

struct client_arena {
    uint32_t nodes; /* that have bytes in it */
    size_t used;
    struct client_arena *next; /* of the spare ones */
    uint8_t bytes[CLIENT_ARENA_SIZE];
};

/* A run of frames of one group, or one large object. */
struct client_node {
    struct client_node *next;
    uint64_t ticket;
    uint64_t first, last; /* numbers of its objects */
    struct client_arena *arena;
    uint8_t *bytes; /* frames; of a large object: what stands before its data */
    size_t len;
    uint8_t *data; /* owned; NULL for runs */
    size_t data_len;
    size_t sent;         /* bytes given to the wire: of frames, or of a large object's payload */
    uint8_t type, flags; /* of a large object's frames */
    bool dot;            /* the data are followed by the end of a pickle */
    bool large;
};

/* What was published to one group. */
struct client_line {
    struct client_node *first, **last; /* not settled */
    struct client_node *unsent;        /* the first node with something to send, or NULL */
    uint64_t next;                     /* number of the next object, from 1 */
    uint64_t settled;                  /* everything up to here */
    struct client_line *ready_next;    /* lines with unsent nodes */
    bool ready;
    uint32_t group; /* handle, for the owner */
};

struct client_spool {
    struct client_arena *arena; /* the one that is being filled */
    struct client_arena *spare;
    unsigned spares;
    struct client_node *free;
    struct client_node *newest; /* may be extended by newest_line */
    struct client_line *newest_line;
    struct client_line *ready; /* in no order */
    uint64_t ticket;
    size_t held;   /* bytes of memory in use */
    size_t queued; /* bytes of payloads that were not given to a wire */
    uint64_t objects, settled;
};

/* client_spool_init - empty; allocates nothing. */
void client_spool_init(struct client_spool *s);

/* client_spool_clear - free the spares and the open arena; every line must have been cleared. */
void client_spool_clear(struct client_spool *s);

/* client_line_init - an empty line; numbers begin at 1. client_line_clear - forget everything in
 * it. */
void client_line_init(struct client_line *l, uint32_t group);
void client_line_clear(struct client_spool *s, struct client_line *l);

/*
 * client_spool_put - keep an object. data are copied, or with take (then they are malloc'd, and
 * freed on failure too) kept when the object is large. *number gets its number. 0, NK_ETOOBIG (its
 * metadata), -ENOMEM.
 */
int client_spool_put(struct client_spool *s, struct client_line *l,
                     const struct relay_client_publish *p, const uint8_t *data, size_t len,
                     bool take, uint64_t *number);

/* client_spool_cost - an upper bound of what client_spool_put adds to `held`. */
size_t client_spool_cost(size_t len);

/* client_spool_settle - everything up to number is settled. client_line_reap - free what is, apart
 * from a large object in the middle of its fragments; only while no iovec has bytes of the line. */
void client_spool_settle(struct client_spool *s, struct client_line *l, uint64_t number);
void client_line_reap(struct client_spool *s, struct client_line *l);

/* client_line_rewind - a new connection: what is not settled has to be sent again. */
void client_line_rewind(struct client_spool *s, struct client_line *l);

/* client_spool_oldest - the ready line with the lowest ticket for which allow(arg, line) is true
 * (allow may be NULL), or NULL. */
struct client_line *client_spool_oldest(const struct client_spool *s,
                                        bool (*allow)(void *arg, const struct client_line *),
                                        void *arg);

/* client_line_advance - n more bytes of l->unsent were given to the wire. */
void client_line_advance(struct client_spool *s, struct client_line *l, size_t n);

/* client_node_payload - bytes of a large object's payload. */
size_t client_node_payload(const struct client_node *n);

/*
 * The object at the head of a line, whole, for tlspyo's session.
 */
struct client_item {
    uint64_t number;
    uint64_t copies; /* 0: a broadcast */
    enum relay_content content;
    const uint8_t *head; /* the payload is head, data, and a '.' when dot is set */
    size_t head_len;
    uint8_t *data; /* of a large object; may be taken away with client_spool_take */
    size_t data_len;
    bool dot;
};

/* client_spool_peek - look at it; l->unsent must not be NULL and nothing of the object sent. */
void client_spool_peek(const struct client_line *l, struct client_item *out);

/* client_spool_take - it was sent, or copied: it is not sent again. Returns the data of a large
 * object, which belong to the caller then (else NULL). client_spool_settle follows as ever. */
uint8_t *client_spool_take(struct client_spool *s, struct client_line *l);

#endif
