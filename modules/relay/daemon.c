/* SPDX-License-Identifier: MIT */
#include "relay/daemon.h"

#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "relay/daemon_conn.h"

#define LEASE_MS 60000 /* of an item that waits here, renewed after a third of it */
#define RENEW_MS (LEASE_MS / 3)
#define RENEW_TICK_MS 250           /* how often it is looked what is due; new ones are at once */
#define RENEW_MOST 2048             /* of one look, so that it stays short */
#define KEEP_MS ((uint64_t)3600000) /* who waited so long goes to others: nobody takes it here */

/* Items asked for and not arrived, at most: others shall get some, too, and room is finite. */
#define ASKED_MAX 1024

/* --- demand ----------------------------------------------------------------------------------- */

static int want_more(struct relay_daemon *d, uint32_t group, uint64_t n)
{
    if (group >= d->nwant) {
        uint64_t *v = realloc(d->want, (group + 1) * sizeof(*v));
        if (!v) {
            return -ENOMEM;
        }
        memset(v + d->nwant, 0, (group + 1 - d->nwant) * sizeof(*v));
        d->want = v;
        d->nwant = group + 1;
    }
    d->want[group] = d->want[group] > UINT64_MAX - n ? UINT64_MAX : d->want[group] + n;
    return 0;
}

/* Items that the relay was asked for, over all groups. */
static uint64_t outstanding(const struct relay_daemon *d)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < d->nwant; i++) {
        sum += relay_client_wanted(d->client, i);
    }
    return sum;
}

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

void daemon_ask(struct relay_daemon *d)
{
    if (!d->client || d->draining) {
        return;
    }
    uint64_t asked = outstanding(d), room = least(relay_local_room(&d->queue), ASKED_MAX);
    room = room > asked ? room - asked : 0;
    for (uint32_t i = 0; i < d->nwant && room > 0; i++) {
        uint64_t n = least(d->want[i], room);
        d->want[i] -= n;
        room -= n;
        if (n > 0) {
            relay_client_credit(d->client, i, n);
        }
    }
}

static int join(struct relay_daemon *d, const char *name, uint32_t *out, struct nk_diag *diag)
{
    int rc = relay_client_group(d->client, name, true, out);
    if (rc == NK_EUNSUPPORTED) {
        rc = nk_fail(diag, NK_EUSAGE,
                     "'%s' is not one of the daemon's groups, and on tlspyo's wire it can join "
                     "none later: start it with --group",
                     name);
    } else if (rc < 0) {
        nk_fail_sys(diag, rc, "group '%s'", name);
    }
    return rc;
}

/* How many a drain may bring: the native wire can be told. */
static uint64_t drain_room(const struct relay_daemon *d)
{
    uint64_t room = relay_local_room(&d->queue);
    struct relay_client_state state;
    relay_client_state(d->client, &state);
    return state.wire == RELAY_CLIENT_NATIVE && room < UINT64_MAX ? room : 0;
}

int daemon_notify(struct relay_daemon *d, const struct relay_endpoint_dest *dest,
                  struct nk_diag *diag)
{
    int rc =
        d->client && !d->draining ? 0 : nk_fail(diag, NK_ECLOSED, "the daemon is about to end");
    for (size_t i = 0; rc == 0 && i < dest->n; i++) { /* all or nothing */
        uint32_t group;
        rc = join(d, dest->v[i].group, &group, diag);
        rc = rc < 0 ? rc : want_more(d, group, 0);
    }
    if (rc == 0 && relay_local_room(&d->queue) == 0) {
        for (size_t i = 0; rc == 0 && i < dest->n; i++) {
            rc = dest->v[i].n < 0 ? nk_fail(diag, NK_ELIMIT, "the daemon's queue is full") : 0;
        }
    }
    for (size_t i = 0; rc == 0 && i < dest->n; i++) {
        uint32_t group;
        rc = join(d, dest->v[i].group, &group, diag);
        if (rc == 0 && dest->v[i].n < 0) {
            relay_client_drain(d->client, group, drain_room(d));
        } else if (rc == 0) {
            rc = want_more(d, group, (uint64_t)dest->v[i].n);
        }
    }
    if (rc == 0) {
        daemon_ask(d);
    }
    return rc;
}

/* --- objects ---------------------------------------------------------------------------------- */

void daemon_settle(void *arg, const struct relay_local_item *it)
{
    struct relay_daemon *d = arg;
    if (d->client) {
        relay_client_ack(d->client, &it->lease);
    }
}

static void sweep(struct relay_daemon *d);

static void on_serve(void *owner)
{
    struct relay_daemon *d = owner;
    if (d->stale) {
        d->stale = false;
        sweep(d);
    }
    daemon_conn_serve(d);
    daemon_ask(d);
}

static void on_reap(void *owner)
{
    daemon_conn_reap(owner);
}

void daemon_serve_later(struct relay_daemon *d)
{
    nk_app_defer(d->conf.app, &d->serve);
}

/* --- leases of what waits --------------------------------------------------------------------- */

/* Has it waited for too long? Then it goes back, and is not asked for again. */
static bool overdue(void *arg, const struct relay_local_item *it)
{
    struct relay_daemon *d = arg;
    return it->kind == RELAY_KIND_ITEM && nk_now_ms(d->conf.app) - it->came_ms >= KEEP_MS &&
           relay_client_nack(d->client, &it->lease, 0) == 0;
}

static void renew_leases(struct relay_daemon *d)
{
    uint64_t now = nk_now_ms(d->conf.app);
    unsigned n = 0;
    for (struct relay_local_item *it = d->queue.waiting.first; it && n < RENEW_MOST;
         it = it->next) {
        if (it->kind == RELAY_KIND_ITEM && it->renew_ms <= now &&
            relay_client_extend(d->client, &it->lease, LEASE_MS) == 0) {
            it->renew_ms = now + RENEW_MS;
            n++;
        }
    }
}

static void on_renew(void *owner)
{
    struct relay_daemon *d = owner;
    const struct relay_local_item *oldest = d->queue.waiting.first;
    d->renewing = oldest && d->client && !d->draining;
    if (!d->renewing) {
        return;
    }
    if (nk_now_ms(d->conf.app) - oldest->came_ms >= KEEP_MS) {
        uint64_t n = relay_local_sweep(&d->queue, overdue, d);
        if (n > 0) {
            nk_warn(d->log, "relay", "endpoint %s: %llu objects that nobody took go to others",
                    d->conf.name, (unsigned long long)n);
        }
    }
    renew_leases(d);
    nk_timer_start(&d->renew, RENEW_TICK_MS);
}

static void renew_from_now_on(struct relay_daemon *d)
{
    if (!d->renewing) {
        d->renewing = true;
        nk_timer_start(&d->renew, RENEW_TICK_MS);
    }
}

static void on_lease_lost(void *owner, const struct relay_client_lease *l)
{
    struct relay_daemon *d = owner;
    (void)l; /* the client holds it no more: the sweep asks for all of them */
    d->stale = true;
    daemon_serve_later(d);
}

static void on_object(void *owner, const struct relay_client_object *delivery)
{
    struct relay_daemon *d = owner;
    if (relay_local_put(&d->queue, delivery, daemon_settle, d) < 0) {
        /* not acknowledged: the relay gives it to somebody else */
        nk_error(d->log, "relay", "endpoint %s: no memory for an object of %zu bytes", d->conf.name,
                 delivery->len);
        return;
    }
    d->queue.waiting.last->came_ms = d->queue.waiting.last->renew_ms = nk_now_ms(d->conf.app);
    renew_from_now_on(d);
    daemon_serve_later(d);
}

/* Has the relay given this item to somebody else? Then the demand that brought it is as it was. */
static bool gone(void *arg, const struct relay_local_item *it)
{
    struct relay_daemon *d = arg;
    if (!relay_local_is_item(it) || relay_client_holds(d->client, &it->lease)) {
        return false;
    }
    if (it->group < d->nwant) {
        d->want[it->group] += d->want[it->group] < UINT64_MAX;
    }
    return true;
}

static void sweep(struct relay_daemon *d)
{
    uint64_t n = relay_local_sweep(&d->queue, gone, d) + daemon_conn_sweep(d, gone, d);
    if (n > 0) {
        nk_info(d->log, "relay",
                "endpoint %s: %llu objects that nobody took went back to the relay", d->conf.name,
                (unsigned long long)n);
    }
    daemon_serve_later(d);
}

/* --- the connection's events ------------------------------------------------------------------ */

static void on_alive(void *owner, bool again)
{
    struct relay_daemon *d = owner;
    nk_info(d->log, "relay", "endpoint %s: %s to %s", d->conf.name,
            again ? "connected again" : "connected", d->conf.client->where);
    sweep(d);
}

static void on_settled(void *owner, uint32_t group, uint64_t first, uint64_t last, int status)
{
    daemon_conn_settled(owner, group, first, last, status);
}

static void on_progress(void *owner)
{
    daemon_conn_progress(owner);
}

static void on_lost(void *owner, const struct nk_diag *why, uint64_t again_ms)
{
    struct relay_daemon *d = owner;
    nk_warn(d->log, "relay", "endpoint %s: %s; next attempt in %llu ms", d->conf.name, why->text,
            (unsigned long long)again_ms);
    sweep(d);
}

static void end(struct relay_daemon *d, int status, const struct nk_diag *why)
{
    if (!d->ended) {
        d->ended = true;
        daemon_conn_refuse(d);
        d->conf.on_end(d->conf.owner, status, why);
    }
}

static void on_end(void *owner, int status, const struct nk_diag *why)
{
    end(owner, status, why);
}

static const struct relay_client_ops client_ops = {.on_alive = on_alive,
                                                   .on_object = on_object,
                                                   .on_settled = on_settled,
                                                   .on_lease_lost = on_lease_lost,
                                                   .on_progress = on_progress,
                                                   .on_lost = on_lost,
                                                   .on_end = on_end};

/* --- life ------------------------------------------------------------------------------------- */

int relay_daemon_open(struct relay_daemon *d, const struct relay_daemon_conf *conf)
{
    *d = (struct relay_daemon){.conf = *conf};
    d->log = nk_app_log(conf->app);
    d->serve = (struct nk_defer){.fn = on_serve, .owner = d};
    d->reap = (struct nk_defer){.fn = on_reap, .owner = d};
    nk_timer_init(&d->renew, conf->app, on_renew, d);
    relay_local_init(&d->queue, &conf->limits);
    size_t n = conf->client->ngroups; /* their handles are 0 .. n-1 */
    int rc = n > 0 ? want_more(d, (uint32_t)(n - 1), 0) : 0;
    return rc < 0 ? rc : relay_client_open(conf->app, conf->client, &client_ops, d, &d->client);
}

void relay_daemon_drain(struct relay_daemon *d)
{
    if (d->draining || d->ended) {
        return;
    }
    d->draining = true;
    daemon_conn_refuse(d);
    if (!relay_client_alive(d->client) && relay_client_unsettled(d->client) == 0) {
        end(d, 0, NULL); /* there is nothing to wait for */
    } else {
        relay_client_finish(d->client);
    }
}

void relay_daemon_quit(struct relay_daemon *d)
{
    end(d, 0, NULL);
}

uint64_t relay_daemon_unsent(const struct relay_daemon *d)
{
    return d->client ? relay_client_unsettled(d->client) : 0;
}

void relay_daemon_close(struct relay_daemon *d)
{
    if (!d->conf.app) {
        return;
    }
    uint64_t left = relay_daemon_unsent(d);
    if (left > 0) {
        nk_warn(d->log, "relay",
                "endpoint %s: ends; %llu object(s) that the relay has not acknowledged are lost",
                d->conf.name, (unsigned long long)left);
    }
    d->ended = true;
    daemon_conn_close_all(d);
    nk_app_defer_cancel(d->conf.app, &d->serve);
    nk_app_defer_cancel(d->conf.app, &d->reap);
    nk_timer_stop(&d->renew);
    relay_client_close(d->client);
    relay_local_clear(&d->queue);
    free(d->want);
    *d = (struct relay_daemon){0};
}

void relay_daemon_limit(struct relay_daemon *d, const struct relay_local_limits *limits)
{
    d->queue.limits = *limits;
    daemon_ask(d);
}

/* --- figures ---------------------------------------------------------------------------------- */

static void groups_status(const struct relay_daemon *d, struct nk_json *out)
{
    nk_json_key(out, "groups");
    nk_json_array(out);
    for (uint32_t i = 0; i < d->nwant; i++) {
        uint64_t asked = relay_client_wanted(d->client, i);
        if (i >= d->conf.client->ngroups && asked + d->want[i] == 0) {
            continue; /* only sent to */
        }
        nk_json_object(out);
        nk_json_kv_str(out, "name", relay_client_group_name(d->client, i));
        nk_json_kv_u64(out, "wanted", asked + d->want[i]);
        nk_json_close(out);
    }
    nk_json_close(out);
}

/* Commands that wait for an object. */
static uint64_t readers(const struct relay_daemon *d)
{
    uint64_t n = 0;
    for (const struct daemon_conn *c = d->conns; c; c = c->next) {
        n += c->state == CONN_WAIT;
    }
    return n;
}

void relay_daemon_status(const struct relay_daemon *d, struct nk_json *out)
{
    static const char *const wires[] = {[RELAY_CLIENT_AUTO] = NULL,
                                        [RELAY_CLIENT_NATIVE] = "native",
                                        [RELAY_CLIENT_TLSPYO] = "tlspyo"};
    const struct relay_local *q = &d->queue;
    struct relay_client_state c = {0};
    if (d->client) {
        relay_client_state(d->client, &c);
    }
    nk_json_kv_str(out, "name", d->conf.name);
    nk_json_kv_str(out, "relay", d->conf.client->where);
    nk_json_kv_bool(out, "connected", d->client && relay_client_alive(d->client));
    nk_json_kv_str(out, "wire", wires[c.wire]);
    nk_json_kv_u64(out, "connections", c.connections);
    if (d->client) {
        groups_status(d, out);
    }
    nk_json_kv_u64(out, "waiting", q->waiting.n);
    nk_json_kv_u64(out, "on_loan", q->items - q->waiting.n);
    nk_json_kv_u64(out, "bytes", q->bytes);
    nk_json_kv_u64(out, "received", q->count.received);
    nk_json_kv_u64(out, "taken", q->count.taken);
    nk_json_kv_u64(out, "skipped", q->count.skipped);
    nk_json_kv_u64(out, "dropped", q->count.dropped);
    nk_json_kv_u64(out, "returned", q->count.returned);
    nk_json_kv_u64(out, "lost", q->count.lost);
    nk_json_kv_u64(out, "sent", c.published);
    nk_json_kv_u64(out, "acknowledged", c.settled);
    nk_json_kv_u64(out, "unacknowledged", c.published - c.settled);
    nk_json_kv_u64(out, "commands", d->nconns);
    nk_json_kv_u64(out, "readers", readers(d));
}
