/* SPDX-License-Identifier: MIT */
/* Names of options, lines that set them, lines that tell them. Their values: conf_value.c. */
#include "tor/conf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/codec.h"
#include "tor/wire.h"

static const struct {
    const char *word, *takes;
} types[] = {
#define ROW(name, word, takes) {word, takes},
    TOR_CONF_TYPES(ROW)
#undef ROW
};

const char *tor_conf_takes(enum tor_conf_type type)
{
    return types[type].takes;
}

enum tor_conf_type tor_conf_type_of(const char *word)
{
    for (size_t i = 0; i < TOR_CONF_OTHER; i++) {
        if (strcasecmp(word, types[i].word) == 0) {
            return (enum tor_conf_type)i;
        }
    }
    return TOR_CONF_OTHER;
}

bool tor_conf_is_list(enum tor_conf_type type)
{
    return type == TOR_CONF_LINES || type == TOR_CONF_DEPENDENT || type == TOR_CONF_VIRTUAL ||
           type == TOR_CONF_OTHER;
}

bool tor_conf_is_service(const struct tor_conf_option *o)
{
    return o->type == TOR_CONF_DEPENDENT && strncasecmp(o->name, "HiddenService", 13) == 0;
}

void tor_conf_names_clear(struct tor_conf_names *n)
{
    free(n->v);
    if (n->text.max) {
        nk_buf_clear(&n->text);
    }
    *n = (struct tor_conf_names){0};
}

static int by_name(const void *a, const void *b)
{
    return strcasecmp(((const struct tor_conf_option *)a)->name,
                      ((const struct tor_conf_option *)b)->name);
}

/* A name of tor's: letters, digits, '_' and '-'. Nothing else may come back to tor unquoted. */
static bool is_name(const char *p, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        bool letter = (p[i] | 0x20) >= 'a' && (p[i] | 0x20) <= 'z';
        if (!letter && !(p[i] >= '0' && p[i] <= '9') && p[i] != '_' && p[i] != '-') {
            return false;
        }
    }
    return n > 0 && n < 64;
}

/* The next line that is not empty, split at its first space: *p goes behind it. */
static bool next_line(const char **p, const char *end, const char **name, size_t *name_len,
                      const char **rest, size_t *rest_len)
{
    while (*p < end) {
        const char *line = *p, *eol = memchr(line, '\n', (size_t)(end - line));
        size_t n = (size_t)((eol ? eol : end) - line);
        *p = eol ? eol + 1 : end;
        if (n > 0 && line[n - 1] == '\r') {
            n--;
        }
        if (n == 0) {
            continue;
        }
        const char *space = memchr(line, ' ', n);
        *name = line;
        *name_len = space ? (size_t)(space - line) : n;
        *rest = space ? space + 1 : line + n;
        *rest_len = space ? n - *name_len - 1 : 0;
        return true;
    }
    return false;
}

/* The strings of a line, each with its end: name, type. Offsets until all of them are there. */
static int add_names(struct tor_conf_names *o, const char *p, const char *end)
{
    const char *name, *word;
    size_t name_len, word_len, room = 0;
    while (next_line(&p, end, &name, &name_len, &word, &word_len)) {
        if (!is_name(name, name_len) || word_len >= 64 || memchr(word, 0, word_len)) {
            return NK_EPROTO;
        }
        if (o->n == room) {
            room = room ? room * 2 : 512;
            struct tor_conf_option *v =
                room <= TOR_CONF_NAMES_MOST ? realloc(o->v, room * sizeof(*v)) : NULL;
            if (!v) {
                return room > TOR_CONF_NAMES_MOST ? NK_ETOOBIG : -ENOMEM;
            }
            o->v = v;
        }
        o->v[o->n++] = (struct tor_conf_option){0};
        int rc = nk_buf_put(&o->text, name, name_len);
        rc = rc < 0 ? rc : nk_buf_u8(&o->text, 0);
        rc = rc < 0 ? rc : nk_buf_put(&o->text, word, word_len);
        rc = rc < 0 ? rc : nk_buf_u8(&o->text, 0);
        if (rc < 0) {
            return rc;
        }
    }
    return o->n > 0 ? 0 : NK_EPROTO;
}

/* Strings follow each other in text, in the order of the options. */
static const char *point_names(struct tor_conf_names *o)
{
    const char *s = (const char *)nk_buf_ptr(&o->text);
    for (size_t i = 0; i < o->n; i++) {
        o->v[i].name = s;
        s += strlen(s) + 1;
        o->v[i].word = s;
        o->v[i].type = tor_conf_type_of(s);
        s += strlen(s) + 1;
    }
    return s;
}

/* Name and value of each default, in text behind the names. */
static int add_defaults(struct tor_conf_names *o, const char *p, const char *end)
{
    const char *name, *value;
    size_t name_len, value_len;
    while (next_line(&p, end, &name, &name_len, &value, &value_len)) {
        if (!is_name(name, name_len) || memchr(value, 0, value_len)) {
            return NK_EPROTO; /* a NUL would end a string before its end */
        }
        int rc = nk_buf_put(&o->text, name, name_len);
        rc = rc < 0 ? rc : nk_buf_u8(&o->text, 0);
        rc = rc < 0 ? rc : tor_wire_value(value, value_len, &o->text, NULL);
        rc = rc < 0 ? rc : nk_buf_u8(&o->text, 0);
        if (rc < 0) {
            return rc;
        }
    }
    return 0;
}

static void point_defaults(struct tor_conf_names *o, const char *s)
{
    const char *end = (const char *)nk_buf_ptr(&o->text) + nk_buf_len(&o->text);
    while (s < end) {
        const struct tor_conf_option *known = tor_conf_find(o, s, strlen(s));
        s += strlen(s) + 1;
        if (known) { /* a list has several lines of defaults: the first one is shown */
            struct tor_conf_option *at = &o->v[known - o->v];
            at->def = at->def ? at->def : s;
        }
        s += strlen(s) + 1;
    }
}

int tor_conf_names_read(struct tor_conf_names *out, const char *names, size_t names_len,
                        const char *defaults, size_t defaults_len, struct nk_diag *diag)
{
    *out = (struct tor_conf_names){0};
    nk_buf_init(&out->text, TOR_CONF_TEXT_MAX);
    int rc = add_names(out, names, names + names_len);
    size_t named = nk_buf_len(&out->text);
    if (rc == 0 && defaults) {
        rc = add_defaults(out, defaults, defaults + defaults_len);
    }
    if (rc < 0) {
        tor_conf_names_clear(out);
        return nk_fail_sys(diag, rc, "the names of tor's options");
    }
    point_names(out);
    qsort(out->v, out->n, sizeof(*out->v), by_name);
    point_defaults(out, (const char *)nk_buf_ptr(&out->text) + named);
    return 0;
}

const struct tor_conf_option *tor_conf_find(const struct tor_conf_names *n, const char *name,
                                            size_t len)
{
    size_t lo = 0, hi = n->n;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        int c = strncasecmp(name, n->v[mid].name, len);
        /* strlen: a NUL within name ends the comparison before len */
        if (c == 0 && strlen(n->v[mid].name) == len) {
            return &n->v[mid];
        }
        if (c > 0) {
            lo = mid + 1;
        } else {
            hi = mid;
        }
    }
    return NULL;
}

/* A copy in lower case at `to`, with its end; returns what is behind it. */
static char *put_lower(char *to, const char *from)
{
    do {
        *to++ = (char)(*from >= 'A' && *from <= 'Z' ? *from + 0x20 : *from);
    } while (*from++);
    return to;
}

/* The name nearest to text, compared without case. */
static const struct tor_conf_option *nearest(const struct tor_conf_names *n, const char *text)
{
    char *lower = malloc(nk_buf_len(&n->text) + strlen(text) + 1);
    const char **v = malloc(n->n * sizeof(*v));
    const struct tor_conf_option *found = NULL;
    if (lower && v) {
        char *at = lower;
        for (size_t i = 0; i < n->n; i++) {
            v[i] = at;
            at = put_lower(at, n->v[i].name);
        }
        (void)put_lower(at, text);
        const char *got = nk_suggest(at, v, n->n);
        for (size_t i = 0; i < n->n && got; i++) {
            found = v[i] == got ? &n->v[i] : found;
        }
    }
    free(v);
    free(lower);
    return found;
}

const struct tor_conf_option *tor_conf_need(const struct tor_conf_names *n, const char *name,
                                            size_t len, struct nk_diag *diag)
{
    const struct tor_conf_option *o = tor_conf_find(n, name, len);
    if (o) {
        return o;
    }
    char word[64];
    snprintf(word, sizeof(word), "%.*s", (int)(len < sizeof(word) ? len : sizeof(word) - 1), name);
    nk_fail(diag, NK_EUSAGE, "tor has no option '%s'", word);
    o = nearest(n, word);
    if (o) {
        nk_hint(diag, "did you mean %s?", o->name);
    } else {
        nk_hint(diag, "'netkit tor conf keys' lists them; obsolete ones are not among them");
    }
    return NULL;
}

/* --- lines that set ------------------------------------------------------------------------- */

/* Whether an earlier word sets the same option. */
static bool is_repeated(const struct tor_conf_names *n, char *const *words, size_t i,
                        const struct tor_conf_option *o)
{
    for (size_t k = 0; k < i; k++) {
        if (tor_conf_find(n, words[k], strcspn(words[k], "=")) == o) {
            return true;
        }
    }
    return false;
}

static int assign_one(const struct tor_conf_names *n, char *const *words, size_t i, bool bare,
                      struct nk_buf *out, struct nk_diag *diag)
{
    const char *word = words[i], *equals = strchr(word, '=');
    const struct tor_conf_option *o = tor_conf_need(n, word, strcspn(word, "="), diag);
    struct nk_buf value;
    if (!o) {
        return NK_EUSAGE;
    }
    if (!equals && !bare) {
        return nk_fail(diag, NK_EUSAGE, "%s has no value", o->name);
    }
    if (!tor_conf_is_list(o->type) && is_repeated(n, words, i, o)) {
        return nk_fail(diag, NK_EUSAGE, "%s is given twice, but holds one value", o->name);
    }
    int rc = nk_buf_printf(out, " %s", o->name);
    if (rc < 0 || !equals) {
        return rc < 0 ? nk_fail_sys(diag, rc, "%s", o->name) : 0;
    }
    nk_buf_init(&value, TOR_COMMAND_MAX);
    rc = tor_conf_check(o, equals + 1, &value, diag);
    if (rc == 0 && ((rc = nk_buf_puts(out, "=")) < 0 ||
                    (rc = tor_wire_quote_arg(out, (const char *)nk_buf_ptr(&value),
                                             nk_buf_len(&value))) < 0)) {
        nk_fail_sys(diag, rc, "%s", o->name);
    }
    nk_buf_clear(&value);
    return rc;
}

int tor_conf_assign(const struct tor_conf_names *n, char *const *words, size_t count, bool bare,
                    struct nk_buf *out, struct nk_diag *diag)
{
    const size_t before = out->len;
    for (size_t i = 0; i < count; i++) {
        int rc = assign_one(n, words, i, bare, out, diag);
        if (rc < 0) {
            out->len = before;
            return rc;
        }
    }
    return 0;
}

/* --- lines that tell ------------------------------------------------------------------------ */

int tor_conf_read(const char *text, size_t len, bool quoted, struct tor_conf_line *out,
                  struct nk_buf *value, struct nk_diag *diag)
{
    const char *equals = memchr(text, '=', len);
    size_t name_len = equals ? (size_t)(equals - text) : len;
    nk_buf_reset(value);
    if (!is_name(text, name_len)) {
        return nk_fail(diag, NK_EPROTO, "tor told an option without a name");
    }
    if (equals) {
        const char *from = equals + 1;
        size_t n = len - name_len - 1;
        int rc = quoted ? tor_wire_value(from, n, value, diag) : nk_buf_put(value, from, n);
        if (rc < 0) {
            return quoted ? rc : nk_fail_sys(diag, rc, "%.*s", (int)name_len, text);
        }
    }
    *out = (struct tor_conf_line){.name = text, .name_len = name_len, .set = equals != NULL};
    return 0;
}

/* What each code means for someone who changes the configuration (control-spec 4). */
static const struct {
    int code, error;
    const char *text, *hint;
} refusals[] = {
    {512, NK_EUSAGE, "tor could not read the command",
     "a value may have an escape that tor does not know"},
    {513, NK_EUSAGE, "a value is not acceptable; nothing was changed", NULL},
    {551, -EIO, "tor could not write its configuration file",
     "the user that tor runs as must be able to write to it and to its directory"},
    {552, NK_EUSAGE, "tor does not know an option; nothing was changed", NULL},
    {553, NK_EAUTH, "that cannot be changed while tor runs; nothing was changed",
     "write it to the torrc and restart tor; with Sandbox 1 most of it cannot change at all"},
};

int tor_conf_refused(const char *doing, int code, const char *text, size_t len,
                     struct nk_diag *diag)
{
    const int shown = len > NK_DIAG_TEXT ? NK_DIAG_TEXT : (int)len;
    for (size_t i = 0; i < sizeof(refusals) / sizeof(*refusals); i++) {
        if (refusals[i].code == code) {
            nk_fail(diag, refusals[i].error, "%s: %s (%d %.*s)", doing, refusals[i].text, code,
                    shown, text);
            if (refusals[i].hint) {
                nk_hint(diag, "%s", refusals[i].hint);
            }
            return refusals[i].error;
        }
    }
    return nk_fail(diag, -EIO, "%s: tor refused (%d %.*s)", doing, code, shown, text);
}

/* --- a torrc -------------------------------------------------------------------------------- */

/* One logical line: name and value, when it can be judged here. */
static int check_line(const struct tor_conf_names *names, const char *line, size_t n,
                      struct nk_diag *diag)
{
    size_t at = 0, end;
    while (at < n && (line[at] == ' ' || line[at] == '\t')) {
        at++;
    }
    if (at == n || line[at] == '#' || line[at] == '%') { /* nothing, a comment, %include */
        return 0;
    }
    at += line[at] == '+' || line[at] == '/'; /* adds to a list, clears one */
    for (end = at; end < n && line[end] != ' ' && line[end] != '\t' && line[end] != '#'; end++) {
    }
    const struct tor_conf_option *o = tor_conf_need(names, line + at, end - at, diag);
    if (!o) {
        return NK_EUSAGE;
    }
    while (end < n && (line[end] == ' ' || line[end] == '\t')) {
        end++;
    }
    const char *hash = end < n ? memchr(line + end, '#', n - end) : NULL;
    size_t stop = hash ? (size_t)(hash - line) : n;
    while (stop > end && (line[stop - 1] == ' ' || line[stop - 1] == '\t')) {
        stop--;
    }
    if (end == stop || line[end] == '"' || tor_conf_is_list(o->type)) {
        return 0;
    }
    struct nk_buf value, sent;
    nk_buf_init(&value, TOR_COMMAND_MAX);
    nk_buf_init(&sent, TOR_COMMAND_MAX);
    int rc = nk_buf_put(&value, line + end, stop - end);
    const char *text = rc == 0 ? nk_buf_str(&value) : NULL;
    rc = text ? tor_conf_check(o, text, &sent, diag) : nk_fail_sys(diag, -ENOMEM, "%s", o->name);
    nk_buf_clear(&sent);
    nk_buf_clear(&value);
    return rc;
}

int tor_conf_check_torrc(const struct tor_conf_names *names, const char *where, const char *text,
                         size_t n, struct nk_diag *diag)
{
    bool goes_on = false;
    unsigned line = 0;
    for (size_t at = 0; at < n;) {
        const char *p = text + at, *eol = memchr(p, '\n', n - at);
        size_t len = eol ? (size_t)(eol - p) : n - at;
        at += len + 1;
        line++;
        if (len > 0 && p[len - 1] == '\r') {
            len--;
        }
        const bool first = !goes_on;
        goes_on = len > 0 && p[len - 1] == '\\';
        if (!first || goes_on) {
            continue;
        }
        int rc = check_line(names, p, len, diag);
        if (rc < 0) {
            return nk_fail_context(diag, "%s:%u", where, line);
        }
    }
    return 0;
}
