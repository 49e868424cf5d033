/* SPDX-License-Identifier: MIT */
/* apply_cli - what `netkit hs apply` and `netkit hs watch` share. */
#ifndef NK_HS_APPLY_CLI_H
#define NK_HS_APPLY_CLI_H

#include "base/cmd.h"
#include "hs/preflight.h"
#include "hs/tor_process.h"

/* The directories, all of one owner. */
struct hs_targets {
    struct hs_target *v;
    size_t n;
    uid_t uid;
};

/* hs_targets_init - of the words; NK_EUSAGE when owners differ. Clear it in any case. */
int hs_targets_init(struct hs_targets *l, char *const *paths, size_t n, struct nk_diag *diag);
void hs_targets_clear(struct hs_targets *l);

/* hs_sight_json - what tor sees of a directory, as an object. */
void hs_sight_json(struct nk_json *j, const struct hs_target *t, const struct hs_sight *sight);

#endif
