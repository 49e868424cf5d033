/* SPDX-License-Identifier: MIT */
/*
 * preflight - what tor would do with a directory if it read it now: nothing is applied while that
 * would end tor, destroy a key, or open a restricted service to everybody.
 */
#ifndef NK_HS_PREFLIGHT_H
#define NK_HS_PREFLIGHT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "hs/auth.h"
#include "hs/finding.h"

/* A directory that tor reads: of a service, or of its keys as a client. */
struct hs_target {
    const char *path;    /* borrowed */
    bool service;        /* else a ClientOnionAuthDir */
    uid_t uid;           /* its owner */
    struct hs_auth auth; /* of a service; open between hs_target_open and _close */
};

/* What is to happen to a service without clients. */
enum hs_empty {
    HS_EMPTY_REFUSE, /* an error, if there is a sign that it should be restricted */
    HS_EMPTY_LOCK,   /* HS_AUTH_LOCK keeps it closed, sign or no sign */
    HS_EMPTY_PUBLIC  /* it is open to everybody */
};

/* What tor will see. */
struct hs_sight {
    uint8_t digest[HS_AUTH_DIGEST]; /* of all keys in force */
    bool restricted;
    size_t clients; /* who can get in; of a ClientOnionAuthDir: services with a key */
};

/* hs_target_init - find out what kind of directory it is; an empty one is taken for a
 * ClientOnionAuthDir. NK_EUSAGE for any that tor does not read. */
int hs_target_init(struct hs_target *t, const char *path, struct nk_diag *diag);

/* hs_target_open - look at it as it is now; a service's is locked against changes by others until
 * hs_target_close unless `reading`. NK_ELOCKED. */
int hs_target_open(struct hs_target *t, bool reading, struct nk_diag *diag);
void hs_target_close(struct hs_target *t);

/*
 * hs_preflight - t is open. Everything that is wrong goes to findings: errors forbid that tor sees
 * it. HS_EMPTY_LOCK needs a target that was not opened for reading only. 0, or an error that kept
 * it from looking.
 */
int hs_preflight(struct hs_target *t, enum hs_empty empty, struct hs_sight *sight,
                 struct hs_findings *findings, struct nk_diag *diag);

#endif
