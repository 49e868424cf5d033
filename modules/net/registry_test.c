/* SPDX-License-Identifier: MIT */
/* Rules of endpoint strings, on the schemes of this module; filters have tests where they live. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "core/app.h"
#include "core/registry.h"

static void refuses(const char *text, bool listen, const char *part, const char *hint)
{
    struct nk_diag diag = {0};
    int rc = nk_endpoint_check(text, listen, &diag);
    if (rc >= 0) {
        fail_msg("'%s' was accepted", text);
    }
    assert_int_equal(rc, diag.code);
    if (!strstr(diag.text, part) || (hint && !strstr(diag.hint, hint))) {
        fail_msg("'%s': '%s' hint '%s'", text, diag.text, diag.hint);
    }
}

static void accepts(const char *text, bool listen)
{
    struct nk_diag diag = {0};
    if (nk_endpoint_check(text, listen, &diag) != 0) {
        fail_msg("'%s': %s", text, diag.text);
    }
}

static void test_accepts(void **state)
{
    (void)state;
    accepts("tcp:127.0.0.1:80", false);
    accepts("tcp:[::1]:80", false);
    accepts("tcp:example.com:80,timeout=5s,tcp.keepalive=0,family=ipv4", false);
    accepts("tcp::3000", true);
    accepts("tcp:localhost:0", true);
    accepts("tcp:0.0.0.0:80,reuse_port=yes,backlog=5", true);
    accepts("unix:/run/x%2Cy.sock,mode=0660", true);
    accepts("unix:@name", false);
}

static void test_refuses(void **state)
{
    (void)state;
    refuses("tpc:localhost:80", false, "unknown kind of endpoint 'tpc:'", "'tcp:'");
    refuses("127.0.0.1:80", false, "127.0.0.1", NULL);
    refuses("tcp:localhost", false, "port", NULL);
    refuses("tcp::80", false, "host", NULL);
    refuses("tcp:localhost:0", false, "port", NULL);
    refuses("tcp:example.com:80", true, "needs an address", "tcp::80");
    refuses("tcp:x.onion:80", false, "Tor", "tor:");
    refuses("tcp:0x7f.1:80", false, "not an IPv4 address", "127.0.0.1");
    refuses("tcp:127.0.0.1:80,timout=5s", false, "unknown key 'timout' for 'tcp'", "'timeout'");
    refuses("tcp:127.0.0.1:80,tls.ca=x", false, "no layer 'tls' here", NULL);
    refuses("tcp:127.0.0.1:80,timeout=5s,timeout=6s", false, "twice", NULL);
    refuses("tcp:127.0.0.1:80,timeout=soon", false, "tcp.timeout", NULL);
    refuses("tcp:127.0.0.1:80,backlog=0", true, "backlog", NULL);
    refuses("tcp+unix:/x", false, "'tcp' is a transport", NULL);
    refuses("unix:", false, "missing", NULL);
    refuses("unix:@", false, "missing", NULL);
    refuses("unix:/x,mode=888", true, "octal", NULL);
    refuses("unix:/x,mode=01777", true, "octal", NULL);
    refuses("stdio:", true, "can only be connected to", NULL);
    char path[200];
    memset(path, 'a', sizeof(path));
    memcpy(path, "unix:/", 6);
    path[120] = '\0';
    refuses(path, false, "at most 107", NULL);
    path[5 + 107] = '\0';
    accepts(path, false);
}

static void test_test_schemes_need_the_switch(void **state)
{
    (void)state;
    struct nk_app *app;
    struct nk_app_conf conf = {0};
    struct nk_endpoint *ep;
    struct nk_stream *s = NULL;
    struct nk_diag diag = {0};
    assert_int_equal(nk_app_new(&app, &conf, NULL), 0);
    assert_int_equal(nk_endpoint_parse("mem:x", NK_EP_CONNECT, &ep, &diag), 0);
    assert_int_equal(nk_dial(app, ep, NULL, NULL, &s, &diag), NK_EUNSUPPORTED);
    assert_null(s);
    nk_endpoint_free(ep);
    nk_app_free(app);
}

static void test_layers(void **state)
{
    (void)state;
    struct nk_endpoint *ep;
    assert_int_equal(nk_endpoint_parse("tcp:[::1]:80,timeout=1s", NK_EP_CONNECT, &ep, NULL), 0);
    const struct nk_ep_layer *l = nk_endpoint_layer(ep, 0);
    assert_string_equal(l->driver->scheme, "tcp");
    assert_string_equal(l->body, "[::1]:80");
    char host[64];
    assert_int_equal(l->driver->host(l, host, sizeof(host)), 0);
    assert_string_equal(host, "::1");
    assert_null(nk_endpoint_layer(ep, 1));
    assert_string_equal(nk_endpoint_text(ep), "tcp:[::1]:80,timeout=1s");
    nk_endpoint_free(ep);
    nk_endpoint_free(NULL);
}

int nk_test_net_registry(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_accepts),
        cmocka_unit_test(test_refuses),
        cmocka_unit_test(test_test_schemes_need_the_switch),
        cmocka_unit_test(test_layers),
    };
    return cmocka_run_group_tests_name("net/registry", tests, NULL, NULL);
}
