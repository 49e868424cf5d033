/* SPDX-License-Identifier: MIT */
/*
 * tor_process - the tor that reads our directories: found by its number or its PidFile, recognised,
 * and told to load its configuration and keys again (SIGHUP).
 */
#ifndef NK_HS_TOR_PROCESS_H
#define NK_HS_TOR_PROCESS_H

#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

/* Which process it is to be. */
struct hs_tor_conf {
    int64_t pid;          /* 0: not given */
    const char *pid_file; /* or NULL */
    uid_t uid;            /* the owner of the directories: another user's tor cannot read them */
};

/* A running tor. {.pidfd = -1} is none. */
struct hs_tor {
    pid_t pid;
    int pidfd; /* readable once it has ended; -1 where the kernel has none */
};

/*
 * hs_tor_find - the process that is meant. It has to be called "tor", to run as conf->uid, and to
 * catch SIGHUP, which would end it otherwise (as it does while a tor is starting). NK_EUSAGE when
 * neither number nor file is given, or both; -ESRCH when there is no such process; NK_EAUTH when it
 * is another one; errors of reading the file.
 */
int hs_tor_find(struct hs_tor *t, const struct hs_tor_conf *conf, struct nk_diag *diag);

/* hs_tor_reload - SIGHUP; never to another process that got the same number meanwhile. 0, -ESRCH,
 * -EPERM. */
int hs_tor_reload(const struct hs_tor *t, struct nk_diag *diag);

/* hs_tor_close - forget it; safe on none. */
void hs_tor_close(struct hs_tor *t);

#endif
