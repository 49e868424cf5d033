/* SPDX-License-Identifier: MIT */
/* Any bytes as a revocation list, with a key and with a certificate to look for. */
#include <stdlib.h>
#include <string.h>

#include "ssh/krl.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t key[] = "key", authority[] = "authority", id[] = "id";
    const struct ssh_str list = {data, size}, plain = {key, 3};
    struct ssh_public k = {.blob = plain};
    struct nk_diag diag;
    int rc = ssh_krl_check(list, &diag);
    if ((rc == 0 && !ssh_krl_is(data, size)) || (rc != 0 && !diag.text[0])) {
        abort();
    }
    for (int i = 0; i < 2; i++) {
        int found = ssh_krl_revoked(list, &k, plain, &diag);
        if (rc < 0 ? found != rc : found != 0 && found != 1) {
            abort(); /* what is understood is understood for every key */
        }
        k.is_cert = true;
        k.cert = (struct ssh_cert){.id = {id, 2}, .ca = {authority, 9}, .serial = 5};
    }
    return 0;
}
