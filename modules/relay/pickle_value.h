/* SPDX-License-Identifier: MIT */
/*
 * pickle_value - read and write plain Python values in pickle form (protocols 2 to 5), pure.
 *
 * Only data can be expressed: None, bool, int, float, str, bytes, bytearray, list, tuple, set,
 * frozenset, dict. Every opcode that names a class or calls something is refused, so reading a
 * pickle never executes anything. Strings and bytes are slices of the input.
 */
#ifndef NK_RELAY_PICKLE_VALUE_H
#define NK_RELAY_PICKLE_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/json.h"

#define RELAY_VALUE_MAX_VALUES 65536 /* values of one pickle; more is NK_EUNSUPPORTED */
#define RELAY_VALUE_MAX_DEPTH                                                                      \
    12 /* levels of nesting, a dict counts as two; below NK_JSON_DEPTH                             \
        */

enum relay_value_type {
    RELAY_VALUE_NONE,
    RELAY_VALUE_BOOL,
    RELAY_VALUE_INT,
    RELAY_VALUE_BIGINT, /* an integer beyond 64 bits: its little-endian two's complement in `s` */
    RELAY_VALUE_FLOAT,
    RELAY_VALUE_STR,
    RELAY_VALUE_BYTES,
    RELAY_VALUE_LIST,
    RELAY_VALUE_TUPLE,
    RELAY_VALUE_SET,
    RELAY_VALUE_DICT /* children are key, value, key, value .. in order of insertion */
};

struct relay_value {
    enum relay_value_type type;
    uint32_t count; /* containers: number of children */
    union {
        bool b;
        int64_t i;
        double f;
        struct {
            const uint8_t *p;
            size_t n;
        } s;
        struct {
            uint32_t first, last; /* indices into doc->v; 0 = none */
        } kids;
    } u;
    uint32_t next; /* following sibling, 0 = none */
};

/* One decoded pickle. Zero it once; it can be reused for many pickles and keeps its memory. */
struct relay_value_doc {
    struct relay_value *v; /* v[0] is unused */
    uint32_t n, cap;
    uint32_t root;
    uint32_t *stack; /* private */
    uint32_t depth, stack_cap;
    uint32_t *memo;
    uint32_t memo_n, memo_cap;
};

/*
 * relay_value_decode - decode the n bytes at p, which must be exactly one pickle and outlive doc's
 * use. Returns 0; NK_EFORMAT (not a pickle, or broken); NK_EUNSUPPORTED (an object of a class, a
 * shared or recursive container, protocol 0 or 1, or beyond the limits above); -ENOMEM. After a
 * failure doc is empty.
 */
int relay_value_decode(struct relay_value_doc *doc, const void *p, size_t n);

/* relay_value_doc_clear - free its memory; doc may be used again. */
void relay_value_doc_clear(struct relay_value_doc *doc);

/* relay_value_root - the value of the last successful relay_value_decode. */
const struct relay_value *relay_value_root(const struct relay_value_doc *doc);

/* relay_value_child - the i-th child of a container, or NULL. Linear in i. */
const struct relay_value *relay_value_child(const struct relay_value_doc *doc,
                                            const struct relay_value *v, uint32_t i);

/* relay_value_type_name - Python's name of the type: "str", "int", "NoneType" .. */
const char *relay_value_type_name(enum relay_value_type type);

/*
 * relay_value_to_json - write v as one JSON value: bytes as {"base64": ".."}; tuples and sets as
 * arrays; dicts as objects when all keys are strings, else as an array of [key, value] pairs;
 * integers beyond 64 bits as {"int": "0x.."} (two's complement); NaN and infinities as null. Errors
 * are sticky in j.
 */
int relay_value_to_json(const struct relay_value_doc *doc, const struct relay_value *v,
                        struct nk_json *j);

/*
 * The bytes around n raw bytes that make them a pickled bytes object (or, as_str, a pickled str:
 * then they must be valid UTF-8): head (at most RELAY_VALUE_HEAD_MAX bytes, length returned), the
 * bytes, and RELAY_VALUE_TAIL.
 */
#define RELAY_VALUE_HEAD_MAX 11
#define RELAY_VALUE_TAIL "."
size_t relay_value_head(uint8_t out[RELAY_VALUE_HEAD_MAX], size_t n, bool as_str);

#endif
