/* SPDX-License-Identifier: MIT */
/*
 * sha1 - SHA-1 (RFC 3174) and HMAC over it (RFC 2104), for two things that were defined with it:
 * hashed names in known_hosts, and %C in ssh_config. mbedTLS is built without SHA-1, so that
 * nothing that is signed can depend on it.
 */
#ifndef SSH_SHA1_H
#define SSH_SHA1_H

#include <stddef.h>
#include <stdint.h>

enum { SSH_SHA1_SIZE = 20, SSH_SHA1_BLOCK = 64 };

struct ssh_sha1 {
    uint32_t h[5];
    uint64_t n; /* bytes so far */
    uint8_t block[SSH_SHA1_BLOCK];
};

/* ssh_sha1_init, ssh_sha1_put, ssh_sha1_end - the hash of all bytes that are put. */
void ssh_sha1_init(struct ssh_sha1 *s);
void ssh_sha1_put(struct ssh_sha1 *s, const void *p, size_t n);
void ssh_sha1_end(struct ssh_sha1 *s, uint8_t out[SSH_SHA1_SIZE]);

/* ssh_hmac_sha1 - of n bytes, with a key of at most SSH_SHA1_BLOCK bytes. */
void ssh_hmac_sha1(const uint8_t *key, size_t nkey, const void *p, size_t n,
                   uint8_t out[SSH_SHA1_SIZE]);

#endif
