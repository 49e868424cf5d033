/* SPDX-License-Identifier: MIT */
/*
 * durable_load nk|nats|resp PORT PID SIZE PRODUCERS WINDOW SECONDS [PASSWORD-FILE]
 *
 * Objects that are stored for good: ITEM frames into a group of netkit's, messages into a JetStream
 * stream, RPUSH into a list of redis's. Of each producer, a connection of its own, WINDOW objects
 * are under way, not acknowledged yet. Prints acknowledged objects per second, and the broker's CPU
 * in us for each. Connections and logins are those of broker_load (broker/).
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/broker.h"
#include "relay/queue.h"
#include "relay/wire_native.h"

enum { TEXT = 512, HEAD_MAX = 128, WARM_PART = 4 };

static const char stream[] = "{\"name\":\"D\",\"subjects\":[\"bench.d\"],\"storage\":\"file\","
                             "\"retention\":\"workqueue\",\"num_replicas\":1}";

/* --- what was acknowledged -------------------------------------------------------------------- */

static const uint8_t *end_of_line(const uint8_t *p, size_t n)
{
    const uint8_t *e = memchr(p, '\n', n);
    return e ? e + 1 : NULL;
}

/* Each of these: the length of what stands at the start of n bytes, 0 when it is not whole. */
static size_t nk_one(struct conn *c, const uint8_t *p, size_t n)
{
    if (n < RELAY_NATIVE_HEAD) {
        return 0;
    }
    size_t len = RELAY_NATIVE_HEAD + (relay_native_get_u32(p) >> 8);
    if (n < len) {
        return 0;
    }
    if (p[0] == RELAY_N_RECEIPT) {
        if (len > RELAY_NATIVE_HEAD) {
            die("an object was not stored");
        }
        c->got = relay_native_get_u64(p + 8) & RELAY_SEQ_MAX;
    } else if (p[0] == RELAY_N_WINDOW) {
        c->window = relay_native_get_u64(p + RELAY_NATIVE_HEAD);
    } else if (p[0] == RELAY_N_GOAWAY) {
        die("the relay says goodbye");
    }
    return len;
}

static size_t nats_one(struct conn *c, const uint8_t *p, size_t n)
{
    const uint8_t *body = end_of_line(p, n);
    if (!body || p[0] != 'M') {
        return body ? (size_t)(body - p) : 0;
    }
    const char *q = (const char *)body - 2;
    while (q[-1] != ' ') {
        q--;
    }
    size_t size = strtoul(q, NULL, 10), len = (size_t)(body - p) + size + 2;
    if (len > n) {
        return 0;
    }
    if (memmem(body, size, "\"error\"", 7)) {
        fprintf(stderr, "durable_load: %.*s\n", (int)size, (const char *)body);
        exit(1);
    }
    c->got++;
    return len;
}

static size_t resp_one(struct conn *c, const uint8_t *p, size_t n)
{
    const uint8_t *next = end_of_line(p, n);
    if (next && p[0] != ':') {
        die("redis refuses");
    }
    c->got += next != NULL;
    return next ? (size_t)(next - p) : 0;
}

static void take(const struct load *o, struct conn *c)
{
    size_t at = 0;
    while (at < c->len) {
        const uint8_t *p = c->in + at;
        size_t n = c->len - at;
        size_t len = o->proto == NK     ? nk_one(c, p, n)
                     : o->proto == NATS ? nats_one(c, p, n)
                                        : resp_one(c, p, n);
        if (len == 0) {
            break;
        }
        at += len;
    }
    eat(c, at);
}

/* --- producing -------------------------------------------------------------------------------- */

/* One connection. */
struct producer {
    struct conn *c;
    uint8_t *batch;
    size_t len, off;
    uint64_t sent, published; /* published: bytes, as the relay's window counts */
};

static size_t message(const struct load *o, const struct producer *w, uint8_t *p)
{
    size_t n;
    if (o->proto == NK) {
        struct relay_native_head h = {
            .type = RELAY_N_ITEM, .len = (uint32_t)o->size, .group = o->group, .seq = w->sent + 1};
        relay_native_put_head(p, &h);
        memset(p + RELAY_NATIVE_HEAD, 'x', o->size);
        return RELAY_NATIVE_HEAD + o->size;
    }
    if (o->proto == NATS) {
        n = (size_t)sprintf((char *)p, "PUB bench.d _INBOX.%d %zu\r\n", w->c->fd, o->size);
    } else {
        n = (size_t)sprintf((char *)p, "*3\r\n$5\r\nRPUSH\r\n$7\r\nbench.d\r\n$%zu\r\n", o->size);
    }
    memset(p + n, 'x', o->size);
    memcpy(p + n + o->size, "\r\n", 2);
    return n + o->size + 2;
}

/* As many objects as may be under way, and fit the batch. */
static void fill(const struct load *o, struct producer *w)
{
    size_t each = o->size + RELAY_NATIVE_HEAD;
    w->off = w->len = 0;
    while (w->sent - w->c->got < o->ahead && w->len + o->size + HEAD_MAX <= BATCH) {
        if (o->proto == NK && w->published + each > w->c->window) {
            break;
        }
        w->len += message(o, w, w->batch + w->len);
        w->published += each;
        w->sent++;
    }
}

static void make_stream(struct conn *c)
{
    char b[TEXT];
    snprintf(b, sizeof(b), "SUB _INBOX.s 1\r\nPUB $JS.API.STREAM.CREATE.D _INBOX.s %zu\r\n%s\r\n",
             strlen(stream), stream);
    put(c, b, strlen(b));
    until(c, "\"name\":\"D\"");
    until(c, "\r\n");
    put(c, "UNSUB 1\r\n", strlen("UNSUB 1\r\n"));
}

static void open_one(struct load *o, struct producer *w, bool first)
{
    char b[TEXT];
    w->c = dial(o, 0);
    w->batch = malloc(BATCH + HEAD_MAX);
    if (o->proto == NK) {
        nk_open(o, w->c, "bench.d", false);
    } else if (o->proto == NATS) {
        if (first) {
            make_stream(w->c);
        }
        snprintf(b, sizeof(b), "SUB _INBOX.%d 2\r\nPING\r\n", w->c->fd);
        put(w->c, b, strlen(b));
        until(w->c, "PONG\r\n");
    }
}

/* Write until the window is used up or the socket is full: whoever writes one batch for each answer
 * has one batch under way, whatever his window is. */
static void send_all(const struct load *o, struct producer *w)
{
    for (;;) {
        if (w->off == w->len) {
            fill(o, w);
        }
        if (w->off == w->len) {
            return;
        }
        ssize_t k = wr(w->c, w->batch + w->off, w->len - w->off);
        if (k < 0 && errno != EAGAIN) {
            die("produce");
        }
        w->off += k > 0 ? (size_t)k : 0;
        if (w->off < w->len) {
            return;
        }
    }
}

static void turn(const struct load *o, struct producer *w, struct pollfd *p)
{
    while (more(w->c)) {
        take(o, w->c);
    }
    send_all(o, w); /* what the last answer made room for must not wait for the next one */
    *p = (struct pollfd){.fd = w->c->fd, .events = w->off < w->len ? POLLIN | POLLOUT : POLLIN};
}

static uint64_t acknowledged(const struct load *o, const struct producer *w)
{
    uint64_t sum = 0;
    for (int i = 0; i < o->n; i++) {
        sum += w[i].c->got;
    }
    return sum;
}

static void produce(struct load *o)
{
    struct producer *w = calloc((size_t)o->n, sizeof(*w));
    struct pollfd *p = calloc((size_t)o->n, sizeof(*p));
    for (int i = 0; i < o->n; i++) {
        open_one(o, &w[i], i == 0);
    }
    double start = now(), end = start + o->seconds, from = 0, cpu = 0;
    uint64_t first = 0;
    for (double t = start; t < end; t = now()) {
        if (from == 0 && t >= start + o->seconds / WARM_PART) {
            from = t;
            cpu = cpu_of(o->pid);
            first = acknowledged(o, w);
        }
        for (int i = 0; i < o->n; i++) {
            turn(o, &w[i], &p[i]);
        }
        poll(p, (nfds_t)o->n, 100);
    }
    double took = now() - from, total = (double)(acknowledged(o, w) - first);
    cpu = cpu_of(o->pid) - cpu;
    printf("%.0f %.2f\n", total / took, total > 0 ? cpu * 1e6 / total : 0);
}

static void read_password(struct load *o, const char *path)
{
    char text[TEXT] = "";
    FILE *f = fopen(path, "r");
    if (!f || !fgets(text, sizeof(text), f)) {
        die(path);
    }
    fclose(f);
    text[strcspn(text, "\n")] = 0;
    if (nk_secret_set(&o->password, text, strlen(text)) < 0) {
        die("password");
    }
}

int main(int argc, char **argv)
{
    static const char *const names[] = {"nk", "nats", "resp"};
    struct load o = {0};
    int proto = -1;
    for (int i = 0; argc >= 8 && i < 3; i++) {
        proto = strcmp(argv[1], names[i]) == 0 ? i : proto;
    }
    if (proto < 0 || sodium_init() < 0) {
        fprintf(stderr, "usage: durable_load nk|nats|resp PORT PID SIZE PRODUCERS WINDOW "
                        "SECONDS [PASSWORD-FILE]\n");
        return 2;
    }
    o.proto = (enum proto)proto;
    o.port = atoi(argv[2]);
    o.pid = atoi(argv[3]);
    o.size = strtoul(argv[4], NULL, 10);
    o.n = atoi(argv[5]);
    o.ahead = strtoul(argv[6], NULL, 10);
    o.seconds = strtod(argv[7], NULL);
    if (argc > 8) {
        read_password(&o, argv[8]);
    }
    produce(&o);
    return 0;
}
