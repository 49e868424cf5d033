/* SPDX-License-Identifier: MIT */
/* Rules that hold for every descriptor, section and line of netkit.ini. */
#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/build_info.h"
#include "base/cli.h"
#include "base/packed.h"
#include "core/registry.h"

static struct nk_cmds cmds(void)
{
    return (struct nk_cmds){nk_cmd_table, nk_cmd_count};
}

static size_t field_size(const struct nk_opt *o)
{
    if (o->flags & NK_OPT_REPEAT)
        return sizeof(struct nk_strlist);
    switch (o->type) {
    case NK_OPT_FLAG:
    case NK_OPT_BOOL:
        return sizeof(bool);
    case NK_OPT_ENUM:
        return sizeof(int);
    default:
        return sizeof(uint64_t);
    }
}

static void check_row(const char *owner, const struct nk_opt *o, size_t conf_size)
{
    struct nk_diag diag = {0};
    if (!o->help || !*o->help)
        fail_msg("%s: --%s has no help", owner, o->name);
    if (o->help[strlen(o->help) - 1] == '.')
        fail_msg("%s: the help of --%s ends with a period", owner, o->name);
    for (const char *p = o->name; *p; p++)
        if (!islower((unsigned char)*p) && !isdigit((unsigned char)*p) && !strchr("-.", *p))
            fail_msg("%s: --%s is no long option name", owner, o->name);
    if ((o->flags & NK_OPT_REPEAT) && !nk_opt_is_text(o))
        fail_msg("%s: --%s cannot be a list", owner, o->name);
    if (o->type == NK_OPT_ENUM && !o->choices)
        fail_msg("%s: --%s has no choices", owner, o->name);
    if (o->offset + field_size(o) > conf_size)
        fail_msg("%s: --%s lies outside of its struct", owner, o->name);
    if ((o->flags & NK_OPT_REQUIRED) && o->def)
        fail_msg("%s: --%s is required and has a default", owner, o->name);
    void *conf = calloc(1, conf_size);
    assert_non_null(conf);
    struct nk_opt only[2] = {*o, NK_OPT_END};
    if (nk_opt_parse_default(o, conf, &diag) < 0)
        fail_msg("%s: the default of --%s: %s", owner, o->name, diag.text);
    if (o->def && (o->type == NK_OPT_LISTEN || o->type == NK_OPT_CONNECT) &&
        nk_endpoint_check(o->def, o->type == NK_OPT_LISTEN, &diag) < 0)
        fail_msg("%s: the default of --%s: %s", owner, o->name, diag.text);
    nk_opt_free_values(only, conf);
    free(conf);
}

static void check_rows(const char *owner, const struct nk_opt *rows, size_t conf_size)
{
    for (const struct nk_opt *o = nk_opt_first(rows); o; o = nk_opt_next(rows, o)) {
        check_row(owner, o, conf_size);
        for (const struct nk_opt *p = nk_opt_first(rows); p != o; p = nk_opt_next(rows, p)) {
            if (strcmp(o->name, p->name) == 0)
                fail_msg("%s: two rows --%s", owner, o->name);
            if (o->short_name && o->short_name == p->short_name)
                fail_msg("%s: --%s and --%s are both -%c", owner, o->name, p->name, o->short_name);
            if (o->offset == p->offset)
                fail_msg("%s: --%s and --%s share a field", owner, o->name, p->name);
        }
    }
}

static void commands(void **state)
{
    (void)state;
    assert_true(nk_cmd_count > 0);
    for (size_t i = 0; i < nk_cmd_count; i++) {
        const struct nk_cmd_entry *e = &nk_cmd_table[i];
        const struct nk_cmd *c = e->cmd;
        if (!c->summary || !isupper((unsigned char)c->summary[0]) ||
            c->summary[strlen(c->summary) - 1] == '.')
            fail_msg("%s: the summary must begin with a capital and end without a period", e->name);
        if (!c->run)
            fail_msg("%s: nothing to run", e->name);
        if (strlen(e->name) >= NK_CLI_MAX_NAME)
            fail_msg("%s: the name is too long", e->name);
        if (c->max_args >= 0 && c->min_args > c->max_args)
            fail_msg("%s: min_args and max_args", e->name);
        check_rows(e->name, nk_cli_opts(c), nk_cli_conf_size(c));
        if (i > 0)
            assert_true(strcmp(nk_cmd_table[i - 1].name, e->name) < 0);
    }
}

/* `a b` would be ambiguous if `a` took operands. */
static void prefixes_take_no_positionals(void **state)
{
    (void)state;
    for (size_t i = 0; i < nk_cmd_count; i++) {
        const struct nk_cmd_entry *e = &nk_cmd_table[i];
        if (nk_cli_has_children(cmds(), e->name) && e->cmd->max_args != 0)
            fail_msg("%s is the prefix of another command and takes arguments", e->name);
    }
}

static void section_rows(void **state)
{
    (void)state;
    const struct nk_section *s[NK_CLI_MAX_SECTIONS + 1];
    size_t n = nk_cli_sections(cmds(), s);
    for (size_t i = 0; i < n; i++) {
        check_rows(s[i]->name, s[i]->opts, s[i]->conf_size);
        if (!s[i]->summary || !*s[i]->summary)
            fail_msg("[%s] has no summary", s[i]->name);
        for (size_t k = 0; k < i; k++)
            if (strcmp(s[i]->name, s[k]->name) == 0)
                fail_msg("two sections [%s]", s[i]->name);
    }
}

static void global_rows(void **state)
{
    (void)state;
    struct nk_diag diag;
    struct nk_globals g = {0};
    for (const struct nk_opt *o = nk_cli_globals; o->name; o++) {
        assert_non_null(o->help);
        assert_int_equal(nk_opt_parse_default(o, &g, &diag), 0);
    }
    nk_opt_free_values(nk_cli_globals, &g);
}

static int load_text(struct nk_conf **c, const char *text, const char *const *env)
{
    static const char *const none[] = {NULL};
    const struct nk_section *s[NK_CLI_MAX_SECTIONS + 1];
    nk_cli_sections(cmds(), s);
    struct nk_conf_source src = {
        .text = text, .text_len = strlen(text), .env = env ? env : none, .sections = s};
    return nk_conf_load(c, &src, nk_endpoint_check);
}

static void must_load(const char *text, const char *what)
{
    struct nk_conf *c;
    if (load_text(&c, text, NULL) < 0 || nk_conf_problem_at(c, 0)) {
        const struct nk_conf_problem *p = nk_conf_problem_at(c, 0);
        fail_msg("%s: %s", what, p ? p->text : "?");
    }
    nk_conf_free(c);
}

/* A line "#key = value" or "#[section]" is a setting that is switched off; prose has "# ". */
static bool is_commented_setting(const char *line)
{
    return line[0] == '#' && (islower((unsigned char)line[1]) || line[1] == '[');
}

static char *default_ini(void)
{
    char *text = NULL;
    assert_int_equal(nk_unpack(nk_build_info.default_ini, &text), 0);
    return text;
}

/* netkit.ini with every commented setting switched on. */
static char *all_settings(void)
{
    char *text = default_ini(), *p = text;
    char *out = malloc(strlen(p) + 1), *w = out;
    assert_non_null(out);
    while (*p) {
        size_t n = strcspn(p, "\n") + 1;
        size_t skip = is_commented_setting(p) ? 1 : 0;
        memcpy(w, p + skip, n - skip);
        w += n - skip;
        p += n;
    }
    *w = '\0';
    free(text);
    return out;
}

static void shipped_configuration(void **state)
{
    (void)state;
    char *all = all_settings(), *text = default_ini();
    must_load(text, "netkit.ini as it is");
    must_load(all, "netkit.ini with every comment switched on");
    free(text);
    free(all);
}

/* Is there a line "key = ..." (commented or not) below a header of the section? */
static bool is_documented(const char *text, const struct nk_section *s, const char *key)
{
    bool inside = false;
    for (const char *p = text; *p; p += strcspn(p, "\n"), p += *p == '\n') {
        size_t n = strlen(s->name);
        if (*p == '[')
            inside = strncmp(p + 1, s->name, n) == 0 && (p[n + 1] == ']' || p[n + 1] == ' ');
        else if (inside && strncmp(p, key, strlen(key)) == 0 && p[strlen(key)] == ' ')
            return true;
    }
    return false;
}

static void every_key_is_documented(void **state)
{
    (void)state;
    const struct nk_section *s[NK_CLI_MAX_SECTIONS + 1];
    size_t n = nk_cli_sections(cmds(), s);
    char *all = all_settings(), key[64];
    for (size_t i = 0; i < n; i++)
        for (const struct nk_opt *o = nk_opt_first(s[i]->opts); o; o = nk_opt_next(s[i]->opts, o))
            if (!(o->flags & (NK_OPT_CLI_ONLY | NK_OPT_HIDDEN)) &&
                !is_documented(all, s[i], nk_opt_ini_name(key, sizeof(key), o)))
                fail_msg("netkit.ini says nothing of '%s' in [%s]", key, s[i]->name);
    free(all);
}

/* A value that the row accepts and that is not its default. */
static void sample(char *out, size_t max, const struct nk_opt *o)
{
    bool def_true = o->def && (strcmp(o->def, "yes") == 0 || strcmp(o->def, "true") == 0);
    switch (o->type) {
    case NK_OPT_FLAG:
    case NK_OPT_BOOL:
        snprintf(out, max, "%s", def_true ? "no" : "yes");
        break;
    case NK_OPT_INT:
    case NK_OPT_SIZE:
        snprintf(out, max, "%lld", (long long)(o->max ? o->max : 4242));
        break;
    case NK_OPT_DURATION:
        snprintf(out, max, "%lldms", (long long)(o->max ? o->max : 4242));
        break;
    case NK_OPT_ENUM:
        snprintf(out, max, "%s", o->choices[o->choices[1] ? 1 : 0]);
        break;
    case NK_OPT_LISTEN:
    case NK_OPT_CONNECT:
        snprintf(out, max, "tcp:127.0.0.1:4242");
        break;
    default:
        snprintf(out, max, "/sample");
        break;
    }
}

/* CVE-2024-43798 was a documented variable that was never read. */
static void check_variable(const struct nk_section *s, const struct nk_opt *o)
{
    char name[160], value[128], line[320];
    nk_conf_env_name(name, sizeof(name), s, o);
    sample(value, sizeof(value), o);
    snprintf(line, sizeof(line), "%s=%s", name, value);
    const char *const env[] = {line, NULL};
    struct nk_conf *c;
    struct nk_conf_value v;
    bool seen = false;
    load_text(&c, "", env);
    for (size_t i = 0; nk_conf_value_at(c, i, &v); i++)
        if (v.row == o && v.origin == NK_FROM_ENV)
            seen = strcmp(v.where, name) == 0;
    if (!seen)
        fail_msg("%s has no effect: %s", name,
                 nk_conf_problem_at(c, 0) ? nk_conf_problem_at(c, 0)->text : "");
    nk_conf_free(c);
}

static void every_variable_has_an_effect(void **state)
{
    (void)state;
    const struct nk_section *s[NK_CLI_MAX_SECTIONS + 1];
    size_t n = nk_cli_sections(cmds(), s);
    for (size_t i = 0; i < n; i++)
        for (const struct nk_opt *o = nk_opt_first(s[i]->opts); o; o = nk_opt_next(s[i]->opts, o))
            if (!(o->flags & NK_OPT_CLI_ONLY))
                check_variable(s[i], o);
}

int nk_test_service_meta(void);
int nk_test_service_meta(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(commands),
        cmocka_unit_test(prefixes_take_no_positionals),
        cmocka_unit_test(section_rows),
        cmocka_unit_test(global_rows),
        cmocka_unit_test(shipped_configuration),
        cmocka_unit_test(every_key_is_documented),
        cmocka_unit_test(every_variable_has_an_effect),
    };
    return cmocka_run_group_tests_name("service/meta", tests, NULL, NULL);
}
