/* SPDX-License-Identifier: MIT */
#include "base/endpoint.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(a) (sizeof(a) / sizeof *(a))

static void parts(void **state)
{
    (void)state;
    struct nk_ep_text t;
    struct nk_diag d;
    assert_int_equal(
        nk_ep_text_parse(&t, "tls+socks5+tcp:[::1]:22,tls.ca=/a%2Cb,pin=,x-y_1=%25=", &d), 0);
    assert_int_equal(t.layers, 3);
    assert_string_equal(t.scheme[0], "tls");
    assert_string_equal(t.scheme[1], "socks5");
    assert_string_equal(t.scheme[2], "tcp");
    assert_string_equal(t.body, "[::1]:22");
    assert_int_equal(t.nparams, 3);
    assert_string_equal(t.params[0].layer, "tls");
    assert_string_equal(t.params[0].key, "ca");
    assert_string_equal(t.params[0].value, "/a,b");
    assert_null(t.params[1].layer);
    assert_string_equal(t.params[1].key, "pin");
    assert_string_equal(t.params[1].value, "");
    assert_string_equal(t.params[2].key, "x-y_1");
    assert_string_equal(t.params[2].value, "%=");
    nk_ep_text_clear(&t);
    nk_ep_text_clear(&t);
    assert_null(t.store);
}

static void bodies_stay_raw(void **state)
{
    (void)state;
    static const char *const v[][3] = {
        {"stdio:", "stdio", ""},
        {"tcp::3000", "tcp", ":3000"},
        {"unix:/run/a%2Cb", "unix", "/run/a%2Cb"},
        {"ssh:user@host:22/unix:/run/pg", "ssh", "user@host:22/unix:/run/pg"},
        {"exec:cat -n \xc3\xa9", "exec", "cat -n \xc3\xa9"},
        {"exec:env A=b", "exec", "env A=b"},
        {"fd:3", "fd", "3"},
    };
    for (size_t i = 0; i < COUNT(v); i++) {
        struct nk_ep_text t;
        assert_int_equal(nk_ep_text_parse(&t, v[i][0], NULL), 0);
        assert_int_equal(t.layers, 1);
        assert_string_equal(t.scheme[0], v[i][1]);
        assert_string_equal(t.body, v[i][2]);
        nk_ep_text_clear(&t);
    }
}

/* Each malformed text with a word that its message must contain. */
static void malformed(void **state)
{
    (void)state;
    static const char *const v[][2] = {
        {"", "no scheme"},
        {"localhost", "no scheme"},
        {":3000", "no scheme name"},
        {"TCP:host:1", "'TCP' at character 1"},
        {"+tcp:host:1", "no scheme name"},
        {"tls+:host:1", "character 5"},
        {"tls++tcp:h:1", "character 5"},
        {"1tcp:h:1", "no scheme name"},
        {"averyveryverylongscheme:x", "no scheme name"},
        {"tcp:h:1,", "character 9 is not key=value"},
        {"tcp:h:1,ca", "'ca' at character 9"},
        {"tcp:h:1,=x", "no parameter name"},
        {"tcp:h:1,Ca=x", "no parameter name"},
        {"tcp:h:1,.ca=x", "no parameter name"},
        {"tcp:h:1,tls.=x", "no parameter name"},
        {"tcp:h:1,a.b.c=x", "no parameter name"},
        {"tcp:h:1,a b=x", "no parameter name"},
        {"tcp:h:1,a=%0", "bad escape '%0' at character 11"},
        {"tcp:h:1,a=%00", "bad escape"},
        {"tcp:h:1,a=x%0Ay", "bad escape '%0A'"},
        {"tcp:%zz:1", "character 5"},
        {"tcp:h%", "bad escape '%'"},
        {"tcp:h\n:1", "control byte 0x0a at character 6"},
        {"tcp:h:1,a=\x7f", "control byte 0x7f"},
    };
    for (size_t i = 0; i < COUNT(v); i++) {
        struct nk_ep_text t = {.layers = 77};
        struct nk_diag d = {.text = ""};
        assert_int_equal(nk_ep_text_parse(&t, v[i][0], &d), NK_EFORMAT);
        assert_int_equal(d.code, NK_EFORMAT);
        assert_int_equal(t.layers, 77);
        if (!strstr(d.text, v[i][1]))
            fail_msg("'%s' gave '%s'", v[i][0], d.text);
    }
}

static void limits(void **state)
{
    (void)state;
    char text[NK_EP_MAX_TEXT + 2];
    struct nk_ep_text t;
    memset(text, 'x', sizeof text);
    memcpy(text, "unix:", 5);
    text[NK_EP_MAX_TEXT] = '\0';
    assert_int_equal(nk_ep_text_parse(&t, text, NULL), 0);
    nk_ep_text_clear(&t);
    text[NK_EP_MAX_TEXT] = 'x';
    text[NK_EP_MAX_TEXT + 1] = '\0';
    assert_int_equal(nk_ep_text_parse(&t, text, NULL), NK_ETOOBIG);
    assert_int_equal(nk_ep_text_parse(&t, "a+b+c+d:", NULL), 0);
    nk_ep_text_clear(&t);
    assert_int_equal(nk_ep_text_parse(&t, "a+b+c+d+e:", NULL), NK_ETOOBIG);
    size_t n = (size_t)snprintf(text, sizeof text, "tcp:h:1");
    for (int i = 0; i < NK_EP_MAX_PARAMS; i++)
        n += (size_t)snprintf(text + n, sizeof text - n, ",k%d=v", i);
    assert_int_equal(nk_ep_text_parse(&t, text, NULL), 0);
    assert_int_equal(t.nparams, NK_EP_MAX_PARAMS);
    nk_ep_text_clear(&t);
    snprintf(text + n, sizeof text - n, ",more=v");
    assert_int_equal(nk_ep_text_parse(&t, text, NULL), NK_ETOOBIG);
}

static void host_port(void **state)
{
    (void)state;
    static const struct {
        const char *body;
        uint16_t def;
        const char *host;
        uint16_t port;
    } good[] = {
        {"example.com:443", 0, "example.com", 443},
        {"127.0.0.1:0", 9, "127.0.0.1", 0},
        {"[::1]:22", 0, "::1", 22},
        {"[::1]", 22, "::1", 22},
        {"[fe80::1%25eth0]:22", 0, "fe80::1%eth0", 22},
        {":3000", 0, "", 3000},
        {"", 80, "", 80},
        {"host", 80, "host", 80},
        {"h%6Fst:65535", 0, "host", 65535},
    };
    static const char *const bad[] = {
        "host",        "host:",
        "host:x",      "host:65536",
        "host:-1",     "host:+1",
        "host: 1",     "host:1 ",
        "::1:22",      "a:b:c",
        "[::1",        "[::1]22",
        "[::1]x:22",   "[host]:22",
        "[]:22",       "::",
        "host:1:",     "%00:22",
        "%:22",        "h\n:22",
        "host:000001", "toolonghostname:22",
        "[::1]:",      "",
        "host:1,a=b",
    };
    char host[14] = "keep";
    uint16_t port = 7;
    struct nk_diag d;
    for (size_t i = 0; i < COUNT(bad); i++) {
        assert_int_equal(nk_ep_host_port(bad[i], host, sizeof host, &port, 0, &d), NK_EFORMAT);
        assert_non_null(strstr(d.text, "is not HOST:PORT"));
    }
    assert_string_equal(host, "keep");
    assert_int_equal(port, 7);
    for (size_t i = 0; i < COUNT(good); i++) {
        assert_int_equal(nk_ep_host_port(good[i].body, host, sizeof host, &port, good[i].def, &d),
                         0);
        assert_string_equal(host, good[i].host);
        assert_int_equal(port, good[i].port);
    }
    assert_int_equal(nk_ep_host_port("::1:22", host, sizeof host, &port, 0, &d), NK_EFORMAT);
    assert_non_null(strstr(d.hint, "[::1]:22"));
}

static void strings_of_twisted_get_a_hint(void **state)
{
    static const char *const cases[][2] = {
        {"tor:host=example.com:port=80", "tor:example.com:80"},
        {"tor:abc.onion:80:socksPort=9050", "tor:abc.onion:80,socks=9050"},
        {"tor:abc.onion:80:socksUsername=u:socksPassword=hush", "tor:abc.onion:80,isolate=u"},
        {"onion:80:hiddenServiceDir=/var/lib/tor/web", "onion:80,hsdir=/var/lib/tor/web"},
        {"onion:80:controlPort=9051:privateKeyFile=/k:singleHop=true:version=3",
         "onion:80,control=9051,key=/k,single-hop=yes"},
        {"onion:80:privateKey=ED25519-V3\\:aGlkZGVu", "onion:80"}, /* a secret */
        {"tcp:80:interface=127.0.0.1", "tcp:127.0.0.1:80"},
        {"tcp:port=80:host=\\:\\:1", "tcp:[::1]:80"},
        {"tcp:host=x:port=80:timeout=30", "tcp:x:80"},
        {"ssl:example.com:443", "tls:example.com:443"},
        {"ssl:443:privateKey=k.pem:certKey=c.pem", "tls:443,key=k.pem,cert=c.pem"},
        {"unix:address=/run/x:mode=660", "unix:/run/x,mode=660"}};
    static const char *const ours[] = {"tor:example.com:80,socks=9050",
                                       "tcp:a:1",
                                       "tcp:[::1]:22",
                                       "foo:a=b",
                                       "",
                                       ":",
                                       "tor",
                                       "tor:x:y",
                                       "unix:/a=b,mode=0600",
                                       "tls:host:443,ca=/x"};
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct nk_diag d = {0};
        assert_true(nk_ep_twisted_hint(cases[i][0], &d));
        const char *at = strstr(d.hint, "here it is ");
        assert_non_null(at);
        assert_string_equal(at + strlen("here it is "), cases[i][1]);
    }
    for (size_t i = 0; i < COUNT(ours); i++) {
        struct nk_diag d = {0};
        assert_false(nk_ep_twisted_hint(ours[i], &d));
        assert_string_equal(d.hint, "");
    }
}

int nk_test_base_endpoint(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(strings_of_twisted_get_a_hint),
        cmocka_unit_test(parts),
        cmocka_unit_test(bodies_stay_raw),
        cmocka_unit_test(malformed),
        cmocka_unit_test(limits),
        cmocka_unit_test(host_port),
    };
    return cmocka_run_group_tests_name("base/endpoint", tests, NULL, NULL);
}
