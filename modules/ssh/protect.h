/* SPDX-License-Identifier: MIT */
/*
 * protect - what keeps the packets of one direction secret and whole: a cipher with its MAC, keyed
 * (RFC 4253 6.3, 6.4). packet.h uses it; each implementation is a file crypto_*.c.
 *
 * A packet lies in memory as it travels: u32 length, then so many bytes, then the tag. Everything
 * is done in place. The length covers neither itself nor the tag.
 */
#ifndef SSH_PROTECT_H
#define SSH_PROTECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum { SSH_KEY_MAX = 64, SSH_IV_MAX = 16, SSH_TAG_MAX = 64 };

struct ssh_protect;

struct ssh_protect_ops {
    /* the length of the packet at p, of which the first peek bytes are there */
    uint32_t (*length)(struct ssh_protect *t, uint32_t seq, uint8_t *p);
    /* protect the packet at p, length field (clear) and tag included: len is its length field */
    void (*seal)(struct ssh_protect *t, uint32_t seq, uint8_t *p, size_t len);
    /* the reverse, after length() of the same packet. false: it was changed on the way; what is at
     * p then is of no use */
    bool (*open)(struct ssh_protect *t, uint32_t seq, uint8_t *p, size_t len);
    void (*release)(struct ssh_protect *t);
};

/* Embedded first in every implementation. */
struct ssh_protect {
    const struct ssh_protect_ops *ops;
    size_t block; /* what the length is a multiple of, at least 8 */
    size_t peek;  /* bytes that length() needs */
    size_t tag;   /* bytes behind the packet */
    bool apart;   /* the length field does not count for the multiple of block */
};

/* A cipher: what is negotiated, and what it needs of the key exchange. */
struct ssh_cipher_type {
    const char *name;
    uint8_t key, iv;      /* bytes */
    uint8_t block;        /* bytes; decides how much may be sent under one key (RFC 4344 3.2) */
    bool aead;            /* brings its MAC along: whatever MAC was negotiated is not used */
    bool (*usable)(void); /* NULL: always */
};

/* A MAC. */
struct ssh_mac_type {
    const char *name;
    uint8_t key, tag; /* bytes */
    bool etm;         /* encrypt-then-MAC: over the encrypted packet, its length in clear */
};

/* Best first. NULL names end the tables. */
extern const struct ssh_cipher_type ssh_cipher_types[];
extern const struct ssh_mac_type ssh_mac_types[];

/* ssh_cipher_find, ssh_mac_find - by name of n bytes; NULL when there is none, or not here. */
const struct ssh_cipher_type *ssh_cipher_find(const void *name, size_t n);
const struct ssh_mac_type *ssh_mac_find(const void *name, size_t n);

/*
 * ssh_protect_new - one direction's protection, from c->key bytes of key, c->iv of iv and, where
 * the cipher is no AEAD, m->key of mac_key (m may be NULL otherwise). 0 or -ENOMEM. Copies what it
 * needs; the caller wipes. ssh_protect_free - wipes and frees; NULL is fine.
 */
int ssh_protect_new(const struct ssh_cipher_type *c, const struct ssh_mac_type *m,
                    const uint8_t *key, const uint8_t *iv, const uint8_t *mac_key,
                    struct ssh_protect **out);
void ssh_protect_free(struct ssh_protect *t);

/* Of the implementations; as ssh_protect_new, which has checked everything. */
int ssh_protect_gcm(const struct ssh_cipher_type *c, const uint8_t *key, const uint8_t *iv,
                    struct ssh_protect **out);
int ssh_protect_chacha(const uint8_t *key, struct ssh_protect **out);
int ssh_protect_ctr(const struct ssh_cipher_type *c, const struct ssh_mac_type *m,
                    const uint8_t *key, const uint8_t *iv, const uint8_t *mac_key,
                    struct ssh_protect **out);

#endif
