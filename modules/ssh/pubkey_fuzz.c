/* SPDX-License-Identifier: MIT */
/* A public key or certificate, and a signature, both from whoever is on the other side. */
#include <stdlib.h>

#include "ssh/pubkey.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct nk_diag diag = {0};
    struct ssh_public k;
    struct nk_cur c;
    nk_cur_init(&c, data, size);
    struct ssh_str blob = ssh_cur_string(&c), signature = ssh_cur_string(&c), name;
    if (c.failed || ssh_public_parse(blob, 0, &k, &diag) < 0) {
        return 0;
    }
    for (const struct ssh_sig_type *t = ssh_sig_types; t->name; t++) {
        if (ssh_public_verify(&k, t, signature, data, size, &diag) == 0) {
            abort(); /* it cannot sign what holds the signature itself */
        }
    }
    struct ssh_str rest = k.cert.principals;
    while (k.is_cert && ssh_cert_principal(&rest, &name)) {
    }
    (void)ssh_cert_check(&k, SSH_CERT_HOST, 1, NULL, 0, &diag);
    return 0;
}
