/* SPDX-License-Identifier: MIT */
/* The file that a tor of ours is started with. That tor reads it as it is meant, and refuses what
 * is refused here, is seen in tests/e2e. */
#include "tor/torrc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const char *written(struct nk_buf *out, const struct tor_torrc *t)
{
    struct nk_diag diag;
    nk_buf_init(out, TOR_TORRC_MAX);
    assert_int_equal(tor_torrc_write(out, t, &diag), 0);
    return nk_buf_str(out);
}

static void whole_file(void **state)
{
    char *lines[] = {(char *)"Bridge obfs4 192.0.2.1:1 cert=x", (char *)"UseBridges 1"};
    const struct nk_strlist list = {lines, 2};
    const struct tor_torrc t = {.data_dir = "/tmp/a b",
                                .control = "/tmp/q\"uote/control.sock",
                                .socks = "auto",
                                .owner = 77,
                                .lines = &list};
    struct nk_buf out;
    (void)state;
    assert_string_equal(written(&out, &t), "DataDirectory \"/tmp/a b\"\n"
                                           "ControlSocket unix:\"/tmp/q\\\"uote/control.sock\"\n"
                                           "SocksPort auto ExtendedErrors\n"
                                           "CookieAuthentication 1\n"
                                           "DisableNetwork 1\n"
                                           "RunAsDaemon 0\n"
                                           "Log notice stdout\n"
                                           "AvoidDiskWrites 1\n"
                                           "__OwningControllerProcess 77\n"
                                           "Bridge obfs4 192.0.2.1:1 cert=x\n"
                                           "UseBridges 1\n");
    nk_buf_clear(&out);
}

static void socks_places(void **state)
{
    static const char *const rows[][2] = {
        {"auto", "SocksPort auto ExtendedErrors\n"},
        {"9050", "SocksPort 9050 ExtendedErrors\n"},
        {"0", "SocksPort 0\n"},
        {"00", "SocksPort 0\n"},
        {"unix", "SocksPort unix:\"/own/socks\" ExtendedErrors\n"},
        {"unix:/x y", "SocksPort unix:\"/x y\" ExtendedErrors\n"},
    };
    struct nk_buf out;
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        const struct tor_torrc t = {
            .data_dir = "/d", .control = "/c", .socks = rows[i][0], .socks_path = "/own/socks"};
        assert_non_null(strstr(written(&out, &t), rows[i][1]));
        nk_buf_clear(&out);
    }
}

static void refused_places(void **state)
{
    static const char *const rows[] = {"",      "65536",    "-1",         "9050x", "unix:",
                                       "unixx", "unix:rel", "unix:/a\nb", "auto ", "0.0.0.0:9050"};
    struct nk_diag diag;
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        assert_int_equal(tor_torrc_socks_check(rows[i], &diag), NK_EUSAGE);
        assert_non_null(strstr(diag.hint, "auto"));
    }
}

static void lines(void **state)
{
    static const char *const good[] = {"Bridge 192.0.2.1:443",
                                       "  Nickname x",
                                       "# remark",
                                       "ClientTransportPlugin obfs4 exec /usr/bin/obfs4proxy",
                                       "UserX 1",
                                       "Log\tinfo file /x"};
    static const char *const bad[] = {"",
                                      "  ",
                                      "A 1\nB 2",
                                      "A 1\r",
                                      "A 1 \\",
                                      "DataDirectory /x",
                                      "datadirectory /x",
                                      "\tUser x",
                                      "DisableNetwork 0",
                                      "RunAsDaemon 1",
                                      "__OwningControllerProcess 1",
                                      "User"};
    struct nk_diag diag;
    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
        assert_int_equal(tor_torrc_line_check(good[i], &diag), 0);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        assert_int_equal(tor_torrc_line_check(bad[i], &diag), NK_EUSAGE);
    }
    assert_int_equal(tor_torrc_line_check("User x", &diag), NK_EUSAGE);
    assert_string_equal(diag.hint, "use --user");
}

/* What is read at a reload must not switch the network off, nor bring back what owned tor first. */
static void for_reloads(void **state)
{
    const struct tor_torrc t = {
        .data_dir = "/d", .control = "/c", .socks = "auto", .enabled = true, .keep_disk = true};
    struct nk_buf out;
    (void)state;
    const char *text = written(&out, &t);
    assert_non_null(strstr(text, "DisableNetwork 0\n"));
    assert_null(strstr(text, "__OwningControllerProcess"));
    assert_null(strstr(text, "AvoidDiskWrites"));
    nk_buf_clear(&out);
}

/* Nothing is written when something is refused. */
static void all_or_nothing(void **state)
{
    char *line[] = {(char *)"User x"};
    const struct nk_strlist list = {line, 1};
    struct tor_torrc t = {.data_dir = "/d", .control = "/c", .socks = "auto", .lines = &list};
    struct nk_buf out;
    struct nk_diag diag;
    (void)state;
    nk_buf_init(&out, TOR_TORRC_MAX);
    assert_int_equal(tor_torrc_write(&out, &t, &diag), NK_EUSAGE);
    t.lines = NULL;
    t.socks = "x";
    assert_int_equal(tor_torrc_write(&out, &t, &diag), NK_EUSAGE);
    assert_int_equal(nk_buf_len(&out), 0);
}

int nk_test_tor_torrc(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_file),     cmocka_unit_test(socks_places),
        cmocka_unit_test(refused_places), cmocka_unit_test(lines),
        cmocka_unit_test(for_reloads),    cmocka_unit_test(all_or_nothing),
    };
    return cmocka_run_group_tests_name("tor/torrc", tests, NULL, NULL);
}
