/* SPDX-License-Identifier: MIT */
/* Bytes that are lent, kept and consumed in every order, against the same bytes in a row. */
#include "ssh/inbox.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/err.h"

int nk_test_ssh_inbox(void);

enum { ROW = 64 * 1024, STEPS = 20000 };

static uint8_t row[ROW];

static void same(const struct ssh_inbox *in, size_t from, size_t to)
{
    struct iovec iov[SSH_INBOX_PIECES];
    int n = ssh_inbox_pieces(in, iov);
    assert_int_equal(ssh_inbox_len(in), to - from);
    for (int i = 0; i < n; i++) {
        assert_true(iov[i].iov_len > 0 && iov[i].iov_len <= to - from);
        assert_memory_equal(iov[i].iov_base, row + from, iov[i].iov_len);
        from += iov[i].iov_len;
    }
    assert_int_equal(from, to);
}

static void as_a_row(void **state)
{
    (void)state;
    struct ssh_inbox in;
    size_t from = 0, to = 0;
    unsigned seed = 1;
    for (size_t i = 0; i < ROW; i++) {
        row[i] = (uint8_t)(i * 7 + i / 256);
    }
    ssh_inbox_init(&in, ROW);
    for (int i = 0; i < STEPS; i++) {
        seed = seed * 1103515245u + 12345u;
        size_t n = seed >> 16 & 63;
        unsigned what = seed >> 28;
        if (what < 8 && n > 0 && to + n <= ROW) {
            assert_int_equal(ssh_inbox_lend(&in, row + to, n), 0);
            to += n;
        } else if (what < 10) {
            assert_int_equal(ssh_inbox_keep(&in), 0);
        } else {
            n = n * 2 < to - from ? n * 2 : to - from;
            ssh_inbox_consume(&in, n);
            from += n;
        }
        same(&in, from, to);
        if (to + 64 > ROW) {
            ssh_inbox_consume(&in, to - from);
            from = to = 0;
        }
    }
    ssh_inbox_clear(&in);
    same(&in, 0, 0);
}

static void no_more_than_its_maximum(void **state)
{
    (void)state;
    struct ssh_inbox in;
    ssh_inbox_init(&in, 100);
    assert_int_equal(ssh_inbox_lend(&in, row, 60), 0);
    assert_int_equal(ssh_inbox_keep(&in), 0);
    assert_int_equal(ssh_inbox_lend(&in, row, 60), 0);
    assert_int_equal(ssh_inbox_keep(&in), NK_ETOOBIG);
    assert_int_equal(ssh_inbox_len(&in), 60);
    for (int i = 0; i < SSH_INBOX_LENT; i++) {
        assert_int_equal(ssh_inbox_lend(&in, row, 10), 0);
    }
    assert_int_equal(ssh_inbox_lend(&in, row, 10), NK_ETOOBIG);
    ssh_inbox_clear(&in);
}

int nk_test_ssh_inbox(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(as_a_row),
                                       cmocka_unit_test(no_more_than_its_maximum)};
    return cmocka_run_group_tests_name("ssh/inbox", tests, NULL, NULL);
}
