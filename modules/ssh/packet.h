/* SPDX-License-Identifier: MIT */
/*
 * packet - the binary packet protocol (RFC 4253 6) of one direction: payloads in packets, in place.
 *
 *     u32 length | u8 padding length | payload | padding | tag
 *
 * A sequence number counts the packets of each direction from 0 on, over all keys (6.4), unless
 * strict key exchange sets it back with each new key (OpenSSH's PROTOCOL 1.10).
 */
#ifndef SSH_PACKET_H
#define SSH_PACKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "ssh/protect.h"

#define SSH_PACKET_MAX ((size_t)256 * 1024) /* length field; OpenSSH's limit */
#define SSH_PAYLOAD_MAX (SSH_PACKET_MAX - 1 - 255)

enum {
    SSH_PACKET_HEAD = 5, /* length and padding length */
    SSH_PADDING_MIN = 4,
    SSH_LOGIN_UNIT = 240, /* packets of the login are multiples of this: of every block size, and no
                             more than the padding can fill */
    SSH_PADDING_POOL = 256 /* random bytes that are fetched at once */
};

/* What went through since the last new key. */
struct ssh_traffic {
    uint64_t packets, bytes;
};

struct ssh_sealer {
    struct ssh_protect *protect; /* NULL: in clear, before the first NEWKEYS */
    uint32_t seq;                /* of the next packet */
    bool wrapped;                /* seq has passed its end */
    struct ssh_traffic since;
    uint8_t pool[SSH_PADDING_POOL];
    size_t pool_left;
};

struct ssh_opener {
    struct ssh_protect *protect;
    uint32_t seq;
    bool wrapped;
    struct ssh_traffic since;
    size_t length; /* of the packet whose beginning is there; 0 = not known yet */
    size_t need;   /* bytes from its beginning until there is anything to do */
};

/* A packet that came; in the caller's bytes. */
struct ssh_packet {
    uint8_t *payload; /* payload[0] is the message number */
    size_t n;         /* 1..SSH_PAYLOAD_MAX */
    size_t used;      /* bytes of the whole packet */
    uint32_t seq;
};

/* ssh_sealer_init, ssh_opener_init - no protection, number 0. The clear functions wipe. */
void ssh_sealer_init(struct ssh_sealer *s);
void ssh_sealer_clear(struct ssh_sealer *s);
void ssh_opener_init(struct ssh_opener *o);
void ssh_opener_clear(struct ssh_opener *o);

/* ssh_sealer_key, ssh_opener_key - NEWKEYS was sent, or came: what follows is protected by take_p.
 * restart: strict key exchange, the next packet has number 0. */
void ssh_sealer_key(struct ssh_sealer *s, struct ssh_protect *take_p, bool restart);
void ssh_opener_key(struct ssh_opener *o, struct ssh_protect *take_p, bool restart);

/*
 * ssh_seal_begin - room at the end of out for a packet with at most max (1..SSH_PAYLOAD_MAX) bytes
 * of payload, which is to be written to *payload. Nothing else may be done with out until
 * ssh_seal_end, which is not owed. 0, NK_ETOOBIG, -ENOMEM.
 */
int ssh_seal_begin(const struct ssh_sealer *s, struct nk_buf *out, size_t max, uint8_t **payload);

/* ssh_seal_end - the payload has n (1..max) bytes: out has the packet then. Requests and answers of
 * the login are padded to SSH_LOGIN_UNIT. */
void ssh_seal_end(struct ssh_sealer *s, struct nk_buf *out, uint8_t *payload, size_t n);

/* ssh_seal - both, for a payload that exists elsewhere. */
int ssh_seal(struct ssh_sealer *s, struct nk_buf *out, const void *payload, size_t n);

/*
 * ssh_open - the packet that begins at p, of which n bytes are there; they are changed in place,
 * and the same packet must be at p (also moved) in the next call when there was not enough of it. 1
 * and *out; 0: o->need bytes are needed first; NK_EPROTO: a length that is not allowed, known
 * before anything is allocated for it; NK_EAUTH: the tag is wrong. After an error the connection is
 * to be ended.
 */
int ssh_open(struct ssh_opener *o, uint8_t *p, size_t n, struct ssh_packet *out,
             struct nk_diag *diag);

#endif
