/* SPDX-License-Identifier: MIT */
/*
 * invite - what a service's owner gives to somebody who shall get in, so that no private key ever
 * travels:
 *
 *     onion-auth:v1?addr=ADDRESS&name=NICKNAME
 *
 * ADDRESS is that of the service without ".onion"; NICKNAME, what its owner will call the client,
 * may be missing. The answer is the client's public line, descriptor:x25519:KEY.
 */
#ifndef NK_HS_INVITE_H
#define NK_HS_INVITE_H

#include <stdint.h>

#include "base/err.h"
#include "base/onion.h"
#include "hs/key.h"
#include "hs/slug.h"

#define HS_INVITE_PREFIX "onion-auth:v1?"
#define HS_INVITE_MAX (sizeof(HS_INVITE_PREFIX "addr=&name=") + NK_ONION_LABEL + HS_SLUG_MAX)

struct hs_invite {
    uint8_t address[HS_PUBLIC_KEY];
    char name[HS_SLUG_MAX + 1]; /* "" when it has none */
};

/* hs_invite_format - the line, without its end. */
void hs_invite_format(char out[HS_INVITE_MAX], const struct hs_invite *in);

/* hs_invite_parse - white space around it does not matter. NK_EVERSION for another version,
 * NK_EFORMAT with field and reason; out is untouched then. */
int hs_invite_parse(struct hs_invite *out, const char *text, struct nk_diag *diag);

#endif
