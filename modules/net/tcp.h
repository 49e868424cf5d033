/* SPDX-License-Identifier: MIT */
/* tcp - inside net: parameters of tcp: and its two halves, ep_tcp.c (listen) and tcp_dial.c. */
#ifndef NK_NET_TCP_H
#define NK_NET_TCP_H

#include <stdbool.h>
#include <stdint.h>
#include "core/registry.h"

enum tcp_family { TCP_ANY, TCP_IPV4, TCP_IPV6 };

struct tcp_conf {
    int family;               /* enum tcp_family */
    uint64_t timeout_ms;      /* of the whole connection attempt */
    uint64_t keepalive_ms;    /* idle time before the first probe; 0 = no probes */
    uint64_t user_timeout_ms; /* unacknowledged data for so long ends it (RFC 5482); 0 = kernel's */
    uint64_t sndbuf, rcvbuf;  /* bytes; 0 = the kernel's automatic sizes */
    char *source, *interface; /* of connections: our address, our network interface; NULL: any */
    int64_t backlog;
    bool reuse_port;
};

/* tcp_setup - options of a new socket, before connect or listen (accepted sockets inherit them).
 * 0 or -errno. */
int tcp_setup(int fd, const struct tcp_conf *conf);

/* tcp_dial - the dial operation of the driver: RFC 8305. */
int tcp_dial(struct nk_app *app, const struct nk_ep_layer *layer, struct nk_stream **out,
             struct nk_diag *diag);

#endif
