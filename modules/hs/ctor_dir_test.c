/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/onion.h"
#include "hs/ctor_dir.h"
#include "hs/store_testkit.h"

int nk_test_hs_ctor_dir(void);

enum { FILE_MAX = 256 };

static void writes_what_tor_reads(void **state)
{
    struct hs_testdir *d = *state;
    struct hs_identity k;
    char path[NK_PATH_MAX], bytes[FILE_MAX], address[NK_ONION_SIZE];
    struct stat st;
    hs_testdir_at(d, "a/web", path);
    assert_int_equal(hs_ctor_dir_write(path, &d->service.identity, &d->diag), 0);
    assert_int_equal(fstatat(d->place.fd, "a/web", &st, 0), 0);
    assert_int_equal(st.st_mode & 07777, 0700);
    assert_int_equal(hs_testdir_get(d, "a/web/hs_ed25519_secret_key", bytes, sizeof(bytes)), 96);
    assert_memory_equal(bytes, "== ed25519v1-secret: type0 ==\0\0\0", 32);
    assert_memory_equal(bytes + 32, d->service.identity.secret, HS_EXPANDED);
    assert_int_equal(hs_testdir_get(d, "a/web/hs_ed25519_public_key", bytes, sizeof(bytes)), 64);
    assert_memory_equal(bytes + 32, d->service.identity.pub, HS_PUBLIC_KEY);
    hs_testdir_get(d, "a/web/hostname", bytes, sizeof(bytes));
    nk_onion_format(address, d->service.identity.pub);
    assert_int_equal(strlen(bytes), strlen(address) + 1);
    assert_memory_equal(bytes, address, strlen(address));
    assert_int_equal(fstatat(d->place.fd, "a/web/hs_ed25519_secret_key", &st, 0), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(hs_ctor_dir_read(path, &k, &d->diag), 0);
    assert_true(k.has_secret && hs_identity_same(&k, &d->service.identity));
    hs_identity_wipe(&k);
}

static void never_replaces_a_key(void **state)
{
    struct hs_testdir *d = *state;
    struct hs_identity other, k;
    char path[NK_PATH_MAX];
    hs_testdir_at(d, "web", path);
    assert_int_equal(hs_identity_new(&other), 0);
    assert_int_equal(hs_ctor_dir_write(path, &d->service.identity, &d->diag), 0);
    assert_int_equal(hs_ctor_dir_write(path, &other, &d->diag), -EEXIST);
    assert_non_null(strstr(d->diag.hint, "hs show"));
    assert_int_equal(hs_ctor_dir_write(path, &d->service.identity, &d->diag), -EEXIST);
    assert_int_equal(hs_ctor_dir_read(path, &k, &d->diag), 0);
    assert_true(hs_identity_same(&k, &d->service.identity));
    /* what another implementation left, or what is no key at all */
    unlinkat(d->place.fd, "web/hs_ed25519_secret_key", 0);
    assert_int_equal(hs_ctor_dir_write(path, &other, &d->diag), -EEXIST);
    hs_testdir_put(d, "web/hs_ed25519_public_key", "x", 1, 0600);
    assert_int_equal(hs_ctor_dir_write(path, &d->service.identity, &d->diag), -EEXIST);
    assert_int_equal(fchmodat(d->place.fd, "web", 0755, 0), 0);
    assert_int_equal(hs_ctor_dir_write(path, &other, &d->diag), NK_EBADMODE);
    struct hs_identity public;
    assert_int_equal(hs_identity_from_public(&public, other.pub, &d->diag), 0);
    assert_int_equal(hs_ctor_dir_write(path, &public, &d->diag), NK_EUNSUPPORTED);
}

/* However far a write came before it was killed, the same key can be written again, and no state in
 * between has a secret half without its public one. */
static void completes_an_interrupted_write(void **state)
{
    struct hs_testdir *d = *state;
    struct hs_identity k;
    char path[NK_PATH_MAX];
    hs_testdir_at(d, "web", path);
    for (int step = 0; step < 3; step++) {
        if (step >= 1) {
            hs_testdir_key(d, "web/hs_ed25519_public_key", &d->service, HS_CTOR_PUBLIC);
        }
        if (step >= 2) {
            hs_testdir_key(d, "web/hostname", &d->service, HS_HOSTNAME);
        }
        hs_testdir_put(d, "web/.netkit-0011223344556677.tmp", "x", 1, 0600);
        assert_int_equal(hs_ctor_dir_write(path, &d->service.identity, &d->diag), 0);
        assert_int_equal(hs_ctor_dir_read(path, &k, &d->diag), 0);
        assert_true(k.has_secret);
        unlinkat(d->place.fd, "web/hs_ed25519_secret_key", 0);
        unlinkat(d->place.fd, "web/hs_ed25519_public_key", 0);
        unlinkat(d->place.fd, "web/hostname", 0);
    }
}

static void leaves_nothing_after_a_failure(void **state)
{
    struct hs_testdir *d = *state;
    char path[NK_PATH_MAX];
    hs_testdir_at(d, "web", path);
    hs_testdir_put(d, "web/hostname/in-the-way", "", 0, 0600);
    assert_true(hs_ctor_dir_write(path, &d->service.identity, &d->diag) < 0);
    assert_false(hs_place_has(&d->place, "web/hs_ed25519_public_key"));
    assert_false(hs_place_has(&d->place, "web/hs_ed25519_secret_key"));
    assert_true(hs_place_has(&d->place, "web/hostname/in-the-way"));
}

static void reads_strictly(void **state)
{
    struct hs_testdir *d = *state;
    struct hs_identity k, other;
    struct hs_item item;
    char path[NK_PATH_MAX];
    hs_testdir_at(d, "web", path);
    assert_int_equal(hs_ctor_dir_read(path, &k, &d->diag), -ENOENT);
    hs_testdir_put(d, "web/hostname", "x", 1, 0600);
    assert_int_equal(hs_ctor_dir_read(path, &k, &d->diag), -ENOENT);
    hs_testdir_key(d, "web/hs_ed25519_public_key", &d->service, HS_CTOR_PUBLIC);
    assert_int_equal(hs_ctor_dir_read(path, &k, &d->diag), 0);
    assert_false(k.has_secret);
    hs_testdir_key(d, "web/hs_ed25519_secret_key", &d->service, HS_CTOR_SECRET);
    assert_int_equal(hs_ctor_dir_read(path, &k, &d->diag), 0);
    assert_true(k.has_secret);
    assert_int_equal(hs_identity_new(&other), 0);
    hs_item_from_identity(&item, &other);
    hs_testdir_key(d, "web/hs_ed25519_public_key", &item, HS_CTOR_PUBLIC);
    assert_int_equal(hs_ctor_dir_read(path, &k, &d->diag), NK_EFORMAT);
    assert_non_null(strstr(d->diag.text, "not the public half"));
    hs_testdir_put(d, "web/hs_ed25519_secret_key", "short", 5, 0600);
    assert_int_equal(hs_ctor_dir_read(path, &k, &d->diag), NK_EFORMAT);
    assert_non_null(strstr(d->diag.text, "web/hs_ed25519_secret_key"));
    assert_int_equal(fchmodat(d->place.fd, "web", 0750, 0), 0);
    assert_int_equal(fchownat(d->place.fd, "web", (uid_t)-1, 54321, 0), 0);
    assert_int_equal(hs_ctor_dir_read(path, &k, &d->diag), NK_EBADMODE);
}

static void one_writer_at_a_time(void **state)
{
    struct hs_testdir *d = *state;
    struct hs_place p;
    char path[NK_PATH_MAX];
    hs_testdir_at(d, "web", path);
    assert_int_equal(hs_place_open(&p, path, HS_PLACE_CREATE | HS_PLACE_LOCK, &d->diag), 0);
    assert_int_equal(hs_ctor_dir_write(path, &d->service.identity, &d->diag), NK_ELOCKED);
    hs_place_close(&p);
    assert_int_equal(hs_ctor_dir_write(path, &d->service.identity, &d->diag), 0);
}

int nk_test_hs_ctor_dir(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, hs_testdir_open, hs_testdir_close)
    const struct CMUnitTest tests[] = {
        TEST(writes_what_tor_reads),
        TEST(never_replaces_a_key),
        TEST(completes_an_interrupted_write),
        TEST(leaves_nothing_after_a_failure),
        TEST(reads_strictly),
        TEST(one_writer_at_a_time),
    };
#undef TEST
    return cmocka_run_group_tests_name("hs/ctor_dir", tests, NULL, NULL);
}
