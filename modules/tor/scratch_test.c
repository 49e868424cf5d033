/* SPDX-License-Identifier: MIT */
/* Temporary directories: held while somebody has them, removed when nobody has, and nothing else.
 */
#include "tor/scratch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/file.h"

int nk_test_tor_scratch(void);

enum { PATH_SIZE = 256 };

struct place {
    char base[64];
};

static int set_up(void **state)
{
    static struct place p;
    (void)snprintf(p.base, sizeof(p.base), "/tmp/nk-scratch-XXXXXX");
    *state = &p;
    return mkdtemp(p.base) ? 0 : -1;
}

static int tear_down(void **state)
{
    const struct place *p = *state;
    return nk_remove_tree(p->base);
}

static const char *in(const struct place *p, char *out, const char *name)
{
    (void)snprintf(out, PATH_SIZE, "%s/%s", p->base, name);
    return out;
}

static bool there(const char *path)
{
    struct stat st;
    return lstat(path, &st) == 0;
}

static void held_until_the_owner_is_gone(void **state)
{
    const struct place *p = *state;
    char dir[PATH_SIZE], other[PATH_SIZE], inner[PATH_SIZE * 2];
    struct stat st;
    int lock = -1, second = -1;
    assert_int_equal(tor_scratch_make(p->base, dir, sizeof(dir), &lock, NULL), 0);
    assert_int_equal(stat(dir, &st), 0);
    assert_int_equal(st.st_mode, S_IFDIR | 0700);
    assert_int_equal(strlen(dir),
                     strlen(p->base) + 1 + strlen(TOR_SCRATCH_PREFIX) + TOR_SCRATCH_RANDOM);
    (void)snprintf(inner, sizeof(inner), "%s/data", dir);
    assert_int_equal(mkdir(inner, 0700), 0);
    tor_scratch_sweep(p->base);
    assert_true(there(inner));
    close(lock);
    assert_int_equal(tor_scratch_make(p->base, other, sizeof(other), &second, NULL), 0);
    assert_false(there(dir));
    assert_true(there(other));
    close(second);
    tor_scratch_sweep(p->base);
    assert_false(there(other));
}

static void what_is_not_ours_stays(void **state)
{
    static const char *const names[] = {"netkit-tor-", "netkit-tor-abcde", "netkit-tor-abcdefg",
                                        "netkit-tox-abcdef", "abcdef"};
    const struct place *p = *state;
    char path[PATH_SIZE], kept[PATH_SIZE];
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        assert_int_equal(mkdir(in(p, path, names[i]), 0700), 0);
    }
    assert_int_equal(mkdir(in(p, kept, "netkit-tor-open00"), 0750), 0); /* others may look in */
    assert_int_equal(symlink(in(p, path, "abcdef"), in(p, kept, "netkit-tor-link00")), 0);
    FILE *file = fopen(in(p, kept, "netkit-tor-file00"), "w");
    assert_non_null(file);
    fclose(file);
    tor_scratch_sweep(p->base);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        assert_true(there(in(p, path, names[i])));
    }
    assert_true(there(in(p, path, "netkit-tor-open00")));
    assert_true(there(in(p, path, "netkit-tor-link00")));
    assert_true(there(in(p, path, "netkit-tor-file00")));
}

/* Where others could put something else in its place nothing is removed; /tmp has the sticky bit.
 */
static void unsafe_places_are_left_alone(void **state)
{
    const struct place *p = *state;
    char path[PATH_SIZE];
    assert_int_equal(mkdir(in(p, path, "netkit-tor-stale0"), 0700), 0);
    assert_int_equal(chmod(p->base, 0777), 0);
    tor_scratch_sweep(p->base);
    assert_true(there(path));
    assert_int_equal(chmod(p->base, 01777), 0);
    tor_scratch_sweep(p->base);
    assert_false(there(path));
}

static void another_users_directory_stays(void **state)
{
    const struct place *p = *state;
    char path[PATH_SIZE];
    if (geteuid() != 0) {
        print_message("skipped: only root can give directories away\n");
        skip();
    }
    assert_int_equal(mkdir(in(p, path, "netkit-tor-other0"), 0700), 0);
    assert_int_equal(chown(path, 65534, 65534), 0);
    tor_scratch_sweep(p->base);
    assert_true(there(path));
}

static void places_that_are_none(void **state)
{
    const struct place *p = *state;
    char dir[PATH_SIZE], path[PATH_SIZE];
    int lock = -1;
    struct nk_diag diag;
    tor_scratch_sweep(in(p, path, "nowhere"));
    assert_int_equal(tor_scratch_make(path, dir, sizeof(dir), &lock, &diag), -ENOENT);
    assert_int_equal(tor_scratch_make(p->base, dir, strlen(p->base) + 5, &lock, &diag), NK_ETOOBIG);
    assert_int_equal(lock, -1);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int nk_test_tor_scratch(void)
{
    const struct CMUnitTest tests[] = {
        TEST(held_until_the_owner_is_gone), TEST(what_is_not_ours_stays),
        TEST(unsafe_places_are_left_alone), TEST(another_users_directory_stays),
        TEST(places_that_are_none),
    };
    return cmocka_run_group_tests_name("tor/scratch", tests, NULL, NULL);
}
