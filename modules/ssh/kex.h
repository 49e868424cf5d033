/* SPDX-License-Identifier: MIT */
/*
 * kex - methods of key exchange: the client's side of the arithmetic (RFC 4253 8, RFC 5656, RFC
 * 8731, RFC 4419, draft-ietf-sshm-mlkem-hybrid-kex), the hash that goes with each, and the keys
 * that follow from the shared secret (RFC 4253 7.2). Messages are not known here.
 */
#ifndef SSH_KEX_H
#define SSH_KEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "ssh/wire.h"

enum ssh_hash { SSH_SHA256, SSH_SHA384, SSH_SHA512 };

enum {
    SSH_HASH_MAX = 64,
    SSH_GROUP_MIN = 2048, /* bits of a group that the server may choose (RFC 8270: 2048) */
    SSH_GROUP_WANT = 3072,
    SSH_GROUP_MAX = 8192
};

struct ssh_kex;

struct ssh_kex_ops {
    int (*start)(struct ssh_kex *k, struct nk_buf *pub, struct nk_diag *diag);
    int (*finish)(struct ssh_kex *k, struct ssh_str peer, struct nk_buf *secret,
                  struct nk_diag *diag);
    void (*release)(struct ssh_kex *k);
};

/* A method as it is negotiated. */
struct ssh_kex_type {
    const char *name;
    int (*make)(const struct ssh_kex_type *t, struct ssh_kex **out);
    enum ssh_hash hash;
    uint16_t bits; /* of the curve or group; 0: the server chooses the group (RFC 4419) */
    bool numbers;  /* public values travel as mpint, else as string */
    bool hybrid;   /* safe against quantum computers */
};

/* Embedded first in every implementation. */
struct ssh_kex {
    const struct ssh_kex_ops *ops;
    const struct ssh_kex_type *type;
};

/* Best first; a NULL name ends the table. */
extern const struct ssh_kex_type ssh_kex_types[];

/* ssh_kex_find - by name of n bytes, or NULL. */
const struct ssh_kex_type *ssh_kex_find(const void *name, size_t n);

/* ssh_kex_new - an exchange by this method. 0 or -ENOMEM. */
int ssh_kex_new(const struct ssh_kex_type *t, struct ssh_kex **out);

/* ssh_kex_group - the group that the server has chosen, for a method without one: p and g as
 * big-endian bytes. NK_EPROTO when p has not SSH_GROUP_MIN..SSH_GROUP_MAX bits or is even, or g is
 * not within 2..p-2. Once, before ssh_kex_start. */
int ssh_kex_group(struct ssh_kex *k, struct ssh_str p, struct ssh_str g, struct nk_diag *diag);

/* ssh_kex_start - a new secret; append the public value to pub: what is within the string or mpint
 * that travels. 0, -ENOMEM, NK_ETOOBIG, NK_EINTERNAL. */
int ssh_kex_start(struct ssh_kex *k, struct nk_buf *pub, struct nk_diag *diag);

/*
 * ssh_kex_finish - the shared secret, from the peer's public value: appended to the secret buffer
 * in the form in which it enters hashes, an mpint, or a string for the hybrid methods. NK_EPROTO:
 * a value of the wrong length, not on the curve or in the group, or one that leads to a secret
 * anybody could know.
 */
int ssh_kex_finish(struct ssh_kex *k, struct ssh_str peer, struct nk_buf *secret,
                   struct nk_diag *diag);

/* ssh_kex_free - wipes and frees; NULL is fine. */
void ssh_kex_free(struct ssh_kex *k);

/* One step of an exchange, which may be done on any thread: it has all that it needs. */
struct ssh_kex_task {
    struct ssh_kex *kex;
    bool finish;       /* ssh_kex_finish, else ssh_kex_start */
    struct nk_buf in;  /* the peer's value, for finish */
    struct nk_buf out; /* the public value, or the secret */
    int rc;
    struct nk_diag diag;
};

/* ssh_kex_is_slow - may a step of this method take more than 10 ms? (4096 bits: 10 ms, 8192: 70.)
 */
bool ssh_kex_is_slow(const struct ssh_kex_type *t);

/* ssh_kex_task_run - do it: task->rc, with task->diag. ssh_kex_task_free - with everything in it;
 * NULL is fine. */
void ssh_kex_task_run(struct ssh_kex_task *task);
void ssh_kex_task_free(struct ssh_kex_task *task);

/* ssh_hash_size - bytes of its result. ssh_hash - of n bytes at p. */
size_t ssh_hash_size(enum ssh_hash h);
void ssh_hash(enum ssh_hash h, const void *p, size_t n, uint8_t out[SSH_HASH_MAX]);

/*
 * ssh_kex_derive - n bytes of the key with this letter ('A'..'F', RFC 4253 7.2), from the shared
 * secret as ssh_kex_finish gave it, the exchange hash and the session's identifier. 0 or -ENOMEM;
 * what is between is wiped.
 */
int ssh_kex_derive(enum ssh_hash h, const struct nk_buf *secret, const uint8_t *exchange_hash,
                   const uint8_t *session_id, size_t session_id_n, char letter, uint8_t *out,
                   size_t n);

/* Of the implementations. */
int ssh_kex_make_25519(const struct ssh_kex_type *t, struct ssh_kex **out);
int ssh_kex_make_nist(const struct ssh_kex_type *t, struct ssh_kex **out);
int ssh_kex_make_dh(const struct ssh_kex_type *t, struct ssh_kex **out);
int ssh_kex_dh_group(struct ssh_kex *k, struct ssh_str p, struct ssh_str g, struct nk_diag *diag);

#endif
