/* SPDX-License-Identifier: MIT */
/*
 * The same load for different brokers, from one thread: one publisher, n subscribers of one subject
 * (thr), or a message there and back between two clients (ping), or n idle subscribers (idle).
 *
 *     broker_load nk|nats|resp|mqtt thr|ping|idle PORT PID SIZE N SECONDS WINDOW [tls]
 * [PASSWORDFILE]
 *
 * Prints "rate deliveries/s, broker CPU ns per delivery, MB/s of payload" for thr, "p50 p99 us" for
 * ping, "bytes of memory per connection" for idle. The publisher keeps at most WINDOW messages
 * ahead of the slowest subscriber, so that no broker drops or disconnects anybody.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "relay/login_client.h"
#include "relay/stretch.h"
#include "relay/wire_native.h"

enum proto { NK, NATS, RESP, MQTT };
enum { READ = 512 * 1024, BATCH = 128 * 1024, SAMPLES = 200000 };

struct conn {
    int fd;
    SSL *ssl;
    uint8_t *in;
    size_t len;
    uint64_t got;    /* messages */
    uint64_t window; /* nk: bytes that may be published */
};

struct load {
    enum proto proto;
    int port, pid, n;
    size_t size;
    double seconds;
    uint64_t ahead;
    SSL_CTX *tls;
    struct nk_secret password;
    uint8_t prs[RELAY_LOGIN_PRS];
    bool stretched;
    uint32_t group;
    uint64_t seq, published; /* nk */
};

static void die(const char *what)
{
    fprintf(stderr, "broker_load: %s: %s\n", what, strerror(errno));
    exit(1);
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* user + system seconds, from the scheduler's nanoseconds where there are */
static double cpu_of(int pid)
{
    char path[64], text[1024];
    unsigned long user, sys;
    snprintf(path, sizeof(path), "/proc/%d/stat", pid);
    FILE *f = fopen(path, "r");
    size_t n = f ? fread(text, 1, sizeof(text) - 1, f) : 0;
    if (f) {
        fclose(f);
    }
    text[n] = 0;
    char *end = strrchr(text, ')');
    if (!end ||
        sscanf(end + 2, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &sys) != 2) {
        die("no such process");
    }
    return (double)(user + sys) / (double)sysconf(_SC_CLK_TCK);
}

static long rss_of(int pid)
{
    char path[64], line[256];
    long kib = 0;
    snprintf(path, sizeof(path), "/proc/%d/status", pid);
    FILE *f = fopen(path, "r");
    while (f && fgets(line, sizeof(line), f) && sscanf(line, "VmRSS: %ld", &kib) != 1) {
    }
    if (f) {
        fclose(f);
    }
    return kib * 1024;
}

/* --- bytes ------------------------------------------------------------------------------------ */

static ssize_t rd(struct conn *c, void *p, size_t n)
{
    if (!c->ssl) {
        return read(c->fd, p, n);
    }
    int r = SSL_read(c->ssl, p, (int)n);
    if (r > 0) {
        return r;
    }
    int e = SSL_get_error(c->ssl, r);
    errno = e == SSL_ERROR_WANT_READ || e == SSL_ERROR_WANT_WRITE ? EAGAIN : EIO;
    return errno == EAGAIN ? -1 : 0;
}

static ssize_t wr(struct conn *c, const void *p, size_t n)
{
    if (!c->ssl) {
        return send(c->fd, p, n, MSG_NOSIGNAL);
    }
    int r = SSL_write(c->ssl, p, (int)n);
    if (r > 0) {
        return r;
    }
    int e = SSL_get_error(c->ssl, r);
    errno = e == SSL_ERROR_WANT_READ || e == SSL_ERROR_WANT_WRITE ? EAGAIN : EIO;
    return -1;
}

static void put(struct conn *c, const void *p, size_t n)
{
    const uint8_t *at = p;
    while (n) {
        ssize_t k = wr(c, at, n);
        if (k < 0 && errno != EAGAIN) {
            die("write");
        }
        if (k < 0) {
            poll(&(struct pollfd){.fd = c->fd, .events = POLLOUT}, 1, 100);
            continue;
        }
        at += k;
        n -= (size_t)k;
    }
}

static bool more(struct conn *c)
{
    ssize_t k = rd(c, c->in + c->len, READ - c->len);
    if (k == 0 || (k < 0 && errno != EAGAIN)) {
        die("the broker hung up");
    }
    c->len += k > 0 ? (size_t)k : 0;
    return k > 0;
}

static void need(struct conn *c, size_t n)
{
    while (c->len < n) {
        if (!more(c)) {
            poll(&(struct pollfd){.fd = c->fd, .events = POLLIN}, 1, 1000);
        }
    }
}

static void eat(struct conn *c, size_t n)
{
    c->len -= n;
    memmove(c->in, c->in + n, c->len);
}

static void until(struct conn *c, const char *word)
{
    for (;;) {
        c->in[c->len] = 0;
        char *at = strstr((char *)c->in, word);
        if (at) {
            eat(c, (size_t)(at - (char *)c->in) + strlen(word));
            return;
        }
        need(c, c->len + 1);
    }
}

/* --- native login ----------------------------------------------------------------------------- */

static struct relay_native_head nk_frame(struct conn *c)
{
    struct relay_native_head h;
    const char *why = "";
    need(c, RELAY_NATIVE_HEAD);
    if (relay_native_head(c->in, c->len, RELAY_FROM_RELAY, RELAY_NATIVE_FRAGMENT, &h, &why) != 1) {
        die(why);
    }
    need(c, RELAY_NATIVE_HEAD + h.len);
    return h;
}

static void nk_send_auth(struct conn *c, const struct relay_login_client *l)
{
    uint8_t b[RELAY_NATIVE_HEAD + RELAY_LOGIN_MESSAGE_MAX];
    struct relay_native_head h = {
        .type = RELAY_N_AUTH, .len = (uint32_t)l->out_len, .seq = l->out_step};
    relay_native_put_head(b, &h);
    memcpy(b + RELAY_NATIVE_HEAD, l->out, l->out_len);
    put(c, b, RELAY_NATIVE_HEAD + l->out_len);
}

static void nk_challenge(struct load *o, struct conn *c, struct relay_login_client *l)
{
    struct relay_native_challenge v;
    struct relay_login_challenge ch = {0};
    struct nk_diag diag = {0};
    struct relay_native_head h = nk_frame(c);
    if (relay_native_get_challenge(&h, c->in + RELAY_NATIVE_HEAD, &v) < 0) {
        die("CHALLENGE");
    }
    ch.methods = v.methods;
    ch.candidates = v.candidates;
    memcpy(ch.nonce, v.nonce, sizeof(ch.nonce));
    memcpy(ch.stretch.salt, v.salt, sizeof(ch.stretch.salt));
    ch.stretch.mem_kib = v.argon2_kib;
    ch.stretch.passes = v.argon2_passes;
    int rc = relay_login_client_challenge(l, &ch, v.logged_in, &diag);
    if (rc == RELAY_LOGIN_STRETCH) {
        if (!o->stretched &&
            relay_stretch(&ch.stretch, o->password.data, o->password.len, o->prs) < 0) {
            die("stretch");
        }
        o->stretched = true;
        rc = relay_login_client_stretched(l, o->prs, &diag);
    }
    if (rc < 0) {
        die(diag.text);
    }
    eat(c, RELAY_NATIVE_HEAD + h.len);
    if (rc == RELAY_LOGIN_SEND) {
        nk_send_auth(c, l);
    }
}

static void nk_login(struct load *o, struct conn *c)
{
    uint8_t b[RELAY_NATIVE_HELLO_MAX], exporter[RELAY_LOGIN_EXPORTER];
    struct relay_native_hello hello = {.version_min = 1, .version_max = 1, .name = {"load", 4}};
    static const char label[] = "EXPORTER-Channel-Binding";
    if (c->ssl && SSL_export_keying_material(c->ssl, exporter, sizeof(exporter), label,
                                             sizeof(label) - 1, NULL, 0, 0) != 1) {
        die("exporter");
    }
    struct relay_login_client_conf conf = {.exporter = c->ssl ? exporter : NULL,
                                           .password = &o->password,
                                           .trust = c->ssl ? RELAY_TRUST_NONE : RELAY_TRUST_LOCAL};
    struct relay_login_client l;
    struct nk_diag diag = {0};
    relay_login_client_init(&l, &conf);
    put(c, b, relay_native_put_hello(b, &hello));
    nk_challenge(o, c, &l);
    for (;;) {
        struct relay_native_head h = nk_frame(c);
        if (h.type == RELAY_N_WELCOME) {
            eat(c, RELAY_NATIVE_HEAD + h.len);
            break;
        }
        if (h.type != RELAY_N_AUTH ||
            relay_login_client_step(&l, h.seq, c->in + RELAY_NATIVE_HEAD, h.len, &diag) < 0) {
            die("login refused");
        }
        eat(c, RELAY_NATIVE_HEAD + h.len);
        nk_send_auth(c, &l);
    }
    relay_login_client_clear(&l);
}

static void nk_open(struct load *o, struct conn *c, const char *name, bool member)
{
    uint8_t b[RELAY_NATIVE_OPEN_MAX];
    struct relay_native_opened v;
    struct relay_native_open open = {.request = 1, .member = member, .name = {name, strlen(name)}};
    put(c, b, relay_native_put_open(b, &open));
    struct relay_native_head h = nk_frame(c);
    if (relay_native_get_opened(&h, c->in + RELAY_NATIVE_HEAD, &v) < 0 || v.status) {
        die("OPEN");
    }
    eat(c, RELAY_NATIVE_HEAD + h.len);
    o->group = v.group;
    c->window = v.window;
}

/* --- connections ------------------------------------------------------------------------------ */

static void start_tls(struct load *o, struct conn *c)
{
    static const uint8_t alpn[] = "\x0e" RELAY_NATIVE_ALPN;
    c->ssl = SSL_new(o->tls);
    if (o->proto == NK) {
        SSL_set_alpn_protos(c->ssl, alpn, sizeof(alpn) - 1);
    }
    SSL_set_fd(c->ssl, c->fd);
    if (SSL_connect(c->ssl) != 1) {
        die("TLS");
    }
}

static void greet(struct load *o, struct conn *c, int id)
{
    char b[256];
    if (o->proto == NATS) {
        until(c, "\n"); /* INFO */
    }
    if (o->tls) {
        start_tls(o, c);
    }
    fcntl(c->fd, F_SETFL, O_NONBLOCK);
    switch (o->proto) {
    case NK:
        nk_login(o, c);
        break;
    case NATS:
        snprintf(b, sizeof(b),
                 "CONNECT {\"verbose\":false,\"pedantic\":false,\"tls_required\":%s}\r\nPING\r\n",
                 o->tls ? "true" : "false");
        put(c, b, strlen(b));
        until(c, "PONG\r\n");
        break;
    case RESP:
        break;
    case MQTT:
        memcpy(b, "\x10\x14\0\4MQTT\4\2\0\0\0\x08", 14);
        snprintf(b + 14, 9, "id%06d", id);
        put(c, b, 22);
        need(c, 4);
        eat(c, 4);
        break;
    }
}

static struct conn *dial(struct load *o, int id)
{
    struct conn *c = calloc(1, sizeof(*c));
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)o->port)};
    int one = 1;
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    c->in = malloc(READ + 1);
    c->fd = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    if (connect(c->fd, (struct sockaddr *)&a, sizeof(a)) < 0) {
        die("connect");
    }
    greet(o, c, id);
    return c;
}

static void subscribe(struct load *o, struct conn *c, const char *name)
{
    char b[256];
    switch (o->proto) {
    case NK:
        nk_open(o, c, name, true);
        break;
    case NATS:
        put(c, b, (size_t)snprintf(b, sizeof(b), "SUB %s 1\r\nPING\r\n", name));
        until(c, "PONG\r\n");
        break;
    case RESP:
        put(c, b, (size_t)snprintf(b, sizeof(b), "SUBSCRIBE %s\r\n", name));
        until(c, ":1\r\n");
        break;
    case MQTT:
        memcpy(b, "\x82\0\0\1\0", 5);
        b[1] = (char)(5 + strlen(name));
        b[5] = (char)strlen(name);
        memcpy(b + 6, name, strlen(name));
        b[6 + strlen(name)] = 0;
        put(c, b, 7 + strlen(name));
        need(c, 5);
        eat(c, 5);
        break;
    }
}

/* --- messages --------------------------------------------------------------------------------- */

/* One publish into p; returns its length. */
static size_t publish(struct load *o, uint8_t *p, const char *name)
{
    char *s = (char *)p;
    size_t n = 0;
    if (o->proto == NK) {
        struct relay_native_head h = {.type = RELAY_N_BROADCAST,
                                      .len = (uint32_t)o->size,
                                      .group = o->group,
                                      .seq = ++o->seq};
        relay_native_put_head(p, &h);
        memset(p + RELAY_NATIVE_HEAD, 'x', o->size);
        return RELAY_NATIVE_HEAD + o->size;
    }
    if (o->proto == NATS) {
        n = (size_t)sprintf(s, "PUB %s %zu\r\n", name, o->size);
    } else if (o->proto == RESP) {
        n = (size_t)sprintf(s, "*3\r\n$7\r\nPUBLISH\r\n$%zu\r\n%s\r\n$%zu\r\n", strlen(name), name,
                            o->size);
    } else {
        size_t left = 2 + strlen(name) + o->size;
        p[n++] = 0x30;
        do {
            p[n++] = (uint8_t)((left & 127) | (left > 127 ? 128 : 0));
            left >>= 7;
        } while (left);
        p[n++] = 0;
        p[n++] = (uint8_t)strlen(name);
        memcpy(p + n, name, strlen(name));
        n += strlen(name);
    }
    memset(p + n, 'x', o->size);
    n += o->size;
    if (o->proto != MQTT) {
        memcpy(p + n, "\r\n", 2);
        n += 2;
    }
    return n;
}

static size_t line(const uint8_t *p, size_t n)
{
    const uint8_t *e = memchr(p, '\n', n);
    return e ? (size_t)(e - p) + 1 : 0;
}

/* One thing at p: its length, 0 when it is not whole. *message: it is one of ours. */
static size_t nats_one(const uint8_t *p, size_t n, bool *message)
{
    size_t head = line(p, n);
    if (head && p[0] == 'M') {
        const char *q = (const char *)p + head - 2;
        while (q[-1] != ' ') {
            q--;
        }
        *message = true;
        return head + strtoul(q, NULL, 10) + 2;
    }
    return head;
}

static size_t resp_one(const uint8_t *p, size_t n, bool *message)
{
    size_t at = line(p, n);
    if (!at || p[0] != '*') {
        return at;
    }
    for (int i = 0; i < 3; i++) {
        size_t head = at < n ? line(p + at, n - at) : 0;
        if (!head) {
            return 0;
        }
        at += head + strtoul((const char *)p + at + 1, NULL, 10) + 2;
    }
    *message = true;
    return at;
}

static size_t mqtt_one(const uint8_t *p, size_t n, bool *message)
{
    size_t left = 0, i = 1;
    unsigned shift = 0;
    do {
        if (i >= n) {
            return 0;
        }
        left |= (size_t)(p[i] & 127) << shift;
        shift += 7;
    } while (p[i++] & 128);
    *message = (p[0] >> 4) == 3;
    return i + left;
}

static size_t nk_one(struct conn *c, const uint8_t *p, size_t n, bool *message)
{
    if (n < RELAY_NATIVE_HEAD) {
        return 0;
    }
    size_t len = RELAY_NATIVE_HEAD + (relay_native_get_u32(p) >> 8);
    *message = p[0] == RELAY_N_BROADCAST;
    if (p[0] == RELAY_N_WINDOW && n >= len) {
        c->window = relay_native_get_u64(p + RELAY_NATIVE_HEAD);
    }
    return len;
}

static void count(struct load *o, struct conn *c)
{
    size_t at = 0;
    while (at < c->len) {
        const uint8_t *p = c->in + at;
        size_t n = c->len - at, len;
        bool message = false;
        switch (o->proto) {
        case NATS:
            len = nats_one(p, n, &message);
            break;
        case RESP:
            len = resp_one(p, n, &message);
            break;
        case MQTT:
            len = mqtt_one(p, n, &message);
            break;
        default:
            len = nk_one(c, p, n, &message);
        }
        if (len == 0 || len > n) {
            break;
        }
        c->got += message;
        at += len;
    }
    eat(c, at);
}

/* --- modes ------------------------------------------------------------------------------------ */

struct run {
    struct conn *pub, **sub;
    int epoll;
    uint8_t *batch;
    size_t len, off;
    uint64_t sent;
};

static uint64_t slowest(const struct load *o, const struct run *r)
{
    uint64_t least = UINT64_MAX;
    for (int i = 0; i < o->n; i++) {
        least = r->sub[i]->got < least ? r->sub[i]->got : least;
    }
    return least;
}

static void fill(struct load *o, struct run *r)
{
    r->len = r->off = 0;
    uint64_t room = o->ahead - (r->sent - slowest(o, r));
    while (room-- && r->len + o->size + 256 < BATCH + o->size) {
        if (o->proto == NK && o->published + o->size + RELAY_NATIVE_HEAD > r->pub->window) {
            break;
        }
        size_t n = publish(o, r->batch + r->len, "bench.x");
        o->published += n;
        r->len += n;
        r->sent++;
    }
}

static void turn(struct load *o, struct run *r)
{
    struct epoll_event ev[128];
    if (r->off == r->len) {
        fill(o, r);
    }
    bool idle = r->off == r->len;
    if (!idle) {
        ssize_t k = wr(r->pub, r->batch + r->off, r->len - r->off);
        if (k < 0 && errno != EAGAIN) {
            die("publish");
        }
        r->off += k > 0 ? (size_t)k : 0;
        idle = k <= 0;
    }
    int n = epoll_wait(r->epoll, ev, 128, idle ? 1 : 0);
    for (int i = 0; i < n; i++) {
        struct conn *c = ev[i].data.ptr;
        while (more(c)) {
            bool full = c->len == READ;
            count(o, c);
            if (!c->ssl && !full) {
                break;
            }
        }
    }
}

static void watch(struct run *r, struct conn *c)
{
    struct epoll_event e = {.events = EPOLLIN, .data.ptr = c};
    epoll_ctl(r->epoll, EPOLL_CTL_ADD, c->fd, &e);
}

static void throughput(struct load *o)
{
    struct run r = {.epoll = epoll_create1(0), .batch = malloc(BATCH + 2 * o->size + 4096)};
    r.sub = calloc((size_t)o->n, sizeof(struct conn *));
    for (int i = 0; i < o->n; i++) {
        r.sub[i] = dial(o, i);
        subscribe(o, r.sub[i], "bench.x");
        watch(&r, r.sub[i]);
    }
    r.pub = dial(o, o->n);
    if (o->proto == NK) {
        nk_open(o, r.pub, "bench.x", false);
    }
    watch(&r, r.pub);
    double start = now(), warm = start + o->seconds / 4, end = start + o->seconds, from = 0,
           cpu = 0;
    uint64_t first = 0, total = 0;
    for (double t = start; t < end; t = now()) {
        if (!from && t >= warm) {
            from = t;
            cpu = cpu_of(o->pid);
            first = slowest(o, &r);
        }
        for (int i = 0; i < 64; i++) {
            turn(o, &r);
        }
    }
    double took = now() - from;
    total = (slowest(o, &r) - first) * (uint64_t)o->n;
    cpu = cpu_of(o->pid) - cpu;
    printf("%.0f %.1f %.1f\n", (double)total / took, total ? cpu * 1e9 / (double)total : 0,
           (double)total * (double)o->size / took / 1e6);
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void latency(struct load *o)
{
    static double sample[SAMPLES];
    uint8_t b[65536];
    struct conn *c = dial(o, 0), *p = o->proto == RESP ? dial(o, 1) : c;
    size_t n = 0;
    subscribe(o, c, "bench.p");
    for (double end = now() + o->seconds; now() < end && n < SAMPLES; n++) {
        uint64_t before = c->got;
        if (o->proto == NK && o->published + sizeof(b) > c->window) {
            break;
        }
        size_t len = publish(o, b, "bench.p");
        o->published += len;
        double t = now();
        put(p, b, len);
        while (c->got == before) {
            if (!more(c)) {
                poll(&(struct pollfd){.fd = c->fd, .events = POLLIN}, 1, 1000);
            }
            count(o, c);
        }
        sample[n] = now() - t;
        if (p != c && more(p)) {
            p->len = 0;
        }
    }
    qsort(sample, n, sizeof(*sample), by_value);
    printf("%.1f %.1f\n", sample[n / 2] * 1e6, sample[n * 99 / 100] * 1e6);
}

static void idle(struct load *o)
{
    struct conn *first = dial(o, 0);
    subscribe(o, first, "bench.i");
    long before = rss_of(o->pid);
    for (int i = 1; i <= o->n; i++) {
        struct conn *c = dial(o, i);
        subscribe(o, c, "bench.i");
        free(c->in);
    }
    sleep(4); /* brokers give back what the handshakes took */
    printf("%ld\n", (rss_of(o->pid) - before) / o->n);
}

static void read_password(struct load *o, const char *path)
{
    char text[1024] = "";
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
    static const char *const names[] = {"nk", "nats", "resp", "mqtt"};
    struct load o = {0};
    if (sodium_init() < 0) {
        die("sodium");
    }
    if (argc < 9) {
        fprintf(stderr,
                "usage: broker_load PROTO MODE PORT PID SIZE N SECONDS WINDOW [tls] [FILE]\n");
        return 2;
    }
    for (int i = 0; i < 4; i++) {
        if (strcmp(argv[1], names[i]) == 0) {
            o.proto = (enum proto)i;
        }
    }
    o.port = atoi(argv[3]);
    o.pid = atoi(argv[4]);
    o.size = (size_t)atol(argv[5]);
    o.n = atoi(argv[6]);
    o.seconds = atof(argv[7]);
    o.ahead = (uint64_t)atol(argv[8]);
    for (int i = 9; i < argc; i++) {
        if (strcmp(argv[i], "tls") == 0) {
            o.tls = SSL_CTX_new(TLS_client_method());
            SSL_CTX_set_mode(o.tls, SSL_MODE_ENABLE_PARTIAL_WRITE |
                                        SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                        SSL_MODE_RELEASE_BUFFERS);
        } else {
            read_password(&o, argv[i]);
        }
    }
    if (strcmp(argv[2], "thr") == 0) {
        throughput(&o);
    } else if (strcmp(argv[2], "ping") == 0) {
        latency(&o);
    } else {
        idle(&o);
    }
    return 0;
}
