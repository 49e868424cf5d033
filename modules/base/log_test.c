/* SPDX-License-Identifier: MIT */
#include "base/log.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

/* A log that writes into a pipe. */
struct tap {
    int fd[2];
    struct nk_log *log;
    char got[8192];
};

static void open_tap(struct tap *t, enum nk_log_format format, enum nk_level level)
{
    assert_int_equal(pipe2(t->fd, O_CLOEXEC | O_NONBLOCK), 0);
    t->log = nk_log_new(t->fd[1], format, level);
    assert_non_null(t->log);
}

static void close_tap(struct tap *t)
{
    nk_log_free(t->log);
    close(t->fd[0]);
    close(t->fd[1]);
}

static const char *drain(struct tap *t)
{
    ssize_t n = read(t->fd[0], t->got, sizeof t->got - 1);
    t->got[n > 0 ? n : 0] = '\0';
    return t->got;
}

/* What stands behind "2026-11-20T23:15:00.123Z ", after checking its shape. */
static const char *after_timestamp(const char *line)
{
    static const char shape[] = "dddd-dd-ddTdd:dd:dd.dddZ ";
    for (size_t i = 0; i < sizeof shape - 1; i++) {
        if (shape[i] == 'd')
            assert_int_in_range(line[i], '0', '9');
        else
            assert_int_equal(line[i], shape[i]);
    }
    assert_memory_equal(line, "20", 2);
    return line + sizeof shape - 1;
}

static void text_form(void **state)
{
    (void)state;
    struct tap t;
    open_tap(&t, NK_LOG_TEXT, NK_LOG_INFO);
    nk_info(t.log, "relay", "listening on %s", "tcp:127.0.0.1:3000");
    assert_string_equal(after_timestamp(drain(&t)),
                        "info relay: listening on tcp:127.0.0.1:3000\n");
    nk_audit(t.log, "relay", NK_LOG_WARN, "auth.fail", "10.0.0.7:99", "wrong password");
    assert_string_equal(after_timestamp(drain(&t)),
                        "warn relay: wrong password event=auth.fail peer=10.0.0.7:99\n");
    nk_error(t.log, "ssh", "x");
    assert_string_equal(after_timestamp(drain(&t)), "error ssh: x\n");
    nk_debug(t.log, "ssh", "not written");
    assert_string_equal(drain(&t), "");
    close_tap(&t);
}

static void journal_form(void **state)
{
    (void)state;
    struct tap t;
    open_tap(&t, NK_LOG_JOURNAL, NK_LOG_TRACE);
    nk_error(t.log, "m", "e");
    nk_warn(t.log, "m", "w");
    nk_info(t.log, "m", "i");
    nk_debug(t.log, "m", "d");
    NK_LOG_(t.log, "m", NK_LOG_TRACE, NULL, NULL, "t");
    assert_string_equal(drain(&t), "<3>m: e\n<4>m: w\n<6>m: i\n<7>m: d\n<7>m: t\n");
    close_tap(&t);
}

static void json_form(void **state)
{
    (void)state;
    struct tap t;
    open_tap(&t, NK_LOG_JSON, NK_LOG_INFO);
    nk_audit(t.log, "relay", NK_LOG_INFO, "auth.ok", "a\"b\n", "hi \xff\x1b %d", 5);
    const char *line = drain(&t);
    assert_memory_equal(line, "{\"ts\":\"2", 8);
    assert_string_equal(strstr(line, "Z\","),
                        "Z\",\"level\":\"info\",\"module\":\"relay\",\"event\":\"auth.ok\","
                        "\"peer\":\"a\\\"b\\n\",\"msg\":\"hi \xef\xbf\xbd\\u001b 5\"}\n");
    nk_info(t.log, "tls", "plain");
    assert_string_equal(strstr(drain(&t), "Z\","),
                        "Z\",\"level\":\"info\",\"module\":\"tls\",\"msg\":\"plain\"}\n");
    close_tap(&t);
}

static void auto_form(void **state)
{
    (void)state;
    struct tap t;
    struct stat st;
    char stream[64];
    unsetenv("JOURNAL_STREAM");
    open_tap(&t, NK_LOG_AUTO, NK_LOG_INFO);
    nk_info(t.log, "m", "x");
    assert_string_equal(after_timestamp(drain(&t)), "info m: x\n");
    nk_log_free(t.log);
    assert_int_equal(fstat(t.fd[1], &st), 0);
    snprintf(stream, sizeof stream, "%ju:%ju", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino);
    setenv("JOURNAL_STREAM", stream, 1);
    t.log = nk_log_new(t.fd[1], NK_LOG_AUTO, NK_LOG_INFO);
    nk_info(t.log, "m", "x");
    assert_string_equal(drain(&t), "<6>m: x\n");
    nk_log_free(t.log);
    setenv("JOURNAL_STREAM", "1:2", 1);
    t.log = nk_log_new(t.fd[1], NK_LOG_AUTO, NK_LOG_INFO);
    nk_info(t.log, "m", "x");
    assert_string_equal(after_timestamp(drain(&t)), "info m: x\n");
    unsetenv("JOURNAL_STREAM");
    close_tap(&t);
}

static void events_cannot_be_forged(void **state)
{
    (void)state;
    struct tap t;
    open_tap(&t, NK_LOG_JOURNAL, NK_LOG_INFO);
    nk_audit(t.log, "relay", NK_LOG_INFO, "auth.fail", "x peer=1.2.3.4\n<3>m: boo", "user %s",
             "a\n<6>relay: fine\x1b[2J\xc2\x9bZ\xff \xc3\xa9");
    assert_string_equal(
        drain(&t),
        "<6>relay: user a\\x0a<6>relay: fine\\x1b[2J\\xc2\\x9bZ\\xff \xc3\xa9 event=auth.fail "
        "peer=x\\x20peer=1.2.3.4\\x0a<3>m:\\x20boo\n");
    close_tap(&t);
}

static void long_lines_are_cut(void **state)
{
    (void)state;
    static const enum nk_log_format formats[] = {NK_LOG_TEXT, NK_LOG_JSON, NK_LOG_JOURNAL};
    static const char fillers[] = {'a', '\n', '\x01', ' '};
    char lots[9000];
    for (size_t f = 0; f < 3; f++) {
        for (size_t c = 0; c < sizeof fillers; c++) {
            struct tap t;
            memset(lots, fillers[c], sizeof lots);
            lots[sizeof lots - 1] = '\0';
            open_tap(&t, formats[f], NK_LOG_INFO);
            nk_audit(t.log, "m", NK_LOG_INFO, "x.y", lots, "%s", lots);
            const char *line = drain(&t);
            size_t n = strlen(line);
            assert_true(n > 400 && n <= 4096);
            assert_ptr_equal(strchr(line, '\n'), line + n - 1);
            if (formats[f] == NK_LOG_JSON)
                assert_string_equal(line + n - 3, "\"}\n");
            assert_int_equal(nk_log_lost(t.log), 0);
            close_tap(&t);
        }
    }
}

static int evaluated(int *n)
{
    return ++*n;
}

static void levels_per_module(void **state)
{
    (void)state;
    struct tap t;
    char name[64];
    int n = 0;
    open_tap(&t, NK_LOG_JOURNAL, NK_LOG_WARN);
    assert_int_equal(nk_log_set_level(t.log, "ssh", NK_LOG_DEBUG), 0);
    assert_true(nk_log_on(t.log, "ssh", NK_LOG_DEBUG));
    assert_false(nk_log_on(t.log, "ssh", NK_LOG_TRACE));
    assert_false(nk_log_on(t.log, "relay", NK_LOG_INFO));
    nk_info(t.log, "relay", "%d", evaluated(&n));
    assert_int_equal(n, 0); /* arguments of a line that is not written are not evaluated */
    nk_info(t.log, "ssh", "%d", evaluated(&n));
    assert_int_equal(n, 1);
    assert_string_equal(drain(&t), "<6>ssh: 1\n");
    assert_int_equal(nk_log_set_level(t.log, "ssh", NK_LOG_ERROR), 0);
    assert_false(nk_log_on(t.log, "ssh", NK_LOG_WARN));
    for (int i = 1; i < 32; i++) {
        snprintf(name, sizeof name, "m%d", i);
        assert_int_equal(nk_log_set_level(t.log, name, NK_LOG_INFO), 0);
    }
    assert_int_equal(nk_log_set_level(t.log, "one-more", NK_LOG_INFO), NK_ELIMIT);
    assert_int_equal(nk_log_set_level(t.log, "m31", NK_LOG_ERROR), 0);
    assert_int_equal(nk_log_set_level(t.log, NULL, NK_LOG_TRACE), 0);
    assert_true(nk_log_on(t.log, "ssh", NK_LOG_TRACE));
    close_tap(&t);
}

static void events_are_counted(void **state)
{
    (void)state;
    struct tap t;
    char id[16];
    open_tap(&t, NK_LOG_TEXT, NK_LOG_ERROR);
    assert_true(nk_log_count(t.log, "auth.ok") == 0);
    nk_audit(t.log, "relay", NK_LOG_INFO, "auth.ok", NULL, "x"); /* counted though not written */
    nk_audit(t.log, "relay", NK_LOG_INFO, "auth.ok", NULL, "x");
    assert_string_equal(drain(&t), "");
    assert_true(nk_log_count(t.log, "auth.ok") == 2);
    for (int i = 0; i < 1000; i++) { /* bounded, and the first ones stay */
        snprintf(id, sizeof id, "id.%d", i);
        nk_audit(t.log, "relay", NK_LOG_INFO, id, NULL, "x");
    }
    assert_true(nk_log_count(t.log, "auth.ok") == 2);
    assert_true(nk_log_count(t.log, "id.0") == 1);
    assert_true(nk_log_count(t.log, "id.999") == 0);
    close_tap(&t);
}

static void losses_are_counted(void **state)
{
    (void)state;
    struct tap t;
    open_tap(&t, NK_LOG_TEXT, NK_LOG_INFO);
    for (int i = 0; i < 5000 && nk_log_lost(t.log) == 0; i++) /* until the pipe is full */
        nk_info(t.log, "m", "%01000d", i);
    assert_true(nk_log_lost(t.log) == 1);
    errno = ENOENT;
    nk_info(t.log, "m", "%05000d", 1);
    assert_int_equal(errno, ENOENT);
    assert_true(nk_log_lost(t.log) == 2);
    close_tap(&t);
}

static void no_log_at_all(void **state)
{
    (void)state;
    struct nk_diag d;
    nk_fail(&d, -EIO, "x");
    nk_error((struct nk_log *)NULL, "m", "x");
    nk_audit(NULL, "m", NK_LOG_ERROR, "e", NULL, "x");
    nk_log_diag(NULL, "m", NK_LOG_ERROR, &d);
    assert_true(nk_log_count(NULL, "e") == 0);
    assert_true(nk_log_lost(NULL) == 0);
    nk_log_free(NULL);
}

static void diags(void **state)
{
    (void)state;
    struct tap t;
    struct nk_diag d;
    open_tap(&t, NK_LOG_JOURNAL, NK_LOG_WARN);
    nk_fail(&d, -EIO, "100%% broken %s", "%n");
    nk_log_diag(t.log, "m", NK_LOG_WARN, &d);
    nk_hint(&d, "mend it");
    nk_log_diag(t.log, "m", NK_LOG_WARN, &d);
    nk_log_diag(t.log, "m", NK_LOG_INFO, &d);
    assert_string_equal(drain(&t), "<4>m: 100% broken %n\n<4>m: 100% broken %n (hint: mend it)\n");
    close_tap(&t);
}

static void short_names(void **state)
{
    (void)state;
    static const char *const v[][2] = {
        {"abcdefghijklmnopqrstuvwxyz234567abcdefghijklmnopqrstuvwx.onion", "abcd..uvwx.onion"},
        {"www.abcdefghijklmnopqrstuvwxyz234567abcdefghijklmnopqrstuvwx.onion:80",
         "abcd..uvwx.onion:80"},
        {"server.example.com:443", "serv...com:443"},
        {"203.0.113.77:4711", "203...3.77:4711"},
        {"[2001:db8::1:2:3]:22", "[200..2:3]:22"},
        {"short:1", "short:1"},
        {"127.0.0.1:4711", "127.0.0.1:4711"},
        {"localhost:4711", "localhost:4711"},
        {"[::1]:4711", "[::1]:4711"},
        {"unix:uid=1000", "unix:uid=1000"},
        {"", ""},
    };
    struct nk_log *log = nk_log_new(2, NK_LOG_TEXT, NK_LOG_INFO);
    char out[80];
    assert_non_null(log);
    for (size_t i = 0; i < sizeof v / sizeof *v; i++)
        assert_string_equal(nk_log_short_name(log, "tor", out, sizeof out, v[i][0]), v[i][1]);
    assert_string_equal(nk_log_short_name(log, "tor", out, 6, v[0][0]), "abcd.");
    nk_log_set_level(log, "tor", NK_LOG_DEBUG);
    assert_string_equal(nk_log_short_name(log, "tor", out, sizeof out, v[0][0]), v[0][0]);
    nk_log_free(log);
}

int nk_test_base_log(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_form),
        cmocka_unit_test(journal_form),
        cmocka_unit_test(json_form),
        cmocka_unit_test(auto_form),
        cmocka_unit_test(events_cannot_be_forged),
        cmocka_unit_test(long_lines_are_cut),
        cmocka_unit_test(levels_per_module),
        cmocka_unit_test(events_are_counted),
        cmocka_unit_test(losses_are_counted),
        cmocka_unit_test(no_log_at_all),
        cmocka_unit_test(diags),
        cmocka_unit_test(short_names),
    };
    return cmocka_run_group_tests_name("base/log", tests, NULL, NULL);
}
