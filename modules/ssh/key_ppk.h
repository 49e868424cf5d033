/* SPDX-License-Identifier: MIT */
/*
 * key_ppk - private keys in PuTTY's form, versions 2 and 3 (its manual, appendix "PPK file
 * format"). For key_sealed.c.
 */
#ifndef SSH_KEY_PPK_H
#define SSH_KEY_PPK_H

#include "ssh/kdf.h"
#include "ssh/key.h"
#include "ssh/keycipher.h"

enum { SSH_PPK_MAC_MAX = 32 };

/* What a file says; texts are borrowed from it. */
struct ssh_ppk {
    int version; /* 2 or 3; 0: it is another form */
    struct ssh_str type, encryption, comment;
    struct nk_buf blob, private; /* public; private, perhaps encrypted */
    const struct ssh_keycipher *cipher;
    struct ssh_kdf kdf;
    size_t stretched; /* bytes: the cipher's key, its IV, the MAC's key */
    uint8_t mac[SSH_PPK_MAC_MAX];
};

/* ssh_ppk_is - does the text begin as PuTTY's do? */
bool ssh_ppk_is(const void *text, size_t n);

/* ssh_ppk_parse - NK_EFORMAT, NK_EUNSUPPORTED (version 1, a KDF, a type), -ENOMEM. In every case
 * end with ssh_ppk_clear. */
int ssh_ppk_parse(const void *text, size_t n, struct ssh_ppk *out, struct nk_diag *diag);

/* ssh_ppk_open - the key in what was decrypted (a whole number of blocks of n bytes); key: as it
 * was stretched, NULL when it is not encrypted. As ssh_sealed_open. */
int ssh_ppk_open(const struct ssh_ppk *p, const struct nk_secret *key, const uint8_t *text,
                 size_t n, unsigned min_rsa, struct ssh_private **out, struct nk_diag *diag);

/* ssh_ppk_clear - wipes and frees what parse gave. */
void ssh_ppk_clear(struct ssh_ppk *p);

#endif
