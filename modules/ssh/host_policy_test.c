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

#include "base/codec.h"
#include "base/file.h"
#include "ssh/host_policy.h"

enum { NOW = 2000000000 };

/* clang-format off */
/* keys and a certificate made by ssh-keygen; pubkey_test.c has them, too */
#define ED25519 \
    "AAAAC3NzaC1lZDI1NTE5AAAAIJiNVpMcqJWDWyoFeX+FlvbETV97bJ/g24MFOzcx251Y"
#define ECDSA \
    "AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBJOPPS0XLaF9HDm6Qa7LMTWXj+O9Ruh/TVSy" \
    "eeksjxNrgiXeXI5p+DxEPZyVw41c8hG2+EsnnBQvzhQT9kvbbMw="
#define RSA \
    "AAAAB3NzaC1yc2EAAAADAQABAAABAQDGzEjzb3IMqbRUPWuAjWRQp/A40QxJjhPVLJtsZwVbnD5SvJq8DK1CqF8U" \
    "mAbz45s4EcT6fRe058k+5rKJUtdevg+JrbL1w1RWQOAwe5U4dgvsM3dsl1a61wRrerF2KLmg7LFquR2BPQu2w8ON" \
    "KtMDWpQN29aQ450aHy7zKyv1SD6WhhMN5ZuAYfZxw5scBZd2ITZ4fb0udML6wHbnbFt79wA7ULpGh/ORhbc5GoR7" \
    "veL0oIbcsNisPemzZ2nzK0VvDWLl6vAzooam88JASHT6SMkKASkSscu0TeCnm9d3FHCQeQoLHMnC/YJcT+gYeTJg" \
    "q6sk2mBegiizrJTLARyT"
#define ED25519_PRINT "SHA256:ZEsFc7Mv+l8BfgAVldotXuJ3oZ+9Bpup4fws+ZZuReM"
#define ED25519_MD5 "9f:26:69:e6:7b:d7:04:aa:01:a6:71:de:0a:e1:3a:dd"
/* of the ECDSA key, by the Ed25519 key, for h.example and *.h.example */
#define CERT \
    "AAAAKGVjZHNhLXNoYTItbmlzdHAyNTYtY2VydC12MDFAb3BlbnNzaC5jb20AAAAg3+xGj1WpD549sa5GfHUiA1tA" \
    "+OPNQZ8LNNryxVQuNUIAAAAIbmlzdHAyNTYAAABBBJOPPS0XLaF9HDm6Qa7LMTWXj+O9Ruh/TVSyeeksjxNrgiXe" \
    "XI5p+DxEPZyVw41c8hG2+EsnnBQvzhQT9kvbbMwAAAAAAAAABwAAAAIAAAAFaG9zdDEAAAAcAAAACWguZXhhbXBs" \
    "ZQAAAAsqLmguZXhhbXBsZQAAAABeC+EAAAAAAIOqfoAAAAAAAAAAAAAAAAAAAAAzAAAAC3NzaC1lZDI1NTE5AAAA" \
    "IJiNVpMcqJWDWyoFeX+FlvbETV97bJ/g24MFOzcx251YAAAAUwAAAAtzc2gtZWQyNTUxOQAAAEB/RqA+Ndd3Pdi1" \
    "PGg6fVAvwVyhvSY/tTsTEVf4X0UoUGRaBUwThc0YbWbTq8v/Sa0piiIQK3fN0KSGN44N74IB"
/* clang-format on */

struct bytes {
    uint8_t p[2048];
    size_t n;
};

static struct ssh_str blob(const char *base64, struct bytes *b)
{
    ssize_t n = nk_base64_decode(b->p, sizeof(b->p), base64, strlen(base64));
    assert_true(n > 0);
    b->n = (size_t)n;
    return (struct ssh_str){b->p, b->n};
}

/* A policy over one file with this text. */
struct fixture {
    char dir[32], file[64], revoked[64];
    const char *files[1];
    struct ssh_host_conf conf;
    struct ssh_host_policy *policy;
    struct nk_diag diag;
};

static void begin(struct fixture *f)
{
    *f = (struct fixture){.conf = {.host = "h.example", .port = 22, .ask = true}};
    strcpy(f->dir, "/tmp/nk-policy-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    snprintf(f->file, sizeof(f->file), "%s/known_hosts", f->dir);
    snprintf(f->revoked, sizeof(f->revoked), "%s/revoked", f->dir);
    f->files[0] = f->file;
    f->conf.user_files = f->files;
    f->conf.nuser = 1;
}

static void end(struct fixture *f)
{
    ssh_host_policy_free(f->policy);
    assert_int_equal(nk_remove_tree(f->dir), 0);
}

static void put(const char *path, const char *text)
{
    assert_int_equal(nk_file_write(path, NK_FILE_OVERWRITE, text, strlen(text), NULL), 0);
}

static int check(struct fixture *f, const char *known, const char *key, uint64_t now,
                 struct ssh_host_answer *a)
{
    struct bytes b;
    if (known) {
        put(f->file, known);
    }
    ssh_host_policy_free(f->policy);
    f->policy = NULL;
    memset(&f->diag, 0, sizeof(f->diag));
    int rc = ssh_host_policy_new(&f->policy, &f->conf, &f->diag);
    return rc < 0 ? rc : ssh_host_policy_check(f->policy, blob(key, &b), now, a, &f->diag);
}

/* What each mode makes of what is known: how it was accepted, or the error. */
static void test_modes(void **state)
{
    static const struct {
        const char *known, *key;
        int ask, yes, accept_new, no;
    } t[] = {
        {"h.example ssh-ed25519 " ED25519 "\n", ED25519, SSH_HOST_KNOWN, SSH_HOST_KNOWN,
         SSH_HOST_KNOWN, SSH_HOST_KNOWN},
        {"", ED25519, SSH_HOST_ASK, NK_EVERIFY, SSH_HOST_NEW, SSH_HOST_NEW},
        {"h.example ecdsa-sha2-nistp256 " ECDSA "\n", ED25519, SSH_HOST_ASK, NK_EVERIFY, NK_EVERIFY,
         SSH_HOST_CHANGED},
        {"h.example ssh-ed25519 "
         "AAAAC3NzaC1lZDI1NTE5AAAAIBz+1BplODq23VAmu3NjKyw//xIxLHhbFhrMML1NPWez"
         "\n",
         ED25519, NK_EVERIFY, NK_EVERIFY, NK_EVERIFY, SSH_HOST_CHANGED},
        {"* ssh-ed25519 " ED25519 "\n@revoked * ssh-ed25519 " ED25519 "\n", ED25519, NK_EVERIFY,
         NK_EVERIFY, NK_EVERIFY, NK_EVERIFY},
        {"*.example,!h.example ssh-ed25519 " ED25519 "\n", ED25519, SSH_HOST_ASK, NK_EVERIFY,
         SSH_HOST_NEW, SSH_HOST_NEW},
        /* an authority's key is no host's key, and a certificate's key counts without it */
        {"@cert-authority * ssh-ed25519 " ED25519 "\n", ED25519, SSH_HOST_ASK, NK_EVERIFY,
         SSH_HOST_NEW, SSH_HOST_NEW},
        {"@cert-authority * ssh-ed25519 " ED25519 "\n", CERT, SSH_HOST_CA, SSH_HOST_CA, SSH_HOST_CA,
         SSH_HOST_CA},
        {"h.example ecdsa-sha2-nistp256 " ECDSA "\n", CERT, SSH_HOST_KNOWN, SSH_HOST_KNOWN,
         SSH_HOST_KNOWN, SSH_HOST_KNOWN},
        {"", CERT, SSH_HOST_ASK, NK_EVERIFY, SSH_HOST_NEW, SSH_HOST_NEW},
        {"@cert-authority *.other ssh-ed25519 " ED25519 "\n", CERT, SSH_HOST_ASK, NK_EVERIFY,
         SSH_HOST_NEW, SSH_HOST_NEW},
        {"@cert-authority * ssh-ed25519 " ED25519 "\n@revoked * ssh-ed25519 " ED25519 "\n", CERT,
         NK_EVERIFY, NK_EVERIFY, NK_EVERIFY, NK_EVERIFY},
        {"@cert-authority * ssh-ed25519 " ED25519 "\n@revoked * ecdsa-sha2-nistp256 " ECDSA "\n",
         CERT, NK_EVERIFY, NK_EVERIFY, NK_EVERIFY, NK_EVERIFY},
    };
    struct fixture f;
    struct ssh_host_answer a;
    (void)state;
    begin(&f);
    for (size_t i = 0; i < sizeof(t) / sizeof(*t); i++) {
        const int want[] = {t[i].ask, t[i].yes, t[i].accept_new, t[i].no};
        for (int mode = SSH_CHECKING_ASK; mode <= SSH_CHECKING_NO; mode++) {
            f.conf.checking = (enum ssh_checking)mode;
            int rc = check(&f, t[i].known, t[i].key, NOW, &a);
            assert_int_equal(rc < 0 ? rc : (int)a.how, want[mode]);
            assert_int_equal(rc < 0, f.diag.code < 0 && f.diag.text[0] && rc == f.diag.code);
        }
    }
    end(&f);
}

static void test_alarm(void **state)
{
    struct fixture f;
    struct ssh_host_answer a;
    (void)state;
    begin(&f);
    assert_int_equal(check(&f, "\nh.example ssh-ed25519 " ED25519 "\n", ED25519, NOW, &a), 0);
    assert_string_equal(ssh_host_policy_alarm(f.policy), "");
    assert_true(a.number == 2 && strcmp(a.file, f.file) == 0);
    assert_int_equal(check(&f, "\nh.example ecdsa-sha2-nistp256 " ECDSA "\n", ED25519, NOW, &a), 0);
    assert_int_equal(a.how, SSH_HOST_ASK); /* another type of key */
    f.conf.checking = SSH_CHECKING_YES;
    assert_int_equal(check(&f, NULL, ED25519, NOW, &a), NK_EVERIFY);
    const char *alarm = ssh_host_policy_alarm(f.policy);
    assert_non_null(strstr(alarm, "REMOTE HOST IDENTIFICATION HAS CHANGED"));
    assert_non_null(strstr(alarm, f.file));
    assert_non_null(strstr(alarm, "line 2"));
    assert_non_null(strstr(alarm, ED25519_PRINT));
    assert_non_null(strstr(f.diag.hint, "known-hosts remove 'h.example'"));
    end(&f);
}

static void test_ports(void **state)
{
    struct fixture f;
    struct ssh_host_answer a;
    (void)state;
    begin(&f);
    f.conf.port = 2222;
    f.conf.checking = SSH_CHECKING_YES;
    assert_int_equal(check(&f, "[h.example]:2222 ssh-ed25519 " ED25519 "\n", ED25519, NOW, &a), 0);
    assert_int_equal(check(&f, "h.example ssh-ed25519 " ED25519 "\n", ED25519, NOW, &a), 0);
    /* another key on the usual port is no change */
    f.conf.checking = SSH_CHECKING_ACCEPT_NEW;
    assert_int_equal(check(&f, "h.example ecdsa-sha2-nistp256 " ECDSA "\n", ED25519, NOW, &a), 0);
    assert_int_equal(a.how, SSH_HOST_NEW);
    f.conf.port = 22;
    assert_int_equal(check(&f, "[h.example]:2222 ssh-ed25519 " ED25519 "\n", ED25519, NOW, &a), 0);
    assert_int_equal(a.how, SSH_HOST_NEW);
    end(&f);
}

static void test_certificates(void **state)
{
    static const char ca[] = "@cert-authority * ssh-ed25519 " ED25519 "\n";
    struct fixture f;
    struct ssh_host_answer a;
    (void)state;
    begin(&f);
    f.conf.checking = SSH_CHECKING_NO;
    f.conf.host = "x.H.example";
    assert_int_equal(check(&f, ca, CERT, NOW, &a), 0);
    f.conf.host = "other.example";
    assert_int_equal(check(&f, ca, CERT, NOW, &a), NK_EVERIFY);
    assert_non_null(strstr(f.diag.text, "not for that name"));
    f.conf.host = "h.example";
    assert_int_equal(check(&f, ca, CERT, 1, &a), NK_EVERIFY);
    assert_int_equal(check(&f, ca, CERT, (uint64_t)1 << 40, &a), NK_EVERIFY);
    assert_non_null(strstr(f.diag.text, "not valid any more"));
    f.conf.ca_algorithms = "rsa-sha2-512,ecdsa-sha2-nistp256";
    assert_int_equal(check(&f, ca, CERT, NOW, &a), NK_EVERIFY);
    f.conf.ca_algorithms = "-ssh-ed*";
    assert_int_equal(check(&f, ca, CERT, NOW, &a), NK_EVERIFY);
    f.conf.ca_algorithms = "-rsa*";
    assert_int_equal(check(&f, ca, CERT, NOW, &a), 0);
    f.conf.ca_algorithms = "ssh-ed25519";
    assert_int_equal(check(&f, ca, CERT, NOW, &a), 0);
    /* expired, but its key is known */
    assert_int_equal(check(&f,
                           "@cert-authority * ssh-ed25519 " ED25519
                           "\nh.example ecdsa-sha2-nistp256 " ECDSA "\n",
                           CERT, (uint64_t)1 << 40, &a),
                     0);
    assert_int_equal(a.how, SSH_HOST_KNOWN);
    end(&f);
}

static void test_pins(void **state)
{
    static const char *const good[] = {ED25519_PRINT, ("MD5:" ED25519_MD5), ED25519_MD5,
                                       "md5:9F:26:69:e6:7b:d7:04:aa:01:a6:71:de:0a:e1:3a:dd"};
    static const char *const bad[] = {"",
                                      "SHA256:",
                                      "SHA256:abc",
                                      "MD5:00",
                                      (ED25519_PRINT "="),
                                      "MD5:9f2669e67bd704aa01a671de0ae13add",
                                      "SHA1:ZEsFc7Mv+l8BfgAVldotXuJ3oZ+9Bpup4fws+ZZuReM"};
    const char *pins[] = {"MD5:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00", NULL};
    struct fixture f;
    struct ssh_host_answer a;
    (void)state;
    begin(&f);
    f.conf.pins = pins;
    f.conf.npins = 2;
    f.conf.checking = SSH_CHECKING_NO;
    for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
        pins[1] = good[i];
        assert_int_equal(check(&f, "", ED25519, NOW, &a), 0);
        assert_int_equal(a.how, SSH_HOST_PIN);
        assert_int_equal(check(&f, "h.example ssh-rsa " RSA "\n", RSA, NOW, &a), NK_EVERIFY);
        assert_int_equal(check(&f, "@revoked * ssh-ed25519 " ED25519 "\n", ED25519, NOW, &a),
                         NK_EVERIFY);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        pins[1] = bad[i];
        assert_int_equal(check(&f, "", ED25519, NOW, &a), NK_EUSAGE);
    }
    end(&f);
}

/* A binary list with the serial number 7 of any authority, which CERT has. */
static const uint8_t krl_of_7[] = {83, 83, 72, 75, 82, 76, 10, 0, 0, 0, 0, 1, 0,  0, 0, 0, 0, 0,
                                   0,  0,  0,  0,  0,  0,  0,  0, 0, 0, 0, 0, 0,  0, 0, 0, 0, 0,
                                   0,  0,  0,  0,  0,  0,  0,  0, 1, 0, 0, 0, 21, 0, 0, 0, 0, 0,
                                   0,  0,  0,  32, 0,  0,  0,  8, 0, 0, 0, 0, 0,  0, 0, 7};

static void put_bytes(const char *path, const void *p, size_t n)
{
    assert_int_equal(nk_file_write(path, NK_FILE_OVERWRITE, p, n, NULL), 0);
}

static void test_revoked_file(void **state)
{
    uint8_t krl[sizeof(krl_of_7)];
    struct fixture f;
    struct ssh_host_answer a;
    (void)state;
    memcpy(krl, krl_of_7, sizeof(krl));
    begin(&f);
    f.conf.checking = SSH_CHECKING_NO;
    f.conf.revoked_file = f.revoked;
    assert_true(check(&f, "", ED25519, NOW, &a) == -ENOENT); /* nothing is accepted without it */
    put(f.revoked, "# keys\nssh-rsa " RSA " old\n");
    assert_int_equal(check(&f, "", ED25519, NOW, &a), 0);
    assert_int_equal(check(&f, "", RSA, NOW, &a), NK_EVERIFY);
    put(f.revoked, "ssh-ed25519 " ED25519);
    assert_int_equal(check(&f, "", ED25519, NOW, &a), NK_EVERIFY);
    assert_int_equal(check(&f, "@cert-authority * ssh-ed25519 " ED25519 "\n", CERT, NOW, &a),
                     NK_EVERIFY);
    put(f.revoked, "SSHKRL\n");
    assert_int_equal(check(&f, "", ED25519, NOW, &a), NK_EFORMAT);
    put_bytes(f.revoked, krl, sizeof(krl));
    assert_int_equal(check(&f, "", ED25519, NOW, &a), 0);
    assert_int_equal(check(&f, "@cert-authority * ssh-ed25519 " ED25519 "\n", CERT, NOW, &a),
                     NK_EVERIFY);
    assert_non_null(strstr(f.diag.text, f.revoked));
    krl[sizeof(krl) - 1] ^= 1; /* another serial number */
    put_bytes(f.revoked, krl, sizeof(krl));
    assert_int_equal(check(&f, "@cert-authority * ssh-ed25519 " ED25519 "\n", CERT, NOW, &a), 0);
    end(&f);
}

static void test_rsa_size(void **state)
{
    struct fixture f;
    struct ssh_host_answer a;
    (void)state;
    begin(&f);
    f.conf.min_rsa = 3072;
    assert_int_equal(check(&f, "h.example ssh-rsa " RSA "\n", RSA, NOW, &a), NK_EAUTH);
    f.conf.min_rsa = 2048;
    assert_int_equal(check(&f, "h.example ssh-rsa " RSA "\n", RSA, NOW, &a), 0);
    end(&f);
}

static void order(struct fixture *f, const char *known, const char *want)
{
    struct ssh_host_answer a;
    struct nk_buf out;
    nk_buf_init(&out, 1000);
    (void)check(f, known, ED25519, NOW, &a);
    assert_int_equal(ssh_host_policy_algorithms(
                         f->policy,
                         "ssh-ed25519-cert-v01@openssh.com,rsa-sha2-512-cert-v01@openssh.com,"
                         "ssh-ed25519,ecdsa-sha2-nistp256,rsa-sha2-512,rsa-sha2-256",
                         &out),
                     0);
    assert_string_equal(nk_buf_str(&out), want);
    nk_buf_clear(&out);
}

static void test_algorithms(void **state)
{
    static const char *const pins[] = {ED25519_PRINT};
    static const char plain[] =
        "ssh-ed25519-cert-v01@openssh.com,rsa-sha2-512-cert-v01@openssh.com,"
        "ssh-ed25519,ecdsa-sha2-nistp256,rsa-sha2-512,rsa-sha2-256";
    struct fixture f;
    (void)state;
    begin(&f);
    order(&f, "", plain);
    order(&f, "other ssh-rsa " RSA "\n@revoked * ssh-rsa " RSA "\n", plain);
    order(&f, "h.example ssh-rsa " RSA "\n",
          "rsa-sha2-512,rsa-sha2-256,ssh-ed25519-cert-v01@openssh.com,"
          "rsa-sha2-512-cert-v01@openssh.com,ssh-ed25519,ecdsa-sha2-nistp256");
    order(&f, "@cert-authority * ecdsa-sha2-nistp256 " ECDSA "\nh.example ssh-rsa " RSA "\n",
          "ssh-ed25519-cert-v01@openssh.com,rsa-sha2-512-cert-v01@openssh.com,rsa-sha2-512,"
          "rsa-sha2-256,ssh-ed25519,ecdsa-sha2-nistp256");
    f.conf.pins = pins;
    f.conf.npins = 1;
    order(&f, "h.example ssh-rsa " RSA "\n", plain);
    end(&f);
}

static void test_asking(void **state)
{
    static const struct {
        const char *typed;
        int want;
    } t[] = {{"yes\n", 1},
             {" YES \r\n", 1},
             {"no", 0},
             {"y", NK_EAGAIN},
             {"", NK_EAGAIN},
             {ED25519_PRINT "\n", 1},
             {ED25519_MD5, 1},
             {"SHA256:Moapq1r5QIqCDK1bXUpWX/AcZRfqsh/4+rNpQarN/F0", 0},
             {"MD5:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00", 0},
             {ED25519_PRINT ED25519_PRINT, NK_EAGAIN}};
    struct fixture f;
    struct ssh_host_answer a;
    struct nk_buf text;
    (void)state;
    begin(&f);
    nk_buf_init(&text, 2000);
    assert_int_equal(check(&f, "h.example ssh-rsa " RSA "\n", ED25519, NOW, &a), 0);
    assert_int_equal(a.how, SSH_HOST_ASK);
    assert_int_equal(ssh_host_policy_question(f.policy, &a, &text), 0);
    assert_non_null(strstr(nk_buf_str(&text), ED25519_PRINT));
    assert_non_null(strstr(nk_buf_str(&text), "another type"));
    for (size_t i = 0; i < sizeof(t) / sizeof(*t); i++) {
        assert_int_equal(ssh_host_policy_reply(&a, t[i].typed, strlen(t[i].typed)), t[i].want);
    }
    f.conf.ask = false;
    assert_int_equal(check(&f, "", ED25519, NOW, &a), NK_EVERIFY);
    nk_buf_clear(&text);
    end(&f);
}

static void test_learning(void **state)
{
    struct fixture f;
    struct ssh_host_answer a;
    struct nk_buf b;
    (void)state;
    begin(&f);
    nk_buf_init(&b, 10000);
    f.conf.checking = SSH_CHECKING_ACCEPT_NEW;
    f.conf.port = 2222;
    assert_int_equal(check(&f, NULL, CERT, NOW, &a), 0);
    assert_int_equal(ssh_host_policy_learn(f.policy, &f.diag), 0);
    assert_int_equal(nk_file_read(f.file, 0, &b, NULL), 0);
    assert_string_equal(nk_buf_str(&b), "[h.example]:2222 ecdsa-sha2-nistp256 " ECDSA "\n");
    assert_int_equal(check(&f, NULL, ECDSA, NOW, &a), 0);
    assert_int_equal(a.how, SSH_HOST_KNOWN);
    f.conf.hash = true;
    assert_int_equal(unlink(f.file), 0);
    assert_int_equal(check(&f, NULL, RSA, NOW, &a), 0);
    assert_int_equal(ssh_host_policy_learn(f.policy, &f.diag), 0);
    assert_int_equal(check(&f, NULL, RSA, NOW, &a), 0);
    assert_int_equal(a.how, SSH_HOST_KNOWN);
    nk_buf_reset(&b);
    assert_int_equal(nk_file_read(f.file, 0, &b, NULL), 0);
    assert_memory_equal(nk_buf_ptr(&b), "|1|", 3);
    nk_buf_clear(&b);
    end(&f);
}

static int whole_once(void *arg)
{
    struct fixture *f = arg;
    struct ssh_host_policy *p = NULL;
    struct ssh_host_answer a;
    struct nk_buf out;
    uint8_t key[512];
    ssize_t n = nk_base64_decode(key, sizeof(key), RSA, strlen(RSA));
    nk_buf_init(&out, 4000);
    int rc = ssh_host_policy_new(&p, &f->conf, NULL);
    if (rc == 0) {
        const struct ssh_str k = {key, (size_t)n};
        rc = ssh_host_policy_check(p, k, NOW, &a, NULL);
        rc = rc < 0 ? rc : ssh_host_policy_algorithms(p, "rsa-sha2-256,ssh-ed25519", &out);
        rc = rc < 0 ? rc : ssh_host_policy_question(p, &a, &out);
        rc = rc < 0 ? rc : ssh_host_policy_learn(p, NULL);
    }
    ssh_host_policy_free(p);
    nk_buf_clear(&out);
    return rc;
}

static void test_memory(void **state)
{
    struct fixture f;
    (void)state;
    begin(&f);
    put(f.file, "h.example ssh-rsa " RSA "\n");
    put(f.revoked, "ssh-ed25519 " ED25519 "\n");
    f.conf.revoked_file = f.revoked;
    assert_true(nk_torture(whole_once, &f) > 8);
    end(&f);
}

int nk_test_ssh_host_policy(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_modes),    cmocka_unit_test(test_alarm),
        cmocka_unit_test(test_ports),    cmocka_unit_test(test_certificates),
        cmocka_unit_test(test_pins),     cmocka_unit_test(test_revoked_file),
        cmocka_unit_test(test_rsa_size), cmocka_unit_test(test_algorithms),
        cmocka_unit_test(test_asking),   cmocka_unit_test(test_learning),
        cmocka_unit_test(test_memory),
    };
    return cmocka_run_group_tests_name("ssh/host_policy", tests, NULL, NULL);
}
