/* SPDX-License-Identifier: MIT */
/*
 * ctor_dir - tor's directory of one onion service (HiddenServiceDir): hs_ed25519_secret_key,
 * hs_ed25519_public_key, hostname.
 *
 * tor makes a new identity and overwrites the file when it finds a secret key that it cannot read
 * and no public key beside it. So the public half is written first and the secret one last, and
 * what is read is checked before tor sees it.
 */
#ifndef NK_HS_CTOR_DIR_H
#define NK_HS_CTOR_DIR_H

#include "base/err.h"
#include "hs/key.h"
#include "hs/place.h"

#define HS_CTOR_SECRET_FILE "hs_ed25519_secret_key"
#define HS_CTOR_PUBLIC_FILE "hs_ed25519_public_key"
#define HS_CTOR_HOSTNAME_FILE "hostname"
#define HS_CTOR_CLIENTS_DIR "authorized_clients"

/*
 * hs_ctor_dir_read - the identity in a directory; without its secret half when only the public key
 * is there. The two halves must belong together; the file hostname, which tor writes anew at every
 * start, does not count. -ENOENT when there is no key; NK_EBADMODE when others can get in;
 * NK_EFORMAT with file, field and reason. The caller wipes out.
 */
int hs_ctor_dir_read(const char *path, struct hs_identity *out, struct nk_diag *diag);

/* hs_ctor_place_read - the same for an open directory, whatever its mode. */
int hs_ctor_place_read(const struct hs_place *p, struct hs_identity *out, struct nk_diag *diag);

/*
 * hs_ctor_dir_write - write the three files of an identity that has its secret half; the directory
 * is made, mode 0700, or must be closed to others. -EEXIST, and nothing is changed, when there is a
 * key in it, unless it is the public half of this very key: an interrupted write is completed. On
 * failure what was written is removed.
 */
int hs_ctor_dir_write(const char *path, const struct hs_identity *k, struct nk_diag *diag);

#endif
