/* SPDX-License-Identifier: MIT */
/*
 * place - what stands behind `ssh:` in an endpoint string: a host that speaks SSH, and what is
 * meant there.
 *
 *     [user@]host[:port]                        left to each connection
 *     [user@]host[:port]/host:port              a place that the host reaches
 *                        unix:/path             a socket on it
 *                        exec:COMMAND           a program, for a shell there
 *                        subsystem:NAME         a subsystem (RFC 4254 6.5)
 *     listeners:         listen:[address:]port  connections to a port of it
 *                        listen:unix:/path      connections to a socket that it makes
 *
 * Fields are percent-decoded after they were split: a slash in a host is none, a space in a command
 * may be written as one. Pure.
 */
#ifndef SSH_PLACE_H
#define SSH_PLACE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

enum ssh_place_kind {
    SSH_PLACE_OPEN,
    SSH_PLACE_TCP,
    SSH_PLACE_UNIX,
    SSH_PLACE_EXEC,
    SSH_PLACE_SUBSYSTEM
};

struct ssh_place {
    enum ssh_place_kind kind;
    char *user;        /* NULL: the configuration says */
    char *host;        /* or an alias of ssh_config */
    uint16_t ssh_port; /* 0: the configuration says */
    char *text;        /* host, path, command or name; TCP listeners: NULL without an address */
    uint16_t port;     /* TCP; listeners: 0 for the host to choose */
    char *store;       /* private */
};

/* ssh_place_parse - 0 with *out, NK_ECONFIG (diag says which part), -ENOMEM. listen: as a listener.
 * ssh_place_clear - frees the texts; also on one that is all zeros. */
int ssh_place_parse(struct ssh_place *out, const char *body, bool listen, struct nk_diag *diag);
void ssh_place_clear(struct ssh_place *p);

#endif
