/* SPDX-License-Identifier: MIT */
#include "relay/relay_testkit.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#include "core/stream.h"
#include "relay/log_testkit.h"
#include "relay/wire_native.h"
#include "relay/wire_tlspyo.h"

struct relay_limits rt_default_limits(void)
{
    struct relay_limits limits = relay_hub_testkit_limits();
    limits.grace_ms = 0; /* endpoints have no sessions */
    return limits;
}

struct rt_world *rt_world_new(enum relay_engine_kind over, struct relay_limits limits, bool listed)
{
    const struct relay_hub_testkit_conf conf = {.over = over,
                                                .limits = limits,
                                                .clock_scale = RT_CLOCK_SCALE,
                                                .max_groups = 100,
                                                .listed = listed};
    struct rt_world *w = calloc(1, sizeof(*w));
    assert_int_equal(relay_hub_testkit_open(&w->k, &conf), 0);
    assert_int_equal(nk_secret_set(&w->pw, "pw", 2), 0);
    for (size_t i = 0; i < RT_PEERS; i++) {
        w->p[i].fd = -1;
    }
    return w;
}

void rt_peer_close(struct rt_peer *p)
{
    if (p->fd >= 0) {
        close(p->fd);
    }
    p->fd = -1;
    nk_buf_clear(&p->in);
    relay_value_doc_clear(&p->doc);
    free(p->frame);
    p->frame = NULL;
}

void rt_world_free(struct rt_world *w)
{
    assert_true(relay_hub_testkit_close(&w->k));
    nk_secret_clear(&w->pw);
    for (size_t i = 0; i < RT_PEERS; i++) {
        rt_peer_close(&w->p[i]);
    }
    free(w);
}

void rt_connect_peer(struct rt_world *w, int i)
{
    struct rt_peer *p = &w->p[i];
    assert_int_equal(relay_hub_testkit_connect(&w->k, "tcp", &p->fd), 0);
    p->stamp = 0;
    nk_buf_init(&p->in, 32 * RT_MIB);
}

/* Read what is there. Returns false at the end of the stream. */
bool rt_pull(struct rt_peer *p)
{
    int rc = relay_hub_testkit_pull(p->fd, &p->in);
    assert_true(rc >= 0);
    return rc > 0;
}

bool rt_take_frame(struct rt_peer *p)
{
    size_t total = 0;
    assert_int_equal(relay_wire_frame_length(nk_buf_ptr(&p->in), nk_buf_len(&p->in), RT_HEADER,
                                             32 * RT_MIB, &total),
                     0);
    if (total == 0 || total > nk_buf_len(&p->in)) {
        return false;
    }
    free(p->frame);
    p->frame = malloc(total);
    memcpy(p->frame, nk_buf_ptr(&p->in), total);
    p->frame_len = total;
    nk_buf_consume(&p->in, total);
    assert_int_equal(relay_wire_parse(&p->doc, p->frame + RT_HEADER, total - RT_HEADER, &p->msg),
                     0);
    return true;
}

/* The next frame, within patience. */
void rt_next_frame(struct rt_world *w, int i)
{
    struct rt_peer *p = &w->p[i];
    for (int turn = 0; !rt_take_frame(p); turn++) {
        bool open = rt_pull(p);
        if (rt_take_frame(p)) {
            return;
        }
        assert_true(open);
        assert_true(turn < RT_PATIENCE);
        nk_app_turn(w->k.app, 2);
    }
}

void rt_expect(struct rt_world *w, int i, enum relay_wire_command cmd)
{
    rt_next_frame(w, i);
    assert_int_equal(w->p[i].msg.cmd, cmd);
}

void rt_raw_send(struct rt_world *w, int i, const void *data, size_t n)
{
    const uint8_t *at = data;
    size_t step = w->p[i].slow ? 1 : n;
    while (n) {
        ssize_t put = send(w->p[i].fd, at, step < n ? step : n, MSG_NOSIGNAL);
        if (put < 0) {
            assert_int_equal(errno, EAGAIN);
            assert_true(rt_pull(&w->p[i]));
        } else {
            at += put;
            n -= (size_t)put;
        }
        if (n) {
            nk_app_turn(w->k.app, 0);
        }
    }
}

static struct relay_wire_format format_of(const struct rt_world *w)
{
    return (struct relay_wire_format){.header_size = RT_HEADER, .password = &w->pw};
}

static void flush(struct rt_world *w, int i, struct nk_buf *b)
{
    rt_raw_send(w, i, nk_buf_ptr(b), nk_buf_len(b));
    nk_buf_clear(b);
}

void rt_ack(struct rt_world *w, int i)
{
    struct relay_wire_format f = format_of(w);
    struct nk_buf b;
    nk_buf_init(&b, 1000);
    assert_int_equal(relay_wire_put_ack(&b, &f, w->p[i].msg.stamp), 0);
    flush(w, i, &b);
}

void rt_hello(struct rt_world *w, int i, const char *const *groups, size_t n)
{
    struct relay_wire_format f = format_of(w);
    struct nk_buf b;
    nk_buf_init(&b, 10000);
    assert_int_equal(relay_wire_put_hello(&b, &f, ++w->p[i].stamp, groups, n), 0);
    flush(w, i, &b);
}

/* Connect and join: the relay's HELLO comes first, then its ACK of ours. */
void rt_join(struct rt_world *w, int i, const char *group)
{
    rt_connect_peer(w, i);
    rt_expect(w, i, RELAY_WIRE_HELLO);
    assert_int_equal(w->p[i].msg.stamp, RELAY_NATIVE_STAMP); /* both wires are spoken */
    rt_ack(w, i);
    rt_hello(w, i, &group, group ? 1 : 0);
    rt_expect(w, i, RELAY_WIRE_ACK);
    assert_int_equal(w->p[i].msg.stamp, 1);
}

void rt_send_bytes(struct rt_world *w, int i, const char *group, int64_t n, const void *obj,
                   size_t len)
{
    struct relay_wire_format f = format_of(w);
    struct relay_wire_dest d = {.group = group, .n = n};
    struct nk_buf b;
    nk_buf_init(&b, 32 * RT_MIB);
    assert_int_equal(relay_wire_put_object(&b, &f, ++w->p[i].stamp, &d, 1, len), 0);
    assert_int_equal(nk_buf_put(&b, obj, len), 0);
    assert_int_equal(nk_buf_puts(&b, RELAY_WIRE_OBJECT_TAIL), 0);
    flush(w, i, &b);
}

void rt_send_text(struct rt_world *w, int i, const char *group, int64_t n, const char *text)
{
    rt_send_bytes(w, i, group, n, text, strlen(text));
}

/* The ACK of what was sent last. What comes before it (over the log a broadcast is acknowledged
 * only when it is stored) is read afterwards. */
void rt_expect_ack(struct rt_world *w, int i)
{
    struct rt_peer *p = &w->p[i];
    struct nk_buf early;
    nk_buf_init(&early, 32 * RT_MIB);
    size_t before = 0;
    for (rt_next_frame(w, i); p->msg.cmd != RELAY_WIRE_ACK; rt_next_frame(w, i)) {
        assert_int_equal(w->k.over, RELAY_OVER_LOG);
        assert_int_equal(p->msg.cmd, RELAY_WIRE_OBJ);
        assert_int_equal(nk_buf_put(&early, p->frame, p->frame_len), 0);
        before++;
    }
    assert_int_equal(p->msg.stamp, p->stamp);
    if (before) {
        assert_int_equal(nk_buf_put(&early, nk_buf_ptr(&p->in), nk_buf_len(&p->in)), 0);
        nk_buf_clear(&p->in);
        p->in = early;
    }
}

void rt_put(struct rt_world *w, int i, const char *group, int64_t n, const char *text)
{
    rt_send_text(w, i, group, n, text);
    rt_expect_ack(w, i);
}

void rt_notify(struct rt_world *w, int i, const char *group, int64_t n)
{
    struct relay_wire_format f = format_of(w);
    struct relay_wire_dest d = {.group = group, .n = n};
    struct nk_buf b;
    nk_buf_init(&b, 1000);
    assert_int_equal(relay_wire_put_notify(&b, &f, ++w->p[i].stamp, &d, 1), 0);
    flush(w, i, &b);
    rt_expect(w, i, RELAY_WIRE_ACK);
    assert_int_equal(w->p[i].msg.stamp, w->p[i].stamp);
}

/* Receive this object; acknowledge it or not. */
void rt_get(struct rt_world *w, int i, const char *text, bool acknowledge)
{
    rt_expect(w, i, RELAY_WIRE_OBJ);
    assert_int_equal(w->p[i].msg.obj_len, strlen(text));
    assert_memory_equal(w->p[i].msg.obj, text, strlen(text));
    if (acknowledge) {
        rt_ack(w, i);
    }
}

void rt_get_nothing(struct rt_world *w, int i)
{
    for (int turn = 0; turn < 20; turn++) {
        nk_app_turn(w->k.app, 1);
    }
    assert_true(rt_pull(&w->p[i]));
    assert_false(rt_take_frame(&w->p[i]));
}

/* The relay closes; what it sent before is kept for take_frame. */
void rt_expect_close(struct rt_world *w, int i)
{
    for (int turn = 0; rt_pull(&w->p[i]); turn++) {
        assert_true(turn < RT_PATIENCE);
        nk_app_turn(w->k.app, 2);
    }
}

void rt_settle(struct rt_world *w)
{
    for (int turn = 0; turn < 30; turn++) {
        nk_app_turn(w->k.app, 1);
    }
}
