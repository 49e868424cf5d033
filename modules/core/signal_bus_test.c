/* SPDX-License-Identifier: MIT */
/* Mapped files that are cut off, in processes that end of it. */
#include "core/signal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

int nk_test_core_signal_bus(void);

enum { FILE_BYTES = 1 << 20, LEFT = 4096, TOUCHED = 300 * 1000, SURVIVED = 3, TEXT = 1024 };

struct fixture {
    char path[64];
    const volatile unsigned char *map;
};

static void open_file(struct fixture *f)
{
    strcpy(f->path, "/tmp/nk bus XXXXXX"); /* the path is the rest of a line, blanks and all */
    int fd = mkstemp(f->path);
    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, FILE_BYTES), 0);
    f->map = mmap(NULL, FILE_BYTES, PROT_READ, MAP_SHARED, fd, 0);
    assert_true(f->map != MAP_FAILED);
    assert_int_equal(f->map[TOUCHED], 0);
    assert_int_equal(ftruncate(fd, LEFT), 0);
    close(fd);
}

static void close_file(struct fixture *f)
{
    assert_int_equal(munmap((void *)(uintptr_t)f->map, FILE_BYTES), 0);
    assert_int_equal(unlink(f->path), 0);
}

static void *touch(void *arg)
{
    const struct fixture *f = arg;
    (void)f->map[TOUCHED];
    return NULL;
}

static void touch_in_thread(struct fixture *f)
{
    pthread_t t;
    if (pthread_create(&t, NULL, touch, f) == 0) {
        pthread_join(t, NULL);
    }
}

static void touch_here(struct fixture *f)
{
    touch(f);
}

static void no_file(struct fixture *f)
{
    (void)f;
    raise(SIGBUS);
    raise(SIGBUS);
}

/* How a process that does this ends, and what it says. */
static int status_of(struct fixture *f, void (*act)(struct fixture *f), char said[TEXT])
{
    int p[2], status;
    assert_int_equal(pipe(p), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        dup2(p[1], STDERR_FILENO);
        if (nk_signal_bus() == 0) {
            act(f);
        }
        _exit(SURVIVED);
    }
    close(p[1]);
    size_t n = 0;
    ssize_t got;
    while (n < TEXT - 1 && (got = read(p[0], said + n, TEXT - 1 - n)) > 0) {
        n += (size_t)got;
    }
    said[n] = '\0';
    close(p[0]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

static void test_cut_off(void **state)
{
    static void (*const acts[])(struct fixture *) = {touch_here, touch_in_thread};
    char said[TEXT], want[TEXT];
    struct fixture f;
    (void)state;
    open_file(&f);
    snprintf(want, sizeof(want), "netkit: error: %s cannot be read at byte %d: ", f.path, TOUCHED);
    for (size_t i = 0; i < sizeof(acts) / sizeof(acts[0]); i++) {
        int status = status_of(&f, acts[i], said);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), NK_EXIT_IO);
        assert_memory_equal(said, want, strlen(want));
    }
    close_file(&f);
}

/* Another reason for the signal ends the process as it always did. */
static void test_no_file(void **state)
{
    char said[TEXT];
    (void)state;
    int status = status_of(NULL, no_file, said);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGBUS);
    assert_string_equal(said, "");
}

int nk_test_core_signal_bus(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cut_off),
        cmocka_unit_test(test_no_file),
    };
    return cmocka_run_group_tests_name("core/signal_bus", tests, NULL, NULL);
}
