/* SPDX-License-Identifier: MIT */
#include "base/json.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"

struct doc {
    struct nk_buf buf;
    struct nk_json j;
};

static void begin(struct doc *d, bool pretty)
{
    nk_buf_init(&d->buf, 4096);
    nk_json_init(&d->j, &d->buf, pretty);
}

static void expect(struct doc *d, const char *want)
{
    assert_int_equal(nk_json_end(&d->j), 0);
    assert_string_equal(nk_buf_str(&d->buf), want);
    nk_buf_clear(&d->buf);
}

static void fill(struct nk_json *j)
{
    nk_json_object(j);
    nk_json_kv_str(j, "name", "x");
    nk_json_key(j, "list");
    nk_json_array(j);
    nk_json_i64(j, INT64_MIN);
    nk_json_u64(j, UINT64_MAX);
    nk_json_bool(j, true);
    nk_json_null(j);
    nk_json_object(j);
    nk_json_close(j);
    nk_json_close(j);
    nk_json_kv_i64(j, "i", -3);
    nk_json_kv_u64(j, "u", 3);
    nk_json_kv_bool(j, "no", false);
    nk_json_kv_str(j, "none", NULL);
    nk_json_key(j, "empty");
    nk_json_array(j);
    nk_json_close(j);
    nk_json_close(j);
}

static void compact_form(void **state)
{
    (void)state;
    struct doc d;
    begin(&d, false);
    fill(&d.j);
    expect(&d, "{\"name\":\"x\",\"list\":[-9223372036854775808,18446744073709551615,true,null,{}],"
               "\"i\":-3,\"u\":3,\"no\":false,\"none\":null,\"empty\":[]}");
}

static void pretty_form(void **state)
{
    (void)state;
    struct doc d;
    begin(&d, true);
    nk_json_object(&d.j);
    nk_json_kv_i64(&d.j, "a", 1);
    nk_json_key(&d.j, "b");
    nk_json_array(&d.j);
    nk_json_str(&d.j, "x");
    nk_json_str(&d.j, "y");
    nk_json_close(&d.j);
    nk_json_key(&d.j, "c");
    nk_json_object(&d.j);
    nk_json_close(&d.j);
    nk_json_close(&d.j);
    expect(&d, "{\n  \"a\": 1,\n  \"b\": [\n    \"x\",\n    \"y\"\n  ],\n  \"c\": {}\n}");
}

static void strings(void **state)
{
    (void)state;
    static const struct {
        const char *in;
        size_t n;
        const char *want;
    } v[] = {
        {"", 0, "\"\""},
        {"plain \xc3\xa9 \xf0\x9f\x98\x80", 13, "\"plain \xc3\xa9 \xf0\x9f\x98\x80\""},
        {"\"\\/", 3, "\"\\\"\\\\/\""},
        {"\b\f\n\r\t", 5, "\"\\b\\f\\n\\r\\t\""},
        {"a\0b\x1b\x7f", 5, "\"a\\u0000b\\u001b\\u007f\""},
        {"\xc2\x9b\xe2\x80\xae", 5, "\"\\u009b\\u202e\""},
        {"a\xffz\xed\xa0\x80", 6, "\"a\xef\xbf\xbdz\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""},
        {"\xe2\x82", 2, "\"\xef\xbf\xbd\xef\xbf\xbd\""},
    };
    for (size_t i = 0; i < sizeof v / sizeof *v; i++) {
        struct doc d;
        begin(&d, false);
        nk_json_strn(&d.j, v[i].in, v[i].n);
        expect(&d, v[i].want);
    }
    struct doc d;
    begin(&d, false);
    nk_json_object(&d.j);
    nk_json_kv_str(&d.j, "k\n\"", "v");
    nk_json_close(&d.j);
    expect(&d, "{\"k\\n\\\"\":\"v\"}");
    begin(&d, false);
    nk_json_strn(&d.j, NULL, 0);
    expect(&d, "\"\"");
}

static void floats(void **state)
{
    (void)state;
    struct doc d;
    begin(&d, false);
    nk_json_array(&d.j);
    nk_json_f64(&d.j, 0.1);
    nk_json_f64(&d.j, 1.0 / 3);
    nk_json_f64(&d.j, -2);
    nk_json_f64(&d.j, 1e300);
    nk_json_f64(&d.j, (double)NAN);
    nk_json_f64(&d.j, (double)INFINITY);
    nk_json_f64(&d.j, -(double)INFINITY);
    nk_json_close(&d.j);
    expect(&d, "[0.1,0.33333333333333331,-2.0,1e+300,null,null,null]");
}

enum misuse {
    NOTHING,
    OPEN_LEFT,
    CLOSE_TOO_MUCH,
    TWO_VALUES,
    VALUE_WITHOUT_KEY,
    KEY_IN_ARRAY,
    KEY_TWICE,
    KEY_AT_TOP,
    KEY_WITHOUT_VALUE,
    TOO_DEEP,
    MISUSES
};

static void misuse(struct nk_json *j, enum misuse what)
{
    switch (what) {
    case OPEN_LEFT:
        nk_json_array(j);
        break;
    case CLOSE_TOO_MUCH:
        nk_json_array(j);
        nk_json_close(j);
        nk_json_close(j);
        break;
    case TWO_VALUES:
        nk_json_null(j);
        nk_json_null(j);
        break;
    case VALUE_WITHOUT_KEY:
        nk_json_object(j);
        nk_json_null(j);
        nk_json_close(j);
        break;
    case KEY_IN_ARRAY:
        nk_json_array(j);
        nk_json_kv_str(j, "a", "b");
        nk_json_close(j);
        break;
    case KEY_TWICE:
        nk_json_object(j);
        nk_json_key(j, "a");
        nk_json_kv_str(j, "b", "c");
        nk_json_close(j);
        break;
    case KEY_AT_TOP:
        nk_json_kv_str(j, "a", "b");
        break;
    case KEY_WITHOUT_VALUE:
        nk_json_object(j);
        nk_json_key(j, "a");
        nk_json_close(j);
        break;
    case TOO_DEEP:
        for (int i = 0; i <= NK_JSON_DEPTH; i++)
            nk_json_array(j);
        for (int i = 0; i <= NK_JSON_DEPTH; i++)
            nk_json_close(j);
        break;
    case NOTHING:
    case MISUSES:
        break;
    }
}

static void misuse_is_reported(void **state)
{
    (void)state;
    for (int i = 0; i < MISUSES; i++) {
        struct doc d;
        begin(&d, false);
        misuse(&d.j, (enum misuse)i);
        assert_int_equal(nk_json_end(&d.j), NK_EINTERNAL);
        nk_buf_clear(&d.buf);
    }
}

static void deepest_document(void **state)
{
    (void)state;
    struct doc d;
    begin(&d, false);
    for (int i = 0; i < NK_JSON_DEPTH; i++)
        nk_json_array(&d.j);
    nk_json_i64(&d.j, 1);
    for (int i = 0; i < NK_JSON_DEPTH; i++)
        nk_json_close(&d.j);
    expect(&d, "[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]");
}

static void full_buffer_sticks(void **state)
{
    (void)state;
    struct nk_buf b;
    struct nk_json j;
    nk_buf_init(&b, 10);
    nk_json_init(&j, &b, false);
    nk_json_array(&j);
    nk_json_str(&j, "longer than that");
    nk_json_i64(&j, 1);
    nk_json_close(&j);
    assert_int_equal(nk_json_end(&j), NK_ETOOBIG);
    assert_true(nk_buf_len(&b) <= 10);
    nk_buf_clear(&b);
}

int nk_test_base_json(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(compact_form),
        cmocka_unit_test(pretty_form),
        cmocka_unit_test(strings),
        cmocka_unit_test(floats),
        cmocka_unit_test(misuse_is_reported),
        cmocka_unit_test(deepest_document),
        cmocka_unit_test(full_buffer_sticks),
    };
    return cmocka_run_group_tests_name("base/json", tests, NULL, NULL);
}
