/* SPDX-License-Identifier: MIT */
/*
 * An engine for tests over the queue core: operations wait for some turns, overtake those on other
 * groups, and fail, all at random from a seed. What an engine may do, this one does.
 */
#ifndef NK_RELAY_ENGINE_TESTKIT_H
#define NK_RELAY_ENGINE_TESTKIT_H

#include "relay/engine.h"

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

#endif
