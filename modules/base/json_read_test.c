/* SPDX-License-Identifier: MIT */
#include "base/json_read.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct nk_json_doc *parse(const char *text)
{
    struct nk_json_doc *d = NULL;
    struct nk_diag diag = {0};
    assert_int_equal(nk_json_parse(&d, text, strlen(text), &diag), 0);
    return d;
}

static void values(void **state)
{
    (void)state;
    struct nk_json_doc *d =
        parse(" {\"a\":[1,-2,18446744073709551615,1.5,true,null,\"x\\u0000\\u00e9\"],"
              "\"b\":{},\"a\":2} ");
    const struct nk_json_value *root = nk_json_root(d), *v;
    assert_int_equal(nk_json_type(root), NK_JSON_OBJECT);
    assert_int_equal(nk_json_size(root), 3);
    static const enum nk_json_type types[] = {NK_JSON_INT,    NK_JSON_INT,  NK_JSON_UINT,
                                              NK_JSON_DOUBLE, NK_JSON_BOOL, NK_JSON_NULL,
                                              NK_JSON_STRING};
    struct nk_json_walk w = {.of = nk_json_get(root, "a")};
    const struct nk_json_value *seen[7];
    size_t n = 0;
    while ((v = nk_json_next(&w)) != NULL) {
        assert_true(n < 7);
        assert_int_equal(nk_json_type(v), types[n]);
        seen[n++] = v;
    }
    assert_int_equal(n, 7);
    assert_int_equal(nk_json_to_int(seen[0]), 1);
    assert_int_equal(nk_json_to_int(seen[1]), -2);
    assert_int_equal(nk_json_to_int(seen[2]), 0);
    assert_true(nk_json_to_uint(seen[2]) == UINT64_MAX);
    assert_int_equal(nk_json_to_uint(seen[0]), 1);
    assert_int_equal(nk_json_to_uint(seen[1]), 0);
    assert_true(nk_json_to_double(seen[3]) > 1.4 && nk_json_to_double(seen[3]) < 1.6);
    assert_true(nk_json_to_bool(seen[4]));
    const char *s = nk_json_to_text(seen[6], &n);
    assert_int_equal(n, 4);
    assert_memory_equal(s, "x\0\xc3\xa9", 5);
    assert_null(nk_json_to_text(seen[0], &n));
    assert_null(nk_json_get(root, "c"));
    assert_null(nk_json_get(seen[0], "c"));
    assert_int_equal(nk_json_size(nk_json_get(root, "b")), 0);
    w = (struct nk_json_walk){.of = root};
    char names[8] = "";
    while (nk_json_next(&w)) {
        strcat(names, nk_json_to_text(w.key, NULL));
    }
    assert_string_equal(names, "aba");
    w = (struct nk_json_walk){.of = nk_json_get(root, "b")};
    assert_null(nk_json_next(&w));
    nk_json_doc_free(d);
}

static void refused(void **state)
{
    static const char *const bad[] = {
        "",    "{",        "[1,]",          "{\"a\":1,}", "nul", "NaN",         "1 2",
        "'a'", "\"\xff\"", "// c\n1",       "1e999",      "[1",  "\"\\ud800\"", "{a:1}",
        "01",  "\"a\nb\"", "\xef\xbb\xbf{}"};
    struct nk_diag diag = {0};
    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct nk_json_doc *d = NULL;
        assert_int_equal(nk_json_parse(&d, bad[i], strlen(bad[i]), &diag), NK_EFORMAT);
        assert_null(d);
        assert_non_null(strstr(diag.text, "byte"));
    }
    nk_json_doc_free(NULL);
}

/* Nesting costs memory, not stack. */
static void deep(void **state)
{
    enum { DEPTH = 1000000 };
    char *text = malloc(2 * DEPTH);
    struct nk_json_doc *d = NULL;
    struct nk_diag diag = {0};
    (void)state;
    assert_non_null(text);
    memset(text, '[', DEPTH);
    memset(text + DEPTH, ']', DEPTH);
    assert_int_equal(nk_json_parse(&d, text, 2 * DEPTH, &diag), 0);
    nk_json_doc_free(d);
    d = NULL;
    assert_int_equal(nk_json_parse(&d, text, 2 * DEPTH - 1, &diag), NK_EFORMAT);
    free(text);
}

int nk_test_base_json_read(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values),
        cmocka_unit_test(refused),
        cmocka_unit_test(deep),
    };
    return cmocka_run_group_tests_name("base/json_read", tests, NULL, NULL);
}
