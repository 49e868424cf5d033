/* SPDX-License-Identifier: MIT */
/*
 * identity - who may log in to a relay, and with what. A set is filled, sealed, then shared and
 * never changed: a reload makes a new one and connections keep the one they started with. Pure.
 *
 * Several passwords or keys of one identity are valid at the same time, so that they can be changed
 * without a moment at which nobody gets in.
 */
#ifndef NK_RELAY_IDENTITY_H
#define NK_RELAY_IDENTITY_H

#include "base/err.h"
#include "base/secret.h"
#include "relay/login.h"

#define RELAY_IDENTITY_DEFAULT "default" /* who shows the password of [relay] */
#define RELAY_PASSWORDS_MAX 64           /* of all identities together */
#define RELAY_CERT_TEXT 256              /* bytes of a certificate rule's text */
#define RELAY_PEER_NAMES 1024            /* bytes of what is known about a peer's certificate */

struct relay_identity;

/* One password; read only. */
struct relay_password {
    struct nk_secret text; /* as tlspyo's wire shows it */
    struct nk_secret prs;  /* stretched; empty until relay_identities_stretch */
    const struct relay_identity *identity;
    bool continued; /* another password begins with this one */
};

/* One identity; read only. */
struct relay_identity {
    char name[RELAY_IDENTITY_MAX + 1];
    struct relay_cert_rule *certs;
    size_t ncerts;
    uint8_t (*keys)[RELAY_LOGIN_KEY_BYTES];
    size_t nkeys;
    int64_t *uids;
    size_t nuids;
    struct relay_identity *next;
};

/* What is known of a peer without asking it. */
struct relay_peer {
    int64_t uid;                  /* of a unix peer; -1: none */
    int64_t own_uid;              /* of this process: it and root are let in without a rule */
    bool certificate;             /* it showed one that was verified; then: */
    char names[RELAY_PEER_NAMES]; /* a line each: "CN:alice", "DNS:a" (NK_Q_PEERNAMES) */
    uint8_t cert_hash[32], spki_hash[32];
};

struct relay_identities;

/* relay_identities_new - an empty set, one reference. NULL when memory is missing. */
struct relay_identities *relay_identities_new(const struct relay_stretch_params *params);

/* relay_identities_ref - one more reference; returns s. relay_identities_unref - the last one wipes
 * and frees; NULL is fine. */
struct relay_identities *relay_identities_ref(struct relay_identities *s);
void relay_identities_unref(struct relay_identities *s);

/* relay_identities_add - a new identity, or the one of that name. NK_ECONFIG (empty, too long,
 * control bytes), -ENOMEM. */
int relay_identities_add(struct relay_identities *s, const char *name, struct relay_identity **out,
                         struct nk_diag *diag);

/* relay_identity_password - take_password (moved on success) is valid for id. NK_ECONFIG: empty,
 * another identity has the same one, or there are too many; -ENOMEM. */
int relay_identity_password(struct relay_identities *s, struct relay_identity *id,
                            struct nk_secret *take_password, struct nk_diag *diag);

/* relay_identity_key - an Ed25519 public key: "ssh-ed25519 AAAA.. [comment]", or base64 or hex of
 * the 32 bytes. NK_ECONFIG: none of these, no point of the curve, or another identity's. */
int relay_identity_key(struct relay_identities *s, struct relay_identity *id, const char *text,
                       struct nk_diag *diag);

/* relay_identity_cert - a verified certificate with this "CN:name", "DNS:name", "URI:u", "IP:a",
 * "EMAIL:a" (one of the names in it) or "sha256:hash" (of it or its key) is id. NK_ECONFIG. */
int relay_identity_cert(struct relay_identities *s, struct relay_identity *id, const char *text,
                        struct nk_diag *diag);

/* relay_identity_uid - the uid of a peer on a unix socket. NK_ECONFIG: another identity's. */
int relay_identity_uid(struct relay_identities *s, struct relay_identity *id, int64_t uid,
                       struct nk_diag *diag);

/*
 * relay_identities_stretch - Argon2id for every password; some 20 ms each, so not on a busy loop:
 * the set must not be shared yet, then any thread may do it. 0, -ENOMEM, NK_ECONFIG (parameters).
 */
int relay_identities_stretch(struct relay_identities *s);

/*
 * relay_identities_adopt - take over what `old` (may be NULL) has stretched already for passwords
 * that are still the same, if the parameters are. Returns how many passwords are left to stretch.
 */
size_t relay_identities_adopt(struct relay_identities *s, const struct relay_identities *old);

/* --- questions ------------------------------------------------------------------------------- */

/* relay_identities_params - how the passwords of this set are stretched; borrowed. */
const struct relay_stretch_params *relay_identities_params(const struct relay_identities *s);

/* relay_identities_find - by name; NULL: there is none. */
const struct relay_identity *relay_identities_find(const struct relay_identities *s,
                                                   const char *name, size_t len);

/* relay_identities_passwords - how many there are. */
size_t relay_identities_passwords(const struct relay_identities *s);

/* relay_identities_candidates - the passwords of the identity with this name, or (len 0) of all, in
 * their order; at most RELAY_CANDIDATES_MAX. Returns how many. */
size_t relay_identities_candidates(const struct relay_identities *s, const char *name, size_t len,
                                   const struct relay_password *out[RELAY_CANDIDATES_MAX]);

/* relay_identities_by_key, _by_cert, _by_uid - who that is, or NULL. */
const struct relay_identity *relay_identities_by_key(const struct relay_identities *s,
                                                     const uint8_t key[RELAY_LOGIN_KEY_BYTES]);
const struct relay_identity *relay_identities_by_cert(const struct relay_identities *s,
                                                      const struct relay_peer *peer);
const struct relay_identity *relay_identities_by_uid(const struct relay_identities *s, int64_t uid);

/* relay_identities_any_key - is there any key at all? */
bool relay_identities_any_key(const struct relay_identities *s);

/*
 * relay_identities_shown - which password do the n bytes at p begin with (tlspyo's wire shows it in
 * the first frame)? All that could be there whole are compared in constant time, the longest one
 * wins. Returns 1 and *out; 0 when more bytes are needed; NK_EAUTH when it is none, which is never
 * said before as many bytes came as the longest password has: else who sends them one by one would
 * learn which are right.
 */
int relay_identities_shown(const struct relay_identities *s, const void *p, size_t n,
                           const struct relay_password **out);

#endif
