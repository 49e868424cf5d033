/* SPDX-License-Identifier: MIT */
#include "ssh/sign.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "core/work.h"
#include "ssh/key_impl.h"

const struct ssh_sig_type *ssh_sig_choose(const struct ssh_key_type *type, bool cert,
                                          struct ssh_str offered)
{
    for (const struct ssh_sig_type *t = ssh_sig_types; t->name; t++) {
        const char *name = cert ? t->cert_name : t->name;
        struct ssh_str s = {(const uint8_t *)name, strlen(name)};
        if (strcmp(t->key, type->name) == 0 && (!offered.p || ssh_names_have(offered, s))) {
            return t;
        }
    }
    return NULL;
}

/* --- at once ---------------------------------------------------------------------------------- */

static int put_bytes(const struct ssh_private *k, const struct ssh_sig_type *alg, const void *data,
                     size_t n, struct nk_buf *bytes)
{
    struct ssh_str f[SSH_FIELDS] = {{0}};
    int rc = ssh_private_split(k->pub.type, k->secret.data, k->secret.len, f);
    if (rc < 0) {
        return NK_EINTERNAL; /* it was checked when the key was made */
    }
    if (k->pub.type->kind == SSH_KEY_ED25519) {
        uint8_t signature[crypto_sign_BYTES];
        crypto_sign_detached(signature, NULL, data, n, f[SSH_ED_SECRET].p);
        return nk_buf_put(bytes, signature, sizeof(signature));
    }
    uint8_t hash[SSH_HASH_MAX];
    ssh_hash(alg->hash, data, n, hash);
    return ssh_pk_sign(k->pub.type, f, alg->hash, hash, bytes);
}

static int put_signature(const struct ssh_private *k, const struct ssh_sig_type *alg,
                         const void *data, size_t n, struct nk_buf *out)
{
    struct nk_buf bytes, blob;
    nk_buf_init(&bytes, SSH_SIGNATURE_MAX);
    nk_buf_init(&blob, SSH_SIGNATURE_MAX);
    int rc = put_bytes(k, alg, data, n, &bytes);
    rc = rc < 0 ? rc : ssh_put_text(&blob, alg->name);
    rc = rc < 0 ? rc : ssh_put_string(&blob, nk_buf_ptr(&bytes), nk_buf_len(&bytes));
    rc = rc < 0 ? rc : nk_buf_put(out, nk_buf_ptr(&blob), nk_buf_len(&blob));
    nk_buf_clear(&bytes);
    nk_buf_clear(&blob);
    return rc;
}

int ssh_private_sign(const struct ssh_private *k, const struct ssh_sig_type *alg, const void *data,
                     size_t n, struct nk_buf *out, struct nk_diag *diag)
{
    if (strcmp(alg->key, k->pub.type->name) != 0) {
        return nk_fail(diag, NK_EINTERNAL, "a key of type %s cannot sign with %s",
                       k->pub.type->name, alg->name);
    }
    int rc = put_signature(k, alg, data, n, out);
    return rc < 0 ? nk_fail_sys(diag, rc, "a signature with %s", alg->name) : 0;
}

/* --- in the work pool ------------------------------------------------------------------------- */

struct ssh_sign {
    struct nk_work *work;
    struct ssh_private *key;
    const struct ssh_sig_type *alg;
    ssh_sign_fn *fn;
    void *owner;
    int rc;
    struct nk_diag diag;
    struct nk_buf data, signature;
};

static void run(void *job)
{
    struct ssh_sign *op = job;
    op->rc = ssh_private_sign(op->key, op->alg, nk_buf_ptr(&op->data), nk_buf_len(&op->data),
                              &op->signature, &op->diag);
}

static void done(void *job)
{
    struct ssh_sign *op = job;
    struct ssh_str signature = {nk_buf_ptr(&op->signature), nk_buf_len(&op->signature)};
    op->fn(op->owner, op->rc, signature, op->rc < 0 ? &op->diag : NULL);
}

static void drop(void *job)
{
    struct ssh_sign *op = job;
    ssh_private_unref(op->key);
    nk_buf_clear(&op->data);
    nk_buf_clear(&op->signature);
    free(op);
}

static const struct nk_work_ops ops = {.run = run, .done = done, .drop = drop};

int ssh_sign_start(struct nk_app *app, struct ssh_private *k, const struct ssh_sig_type *alg,
                   const void *data, size_t n, ssh_sign_fn *fn, void *owner, struct ssh_sign **out)
{
    struct ssh_sign *op = calloc(1, sizeof(*op));
    if (!op) {
        return -ENOMEM;
    }
    op->key = ssh_private_ref(k);
    op->alg = alg;
    op->fn = fn;
    op->owner = owner;
    nk_buf_init(&op->data, n ? n : 1);
    nk_buf_init(&op->signature, SSH_SIGNATURE_MAX);
    int rc = nk_buf_put(&op->data, data, n);
    rc = rc < 0 ? rc : nk_work_submit(app, NK_LANE_CRYPTO, &ops, op, &op->work);
    if (rc < 0) {
        drop(op);
        return rc;
    }
    *out = op;
    return 0;
}

void ssh_sign_cancel(struct ssh_sign *op)
{
    if (op) {
        nk_work_cancel(op->work);
    }
}
