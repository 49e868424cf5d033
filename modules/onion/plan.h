/* SPDX-License-Identifier: MIT */
/*
 * plan - a service as its configuration has it, checked before anything happens: ports, key,
 * clients. What every way to have a service shares: `onion add`, `[onion NAME]`, `onion:`.
 *
 * The key is made here and not by tor: so the address is known before the service exists, and the
 * key's file can be on the disk before tor gets to know the key.
 */
#ifndef NK_ONION_PLAN_H
#define NK_ONION_PLAN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/onion.h"
#include "base/opt.h"
#include "onion/new_client.h"

#define ONION_KEY_NEW "new"         /* a key that lives as long as we do */
#define ONION_KEY_DISCARD "discard" /* a key that tor makes and tells nobody */

/* What rows fill in. */
struct onion_conf {
    struct nk_strlist ports;       /* PORT[:TARGET], ports.h */
    char *key;                     /* a file, which is made when it is not there, or the two above;
                                    * NULL: new */
    char *hsdir;                   /* a service in this directory (of tor), or NULL */
    struct nk_strlist client_auth; /* clients' public keys: files, or the lines themselves */
    struct nk_strlist new_client;  /* NAME[=FILE]: a pair is made */
    int64_t max_streams;
    bool max_streams_close;
    bool single_hop;
    bool pow;
    int64_t pow_rate, pow_burst;
    bool detach;
    int wait;          /* enum onion_upload_wait */
    uint64_t probe_ms; /* 0: never */
};

struct onion_plan {
    struct onion_spec spec;
    char address[NK_ONION_SIZE]; /* with ".onion"; "" when only tor knows it, until it tells */
    const char *hsdir;           /* of the configuration, or NULL */
    const char *key_file;        /* of the configuration, or NULL */
    bool discard;
    struct onion_clients clients;         /* in force through spec */
    struct onion_new_clients new_clients; /* to be written once the address is known */
    /* private */
    struct nk_log *log;
    struct onion_port *ports;
    struct nk_secret key; /* a struct hs_identity */
    struct nk_file_draft draft;
    bool kept;
};

/* onion_conf_check - what needs no file: NK_EUSAGE for what contradicts itself. */
int onion_conf_check(const struct onion_conf *c, struct nk_diag *diag);

/*
 * onion_plan_init - check and read everything that c names, of which p keeps pointers; the two
 * words for a key are no files. A key file that is not there is written (0600) under no name yet.
 * NK_EUSAGE for what contradicts itself; errors of the files; -ENOMEM. Clear p in any case.
 */
int onion_plan_init(struct onion_plan *p, const struct onion_conf *c, struct nk_log *log,
                    struct nk_diag *diag);

/* onion_plan_keep - the service is there: give the new key file its name, and write the files of
 * new clients, once. -EEXIST when somebody made such a file meanwhile, which then stays. */
int onion_plan_keep(struct onion_plan *p, struct nk_diag *diag);

/* onion_plan_has_address - tor told the service's address: LABEL without ".onion". NK_EPROTO when
 * it is none, or another one than the key has. */
int onion_plan_has_address(struct onion_plan *p, const char *label, size_t len,
                           struct nk_diag *diag);

/* onion_plan_json - address, ports, key_file, clients .. into an open object. */
void onion_plan_json(const struct onion_plan *p, struct nk_json *j);

/* onion_plan_clear - wipe the key; a key file that was not kept goes. Safe twice, and on zero. */
void onion_plan_clear(struct onion_plan *p);

#endif
