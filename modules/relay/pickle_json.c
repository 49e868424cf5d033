/* SPDX-License-Identifier: MIT */
/* Plain Python values as JSON. */
#include "relay/pickle_value.h"

#include <stdlib.h>

#include "base/codec.h"
#include "base/err.h"

static void write_value(const struct relay_value_doc *d, const struct relay_value *v,
                        struct nk_json *j);

static void out_of_memory(struct nk_json *j)
{
    if (j->error == 0) {
        j->error = -ENOMEM;
    }
}

static void write_base64(struct nk_json *j, const uint8_t *p, size_t n)
{
    char *text = n < SIZE_MAX / 2 ? malloc(NK_BASE64_SIZE(n)) : NULL;
    if (!text) {
        out_of_memory(j);
        return;
    }
    nk_base64_encode(text, p, n, true);
    nk_json_object(j);
    nk_json_kv_str(j, "base64", text);
    nk_json_close(j);
    free(text);
}

static void write_bigint(struct nk_json *j, const uint8_t *p, size_t n)
{
    char *text = malloc(2 + NK_HEX_SIZE(n));
    if (!text) {
        out_of_memory(j);
        return;
    }
    text[0] = '0';
    text[1] = 'x';
    text[2] = '\0';
    for (size_t i = 0; i < n; i++) {
        nk_hex_encode(text + 2 + 2 * i, &p[n - 1 - i], 1);
    }
    nk_json_object(j);
    nk_json_kv_str(j, "int", text);
    nk_json_close(j);
    free(text);
}

static void write_array(const struct relay_value_doc *d, const struct relay_value *v,
                        struct nk_json *j)
{
    nk_json_array(j);
    for (uint32_t k = v->u.kids.first; k; k = d->v[k].next) {
        write_value(d, &d->v[k], j);
    }
    nk_json_close(j);
}

/* JSON keys are C strings here, so a key with a NUL in it cannot be one. */
static bool string_keys(const struct relay_value_doc *d, const struct relay_value *v)
{
    for (uint32_t k = v->u.kids.first; k; k = d->v[d->v[k].next].next) {
        const struct relay_value *key = &d->v[k];
        if (key->type != RELAY_VALUE_STR) {
            return false;
        }
        for (size_t i = 0; i < key->u.s.n; i++) {
            if (key->u.s.p[i] == '\0') {
                return false;
            }
        }
    }
    return true;
}

static void write_key(const struct relay_value *key, struct nk_json *j)
{
    struct nk_buf text;
    nk_buf_init(&text, key->u.s.n + 1);
    const char *s = nk_buf_put(&text, key->u.s.p, key->u.s.n) == 0 ? nk_buf_str(&text) : NULL;
    if (s) {
        nk_json_key(j, s);
    } else {
        out_of_memory(j);
    }
    nk_buf_clear(&text);
}

static void write_dict(const struct relay_value_doc *d, const struct relay_value *v,
                       struct nk_json *j)
{
    bool plain = string_keys(d, v);
    if (plain) {
        nk_json_object(j);
    } else {
        nk_json_array(j);
    }
    for (uint32_t k = v->u.kids.first; k; k = d->v[d->v[k].next].next) {
        const struct relay_value *value = &d->v[d->v[k].next];
        if (plain) {
            write_key(&d->v[k], j);
            write_value(d, value, j);
        } else {
            nk_json_array(j);
            write_value(d, &d->v[k], j);
            write_value(d, value, j);
            nk_json_close(j);
        }
    }
    nk_json_close(j);
}

static void write_value(const struct relay_value_doc *d, const struct relay_value *v,
                        struct nk_json *j)
{
    switch (v->type) {
    case RELAY_VALUE_NONE:
        nk_json_null(j);
        break;
    case RELAY_VALUE_BOOL:
        nk_json_bool(j, v->u.b);
        break;
    case RELAY_VALUE_INT:
        nk_json_i64(j, v->u.i);
        break;
    case RELAY_VALUE_BIGINT:
        write_bigint(j, v->u.s.p, v->u.s.n);
        break;
    case RELAY_VALUE_FLOAT:
        nk_json_f64(j, v->u.f);
        break;
    case RELAY_VALUE_STR:
        nk_json_strn(j, v->u.s.p, v->u.s.n);
        break;
    case RELAY_VALUE_BYTES:
        write_base64(j, v->u.s.p, v->u.s.n);
        break;
    case RELAY_VALUE_LIST:
    case RELAY_VALUE_TUPLE:
    case RELAY_VALUE_SET:
        write_array(d, v, j);
        break;
    case RELAY_VALUE_DICT:
        write_dict(d, v, j);
        break;
    }
}

int relay_value_to_json(const struct relay_value_doc *doc, const struct relay_value *v,
                        struct nk_json *j)
{
    write_value(doc, v, j);
    return j->error;
}
