/* SPDX-License-Identifier: MIT */
/* Any bytes as a record; what is read must be written again as the same bytes. */
#include <stdlib.h>
#include <string.h>

#include "relay/log_record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Also with the checksum put right, or hardly an input would get behind it. */
static void one(const uint8_t *data, size_t size)
{
    struct relay_log_record r;
    size_t used;
    if (relay_log_record_read(data, size, &r, &used) < 0) {
        return;
    }
    uint8_t *again = malloc(used);
    if (!again) {
        return;
    }
    relay_log_record_write(again, &r);
    if (used > size || memcmp(again, data, used) != 0) {
        abort();
    }
    free(again);
    struct relay_log_object o;
    if (relay_log_object_read(&r, &o) == 0 && o.bytes && o.bytes + o.len != data + used) {
        abort();
    }
    struct nk_cur c;
    const uint8_t *tag;
    struct relay_log_range range;
    if (relay_log_check(&r) == 0 && r.type >= RELAY_LOG_ACK && r.type <= RELAY_LOG_DROP &&
        relay_log_ranges(&r, &c, &tag) == 0) {
        while (relay_log_range_next(&r, &c, &range)) {
            if (range.count == 0) {
                abort();
            }
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    one(data, size);
    if (size >= RELAY_LOG_HEAD) {
        uint8_t *fixed = malloc(size);
        if (!fixed) {
            return 0;
        }
        memcpy(fixed, data, size);
        struct relay_log_record r = {.type = data[8],
                                     .flags = data[9],
                                     .group = relay_log_get32(data + 12),
                                     .seq = relay_log_get64(data + 16),
                                     .body = data + RELAY_LOG_HEAD,
                                     .len = size - RELAY_LOG_HEAD};
        relay_log_record_write(fixed, &r);
        one(fixed, size);
        free(fixed);
    }
    return 0;
}
