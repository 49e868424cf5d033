/* SPDX-License-Identifier: MIT */
/* Endpoint strings with all layers, parameters and checks of their drivers, in both roles. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/registry.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct nk_diag diag = {0};
    char *text = malloc(size + 1);
    if (!text) {
        return 0;
    }
    if (size > 0) {
        memcpy(text, data, size);
    }
    text[size] = '\0';
    for (int listen = 0; listen < 2; listen++) {
        int rc = nk_endpoint_check(text, listen != 0, &diag);
        if (rc > 0 || (rc < 0 && (diag.code != rc || diag.text[0] == '\0'))) {
            abort(); /* a refusal says which and why */
        }
    }
    free(text);
    return 0;
}
