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

/* Frames here: a length (u16 little endian, with itself), a kind, then bytes of that kind. */
static void frame(uint8_t *p, size_t n, uint8_t kind)
{
    p[0] = (uint8_t)n;
    p[1] = (uint8_t)(n >> 8);
    memset(p + 2, kind, n - 2);
}

static void add_object(struct relay_out *o, struct relay_memory *mem, size_t n)
{
    struct relay_object *obj = relay_object_new(mem, n);
    assert_non_null(obj);
    frame(obj->bytes, n, 'o');
    if (n & 1) { /* its beginning is copied, as a head that is not the object's */
        uint8_t *p = relay_out_reserve(o, 10);
        memcpy(p, obj->bytes, 10);
        relay_out_commit(o, 10);
        relay_out_joined(o);
        assert_int_equal(relay_out_bytes(o, obj, obj->bytes + 10, n - 10), 0);
    } else {
        assert_int_equal(relay_out_object(o, obj), 0);
    }
    relay_object_unref(obj);
}

static void add_frame(struct relay_out *o, struct relay_memory *mem, unsigned r)
{
    size_t n = 16 + (r >> 4) % 3000;
    uint8_t *p;
    switch (r & 3) {
    case 0:
        p = relay_out_urgent(o, 16);
        frame(p, 16, 'u');
        break;
    case 1:
        add_object(o, mem, n);
        break;
    default:
        p = relay_out_reserve(o, n % 100 + 16);
        frame(p, n % 100 + 16, 's');
        relay_out_commit(o, n % 100 + 16);
    }
}

static size_t write_some(struct relay_out *o, uint8_t *to, unsigned r)
{
    struct iovec iov[8];
    int n = relay_out_iov(o, iov, 1 + (int)(r % 8));
    size_t limit = (r >> 3) % 5000, done = 0;
    for (int i = 0; i < n && done < limit; i++) {
        size_t take = iov[i].iov_len < limit - done ? iov[i].iov_len : limit - done;
        memcpy(to + done, iov[i].iov_base, take);
        done += take;
    }
    relay_out_consume(o, done);
    return done;
}

/* Urgent frames overtake, but every frame stays whole. */
static void test_urgent(void **state)
{
    (void)state;
    struct relay_out_pool pool = {.max = 2};
    struct relay_memory mem = {0};
    struct relay_out o;
    uint8_t *all = malloc(MODEL_MAX * 2);
    size_t put = 0, urgent = 0, seen[256] = {0};
    unsigned rnd = 3;
    relay_out_init(&o, &pool);
    while (put < MODEL_MAX) {
        rnd = rnd * 1103515245 + 12345;
        unsigned r = rnd >> 12;
        if (r % 3) {
            add_frame(&o, &mem, r >> 2);
        } else {
            put += write_some(&o, all + put, r >> 2);
        }
    }
    while (o.bytes) {
        put += write_some(&o, all + put, 0xffffff);
    }
    for (size_t off = 0, n = 0; off < put; off += n) {
        n = (size_t)(all[off] | all[off + 1] << 8);
        assert_true(n >= 16 && n <= put - off);
        for (size_t i = 2; i < n; i++) {
            assert_int_equal(all[off + i], all[off + 2]);
        }
        seen[all[off + 2]]++;
    }
    urgent = seen['u'];
    assert_true(urgent > 50 && seen['o'] > 50 && seen['s'] > 50);
    assert_int_equal(mem.used, 0);
    relay_memory_trim(&mem);
    relay_out_clear(&o);
    relay_out_pool_clear(&pool);
    free(all);
}

/* Of 100 frames in front, at most the one that has begun stays in front. */
static void test_urgent_first(void **state)
{
    (void)state;
    struct relay_out_pool pool = {.max = 2};
    struct relay_memory mem = {0};
    struct relay_out o;
    struct iovec iov[8];
    relay_out_init(&o, &pool);
    for (int i = 0; i < 100; i++) {
        add_object(&o, &mem, 1000);
    }
    relay_out_consume(&o, 10);
    memset(relay_out_urgent(&o, 16), 'u', 16);
    assert_int_equal(relay_out_iov(&o, iov, 8), 8);
    assert_int_equal(iov[0].iov_len, 990);
    assert_int_equal(iov[1].iov_len, 16);
    relay_out_consume(&o, 990 + 8);
    assert_true(relay_out_iov(&o, iov, 8) > 1);
    assert_int_equal(iov[0].iov_len, 8);
    relay_out_clear(&o);
    assert_int_equal(mem.used, 0);
    relay_memory_trim(&mem);
    relay_out_pool_clear(&pool);
}

/* Slices that lie one behind the other go out as one buffer. */
static void test_neighbours(void **state)
{
    (void)state;
    struct relay_out_pool pool = {.max = 2};
    struct relay_memory mem = {0};
    struct relay_out o;
    struct iovec iov[8];
    struct relay_object *chunk = relay_object_new(&mem, 200000);
    relay_out_init(&o, &pool);
    for (size_t off = 0; off < 100000; off += 10000) {
        struct relay_object *s = relay_object_slice(chunk, off, 10000);
        assert_int_equal(relay_out_object(&o, s), 0);
        relay_object_unref(s);
    }
    relay_object_unref(chunk);
    assert_int_equal(relay_out_iov(&o, iov, 8), 2);
    assert_int_equal(iov[0].iov_len, 60000);
    assert_int_equal(iov[1].iov_len, 40000);
    relay_out_consume(&o, 100000);
    assert_int_equal(mem.used, 0);
    relay_memory_trim(&mem);
    relay_out_clear(&o);
    relay_out_pool_clear(&pool);
}

int nk_test_relay_out(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random),     cmocka_unit_test(test_clear_gives_back),
        cmocka_unit_test(test_urgent),     cmocka_unit_test(test_urgent_first),
        cmocka_unit_test(test_neighbours),
    };
    return cmocka_run_group_tests_name("relay/out", tests, NULL, NULL);
}
