/* SPDX-License-Identifier: MIT */
#include "relay/hub.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/files.h"
#include "relay/conn.h"
#include "relay/identity.h"

enum {
    LOG_LINES = 20, /* about single connections, in each LOG_MS */
    LOG_MS = 1000,
    POOL_CHUNKS = 32, /* output chunks kept for the next burst: 512 KiB */
    TRIM_MS = 2000,   /* with fewer than TRIM_BUSY objects in that time: memory goes back */
    TRIM_BUSY = 64
};

/* --- login ------------------------------------------------------------------------------------ */

struct relay_login *relay_login_make(struct relay_identities *identities, struct relay_acl *acl)
{
    struct relay_login *l = calloc(1, sizeof(*l));
    if (l) {
        l->refs = 1;
        l->identities = relay_identities_ref(identities);
        l->acl = relay_acl_ref(acl);
    }
    return l;
}

struct relay_login *relay_login_new(struct nk_secret *take_password)
{
    static const struct relay_stretch_params params = {.mem_kib = RELAY_STRETCH_KIB_DEFAULT,
                                                       .passes = RELAY_STRETCH_PASSES_DEFAULT};
    struct relay_identities *set = relay_identities_new(&params);
    struct relay_acl *acl = relay_acl_new();
    struct relay_identity *id;
    struct relay_login *l = NULL;
    if (set && acl && relay_identities_add(set, RELAY_IDENTITY_DEFAULT, &id, NULL) == 0 &&
        (l = relay_login_make(set, acl)) != NULL &&
        relay_identity_password(set, id, take_password, NULL) < 0) {
        relay_login_unref(l);
        l = NULL;
    }
    relay_identities_unref(set);
    relay_acl_unref(acl);
    return l;
}

void relay_login_unref(struct relay_login *l)
{
    if (l && --l->refs == 0) {
        relay_identities_unref(l->identities);
        relay_acl_unref(l->acl);
        free(l);
    }
}

void relay_hub_set_login(struct relay_hub *h, struct relay_login *login)
{
    login->refs++;
    relay_login_unref(h->login);
    h->login = login;
    for (struct relay_conn *c = h->conns; c;) {
        struct relay_conn *next = c->next;
        relay_conn_recheck(c); /* closes at most c */
        c = next;
    }
}

/* --- publishers of retained objects ----------------------------------------------------------- */

uint32_t relay_hub_publisher(struct relay_hub *h, const char *identity)
{
    return relay_publisher(h->publishers, identity, strlen(identity));
}

bool relay_hub_may_replay(struct relay_hub *h, const struct relay_object *o,
                          const struct relay_group *g)
{
    const char *who = relay_publisher_name(h->publishers, o->publisher);
    if (!who || relay_acl_allows(h->login->acl, who, g->name, g->len, RELAY_MAY_BROADCAST)) {
        return true;
    }
    h->count.acl_deny++;
    nk_audit(h->log, "relay", relay_hub_may_log(h) ? NK_LOG_WARN : NK_LOG_TRACE, "acl.deny", NULL,
             "the retained object of a group is held back: '%s', who sent it, may not any more",
             who);
    return false;
}

/* --- the turn's end --------------------------------------------------------------------------- */

static void check_drained(struct relay_hub *h)
{
    if (h->draining && !h->drained && h->nconns == 0) {
        h->drained = true;
        h->conf.on_drained(h->conf.owner);
    }
}

static void on_reap(void *owner)
{
    struct relay_hub *h = owner;
    while (h->dead) {
        struct relay_conn *c = h->dead;
        h->dead = c->next;
        relay_conn_free(c);
    }
    check_drained(h);
}

static void on_trim(void *owner)
{
    struct relay_hub *h = owner;
    struct relay_memory *m = h->conf.memory;
    uint64_t taken = m->taken - h->trim_taken;
    h->trim_taken = m->taken;
    if (taken >= TRIM_BUSY) {
        nk_timer_start(&h->trim, TRIM_MS);
        return;
    }
    if (h->rx && h->rx->refs == 1) {
        relay_object_unref(h->rx);
        h->rx = NULL;
    }
    relay_memory_trim(m);
    relay_out_pool_clear(&h->pool);
}

static void look_after_memory(struct relay_hub *h)
{
    const struct relay_memory *m = h->conf.memory;
    if (!h->trim.armed && (relay_memory_spare(m) || h->rx)) {
        nk_timer_start(&h->trim, TRIM_MS);
    }
    if (h->memory_warned && m->used < h->limits.max_memory / 2) {
        h->memory_warned = false;
    }
}

void relay_hub_hold(struct relay_conn *c)
{
    if (!c->held) {
        c->held = true;
        c->held_next = c->hub->held;
        c->hub->held = c;
    }
}

/* Windows that were held back. */
static void look_at_held(struct relay_hub *h)
{
    struct relay_conn *list = h->held;
    h->held = NULL;
    while (list) {
        struct relay_conn *c = list;
        list = c->held_next;
        c->held = false;
        if (!c->closed && c->session) {
            c->wire->held(c);
        }
    }
}

/* Something that connections may wait for has changed: memory, or a queue. */
static void look_again(void *owner)
{
    struct relay_hub *h = owner;
    if (h->waiting || h->held) {
        relay_hub_touch(h);
    }
}

static void on_flush(void *owner)
{
    struct relay_hub *h = owner;
    struct relay_conn *c;
    h->flushing = true; /* else a window that is held back would bring the next turn at once */
    look_at_held(h);
    while ((c = h->dirty) != NULL) {
        h->dirty = c->dirty_next;
        c->dirty = false;
        if (!c->closed) {
            relay_conn_flush(c);
        }
    }
    h->flushing = false;
    for (c = h->waiting; c;) {
        struct relay_conn *next = c->wait_next;
        relay_conn_retry(c); /* removes only c from the list */
        c = next;
    }
    h->conf.memory->below = h->waiting || h->held ? h->conf.memory->used : 0;
    look_after_memory(h);
}

/* Behind everything that is deferred already, above all the engine's work for what was just read.
 */
void relay_hub_touch(struct relay_hub *h)
{
    nk_app_defer_cancel(h->conf.app, &h->flush);
    nk_app_defer(h->conf.app, &h->flush);
}

bool relay_hub_may_log(struct relay_hub *h)
{
    uint64_t now = nk_now_ms(h->conf.app);
    if (now - h->log_ms >= LOG_MS) {
        if (h->log_suppressed) {
            nk_warn(h->log, "relay", "%u more lines about connections left out", h->log_suppressed);
        }
        h->log_ms = now;
        h->log_lines = h->log_suppressed = 0;
    }
    if (h->log_lines >= LOG_LINES) {
        h->log_suppressed++;
        return false;
    }
    h->log_lines++;
    return true;
}

/* --- birth and death -------------------------------------------------------------------------- */

int relay_hub_new(struct relay_hub **out, const struct relay_hub_conf *conf)
{
    struct relay_hub *h = calloc(1, sizeof(*h));
    if (!h) {
        return -ENOMEM;
    }
    h->conf = *conf;
    h->limits = conf->limits;
    h->publishers = conf->publishers ? conf->publishers : &h->own_publishers;
    h->log = nk_app_log(conf->app);
    h->guard = relay_guard_new(conf->limits.max_guests);
    h->pickle = relay_pickle_new();
    h->scratch = malloc(RELAY_SCRATCH);
    h->pool.max = POOL_CHUNKS;
    h->flush = (struct nk_defer){.fn = on_flush, .owner = h};
    h->reap = (struct nk_defer){.fn = on_reap, .owner = h};
    nk_timer_init(&h->trim, conf->app, on_trim, h);
    h->login = conf->login;
    h->login->refs++;
    if (!h->guard || !h->pickle || !h->scratch) {
        relay_hub_free(h);
        return -ENOMEM;
    }
    conf->memory->freed = look_again;
    conf->memory->freed_arg = h;
    relay_engine_on_worked(conf->engine, look_again, h);
    *out = h;
    return 0;
}

void relay_hub_free(struct relay_hub *h)
{
    if (!h) {
        return;
    }
    h->draining = h->drained = true; /* nobody wants to hear of it any more */
    while (h->conns) {
        relay_conn_close(h->conns, NK_LOG_DEBUG, "the relay ends");
    }
    on_reap(h);
    nk_app_defer_cancel(h->conf.app, &h->flush);
    nk_app_defer_cancel(h->conf.app, &h->reap);
    nk_timer_stop(&h->trim);
    h->conf.memory->below = 0;
    relay_engine_on_worked(h->conf.engine, NULL, NULL);
    relay_object_unref(h->rx);
    relay_out_pool_clear(&h->pool);
    relay_guard_free(h->guard);
    relay_pickle_free(h->pickle);
    relay_login_unref(h->login);
    relay_publishers_clear(&h->own_publishers);
    free(h->scratch);
    free(h);
}

void relay_hub_accept(struct relay_hub *h, struct nk_stream *take_s, bool encrypted)
{
    h->count.accepted++;
    relay_conn_open(h, take_s, encrypted);
}

void relay_hub_drain(struct relay_hub *h)
{
    h->draining = true;
    for (struct relay_conn *c = h->conns; c;) {
        struct relay_conn *next = c->next;
        relay_conn_drain(c); /* closes at most c */
        c = next;
    }
    nk_app_defer(h->conf.app, &h->reap);
}

/* --- figures ---------------------------------------------------------------------------------- */

const struct relay_counters *relay_hub_counters(const struct relay_hub *h)
{
    return &h->count;
}

size_t relay_hub_connections(const struct relay_hub *h)
{
    return h->nconns;
}

static void sum_group(void *arg, const struct relay_group *g)
{
    struct relay_queue_stats *sum = arg, one;
    relay_queue_stats(g, &one);
    sum->absent += one.absent;
    sum->queued += one.queued;
    sum->delayed += one.delayed;
    sum->bytes += one.bytes;
    sum->redelivered += one.redelivered;
    sum->timed_out += one.timed_out;
    sum->dead += one.dead;
    sum->duplicates += one.duplicates;
    sum->refused += one.refused;
    for (size_t i = 0; i < RELAY_DROPS; i++) {
        sum->drop[i] += one.drop[i];
    }
    sum->leased += one.leased;
    sum->retained += one.retained;
    sum->dropped += one.dropped;
    sum->returned += one.returned;
}

void relay_hub_queue_json(struct nk_json *out, const struct relay_queue_stats *n)
{
    nk_json_kv_u64(out, "dropped", n->dropped);
    for (unsigned i = 0; i < RELAY_DROPS; i++) {
        char key[32];
        snprintf(key, sizeof(key), "dropped_%s", relay_drop_name(i));
        nk_json_kv_u64(out, key, n->drop[i]);
    }
    nk_json_kv_u64(out, "requeued", n->returned);
    nk_json_kv_u64(out, "redelivered", n->redelivered);
    nk_json_kv_u64(out, "leases_ended", n->timed_out);
    nk_json_kv_u64(out, "dead_letters", n->dead);
    nk_json_kv_u64(out, "duplicates", n->duplicates);
    nk_json_kv_u64(out, "refused_full", n->refused);
    nk_json_kv_u64(out, "delayed", n->delayed);
    nk_json_kv_u64(out, "absent", n->absent);
    nk_json_kv_u64(out, "queued_bytes", n->bytes);
}

void relay_hub_status(const struct relay_hub *h, struct nk_json *out)
{
    const struct relay_counters *n = &h->count;
    struct relay_queue_stats sum = {0};
    relay_groups_each(h->conf.groups, sum_group, &sum);
    nk_json_kv_str(out, "engine", h->conf.engine->ops->name);
    nk_json_kv_u64(out, "connections", h->nconns);
    nk_json_kv_u64(out, "max_connections", h->limits.max_connections);
    nk_json_kv_u64(out, "max_files", nk_files_limit());
    nk_json_kv_u64(out, "groups", relay_groups_count(h->conf.groups));
    nk_json_kv_u64(out, "queued", sum.queued);
    nk_json_kv_u64(out, "in_flight", sum.leased);
    nk_json_kv_u64(out, "retained", sum.retained);
    relay_hub_queue_json(out, &sum);
    nk_json_kv_u64(out, "object_bytes", h->conf.memory->used);
    nk_json_kv_u64(out, "accepted", n->accepted);
    nk_json_kv_u64(out, "refused", n->refused);
    nk_json_kv_u64(out, "guests_dropped", relay_guard_dropped(h->guard));
    nk_json_kv_u64(out, "auth_ok", n->auth_ok);
    nk_json_kv_u64(out, "auth_fail", n->auth_fail);
    nk_json_kv_u64(out, "acl_deny", n->acl_deny);
    nk_json_kv_u64(out, "objects_in", n->objects_in);
    nk_json_kv_u64(out, "objects_out", n->objects_out);
    nk_json_kv_u64(out, "bytes_in", n->bytes_in);
    nk_json_kv_u64(out, "bytes_out", n->bytes_out);
    nk_json_kv_u64(out, "stalls", n->stalls);
    nk_json_kv_u64(out, "closed_slow", n->closed_slow);
    nk_json_kv_u64(out, "dropped_slow", n->dropped_slow);
}
