/* SPDX-License-Identifier: MIT */
/*
 * auth - who may find a restricted onion service: the public keys of its clients (rend-spec-v3
 * "restricted discovery", client authorization), as files that can be added, set aside and taken
 * away.
 *
 * Two kinds of places. tor reads HiddenServiceDir/authorized_clients/NAME.auth, and a service is
 * restricted exactly when at least one of these files is good: with none, or with broken ones only,
 * it is open to everybody. arti reads directories of NAME.auth files (restricted_discovery,
 * key_dirs) and never opens a service for want of a client; its design has a directory for each
 * client as well, NAME/kp_hsc_desc_enc.x25519_public or NAME/NAME.auth, which is read and never
 * written. A client that is set aside lives in a directory beside it.
 *
 * So that a list that becomes empty never opens a service of tor, every change leaves a lock there
 * first: HS_AUTH_LOCK.auth with a public key to which there is no secret key.
 */
#ifndef NK_HS_AUTH_H
#define NK_HS_AUTH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "hs/ctor_dir.h"
#include "hs/finding.h"
#include "hs/key.h"
#include "hs/place.h"

#define HS_AUTH_LOCK "zz-netkit-lock" /* name of the client that nobody is */
#define HS_AUTH_EXTENSION ".auth"
#define HS_AUTH_ARTI_FILE "kp_hsc_desc_enc.x25519_public" /* as once designed for arti */
#define HS_AUTH_DIR HS_CTOR_CLIENTS_DIR
#define HS_AUTH_DISABLED_DIR "disabled_clients"
#define HS_AUTH_MANY                                                                               \
    160 /* clients that a descriptor has room for: arti measured 165 at 20 points */

enum hs_auth_kind { HS_AUTH_CTOR, HS_AUTH_ARTI };

/* The two directories of a service, open. {.base.fd = -1 ...} after hs_auth_close. */
struct hs_auth {
    bool dry; /* may be set: changes are checked and not made */
    enum hs_auth_kind kind;
    struct hs_place base; /* what both are in; it holds the lock */
    struct hs_place on;   /* who is authorized; fd -1 when there is no such directory */
    struct hs_place off;  /* who is set aside; likewise */
    char on_name[NK_PATH_MAX], off_name[NK_PATH_MAX]; /* their names within base */
};

/* What a service's clients are to be opened for. */
enum hs_auth_intent {
    HS_AUTH_READ,
    HS_AUTH_HOLD,  /* lock the place: nobody else of netkit changes it */
    HS_AUTH_CHANGE /* lock it, and make the directories that are missing */
};

/* hs_auth_open_ctor - of a HiddenServiceDir of tor. NK_EUSAGE when dir has nothing of one. 0,
 * -errno, NK_ELOCKED. */
int hs_auth_open_ctor(struct hs_auth *a, const char *dir, enum hs_auth_intent intent,
                      struct nk_diag *diag);

/* hs_auth_open_arti - STATE/authorized_clients, or STATE/hss/SERVICE/authorized_clients when
 * service is not NULL. Errors as above. */
int hs_auth_open_arti(struct hs_auth *a, const char *state, const char *service,
                      enum hs_auth_intent intent, struct nk_diag *diag);

/* hs_auth_open_key_dir - one of arti's key_dirs; clients that are set aside go to the directory of
 * the same name with "-disabled" behind it. Errors as above. */
int hs_auth_open_key_dir(struct hs_auth *a, const char *dir, enum hs_auth_intent intent,
                         struct nk_diag *diag);

/* hs_auth_open_any - the same for a directory that need not look like one yet: a HiddenServiceDir
 * (service is NULL), or arti's state directory. flags: as of hs_place_open; of the two directories
 * in it those are opened that exist. */
int hs_auth_open_any(struct hs_auth *a, enum hs_auth_kind kind, const char *dir,
                     const char *service, unsigned flags, struct nk_diag *diag);

/* hs_auth_close - close all and release the lock; safe twice. */
void hs_auth_close(struct hs_auth *a);

/* One file with a client's key. */
struct hs_auth_client {
    char *name;    /* the file's without extension: whatever was found, not always a slug */
    char *file;    /* below its directory: "alice.auth", "alice/kp_hsc_desc_enc.x25519_public" */
    char *path;    /* all of it */
    char *problem; /* why its program does not take it, or NULL */
    uint8_t pub[HS_PUBLIC_KEY]; /* zero when it could not be read */
    bool readable;              /* pub is a key that may be used */
    bool enabled;
    bool lock; /* named as the lock */
};

struct hs_auth_list {
    struct hs_auth_client *v;
    size_t n;
    size_t counted;  /* enabled clients that are taken, without the lock */
    bool restricted; /* ctor: at least one file is taken, the lock included; arti: always */
    bool tried;      /* there is something in the directory of the enabled ones */
    bool intended;   /* there is a sign that it should be restricted: tried, or a disabled client */
};

/* hs_auth_list_read - every client of both directories, by name; what is odd goes to findings. 0,
 * -errno, -ENOMEM. Clear the list in any case. */
int hs_auth_list_read(struct hs_auth_list *l, const struct hs_auth *a, struct hs_findings *findings,
                      struct nk_diag *diag);
void hs_auth_list_clear(struct hs_auth_list *l);

/* hs_auth_judge_open - when the service is open to everybody though there is a sign that it should
 * not be, say so as an error. */
void hs_auth_judge_open(const struct hs_auth_list *l, const struct hs_auth *a,
                        struct hs_findings *findings);

/* hs_auth_judge_setting - warn when the clients that are there contradict what the service's
 * configuration says: restricted_discovery.enabled of arti, authorized_clients.enabled. */
void hs_auth_judge_setting(const struct hs_auth_list *l, const struct hs_auth *a, bool enabled,
                           struct hs_findings *findings);

/* hs_auth_find - the i-th client of that name, or NULL. */
const struct hs_auth_client *hs_auth_find(const struct hs_auth_list *l, const char *name, size_t i);

/* hs_auth_counts - is this a client that the service lets in (enabled, taken, not the lock)? */
bool hs_auth_counts(const struct hs_auth_client *c);

/*
 * hs_auth_digest - what of the list the service sees: equal for equal sets of keys, whatever the
 * files are called and however they are written. 0 or -ENOMEM.
 */
#define HS_AUTH_DIGEST 32 /* bytes */
int hs_auth_digest(uint8_t out[HS_AUTH_DIGEST], const struct hs_auth_list *l);

/*
 * Changes: `a` was opened with HS_AUTH_CHANGE. On failure nothing has changed, except that the lock
 * may have been put into the directory of a service that is restricted.
 */

/* hs_auth_nobody - the public key of a client that nobody is: a point that is chosen, not computed,
 * so that nobody ever had its secret key. */
void hs_auth_nobody(uint8_t pub[HS_PUBLIC_KEY]);

/* hs_auth_lock - make sure that the lock is there and good. Nothing to do for arti. */
int hs_auth_lock(struct hs_auth *a, struct nk_diag *diag);

/* hs_auth_import - authorize a key by a name (hs_slug_check). -EEXIST when the name or the key is
 * there already, enabled or not. */
int hs_auth_import(struct hs_auth *a, const char *name, const uint8_t pub[HS_PUBLIC_KEY],
                   struct nk_diag *diag);

/* hs_auth_enable, hs_auth_disable - move everything of that name from one directory to the other.
 * -ENOENT without such a client; -EEXIST when the other directory has the name, too. */
int hs_auth_enable(struct hs_auth *a, const char *name, struct nk_diag *diag);
int hs_auth_disable(struct hs_auth *a, const char *name, struct nk_diag *diag);

/* hs_auth_remove - delete every file of that name, enabled or not. -ENOENT. */
int hs_auth_remove(struct hs_auth *a, const char *name, struct nk_diag *diag);

/* hs_auth_unlock - the service may become public: take the lock away. NK_EUSAGE while clients are
 * enabled. */
int hs_auth_unlock(struct hs_auth *a, struct nk_diag *diag);

#endif
