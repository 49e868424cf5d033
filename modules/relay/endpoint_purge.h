/* SPDX-License-Identifier: MIT */
/* endpoint_purge - `netkit relay purge --connect`: PURGE over the native wire (README.md). */
#ifndef NK_RELAY_ENDPOINT_PURGE_H
#define NK_RELAY_ENDPOINT_PURGE_H

#include "relay/endpoint.h"

/*
 * relay_endpoint_purge - log in to the relay of conf, purge the groups, print {"groups":N}. All are
 * asked for; the first refusal is the result. 0; NK_EAUTH (login, or no right `admin` in a group);
 * NK_EUNSUPPORTED (no relay of the native wire); what a connection can fail with; 128 + a signal.
 */
int relay_endpoint_purge(struct nk_cmd_ctx *ctx, const struct relay_endpoint_conf *conf,
                         const char *const *groups, size_t n);

#endif
