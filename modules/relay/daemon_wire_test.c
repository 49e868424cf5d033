/* SPDX-License-Identifier: MIT */
#include "relay/daemon_wire.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* The one frame in b: its payload. */
static const uint8_t *payload(const struct nk_buf *b, enum relay_daemon_type want, size_t *n)
{
    enum relay_daemon_type type;
    assert_true(nk_buf_len(b) >= RELAY_DAEMON_HEADER);
    assert_int_equal(relay_daemon_header(nk_buf_ptr(b), &type, n), 0);
    assert_int_equal(type, want);
    assert_int_equal(nk_buf_len(b), RELAY_DAEMON_HEADER + *n);
    return nk_buf_ptr(b) + RELAY_DAEMON_HEADER;
}

static void hello(void **state)
{
    struct nk_buf b;
    size_t n;
    (void)state;
    nk_buf_init(&b, 64);
    assert_int_equal(relay_daemon_put_hello(&b), 0);
    const uint8_t *p = payload(&b, DAEMON_HELLO, &n);
    assert_int_equal(relay_daemon_get_hello(p, n), 0);
    assert_int_equal(relay_daemon_get_hello(p, n - 1), NK_EPROTO);
    nk_buf_ptr(&b)[nk_buf_len(&b) - 1]++;
    assert_int_equal(relay_daemon_get_hello(payload(&b, DAEMON_HELLO, &n), n), NK_EVERSION);
    nk_buf_ptr(&b)[RELAY_DAEMON_HEADER]++;
    assert_int_equal(relay_daemon_get_hello(payload(&b, DAEMON_HELLO, &n), n), NK_EPROTO);
    nk_buf_clear(&b);
}

static void headers(void **state)
{
    enum relay_daemon_type type = DAEMON_HELLO;
    size_t n = 7;
    (void)state;
    static const uint8_t none[8] = {1, 0, 0, 0, 0}, late[8] = {1, 0, 0, 0, DAEMON_DONE + 1};
    static const uint8_t high[8] = {1, 0, 0, 0, 1, 0, 1}, good[8] = {1, 2, 0, 0, DAEMON_STOP};
    assert_int_equal(relay_daemon_header(none, &type, &n), NK_EPROTO);
    assert_int_equal(relay_daemon_header(late, &type, &n), NK_EPROTO);
    assert_int_equal(relay_daemon_header(high, &type, &n), NK_EPROTO);
    assert_int_equal(n, 7);
    assert_int_equal(relay_daemon_header(good, &type, &n), 0);
    assert_int_equal(n, 513);
    assert_int_equal(type, DAEMON_STOP);
}

static void reads(void **state)
{
    struct nk_buf b;
    size_t n;
    const struct relay_daemon_read in = {
        .mode = DAEMON_LAST, .block = true, .max = UINT64_MAX, .wait_ms = 1234567890123};
    struct relay_daemon_read out = {0};
    (void)state;
    nk_buf_init(&b, 64);
    assert_int_equal(relay_daemon_put_read(&b, &in), 0);
    const uint8_t *p = payload(&b, DAEMON_READ, &n);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(relay_daemon_get_read(p, i, &out), NK_EPROTO);
    }
    assert_int_equal(relay_daemon_get_read(p, n, &out), 0);
    assert_int_equal(out.mode, in.mode);
    assert_true(out.block && out.max == in.max && out.wait_ms == in.wait_ms);
    uint8_t *bad = nk_buf_ptr(&b) + RELAY_DAEMON_HEADER;
    bad[0] = DAEMON_ALL + 1;
    assert_int_equal(relay_daemon_get_read(bad, n, &out), NK_EPROTO);
    bad[0] = DAEMON_POP;
    bad[1] = 2;
    assert_int_equal(relay_daemon_get_read(bad, n, &out), NK_EPROTO);
    nk_buf_clear(&b);
}

static void stops(void **state)
{
    struct nk_buf b;
    size_t n;
    const struct relay_daemon_stop in = {.force = true, .wait_ms = 1ULL << 33};
    struct relay_daemon_stop out = {0};
    (void)state;
    nk_buf_init(&b, 64);
    assert_int_equal(relay_daemon_put_stop(&b, &in), 0);
    uint8_t *p = nk_buf_ptr(&b) + RELAY_DAEMON_HEADER;
    (void)payload(&b, DAEMON_STOP, &n);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(relay_daemon_get_stop(p, i, &out), NK_EPROTO);
    }
    assert_int_equal(relay_daemon_get_stop(p, n, &out), 0);
    assert_true(out.force && out.wait_ms == in.wait_ms);
    p[0] = 2;
    assert_int_equal(relay_daemon_get_stop(p, n, &out), NK_EPROTO);
    nk_buf_clear(&b);
}

static void dests(void **state)
{
    struct nk_buf b;
    size_t n;
    struct relay_wire_dest v[] = {{"jobs", 3}, {"a b\xc3\xa9", -1}};
    struct relay_daemon_send in = {
        .produce = true, .form = 2, .content = 3, .len = 99, .meta.ttl_ms = 7, .dest = {v, 2}};
    struct relay_daemon_send out;
    struct relay_endpoint_dest got;
    (void)state;
    nk_buf_init(&b, 4096);
    assert_int_equal(relay_endpoint_meta_header(&in.meta, "a=b", 3, NULL), 0);
    assert_int_equal(relay_daemon_put_send(&b, &in), 0);
    const uint8_t *p = payload(&b, DAEMON_SEND, &n);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(relay_daemon_get_send(p, i, &out), NK_EPROTO);
    }
    assert_int_equal(relay_daemon_get_send(p, n, &out), 0);
    assert_true(out.produce && out.form == 2 && out.len == 99 && out.dest.n == 2);
    assert_string_equal(out.dest.v[1].group, v[1].group);
    assert_int_equal(out.dest.v[1].n, -1);
    assert_true(out.content == 3 && out.meta.ttl_ms == 7 && out.meta.nheaders == 1);
    assert_string_equal(out.meta.header[0], "a=b");
    relay_daemon_send_clear(&out);
    nk_buf_ptr(&b)[RELAY_DAEMON_HEADER + 2]++; /* one content more than there is */
    nk_buf_ptr(&b)[RELAY_DAEMON_HEADER + 2]++;
    assert_int_equal(relay_daemon_get_send(p, n, &out), NK_EPROTO);
    relay_endpoint_meta_clear(&in.meta);
    nk_buf_reset(&b);
    assert_int_equal(relay_daemon_put_notify(&b, &in.dest), 0);
    p = payload(&b, DAEMON_NOTIFY, &n);
    assert_int_equal(relay_daemon_get_notify(p, n, &got), 0);
    assert_string_equal(got.v[0].group, "jobs");
    relay_endpoint_dest_clear(&got);
    nk_buf_ptr(&b)[RELAY_DAEMON_HEADER + 2 + 8 + 2] = '\0'; /* in the first name */
    assert_int_equal(relay_daemon_get_notify(p, n, &got), NK_EPROTO);
    const struct relay_endpoint_dest none = {v, 0};
    nk_buf_reset(&b);
    assert_int_equal(relay_daemon_put_notify(&b, &none), 0);
    p = payload(&b, DAEMON_NOTIFY, &n);
    assert_int_equal(relay_daemon_get_notify(p, n, &got), NK_EPROTO);
    nk_buf_clear(&b);
}

static void names_too_long(void **state)
{
    struct nk_buf b;
    char name[ENDPOINT_GROUP_MAX + 2];
    struct relay_wire_dest v[RELAY_DAEMON_DESTS + 1];
    struct relay_endpoint_dest dest = {v, 1};
    (void)state;
    memset(name, 'x', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    for (size_t i = 0; i < RELAY_DAEMON_DESTS + 1; i++) {
        v[i] = (struct relay_wire_dest){name, 1};
    }
    nk_buf_init(&b, 1 << 20);
    assert_int_equal(relay_daemon_put_notify(&b, &dest), NK_ETOOBIG);
    name[ENDPOINT_GROUP_MAX] = '\0';
    dest.n = RELAY_DAEMON_DESTS + 1;
    assert_int_equal(relay_daemon_put_notify(&b, &dest), NK_ETOOBIG);
    assert_int_equal(nk_buf_len(&b), 0);
    dest.n = RELAY_DAEMON_DESTS;
    assert_int_equal(relay_daemon_put_notify(&b, &dest), 0);
    assert_true(nk_buf_len(&b) <= RELAY_DAEMON_REQUEST);
    nk_buf_clear(&b);
}

static void objects(void **state)
{
    struct nk_buf b;
    size_t n;
    const struct relay_daemon_object in = {.kind = 3,
                                           .content = 1,
                                           .tries = 9,
                                           .seq = 1ULL << 40,
                                           .group = "jobs",
                                           .glen = 4,
                                           .meta = (const uint8_t *)"\6\0\7\3\0a=b",
                                           .meta_len = 8,
                                           .data = (const uint8_t *)"data",
                                           .len = 4};
    struct relay_daemon_object out;
    struct relay_daemon_done done;
    (void)state;
    nk_buf_init(&b, 256);
    assert_int_equal(relay_daemon_put_object(&b, &in), 0);
    const uint8_t *p = payload(&b, DAEMON_OBJECT, &n);
    for (size_t i = 0; i < n - in.len; i++) {
        assert_int_equal(relay_daemon_get_object(p, i, &out), NK_EPROTO);
    }
    assert_int_equal(relay_daemon_get_object(p, n, &out), 0);
    assert_true(out.kind == 3 && out.content == 1 && out.tries == 9 && out.seq == in.seq);
    assert_memory_equal(out.group, "jobs", 4);
    assert_int_equal(out.meta_len, 8);
    assert_memory_equal(out.meta, in.meta, 8);
    assert_int_equal(out.len, 4);
    assert_memory_equal(out.data, "data", 4);
    nk_buf_reset(&b);
    const struct relay_daemon_object nothing = {.kind = 1};
    assert_int_equal(relay_daemon_put_object(&b, &nothing), 0);
    p = payload(&b, DAEMON_OBJECT, &n);
    assert_int_equal(relay_daemon_get_object(p, n, &out), 0);
    assert_true(!out.group && !out.meta);
    assert_int_equal(out.len, 0);
    nk_buf_reset(&b);
    assert_int_equal(relay_daemon_put_done(&b, 75, 12, "no"), 0);
    p = payload(&b, DAEMON_DONE, &n);
    assert_int_equal(relay_daemon_get_done(p, n, &done), 0);
    assert_true(done.status == 75 && done.count == 12 && done.len == 2);
    assert_int_equal(relay_daemon_get_done(p, 11, &done), NK_EPROTO);
    nk_buf_clear(&b);
}

int nk_test_relay_daemon_wire(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hello),   cmocka_unit_test(headers), cmocka_unit_test(reads),
        cmocka_unit_test(stops),   cmocka_unit_test(dests),   cmocka_unit_test(names_too_long),
        cmocka_unit_test(objects),
    };
    return cmocka_run_group_tests_name("relay/daemon_wire", tests, NULL, NULL);
}
