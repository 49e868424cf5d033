/* SPDX-License-Identifier: MIT */
#include "core/app_internal.h"

void nk_budget_init(struct nk_budget *b, struct nk_budget *parent, size_t max)
{
    *b = (struct nk_budget){.parent = parent, .max = max};
}

int nk_budget_charge(struct nk_budget *b, size_t n)
{
    for (struct nk_budget *p = b; p; p = p->parent) {
        if (n > p->max || p->used > p->max - n) {
            return NK_ELIMIT;
        }
    }
    for (struct nk_budget *p = b; p; p = p->parent) {
        p->used += n;
        if (p->used > p->peak) {
            p->peak = p->used;
        }
    }
    return 0;
}

void nk_budget_release(struct nk_budget *b, size_t n)
{
    for (struct nk_budget *p = b; p; p = p->parent) {
        p->used -= n <= p->used ? n : p->used;
    }
}

void nk_preauth_pool_init(struct nk_preauth_pool *p, size_t max)
{
    *p = (struct nk_preauth_pool){.max = max};
}

void nk_preauth_enter(struct nk_preauth_pool *p, struct nk_preauth *m)
{
    m->pool = p;
    m->used = 0;
    m->next = NULL;
    m->prev = p->newest;
    *(p->newest ? &p->newest->next : &p->oldest) = m;
    p->newest = m;
    p->count++;
}

void nk_preauth_leave(struct nk_preauth *m)
{
    struct nk_preauth_pool *p = m->pool;
    if (!p) {
        return;
    }
    *(m->prev ? &m->prev->next : &p->oldest) = m->next;
    *(m->next ? &m->next->prev : &p->newest) = m->prev;
    p->used -= m->used;
    p->count--;
    m->used = 0;
    m->pool = NULL;
    m->prev = m->next = NULL;
}

int nk_preauth_charge(struct nk_preauth *m, size_t n)
{
    struct nk_preauth_pool *p = m->pool;
    if (!p) {
        return 0; /* authenticated meanwhile: counted elsewhere */
    }
    if (n > p->max || m->used > p->max - n) {
        return NK_ELIMIT;
    }
    while (p->used > p->max - n) {
        struct nk_preauth *victim = p->oldest != m ? p->oldest : m->next;
        nk_preauth_leave(victim); /* before drop(), which frees it */
        p->dropped++;
        victim->drop(victim->owner);
    }
    p->used += n;
    m->used += n;
    return 0;
}
