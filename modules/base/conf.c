/* SPDX-License-Identifier: MIT */
#include "base/conf.h"

#include <ctype.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/conf_impl.h"
#include "base/secret.h"

#define PROBLEM_TEXT 1024

static void wipe_secret(struct conf_setting *s)
{
    if (s->row->flags & NK_OPT_SECRET) {
        nk_wipe(s->text, strlen(s->text));
    }
}

void nk_conf_free(struct nk_conf *c)
{
    if (!c) {
        return;
    }
    for (size_t i = 0; i < c->ninst; i++) {
        struct conf_instance *inst = c->inst[i];
        for (size_t k = 0; k < inst->n; k++) {
            wipe_secret(&inst->settings[k]);
            free(inst->settings[k].text);
            free(inst->settings[k].where);
        }
        free(inst->settings);
        free(inst->name);
        free(inst->where);
        free(inst);
    }
    for (size_t i = 0; i < c->nowned; i++) {
        nk_opt_free_values(c->owned[i].rows, c->owned[i].conf);
        free(c->owned[i].conf);
    }
    for (size_t i = 0; i < c->nproblems; i++) {
        free((char *)(uintptr_t)c->problems[i].pub.text);
    }
    free(c->inst);
    free(c->sections);
    free(c->owned);
    free(c->problems);
    free(c->path);
    free(c->dir);
    free(c);
}

/* Keeps the problems of the file in the order of its lines, before those of other sources. */
static void insert_problem(struct nk_conf *c, struct conf_problem p)
{
    struct conf_problem *v = realloc(c->problems, (c->nproblems + 1) * sizeof(*v));
    if (!v) {
        free((char *)(uintptr_t)p.pub.text);
        c->no_memory = true;
        return;
    }
    size_t i = c->nproblems;
    for (; i > 0 && v[i - 1].line > p.line; i--) {
        v[i] = v[i - 1];
    }
    v[i] = p;
    c->problems = v;
    c->nproblems++;
}

void conf_problem(struct nk_conf *c, const struct conf_place *at, bool warning, const char *fmt,
                  ...)
{
    char text[PROBLEM_TEXT];
    int n = snprintf(text, sizeof(text), "%s: ", at->where);
    size_t used = n < 0 ? 0 : (size_t)n < sizeof(text) ? (size_t)n : sizeof(text) - 1;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text + used, sizeof(text) - used, fmt, ap);
    va_end(ap);
    for (char *p = text; *p; p++) {
        if (iscntrl((unsigned char)*p)) {
            *p = '?';
        }
    }
    c->errors += !warning;
    char *copy = strdup(text);
    if (!copy) {
        c->no_memory = true;
        return;
    }
    insert_problem(c, (struct conf_problem){{warning, copy}, at->line});
}

static bool same_fold(const char *a, const char *b)
{
    for (; *a && *b; a++, b++) {
        if ((*a == '_' ? '-' : *a) != (*b == '_' ? '-' : *b)) {
            return false;
        }
    }
    return *a == *b;
}

const struct nk_section *conf_section(const struct nk_conf *c, const char *name)
{
    for (size_t i = 0; c->sections && c->sections[i]; i++) {
        if (same_fold(c->sections[i]->name, name)) {
            return c->sections[i];
        }
    }
    return NULL;
}

bool conf_name_ok(const char *name)
{
    return *name && name[strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-")] == '\0';
}

struct conf_instance *conf_find(const struct nk_conf *c, const struct nk_section *s,
                                const char *name)
{
    for (size_t i = 0; i < c->ninst; i++) {
        struct conf_instance *inst = c->inst[i];
        if (inst->section == s && (!s->named || (name && strcmp(inst->name, name) == 0))) {
            return inst;
        }
    }
    return NULL;
}

static struct conf_instance *new_instance(const struct nk_section *s, const char *name,
                                          const struct conf_place *at)
{
    struct conf_instance *inst = calloc(1, sizeof(*inst));
    if (!inst) {
        return NULL;
    }
    inst->section = s;
    inst->in_file = at->origin == NK_FROM_FILE;
    inst->where = strdup(at->where);
    inst->name = s->named && name ? strdup(name) : NULL;
    if (!inst->where || (s->named && !inst->name)) {
        free(inst->where);
        free(inst->name);
        free(inst);
        return NULL;
    }
    return inst;
}

struct conf_instance *conf_open(struct nk_conf *c, const struct nk_section *s, const char *name,
                                const struct conf_place *at)
{
    struct conf_instance *inst = conf_find(c, s, name);
    if (inst) {
        return inst;
    }
    inst = new_instance(s, name, at);
    struct conf_instance **v = realloc(c->inst, (c->ninst + 1) * sizeof(struct conf_instance *));
    if (v) {
        c->inst = v;
    }
    if (!v || !inst) {
        if (inst) {
            free(inst->where);
            free(inst->name);
            free(inst);
        }
        c->no_memory = true;
        return NULL;
    }
    c->inst[c->ninst++] = inst;
    return inst;
}

const struct nk_conf_problem *nk_conf_problem_at(const struct nk_conf *c, size_t i)
{
    return i < c->nproblems ? &c->problems[i].pub : NULL;
}

const void *nk_conf_get(const struct nk_conf *c, const char *section, const char *name)
{
    const struct nk_section *s = conf_section(c, section);
    const struct conf_instance *inst = s ? conf_find(c, s, name) : NULL;
    return inst ? inst->conf : NULL;
}

const char *nk_conf_name_at(const struct nk_conf *c, const char *section, size_t i)
{
    for (size_t k = 0; k < c->ninst; k++) {
        const struct conf_instance *inst = c->inst[k];
        if (inst->section->named && same_fold(inst->section->name, section) && i-- == 0) {
            return inst->name;
        }
    }
    return NULL;
}

const char *nk_conf_path(const struct nk_conf *c)
{
    return c->path;
}

int conf_own(struct nk_conf *c, const struct nk_opt *rows, void *take_conf)
{
    struct conf_owned *v = realloc(c->owned, (c->nowned + 1) * sizeof(*v));
    if (!v) {
        nk_opt_free_values(rows, take_conf);
        free(take_conf);
        return -ENOMEM;
    }
    c->owned = v;
    v[c->nowned++] = (struct conf_owned){rows, take_conf};
    return 0;
}

int nk_conf_defaults(struct nk_conf *c, const struct nk_section *s, void *conf)
{
    struct nk_diag diag;
    void *own = calloc(1, s->conf_size ? s->conf_size : 1);
    if (!own) {
        return -ENOMEM;
    }
    int rc = conf_apply(s->opts, NULL, own, &diag);
    if (rc < 0) {
        nk_opt_free_values(s->opts, own);
        free(own);
        return rc;
    }
    rc = conf_own(c, s->opts, own);
    if (rc == 0) {
        memcpy(conf, own, s->conf_size);
    }
    return rc;
}

char *nk_conf_env_name(char *out, size_t max, const struct nk_section *s, const struct nk_opt *row)
{
    int n = snprintf(out, max, "NETKIT_%s__%s%s", s->name, s->named ? "NAME__" : "", row->name);
    size_t len = n < 0 ? 0 : (size_t)n < max ? (size_t)n : max - 1;
    for (size_t i = 0; i < len; i++) {
        out[i] = out[i] == '-' ? '_' : (char)toupper((unsigned char)out[i]);
    }
    /* a dot in a key is one more joint */
    char *dot = strchr(out, '.');
    if (dot && len + 1 < max) {
        memmove(dot + 1, dot, strlen(dot) + 1);
        dot[0] = dot[1] = '_';
    }
    return out;
}

bool nk_conf_find_file(char *out, size_t max, const char *explicit_path)
{
    const char *env = getenv("NETKIT_CONFIG");
    const char *cred = getenv("CREDENTIALS_DIRECTORY");
    const char *given = explicit_path ? explicit_path : env && *env ? env : NULL;
    if (given) {
        snprintf(out, max, "%s", given); /* one that does not fit will not open: never ignored */
        return true;
    }
    if (cred && *cred) {
        int n = snprintf(out, max, "%s/netkit.ini", cred);
        if (n >= 0 && (size_t)n < max && access(out, F_OK) == 0) {
            return true;
        }
    }
    int n = snprintf(out, max, "/etc/netkit/netkit.ini");
    return n >= 0 && (size_t)n < max && access(out, F_OK) == 0;
}
