/* SPDX-License-Identifier: MIT */
#include "base/args.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const struct nk_opt own[] = {
    {.name = "all", .short_name = 'a', .type = NK_OPT_FLAG},
    {.name = "output", .short_name = 'o', .type = NK_OPT_STRING, .arg = "FILE"},
    {.name = "max-object", .type = NK_OPT_SIZE},
    {.name = "list", .short_name = 'l', .type = NK_OPT_STRING, .flags = NK_OPT_REPEAT},
    {.name = "ini-only", .type = NK_OPT_STRING, .flags = NK_OPT_INI_ONLY},
    {.name = "password", .type = NK_OPT_STRING, .flags = NK_OPT_SECRET},
    {.name = "timeout", .type = NK_OPT_STRING},
    NK_OPT_END};
static const struct nk_opt global[] = {{.name = "verbose", .short_name = 'v', .type = NK_OPT_FLAG},
                                       {.name = "config", .short_name = 'c', .type = NK_OPT_PATH},
                                       {.name = "timeout", .type = NK_OPT_DURATION},
                                       {.name = "help", .short_name = 'h', .type = NK_OPT_FLAG},
                                       {.name = "version", .short_name = 'V', .type = NK_OPT_FLAG},
                                       NK_OPT_END};

#define MAX_WORDS 16

/* Splits at spaces and parses; "_" stands for an empty word. Texts live in `store`. */
static int parse(struct nk_args *a, char *store, size_t max, const char *line, struct nk_diag *diag)
{
    char *argv[MAX_WORDS] = {NULL};
    int argc = 0;
    snprintf(store, max, "%s", line);
    for (char *save = NULL, *w = strtok_r(store, " ", &save); w; w = strtok_r(NULL, " ", &save)) {
        assert_true(argc < MAX_WORDS);
        if (strcmp(w, "_") == 0)
            *w = '\0';
        argv[argc++] = w;
    }
    *diag = (struct nk_diag){0};
    return nk_args_parse(a, argc, argv, own, global, diag);
}

/* "name=text name=text | operand operand" */
static void expect(const char *line, const char *want)
{
    char store[256], got[512] = "";
    struct nk_args a;
    struct nk_diag diag;
    size_t n = 0;
    int rc = parse(&a, store, sizeof(store), line, &diag);
    if (rc < 0)
        fail_msg("%s: %s", line, diag.text);
    for (size_t i = 0; i < a.nown; i++)
        n +=
            (size_t)snprintf(got + n, sizeof(got) - n, "%s=%s ", a.own[i].row->name, a.own[i].text);
    for (size_t i = 0; i < a.nglobal; i++)
        n += (size_t)snprintf(got + n, sizeof(got) - n, "+%s=%s ", a.global[i].row->name,
                              a.global[i].text);
    n += (size_t)snprintf(got + n, sizeof(got) - n, "|");
    for (int i = 0; i < a.noperands; i++)
        n += (size_t)snprintf(got + n, sizeof(got) - n, " %s", a.operands[i]);
    assert_null(a.operands[a.noperands]);
    assert_string_equal(got, want);
    nk_args_clear(&a);
}

static void refuse(const char *line, const char *part, const char *hint)
{
    char store[256];
    struct nk_args a;
    struct nk_diag diag;
    assert_int_equal(parse(&a, store, sizeof(store), line, &diag), NK_EUSAGE);
    assert_non_null(strstr(diag.text, part));
    if (hint)
        assert_non_null(strstr(diag.hint, hint));
    else
        assert_string_equal(diag.hint, "");
    nk_args_clear(&a);
}

static void long_and_short(void **state)
{
    (void)state;
    expect("", "|");
    expect("--output f x", "output=f | x");
    expect("--output=f", "output=f |");
    expect("--output=", "output= |");
    expect("--output=a=b", "output=a=b |");
    expect("-o f", "output=f |");
    expect("-of", "output=f |");
    expect("-o=f", "output==f |");
    expect("-av", "all=yes +verbose=yes |");
    expect("-avof x", "all=yes output=f +verbose=yes | x");
    expect("-avo f", "all=yes output=f +verbose=yes |");
    expect("-vv -v", "+verbose=yes +verbose=yes +verbose=yes |");
    expect("-o -x", "output=-x |");
    expect("--output --", "output=-- |");
}

static void operands(void **state)
{
    (void)state;
    expect("x --all y -c f z", "all=yes +config=f | x y z");
    expect("- -a -", "all=yes | - -");
    expect("a -- -a --all --", "| a -a --all --");
    expect("_ -a", "all=yes | ");
}

static void repeats(void **state)
{
    (void)state;
    expect("-l a --list=b -lc", "list=a list=b list=c |");
    expect("-a --all", "all=yes all=yes |");
    refuse("--output a -o b", "--output is given twice", NULL);
}

static void precedence(void **state)
{
    (void)state;
    /* the command's own row hides the global one of the same name */
    expect("--timeout 5", "timeout=5 |");
}

static void errors(void **state)
{
    (void)state;
    refuse("--outptu x", "unknown option '--outptu'", "--output");
    refuse("--versoin", "--versoin", "--version");
    refuse("--qqqqqqqq", "--qqqqqqqq", NULL);
    refuse("--outp f", "--outp", NULL); /* never an abbreviation */
    refuse("--max_object=1", "--max_object", "--max-object");
    refuse("-x", "unknown option '-x'", NULL);
    refuse("-ax", "'-x' in '-ax'", NULL);
    refuse("--all=yes", "takes no value", NULL);
    refuse("--output", "needs a value: FILE", NULL);
    refuse("x -o", "needs a value", NULL);
    refuse("--=x", "unknown option", NULL);
    refuse("---all", "unknown option", "--all");
}

static void not_on_a_command_line(void **state)
{
    (void)state;
    refuse("--ini-only x", "unknown option", NULL);
    refuse("--password x", "unknown option", NULL);
}

static void help_survives_errors(void **state)
{
    (void)state;
    char store[256];
    struct nk_args a;
    struct nk_diag diag;
    assert_int_equal(parse(&a, store, sizeof(store), "--nope --help", &diag), NK_EUSAGE);
    assert_true(a.help);
    assert_non_null(strstr(diag.text, "--nope"));
    nk_args_clear(&a);
    assert_int_equal(parse(&a, store, sizeof(store), "-- --help -h", &diag), 0);
    assert_false(a.help);
    nk_args_clear(&a);
    assert_int_equal(parse(&a, store, sizeof(store), "-o --help", &diag), 0);
    assert_false(a.help);
    nk_args_clear(&a);
    assert_int_equal(parse(&a, store, sizeof(store), "-vhV", &diag), 0);
    assert_true(a.help && a.version);
    nk_args_clear(&a);
}

static void skipping(void **state)
{
    (void)state;
    static const struct {
        char words[2][12];
        int argc, want;
    } rows[] = {
        {{"-v", "x"}, 2, 1},       {{"-c", "f"}, 2, 2},       {{"-cf", "x"}, 2, 1},
        {{"-vc", "f"}, 2, 2},      {{"--config", "f"}, 2, 2}, {{"--config=f", "x"}, 2, 1},
        {{"--config", ""}, 1, 1},  {{"x", ""}, 1, 0},         {{"-", ""}, 1, 0},
        {{"--", ""}, 1, 0},        {{"-a", ""}, 1, 0},        {{"-va", ""}, 1, 0},
        {{"--output", "x"}, 2, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char words[2][12];
        memcpy(words, rows[i].words, sizeof(words));
        char *argv[3] = {words[0], words[1], NULL};
        assert_int_equal(nk_args_skip(rows[i].argc, argv, global), rows[i].want);
    }
}

int nk_test_base_args(void);
int nk_test_base_args(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(long_and_short), cmocka_unit_test(operands),
        cmocka_unit_test(repeats),        cmocka_unit_test(precedence),
        cmocka_unit_test(errors),         cmocka_unit_test(not_on_a_command_line),
        cmocka_unit_test(skipping),       cmocka_unit_test(help_survives_errors),
    };
    return cmocka_run_group_tests_name("base/args", tests, NULL, NULL);
}
