/* SPDX-License-Identifier: MIT */
/* Key exchange whose slow steps are done elsewhere: the machine waits for them, and may be gone
 * when they are done. */
#include "ssh/kex_work.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "core/app.h"
#include "core/work.h"
#include "ssh/transport_testkit.h"

int nk_test_ssh_kex_work(void);

enum { PACKETS = 100, TURNS = 60000 };

static const char LARGE[] = "diffie-hellman-group16-sha512";

static void begin(struct ssh_kit *k, const char *kex)
{
    ssh_kit_init(k);
    k->kex = kex;
    k->slow_kex = true;
    assert_int_equal(ssh_kit_run(k), 0);
}

/* The machine waits for the step, and for nothing else. */
static void expect_step(const struct ssh_kit *k, bool finish)
{
    assert_non_null(k->task);
    assert_int_equal(k->task->finish, finish);
    assert_int_equal(k->t->state, SSH_T_WORK);
    assert_false(ssh_transport_wants_input(k->t));
    assert_true(ssh_transport_due(k->t) == SSH_NEVER);
}

static void test_both_steps(void **state)
{
    static const char *const methods[] = {LARGE, "diffie-hellman-group-exchange-sha256"};
    (void)state;
    for (size_t i = 0; i < sizeof(methods) / sizeof(*methods); i++) {
        struct ssh_kit k;
        begin(&k, methods[i]);
        expect_step(&k, false);
        assert_int_equal(ssh_kit_compute(&k), 0);
        expect_step(&k, true);
        assert_int_equal(k.asked, 0);
        assert_int_equal(ssh_kit_compute(&k), 0);
        assert_null(k.task);
        assert_int_equal(k.asked, 1);
        assert_int_equal(k.ready, 1);
        assert_int_equal(k.t->state, SSH_T_OPEN);
        ssh_kit_clear(&k);
    }
}

/* What is quick is done at once, and so is everything where nobody takes it. */
static void test_at_once(void **state)
{
    static const char *const quick[] = {"curve25519-sha256", "ecdh-sha2-nistp521",
                                        "diffie-hellman-group14-sha256"};
    struct ssh_kit k;
    (void)state;
    for (size_t i = 0; i < sizeof(quick) / sizeof(*quick); i++) {
        begin(&k, quick[i]);
        assert_null(k.task);
        assert_int_equal(k.ready, 1);
        ssh_kit_clear(&k);
    }
    ssh_kit_init(&k);
    k.kex = LARGE;
    assert_int_equal(ssh_kit_run(&k), 0);
    assert_int_equal(k.ready, 1);
    ssh_kit_clear(&k);
}

/* The owner's answer may come late, or be no. */
static void test_answers(void **state)
{
    (void)state;
    for (int slow = 0; slow <= 1; slow++) {
        struct ssh_kit k;
        begin(&k, LARGE);
        k.slow_answer = slow;
        k.answer = NK_EVERIFY;
        assert_int_equal(ssh_kit_compute(&k), 0);
        assert_int_equal(ssh_kit_compute(&k), slow ? 0 : NK_EVERIFY);
        assert_int_equal(k.asked, 1);
        if (slow) {
            assert_int_equal(k.t->state, SSH_T_ANSWER);
            assert_int_equal(ssh_kit_answer(&k, 0), 0);
            assert_int_equal(k.ready, 1);
        }
        ssh_kit_clear(&k);
    }
}

static bool value_of_one(struct ssh_kit *k, struct nk_buf *b)
{
    struct nk_buf copy;
    struct nk_cur c;
    (void)k;
    if (*nk_buf_ptr(b) != SSH_MSG_KEX_REPLY) {
        return true;
    }
    nk_cur_init(&c, nk_buf_ptr(b) + 1, nk_buf_len(b) - 1);
    struct ssh_str host = ssh_cur_string(&c);
    (void)ssh_cur_string(&c);
    struct ssh_str signature = ssh_cur_string(&c);
    nk_buf_init(&copy, SSH_PACKET_MAX);
    bool fine = nk_buf_u8(&copy, SSH_MSG_KEX_REPLY) == 0 &&
                ssh_put_string(&copy, host.p, host.n) == 0 && ssh_put_string(&copy, "\1", 1) == 0 &&
                ssh_put_string(&copy, signature.p, signature.n) == 0;
    nk_buf_reset(b);
    fine = fine && nk_buf_put(b, nk_buf_ptr(&copy), nk_buf_len(&copy)) == 0;
    nk_buf_clear(&copy);
    return fine;
}

static void test_wrong_value(void **state)
{
    struct ssh_kit k;
    (void)state;
    ssh_kit_init(&k);
    k.kex = LARGE;
    k.slow_kex = true;
    k.tamper = value_of_one;
    assert_int_equal(ssh_kit_run(&k), 0);
    assert_int_equal(ssh_kit_compute(&k), 0);
    assert_int_equal(ssh_kit_compute(&k), NK_EPROTO);
    assert_non_null(strstr(k.diag.text, "not in the group"));
    assert_int_equal(k.disconnects, 1);
    assert_int_equal(k.asked, 0);
    ssh_kit_clear(&k);
}

/* The connection ends in any way while the step is under way. */
static void test_gone(void **state)
{
    (void)state;
    for (int second = 0; second <= 1; second++) {
        for (int how = 0; how < 3; how++) {
            struct ssh_kit k;
            begin(&k, LARGE);
            if (second) {
                assert_int_equal(ssh_kit_compute(&k), 0);
            }
            expect_step(&k, second);
            struct ssh_kex_task *task = k.task;
            if (how == 0) {
                ssh_transport_free(k.t);
                k.t = NULL;
                ssh_kex_task_run(task); /* on another thread, perhaps */
                assert_int_equal(task->rc, 0);
            } else if (how == 1) {
                ssh_transport_disconnect(k.t, SSH_REASON_BY_APPLICATION, "enough");
                assert_int_equal(ssh_kit_compute(&k), NK_ECLOSED);
            } else {
                assert_true(ssh_transport_eof(k.t, &k.diag) < 0);
                assert_int_equal(ssh_kit_compute(&k), NK_ECLOSED);
            }
            assert_int_equal(k.ready, 0);
            ssh_kit_clear(&k);
        }
    }
}

/* What is written meanwhile comes afterwards, in its order. */
static void rekey(bool ours)
{
    struct ssh_kit k;
    begin(&k, LARGE);
    assert_int_equal(ssh_kit_compute(&k), 0);
    assert_int_equal(ssh_kit_compute(&k), 0);
    assert_true(ssh_kit_send_number(&k, SSH_MSG_USERAUTH_SUCCESS));
    assert_int_equal(ssh_kit_pump(&k), 0);
    if (ours) {
        assert_int_equal(ssh_transport_rekey(k.t, k.now), 0);
    } else {
        assert_true(ssh_kit_rekey(&k));
    }
    assert_int_equal(ssh_kit_pump(&k), 0);
    for (int finish = 0; finish <= 1; finish++) {
        expect_step(&k, finish);
        for (size_t i = 0; i < PACKETS; i++) {
            assert_int_equal(ssh_kit_client_send(&k, SSH_MSG_CHANNEL_DATA, 1 + i), 0);
        }
        assert_int_equal(nk_buf_len(&k.got), 0);
        assert_int_equal(ssh_kit_compute(&k), 0);
    }
    assert_int_equal(ssh_transport_rekeys(k.t), 1);
    assert_int_equal(nk_buf_len(&k.got), 2u * PACKETS * (1 + PACKETS) / 2);
    assert_int_equal(k.asked, 1);
    ssh_kit_clear(&k);
}

static void test_rekey(void **state)
{
    (void)state;
    rekey(false);
    rekey(true);
}

/* --- in the work pool ------------------------------------------------------------------------- */

static void on_done(void *owner, struct ssh_kex_task *take_task)
{
    struct ssh_kit *k = owner;
    assert_null(k->task);
    k->task = take_task;
}

static void test_pool(void **state)
{
    (void)state;
    for (int cancel = 0; cancel <= 1; cancel++) {
        const struct nk_app_conf conf = {0};
        struct ssh_kit k;
        struct nk_app *app;
        struct nk_work *work;
        begin(&k, LARGE);
        struct ssh_kex_task *task = k.task;
        k.task = NULL;
        assert_int_equal(nk_app_new(&app, &conf, &k.diag), 0);
        assert_int_equal(ssh_kex_work_start(app, task, on_done, &k, &work), 0);
        assert_null(k.task);
        if (cancel) {
            nk_work_cancel(work);
            (void)nk_work_wait(work); /* what still runs is left behind */
        }
        for (int i = 0; i < (cancel ? 5 : TURNS) && !k.task; i++) {
            (void)nk_app_turn(app, 1);
        }
        assert_true(cancel ? k.task == NULL : k.task == task);
        nk_app_free(app); /* lets go of what was cancelled */
        ssh_kit_clear(&k);
    }
}

int nk_test_ssh_kex_work(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_both_steps), cmocka_unit_test(test_at_once),
        cmocka_unit_test(test_answers),    cmocka_unit_test(test_wrong_value),
        cmocka_unit_test(test_gone),       cmocka_unit_test(test_rekey),
        cmocka_unit_test(test_pool),
    };
    return cmocka_run_group_tests_name("ssh/kex_work", tests, NULL, NULL);
}
