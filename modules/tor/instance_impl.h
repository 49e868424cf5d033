/* SPDX-License-Identifier: MIT */
/* instance_impl - what the files of instances share. */
#ifndef TOR_INSTANCE_IMPL_H
#define TOR_INSTANCE_IMPL_H

#include "base/err.h"
#include "core/app.h"
#include "core/stream.h"
#include "core/timer.h"
#include "tor/address.h"
#include "tor/control.h"
#include "tor/instance.h"
#include "tor/launch.h"

struct tor_holder_link;

struct tor_instance_wait {
    struct tor_instance *instance;
    unsigned needs;
    tor_instance_fn *fn;
    void (*progress)(void *owner, const struct tor_bootstrap *at);
    void *owner;
    int err; /* when done */
    struct nk_diag why;
    bool done; /* fn is about to be called */
    struct nk_defer deliver;
    struct nk_timer timer;
    struct tor_instance_wait *next, *prev;
};

struct tor_instance {
    struct nk_app *app;
    char *key; /* what it was asked by */
    enum tor_kind kind;
    struct tor_access access;       /* of our own connection; the strings are ours */
    char address[TOR_ADDRESS_SIZE]; /* GLOBAL: its control socket */
    unsigned refs, have;            /* enum tor_instance_needs */
    bool given;                     /* its SOCKS: by who asked */
    bool failed;                    /* nobody gets it any more */
    char socks[TOR_ADDRESS_SIZE];
    struct tor_control *own; /* SYSTEM, GLOBAL */
    struct tor_control_watch watch;
    struct tor_request ask; /* for SOCKS, then for the phase */
    struct tor_subscription phases;
    bool asking;
    struct nk_stream *probe; /* a SOCKS place that is tried */
    size_t probing;          /* the next one */
    struct tor_launch *launch;
    struct tor_holder_link *holder;
    struct tor_bootstrap at;
    struct tor_instance_wait *waits;
    struct nk_timer linger;
    struct nk_defer gone;
    struct tor_instance *next, *prev;
    struct tor_instance **list;
};

/* tor_instance_fail - it is of no use (any more): everybody who waits is told. */
void tor_instance_fail(struct tor_instance *i, int err, const struct nk_diag *why);

/* tor_instance_has - something that was needed is there. */
void tor_instance_has(struct tor_instance *i, unsigned what);

/* tor_instance_progress - tell those who wait how far it is. */
void tor_instance_progress(struct tor_instance *i, const struct tor_bootstrap *at);

/* tor_instance_wants - what somebody who waits needs and is not there yet. */
unsigned tor_instance_wants(const struct tor_instance *i);

/* A running tor, and our own connection to one that a holder keeps (instance_system.c): begin to
 * get what is wanted. 0 or the error. tor_system_clear - let go of everything. */
int tor_system_begin(struct tor_instance *i, struct nk_diag *diag);
void tor_system_clear(struct tor_instance *i);

/* The user's own (instance_global.c), the same way. */
int tor_global_begin(struct tor_instance *i, struct nk_diag *diag);
void tor_global_clear(struct tor_instance *i);

#endif
