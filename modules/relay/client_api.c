/* SPDX-License-Identifier: MIT */
/* The owner's side of a client: groups, publishing, demand, acknowledgements. */
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/stream.h"
#include "relay/client_wire.h"

#define NAMES_FIRST 16 /* a power of two */

/* --- groups ----------------------------------------------------------------------------------- */

void client_groups_clear(struct relay_client *c)
{
    for (uint32_t i = 0; i < c->ngroups; i++) {
        struct client_group *g = c->groups[i];
        client_line_clear(&c->spool, &g->line);
        free(g->native);
        free(g->name);
        free(g);
    }
    free(c->groups);
    free(c->names);
    c->groups = NULL;
    c->names = NULL;
    c->ngroups = c->groups_cap = c->names_cap = 0;
}

/* FNV-1a, 32 bits (draft-eastlake-fnv): the names are our own, nobody else chooses them. */
static uint32_t hash_name(const char *name)
{
    uint32_t h = 2166136261u;
    for (const char *p = name; *p; p++) {
        h = (h ^ (uint8_t)*p) * 16777619u;
    }
    return h;
}

/* Where the name stands, or would stand. There is a free place. */
static uint32_t *find_slot(const struct relay_client *c, const char *name, uint32_t hash)
{
    uint32_t i = hash & (c->names_cap - 1);
    while (c->names[i] > 0) {
        const struct client_group *g = c->groups[c->names[i] - 1];
        if (g->hash == hash && strcmp(g->name, name) == 0) {
            break;
        }
        i = (i + 1) & (c->names_cap - 1);
    }
    return &c->names[i];
}

static struct client_group *find_group(const struct relay_client *c, const char *name)
{
    const uint32_t *slot = c->names_cap > 0 ? find_slot(c, name, hash_name(name)) : NULL;
    return slot && *slot > 0 ? c->groups[*slot - 1] : NULL;
}

/* Room for one more name. */
static int grow_names(struct relay_client *c)
{
    if (c->names_cap >= 2 * (c->ngroups + 1)) {
        return 0;
    }
    uint32_t cap = c->names_cap ? c->names_cap * 2 : NAMES_FIRST;
    uint32_t *v = calloc(cap, sizeof(*v)), *old = c->names;
    if (!v) {
        return -ENOMEM;
    }
    c->names = v;
    c->names_cap = cap;
    for (uint32_t i = 0; i < c->ngroups; i++) {
        *find_slot(c, c->groups[i]->name, c->groups[i]->hash) = i + 1;
    }
    free(old);
    return 0;
}

static int grow_groups(struct relay_client *c)
{
    if (c->ngroups < c->groups_cap) {
        return 0;
    }
    uint32_t cap = c->groups_cap ? c->groups_cap * 2 : 8;
    struct client_group **v = realloc(c->groups, cap * sizeof(struct client_group *));
    if (!v) {
        return -ENOMEM;
    }
    c->groups = v;
    c->groups_cap = cap;
    return 0;
}

static int add_group(struct relay_client *c, const char *name, struct client_group **out)
{
    size_t len = strlen(name);
    if (len == 0 || len > RELAY_NATIVE_NAME) {
        return NK_ETOOBIG;
    }
    if (c->ngroups >= RELAY_CLIENT_GROUPS_MAX) {
        return NK_ELIMIT;
    }
    struct client_group *g =
        grow_groups(c) == 0 && grow_names(c) == 0 ? calloc(1, sizeof(*g)) : NULL;
    char *copy = g ? strdup(name) : NULL;
    if (!copy) {
        free(g);
        return -ENOMEM;
    }
    g->name = copy;
    g->hash = hash_name(name);
    g->handle = c->ngroups;
    *find_slot(c, name, g->hash) = g->handle + 1;
    client_line_init(&g->line, g->handle);
    c->groups[c->ngroups++] = g;
    *out = g;
    return 0;
}

int relay_client_group(struct relay_client *c, const char *name, bool member, uint32_t *out)
{
    struct client_group *g = find_group(c, name);
    bool fresh = !g;
    int status = g ? 0 : add_group(c, name, &g);
    if (status == 0 && (fresh || (member && !g->member))) {
        bool before = g->member;
        g->member = before || member;
        status = client_in_session(c) ? c->wire->joined(c, g) : 0;
        g->member = status == 0 ? g->member : before;
    }
    if (status == 0 && out) {
        *out = g->handle;
    }
    return status;
}

const char *relay_client_group_name(const struct relay_client *c, uint32_t group)
{
    return group < c->ngroups ? c->groups[group]->name : NULL;
}

/* --- publishing ------------------------------------------------------------------------------- */

bool relay_client_fits(const struct relay_client *c, size_t len)
{
    const struct relay_client_conf *conf = c->conf;
    if (relay_client_unsettled(c) == 0) {
        return true; /* one object of any size goes through */
    }
    return (conf->buffer_bytes == 0 ||
            c->spool.held + client_spool_cost(len) <= conf->buffer_bytes) &&
           (conf->buffer_count == 0 || relay_client_unsettled(c) < conf->buffer_count);
}

static int publish(struct relay_client *c, const struct relay_client_publish *p,
                   const uint8_t *data, size_t len, bool take, uint64_t *number)
{
    int status = 0;
    if (c->finishing || c->state == CLIENT_ENDED || p->group >= c->ngroups) {
        status = NK_ECLOSED;
    } else if (!relay_client_fits(c, len)) {
        c->refused++;
        status = NK_ELIMIT;
    }
    if (status < 0) {
        if (take) {
            free((uint8_t *)(uintptr_t)data);
        }
        return status;
    }
    struct client_group *g = c->groups[p->group];
    status = client_spool_put(&c->spool, &g->line, p, data, len, take, number);
    if (status == 0 && client_in_session(c)) {
        c->wire->published(c, g);
        client_flush_later(c);
    }
    return status;
}

int relay_client_publish(struct relay_client *c, const struct relay_client_publish *p,
                         const void *data, size_t len, uint64_t *number)
{
    return publish(c, p, data, len, false, number);
}

int relay_client_publish_take(struct relay_client *c, const struct relay_client_publish *p,
                              uint8_t *take_data, size_t len, uint64_t *number)
{
    return publish(c, p, take_data, len, true, number);
}

void client_settled(struct relay_client *c, struct client_group *g, uint64_t last, int status)
{
    uint64_t first = g->line.settled + 1;
    if (last < first) {
        return;
    }
    client_spool_settle(&c->spool, &g->line, last);
    client_changed(c);
    if (c->ops->on_settled && !c->closed) {
        c->ops->on_settled(c->owner, g->handle, first, last, status);
    }
}

/* --- receiving -------------------------------------------------------------------------------- */

void client_deliver(struct relay_client *c, struct client_group *g,
                    const struct relay_client_object *d)
{
    c->received += d->len;
    client_changed(c);
    if (g && g->wanted > 0 &&
        (d->kind == RELAY_KIND_ITEM || (d->kind == RELAY_KIND_UNKNOWN && d->asked))) {
        g->wanted--;
    }
    if (g && g->drain && d->kind == RELAY_KIND_ITEM) {
        g->drain_came++;
    }
    if (!c->finishing && c->ops->on_object) {
        c->ops->on_object(c->owner, d);
    } /* else not ours to keep: without an acknowledgement it goes to somebody else */
}

void relay_client_credit(struct relay_client *c, uint32_t group, uint64_t n)
{
    if (group >= c->ngroups || n == 0) {
        return;
    }
    struct client_group *g = c->groups[group];
    g->wanted = g->wanted > UINT64_MAX / 2 - n ? UINT64_MAX / 2 : g->wanted + n;
    g->to_ask += n;
    if (client_in_session(c)) {
        c->wire->demanded(c, g);
    }
}

uint64_t relay_client_wanted(const struct relay_client *c, uint32_t group)
{
    return group < c->ngroups ? c->groups[group]->wanted : 0;
}

void relay_client_drain(struct relay_client *c, uint32_t group, uint64_t most)
{
    if (group >= c->ngroups) {
        return;
    }
    struct client_group *g = c->groups[group];
    g->drain = true;
    g->drain_most = most < INT64_MAX ? most : INT64_MAX;
    g->drain_came = 0;
    if (client_in_session(c)) {
        c->wire->demanded(c, g);
    }
}

/* Who can do something about a lease now: the native session remembers what it was told while there
 * is no connection. */
static const struct client_wire *wire_of(const struct relay_client *c,
                                         const struct relay_client_lease *l)
{
    if (c->state == CLIENT_BYE || c->state == CLIENT_ENDED || c->closed) {
        return NULL;
    }
    if (l->wire == RELAY_CLIENT_NATIVE) {
        return c->sessions[RELAY_CLIENT_NATIVE] ? &client_wire_native : NULL;
    }
    return c->stream && c->wire == &client_wire_tlspyo ? c->wire : NULL;
}

void relay_client_ack(struct relay_client *c, const struct relay_client_lease *l)
{
    const struct client_wire *w = wire_of(c, l);
    if (w) {
        w->ack(c, l);
    }
}

int relay_client_nack(struct relay_client *c, const struct relay_client_lease *l, uint32_t delay_ms)
{
    const struct client_wire *w = wire_of(c, l);
    return w ? w->nack(c, l, delay_ms) : NK_ECLOSED;
}

int relay_client_extend(struct relay_client *c, const struct relay_client_lease *l, uint32_t ms)
{
    const struct client_wire *w = wire_of(c, l);
    return w ? w->extend(c, l, ms) : NK_ECLOSED;
}

bool relay_client_holds(const struct relay_client *c, const struct relay_client_lease *l)
{
    const struct client_wire *w = wire_of(c, l);
    return w && w->holds(c, l);
}

int relay_client_purge(struct relay_client *c, uint32_t group)
{
    if (!client_in_session(c) || group >= c->ngroups) {
        return NK_ECLOSED;
    }
    return c->wire->purge ? c->wire->purge(c, c->groups[group]) : NK_EUNSUPPORTED;
}

void relay_client_pause(struct relay_client *c, bool paused)
{
    if (c->paused == paused) {
        return;
    }
    c->paused = paused;
    if (c->stream && client_in_session(c)) {
        client_set_interest(c);
        if (!paused) {
            nk_stream_again(c->stream); /* frames may lie in our own buffer */
        }
    }
}

/* --- the wire --- */

enum relay_trust client_trust(const struct relay_client *c)
{
    return c->conf->trust_of ? c->conf->trust_of(c->conf->login_arg, c->stream) : c->conf->trust;
}

const struct client_wire *client_choose_wire(struct relay_client *c)
{
    char text[64] = "";
    size_t n = sizeof(text);
    if (c->conf->wire != RELAY_CLIENT_AUTO) {
        return c->conf->wire == RELAY_CLIENT_NATIVE ? &client_wire_native : &client_wire_tlspyo;
    }
    if (c->conf->secure && nk_stream_query(c->stream, NK_Q_ALPN, text, &n) == 0 &&
        strcmp(text, RELAY_NATIVE_ALPN) == 0) {
        return &client_wire_native;
    }
    /* without TLS the relay's greeting tells (client_tlspyo.c); no other relay than netkit's
     * listens on unix sockets */
    return c->conf->local ? &client_wire_native : &client_wire_tlspyo;
}

/* --- the rest --------------------------------------------------------------------------------- */

void relay_client_finish(struct relay_client *c)
{
    if (c->finishing) {
        return;
    }
    c->finishing = true;
    c->finish_ms = nk_now_ms(c->app);
    if (c->state == CLIENT_ALIVE) {
        client_set_state(c, CLIENT_FINISH);
        client_set_interest(c);
        nk_stream_again(c->stream);
        client_flush_later(c);
    }
}

bool relay_client_alive(const struct relay_client *c)
{
    return client_in_session(c);
}

size_t relay_client_queued(const struct relay_client *c)
{
    return c->spool.queued;
}

uint64_t relay_client_unsettled(const struct relay_client *c)
{
    return c->spool.objects - c->spool.settled;
}

void relay_client_state(const struct relay_client *c, struct relay_client_state *out)
{
    *out = (struct relay_client_state){.wire = c->kind,
                                       .published = c->spool.objects,
                                       .settled = c->spool.settled,
                                       .refused = c->refused,
                                       .held = c->spool.held,
                                       .queued = c->spool.queued,
                                       .sent = c->sent,
                                       .received = c->received,
                                       .connections = c->logins};
}
