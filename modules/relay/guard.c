/* SPDX-License-Identifier: MIT */
#include "relay/guard.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sodium.h>

enum { BUCKETS = 1024, NAME_MAX_BYTES = 64, FAILURES_MAX = 16 };

struct relay_address {
    char name[NAME_MAX_BYTES];
    struct relay_address *hash_next;
    struct relay_address *prev, *next; /* least recently used first */
    struct relay_guest *oldest, *newest;
    size_t guests;
    unsigned failures;
    uint64_t failed_ms;
};

struct relay_guard {
    size_t max_guests, count;
    uint64_t dropped;
    struct relay_address *bucket[BUCKETS];
    struct relay_address *first, *last;
    unsigned char key[crypto_shorthash_KEYBYTES];
};

struct relay_guard *relay_guard_new(size_t max_guests)
{
    struct relay_guard *g = calloc(1, sizeof(*g));
    if (g) {
        g->max_guests = max_guests;
        crypto_shorthash_keygen(g->key);
    }
    return g;
}

static struct relay_address **bucket_of(struct relay_guard *g, const char *name)
{
    uint64_t h;
    crypto_shorthash((unsigned char *)&h, (const unsigned char *)name, strlen(name), g->key);
    return &g->bucket[h % BUCKETS];
}

static void list_remove(struct relay_guard *g, struct relay_address *a)
{
    *(a->prev ? &a->prev->next : &g->first) = a->next;
    *(a->next ? &a->next->prev : &g->last) = a->prev;
}

static void list_append(struct relay_guard *g, struct relay_address *a)
{
    a->next = NULL;
    a->prev = g->last;
    *(g->last ? &g->last->next : &g->first) = a;
    g->last = a;
}

static void address_free(struct relay_guard *g, struct relay_address *a)
{
    struct relay_address **at = bucket_of(g, a->name);
    while (*at != a) {
        at = &(*at)->hash_next;
    }
    *at = a->hash_next;
    list_remove(g, a);
    g->count--;
    free(a);
}

void relay_guard_free(struct relay_guard *g)
{
    if (!g) {
        return;
    }
    while (g->first) {
        address_free(g, g->first);
    }
    free(g);
}

/* The address without its port. */
static void cut_port(char out[NAME_MAX_BYTES], const char *peer)
{
    const char *colon = strrchr(peer, ':');
    size_t n = colon ? (size_t)(colon - peer) : strlen(peer);
    if (n >= NAME_MAX_BYTES) {
        n = NAME_MAX_BYTES - 1;
    }
    memcpy(out, peer, n);
    out[n] = '\0';
}

/* Too many addresses: the one that was idle for the longest time goes, with its failures. */
static void forget_one(struct relay_guard *g)
{
    struct relay_address *a = g->first;
    while (a && a->guests) {
        a = a->next;
    }
    if (a) {
        address_free(g, a);
    }
}

static struct relay_address *address_get(struct relay_guard *g, const char *peer)
{
    char name[NAME_MAX_BYTES];
    cut_port(name, peer);
    struct relay_address **at = bucket_of(g, name);
    for (struct relay_address *a = *at; a; a = a->hash_next) {
        if (strcmp(a->name, name) == 0) {
            list_remove(g, a);
            list_append(g, a);
            return a;
        }
    }
    if (g->count >= RELAY_ADDRESSES_MAX) {
        forget_one(g);
        at = bucket_of(g, name);
    }
    struct relay_address *a = calloc(1, sizeof(*a));
    if (a) {
        memcpy(a->name, name, sizeof(name));
        a->hash_next = *at;
        *at = a;
        list_append(g, a);
        g->count++;
    }
    return a;
}

int relay_guard_enter(struct relay_guard *g, struct relay_guest *guest, const char *peer)
{
    struct relay_address *a = address_get(g, peer);
    if (!a) {
        return -ENOMEM;
    }
    guest->address = a;
    guest->next = NULL;
    guest->prev = a->newest;
    *(a->newest ? &a->newest->next : &a->oldest) = guest;
    a->newest = guest;
    a->guests++;
    if (a->guests > g->max_guests) {
        struct relay_guest *victim = a->oldest;
        g->dropped++;
        relay_guard_leave(g, victim);
        victim->drop(victim->owner);
    }
    return 0;
}

void relay_guard_leave(struct relay_guard *g, struct relay_guest *guest)
{
    struct relay_address *a = guest->address;
    if (!a) {
        return;
    }
    *(guest->prev ? &guest->prev->next : &a->oldest) = guest->next;
    *(guest->next ? &guest->next->prev : &a->newest) = guest->prev;
    guest->address = NULL;
    guest->prev = guest->next = NULL;
    a->guests--;
    if (a->guests == 0 && a->failures == 0) {
        address_free(g, a);
    }
}

/* One more failure of a; returns how many there were before. */
static unsigned count_failure(struct relay_address *a, uint64_t now_ms)
{
    uint64_t forgotten = a->failures ? (now_ms - a->failed_ms) / RELAY_FORGET_MS : 0;
    a->failures -= forgotten < a->failures ? (unsigned)forgotten : a->failures;
    unsigned before = a->failures;
    a->failures += a->failures < FAILURES_MAX;
    a->failed_ms = now_ms;
    return before;
}

static uint64_t penalty(unsigned failures)
{
    uint64_t delay = (uint64_t)RELAY_PENALTY_FIRST_MS << failures;
    return delay < RELAY_PENALTY_MAX_MS ? delay : RELAY_PENALTY_MAX_MS;
}

uint64_t relay_guard_failed(struct relay_guard *g, struct relay_guest *guest, uint64_t now_ms)
{
    (void)g;
    return penalty(count_failure(guest->address, now_ms));
}

uint64_t relay_guard_attempt(struct relay_guard *g, struct relay_guest *guest, uint64_t now_ms)
{
    (void)g;
    unsigned before = count_failure(guest->address, now_ms);
    return before ? penalty(before - 1) : 0;
}

void relay_guard_forgive(struct relay_guard *g, struct relay_guest *guest)
{
    (void)g;
    guest->address->failures -= guest->address->failures > 0;
}

uint64_t relay_guard_dropped(const struct relay_guard *g)
{
    return g->dropped;
}
