/* SPDX-License-Identifier: MIT */
#include "ssh/kex.h"

#include <stdlib.h>
#include <string.h>

#include "base/secret.h"

const struct ssh_kex_type ssh_kex_types[] = {
    {"mlkem768x25519-sha256", ssh_kex_make_25519, SSH_SHA256, 256, false, true},
    {"curve25519-sha256", ssh_kex_make_25519, SSH_SHA256, 256, false, false},
    {"curve25519-sha256@libssh.org", ssh_kex_make_25519, SSH_SHA256, 256, false, false},
    {"ecdh-sha2-nistp256", ssh_kex_make_nist, SSH_SHA256, 256, false, false},
    {"ecdh-sha2-nistp384", ssh_kex_make_nist, SSH_SHA384, 384, false, false},
    {"ecdh-sha2-nistp521", ssh_kex_make_nist, SSH_SHA512, 521, false, false},
    {"diffie-hellman-group-exchange-sha256", ssh_kex_make_dh, SSH_SHA256, 0, true, false},
    {"diffie-hellman-group16-sha512", ssh_kex_make_dh, SSH_SHA512, 4096, true, false},
    {"diffie-hellman-group18-sha512", ssh_kex_make_dh, SSH_SHA512, 8192, true, false},
    {"diffie-hellman-group14-sha256", ssh_kex_make_dh, SSH_SHA256, 2048, true, false},
    {0}};

const struct ssh_kex_type *ssh_kex_find(const void *name, size_t n)
{
    for (const struct ssh_kex_type *t = ssh_kex_types; t->name; t++) {
        if (strlen(t->name) == n && memcmp(t->name, name, n) == 0) {
            return t;
        }
    }
    return NULL;
}

int ssh_kex_new(const struct ssh_kex_type *t, struct ssh_kex **out)
{
    int rc = t->make(t, out);
    if (rc == 0) {
        (*out)->type = t;
    }
    return rc;
}

int ssh_kex_group(struct ssh_kex *k, struct ssh_str p, struct ssh_str g, struct nk_diag *diag)
{
    return ssh_kex_dh_group(k, p, g, diag);
}

int ssh_kex_start(struct ssh_kex *k, struct nk_buf *pub, struct nk_diag *diag)
{
    return k->ops->start(k, pub, diag);
}

int ssh_kex_finish(struct ssh_kex *k, struct ssh_str peer, struct nk_buf *secret,
                   struct nk_diag *diag)
{
    return k->ops->finish(k, peer, secret, diag);
}

void ssh_kex_free(struct ssh_kex *k)
{
    if (k) {
        k->ops->release(k);
    }
}

bool ssh_kex_is_slow(const struct ssh_kex_type *t)
{
    return t->numbers && t->bits != SSH_GROUP_MIN;
}

void ssh_kex_task_run(struct ssh_kex_task *task)
{
    const struct ssh_str peer = {nk_buf_ptr(&task->in), nk_buf_len(&task->in)};
    task->rc = task->finish ? ssh_kex_finish(task->kex, peer, &task->out, &task->diag)
                            : ssh_kex_start(task->kex, &task->out, &task->diag);
}

void ssh_kex_task_free(struct ssh_kex_task *task)
{
    if (task) {
        ssh_kex_free(task->kex);
        nk_buf_clear(&task->in);
        nk_buf_clear(&task->out);
        free(task);
    }
}

/* The next piece of a key: the hash of the secret, the exchange hash and what else there is. */
static int piece(enum ssh_hash h, const struct nk_buf *secret, const uint8_t *exchange_hash,
                 const void *rest, size_t n, uint8_t out[SSH_HASH_MAX])
{
    struct nk_buf b;
    nk_buf_init_secret(&b, nk_buf_len(secret) + SSH_HASH_MAX + n);
    int rc = nk_buf_put(&b, nk_buf_ptr(secret), nk_buf_len(secret));
    rc = rc < 0 ? rc : nk_buf_put(&b, exchange_hash, ssh_hash_size(h));
    rc = rc < 0 ? rc : nk_buf_put(&b, rest, n);
    if (rc == 0) {
        ssh_hash(h, nk_buf_ptr(&b), nk_buf_len(&b), out);
    }
    nk_buf_clear(&b);
    return rc;
}

int ssh_kex_derive(enum ssh_hash h, const struct nk_buf *secret, const uint8_t *exchange_hash,
                   const uint8_t *session_id, size_t session_id_n, char letter, uint8_t *out,
                   size_t n)
{
    uint8_t first[1 + SSH_HASH_MAX], k[SSH_HASH_MAX];
    first[0] = (uint8_t)letter;
    memcpy(first + 1, session_id, session_id_n);
    size_t size = ssh_hash_size(h), have = 0;
    int rc = piece(h, secret, exchange_hash, first, 1 + session_id_n, k);
    while (rc == 0 && have < n) {
        size_t part = n - have < size ? n - have : size;
        memcpy(out + have, k, part);
        have += part;
        if (have < n) { /* K2 = HASH(K || H || K1), K3 = HASH(K || H || K1 || K2) ... */
            rc = piece(h, secret, exchange_hash, out, have, k);
        }
    }
    nk_wipe(k, sizeof(k));
    return rc;
}
