/* SPDX-License-Identifier: MIT */
/*
 * Hex, base64 and base32. Keys pass through here, so no table is indexed by and no branch taken on
 * a digit's value: membership of a range is computed with masks. What may be seen from outside is
 * the length and whether the whole input was well-formed.
 */
#include "base/codec.h"

#include <string.h>

#include "base/err.h"

/* All ones when lo <= c <= hi, else 0. All values are below 2^30, so bit 31 is the sign of each
 * difference. */
static uint32_t in_range(uint32_t c, uint32_t lo, uint32_t hi)
{
    uint32_t below = (c - lo) >> 31;
    uint32_t above = (hi - c) >> 31;
    return (below | above) - 1;
}

static char hex_digit(uint32_t v)
{
    return (char)((in_range(v, 0, 9) & ('0' + v)) | (in_range(v, 10, 15) & ('a' + v - 10)));
}

/* Value of a digit; *bad collects a non-zero bit when c is none. */
static uint32_t hex_value(unsigned char c, uint32_t *bad)
{
    uint32_t digit = in_range(c, '0', '9');
    uint32_t upper = in_range(c, 'A', 'F');
    uint32_t lower = in_range(c, 'a', 'f');
    *bad |= ~(digit | upper | lower);
    uint32_t u = c;
    return (digit & (u - '0')) | (upper & (u - 'A' + 10)) | (lower & (u - 'a' + 10));
}

static char base64_digit(uint32_t v)
{
    return (char)((in_range(v, 0, 25) & ('A' + v)) | (in_range(v, 26, 51) & ('a' + v - 26)) |
                  (in_range(v, 52, 61) & ('0' + v - 52)) | (in_range(v, 62, 62) & '+') |
                  (in_range(v, 63, 63) & '/'));
}

static uint32_t base64_value(unsigned char c, uint32_t *bad)
{
    uint32_t upper = in_range(c, 'A', 'Z');
    uint32_t lower = in_range(c, 'a', 'z');
    uint32_t digit = in_range(c, '0', '9');
    uint32_t plus = in_range(c, '+', '+');
    uint32_t slash = in_range(c, '/', '/');
    *bad |= ~(upper | lower | digit | plus | slash);
    uint32_t u = c;
    return (upper & (u - 'A')) | (lower & (u - 'a' + 26)) | (digit & (u - '0' + 52)) | (plus & 62) |
           (slash & 63);
}

static char base32_digit(uint32_t v)
{
    return (char)((in_range(v, 0, 25) & ('a' + v)) | (in_range(v, 26, 31) & ('2' + v - 26)));
}

static uint32_t base32_value(unsigned char c, uint32_t *bad)
{
    uint32_t upper = in_range(c, 'A', 'Z');
    uint32_t lower = in_range(c, 'a', 'z');
    uint32_t digit = in_range(c, '2', '7');
    *bad |= ~(upper | lower | digit);
    uint32_t u = c;
    return (upper & (u - 'A')) | (lower & (u - 'a')) | (digit & (u - '2' + 26));
}

/* Write n bytes as digits of `width` bits, most significant first, a last partial digit filled with
 * zero bits (RFC 4648 section 3). Returns the end. */
static char *encode_digits(char *out, const uint8_t *p, size_t n, unsigned width,
                           char (*digit)(uint32_t))
{
    uint32_t acc = 0;
    unsigned bits = 0;
    uint32_t mask = (1u << width) - 1;
    for (size_t i = 0; i < n; i++) {
        acc = (acc << 8 | p[i]) & 0xffff; /* at most 7 left-over bits plus 8 new ones */
        bits += 8;
        while (bits >= width) {
            bits -= width;
            *out++ = digit(acc >> bits & mask);
        }
    }
    if (bits > 0)
        *out++ = digit(acc << (width - bits) & mask);
    return out;
}

/* The reverse, for len digits without padding. With out NULL only checks. Returns 0 or NK_EFORMAT.
 */
static int decode_digits(uint8_t *out, const char *s, size_t len, unsigned width,
                         uint32_t (*value)(unsigned char, uint32_t *))
{
    uint32_t acc = 0, bad = 0;
    unsigned bits = 0;
    for (size_t i = 0; i < len; i++) {
        acc = (acc << width | value((unsigned char)s[i], &bad)) & 0xffff;
        bits += width;
        if (bits >= 8) {
            bits -= 8;
            if (out)
                *out++ = (uint8_t)(acc >> bits);
        }
    }
    /* Left over: fewer bits than one digit has, and all of them zero (canonical form). */
    bad |= acc & ((1u << bits) - 1);
    return bits >= width || bad != 0 ? NK_EFORMAT : 0;
}

static ssize_t decode_checked(uint8_t *out, size_t max, const char *s, size_t len, unsigned width,
                              uint32_t (*value)(unsigned char, uint32_t *))
{
    if (len > SIZE_MAX / 8)
        return NK_ETOOBIG;
    int r = decode_digits(NULL, s, len, width, value);
    if (r < 0)
        return r;
    size_t n = len * width / 8;
    if (n > max)
        return NK_ETOOBIG;
    decode_digits(out, s, len, width, value);
    return (ssize_t)n;
}

void nk_hex_encode(char *out, const void *p, size_t n)
{
    *encode_digits(out, p, n, 4, hex_digit) = '\0';
}

/* Hex with a colon between each two bytes: "ab:cd:ef". */
static ssize_t hex_decode_colons(uint8_t *out, size_t max, const char *s, size_t len)
{
    if (len % 3 != 2)
        return NK_EFORMAT;
    size_t n = len / 3 + 1;
    uint32_t bad = 0;
    for (size_t i = 0; i < n; i++) {
        hex_value((unsigned char)s[3 * i], &bad);
        hex_value((unsigned char)s[3 * i + 1], &bad);
        if (i + 1 < n && s[3 * i + 2] != ':')
            return NK_EFORMAT;
    }
    if (bad != 0)
        return NK_EFORMAT;
    if (n > max)
        return NK_ETOOBIG;
    for (size_t i = 0; i < n; i++) {
        uint32_t high = hex_value((unsigned char)s[3 * i], &bad);
        out[i] = (uint8_t)(high << 4 | hex_value((unsigned char)s[3 * i + 1], &bad));
    }
    return (ssize_t)n;
}

ssize_t nk_hex_decode(uint8_t *out, size_t max, const char *s, size_t len, bool colons)
{
    if (colons && len > 2 && s[2] == ':')
        return hex_decode_colons(out, max, s, len);
    if (len % 2 != 0)
        return NK_EFORMAT;
    return decode_checked(out, max, s, len, 4, hex_value);
}

void nk_base64_encode(char *out, const void *p, size_t n, bool pad)
{
    char *end = encode_digits(out, p, n, 6, base64_digit);
    while (pad && (end - out) % 4 != 0)
        *end++ = '=';
    *end = '\0';
}

ssize_t nk_base64_decode(uint8_t *out, size_t max, const char *s, size_t len)
{
    size_t digits = len;
    while (digits > 0 && len - digits < 2 && s[digits - 1] == '=')
        digits--;
    if (digits < len && len % 4 != 0)
        return NK_EFORMAT; /* padding is all there or not there */
    return decode_checked(out, max, s, digits, 6, base64_value);
}

void nk_base32_encode(char *out, const void *p, size_t n)
{
    *encode_digits(out, p, n, 5, base32_digit) = '\0';
}

ssize_t nk_base32_decode(uint8_t *out, size_t max, const char *s, size_t len)
{
    return decode_checked(out, max, s, len, 5, base32_value);
}
