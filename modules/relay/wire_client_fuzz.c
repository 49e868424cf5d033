/* SPDX-License-Identifier: MIT */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "relay/wire_client.h"

#define PAYLOAD_MAX 4096

/* A stream of frames as a relay might send them. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct relay_value_doc doc = {0};
    size_t off = 0, total;
    while (relay_wire_frame_length(data + off, size - off, RELAY_WIRE_HEADER_SIZE_DEFAULT,
                                   PAYLOAD_MAX, &total) == 0 &&
           total > 0 && total <= size - off) {
        struct relay_wire_message m = {0};
        const uint8_t *payload = data + off + RELAY_WIRE_HEADER_SIZE_DEFAULT;
        size_t n = total - RELAY_WIRE_HEADER_SIZE_DEFAULT;
        if (relay_wire_parse(&doc, payload, n, &m) < 0) {
            break;
        }
        if (m.cmd == RELAY_WIRE_OBJ && (m.obj < payload || m.obj_len > n)) {
            abort();
        }
        off += total;
    }
    relay_value_doc_clear(&doc);
    return 0;
}
