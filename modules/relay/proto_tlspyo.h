/* SPDX-License-Identifier: MIT */
/*
 * proto_tlspyo - one connection of an unmodified tlspyo Endpoint, as a state machine without I/O:
 * envelopes in, actions out (README.md "tlspyo's wire", with the diagram).
 */
#ifndef NK_RELAY_PROTO_TLSPYO_H
#define NK_RELAY_PROTO_TLSPYO_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "relay/wire_pickle.h"

/* States, named by what the relay waits for. */
#define RELAY_TLSPYO_STATES(X)                                                                     \
    X(HELLO)   /* the endpoint's HELLO */                                                          \
    X(JOINING) /* the engine: may it join? No frame is taken meanwhile */                          \
    X(ALIVE)   /* anything */                                                                      \
    X(CLOSED)  /* nothing: the connection ends when what was written is out */

#define RELAY_TLSPYO_ENUM(name) RELAY_TLSPYO_##name,
enum relay_tlspyo_state { RELAY_TLSPYO_STATES(RELAY_TLSPYO_ENUM) };
#undef RELAY_TLSPYO_ENUM

struct relay_tlspyo {
    enum relay_tlspyo_state state;
};

/* What the relay has to do with a frame. */
enum relay_tlspyo_do {
    RELAY_DO_NOTHING, /* perhaps an ACK, nothing else */
    RELAY_DO_SETTLE,  /* the endpoint has read the frame with this stamp */
    RELAY_DO_JOIN,    /* ask the engine for the groups, then call relay_tlspyo_joined */
    RELAY_DO_OBJECT,  /* hand the object to its destinations; ACK when they have it */
    RELAY_DO_DEMAND,  /* credit and drains */
    RELAY_DO_CLOSE    /* flush and close; `why` is the reason */
};

struct relay_tlspyo_action {
    enum relay_tlspyo_do what;
    bool ack;        /* answer with an ACK of the envelope's stamp first */
    const char *why; /* CLOSE only; static */
};

/* relay_tlspyo_init - the relay's HELLO has been sent. */
void relay_tlspyo_init(struct relay_tlspyo *p);

/* relay_tlspyo_frame - one envelope. Must not be called while JOINING or CLOSED. */
struct relay_tlspyo_action relay_tlspyo_frame(struct relay_tlspyo *p,
                                              const struct relay_envelope *e);

/* relay_tlspyo_joined - the engine's answer to JOIN: 0 or an error. */
void relay_tlspyo_joined(struct relay_tlspyo *p, int status);

/* relay_tlspyo_state_name - "HELLO", "ALIVE" .. */
const char *relay_tlspyo_state_name(enum relay_tlspyo_state s);

/*
 * The relay's stamps of one connection: 1, 2 .. RELAY_STAMP_MAX, 1 .. and the leases behind those
 * that are not acknowledged yet.
 */
struct relay_stamps {
    uint64_t last; /* serial number of the newest stamp; 0 = none */
    struct relay_stamp {
        uint64_t serial;
        uint64_t lease; /* 0: settled already */
        void *group;    /* of the lease; not looked at here */
    } * v;              /* ring; cap is a power of two */
    uint32_t head, n, cap;
    uint32_t open; /* entries with a lease */
};

/* relay_stamps_issue - the next stamp; lease (0: none) and its group are remembered with it. 0 when
 * memory is missing (only possible with a lease). */
uint32_t relay_stamps_issue(struct relay_stamps *s, void *group, uint64_t lease);

/* relay_stamps_settle - the endpoint acknowledged this stamp: the lease behind it and its group, or
 * 0 when there is none (unknown, without lease, acknowledged before; then *group is not touched).
 */
uint64_t relay_stamps_settle(struct relay_stamps *s, int64_t stamp, void **group);

/* relay_stamps_clear - free the memory. */
void relay_stamps_clear(struct relay_stamps *s);

#endif
