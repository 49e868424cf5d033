/* SPDX-License-Identifier: MIT */
/* What stands behind ssh: in endpoint strings, and the options that a destination has. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "core/registry.h"
#include "ssh/dest.h"
#include "ssh/place.h"

static const char *shown(const char *s)
{
    return s ? s : "-";
}

static void takes(const char *body, bool listen, enum ssh_place_kind kind, const char *user,
                  const char *host, int ssh_port, const char *text, int port)
{
    struct nk_diag diag = {0};
    struct ssh_place p;
    if (ssh_place_parse(&p, body, listen, &diag) != 0) {
        fail_msg("'%s': %s", body, diag.text);
    }
    assert_int_equal(p.kind, kind);
    assert_string_equal(shown(p.user), user);
    assert_string_equal(shown(p.host), host);
    assert_string_equal(shown(p.text), text);
    assert_int_equal(p.ssh_port, ssh_port);
    assert_int_equal(p.port, port);
    ssh_place_clear(&p);
    assert_null(p.store);
}

static void refuses(const char *body, bool listen, const char *part)
{
    struct nk_diag diag = {0};
    struct ssh_place p = {.port = 4711};
    int rc = ssh_place_parse(&p, body, listen, &diag);
    if (rc != NK_ECONFIG || diag.code != NK_ECONFIG || !strstr(diag.text, part)) {
        fail_msg("'%s': %d '%s'", body, rc, diag.text);
    }
    assert_int_equal(p.port, 4711);
    assert_null(p.store);
}

static void test_connect(void **state)
{
    (void)state;
    takes("web", false, SSH_PLACE_OPEN, "-", "web", 0, "-", 0);
    takes("alice@web:2222", false, SSH_PLACE_OPEN, "alice", "web", 2222, "-", 0);
    takes("web/db:5432", false, SSH_PLACE_TCP, "-", "web", 0, "db", 5432);
    takes("al@ice@[::1]:22/[2001:db8::1]:80", false, SSH_PLACE_TCP, "al@ice", "::1", 22,
          "2001:db8::1", 80);
    takes("[::1]/db:65535", false, SSH_PLACE_TCP, "-", "::1", 0, "db", 65535);
    takes("a%2Eb@h%2Dx/d%2Eb:1", false, SSH_PLACE_TCP, "a.b", "h-x", 0, "d.b", 1);
    takes("web/unix:/run/a%2Cb", false, SSH_PLACE_UNIX, "-", "web", 0, "/run/a,b", 0);
    takes("web/exec:ls -l %7C wc > /tmp/x", false, SSH_PLACE_EXEC, "-", "web", 0,
          "ls -l | wc > /tmp/x", 0);
    takes("web/subsystem:sftp", false, SSH_PLACE_SUBSYSTEM, "-", "web", 0, "sftp", 0);
}

static void test_listen(void **state)
{
    (void)state;
    takes("web/listen:8080", true, SSH_PLACE_TCP, "-", "web", 0, "-", 8080);
    takes("web/listen:0", true, SSH_PLACE_TCP, "-", "web", 0, "-", 0);
    takes("web/listen::80", true, SSH_PLACE_TCP, "-", "web", 0, "", 80);
    takes("web/listen:*:80", true, SSH_PLACE_TCP, "-", "web", 0, "*", 80);
    takes("u@web:22/listen:[::1]:0", true, SSH_PLACE_TCP, "u", "web", 22, "::1", 0);
    takes("web/listen:unix:/run/s", true, SSH_PLACE_UNIX, "-", "web", 0, "/run/s", 0);
}

static void test_refused(void **state)
{
    static const char *const wrong[] = {
        "",          "/",           "@web",         "web:",        "web:0/a:1",      "web:65536",
        "web:x",     "[::1/a:1",    "[::1]x/a:1",   ":22/a:1",     "web/",           "web/db",
        "web/:80",   "web/db:0",    "web/db:70000", "web/db:",     "web/unix:",      "web/unix:x",
        "web/exec:", "web/exec:%1", "web/a%00:1",   "web/a%0Ab:1", "web/subsystem:", "-web/a:1",
        "w b/a:1",   "$(x)/a:1",    "a;b@web/a:1",  "-l@web/a:1",  "%/a:1",          "a/[::1:1"};
    char path[200], host[400];
    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        refuses(wrong[i], false, "");
        refuses(wrong[i], true, "");
    }
    refuses("web/listen:80", false, "a place to connect");
    refuses("web", true, "where to listen");
    refuses("web/db:80", true, "a place to listen");
    refuses("web/listen:exec:80:x", true, "");
    refuses("web/listen:", true, "");
    refuses("web/listen:65536", true, "");
    refuses("web/listen:unix:s", true, "path of a socket");
    memset(path, 'a', sizeof(path));
    memcpy(path, "web/unix:/", 10);
    path[9 + 108] = '\0';
    refuses(path, false, "at most 107");
    path[9 + 107] = '\0';
    takes(path, false, SSH_PLACE_UNIX, "-", "web", 0, path + 9, 0);
    memset(host, 'a', sizeof(host));
    memcpy(host + sizeof(host) - 3, "/a", 3);
    refuses(host, false, "");
}

static void accepts(const char *text, bool listen, const char *peer_host)
{
    struct nk_endpoint *ep;
    struct nk_diag diag = {0};
    enum nk_ep_role role = listen ? NK_EP_LISTEN_OPEN : NK_EP_CONNECT_OPEN;
    if (nk_endpoint_parse(text, role, &ep, &diag) != 0) {
        fail_msg("'%s': %s", text, diag.text);
    }
    assert_string_equal(shown(nk_endpoint_layer(ep, 0)->peer_host), peer_host);
    nk_endpoint_free(ep);
}

static void denies(const char *text, bool listen, const char *part)
{
    struct nk_diag diag = {0};
    if (nk_endpoint_check(text, listen, &diag) >= 0 || !strstr(diag.text, part)) {
        fail_msg("'%s': '%s'", text, diag.text);
    }
}

static void test_endpoints(void **state)
{
    (void)state;
    accepts("tls+ssh:web/db:443,ssh_config=none", false, "db"); /* whose certificate it is */
    accepts("tls+ssh:web/[::1]:443,ssh_config=none", false, "::1");
    accepts("tls+ssh:web/unix:/s,ssh_config=none,name=x", false, "-");
    accepts("ssh:web,ssh_config=none,jump=a%2Cb,identity=k,identity=l,hold=5s", false, "-");
    accepts("ssh:web/listen:0,ssh_config=none", true, "-");
    denies("socks5+ssh:web/listen:1080,ssh_config=none", true, "other machines");
    accepts("socks5+ssh:web/listen:1080,ssh_config=none,allow_remote=yes", true, "-");
    denies("tls+ssh:web,ssh_config=none", false, "does not say where to connect");
    denies("ssh:web/db:1,ssh_config=/nonexistent", false, "/nonexistent");
    denies("ssh:web/db:1,option=Nothing 1,option=User", false, "");
    denies("ssh:web/db:1,ssh_config=none,jump=%24(x)", false, "");
    denies("ssh:web/db:1,ssh_config=none,hold=2h", false, "hold");
    denies("ssh:web/db:1,ssh_conf=none", false, "unknown key");
}

static void test_destination(void **state)
{
    (void)state;
    char file[] = "/k/a \"b\" \\c", user[] = "User=bob", alive[] = "ServerAliveInterval=7";
    char none[] = "none", jump[] = "first,second";
    char *files[] = {file}, *options[] = {user, alive};
    const struct ssh_dest_conf conf = {
        .file = none, .jump = jump, .identities = {files, 1}, .options = {options, 2}};
    struct ssh_config *c;
    struct nk_diag diag = {0};
    assert_int_equal(ssh_dest_load(&conf, "web", NULL, 2222, NULL, &c, &diag), 0);
    assert_string_equal(c->user, "bob");
    assert_int_equal(c->port, 2222);
    assert_int_equal(c->alive_interval, 7);
    assert_string_equal(c->proxy_jump, "first,second");
    assert_int_equal(c->identity_files.n, 1);
    assert_string_equal(c->identity_files.v[0], files[0]);
    ssh_config_free(c);
    assert_int_equal(ssh_dest_load(&conf, "web", "alice", 0, NULL, &c, &diag), 0);
    assert_string_equal(c->user, "alice");
    assert_int_equal(c->port, 22);
    ssh_config_free(c);
    user[sizeof("User") - 1] = '\0';
    assert_true(ssh_dest_load(&conf, "web", NULL, 0, NULL, &c, &diag) < 0);
    assert_true(diag.text[0] != '\0');
}

static void test_split(void **state)
{
    (void)state;
    char plain[] = "web", both[] = "a@b@[::1]", *user, *host;
    ssh_dest_split(plain, &user, &host);
    assert_null(user);
    assert_string_equal(host, "web");
    ssh_dest_split(both, &user, &host);
    assert_string_equal(user, "a@b");
    assert_string_equal(host, "::1");
}

int nk_test_ssh_place(void);
int nk_test_ssh_place(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_connect), cmocka_unit_test(test_listen),
        cmocka_unit_test(test_refused), cmocka_unit_test(test_destination),
        cmocka_unit_test(test_split),   cmocka_unit_test(test_endpoints),
    };
    return cmocka_run_group_tests_name("ssh/place", tests, NULL, NULL);
}
