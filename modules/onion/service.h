/* SPDX-License-Identifier: MIT */
/*
 * service - one onion service on a control connection: added, published, added again after every
 * loss, taken away at the end.
 *
 *     OFFLINE --control ready--> ADDING --tor has it--> UPLOADING --first UPLOADED--> PUBLISHED
 *        ^                        |  ^                      |                            |
 *        +------ control lost ----+--|----------------------+----------------------------+
 *                                    +---- onion_service_again ------- (DEL, then ADD) --+
 *     any --drain--> ENDING --tor took it away--> ENDED      any --refused--> ENDED
 *
 * A service of ADD_ONION lives with its connection: when that is lost it is gone, and added again
 * with the same key. One in a directory is tor's; a tor that reads its torrc again (SIGHUP) forgets
 * it, and is told again.
 */
#ifndef NK_ONION_SERVICE_H
#define NK_ONION_SERVICE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/json.h"
#include "onion/plan.h"
#include "onion/upload.h"
#include "tor/tor.h"

struct nk_app;
struct onion_service;

/* X(constant, name): states; see above. */
#define ONION_STATES(X)                                                                            \
    X(ONION_OFFLINE, "offline")                                                                    \
    X(ONION_ADDING, "adding")                                                                      \
    X(ONION_UPLOADING, "uploading")                                                                \
    X(ONION_PUBLISHED, "published")                                                                \
    X(ONION_ENDING, "ending")                                                                      \
    X(ONION_ENDED, "ended")

#define ONION_STATE_ENUM(constant, name) constant,
enum onion_state { ONION_STATES(ONION_STATE_ENUM) ONION_NSTATES };
#undef ONION_STATE_ENUM

struct onion_service_conf {
    struct nk_app *app;
    struct tor_control *control; /* lives until onion_service_close */
    struct onion_plan *plan;     /* the same; its address is set, its key file kept */
    uint64_t probe_ms;           /* 0: never */
    bool replace;      /* tor has it, with other clients: it is taken away before it is added */
    const char *socks; /* for probes: where tor offers SOCKS (endpoint string) */
    void (*on_change)(void *owner); /* state, address or upload; may be NULL */
    /* it has ended by itself or is drained; once. onion_service_close is still to be called */
    void (*on_end)(void *owner, int err, const struct nk_diag *why);
    void *owner;
};

/* onion_service_open - begin, now or as soon as control is ready. conf is copied. 0 or -ENOMEM. */
int onion_service_open(struct onion_service **out, const struct onion_service_conf *conf,
                       struct nk_diag *diag);

/* onion_service_again - take it away and add it again: what the plan says has changed, or it is
 * dead. When tor is being told the old plan just now that follows its answer. A service that is
 * restricted to clients is not probed while that is so. */
void onion_service_again(struct onion_service *s);

/* onion_service_drain - take it away, unless it is detached; streams that it has go on. on_end(0)
 * follows. */
void onion_service_drain(struct onion_service *s);

/* onion_service_close - forget it, from anywhere; NULL is fine. What tor has of it stays there
 * until the connection ends. */
void onion_service_close(struct onion_service *s);

/* onion_service_state, onion_service_state_name - its state, and what that is called.
 * onion_service_upload - what became of its descriptors since it was added last. */
enum onion_state onion_service_state(const struct onion_service *s);
const char *onion_service_state_name(const struct onion_service *s);
const struct onion_upload *onion_service_upload(const struct onion_service *s);

/* onion_service_reached - has tor got it, and is it uploaded as far as that? */
bool onion_service_reached(const struct onion_service *s, enum onion_upload_wait what);

/* onion_service_json - address, ports, state, uploads .. into an open object. */
void onion_service_json(const struct onion_service *s, struct nk_json *j);

#endif
