/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/codec.h"
#include "base/opt.h"
#include "base/secret.h"

static void *field_of(const struct nk_opt *row, void *conf)
{
    return (char *)conf + row->offset;
}

static const void *field_in(const struct nk_opt *row, const void *conf)
{
    return (const char *)conf + row->offset;
}

static bool is_secret(const struct nk_opt *row)
{
    return (row->flags & NK_OPT_SECRET) != 0;
}

/* Every refusal goes through here: the value is only shown when it is no secret. */
static int refuse(const struct nk_opt *row, const char *text, const char *what,
                  struct nk_diag *diag)
{
    if (is_secret(row)) {
        return nk_fail(diag, NK_ECONFIG, "the value is not %s", what);
    }
    return nk_fail(diag, NK_ECONFIG, "'%.80s' is not %s", text, what);
}

static int parse_bool(const struct nk_opt *row, const char *text, bool *out, struct nk_diag *diag)
{
    static const struct {
        const char *word;
        bool value;
    } words[] = {{"yes", true}, {"true", true},   {"on", true},   {"1", true},
                 {"no", false}, {"false", false}, {"off", false}, {"0", false}};
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (strcmp(text, words[i].word) == 0) {
            *out = words[i].value;
            return 0;
        }
    }
    return refuse(row, text, "yes or no", diag);
}

static void format_bound(char *out, size_t max, const struct nk_opt *row, int64_t v)
{
    switch (row->type) {
    case NK_OPT_SIZE:
        nk_format_size(out, max, (uint64_t)v);
        break;
    case NK_OPT_DURATION:
        nk_format_duration(out, max, (uint64_t)v);
        break;
    default:
        snprintf(out, max, "%" PRId64, v);
        break;
    }
}

static int refuse_range(const struct nk_opt *row, const char *text, struct nk_diag *diag)
{
    char lo[32], hi[32], what[96];
    format_bound(lo, sizeof(lo), row, row->min);
    format_bound(hi, sizeof(hi), row, row->max);
    snprintf(what, sizeof(what), "between %s and %s", lo, hi);
    return refuse(row, text, what, diag);
}

bool nk_opt_has_bounds(const struct nk_opt *row)
{
    return (row->type == NK_OPT_INT || row->type == NK_OPT_SIZE || row->type == NK_OPT_DURATION) &&
           (row->min != 0 || row->max != 0);
}

static int parse_int(const struct nk_opt *row, const char *text, int64_t *out, struct nk_diag *diag)
{
    int64_t v;
    if (nk_parse_i64(text, &v) < 0) {
        return refuse(row, text, "a whole number", diag);
    }
    if (nk_opt_has_bounds(row) && (v < row->min || v > row->max)) {
        return refuse_range(row, text, diag);
    }
    *out = v;
    return 0;
}

static int parse_unsigned(const struct nk_opt *row, const char *text, uint64_t *out,
                          struct nk_diag *diag)
{
    uint64_t v;
    if (row->type == NK_OPT_SIZE) {
        if (nk_parse_size(text, &v) < 0) {
            return refuse(row, text, "a size such as 4096, 64k or 1MiB", diag);
        }
    } else if (nk_parse_duration(text, &v) < 0) {
        return refuse(row, text, "a duration such as 250ms, 15s, 2m, 1h or 3d", diag);
    }
    if (nk_opt_has_bounds(row) &&
        (v > INT64_MAX || (int64_t)v < row->min || (int64_t)v > row->max)) {
        return refuse_range(row, text, diag);
    }
    *out = v;
    return 0;
}

static int refuse_choice(const struct nk_opt *row, const char *text, struct nk_diag *diag)
{
    char what[200] = "one of";
    size_t n = 0, len = strlen(what);
    for (; row->choices[n]; n++) {
        int w = snprintf(what + len, sizeof(what) - len, "%s %s", n ? "," : "", row->choices[n]);
        if (w < 0 || (size_t)w >= sizeof(what) - len) {
            break;
        }
        len += (size_t)w;
    }
    while (row->choices[n]) {
        n++;
    }
    int rc = refuse(row, text, what, diag);
    const char *near = is_secret(row) ? NULL : nk_suggest(text, row->choices, n);
    if (near) {
        nk_hint(diag, "did you mean '%s'?", near);
    }
    return rc;
}

static int parse_enum(const struct nk_opt *row, const char *text, int *out, struct nk_diag *diag)
{
    for (int i = 0; row->choices[i]; i++) {
        if (strcmp(text, row->choices[i]) == 0) {
            *out = i;
            return 0;
        }
    }
    return refuse_choice(row, text, diag);
}

static void free_text(const struct nk_opt *row, char *text)
{
    if (text && is_secret(row)) {
        nk_wipe(text, strlen(text));
    }
    free(text);
}

/* Makes the list one longer; the caller sets the string. NULL without memory. */
static char **grow(struct nk_strlist *l)
{
    char **v = realloc(l->v, (l->n + 1) * sizeof(*v));
    if (!v) {
        return NULL;
    }
    l->v = v;
    return &v[l->n++];
}

int nk_strlist_add(struct nk_strlist *l, const char *text, size_t len)
{
    char *copy = strndup(text, len);
    char **slot = copy ? grow(l) : NULL;
    if (!slot) {
        free(copy);
        return -ENOMEM;
    }
    *slot = copy;
    return 0;
}

void nk_strlist_clear(struct nk_strlist *l)
{
    for (size_t i = 0; i < l->n; i++) {
        free(l->v[i]);
    }
    free(l->v);
    *l = (struct nk_strlist){0};
}

static int append(struct nk_strlist *list, char *take_text, struct nk_diag *diag)
{
    if (list->n >= NK_OPT_MAX_REPEAT) {
        free(take_text);
        return nk_fail(diag, NK_ECONFIG, "more than %d values", NK_OPT_MAX_REPEAT);
    }
    char **slot = grow(list);
    if (!slot) {
        free(take_text);
        return nk_fail(diag, -ENOMEM, "out of memory");
    }
    *slot = take_text;
    return 0;
}

static int parse_text(const struct nk_opt *row, const char *text, void *field, struct nk_diag *diag)
{
    if (*text == '\0' && row->type != NK_OPT_STRING) {
        return nk_fail(diag, NK_ECONFIG, "the value is empty");
    }
    char *copy = strdup(text);
    if (!copy) {
        return nk_fail(diag, -ENOMEM, "out of memory");
    }
    if (row->flags & NK_OPT_REPEAT) {
        return append(field, copy, diag);
    }
    char **slot = field;
    free_text(row, *slot);
    *slot = copy;
    return 0;
}

int nk_opt_parse_value(const struct nk_opt *row, const char *text, void *conf, struct nk_diag *diag)
{
    void *field = field_of(row, conf);
    switch (row->type) {
    case NK_OPT_FLAG:
    case NK_OPT_BOOL:
        return parse_bool(row, text, field, diag);
    case NK_OPT_INT:
        return parse_int(row, text, field, diag);
    case NK_OPT_SIZE:
    case NK_OPT_DURATION:
        return parse_unsigned(row, text, field, diag);
    case NK_OPT_ENUM:
        return parse_enum(row, text, field, diag);
    case NK_OPT_STRING:
    case NK_OPT_PATH:
    case NK_OPT_LISTEN:
    case NK_OPT_CONNECT:
        return parse_text(row, text, field, diag);
    }
    return nk_fail(diag, NK_EINTERNAL, "option row '%s' has no known type", row->name);
}

int nk_opt_parse_default(const struct nk_opt *row, void *conf, struct nk_diag *diag)
{
    return row->def ? nk_opt_parse_value(row, row->def, conf, diag) : 0;
}

void nk_opt_free_values(const struct nk_opt *rows, void *conf)
{
    for (const struct nk_opt *o = nk_opt_first(rows); o; o = nk_opt_next(rows, o)) {
        if (!nk_opt_is_text(o)) {
            continue;
        }
        if (o->flags & NK_OPT_REPEAT) {
            struct nk_strlist *list = field_of(o, conf);
            for (size_t i = 0; i < list->n; i++) {
                free_text(o, list->v[i]);
            }
            free(list->v);
            *list = (struct nk_strlist){0};
        } else {
            char **slot = field_of(o, conf);
            free_text(o, *slot);
            *slot = NULL;
        }
    }
}

/* A size or duration in the largest unit that divides it, so that it reads back exactly. */
static void format_exact(char *out, size_t max, uint64_t v, bool size)
{
    static const struct {
        uint64_t unit;
        const char *suffix;
    } sizes[] = {{1ULL << 40, "T"}, {1ULL << 30, "G"}, {1ULL << 20, "M"}, {1ULL << 10, "k"}},
      times[] = {{86400000, "d"}, {3600000, "h"}, {60000, "m"}, {1000, "s"}};
    for (size_t i = 0; i < 4 && v > 0; i++) {
        uint64_t unit = size ? sizes[i].unit : times[i].unit;
        if (v % unit == 0) {
            snprintf(out, max, "%" PRIu64 "%s", v / unit, size ? sizes[i].suffix : times[i].suffix);
            return;
        }
    }
    snprintf(out, max, "%" PRIu64 "%s", v, size ? "" : "ms");
}

static bool format_text(char *out, size_t max, const struct nk_opt *row, const void *field,
                        size_t i)
{
    const char *text;
    if (row->flags & NK_OPT_REPEAT) {
        const struct nk_strlist *list = field;
        text = i < list->n ? list->v[i] : NULL;
    } else {
        text = i == 0 ? *(char *const *)field : NULL;
    }
    if (!text) {
        return false;
    }
    snprintf(out, max, "%s", is_secret(row) ? "***" : text);
    return true;
}

bool nk_opt_format_value(char *out, size_t max, const struct nk_opt *row, const void *conf,
                         size_t i)
{
    const void *field = field_in(row, conf);
    out[0] = '\0';
    if (nk_opt_is_text(row)) {
        return format_text(out, max, row, field, i);
    }
    if (i > 0) {
        return false;
    }
    switch (row->type) {
    case NK_OPT_FLAG:
    case NK_OPT_BOOL:
        snprintf(out, max, "%s", *(const bool *)field ? "yes" : "no");
        break;
    case NK_OPT_INT:
        snprintf(out, max, "%" PRId64, *(const int64_t *)field);
        break;
    case NK_OPT_ENUM:
        snprintf(out, max, "%s", row->choices[*(const int *)field]);
        break;
    default:
        format_exact(out, max, *(const uint64_t *)field, row->type == NK_OPT_SIZE);
        break;
    }
    if (is_secret(row)) {
        snprintf(out, max, "***");
    }
    return true;
}

static bool same_text(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

static bool same_list(const struct nk_strlist *a, const struct nk_strlist *b)
{
    bool same = a->n == b->n;
    for (size_t i = 0; same && i < a->n; i++) {
        same = same_text(a->v[i], b->v[i]);
    }
    return same;
}

bool nk_opt_same(const struct nk_opt *row, const void *a, const void *b)
{
    const void *x = field_in(row, a), *y = field_in(row, b);
    if (nk_opt_is_text(row)) {
        return row->flags & NK_OPT_REPEAT ? same_list(x, y)
                                          : same_text(*(char *const *)x, *(char *const *)y);
    }
    switch (row->type) {
    case NK_OPT_FLAG:
    case NK_OPT_BOOL:
        return *(const bool *)x == *(const bool *)y;
    case NK_OPT_ENUM:
        return *(const int *)x == *(const int *)y;
    default: /* int64_t or uint64_t: the same bits */
        return memcmp(x, y, sizeof(uint64_t)) == 0;
    }
}
