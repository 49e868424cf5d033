/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <stdio.h>
#include <string.h>

#include "onion/ports.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Whatever a port is parsed from, what comes out is parsed to the same again. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char text[4096], again[ONION_TARGET_MAX + 8];
    struct onion_port p, q;
    struct nk_diag diag;
    if (size >= sizeof(text)) {
        return 0;
    }
    memcpy(text, data, size);
    text[size] = '\0';
    if (onion_port_parse(&p, text, &diag) < 0) {
        return 0;
    }
    (void)snprintf(again, sizeof(again), "%u,%s", p.port, p.target);
    if (onion_port_parse(&q, again, &diag) < 0 || p.port != q.port ||
        strcmp(p.target, q.target) != 0) {
        abort();
    }
    return 0;
}
