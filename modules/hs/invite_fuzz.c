/* SPDX-License-Identifier: MIT */
/* Whatever is taken for an invitation is written and read again as the same one. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/secret.h"
#include "hs/invite.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hs_invite in, again;
    struct nk_diag diag;
    char line[HS_INVITE_MAX];
    char *text = nk_crypto_init() < 0 ? NULL : malloc(size + 1);
    if (!text) {
        return 0;
    }
    memcpy(text, data, size);
    text[size] = '\0';
    if (hs_invite_parse(&in, text, &diag) == 0) {
        hs_invite_format(line, &in);
        if (hs_invite_parse(&again, line, &diag) < 0 ||
            memcmp(in.address, again.address, sizeof(in.address)) != 0 ||
            strcmp(in.name, again.name) != 0) {
            abort();
        }
    }
    free(text);
    return 0;
}
