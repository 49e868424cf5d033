/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/onion.h"
#include "hs/client_dir.h"
#include "hs/keystore.h"
#include "hs/store_testkit.h"

int nk_test_hs_store(void);

enum { FILE_MAX = 1024 };

static struct hs_store open_store(struct hs_testdir *d, enum hs_store_kind kind,
                                  enum hs_store_access access)
{
    struct hs_store s;
    char path[NK_PATH_MAX];
    hs_testdir_at(d, hs_store_name(kind), path);
    assert_int_equal(hs_store_open(&s, kind, path, access, &d->diag), 0);
    return s;
}

static size_t count(struct hs_testdir *d, const struct hs_store *s)
{
    struct hs_client_entries l;
    assert_int_equal(hs_store_list(s, &l, &d->diag), 0);
    size_t n = l.n;
    hs_client_entries_clear(&l);
    return n;
}

/* Everything that can be done with one key, in either kind of store. */
static void keeps_keys(struct hs_testdir *d, enum hs_store_kind kind)
{
    struct hs_store s = open_store(d, kind, HS_STORE_CREATE);
    struct hs_client k, other;
    const uint8_t *address = d->client.address;
    char name[NK_PATH_MAX], found[NK_PATH_MAX], kept[NK_PATH_MAX];
    assert_int_equal(hs_store_find(&s, address, NULL, found, &d->diag), -ENOENT);
    assert_int_equal(hs_store_add(&s, address, &d->client.client, name, &d->diag), 0);
    assert_int_equal(hs_store_add(&s, address, &d->client.client, NULL, &d->diag), -EEXIST);
    assert_int_equal(hs_store_find(&s, address, "any", found, &d->diag), 0);
    assert_string_equal(found, name);
    assert_int_equal(hs_store_read(&s, name, address, &k, &d->diag), 0);
    assert_memory_equal(k.secret, d->client.client.secret, sizeof(k.secret));
    assert_int_equal(hs_client_new(&other), 0);
    assert_int_equal(hs_store_replace(&s, name, address, &other, true, kept, &d->diag), 0);
    assert_int_equal(hs_store_read(&s, name, address, &k, &d->diag), 0);
    assert_true(hs_client_same(&k, &other));
    assert_non_null(strstr(kept, HS_STORE_REPLACED "/"));
    assert_int_equal(count(d, &s), 1); /* the old one is outside */
    struct hs_item old;
    assert_int_equal(hs_format_load(kept, NULL, &old, &d->diag), 0);
    assert_true(hs_client_same(&old.client, &d->client.client));
    assert_memory_equal(old.address, address, HS_PUBLIC_KEY);
    assert_int_equal(hs_store_replace(&s, name, address, &other, false, kept, &d->diag), 0);
    assert_string_equal(kept, "");
    assert_int_equal(hs_store_remove(&s, name, &d->diag), 0);
    assert_int_equal(hs_store_remove(&s, name, &d->diag), -ENOENT);
    assert_int_equal(count(d, &s), 0);
    hs_store_close(&s);
}

static void arti_keeps_keys(void **state)
{
    struct hs_testdir *d = *state;
    keeps_keys(d, HS_STORE_ARTI);
    assert_false(hs_place_has(&d->place, "arti/client")); /* no empty directories stay */
}

static void ctor_keeps_keys(void **state)
{
    keeps_keys(*state, HS_STORE_CTOR);
}

static void ctor_files_are_tors(void **state)
{
    struct hs_testdir *d = *state;
    struct hs_store s = open_store(d, HS_STORE_CTOR, HS_STORE_CREATE);
    char name[NK_PATH_MAX], path[NK_PATH_MAX], text[FILE_MAX], address[NK_ONION_SIZE];
    assert_int_equal(hs_store_add(&s, d->client.address, &d->client.client, name, &d->diag), 0);
    nk_onion_format(address, d->client.address);
    address[NK_ONION_LABEL] = '\0';
    assert_int_equal(strncmp(name, address, NK_ONION_LABEL), 0);
    assert_string_equal(name + NK_ONION_LABEL, ".auth_private");
    snprintf(path, sizeof(path), "ctor/%.200s", name);
    hs_testdir_get(d, path, text, sizeof(text));
    assert_int_equal(strncmp(text, address, NK_ONION_LABEL), 0);
    assert_int_equal(strncmp(text + NK_ONION_LABEL, ":descriptor:x25519:", 19), 0);
    hs_store_close(&s);
}

static void two_for_one_service(void **state)
{
    struct hs_testdir *d = *state;
    char found[NK_PATH_MAX];
    hs_testdir_key(d, "ctor/a.auth_private", &d->client, HS_AUTH_PRIVATE);
    hs_testdir_key(d, "ctor/b.auth_private", &d->client, HS_AUTH_PRIVATE);
    hs_testdir_key(d, "ctor/ignored.txt", &d->client, HS_AUTH_PRIVATE);
    struct hs_store s = open_store(d, HS_STORE_CTOR, HS_STORE_READ);
    assert_int_equal(hs_store_find(&s, d->client.address, NULL, found, &d->diag), NK_EFORMAT);
    assert_non_null(strstr(d->diag.text, "'a.auth_private' and 'b.auth_private'"));
    assert_non_null(strstr(d->diag.hint, "SIGHUP"));
    hs_store_close(&s);
}

static void both_layouts(void **state)
{
    struct hs_testdir *d = *state;
    char name[NK_PATH_MAX], found[NK_PATH_MAX], address[NK_ONION_SIZE];
    static const char file[] = "ks_hsc_desc_enc.x25519_private";
    nk_onion_format(address, d->client.address);
    snprintf(name, sizeof(name), "arti/client/bob/%.56s/%s", address, file);
    hs_testdir_key(d, name, &d->client, HS_ARTI_PRIVATE);
    struct hs_store s = open_store(d, HS_STORE_ARTI, HS_STORE_READ);
    assert_int_equal(hs_store_find(&s, d->client.address, NULL, found, &d->diag), 0);
    assert_string_equal(found, name + strlen("arti/"));
    assert_int_equal(hs_store_find(&s, d->client.address, "bob", found, &d->diag), 0);
    assert_int_equal(hs_store_find(&s, d->client.address, "eve", found, &d->diag), -ENOENT);
    snprintf(name, sizeof(name), "arti/client/carol/%.56s/%s", address, file);
    hs_testdir_key(d, name, &d->client, HS_ARTI_PRIVATE);
    assert_int_equal(hs_store_find(&s, d->client.address, NULL, found, &d->diag), NK_EFORMAT);
    assert_int_equal(hs_store_find(&s, d->client.address, "carol", found, &d->diag), 0);
    snprintf(name, sizeof(name), "arti/client/%.56s/%s", address, file);
    hs_testdir_key(d, name, &d->client, HS_ARTI_PRIVATE);
    assert_int_equal(hs_store_find(&s, d->client.address, NULL, found, &d->diag), 0);
    assert_string_equal(found, name + strlen("arti/"));
    hs_store_close(&s);
}

static void problems_are_listed(void **state)
{
    struct hs_testdir *d = *state;
    struct hs_client_entries l;
    char name[NK_PATH_MAX], address[NK_ONION_SIZE];
    nk_onion_format(address, d->client.address);
    snprintf(name, sizeof(name), "arti/client/%.56s/ks_hsc_desc_enc.x25519_private", address);
    hs_testdir_key(d, name, &d->service, HS_ARTI_PRIVATE); /* a key of another kind */
    hs_testdir_put(d, "arti/client/junk", "x", 1, 0600);
    struct hs_store s = open_store(d, HS_STORE_ARTI, HS_STORE_READ);
    assert_int_equal(hs_store_list(&s, &l, &d->diag), 0);
    assert_int_equal(l.n, 2);
    for (size_t i = 0; i < l.n; i++) {
        assert_non_null(l.v[i].problem);
        assert_non_null(strstr(l.v[i].problem, l.v[i].name));
    }
    hs_client_entries_clear(&l);
    struct hs_client k;
    assert_true(hs_store_read(&s, name + strlen("arti/"), d->client.address, &k, &d->diag) < 0);
    hs_store_close(&s);
    hs_testdir_put(d, "ctor/x.auth_private", "nonsense", 8, 0600);
    s = open_store(d, HS_STORE_CTOR, HS_STORE_READ);
    assert_int_equal(hs_store_list(&s, &l, &d->diag), 0);
    assert_int_equal(l.n, 1);
    assert_false(l.v[0].has_address);
    assert_non_null(strstr(l.v[0].problem, "x.auth_private"));
    hs_client_entries_clear(&l);
    hs_store_close(&s);
}

static void a_file_for_another_service_is_refused(void **state)
{
    struct hs_testdir *d = *state;
    struct hs_client k;
    hs_testdir_key(d, "ctor/x.auth_private", &d->client, HS_AUTH_PRIVATE);
    struct hs_store s = open_store(d, HS_STORE_CTOR, HS_STORE_READ);
    uint8_t other[HS_PUBLIC_KEY] = {1};
    assert_int_equal(hs_store_read(&s, "x.auth_private", other, &k, &d->diag), NK_EFORMAT);
    assert_non_null(strstr(d->diag.text, "another service"));
    hs_store_close(&s);
}

static void opens_what_is_safe(void **state)
{
    struct hs_testdir *d = *state;
    struct hs_store s, second;
    char path[NK_PATH_MAX];
    hs_testdir_at(d, "arti", path);
    assert_int_equal(hs_store_open(&s, HS_STORE_ARTI, path, HS_STORE_READ, &d->diag), -ENOENT);
    assert_int_equal(hs_store_open(&s, HS_STORE_ARTI, path, HS_STORE_CREATE, &d->diag), 0);
    assert_int_equal(hs_store_open(&second, HS_STORE_ARTI, path, HS_STORE_CREATE, &d->diag),
                     NK_ELOCKED);
    hs_store_close(&second);
    hs_store_close(&s);
    assert_int_equal(fchmodat(d->place.fd, "arti", 0705, 0), 0);
    assert_int_equal(hs_store_open(&s, HS_STORE_ARTI, path, HS_STORE_READ, &d->diag), NK_EBADMODE);
    assert_int_equal(fchmodat(d->place.fd, "arti", 0700, 0), 0);
    assert_int_equal(fchmod(d->place.fd, 0777), 0); /* above it */
    assert_int_equal(hs_store_open(&s, HS_STORE_ARTI, path, HS_STORE_READ, &d->diag), NK_EBADMODE);
    assert_int_equal(hs_store_open(&s, HS_STORE_CTOR, path, HS_STORE_READ, &d->diag), 0);
    hs_store_close(&s);
    assert_int_equal(fchmod(d->place.fd, 0700), 0);
}

static void sees_a_running_arti(void **state)
{
    struct hs_testdir *d = *state;
    struct hs_store s = open_store(d, HS_STORE_ARTI, HS_STORE_CREATE);
    assert_false(s.in_use);
    hs_testdir_put(d, "state.lock", "", 0, 0600);
    assert_false(hs_keystore_in_use(&s.place));
    int fd = openat(d->place.fd, "state.lock", O_RDWR | O_CLOEXEC);
    assert_int_equal(flock(fd, LOCK_EX), 0);
    assert_true(hs_keystore_in_use(&s.place));
    close(fd);
    assert_false(hs_keystore_in_use(&s.place));
    hs_store_close(&s);
}

static void identities(void **state)
{
    struct hs_testdir *d = *state;
    struct hs_identity k;
    struct hs_names names;
    char path[NK_PATH_MAX];
    hs_testdir_at(d, "arti", path);
    assert_int_equal(hs_keystore_identity_read(path, "web", &k, &d->diag), -ENOENT);
    assert_int_equal(hs_keystore_identity_write(path, "Web", &d->service.identity, &d->diag),
                     NK_EUSAGE);
    assert_int_equal(hs_keystore_identity_write(path, "web", &d->service.identity, &d->diag), 0);
    assert_int_equal(hs_keystore_identity_write(path, "web", &d->service.identity, &d->diag),
                     -EEXIST);
    assert_int_equal(hs_keystore_identity_read(path, "web", &k, &d->diag), 0);
    assert_true(k.has_secret && hs_identity_same(&k, &d->service.identity));
    assert_int_equal(hs_keystore_identity_read(path, "mail", &k, &d->diag), -ENOENT);
    /* the secret half kept offline */
    hs_testdir_key(d, "arti/hss/mail/kp_hs_id.ed25519_public", &d->service, HS_ARTI_PUBLIC);
    assert_int_equal(hs_keystore_identity_read(path, "mail", &k, &d->diag), 0);
    assert_false(k.has_secret);
    struct hs_identity other;
    struct hs_item item;
    assert_int_equal(hs_identity_new(&other), 0);
    hs_item_from_identity(&item, &other);
    hs_testdir_key(d, "arti/hss/mail/ks_hs_id.ed25519_expanded_private", &item, HS_ARTI_PRIVATE);
    assert_int_equal(hs_keystore_identity_read(path, "mail", &k, &d->diag), NK_EFORMAT);
    struct hs_store s = open_store(d, HS_STORE_ARTI, HS_STORE_READ);
    assert_int_equal(hs_keystore_services(&s.place, &names, &d->diag), 0);
    assert_int_equal(names.n, 2);
    assert_string_equal(names.v[0], "mail");
    hs_names_clear(&names);
    hs_store_close(&s);
}

static void too_deep_is_refused(void **state)
{
    struct hs_testdir *d = *state;
    struct hs_names names;
    hs_testdir_put(d, "arti/a/b/c/d/e/f/g/h", "x", 1, 0600);
    struct hs_store s = open_store(d, HS_STORE_ARTI, HS_STORE_READ);
    assert_int_equal(hs_keystore_files(&s.place, false, &names, &d->diag), 0);
    hs_names_clear(&names);
    hs_testdir_put(d, "arti/a/b/c/d/e/f/g/i/j", "x", 1, 0600);
    assert_int_equal(hs_keystore_files(&s.place, false, &names, &d->diag), NK_ETOOBIG);
    hs_store_close(&s);
}

int nk_test_hs_store(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, hs_testdir_open, hs_testdir_close)
    const struct CMUnitTest tests[] = {
        TEST(arti_keeps_keys),     TEST(ctor_keeps_keys),
        TEST(ctor_files_are_tors), TEST(two_for_one_service),
        TEST(both_layouts),        TEST(problems_are_listed),
        TEST(opens_what_is_safe),  TEST(a_file_for_another_service_is_refused),
        TEST(sees_a_running_arti), TEST(identities),
        TEST(too_deep_is_refused),
    };
#undef TEST
    return cmocka_run_group_tests_name("hs/store", tests, NULL, NULL);
}
