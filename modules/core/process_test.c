/* SPDX-License-Identifier: MIT */
/*
 * Programs of the system (sh, cat, env, ls) started through a real launcher, which is forked from
 * this test program. Their output, or the end of their output, is the event that the tests wait
 * for.
 */
#include "core/process.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/app.h"
#include "core/launch_wire.h"
#include "core/launcher.h"
#include "core/launcher_internal.h"
#include "torture.h"

enum { WAIT_MS = 20000, OUTPUT_MAX = 8192 };

struct fixture {
    struct nk_launcher *launcher;
    struct nk_app *app;
};

/* One program and what became of it. */
struct run {
    struct nk_process *p;
    struct nk_process_exit how;
    int started, ended;
    int in, out; /* our ends of its stdin and stdout */
    char text[OUTPUT_MAX];
};

static void on_start(void *owner)
{
    struct run *r = owner;
    assert_int_equal(r->ended, 0);
    assert_true(nk_process_pid(r->p) > 0);
    r->started++;
}

static void on_exit_(void *owner, const struct nk_process_exit *how)
{
    struct run *r = owner;
    r->how = *how;
    r->ended++;
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    struct nk_app_conf conf = {0};
    if (!f || nk_launcher_start(&f->launcher, NULL)) {
        return -1;
    }
    conf.launcher = f->launcher;
    *state = f;
    return nk_app_new(&f->app, &conf, NULL);
}

/* The application first, as it borrows the launcher; both may be gone already. The launcher is our
 * child: its end shows that it let go of everything. */
static void free_both(struct fixture *f)
{
    nk_app_free(f->app);
    nk_launcher_free(f->launcher);
    f->app = NULL;
    f->launcher = NULL;
    while (waitpid(-1, NULL, 0) > 0 || errno == EINTR) {
    }
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    free_both(f);
    free(f);
    return 0;
}

/* Start spec with pipes as stdin and stdout. */
static int start(struct fixture *f, struct run *r, struct nk_process_spec *spec)
{
    int in[2], out[2];
    memset(r, 0, sizeof(*r));
    assert_int_equal(pipe2(in, O_CLOEXEC), 0);
    assert_int_equal(pipe2(out, O_CLOEXEC), 0);
    spec->fds[0] = in[0];
    spec->fds[1] = out[1];
    spec->fds[2] = 2;
    if (spec->nfds == 0) {
        spec->nfds = 3;
    }
    spec->on_start = on_start;
    int rc = nk_process_start(f->app, spec, on_exit_, r, &r->p, NULL);
    assert_int_equal(r->started + r->ended, 0);
    close(in[0]);
    close(out[1]);
    r->in = in[1];
    r->out = out[0];
    return rc;
}

static void wait_ended(struct fixture *f, struct run *r)
{
    for (int i = 0; i < 1000 && !r->ended; i++) {
        nk_app_turn(f->app, WAIT_MS);
    }
    assert_int_equal(r->ended, 1);
}

/* Read until the end of output, or until n bytes when n > 0. */
static void read_output(struct run *r, size_t n)
{
    size_t have = strlen(r->text);
    while (have < OUTPUT_MAX - 1 && (n == 0 || have < n)) {
        struct pollfd p = {.fd = r->out, .events = POLLIN};
        assert_int_equal(poll(&p, 1, WAIT_MS), 1);
        ssize_t got = read(r->out, r->text + have, n ? n - have : OUTPUT_MAX - 1 - have);
        assert_true(got >= 0);
        if (got == 0) {
            break;
        }
        have += (size_t)got;
        r->text[have] = '\0';
    }
}

static void clear(struct run *r)
{
    nk_process_close(r->p);
    if (r->in >= 0) {
        close(r->in);
    }
    close(r->out);
}

static void close_in(struct run *r)
{
    close(r->in);
    r->in = -1;
}

/* Run a program to its end, stdin empty; its output is in r->text. */
static void run_spec(struct fixture *f, struct run *r, struct nk_process_spec *spec)
{
    assert_int_equal(start(f, r, spec), 0);
    close_in(r);
    wait_ended(f, r);
    if (r->started) {
        read_output(r, 0);
    }
}

static void run_argv(struct fixture *f, struct run *r, char *const *argv)
{
    struct nk_process_spec spec = {.argv = argv};
    run_spec(f, r, &spec);
}

static void run_sh(struct fixture *f, struct run *r, const char *script)
{
    char *const argv[] = {(char *)"/bin/sh", (char *)"-c", (char *)(uintptr_t)script, NULL};
    run_argv(f, r, argv);
}

/* --- ends ------------------------------------------------------------------------------------- */

static void bytes_go_through_cat(void **state)
{
    struct fixture *f = *state;
    struct run r;
    char *const argv[] = {(char *)"/bin/cat", NULL};
    struct nk_process_spec spec = {.argv = argv};
    assert_int_equal(start(f, &r, &spec), 0);
    assert_int_equal(nk_process_pid(r.p), 0);
    assert_int_equal(write(r.in, "through\n", 8), 8);
    read_output(&r, 8);
    assert_string_equal(r.text, "through\n");
    close_in(&r);
    wait_ended(f, &r);
    assert_int_equal(r.started, 1);
    assert_int_equal(r.how.error, 0);
    assert_int_equal(r.how.status, 0);
    assert_int_equal(r.how.signal, 0);
    assert_int_equal(nk_process_kill(r.p, SIGTERM), -ESRCH);
    clear(&r);
}

static void status_and_signal(void **state)
{
    struct fixture *f = *state;
    struct run r;
    run_sh(f, &r, "exit 7");
    assert_int_equal(r.how.status, 7);
    assert_int_equal(r.how.signal, 0);
    clear(&r);
    run_sh(f, &r, "kill -TERM $$");
    assert_int_equal(r.how.status, 0);
    assert_int_equal(r.how.signal, SIGTERM);
    clear(&r);
}

static void expect_failure(struct fixture *f, char *const *argv, const char *cwd, int error)
{
    struct run r;
    struct nk_process_spec spec = {.argv = argv, .cwd = cwd};
    run_spec(f, &r, &spec);
    assert_int_equal(r.started, 0);
    assert_int_equal(r.how.error, error);
    clear(&r);
}

static void failures_are_exact(void **state)
{
    struct fixture *f = *state;
    char script[] = "/tmp/nk-process-test-XXXXXX";
    int fd = mkstemp(script);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "exit 0\n", 7), 7);
    assert_int_equal(fchmod(fd, 0700), 0);
    close(fd);
    expect_failure(f, (char *const[]){(char *)"/nonexistent/program", NULL}, NULL, -ENOENT);
    expect_failure(f, (char *const[]){(char *)"nk-no-such-program", NULL}, NULL, -ENOENT);
    expect_failure(f, (char *const[]){(char *)"", NULL}, NULL, -ENOENT);
    expect_failure(f, (char *const[]){(char *)"/etc/passwd", NULL}, NULL, -EACCES);
    expect_failure(f, (char *const[]){(char *)"/bin/cat", NULL}, "/nonexistent", -ENOENT);
    /* a text file without #! is not handed to a shell, whether by path or by search */
    expect_failure(f, (char *const[]){script, NULL}, NULL, -ENOEXEC);
    char *const path[] = {(char *)"PATH=:relative:/tmp", NULL};
    struct nk_process_spec spec = {.argv = (char *const[]){script + strlen("/tmp/"), NULL},
                                   .env = path};
    struct run r;
    run_spec(f, &r, &spec);
    assert_int_equal(r.how.error, -ENOEXEC);
    clear(&r);
    unlink(script);
}

static void refusals(void **state)
{
    struct fixture *f = *state;
    struct nk_app *bare;
    struct nk_process *p = NULL;
    struct nk_diag diag;
    struct nk_app_conf conf = {0};
    char *const cat[] = {(char *)"/bin/cat", NULL};
    char *const none[] = {NULL};
    char *many[NK_PROCESS_ARGS + 2];
    struct nk_process_spec spec = {.argv = cat};
    assert_int_equal(nk_app_new(&bare, &conf, NULL), 0);
    assert_int_equal(nk_process_start(bare, &spec, on_exit_, NULL, &p, &diag), NK_EUNSUPPORTED);
    nk_app_free(bare);
    spec.argv = none;
    assert_int_equal(nk_process_start(f->app, &spec, on_exit_, NULL, &p, &diag), NK_EUSAGE);
    for (size_t i = 0; i < NK_PROCESS_ARGS + 1; i++) {
        many[i] = (char *)"x";
    }
    many[NK_PROCESS_ARGS + 1] = NULL;
    spec.argv = many;
    assert_int_equal(nk_process_start(f->app, &spec, on_exit_, NULL, &p, &diag), NK_ETOOBIG);
    char *big = malloc(NK_PROCESS_BYTES + 1);
    assert_non_null(big);
    memset(big, 'b', NK_PROCESS_BYTES);
    big[NK_PROCESS_BYTES] = '\0';
    spec.argv = (char *const[]){big, NULL};
    assert_int_equal(nk_process_start(f->app, &spec, on_exit_, NULL, &p, &diag), NK_ETOOBIG);
    assert_null(p);
    free(big);
}

/* The largest message that is allowed arrives whole. */
static void largest_request(void **state)
{
    struct fixture *f = *state;
    struct run r;
    static const char name[] = "/usr/bin/printf", format[] = "%.9s";
    size_t n = NK_PROCESS_BYTES - sizeof(name) - sizeof(format) - 1;
    char *big = malloc(n + 1);
    assert_non_null(big);
    memset(big, 'b', n);
    big[n] = '\0';
    run_argv(f, &r, (char *const[]){(char *)name, (char *)format, big, NULL});
    assert_string_equal(r.text, "bbbbbbbbb");
    clear(&r);
    free(big);
}

/* --- scratch directories ---------------------------------------------------------------------- */

static char *make_scratch(char *out, size_t max)
{
    char file[64];
    (void)snprintf(out, max, "/tmp/nk-process-test-XXXXXX");
    assert_non_null(mkdtemp(out));
    (void)snprintf(file, sizeof(file), "%s/file", out);
    int fd = open(file, O_CREAT | O_WRONLY, 0600);
    assert_true(fd >= 0);
    close(fd);
    return out;
}

/* It is gone when the end is told; also when the program could not be started. */
static void scratch_goes_with_the_program(void **state)
{
    struct fixture *f = *state;
    struct run r;
    char dir[32], cwd[16] = "/proc";
    char *const cat[] = {(char *)"/bin/cat", NULL}, *const none[] = {(char *)"/nonexistent", NULL};
    struct nk_process_spec spec = {.argv = cat, .scratch = make_scratch(dir, sizeof(dir))};
    assert_int_equal(start(f, &r, &spec), 0);
    assert_int_equal(write(r.in, "x", 1), 1);
    read_output(&r, 1);
    assert_int_equal(access(dir, F_OK), 0);
    close_in(&r);
    wait_ended(f, &r);
    assert_int_equal(access(dir, F_OK), -1);
    clear(&r);
    spec = (struct nk_process_spec){.argv = none, .scratch = make_scratch(dir, sizeof(dir))};
    run_spec(f, &r, &spec);
    assert_int_equal(r.how.error, -ENOENT);
    assert_int_equal(access(dir, F_OK), -1);
    clear(&r);
    spec = (struct nk_process_spec){.argv = (char *const[]){(char *)"/bin/pwd", NULL},
                                    .cwd = cwd,
                                    .scratch = make_scratch(dir, sizeof(dir))};
    run_spec(f, &r, &spec);
    assert_string_equal(r.text, "/proc\n");
    assert_int_equal(access(dir, F_OK), -1);
    clear(&r);
}

/* The launcher outlives us by what is to be done. */
static void scratch_goes_when_we_are_gone(void **state)
{
    struct fixture *f = *state;
    struct run r;
    char dir[32];
    char *const cat[] = {(char *)"/bin/cat", NULL};
    struct nk_process_spec spec = {.argv = cat, .scratch = make_scratch(dir, sizeof(dir))};
    assert_int_equal(start(f, &r, &spec), 0);
    assert_int_equal(write(r.in, "x", 1), 1);
    read_output(&r, 1);
    assert_int_equal(access(dir, F_OK), 0);
    free_both(f); /* as our end does: the connection to the launcher is closed */
    assert_int_equal(access(dir, F_OK), -1);
    close_in(&r);
    close(r.out);
}

/* --- what a child gets ------------------------------------------------------------------------ */

static void child_has_no_other_descriptors(void **state)
{
    struct fixture *f = *state;
    struct run r;
    int leak[5];
    for (int i = 0; i < 5; i++) {
        leak[i] = dup(2); /* without CLOEXEC */
    }
    run_argv(f, &r, (char *const[]){(char *)"/bin/ls", (char *)"/proc/self/fd", NULL});
    assert_string_equal(r.text, "0\n1\n2\n3\n"); /* 3 is the directory itself */
    clear(&r);
    for (int i = 0; i < 5; i++) {
        close(leak[i]);
    }
}

/* Numbers that overlap in every way: 3 and 4 swapped, a gap, one descriptor at two places. */
static void descriptors_are_arranged(void **state)
{
    struct fixture *f = *state;
    struct run r;
    int a[2], b[2];
    char text[8] = {0};
    assert_int_equal(pipe2(a, O_CLOEXEC), 0);
    assert_int_equal(pipe2(b, O_CLOEXEC), 0);
    char *const argv[] = {
        (char *)"/bin/sh", (char *)"-c",
        (char *)"echo a >&3; echo b >&4; echo c >&6; echo d 2>/dev/null >&5 || echo no", NULL};
    struct nk_process_spec spec = {.argv = argv, .nfds = 7, .fds = {0, 0, 0, a[1], b[1], -1, a[1]}};
    run_spec(f, &r, &spec);
    assert_string_equal(r.text, "no\n");
    assert_int_equal(read(a[0], text, 4), 4);
    assert_string_equal(text, "a\nc\n");
    assert_int_equal(read(b[0], text, 2), 2);
    assert_memory_equal(text, "b\n", 2);
    clear(&r);
    for (int i = 0; i < 2; i++) {
        close(a[i]);
        close(b[i]);
    }
}

static void missing_stdin_is_empty(void **state)
{
    struct fixture *f = *state;
    struct run r = {.out = -1, .in = -1};
    struct nk_process_spec spec = {
        .argv = (char *const[]){(char *)"/bin/cat", NULL}, .fds = {-1, -1, -1}, .nfds = 3};
    assert_int_equal(nk_process_start(f->app, &spec, on_exit_, &r, &r.p, NULL), 0);
    wait_ended(f, &r);
    assert_int_equal(r.how.error, 0);
    assert_int_equal(r.how.status, 0);
    nk_process_close(r.p);
}

static void signals_are_default(void **state)
{
    struct fixture *f = *state;
    struct run r;
    run_argv(f, &r, (char *const[]){(char *)"/bin/cat", (char *)"/proc/self/status", NULL});
    assert_non_null(strstr(r.text, "SigBlk:\t0000000000000000\n"
                                   "SigIgn:\t0000000000000000\n"
                                   "SigCgt:\t0000000000000000\n"));
    clear(&r);
}

static int setup_env(void **state)
{
    setenv("NETKIT_RELAY__PASSWORD", "secret", 1);
    setenv("NETKIT_CONFIG", "/a", 1);
    setenv("NOTIFY_SOCKET", "/n", 1);
    setenv("LISTEN_FDS", "1", 1);
    int rc = setup(state);
    /* wiped in the launcher only */
    assert_string_equal(getenv("NETKIT_RELAY__PASSWORD"), "secret");
    unsetenv("NETKIT_RELAY__PASSWORD");
    unsetenv("NETKIT_CONFIG");
    unsetenv("NOTIFY_SOCKET");
    unsetenv("LISTEN_FDS");
    return rc;
}

static void environments(void **state)
{
    struct fixture *f = *state;
    struct run r;
    struct nk_process_spec spec = {.argv = (char *const[]){(char *)"/usr/bin/env", NULL}};
    run_spec(f, &r, &spec);
    assert_non_null(strstr(r.text, "PATH="));
    assert_non_null(strstr(r.text, "NETKIT_CONFIG=/a\n"));
    assert_null(strstr(r.text, "NETKIT_RELAY__PASSWORD"));
    assert_null(strstr(r.text, "NOTIFY_SOCKET"));
    assert_null(strstr(r.text, "LISTEN_FDS"));
    clear(&r);
    spec.env_all = true;
    run_spec(f, &r, &spec);
    assert_non_null(strstr(r.text, "NETKIT_RELAY__PASSWORD=secret\n"));
    assert_non_null(strstr(r.text, "NOTIFY_SOCKET=/n\n"));
    assert_null(strstr(r.text, "LISTEN_FDS"));
    clear(&r);
    spec.env = (char *const[]){(char *)"NETKIT_CONFIG=/b", (char *)"NEW=1", NULL};
    spec.env_add = true;
    run_spec(f, &r, &spec);
    assert_non_null(strstr(r.text, "NETKIT_RELAY__PASSWORD=secret\n"));
    assert_non_null(strstr(r.text, "PATH="));
    assert_non_null(strstr(r.text, "NETKIT_CONFIG=/b\n"));
    assert_null(strstr(r.text, "NETKIT_CONFIG=/a\n"));
    assert_non_null(strstr(r.text, "NEW=1\n"));
    clear(&r);
    spec.env_add = false;
    spec.env = (char *const[]){(char *)"ONLY=this", NULL};
    run_spec(f, &r, &spec);
    assert_string_equal(r.text, "ONLY=this\n");
    clear(&r);
}

/* --- groups, ends, detached ------------------------------------------------------------------- */

static void start_sh(struct fixture *f, struct run *r, const char *script, bool detach)
{
    char *const argv[] = {(char *)"/bin/sh", (char *)"-c", (char *)(uintptr_t)script, NULL};
    struct nk_process_spec spec = {.argv = argv, .detach = detach};
    assert_int_equal(start(f, r, &spec), 0);
}

/* The grandchild holds the output: its end shows that the signal went to the whole group. */
static void kill_reaches_the_group(void **state)
{
    struct fixture *f = *state;
    struct run r;
    start_sh(f, &r, "sleep 1000 & echo go; wait", false);
    read_output(&r, 3);
    assert_int_equal(nk_process_kill(r.p, SIGTERM), 0);
    wait_ended(f, &r);
    assert_int_equal(r.how.signal, SIGTERM);
    read_output(&r, 0);
    clear(&r);
}

static void close_ends_the_child(void **state)
{
    struct fixture *f = *state;
    struct run r;
    start_sh(f, &r, "sleep 1000 & echo go; wait", false);
    read_output(&r, 3);
    nk_process_close(r.p);
    r.p = NULL;
    read_output(&r, 0); /* the end of file */
    nk_app_turn(f->app, 0);
    assert_int_equal(r.ended, 0);
    clear(&r);
}

/* One that ignores TERM is killed when the grace is over, here when netkit goes away. */
static void lost_connection_ends_children(void **state)
{
    struct fixture *f = *state;
    struct run r;
    start_sh(f, &r, "trap '' TERM; echo go; read x", false);
    read_output(&r, 3);
    free_both(f); /* nobody closed the process: it goes with the application */
    r.p = NULL;
    read_output(&r, 0);
    assert_string_equal(r.text, "go\n");
    clear(&r);
}

static void detached_child_survives(void **state)
{
    struct fixture *f = *state;
    struct run r;
    start_sh(f, &r, "echo go; read x; echo got $x", true);
    read_output(&r, 3);
    nk_process_close(r.p);
    r.p = NULL;
    free_both(f); /* returns when the launcher has ended */
    assert_int_equal(write(r.in, "word\n", 5), 5);
    read_output(&r, 0);
    assert_string_equal(r.text, "go\ngot word\n");
    clear(&r);
}

static void burst(void **state)
{
    struct fixture *f = *state;
    enum { N = 400 }; /* more than the connection takes at once */
    struct run *runs = calloc(N, sizeof(*runs));
    assert_non_null(runs);
    for (int i = 0; i < N; i++) {
        char number[8];
        snprintf(number, sizeof(number), "%d", i % 256);
        struct nk_process_spec spec = {.argv = (char *const[]){(char *)"/bin/sh", (char *)"-c",
                                                               (char *)"exit $1", (char *)"sh",
                                                               number, NULL},
                                       .fds = {-1, -1, 2},
                                       .nfds = 3};
        assert_int_equal(nk_process_start(f->app, &spec, on_exit_, &runs[i], &runs[i].p, NULL), 0);
    }
    for (int i = 0; i < N; i++) {
        wait_ended(f, &runs[i]);
        assert_int_equal(runs[i].how.error, 0);
        assert_int_equal(runs[i].how.status, i % 256);
        nk_process_close(runs[i].p);
    }
    free(runs);
}

static void dead_launcher(void **state)
{
    struct fixture *f = *state;
    struct run r, second;
    start_sh(f, &r, "echo $PPID; read x", false);
    struct nk_process *kept = r.p;
    for (int i = 0; i < 100 && !strchr(r.text, '\n'); i++) {
        read_output(&r, strlen(r.text) + 1);
    }
    assert_int_equal(kill((pid_t)strtol(r.text, NULL, 10), SIGKILL), 0);
    wait_ended(f, &r);
    assert_ptr_equal(r.p, kept);
    assert_int_equal(r.how.error, NK_ECLOSED);
    read_output(&r, 0); /* the parent-death signal has ended the child */
    clear(&r);
    struct nk_process_spec spec = {.argv = (char *const[]){(char *)"/bin/cat", NULL}};
    assert_int_equal(start(f, &second, &spec), NK_ECLOSED);
    clear(&second);
}

/* --- without memory --------------------------------------------------------------------------- */

static int ends_with_3(struct nk_app *app, struct run *r)
{
    nk_torture_pause();
    for (int i = 0; i < 1000 && !r->ended; i++) {
        nk_app_turn(app, WAIT_MS);
    }
    nk_torture_resume();
    return r->ended == 1 && r->how.error == 0 && r->how.status == 3 ? 0 : 1;
}

/* The application is new each time, so that its first use of the launcher is part of it; its own
 * memory is not. */
static int start_once(void *arg)
{
    struct run r = {0};
    struct nk_app *app;
    struct nk_app_conf conf = {.launcher = arg};
    struct nk_process_spec spec = {
        .argv = (char *const[]){(char *)"/bin/sh", (char *)"-c", (char *)"exit 3", NULL}};
    nk_torture_pause();
    int rc = nk_app_new(&app, &conf, NULL);
    nk_torture_resume();
    if (rc < 0) {
        return 1;
    }
    rc = nk_process_start(app, &spec, on_exit_, &r, &r.p, NULL);
    if (rc == 0) {
        rc = ends_with_3(app, &r);
        nk_process_close(r.p);
    }
    nk_torture_pause();
    nk_app_free(app);
    nk_torture_resume();
    return rc;
}

static void start_without_memory(void **state)
{
    struct fixture *f = *state;
    assert_true(nk_torture(start_once, f->launcher) >= 4);
}

#define PROCESS_TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int nk_test_core_process(void)
{
    const struct CMUnitTest tests[] = {
        PROCESS_TEST(bytes_go_through_cat),
        PROCESS_TEST(status_and_signal),
        PROCESS_TEST(failures_are_exact),
        PROCESS_TEST(refusals),
        PROCESS_TEST(largest_request),
        PROCESS_TEST(scratch_goes_with_the_program),
        PROCESS_TEST(scratch_goes_when_we_are_gone),
        PROCESS_TEST(child_has_no_other_descriptors),
        PROCESS_TEST(descriptors_are_arranged),
        PROCESS_TEST(missing_stdin_is_empty),
        PROCESS_TEST(signals_are_default),
        cmocka_unit_test_setup_teardown(environments, setup_env, teardown),
        PROCESS_TEST(kill_reaches_the_group),
        PROCESS_TEST(close_ends_the_child),
        PROCESS_TEST(lost_connection_ends_children),
        PROCESS_TEST(detached_child_survives),
        PROCESS_TEST(burst),
        PROCESS_TEST(dead_launcher),
        PROCESS_TEST(start_without_memory),
    };
    return cmocka_run_group_tests_name("core/process", tests, NULL, NULL);
}
