/* SPDX-License-Identifier: MIT */
#include "onion/clients.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <cmocka.h>

#include "hs/store_testkit.h"
#include "onion/new_client.h"

int nk_test_onion_clients(void);

#define KEY_A "beaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define KEY_B "bmaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define KEY_ZERO "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define LINE_A "descriptor:x25519:" KEY_A
#define LINE_B "descriptor:x25519:" KEY_B

static void put(struct hs_testdir *d, const char *name, const char *text)
{
    hs_testdir_put(d, name, text, strlen(text), 0600);
}

static void load(struct hs_testdir *d, struct onion_clients *l, const char *from, int want,
                 const char *why)
{
    int rc = onion_clients_load(l, from, NULL, &d->diag);
    if (rc != want) {
        fail_msg("%s: %d, %s", from, rc, d->diag.text);
    }
    if (why) {
        assert_non_null(strstr(d->diag.text, why));
    }
}

static void from_the_command_line(void **state)
{
    struct hs_testdir *d = *state;
    struct onion_clients l = {0}, more = {0};
    char path[NK_PATH_MAX];
    put(d, "bob.auth", LINE_B "\n");
    put(d, "not a slug!.auth", LINE_B "\n");
    put(d, "old.auth", "HidServAuth expyuzz4wqqyqhjn.onion AAAAAAAAAAAAAAAAAAAAAA\n");
    hs_testdir_key(d, "c.auth_private", &d->client, HS_AUTH_PRIVATE);
    load(d, &l, KEY_A, 0, NULL);
    load(d, &l, LINE_A, 0, NULL); /* once is enough */
    assert_true(l.restricted);
    assert_int_equal(l.n, 1);
    assert_string_equal(l.names[0], "");
    load(d, &l, hs_testdir_at(d, "bob.auth", path), 0, NULL);
    assert_int_equal(l.n, 2);
    assert_string_equal(l.names[1], "bob");
    load(d, &more, hs_testdir_at(d, "not a slug!.auth", path), 0, NULL);
    assert_string_equal(more.names[0], "");
    load(d, &l, KEY_ZERO, NK_EFORMAT, NULL);
    load(d, &l, hs_testdir_at(d, "c.auth_private", path), NK_EFORMAT, "private key");
    load(d, &l, hs_testdir_at(d, "old.auth", path), NK_EVERSION, "version 2");
    load(d, &l, "HidServAuth expyuzz4wqqyqhjn.onion AAAAAAAAAAAAAAAAAAAAAA", NK_EVERSION,
         "version 2");
    load(d, &l, hs_testdir_at(d, "none", path), -ENOENT, "none");
    assert_int_equal(l.n, 2);
    onion_clients_clear(&more);
    load(d, &more, path, -ENOENT, NULL);
    assert_false(more.restricted); /* a failure changes nothing */
    onion_clients_clear(&l);
    onion_clients_clear(&l);
}

static void names_and_limits(void **state)
{
    struct hs_testdir *d = *state;
    struct onion_clients l = {0};
    uint8_t key[HS_PUBLIC_KEY] = {9};
    assert_int_equal(onion_clients_add(&l, "alice", key, &d->diag), 0);
    key[0] = 11;
    assert_int_equal(onion_clients_add(&l, "alice", key, &d->diag), -EEXIST);
    assert_int_equal(onion_clients_add(&l, "Alice", key, &d->diag), NK_EUSAGE);
    for (size_t i = 1; i < ONION_CLIENTS_MAX; i++) {
        hs_auth_nobody(key);
        assert_int_equal(onion_clients_add(&l, "", key, &d->diag), 0);
    }
    hs_auth_nobody(key);
    assert_int_equal(onion_clients_add(&l, "", key, &d->diag), NK_ETOOBIG);
    assert_int_equal(l.n, ONION_CLIENTS_MAX);
    onion_clients_clear(&l);
}

/* Nobody is a key that stays the same, so that the set does not change by itself. */
static void nobody_gets_in(void **state)
{
    struct onion_clients l = {.restricted = true}, open = {0};
    struct onion_spec s = {0}, again = {0};
    uint8_t key[HS_PUBLIC_KEY];
    (void)state;
    onion_clients_spec(&l, &s);
    assert_true(s.restricted);
    assert_int_equal(s.nclients, 1);
    memcpy(key, s.clients[0], sizeof(key));
    onion_clients_spec(&l, &again);
    assert_memory_equal(again.clients[0], key, sizeof(key));
    assert_false(onion_clients_same(&l, &open));
    onion_clients_spec(&open, &s);
    assert_false(s.restricted);
    assert_int_equal(s.nclients, 0);
}

static void directories(void **state)
{
    struct hs_testdir *d = *state;
    struct onion_clients l = {0}, other = {0};
    char path[NK_PATH_MAX];
    const char *dir = hs_testdir_at(d, "authorized_clients", path);
    assert_int_equal(onion_clients_read_dir(&l, dir, NULL, &d->diag), -ENOENT);
    assert_false(l.restricted);
    assert_int_equal(mkdir(dir, 0700), 0);
    assert_int_equal(onion_clients_read_dir(&l, dir, NULL, &d->diag), 0);
    assert_true(l.restricted); /* an empty one lets nobody in */
    assert_int_equal(l.n, 0);
    put(d, "authorized_clients/alice.auth", LINE_A);
    put(d, "authorized_clients/broken.auth", "x");
    put(d, "authorized_clients/" HS_AUTH_LOCK ".auth", LINE_B);
    put(d, "disabled_clients/bob.auth", LINE_B);
    assert_int_equal(onion_clients_read_dir(&l, dir, NULL, &d->diag), 0);
    assert_int_equal(l.n, 1);
    assert_string_equal(l.names[0], "alice");
    load(d, &other, LINE_A, 0, NULL);
    assert_true(onion_clients_same(&l, &other));
    load(d, &other, LINE_B, 0, NULL);
    assert_false(onion_clients_same(&l, &other));
    assert_int_equal(onion_clients_join(&l, &other, &d->diag), 0);
    assert_true(onion_clients_same(&l, &other));
    onion_clients_drop(&l, other.keys[0]);
    assert_false(onion_clients_same(&l, &other));
    assert_int_equal(l.n, other.n - 1);
    assert_true(l.restricted);
    onion_clients_drop(&l, other.keys[0]);
    assert_int_equal(l.n, other.n - 1);
    onion_clients_clear(&l);
    onion_clients_clear(&other);
}

static void make(struct hs_testdir *d, struct onion_new_clients *l, struct onion_clients *into,
                 const char *word, int want)
{
    char copy[NK_PATH_MAX], *v[] = {copy};
    const struct nk_strlist words = {v, 1};
    snprintf(copy, sizeof(copy), "%s", word);
    int rc = onion_new_clients_make(l, &words, into, NULL, &d->diag);
    if (rc != want) {
        fail_msg("%s: %d, %s", word, rc, d->diag.text);
    }
}

static void new_clients(void **state)
{
    struct hs_testdir *d = *state;
    struct onion_clients in = {0};
    struct onion_new_clients l = {0};
    struct hs_item item;
    struct stat st;
    struct nk_buf out;
    char path[NK_PATH_MAX], word[NK_PATH_MAX + 8];
    hs_testdir_at(d, "a.auth_private", path);
    snprintf(word, sizeof(word), "alice=%s", path);
    make(d, &l, &in, word, 0);
    make(d, &l, &in, "basic:nk-one,nk-two", 0);
    assert_int_equal(l.n, 3);
    assert_int_equal(in.n, 3);
    assert_true(in.restricted);
    assert_string_equal(l.v[2].name, "nk-two");
    assert_string_equal(l.v[2].file, "nk-two.auth_private");
    make(d, &l, &in, "alice", -EEXIST); /* two keys of one name */
    make(d, &l, &in, "Bad Name", NK_EUSAGE);
    make(d, &l, &in, "", NK_EUSAGE);
    make(d, &l, &in, "basic:", NK_EUSAGE);
    l.n = 1; /* the others would go to the working directory */
    assert_int_equal(onion_new_clients_write(&l, d->service.identity.pub, NULL, &d->diag), 0);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(hs_format_load(path, NULL, &item, &d->diag), 0);
    assert_int_equal(item.format, HS_AUTH_PRIVATE);
    assert_memory_equal(item.address, d->service.identity.pub, HS_PUBLIC_KEY);
    assert_memory_equal(item.client.pub, in.keys[0], HS_PUBLIC_KEY);
    hs_item_wipe(&item);
    assert_int_equal(onion_new_clients_write(&l, d->service.identity.pub, NULL, &d->diag), -EEXIST);
    nk_buf_init(&out, 4096);
    assert_int_equal(onion_new_clients_print(&l, &out), 0);
    assert_non_null(strstr(nk_buf_str(&out), path));
    assert_non_null(strstr(nk_buf_str(&out), "descriptor:x25519:"));
    nk_buf_clear(&out);
    l.n = 3;
    onion_new_clients_clear(&l);
    in.n = 0;
    make(d, &l, &in, word, -EEXIST); /* the file */
    onion_new_clients_clear(&l);
    onion_clients_clear(&in);
}

int nk_test_onion_clients(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(from_the_command_line, hs_testdir_open, hs_testdir_close),
        cmocka_unit_test_setup_teardown(names_and_limits, hs_testdir_open, hs_testdir_close),
        cmocka_unit_test(nobody_gets_in),
        cmocka_unit_test_setup_teardown(directories, hs_testdir_open, hs_testdir_close),
        cmocka_unit_test_setup_teardown(new_clients, hs_testdir_open, hs_testdir_close),
    };
    return cmocka_run_group_tests_name("onion/clients", tests, NULL, NULL);
}
