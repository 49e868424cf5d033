/* SPDX-License-Identifier: MIT */
/*
 * How an object reaches an endpoint of tlspyo's wire, which takes pickles alone: what is no pickle
 * yet becomes one on the way, without a copy of its bytes. Metadata stay behind.
 */
#include <string.h>

#include "base/utf8.h"
#include "relay/tlspyo.h"
#include "relay/wire_meta.h"

enum {
    WRAP_MAX = 11,                        /* 80 04 8e <u64> */
    TEXT_MAX = (int)RELAY_NATIVE_FRAGMENT /* longer texts arrive as bytes: finding out whether they
                                             are UTF-8 would hold up everybody else */
};

/* What of an object goes out: bytes [off, off + len) between a pickle's beginning and end. */
struct view {
    struct relay_object *obj;
    uint64_t off, len;
    uint8_t wrap[WRAP_MAX];
    size_t nwrap; /* 0: it is a pickle already */
};

static bool is_text(const struct view *v)
{
    uint8_t part[1024];
    uint64_t at = v->off, end = v->off + v->len;
    uint32_t cp;
    while (at < end) {
        size_t want = end - at < sizeof(part) ? (size_t)(end - at) : sizeof(part);
        size_t n = relay_object_read(v->obj, at, part, want), i = 0;
        /* the last three bytes may begin a character that ends in the next part */
        while (i < n && (at + n == end || n - i >= 4)) {
            size_t len = nk_utf8_next(part + i, n - i, &cp);
            if (len == 0) {
                return false;
            }
            i += len;
        }
        at += i;
    }
    return true;
}

static void put_le(uint8_t *p, uint64_t n, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++) {
        p[i] = (uint8_t)(n >> (8 * i));
    }
}

/* PROTO 3 and BINUNICODE or BINBYTES; PROTO 4 and BINBYTES8 for 4 GiB and more. */
static void wrap(struct view *v, uint8_t content)
{
    bool text = content == RELAY_CONTENT_TEXT || content == RELAY_CONTENT_JSON;
    if (content == RELAY_CONTENT_PICKLE) {
        return;
    }
    v->wrap[0] = 0x80;
    if (v->len > UINT32_MAX) {
        v->wrap[1] = 4;
        v->wrap[2] = 0x8e;
        put_le(v->wrap + 3, v->len, 8);
        v->nwrap = WRAP_MAX;
        return;
    }
    v->wrap[1] = 3;
    v->wrap[2] = text && v->len <= TEXT_MAX && is_text(v) ? 'X' : 'B';
    put_le(v->wrap + 3, v->len, 4);
    v->nwrap = 7;
}

static size_t put_end(uint8_t *p, const struct view *v)
{
    size_t n = 0;
    if (v->nwrap) {
        p[n++] = '.'; /* STOP of the inner pickle */
    }
    memcpy(p + n, RELAY_OBJ_TAIL, RELAY_OBJ_TAIL_LEN);
    return n + RELAY_OBJ_TAIL_LEN;
}

/* The bytes by reference, then the end. 0 or -ENOMEM. */
static int put_long(struct relay_out *out, const struct view *v)
{
    uint64_t off = v->off, left = v->len;
    for (struct relay_object *o = v->obj; o && left; o = o->more) {
        if (off >= o->len) {
            off -= o->len;
            continue;
        }
        size_t n = o->len - (size_t)off < left ? o->len - (size_t)off : (size_t)left;
        if (relay_out_bytes(out, o, o->bytes + off, n) < 0) {
            return -ENOMEM;
        }
        left -= n;
        off = 0;
    }
    uint8_t *p = relay_out_reserve(out, 1 + RELAY_OBJ_TAIL_LEN);
    if (!p) {
        return -ENOMEM;
    }
    relay_out_commit(out, put_end(p, v));
    return 0;
}

static int send_view(struct relay_conn *c, const struct view *v, uint32_t stamp)
{
    unsigned header = c->hub->limits.header_size;
    bool small = v->len <= RELAY_OUT_INLINE;
    size_t room = header + RELAY_OBJ_HEAD_MAX + WRAP_MAX + 1 + RELAY_OBJ_TAIL_LEN;
    uint8_t *p = relay_out_reserve(&c->out, room + (small ? (size_t)v->len : 0));
    if (!p) {
        return -ENOMEM;
    }
    uint64_t inner = v->nwrap + v->len + (v->nwrap ? 1 : 0);
    size_t n = header + relay_pickle_obj_head(p + header, stamp, inner);
    relay_frame_header(p, header, n - header + inner + RELAY_OBJ_TAIL_LEN);
    memcpy(p + n, v->wrap, v->nwrap);
    n += v->nwrap;
    if (small) {
        relay_object_read(v->obj, v->off, p + n, (size_t)v->len);
        n += (size_t)v->len;
        n += put_end(p + n, v);
    }
    relay_out_commit(&c->out, n);
    c->hub->count.frames_out++;
    relay_conn_output(c);
    return small ? 0 : put_long(&c->out, v);
}

int relay_session_object(struct relay_conn *c, struct relay_object *o, uint32_t stamp)
{
    struct view v = {.obj = o, .len = o->total};
    struct relay_meta m;
    if ((o->flags & RELAY_OBJECT_META) && relay_meta_get(o->bytes, o->len, &m) == 0) {
        v.off = m.len;
        v.len -= m.len;
    }
    wrap(&v, (uint8_t)((o->flags & RELAY_OBJECT_CONTENT) >> RELAY_N_CONTENT_SHIFT));
    return send_view(c, &v, stamp);
}

int relay_session_run(struct relay_conn *c, struct relay_object *o)
{
    struct relay_session *s = c->session;
    int rc = 0;
    for (size_t off = 0; off < o->len && rc == 0;) {
        uint32_t len = relay_native_get_u32(o->bytes + off) >> 8;
        uint8_t flags = o->bytes[off + RELAY_NATIVE_HEAD - 1];
        struct view v = {.obj = o, .off = off + RELAY_NATIVE_HEAD, .len = len};
        wrap(&v, (uint8_t)((flags & RELAY_N_CONTENT) >> RELAY_N_CONTENT_SHIFT));
        uint32_t stamp = relay_stamps_issue(&s->stamps, NULL, 0);
        rc = stamp ? send_view(c, &v, stamp) : -ENOMEM;
        off += RELAY_NATIVE_HEAD + len;
    }
    return rc;
}
