/* SPDX-License-Identifier: MIT */
#include "base/ini.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"

/* Everything that was reported, one line each: "S1 relay", "K2 listen=x", "P3". */
struct record {
    char text[8192];
    size_t n, problems;
};

static void add(struct record *r, const char *fmt, unsigned line, const char *a, const char *b)
{
    int w = snprintf(r->text + r->n, sizeof(r->text) - r->n, "%s%u%s%s%s%s\n", fmt, line,
                     a ? " " : "", a ? a : "", b ? "=" : "", b ? b : "");
    assert_true(w > 0 && (size_t)w < sizeof(r->text) - r->n);
    r->n += (size_t)w;
}

static void on_section(void *owner, unsigned line, const char *header)
{
    add(owner, "S", line, header, NULL);
}

static void on_key(void *owner, unsigned line, const char *key, const char *value)
{
    add(owner, "K", line, key, value);
}

static void on_problem(void *owner, unsigned line, const char *text)
{
    struct record *r = owner;
    assert_non_null(text);
    r->problems++;
    add(owner, "P", line, NULL, NULL);
}

static int parse_n(struct record *r, const char *text, size_t n)
{
    *r = (struct record){0};
    const struct nk_ini_events ev = {on_section, on_key, on_problem, r};
    return nk_ini_parse(text, n, &ev);
}

static void expect(const char *text, const char *want)
{
    struct record r;
    int rc = parse_n(&r, text, strlen(text));
    assert_string_equal(r.text, want);
    assert_int_equal(rc, r.problems ? NK_EFORMAT : 0);
}

static void plain(void **state)
{
    (void)state;
    expect("", "");
    expect("[relay]\nlisten = a:1\n", "S1 relay\nK2 listen=a:1\n");
    expect("# c\n; c\n\n  # indented comment\n[group a]\nx=\ny = 1 \n",
           "S5 group a\nK6 x=\nK7 y=1\n");
    /* no line feed at the end */
    expect("[a]\nk=v", "S1 a\nK2 k=v\n");
    /* a second '=' belongs to the value */
    expect("[a]\nk = x=y=z\n", "S1 a\nK2 k=x=y=z\n");
}

static void bom_and_crlf(void **state)
{
    (void)state;
    expect("\xEF\xBB\xBF[a]\r\nk = v\r\n\r\n", "S1 a\nK2 k=v\n");
    /* carriage returns elsewhere are control characters */
    expect("[a]\rk = v\n", "P1\n");
}

/* inih alone would make the second line the value of the first key. */
static void continuation_lines(void **state)
{
    (void)state;
    expect("[relay]\nlisten = a\n  password_file = /x\n", "P3\nS1 relay\nK2 listen=a\n");
    expect("[relay]\nlisten = a\n\t[sec]\nk = v\n", "P3\nS1 relay\nK2 listen=a\n");
}

static void inline_comments_are_text(void **state)
{
    (void)state;
    expect("[a]\npassword = ab ;cd\nk = x # y\n", "S1 a\nK2 password=ab ;cd\nK3 k=x # y\n");
    expect("[a]\nk = \"x \"\n", "S1 a\nK2 k=\"x \"\n");
}

static void colon_is_no_separator(void **state)
{
    (void)state;
    expect("[a]\nlisten: x\n", "P2\nS1 a\n");
    expect("[a]\nlisten : x=y\n", "P2\nS1 a\n");
    expect("[a]\nlisten = tcp:x:1\n", "S1 a\nK2 listen=tcp:x:1\n");
}

/* Keys below a refused header must not join the section before it. */
static void broken_sections(void **state)
{
    (void)state;
    expect("[a]\nk=1\n[unterminated\nl=2\n[b]\nm=3\n", "P3\nS1 a\nK2 k=1\nS5 b\nK6 m=3\n");
    expect("[a]\n[\nl=2\n", "P2\nS1 a\n");
    expect("[a]\n[]\nl=2\n", "P2\nS1 a\n");
    expect("[a] ; x\nl=2\n", "P1\n");
    expect("[!]\nl=2\n", "P1\n");
    expect("k=1\n", "P1\n");
    expect("[a]\n= v\nword\n", "P2\nP3\nS1 a\n");
}

static void all_errors_in_one_run(void **state)
{
    (void)state;
    struct record r;
    const char *text = "[a\nb: c\n  d = e\n\x01\nx\n";
    assert_int_equal(parse_n(&r, text, strlen(text)), NK_EFORMAT);
    assert_int_equal(r.problems, 5);
}

static void fill(char *out, const char *head, char c, size_t n, const char *tail)
{
    size_t k = (size_t)snprintf(out, 64, "%s", head);
    memset(out + k, c, n);
    memcpy(out + k + n, tail, strlen(tail) + 1);
}

/* inih would cut names at 49 bytes and long lines without a word. */
static void long_names_and_lines(void **state)
{
    (void)state;
    struct record r;
    char *text = malloc(NK_INI_MAX_LINE + 256);
    assert_non_null(text);
    fill(text, "[a]\n", 'k', NK_INI_MAX_NAME, " = v\n");
    assert_int_equal(parse_n(&r, text, strlen(text)), 0);
    fill(text, "[a]\n", 'k', NK_INI_MAX_NAME + 1, " = v\n");
    assert_int_equal(parse_n(&r, text, strlen(text)), NK_EFORMAT);
    fill(text, "[", 's', NK_INI_MAX_NAME, "]\nk=v\n");
    assert_int_equal(parse_n(&r, text, strlen(text)), 0);
    fill(text, "[", 's', NK_INI_MAX_NAME + 1, "]\nk=v\n");
    assert_int_equal(parse_n(&r, text, strlen(text)), NK_EFORMAT);
    assert_string_equal(r.text, "P1\n");
    fill(text, "[a]\nk=", 'v', 4000, "\nl=w\n");
    assert_int_equal(parse_n(&r, text, strlen(text)), 0);
    assert_non_null(strstr(r.text, "K3 l=w"));
    fill(text, "[a]\nk=", 'v', NK_INI_MAX_LINE, "\nl=w\n");
    assert_int_equal(parse_n(&r, text, strlen(text)), NK_EFORMAT);
    assert_string_equal(r.text, "P2\nS1 a\nK3 l=w\n");
    free(text);
}

static void odd_bytes(void **state)
{
    (void)state;
    struct record r;
    assert_int_equal(parse_n(&r, "[a]\nk=\0v\nl=w\n", 13), NK_EFORMAT);
    assert_string_equal(r.text, "P2\nS1 a\nK3 l=w\n");
    expect("[a]\nk = \x1b[31m\n", "P2\nS1 a\n");
    expect("[a]\nk = \xff\n", "P2\nS1 a\n");
    expect("[a]\nk = \xc3\xa9\n", "S1 a\nK2 k=\xc3\xa9\n");
}

static void too_big(void **state)
{
    (void)state;
    struct record r;
    char *text = malloc(NK_INI_MAX_TEXT + 1);
    assert_non_null(text);
    memset(text, '\n', NK_INI_MAX_TEXT + 1);
    assert_int_equal(parse_n(&r, text, NK_INI_MAX_TEXT), 0);
    assert_int_equal(parse_n(&r, text, NK_INI_MAX_TEXT + 1), NK_ETOOBIG);
    assert_int_equal(r.n, 0);
    free(text);
}

int nk_test_base_ini(void);
int nk_test_base_ini(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain),
        cmocka_unit_test(bom_and_crlf),
        cmocka_unit_test(continuation_lines),
        cmocka_unit_test(inline_comments_are_text),
        cmocka_unit_test(colon_is_no_separator),
        cmocka_unit_test(broken_sections),
        cmocka_unit_test(all_errors_in_one_run),
        cmocka_unit_test(long_names_and_lines),
        cmocka_unit_test(odd_bytes),
        cmocka_unit_test(too_big),
    };
    return cmocka_run_group_tests_name("base/ini", tests, NULL, NULL);
}
