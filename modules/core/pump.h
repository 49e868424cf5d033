/* SPDX-License-Identifier: MIT */
/*
 * pump - copy between two streams in both directions until both ended: half-close is passed on,
 * optional idle limits. A stream is only read while everything read from it before was written, so
 * a direction holds at most one piece: 64 KiB, growing to 256 KiB while the receiver keeps up, and
 * only for as long as bytes wait. Between sockets bulk goes through pipes, which belong to the app:
 * a connection holds one only while bytes wait in it, and copies when there is none to be had.
 *
 * What is cut never looks whole: when a side ends with an error, in time, or because the pump is
 * closed, the other one is reset (NK_TUNE_RESET) unless its peer has been sent everything and the
 * end. Where there are no resets (unix sockets, pipes) it is closed.
 */
#ifndef NK_CORE_PUMP_H
#define NK_CORE_PUMP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/err.h"
#include "core/stream.h"

struct nk_pump;

/* Between two plain sockets bytes may go through a pipe inside of the kernel (splice). */
enum nk_pump_how {
    NK_PUMP_AUTO,  /* while they come in large pieces: small ones cost more that way */
    NK_PUMP_COPY,  /* never */
    NK_PUMP_SPLICE /* wherever it works */
};

struct nk_pump_conf {
    enum nk_pump_how how;
    uint64_t idle_ms;      /* close when nothing moved for so long; 0 = never */
    uint64_t half_idle_ms; /* the same once one side has ended; 0 = never */
    const void *first;     /* written to b before anything of a; copied, and not counted */
    size_t first_len;
};

struct nk_pump_result {
    int error;                 /* 0 when both directions ended cleanly */
    int side;                  /* of error: 0 a, 1 b, -1 neither (time) */
    bool stood;                /* both have been connected */
    uint64_t bytes[2];         /* a to b, b to a */
    uint64_t spliced;          /* how many of them went through a pipe */
    const struct nk_diag *why; /* in words; valid during the call, "" when error is 0 */
};

typedef void nk_pump_done_fn(void *owner, const struct nk_pump_result *r);

/* nk_pump_start - take both streams (connected or connecting) and copy. fn runs once, later, when
 * both streams have been closed. On failure the streams are closed and fn does not run. */
int nk_pump_start(struct nk_app *app, struct nk_stream *take_a, struct nk_stream *take_b,
                  const struct nk_pump_conf *conf, nk_pump_done_fn *fn, void *owner,
                  struct nk_pump **out);

/* nk_pump_close - close both streams now; fn does not run. NULL is fine. */
void nk_pump_close(struct nk_pump *p);

/* nk_pump_bytes - bytes moved so far in direction dir (0: a to b, 1: b to a). */
uint64_t nk_pump_bytes(const struct nk_pump *p, int dir);

#endif
