/* SPDX-License-Identifier: MIT */
/* What is kept of a detached service is the section that it would be. */
#include "onion/detached.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/codec.h"
#include "base/conf.h"
#include "onion/upload.h"

int nk_test_onion_detached(void);

#define ALICE "dz4q5xqlb4ldnbs72iarrml4ephk3du4i7o2cgiva5lwr6wkquja"

static char web[] = "80:8080", other[] = "81 unix:/run/a b", control[] = "9051",
            cookie[] = "cookie", key[] = "web.key", key_new[] = "new",
            tor_dir[] = "/var/lib/tor/web";
static char *port_list[] = {web, other};

static struct onion_serve_conf conf_of(char *with_key)
{
    return (struct onion_serve_conf){
        .tor = {.kind = TOR_SYSTEM, .access = {.control = control, .cookie_file = cookie}},
        .onion = {.ports = {.v = port_list, .n = 2},
                  .key = with_key,
                  .max_streams = 7,
                  .pow = true,
                  .detach = true,
                  .wait = ONION_WAIT_ALL}};
}

static void check_round_trip(void **state)
{
    static const struct nk_section *const sections[] = {&onion_section, NULL};
    char dir[] = "/tmp/nk-detached-XXXXXX", path[64], want[NK_PATH_MAX + 16], cwd[NK_PATH_MAX];
    struct onion_clients clients = {.restricted = true};
    struct nk_conf *ini;
    struct nk_diag diag;
    struct stat st;
    (void)state;
    assert_non_null(mkdtemp(dir));
    (void)snprintf(path, sizeof(path), "%s/detached", dir);
    assert_int_equal(onion_clients_load(&clients, ALICE, NULL, &diag), 0);
    for (int i = 0; i < 2; i++) { /* again over what is there */
        const struct onion_serve_conf c = conf_of(key);
        assert_int_equal(onion_detached_write(dir, "web", &c, &clients, &diag), 0);
    }
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    const struct nk_conf_source source = {.path = path, .sections = sections};
    int rc = nk_conf_load(&ini, &source, NULL);
    const struct nk_conf_problem *p = nk_conf_problem_at(ini, 0);
    if (rc < 0) {
        fail_msg("%s", p ? p->text : "not loaded");
    }
    const struct onion_serve_conf *got = nk_conf_get(ini, "onion", "web");
    assert_non_null(got);
    assert_int_equal(got->onion.ports.n, 2);
    assert_string_equal(got->onion.ports.v[1], other);
    assert_int_equal(got->tor.kind, TOR_SYSTEM);
    assert_string_equal(got->tor.access.control, control);
    assert_int_equal(got->onion.max_streams, 7);
    assert_true(got->onion.pow);
    assert_int_equal(got->onion.wait, ONION_WAIT_ALL);
    assert_int_equal(got->onion.client_auth.n, 1);
    assert_non_null(strstr(got->onion.client_auth.v[0], ALICE));
    assert_non_null(getcwd(cwd, sizeof(cwd))); /* found from anywhere */
    (void)snprintf(want, sizeof(want), "%s/%s", cwd, key);
    assert_string_equal(got->onion.key, want);
    (void)snprintf(want, sizeof(want), "%s/%s", cwd, cookie);
    assert_string_equal(got->tor.access.cookie_file, want);
    nk_conf_free(ini);
    onion_detached_forget(dir);
    assert_int_equal(access(path, F_OK), -1);
    onion_detached_forget(dir);
    onion_clients_clear(&clients);
    assert_int_equal(rmdir(dir), 0);
}

/* What could not be added again leaves no file, nor an old one. */
static void check_not_kept(void **state)
{
    char dir[] = "/tmp/nk-detached-XXXXXX", path[64];
    const struct onion_clients nobody = {.restricted = false};
    struct onion_serve_conf c[] = {conf_of(key_new), conf_of(NULL)};
    const struct onion_serve_conf old = conf_of(NULL);
    struct nk_diag diag;
    (void)state;
    c[1].onion.hsdir = tor_dir;
    assert_non_null(mkdtemp(dir));
    (void)snprintf(path, sizeof(path), "%s/detached", dir);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(onion_detached_write(dir, "web", &old, &nobody, &diag), 0);
        assert_int_equal(access(path, F_OK), 0);
        assert_int_equal(onion_detached_write(dir, "web", &c[i], &nobody, &diag), 0);
        assert_int_equal(access(path, F_OK), -1);
    }
    assert_int_equal(rmdir(dir), 0);
    assert_int_equal(onion_detached_write(dir, "web", &old, &nobody, &diag), -ENOENT);
}

int nk_test_onion_detached(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(check_round_trip),
        cmocka_unit_test(check_not_kept),
    };
    return cmocka_run_group_tests_name("onion/detached", tests, NULL, NULL);
}
