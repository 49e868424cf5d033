/* SPDX-License-Identifier: MIT */
/*
 * clients - who may find a service: public keys (rend-spec-v3, client authorization) and what their
 * owner calls them, from the command line and from a directory of authorised clients (hs/auth.h).
 *
 * A set that is restricted stays so when it is empty: nobody gets in then. Names are slugs
 * (hs/slug.h).
 */
#ifndef NK_ONION_CLIENTS_H
#define NK_ONION_CLIENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/json.h"
#include "base/log.h"
#include "base/opt.h"
#include "hs/hs.h"
#include "onion/spec.h"

/* Zero it; {.restricted = true} is nobody. */
struct onion_clients {
    bool restricted; /* false: everybody may find it, whatever n says */
    size_t n;
    uint8_t (*keys)[HS_PUBLIC_KEY];
    char (*names)[HS_SLUG_MAX + 1]; /* "" for a client without one */
    uint8_t nobody[HS_PUBLIC_KEY];  /* private: the key in force when there is none */
};

/* onion_clients_add - authorize a key; name may be "" . One that is there already changes nothing.
 * -EEXIST when the name has another key; NK_EFORMAT for a key that must not be used; NK_ETOOBIG
 * beyond ONION_CLIENTS_MAX; -ENOMEM. */
int onion_clients_add(struct onion_clients *l, const char *name, const uint8_t pub[HS_PUBLIC_KEY],
                      struct nk_diag *diag);

/*
 * onion_clients_load - one value of --client-auth: a file with a public key in any form or a folder
 * of arti with one (named as NAME.auth is), "-", the line descriptor:x25519:KEY, or KEY in base32.
 * Private keys are refused, and so is what version 2 had. The set becomes restricted.
 */
int onion_clients_load(struct onion_clients *l, const char *from, struct nk_log *log,
                       struct nk_diag *diag);

/* onion_clients_line - the same value as the line descriptor:x25519:KEY, appended; so that whoever
 * gets it needs no file. */
int onion_clients_line(const char *from, struct nk_buf *out, struct nk_log *log,
                       struct nk_diag *diag);

/*
 * onion_clients_read_dir - the enabled clients of a directory of NAME.auth files. The set becomes
 * restricted whatever is in it; a file that cannot be used is a client that is shut out, with a
 * warning. -ENOENT without such a directory, NK_EBADMODE for one that others can write to.
 */
int onion_clients_read_dir(struct onion_clients *l, const char *dir, struct nk_log *log,
                           struct nk_diag *diag);

/* onion_clients_join - add all of `from`. Errors of onion_clients_add. */
int onion_clients_join(struct onion_clients *l, const struct onion_clients *from,
                       struct nk_diag *diag);

/* onion_clients_drop - a key is no longer one of them; nothing happens when it is not. */
void onion_clients_drop(struct onion_clients *l, const uint8_t pub[HS_PUBLIC_KEY]);

/* onion_clients_same - do they let the same keys in? Names and order do not count. */
bool onion_clients_same(const struct onion_clients *a, const struct onion_clients *b);

/* onion_clients_spec - set what s says of clients; it borrows the keys. Nobody is one key to which
 * there is no private half, made at the first call. */
void onion_clients_spec(struct onion_clients *l, struct onion_spec *s);

/* onion_clients_json - "restricted" and "clients" (name, fingerprint, key) into an open object. */
void onion_clients_json(const struct onion_clients *l, struct nk_json *j);

/* onion_clients_print - a line for each client, or one that there is none, appended. */
int onion_clients_print(const struct onion_clients *l, struct nk_buf *out);

/* onion_clients_clear - free; everybody may find it then. Safe twice. */
void onion_clients_clear(struct onion_clients *l);

#endif
