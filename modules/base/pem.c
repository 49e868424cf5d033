/* SPDX-License-Identifier: MIT */
#include "base/pem.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/codec.h"
#include "base/err.h"
#include "base/secret.h"

static const char DASHES[] = "-----";

/* DER's lengths: from LONG on, what follows is the number of their bytes. */
enum { LONG = 0x80, LONG_MAX_BYTES = 2, BYTE = 0x100 };

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* Where prefix stands in the text, and the label behind it up to the dashes; NULL when it does not.
 */
static const char *find_line(const char *s, size_t n, const char *prefix, const char **label,
                             size_t *label_n)
{
    const char *at = memmem(s, n, prefix, strlen(prefix));
    if (!at) {
        return NULL;
    }
    *label = at + strlen(prefix);
    const char *end = memmem(*label, n - (size_t)(*label - s), DASHES, sizeof(DASHES) - 1);
    *label_n = end ? (size_t)(end - *label) : 0;
    return end && !memchr(*label, '\n', *label_n) ? at : NULL;
}

/* RFC 1421's headers, if the first line is one: up to the empty line. */
static void split_headers(struct nk_pem *v)
{
    while (v->body_n && is_space(*v->body)) {
        v->body++;
        v->body_n--;
    }
    const char *line_end = memchr(v->body, '\n', v->body_n);
    if (!line_end || !memchr(v->body, ':', (size_t)(line_end - v->body))) {
        return;
    }
    v->headers = v->body;
    while (line_end) {
        const char *next = line_end + 1;
        size_t left = v->body_n - (size_t)(next - v->body);
        size_t blank = left && *next == '\r' ? 1 : 0;
        if (left > blank && next[blank] == '\n') {
            v->headers_n = (size_t)(next - v->headers);
            v->body = next;
            v->body_n = left;
            return;
        }
        line_end = memchr(next, '\n', left);
    }
    v->headers_n = v->body_n; /* no empty line: nothing follows */
    v->body += v->body_n;
    v->body_n = 0;
}

static bool ends_with(const char *s, size_t n, const char *suffix)
{
    size_t len = strlen(suffix);
    return n >= len && memcmp(s + n - len, suffix, len) == 0;
}

bool nk_pem_find(const void *text, size_t n, const char *suffix, struct nk_pem *out)
{
    const char *s = text, *end = s + n, *stop_label;
    struct nk_pem v = {0};
    size_t stop_n;
    for (;;) {
        if (!find_line(s, (size_t)(end - s), "-----BEGIN ", &v.label, &v.label_n)) {
            return false;
        }
        v.body = v.label + v.label_n + sizeof(DASHES) - 1;
        const char *stop =
            find_line(v.body, (size_t)(end - v.body), "-----END ", &stop_label, &stop_n);
        if (!stop || stop_n != v.label_n || memcmp(stop_label, v.label, stop_n) != 0) {
            return false;
        }
        if (ends_with(v.label, v.label_n, suffix)) {
            v.body_n = (size_t)(stop - v.body);
            split_headers(&v);
            *out = v;
            return true;
        }
        s = stop_label;
    }
}

bool nk_pem_label(const struct nk_pem *pem, const char *label)
{
    return pem->label_n == strlen(label) && memcmp(pem->label, label, pem->label_n) == 0;
}

const char *nk_pem_header(const struct nk_pem *pem, const char *name, size_t *n)
{
    const char *s = pem->headers, *end = s ? s + pem->headers_n : NULL;
    size_t name_n = strlen(name);
    while (s && s < end) {
        const char *line_end = memchr(s, '\n', (size_t)(end - s));
        size_t len = line_end ? (size_t)(line_end - s) : (size_t)(end - s);
        if (len > name_n && s[name_n] == ':' && strncasecmp(s, name, name_n) == 0) {
            s += name_n + 1;
            len -= name_n + 1;
            while (len && is_space(*s)) {
                s++;
                len--;
            }
            while (len && is_space(s[len - 1])) {
                len--;
            }
            *n = len;
            return s;
        }
        s = line_end ? line_end + 1 : NULL;
    }
    return NULL;
}

int nk_pem_decode(const char *text, size_t n, struct nk_buf *out)
{
    uint8_t *to;
    size_t used = 0;
    int rc = nk_buf_reserve(out, n / 4 * 3 + 3, &to);
    char *plain = rc == 0 ? malloc(n + 1) : NULL;
    if (!plain) {
        return rc < 0 ? rc : -ENOMEM;
    }
    for (size_t i = 0; i < n; i++) {
        if (!is_space(text[i])) {
            plain[used++] = text[i];
        }
    }
    ssize_t got = nk_base64_decode(to, n / 4 * 3 + 3, plain, used);
    nk_free_wiped(plain, n + 1);
    if (got < 0) {
        return NK_EFORMAT;
    }
    nk_buf_commit(out, (size_t)got);
    return 0;
}

struct nk_cur nk_der(struct nk_cur *c, uint8_t tag)
{
    if (nk_cur_u8(c) != tag) {
        nk_cur_fail(c);
    }
    size_t n = nk_cur_u8(c);
    if (n >= LONG) {
        size_t bytes = n - LONG, least = LONG;
        if (bytes == 0 || bytes > LONG_MAX_BYTES) {
            nk_cur_fail(c);
        }
        n = bytes == LONG_MAX_BYTES ? nk_cur_be16(c) : nk_cur_u8(c);
        least = bytes == LONG_MAX_BYTES ? BYTE : least;
        if (n < least) {
            nk_cur_fail(c);
        }
    }
    return nk_cur_sub(c, n);
}
