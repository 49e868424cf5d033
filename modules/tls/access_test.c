/* SPDX-License-Identifier: MIT */
/* Rules by themselves, and in handshakes with certificates of a CA of the tests' own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tls/access.h"
#include "tls/tls_testkit.h"

int nk_test_tls_access(void);

#define NAMES "CN:alice\nDNS:Alice.Example\nURI:spiffe://test/alice\nEMAIL:alice@test"

static void test_matching(void **state)
{
    (void)state;
    static const struct {
        enum tls_allow kind;
        const char *value, *names;
        bool allowed;
    } cases[] = {
        {TLS_ALLOW_CN, "alice", NAMES, true},
        {TLS_ALLOW_CN, "alice", "DNS:b\nCN:alice", true},
        {TLS_ALLOW_CN, "alic", NAMES, false},
        {TLS_ALLOW_CN, "alice2", NAMES, false},
        {TLS_ALLOW_CN, "Alice", NAMES, false},
        {TLS_ALLOW_CN, "Alice.Example", NAMES, false},
        {TLS_ALLOW_CN, "alice", "DNS:alice\nURI:alice\nEMAIL:CN:alice", false},
        {TLS_ALLOW_CN, "alice", "", false},
        {TLS_ALLOW_DNS, "alice.example", NAMES, true},
        {TLS_ALLOW_DNS, "ALICE.EXAMPLE", NAMES, true},
        {TLS_ALLOW_DNS, "example", NAMES, false},
        {TLS_ALLOW_DNS, "alice.example", "DNS:*.example", false},
        {TLS_ALLOW_DNS, "alice", NAMES, false},
        {TLS_ALLOW_URI, "spiffe://test/alice", NAMES, true},
        {TLS_ALLOW_URI, "spiffe://test/", NAMES, false},
        {TLS_ALLOW_URI, "SPIFFE://test/alice", NAMES, false},
        {TLS_ALLOW_URI, "spiffe://test/alice", "URI:spiffe://test/alice/x", false},
    };
    const uint8_t hash[TLS_HASH] = {0};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct tls_access a;
        const char *values[] = {"nobody.else", cases[i].value};
        assert_int_equal(tls_access_init(&a, cases[i].kind, values, 2, NULL), 0);
        if (tls_access_allows(&a, cases[i].names, hash, hash) != cases[i].allowed) {
            fail_msg("case %zu: %s", i, cases[i].value);
        }
        tls_access_clear(&a);
    }
}

/* Stars stand for whole segments of a path, and for nothing that could be read in two ways. */
static void test_uri_patterns(void **state)
{
    static const struct {
        const char *pattern, *uri;
        bool allowed;
    } cases[] = {
        {"spiffe://a.b/*", "spiffe://a.b/web", true},
        {"spiffe://a.b/*", "spiffe://a.b/", false},
        {"spiffe://a.b/*", "spiffe://a.b", false},
        {"spiffe://a.b/*", "spiffe://a.b/web/x", false},
        {"spiffe://a.b/*", "spiffe://a.b/web/", false},
        {"spiffe://a.b/*", "spiffe://a.bc/web", false},
        {"spiffe://a.b/*", "spiffe://evil/a.b/web", false},
        {"spiffe://a.b/*", "spiffe://A.b/web", false},
        {"spiffe://a.b/*/sa/*", "spiffe://a.b/ns_1/sa/x-2", true},
        {"spiffe://a.b/*/sa/*", "spiffe://a.b/ns/so/x", false},
        {"spiffe://a.b/*/sa", "spiffe://a.b/ns/x/sa", false},
        {"spiffe://a.b/*/sa", "spiffe://a.b//sa", false},
        {"spiffe://a.b/*/sa", "spiffe://a.b/ns/saw", false},
        {"spiffe://a.b/**", "spiffe://a.b/ns/x/y", true},
        {"spiffe://a.b/**", "spiffe://a.b/ns", true},
        {"spiffe://a.b/**", "spiffe://a.b/", false},
        {"spiffe://a.b/**", "spiffe://a.b/ns/", false},
        {"spiffe://a.b/**", "spiffe://a.b/ns//x", false},
        {"spiffe://a.b/**", "spiffe://a.b/ns/../x", false},
        {"spiffe://a.b/x/**", "spiffe://a.b/y/x", false},
        {"spiffe://a.b/*", "spiffe://a.b/.", false},
        {"spiffe://a.b/*", "spiffe://a.b/..", false},
        {"spiffe://a.b/*", "spiffe://a.b/...", true},
        {"spiffe://a.b/*", "spiffe://a.b/%2e%2e", false},
        {"spiffe://a.b/*", "spiffe://a.b/x?y", false},
        {"spiffe://a.b/*", "spiffe://a.b/x#y", false},
        {"spiffe://a.b/*", "spiffe://a.b/*", false},
        {"spiffe://a.b/x", "spiffe://a.b/x", true},
        {"urn:x%20y", "urn:x%20y", true},
    };
    static const char *const bad[] = {
        "spiffe://*/x",      "spiffe://a.*/x",       "*://a/x",    "spiffe:*",
        "spiffe://a/x*",     "spiffe://a/*x",        "a/*",        "spiffe:///*",
        "spiffe://a/**/x",   "spiffe://a/***",       "://a/*",     "spiffe://a/x/*y/z",
        "spiffe://a/*/x*/z", "spiffe://u:*@a/x/y/z", "spiffe://*",
    };
    struct tls_access a;
    char line[128];
    uint8_t none[TLS_HASH] = {0};
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(tls_access_init(&a, TLS_ALLOW_URI, &cases[i].pattern, 1, NULL), 0);
        snprintf(line, sizeof(line), "DNS:x\nURI:%s\nURI:other", cases[i].uri);
        if (tls_access_allows(&a, line, none, none) != cases[i].allowed) {
            fail_msg("%s, %s", cases[i].pattern, cases[i].uri);
        }
        tls_access_clear(&a);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct nk_diag diag = {0};
        if (tls_access_init(&a, TLS_ALLOW_URI, &bad[i], 1, &diag) != NK_ECONFIG) {
            fail_msg("%s", bad[i]);
        }
        assert_non_null(strstr(diag.text, bad[i]));
    }
}

static void test_pins(void **state)
{
    (void)state;
    struct tls_access a;
    uint8_t cert[TLS_HASH] = {1}, spki[TLS_HASH] = {2}, none[TLS_HASH] = {3};
    char pin[TLS_PIN_TEXT];
    const char *values[] = {tls_pin_format(pin, spki)};
    assert_int_equal(tls_access_init(&a, TLS_ALLOW_PIN, values, 1, NULL), 0);
    assert_true(tls_access_allows(&a, "", cert, spki));
    assert_true(tls_access_allows(&a, "", spki, none));
    assert_false(tls_access_allows(&a, NAMES, cert, none));
    tls_access_clear(&a);
}

static void test_bad_values(void **state)
{
    (void)state;
    static const struct {
        enum tls_allow kind;
        const char *value;
    } bad[] = {{TLS_ALLOW_CN, ""},     {TLS_ALLOW_CN, "a\nb"},
               {TLS_ALLOW_CN, "\xff"}, {TLS_ALLOW_DNS, "*.example"},
               {TLS_ALLOW_URI, "*"},   {TLS_ALLOW_PIN, "sha256:00"},
               {TLS_ALLOW_PIN, ""},    {TLS_ALLOW_VERIFIED, "alice"}};
    struct tls_access a;
    struct nk_diag diag;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        memset(&diag, 0, sizeof(diag));
        assert_true(tls_access_init(&a, bad[i].kind, &bad[i].value, 1, &diag) < 0);
        assert_true(diag.code < 0 && diag.text[0]);
        assert_null(a.names);
        assert_null(a.pins);
    }
    for (enum tls_allow kind = TLS_ALLOW_CN; kind <= TLS_ALLOW_PIN; kind++) {
        assert_int_equal(tls_access_init(&a, kind, NULL, 0, &diag), NK_ECONFIG);
    }
}

/* Every combination: there has to be one kind, and no other beside it. */
static void test_one_kind(void **state)
{
    (void)state;
    char *value = (char *)(uintptr_t) "x";
    struct nk_diag diag;
    for (unsigned mask = 0; mask < 1U << (TLS_ALLOW_LISTS + 1); mask++) {
        struct nk_strlist lists[TLS_ALLOW_LISTS] = {{0}};
        enum tls_allow kind = TLS_ALLOW_URI, want = TLS_ALLOW_VERIFIED;
        bool all = (mask >> TLS_ALLOW_LISTS) != 0;
        int said = all;
        for (unsigned i = 0; i < TLS_ALLOW_LISTS; i++) {
            if (mask >> i & 1) {
                lists[i] = (struct nk_strlist){&value, 1};
                said++;
                want = (enum tls_allow)(i + 1);
            }
        }
        int rc = tls_access_choose(lists, all, &kind, &diag);
        if (said == 1) {
            assert_int_equal(rc, 0);
            assert_int_equal(kind, want);
        } else {
            assert_int_equal(rc, NK_ECONFIG);
            assert_int_equal(kind, TLS_ALLOW_URI);
            assert_true(diag.text[0] && diag.hint[0]);
        }
    }
}

/* --- in handshakes ---------------------------------------------------------------------------- */

static struct tls_creds_conf with_rule(struct kit_fixture *x, enum tls_allow kind,
                                       const char *const *value)
{
    struct tls_creds_conf sc = kit_server_conf(x);
    sc.ca_text = kit_cert_pem(&x->ca);
    sc.allow = kind;
    sc.allowed = value;
    sc.nallowed = 1;
    return sc;
}

static void must_end(struct kit_fixture *x, const struct tls_creds_conf *sc, struct kit_cert *cert,
                     bool tls12, int server_code)
{
    struct kit_rig r;
    struct tls_creds_conf cc = kit_client_conf(x), sc2 = *sc;
    static const char secret[] = "must not arrive";
    sc2.tls12 = cc.tls12 = cc.no_tls13 = tls12;
    cc.cert_text = kit_cert_pem(cert);
    cc.key_text = kit_key_pem(cert);
    kit_rig_new(&r, &sc2, &cc);
    kit_rig_connect(&r, "srv.test", KIT_WIDE, KIT_WIDE);
    kit_peer_send(&r.client, secret, sizeof(secret));
    assert_true(kit_run(r.app, kit_both_settled, &r));
    assert_int_equal(r.server.connected, server_code == 0);
    assert_int_equal(r.server.error, server_code);
    if (server_code < 0) {
        assert_true(kit_run(r.app, kit_both_ended, &r));
        assert_int_equal(r.client.error, NK_EAUTH);
        assert_int_equal(nk_buf_len(&r.server.got), 0);
    }
    if (server_code == -EACCES) {
        assert_non_null(strstr(r.server.why.text, "CN:alice EMAIL:alice@test"));
    }
    kit_rig_disconnect(&r);
    kit_rig_free(&r);
}

static void test_handshakes(void **state)
{
    struct kit_fixture *x = *state;
    uint8_t spki[TLS_HASH];
    char pin[TLS_PIN_TEXT], other[TLS_PIN_TEXT];
    const char *cert = kit_cert_pem(&x->client);
    assert_int_equal(tls_hash_cert(cert, strlen(cert), NULL, spki, NULL), 0);
    tls_pin_format(pin, spki);
    spki[0] ^= 1;
    tls_pin_format(other, spki);
    const struct {
        enum tls_allow kind;
        const char *value;
        int code;
    } cases[] = {{TLS_ALLOW_CN, "alice", 0},        {TLS_ALLOW_CN, "bob", -EACCES},
                 {TLS_ALLOW_DNS, "alice", -EACCES}, {TLS_ALLOW_URI, "alice", -EACCES},
                 {TLS_ALLOW_PIN, pin, 0},           {TLS_ALLOW_PIN, other, -EACCES}};
    for (int tls12 = 0; tls12 < 2; tls12++) {
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
            struct tls_creds_conf sc = with_rule(x, cases[i].kind, &cases[i].value);
            must_end(x, &sc, &x->client, tls12 != 0, cases[i].code);
        }
    }
}

/* A rule does not replace the ca: right name or key, but from elsewhere or out of date. */
static void test_rule_needs_chain(void **state)
{
    struct kit_fixture *x = *state;
    uint8_t spki[TLS_HASH];
    char pin[TLS_PIN_TEXT];
    const char *cert = kit_cert_pem(&x->stranger), *mallory = "mallory", *alice = "alice";
    assert_int_equal(tls_hash_cert(cert, strlen(cert), NULL, spki, NULL), 0);
    const char *pinned = tls_pin_format(pin, spki);
    struct tls_creds_conf sc = with_rule(x, TLS_ALLOW_PIN, &pinned);
    must_end(x, &sc, &x->stranger, false, NK_EVERIFY);
    sc = with_rule(x, TLS_ALLOW_CN, &mallory);
    must_end(x, &sc, &x->stranger, false, NK_EVERIFY);
    sc = with_rule(x, TLS_ALLOW_CN, &alice);
    must_end(x, &sc, &x->old_client, false, NK_EVERIFY);
}

/* Rules without anything that clients are verified with are refused. */
static void test_rule_needs_ca(void **state)
{
    struct kit_fixture *x = *state;
    const char *alice = "alice";
    struct tls_creds *c;
    struct nk_diag diag;
    struct tls_creds_conf sc = with_rule(x, TLS_ALLOW_CN, &alice);
    sc.ca_text = NULL;
    assert_int_equal(tls_creds_new(&c, &sc, &diag), NK_ECONFIG);
    sc = with_rule(x, TLS_ALLOW_CN, &alice);
    sc.optional = true;
    assert_int_equal(tls_creds_new(&c, &sc, &diag), NK_ECONFIG);
    sc = with_rule(x, TLS_ALLOW_CN, &alice);
    sc.nallowed = 0;
    assert_int_equal(tls_creds_new(&c, &sc, &diag), NK_ECONFIG);
    sc = with_rule(x, TLS_ALLOW_CN, &alice);
    sc.role = TLS_CLIENT;
    assert_int_equal(tls_creds_new(&c, &sc, &diag), NK_ECONFIG);
}

/* --- suites ----------------------------------------------------------------------------------- */

static void test_suites(void **state)
{
    struct kit_fixture *x = *state;
    const char *chacha[] = {"TLS_CHACHA20_POLY1305_SHA256"},
               *old[] = {"ECDHE-ECDSA-AES256-GCM-SHA384"}, *bad[] = {"RC4-MD5"},
               *twice[] = {"ECDHE-ECDSA-AES256-GCM-SHA384",
                           "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384"};
    struct tls_creds_conf sc = kit_server_conf(x), cc = kit_client_conf(x);
    struct kit_rig r;
    struct tls_creds *c;
    struct nk_diag diag;
    cc.suites = chacha;
    cc.nsuites = 1;
    kit_rig_new(&r, &sc, &cc);
    kit_rig_connect(&r, "srv.test", KIT_WIDE, KIT_WIDE);
    assert_true(kit_run(r.app, kit_both_connected, &r));
    kit_rig_disconnect(&r);
    kit_rig_free(&r);
    sc.suites = old; /* and of TLS 1.2 only: no way to talk */
    sc.nsuites = 1;
    assert_int_equal(tls_creds_new(&c, &sc, &diag), NK_ECONFIG);
    sc.tls12 = cc.tls12 = true;
    kit_rig_new(&r, &sc, &cc);
    kit_rig_connect(&r, "srv.test", KIT_WIDE, KIT_WIDE);
    assert_true(kit_run(r.app, kit_both_settled, &r));
    assert_false(r.server.connected);
    kit_rig_disconnect(&r);
    kit_rig_free(&r);
    sc.suites = bad;
    assert_int_equal(tls_creds_new(&c, &sc, &diag), NK_ECONFIG);
    sc.suites = twice;
    sc.nsuites = 2;
    assert_int_equal(tls_creds_new(&c, &sc, &diag), NK_ECONFIG);
    assert_non_null(strstr(diag.text, "twice"));
}

int nk_test_tls_access(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_matching),
        cmocka_unit_test(test_uri_patterns),
        cmocka_unit_test(test_pins),
        cmocka_unit_test(test_bad_values),
        cmocka_unit_test(test_one_kind),
        cmocka_unit_test(test_handshakes),
        cmocka_unit_test(test_rule_needs_chain),
        cmocka_unit_test(test_rule_needs_ca),
        cmocka_unit_test(test_suites),
    };
    return cmocka_run_group_tests_name("tls/access", tests, kit_set_up, kit_tear_down);
}
