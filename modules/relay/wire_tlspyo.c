/* SPDX-License-Identifier: MIT */
#include "relay/wire_tlspyo.h"

#include <stdbool.h>
#include <string.h>

enum { TEN = 10 };

uint64_t relay_frames_limit(unsigned header_size)
{
    uint64_t v = 1;
    for (unsigned i = 0; i < header_size; i++) {
        if (v > UINT64_MAX / TEN) {
            return UINT64_MAX;
        }
        v *= TEN;
    }
    return v - 1;
}

/* Digits, then blanks; at least one digit. *value saturates. Looks at n <= header_size bytes. */
static bool read_header(const uint8_t *p, size_t n, uint64_t *value)
{
    uint64_t v = 0;
    size_t i = 0;
    for (; i < n && p[i] >= '0' && p[i] <= '9'; i++) {
        unsigned digit = (unsigned)(p[i] - '0');
        v = v > (UINT64_MAX - digit) / TEN ? UINT64_MAX : v * TEN + digit;
    }
    if (i == 0 && n) {
        return false;
    }
    for (; i < n; i++) {
        if (p[i] != ' ') {
            return false;
        }
    }
    *value = v;
    return true;
}

int relay_frame_head(const struct relay_frames *f, const void *p, size_t n, uint64_t *payload)
{
    size_t have = n < f->header_size ? n : f->header_size;
    uint64_t len = 0;
    *payload = 0;
    if (!read_header(p, have, &len)) {
        return NK_EPROTO;
    }
    if (len > f->max_payload) { /* more digits cannot make it smaller */
        *payload = have == f->header_size ? len : 0;
        return NK_ETOOBIG;
    }
    size_t head = f->header_size + (f->password ? f->password->len : 0);
    if (n < head) {
        return 0;
    }
    if (f->password &&
        !nk_secret_eq(f->password, (const uint8_t *)p + f->header_size, f->password->len)) {
        return NK_EAUTH;
    }
    *payload = len;
    return (int)head;
}

void relay_frame_header(uint8_t *out, unsigned header_size, uint64_t n)
{
    uint8_t digits[RELAY_HEADER_MAX];
    unsigned count = 0;
    do {
        digits[count++] = (uint8_t)('0' + n % TEN);
        n /= TEN;
    } while (n && count < header_size);
    for (unsigned i = 0; i < header_size; i++) {
        out[i] = i < count ? digits[count - 1 - i] : ' ';
    }
}

const char *relay_frame_foreign(const void *p, size_t n)
{
    static const struct {
        char start[8];
        uint8_t len;
        const char *name;
    } known[] = {{"\x16\x03", 2, "TLS"}, {"GET ", 4, "HTTP"},    {"POST ", 5, "HTTP"},
                 {"HEAD ", 5, "HTTP"},   {"OPTIONS", 7, "HTTP"}, {"SSH-", 4, "SSH"}};
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        size_t len = known[i].len;
        if (n >= len && memcmp(p, known[i].start, len) == 0) {
            return known[i].name;
        }
    }
    return NULL;
}
