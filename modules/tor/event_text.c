/* SPDX-License-Identifier: MIT */
/* What a field is called, how it is searched for, filtered and shown. */
#include <string.h>

#include "base/codec.h"
#include "base/utf8.h"
#include "tor/event.h"

void tor_value_name(char *out, const struct tor_value *v)
{
    size_t n = 0;
    for (size_t i = 0; i < v->name_len && n < TOR_NAME_MAX - 2; i++) {
        char c = v->name[i];
        bool upper = c >= 'A' && c <= 'Z';
        if (upper && i > 0 && v->name[i - 1] >= 'a' && v->name[i - 1] <= 'z')
            out[n++] = '_';
        out[n++] = upper ? (char)(c + ('a' - 'A')) : c;
    }
    out[n] = '\0';
}

const struct tor_value *tor_event_get(const struct tor_event *e, const char *name)
{
    size_t len = strlen(name);
    for (size_t i = 0; i < e->n; i++) {
        const struct tor_value *v = &e->v[i];
        if (v->name_len == len && memcmp(v->name, name, len) == 0)
            return v;
    }
    for (size_t i = 0; i < e->n; i++) {
        char have[TOR_NAME_MAX];
        tor_value_name(have, &e->v[i]);
        if (strcmp(have, name) == 0)
            return &e->v[i];
    }
    return NULL;
}

/* --- filters --------------------------------------------------------------------------------- */

#define FILTER_TEXT 1024 /* what is compared of a value with escapes */

int tor_filter_parse(struct tor_filter *out, const char *text, struct nk_diag *diag)
{
    size_t n = strcspn(text, "=!~");
    const char *op = text + n;
    bool negate = op[0] == '!' && op[1] == '=';
    if (n == 0 || n >= sizeof out->name || (op[0] != '=' && op[0] != '~' && !negate)) {
        nk_fail(diag, NK_EUSAGE, "'%s' is no condition", text);
        nk_hint(diag, "FIELD=VALUE, FIELD!=VALUE or FIELD~PART; '|' stands between alternatives");
        return NK_EUSAGE;
    }
    memset(out, 0, sizeof *out);
    memcpy(out->name, text, n);
    out->negate = negate;
    out->contains = op[0] == '~';
    out->value = op + (negate ? 2 : 1);
    return 0;
}

static bool contains(const char *text, size_t len, const char *part, size_t part_len)
{
    return part_len == 0 || (len >= part_len && memmem(text, len, part, part_len) != NULL);
}

/* One member of a value against one alternative. */
static bool word_matches(const struct tor_filter *f, char kind, const struct tor_split *have,
                         const struct tor_split *want)
{
    if (f->contains)
        return contains(have->word, have->word_len, want->word, want->word_len);
    if (have->word_len == want->word_len && memcmp(have->word, want->word, want->word_len) == 0)
        return true;
    struct tor_relay_name a, b;
    if (kind == TOR_LIST || !tor_relay_name_read(&a, have->word, have->word_len))
        return false;
    if (want->word_len == TOR_FINGERPRINT && a.fingerprint)
        return strncasecmp(a.fingerprint, want->word, TOR_FINGERPRINT) == 0;
    if (!tor_relay_name_read(&b, want->word, want->word_len))
        return false;
    if (b.fingerprint)
        return a.fingerprint && strncasecmp(a.fingerprint, b.fingerprint, TOR_FINGERPRINT) == 0;
    return a.nickname_len == b.nickname_len &&
           strncasecmp(a.nickname, b.nickname, b.nickname_len) == 0;
}

static bool value_matches(const struct tor_filter *f, char kind, const char *text, size_t len,
                          const struct tor_split *want)
{
    bool parts = kind == TOR_LIST || kind == TOR_PATH || kind == TOR_RELAY || kind == TOR_RELAYS;
    struct tor_split all = {.text = text, .len = len};
    struct tor_split whole = {.word = text, .word_len = len};
    if (!parts || len == 0)
        return word_matches(f, TOR_LIST, &whole, want);
    while (tor_split_next(&all, kind == TOR_RELAYS ? ' ' : ',')) {
        if (word_matches(f, kind, &all, want))
            return true;
    }
    return false;
}

bool tor_filter_match(const struct tor_filter *f, const struct tor_event *e)
{
    char plain[FILTER_TEXT];
    const struct tor_value *v = tor_event_get(e, f->name);
    const char *text = v ? v->text : "";
    size_t len = v ? v->len : 0;
    if (v && v->quoted && memchr(text, '\\', len)) {
        (void)tor_value_copy(plain, sizeof plain, v); /* what is behind the cut is not compared */
        text = plain;
        len = strlen(plain);
    }
    struct tor_split want = {.text = f->value, .len = strlen(f->value)};
    if (want.len == 0)
        return (len == 0) != f->negate;
    while (tor_split_next(&want, '|')) {
        if (value_matches(f, v ? v->kind : TOR_TEXT, text, len, &want))
            return !f->negate;
    }
    return f->negate;
}

/* --- lines for people ------------------------------------------------------------------------ */

/* Append text that must not do anything to a terminal. */
static int put_shown(struct nk_buf *out, const char *text, size_t len)
{
    int rc = 0;
    while (rc == 0 && len > 0) {
        size_t plain = 0;
        while (plain < len && text[plain] >= ' ' && text[plain] <= '~')
            plain++;
        rc = nk_buf_put(out, text, plain);
        text += plain;
        len -= plain;
        if (rc == 0 && len > 0) {
            char shown[16];
            uint32_t c;
            size_t used = nk_utf8_next((const uint8_t *)text, len, &c);
            used = used > 0 ? used : 1;
            rc = nk_buf_puts(out, nk_escape(shown, sizeof shown, text, used));
            text += used;
            len -= used;
        }
    }
    return rc;
}

/* A path as nicknames, as far as they are known. */
static int put_path(struct nk_buf *out, const struct tor_value *v, char sep)
{
    struct tor_split s = {.text = v->text, .len = v->len};
    int rc = 0;
    for (size_t i = 0; rc == 0 && tor_split_next(&s, sep); i++) {
        struct tor_relay_name relay;
        bool named = tor_relay_name_read(&relay, s.word, s.word_len) && relay.nickname;
        rc = i > 0 ? nk_buf_u8(out, ',') : 0;
        if (rc == 0)
            rc = put_shown(out, named ? relay.nickname : s.word,
                           named ? relay.nickname_len : s.word_len);
    }
    return rc;
}

int tor_value_text(const struct tor_value *v, struct nk_buf *out)
{
    if (v->kind == TOR_PATH || v->kind == TOR_RELAY || v->kind == TOR_RELAYS)
        return put_path(out, v, v->kind == TOR_RELAYS ? ' ' : ',');
    const char *quote = v->quoted ? "\"" : "";
    int rc = nk_buf_puts(out, quote);
    rc = rc < 0 ? rc : put_shown(out, v->text, v->len);
    return rc < 0 ? rc : nk_buf_puts(out, quote);
}

/* What stands in the further lines and the data of an event. */
static int put_lines(struct nk_buf *out, const struct tor_reply *r)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && r && i < r->n; i++) {
        const struct tor_line *l = &r->lines[i];
        if (i > 0 && l->kind != ' ') {
            rc = nk_buf_u8(out, ' ');
            rc = rc < 0 ? rc : put_shown(out, l->text, l->len);
        }
        if (rc == 0 && l->data)
            rc = nk_buf_printf(out, " (%zu bytes)", l->data_len);
    }
    return rc;
}

int tor_event_text(const struct tor_event *e, struct nk_buf *out)
{
    int rc = put_shown(out, e->name, e->name_len);
    for (size_t i = 0; rc == 0 && i < e->n; i++) {
        const struct tor_value *v = &e->v[i];
        rc = nk_buf_u8(out, ' ');
        if (rc == 0 && v->keyword) {
            char name[TOR_NAME_MAX];
            tor_value_name(name, v);
            rc = nk_buf_printf(out, "%s=", name);
        }
        rc = rc < 0 ? rc : tor_value_text(v, out);
    }
    return rc < 0 ? rc : put_lines(out, e->reply);
}
