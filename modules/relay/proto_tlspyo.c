/* SPDX-License-Identifier: MIT */
#include "relay/proto_tlspyo.h"

#include <stdlib.h>

enum { CAP_MIN = 16, CAP_MAX = 1 << 24 };

/* --- states ----------------------------------------------------------------------------------- */

static void set_state(struct relay_tlspyo *p, enum relay_tlspyo_state s)
{
    p->state = s;
}

const char *relay_tlspyo_state_name(enum relay_tlspyo_state s)
{
    static const char *const names[] = {
#define NAME(name) #name,
        RELAY_TLSPYO_STATES(NAME)
#undef NAME
    };
    return names[s];
}

void relay_tlspyo_init(struct relay_tlspyo *p)
{
    set_state(p, RELAY_TLSPYO_HELLO);
}

static struct relay_tlspyo_action close_now(struct relay_tlspyo *p, const char *why)
{
    set_state(p, RELAY_TLSPYO_CLOSED);
    return (struct relay_tlspyo_action){.what = RELAY_DO_CLOSE, .ack = true, .why = why};
}

static struct relay_tlspyo_action act(enum relay_tlspyo_do what, bool ack)
{
    return (struct relay_tlspyo_action){.what = what, .ack = ack};
}

static struct relay_tlspyo_action expect_hello(struct relay_tlspyo *p,
                                               const struct relay_envelope *e)
{
    switch (e->cmd) {
    case RELAY_CMD_HELLO:
        set_state(p, RELAY_TLSPYO_JOINING);
        return act(RELAY_DO_JOIN, true);
    case RELAY_CMD_ACK: /* of our HELLO */
        return act(RELAY_DO_NOTHING, false);
    default: /* tlspyo answers and ignores whatever comes too early */
        return act(RELAY_DO_NOTHING, true);
    }
}

static struct relay_tlspyo_action alive(struct relay_tlspyo *p, const struct relay_envelope *e)
{
    switch (e->cmd) {
    case RELAY_CMD_ACK:
        return act(RELAY_DO_SETTLE, false);
    case RELAY_CMD_OBJ:
        return act(RELAY_DO_OBJECT, false);
    case RELAY_CMD_NTF:
        return act(RELAY_DO_DEMAND, true);
    case RELAY_CMD_HELLO:
        return close_now(p, "a second HELLO");
    case RELAY_CMD_OTHER:
        break;
    }
    return close_now(p, "an unknown command");
}

struct relay_tlspyo_action relay_tlspyo_frame(struct relay_tlspyo *p,
                                              const struct relay_envelope *e)
{
    switch (p->state) {
    case RELAY_TLSPYO_HELLO:
        return expect_hello(p, e);
    case RELAY_TLSPYO_ALIVE:
        return alive(p, e);
    case RELAY_TLSPYO_JOINING:
    case RELAY_TLSPYO_CLOSED:
        break;
    }
    return close_now(p, "a frame out of turn");
}

void relay_tlspyo_joined(struct relay_tlspyo *p, int status)
{
    if (p->state == RELAY_TLSPYO_JOINING) {
        set_state(p, status == 0 ? RELAY_TLSPYO_ALIVE : RELAY_TLSPYO_CLOSED);
    }
}

/* --- stamps ----------------------------------------------------------------------------------- */

static struct relay_stamp *entry(const struct relay_stamps *s, uint32_t i)
{
    return &s->v[(s->head + i) & (s->cap - 1)];
}

static bool grow(struct relay_stamps *s)
{
    uint32_t cap = s->cap ? s->cap * 2 : CAP_MIN;
    struct relay_stamp *v = cap <= CAP_MAX ? malloc(cap * sizeof(*v)) : NULL;
    if (!v) {
        return false;
    }
    for (uint32_t i = 0; i < s->n; i++) {
        v[i] = *entry(s, i);
    }
    free(s->v);
    s->v = v;
    s->cap = cap;
    s->head = 0;
    return true;
}

uint32_t relay_stamps_issue(struct relay_stamps *s, void *group, uint64_t lease)
{
    if (lease) {
        if (s->n == s->cap && !grow(s)) {
            return 0;
        }
        *entry(s, s->n) =
            (struct relay_stamp){.serial = s->last + 1, .lease = lease, .group = group};
        s->n++;
        s->open++;
    }
    s->last++;
    return (uint32_t)((s->last - 1) % RELAY_STAMP_MAX) + 1;
}

/* The serial number of the newest stamp with this value, or 0. */
static uint64_t serial_of(const struct relay_stamps *s, int64_t stamp)
{
    if (stamp < 1 || stamp > RELAY_STAMP_MAX || s->last == 0) {
        return 0;
    }
    uint64_t newest = (s->last - 1) % RELAY_STAMP_MAX + 1;
    uint64_t back = (newest + RELAY_STAMP_MAX - (uint64_t)stamp) % RELAY_STAMP_MAX;
    return back < s->last ? s->last - back : 0;
}

uint64_t relay_stamps_settle(struct relay_stamps *s, int64_t stamp, void **group)
{
    uint64_t serial = serial_of(s, stamp);
    uint32_t lo = 0, hi = s->n;
    if (s->n && entry(s, 0)->serial == serial) {
        hi = 0; /* nearly always */
    }
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (entry(s, mid)->serial < serial) {
            lo = mid + 1;
        } else {
            hi = mid;
        }
    }
    if (lo >= s->n || entry(s, lo)->serial != serial || serial == 0) {
        return 0;
    }
    uint64_t lease = entry(s, lo)->lease;
    if (lease) {
        *group = entry(s, lo)->group;
        entry(s, lo)->lease = 0;
        s->open--;
    }
    while (s->n && entry(s, 0)->lease == 0) {
        s->head = (s->head + 1) & (s->cap - 1);
        s->n--;
    }
    return lease;
}

void relay_stamps_clear(struct relay_stamps *s)
{
    free(s->v);
    *s = (struct relay_stamps){0};
}
