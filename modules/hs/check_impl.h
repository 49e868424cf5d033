/* SPDX-License-Identifier: MIT */
/* check_impl - what the files of check.h share. */
#ifndef NK_HS_CHECK_IMPL_H
#define NK_HS_CHECK_IMPL_H

#include "base/buf.h"
#include "hs/check.h"
#include "hs/place.h"
#include "hs/trust.h"

/* A check at work. */
struct hs_check {
    struct hs_findings *l;
    struct hs_trust trust;
    int64_t now;
};

/* One for each kind of place; 0, or an error that kept it from looking. */
int hs_check_service(struct hs_check *c, const struct hs_place *p, struct nk_diag *diag);
int hs_check_authorized(struct hs_check *c, const struct hs_place *p, struct nk_diag *diag);
int hs_check_clients(struct hs_check *c, const struct hs_place *p, struct nk_diag *diag);
int hs_check_keystore(struct hs_check *c, const struct hs_place *p, struct nk_diag *diag);

/* hs_check_path - p's path and the name in one, as findings show it. */
void hs_check_path(char out[NK_PATH_MAX], const struct hs_place *p, const char *name);

/* hs_check_read - hs_place_read into b (initialised here, secret; clear it in any case); a failure
 * becomes an error in the list and false. */
bool hs_check_read(struct hs_check *c, const struct hs_place *p, const char *name,
                   struct nk_buf *b);

/* hs_check_leftover - is it what an interrupted write left? Then a note says so. */
bool hs_check_leftover(struct hs_check *c, const struct hs_place *p, const char *name);

/* hs_check_auth_line / hs_check_auth_private_line - what arti does not take, or takes otherwise
 * than tor, in a line that is well-formed. */
struct hs_auth_oddities;
void hs_check_oddities(struct hs_check *c, const char *path, const struct hs_auth_oddities *odd);

#endif
