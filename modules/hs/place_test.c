/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/secret.h"
#include "hs/place.h"

int nk_test_hs_place(void);

/* A directory of its own, and what is in it when a test has ended. */
struct fixture {
    char dir[64];
    struct hs_place place;
    struct nk_diag diag;
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    *state = f;
    if (!f || nk_crypto_init() < 0) {
        return -1;
    }
    snprintf(f->dir, sizeof(f->dir), "/tmp/nk-place-XXXXXX");
    return mkdtemp(f->dir) ? hs_place_open(&f->place, f->dir, HS_PLACE_LOCK, &f->diag) : -1;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    struct hs_names names = {0};
    int rc = hs_place_list(&f->place, &names, &f->diag);
    for (size_t i = 0; i < names.n; i++) {
        unlinkat(f->place.fd, names.v[i], 0);
    }
    hs_names_clear(&names);
    hs_place_close(&f->place);
    rc = rc < 0 || rmdir(f->dir) < 0 ? -1 : 0;
    free(f);
    return rc;
}

static mode_t mode_of(const struct fixture *f, const char *name)
{
    struct stat st;
    assert_int_equal(fstatat(f->place.fd, name, &st, AT_SYMLINK_NOFOLLOW), 0);
    return st.st_mode & 07777;
}

static void expect_file(struct fixture *f, const char *name, const char *text)
{
    struct nk_buf b;
    nk_buf_init(&b, HS_PLACE_FILE_MAX + 1);
    assert_int_equal(hs_place_read(&f->place, name, &b, &f->diag), 0);
    assert_string_equal(nk_buf_str(&b), text);
    nk_buf_clear(&b);
}

static void writes_once(void **state)
{
    struct fixture *f = *state;
    struct hs_names names;
    assert_false(hs_place_has(&f->place, "key"));
    assert_int_equal(hs_place_write(&f->place, "key", 0, "one", 3, &f->diag), 0);
    assert_true(hs_place_has(&f->place, "key"));
    assert_int_equal(mode_of(f, "key"), 0600);
    assert_int_equal(hs_place_write(&f->place, "key", 0, "two", 3, &f->diag), -EEXIST);
    assert_non_null(strstr(f->diag.text, "/key exists"));
    expect_file(f, "key", "one");
    assert_int_equal(hs_place_write(&f->place, "key", HS_PLACE_OVERWRITE, "two", 3, &f->diag), 0);
    expect_file(f, "key", "two");
    assert_int_equal(hs_place_list(&f->place, &names, &f->diag), 0);
    assert_int_equal(names.n, 1); /* no temporary file stays */
    hs_names_clear(&names);
    assert_int_equal(hs_place_remove(&f->place, "key", &f->diag), 0);
    assert_int_equal(hs_place_remove(&f->place, "key", &f->diag), -ENOENT);
}

static void follows_no_links(void **state)
{
    struct fixture *f = *state;
    struct nk_buf b;
    nk_buf_init(&b, HS_PLACE_FILE_MAX + 1);
    assert_int_equal(hs_place_write(&f->place, "target", 0, "kept", 4, &f->diag), 0);
    assert_int_equal(symlinkat("target", f->place.fd, "link"), 0);
    assert_int_equal(hs_place_read(&f->place, "link", &b, &f->diag), -ELOOP);
    assert_non_null(strstr(f->diag.text, "/link is a symbolic link"));
    assert_int_equal(hs_place_write(&f->place, "link", 0, "x", 1, &f->diag), -EEXIST);
    assert_int_equal(hs_place_write(&f->place, "link", HS_PLACE_OVERWRITE, "x", 1, &f->diag), 0);
    expect_file(f, "link", "x");
    expect_file(f, "target", "kept");
    assert_int_equal(symlinkat(".", f->place.fd, "dir"), 0);
    struct hs_place sub;
    assert_true(hs_place_sub(&sub, &f->place, "dir", 0, &f->diag) < 0);
    nk_buf_clear(&b);
}

static void refuses_what_is_no_small_file(void **state)
{
    struct fixture *f = *state;
    struct nk_buf b;
    nk_buf_init(&b, HS_PLACE_FILE_MAX + 1);
    assert_int_equal(mkfifoat(f->place.fd, "fifo", 0600), 0);
    assert_int_equal(hs_place_read(&f->place, "fifo", &b, &f->diag), -EINVAL);
    assert_int_equal(hs_place_read(&f->place, ".", &b, &f->diag), -EISDIR);
    assert_int_equal(hs_place_read(&f->place, "none", &b, &f->diag), -ENOENT);
    int fd = openat(f->place.fd, "big", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, HS_PLACE_FILE_MAX + 1), 0);
    assert_int_equal(hs_place_read(&f->place, "big", &b, &f->diag), NK_ETOOBIG);
    assert_int_equal(ftruncate(fd, HS_PLACE_FILE_MAX), 0);
    assert_int_equal(hs_place_read(&f->place, "big", &b, &f->diag), 0);
    assert_int_equal(nk_buf_len(&b), HS_PLACE_FILE_MAX);
    close(fd);
    nk_buf_clear(&b);
}

static void makes_and_drops_directories(void **state)
{
    struct fixture *f = *state;
    struct hs_place sub;
    assert_int_equal(hs_place_sub(&sub, &f->place, "a/b", 0, &f->diag), -ENOENT);
    assert_int_equal(hs_place_sub(&sub, &f->place, "a/b", HS_PLACE_CREATE, &f->diag), 0);
    assert_int_equal(mode_of(f, "a"), 0700);
    assert_int_equal(mode_of(f, "a/b"), 0700);
    assert_int_equal(hs_place_write(&sub, "key", 0, "k", 1, &f->diag), 0);
    hs_place_drop(&f->place, "a/b");
    assert_true(hs_place_has(&f->place, "a/b/key"));
    assert_int_equal(hs_place_remove(&sub, "key", &f->diag), 0);
    hs_place_drop(&f->place, "a/b");
    assert_false(hs_place_has(&f->place, "a"));
    hs_place_close(&sub);
}

static void opens_by_path(void **state)
{
    struct fixture *f = *state;
    struct hs_place p;
    char path[160];
    snprintf(path, sizeof(path), "%s/x//y/", f->dir);
    assert_int_equal(hs_place_open(&p, path, 0, &f->diag), -ENOENT);
    assert_int_equal(hs_place_open(&p, path, HS_PLACE_CREATE, &f->diag), 0);
    assert_int_equal(p.mode, 0700);
    hs_place_close(&p);
    hs_place_close(&p);
    hs_place_drop(&f->place, "x/y");
    assert_int_equal(hs_place_open(&p, "", HS_PLACE_CREATE, &f->diag), -ENOENT);
    assert_int_equal(hs_place_open(&p, "/dev/null", HS_PLACE_CREATE, &f->diag), -ENOTDIR);
    assert_int_equal(p.fd, -1);
}

static void locks_out_others(void **state)
{
    struct fixture *f = *state;
    struct hs_place second;
    assert_int_equal(hs_place_open(&second, f->dir, HS_PLACE_LOCK, &f->diag), NK_ELOCKED);
    assert_int_equal(hs_place_open(&second, f->dir, 0, &f->diag), 0);
    hs_place_close(&second);
    hs_place_close(&f->place);
    assert_int_equal(hs_place_open(&f->place, f->dir, HS_PLACE_LOCK, &f->diag), 0);
}

static void lists_in_order(void **state)
{
    struct fixture *f = *state;
    static const char *const names[] = {"c", "a", "b", ".d", "e"};
    struct hs_names l;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        assert_int_equal(hs_place_write(&f->place, names[i], 0, "", 0, &f->diag), 0);
    }
    for (int twice = 0; twice < 2; twice++) {
        assert_int_equal(hs_place_list(&f->place, &l, &f->diag), 0);
        assert_int_equal(l.n, 5);
        assert_string_equal(l.v[0], ".d");
        assert_string_equal(l.v[4], "e");
        hs_names_clear(&l);
    }
    assert_true(hs_is_leftover(".netkit-0011223344556677.tmp"));
    assert_false(hs_is_leftover(".netkit-.tmp"));
    assert_false(hs_is_leftover("a.tmp"));
}

static void gives_files_to_the_owner_of_the_directory(void **state)
{
    struct fixture *f = *state;
    struct stat st;
    struct hs_place sub;
    if (geteuid() != 0) {
        print_message("only root can write for somebody else\n");
        skip();
    }
    assert_int_equal(fchown(f->place.fd, 4242, 4243), 0);
    assert_int_equal(hs_place_write(&f->place, "key", 0, "k", 1, &f->diag), 0);
    assert_int_equal(fstatat(f->place.fd, "key", &st, 0), 0);
    assert_int_equal(st.st_uid, 4242);
    assert_int_equal(st.st_gid, 4243);
    assert_int_equal(hs_place_sub(&sub, &f->place, "sub", HS_PLACE_CREATE, &f->diag), 0);
    assert_int_equal(sub.uid, 4242);
    hs_place_close(&sub);
    hs_place_drop(&f->place, "sub");
}

int nk_test_hs_place(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(writes_once),
        TEST(follows_no_links),
        TEST(refuses_what_is_no_small_file),
        TEST(makes_and_drops_directories),
        TEST(opens_by_path),
        TEST(locks_out_others),
        TEST(lists_in_order),
        TEST(gives_files_to_the_owner_of_the_directory),
    };
#undef TEST
    return cmocka_run_group_tests_name("hs/place", tests, NULL, NULL);
}
