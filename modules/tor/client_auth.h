/* SPDX-License-Identifier: MIT */
/*
 * client_auth - keys of a client for restricted onion services (rend-spec-v3), on a tor that runs
 * (control-spec 3.30, ONION_CLIENT_AUTH_ADD). Before `tor:` connects to an onion address, the key
 * that netkit has for it, if any, is loaded: nobody needs to configure anything.
 *
 * Looked through are every [keystore ID] section (arti's keystores and ClientOnionAuthDirs) and the
 * folder keystore of the state directory. Nothing secret is logged.
 */
#ifndef TOR_CLIENT_AUTH_H
#define TOR_CLIENT_AUTH_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "hs/hs.h"
#include "tor/conn.h"
#include "tor/wire.h"

struct nk_app;
struct nk_conf;
struct tor_control;

/* What tor is to load. */
struct tor_client_key {
    uint8_t address[HS_PUBLIC_KEY];
    const struct hs_client *key; /* with its secret half */
    const char *name;            /* a slug, or NULL */
    bool permanent;              /* tor keeps it in its ClientOnionAuthDir */
};

/* tor_client_auth_add - send ONION_CLIENT_AUTH_ADD; the line is wiped. As tor_control_send. */
int tor_client_auth_add(struct tor_control *c, struct tor_request *r,
                        const struct tor_client_key *k, struct nk_diag *diag);

/*
 * tor_client_auth_error - tor's answer to one of ONION_CLIENT_AUTH_ADD, _REMOVE, _VIEW: 0 for those
 * that mean success (250, 251 "replaced" or "there was none", 252 "and decrypted a descriptor"),
 * else NK_EUSAGE or NK_EFORMAT with what it means and what helps.
 */
int tor_client_auth_error(const struct tor_reply *reply, bool permanent, struct nk_diag *diag);

/* One key of tor's answer to ONION_CLIENT_AUTH_VIEW: "CLIENT ADDRESS x25519:KEY [Flags=..]
 * [ClientName=..]" (control-spec 3.32). */
struct tor_client_row {
    uint8_t address[HS_PUBLIC_KEY];
    struct tor_word key, name; /* of the line; name.value is NULL without one */
    struct hs_client client;   /* with its secret half: wiped by the caller */
    bool permanent;
};

/* tor_client_row_read - false for a line that is none. */
bool tor_client_row_read(struct tor_client_row *r, const struct tor_line *line);

/* A connection that waits for its key; the memory is the caller's. */
struct tor_client_load {
    /* the key is there (0), or it could not be loaded: tried without it, the connection fails with
     * a reason of its own. Once, unless cancelled */
    void (*fn)(void *owner, int err, const struct nk_diag *why);
    void *owner;
    struct tor_client_load *next, *prev; /* private */
    struct tor_client_entry *entry;      /* private: not NULL while it waits */
};

/*
 * tor_client_load - see to it that the tor behind control has the key for host, once per connection
 * and address. key_file: the one that the user gave, in any form that hs/format.h reads; NULL: look
 * for one. tor drops keys at NEWNYM and
 * when it reads its configuration again: the next connection has them loaded again. control may be
 * NULL (only SOCKS is known): then a key that is needed cannot be loaded,
 * which is said in the log.
 *
 * 1: l->fn comes later. 0: there is nothing to wait for: host is no onion address, there is no key
 * for it, or tor has it. A key of the keystores that cannot be used is a warning, one of key_file
 * an error: NK_EVERSION for what version 2 left, errors of hs_format_load, NK_EUSAGE without a
 * control port, -ENOMEM.
 */
int tor_client_load(struct nk_app *app, struct tor_control *control, const char *host,
                    const char *key_file, struct tor_client_load *l, struct nk_diag *diag);

/* tor_client_load_cancel - fn will not be called. Fine when it does not wait. */
void tor_client_load_cancel(struct tor_client_load *l);

/* tor_client_key_find - the key that netkit has for a service: 0; -ENOENT; errors of the keystores.
 * ini and state_dir may be NULL. The caller wipes out. */
int tor_client_key_find(const struct nk_conf *ini, const char *state_dir,
                        const uint8_t address[HS_PUBLIC_KEY], struct hs_client *out,
                        struct nk_diag *diag);

/* tor_client_key_in - the same in one keystore. */
int tor_client_key_in(const struct hs_where *where, const uint8_t address[HS_PUBLIC_KEY],
                      struct hs_client *out, struct nk_diag *diag);

#endif
