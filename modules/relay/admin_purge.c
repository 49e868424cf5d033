/* SPDX-License-Identifier: MIT */
#include "relay/admin_purge.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "core/control.h"

/* One group of a request. */
struct purge_part {
    struct relay_group *g; /* a reference */
    struct relay_queue_stats before;
};

/* One request: its token is its address, which the engine gives back. */
struct purge {
    struct relay_purger *owner;
    struct nk_control_call *call;
    struct purge *next, *prev;
    uint64_t objects;
    size_t left; /* operations that have not ended */
    int status;
    size_t n;
    struct purge_part part[];
};

struct relay_purger {
    struct relay_engine *engine;
    struct relay_groups *groups;
    struct nk_log *log;
    struct relay_member *member;
    struct purge *first;
};

static void purge_free(struct purge *x)
{
    *(x->prev ? &x->prev->next : &x->owner->first) = x->next;
    if (x->next) {
        x->next->prev = x->prev;
    }
    for (size_t i = 0; i < x->n; i++) {
        relay_group_unref(x->part[i].g);
    }
    free(x);
}

/* How many have gone. The engine forgets a group that is empty, its counters too. */
static uint64_t gone(const struct purge_part *part)
{
    struct relay_queue_stats now;
    relay_queue_stats(part->g, &now);
    uint64_t counted = part->before.drop[RELAY_DROP_PURGED];
    uint64_t items =
        now.drop[RELAY_DROP_PURGED] > counted
            ? now.drop[RELAY_DROP_PURGED] - counted
            : part->before.queued -
                  (now.queued < part->before.queued ? now.queued : part->before.queued);
    return items +
           (part->before.retained > now.retained ? part->before.retained - now.retained : 0);
}

static void finish(struct purge *x)
{
    struct nk_diag diag = {0};
    int rc = x->status;
    if (rc < 0) {
        nk_fail(&diag, rc, "the engine could not purge: %s", nk_strerror(rc));
    } else {
        rc = nk_buf_printf(nk_control_body(x->call), "{\"groups\":%zu,\"objects\":%" PRIu64 "}\n",
                           x->n, x->objects);
    }
    nk_control_done(x->call, rc, &diag);
    purge_free(x);
}

static void on_done(void *owner, uint64_t token, int status)
{
    struct relay_purger *p = owner;
    struct purge *x = p->first;
    while (x && (uint64_t)(uintptr_t)x != token) {
        x = x->next;
    }
    if (!x) {
        return;
    }
    x->status = status < 0 ? status : x->status;
    if (--x->left > 0) {
        return;
    }
    for (size_t i = 0; i < x->n; i++) {
        uint64_t n = gone(&x->part[i]);
        x->objects += n;
        nk_audit(p->log, "relay", NK_LOG_INFO, "admin.purge", NULL,
                 "group '%.*s': %" PRIu64 " objects", (int)x->part[i].g->len,
                 (const char *)x->part[i].g->name, n);
    }
    finish(x);
}

/* It is in no group: nothing is ever delivered to it. */
static void on_deliver(void *owner, struct relay_group *g, struct relay_object *o,
                       enum relay_delivery kind, const struct relay_mark *mark)
{
    (void)owner, (void)g, (void)o, (void)kind, (void)mark;
}

static const struct relay_member_ops member_ops = {.deliver = on_deliver, .done = on_done};

int relay_purger_new(struct relay_engine *e, struct relay_groups *groups, struct nk_log *log,
                     struct relay_purger **out)
{
    struct relay_purger *p = calloc(1, sizeof(*p));
    if (!p) {
        return -ENOMEM;
    }
    *p = (struct relay_purger){.engine = e, .groups = groups, .log = log};
    int rc = relay_engine_attach(e, &member_ops, p, &p->member);
    if (rc < 0) {
        free(p);
        return rc;
    }
    *out = p;
    return 0;
}

void relay_purger_free(struct relay_purger *p)
{
    if (p) {
        relay_engine_detach(p->engine, p->member);
        while (p->first) {
            purge_free(p->first);
        }
        free(p);
    }
}

static int find_groups(struct purge *x, size_t n, char *const *names, struct nk_diag *diag)
{
    for (size_t i = 0; i < n; i++) {
        struct relay_group *g = relay_groups_find(x->owner->groups, names[i], strlen(names[i]));
        if (!g) {
            return nk_fail(diag, NK_EUSAGE, "there is no group '%s'", names[i]);
        }
        x->part[x->n].g = relay_group_ref(g);
        relay_queue_stats(g, &x->part[x->n].before);
        x->n++;
    }
    return 0;
}

static void begin(struct purge *x)
{
    struct relay_purger *p = x->owner;
    x->left = x->n + 1;
    for (size_t i = 0; i < x->n; i++) {
        int rc = relay_engine_purge(p->engine, p->member, x->part[i].g, (uint64_t)(uintptr_t)x);
        if (rc < 0) {
            x->status = rc;
            x->left--;
        }
    }
    if (--x->left == 0) {
        finish(x);
    }
}

void relay_purger_answer(struct relay_purger *p, struct nk_control_call *call, size_t n,
                         char *const *words)
{
    struct nk_diag diag = {0};
    bool dry = n > 2 && strcmp(words[1], "dry") == 0;
    if (n < 3 || (!dry && strcmp(words[1], "now") != 0)) {
        nk_control_done(call, nk_fail(&diag, NK_EUSAGE, "purge: not a request"), &diag);
        return;
    }
    struct purge *x = calloc(1, sizeof(*x) + (n - 2) * sizeof(struct purge_part));
    if (!x) {
        nk_control_done(call, -ENOMEM, NULL);
        return;
    }
    x->owner = p;
    x->call = call;
    x->next = p->first;
    if (x->next) {
        x->next->prev = x;
    }
    p->first = x;
    int rc = find_groups(x, n - 2, words + 2, &diag);
    if (rc < 0) {
        nk_control_done(call, rc, &diag);
        purge_free(x);
    } else if (dry) {
        for (size_t i = 0; i < x->n; i++) {
            x->objects += x->part[i].before.queued + x->part[i].before.retained;
        }
        finish(x);
    } else {
        begin(x);
    }
}
