/* SPDX-License-Identifier: MIT */
#include "base/secret.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/err.h"

static int init(void **state)
{
    (void)state;
    return nk_crypto_init();
}

static void init_twice_is_fine(void **state)
{
    (void)state;
    assert_int_equal(nk_crypto_init(), 0);
}

static void set_replace_clear(void **state)
{
    (void)state;
    struct nk_secret s = {0};
    assert_int_equal(nk_secret_set(&s, "password", 8), 0);
    assert_int_equal(s.len, 8);
    assert_memory_equal(s.data, "password", 8);
    assert_int_equal(nk_secret_set(&s, s.data + 4, 4), 0); /* from itself */
    assert_memory_equal(s.data, "word", 4);
    assert_int_equal(nk_secret_set(&s, "x", (size_t)NK_SECRET_MAX + 1), NK_ETOOBIG);
    assert_memory_equal(s.data, "word", 4);
    assert_int_equal(nk_secret_set(&s, NULL, 0), 0);
    assert_null(s.data);
    assert_int_equal(s.len, 0);
    assert_int_equal(nk_secret_alloc(&s, 32), 0);
    for (size_t i = 0; i < 32; i++)
        assert_int_equal(s.data[i], 0);
    assert_int_equal(nk_secret_alloc(&s, (size_t)NK_SECRET_MAX + 1), NK_ETOOBIG);
    assert_int_equal(s.len, 32);
    nk_secret_clear(&s);
    nk_secret_clear(&s);
    assert_null(s.data);
}

static void largest_secret_fits(void **state)
{
    (void)state;
    struct nk_secret s = {0};
    assert_int_equal(nk_secret_alloc(&s, NK_SECRET_MAX), 0);
    memset(s.data, 0xaa, s.len);
    nk_secret_clear(&s);
}

static void comparison_fails_closed(void **state)
{
    (void)state;
    struct nk_secret s = {0};
    assert_false(nk_secret_eq(&s, "", 0));
    assert_false(nk_secret_eq(&s, NULL, 0));
    assert_int_equal(nk_secret_set(&s, "abc", 3), 0);
    assert_true(nk_secret_eq(&s, "abc", 3));
    assert_false(nk_secret_eq(&s, "abd", 3));
    assert_false(nk_secret_eq(&s, "abcd", 4));
    assert_false(nk_secret_eq(&s, "ab", 2));
    assert_false(nk_secret_eq(&s, "", 0));
    nk_secret_clear(&s);
}

static void wiping(void **state)
{
    (void)state;
    uint8_t key[32];
    memset(key, 0x5a, sizeof key);
    nk_wipe(key, 16);
    for (size_t i = 0; i < sizeof key; i++)
        assert_int_equal(key[i], i < 16 ? 0 : 0x5a);
    nk_wipe(NULL, 0);
    nk_free_wiped(NULL, 0);
    nk_free_wiped(malloc(8), 8);
}

static void random_values(void **state)
{
    (void)state;
    uint8_t a[32] = {0}, b[32] = {0};
    nk_random(a, sizeof a);
    nk_random(b, sizeof b);
    assert_memory_not_equal(a, b, sizeof a);
    unsigned seen = 0;
    for (int i = 0; i < 1000; i++) {
        uint32_t v = nk_random_u32(5);
        assert_true(v < 5);
        seen |= 1u << v;
    }
    assert_int_equal(seen, 31);
    assert_int_equal(nk_random_u32(1), 0);
}

/* In a child, because hardening cannot be undone. */
static void hardening(void **state)
{
    (void)state;
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct rlimit lim;
        umask(027);
        int ok = nk_process_harden() == 027 && prctl(PR_GET_DUMPABLE) == 0 &&
                 getrlimit(RLIMIT_CORE, &lim) == 0 && lim.rlim_cur == 0 && lim.rlim_max == 0 &&
                 umask(0) == 077;
        _exit(ok ? 0 : 1);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

int nk_test_base_secret(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(init_twice_is_fine),
        cmocka_unit_test(set_replace_clear),
        cmocka_unit_test(largest_secret_fits),
        cmocka_unit_test(comparison_fails_closed),
        cmocka_unit_test(wiping),
        cmocka_unit_test(random_values),
        cmocka_unit_test(hardening),
    };
    return cmocka_run_group_tests_name("base/secret", tests, init, NULL);
}
