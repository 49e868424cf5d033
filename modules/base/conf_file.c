/* SPDX-License-Identifier: MIT */
/* Settings from netkit.ini. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/codec.h"
#include "base/conf_impl.h"
#include "base/file.h"
#include "base/ini.h"

#define MAX_SECTIONS 64
#define MAX_KEYS 128

struct reader {
    struct nk_conf *c;
    const char *path;
    struct conf_instance *inst; /* of the section being read; NULL below an unknown one */
    struct {
        const struct conf_instance *inst;
        unsigned line;
    } seen[NK_OPT_MAX_REPEAT];
    size_t nseen;
};

struct place_text {
    char text[NK_PATH_MAX + 16];
};

static struct conf_place place(const struct reader *r, unsigned line, struct place_text *where)
{
    snprintf(where->text, sizeof(where->text), "%s:%u", r->path, line);
    return (struct conf_place){NK_FROM_FILE, where->text, line};
}

static void on_problem(void *owner, unsigned line, const char *text)
{
    struct reader *r = owner;
    struct place_text where = {""};
    struct conf_place at = place(r, line, &where);
    conf_problem(r->c, &at, false, "%s", text);
}

static void unknown_section(struct nk_conf *c, const char *name, const struct conf_place *at)
{
    const char *names[MAX_SECTIONS];
    size_t n = 0;
    for (size_t i = 0; c->sections && c->sections[i] && n < MAX_SECTIONS; i++) {
        names[n++] = c->sections[i]->name;
    }
    const char *near = nk_suggest(name, names, n);
    const struct nk_section *s = near ? conf_section(c, near) : NULL;
    if (near) {
        conf_problem(c, at, false, "unknown section [%s] (did you mean [%s%s]?)", name, near,
                     s && s->named ? " NAME" : "");
    } else {
        conf_problem(c, at, false, "unknown section [%s]", name);
    }
}

/* Is this header a second one for the same section? inih would merge them without a word. */
static bool seen_before(struct reader *r, const struct conf_instance *inst, unsigned line,
                        const struct conf_place *at, const char *header)
{
    for (size_t i = 0; i < r->nseen; i++) {
        if (r->seen[i].inst == inst) {
            conf_problem(r->c, at, false, "section [%s] is there twice (first at line %u)", header,
                         r->seen[i].line);
            return true;
        }
    }
    if (r->nseen == sizeof(r->seen) / sizeof(r->seen[0])) {
        conf_problem(r->c, at, false, "too many sections");
        return true;
    }
    r->seen[r->nseen].inst = inst;
    r->seen[r->nseen++].line = line;
    return false;
}

static void open_section(struct reader *r, unsigned line, char *type, const char *name,
                         const char *header)
{
    struct place_text where = {""};
    struct conf_place at = place(r, line, &where);
    const struct nk_section *s = conf_section(r->c, type);
    if (!s) {
        unknown_section(r->c, type, &at);
    } else if (!s->named && *name) {
        conf_problem(r->c, &at, false, "[%s]: section [%s] takes no name", header, s->name);
    } else if (s->named && !*name) {
        conf_problem(r->c, &at, false, "[%s] needs a name: [%s NAME]", header, s->name);
    } else if (s->named && !conf_name_ok(name)) {
        conf_problem(r->c, &at, false, "[%s]: a name consists of a-z, 0-9 and '-'", header);
    } else {
        struct conf_instance *inst = conf_open(r->c, s, name, &at);
        r->inst = inst && !seen_before(r, inst, line, &at, header) ? inst : NULL;
    }
}

static void on_section(void *owner, unsigned line, const char *header)
{
    char type[NK_INI_MAX_NAME + 1];
    size_t n = strcspn(header, " \t:");
    const char *name = header + n + strspn(header + n, " \t:");
    struct reader *r = owner;
    r->inst = NULL;
    if (header[n] == ':') {
        struct place_text where = {""};
        struct conf_place at = place(r, line, &where);
        conf_problem(r->c, &at, false, "[%s]: a space goes between section and name", header);
        return;
    }
    snprintf(type, sizeof(type), "%.*s", (int)n, header);
    open_section(r, line, type, name, header);
}

/* Rows without an INI key do not count here. */
static const struct nk_opt *ini_row(const struct nk_section *s, const char *key)
{
    const struct nk_opt *row = nk_opt_find(s->opts, key);
    return row && !(row->flags & NK_OPT_CLI_ONLY) ? row : NULL;
}

static const char *near_key(const struct nk_section *s, const char *key, char *out, size_t max)
{
    char spelled[MAX_KEYS][NK_INI_MAX_NAME + 1];
    const char *names[MAX_KEYS];
    size_t n = 0;
    for (const struct nk_opt *row = nk_opt_first(s->opts); row && n < MAX_KEYS;
         row = nk_opt_next(s->opts, row)) {
        if (!(row->flags & NK_OPT_CLI_ONLY)) {
            names[n] = nk_opt_ini_name(spelled[n], sizeof(spelled[n]), row);
            n++;
        }
    }
    const char *near = nk_suggest(key, names, n);
    if (near) {
        snprintf(out, max, "%s", near);
    }
    return near ? out : NULL;
}

const struct nk_opt *conf_key(struct nk_conf *c, const struct nk_section *s, const char *key,
                              const struct conf_place *at)
{
    const struct nk_opt *row = ini_row(s, key);
    bool warning = at->origin == NK_FROM_ENV;
    char near[NK_INI_MAX_NAME + 1];
    if (row) {
        return row;
    }
    if (near_key(s, key, near, sizeof(near))) {
        conf_problem(c, at, warning, "[%s] unknown key '%s' (did you mean '%s'?)", s->name, key,
                     near);
        return NULL;
    }
    for (size_t i = 0; c->sections[i]; i++) {
        const struct nk_section *other = c->sections[i];
        if (ini_row(other, key)) {
            conf_problem(c, at, warning, "[%s] unknown key '%s' ('%s' belongs to [%s%s])", s->name,
                         key, key, other->name, other->named ? " NAME" : "");
            return NULL;
        }
    }
    conf_problem(c, at, warning, "[%s] unknown key '%s'", s->name, key);
    return NULL;
}

static bool is_quoted(const char *value)
{
    size_t n = strlen(value);
    return n >= 2 && (*value == '"' || *value == '\'') && value[n - 1] == *value;
}

/* Is it relative to the file: neither standard input nor one of the words that the row knows? */
static bool is_relative(const struct nk_opt *row, const char *value)
{
    if (row->type != NK_OPT_PATH) {
        return false;
    }
    for (size_t i = 0; row->choices && row->choices[i]; i++) {
        if (strcmp(value, row->choices[i]) == 0) {
            return false;
        }
    }
    return *value && *value != '/' && strcmp(value, "-") != 0;
}

static void on_key(void *owner, unsigned line, const char *key, const char *value)
{
    struct reader *r = owner;
    if (!r->inst) {
        return; /* its section was refused already */
    }
    struct place_text where = {""};
    struct conf_place at = place(r, line, &where);
    const struct nk_opt *row = conf_key(r->c, r->inst->section, key, &at);
    if (!row) {
        return;
    }
    if (is_quoted(value)) {
        conf_problem(r->c, &at, true, "[%s] %s: the quotes are part of the value",
                     r->inst->section->name, key);
    }
    if (r->c->dir && is_relative(row, value)) {
        char joined[NK_PATH_MAX];
        if (nk_path_join(joined, sizeof(joined), r->c->dir, value) < 0) {
            conf_problem(r->c, &at, false, "[%s] %s: the path is too long", r->inst->section->name,
                         key);
            return;
        }
        conf_add(r->c, r->inst, row, joined, &at);
        return;
    }
    conf_add(r->c, r->inst, row, value, &at);
}

static void file_problem(struct nk_conf *c, const char *path, bool warning, const char *text)
{
    struct conf_place at = {NK_FROM_FILE, path, 0};
    conf_problem(c, &at, warning, "%s", text);
}

/* Whoever can write the configuration decides which programs run. */
static void warn_writable(struct nk_conf *c, const char *path)
{
    struct stat st;
    if (stat(path, &st) == 0 && (st.st_mode & (S_IWGRP | S_IWOTH))) {
        file_problem(c, path, true, "the file can be changed by other users (chmod go-w)");
    }
}

static int remember_path(struct nk_conf *c, const char *path)
{
    if (strcmp(path, "-") == 0) {
        return (c->path = strdup("standard input")) ? 0 : -ENOMEM;
    }
    const char *slash = strrchr(path, '/');
    c->path = strdup(path);
    if (slash) {
        c->dir = strndup(path, slash == path ? 1 : (size_t)(slash - path));
    }
    return c->path && (!slash || c->dir) ? 0 : -ENOMEM;
}

static void parse(struct nk_conf *c, const char *name, const void *text, size_t len)
{
    struct reader *r = calloc(1, sizeof(*r));
    if (!r) {
        c->no_memory = true;
        return;
    }
    r->c = c;
    r->path = name;
    const struct nk_ini_events ev = {on_section, on_key, on_problem, r};
    int rc = nk_ini_parse(text, len, &ev);
    if (rc == -ENOMEM) {
        c->no_memory = true;
    } else if (rc == NK_ETOOBIG) {
        file_problem(c, name, false, "the file is larger than 1 MiB");
    }
    free(r);
}

void conf_read_file(struct nk_conf *c, const struct nk_conf_source *src)
{
    if (src->path && remember_path(c, src->path) < 0) {
        c->no_memory = true;
        return;
    }
    const char *name = c->path ? c->path : "netkit.ini";
    if (src->text || !src->path) {
        parse(c, name, src->text ? src->text : "", src->text ? src->text_len : 0);
        return;
    }
    struct nk_buf buf;
    struct nk_diag diag = {0};
    nk_buf_init(&buf, NK_INI_MAX_TEXT);
    int rc = nk_file_read(src->path, 0, &buf, &diag);
    if (rc == -ENOMEM) {
        c->no_memory = true;
    } else if (rc < 0) {
        struct conf_place at = {NK_FROM_FILE, "configuration", 0};
        conf_problem(c, &at, false, "%s", diag.text);
    } else {
        warn_writable(c, src->path);
        parse(c, name, nk_buf_ptr(&buf), nk_buf_len(&buf));
    }
    nk_buf_clear(&buf);
}
