/* SPDX-License-Identifier: MIT */
/* daemon_send - `netkit endpoint produce|broadcast|notify` with --name: through a daemon. */
#ifndef NK_RELAY_DAEMON_SEND_H
#define NK_RELAY_DAEMON_SEND_H

#include "relay/daemon_ask.h"
#include "relay/endpoint_send.h"

/* relay_daemon_send_run - send everything that options and positionals name, where and with what
 * metadata `what` says (the rest of it is not looked at); 0 when the relay has acknowledged it, or,
 * with --no-wait, when the daemon has it. */
int relay_daemon_send_run(struct nk_cmd_ctx *ctx, const struct relay_endpoint_send_conf *conf,
                          const struct relay_daemon_send *what);

/* relay_daemon_notify_run - add to the daemon's demand; returns at once. */
int relay_daemon_notify_run(struct nk_cmd_ctx *ctx, const char *name,
                            const struct relay_endpoint_dest *dest);

#endif
