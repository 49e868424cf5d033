/* SPDX-License-Identifier: MIT */
#include "relay/proto_native.h"

/* --- the connection --------------------------------------------------------------------------- */

static void set_state(struct relay_native *p, enum relay_native_state s)
{
    p->state = s;
}

const char *relay_native_state_name(enum relay_native_state s)
{
    static const char *const names[] = {
#define NAME(name) #name,
        RELAY_NATIVE_STATES(NAME)
#undef NAME
    };
    return names[s];
}

void relay_native_init(struct relay_native *p)
{
    p->step = 0;
    set_state(p, RELAY_NATIVE_HELLO);
}

uint32_t relay_native_max_len(const struct relay_native *p)
{
    bool guest = p->state == RELAY_NATIVE_HELLO || p->state == RELAY_NATIVE_AUTH;
    return guest ? RELAY_NATIVE_GUEST : RELAY_NATIVE_FRAGMENT;
}

static struct relay_native_action act(enum relay_native_do what)
{
    return (struct relay_native_action){.what = what};
}

static struct relay_native_action refuse(struct relay_native *p, const char *why)
{
    set_state(p, RELAY_NATIVE_CLOSED);
    return (struct relay_native_action){
        .what = RELAY_NDO_REFUSE, .code = RELAY_GOAWAY_PROTOCOL, .why = why};
}

static struct relay_native_action leave(struct relay_native *p)
{
    set_state(p, RELAY_NATIVE_LEAVING);
    return act(RELAY_NDO_LEAVE);
}

static struct relay_native_action guest(struct relay_native *p, const struct relay_native_head *h)
{
    switch (h->type) {
    case RELAY_N_HELLO:
        return p->state == RELAY_NATIVE_HELLO ? act(RELAY_NDO_HELLO) : refuse(p, "a second HELLO");
    case RELAY_N_AUTH:
        if (p->state != RELAY_NATIVE_AUTH) {
            return refuse(p, "AUTH before HELLO");
        }
        if (h->seq != p->step + 1) {
            return refuse(p, "a step of the login out of turn");
        }
        p->step = h->seq;
        return act(RELAY_NDO_AUTH);
    case RELAY_N_GOAWAY:
        return leave(p);
    default:
        return refuse(p, "a frame that needs a login");
    }
}

static struct relay_native_action alive(struct relay_native *p, const struct relay_native_head *h)
{
    switch (h->type) {
    case RELAY_N_OPEN:
        return act(RELAY_NDO_OPEN);
    case RELAY_N_CLOSE:
        return act(RELAY_NDO_CLOSE);
    case RELAY_N_BROADCAST:
    case RELAY_N_ITEM:
        return act(RELAY_NDO_OBJECT);
    case RELAY_N_CREDIT:
    case RELAY_N_DRAIN:
        return act(RELAY_NDO_CREDIT);
    case RELAY_N_ACK:
    case RELAY_N_NACK:
    case RELAY_N_EXTEND:
        return act(RELAY_NDO_SETTLE);
    case RELAY_N_PURGE:
        return act(RELAY_NDO_PURGE);
    case RELAY_N_PING:
        return act(RELAY_NDO_PING);
    case RELAY_N_PONG:
        return act(RELAY_NDO_NOTHING);
    case RELAY_N_GOAWAY:
        return leave(p);
    case RELAY_N_HELLO:
        return refuse(p, "a second HELLO");
    default:
        return refuse(p, "AUTH after the login");
    }
}

static struct relay_native_action leaving(struct relay_native *p, const struct relay_native_head *h)
{
    switch (h->type) {
    case RELAY_N_ACK:
    case RELAY_N_NACK:
    case RELAY_N_EXTEND:
        return act(RELAY_NDO_SETTLE);
    case RELAY_N_PING:
        return act(RELAY_NDO_PING);
    case RELAY_N_PONG:
    case RELAY_N_CREDIT: /* too late, and harmless */
    case RELAY_N_CLOSE:
        return act(RELAY_NDO_NOTHING);
    default:
        return refuse(p, "a frame after GOAWAY");
    }
}

struct relay_native_action relay_native_frame(struct relay_native *p,
                                              const struct relay_native_head *h)
{
    switch (p->state) {
    case RELAY_NATIVE_HELLO:
    case RELAY_NATIVE_AUTH:
        return guest(p, h);
    case RELAY_NATIVE_ALIVE:
        return alive(p, h);
    case RELAY_NATIVE_LEAVING:
        return leaving(p, h);
    case RELAY_NATIVE_RESUMING:
    case RELAY_NATIVE_CLOSED:
        break;
    }
    return refuse(p, "a frame out of turn");
}

void relay_native_challenged(struct relay_native *p, bool logged_in)
{
    if (p->state == RELAY_NATIVE_HELLO) {
        set_state(p, logged_in ? RELAY_NATIVE_RESUMING : RELAY_NATIVE_AUTH);
    }
}

void relay_native_logged_in(struct relay_native *p)
{
    if (p->state == RELAY_NATIVE_AUTH) {
        set_state(p, RELAY_NATIVE_RESUMING);
    }
}

void relay_native_welcomed(struct relay_native *p)
{
    if (p->state == RELAY_NATIVE_RESUMING) {
        set_state(p, RELAY_NATIVE_ALIVE);
    }
}

void relay_native_refused(struct relay_native *p)
{
    set_state(p, RELAY_NATIVE_CLOSED);
}

/* --- one group's publisher -------------------------------------------------------------------- */

static enum relay_lane_verdict bad(enum relay_goaway *code, enum relay_goaway c, const char **why,
                                   const char *text)
{
    *code = c;
    *why = text;
    return RELAY_LANE_BAD;
}

static enum relay_lane_verdict next_fragment(struct relay_lane *lane,
                                             const struct relay_native_head *h,
                                             enum relay_goaway *code, const char **why)
{
    if (h->seq != lane->last || h->type != lane->type) {
        return bad(code, RELAY_GOAWAY_PROTOCOL, why, "an object between the fragments of another");
    }
    if (h->flags & (uint8_t)~RELAY_N_MORE) {
        return bad(code, RELAY_GOAWAY_PROTOCOL, why, "flags on a later fragment");
    }
    lane->total += h->len;
    if (h->flags & RELAY_N_MORE) {
        return RELAY_LANE_NEXT;
    }
    lane->type = 0;
    return RELAY_LANE_LAST;
}

enum relay_lane_verdict relay_lane_take(struct relay_lane *lane, const struct relay_native_head *h,
                                        enum relay_goaway *code, const char **why)
{
    uint64_t bytes = RELAY_NATIVE_HEAD + (uint64_t)h->len;
    if (bytes > lane->window - lane->bytes) {
        return bad(code, RELAY_GOAWAY_LIMIT, why, "more than the group's window allows");
    }
    lane->bytes += bytes;
    if (lane->type) {
        return next_fragment(lane, h, code, why);
    }
    if (h->seq <= lane->last) {
        return bad(code, RELAY_GOAWAY_PROTOCOL, why, "a sequence number that does not ascend");
    }
    lane->last = h->seq;
    lane->total = h->len;
    lane->flags = h->flags & (uint8_t)~RELAY_N_MORE;
    if (h->flags & RELAY_N_MORE) {
        lane->type = h->type;
        return RELAY_LANE_FIRST;
    }
    return RELAY_LANE_WHOLE;
}

bool relay_lane_run(struct relay_lane *lane, size_t len, uint32_t frames, uint64_t last)
{
    if (lane->type || last < frames || last - frames < lane->last ||
        len > lane->window - lane->bytes) {
        return false;
    }
    lane->bytes += len;
    lane->last = last;
    return true;
}
