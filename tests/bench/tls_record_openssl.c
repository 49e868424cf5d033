/* SPDX-License-Identifier: MIT */
/* TLS record rates of the system's OpenSSL, measured as tls_record_mbedtls.c does. */
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "tls_record.h"

struct session {
    SSL *client, *server;
};

static void credentials(SSL_CTX *ctx)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *crt = X509_new();
    if (!key || !crt) {
        die("memory", 0);
    }
    ASN1_INTEGER_set(X509_get_serialNumber(crt), 1);
    X509_gmtime_adj(X509_getm_notBefore(crt), -3600);
    X509_gmtime_adj(X509_getm_notAfter(crt), 3600);
    X509_set_pubkey(crt, key);
    if (!X509_sign(crt, key, EVP_sha256()) || SSL_CTX_use_certificate(ctx, crt) != 1 ||
        SSL_CTX_use_PrivateKey(ctx, key) != 1) {
        die("certificate", 0);
    }
}

static void send_block(void *session, const unsigned char *block, size_t len)
{
    static unsigned char got[BLOCK_MAX];
    struct session *s = session;
    int rc = SSL_write(s->client, block, (int)len);
    if (rc != (int)len) {
        die("write", SSL_get_error(s->client, rc));
    }
    for (size_t n = 0; n < len; n += (size_t)rc) {
        rc = SSL_read(s->server, got, sizeof(got));
        if (rc <= 0) {
            die("read", SSL_get_error(s->server, rc));
        }
    }
}

static void run(const char *name, const char *suite)
{
    SSL_CTX *cc = SSL_CTX_new(TLS_client_method()), *sc = SSL_CTX_new(TLS_server_method());
    struct session s = {SSL_new(cc), NULL};
    BIO *a = NULL, *b = NULL;
    credentials(sc);
    SSL_free(s.client);
    if (SSL_CTX_set_ciphersuites(cc, suite) != 1 || SSL_CTX_set_ciphersuites(sc, suite) != 1) {
        die("suite", 0);
    }
    s.client = SSL_new(cc);
    s.server = SSL_new(sc);
    if (BIO_new_bio_pair(&a, PIPE_SIZE, &b, PIPE_SIZE) != 1) {
        die("memory", 0);
    }
    SSL_set_bio(s.client, a, a);
    SSL_set_bio(s.server, b, b);
    SSL_set_connect_state(s.client);
    SSL_set_accept_state(s.server);
    for (int i = 0; i < 8; i++) {
        SSL_do_handshake(s.client);
        SSL_do_handshake(s.server);
    }
    if (!SSL_is_init_finished(s.client) || !SSL_is_init_finished(s.server)) {
        die("handshake", 0);
    }
    measure(name, send_block, &s);
}

int main(void)
{
    run("aes256gcm", "TLS_AES_256_GCM_SHA384");
    run("chacha20poly1305", "TLS_CHACHA20_POLY1305_SHA256");
    return 0;
}
