/* SPDX-License-Identifier: MIT */
/*
 * via - one SOCKS request to tor, whatever it is for: finds the SOCKS port, connects to it, asks.
 * The stream is born connecting; errors are explained with the next step.
 */
#ifndef TOR_VIA_H
#define TOR_VIA_H

#include "socks/socks.h"
#include "tor/access.h"

struct nk_app;

/* A service that is gone is not answered for more than a minute, and tor itself gives up after two
 * (its SocksTimeout); so this is what a request gets. */
#define TOR_VIA_TIMEOUT "90s"
enum { TOR_VIA_TIMEOUT_MS = 90 * 1000 };

/* Tor cannot end one direction alone: when ours ends, the other end is told that all is over, and
 * what it had still to say is lost (tor 0.4.9, seen). So our end is only passed on when nothing has
 * come for this time. */
#define TOR_VIA_LINGER "10s"

/* Borrowed for the call. */
struct tor_via_conf {
    enum tor_kind kind; /* which tor; see instance.h for these three */
    struct tor_access access;
    const char *socks;       /* PORT, HOST:PORT, a path or an endpoint string; NULL: tor says */
    const char *client_file; /* key for a restricted onion service; NULL: netkit's keystores */
    uint8_t command;         /* enum socks_command */
    struct socks_addr to;    /* of tor_target_set */
    bool onion;              /* as it said */
    const char *isolate;     /* streams with different names share no circuit; NULL: none */
    const char *circuit;     /* the stream is bound to it (attach.h); NULL: tor chooses */
    const struct nk_target
        *client;         /* its login isolates too (a SOCKS listener's client); or NULL */
    uint64_t timeout_ms; /* for all of it; 0 = none */
    uint64_t linger_ms;  /* see TOR_VIA_LINGER; 0 = none */
};

/* tor_via_check - are these good? Looks at kind, access, socks, isolate,
 * circuit and onion only. 0, NK_ECONFIG. */
int tor_via_check(const struct tor_via_conf *conf, struct nk_diag *diag);

/* tor_via_open - see above. 0, NK_ECONFIG, -ENOMEM; everything else is told by the stream. */
int tor_via_open(struct nk_app *app, const struct tor_via_conf *conf, struct nk_stream **out,
                 struct nk_diag *diag);

#endif
