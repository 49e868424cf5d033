/* SPDX-License-Identifier: MIT */
/*
 * sign - signatures by private keys (RFC 4253 6.6, RFC 5656 3.1.2, RFC 8332 3, RFC 8709 6).
 */
#ifndef SSH_SIGN_H
#define SSH_SIGN_H

#include <stddef.h>

#include "base/buf.h"
#include "ssh/key.h"

struct nk_app;
struct ssh_sign;

/*
 * ssh_sig_choose - the algorithm for a key of this type: the best of the table that `offered` (a
 * name-list such as server-sig-algs, with names of certificates' algorithms, too) has, or of all
 * when offered.p is NULL (the server said nothing). cert: it is for the key's certificate. NULL:
 * there is none.
 */
const struct ssh_sig_type *ssh_sig_choose(const struct ssh_key_type *type, bool cert,
                                          struct ssh_str offered);

/*
 * ssh_private_sign - append the signature (string name, string bytes) over n bytes at data to out.
 * alg->key must be the key's type. On any thread, as long as the key stays; RSA takes 5 ms (3072
 * bits) to 100 ms: see ssh_sign_start. ECDSA's nonces are derived (RFC 6979), RSA is blinded, and
 * an RSA signature is verified before it is given away, so that a fault in between does not tell
 * the key. 0, NK_EINTERNAL (the check failed, or alg is for other keys), NK_ETOOBIG, -ENOMEM; then
 * out is as before.
 */
int ssh_private_sign(const struct ssh_private *k, const struct ssh_sig_type *alg, const void *data,
                     size_t n, struct nk_buf *out, struct nk_diag *diag);

/* The signature (borrowed until return), or rc < 0 with the reason. */
typedef void ssh_sign_fn(void *owner, int rc, struct ssh_str signature, const struct nk_diag *diag);

/*
 * ssh_sign_start - the same in the work pool: data is copied, the key is shared; fn is called once
 * on the loop, not from inside, unless ssh_sign_cancel came first. 0, -ENOMEM, -EAGAIN.
 * ssh_sign_cancel - fn is not called; NULL is fine. The operation is gone when fn is called.
 */
int ssh_sign_start(struct nk_app *app, struct ssh_private *k, const struct ssh_sig_type *alg,
                   const void *data, size_t n, ssh_sign_fn *fn, void *owner, struct ssh_sign **out);
void ssh_sign_cancel(struct ssh_sign *op);

#endif
