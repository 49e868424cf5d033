/* SPDX-License-Identifier: MIT */
/* Any bytes as a segment or an index: what scans without complaint has an index that scans, too. */
#include <stdlib.h>

#include "relay/log_index.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t scan_all(const uint8_t *p, size_t n, int *rc)
{
    struct relay_log_scan s;
    struct relay_log_record r;
    size_t count = 0;
    relay_log_scan_init(&s, p, n);
    while ((*rc = relay_log_scan_next(&s, &r, NULL)) == 1) {
        count++;
    }
    if (*rc < 0) {
        (void)relay_log_torn(&s);
    }
    return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct relay_log_segment_head h;
    struct nk_buf idx;
    unsigned version;
    int scanned, rc;
    (void)scan_all(data, size, &scanned);
    if (relay_log_segment_head_read(data, size, &h, &version) < 0) {
        return 0;
    }
    (void)relay_log_index_check(data, size, &h, h.covers);
    nk_buf_init(&idx, 4 * size + 4096);
    rc = relay_log_index_build(data, size, &idx);
    if (rc == 0) {
        if (scanned != 0 ||
            relay_log_index_check(nk_buf_ptr(&idx), nk_buf_len(&idx), &h, size) < 0) {
            abort();
        }
        (void)scan_all(nk_buf_ptr(&idx), nk_buf_len(&idx), &rc);
        if (rc != 0) {
            abort();
        }
    }
    nk_buf_clear(&idx);
    return 0;
}
