/* SPDX-License-Identifier: MIT */
/* Every allocation of the configuration loader and of the command line fails once. */
#include "torture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/args.h"
#include "base/conf.h"

#define WRONG 1

struct web_conf {
    struct nk_strlist listen;
    char *cert;
    uint64_t limit;
    uint64_t ttl;
    char *name;
    bool plain;
    int engine;
};

static const char *const engines[] = {"log", "memory", NULL};

static const struct nk_opt web_rows[] = {
    {.name = "listen",
     .type = NK_OPT_LISTEN,
     .offset = NK_FIELD(struct web_conf, listen),
     .flags = NK_OPT_REPEAT,
     .def = "tcp:127.0.0.1:80",
     .help = "x"},
    {.name = "cert", .type = NK_OPT_PATH, .offset = NK_FIELD(struct web_conf, cert), .help = "x"},
    {.name = "max-size",
     .type = NK_OPT_SIZE,
     .offset = NK_FIELD(struct web_conf, limit),
     .def = "64KiB",
     .help = "x"},
    {.name = "ttl", .type = NK_OPT_DURATION, .offset = NK_FIELD(struct web_conf, ttl), .help = "x"},
    {.name = "name",
     .type = NK_OPT_STRING,
     .offset = NK_FIELD(struct web_conf, name),
     .def = "default",
     .help = "x"},
    {.name = "plain",
     .type = NK_OPT_BOOL,
     .offset = NK_FIELD(struct web_conf, plain),
     .def = "no",
     .help = "x"},
    {.name = "engine",
     .type = NK_OPT_ENUM,
     .offset = NK_FIELD(struct web_conf, engine),
     .choices = engines,
     .def = "log",
     .help = "x"},
    NK_OPT_END,
};

static const struct nk_section web = {
    .name = "web", .summary = "x", .opts = web_rows, .conf_size = sizeof(struct web_conf)};
static const struct nk_section site = {.name = "site",
                                       .named = true,
                                       .summary = "x",
                                       .opts = web_rows,
                                       .conf_size = sizeof(struct web_conf)};
static const struct nk_section *const sections[] = {&web, &site, NULL};

static const char good_text[] = "[web]\n"
                                "listen = tcp:127.0.0.1:1\n"
                                "listen = tcp:127.0.0.1:2\n"
                                "cert = cert.pem\n"
                                "[site one]\n"
                                "name = first\n"
                                "ttl = 5m\n"
                                "[site two]\n"
                                "plain = yes\n";

static const char bad_text[] = "[web]\n"
                               "lisen = tcp:127.0.0.1:1\n"
                               "max_size = lots\n"
                               "name = a\n"
                               "name = b\n"
                               "[wbe]\n"
                               "[site]\n"
                               "broken\n";

static const char *const env[] = {"HOME=/", "NETKIT_WEB__NAME=env",
                                  "NETKIT_SITE__ONE__ENGINE=memory", NULL};
static const char *const overrides[] = {"web.ttl=7s", "site two.max_size=1k", NULL};

static bool values_right(const struct nk_conf *c)
{
    const struct web_conf *w = nk_conf_get(c, "web", NULL);
    const struct web_conf *one = nk_conf_get(c, "site", "one");
    const struct web_conf *two = nk_conf_get(c, "site", "two");
    return w && one && two && w->listen.n == 2 && strcmp(w->listen.v[1], "tcp:127.0.0.1:2") == 0 &&
           strcmp(w->name, "env") == 0 && w->ttl == 7000 && w->limit == 65536 &&
           strcmp(one->name, "first") == 0 && one->engine == 1 && one->listen.n == 1 &&
           two->plain && two->limit == 1024;
}

static int load_good(void *arg)
{
    (void)arg;
    const struct nk_conf_source src = {.text = good_text,
                                       .text_len = sizeof good_text - 1,
                                       .env = env,
                                       .overrides = overrides,
                                       .sections = sections};
    struct nk_conf *c = NULL;
    int r = nk_conf_load(&c, &src, NULL);
    if (r == 0 && !values_right(c))
        r = WRONG;
    nk_conf_free(c);
    return r;
}

static void loading(void **state)
{
    (void)state;
    assert_true(nk_torture(load_good, NULL) > 20);
}

/* A broken text must be refused whatever memory there is; problems may be missing then, not wrong.
 */
static int load_bad(void *arg)
{
    (void)arg;
    const struct nk_conf_source src = {
        .text = bad_text, .text_len = sizeof bad_text - 1, .sections = sections};
    struct nk_conf *c = NULL;
    int r = nk_conf_load(&c, &src, NULL);
    size_t n = 0;
    while (r == NK_ECONFIG && nk_conf_problem_at(c, n))
        n++;
    if (r == NK_ECONFIG)
        r = n > 0 ? 0 : WRONG;
    else if (r == 0)
        r = WRONG;
    nk_conf_free(c);
    return r;
}

static void refusing(void **state)
{
    (void)state;
    assert_true(nk_torture(load_bad, NULL) > 10);
}

static int defaults_once(void *arg)
{
    (void)arg;
    const struct nk_conf_source src = {.sections = sections};
    struct nk_conf *c = NULL;
    struct web_conf w;
    int r = nk_conf_load(&c, &src, NULL);
    if (r == 0)
        r = nk_conf_defaults(c, &web, &w);
    if (r == 0 && (w.listen.n != 1 || strcmp(w.name, "default") != 0 || w.limit != 65536))
        r = WRONG;
    nk_conf_free(c);
    return r;
}

static void defaults(void **state)
{
    (void)state;
    nk_torture(defaults_once, NULL);
}

static int args_once(void *arg)
{
    (void)arg;
    char words[][24] = {"--listen=tcp::1", "one", "--ttl", "5s", "--", "--two"};
    char *argv[7] = {0};
    for (size_t i = 0; i < 6; i++)
        argv[i] = words[i];
    struct nk_args a;
    int r = nk_args_parse(&a, 6, argv, web_rows, NULL, NULL);
    if (r == 0 && (a.nown != 2 || a.noperands != 2 || strcmp(a.operands[1], "--two") != 0))
        r = WRONG;
    nk_args_clear(&a);
    return r;
}

static void arguments(void **state)
{
    (void)state;
    nk_torture(args_once, NULL);
}

int nk_test_base_torture_conf(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(loading),
        cmocka_unit_test(refusing),
        cmocka_unit_test(defaults),
        cmocka_unit_test(arguments),
    };
    return cmocka_run_group_tests_name("base/torture_conf", tests, NULL, NULL);
}
