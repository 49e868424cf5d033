/* SPDX-License-Identifier: MIT */
/*
 * spec - what a service is, as the control port takes it: ADD_ONION (control-spec 3.27) for one
 * that lives with a connection, HiddenService.. options for one in a directory. Pure.
 *
 * tor parses the arguments of ADD_ONION without any quoting: what has a space or a quotation mark
 * cannot be said there. A value of an option can have both.
 */
#ifndef NK_ONION_SPEC_H
#define NK_ONION_SPEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "hs/hs.h"
#include "onion/ports.h"

enum {
    ONION_SPEC_LINE = 65536,        /* bytes of a line that we send */
    ONION_MAX_STREAMS = 65535,      /* tor: "Invalid MaxStreams" above */
    ONION_CLIENTS_MAX = 900,        /* of one line; a descriptor has room for HS_AUTH_MANY */
    ONION_MAX_POW_RATE = 1000000000 /* requests in a second: a bound, not a feature */
};

struct onion_spec {
    const struct onion_port *ports;
    size_t nports;
    const struct hs_identity
        *key;        /* with its secret half; NULL: tor makes one that nobody learns */
    bool restricted; /* to clients; none of them is an error, never everybody */
    const uint8_t (*clients)[HS_PUBLIC_KEY]; /* public keys that may read the descriptor */
    size_t nclients;
    int64_t max_streams; /* of one circuit; 0: no limit */
    bool close_circuit;  /* which has more of them */
    bool detach;
    bool single_hop;
    bool pow;                    /* proof of work when there is an attack */
    int64_t pow_rate, pow_burst; /* requests in a second, and at once; 0: tor's default */
};

/* onion_spec_add - append ADD_ONION's line, without its end, to a secret buffer. NK_EFORMAT for
 * what cannot be said, NK_ECONFIG when it is restricted to nobody, NK_ETOOBIG, -ENOMEM. */
int onion_spec_add(struct nk_buf *out, const struct onion_spec *s, struct nk_diag *diag);

/* One option: a key of tor, and its value before any quoting. */
typedef int onion_option_fn(void *arg, const char *key, const char *value, struct nk_diag *diag);

/* onion_spec_options - the options of the same service in directory dir, in order, HiddenServiceDir
 * first. Clients are files in the directory and none of them. An error of each ends it. */
int onion_spec_options(const struct onion_spec *s, const char *dir, onion_option_fn *each,
                       void *arg, struct nk_diag *diag);

/* onion_spec_explain - an error for a code (not 250) and text with which tor answered ADD_ONION or
 * DEL_ONION, with what it means. Returns diag's code. */
int onion_spec_explain(int code, const char *text, size_t len, struct nk_diag *diag);

#endif
