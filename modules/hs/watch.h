/* SPDX-License-Identifier: MIT */
/*
 * watch - a service that keeps an eye on directories of keys and lets tor read them again when what
 * tor would see has changed, and is safe (preflight.h).
 */
#ifndef NK_HS_WATCH_H
#define NK_HS_WATCH_H

#include "core/service.h"
#include "hs/apply_cli.h"

struct hs_watch_conf {
    struct hs_apply_conf tor;
    uint64_t debounce_ms;
    /* not rows: what the command line has besides */
    char *const *dirs;
    size_t ndirs;
    bool json; /* a line for each event on stdout */
};

extern const struct nk_service_type hs_watch_service;

#endif
