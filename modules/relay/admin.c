/* SPDX-License-Identifier: MIT */
#include "relay/admin.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/codec.h"
#include "base/json.h"
#include "base/utc.h"
#include "relay/conn.h"

#define NAME_TEXT 256 /* a group's name in tables; longer ones are cut */

/* --- groups ----------------------------------------------------------------------------------- */

struct group_list {
    const struct relay_group **v;
    size_t n;
};

static void gather_group(void *arg, const struct relay_group *g)
{
    struct group_list *list = arg;
    list->v[list->n++] = g;
}

static int by_serial(const void *a, const void *b)
{
    const struct relay_group *x = *(const struct relay_group *const *)a;
    const struct relay_group *y = *(const struct relay_group *const *)b;
    return x->serial < y->serial ? -1 : x->serial > y->serial;
}

static void limit_json(struct nk_json *j, const char *key, int64_t limit)
{
    if (limit != RELAY_UNLIMITED) {
        nk_json_kv_i64(j, key, limit);
    }
}

static void group_json(struct nk_json *j, const struct relay_group *g)
{
    struct relay_queue_stats n;
    relay_queue_stats(g, &n);
    nk_json_object(j);
    nk_json_key(j, "name");
    nk_json_strn(j, g->name, g->len);
    nk_json_kv_u64(j, "id", g->id);
    nk_json_kv_u64(j, "members", n.members);
    nk_json_kv_u64(j, "queued", n.queued);
    nk_json_kv_u64(j, "leased", n.leased);
    nk_json_kv_u64(j, "retained", n.retained);
    nk_json_kv_u64(j, "broadcasts", n.broadcasts);
    nk_json_kv_u64(j, "produced", n.produced);
    nk_json_kv_u64(j, "delivered", n.delivered);
    nk_json_kv_u64(j, "acked", n.acked);
    relay_hub_queue_json(j, &n);
    nk_json_kv_u64(j, "producers", n.producers);
    limit_json(j, "max_count", g->set.max_count);
    limit_json(j, "max_consumables", g->set.max_consumables);
    nk_json_close(j);
}

static int groups_json(const struct group_list *list, size_t shown, struct nk_buf *out)
{
    struct nk_json j;
    nk_json_init(&j, out, false);
    nk_json_object(&j);
    nk_json_kv_u64(&j, "schema", 1);
    nk_json_kv_u64(&j, "total", list->n);
    nk_json_key(&j, "groups");
    nk_json_array(&j);
    for (size_t i = 0; i < shown; i++) {
        group_json(&j, list->v[i]);
    }
    nk_json_close(&j);
    nk_json_close(&j);
    int rc = nk_json_end(&j);
    return rc < 0 ? rc : nk_buf_u8(out, '\n');
}

static int more_line(size_t shown, size_t total, struct nk_buf *out)
{
    return shown < total ? nk_buf_printf(out, "(%zu of %zu)\n", shown, total) : 0;
}

static int groups_table(const struct group_list *list, size_t shown, struct nk_buf *out)
{
    char name[NAME_TEXT];
    int rc = nk_buf_printf(out, "%7s %10s %7s %8s %10s %10s %10s %8s %8s  %s\n", "MEMBERS",
                           "QUEUED", "LEASED", "RETAINED", "BROADCASTS", "PRODUCED", "DELIVERED",
                           "DROPPED", "REQUEUED", "GROUP");
    for (size_t i = 0; rc == 0 && i < shown; i++) {
        const struct relay_group *g = list->v[i];
        struct relay_queue_stats n;
        relay_queue_stats(g, &n);
        rc = nk_buf_printf(out,
                           "%7" PRIu64 " %10" PRIu64 " %7" PRIu64 " %8" PRIu64 " %10" PRIu64
                           " %10" PRIu64 " %10" PRIu64 " %8" PRIu64 " %8" PRIu64 "  %s\n",
                           n.members, n.queued, n.leased, n.retained, n.broadcasts, n.produced,
                           n.delivered, n.dropped, n.returned,
                           nk_escape(name, sizeof(name), g->name, g->len));
    }
    return rc < 0 ? rc : more_line(shown, list->n, out);
}

int relay_admin_groups(const struct relay_hub *h, bool json, size_t max, struct nk_buf *out)
{
    const struct relay_groups *groups = h->conf.groups;
    size_t total = relay_groups_count(groups);
    struct group_list list = {.v = calloc(total ? total : 1, sizeof(struct relay_group *))};
    if (!list.v) {
        return -ENOMEM;
    }
    relay_groups_each(groups, gather_group, &list);
    qsort(list.v, list.n, sizeof(*list.v), by_serial);
    size_t shown = max && max < list.n ? max : list.n;
    int rc = json ? groups_json(&list, shown, out) : groups_table(&list, shown, out);
    free(list.v);
    return rc;
}

/* --- connections ------------------------------------------------------------------------------ */

static uint64_t unacked_of(const struct relay_conn *c)
{
    return c->session && c->wire->unacked ? c->wire->unacked(c) : 0;
}

static void each_group(const struct relay_conn *c,
                       void (*fn)(void *arg, const struct relay_group *g), void *arg)
{
    if (c->session && c->wire->groups) {
        c->wire->groups(c, fn, arg);
    }
}

static void group_name_json(void *arg, const struct relay_group *g)
{
    nk_json_strn(arg, g->name, g->len);
}

static void conn_json(struct nk_json *j, const struct relay_conn *c)
{
    char since[NK_UTC_SIZE];
    (void)nk_format_utc(since, c->since_s);
    nk_json_object(j);
    nk_json_kv_u64(j, "id", c->id);
    nk_json_kv_str(j, "peer", c->peer);
    nk_json_kv_str(j, "wire", c->wire->name);
    nk_json_kv_bool(j, "encrypted", c->encrypted);
    nk_json_kv_bool(j, "authenticated", c->authenticated);
    nk_json_kv_str(j, "identity", c->authenticated ? c->identity : NULL);
    nk_json_key(j, "groups");
    nk_json_array(j);
    each_group(c, group_name_json, j);
    nk_json_close(j);
    nk_json_kv_u64(j, "backlog", c->out.bytes);
    nk_json_kv_u64(j, "unacknowledged", unacked_of(c));
    nk_json_kv_u64(j, "objects_in", c->objects_in);
    nk_json_kv_u64(j, "objects_out", c->objects_out);
    nk_json_kv_str(j, "since", since);
    nk_json_close(j);
}

/* The newest come first in the hub's list: walk it from its other end. */
static const struct relay_conn *oldest(const struct relay_hub *h)
{
    const struct relay_conn *c = h->conns;
    while (c && c->next) {
        c = c->next;
    }
    return c;
}

static int conns_json(const struct relay_hub *h, size_t shown, struct nk_buf *out)
{
    struct nk_json j;
    const struct relay_conn *c = oldest(h);
    nk_json_init(&j, out, false);
    nk_json_object(&j);
    nk_json_kv_u64(&j, "schema", 1);
    nk_json_kv_u64(&j, "total", h->nconns);
    nk_json_key(&j, "endpoints");
    nk_json_array(&j);
    for (size_t i = 0; i < shown && c; i++, c = c->prev) {
        conn_json(&j, c);
    }
    nk_json_close(&j);
    nk_json_close(&j);
    int rc = nk_json_end(&j);
    return rc < 0 ? rc : nk_buf_u8(out, '\n');
}

struct name_list {
    struct nk_buf *out;
    int rc;
    bool any;
};

static void group_name_text(void *arg, const struct relay_group *g)
{
    struct name_list *list = arg;
    char name[NAME_TEXT];
    if (list->rc == 0) {
        list->rc = nk_buf_printf(list->out, "%s%s", list->any ? ", " : "",
                                 nk_escape(name, sizeof(name), g->name, g->len));
        list->any = true;
    }
}

static int conn_line(const struct relay_conn *c, struct nk_buf *out)
{
    char since[NK_UTC_SIZE], backlog[16];
    (void)nk_format_utc(since, c->since_s);
    struct name_list list = {.out = out};
    list.rc = nk_buf_printf(
        out, "%6" PRIu64 " %-22s %-7s %-4s %9s %7" PRIu64 " %10" PRIu64 " %10" PRIu64 " %-20s  ",
        c->id, c->peer, c->wire->name, c->encrypted ? "yes" : "no",
        nk_format_size(backlog, sizeof(backlog), c->out.bytes), unacked_of(c), c->objects_in,
        c->objects_out, since);
    if (!c->authenticated && list.rc == 0) {
        list.rc = nk_buf_puts(out, "(not logged in)");
    }
    each_group(c, group_name_text, &list);
    return list.rc < 0 ? list.rc : nk_buf_u8(out, '\n');
}

static int conns_table(const struct relay_hub *h, size_t shown, struct nk_buf *out)
{
    const struct relay_conn *c = oldest(h);
    int rc = nk_buf_printf(out, "%6s %-22s %-7s %-4s %9s %7s %10s %10s %-20s  %s\n", "ID", "PEER",
                           "WIRE", "TLS", "BACKLOG", "UNACKED", "IN", "OUT", "SINCE", "GROUPS");
    for (size_t i = 0; rc == 0 && i < shown && c; i++, c = c->prev) {
        rc = conn_line(c, out);
    }
    return rc < 0 ? rc : more_line(shown, h->nconns, out);
}

int relay_admin_endpoints(const struct relay_hub *h, bool json, size_t max, struct nk_buf *out)
{
    size_t shown = max && max < h->nconns ? max : h->nconns;
    return json ? conns_json(h, shown, out) : conns_table(h, shown, out);
}

/* --- kick ------------------------------------------------------------------------------------- */

static bool is_word(const struct relay_conn *c, const char *word)
{
    uint64_t id;
    return nk_parse_u64(word, &id) == 0 ? c->id == id : strcmp(c->peer, word) == 0;
}

struct group_search {
    const char *name;
    bool found;
};

static void compare_group(void *arg, const struct relay_group *g)
{
    struct group_search *s = arg;
    s->found = s->found || (strlen(s->name) == g->len && memcmp(s->name, g->name, g->len) == 0);
}

static bool is_in(const struct relay_conn *c, const char *group)
{
    struct group_search s = {.name = group};
    each_group(c, compare_group, &s);
    return s.found;
}

/* The i-th of what is to be kicked: the words, then the groups. */
static bool matches(const struct relay_conn *c, const struct relay_admin_kick *what, size_t i)
{
    return i < what->nwords ? is_word(c, what->words[i]) : is_in(c, what->groups[i - what->nwords]);
}

static int check_kick(const struct relay_hub *h, const struct relay_admin_kick *what,
                      struct nk_diag *diag)
{
    for (size_t i = 0; i < what->nwords + what->ngroups; i++) {
        const struct relay_conn *c = h->conns;
        while (c && !matches(c, what, i)) {
            c = c->next;
        }
        if (!c && i < what->nwords) {
            return nk_fail(diag, NK_EUSAGE, "no connection is '%s'", what->words[i]);
        }
        if (!c) {
            return nk_fail(diag, NK_EUSAGE, "no connection is in group '%s'",
                           what->groups[i - what->nwords]);
        }
    }
    return 0;
}

int relay_admin_kick(struct relay_hub *h, const struct relay_admin_kick *what, struct nk_diag *diag)
{
    int n = 0, rc = check_kick(h, what, diag);
    if (rc < 0) {
        return rc;
    }
    for (struct relay_conn *c = h->conns, *next; c; c = next) {
        next = c->next; /* closing takes only c off the list */
        bool hit = false;
        for (size_t i = 0; !hit && i < what->nwords + what->ngroups; i++) {
            hit = matches(c, what, i);
        }
        if (hit) {
            nk_audit(h->log, "relay", NK_LOG_INFO, "admin.kick", c->peer, "connection %" PRIu64,
                     c->id);
            relay_conn_close(c, NK_LOG_INFO, "closed by the administrator");
            n++;
        }
    }
    return n;
}
