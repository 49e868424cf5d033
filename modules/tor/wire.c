/* SPDX-License-Identifier: MIT */
#include "tor/wire.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/codec.h"

enum {
    OCTAL_DIGITS = 3, /* of an escaped byte, as tor writes them */
    NUMBER_TEXT = 24,
    DELETE = 0x7f
};

int tor_wire_status(const char *p, size_t n, struct tor_line *out, struct nk_diag *diag)
{
    bool fine = n >= TOR_STATUS_SIZE && p[0] >= '1' && p[0] <= '6';
    fine = fine && p[1] >= '0' && p[1] <= '9' && p[2] >= '0' && p[2] <= '9';
    if (!fine || (p[3] != ' ' && p[3] != '-' && p[3] != '+')) {
        char shown[48];
        return nk_fail(diag, NK_EPROTO, "this is not a line of a control port: %s",
                       nk_escape(shown, sizeof(shown), p, n));
    }
    *out = (struct tor_line){.code = (p[0] - '0') * 100 + (p[1] - '0') * 10 + (p[2] - '0'),
                             .kind = p[3],
                             .text = p + TOR_STATUS_SIZE,
                             .len = n - TOR_STATUS_SIZE};
    return 0;
}

int tor_wire_undot(const char *p, size_t n)
{
    if (n == 0 || p[0] != '.') {
        return 0;
    }
    return n == 1 ? -1 : 1;
}

/* --- commands --------------------------------------------------------------------------------- */

/* Whether the word at *p (up to end) begins with prefix; *p moves to the next word. */
static bool next_begins(const char **p, const char *end, const char *prefix, bool *found)
{
    while (*p < end && (**p == ' ' || **p == '\t')) {
        (*p)++;
    }
    size_t n = strlen(prefix);
    *found = (size_t)(end - *p) >= n && strncasecmp(*p, prefix, n) == 0;
    bool any = *p < end;
    while (*p < end && **p != ' ' && **p != '\t') {
        (*p)++;
    }
    return any;
}

/* Whether one of the arguments (the words after the first) begins with prefix. */
static bool has_argument(const char *line, size_t n, const char *prefix)
{
    const char *p = line, *end = line + n;
    bool found;
    (void)next_begins(&p, end, "", &found);
    while (next_begins(&p, end, prefix, &found)) {
        if (found) {
            return true;
        }
    }
    return false;
}

static bool is_command(const char *line, size_t n, const char *name)
{
    size_t len = strlen(name);
    while (n > 0 && (*line == ' ' || *line == '\t')) {
        line++;
        n--;
    }
    return n >= len && strncasecmp(line, name, len) == 0 &&
           (n == len || line[len] == ' ' || line[len] == '\t');
}

bool tor_wire_answers_secrets(const char *line, size_t n)
{
    return is_command(line, n, "ONION_CLIENT_AUTH_VIEW") || is_command(line, n, "ADD_ONION");
}

/* What tor leaves without an answer would shift every later one. */
static int check_answered(const char *line, size_t n, bool data, struct nk_diag *diag)
{
    if (is_command(line, n, "ADD_ONION") && has_argument(line, n, "ClientAuth=")) {
        nk_fail(diag, NK_EUSAGE,
                "tor does not answer ADD_ONION with ClientAuth=, so it is not sent");
        nk_hint(diag, "version 3 has Flags=V3Auth and ClientAuthV3=KEY");
        return NK_EUSAGE;
    }
    if (data && is_command(line, n, "HSPOST") && !has_argument(line, n, "HSADDRESS=")) {
        return nk_fail(diag, NK_EUSAGE,
                       "tor does not answer HSPOST without HSADDRESS=, so it is not sent");
    }
    return 0;
}

static int check_line(const char *line, size_t n, struct nk_diag *diag)
{
    bool blank = true;
    for (size_t i = 0; i < n; i++) {
        if (line[i] == '\r' || line[i] == '\n' || line[i] == '\0') {
            return nk_fail(diag, NK_EUSAGE, "a command of tor is one line, without CR, LF and NUL");
        }
        blank = blank && (line[i] == ' ' || line[i] == '\t');
    }
    if (blank) {
        return nk_fail(diag, NK_EUSAGE, "an empty line is no command");
    }
    if (line[0] == '+') {
        return nk_fail(diag, NK_EUSAGE, "'+' in front of a command announces data; none are given");
    }
    return 0;
}

/* The data as they are sent; out has been checked to have room. */
static int put_data(struct nk_buf *out, const char *p, size_t len)
{
    const char *end = p + len;
    int rc = 0;
    while (rc == 0 && p < end) {
        const char *lf = memchr(p, '\n', (size_t)(end - p));
        size_t n = (size_t)((lf ? lf : end) - p);
        size_t bare = n > 0 && p[n - 1] == '\r' ? n - 1 : n;
        rc = bare > 0 && p[0] == '.' ? nk_buf_u8(out, '.') : 0;
        rc = rc < 0 ? rc : nk_buf_put(out, p, bare);
        rc = rc < 0 ? rc : nk_buf_put(out, "\r\n", 2);
        p += n + (lf ? 1 : 0);
    }
    return rc < 0 ? rc : nk_buf_put(out, ".\r\n", 3);
}

int tor_wire_put_command(struct nk_buf *out, const char *line, size_t n, const void *data,
                         size_t len, struct nk_diag *diag)
{
    size_t before = nk_buf_len(out);
    int rc = check_line(line, n, diag);
    rc = rc < 0 ? rc : check_answered(line, n, data != NULL, diag);
    if (rc < 0) {
        return rc;
    }
    if (data && len > 0 && memchr(data, '\0', len)) {
        return nk_fail(diag, NK_EUSAGE, "the data of a command of tor cannot have NUL bytes");
    }
    rc = n > TOR_COMMAND_MAX || len > TOR_COMMAND_MAX ? NK_ETOOBIG : 0;
    rc = rc < 0 || !data ? rc : nk_buf_u8(out, '+');
    rc = rc < 0 ? rc : nk_buf_put(out, line, n);
    rc = rc < 0 ? rc : nk_buf_put(out, "\r\n", 2);
    rc = rc < 0 || !data ? rc : put_data(out, data, len);
    if (rc == 0 && nk_buf_len(out) - before > TOR_COMMAND_MAX) {
        rc = NK_ETOOBIG;
    }
    if (rc < 0) {
        out->len = out->len > before ? before : out->len;
        return nk_fail_sys(diag, rc, "a command for tor of %zu bytes", n + len);
    }
    return 0;
}

/* --- quoting ---------------------------------------------------------------------------------- */

static void cut_back(struct nk_buf *out, size_t before)
{
    if (out->secret && out->len > before) {
        memset(nk_buf_ptr(out) + before, 0, out->len - before);
    }
    out->len = before;
}

int tor_wire_quote_auth(struct nk_buf *out, const char *p, size_t n)
{
    size_t before = nk_buf_len(out);
    int rc = nk_buf_u8(out, '"');
    for (size_t i = 0; rc == 0 && i < n; i++) {
        if (p[i] == '\r' || p[i] == '\n' || p[i] == '\0') {
            rc = NK_EUSAGE;
            break;
        }
        rc = p[i] == '"' || p[i] == '\\' ? nk_buf_u8(out, '\\') : 0;
        rc = rc < 0 ? rc : nk_buf_u8(out, (uint8_t)p[i]);
    }
    rc = rc < 0 ? rc : nk_buf_u8(out, '"');
    if (rc < 0) {
        cut_back(out, before);
    }
    return rc;
}

/* The letter that stands behind the backslash for c, or 0. */
static char escape_of(char c)
{
    switch (c) {
    case '\n':
        return 'n';
    case '\r':
        return 'r';
    case '\t':
        return 't';
    case '"':
    case '\\':
        return c;
    default:
        return 0;
    }
}

static int put_escaped(struct nk_buf *out, char c)
{
    char letter = escape_of(c);
    unsigned byte = (unsigned char)c;
    if (letter) {
        const char two[2] = {'\\', letter};
        return nk_buf_put(out, two, sizeof(two));
    }
    if (byte < ' ' || byte == DELETE) {
        return nk_buf_printf(out, "\\%03o", byte);
    }
    return nk_buf_u8(out, (uint8_t)byte);
}

int tor_wire_quote_arg(struct nk_buf *out, const char *p, size_t n)
{
    size_t before = nk_buf_len(out);
    int rc = nk_buf_u8(out, '"');
    for (size_t i = 0; rc == 0 && i < n; i++) {
        rc = p[i] == '\0' ? NK_EUSAGE : put_escaped(out, p[i]);
    }
    rc = rc < 0 ? rc : nk_buf_u8(out, '"');
    if (rc < 0) {
        cut_back(out, before);
    }
    return rc;
}

/* Digits of base 8 or 16 at p; returns how many there were, their value in *out. */
static size_t escape_number(const char *p, const char *end, unsigned base, size_t max,
                            unsigned *out)
{
    size_t n = 0;
    *out = 0;
    while (n < max && p + n < end) {
        char c = p[n];
        unsigned digit = c >= '0' && c <= '9'   ? (unsigned)(c - '0')
                         : c >= 'a' && c <= 'f' ? (unsigned)(c - 'a') + 10
                         : c >= 'A' && c <= 'F' ? (unsigned)(c - 'A') + 10
                                                : base;
        if (digit >= base) {
            break;
        }
        *out = *out * base + digit;
        n++;
    }
    return n;
}

/* The byte of the escape behind the backslash at p; returns how many characters it takes, 0 when
 * there is no such escape. */
static size_t unescape(const char *p, const char *end, uint8_t *out)
{
    unsigned v = 0;
    size_t n = escape_number(p, end, 8, OCTAL_DIGITS, &v);
    if (n == 0 && p < end && *p == 'x') {
        n = escape_number(p + 1, end, 16, 2, &v);
        n = n == 2 ? 3 : 0;
    } else if (n == 0 && p < end) {
        static const char letters[] = "ntr\"'\\", bytes[] = "\n\t\r\"'\\";
        const char *at = *p ? strchr(letters, *p) : NULL;
        v = at ? (unsigned char)bytes[at - letters] : 0;
        n = at ? 1 : 0;
    }
    if (v == 0 || v > UINT8_MAX) {
        return 0;
    }
    *out = (uint8_t)v;
    return n;
}

/* p is behind the opening quote. Returns where the closing one is, or NULL. */
static const char *closing_quote(const char *p, const char *end)
{
    while (p < end && *p != '"') {
        p += *p == '\\' ? 2 : 1;
    }
    return p < end ? p : NULL;
}

/* Append what stands between quotes. */
static int put_unescaped(const char *p, const char *end, struct nk_buf *out)
{
    int rc = 0;
    while (rc == 0 && p < end) {
        const char *slash = memchr(p, '\\', (size_t)(end - p));
        size_t plain = (size_t)((slash ? slash : end) - p);
        rc = plain > 0 && memchr(p, '\0', plain) ? NK_EPROTO : nk_buf_put(out, p, plain);
        p += plain;
        if (rc == 0 && slash) {
            uint8_t byte = 0;
            size_t n = unescape(slash + 1, end, &byte);
            rc = n > 0 ? nk_buf_u8(out, byte) : NK_EPROTO;
            p += 1 + n;
        }
    }
    return rc;
}

int tor_wire_unquote(const char *text, size_t len, struct nk_buf *out, size_t *used,
                     struct nk_diag *diag)
{
    size_t before = nk_buf_len(out);
    const char *close = len > 0 && text[0] == '"' ? closing_quote(text + 1, text + len) : NULL;
    int rc = close ? put_unescaped(text + 1, close, out) : NK_EPROTO;
    if (rc < 0) {
        cut_back(out, before);
        return nk_fail_sys(diag, rc, "a quoted string of tor");
    }
    if (used) {
        *used = (size_t)(close - text) + 1;
    }
    return 0;
}

int tor_wire_value(const char *text, size_t len, struct nk_buf *out, struct nk_diag *diag)
{
    if (len > 0 && text[0] == '"') {
        return tor_wire_unquote(text, len, out, NULL, diag);
    }
    int rc = nk_buf_put(out, text, len);
    return rc < 0 ? nk_fail_sys(diag, rc, "a value of tor") : 0;
}

/* --- words ------------------------------------------------------------------------------------ */

void tor_words_init(struct tor_words *w, const char *p, size_t n)
{
    *w = (struct tor_words){.p = p, .end = p + n};
}

static bool is_control(char c)
{
    return (unsigned char)c < ' ' || (unsigned char)c == DELETE;
}

static bool is_key_char(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
}

static bool bad(struct tor_words *w)
{
    w->bad = true;
    w->p = w->end;
    return false;
}

/* The quoted value at w->p. */
static bool next_quoted(struct tor_words *w, struct tor_word *out)
{
    const char *close = closing_quote(w->p + 1, w->end);
    if (!close || (close + 1 < w->end && close[1] != ' ')) {
        return bad(w);
    }
    for (const char *c = w->p; c < close; c++) {
        if (is_control(*c)) {
            return bad(w);
        }
    }
    out->quoted = true;
    out->value = w->p + 1;
    out->value_len = (size_t)(close - w->p) - 1;
    w->p = close + 1;
    return true;
}

bool tor_words_next(struct tor_words *w, struct tor_word *out)
{
    struct tor_word word = {0};
    while (w->p < w->end && *w->p == ' ') {
        w->p++;
    }
    if (w->p >= w->end) {
        return false;
    }
    const char *p = w->p;
    while (p < w->end && is_key_char(*p)) {
        p++;
    }
    if (p > w->p && p < w->end && *p == '=') {
        word.key = w->p;
        word.key_len = (size_t)(p - w->p);
        w->p = p + 1;
        p = w->p;
    }
    if (w->p < w->end && *w->p == '"') {
        if (!next_quoted(w, &word)) {
            return false;
        }
        *out = word;
        return true;
    }
    while (p < w->end && *p != ' ') {
        if (is_control(*p)) {
            return bad(w);
        }
        p++;
    }
    word.value = w->p;
    word.value_len = (size_t)(p - w->p);
    w->p = p;
    *out = word;
    return true;
}

bool tor_word_is(const struct tor_word *w, const char *value)
{
    size_t n = strlen(value);
    return !w->key && w->value_len == n && memcmp(w->value, value, n) == 0;
}

bool tor_word_key(const struct tor_word *w, const char *key)
{
    size_t n = strlen(key);
    return w->key && w->key_len == n && memcmp(w->key, key, n) == 0;
}

int tor_word_u64(const struct tor_word *w, uint64_t *out)
{
    char text[NUMBER_TEXT];
    if (w->value_len >= sizeof(text)) {
        return NK_EFORMAT;
    }
    memcpy(text, w->value, w->value_len);
    text[w->value_len] = '\0';
    return nk_parse_u64(text, out);
}

int tor_word_put(const struct tor_word *w, struct nk_buf *out)
{
    size_t before = nk_buf_len(out);
    int rc = w->quoted ? put_unescaped(w->value, w->value + w->value_len, out)
                       : nk_buf_put(out, w->value, w->value_len);
    if (rc < 0) {
        cut_back(out, before);
    }
    return rc;
}

bool tor_line_pair(const struct tor_line *line, struct tor_word *out)
{
    const char *eq = line->len > 0 ? memchr(line->text, '=', line->len) : NULL;
    *out =
        (struct tor_word){.key = line->text, .key_len = eq ? (size_t)(eq - line->text) : line->len};
    if (!eq) {
        return false;
    }
    out->value = line->data ? line->data : eq + 1;
    out->value_len = line->data ? line->data_len : line->len - out->key_len - 1;
    return true;
}

bool tor_reply_find(const struct tor_reply *reply, const char *key, struct tor_word *out)
{
    size_t n = strlen(key);
    for (size_t i = 0; i < reply->n; i++) {
        struct tor_word pair;
        if (tor_line_pair(&reply->lines[i], &pair) && pair.key_len == n &&
            strncasecmp(pair.key, key, n) == 0) {
            *out = pair;
            return true;
        }
    }
    return false;
}
