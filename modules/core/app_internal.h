/* SPDX-License-Identifier: MIT */
/*
 * app_internal - what the files of core share and nobody else sees. The only header with uv.h.
 *
 * A turn: prepare (begin, arm the wake-up) - poll (watchers, work results, signals) - check: due
 * timers, the ready list of streams, deferred calls, memory of closed streams. Every other callback
 * of libuv calls nk_app_enter first, so that nk_now_ms is fresh. What keeps the loop alive is
 * libuv's count of active handles: use uv_unref for those that should not.
 */
#ifndef NK_CORE_APP_INTERNAL_H
#define NK_CORE_APP_INTERNAL_H

#include <uv.h>
#include "core/app.h"
#include "core/clock.h"
#include "core/stream.h"
#include "core/timer.h"

struct nk_slot {
    const void *key;
    void *value;
    void (*release)(void *value);
    struct nk_slot *next;
};

struct nk_ready_list {
    struct nk_stream *first, *last;
};

struct nk_app {
    uv_loop_t loop;
    uv_prepare_t prepare;
    uv_check_t check;
    uv_idle_t idle;   /* active while work waits for the next turn: poll then does not block */
    uv_timer_t wake;  /* ends the poll for the first timer */
    uv_timer_t guard; /* ends the poll for nk_app_turn */
    struct nk_app_conf conf;
    unsigned scale;

    bool in_turn; /* between the first callback of a poll and the end of check */
    bool in_pass; /* the ready list is being delivered */
    bool stopping;
    int exit_code;
    uint64_t turn;
    uint64_t origin_ns;  /* monotonic real time at birth; scaled time runs from here */
    uint64_t now_ns;     /* scaled, sampled */
    uint64_t skipped_ns; /* scaled; see nk_clock_skip */
    int64_t wall_set_ms; /* see nk_clock_set_wall */
    uint64_t handshake_ns;

    struct nk_timer *timers; /* root of the pairing heap */
    uint64_t timer_seq;
    uint64_t wake_ms; /* real time the wake-up is armed for; 0 = not */

    struct nk_ready_list ready[2]; /* [0]: the next pass; [1]: served in this turn, due again */
    struct nk_stream *dead;        /* streams to free after the turn */
    struct nk_defer *defers, *defers_last;
    struct nk_defer *defers_stop; /* last one of the pass that runs now */
    struct nk_slot *slots;

    struct nk_budget budget;
    struct nk_preauth_pool preauth;
    size_t streams, listeners, watches; /* open ones */
};

/* nk_app_enter - first line of every callback of libuv: the turn has begun; read the clock once. */
void nk_app_enter(struct nk_app *app);

/* nk_app_tick - outside of a turn, read the clock (before something is armed relative to now). */
void nk_app_tick(struct nk_app *app);

/* nk_app_sync - make the wake-up timer and the idle handle agree with timers and lists. */
void nk_app_sync(struct nk_app *app);

/* nk_timers_run - fire what is due (timer.c). nk_streams_run - deliver the ready list (stream.c).
 * nk_streams_reap - free closed streams. */
void nk_timers_run(struct nk_app *app);
void nk_streams_run(struct nk_app *app);
void nk_streams_reap(struct nk_app *app);

#endif
