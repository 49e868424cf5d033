/* SPDX-License-Identifier: MIT */
/*
 * hs_watch - a service that keeps an eye on directories of keys and lets tor read them again when
 * what tor would see has changed, and is safe (hs/preflight.h): by a signal, or over its control
 * port.
 */
#ifndef NK_ONION_HS_WATCH_H
#define NK_ONION_HS_WATCH_H

#include "core/service.h"
#include "hs/hs.h"
#include "tor/tor.h"

/* ONION_LIVE_ROW - the ports of detached services, a row of `conf` whose `member` is a list. */
#define ONION_LIVE_ROW(conf, member)                                                               \
    {                                                                                              \
        .name = "port", .type = NK_OPT_STRING, .offset = NK_FIELD(conf, member),                   \
        .arg = "PORT[:TARGET]", .flags = NK_OPT_REPEAT,                                            \
        .help = "A port of a detached service, which tor does not tell: all that it is to have"    \
    }

struct hs_watch_conf {
    struct hs_apply_conf tor;
    struct tor_cli_conf control; /* when onion_hs_live says so */
    struct nk_strlist ports;
    uint64_t debounce_ms;
    /* not rows: what the command line has besides */
    char *const *dirs;
    size_t ndirs;
    bool json; /* a line for each event on stdout */
};

extern const struct nk_service_type hs_watch_service;

/* onion_hs_live - 1: the command line means a control port, 0: a process. NK_EUSAGE when it means
 * both, or a private tor, which has none of these directories. */
int onion_hs_live(const struct hs_apply_conf *process, const struct tor_cli_conf *control,
                  struct nk_diag *diag);

#endif
