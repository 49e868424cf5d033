/* SPDX-License-Identifier: MIT */
/* What tcp:, unix: and fd: promise beyond the stream contract. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/log.h"
#include "core/app.h"
#include "core/clock.h"
#include "core/registry.h"
#include "core/timer.h"

enum { SCALE = 100, TURNS = 2000, MANY = 40 };

struct world {
    struct nk_app *app;
    struct nk_log *log;
    struct nk_stream *accepted[MANY];
    size_t n;
    bool close_listener; /* from inside on_accept */
    struct nk_listener *l;
    struct nk_diag diag;
};

struct dialled {
    struct nk_stream *s;
    unsigned seen;
};

static void on_event(void *owner, struct nk_stream *s, unsigned events)
{
    struct dialled *d = owner;
    (void)s;
    d->seen |= events;
}

static void on_quiet(void *owner, struct nk_stream *s, unsigned events)
{
    (void)owner;
    (void)s;
    (void)events;
}

static void on_accept(void *owner, struct nk_listener *l, struct nk_stream *take_s)
{
    struct world *w = owner;
    assert_true(w->n < MANY);
    w->accepted[w->n++] = take_s;
    nk_stream_own(take_s, on_quiet, w);
    if (w->close_listener) {
        nk_listener_close(l);
        w->l = NULL;
    }
}

static void open_world_scaled(struct world *w, unsigned scale)
{
    memset(w, 0, sizeof(*w));
    struct nk_app_conf conf = {.clock_scale = scale};
    assert_int_equal(nk_app_new(&w->app, &conf, NULL), 0);
}

static void open_world(struct world *w)
{
    open_world_scaled(w, SCALE);
}

static void close_world(struct world *w)
{
    for (size_t i = 0; i < w->n; i++) {
        nk_stream_close(w->accepted[i]);
    }
    nk_listener_close(w->l);
    nk_app_free(w->app);
}

static int try_listen(struct world *w, const char *text, struct nk_listener **out)
{
    struct nk_endpoint *ep;
    memset(&w->diag, 0, sizeof(w->diag));
    int rc = nk_endpoint_parse(text, NK_EP_LISTEN, &ep, &w->diag);
    if (rc == 0) {
        rc = nk_listen(w->app, ep, on_accept, w, out, &w->diag);
        nk_endpoint_free(ep);
    }
    return rc;
}

static void must_listen(struct world *w, const char *text)
{
    if (try_listen(w, text, &w->l) < 0) {
        fail_msg("%s: %s", text, w->diag.text);
    }
}

static int port_of(struct nk_listener *l)
{
    char text[128];
    assert_int_equal(nk_listener_local(l, text, sizeof(text)), 0);
    return atoi(strrchr(text, ':') + 1);
}

static void dial(struct world *w, struct dialled *d, const char *text)
{
    struct nk_endpoint *ep;
    *d = (struct dialled){0};
    if (nk_endpoint_parse(text, NK_EP_CONNECT, &ep, &w->diag) < 0 ||
        nk_dial(w->app, ep, on_event, d, &d->s, &w->diag) < 0) {
        fail_msg("%s: %s", text, w->diag.text);
    }
    nk_endpoint_free(ep);
}

static void settle(struct world *w, const struct dialled *d)
{
    for (int i = 0; i < TURNS && !(d->seen & (NK_CONNECTED | NK_CLOSED)); i++) {
        nk_app_turn(w->app, 100);
    }
}

static int raw_connect(int family, int port)
{
    struct sockaddr_in in = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr_in6 in6 = {
        .sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port), .sin6_addr = in6addr_loopback};
    int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int rc = family == AF_INET ? connect(fd, (struct sockaddr *)&in, sizeof(in))
                               : connect(fd, (struct sockaddr *)&in6, sizeof(in6));
    if (rc < 0 && errno != EINPROGRESS) {
        rc = -errno;
        close(fd);
        return rc;
    }
    return fd;
}

static bool has_ipv6(void)
{
    int fd = raw_connect(AF_INET6, 1);
    if (fd >= 0) {
        close(fd);
    }
    return fd >= 0 || fd == -ECONNREFUSED;
}

static void test_accepts_in_portions(void **state)
{
    (void)state;
    struct world w;
    int fd[MANY];
    open_world(&w);
    must_listen(&w, "tcp:127.0.0.1:0");
    for (int i = 0; i < MANY; i++) {
        fd[i] = raw_connect(AF_INET, port_of(w.l));
        assert_true(fd[i] >= 0);
    }
    nk_app_turn(w.app, 100);
    assert_int_equal(w.n, NK_TURN_ACCEPTS);
    for (int i = 0; i < 10 && w.n < MANY; i++) {
        nk_app_turn(w.app, 100);
    }
    assert_int_equal(w.n, MANY);
    for (int i = 0; i < MANY; i++) {
        close(fd[i]);
    }
    close_world(&w);
}

static void test_pause_and_close_inside_accept(void **state)
{
    (void)state;
    struct world w;
    open_world(&w);
    must_listen(&w, "tcp:127.0.0.1:0");
    nk_listener_pause(w.l, 1);
    int a = raw_connect(AF_INET, port_of(w.l)), b = raw_connect(AF_INET, port_of(w.l));
    nk_app_turn(w.app, 5);
    assert_int_equal(w.n, 0);
    w.close_listener = true;
    nk_listener_pause(w.l, 0);
    nk_app_turn(w.app, 100);
    nk_app_turn(w.app, 1);
    assert_int_equal(w.n, 1); /* the second one went down with the listener */
    assert_null(w.l);
    close(a);
    close(b);
    close_world(&w);
}

static size_t count_lines(int fd)
{
    char text[8192];
    ssize_t n = pread(fd, text, sizeof(text), 0);
    size_t lines = 0;
    for (ssize_t i = 0; i < n; i++) {
        lines += text[i] == '\n';
    }
    return lines;
}

static void on_tick(void *owner)
{
    (void)owner;
}

/* Out of descriptors: connections wait, one log line, no spinning, and it recovers by itself. */
static void test_out_of_descriptors(void **state)
{
    (void)state;
    struct world w;
    struct rlimit was, none;
    char path[] = "/tmp/netkit-log-XXXXXX";
    int log_fd = mkstemp(path);
    unlink(path);
    memset(&w, 0, sizeof(w));
    w.log = nk_log_new(log_fd, NK_LOG_TEXT, NK_LOG_INFO);
    struct nk_app_conf conf = {.clock_scale = SCALE, .log = w.log};
    assert_int_equal(nk_app_new(&w.app, &conf, NULL), 0);
    must_listen(&w, "tcp:127.0.0.1:0");
    int a = raw_connect(AF_INET, port_of(w.l)), b = raw_connect(AF_INET, port_of(w.l));
    getrlimit(RLIMIT_NOFILE, &was);
    none = was;
    none.rlim_cur = (rlim_t)b; /* every number below is in use */
    for (int fd = 0; fd < b; fd++) {
        if (fcntl(fd, F_GETFD) < 0) {
            none.rlim_cur = 0; /* a hole: forbid everything */
        }
    }
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    struct nk_timer second; /* keeps time: about 100 retries of 100 ms each */
    nk_timer_init(&second, w.app, on_tick, NULL);
    nk_timer_start(&second, 10 * 1000);
    uint64_t before = nk_app_turn_id(w.app);
    while (second.armed) {
        nk_app_turn(w.app, 1000);
    }
    uint64_t turns = nk_app_turn_id(w.app) - before;
    setrlimit(RLIMIT_NOFILE, &was);
    assert_int_equal(w.n, 0);
    assert_true(turns >= 2 && turns <= 400);
    assert_int_equal(count_lines(log_fd), 1);
    for (int i = 0; i < 100 && w.n < 2; i++) {
        nk_app_turn(w.app, 100);
    }
    assert_int_equal(w.n, 2);
    close(a);
    close(b);
    close_world(&w);
    nk_log_free(w.log);
    close(log_fd);
}

static void test_both_families(void **state)
{
    (void)state;
    struct world w;
    char text[64];
    open_world(&w);
    must_listen(&w, "tcp::0");
    int a = raw_connect(AF_INET, port_of(w.l)), b = raw_connect(AF_INET6, port_of(w.l));
    size_t want = has_ipv6() ? 2 : 1;
    for (int i = 0; i < 20 && w.n < want; i++) {
        nk_app_turn(w.app, 100);
    }
    assert_int_equal(w.n, want);
    assert_memory_equal(nk_stream_peer(w.accepted[0], text, sizeof(text)), "127.0.0.1:", 10);
    close(a);
    if (b >= 0) {
        close(b);
    }
    close_world(&w);
}

static void test_one_family(void **state)
{
    (void)state;
    struct world w;
    if (!has_ipv6()) {
        print_message("skipped: no IPv6 here\n");
        return;
    }
    static const struct {
        const char *listen;
        bool v4, v6;
    } cases[] = {{"tcp:[::]:0", false, true},
                 {"tcp::0,family=ipv6", false, true},
                 {"tcp::0,family=ipv4", true, false},
                 {"tcp:0.0.0.0:0", true, false},
                 {"tcp:localhost:0", true, true}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        open_world(&w);
        must_listen(&w, cases[i].listen);
        int a = raw_connect(AF_INET, port_of(w.l)), b = raw_connect(AF_INET6, port_of(w.l));
        size_t want = (size_t)cases[i].v4 + cases[i].v6;
        for (int t = 0; t < 20 && w.n < want; t++) {
            nk_app_turn(w.app, 50);
        }
        nk_app_turn(w.app, 1);
        assert_int_equal(w.n, want);
        close(a >= 0 ? a : b);
        if (a >= 0 && b >= 0) {
            close(b);
        }
        close_world(&w);
    }
}

static void test_address_in_use(void **state)
{
    (void)state;
    struct world w;
    struct nk_listener *second;
    char text[64], want[96];
    open_world(&w);
    must_listen(&w, "tcp:127.0.0.1:0");
    snprintf(text, sizeof(text), "tcp:127.0.0.1:%d", port_of(w.l));
    assert_int_equal(try_listen(&w, text, &second), -EADDRINUSE);
    snprintf(want, sizeof(want), "%s: Address already in use", text);
    assert_string_equal(w.diag.text, want);
    assert_non_null(strstr(w.diag.hint, "another program"));
    nk_listener_close(w.l);
    snprintf(text, sizeof(text), "tcp:127.0.0.1:0,reuse_port=yes");
    must_listen(&w, text);
    snprintf(text, sizeof(text), "tcp:127.0.0.1:%d,reuse_port=yes", port_of(w.l));
    assert_int_equal(try_listen(&w, text, &second), 0);
    nk_listener_close(second);
    close_world(&w);
}

/* A port on which connection attempts hang: a listener whose queue is full. */
static int black_hole(int port, int *fill)
{
    struct sockaddr_in in = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(in);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&in, len), 0);
    assert_int_equal(listen(fd, 0), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&in, &len), 0);
    fill[0] = raw_connect(AF_INET, ntohs(in.sin_port));
    fill[1] = raw_connect(AF_INET, ntohs(in.sin_port));
    return fd;
}

static int own_port(int fd)
{
    struct sockaddr_in in;
    socklen_t len = sizeof(in);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&in, &len), 0);
    return ntohs(in.sin_port);
}

static void test_connect_timeout(void **state)
{
    (void)state;
    struct world w;
    struct dialled d;
    int fill[2];
    char text[96];
    open_world(&w);
    int hole = black_hole(0, fill);
    snprintf(text, sizeof(text), "tcp:127.0.0.1:%d,timeout=3s", own_port(hole));
    uint64_t before = nk_now_ms(w.app);
    dial(&w, &d, text);
    settle(&w, &d);
    assert_int_equal(d.seen, NK_CLOSED);
    assert_int_equal(nk_stream_error(d.s, &w.diag), -ETIMEDOUT);
    assert_true(nk_now_ms(w.app) - before >= 3000);
    nk_stream_close(d.s);
    close(hole);
    close(fill[0]);
    close(fill[1]);
    close_world(&w);
}

/* RFC 8305: the second address is tried while the first hangs, and at once when the first refuses.
 */
static void test_second_address(void **state)
{
    (void)state;
    if (!has_ipv6()) {
        print_message("skipped: no IPv6 here\n");
        return;
    }
    for (int hang = 0; hang < 2; hang++) {
        struct world w;
        struct dialled d;
        int fill[2] = {-1, -1}, hole = -1, port = 0;
        char text[96];
        open_world_scaled(&w, hang ? SCALE : 1);
        if (hang) {
            hole = black_hole(0, fill);
            port = own_port(hole);
        }
        snprintf(text, sizeof(text), "tcp:[::1]:%d", port);
        must_listen(&w, text);
        snprintf(text, sizeof(text), "tcp:localhost:%d", port_of(w.l));
        uint64_t before = nk_now_ms(w.app);
        dial(&w, &d, text);
        for (int i = 0; i < 50 && !hang; i++) {
            nk_app_turn(w.app, 0); /* over long before the 250 ms of a hanging attempt */
        }
        if (hang) {
            settle(&w, &d);
            assert_true(nk_now_ms(w.app) - before >= 250);
        }
        assert_int_equal(d.seen, NK_CONNECTED);
        assert_memory_equal(nk_stream_peer(d.s, text, sizeof(text)), "[::1]:", 6);
        nk_stream_close(d.s);
        for (int i = 0; i < 2 && hang; i++) {
            close(fill[i]);
        }
        if (hang) {
            close(hole);
        }
        close_world(&w);
    }
}

static int option(struct nk_stream *s, int level, int name)
{
    int fd = -1, v = 0;
    size_t n = sizeof(fd);
    socklen_t len = sizeof(v);
    assert_int_equal(nk_stream_query(s, NK_Q_FD, &fd, &n), 0);
    assert_int_equal(getsockopt(fd, level, name, &v, &len), 0);
    return v;
}

static void test_socket_options(void **state)
{
    (void)state;
    struct world w;
    struct dialled d;
    char text[160];
    open_world(&w);
    must_listen(&w, "tcp:127.0.0.1:0,keepalive=40s,user_timeout=7s");
    snprintf(text, sizeof(text), "tcp:127.0.0.1:%d,keepalive=0", port_of(w.l));
    dial(&w, &d, text);
    settle(&w, &d);
    for (int i = 0; i < 20 && w.n == 0; i++) {
        nk_app_turn(w.app, 50);
    }
    assert_int_equal(option(d.s, IPPROTO_TCP, TCP_NODELAY), 1);
    assert_int_equal(option(d.s, SOL_SOCKET, SO_KEEPALIVE), 0);
    assert_int_equal(option(w.accepted[0], IPPROTO_TCP, TCP_NODELAY), 1);
    assert_int_equal(option(w.accepted[0], SOL_SOCKET, SO_KEEPALIVE), 1);
    assert_int_equal(option(w.accepted[0], IPPROTO_TCP, TCP_KEEPIDLE), 40);
    assert_int_equal(option(w.accepted[0], IPPROTO_TCP, TCP_USER_TIMEOUT), 7000);
    assert_int_equal(nk_stream_tune(d.s, NK_TUNE_NOTSENT_LOWAT, 131072), 0);
    assert_int_equal(option(d.s, IPPROTO_TCP, TCP_NOTSENT_LOWAT), 131072);
    assert_int_equal(nk_stream_tune(d.s, NK_TUNE_QUICKACK, 1), 0);
    nk_stream_close(d.s);
    close_world(&w);
}

/* --- unix ------------------------------------------------------------------------------------- */

static void temp_path(char *out, size_t max, const char *prefix)
{
    char dir[] = "/tmp/netkit-unix-XXXXXX";
    assert_non_null(mkdtemp(dir));
    snprintf(out, max, "%s%s/s", prefix, dir);
}

static void remove_dir_of(char *path)
{
    unlink(path);
    *strrchr(path, '/') = '\0';
    assert_int_equal(rmdir(path), 0);
}

static void test_unix_file(void **state)
{
    (void)state;
    struct world w;
    struct nk_listener *second;
    struct dialled d;
    struct stat st;
    char text[128], with_mode[160];
    open_world(&w);
    temp_path(text, sizeof(text), "unix:");
    char *path = text + 5;
    must_listen(&w, text);
    assert_int_equal(lstat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(try_listen(&w, text, &second), -EADDRINUSE); /* somebody listens: not stale */
    dial(&w, &d, text);
    settle(&w, &d);
    assert_int_equal(d.seen, NK_CONNECTED);
    nk_app_turn(w.app, 50);
    int64_t uid = -5;
    size_t n = sizeof(uid);
    assert_int_equal(nk_stream_query(w.accepted[0], NK_Q_UID, &uid, &n), 0);
    assert_int_equal(uid, getuid());
    assert_int_equal(nk_stream_tune(d.s, NK_TUNE_NODELAY, 1), -ENOENT);
    nk_stream_close(d.s);
    nk_listener_close(w.l);
    assert_int_equal(lstat(path, &st), -1); /* removed with the listener */
    snprintf(with_mode, sizeof(with_mode), "%s,mode=0666", text);
    must_listen(&w, with_mode);
    assert_int_equal(lstat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0666);
    close_world(&w);
    remove_dir_of(path);
}

static int raw_listen(const char *path)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    snprintf(un.sun_path, sizeof(un.sun_path), "%s", path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&un, sizeof(un)), 0);
    assert_int_equal(listen(fd, 0), 0);
    return fd;
}

static void test_unix_leftovers(void **state)
{
    (void)state;
    struct world w;
    struct nk_listener *l;
    struct stat st;
    char text[128];
    open_world(&w);
    temp_path(text, sizeof(text), "unix:");
    char *path = text + 5;
    close(raw_listen(path)); /* a file without a listener, as after a crash */
    must_listen(&w, text);
    unlink(path);
    int foreign = raw_listen(path); /* somebody replaced our file */
    nk_listener_close(w.l);
    w.l = NULL;
    assert_int_equal(lstat(path, &st), 0); /* theirs stays */
    close(foreign);
    unlink(path);
    close(open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600)); /* not a socket at all */
    assert_int_equal(try_listen(&w, text, &l), -EADDRINUSE);
    assert_int_equal(lstat(path, &st), 0);
    assert_true(S_ISREG(st.st_mode));
    close_world(&w);
    remove_dir_of(path);
}

/* connect() on a unix socket says EAGAIN while the queue is full. */
static void test_unix_full_backlog(void **state)
{
    (void)state;
    struct world w;
    struct dialled d[4];
    char text[128];
    open_world(&w);
    temp_path(text, sizeof(text), "unix:");
    int fd = raw_listen(text + 5); /* room for one */
    for (int i = 0; i < 4; i++) {
        dial(&w, &d[i], text);
    }
    settle(&w, &d[0]);
    nk_app_turn(w.app, 2);
    assert_int_equal(d[0].seen, NK_CONNECTED);
    assert_int_equal(d[3].seen, 0); /* waits, it is no error */
    assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    unsigned all = 0;
    for (int i = 0; i < TURNS && all != NK_CONNECTED; i++) {
        int c = accept(fd, NULL, NULL); /* makes room */
        if (c >= 0) {
            close(c);
        }
        nk_app_turn(w.app, 10);
        all = d[0].seen & d[1].seen & d[2].seen & d[3].seen;
    }
    assert_int_equal(all, NK_CONNECTED);
    for (int i = 0; i < 4; i++) {
        nk_stream_close(d[i].s);
    }
    close(fd);
    close_world(&w);
    remove_dir_of(text + 5);
}

/* --- fd --------------------------------------------------------------------------------------- */

static int listening_fd(void)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&in, sizeof(in)), 0);
    assert_int_equal(listen(fd, 5), 0);
    return fd;
}

static void test_fd_listens(void **state)
{
    (void)state;
    struct world w;
    char text[32];
    open_world(&w);
    int fd = listening_fd();
    snprintf(text, sizeof(text), "fd:%d", fd);
    for (int round = 0; round < 2; round++) { /* closing the listener keeps the descriptor */
        must_listen(&w, text);
        int c = raw_connect(AF_INET, own_port(fd));
        for (int i = 0; i < 20 && w.n <= (size_t)round; i++) {
            nk_app_turn(w.app, 50);
        }
        assert_int_equal(w.n, round + 1);
        assert_int_equal(fcntl(fd, F_GETFL) & O_NONBLOCK, 0);
        close(c);
        nk_listener_close(w.l);
        w.l = NULL;
    }
    close(fd);
    assert_int_equal(try_listen(&w, text, &w.l), -EBADF);
    fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(try_listen(&w, text, &w.l), NK_ECONFIG);
    assert_non_null(strstr(w.diag.text, "not a listening socket"));
    close(fd);
    close_world(&w);
}

static void test_fd_names(void **state)
{
    (void)state;
    struct world w;
    char pid[24];
    open_world(&w);
    assert_int_equal(try_listen(&w, "fd:web", &w.l), NK_ECONFIG);
    assert_non_null(strstr(w.diag.text, "nothing was passed"));
    setenv("LISTEN_FDS", "2", 1);
    setenv("LISTEN_FDNAMES", "db:web", 1);
    setenv("LISTEN_PID", "999999999", 1);
    assert_int_equal(try_listen(&w, "fd:web", &w.l), NK_ECONFIG);
    assert_non_null(strstr(w.diag.text, "is for process 999999999"));
    snprintf(pid, sizeof(pid), "%d", (int)getpid());
    setenv("LISTEN_PID", pid, 1);
    assert_int_equal(try_listen(&w, "fd:mail", &w.l), NK_ECONFIG);
    assert_non_null(strstr(w.diag.text, "'mail'"));
    assert_non_null(strstr(w.diag.hint, "db:web"));
    int saved = fcntl(4, F_DUPFD_CLOEXEC, 20), fd = listening_fd();
    assert_int_equal(dup2(fd, 4), 4); /* the second one from 3 on */
    must_listen(&w, "fd:web");
    char text[64], want[64];
    assert_int_equal(nk_listener_local(w.l, text, sizeof(text)), 0);
    snprintf(want, sizeof(want), "tcp:127.0.0.1:%d", own_port(fd));
    assert_string_equal(text, want);
    nk_listener_close(w.l);
    w.l = NULL;
    if (saved >= 0) {
        dup2(saved, 4);
        close(saved);
    } else {
        close(4);
    }
    if (fd != 4) {
        close(fd);
    }
    unsetenv("LISTEN_FDS");
    unsetenv("LISTEN_FDNAMES");
    unsetenv("LISTEN_PID");
    close_world(&w);
}

int nk_test_net_sockets(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_accepts_in_portions),
        cmocka_unit_test(test_pause_and_close_inside_accept),
        cmocka_unit_test(test_out_of_descriptors),
        cmocka_unit_test(test_both_families),
        cmocka_unit_test(test_one_family),
        cmocka_unit_test(test_address_in_use),
        cmocka_unit_test(test_connect_timeout),
        cmocka_unit_test(test_second_address),
        cmocka_unit_test(test_socket_options),
        cmocka_unit_test(test_unix_file),
        cmocka_unit_test(test_unix_leftovers),
        cmocka_unit_test(test_unix_full_backlog),
        cmocka_unit_test(test_fd_listens),
        cmocka_unit_test(test_fd_names),
    };
    return cmocka_run_group_tests_name("net/sockets", tests, NULL, NULL);
}
