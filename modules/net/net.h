/* SPDX-License-Identifier: MIT */
/* net - what other modules use of this one: joining a listener to a dialer, and what the PROXY
 * protocol says about a connection. Transports are reached
 * through endpoint strings (core/registry.h). */
#ifndef NK_NET_NET_H
#define NK_NET_NET_H

#include "net/join.h"
#include "net/proxy_protocol.h"

#endif
