/* SPDX-License-Identifier: MIT */
#include <mbedtls/sha512.h>
#include <sodium.h>

#include "ssh/kex.h"

size_t ssh_hash_size(enum ssh_hash h)
{
    static const size_t size[] = {[SSH_SHA256] = 32, [SSH_SHA384] = 48, [SSH_SHA512] = 64};
    return size[h];
}

void ssh_hash(enum ssh_hash h, const void *p, size_t n, uint8_t out[SSH_HASH_MAX])
{
    switch (h) {
    case SSH_SHA256:
        crypto_hash_sha256(out, p, n);
        break;
    case SSH_SHA384:
        (void)mbedtls_sha512(p, n, out, 1); /* fails for arguments that are not possible only */
        break;
    case SSH_SHA512:
        crypto_hash_sha512(out, p, n);
        break;
    }
}
