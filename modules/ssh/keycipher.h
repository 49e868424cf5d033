/* SPDX-License-Identifier: MIT */
/* keycipher - ciphers of files with private keys: OpenSSH's, and those of PEM and PKCS#8. */
#ifndef SSH_KEYCIPHER_H
#define SSH_KEYCIPHER_H

#include <stddef.h>
#include <stdint.h>

#include "ssh/wire.h"

enum ssh_keycipher_mode { SSH_MODE_CTR, SSH_MODE_CBC, SSH_MODE_GCM, SSH_MODE_CHACHA };

struct ssh_keycipher {
    const char *name, *pem; /* OpenSSH's name; PEM's, or NULL */
    uint8_t mode;           /* enum ssh_keycipher_mode */
    uint8_t key, iv, block; /* bytes */
    uint8_t tag;            /* bytes behind the text */
    uint8_t oid;            /* last arc of NIST's AES (2.16.840.1.101.3.4.1.N), or 0 */
};

/* ssh_keycipher_find - by OpenSSH's name, or by PEM's; NULL when there is none. ssh_keycipher_oid -
 * by the last arc. */
const struct ssh_keycipher *ssh_keycipher_find(struct ssh_str name);
const struct ssh_keycipher *ssh_keycipher_oid(uint8_t arc);

/* ssh_keycipher_open - decrypt n bytes at p, tag included, in place; iv has c->iv bytes. 0,
 * NK_EFORMAT (n is not possible), NK_EAUTH (the tag is wrong), -ENOMEM. On any thread. */
int ssh_keycipher_open(const struct ssh_keycipher *c, const uint8_t *key, const uint8_t *iv,
                       uint8_t *p, size_t n);

#endif
