/* SPDX-License-Identifier: MIT */
/*
 * relay - the relay as a service: `[relay]` and `[group NAME]` of netkit.ini, `netkit relay`. The
 * only header of this module that others may include.
 */
#ifndef NK_RELAY_RELAY_H
#define NK_RELAY_RELAY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/opt.h"
#include "core/service.h"

#define RELAY_DEFAULT_LISTEN "tcp:127.0.0.1:3000"
#define RELAY_CREDENTIALS_DIR "credentials" /* below the state directory */
#define RELAY_CERT_FILE "certificate.pem"
#define RELAY_KEY_FILE "key.pem"
#define RELAY_PASSWORD_FILE "password"

enum relay_connection { RELAY_TLS, RELAY_TCP };
enum relay_client_cert { RELAY_CLIENT_CERT_REQUIRED, RELAY_CLIENT_CERT_OPTIONAL };
enum relay_accept_groups { RELAY_GROUPS_AUTO, RELAY_GROUPS_ANY, RELAY_GROUPS_LISTED };

/* Which wires a relay speaks. */
enum relay_engines { RELAY_ENGINE_LOG, RELAY_ENGINE_MEMORY };
enum relay_wires { RELAY_WIRES_AUTO, RELAY_WIRES_NATIVE, RELAY_WIRES_TLSPYO };

/* [relay]; the rows are in cmd_relay.c. */
struct relay_conf {
    struct nk_strlist listen;
    int connection; /* enum relay_connection */
    bool allow_plain;
    char *cert, *key, *client_ca, *password_file;
    int client_cert; /* enum relay_client_cert */
    int64_t header_size;
    uint64_t max_object, max_memory, max_backlog;
    int64_t max_connections, max_guests, max_groups;
    int accept_groups; /* enum relay_accept_groups */
    int engine;        /* enum relay_engines */
    int sync;          /* enum relay_log_sync_mode */
    uint64_t sync_interval;
    int log_damage;                                                     /* 1: quarantine */
    int wire;                                                           /* enum relay_wires */
    uint64_t hello_timeout, ping_interval, ping_timeout, stall_timeout; /* ms */
    uint64_t session_grace;                                             /* ms */
};

/* [group NAME] */
struct relay_group_conf {
    char *match;                        /* the group's real name; NULL: NAME */
    int64_t max_count, max_consumables; /* -1: no limit */
    uint64_t max_bytes;                 /* 0: no limit, as all below */
    int policy;                         /* enum relay_policy */
    int64_t backlog_count, max_deliveries;
    uint64_t backlog_bytes, ttl, lease; /* bytes; ms */
    char *dead_letter;
};

extern const struct nk_section relay_section;
extern const struct nk_section relay_group_section;
extern const struct nk_service_type relay_service;

#endif
