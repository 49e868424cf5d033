/* SPDX-License-Identifier: MIT */
/* What is written together: all that comes while a batch is being written. */
#include "relay/log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "core/app.h"
#include "relay/log_testkit.h"

int nk_test_relay_log_batch(void);

enum { FIRST = 16 };

/* A producer who sends as much again as was stored. */
struct producer {
    struct lt_world *w;
    uint64_t seq;  /* the last one that was put */
    unsigned more; /* to be put when the first batch counts */
};

static void put(struct producer *p, unsigned n)
{
    while (n--) {
        assert_int_equal(lt_put_item(p->w, "jobs", ++p->seq, 1, "object"), 0);
    }
}

static void on_committed(void *owner, uint64_t ticket, int status)
{
    struct producer *p = owner;
    unsigned n = p->more;
    (void)ticket;
    assert_int_equal(status, 0);
    p->more = 0;
    put(p, n);
}

static void on_fatal(void *owner, int code)
{
    (void)owner;
    fail_msg("the log failed: %d", code);
}

static const struct relay_log_ops ops = {.committed = on_committed, .fatal = on_fatal};

/* FIRST objects are written, `early` come meanwhile, `late` when the first are stored: how many
 * batches were that? */
static uint64_t commits(unsigned early, unsigned late)
{
    struct relay_log_stats s;
    struct producer p = {.w = lt_world_new(), .more = late};
    lt_close_log(p.w);
    p.w->conf.ops = &ops;
    p.w->conf.owner = &p;
    assert_int_equal(lt_open_log(p.w), 0);
    put(&p, FIRST);
    nk_app_turn(p.w->app, 0); /* at its end the first batch is handed over */
    put(&p, early);
    lt_settle(p.w);
    relay_log_stats(p.w->log, &s);
    assert_int_equal(p.seq, FIRST + early + late);
    assert_int_equal(s.records, p.seq);
    lt_world_free(p.w);
    return s.commits;
}

static void test_next_batch(void **state)
{
    (void)state;
    assert_int_equal(commits(FIRST, FIRST), 3);         /* the disk does not wait for the loop */
    assert_int_equal(commits(FIRST / 2, FIRST / 2), 3); /* nor for half a batch */
    assert_int_equal(commits(1, FIRST - 1), 2);         /* a straggler goes with its fellows */
}

int nk_test_relay_log_batch(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_next_batch),
    };
    return cmocka_run_group_tests_name("relay/log_batch", tests, NULL, NULL);
}
