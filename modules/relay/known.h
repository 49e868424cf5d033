/* SPDX-License-Identifier: MIT */
/*
 * known - the relays that were authenticated before: `known_relays` in the state directory, address
 * to public key. The key counts, not the certificate, so that renewing a certificate changes
 * nothing.
 *
 * A text file, mode 0600: the line "netkit-known-relays 1", then for each relay
 *     HOST:PORT sha256:HEX password|user YYYY-MM-DD
 * `password`: learnt through a login in which the relay showed that it knows the password; such a
 * login may also replace it. `user`: written by the user, and never touched. Lines that begin with
 * # are kept. Writers take known_relays.lock and replace the file as a whole.
 *
 * These calls touch the disk for a moment: before connecting, and after a login that taught
 * something.
 */
#ifndef NK_RELAY_KNOWN_H
#define NK_RELAY_KNOWN_H

#include <stdint.h>

#include "base/err.h"

struct nk_app;

#define RELAY_KNOWN_FILE "known_relays"
#define RELAY_KNOWN_VERSION 1
#define RELAY_KNOWN_MAX ((size_t)1024 * 1024) /* bytes of the file */
#define RELAY_KNOWN_WHERE 300                 /* "host:port" with its NUL */
#define RELAY_KNOWN_KEY 32                    /* SHA-256 of the SubjectPublicKeyInfo */

enum relay_known_how { RELAY_KNOWN_PASSWORD, RELAY_KNOWN_USER };

struct relay_known {
    uint8_t key[RELAY_KNOWN_KEY];
    enum relay_known_how how;
};

/* What relay_known_learn did. */
enum relay_known_change { RELAY_KNOWN_SAME, RELAY_KNOWN_NEW, RELAY_KNOWN_CHANGED };

/* relay_known_find - the key remembered for where ("host:port" as the user writes it). 0; -ENOENT
 * (no file, or not in it); NK_EFORMAT, NK_EVERSION (a newer file), NK_EBADMODE, -errno. */
int relay_known_find(const char *state_dir, const char *where, struct relay_known *out,
                     struct nk_diag *diag);

/*
 * relay_known_learn - where has this key, by a login with the password at time now (seconds since
 * 1970). *change says what was done.
 * NK_EVERIFY: the user pinned another key (nothing is written). NK_ELOCKED: somebody else writes at
 * this moment, so it has to be learnt another time. Errors as above.
 */
int relay_known_learn(const char *state_dir, const char *where, const uint8_t key[RELAY_KNOWN_KEY],
                      int64_t now, enum relay_known_change *change, struct nk_diag *diag);

/* relay_known_logged_in - after a login in which the password authenticated the relay: learn its
 * key, with the audit lines trust.new or trust.changed. A failure to remember is a warning; only
 * NK_EVERIFY (see above) is returned, everything else is 0. */
int relay_known_logged_in(struct nk_app *app, const char *where, const uint8_t key[RELAY_KNOWN_KEY],
                          struct nk_diag *diag);

#endif
