/* SPDX-License-Identifier: MIT */
#include "ssh/unlock.h"

#include <stdlib.h>

#include "core/work.h"

struct ssh_unlock {
    struct nk_work *work;
    struct ssh_sealed *sealed;
    struct nk_secret passphrase;
    unsigned min_rsa;
    ssh_unlock_fn *fn;
    void *owner;
    struct ssh_private *key; /* opened, for fn */
    int rc;
    struct nk_diag why;
};

/* On any thread: opening it includes the check of an RSA key, 10 ms and more for a large one. */
static void run(void *job)
{
    struct ssh_unlock *op = job;
    op->rc = ssh_sealed_unlock(op->sealed, &op->passphrase, op->min_rsa, &op->key, &op->why);
}

static void done(void *job)
{
    struct ssh_unlock *op = job;
    struct ssh_private *k = op->key;
    op->key = NULL;
    op->fn(op->owner, op->rc, k, op->rc < 0 ? &op->why : NULL);
}

static void drop(void *job)
{
    struct ssh_unlock *op = job;
    ssh_sealed_unref(op->sealed);
    nk_secret_clear(&op->passphrase);
    ssh_private_unref(op->key); /* nobody wanted it any more */
    free(op);
}

static const struct nk_work_ops ops = {.run = run, .done = done, .drop = drop};

int ssh_unlock_start(struct nk_app *app, struct ssh_sealed *sealed,
                     const struct nk_secret *passphrase, unsigned min_rsa, ssh_unlock_fn *fn,
                     void *owner, struct ssh_unlock **out)
{
    struct ssh_unlock *op = calloc(1, sizeof(*op));
    if (!op) {
        return -ENOMEM;
    }
    op->sealed = ssh_sealed_ref(sealed);
    op->min_rsa = min_rsa;
    op->fn = fn;
    op->owner = owner;
    int rc = nk_secret_set(&op->passphrase, passphrase->data, passphrase->len);
    rc = rc < 0 ? rc : nk_work_submit(app, NK_LANE_CRYPTO, &ops, op, &op->work);
    if (rc < 0) {
        drop(op);
        return rc;
    }
    *out = op;
    return 0;
}

void ssh_unlock_cancel(struct ssh_unlock *op)
{
    if (op) {
        nk_work_cancel(op->work);
    }
}
