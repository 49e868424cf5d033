/* SPDX-License-Identifier: MIT */
#include "relay/out.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { MODEL_MAX = 400000 };

struct model {
    uint8_t v[MODEL_MAX];
    size_t from, to;
};

/* What is described must be what was put in; at most `max` buffers and some bytes are taken. */
static void take(struct relay_out *o, struct model *m, int max, size_t limit)
{
    struct iovec iov[16];
    int n = relay_out_iov(o, iov, max);
    size_t seen = 0;
    for (int i = 0; i < n; i++) {
        assert_true(iov[i].iov_len > 0);
        assert_memory_equal(iov[i].iov_base, m->v + m->from + seen, iov[i].iov_len);
        seen += iov[i].iov_len;
    }
    size_t used = seen < limit ? seen : limit;
    relay_out_consume(o, used);
    m->from += used;
    assert_int_equal(o->bytes, m->to - m->from);
}

static void put_small(struct relay_out *o, struct model *m, size_t n, uint8_t b)
{
    uint8_t *p = relay_out_reserve(o, n + 10);
    assert_non_null(p);
    memset(p, b, n);
    relay_out_commit(o, n);
    memset(m->v + m->to, b, n);
    m->to += n;
}

static void put_object(struct relay_out *o, struct model *m, size_t n, uint8_t b,
                       struct relay_memory *mem)
{
    struct relay_object *obj = relay_object_new(mem, n + 7);
    assert_non_null(obj);
    memset(obj->bytes, b, n + 7);
    obj->bytes += 3;
    obj->len = obj->total = n;
    assert_int_equal(relay_out_object(o, obj), 0);
    relay_object_unref(obj);
    memset(m->v + m->to, b, n);
    m->to += n;
}

static void test_random(void **state)
{
    (void)state;
    struct relay_out_pool pool = {.max = 2};
    struct relay_out o;
    struct model *m = calloc(1, sizeof(*m));
    struct relay_memory mem = {0};
    unsigned rnd = 7;
    relay_out_init(&o, &pool);
    while (m->to < MODEL_MAX - 10000) {
        rnd = rnd * 1103515245 + 12345;
        unsigned r = rnd >> 16;
        switch (r & 3) {
        case 0:
        case 1:
            put_small(&o, m, 1 + (r >> 2) % 300, (uint8_t)r);
            break;
        case 2:
            put_object(&o, m, (r >> 2) % 5000, (uint8_t)r, &mem);
            break;
        default:
            take(&o, m, 1 + (int)(r >> 2) % 16, (r >> 6) % 9000);
        }
    }
    while (o.bytes) {
        take(&o, m, 16, SIZE_MAX);
    }
    assert_int_equal(mem.used, 0);
    relay_memory_trim(&mem);
    assert_null(o.first); /* idle: the chunks are back */
    assert_true(pool.n <= 2);
    relay_out_clear(&o);
    relay_out_pool_clear(&pool);
    free(m);
}

static void test_clear_gives_back(void **state)
{
    (void)state;
    struct relay_out_pool pool = {.max = 4};
    struct relay_out o;
    struct model *m = calloc(1, sizeof(*m));
    struct relay_memory mem = {0};
    relay_out_init(&o, &pool);
    put_small(&o, m, 100, 1);
    put_object(&o, m, 3000, 2, &mem);
    put_small(&o, m, 15000, 3);
    put_small(&o, m, 15000, 4);
    take(&o, m, 2, 1000);
    relay_out_clear(&o);
    assert_int_equal(mem.used, 0);
    relay_memory_trim(&mem);
    assert_int_equal(o.bytes, 0);
    relay_out_pool_clear(&pool);
    free(m);
}

int nk_test_relay_out(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random),
        cmocka_unit_test(test_clear_gives_back),
    };
    return cmocka_run_group_tests_name("relay/out", tests, NULL, NULL);
}
