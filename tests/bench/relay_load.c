/* SPDX-License-Identifier: MIT */
/*
 * relay_load - load for a relay on tlspyo's wire: one sender and one receiver in one process, as
 * tlspyo's Endpoints behave on the wire (an ACK for every frame), without their cost.
 *
 *     relay_load PORT PASSWORD HEADER_SIZE MODE SIZE WINDOW SECONDS PIDS [tls]
 *
 * MODE: broadcast   to the receiver's group
 *       produce     into its queue; the receiver has standing credit
 *       notify      one object is queued, then notify: time until it is there
 * WINDOW: objects under way at one time. PIDS: the relay's processes, separated by commas.
 * Prints: messages per second, CPU of the relay in microseconds per message, p50 and p99 of the
 * time from sending to receiving in microseconds, resident memory of the relay in KiB.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <openssl/ssl.h>

#include "relay_cost.h"

#define GROUP "g"
enum { SAMPLES = 1 << 20 };

struct conn {
    int fd;
    SSL *ssl;
    uint8_t *in;
    size_t have, cap;
    uint8_t *out;
    size_t queued, sent, out_cap;
    uint32_t stamp, acked;
};

static const char *password;
static unsigned header_size;
static SSL_CTX *tls;

/* --- the relay's cost ------------------------------------------------------------------------- */

/* Nanoseconds on a processor, of all processes in the list. */
static double all_cpu_ns(const char *pids)
{
    double sum = 0;
    for (const char *p = pids; *p; p += strspn(p, ",")) {
        sum += cpu_ns(atoi(p));
        p += strcspn(p, ",");
    }
    return sum;
}

static long rss_kb(const char *pids)
{
    long sum = 0;
    for (const char *p = pids; *p; p += strspn(p, ",")) {
        char path[64], line[256];
        long kb = 0;
        snprintf(path, sizeof(path), "/proc/%d/status", atoi(p));
        FILE *f = fopen(path, "r");
        while (f && fgets(line, sizeof(line), f)) {
            if (sscanf(line, "VmRSS: %ld", &kb) == 1) {
                sum += kb;
            }
        }
        if (f) {
            fclose(f);
        }
        p += strcspn(p, ",");
    }
    return sum;
}

/* --- bytes ------------------------------------------------------------------------------------ */

static void put(struct conn *c, const void *p, size_t n)
{
    if (c->sent == c->queued) {
        c->sent = c->queued = 0;
    }
    if (c->queued + n > c->out_cap) {
        c->out_cap = (c->queued + n) * 2;
        c->out = realloc(c->out, c->out_cap);
    }
    memcpy(c->out + c->queued, p, n);
    c->queued += n;
}

static void flush(struct conn *c)
{
    while (c->sent < c->queued) {
        size_t n = c->queued - c->sent;
        ssize_t w = c->ssl ? SSL_write(c->ssl, c->out + c->sent, (int)(n < 1 << 30 ? n : 1 << 30))
                           : send(c->fd, c->out + c->sent, n, MSG_NOSIGNAL);
        if (w <= 0) {
            if (!c->ssl && errno != EAGAIN) {
                die("send");
            }
            return;
        }
        c->sent += (size_t)w;
    }
}

/* Everything that is there. */
static void fill(struct conn *c)
{
    for (;;) {
        if (c->cap - c->have < 65536) {
            c->cap = c->cap * 2 + 262144;
            c->in = realloc(c->in, c->cap);
        }
        size_t room = c->cap - c->have;
        ssize_t r = c->ssl ? SSL_read(c->ssl, c->in + c->have, (int)room)
                           : recv(c->fd, c->in + c->have, room, 0);
        if (r == 0 && !c->ssl) {
            fprintf(stderr, "relay_load: the relay closed the connection\n");
            exit(1);
        }
        if (r <= 0) {
            if (c->ssl && SSL_get_error(c->ssl, (int)r) != SSL_ERROR_WANT_READ) {
                fprintf(stderr, "relay_load: the relay closed the connection\n");
                exit(1);
            }
            return;
        }
        c->have += (size_t)r;
        if (!c->ssl && (size_t)r < room) {
            return;
        }
    }
}

static void frame(struct conn *c, const void *payload, size_t n, size_t more)
{
    char head[64];
    int len = snprintf(head, sizeof(head), "%-*zu", (int)header_size, n + more);
    put(c, head, (size_t)len);
    put(c, password, strlen(password));
    put(c, payload, n);
}

static size_t le(uint8_t *p, uint64_t v, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        p[i] = (uint8_t)(v >> (8 * i));
    }
    return n;
}

static size_t start(uint8_t *p, uint32_t stamp, const char *cmd)
{
    size_t n = 0, len = strlen(cmd);
    p[n++] = 0x80, p[n++] = 4, p[n++] = '(', p[n++] = 'J';
    n += le(p + n, stamp, 4);
    p[n++] = 0x8c, p[n++] = (uint8_t)len;
    memcpy(p + n, cmd, len);
    p[n + len] = 0x94;
    return n + len + 1;
}

static void send_ack(struct conn *c, uint32_t stamp)
{
    uint8_t b[64];
    size_t n = start(b, stamp, "ACK");
    memcpy(b + n, "NNt.", 4);
    frame(c, b, n + 4, 0);
}

static void send_hello(struct conn *c, bool member)
{
    uint8_t b[64];
    size_t n = start(b, ++c->stamp, "HELLO");
    const char *end = member ? "N\x8c\x01" GROUP "\x85t." : "N)t.";
    memcpy(b + n, end, strlen(end));
    frame(c, b, n + strlen(end), 0);
}

static size_t dest(uint8_t *p, int32_t count)
{
    size_t n = 0;
    memcpy(p, "}\x94\x8c\x01" GROUP "\x94J", 7);
    n += 7;
    n += le(p + n, (uint32_t)count, 4);
    p[n++] = 's';
    return n;
}

static void send_notify(struct conn *c, int32_t count)
{
    uint8_t b[64];
    size_t n = start(b, ++c->stamp, "NTF");
    n += dest(b + n, count);
    memcpy(b + n, "C\x04\x80\x04N.t.", 8);
    frame(c, b, n + 8, 0);
}

static void send_object(struct conn *c, int32_t count, const uint8_t *obj, size_t size)
{
    uint8_t b[64];
    size_t n = start(b, ++c->stamp, "OBJ");
    n += dest(b + n, count);
    b[n++] = 'B';
    n += le(b + n, size, 4);
    frame(c, b, n, size + 2);
    put(c, obj, size);
    put(c, "t.", 2);
}

/* --- frames of the relay ---------------------------------------------------------------------- */

/* Take one frame off; returns its command's first letter, 0 when there is none. Handles those of
 * any relay: "J" and the compact integers, both forms of a string. */
static char take(struct conn *c, size_t *from, uint32_t *stamp)
{
    char head[32] = "";
    if (c->have - *from < header_size) {
        return 0;
    }
    memcpy(head, c->in + *from, header_size);
    size_t n = (size_t)strtoull(head, NULL, 10);
    if (c->have - *from < header_size + n) {
        return 0;
    }
    const uint8_t *p = c->in + *from + header_size + 2;
    if (*p == 0x95) {
        p += 9;
    }
    *stamp = 0;
    size_t bytes = *p == 'K' ? 1 : *p == 'M' ? 2 : 4;
    for (size_t i = 0; i < bytes; i++) {
        *stamp |= (uint32_t)p[1 + i] << (8 * i);
    }
    p += 1 + bytes;
    p += *p == 0x8c ? 2 : 5;
    *from += header_size + n;
    return (char)*p;
}

static void compact(struct conn *c, size_t from)
{
    memmove(c->in, c->in + from, c->have - from);
    c->have -= from;
}

static void wait_for(struct conn *c, int more_ms)
{
    struct pollfd p = {.fd = c->fd,
                       .events = (short)(POLLIN | (c->sent < c->queued ? POLLOUT : 0))};
    if (c->ssl && SSL_pending(c->ssl)) {
        return;
    }
    if (poll(&p, 1, more_ms) == 0 && more_ms >= 5000) {
        fprintf(stderr, "relay_load: the relay does not answer\n");
        exit(1);
    }
}

/* Read until a frame with this first letter; ACK what wants one. */
static void await(struct conn *c, char want)
{
    for (;;) {
        size_t from = 0;
        uint32_t stamp;
        char cmd = take(c, &from, &stamp);
        if (cmd) {
            compact(c, from);
            if (cmd != 'A') {
                send_ack(c, stamp);
                flush(c);
            }
            if (cmd == want) {
                return;
            }
            continue;
        }
        wait_for(c, 5000);
        flush(c);
        fill(c);
    }
}

static void connect_to(struct conn *c, int port, bool member)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int one = 1;
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    if (connect(c->fd, (struct sockaddr *)&a, sizeof(a)) < 0) {
        die("connect");
    }
    if (tls) {
        c->ssl = SSL_new(tls);
        SSL_set_fd(c->ssl, c->fd);
        SSL_set_mode(c->ssl, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
        SSL_set_tlsext_host_name(c->ssl, "default");
        if (SSL_connect(c->ssl) != 1) {
            die("TLS handshake");
        }
    }
    fcntl(c->fd, F_SETFL, O_NONBLOCK);
    await(c, 'H');
    send_hello(c, member);
    flush(c);
    await(c, 'A');
    usleep(50000); /* a relay may let us in after it has acknowledged */
}

/* --- measurements ----------------------------------------------------------------------------- */

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double sample[SAMPLES];
static size_t nsamples;

static void report(double messages, double us, double cpu_us, const char *pids)
{
    qsort(sample, nsamples, sizeof(sample[0]), by_value);
    printf("%.0f %.3f %.0f %.0f %ld\n", messages / us * 1e6, cpu_us / messages,
           nsamples ? sample[nsamples / 2] : 0, nsamples ? sample[nsamples * 99 / 100] : 0,
           rss_kb(pids));
}

struct run {
    struct conn *from, *to;
    uint64_t sent, received, window;
    double *when; /* of object i % window */
};

static void drain_acks(struct conn *c)
{
    size_t from = 0;
    uint32_t stamp;
    fill(c);
    for (char cmd; (cmd = take(c, &from, &stamp)) != 0;) {
        if (cmd == 'A') {
            c->acked++;
        } else {
            send_ack(c, stamp); /* PING */
        }
    }
    compact(c, from);
}

static void receive(struct run *r)
{
    size_t from = 0;
    uint32_t stamp;
    fill(r->to);
    for (char cmd; (cmd = take(r->to, &from, &stamp)) != 0;) {
        if (cmd == 'A') {
            continue;
        }
        send_ack(r->to, stamp);
        if (cmd == 'O') {
            if (nsamples < SAMPLES) {
                sample[nsamples++] = now_us() - r->when[r->received % r->window];
            }
            r->received++;
        }
    }
    compact(r->to, from);
    flush(r->to);
}

/* Take and acknowledge what an earlier run left behind, or the relay keeps for who joins: counted
 * as received, it would make the window larger. */
static void settle(struct conn *c)
{
    struct run r = {.to = c, .window = 1, .when = &(double){0}};
    struct pollfd p = {.fd = c->fd, .events = POLLIN};
    do {
        receive(&r);
    } while (poll(&p, 1, 100) > 0);
    nsamples = 0;
}

static void run_stream(struct run *r, int32_t count, size_t size, double seconds, const char *pids)
{
    uint8_t *obj = calloc(1, size);
    double begin = now_us(), cpu = all_cpu_ns(pids), end = begin + seconds * 1e6;
    r->when = calloc(r->window, sizeof(double));
    while (now_us() < end) {
        while (r->sent < r->received + r->window && r->from->queued - r->from->sent < 4 << 20) {
            r->when[r->sent++ % r->window] = now_us();
            send_object(r->from, count, obj, size);
        }
        flush(r->from);
        struct pollfd p[2] = {{.fd = r->from->fd, .events = POLLIN},
                              {.fd = r->to->fd, .events = POLLIN}};
        p[0].events |= r->from->sent < r->from->queued ? POLLOUT : 0;
        p[1].events |= r->to->sent < r->to->queued ? POLLOUT : 0;
        poll(p, 2, 1000);
        flush(r->to);
        if (p[0].revents & POLLIN) {
            drain_acks(r->from);
        }
        if (p[1].revents & POLLIN) {
            receive(r);
        }
    }
    report((double)r->received, now_us() - begin, (all_cpu_ns(pids) - cpu) / 1e3, pids);
    free(obj);
    free(r->when);
}

static void run_notify(struct run *r, size_t size, double seconds, const char *pids)
{
    uint8_t *obj = calloc(1, size);
    double begin = now_us(), cpu = all_cpu_ns(pids), end = begin + seconds * 1e6;
    while (now_us() < end && nsamples < SAMPLES) {
        send_object(r->from, 1, obj, size);
        flush(r->from);
        await(r->from, 'A');
        double t = now_us();
        send_notify(r->to, 1);
        flush(r->to);
        await(r->to, 'O');
        sample[nsamples++] = now_us() - t;
        r->received++;
    }
    report((double)r->received, now_us() - begin, (all_cpu_ns(pids) - cpu) / 1e3, pids);
    free(obj);
}

int main(int argc, char **argv)
{
    if (argc < 9) {
        fprintf(stderr, "usage: relay_load PORT PASSWORD HEADER_SIZE MODE SIZE WINDOW SECONDS PIDS "
                        "[tls]\n");
        return 2;
    }
    int port = atoi(argv[1]);
    password = argv[2];
    header_size = (unsigned)atoi(argv[3]);
    const char *mode = argv[4], *pids = argv[8];
    size_t size = strtoull(argv[5], NULL, 10);
    double seconds = atof(argv[7]);
    if (argc > 9) {
        tls = SSL_CTX_new(TLS_client_method());
        SSL_CTX_set_verify(tls, SSL_VERIFY_NONE, NULL); /* a load, not a client */
    }
    struct conn from = {0}, to = {0};
    struct run r = {.from = &from, .to = &to, .window = strtoull(argv[6], NULL, 10)};
    connect_to(&to, port, true);
    connect_to(&from, port, false);
    if (strcmp(mode, "notify") == 0) {
        run_notify(&r, size, seconds, pids);
    } else {
        if (strcmp(mode, "produce") == 0) {
            send_notify(&to, 2000000000);
            flush(&to);
            await(&to, 'A');
        }
        settle(&to);
        run_stream(&r, strcmp(mode, "produce") == 0 ? 1 : -1, size, seconds, pids);
    }
    return 0;
}
