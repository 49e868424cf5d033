/* SPDX-License-Identifier: MIT */
/* Names in arti's keystore: what is understood is written back the same way. */
#include <stdlib.h>
#include <string.h>

#include "base/secret.h"
#include "hs/artipath.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const char *path, const struct hs_artipath *p)
{
    char again[NK_PATH_MAX];
    if (p->role == HS_ROLE_CLIENT && p->client[0] == '\0') {
        if (hs_artipath_client(again, sizeof(again), p->address) < 0 || strcmp(again, path) != 0) {
            abort();
        }
    }
    if (p->role == HS_ROLE_ID) {
        if (hs_artipath_identity(again, sizeof(again), p->service) < 0 ||
            strcmp(again, path) != 0) {
            abort();
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char path[NK_PATH_MAX];
    struct hs_artipath p;
    struct nk_diag diag;
    if (nk_crypto_init() < 0 || size >= sizeof(path) || memchr(data, 0, size)) {
        return 0;
    }
    if (size > 0) {
        memcpy(path, data, size);
    }
    path[size] = '\0';
    if (hs_artipath_parse(path, &p, &diag) == 0) {
        check(path, &p);
    }
    return 0;
}
