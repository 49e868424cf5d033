/* SPDX-License-Identifier: MIT */
/*
 * tunnel_tcp_load - load for tunnels that look like a TCP port from both sides.
 *
 *     tunnel_tcp_load serve              listens on a free port of 127.0.0.1 and prints it
 *     tunnel_tcp_load bulk PORT MB N     sends MB megabytes over N connections: MB/s
 *     tunnel_tcp_load ping PORT N SIZE   N round trips of SIZE bytes: median and 99th percentile in
 * us tunnel_tcp_load conn PORT S N      new connections for S seconds, N at a time: how many per
 * second tunnel_tcp_load idle PORT N        N connections that have moved a byte; prints "open",
 * waits for the end of its input
 *
 * The first byte of a connection says what the server does with the rest: 'e' sends it back; 's'
 * takes as many bytes as the next eight say, then answers with one.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { PIECE = 256 * 1024, THREADS_MAX = 64, STACK = 64 * 1024, BACKLOG = 4096 };

static int port;
static uint64_t each;        /* bytes of a connection of bulk */
static double until;         /* when conn ends */
static uint64_t connections; /* of conn */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void no_delay(int fd)
{
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

static struct sockaddr_in loopback(int at)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)at)};
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return a;
}

static int dial(void)
{
    struct sockaddr_in a = loopback(port);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0) {
        die("connect");
    }
    no_delay(fd);
    return fd;
}

static int get_all(int fd, void *p, size_t n)
{
    size_t got = 0;
    while (got < n) {
        ssize_t k = read(fd, (char *)p + got, n - got);
        if (k <= 0) {
            return -1;
        }
        got += (size_t)k;
    }
    return 0;
}

static int put_all(int fd, const void *p, size_t n)
{
    size_t put = 0;
    while (put < n) {
        ssize_t k = send(fd, (const char *)p + put, n - put, MSG_NOSIGNAL);
        if (k <= 0) {
            return -1;
        }
        put += (size_t)k;
    }
    return 0;
}

static void must(int rc, const char *what)
{
    if (rc < 0) {
        fprintf(stderr, "tunnel_tcp_load: the connection ended: %s\n", what);
        exit(1);
    }
}

/* --- the server ------------------------------------------------------------------------------- */

static void swallow(int fd, char *buf)
{
    uint64_t left;
    if (get_all(fd, &left, sizeof(left)) < 0) {
        return;
    }
    while (left > 0) {
        ssize_t n = read(fd, buf, left < PIECE ? (size_t)left : PIECE);
        if (n <= 0) {
            return;
        }
        left -= (uint64_t)n;
    }
    (void)put_all(fd, "!", 1);
}

static void *serve_one(void *arg)
{
    int fd = (int)(intptr_t)arg;
    char small[512], what, *buf = small;
    ssize_t n;
    no_delay(fd);
    if (read(fd, &what, 1) == 1) {
        if (what == 's' && (buf = malloc(PIECE)) != NULL) {
            swallow(fd, buf);
            free(buf);
        }
        while (what == 'e' && (n = read(fd, small, sizeof(small))) > 0 &&
               put_all(fd, small, (size_t)n) == 0) {
        }
    }
    close(fd);
    return NULL;
}

static void serve(void)
{
    struct sockaddr_in a = loopback(0);
    socklen_t len = sizeof(a);
    pthread_attr_t attr;
    pthread_t t;
    int l = socket(AF_INET, SOCK_STREAM, 0), fd;
    if (l < 0 || bind(l, (struct sockaddr *)&a, len) < 0 || listen(l, BACKLOG) < 0 ||
        getsockname(l, (struct sockaddr *)&a, &len) < 0) {
        die("listen");
    }
    printf("%d\n", ntohs(a.sin_port));
    fflush(stdout);
    pthread_attr_init(&attr);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attr, STACK);
    while ((fd = accept(l, NULL, NULL)) >= 0 || errno == EINTR) {
        if (fd >= 0 && pthread_create(&t, &attr, serve_one, (void *)(intptr_t)fd) != 0) {
            close(fd);
        }
    }
    die("accept");
}

/* --- load ------------------------------------------------------------------------------------- */

static void in_threads(int n, void *(*fn)(void *))
{
    pthread_t t[THREADS_MAX];
    n = n < 1 ? 1 : n > THREADS_MAX ? THREADS_MAX : n;
    for (int i = 0; i < n; i++) {
        if (pthread_create(&t[i], NULL, fn, NULL) != 0) {
            die("pthread_create");
        }
    }
    for (int i = 0; i < n; i++) {
        pthread_join(t[i], NULL);
    }
}

static void *bulk_one(void *arg)
{
    char *buf = calloc(1, PIECE), answer;
    uint64_t left = each;
    int fd = dial();
    (void)arg;
    must(put_all(fd, "s", 1), "bulk");
    must(put_all(fd, &left, sizeof(left)), "bulk");
    while (left > 0) {
        size_t n = left < PIECE ? (size_t)left : PIECE;
        must(put_all(fd, buf, n), "bulk");
        left -= n;
    }
    must(get_all(fd, &answer, 1), "bulk, answer");
    close(fd);
    free(buf);
    return NULL;
}

static void bulk(uint64_t mb, int n)
{
    double start = now();
    each = mb * 1000000 / (uint64_t)n;
    in_threads(n, bulk_one);
    printf("%.0f\n", (double)mb / (now() - start));
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void ping(int n, size_t size)
{
    double *took = calloc((size_t)n, sizeof(*took));
    char *out = calloc(1, size), *in = calloc(1, size);
    int fd = dial();
    must(put_all(fd, "e", 1), "ping");
    for (int i = -n / 10; i < n; i++) { /* the first ones only warm up */
        double start = now();
        must(put_all(fd, out, size), "ping");
        must(get_all(fd, in, size), "ping");
        took[i < 0 ? 0 : i] = now() - start;
    }
    qsort(took, (size_t)n, sizeof(*took), by_value);
    printf("%.1f %.1f\n", took[n / 2] * 1e6, took[n - 1 - n / 100] * 1e6);
}

static void *conn_one(void *arg)
{
    uint64_t done = 0;
    (void)arg;
    while (now() < until) {
        char answer[4];
        int fd = dial();
        must(put_all(fd, "eping", 5), "conn");
        must(get_all(fd, answer, sizeof(answer)), "conn");
        close(fd);
        done++;
    }
    pthread_mutex_lock(&lock);
    connections += done;
    pthread_mutex_unlock(&lock);
    return NULL;
}

static void conn(double seconds, int n)
{
    double start = now();
    until = start + seconds;
    in_threads(n, conn_one);
    printf("%.0f %llu\n", (double)connections / (now() - start), (unsigned long long)connections);
}

static void idle(int n)
{
    char c;
    for (int i = 0; i < n; i++) {
        int fd = dial();
        must(put_all(fd, "ex", 2), "idle");
        must(get_all(fd, &c, 1), "idle");
    }
    puts("open");
    fflush(stdout);
    while (read(STDIN_FILENO, &c, 1) > 0) {
    }
}

int main(int argc, char **argv)
{
    struct rlimit files;
    const char *what = argc > 1 ? argv[1] : "";
    signal(SIGPIPE, SIG_IGN);
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
    port = argc > 2 ? atoi(argv[2]) : 0;
    if (strcmp(what, "serve") == 0) {
        serve();
    } else if (strcmp(what, "bulk") == 0 && argc == 5) {
        bulk(strtoull(argv[3], NULL, 10), atoi(argv[4]));
    } else if (strcmp(what, "ping") == 0 && argc == 5) {
        ping(atoi(argv[3]), strtoull(argv[4], NULL, 10));
    } else if (strcmp(what, "conn") == 0 && argc == 5) {
        conn(atof(argv[3]), atoi(argv[4]));
    } else if (strcmp(what, "idle") == 0 && argc == 4) {
        idle(atoi(argv[3]));
    } else {
        fputs("usage: tunnel_tcp_load serve | bulk PORT MB N | ping PORT N SIZE | conn PORT S N | "
              "idle "
              "PORT N\n",
              stderr);
        return 2;
    }
    return 0;
}
