/* SPDX-License-Identifier: MIT */
/*
 * Whole sessions of a relay over the memory engine: up to four connections that say what the input
 * says, in pieces of any size, break and come back. What the relay answers on the native wire must
 * be frames, and when everything has ended no memory may be left.
 *
 * Input: u8 wires (bit 0: both, else native alone), then steps: u8 what and which connection (low
 * two bits), u8 length, bytes.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/secret.h"
#include "relay/hub_testkit.h"
#include "relay/wire_native.h"

enum {
    CONNECTIONS = 4,
    STEPS = 64, /* of one input, so that one takes some milliseconds at most */
    TURNS = 3,
    IN = 1 << 20,
    MEMORY = 8 << 20
};

enum step { RAW, FRAME, GREET, HANG_UP, BREAK_AND_RESUME, BIG, STEP_KINDS };

struct peer {
    int fd; /* -1: not connected */
    uint8_t session[RELAY_NATIVE_ID];
    uint32_t group; /* the last one that was opened */
    uint64_t seq;
    uint8_t *in;
    size_t n;
};

struct world {
    struct relay_hub_testkit k;
    struct peer p[CONNECTIONS];
    bool native; /* the relay's frames are read */
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void need(bool ok)
{
    if (!ok) {
        abort();
    }
}

static void open_world(struct world *w, bool native)
{
    struct relay_hub_testkit_conf conf = {.wires = native ? RELAY_WIRES_NATIVE : RELAY_WIRES_AUTO,
                                          .limits = relay_hub_testkit_limits(),
                                          .clock_scale = 1,
                                          .max_groups = 8};
    conf.limits.max_memory = MEMORY;
    conf.limits.max_object = conf.limits.max_backlog = MEMORY / 8;
    conf.limits.max_connections = conf.limits.max_guests = 2 * (size_t)CONNECTIONS;
    memset(w, 0, sizeof(*w));
    w->native = native;
    need(relay_hub_testkit_open(&w->k, &conf) == 0);
    for (size_t i = 0; i < CONNECTIONS; i++) {
        w->p[i].fd = -1;
    }
}

/* --- the relay's answers ---------------------------------------------------------------------- */

static void note(struct peer *p, const struct relay_native_head *h, const uint8_t *payload)
{
    struct relay_native_welcome welcome;
    struct relay_native_opened opened;
    if (h->type == RELAY_N_WELCOME) {
        need(relay_native_get_welcome(payload, h->len, &welcome) == 0);
        memcpy(p->session, welcome.session, sizeof(p->session));
    } else if (h->type == RELAY_N_OPENED) {
        need(relay_native_get_opened(h, payload, &opened) == 0);
        p->group = opened.status == 0 ? opened.group : p->group;
    }
}

static void read_frames(struct peer *p)
{
    struct relay_native_head h;
    size_t at = 0;
    int rc;
    while ((rc = relay_native_head(p->in + at, p->n - at, RELAY_FROM_RELAY, RELAY_NATIVE_FRAGMENT,
                                   &h, NULL)) == 1 &&
           h.len <= p->n - at - RELAY_NATIVE_HEAD) {
        note(p, &h, p->in + at + RELAY_NATIVE_HEAD);
        at += RELAY_NATIVE_HEAD + h.len;
    }
    need(rc >= 0);
    memmove(p->in, p->in + at, p->n - at);
    p->n -= at;
}

static void hang_up(struct peer *p)
{
    if (p->fd >= 0) {
        close(p->fd);
    }
    p->fd = -1;
    p->n = 0;
}

static void turn(struct world *w)
{
    for (int k = 0; k < TURNS; k++) {
        nk_app_turn(w->k.app, 0);
    }
    for (size_t i = 0; i < CONNECTIONS; i++) {
        struct peer *p = &w->p[i];
        ssize_t n;
        while (p->fd >= 0 && p->n < IN && (n = recv(p->fd, p->in + p->n, IN - p->n, 0)) >= 0) {
            if (n == 0) {
                hang_up(p);
                break;
            }
            p->n += (size_t)n;
            if (w->native) {
                read_frames(p);
            } else {
                p->n = 0;
            }
        }
    }
}

/* --- steps ------------------------------------------------------------------------------------ */

static void say(struct world *w, struct peer *p, const uint8_t *data, size_t n)
{
    while (n > 0 && p->fd >= 0) {
        ssize_t put = send(p->fd, data, n, MSG_NOSIGNAL);
        if (put < 0) {
            hang_up(p); /* it has, or reads no more */
            return;
        }
        data += put;
        n -= (size_t)put;
    }
    turn(w);
}

static void dial(struct world *w, struct peer *p)
{
    hang_up(p);
    need(relay_hub_testkit_connect(&w->k, "unix", &p->fd) == 0);
    p->seq = 0;
    p->group = 0;
}

/* HELLO with the session that it had, and OPEN of a group: the uid logs in. */
static void greet(struct world *w, struct peer *p, const uint8_t *data, size_t n)
{
    uint8_t b[RELAY_NATIVE_HELLO_MAX + RELAY_NATIVE_OPEN_MAX];
    struct relay_native_hello hello = {
        .version_min = 1, .version_max = 1, .producer = 1 + (uint64_t)(p - w->p), .name = {"f", 1}};
    struct relay_native_open open = {.request = 1, .member = true, .name = {"g", 1}};
    memcpy(hello.session, p->session, sizeof(hello.session));
    if (n > 0 && data[0] & 1) {
        open.member = false;
    }
    size_t len = relay_native_put_hello(b, &hello);
    say(w, p, b, len);
    say(w, p, b, relay_native_put_open(b, &open));
}

/* A frame with a right head: type, flags, how group and seq are made, payload. */
static void frame(struct world *w, struct peer *p, const uint8_t *data, size_t n, size_t more)
{
    if (n < 3) {
        return;
    }
    uint8_t *b = calloc(1, RELAY_NATIVE_HEAD + n + more);
    need(b != NULL);
    struct relay_native_head h = {
        .type = data[0], .flags = data[1], .len = (uint32_t)(n - 3 + more)};
    h.group = data[2] & 1 ? p->group : data[2] >> 6;
    h.seq = data[2] & 2 ? ++p->seq : (data[2] & 4 ? p->seq : (data[2] >> 3 & 7));
    relay_native_put_head(b, &h);
    memcpy(b + RELAY_NATIVE_HEAD, data + 3, n - 3);
    say(w, p, b, RELAY_NATIVE_HEAD + h.len);
    free(b);
}

static void step(struct world *w, uint8_t what, const uint8_t *data, size_t n)
{
    struct peer *p = &w->p[what & (CONNECTIONS - 1)];
    enum step s = (enum step)((what >> 2) % STEP_KINDS);
    if (s == HANG_UP) {
        hang_up(p);
        turn(w);
        return;
    }
    if (s == BREAK_AND_RESUME || p->fd < 0) {
        dial(w, p);
    }
    switch (s) {
    case RAW:
        say(w, p, data, n);
        break;
    case FRAME:
        frame(w, p, data, n, 0);
        break;
    case BIG:
        frame(w, p, data, n, n > 2 ? (size_t)data[2] * 1024 : 0);
        break;
    default:
        greet(w, p, data, n);
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct world w;
    static uint8_t room[CONNECTIONS][IN];
    if (size == 0 || nk_crypto_init() < 0) {
        return 0;
    }
    open_world(&w, !(data[0] & 1));
    for (size_t i = 0; i < CONNECTIONS; i++) {
        w.p[i].in = room[i];
    }
    data++;
    size--;
    for (int i = 0; i < STEPS && size >= 2; i++) {
        size_t n = data[1] < size - 2 ? data[1] : size - 2;
        step(&w, data[0], data + 2, n);
        data += 2 + n;
        size -= 2 + n;
    }
    for (size_t i = 0; i < CONNECTIONS; i++) {
        hang_up(&w.p[i]);
    }
    turn(&w);
    need(relay_hub_testkit_close(&w.k));
    return 0;
}
