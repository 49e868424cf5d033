/* SPDX-License-Identifier: MIT */
/* What a native connection gets: deliveries, credit for items, the end of leases. */
#include <stdlib.h>
#include <string.h>

#include "base/codec.h"
#include "relay/native.h"

enum { NAME_TEXT = 120 }; /* of a group's name in the log */

enum {
    ASKED_MIN = 8,
    BATCH = 1024,     /* items asked of the engine at a time under a byte limit */
    TURN = 64 * 1024, /* bytes from one backlog before the next one's turn */
    TALL = 256        /* small objects of one turn */
};

/* --- writing ---------------------------------------------------------------------------------- */

static uint8_t type_of(uint8_t kind)
{
    return kind == RELAY_ITEM ? RELAY_N_ITEM : RELAY_N_BROADCAST;
}

static uint8_t flags_of(const struct relay_backlog_entry *e)
{
    uint8_t flags = e->obj->flags & (RELAY_N_META | RELAY_N_CONTENT);
    if (e->kind == RELAY_RETAINED) {
        flags |= RELAY_N_RETAINED;
    }
    if (e->kind == RELAY_ITEM && e->tries) {
        flags |= RELAY_N_REDELIVERED;
    }
    return flags;
}

/* Can the head stand in front of the object's bytes, where every receiver finds it? */
static bool head_in_place(struct relay_object *o, const struct relay_native_head *head)
{
    uint8_t want[RELAY_NATIVE_HEAD];
    if (!o->headroom) {
        return false;
    }
    relay_native_put_head(want, head);
    uint8_t *at = o->bytes - RELAY_NATIVE_HEAD;
    if (o->stamped) {
        return memcmp(at, want, sizeof(want)) == 0;
    }
    memcpy(at, want, sizeof(want));
    o->stamped = true;
    return true;
}

/* Head and bytes copied. */
static int put_small(struct relay_out *out, const struct relay_native_head *head,
                     const struct relay_object *o)
{
    uint8_t *p = relay_out_reserve(out, RELAY_NATIVE_HEAD + head->len);
    if (!p) {
        return -ENOMEM;
    }
    relay_native_put_head(p, head);
    relay_object_read(o, 0, p + RELAY_NATIVE_HEAD, head->len);
    relay_out_commit(out, RELAY_NATIVE_HEAD + head->len);
    return 0;
}

/* len bytes of the chain from off, by reference, behind a head of their own. */
static int put_part(struct relay_out *out, const struct relay_native_head *head,
                    struct relay_object *o, uint64_t off)
{
    uint8_t *p = relay_out_reserve(out, RELAY_NATIVE_HEAD);
    if (!p) {
        return -ENOMEM;
    }
    relay_native_put_head(p, head);
    relay_out_commit(out, RELAY_NATIVE_HEAD);
    size_t left = head->len;
    int rc = 0;
    for (; o && left && rc == 0; o = o->more) {
        if (off >= o->len) {
            off -= o->len;
            continue;
        }
        size_t n = o->len - (size_t)off < left ? o->len - (size_t)off : left;
        relay_out_joined(out);
        rc = relay_out_bytes(out, o, o->bytes + off, n);
        left -= n;
        off = 0;
    }
    return rc == 0 && left ? NK_EINTERNAL : rc;
}

static int put_object(struct relay_out *out, const struct relay_backlog_entry *e, uint32_t group)
{
    struct relay_object *o = e->obj;
    struct relay_native_head head = {.type = type_of(e->kind),
                                     .flags = flags_of(e),
                                     .len = (uint32_t)o->total,
                                     .seq = e->seq,
                                     .group = group};
    if (o->total <= RELAY_OUT_INLINE) {
        return put_small(out, &head, o);
    }
    if (o->more || !head_in_place(o, &head)) {
        return put_part(out, &head, o, 0);
    }
    return relay_out_bytes(out, o, o->bytes - RELAY_NATIVE_HEAD, RELAY_NATIVE_HEAD + o->len);
}

/* The next part of a long object. Returns its bytes or -ENOMEM. */
static int64_t put_fragment(struct relay_out *out, const struct relay_backlog_entry *e,
                            uint32_t group)
{
    uint64_t left = e->obj->total - e->off;
    bool more = left > RELAY_NATIVE_CUT;
    struct relay_native_head head = {.type = type_of(e->kind),
                                     .flags = e->off ? 0 : flags_of(e),
                                     .len = (uint32_t)(more ? RELAY_NATIVE_CUT : left),
                                     .seq = e->seq,
                                     .group = group};
    head.flags |= more ? RELAY_N_MORE : 0;
    int rc = put_part(out, &head, e->obj, e->off);
    return rc < 0 ? rc : (int64_t)head.len;
}

static int put_deliveries(struct relay_out *out, const struct relay_backlog_entry *e,
                          uint32_t group)
{
    uint8_t *p = relay_out_reserve(out, RELAY_NATIVE_U32_MAX);
    if (!p) {
        return -ENOMEM;
    }
    relay_out_commit(out, relay_native_put_u32(p, RELAY_N_DELIVERIES, group, e->seq, e->tries));
    return 0;
}

/* An entry, or the next part of it. Returns the bytes of the object that went out, or -ENOMEM. */
static int64_t emit(struct relay_conn *c, struct relay_handle *h, struct relay_backlog_entry *e)
{
    struct relay_object *o = e->obj;
    uint32_t group = h->group->id;
    int rc = 0;
    if (e->kind == RELAY_ITEM && e->tries && e->off == 0) {
        rc = put_deliveries(&c->out, e, group);
    }
    if (rc < 0) {
        return rc;
    }
    if (o->frames) {
        rc = relay_out_bytes(&c->out, o, o->bytes, o->len);
        c->objects_out += o->frames;
        c->hub->count.objects_out += o->frames;
        return rc < 0 ? rc : (int64_t)o->len;
    }
    if (e->off == 0) {
        c->objects_out++;
        c->hub->count.objects_out++;
    }
    if (o->total > RELAY_NATIVE_CUT) {
        return put_fragment(&c->out, e, group);
    }
    rc = put_object(&c->out, e, group);
    return rc < 0 ? rc : (int64_t)o->total;
}

/* --- who waits -------------------------------------------------------------------------------- */

static void turn_leave(struct relay_native_session *s, struct relay_handle *h)
{
    if (!h->turn_next) {
        return;
    }
    if (h->turn_next == h) {
        s->turn = NULL;
    } else {
        h->turn_prev->turn_next = h->turn_next;
        h->turn_next->turn_prev = h->turn_prev;
        if (s->turn == h) {
            s->turn = h->turn_next;
        }
    }
    h->turn_next = h->turn_prev = NULL;
}

static void turn_enter(struct relay_native_session *s, struct relay_handle *h)
{
    if (h->turn_next) {
        return;
    }
    if (!s->turn) {
        h->turn_next = h->turn_prev = s->turn = h;
        return;
    }
    h->turn_next = s->turn;
    h->turn_prev = s->turn->turn_prev;
    h->turn_prev->turn_next = h->turn_next->turn_prev = h;
}

static void set_full(struct relay_conn *c, struct relay_handle *h, bool full)
{
    struct relay_native_session *s = h->session;
    h->full = full;
    if (full) {
        h->group->full++;
        s->nfull++;
        c->full = true;
        relay_conn_established(c); /* looks sooner whether it still reads */
        return;
    }
    h->group->full--;
    c->full = --s->nfull != 0;
    relay_hub_touch(c->hub);
}

static void pause_or_resume(struct relay_conn *c)
{
    struct relay_native_session *s = relay_native_of(c);
    uint64_t waiting = c->out.bytes + s->backlog;
    bool pause = c->ending || waiting > RELAY_NATIVE_PAUSE ||
                 (s->paused && waiting > RELAY_NATIVE_PAUSE / 2);
    if (pause != s->paused) {
        s->paused = pause;
        relay_engine_pause(c->hub->conf.engine, s->member, pause);
    }
}

/* The answers to DRAINs, behind everything that was delivered for them. */
static void send_drained(struct relay_conn *c, struct relay_handle *h)
{
    for (; h->drained && !c->closed; h->drained--) {
        uint8_t *p = relay_out_reserve(&c->out, RELAY_NATIVE_HEAD);
        if (!p) {
            relay_native_no_memory(c);
            return;
        }
        relay_out_commit(&c->out,
                         relay_native_put_plain(p, RELAY_N_DRAINED, h->group->id, h->items));
        relay_conn_output(c);
    }
}

/* Some of one backlog. False when it cannot go on. */
static bool serve(struct relay_conn *c, struct relay_handle *h)
{
    struct relay_native_session *s = h->session;
    struct relay_backlog_entry *e;
    int64_t sent = 0;
    for (int i = 0; sent < TURN && i < TALL && (e = relay_backlog_front(&h->backlog)); i++) {
        uint64_t before = h->backlog.bytes;
        int64_t n = emit(c, h, e);
        if (n < 0) {
            relay_native_no_memory(c);
            return false;
        }
        relay_backlog_advance(&h->backlog, (uint64_t)n);
        s->backlog -= before - h->backlog.bytes;
        sent += n;
    }
    relay_conn_output(c);
    return true;
}

void relay_native_pump(struct relay_conn *c)
{
    struct relay_native_session *s = relay_native_of(c);
    while (s->turn && c->out.bytes < RELAY_NATIVE_AHEAD) {
        struct relay_handle *h = s->turn;
        s->turn = h->turn_next;
        if (!serve(c, h)) {
            return;
        }
        if (!relay_backlog_front(&h->backlog)) {
            turn_leave(s, h);
            send_drained(c, h);
        }
        if (h->full) {
            const struct relay_backlog_limits l =
                relay_backlog_limits_of(h->group, c->hub->limits.max_backlog);
            if (relay_backlog_low(&h->backlog, &l)) {
                set_full(c, h, false);
            }
        }
    }
    pause_or_resume(c);
}

void relay_native_backlog_clear(struct relay_handle *h)
{
    struct relay_native_session *s = h->session;
    turn_leave(s, h);
    s->backlog -= h->backlog.bytes;
    relay_backlog_clear(&h->backlog);
    if (h->full) {
        set_full(s->conn, h, false);
    }
}

static void wait_in_line(struct relay_conn *c, struct relay_handle *h, struct relay_object *o,
                         enum relay_delivery kind, const struct relay_mark *mark)
{
    struct relay_native_session *s = h->session;
    const struct relay_backlog_limits l =
        relay_backlog_limits_of(h->group, c->hub->limits.max_backlog);
    uint64_t dropped, before = h->backlog.bytes;
    int rc = relay_backlog_push(&h->backlog, &l, o, kind, mark, &dropped);
    s->backlog += h->backlog.bytes - before;
    c->hub->count.dropped_slow += dropped;
    if (rc == RELAY_BACKLOG_DISCONNECT) {
        c->hub->count.closed_slow++;
        relay_native_refuse(c, RELAY_GOAWAY_SLOW, "too slow for a group, and %zu bytes wait for it",
                            (size_t)s->backlog);
        return;
    }
    if (rc < 0) {
        relay_native_no_memory(c);
        return;
    }
    turn_enter(s, h);
    if (rc == RELAY_BACKLOG_FULL && !h->full) {
        set_full(c, h, true);
    }
    relay_conn_output(c);
}

/* --- deliveries ------------------------------------------------------------------------------- */

static void ask(struct relay_conn *c, struct relay_handle *h)
{
    uint64_t want = h->credit > h->items ? h->credit - h->items : 0;
    if (h->credit_bytes && want) {
        uint64_t room = h->credit_bytes > h->item_bytes ? h->credit_bytes - h->item_bytes : 0;
        uint64_t size = h->largest ? h->largest : room;
        uint64_t batch = room == 0 ? 0 : room / size ? room / size : 1;
        if (h->largest == 0 && batch) {
            batch = 1; /* nothing is known of their size */
        }
        batch = batch < BATCH ? batch : BATCH;
        want = want < batch ? want : batch;
    }
    uint64_t upto = h->items + want;
    if (upto > h->asked) {
        int64_t more = (int64_t)(upto - h->asked);
        h->asked = upto;
        if (relay_engine_demand(c->hub->conf.engine, h->session->member, h->group, more, 0) < 0) {
            relay_native_no_memory(c);
        }
    }
}

static void count_item(struct relay_conn *c, struct relay_handle *h, const struct relay_object *o)
{
    h->items++;
    h->session->leases++;
    h->item_bytes += o->total + RELAY_NATIVE_HEAD;
    if (o->total + RELAY_NATIVE_HEAD > h->largest) {
        h->largest = o->total + RELAY_NATIVE_HEAD;
    }
    if (h->asked < h->items) { /* handed out by a drain */
        h->asked = h->items;
    }
    if (h->credit_bytes) {
        ask(c, h);
    }
}

void relay_native_deliver(struct relay_conn *c, struct relay_group *g, struct relay_object *o,
                          enum relay_delivery kind, const struct relay_mark *mark)
{
    struct relay_native_session *s = relay_native_of(c);
    struct relay_handle *h = relay_native_find(s, g->id);
    if (c->ending || !h || !h->member) { /* nobody would see it */
        if (kind == RELAY_ITEM) {
            relay_engine_settle(c->hub->conf.engine, s->member, g, mark->seq, 1, RELAY_RETURN, 0,
                                0);
        }
        return;
    }
    if (kind == RELAY_RETAINED && !relay_hub_may_replay(c->hub, o, g)) {
        return;
    }
    if (kind == RELAY_ITEM) {
        count_item(c, h, o);
        if (c->closed) {
            return;
        }
    }
    if (h->turn_next || o->total > RELAY_NATIVE_CUT || c->out.bytes > RELAY_NATIVE_AHEAD) {
        wait_in_line(c, h, o, kind, mark);
    } else {
        struct relay_backlog_entry e = {
            .obj = o, .seq = mark->seq, .tries = mark->tries, .kind = (uint8_t)kind};
        if (emit(c, h, &e) < 0) {
            relay_native_no_memory(c);
            return;
        }
        relay_conn_output(c);
    }
    if (!c->closed && !s->paused && c->out.bytes + s->backlog > RELAY_NATIVE_PAUSE) {
        pause_or_resume(c);
    }
}

/* --- credit ----------------------------------------------------------------------------------- */

void relay_native_credit(struct relay_conn *c, struct relay_handle *h,
                         const struct relay_native_head *head, const uint8_t *payload)
{
    struct relay_native_session *s = h->session;
    if (!h->member) {
        relay_native_refuse(c, RELAY_GOAWAY_PROTOCOL, "%s on a group without MEMBER",
                            relay_native_type_name(head->type));
        return;
    }
    if (h->claiming) {
        relay_native_claims_end(c, h);
    }
    if (head->type == RELAY_N_DRAIN) {
        int64_t most = head->seq ? -(int64_t)head->seq : RELAY_DRAIN_ALL;
        h->drains++;
        if (relay_engine_demand(c->hub->conf.engine, s->member, h->group, most,
                                relay_native_token(RELAY_NT_DRAIN, h->slot, 0)) < 0) {
            relay_native_no_memory(c);
        }
        return;
    }
    if (head->seq < h->credit) {
        return; /* an old one */
    }
    h->credit = head->seq;
    h->credit_bytes = relay_native_get_u64(payload);
    ask(c, h);
}

void relay_native_drained(struct relay_conn *c, struct relay_handle *h)
{
    h->drains--;
    if (h->closed) {
        relay_native_handle_tidy(h->session, h);
        return;
    }
    h->drained++;
    if (!h->turn_next) { /* else behind what waits */
        send_drained(c, h);
    }
}

/* --- leases ----------------------------------------------------------------------------------- */

static struct relay_native_asked *asked_at(const struct relay_native_session *s, uint32_t i)
{
    return &s->asked[(s->asked_head + i) & (s->asked_cap - 1)];
}

static int asked_grow(struct relay_native_session *s)
{
    uint32_t cap = s->asked_cap ? s->asked_cap * 2 : ASKED_MIN;
    struct relay_native_asked *v = cap > s->asked_cap ? malloc(cap * sizeof(*v)) : NULL;
    if (!v) {
        return -ENOMEM;
    }
    for (uint32_t i = 0; i < s->asked_n; i++) {
        v[i] = *asked_at(s, i);
    }
    free(s->asked);
    s->asked = v;
    s->asked_cap = cap;
    s->asked_head = 0;
    return 0;
}

/* SETTLED is owed for this frame, after n answers of the engine, which carry the token. */
static int owe_answer(struct relay_native_session *s, const struct relay_native_head *head,
                      uint32_t n, uint64_t *token)
{
    if (s->asked_n == s->asked_cap && asked_grow(s) < 0) {
        return -ENOMEM;
    }
    *token = relay_native_token(RELAY_NT_SETTLE, 0, s->asked_base + s->asked_n);
    *asked_at(s, s->asked_n++) =
        (struct relay_native_asked){.group = head->group, .left = n, .seq = head->seq};
    return 0;
}

/* The token that the answers to this frame carry; 0 when nobody wants to know. */
static int want_answer(struct relay_native_session *s, const struct relay_native_head *head,
                       uint32_t n, uint64_t *token)
{
    *token = 0;
    return head->flags & RELAY_N_WANT ? owe_answer(s, head, n, token) : 0;
}

static enum relay_settle how_of(const struct relay_native_head *head, uint32_t ms)
{
    switch (head->type) {
    case RELAY_N_ACK:
        return RELAY_ACK;
    case RELAY_N_EXTEND:
        return RELAY_EXTEND;
    default:
        return ms == RELAY_NATIVE_DEAD ? RELAY_DEAD : RELAY_NACK;
    }
}

void relay_native_settle(struct relay_conn *c, struct relay_handle *h,
                         const struct relay_native_head *head, const uint8_t *payload)
{
    struct relay_native_session *s = h->session;
    struct relay_native_ranges r;
    uint64_t token;
    if (relay_native_get_ranges(head, payload, &r) < 0) {
        relay_native_refuse(c, RELAY_GOAWAY_PROTOCOL, "malformed ranges (%s)",
                            relay_native_type_name(head->type));
        return;
    }
    enum relay_settle how = how_of(head, r.ms);
    int rc = h->claiming && how == RELAY_EXTEND ? relay_native_claim(h, &r) : 0;
    if (rc == NK_ELIMIT) {
        relay_native_refuse(c, RELAY_GOAWAY_LIMIT, "too many ranges are claimed");
        return;
    }
    rc = rc < 0 ? rc : want_answer(s, head, r.n, &token);
    for (uint32_t i = 0; rc == 0 && i < r.n; i++) {
        struct relay_native_range v = relay_native_range(&r, i);
        if (how != RELAY_EXTEND) {
            s->leases -= v.count < s->leases ? v.count : s->leases;
        }
        rc = relay_engine_settle(c->hub->conf.engine, s->member, h->group, v.first, v.count, how,
                                 how == RELAY_DEAD ? 0 : r.ms, token);
    }
    if (rc < 0) {
        relay_native_no_memory(c);
    }
}

void relay_native_settled(struct relay_conn *c, uint64_t count, int status)
{
    struct relay_native_session *s = relay_native_of(c);
    uint64_t mask = ((uint64_t)1 << RELAY_NT_COUNT_BITS) - 1;
    struct relay_native_asked *a = asked_at(s, (uint32_t)((count - s->asked_base) & mask));
    uint8_t frame[RELAY_NATIVE_U32_MAX];
    if (status < 0) {
        a->status = status;
    }
    if (--a->left) {
        return;
    }
    size_t n = relay_native_put_u32(frame, RELAY_N_SETTLED, a->group, a->seq,
                                    (uint32_t)relay_native_status(a->status));
    uint8_t *p = relay_out_urgent(&c->out, n);
    while (s->asked_n && asked_at(s, 0)->left == 0) {
        s->asked_head = (s->asked_head + 1) & (s->asked_cap - 1);
        s->asked_base++;
        s->asked_n--;
    }
    if (!p) {
        relay_native_no_memory(c);
        return;
    }
    memcpy(p, frame, n);
    relay_conn_output(c);
}

/* --- administration --------------------------------------------------------------------------- */

void relay_native_purge(struct relay_conn *c, struct relay_handle *h,
                        const struct relay_native_head *head)
{
    struct relay_native_session *s = h->session;
    char name[NAME_TEXT];
    uint64_t token;
    if (owe_answer(s, head, 1, &token) < 0) {
        relay_native_no_memory(c);
        return;
    }
    if (!relay_conn_may(c, h->group->name, h->group->len, RELAY_MAY_ADMIN)) {
        relay_native_settled(c, token, NK_EAUTH);
        return;
    }
    nk_audit(c->hub->log, "relay", NK_LOG_WARN, "admin.purge", c->peer, "'%s' purges group '%s'",
             c->identity, nk_escape(name, sizeof(name), h->group->name, h->group->len));
    if (relay_engine_purge(c->hub->conf.engine, s->member, h->group, token) < 0) {
        relay_native_no_memory(c);
    }
}
