/* SPDX-License-Identifier: MIT */
/*
 * Every allocation under sessions of the native wire fails once, and from then on: connections may
 * end for it, but nothing leaks, and what got a receipt is handed out exactly once.
 */
#include "torture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "relay/hub_testkit.h"
#include "relay/wire_native.h"

#define WRONG 1

enum {
    ITEMS = 24, /* rings and lists grow */
    RUN = 3,
    TURNS = 4,
    IN = 1 << 20,
    MEMORY = 64 << 20,
    LONG = 20000 /* bytes of a fragment */
};

struct side {
    int fd; /* -1: not connected */
    bool lost;
    uint8_t *in;
    size_t n;
    uint8_t session[RELAY_NATIVE_ID];
    uint32_t group;
    uint64_t receipt, last, credit; /* last: number of the newest item */
    unsigned items, broadcasts, settled;
};

struct world {
    struct relay_hub_testkit k;
    struct side s[3];
    unsigned acked[ITEMS + 2], came[ITEMS + 2]; /* by number, which is 1 and up */
    bool failed[ITEMS + 2];
};

static int open_world(struct world *w)
{
    struct relay_hub_testkit_conf conf = {.wires = RELAY_WIRES_NATIVE,
                                          .limits = relay_hub_testkit_limits(),
                                          .clock_scale = 1,
                                          .max_groups = 8};
    conf.limits.max_memory = MEMORY;
    conf.limits.max_object = conf.limits.max_backlog = MEMORY / 8;
    conf.limits.max_connections = conf.limits.max_guests = 10;
    int rc = relay_hub_testkit_open(&w->k, &conf);
    for (size_t i = 0; i < 3; i++) {
        w->s[i].fd = -1;
        w->s[i].in = malloc(IN);
        rc = w->s[i].in ? rc : -ENOMEM;
    }
    return rc;
}

static void hang_up(struct side *s)
{
    if (s->fd >= 0) {
        close(s->fd);
    }
    s->fd = -1;
    s->n = 0;
}

static bool free_world(struct world *w)
{
    bool clean = relay_hub_testkit_close(&w->k);
    for (size_t i = 0; i < 3; i++) {
        hang_up(&w->s[i]);
        free(w->s[i].in);
    }
    return clean;
}

/* --- what the relay says ---------------------------------------------------------------------- */

static void note_receipt(struct world *w, struct side *s, const struct relay_native_head *h,
                         const uint8_t *p)
{
    int n = relay_native_get_receipt(h, p);
    for (int i = 0; i < n; i++) {
        uint64_t seq = relay_native_failure(p, (uint32_t)i).seq;
        w->failed[seq < ITEMS + 1 ? seq : ITEMS + 1] = true;
    }
    s->receipt = h->seq;
}

static void note(struct world *w, struct side *s, const struct relay_native_head *h,
                 const uint8_t *p)
{
    struct relay_native_welcome welcome;
    struct relay_native_opened opened;
    switch (h->type) {
    case RELAY_N_WELCOME:
        if (relay_native_get_welcome(p, h->len, &welcome) == 0) {
            memcpy(s->session, welcome.session, sizeof(s->session));
        }
        break;
    case RELAY_N_OPENED:
        if (relay_native_get_opened(h, p, &opened) == 0 && opened.status == 0) {
            s->group = opened.group;
        }
        break;
    case RELAY_N_RECEIPT:
        note_receipt(w, s, h, p);
        break;
    case RELAY_N_ITEM:
        s->items += !(h->flags & RELAY_N_MORE);
        s->last = h->seq;
        if (!(h->flags & RELAY_N_MORE) && s == &w->s[2]) { /* the object says its number */
            w->came[h->len && p[0] <= ITEMS ? p[0] : ITEMS + 1]++;
        }
        break;
    case RELAY_N_BROADCAST:
        s->broadcasts++;
        break;
    case RELAY_N_SETTLED:
        s->settled++;
        break;
    case RELAY_N_GOAWAY:
        s->lost = true;
        break;
    default:
        break;
    }
}

static void read_all(struct world *w, struct side *s)
{
    struct relay_native_head h;
    ssize_t n = 0;
    size_t at = 0;
    while (s->fd >= 0 && s->n < IN && (n = recv(s->fd, s->in + s->n, IN - s->n, 0)) > 0) {
        s->n += (size_t)n;
    }
    while (relay_native_head(s->in + at, s->n - at, RELAY_FROM_RELAY, RELAY_NATIVE_FRAGMENT, &h,
                             NULL) == 1 &&
           h.len <= s->n - at - RELAY_NATIVE_HEAD) {
        note(w, s, &h, s->in + at + RELAY_NATIVE_HEAD);
        at += RELAY_NATIVE_HEAD + h.len;
    }
    memmove(s->in, s->in + at, s->n - at);
    s->n -= at;
    if (s->fd >= 0 && n == 0) {
        s->lost = true;
        hang_up(s);
    }
}

static void turns(struct world *w)
{
    for (int i = 0; i < TURNS; i++) {
        nk_app_turn(w->k.app, 0);
        for (size_t k = 0; k < 3; k++) {
            read_all(w, &w->s[k]);
        }
    }
}

/* --- what the clients say --------------------------------------------------------------------- */

static void say(struct world *w, struct side *s, const uint8_t *p, size_t n)
{
    for (ssize_t put; s->fd >= 0 && n > 0; p += put, n -= (size_t)put) {
        put = send(s->fd, p, n, MSG_NOSIGNAL);
        if (put < 0) {
            s->lost = true;
            hang_up(s);
            return;
        }
    }
    turns(w);
}

static void frame(struct world *w, struct side *s, uint8_t type, uint8_t flags, uint64_t seq,
                  const void *p, size_t n)
{
    uint8_t b[RELAY_NATIVE_HEAD + LONG];
    const struct relay_native_head h = {
        .type = type, .flags = flags, .len = (uint32_t)n, .group = s->group, .seq = seq};
    relay_native_put_head(b, &h);
    memset(b + RELAY_NATIVE_HEAD, 0, n);
    if (p) {
        memcpy(b + RELAY_NATIVE_HEAD, p, n < LONG ? n : LONG);
    }
    say(w, s, b, RELAY_NATIVE_HEAD + n);
}

/* Connect, or come back to the session; open the group. */
static int dial(struct world *w, struct side *s, bool member)
{
    uint8_t b[RELAY_NATIVE_HELLO_MAX + RELAY_NATIVE_OPEN_MAX];
    struct relay_native_hello hello = {
        .version_min = 1, .version_max = 1, .producer = 7, .name = {"t", 1}};
    struct relay_native_open open = {.request = 1, .member = member, .name = {"g", 1}};
    hang_up(s);
    int rc = relay_hub_testkit_connect(&w->k, "unix", &s->fd);
    if (rc < 0) {
        s->lost = true;
        return rc;
    }
    s->group = 0;
    s->items = 0;
    memcpy(hello.session, s->session, sizeof(hello.session));
    say(w, s, b, relay_native_put_hello(b, &hello));
    say(w, s, b, relay_native_put_open(b, &open));
    s->lost = s->lost || s->group == 0;
    return 0;
}

static void credit(struct world *w, struct side *s, uint64_t items)
{
    uint8_t b[RELAY_NATIVE_U64_MAX];
    say(w, s, b, relay_native_put_u64(b, RELAY_N_CREDIT, s->group, items, 0));
}

static void settle(struct world *w, struct side *s, enum relay_native_type type, uint64_t seq)
{
    uint8_t b[RELAY_NATIVE_RANGES_MAX(1)];
    const struct relay_native_range r = {seq, 1};
    say(w, s, b, relay_native_put_ranges(b, type, true, s->group, 1, 0, &r, 1));
}

static void produce_all(struct world *w, struct side *s)
{
    uint8_t run[RUN * (RELAY_NATIVE_HEAD + 1)], object[LONG] = {0};
    size_t n = 0;
    for (uint64_t i = 1; i <= ITEMS - 1; i++) {
        object[0] = (uint8_t)i;
        frame(w, s, RELAY_N_ITEM, 0, i, object, i % 2 ? 10 : 2000);
    }
    for (uint64_t i = 0; i < RUN; i++) {
        const struct relay_native_head h = {
            .type = RELAY_N_BROADCAST, .len = 1, .group = s->group, .seq = ITEMS + i};
        relay_native_put_head(run + n, &h);
        run[n + RELAY_NATIVE_HEAD] = 'b';
        n += RELAY_NATIVE_HEAD + 1;
    }
    say(w, s, run, n);
    object[0] = ITEMS; /* each fragment says it, so that the last one does */
    frame(w, s, RELAY_N_ITEM, RELAY_N_MORE, ITEMS + RUN, object, LONG);
    frame(w, s, RELAY_N_ITEM, RELAY_N_MORE, ITEMS + RUN, object, LONG);
    frame(w, s, RELAY_N_ITEM, 0, ITEMS + RUN, object, 9);
}

/* One works: acknowledges, gives back, breaks off and comes again, leaves. */
static int consume_some(struct world *w, struct side *s)
{
    uint8_t b[RELAY_NATIVE_ECHO_MAX];
    credit(w, s, 3);
    settle(w, s, RELAY_N_NACK, s->last);
    settle(w, s, RELAY_N_EXTEND, s->last);
    int rc = dial(w, s, true);
    settle(w, s, RELAY_N_EXTEND, 1); /* a claim; the rest goes back */
    credit(w, s, 2);
    frame(w, s, RELAY_N_DRAIN, 0, 2, NULL, 0);
    say(w, s, b, relay_native_put_echo(b, RELAY_N_PING, "echo", 4));
    s->lost = s->lost || s->settled < 3;
    return rc;
}

/* With memory again: each item that has a receipt is there, once; the others at most once. */
static bool recover(struct world *w, const struct side *producer)
{
    struct side *s = &w->s[2];
    for (size_t i = 0; i < 2; i++) { /* GOAWAY ends sessions at once */
        if (dial(w, &w->s[i], true) < 0) {
            return false;
        }
        uint8_t b[RELAY_NATIVE_GOAWAY_MAX];
        say(w, &w->s[i], b, relay_native_put_goaway(b, RELAY_GOAWAY_DONE, ""));
    }
    if (dial(w, s, true) < 0) {
        return false;
    }
    frame(w, s, RELAY_N_DRAIN, 0, 0, NULL, 0);
    turns(w);
    for (uint64_t i = 1; i <= ITEMS; i++) {
        uint64_t seq = i == ITEMS ? ITEMS + RUN : i;
        bool failed = w->failed[seq < ITEMS + 1 ? seq : ITEMS + 1];
        if (w->came[i] > 1 || (seq <= producer->receipt && !failed && w->came[i] != 1) ||
            (failed && i != ITEMS && w->came[i] != 0)) {
            return false;
        }
    }
    return w->came[ITEMS + 1] == 0;
}

static int session_once(void *arg)
{
    (void)arg;
    struct world *w;
    nk_torture_pause();
    w = calloc(1, sizeof(*w));
    if (!w || open_world(w) < 0) {
        return WRONG;
    }
    nk_torture_resume();
    int rc = dial(w, &w->s[0], true);
    int rc2 = dial(w, &w->s[1], true);
    produce_all(w, &w->s[0]);
    int rc3 = consume_some(w, &w->s[1]);
    nk_torture_pause();
    bool lost = w->s[0].lost || w->s[1].lost || w->s[0].receipt != ITEMS + RUN;
    rc = rc < 0 ? rc : rc2 < 0 ? rc2 : rc3;
    rc = rc == 0 && lost ? -ENOMEM : rc;
    if (!recover(w, &w->s[0])) {
        rc = WRONG;
    }
    if (!free_world(w)) {
        rc = WRONG;
    }
    free(w);
    nk_torture_resume();
    return rc;
}

static void sessions(void **state)
{
    (void)state;
    assert_true(nk_torture(session_once, NULL) > ITEMS);
}

int nk_test_relay_torture_native(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(sessions)};
    return cmocka_run_group_tests_name("relay/torture_native", tests, NULL, NULL);
}
