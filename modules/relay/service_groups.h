/* SPDX-License-Identifier: MIT */
/* service_groups - the groups that the configuration of a relay names: [group NAME]. */
#ifndef NK_RELAY_SERVICE_GROUPS_H
#define NK_RELAY_SERVICE_GROUPS_H

#include "base/log.h"
#include "relay/queue_group.h"
#include "relay/relay.h"

/* The configuration in force, and who is told. All are borrowed. */
struct relay_service_groups {
    const struct relay_conf *conf;
    const struct nk_conf *ini;
    struct nk_log *log;
};

/* relay_service_groups_open - groups as `in` says, to be freed by relay_groups_free. 0, NK_ECONFIG,
 * -ENOMEM; *out is written only on success. */
int relay_service_groups_open(const struct relay_service_groups *in, struct relay_groups **out,
                              struct nk_diag *diag);

/* relay_service_groups_reload - new sections, limits and names; or, with a negative return, those
 * of `old` again, which have been in force and fit. */
int relay_service_groups_reload(const struct relay_service_groups *old, struct relay_groups *groups,
                                const struct relay_conf *conf, const struct nk_conf *ini,
                                struct nk_diag *diag);

#endif
