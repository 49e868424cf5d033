/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "core/service_changes.h"

int nk_test_core_service_changes(void);

struct shop_conf {
    char *listen;
    struct nk_strlist cert;
    int64_t limit;
    uint64_t wait;
    bool open;
    int kind;
};

static const char *const shop_kinds[] = {"small", "large", NULL};

#define ROW(field) .offset = NK_FIELD(struct shop_conf, field)

static const struct nk_opt rows[] = {
    {.name = "listen", .type = NK_OPT_STRING, ROW(listen)},
    {.name = "cert", .type = NK_OPT_STRING, ROW(cert), .flags = NK_OPT_REPEAT | NK_OPT_RELOAD},
    {.name = "max-limit", .type = NK_OPT_INT, ROW(limit), .def = "1"},
    {.name = "wait", .type = NK_OPT_DURATION, ROW(wait), .def = "1s", .flags = NK_OPT_RELOAD},
    {.name = "open", .type = NK_OPT_BOOL, ROW(open), .flags = NK_OPT_RELOAD},
    {.name = "kind", .type = NK_OPT_ENUM, ROW(kind), .def = "small", .choices = shop_kinds},
    NK_OPT_END};

static const struct nk_section shop = {
    .name = "shop", .opts = rows, .conf_size = sizeof(struct shop_conf)};
static const struct nk_section stall = {
    .name = "stall", .named = true, .opts = rows, .conf_size = sizeof(struct shop_conf)};
static const struct nk_section cart = {.name = "cart",
                                       .named = true,
                                       .opts = rows,
                                       .conf_size = sizeof(struct shop_conf),
                                       .reload = true};
static const struct nk_section *const all[] = {&shop, &stall, &cart, NULL};

static struct nk_conf *parse(const char *text)
{
    struct nk_conf *c;
    const struct nk_conf_source src = {.text = text, .text_len = strlen(text), .sections = all};
    assert_int_equal(nk_conf_load(&c, &src, NULL), 0);
    return c;
}

static bool skip_b(void *arg, const char *name)
{
    assert_ptr_equal(arg, skip_b);
    return name && strcmp(name, "b") == 0;
}

/* All changes between three texts, one a line. */
static void expect(const char *first, const char *old, const char *now, const char *lines)
{
    struct nk_conf *c[3] = {parse(first), parse(old), parse(now)};
    struct nk_changes changes = {0};
    char text[NK_CHANGE_TEXT], said[1024] = "";
    size_t restart = 0;
    for (size_t i = 0; all[i]; i++) {
        assert_int_equal(nk_changes_compare(&changes, all[i], c[0], c[1], c[2], NULL, NULL), 0);
    }
    for (size_t i = 0; i < changes.n; i++) {
        strcat(strcat(said, nk_change_format(text, &changes.v[i])), "\n");
        restart += !changes.v[i].applied;
    }
    assert_string_equal(said, lines);
    assert_int_equal(changes.restart, restart);
    nk_changes_clear(&changes);
    assert_int_equal(changes.n, 0);
    for (size_t i = 0; i < 3; i++) {
        nk_conf_free(c[i]);
    }
}

static void rows_say_what_needs_a_restart(void **state)
{
    (void)state;
    const char *const a = "[shop]\nlisten = x\ncert = 1\ncert = 2\nmax_limit = 3\n";
    expect(a, a, a, "");
    expect(a, a, "[shop]\nlisten = y\ncert = 1\ncert = 2\nmax_limit = 3\n",
           "[shop] listen changed: needs a restart\n");
    expect(a, a, "[shop]\ncert = 2\ncert = 1\nwait = 2s\nopen = yes\nkind = large\n",
           "[shop] listen changed: needs a restart\n"
           "[shop] cert changed: applied\n"
           "[shop] max_limit changed: needs a restart\n"
           "[shop] wait changed: applied\n"
           "[shop] open changed: applied\n"
           "[shop] kind changed: needs a restart\n");
    expect(a, a, "[shop]\nlisten = x\ncert = 1\nmax_limit = 3\n", "[shop] cert changed: applied\n");
    /* a default that is written down is no change */
    expect("[shop]\n", "[shop]\n", "[shop]\nwait = 1000ms\nkind = small\nopen = no\n", "");
}

/* What is applied is told once; the rest until it is done or taken back. */
static void a_restart_stays_due(void **state)
{
    (void)state;
    const char *const a = "[shop]\nlisten = x\nwait = 1s\n", *const b =
                                                                 "[shop]\nlisten = y\nwait = 2s\n";
    expect(a, b, b, "[shop] listen changed: needs a restart\n");
    expect(a, b, a, "[shop] wait changed: applied\n");
}

static void sections_come_and_go(void **state)
{
    (void)state;
    const char *const two = "[stall a]\n[stall b]\n[cart a]\n[cart b]\n";
    expect(two, two, "[stall b]\n[stall c]\n[cart c]\n[cart b]\nopen = yes\n",
           "[stall c] added: needs a restart\n"
           "[stall a] removed: needs a restart\n"
           "[cart c] added: applied\n"
           "[cart b] open changed: applied\n"
           "[cart a] removed: applied\n");
    expect(two, "[stall b]\n[stall c]\n[cart c]\n", "[stall b]\n[stall c]\n[cart c]\n",
           "[stall c] added: needs a restart\n"
           "[stall a] removed: needs a restart\n");
    expect(two, "[stall b]\n[cart c]\n", two,
           "[cart a] added: applied\n[cart b] added: applied\n[cart c] removed: applied\n");
    expect("", "", "[shop]\n", "[shop] added: needs a restart\n");
    expect("[shop]\n", "", "", "[shop] removed: needs a restart\n");
    /* it came with a reload; a row of it that needs a restart is compared with that */
    expect("", "[cart x]\nlisten = 1\n", "[cart x]\nlisten = 2\n",
           "[cart x] listen changed: needs a restart\n");
}

static void others_can_be_left_out(void **state)
{
    (void)state;
    struct nk_conf *a = parse("[stall a]\n[stall b]\n"), *b = parse("[stall c]\n");
    struct nk_changes changes = {0};
    assert_int_equal(nk_changes_compare(&changes, &stall, a, a, b, skip_b, (void *)skip_b), 0);
    assert_int_equal(changes.n, 2);
    assert_string_equal(changes.v[0].name, "c");
    assert_string_equal(changes.v[1].name, "a");
    nk_changes_clear(&changes);
    nk_conf_free(a);
    nk_conf_free(b);
}

/* A type that cannot reload applies nothing, whatever its rows say. */
static void nothing_is_live_without_reload(void **state)
{
    (void)state;
    struct shop_conf a = {.wait = 1}, b = {.wait = 2};
    struct nk_changes changes = {0};
    assert_int_equal(nk_changes_rows(&changes, "shop", NULL, rows, &a, &a, &b, false), 0);
    assert_int_equal(changes.n, 1);
    assert_false(changes.v[0].applied);
    nk_changes_clear(&changes);
}

static void the_list_is_bounded(void **state)
{
    (void)state;
    struct nk_changes changes = {0};
    struct nk_buf buf;
    struct nk_json json;
    for (int i = 0; i < NK_CHANGES_MAX + 5; i++) {
        assert_int_equal(nk_changes_section(&changes, "stall", "x", NK_ADDED, i % 2), 0);
    }
    assert_int_equal(changes.n, NK_CHANGES_MAX);
    assert_int_equal(changes.more, 5);
    assert_int_equal(changes.restart, NK_CHANGES_MAX / 2 + 3);
    nk_buf_init(&buf, 1 << 20);
    nk_json_init(&json, &buf, false);
    nk_json_object(&json);
    nk_changes_json(&changes, &json);
    nk_json_close(&json);
    assert_int_equal(nk_json_end(&json), 0);
    const char *text = nk_buf_str(&buf);
    assert_non_null(strstr(text, "{\"section\":\"stall\",\"name\":\"x\",\"key\":null,"
                                 "\"change\":\"added\",\"effect\":\"restart\"}"));
    assert_non_null(strstr(text, "\"more_changes\":5"));
    nk_buf_clear(&buf);
    nk_changes_clear(&changes);
}

int nk_test_core_service_changes(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_say_what_needs_a_restart),  cmocka_unit_test(a_restart_stays_due),
        cmocka_unit_test(sections_come_and_go),           cmocka_unit_test(others_can_be_left_out),
        cmocka_unit_test(nothing_is_live_without_reload), cmocka_unit_test(the_list_is_bounded),
    };
    return cmocka_run_group_tests_name("core/service_changes", tests, NULL, NULL);
}
