/* SPDX-License-Identifier: MIT */
#include "base/cur.h"

#include <string.h>

static const uint8_t nothing[1]; /* where a cursor over no bytes points, so that it is never NULL */

void nk_cur_init(struct nk_cur *c, const void *p, size_t n)
{
    c->p = n > 0 ? p : nothing;
    c->end = c->p + n;
    c->failed = false;
}

size_t nk_cur_left(const struct nk_cur *c)
{
    return c->failed ? 0 : (size_t)(c->end - c->p);
}

bool nk_cur_done(const struct nk_cur *c)
{
    return !c->failed && c->p == c->end;
}

void nk_cur_fail(struct nk_cur *c)
{
    c->failed = true;
}

const uint8_t *nk_cur_bytes(struct nk_cur *c, size_t n)
{
    if (c->failed || n > (size_t)(c->end - c->p)) {
        c->failed = true;
        return NULL;
    }
    const uint8_t *at = c->p;
    c->p += n;
    return at;
}

bool nk_cur_copy(struct nk_cur *c, void *out, size_t n)
{
    const uint8_t *p = nk_cur_bytes(c, n);
    if (!p)
        return false;
    if (n > 0)
        memcpy(out, p, n);
    return true;
}

struct nk_cur nk_cur_sub(struct nk_cur *c, size_t n)
{
    struct nk_cur sub;
    const uint8_t *p = nk_cur_bytes(c, n);
    nk_cur_init(&sub, p, p ? n : 0);
    sub.failed = p == NULL;
    return sub;
}

static uint64_t get_int(struct nk_cur *c, unsigned bytes, bool big_endian)
{
    const uint8_t *p = nk_cur_bytes(c, bytes);
    uint64_t v = 0;
    for (unsigned i = 0; p && i < bytes; i++)
        v = v << 8 | p[big_endian ? i : bytes - 1 - i];
    return v;
}

uint8_t nk_cur_u8(struct nk_cur *c)
{
    return (uint8_t)get_int(c, 1, true);
}

uint16_t nk_cur_be16(struct nk_cur *c)
{
    return (uint16_t)get_int(c, 2, true);
}

uint32_t nk_cur_be32(struct nk_cur *c)
{
    return (uint32_t)get_int(c, 4, true);
}

uint64_t nk_cur_be64(struct nk_cur *c)
{
    return get_int(c, 8, true);
}

uint16_t nk_cur_le16(struct nk_cur *c)
{
    return (uint16_t)get_int(c, 2, false);
}

uint32_t nk_cur_le32(struct nk_cur *c)
{
    return (uint32_t)get_int(c, 4, false);
}

uint64_t nk_cur_le64(struct nk_cur *c)
{
    return get_int(c, 8, false);
}
