/* SPDX-License-Identifier: MIT */
#include "relay/endpoint_task.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char *variable(const struct relay_endpoint_task *t, const char *name)
{
    size_t n = strlen(name);
    for (size_t i = 0; t->env[i]; i++) {
        if (strncmp(t->env[i], name, n) == 0 && t->env[i][n] == '=') {
            return t->env[i] + n + 1;
        }
    }
    return NULL;
}

static void test_environment(void **state)
{
    (void)state;
    uint8_t block[256];
    struct relay_meta_writer w;
    struct relay_meta m;
    struct relay_value_doc doc = {0};
    struct relay_endpoint_task *t = NULL;
    relay_meta_begin(&w, block, sizeof(block));
    relay_meta_add(&w, RELAY_META_REPLY_TO, "back", 4);
    relay_meta_add(&w, RELAY_META_CORRELATION, "a\0b", 3);
    relay_meta_add(&w, RELAY_META_HEADER, "job-id=7=8", 10);
    relay_meta_add(&w, RELAY_META_HEADER, "PATH\xc3=x", 7);
    assert_true(relay_meta_end(&w) > 0);
    assert_int_equal(relay_meta_get(block, w.len, &m), 0);
    assert_int_equal(setenv("NETKIT_RELAY__PASSWORD", "secret", 1), 0);
    assert_int_equal(setenv("OBJECT_SEQ", "forged", 1), 0);
    assert_int_equal(setenv("NETKIT_STATE_DIR", "/x", 1), 0);
    const struct relay_client_object d = {.lease = {.wire = RELAY_CLIENT_NATIVE, .seq = 12},
                                          .kind = RELAY_KIND_ITEM,
                                          .content = RELAY_CONTENT_TEXT,
                                          .seq = 12,
                                          .tries = 3,
                                          .meta = &m,
                                          .meta_block = block,
                                          .data = (const uint8_t *)"hello",
                                          .len = 5};
    assert_int_equal(relay_endpoint_task_new(&t, ENDPOINT_RAW, &doc, &d, "g"), 0);
    assert_string_equal(variable(t, "OBJECT_GROUP"), "g");
    assert_string_equal(variable(t, "OBJECT_KIND"), "item");
    assert_string_equal(variable(t, "OBJECT_SEQ"), "12");
    assert_string_equal(variable(t, "OBJECT_TRIES"), "3");
    assert_string_equal(variable(t, "OBJECT_CONTENT"), "text");
    assert_string_equal(variable(t, "OBJECT_REPLY_TO"), "back");
    assert_string_equal(variable(t, "OBJECT_HEADER_JOB_ID"), "7=8");
    assert_string_equal(variable(t, "OBJECT_HEADER_PATH_"), "x");
    assert_null(variable(t, "OBJECT_CORRELATION")); /* no C string can say it */
    assert_null(variable(t, "NETKIT_RELAY__PASSWORD"));
    assert_string_equal(variable(t, "NETKIT_STATE_DIR"), "/x");
    assert_string_equal(t->reply_to, "back");
    assert_int_equal(t->correlation_len, 3);
    assert_int_equal(nk_buf_len(&t->input), 5);
    assert_memory_equal(nk_buf_ptr(&t->input), "hello", 5);
    relay_endpoint_task_free(t);
    relay_value_doc_clear(&doc);
    (void)unsetenv("NETKIT_RELAY__PASSWORD");
    (void)unsetenv("OBJECT_SEQ");
    (void)unsetenv("NETKIT_STATE_DIR");
}

static void test_tasks_wait_in_order(void **state)
{
    (void)state;
    struct relay_endpoint_tasks q = {.last = &q.first};
    struct relay_endpoint_task t[3] = {{.len = 1}, {.len = 2}, {.len = 3}};
    for (size_t i = 0; i < 3; i++) {
        relay_endpoint_task_put(&q, &t[i]);
    }
    assert_int_equal(q.bytes, 6);
    for (size_t i = 0; i < 3; i++) {
        assert_ptr_equal(relay_endpoint_task_take(&q), &t[i]);
    }
    assert_int_equal(q.n, 0);
    assert_int_equal(q.bytes, 0);
    relay_endpoint_task_put(&q, &t[1]);
    assert_ptr_equal(q.first, &t[1]);
}

int nk_test_relay_endpoint_task(void);
int nk_test_relay_endpoint_task(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_environment),
        cmocka_unit_test(test_tasks_wait_in_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
