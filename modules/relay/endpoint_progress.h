/* SPDX-License-Identifier: MIT */
/*
 * endpoint_progress - how far a transfer is, told as --progress says (base/progress.h) while it
 * takes long: nothing in the first second.
 *
 * json: {"sent":..,"received":..,"queued":..,"unsettled":..}, bytes and objects; with "total",
 * bytes, where it is known how many are to be sent.
 */
#ifndef NK_RELAY_ENDPOINT_PROGRESS_H
#define NK_RELAY_ENDPOINT_PROGRESS_H

#include "base/progress.h"
#include "relay/endpoint.h"

struct relay_endpoint_progress {
    struct nk_timer timer;
    const struct relay_client *client;
    uint64_t started_ms, next_ms;
    uint64_t total; /* bytes to be sent, 0: not known */
    struct nk_progress out;
};

/* relay_endpoint_progress_start - for this session, which must have its client. quiet: auto means
 * none, for commands that run for ever. */
void relay_endpoint_progress_start(struct relay_endpoint_progress *p,
                                   const struct relay_endpoint_session *s, bool quiet);

/* relay_endpoint_progress_open - for a command without a loop, which says how far it is itself.
 * relay_endpoint_progress_tick - so many bytes by now; cheap, tells only when it is time to. */
void relay_endpoint_progress_open(struct relay_endpoint_progress *p, const struct nk_globals *g);
void relay_endpoint_progress_tick(struct relay_endpoint_progress *p, uint64_t sent,
                                  uint64_t received);

/* relay_endpoint_progress_stop - the terminal's line is clean again. Safe on a zeroed struct;
 * before relay_endpoint_stop. */
void relay_endpoint_progress_stop(struct relay_endpoint_progress *p);

#endif
