/* SPDX-License-Identifier: MIT */
/*
 * key - the two kinds of long-term keys of onion services (rend-spec-v3): a service's Ed25519
 * identity, which is its address, and a client's X25519 key for restricted services.
 *
 * A service's secret is the expanded one of RFC 8032: the scalar a (32 bytes, little endian) and
 * the prefix r of the nonce hash. tor and mkp224o keep the scalar clamped, arti keeps it reduced
 * modulo the group order; both name the same key and give the same signatures. So a scalar is kept
 * exactly as it was found, and keys are the same when their public halves are. From an expanded
 * secret nobody gets back to the seed it came from.
 *
 * These structs hold secrets in place: keep them short-lived and wipe them with hs_identity_wipe
 * and hs_client_wipe. Functions that fail leave *k untouched; what
 * they read may lie in *k.
 */
#ifndef NK_HS_KEY_H
#define NK_HS_KEY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

enum {
    HS_PUBLIC_KEY = 32,      /* bytes of either public key */
    HS_SEED = 32,            /* RFC 8032's private key */
    HS_SCALAR = 32,          /* a, the first half of an expanded secret */
    HS_EXPANDED = 64,        /* a | r */
    HS_CLIENT_SECRET = 32,   /* X25519, RFC 7748 */
    HS_FINGERPRINT_SIZE = 9, /* eight characters and NUL */
};

/* A service's identity. */
struct hs_identity {
    uint8_t pub[HS_PUBLIC_KEY];
    uint8_t secret[HS_EXPANDED]; /* a | r exactly as found */
    uint8_t seed[HS_SEED];
    bool has_secret;
    bool has_seed; /* implies has_secret */
};

/* A client's key for a service's descriptors. */
struct hs_client {
    uint8_t pub[HS_PUBLIC_KEY];
    uint8_t secret[HS_CLIENT_SECRET]; /* as found, clamped or not */
    bool has_secret;
};

/* hs_identity_new - a random seed, expanded and clamped as tor does it. 0, or NK_EINTERNAL. */
int hs_identity_new(struct hs_identity *k);

/* hs_identity_from_seed - expand a seed (RFC 8032 5.1.5). 0; NK_EINTERNAL, which no seed gives. */
int hs_identity_from_seed(struct hs_identity *k, const uint8_t seed[HS_SEED]);

/* hs_identity_from_expanded - a | r; the public key is computed. Clamped, reduced and any other
 * scalar is taken as it is, except one that is zero modulo the group order: NK_EFORMAT. */
int hs_identity_from_expanded(struct hs_identity *k, const uint8_t expanded[HS_EXPANDED],
                              struct nk_diag *diag);

/* hs_identity_from_public - NK_EFORMAT for what cannot be an identity (nk_onion_key_check). */
int hs_identity_from_public(struct hs_identity *k, const uint8_t pub[HS_PUBLIC_KEY],
                            struct nk_diag *diag);

/* hs_identity_reduced - a modulo the group order | r, as arti stores it. k->has_secret is required;
 * the caller wipes out. */
void hs_identity_reduced(uint8_t out[HS_EXPANDED], const struct hs_identity *k);

/* hs_identity_is_clamped - is the scalar in the clamped form of RFC 8032? k->has_secret is
 * required. */
bool hs_identity_is_clamped(const struct hs_identity *k);

/* hs_client_new - a random secret, clamped as tor does it. 0, or NK_EINTERNAL. */
int hs_client_new(struct hs_client *k);

/* hs_client_from_secret - the public key is computed. NK_EFORMAT for zero and for what clamping
 * turns into the same key as zero: everybody knows that one, and tor refuses it. */
int hs_client_from_secret(struct hs_client *k, const uint8_t secret[HS_CLIENT_SECRET],
                          struct nk_diag *diag);

/*
 * hs_client_from_public - NK_EFORMAT for zero, points of small order and encodings that are not
 * canonical. With a point of small order X25519 gives zero whatever the other side's key: whoever
 * knows the address could open the descriptor. tor and arti take such keys without a word.
 */
int hs_client_from_public(struct hs_client *k, const uint8_t pub[HS_PUBLIC_KEY],
                          struct nk_diag *diag);

/* Are these the same keys, by their public halves? */
bool hs_identity_same(const struct hs_identity *a, const struct hs_identity *b);
bool hs_client_same(const struct hs_client *a, const struct hs_client *b);

/* hs_client_fingerprint - eight lower-case characters that people can compare: the first 40 bits of
 * SHA3-256(pub) in base32. Not a security check by itself. */
void hs_client_fingerprint(char out[HS_FINGERPRINT_SIZE], const uint8_t pub[HS_PUBLIC_KEY]);

/* Overwrite everything, the public half too. */
void hs_identity_wipe(struct hs_identity *k);
void hs_client_wipe(struct hs_client *k);

#endif
