/* SPDX-License-Identifier: MIT */
/*
 * Either side of certshare against bytes of any kind, in pieces of any size. Nobody without the
 * password may get to the end: the input cannot know it.
 *
 * Input: u8 side (bit 0), then pieces: u8 length (times 8, 0: 1), bytes.
 */
#include <stdlib.h>
#include <string.h>

#include "base/secret.h"
#include "relay/certshare.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { PIECE = 8 };

static void need(bool ok)
{
    if (!ok) {
        abort();
    }
}

/* All of one piece; false when it is over. */
static bool feed(struct relay_certshare *s, const uint8_t *p, size_t n)
{
    const uint8_t prs[RELAY_LOGIN_PRS] = {9};
    while (n > 0) {
        size_t used = 0;
        int rc = relay_certshare_input(s, p, n, &used);
        need(used <= n && rc != RELAY_CERTSHARE_DONE);
        if (rc == RELAY_CERTSHARE_STRETCH) {
            rc = relay_certshare_client_stretched(s, prs);
            need(rc == RELAY_CERTSHARE_MORE);
        }
        need(nk_buf_len(&s->out) <= RELAY_CERTSHARE_MAX + 1024);
        nk_buf_consume(&s->out, nk_buf_len(&s->out));
        if (rc < 0) {
            need(s->state == RELAY_CERTSHARE_OVER_STATE);
            return false;
        }
        if (used == 0) { /* it needs more than this piece has */
            return true;
        }
        p += used;
        n -= used;
    }
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct relay_stretch_params params = {.mem_kib = RELAY_STRETCH_KIB_MIN, .passes = 1};
    const uint8_t prs[RELAY_LOGIN_PRS] = {1};
    struct relay_certshare s = {0};
    if (size == 0 || nk_crypto_init() < 0) {
        return 0;
    }
    if (data[0] & 1) {
        relay_certshare_server_init(&s, &params, prs, "certificate", 11);
    } else {
        need(relay_certshare_client_init(&s) == 0);
    }
    data++;
    size--;
    while (size > 1) {
        size_t n = data[0] ? (size_t)data[0] * PIECE : 1;
        n = n < size - 1 ? n : size - 1;
        if (!feed(&s, data + 1, n)) {
            break;
        }
        data += 1 + n;
        size -= 1 + n;
    }
    relay_certshare_clear(&s);
    return 0;
}
