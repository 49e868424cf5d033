/* SPDX-License-Identifier: MIT */
/*
 * krl - OpenSSH's revocation lists (its PROTOCOL.krl): keys and their fingerprints, and
 * certificates by serial number and by name, of one authority or of all. Pure; nothing is
 * allocated. The list is looked through for each key, which costs as much as its sections are long:
 * serial numbers of a range or a bitmap cost the same, however many they are.
 *
 * What cannot be understood revokes everything: a critical extension, a section of an unknown type,
 * a later version of the format, a signature (OpenSSH never verified them and makes none; what
 * protects the list is who may write the file).
 */
#ifndef SSH_KRL_H
#define SSH_KRL_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "ssh/pubkey.h"

enum { SSH_KRL_MAX = 16 * 1024 * 1024 }; /* bytes of a list */

/* ssh_krl_is - does the file begin like a list? */
bool ssh_krl_is(const void *p, size_t n);

/* ssh_krl_check - is all of it well-formed and understood? 0, NK_EFORMAT, NK_EUNSUPPORTED. */
int ssh_krl_check(struct ssh_str list, struct nk_diag *diag);

/*
 * ssh_krl_revoked - is this key or certificate? plain: its blob without the certificate. Of a
 * certificate the key itself, its serial number and name, and its authority's key count; a serial
 * number of 0 is none, as for OpenSSH. 1, 0, or as ssh_krl_check.
 */
int ssh_krl_revoked(struct ssh_str list, const struct ssh_public *k, struct ssh_str plain,
                    struct nk_diag *diag);

#endif
