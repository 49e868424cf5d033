/* SPDX-License-Identifier: MIT */
/*
 * Public keys, signatures and certificates that OpenSSH made (ssh-keygen 9.2: -Y sign, -s), and
 * everything that can be wrong with them.
 */
#include "ssh/pubkey.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <sodium.h>

#include "base/buf.h"
#include "torture.h"

int nk_test_ssh_pubkey(void);

enum { BYTES = 2048, VALID = 2000000000, KEYS = 5, ED25519 = 0, P256 = 1, RSA = 4 };

struct vector {
    const char *alg, *key, *signature, *sha256, *md5;
};

/* clang-format off */
static const struct vector vectors[KEYS] = {
    {"ssh-ed25519",
     "AAAAC3NzaC1lZDI1NTE5AAAAIJiNVpMcqJWDWyoFeX+FlvbETV97bJ/g24MFOzcx251Y",
     "AAAAC3NzaC1lZDI1NTE5AAAAQBqRy3xCr3DjDFszckump3fSR+0NdNfuiuXR9sB/0WE1WeA/7Tk17oIL"
     "BWnkzpQ4rohD7FmFx3JXOWFJLkfDbQg=",
     "SHA256:ZEsFc7Mv+l8BfgAVldotXuJ3oZ+9Bpup4fws+ZZuReM",
     "MD5:9f:26:69:e6:7b:d7:04:aa:01:a6:71:de:0a:e1:3a:dd"},
    {"ecdsa-sha2-nistp256",
     "AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBJOPPS0XLaF9HDm6Qa7LMTWXj+O9"
     "Ruh/TVSyeeksjxNrgiXeXI5p+DxEPZyVw41c8hG2+EsnnBQvzhQT9kvbbMw=",
     "AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAABJAAAAIQCnjuKeoJQBVacqVv9fKRWuoOxMUqJiu52w7oeu"
     "fBzJDgAAACAAg2FzIZBJtjHVc0m5i+Klws30i9EwY8pQ1t4KZPIxPg==",
     "SHA256:Moapq1r5QIqCDK1bXUpWX/AcZRfqsh/4+rNpQarN/F0",
     "MD5:3d:15:a0:06:eb:f6:7f:e1:53:20:df:3c:91:f3:c9:d7"},
    {"ecdsa-sha2-nistp384",
     "AAAAE2VjZHNhLXNoYTItbmlzdHAzODQAAAAIbmlzdHAzODQAAABhBF/RcSMORStFbrMhhD7xoxl+VnKA"
     "UsvN8RoZ2STJ6Hl5C0a1wbCgdXsMwNamHcFgDZ+OQpC/S+56fi3DJtC4YOhYNfRW+KDg6WsJ/OVu27Ad"
     "68YjLFmgtviKLnJIUdSc3g==",
     "AAAAE2VjZHNhLXNoYTItbmlzdHAzODQAAABoAAAAMDglHGDB/RHe7klSEkRTmLWG5ahCSqbroe0PrTn+"
     "ax6WXz5EUwfCvR0/llFAAKCjXgAAADBbHRoPuW9g1d36TzPjYuWgN4SFOOIs+XPdbhrEDG7yl2S1hP2W"
     "jrLqI6rZN21uuXc=",
     "SHA256:UhY/FoXYVt8UElhQjIWGj8qmWNO7oALd+O/ShhV/eVw",
     "MD5:34:40:93:ea:00:e3:03:9a:34:ba:42:c4:ad:f0:11:f2"},
    {"ecdsa-sha2-nistp521",
     "AAAAE2VjZHNhLXNoYTItbmlzdHA1MjEAAAAIbmlzdHA1MjEAAACFBAFUwXUl/x1EOTmwQxb0fYLWfuqZ"
     "FqKWOxiX/FC5xKZCXwm/RvaMeEJ4EaUbSAsBcYdccvXaVwxC/ZeyVcig0hHG9gCOOwmVZkwxRRlpKrD2"
     "5JB4s4GvEIQGkWI50y8hUrA+xn3lsiXUoDmB2+nUwi4450HMM7fczYvZk1gY8Ai/BCZg9g==",
     "AAAAE2VjZHNhLXNoYTItbmlzdHA1MjEAAACMAAAAQgDFGHcDJG2niPKd6xbe855y//+ZiVYalWEkstGE"
     "8JfHuC+86OUO00pKotbZlZzYGp3kYPVjKstxMei8E2nggiviXQAAAEIAkYthpBoFxB1T841zcNbQk4Ea"
     "MCjlk3KAaRpA7v/iDQ839XiulB1jAZfAjM5qIyEzfi/+R7bcCg1l8dYYAOdMeZQ=",
     "SHA256:cPQpoAdhzUhv6yGRe1FpbRxx0x7pf02YuecySyGRuQs",
     "MD5:c2:83:4a:4c:5d:13:75:d8:25:97:38:29:9f:71:00:54"},
    {"rsa-sha2-512",
     "AAAAB3NzaC1yc2EAAAADAQABAAABAQDGzEjzb3IMqbRUPWuAjWRQp/A40QxJjhPVLJtsZwVbnD5SvJq8"
     "DK1CqF8UmAbz45s4EcT6fRe058k+5rKJUtdevg+JrbL1w1RWQOAwe5U4dgvsM3dsl1a61wRrerF2KLmg"
     "7LFquR2BPQu2w8ONKtMDWpQN29aQ450aHy7zKyv1SD6WhhMN5ZuAYfZxw5scBZd2ITZ4fb0udML6wHbn"
     "bFt79wA7ULpGh/ORhbc5GoR7veL0oIbcsNisPemzZ2nzK0VvDWLl6vAzooam88JASHT6SMkKASkSscu0"
     "TeCnm9d3FHCQeQoLHMnC/YJcT+gYeTJgq6sk2mBegiizrJTLARyT",
     "AAAADHJzYS1zaGEyLTUxMgAAAQANqtcYoUgVVYIsOxy5MsMQ9UnqTe+oTFlaNJT1fZ91z8a8386YKPRM"
     "YisMHOy1UGw9tz5EBnryRSxRlARnkWzmK3laHCFbsNAOZtwD59gfmWIXRqiQPm/La/RsQLUnoYTLiEru"
     "XJjFmIdDrYX2WSp4ZW7anh0Qi8v7JEpuUwkVmM1PW9DhwpvtHv36vJ4QIq4SYP7piiUusQ8lUhqo4/B+"
     "OHmVkLJhcU4OF/XFFk6jCosAYusDdQFF+QCd8Zzs1D/hwKSf/MRV/xLLjOhowG8oLU7aY5nKDIfvjdPw"
     "KVtf4WGAyRKoCuc0RiaDOCq1F/2p8B1U9AdKHg8ZrS21iVtc",
     "SHA256:sezgxoqwjANOUZtvZqyGFTZ0Anlfg3pXSj0z+gM48FQ",
     "MD5:3a:be:04:fd:20:3d:62:5e:a5:cd:bb:b8:ec:61:12:ef"},
};

/* of the nistp256 key, signed by the Ed25519 key: -h -n 'h.example,*.h.example' -z 7 */
static const char host_cert[] =
     "AAAAKGVjZHNhLXNoYTItbmlzdHAyNTYtY2VydC12MDFAb3BlbnNzaC5jb20AAAAg3+xGj1WpD549sa5G"
     "fHUiA1tA+OPNQZ8LNNryxVQuNUIAAAAIbmlzdHAyNTYAAABBBJOPPS0XLaF9HDm6Qa7LMTWXj+O9Ruh/"
     "TVSyeeksjxNrgiXeXI5p+DxEPZyVw41c8hG2+EsnnBQvzhQT9kvbbMwAAAAAAAAABwAAAAIAAAAFaG9z"
     "dDEAAAAcAAAACWguZXhhbXBsZQAAAAsqLmguZXhhbXBsZQAAAABeC+EAAAAAAIOqfoAAAAAAAAAAAAAA"
     "AAAAAAAzAAAAC3NzaC1lZDI1NTE5AAAAIJiNVpMcqJWDWyoFeX+FlvbETV97bJ/g24MFOzcx251YAAAA"
     "UwAAAAtzc2gtZWQyNTUxOQAAAEB/RqA+Ndd3Pdi1PGg6fVAvwVyhvSY/tTsTEVf4X0UoUGRaBUwThc0Y"
     "bWbTq8v/Sa0piiIQK3fN0KSGN44N74IB";

/* of the Ed25519 key, signed by the RSA key: -n alice -O force-command=ls */
static const char user_cert[] =
     "AAAAIHNzaC1lZDI1NTE5LWNlcnQtdjAxQG9wZW5zc2guY29tAAAAIDnFGXKNPMhyOEwiaGpx31i/h2+P"
     "3armwNAw1FyUtzBqAAAAIJiNVpMcqJWDWyoFeX+FlvbETV97bJ/g24MFOzcx251YAAAAAAAAAAAAAAAB"
     "AAAABXVzZXIxAAAACQAAAAVhbGljZQAAAABeC+EAAAAAAIOqfoAAAAAbAAAADWZvcmNlLWNvbW1hbmQA"
     "AAAGAAAAAmxzAAAAggAAABVwZXJtaXQtWDExLWZvcndhcmRpbmcAAAAAAAAAF3Blcm1pdC1hZ2VudC1m"
     "b3J3YXJkaW5nAAAAAAAAABZwZXJtaXQtcG9ydC1mb3J3YXJkaW5nAAAAAAAAAApwZXJtaXQtcHR5AAAA"
     "AAAAAA5wZXJtaXQtdXNlci1yYwAAAAAAAAAAAAABFwAAAAdzc2gtcnNhAAAAAwEAAQAAAQEAxsxI829y"
     "DKm0VD1rgI1kUKfwONEMSY4T1SybbGcFW5w+UryavAytQqhfFJgG8+ObOBHE+n0XtOfJPuayiVLXXr4P"
     "ia2y9cNUVkDgMHuVOHYL7DN3bJdWutcEa3qxdii5oOyxarkdgT0LtsPDjSrTA1qUDdvWkOOdGh8u8ysr"
     "9Ug+loYTDeWbgGH2ccObHAWXdiE2eH29LnTC+sB252xbe/cAO1C6RofzkYW3ORqEe73i9KCG3LDYrD3p"
     "s2dp8ytFbw1i5erwM6KGpvPCQEh0+kjJCgEpErHLtE3gp5vXdxRwkHkKCxzJwv2CXE/oGHkyYKurJNpg"
     "XoIos6yUywEckwAAARQAAAAMcnNhLXNoYTItNTEyAAABABnjaYtN4K2efVteEGhFuBagZ49EzaFCboYW"
     "simqSQxjWEi4fb4HYMHnAYCnyZifmH6s3x7eQN22nRznTNuVDetwSJBksmyrWNGIBJ9njjD4zXRr4MKL"
     "E5cxlOaEDd5oR/Xn8qu2N7P8Si7wSipwXuslZ+oShcgKeVtV4uHnTBjtqqoN8abSUahbM341SPLkz9v5"
     "cnYa/u1SGqlhHu7QK3vH1auCIVSC8LdF+NCk91cOv97U0/7Fqpz3ziE7ncmyjyGHrxFL/anfINdF2uuR"
     "GYTM/H3d5LbEfxj1PcKtSFUpcTKNaC8hlj8Zq0+KlO7x48W5cMnF/vhkd3KYN8tdGVA=";
/* clang-format on */

struct bytes {
    uint8_t p[BYTES];
    size_t n;
};

static struct ssh_str decode(const char *base64, struct bytes *b)
{
    assert_int_equal(sodium_base642bin(b->p, sizeof(b->p), base64, strlen(base64), NULL, &b->n,
                                       NULL, sodium_base64_VARIANT_ORIGINAL),
                     0);
    return (struct ssh_str){b->p, b->n};
}

static void parse(const char *base64, struct bytes *b, struct ssh_public *k)
{
    struct nk_diag diag = {0};
    assert_int_equal(ssh_public_parse(decode(base64, b), 0, k, &diag), 0);
}

/* What ssh-keygen -Y sign signs (PROTOCOL.sshsig). */
static void signed_message(struct nk_buf *b)
{
    static const char text[] = "data of netkit";
    uint8_t hash[crypto_hash_sha512_BYTES];
    nk_buf_init(b, 1024);
    crypto_hash_sha512(hash, (const uint8_t *)text, strlen(text));
    assert_int_equal(nk_buf_puts(b, "SSHSIG"), 0);
    assert_int_equal(ssh_put_text(b, "test"), 0);
    assert_int_equal(ssh_put_text(b, ""), 0);
    assert_int_equal(ssh_put_text(b, "sha512"), 0);
    assert_int_equal(ssh_put_string(b, hash, sizeof(hash)), 0);
}

static const struct ssh_sig_type *alg_of(const char *name)
{
    bool cert;
    const struct ssh_sig_type *alg =
        ssh_sig_find((struct ssh_str){(const uint8_t *)name, strlen(name)}, &cert);
    assert_true(alg && !cert);
    return alg;
}

static void test_signatures(void **state)
{
    struct nk_buf m;
    (void)state;
    signed_message(&m);
    for (size_t i = 0; i < KEYS; i++) {
        struct bytes key, sig;
        struct ssh_public k;
        struct nk_diag diag = {0};
        parse(vectors[i].key, &key, &k);
        struct ssh_str s = decode(vectors[i].signature, &sig);
        for (size_t j = 0; j < KEYS; j++) { /* by the algorithm that made it, and no other */
            int rc = ssh_public_verify(&k, alg_of(vectors[j].alg), s, nk_buf_ptr(&m),
                                       nk_buf_len(&m), &diag);
            assert_int_equal(rc, i == j ? 0 : NK_EAUTH);
        }
        const struct ssh_sig_type *alg = alg_of(vectors[i].alg);
        assert_int_equal(ssh_public_verify(&k, alg, s, nk_buf_ptr(&m), nk_buf_len(&m) - 1, &diag),
                         NK_EAUTH);
        for (size_t at = 0; at < s.n; at++) {
            sig.p[at] ^= 1;
            assert_int_equal(ssh_public_verify(&k, alg, s, nk_buf_ptr(&m), nk_buf_len(&m), &diag),
                             NK_EAUTH);
            sig.p[at] ^= 1;
            struct ssh_str cut = {s.p, at};
            assert_int_equal(ssh_public_verify(&k, alg, cut, nk_buf_ptr(&m), nk_buf_len(&m), &diag),
                             NK_EAUTH);
        }
    }
    nk_buf_clear(&m);
}

/* What had no memory to be looked at is not wrong. */
static int verify_once(void *arg)
{
    const size_t *i = arg;
    struct bytes key, sig;
    struct ssh_public k;
    nk_torture_pause();
    parse(vectors[*i].key, &key, &k);
    struct ssh_str s = decode(vectors[*i].signature, &sig);
    struct nk_buf m;
    signed_message(&m);
    nk_torture_resume();
    int rc =
        ssh_public_verify(&k, alg_of(vectors[*i].alg), s, nk_buf_ptr(&m), nk_buf_len(&m), NULL);
    nk_buf_clear(&m);
    return rc;
}

static void test_torture(void **state)
{
    (void)state;
    for (size_t i = P256; i <= RSA; i++) {
        nk_torture_sparse(verify_once, &i, i == RSA ? 1 : 499);
    }
}

static void test_fingerprints(void **state)
{
    (void)state;
    for (size_t i = 0; i < KEYS; i++) {
        struct bytes key;
        char text[SSH_FINGERPRINT_SIZE];
        struct ssh_str blob = decode(vectors[i].key, &key);
        ssh_fingerprint_sha256(blob, text);
        assert_string_equal(text, vectors[i].sha256);
        ssh_fingerprint_md5(blob, text);
        assert_string_equal(text, vectors[i].md5);
    }
}

/* Cut anywhere, or with a byte too many, nothing is a key. */
static void test_malformed(void **state)
{
    struct nk_diag diag = {0};
    struct ssh_public k;
    struct bytes b;
    (void)state;
    for (size_t i = 0; i < KEYS + 2; i++) {
        struct ssh_str blob = decode(i < KEYS    ? vectors[i].key
                                     : i == KEYS ? host_cert
                                                 : user_cert,
                                     &b);
        for (size_t n = 0; n <= blob.n + 1; n++) {
            int rc = ssh_public_parse((struct ssh_str){blob.p, n}, 0, &k, &diag);
            assert_true(n == blob.n ? rc == 0 : rc < 0);
        }
    }
    decode(vectors[ED25519].key, &b);
    b.p[5] = 'x';
    assert_int_equal(ssh_public_parse((struct ssh_str){b.p, b.n}, 0, &k, &diag), NK_EUNSUPPORTED);
    decode(vectors[P256].key, &b);
    b.p[b.n - 65] = 2; /* a compressed point's mark */
    assert_int_equal(ssh_public_parse((struct ssh_str){b.p, b.n}, 0, &k, &diag), NK_EFORMAT);
}

static void test_rsa_size(void **state)
{
    struct nk_diag diag = {0};
    struct ssh_public k;
    struct bytes b;
    (void)state;
    struct ssh_str blob = decode(vectors[RSA].key, &b);
    assert_int_equal(ssh_public_parse(blob, 2048, &k, &diag), 0);
    assert_int_equal(ssh_public_parse(blob, 3072, &k, &diag), NK_EAUTH);
    assert_non_null(strstr(diag.text, "2048 bits"));
    /* too large for mbedTLS, which an agent may sign with all the same: not checked, and not wrong
     */
    static const uint8_t e[] = {1, 0, 1};
    uint8_t n[SSH_RSA_VERIFY_MAX / 8 + 1] = {1, [SSH_RSA_VERIFY_MAX / 8] = 1};
    struct nk_buf large, sig;
    nk_buf_init(&large, BYTES);
    nk_buf_init(&sig, BYTES);
    assert_int_equal(ssh_put_text(&large, "ssh-rsa"), 0);
    assert_int_equal(ssh_put_mpint(&large, e, sizeof(e)), 0);
    assert_int_equal(ssh_put_mpint(&large, n, sizeof(n)), 0);
    assert_int_equal(ssh_put_text(&sig, "rsa-sha2-512"), 0);
    assert_int_equal(ssh_put_string(&sig, n, sizeof(n)), 0);
    blob = (struct ssh_str){nk_buf_ptr(&large), nk_buf_len(&large)};
    assert_int_equal(ssh_public_parse(blob, 0, &k, &diag), 0);
    blob = (struct ssh_str){nk_buf_ptr(&sig), nk_buf_len(&sig)};
    assert_int_equal(ssh_public_verify(&k, alg_of("rsa-sha2-512"), blob, "x", 1, &diag),
                     NK_EUNSUPPORTED);
    nk_buf_clear(&large);
    nk_buf_clear(&sig);
}

static void test_host_cert(void **state)
{
    struct nk_diag diag = {0};
    struct ssh_public k;
    struct ssh_str name;
    struct bytes b, ca;
    (void)state;
    parse(host_cert, &b, &k);
    assert_true(k.is_cert && k.cert.serial == 7 && ssh_str_is(k.cert.id, "host1"));
    struct ssh_str rest = k.cert.principals;
    assert_true(ssh_cert_principal(&rest, &name) && ssh_str_is(name, "h.example"));
    assert_true(ssh_cert_principal(&rest, &name) && ssh_str_is(name, "*.h.example"));
    assert_false(ssh_cert_principal(&rest, &name));
    struct ssh_str authority = decode(vectors[ED25519].key, &ca);
    assert_true(authority.n == k.cert.ca.n && memcmp(authority.p, k.cert.ca.p, ca.n) == 0);
    assert_int_equal(ssh_cert_check(&k, SSH_CERT_HOST, VALID, NULL, 0, &diag), 0);
    assert_int_equal(ssh_cert_check(&k, SSH_CERT_USER, VALID, NULL, 0, &diag), NK_EAUTH);
    assert_int_equal(ssh_cert_check(&k, SSH_CERT_HOST, k.cert.after, NULL, 0, &diag), 0);
    assert_int_equal(ssh_cert_check(&k, SSH_CERT_HOST, k.cert.after - 1, NULL, 0, &diag), NK_EAUTH);
    assert_int_equal(ssh_cert_check(&k, SSH_CERT_HOST, k.cert.before, NULL, 0, &diag), NK_EAUTH);
    for (size_t at = 0; at < b.n; at++) { /* changed anywhere it is refused */
        b.p[at] ^= 1;
        struct ssh_public other;
        int rc = ssh_public_parse((struct ssh_str){b.p, b.n}, 0, &other, &diag);
        rc = rc < 0 ? rc : ssh_cert_check(&other, SSH_CERT_HOST, VALID, NULL, 0, &diag);
        assert_true(rc < 0);
        b.p[at] ^= 1;
    }
}

/* Who may not have signed: a certificate; anybody, with SHA-1; and nobody, by a certificate's name.
 */
static void test_authorities(void **state)
{
    static const char *const algs[] = {"ssh-rsa", "ssh-ed25519-cert-v01@openssh.com", "", "none"};
    struct nk_diag diag = {0};
    struct ssh_public k;
    struct bytes b, other;
    struct nk_buf sig;
    (void)state;
    nk_buf_init(&sig, BYTES);
    parse(host_cert, &b, &k);
    k.cert.ca = decode(host_cert, &other);
    assert_int_equal(ssh_cert_check(&k, SSH_CERT_HOST, VALID, NULL, 0, &diag), NK_EAUTH);
    assert_non_null(strstr(diag.text, "authority is no key"));
    for (size_t i = 0; i < sizeof(algs) / sizeof(*algs); i++) {
        parse(host_cert, &b, &k);
        nk_buf_reset(&sig);
        assert_int_equal(ssh_put_text(&sig, algs[i]), 0);
        assert_int_equal(ssh_put_string(&sig, other.p, 256), 0);
        k.cert.signature = (struct ssh_str){nk_buf_ptr(&sig), nk_buf_len(&sig)};
        assert_int_equal(ssh_cert_check(&k, SSH_CERT_HOST, VALID, NULL, 0, &diag), NK_EAUTH);
        assert_non_null(strstr(diag.text, "an algorithm that is not supported"));
    }
    nk_buf_clear(&sig);
}

static void test_user_cert(void **state)
{
    static const char *const known[] = {"source-address", "force-command", NULL};
    struct nk_diag diag = {0};
    struct ssh_public k;
    struct bytes b;
    (void)state;
    parse(user_cert, &b, &k);
    assert_int_equal(ssh_cert_check(&k, SSH_CERT_USER, VALID, known, 0, &diag), 0);
    assert_int_equal(ssh_cert_check(&k, SSH_CERT_USER, VALID, NULL, 0, &diag), NK_EAUTH);
    assert_non_null(strstr(diag.text, "force-command"));
    assert_int_equal(ssh_cert_check(&k, SSH_CERT_USER, VALID, known, 3072, &diag), NK_EAUTH);
    parse(vectors[ED25519].key, &b, &k);
    assert_int_equal(ssh_cert_check(&k, SSH_CERT_USER, VALID, known, 0, &diag), NK_EAUTH);
}

/* A token's signature, made here: PROTOCOL.u2f says what is signed. */
static void test_token(void **state)
{
    static const char app[] = "ssh:", data[] = "hello", type[] = "sk-ssh-ed25519@openssh.com";
    uint8_t pk[crypto_sign_PUBLICKEYBYTES], sk[crypto_sign_SECRETKEYBYTES];
    uint8_t message[32 + 5 + 32] = {0}, raw[crypto_sign_BYTES];
    struct nk_buf blob, sig;
    struct nk_diag diag = {0};
    struct ssh_public k;
    (void)state;
    crypto_sign_keypair(pk, sk);
    for (uint8_t flags = 0; flags < 2; flags++) {
        nk_buf_init(&blob, 256);
        nk_buf_init(&sig, 256);
        assert_int_equal(ssh_put_text(&blob, type), 0);
        assert_int_equal(ssh_put_string(&blob, pk, sizeof(pk)), 0);
        assert_int_equal(ssh_put_text(&blob, app), 0);
        crypto_hash_sha256(message, (const uint8_t *)app, strlen(app));
        message[32] = flags;
        message[36] = 9;
        crypto_hash_sha256(message + 37, (const uint8_t *)data, strlen(data));
        crypto_sign_detached(raw, NULL, message, sizeof(message), sk);
        assert_int_equal(ssh_put_text(&sig, type), 0);
        assert_int_equal(ssh_put_string(&sig, raw, sizeof(raw)), 0);
        assert_int_equal(nk_buf_put(&sig, message + 32, 5), 0);
        const struct ssh_str b = {nk_buf_ptr(&blob), nk_buf_len(&blob)};
        const struct ssh_str s = {nk_buf_ptr(&sig), nk_buf_len(&sig)};
        assert_int_equal(ssh_public_parse(b, 0, &k, &diag), 0);
        assert_int_equal(ssh_public_verify(&k, alg_of(type), s, data, strlen(data), &diag),
                         flags ? 0 : NK_EAUTH);
        nk_buf_ptr(&sig)[s.n - 1] ^= 1; /* the counter is signed */
        assert_int_equal(ssh_public_verify(&k, alg_of(type), s, data, strlen(data), &diag),
                         NK_EAUTH);
        nk_buf_clear(&blob);
        nk_buf_clear(&sig);
    }
}

int nk_test_ssh_pubkey(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_signatures),   cmocka_unit_test(test_torture),
        cmocka_unit_test(test_fingerprints), cmocka_unit_test(test_malformed),
        cmocka_unit_test(test_rsa_size),     cmocka_unit_test(test_host_cert),
        cmocka_unit_test(test_authorities),  cmocka_unit_test(test_user_cert),
        cmocka_unit_test(test_token),
    };
    return cmocka_run_group_tests_name("ssh/pubkey", tests, NULL, NULL);
}
