/* SPDX-License-Identifier: MIT */
#include "relay/wire_meta.h"

#include <string.h>

#include "base/cur.h"

enum { U64 = 8 };

/* Length of a value of each tag; `once` is false for those that may be repeated. */
struct rule {
    uint16_t min, max;
    bool once;
};

static const struct rule rules[] = {
    [RELAY_META_TTL] = {U64, U64, true},
    [RELAY_META_EXPIRES] = {U64, U64, true},
    [RELAY_META_COPIES] = {U64, U64, true},
    [RELAY_META_REPLY_TO] = {1, RELAY_NATIVE_NAME, true},
    [RELAY_META_CORRELATION] = {1, RELAY_META_CORRELATION_MAX, true},
    [RELAY_META_TRACE] = {RELAY_META_TRACE_LEN, RELAY_META_TRACE_LEN, true},
    [RELAY_META_HEADER] = {3, RELAY_META_HEADER_MAX, false},
    [RELAY_META_ORIGIN] = {1, RELAY_NATIVE_NAME, true},
    [RELAY_META_REASON] = {0, RELAY_NATIVE_TEXT, true},
};
enum { TAGS = sizeof(rules) / sizeof(rules[0]) };

/* "name=value", the name not empty. */
static bool good_header(const uint8_t *p, size_t n)
{
    const uint8_t *eq = memchr(p, '=', n);
    return eq && eq != p;
}

static bool good_entry(uint8_t tag, size_t len, unsigned *seen)
{
    if (tag == 0 || tag >= TAGS || len < rules[tag].min || len > rules[tag].max ||
        (rules[tag].once && (*seen & 1u << tag))) {
        return false;
    }
    *seen |= 1u << tag;
    return true;
}

static bool read_entry(struct nk_cur *c, struct relay_meta *m, unsigned *seen, const uint8_t *start)
{
    size_t at = (size_t)(c->p - start);
    uint8_t tag = nk_cur_u8(c);
    size_t len = nk_cur_le16(c);
    struct nk_cur v = nk_cur_sub(c, len);
    if (v.failed || !good_entry(tag, len, seen)) {
        return false;
    }
    struct relay_text text = {.p = (const char *)v.p, .len = len};
    switch ((enum relay_meta_tag)tag) {
    case RELAY_META_TTL:
        m->has_ttl = true;
        m->ttl_ms = nk_cur_le64(&v);
        m->time_at = at;
        return !m->has_expires;
    case RELAY_META_EXPIRES:
        m->has_expires = true;
        m->expires_ms = nk_cur_le64(&v);
        m->time_at = at;
        return !m->has_ttl;
    case RELAY_META_COPIES:
        m->copies = nk_cur_le64(&v);
        return m->copies != 0;
    case RELAY_META_REPLY_TO:
        m->reply_to = text;
        return true;
    case RELAY_META_CORRELATION:
        m->correlation = text;
        return true;
    case RELAY_META_TRACE:
        m->trace = v.p;
        return true;
    case RELAY_META_HEADER:
        return ++m->headers <= RELAY_META_HEADERS && good_header(v.p, len);
    case RELAY_META_ORIGIN:
        m->origin = text;
        return true;
    case RELAY_META_REASON:
        m->reason = text;
        return true;
    }
    return false;
}

int relay_meta_get(const void *p, size_t n, struct relay_meta *m)
{
    struct nk_cur c;
    struct relay_meta t = {.copies = 1};
    unsigned seen = 0;
    nk_cur_init(&c, p, n);
    size_t len = nk_cur_le16(&c);
    struct nk_cur in = nk_cur_sub(&c, len);
    if (in.failed) {
        return NK_EPROTO;
    }
    t.len = RELAY_META_PREFIX + len;
    while (nk_cur_left(&in)) {
        if (!read_entry(&in, &t, &seen, p)) {
            return NK_EPROTO;
        }
    }
    *m = t;
    return 0;
}

struct relay_text relay_meta_header(const void *p, unsigned i)
{
    struct nk_cur c;
    struct relay_text none = {0};
    nk_cur_init(&c, p, RELAY_META_PREFIX);
    size_t len = nk_cur_le16(&c);
    nk_cur_init(&c, (const uint8_t *)p + RELAY_META_PREFIX, len);
    while (nk_cur_left(&c)) {
        uint8_t tag = nk_cur_u8(&c);
        size_t n = nk_cur_le16(&c);
        const uint8_t *v = nk_cur_bytes(&c, n);
        if (v && tag == RELAY_META_HEADER && i-- == 0) {
            return (struct relay_text){.p = (const char *)v, .len = n};
        }
    }
    return none;
}

static void put_le(uint8_t *p, uint64_t v, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        p[i] = (uint8_t)(v >> (8 * i));
    }
}

void relay_meta_expire(uint8_t *p, const struct relay_meta *m, uint64_t expires_ms)
{
    p[m->time_at] = RELAY_META_EXPIRES;
    put_le(p + m->time_at + RELAY_META_ENTRY, expires_ms, U64);
}

/* --- writing ---------------------------------------------------------------------------------- */

void relay_meta_begin(struct relay_meta_writer *w, uint8_t *out, size_t cap)
{
    *w = (struct relay_meta_writer){.p = out, .len = RELAY_META_PREFIX, .cap = cap};
    w->failed = cap < RELAY_META_PREFIX;
}

void relay_meta_add(struct relay_meta_writer *w, enum relay_meta_tag tag, const void *p, size_t n)
{
    bool fits = !w->failed && (unsigned)tag < TAGS && tag && n >= rules[tag].min &&
                n <= rules[tag].max && n + RELAY_META_ENTRY <= w->cap - w->len &&
                w->len + n + RELAY_META_ENTRY <= RELAY_META_MAX + RELAY_META_PREFIX;
    if (!fits || (tag == RELAY_META_HEADER && !good_header(p, n))) {
        w->failed = true;
        return;
    }
    uint8_t *at = w->p + w->len;
    at[0] = (uint8_t)tag;
    put_le(at + 1, n, 2);
    if (n) {
        memcpy(at + RELAY_META_ENTRY, p, n);
    }
    w->len += RELAY_META_ENTRY + n;
}

void relay_meta_add_u64(struct relay_meta_writer *w, enum relay_meta_tag tag, uint64_t v)
{
    uint8_t b[U64];
    put_le(b, v, U64);
    relay_meta_add(w, tag, b, U64);
}

size_t relay_meta_end(struct relay_meta_writer *w)
{
    if (w->failed) {
        return 0;
    }
    put_le(w->p, w->len - RELAY_META_PREFIX, RELAY_META_PREFIX);
    return w->len;
}
