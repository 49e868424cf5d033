/* SPDX-License-Identifier: MIT */
/*
 * store - where clients' private keys are kept: arti's keystore, or tor's directory of
 * .auth_private files (ClientOnionAuthDir); one set of operations for both.
 *
 * A store that is open for writing is locked. arti itself takes no lock that it would share with
 * us: `in_use` tells whether it runs, so that the user can be warned.
 */
#ifndef NK_HS_STORE_H
#define NK_HS_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "hs/key.h"
#include "hs/place.h"
#include "hs/slug.h"

/* X(constant, name) */
#define HS_STORES(X)                                                                               \
    X(HS_STORE_ARTI, "arti")                                                                       \
    X(HS_STORE_CTOR, "ctor")

#define HS_STORE_ENUM(constant, name) constant,
enum hs_store_kind { HS_STORES(HS_STORE_ENUM) HS_NSTORES };
#undef HS_STORE_ENUM

/* What a store is opened for. */
enum hs_store_access {
    HS_STORE_READ,
    HS_STORE_CREATE, /* changes: it is locked, and made when it is missing */
    HS_STORE_CHANGE  /* changes to what is there: it is locked */
};

struct hs_store {
    enum hs_store_kind kind;
    struct hs_place place;
    bool in_use; /* arti runs on it */
};

/* A file that is, or should be, a client's key. */
struct hs_client_entry {
    char *name;                   /* relative to the store */
    char client[HS_SLUG_MAX + 1]; /* of client/CLIENT/ADDRESS; "" elsewhere */
    bool has_address;
    uint8_t address[HS_PUBLIC_KEY];
    struct hs_client key; /* without the secret; valid when problem is NULL */
    char *problem;        /* why it cannot be used: file, field and reason; or NULL */
};

struct hs_client_entries {
    struct hs_client_entry *v;
    size_t n;
};

/* hs_store_name - "arti" or "ctor". */
const char *hs_store_name(enum hs_store_kind kind);

/*
 * hs_store_open - open the store in dir. write: make it when it is missing, and lock it. 0;
 * -ENOENT; NK_EBADMODE when others can get at it (trust.h; the directories above count for arti's
 * only, as they do for arti and tor); NK_ELOCKED. hs_store_close is safe after a failure.
 */
int hs_store_open(struct hs_store *s, enum hs_store_kind kind, const char *dir,
                  enum hs_store_access access, struct nk_diag *diag);
void hs_store_close(struct hs_store *s);

/* hs_store_list - every entry, in the order of their names. */
int hs_store_list(const struct hs_store *s, struct hs_client_entries *out, struct nk_diag *diag);
void hs_client_entries_clear(struct hs_client_entries *l);

/*
 * hs_store_find - the file with the key for a service. client (may be NULL) chooses among
 * client/CLIENT/ADDRESS, which client/ADDRESS goes before. 0; -ENOENT; NK_EFORMAT when several
 * files are for this service, of which tor would die.
 */
int hs_store_find(const struct hs_store *s, const uint8_t address[HS_PUBLIC_KEY],
                  const char *client, char name[NK_PATH_MAX], struct nk_diag *diag);

/* hs_store_read - the key in a file of that name, which must be for that service. The caller wipes
 * out. */
int hs_store_read(const struct hs_store *s, const char *name, const uint8_t address[HS_PUBLIC_KEY],
                  struct hs_client *out, struct nk_diag *diag);

/* hs_store_add - write a key for a service that has none; name (may be NULL) is set to its file's.
 */
int hs_store_add(const struct hs_store *s, const uint8_t address[HS_PUBLIC_KEY],
                 const struct hs_client *key, char name[NK_PATH_MAX], struct nk_diag *diag);

/*
 * hs_store_replace - put another key into the file of that name. keep_old: a copy of the old file
 * is kept as ADDRESS.FINGERPRINT.auth_private in a directory beside the store, its name that of the
 * store with HS_STORE_REPLACED behind; kept (may be NULL, NK_PATH_MAX bytes) is set to the copy's
 * path, "" without one.
 */
#define HS_STORE_REPLACED ".replaced"
int hs_store_replace(const struct hs_store *s, const char *name,
                     const uint8_t address[HS_PUBLIC_KEY], const struct hs_client *key,
                     bool keep_old, char *kept, struct nk_diag *diag);

/* hs_store_remove - remove the file of that name, and its directories when they are empty then. */
int hs_store_remove(const struct hs_store *s, const char *name, struct nk_diag *diag);

#endif
