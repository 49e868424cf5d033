/* SPDX-License-Identifier: MIT */
/* Lists of algorithms: as they are offered, as users edit them, and what two of them lead to. */
#include "ssh/algo.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

int nk_test_ssh_algo(void);

#define MACS                                                                                       \
    "hmac-sha2-512-etm@openssh.com,hmac-sha2-256-etm@openssh.com,hmac-sha2-512,hmac-sha2-256"

enum { KEXINIT_MAX = 4096 };

static void test_defaults(void **state)
{
    struct ssh_proposal p;
    (void)state;
    ssh_proposal_init(&p);
    assert_string_equal(p.list[SSH_LIST_MAC], MACS);
    assert_memory_equal(p.list[SSH_LIST_KEX], "mlkem768x25519-sha256,curve25519-sha256,", 40);
    assert_memory_equal(p.list[SSH_LIST_HOST_KEY], "ssh-ed25519-cert-v01@openssh.com,", 33);
    for (int which = 0; which < SSH_LISTS; which++) { /* nothing was left out */
        struct ssh_str list = {(const uint8_t *)p.list[which], strlen(p.list[which])}, name;
        const char *known;
        for (size_t i = 0; (known = ssh_algo_name((enum ssh_list)which, i)) != NULL; i++) {
            assert_true(ssh_names_next(&list, &name));
            assert_true(ssh_str_is(name, known));
        }
        assert_int_equal(list.n, 0);
        assert_true(strlen(p.list[which]) < SSH_LIST_MAX * 3 / 4);
    }
    assert_null(strstr(p.list[SSH_LIST_KEX], "sha1"));
}

static void expect(const char *start, const char *spec, int rc, const char *want)
{
    struct ssh_proposal p;
    struct nk_diag diag = {0};
    ssh_proposal_init(&p);
    if (start) {
        assert_int_equal(ssh_proposal_set(&p, SSH_LIST_MAC, start, &diag), 0);
    }
    assert_int_equal(ssh_proposal_set(&p, SSH_LIST_MAC, spec, &diag), rc);
    assert_int_equal(diag.code, rc);
    assert_string_equal(p.list[SSH_LIST_MAC], want);
}

static void test_edit(void **state)
{
    (void)state;
    expect(NULL, "hmac-sha2-256", 0, "hmac-sha2-256");
    expect(NULL, "hmac-sha2-256,hmac-sha2-256,,hmac-sha2-512", 0, "hmac-sha2-256,hmac-sha2-512");
    expect("hmac-sha2-256", "+hmac-sha2-512", 0, "hmac-sha2-256,hmac-sha2-512");
    expect("hmac-sha2-256", "+hmac-sha2-256", 0, "hmac-sha2-256");
    expect(NULL, "^hmac-sha2-256,hmac-sha2-512", 0,
           "hmac-sha2-256,hmac-sha2-512,hmac-sha2-512-etm@openssh.com,"
           "hmac-sha2-256-etm@openssh.com");
    expect(NULL, "-*-etm@openssh.com", 0, "hmac-sha2-512,hmac-sha2-256");
    expect(NULL, "-nobody,hmac-sha2-512", 0,
           "hmac-sha2-512-etm@openssh.com,hmac-sha2-256-etm@openssh.com,hmac-sha2-256");
    expect(NULL, "-*", NK_EUSAGE, MACS);
    expect(NULL, "", NK_EUSAGE, MACS);
    expect(NULL, "hmac-md5", NK_EUSAGE, MACS);
    expect(NULL, "+hmac-md5", NK_EUSAGE, MACS);
    expect(NULL, "^aes256-ctr", NK_EUSAGE, MACS);
}

static void test_guard(void **state)
{
    struct ssh_proposal p;
    struct nk_diag diag = {0};
    (void)state;
    ssh_proposal_init(&p);
    assert_int_equal(
        ssh_proposal_set(&p, SSH_LIST_CIPHER, "chacha20-poly1305@openssh.com,aes128-ctr", &diag),
        0);
    ssh_proposal_guard(&p);
    assert_string_equal(p.list[SSH_LIST_CIPHER], "aes128-ctr,chacha20-poly1305@openssh.com");
    assert_int_equal(ssh_proposal_set(&p, SSH_LIST_CIPHER, "chacha20-poly1305@openssh.com", &diag),
                     0);
    ssh_proposal_guard(&p);
    assert_string_equal(p.list[SSH_LIST_CIPHER], "chacha20-poly1305@openssh.com");
}

/* A KEXINIT that has these lists and is fine otherwise. */
static void make(struct nk_buf *b, const char *kex, const char *host, const char *cipher,
                 const char *mac, bool follows)
{
    const char *lists[] = {kex, host, cipher, cipher, mac, mac, "none,zlib", "none", "", ""};
    nk_buf_reset(b);
    assert_int_equal(nk_buf_u8(b, SSH_MSG_KEXINIT), 0);
    assert_int_equal(nk_buf_put(b, "0123456789abcdef", SSH_COOKIE_SIZE), 0);
    for (int i = 0; i < SSH_FIELDS; i++) {
        assert_int_equal(ssh_put_text(b, lists[i]), 0);
    }
    assert_int_equal(ssh_put_bool(b, follows), 0);
    assert_int_equal(nk_buf_be32(b, 0), 0);
}

static int negotiate(const struct nk_buf *b, struct ssh_choice *out)
{
    struct ssh_proposal p;
    struct ssh_kexinit k;
    struct nk_diag diag = {0};
    ssh_proposal_init(&p);
    int rc = ssh_kexinit_parse((struct ssh_str){nk_buf_ptr(b), nk_buf_len(b)}, &k, &diag);
    return rc < 0 ? rc : ssh_negotiate(&p, &k, out, &diag);
}

static void test_negotiate(void **state)
{
    struct nk_buf b;
    struct ssh_choice c;
    (void)state;
    nk_buf_init(&b, KEXINIT_MAX);
    make(&b, "curve25519-sha256,mlkem768x25519-sha256", "rsa-sha2-256,ssh-ed25519", "aes128-ctr",
         "hmac-sha2-256,hmac-sha2-512", false);
    assert_int_equal(negotiate(&b, &c), 0);
    assert_string_equal(c.kex->name, "mlkem768x25519-sha256"); /* our order counts */
    assert_string_equal(c.host->name, "ssh-ed25519");
    assert_false(c.host_cert || c.guess_right);
    assert_string_equal(c.cipher[SSH_OUT]->name, "aes128-ctr");
    assert_string_equal(c.mac[SSH_IN]->name, "hmac-sha2-512");

    make(&b, "mlkem768x25519-sha256", "ssh-ed25519-cert-v01@openssh.com",
         "chacha20-poly1305@openssh.com", "none-of-ours", true);
    assert_int_equal(negotiate(&b, &c), 0); /* an AEAD needs no MAC in common */
    assert_true(c.host_cert && c.guess_right);
    assert_null(c.mac[SSH_OUT]);

    make(&b, "x", "ssh-ed25519", "aes128-ctr", MACS, false);
    assert_int_equal(negotiate(&b, &c), NK_EPROTO);
    make(&b, "curve25519-sha256", "ssh-rsa", "aes128-ctr", MACS, false);
    assert_int_equal(negotiate(&b, &c), NK_EPROTO);
    make(&b, "curve25519-sha256", "ssh-ed25519", "aes128-cbc", MACS, false);
    assert_int_equal(negotiate(&b, &c), NK_EPROTO);
    make(&b, "curve25519-sha256", "ssh-ed25519", "aes128-ctr", "hmac-md5", false);
    assert_int_equal(negotiate(&b, &c), NK_EPROTO);
    make(&b, "", ",,", "", "", false);
    assert_int_equal(negotiate(&b, &c), NK_EPROTO);
    make(&b, "curve 25519", "ssh-ed25519", "aes128-ctr", MACS, false);
    assert_int_equal(negotiate(&b, &c), NK_EPROTO);
    nk_buf_clear(&b);
}

/* What we send is what we would read; cut anywhere, it is refused. */
static void test_kexinit(void **state)
{
    struct ssh_proposal p;
    struct ssh_kexinit k;
    struct nk_diag diag = {0};
    struct nk_buf b;
    (void)state;
    ssh_proposal_init(&p);
    nk_buf_init(&b, KEXINIT_MAX);
    for (int first = 0; first <= 1; first++) {
        nk_buf_reset(&b);
        assert_int_equal(ssh_kexinit_put(&p, first, &b), 0);
        for (size_t n = 0; n < nk_buf_len(&b); n++) {
            assert_int_equal(ssh_kexinit_parse((struct ssh_str){nk_buf_ptr(&b), n}, &k, &diag),
                             NK_EPROTO);
        }
        assert_int_equal(
            ssh_kexinit_parse((struct ssh_str){nk_buf_ptr(&b), nk_buf_len(&b)}, &k, &diag), 0);
        assert_false(k.follows);
        const struct ssh_str mark = {(const uint8_t *)SSH_STRICT_CLIENT, strlen(SSH_STRICT_CLIENT)};
        assert_int_equal(ssh_names_have(k.list[SSH_FIELD_KEX], mark), first);
        assert_true(ssh_str_is(k.list[SSH_FIELD_COMPRESSION_IN], "none"));
        assert_int_equal(k.list[SSH_FIELD_LANGUAGE_OUT].n, 0);
    }
    nk_buf_clear(&b);
}

int nk_test_ssh_algo(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults), cmocka_unit_test(test_edit),
        cmocka_unit_test(test_guard),    cmocka_unit_test(test_negotiate),
        cmocka_unit_test(test_kexinit),
    };
    return cmocka_run_group_tests_name("ssh/algo", tests, NULL, NULL);
}
