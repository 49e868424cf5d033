/* SPDX-License-Identifier: MIT */
/* unlock - open a private key that has a passphrase, in the work pool: it is slow by design, and so
 * is the check of a large RSA key that follows. */
#ifndef SSH_UNLOCK_H
#define SSH_UNLOCK_H

#include "ssh/key.h"

struct nk_app;
struct ssh_unlock;

/* k: the key, the callee's from then on; or rc < 0 with the reason (NK_EAUTH: wrong passphrase). */
typedef void ssh_unlock_fn(void *owner, int rc, struct ssh_private *take_k,
                           const struct nk_diag *diag);

/*
 * ssh_unlock_start - sealed is shared, the passphrase copied; fn is called once on the loop, not
 * from inside, unless ssh_unlock_cancel came first (NULL is fine). The operation is gone when fn is
 * called. 0, -ENOMEM, -EAGAIN.
 */
int ssh_unlock_start(struct nk_app *app, struct ssh_sealed *sealed,
                     const struct nk_secret *passphrase, unsigned min_rsa, ssh_unlock_fn *fn,
                     void *owner, struct ssh_unlock **out);
void ssh_unlock_cancel(struct ssh_unlock *op);

#endif
