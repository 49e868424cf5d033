/* SPDX-License-Identifier: MIT */
/*
 * conform_testkit - runs the stream contract (core/stream.h, DESIGN of streams) over a pair of
 * connected streams, however they were made. A module adds its scheme by calling nk_conform_run
 * with rows of its own from a test file.
 */
#ifndef NK_NET_CONFORM_TESTKIT_H
#define NK_NET_CONFORM_TESTKIT_H

#include "core/app.h"
#include "core/stream.h"

enum nk_conform_flags {
    NK_CONFORM_NO_HALF_CLOSE = 1, /* the transport cannot end one direction alone */
    NK_CONFORM_NO_REFUSED = 2,    /* no way to address something that is not there */
    NK_CONFORM_TINY = 4           /* queues of a few bytes: only small transfers */
};

/* "$$" in `listen` and `refused` stands for our pid: runs at the same time must not meet. */
struct nk_conform_row {
    const char *name;
    const char *listen;  /* listener's string */
    const char *suffix;  /* connect string = address the listener reports + suffix */
    const char *connect; /* or the whole connect string, when not NULL */
    const char *refused; /* connect string that must fail; NULL with NO_REFUSED */
    const char *echo;    /* instead of listen: connect string of something that echoes (exec:cat) */
    /* or: makes the two ends itself; 0 or the code that failed */
    int (*open)(struct nk_app *app, struct nk_stream **a, struct nk_stream **b);
    unsigned flags;
};

/* nk_conform_run - every check over every row, as one cmocka group; launcher may be NULL. Returns
 * what the group returns. Rows whose setup fails are failures. */
struct nk_launcher;
int nk_conform_run(const char *group, const struct nk_conform_row *rows, size_t n,
                   struct nk_launcher *launcher);

#endif
