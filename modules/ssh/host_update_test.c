/* SPDX-License-Identifier: MIT */
#include "torture.h"

#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/file.h"
#include "ssh/host_update.h"

enum { KEYS = 4, CURRENT = 0, OLD = 1, NEW = 2, NEWER = 3, MAX = 16384 };

/* A server with its keys, and a client that knows some of them. */
struct fixture {
    char dir[32], file[64];
    const char *files[1];
    struct ssh_host_conf conf;
    struct nk_buf blob[KEYS];
    uint8_t secret[KEYS][crypto_sign_SECRETKEYBYTES];
    struct ssh_host_update *update;
    struct nk_buf offer, request, proof;
    struct nk_diag diag;
};

static const struct ssh_str session = {(const uint8_t *)"session", 7};

static struct ssh_str bytes(const struct nk_buf *b)
{
    return (struct ssh_str){nk_buf_ptr(b), nk_buf_len(b)};
}

static void make_key(struct fixture *f, int i)
{
    uint8_t public[crypto_sign_PUBLICKEYBYTES];
    crypto_sign_keypair(public, f->secret[i]);
    nk_buf_init(&f->blob[i], 100);
    assert_int_equal(ssh_put_text(&f->blob[i], "ssh-ed25519"), 0);
    assert_int_equal(ssh_put_string(&f->blob[i], public, sizeof(public)), 0);
}

static void know(struct fixture *f, const char *hosts, enum ssh_known_marker marker, int key)
{
    struct nk_buf line;
    nk_buf_init(&line, 1000);
    assert_int_equal(ssh_known_put(&line, marker, hosts, false, bytes(&f->blob[key]), NULL), 0);
    assert_int_equal(ssh_known_hosts_append(f->file, nk_buf_ptr(&line), nk_buf_len(&line), NULL),
                     0);
    nk_buf_clear(&line);
}

static void begin(struct fixture *f)
{
    *f = (struct fixture){.conf = {.host = "h.example", .port = 22}};
    strcpy(f->dir, "/tmp/nk-update-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    snprintf(f->file, sizeof(f->file), "%s/known_hosts", f->dir);
    f->files[0] = f->file;
    f->conf.user_files = f->files;
    f->conf.nuser = 1;
    nk_buf_init(&f->offer, MAX);
    nk_buf_init(&f->request, MAX);
    nk_buf_init(&f->proof, MAX);
    for (int i = 0; i < KEYS; i++) {
        make_key(f, i);
    }
    assert_int_equal(ssh_host_update_new(&f->update, &f->conf, bytes(&f->blob[CURRENT]), NULL), 0);
}

static void end(struct fixture *f)
{
    ssh_host_update_free(f->update);
    nk_buf_clear(&f->offer);
    nk_buf_clear(&f->request);
    nk_buf_clear(&f->proof);
    for (int i = 0; i < KEYS; i++) {
        nk_buf_clear(&f->blob[i]);
    }
    assert_int_equal(nk_remove_tree(f->dir), 0);
}

static void tell(struct fixture *f, int key)
{
    assert_int_equal(
        ssh_put_string(&f->offer, nk_buf_ptr(&f->blob[key]), nk_buf_len(&f->blob[key])), 0);
}

/* The server's answer to the request, each key signed with the private half of `by`. */
static void prove(struct fixture *f, int key, int by)
{
    uint8_t raw[crypto_sign_BYTES];
    struct nk_buf data, signature;
    nk_buf_init(&data, 1000);
    nk_buf_init(&signature, 1000);
    assert_int_equal(ssh_put_text(&data, SSH_HOSTKEYS_PROVE), 0);
    assert_int_equal(ssh_put_string(&data, session.p, session.n), 0);
    assert_int_equal(ssh_put_string(&data, nk_buf_ptr(&f->blob[key]), nk_buf_len(&f->blob[key])),
                     0);
    crypto_sign_detached(raw, NULL, nk_buf_ptr(&data), nk_buf_len(&data), f->secret[by]);
    assert_int_equal(ssh_put_text(&signature, "ssh-ed25519"), 0);
    assert_int_equal(ssh_put_string(&signature, raw, sizeof(raw)), 0);
    assert_int_equal(ssh_put_string(&f->proof, nk_buf_ptr(&signature), nk_buf_len(&signature)), 0);
    nk_buf_clear(&data);
    nk_buf_clear(&signature);
}

static int offer(struct fixture *f)
{
    return ssh_host_update_offer(f->update, bytes(&f->offer), &f->request, &f->diag);
}

static int proof(struct fixture *f)
{
    return ssh_host_update_proof(f->update, bytes(&f->proof), session, &f->diag);
}

/* Which of the keys the file has for the host, as bits. */
static unsigned known(const struct fixture *f)
{
    struct ssh_known_hosts k = {0};
    unsigned mask = 0;
    assert_int_equal(ssh_known_hosts_load(&k, "h.example", 22, f->files, 1, NULL, NULL), 0);
    for (size_t i = 0; i < k.n; i++) {
        for (int j = 0; j < KEYS; j++) {
            const struct ssh_str b = bytes(&f->blob[j]);
            mask |= b.n == k.v[i].n && memcmp(b.p, k.v[i].blob, b.n) == 0 ? 1u << j : 0;
        }
    }
    ssh_known_hosts_clear(&k);
    return mask;
}

static void test_rotation(void **state)
{
    struct fixture f;
    struct nk_cur c;
    (void)state;
    begin(&f);
    know(&f, "h.example", SSH_KNOWN_PLAIN, CURRENT);
    know(&f, "h.example", SSH_KNOWN_PLAIN, OLD);
    know(&f, "other", SSH_KNOWN_PLAIN, OLD);
    tell(&f, NEW);
    tell(&f, CURRENT);
    tell(&f, NEWER);
    tell(&f, NEW);
    assert_int_equal(offer(&f), 1);
    struct ssh_str r = bytes(&f.request);
    nk_cur_init(&c, r.p, r.n);
    struct ssh_str first = ssh_cur_string(&c), second = ssh_cur_string(&c);
    assert_true(nk_cur_done(&c));
    assert_memory_equal(first.p, nk_buf_ptr(&f.blob[NEW]), first.n);
    assert_memory_equal(second.p, nk_buf_ptr(&f.blob[NEWER]), second.n);
    assert_int_equal(ssh_host_update_write(f.update, &f.diag), NK_EINTERNAL);
    prove(&f, NEW, NEW);
    prove(&f, NEWER, NEWER);
    assert_int_equal(proof(&f), 0);
    assert_int_equal(ssh_host_update_added(f.update), 2);
    assert_int_equal(ssh_host_update_removed(f.update), 1);
    assert_true(ssh_host_update_write(f.update, &f.diag) > 0);
    assert_int_equal(known(&f), 1 << CURRENT | 1 << NEW | 1 << NEWER);
    struct ssh_known_hosts k = {0};
    assert_int_equal(ssh_known_hosts_load(&k, "other", 22, f.files, 1, NULL, NULL), 0);
    assert_int_equal(k.n, 1); /* another host's line stays */
    ssh_known_hosts_clear(&k);
    assert_int_equal(offer(&f), 0);
    assert_int_equal(proof(&f), NK_EPROTO);
    assert_int_equal(ssh_host_update_write(f.update, &f.diag), NK_EINTERNAL);
    end(&f);
}

static void test_removal(void **state)
{
    struct fixture f;
    (void)state;
    begin(&f);
    know(&f, "h.example", SSH_KNOWN_PLAIN, CURRENT);
    know(&f, "h.example", SSH_KNOWN_PLAIN, OLD);
    tell(&f, CURRENT);
    assert_int_equal(offer(&f), 2);
    assert_int_equal(ssh_host_update_write(f.update, &f.diag), 1);
    assert_int_equal(known(&f), 1 << CURRENT);
    end(&f);
}

/* What the server still has stays, also a key that is too short to be used. */
static void test_useless_keys_stay(void **state)
{
    static const uint8_t e[] = {1, 0, 1};
    uint8_t n[128];
    struct fixture f;
    (void)state;
    begin(&f);
    memset(n, 0xff, sizeof(n));
    nk_buf_clear(&f.blob[OLD]);
    nk_buf_init(&f.blob[OLD], MAX);
    assert_int_equal(ssh_put_text(&f.blob[OLD], "ssh-rsa"), 0);
    assert_int_equal(ssh_put_mpint(&f.blob[OLD], e, sizeof(e)), 0);
    assert_int_equal(ssh_put_mpint(&f.blob[OLD], n, sizeof(n)), 0);
    know(&f, "h.example", SSH_KNOWN_PLAIN, CURRENT);
    know(&f, "h.example", SSH_KNOWN_PLAIN, OLD);
    tell(&f, CURRENT);
    tell(&f, OLD);
    tell(&f, NEW);
    assert_int_equal(offer(&f), 1);
    assert_int_equal(ssh_host_update_removed(f.update), 0);
    prove(&f, NEW, NEW);
    assert_int_equal(proof(&f), 0);
    assert_int_equal(ssh_host_update_write(f.update, &f.diag), 1);
    assert_int_equal(known(&f), 1u << CURRENT | 1u << OLD | 1u << NEW);
    end(&f);
}

/* No proof, somebody else's, one that is cut, or too much: nothing is learnt. */
static void test_bad_proofs(void **state)
{
    (void)state;
    for (int how = 0; how < 4; how++) {
        struct fixture f;
        begin(&f);
        know(&f, "h.example", SSH_KNOWN_PLAIN, CURRENT);
        tell(&f, CURRENT);
        tell(&f, NEW);
        assert_int_equal(offer(&f), 1);
        prove(&f, NEW, how == 0 ? CURRENT : NEW);
        if (how == 1) {
            prove(&f, NEWER, NEWER);
        }
        f.proof.len -= how == 2;
        f.proof.len = how == 3 ? 0 : f.proof.len;
        assert_int_equal(proof(&f), how == 0 ? NK_EVERIFY : NK_EPROTO);
        assert_int_equal(ssh_host_update_write(f.update, &f.diag), NK_EINTERNAL);
        assert_int_equal(known(&f), 1 << CURRENT);
        end(&f);
    }
}

/* Where known_hosts is not for the server to change. */
static void test_not_ours(void **state)
{
    static const char *const pins[] = {"00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00"};
    (void)state;
    for (int how = 0; how < 7; how++) {
        struct fixture f;
        begin(&f);
        if (how != 0 && how != 1 && how != 4) {
            know(&f, "h.example", SSH_KNOWN_PLAIN, CURRENT);
        }
        if (how == 1) {
            know(&f, "h.example,10.0.0.1", SSH_KNOWN_PLAIN, CURRENT);
        } else if (how == 2) {
            know(&f, "*.example", SSH_KNOWN_CA, NEWER);
        } else if (how == 3) {
            know(&f, "h.*", SSH_KNOWN_PLAIN, OLD);
        } else if (how == 4) {
            f.conf.port = 2222;
            know(&f, "h.example", SSH_KNOWN_PLAIN, CURRENT);
            ssh_host_update_free(f.update);
            assert_int_equal(ssh_host_update_new(&f.update, &f.conf, bytes(&f.blob[CURRENT]), NULL),
                             0);
        } else if (how == 6) {
            f.conf.pins = pins;
            f.conf.npins = 1;
            ssh_host_update_free(f.update);
            assert_int_equal(ssh_host_update_new(&f.update, &f.conf, bytes(&f.blob[CURRENT]), NULL),
                             0);
        }
        if (how != 5) { /* 5: the key of this connection is not told */
            tell(&f, CURRENT);
        }
        tell(&f, NEW);
        assert_int_equal(offer(&f), 0);
        assert_int_equal(nk_buf_len(&f.request), 0);
        end(&f);
    }
}

static void test_revoked(void **state)
{
    struct fixture f;
    (void)state;
    begin(&f);
    know(&f, "h.example", SSH_KNOWN_PLAIN, CURRENT);
    know(&f, "*", SSH_KNOWN_REVOKED, NEW);
    tell(&f, CURRENT);
    tell(&f, NEW);
    assert_int_equal(offer(&f), 0);
    end(&f);
}

static void test_malformed(void **state)
{
    struct fixture f;
    (void)state;
    begin(&f);
    know(&f, "h.example", SSH_KNOWN_PLAIN, CURRENT);
    tell(&f, CURRENT);
    assert_int_equal(nk_buf_u8(&f.offer, 1), 0);
    assert_int_equal(offer(&f), NK_EPROTO);
    end(&f);
}

static int whole_once(void *arg)
{
    struct fixture *f = arg;
    struct ssh_host_update *u = NULL;
    struct nk_buf request;
    nk_buf_init(&request, MAX);
    int rc = ssh_host_update_new(&u, &f->conf, bytes(&f->blob[CURRENT]), NULL);
    rc = rc < 0 ? rc : ssh_host_update_offer(u, bytes(&f->offer), &request, NULL);
    rc = rc == 1 ? ssh_host_update_proof(u, bytes(&f->proof), session, NULL) : rc;
    /* the same again next time */
    if (rc == 0 && ssh_host_update_added(u) != 1) {
        rc = 1;
    }
    ssh_host_update_free(u);
    nk_buf_clear(&request);
    return rc;
}

static void test_memory(void **state)
{
    struct fixture f;
    (void)state;
    begin(&f);
    know(&f, "h.example", SSH_KNOWN_PLAIN, CURRENT);
    tell(&f, CURRENT);
    tell(&f, NEW);
    prove(&f, NEW, NEW);
    assert_true(nk_torture(whole_once, &f) > 6);
    end(&f);
}

int nk_test_ssh_host_update(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rotation),          cmocka_unit_test(test_removal),
        cmocka_unit_test(test_useless_keys_stay), cmocka_unit_test(test_bad_proofs),
        cmocka_unit_test(test_not_ours),          cmocka_unit_test(test_revoked),
        cmocka_unit_test(test_malformed),         cmocka_unit_test(test_memory),
    };
    return cmocka_run_group_tests_name("ssh/host_update", tests, NULL, NULL);
}
