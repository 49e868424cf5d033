/* SPDX-License-Identifier: MIT */
/*
 * wire_client - tlspyo's wire as an endpoint sees it: frames and envelopes, pure.
 *
 *     endpoint -> relay:  HEADER[header_size] PASSWORD PAYLOAD    PAYLOAD = (stamp, cmd, dest, obj)
 *     relay -> endpoint:  HEADER[header_size] PAYLOAD             PAYLOAD = (stamp, cmd, obj)
 *
 * HEADER is the payload's length in ASCII digits, padded right with blanks; PAYLOAD is one pickle
 * (README.md of this module).
 */
#ifndef NK_RELAY_WIRE_CLIENT_H
#define NK_RELAY_WIRE_CLIENT_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/secret.h"
#include "relay/pickle_value.h"

#define RELAY_WIRE_HEADER_SIZE_DEFAULT 10
#define RELAY_WIRE_HEADER_SIZE_MIN 1
#define RELAY_WIRE_HEADER_SIZE_MAX 20 /* digits of the largest 64-bit number */

/* One entry of a destination: n < 0 broadcasts (OBJ) or drains (NTF), n > 0 is a number of copies
 * (OBJ) or of objects wanted (NTF). */
struct relay_wire_dest {
    const char *group;
    int64_t n;
};

/* How frames towards the relay look; borrowed by every call below. */
struct relay_wire_format {
    unsigned header_size;
    const struct nk_secret *password; /* may be empty */
};

/*
 * The functions below append one whole frame to out (whose max bounds it; use a secret buffer, the
 * password is inside). Returns 0, NK_ETOOBIG (out is full, or the length does not fit into the
 * header) or -ENOMEM; on failure out is unchanged.
 */
int relay_wire_put_ack(struct nk_buf *out, const struct relay_wire_format *f, int64_t stamp);
int relay_wire_put_hello(struct nk_buf *out, const struct relay_wire_format *f, int64_t stamp,
                         const char *const *groups, size_t n);
int relay_wire_put_notify(struct nk_buf *out, const struct relay_wire_format *f, int64_t stamp,
                          const struct relay_wire_dest *dest, size_t n);

/*
 * relay_wire_put_object - the part of an OBJ frame that stands before the object's bytes: append
 * it, then send the obj_len bytes of the pickled object and RELAY_WIRE_OBJECT_TAIL.
 */
#define RELAY_WIRE_OBJECT_TAIL "t."
int relay_wire_put_object(struct nk_buf *out, const struct relay_wire_format *f, int64_t stamp,
                          const struct relay_wire_dest *dest, size_t n, uint64_t obj_len);

enum relay_wire_command { RELAY_WIRE_HELLO, RELAY_WIRE_ACK, RELAY_WIRE_OBJ, RELAY_WIRE_OTHER };

/* One message of the relay. obj is a slice of the frame (OBJ only). */
struct relay_wire_message {
    enum relay_wire_command cmd;
    int64_t stamp;
    const uint8_t *obj;
    size_t obj_len;
};

/*
 * relay_wire_frame_length - how long the frame at the start of the n bytes at p is, header
 * included. Returns 0 with the length in *total (0: the header is not complete yet), NK_EPROTO for
 * a header that is not digits then blanks, or NK_ETOOBIG when the payload is longer than
 * max_payload.
 */
int relay_wire_frame_length(const void *p, size_t n, unsigned header_size, size_t max_payload,
                            size_t *total);

/*
 * relay_wire_parse - read the payload of one frame. doc is working memory. Returns 0, NK_EPROTO
 * (not such an envelope) or -ENOMEM.
 */
int relay_wire_parse(struct relay_value_doc *doc, const void *payload, size_t n,
                     struct relay_wire_message *out);

#endif
