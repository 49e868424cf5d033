/* SPDX-License-Identifier: MIT */
/* The limit of open files, in a child process: a hard limit does not come back. */
#include "core/files.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/* What `check` returns in a child with these limits. */
static int in_child(rlim_t soft, rlim_t hard, int (*check)(void))
{
    int status;
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        const struct rlimit limit = {soft, hard};
        _exit(setrlimit(RLIMIT_NOFILE, &limit) < 0 ? 99 : check());
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static int raises(void)
{
    return nk_files_limit() == 64 && nk_files_raise() == 200 && nk_files_limit() == 200 ? 0 : 1;
}

static int keeps(void)
{
    return nk_files_raise() == 100 && nk_files_limit() == 100 ? 0 : 1;
}

static int tells(void)
{
    static const char key[] = "max_connections";
    bool fits = nk_files_tell(NULL, NK_LOG_WARN, "test", key, 152, 1);
    bool beyond = nk_files_tell(NULL, NK_LOG_WARN, "test", key, 153, 1);
    bool pairs = nk_files_tell(NULL, NK_LOG_WARN, "test", key, 77, 2);
    return !fits && beyond && pairs ? 0 : 1;
}

static int nothing_left(void)
{
    return nk_files_tell(NULL, NK_LOG_WARN, "test", "max_connections", 1, 1) ? 0 : 1;
}

static void soft_follows_hard(void **state)
{
    (void)state;
    assert_int_equal(in_child(64, 200, raises), 0);
    assert_int_equal(in_child(100, 100, keeps), 0);
}

static void what_cannot_be_reached(void **state)
{
    (void)state;
    assert_int_equal(in_child(200, 200, tells), 0);
    assert_int_equal(in_child(40, 40, nothing_left), 0);
}

int nk_test_core_files(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(soft_follows_hard),
                                       cmocka_unit_test(what_cannot_be_reached)};
    return cmocka_run_group_tests_name("core/files", tests, NULL, NULL);
}
