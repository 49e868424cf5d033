/* SPDX-License-Identifier: MIT */
#include "relay/wire_pickle.h"

#include <stdlib.h>
#include <string.h>

#include "base/codec.h"
#include "base/cur.h"

/* Opcodes of Python's pickle format (Lib/pickletools.py), those that an envelope can hold. */
enum op {
    OP_PROTO = 0x80,
    OP_FRAME = 0x95,
    OP_STOP = 0x2e,
    OP_MARK = 0x28,
    OP_NONE = 0x4e,
    OP_NEWTRUE = 0x88,
    OP_NEWFALSE = 0x89,
    OP_BININT1 = 0x4b,
    OP_BININT2 = 0x4d,
    OP_BININT = 0x4a,
    OP_LONG1 = 0x8a,
    OP_SHORT_BINUNICODE = 0x8c,
    OP_BINUNICODE = 0x58,
    OP_BINUNICODE8 = 0x8d,
    OP_SHORT_BINBYTES = 0x43,
    OP_BINBYTES = 0x42,
    OP_BINBYTES8 = 0x8e,
    OP_MEMOIZE = 0x94,
    OP_BINPUT = 0x71,
    OP_LONG_BINPUT = 0x72,
    OP_BINGET = 0x68,
    OP_LONG_BINGET = 0x6a,
    OP_EMPTY_TUPLE = 0x29,
    OP_TUPLE1 = 0x85,
    OP_TUPLE2 = 0x86,
    OP_TUPLE3 = 0x87,
    OP_TUPLE = 0x74,
    OP_EMPTY_DICT = 0x7d,
    OP_SETITEM = 0x73,
    OP_SETITEMS = 0x75,
    OP_EMPTY_LIST = 0x5d,
    OP_APPEND = 0x61,
    OP_APPENDS = 0x65,
    OP_EMPTY_SET = 0x8f,
    OP_ADDITEMS = 0x90,
    OP_FROZENSET = 0x91
};

enum {
    PROTO_MIN = 2,
    PROTO_MAX = 5,
    INT64_BYTES = 8,
    MARKS_MAX = 4, /* the envelope needs two: the outer tuple and one container */
    SLACK = 16,    /* values beside the groups: stamp, command, containers */
    STACK_MAX = 2 * RELAY_ENVELOPE_GROUPS + SLACK, /* a dict's keys and values */
    ITEMS_MAX = 2 * RELAY_ENVELOPE_GROUPS + SLACK,
    MEMO_MAX = RELAY_ENVELOPE_GROUPS + SLACK,
    ENVELOPE_ITEMS = 4
};

enum val_type { V_UNSET, V_NONE, V_INT, V_STR, V_BYTES, V_TUPLE, V_ARRAY, V_DICT };

/* A scalar, or a container whose `count` elements are items[first ..]. Lists and sets are arrays.
 */
struct val {
    uint8_t type;
    uint32_t count;
    union {
        int64_t i;
        uint32_t first;
        struct {
            const uint8_t *p;
            size_t n;
        } s;
    } u;
};

struct relay_pickle {
    struct nk_cur in;
    const char *why;
    uint32_t depth, nitems, nmemo, nmarks;
    uint32_t marks[MARKS_MAX];
    struct relay_dest dest[RELAY_ENVELOPE_GROUPS];
    struct val memo[MEMO_MAX];
    struct val stack[STACK_MAX];
    struct val items[ITEMS_MAX];
};

struct relay_pickle *relay_pickle_new(void)
{
    return malloc(sizeof(struct relay_pickle));
}

void relay_pickle_free(struct relay_pickle *k)
{
    free(k);
}

/* The first complaint stays; returns false so that it can be returned. */
static bool refuse(struct relay_pickle *k, const char *why)
{
    if (!k->why) {
        k->why = why;
    }
    return false;
}

/* --- stack ------------------------------------------------------------------------------------ */

static bool push(struct relay_pickle *k, struct val v)
{
    if (k->depth == STACK_MAX) {
        return refuse(k, "more groups than one frame may name");
    }
    k->stack[k->depth++] = v;
    return true;
}

static bool push_int(struct relay_pickle *k, int64_t i)
{
    return push(k, (struct val){.type = V_INT, .u.i = i});
}

static bool push_long(struct relay_pickle *k)
{
    uint8_t n = nk_cur_u8(&k->in);
    const uint8_t *p = nk_cur_bytes(&k->in, n);
    if (!p || n > INT64_BYTES) {
        return refuse(k, "an integer does not fit 64 bits");
    }
    uint64_t v = n && (p[n - 1] & 0x80) ? UINT64_MAX : 0; /* sign extension */
    for (unsigned i = n; i-- > 0;) {
        v = v << 8 | p[i];
    }
    return push_int(k, (int64_t)v);
}

static bool push_text(struct relay_pickle *k, enum val_type type, uint64_t n)
{
    if (n > nk_cur_left(&k->in)) {
        return refuse(k, "a string is longer than its frame");
    }
    const uint8_t *p = nk_cur_bytes(&k->in, (size_t)n);
    if (type == V_STR && !nk_utf8_valid(p, (size_t)n)) {
        return refuse(k, "a string is not UTF-8");
    }
    return push(k, (struct val){.type = (uint8_t)type, .u.s = {.p = p, .n = (size_t)n}});
}

/* The lowest stack slot that values may be taken from: above the last mark. */
static uint32_t stack_floor(const struct relay_pickle *k)
{
    return k->nmarks ? k->marks[k->nmarks - 1] : 0;
}

static bool pop_mark(struct relay_pickle *k, uint32_t *from)
{
    if (k->nmarks == 0) {
        return refuse(k, "a container without beginning");
    }
    *from = k->marks[--k->nmarks];
    return true;
}

static bool is_scalar(const struct val *v)
{
    return v->type == V_NONE || v->type == V_INT || v->type == V_STR || v->type == V_BYTES;
}

/* --- containers ------------------------------------------------------------------------------- */

/* Move the stack from slot `from` up behind the items; only the envelope itself may hold
 * containers. */
static bool move_items(struct relay_pickle *k, uint32_t from, bool scalars)
{
    uint32_t n = k->depth - from;
    if (n > ITEMS_MAX - k->nitems) {
        return refuse(k, "more groups than one frame may name");
    }
    for (uint32_t i = from; i < k->depth; i++) {
        if (scalars && !is_scalar(&k->stack[i])) {
            return refuse(k, "containers are nested too deeply");
        }
        k->items[k->nitems++] = k->stack[i];
    }
    k->depth = from;
    return true;
}

static bool make(struct relay_pickle *k, enum val_type type, uint32_t from)
{
    uint32_t first = k->nitems, n = k->depth - from;
    bool outermost = type == V_TUPLE && n == ENVELOPE_ITEMS && from == 0 && k->nmarks == 0;
    return move_items(k, from, !outermost) &&
           push(k, (struct val){.type = (uint8_t)type, .count = n, .u.first = first});
}

static bool make_tuple_n(struct relay_pickle *k, uint32_t n)
{
    if (k->depth - stack_floor(k) < n) {
        return refuse(k, "a tuple without its elements");
    }
    return make(k, V_TUPLE, k->depth - n);
}

/* Add the stack from slot `from` up to the container just below; `type` is what it has to be. */
static bool extend(struct relay_pickle *k, enum val_type type, uint32_t from)
{
    uint32_t n = k->depth - from;
    if (from <= stack_floor(k) || k->stack[from - 1].type != type) {
        return refuse(k, "elements without their container");
    }
    struct val *c = &k->stack[from - 1];
    if (c->count == 0) {
        c->u.first = k->nitems;
    }
    if (c->u.first + c->count != k->nitems) {
        return refuse(k, "two containers are mixed");
    }
    if (type == V_DICT && n % 2) {
        return refuse(k, "a key without value");
    }
    if (!move_items(k, from, true)) {
        return false;
    }
    c->count += n;
    return true;
}

static bool extend_n(struct relay_pickle *k, enum val_type type, uint32_t n)
{
    if (k->depth - stack_floor(k) < n + 1) {
        return refuse(k, "elements without their container");
    }
    return extend(k, type, k->depth - n);
}

static bool op_container(struct relay_pickle *k, uint8_t op)
{
    uint32_t from;
    switch (op) {
    case OP_MARK:
        if (k->nmarks == MARKS_MAX) {
            return refuse(k, "containers are nested too deeply");
        }
        k->marks[k->nmarks++] = k->depth;
        return true;
    case OP_EMPTY_TUPLE:
        return push(k, (struct val){.type = V_TUPLE});
    case OP_TUPLE1:
    case OP_TUPLE2:
    case OP_TUPLE3:
        return make_tuple_n(k, (uint32_t)op - OP_TUPLE1 + 1);
    case OP_TUPLE:
        return pop_mark(k, &from) && make(k, V_TUPLE, from);
    case OP_FROZENSET:
        return pop_mark(k, &from) && make(k, V_ARRAY, from);
    case OP_EMPTY_LIST:
    case OP_EMPTY_SET:
        return push(k, (struct val){.type = V_ARRAY});
    case OP_EMPTY_DICT:
        return push(k, (struct val){.type = V_DICT});
    case OP_APPEND:
        return extend_n(k, V_ARRAY, 1);
    case OP_SETITEM:
        return extend_n(k, V_DICT, 2);
    case OP_APPENDS:
    case OP_ADDITEMS:
        return pop_mark(k, &from) && extend(k, V_ARRAY, from);
    case OP_SETITEMS:
        return pop_mark(k, &from) && extend(k, V_DICT, from);
    default:
        return refuse(k, "an opcode that an envelope never needs (is this another protocol?)");
    }
}

/* --- memo ------------------------------------------------------------------------------------- */

/* Containers are never fetched back by an envelope; only scalars keep their value there. */
static bool memo_put(struct relay_pickle *k, uint32_t slot)
{
    if (k->depth <= stack_floor(k) || slot >= MEMO_MAX) {
        return refuse(k, "a memo that no envelope needs");
    }
    while (k->nmemo <= slot) {
        k->memo[k->nmemo++].type = V_UNSET;
    }
    k->memo[slot] = k->stack[k->depth - 1];
    return true;
}

static bool memo_get(struct relay_pickle *k, uint32_t slot)
{
    if (slot >= k->nmemo || !is_scalar(&k->memo[slot])) {
        return refuse(k, "a memo that no envelope needs");
    }
    return push(k, k->memo[slot]);
}

static bool op_memo(struct relay_pickle *k, uint8_t op)
{
    switch (op) {
    case OP_MEMOIZE:
        return memo_put(k, k->nmemo);
    case OP_BINPUT:
        return memo_put(k, nk_cur_u8(&k->in));
    case OP_LONG_BINPUT:
        return memo_put(k, nk_cur_le32(&k->in));
    case OP_BINGET:
        return memo_get(k, nk_cur_u8(&k->in));
    case OP_LONG_BINGET:
        return memo_get(k, nk_cur_le32(&k->in));
    default:
        return op_container(k, op);
    }
}

/* --- the machine ------------------------------------------------------------------------------ */

static bool step(struct relay_pickle *k, uint8_t op)
{
    struct nk_cur *in = &k->in;
    switch (op) {
    case OP_FRAME: /* a hint for buffering; its length is checked and nothing else */
        return nk_cur_le64(in) <= nk_cur_left(in) || refuse(k, "a pickle frame that is too long");
    case OP_NONE:
        return push(k, (struct val){.type = V_NONE});
    case OP_NEWTRUE:
        return push_int(k, 1);
    case OP_NEWFALSE:
        return push_int(k, 0);
    case OP_BININT1:
        return push_int(k, nk_cur_u8(in));
    case OP_BININT2:
        return push_int(k, nk_cur_le16(in));
    case OP_BININT:
        return push_int(k, (int32_t)nk_cur_le32(in));
    case OP_LONG1:
        return push_long(k);
    case OP_SHORT_BINUNICODE:
        return push_text(k, V_STR, nk_cur_u8(in));
    case OP_BINUNICODE:
        return push_text(k, V_STR, nk_cur_le32(in));
    case OP_BINUNICODE8:
        return push_text(k, V_STR, nk_cur_le64(in));
    case OP_SHORT_BINBYTES:
        return push_text(k, V_BYTES, nk_cur_u8(in));
    case OP_BINBYTES:
        return push_text(k, V_BYTES, nk_cur_le32(in));
    case OP_BINBYTES8:
        return push_text(k, V_BYTES, nk_cur_le64(in));
    default:
        return op_memo(k, op);
    }
}

/* Run to STOP, which must be the last byte and leave one value, the envelope. */
static bool run(struct relay_pickle *k)
{
    for (;;) {
        uint8_t op = nk_cur_u8(&k->in);
        if (k->in.failed) {
            return refuse(k, "the envelope is cut off");
        }
        if (op == OP_STOP) {
            break;
        }
        if (!step(k, op) || k->in.failed) {
            return refuse(k, "the envelope is cut off");
        }
    }
    if (!nk_cur_done(&k->in)) {
        return refuse(k, "bytes after the end of the envelope");
    }
    const struct val *top = &k->stack[0];
    if (k->depth != 1 || k->nmarks || top->type != V_TUPLE || top->count != ENVELOPE_ITEMS) {
        return refuse(k, "the envelope is not a tuple of four");
    }
    return true;
}

/* --- meaning ---------------------------------------------------------------------------------- */

static enum relay_command command_of(const struct val *v)
{
    static const struct {
        char name[8];
        uint8_t len;
        enum relay_command cmd;
    } names[] = {{"OBJ", 3, RELAY_CMD_OBJ},
                 {"ACK", 3, RELAY_CMD_ACK},
                 {"NTF", 3, RELAY_CMD_NTF},
                 {"HELLO", 5, RELAY_CMD_HELLO}};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (v->u.s.n == names[i].len && memcmp(v->u.s.p, names[i].name, names[i].len) == 0) {
            return names[i].cmd;
        }
    }
    return RELAY_CMD_OTHER;
}

static bool add_dest(struct relay_pickle *k, size_t *n, const struct val *name, int64_t number)
{
    if (name->type != V_STR) {
        return refuse(k, "a group's name is not a string");
    }
    if (*n == RELAY_ENVELOPE_GROUPS) {
        return refuse(k, "more groups than one frame may name");
    }
    k->dest[(*n)++] = (struct relay_dest){.name = name->u.s.p, .len = name->u.s.n, .n = number};
    return true;
}

/* The groups of a HELLO: a tuple, list, set, frozenset, the keys of a dict, one string, or None. */
static bool read_groups(struct relay_pickle *k, const struct val *v, size_t *n)
{
    if (v->type == V_NONE) {
        return true;
    }
    if (v->type == V_STR) {
        return add_dest(k, n, v, 0);
    }
    if (v->type != V_TUPLE && v->type != V_ARRAY && v->type != V_DICT) {
        return refuse(k, "the groups of a HELLO are not names");
    }
    uint32_t width = v->type == V_DICT ? 2 : 1;
    for (uint32_t i = 0; i < v->count; i += width) {
        if (!add_dest(k, n, &k->items[v->u.first + i], 0)) {
            return false;
        }
    }
    return true;
}

static bool read_dest(struct relay_pickle *k, const struct val *v, size_t *n)
{
    if (v->type != V_DICT) {
        return refuse(k, "a destination is not a dict of groups and numbers");
    }
    for (uint32_t i = 0; i < v->count; i += 2) {
        const struct val *pair = &k->items[v->u.first + i];
        if (pair[1].type != V_INT) {
            return refuse(k, "a destination is not a dict of groups and numbers");
        }
        if (!add_dest(k, n, &pair[0], pair[1].u.i)) {
            return false;
        }
    }
    return true;
}

static bool interpret(struct relay_pickle *k, const uint8_t *payload, struct relay_envelope *e)
{
    const struct val *item = &k->items[k->stack[0].u.first];
    const struct val *stamp = &item[0], *cmd = &item[1], *dest = &item[2], *obj = &item[3];
    if (stamp->type != V_INT || cmd->type != V_STR) {
        return refuse(k, "the envelope has no stamp and command");
    }
    e->stamp = stamp->u.i;
    e->cmd = command_of(cmd);
    e->dest = k->dest;
    switch (e->cmd) {
    case RELAY_CMD_HELLO:
        return read_groups(k, obj, &e->ndest);
    case RELAY_CMD_NTF:
        return read_dest(k, dest, &e->ndest);
    case RELAY_CMD_OBJ:
        if (obj->type != V_BYTES) {
            return refuse(k, "an object is not bytes");
        }
        e->obj_off = (size_t)(obj->u.s.p - payload);
        e->obj_len = obj->u.s.n;
        return read_dest(k, dest, &e->ndest);
    default:
        return true;
    }
}

int relay_envelope_parse(struct relay_pickle *k, const void *payload, size_t n,
                         struct relay_envelope *out, const char **why)
{
    const uint8_t *p = payload;
    if (n < 2 || p[0] != OP_PROTO || p[1] < PROTO_MIN || p[1] > PROTO_MAX) {
        *why = "the payload is not a pickle: an Endpoint with a serializer of its own wraps the "
               "envelope too and cannot use this relay";
        return NK_EUNSUPPORTED;
    }
    nk_cur_init(&k->in, p + 2, n - 2);
    k->why = NULL;
    k->depth = k->nitems = k->nmemo = k->nmarks = 0;
    struct relay_envelope e = {0};
    if (!run(k) || !interpret(k, p, &e)) {
        *why = k->why;
        return NK_EPROTO;
    }
    *out = e;
    return 0;
}

/* --- writing ---------------------------------------------------------------------------------- */

static size_t put_le(uint8_t *out, uint64_t v, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++) {
        out[i] = (uint8_t)(v >> (8 * i));
    }
    return bytes;
}

/* PROTO, the stamp and the command's name. */
static size_t put_start(uint8_t *out, uint8_t proto, int64_t stamp, const char *cmd, uint32_t len)
{
    size_t n = 0;
    out[n++] = OP_PROTO;
    out[n++] = proto;
    if (stamp >= INT32_MIN && stamp <= INT32_MAX) {
        out[n++] = OP_BININT;
        n += put_le(out + n, (uint64_t)stamp, sizeof(int32_t));
    } else {
        out[n++] = OP_LONG1;
        out[n++] = INT64_BYTES;
        n += put_le(out + n, (uint64_t)stamp, INT64_BYTES);
    }
    out[n++] = OP_BINUNICODE;
    n += put_le(out + n, len, sizeof(len));
    memcpy(out + n, cmd, len);
    return n + len;
}

static size_t put_end_none(uint8_t *out)
{
    memcpy(out, "N" RELAY_OBJ_TAIL, 1 + RELAY_OBJ_TAIL_LEN);
    return 1 + RELAY_OBJ_TAIL_LEN;
}

size_t relay_pickle_hello(uint8_t out[RELAY_HELLO_LEN], uint32_t stamp)
{
    size_t n = put_start(out, 3, stamp, "HELLO", 5);
    return n + put_end_none(out + n);
}

size_t relay_pickle_ping(uint8_t out[RELAY_PING_LEN], uint32_t stamp)
{
    size_t n = put_start(out, 3, stamp, "PING", 4);
    return n + put_end_none(out + n);
}

size_t relay_pickle_ack(uint8_t out[RELAY_ACK_MAX], int64_t stamp)
{
    size_t n = put_start(out, 3, stamp, "ACK", 3);
    return n + put_end_none(out + n);
}

size_t relay_pickle_obj_head(uint8_t out[RELAY_OBJ_HEAD_MAX], uint32_t stamp, uint64_t len)
{
    bool huge = len > UINT32_MAX; /* BINBYTES8 came with protocol 4 */
    size_t n = put_start(out, huge ? 4 : 3, stamp, "OBJ", 3);
    out[n++] = huge ? OP_BINBYTES8 : OP_BINBYTES;
    return n + put_le(out + n, len, huge ? sizeof(uint64_t) : sizeof(uint32_t));
}
