/* SPDX-License-Identifier: MIT */
/*
 * tlspyo's wire from the endpoint's side (wire_client.h, ENDPOINT.md "Logging in").
 *
 * GREETING waits for the relay's HELLO, LOGIN for the acknowledgement of ours, PROBE for the
 * acknowledgement of a notify of nothing: a relay that refuses a group acknowledges our HELLO and
 * then closes, so only the second answer proves that we are in. Objects are held back until then (a
 * stock relay drops without a word what arrives before). Nothing is ever sent twice.
 */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "core/stream.h"
#include "relay/client_out.h"
#include "relay/client_wire.h"

#define ENVELOPE_MAX 64 /* bytes of a delivery's frame around the object */

/* How far a drain has come: the relay acknowledges a notify before it delivers, so a second, empty
 * one after the first one's acknowledgement marks the end. */
enum drain_state { DRAIN_OFF, DRAIN_ASKED, DRAIN_MARKED };

/* What a stamp stands for; number 0: not an object. */
struct slot {
    uint64_t number;
    uint32_t group;
};

struct tlspyo {
    struct relay_client_out out;
    struct relay_value_doc doc;
    struct relay_wire_format format;
    struct slot slots[RELAY_CLIENT_WINDOW];
    uint64_t in_flight; /* objects among the stamps that were not acknowledged */
    int64_t awaited;    /* stamp whose acknowledgement moves LOGIN and PROBE on */
    int64_t mark;       /* stamp whose acknowledgement moves the drain on */
    enum drain_state drain;
    bool ask;        /* some group has demand that was not sent */
    bool owes_probe; /* acknowledgements were sent whose arrival nothing has proved */
};

static struct tlspyo *session(const struct relay_client *c)
{
    return c->sessions[RELAY_CLIENT_TLSPYO];
}

static int create(struct relay_client *c, void **out)
{
    struct tlspyo *t = calloc(1, sizeof(*t));
    if (!t) {
        return -ENOMEM;
    }
    t->format = (struct relay_wire_format){.header_size = c->conf->header_size,
                                           .password = c->conf->password};
    relay_client_out_init(&t->out);
    *out = t;
    return 0;
}

static void destroy(struct relay_client *c, void *s)
{
    struct tlspyo *t = s;
    (void)c;
    relay_client_out_clear(&t->out);
    relay_value_doc_clear(&t->doc);
    free(t);
}

static void begin(struct relay_client *c)
{
    struct tlspyo *t = session(c);
    relay_client_out_restart(&t->out);
    t->owes_probe = false;
    t->drain = DRAIN_OFF;
    t->in_flight = 0;
}

/* --- saying ----------------------------------------------------------------------------------- */

/* A frame could not be appended: the connection cannot go on. */
static void check_put(struct relay_client *c, int status)
{
    if (status < 0) {
        client_broken(c, status, "the relay does not read what it is sent");
    } else {
        client_flush_later(c);
    }
}

static int64_t new_stamp(struct tlspyo *t)
{
    int64_t stamp = relay_client_out_stamp(&t->out);
    if (stamp > 0) {
        t->slots[stamp % RELAY_CLIENT_WINDOW] = (struct slot){0};
    }
    return stamp;
}

/* Ask for objects; n = 0 with no group is an echo request that stock relays answer, too. Returns
 * the stamp, 0 when the window is full. */
static int64_t send_notify(struct relay_client *c, const struct relay_wire_dest *dest, size_t n)
{
    struct tlspyo *t = session(c);
    int64_t stamp = new_stamp(t);
    if (stamp > 0) {
        check_put(
            c, relay_wire_put_notify(relay_client_out_frames(&t->out), &t->format, stamp, dest, n));
    }
    return stamp;
}

static bool send_probe(struct relay_client *c)
{
    int64_t stamp = send_notify(c, NULL, 0);
    if (stamp > 0 && !client_in_session(c)) {
        session(c)->awaited = stamp;
    }
    return stamp > 0;
}

static void send_ack(struct relay_client *c, int64_t stamp)
{
    struct tlspyo *t = session(c);
    t->owes_probe = true;
    check_put(c, relay_wire_put_ack(relay_client_out_frames(&t->out), &t->format, stamp));
}

/* One notify; false: the window is full. */
static bool ask(struct relay_client *c, const struct client_group *g, int64_t n, int64_t *stamp)
{
    const struct relay_wire_dest dest = {g->name, n};
    *stamp = send_notify(c, &dest, 1);
    c->asked = c->asked || *stamp > 0;
    return *stamp > 0;
}

static bool ask_group(struct relay_client *c, struct client_group *g)
{
    struct tlspyo *t = session(c);
    int64_t stamp;
    if (g->drain && !g->drain_asked) {
        if (!ask(c, g, g->drain_most > 0 ? (int64_t)g->drain_most : -1, &stamp)) {
            return false;
        }
        g->drain_asked = true;
        t->drain = DRAIN_ASKED;
        t->mark = stamp;
    }
    if (g->to_ask > 0) {
        if (!ask(c, g, (int64_t)(g->to_ask < INT64_MAX ? g->to_ask : INT64_MAX), &stamp)) {
            return false;
        }
        g->to_ask = 0;
    }
    return true;
}

/* Tell the relay what is wanted and was not said on this connection. */
static void send_demand(struct relay_client *c)
{
    struct tlspyo *t = session(c);
    for (uint32_t i = 0; i < c->ngroups && t->ask && c->stream; i++) {
        if (c->groups[i]->member && !ask_group(c, c->groups[i])) {
            return; /* when something is acknowledged */
        }
    }
    t->ask = false;
}

static void demanded(struct relay_client *c, struct client_group *g)
{
    (void)g;
    session(c)->ask = true;
    send_demand(c);
}

static int joined(struct relay_client *c, struct client_group *g)
{
    (void)c;
    return g->member ? NK_EUNSUPPORTED : 0;
}

static void published(struct relay_client *c, struct client_group *g)
{
    (void)c;
    (void)g;
}

/* --- writing ---------------------------------------------------------------------------------- */

/* Move the oldest object into frames. */
static int take_object(struct relay_client *c, struct client_line *l)
{
    struct tlspyo *t = session(c);
    struct client_item it;
    client_spool_peek(l, &it);
    struct relay_client_item item = {
        .dest = {c->groups[l->group]->name, it.copies > 0 ? (int64_t)it.copies : -1},
        .head = it.head,
        .head_len = it.head_len,
        .data_len = it.data_len,
        .dot = it.dot};
    if (it.content != RELAY_CONTENT_PICKLE) {
        item.wrap_len = relay_value_head(item.wrap, it.head_len + it.data_len,
                                         it.content != RELAY_CONTENT_BYTES);
        item.dot = true;
    }
    uint8_t *data = client_spool_take(&c->spool, l);
    int64_t stamp = relay_client_out_object(&t->out, &t->format, &item, data);
    if (stamp < 0) {
        return (int)stamp;
    }
    t->slots[stamp % RELAY_CLIENT_WINDOW] = (struct slot){it.number, l->group};
    t->in_flight++;
    c->sent += item.wrap_len + item.head_len + item.data_len + item.dot;
    return 0;
}

static int iov(struct relay_client *c, struct iovec *out)
{
    struct tlspyo *t = session(c);
    while (client_in_session(c) && relay_client_out_room(&t->out)) {
        struct client_line *l = client_spool_oldest(&c->spool, NULL, NULL);
        if (!l) {
            break;
        }
        int status = take_object(c, l);
        if (status < 0) {
            return status;
        }
    }
    return relay_client_out_iov(&t->out, out);
}

static void sent(struct relay_client *c, size_t n)
{
    relay_client_out_sent(&session(c)->out, n);
}

static bool idle(const struct relay_client *c)
{
    return relay_client_out_empty(&session(c)->out);
}

/* Nothing is to be done: a stock relay never asks. */
static void keep(struct relay_client *c)
{
    (void)c;
}

static bool done(struct relay_client *c)
{
    struct tlspyo *t = session(c);
    if (relay_client_out_waiting(&t->out) > 0) {
        return false;
    }
    if (t->owes_probe) {
        t->owes_probe = false;
        (void)send_probe(c);
        return false;
    }
    return true;
}

/* --- hearing ---------------------------------------------------------------------------------- */

static void got_hello(struct relay_client *c, int64_t relays_stamp)
{
    struct tlspyo *t = session(c);
    if (relays_stamp == RELAY_NATIVE_STAMP && c->conf->wire == RELAY_CLIENT_AUTO) {
        (void)client_use_wire(c, &client_wire_native);
        return;
    }
    send_ack(c, relays_stamp);
    if (!c->stream) {
        return;
    }
    int64_t stamp = new_stamp(t);
    const char **names = calloc(c->ngroups ? c->ngroups : 1, sizeof(*names));
    size_t n = 0;
    if (!names) {
        client_broken(c, -ENOMEM, "out of memory");
        return;
    }
    for (uint32_t i = 0; i < c->ngroups; i++) {
        if (c->groups[i]->member) {
            names[n++] = c->groups[i]->name;
        }
    }
    t->awaited = stamp;
    client_set_state(c, CLIENT_LOGIN);
    check_put(c,
              relay_wire_put_hello(relay_client_out_frames(&t->out), &t->format, stamp, names, n));
    free(names);
}

/* Every acknowledgement up to the base stamp is there: settle their objects, oldest first. */
static void settle(struct relay_client *c, int64_t from)
{
    struct tlspyo *t = session(c);
    for (int64_t stamp = from; stamp < t->out.base && !c->closed; stamp++) {
        const struct slot s = t->slots[stamp % RELAY_CLIENT_WINDOW];
        if (s.number > 0) {
            struct client_group *g = c->groups[s.group];
            client_settled(c, g, s.number, 0);
            if (!c->closed) {
                client_line_reap(&c->spool, &g->line);
            }
        }
    }
}

/* The drain's notify was acknowledged: mark its end; the mark was: all objects have arrived. */
static void advance_drain(struct relay_client *c)
{
    struct tlspyo *t = session(c);
    if (t->drain == DRAIN_ASKED) {
        int64_t stamp = send_notify(c, NULL, 0);
        if (stamp > 0) {
            t->drain = DRAIN_MARKED;
            t->mark = stamp;
        }
        return;
    }
    t->drain = DRAIN_OFF;
    for (uint32_t i = 0; i < c->ngroups && !c->closed; i++) {
        struct client_group *g = c->groups[i];
        if (g->drain && g->drain_asked) {
            g->drain = g->drain_asked = false;
            if (c->ops->on_drained) {
                c->ops->on_drained(c->owner, g->handle);
            }
        }
    }
}

static void become_alive(struct relay_client *c)
{
    for (uint32_t i = 0; i < c->ngroups; i++) { /* the relay knows nothing of our demand */
        c->groups[i]->to_ask = c->groups[i]->wanted;
        c->groups[i]->drain_asked = false;
    }
    session(c)->ask = true;
    client_become_alive(c);
    if (c->stream && !c->closed) {
        send_demand(c);
    }
}

static void got_ack(struct relay_client *c, int64_t stamp)
{
    struct tlspyo *t = session(c);
    int64_t base = t->out.base;
    if (!relay_client_out_ack(&t->out, stamp)) {
        nk_debug(nk_app_log(c->app), "relay", "acknowledgement of unknown stamp %lld",
                 (long long)stamp);
        return;
    }
    if (c->state == CLIENT_LOGIN && stamp == t->awaited) {
        client_set_state(c, CLIENT_PROBE);
        (void)send_probe(c);
        return;
    }
    if (c->state == CLIENT_PROBE && stamp == t->awaited) {
        become_alive(c);
        return;
    }
    t->in_flight -= t->slots[stamp % RELAY_CLIENT_WINDOW].number > 0;
    settle(c, base);
    if (c->closed || !c->stream) {
        return;
    }
    if (t->drain != DRAIN_OFF && t->out.base > t->mark) {
        advance_drain(c);
    }
    if (!c->closed && c->stream) {
        send_demand(c);
        client_flush_later(c); /* room in the window, or the last one of FINISH */
    }
}

/* Deliveries do not say from which group or queue they are; with several groups the first one that
 * still waits for something is as good a guess as any. */
static struct client_group *whose(const struct relay_client *c, uint32_t *handle)
{
    struct client_group *only = NULL, *waiting = NULL;
    unsigned members = 0;
    for (uint32_t i = 0; i < c->ngroups; i++) {
        struct client_group *g = c->groups[i];
        if (g->member) {
            members++;
            only = g;
            waiting = waiting || g->wanted == 0 ? waiting : g;
        }
    }
    *handle = members == 1 ? only->handle : RELAY_CLIENT_NO_GROUP;
    return members == 1 ? only : waiting;
}

static void got_object(struct relay_client *c, const struct relay_wire_message *m)
{
    uint32_t handle;
    struct client_group *g = whose(c, &handle);
    struct relay_client_object d = {.lease = {.wire = RELAY_CLIENT_TLSPYO,
                                              .group = handle,
                                              .seq = (uint64_t)m->stamp,
                                              .connection = c->connection},
                                    .group = handle,
                                    .kind = c->asked ? RELAY_KIND_UNKNOWN : RELAY_KIND_BROADCAST,
                                    .content = RELAY_CONTENT_PICKLE,
                                    .asked = c->asked,
                                    .data = m->obj,
                                    .len = m->obj_len};
    client_deliver(c, g, &d);
}

static void got_message(struct relay_client *c, const struct relay_wire_message *m)
{
    if ((c->state == CLIENT_GREETING) != (m->cmd == RELAY_WIRE_HELLO)) {
        client_broken(c, NK_EPROTO, "not what a relay says at this point");
        return;
    }
    switch (m->cmd) {
    case RELAY_WIRE_HELLO:
        got_hello(c, m->stamp);
        break;
    case RELAY_WIRE_ACK:
        got_ack(c, m->stamp);
        break;
    case RELAY_WIRE_OBJ:
        got_object(c, m);
        break;
    case RELAY_WIRE_OTHER:
        send_ack(c, m->stamp); /* as stock endpoints do: relays use it to see whether we live */
        break;
    }
}

/* The next whole frame, read; 1, 0 (not there: *missing), or broken. */
static int next_frame(struct relay_client *c, struct relay_wire_message *m, size_t *total,
                      size_t *missing)
{
    struct tlspyo *t = session(c);
    unsigned header = t->format.header_size;
    const uint8_t *p = nk_buf_ptr(&c->in);
    size_t n = nk_buf_len(&c->in);
    *missing = 0;
    int status = relay_wire_frame_length(p, n, header, c->conf->max_object + ENVELOPE_MAX, total);
    if (status < 0) {
        client_broken(c, status,
                      status == NK_ETOOBIG ? "an object is larger than --max-object"
                                           : "this is not a frame of a relay");
        return status;
    }
    if (*total == 0 || *total > n) {
        *missing = *total > 0 ? *total - n : 0;
        return 0;
    }
    status = relay_wire_parse(&t->doc, p + header, *total - header, m);
    if (status < 0) {
        client_broken(c, status, "a frame holds something else than a relay's message");
        return status;
    }
    return 1;
}

static void input(struct relay_client *c, size_t *missing)
{
    uint64_t connection = c->connection;
    while (c->stream && !c->closed && !client_holding(c)) {
        struct relay_wire_message m;
        size_t total;
        if (next_frame(c, &m, &total, missing) <= 0) {
            return;
        }
        got_message(c, &m);
        if (c->closed || !c->stream || connection != c->connection) {
            return;
        }
        nk_buf_consume(&c->in, total);
        if (c->wire != &client_wire_tlspyo) {
            return;
        }
    }
}

/* --- endings ---------------------------------------------------------------------------------- */

static uint64_t doubt(const struct relay_client *c)
{
    return session(c)->in_flight;
}

/* What was taken out of the spool is gone, in the order of its numbers. */
static uint64_t lost(struct relay_client *c)
{
    struct tlspyo *t = session(c);
    uint64_t n = t->in_flight;
    for (int64_t stamp = t->out.base; stamp < t->out.next && !c->closed; stamp++) {
        const struct slot s = t->slots[stamp % RELAY_CLIENT_WINDOW];
        if (s.number > 0) {
            struct client_group *g = c->groups[s.group];
            client_settled(c, g, s.number,
                           relay_client_out_acked(&t->out, stamp) ? 0 : -ECONNRESET);
        }
    }
    for (uint32_t i = 0; i < c->ngroups && !c->closed; i++) {
        client_line_reap(&c->spool, &c->groups[i]->line);
    }
    begin(c);
    return n;
}

static void refused(struct relay_client *c, struct nk_diag *why, bool *retry)
{
    const char *where = c->conf->where;
    if (client_in_session(c)) {
        (void)nk_fail(why, NK_ECLOSED, "%s: the relay closed the connection", where);
    } else if (c->state == CLIENT_GREETING) {
        (void)nk_fail(why, NK_ECLOSED, "%s closed the connection without a greeting", where);
        nk_hint(why, "is this a relay's address, and do both sides agree on TLS (--connection)?");
    } else if (c->state == CLIENT_LOGIN) {
        (void)nk_fail(why, NK_EAUTH, "%s refused the login: wrong password", where);
        nk_hint(why, "check --password-file (and --header-size, which must be the relay's)");
    } else {
        *retry = true; /* our own dead connection may still fill the group at the relay */
        (void)nk_fail(why, NK_EAUTH, "%s refused a group: it is not accepted there, or full",
                      where);
        nk_hint(why, "the relay's log says which one");
    }
}

/* --- acknowledgements ------------------------------------------------------------------------- */

static void ack(struct relay_client *c, const struct relay_client_lease *l)
{
    struct tlspyo *t = session(c);
    if (l->connection != c->connection) {
        return;
    }
    t->owes_probe = true;
    if (relay_wire_put_ack(relay_client_out_frames(&t->out), &t->format, (int64_t)l->seq) == 0) {
        client_flush_later(c);
    }
}

/* A lease dies with its connection. */
static bool holds(const struct relay_client *c, const struct relay_client_lease *l)
{
    return c->stream && l->connection == c->connection;
}

static int nack(struct relay_client *c, const struct relay_client_lease *l, uint32_t ms)
{
    (void)c;
    (void)l;
    (void)ms;
    return NK_EUNSUPPORTED;
}

const struct client_wire client_wire_tlspyo = {.name = "tlspyo",
                                               .kind = RELAY_CLIENT_TLSPYO,
                                               .create = create,
                                               .destroy = destroy,
                                               .begin = begin,
                                               .input = input,
                                               .iov = iov,
                                               .sent = sent,
                                               .idle = idle,
                                               .probe = send_probe,
                                               .keep = keep,
                                               .done = done,
                                               .lost = lost,
                                               .doubt = doubt,
                                               .refused = refused,
                                               .joined = joined,
                                               .published = published,
                                               .demanded = demanded,
                                               .ack = ack,
                                               .holds = holds,
                                               .nack = nack,
                                               .extend = nack};
