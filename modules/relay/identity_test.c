/* SPDX-License-Identifier: MIT */
#include "relay/identity.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

static const struct relay_stretch_params params = {.mem_kib = RELAY_STRETCH_KIB_MIN, .passes = 1};

static struct relay_identity *add(struct relay_identities *set, const char *name)
{
    struct relay_identity *id;
    assert_int_equal(relay_identities_add(set, name, &id, NULL), 0);
    return id;
}

static int password(struct relay_identities *set, const char *name, const char *text)
{
    struct nk_secret s = {0};
    assert_int_equal(nk_secret_set(&s, text, strlen(text)), 0);
    int rc = relay_identity_password(set, add(set, name), &s, NULL);
    nk_secret_clear(&s);
    return rc;
}

static void test_names(void **state)
{
    (void)state;
    struct relay_identities *set = relay_identities_new(&params);
    struct relay_identity *a = add(set, "alice"), *again = add(set, "alice"), *bad;
    char text[RELAY_IDENTITY_MAX + 2] = {0};
    assert_ptr_equal(a, again);
    memset(text, 'x', RELAY_IDENTITY_MAX + 1);
    assert_int_equal(relay_identities_add(set, text, &bad, NULL), NK_ECONFIG);
    assert_int_equal(relay_identities_add(set, "", &bad, NULL), NK_ECONFIG);
    assert_int_equal(relay_identities_add(set, "a\nb", &bad, NULL), NK_ECONFIG);
    assert_int_equal(relay_identities_add(set, "\xff", &bad, NULL), NK_ECONFIG);
    assert_ptr_equal(relay_identities_find(set, "alice", 5), a);
    assert_null(relay_identities_find(set, "alic", 4));
    relay_identities_unref(set);
}

static int shown(const struct relay_identities *set, const char *bytes, const char *who)
{
    const struct relay_password *p = NULL;
    int rc = relay_identities_shown(set, bytes, strlen(bytes), &p);
    if (rc == 1) {
        assert_string_equal(p->identity->name, who);
    } else {
        assert_null(p);
    }
    return rc;
}

/* tlspyo's wire: the password, then at once a payload that begins with 0x80. */
static void test_shown(void **state)
{
    (void)state;
    struct relay_identities *set = relay_identities_new(&params);
    assert_int_equal(shown(set, "anything", NULL), NK_EAUTH); /* nobody, never everybody */
    assert_int_equal(password(set, "default", "tree"), 0);
    assert_int_equal(password(set, "forest", "trees and more"), 0);
    assert_int_equal(password(set, "house", "house"), 0);
    assert_int_equal(shown(set, "", NULL), 0);
    assert_int_equal(shown(set, "tre", NULL), 0);
    assert_int_equal(shown(set, "house", "house"), 1);
    assert_int_equal(shown(set, "house\x80", "house"), 1);
    assert_int_equal(shown(set, "tree", NULL), 0); /* could become the longer one */
    assert_int_equal(shown(set, "tree\x80", "default"), 1);
    assert_int_equal(shown(set, "trees an", NULL), 0);
    assert_int_equal(shown(set, "trees and more", "forest"), 1);
    assert_int_equal(shown(set, "trees and more\x80", "forest"), 1);
    /* right and wrong beginnings look alike */
    assert_int_equal(shown(set, "t", NULL), 0);
    assert_int_equal(shown(set, "x", NULL), 0);
    assert_int_equal(shown(set, "hous\x80", NULL), 0);
    assert_int_equal(shown(set, "trees and morX", "default"), 1); /* and a payload that is none */
    assert_int_equal(shown(set, "xxxxxxxxxxxxxx", NULL), NK_EAUTH);
    relay_identities_unref(set);
}

static void test_conflicts(void **state)
{
    (void)state;
    static const char key[] = "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c";
    struct relay_identities *set = relay_identities_new(&params);
    assert_int_equal(password(set, "a", "same"), 0);
    assert_int_equal(password(set, "a", "same"), 0);
    assert_int_equal(relay_identities_passwords(set), 1);
    assert_int_equal(password(set, "b", "same"), NK_ECONFIG);
    assert_int_equal(password(set, "b", ""), NK_ECONFIG);
    assert_int_equal(relay_identity_key(set, add(set, "a"), key, NULL), 0);
    assert_int_equal(relay_identity_key(set, add(set, "a"), key, NULL), 0);
    assert_int_equal(relay_identity_key(set, add(set, "b"), key, NULL), NK_ECONFIG);
    assert_int_equal(relay_identity_uid(set, add(set, "a"), 5, NULL), 0);
    assert_int_equal(relay_identity_uid(set, add(set, "b"), 5, NULL), NK_ECONFIG);
    assert_int_equal(relay_identity_uid(set, add(set, "b"), -1, NULL), NK_ECONFIG);
    relay_identities_unref(set);
}

/* RFC 8032 §7.1 TEST 2's public key in each form; and what is none. */
static void test_keys(void **state)
{
    (void)state;
    static const char *const good[] = {
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "PUAXw+hDiVqStwqnTRt+vJyYLM8uxJaMwM1V8Sr0Zgw=",
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAID1AF8PoQ4lakrcKp00bfrycmCzPLsSWjMDNVfEq9GYM",
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAID1AF8PoQ4lakrcKp00bfrycmCzPLsSWjMDNVfEq9GYM me@x",
    };
    static const char *const bad[] = {
        "",
        "hello",
        "ssh-ed25519",
        "ssh-ed25519 AAAA",
        "ssh-rsa AAAAC3NzaC1lZDI1NTE5AAAAID1AF8PoQ4lakrcKp00bfrycmCzPLsSWjMDNVfEq9GYM",
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE4AAAAID1AF8PoQ4lakrcKp00bfrycmCzPLsSWjMDNVfEq9GYM",
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000000", /* small order */
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af466",
    };
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        struct relay_identities *set = relay_identities_new(&params);
        assert_int_equal(relay_identity_key(set, add(set, "a"), good[i], NULL), 0);
        uint8_t first[2] = {0x3d, 0x40};
        assert_memory_equal(relay_identities_find(set, "a", 1)->keys[0], first, 2);
        assert_true(relay_identities_any_key(set));
        relay_identities_unref(set);
    }
    struct relay_identities *set = relay_identities_new(&params);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(relay_identity_key(set, add(set, "a"), bad[i], NULL), NK_ECONFIG);
    }
    assert_false(relay_identities_any_key(set));
    relay_identities_unref(set);
}

static void test_certificate_rules(void **state)
{
    (void)state;
    static const char pin[] =
        "sha256:0001020304050607080910111213141516171819202122232425262728293031";
    struct relay_identities *set = relay_identities_new(&params);
    struct relay_identity *a = add(set, "a"), *b = add(set, "b");
    struct relay_peer peer = {.certificate = true};
    assert_int_equal(relay_identity_cert(set, a, "CN:alice", NULL), 0);
    assert_int_equal(relay_identity_cert(set, b, pin, NULL), 0);
    assert_int_equal(relay_identity_cert(set, a, "alice", NULL), NK_ECONFIG);
    assert_int_equal(relay_identity_cert(set, a, "CN:", NULL), NK_ECONFIG);
    assert_int_equal(relay_identity_cert(set, a, "sha256:00", NULL), NK_ECONFIG);
    assert_int_equal(relay_identity_cert(set, a, "DNS:a\nDNS:b", NULL), NK_ECONFIG);
    assert_null(relay_identities_by_cert(set, &peer));
    strcpy(peer.names, "CN:al\nCN:alice\nDNS:a");
    assert_ptr_equal(relay_identities_by_cert(set, &peer), a);
    strcpy(peer.names, "CN:Alice");
    assert_null(relay_identities_by_cert(set, &peer));
    strcpy(peer.names, "URI:CN:alice\nDNS:x, CN:alice"); /* look like others */
    assert_null(relay_identities_by_cert(set, &peer));
    for (unsigned i = 0; i < 32; i++) {
        peer.spki_hash[i] = (uint8_t)(i / 10 * 16 + i % 10);
    }
    assert_ptr_equal(relay_identities_by_cert(set, &peer), b);
    relay_identities_unref(set);
}

int nk_test_relay_identity(void);
int nk_test_relay_identity(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_shown),
        cmocka_unit_test(test_conflicts),
        cmocka_unit_test(test_keys),
        cmocka_unit_test(test_certificate_rules),
    };
    return cmocka_run_group_tests_name("relay/identity", tests, NULL, NULL);
}
