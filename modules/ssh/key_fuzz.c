/* SPDX-License-Identifier: MIT */
/* A private key of any form: read, opened with a key of zeros in place of the passphrase's, and
 * what is accepted is the same after it was written and read again. */
#include <stdlib.h>

#include "ssh/kdf.h"
#include "ssh/key.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void again(const struct ssh_private *k)
{
    struct nk_diag diag;
    struct nk_buf out;
    struct ssh_sealed *sealed;
    struct ssh_private *back;
    nk_buf_init_secret(&out, 4 * SSH_KEY_FILE_MAX);
    if (ssh_private_write(k, NULL, 0, &out) == 0 && nk_buf_len(&out) <= SSH_KEY_FILE_MAX) {
        if (ssh_sealed_parse(nk_buf_ptr(&out), nk_buf_len(&out), &sealed, &diag) < 0 ||
            ssh_sealed_open(sealed, NULL, 0, &back, &diag) < 0 ||
            !nk_secret_eq(&back->secret, k->secret.data, k->secret.len)) {
            abort();
        }
        ssh_private_unref(back);
        ssh_sealed_unref(sealed);
    }
    nk_buf_clear(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct nk_diag diag;
    struct ssh_sealed *sealed;
    struct ssh_private *k;
    struct nk_secret key = {0};
    if (nk_crypto_init() < 0 || ssh_sealed_parse(data, size, &sealed, &diag) < 0) {
        return 0;
    }
    if (!ssh_sealed_is(data, size) || nk_secret_alloc(&key, SSH_KDF_KEY_MAX) < 0) {
        abort();
    }
    if (ssh_sealed_open(sealed, ssh_sealed_locked(sealed) ? &key : NULL, 0, &k, &diag) == 0) {
        again(k);
        ssh_private_unref(k);
    }
    nk_secret_clear(&key);
    ssh_sealed_unref(sealed);
    return 0;
}
