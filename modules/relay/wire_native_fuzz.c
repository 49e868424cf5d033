/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#include "relay/wire_meta.h"
#include "relay/wire_native.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void need(bool ok)
{
    if (!ok) {
        abort();
    }
}

static void payload(const struct relay_native_head *h, const uint8_t *p)
{
    union {
        struct relay_native_hello hello;
        struct relay_native_challenge challenge;
        struct relay_native_welcome welcome;
        struct relay_native_open open;
        struct relay_native_opened opened;
        struct relay_native_ranges ranges;
        struct relay_meta meta;
    } v;
    uint8_t out[RELAY_NATIVE_HEAD + RELAY_NATIVE_GUEST * 2];
    switch (h->type) {
    case RELAY_N_HELLO:
        if (relay_native_get_hello(p, h->len, &v.hello) == 0) { /* and back, byte by byte */
            need(relay_native_put_hello(out, &v.hello) == RELAY_NATIVE_HEAD + h->len);
            need(memcmp(out + RELAY_NATIVE_HEAD, p, h->len) == 0);
        }
        break;
    case RELAY_N_CHALLENGE:
        if (relay_native_get_challenge(h, p, &v.challenge) == 0) {
            need(relay_native_put_challenge(out, &v.challenge) == RELAY_NATIVE_HEAD + h->len);
            need(memcmp(out + RELAY_NATIVE_HEAD, p, h->len) == 0);
        }
        break;
    case RELAY_N_WELCOME:
        if (relay_native_get_welcome(p, h->len, &v.welcome) == 0) {
            need(relay_native_put_welcome(out, &v.welcome) == RELAY_NATIVE_HEAD + h->len);
            need(memcmp(out + RELAY_NATIVE_HEAD, p, h->len) == 0);
        }
        break;
    case RELAY_N_OPEN:
        if (relay_native_get_open(h, p, &v.open) == 0) {
            need(relay_native_put_open(out, &v.open) == RELAY_NATIVE_HEAD + h->len);
            need(memcmp(out + RELAY_NATIVE_HEAD, p, h->len) == 0);
        }
        break;
    case RELAY_N_OPENED:
        if (relay_native_get_opened(h, p, &v.opened) == 0) {
            need(relay_native_put_opened(out, &v.opened) == RELAY_NATIVE_HEAD + h->len);
            need(memcmp(out + RELAY_NATIVE_HEAD, p, h->len) == 0);
        }
        break;
    case RELAY_N_ACK:
    case RELAY_N_NACK:
    case RELAY_N_EXTEND:
        if (relay_native_get_ranges(h, p, &v.ranges) == 0) {
            need(relay_native_range(&v.ranges, v.ranges.n - 1).first != 0);
        }
        break;
    case RELAY_N_RECEIPT:
        if (relay_native_get_receipt(h, p) > 0) {
            need(relay_native_failure(p, 0).seq <= h->seq);
        }
        break;
    case RELAY_N_BROADCAST:
    case RELAY_N_ITEM:
        if (relay_meta_get(p, h->len, &v.meta) == 0) {
            need(v.meta.len <= h->len);
            for (unsigned i = 0; i < v.meta.headers; i++) {
                need(relay_meta_header(p, i).p != NULL);
            }
        }
        break;
    default:
        break;
    }
}

/* The first byte picks the side; the rest is a stream of frames. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    enum relay_native_from from = data[0] & 1 ? RELAY_FROM_RELAY : RELAY_FROM_CLIENT;
    const uint8_t *p = data + 1;
    size_t left = size - 1, len;
    uint64_t last;
    uint32_t frames = relay_run_scan(p, left, RELAY_NATIVE_FRAGMENT, &len, &last);
    if (frames) {
        uint8_t *run = malloc(len);
        if (run) {
            memcpy(run, p, len);
            need(relay_run_stamp(run, len, 1) < len);
            free(run);
        }
    }
    for (;;) {
        struct relay_native_head h;
        if (relay_native_head(p, left, from, RELAY_NATIVE_FRAGMENT, &h, NULL) != 1 ||
            h.len > left - RELAY_NATIVE_HEAD) {
            return 0;
        }
        payload(&h, p + RELAY_NATIVE_HEAD);
        p += RELAY_NATIVE_HEAD + h.len;
        left -= RELAY_NATIVE_HEAD + h.len;
    }
}
