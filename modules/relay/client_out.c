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
    o->base = o->next = 1;
}

void relay_client_out_clear(struct relay_client_out *o)
{
    relay_client_out_restart(o);
    nk_buf_clear(&o->head);
    nk_buf_clear(&o->tail);
}

void relay_client_out_restart(struct relay_client_out *o)
{
    free(o->active);
    o->active = NULL;
    o->active_len = o->sent = 0;
    nk_buf_reset(&o->head);
    nk_buf_reset(&o->tail);
    o->base = o->next;
    memset(o->acked, 0, sizeof(o->acked));
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

bool relay_client_out_room(const struct relay_client_out *o)
{
    return !o->active && nk_buf_len(&o->head) < GATHER_BYTES &&
           o->next - o->base < RELAY_CLIENT_WINDOW;
}

/* Everything of the item's frame that stands before its data. */
static int put_head(struct relay_client_out *o, const struct relay_wire_format *f, int64_t stamp,
                    const struct relay_client_item *item)
{
    size_t len = item->wrap_len + item->head_len + item->data_len + item->dot;
    int status = relay_wire_put_object(&o->head, f, stamp, &item->dest, 1, len);
    if (status == 0 && item->wrap_len > 0) {
        status = nk_buf_put(&o->head, item->wrap, item->wrap_len);
    }
    if (status == 0 && item->head_len > 0) {
        status = nk_buf_put(&o->head, item->head, item->head_len);
    }
    return status;
}

static int put_tail(struct nk_buf *b, const struct relay_client_item *item)
{
    int status = item->dot ? nk_buf_puts(b, RELAY_VALUE_TAIL) : 0;
    return status == 0 ? nk_buf_puts(b, RELAY_WIRE_OBJECT_TAIL) : status;
}

int64_t relay_client_out_object(struct relay_client_out *o, const struct relay_wire_format *f,
                                const struct relay_client_item *item, uint8_t *take_data)
{
    int64_t stamp = relay_client_out_stamp(o);
    bool copy = item->data_len <= COPY_MAX;
    int status = put_head(o, f, stamp, item);
    if (status == 0 && copy && item->data_len > 0) {
        status = nk_buf_put(&o->head, take_data, item->data_len);
    }
    if (status == 0) {
        status = put_tail(copy ? &o->head : &o->tail, item);
    }
    if (status < 0 || copy) {
        free(take_data);
        return status < 0 ? status : stamp;
    }
    o->active = take_data;
    o->active_len = item->data_len;
    o->sent = 0;
    return stamp;
}

int relay_client_out_iov(const struct relay_client_out *o, struct iovec iov[RELAY_CLIENT_IOV])
{
    int n = 0;
    if (nk_buf_len(&o->head) > 0) {
        iov[n++] = (struct iovec){nk_buf_ptr(&o->head), nk_buf_len(&o->head)};
    }
    if (o->active) {
        iov[n++] = (struct iovec){o->active + o->sent, o->active_len - o->sent};
        iov[n++] = (struct iovec){nk_buf_ptr(&o->tail), nk_buf_len(&o->tail)};
    }
    return n;
}

/* The active object's data are gone: what follows them becomes the head. */
static void finish_active(struct relay_client_out *o)
{
    struct nk_buf empty = o->head;
    free(o->active);
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
    k = o->active_len - o->sent;
    k = n < k ? n : k;
    o->sent += k;
    n -= k;
    if (o->sent == o->active_len) {
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
    return true;
}

bool relay_client_out_acked(const struct relay_client_out *o, int64_t stamp)
{
    uint64_t slot = (uint64_t)stamp % RELAY_CLIENT_WINDOW;
    return o->acked[slot / BITS] >> (slot % BITS) & 1;
}

uint64_t relay_client_out_waiting(const struct relay_client_out *o)
{
    return (uint64_t)(o->next - o->base);
}

bool relay_client_out_empty(const struct relay_client_out *o)
{
    return !o->active && nk_buf_len(&o->head) == 0;
}
