/* SPDX-License-Identifier: MIT */
/* What a native connection publishes: objects into the engine; receipts and windows back. */
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "relay/native.h"
#include "relay/wire_meta.h"

enum {
    RING_MIN = 16,
    RUN_FRAME = 16 * 1024, /* longer payloads gain nothing from a run */
    RECEIPT_LIST = 1024,   /* failures in one frame: it fits a chunk of output */
    WINDOW_PARTS = 64,     /* a window is renewed when so much of it is free */
    MEMORY_PART = 8        /* the last eighth of max_memory is for what is under way already */
};

/* --- pending ---------------------------------------------------------------------------------- */

static struct relay_native_pending *pending_at(const struct relay_handle *h, uint32_t i)
{
    return &h->ring[(h->ring_head + i) & (h->cap - 1)];
}

static int ring_grow(struct relay_handle *h)
{
    uint32_t cap = h->cap ? h->cap * 2 : RING_MIN;
    struct relay_native_pending *v = cap > h->cap ? malloc(cap * sizeof(*v)) : NULL;
    if (!v) {
        return -ENOMEM;
    }
    for (uint32_t i = 0; i < h->n; i++) {
        v[i] = *pending_at(h, i);
    }
    free(h->ring);
    h->ring = v;
    h->cap = cap;
    h->ring_head = 0;
    return 0;
}

/* The next publish; *token is what its answer will carry. */
static struct relay_native_pending *pending_add(struct relay_handle *h, uint64_t seq,
                                                uint32_t frames, uint32_t bytes, uint64_t *token)
{
    if (h->n == h->cap && ring_grow(h) < 0) {
        return NULL;
    }
    *token = relay_native_token(RELAY_NT_PUBLISH, h->slot, h->base + h->n);
    struct relay_native_pending *p = pending_at(h, h->n++);
    *p = (struct relay_native_pending){.seq = seq, .frames = frames, .bytes = bytes};
    h->session->unanswered++;
    return p;
}

static int fail_add(struct relay_handle *h, uint64_t seq, int32_t status)
{
    if (h->nfail == h->fail_cap) {
        uint32_t cap = h->fail_cap ? h->fail_cap * 2 : RING_MIN;
        struct relay_native_failure *v = realloc(h->fail, cap * sizeof(*v));
        if (!v) {
            return -ENOMEM;
        }
        h->fail = v;
        h->fail_cap = cap;
    }
    h->fail[h->nfail++] = (struct relay_native_failure){.seq = seq, .status = status};
    return 0;
}

/* Everything at the front of the ring that has its answer. */
static int collect(struct relay_handle *h)
{
    while (h->n && pending_at(h, 0)->done) {
        const struct relay_native_pending *p = pending_at(h, 0);
        for (uint32_t i = 0; p->status != RELAY_STATUS_OK && i < p->frames; i++) {
            if (fail_add(h, p->seq - p->frames + 1 + i, p->status) < 0) {
                return -ENOMEM;
            }
        }
        h->settled = p->seq;
        h->ring_head = (h->ring_head + 1) & (h->cap - 1);
        h->base++;
        h->n--;
    }
    if (h->n == 0 && h->cap > RING_MIN) {
        free(h->ring);
        h->ring = NULL;
        h->cap = h->ring_head = 0;
    }
    return 0;
}

static void answered(struct relay_handle *h, struct relay_native_pending *p, int status)
{
    struct relay_native_session *s = h->session;
    p->done = true;
    p->status = relay_native_status(status);
    if (p->broadcast && status == 0) {
        h->singly = false; /* numbers ascend: those that follow are new, too */
    }
    h->granted += p->bytes;
    s->unanswered--;
    if (h->closed) {
        h->ring_head = (h->ring_head + 1) & (h->cap - 1); /* only their number counts */
        h->base++;
        h->n--;
        relay_native_handle_tidy(s, h);
        return;
    }
    if (collect(h) < 0) {
        relay_native_no_memory(s->conn);
        return;
    }
    relay_native_due(h);
}

void relay_native_published(struct relay_native_session *s, struct relay_handle *h, uint64_t count,
                            int status)
{
    (void)s;
    if (h->closed) {
        answered(h, pending_at(h, 0), status);
        return;
    }
    uint64_t mask = ((uint64_t)1 << RELAY_NT_COUNT_BITS) - 1;
    answered(h, pending_at(h, (uint32_t)((count - h->base) & mask)), status);
}

void relay_native_publish_clear(struct relay_handle *h)
{
    if (h->head) {
        relay_object_unref(h->head);
        h->session->assembling--;
    }
    uint32_t open = 0;
    for (uint32_t i = 0; i < h->n; i++) {
        open += !pending_at(h, i)->done;
    }
    h->n = open; /* from now on only how many answers are missing */
    free(h->fail);
    h->head = h->tail = NULL;
    h->fail = NULL;
    h->nfail = h->fail_cap = 0;
}

/* --- receipts and windows --------------------------------------------------------------------- */

void relay_native_due(struct relay_handle *h)
{
    struct relay_native_session *s = h->session;
    if (!h->due && !h->closed) {
        h->due = true;
        h->due_next = s->due;
        s->due = h;
        relay_conn_output(s->conn);
    }
}

uint64_t relay_native_window(const struct relay_hub *hub)
{
    uint64_t w = hub->limits.max_memory / (2 * MEMORY_PART);
    if (w > RELAY_NATIVE_WINDOW) {
        return RELAY_NATIVE_WINDOW;
    }
    return w < RELAY_NATIVE_WINDOW_MIN ? RELAY_NATIVE_WINDOW_MIN : w;
}

static bool may_publish(const struct relay_hub *hub, const struct relay_handle *h)
{
    uint64_t max = hub->limits.max_memory;
    return h->group->full == 0 && !relay_queue_full(h->group) &&
           hub->conf.memory->used <= max - max / MEMORY_PART;
}

static bool put_frame(struct relay_conn *c, const uint8_t *frame, size_t n)
{
    uint8_t *p = relay_out_urgent(&c->out, n);
    if (!p) {
        relay_native_no_memory(c);
        return false;
    }
    memcpy(p, frame, n);
    return true;
}

static void send_window(struct relay_conn *c, struct relay_handle *h)
{
    uint8_t frame[RELAY_NATIVE_U64_MAX];
    uint64_t size = relay_native_window(c->hub), next = h->granted + size;
    if (next - h->lane.window < size / WINDOW_PARTS) {
        h->held = false;
        return;
    }
    h->held = !may_publish(c->hub, h);
    if (h->held) {
        relay_hub_hold(c);
        return;
    }
    h->lane.window = next;
    put_frame(c, frame, relay_native_put_u64(frame, RELAY_N_WINDOW, h->group->id, 0, next));
}

static void send_receipt(struct relay_conn *c, struct relay_handle *h)
{
    uint8_t frame[RELAY_NATIVE_RECEIPT_MAX(RECEIPT_LIST)];
    uint32_t at = 0;
    while (h->told < h->settled && !c->closed) {
        uint32_t n = h->nfail - at < RECEIPT_LIST ? h->nfail - at : RECEIPT_LIST;
        uint64_t seq = at + n < h->nfail ? h->fail[at + n - 1].seq : h->settled;
        const struct relay_native_failure *fail = n ? h->fail + at : NULL;
        size_t len = relay_native_put_receipt(frame, h->group->id, seq, fail, n);
        if (!put_frame(c, frame, len)) {
            return;
        }
        at += n;
        h->told = seq;
    }
    if (h->fail) {
        free(h->fail);
        h->fail = NULL;
        h->nfail = h->fail_cap = 0;
    }
}

void relay_native_receipts(struct relay_conn *c)
{
    struct relay_native_session *s = relay_native_of(c);
    while (s->due && !c->closed) {
        struct relay_handle *h = s->due;
        s->due = h->due_next;
        h->due = false;
        if (h->closed) {
            relay_native_handle_tidy(s, h);
            continue;
        }
        send_receipt(c, h);
        if (!c->closed) {
            send_window(c, h);
        }
    }
}

void relay_native_held(struct relay_conn *c)
{
    struct relay_native_session *s = relay_native_of(c);
    for (uint32_t i = 0; i < s->nslots; i++) {
        struct relay_handle *h = s->slot[i];
        if (h && h->held && !h->closed) {
            h->held = false;
            relay_native_due(h);
        }
    }
}

/* --- objects ---------------------------------------------------------------------------------- */

static bool room_for(const struct relay_hub *hub, uint64_t bytes)
{
    uint64_t used = hub->conf.memory->used, max = hub->limits.max_memory;
    return bytes <= max && used <= max - bytes;
}

/* n bytes at p as an object: a slice of the chunk that they were read into. */
static struct relay_object *object_at(struct relay_conn *c, const uint8_t *p, size_t n)
{
    struct relay_object *k = c->rx;
    if (k && p >= k->bytes && p <= k->bytes + k->len) {
        return relay_object_slice(k, (size_t)(p - k->bytes), n);
    }
    return relay_object_copy(c->hub->conf.memory, p, n);
}

static uint64_t wall_after(const struct relay_conn *c, uint64_t ms)
{
    uint64_t now = (uint64_t)nk_wall_ms(c->hub->conf.app);
    return ms > UINT64_MAX - now ? UINT64_MAX : now + ms;
}

/* Metadata of a publish. The expiry replaces the time to live where it stands. */
static bool read_meta(struct relay_conn *c, struct relay_handle *h,
                      const struct relay_native_head *head, struct relay_object *o)
{
    struct relay_meta m;
    if (!(head->flags & RELAY_N_META)) {
        return true;
    }
    const char *why = NULL;
    if (relay_meta_get(o->bytes, o->len, &m) < 0) {
        why = "malformed metadata";
    } else if (m.has_expires || m.origin.p || m.reason.p) {
        why = "metadata that only the relay writes";
    } else if (head->type == RELAY_N_BROADCAST && m.copies != 1) {
        why = "copies of a broadcast";
    }
    if (why) {
        relay_native_refuse(c, RELAY_GOAWAY_PROTOCOL, "%s", why);
        return false;
    }
    h->copies = m.copies;
    if (m.has_ttl) {
        h->expires_ms = wall_after(c, m.ttl_ms);
        relay_meta_expire(o->bytes, &m, h->expires_ms);
    }
    return true;
}

/* The object is not taken; its number still gets a receipt. */
static void refuse_object(struct relay_conn *c, struct relay_handle *h, uint64_t seq, int rc)
{
    uint64_t token;
    struct relay_native_pending *p = pending_add(h, seq, 1, 0, &token);
    if (!p) {
        relay_native_no_memory(c);
        return;
    }
    answered(h, p, rc);
}

static void hand_over(struct relay_conn *c, struct relay_handle *h, uint8_t type,
                      struct relay_object *o, uint32_t bytes)
{
    struct relay_native_session *s = h->session;
    struct relay_engine *e = c->hub->conf.engine;
    uint64_t token;
    struct relay_native_pending *p = pending_add(h, h->lane.last, 1, bytes, &token);
    if (!p) {
        relay_native_no_memory(c);
        return;
    }
    o->flags = h->lane.flags & (RELAY_N_META | RELAY_N_CONTENT);
    o->publisher = c->publisher;
    p->broadcast = type == RELAY_N_BROADCAST;
    struct relay_put put = {.copies = h->copies, .expires_ms = h->expires_ms};
    if (s->producer && (e->ops->caps & RELAY_CAP_DEDUP)) {
        put.producer = s->producer;
        put.producer_seq = h->lane.last;
    }
    int rc = type == RELAY_N_BROADCAST
                 ? relay_engine_retain(e, s->member, h->group, o, &put, token)
                 : relay_engine_enqueue(e, s->member, h->group, o, &put, token);
    if (rc < 0) {
        answered(h, p, rc);
        return;
    }
    c->objects_in++;
    c->hub->count.objects_in++;
}

static void drop_object(struct relay_handle *h, int refusal)
{
    relay_object_unref(h->head);
    h->head = h->tail = NULL;
    h->session->assembling--;
    h->skipping = true;
    h->refusal = refusal;
}

/* One more fragment of the object under way. */
static void add_fragment(struct relay_conn *c, struct relay_handle *h, struct relay_object *take_o)
{
    const struct relay_hub *hub = c->hub;
    if (h->lane.total > hub->limits.max_object || !room_for(hub, take_o->len)) {
        relay_object_unref(take_o);
        drop_object(h, h->lane.total > hub->limits.max_object ? NK_ETOOBIG : -ENOMEM);
        return;
    }
    relay_object_chain(h->head, h->tail, take_o);
    h->tail = take_o;
}

static void first_fragment(struct relay_conn *c, struct relay_handle *h,
                           struct relay_object *take_o, int rc)
{
    if (rc == 0 && h->session->assembling >= RELAY_NATIVE_ASSEMBLING) {
        rc = NK_ELIMIT;
    }
    (void)c;
    h->skipping = rc < 0;
    h->refusal = rc;
    if (rc < 0) {
        relay_object_unref(take_o);
        return;
    }
    h->head = h->tail = take_o;
    h->session->assembling++;
}

static void last_fragment(struct relay_conn *c, struct relay_handle *h, uint8_t type)
{
    struct relay_object *o = h->head;
    if (h->skipping) {
        h->skipping = false;
        refuse_object(c, h, h->lane.last, h->refusal);
        return;
    }
    h->head = h->tail = NULL;
    h->session->assembling--;
    hand_over(c, h, type, o, 0);
    relay_object_unref(o);
}

/* An object, or its first fragment: may it come at all? */
static int admit(struct relay_conn *c, const struct relay_handle *h,
                 const struct relay_native_head *head)
{
    enum relay_right right =
        head->type == RELAY_N_BROADCAST ? RELAY_MAY_BROADCAST : RELAY_MAY_PRODUCE;
    if (!(h->rights & right)) {
        (void)relay_conn_may(c, h->group->name, h->group->len, right); /* says so in the log */
        return NK_EAUTH;
    }
    if (head->len > c->hub->limits.max_object) {
        return NK_ETOOBIG;
    }
    return room_for(c->hub, head->len) ? 0 : -ENOMEM;
}

static void begin(struct relay_conn *c, struct relay_handle *h,
                  const struct relay_native_head *head, struct relay_object *take_o, bool whole)
{
    h->copies = 1;
    h->expires_ms = 0;
    int rc = admit(c, h, head);
    if (!read_meta(c, h, head, take_o)) {
        relay_object_unref(take_o);
        return;
    }
    if (!whole) {
        first_fragment(c, h, take_o, rc);
        return;
    }
    if (rc < 0) {
        h->granted += RELAY_NATIVE_HEAD + head->len;
        refuse_object(c, h, head->seq, rc);
    } else {
        hand_over(c, h, head->type, take_o, RELAY_NATIVE_HEAD + head->len);
    }
    relay_object_unref(take_o);
}

void relay_native_object(struct relay_conn *c, struct relay_handle *h,
                         const struct relay_native_head *head, const uint8_t *p)
{
    enum relay_goaway code;
    const char *why;
    enum relay_lane_verdict v = relay_lane_take(&h->lane, head, &code, &why);
    if (v == RELAY_LANE_BAD) {
        relay_native_refuse(c, code, "%s", why);
        return;
    }
    if (v != RELAY_LANE_WHOLE) { /* what is being put together counts as done: a long object must
                                    not wait for a window that only its end would open */
        h->granted += RELAY_NATIVE_HEAD + head->len;
        relay_native_due(h);
    }
    bool wanted = v == RELAY_LANE_WHOLE || v == RELAY_LANE_FIRST || !h->skipping;
    struct relay_object *o = wanted ? object_at(c, p + RELAY_NATIVE_HEAD, head->len) : NULL;
    if (wanted && !o) {
        relay_native_no_memory(c);
        return;
    }
    if (v == RELAY_LANE_WHOLE || v == RELAY_LANE_FIRST) {
        begin(c, h, head, o, v == RELAY_LANE_WHOLE);
        return;
    }
    if (wanted) {
        add_fragment(c, h, o);
    }
    if (v == RELAY_LANE_LAST) {
        last_fragment(c, h, head->type);
    }
}

size_t relay_native_run(struct relay_conn *c, const uint8_t *p, size_t n)
{
    struct relay_native_session *s = relay_native_of(c);
    size_t len = 0;
    uint64_t last = 0, token;
    uint64_t max = c->hub->limits.max_object;
    uint32_t frames = relay_run_scan(p, n < RELAY_NATIVE_CUT ? n : RELAY_NATIVE_CUT,
                                     max < RUN_FRAME ? (uint32_t)max : RUN_FRAME, &len, &last);
    struct relay_handle *h =
        frames ? relay_native_find(s, relay_native_get_u32(p + sizeof(uint32_t))) : NULL;
    struct relay_object *k = c->rx;
    if (!h || !(h->rights & RELAY_MAY_BROADCAST) || h->singly || !k || p < k->bytes ||
        p >= k->bytes + k->len || !room_for(c->hub, len) ||
        !relay_lane_run(&h->lane, len, frames, last)) {
        return 0; /* one by one, and what is wrong is found there */
    }
    struct relay_object *o = relay_object_slice(k, (size_t)(p - k->bytes), len);
    struct relay_native_pending *e = o ? pending_add(h, last, frames, (uint32_t)len, &token) : NULL;
    if (!e) {
        relay_object_unref(o);
        relay_native_no_memory(c);
        return n;
    }
    o->frames = frames;
    o->headroom = false;
    o->publisher = c->publisher;
    const bool dedup = c->hub->conf.engine->ops->caps & RELAY_CAP_DEDUP;
    const struct relay_put put = {
        .copies = 1, .producer = dedup ? s->producer : 0, .producer_seq = last};
    int rc = relay_engine_retain(c->hub->conf.engine, s->member, h->group, o, &put, token);
    relay_object_unref(o);
    if (rc < 0) {
        answered(h, e, rc);
    }
    c->objects_in += frames;
    c->hub->count.objects_in += frames;
    c->hub->count.frames_in += frames;
    return len;
}
