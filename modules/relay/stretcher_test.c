/* SPDX-License-Identifier: MIT */
#include "relay/stretcher.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "core/app.h"
#include "core/work_testkit.h"
#include "relay/stretch.h"

static const struct relay_stretch_params params = {
    .salt = "0123456789abcde", .mem_kib = RELAY_STRETCH_KIB_MIN, .passes = 1};

struct told {
    struct nk_app *app;
    int times, status;
    uint8_t prs[RELAY_LOGIN_PRS];
};

static void on_done(void *owner, int status, const uint8_t *prs)
{
    struct told *t = owner;
    t->times++;
    t->status = status;
    memcpy(t->prs, prs, sizeof(t->prs));
    nk_app_stop(t->app, 0);
}

static void test_stretcher(void **state)
{
    (void)state;
    struct nk_app_conf conf = {0};
    struct told t = {0};
    struct relay_stretcher *s;
    struct nk_secret pw = {0};
    uint8_t want[RELAY_LOGIN_PRS], key[32] = {7};
    assert_int_equal(nk_app_new(&t.app, &conf, NULL), 0);
    assert_int_equal(nk_secret_set(&pw, "password", 8), 0);
    assert_int_equal(relay_stretcher_new(&s, t.app, &pw), 0);
    assert_int_equal(relay_stretch(&params, "password", 8, want), 0);
    for (int i = 0; i < 3; i++) { /* computed, kept, computed for another relay */
        memset(t.prs, 0, sizeof(t.prs));
        assert_int_equal(relay_stretcher_start(s, i < 2 ? key : NULL, &params, on_done, &t), 0);
        assert_int_equal(t.times, i); /* never from inside the call */
        nk_app_run(t.app);
        assert_int_equal(t.times, i + 1);
        assert_int_equal(t.status, 0);
        assert_memory_equal(t.prs, want, sizeof(want));
    }
    struct relay_stretch_params bad = params;
    bad.passes = RELAY_STRETCH_PASSES_MAX + 1;
    assert_int_equal(relay_stretcher_start(s, NULL, &bad, on_done, &t), NK_EPROTO);
    assert_int_equal(relay_stretcher_start(s, key, &params, on_done, &t), 0);
    relay_stretcher_cancel(s);
    bad.passes = 2;
    assert_int_equal(relay_stretcher_start(s, key, &bad, on_done, &t), 0);
    relay_stretcher_free(s); /* while it runs */
    nk_kit_work_settle(t.app, NK_LANE_CRYPTO);
    assert_int_equal(t.times, 3);
    nk_secret_clear(&pw);
    nk_app_free(t.app);
}

static void test_bounds(void **state)
{
    (void)state;
    uint8_t out[RELAY_LOGIN_PRS] = {0}, zero[RELAY_LOGIN_PRS] = {0};
    struct relay_stretch_params p = params;
    p.mem_kib = RELAY_STRETCH_KIB_MIN - 1;
    assert_int_equal(relay_stretch(&p, "x", 1, out), NK_EPROTO);
    p.mem_kib = RELAY_STRETCH_KIB_MAX + 1;
    assert_int_equal(relay_stretch(&p, "x", 1, out), NK_EPROTO);
    p = params;
    p.passes = 0;
    assert_int_equal(relay_stretch(&p, "x", 1, out), NK_EPROTO);
    assert_memory_equal(out, zero, sizeof(out));
}

int nk_test_relay_stretcher(void);
int nk_test_relay_stretcher(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stretcher),
        cmocka_unit_test(test_bounds),
    };
    return cmocka_run_group_tests_name("relay/stretcher", tests, NULL, NULL);
}
