/* SPDX-License-Identifier: MIT */
#include "relay/native_testkit.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

struct relay_limits nt_default_limits(void)
{
    return relay_hub_testkit_limits();
}

struct nt_world *nt_world_with(struct relay_limits limits, enum relay_wires wires,
                               enum relay_engine_kind over)
{
    const struct relay_hub_testkit_conf conf = {.over = over,
                                                .wires = wires,
                                                .limits = limits,
                                                .clock_scale = CLOCK_SCALE,
                                                .max_groups = 100};
    struct nt_world *w = calloc(1, sizeof(*w));
    assert_int_equal(relay_hub_testkit_open(&w->k, &conf), 0);
    for (size_t i = 0; i < PEERS; i++) {
        w->p[i].fd = -1;
    }
    return w;
}

void nt_peer_close(struct nt_peer *p)
{
    if (p->fd >= 0) {
        close(p->fd);
    }
    p->fd = -1;
    nk_buf_clear(&p->in);
    free(p->p);
    p->p = NULL;
}

void nt_world_free(struct nt_world *w)
{
    assert_true(relay_hub_testkit_close(&w->k));
    for (size_t i = 0; i < PEERS; i++) {
        nt_peer_close(&w->p[i]);
    }
    free(w);
}

void nt_connect_peer(struct nt_world *w, int i)
{
    struct nt_peer *p = &w->p[i];
    assert_int_equal(relay_hub_testkit_connect(&w->k, "unix", &p->fd), 0);
    nk_buf_init(&p->in, 64 * MIB);
}

/* Read what is there. Returns false at the end of the stream. */
bool nt_pull(struct nt_peer *p)
{
    int rc = relay_hub_testkit_pull(p->fd, &p->in);
    assert_true(rc >= 0);
    return rc > 0;
}

bool nt_take_frame(struct nt_peer *p)
{
    struct relay_native_head h;
    size_t n = nk_buf_len(&p->in);
    const char *why = "";
    int rc = n ? relay_native_head(nk_buf_ptr(&p->in), n, RELAY_FROM_RELAY, RELAY_NATIVE_FRAGMENT,
                                   &h, &why)
               : 0;
    if (rc < 0) {
        fail_msg("%s (%u)", why, nk_buf_ptr(&p->in)[0]);
    }
    if (rc == 0 || h.len > n - RELAY_NATIVE_HEAD) {
        return false;
    }
    free(p->p);
    p->p = malloc(h.len ? h.len : 1);
    memcpy(p->p, nk_buf_ptr(&p->in) + RELAY_NATIVE_HEAD, h.len);
    p->h = h;
    nk_buf_consume(&p->in, RELAY_NATIVE_HEAD + h.len);
    return true;
}

void nt_next_frame(struct nt_world *w, int i)
{
    struct nt_peer *p = &w->p[i];
    for (int turn = 0; !nt_take_frame(p); turn++) {
        bool open = nt_pull(p);
        if (nt_take_frame(p)) {
            return;
        }
        assert_true(open);
        assert_true(turn < PATIENCE);
        nk_app_turn(w->k.app, w->k.over == RELAY_OVER_LOG ? 100 : 2); /* a disk takes its time */
    }
}

/* The next frame but receipts and windows must be of this type. */
void nt_expect(struct nt_world *w, int i, enum relay_native_type type)
{
    do {
        nt_next_frame(w, i);
    } while (w->p[i].h.type != type &&
             (w->p[i].h.type == RELAY_N_RECEIPT || w->p[i].h.type == RELAY_N_WINDOW));
    if (w->p[i].h.type != type) {
        fail_msg("%s instead of %s", relay_native_type_name(w->p[i].h.type),
                 relay_native_type_name((uint8_t)type));
    }
}

void nt_raw_send(struct nt_world *w, int i, const void *data, size_t n)
{
    const uint8_t *at = data;
    size_t step = w->p[i].slow ? 1 : n;
    for (int turn = 0; n; turn++) {
        ssize_t put = send(w->p[i].fd, at, step < n ? step : n, MSG_NOSIGNAL);
        if (put < 0) {
            assert_int_equal(errno, EAGAIN);
            assert_true(nt_pull(&w->p[i]));
            assert_true(turn < 1000000);
        } else {
            at += put;
            n -= (size_t)put;
        }
        if (n) {
            nk_app_turn(w->k.app, 0);
        }
    }
}

void nt_frame(struct nt_world *w, int i, uint8_t type, uint8_t flags, uint32_t group, uint64_t seq,
              const void *p, size_t n)
{
    uint8_t *b = malloc(RELAY_NATIVE_HEAD + n);
    struct relay_native_head h = {
        .type = type, .flags = flags, .len = (uint32_t)n, .group = group, .seq = seq};
    relay_native_put_head(b, &h);
    if (n) {
        memcpy(b + RELAY_NATIVE_HEAD, p, n);
    }
    nt_raw_send(w, i, b, RELAY_NATIVE_HEAD + n);
    free(b);
}

void nt_say_hello(struct nt_world *w, int i)
{
    uint8_t b[RELAY_NATIVE_HELLO_MAX];
    struct relay_native_hello v = {
        .version_min = 1, .version_max = 1, .producer = (uint64_t)i + 1, .name = {"test", 4}};
    memcpy(v.session, w->p[i].session, sizeof(v.session));
    nt_raw_send(w, i, b, relay_native_put_hello(b, &v));
}

void nt_log_in(struct nt_world *w, int i)
{
    nt_connect_peer(w, i);
    nt_say_hello(w, i);
    nt_expect(w, i, RELAY_N_CHALLENGE);
    assert_int_equal(w->p[i].h.flags, RELAY_N_LOGGED_IN);
    nt_expect(w, i, RELAY_N_WELCOME);
    struct relay_native_welcome v;
    assert_int_equal(relay_native_get_welcome(w->p[i].p, w->p[i].h.len, &v), 0);
    memcpy(w->p[i].session, v.session, sizeof(v.session));
    w->p[i].resumed = v.resumed;
}

struct relay_native_opened nt_open_known(struct nt_world *w, int i, const char *name, bool member,
                                         uint64_t epoch, uint64_t version)
{
    uint8_t b[RELAY_NATIVE_OPEN_MAX];
    struct relay_native_opened o;
    struct relay_native_open v = {.request = ++w->p[i].request,
                                  .member = member,
                                  .known = epoch != 0,
                                  .epoch = epoch,
                                  .version = version,
                                  .name = {name, strlen(name)}};
    nt_raw_send(w, i, b, relay_native_put_open(b, &v));
    nt_expect(w, i, RELAY_N_OPENED);
    assert_int_equal(relay_native_get_opened(&w->p[i].h, w->p[i].p, &o), 0);
    assert_int_equal(o.request, v.request);
    return o;
}

uint32_t nt_open_group(struct nt_world *w, int i, const char *name, bool member)
{
    struct relay_native_opened o = nt_open_known(w, i, name, member, 0, 0);
    assert_int_equal(o.status, 0);
    return o.group;
}

uint32_t nt_join(struct nt_world *w, int i, const char *name)
{
    nt_log_in(w, i);
    return nt_open_group(w, i, name, true);
}

void nt_broadcast(struct nt_world *w, int i, uint32_t g, uint64_t seq, const char *text)
{
    nt_frame(w, i, RELAY_N_BROADCAST, RELAY_CONTENT_TEXT << RELAY_N_CONTENT_SHIFT, g, seq, text,
             strlen(text));
}

void nt_produce(struct nt_world *w, int i, uint32_t g, uint64_t seq, const char *text)
{
    nt_frame(w, i, RELAY_N_ITEM, 0, g, seq, text, strlen(text));
}

void nt_receipt(struct nt_world *w, int i, uint64_t seq)
{
    do {
        nt_next_frame(w, i);
    } while (w->p[i].h.type != RELAY_N_RECEIPT || w->p[i].h.seq < seq);
    assert_int_equal(w->p[i].h.seq, seq);
}

void nt_get(struct nt_world *w, int i, enum relay_native_type type, const char *text)
{
    nt_expect(w, i, type);
    assert_int_equal(w->p[i].h.len, strlen(text));
    assert_memory_equal(w->p[i].p, text, strlen(text));
}

void nt_get_nothing(struct nt_world *w, int i)
{
    for (int turn = 0; turn < 20; turn++) {
        nk_app_turn(w->k.app, 1);
    }
    assert_true(nt_pull(&w->p[i]));
    while (nt_take_frame(&w->p[i])) {
        assert_true(w->p[i].h.type == RELAY_N_RECEIPT || w->p[i].h.type == RELAY_N_WINDOW);
    }
}

void nt_credit(struct nt_world *w, int i, uint32_t g, uint64_t items, uint64_t bytes)
{
    uint8_t b[RELAY_NATIVE_U64_MAX];
    nt_raw_send(w, i, b, relay_native_put_u64(b, RELAY_N_CREDIT, g, items, bytes));
}

void nt_settle(struct nt_world *w, int i, enum relay_native_type type, uint32_t g, uint64_t first,
               uint32_t count, int32_t status)
{
    uint8_t b[RELAY_NATIVE_RANGES_MAX(1)];
    struct relay_native_range r = {first, count};
    nt_raw_send(w, i, b, relay_native_put_ranges(b, type, true, g, 7, 0, &r, 1));
    nt_expect(w, i, RELAY_N_SETTLED);
    assert_int_equal(w->p[i].h.seq, 7);
    assert_int_equal((int32_t)relay_native_get_u32(w->p[i].p), status);
}

/* The relay says why it hangs up, and does. */
void nt_refused(struct nt_world *w, int i, enum relay_goaway code)
{
    uint32_t got;
    struct relay_text t;
    do {
        nt_next_frame(w, i);
    } while (w->p[i].h.type != RELAY_N_GOAWAY);
    relay_native_get_goaway(w->p[i].p, w->p[i].h.len, &got, &t);
    if ((int)got != (int)code) {
        fail_msg("GOAWAY %u: %.*s", got, (int)t.len, t.p);
    }
    for (int turn = 0; nt_pull(&w->p[i]); turn++) {
        assert_true(turn < PATIENCE);
        nk_app_turn(w->k.app, 2);
    }
    nt_peer_close(&w->p[i]);
}

void nt_after_grace(struct nt_world *w)
{
    uint64_t end = nk_now_ms(w->k.app) + 32000;
    for (int turn = 0; nk_now_ms(w->k.app) < end; turn++) {
        assert_true(turn < PATIENCE);
        nk_app_turn(w->k.app, 5);
    }
}

size_t nt_make_run(uint8_t *b, uint32_t g, uint64_t first)
{
    size_t n = 0;
    for (uint64_t i = 0; i < NT_RUN; i++) {
        struct relay_native_head h = {
            .type = RELAY_N_BROADCAST, .len = 64, .group = g, .seq = first + i};
        relay_native_put_head(b + n, &h);
        memset(b + n + RELAY_NATIVE_HEAD, (int)i, 64);
        n += RELAY_NATIVE_HEAD + 64;
    }
    return n;
}
