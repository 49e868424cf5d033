/* SPDX-License-Identifier: MIT */
/* What the relay says on the native wire while the session stands. */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "core/stream.h"
#include "relay/client_native.h"

#define PART_FIRST ((size_t)512 << 10) /* room that an object in fragments begins with */

static void broke(struct relay_client *c, const char *what)
{
    client_broken(c, NK_EPROTO, what);
}

/* --- objects ---------------------------------------------------------------------------------- */

/* A whole object at p. */
static void deliver(struct relay_client *c, struct client_group *g,
                    const struct relay_native_head *h, uint32_t tries, const uint8_t *p, size_t len)
{
    struct client_native *t = client_native_of(c);
    struct client_native_group *ng = g->native;
    struct relay_meta m;
    struct relay_client_object d = {
        .lease = {.wire = RELAY_CLIENT_NATIVE, .group = g->handle, .connection = t->generation},
        .group = g->handle,
        .kind = h->flags & RELAY_N_RETAINED ? RELAY_KIND_RETAINED : RELAY_KIND_BROADCAST,
        .content = (enum relay_content)((h->flags & RELAY_N_CONTENT) >> RELAY_N_CONTENT_SHIFT),
        .seq = h->seq,
        .tries = tries,
        .asked = c->asked,
        .data = p,
        .len = len};
    if (h->flags & RELAY_N_META) {
        if (relay_meta_get(p, len, &m) < 0) {
            broke(c, "an object with broken metadata");
            return;
        }
        d.meta = &m;
        d.meta_block = p;
        d.data += m.len;
        d.len -= m.len;
    }
    if (h->type == RELAY_N_ITEM) {
        d.kind = RELAY_KIND_ITEM;
        d.lease.seq = h->seq;
        ng->items++;
        if (!c->finishing && client_ranges_add(&ng->held, h->seq) < 0) {
            client_broken(c, -ENOMEM, "out of memory");
            return;
        }
    } else {
        ng->known = true;
        ng->version = h->seq;
    }
    client_deliver(c, g, &d);
}

static struct client_part **find_part(struct client_native *t, const struct client_group *g,
                                      const struct relay_native_head *h)
{
    struct client_part **at = &t->parts;
    while (*at && ((*at)->group != g || (*at)->seq != h->seq || (*at)->type != h->type)) {
        at = &(*at)->next;
    }
    return at;
}

static void free_part(struct client_native *t, struct client_part **at)
{
    struct client_part *part = *at;
    *at = part->next;
    t->nparts--;
    free(part->data);
    free(part);
}

void client_native_parts_clear(struct client_native *t)
{
    while (t->parts) {
        free_part(t, &t->parts);
    }
}

static int append(struct relay_client *c, struct client_part *part, const uint8_t *p, size_t len)
{
    size_t most = c->conf->max_object + RELAY_META_PREFIX + RELAY_META_MAX;
    if (len > most - part->len) {
        return NK_ETOOBIG;
    }
    if (part->len + len > part->cap) {
        size_t cap = part->cap ? part->cap * 2 : PART_FIRST;
        while (cap < part->len + len) {
            cap *= 2;
        }
        uint8_t *q = realloc(part->data, cap);
        if (!q) {
            return -ENOMEM;
        }
        part->data = q;
        part->cap = cap;
    }
    memcpy(part->data + part->len, p, len);
    part->len += len;
    return 0;
}

static struct client_part *new_part(struct client_native *t, struct client_group *g,
                                    const struct relay_native_head *h, uint32_t tries)
{
    struct client_part *part = t->nparts < CLIENT_PARTS_MAX ? calloc(1, sizeof(*part)) : NULL;
    if (part) {
        *part = (struct client_part){.next = t->parts,
                                     .group = g,
                                     .seq = h->seq,
                                     .type = h->type,
                                     .flags = (uint8_t)(h->flags & ~RELAY_N_MORE),
                                     .tries = tries};
        t->parts = part;
        t->nparts++;
    }
    return part;
}

/* A fragment: of an object under way, or the first one. */
static void got_fragment(struct relay_client *c, struct client_group *g,
                         const struct relay_native_head *h, uint32_t tries, const uint8_t *p)
{
    struct client_native *t = client_native_of(c);
    struct client_part **at = find_part(t, g, h);
    if (!*at) {
        if (!new_part(t, g, h, tries)) {
            client_broken(c, -ENOMEM, "no memory for an object in fragments");
            return;
        }
        at = &t->parts;
    }
    int status = append(c, *at, p, h->len);
    if (status < 0) {
        client_broken(c, status,
                      status == NK_ETOOBIG ? "an object is larger than --max-object"
                                           : "no memory for an object");
        return;
    }
    c->received += h->flags & RELAY_N_MORE ? h->len : 0;
    client_changed(c);
    if (h->flags & RELAY_N_MORE) {
        return;
    }
    struct client_part *part = *at; /* out of the list: the owner may close the client */
    *at = part->next;
    t->nparts--;
    struct relay_native_head whole = *h;
    whole.flags = part->flags;
    c->received -= part->len - h->len; /* counted as it came */
    deliver(c, g, &whole, part->tries, part->data, part->len);
    free(part->data);
    free(part);
}

static void got_object(struct relay_client *c, struct client_group *g,
                       const struct relay_native_head *h, const uint8_t *p)
{
    struct client_native *t = client_native_of(c);
    struct client_native_group *ng = g->native;
    uint32_t tries = 0;
    if (h->flags & RELAY_N_REDELIVERED) {
        tries = ng->tries_seq == h->seq ? ng->tries : 1;
    }
    if (h->flags & RELAY_N_MORE || (t->parts && *find_part(t, g, h))) {
        got_fragment(c, g, h, tries, p);
    } else {
        deliver(c, g, h, tries, p, h->len);
    }
}

/* --- answers ---------------------------------------------------------------------------------- */

/* What was published is settled up to h->seq, but for the failures that are listed. */
static void got_receipt(struct relay_client *c, struct client_group *g,
                        const struct relay_native_head *h, const uint8_t *p)
{
    int n = relay_native_get_receipt(h, p);
    if (n < 0 || h->seq > g->native->begun) {
        broke(c, "a receipt for what was never sent");
        return;
    }
    for (int i = 0; i < n && !c->closed; i++) {
        struct relay_native_failure f = relay_native_failure(p, (uint32_t)i);
        if (f.seq <= g->line.settled || f.seq > h->seq) {
            continue; /* said before */
        }
        client_settled(c, g, f.seq - 1, 0);
        if (!c->closed) {
            client_settled(c, g, f.seq, relay_native_error(f.status));
        }
    }
    if (!c->closed) {
        client_settled(c, g, h->seq, 0);
    }
    if (!c->closed && c->stream) {
        client_native_reap(c, g);
        client_flush_later(c); /* perhaps the last one that FINISH waits for */
    }
}

static void got_window(struct relay_client *c, struct client_group *g, const uint8_t *p)
{
    uint64_t window = relay_native_get_u64(p);
    if (window > g->native->window) {
        g->native->window = window;
        g->native->blocked = false;
        client_flush_later(c);
    }
}

void client_native_drained(struct relay_client *c, struct client_group *g)
{
    if (!g->native->drain_asked) {
        return;
    }
    g->native->drain_asked = g->drain = false;
    client_native_demanded(c, g); /* what was drained did not use up standing demand */
    if (c->ops->on_drained && !c->closed) {
        c->ops->on_drained(c->owner, g->handle);
    }
}

static void got_goaway(struct relay_client *c, const struct relay_native_head *h, const uint8_t *p)
{
    struct client_native *t = client_native_of(c);
    struct relay_text text;
    uint32_t code;
    relay_native_get_goaway(p, h->len, &code, &text);
    t->goaway = code + 1;
    memcpy(t->goaway_text, text.p, text.len);
    t->goaway_text[text.len] = '\0';
    nk_debug(nk_app_log(c->app), "relay", "the relay says goodbye: %u %s", code, t->goaway_text);
}

static void got_ping(struct relay_client *c, const struct relay_native_head *h, const uint8_t *p)
{
    uint8_t frame[RELAY_NATIVE_ECHO_MAX];
    client_native_control(c, frame, relay_native_put_echo(frame, RELAY_N_PONG, p, h->len));
}

/* A frame about a group that is open. */
static void about_group(struct relay_client *c, struct client_group *g,
                        const struct relay_native_head *h, const uint8_t *p)
{
    switch ((enum relay_native_type)h->type) {
    case RELAY_N_BROADCAST:
    case RELAY_N_ITEM:
        got_object(c, g, h, p);
        break;
    case RELAY_N_DELIVERIES:
        g->native->tries_seq = h->seq;
        g->native->tries = relay_native_get_u32(p);
        break;
    case RELAY_N_RECEIPT:
        got_receipt(c, g, h, p);
        break;
    case RELAY_N_WINDOW:
        got_window(c, g, p);
        break;
    case RELAY_N_DRAINED:
        client_native_drained(c, g);
        break;
    default:
        broke(c, "not what a relay says at this point");
        break;
    }
}

static void act(struct relay_client *c, const struct relay_native_head *h, const uint8_t *p)
{
    struct client_native *t = client_native_of(c);
    switch ((enum relay_native_type)h->type) {
    case RELAY_N_PING:
        got_ping(c, h, p);
        return;
    case RELAY_N_PONG:
        return;
    case RELAY_N_GOAWAY:
        got_goaway(c, h, p);
        return;
    case RELAY_N_CHALLENGE:
    case RELAY_N_AUTH:
    case RELAY_N_WELCOME:
        client_native_handshake(c, h, p);
        return;
    case RELAY_N_OPENED:
        client_native_opened(c, h, p);
        return;
    case RELAY_N_SETTLED:
        client_native_answered(c, h->seq, relay_native_error((int32_t)relay_native_get_u32(p)));
        return;
    default:
        break;
    }
    struct client_group *g = client_native_find(t, h->group);
    if (!g) {
        broke(c, "a frame about a group that is not open");
    } else if (g->native->open) { /* else it was said before the relay read our CLOSE */
        about_group(c, g, h, p);
    }
}

/* Without TLS a relay greets in tlspyo's way first: skip that. 1: skipped or not there. */
static int skip_greeting(struct relay_client *c)
{
    const uint8_t *p = nk_buf_ptr(&c->in);
    size_t n = nk_buf_len(&c->in), total;
    if (c->state != CLIENT_GREETING || n == 0 || p[0] < '0' || p[0] > '9') {
        return n > 0;
    }
    int status = relay_wire_frame_length(p, n, c->conf->header_size, RELAY_NATIVE_GUEST, &total);
    if (status < 0) {
        client_broken(c, status, "this is not a frame of a relay");
        return status;
    }
    if (total == 0 || total > n) {
        return 0;
    }
    nk_buf_consume(&c->in, total);
    return 1;
}

void client_native_input(struct relay_client *c, size_t *missing)
{
    uint64_t connection = c->connection;
    size_t off = 0;
    *missing = 0;
    if (skip_greeting(c) <= 0) {
        return;
    }
    while (c->stream && !c->closed && !client_holding(c)) {
        const uint8_t *p = nk_buf_ptr(&c->in) + off;
        size_t n = nk_buf_len(&c->in) - off;
        struct relay_native_head h;
        const char *why = NULL;
        int status =
            n > 0 ? relay_native_head(p, n, RELAY_FROM_RELAY, RELAY_NATIVE_FRAGMENT, &h, &why) : 0;
        if (status < 0) {
            client_broken(c, status, why);
            return;
        }
        if (status == 0 || h.len > n - RELAY_NATIVE_HEAD) {
            *missing = status == 0 ? 0 : h.len - (n - RELAY_NATIVE_HEAD);
            break;
        }
        act(c, &h, p + RELAY_NATIVE_HEAD);
        if (c->closed || !c->stream || connection != c->connection) {
            return;
        }
        off += RELAY_NATIVE_HEAD + h.len;
    }
    if (off > 0) {
        nk_buf_consume(&c->in, off);
    }
}
