/* SPDX-License-Identifier: MIT */
/*
 * admin - what an administrator can ask a running relay: its groups, its connections, and to close
 * some of them. The requests come through the control socket of the service (core/control.h), from
 * `netkit relay groups` and its like.
 */
#ifndef NK_RELAY_ADMIN_H
#define NK_RELAY_ADMIN_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"

struct nk_control_call;
struct relay_hub;

/* relay_admin_groups - append the hub's groups, oldest first, at most `max` of them (0: all): as
 * {"schema":1,"total":N,"groups":[..]}, or as a table. 0, NK_ETOOBIG, -ENOMEM. */
int relay_admin_groups(const struct relay_hub *h, bool json, size_t max, struct nk_buf *out);

/* relay_admin_endpoints - the same for connections, "endpoints". */
int relay_admin_endpoints(const struct relay_hub *h, bool json, size_t max, struct nk_buf *out);

/* What to close: any that matches one of the words, or is in one of the groups. */
struct relay_admin_kick {
    char *const *words; /* a connection's number, or the address of its peer */
    size_t nwords;
    char *const *groups;
    size_t ngroups;
};

/* relay_admin_kick - close connections now; what they had not acknowledged goes to others. Returns
 * how many were closed, or NK_EUSAGE when a word or group matches none (then nothing is closed;
 * diag says which), -ENOMEM. */
int relay_admin_kick(struct relay_hub *h, const struct relay_admin_kick *what,
                     struct nk_diag *diag);

/*
 * relay_admin_answer - answer a request of the control socket that is about the hub:
 *     groups json|table MAX      endpoints json|table MAX
 *     kick (connection WORD | group NAME)..      how many were closed, as {"closed":N}
 */
void relay_admin_answer(struct relay_hub *h, struct nk_control_call *call, size_t n,
                        char *const *words);

#endif
