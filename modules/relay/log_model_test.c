/* SPDX-License-Identifier: MIT */
/* A running log against a model: anything, with restarts, rotation and compaction. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "relay/log_testkit.h"

enum { MODEL_GROUPS = 3, MODEL_ITEMS = 400, MODEL_ROUNDS = 30, MODEL_STEPS = 60 };

struct model {
    unsigned seed;
    uint64_t next[MODEL_GROUPS];
    bool live[MODEL_GROUPS][MODEL_ITEMS * 8];
};

static unsigned roll(struct model *m, unsigned bound)
{
    m->seed = m->seed * 1103515245u + 12345u;
    return (m->seed >> 8) % bound;
}

static void model_check(struct lt_world *w, const struct model *m)
{
    static const char *const names[MODEL_GROUPS] = {"a", "b", "c"};
    for (size_t g = 0; g < MODEL_GROUPS; g++) {
        const struct relay_log_items *v = &lt_group(w, names[g])->items;
        size_t i = 0;
        for (uint64_t seq = 1; seq < m->next[g]; seq++) {
            while (i < v->n &&
                   relay_log_items_at(v, i)->first + relay_log_items_at(v, i)->copies <= seq) {
                i++;
            }
            bool have = i < v->n && relay_log_items_at(v, i)->first <= seq;
            assert_int_equal(have, m->live[g][seq]);
        }
    }
}

static void model_step(struct lt_world *w, struct model *m)
{
    static const char *const names[MODEL_GROUPS] = {"a", "b", "c"};
    size_t g = roll(m, MODEL_GROUPS);
    char text[600];
    if (roll(m, 2)) {
        uint64_t copies = roll(m, 4) ? 1 : 1 + roll(m, 4);
        size_t len = roll(m, sizeof(text) - 1);
        memset(text, 'm', len);
        text[len] = '\0';
        assert_int_equal(lt_put_item(w, names[g], m->next[g], copies, text), 0);
        for (uint64_t i = 0; i < copies; i++) {
            m->live[g][m->next[g]++] = true;
        }
    } else if (m->next[g] > 1) {
        lt_settle(w); /* only what counts is handed out */
        uint64_t seq = 1 + roll(m, (unsigned)m->next[g] - 1);
        lt_put_range(w, RELAY_LOG_LEASE, names[g], seq, 1);
        if (roll(m, 4)) {
            uint32_t n = 1 + roll(m, 20);
            lt_put_range(w, RELAY_LOG_ACK, names[g], seq, n);
            for (uint64_t i = seq; i < seq + n && i < m->next[g]; i++) {
                m->live[g][i] = false;
            }
        }
    }
}

/* Anything, with restarts, rotation and compaction: what lives is always the same. */
static void test_model(void **state)
{
    (void)state;
    struct lt_world *w = lt_world_new();
    struct model *m = calloc(1, sizeof(*m));
    struct relay_log_stats s;
    uint64_t compacted = 0;
    m->seed = 4711;
    for (size_t g = 0; g < MODEL_GROUPS; g++) {
        m->next[g] = 1;
    }
    for (int round = 0; round < MODEL_ROUNDS; round++) {
        for (int i = 0; i < MODEL_STEPS; i++) {
            model_step(w, m);
        }
        if (roll(m, 2)) {
            lt_settle(w);
        }
        if (roll(m, 4) == 0) {
            relay_log_compact(w->log);
            lt_settle(w);
        }
        relay_log_stats(w->log, &s);
        compacted += s.compacted;
        lt_reopen(w);
        model_check(w, m);
    }
    assert_true(compacted > 100);
    free(m);
    lt_world_free(w);
}

int nk_test_relay_log_model(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_model)};
    return cmocka_run_group_tests_name("relay/log_model", tests, NULL, NULL);
}
