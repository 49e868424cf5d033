/* SPDX-License-Identifier: MIT */
#include "relay/wire_native.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define BODY(frame) ((frame) + RELAY_NATIVE_HEAD)

/* A head from memory of exactly n bytes, so that the sanitizer sees each look beyond them. */
static int head(const uint8_t *p, size_t n, enum relay_native_from from, uint32_t max,
                struct relay_native_head *h)
{
    uint8_t *exact = malloc(n ? n : 1);
    const char *why = NULL;
    memcpy(exact, p, n);
    int rc = relay_native_head(exact, n, from, max, h, &why);
    assert_int_equal(rc < 0, why != NULL);
    free(exact);
    return rc;
}

/* A frame that is legal from `from`: whole, it is read; every proper prefix of its head asks for
 * more; from the other side it is refused unless `both`. */
static struct relay_native_head take(const uint8_t *frame, size_t n, enum relay_native_from from,
                                     bool both)
{
    struct relay_native_head h = {0}, other;
    for (size_t cut = 0; cut < RELAY_NATIVE_HEAD; cut++) {
        assert_int_equal(head(frame, cut, from, RELAY_NATIVE_FRAGMENT, &h), 0);
    }
    assert_int_equal(head(frame, n, from, RELAY_NATIVE_FRAGMENT, &h), 1);
    assert_int_equal(h.len, n - RELAY_NATIVE_HEAD);
    int rc = head(frame, n, from == RELAY_FROM_CLIENT ? RELAY_FROM_RELAY : RELAY_FROM_CLIENT,
                  RELAY_NATIVE_FRAGMENT, &other);
    assert_int_equal(rc, both ? 1 : NK_EPROTO);
    return h;
}

static struct relay_text text(const char *s)
{
    return (struct relay_text){.p = s, .len = strlen(s)};
}

static void same_text(struct relay_text t, const char *s)
{
    assert_int_equal(t.len, strlen(s));
    assert_memory_equal(t.p, s, t.len);
}

static void test_head_bytes(void **state)
{
    (void)state;
    static const uint8_t want[16] = {0x11, 0x03, 0x02, 0x01, 4,  3,  2,  1,
                                     17,   16,   15,   14,   13, 12, 11, 0x29};
    uint8_t out[16];
    struct relay_native_head h = {.type = RELAY_N_ITEM,
                                  .flags = 0x29,
                                  .len = 0x010203,
                                  .group = 0x01020304,
                                  .seq = UINT64_C(0x0b0c0d0e0f1011)},
                             v;
    relay_native_put_head(out, &h);
    assert_memory_equal(out, want, 16);
    assert_int_equal(head(out, 16, RELAY_FROM_RELAY, RELAY_NATIVE_FRAGMENT, &v), 1);
    assert_int_equal(v.type, h.type);
    assert_int_equal(v.flags, h.flags);
    assert_int_equal(v.len, h.len);
    assert_int_equal(v.group, h.group);
    assert_true(v.seq == h.seq);
    assert_string_equal(relay_native_type_name(RELAY_N_ITEM), "ITEM");
    assert_string_equal(relay_native_type_name(0), "?");
    assert_string_equal(relay_native_type_name(0xff), "?");
}

static void test_hello(void **state)
{
    (void)state;
    uint8_t f[RELAY_NATIVE_HELLO_MAX];
    struct relay_native_hello v = {.version_min = 1,
                                   .version_max = 3,
                                   .features = 0x80000001,
                                   .session = {1, 2, 3},
                                   .producer = UINT64_MAX,
                                   .name = text("worker 7")},
                              r;
    size_t n = relay_native_put_hello(f, &v);
    assert_int_equal(n, 16 + 45 + 8);
    take(f, n, RELAY_FROM_CLIENT, false);
    assert_int_equal(relay_native_get_hello(BODY(f), n - 16, &r), 0);
    assert_int_equal(r.version_max, 3);
    assert_int_equal(r.features, 0x80000001);
    assert_memory_equal(r.session, v.session, 16);
    assert_true(r.producer == UINT64_MAX);
    same_text(r.name, "worker 7");
    assert_int_equal(relay_native_get_hello(BODY(f), n - 17, &r), NK_EPROTO);
    f[16 + 14] = 1; /* reserved */
    assert_int_equal(relay_native_get_hello(BODY(f), n - 16, &r), NK_EPROTO);
    f[16 + 14] = 0;
    f[16 + 12] = 0; /* version 0 */
    assert_int_equal(relay_native_get_hello(BODY(f), n - 16, &r), NK_EPROTO);
    f[16 + 12] = 4; /* min > max */
    assert_int_equal(relay_native_get_hello(BODY(f), n - 16, &r), NK_EPROTO);
    f[16 + 12] = 1;
    f[16] = 'N'; /* magic */
    assert_int_equal(relay_native_get_hello(BODY(f), n - 16, &r), NK_EPROTO);
}

static void test_challenge(void **state)
{
    (void)state;
    uint8_t f[RELAY_NATIVE_CHALLENGE_MAX];
    struct relay_native_challenge v = {.version = 1,
                                       .methods = 9,
                                       .features = 5,
                                       .nonce = {9},
                                       .salt = {8},
                                       .argon2_kib = 65536,
                                       .argon2_passes = 2,
                                       .candidates = 2,
                                       .logged_in = true,
                                       .name = text("r")},
                                  r;
    size_t n = relay_native_put_challenge(f, &v);
    assert_int_equal(n, 16 + 66 + 1);
    struct relay_native_head h = take(f, n, RELAY_FROM_RELAY, false);
    assert_int_equal(relay_native_get_challenge(&h, BODY(f), &r), 0);
    assert_int_equal(r.methods, 9);
    assert_memory_equal(r.nonce, v.nonce, 32);
    assert_memory_equal(r.salt, v.salt, 16);
    assert_int_equal(r.argon2_kib, 65536);
    assert_int_equal(r.argon2_passes, 2);
    assert_int_equal(r.candidates, 2);
    assert_true(r.logged_in);
    same_text(r.name, "r");
    f[16 + 64] = RELAY_NATIVE_CANDIDATES + 1;
    assert_int_equal(relay_native_get_challenge(&h, BODY(f), &r), NK_EPROTO);
    f[16 + 64] = 1;
    f[16 + 65] = 2; /* the name is longer than the frame */
    assert_int_equal(relay_native_get_challenge(&h, BODY(f), &r), NK_EPROTO);
}

static void test_auth_welcome(void **state)
{
    (void)state;
    uint8_t f[RELAY_NATIVE_AUTH_MAX], key[RELAY_NATIVE_GUEST - 1] = {7};
    size_t n = relay_native_put_auth(f, 3, RELAY_METHOD_PASSWORD, key, sizeof(key));
    assert_int_equal(n, sizeof(f));
    struct relay_native_head h = take(f, n, RELAY_FROM_CLIENT, true);
    assert_int_equal(h.seq, 3);
    assert_int_equal(f[16], RELAY_METHOD_PASSWORD);
    assert_memory_equal(f + 17, key, sizeof(key));

    struct relay_native_welcome v = {.session = {4, 5},
                                     .resumed = true,
                                     .heartbeat_ms = 15000,
                                     .grace_ms = 5000,
                                     .max_object = UINT64_C(1) << 40,
                                     .max_open_groups = 4096,
                                     .identity = text("uid=0")},
                                r;
    n = relay_native_put_welcome(f, &v);
    take(f, n, RELAY_FROM_RELAY, false);
    assert_int_equal(relay_native_get_welcome(BODY(f), n - 16, &r), 0);
    assert_memory_equal(r.session, v.session, 16);
    assert_true(r.resumed);
    assert_int_equal(r.heartbeat_ms, 15000);
    assert_int_equal(r.grace_ms, 5000);
    assert_true(r.max_object == UINT64_C(1) << 40);
    assert_int_equal(r.max_open_groups, 4096);
    same_text(r.identity, "uid=0");
    f[16 + 17] = 1;
    assert_int_equal(relay_native_get_welcome(BODY(f), n - 16, &r), NK_EPROTO);
    assert_int_equal(relay_native_get_welcome(BODY(f), n - 17, &r), NK_EPROTO);
}

static void test_open(void **state)
{
    (void)state;
    uint8_t f[RELAY_NATIVE_OPEN_MAX];
    char name[RELAY_NATIVE_NAME];
    memset(name, 'g', sizeof(name));
    struct relay_native_open v = {.request = 77,
                                  .member = true,
                                  .known = true,
                                  .epoch = 5,
                                  .version = 6,
                                  .name = {name, sizeof(name)}},
                             r;
    size_t n = relay_native_put_open(f, &v);
    assert_int_equal(n, sizeof(f));
    struct relay_native_head h = take(f, n, RELAY_FROM_CLIENT, false);
    assert_int_equal(relay_native_get_open(&h, BODY(f), &r), 0);
    assert_int_equal(r.request, 77);
    assert_true(r.member && r.known && r.epoch == 5 && r.version == 6);
    assert_int_equal(r.name.len, sizeof(name));
    f[16] = 0; /* not known, and yet a version */
    assert_int_equal(relay_native_get_open(&h, BODY(f), &r), NK_EPROTO);
    f[16] = 2;
    assert_int_equal(relay_native_get_open(&h, BODY(f), &r), NK_EPROTO);
    h.len = 17; /* no name */
    f[16] = 1;
    assert_int_equal(relay_native_get_open(&h, BODY(f), &r), NK_EPROTO);
}

static void test_opened(void **state)
{
    (void)state;
    uint8_t f[RELAY_NATIVE_OPENED_MAX];
    struct relay_native_opened r;
    struct relay_native_opened v = {
        .request = 9, .group = 3, .window = 1 << 20, .epoch = 1, .version = 2};
    size_t n = relay_native_put_opened(f, &v);
    struct relay_native_head h = take(f, n, RELAY_FROM_RELAY, false);
    assert_int_equal(relay_native_get_opened(&h, BODY(f), &r), 0);
    assert_true(r.request == 9 && r.group == 3 && r.window == 1 << 20 && r.epoch == 1 &&
                r.version == 2 && r.status == 0 && r.text.len == 0);
    h.group = 0; /* success without a group */
    assert_int_equal(relay_native_get_opened(&h, BODY(f), &r), NK_EPROTO);
    v = (struct relay_native_opened){
        .request = 9, .status = RELAY_STATUS_DENIED, .text = text("no")};
    n = relay_native_put_opened(f, &v);
    h = take(f, n, RELAY_FROM_RELAY, false);
    assert_int_equal(relay_native_get_opened(&h, BODY(f), &r), 0);
    assert_int_equal(r.status, RELAY_STATUS_DENIED);
    same_text(r.text, "no");
}

static void test_small(void **state)
{
    (void)state;
    static const struct {
        enum relay_native_type type;
        enum relay_native_from from;
        uint64_t seq;
    } plain[] = {{RELAY_N_CLOSE, RELAY_FROM_CLIENT, 0},
                 {RELAY_N_DRAIN, RELAY_FROM_CLIENT, 0},
                 {RELAY_N_DRAINED, RELAY_FROM_RELAY, 5}};
    uint8_t f[RELAY_NATIVE_GOAWAY_MAX];
    for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++) {
        size_t n = relay_native_put_plain(f, plain[i].type, 4, plain[i].seq);
        assert_int_equal(n, 16);
        assert_true(take(f, n, plain[i].from, false).seq == plain[i].seq);
    }
    size_t n = relay_native_put_u64(f, RELAY_N_CREDIT, 4, RELAY_NATIVE_SEQ_MAX, UINT64_MAX);
    assert_true(take(f, n, RELAY_FROM_CLIENT, false).seq == RELAY_NATIVE_SEQ_MAX);
    assert_true(relay_native_get_u64(BODY(f)) == UINT64_MAX);
    n = relay_native_put_u64(f, RELAY_N_WINDOW, 4, 0, 99);
    take(f, n, RELAY_FROM_RELAY, false);
    n = relay_native_put_u32(f, RELAY_N_DELIVERIES, 4, 7, 3);
    take(f, n, RELAY_FROM_RELAY, false);
    assert_int_equal(relay_native_get_u32(BODY(f)), 3);
    n = relay_native_put_u32(f, RELAY_N_SETTLED, 4, 0, (uint32_t)RELAY_STATUS_UNKNOWN);
    take(f, n, RELAY_FROM_RELAY, false);
    assert_int_equal((int32_t)relay_native_get_u32(BODY(f)), RELAY_STATUS_UNKNOWN);
    n = relay_native_put_echo(f, RELAY_N_PING, "abc", 3);
    take(f, n, RELAY_FROM_CLIENT, true);
    n = relay_native_put_goaway(f, RELAY_GOAWAY_DRAIN, "later");
    take(f, n, RELAY_FROM_CLIENT, true);
    uint32_t code;
    struct relay_text t;
    relay_native_get_goaway(BODY(f), n - 16, &code, &t);
    assert_int_equal(code, RELAY_GOAWAY_DRAIN);
    same_text(t, "later");
    char longer[RELAY_NATIVE_REASON + 100];
    memset(longer, 'x', sizeof(longer) - 1);
    longer[sizeof(longer) - 1] = 0;
    assert_int_equal(relay_native_put_goaway(f, 1, longer), RELAY_NATIVE_GOAWAY_MAX);
}

static void test_ranges(void **state)
{
    (void)state;
    static const struct relay_native_range some[] = {{1, 5}, {100, 1}, {RELAY_NATIVE_SEQ_MAX, 1}};
    uint8_t f[RELAY_NATIVE_RANGES_MAX(3)];
    struct relay_native_ranges r;
    for (int type = RELAY_N_ACK; type <= RELAY_N_EXTEND; type++) {
        size_t n =
            relay_native_put_ranges(f, (enum relay_native_type)type, true, 2, 0, 1500, some, 3);
        struct relay_native_head h = take(f, n, RELAY_FROM_CLIENT, false);
        assert_int_equal(h.flags, RELAY_N_WANT);
        assert_int_equal(relay_native_get_ranges(&h, BODY(f), &r), 0);
        assert_int_equal(r.n, 3);
        assert_int_equal(r.ms, type == RELAY_N_ACK ? 0 : 1500);
        for (uint32_t i = 0; i < 3; i++) {
            assert_true(relay_native_range(&r, i).first == some[i].first);
            assert_int_equal(relay_native_range(&r, i).count, some[i].count);
        }
        h.len--;
        assert_int_equal(relay_native_get_ranges(&h, BODY(f), &r), NK_EPROTO);
        n = relay_native_put_ranges(f, (enum relay_native_type)type, false, 2, 42, 7, NULL, 0);
        h = take(f, n, RELAY_FROM_CLIENT, false);
        assert_int_equal(relay_native_get_ranges(&h, BODY(f), &r), 0);
        assert_int_equal(r.n, 1);
        assert_true(relay_native_range(&r, 0).first == 42);
        h.seq = 0; /* neither a list nor a lease */
        assert_int_equal(relay_native_get_ranges(&h, BODY(f), &r), NK_EPROTO);
    }
    static const struct relay_native_range bad[] = {
        {0, 1}, {1, 0}, {RELAY_NATIVE_SEQ_MAX, 2}, {RELAY_NATIVE_SEQ_MAX + 1, 1}, {UINT64_MAX, 9}};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        size_t n = relay_native_put_ranges(f, RELAY_N_ACK, false, 2, 0, 0, &bad[i], 1);
        struct relay_native_head h = take(f, n, RELAY_FROM_CLIENT, false);
        assert_int_equal(relay_native_get_ranges(&h, BODY(f), &r), NK_EPROTO);
    }
}

static void test_receipt(void **state)
{
    (void)state;
    static const struct relay_native_failure some[] = {{3, RELAY_STATUS_FULL},
                                                       {9, RELAY_STATUS_DUPLICATE}};
    uint8_t f[RELAY_NATIVE_RECEIPT_MAX(2)];
    size_t n = relay_native_put_receipt(f, 2, 9, some, 2);
    struct relay_native_head h = take(f, n, RELAY_FROM_RELAY, false);
    assert_int_equal(relay_native_get_receipt(&h, BODY(f)), 2);
    assert_int_equal(relay_native_failure(BODY(f), 1).seq, 9);
    assert_int_equal(relay_native_failure(BODY(f), 0).status, RELAY_STATUS_FULL);
    h.seq = 8; /* a failure beyond what is settled */
    assert_int_equal(relay_native_get_receipt(&h, BODY(f)), NK_EPROTO);
    n = relay_native_put_receipt(f, 2, 9, NULL, 0);
    h = take(f, n, RELAY_FROM_RELAY, false);
    assert_int_equal(relay_native_get_receipt(&h, BODY(f)), 0);
    for (int32_t s = -20; s <= 2; s++) {
        int error = relay_native_error(s);
        assert_int_equal(relay_native_status(error), error == NK_EPROTO ? RELAY_STATUS_STORE : s);
    }
    assert_int_equal(relay_native_status(-EXDEV), RELAY_STATUS_STORE);
}

/* Each type with each extreme of its length, and each wrong group, seq, flag and direction. */
static const struct limits {
    uint8_t type, flags[2], rules;
    uint32_t min, max;
} limits[] = {
#define NO 0xff
#define GROUP 1
#define ANYGROUP 2
#define SEQ 4
#define NOTZERO 8
#define ROW(name, code, c, r, min, max, rules) {(code), {(c), (r)}, (rules), (min), (max)},
    RELAY_NATIVE_TYPES(ROW)
#undef ROW
};

static int try_head(const struct limits *l, uint32_t len, uint32_t group, uint64_t seq,
                    uint8_t flags, int from)
{
    uint8_t b[16];
    struct relay_native_head h = {.type = l->type,
                                  .flags = flags,
                                  .len = len,
                                  .group = group,
                                  .seq = seq},
                             v;
    relay_native_put_head(b, &h);
    return head(b, 16, (enum relay_native_from)from, RELAY_NATIVE_FRAGMENT, &v);
}

static void test_extremes(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
        const struct limits *l = &limits[i];
        uint32_t g = l->rules & GROUP;
        uint64_t s = l->rules & NOTZERO ? 1 : 0;
        for (int from = 0; from < 2; from++) {
            uint8_t allowed = l->flags[from];
            if (allowed == NO) {
                assert_int_equal(try_head(l, l->min, g, s, 0, from), NK_EPROTO);
                continue;
            }
            assert_int_equal(try_head(l, l->min, g, s, 0, from), 1);
            assert_int_equal(try_head(l, l->max, g, s, 0, from), 1);
            assert_int_equal(try_head(l, l->max + 1, g, s, 0, from), NK_ETOOBIG);
            assert_int_equal(try_head(l, 0xffffff, g, s, 0, from), NK_ETOOBIG);
            if (l->min) {
                assert_int_equal(try_head(l, l->min - 1, g, s, 0, from), NK_ETOOBIG);
            }
            assert_int_equal(try_head(l, l->min, !g, s, 0, from),
                             l->rules & ANYGROUP ? 1 : NK_EPROTO);
            assert_int_equal(try_head(l, l->min, g, RELAY_NATIVE_SEQ_MAX, 0, from),
                             l->rules & SEQ ? 1 : NK_EPROTO);
            assert_int_equal(try_head(l, l->min, g, 0, 0, from),
                             l->rules & NOTZERO ? NK_EPROTO : 1);
            for (unsigned bit = 1; bit < 256; bit <<= 1) {
                assert_int_equal(try_head(l, l->max, g, s, (uint8_t)bit, from),
                                 allowed & bit ? 1 : NK_EPROTO);
            }
        }
    }
}

static void test_types(void **state)
{
    (void)state;
    for (unsigned type = 0; type < 256; type++) {
        uint8_t b = (uint8_t)type;
        struct relay_native_head h;
        bool known = false, client = false;
        for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
            known = known || limits[i].type == type;
            client = client || (limits[i].type == type && limits[i].flags[0] != NO);
        }
        assert_int_equal(head(&b, 1, RELAY_FROM_CLIENT, 0, &h), client ? 0 : NK_EPROTO);
        assert_int_equal(strcmp(relay_native_type_name(b), "?") != 0, known);
    }
}

static void test_limits(void **state)
{
    (void)state;
    uint8_t f[RELAY_NATIVE_AUTH_MAX] = {0};
    struct relay_native_head h;
    static const uint8_t zero[100];
    size_t n = relay_native_put_auth(f, 1, 8, zero, sizeof(zero));
    assert_int_equal(head(f, n, RELAY_FROM_CLIENT, 101, &h), 1);
    assert_int_equal(head(f, 4, RELAY_FROM_CLIENT, 100, &h), NK_ETOOBIG); /* before the rest came */
    struct relay_native_head v = {.type = RELAY_N_ITEM,
                                  .flags = RELAY_N_MORE,
                                  .group = 1,
                                  .seq = 1,
                                  .len = RELAY_NATIVE_MORE_MIN - 1};
    relay_native_put_head(f, &v);
    assert_int_equal(head(f, 16, RELAY_FROM_CLIENT, RELAY_NATIVE_FRAGMENT, &h), NK_EPROTO);
    v.len++;
    relay_native_put_head(f, &v);
    assert_int_equal(head(f, 16, RELAY_FROM_CLIENT, RELAY_NATIVE_FRAGMENT, &h), 1);
}

/* --- runs ------------------------------------------------------------------------------------- */

static size_t put(uint8_t *p, uint8_t type, uint8_t flags, uint32_t group, uint64_t seq, uint32_t n)
{
    struct relay_native_head h = {
        .type = type, .flags = flags, .group = group, .seq = seq, .len = n};
    relay_native_put_head(p, &h);
    memset(p + 16, (int)seq, n);
    return 16 + n;
}

static void test_run(void **state)
{
    (void)state;
    uint8_t b[2048];
    size_t n = 0, len, third = 0;
    uint64_t last;
    n += put(b, RELAY_N_BROADCAST, 4, 7, 10, 64);
    n += put(b + n, RELAY_N_BROADCAST, 0, 7, 11, 0);
    third = n;
    n += put(b + n, RELAY_N_BROADCAST, 12, 7, 12, 100);
    for (size_t cut = 0; cut <= n; cut++) { /* only whole frames count */
        uint8_t *exact = malloc(cut ? cut : 1);
        memcpy(exact, b, cut);
        uint32_t frames = relay_run_scan(exact, cut, 100, &len, &last);
        assert_int_equal(frames, cut == n ? 3 : cut >= 96 ? 2 : 0);
        if (frames) {
            assert_true(last == (frames == 3 ? 12 : 11));
            assert_int_equal(len, frames == 3 ? n : third);
        }
        free(exact);
    }
    assert_int_equal(relay_run_stamp(b, n, 1000), third);
    for (size_t off = 0, i = 0; off < n; i++) {
        struct relay_native_head h;
        assert_int_equal(relay_native_head(b + off, n - off, RELAY_FROM_RELAY, 100, &h, NULL), 1);
        assert_true(h.seq == 1000 + i);
        assert_int_equal(h.flags, i == 0 ? 4 : i == 1 ? 0 : 12);
        off += 16 + h.len;
    }
}

/* What ends a run: each is put behind two good frames. */
static void test_run_ends(void **state)
{
    (void)state;
    static const struct {
        uint8_t type, flags;
        uint32_t group;
        uint64_t seq;
        uint32_t len;
    } bad[] = {{RELAY_N_ITEM, 0, 7, 12, 64},       {RELAY_N_BROADCAST, 0, 8, 12, 64},
               {RELAY_N_BROADCAST, 1, 7, 12, 64},  {RELAY_N_BROADCAST, 2, 7, 12, 64},
               {RELAY_N_BROADCAST, 16, 7, 12, 64}, {RELAY_N_BROADCAST, 0, 7, 11, 64},
               {RELAY_N_BROADCAST, 0, 7, 13, 64},  {RELAY_N_BROADCAST, 0, 7, 12, 65},
               {RELAY_N_PING, 0, 0, 0, 0}};
    uint8_t b[1024];
    size_t len;
    uint64_t last;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        size_t n = put(b, RELAY_N_BROADCAST, 0, 7, 10, 64);
        n += put(b + n, RELAY_N_BROADCAST, 0, 7, 11, 64);
        size_t more = put(b + n, bad[i].type, bad[i].flags, bad[i].group, bad[i].seq, bad[i].len);
        assert_int_equal(relay_run_scan(b, n + more, 64, &len, &last), 2);
        assert_int_equal(len, n);
        assert_int_equal(relay_run_scan(b + n, more, 64, &len, &last), 0);
    }
}

int nk_test_relay_wire_native(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_head_bytes), cmocka_unit_test(test_hello),
        cmocka_unit_test(test_challenge),  cmocka_unit_test(test_auth_welcome),
        cmocka_unit_test(test_open),       cmocka_unit_test(test_opened),
        cmocka_unit_test(test_small),      cmocka_unit_test(test_ranges),
        cmocka_unit_test(test_receipt),    cmocka_unit_test(test_extremes),
        cmocka_unit_test(test_types),      cmocka_unit_test(test_limits),
        cmocka_unit_test(test_run),        cmocka_unit_test(test_run_ends),
    };
    return cmocka_run_group_tests_name("relay/wire_native", tests, NULL, NULL);
}
