/* SPDX-License-Identifier: MIT */
/* A command's connection: objects that it sends. */
#include <stdlib.h>
#include <string.h>

#include "relay/daemon_conn.h"
#include "relay/endpoint_send.h"

void daemon_send_clear(struct daemon_conn *c)
{
    relay_daemon_send_clear(&c->send);
    free(c->data);
    c->data = NULL;
    c->have = 0;
    c->next_dest = 0;
}

/* Room for one more range, before anything is given away. */
static int reserve_range(struct daemon_conn *c)
{
    if (c->nsent < c->sent_cap) {
        return 0;
    }
    size_t cap = c->sent_cap ? c->sent_cap * 2 : 8;
    struct sent_range *v = realloc(c->sent, cap * sizeof(*v));
    if (!v) {
        return -ENOMEM;
    }
    c->sent = v;
    c->sent_cap = cap;
    return 0;
}

static void note_sent(struct daemon_conn *c, uint32_t group, uint64_t number)
{
    for (size_t i = c->nsent; i-- > 0;) { /* few: one for each group, as a rule */
        struct sent_range *r = &c->sent[i];
        if (r->group == group && r->last + 1 == number) {
            r->last = number;
            return;
        }
    }
    c->sent[c->nsent++] = (struct sent_range){group, number, number};
}

static int publish_one(struct daemon_conn *c, const struct relay_wire_dest *dest, bool last)
{
    static const enum relay_client_wrap wraps[] = {[ENDPOINT_AS_AUTO] = RELAY_WRAP_BYTES,
                                                   [ENDPOINT_AS_BYTES] = RELAY_WRAP_BYTES,
                                                   [ENDPOINT_AS_STR] = RELAY_WRAP_STR,
                                                   [ENDPOINT_AS_PICKLE] = RELAY_WRAP_NONE};
    struct relay_client_publish p = {.copies = c->send.produce ? (uint64_t)dest->n : 0,
                                     .content = RELAY_CONTENT_PICKLE,
                                     .wrap = wraps[c->send.form]};
    if (c->send.content > 0) {
        p.content = (enum relay_content)(c->send.content - 1);
        p.wrap = RELAY_WRAP_NONE;
    }
    relay_endpoint_meta_publish(&c->send.meta, &p);
    uint64_t number = 0;
    int rc = relay_client_group(c->d->client, dest->group, false, &p.group);
    rc = rc < 0 ? rc : reserve_range(c);
    if (rc < 0) {
        return rc;
    }
    if (!relay_client_fits(c->d->client, (size_t)c->send.len)) {
        return NK_ELIMIT;
    }
    if (last) {
        uint8_t *data = c->data;
        c->data = NULL;
        rc = relay_client_publish_take(c->d->client, &p, data, (size_t)c->send.len, &number);
    } else {
        rc = relay_client_publish(c->d->client, &p, c->data, (size_t)c->send.len, &number);
    }
    if (rc == 0) {
        note_sent(c, p.group, number);
    }
    return rc;
}

/* The object is complete: hand it to the connection, one destination after the other. */
static void publish(struct daemon_conn *c)
{
    const struct relay_endpoint_dest *dest = &c->send.dest;
    int rc = c->d->draining || c->d->ended ? NK_ECLOSED : 0;
    while (rc == 0 && c->next_dest < dest->n) {
        rc = publish_one(c, &dest->v[c->next_dest], c->next_dest + 1 == dest->n);
        c->next_dest += rc == 0;
    }
    if (rc == NK_ELIMIT) {
        daemon_conn_state(c, CONN_HELD); /* until something is settled */
        return;
    }
    if (rc < 0) {
        c->failed++;
        c->failure = rc;
    }
    c->accepted++;
    daemon_send_clear(c);
    daemon_conn_idle(c);
}

void daemon_send_begin(struct daemon_conn *c, const uint8_t *p, size_t n)
{
    int rc = relay_daemon_get_send(p, n, &c->send);
    if (rc < 0) {
        daemon_conn_broken(c, rc, "SEND: malformed");
        return;
    }
    bool positive = c->send.form > ENDPOINT_AS_AUTO && c->send.form <= ENDPOINT_AS_PICKLE;
    for (size_t i = 0; i < c->send.dest.n; i++) {
        positive = positive && (!c->send.produce || c->send.dest.v[i].n > 0);
    }
    if (!positive || c->send.len > c->d->conf.client->max_object) {
        daemon_conn_broken(c, positive ? NK_ETOOBIG : NK_EPROTO,
                           positive ? "the object is larger than the daemon's --max-object"
                                    : "SEND: malformed");
        daemon_send_clear(c);
        return;
    }
    c->data = malloc(c->send.len ? (size_t)c->send.len : 1);
    if (!c->data) {
        daemon_send_clear(c);
        daemon_conn_no_memory(c);
        return;
    }
    daemon_conn_state(c, CONN_BODY);
}

/* Take what came with the frame; the rest is read to its place directly. */
void daemon_send_continue(struct daemon_conn *c)
{
    uint64_t left = c->send.len - c->have;
    size_t n = nk_buf_len(&c->in) < left ? nk_buf_len(&c->in) : (size_t)left;
    if (n > 0) {
        memcpy(c->data + c->have, nk_buf_ptr(&c->in), n);
        nk_buf_consume(&c->in, n);
        c->have += n;
    }
    if (c->have == c->send.len) {
        publish(c);
    }
}

static void check_flush(struct daemon_conn *c)
{
    struct nk_diag diag = {0};
    if (c->nsent > 0) {
        return;
    }
    if (c->failed > 0) {
        nk_fail(&diag, c->failure, "%llu objects were not taken by the relay: %s",
                (unsigned long long)c->failed, nk_strerror(c->failure));
        daemon_conn_error(c, c->failure, &diag);
    } else {
        daemon_conn_answer(c, 0, c->accepted, NULL);
    }
    c->accepted = c->failed = 0;
    c->failure = 0;
    daemon_conn_idle(c);
}

void daemon_send_flush(struct daemon_conn *c, const uint8_t *p, size_t n)
{
    if (n != 1 || p[0] > 1) {
        daemon_conn_broken(c, NK_EPROTO, "FLUSH: malformed");
        return;
    }
    if (p[0] == 0) {
        c->nsent = 0; /* nobody waits for these */
    }
    daemon_conn_state(c, CONN_FLUSH);
    check_flush(c);
}

/* Cut [first, last] out of what the connection waits for. */
static void settle_ranges(struct daemon_conn *c, const struct sent_range *done, int status)
{
    size_t kept = 0;
    for (size_t i = 0; i < c->nsent; i++) {
        struct sent_range r = c->sent[i];
        if (r.group == done->group && r.first <= done->last && r.last >= done->first) {
            uint64_t to = r.last < done->last ? r.last : done->last;
            uint64_t from = r.first > done->first ? r.first : done->first;
            if (status < 0) {
                c->failed += to - from + 1;
                c->failure = status;
            }
            r.first = to + 1; /* settled in ascending order */
        }
        if (r.first <= r.last) {
            c->sent[kept++] = r;
        }
    }
    c->nsent = kept;
}

void daemon_conn_settled(struct relay_daemon *d, uint32_t group, uint64_t first, uint64_t last,
                         int status)
{
    const struct sent_range done = {group, first, last};
    for (struct daemon_conn *c = d->conns; c; c = c->next) {
        if (!c->closed && c->nsent > 0) {
            settle_ranges(c, &done, status);
            if (c->state == CONN_FLUSH && c->nsent == 0) {
                check_flush(c);
                daemon_conn_advance(c);
            }
        }
    }
}

void daemon_conn_progress(struct relay_daemon *d)
{
    for (struct daemon_conn *c = d->conns; c; c = c->next) {
        if (!c->closed && c->state == CONN_HELD) {
            publish(c);
            daemon_conn_advance(c);
        }
    }
}
