/* SPDX-License-Identifier: MIT */
/* Text decoders: what decodes encodes to the same text again; nothing else reads or writes past
 * ends. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/buf.h"
#include "base/codec.h"
#include "base/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MAX_INPUT 512

static void require(int what)
{
    if (!what)
        abort();
}

static void decoders(const char *s, size_t n)
{
    uint8_t raw[MAX_INPUT];
    char text[NK_HEX_SIZE(MAX_INPUT)];
    ssize_t len = nk_hex_decode(raw, sizeof raw, s, n, false);
    if (len >= 0) {
        nk_hex_encode(text, raw, (size_t)len);
        require(strlen(text) == n && strncasecmp(text, s, n) == 0);
    }
    nk_hex_decode(raw, sizeof raw, s, n, true);
    len = nk_base64_decode(raw, sizeof raw, s, n);
    if (len >= 0) {
        nk_base64_encode(text, raw, (size_t)len, n > 0 && s[n - 1] == '=');
        require(strlen(text) == n && memcmp(text, s, n) == 0);
    }
    len = nk_base32_decode(raw, sizeof raw, s, n);
    if (len >= 0) {
        nk_base32_encode(text, raw, (size_t)len);
        require(strlen(text) == n && strncasecmp(text, s, n) == 0);
    }
}

static void escapers(const char *s, size_t n)
{
    char text[4 * MAX_INPUT + 1];
    for (size_t max = 1; max <= sizeof text; max = max * 3 + 1) {
        nk_escape(text, max, s, n);
        require(strlen(text) < max && nk_utf8_valid(text, strlen(text)));
        for (const char *p = text; *p; p++)
            require((unsigned char)*p >= 0x20 && *p != 0x7f);
    }
    ssize_t len = nk_percent_decode(text, sizeof text, s, n);
    require(len < 0 || ((size_t)len <= n && strlen(text) == (size_t)len));
    struct nk_buf out;
    struct nk_json j;
    nk_buf_init(&out, 8 * MAX_INPUT);
    nk_json_init(&j, &out, false);
    nk_json_strn(&j, s, n);
    require(nk_json_end(&j) == 0 && nk_utf8_valid(nk_buf_ptr(&out), nk_buf_len(&out)));
    nk_buf_clear(&out);
}

static void numbers(const char *s)
{
    static const char *const names[] = {"listen", "connect", "password_file"};
    uint64_t u;
    int64_t i;
    nk_parse_u64(s, &u);
    nk_parse_i64(s, &i);
    nk_parse_size(s, &u);
    nk_parse_duration(s, &u);
    nk_suggest(s, names, 3);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char text[MAX_INPUT + 1];
    if (size > MAX_INPUT)
        return 0;
    if (size > 0)
        memcpy(text, data, size);
    text[size] = '\0';
    decoders(text, size);
    escapers(text, size);
    numbers(text);
    return 0;
}
