/* SPDX-License-Identifier: MIT */
/* Whatever a control port says about bootstrapping: texts end within their arrays, are printable,
 * and a percentage is one. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "tor/bootstrap.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_text(const char *text, size_t max)
{
    size_t n = strnlen(text, max);
    if (n == max) {
        abort();
    }
    for (size_t i = 0; i < n; i++) {
        if ((unsigned char)text[i] < ' ') {
            abort();
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tor_bootstrap b;
    memset(&b, 0x55, sizeof(b));
    if (tor_bootstrap_parse(&b, (const char *)data, size) < 0) {
        return 0;
    }
    if (b.percent > TOR_BOOTSTRAP_DONE) {
        abort();
    }
    check_text(b.tag, sizeof(b.tag));
    check_text(b.summary, sizeof(b.summary));
    check_text(b.warning, sizeof(b.warning));
    check_text(b.reason, sizeof(b.reason));
    check_text(b.host, sizeof(b.host));
    return 0;
}
