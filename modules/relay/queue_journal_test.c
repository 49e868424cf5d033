/* SPDX-License-Identifier: MIT */
/* What the queue core tells a log, and what it takes back from one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "relay/queue_testkit.h"

static const uint8_t tag[RELAY_TAG] = "a session's tag";

static void on_lease(void *owner, struct relay_group *g, uint64_t seq, uint32_t tries,
                     const uint8_t *t)
{
    struct qt_world *w = owner;
    (void)g;
    qt_write_down(w->journal, sizeof(w->journal), "lease %d.%u%s ", (int)seq, tries, t ? "t" : "");
}

static void on_release(void *owner, struct relay_group *g, uint64_t seq, uint32_t tries,
                       uint64_t delay_ms)
{
    struct qt_world *w = owner;
    (void)g;
    assert_int_equal(delay_ms, 0);
    qt_write_down(w->journal, sizeof(w->journal), "release %d.%u ", (int)seq, tries);
}

static void on_ack(void *owner, struct relay_group *g, uint64_t first, uint64_t count)
{
    struct qt_world *w = owner;
    (void)g;
    qt_write_down(w->journal, sizeof(w->journal), "ack %d+%d ", (int)first, (int)count);
}

static void on_drop(void *owner, struct relay_group *g, uint64_t first, uint64_t count,
                    enum relay_drop why)
{
    struct qt_world *w = owner;
    (void)g;
    qt_write_down(w->journal, sizeof(w->journal), "drop %d+%d.%d ", (int)first, (int)count, why);
}

static void on_dead(void *owner, struct relay_group *g, uint64_t seq, struct relay_group *to,
                    uint64_t to_seq, uint64_t expires_ms, struct relay_object *o)
{
    struct qt_world *w = owner;
    assert_int_equal(expires_ms, 0);
    assert_ptr_equal(g, w->g);
    assert_ptr_equal(to, w->dead);
    assert_true(o->flags & RELAY_OBJECT_META);
    qt_write_down(w->journal, sizeof(w->journal), "dead %d>%d ", (int)seq, (int)to_seq);
}

static const struct relay_queue_journal journal = {
    .lease = on_lease, .release = on_release, .ack = on_ack, .drop = on_drop, .dead = on_dead};

static void test_journal(void **state)
{
    struct qt_world *w = *state;
    relay_queue_observe(w->q, &journal, w);
    assert_int_equal(relay_queue_resume(w->q, w->p[0].m, tag, 300), 0);
    qt_join(w, 0, w->g);
    qt_demand(w, 0, 3, 0);
    qt_produce(w, "1");
    assert_int_equal(qt_settle(w, 0, RELAY_NACK, 0), 0);
    assert_int_equal(qt_settle(w, 0, RELAY_ACK, 0), 0);
    qt_produce(w, "2");
    assert_int_equal(qt_settle(w, 0, RELAY_DEAD, 0), 0);
    assert_int_equal(qt_put(w, "3", &(struct relay_put){.copies = 5}), 0);
    relay_queue_purge(w->q, w->g);
    assert_string_equal(w->journal, "lease 1.1t release 1.1 lease 1.2t ack 1+1 lease 2.1t "
                                    "dead 2>1 drop 3+5.3 ");
}

static void restore(struct qt_world *w, const char *text, struct relay_restore item,
                    const uint8_t *who)
{
    item.obj = relay_object_copy(&w->memory, text, strlen(text));
    assert_int_equal(who ? relay_queue_restore_lease(w->q, w->g, &item, who, 300)
                         : relay_queue_restore_item(w->q, w->g, &item),
                     0);
    relay_object_unref(item.obj);
}

static void test_restore(void **state)
{
    struct qt_world *w = *state;
    struct relay_object *o = relay_object_copy(&w->memory, "b", 1);
    relay_queue_restore_epoch(w->q, 77, 10);
    restore(w, "2", (struct relay_restore){.seq = 12, .copies = 2}, NULL);
    restore(w, "4", (struct relay_restore){.seq = 15, .copies = 1}, NULL);
    restore(w, "1", (struct relay_restore){.seq = 11, .copies = 1, .tries = 2}, NULL);
    restore(w, "3", (struct relay_restore){.seq = 14, .copies = 1, .tries = 1}, tag);
    assert_int_equal(relay_queue_restore_retained(w->q, w->g, o, 30), 0);
    relay_object_unref(o);
    assert_int_equal(relay_queue_restore_producer(w->q, w->g, 7, 5), 0);
    assert_int_equal(relay_queue_epoch(w->q), 77);
    assert_int_equal(qt_stats(w->g).queued, 4);
    assert_int_equal(qt_stats(w->g).leased, 1);
    assert_int_equal(qt_put(w, "x", &(struct relay_put){.copies = 1, .producer = 7}), 1);
    qt_produce(w, "5");
    qt_join(w, 1, w->g);
    struct relay_watch watch = {.group = w->g, .known = {.epoch = 77, .version = 30}};
    relay_queue_replay(w->q, w->p[1].m, &watch, 1);
    qt_demand(w, 1, 3, 0);
    qt_expect(w, 1, "1'' 2 2 ");
    assert_int_equal(relay_queue_resume(w->q, w->p[0].m, tag, 300), 1);
    assert_int_equal(relay_queue_settle(w->q, w->p[0].m, w->g, 14, 1, RELAY_NACK, 0), 0);
    qt_demand(w, 1, 5, 0);
    qt_expect(w, 1, "3' 4 5 ");
    assert_int_equal(w->p[1].seq, 16);
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, qt_setup, qt_teardown)

int nk_test_relay_queue_journal(void)
{
    const struct CMUnitTest tests[] = {T(test_journal), T(test_restore)};
    return cmocka_run_group_tests_name("relay/queue_journal", tests, NULL, NULL);
}
