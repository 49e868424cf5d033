/* SPDX-License-Identifier: MIT */
/*
 * tunnel - forwards to, from and over an SSH host as a service: `[tunnel NAME]`, which is kept
 * whatever happens to the connection, and `netkit tunnel`, one port in the foreground.
 *
 * A reload reads everything again, ssh_config and the password's file included. What is equal stays
 * connected; else there is a new set of forwards, over the same connection where that is equal,
 * which takes the listeners here that both have, and the old one lasts as long as what goes over
 * it.
 */
#ifndef SSH_TUNNEL_H
#define SSH_TUNNEL_H

#include "base/cmd.h"
#include "core/service.h"
#include "ssh/dest.h"

struct ssh_tunnel_conf {
    char *host; /* [USER@]HOST */
    char *user;
    int64_t port; /* of its SSH server; 0: ssh_config says */
    struct ssh_dest_conf dest;
    struct nk_strlist local, remote, dynamic; /* as -L, -R and -D have them */
    bool reconnect;
    uint64_t hold_ms; /* 0: connections are refused while there is none to the host */
    uint64_t alive_ms;
    /* of the command */
    int64_t local_port, ready_fd;
    uint16_t remote_port;         /* no row: localhost:PORT of the host; 0: none */
    const struct nk_cmd_ctx *ctx; /* no row; NULL for [tunnel] */
    /* no row: it is usable, with this port here; an error ends the service. May be NULL */
    int (*usable)(const struct nk_cmd_ctx *ctx, uint16_t port, struct nk_diag *diag);
};

extern const struct nk_service_type ssh_tunnel_service;

/* ssh_tunnel_port - the port here that leads to remote_port of the configuration; 0: none. */
uint16_t ssh_tunnel_port(const struct nk_service *s);

#endif
