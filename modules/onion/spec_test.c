/* SPDX-License-Identifier: MIT */
#include "onion/spec.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

#include "base/secret.h"

int nk_test_onion_spec(void);

static const struct onion_port ports[] = {
    {80, "127.0.0.1:80"}, {443, "[::1]:8443"}, {81, "unix:/run/x"}};

static void check_line(const struct onion_spec *s, const char *want)
{
    struct nk_buf out;
    struct nk_diag diag;
    nk_buf_init_secret(&out, ONION_SPEC_LINE);
    assert_int_equal(onion_spec_add(&out, s, &diag), 0);
    assert_string_equal(nk_buf_str(&out), want);
    nk_buf_clear(&out);
}

static void check_add(void **state)
{
    struct onion_spec s = {.ports = ports, .nports = 3};
    (void)state;
    check_line(&s, "ADD_ONION NEW:ED25519-V3 Flags=DiscardPK Port=80,127.0.0.1:80 "
                   "Port=443,[::1]:8443 Port=81,unix:/run/x");
    s.nports = 1;
    s.detach = s.single_hop = true;
    s.max_streams = 3;
    s.close_circuit = true;
    check_line(&s, "ADD_ONION NEW:ED25519-V3 Flags=DiscardPK,Detach,NonAnonymous,"
                   "MaxStreamsCloseCircuit MaxStreams=3 Port=80,127.0.0.1:80");
    s = (struct onion_spec){.ports = ports, .nports = 1, .pow_rate = 5, .pow_burst = 10};
    check_line(&s, "ADD_ONION NEW:ED25519-V3 Flags=DiscardPK Port=80,127.0.0.1:80");
    s.pow = true;
    check_line(&s, "ADD_ONION NEW:ED25519-V3 Flags=DiscardPK PoWDefensesEnabled=1 PoWQueueRate=5 "
                   "PoWQueueBurst=10 Port=80,127.0.0.1:80");
}

static void check_key_and_clients(void **state)
{
    static const uint8_t clients[2][HS_PUBLIC_KEY] = {{0}, {0xff}};
    struct hs_identity key = {.has_secret = true};
    struct onion_spec s = {
        .ports = ports, .nports = 1, .key = &key, .restricted = true, .clients = clients};
    struct nk_buf out;
    struct nk_diag diag;
    (void)state;
    nk_buf_init_secret(&out, ONION_SPEC_LINE);
    assert_int_equal(onion_spec_add(&out, &s, &diag), NK_ECONFIG); /* to nobody, not everybody */
    assert_int_equal(nk_buf_len(&out), 0);
    s.nclients = 2;
    memset(key.secret, 0, sizeof(key.secret));
    check_line(
        &s,
        "ADD_ONION ED25519-V3:"
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA== "
        "Flags=V3Auth Port=80,127.0.0.1:80 "
        "ClientAuthV3=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA "
        "ClientAuthV3=74AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
    s.nclients = ONION_CLIENTS_MAX + 1;
    assert_int_equal(onion_spec_add(&out, &s, &diag), NK_ETOOBIG);
    key.has_secret = false;
    s.nclients = 2;
    assert_int_equal(onion_spec_add(&out, &s, &diag), NK_EUNSUPPORTED);
    nk_buf_clear(&out);
}

static void check_spaces(void **state)
{
    static const struct onion_port spaced = {80, "unix:/run/a b"};
    const struct onion_spec s = {.ports = &spaced, .nports = 1};
    struct nk_buf out;
    struct nk_diag diag;
    (void)state;
    nk_buf_init_secret(&out, ONION_SPEC_LINE);
    assert_int_equal(onion_spec_add(&out, &s, &diag), NK_EFORMAT);
    assert_non_null(strstr(diag.hint, "--hsdir"));
    nk_buf_clear(&out);
}

static int collect(void *arg, const char *key, const char *value, struct nk_diag *diag)
{
    (void)diag;
    return nk_buf_printf(arg, "%s=%s\n", key, value);
}

static void check_options(void **state)
{
    static const struct onion_port two[] = {{80, "unix:/run/a b"}, {81, "127.0.0.1:81"}};
    const struct onion_spec s = {.ports = two,
                                 .nports = 2,
                                 .max_streams = 5,
                                 .close_circuit = true,
                                 .pow = true,
                                 .pow_rate = 7};
    struct nk_buf out;
    struct nk_diag diag;
    (void)state;
    nk_buf_init(&out, 4096);
    assert_int_equal(onion_spec_options(&s, "/var/lib/tor/a b", collect, &out, &diag), 0);
    assert_string_equal(nk_buf_str(&out), "HiddenServiceDir=/var/lib/tor/a b\n"
                                          "HiddenServicePort=80 unix:\"/run/a b\"\n"
                                          "HiddenServicePort=81 127.0.0.1:81\n"
                                          "HiddenServiceMaxStreams=5\n"
                                          "HiddenServicePoWDefensesEnabled=1\n"
                                          "HiddenServicePoWQueueRate=7\n"
                                          "HiddenServiceMaxStreamsCloseCircuit=1\n");
    nk_buf_clear(&out);
}

static void check_explain(void **state)
{
    static const struct {
        int code;
        const char *text;
        int rc;
        const char *hint; /* part of it */
    } cases[] = {
        {512, "Tor is in non-anonymous hidden service mode", NK_EFORMAT, "--single-hop"},
        {512, "Tor is in anonymous hidden service mode", NK_EFORMAT, "HiddenServiceSingleHopMode"},
        {550, "Onion address collision", -EEXIST, "onion list"},
        {551, "Failed to generate RSA key", NK_EFORMAT, "log"},
        {552, "Unknown Onion Service id", -ENOENT, "detached"},
        {553, "Something else", NK_EFORMAT, "log"},
        {513, "Invalid key type", NK_EFORMAT, ""},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct nk_diag diag;
        assert_int_equal(
            onion_spec_explain(cases[i].code, cases[i].text, strlen(cases[i].text), &diag),
            cases[i].rc);
        assert_int_equal(diag.code, cases[i].rc);
        assert_non_null(strstr(diag.text, cases[i].text));
        assert_non_null(strstr(diag.hint, cases[i].hint));
    }
}

int nk_test_onion_spec(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(check_add),     cmocka_unit_test(check_key_and_clients),
        cmocka_unit_test(check_spaces),  cmocka_unit_test(check_options),
        cmocka_unit_test(check_explain),
    };
    return cmocka_run_group_tests_name("onion/spec", tests, NULL, NULL);
}
