/* SPDX-License-Identifier: MIT */
#include "relay/wire_client.h"

#include <stdio.h>
#include <string.h>

#include "base/err.h"

/* Pickle opcodes that envelopes are made of (CPython Lib/pickletools.py). */
#define OP_PROTO_4 "\x80\x04" /* since Python 3.4; needed for lengths beyond 32 bits */
#define OP_MARK '('
#define OP_TUPLE 't'
#define OP_STOP '.'
#define OP_NONE 'N'
#define OP_BININT 'J'
#define OP_LONG1 0x8a
#define OP_BINUNICODE 'X'
#define OP_EMPTY_DICT '}'
#define OP_SETITEMS 'u'
#define OP_BINBYTES 'B'
#define OP_BINBYTES8 0x8e
#define PICKLED_NONE "\x80\x04N."
#define DECIMAL 10

/* One frame being written at the end of b; `error` is sticky, so a message reads like its layout.
 */
struct writer {
    struct nk_buf *b;
    const struct relay_wire_format *f;
    size_t start; /* length of b before the frame */
    int error;
};

static void put(struct writer *w, const void *p, size_t n)
{
    if (w->error == 0) {
        w->error = nk_buf_put(w->b, p, n);
    }
}

static void put_u8(struct writer *w, uint8_t v)
{
    put(w, &v, 1);
}

static void put_le(struct writer *w, uint64_t v, unsigned bytes)
{
    uint8_t le[sizeof(v)];
    for (unsigned i = 0; i < bytes; i++) {
        le[i] = (uint8_t)(v >> (8 * i));
    }
    put(w, le, bytes);
}

static void put_int(struct writer *w, int64_t v)
{
    if (v >= INT32_MIN && v <= INT32_MAX) {
        put_u8(w, OP_BININT);
        put_le(w, (uint64_t)v, sizeof(int32_t));
    } else {
        put_u8(w, OP_LONG1);
        put_u8(w, sizeof(v));
        put_le(w, (uint64_t)v, sizeof(v));
    }
}

static void put_str(struct writer *w, const char *s)
{
    size_t n = strlen(s);
    put_u8(w, OP_BINUNICODE);
    put_le(w, n, sizeof(uint32_t));
    put(w, s, n);
}

static void put_dest(struct writer *w, const struct relay_wire_dest *dest, size_t n)
{
    put_u8(w, OP_EMPTY_DICT);
    put_u8(w, OP_MARK);
    for (size_t i = 0; i < n; i++) {
        put_str(w, dest[i].group);
        put_int(w, dest[i].n);
    }
    put_u8(w, OP_SETITEMS);
}

static void put_bytes_head(struct writer *w, uint64_t n)
{
    bool wide = n > UINT32_MAX;
    put_u8(w, wide ? OP_BINBYTES8 : OP_BINBYTES);
    put_le(w, n, wide ? sizeof(uint64_t) : sizeof(uint32_t));
}

/* Room for the header, the password, then how every envelope begins: PROTO, MARK, stamp, command.
 */
static void begin(struct writer *w, struct nk_buf *out, const struct relay_wire_format *f,
                  int64_t stamp, const char *cmd)
{
    char blanks[RELAY_WIRE_HEADER_SIZE_MAX];
    *w = (struct writer){.b = out, .f = f, .start = nk_buf_len(out)};
    memset(blanks, ' ', sizeof(blanks));
    put(w, blanks, f->header_size);
    if (f->password->len > 0) {
        put(w, f->password->data, f->password->len);
    }
    put(w, OP_PROTO_4, 2);
    put_u8(w, OP_MARK);
    put_int(w, stamp);
    put_str(w, cmd);
}

/* Write the payload's length (what is there plus `more` bytes that follow elsewhere) into the
 * header, or take the whole frame back. */
static int finish(struct writer *w, uint64_t more)
{
    char digits[RELAY_WIRE_HEADER_SIZE_MAX + 2];
    size_t overhead = w->start + w->f->header_size + w->f->password->len;
    if (w->error == 0) {
        uint64_t length = nk_buf_len(w->b) - overhead + more;
        int n = snprintf(digits, sizeof(digits), "%llu", (unsigned long long)length);
        if (n > 0 && (unsigned)n <= w->f->header_size) {
            memcpy(nk_buf_ptr(w->b) + w->start, digits, (size_t)n);
            return 0;
        }
        w->error = NK_ETOOBIG;
    }
    w->b->len = w->start;
    return w->error;
}

static int finish_tuple(struct writer *w)
{
    put_u8(w, OP_TUPLE);
    put_u8(w, OP_STOP);
    return finish(w, 0);
}

int relay_wire_put_ack(struct nk_buf *out, const struct relay_wire_format *f, int64_t stamp)
{
    struct writer w;
    begin(&w, out, f, stamp, "ACK");
    put_u8(&w, OP_NONE);
    put_u8(&w, OP_NONE);
    return finish_tuple(&w);
}

int relay_wire_put_hello(struct nk_buf *out, const struct relay_wire_format *f, int64_t stamp,
                         const char *const *groups, size_t n)
{
    struct writer w;
    begin(&w, out, f, stamp, "HELLO");
    put_u8(&w, OP_NONE);
    put_u8(&w, OP_MARK);
    for (size_t i = 0; i < n; i++) {
        put_str(&w, groups[i]);
    }
    put_u8(&w, OP_TUPLE);
    return finish_tuple(&w);
}

int relay_wire_put_notify(struct nk_buf *out, const struct relay_wire_format *f, int64_t stamp,
                          const struct relay_wire_dest *dest, size_t n)
{
    struct writer w;
    begin(&w, out, f, stamp, "NTF");
    put_dest(&w, dest, n);
    put_bytes_head(&w, sizeof(PICKLED_NONE) - 1);
    put(&w, PICKLED_NONE, sizeof(PICKLED_NONE) - 1);
    return finish_tuple(&w);
}

int relay_wire_put_object(struct nk_buf *out, const struct relay_wire_format *f, int64_t stamp,
                          const struct relay_wire_dest *dest, size_t n, uint64_t obj_len)
{
    struct writer w;
    if (obj_len > UINT64_MAX / 2) {
        return NK_ETOOBIG;
    }
    begin(&w, out, f, stamp, "OBJ");
    put_dest(&w, dest, n);
    put_bytes_head(&w, obj_len);
    return finish(&w, obj_len + sizeof(RELAY_WIRE_OBJECT_TAIL) - 1);
}

int relay_wire_frame_length(const void *p, size_t n, unsigned header_size, size_t max_payload,
                            size_t *total)
{
    const uint8_t *h = p;
    uint64_t length = 0;
    unsigned i = 0;
    if (n < header_size) {
        *total = 0;
        return 0;
    }
    for (; i < header_size && h[i] >= '0' && h[i] <= '9'; i++) {
        if (length > (UINT64_MAX - 9) / DECIMAL) {
            return NK_ETOOBIG;
        }
        length = length * DECIMAL + (uint64_t)(h[i] - '0');
    }
    if (i == 0) {
        return NK_EPROTO;
    }
    for (; i < header_size; i++) {
        if (h[i] != ' ') {
            return NK_EPROTO;
        }
    }
    if (length > max_payload) {
        return NK_ETOOBIG;
    }
    *total = header_size + (size_t)length;
    return 0;
}

static bool is_text(const struct relay_value *v, const char *text)
{
    size_t n = strlen(text);
    return v->u.s.n == n && memcmp(v->u.s.p, text, n) == 0;
}

int relay_wire_parse(struct relay_value_doc *doc, const void *payload, size_t n,
                     struct relay_wire_message *out)
{
    int status = relay_value_decode(doc, payload, n);
    if (status < 0) {
        return status == -ENOMEM ? status : NK_EPROTO;
    }
    const struct relay_value *t = relay_value_root(doc);
    if (t->type != RELAY_VALUE_TUPLE || t->count != 3) {
        return NK_EPROTO;
    }
    const struct relay_value *stamp = relay_value_child(doc, t, 0);
    const struct relay_value *cmd = relay_value_child(doc, t, 1);
    const struct relay_value *obj = relay_value_child(doc, t, 2);
    if (stamp->type != RELAY_VALUE_INT || cmd->type != RELAY_VALUE_STR) {
        return NK_EPROTO;
    }
    struct relay_wire_message m = {.cmd = RELAY_WIRE_OTHER, .stamp = stamp->u.i};
    if (is_text(cmd, "ACK")) {
        m.cmd = RELAY_WIRE_ACK;
    } else if (is_text(cmd, "HELLO")) {
        m.cmd = RELAY_WIRE_HELLO;
    } else if (is_text(cmd, "OBJ")) {
        if (obj->type != RELAY_VALUE_BYTES) {
            return NK_EPROTO;
        }
        m.cmd = RELAY_WIRE_OBJ;
        m.obj = obj->u.s.p;
        m.obj_len = obj->u.s.n;
    }
    *out = m;
    return 0;
}
