/* SPDX-License-Identifier: MIT */
#include "base/args.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/codec.h"

#define MAX_LONG 64     /* longest option name that is looked up */
#define MAX_NAMES 160   /* rows that take part in a suggestion */
#define FLAG_TEXT "yes" /* the value of a flag that is given */

struct parser {
    struct nk_args *out;
    const struct nk_opt *own, *global;
    int argc;
    char **argv;
    int i; /* current word */
    struct nk_diag *diag;
};

bool nk_args_has_flag(const struct nk_opt *row)
{
    bool secret_itself = row->type == NK_OPT_STRING && (row->flags & NK_OPT_SECRET);
    return !(row->flags & NK_OPT_INI_ONLY) && !secret_itself;
}

static const struct nk_opt *find_long(const struct nk_opt *rows, const char *name)
{
    const struct nk_opt *row = strchr(name, '_') ? NULL : nk_opt_find(rows, name);
    return row && nk_args_has_flag(row) ? row : NULL;
}

static const struct nk_opt *find_short(const struct nk_opt *rows, char c)
{
    for (const struct nk_opt *o = nk_opt_first(rows); o; o = nk_opt_next(rows, o)) {
        if (o->short_name == c && nk_args_has_flag(o)) {
            return o;
        }
    }
    return NULL;
}

/* "--name=value" -> name in out, value (NULL without '='); false when the name cannot be one. */
static bool split_long(const char *word, char *out, const char **value)
{
    size_t n = strcspn(word + 2, "=");
    if (n == 0 || n >= MAX_LONG) {
        return false;
    }
    memcpy(out, word + 2, n);
    out[n] = '\0';
    *value = word[2 + n] == '=' ? word + 3 + n : NULL;
    return true;
}

static size_t add_names(const char **names, size_t n, const struct nk_opt *rows)
{
    for (const struct nk_opt *o = nk_opt_first(rows); o && n < MAX_NAMES;
         o = nk_opt_next(rows, o)) {
        if (nk_args_has_flag(o)) {
            names[n++] = o->name;
        }
    }
    return n;
}

static int unknown_option(struct parser *p, const char *name)
{
    const char *names[MAX_NAMES];
    size_t n = add_names(names, 0, p->own);
    n = add_names(names, n, p->global);
    const char *near = nk_suggest(name, names, n);
    int rc = nk_fail(p->diag, NK_EUSAGE, "unknown option '--%.80s'", name);
    if (near) {
        nk_hint(p->diag, "did you mean '--%s'?", near);
    }
    return rc;
}

static bool already(const struct nk_conf_flag *flags, size_t n, const struct nk_opt *row)
{
    for (size_t i = 0; i < n; i++) {
        if (flags[i].row == row) {
            return true;
        }
    }
    return false;
}

/* Keep one option. The arrays have room for one entry per word and per bundled letter. */
static int keep(struct parser *p, const struct nk_opt *row, bool own, const char *text)
{
    struct nk_args *a = p->out;
    struct nk_conf_flag *flags = own ? a->own : a->global;
    size_t *n = own ? &a->nown : &a->nglobal;
    if (!own && !nk_opt_takes_value(row)) {
        a->help |= strcmp(row->name, "help") == 0;
        a->version |= strcmp(row->name, "version") == 0;
    }
    if (nk_opt_takes_value(row) && !(row->flags & NK_OPT_REPEAT) && already(flags, *n, row)) {
        return nk_fail(p->diag, NK_EUSAGE, "--%s is given twice", row->name);
    }
    flags[(*n)++] = (struct nk_conf_flag){row, text};
    return 0;
}

static int missing_value(struct parser *p, const struct nk_opt *row)
{
    return nk_fail(p->diag, NK_EUSAGE, "--%s needs a value%s%s", row->name, row->arg ? ": " : "",
                   row->arg ? row->arg : "");
}

static int long_option(struct parser *p)
{
    char name[MAX_LONG];
    const char *value;
    const char *word = p->argv[p->i];
    if (!split_long(word, name, &value)) {
        return nk_fail(p->diag, NK_EUSAGE, "unknown option '%.80s'", word);
    }
    const struct nk_opt *row = find_long(p->own, name);
    bool own = row != NULL;
    row = row ? row : find_long(p->global, name);
    if (!row) {
        return unknown_option(p, name);
    }
    if (!nk_opt_takes_value(row)) {
        return value ? nk_fail(p->diag, NK_EUSAGE, "--%s takes no value", row->name)
                     : keep(p, row, own, FLAG_TEXT);
    }
    if (!value) {
        if (p->i + 1 >= p->argc) {
            return missing_value(p, row);
        }
        value = p->argv[++p->i];
    }
    return keep(p, row, own, value);
}

/* "-abc", "-ofile", "-o file" */
static int short_options(struct parser *p)
{
    const char *word = p->argv[p->i];
    for (const char *c = word + 1; *c; c++) {
        const struct nk_opt *row = find_short(p->own, *c);
        bool own = row != NULL;
        row = row ? row : find_short(p->global, *c);
        if (!row) {
            return nk_fail(p->diag, NK_EUSAGE, "unknown option '-%c'%s%.60s%s", *c,
                           word[2] ? " in '" : "", word[2] ? word : "", word[2] ? "'" : "");
        }
        if (nk_opt_takes_value(row)) {
            if (c[1]) {
                return keep(p, row, own, c + 1);
            }
            return p->i + 1 < p->argc ? keep(p, row, own, p->argv[++p->i]) : missing_value(p, row);
        }
        int rc = keep(p, row, own, FLAG_TEXT);
        if (rc < 0) {
            return rc;
        }
    }
    return 0;
}

static int parse_words(struct parser *p)
{
    struct nk_args *a = p->out;
    bool options = true;
    int rc = 0;
    for (; p->i < p->argc; p->i++) {
        char *word = p->argv[p->i];
        int one = 0;
        if (!options || word[0] != '-' || word[1] == '\0') {
            a->operands[a->noperands++] = word;
        } else if (strcmp(word, "--") == 0) {
            options = false;
            a->dashes = a->noperands;
        } else {
            /* after an error the rest is only looked at for --help and --version */
            struct nk_diag *diag = p->diag;
            p->diag = rc < 0 ? NULL : diag;
            one = word[1] == '-' ? long_option(p) : short_options(p);
            p->diag = diag;
        }
        rc = rc < 0 ? rc : one;
    }
    return rc;
}

int nk_args_parse(struct nk_args *out, int argc, char **argv, const struct nk_opt *own,
                  const struct nk_opt *global, struct nk_diag *diag)
{
    *out = (struct nk_args){.dashes = -1};
    size_t room = 1;
    for (int i = 0; i < argc; i++) {
        size_t n = strlen(argv[i]);
        room += argv[i][0] == '-' && argv[i][1] != '-' && n > 2 ? n : 1;
    }
    out->own = calloc(room, sizeof(*out->own));
    out->global = calloc(room, sizeof(*out->global));
    out->operands = calloc((size_t)argc + 1, sizeof(*out->operands));
    if (!out->own || !out->global || !out->operands) {
        return nk_fail(diag, -ENOMEM, "out of memory");
    }
    struct parser p = {out, own, global, argc, argv, 0, diag};
    return parse_words(&p);
}

void nk_args_clear(struct nk_args *a)
{
    free(a->own);
    free(a->global);
    free(a->operands);
    *a = (struct nk_args){0};
}

int nk_args_skip(int argc, char **argv, const struct nk_opt *rows)
{
    char name[MAX_LONG];
    const char *value;
    const char *word = argv[0];
    if (word[0] != '-' || word[1] == '\0' || strcmp(word, "--") == 0) {
        return 0;
    }
    if (word[1] == '-') {
        const struct nk_opt *row = split_long(word, name, &value) ? find_long(rows, name) : NULL;
        return !row ? 0 : nk_opt_takes_value(row) && !value && argc > 1 ? 2 : 1;
    }
    for (const char *c = word + 1; *c; c++) {
        const struct nk_opt *row = find_short(rows, *c);
        if (!row) {
            return 0;
        }
        if (nk_opt_takes_value(row)) {
            return c[1] || argc < 2 ? 1 : 2;
        }
    }
    return 1;
}
