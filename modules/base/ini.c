/* SPDX-License-Identifier: MIT */
#include "base/ini.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ini.h>

#include "base/codec.h"
#include "base/err.h"

/* What a refused section header becomes for inih, so that its keys join no other section. */
#define REFUSED_SECTION "[!]"

/* What a header may consist of; which of it means something is the caller's to say. */
#define SECTION_LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 \t-_.:@/"

struct scan {
    const struct nk_ini_events *ev;
    int rc;
    bool in_refused; /* second pass: below a refused header */
};

static void report(struct scan *s, unsigned line, const char *text)
{
    s->rc = NK_EFORMAT;
    s->ev->problem(s->ev->owner, line, text);
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* NULL when every byte of the line may stand in a configuration file. */
static const char *bad_bytes(const char *p, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)p[i];
        if ((c < 0x20 && c != '\t') || c == 0x7f) {
            return c == 0 ? "NUL byte in the line" : "control character in the line";
        }
    }
    return nk_utf8_valid(p, n) ? NULL : "the line is not valid UTF-8";
}

static const char *check_section(const char *p, size_t n)
{
    const char *end = memchr(p, ']', n);
    if (!end) {
        return "section header without ']'";
    }
    if (end != p + n - 1) {
        return "text after the ']' of a section header (comments need a line of their own)";
    }
    for (const char *c = p + 1; c < end; c++) {
        if (!strchr(SECTION_LETTERS, *c)) {
            return "unexpected character in a section name";
        }
    }
    if (n - 2 > NK_INI_MAX_NAME) {
        return "the section name is too long (49 characters at most)";
    }
    return n == 2 ? "empty section name" : NULL;
}

static const char *check_key(const char *p, size_t n)
{
    const char *eq = memchr(p, '=', n);
    const char *colon = memchr(p, ':', n);
    if (!eq) {
        return colon ? "':' is no separator here, write 'key = value'"
                     : "neither a [section], nor 'key = value', nor a comment";
    }
    if (colon && colon < eq) {
        return "':' is no separator here, write 'key = value'";
    }
    size_t len = (size_t)(eq - p);
    while (len > 0 && is_blank(p[len - 1])) {
        len--;
    }
    if (len == 0) {
        return "no key before '='";
    }
    return len > NK_INI_MAX_NAME ? "the key is too long (49 characters at most)" : NULL;
}

/* p[0..n) is one line without its end. Returns what is wrong, or NULL. */
static const char *check_line(const char *p, size_t n, bool *section)
{
    *section = false;
    if (n > NK_INI_MAX_LINE) {
        return "the line is too long (16384 bytes at most)";
    }
    const char *start = p;
    while (n > 0 && is_blank(*p)) {
        p++, n--;
    }
    while (n > 0 && is_blank(p[n - 1])) {
        n--;
    }
    const char *bad = bad_bytes(p, n);
    *section = n > 0 && *p == '[';
    if (bad || n == 0 || *p == ';' || *p == '#') {
        return bad;
    }
    if (p != start) {
        return "indented line (a value cannot continue on the next line; a key or section starts "
               "in the first column)";
    }
    return *section ? check_section(p, n) : check_key(p, n);
}

/* First pass: report what is wrong, and write to `out` (room for 2 * len + 4 bytes) what inih will
 * read: the same lines, refused ones empty. */
static void scan_lines(struct scan *s, const char *text, size_t len, char *out)
{
    size_t pos = 0;
    if (len >= 3 && memcmp(text, "\xEF\xBB\xBF", 3) == 0) {
        pos = 3;
    }
    for (unsigned line = 1; pos < len; line++) {
        const char *p = text + pos;
        const char *nl = memchr(p, '\n', len - pos);
        size_t n = nl ? (size_t)(nl - p) : len - pos;
        pos += n + 1;
        n -= n > 0 && p[n - 1] == '\r';
        bool section;
        const char *bad = check_line(p, n, &section);
        if (bad) {
            report(s, line, bad);
            p = REFUSED_SECTION;
            n = section ? strlen(REFUSED_SECTION) : 0;
        }
        memcpy(out, p, n);
        out += n;
        *out++ = '\n';
    }
    *out = '\0';
}

/* inih's handler (INI_HANDLER_LINENO, INI_CALL_HANDLER_ON_NEW_SECTION). */
static int on_line(void *user, const char *section, const char *key, const char *value, int lineno)
{
    struct scan *s = user;
    unsigned line = (unsigned)lineno;
    if (!key) {
        s->in_refused = strcmp(section, "!") == 0;
        if (!s->in_refused) {
            s->ev->section(s->ev->owner, line, section);
        }
    } else if (*section == '\0') {
        report(s, line, "key before the first [section]");
    } else if (!s->in_refused) {
        s->ev->key(s->ev->owner, line, key, value);
    }
    return 1;
}

int nk_ini_parse(const char *text, size_t len, const struct nk_ini_events *events)
{
    if (len > NK_INI_MAX_TEXT) {
        return NK_ETOOBIG;
    }
    char *copy = malloc(2 * len + 4);
    if (!copy) {
        return -ENOMEM;
    }
    struct scan s = {.ev = events};
    scan_lines(&s, text, len, copy);
    int rc = ini_parse_string(copy, on_line, &s);
    free(copy);
    if (rc < 0) {
        return -ENOMEM;
    }
    if (rc > 0 && s.rc == 0) {
        report(&s, (unsigned)rc, "the line could not be read");
    }
    return s.rc;
}
