/* SPDX-License-Identifier: MIT */
#include <stdlib.h>

#include "relay/wire_tlspyo.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The first byte picks the header's size; the rest is a stream of frames, cut at every place. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    struct nk_secret pw = {.data = (uint8_t *)(uintptr_t) "pw", .len = 2};
    struct relay_frames f = {
        .header_size = RELAY_HEADER_MIN + data[0] % (RELAY_HEADER_MAX - RELAY_HEADER_MIN + 1),
        .password = &pw,
        .max_payload = 1000,
    };
    const uint8_t *p = data + 1;
    size_t left = size - 1;
    for (;;) {
        uint64_t n;
        int rc = relay_frame_head(&f, p, left, &n);
        if (rc > 0 && ((size_t)rc > left || n > f.max_payload)) {
            abort();
        }
        if (rc <= 0 || n > left - (size_t)rc) {
            return 0;
        }
        p += (size_t)rc + n;
        left -= (size_t)rc + n;
    }
}
