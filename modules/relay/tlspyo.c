/* SPDX-License-Identifier: MIT */
/* The session of tlspyo's wire: frames of a connection on one side, the engine on the other. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "relay/tlspyo.h"
#include "relay/wire_native.h"

/* A payload from this size on is read into its own memory, and that becomes the object. */
#define DIRECT_MIN ((size_t)32 * 1024)
/* What pickling may add to the user's bytes before max_object is exceeded. */
#define PICKLE_SLACK ((uint64_t)64 * 1024)
/* Room for the envelope around the largest object: names of groups. */
#define ENVELOPE_SLACK ((uint64_t)256 * 1024 + PICKLE_SLACK)

enum {
    PENDING_MAX = 8192,       /* objects of one endpoint that the engine has not confirmed */
    OPEN_MAX = 16384,         /* consumables that an endpoint has not acknowledged */
    PAUSE_BYTES = 1024 * 1024 /* output at which an endpoint gets no more consumables */
};

static struct relay_session *session_of(const struct relay_conn *c)
{
    return c->session;
}

/* --- output ----------------------------------------------------------------------------------- */

static void no_memory(struct relay_conn *c)
{
    relay_conn_close(c, NK_LOG_ERROR, "%s", nk_strerror(-ENOMEM));
}

/* Room for a frame whose payload of up to max bytes is written in place. */
static uint8_t *frame_begin(struct relay_conn *c, size_t max)
{
    uint8_t *p = relay_out_reserve(&c->out, c->hub->limits.header_size + max);
    if (!p) {
        no_memory(c);
    }
    return p;
}

static void frame_end(struct relay_conn *c, uint8_t *p, size_t here, uint64_t payload)
{
    unsigned header = c->hub->limits.header_size;
    relay_frame_header(p, header, payload);
    relay_out_commit(&c->out, header + here);
    c->hub->count.frames_out++;
    relay_conn_output(c);
}

static void send_ack(struct relay_conn *c, int64_t stamp)
{
    uint8_t *p = frame_begin(c, RELAY_ACK_MAX);
    if (p) {
        size_t n = relay_pickle_ack(p + c->hub->limits.header_size, stamp);
        frame_end(c, p, n, n);
    }
}

/* --- back-pressure ---------------------------------------------------------------------------- */

static void set_full(struct relay_conn *c, bool full)
{
    struct relay_session *s = session_of(c);
    c->full = full;
    for (size_t i = 0; i < s->ngroups; i++) {
        if (full) {
            s->groups[i]->full++;
        } else {
            s->groups[i]->full--;
        }
    }
    if (full) {
        relay_conn_established(c); /* looks sooner whether it still reads */
    } else if (c->hub->waiting) {
        relay_hub_touch(c->hub);
    }
}

static void pause_if_behind(struct relay_conn *c)
{
    struct relay_session *s = session_of(c);
    if (!c->full && c->out.bytes > c->hub->limits.max_backlog) {
        set_full(c, true);
    }
    if (!s->paused && (c->out.bytes > PAUSE_BYTES || s->stamps.open >= OPEN_MAX || c->ending)) {
        s->paused = true;
        relay_engine_pause(c->hub->conf.engine, s->member, true);
    }
}

static void resume_if_ahead(struct relay_conn *c)
{
    struct relay_session *s = session_of(c);
    if (c->full && c->out.bytes <= c->hub->limits.max_backlog / 2) {
        set_full(c, false);
    }
    if (s->paused && c->out.bytes <= PAUSE_BYTES / 2 && s->stamps.open < OPEN_MAX / 2 &&
        !c->ending) {
        s->paused = false;
        relay_engine_pause(c->hub->conf.engine, s->member, false);
    }
}

/* --- from the engine -------------------------------------------------------------------------- */

int relay_session_send(struct relay_conn *c, struct relay_group *g, struct relay_object *o,
                       uint64_t lease)
{
    struct relay_session *s = session_of(c);
    uint32_t n = o->frames ? o->frames : 1;
    uint32_t stamp = o->frames ? 0 : relay_stamps_issue(&s->stamps, g, lease);
    int rc = -ENOMEM;
    if (o->frames) {
        rc = relay_session_run(c, o);
    } else if (stamp) {
        rc = relay_session_object(c, o, stamp);
    }
    c->objects_out += n;
    c->hub->count.objects_out += n;
    return rc;
}

static void on_deliver(void *owner, struct relay_group *g, struct relay_object *o,
                       enum relay_delivery kind, const struct relay_mark *mark)
{
    struct relay_conn *c = owner;
    struct relay_session *s = session_of(c);
    uint64_t lease = kind == RELAY_ITEM ? mark->seq : 0;
    if (c->ending || c->penalty) { /* nobody will acknowledge it */
        pause_if_behind(c);
        if (lease) {
            relay_engine_settle(c->hub->conf.engine, s->member, g, lease, 1, RELAY_RETURN, 0, 0);
        }
        return;
    }
    if (kind == RELAY_RETAINED && !relay_hub_may_replay(c->hub, o, g)) {
        return;
    }
    int rc = relay_session_wait(c, g, o, kind, mark);
    rc = rc ? rc : relay_session_send(c, g, o, lease);
    if (rc < 0) {
        no_memory(c); /* which gives the lease back */
    } else if (!c->closed) {
        pause_if_behind(c);
    }
}

static struct relay_pending *pending_at(const struct relay_session *s, uint32_t i)
{
    return &s->ring[(s->head + i) & (s->cap - 1)];
}

static void on_done(void *owner, uint64_t token, int status)
{
    struct relay_conn *c = owner;
    struct relay_session *s = session_of(c);
    if (token == RELAY_JOIN_TOKEN) {
        relay_session_joined(c, status);
        return;
    }
    struct relay_pending *p = pending_at(s, (uint32_t)(token - s->base));
    p->left--;
    if (status < 0) {
        /* the wire has no way to say so except not to acknowledge and to hang up */
        relay_conn_close(c, NK_LOG_ERROR, "an object could not be stored: %s", nk_strerror(status));
        return;
    }
    if (p->left) {
        return;
    }
    int64_t stamp = p->stamp;
    while (s->n && pending_at(s, 0)->left == 0) {
        s->head = (s->head + 1) & (s->cap - 1);
        s->base++;
        s->n--;
    }
    send_ack(c, stamp);
}

/* Endpoints know nothing of lease times: they keep what they have until they acknowledge or go. */
static const struct relay_member_ops member_ops = {
    .flags = RELAY_MEMBER_UNTIMED, .deliver = on_deliver, .done = on_done};

static int pending_add(struct relay_session *s, int64_t stamp, uint64_t *token)
{
    if (s->n == s->cap) {
        uint32_t cap = s->cap ? s->cap * 2 : 16;
        struct relay_pending *v = malloc(cap * sizeof(*v));
        if (!v) {
            return -ENOMEM;
        }
        for (uint32_t i = 0; i < s->n; i++) {
            v[i] = *pending_at(s, i);
        }
        free(s->ring);
        s->ring = v;
        s->cap = cap;
        s->head = 0;
    }
    *token = s->base + s->n;
    *pending_at(s, s->n++) = (struct relay_pending){.stamp = stamp, .left = 0};
    return 0;
}

/* --- OBJ, NTF, ACK ---------------------------------------------------------------------------- */

static bool room_for(struct relay_hub *h, size_t bytes)
{
    size_t used = h->conf.memory->used;
    bool room =
        used == 0 || (bytes <= h->limits.max_memory && used <= h->limits.max_memory - bytes);
    if (!room && !h->memory_warned) {
        h->memory_warned = true;
        nk_warn(h->log, "relay",
                "max_memory is reached: producers wait until objects are consumed");
    }
    return room;
}

/* Is a member of a group that this is broadcast to too far behind, or a queue full whose producers
 * shall wait? */
static bool receivers_full(struct relay_hub *h, const struct relay_envelope *e)
{
    for (size_t i = 0; i < e->ndest; i++) {
        const struct relay_dest *d = &e->dest[i];
        const struct relay_group *g =
            d->n ? relay_groups_find(h->conf.groups, d->name, d->len) : NULL;
        if (g && (d->n < 0 ? g->full != 0 : relay_queue_full(g))) {
            return true;
        }
    }
    return false;
}

static int submit(struct relay_conn *c, const struct relay_dest *d, struct relay_object *o,
                  uint64_t token)
{
    struct relay_session *s = session_of(c);
    struct relay_engine *engine = c->hub->conf.engine;
    struct relay_group *g;
    if (d->n == 0 ||
        !relay_conn_may(c, d->name, d->len, d->n < 0 ? RELAY_MAY_BROADCAST : RELAY_MAY_PRODUCE)) {
        return 0; /* the wire knows no refusal */
    }
    int rc = relay_groups_get(c->hub->conf.groups, d->name, d->len, &g);
    if (rc == NK_EAUTH) {
        return 0; /* as tlspyo: skipped without a word */
    }
    if (rc < 0) {
        return rc;
    }
    /* it waited for room, as far as this wire can tell; there is no way to refuse it */
    const struct relay_put put = {.copies = (uint64_t)d->n, .force = true};
    rc = d->n < 0 ? relay_engine_retain(engine, s->member, g, o, NULL, token)
                  : relay_engine_enqueue(engine, s->member, g, o, &put, token);
    relay_group_unref(g);
    return rc < 0 ? rc : 1;
}

/* take_o is the object, owned. */
static void do_object(struct relay_conn *c, const struct relay_envelope *e,
                      struct relay_object *take_o)
{
    struct relay_session *s = session_of(c);
    uint64_t token;
    uint32_t left = 0;
    int rc = take_o ? pending_add(s, e->stamp, &token) : -ENOMEM;
    for (size_t i = 0; rc >= 0 && i < e->ndest; i++) {
        rc = submit(c, &e->dest[i], take_o, token);
        left += rc > 0;
    }
    relay_object_unref(take_o);
    if (rc < 0) {
        relay_conn_close(c, NK_LOG_ERROR, "an object could not be taken: %s",
                         rc == NK_ELIMIT ? "max_groups is reached" : nk_strerror(rc));
        return;
    }
    c->objects_in++;
    c->hub->count.objects_in++;
    if (left) {
        pending_at(s, s->n - 1)->left = left;
    } else { /* nowhere to go: nothing to wait for */
        s->n--;
        send_ack(c, e->stamp);
    }
}

static void do_demand(struct relay_conn *c, const struct relay_envelope *e)
{
    struct relay_hub *h = c->hub;
    for (size_t i = 0; i < e->ndest; i++) {
        const struct relay_dest *d = &e->dest[i];
        struct relay_group *g = relay_groups_find(h->conf.groups, d->name, d->len);
        int64_t n = d->n < 0 ? RELAY_DRAIN_ALL : d->n; /* any negative number means all of it */
        if (g && n && relay_engine_demand(h->conf.engine, session_of(c)->member, g, n, 0) < 0) {
            no_memory(c);
            return;
        }
    }
}

static void do_settle(struct relay_conn *c, int64_t stamp)
{
    struct relay_session *s = session_of(c);
    void *g;
    uint64_t lease = relay_stamps_settle(&s->stamps, stamp, &g);
    if (!lease) {
        return;
    }
    if (relay_engine_settle(c->hub->conf.engine, s->member, g, lease, 1, RELAY_ACK, 0, 0) < 0) {
        no_memory(c);
        return;
    }
    resume_if_ahead(c);
}

/* --- frames ----------------------------------------------------------------------------------- */

static bool must_wait(struct relay_conn *c, const struct relay_envelope *e, bool counted)
{
    struct relay_session *s = session_of(c);
    if (e->cmd != RELAY_CMD_OBJ || s->p.state != RELAY_TLSPYO_ALIVE) {
        return false;
    }
    return s->n >= PENDING_MAX || receivers_full(c->hub, e) ||
           (!counted && !room_for(c->hub, relay_object_cost(e->obj_len)));
}

static struct relay_object *make_object(struct relay_conn *c, const struct relay_envelope *e,
                                        const uint8_t *payload, struct relay_object *in_place)
{
    struct relay_object *o;
    if (in_place) {
        in_place->bytes += e->obj_off;
        in_place->len = in_place->total = e->obj_len;
        o = relay_object_ref(in_place);
    } else {
        o = relay_object_copy(c->hub->conf.memory, payload + e->obj_off, e->obj_len);
    }
    if (o) {
        o->flags = RELAY_CONTENT_PICKLE << RELAY_N_CONTENT_SHIFT;
        o->publisher = c->publisher;
    }
    return o;
}

static void act(struct relay_conn *c, const struct relay_envelope *e, const uint8_t *payload,
                struct relay_object *in_place)
{
    struct relay_tlspyo_action a = relay_tlspyo_frame(&session_of(c)->p, e);
    if (a.ack) {
        send_ack(c, e->stamp);
    }
    if (c->closed) {
        return;
    }
    switch (a.what) {
    case RELAY_DO_NOTHING:
        break;
    case RELAY_DO_SETTLE:
        do_settle(c, e->stamp);
        break;
    case RELAY_DO_JOIN:
        relay_session_join(c, e);
        break;
    case RELAY_DO_OBJECT:
        do_object(c, e, make_object(c, e, payload, in_place));
        break;
    case RELAY_DO_DEMAND:
        do_demand(c, e);
        break;
    case RELAY_DO_CLOSE:
        relay_conn_end(c, NK_LOG_WARN, "%s", a.why);
        break;
    }
}

/* One payload. in_place (borrowed) is the memory that it fills, if it has its own. Returns false
 * when the frame has to come again later. */
static bool take_payload(struct relay_conn *c, const uint8_t *payload, size_t n,
                         struct relay_object *in_place)
{
    struct relay_envelope e;
    const char *why = NULL;
    if (relay_envelope_parse(c->hub->pickle, payload, n, &e, &why) < 0) {
        relay_conn_close(c, NK_LOG_WARN, "%s", why);
        return true;
    }
    if (e.obj_len > c->hub->limits.max_object + PICKLE_SLACK) {
        relay_conn_close(c, NK_LOG_WARN, "an object of %zu bytes; max_object is %" PRIu64,
                         e.obj_len, c->hub->limits.max_object);
        return true;
    }
    if (must_wait(c, &e, in_place != NULL)) {
        relay_conn_stall(c);
        return false;
    }
    c->hub->count.frames_in++;
    act(c, &e, payload, in_place);
    return true;
}

static void bad_head(struct relay_conn *c, int rc, uint64_t payload, const uint8_t *p, size_t n)
{
    if (rc == NK_EAUTH) {
        relay_conn_denied(c, "wrong password");
    } else if (rc == NK_ETOOBIG) {
        relay_conn_close(
            c, NK_LOG_WARN, "a frame of %" PRIu64 " bytes or more; max_object is %" PRIu64,
            payload ? payload : session_of(c)->frames.max_payload, c->hub->limits.max_object);
    } else {
        const char *foreign = c->authenticated ? NULL : relay_frame_foreign(p, n);
        relay_conn_close(c, NK_LOG_WARN, "a frame whose header is no length%s%s%s",
                         foreign ? ": the peer speaks " : "", foreign ? foreign : "",
                         c->authenticated ? "" : " (do header_size and connection agree?)");
    }
}

/* The payload does not fit what was read: give it its own memory, and the part that is here. */
static bool begin_big(struct relay_conn *c, const uint8_t *p, size_t have, uint64_t payload)
{
    struct relay_session *s = session_of(c);
    if (!room_for(c->hub, relay_object_cost((size_t)payload))) {
        relay_conn_stall(c);
        return false;
    }
    s->big = relay_object_new(c->hub->conf.memory, (size_t)payload);
    if (!s->big) {
        no_memory(c);
        return false;
    }
    memcpy(s->big->bytes, p, have);
    s->big_have = have;
    return true;
}

static bool reading(const struct relay_conn *c)
{
    return !c->closed && !c->ending && !c->stalled && !c->penalty;
}

/* relay_frame_head; the first frame shows which of the passwords is this connection's. */
static int read_head(struct relay_conn *c, const uint8_t *p, size_t n, uint64_t *payload)
{
    struct relay_session *s = session_of(c);
    const struct relay_password *shown;
    int head = relay_frame_head(&s->frames, p, n, payload);
    if (head <= 0 || s->frames.password) {
        return head;
    }
    int rc = relay_identities_shown(c->login->identities, p + head, n - (size_t)head, &shown);
    if (rc <= 0) {
        return rc;
    }
    s->frames.password = &shown->text;
    relay_conn_authenticated(c, shown->identity->name, "password");
    return relay_frame_head(&s->frames, p, n, payload);
}

static size_t on_input(struct relay_conn *c, const uint8_t *p, size_t n)
{
    size_t off = 0;
    while (reading(c) && off < n) {
        uint64_t payload;
        int head = read_head(c, p + off, n - off, &payload);
        if (head < 0) {
            bad_head(c, head, payload, p + off, n - off);
            return n;
        }
        if (head == 0) {
            break;
        }
        size_t have = n - off - (size_t)head;
        const uint8_t *body = p + off + head;
        if (payload > have) {
            if (payload >= DIRECT_MIN && begin_big(c, body, have, payload)) {
                off = n;
            }
            break;
        }
        if (!take_payload(c, body, (size_t)payload, NULL)) {
            break;
        }
        if (c->closed) {
            return n;
        }
        off += (size_t)head + (size_t)payload;
    }
    return off;
}

/* --- large frames ----------------------------------------------------------------------------- */

static uint8_t *on_direct(struct relay_conn *c, size_t *room)
{
    struct relay_session *s = session_of(c);
    if (!s->big) {
        return NULL;
    }
    *room = s->big->len - s->big_have;
    return s->big->bytes + s->big_have;
}

static void big_complete(struct relay_conn *c)
{
    struct relay_session *s = session_of(c);
    struct relay_object *o = s->big;
    if (take_payload(c, o->bytes, o->len, o) && !c->closed) {
        s->big = NULL;
        relay_object_unref(o);
    }
}

static void on_direct_done(struct relay_conn *c, size_t got)
{
    struct relay_session *s = session_of(c);
    s->big_have += got;
    if (s->big_have == s->big->len) {
        big_complete(c);
    }
}

/* --- the rest of the wire --------------------------------------------------------------------- */

static bool on_ready(struct relay_conn *c)
{
    struct relay_session *s = session_of(c);
    if (s->p.state == RELAY_TLSPYO_JOINING) {
        return false;
    }
    if (s->big && s->big_have == s->big->len) {
        struct relay_envelope e;
        const char *why;
        bool wait =
            relay_envelope_parse(c->hub->pickle, s->big->bytes, s->big->len, &e, &why) == 0 &&
            must_wait(c, &e, true);
        if (wait) {
            return false;
        }
        big_complete(c);
        return !c->closed && !c->ending;
    }
    return true;
}

static void on_written(struct relay_conn *c)
{
    if (session_of(c)->waiting && relay_session_serve(c) < 0) {
        no_memory(c);
        return;
    }
    if (session_of(c)->member) {
        resume_if_ahead(c);
    }
}

static void on_ping(struct relay_conn *c)
{
    struct relay_session *s = session_of(c);
    uint8_t *p = frame_begin(c, RELAY_PING_LEN);
    if (p) {
        uint32_t stamp = relay_stamps_issue(&s->stamps, NULL, 0);
        size_t n = relay_pickle_ping(p + c->hub->limits.header_size, stamp);
        frame_end(c, p, n, n);
    }
}

static bool on_established(const struct relay_conn *c)
{
    const struct relay_session *s = c->session;
    return s && (s->p.state == RELAY_TLSPYO_ALIVE || c->ending);
}

static bool on_settled(const struct relay_conn *c)
{
    return session_of(c)->n == 0 && session_of(c)->waiting == 0;
}

static int on_open(struct relay_conn *c)
{
    struct relay_hub *h = c->hub;
    struct relay_session *s = calloc(1, sizeof(*s));
    uint8_t *p = s ? relay_out_reserve(&c->out, h->limits.header_size + RELAY_HELLO_LEN) : NULL;
    int rc = p ? relay_engine_attach(h->conf.engine, &member_ops, c, &s->member) : -ENOMEM;
    if (rc < 0) {
        free(s);
        return rc;
    }
    uint64_t limit = relay_frames_limit(h->limits.header_size);
    uint64_t most = h->limits.max_object + ENVELOPE_SLACK;
    s->base = 1;
    s->frames.header_size = h->limits.header_size;
    s->frames.max_payload = most < limit ? most : limit;
    c->session = s;
    relay_tlspyo_init(&s->p);
    uint32_t stamp = relay_stamps_issue(&s->stamps, NULL, 0);
    size_t n =
        relay_pickle_hello(p + h->limits.header_size, c->choosing ? RELAY_NATIVE_STAMP : stamp);
    frame_end(c, p, n, n);
    return 0;
}

static bool on_forbidden(struct relay_conn *c)
{
    const struct relay_session *s = c->session;
    for (size_t i = 0; i < s->ngroups; i++) {
        if (!relay_conn_may(c, s->groups[i]->name, s->groups[i]->len, RELAY_MAY_CONSUME)) {
            return true;
        }
    }
    return false;
}

/* A first frame that would be whole with a password shorter than ours waits for more bytes, because
 * a refusal would tell something. It was a guess all the same: whatever its bytes are, so that
 * counting it tells nothing either. */
static void count_short_guess(struct relay_conn *c)
{
    const struct relay_session *s = session_of(c);
    uint64_t payload;
    if (c->authenticated || c->penalty || s->frames.password || !c->stash) {
        return;
    }
    int head = relay_frame_head(&s->frames, c->stash, c->stash_len, &payload);
    if (head > 0 && c->stash_len - (size_t)head > payload) {
        (void)relay_conn_failed(c, "wrong password: a first frame too short for the right one");
    }
}

static void on_close(struct relay_conn *c)
{
    struct relay_session *s = session_of(c);
    count_short_guess(c);
    if (c->full) {
        set_full(c, false);
    }
    relay_engine_detach(c->hub->conf.engine, s->member);
    relay_session_backlogs_clear(s);
    for (size_t i = 0; i < s->ngroups; i++) {
        relay_group_unref(s->groups[i]);
    }
    free(s->groups);
    relay_object_unref(s->big);
    relay_stamps_clear(&s->stamps);
    free(s->ring);
    free(s);
    c->session = NULL;
}

static void each_group(const struct relay_conn *c,
                       void (*fn)(void *arg, const struct relay_group *g), void *arg)
{
    const struct relay_session *s = session_of(c);
    for (size_t i = 0; i < s->ngroups; i++) {
        fn(arg, s->groups[i]);
    }
}

static uint64_t unacked(const struct relay_conn *c)
{
    return session_of(c)->stamps.open;
}

const struct relay_wire relay_wire_tlspyo = {
    .name = "tlspyo",
    .open = on_open,
    .input = on_input,
    .direct = on_direct,
    .direct_done = on_direct_done,
    .ready = on_ready,
    .written = on_written,
    .ping = on_ping,
    .established = on_established,
    .settled = on_settled,
    .forbidden = on_forbidden,
    .groups = each_group,
    .unacked = unacked,
    .close = on_close,
};
