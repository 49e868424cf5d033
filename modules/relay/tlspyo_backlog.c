/* SPDX-License-Identifier: MIT */
/*
 * Broadcasts that wait for a stock endpoint that reads slowly, in groups whose policy is not to let
 * producers wait. (Where they wait, everything goes into the connection's output at once.)
 */
#include <stdlib.h>

#include "relay/tlspyo.h"

#define AHEAD ((size_t)256 * 1024) /* output beyond which broadcasts wait here */

static bool waits_here(const struct relay_group *g)
{
    switch (g->set.policy) {
    case RELAY_POLICY_CONFLATE:
    case RELAY_POLICY_DROP_OLDEST:
    case RELAY_POLICY_DISCONNECT:
        return true;
    case RELAY_POLICY_AUTO:
    case RELAY_POLICY_BLOCK:
        break;
    }
    return false;
}

static struct relay_backlog *backlog_of(struct relay_session *s, const struct relay_group *g)
{
    if (!s->backlogs) {
        s->backlogs = calloc(s->ngroups, sizeof(*s->backlogs));
    }
    for (size_t i = 0; s->backlogs && i < s->ngroups; i++) {
        if (s->groups[i] == g) {
            return &s->backlogs[i];
        }
    }
    return NULL;
}

int relay_session_wait(struct relay_conn *c, struct relay_group *g, struct relay_object *o,
                       enum relay_delivery kind, const struct relay_mark *mark)
{
    struct relay_session *s = c->session;
    uint64_t dropped;
    if (kind == RELAY_ITEM || !waits_here(g) || (c->out.bytes <= AHEAD && s->waiting == 0)) {
        return 0;
    }
    struct relay_backlog *b = backlog_of(s, g);
    if (!b) {
        return -ENOMEM;
    }
    const struct relay_backlog_limits l = relay_backlog_limits_of(g, c->hub->limits.max_backlog);
    uint64_t before = b->broadcasts;
    int rc = relay_backlog_push(b, &l, o, kind, mark, &dropped);
    s->waiting += b->broadcasts - before; /* modulo 2^64: it may have shrunk */
    c->hub->count.dropped_slow += dropped;
    if (rc == RELAY_BACKLOG_DISCONNECT) {
        c->hub->count.closed_slow++;
        relay_conn_close(c, NK_LOG_WARN, "too slow for a group");
        return 1;
    }
    return rc < 0 ? rc : 1;
}

/* What fits from one group. 0 or -ENOMEM. */
static int serve(struct relay_conn *c, struct relay_backlog *b)
{
    struct relay_session *s = c->session;
    struct relay_backlog_entry *e;
    int rc = 0;
    while (rc == 0 && c->out.bytes <= AHEAD && (e = relay_backlog_front(b)) != NULL) {
        uint32_t n = e->obj->frames ? e->obj->frames : 1;
        rc = relay_session_send(c, NULL, e->obj, 0);
        s->waiting -= n;
        relay_backlog_advance(b, e->obj->total);
    }
    return rc;
}

int relay_session_serve(struct relay_conn *c)
{
    struct relay_session *s = c->session;
    int rc = 0;
    for (size_t i = 0; s->waiting && i < s->ngroups && rc == 0 && c->out.bytes <= AHEAD; i++) {
        s->turn = (s->turn + 1) % s->ngroups;
        rc = serve(c, &s->backlogs[s->turn]);
    }
    return rc;
}

void relay_session_backlogs_clear(struct relay_session *s)
{
    for (size_t i = 0; s->backlogs && i < s->ngroups; i++) {
        relay_backlog_clear(&s->backlogs[i]);
    }
    free(s->backlogs);
    s->backlogs = NULL;
}
