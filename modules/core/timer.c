/* SPDX-License-Identifier: MIT */
/*
 * A pairing heap (Fredman, Sedgewick, Sleator, Tarjan 1986): insert and decrease in O(1), removal
 * in O(log n) amortised, all links inside the timers. `prev` is the parent for a first child, else
 * the left sibling; the root has none.
 */
#include "core/app_internal.h"

static bool before(const struct nk_timer *a, const struct nk_timer *b)
{
    return a->due_ms != b->due_ms ? a->due_ms < b->due_ms : a->seq < b->seq;
}

/* Joins two roots (either may be NULL); neither has siblings. */
static struct nk_timer *meld(struct nk_timer *a, struct nk_timer *b)
{
    if (!a || !b) {
        return a ? a : b;
    }
    if (before(b, a)) {
        struct nk_timer *t = a;
        a = b;
        b = t;
    }
    b->prev = a;
    b->next = a->child;
    if (a->child) {
        a->child->prev = b;
    }
    a->child = b;
    return a;
}

/* Two-pass merge of a list of siblings into one root. */
static struct nk_timer *merge_children(struct nk_timer *list)
{
    struct nk_timer *pairs = NULL; /* merged pairs, last first, through next */
    while (list) {
        struct nk_timer *a = list, *b = a->next;
        list = b ? b->next : NULL;
        a->next = a->prev = NULL;
        if (b) {
            b->next = b->prev = NULL;
        }
        a = meld(a, b);
        a->next = pairs;
        pairs = a;
    }
    struct nk_timer *root = NULL;
    while (pairs) {
        struct nk_timer *a = pairs;
        pairs = a->next;
        a->next = NULL;
        root = meld(root, a);
    }
    return root;
}

static void heap_remove(struct nk_app *app, struct nk_timer *t)
{
    if (t == app->timers) {
        app->timers = merge_children(t->child);
    } else {
        if (t->prev->child == t) {
            t->prev->child = t->next;
        } else {
            t->prev->next = t->next;
        }
        if (t->next) {
            t->next->prev = t->prev;
        }
        app->timers = meld(app->timers, merge_children(t->child));
    }
    t->child = t->next = t->prev = NULL;
}

void nk_timer_init(struct nk_timer *t, struct nk_app *app, void (*fn)(void *), void *owner)
{
    *t = (struct nk_timer){.fn = fn, .owner = owner, .app = app};
}

void nk_timer_start(struct nk_timer *t, uint64_t delay_ms)
{
    struct nk_app *app = t->app;
    nk_timer_stop(t);
    nk_app_tick(app);
    t->due_ms = nk_now_ms(app) + delay_ms;
    t->seq = ++app->timer_seq;
    t->armed = true;
    app->timers = meld(app->timers, t);
}

void nk_timer_stop(struct nk_timer *t)
{
    if (t->armed) {
        t->armed = false;
        heap_remove(t->app, t);
    }
}

void nk_timers_run(struct nk_app *app)
{
    uint64_t now = nk_now_ms(app), last = app->timer_seq;
    struct nk_timer *t;
    /* timers armed while this runs wait for the next turn, even with delay 0 */
    while ((t = app->timers) != NULL && t->due_ms <= now && t->seq <= last) {
        nk_timer_stop(t);
        t->fn(t->owner);
    }
}
