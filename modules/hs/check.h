/* SPDX-License-Identifier: MIT */
/*
 * check - what is wrong with keys on disk, found without a network and before tor or arti sees
 * them: more than tor says at its start, and than arti's check-integrity.
 *
 * The texts say what the programs make of it, as measured with tor 0.4.9 and read in arti 2.5. A
 * check changes nothing, except that `fix` corrects modes.
 */
#ifndef NK_HS_CHECK_H
#define NK_HS_CHECK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "hs/finding.h"

/* X(constant, name, summary) */
#define HS_PLACES(X)                                                                               \
    X(HS_PLACE_SERVICE, "service", "tor's directory of a service")                                 \
    X(HS_PLACE_AUTHORIZED, "authorized", "a directory of authorised clients")                      \
    X(HS_PLACE_CLIENTS, "clients", "tor's directory of a client's keys")                           \
    X(HS_PLACE_KEYSTORE, "keystore", "arti's keystore")                                            \
    X(HS_PLACE_FILE, "file", "a key file")

#define HS_PLACE_ENUM(constant, name, summary) constant,
enum hs_place_kind { HS_PLACES(HS_PLACE_ENUM) HS_NPLACES, HS_PLACE_DETECT = HS_NPLACES };
#undef HS_PLACE_ENUM

/* hs_place_kind_name / _summary - of a kind that is not HS_PLACE_DETECT. */
const char *hs_place_kind_name(enum hs_place_kind kind);
const char *hs_place_kind_summary(enum hs_place_kind kind);

struct hs_check_conf {
    enum hs_place_kind kind; /* HS_PLACE_DETECT: find out */
    bool fix;                /* correct modes (trust.h) */
    int64_t now;             /* seconds since 1970, for keys whose time is over */
};

/*
 * hs_check - add what is found at path to l. *kind (may be NULL) is what it was taken for; arti's
 * state directory is taken for its keystore. 0, whatever was found; -ENOENT and other errors of
 * opening it; NK_EUSAGE when it does not tell what it is. hs_findings_end tells whether l is whole.
 */
int hs_check(const char *path, const struct hs_check_conf *conf, struct hs_findings *l,
             enum hs_place_kind *kind, struct nk_diag *diag);

#endif
