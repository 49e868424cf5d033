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

#define PICKLE_MAX_VALUES 65536 /* values of one pickle; more is NK_EUNSUPPORTED */
#define PICKLE_MAX_DEPTH 12     /* levels of nesting, a dict counts as two; below NK_JSON_DEPTH */

enum pickle_type {
    PICKLE_NONE,
    PICKLE_BOOL,
    PICKLE_INT,
    PICKLE_BIGINT, /* an integer beyond 64 bits: its little-endian two's complement in `s` */
    PICKLE_FLOAT,
    PICKLE_STR,
    PICKLE_BYTES,
    PICKLE_LIST,
    PICKLE_TUPLE,
    PICKLE_SET,
    PICKLE_DICT /* children are key, value, key, value .. in order of insertion */
};

struct pickle_value {
    enum pickle_type type;
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
struct pickle_doc {
    struct pickle_value *v; /* v[0] is unused */
    uint32_t n, cap;
    uint32_t root;
    uint32_t *stack; /* private */
    uint32_t depth, stack_cap;
    uint32_t *memo;
    uint32_t memo_n, memo_cap;
};

/*
 * pickle_decode - decode the n bytes at p, which must be exactly one pickle and outlive doc's use.
 * Returns 0; NK_EFORMAT (not a pickle, or broken); NK_EUNSUPPORTED (an object of a class, a shared
 * or recursive container, or beyond the limits above); -ENOMEM. After a failure doc is empty.
 */
int pickle_decode(struct pickle_doc *doc, const void *p, size_t n);

/* pickle_doc_clear - free its memory; doc may be used again. */
void pickle_doc_clear(struct pickle_doc *doc);

/* pickle_root - the value of the last successful pickle_decode. */
const struct pickle_value *pickle_root(const struct pickle_doc *doc);

/* pickle_child - the i-th child of a container, or NULL. Linear in i. */
const struct pickle_value *pickle_child(const struct pickle_doc *doc, const struct pickle_value *v,
                                        uint32_t i);

/* pickle_type_name - Python's name of the type: "str", "int", "NoneType" .. */
const char *pickle_type_name(enum pickle_type type);

/*
 * pickle_to_json - write v as one JSON value: bytes as {"base64": ".."}; tuples and sets as arrays;
 * dicts as objects when all keys are strings, else as an array of [key, value] pairs; integers
 * beyond 64 bits as {"int": "0x.."} (two's complement); NaN and infinities as null. Errors are
 * sticky in j.
 */
int pickle_to_json(const struct pickle_doc *doc, const struct pickle_value *v, struct nk_json *j);

/*
 * The bytes around n raw bytes that make them a pickled bytes object (or, as_str, a pickled str:
 * then they must be valid UTF-8): head (at most PICKLE_HEAD_MAX bytes, length returned), the bytes,
 * and PICKLE_TAIL.
 */
#define PICKLE_HEAD_MAX 11
#define PICKLE_TAIL "."
size_t pickle_head(uint8_t out[PICKLE_HEAD_MAX], size_t n, bool as_str);

#endif
