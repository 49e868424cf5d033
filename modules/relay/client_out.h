/* SPDX-License-Identifier: MIT */
/*
 * client_out - what goes out on tlspyo's wire next, and which stamps the relay has not
 * acknowledged.
 *
 * Small frames are gathered in one buffer, large objects are sent from where they lie. At most
 * RELAY_CLIENT_WINDOW commands are in flight. No I/O happens here.
 */
#ifndef NK_RELAY_CLIENT_OUT_H
#define NK_RELAY_CLIENT_OUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/buf.h"
#include "relay/wire_client.h"

#define RELAY_CLIENT_WINDOW 4096 /* commands without acknowledgement */
#define RELAY_CLIENT_IOV 3       /* buffers that relay_client_out_iov() fills */

/* An object for one group: wrap, head, data and, when dot is set, a '.' are its pickle. */
struct relay_client_item {
    struct relay_wire_dest dest;
    uint8_t wrap[RELAY_VALUE_HEAD_MAX];
    size_t wrap_len;
    const uint8_t *head;
    size_t head_len;
    size_t data_len; /* the data are given to relay_client_out_object() */
    bool dot;
};

struct relay_client_out {
    struct nk_buf head; /* goes out first */
    uint8_t *active;    /* then these data (owned) from `sent` on */
    size_t active_len, sent;
    struct nk_buf tail; /* then this */
    int64_t base, next; /* stamps: the oldest outstanding one, the next to be used */
    uint64_t acked[RELAY_CLIENT_WINDOW / 64];
};

/* relay_client_out_init - empty; stamps begin at 1. */
void relay_client_out_init(struct relay_client_out *o);

/* relay_client_out_clear - free everything, wiping frames (they hold the password). */
void relay_client_out_clear(struct relay_client_out *o);

/* relay_client_out_restart - a new connection: forget frames and outstanding stamps. */
void relay_client_out_restart(struct relay_client_out *o);

/* relay_client_out_room - there may be another object: a stamp is free, no large object is being
 * sent, and not too much is gathered. */
bool relay_client_out_room(const struct relay_client_out *o);

/* relay_client_out_object - append the frame of an object (with room); its head is copied.
 * take_data (malloc, item->data_len bytes; NULL when there are none) belongs to o from then on,
 * also on failure. Returns the stamp; NK_ETOOBIG (it does not fit into the header_size digits) or
 * -ENOMEM: then the stream of frames is broken and the connection cannot go on. */
int64_t relay_client_out_object(struct relay_client_out *o, const struct relay_wire_format *f,
                                const struct relay_client_item *item, uint8_t *take_data);

/* relay_client_out_stamp - the stamp for a command that is put into relay_client_out_frames() next;
 * counts it as outstanding. 0 when the window is full. */
int64_t relay_client_out_stamp(struct relay_client_out *o);

/* relay_client_out_frames - where whole small frames are to be appended. */
struct nk_buf *relay_client_out_frames(struct relay_client_out *o);

/* relay_client_out_iov - what to write now: fills iov and returns how many. */
int relay_client_out_iov(const struct relay_client_out *o, struct iovec iov[RELAY_CLIENT_IOV]);

/* relay_client_out_sent - n bytes of the last relay_client_out_iov() were written. */
void relay_client_out_sent(struct relay_client_out *o, size_t n);

/* relay_client_out_ack - the relay acknowledged stamp. False when no such stamp is outstanding. */
bool relay_client_out_ack(struct relay_client_out *o, int64_t stamp);

/* relay_client_out_acked - of a stamp that is outstanding: it was acknowledged, but an older one
 * was not. */
bool relay_client_out_acked(const struct relay_client_out *o, int64_t stamp);

/* relay_client_out_waiting - commands in flight; relay_client_out_empty - nothing to write. */
uint64_t relay_client_out_waiting(const struct relay_client_out *o);
bool relay_client_out_empty(const struct relay_client_out *o);

#endif
