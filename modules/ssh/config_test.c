/* SPDX-License-Identifier: MIT */
#include "torture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "ssh/config_impl.h"
#include "ssh/config_words.h"

static void test_words(void **state)
{
    static const struct {
        const char *text;
        int n;
        const char *words[4];
    } t[] = {
        {"", 0, {0}},
        {"  a\tb  c ", 3, {"a", "b", "c"}},
        {"a # b", 1, {"a"}},
        {"a#b #", 1, {"a#b"}},
        {"\"a b\" 'c \"d'", 2, {"a b", "c \"d"}},
        {"a\" b\"c", 1, {"a bc"}},
        {"a\\ b \\\"c\\\" d\\\\ \\x", 4, {"a b", "\"c\"", "d\\", "\\x"}},
        {"\"a\\ b\" '\\''", 2, {"a\\ b", "'"}},
        {"\"\" x", 2, {"", "x"}},
        {"\"a", -1, {0}},
        {"a 'b\\'", -1, {0}},
        {"\\", 1, {"\\"}},
    };
    char *words[SSH_CONFIG_WORDS];
    (void)state;
    for (size_t i = 0; i < sizeof(t) / sizeof(*t); i++) {
        char text[64];
        snprintf(text, sizeof(text), "%s", t[i].text);
        assert_int_equal(ssh_config_split(text, words), t[i].n);
        for (int k = 0; k < t[i].n; k++) {
            assert_string_equal(words[k], t[i].words[k]);
        }
    }
    char *many = calloc(1, 2 * SSH_CONFIG_WORDS + 3);
    assert_non_null(many);
    for (int k = 0; k <= SSH_CONFIG_WORDS; k++) {
        memcpy(many + (size_t)2 * (size_t)k, "x ", 2);
    }
    assert_int_equal(ssh_config_split(many, words), -1);
    free(many);
}

static void test_keywords(void **state)
{
    static const char *const t[][3] = {{"  Port 22  ", "Port", "22"},
                                       {"Port=22", "Port", "22"},
                                       {"Port = =22", "Port", "=22"},
                                       {"\"Port\"=22", "Port", "22"},
                                       {"Port", "Port", ""},
                                       {"Port\t=\t", "Port", ""},
                                       {"=x", "", "x"}};
    static const char *const none[] = {"", "   ", "# Port 22", "\t#", "\r\n"};
    char text[64], *rest;
    (void)state;
    for (size_t i = 0; i < sizeof(t) / sizeof(*t); i++) {
        snprintf(text, sizeof(text), "%s", t[i][0]);
        assert_string_equal(ssh_config_keyword(text, &rest), t[i][1]);
        assert_string_equal(rest, t[i][2]);
    }
    for (size_t i = 0; i < sizeof(none) / sizeof(*none); i++) {
        snprintf(text, sizeof(text), "%s", none[i]);
        assert_null(ssh_config_keyword(text, &rest));
    }
}

static void test_forwards(void **state)
{
    static const struct {
        enum ssh_forward_kind kind;
        const char *text, *want;
    } t[] = {
        {SSH_FORWARD_LOCAL, "80:a:1", "80 [a]:1"},
        {SSH_FORWARD_LOCAL, "*:80:a:1", "[*]:80 [a]:1"},
        {SSH_FORWARD_LOCAL, ":80:a:1", "[]:80 [a]:1"},
        {SSH_FORWARD_LOCAL, "[::1]:80:[fe80::1%e]:1", "[::1]:80 [fe80::1%e]:1"},
        {SSH_FORWARD_LOCAL, "/a:/b", "/a /b"},
        {SSH_FORWARD_LOCAL, "80:/b", "80 /b"},
        {SSH_FORWARD_LOCAL, "h:80:/b", "[h]:80 /b"},
        {SSH_FORWARD_LOCAL, "/a:h:80", "/a [h]:80"},
        {SSH_FORWARD_LOCAL, "80", NULL},
        {SSH_FORWARD_LOCAL, "80:90", NULL},
        {SSH_FORWARD_LOCAL, "0:a:1", NULL},
        {SSH_FORWARD_LOCAL, "80:a:0", NULL},
        {SSH_FORWARD_LOCAL, "80::1", NULL},
        {SSH_FORWARD_LOCAL, "80:a:1:2:3", NULL},
        {SSH_FORWARD_LOCAL, "80:a:65536", NULL},
        {SSH_FORWARD_LOCAL, "80:[a:1", NULL},
        {SSH_FORWARD_LOCAL, "80:[a]x:1", NULL},
        {SSH_FORWARD_LOCAL, "", NULL},
        {SSH_FORWARD_LOCAL, ":", NULL},
        {SSH_FORWARD_LOCAL, "80:", NULL},
        {SSH_FORWARD_REMOTE, "0:a:1", "0 [a]:1"},
        {SSH_FORWARD_REMOTE, "1080", "1080 [socks]:0"},
        {SSH_FORWARD_REMOTE, "localhost:1080", "[localhost]:1080 [socks]:0"},
        {SSH_FORWARD_REMOTE, "/a", "/a [socks]:0"},
        {SSH_FORWARD_DYNAMIC, "1080", "1080"},
        {SSH_FORWARD_DYNAMIC, "[::1]:1080", "[::1]:1080"},
        {SSH_FORWARD_DYNAMIC, "0", NULL},
        {SSH_FORWARD_DYNAMIC, "/a", NULL},
        {SSH_FORWARD_DYNAMIC, "80:a:1", NULL},
    };
    struct ssh_forwards l = {0};
    struct nk_buf out;
    (void)state;
    nk_buf_init(&out, 200);
    for (size_t i = 0; i < sizeof(t) / sizeof(*t); i++) {
        struct nk_diag diag = {0};
        int rc = ssh_forwards_add(&l, t[i].kind, t[i].text, &diag);
        assert_int_equal(rc, t[i].want ? 0 : NK_EUSAGE);
        assert_int_equal(diag.code, rc);
        if (rc == 0) {
            nk_buf_reset(&out);
            assert_int_equal(ssh_forward_put(&l.v[l.n - 1], &out), 0);
            assert_string_equal(nk_buf_str(&out), t[i].want);
        }
    }
    nk_buf_clear(&out);
    ssh_forwards_clear(&l);
}

static struct ssh_config *load(const char *const *options, size_t n,
                               bool (*exec)(void *, const char *))
{
    struct ssh_config *c = NULL;
    struct nk_diag diag = {0};
    const struct ssh_config_ask ask = {
        .host = "foo", .file = "none", .options = options, .noptions = n, .exec = exec};
    int rc = ssh_config_load(&c, &ask, &diag);
    assert_string_equal(diag.text, "");
    assert_int_equal(rc, 0);
    return c;
}

static void test_host_conf(void **state)
{
    static const char *const options[] = {"HostName=bar", "Port=2222", "StrictHostKeyChecking=no",
                                          "UserKnownHostsFile=/a /b", "CASignatureAlgorithms=-x"};
    static const char *const alias[] = {"HostKeyAlias=al", "Port=2222"};
    struct ssh_host_conf h;
    (void)state;
    struct ssh_config *c = load(options, 5, NULL);
    ssh_config_host(c, &h);
    assert_string_equal(h.host, "bar");
    assert_int_equal(h.port, 2222);
    assert_int_equal(h.checking, SSH_CHECKING_NO);
    assert_int_equal(h.nuser, 2);
    assert_string_equal(h.user_files[1], "/b");
    assert_int_equal(h.nglobal, 2);
    assert_int_equal(c->update_host_keys, SSH_UPDATE_NO); /* not the usual file */
    assert_int_equal(h.min_rsa, SSH_RSA_MIN);
    ssh_config_free(c);
    c = load(alias, 2, NULL);
    ssh_config_host(c, &h);
    assert_string_equal(h.host, "al");
    assert_int_equal(h.port, SSH_PORT);
    assert_int_equal(c->update_host_keys, SSH_UPDATE_YES);
    assert_int_equal(c->pubkey_auth, 1);
    assert_null(c->proxy_command);
    ssh_config_free(c);
}

static bool yes(void *arg, const char *command)
{
    (void)arg;
    return strcmp(command, "test foo = foo") == 0;
}

static void test_exec(void **state)
{
    static const char *const options[] = {"Match exec \"test %h = foo\"", "Port=7"};
    static const char *const other[] = {"Match exec false", "Port=7"};
    (void)state;
    struct ssh_config *c = load(options, 2, yes);
    assert_int_equal(c->port, 7);
    ssh_config_free(c);
    c = load(other, 2, yes);
    assert_int_equal(c->port, SSH_PORT);
    ssh_config_free(c);
    c = load(options, 2, NULL);
    assert_int_equal(c->port, SSH_PORT);
    ssh_config_free(c);
}

static void test_proposal(void **state)
{
    static const char *const options[] = {"Ciphers=aes128-cbc,aes256-ctr,blowfish-cbc",
                                          "MACs=-*sha2-256*", "KexAlgorithms=+no-such-method",
                                          "HostKeyAlgorithms=^ssh-dss,rsa-sha2-256"};
    static const char *const nothing[] = {"Ciphers=aes128-cbc"};
    struct ssh_proposal p, all;
    struct nk_diag diag = {0};
    (void)state;
    ssh_proposal_init(&all);
    struct ssh_config *c = load(options, 4, NULL);
    assert_int_equal(ssh_config_proposal(c, &p, NULL, &diag), 0);
    assert_string_equal(p.list[SSH_LIST_CIPHER], "aes256-ctr");
    assert_null(strstr(p.list[SSH_LIST_MAC], "256"));
    assert_string_equal(p.list[SSH_LIST_KEX], all.list[SSH_LIST_KEX]);
    assert_memory_equal(p.list[SSH_LIST_HOST_KEY], "rsa-sha2-256,ssh-ed25519", 24);
    ssh_config_free(c);
    c = load(nothing, 1, NULL);
    assert_int_equal(ssh_config_proposal(c, &p, NULL, &diag), NK_ECONFIG);
    ssh_config_free(c);
}

static const char everything[] =
    "Host foo\n IdentityFile ~/.ssh/%h\n LocalForward 80 a:1\n SendEnv A B\n SetEnv C=1\n"
    " UserKnownHostsFile /a %d/b\n ProxyCommand nc %h\n RekeyLimit 1G 1h\n HostName x.%h\n"
    "Match final user *\n Port 99\n CertificateFile %C\n";

static int whole_once(void *arg)
{
    const struct ssh_config_ask ask = {.host = "foo", .user = "u", .port = 2, .file = arg};
    struct ssh_config *c = NULL;
    struct nk_buf out, json;
    struct nk_json j;
    int rc = ssh_config_load(&c, &ask, NULL);
    nk_buf_init(&out, 100000);
    nk_buf_init(&json, 100000);
    if (rc == 0) {
        if (c->port != 2 || strcmp(c->host_name, "x.foo") != 0 || c->identity_files.n != 1 ||
            c->certificate_files.n != 1 || strlen(c->certificate_files.v[0]) != 40) {
            rc = 1;
        }
        rc = rc ? rc : ssh_config_print_origins(c, &out);
        nk_json_init(&j, &json, false);
        ssh_config_json(c, &j);
        rc = rc ? rc : nk_json_end(&j);
    }
    ssh_config_free(c);
    nk_buf_clear(&out);
    nk_buf_clear(&json);
    return rc;
}

static void test_memory(void **state)
{
    char path[] = "/tmp/nk-config-XXXXXX";
    (void)state;
    int fd = mkstemp(path);
    assert_true(fd >= 0 && close(fd) == 0);
    assert_int_equal(nk_file_write(path, NK_FILE_OVERWRITE, everything, strlen(everything), NULL),
                     0);
    assert_true(nk_torture(whole_once, path) > 40);
    assert_int_equal(unlink(path), 0);
}

int nk_test_ssh_config(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_words),    cmocka_unit_test(test_keywords),
        cmocka_unit_test(test_forwards), cmocka_unit_test(test_host_conf),
        cmocka_unit_test(test_exec),     cmocka_unit_test(test_proposal),
        cmocka_unit_test(test_memory),
    };
    return cmocka_run_group_tests_name("ssh/config", tests, NULL, NULL);
}
