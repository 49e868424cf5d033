/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/err.h"
#include "core/budget.h"

static void test_charges_all_or_nothing(void **state)
{
    (void)state;
    struct nk_budget process, service, conn;
    nk_budget_init(&process, NULL, 100);
    nk_budget_init(&service, &process, SIZE_MAX);
    nk_budget_init(&conn, &service, 60);
    assert_int_equal(nk_budget_charge(&conn, 60), 0);
    assert_int_equal(nk_budget_charge(&conn, 1), NK_ELIMIT);
    assert_int_equal(nk_budget_charge(&service, 41), NK_ELIMIT);
    assert_int_equal(service.used, 60);
    assert_int_equal(nk_budget_charge(&service, 40), 0);
    assert_int_equal(nk_budget_charge(&service, SIZE_MAX), NK_ELIMIT); /* no wrap-around */
    nk_budget_release(&conn, 60);
    assert_int_equal(conn.used, 0);
    assert_int_equal(process.used, 40);
    assert_int_equal(process.peak, 100);
}

struct member {
    struct nk_preauth m;
    int dropped;
};

static void on_drop(void *owner)
{
    struct member *m = owner;
    m->dropped++;
    nk_preauth_leave(&m->m); /* as a close function does: fine although it has left */
}

static void test_oldest_is_dropped(void **state)
{
    (void)state;
    struct nk_preauth_pool pool;
    struct member m[3] = {0};
    nk_preauth_pool_init(&pool, 100);
    for (int i = 0; i < 3; i++) {
        m[i].m.drop = on_drop;
        m[i].m.owner = &m[i];
        nk_preauth_enter(&pool, &m[i].m);
    }
    assert_int_equal(nk_preauth_charge(&m[0].m, 40), 0);
    assert_int_equal(nk_preauth_charge(&m[1].m, 40), 0);
    assert_int_equal(nk_preauth_charge(&m[2].m, 40), 0); /* m[0] makes room */
    assert_int_equal(m[0].dropped, 1);
    assert_int_equal(pool.used, 80);
    assert_int_equal(nk_preauth_charge(&m[1].m, 50), 0); /* the oldest asks itself: the next goes */
    assert_int_equal(m[1].dropped, 0);
    assert_int_equal(m[2].dropped, 1);
    assert_int_equal(nk_preauth_charge(&m[1].m, 11), NK_ELIMIT); /* alone too large */
    assert_int_equal(pool.used, 90);
    nk_preauth_leave(&m[1].m);
    nk_preauth_leave(&m[1].m);
    assert_int_equal(pool.used, 0);
    assert_int_equal(pool.count, 0);
    assert_int_equal(pool.dropped, 2);
    assert_int_equal(nk_preauth_charge(&m[1].m, 1000), 0); /* authenticated: not counted here */
}

int nk_test_core_budget(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_charges_all_or_nothing),
        cmocka_unit_test(test_oldest_is_dropped),
    };
    return cmocka_run_group_tests_name("core/budget", tests, NULL, NULL);
}
