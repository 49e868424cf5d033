/* SPDX-License-Identifier: MIT */
#include "relay/daemon_queue.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { TEXT = 256 };

/* What was called for, as the objects' first letters. */
static void note(void *arg, const struct relay_local_item *it)
{
    char *text = arg;
    size_t n = strlen(text);
    assert_true(n + 2 < TEXT);
    text[n] = (char)it->data[0];
    text[n + 1] = '\0';
}

static void put(struct relay_local *q, const char *text, enum relay_client_kind kind, char *dropped)
{
    for (; *text; text++) {
        struct relay_client_object d = {.kind = kind,
                                        .group = 7,
                                        .seq = (uint64_t)*text,
                                        .data = (const uint8_t *)text,
                                        .len = 1};
        assert_int_equal(relay_local_put(q, &d, note, dropped), 0);
    }
}

static void check_list(const struct relay_local_list *l, const char *want)
{
    char got[TEXT] = "";
    const struct relay_local_item *before = NULL;
    uint64_t n = 0;
    for (struct relay_local_item *it = l->first; it; it = it->next) {
        assert_ptr_equal(it->prev, before);
        note(got, it);
        before = it;
        n++;
    }
    assert_ptr_equal(l->last, before);
    assert_int_equal(l->n, n);
    assert_string_equal(got, want);
}

static void order(void **state)
{
    struct relay_local q;
    struct relay_local_list loan = {0};
    char seen[TEXT] = "", acked[TEXT] = "";
    (void)state;
    relay_local_init(&q, &(struct relay_local_limits){0});
    assert_true(relay_local_room(&q) == UINT64_MAX);
    put(&q, "abcdef", RELAY_KIND_BROADCAST, seen);
    relay_local_take(&q, 2, &loan);
    check_list(&loan, "ab");
    check_list(&q.waiting, "cdef");
    relay_local_confirm(&q, &loan, note, acked);
    assert_string_equal(acked, "ab");
    relay_local_take_last(&q, 3, &loan, note, seen);
    assert_string_equal(seen, "c");
    check_list(&loan, "def");
    assert_int_equal(q.items, 3);
    relay_local_confirm(&q, &loan, note, acked);
    assert_string_equal(acked, "abdef");
    assert_int_equal(q.items, 0);
    assert_int_equal(q.bytes, 0);
    relay_local_take_last(&q, 3, &loan, note, seen);
    check_list(&loan, "");
    put(&q, "xyz", RELAY_KIND_ITEM, seen);
    relay_local_take_last(&q, 0, &loan, note, seen); /* 0: all */
    check_list(&loan, "xyz");
    relay_local_confirm(&q, &loan, note, acked);
    assert_string_equal(seen, "c");
    assert_int_equal(q.count.received, 9);
    assert_int_equal(q.count.taken, 8);
    assert_int_equal(q.count.skipped, 1);
    relay_local_clear(&q);
}

/* Two commands, neither of which confirms: everything is where it was. */
static void returned(void **state)
{
    struct relay_local q;
    struct relay_local_list one = {0}, two = {0};
    char seen[TEXT] = "";
    (void)state;
    relay_local_init(&q, &(struct relay_local_limits){0});
    put(&q, "abcdef", RELAY_KIND_ITEM, seen);
    relay_local_take(&q, 2, &one);
    relay_local_take(&q, 2, &two);
    put(&q, "g", RELAY_KIND_BROADCAST, seen);
    relay_local_return(&q, &two);
    check_list(&q.waiting, "cdefg");
    relay_local_take(&q, 1, &two); /* c */
    relay_local_return(&q, &one);
    check_list(&q.waiting, "abdefg");
    relay_local_return(&q, &two);
    check_list(&q.waiting, "abcdefg");
    assert_int_equal(q.items, 7);
    assert_int_equal(q.broadcasts, 1);
    assert_int_equal(q.count.returned, 5);
    relay_local_clear(&q);
    assert_int_equal(q.items, 0);
    assert_int_equal(q.broadcasts, 0);
}

static void limits(void **state)
{
    struct relay_local q;
    struct relay_local_list loan = {0};
    char dropped[TEXT] = "", acked[TEXT] = "";
    (void)state;
    relay_local_init(&q, &(struct relay_local_limits){.max_items = 3});
    put(&q, "ab", RELAY_KIND_BROADCAST, dropped);
    assert_int_equal(relay_local_room(&q), 3);
    put(&q, "X", RELAY_KIND_ITEM, dropped);
    assert_int_equal(relay_local_room(&q), 2);
    put(&q, "cd", RELAY_KIND_RETAINED, dropped);
    assert_string_equal(dropped, "ab");
    check_list(&q.waiting, "Xcd");
    put(&q, "Y", RELAY_KIND_UNKNOWN, dropped); /* may be an item: kept */
    check_list(&q.waiting, "XdY");
    put(&q, "Z", RELAY_KIND_ITEM, dropped);
    check_list(&q.waiting, "XYZ");
    assert_int_equal(relay_local_room(&q), 0);
    put(&q, "W", RELAY_KIND_ITEM, dropped); /* asked for: kept beyond the limit */
    check_list(&q.waiting, "XYZW");
    put(&q, "e", RELAY_KIND_BROADCAST, dropped); /* the newest one is always kept */
    check_list(&q.waiting, "XYZWe");
    put(&q, "f", RELAY_KIND_BROADCAST, dropped);
    check_list(&q.waiting, "XYZWf");
    assert_string_equal(dropped, "abcde");
    assert_int_equal(q.count.dropped, 5);
    /* what is on loan counts */
    relay_local_take(&q, 2, &loan);
    assert_int_equal(relay_local_room(&q), 0);
    relay_local_confirm(&q, &loan, note, acked);
    assert_int_equal(relay_local_room(&q), 1);
    relay_local_clear(&q);
    relay_local_init(&q, &(struct relay_local_limits){.max_bytes = 2});
    put(&q, "abcd", RELAY_KIND_BROADCAST, dropped);
    check_list(&q.waiting, "cd");
    assert_true(relay_local_room(&q) == UINT64_MAX); /* broadcasts give way */
    put(&q, "XY", RELAY_KIND_ITEM, dropped);
    check_list(&q.waiting, "XY");
    assert_int_equal(relay_local_room(&q), 0);
    relay_local_clear(&q);
}

static bool is_old_item(void *arg, const struct relay_local_item *it)
{
    return relay_local_is_item(it) && it->data[0] < *(const uint8_t *)arg;
}

static void swept(void **state)
{
    struct relay_local q;
    struct relay_local_list loan = {0};
    char seen[TEXT] = "";
    uint8_t limit = 'd';
    (void)state;
    relay_local_init(&q, &(struct relay_local_limits){0});
    put(&q, "a", RELAY_KIND_BROADCAST, seen);
    put(&q, "bcde", RELAY_KIND_ITEM, seen);
    relay_local_take(&q, 2, &loan); /* a b */
    assert_int_equal(relay_local_sweep(&q, is_old_item, &limit), 1);
    check_list(&q.waiting, "de");
    assert_int_equal(relay_local_sweep_loan(&q, &loan, is_old_item, &limit), 1);
    assert_int_equal(relay_local_sweep_loan(&q, &loan, is_old_item, &limit), 0);
    relay_local_return(&q, &loan); /* b is somebody else's now */
    check_list(&q.waiting, "ade");
    assert_int_equal(q.items, 3);
    assert_int_equal(q.count.lost, 2);
    relay_local_clear(&q);
}

int nk_test_relay_daemon_queue(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(order),
        cmocka_unit_test(returned),
        cmocka_unit_test(limits),
        cmocka_unit_test(swept),
    };
    return cmocka_run_group_tests_name("relay/daemon_queue", tests, NULL, NULL);
}
