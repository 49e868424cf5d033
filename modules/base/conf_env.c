/* SPDX-License-Identifier: MIT */
/* Settings from the environment and from -C. */
#include <ctype.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/codec.h"
#include "base/conf_impl.h"
#include "base/file.h"
#include "base/secret.h"

#define PREFIX "NETKIT_"
#define MAX_NAME 128 /* longest variable name that can mean anything */

/* The parts of NETKIT_A__B__C: section "a", rest "b__c". */
struct parts {
    char section[MAX_NAME];
    char rest[MAX_NAME];
};

static bool split_name(const char *name, size_t len, struct parts *out)
{
    const char *sep = memmem(name, len, "__", 2);
    if (!sep || len >= MAX_NAME) {
        return false;
    }
    size_t n = (size_t)(sep - name);
    for (size_t i = 0; i < n; i++) {
        out->section[i] = (char)tolower((unsigned char)name[i]);
    }
    out->section[n] = '\0';
    size_t k = 0;
    for (size_t i = n + 2; i < len; i++) {
        out->rest[k++] = (char)tolower((unsigned char)name[i]);
    }
    out->rest[k] = '\0';
    return true;
}

/* "web_site__key" -> name "web-site" and the key behind it; false when there is none. */
static bool split_instance(char *rest, char **key)
{
    char *sep = strstr(rest, "__");
    if (!sep) {
        return false;
    }
    *sep = '\0';
    *key = sep + 2;
    for (char *p = rest; *p; p++) {
        *p = *p == '_' ? '-' : *p;
    }
    return true;
}

/* In keys a further "__" stands for a dot. */
static void join_with_dots(char *key)
{
    char *sep;
    while ((sep = strstr(key, "__")) != NULL) {
        *sep = '.';
        memmove(sep + 1, sep + 2, strlen(sep + 2) + 1);
    }
}

static void unknown_section(struct nk_conf *c, const char *section, const struct conf_place *at)
{
    const char *names[64];
    char shown[MAX_NAME] = "";
    size_t n = 0;
    for (size_t i = 0; c->sections && c->sections[i] && n < 64; i++) {
        names[n++] = c->sections[i]->name;
    }
    const char *near = nk_suggest(section, names, n);
    if (!near) {
        conf_problem(c, at, true, "ignored: there is no section [%s]", section);
        return;
    }
    for (size_t i = 0; near[i] && i + 1 < sizeof(shown); i++) {
        shown[i] = near[i] == '-' ? '_' : (char)toupper((unsigned char)near[i]);
    }
    conf_problem(c, at, true, "ignored: there is no section [%s] (did you mean " PREFIX "%s__...?)",
                 section, shown);
}

/* KEY_FILE where KEY is a row that holds a secret itself (such rows have no flag): that row. */
static const struct nk_opt *secret_of_file(const struct nk_section *s, const char *key)
{
    char base[MAX_NAME];
    size_t n = strlen(key);
    if (n <= 5 || strcmp(key + n - 5, "_file") != 0) {
        return NULL;
    }
    snprintf(base, sizeof(base), "%.*s", (int)(n - 5), key);
    const struct nk_opt *row = nk_opt_find(s->opts, base);
    return row && row->type == NK_OPT_STRING && (row->flags & NK_OPT_SECRET) ? row : NULL;
}

/* The contents of the file at `path` become the value. */
static void add_secret(struct nk_conf *c, struct conf_instance *inst, const struct nk_opt *row,
                       const char *path, const struct conf_place *at)
{
    struct nk_secret secret = {0};
    struct nk_diag diag = {0};
    int rc = nk_file_read_secret(path, true, &secret, &diag);
    if (rc < 0) {
        conf_problem(c, at, false, "%s", diag.text);
        return;
    }
    char text[1024];
    if (secret.len >= sizeof(text) || memchr(secret.data, 0, secret.len)) {
        conf_problem(c, at, false, "%s: longer than 1023 bytes, or with a NUL byte", path);
    } else {
        memcpy(text, secret.data, secret.len);
        text[secret.len] = '\0';
        conf_add(c, inst, row, text, at);
    }
    nk_wipe(text, sizeof(text));
    nk_secret_clear(&secret);
}

/* "password" where only password_file exists: refused, because ignoring it would switch the
 * password off. */
static bool refuse_secret(struct nk_conf *c, const struct nk_section *s, const char *key,
                          const struct conf_place *at)
{
    char file[MAX_NAME + 8];
    snprintf(file, sizeof(file), "%s_file", key);
    if (nk_opt_find(s->opts, key) || !nk_opt_find(s->opts, file)) {
        return false;
    }
    conf_problem(c, at, false, "a secret is not read from the environment itself (use %s_FILE)",
                 at->where);
    return true;
}

/* List rows take one value per line. */
static void add_lines(struct nk_conf *c, struct conf_instance *inst, const struct nk_opt *row,
                      const char *text, const struct conf_place *at)
{
    char line[NK_PATH_MAX * 4];
    for (const char *p = text; *p;) {
        size_t n = strcspn(p, "\n");
        if (n >= sizeof(line)) {
            conf_problem(c, at, false, "a line is too long");
            return;
        }
        memcpy(line, p, n);
        line[n] = '\0';
        if (n > 0) {
            conf_add(c, inst, row, line, at);
        }
        p += n + (p[n] == '\n');
    }
}

static void add_variable(struct nk_conf *c, const struct nk_section *s, char *rest,
                         const char *value, const struct conf_place *at)
{
    char *key = rest;
    if (s->named && (!split_instance(rest, &key) || !conf_name_ok(rest))) {
        conf_problem(c, at, true, "ignored: section [%s] has names, as in %.*s__NAME__KEY", s->name,
                     (int)(strstr(at->where, "__") - at->where), at->where);
        return;
    }
    join_with_dots(key);
    if (refuse_secret(c, s, key, at)) {
        return;
    }
    const struct nk_opt *secret = nk_opt_find(s->opts, key) ? NULL : secret_of_file(s, key);
    const struct nk_opt *row = secret ? secret : conf_key(c, s, key, at);
    struct conf_instance *inst = row ? conf_open(c, s, s->named ? rest : NULL, at) : NULL;
    if (!inst) {
        return;
    }
    if (secret) {
        add_secret(c, inst, row, value, at);
    } else if ((row->flags & NK_OPT_REPEAT) && *value) {
        add_lines(c, inst, row, value, at);
    } else {
        conf_add(c, inst, row, value, at);
    }
}

void conf_read_env(struct nk_conf *c, const char *const *env)
{
    for (; *env; env++) {
        const char *eq = strchr(*env, '=');
        struct parts parts;
        if (!eq || strncmp(*env, PREFIX, strlen(PREFIX)) != 0) {
            continue;
        }
        const char *name = *env + strlen(PREFIX);
        if (eq < name || !split_name(name, (size_t)(eq - name), &parts)) {
            continue; /* without "__": not ours, Kubernetes sets names such as NETKIT_RELAY_PORT */
        }
        char where[MAX_NAME + sizeof(PREFIX)];
        snprintf(where, sizeof(where), "%.*s", (int)(eq - *env), *env);
        struct conf_place at = {NK_FROM_ENV, where, UINT_MAX};
        const struct nk_section *s = conf_section(c, parts.section);
        if (s) {
            add_variable(c, s, parts.rest, eq + 1, &at);
        } else {
            unknown_section(c, parts.section, &at);
        }
    }
}

/* -C 'section name.key=value'; neither sections nor their names contain a dot, so a key may. */
static void read_override(struct nk_conf *c, const char *text)
{
    char where[MAX_NAME + 16], head[MAX_NAME];
    const char *eq = strchr(text, '=');
    size_t n = eq ? (size_t)(eq - text) : strlen(text);
    snprintf(where, sizeof(where), "-C %.*s", (int)(n < MAX_NAME ? n : MAX_NAME), text);
    struct conf_place at = {NK_FROM_OVERRIDE, where, UINT_MAX};
    const char *dot = memchr(text, '.', n);
    if (!eq || !dot || n >= sizeof(head)) {
        conf_problem(c, &at, false, "must be 'section.key=value' or 'section name.key=value'");
        return;
    }
    memcpy(head, text, n);
    head[n] = '\0';
    char *key = head + (dot - text);
    *key++ = '\0';
    char *name = head + strcspn(head, " ");
    if (*name) {
        *name++ = '\0';
        name += strspn(name, " ");
    }
    const struct nk_section *s = conf_section(c, head);
    if (!s) {
        conf_problem(c, &at, false, "unknown section [%s]", head);
    } else if (s->named != (*name != '\0') || (s->named && !conf_name_ok(name))) {
        conf_problem(c, &at, false,
                     s->named ? "section [%s] needs a name of a-z, 0-9 and '-'"
                              : "section [%s] takes no name",
                     s->name);
    } else {
        const struct nk_opt *row = conf_key(c, s, key, &at);
        struct conf_instance *inst = row ? conf_open(c, s, name, &at) : NULL;
        if (inst) {
            conf_add(c, inst, row, eq + 1, &at);
        }
    }
}

void conf_read_overrides(struct nk_conf *c, const char *const *overrides)
{
    for (; *overrides; overrides++) {
        read_override(c, *overrides);
    }
}

static bool is_set(const struct conf_instance *inst, const struct nk_opt *row)
{
    for (size_t i = 0; inst && i < inst->n; i++) {
        if (inst->settings[i].row == row) {
            return true;
        }
    }
    return false;
}

/* systemd's name for a row: "relay.password" for [relay] password_file. */
static int credential_path(char *out, size_t max, const char *dir, const struct nk_section *s,
                           const char *name, const struct nk_opt *row)
{
    char key[MAX_NAME];
    nk_opt_ini_name(key, sizeof(key), row);
    size_t n = strlen(key);
    if (n > 5 && strcmp(key + n - 5, "_file") == 0) {
        key[n - 5] = '\0';
    }
    int w =
        snprintf(out, max, "%s/%s%s%s.%s", dir, s->name, name ? "." : "", name ? name : "", key);
    return w < 0 || (size_t)w >= max ? NK_ETOOBIG : 0;
}

static void add_credentials(struct nk_conf *c, const char *dir, const struct nk_section *s,
                            const char *name)
{
    for (const struct nk_opt *row = nk_opt_first(s->opts); row; row = nk_opt_next(s->opts, row)) {
        char path[NK_PATH_MAX];
        if (row->type != NK_OPT_PATH || (row->flags & (NK_OPT_CLI_ONLY | NK_OPT_REPEAT)) ||
            is_set(conf_find(c, s, name), row) ||
            credential_path(path, sizeof(path), dir, s, name, row) < 0 || access(path, F_OK) < 0) {
            continue;
        }
        struct conf_place at = {NK_FROM_ENV, path, UINT_MAX};
        struct conf_instance *inst = conf_open(c, s, name, &at);
        if (inst) {
            conf_add(c, inst, row, path, &at);
        }
    }
}

void conf_read_credentials(struct nk_conf *c, const char *const *env,
                           const struct nk_section *flags_for)
{
    static const char variable[] = "CREDENTIALS_DIRECTORY=";
    const char *dir = NULL;
    for (; *env && !dir; env++) {
        if (strncmp(*env, variable, sizeof(variable) - 1) == 0) {
            dir = *env + sizeof(variable) - 1;
        }
    }
    if (!dir || *dir != '/') {
        return;
    }
    /* a credential alone brings no section to life, except that of the command that runs */
    size_t n = c->ninst;
    for (size_t i = 0; i < n; i++) {
        add_credentials(c, dir, c->inst[i]->section, c->inst[i]->name);
    }
    if (flags_for && !flags_for->named) {
        add_credentials(c, dir, flags_for, NULL);
    }
}
