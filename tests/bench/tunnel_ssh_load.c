/* SPDX-License-Identifier: MIT */
/*
 * Load for tunnels, and what stands behind them. Ports are of 127.0.0.1.
 *
 *   tunnel_ssh_load serve PORT            the first byte of a connection says what it does: E sends
 * back, G and a uint64_t: sends so many bytes, S: reads to the end tunnel_ssh_load delay PORT
 * TARGET MS a relay through which everything takes MS, each way tunnel_ssh_load down PORT BYTES
 * seconds for so many bytes tunnel_ssh_load up PORT BYTES         the same, to the server, which
 * answers at the end tunnel_ssh_load ping PORT N SIZE      microseconds of a round trip: median and
 * 99th percentile tunnel_ssh_load conn PORT N           microseconds of connecting, a byte there
 * and back, and closing tunnel_ssh_load hold PORT N           seconds to open N connections, a byte
 * there and back on each; they stay until standard input ends tunnel_ssh_load first PORT
 * milliseconds until a byte came back; tries again until then tunnel_ssh_load cold PORT PROGRAM..
 * the same since the program was started, which is ended then
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    PIECE = 256 * 1024,
    STACK = 128 * 1024,
    BACKLOG = 1024,
    RING = 64 * 1024 * 1024, /* bytes on their way in one direction of the delay */
    MARKS = 1 << 16,         /* reads that they came in */
    RETRY_US = 1000,
    PATIENCE = 60 /* seconds for a first byte */
};

static const double micro = 1e6, milli = 1e3;

static double now(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static _Noreturn void die(const char *what)
{
    fprintf(stderr, "tunnel_ssh_load: %s: %s\n", what, strerror(errno));
    exit(1);
}

static long number(const char *text, const char *what)
{
    char *end;
    long v = strtol(text, &end, 10);
    if (*end || v <= 0) {
        errno = EINVAL;
        die(what);
    }
    return v;
}

/* --- sockets ---------------------------------------------------------------------------------- */

static struct sockaddr_in address(const char *port)
{
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_port = htons((uint16_t)number(port, "port")),
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    return a;
}

/* Where the system's choice measures bandwidth (BBR), a busy machine's loopback gets slow at times:
 * that is not what is to be compared. */
static const char congestion[] = "reno";

static void tune(int fd)
{
    int on = 1;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    (void)setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, congestion, sizeof(congestion) - 1);
}

static int try_connect(const char *port)
{
    struct sockaddr_in a = address(port);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0) {
        close(fd);
        return -1;
    }
    tune(fd);
    return fd;
}

static int dial(const char *port)
{
    int fd = try_connect(port);
    if (fd < 0) {
        die("connect");
    }
    return fd;
}

static int listen_at(const char *port)
{
    struct sockaddr_in a = address(port);
    int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
        bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0 || listen(fd, BACKLOG) < 0) {
        die("listen");
    }
    return fd;
}

static bool put_all(int fd, const void *p, size_t n)
{
    for (const char *at = p; n > 0;) {
        ssize_t some = write(fd, at, n);
        if (some <= 0) {
            return false;
        }
        at += some;
        n -= (size_t)some;
    }
    return true;
}

static bool get_all(int fd, void *p, size_t n)
{
    for (char *at = p; n > 0;) {
        ssize_t some = read(fd, at, n);
        if (some <= 0) {
            return false;
        }
        at += some;
        n -= (size_t)some;
    }
    return true;
}

static void in_thread(void *(*fn)(void *), void *arg)
{
    pthread_attr_t attr;
    pthread_t t;
    if (pthread_attr_init(&attr) != 0 || pthread_attr_setstacksize(&attr, STACK) != 0 ||
        pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED) != 0 ||
        pthread_create(&t, &attr, fn, arg) != 0) {
        die("thread");
    }
    pthread_attr_destroy(&attr);
}

/* --- the server ------------------------------------------------------------------------------- */

static void echo(int fd, char *buf)
{
    ssize_t n;
    while ((n = read(fd, buf, PIECE)) > 0 && put_all(fd, buf, (size_t)n)) {
    }
}

static void give(int fd, char *buf)
{
    uint64_t left;
    if (!get_all(fd, &left, sizeof(left))) {
        return;
    }
    for (size_t i = 0; i < PIECE; i++) {
        buf[i] = (char)(i * 2654435761u >> 13);
    }
    while (left > 0) {
        size_t n = left < PIECE ? (size_t)left : PIECE;
        if (!put_all(fd, buf, n)) {
            return;
        }
        left -= n;
    }
}

static void swallow(int fd, char *buf)
{
    while (read(fd, buf, PIECE) > 0) {
    }
    (void)put_all(fd, "S", 1);
}

static void *serve_one(void *arg)
{
    int fd = (int)(intptr_t)arg;
    char mode = 0, *buf = NULL;
    tune(fd);
    if (get_all(fd, &mode, 1) && (buf = malloc(PIECE))) {
        (mode == 'E' ? echo : mode == 'G' ? give : swallow)(fd, buf);
    }
    free(buf);
    close(fd);
    return NULL;
}

static int serve(char **argv)
{
    int listener = listen_at(argv[0]);
    for (;;) {
        int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0) {
            die("accept");
        }
        in_thread(serve_one, (void *)(intptr_t)fd);
    }
}

/* --- the delay -------------------------------------------------------------------------------- */

struct mark {
    double due;
    uint64_t end; /* of what came in that read, counted from the first byte */
};

/* One direction. */
struct way {
    int from, to;
    double delay, not_before; /* bytes do not begin their way earlier */
    uint8_t *ring;
    struct mark *marks;
    uint64_t in, out, first, last; /* bytes and marks that came and went */
    bool ended;
};

static void *memory(size_t n)
{
    void *p =
        mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED) {
        die("memory");
    }
    return p;
}

static size_t least(uint64_t a, uint64_t b)
{
    return (size_t)(a < b ? a : b);
}

static void way_in(struct way *w)
{
    size_t at = (size_t)(w->in % RING);
    size_t n = least(least(RING - at, RING - (w->in - w->out)), PIECE);
    ssize_t got = read(w->from, w->ring + at, n);
    if (got < 0 && errno == EAGAIN) {
        return;
    }
    double t = now();
    t = t < w->not_before ? w->not_before : t;
    w->in += got > 0 ? (uint64_t)got : 0;
    w->ended = got <= 0;
    w->marks[w->last++ % MARKS] = (struct mark){.due = t + w->delay, .end = w->in};
}

/* false: nobody takes it any more */
static bool way_out(struct way *w)
{
    const struct mark *m = &w->marks[w->first % MARKS];
    size_t at = (size_t)(w->out % RING);
    ssize_t put = 0;
    if (m->end > w->out) {
        put = write(w->to, w->ring + at, least(m->end - w->out, RING - at));
        if (put < 0) {
            return errno == EAGAIN;
        }
    }
    w->out += (uint64_t)put;
    w->first += w->out == m->end;
    return true;
}

static void *way_run(void *arg)
{
    struct way *w = arg;
    bool ok = true;
    while (ok && !(w->ended && w->first == w->last)) {
        bool some = w->first < w->last;
        double wait = some ? w->marks[w->first % MARKS].due - now() : 1;
        bool due = some && wait <= 0, full = w->in - w->out == RING || w->last - w->first == MARKS;
        struct pollfd p[] = {{.fd = w->ended || full ? -1 : w->from, .events = POLLIN},
                             {.fd = due ? w->to : -1, .events = POLLOUT}};
        wait = wait > 0 ? wait : 0;
        const struct timespec ts = {.tv_sec = (time_t)wait,
                                    .tv_nsec = (long)((wait - (double)(time_t)wait) * 1e9)};
        (void)ppoll(p, 2, due || !some ? NULL : &ts, NULL);
        if (p[0].fd >= 0 && p[0].revents) {
            way_in(w);
        }
        if (p[1].fd >= 0 && p[1].revents) {
            ok = way_out(w);
        }
    }
    (void)shutdown(w->to, SHUT_WR);
    (void)shutdown(w->from, SHUT_RD);
    munmap(w->ring, RING);
    munmap(w->marks, MARKS * sizeof(*w->marks));
    free(w);
    return NULL;
}

static void way_start(int from, int to, double delay, double not_before)
{
    struct way *w = calloc(1, sizeof(*w));
    if (!w || fcntl(from, F_SETFL, O_NONBLOCK) < 0) {
        die("memory");
    }
    *w = (struct way){.from = from, .to = to, .delay = delay, .not_before = not_before};
    w->ring = memory(RING);
    w->marks = memory(MARKS * sizeof(*w->marks));
    in_thread(way_run, w);
}

/* Connecting costs a round trip, too. The descriptors stay open: the two directions end by
 * themselves. */
static int delay(char **argv)
{
    int listener = listen_at(argv[0]);
    double s = (double)number(argv[2], "milliseconds") / milli;
    for (;;) {
        int near = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        int far = near < 0 ? -1 : try_connect(argv[1]);
        double from = now() + 2 * s;
        if (near < 0) {
            die("accept");
        }
        if (far < 0) {
            close(near);
            continue;
        }
        tune(near);
        way_start(near, far, s, from);
        way_start(far, near, s, from);
    }
}

/* --- measuring -------------------------------------------------------------------------------- */

static int down(char **argv)
{
    uint64_t n = (uint64_t)number(argv[1], "bytes"), got = 0;
    char *buf = memory(PIECE);
    double start = now();
    int fd = dial(argv[0]);
    bool ok = put_all(fd, "G", 1) && put_all(fd, &n, sizeof(n));
    while (ok && got < n) {
        ssize_t some = read(fd, buf, PIECE);
        ok = some > 0;
        got += ok ? (uint64_t)some : 0;
    }
    if (!ok) {
        die("read");
    }
    printf("%.3f\n", now() - start);
    return 0;
}

static int up(char **argv)
{
    uint64_t left = (uint64_t)number(argv[1], "bytes");
    char *buf = memory(PIECE);
    double start = now();
    int fd = dial(argv[0]);
    bool ok = put_all(fd, "S", 1);
    while (ok && left > 0) {
        size_t n = least(left, PIECE);
        ok = put_all(fd, buf, n);
        left -= n;
    }
    if (!ok || shutdown(fd, SHUT_WR) < 0 || !get_all(fd, buf, 1)) {
        die("write");
    }
    printf("%.3f\n", now() - start);
    return 0;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void print_times(double *t, long n)
{
    qsort(t, (size_t)n, sizeof(*t), compare);
    printf("%.1f %.1f\n", t[n / 2] * micro, t[n * 99 / 100] * micro);
}

static double *times(long n)
{
    return memory((size_t)n * sizeof(double));
}

static int ping(char **argv)
{
    long n = number(argv[1], "count");
    size_t size = (size_t)number(argv[2], "size");
    char *buf = memory(size);
    double *t = times(n);
    int fd = dial(argv[0]);
    bool ok = put_all(fd, "E", 1);
    for (long i = 0; ok && i < n; i++) {
        double start = now();
        ok = put_all(fd, buf, size) && get_all(fd, buf, size);
        t[i] = now() - start;
    }
    if (!ok) {
        die("round trip");
    }
    print_times(t, n);
    return 0;
}

static bool touch(int fd)
{
    char c;
    return put_all(fd, "Ex", 2) && get_all(fd, &c, 1);
}

static int conn(char **argv)
{
    long n = number(argv[1], "count");
    double *t = times(n);
    for (long i = 0; i < n; i++) {
        double start = now();
        int fd = dial(argv[0]);
        if (!touch(fd)) {
            die("round trip");
        }
        close(fd);
        t[i] = now() - start;
    }
    print_times(t, n);
    return 0;
}

static int hold(char **argv)
{
    long n = number(argv[1], "count");
    double start = now();
    char c;
    for (long i = 0; i < n; i++) {
        if (!touch(dial(argv[0]))) {
            die("round trip");
        }
    }
    printf("%.3f\n", now() - start);
    fflush(stdout);
    while (read(STDIN_FILENO, &c, 1) > 0) {
    }
    return 0;
}

static int until_first(const char *port, double start)
{
    for (;;) {
        int fd = try_connect(port);
        if (fd >= 0 && touch(fd)) {
            printf("%.1f\n", (now() - start) * milli);
            return 0;
        }
        if (fd >= 0) {
            close(fd);
        }
        if (now() - start > PATIENCE) {
            errno = ETIMEDOUT;
            die("first byte");
        }
        usleep(RETRY_US);
    }
}

static int first(char **argv)
{
    return until_first(argv[0], now());
}

static int cold(char **argv)
{
    extern char **environ;
    posix_spawn_file_actions_t io;
    pid_t pid;
    double start = now();
    posix_spawn_file_actions_init(&io);
    posix_spawn_file_actions_addopen(&io, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&io, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    errno = posix_spawnp(&pid, argv[1], &io, NULL, argv + 1, environ);
    if (errno != 0) {
        die(argv[1]);
    }
    int rc = until_first(argv[0], start);
    (void)kill(pid, SIGTERM);
    (void)waitpid(pid, NULL, 0);
    return rc;
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        int words; /* at least */
        int (*run)(char **argv);
    } verbs[] = {{"serve", 1, serve}, {"delay", 3, delay}, {"down", 2, down},
                 {"up", 2, up},       {"ping", 3, ping},   {"conn", 2, conn},
                 {"hold", 2, hold},   {"first", 1, first}, {"cold", 2, cold}};
    (void)signal(SIGPIPE, SIG_IGN);
    for (size_t i = 0; argc > 1 && i < sizeof(verbs) / sizeof(verbs[0]); i++) {
        if (strcmp(argv[1], verbs[i].name) == 0 && argc - 2 >= verbs[i].words) {
            return verbs[i].run(argv + 2);
        }
    }
    fputs("usage: see the beginning of tests/bench/tunnel_ssh_load.c\n", stderr);
    return 2;
}
