/* SPDX-License-Identifier: MIT */
/*
 * client_native - the client's session on `netkit-relay/1`, for the files that make it:
 * client_native.c (greeting, login, groups, endings), client_native_in.c (what the relay says),
 * client_native_out.c (what is written, credit, acknowledgements).
 */
#ifndef NK_RELAY_CLIENT_NATIVE_H
#define NK_RELAY_CLIENT_NATIVE_H

#include "relay/client_ranges.h"
#include "relay/client_wire.h"
#include "relay/login_client.h"
#include "relay/stretcher.h"

#define CLIENT_FRAGMENT ((uint32_t)128 << 10) /* payload of a fragment that we send */
#define CLIENT_STAGE ((size_t)256 << 10)      /* objects put into one write */
#define CLIENT_CONTROL ((size_t)16 << 20) /* control frames that wait: more means a stuck peer */
#define CLIENT_PARTS_MAX 64               /* objects that arrive in fragments at one time */
#define CLIENT_RANGES 4096                /* of one ACK, as RELAY_NATIVE_LIST */

/* Acknowledgements of one kind for one group, collected during a turn, then under way until the
 * relay has answered with SETTLED. */
struct client_ack {
    struct client_ack *next;
    struct client_group *group;
    enum relay_native_type type; /* ACK, NACK */
    uint32_t ms;
    uint64_t request;
    uint32_t n, cap;
    struct relay_native_range range[];
};

/* An EXTEND or PURGE that the relay has not answered. */
struct client_extend {
    struct client_extend *next;
    uint64_t request;
    bool purge; /* of lease.group; no EXTEND */
    struct relay_client_lease lease;
};

/* An object of which not all fragments have arrived. */
struct client_part {
    struct client_part *next;
    struct client_group *group;
    uint64_t seq;
    uint8_t type, flags;
    uint32_t tries;
    uint8_t *data;
    size_t len, cap;
};

struct client_native_group {
    uint32_t id; /* the relay's */
    bool open, opening;
    bool member;           /* as OPEN said */
    bool reopen;           /* membership changed: CLOSE and OPEN are due */
    bool purge;            /* PURGE is to be sent when it is open */
    int refusal;           /* why the relay does not open it; 0: it did not refuse */
    bool blocked;          /* the next frame does not fit into the window */
    bool drain_asked;      /* on this connection */
    bool demand;           /* CREDIT or DRAIN is to be sent */
    uint64_t window, used; /* bytes that may be, and were, published since OPENED */
    uint64_t items;        /* delivered since OPENED */
    uint64_t credit;       /* the last CREDIT: items that may have been delivered */
    uint64_t begun;        /* highest number of which bytes were ever sent */
    bool known;            /* epoch and version of the last broadcast that arrived */
    uint64_t epoch, version;
    uint64_t tries_seq; /* DELIVERIES said this of this item */
    uint32_t tries;
    struct client_ranges held; /* leases that the owner has not settled */
    bool claiming;             /* the session was resumed: CREDIT ends the list of what we hold */
    struct client_ack *ack;    /* being collected; on c's list of them */
};

struct client_native {
    struct relay_login_client login;
    struct relay_stretcher *stretcher;
    uint64_t producer;
    uint8_t session[RELAY_NATIVE_ID];
    uint64_t generation; /* of the session: leases name it */
    uint32_t features;
    uint64_t max_object; /* of the relay */
    uint32_t opens;      /* OPENs of members without answer */
    bool resumed, said_bye, demand;
    bool todo;       /* some group has a refusal or reopen to act upon */
    uint32_t goaway; /* code + 1 of the relay's GOAWAY, 0 = none */
    char goaway_text[RELAY_NATIVE_REASON + 1];
    /* group id -> group, open addressing; cap is a power of two */
    struct client_group **table;
    uint32_t table_cap, table_used;
    struct client_group *last; /* used last */
    struct client_part *parts;
    uint32_t nparts;
    /* acknowledgements: being collected, sent and not answered (oldest first) */
    struct client_ack *open_acks, *sent_acks, **sent_last, *spare_ack;
    uint64_t requests;
    struct client_extend *extends, **extends_last; /* oldest first */
    /* what is being written: control frames, then objects */
    struct nk_buf control, writing;
    uint8_t heads[CLIENT_IOV][RELAY_NATIVE_HEAD];
    struct iovec iov[CLIENT_IOV];
    int niov, at;
    struct client_line *turned; /* its large object has had its fragment: others first */
    bool reap;                  /* something was settled while its bytes may be in iov */
};

static inline struct client_native *client_native_of(const struct relay_client *c)
{
    return c->sessions[RELAY_CLIENT_NATIVE];
}

/* --- client_native.c --- */

/* client_native_find - the group with this id that is open, or NULL. */
struct client_group *client_native_find(struct client_native *t, uint32_t id);

/* client_native_handshake - a frame before ALIVE. client_native_opened - OPENED, in any state. */
void client_native_handshake(struct relay_client *c, const struct relay_native_head *h,
                             const uint8_t *payload);
void client_native_opened(struct relay_client *c, const struct relay_native_head *h,
                          const uint8_t *payload);

/* client_native_todo - act upon refusals, changes of membership and purges; nothing is being
 * written. */
void client_native_todo(struct relay_client *c);

/* client_native_todo_later - there is something of that kind: before the next write. */
void client_native_todo_later(struct relay_client *c);

/* --- client_native_in.c --- */

/* client_native_input - c->wire->input. client_native_parts_clear - forget half objects.
 * client_native_drained - the group's drain is over: the owner hears of it. */
void client_native_input(struct relay_client *c, size_t *missing);
void client_native_parts_clear(struct client_native *t);
void client_native_drained(struct relay_client *c, struct client_group *g);

/* --- client_native_out.c --- */

/* client_native_control - append a control frame that was written by relay_native_put_*. */
void client_native_control(struct relay_client *c, const uint8_t *frame, size_t n);

/* client_native_iov, _sent, _idle - as in struct client_wire. */
int client_native_iov(struct relay_client *c, struct iovec *out);
void client_native_sent(struct relay_client *c, size_t n);
bool client_native_idle(const struct relay_client *c);

/* client_native_demanded - CREDIT and DRAIN of the group at the next write. */
void client_native_demanded(struct relay_client *c, struct client_group *g);

/* client_native_settle - ACK, NACK of one lease, with the turn's others. extend: at once. */
int client_native_settle(struct relay_client *c, const struct relay_client_lease *l,
                         enum relay_native_type type, uint32_t ms);
int client_native_extend(struct relay_client *c, const struct relay_client_lease *l, uint32_t ms);

/* client_native_purge - PURGE, as soon as the group is open. client_native_purge_due - that is now,
 * or it was refused. */
int client_native_purge(struct relay_client *c, struct client_group *g);
void client_native_purge_due(struct relay_client *c, struct client_group *g);

/* client_native_claim - a resumed session: which leases of the group we hold. CREDIT follows, and
 * what we have not named goes back to the queue (it was on its way to us when the connection
 * ended). client_native_unhold - a new session: we hold nothing. */
void client_native_claim(struct relay_client *c, struct client_group *g);
void client_native_unhold(struct relay_client *c);

/* client_native_answered - SETTLED, of an ACK, NACK or EXTEND. extends_clear: the connection has
 * gone, nobody answers them. acks_again: the session was resumed, say them once more.
 * acks_clear: it was not, they mean nothing any more. acks_left: some are not answered. */
void client_native_answered(struct relay_client *c, uint64_t request, int status);
void client_native_extends_clear(struct client_native *t);
void client_native_acks_again(struct client_native *t);
void client_native_acks_clear(struct client_native *t);
bool client_native_acks_left(const struct client_native *t);

/* client_native_leave - acknowledgements so far and GOAWAY, unless a write stands in the middle:
 * leases go back at once then, not after the relay's grace. */
void client_native_leave(struct relay_client *c);

/* client_native_reap - free what is settled of the group, now or when the present write is done. */
void client_native_reap(struct relay_client *c, struct client_group *g);

/* client_native_out_reset - nothing is being written any more: forget control frames and stage. */
void client_native_out_reset(struct relay_client *c);

#endif
