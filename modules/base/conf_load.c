/* SPDX-License-Identifier: MIT */
/* From settings to configuration structs: checking, precedence, merging with flags. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/conf_impl.h"

static const char EMPTY[1]; /* what a configuration without rows points to */

int conf_check_value(nk_conf_ep_check *check, const struct nk_opt *row, const char *text,
                     size_t conf_size, struct nk_diag *diag)
{
    void *scratch = calloc(1, conf_size ? conf_size : 1);
    if (!scratch) {
        return nk_fail(diag, -ENOMEM, "out of memory");
    }
    struct nk_opt only[2] = {*row, NK_OPT_END};
    int rc = nk_opt_parse_value(row, text, scratch, diag);
    nk_opt_free_values(only, scratch);
    free(scratch);
    if (rc == 0 && check && (row->type == NK_OPT_LISTEN || row->type == NK_OPT_CONNECT)) {
        rc = check(text, row->type == NK_OPT_LISTEN, diag);
    }
    return rc;
}

/* The same row given twice by one source is a mistake, unless it is a list. */
static bool is_duplicate(struct nk_conf *c, const struct conf_instance *inst,
                         const struct nk_opt *row, const struct conf_place *at)
{
    for (size_t i = 0; i < inst->n && !(row->flags & NK_OPT_REPEAT); i++) {
        const struct conf_setting *s = &inst->settings[i];
        if (s->row == row && s->origin == at->origin) {
            char key[64];
            conf_problem(c, at, false, "[%s%s%s] %s is given twice (first at %s)",
                         inst->section->name, inst->name ? " " : "", inst->name ? inst->name : "",
                         nk_opt_ini_name(key, sizeof(key), row), s->where);
            return true;
        }
    }
    return false;
}

static void keep(struct nk_conf *c, struct conf_instance *inst, const struct nk_opt *row,
                 const char *text, const struct conf_place *at)
{
    struct conf_setting *v = realloc(inst->settings, (inst->n + 1) * sizeof(*v));
    if (!v) {
        c->no_memory = true;
        return;
    }
    inst->settings = v;
    struct conf_setting s = {row, strdup(text), strdup(at->where), at->origin};
    if (!s.text || !s.where) {
        free(s.text);
        free(s.where);
        c->no_memory = true;
        return;
    }
    v[inst->n++] = s;
}

void conf_add(struct nk_conf *c, struct conf_instance *inst, const struct nk_opt *row,
              const char *text, const struct conf_place *at)
{
    struct nk_diag diag;
    char key[64];
    if (is_duplicate(c, inst, row, at)) {
        return;
    }
    int rc = conf_check_value(c->check, row, text, inst->section->conf_size, &diag);
    if (rc == -ENOMEM) {
        c->no_memory = true;
    } else if (rc < 0) {
        conf_problem(c, at, false, "[%s%s%s] %s: %s%s%s%s", inst->section->name,
                     inst->name ? " " : "", inst->name ? inst->name : "",
                     nk_opt_ini_name(key, sizeof(key), row), diag.text, *diag.hint ? " (" : "",
                     diag.hint, *diag.hint ? ")" : "");
    }
    /* a refused value counts as given: it is neither missing nor a first one */
    keep(c, inst, row, text, at);
}

/* Does setting s set `row`? Commands may have rows of their own with a section's names. */
static bool sets(const struct conf_setting *s, const struct nk_opt *row)
{
    return s->row == row || strcmp(s->row->name, row->name) == 0;
}

/* The strongest origin that sets the row. */
static enum nk_origin winner(const struct conf_instance *inst, const struct nk_opt *row)
{
    enum nk_origin best = NK_FROM_DEFAULT;
    for (size_t i = 0; inst && i < inst->n; i++) {
        if (sets(&inst->settings[i], row) && inst->settings[i].origin > best) {
            best = inst->settings[i].origin;
        }
    }
    return best;
}

static int apply_row(const struct nk_opt *row, const struct conf_instance *inst, void *conf,
                     struct nk_diag *diag)
{
    enum nk_origin from = winner(inst, row);
    if (!inst || from == NK_FROM_DEFAULT) {
        return nk_opt_parse_default(row, conf, diag);
    }
    for (size_t i = 0; i < inst->n; i++) {
        const struct conf_setting *s = &inst->settings[i];
        if (sets(s, row) && s->origin == from) {
            int rc = nk_opt_parse_value(row, s->text, conf, diag);
            if (rc < 0) {
                nk_fail_context(diag, "%s", s->where);
                return rc;
            }
        }
    }
    return 0;
}

int conf_apply(const struct nk_opt *rows, const struct conf_instance *inst, void *conf,
               struct nk_diag *diag)
{
    for (const struct nk_opt *row = nk_opt_first(rows); row; row = nk_opt_next(rows, row)) {
        int rc = apply_row(row, inst, conf, diag);
        if (rc < 0) {
            return rc;
        }
    }
    return 0;
}

static void check_required(struct nk_conf *c, const struct conf_instance *inst)
{
    for (const struct nk_opt *row = nk_opt_first(inst->section->opts); row;
         row = nk_opt_next(inst->section->opts, row)) {
        if ((row->flags & NK_OPT_REQUIRED) && winner(inst, row) == NK_FROM_DEFAULT && !row->def) {
            char key[64];
            struct conf_place at = {NK_FROM_FILE, inst->where, UINT_MAX};
            conf_problem(c, &at, false, "[%s%s%s] needs '%s'", inst->section->name,
                         inst->name ? " " : "", inst->name ? inst->name : "",
                         nk_opt_ini_name(key, sizeof(key), row));
        }
    }
}

static int make_structs(struct nk_conf *c)
{
    for (size_t i = 0; i < c->ninst; i++) {
        struct conf_instance *inst = c->inst[i];
        struct nk_diag diag;
        size_t size = inst->section->conf_size;
        void *conf = calloc(1, size ? size : 1);
        if (!conf) {
            return -ENOMEM;
        }
        int rc = conf_apply(inst->section->opts, inst, conf, &diag);
        int kept = conf_own(c, inst->section->opts, conf);
        if (kept < 0) {
            return kept;
        }
        if (rc < 0) {
            struct conf_place at = {NK_FROM_DEFAULT, inst->where, UINT_MAX};
            conf_problem(c, &at, false, "[%s] %s", inst->section->name, diag.text);
            return rc;
        }
        inst->conf = conf;
    }
    return 0;
}

static int copy_sections(struct nk_conf *c, const struct nk_section *const *sections)
{
    size_t n = 0;
    while (sections && sections[n]) {
        n++;
    }
    c->sections = calloc(n + 1, sizeof(const struct nk_section *));
    if (!c->sections) {
        return -ENOMEM;
    }
    for (size_t i = 0; i < n; i++) {
        c->sections[i] = sections[i];
    }
    return 0;
}

int nk_conf_load(struct nk_conf **out, const struct nk_conf_source *src, nk_conf_ep_check *check)
{
    struct nk_conf *c = calloc(1, sizeof(*c));
    if (!c) {
        return -ENOMEM;
    }
    c->check = check;
    if (copy_sections(c, src->sections) < 0) {
        nk_conf_free(c);
        return -ENOMEM;
    }
    if (src->path || src->text) {
        conf_read_file(c, src);
    }
    if (src->env) {
        conf_read_env(c, src->env);
    }
    if (src->overrides) {
        conf_read_overrides(c, src->overrides);
    }
    if (src->env) {
        conf_read_credentials(c, src->env, src->flags_for);
    }
    for (size_t i = 0; i < c->ninst; i++) {
        if (c->inst[i]->section != src->flags_for) {
            check_required(c, c->inst[i]);
        }
    }
    int rc = c->no_memory ? -ENOMEM : c->errors ? NK_ECONFIG : make_structs(c);
    if (rc == -ENOMEM || c->no_memory) {
        nk_conf_free(c);
        return -ENOMEM;
    }
    *out = c;
    return rc;
}

static bool has_flag(const struct nk_conf_flag *flags, size_t n, const struct nk_opt *row)
{
    for (size_t i = 0; i < n; i++) {
        if (flags[i].row == row) {
            return true;
        }
    }
    return false;
}

/* Values for one row of a command. */
static int merge_row(const struct nk_conf *c, const struct nk_opt *row, size_t conf_size,
                     const struct conf_instance *inst, const struct nk_conf_flag *flags, size_t n,
                     void *conf, struct nk_diag *diag)
{
    if (!has_flag(flags, n, row)) {
        if ((row->flags & NK_OPT_REQUIRED) && !row->def && winner(inst, row) == NK_FROM_DEFAULT) {
            return nk_fail(diag, NK_EUSAGE, "--%s is required", row->name);
        }
        return apply_row(row, inst, conf, diag);
    }
    for (size_t i = 0; i < n; i++) {
        if (flags[i].row != row) {
            continue;
        }
        int rc = conf_check_value(c->check, row, flags[i].text, conf_size, diag);
        if (rc == 0) {
            rc = nk_opt_parse_value(row, flags[i].text, conf, diag);
        }
        if (rc < 0) {
            nk_fail_context(diag, "--%s", row->name);
            if (diag && rc != -ENOMEM) {
                diag->code = NK_EUSAGE;
            }
            return rc == -ENOMEM ? rc : NK_EUSAGE;
        }
    }
    return 0;
}

/* The section that gives a command its values; of a named one, what the row `name` says. */
static const struct conf_instance *instance_of(const struct nk_conf *c, const struct nk_opt *rows,
                                               const struct nk_section *section,
                                               const struct nk_conf_flag *flags, size_t n)
{
    if (!section || !section->named) {
        return section ? conf_find(c, section, NULL) : NULL;
    }
    const struct nk_opt *row = nk_opt_find(rows, "name");
    const char *name = row ? row->def : NULL;
    for (size_t i = 0; i < n; i++) {
        name = row && flags[i].row == row ? flags[i].text : name;
    }
    return name ? conf_find(c, section, name) : NULL;
}

int nk_conf_merge(struct nk_conf *c, const struct nk_opt *rows, size_t conf_size,
                  const struct nk_section *section, const struct nk_conf_flag *flags, size_t n,
                  const void **out, struct nk_diag *diag)
{
    *out = EMPTY;
    if (conf_size == 0) {
        return 0;
    }
    void *conf = calloc(1, conf_size);
    if (!conf) {
        return nk_fail(diag, -ENOMEM, "out of memory");
    }
    const struct conf_instance *inst = instance_of(c, rows, section, flags, n);
    int rc = 0;
    for (const struct nk_opt *row = nk_opt_first(rows); row && rc == 0;
         row = nk_opt_next(rows, row)) {
        rc = merge_row(c, row, conf_size, inst, flags, n, conf, diag);
    }
    int kept = conf_own(c, rows, conf);
    if (rc == 0 && kept == 0) {
        *out = conf;
    }
    return rc < 0 ? rc : kept;
}

/* The i-th setting of the winning origin for a row, or NULL. */
static const struct conf_setting *setting_at(const struct conf_instance *inst,
                                             const struct nk_opt *row, size_t i)
{
    enum nk_origin from = winner(inst, row);
    for (size_t k = 0; k < inst->n; k++) {
        const struct conf_setting *s = &inst->settings[k];
        if (s->row == row && s->origin == from && i-- == 0) {
            return s;
        }
    }
    return NULL;
}

static size_t row_values(const struct conf_instance *inst, const struct nk_opt *row)
{
    size_t n = 0;
    while (setting_at(inst, row, n)) {
        n++;
    }
    return n ? n : 1;
}

static void fill_value(const struct conf_instance *inst, const struct nk_opt *row, size_t i,
                       struct nk_conf_value *out)
{
    const struct conf_setting *s = setting_at(inst, row, i);
    *out = (struct nk_conf_value){inst->section->name, inst->name, row, row->def,
                                  NK_FROM_DEFAULT,     "default"};
    if (s) {
        out->text = s->text;
        out->origin = s->origin;
        out->where = s->where;
    }
    if ((row->flags & NK_OPT_SECRET) && !(nk_opt_is_text(row) && row->type == NK_OPT_PATH) &&
        out->text) {
        out->text = "***";
    }
}

bool nk_conf_value_at(const struct nk_conf *c, size_t i, struct nk_conf_value *out)
{
    for (size_t k = 0; k < c->ninst; k++) {
        const struct conf_instance *inst = c->inst[k];
        for (const struct nk_opt *row = nk_opt_first(inst->section->opts); row;
             row = nk_opt_next(inst->section->opts, row)) {
            size_t n = row->flags & NK_OPT_CLI_ONLY ? 0 : row_values(inst, row);
            if (i < n) {
                fill_value(inst, row, i, out);
                return true;
            }
            i -= n;
        }
    }
    return false;
}
