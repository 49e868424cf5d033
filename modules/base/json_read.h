/* SPDX-License-Identifier: MIT */
/*
 * json_read - read a JSON document (RFC 8259, strict: no comments, no trailing commas, valid UTF-8
 * only, nothing behind the value). The only user of yyjson; base/json.h writes.
 */
#ifndef NK_BASE_JSON_READ_H
#define NK_BASE_JSON_READ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct nk_json_doc;
struct nk_json_value; /* belongs to its document */

enum nk_json_type {
    NK_JSON_NULL,
    NK_JSON_BOOL,
    NK_JSON_INT,    /* fits int64_t */
    NK_JSON_UINT,   /* larger than that, fits uint64_t */
    NK_JSON_DOUBLE, /* every other number; too large ones are refused */
    NK_JSON_STRING,
    NK_JSON_ARRAY,
    NK_JSON_OBJECT
};

/* nk_json_parse - read n bytes. Memory is proportional to n. 0; NK_EFORMAT with the place and what
 * is wrong in diag; -ENOMEM. Free with nk_json_doc_free. */
int nk_json_parse(struct nk_json_doc **out, const void *p, size_t n, struct nk_diag *diag);
void nk_json_doc_free(struct nk_json_doc *d); /* NULL is fine */

/* nk_json_root - the document's value. */
const struct nk_json_value *nk_json_root(const struct nk_json_doc *d);

enum nk_json_type nk_json_type(const struct nk_json_value *v);

/* Contents, of the right type only: 0, NULL or false for others. A text has *n bytes, may hold NUL,
 * and is followed by one. */
bool nk_json_to_bool(const struct nk_json_value *v);
int64_t nk_json_to_int(const struct nk_json_value *v);
uint64_t nk_json_to_uint(const struct nk_json_value *v);
double nk_json_to_double(const struct nk_json_value *v);
const char *nk_json_to_text(const struct nk_json_value *v, size_t *n);

/* nk_json_get - the member `key` of an object (the first one of that name), or NULL; NULL for what
 * is no object, too. */
const struct nk_json_value *nk_json_get(const struct nk_json_value *v, const char *key);

/* nk_json_size - elements of an array, members of an object, 0 for others. */
size_t nk_json_size(const struct nk_json_value *v);

/* Walking an array or object: zero the walk, set `of`, then nk_json_next until it returns NULL; of
 * an object `key` is the member's name. */
struct nk_json_walk {
    const struct nk_json_value *of;
    const struct nk_json_value *key; /* a text; NULL in arrays */
    size_t at;                       /* private from here on */
    const struct nk_json_value *next;
};
const struct nk_json_value *nk_json_next(struct nk_json_walk *w);

#endif
