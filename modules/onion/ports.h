/* SPDX-License-Identifier: MIT */
/*
 * ports - which port of an onion service leads where: PORT[:TARGET], and the ways in which others
 * write the same.
 *
 * A target is an address, never a name: tor would look a name up in the DNS (control-spec
 * ADD_ONION, tor's manual HiddenServicePort). "localhost" is 127.0.0.1.
 */
#ifndef NK_ONION_PORTS_H
#define NK_ONION_PORTS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/opt.h"

enum {
    ONION_TARGET_MAX = 120, /* "unix:" and a path that fits sun_path (108 bytes, unix(7)) */
    ONION_PORTS_MAX = 64    /* ports of one service: a bound, not a feature */
};

struct onion_port {
    uint16_t port;                 /* that clients connect to, 1..65535 */
    char target[ONION_TARGET_MAX]; /* "127.0.0.1:80", "[::1]:80" or "unix:/path" */
};

/*
 * onion_port_parse - "80", "80:8080", "80:127.0.0.1:5432", "80:[::1]:5432", "80:unix:/run/x",
 * "80:tcp:127.0.0.1:5432"; after the port there may be a space (as in a torrc) or a comma (as in
 * ADD_ONION) instead of the colon, and a path may be in quotes after a space. Without a target it
 * is the same port of 127.0.0.1. 0 or NK_EFORMAT, with a hint for what onionpipe writes; *out is
 * untouched then.
 */
int onion_port_parse(struct onion_port *out, const char *text, struct nk_diag *diag);

/* onion_ports_parse - the n texts of a list. *out is an array of list->n for the caller to free.
 * NK_EUSAGE for an empty list, one of more than ONION_PORTS_MAX and a bad text; -ENOMEM. */
int onion_ports_parse(struct onion_port **out, const struct nk_strlist *list, struct nk_diag *diag);

#endif
