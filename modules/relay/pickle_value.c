/* SPDX-License-Identifier: MIT */
#include "relay/pickle_value.h"

#include <stdlib.h>
#include <string.h>

#include "base/codec.h"
#include "base/cur.h"
#include "base/err.h"

/* Opcodes of pickle protocols 2 to 5 (CPython Lib/pickletools.py) that carry data only. */
enum opcode {
    OP_MARK = '(',
    OP_STOP = '.',
    OP_POP = '0',
    OP_BINFLOAT = 'G',
    OP_BININT = 'J',
    OP_BININT1 = 'K',
    OP_BININT2 = 'M',
    OP_NONE = 'N',
    OP_BINUNICODE = 'X',
    OP_BINBYTES = 'B',
    OP_SHORT_BINBYTES = 'C',
    OP_APPEND = 'a',
    OP_APPENDS = 'e',
    OP_BINGET = 'h',
    OP_LONG_BINGET = 'j',
    OP_BINPUT = 'q',
    OP_LONG_BINPUT = 'r',
    OP_SETITEM = 's',
    OP_TUPLE = 't',
    OP_SETITEMS = 'u',
    OP_EMPTY_TUPLE = ')',
    OP_EMPTY_LIST = ']',
    OP_EMPTY_DICT = '}',
    OP_PROTO = 0x80,
    OP_TUPLE1 = 0x85,
    OP_TUPLE2 = 0x86,
    OP_TUPLE3 = 0x87,
    OP_NEWTRUE = 0x88,
    OP_NEWFALSE = 0x89,
    OP_LONG1 = 0x8a,
    OP_LONG4 = 0x8b,
    OP_SHORT_BINUNICODE = 0x8c,
    OP_BINUNICODE8 = 0x8d,
    OP_BINBYTES8 = 0x8e,
    OP_EMPTY_SET = 0x8f,
    OP_ADDITEMS = 0x90,
    OP_FROZENSET = 0x91,
    OP_MEMOIZE = 0x94,
    OP_FRAME = 0x95,
    OP_BYTEARRAY8 = 0x96
};

#define PROTO_MIN 2
#define PROTO_MAX 5
#define MARK_VALUE 0u /* on the stack: a mark; indices of values start at 1 */
#define FIRST_CAP 16u
#define BIGINT_MAX 1024 /* bytes of an integer that we still print */

static int grow(void **p, uint32_t *cap, size_t size, uint32_t need)
{
    if (need > RELAY_VALUE_MAX_VALUES + 1) {
        return NK_EUNSUPPORTED;
    }
    if (need <= *cap) {
        return 0;
    }
    uint32_t n = *cap ? *cap : FIRST_CAP;
    while (n < need) {
        n *= 2;
    }
    void *q = realloc(*p, (size_t)n * size);
    if (!q) {
        return -ENOMEM;
    }
    *p = q;
    *cap = n;
    return 0;
}

static int push(struct relay_value_doc *d, uint32_t index)
{
    int status = grow((void **)&d->stack, &d->stack_cap, sizeof(*d->stack), d->depth + 1);
    if (status == 0) {
        d->stack[d->depth++] = index;
    }
    return status;
}

/* A new value on the stack; *out is valid until the next one. */
static int push_value(struct relay_value_doc *d, enum relay_value_type type,
                      struct relay_value **out)
{
    int status = grow((void **)&d->v, &d->cap, sizeof(*d->v), d->n + 1);
    if (status == 0) {
        status = push(d, d->n);
    }
    if (status < 0) {
        return status;
    }
    *out = &d->v[d->n++];
    memset(*out, 0, sizeof(**out));
    (*out)->type = type;
    return 0;
}

static int push_int(struct relay_value_doc *d, int64_t i)
{
    struct relay_value *v;
    int status = push_value(d, RELAY_VALUE_INT, &v);
    if (status == 0) {
        v->u.i = i;
    }
    return status;
}

static int push_plain(struct relay_value_doc *d, enum relay_value_type type, bool b)
{
    struct relay_value *v;
    int status = push_value(d, type, &v);
    if (status == 0 && type == RELAY_VALUE_BOOL) {
        v->u.b = b;
    }
    return status;
}

static int push_slice(struct relay_value_doc *d, struct nk_cur *c, enum relay_value_type type,
                      uint64_t n)
{
    struct relay_value *v;
    if (n > nk_cur_left(c)) {
        return NK_EFORMAT;
    }
    const uint8_t *p = nk_cur_bytes(c, (size_t)n);
    if (type == RELAY_VALUE_STR && !nk_utf8_valid(p, (size_t)n)) {
        return NK_EFORMAT;
    }
    int status = push_value(d, type, &v);
    if (status == 0) {
        v->u.s.p = p;
        v->u.s.n = (size_t)n;
    }
    return status;
}

/* LONG1 and LONG4: n bytes of little-endian two's complement. */
static int push_long(struct relay_value_doc *d, struct nk_cur *c, uint32_t n)
{
    if (n > nk_cur_left(c)) {
        return NK_EFORMAT;
    }
    if (n > BIGINT_MAX) {
        return NK_EUNSUPPORTED;
    }
    if (n > sizeof(int64_t)) {
        return push_slice(d, c, RELAY_VALUE_BIGINT, n);
    }
    const uint8_t *p = nk_cur_bytes(c, n);
    uint64_t u = n && (p[n - 1] & 0x80) ? UINT64_MAX : 0;
    for (uint32_t i = n; i-- > 0;) {
        u = u << 8 | p[i];
    }
    return push_int(d, (int64_t)u);
}

static int push_float(struct relay_value_doc *d, struct nk_cur *c)
{
    struct relay_value *v;
    uint64_t bits = nk_cur_be64(c);
    int status = push_value(d, RELAY_VALUE_FLOAT, &v);
    if (status == 0) {
        memcpy(&v->u.f, &bits, sizeof(bits));
    }
    return status;
}

/* How many values lie above the topmost mark; -1 without one. */
static int64_t above_mark(const struct relay_value_doc *d)
{
    for (uint32_t i = d->depth; i-- > 0;) {
        if (d->stack[i] == MARK_VALUE) {
            return (int64_t)d->depth - i - 1;
        }
    }
    return -1;
}

static bool is_container(enum relay_value_type type)
{
    return type >= RELAY_VALUE_LIST;
}

/* Move the n topmost values of the stack into container `index`. A value has one parent at most:
 * BINGET copies scalars and refuses containers, so the values form a tree. */
static int adopt(struct relay_value_doc *d, uint32_t index, uint32_t n)
{
    struct relay_value *parent = &d->v[index];
    for (uint32_t i = d->depth - n; i < d->depth; i++) {
        uint32_t kid = d->stack[i];
        if (kid == MARK_VALUE || kid == index) {
            return NK_EFORMAT;
        }
        if (parent->u.kids.last) {
            d->v[parent->u.kids.last].next = kid;
        } else {
            parent->u.kids.first = kid;
        }
        parent->u.kids.last = kid;
    }
    parent->count += n;
    d->depth -= n;
    return 0;
}

/* TUPLE, TUPLE1..3, FROZENSET: a new container of the n topmost values. */
static int collect(struct relay_value_doc *d, enum relay_value_type type, int64_t n, bool marked)
{
    struct relay_value *v;
    if (n < 0 || n + (marked ? 1 : 0) > d->depth) {
        return NK_EFORMAT;
    }
    int status = push_value(d, type, &v);
    if (status < 0) {
        return status;
    }
    uint32_t index = d->stack[--d->depth];
    status = adopt(d, index, (uint32_t)n);
    if (status == 0 && marked) {
        d->depth--;
    }
    return status == 0 ? push(d, index) : status;
}

/* APPEND(S), SETITEM(S), ADDITEMS: n topmost values go into the container below them. */
static int extend(struct relay_value_doc *d, enum relay_value_type type, int64_t n, bool marked)
{
    uint32_t below = marked ? 2 : 1;
    if (n < 0 || n + below > d->depth || (type == RELAY_VALUE_DICT && n % 2 != 0)) {
        return NK_EFORMAT;
    }
    uint32_t index = d->stack[d->depth - (uint32_t)n - below];
    if (index == MARK_VALUE || d->v[index].type != type) {
        return NK_EFORMAT;
    }
    int status = adopt(d, index, (uint32_t)n);
    if (status == 0 && marked) {
        d->depth--;
    }
    return status;
}

static int memo_put(struct relay_value_doc *d, uint32_t slot)
{
    if (d->depth == 0 || d->stack[d->depth - 1] == MARK_VALUE) {
        return NK_EFORMAT;
    }
    if (slot > RELAY_VALUE_MAX_VALUES) {
        return NK_EUNSUPPORTED;
    }
    int status = grow((void **)&d->memo, &d->memo_cap, sizeof(*d->memo), slot + 1);
    if (status < 0) {
        return status;
    }
    while (d->memo_n <= slot) {
        d->memo[d->memo_n++] = MARK_VALUE;
    }
    d->memo[slot] = d->stack[d->depth - 1];
    return 0;
}

static int memo_get(struct relay_value_doc *d, uint32_t slot)
{
    struct relay_value *v;
    if (slot >= d->memo_n || d->memo[slot] == MARK_VALUE) {
        return NK_EFORMAT;
    }
    uint32_t from = d->memo[slot];
    if (is_container(d->v[from].type)) {
        return NK_EUNSUPPORTED;
    }
    int status = push_value(d, RELAY_VALUE_NONE, &v);
    if (status == 0) {
        *v = d->v[from];
        v->next = 0;
    }
    return status;
}

static int pop_one(struct relay_value_doc *d)
{
    if (d->depth == 0) {
        return NK_EFORMAT;
    }
    d->depth--;
    return 0;
}

static int check_proto(uint8_t version)
{
    return version < PROTO_MIN || version > PROTO_MAX ? NK_EUNSUPPORTED : 0;
}

static int skip_frame(struct nk_cur *c)
{
    (void)nk_cur_le64(c); /* a hint for readers; the opcodes inside are what counts */
    return 0;
}

static int step_scalar(struct relay_value_doc *d, struct nk_cur *c, uint8_t op)
{
    switch (op) {
    case OP_NONE:
        return push_plain(d, RELAY_VALUE_NONE, false);
    case OP_NEWTRUE:
        return push_plain(d, RELAY_VALUE_BOOL, true);
    case OP_NEWFALSE:
        return push_plain(d, RELAY_VALUE_BOOL, false);
    case OP_BININT1:
        return push_int(d, nk_cur_u8(c));
    case OP_BININT2:
        return push_int(d, nk_cur_le16(c));
    case OP_BININT:
        return push_int(d, (int32_t)nk_cur_le32(c));
    case OP_LONG1:
        return push_long(d, c, nk_cur_u8(c));
    case OP_LONG4:
        return push_long(d, c, nk_cur_le32(c));
    case OP_BINFLOAT:
        return push_float(d, c);
    case OP_SHORT_BINUNICODE:
        return push_slice(d, c, RELAY_VALUE_STR, nk_cur_u8(c));
    case OP_BINUNICODE:
        return push_slice(d, c, RELAY_VALUE_STR, nk_cur_le32(c));
    case OP_BINUNICODE8:
        return push_slice(d, c, RELAY_VALUE_STR, nk_cur_le64(c));
    case OP_SHORT_BINBYTES:
        return push_slice(d, c, RELAY_VALUE_BYTES, nk_cur_u8(c));
    case OP_BINBYTES:
        return push_slice(d, c, RELAY_VALUE_BYTES, nk_cur_le32(c));
    case OP_BINBYTES8:
    case OP_BYTEARRAY8:
        return push_slice(d, c, RELAY_VALUE_BYTES, nk_cur_le64(c));
    default:
        return NK_EUNSUPPORTED; /* above all: whatever names a class or calls something */
    }
}

static int step(struct relay_value_doc *d, struct nk_cur *c, uint8_t op)
{
    switch (op) {
    case OP_PROTO:
        return check_proto(nk_cur_u8(c));
    case OP_FRAME:
        return skip_frame(c);
    case OP_MARK:
        return push(d, MARK_VALUE);
    case OP_POP:
        return pop_one(d);
    case OP_MEMOIZE:
        return memo_put(d, d->memo_n);
    case OP_BINPUT:
        return memo_put(d, nk_cur_u8(c));
    case OP_LONG_BINPUT:
        return memo_put(d, nk_cur_le32(c));
    case OP_BINGET:
        return memo_get(d, nk_cur_u8(c));
    case OP_LONG_BINGET:
        return memo_get(d, nk_cur_le32(c));
    case OP_EMPTY_TUPLE:
        return push_plain(d, RELAY_VALUE_TUPLE, false);
    case OP_EMPTY_LIST:
        return push_plain(d, RELAY_VALUE_LIST, false);
    case OP_EMPTY_DICT:
        return push_plain(d, RELAY_VALUE_DICT, false);
    case OP_EMPTY_SET:
        return push_plain(d, RELAY_VALUE_SET, false);
    case OP_TUPLE1:
        return collect(d, RELAY_VALUE_TUPLE, 1, false);
    case OP_TUPLE2:
        return collect(d, RELAY_VALUE_TUPLE, 2, false);
    case OP_TUPLE3:
        return collect(d, RELAY_VALUE_TUPLE, 3, false);
    case OP_TUPLE:
        return collect(d, RELAY_VALUE_TUPLE, above_mark(d), true);
    case OP_FROZENSET:
        return collect(d, RELAY_VALUE_SET, above_mark(d), true);
    case OP_APPEND:
        return extend(d, RELAY_VALUE_LIST, 1, false);
    case OP_APPENDS:
        return extend(d, RELAY_VALUE_LIST, above_mark(d), true);
    case OP_ADDITEMS:
        return extend(d, RELAY_VALUE_SET, above_mark(d), true);
    case OP_SETITEM:
        return extend(d, RELAY_VALUE_DICT, 2, false);
    case OP_SETITEMS:
        return extend(d, RELAY_VALUE_DICT, above_mark(d), true);
    default:
        return step_scalar(d, c, op);
    }
}

/* Levels of JSON below and at this value; a dict may need two (an array of pairs). */
static uint32_t tree_depth(const struct relay_value_doc *d, uint32_t index, uint32_t limit)
{
    uint32_t deepest = 0;
    if (limit == 0 || !is_container(d->v[index].type)) {
        return 1;
    }
    for (uint32_t k = d->v[index].u.kids.first; k; k = d->v[k].next) {
        uint32_t n = tree_depth(d, k, limit - 1);
        deepest = n > deepest ? n : deepest;
    }
    return deepest + (d->v[index].type == RELAY_VALUE_DICT ? 2 : 1);
}

/* Protocols 0 and 1 (before Python 2.3) do not say their number. Is it one of them, as far as its
 * first opcode and its end tell? */
static bool is_old_pickle(const uint8_t *p, size_t n)
{
    static const char lines[] = "ILFVScgp"; /* their arguments end with a line end */
    static const char first[] = "ILFVSc(NKMJGXU])}";
    return n >= 2 && p[n - 1] == OP_STOP && memchr(first, p[0], sizeof(first) - 1) &&
           (!memchr(lines, p[0], sizeof(lines) - 1) || memchr(p, '\n', n));
}

static int run(struct relay_value_doc *d, struct nk_cur *c)
{
    bool old = is_old_pickle(c->p, nk_cur_left(c));
    uint8_t op = nk_cur_u8(c);
    if (op != OP_PROTO) {
        return old ? NK_EUNSUPPORTED : NK_EFORMAT;
    }
    while (op != OP_STOP) {
        int status = step(d, c, op);
        op = nk_cur_u8(c);
        if (c->failed) {
            return NK_EFORMAT; /* it ends too early, whatever step() made of the zeros it read */
        }
        if (status < 0) {
            return status;
        }
    }
    if (!nk_cur_done(c) || d->depth != 1 || d->stack[0] == MARK_VALUE) {
        return NK_EFORMAT;
    }
    d->root = d->stack[0];
    return tree_depth(d, d->root, RELAY_VALUE_MAX_DEPTH + 1) > RELAY_VALUE_MAX_DEPTH
               ? NK_EUNSUPPORTED
               : 0;
}

int relay_value_decode(struct relay_value_doc *doc, const void *p, size_t n)
{
    struct nk_cur c;
    nk_cur_init(&c, p, n);
    doc->n = 1; /* index 0 means "none" */
    doc->root = doc->depth = doc->memo_n = 0;
    int status = run(doc, &c);
    if (status < 0) {
        doc->root = 0;
    }
    return status;
}

void relay_value_doc_clear(struct relay_value_doc *doc)
{
    free(doc->v);
    free(doc->stack);
    free(doc->memo);
    memset(doc, 0, sizeof(*doc));
}

const struct relay_value *relay_value_root(const struct relay_value_doc *doc)
{
    return doc->root ? &doc->v[doc->root] : NULL;
}

const struct relay_value *relay_value_child(const struct relay_value_doc *doc,
                                            const struct relay_value *v, uint32_t i)
{
    if (!is_container(v->type) || i >= v->count) {
        return NULL;
    }
    uint32_t k = v->u.kids.first;
    while (i-- > 0) {
        k = doc->v[k].next;
    }
    return &doc->v[k];
}

const char *relay_value_type_name(enum relay_value_type type)
{
    static const char *const names[] = {
        [RELAY_VALUE_NONE] = "NoneType", [RELAY_VALUE_BOOL] = "bool",
        [RELAY_VALUE_INT] = "int",       [RELAY_VALUE_BIGINT] = "int",
        [RELAY_VALUE_FLOAT] = "float",   [RELAY_VALUE_STR] = "str",
        [RELAY_VALUE_BYTES] = "bytes",   [RELAY_VALUE_LIST] = "list",
        [RELAY_VALUE_TUPLE] = "tuple",   [RELAY_VALUE_SET] = "set",
        [RELAY_VALUE_DICT] = "dict"};
    return names[type];
}

size_t relay_value_head(uint8_t out[RELAY_VALUE_HEAD_MAX], size_t n, bool as_str)
{
    bool wide = n > UINT32_MAX;
    size_t k = 0;
    out[k++] = OP_PROTO;
    out[k++] = wide ? 4 : 3; /* the eight-byte lengths came with protocol 4 */
    if (wide) {
        out[k++] = as_str ? OP_BINUNICODE8 : OP_BINBYTES8;
    } else {
        out[k++] = as_str ? OP_BINUNICODE : OP_BINBYTES;
    }
    for (size_t i = 0; i < (wide ? 8u : 4u); i++) {
        out[k++] = (uint8_t)((uint64_t)n >> (8 * i));
    }
    return k;
}
