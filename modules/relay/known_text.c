/* SPDX-License-Identifier: MIT */
#include "relay/known_text.h"

#include <stdio.h>
#include <string.h>

#include "base/codec.h"
#include "base/utc.h"

#define PIN_PREFIX "sha256:"

enum { PIN_TEXT = 7 + 2 * RELAY_KNOWN_KEY, LINE_MAX_BYTES = 512 };

/* The next line of the n bytes at *p; false at the end. */
static bool next_line(const char **p, const char *end, struct relay_known_line *out)
{
    if (*p == end) {
        return false;
    }
    const char *nl = memchr(*p, '\n', (size_t)(end - *p));
    out->p = *p;
    out->n = (size_t)((nl ? nl : end) - *p);
    *p = nl ? nl + 1 : end;
    return true;
}

/* The next word of a line. */
static struct relay_known_line next_word(struct relay_known_line *l)
{
    while (l->n && (*l->p == ' ' || *l->p == '\t')) {
        l->p++;
        l->n--;
    }
    struct relay_known_line w = {l->p, 0};
    while (w.n < l->n && w.p[w.n] != ' ' && w.p[w.n] != '\t') {
        w.n++;
    }
    l->p += w.n;
    l->n -= w.n;
    return w;
}

static bool word_is(struct relay_known_line w, const char *text)
{
    return w.n == strlen(text) && memcmp(w.p, text, w.n) == 0;
}

/* Is this the line about where? 1, 0, or NK_EFORMAT. */
static int parse_line(struct relay_known_line l, const char *where, struct relay_known *out)
{
    struct relay_known k = {.how = RELAY_KNOWN_PASSWORD};
    struct relay_known_line host = next_word(&l), pin, how;
    if (host.n == 0 || host.p[0] == '#') {
        return 0;
    }
    pin = next_word(&l);
    how = next_word(&l);
    if (pin.n != PIN_TEXT || memcmp(pin.p, PIN_PREFIX, strlen(PIN_PREFIX)) != 0 ||
        nk_hex_decode(k.key, sizeof(k.key), pin.p + strlen(PIN_PREFIX), pin.n - strlen(PIN_PREFIX),
                      false) != RELAY_KNOWN_KEY) {
        return NK_EFORMAT;
    }
    if (word_is(how, "user")) {
        k.how = RELAY_KNOWN_USER;
    } else if (!word_is(how, "password")) {
        return NK_EFORMAT;
    }
    if (!word_is(host, where)) {
        return 0;
    }
    *out = k;
    return 1;
}

static int check_head(const char **p, const char *end, const char *path, struct nk_diag *diag)
{
    struct relay_known_line head;
    uint64_t version = 0;
    char text[16];
    size_t skip = strlen(RELAY_KNOWN_MAGIC);
    if (!next_line(p, end, &head) || head.n <= skip || head.n - skip >= sizeof(text) ||
        memcmp(head.p, RELAY_KNOWN_MAGIC, skip) != 0) {
        return nk_fail(diag, NK_EFORMAT, "%s does not begin with '" RELAY_KNOWN_MAGIC "%d'", path,
                       RELAY_KNOWN_VERSION);
    }
    snprintf(text, sizeof(text), "%.*s", (int)(head.n - skip), head.p + skip);
    if (nk_parse_u64(text, &version) < 0 || version != RELAY_KNOWN_VERSION) {
        return nk_fail(diag, NK_EVERSION, "%s is of version %s; known here is %d", path, text,
                       RELAY_KNOWN_VERSION);
    }
    return 0;
}

int relay_known_text_find(const struct nk_buf *text, const char *path, const char *where,
                          struct relay_known *out, struct relay_known_line *line,
                          struct nk_diag *diag)
{
    const char *p = nk_buf_len(text) ? (const char *)nk_buf_ptr(text) : "";
    const char *end = p + nk_buf_len(text);
    int rc = check_head(&p, end, path, diag);
    for (unsigned number = 2; rc == 0 && next_line(&p, end, line); number++) {
        rc = parse_line(*line, where, out);
        if (rc < 0) {
            return nk_fail(diag, NK_EFORMAT, "%s, line %u: not HOST:PORT sha256:HEX password|user",
                           path, number);
        }
    }
    return rc < 0 ? rc : rc == 1 ? 0 : -ENOENT;
}

static int put_entry(struct nk_buf *out, const struct relay_known_lesson *l)
{
    char text[LINE_MAX_BYTES], hex[NK_HEX_SIZE(RELAY_KNOWN_KEY)], day[NK_UTC_SIZE];
    nk_hex_encode(hex, l->key, RELAY_KNOWN_KEY);
    if (!nk_format_utc(day, l->now)) {
        snprintf(day, sizeof(day), "-");
    }
    day[strcspn(day, "T")] = '\0';
    int n = snprintf(text, sizeof(text), "%s " PIN_PREFIX "%s password %s\n", l->where, hex, day);
    return n < 0 || (size_t)n >= sizeof(text) ? NK_ETOOBIG : nk_buf_put(out, text, (size_t)n);
}

int relay_known_text_write(struct nk_buf *out, const struct nk_buf *text,
                           struct relay_known_line old, const struct relay_known_lesson *l)
{
    const char *p = (const char *)nk_buf_ptr(text);
    size_t n = nk_buf_len(text), before = old.p ? (size_t)(old.p - p) : n;
    int rc = nk_buf_put(out, p, before);
    if (rc == 0 && before > 0 && p[before - 1] != '\n') {
        rc = nk_buf_put(out, "\n", 1);
    }
    rc = rc < 0 ? rc : put_entry(out, l);
    size_t after = before + old.n + (before + old.n < n);
    return rc < 0 || after >= n ? rc : nk_buf_put(out, p + after, n - after);
}
