/* SPDX-License-Identifier: MIT */
#include "ssh/key.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/codec.h"
#include "core/app.h"
#include "core/work_testkit.h"
#include "ssh/kdf.h"
#include "ssh/key_impl.h"
#include "ssh/key_testkit.h"
#include "ssh/sign.h"
#include "ssh/unlock.h"
#include "torture.h"

#define WRONG 1
#define LONG_PASSPHRASE                                                                            \
    "longer than a block longer than a block longer than a block longer than a block "

static struct nk_secret secret_of(const char *text)
{
    struct nk_secret s = {0};
    assert_int_equal(nk_secret_set(&s, text, strlen(text)), 0);
    return s;
}

/* Signs with every algorithm of the key's, and verifies. */
static int signs(const struct ssh_private *k)
{
    static const char data[] = "what is signed";
    struct nk_diag diag;
    int count = 0;
    for (const struct ssh_sig_type *t = ssh_sig_types; t->name; t++) {
        struct nk_buf out;
        if (strcmp(t->key, k->pub.type->name) != 0) {
            continue;
        }
        nk_buf_init(&out, 4096);
        int rc = ssh_private_sign(k, t, data, sizeof(data), &out, &diag);
        struct ssh_str signature = {nk_buf_ptr(&out), nk_buf_len(&out)};
        rc = rc < 0 ? rc : ssh_public_verify(&k->pub, t, signature, data, sizeof(data), &diag);
        if (rc == 0 &&
            ssh_public_verify(&k->pub, t, signature, data, sizeof(data) - 1, &diag) == 0) {
            rc = WRONG;
        }
        nk_buf_clear(&out);
        if (rc != 0) {
            return rc;
        }
        count++;
    }
    return count > 0 ? 0 : WRONG;
}

/* Written and read again it is the same key. */
static int rewrites(const struct ssh_private *k, const char *passphrase)
{
    struct nk_diag diag;
    struct nk_buf out;
    struct nk_secret pass = {0};
    struct ssh_sealed *sealed = NULL;
    struct ssh_private *back = NULL;
    nk_buf_init_secret(&out, SSH_KEY_FILE_MAX);
    int rc = passphrase ? nk_secret_set(&pass, passphrase, strlen(passphrase)) : 0;
    rc = rc < 0 ? rc : ssh_private_write(k, &pass, 1, &out);
    rc = rc < 0 ? rc : ssh_sealed_parse(nk_buf_ptr(&out), nk_buf_len(&out), &sealed, &diag);
    if (rc == 0 && (ssh_sealed_locked(sealed) != !!passphrase ||
                    strcmp(ssh_sealed_cipher(sealed), passphrase ? "aes256-ctr" : "none") != 0)) {
        rc = WRONG;
    }
    rc = rc != 0 ? rc : ssh_sealed_unlock(sealed, &pass, 0, &back, &diag);
    if (rc == 0 && (!nk_secret_eq(&back->secret, k->secret.data, k->secret.len) ||
                    strcmp(back->comment, k->comment) != 0)) {
        rc = WRONG;
    }
    ssh_private_unref(back);
    ssh_sealed_unref(sealed);
    nk_secret_clear(&pass);
    nk_buf_clear(&out);
    return rc;
}

static void one_form(const struct ssh_key_sample *s)
{
    struct nk_diag diag;
    struct ssh_sealed *sealed;
    struct ssh_private *k = NULL;
    struct nk_secret wrong = secret_of("Secret"), right = {0};
    assert_true(ssh_sealed_is(s->text, strlen(s->text)));
    assert_int_equal(ssh_sealed_parse(s->text, strlen(s->text), &sealed, &diag), 0);
    assert_string_equal(ssh_sealed_form(sealed), s->form);
    assert_int_equal(ssh_sealed_locked(sealed), s->passphrase != NULL);
    if (s->passphrase) {
        right = secret_of(s->passphrase);
        assert_int_equal(ssh_sealed_unlock(sealed, &wrong, 0, &k, &diag), NK_EAUTH);
        assert_string_equal(diag.text, "the passphrase is wrong");
        assert_int_equal(ssh_sealed_open(sealed, NULL, 0, &k, &diag), NK_EAUTH);
        assert_null(k);
    }
    assert_int_equal(ssh_sealed_unlock(sealed, &right, 0, &k, &diag), 0);
    assert_string_equal(k->pub.type->name, s->type);
    struct ssh_str blob = ssh_sealed_blob(sealed);
    if (blob.p) {
        assert_int_equal(blob.n, k->pub.blob.n);
        assert_memory_equal(blob.p, k->pub.blob.p, blob.n);
    }
    assert_int_equal(signs(k), 0);
    assert_int_equal(rewrites(k, NULL), 0);
    assert_int_equal(rewrites(k, "another one"), 0);
    nk_secret_clear(&wrong);
    nk_secret_clear(&right);
    ssh_private_unref(k);
    ssh_sealed_unref(sealed);
}

static void every_form(void **state)
{
    (void)state;
    for (const struct ssh_key_sample *s = ssh_key_samples; s->name; s++) {
        one_form(s);
    }
}

static void generated(void **state)
{
    (void)state;
    struct nk_diag diag;
    struct ssh_private *k = NULL;
    for (const struct ssh_key_type *t = ssh_key_types; t->name; t++) {
        if (t->sk || t->kind == SSH_KEY_RSA) {
            continue; /* RSA takes seconds under sanitizers */
        }
        assert_int_equal(ssh_private_generate(t, 0, "me@here", &k, &diag), 0);
        assert_ptr_equal(k->pub.type, t);
        assert_string_equal(k->comment, "me@here");
        assert_int_equal(signs(k), 0);
        assert_int_equal(rewrites(k, NULL), 0);
        ssh_private_unref(k);
    }
    const struct ssh_key_type *rsa = ssh_key_types;
    while (rsa->kind != SSH_KEY_RSA) {
        rsa++;
    }
    assert_int_equal(ssh_private_generate(rsa, 1024, "", &k, &diag), NK_EUSAGE);
    assert_int_equal(ssh_private_generate(rsa, 16384, "", &k, &diag), NK_EUSAGE);
}

/* --- what is refused -------------------------------------------------------------------------- */

static int parse_error(const char *text, const char *words)
{
    struct nk_diag diag;
    struct ssh_sealed *sealed;
    int rc = ssh_sealed_parse(text, strlen(text), &sealed, &diag);
    assert_true(rc < 0);
    assert_non_null(strstr(diag.text, words));
    return rc;
}

static void refused(void **state)
{
    (void)state;
    assert_int_equal(parse_error("", "no private key"), NK_EFORMAT);
    assert_int_equal(parse_error("ssh-ed25519 AAAA", "no private key"), NK_EFORMAT);
    assert_int_equal(parse_error("-----BEGIN PRIVATE KEY-----\nAAAA\n", "not all"), NK_EFORMAT);
    assert_int_equal(
        parse_error("-----BEGIN PRIVATE KEY-----\nA*A\n-----END PRIVATE KEY-----", "base64"),
        NK_EFORMAT);
    assert_int_equal(
        parse_error("-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----", "malformed"),
        NK_EFORMAT);
    assert_int_equal(parse_error("PuTTY-User-Key-File-3: ssh-ed25519\n", "PuTTY"), NK_EFORMAT);
    assert_int_equal(parse_error("PuTTY-User-Key-File-1: ssh-rsa\n", "version"), NK_EUNSUPPORTED);
    assert_int_equal(
        parse_error("-----BEGIN DSA PRIVATE KEY-----\nAAAA\n-----END DSA PRIVATE KEY-----", "DSA"),
        NK_EUNSUPPORTED);
    assert_int_equal(parse_error("-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n"
                                 "DEK-Info: DES-EDE3-CBC,0011223344556677\n\nAAAA\n"
                                 "-----END RSA PRIVATE KEY-----",
                                 "DES-EDE3-CBC"),
                     NK_EUNSUPPORTED);
    assert_int_equal(parse_error("-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n"
                                 "DEK-Info: AES-128-CBC,0011\n\nAAAA\n"
                                 "-----END RSA PRIVATE KEY-----",
                                 "malformed"),
                     NK_EFORMAT);
    char *large = malloc(SSH_KEY_FILE_MAX + 2);
    assert_non_null(large);
    memset(large, ' ', SSH_KEY_FILE_MAX + 1);
    large[SSH_KEY_FILE_MAX + 1] = 0;
    assert_int_equal(parse_error(large, "larger"), NK_ETOOBIG);
    free(large);
}

static void small_rsa(void **state)
{
    (void)state;
    const struct ssh_key_sample *s = ssh_key_samples;
    struct nk_diag diag;
    struct ssh_sealed *sealed;
    struct ssh_private *k = NULL;
    struct nk_secret pass = secret_of("secret");
    while (strcmp(s->type, "ssh-rsa") != 0) {
        s++;
    }
    assert_int_equal(ssh_sealed_parse(s->text, strlen(s->text), &sealed, &diag), 0);
    assert_int_equal(ssh_sealed_unlock(sealed, &pass, 3072, &k, &diag), NK_EAUTH);
    assert_non_null(strstr(diag.text, "2048 bits"));
    nk_secret_clear(&pass);
    ssh_sealed_unref(sealed);
}

/* Whatever is changed in a file that is not encrypted, or cut off it, is found. */
static void every_byte(void **state)
{
    (void)state;
    static const char begin[] = "-----BEGIN OPENSSH PRIVATE KEY-----\n";
    static const char end[] = "\n-----END OPENSSH PRIVATE KEY-----\n";
    struct ssh_private *k = ssh_key_sample_open("plain");
    struct nk_buf out;
    struct nk_diag diag;
    char text[2048], base64[1024];
    uint8_t bin[512];
    assert_non_null(k);
    const char *body = ssh_key_samples[0].text + sizeof(begin) - 1;
    size_t n = 0;
    for (; *body != '-'; body++) {
        if (*body != '\n') {
            base64[n++] = *body;
        }
    }
    ssize_t size = nk_base64_decode(bin, sizeof(bin), base64, n);
    assert_true(size > 0);
    for (ssize_t i = 0; i < size; i++) {
        struct ssh_sealed *sealed = NULL;
        struct ssh_private *back = NULL;
        bin[i] ^= 0x41;
        nk_base64_encode(base64, bin, (size_t)size, true);
        snprintf(text, sizeof(text), "%s%s%s", begin, base64, end);
        int rc = ssh_sealed_parse(text, strlen(text), &sealed, &diag);
        rc = rc < 0 ? rc : ssh_sealed_open(sealed, NULL, 0, &back, &diag);
        /* the comment is anybody's */
        assert_true(rc < 0 || nk_secret_eq(&back->secret, k->secret.data, k->secret.len));
        ssh_private_unref(back);
        ssh_sealed_unref(sealed);
        bin[i] ^= 0x41;
        nk_base64_encode(base64, bin, (size_t)i, true);
        snprintf(text, sizeof(text), "%s%s%s", begin, base64, end);
        sealed = NULL;
        rc = ssh_sealed_parse(text, strlen(text), &sealed, &diag);
        rc = rc < 0 ? rc : ssh_sealed_open(sealed, NULL, 0, &back, &diag);
        assert_true(rc < 0);
        ssh_sealed_unref(sealed);
    }
    nk_buf_init(&out, 4096);
    const struct ssh_sig_type *rsa = &ssh_sig_types[0];
    while (strcmp(rsa->key, "ssh-rsa") != 0) {
        rsa++;
    }
    assert_int_equal(ssh_private_sign(k, rsa, "", 0, &out, &diag), NK_EINTERNAL);
    nk_buf_clear(&out);
    ssh_private_unref(k);
}

/* --- keys of passphrases ---------------------------------------------------------------------- */

static void assert_kdf(const struct ssh_kdf *kdf, const char *pass, const char *hex)
{
    uint8_t key[SSH_KDF_KEY_MAX];
    char got[NK_HEX_SIZE(SSH_KDF_KEY_MAX)];
    size_t n = strlen(hex) / 2;
    assert_int_equal(ssh_kdf(kdf, pass, strlen(pass), key, n), 0);
    nk_hex_encode(got, key, n);
    assert_string_equal(got, hex);
}

static void kdfs(void **state)
{
    (void)state;
    struct ssh_kdf k = {.kind = SSH_KDF_BCRYPT, .rounds = 4, .salt_n = 4, .salt = "salt"};
    /* OpenBSD's regress/lib/libutil/bcrypt_pbkdf */
    assert_kdf(&k, "password", "5bbf0cc293587f1c3635555c27796598d47e579071bf427e9d8fbe842aba34d9");
    /* RFC 7914 11 */
    k.kind = SSH_KDF_PBKDF2;
    k.prf = SSH_PRF_SHA256;
    k.rounds = 1;
    assert_kdf(&k, "passwd",
               "55ac046e56e3089fec1691c22544b605f94185216dde0465e68b9d57c20dacbc"
               "49ca9cccf179b645991664b39d77ef317c71b845b1e30bd509112041d3a19783");
    k.prf = SSH_PRF_SHA512;
    k.rounds = 2;
    assert_kdf(&k, "password", "e1d9c16aa681708a45f5c7c4e215ceb66e011a2e9f0040713f18aefdb866d53c");
    /* RFC 6070 2 */
    k.prf = SSH_PRF_SHA1;
    assert_kdf(&k, "password", "ea6c014dc72d6f8ccd1ed92ace1d41f0d8de8957");
    assert_kdf(&k, LONG_PASSPHRASE,
               "7d6ae3dcd9e9046f6796ce21d289803cd27cad44c1cbab693058632f75491d7b");
    k.kind = SSH_KDF_NONE;
    uint8_t key[1];
    assert_int_equal(ssh_kdf(&k, "", 0, key, sizeof(key)), NK_EUNSUPPORTED);
}

/* --- choosing --------------------------------------------------------------------------------- */

static void choice(void **state)
{
    (void)state;
    struct ssh_private *k = ssh_key_sample_open("pkcs1 encrypted");
    static const char only256[] = "ssh-ed25519,rsa-sha2-256,rsa-sha2-512-cert-v01@openssh.com";
    struct ssh_str offered = {(const uint8_t *)only256, sizeof(only256) - 1};
    assert_non_null(k);
    const struct ssh_key_type *rsa = k->pub.type;
    assert_string_equal(ssh_sig_choose(rsa, false, (struct ssh_str){0})->name, "rsa-sha2-512");
    assert_string_equal(ssh_sig_choose(rsa, false, offered)->name, "rsa-sha2-256");
    assert_string_equal(ssh_sig_choose(rsa, true, offered)->name, "rsa-sha2-512");
    assert_null(ssh_sig_choose(&ssh_key_types[1], false, offered));
    ssh_private_unref(k);
}

/* --- in the work pool ------------------------------------------------------------------------- */

struct waiting {
    int calls, rc;
    struct ssh_private *key;
    struct nk_buf signature;
    bool ended;
};

static void on_unlock(void *owner, int rc, struct ssh_private *k, const struct nk_diag *diag)
{
    struct waiting *w = owner;
    assert_true((rc < 0) == (diag != NULL));
    w->calls++;
    w->rc = rc;
    w->key = k;
}

static void on_sign(void *owner, int rc, struct ssh_str signature, const struct nk_diag *diag)
{
    struct waiting *w = owner;
    assert_true((rc < 0) == (diag != NULL));
    w->calls++;
    w->rc = rc;
    assert_int_equal(nk_buf_put(&w->signature, signature.p, signature.n), 0);
}

static void in_the_pool(void **state)
{
    (void)state;
    const struct nk_app_conf conf = {0};
    struct nk_app *app;
    struct nk_diag diag;
    struct waiting w = {0};
    struct ssh_sealed *sealed;
    struct ssh_unlock *unlock;
    struct ssh_sign *sign;
    struct nk_secret right = secret_of("secret"), wrong = secret_of("x");
    const struct ssh_key_sample *s = &ssh_key_samples[1];
    nk_buf_init(&w.signature, 4096);
    assert_int_equal(nk_app_new(&app, &conf, &diag), 0);
    assert_int_equal(ssh_sealed_parse(s->text, strlen(s->text), &sealed, &diag), 0);
    assert_int_equal(ssh_unlock_start(app, sealed, &wrong, 0, on_unlock, &w, &unlock), 0);
    assert_int_equal(w.calls, 0);
    assert_int_equal(nk_app_run(app), 0);
    assert_int_equal(w.calls, 1);
    assert_int_equal(w.rc, NK_EAUTH);
    assert_int_equal(ssh_unlock_start(app, sealed, &right, 0, on_unlock, &w, &unlock), 0);
    ssh_unlock_cancel(unlock); /* what it may have opened by then goes away */
    nk_kit_work_settle(app, NK_LANE_CRYPTO);
    assert_int_equal(w.calls, 1);
    assert_int_equal(ssh_unlock_start(app, sealed, &right, 0, on_unlock, &w, &unlock), 0);
    ssh_sealed_unref(sealed);
    assert_int_equal(nk_app_run(app), 0);
    assert_int_equal(w.calls, 2);
    assert_int_equal(w.rc, 0);
    const struct ssh_sig_type *alg = ssh_sig_choose(w.key->pub.type, false, (struct ssh_str){0});
    assert_int_equal(ssh_sign_start(app, w.key, alg, "abc", 3, on_sign, &w, &sign), 0);
    ssh_sign_cancel(sign);
    assert_int_equal(nk_app_run(app), 0);
    assert_int_equal(w.calls, 2);
    assert_int_equal(ssh_sign_start(app, w.key, alg, "abc", 3, on_sign, &w, &sign), 0);
    assert_int_equal(nk_app_run(app), 0);
    assert_int_equal(w.calls, 3);
    struct ssh_str signature = {nk_buf_ptr(&w.signature), nk_buf_len(&w.signature)};
    assert_int_equal(ssh_public_verify(&w.key->pub, alg, signature, "abc", 3, &diag), 0);
    ssh_private_unref(w.key);
    nk_buf_clear(&w.signature);
    nk_secret_clear(&right);
    nk_secret_clear(&wrong);
    nk_app_free(app);
}

/* --- memory ----------------------------------------------------------------------------------- */

static int torture_one(void *arg)
{
    const struct ssh_key_sample *s = arg;
    struct nk_diag diag;
    struct nk_secret pass = {0};
    struct ssh_sealed *sealed = NULL;
    struct ssh_private *k = NULL;
    int rc = ssh_sealed_parse(s->text, strlen(s->text), &sealed, &diag);
    rc = rc < 0 || !s->passphrase ? rc : nk_secret_set(&pass, s->passphrase, strlen(s->passphrase));
    rc = rc < 0 ? rc : ssh_sealed_unlock(sealed, &pass, 0, &k, &diag);
    rc = rc < 0 ? rc : signs(k);
    rc = rc != 0 ? rc : rewrites(k, NULL);
    ssh_private_unref(k);
    ssh_sealed_unref(sealed);
    nk_secret_clear(&pass);
    return rc;
}

static void torture(void **state)
{
    (void)state;
    for (const struct ssh_key_sample *s = ssh_key_samples; s->name; s++) {
        struct ssh_key_sample copy = *s;
        if (strcmp(s->type, "ssh-ed25519") == 0) {
            nk_torture(torture_one, &copy);
        } else if (s->passphrase) { /* mbedTLS allocates for each number */
            nk_torture_sparse(torture_one, &copy, 9999);
        }
    }
}

/* PuTTY's form: every line is covered by its MAC, or refused. */
static void ppk_changed(void **state)
{
    (void)state;
    const struct ssh_key_sample *s = ssh_key_samples;
    while (strcmp(s->name, "ppk 3") != 0) {
        s++;
    }
    size_t n = strlen(s->text);
    for (size_t i = 0; i < 2 * n; i++) {
        char *text = strdup(s->text);
        struct ssh_sealed *sealed = NULL;
        struct ssh_private *k = NULL;
        struct nk_diag diag;
        assert_non_null(text);
        size_t at = i % n;
        if (i < n) { /* another character */
            text[at] = text[at] == 'A' ? 'B' : 'A';
        }
        int rc = ssh_sealed_parse(text, i < n ? n : at, &sealed, &diag);
        rc = rc < 0 ? rc : ssh_sealed_unlock(sealed, NULL, 0, &k, &diag);
        /* what may be: the end of the last line; a digit in the other case */
        bool fine = at + 3 > n || (i < n && (s->text[at] == 'a' || s->text[at] == '\r'));
        assert_true(rc < 0 || fine);
        ssh_private_unref(k);
        ssh_sealed_unref(sealed);
        free(text);
    }
}

static void ppk_limits(void **state)
{
    static const char *const bad[] = {"Argon2-Memory: 4",          "Argon2-Memory: 99999999",
                                      "Argon2-Passes: 0",          "Argon2-Passes: 999999999",
                                      "Argon2-Parallelism: 2",     "Key-Derivation: Argon2i",
                                      "Argon2-Memory: 99999999999"};
    (void)state;
    const struct ssh_key_sample *s = ssh_key_samples;
    while (strcmp(s->name, "ppk 3 encrypted") != 0) {
        s++;
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        char text[2048];
        size_t name = strcspn(bad[i], ":");
        char word[32];
        struct ssh_sealed *sealed;
        struct nk_diag diag;
        (void)snprintf(word, sizeof(word), "%.*s:", (int)name, bad[i]);
        const char *line = strstr(s->text, word);
        assert_non_null(line);
        (void)snprintf(text, sizeof(text), "%.*s%s%s", (int)(line - s->text), s->text, bad[i],
                       line + strcspn(line, "\r\n"));
        assert_true(ssh_sealed_parse(text, strlen(text), &sealed, &diag) < 0);
    }
}

/* RFC 8017 has RSA signatures as long as the modulus; some leave out zero bytes at the beginning,
 * as this one has, and no other bytes may be missing. */
static void short_signature(void **state)
{
    struct ssh_private *k = ssh_key_sample_open("pkcs1 encrypted");
    const struct ssh_sig_type *alg;
    struct nk_buf sig, cut;
    struct nk_diag diag;
    struct nk_cur c;
    (void)state;
    assert_non_null(k);
    nk_buf_init(&sig, 4096);
    nk_buf_init(&cut, 4096);
    alg = ssh_sig_choose(k->pub.type, false, (struct ssh_str){0});
    assert_string_equal(alg->name, "rsa-sha2-512");
    assert_int_equal(ssh_private_sign(k, alg, "message 6", 9, &sig, &diag), 0);
    nk_cur_init(&c, nk_buf_ptr(&sig), nk_buf_len(&sig));
    struct ssh_str name = ssh_cur_string(&c), bytes = ssh_cur_string(&c);
    assert_true(nk_cur_done(&c) && bytes.n == 256 && bytes.p[0] == 0 && bytes.p[1] != 0);
    for (size_t missing = 0; missing < 3; missing++) {
        nk_buf_reset(&cut);
        assert_int_equal(ssh_put_string(&cut, name.p, name.n), 0);
        assert_int_equal(ssh_put_string(&cut, bytes.p + missing, bytes.n - missing), 0);
        const struct ssh_str s = {nk_buf_ptr(&cut), nk_buf_len(&cut)};
        assert_int_equal(ssh_public_verify(&k->pub, alg, s, "message 6", 9, &diag),
                         missing < 2 ? 0 : NK_EAUTH);
    }
    nk_buf_clear(&sig);
    nk_buf_clear(&cut);
    ssh_private_unref(k);
}

/* How long a file may make us work is bounded, and looked at before that begins. */
static void rounds(void **state)
{
    static const struct {
        uint32_t rounds;
        int rc;
    } cases[] = {{0, NK_EFORMAT},
                 {SSH_ROUNDS_MAX, 0},
                 {SSH_ROUNDS_MAX + 1, NK_EUNSUPPORTED},
                 {UINT32_MAX, NK_EUNSUPPORTED}};
    struct nk_buf blob, options, out;
    (void)state;
    nk_buf_init(&blob, SSH_BLOB_MAX);
    nk_buf_init(&options, SSH_BLOB_MAX);
    nk_buf_init(&out, SSH_KEY_FILE_MAX);
    assert_int_equal(ssh_put_text(&blob, "ssh-ed25519"), 0);
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct nk_diag diag = {0};
        struct ssh_sealed *sealed = NULL;
        nk_buf_reset(&options);
        nk_buf_reset(&out);
        assert_int_equal(ssh_put_text(&options, "0123456789abcdef"), 0);
        assert_int_equal(nk_buf_be32(&options, cases[i].rounds), 0);
        const struct nk_openssh_file f = {
            .cipher = {(const uint8_t *)"aes256-ctr", 10},
            .kdf = {(const uint8_t *)"bcrypt", 6},
            .kdf_options = {nk_buf_ptr(&options), nk_buf_len(&options)},
            .public_blob = {nk_buf_ptr(&blob), nk_buf_len(&blob)},
            .inner = {(const uint8_t *)"0123456789abcdef", 16}};
        assert_int_equal(nk_openssh_write_file(&f, &out), 0);
        assert_int_equal(ssh_sealed_parse(nk_buf_ptr(&out), nk_buf_len(&out), &sealed, &diag),
                         cases[i].rc);
        assert_true(cases[i].rc != NK_EUNSUPPORTED || strstr(diag.text, "rounds"));
        ssh_sealed_unref(sealed);
    }
    nk_buf_clear(&blob);
    nk_buf_clear(&options);
    nk_buf_clear(&out);
}

/* A key that is in a token: said so, with what to do. */
static void token(void **state)
{
    struct nk_buf blob, out;
    struct nk_diag diag;
    struct ssh_sealed *sealed;
    (void)state;
    nk_buf_init(&blob, SSH_BLOB_MAX);
    nk_buf_init(&out, SSH_KEY_FILE_MAX);
    assert_int_equal(ssh_put_text(&blob, "sk-ssh-ed25519@openssh.com"), 0);
    const struct nk_openssh_str none = {(const uint8_t *)"none", 4};
    const struct nk_openssh_file f = {.cipher = none,
                                      .kdf = none,
                                      .public_blob = {nk_buf_ptr(&blob), nk_buf_len(&blob)},
                                      .inner = {(const uint8_t *)"12345678", 8}};
    assert_int_equal(nk_openssh_write_file(&f, &out), 0);
    assert_int_equal(ssh_sealed_parse(nk_buf_ptr(&out), nk_buf_len(&out), &sealed, &diag),
                     NK_EUNSUPPORTED);
    assert_non_null(strstr(diag.text, "FIDO"));
    assert_non_null(strstr(diag.hint, "ssh-add"));
    nk_buf_clear(&blob);
    nk_buf_clear(&out);
}

int nk_test_ssh_key(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kdfs),
        cmocka_unit_test(every_form),
        cmocka_unit_test(generated),
        cmocka_unit_test(refused),
        cmocka_unit_test(small_rsa),
        cmocka_unit_test(rounds),
        cmocka_unit_test(short_signature),
        cmocka_unit_test(every_byte),
        cmocka_unit_test(choice),
        cmocka_unit_test(in_the_pool),
        cmocka_unit_test(torture),
        cmocka_unit_test(ppk_changed),
        cmocka_unit_test(ppk_limits),
        cmocka_unit_test(token),
    };
    return cmocka_run_group_tests_name("ssh/key", tests, NULL, NULL);
}
