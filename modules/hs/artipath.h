/* SPDX-License-Identifier: MIT */
/*
 * artipath - names of files in arti's keystore, relative to it.
 *
 *     client/ADDRESS/ks_hsc_desc_enc.x25519_private            a client's key for a service
 *     client/CLIENT/ADDRESS/ks_hsc_desc_enc.x25519_private     the same, as once designed: read
 * only hss/SERVICE/ks_hs_id.ed25519_expanded_private            a service's identity
 *     hss/SERVICE/kp_hs_id.ed25519_public                      its public half, the secret offline
 *     hss/SERVICE/ks_hs_blind_id+N_LEN_OFFSET.ed25519_expanded_private, kp_.. .ed25519_public
 *     hss/SERVICE/ks_hs_desc_sign+N_LEN_OFFSET.ed25519_private
 *     hss/SERVICE/ipts/k_sid+HEX.ed25519_private, ipts/k_hss_ntor+HEX.x25519_private
 *
 * Directories are slugs (slug.h); the last part is a slug, denotators ("+a+b"), and a type. ADDRESS
 * has no ".onion" and is in lower case.
 */
#ifndef NK_HS_ARTIPATH_H
#define NK_HS_ARTIPATH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/file.h"
#include "hs/format.h"
#include "hs/slug.h"

/* X(constant, part before denotators, type, kind of key, form of its file, summary). */
#define HS_ROLES(X)                                                                                \
    X(HS_ROLE_CLIENT, "ks_hsc_desc_enc", "x25519_private", HS_CLIENT, HS_ARTI_PRIVATE,             \
      "client key")                                                                                \
    X(HS_ROLE_ID, "ks_hs_id", "ed25519_expanded_private", HS_IDENTITY, HS_ARTI_PRIVATE,            \
      "identity")                                                                                  \
    X(HS_ROLE_ID_PUBLIC, "kp_hs_id", "ed25519_public", HS_IDENTITY, HS_ARTI_PUBLIC,                \
      "public identity")                                                                           \
    X(HS_ROLE_BLIND, "ks_hs_blind_id", "ed25519_expanded_private", HS_IDENTITY, HS_ARTI_PRIVATE,   \
      "blinded identity")                                                                          \
    X(HS_ROLE_BLIND_PUBLIC, "kp_hs_blind_id", "ed25519_public", HS_IDENTITY, HS_ARTI_PUBLIC,       \
      "public blinded identity")                                                                   \
    X(HS_ROLE_SIGN, "ks_hs_desc_sign", "ed25519_private", HS_IDENTITY, HS_OPENSSH,                 \
      "descriptor signing key")                                                                    \
    X(HS_ROLE_SID, "k_sid", "ed25519_private", HS_IDENTITY, HS_OPENSSH, "introduction point key")  \
    X(HS_ROLE_NTOR, "k_hss_ntor", "x25519_private", HS_CLIENT, HS_ARTI_PRIVATE,                    \
      "introduction point handshake key")

#define HS_ROLE_ENUM(constant, slug, type, kind, form, summary) constant,
enum hs_role { HS_ROLES(HS_ROLE_ENUM) HS_NROLES, HS_ROLE_OTHER = HS_NROLES };
#undef HS_ROLE_ENUM

/* What is known of a role. */
struct hs_role_info {
    const char *slug, *type;
    enum hs_kind kind;
    enum hs_format form;
    const char *summary;
};

/* hs_role_info - static; role is not HS_ROLE_OTHER. */
const struct hs_role_info *hs_role_info(enum hs_role role);

/* What a name says. */
struct hs_artipath {
    enum hs_role role;             /* HS_ROLE_OTHER: well-formed, but nothing that netkit knows */
    char service[HS_SLUG_MAX + 1]; /* of hss/..; else "" */
    char client[HS_SLUG_MAX + 1];  /* of client/CLIENT/..; else "" */
    bool has_address;
    uint8_t address[HS_PUBLIC_KEY];
    bool has_period;                                /* of blinded and signing keys */
    uint64_t period, period_minutes, period_offset; /* the offset in seconds */
};

/* hs_artipath_parse - read a name. 0; NK_EFORMAT with what is wrong when it is not of arti's
 * grammar or a role stands in the wrong directory; out is untouched then. */
int hs_artipath_parse(const char *path, struct hs_artipath *out, struct nk_diag *diag);

/* The names that netkit writes, into out (max bytes); NK_ETOOBIG. */
int hs_artipath_client(char *out, size_t max, const uint8_t address[HS_PUBLIC_KEY]);
int hs_artipath_identity(char *out, size_t max, const char *service);

#endif
