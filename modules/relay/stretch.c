/* SPDX-License-Identifier: MIT */
#include "relay/stretch.h"

#include <sodium.h>

#include "base/secret.h"

enum { KIB = 1024 };

int relay_stretch(const struct relay_stretch_params *params, const void *password, size_t n,
                  uint8_t *out)
{
    uint8_t prs[RELAY_LOGIN_PRS];
    if (!relay_login_params_ok(params)) {
        return NK_EPROTO;
    }
    int rc = crypto_pwhash(prs, sizeof(prs), password, n, params->salt, params->passes,
                           (size_t)params->mem_kib * KIB, crypto_pwhash_ALG_ARGON2ID13);
    for (size_t i = 0; rc == 0 && i < sizeof(prs); i++) {
        out[i] = prs[i];
    }
    nk_wipe(prs, sizeof(prs));
    return rc == 0 ? 0 : -ENOMEM;
}
