/* SPDX-License-Identifier: MIT */
#include "core/service_changes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    KEY_MAX = 128, /* of a row's name */
    LOG_MAX = 30   /* lines */
};

static const char *const kinds[] = {
    [NK_CHANGED] = "changed", [NK_ADDED] = "added", [NK_REMOVED] = "removed"};

void nk_changes_clear(struct nk_changes *c)
{
    for (size_t i = 0; i < c->n; i++) {
        free(c->v[i].name);
    }
    free(c->v);
    *c = (struct nk_changes){0};
}

static int note(struct nk_changes *c, const struct nk_change *change)
{
    c->restart += !change->applied;
    if (c->n >= NK_CHANGES_MAX) {
        c->more++;
        return 0;
    }
    struct nk_change *v = reallocarray(c->v, c->n + 1, sizeof(*v));
    if (!v) {
        return -ENOMEM;
    }
    c->v = v;
    v[c->n] = *change;
    if (change->name && (v[c->n].name = strdup(change->name)) == NULL) {
        return -ENOMEM;
    }
    c->n++;
    return 0;
}

int nk_changes_section(struct nk_changes *c, const char *section, const char *name,
                       enum nk_change_kind kind, bool applied)
{
    return note(c, &(struct nk_change){.section = section,
                                       .name = (char *)(uintptr_t)name,
                                       .kind = kind,
                                       .applied = applied});
}

int nk_changes_rows(struct nk_changes *c, const char *section, const char *name,
                    const struct nk_opt *rows, const void *first, const void *old, const void *now,
                    bool live)
{
    int rc = 0;
    for (const struct nk_opt *row = nk_opt_first(rows); row && rc == 0;
         row = nk_opt_next(rows, row)) {
        bool applied = live && (row->flags & NK_OPT_RELOAD) != 0;
        if (!nk_opt_same(row, applied ? old : first, now)) {
            rc = note(c, &(struct nk_change){.section = section,
                                             .name = (char *)(uintptr_t)name,
                                             .row = row->name,
                                             .kind = NK_CHANGED,
                                             .applied = applied});
        }
    }
    return rc;
}

/* --- sections --------------------------------------------------------------------------------- */

/* One occurrence; each pointer is NULL where it is not there. */
static int compare_one(struct nk_changes *c, const struct nk_section *s, const char *name,
                       const void *first, const void *old, const void *now)
{
    const void *before = s->reload ? old : first;
    if (!now || !before) {
        return now || before
                   ? nk_changes_section(c, s->name, name, now ? NK_ADDED : NK_REMOVED, s->reload)
                   : 0;
    }
    return nk_changes_rows(c, s->name, name, s->opts, first ? first : old, old ? old : first, now,
                           true);
}

struct comparison {
    struct nk_changes *changes;
    const struct nk_section *section;
    const struct nk_conf *first, *old, *now;
    bool (*skip)(void *arg, const char *name);
    void *arg;
};

static int compare_name(const struct comparison *x, const char *name)
{
    const char *section = x->section->name;
    if (x->skip && x->skip(x->arg, name)) {
        return 0;
    }
    return compare_one(x->changes, x->section, name, nk_conf_get(x->first, section, name),
                       nk_conf_get(x->old, section, name), nk_conf_get(x->now, section, name));
}

/* The names of `in` that are in neither a nor b (both may be NULL). */
static int compare_names(const struct comparison *x, const struct nk_conf *in,
                         const struct nk_conf *a, const struct nk_conf *b)
{
    const char *section = x->section->name, *name;
    int rc = 0;
    for (size_t i = 0; rc == 0 && (name = nk_conf_name_at(in, section, i)) != NULL; i++) {
        if (!(a && nk_conf_get(a, section, name)) && !(b && nk_conf_get(b, section, name))) {
            rc = compare_name(x, name);
        }
    }
    return rc;
}

int nk_changes_compare(struct nk_changes *c, const struct nk_section *section,
                       const struct nk_conf *first, const struct nk_conf *old,
                       const struct nk_conf *now, bool (*skip)(void *arg, const char *name),
                       void *arg)
{
    const struct comparison x = {c, section, first, old, now, skip, arg};
    if (!section->named) {
        return compare_name(&x, NULL);
    }
    int rc = compare_names(&x, now, NULL, NULL);
    rc = rc < 0 ? rc : compare_names(&x, old, now, NULL);
    return rc < 0 ? rc : compare_names(&x, first, now, old);
}

/* --- in words --------------------------------------------------------------------------------- */

/* As it stands in netkit.ini. */
static char *key_of(char out[KEY_MAX], const struct nk_change *change)
{
    const struct nk_opt row = {.name = change->row};
    return nk_opt_ini_name(out, KEY_MAX, &row);
}

char *nk_change_format(char out[NK_CHANGE_TEXT], const struct nk_change *change)
{
    char key[KEY_MAX];
    snprintf(out, NK_CHANGE_TEXT, "[%s%s%s]%s%s %s: %s", change->section, change->name ? " " : "",
             change->name ? change->name : "", change->row ? " " : "",
             change->row ? key_of(key, change) : "", kinds[change->kind],
             change->applied ? "applied" : "needs a restart");
    return out;
}

void nk_changes_log(const struct nk_changes *c, struct nk_log *log)
{
    char text[NK_CHANGE_TEXT];
    for (size_t i = 0; i < c->n && i < LOG_MAX; i++) {
        nk_change_format(text, &c->v[i]);
        if (c->v[i].applied) {
            nk_info(log, "service", "%s", text);
        } else {
            nk_warn(log, "service", "%s", text);
        }
    }
    if (c->n + c->more > LOG_MAX) {
        nk_warn(log, "service", "%zu more changes; %zu of all need a restart",
                c->n + c->more - LOG_MAX, c->restart);
    }
}

void nk_changes_json(const struct nk_changes *c, struct nk_json *out)
{
    char key[KEY_MAX];
    nk_json_key(out, "changes");
    nk_json_array(out);
    for (size_t i = 0; i < c->n; i++) {
        const struct nk_change *change = &c->v[i];
        nk_json_object(out);
        nk_json_kv_str(out, "section", change->section);
        nk_json_kv_str(out, "name", change->name);
        nk_json_kv_str(out, "key", change->row ? key_of(key, change) : NULL);
        nk_json_kv_str(out, "change", kinds[change->kind]);
        nk_json_kv_str(out, "effect", change->applied ? "applied" : "restart");
        nk_json_close(out);
    }
    nk_json_close(out);
    if (c->more) {
        nk_json_kv_u64(out, "more_changes", c->more);
    }
}
