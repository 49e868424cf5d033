/* SPDX-License-Identifier: MIT */
#include <stdlib.h>

#include "relay/wire_pickle.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct relay_pickle *k = relay_pickle_new();
    if (!k) {
        return 0;
    }
    struct relay_envelope e;
    const char *why = NULL;
    if (relay_envelope_parse(k, data, size, &e, &why) == 0) {
        if (e.cmd == RELAY_CMD_OBJ && (e.obj_off > size || e.obj_len > size - e.obj_off)) {
            abort();
        }
        for (size_t i = 0; i < e.ndest; i++) {
            if (e.dest[i].name < data || e.dest[i].name + e.dest[i].len > data + size) {
                abort();
            }
        }
    } else if (!why) {
        abort();
    }
    relay_pickle_free(k);
    return 0;
}
