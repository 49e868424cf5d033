/* SPDX-License-Identifier: MIT */
/*
 * An engine for tests over the queue core: operations wait for some turns, overtake those on other
 * groups, and fail, all at random from a seed. What an engine may do, this one does.
 */
#ifndef NK_RELAY_ENGINE_TESTKIT_H
#define NK_RELAY_ENGINE_TESTKIT_H

#include "relay/engine.h"
#include "relay/log_testkit.h"

struct relay_engine_chaos {
    uint32_t seed;
    unsigned fail_permille; /* of retain, enqueue and watch: -EIO instead */
    unsigned delay_percent; /* chance that an operation stays for another turn */
};

/* relay_engine_chaos_new - the memory engine behind these disturbances; conf is copied. 0 or
 * -ENOMEM; freed as any engine is. */
int relay_engine_chaos_new(struct nk_app *app, const struct relay_engine_chaos *conf,
                           struct relay_engine **out);

/* relay_engine_chaos_fail - change the rate of failures from now on. */
void relay_engine_chaos_fail(struct relay_engine *e, unsigned permille);

/* The engines that a suite runs over. */
enum relay_engine_kind { RELAY_OVER_MEMORY, RELAY_OVER_CHAOS, RELAY_OVER_LOG };

/* relay_engine_testkit_open - one of them. The log makes its directory and leaves its name in dir,
 * which is untouched otherwise; the caller removes it. What the engine's constructor returns. */
int relay_engine_testkit_open(enum relay_engine_kind over, const struct relay_engine_chaos *chaos,
                              struct nk_app *app, struct relay_groups *groups,
                              struct relay_memory *memory, char dir[RELAY_LOG_TESTKIT_DIR],
                              struct relay_engine **out);

#endif
