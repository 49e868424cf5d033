/* SPDX-License-Identifier: MIT */
/* Channels against a scripted server: what is sent for what, and what a server may not do. */
#include "ssh/proto_channels.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "ssh/channels_testkit.h"
#include "torture.h"

int nk_test_ssh_proto_channels(void);

#define SENT(f, ...) assert_true(ssh_kit_next_is(&(f)->sink, &(f)->out, __VA_ARGS__))
#define NOTHING_SENT(f) assert_int_equal(nk_buf_len(&(f)->sink.out), 0)
#define GETS SSH_CKIT_GETS

static void life(void **state)
{
    (void)state;
    struct ssh_ckit f;
    ssh_ckit_open(&f);
    struct ssh_channel *ch = ssh_ckit_opened(&f, 0, 1000, 500);
    assert_int_equal(
        ssh_channel_request(ch, "exec", ssh_kit_str("\0\0\0\3cat"), ssh_ckit_reply, &f.seen[0]), 0);
    nk_buf_consume(&f.sink.out, nk_buf_len(&f.sink.out));
    assert_int_equal(GETS(&f, "bu", 99, 0u), 0);
    assert_int_equal(f.seen[0].last_reply, 1);
    assert_int_equal(ssh_ckit_write(ch, "hello"), 5);
    SENT(&f, "bus", 94, 100u, "hello");
    assert_int_equal(GETS(&f, "bus", 94, 0u, "hel"), 0);
    assert_int_equal(GETS(&f, "buus", 95, 0u, 1u, "err"), 0);
    assert_int_equal(ssh_channel_eof(ch), 0);
    assert_int_equal(ssh_channel_eof(ch), 0);
    SENT(&f, "bu", 96, 100u);
    assert_int_equal(ssh_ckit_write(ch, "late"), -EPIPE);
    assert_int_equal(GETS(&f, "bus", 94, 0u, "lo"), 0); /* half-closed */
    assert_int_equal(GETS(&f, "bustu", 98, 0u, "exit-status", 0, 7u), 0);
    assert_int_equal(GETS(&f, "bust", 98, 0u, "eow@openssh.com", 1), 0);
    SENT(&f, "bu", 100, 100u);
    assert_int_equal(GETS(&f, "bu", 96, 0u), 0);
    assert_int_equal(f.seen[0].eof, 1);
    assert_int_equal(GETS(&f, "bu", 97, 0u), 0);
    SENT(&f, "bu", 97, 100u);
    NOTHING_SENT(&f);
    assert_int_equal(f.seen[0].closed, 1);
    assert_string_equal(nk_buf_str(&f.seen[0].data), "hello");
    assert_string_equal(nk_buf_str(&f.seen[0].err), "err");
    assert_int_equal(ssh_channels_count(f.c), 0);
    assert_int_equal(GETS(&f, "bu", 97, 0u), NK_EPROTO); /* it is not there any more */
    ssh_ckit_close(&f);
}

static void refused(void **state)
{
    (void)state;
    static const struct {
        unsigned reason;
        int code;
    } rows[] = {
        {1, NK_EAUTH}, {2, -ECONNREFUSED}, {3, NK_EUNSUPPORTED}, {4, NK_ELIMIT}, {77, NK_ELIMIT}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct ssh_ckit f;
        ssh_ckit_open(&f);
        assert_int_equal(ssh_channel_open(f.c, "x", ssh_kit_str("data"), &ssh_ckit_ops, &f.seen[0],
                                          &f.seen[0].ch, &f.diag),
                         0);
        if (i % 2) {
            assert_int_equal(GETS(&f, "buuss", 92, 0u, rows[i].reason, "no\x1b", ""), 0);
        } else {
            assert_int_equal(GETS(&f, "buu", 92, 0u, rows[i].reason), 0);
        }
        assert_int_equal(f.seen[0].failed, 1);
        assert_int_equal(f.seen[0].reason, rows[i].reason);
        assert_int_equal(f.seen[0].code, rows[i].code);
        assert_int_equal(ssh_channels_count(f.c), 0);
        ssh_ckit_close(&f);
    }
}

static void closed_by_us(void **state)
{
    (void)state;
    struct ssh_ckit f;
    ssh_ckit_open(&f);
    struct ssh_channel *ch = ssh_ckit_opened(&f, 0, 1000, 500);
    assert_int_equal(ssh_channel_request(ch, "x", (struct ssh_str){0}, ssh_ckit_reply, &f.seen[0]),
                     0);
    nk_buf_consume(&f.sink.out, nk_buf_len(&f.sink.out));
    ssh_channel_close(ch);
    ssh_channel_close(ch);
    SENT(&f, "bu", 97, 100u);
    assert_int_equal(ssh_channels_count(f.c), 0);
    /* what was on its way */
    assert_int_equal(GETS(&f, "bus", 94, 0u, "abc"), 0);
    assert_int_equal(GETS(&f, "bu", 100, 0u), 0);
    assert_int_equal(GETS(&f, "bust", 98, 0u, "exit-status", 1), 0);
    assert_int_equal(GETS(&f, "buu", 93, 0u, 5u), 0);
    assert_int_equal(GETS(&f, "bu", 96, 0u), 0);
    NOTHING_SENT(&f);
    /* its number is not used before the server agrees */
    assert_int_equal(ssh_channel_open(f.c, "x", (struct ssh_str){0}, &ssh_ckit_ops, &f.seen[1],
                                      &f.seen[1].ch, &f.diag),
                     0);
    SENT(&f, "bsuuu", 90, "x", 1u, (unsigned)SSH_WINDOW_START, (unsigned)SSH_DATA_MAX);
    assert_int_equal(GETS(&f, "bu", 97, 0u), 0);
    NOTHING_SENT(&f);
    assert_int_equal(f.seen[0].closed + f.seen[0].replies + f.seen[0].eof, 0);
    /* closed before the server has said yes */
    ssh_channel_close(f.seen[1].ch);
    NOTHING_SENT(&f);
    assert_int_equal(GETS(&f, "buuuu", 91, 1u, 101u, 5u, 5u), 0);
    SENT(&f, "bu", 97, 101u);
    assert_int_equal(f.seen[1].opened, 0);
    assert_int_equal(GETS(&f, "bu", 97, 1u), 0);
    NOTHING_SENT(&f);
    ssh_channel_close(NULL);
    ssh_ckit_close(&f);
}

static void closed_in_callbacks(void **state)
{
    (void)state;
    struct ssh_ckit f;
    ssh_ckit_open(&f);
    (void)ssh_ckit_opened(&f, 0, 1000, 500);
    f.seen[0].close_on_data = true;
    assert_int_equal(GETS(&f, "bus", 94, 0u, "abc"), 0);
    SENT(&f, "bu", 97, 100u);
    assert_int_equal(GETS(&f, "bu", 97, 0u), 0);
    assert_int_equal(f.seen[0].closed, 0);
    f.seen[0] = (struct ssh_ckit_seen){.data = f.seen[0].data, .err = f.seen[0].err};
    (void)ssh_ckit_opened(&f, 0, 1000, 500);
    f.seen[0].close_on_closed = true;
    assert_int_equal(GETS(&f, "bu", 97, 0u), 0);
    assert_int_equal(f.seen[0].closed, 1);
    assert_int_equal(ssh_channels_count(f.c), 0);
    ssh_ckit_close(&f);
}

static void wrong(struct ssh_ckit *f, const uint8_t *p, size_t n)
{
    f->diag = (struct nk_diag){0};
    assert_int_equal(ssh_channels_receive(f->c, p, n, &f->diag), NK_EPROTO);
    assert_int_equal(f->diag.code, NK_EPROTO);
}

#define WRONG(...)                                                                                 \
    do {                                                                                           \
        struct ssh_ckit f_;                                                                        \
        ssh_ckit_open(&f_);                                                                        \
        (void)ssh_ckit_opened(&f_, 0, 10, 10);                                                     \
        nk_buf_reset(&f_.in);                                                                      \
        ssh_kit_put(&f_.in, __VA_ARGS__);                                                          \
        wrong(&f_, nk_buf_ptr(&f_.in), nk_buf_len(&f_.in));                                        \
        ssh_ckit_close(&f_);                                                                       \
    } while (0)

static void hostile(void **state)
{
    (void)state;
    static const uint8_t big[SSH_DATA_MAX + 1];
    WRONG("buuuu", 91, 0u, 0u, 1u, 1u);   /* open already */
    WRONG("buuss", 92, 0u, 1u, "", "");   /* open already */
    WRONG("buuuu", 91, 1u, 0u, 1u, 1u);   /* not there */
    WRONG("buu", 93, UINT32_MAX, 1u);     /* not there */
    WRONG("buu", 93, 0u, UINT32_MAX - 9); /* beyond 2^32 - 1 */
    WRONG("bu", 93, 0u);
    WRONG("bux", 94, 0u, (struct ssh_str){big, sizeof(big)});
    WRONG("buu", 94, 0u, 5u); /* not as long as it says */
    WRONG("bus", 94, 7u, "x");
    WRONG("busb", 94, 0u, "x", 0);
    WRONG("buus", 95, 0u, 0u, "x");
    WRONG("bus", 95, 0u, "x");
    WRONG("bub", 96, 0u, 1);
    WRONG("bub", 97, 0u, 1);
    WRONG("bus", 98, 0u, "x");
    WRONG("bu", 99, 0u); /* nothing was asked */
    WRONG("bu", 100, 0u);
    WRONG("b", 81);
    WRONG("b", 82);
    WRONG("bs", 80, "x");
    WRONG("bsuuu", 90, "x", 0u, 0u, 0u); /* packets of nothing */
    WRONG("bsuu", 90, "x", 0u, 0u);
    WRONG("b", 101);
    WRONG("b", 83);
    WRONG("b", 0);
    struct ssh_ckit f;
    ssh_ckit_open(&f);
    (void)ssh_ckit_opened(&f, 0, 10, 10);
    assert_int_equal(GETS(&f, "bu", 96, 0u), 0);
    assert_int_equal(GETS(&f, "bu", 96, 0u), NK_EPROTO);
    ssh_ckit_close(&f);
    ssh_ckit_open(&f);
    (void)ssh_ckit_opened(&f, 0, 10, 10);
    assert_int_equal(GETS(&f, "bu", 96, 0u), 0);
    assert_int_equal(GETS(&f, "bus", 94, 0u, "x"), NK_EPROTO);
    ssh_ckit_close(&f);
    ssh_ckit_open(&f); /* packets of nothing; before the answer */
    assert_int_equal(ssh_channel_open(f.c, "x", (struct ssh_str){0}, &ssh_ckit_ops, &f.seen[0],
                                      &f.seen[0].ch, &f.diag),
                     0);
    assert_int_equal(GETS(&f, "bus", 94, 0u, "x"), NK_EPROTO);
    assert_int_equal(GETS(&f, "buuuu", 91, 0u, 0u, 1u, 0u), NK_EPROTO);
    ssh_ckit_close(&f);
}

static void sessions_only(void **state)
{
    (void)state;
    struct ssh_ckit f;
    const struct ssh_str none = {0};
    struct ssh_channel *ch;
    ssh_ckit_open(&f);
    ssh_channels_restrict(f.c);
    assert_int_equal(
        ssh_channel_open(f.c, "direct-tcpip", none, &ssh_ckit_ops, &f.seen[0], &ch, &f.diag),
        NK_EVERIFY);
    assert_int_equal(ssh_global_request(f.c, "tcpip-forward", none, NULL, NULL), NK_EVERIFY);
    NOTHING_SENT(&f);
    assert_int_equal(GETS(&f, "bsuuu", 90, "forwarded-tcpip", 7u, 1000u, 1000u), 0);
    assert_null(f.incoming);
    SENT(&f, "buuss", 92, 7u, (unsigned)SSH_REFUSED_TYPE, "", "");
    assert_int_equal(
        ssh_channel_open(f.c, "session", none, &ssh_ckit_ops, &f.seen[0], &ch, &f.diag), 0);
    ssh_ckit_close(&f);
}

static void incoming(void **state)
{
    (void)state;
    struct ssh_ckit f;
    ssh_ckit_open(&f);
    assert_int_equal(GETS(&f, "bsuuur", 90, "forwarded-tcpip", 9u, 5u, 5u, ssh_kit_str("abc")), 0);
    assert_non_null(f.incoming);
    NOTHING_SENT(&f);
    assert_int_equal(GETS(&f, "bus", 94, 0u, "x"), NK_EPROTO); /* it is too early */
    f.seen[0].ch = f.incoming;
    assert_int_equal(ssh_channel_accept(f.incoming, &ssh_ckit_ops, &f.seen[0]), 0);
    SENT(&f, "buuuu", 91, 9u, 0u, (unsigned)SSH_WINDOW_START, (unsigned)SSH_DATA_MAX);
    assert_int_equal(ssh_ckit_write(f.incoming, "hi"), 2);
    SENT(&f, "bus", 94, 9u, "hi");
    assert_int_equal(GETS(&f, "bsuuur", 90, "forwarded-tcpip", 8u, 5u, 5u, ssh_kit_str("abc")), 0);
    assert_int_equal(ssh_channel_refuse(f.incoming, SSH_REFUSED_PROHIBITED, "no"), 0);
    SENT(&f, "buuss", 92, 8u, 1u, "no", "");
    assert_int_equal(ssh_channels_count(f.c), 1);
    /* the end comes before the answer */
    assert_int_equal(GETS(&f, "bsuuur", 90, "forwarded-tcpip", 8u, 5u, 5u, ssh_kit_str("abc")), 0);
    ssh_channel_own(f.incoming, &ssh_ckit_ops, &f.seen[1]);
    const struct nk_diag why = {.code = NK_ETRUNC};
    ssh_channels_end(f.c, &why);
    assert_int_equal(f.seen[1].closed, 1);
    ssh_ckit_close(&f);
}

static void requests(void **state)
{
    (void)state;
    struct ssh_ckit f;
    ssh_ckit_open(&f);
    assert_int_equal(GETS(&f, "bst", 80, "hostkeys-00@openssh.com", 0), 0);
    NOTHING_SENT(&f);
    assert_int_equal(GETS(&f, "bst", 80, "hostkeys-00@openssh.com", 1), 0);
    SENT(&f, "b", 81);
    assert_int_equal(GETS(&f, "bst", 80, "keepalive@openssh.com", 1), 0);
    SENT(&f, "b", 82);
    assert_int_equal(f.globals, 3);
    for (int i = 0; i < 3; i++) { /* answers come in order */
        assert_int_equal(
            ssh_global_request(f.c, "tcpip-forward", ssh_kit_str("d"), ssh_ckit_reply, &f.seen[i]),
            0);
        SENT(&f, "bstr", 80, "tcpip-forward", 1, ssh_kit_str("d"));
    }
    ssh_global_forget(f.c, &f.seen[1]);
    assert_int_equal(GETS(&f, "bu", 81, 4711u), 0);
    assert_int_equal(GETS(&f, "b", 81), 0);
    assert_int_equal(GETS(&f, "b", 82), 0);
    assert_int_equal(f.seen[0].last_reply, 1);
    assert_int_equal(f.seen[1].replies, 0);
    assert_int_equal(f.seen[2].last_reply, 0);
    assert_int_equal(f.seen[2].replies, 1);
    int rc = 0, n = 0;
    for (; rc == 0 && n < 2 * SSH_REQUESTS_MAX; n++) {
        rc = ssh_global_request(f.c, "x", (struct ssh_str){0}, ssh_ckit_reply, &f.seen[0]);
    }
    assert_int_equal(rc, NK_ELIMIT);
    assert_int_equal(n, SSH_REQUESTS_MAX + 1);
    ssh_ckit_close(&f);
}

static void keepalive(void **state)
{
    (void)state;
    struct ssh_ckit f;
    uint64_t next;
    ssh_ckit_open(&f);
    assert_int_equal(ssh_channels_tick(f.c, &next, &f.diag), 0);
    assert_int_equal(next, 15000);
    NOTHING_SENT(&f);
    ssh_channels_now(f.c, 1000 + 15000);
    assert_int_equal(ssh_channels_tick(f.c, &next, &f.diag), 0);
    assert_int_equal(next, 15000);
    SENT(&f, "bst", 80, "keepalive@openssh.com", 1);
    assert_int_equal(GETS(&f, "b", 82), 0);
    for (uint64_t i = 2; i < 5; i++) {
        ssh_channels_now(f.c, 1000 + i * 15000);
        assert_int_equal(ssh_channels_tick(f.c, &next, &f.diag), 0);
    }
    ssh_channels_heard(f.c); /* anything will do */
    for (uint64_t i = 5; i < 8; i++) {
        ssh_channels_now(f.c, 1000 + i * 15000);
        assert_int_equal(ssh_channels_tick(f.c, &next, &f.diag), 0);
    }
    ssh_channels_now(f.c, 1000 + (uint64_t)8 * 15000);
    assert_int_equal(ssh_channels_tick(f.c, &next, &f.diag), -ETIMEDOUT);
    ssh_ckit_close(&f);
}

/* RFC 4253 11.4: a server that knows no global requests says so instead of refusing each. */
static void unimplemented(void **state)
{
    (void)state;
    struct ssh_ckit f;
    ssh_ckit_open(&f);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(
            ssh_global_request(f.c, "x", (struct ssh_str){0}, ssh_ckit_reply, &f.seen[i]), 0);
    }
    ssh_channels_now(f.c, 1000 + 15000);
    assert_int_equal(GETS(&f, "bu", 3, 5u), 0);
    assert_int_equal(f.seen[0].replies, 1);
    assert_int_equal(f.seen[0].last_reply, 0);
    assert_int_equal(GETS(&f, "b", 81), 0); /* the next one's */
    assert_int_equal(f.seen[0].replies, 1);
    assert_int_equal(f.seen[1].last_reply, 1);
    assert_int_equal(f.seen[2].replies, 0);
    assert_int_equal(GETS(&f, "bu", 3, 7u), 0);
    assert_int_equal(f.seen[2].last_reply, 0);
    assert_int_equal(GETS(&f, "bu", 3, 8u), 0); /* about something else: no harm */
    assert_int_equal(GETS(&f, "b", 81), NK_EPROTO);
    ssh_ckit_close(&f);
}

static void the_end(void **state)
{
    (void)state;
    struct ssh_ckit f;
    ssh_ckit_open(&f);
    struct ssh_channel *ch = ssh_ckit_opened(&f, 0, 10, 10);
    assert_int_equal(ssh_channel_request(ch, "x", (struct ssh_str){0}, ssh_ckit_reply, &f.seen[0]),
                     0);
    assert_int_equal(ssh_channel_open(f.c, "x", (struct ssh_str){0}, &ssh_ckit_ops, &f.seen[1],
                                      &f.seen[1].ch, &f.diag),
                     0);
    assert_int_equal(ssh_global_request(f.c, "x", (struct ssh_str){0}, ssh_ckit_reply, &f.seen[2]),
                     0);
    const struct nk_diag why = {.code = -ECONNRESET};
    ssh_channels_end(f.c, &why);
    assert_int_equal(f.seen[0].closed, 1);
    assert_int_equal(f.seen[0].code, -ECONNRESET);
    assert_int_equal(f.seen[0].last_reply, NK_ECLOSED);
    assert_int_equal(f.seen[1].failed, 1);
    assert_int_equal(f.seen[2].last_reply, NK_ECLOSED);
    assert_int_equal(ssh_channel_open(f.c, "x", (struct ssh_str){0}, &ssh_ckit_ops, &f.seen[1],
                                      &f.seen[1].ch, &f.diag),
                     NK_ECLOSED);
    assert_int_equal(ssh_channels_count(f.c), 0);
    ssh_ckit_close(&f);
    ssh_ckit_open(&f); /* no sink any more */
    ch = ssh_ckit_opened(&f, 0, 10, 10);
    f.sink.fail = NK_ECLOSED;
    assert_int_equal(ssh_ckit_write(ch, "x"), NK_ECLOSED);
    assert_int_equal(ssh_channel_eof(ch), NK_ECLOSED);
    assert_int_equal(GETS(&f, "bu", 96, 0u), NK_ECLOSED);
    ssh_ckit_close(&f);
}

static int drop_begin(struct ssh_sink *s, size_t max, uint8_t **payload)
{
    static _Thread_local uint8_t room_for_one[SSH_DATA_MAX + 1024];
    (void)s;
    *payload = room_for_one;
    return max <= sizeof(room_for_one) ? 0 : NK_ETOOBIG;
}

static void drop_end(struct ssh_sink *s, uint8_t *payload, size_t n)
{
    (void)s;
    (void)payload;
    (void)n;
}

/* Channels, requests and data: nothing but opening and asking allocates. */
static int session(void *arg)
{
    static const uint8_t confirm[] = "\133\0\0\0\0\0\0\0\0\0\0\1\0\0\0\1\0",
                         data[] = "\136\0\0\0\0\0\0\0\1x", good[] = "\143\0\0\0\0",
                         ask[] = "\120\0\0\0\1x\1";
    static const struct ssh_channel_ops none = {0};
    static const struct ssh_sink_ops sink_ops = {drop_begin, drop_end};
    struct ssh_sink sink = {.ops = &sink_ops};
    const struct ssh_channels_conf conf = {0};
    struct nk_diag diag = {0};
    struct ssh_channels *c;
    struct ssh_channel *ch;
    struct ssh_ckit_seen *s = arg;
    int rc = ssh_channels_new(&conf, &sink, &c);
    if (rc < 0) {
        return rc;
    }
    rc = ssh_channel_open(c, "x", (struct ssh_str){0}, &none, NULL, &ch, &diag);
    rc = rc < 0 ? rc : ssh_channels_receive(c, confirm, sizeof(confirm) - 1, &diag);
    rc = rc < 0 ? rc : ssh_channel_request(ch, "x", (struct ssh_str){0}, ssh_ckit_reply, s);
    rc = rc < 0 ? rc : ssh_channels_receive(c, good, sizeof(good) - 1, &diag);
    rc = rc < 0 ? rc : ssh_channels_receive(c, ask, sizeof(ask) - 1, &diag);
    for (int i = 0; i < 100 && rc == 0; i++) {
        rc = ssh_channels_receive(c, data, sizeof(data) - 1, &diag);
        rc = rc < 0 ? rc : ssh_ckit_write(ch, "x") == 1 ? 0 : 1;
    }
    ssh_channels_free(c);
    return rc;
}

static void allocations(void **state)
{
    (void)state;
    struct ssh_ckit_seen s = {0};
    assert_int_equal(nk_torture(session, &s), 4); /* the set, its numbers, a channel, a reply */
}

int nk_test_ssh_proto_channels(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(life),          cmocka_unit_test(refused),
        cmocka_unit_test(closed_by_us),  cmocka_unit_test(closed_in_callbacks),
        cmocka_unit_test(hostile),       cmocka_unit_test(incoming),
        cmocka_unit_test(sessions_only), cmocka_unit_test(requests),
        cmocka_unit_test(keepalive),     cmocka_unit_test(unimplemented),
        cmocka_unit_test(the_end),       cmocka_unit_test(allocations),
    };
    return cmocka_run_group_tests_name("ssh/proto_channels", tests, NULL, NULL);
}
