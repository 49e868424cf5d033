/* SPDX-License-Identifier: MIT */
/*
 * Services that do nothing but write down what is asked of them, run by the real loop with real
 * signals to this process. Each test scripts what happens when all are ready and after each reload.
 */
#include "core/service.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/app.h"
#include "core/timer.h"
#include "torture.h"

enum { UNITS = 2 };

/* What one service does, from its configuration. */
struct fake_conf {
    char letter;
    bool fail_start, fail_later, end_at_once, stay, refuse;
    int version;
    struct world *world;
};

struct nk_service {
    struct nk_service_args args;
    const struct fake_conf *conf;
    struct nk_timer step;
    bool draining;
};

/* One test: what happened, in letters, and what to do next. */
struct world {
    struct nk_app *app;
    char log[256];
    int signals[4]; /* to send: [0] when ready, the next one after each step */
    size_t step;
    struct fake_conf now[UNITS], next[UNITS];
    int load_error;
    const struct nk_conf *settled, *in_force; /* at the end of the last reload */
    struct nk_diag diag;
    const struct nk_section *const *sections;
    const struct nk_service_type *type[UNITS]; /* NULL: one that can reload */
    const struct nk_conf *ini[2];              /* the old and the new one */
};

/* Two configurations are told apart by their address only. */
static const char old_ini, new_ini;
#define INI(x) ((const struct nk_conf *)(const void *)(x))

static void note(struct world *w, const char *what, char letter)
{
    size_t n = strlen(w->log);
    snprintf(w->log + n, sizeof(w->log) - n, "%s%s%c", n ? " " : "", what, letter);
}

static void next_signal(struct world *w)
{
    if (w->step < sizeof(w->signals) / sizeof(w->signals[0]) && w->signals[w->step]) {
        kill(getpid(), w->signals[w->step++]);
    }
}

static void on_step(void *owner)
{
    struct nk_service *s = owner;
    struct nk_diag diag;
    if (s->draining || s->conf->end_at_once) {
        s->args.on_end(s->args.owner, 0, NULL);
    } else if (s->conf->fail_later) {
        nk_fail(&diag, -EIO, "broke");
        s->args.on_end(s->args.owner, -EIO, &diag);
    } else {
        s->args.on_ready(s->args.owner);
    }
}

static int fake_start(const struct nk_service_args *args, struct nk_service **out,
                      struct nk_diag *diag)
{
    const struct fake_conf *conf = args->conf;
    note(conf->world, "start", conf->letter);
    if (conf->fail_start) {
        return nk_fail(diag, -EADDRINUSE, "taken");
    }
    struct nk_service *s = calloc(1, sizeof(*s));
    if (!s) {
        return nk_fail_sys(diag, -ENOMEM, "fake");
    }
    s->args = *args;
    s->conf = conf;
    assert_ptr_equal(nk_app_ini(args->app), args->ini);
    nk_timer_init(&s->step, args->app, on_step, s);
    nk_timer_start(&s->step, 0);
    *out = s;
    return 0;
}

static void fake_drain(struct nk_service *s)
{
    note(s->conf->world, "drain", s->conf->letter);
    s->draining = true;
    if (!s->conf->stay) {
        nk_timer_start(&s->step, 0);
    } else {
        next_signal(s->conf->world);
    }
}

static int fake_reload(struct nk_service *s, const void *conf, const struct nk_conf *ini,
                       struct nk_diag *diag)
{
    const struct fake_conf *fresh = conf;
    char what[16];
    assert_ptr_equal(ini, fresh->version ? INI(&new_ini) : INI(&old_ini));
    if (fresh->refuse) {
        note(s->conf->world, "refuse", fresh->letter);
        return nk_fail(diag, NK_ECONFIG, "no");
    }
    snprintf(what, sizeof(what), "v%d", fresh->version);
    note(s->conf->world, what, fresh->letter);
    s->conf = fresh;
    return 0;
}

static void fake_status(const struct nk_service *s, struct nk_json *out)
{
    note(s->conf->world, "status", s->conf->letter);
    nk_json_kv_bool(out, "draining", s->draining);
}

static void fake_close(struct nk_service *s)
{
    note(s->conf->world, "close", s->conf->letter);
    nk_timer_stop(&s->step);
    free(s);
}

static const struct nk_service_type fake = {"fake",      fake_start, fake_drain, fake_reload,
                                            fake_status, fake_close, NULL};
static const struct nk_service_type fixed = {"fixed", fake_start, fake_drain, NULL,
                                             NULL,    fake_close, NULL};

static void on_all_ready(void *owner)
{
    struct world *w = owner;
    note(w, "ready", '.');
    next_signal(w);
}

static int load(void *owner, const struct nk_conf **ini, struct nk_diag *diag)
{
    struct world *w = owner;
    if (w->load_error) {
        next_signal(w);
        return nk_fail(diag, w->load_error, "broken");
    }
    *ini = w->ini[1];
    return 0;
}

static const void *pick(void *owner, const struct nk_conf *ini, size_t i)
{
    struct world *w = owner;
    assert_ptr_equal(ini, w->ini[1]);
    return &w->next[i];
}

static void settle(void *owner, const struct nk_conf *unused)
{
    struct world *w = owner;
    w->settled = unused;
    w->in_force = nk_app_ini(w->app);
    next_signal(w);
}

static void world_init(struct world *w)
{
    struct nk_app_conf conf = {0};
    memset(w, 0, sizeof(*w));
    for (int i = 0; i < UNITS; i++) {
        w->now[i] = w->next[i] = (struct fake_conf){.letter = (char)('A' + i), .world = w};
        w->next[i].version = 1;
    }
    w->ini[0] = INI(&old_ini);
    w->ini[1] = INI(&new_ini);
    assert_int_equal(nk_app_new(&w->app, &conf, NULL), 0);
}

static const struct nk_service_type *type_of(const struct world *w, size_t i)
{
    return w->type[i] ? w->type[i] : &fake;
}

static int world_run(struct world *w, uint64_t drain_ms)
{
    struct nk_services conf = {.app = w->app,
                               .ini = w->ini[0],
                               .sections = w->sections,
                               .drain_ms = drain_ms,
                               .owner = w,
                               .on_ready = on_all_ready,
                               .reload = load,
                               .pick = pick,
                               .settle = settle};
    struct nk_service_unit units[UNITS] = {
        {.label = "fake a", .type = type_of(w, 0), .name = "a", .conf = &w->now[0]},
        {.label = "fake b", .type = type_of(w, 1), .name = "b", .conf = &w->now[1]}};
    int rc = nk_services_run(&conf, units, UNITS, &w->diag);
    nk_app_free(w->app);
    return rc;
}

enum { LONG_MS = 3600 * 1000 };

static void term_drains(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    w.signals[0] = SIGTERM;
    assert_int_equal(world_run(&w, LONG_MS), 0);
    assert_string_equal(w.log, "startA startB ready. drainA drainB closeA closeB");
}

static void first_failure_ends_the_start(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    w.now[1].fail_start = true;
    assert_int_equal(world_run(&w, LONG_MS), -EADDRINUSE);
    assert_string_equal(w.log, "startA startB closeA");
    assert_string_equal(w.diag.text, "fake b: taken");
}

static void one_error_drains_the_others(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    w.now[0].fail_later = true;
    assert_int_equal(world_run(&w, LONG_MS), -EIO);
    assert_string_equal(w.log, "startA startB closeA drainB closeB");
    assert_string_equal(w.diag.text, "fake a: broke");
}

static void all_ended_by_themselves(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    w.now[0].end_at_once = w.now[1].end_at_once = true;
    assert_int_equal(world_run(&w, LONG_MS), 0);
    assert_string_equal(w.log, "startA startB closeA closeB");
}

static void drain_is_bounded(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    w.now[1].stay = true;
    w.signals[0] = SIGINT;
    assert_int_equal(world_run(&w, 20), 0);
    assert_string_equal(w.log, "startA startB ready. drainA drainB closeA closeB");
}

static void second_signal_ends_at_once(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    w.now[1].stay = true;
    w.signals[0] = SIGTERM;
    w.signals[1] = SIGINT;
    assert_int_equal(world_run(&w, LONG_MS), 130);
    world_init(&w);
    w.now[1].stay = true;
    w.signals[0] = SIGINT;
    w.signals[1] = SIGTERM;
    assert_int_equal(world_run(&w, LONG_MS), 143);
}

static void reload_moves_everybody(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    w.signals[0] = SIGHUP;
    w.signals[1] = SIGTERM;
    assert_int_equal(world_run(&w, LONG_MS), 0);
    assert_string_equal(w.log, "startA startB ready. v1A v1B drainA drainB closeA closeB");
    assert_ptr_equal(w.settled, INI(&old_ini));
}

static void refused_reload_is_undone(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    w.signals[0] = SIGHUP;
    w.signals[1] = SIGTERM;
    w.next[1].refuse = true;
    assert_int_equal(world_run(&w, LONG_MS), 0);
    assert_string_equal(w.log, "startA startB ready. v1A refuseB v0A drainA drainB closeA closeB");
    assert_ptr_equal(w.settled, INI(&new_ini));
}

/* One that cannot reload goes on with the old configuration, which then stays alive. */
static void half_a_reload(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    w.type[1] = &fixed;
    w.settled = INI(&old_ini);
    w.signals[0] = SIGHUP;
    w.signals[1] = SIGTERM;
    assert_int_equal(world_run(&w, LONG_MS), 0);
    assert_string_equal(w.log, "startA startB ready. v1A drainA drainB closeA closeB");
    assert_null(w.settled);
}

struct stall_conf {
    char *dir;
};

static const struct nk_opt stall_rows[] = {{.name = "dir",
                                            .type = NK_OPT_STRING,
                                            .offset = NK_FIELD(struct stall_conf, dir),
                                            .flags = NK_OPT_RELOAD},
                                           NK_OPT_END};
static const struct nk_section stall = {.name = "stall",
                                        .named = true,
                                        .opts = stall_rows,
                                        .conf_size = sizeof(struct stall_conf),
                                        .reload = true};
static const struct nk_section *const stalls[] = {&stall, NULL};

static struct nk_conf *parse(const char *text)
{
    struct nk_conf *c;
    const struct nk_conf_source src = {.text = text, .text_len = strlen(text), .sections = stalls};
    assert_int_equal(nk_conf_load(&c, &src, NULL), 0);
    return c;
}

/* No service can take anything new, but a section that others read has changed. */
static void section_that_is_no_service(void **state)
{
    static const struct {
        const char *now;
        bool taken;
    } cases[] = {{"[stall a]\ndir = /new\n", true},
                 {"[stall a]\ndir = /old\n[stall b]\ndir = /new\n", true},
                 {"", true},
                 {"[stall a]\ndir = /old\n", false}};
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct nk_conf *old = parse("[stall a]\ndir = /old\n"), *now = parse(cases[i].now);
        struct world w;
        world_init(&w);
        w.ini[0] = old;
        w.ini[1] = now;
        w.sections = stalls;
        w.type[0] = w.type[1] = &fixed;
        w.signals[0] = SIGHUP;
        w.signals[1] = SIGTERM;
        assert_int_equal(world_run(&w, LONG_MS), 0);
        assert_string_equal(w.log, "startA startB ready. drainA drainB closeA closeB");
        assert_ptr_equal(w.in_force, cases[i].taken ? now : old);
        assert_ptr_equal(w.settled, cases[i].taken ? NULL : now); /* the services use the old one */
        nk_conf_free(old);
        nk_conf_free(now);
    }
}

static void broken_file_changes_nothing(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    w.signals[0] = SIGHUP;
    w.signals[1] = SIGTERM;
    w.load_error = NK_ECONFIG;
    assert_int_equal(world_run(&w, LONG_MS), 0);
    assert_string_equal(w.log, "startA startB ready. drainA drainB closeA closeB");
}

/* The first allocations are the group's own; the application and the services are not under test.
 */
static int run_once(void *arg)
{
    struct world *w = arg;
    nk_torture_pause();
    world_init(w);
    w->signals[0] = SIGHUP;
    w->signals[1] = SIGTERM;
    nk_torture_resume();
    int rc = world_run(w, LONG_MS);
    if (rc == -ENOMEM && w->log[0] == 's' && strstr(w->log, "ready")) {
        return 1; /* ENOMEM is for the start only */
    }
    return rc;
}

static void without_memory(void **state)
{
    (void)state;
    struct world w;
    assert_true(nk_torture(run_once, &w) >= 3);
}

/* --- one service, and the service manager ----------------------------------------------------- */

static int single_reload(void *owner, const void **conf, const struct nk_conf **ini,
                         struct nk_diag *diag)
{
    struct world *w = owner;
    (void)diag;
    *conf = &w->next[0];
    *ini = INI(&new_ini);
    return 0;
}

static void single_done(void *owner, bool taken)
{
    struct world *w = owner;
    note(w, taken ? "taken" : "refused", '.');
    next_signal(w);
}

static int single_run(struct world *w)
{
    struct nk_service_args args = {.conf = &w->now[0],
                                   .ini = INI(&old_ini),
                                   .on_ready = on_all_ready,
                                   .owner = w,
                                   .reload_conf = single_reload,
                                   .reload_done = single_done};
    int rc = nk_service_run(w->app, type_of(w, 0), &args, LONG_MS, &w->diag);
    nk_app_free(w->app);
    return rc;
}

static void single_service(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    w.signals[0] = SIGHUP;
    w.signals[1] = SIGTERM;
    assert_int_equal(single_run(&w), 0);
    assert_string_equal(w.log, "startA ready. v1A taken. drainA closeA");
    world_init(&w);
    w.next[0].refuse = true;
    w.signals[0] = SIGHUP;
    w.signals[1] = SIGTERM;
    assert_int_equal(single_run(&w), 0);
    assert_string_equal(w.log, "startA ready. refuseA refused. drainA closeA");
    world_init(&w);
    w.type[0] = &fixed;
    w.signals[0] = SIGHUP;
    w.signals[1] = SIGTERM;
    assert_int_equal(single_run(&w), 0);
    assert_string_equal(w.log, "startA ready. refused. drainA closeA");
}

static void expect_datagram(int fd, const char *text)
{
    char got[128] = {0};
    assert_true(recv(fd, got, sizeof(got) - 1, MSG_DONTWAIT) > 0);
    assert_memory_equal(got, text, strlen(text));
}

static void manager_is_told(void **state)
{
    (void)state;
    struct world w;
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    char name[64], pid[16];
    int n = snprintf(name, sizeof(name), "@nk-service-test-%ld", (long)getpid());
    memcpy(at.sun_path, name, (size_t)n);
    at.sun_path[0] = '\0';
    int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&at,
                          (socklen_t)(offsetof(struct sockaddr_un, sun_path) + (size_t)n)),
                     0);
    snprintf(pid, sizeof(pid), "%ld", (long)getpid());
    setenv("NOTIFY_SOCKET", name, 1);
    setenv("WATCHDOG_USEC", "3600000000", 1);
    setenv("WATCHDOG_PID", pid, 1);
    world_init(&w);
    w.signals[0] = SIGHUP;
    w.signals[1] = SIGTERM;
    assert_int_equal(single_run(&w), 0);
    expect_datagram(fd, "WATCHDOG=1");
    expect_datagram(fd, "READY=1");
    expect_datagram(fd, "RELOADING=1\nMONOTONIC_USEC=");
    expect_datagram(fd, "READY=1");
    expect_datagram(fd, "STOPPING=1");
    assert_null(getenv("NOTIFY_SOCKET"));
    assert_null(getenv("WATCHDOG_USEC"));
    close(fd);
}

static void manager_values_are_checked(void **state)
{
    (void)state;
    static const char *const bad[] = {"relative", "@", "/"};
    struct world w;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        setenv("NOTIFY_SOCKET", bad[i], 1);
        world_init(&w);
        assert_int_equal(single_run(&w), NK_ECONFIG);
        assert_string_equal(w.log, "");
    }
    setenv("NOTIFY_SOCKET", "/nonexistent/socket", 1);
    world_init(&w);
    assert_int_equal(single_run(&w), -ENOENT);
    setenv("WATCHDOG_USEC", "12x", 1);
    world_init(&w);
    assert_int_equal(single_run(&w), NK_ECONFIG);
    unsetenv("NOTIFY_SOCKET");
    unsetenv("WATCHDOG_USEC");
}

int nk_test_core_service(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(term_drains),
        cmocka_unit_test(first_failure_ends_the_start),
        cmocka_unit_test(one_error_drains_the_others),
        cmocka_unit_test(all_ended_by_themselves),
        cmocka_unit_test(drain_is_bounded),
        cmocka_unit_test(second_signal_ends_at_once),
        cmocka_unit_test(reload_moves_everybody),
        cmocka_unit_test(refused_reload_is_undone),
        cmocka_unit_test(half_a_reload),
        cmocka_unit_test(section_that_is_no_service),
        cmocka_unit_test(broken_file_changes_nothing),
        cmocka_unit_test(without_memory),
        cmocka_unit_test(single_service),
        cmocka_unit_test(manager_is_told),
        cmocka_unit_test(manager_values_are_checked),
    };
    return cmocka_run_group_tests_name("core/service", tests, NULL, NULL);
}
