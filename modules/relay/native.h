/* SPDX-License-Identifier: MIT */
/* The session of the native wire on one connection, for the files that make it (native*.c). */
#ifndef NK_RELAY_NATIVE_H
#define NK_RELAY_NATIVE_H

#include "relay/backlog.h"
#include "relay/conn.h"
#include "relay/login_server.h"
#include "relay/proto_native.h"
#include "relay/wire_native.h"

/* clang-format off */
#define RELAY_NATIVE_OPEN_GROUPS 4096u             /* of one connection, as in a tlspyo HELLO */
#define RELAY_NATIVE_WINDOW ((uint64_t)4 << 20)    /* bytes of one group under way from a client */
#define RELAY_NATIVE_WINDOW_MIN ((uint64_t)768 << 10) /* of a relay with little memory: 3 frames */
#define RELAY_NATIVE_CUT ((size_t)64 * 1024)       /* payload of a fragment that the relay sends */
#define RELAY_NATIVE_AHEAD ((size_t)256 * 1024)    /* output beyond which objects wait in backlogs */
#define RELAY_NATIVE_PAUSE ((uint64_t)1 << 20)     /* output at which no more items come */
#define RELAY_NATIVE_ASSEMBLING 64u                /* objects of a connection in fragments */
/* clang-format on */

/* A publish that the engine has not answered. */
struct relay_native_pending {
    uint64_t seq;    /* of the (last) object */
    uint32_t frames; /* objects, more than one in a run */
    uint32_t bytes;  /* with heads, for the window; a long object's were given back before */
    int32_t status;  /* once done, as on the wire */
    bool done, broadcast;
};

/* One opened group. */
struct relay_handle {
    struct relay_group *group; /* with a reference */
    struct relay_native_session *session;
    uint64_t request; /* of OPEN, until it was answered */
    uint32_t slot;
    uint8_t rights;               /* enum relay_right, by the newest rules */
    bool member, opening, closed; /* closed: only waits for the engine's answers */
    bool due;                     /* on the list of those with a receipt or a window to send */
    bool held;                    /* no more window for now */
    bool full;                    /* its backlog lets producers wait */
    bool skipping;                /* the object under way was refused: its fragments are dropped */
    bool singly;   /* broadcasts may have been sent before: no runs, until one was new */
    bool claiming; /* resumed: leases that are not claimed before the first CREDIT or DRAIN go back
                    */
    struct relay_handle *due_next;
    /* publishing */
    struct relay_lane lane;
    struct relay_object *head, *tail;  /* the object under way */
    uint64_t copies, expires_ms;       /* of it */
    uint64_t granted;                  /* bytes that count as done: the window begins there */
    struct relay_native_pending *ring; /* cap is a power of two */
    uint64_t base;                     /* number of entry 0 */
    uint32_t ring_head, n, cap;
    int refusal;            /* of the object under way, when it is skipped */
    uint64_t settled, told; /* seq up to which everything is settled, and was told */
    struct relay_native_failure *fail;
    uint32_t nfail, fail_cap;
    /* consuming; absolute since OPENED */
    uint64_t credit, credit_bytes, asked; /* asked: items that the engine may deliver */
    uint64_t items, item_bytes;           /* delivered */
    uint64_t largest;                     /* item so far, for byte limits */
    struct relay_native_range *claim;
    uint32_t nclaims, claim_cap;
    uint32_t drains, drained; /* DRAINs at the engine; answered, not told yet */
    struct relay_backlog backlog;
    struct relay_handle *turn_next, *turn_prev; /* ring of those with a backlog */
};

/* A SETTLED that was asked for. */
struct relay_native_asked {
    uint32_t group;
    uint32_t left;
    uint64_t seq;
    int status;
};

struct relay_native_attempt;

struct relay_native_session {
    struct relay_conn *conn;
    struct relay_native p;
    struct relay_member *member;
    struct relay_login_server *login; /* until logged in */
    struct relay_native_attempt *attempt;
    uint8_t id[RELAY_NATIVE_ID], tag[RELAY_TAG]; /* tag: id and identity, for the engine */
    bool resumed;
    uint64_t producer;
    struct relay_handle **slot; /* by number; NULL: free */
    uint32_t nslots, nopen;
    uint32_t *table; /* group id -> slot + 1, open addressing; cap is a power of two */
    uint32_t table_cap, table_used;
    struct relay_handle *last; /* used last */
    struct relay_handle *due;
    struct relay_handle *turn; /* next backlog to take from */
    struct relay_native_asked *asked;
    uint64_t asked_base;
    uint32_t asked_head, asked_n, asked_cap;
    uint64_t backlog; /* bytes of all backlogs */
    uint64_t leases;  /* items delivered and not settled by it; for administrators */
    uint32_t assembling, nfull, unanswered; /* unanswered: publishes of all handles */
    bool paused, leaving;
};

/* Tokens: what an engine's answer is about. */
enum relay_native_token {
    RELAY_NT_PUBLISH = 1,
    RELAY_NT_OPEN,
    RELAY_NT_DRAIN,
    RELAY_NT_SETTLE,
    RELAY_NT_RESUME
};
#define RELAY_NT_SLOT_BITS 16
#define RELAY_NT_COUNT_BITS 44

static inline uint64_t relay_native_token(enum relay_native_token what, uint32_t slot,
                                          uint64_t count)
{
    return (uint64_t)what << (RELAY_NT_SLOT_BITS + RELAY_NT_COUNT_BITS) |
           (uint64_t)slot << RELAY_NT_COUNT_BITS |
           (count & (((uint64_t)1 << RELAY_NT_COUNT_BITS) - 1));
}

static inline struct relay_native_session *relay_native_of(const struct relay_conn *c)
{
    return c->session;
}

/* native.c: end the connection with GOAWAY. relay_native_no_memory - the same, for want of it. */
void relay_native_refuse(struct relay_conn *c, enum relay_goaway code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
void relay_native_no_memory(struct relay_conn *c);
void relay_native_welcome(struct relay_conn *c);

/* native_resume.c: look for the session, then WELCOME; its answer; what is not claimed goes back.
 */
void relay_native_resume(struct relay_conn *c);
void relay_native_resumed(struct relay_conn *c, int status);
int relay_native_claim(struct relay_handle *h, const struct relay_native_ranges *r);
void relay_native_claims_end(struct relay_conn *c, struct relay_handle *h);
/* The session ends with its connection, which is about to be detached: nothing is kept. */
void relay_native_forget(struct relay_conn *c);

/*
 * native_login.c: relay_native_attempt_wait - a frame came: must it wait, because its address has
 * failed to log in before? Then the connection is stalled, and the frame comes again.
 * relay_native_attempt_over - may it go on? relay_native_attempt_end - at the end of a login or a
 * connection; forgive: it succeeded, or is counted otherwise.
 */
bool relay_native_attempt_wait(struct relay_conn *c, const struct relay_native_head *h,
                               const uint8_t *payload);
bool relay_native_attempt_over(const struct relay_native_session *s);
void relay_native_attempt_end(struct relay_conn *c, bool forgive);

/* native_group.c: handles. find: by group id, NULL when it is not open. */
struct relay_handle *relay_native_find(struct relay_native_session *s, uint32_t group);
void relay_native_open(struct relay_conn *c, const struct relay_native_open *o);
void relay_native_opened(struct relay_native_session *s, struct relay_handle *h, int status);
void relay_native_close_group(struct relay_conn *c, struct relay_handle *h);
void relay_native_groups_clear(struct relay_native_session *s);
/* The rules have changed: true when it is a member where it must not be. */
bool relay_native_forbidden(struct relay_conn *c);
/* A closed handle without open answers is freed. */
void relay_native_handle_tidy(struct relay_native_session *s, struct relay_handle *h);

/* native_in.c: publishing. object: one frame at p (its head), in chunk (NULL: it must be copied).
 * run: as many frames as make a run; returns their bytes or 0. */
void relay_native_object(struct relay_conn *c, struct relay_handle *h,
                         const struct relay_native_head *head, const uint8_t *p);
size_t relay_native_run(struct relay_conn *c, const uint8_t *p, size_t n);
void relay_native_published(struct relay_native_session *s, struct relay_handle *h, uint64_t count,
                            int status);
void relay_native_due(struct relay_handle *h);
/* Write receipts and windows that are due. held: look again at windows that were held back. */
void relay_native_receipts(struct relay_conn *c);
void relay_native_held(struct relay_conn *c);
uint64_t relay_native_window(const struct relay_hub *hub);
void relay_native_publish_clear(struct relay_handle *h);

/* native_out.c: delivering, credit. pump: move from backlogs to the output. */
void relay_native_deliver(struct relay_conn *c, struct relay_group *g, struct relay_object *o,
                          enum relay_delivery kind, const struct relay_mark *mark);
void relay_native_pump(struct relay_conn *c);
void relay_native_credit(struct relay_conn *c, struct relay_handle *h,
                         const struct relay_native_head *head, const uint8_t *payload);
void relay_native_drained(struct relay_conn *c, struct relay_handle *h);
void relay_native_settle(struct relay_conn *c, struct relay_handle *h,
                         const struct relay_native_head *head, const uint8_t *payload);
void relay_native_settled(struct relay_conn *c, uint64_t count, int status);
void relay_native_purge(struct relay_conn *c, struct relay_handle *h,
                        const struct relay_native_head *head);
void relay_native_backlog_clear(struct relay_handle *h);

#endif
