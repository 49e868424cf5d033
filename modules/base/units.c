/* SPDX-License-Identifier: MIT */
/* The number half of codec.h: numbers with units, their human forms, and near misses of names. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/codec.h"
#include "base/err.h"

/* Decimal digits at *s up to the first other byte, which *s is moved to. At least one digit. */
static int take_u64(const char **s, uint64_t *out)
{
    const char *p = *s;
    uint64_t v = 0;
    if (*p < '0' || *p > '9')
        return NK_EFORMAT;
    for (; *p >= '0' && *p <= '9'; p++) {
        uint64_t digit = (uint64_t)(*p - '0');
        if (v > (UINT64_MAX - digit) / 10)
            return NK_EFORMAT;
        v = v * 10 + digit;
    }
    *s = p;
    *out = v;
    return 0;
}

int nk_parse_u64(const char *s, uint64_t *out)
{
    uint64_t v;
    int r = take_u64(&s, &v);
    if (r < 0 || *s)
        return NK_EFORMAT;
    *out = v;
    return 0;
}

int nk_parse_i64(const char *s, int64_t *out)
{
    bool negative = *s == '-';
    uint64_t v;
    int r = nk_parse_u64(s + negative, &v);
    if (r < 0 || v > (uint64_t)INT64_MAX + negative)
        return NK_EFORMAT;
    if (negative)
        *out = v == 0 ? 0 : -(int64_t)(v - 1) - 1;
    else
        *out = (int64_t)v;
    return 0;
}

/* v * factor into *out, or NK_EFORMAT when it does not fit. */
static int scaled(uint64_t v, uint64_t factor, uint64_t *out)
{
    if (v > UINT64_MAX / factor)
        return NK_EFORMAT;
    *out = v * factor;
    return 0;
}

int nk_parse_size(const char *s, uint64_t *out)
{
    static const char letters[] = "kmgt";
    uint64_t v;
    int r = take_u64(&s, &v);
    if (r < 0)
        return r;
    if (*s == '\0') {
        *out = v;
        return 0;
    }
    const char *at = strchr(letters, *s | 0x20);
    if (!at || !*at)
        return NK_EFORMAT;
    bool binary = s[1] == '\0' || strcmp(s + 1, "iB") == 0;
    if (!binary && strcmp(s + 1, "B") != 0)
        return NK_EFORMAT;
    uint64_t factor = 1;
    for (const char *p = letters; p <= at; p++)
        factor *= binary ? 1024 : 1000;
    return scaled(v, factor, out);
}

static const struct {
    const char *name;
    uint64_t ms;
} duration_units[] = {
    {"d", 24 * 3600 * 1000}, {"h", 3600 * 1000}, {"m", 60 * 1000}, {"s", 1000}, {"ms", 1},
};

#define DURATION_UNITS (sizeof duration_units / sizeof *duration_units)

int nk_parse_duration(const char *s, uint64_t *out_ms)
{
    uint64_t v;
    int r = take_u64(&s, &v);
    if (r < 0)
        return r;
    if (*s == '\0')
        return scaled(v, 1000, out_ms);
    for (size_t i = 0; i < DURATION_UNITS; i++) {
        if (strcmp(s, duration_units[i].name) == 0)
            return scaled(v, duration_units[i].ms, out_ms);
    }
    return NK_EFORMAT;
}

char *nk_format_size(char *out, size_t max, uint64_t bytes)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    const size_t last = sizeof units / sizeof *units - 1;
    size_t unit = 0;
    uint64_t whole = bytes, rest = 0; /* rest: 1/1024 of the unit */
    while (whole >= 1024 && unit < last) {
        rest = whole % 1024;
        whole /= 1024;
        unit++;
    }
    uint64_t tenths = (rest * 10 + 512) / 1024;
    if (tenths == 10) {
        whole++;
        tenths = 0;
    }
    if (whole == 1024 && unit < last) {
        whole = 1;
        unit++;
    }
    if (tenths > 0)
        snprintf(out, max, "%" PRIu64 ".%" PRIu64 " %s", whole, tenths, units[unit]);
    else
        snprintf(out, max, "%" PRIu64 " %s", whole, units[unit]);
    return out;
}

char *nk_format_duration(char *out, size_t max, uint64_t ms)
{
    for (size_t i = 0; i < DURATION_UNITS; i++) {
        if (ms < duration_units[i].ms)
            continue;
        uint64_t whole = ms / duration_units[i].ms;
        uint64_t next = 0;
        if (i + 1 < DURATION_UNITS)
            next = ms % duration_units[i].ms / duration_units[i + 1].ms;
        if (next > 0)
            snprintf(out, max, "%" PRIu64 "%s %" PRIu64 "%s", whole, duration_units[i].name, next,
                     duration_units[i + 1].name);
        else
            snprintf(out, max, "%" PRIu64 "%s", whole, duration_units[i].name);
        return out;
    }
    snprintf(out, max, "0s");
    return out;
}

#define SUGGEST_MAX 64 /* longest word that is compared */

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Damerau-Levenshtein distance in its restricted form: insertions, deletions, replacements and
 * swaps of neighbours, no byte edited twice. Both lengths are at most SUGGEST_MAX. */
static size_t distance(const char *a, size_t na, const char *b, size_t nb)
{
    size_t rows[3][SUGGEST_MAX + 1];
    for (size_t j = 0; j <= nb; j++)
        rows[0][j] = j;
    for (size_t i = 1; i <= na; i++) {
        size_t *row = rows[i % 3];
        const size_t *above = rows[(i - 1) % 3];
        row[0] = i;
        for (size_t j = 1; j <= nb; j++) {
            size_t d = least(above[j], row[j - 1]) + 1;
            d = least(d, above[j - 1] + (a[i - 1] != b[j - 1]));
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                d = least(d, rows[(i - 2) % 3][j - 2] + 1);
            row[j] = d;
        }
    }
    return rows[na % 3][nb];
}

const char *nk_suggest(const char *word, const char *const *names, size_t n)
{
    size_t len = strlen(word);
    if (len > SUGGEST_MAX)
        return NULL;
    size_t best = least(2, len / 3) + 1;
    const char *found = NULL;
    for (size_t i = 0; i < n; i++) {
        size_t nlen = strlen(names[i]);
        if (nlen > SUGGEST_MAX)
            continue;
        size_t d = distance(word, len, names[i], nlen);
        if (d < best) {
            best = d;
            found = names[i];
        }
    }
    return found;
}
