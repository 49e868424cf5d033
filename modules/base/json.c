/* SPDX-License-Identifier: MIT */
#include "base/json.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/utf8.h"

void nk_json_init(struct nk_json *j, struct nk_buf *out, bool pretty)
{
    memset(j, 0, sizeof *j);
    j->out = out;
    j->pretty = pretty;
}

static void set_error(struct nk_json *j, int error)
{
    if (j->error == 0 && error < 0)
        j->error = error;
}

static void raw(struct nk_json *j, const char *p, size_t n)
{
    if (j->error == 0)
        set_error(j, nk_buf_put(j->out, p, n));
}

static void text(struct nk_json *j, const char *s)
{
    raw(j, s, strlen(s));
}

static void new_line(struct nk_json *j)
{
    if (!j->pretty)
        return;
    text(j, "\n");
    for (unsigned i = 0; i < j->depth; i++)
        text(j, "  ");
}

/* What stands before an item of the current container: comma, line break. */
static void next_item(struct nk_json *j)
{
    if (j->has_item[j->depth]) {
        if (j->depth == 0) {
            set_error(j, NK_EINTERNAL); /* a document is one value */
            return;
        }
        text(j, ",");
    }
    j->has_item[j->depth] = true;
    if (j->depth > 0)
        new_line(j);
}

static bool in_object(const struct nk_json *j)
{
    return j->depth > 0 && j->close[j->depth] == '}';
}

static void begin_value(struct nk_json *j)
{
    if (j->after_key)
        j->after_key = false;
    else if (in_object(j))
        set_error(j, NK_EINTERNAL); /* a value without its key */
    else
        next_item(j);
}

static void open_container(struct nk_json *j, const char *open, char close)
{
    begin_value(j);
    if (j->depth == NK_JSON_DEPTH) {
        set_error(j, NK_EINTERNAL);
        return;
    }
    text(j, open);
    j->depth++;
    j->has_item[j->depth] = false;
    j->close[j->depth] = close;
}

void nk_json_object(struct nk_json *j)
{
    open_container(j, "{", '}');
}

void nk_json_array(struct nk_json *j)
{
    open_container(j, "[", ']');
}

void nk_json_close(struct nk_json *j)
{
    if (j->depth == 0 || j->after_key) {
        set_error(j, NK_EINTERNAL);
        return;
    }
    char close = j->close[j->depth];
    bool had_items = j->has_item[j->depth];
    j->depth--;
    if (had_items)
        new_line(j);
    raw(j, &close, 1);
}

/* The escape of a character that may not or should not stand in a string as it is, into out (at
 * least 13 bytes); 0 when it can stay. */
static int escaped(char *out, uint32_t cp)
{
    static const char from[] = "\"\\\b\f\n\r\t";
    static const char to[] = "\"\\bfnrt";
    const char *at = cp > 0 && cp < 0x80 ? strchr(from, (int)cp) : NULL;
    if (at)
        return snprintf(out, 13, "\\%c", to[at - from]);
    if (nk_utf8_control(cp))
        return snprintf(out, 13, "\\u%04" PRIx32, cp);
    return 0;
}

static void string(struct nk_json *j, const uint8_t *p, size_t n)
{
    text(j, "\"");
    size_t plain = 0; /* bytes before i that still have to be written as they are */
    size_t i = 0;
    while (i < n && j->error == 0) {
        char item[13];
        uint32_t cp;
        if (p[i] >= ' ' && p[i] <= '~' && p[i] != '"' && p[i] != '\\') { /* nearly always */
            plain++;
            i++;
            continue;
        }
        size_t used = nk_utf8_next(p + i, n - i, &cp);
        int len;
        if (used == 0) {
            used = 1;
            len = snprintf(item, sizeof item, "\xef\xbf\xbd"); /* U+FFFD */
        } else {
            len = escaped(item, cp);
        }
        if (len > 0) {
            raw(j, (const char *)p + i - plain, plain);
            raw(j, item, (size_t)len);
            plain = 0;
        } else {
            plain += used;
        }
        i += used;
    }
    raw(j, (const char *)p + i - plain, plain);
    text(j, "\"");
}

void nk_json_key(struct nk_json *j, const char *key)
{
    if (!in_object(j) || j->after_key) {
        set_error(j, NK_EINTERNAL);
        return;
    }
    next_item(j);
    string(j, (const uint8_t *)key, strlen(key));
    text(j, j->pretty ? ": " : ":");
    j->after_key = true;
}

void nk_json_strn(struct nk_json *j, const void *p, size_t n)
{
    begin_value(j);
    string(j, n > 0 ? p : (const void *)"", n);
}

void nk_json_str(struct nk_json *j, const char *s)
{
    if (s)
        nk_json_strn(j, s, strlen(s));
    else
        nk_json_null(j);
}

void nk_json_i64(struct nk_json *j, int64_t v)
{
    char num[24];
    begin_value(j);
    snprintf(num, sizeof num, "%" PRId64, v);
    text(j, num);
}

void nk_json_u64(struct nk_json *j, uint64_t v)
{
    char num[24];
    begin_value(j);
    snprintf(num, sizeof num, "%" PRIu64, v);
    text(j, num);
}

void nk_json_f64(struct nk_json *j, double v)
{
    if (!isfinite(v)) {
        nk_json_null(j);
        return;
    }
    char num[40];
    begin_value(j);
    /* 15 digits when they are exact, else the 17 that always are. */
    snprintf(num, sizeof num, "%.15g", v);
    double back = strtod(num, NULL);
    if (back < v || back > v)
        snprintf(num, sizeof num, "%.17g", v);
    text(j, num);
    if (!strpbrk(num, ".e")) /* or most readers would take it for an integer */
        text(j, ".0");
}

void nk_json_bool(struct nk_json *j, bool v)
{
    begin_value(j);
    text(j, v ? "true" : "false");
}

void nk_json_null(struct nk_json *j)
{
    begin_value(j);
    text(j, "null");
}

void nk_json_kv_str(struct nk_json *j, const char *key, const char *s)
{
    nk_json_key(j, key);
    nk_json_str(j, s);
}

void nk_json_kv_i64(struct nk_json *j, const char *key, int64_t v)
{
    nk_json_key(j, key);
    nk_json_i64(j, v);
}

void nk_json_kv_u64(struct nk_json *j, const char *key, uint64_t v)
{
    nk_json_key(j, key);
    nk_json_u64(j, v);
}

void nk_json_kv_bool(struct nk_json *j, const char *key, bool v)
{
    nk_json_key(j, key);
    nk_json_bool(j, v);
}

int nk_json_end(struct nk_json *j)
{
    if (j->depth != 0 || !j->has_item[0])
        set_error(j, NK_EINTERNAL);
    return j->error;
}
