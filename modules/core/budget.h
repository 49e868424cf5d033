/* SPDX-License-Identifier: MIT */
/*
 * budget - memory accounting: connection -> group -> service -> process, and the pool that
 * unauthenticated connections share, oldest dropped first.
 */
#ifndef NK_CORE_BUDGET_H
#define NK_CORE_BUDGET_H

#include <stddef.h>
#include <stdint.h>

struct nk_budget {
    struct nk_budget *parent; /* charged too; NULL at the root */
    size_t used;
    size_t max;  /* SIZE_MAX = unlimited */
    size_t peak; /* highest `used` */
};

/* nk_budget_init - empty budget below parent (may be NULL) with a limit of max bytes. */
void nk_budget_init(struct nk_budget *b, struct nk_budget *parent, size_t max);

/* nk_budget_charge - count n bytes here and in all ancestors, or nothing at all: NK_ELIMIT. */
int nk_budget_charge(struct nk_budget *b, size_t n);

/* nk_budget_release - give n charged bytes back, here and in all ancestors. */
void nk_budget_release(struct nk_budget *b, size_t n);

/*
 * A connection that has not authenticated yet. All of a process share one pool; when a charge does
 * not fit, the oldest other member is dropped (its drop() must close it), until it fits.
 */
struct nk_preauth {
    void (*drop)(void *owner); /* close the connection now; called from nk_preauth_charge */
    void *owner;
    size_t used; /* private from here on */
    struct nk_preauth *prev, *next;
    struct nk_preauth_pool *pool;
};

struct nk_preauth_pool {
    struct nk_preauth *oldest, *newest;
    size_t used, max, count;
    uint64_t dropped; /* members dropped to make room */
};

/* nk_preauth_pool_init - an empty pool that holds at most max bytes. */
void nk_preauth_pool_init(struct nk_preauth_pool *p, size_t max);

/* nk_preauth_enter - join the pool as its newest member; nothing charged yet. */
void nk_preauth_enter(struct nk_preauth_pool *p, struct nk_preauth *m);

/* nk_preauth_charge - count n more bytes for m. May drop older members. NK_ELIMIT when n alone
 * exceeds the pool. */
int nk_preauth_charge(struct nk_preauth *m, size_t n);

/* nk_preauth_leave - authenticated or closed: give everything back. Fine when not entered. */
void nk_preauth_leave(struct nk_preauth *m);

struct nk_app;
/* nk_app_preauth - the process's pool. */
struct nk_preauth_pool *nk_app_preauth(struct nk_app *app);

#endif
