/* SPDX-License-Identifier: MIT */
/* live_way - inside onion: which way tor is told of each directory (live.h). */
#ifndef NK_ONION_LIVE_WAY_H
#define NK_ONION_LIVE_WAY_H

#include "onion/live.h"

/* onion_live_same_dir - do both paths mean one directory, as far as can be seen from here? */
bool onion_live_same_dir(const char *a, const char *b);

/* onion_live_torrc - the services that a torrc has: the values of its lines HiddenServiceDir, added
 * to out. 0; NK_EUNSUPPORTED when it includes other files; -errno when it cannot be read. */
int onion_live_torrc(const char *path, struct nk_strlist *out);

/*
 * onion_live_choose - l->dirs, client_dir are what tor has; detached: labels of the detached
 * services, len bytes of lines; torrc: its file, or NULL. Every target gets its way, l->tell says
 * how tor reads its own. -ENOENT for a service that tor has not got; NK_EUSAGE for a detached one
 * without ports; NK_ECONFIG when a reload is needed and would drop another service.
 */
int onion_live_choose(struct onion_live *l, const char *detached, size_t len, const char *torrc,
                      struct nk_diag *diag);

#endif
