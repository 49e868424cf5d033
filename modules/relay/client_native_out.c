/* SPDX-License-Identifier: MIT */
/*
 * What the native session writes: one stage at a time, of the control frames that have gathered and
 * up to CLIENT_STAGE of objects, straight out of the spool. A stage is written to its end before
 * the next one is put together, so a control frame waits for at most that much.
 */
#include <stdlib.h>
#include <string.h>

#include "base/codec.h"
#include "base/log.h"
#include "core/stream.h"
#include "relay/client_native.h"

#define LARGE_IOV                                                                                  \
    4                /* buffers of one fragment: head, what stands before the data, data, the dot  \
                      */
#define ACK_FIRST 16 /* ranges that a new list has room for */

static const uint8_t dot[] = {'.'};

/* --- control ---------------------------------------------------------------------------------- */

void client_native_control(struct relay_client *c, const uint8_t *frame, size_t n)
{
    struct client_native *t = client_native_of(c);
    int status = nk_buf_put(&t->control, frame, n);
    if (status < 0) {
        client_broken(c, status, "the relay does not read what it is sent");
    } else {
        client_flush_later(c);
    }
}

void client_native_demanded(struct relay_client *c, struct client_group *g)
{
    if (g->native) {
        g->native->demand = true;
    }
    client_native_of(c)->demand = true;
    client_flush_later(c);
}

static void put_demand(struct relay_client *c, struct client_group *g)
{
    struct client_native_group *ng = g->native;
    uint8_t frame[RELAY_NATIVE_U64_MAX];
    uint64_t credit = ng->items + g->wanted;
    credit = credit > RELAY_NATIVE_SEQ_MAX ? RELAY_NATIVE_SEQ_MAX : credit;
    if ((g->wanted > 0 && credit > ng->credit) || ng->claiming) {
        ng->claiming = false;
        ng->credit = credit;
        c->asked = true;
        client_native_control(c, frame,
                              relay_native_put_u64(frame, RELAY_N_CREDIT, ng->id, credit, 0));
    }
    if (g->drain && !ng->drain_asked && c->stream) {
        ng->drain_asked = true;
        c->asked = true;
        uint64_t most = g->drain_most > g->drain_came ? g->drain_most - g->drain_came : 0;
        most = most < RELAY_NATIVE_SEQ_MAX ? most : RELAY_NATIVE_SEQ_MAX;
        client_native_control(c, frame, relay_native_put_plain(frame, RELAY_N_DRAIN, ng->id, most));
    }
}

/* Demand that changed in this turn. */
static void put_demands(struct relay_client *c)
{
    struct client_native *t = client_native_of(c);
    if (!t->demand) {
        return;
    }
    t->demand = false;
    for (uint32_t i = 0; i < c->ngroups && c->stream; i++) {
        struct client_group *g = c->groups[i];
        if (g->native && g->native->demand && g->native->open && g->member) {
            g->native->demand = false;
            put_demand(c, g);
        }
    }
}

/* --- acknowledgements ------------------------------------------------------------------------- */

static struct client_ack *new_ack(struct client_native *t, struct client_group *g,
                                  enum relay_native_type type, uint32_t ms, uint32_t cap)
{
    struct client_ack *a = cap <= ACK_FIRST ? t->spare_ack : NULL;
    if (a) {
        t->spare_ack = NULL;
        cap = a->cap;
    } else {
        a = malloc(sizeof(*a) + cap * sizeof(a->range[0]));
    }
    if (a) {
        *a = (struct client_ack){.group = g, .type = type, .ms = ms, .cap = cap};
    }
    return a;
}

static void free_ack(struct client_native *t, struct client_ack *a)
{
    if (t->spare_ack) {
        free(a);
    } else {
        t->spare_ack = a;
    }
}

/* One more lease; true when it was put into the list. */
static bool extend_range(struct client_ack *a, uint64_t seq)
{
    struct relay_native_range *last = a->n > 0 ? &a->range[a->n - 1] : NULL;
    if (last && last->first + last->count == seq && last->count < UINT32_MAX) {
        last->count++;
        return true;
    }
    if (a->n == a->cap) {
        return false;
    }
    a->range[a->n++] = (struct relay_native_range){.first = seq, .count = 1};
    return true;
}

/* The group's open list is full: a larger one in its place, or it is closed. */
static struct client_ack *grow_ack(struct client_native *t, struct client_ack *a)
{
    struct client_ack **at = &t->open_acks;
    while (*at != a) {
        at = &(*at)->next;
    }
    struct client_ack *b = realloc(a, sizeof(*a) + (size_t)a->cap * 2 * sizeof(a->range[0]));
    if (b) {
        b->cap *= 2;
        *at = b;
        b->group->native->ack = b;
    }
    return b;
}

int client_native_settle(struct relay_client *c, const struct relay_client_lease *l,
                         enum relay_native_type type, uint32_t ms)
{
    struct client_native *t = client_native_of(c);
    struct client_group *g = l->group < c->ngroups ? c->groups[l->group] : NULL;
    if (!g || !g->native || l->connection != t->generation) {
        return NK_ECLOSED;
    }
    if (l->seq == 0) {
        return 0; /* a broadcast: nothing waits for it */
    }
    (void)client_ranges_remove(&g->native->held, l->seq);
    struct client_ack *a = g->native->ack;
    if (a && (a->type != type || a->ms != ms || a->n >= CLIENT_RANGES / 2)) {
        a = NULL; /* it stays on the list of open ones */
    }
    if (!a) {
        a = new_ack(t, g, type, ms, ACK_FIRST);
        if (!a) {
            return -ENOMEM;
        }
        a->next = t->open_acks;
        t->open_acks = a;
        g->native->ack = a;
    }
    if (!extend_range(a, l->seq)) {
        a = grow_ack(t, a);
        if (!a) {
            return -ENOMEM;
        }
        (void)extend_range(a, l->seq);
    }
    client_flush_later(c);
    return 0;
}

/* Remember what SETTLED will be about. 0 or -ENOMEM. */
static int note_request(struct client_native *t, const struct relay_client_lease *l, bool purge)
{
    struct client_extend *e = malloc(sizeof(*e));
    if (!e) {
        return -ENOMEM;
    }
    *e = (struct client_extend){.request = ++t->requests, .purge = purge, .lease = *l};
    *t->extends_last = e;
    t->extends_last = &e->next;
    return 0;
}

void client_native_extends_clear(struct client_native *t)
{
    while (t->extends) {
        struct client_extend *e = t->extends;
        t->extends = e->next;
        free(e);
    }
    t->extends_last = &t->extends;
}

int client_native_extend(struct relay_client *c, const struct relay_client_lease *l, uint32_t ms)
{
    const struct relay_native_range one = {.first = l->seq, .count = 1};
    uint8_t frame[RELAY_NATIVE_RANGES_MAX(1)];
    struct client_native *t = client_native_of(c);
    struct client_group *g = l->group < c->ngroups ? c->groups[l->group] : NULL;
    if (!g || !g->native || l->connection != t->generation || !client_in_session(c)) {
        return NK_ECLOSED;
    }
    if (l->seq > 0 && g->native->open) {
        if (note_request(t, l, false) < 0) {
            return -ENOMEM;
        }
        client_native_control(c, frame,
                              relay_native_put_ranges(frame, RELAY_N_EXTEND, true, g->native->id,
                                                      t->requests, ms, &one, 1));
    }
    return 0;
}

void client_native_purge_due(struct relay_client *c, struct client_group *g)
{
    const struct relay_client_lease l = {.wire = RELAY_CLIENT_NATIVE, .group = g->handle};
    struct client_native *t = client_native_of(c);
    struct client_native_group *ng = g->native;
    uint8_t frame[RELAY_NATIVE_HEAD];
    if (!ng->purge || !(ng->open || ng->refusal < 0)) {
        return;
    }
    ng->purge = false;
    int status = ng->open ? note_request(t, &l, true) : ng->refusal;
    if (status == 0) {
        client_native_control(c, frame,
                              relay_native_put_plain(frame, RELAY_N_PURGE, ng->id, t->requests));
    } else if (c->ops->on_purged) {
        c->ops->on_purged(c->owner, g->handle, status);
    }
}

int client_native_purge(struct relay_client *c, struct client_group *g)
{
    if (!g->native) {
        return NK_ECLOSED; /* a session opens every group, or has failed to */
    }
    g->native->purge = true;
    client_native_todo_later(c);
    return 0;
}

void client_native_claim(struct relay_client *c, struct client_group *g)
{
    struct client_native_group *ng = g->native;
    uint8_t *room;
    ng->claiming = true;
    for (uint32_t i = 0; i < ng->held.n && c->stream;) {
        uint32_t n = ng->held.n - i < CLIENT_RANGES ? ng->held.n - i : CLIENT_RANGES;
        struct nk_buf *out = &client_native_of(c)->control;
        int status = nk_buf_reserve(out, RELAY_NATIVE_RANGES_MAX(n), &room);
        if (status < 0) {
            client_broken(c, status, "the relay does not read what it is sent");
            return;
        }
        nk_buf_commit(out, relay_native_put_ranges(room, RELAY_N_EXTEND, false, ng->id, 0, 0,
                                                   ng->held.v + i, n));
        i += n;
    }
}

void client_native_unhold(struct relay_client *c)
{
    for (uint32_t i = 0; i < c->ngroups; i++) {
        if (c->groups[i]->native) {
            client_ranges_clear(&c->groups[i]->native->held);
        }
    }
}

static void put_ack(struct relay_client *c, const struct client_ack *a)
{
    struct client_native *t = client_native_of(c);
    uint8_t *room;
    int status = nk_buf_reserve(&t->control, RELAY_NATIVE_RANGES_MAX(a->n), &room);
    if (status < 0) {
        client_broken(c, status, "the relay does not read what it is sent");
        return;
    }
    nk_buf_commit(&t->control, relay_native_put_ranges(room, a->type, true, a->group->native->id,
                                                       a->request, a->ms, a->range, a->n));
}

/* What was acknowledged in this turn, in the order in which the lists were begun. */
static void put_acks(struct relay_client *c)
{
    struct client_native *t = client_native_of(c);
    struct client_ack *todo = NULL;
    while (t->open_acks) { /* the newest stands first */
        struct client_ack *a = t->open_acks;
        t->open_acks = a->next;
        a->next = todo;
        todo = a;
    }
    while (todo && c->stream) {
        struct client_ack *a = todo;
        todo = a->next;
        a->next = NULL;
        a->group->native->ack = NULL;
        a->request = ++t->requests;
        *t->sent_last = a;
        t->sent_last = &a->next;
        if (a->group->native->open) {
            put_ack(c, a);
        }
    }
    while (todo) { /* the connection broke: they are said again when the session is resumed */
        struct client_ack *a = todo;
        todo = a->next;
        a->next = NULL;
        a->group->native->ack = NULL;
        *t->sent_last = a;
        t->sent_last = &a->next;
    }
}

static void extend_answered(struct relay_client *c, uint64_t request, int status)
{
    struct client_native *t = client_native_of(c);
    struct client_extend **at = &t->extends;
    while (*at && (*at)->request != request) {
        at = &(*at)->next;
    }
    struct client_extend *e = *at;
    if (!e) {
        return;
    }
    *at = e->next;
    if (!*at) {
        t->extends_last = at;
    }
    struct relay_client_lease lease = e->lease;
    bool purge = e->purge;
    free(e);
    if (purge) {
        if (c->ops->on_purged) {
            c->ops->on_purged(c->owner, lease.group, status);
        }
        return;
    }
    if (status < 0 && lease.connection == t->generation) {
        client_ranges_remove(&c->groups[lease.group]->native->held, lease.seq);
        if (c->ops->on_lease_lost) {
            c->ops->on_lease_lost(c->owner, &lease);
        }
    }
}

void client_native_answered(struct relay_client *c, uint64_t request, int status)
{
    struct client_native *t = client_native_of(c);
    struct client_ack **at = &t->sent_acks;
    while (*at && (*at)->request != request) {
        at = &(*at)->next;
    }
    struct client_ack *a = *at;
    if (!a) {
        extend_answered(c, request, status);
        return;
    }
    *at = a->next;
    if (!*at) {
        t->sent_last = at;
    }
    free_ack(t, a);
    client_changed(c);
    client_flush_later(c); /* perhaps the last thing that FINISH waits for */
}

void client_native_acks_again(struct client_native *t)
{
    /* sent ones are older than open ones: the list of open ones has the newest first */
    struct client_ack *newest = NULL;
    while (t->sent_acks) {
        struct client_ack *a = t->sent_acks;
        t->sent_acks = a->next;
        a->next = newest;
        newest = a;
    }
    t->sent_last = &t->sent_acks;
    struct client_ack **end = &t->open_acks;
    while (*end) {
        end = &(*end)->next;
    }
    *end = newest;
}

static void clear_list(struct client_ack **list)
{
    while (*list) {
        struct client_ack *a = *list;
        *list = a->next;
        a->group->native->ack = NULL;
        free(a);
    }
}

void client_native_acks_clear(struct client_native *t)
{
    clear_list(&t->open_acks);
    clear_list(&t->sent_acks);
    t->sent_last = &t->sent_acks;
}

bool client_native_acks_left(const struct client_native *t)
{
    return t->open_acks || t->sent_acks;
}

/* --- objects ---------------------------------------------------------------------------------- */

static bool may_send(void *arg, const struct client_line *l)
{
    const struct relay_client *c = arg;
    const struct client_native_group *ng = c->groups[l->group]->native;
    return ng && ng->open && !ng->blocked && client_native_of(c)->turned != l;
}

static bool fits(struct client_native_group *ng, size_t frame)
{
    ng->blocked = frame > ng->window - ng->used;
    return !ng->blocked;
}

static void add(struct client_native *t, const void *p, size_t n)
{
    if (n > 0) {
        t->iov[t->niov++] = (struct iovec){(uint8_t *)(uintptr_t)p, n};
    }
}

static void set_begun(struct client_native_group *ng, uint64_t number)
{
    ng->begun = number > ng->begun ? number : ng->begun;
}

static uint64_t seq_of(const uint8_t *frame)
{
    uint64_t seq = 0;
    for (size_t i = 15; i-- > 8;) {
        seq = seq << 8 | frame[i];
    }
    return seq;
}

/* As many frames of a run as fit; returns bytes. */
static size_t stage_run(struct client_native *t, struct client_native_group *ng,
                        const struct client_node *n, size_t most)
{
    size_t at = n->sent, last = at;
    while (at < n->len && at - n->sent < most) {
        uint8_t *p = n->bytes + at;
        size_t frame = RELAY_NATIVE_HEAD + ((size_t)p[1] | (size_t)p[2] << 8 | (size_t)p[3] << 16);
        if (!fits(ng, frame)) {
            break;
        }
        p[4] = (uint8_t)ng->id;
        p[5] = (uint8_t)(ng->id >> 8);
        p[6] = (uint8_t)(ng->id >> 16);
        p[7] = (uint8_t)(ng->id >> 24);
        ng->used += frame;
        last = at;
        at += frame;
    }
    if (at > n->sent) {
        set_begun(ng, seq_of(n->bytes + last));
        add(t, n->bytes + n->sent, at - n->sent);
    }
    return at - n->sent;
}

/* Bytes from .. from + len of a payload that lies in three places. */
static void add_payload(struct client_native *t, const struct client_node *n, size_t from,
                        size_t len)
{
    const struct {
        const uint8_t *p;
        size_t n;
    } piece[] = {{n->bytes, n->len}, {n->data, n->data_len}, {dot, n->dot}};
    for (size_t i = 0; i < sizeof(piece) / sizeof(piece[0]); i++) {
        if (from < piece[i].n) {
            size_t k = piece[i].n - from < len ? piece[i].n - from : len;
            add(t, piece[i].p + from, k);
            len -= k;
            from = 0;
        } else {
            from -= piece[i].n;
        }
    }
}

/* The next fragment of a large object; returns bytes of payload. */
static size_t stage_fragment(struct client_native *t, struct client_native_group *ng,
                             const struct client_node *n)
{
    size_t total = client_node_payload(n), left = total - n->sent;
    size_t len = left < CLIENT_FRAGMENT ? left : CLIENT_FRAGMENT;
    if (n->sent == 0 && len < n->len) { /* the metadata stand in the first fragment, whole */
        len = n->len;
    }
    if (!fits(ng, RELAY_NATIVE_HEAD + len)) {
        return 0;
    }
    const struct relay_native_head h = {
        .type = n->type,
        .flags = (uint8_t)((n->sent == 0 ? n->flags : 0) | (len < left ? RELAY_N_MORE : 0)),
        .len = (uint32_t)len,
        .group = ng->id,
        .seq = n->first};
    uint8_t *head = t->heads[t->niov];
    relay_native_put_head(head, &h);
    add(t, head, RELAY_NATIVE_HEAD);
    add_payload(t, n, n->sent, len);
    ng->used += RELAY_NATIVE_HEAD + len;
    set_begun(ng, n->first);
    return len;
}

/* Put something of the line into the stage; bytes, 0 when the window is too small. */
static size_t stage_line(struct relay_client *c, struct client_line *l, size_t most)
{
    struct client_native *t = client_native_of(c);
    struct client_native_group *ng = c->groups[l->group]->native;
    const struct client_node *n = l->unsent;
    size_t len = n->large ? stage_fragment(t, ng, n) : stage_run(t, ng, n, most);
    if (len > 0) {
        t->turned = n->large && n->sent + len < client_node_payload(n) ? l : NULL;
        client_line_advance(&c->spool, l, len);
    }
    return len;
}

static void stage_objects(struct relay_client *c)
{
    struct client_native *t = client_native_of(c);
    size_t bytes = 0;
    while (t->niov + LARGE_IOV <= CLIENT_IOV && bytes < CLIENT_STAGE) {
        struct client_line *l = client_spool_oldest(&c->spool, may_send, c);
        if (!l && t->turned) { /* nobody else: go on with the large one */
            t->turned = NULL;
            l = client_spool_oldest(&c->spool, may_send, c);
        }
        if (!l) {
            return;
        }
        size_t n = stage_line(c, l, CLIENT_STAGE - bytes);
        c->sent += n;
        bytes += n;
    }
}

static void stage(struct relay_client *c)
{
    struct client_native *t = client_native_of(c);
    t->niov = t->at = 0;
    if (client_in_session(c)) {
        client_native_todo(c);
        put_acks(c);
        put_demands(c);
    }
    if (!c->stream) {
        return;
    }
    if (nk_buf_len(&t->control) > 0) {
        struct nk_buf empty = t->writing;
        t->writing = t->control;
        t->control = empty;
        add(t, nk_buf_ptr(&t->writing), nk_buf_len(&t->writing));
    }
    if (client_in_session(c)) {
        stage_objects(c);
    }
}

int client_native_iov(struct relay_client *c, struct iovec *out)
{
    struct client_native *t = client_native_of(c);
    if (t->at == t->niov) {
        stage(c);
        if (!c->stream) {
            return 0;
        }
    }
    int n = t->niov - t->at;
    memcpy(out, t->iov + t->at, (size_t)n * sizeof(*out));
    return n;
}

void client_native_leave(struct relay_client *c)
{
    struct client_native *t = client_native_of(c);
    uint8_t frame[RELAY_NATIVE_GOAWAY_MAX];
    if (t->at < t->niov || t->said_bye) {
        return;
    }
    put_acks(c);
    if (!c->stream) {
        return;
    }
    client_native_control(c, frame, relay_native_put_goaway(frame, RELAY_GOAWAY_DONE, ""));
    if (nk_stream_write(c->stream, nk_buf_ptr(&t->control), nk_buf_len(&t->control)) < 0) {
        nk_debug(nk_app_log(c->app), "relay", "the relay could not be told that we end");
    }
}

static void reap_all(struct relay_client *c)
{
    for (uint32_t i = 0; i < c->ngroups; i++) {
        client_line_reap(&c->spool, &c->groups[i]->line);
    }
}

void client_native_reap(struct relay_client *c, struct client_group *g)
{
    struct client_native *t = client_native_of(c);
    if (t->at < t->niov) {
        t->reap = true;
    } else {
        client_line_reap(&c->spool, &g->line);
    }
}

void client_native_sent(struct relay_client *c, size_t n)
{
    struct client_native *t = client_native_of(c);
    while (n > 0 && t->at < t->niov) {
        struct iovec *v = &t->iov[t->at];
        size_t k = n < v->iov_len ? n : v->iov_len;
        v->iov_base = (uint8_t *)v->iov_base + k;
        v->iov_len -= k;
        n -= k;
        t->at += v->iov_len == 0;
    }
    if (t->at == t->niov) {
        nk_buf_reset(&t->writing);
        if (t->reap) {
            t->reap = false;
            reap_all(c);
        }
    }
}

bool client_native_idle(const struct relay_client *c)
{
    const struct client_native *t = client_native_of(c);
    return t->at == t->niov && nk_buf_len(&t->control) == 0;
}

void client_native_out_reset(struct relay_client *c)
{
    struct client_native *t = client_native_of(c);
    t->niov = t->at = 0;
    t->reap = false;
    t->turned = NULL;
    nk_buf_reset(&t->control);
    nk_buf_reset(&t->writing);
}
