/* SPDX-License-Identifier: MIT */
#include "relay/client_out.h"

#include <stdlib.h>
#include <string.h>

#include "base/err.h"

#define FRAMES_MAX ((size_t)16 << 20)    /* frames without large objects: more means a stuck peer */
#define GATHER_BYTES ((size_t)256 << 10) /* objects are gathered up to this much per write */
#define COPY_MAX ((size_t)16 << 10)      /* larger objects are sent from where they lie */
#define BITS 64

void relay_client_out_init(struct relay_client_out *o)
{
    memset(o, 0, sizeof(*o));
    nk_buf_init_secret(&o->head, FRAMES_MAX);
    nk_buf_init_secret(&o->tail, FRAMES_MAX);
    o->last = &o->first;
    o->base = o->next = 1;
}

static void free_item(struct relay_client_item *item)
{
    if (item) {
        free(item->data);
        free(item);
    }
}

void relay_client_out_clear(struct relay_client_out *o)
{
    while (o->first) {
        struct relay_client_item *item = o->first;
        o->first = item->next;
        free_item(item);
    }
    o->last = &o->first;
    o->queued = 0;
    relay_client_out_restart(o);
    nk_buf_clear(&o->head);
    nk_buf_clear(&o->tail);
}

void relay_client_out_restart(struct relay_client_out *o)
{
    if (o->active) {
        o->queued -= o->active->len < o->queued ? o->active->len : o->queued;
        free_item(o->active);
        o->active = NULL;
    }
    o->sent = 0;
    nk_buf_reset(&o->head);
    nk_buf_reset(&o->tail);
    o->base = o->next;
    o->objects_in_flight = 0;
    memset(o->acked, 0, sizeof(o->acked));
}

int relay_client_out_push(struct relay_client_out *o, const struct relay_wire_dest *dest,
                          size_t ndest, enum relay_form form, uint8_t *take_data, size_t len)
{
    struct relay_client_item *item = malloc(sizeof(*item));
    if (!item) {
        free(take_data);
        return -ENOMEM;
    }
    *item = (struct relay_client_item){
        .dest = dest, .ndest = ndest, .form = form, .data = take_data, .len = len};
    *o->last = item;
    o->last = &item->next;
    o->queued += len;
    o->objects++;
    return 0;
}

int64_t relay_client_out_stamp(struct relay_client_out *o)
{
    if (o->next - o->base >= RELAY_CLIENT_WINDOW) {
        return 0;
    }
    uint64_t slot = (uint64_t)o->next % RELAY_CLIENT_WINDOW;
    o->acked[slot / BITS] &= ~((uint64_t)1 << (slot % BITS));
    return o->next++;
}

struct nk_buf *relay_client_out_frames(struct relay_client_out *o)
{
    return o->active ? &o->tail : &o->head;
}

/* Write everything of the item's frame that stands before its data; the length of what follows them
 * is in *tail. */
static int put_object_head(struct relay_client_out *o, const struct relay_wire_format *f,
                           const struct relay_client_item *item)
{
    uint8_t head[RELAY_VALUE_HEAD_MAX];
    size_t n = item->form == RELAY_FORM_PICKLE
                   ? 0
                   : relay_value_head(head, item->len, item->form == RELAY_FORM_STR);
    size_t tail = item->form == RELAY_FORM_PICKLE ? 0 : sizeof(RELAY_VALUE_TAIL) - 1;
    int64_t stamp = relay_client_out_stamp(o);
    int status =
        relay_wire_put_object(&o->head, f, stamp, item->dest, item->ndest, n + item->len + tail);
    if (status == 0 && n > 0) {
        status = nk_buf_put(&o->head, head, n);
    }
    return status;
}

static int put_object_tail(struct nk_buf *b, const struct relay_client_item *item)
{
    int status = item->form == RELAY_FORM_PICKLE ? 0 : nk_buf_puts(b, RELAY_VALUE_TAIL);
    return status == 0 ? nk_buf_puts(b, RELAY_WIRE_OBJECT_TAIL) : status;
}

/* Move the oldest queued object into frames. */
static int take_object(struct relay_client_out *o, const struct relay_wire_format *f)
{
    struct relay_client_item *item = o->first;
    int status = put_object_head(o, f, item);
    if (status < 0) {
        return status;
    }
    bool copy = item->len <= COPY_MAX;
    if (copy) {
        status = nk_buf_put(&o->head, item->data, item->len);
    }
    if (status == 0) {
        status = put_object_tail(copy ? &o->head : &o->tail, item);
    }
    if (status < 0) {
        return status; /* the connection cannot go on: its stream of frames is broken */
    }
    o->first = item->next;
    if (!o->first) {
        o->last = &o->first;
    }
    o->objects_in_flight++;
    if (copy) {
        o->queued -= item->len;
        free_item(item);
    } else {
        o->active = item;
        o->sent = 0;
    }
    return 0;
}

int relay_client_out_iov(struct relay_client_out *o, const struct relay_wire_format *f,
                         bool objects, struct iovec iov[RELAY_CLIENT_IOV])
{
    int n = 0;
    while (objects && !o->active && o->first && nk_buf_len(&o->head) < GATHER_BYTES &&
           o->next - o->base < RELAY_CLIENT_WINDOW) {
        int status = take_object(o, f);
        if (status < 0) {
            return status;
        }
    }
    if (nk_buf_len(&o->head) > 0) {
        iov[n++] = (struct iovec){nk_buf_ptr(&o->head), nk_buf_len(&o->head)};
    }
    if (o->active) {
        iov[n++] = (struct iovec){o->active->data + o->sent, o->active->len - o->sent};
        iov[n++] = (struct iovec){nk_buf_ptr(&o->tail), nk_buf_len(&o->tail)};
    }
    return n;
}

/* The active object's data are gone: what follows them becomes the head. */
static void finish_active(struct relay_client_out *o)
{
    struct nk_buf empty = o->head;
    o->queued -= o->active->len;
    free_item(o->active);
    o->active = NULL;
    o->head = o->tail;
    o->tail = empty;
}

void relay_client_out_sent(struct relay_client_out *o, size_t n)
{
    size_t k = n < nk_buf_len(&o->head) ? n : nk_buf_len(&o->head);
    nk_buf_consume(&o->head, k);
    n -= k;
    if (!o->active || nk_buf_len(&o->head) > 0) {
        return;
    }
    k = o->active->len - o->sent;
    k = n < k ? n : k;
    o->sent += k;
    n -= k;
    if (o->sent == o->active->len) {
        finish_active(o);
        nk_buf_consume(&o->head, n);
    }
}

bool relay_client_out_ack(struct relay_client_out *o, int64_t stamp)
{
    if (stamp < o->base || stamp >= o->next) {
        return false;
    }
    uint64_t slot = (uint64_t)stamp % RELAY_CLIENT_WINDOW;
    uint64_t bit = (uint64_t)1 << (slot % BITS);
    if (o->acked[slot / BITS] & bit) {
        return false;
    }
    o->acked[slot / BITS] |= bit;
    while (o->base < o->next) {
        slot = (uint64_t)o->base % RELAY_CLIENT_WINDOW;
        if (!(o->acked[slot / BITS] & (uint64_t)1 << (slot % BITS))) {
            break;
        }
        o->base++;
    }
    if (o->base == o->next) {
        o->objects_in_flight = 0;
    }
    return true;
}

uint64_t relay_client_out_waiting(const struct relay_client_out *o)
{
    return (uint64_t)(o->next - o->base);
}

bool relay_client_out_empty(const struct relay_client_out *o)
{
    return !o->first && !o->active && nk_buf_len(&o->head) == 0;
}
