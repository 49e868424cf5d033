/* SPDX-License-Identifier: MIT */
#include "base/opt.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

struct conf {
    bool flag, truth;
    int64_t number;
    uint64_t size, time;
    char *text, *path, *secret, *listen;
    int color;
    struct nk_strlist list;
};

#define F(field) NK_FIELD(struct conf, field)

static const char *const colors[] = {"red", "green", "blue", NULL};

static const struct nk_opt rows[] = {
    {.name = "flag", .type = NK_OPT_FLAG, .offset = F(flag)},
    {.name = "truth", .type = NK_OPT_BOOL, .offset = F(truth), .def = "yes"},
    {.name = "a-number", .type = NK_OPT_INT, .offset = F(number), .min = -5, .max = 10},
    {.name = "size", .type = NK_OPT_SIZE, .offset = F(size), .min = 1, .max = 1 << 20},
    {.name = "time", .type = NK_OPT_DURATION, .offset = F(time), .aliases = "duration wait-time"},
    {.name = "text", .type = NK_OPT_STRING, .offset = F(text)},
    {.name = "path", .type = NK_OPT_PATH, .offset = F(path)},
    {.name = "secret", .type = NK_OPT_STRING, .offset = F(secret), .flags = NK_OPT_SECRET},
    {.name = "listen", .type = NK_OPT_LISTEN, .offset = F(listen)},
    {.name = "color", .type = NK_OPT_ENUM, .offset = F(color), .choices = colors, .def = "green"},
    {.name = "list", .type = NK_OPT_STRING, .offset = F(list), .flags = NK_OPT_REPEAT},
    NK_OPT_END};

static const struct nk_opt *row(const char *name)
{
    const struct nk_opt *o = nk_opt_find(rows, name);
    assert_non_null(o);
    return o;
}

static void set(struct conf *c, const char *name, const char *text)
{
    struct nk_diag diag = {0};
    assert_int_equal(nk_opt_parse_value(row(name), text, c, &diag), 0);
}

static void refuse(struct conf *c, const char *name, const char *text)
{
    struct nk_diag diag = {0};
    struct conf before = *c;
    assert_int_equal(nk_opt_parse_value(row(name), text, c, &diag), NK_ECONFIG);
    assert_int_equal(diag.code, NK_ECONFIG);
    assert_string_not_equal(diag.text, "");
    assert_memory_equal(&before, c, sizeof(before));
}

static void lists(void **state)
{
    struct nk_strlist l = {0};
    (void)state;
    assert_int_equal(nk_strlist_add(&l, "one", 3), 0);
    assert_int_equal(nk_strlist_add(&l, "twofold", 3), 0);
    assert_int_equal(l.n, 2);
    assert_string_equal(l.v[0], "one");
    assert_string_equal(l.v[1], "two");
    nk_strlist_clear(&l);
    assert_null(l.v);
    assert_int_equal(l.n, 0);
}

static void names(void **state)
{
    (void)state;
    char out[32];
    assert_ptr_equal(nk_opt_find(rows, "a_number"), nk_opt_find(rows, "a-number"));
    assert_ptr_equal(nk_opt_find(rows, "wait_time"), row("time"));
    assert_ptr_equal(nk_opt_find(rows, "duration"), row("time"));
    assert_null(nk_opt_find(rows, "wait"));
    assert_null(nk_opt_find(rows, "duration wait-time"));
    assert_null(nk_opt_find(rows, "numbe"));
    assert_null(nk_opt_find(rows, ""));
    assert_null(nk_opt_find(NULL, "x"));
    assert_string_equal(nk_opt_ini_name(out, sizeof(out), row("a-number")), "a_number");
}

static void scalars(void **state)
{
    (void)state;
    struct conf c = {0};
    set(&c, "truth", "on");
    assert_true(c.truth);
    set(&c, "truth", "0");
    assert_false(c.truth);
    refuse(&c, "truth", "Yes");
    refuse(&c, "truth", "");
    set(&c, "a-number", "-5");
    assert_int_equal(c.number, -5);
    refuse(&c, "a-number", "11");
    refuse(&c, "a-number", "1x");
    refuse(&c, "a-number", "");
    set(&c, "size", "64k");
    assert_int_equal(c.size, 65536);
    refuse(&c, "size", "0");
    refuse(&c, "size", "2M");
    refuse(&c, "size", "-1");
    set(&c, "time", "250ms");
    assert_int_equal(c.time, 250);
    set(&c, "time", "2m");
    assert_int_equal(c.time, 120000);
    refuse(&c, "time", "2 m");
    set(&c, "color", "blue");
    assert_int_equal(c.color, 2);
    refuse(&c, "color", "grean");
}

static void texts(void **state)
{
    (void)state;
    struct conf c = {0};
    char word[] = "one";
    set(&c, "text", word);
    word[0] = 'X'; /* the value is a copy */
    assert_string_equal(c.text, "one");
    set(&c, "text", "");
    assert_string_equal(c.text, "");
    refuse(&c, "path", "");
    refuse(&c, "listen", "");
    set(&c, "list", "a");
    set(&c, "list", "b");
    assert_int_equal(c.list.n, 2);
    assert_string_equal(c.list.v[1], "b");
    nk_opt_free_values(rows, &c);
    assert_null(c.text);
    assert_null(c.list.v);
    assert_int_equal(c.list.n, 0);
    nk_opt_free_values(NULL, &c);
}

static void repeats_are_bounded(void **state)
{
    (void)state;
    struct conf c = {0};
    for (int i = 0; i < NK_OPT_MAX_REPEAT; i++)
        set(&c, "list", "x");
    refuse(&c, "list", "x");
    nk_opt_free_values(rows, &c);
}

static void hints_and_secrets(void **state)
{
    (void)state;
    struct conf c = {0};
    struct nk_diag diag = {0};
    static const struct nk_opt pin = {
        .name = "pin", .type = NK_OPT_INT, .offset = F(number), .flags = NK_OPT_SECRET};
    assert_int_equal(nk_opt_parse_value(row("color"), "grean", &c, &diag), NK_ECONFIG);
    assert_non_null(strstr(diag.text, "red, green, blue"));
    assert_non_null(strstr(diag.hint, "green"));
    assert_int_equal(nk_opt_parse_value(&pin, "hunter2", &c, &diag), NK_ECONFIG);
    assert_null(strstr(diag.text, "hunter2"));
}

static void defaults(void **state)
{
    (void)state;
    struct conf c = {0};
    struct nk_diag diag = {0};
    for (const struct nk_opt *o = rows; o->name; o++)
        assert_int_equal(nk_opt_parse_default(o, &c, &diag), 0);
    assert_true(c.truth);
    assert_int_equal(c.color, 1);
    assert_null(c.text);
}

/* The names of all rows of a table, in their order. */
static void check_order(const struct nk_opt *table, const char *want)
{
    char all[64] = "";
    for (const struct nk_opt *o = nk_opt_first(table); o; o = nk_opt_next(table, o))
        strcat(all, o->name);
    assert_string_equal(all, want);
}

static void shared_rows(void **state)
{
    (void)state;
    static const struct nk_opt none[] = {NK_OPT_END};
    static const struct nk_opt ab[] = {
        {.name = "a", .type = NK_OPT_STRING, .offset = F(text), .def = "x"},
        {.name = "b", .type = NK_OPT_FLAG, .offset = F(flag), .aliases = "bee"},
        NK_OPT_END};
    static const struct nk_opt c[] = {{.name = "c", .type = NK_OPT_FLAG}, NK_OPT_END};
    static const struct nk_opt only[] = {NK_OPT_SHARED_BY(ab, struct conf, flag), NK_OPT_END};
    static const struct nk_opt mixed[] = {
        NK_OPT_SHARED(none), NK_OPT_SHARED(c), NK_OPT_SHARED(ab), {.name = "d"}, NK_OPT_END};
    check_order(NULL, "");
    check_order(none, "");
    check_order(ab, "ab");
    check_order(only, "ab");
    check_order(mixed, "cabd");
    assert_ptr_equal(nk_opt_find(mixed, "bee"), &ab[1]);
    assert_ptr_equal(nk_opt_find(mixed, "d"), &mixed[3]);
    assert_null(nk_opt_find(mixed, "e"));
    struct conf conf = {0};
    struct nk_diag diag = {0};
    assert_int_equal(nk_opt_parse_default(nk_opt_find(mixed, "a"), &conf, &diag), 0);
    assert_string_equal(conf.text, "x");
    nk_opt_free_values(mixed, &conf);
    assert_null(conf.text);
}

/* What is written reads back as the same value. */
static void formats(void **state)
{
    (void)state;
    static const char *const values[][2] = {
        {"truth", "no"}, {"a-number", "-3"}, {"size", "1M"},  {"size", "1000"},   {"time", "90s"},
        {"time", "1ms"}, {"time", "0ms"},    {"text", "a b"}, {"color", "green"}, {"list", "x"}};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        struct conf c = {0};
        char out[64];
        set(&c, values[i][0], values[i][1]);
        assert_true(nk_opt_format_value(out, sizeof(out), row(values[i][0]), &c, 0));
        assert_string_equal(out, values[i][1]);
        assert_false(nk_opt_format_value(out, sizeof(out), row(values[i][0]), &c, 1));
        nk_opt_free_values(rows, &c);
    }
    struct conf c = {0};
    char out[64];
    assert_false(nk_opt_format_value(out, sizeof(out), row("text"), &c, 0));
    set(&c, "secret", "hunter2");
    assert_true(nk_opt_format_value(out, sizeof(out), row("secret"), &c, 0));
    assert_string_equal(out, "***");
    nk_opt_free_values(rows, &c);
}

int nk_test_base_opt(void);
int nk_test_base_opt(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lists),
        cmocka_unit_test(names),
        cmocka_unit_test(scalars),
        cmocka_unit_test(texts),
        cmocka_unit_test(repeats_are_bounded),
        cmocka_unit_test(defaults),
        cmocka_unit_test(hints_and_secrets),
        cmocka_unit_test(formats),
        cmocka_unit_test(shared_rows),
    };
    return cmocka_run_group_tests_name("base/opt", tests, NULL, NULL);
}
