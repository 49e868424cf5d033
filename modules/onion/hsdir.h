/* SPDX-License-Identifier: MIT */
/*
 * hsdir - services in directories of a tor that runs: its configuration, read and written as a
 * whole. Pure.
 *
 * All HiddenService.. options are one list, whose order says what belongs to which service, and
 * SETCONF of any of them replaces all of it (control-spec 3.1, HiddenServiceOptions). So it is
 * read, and written back with one service more or less.
 */
#ifndef NK_ONION_HSDIR_H
#define NK_ONION_HSDIR_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/err.h"
#include "onion/spec.h"
#include "tor/tor.h"

#define ONION_HSDIR_ASK "GETCONF HiddenServiceOptions"

/* onion_hsdir_each - every option of the reply, in order. An error of each, or NK_EPROTO. */
int onion_hsdir_each(const struct tor_reply *reply, onion_option_fn *each, void *arg,
                     struct nk_diag *diag);

/* onion_hsdir_has - does the reply to ONION_HSDIR_ASK have a service in dir? */
bool onion_hsdir_has(const struct tor_reply *reply, const char *dir);

/*
 * onion_hsdir_set - append to out the command after which tor has the services of the reply except
 * one in dir, and behind them the one in dir that spec says (NULL: none). NK_EPROTO for values that
 * cannot be read, NK_ETOOBIG, -ENOMEM.
 */
int onion_hsdir_set(struct nk_buf *out, const struct tor_reply *reply, const char *dir,
                    const struct onion_spec *spec, struct nk_diag *diag);

#endif
