/* SPDX-License-Identifier: MIT */
/*
 * gather - when a socket that bulk comes from is looked at less often (what network cards call
 * interrupt coalescing): SO_RCVLOWAT makes the kernel wait for a few hundred kilobytes before it
 * says "readable", so that a wake-up of the loop costs little for each byte.
 *
 *   - It begins after so many bytes without a pause, and waits for what comes in half a millisecond
 *     at their rate; what is slower than that is not worth it.
 *   - The end of the stream and errors are reported at once by the kernel, and so is a receive
 *     buffer that is full.
 *   - When less has come for NK_GATHER_LATE_MS, what is there is looked at and the watch is as
 * ever: a sender that waits for us in spite of its rate loses that time once, and the next attempt
 *     comes after twice as many bytes.
 *   - Who answers what came (a write after less than NK_GATHER_TALK bytes) is not gathered for.
 *
 * Bytes and time in, decisions out; the caller has the socket and the timer.
 */
#ifndef NK_CORE_GATHER_H
#define NK_CORE_GATHER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    NK_GATHER_FROM = 4 * 1024 * 1024,      /* bytes without a pause, at first ... */
    NK_GATHER_FROM_MAX = 64 * 1024 * 1024, /* ... and after attempts that were wrong; so many bytes
                                              in an attempt make up for them */
    NK_GATHER_LEAST = 64 * 1024,           /* bytes to wait for */
    NK_GATHER_MOST = 256 * 1024,
    NK_GATHER_TALK = 192 * 1024,
    NK_GATHER_PAUSE_MS = 2,
    NK_GATHER_LATE_MS = 2 /* of a clock of milliseconds: after more than one */
};

/* Zeroed at birth. */
struct nk_gather {
    uint64_t since_ms, last_ms; /* when the bytes that are counted began, and when bytes came */
    size_t bytes;               /* since then */
    size_t burst;               /* read since the last write */
    unsigned doubled;           /* NK_GATHER_FROM, so many times */
    size_t least;               /* bytes that the kernel waits for; 0: any */
};

/* nk_gather_read, nk_gather_wrote, nk_gather_late - n bytes were read; some were written; nothing
 * was read for NK_GATHER_LATE_MS. True: g->least has changed. */
bool nk_gather_read(struct nk_gather *g, size_t n, uint64_t now_ms);
bool nk_gather_wrote(struct nk_gather *g);
bool nk_gather_late(struct nk_gather *g);

#endif
