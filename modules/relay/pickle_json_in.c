/* SPDX-License-Identifier: MIT */
/* Opcodes as in Python's Lib/pickletools.py. */
#include "relay/pickle_json_in.h"

#include <string.h>

#include "base/err.h"

enum {
    OP_PROTO = 0x80,
    OP_STOP = '.',
    OP_MARK = '(',
    OP_NONE = 'N',
    OP_NEWTRUE = 0x88,
    OP_NEWFALSE = 0x89,
    OP_BININT1 = 'K',
    OP_BININT = 'J',
    OP_LONG1 = 0x8a,
    OP_BINFLOAT = 'G',
    OP_SHORT_BINUNICODE = 0x8c,
    OP_BINUNICODE = 'X',
    OP_BINUNICODE8 = 0x8d,
    OP_EMPTY_LIST = ']',
    OP_APPENDS = 'e',
    OP_EMPTY_DICT = '}',
    OP_SETITEMS = 'u'
};

#define PROTOCOL 4
#define LONG_BYTES 9 /* of the largest uint64_t with its sign */

static int put_int(struct nk_buf *out, int64_t n)
{
    int rc;
    if (n >= 0 && n <= UINT8_MAX) {
        rc = nk_buf_u8(out, OP_BININT1);
        return rc < 0 ? rc : nk_buf_u8(out, (uint8_t)n);
    }
    if (n >= INT32_MIN && n <= INT32_MAX) {
        rc = nk_buf_u8(out, OP_BININT);
        return rc < 0 ? rc : nk_buf_le32(out, (uint32_t)(int32_t)n);
    }
    rc = nk_buf_u8(out, OP_LONG1);
    rc = rc < 0 ? rc : nk_buf_u8(out, sizeof(n));
    return rc < 0 ? rc : nk_buf_le64(out, (uint64_t)n);
}

static int put_uint(struct nk_buf *out, uint64_t n)
{
    int rc = nk_buf_u8(out, OP_LONG1);
    rc = rc < 0 ? rc : nk_buf_u8(out, LONG_BYTES);
    rc = rc < 0 ? rc : nk_buf_le64(out, n);
    return rc < 0 ? rc : nk_buf_u8(out, 0);
}

static int put_double(struct nk_buf *out, double d)
{
    uint64_t bits;
    memcpy(&bits, &d, sizeof(bits));
    int rc = nk_buf_u8(out, OP_BINFLOAT);
    return rc < 0 ? rc : nk_buf_be64(out, bits);
}

static int put_text(struct nk_buf *out, const struct nk_json_value *v)
{
    size_t n;
    const char *s = nk_json_to_text(v, &n);
    int rc;
    if (n <= UINT8_MAX) {
        rc = nk_buf_u8(out, OP_SHORT_BINUNICODE);
        rc = rc < 0 ? rc : nk_buf_u8(out, (uint8_t)n);
    } else if (n <= UINT32_MAX) {
        rc = nk_buf_u8(out, OP_BINUNICODE);
        rc = rc < 0 ? rc : nk_buf_le32(out, (uint32_t)n);
    } else {
        rc = nk_buf_u8(out, OP_BINUNICODE8);
        rc = rc < 0 ? rc : nk_buf_le64(out, n);
    }
    return rc < 0 || n == 0 ? rc : nk_buf_put(out, s, n);
}

static int put_value(struct nk_buf *out, const struct nk_json_value *v, unsigned depth);

static int put_container(struct nk_buf *out, const struct nk_json_value *v, unsigned depth)
{
    bool object = nk_json_type(v) == NK_JSON_OBJECT;
    struct nk_json_walk w = {.of = v};
    const struct nk_json_value *item;
    int rc = nk_buf_u8(out, object ? OP_EMPTY_DICT : OP_EMPTY_LIST);
    if (rc < 0 || nk_json_size(v) == 0) {
        return rc;
    }
    rc = depth < RELAY_JSON_IN_DEPTH ? nk_buf_u8(out, OP_MARK) : NK_ETOOBIG;
    while (rc == 0 && (item = nk_json_next(&w)) != NULL) {
        rc = object ? put_text(out, w.key) : 0;
        rc = rc < 0 ? rc : put_value(out, item, depth + 1);
    }
    return rc < 0 ? rc : nk_buf_u8(out, object ? OP_SETITEMS : OP_APPENDS);
}

static int put_value(struct nk_buf *out, const struct nk_json_value *v, unsigned depth)
{
    switch (nk_json_type(v)) {
    case NK_JSON_BOOL:
        return nk_buf_u8(out, nk_json_to_bool(v) ? OP_NEWTRUE : OP_NEWFALSE);
    case NK_JSON_INT:
        return put_int(out, nk_json_to_int(v));
    case NK_JSON_UINT:
        return put_uint(out, nk_json_to_uint(v));
    case NK_JSON_DOUBLE:
        return put_double(out, nk_json_to_double(v));
    case NK_JSON_STRING:
        return put_text(out, v);
    case NK_JSON_ARRAY:
    case NK_JSON_OBJECT:
        return put_container(out, v, depth);
    case NK_JSON_NULL:
        break;
    }
    return nk_buf_u8(out, OP_NONE);
}

int relay_pickle_from_json(struct nk_buf *out, const struct nk_json_value *v)
{
    size_t before = nk_buf_len(out);
    int rc = nk_buf_u8(out, OP_PROTO);
    rc = rc < 0 ? rc : nk_buf_u8(out, PROTOCOL);
    rc = rc < 0 ? rc : put_value(out, v, 0);
    rc = rc < 0 ? rc : nk_buf_u8(out, OP_STOP);
    if (rc < 0) {
        out->len = before;
    }
    return rc;
}
