/* SPDX-License-Identifier: MIT */
/*
 * serve - an onion service as a service of netkit: `[onion NAME]` of netkit.ini, and `onion add`,
 * which runs the same in the foreground and tells what becomes of it.
 */
#ifndef NK_ONION_SERVE_H
#define NK_ONION_SERVE_H

#include "base/cmd.h"
#include "core/service.h"
#include "onion/gate.h"
#include "onion/plan.h"
#include "tor/tor.h"

#define ONION_SECTION "onion"

/* In the folder of a service that has a name: STATE_DIR/onion/NAME. */
#define ONION_KEY_FILE "key"
#define ONION_LOCK_FILE "lock"

struct onion_serve_conf {
    struct tor_cli_conf tor;
    struct onion_conf onion;
    struct onion_gate_conf gate;      /* of a service with a name */
    char *name;                       /* of `onion add`: it is what [onion NAME] would be */
    const struct nk_globals *globals; /* no row: of `onion add`; NULL: nothing is printed */
};

extern const char *const onion_wait_names[]; /* by enum onion_upload_wait */

/* The rows of what has a struct onion_serve_conf as its configuration, without ports. */
#define ONION_FIELD(member) .offset = NK_FIELD(struct onion_serve_conf, onion.member)
#define ONION_ROWS                                                                                 \
    TOR_ROWS_OF(struct onion_serve_conf, tor, "auto"),                                             \
        {.name = "hsdir",                                                                          \
         .type = NK_OPT_STRING,                                                                    \
         ONION_FIELD(hsdir),                                                                       \
         .arg = "DIR",                                                                             \
         .help = "A service in this directory of tor (HiddenServiceDir), which has its key"},      \
        {.name = "client-auth",                                                                    \
         .type = NK_OPT_STRING,                                                                    \
         ONION_FIELD(client_auth),                                                                 \
         .arg = "PUB",                                                                             \
         .flags = NK_OPT_REPEAT,                                                                   \
         .aliases = "client",                                                                      \
         .help = "Only for the clients with these public keys: files, or lines "                   \
                 "descriptor:x25519:KEY"},                                                         \
        {.name = "max-streams",                                                                    \
         .type = NK_OPT_INT,                                                                       \
         ONION_FIELD(max_streams),                                                                 \
         .arg = "N",                                                                               \
         .min = 0,                                                                                 \
         .max = ONION_MAX_STREAMS,                                                                 \
         .help = "Connections that one client may have at a time; 0: any number"},                 \
        {.name = "max-streams-close-circuit",                                                      \
         .type = NK_OPT_FLAG,                                                                      \
         ONION_FIELD(max_streams_close),                                                           \
         .help = "A client that wants more loses all it has"},                                     \
        {.name = "single-hop",                                                                     \
         .type = NK_OPT_FLAG,                                                                      \
         ONION_FIELD(single_hop),                                                                  \
         .help = "A service that is NOT anonymous, on a tor that is set up for it; faster only "   \
                 "with hsdir, since tor's circuits are short for no other"},                       \
        {.name = "pow",                                                                            \
         .type = NK_OPT_FLAG,                                                                      \
         ONION_FIELD(pow),                                                                         \
         .help = "Ask clients for a proof of work when there are too many of them"},               \
        {.name = "pow-queue-rate",                                                                 \
         .type = NK_OPT_INT,                                                                       \
         ONION_FIELD(pow_rate),                                                                    \
         .arg = "N",                                                                               \
         .min = 0,                                                                                 \
         .max = ONION_MAX_POW_RATE,                                                                \
         .help = "The same, and clients that are let in per second"},                              \
        {.name = "pow-queue-burst",                                                                \
         .type = NK_OPT_INT,                                                                       \
         ONION_FIELD(pow_burst),                                                                   \
         .arg = "N",                                                                               \
         .min = 0,                                                                                 \
         .max = ONION_MAX_POW_RATE,                                                                \
         .help = "The same, and clients that are let in at once"},                                 \
        {.name = "wait",                                                                           \
         .type = NK_OPT_ENUM,                                                                      \
         ONION_FIELD(wait),                                                                        \
         .arg = "WHAT",                                                                            \
         .def = "first",                                                                           \
         .choices = onion_wait_names,                                                              \
         .help = "Ready when a first directory has its descriptor, when all have, or at once "     \
                 "(none)"},                                                                        \
    {                                                                                              \
        .name = "probe", .type = NK_OPT_DURATION, ONION_FIELD(probe_ms), .arg = "TIME",            \
        .min = 1000, .max = 7LL * 24 * 3600 * 1000,                                                \
        .help = "Reach the service through tor this often, and publish it again when it is dead"   \
    }

extern const struct nk_opt onion_serve_rows[]; /* of [onion NAME] */
extern const struct nk_section onion_section;

/* Two types: one without a name and verbs, so that any number of commands can run at a time. */
extern const struct nk_service_type onion_serve_type;
extern const struct nk_service_type onion_add_type;

#endif
