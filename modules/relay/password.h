/* SPDX-License-Identifier: MIT */
/*
 * password - the shared password of a relay and its endpoints: file, quality, generation.
 *
 * On tlspyo's wire the password stands in every frame towards the relay, so it must be valid UTF-8
 * (stock programs encode it so) and is bounded in length. It never appears in argv, logs or errors.
 */
#ifndef NK_RELAY_PASSWORD_H
#define NK_RELAY_PASSWORD_H

#include "base/err.h"
#include "base/secret.h"

#define RELAY_PASSWORD_MAX 1024 /* bytes of UTF-8 */

/*
 * relay_password_load - read the password from the first line of a file ("-": standard input) into
 * guarded memory. out must be zeroed or hold an older password, which is replaced on success only.
 * Returns 0; NK_ECONFIG when the file is missing or empty, has several lines, is not UTF-8 or too
 * long; NK_EBADMODE when others can read it; -errno. diag names the file and the remedy.
 */
int relay_password_load(const char *path, struct nk_secret *out, struct nk_diag *diag);

/*
 * relay_password_weakness - why this password could be guessed, as a static phrase that completes
 * "the password is weak: it ...", or NULL when nothing speaks against it. An estimate (length,
 * kinds of characters, repetition, well-known words), not a proof.
 */
const char *relay_password_weakness(const struct nk_secret *pw);

/*
 * relay_password_create - write a new random password (130 bits, base32 and a newline) to a file of
 * mode 0600. Returns 0, -EEXIST when path exists (untouched), or -errno with diag.
 */
int relay_password_create(const char *path, struct nk_diag *diag);

#endif
