/* SPDX-License-Identifier: MIT */
/* launcher_internal - netkit's end of the connection, shared by launcher.c and process.c. */
#ifndef NK_CORE_LAUNCHER_INTERNAL_H
#define NK_CORE_LAUNCHER_INTERNAL_H

#include <stdint.h>

struct nk_launcher {
    int fd;           /* SOCK_SEQPACKET, CLOEXEC; sent and received with MSG_DONTWAIT */
    uint32_t next_id; /* of processes; never used twice */
};

#endif
