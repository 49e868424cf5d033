/* SPDX-License-Identifier: MIT */
#include "base/opt.h"

#include <string.h>

static char fold(char c)
{
    return c == '_' ? '-' : c;
}

/* a is n bytes, b a whole string; '-' and '_' are the same letter */
static bool same_name(const char *a, size_t n, const char *b)
{
    for (size_t i = 0; i < n; i++) {
        if (b[i] == '\0' || fold(a[i]) != fold(b[i])) {
            return false;
        }
    }
    return b[n] == '\0';
}

static bool in_aliases(const char *aliases, const char *name)
{
    while (aliases && *aliases) {
        size_t n = strcspn(aliases, " ");
        if (n > 0 && same_name(aliases, n, name)) {
            return true;
        }
        aliases += n;
        aliases += strspn(aliases, " ");
    }
    return false;
}

static bool is_end(const struct nk_opt *row)
{
    return !row->name && row->type != NK_OPT_ROWS;
}

/* The place in a table behind the shared rows that end at `end`; NULL: it is the table's own end.
 */
static const struct nk_opt *behind(const struct nk_opt *rows, const struct nk_opt *end)
{
    for (; !is_end(rows); rows++) {
        const struct nk_opt *shared = rows->type == NK_OPT_ROWS ? rows->rows : NULL;
        while (shared && !is_end(shared)) {
            shared++;
        }
        if (shared == end) {
            return rows + 1;
        }
    }
    return NULL;
}

/* The row at a place of a table, or the first one that follows. */
static const struct nk_opt *row_at(const struct nk_opt *rows, const struct nk_opt *at)
{
    while (at && !at->name) {
        at = at->type == NK_OPT_ROWS ? at->rows : behind(rows, at);
    }
    return at;
}

const struct nk_opt *nk_opt_first(const struct nk_opt *rows)
{
    return row_at(rows, rows);
}

const struct nk_opt *nk_opt_next(const struct nk_opt *rows, const struct nk_opt *row)
{
    return row_at(rows, row + 1);
}

const struct nk_opt *nk_opt_find(const struct nk_opt *opts, const char *name)
{
    for (const struct nk_opt *o = nk_opt_first(opts); o; o = nk_opt_next(opts, o)) {
        if (same_name(o->name, strlen(o->name), name) || in_aliases(o->aliases, name)) {
            return o;
        }
    }
    return NULL;
}

char *nk_opt_ini_name(char *out, size_t max, const struct nk_opt *opt)
{
    size_t i = 0;
    for (; i + 1 < max && opt->name[i]; i++) {
        out[i] = opt->name[i] == '-' ? '_' : opt->name[i];
    }
    out[i] = '\0';
    return out;
}

bool nk_opt_is_text(const struct nk_opt *row)
{
    return row->type == NK_OPT_STRING || row->type == NK_OPT_PATH || row->type == NK_OPT_LISTEN ||
           row->type == NK_OPT_CONNECT;
}

bool nk_opt_takes_value(const struct nk_opt *row)
{
    return row->type != NK_OPT_FLAG;
}
