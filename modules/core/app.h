/* SPDX-License-Identifier: MIT */
/*
 * app - the root of all mutable state of a process: one event loop with its clock, timers, log,
 * resolver, work lanes, launcher connection and memory budget.
 *
 * Single-threaded: every function of core and of the modules is called on the loop's thread unless
 * its header says otherwise.
 */
#ifndef NK_CORE_APP_H
#define NK_CORE_APP_H

#include <stdbool.h>
#include <stdint.h>
#include "base/err.h"
#include "base/log.h"
#include "core/budget.h"

struct nk_app;
struct nk_conf;
struct nk_launcher;

struct nk_app_conf {
    struct nk_log *log;           /* borrowed; may be NULL */
    struct nk_launcher *launcher; /* borrowed; NULL: exec is refused */
    const char *state_dir;        /* borrowed; may be NULL */
    const struct nk_conf *ini;    /* borrowed; may be NULL: the whole configuration */
    uint64_t preauth_bytes;       /* memory for unauthenticated connections; 0 = 64 MiB */
    bool test_endpoints;          /* drivers flagged NK_EP_TEST (mem:) are available */
    unsigned clock_scale;         /* test builds: how many times faster time runs; 0 = 1 */
};

/* nk_app_new - create loop and services. Starts no thread. 0, -errno. */
int nk_app_new(struct nk_app **out, const struct nk_app_conf *conf, struct nk_diag *diag);

/* nk_app_run - turn the loop until nk_app_stop was called, or nothing is pending any more. Returns
 * the code given to nk_app_stop (0 by default). May be called again. */
int nk_app_run(struct nk_app *app);

/* nk_app_turn - run one turn, waiting at most wait_ms (real time; -1 = until something happens).
 * For tests. Returns true while something is pending. */
bool nk_app_turn(struct nk_app *app, int wait_ms);

/* nk_app_stop - make nk_app_run return `code` after the current turn. */
void nk_app_stop(struct nk_app *app, int code);

/* nk_app_free - close what is left and free. Streams, listeners and timers of others must have been
 * closed before; debug builds report what was left open. Threads still inside a blocking job are
 * abandoned, so the caller should end the process with _exit. */
void nk_app_free(struct nk_app *app);

/* What the app was made with, borrowed from it; the launcher may be NULL. */
struct nk_log *nk_app_log(const struct nk_app *app);
struct nk_launcher *nk_app_launcher(const struct nk_app *app);
const char *nk_app_state_dir(const struct nk_app *app);

/* nk_app_ini - the configuration in force, for what endpoint strings do not say (shared instances,
 * keystores); may be NULL. Keep nothing of it: a reload of services replaces it (nk_app_set_ini).
 */
const struct nk_conf *nk_app_ini(const struct nk_app *app);
void nk_app_set_ini(struct nk_app *app, const struct nk_conf *ini);

/* nk_app_budget - the process-wide memory budget (core/budget.h). */
struct nk_budget *nk_app_budget(struct nk_app *app);

/* nk_app_defer - run fn(owner) once at the end of the current turn (or of the next turn when called
 * outside of one). Entries are intrusive: the struct belongs to the caller and must stay valid
 * until it ran or was cancelled; deferring a pending one changes nothing. Order is first in, first
 * out. What is deferred by a deferred call runs in the same turn too, up to four calls deep; then
 * the loop polls first. */
struct nk_defer {
    void (*fn)(void *owner);
    void *owner;
    struct nk_defer *prev, *next; /* private */
    bool pending;                 /* private */
};
void nk_app_defer(struct nk_app *app, struct nk_defer *d);
void nk_app_defer_cancel(struct nk_app *app, struct nk_defer *d);

/*
 * nk_app_slot / nk_app_slot_set - one value per key and app, for what a module keeps once per
 * process (a table of shared connections ...). The key is the address of a static const object of
 * the module. `release` runs in nk_app_free, last set first, while the loop still exists. 0 or
 * -ENOMEM, -EEXIST.
 */
void *nk_app_slot(const struct nk_app *app, const void *key);
int nk_app_slot_set(struct nk_app *app, const void *key, void *value, void (*release)(void *value));

/* nk_app_turn_id - number of the current loop turn; grows by one per turn. For per-turn limits. */
uint64_t nk_app_turn_id(const struct nk_app *app);

/* nk_app_handshake_slot - true while this turn still has room in its 8 ms of handshake work; call
 * nk_app_handshake_spent(ns) after each piece. When false, nk_stream_again() the stream instead. */
bool nk_app_handshake_slot(struct nk_app *app);
void nk_app_handshake_spent(struct nk_app *app, uint64_t ns);

#endif
