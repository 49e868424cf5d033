/* SPDX-License-Identifier: MIT */
/*
 * timer - intrusive one-shot timers in one heap behind a single loop timer: arming and cancelling
 * cost no system call and no allocation, and cancelling is immediate.
 */
#ifndef NK_CORE_TIMER_H
#define NK_CORE_TIMER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct nk_app;

struct nk_timer {
    void (*fn)(void *owner); /* called on the loop, never from nk_timer_start */
    void *owner;
    struct nk_app *app; /* private from here on */
    uint64_t due_ms;
    uint64_t seq;
    struct nk_timer *child, *next, *prev; /* pairing heap */
    bool armed;
};

/* nk_timer_init - prepare; allocates nothing. */
void nk_timer_init(struct nk_timer *t, struct nk_app *app, void (*fn)(void *), void *owner);

/* nk_timer_start - (re)arm to fire once, delay_ms (0..2^40) from now. Equal times fire in the order
 * of arming. */
void nk_timer_start(struct nk_timer *t, uint64_t delay_ms);

/* nk_timer_stop - disarm; fn will not run. Fine when not armed. */
void nk_timer_stop(struct nk_timer *t);

#endif
