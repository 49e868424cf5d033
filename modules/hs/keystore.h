/* SPDX-License-Identifier: MIT */
/*
 * keystore - arti's keystore (artipath.h has its names): clients' keys for store.h, and identities
 * of services.
 */
#ifndef NK_HS_KEYSTORE_H
#define NK_HS_KEYSTORE_H

#include <stdbool.h>
#include <stdint.h>

#include "hs/artipath.h"
#include "hs/place.h"
#include "hs/store.h"

#define HS_KEYSTORE_DIR "keystore" /* its name in the state directory, ours and arti's */

/* hs_keystore_in_use - does an arti run on the state directory that this keystore is in? (It holds
 * the lock of ../state.lock then.) */
bool hs_keystore_in_use(const struct hs_place *p);

/* hs_keystore_files - the names, relative to the keystore, of all that is no directory, and with
 * dirs of all directories, too (those end in '/'); sorted within each directory. Errors as
 * hs_place_list; diag says where. */
int hs_keystore_files(const struct hs_place *p, bool dirs, struct hs_names *out,
                      struct nk_diag *diag);

/* hs_keystore_list - as hs_store_list. */
int hs_keystore_list(const struct hs_place *p, struct hs_client_entries *out, struct nk_diag *diag);

/* hs_keystore_read - the key in a file whose name was understood (role is not HS_ROLE_OTHER); its
 * contents must be what the name says. The caller wipes out. */
int hs_keystore_read(const struct hs_place *p, const char *name, const struct hs_artipath *path,
                     struct hs_item *out, struct nk_diag *diag);

/* hs_keystore_write - write a key under a name that is not there; flags: HS_PLACE_OVERWRITE.
 * Directories are made. */
int hs_keystore_write(const struct hs_place *p, const char *name, unsigned flags,
                      const struct hs_item *item, struct nk_diag *diag);

/* hs_keystore_remove - remove a file, and its directories when they are empty then. */
int hs_keystore_remove(const struct hs_place *p, const char *name, struct nk_diag *diag);

/* hs_keystore_identity_read - the identity of a service in the keystore in dir; without the secret
 * half when only the public one is there. -ENOENT, NK_EBADMODE, NK_EFORMAT. The caller wipes out.
 */
int hs_keystore_identity_read(const char *dir, const char *service, struct hs_identity *out,
                              struct nk_diag *diag);

/* hs_keystore_identity_write - store an identity that has its secret half, as arti writes it.
 * -EEXIST when the service has a key, with a hint how to show it. */
int hs_keystore_identity_write(const char *dir, const char *service, const struct hs_identity *k,
                               struct nk_diag *diag);

/* hs_keystore_state_dir - arti's state directory that the keystore in dir, which need not exist, is
 * in; where the clients of services are. -ENOENT: its name is not "keystore", so there is none.
 * NK_ETOOBIG. */
int hs_keystore_state_dir(char out[NK_PATH_MAX], const char *dir);

/* hs_keystore_services - names of the services that have a directory in the keystore. */
int hs_keystore_services(const struct hs_place *p, struct hs_names *out, struct nk_diag *diag);

#endif
