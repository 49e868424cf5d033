/* SPDX-License-Identifier: MIT */
#include "relay/queue_group.h"

#include <stdlib.h>
#include <string.h>
#include <sodium.h>

enum { BUCKETS_MIN = 16 };

static const struct relay_group_settings no_limits = {.max_count = RELAY_UNLIMITED,
                                                      .max_consumables = RELAY_UNLIMITED};

struct relay_groups {
    struct relay_groups_conf conf;
    struct relay_group **bucket; /* nbuckets is a power of two, at least the number of groups */
    size_t nbuckets, count;
    uint64_t serial;
    uint32_t next_id;
    unsigned round; /* of the configuration, from 1 */
    /* names come from peers: a keyed hash keeps them from choosing collisions */
    unsigned char key[crypto_shorthash_KEYBYTES];
};

const char *relay_drop_name(unsigned why)
{
    static const char *const names[RELAY_DROPS] = {
        [RELAY_DROP_LIMIT] = "limit",
        [RELAY_DROP_EXPIRED] = "expired",
        [RELAY_DROP_DEAD] = "dead",
        [RELAY_DROP_PURGED] = "purged",
        [RELAY_DROP_CONFLATED] = "conflated",
        [RELAY_DROP_BACKLOG] = "backlog",
        [RELAY_DROP_DISCONNECT] = "disconnect",
    };
    return why < RELAY_DROPS ? names[why] : "?";
}

struct relay_groups *relay_groups_new(const struct relay_groups_conf *conf)
{
    struct relay_groups *gs = calloc(1, sizeof(*gs));
    if (!gs) {
        return NULL;
    }
    gs->bucket = calloc(BUCKETS_MIN, sizeof(struct relay_group *));
    if (!gs->bucket) {
        free(gs);
        return NULL;
    }
    gs->conf = *conf;
    gs->nbuckets = BUCKETS_MIN;
    gs->round = 1;
    crypto_shorthash_keygen(gs->key);
    return gs;
}

static void group_free(struct relay_group *g)
{
    free(g->dead_letter);
    free(g);
}

void relay_groups_free(struct relay_groups *gs)
{
    if (!gs) {
        return;
    }
    for (size_t i = 0; i < gs->nbuckets; i++) {
        while (gs->bucket[i]) {
            struct relay_group *g = gs->bucket[i];
            gs->bucket[i] = g->next;
            group_free(g);
        }
    }
    free(gs->bucket);
    free(gs);
}

static uint64_t hash_of(const struct relay_groups *gs, const void *name, size_t len)
{
    uint64_t h;
    crypto_shorthash((unsigned char *)&h, name, len, gs->key);
    return h;
}

static struct relay_group *lookup(const struct relay_groups *gs, uint64_t hash, const void *name,
                                  size_t len)
{
    struct relay_group *g = gs->bucket[hash & (gs->nbuckets - 1)];
    while (g && !(g->hash == hash && g->len == len && memcmp(g->name, name, len) == 0)) {
        g = g->next;
    }
    return g;
}

static void grow(struct relay_groups *gs)
{
    size_t n = gs->nbuckets * 2;
    struct relay_group **bucket = calloc(n, sizeof(struct relay_group *));
    if (!bucket) {
        return; /* longer chains, nothing worse */
    }
    for (size_t i = 0; i < gs->nbuckets; i++) {
        while (gs->bucket[i]) {
            struct relay_group *g = gs->bucket[i];
            gs->bucket[i] = g->next;
            g->next = bucket[g->hash & (n - 1)];
            bucket[g->hash & (n - 1)] = g;
        }
    }
    free(gs->bucket);
    gs->bucket = bucket;
    gs->nbuckets = n;
}

static int create(struct relay_groups *gs, uint64_t hash, const void *name, size_t len,
                  struct relay_group **out)
{
    if (gs->count >= gs->conf.max_groups) {
        return NK_ELIMIT;
    }
    struct relay_group *g = calloc(1, sizeof(*g) + len + 1);
    if (!g) {
        return -ENOMEM;
    }
    if (gs->count == gs->nbuckets) {
        grow(gs);
    }
    g->id = ++gs->next_id;
    g->serial = ++gs->serial;
    g->set = no_limits;
    g->refs = 1;
    g->owner = gs;
    g->hash = hash;
    g->len = len;
    memcpy(g->name, name, len);
    struct relay_group **at = &gs->bucket[hash & (gs->nbuckets - 1)];
    g->next = *at;
    *at = g;
    gs->count++;
    *out = g;
    return 0;
}

static void take_settings(struct relay_group *g, const struct relay_group_settings *set,
                          char *take_dead_letter)
{
    free(g->dead_letter);
    g->dead_letter = take_dead_letter;
    g->set = *set;
    g->set.dead_letter = take_dead_letter;
}

int relay_groups_configure(struct relay_groups *gs, const void *name, size_t len,
                           const struct relay_group_settings *set)
{
    uint64_t hash = hash_of(gs, name, len);
    struct relay_group *g = lookup(gs, hash, name, len);
    char *dead = NULL;
    if (g && g->round == gs->round) {
        return -EEXIST;
    }
    set = set ? set : &no_limits;
    if (set->dead_letter && (dead = strdup(set->dead_letter)) == NULL) {
        return -ENOMEM;
    }
    if (!g) {
        int rc = create(gs, hash, name, len, &g); /* its reference is the configuration's */
        if (rc < 0) {
            free(dead);
            return rc;
        }
    } else if (g->round == 0) {
        g->refs++;
    }
    g->round = gs->round;
    take_settings(g, set, dead);
    return 0;
}

void relay_groups_renew(struct relay_groups *gs, const struct relay_groups_conf *conf)
{
    gs->conf = *conf;
    gs->round++;
}

void relay_groups_sweep(struct relay_groups *gs)
{
    for (size_t i = 0; i < gs->nbuckets; i++) {
        for (struct relay_group *g = gs->bucket[i], *next; g; g = next) {
            next = g->next;
            if (g->round != 0 && g->round != gs->round) {
                g->round = 0;
                take_settings(g, &no_limits, NULL);
                relay_group_unref(g);
            }
        }
    }
}

struct relay_group *relay_groups_find(const struct relay_groups *gs, const void *name, size_t len)
{
    return lookup(gs, hash_of(gs, name, len), name, len);
}

int relay_groups_get(struct relay_groups *gs, const void *name, size_t len,
                     struct relay_group **out)
{
    uint64_t hash = hash_of(gs, name, len);
    struct relay_group *g = lookup(gs, hash, name, len);
    if (gs->conf.listed_only && !(g && g->round)) {
        return NK_EAUTH;
    }
    if (g) {
        *out = relay_group_ref(g);
        return 0;
    }
    return create(gs, hash, name, len, out);
}

size_t relay_groups_count(const struct relay_groups *gs)
{
    return gs->count;
}

void relay_groups_each(const struct relay_groups *gs,
                       void (*fn)(void *arg, const struct relay_group *g), void *arg)
{
    for (size_t i = 0; i < gs->nbuckets; i++) {
        for (const struct relay_group *g = gs->bucket[i]; g; g = g->next) {
            fn(arg, g);
        }
    }
}

void relay_group_unref(struct relay_group *g)
{
    if (!g || --g->refs) {
        return;
    }
    struct relay_groups *gs = g->owner;
    struct relay_group **at = &gs->bucket[g->hash & (gs->nbuckets - 1)];
    while (*at != g) {
        at = &(*at)->next;
    }
    *at = g->next;
    gs->count--;
    group_free(g);
}
