/* SPDX-License-Identifier: MIT */
/* Every allocation of the relay's pure parts fails once, and from then on: nothing leaks, and what
 * was accepted is delivered exactly once all the same. */
#include "torture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/json.h"
#include "relay/client_out.h"
#include "relay/client_spool.h"
#include "relay/guard.h"
#include "relay/out.h"
#include "relay/pickle_value.h"
#include "relay/queue.h"
#include "relay/wire_client.h"
#include "relay/wire_pickle.h"

#define WRONG 1
#define OBJECTS 40 /* enough for rings and tables to grow */

/* --- the queue core ------------------------------------------------------------------------- */

struct world {
    struct relay_queue *q;
    struct relay_groups *gs;
    struct relay_group *g;
    struct relay_member m[2];
    struct relay_member *holder; /* of the leases below */
    unsigned delivered[OBJECTS]; /* how often each number came as an item and was settled */
    uint64_t lease[OBJECTS * 2];
    unsigned number[OBJECTS * 2];
    size_t nleases;
    unsigned broadcasts;
    bool accepted[OBJECTS];
    struct relay_memory memory;
};

static void on_deliver(void *owner, struct relay_group *g, struct relay_object *o,
                       enum relay_delivery kind, const struct relay_mark *mark)
{
    struct world *w = owner;
    (void)g;
    if (kind != RELAY_ITEM) {
        w->broadcasts++;
        return;
    }
    unsigned number;
    memcpy(&number, o->bytes, sizeof(number));
    w->lease[w->nleases] = mark->seq;
    w->number[w->nleases++] = number;
}

static void on_done(void *owner, uint64_t token, int status)
{
    (void)owner, (void)token, (void)status;
}

static const struct relay_member_ops member_ops = {.deliver = on_deliver, .done = on_done};

static int produce(struct world *w, unsigned number)
{
    struct relay_object *o = relay_object_copy(&w->memory, &number, sizeof(number));
    if (!o) {
        return -ENOMEM;
    }
    int rc = relay_queue_enqueue(w->q, w->g, o, &(struct relay_put){.copies = 1});
    relay_queue_dispatch(w->q, w->g);
    relay_object_unref(o);
    w->accepted[number] = rc == 0;
    return rc;
}

static int broadcast(struct world *w)
{
    struct relay_object *o = relay_object_copy(&w->memory, "x", 1);
    int rc = o ? relay_queue_retain(w->q, w->g, o, NULL) : -ENOMEM;
    if (rc == 0) {
        relay_queue_publish(w->q, w->g, o);
    }
    relay_object_unref(o);
    return rc;
}

/* Acknowledge what was delivered; a lease that cannot be settled now stays for later. */
static int settle(struct world *w)
{
    int rc = 0;
    size_t kept = 0;
    for (size_t i = 0; i < w->nleases; i++) {
        int r = relay_queue_settle(w->q, w->holder, w->g, w->lease[i], 1, RELAY_ACK, 0);
        if (r == 0) {
            w->delivered[w->number[i]]++;
            continue;
        }
        w->lease[kept] = w->lease[i];
        w->number[kept++] = w->number[i];
        rc = r;
    }
    w->nleases = kept;
    return rc;
}

static int open_world(struct world *w)
{
    const struct relay_groups_conf conf = {.max_groups = 10};
    w->q = relay_queue_new();
    w->gs = relay_groups_new(&conf);
    for (int i = 0; i < 2; i++) {
        w->m[i].ops = &member_ops;
        w->m[i].owner = w;
    }
    return w->q && w->gs ? relay_groups_get(w->gs, "g", 1, &w->g) : -ENOMEM;
}

/* Produce, take, hand back what a leaving member held, take again. */
static int traffic(struct world *w)
{
    int first = 0;
    for (unsigned i = 0; i < OBJECTS; i++) {
        int rc = produce(w, i);
        first = first ? first : rc;
    }
    struct relay_watch watch = {.group = w->g};
    int rc = relay_queue_join(w->q, &w->m[0], &watch, 1);
    first = first ? first : rc;
    rc = broadcast(w);
    first = first ? first : rc;
    relay_queue_demand(w->q, &w->m[0], w->g, OBJECTS / 2, 0);
    relay_queue_leave(w->q, &w->m[0]); /* its leases go back */
    w->nleases = 0;
    return first;
}

/* With memory again: everything that was accepted comes, once. */
static bool recover(struct world *w)
{
    struct relay_watch watch = {.group = w->g};
    bool joined = relay_queue_join(w->q, &w->m[1], &watch, 1) == 0;
    w->holder = &w->m[1];
    relay_queue_demand(w->q, &w->m[1], w->g, OBJECTS, 0);
    bool ok = joined && settle(w) == 0;
    relay_queue_leave(w->q, &w->m[1]);
    for (unsigned i = 0; i < OBJECTS; i++) {
        ok = ok && w->delivered[i] == (w->accepted[i] ? 1 : 0);
    }
    return ok;
}

static int queue_once(void *arg)
{
    (void)arg;
    struct world w = {0};
    int rc = open_world(&w);
    if (rc == 0) {
        rc = traffic(&w);
        nk_torture_pause();
        if (!recover(&w)) {
            rc = WRONG;
        }
        nk_torture_resume();
    }
    relay_queue_free(w.q);
    relay_group_unref(w.g);
    relay_groups_free(w.gs);
    relay_memory_trim(&w.memory);
    return w.memory.used == 0 ? rc : WRONG;
}

static void queue(void **state)
{
    (void)state;
    assert_true(nk_torture(queue_once, NULL) > OBJECTS);
}

/* --- the same with tags, producers, drains and dead letters ------------------------------------
 */

struct late {
    struct relay_queue *q;
    struct relay_groups *gs;
    struct relay_group *g, *dead;
    struct relay_member *m[2];
    struct relay_memory memory;
    uint64_t last;             /* number of the last item that came */
    unsigned items, told, ask; /* told: drains that ended, of those that were taken on */
};

static void late_deliver(void *owner, struct relay_group *g, struct relay_object *o,
                         enum relay_delivery kind, const struct relay_mark *mark)
{
    struct late *l = owner;
    (void)g, (void)o, (void)kind;
    l->last = mark->seq;
    l->items++;
}

static void late_done(void *owner, uint64_t token, int status)
{
    struct late *l = owner;
    (void)token, (void)status;
    l->told++;
}

static const struct relay_member_ops late_ops = {.deliver = late_deliver, .done = late_done};

static int late_member(struct late *l, int i)
{
    static const uint8_t tag[RELAY_TAG] = "tag";
    struct relay_watch watch = {.group = l->g};
    l->m[i] = calloc(1, sizeof(*l->m[i]));
    if (!l->m[i]) {
        return -ENOMEM;
    }
    l->m[i]->ops = &late_ops;
    l->m[i]->owner = l;
    int rc = relay_queue_resume(l->q, l->m[i], tag, 50);
    return rc < 0 ? rc : relay_queue_join(l->q, l->m[i], &watch, 1);
}

static void late_leave(struct late *l, int i)
{
    if (l->m[i] && !relay_queue_leave(l->q, l->m[i])) {
        free(l->m[i]);
    }
    l->m[i] = NULL;
}

static int late_produce(struct late *l, uint64_t number)
{
    const struct relay_put put = {
        .copies = 1, .producer = 1 + number % 3, .producer_seq = number, .expires_ms = 5000};
    struct relay_object *o = relay_object_copy(&l->memory, "x", 1);
    if (!o) {
        return -ENOMEM;
    }
    int rc = relay_queue_enqueue(l->q, l->g, o, &put);
    int again = rc == 0 ? relay_queue_enqueue(l->q, l->g, o, &put) : 1;
    relay_queue_dispatch(l->q, l->g);
    relay_object_unref(o);
    return again == 1 ? rc : WRONG; /* what was taken is known, what was not is not */
}

static int late_traffic(struct late *l)
{
    int first = late_member(l, 0);
    for (uint64_t i = 1; i <= 10; i++) {
        int rc = late_produce(l, i);
        first = first ? first : rc;
    }
    if (first < 0) {
        return first;
    }
    int rc = relay_queue_demand(l->q, l->m[0], l->g, RELAY_DRAIN_ALL, 7);
    l->ask += rc == RELAY_QUEUE_LATER;
    first = first || rc == RELAY_QUEUE_LATER ? first : rc;
    for (int i = 0; i < 3; i++) { /* the first goes back, then dies */
        relay_queue_settle(l->q, l->m[0], l->g, 1, 1, i ? RELAY_DEAD : RELAY_NACK, 0);
        relay_queue_demand(l->q, l->m[0], l->g, 1, 0);
    }
    late_leave(l, 0);
    rc = late_member(l, 1);
    first = first ? first : rc;
    relay_queue_tick(l->q, 100, 6000); /* leases, graces, lives */
    return first;
}

static int late_once(void *arg)
{
    (void)arg;
    struct late l = {0};
    const struct relay_groups_conf conf = {.max_groups = 10};
    const struct relay_group_settings set = {.max_count = RELAY_UNLIMITED,
                                             .max_consumables = RELAY_UNLIMITED,
                                             .lease_ms = 30,
                                             .dead_letter = "dead"};
    l.q = relay_queue_new();
    l.gs = relay_groups_new(&conf);
    int rc = l.q && l.gs ? relay_groups_configure(l.gs, "g", 1, &set) : -ENOMEM;
    if (rc == 0) {
        l.g = relay_groups_find(l.gs, "g", 1);
        relay_queue_tick(l.q, 1, 1);
        rc = late_traffic(&l);
        late_leave(&l, 0);
        late_leave(&l, 1);
        rc = l.told <= l.ask ? rc : WRONG;
    }
    relay_queue_free(l.q);
    relay_groups_free(l.gs);
    relay_memory_trim(&l.memory);
    return l.memory.used == 0 ? rc : WRONG;
}

static void queue_late(void **state)
{
    (void)state;
    assert_true(nk_torture(late_once, NULL) > 20);
}

/* --- pickles and frames --------------------------------------------------------------------- */

static const uint8_t hello[] = "\x80\x04(K\x01\x8c\x05HELLO\x94N\x8c\x01"
                               "A\x94\x85\x94t\x94.";

static int envelope_once(void *arg)
{
    (void)arg;
    struct relay_envelope e;
    const char *why;
    struct relay_pickle *k = relay_pickle_new();
    if (!k) {
        return -ENOMEM;
    }
    int rc = relay_envelope_parse(k, hello, sizeof(hello) - 1, &e, &why);
    if (rc == 0 && (e.cmd != RELAY_CMD_HELLO || e.ndest != 1)) {
        rc = WRONG;
    }
    relay_pickle_free(k);
    return rc;
}

static void envelopes(void **state)
{
    (void)state;
    nk_torture(envelope_once, NULL);
}

/* [[], [], ...] as JSON. */
static int value_once(void *arg)
{
    (void)arg;
    uint8_t pickle[2 + 2 + 400 + 2];
    size_t n = 0;
    pickle[n++] = 0x80;
    pickle[n++] = 2;
    pickle[n++] = ']';
    pickle[n++] = '(';
    for (int i = 0; i < 400; i++) {
        pickle[n++] = ']';
    }
    pickle[n++] = 'e';
    pickle[n++] = '.';
    struct relay_value_doc doc = {0};
    struct nk_buf out;
    struct nk_json j;
    nk_buf_init(&out, 10000);
    nk_json_init(&j, &out, false);
    int rc = relay_value_decode(&doc, pickle, n);
    rc = rc < 0 ? rc : relay_value_to_json(&doc, relay_value_root(&doc), &j);
    rc = rc < 0 ? rc : nk_json_end(&j);
    if (rc == 0 && nk_buf_len(&out) != 400 * 3 + 1) {
        rc = WRONG;
    }
    nk_buf_clear(&out);
    relay_value_doc_clear(&doc);
    return rc;
}

static void values(void **state)
{
    (void)state;
    assert_true(nk_torture(value_once, NULL) >= 3);
}

/* One small and one large object through the spool and the frames of tlspyo's wire. */
static int send_one(struct client_spool *spool, struct client_line *l, struct relay_client_out *o,
                    const struct relay_wire_format *f, size_t size)
{
    static const uint8_t bytes[CLIENT_SMALL + 1];
    const struct relay_client_publish p = {.wrap = RELAY_WRAP_BYTES, .ttl_ms = 1};
    struct iovec iov[RELAY_CLIENT_IOV];
    struct client_item it;
    int rc = client_spool_put(spool, l, &p, bytes, size, false, NULL);
    if (rc < 0) {
        return rc;
    }
    client_spool_peek(l, &it);
    const struct relay_client_item item = {.dest = {.group = "g", .n = -1},
                                           .head = it.head,
                                           .head_len = it.head_len,
                                           .data_len = it.data_len,
                                           .dot = it.dot};
    int64_t stamp = relay_client_out_object(o, f, &item, client_spool_take(spool, l));
    while (stamp > 0 && !relay_client_out_empty(o)) {
        size_t sent = 0;
        int n = relay_client_out_iov(o, iov);
        for (int i = 0; i < n; i++) {
            sent += iov[i].iov_len;
        }
        relay_client_out_sent(o, sent);
    }
    return stamp < 0 ? (int)stamp : 0;
}

static int client_once(void *arg)
{
    const struct relay_wire_format f = {.header_size = 10, .password = arg};
    const char *const groups[] = {"g", "h"};
    struct relay_client_out o;
    struct client_spool spool;
    struct client_line line;
    client_spool_init(&spool);
    client_line_init(&line, 0);
    relay_client_out_init(&o);
    int rc = relay_wire_put_hello(relay_client_out_frames(&o), &f, relay_client_out_stamp(&o),
                                  groups, 2);
    for (int i = 0; i < 3 && rc == 0; i++) {
        rc = send_one(&spool, &line, &o, &f, i == 1 ? CLIENT_SMALL + 1 : 3000);
    }
    client_line_clear(&spool, &line);
    client_spool_clear(&spool);
    relay_client_out_clear(&o);
    return rc;
}

static void client(void **state)
{
    (void)state;
    struct nk_secret password = {0};
    assert_int_equal(nk_secret_set(&password, "pw", 2), 0);
    assert_true(nk_torture(client_once, &password) >= 3);
    nk_secret_clear(&password);
}

/* --- output and guests ---------------------------------------------------------------------- */

static int fill_out(struct relay_out *o, struct relay_memory *memory)
{
    int rc = 0;
    for (int i = 0; i < 50 && rc == 0; i++) {
        struct relay_object *obj = relay_object_copy(memory, "payload", 7);
        uint8_t *p = obj ? relay_out_reserve(o, 100) : NULL;
        if (!p) {
            relay_object_unref(obj);
            return -ENOMEM;
        }
        memset(p, 'h', 100);
        relay_out_commit(o, 100);
        size_t before = o->bytes;
        rc = relay_out_object(o, obj);
        if (rc < 0 && o->bytes != before) {
            rc = WRONG;
        }
        relay_object_unref(obj);
    }
    return rc;
}

static int out_once(void *arg)
{
    (void)arg;
    struct relay_out_pool pool = {.max = 2};
    struct relay_out o;
    struct relay_memory memory = {0};
    relay_out_init(&o, &pool);
    int rc = fill_out(&o, &memory);
    if (rc == 0 && o.bytes != 50 * 107) {
        rc = WRONG;
    }
    relay_out_consume(&o, o.bytes / 2);
    relay_out_clear(&o);
    relay_out_pool_clear(&pool);
    relay_memory_trim(&memory);
    return memory.used == 0 ? rc : WRONG;
}

static void output(void **state)
{
    (void)state;
    assert_true(nk_torture(out_once, NULL) > 50);
}

static void drop_guest(void *owner)
{
    struct relay_guest *g = owner;
    g->drop = NULL; /* seen */
}

static int guard_once(void *arg)
{
    (void)arg;
    struct relay_guest guest[40];
    char peer[32];
    struct relay_guard *g = relay_guard_new(2);
    if (!g) {
        return -ENOMEM;
    }
    int rc = 0;
    memset(guest, 0, sizeof(guest));
    for (int i = 0; i < 40; i++) {
        guest[i].drop = drop_guest;
        guest[i].owner = &guest[i];
        snprintf(peer, sizeof(peer), "10.0.0.%d:99", i / 2);
        int r = relay_guard_enter(g, &guest[i], peer);
        rc = rc ? rc : r;
    }
    for (int i = 0; i < 40; i++) {
        relay_guard_leave(g, &guest[i]);
    }
    relay_guard_free(g);
    return rc;
}

static void guests(void **state)
{
    (void)state;
    assert_true(nk_torture(guard_once, NULL) > 10);
}

int nk_test_relay_torture(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(queue),  cmocka_unit_test(queue_late), cmocka_unit_test(envelopes),
        cmocka_unit_test(values), cmocka_unit_test(client),     cmocka_unit_test(output),
        cmocka_unit_test(guests),
    };
    return cmocka_run_group_tests_name("relay/torture", tests, NULL, NULL);
}
