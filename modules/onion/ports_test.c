/* SPDX-License-Identifier: MIT */
#include "onion/ports.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

int nk_test_onion_ports(void);

static void check_good(void **state)
{
    static const struct {
        const char *text;
        uint16_t port;
        const char *target;
    } cases[] = {
        {"80", 80, "127.0.0.1:80"},
        {"80:8080", 80, "127.0.0.1:8080"},
        {"65535:127.0.0.1:5432", 65535, "127.0.0.1:5432"},
        {"80 127.0.0.1:5432", 80, "127.0.0.1:5432"},
        {"80  \t 5432", 80, "127.0.0.1:5432"},
        {"80,127.0.0.1:5432", 80, "127.0.0.1:5432"},
        {"80:tcp:10.0.0.5:22", 80, "10.0.0.5:22"},
        {"80:localhost:81", 80, "127.0.0.1:81"},
        {"80:[::1]:81", 80, "[::1]:81"},
        {"80 [fe80::1]:81", 80, "[fe80::1]:81"},
        {"80:unix:/run/a b.sock", 80, "unix:/run/a b.sock"},
        {"80 unix:\"/run/a b.sock\"", 80, "unix:/run/a b.sock"},
        {"80,unix:/run/a,b", 80, "unix:/run/a,b"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct onion_port p = {0};
        struct nk_diag diag;
        assert_int_equal(onion_port_parse(&p, cases[i].text, &diag), 0);
        assert_int_equal(p.port, cases[i].port);
        assert_string_equal(p.target, cases[i].target);
    }
}

/* no sun_path is that long */
#define TEN "0123456789"
#define LONG "/" TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN

static void check_bad(void **state)
{
    static const char *const cases[] = {
        "",
        "0",
        "65536",
        "http",
        "-1",
        " 80",
        "80:",
        "80 ",
        "80:0",
        "80:x:1",
        "80:1.2.3.4",
        "80:1.2.3.4:x",
        "80:1.2.3.4:0",
        "80:::1:80",
        "80:unix:",
        "80:unix:run/x",
        "80:unix:/a\"b",
        "80 unix:\"/a",
        "80:unix:/a\nb",
        "80:exec:cat",
        "80:example.com:80",
        "80~8000",
        "~80",
        "123456789012345678901234567890",
        "80:unix:" LONG,
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct onion_port p = {.port = 7};
        struct nk_diag diag;
        assert_int_equal(onion_port_parse(&p, cases[i], &diag), NK_EFORMAT);
        assert_int_equal(p.port, 7);
        assert_true(diag.text[0] != '\0');
    }
}

static void check_hints(void **state)
{
    struct onion_port p;
    struct nk_diag diag;
    (void)state;
    assert_int_equal(onion_port_parse(&p, "8000~80", &diag), NK_EFORMAT);
    assert_non_null(strstr(diag.hint, "80:8000"));
    assert_int_equal(onion_port_parse(&p, "80:db.internal:80", &diag), NK_EFORMAT);
    assert_non_null(strstr(diag.hint, "DNS"));
}

static void check_list(void **state)
{
    char a[] = "80", b[] = "443:8443", c[] = "x", *texts[] = {a, b, c};
    struct nk_strlist list = {.v = texts, .n = 2};
    struct onion_port *ports = NULL;
    struct nk_diag diag;
    (void)state;
    assert_int_equal(onion_ports_parse(&ports, &list, &diag), 0);
    assert_int_equal(ports[1].port, 443);
    assert_string_equal(ports[1].target, "127.0.0.1:8443");
    free(ports);
    list.n = 3;
    ports = NULL;
    assert_int_equal(onion_ports_parse(&ports, &list, &diag), NK_EUSAGE);
    assert_int_equal(diag.code, NK_EUSAGE);
    assert_null(ports);
    list.n = 0;
    assert_int_equal(onion_ports_parse(&ports, &list, &diag), NK_EUSAGE);
}

int nk_test_onion_ports(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(check_good),
        cmocka_unit_test(check_bad),
        cmocka_unit_test(check_hints),
        cmocka_unit_test(check_list),
    };
    return cmocka_run_group_tests_name("onion/ports", tests, NULL, NULL);
}
