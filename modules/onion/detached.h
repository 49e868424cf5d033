/* SPDX-License-Identifier: MIT */
/*
 * detached - what netkit keeps of a detached service that has a name: tor has it, no process of
 * ours does, so its clients can be changed only by who knows its key and all its options. They
 * stand in the file `detached` of the service's folder, as the section [onion NAME] that it would
 * be; beside it are its key and its directory of authorised clients.
 */
#ifndef NK_ONION_DETACHED_H
#define NK_ONION_DETACHED_H

#include "base/cmd.h"
#include "onion/serve.h"

/*
 * onion_detached_write - into folder (dir), 0600, replacing one that is there: conf, with the
 * clients that it names as keys. Nothing is written, and an old file goes, for a service that could
 * not be added again (its key is kept nowhere) or whose clients are files of tor's.
 */
int onion_detached_write(const char *dir, const char *name, const struct onion_serve_conf *conf,
                         const struct onion_clients *clients, struct nk_diag *diag);

/* onion_detached_forget - the service is no longer one. */
void onion_detached_forget(const char *dir);

/*
 * onion_detached_clients - all of `onion clients NAME` for such a service. words are those of
 * onion_gate_verb: "clients list FORM", "clients add CLIENT LINE", "clients remove CLIENT"
 * (words[3] NULL). A change is made in the directory, and then tor gets the service anew
 * (DEL_ONION, ADD_ONION). -ENOENT, with diag untouched, when there is no such service.
 */
int onion_detached_clients(struct nk_cmd_ctx *ctx, const char *dir, const char *const *words);

#endif
