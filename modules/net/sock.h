/* SPDX-License-Identifier: MIT */
/* sock - inside net: what the socket endpoints share. */
#ifndef NK_NET_SOCK_H
#define NK_NET_SOCK_H

#include <stdint.h>
#include "base/err.h"
#include "core/resolve.h"

#define NET_BACKLOG "1024" /* default of backlog=; the kernel cuts it to net.core.somaxconn */
#define NET_HOST_MAX 256

/* net_listen_error - "WHERE: Address already in use" with the hint that fits. Returns code. */
int net_listen_error(struct nk_diag *diag, int code, const char *where);

/* net_connect_error - the same for a failed connection. */
int net_connect_error(struct nk_diag *diag, int code, const char *where);

/* net_sockaddr - the address for calls that want the generic type. */
static inline const struct sockaddr *net_sockaddr(const struct nk_addr *a)
{
    return (const struct sockaddr *)&a->ss;
}

#endif
