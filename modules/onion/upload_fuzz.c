/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#include "onion/upload.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Lines of events: the counts stay consistent whatever comes in whatever order. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char address[] = "ctfcrj45uouc2im5roycufckebqviw7j363w5ch3veje5jmalk3bfzad";
    const char *text = (const char *)data;
    struct onion_upload u;
    onion_upload_init(&u);
    for (size_t at = 0; at < size;) {
        const char *end = memchr(text + at, '\n', size - at);
        size_t n = end ? (size_t)(end - text) - at : size - at;
        unsigned done, total;
        (void)onion_upload_event(&u, address, text + at, n);
        onion_upload_progress(&u, &done, &total);
        if (done > total || total > ONION_UPLOAD_DESCRIPTORS * ONION_UPLOAD_DIRS ||
            u.failed > u.started ||
            (onion_upload_reached(&u, ONION_WAIT_ALL) && (done != total || !u.uploaded))) {
            abort();
        }
        at += n + 1;
    }
    return 0;
}
