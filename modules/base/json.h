/* SPDX-License-Identifier: MIT */
/*
 * json - a small JSON writer into an nk_buf (RFC 8259).
 *
 * Commas and nesting are handled; strings are escaped; invalid UTF-8 is replaced by U+FFFD. Errors
 * are sticky: write the whole document, then check nk_json_end().
 */
#ifndef NK_BASE_JSON_H
#define NK_BASE_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/buf.h"

#define NK_JSON_DEPTH 16

struct nk_json {
    struct nk_buf *out;
    int error;
    unsigned depth;
    bool pretty;
    bool after_key;
    bool has_item[NK_JSON_DEPTH + 1];
    char close[NK_JSON_DEPTH + 1];
};

/* nk_json_init - write to out (borrowed). pretty indents by two spaces. */
void nk_json_init(struct nk_json *j, struct nk_buf *out, bool pretty);

/* Containers; more than NK_JSON_DEPTH levels or unbalanced calls are NK_EINTERNAL at the end. */
void nk_json_object(struct nk_json *j);
void nk_json_array(struct nk_json *j);
void nk_json_close(struct nk_json *j);

/* nk_json_key - the next value's name inside an object. */
void nk_json_key(struct nk_json *j, const char *key);

/* Values. */
void nk_json_str(struct nk_json *j, const char *s); /* NULL writes null */
void nk_json_strn(struct nk_json *j, const void *p, size_t n);
void nk_json_i64(struct nk_json *j, int64_t v);
void nk_json_u64(struct nk_json *j, uint64_t v);
void nk_json_f64(struct nk_json *j, double v); /* 1 is "1.0"; NaN and infinities write null */
void nk_json_bool(struct nk_json *j, bool v);
void nk_json_null(struct nk_json *j);

/* Key and value in one call. */
void nk_json_kv_str(struct nk_json *j, const char *key, const char *s);
void nk_json_kv_i64(struct nk_json *j, const char *key, int64_t v);
void nk_json_kv_u64(struct nk_json *j, const char *key, uint64_t v);
void nk_json_kv_bool(struct nk_json *j, const char *key, bool v);

/* nk_json_end - 0 when the document is complete and balanced, else the first error. */
int nk_json_end(struct nk_json *j);

#endif
