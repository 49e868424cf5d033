/* SPDX-License-Identifier: MIT */
#include "hs/apply_cli.h"

#include <stdlib.h>

int hs_apply_check(const struct hs_apply_conf *c, struct nk_diag *diag)
{
    return c->restrict_it && c->allow_public
               ? nk_fail(diag, NK_EUSAGE, "--restrict and --allow-public contradict each other")
               : 0;
}

enum hs_empty hs_apply_empty(const struct hs_apply_conf *c, bool was_restricted)
{
    return c->allow_public                    ? HS_EMPTY_PUBLIC
           : c->restrict_it || was_restricted ? HS_EMPTY_LOCK
                                              : HS_EMPTY_REFUSE;
}

int hs_targets_init(struct hs_targets *l, char *const *paths, size_t n, struct nk_diag *diag)
{
    *l = (struct hs_targets){.v = calloc(n, sizeof(*l->v))};
    int rc = l->v ? 0 : nk_fail(diag, -ENOMEM, "out of memory");
    for (size_t i = 0; rc == 0 && i < n; i++) {
        rc = hs_target_init(&l->v[i], paths[i], diag);
        if (rc == 0) {
            l->n++;
            l->uid = l->v[0].uid;
        }
        if (rc == 0 && l->v[i].uid != l->uid) {
            nk_fail(diag, NK_EUSAGE,
                    "%s and %s belong to different users: one tor cannot read both", paths[0],
                    paths[i]);
            rc = NK_EUSAGE;
        }
    }
    return rc;
}

void hs_targets_clear(struct hs_targets *l)
{
    for (size_t i = 0; i < l->n; i++) {
        hs_target_close(&l->v[i]);
    }
    free(l->v);
    *l = (struct hs_targets){0};
}

void hs_sight_json(struct nk_json *j, const struct hs_target *t, const struct hs_sight *sight)
{
    nk_json_object(j);
    nk_json_kv_str(j, "directory", t->path);
    nk_json_kv_str(j, "kind", t->service ? "service" : "clients");
    if (t->service) {
        nk_json_kv_bool(j, "restricted", sight->restricted);
        nk_json_kv_u64(j, "authorized", sight->clients);
    } else {
        nk_json_kv_u64(j, "keys", sight->clients);
    }
    nk_json_close(j);
}
