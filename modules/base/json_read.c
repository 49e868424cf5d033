/* SPDX-License-Identifier: MIT */
#include "base/json_read.h"

#include <string.h>
#include <yyjson.h>

/* Our types are other names of theirs. */
static const yyjson_val *theirs(const struct nk_json_value *v)
{
    return (const yyjson_val *)v;
}

static yyjson_val *theirs_mutable(const struct nk_json_value *v)
{
    return (yyjson_val *)(uintptr_t)v;
}

static const struct nk_json_value *ours(const yyjson_val *v)
{
    return (const struct nk_json_value *)v;
}

int nk_json_parse(struct nk_json_doc **out, const void *p, size_t n, struct nk_diag *diag)
{
    yyjson_read_err err;
    /* without INSITU the input is not written to */
    yyjson_doc *d = yyjson_read_opts((char *)(uintptr_t)p, n, 0, NULL, &err);
    if (d) {
        *out = (struct nk_json_doc *)d;
        return 0;
    }
    if (err.code == YYJSON_READ_ERROR_MEMORY_ALLOCATION) {
        return nk_fail_sys(diag, -ENOMEM, "JSON");
    }
    return nk_fail(diag, NK_EFORMAT, "not JSON at byte %zu: %s", err.pos + 1, err.msg);
}

void nk_json_doc_free(struct nk_json_doc *d)
{
    yyjson_doc_free((yyjson_doc *)d);
}

const struct nk_json_value *nk_json_root(const struct nk_json_doc *d)
{
    return ours(((const yyjson_doc *)d)->root);
}

enum nk_json_type nk_json_type(const struct nk_json_value *v)
{
    switch (yyjson_get_type(theirs_mutable(v))) {
    case YYJSON_TYPE_BOOL:
        return NK_JSON_BOOL;
    case YYJSON_TYPE_STR:
        return NK_JSON_STRING;
    case YYJSON_TYPE_ARR:
        return NK_JSON_ARRAY;
    case YYJSON_TYPE_OBJ:
        return NK_JSON_OBJECT;
    case YYJSON_TYPE_NUM:
        break;
    default:
        return NK_JSON_NULL;
    }
    if (yyjson_is_real(theirs_mutable(v))) {
        return NK_JSON_DOUBLE;
    }
    return yyjson_is_uint(theirs_mutable(v)) && yyjson_get_uint(theirs_mutable(v)) > INT64_MAX
               ? NK_JSON_UINT
               : NK_JSON_INT;
}

bool nk_json_to_bool(const struct nk_json_value *v)
{
    return yyjson_get_bool(theirs_mutable(v));
}

int64_t nk_json_to_int(const struct nk_json_value *v)
{
    return v && nk_json_type(v) == NK_JSON_INT ? yyjson_get_sint(theirs_mutable(v)) : 0;
}

uint64_t nk_json_to_uint(const struct nk_json_value *v)
{
    bool any = v && (nk_json_type(v) == NK_JSON_UINT || nk_json_to_int(v) > 0);
    return any ? yyjson_get_uint(theirs_mutable(v)) : 0;
}

double nk_json_to_double(const struct nk_json_value *v)
{
    return yyjson_get_num(theirs_mutable(v));
}

const char *nk_json_to_text(const struct nk_json_value *v, size_t *n)
{
    const char *s = yyjson_get_str(theirs_mutable(v));
    if (n) {
        *n = s ? yyjson_get_len(theirs_mutable(v)) : 0;
    }
    return s;
}

const struct nk_json_value *nk_json_get(const struct nk_json_value *v, const char *key)
{
    return ours(yyjson_obj_get(theirs_mutable(v), key));
}

size_t nk_json_size(const struct nk_json_value *v)
{
    size_t n = yyjson_obj_size(theirs_mutable(v));
    return n ? n : yyjson_arr_size(theirs_mutable(v));
}

const struct nk_json_value *nk_json_next(struct nk_json_walk *w)
{
    if (w->at == nk_json_size(w->of)) {
        return NULL;
    }
    bool object = nk_json_type(w->of) == NK_JSON_OBJECT;
    if (w->at++ == 0) {
        w->next = object ? ours(unsafe_yyjson_get_first(theirs_mutable(w->of)))
                         : ours(yyjson_arr_get_first(theirs_mutable(w->of)));
    }
    const struct nk_json_value *v = w->next;
    if (object) { /* the name, and right behind it the value */
        w->key = v;
        v = ours(theirs(v) + 1);
    }
    w->next = ours(unsafe_yyjson_get_next(theirs_mutable(v)));
    return v;
}
