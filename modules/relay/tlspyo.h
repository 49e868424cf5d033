/* SPDX-License-Identifier: MIT */
/* The session of tlspyo's wire on one connection, for the two files that make it (tlspyo*.c). */
#ifndef NK_RELAY_TLSPYO_H
#define NK_RELAY_TLSPYO_H

#include "relay/backlog.h"
#include "relay/conn.h"
#include "relay/proto_tlspyo.h"
#include "relay/wire_tlspyo.h"

#define RELAY_JOIN_TOKEN UINT64_MAX /* of the engine's answer to a HELLO; objects count from 1 */

/* Who waits for the engine: frame `base + i` of the ring has `left` operations to go. */
struct relay_pending {
    int64_t stamp;
    uint32_t left;
};

struct relay_session {
    struct relay_tlspyo p;
    struct relay_stamps stamps;
    struct relay_frames frames;
    struct relay_member *member;
    struct relay_group **groups; /* joined, with references */
    size_t ngroups;
    struct relay_backlog *backlogs; /* of each group, or NULL: none was needed yet */
    uint64_t waiting;               /* broadcasts in them */
    size_t turn;                    /* who was served last */
    struct relay_object *big;       /* payload of a large frame, being read */
    size_t big_have;
    struct relay_pending *ring; /* cap is a power of two */
    uint64_t base;              /* token of ring entry 0 */
    uint32_t head, n, cap;
    bool paused;
};

/* relay_session_object - append a delivery of o. relay_session_run - of each frame of a run. 0 or
 * -ENOMEM. */
int relay_session_object(struct relay_conn *c, struct relay_object *o, uint32_t stamp);
int relay_session_run(struct relay_conn *c, struct relay_object *o);

/* relay_session_send - append a delivery with a stamp of its own; g and lease are of an item. 0 or
 * -ENOMEM. */
int relay_session_send(struct relay_conn *c, struct relay_group *g, struct relay_object *o,
                       uint64_t lease);

/* relay_session_wait - must it wait in its group's backlog? 1: it does (or the connection was
 * closed), 0: send it now, -ENOMEM. relay_session_serve - send what fits. */
int relay_session_wait(struct relay_conn *c, struct relay_group *g, struct relay_object *o,
                       enum relay_delivery kind, const struct relay_mark *mark);
int relay_session_serve(struct relay_conn *c);
void relay_session_backlogs_clear(struct relay_session *s);

/* relay_session_join - a HELLO: ask the engine for its groups. relay_session_joined - its answer.
 */
void relay_session_join(struct relay_conn *c, const struct relay_envelope *e);
void relay_session_joined(struct relay_conn *c, int status);

#endif
