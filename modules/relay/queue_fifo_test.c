/* SPDX-License-Identifier: MIT */
#include "relay/queue_fifo.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

/* Against two counters: numbers go in and come out in order, through bursts and droughts. */
static void test_model(void **state)
{
    (void)state;
    struct relay_memory m = {0};
    struct relay_object *o = relay_object_copy(&m, "x", 1);
    struct relay_fifo f = {0};
    uint64_t in = 0, out = 0;
    unsigned rnd = 4711;
    for (int step = 0; step < 200000; step++) {
        rnd = rnd * 1103515245 + 12345;
        bool filling = step / 20000 % 2 == 0; /* in turns */
        bool push = (rnd >> 16) % 16 < (filling ? 11u : 5u);
        if (push) {
            struct relay_item *item = relay_fifo_add(&f);
            assert_non_null(item);
            *item = (struct relay_item){.obj = relay_object_ref(o), .seq = ++in, .copies = 1};
        } else if (f.n) {
            assert_int_equal(relay_fifo_front(&f)->seq, out + 1);
            relay_object_unref(relay_fifo_front(&f)->obj);
            relay_fifo_pop(&f);
            out++;
        }
        assert_int_equal(f.n, in - out);
        assert_int_equal(f.popped, out);
        assert_int_equal(relay_fifo_front(&f) == NULL, f.n == 0);
        if (f.n) {
            size_t i = (rnd >> 8) % f.n;
            assert_int_equal(relay_fifo_at(&f, i)->seq, out + 1 + i);
        }
    }
    relay_fifo_clear(&f);
    assert_int_equal(f.popped, in);
    assert_int_equal(o->refs, 1);
    relay_object_unref(o);
    relay_memory_trim(&m);
}

int nk_test_relay_queue_fifo(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_model),
    };
    return cmocka_run_group_tests_name("relay/queue_fifo", tests, NULL, NULL);
}
