/* SPDX-License-Identifier: MIT */
/*
 * endpoint_progress - how far a transfer is, told on standard error (or --progress-fd) while it
 * takes long: nothing in the first second, then at most twice a second.
 *
 * --progress auto: a bar on a terminal, else nothing; bar, plain (a line every five seconds), json
 * (a line {"sent":..,"received":..,"queued":..,"unsettled":..} every second), none.
 */
#ifndef NK_RELAY_ENDPOINT_PROGRESS_H
#define NK_RELAY_ENDPOINT_PROGRESS_H

#include "relay/endpoint.h"

struct relay_endpoint_progress {
    struct nk_timer timer;
    const struct relay_client *client;
    uint64_t started_ms;
    int fd;
    int mode;   /* of --progress, auto resolved */
    bool shown; /* a bar stands on the terminal */
};

/* relay_endpoint_progress_start - for this session, which must have its client. */
void relay_endpoint_progress_start(struct relay_endpoint_progress *p,
                                   const struct relay_endpoint_session *s);

/* relay_endpoint_progress_stop - the terminal's line is clean again. Safe on a zeroed struct;
 * before relay_endpoint_stop. */
void relay_endpoint_progress_stop(struct relay_endpoint_progress *p);

#endif
