/* SPDX-License-Identifier: MIT */
/*
 * torrc - the configuration of a tor that netkit starts: what ownership and progress need, and the
 * user's lines. Nothing is read from the system's own torrc.
 */
#ifndef TOR_TORRC_H
#define TOR_TORRC_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/opt.h"

#define TOR_TORRC_MAX ((size_t)1 << 20) /* bytes of a whole configuration */

struct tor_torrc {
    const char *data_dir;   /* DataDirectory */
    const char *control;    /* path of the control socket, in a directory of mode 0700 */
    const char *socks;      /* see tor_torrc_socks_check */
    const char *socks_path; /* where "unix" puts its socket */
    pid_t owner;            /* tor ends when this process has; 0: none */
    bool enabled;           /* the network is on: what tor reads when it is told to reload */
    bool keep_disk;         /* the data directory will be used again */
    const struct nk_strlist *lines; /* the user's, or NULL */
};

/* tor_torrc_socks_check - where SOCKS is offered: "auto" (a free port of 127.0.0.1), a port, "0"
 * (nowhere), "unix" (a socket beside the control socket) or "unix:PATH". 0 or NK_EUSAGE. */
int tor_torrc_socks_check(const char *socks, struct nk_diag *diag);

/* tor_torrc_line_check - whether a line may be added: one line, whole, and about nothing that
 * netkit depends on. 0 or NK_EUSAGE with what to use instead. That tor likes it is not known. */
int tor_torrc_line_check(const char *line, struct nk_diag *diag);

/* tor_torrc_write - append the whole file. All of the above is checked. tor starts with
 * DisableNetwork 1 unless `enabled`: whoever owns it enables the network. 0, NK_EUSAGE, NK_ETOOBIG,
 * -ENOMEM. */
int tor_torrc_write(struct nk_buf *out, const struct tor_torrc *t, struct nk_diag *diag);

#endif
