/* SPDX-License-Identifier: MIT */
/*
 * onion - addresses of onion services, version 3 (rend-spec-v3 [ONIONADDRESS], address-spec):
 *
 *     base32(PUBLIC[32] | CHECKSUM[2] | VERSION[1]) ".onion"
 *     CHECKSUM = SHA3-256(".onion checksum" | PUBLIC | VERSION)[0..2), VERSION = 3
 *
 * The address is the service's Ed25519 identity key; nothing here touches the network.
 */
#ifndef NK_BASE_ONION_H
#define NK_BASE_ONION_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define NK_ONION_KEY 32                    /* bytes of an Ed25519 public key */
#define NK_ONION_LABEL 56                  /* characters before ".onion" */
#define NK_ONION_SIZE (NK_ONION_LABEL + 7) /* with ".onion" and NUL */
#define NK_ONION_V2_LABEL 16               /* characters of the retired version 2 */

/* nk_onion_format - the address of a public key, lower-case, with ".onion". Any 32 bytes are
 * encoded; whether they are a usable key is nk_onion_key_check's to say. */
void nk_onion_format(char out[NK_ONION_SIZE], const uint8_t key[NK_ONION_KEY]);

/*
 * nk_onion_parse - the public key in an address of len characters, either case, with or without
 * ".onion"; subdomains are refused. Errors, in this order: NK_EVERSION for version 2 and unknown
 * versions, NK_EFORMAT for everything else (length, alphabet, checksum, a key that is none), each
 * with a text that says what is wrong. key is untouched on failure.
 */
int nk_onion_parse(uint8_t key[NK_ONION_KEY], const char *s, size_t len, struct nk_diag *diag);

/* nk_onion_key_check - is this a point that a service can have as its identity: canonical, on the
 * curve, not of small order and without torsion? (tor and arti refuse others.) 0 or NK_EFORMAT. */
int nk_onion_key_check(const uint8_t key[NK_ONION_KEY], struct nk_diag *diag);

#endif
