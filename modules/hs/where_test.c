/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "hs/ctor_dir.h"
#include "hs/store_testkit.h"
#include "hs/where.h"

int nk_test_hs_where(void);

static const struct nk_section *const sections[] = {&hs_keystore_section, NULL};

static struct nk_conf *load(const char *ini, int want)
{
    struct nk_conf *c = NULL;
    struct nk_conf_source src = {.text = ini, .text_len = strlen(ini), .sections = sections};
    assert_int_equal(nk_conf_load(&c, &src, NULL), want);
    return c;
}

static void expect(const struct nk_conf *ini, const char *given, enum hs_store_kind kind,
                   const char *dir)
{
    struct hs_where w;
    struct nk_diag diag = {0};
    if (hs_where_find(&w, given, ini, "/state", &diag) < 0) {
        fail_msg("%s: %s", given ? given : "(none)", diag.text);
    }
    assert_int_equal(w.kind, kind);
    assert_string_equal(w.dir, dir);
}

static void sections_and_prefixes(void **state)
{
    struct hs_where w;
    struct nk_diag diag = {0};
    (void)state;
    struct nk_conf *ini = load("[keystore web]\ndir = /k/web\n"
                               "[keystore tor]\ndir = /k/tor\nformat = ctor\n",
                               0);
    expect(ini, NULL, HS_STORE_ARTI, "/state/keystore");
    expect(ini, "web", HS_STORE_ARTI, "/k/web");
    expect(ini, "tor", HS_STORE_CTOR, "/k/tor");
    expect(ini, "arti:tor", HS_STORE_ARTI, "tor");
    expect(ini, "ctor:/none/at/all", HS_STORE_CTOR, "/none/at/all");
    expect(ini, "/none/at/all", HS_STORE_ARTI, "/none/at/all");
    assert_int_equal(hs_where_find(&w, "mail", ini, "/state", &diag), NK_EUSAGE);
    assert_non_null(strstr(diag.hint, "web, tor"));
    assert_int_equal(hs_where_find(&w, "ctor:", ini, "/state", &diag), NK_EUSAGE);
    nk_conf_free(ini);
    ini = load("[keystore default]\ndir = /k\nformat = ctor\n", 0);
    expect(ini, NULL, HS_STORE_CTOR, "/k");
    nk_conf_free(ini);
    nk_conf_free(load("[keystore web]\nformat = arti\n", NK_ECONFIG)); /* without dir */
    nk_conf_free(load("[keystore web]\ndir = /k\nformat = gpg\n", NK_ECONFIG));
}

static void directories_show_what_they_are(void **state)
{
    struct hs_testdir *d = *state;
    char path[NK_PATH_MAX], sub[NK_PATH_MAX];
    struct nk_conf *ini = load("", 0);
    hs_testdir_put(d, "empty/x", "x", 1, 0600);
    expect(ini, hs_testdir_at(d, "empty", path), HS_STORE_ARTI, path);
    hs_testdir_put(d, "auth/a.auth_private", "x", 1, 0600);
    expect(ini, hs_testdir_at(d, "auth", path), HS_STORE_CTOR, path);
    hs_testdir_put(d, "svc/" HS_CTOR_SECRET_FILE, "x", 1, 0600);
    expect(ini, hs_testdir_at(d, "svc", path), HS_STORE_CTOR, path);
    hs_testdir_put(d, "arti/keystore/hss/web/x", "x", 1, 0600);
    hs_testdir_put(d, "arti/hss/web/x", "x", 1, 0600); /* what arti keeps beside its keystore */
    hs_testdir_at(d, "arti/keystore", sub);
    expect(ini, sub, HS_STORE_ARTI, sub);
    expect(ini, hs_testdir_at(d, "arti", path), HS_STORE_ARTI, sub);
    nk_conf_free(ini);
}

int nk_test_hs_where(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sections_and_prefixes),
        cmocka_unit_test_setup_teardown(directories_show_what_they_are, hs_testdir_open,
                                        hs_testdir_close),
    };
    return cmocka_run_group_tests_name("hs/where", tests, NULL, NULL);
}
