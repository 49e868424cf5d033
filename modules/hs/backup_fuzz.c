/* SPDX-License-Identifier: MIT */
/* Backups: the header of a file, and contents as they are after decryption; what can be read writes
 * the same bytes again. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "hs/backup.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hs_backup_cost cost = {0};
    struct hs_backup b = {0};
    struct nk_diag diag = {0};
    if (hs_backup_cost_read(data, size, &cost, NULL) == 0 &&
        (cost.passes > HS_BACKUP_PASSES_MAX || cost.memory > HS_BACKUP_MEMORY_MAX)) {
        abort();
    }
    int rc = hs_backup_decode(data, size, &b, &diag);
    if (rc == 0) {
        struct nk_buf again;
        nk_buf_init_secret(&again, HS_BACKUP_MAX);
        if (hs_backup_encode(&b, &again) < 0 || nk_buf_len(&again) != size ||
            memcmp(nk_buf_ptr(&again), data, size) != 0) {
            abort();
        }
        nk_buf_clear(&again);
    } else if (diag.text[0] == 0 || b.services) {
        abort();
    }
    hs_backup_clear(&b);
    return 0;
}
