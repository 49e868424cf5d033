/* SPDX-License-Identifier: MIT */
/*
 * bootstrap - how far tor is on its way into the network (control-spec 4.1.10 and 5): the text of
 * a STATUS_CLIENT event or of GETINFO status/bootstrap-phase, as a struct.
 */
#ifndef TOR_BOOTSTRAP_H
#define TOR_BOOTSTRAP_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "tor/wire.h"

#define TOR_BOOTSTRAP_DONE 100u
#define TOR_BOOTSTRAP_TAG 40
#define TOR_BOOTSTRAP_TEXT 160

/* Texts are those of tor, with escapes undone and control bytes replaced; longer ones are cut. */
struct tor_bootstrap {
    unsigned percent;                 /* 0..100; never goes back within one start, but skips */
    bool trouble;                     /* the rest tells what went wrong at this point */
    bool serious;                     /* RECOMMENDATION=warn: tor thinks the user should know */
    unsigned count;                   /* how often it went wrong */
    char tag[TOR_BOOTSTRAP_TAG];      /* "conn_done": stable, an open set */
    char summary[TOR_BOOTSTRAP_TEXT]; /* "Connected to a relay" */
    char warning[TOR_BOOTSTRAP_TEXT]; /* "Connection refused", "" */
    char reason[TOR_BOOTSTRAP_TAG];   /* "CONNECTREFUSED", "" */
    char host[TOR_BOOTSTRAP_TEXT];    /* "192.0.2.1:443": whom it concerns, "" */
};

/*
 * tor_bootstrap_parse - text is "NOTICE BOOTSTRAP PROGRESS=5 TAG=.. SUMMARY=..", with or without
 * "STATUS_CLIENT " in front. 0; -ENOENT when it speaks of something else (CIRCUIT_ESTABLISHED ...);
 * NK_EPROTO. out is untouched unless 0.
 */
int tor_bootstrap_parse(struct tor_bootstrap *out, const char *text, size_t len);

#endif
