/* SPDX-License-Identifier: MIT */
#include "base/conf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

struct relay {
    struct nk_strlist listen;
    char *cert, *password, *password_file, *master;
    int64_t header;
    int engine;
    bool enabled;
};

struct group {
    int64_t max_count;
    char *match;
};

#define R(field) NK_FIELD(struct relay, field)

static const char *const engines[] = {"log", "memory", NULL};

static const char *const cert_words[] = {"new", NULL};
static const struct nk_opt relay_rows[] = {
    {.name = "listen",
     .type = NK_OPT_LISTEN,
     .offset = R(listen),
     .flags = NK_OPT_REPEAT,
     .def = "tcp:127.0.0.1:3000"},
    {.name = "cert", .type = NK_OPT_PATH, .offset = R(cert), .choices = cert_words},
    {.name = "password-file", .type = NK_OPT_PATH, .offset = R(password_file)},
    {.name = "master", .type = NK_OPT_STRING, .offset = R(master), .flags = NK_OPT_SECRET},
    {.name = "header-size",
     .type = NK_OPT_INT,
     .offset = R(header),
     .min = 1,
     .max = 20,
     .def = "10",
     .aliases = "header"},
    {.name = "engine", .type = NK_OPT_ENUM, .offset = R(engine), .choices = engines},
    {.name = "clients.enabled", .type = NK_OPT_BOOL, .offset = R(enabled)},
    {.name = "foreground", .type = NK_OPT_FLAG, .offset = R(enabled), .flags = NK_OPT_CLI_ONLY},
    NK_OPT_END};
static const struct nk_opt group_rows[] = {
    {.name = "max-count", .type = NK_OPT_INT, .offset = NK_FIELD(struct group, max_count)},
    {.name = "match", .type = NK_OPT_STRING, .offset = NK_FIELD(struct group, match)},
    NK_OPT_END};
static const struct nk_opt tunnel_rows[] = {{.name = "host",
                                             .type = NK_OPT_STRING,
                                             .offset = NK_FIELD(struct group, match),
                                             .flags = NK_OPT_REQUIRED},
                                            NK_OPT_END};
static const struct nk_section relay = {"relay", false, "r", relay_rows, sizeof(struct relay),
                                        false};
static const struct nk_section group = {"group", true, "g", group_rows, sizeof(struct group),
                                        false};
static const struct nk_section tunnel = {"tunnel", true, "t", tunnel_rows, sizeof(struct group),
                                         false};
static const struct nk_section *const sections[] = {&relay, &group, &tunnel, NULL};

static int check(const char *text, bool listen, struct nk_diag *diag)
{
    assert_true(listen);
    return strncmp(text, "tcp:", 4) == 0 ? 0 : nk_fail(diag, NK_EFORMAT, "no scheme in '%s'", text);
}

static int load(struct nk_conf **c, const char *text, const char *const *env,
                const char *const *overrides)
{
    struct nk_conf_source src = {.text = text,
                                 .text_len = text ? strlen(text) : 0,
                                 .env = env,
                                 .overrides = overrides,
                                 .sections = sections};
    return nk_conf_load(c, &src, check);
}

/* All problems, one per line, must be exactly these. */
static void expect(const char *text, const char *const *env, const char *const *overrides,
                   const char *want)
{
    struct nk_conf *c;
    char got[4096] = "";
    size_t n = 0;
    bool errors = false;
    int rc = load(&c, text, env, overrides);
    const struct nk_conf_problem *p;
    for (size_t i = 0; (p = nk_conf_problem_at(c, i)) != NULL; i++) {
        errors |= !p->warning;
        n += (size_t)snprintf(got + n, sizeof(got) - n, "%s%s\n", p->warning ? "W " : "", p->text);
    }
    assert_string_equal(got, want);
    assert_int_equal(rc, errors ? NK_ECONFIG : 0);
    nk_conf_free(c);
}

static void values_and_defaults(void **state)
{
    (void)state;
    struct nk_conf *c;
    assert_int_equal(load(&c,
                          "[relay]\nlisten = tcp:a\nlisten = tcp:b\nengine = memory\n"
                          "clients.enabled = yes\n[group jobs]\nmax_count = 4\n[group b-2]\n",
                          NULL, NULL),
                     0);
    const struct relay *r = nk_conf_get(c, "relay", NULL);
    assert_non_null(r);
    assert_int_equal(r->listen.n, 2);
    assert_string_equal(r->listen.v[1], "tcp:b");
    assert_int_equal(r->engine, 1);
    assert_int_equal(r->header, 10);
    assert_true(r->enabled);
    assert_null(r->cert);
    const struct group *g = nk_conf_get(c, "group", "jobs");
    assert_int_equal(g->max_count, 4);
    assert_string_equal(nk_conf_name_at(c, "group", 0), "jobs");
    assert_string_equal(nk_conf_name_at(c, "group", 1), "b-2");
    assert_null(nk_conf_name_at(c, "group", 2));
    assert_null(nk_conf_get(c, "group", "other"));
    assert_null(nk_conf_get(c, "group", NULL));
    assert_null(nk_conf_get(c, "tunnel", "x"));
    struct relay def;
    assert_int_equal(nk_conf_defaults(c, &relay, &def), 0);
    assert_string_equal(def.listen.v[0], "tcp:127.0.0.1:3000");
    nk_conf_free(c);
}

static void precedence(void **state)
{
    (void)state;
    struct nk_conf *c;
    const char *const env[] = {"NETKIT_RELAY__HEADER_SIZE=12",
                               "NETKIT_RELAY__LISTEN=tcp:e1\ntcp:e2",
                               "NETKIT_GROUP__WEB_SITE__MAX_COUNT=7", NULL};
    const char *const over[] = {"relay.header=13", "group jobs.max_count=9", NULL};
    assert_int_equal(load(&c, "[relay]\nheader_size = 11\nlisten = tcp:f\ncert=x\n", env, over), 0);
    const struct relay *r = nk_conf_get(c, "relay", NULL);
    assert_int_equal(r->header, 13);
    assert_int_equal(r->listen.n, 2); /* a stronger source replaces a list */
    assert_string_equal(r->listen.v[0], "tcp:e1");
    assert_int_equal(((const struct group *)nk_conf_get(c, "group", "web-site"))->max_count, 7);
    assert_int_equal(((const struct group *)nk_conf_get(c, "group", "jobs"))->max_count, 9);

    const struct nk_conf_flag flags[] = {{&relay_rows[4], "14"}, {&relay_rows[0], "tcp:g"}};
    const void *merged;
    struct nk_diag diag;
    assert_int_equal(
        nk_conf_merge(c, relay_rows, sizeof(struct relay), &relay, flags, 2, &merged, &diag), 0);
    const struct relay *m = merged;
    assert_int_equal(m->header, 14);
    assert_int_equal(m->listen.n, 1);
    assert_string_equal(m->listen.v[0], "tcp:g");
    assert_string_equal(m->cert, "x");
    nk_conf_free(c);
}

/* A command of a named section gets the one that its --name says. */
static void named_sections_of_commands(void **state)
{
    struct named {
        char *name;
        int64_t max_count;
    };
    const struct nk_opt rows[] = {{.name = "name",
                                   .type = NK_OPT_STRING,
                                   .offset = NK_FIELD(struct named, name),
                                   .def = "first",
                                   .flags = NK_OPT_CLI_ONLY},
                                  {.name = "max-count",
                                   .type = NK_OPT_INT,
                                   .offset = NK_FIELD(struct named, max_count),
                                   .def = "-1"},
                                  NK_OPT_END};
    const struct nk_conf_flag second = {&rows[0], "second"}, none = {&rows[0], "none"};
    const struct nk_conf_flag both[] = {{&rows[1], "9"}, second};
    struct nk_conf *c;
    struct nk_diag diag;
    const void *out;
    (void)state;
    assert_int_equal(
        load(&c, "[group first]\nmax_count=1\n[group second]\nmax_count=2\n", NULL, NULL), 0);
    assert_int_equal(nk_conf_merge(c, rows, sizeof(struct named), &group, NULL, 0, &out, &diag), 0);
    assert_int_equal(((const struct named *)out)->max_count, 1);
    assert_int_equal(nk_conf_merge(c, rows, sizeof(struct named), &group, &second, 1, &out, &diag),
                     0);
    assert_int_equal(((const struct named *)out)->max_count, 2);
    assert_string_equal(((const struct named *)out)->name, "second");
    assert_int_equal(nk_conf_merge(c, rows, sizeof(struct named), &group, both, 2, &out, &diag), 0);
    assert_int_equal(((const struct named *)out)->max_count, 9);
    assert_int_equal(nk_conf_merge(c, rows, sizeof(struct named), &group, &none, 1, &out, &diag),
                     0);
    assert_int_equal(((const struct named *)out)->max_count, -1);
    nk_conf_free(c);
}

static void unknown_names(void **state)
{
    (void)state;
    expect("[relay]\nlisen = tcp:a\n", NULL, NULL,
           "netkit.ini:2: [relay] unknown key 'lisen' (did you mean 'listen'?)\n");
    expect("[relay]\nmax_count = 1\n", NULL, NULL,
           "netkit.ini:2: [relay] unknown key 'max_count' ('max_count' belongs to [group NAME])\n");
    expect("[relay]\nforeground = yes\n", NULL, NULL,
           "netkit.ini:2: [relay] unknown key 'foreground'\n");
    expect("[relya]\nx = 1\n", NULL, NULL,
           "netkit.ini:1: unknown section [relya] (did you mean [relay]?)\n");
    expect("[grup a]\nx = 1\n", NULL, NULL,
           "netkit.ini:1: unknown section [grup] (did you mean [group NAME]?)\n");
    expect("[zzz]\nx = 1\n", NULL, NULL, "netkit.ini:1: unknown section [zzz]\n");
}

static void section_names(void **state)
{
    (void)state;
    expect("[relay x]\n", NULL, NULL, "netkit.ini:1: [relay x]: section [relay] takes no name\n");
    expect("[group]\n", NULL, NULL, "netkit.ini:1: [group] needs a name: [group NAME]\n");
    expect("[group A_b]\n", NULL, NULL,
           "netkit.ini:1: [group A_b]: a name consists of a-z, 0-9 and '-'\n");
    expect("[group:a]\n", NULL, NULL,
           "netkit.ini:1: [group:a]: a space goes between section and name\n");
    expect("[group a]\n[group b]\n[group a]\nmax_count = x\n", NULL, NULL,
           "netkit.ini:3: section [group a] is there twice (first at line 1)\n");
}

static void wrong_values(void **state)
{
    (void)state;
    expect("[relay]\nheader_size = 21\nlisten = x:y\nengine = mem\n", NULL, NULL,
           "netkit.ini:2: [relay] header_size: '21' is not between 1 and 20\n"
           "netkit.ini:3: [relay] listen: no scheme in 'x:y'\n"
           "netkit.ini:4: [relay] engine: 'mem' is not one of log, memory\n");
    expect("[relay]\nheader_size = 2\nheader = 3\n", NULL, NULL,
           "netkit.ini:3: [relay] header_size is given twice (first at netkit.ini:2)\n");
    expect("[relay]\nengine = \"log\"\n", NULL, NULL,
           "W netkit.ini:2: [relay] engine: the quotes are part of the value\n"
           "netkit.ini:2: [relay] engine: '\"log\"' is not one of log, memory\n");
    expect("[tunnel a]\n", NULL, NULL, "netkit.ini:1: [tunnel a] needs 'host'\n");
}

/* Every error of the file, in the order of its lines, and nothing is applied. */
static void all_errors(void **state)
{
    (void)state;
    const char *const env[] = {"NETKIT_RELAY__ENGINE=x", NULL};
    expect("[relay]\nfoo = 1\nlisten: a\nengine = y\n[rely]\nx = 1\n[group q\n", env, NULL,
           "netkit.ini:2: [relay] unknown key 'foo'\n"
           "netkit.ini:3: ':' is no separator here, write 'key = value'\n"
           "netkit.ini:4: [relay] engine: 'y' is not one of log, memory\n"
           "netkit.ini:5: unknown section [rely] (did you mean [relay]?)\n"
           "netkit.ini:7: section header without ']'\n"
           "NETKIT_RELAY__ENGINE: [relay] engine: 'x' is not one of log, memory\n");
}

static void environment(void **state)
{
    (void)state;
    struct nk_conf *c;
    /* without a double underscore the names belong to others (Kubernetes) */
    const char *const foreign[] = {"NETKIT_RELAY_PORT=tcp://1.2.3.4:1",
                                   "NETKIT_CONFIG=x",
                                   "NETKIT_RELAY_SERVICE_HOST=1.2.3.4",
                                   "HOME=/",
                                   "X",
                                   NULL};
    expect("", foreign, NULL, "");
    const char *const typo[] = {"NETKIT_RELAY__LISEN=x",    "NETKIT_RELYA__LISTEN=x",
                                "NETKIT_FOO__BAR=x",        "NETKIT_GROUP__MAX_COUNT=1",
                                "NETKIT_RELAY__FOO_FILE=x", NULL};
    expect("", typo, NULL,
           "W NETKIT_RELAY__LISEN: [relay] unknown key 'lisen' (did you mean 'listen'?)\n"
           "W NETKIT_RELYA__LISTEN: ignored: there is no section [relya] (did you mean "
           "NETKIT_RELAY__...?)\n"
           "W NETKIT_FOO__BAR: ignored: there is no section [foo]\n"
           "W NETKIT_GROUP__MAX_COUNT: ignored: section [group] has names, as in "
           "NETKIT_GROUP__NAME__KEY\n"
           "W NETKIT_RELAY__FOO_FILE: [relay] unknown key 'foo_file'\n");
    /* ignored names bring no section to life */
    assert_int_equal(load(&c, NULL, typo, NULL), 0);
    assert_null(nk_conf_get(c, "relay", NULL));
    nk_conf_free(c);
    const char *const dotted[] = {"NETKIT_RELAY__CLIENTS__ENABLED=yes", NULL};
    assert_int_equal(load(&c, NULL, dotted, NULL), 0);
    assert_true(((const struct relay *)nk_conf_get(c, "relay", NULL))->enabled);
    nk_conf_free(c);
}

/* Every documented variable has its effect under its documented name. */
static void environment_names(void **state)
{
    (void)state;
    char name[128];
    assert_string_equal(nk_conf_env_name(name, sizeof(name), &relay, &relay_rows[4]),
                        "NETKIT_RELAY__HEADER_SIZE");
    assert_string_equal(nk_conf_env_name(name, sizeof(name), &group, &group_rows[0]),
                        "NETKIT_GROUP__NAME__MAX_COUNT");
    assert_string_equal(nk_conf_env_name(name, sizeof(name), &relay, &relay_rows[6]),
                        "NETKIT_RELAY__CLIENTS__ENABLED");
}

static void secrets_in_the_environment(void **state)
{
    (void)state;
    char path[] = "/tmp/netkit-conf-XXXXXX", env1[96], env2[] = "NETKIT_RELAY__MASTER=direct";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "hunter2\n", 8), 8);
    close(fd);
    snprintf(env1, sizeof(env1), "NETKIT_RELAY__MASTER_FILE=%s", path);
    const char *const from_file[] = {env1, NULL}, *const both[] = {env1, env2, NULL};
    const char *const ignored[] = {"NETKIT_RELAY__PASSWORD=x", NULL};
    struct nk_conf *c;
    assert_int_equal(load(&c, NULL, from_file, NULL), 0);
    assert_string_equal(((const struct relay *)nk_conf_get(c, "relay", NULL))->master, "hunter2");
    struct nk_conf_value v;
    bool seen = false;
    for (size_t i = 0; nk_conf_value_at(c, i, &v); i++) {
        if (strcmp(v.row->name, "master") == 0) {
            assert_string_equal(v.text, "***");
            seen = true;
        }
    }
    assert_true(seen);
    nk_conf_free(c);
    expect("", both, NULL,
           "NETKIT_RELAY__MASTER: [relay] master is given twice (first at "
           "NETKIT_RELAY__MASTER_FILE)\n");
    /* a variable that somebody means as the password must not be ignored */
    expect("", ignored, NULL,
           "NETKIT_RELAY__PASSWORD: a secret is not read from the environment itself (use "
           "NETKIT_RELAY__PASSWORD_FILE)\n");
    unlink(path);
}

static void overrides(void **state)
{
    (void)state;
    const char *const bad[] = {
        "relay",    "relay=x", "relay.lisen=x", "group.max_count=1", "relay a.engine=log",
        "nope.x=1", NULL};
    expect("", NULL, bad,
           "-C relay: must be 'section.key=value' or 'section name.key=value'\n"
           "-C relay: must be 'section.key=value' or 'section name.key=value'\n"
           "-C relay.lisen: [relay] unknown key 'lisen' (did you mean 'listen'?)\n"
           "-C group.max_count: section [group] needs a name of a-z, 0-9 and '-'\n"
           "-C relay a.engine: section [relay] takes no name\n"
           "-C nope.x: unknown section [nope]\n");
    struct nk_conf *c;
    const char *const good[] = {"relay.clients.enabled=yes", "group a.match=x.y=z", NULL};
    assert_int_equal(load(&c, NULL, NULL, good), 0);
    assert_true(((const struct relay *)nk_conf_get(c, "relay", NULL))->enabled);
    assert_string_equal(((const struct group *)nk_conf_get(c, "group", "a"))->match, "x.y=z");
    nk_conf_free(c);
}

static void origins(void **state)
{
    (void)state;
    struct nk_conf *c;
    struct nk_conf_value v;
    const char *const env[] = {"NETKIT_RELAY__ENGINE=memory", NULL};
    assert_int_equal(load(&c, "[relay]\nlisten = tcp:a\nlisten = tcp:b\n", env, NULL), 0);
    size_t rows = 0;
    for (; nk_conf_value_at(c, rows, &v); rows++) {
        if (strcmp(v.row->name, "engine") == 0) {
            assert_int_equal(v.origin, NK_FROM_ENV);
            assert_string_equal(v.where, "NETKIT_RELAY__ENGINE");
        } else if (strcmp(v.row->name, "listen") == 0) {
            assert_int_equal(v.origin, NK_FROM_FILE);
            assert_string_equal(v.where, rows == 0 ? "netkit.ini:2" : "netkit.ini:3");
        } else if (strcmp(v.row->name, "header-size") == 0) {
            assert_int_equal(v.origin, NK_FROM_DEFAULT);
            assert_string_equal(v.text, "10");
        }
    }
    assert_int_equal(rows, 8); /* seven rows, one of them twice; CLI_ONLY ones are left out */
    nk_conf_free(c);
}

static void merge_errors(void **state)
{
    (void)state;
    struct nk_conf *c;
    struct nk_diag diag;
    const void *out;
    assert_int_equal(load(&c, "", NULL, NULL), 0);
    const struct nk_conf_flag bad[] = {{&relay_rows[4], "99"}};
    assert_int_equal(
        nk_conf_merge(c, relay_rows, sizeof(struct relay), &relay, bad, 1, &out, &diag), NK_EUSAGE);
    assert_string_equal(diag.text, "--header-size: '99' is not between 1 and 20");
    assert_int_equal(diag.code, NK_EUSAGE);
    const struct nk_conf_flag ep[] = {{&relay_rows[0], "nope"}};
    assert_int_equal(nk_conf_merge(c, relay_rows, sizeof(struct relay), &relay, ep, 1, &out, &diag),
                     NK_EUSAGE);
    assert_int_equal(
        nk_conf_merge(c, tunnel_rows, sizeof(struct group), NULL, NULL, 0, &out, &diag), NK_EUSAGE);
    assert_string_equal(diag.text, "--host is required");
    assert_int_equal(nk_conf_merge(c, NULL, 0, NULL, NULL, 0, &out, &diag), 0);
    assert_non_null(out);
    nk_conf_free(c);
}

static void write_text(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

static void files(void **state)
{
    (void)state;
    char dir[] = "/tmp/netkit-conf-XXXXXX", path[64], want[96];
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof(path), "%s/n.ini", dir);
    write_text(path, "[relay]\ncert = tls/cert.pem\npassword_file = /abs\n");
    assert_int_equal(chmod(path, 0600), 0);
    struct nk_conf *c;
    struct nk_conf_source src = {.path = path, .sections = sections};
    assert_int_equal(nk_conf_load(&c, &src, NULL), 0);
    const struct relay *r = nk_conf_get(c, "relay", NULL);
    snprintf(want, sizeof(want), "%s/tls/cert.pem", dir);
    assert_string_equal(r->cert, want); /* relative to the file */
    assert_string_equal(r->password_file, "/abs");
    assert_string_equal(nk_conf_path(c), path);
    assert_null(nk_conf_problem_at(c, 0));
    nk_conf_free(c);

    write_text(path, "[relay]\ncert = new\npassword_file = new\n");
    assert_int_equal(nk_conf_load(&c, &src, NULL), 0);
    r = nk_conf_get(c, "relay", NULL);
    snprintf(want, sizeof(want), "%s/new", dir);
    assert_string_equal(r->cert, "new"); /* a word of its row */
    assert_string_equal(r->password_file, want);
    nk_conf_free(c);

    assert_int_equal(chmod(path, 0666), 0);
    assert_int_equal(nk_conf_load(&c, &src, NULL), 0);
    assert_true(nk_conf_problem_at(c, 0)->warning);
    nk_conf_free(c);

    src.path = dir; /* inih would read a directory as an empty file */
    assert_int_equal(nk_conf_load(&c, &src, NULL), NK_ECONFIG);
    nk_conf_free(c);
    unlink(path);
    src.path = path;
    assert_int_equal(nk_conf_load(&c, &src, NULL), NK_ECONFIG);
    assert_non_null(strstr(nk_conf_problem_at(c, 0)->text, path));
    nk_conf_free(c);
    rmdir(dir);
}

static void credentials(void **state)
{
    (void)state;
    char dir[] = "/tmp/netkit-conf-XXXXXX", path[64], env1[64];
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof(path), "%s/relay.password", dir);
    snprintf(env1, sizeof(env1), "CREDENTIALS_DIRECTORY=%s", dir);
    write_text(path, "x");
    const char *const env[] = {env1, NULL};
    struct nk_conf *c;
    assert_int_equal(load(&c, "[relay]\n", env, NULL), 0);
    assert_string_equal(((const struct relay *)nk_conf_get(c, "relay", NULL))->password_file, path);
    nk_conf_free(c);
    assert_int_equal(load(&c, "[relay]\npassword_file = /own\n", env, NULL), 0);
    assert_string_equal(((const struct relay *)nk_conf_get(c, "relay", NULL))->password_file,
                        "/own");
    nk_conf_free(c);
    assert_int_equal(load(&c, "", env, NULL), 0);
    assert_null(nk_conf_get(c, "relay", NULL)); /* no section comes to life */
    nk_conf_free(c);
    struct nk_conf_source src = {.env = env, .sections = sections, .flags_for = &relay};
    assert_int_equal(nk_conf_load(&c, &src, check), 0);
    assert_string_equal(((const struct relay *)nk_conf_get(c, "relay", NULL))->password_file, path);
    nk_conf_free(c);
    unlink(path);
    rmdir(dir);
}

static void required_rows_may_come_from_flags(void **state)
{
    (void)state;
    static const struct nk_section plain = {"tunnel", false, "t", tunnel_rows, sizeof(struct group),
                                            false};
    const struct nk_section *const only[] = {&plain, NULL};
    struct nk_conf_source src = {.text = "[tunnel]\n", .text_len = 9, .sections = only};
    struct nk_conf *c;
    assert_int_equal(nk_conf_load(&c, &src, NULL), NK_ECONFIG);
    nk_conf_free(c);
    src.flags_for = &plain;
    assert_int_equal(nk_conf_load(&c, &src, NULL), 0);
    nk_conf_free(c);
}

int nk_test_base_conf(void);
int nk_test_base_conf(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_and_defaults),
        cmocka_unit_test(precedence),
        cmocka_unit_test(named_sections_of_commands),
        cmocka_unit_test(unknown_names),
        cmocka_unit_test(section_names),
        cmocka_unit_test(wrong_values),
        cmocka_unit_test(all_errors),
        cmocka_unit_test(environment),
        cmocka_unit_test(environment_names),
        cmocka_unit_test(secrets_in_the_environment),
        cmocka_unit_test(overrides),
        cmocka_unit_test(origins),
        cmocka_unit_test(merge_errors),
        cmocka_unit_test(files),
        cmocka_unit_test(credentials),
        cmocka_unit_test(required_rows_may_come_from_flags),
    };
    return cmocka_run_group_tests_name("base/conf", tests, NULL, NULL);
}
