/* SPDX-License-Identifier: MIT */
/* ssh - what other modules may use: connections (conn.h), their channels (proto_channels.h),
 * private keys (key.h). */
#ifndef SSH_SSH_H
#define SSH_SSH_H

#include "ssh/conn.h"
#include "ssh/key.h"
#include "ssh/proto_channels.h"

#endif
