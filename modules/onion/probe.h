/* SPDX-License-Identifier: MIT */
/*
 * probe - reach our own service as anybody would, through tor's SOCKS port, again and again.
 *
 * tor can be alive, and the service's descriptor or introduction points dead for hours. Each probe
 * has circuits of its own (isolation). It is alive when a connection is made, and when tor says
 * that the service refused it. It is dead when tor says that it cannot be reached, or takes the
 * request and is silent for a minute. What says nothing about the service counts for neither: a
 * SOCKS port that refuses us or is no tor's, and a general failure, which is what tor says when
 * the target is down; publishing again helps with none of them.
 */
#ifndef NK_ONION_PROBE_H
#define NK_ONION_PROBE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/onion.h"
#include "core/timer.h"

struct nk_app;
struct nk_stream;

struct onion_probe {
    struct nk_app *app;
    uint64_t interval_ms;
    const char *socks;
    void (*on_dead)(void *owner);
    void *owner;
    /* private */
    struct nk_timer timer; /* until the next probe, or of the one that runs */
    struct nk_stream *stream;
    char address[NK_ONION_SIZE];
    uint16_t port;
    unsigned dead;         /* probes in a row that found it dead */
    bool blind;            /* the last one could not ask tor; that has been said */
    uint64_t done, failed; /* for the life of the service */
};

/* onion_probe_init - interval 0: never; socks: where tor offers SOCKS, an endpoint string,
 * borrowed; NULL: where `tor:` finds it. on_dead is called from the loop when two probes in a row
 * have failed, and then it is stopped. */
void onion_probe_init(struct onion_probe *p, struct nk_app *app, uint64_t interval_ms,
                      const char *socks, void (*on_dead)(void *), void *owner);

/* onion_probe_start - begin with a service, an interval from now. */
void onion_probe_start(struct onion_probe *p, const char *address, uint16_t port);

/* onion_probe_stop - no more of it. Safe when it has not begun. */
void onion_probe_stop(struct onion_probe *p);

#endif
