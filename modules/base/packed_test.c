/* SPDX-License-Identifier: MIT */
#include "base/packed.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/build_info.h"
#include "base/cmd.h"
#include "base/err.h"
#include "torture.h"

/* RFC 1951 section 3.2.6, by hand: one last block of fixed codes, "aaaa" as a literal and a copy
 * of length 3 from distance 1. */
static const uint8_t four_a[] = {0x4b, 0x04, 0x02, 0x00};

static void by_hand(void **state)
{
    (void)state;
    char *text = NULL;
    const struct nk_packed p = {four_a, sizeof(four_a), 4};
    assert_int_equal(nk_unpack(&p, &text), 0);
    assert_string_equal(text, "aaaa");
    free(text);
}

static void what_is_wrong_is_refused(void **state)
{
    (void)state;
    static const uint8_t reserved[] = {0x07}; /* block type 3 */
    const struct nk_packed bad[] = {
        {four_a, sizeof(four_a), 3},
        {four_a, sizeof(four_a), 5},
        {four_a, 2, 4},
        {four_a, 0, 4},
        {reserved, sizeof(reserved), 4},
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        char *text = NULL;
        assert_int_equal(nk_unpack(&bad[i], &text), NK_EFORMAT);
        assert_null(text);
    }
}

static void texts_of_the_program(void **state)
{
    (void)state;
    const struct nk_packed *all[] = {&nk_cmd_texts, nk_build_info.licenses,
                                     nk_build_info.default_ini};
    const char *has[] = {"", "Apache License", "[relay]"};
    for (size_t i = 0; i < 3; i++) {
        char *text;
        assert_int_equal(nk_unpack(all[i], &text), 0);
        assert_int_equal(strlen(text), all[i]->len);
        assert_non_null(strstr(text, has[i]));
        free(text);
    }
}

static int unpack_licenses(void *arg)
{
    char *text = NULL;
    (void)arg;
    int rc = nk_unpack(nk_build_info.licenses, &text);
    free(text);
    return rc;
}

static void without_memory(void **state)
{
    (void)state;
    (void)nk_torture(unpack_licenses, NULL);
}

/* A command whose text is in its descriptor, and one that has none. */
static void of_commands(void **state)
{
    (void)state;
    const struct nk_cmd plain = {.description = "d", .examples = "e"}, none = {.summary = "S"};
    const struct nk_cmd_entry a = {"no such", "", &plain}, b = {"no such", "", &none};
    struct nk_cmd_text t;
    assert_int_equal(nk_cmd_text_get(&t, &a), 0);
    assert_string_equal(t.description, "d");
    assert_string_equal(t.examples, "e");
    nk_cmd_text_clear(&t);
    assert_int_equal(nk_cmd_text_get(&t, &b), 0);
    assert_null(t.description);
    assert_null(t.examples);
    nk_cmd_text_clear(&t);
}

int nk_test_base_packed(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(by_hand),
        cmocka_unit_test(what_is_wrong_is_refused),
        cmocka_unit_test(texts_of_the_program),
        cmocka_unit_test(without_memory),
        cmocka_unit_test(of_commands),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
