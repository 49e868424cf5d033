/* SPDX-License-Identifier: MIT */
/*
 * backup - services' identities and their clients' public keys in one encrypted file.
 *
 *     "netkit-hs-backup" | u8 version 1 | u8 1 (Argon2id, RFC 9106 version 1.3) | be32 passes |
 *     be64 memory in bytes | salt[16] | nonce[24] | secretbox (XSalsa20-Poly1305) of the contents
 *
 *     contents: be32 services, each: be16 length and name | scalar and prefix [64] |
 *               be32 clients, each: be16 length and name | public key [32] | u8 1 enabled, 0 not
 *
 * The key of the box is BLAKE2b over the header before it, keyed with what Argon2id makes of the
 * password: a header that was changed opens nothing. What is read is checked against the limits
 * below before anything is spent on it.
 */
#ifndef NK_HS_BACKUP_H
#define NK_HS_BACKUP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/secret.h"
#include "hs/key.h"

#define HS_BACKUP_VERSION 1
#define HS_BACKUP_MAX ((size_t)16 << 20) /* bytes of a file */
#define HS_BACKUP_SERVICES 4096u
#define HS_BACKUP_CLIENTS 1024u /* of one service; a descriptor has room for about 165 */
#define HS_BACKUP_NAME 200u     /* bytes of a name: it becomes part of a file's */
#define HS_BACKUP_PASSES 3u     /* RFC 9106 §4, second choice; with more memory than it has */
#define HS_BACKUP_PASSES_MAX 20u
#define HS_BACKUP_MEMORY ((uint64_t)256 << 20)
#define HS_BACKUP_MEMORY_MIN ((uint64_t)8 << 10)
#define HS_BACKUP_MEMORY_MAX ((uint64_t)1 << 30)

struct hs_backup_client {
    char *name;
    uint8_t pub[HS_PUBLIC_KEY];
    bool enabled;
};

struct hs_backup_service {
    char *name; /* of its directory */
    struct hs_identity identity;
    struct hs_backup_client *clients;
    size_t nclients;
};

struct hs_backup {
    struct hs_backup_service *services;
    size_t n;
};

/* What the password costs. */
struct hs_backup_cost {
    uint32_t passes;
    uint64_t memory;
};

/* hs_backup_name_ok - may it be a name here: 1..HS_BACKUP_NAME bytes of UTF-8 without '/' and
 * control characters, and without '.' at the beginning? */
bool hs_backup_name_ok(const char *name, size_t len);

/* hs_backup_add_service - append one without clients; the name must be new. The identity has its
 * secret half. 0, -EEXIST, NK_EFORMAT for the name, NK_ELIMIT, -ENOMEM. */
int hs_backup_add_service(struct hs_backup *b, const char *name, size_t len,
                          const struct hs_identity *k);

/* hs_backup_add_client - append a client to the last service; errors as above. */
int hs_backup_add_client(struct hs_backup *b, const char *name, size_t len,
                         const uint8_t pub[HS_PUBLIC_KEY], bool enabled);

/* hs_backup_clear - wipe and free; safe twice. */
void hs_backup_clear(struct hs_backup *b);

/* hs_backup_encode - append the contents, in clear, to out, a secret buffer. 0, NK_ETOOBIG,
 * -ENOMEM. */
int hs_backup_encode(const struct hs_backup *b, struct nk_buf *out);

/* hs_backup_decode - from n bytes; NK_EFORMAT with the reason, NK_ELIMIT, -ENOMEM. *out is set on
 * success only; every key in it has been checked. */
int hs_backup_decode(const void *p, size_t n, struct hs_backup *out, struct nk_diag *diag);

/* hs_backup_seal - append the encrypted file to out. Takes the time and memory of `cost`, which is
 * within the limits. 0, NK_ETOOBIG, -ENOMEM. */
int hs_backup_seal(const struct hs_backup *b, const struct nk_secret *password,
                   const struct hs_backup_cost *cost, struct nk_buf *out, struct nk_diag *diag);

/* hs_backup_cost_read - what opening the n bytes at p would cost; checks everything that can be
 * checked without the password. NK_EFORMAT, NK_EVERSION, NK_ELIMIT. */
int hs_backup_cost_read(const void *p, size_t n, struct hs_backup_cost *out, struct nk_diag *diag);

/* hs_backup_open - decrypt n bytes. Errors of both above; NK_EAUTH: a wrong password or a damaged
 * file. *out is set on success only. */
int hs_backup_open(const void *p, size_t n, const struct nk_secret *password, struct hs_backup *out,
                   struct nk_diag *diag);

#endif
