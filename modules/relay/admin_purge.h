/* SPDX-License-Identifier: MIT */
/* admin_purge - emptying groups for an administrator: asynchronous, as engines are. */
#ifndef NK_RELAY_ADMIN_PURGE_H
#define NK_RELAY_ADMIN_PURGE_H

#include <stddef.h>

#include "relay/engine.h"
#include "relay/queue_group.h"

struct nk_log;
struct nk_control_call;
struct relay_purger;

/* relay_purger_new - for one engine and its groups, both borrowed. 0 or -ENOMEM. */
int relay_purger_new(struct relay_engine *e, struct relay_groups *groups, struct nk_log *log,
                     struct relay_purger **out);

/* relay_purger_free - calls that were not answered are dead already (nk_control_close came first).
 * NULL is fine. */
void relay_purger_free(struct relay_purger *p);

/* relay_purger_answer - a request "purge dry|now GROUP..": answers {"groups":N,"objects":N} when
 * all of it is done; dry only counts. A group that does not exist is an error, and nothing is
 * purged. */
void relay_purger_answer(struct relay_purger *p, struct nk_control_call *call, size_t n,
                         char *const *words);

#endif
