/* SPDX-License-Identifier: MIT */
#include "relay/client_spool.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct world {
    struct client_spool s;
    struct client_line a, b;
};

static void begin(struct world *w)
{
    client_spool_init(&w->s);
    client_line_init(&w->a, 0);
    client_line_init(&w->b, 1);
}

static void finish(struct world *w)
{
    client_line_clear(&w->s, &w->a);
    client_line_clear(&w->s, &w->b);
    assert_null(w->s.ready);
    client_spool_clear(&w->s);
}

static uint64_t put(struct world *w, struct client_line *l, const void *data, size_t len)
{
    const struct relay_client_publish p = {.copies = 1};
    uint64_t number = 0;
    assert_int_equal(client_spool_put(&w->s, l, &p, data, len, false, &number), 0);
    return number;
}

/* Give everything to a wire that takes whole nodes. */
static size_t send_all(struct world *w)
{
    size_t sum = 0;
    for (struct client_line *l; (l = client_spool_oldest(&w->s, NULL, NULL));) {
        struct client_node *n = l->unsent;
        size_t size = n->large ? client_node_payload(n) : n->len;
        sum += size - n->sent;
        client_line_advance(&w->s, l, size - n->sent);
    }
    return sum;
}

static void test_runs_are_whole_frames(void **state)
{
    (void)state;
    struct world w;
    begin(&w);
    for (uint64_t i = 1; i <= 100; i++) {
        assert_int_equal(put(&w, &w.a, "abc", 3), i);
    }
    assert_ptr_equal(w.a.first, w.a.unsent);
    assert_null(w.a.first->next);
    assert_int_equal(w.a.first->len, 100 * (RELAY_NATIVE_HEAD + 3));
    assert_int_equal(w.s.queued, 300);
    size_t at = 0;
    for (uint64_t i = 1; i <= 100; i++) {
        struct relay_native_head h;
        assert_int_equal(relay_native_head(w.a.first->bytes + at, w.a.first->len - at,
                                           RELAY_FROM_CLIENT, RELAY_NATIVE_FRAGMENT, &h, NULL),
                         1);
        assert_int_equal(h.type, RELAY_N_ITEM);
        assert_int_equal(h.seq, i);
        assert_int_equal(h.len, 3);
        at += RELAY_NATIVE_HEAD + 3;
    }
    assert_int_equal(send_all(&w), at);
    assert_int_equal(w.s.queued, 0);
    finish(&w);
}

static void test_order_is_that_of_publishing(void **state)
{
    (void)state;
    static const char order[] = "aabbbabab";
    struct world w;
    struct client_item it;
    begin(&w);
    for (size_t i = 0; order[i]; i++) {
        (void)put(&w, order[i] == 'a' ? &w.a : &w.b, &order[i], 1);
    }
    for (size_t i = 0; order[i]; i++) {
        struct client_line *l = client_spool_oldest(&w.s, NULL, NULL);
        assert_non_null(l);
        client_spool_peek(l, &it);
        assert_int_equal(it.head_len, 1);
        assert_int_equal(it.head[0], order[i]);
        assert_null(client_spool_take(&w.s, l));
    }
    assert_null(client_spool_oldest(&w.s, NULL, NULL));
    finish(&w);
}

static bool not_a(void *arg, const struct client_line *l)
{
    return l != arg;
}

static void test_a_closed_line_does_not_hold_up_others(void **state)
{
    (void)state;
    struct world w;
    begin(&w);
    (void)put(&w, &w.a, "1", 1);
    (void)put(&w, &w.b, "2", 1);
    assert_ptr_equal(client_spool_oldest(&w.s, NULL, NULL), &w.a);
    assert_ptr_equal(client_spool_oldest(&w.s, not_a, &w.a), &w.b);
    finish(&w);
}

static void test_settle_and_rewind(void **state)
{
    (void)state;
    struct world w;
    begin(&w);
    uint8_t *big = calloc(1, 300000);
    for (int i = 0; i < 10; i++) {
        (void)put(&w, &w.a, "abc", 3);
    }
    assert_int_equal(put(&w, &w.a, big, 300000), 11);
    (void)put(&w, &w.a, "def", 3);
    client_line_advance(&w.s, &w.a, 4 * (RELAY_NATIVE_HEAD + 3));
    client_spool_settle(&w.s, &w.a, 2);
    client_line_reap(&w.s, &w.a);
    assert_int_equal(w.a.first->last, 10); /* a run goes as a whole */
    client_line_rewind(&w.s, &w.a);
    assert_int_equal(w.a.unsent->sent, 2 * (RELAY_NATIVE_HEAD + 3));
    assert_int_equal(w.s.queued, 8 * 3 + 300000 + 3);
    client_line_advance(&w.s, &w.a, 8 * (RELAY_NATIVE_HEAD + 3));
    client_line_advance(&w.s, &w.a, 1000); /* of the large one */
    client_spool_settle(&w.s, &w.a, 11);   /* refused before it was sent: finish it all the same */
    client_line_reap(&w.s, &w.a);
    assert_int_equal(w.a.first->first, 11);
    client_line_advance(&w.s, &w.a, 299000);
    client_line_reap(&w.s, &w.a);
    assert_int_equal(w.a.first->first, 12);
    assert_int_equal(w.s.queued, 3);
    client_spool_settle(&w.s, &w.a, 12);
    client_line_rewind(&w.s, &w.a);
    assert_null(w.a.first);
    assert_null(w.a.unsent);
    assert_int_equal(w.s.queued, 0);
    assert_int_equal(w.s.objects, w.s.settled);
    free(big);
    finish(&w);
}

static void test_memory_is_used_again(void **state)
{
    (void)state;
    struct world w;
    char data[1000] = {0};
    size_t most = 0;
    begin(&w);
    for (int round = 0; round < 50; round++) {
        for (int i = 0; i < 1000; i++) {
            (void)put(&w, i % 2 ? &w.a : &w.b, data, sizeof(data));
        }
        (void)send_all(&w);
        most = w.s.held > most ? w.s.held : most;
        client_spool_settle(&w.s, &w.a, w.a.next - 1);
        client_spool_settle(&w.s, &w.b, w.b.next - 1);
        client_line_reap(&w.s, &w.a);
        client_line_reap(&w.s, &w.b);
        assert_true(w.s.held <= sizeof(struct client_arena));
    }
    assert_true(most < (size_t)6 * sizeof(struct client_arena));
    finish(&w);
}

static void test_metadata_and_wrapping(void **state)
{
    (void)state;
    static const char *const headers[] = {"a=b", "c=d"};
    struct relay_client_publish p = {.copies = 7,
                                     .wrap = RELAY_WRAP_STR,
                                     .ttl_ms = 5,
                                     .reply_to = "back",
                                     .correlation = (const uint8_t *)"id",
                                     .correlation_len = 2,
                                     .headers = headers,
                                     .nheaders = 2};
    struct world w;
    struct client_item it;
    struct relay_meta m;
    begin(&w);
    assert_int_equal(client_spool_put(&w.s, &w.a, &p, (const uint8_t *)"hi", 2, false, NULL), 0);
    client_spool_peek(&w.a, &it);
    assert_int_equal(it.copies, 7);
    assert_int_equal(it.content, RELAY_CONTENT_PICKLE);
    assert_int_equal(it.head_len, 2 + 5 + 2 + 1); /* PROTO, BINUNICODE, "hi", STOP */
    assert_memory_equal(it.head, "\x80\x03X\x02\0\0\0hi.", 10);
    assert_int_equal(relay_meta_get(w.a.first->bytes + RELAY_NATIVE_HEAD,
                                    w.a.first->len - RELAY_NATIVE_HEAD, &m),
                     0);
    assert_int_equal(m.ttl_ms, 5);
    assert_int_equal(m.headers, 2);
    assert_int_equal(m.reply_to.len, 4);
    assert_int_equal(m.correlation.len, 2);
    p.correlation_len = 65;
    p.correlation = (const uint8_t *)"0123456789012345678901234567890123456789012345678901234567890"
                                     "123456789";
    assert_int_equal(client_spool_put(&w.s, &w.a, &p, (const uint8_t *)"hi", 2, false, NULL),
                     NK_EFORMAT);
    assert_int_equal(w.s.objects, 1);
    finish(&w);
}

static void test_large_objects_keep_their_memory(void **state)
{
    (void)state;
    const struct relay_client_publish p = {.wrap = RELAY_WRAP_BYTES};
    struct world w;
    struct client_item it;
    begin(&w);
    uint8_t *data = calloc(1, 100000);
    assert_int_equal(client_spool_put(&w.s, &w.a, &p, data, 100000, true, NULL), 0);
    client_spool_peek(&w.a, &it);
    assert_ptr_equal(it.data, data);
    assert_int_equal(it.copies, 0);
    assert_true(it.dot);
    assert_int_equal(it.head_len, 7);
    assert_ptr_equal(client_spool_take(&w.s, &w.a), data);
    assert_int_equal(w.s.queued, 0);
    free(data);
    data = calloc(1, 10);
    assert_int_equal(client_spool_put(&w.s, &w.a, &p, data, 10, true, NULL), 0);
    finish(&w);
}

int nk_test_relay_client_spool(void);
int nk_test_relay_client_spool(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_runs_are_whole_frames),
        cmocka_unit_test(test_order_is_that_of_publishing),
        cmocka_unit_test(test_a_closed_line_does_not_hold_up_others),
        cmocka_unit_test(test_settle_and_rewind),
        cmocka_unit_test(test_memory_is_used_again),
        cmocka_unit_test(test_metadata_and_wrapping),
        cmocka_unit_test(test_large_objects_keep_their_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
