/* SPDX-License-Identifier: MIT */
#include "relay/client_spool.h"

#include <stdlib.h>
#include <string.h>

#include "relay/pickle_value.h"
#include "relay/wire_meta.h"

#define SPARES_MAX 8 /* empty arenas kept for the next objects */
#define NODE_COST sizeof(struct client_node)

/* --- memory ----------------------------------------------------------------------------------- */

void client_spool_init(struct client_spool *s)
{
    memset(s, 0, sizeof(*s));
}

static struct client_arena *new_arena(struct client_spool *s)
{
    struct client_arena *a = s->spare;
    if (a) {
        s->spare = a->next;
        s->spares--;
    } else {
        a = malloc(sizeof(*a));
        if (!a) {
            return NULL;
        }
    }
    a->nodes = 0;
    a->used = 0;
    a->next = NULL;
    s->held += sizeof(*a);
    return a;
}

static void drop_arena(struct client_spool *s, struct client_arena *a)
{
    s->held -= sizeof(*a);
    if (s->spares < SPARES_MAX) {
        a->next = s->spare;
        s->spare = a;
        s->spares++;
    } else {
        free(a);
    }
}

/* A node left the arena. */
static void leave_arena(struct client_spool *s, struct client_arena *a)
{
    a->nodes--;
    if (a->nodes > 0) {
        return;
    }
    if (a == s->arena) {
        a->used = 0;
    } else {
        drop_arena(s, a);
    }
}

/* n bytes at the end of the open arena; it is not charged to a node yet. */
static uint8_t *reserve(struct client_spool *s, size_t n)
{
    if (!s->arena || CLIENT_ARENA_SIZE - s->arena->used < n) {
        struct client_arena *a = new_arena(s);
        if (!a) {
            return NULL;
        }
        if (s->arena && s->arena->nodes == 0) {
            drop_arena(s, s->arena);
        }
        s->arena = a;
        s->newest = NULL;
    }
    return s->arena->bytes + s->arena->used;
}

static struct client_node *new_node(struct client_spool *s)
{
    struct client_node *n = s->free;
    if (n) {
        s->free = n->next;
    } else {
        n = malloc(sizeof(*n));
    }
    if (n) {
        *n = (struct client_node){.ticket = ++s->ticket};
        s->held += NODE_COST;
    }
    return n;
}

static void free_node(struct client_spool *s, struct client_node *n)
{
    s->held -= NODE_COST + n->data_len;
    if (s->newest == n) {
        s->newest = NULL;
    }
    free(n->data);
    leave_arena(s, n->arena);
    n->next = s->free;
    s->free = n;
}

void client_spool_clear(struct client_spool *s)
{
    free(s->arena);
    while (s->spare) {
        struct client_arena *a = s->spare;
        s->spare = a->next;
        free(a);
    }
    while (s->free) {
        struct client_node *n = s->free;
        s->free = n->next;
        free(n);
    }
    memset(s, 0, sizeof(*s));
}

void client_line_init(struct client_line *l, uint32_t group)
{
    *l = (struct client_line){.next = 1, .group = group};
    l->last = &l->first;
}

static void set_ready(struct client_spool *s, struct client_line *l)
{
    if (!l->ready) {
        l->ready = true;
        l->ready_next = s->ready;
        s->ready = l;
    }
}

static void unset_ready(struct client_spool *s, struct client_line *l)
{
    struct client_line **at = &s->ready;
    while (*at != l) {
        at = &(*at)->ready_next;
    }
    *at = l->ready_next;
    l->ready = false;
}

void client_line_clear(struct client_spool *s, struct client_line *l)
{
    while (l->first) {
        struct client_node *n = l->first;
        l->first = n->next;
        free_node(s, n);
    }
    if (l->ready) {
        unset_ready(s, l);
    }
    l->last = &l->first;
    l->unsent = NULL;
}

/* --- encoding --------------------------------------------------------------------------------- */

/* Bytes of the metadata block, or 0 when there is none. More than RELAY_META_MAX is too much. */
static size_t meta_size(const struct relay_client_publish *p)
{
    size_t n = p->ttl_ms > 0 ? RELAY_META_ENTRY + sizeof(uint64_t) : 0;
    n += p->copies > 1 ? RELAY_META_ENTRY + sizeof(uint64_t) : 0;
    n += p->reply_to ? RELAY_META_ENTRY + strlen(p->reply_to) : 0;
    n += p->correlation_len > 0 ? RELAY_META_ENTRY + p->correlation_len : 0;
    for (size_t i = 0; i < p->nheaders && n <= RELAY_META_MAX; i++) {
        n += RELAY_META_ENTRY + strlen(p->headers[i]);
    }
    return n > 0 ? RELAY_META_PREFIX + n : 0;
}

/* Write the block of `size` bytes. 0 or NK_EFORMAT: a value is not allowed. */
static int put_meta(uint8_t *out, const struct relay_client_publish *p, size_t size)
{
    struct relay_meta_writer w;
    relay_meta_begin(&w, out, size);
    if (p->ttl_ms > 0) {
        relay_meta_add_u64(&w, RELAY_META_TTL, p->ttl_ms);
    }
    if (p->copies > 1) {
        relay_meta_add_u64(&w, RELAY_META_COPIES, p->copies);
    }
    if (p->reply_to) {
        relay_meta_add(&w, RELAY_META_REPLY_TO, p->reply_to, strlen(p->reply_to));
    }
    if (p->correlation_len > 0) {
        relay_meta_add(&w, RELAY_META_CORRELATION, p->correlation, p->correlation_len);
    }
    for (size_t i = 0; i < p->nheaders; i++) {
        relay_meta_add(&w, RELAY_META_HEADER, p->headers[i], strlen(p->headers[i]));
    }
    return relay_meta_end(&w) == size ? 0 : NK_EFORMAT;
}

/* What stands around the data in an object's payload. */
struct shape {
    size_t meta;                        /* bytes of the metadata block */
    size_t prefix;                      /* the block and the head together */
    uint8_t head[RELAY_VALUE_HEAD_MAX]; /* of a pickle */
    size_t head_len;
    bool dot;
    uint8_t type, flags;
};

static void find_shape(struct shape *sh, const struct relay_client_publish *p, size_t len)
{
    enum relay_content content = p->content;
    *sh = (struct shape){.meta = meta_size(p),
                         .type = p->copies > 0 ? RELAY_N_ITEM : RELAY_N_BROADCAST};
    if (p->wrap != RELAY_WRAP_NONE) {
        content = RELAY_CONTENT_PICKLE;
        sh->head_len = relay_value_head(sh->head, len, p->wrap == RELAY_WRAP_STR);
        sh->dot = true;
    }
    sh->flags = (uint8_t)((unsigned)content << RELAY_N_CONTENT_SHIFT);
    sh->flags |= sh->meta > 0 ? RELAY_N_META : 0;
    sh->prefix = sh->head_len + sh->meta;
}

static int put_prefix(uint8_t *out, const struct shape *sh, const struct relay_client_publish *p)
{
    memcpy(out + sh->meta, sh->head, sh->head_len);
    return sh->meta > 0 ? put_meta(out, p, sh->meta) : 0;
}

static void append_node(struct client_spool *s, struct client_line *l, struct client_node *n)
{
    *l->last = n;
    l->last = &n->next;
    n->arena = s->arena;
    n->arena->nodes++;
}

/* A whole frame at the end of the open arena, in the newest run when that is of this line. */
static int put_small(struct client_spool *s, struct client_line *l, const struct shape *sh,
                     const struct relay_client_publish *p, const uint8_t *data, size_t len)
{
    size_t payload = sh->prefix + len + sh->dot;
    uint8_t *out = reserve(s, RELAY_NATIVE_HEAD + payload);
    int status = out ? put_prefix(out + RELAY_NATIVE_HEAD, sh, p) : -ENOMEM;
    if (status < 0) {
        return status;
    }
    struct client_node *n = s->newest;
    if (!n || s->newest_line != l) {
        n = new_node(s);
        if (!n) {
            return -ENOMEM;
        }
        n->bytes = out;
        n->first = l->next;
        append_node(s, l, n);
        s->newest = n;
        s->newest_line = l;
    }
    const struct relay_native_head h = {
        .type = sh->type, .flags = sh->flags, .len = (uint32_t)payload, .group = 1, .seq = l->next};
    relay_native_put_head(out, &h);
    uint8_t *end = out + RELAY_NATIVE_HEAD + sh->prefix;
    if (len > 0) {
        memcpy(end, data, len);
    }
    if (sh->dot) {
        end[len] = (uint8_t)RELAY_VALUE_TAIL[0];
    }
    n->last = l->next;
    n->len += RELAY_NATIVE_HEAD + payload;
    s->arena->used += RELAY_NATIVE_HEAD + payload;
    if (!l->unsent) {
        l->unsent = n;
    }
    return 0;
}

static int put_large(struct client_spool *s, struct client_line *l, const struct shape *sh,
                     const struct relay_client_publish *p, uint8_t *take_data, size_t len)
{
    uint8_t *out = reserve(s, sh->prefix);
    int status = out ? put_prefix(out, sh, p) : -ENOMEM;
    struct client_node *n = status == 0 ? new_node(s) : NULL;
    if (!n) {
        free(take_data);
        return status < 0 ? status : -ENOMEM;
    }
    n->large = true;
    n->first = n->last = l->next;
    n->bytes = out;
    n->len = sh->prefix;
    s->arena->used += sh->prefix;
    n->data = take_data;
    n->data_len = len;
    n->dot = sh->dot;
    n->type = sh->type;
    n->flags = sh->flags;
    append_node(s, l, n);
    s->held += len;
    s->newest = NULL;
    if (!l->unsent) {
        l->unsent = n;
    }
    return 0;
}

static uint8_t *copy_of(const uint8_t *p, size_t n)
{
    uint8_t *q = malloc(n ? n : 1);
    if (q && n > 0) {
        memcpy(q, p, n);
    }
    return q;
}

int client_spool_put(struct client_spool *s, struct client_line *l,
                     const struct relay_client_publish *p, const uint8_t *data, size_t len,
                     bool take, uint64_t *number)
{
    struct shape sh;
    find_shape(&sh, p, len);
    int status = sh.meta > RELAY_META_PREFIX + RELAY_META_MAX ? NK_ETOOBIG : 0;
    if (status == 0 && (len > CLIENT_SMALL || sh.prefix + len + 1 > RELAY_NATIVE_FRAGMENT / 2)) {
        uint8_t *own = take ? (uint8_t *)(uintptr_t)data : copy_of(data, len);
        take = false; /* put_large has it now */
        status = own ? put_large(s, l, &sh, p, own, len) : -ENOMEM;
    } else if (status == 0) {
        status = put_small(s, l, &sh, p, data, len);
    }
    if (take) {
        free((uint8_t *)(uintptr_t)data);
    }
    if (status < 0) {
        return status;
    }
    set_ready(s, l);
    s->queued += sh.prefix + len + sh.dot;
    s->objects++;
    if (number) {
        *number = l->next;
    }
    l->next++;
    return 0;
}

size_t client_spool_cost(size_t len)
{
    return len + NODE_COST + (len > CLIENT_SMALL ? 0 : RELAY_NATIVE_HEAD);
}

/* --- sending ---------------------------------------------------------------------------------- */

size_t client_node_payload(const struct client_node *n)
{
    return n->len + n->data_len + n->dot;
}

static size_t node_size(const struct client_node *n)
{
    return n->large ? client_node_payload(n) : n->len;
}

struct client_line *client_spool_oldest(const struct client_spool *s,
                                        bool (*allow)(void *arg, const struct client_line *),
                                        void *arg)
{
    struct client_line *best = NULL;
    for (struct client_line *l = s->ready; l; l = l->ready_next) {
        if ((!best || l->unsent->ticket < best->unsent->ticket) && (!allow || allow(arg, l))) {
            best = l;
        }
    }
    return best;
}

/* Length of the frame at p, which is ours. */
static size_t frame_size(const uint8_t *p)
{
    return RELAY_NATIVE_HEAD + ((size_t)p[1] | (size_t)p[2] << 8 | (size_t)p[3] << 16);
}

/* How much of n bytes of a node are payload: in a run each frame has a head, which is passed when
 * the frame is. */
static size_t payload_in(const struct client_node *n, size_t from, size_t bytes)
{
    size_t sum = 0;
    if (n->large) {
        return bytes;
    }
    for (size_t at = from; at < from + bytes;) {
        size_t size = frame_size(n->bytes + at);
        sum += size - RELAY_NATIVE_HEAD;
        at += size;
    }
    return sum;
}

void client_line_advance(struct client_spool *s, struct client_line *l, size_t n)
{
    struct client_node *node = l->unsent;
    s->queued -= payload_in(node, node->sent, n);
    node->sent += n;
    if (node->sent < node_size(node)) {
        return;
    }
    if (s->newest == node) {
        s->newest = NULL; /* what comes later is a new node: this one may be in an iovec */
    }
    l->unsent = node->next;
    if (!l->unsent) {
        unset_ready(s, l);
    }
}

void client_spool_settle(struct client_spool *s, struct client_line *l, uint64_t number)
{
    if (number > l->settled) {
        s->settled += number - l->settled;
        l->settled = number;
    }
}

/* Where in a run the first frame beyond `settled` begins. */
static size_t skip_settled(const struct client_node *n, uint64_t settled)
{
    size_t at = 0;
    for (uint64_t number = n->first; number <= settled && at < n->len; number++) {
        at += frame_size(n->bytes + at);
    }
    return at;
}

/* Is it settled, and not in the middle of being sent? */
static bool may_go(const struct client_node *n, uint64_t settled)
{
    return n->last <= settled && !(n->large && n->sent > 0 && n->sent < node_size(n));
}

void client_line_reap(struct client_spool *s, struct client_line *l)
{
    while (l->first && may_go(l->first, l->settled)) {
        struct client_node *n = l->first;
        if (l->unsent == n) {
            client_line_advance(s, l, node_size(n) - n->sent);
        }
        l->first = n->next;
        if (!l->first) {
            l->last = &l->first;
        }
        free_node(s, n);
    }
    struct client_node *n = l->unsent;
    size_t from = n && !n->large && n->first <= l->settled ? skip_settled(n, l->settled) : 0;
    if (from > 0 && n->sent < from) {
        client_line_advance(s, l, from - n->sent);
    }
}

void client_line_rewind(struct client_spool *s, struct client_line *l)
{
    for (struct client_node *n = l->first; n; n = n->next) {
        s->queued += payload_in(n, 0, n->sent);
        n->sent = 0;
    }
    l->unsent = l->first;
    if (l->unsent) {
        set_ready(s, l);
    }
    client_line_reap(s, l);
}

/* --- for tlspyo's session --------------------------------------------------------------------- */

void client_spool_peek(const struct client_line *l, struct client_item *out)
{
    const struct client_node *n = l->unsent;
    struct relay_native_head h = {.type = n->type, .flags = n->flags, .seq = n->first};
    const uint8_t *p = n->bytes;
    size_t len = n->len;
    if (!n->large) {
        (void)relay_native_head(n->bytes + n->sent, n->len - n->sent, RELAY_FROM_CLIENT,
                                RELAY_NATIVE_FRAGMENT, &h, NULL);
        p = n->bytes + n->sent + RELAY_NATIVE_HEAD;
        len = h.len;
    }
    *out = (struct client_item){
        .number = h.seq,
        .copies = h.type == RELAY_N_ITEM,
        .content = (enum relay_content)((h.flags & RELAY_N_CONTENT) >> RELAY_N_CONTENT_SHIFT),
        .data = n->data,
        .data_len = n->data_len,
        .dot = n->dot};
    if (h.flags & RELAY_N_META) {
        struct relay_meta m = {0};
        (void)relay_meta_get(p, len, &m); /* written by put_meta */
        out->copies = out->copies ? m.copies : 0;
        p += m.len;
        len -= m.len;
    }
    out->head = p;
    out->head_len = len;
}

uint8_t *client_spool_take(struct client_spool *s, struct client_line *l)
{
    struct client_node *n = l->unsent;
    uint8_t *data = n->data;
    if (!n->large) {
        client_line_advance(s, l, frame_size(n->bytes + n->sent));
        return NULL;
    }
    client_line_advance(s, l, client_node_payload(n));
    s->held -= n->data_len;
    n->data = NULL;
    n->data_len = 0;
    return data;
}
