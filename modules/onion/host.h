/* SPDX-License-Identifier: MIT */
/*
 * host - a service and the tor that it is on: which tor is meant is found out, or started, and then
 * the service is held there (service.h).
 */
#ifndef NK_ONION_HOST_H
#define NK_ONION_HOST_H

#include <stdbool.h>
#include <stdint.h>

#include "core/app.h"
#include "core/timer.h"
#include "onion/service.h"

struct onion_host_conf {
    struct nk_app *app;
    const struct tor_cli_conf *tor; /* borrowed */
    struct onion_plan *plan;        /* borrowed */
    uint64_t probe_ms;
    bool patient; /* no failure is the end: it is logged, and tried again */
    void (*on_progress)(void *owner, const struct tor_bootstrap *at); /* of a tor that starts */
    void (*on_change)(void *owner);                                   /* either may be NULL */
    /* once; only after onion_host_drain when it is patient. onion_host_close is still to be called
     */
    void (*on_end)(void *owner, int err, const struct nk_diag *why);
    void *owner;
};

/* Zero it. */
struct onion_host {
    struct onion_service *service; /* NULL while there is no tor */
    struct onion_host_conf conf;   /* private from here on */
    struct tor_instance_wait *wait;
    struct tor_instance *instance;
    struct nk_timer again;
    struct nk_defer end;
    bool draining;
};

/* onion_host_open - begin; conf is copied. 0 or the error of tor_instance_get. */
int onion_host_open(struct onion_host *h, const struct onion_host_conf *conf, struct nk_diag *diag);

/* onion_host_drain - as onion_service_drain. onion_host_close - as onion_service_close; safe on a
 * zeroed struct and twice. */
void onion_host_drain(struct onion_host *h);
void onion_host_close(struct onion_host *h);

#endif
