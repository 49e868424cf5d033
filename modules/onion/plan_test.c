/* SPDX-License-Identifier: MIT */
#include "onion/plan.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "hs/hs.h"

int nk_test_onion_plan(void);

static char dir[64];
static int before;

static int set_up(void **state)
{
    (void)state;
    strcpy(dir, "/tmp/nk-plan-XXXXXX");
    before = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return before >= 0 && mkdtemp(dir) && chdir(dir) == 0 ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    (void)unlink("k");
    (void)unlink("x");
    int rc = fchdir(before);
    close(before);
    return rc == 0 && rmdir(dir) == 0 ? 0 : -1; /* nothing may be left in it */
}

static char port[] = "80:8080", *port_list[] = {port};

static struct onion_conf conf_with(char *key)
{
    return (struct onion_conf){.ports = {.v = port_list, .n = 1}, .key = key};
}

static bool exists(const char *path)
{
    return access(path, F_OK) == 0;
}

static void check_new(void **state)
{
    const struct onion_conf c = conf_with(NULL);
    struct onion_plan p, q;
    struct nk_diag diag;
    (void)state;
    assert_int_equal(onion_plan_init(&p, &c, NULL, &diag), 0);
    assert_int_equal(onion_plan_init(&q, &c, NULL, &diag), 0);
    assert_true(p.spec.key->has_secret);
    assert_string_not_equal(p.address, q.address);
    assert_int_equal(p.spec.ports[0].port, 80);
    assert_int_equal(onion_plan_keep(&p, &diag), 0);
    assert_int_equal(onion_plan_has_address(&p, p.address, NK_ONION_LABEL, &diag), 0);
    assert_int_equal(onion_plan_has_address(&p, q.address, NK_ONION_LABEL, &diag), NK_EPROTO);
    assert_int_equal(onion_plan_has_address(&p, "abc", 3, &diag), NK_EPROTO);
    onion_plan_clear(&p);
    onion_plan_clear(&p);
    onion_plan_clear(&q);
}

static void check_file(void **state)
{
    static char path[] = "k";
    const struct onion_conf c = conf_with(path);
    struct onion_plan p;
    struct stat st;
    struct nk_diag diag;
    char address[NK_ONION_SIZE];
    (void)state;
    assert_int_equal(onion_plan_init(&p, &c, NULL, &diag), 0);
    assert_false(exists("k")); /* there is no service yet */
    onion_plan_clear(&p);
    assert_false(exists("k"));

    assert_int_equal(onion_plan_init(&p, &c, NULL, &diag), 0);
    assert_int_equal(onion_plan_keep(&p, &diag), 0);
    strcpy(address, p.address);
    onion_plan_clear(&p);
    assert_int_equal(stat("k", &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);

    assert_int_equal(onion_plan_init(&p, &c, NULL, &diag), 0);
    assert_string_equal(p.address, address);
    onion_plan_clear(&p);
    assert_true(exists("k"));

    assert_int_equal(chmod("k", 0644), 0);
    assert_int_equal(onion_plan_init(&p, &c, NULL, &diag), NK_EBADMODE);
    onion_plan_clear(&p);
}

/* Somebody makes the file in between: theirs stays. */
static void check_race(void **state)
{
    static char path[] = "x";
    const struct onion_conf c = conf_with(path);
    struct onion_plan p;
    struct stat st;
    struct nk_diag diag;
    (void)state;
    assert_int_equal(onion_plan_init(&p, &c, NULL, &diag), 0);
    int fd = open("x", O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    close(fd);
    assert_int_equal(onion_plan_keep(&p, &diag), -EEXIST);
    onion_plan_clear(&p);
    assert_int_equal(stat("x", &st), 0);
    assert_int_equal(st.st_size, 0);
}

static void check_discard(void **state)
{
    static char word[] = ONION_KEY_DISCARD;
    const struct onion_conf c = conf_with(word);
    struct onion_plan p;
    struct nk_diag diag;
    static const char told[] = "aoqqpp7tzyil4hlq3umoos6atft6jvrqtosq2xy53sdgiesvgg4bqead";
    (void)state;
    assert_int_equal(onion_plan_init(&p, &c, NULL, &diag), 0);
    assert_null(p.spec.key);
    assert_string_equal(p.address, "");
    assert_int_equal(onion_plan_has_address(&p, told, sizeof(told) - 1, &diag), 0);
    assert_memory_equal(p.address, told, sizeof(told) - 1);
    onion_plan_clear(&p);
}

static void check_clients(void **state)
{
    static char good[] = "descriptor:x25519:5FQPY22I6TQ5X7IEQOZTFYK3IMQYHVDAOQBPOXCGXV4HR4OWKQKA";
    static char bad[] = "descriptor:x25519:AAAA";
    char *v[] = {good, bad};
    struct onion_conf c = conf_with(NULL);
    struct onion_plan p;
    struct nk_diag diag;
    (void)state;
    c.client_auth = (struct nk_strlist){.v = v, .n = 1};
    assert_int_equal(onion_plan_init(&p, &c, NULL, &diag), 0);
    assert_true(p.spec.restricted);
    assert_int_equal(p.spec.nclients, 1);
    assert_int_equal(p.spec.clients[0][0], 0xe9);
    onion_plan_clear(&p);
    c.client_auth.n = 2; /* one that is not good is no reason to go on without it */
    assert_true(onion_plan_init(&p, &c, NULL, &diag) < 0);
    onion_plan_clear(&p);
}

/* Their files come with the service, and once. */
static void check_new_clients(void **state)
{
    static char word[] = "alice=x", *v[] = {word};
    struct onion_conf c = conf_with(NULL);
    struct onion_plan p;
    struct nk_diag diag;
    (void)state;
    assert_int_equal(unlink("x"), 0);
    c.new_client = (struct nk_strlist){.v = v, .n = 1};
    assert_int_equal(onion_plan_init(&p, &c, NULL, &diag), 0);
    assert_true(p.spec.restricted);
    assert_int_equal(p.spec.nclients, 1);
    assert_false(exists("x"));
    assert_int_equal(onion_plan_keep(&p, &diag), 0);
    assert_true(exists("x"));
    assert_int_equal(onion_plan_keep(&p, &diag), 0);
    onion_plan_clear(&p);
}

static void check_contradictions(void **state)
{
    static char where[] = "/nonexistent", line[] = "x", *v[] = {line};
    struct onion_conf c[5];
    struct onion_plan p;
    struct nk_diag diag;
    (void)state;
    for (size_t i = 0; i < 5; i++) {
        c[i] = conf_with(i == 0 ? where : NULL);
        c[i].hsdir = i < 2 ? where : NULL;
        c[i].client_auth = (struct nk_strlist){.v = v, .n = i == 1 || i == 2};
        c[i].probe_ms = i == 2 || i == 3;
        c[i].detach = i == 3;
        c[i].hsdir = i == 4 ? line : c[i].hsdir; /* not from the root on */
        assert_int_equal(onion_plan_init(&p, &c[i], NULL, &diag), NK_EUSAGE);
        onion_plan_clear(&p);
    }
}

int nk_test_onion_plan(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(check_new),
        cmocka_unit_test(check_file),
        cmocka_unit_test(check_race),
        cmocka_unit_test(check_discard),
        cmocka_unit_test(check_clients),
        cmocka_unit_test(check_new_clients),
        cmocka_unit_test(check_contradictions),
    };
    return cmocka_run_group_tests_name("onion/plan", tests, set_up, tear_down);
}
