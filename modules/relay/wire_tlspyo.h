/* SPDX-License-Identifier: MIT */
/*
 * wire_tlspyo - tlspyo's frames at the relay (README.md "tlspyo's wire"), pure.
 *
 *     endpoint -> relay:  HEADER[header_size] PASSWORD PAYLOAD
 *     relay -> endpoint:  HEADER[header_size] PAYLOAD
 *
 * HEADER is the payload's length in ASCII digits, padded right with blanks.
 */
#ifndef NK_RELAY_WIRE_TLSPYO_H
#define NK_RELAY_WIRE_TLSPYO_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/secret.h"

#define RELAY_HEADER_DEFAULT 10
#define RELAY_HEADER_MIN 2  /* a HELLO's length has two digits */
#define RELAY_HEADER_MAX 20 /* digits of the largest 64-bit number */

/* How frames look on one listener; everything is borrowed. */
struct relay_frames {
    unsigned header_size;             /* RELAY_HEADER_MIN..RELAY_HEADER_MAX */
    const struct nk_secret *password; /* an empty one matches nothing; NULL: not known yet */
    uint64_t max_payload;             /* longest payload accepted from an endpoint */
};

/* relay_frames_limit - the longest payload whose length fits a header of header_size digits. */
uint64_t relay_frames_limit(unsigned header_size);

/*
 * relay_frame_head - look at the n bytes at p, where a frame of an endpoint begins. As soon as a
 * byte is wrong the frame is refused, in this order: header, length, password; the password is only
 * looked at when it is there whole, and compared in constant time. Returns
 *   > 0  the bytes of header and password (of the header alone while that is not known); *payload
 * is how many bytes follow; 0    more bytes are needed; NK_EPROTO (not digits and blanks),
 * NK_ETOOBIG (*payload is what was announced, or 0), NK_EAUTH.
 */
int relay_frame_head(const struct relay_frames *f, const void *p, size_t n, uint64_t *payload);

/* relay_frame_header - write the header of a payload of n bytes (at most relay_frames_limit) to
 * out, header_size bytes. */
void relay_frame_header(uint8_t *out, unsigned header_size, uint64_t n);

/* relay_frame_foreign - what a peer whose first bytes are no frame probably speaks ("TLS", "HTTP",
 * "SSH"), or NULL. */
const char *relay_frame_foreign(const void *p, size_t n);

#endif
