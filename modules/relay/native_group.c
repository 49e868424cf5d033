/* SPDX-License-Identifier: MIT */
/* Groups that a native connection has opened. */
#include <stdlib.h>
#include <string.h>

#include "base/codec.h"
#include "relay/native.h"

/* With few groups, looking at each is as fast as a table. */
enum { TABLE_MIN = 16, FEW = 4, NAME_TEXT = 120 };

/* --- the table: group id -> slot -------------------------------------------------------------- */

static uint32_t home(const struct relay_native_session *s, uint32_t group)
{
    return group &
           (s->table_cap - 1); /* ids count up: no two open groups share a low place often */
}

static void table_put(struct relay_native_session *s, uint32_t group, uint32_t slot)
{
    if (!s->table_cap) {
        return;
    }
    uint32_t i = home(s, group);
    while (s->table[i]) {
        i = (i + 1) & (s->table_cap - 1);
    }
    s->table[i] = slot + 1;
    s->table_used++;
}

/* Room for one more; at most half full. No table as long as there are few. */
static int table_room(struct relay_native_session *s)
{
    if (s->table_used * 2 < s->table_cap || (!s->table_cap && s->nopen < FEW)) {
        return 0;
    }
    uint32_t cap = s->table_cap ? s->table_cap * 2 : TABLE_MIN;
    uint32_t *v = calloc(cap, sizeof(*v));
    if (!v) {
        return -ENOMEM;
    }
    free(s->table);
    s->table = v;
    s->table_cap = cap;
    s->table_used = 0;
    for (uint32_t i = 0; i < s->nslots; i++) {
        if (s->slot[i] && !s->slot[i]->closed && !s->slot[i]->opening) {
            table_put(s, s->slot[i]->group->id, i);
        }
    }
    return 0;
}

static void table_remove(struct relay_native_session *s, const struct relay_handle *h)
{
    if (!s->table_cap) {
        return;
    }
    uint32_t mask = s->table_cap - 1, i = home(s, h->group->id);
    while (s->table[i] && s->table[i] != h->slot + 1) {
        i = (i + 1) & mask;
    }
    if (!s->table[i]) {
        return; /* it was never answered */
    }
    s->table[i] = 0;
    s->table_used--;
    for (uint32_t j = (i + 1) & mask; s->table[j]; j = (j + 1) & mask) { /* close the gap */
        uint32_t slot = s->table[j] - 1;
        s->table[j] = 0;
        s->table_used--;
        table_put(s, s->slot[slot]->group->id, slot);
    }
}

static struct relay_handle *find_slot(struct relay_native_session *s, uint32_t group)
{
    for (uint32_t i = 0; i < s->nslots; i++) {
        struct relay_handle *h = s->slot[i];
        if (h && !h->closed && !h->opening && h->group->id == group) {
            s->last = h;
            return h;
        }
    }
    return NULL;
}

struct relay_handle *relay_native_find(struct relay_native_session *s, uint32_t group)
{
    if (s->last && s->last->group->id == group) {
        return s->last;
    }
    if (!s->table_cap) {
        return find_slot(s, group);
    }
    for (uint32_t i = home(s, group); s->table[i]; i = (i + 1) & (s->table_cap - 1)) {
        struct relay_handle *h = s->slot[s->table[i] - 1];
        if (h->group->id == group) {
            s->last = h;
            return h;
        }
    }
    return NULL;
}

/* --- handles ---------------------------------------------------------------------------------- */

static uint32_t free_slot(struct relay_native_session *s)
{
    for (uint32_t i = 0; i < s->nslots; i++) {
        if (!s->slot[i]) {
            return i;
        }
    }
    uint32_t n = s->nslots ? s->nslots * 2 : 1;
    struct relay_handle **v = realloc(s->slot, n * sizeof(*v));
    if (!v) {
        return UINT32_MAX;
    }
    memset(v + s->nslots, 0, (n - s->nslots) * sizeof(*v));
    s->slot = v;
    uint32_t slot = s->nslots;
    s->nslots = n;
    return slot;
}

static struct relay_handle *handle_new(struct relay_native_session *s, struct relay_group *take_g)
{
    struct relay_handle *h = calloc(1, sizeof(*h));
    uint32_t slot = h && table_room(s) == 0 ? free_slot(s) : UINT32_MAX;
    if (slot == UINT32_MAX) {
        free(h);
        relay_group_unref(take_g);
        return NULL;
    }
    h->group = take_g;
    h->session = s;
    h->slot = slot;
    h->lane.window = relay_native_window(s->conn->hub);
    h->singly = s->producer != 0;
    s->slot[slot] = h;
    s->nopen++;
    return h;
}

static void handle_free(struct relay_native_session *s, struct relay_handle *h)
{
    s->slot[h->slot] = NULL;
    relay_group_unref(h->group);
    free(h);
}

/* Nothing of it is wanted any more; what the engine still owes keeps the slot. */
static void handle_close(struct relay_native_session *s, struct relay_handle *h)
{
    if (h->closed) {
        return;
    }
    if (!h->opening) {
        table_remove(s, h);
    }
    if (s->last == h) {
        s->last = NULL;
    }
    relay_native_backlog_clear(h);
    relay_native_publish_clear(h);
    free(h->claim);
    h->claim = NULL;
    h->closed = true;
    s->nopen--;
}

void relay_native_handle_tidy(struct relay_native_session *s, struct relay_handle *h)
{
    if (h->closed && h->n == 0 && h->drains == 0 && !h->opening && !h->due) {
        free(h->ring);
        handle_free(s, h);
    }
}

void relay_native_groups_clear(struct relay_native_session *s)
{
    for (uint32_t i = 0; i < s->nslots; i++) {
        struct relay_handle *h = s->slot[i];
        if (h) {
            handle_close(s, h);
            free(h->ring);
            handle_free(s, h);
        }
    }
    free(s->slot);
    free(s->table);
    s->slot = NULL;
    s->table = NULL;
    s->nslots = s->table_cap = 0;
    s->due = NULL;
}

/* --- OPEN, CLOSE ------------------------------------------------------------------------------ */

static void answer(struct relay_conn *c, const struct relay_native_opened *v)
{
    uint8_t frame[RELAY_NATIVE_OPENED_MAX];
    size_t n = relay_native_put_opened(frame, v);
    /* not urgent: what was broadcast before must not come after it */
    uint8_t *p = relay_out_reserve(&c->out, n);
    if (!p) {
        relay_native_no_memory(c);
        return;
    }
    memcpy(p, frame, n);
    relay_out_commit(&c->out, n);
    relay_conn_output(c);
}

static void refuse(struct relay_conn *c, uint64_t request, int rc, const char *text)
{
    struct relay_native_opened v = {.request = request,
                                    .status = relay_native_status(rc),
                                    .text = {.p = text, .len = strlen(text)}};
    answer(c, &v);
}

static void refuse_group(struct relay_conn *c, const struct relay_native_open *o, int rc)
{
    char name[NAME_TEXT];
    const char *text = rc == NK_EAUTH ? "the group is not accepted here" : "max_groups is reached";
    if (rc == -ENOMEM) {
        text = nk_strerror(rc);
    }
    nk_escape(name, sizeof(name), o->name.p, o->name.len);
    c->hub->count.refused++;
    nk_audit(c->hub->log, "relay", relay_hub_may_log(c->hub) ? NK_LOG_WARN : NK_LOG_TRACE,
             "acl.deny", c->peer, "group '%s': %s", name, text);
    refuse(c, o->request, rc, text);
}

static uint8_t rights_in(const struct relay_conn *c, const struct relay_group *g)
{
    return (uint8_t)relay_acl_rights(c->hub->login->acl, c->identity, g->name, g->len);
}

bool relay_native_forbidden(struct relay_conn *c)
{
    struct relay_native_session *s = relay_native_of(c);
    for (uint32_t i = 0; i < s->nslots; i++) {
        struct relay_handle *h = s->slot[i];
        if (!h || h->closed) {
            continue;
        }
        h->rights = rights_in(c, h->group);
        if (h->member && !relay_conn_may(c, h->group->name, h->group->len, RELAY_MAY_CONSUME)) {
            return true;
        }
    }
    return false;
}

static void answer_open(struct relay_conn *c, struct relay_handle *h)
{
    struct relay_queue_stats st;
    relay_queue_stats(h->group, &st);
    const struct relay_native_opened v = {.request = h->request,
                                          .group = h->group->id,
                                          .window = h->lane.window,
                                          .epoch = st.epoch,
                                          .version = st.version};
    answer(c, &v);
}

static bool opened_already(const struct relay_native_session *s, const struct relay_group *g)
{
    for (uint32_t i = 0; i < s->nslots; i++) {
        if (s->slot[i] && !s->slot[i]->closed && s->slot[i]->group == g) {
            return true;
        }
    }
    return false;
}

void relay_native_open(struct relay_conn *c, const struct relay_native_open *o)
{
    struct relay_native_session *s = relay_native_of(c);
    struct relay_group *g;
    if (s->nopen >= RELAY_NATIVE_OPEN_GROUPS) {
        refuse(c, o->request, NK_ELIMIT, "too many groups are open");
        return;
    }
    if (o->member && !relay_conn_may(c, o->name.p, o->name.len, RELAY_MAY_CONSUME)) {
        c->hub->count.refused++;
        refuse(c, o->request, NK_EAUTH, "not allowed to be a member");
        return;
    }
    int rc = relay_groups_get(c->hub->conf.groups, o->name.p, o->name.len, &g);
    if (rc < 0) {
        refuse_group(c, o, rc);
        return;
    }
    if (opened_already(s, g)) {
        relay_group_unref(g);
        refuse(c, o->request, -EINVAL, "the group is open already");
        return;
    }
    struct relay_handle *h = handle_new(s, g);
    if (!h) {
        relay_native_no_memory(c);
        return;
    }
    h->request = o->request;
    h->member = o->member;
    h->rights = rights_in(c, g);
    h->claiming = s->resumed && h->member;
    if (!h->member) {
        table_put(s, g->id, h->slot);
        answer_open(c, h);
        return;
    }
    const struct relay_known known = {.epoch = o->known ? o->epoch : 0, .version = o->version};
    h->opening = true;
    if (relay_engine_watch(c->hub->conf.engine, s->member, &h->group, &known, 1,
                           relay_native_token(RELAY_NT_OPEN, h->slot, 0)) < 0) {
        relay_native_no_memory(c);
    }
}

void relay_native_opened(struct relay_native_session *s, struct relay_handle *h, int status)
{
    struct relay_conn *c = s->conn;
    if (status >= 0 && table_room(s) < 0) {
        relay_native_no_memory(c);
        return;
    }
    if (status >= 0) {
        h->opening = false;
        table_put(s, h->group->id, h->slot);
        answer_open(c, h);
        return;
    }
    if (status == NK_ELIMIT) {
        nk_audit(c->hub->log, "relay", relay_hub_may_log(c->hub) ? NK_LOG_WARN : NK_LOG_TRACE,
                 "acl.deny", c->peer, "a group has max_count members");
    }
    refuse(c, h->request, status, status == NK_ELIMIT ? "the group is full" : nk_strerror(status));
    if (!c->closed) {
        handle_close(s, h);
        h->opening = false;
        relay_native_handle_tidy(s, h);
    }
}

void relay_native_close_group(struct relay_conn *c, struct relay_handle *h)
{
    struct relay_native_session *s = relay_native_of(c);
    bool member = h->member;
    struct relay_group *g = relay_group_ref(h->group);
    handle_close(s, h);
    relay_native_handle_tidy(s, h);
    if (member && relay_engine_unwatch(c->hub->conf.engine, s->member, g, 0) < 0) {
        relay_native_no_memory(c);
    }
    relay_group_unref(g);
}
