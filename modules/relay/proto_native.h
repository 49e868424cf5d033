/* SPDX-License-Identifier: MIT */
/*
 * proto_native - the relay's side of one native connection as a state machine without I/O: heads of
 * frames in, what to do out (README.md "The native wire", with the diagram). Two machines: the
 * connection, and what one group's publisher may send.
 */
#ifndef NK_RELAY_PROTO_NATIVE_H
#define NK_RELAY_PROTO_NATIVE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "relay/wire_native.h"

/* States, named by what the relay waits for. */
#define RELAY_NATIVE_STATES(X)                                                                     \
    X(HELLO)    /* the client's HELLO */                                                           \
    X(AUTH)     /* the next step of its login */                                                   \
    X(RESUMING) /* the engine: is there a session to take over? No frame is taken meanwhile */     \
    X(ALIVE)    /* anything */                                                                     \
    X(LEAVING)  /* the client has finished publishing: ACKs still count */                         \
    X(CLOSED)   /* nothing: the connection ends when what was written is out */

#define RELAY_NATIVE_ENUM(name) RELAY_NATIVE_##name,
enum relay_native_state { RELAY_NATIVE_STATES(RELAY_NATIVE_ENUM) };
#undef RELAY_NATIVE_ENUM

struct relay_native {
    enum relay_native_state state;
    uint64_t step; /* of the login, the last one that was taken */
};

/* What the relay has to do with a frame. */
enum relay_native_do {
    RELAY_NDO_HELLO,  /* choose version and methods, send CHALLENGE; then relay_native_challenged */
    RELAY_NDO_AUTH,   /* one step of the login; at its end relay_native_logged_in */
    RELAY_NDO_OPEN,   /* find the group, join it if asked */
    RELAY_NDO_CLOSE,  /* leave it, forget the handle */
    RELAY_NDO_OBJECT, /* BROADCAST, ITEM: relay_lane_take, then the engine */
    RELAY_NDO_CREDIT, /* CREDIT, DRAIN */
    RELAY_NDO_SETTLE, /* ACK, NACK, EXTEND */
    RELAY_NDO_PURGE,  /* empty the group, for who may; answer with SETTLED */
    RELAY_NDO_PING,   /* answer with PONG */
    RELAY_NDO_NOTHING, /* PONG */
    RELAY_NDO_LEAVE,   /* GOAWAY: finish what is under way, then end */
    RELAY_NDO_REFUSE   /* GOAWAY(code, why), end */
};

struct relay_native_action {
    enum relay_native_do what;
    enum relay_goaway code; /* REFUSE */
    const char *why;        /* REFUSE; static */
};

/* relay_native_init - nothing was read yet. */
void relay_native_init(struct relay_native *p);

/* relay_native_max_len - longest payload that may be announced now. */
uint32_t relay_native_max_len(const struct relay_native *p);

/* relay_native_frame - a frame whose head relay_native_head accepted. Must not be called while
 * RESUMING or CLOSED. */
struct relay_native_action relay_native_frame(struct relay_native *p,
                                              const struct relay_native_head *h);

/* relay_native_challenged - CHALLENGE was sent; logged_in: without AUTH. relay_native_logged_in -
 * the login succeeded. relay_native_welcomed - the engine has answered and WELCOME was sent.
 * relay_native_refused - the connection ends. */
void relay_native_challenged(struct relay_native *p, bool logged_in);
void relay_native_logged_in(struct relay_native *p);
void relay_native_welcomed(struct relay_native *p);
void relay_native_refused(struct relay_native *p);

/* relay_native_state_name - "HELLO", "ALIVE" .. */
const char *relay_native_state_name(enum relay_native_state s);

/*
 * What one client may publish into one group: sequence numbers, the order of fragments, the window.
 * Zero it at OPEN, set window.
 */
struct relay_lane {
    uint64_t last;   /* seq of the newest object that began */
    uint64_t window; /* absolute bytes that may be taken */
    uint64_t bytes;  /* taken so far, with heads */
    uint64_t total;  /* payload of the object under way */
    uint8_t type;    /* of it; 0: there is none */
    uint8_t flags;   /* of its first fragment, without MORE */
};

enum relay_lane_verdict {
    RELAY_LANE_WHOLE, /* an object in one frame */
    RELAY_LANE_FIRST, /* the first fragment of several */
    RELAY_LANE_NEXT,  /* another one */
    RELAY_LANE_LAST,  /* the last one: lane->total is the object's length, lane->flags its flags */
    RELAY_LANE_BAD    /* *code and *why say what is wrong */
};

/* relay_lane_take - account for one BROADCAST or ITEM. */
enum relay_lane_verdict relay_lane_take(struct relay_lane *lane, const struct relay_native_head *h,
                                        enum relay_goaway *code, const char **why);

/* relay_lane_run - the same for a run of `frames` broadcasts in len bytes, the last one with seq
 * `last`: true when it is legal as a whole (and accounted for); false: take it frame by frame. */
bool relay_lane_run(struct relay_lane *lane, size_t len, uint32_t frames, uint64_t last);

#endif
