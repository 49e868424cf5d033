/* SPDX-License-Identifier: MIT */
/*
 * daemon_service - endpoint daemons as services: `[endpoint NAME]` of netkit.ini, `netkit endpoint
 * daemon`. Each holds STATE_DIR/endpoint/NAME/lock and listens on control.sock beside it.
 */
#ifndef NK_RELAY_DAEMON_SERVICE_H
#define NK_RELAY_DAEMON_SERVICE_H

#include "base/opt.h"
#include "core/service.h"
#include "relay/endpoint.h"

#define RELAY_DAEMON_SECTION "endpoint"
#define RELAY_DAEMON_NAME "default" /* of the daemon that no command names */

/* [endpoint NAME]; the rows are in cmd_endpoint_daemon.c. */
struct relay_daemon_opts {
    struct relay_endpoint_conf common;
    char *name; /* --name; NULL: the section's */
    struct nk_strlist group;
    struct nk_strlist notify; /* GROUP[=N]: asked for at the start */
    int64_t queue_items;
    uint64_t queue_bytes, buffer;
};

extern const struct nk_service_type relay_daemon_service;

/* relay_daemon_name_check - lower-case letters, digits and '-', as in section names: it becomes
 * part of a path. 0 or NK_EUSAGE. */
int relay_daemon_name_check(const char *name, struct nk_diag *diag);

#endif
