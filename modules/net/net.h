/* SPDX-License-Identifier: MIT */
/* net - what other modules use of this one: joining a listener to a dialer. Transports are reached
 * through endpoint strings (core/registry.h). */
#ifndef NK_NET_NET_H
#define NK_NET_NET_H

#include "net/join.h"

#endif
