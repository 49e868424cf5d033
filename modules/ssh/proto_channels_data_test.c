/* SPDX-License-Identifier: MIT */
/* Data of channels in both directions: who may send how much, and whose turn it is (windows that
 * grow: proto_channels_window_test.c). */
#include "ssh/proto_channels.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "ssh/channels_testkit.h"

int nk_test_ssh_proto_channels_data(void);

#define SENT(f, ...) assert_true(ssh_kit_next_is(&(f)->sink, &(f)->out, __VA_ARGS__))
#define NOTHING_SENT(f) assert_int_equal(nk_buf_len(&(f)->sink.out), 0)
#define GETS SSH_CKIT_GETS

/* The server's window and packet size are never exceeded. */
static void sending(void **state)
{
    (void)state;
    struct ssh_ckit f;
    ssh_ckit_open(&f);
    struct ssh_channel *ch = ssh_ckit_opened(&f, 0, 7, 3);
    assert_int_equal(ssh_ckit_write(ch, "abcdefghij"), 7);
    SENT(&f, "bus", 94, 100u, "abc");
    SENT(&f, "bus", 94, 100u, "def");
    SENT(&f, "bus", 94, 100u, "g");
    NOTHING_SENT(&f);
    assert_int_equal(ssh_ckit_write(ch, "x"), NK_EAGAIN);
    assert_int_equal(GETS(&f, "buu", 93, 0u, 0u), 0);
    assert_int_equal(f.seen[0].writable, 0);
    assert_int_equal(GETS(&f, "buu", 93, 0u, 2u), 0);
    assert_int_equal(f.seen[0].writable, 1);
    char h[] = "h", ij[] = "ij";
    const struct iovec iov[] = {{h, 1}, {h, 0}, {ij, 2}};
    assert_int_equal(ssh_channel_writev(ch, iov, 3), 2);
    SENT(&f, "bus", 94, 100u, "hi");
    assert_int_equal(GETS(&f, "buu", 93, 0u, UINT32_MAX), 0);
    assert_int_equal(GETS(&f, "buu", 93, 0u, 1u), NK_EPROTO);
    ssh_ckit_close(&f);
}

struct bulk {
    struct ssh_channel *ch;
    char order[32];
    size_t *n;
    char *log;
    char name;
};

static void bulk_writable(void *owner, struct ssh_channel *ch)
{
    static const char block[1024 * 1024];
    struct bulk *b = owner;
    const struct iovec iov = {.iov_base = (void *)(uintptr_t)block, .iov_len = sizeof(block)};
    b->log[(*b->n)++] = b->name;
    while (ssh_channel_writev(ch, &iov, 1) > 0) {
    }
}

static void key_writable(void *owner, struct ssh_channel *ch)
{
    struct bulk *b = owner;
    b->log[(*b->n)++] = b->name;
    assert_int_equal(ssh_ckit_write(ch, "k"), 1);
}

static size_t budget_room(void *owner)
{
    struct ssh_ckit *f = owner;
    size_t used = nk_buf_len(&f->sink.out);
    return used < f->room ? f->room - used : 0;
}

/* Two bulk writers take turns; a keystroke goes first. */
static void turns(void **state)
{
    (void)state;
    struct ssh_ckit f;
    ssh_ckit_open(&f);
    ssh_channels_free(f.c);
    const struct ssh_channels_conf conf = {.owner = &f, .room = budget_room};
    assert_int_equal(ssh_channels_new(&conf, &f.sink.sink, &f.c), 0);
    static const struct ssh_channel_ops bulk_ops = {.on_writable = bulk_writable},
                                        key_ops = {.on_writable = key_writable};
    size_t n = 0;
    char log[64] = "";
    struct bulk b[3];
    for (unsigned i = 0; i < 3; i++) {
        b[i] = (struct bulk){.n = &n, .log = log, .name = (char)('A' + i)};
        assert_int_equal(ssh_channel_open(f.c, "x", (struct ssh_str){0},
                                          i == 2 ? &key_ops : &bulk_ops, &b[i], &b[i].ch, &f.diag),
                         0);
        assert_int_equal(GETS(&f, "buuuu", 91, i, i, UINT32_MAX, 32768u), 0);
    }
    nk_buf_consume(&f.sink.out, nk_buf_len(&f.sink.out));
    f.room = 0;
    bulk_writable(&b[0], b[0].ch);
    bulk_writable(&b[1], b[1].ch);
    NOTHING_SENT(&f);
    assert_true(ssh_channels_waiting(f.c));
    assert_int_equal(ssh_ckit_write(b[2].ch, "k"), NK_EAGAIN);
    f.room = 4 * (SSH_DATA_MAX + 100);
    assert_int_equal(ssh_channels_writable(f.c, &f.diag), 0);
    log[n] = '\0';
    assert_memory_equal(log, "ABCBABA", 7); /* B asked last of the two, the keystroke after it */
    assert_true(nk_buf_len(&f.sink.out) <= f.room + 64);
    ssh_ckit_close(&f);
}

/* One way of reading everything that came, and how much window that gives. */
static uint64_t told(struct ssh_ckit *f)
{
    uint64_t sum = 0;
    for (;;) {
        struct ssh_str s = ssh_kit_take(&f->sink, &f->out);
        struct nk_cur c;
        if (s.n == 0) {
            return sum;
        }
        nk_cur_init(&c, s.p, s.n);
        assert_int_equal(nk_cur_u8(&c), 93);
        (void)nk_cur_be32(&c);
        sum += nk_cur_be32(&c);
        assert_true(nk_cur_done(&c));
    }
}

static void put_data(struct ssh_ckit *f, size_t n)
{
    static const uint8_t zeros[SSH_DATA_MAX];
    while (n > 0) {
        size_t some = n < SSH_DATA_MAX ? n : SSH_DATA_MAX;
        assert_int_equal(GETS(f, "bux", 94, 0u, (struct ssh_str){zeros, some}), 0);
        n -= some;
    }
}

static void receiving(void **state)
{
    (void)state;
    struct ssh_ckit f;
    ssh_ckit_open(&f);
    struct ssh_channel *ch = ssh_ckit_opened(&f, 0, 0, 1);
    put_data(&f, SSH_WINDOW_START);
    NOTHING_SENT(&f); /* nothing was consumed */
    assert_int_equal(GETS(&f, "bus", 94, 0u, "1"), NK_EPROTO);
    assert_int_equal(ssh_channel_consumed(ch, 1), 0);
    NOTHING_SENT(&f); /* not worth a packet */
    assert_int_equal(ssh_channel_consumed(ch, SSH_WINDOW_START - 1), 0);
    assert_int_equal(told(&f), SSH_WINDOW_START);
    assert_int_equal(ssh_channel_consumed(ch, 1), 0); /* more than there was */
    NOTHING_SENT(&f);
    ssh_ckit_close(&f);
}

/* Owners learn once that what is lent to them ends, and those that are gone do not. */
static void lent(void **state)
{
    (void)state;
    struct ssh_ckit f;
    ssh_ckit_open(&f);
    for (unsigned i = 0; i < 3; i++) {
        (void)ssh_ckit_opened(&f, i, 1000, 500);
    }
    ssh_channels_keep(f.c);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(f.seen[i].keeps, 0);
        assert_int_equal(SSH_CKIT_GETS(&f, "bus", 94, i, "one"), 0);
        assert_int_equal(SSH_CKIT_GETS(&f, "bus", 94, i, "two"), 0);
    }
    ssh_channel_close(f.seen[1].ch);
    ssh_channels_keep(f.c);
    ssh_channels_keep(f.c);
    assert_int_equal(f.seen[0].keeps, 1);
    assert_int_equal(f.seen[1].keeps, 0);
    assert_int_equal(f.seen[2].keeps, 1);
    assert_int_equal(SSH_CKIT_GETS(&f, "bus", 94, 0u, "three"), 0);
    assert_int_equal(SSH_CKIT_GETS(&f, "bus", 94, 2u, "three"), 0);
    assert_int_equal(SSH_CKIT_GETS(&f, "bu", 97, 0u), 0); /* it is gone */
    ssh_channels_keep(f.c);
    assert_int_equal(f.seen[0].keeps, 1);
    assert_int_equal(f.seen[2].keeps, 2);
    assert_int_equal(SSH_CKIT_GETS(&f, "bus", 94, 2u, "four"), 0);
    ssh_ckit_close(&f); /* nobody is called */
    assert_int_equal(f.seen[2].keeps, 2);
}

int nk_test_ssh_proto_channels_data(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lent),
        cmocka_unit_test(sending),
        cmocka_unit_test(turns),
        cmocka_unit_test(receiving),
    };
    return cmocka_run_group_tests_name("ssh/proto_channels_data", tests, NULL, NULL);
}
