/* SPDX-License-Identifier: MIT */
/*
 * endpoint_receive - the common part of `netkit endpoint receive` and `netkit endpoint notify`.
 */
#ifndef NK_RELAY_ENDPOINT_RECEIVE_H
#define NK_RELAY_ENDPOINT_RECEIVE_H

#include "relay/endpoint.h"
#include "relay/endpoint_print.h"

struct relay_endpoint_receive {
    const struct relay_endpoint_conf *conf;
    enum relay_endpoint_format format;
    const char *dir;           /* of files, else NULL */
    const char *const *groups; /* to join; borrowed */
    size_t ngroups;
    const struct relay_wire_dest *demand; /* asked for after each login; borrowed, may be empty */
    size_t ndemand;
    uint64_t max_items; /* stop after so many objects; 0 = never */
    bool follow;        /* come back when the connection is lost; without a limit, a timeout is no
                           failure */
    bool only_demanded; /* leave out what arrives before anything was asked for */
    bool drain;         /* stop when what was there at the time of asking has been received */
};

/* relay_endpoint_receive - print what arrives, acknowledging each object once it was written. */
int relay_endpoint_receive(struct nk_cmd_ctx *ctx, const struct relay_endpoint_receive *what);

#endif
