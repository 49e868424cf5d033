/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "base/onion.h"
#include "hs/artipath.h"

int nk_test_hs_artipath(void);

#define ADDRESS "mnyizjj7m3hpcr7i5afph3zt7maa65johyu2ruis6z7cmnjmaj3h6tad"
#define HEX "2be21892f6f0e1fa05b7b4b1ee2af38e1e7b1d9f96e0d1d3c26fb90fdd1d5b0a"

static void reads_every_role(void **state)
{
    static const struct {
        const char *path;
        enum hs_role role;
        const char *service, *client;
    } rows[] = {
        {"client/" ADDRESS "/ks_hsc_desc_enc.x25519_private", HS_ROLE_CLIENT, "", ""},
        {"client/bob/" ADDRESS "/ks_hsc_desc_enc.x25519_private", HS_ROLE_CLIENT, "", "bob"},
        {"hss/allium-cepa/ks_hs_id.ed25519_expanded_private", HS_ROLE_ID, "allium-cepa", ""},
        {"hss/a/kp_hs_id.ed25519_public", HS_ROLE_ID_PUBLIC, "a", ""},
        {"hss/a/ks_hs_blind_id+20326_1440_43200.ed25519_expanded_private", HS_ROLE_BLIND, "a", ""},
        {"hss/a/kp_hs_blind_id+20326_1440_43200.ed25519_public", HS_ROLE_BLIND_PUBLIC, "a", ""},
        {"hss/a/ks_hs_desc_sign+20326_1440_43200.ed25519_private", HS_ROLE_SIGN, "a", ""},
        {"hss/a/ipts/k_sid+" HEX ".ed25519_private", HS_ROLE_SID, "a", ""},
        {"hss/a/ipts/k_hss_ntor+" HEX ".x25519_private", HS_ROLE_NTOR, "a", ""},
        {"relay/ks_relayid_rsa.rsa_private", HS_ROLE_OTHER, "", ""},
        {"x+y+z@w.tor_ed25519_cert", HS_ROLE_OTHER, "", ""},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct hs_artipath p;
        struct nk_diag diag;
        if (hs_artipath_parse(rows[i].path, &p, &diag) < 0) {
            fail_msg("%s: %s", rows[i].path, diag.text);
        }
        assert_int_equal(p.role, rows[i].role);
        assert_string_equal(p.service, rows[i].service);
        assert_string_equal(p.client, rows[i].client);
        assert_int_equal(p.has_address, p.role == HS_ROLE_CLIENT);
        if (p.has_period) {
            assert_int_equal(p.period, 20326);
            assert_int_equal(p.period_minutes, 1440);
            assert_int_equal(p.period_offset, 43200);
        }
    }
}

static void says_what_is_wrong(void **state)
{
    static const struct {
        const char *path, *why;
    } rows[] = {
        {"", "no name that arti knows"},
        {"hss//ks_hs_id.ed25519_expanded_private", "'' is no name"},
        {"hss/A/ks_hs_id.ed25519_expanded_private", "'A' is no name"},
        {"hss/-a/ks_hs_id.ed25519_expanded_private", "'-a' is no name"},
        {"hss/../ks_hs_id.ed25519_expanded_private", "'..' is no name"},
        {"hss/a/ks_hs_id", "'.' is no type"},
        {"hss/a/unrecognized-entry", "is no type"},
        {"hss/a/ks_hs_id.ed25519_private", "has the type .ed25519_expanded_private"},
        {"hss/a/ks_hs_id.ed25519_expanded_private.tmp", "is no type"},
        {"hss/a/ks_hs_id+1.ed25519_expanded_private", "'+1' has no meaning"},
        {"hss/a/ks_hs_id+.ed25519_expanded_private", "'+' has no meaning"},
        {"hss/a/ks_hs_id.ed25519_expanded_private/", "a directory's name"},
        {"hss/ks_hs_id.ed25519_expanded_private", "belongs into hss/SERVICE"},
        {"unrecognized-path-dir/ks_hs_id.ed25519_expanded_private", "belongs into hss/SERVICE"},
        {"hss/a/b/ks_hs_id.ed25519_expanded_private", "belongs into hss/SERVICE"},
        {"hss/a/ipts/ks_hs_id.ed25519_expanded_private", "belongs into hss/SERVICE"},
        {"hss/a/k_sid+" HEX ".ed25519_private", "belongs into hss/SERVICE/ipts"},
        {"hss/a/ipts/k_sid+00.ed25519_private", "no id of 64 hex digits"},
        {"hss/a/ks_hs_desc_sign+1_2.ed25519_private", "no time period"},
        {"hss/a/ks_hs_desc_sign+01_2_3.ed25519_private", "no time period"},
        {"hss/a/ks_hs_desc_sign+1_2_99999999999999999999.ed25519_private", "no time period"},
        {"client/ks_hsc_desc_enc.x25519_private", "client/ADDRESS"},
        {"client/" ADDRESS ".onion/ks_hsc_desc_enc.x25519_private", "is no name"},
        {"client/nnyizjj7m3hpcr7i5afph3zt7maa65johyu2ruis6z7cmnjmaj3h6tad/"
         "ks_hsc_desc_enc.x25519_private",
         "checksum"},
        {"client/expyuzz4wqqyqhjn/ks_hsc_desc_enc.x25519_private", "with 56 characters"},
        {"hss/a/ks_hsc_desc_enc.x25519_private", "belongs into client/ADDRESS"},
        {"client/a/b/" ADDRESS "/ks_hsc_desc_enc.x25519_private", "so deep"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct hs_artipath p = {.role = HS_ROLE_SID};
        struct nk_diag diag = {0};
        assert_int_equal(hs_artipath_parse(rows[i].path, &p, &diag), NK_EFORMAT);
        if (!strstr(diag.text, rows[i].why)) {
            fail_msg("%s: %s", rows[i].path, diag.text);
        }
        assert_int_equal(p.role, HS_ROLE_SID); /* untouched */
    }
}

static void writes_what_it_reads(void **state)
{
    uint8_t key[HS_PUBLIC_KEY];
    char path[NK_PATH_MAX];
    struct hs_artipath p;
    (void)state;
    assert_int_equal(nk_onion_parse(key, ADDRESS, strlen(ADDRESS), NULL), 0);
    assert_int_equal(hs_artipath_client(path, sizeof(path), key), 0);
    assert_string_equal(path, "client/" ADDRESS "/ks_hsc_desc_enc.x25519_private");
    assert_int_equal(hs_artipath_parse(path, &p, NULL), 0);
    assert_memory_equal(p.address, key, sizeof(key));
    assert_int_equal(hs_artipath_client(path, 80, key), NK_ETOOBIG);
    assert_int_equal(hs_artipath_identity(path, sizeof(path), "web"), 0);
    assert_string_equal(path, "hss/web/ks_hs_id.ed25519_expanded_private");
    assert_int_equal(hs_artipath_identity(path, 10, "web"), NK_ETOOBIG);
}

int nk_test_hs_artipath(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_every_role),
        cmocka_unit_test(says_what_is_wrong),
        cmocka_unit_test(writes_what_it_reads),
    };
    return cmocka_run_group_tests_name("hs/artipath", tests, NULL, NULL);
}
