/* SPDX-License-Identifier: MIT */
#include "base/buf.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/secret.h"

#define MIN_CAP 64 /* first allocation: most small messages fit without growing */

void nk_buf_init(struct nk_buf *b, size_t max)
{
    memset(b, 0, sizeof *b);
    b->max = max;
}

void nk_buf_init_secret(struct nk_buf *b, size_t max)
{
    nk_buf_init(b, max);
    b->secret = true;
}

static void free_data(struct nk_buf *b)
{
    if (b->secret)
        nk_free_wiped(b->data, b->cap);
    else
        free(b->data);
}

void nk_buf_clear(struct nk_buf *b)
{
    free_data(b);
    b->data = NULL;
    b->off = b->len = b->cap = 0;
}

void nk_buf_reset(struct nk_buf *b)
{
    if (b->secret && b->data)
        nk_wipe(b->data, b->cap);
    b->off = b->len = 0;
}

/* Move the contents to the start of the memory. */
static void compact(struct nk_buf *b)
{
    if (b->off == 0)
        return;
    memmove(b->data, b->data + b->off, b->len);
    if (b->secret)
        nk_wipe(b->data + b->len, b->off);
    b->off = 0;
}

static int grow(struct nk_buf *b, size_t need)
{
    size_t cap = b->cap < MIN_CAP ? MIN_CAP : b->cap * 2;
    if (cap > b->max + 1)
        cap = b->max + 1; /* one more than max: room for nk_buf_str's terminator */
    if (cap < need)
        cap = need;
    uint8_t *data;
    if (b->secret || b->off > 0) {
        data = malloc(cap);
        if (!data)
            return -ENOMEM;
        if (b->len > 0)
            memcpy(data, b->data + b->off, b->len);
        free_data(b);
    } else {
        data = realloc(b->data, cap);
        if (!data)
            return -ENOMEM;
    }
    b->data = data;
    b->off = 0;
    b->cap = cap;
    return 0;
}

/* Room for n (>= 1) bytes behind the contents, whatever max says. Moving the contents is worth it
 * when at least as much was consumed as is moved, so that its cost stays proportional to the bytes
 * consumed; or when growing would not be possible. */
static int make_room(struct nk_buf *b, size_t n)
{
    size_t need = b->len + n;
    if (b->cap - b->off >= need)
        return 0;
    if (b->cap >= need && (b->off >= b->len || b->cap > b->max)) {
        compact(b);
        return 0;
    }
    return grow(b, need);
}

int nk_buf_reserve(struct nk_buf *b, size_t n, uint8_t **out)
{
    if (n > b->max - b->len)
        return NK_ETOOBIG;
    int r = make_room(b, n > 0 ? n : 1);
    if (r < 0)
        return r;
    *out = b->data + b->off + b->len;
    return 0;
}

void nk_buf_commit(struct nk_buf *b, size_t n)
{
    assert(n <= b->cap - b->off - b->len && n <= b->max - b->len);
    b->len += n;
}

int nk_buf_put(struct nk_buf *b, const void *p, size_t n)
{
    if (n == 0)
        return 0;
    uint8_t *to;
    int r = nk_buf_reserve(b, n, &to);
    if (r < 0)
        return r;
    memcpy(to, p, n);
    b->len += n;
    return 0;
}

int nk_buf_puts(struct nk_buf *b, const char *s)
{
    return nk_buf_put(b, s, strlen(s));
}

/* Append the low `bytes` bytes of v, most or least significant first. */
static int put_int(struct nk_buf *b, uint64_t v, unsigned bytes, bool big_endian)
{
    uint8_t raw[8];
    for (unsigned i = 0; i < bytes; i++)
        raw[big_endian ? bytes - 1 - i : i] = (uint8_t)(v >> (8 * i));
    return nk_buf_put(b, raw, bytes);
}

int nk_buf_u8(struct nk_buf *b, uint8_t v)
{
    return nk_buf_put(b, &v, 1);
}

int nk_buf_be16(struct nk_buf *b, uint16_t v)
{
    return put_int(b, v, 2, true);
}

int nk_buf_be32(struct nk_buf *b, uint32_t v)
{
    return put_int(b, v, 4, true);
}

int nk_buf_be64(struct nk_buf *b, uint64_t v)
{
    return put_int(b, v, 8, true);
}

int nk_buf_le16(struct nk_buf *b, uint16_t v)
{
    return put_int(b, v, 2, false);
}

int nk_buf_le32(struct nk_buf *b, uint32_t v)
{
    return put_int(b, v, 4, false);
}

int nk_buf_le64(struct nk_buf *b, uint64_t v)
{
    return put_int(b, v, 8, false);
}

int nk_buf_vprintf(struct nk_buf *b, const char *fmt, va_list ap)
{
    va_list again;
    va_copy(again, ap);
    int n = vsnprintf(NULL, 0, fmt, ap);
    int r = n < 0 ? NK_EFORMAT : 0;
    if (r == 0 && (size_t)n > b->max - b->len)
        r = NK_ETOOBIG;
    if (r == 0)
        r = make_room(b, (size_t)n + 1); /* vsnprintf also writes a terminator */
    if (r == 0) {
        vsnprintf((char *)b->data + b->off + b->len, (size_t)n + 1, fmt, again);
        b->len += (size_t)n;
    }
    va_end(again);
    return r;
}

int nk_buf_printf(struct nk_buf *b, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int r = nk_buf_vprintf(b, fmt, ap);
    va_end(ap);
    return r;
}

void nk_buf_consume(struct nk_buf *b, size_t n)
{
    assert(n <= b->len);
    if (b->secret && n > 0)
        nk_wipe(b->data + b->off, n);
    b->off += n;
    b->len -= n;
    if (b->len == 0)
        b->off = 0;
}

const char *nk_buf_str(struct nk_buf *b)
{
    if (make_room(b, 1) < 0)
        return NULL;
    b->data[b->off + b->len] = '\0';
    return (const char *)b->data + b->off;
}

uint8_t *nk_buf_detach(struct nk_buf *b, size_t *out_len)
{
    if (b->len == 0) {
        *out_len = 0;
        return NULL;
    }
    compact(b);
    uint8_t *data = b->data;
    *out_len = b->len;
    b->data = NULL;
    b->off = b->len = b->cap = 0;
    return data;
}
