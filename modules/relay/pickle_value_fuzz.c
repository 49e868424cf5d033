/* SPDX-License-Identifier: MIT */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "relay/pickle_value.h"

#define OUT_MAX (1 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct relay_value_doc doc = {0};
    struct nk_buf out;
    struct nk_json j;
    nk_buf_init(&out, OUT_MAX);
    nk_json_init(&j, &out, false);
    if (relay_value_decode(&doc, data, size) == 0) {
        int status = relay_value_to_json(&doc, relay_value_root(&doc), &j);
        /* whatever decodes can be written, except what is longer than the buffer */
        if (status < 0 && nk_buf_len(&out) < OUT_MAX / 8) {
            abort();
        }
    }
    nk_buf_clear(&out);
    relay_value_doc_clear(&doc);
    return 0;
}
