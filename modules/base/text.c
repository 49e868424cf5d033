/* SPDX-License-Identifier: MIT */
/* The text half of codec.h: percent encoding, UTF-8 and escaping for logs and terminals. */
#include <string.h>

#include "base/codec.h"
#include "base/err.h"
#include "base/utf8.h"

/* The next character of a percent-encoded field, or NK_EFORMAT. *used counts the bytes read. */
static int percent_next(const char *s, size_t len, size_t *used)
{
    unsigned char c = (unsigned char)s[0];
    *used = 1;
    if (c == '%') {
        uint8_t byte;
        if (len < 3 || nk_hex_decode(&byte, 1, s + 1, 2, false) != 1)
            return NK_EFORMAT;
        c = byte;
        *used = 3;
    }
    return c < 0x20 || c == 0x7f ? NK_EFORMAT : c;
}

ssize_t nk_percent_decode(char *out, size_t max, const char *s, size_t len)
{
    size_t n = 0, used;
    for (size_t i = 0; i < len; i += used) {
        int c = percent_next(s + i, len - i, &used);
        if (c < 0)
            return c;
        n++;
    }
    if (n >= max)
        return NK_ETOOBIG;
    n = 0;
    for (size_t i = 0; i < len; i += used)
        out[n++] = (char)percent_next(s + i, len - i, &used);
    out[n] = '\0';
    return (ssize_t)n;
}

size_t nk_utf8_next(const uint8_t *p, size_t n, uint32_t *cp)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000}; /* RFC 3629 section 3 */
    if (n == 0)
        return 0;
    uint32_t c = p[0];
    size_t len = c < 0x80 ? 1 : c >> 5 == 6 ? 2 : c >> 4 == 14 ? 3 : c >> 3 == 30 ? 4 : 0;
    if (len == 0 || len > n)
        return 0;
    if (len > 1)
        c &= 0x7fu >> len;
    for (size_t i = 1; i < len; i++) {
        if ((p[i] & 0xc0) != 0x80)
            return 0;
        c = c << 6 | (p[i] & 0x3f);
    }
    if (c < least[len] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
        return 0;
    *cp = c;
    return len;
}

bool nk_utf8_valid(const void *p, size_t n)
{
    const uint8_t *s = p;
    uint32_t cp;
    while (n > 0) {
        size_t used = nk_utf8_next(s, n, &cp);
        if (used == 0)
            return false;
        s += used;
        n -= used;
    }
    return true;
}

bool nk_utf8_control(uint32_t cp)
{
    if (cp < 0x20 || (cp >= 0x7f && cp < 0xa0))
        return true; /* C0, DEL, C1 */
    /* Marks, embeddings, overrides and isolates of text direction, and the line and paragraph
     * separators: they let a name look like another or like a second line. */
    return cp == 0x200e || cp == 0x200f || (cp >= 0x2028 && cp <= 0x202e) ||
           (cp >= 0x2066 && cp <= 0x2069);
}

/* Printable form of what stands at p: writes to item (at most 16 bytes), returns its length. */
static size_t escape_item(char *item, const uint8_t *p, size_t n, size_t *used)
{
    uint32_t cp;
    size_t len = nk_utf8_next(p, n, &cp);
    if (len > 0 && !nk_utf8_control(cp) && cp != '\\') {
        memcpy(item, p, len);
        *used = len;
        return len;
    }
    *used = len > 0 ? len : 1;
    for (size_t i = 0; i < *used; i++) {
        char hex[NK_HEX_SIZE(1)];
        nk_hex_encode(hex, p + i, 1);
        item[4 * i] = '\\';
        item[4 * i + 1] = 'x';
        memcpy(item + 4 * i + 2, hex, 2);
    }
    return *used * 4;
}

char *nk_escape(char *out, size_t max, const void *p, size_t n)
{
    static const char dots[] = "...";
    const uint8_t *s = p;
    size_t len = 0;
    size_t cut = 0; /* last length at which the dots and the NUL still fit */
    if (max == 0)
        return out;
    while (n > 0) {
        char item[16];
        size_t used;
        size_t add = escape_item(item, s, n, &used);
        if (add > max - 1 - len) {
            size_t room = max - 1 - cut;
            size_t ndots = room < sizeof dots - 1 ? room : sizeof dots - 1;
            memcpy(out + cut, dots, ndots);
            len = cut + ndots;
            break;
        }
        memcpy(out + len, item, add);
        len += add;
        if (len + sizeof dots <= max)
            cut = len;
        s += used;
        n -= used;
    }
    out[len] = '\0';
    return out;
}
