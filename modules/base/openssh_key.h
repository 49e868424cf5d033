/* SPDX-License-Identifier: MIT */
/*
 * openssh_key - OpenSSH's container of one private key (PROTOCOL.key) and its one-line public keys,
 * for every key type: SSH's own and those that arti keeps in the same container.
 *
 *     "-----BEGIN OPENSSH PRIVATE KEY-----" base64, 70 columns "-----END OPENSSH PRIVATE KEY-----"
 *     "openssh-key-v1\0" | string cipher | string kdf | string kdf options | u32 1
 *     | string public blob | string inner (encrypted with cipher)
 *     public blob = string type | public fields
 *     inner       = u32 check | u32 check | string type | private fields | string comment | 1 2 3
 * ..
 *
 * What the fields of a type are is the caller's knowledge; here they are strings. Reading borrows
 * from the caller's buffer, copies nothing, and wipes what it had to copy.
 */
#ifndef NK_BASE_OPENSSH_KEY_H
#define NK_BASE_OPENSSH_KEY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

#define NK_OPENSSH_FIELDS 6            /* most fields of a type: RSA's n, e, d, iqmp, p, q */
#define NK_OPENSSH_MAX ((size_t)65536) /* bytes of a key file */
#define NK_OPENSSH_BLOCK 8             /* padding unit of a key that is not encrypted */

/* Borrowed bytes. */
struct nk_openssh_str {
    const uint8_t *p;
    size_t n;
};

/* The number of fields after the type's name. */
struct nk_openssh_type {
    const char *name;
    unsigned public_fields, private_fields;
};

/* The container, before decryption. */
struct nk_openssh_file {
    struct nk_openssh_str cipher, kdf, kdf_options, public_blob, inner;
    bool encrypted; /* cipher is not "none" */
};

/* A private key. */
struct nk_openssh_key {
    const struct nk_openssh_type *type;
    struct nk_openssh_str public_field[NK_OPENSSH_FIELDS];
    struct nk_openssh_str private_field[NK_OPENSSH_FIELDS];
    struct nk_openssh_str comment;
    uint32_t check;
};

/* A public key. */
struct nk_openssh_public {
    const struct nk_openssh_type *type;
    struct nk_openssh_str field[NK_OPENSSH_FIELDS];
    struct nk_openssh_str comment; /* of the line; empty when there is none */
};

/* nk_openssh_is_private - does the text begin as an armoured private key (white space before it is
 * allowed)? */
bool nk_openssh_is_private(const void *text, size_t len);

/* nk_openssh_dearmor - append the binary form of an armoured key to out (a secret buffer). Lines of
 * any width and CR LF are accepted. NK_EFORMAT, NK_ETOOBIG, -ENOMEM. */
int nk_openssh_dearmor(const void *text, size_t len, struct nk_buf *out, struct nk_diag *diag);

/* nk_openssh_parse - the container of n bytes at p; f borrows from p. NK_EFORMAT: not this format,
 * more or fewer than one key, bytes left over. */
int nk_openssh_parse(const void *p, size_t n, struct nk_openssh_file *f, struct nk_diag *diag);

/*
 * nk_openssh_parse_key - the key in a container: inner (n bytes at p) is f->inner, or what it
 * decrypts to. types lists those the caller can use. Checks the two check words (NK_EAUTH when they
 * differ in an encrypted file: a wrong passphrase), the types in the blob and within, the padding,
 * and that nothing is left over. k borrows from p and f. NK_EUNSUPPORTED: a type that is not
 * listed; NK_EFORMAT.
 */
int nk_openssh_parse_key(const struct nk_openssh_file *f, const void *p, size_t n,
                         const struct nk_openssh_type *types, size_t ntypes,
                         struct nk_openssh_key *k, struct nk_diag *diag);

/* nk_openssh_write - append the armoured, unencrypted file of k to out (a secret buffer), lines of
 * 70 columns as OpenSSH and arti write them. NK_ETOOBIG, -ENOMEM; then out is as before. */
int nk_openssh_write(const struct nk_openssh_key *k, struct nk_buf *out);

/* nk_openssh_put_inner - append what stands in `inner`, not encrypted yet, padded to a multiple of
 * the cipher's block (8..255) from where it begins. nk_openssh_write_file - append the armoured
 * file of these parts. Both for writers that encrypt; errors as nk_openssh_write. */
int nk_openssh_put_inner(const struct nk_openssh_key *k, size_t block, struct nk_buf *out);
int nk_openssh_write_file(const struct nk_openssh_file *f, struct nk_buf *out);

/* nk_openssh_check_of - arti's deterministic check word: the exclusive or of the big-endian words
 * of n bytes (n a multiple of 4), so that the same key gives the same file. */
uint32_t nk_openssh_check_of(const void *p, size_t n);

/*
 * nk_openssh_parse_public - one line "TYPE BASE64 [COMMENT]", white space around it ignored. The
 * decoded blob is appended to blob, which k borrows from. NK_EUNSUPPORTED, NK_EFORMAT (the type in
 * front and within must agree), NK_ETOOBIG, -ENOMEM.
 */
int nk_openssh_parse_public(const char *line, size_t len, const struct nk_openssh_type *types,
                            size_t ntypes, struct nk_buf *blob, struct nk_openssh_public *k,
                            struct nk_diag *diag);

/* nk_openssh_write_public - append "TYPE BASE64 [COMMENT]" without newline. Errors as nk_buf_put.
 */
int nk_openssh_write_public(const struct nk_openssh_public *k, struct nk_buf *out);

#endif
