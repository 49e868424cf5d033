/* SPDX-License-Identifier: MIT */
/*
 * client_out - what an endpoint still has to send, and what the relay has not acknowledged yet.
 *
 * Small frames are gathered in one buffer, large objects are sent from where they lie. At most
 * RELAY_CLIENT_WINDOW commands are in flight; further objects wait in the queue. No I/O happens
 * here.
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

enum relay_form {
    RELAY_FORM_BYTES,  /* wrap the data as a pickled bytes object */
    RELAY_FORM_STR,    /* wrap them as a pickled str (valid UTF-8) */
    RELAY_FORM_PICKLE, /* they are a pickle already */
    RELAY_FORMS
};

struct relay_client_item {
    struct relay_client_item *next;
    const struct relay_wire_dest *dest; /* borrowed until it was sent */
    size_t ndest;
    enum relay_form form;
    uint8_t *data; /* owned */
    size_t len;
};

struct relay_client_out {
    struct nk_buf head;               /* goes out first */
    struct relay_client_item *active; /* then this one's data from `sent` on */
    size_t sent;
    struct nk_buf tail; /* then this */
    struct relay_client_item *first, **last;
    size_t queued;              /* bytes of objects that are not sent completely */
    uint64_t objects;           /* objects accepted by relay_client_out_push so far */
    int64_t base, next;         /* stamps: the oldest outstanding one, the next to be used */
    uint64_t objects_in_flight; /* of the outstanding commands, how many may be objects */
    uint64_t acked[RELAY_CLIENT_WINDOW / 64];
};

/* relay_client_out_init - empty; stamps begin at 1. */
void relay_client_out_init(struct relay_client_out *o);

/* relay_client_out_clear - free everything, wiping frames (they hold the password). */
void relay_client_out_clear(struct relay_client_out *o);

/* relay_client_out_restart - a new connection: forget half-sent frames and outstanding stamps.
 * Queued objects of which nothing was sent stay. */
void relay_client_out_restart(struct relay_client_out *o);

/* relay_client_out_push - queue an object; data (malloc, len bytes) belongs to o from then on, also
 * on failure. 0 or -ENOMEM. */
int relay_client_out_push(struct relay_client_out *o, const struct relay_wire_dest *dest,
                          size_t ndest, enum relay_form form, uint8_t *take_data, size_t len);

/* relay_client_out_stamp - the stamp for a command that is put into relay_client_out_frames() next;
 * counts it as outstanding. 0 when the window is full. */
int64_t relay_client_out_stamp(struct relay_client_out *o);

/* relay_client_out_frames - where whole small frames are to be appended. */
struct nk_buf *relay_client_out_frames(struct relay_client_out *o);

/* relay_client_out_iov - what to write now: fills iov and returns how many. When `objects` is true,
 * queued objects are moved into frames first. Negative: NK_ETOOBIG (an object does not fit into the
 * header_size digits) or -ENOMEM. */
int relay_client_out_iov(struct relay_client_out *o, const struct relay_wire_format *f,
                         bool objects, struct iovec iov[RELAY_CLIENT_IOV]);

/* relay_client_out_sent - n bytes of the last relay_client_out_iov() were written. */
void relay_client_out_sent(struct relay_client_out *o, size_t n);

/* relay_client_out_ack - the relay acknowledged stamp. False when no such stamp is outstanding. */
bool relay_client_out_ack(struct relay_client_out *o, int64_t stamp);

/* relay_client_out_waiting - commands in flight; relay_client_out_empty - nothing to write. */
uint64_t relay_client_out_waiting(const struct relay_client_out *o);
bool relay_client_out_empty(const struct relay_client_out *o);

#endif
