/* SPDX-License-Identifier: MIT */
#include "hs/vanity.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/onion.h"
#include "core/app.h"
#include "core/work.h"

struct run {
    struct nk_app *app;
    struct hs_vanity *vanity;
    unsigned wanted, hits, slices, fails;
    uint64_t tried;
    char last[NK_ONION_SIZE];
};

static void on_hit(void *owner, const struct hs_vanity_hit *hit)
{
    struct run *x = owner;
    char address[NK_ONION_SIZE];
    nk_onion_format(address, hit->identity.pub);
    assert_true(hs_vanity_pattern_fits("q7", address));
    assert_string_not_equal(address, x->last);
    memcpy(x->last, address, sizeof(address));
    if (++x->hits == x->wanted) {
        hs_vanity_stop(x->vanity);
        nk_app_stop(x->app, 0);
    }
}

static void on_slice(void *owner)
{
    struct run *x = owner;
    x->slices++;
    x->tried = hs_vanity_tried(x->vanity);
}

static void on_fail(void *owner, int status)
{
    struct run *x = owner;
    (void)status;
    x->fails++;
    nk_app_stop(x->app, 1);
}

static const struct hs_vanity_ops ops = {
    .on_hit = on_hit, .on_slice = on_slice, .on_fail = on_fail};

static struct hs_vanity_filter *filter(char *pattern)
{
    struct hs_vanity_filter *f = NULL;
    const struct nk_strlist list = {.v = &pattern, .n = 1};
    assert_int_equal(hs_vanity_filter_new(&f, &list, NULL), 0);
    return f;
}

/* More threads than processors; results come until they are enough, and after the end only from
 * what was under way. */
static void finds(void **state)
{
    (void)state;
    char pattern[] = "q7";
    struct run x = {.wanted = 20};
    const struct nk_app_conf app = {0};
    struct hs_vanity_filter *f = filter(pattern);
    const struct hs_vanity_conf conf = {.filter = f,
                                        .kernel = hs_vanity_kernel_best(),
                                        .threads = nk_work_threads(NK_LANE_SEARCH) + 1,
                                        .ops = &ops,
                                        .owner = &x};
    assert_int_equal(nk_app_new(&x.app, &app, NULL), 0);
    assert_int_equal(hs_vanity_start(x.app, &conf, &x.vanity), 0);
    assert_int_equal(x.hits, 0);
    assert_int_equal(nk_app_run(x.app), 0);
    assert_true(x.hits >= x.wanted);
    hs_vanity_free(x.vanity);
    assert_true(x.tried > 0 && x.slices > 0);
    assert_int_equal(x.fails, 0);
    nk_app_free(x.app);
    hs_vanity_filter_free(f);
}

/* Freed in the middle of a slice: the threads are waited for, and their work is counted. */
static void ends_at_once(void **state)
{
    (void)state;
    char pattern[] = "netkitnetkit";
    struct run x = {.wanted = 1};
    const struct nk_app_conf app = {0};
    struct hs_vanity_filter *f = filter(pattern);
    const struct hs_vanity_conf conf = {
        .filter = f, .kernel = &hs_vanity_portable, .threads = 2, .ops = &ops, .owner = &x};
    assert_int_equal(nk_app_new(&x.app, &app, NULL), 0);
    assert_int_equal(hs_vanity_start(x.app, &conf, &x.vanity), 0);
    while (x.slices == 0) {
        (void)nk_app_turn(x.app, 5000);
    }
    const uint64_t before = x.tried;
    hs_vanity_free(x.vanity);
    assert_true(x.tried >= before);
    assert_int_equal(x.hits + x.fails, 0);
    nk_app_free(x.app);
    hs_vanity_free(NULL);
    hs_vanity_filter_free(f);
}

int nk_test_hs_vanity(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds),
        cmocka_unit_test(ends_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
