/* SPDX-License-Identifier: MIT */
#include "relay/object.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

/* A block outlives its slices' makers, and goes with its last slice. */
static void test_slices(void **state)
{
    (void)state;
    struct relay_memory m = {0};
    struct relay_object *chunk = relay_object_copy(&m, "0123456789", 10);
    size_t whole = m.used;
    struct relay_object *a = relay_object_slice(chunk, 2, 6);
    struct relay_object *b = relay_object_slice(a, 1, 2); /* of a slice: of the same block */
    assert_memory_equal(a->bytes, "234567", 6);
    assert_int_equal(a->total, 6);
    assert_ptr_equal(b->whole, chunk);
    assert_memory_equal(b->bytes, "34", 2);
    assert_true(a->headroom);
    relay_object_unref(chunk);
    relay_object_unref(a);
    assert_memory_equal(b->bytes, "34", 2);
    assert_true(m.used > whole);
    relay_object_unref(b);
    assert_int_equal(m.used, 0);
    assert_int_equal(relay_memory_spare(&m),
                     whole + 2 * sizeof(struct relay_object)); /* kept for the next ones */
    relay_memory_trim(&m);
    assert_int_equal(relay_memory_spare(&m), 0);
}

/* 16 bytes in front of a block and of its slices are there. */
static void test_headroom(void **state)
{
    (void)state;
    struct relay_memory m = {0};
    for (size_t n = 0; n < 70000; n = n * 2 + 1) {
        struct relay_object *o = relay_object_new(&m, n);
        struct relay_object *s = relay_object_slice(o, 0, n);
        assert_true(o->cap >= n);
        memset(s->bytes - RELAY_HEADROOM, 1, RELAY_HEADROOM + n);
        assert_true(m.used >= relay_object_cost(n));
        relay_object_unref(s);
        relay_object_unref(o);
    }
    assert_int_equal(m.used, 0);
    relay_memory_trim(&m);
}

static void test_reuse(void **state)
{
    (void)state;
    struct relay_memory m = {0};
    struct relay_object *o = relay_object_new(&m, 100);
    const void *block = o;
    o->frames = 7;
    o->stamped = true;
    relay_object_unref(o);
    o = relay_object_new(&m, 90); /* the same class, as new */
    assert_ptr_equal(o, block);
    assert_int_equal(o->frames, 0);
    assert_false(o->stamped);
    assert_null(o->more);
    assert_int_equal(m.taken, 1);
    relay_object_unref(o);
    relay_memory_trim(&m);
}

static void on_release(void *arg, uint8_t *bytes, size_t len)
{
    size_t *released = arg;
    assert_memory_equal(bytes, "mapped", 6);
    *released += len;
}

static void test_mapped(void **state)
{
    (void)state;
    struct relay_memory m = {0};
    char bytes[] = "mapped";
    size_t released = 0;
    struct relay_object *o = relay_object_map(&m, bytes, 6, 100, on_release, &released);
    struct relay_object *s = relay_object_slice(o, 3, 3);
    assert_int_equal(m.used, 100 + sizeof(*s));
    assert_false(s->headroom);
    relay_object_unref(o);
    assert_int_equal(released, 0);
    assert_memory_equal(s->bytes, "ped", 3);
    relay_object_unref(s);
    assert_int_equal(released, 6);
    assert_int_equal(m.used, 0);
    relay_memory_trim(&m);
}

/* Fragments are one object; a reference to one of them keeps what follows it. */
static void test_chain(void **state)
{
    (void)state;
    struct relay_memory m = {0};
    char all[16] = {0};
    struct relay_object *head = relay_object_copy(&m, "abc", 3), *last = head;
    const char *const parts[] = {"de", "", "fghi"};
    for (size_t i = 0; i < 3; i++) {
        struct relay_object *next = relay_object_copy(&m, parts[i], strlen(parts[i]));
        relay_object_chain(head, last, next);
        last = next;
    }
    assert_int_equal(head->total, 9);
    assert_int_equal(relay_object_read(head, 0, all, sizeof(all)), 9);
    assert_string_equal(all, "abcdefghi");
    memset(all, 0, sizeof(all));
    assert_int_equal(relay_object_read(head, 4, all, 3), 3);
    assert_string_equal(all, "efg");
    assert_int_equal(relay_object_read(head, 9, all, 3), 0);
    struct relay_object *tail = relay_object_ref(head->more);
    relay_object_unref(head);
    assert_int_equal(relay_object_read(tail, 0, all, sizeof(all)), 6);
    relay_object_unref(tail);
    assert_int_equal(m.used, 0);
    relay_memory_trim(&m);
}

static void test_keep(void **state)
{
    (void)state;
    struct relay_memory m = {0};
    struct relay_object *chunk = relay_object_new(&m, 100000);
    struct relay_object *small = relay_object_slice(chunk, 10, 20);
    struct relay_object *large = relay_object_slice(chunk, 10, 50000);
    memset(chunk->bytes, 'x', chunk->len);
    small->flags = RELAY_OBJECT_META;
    struct relay_object *copy = relay_object_keep(small), *same = relay_object_keep(large);
    assert_ptr_not_equal(copy, small);
    assert_int_equal(copy->len, 20);
    assert_int_equal(copy->flags, RELAY_OBJECT_META);
    assert_memory_equal(copy->bytes, small->bytes, 20);
    assert_ptr_equal(same, large);
    assert_int_equal(large->refs, 2);
    relay_object_unref(copy);
    relay_object_unref(same);
    relay_object_unref(small);
    relay_object_unref(large);
    relay_object_unref(chunk);
    assert_int_equal(m.used, 0);
    relay_memory_trim(&m);
}

static void note(void *arg)
{
    ++*(int *)arg;
}

/* Who waits for memory hears of the first that is freed, once. */
static void test_freed(void **state)
{
    int noted = 0;
    struct relay_memory m = {.freed = note, .freed_arg = &noted};
    (void)state;
    struct relay_object *a = relay_object_new(&m, 100), *b = relay_object_new(&m, 100000);
    relay_object_unref(relay_object_new(&m, 10)); /* nobody waits */
    assert_int_equal(noted, 0);
    m.below = m.used;
    struct relay_object *c = relay_object_slice(b, 10, 100);
    relay_object_unref(b); /* the slice still needs it */
    assert_int_equal(noted, 0);
    relay_object_unref(c);
    relay_object_unref(a);
    assert_int_equal(noted, 1);
    relay_memory_trim(&m);
}

int nk_test_relay_object(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_slices), cmocka_unit_test(test_headroom),
        cmocka_unit_test(test_reuse),  cmocka_unit_test(test_mapped),
        cmocka_unit_test(test_chain),  cmocka_unit_test(test_keep),
        cmocka_unit_test(test_freed),
    };
    return cmocka_run_group_tests_name("relay/object", tests, NULL, NULL);
}
