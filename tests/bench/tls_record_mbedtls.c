/* SPDX-License-Identifier: MIT */
/* TLS record rates: of netkit's own records (tls/ssl_data.h) in a connection of its mbedTLS, or
 * (NK_STOCK) of mbedTLS as upstream ships it. */
#include <mbedtls/pk.h>
#include <mbedtls/ecp.h>
#include <mbedtls/ssl.h>
#include <mbedtls/x509_crt.h>
#include <psa/crypto.h>
#include <sodium.h>

#include "tls_record.h"
#ifndef NK_STOCK
#include "tls/ssl_data.h"
#endif

struct session {
    struct pipe up, down;
    mbedtls_ssl_context client, server;
#ifndef NK_STOCK
    struct tls_park park;
    struct tls_park_pool pool;
    unsigned char out[BLOCK_MAX + TLS_DATA_ADDED], in[BLOCK_MAX + TLS_DATA_ADDED];
#endif
};

static int bench_random(void *ctx, unsigned char *out, size_t len)
{
    (void)ctx;
    randombytes_buf(out, len);
    return 0;
}

#ifdef NK_STOCK
psa_status_t mbedtls_psa_external_get_random(mbedtls_psa_external_random_context_t *ctx,
                                             uint8_t *output, size_t output_size,
                                             size_t *output_length)
{
    (void)ctx;
    randombytes_buf(output, output_size);
    *output_length = output_size;
    return PSA_SUCCESS;
}
#endif

static int to_pipe(void *ctx, const unsigned char *data, size_t len)
{
    size_t n = pipe_put(ctx, data, len);
    return n ? (int)n : MBEDTLS_ERR_SSL_WANT_WRITE;
}

static int from_pipe(void *ctx, unsigned char *data, size_t len)
{
    size_t n = pipe_get(ctx, data, len);
    return n ? (int)n : MBEDTLS_ERR_SSL_WANT_READ;
}

/* The two ends write to one pipe and read from the other. */
static int client_send(void *ctx, const unsigned char *data, size_t len)
{
    return to_pipe(&((struct session *)ctx)->up, data, len);
}

static int client_recv(void *ctx, unsigned char *data, size_t len)
{
    return from_pipe(&((struct session *)ctx)->down, data, len);
}

static int server_send(void *ctx, const unsigned char *data, size_t len)
{
    return to_pipe(&((struct session *)ctx)->down, data, len);
}

static int server_recv(void *ctx, unsigned char *data, size_t len)
{
    return from_pipe(&((struct session *)ctx)->up, data, len);
}

static void self_signed(mbedtls_x509_crt *crt, mbedtls_pk_context *key)
{
    mbedtls_x509write_cert w;
    unsigned char der[2048], serial = 1;
    int rc = mbedtls_pk_setup(key, mbedtls_pk_info_from_type(MBEDTLS_PK_ECKEY));
    rc =
        rc ? rc
           : mbedtls_ecp_gen_key(MBEDTLS_ECP_DP_SECP256R1, mbedtls_pk_ec(*key), bench_random, NULL);
    mbedtls_x509write_crt_init(&w);
    mbedtls_x509write_crt_set_subject_key(&w, key);
    mbedtls_x509write_crt_set_issuer_key(&w, key);
    mbedtls_x509write_crt_set_md_alg(&w, MBEDTLS_MD_SHA256);
    mbedtls_x509write_crt_set_version(&w, MBEDTLS_X509_CRT_VERSION_3);
    rc = rc ? rc : mbedtls_x509write_crt_set_subject_name(&w, "CN=bench");
    rc = rc ? rc : mbedtls_x509write_crt_set_issuer_name(&w, "CN=bench");
    rc = rc ? rc : mbedtls_x509write_crt_set_serial_raw(&w, &serial, 1);
    rc = rc ? rc : mbedtls_x509write_crt_set_validity(&w, "20200101000000", "20991231235959");
    if (rc != 0) {
        die("certificate", rc);
    }
    int n = mbedtls_x509write_crt_der(&w, der, sizeof(der), bench_random, NULL);
    if (n < 0 || mbedtls_x509_crt_parse_der(crt, der + sizeof(der) - n, (size_t)n) != 0) {
        die("certificate", n);
    }
    mbedtls_x509write_crt_free(&w);
}

static void configure(mbedtls_ssl_config *conf, int endpoint, const int *suites)
{
    int rc = mbedtls_ssl_config_defaults(conf, endpoint, MBEDTLS_SSL_TRANSPORT_STREAM,
                                         MBEDTLS_SSL_PRESET_DEFAULT);
    if (rc != 0) {
        die("configuration", rc);
    }
    mbedtls_ssl_conf_rng(conf, bench_random, NULL);
    mbedtls_ssl_conf_authmode(conf, MBEDTLS_SSL_VERIFY_NONE);
    mbedtls_ssl_conf_min_tls_version(conf, MBEDTLS_SSL_VERSION_TLS1_3);
    mbedtls_ssl_conf_ciphersuites(conf, suites);
}

static void handshake(struct session *s)
{
    while (!mbedtls_ssl_is_handshake_over(&s->client) ||
           !mbedtls_ssl_is_handshake_over(&s->server)) {
        int c = mbedtls_ssl_handshake(&s->client);
        int d = mbedtls_ssl_handshake(&s->server);
        if ((c && c != MBEDTLS_ERR_SSL_WANT_READ) || (d && d != MBEDTLS_ERR_SSL_WANT_READ)) {
            die("handshake", c ? c : d);
        }
    }
}

#ifdef NK_STOCK
static void prepare(struct session *s)
{
    (void)s;
}

static void send_block(void *session, const unsigned char *block, size_t len)
{
    static unsigned char got[BLOCK_MAX];
    struct session *s = session;
    int rc = mbedtls_ssl_write(&s->client, block, len);
    if (rc != (int)len) {
        die("write", rc);
    }
    for (size_t n = 0; n < len; n += (size_t)rc) {
        rc = mbedtls_ssl_read(&s->server, got, sizeof(got));
        if (rc <= 0) {
            die("read", rc);
        }
    }
}
#else
/* After the handshake the client has tickets to read, which it does not. */
static void prepare(struct session *s)
{
    if (!tls_data_usable(&s->client) || !tls_park(&s->server, &s->park, &s->pool)) {
        die("parking", 0);
    }
}

/* As the stream does it: sealed in the block that a write takes, opened from the one that a read
 * filled. */
static void send_block(void *session, const unsigned char *block, size_t len)
{
    static unsigned char got[BLOCK_MAX + 1];
    struct session *s = session;
    const struct iovec iov = {.iov_base = (void *)(uintptr_t)block, .iov_len = len};
    int rc = tls_data_seal(&s->client, s->out, &iov, 0, len);
    if (rc != 0 || pipe_put(&s->up, s->out, len + TLS_DATA_ADDED) != len + TLS_DATA_ADDED) {
        die("write", rc);
    }
    size_t n = pipe_get(&s->up, s->in, sizeof(s->in));
    rc = tls_data_open(&s->server, &s->park, s->in, n, got);
    if (rc != (int)len) {
        die("read", rc);
    }
}
#endif

static void run(const char *name, int suite)
{
    const int suites[] = {suite, 0};
    struct session *s = calloc(1, sizeof(*s));
    mbedtls_ssl_config cc, sc;
    mbedtls_x509_crt crt;
    mbedtls_pk_context key;
    if (!s) {
        die("memory", 0);
    }
    mbedtls_ssl_config_init(&cc);
    mbedtls_ssl_config_init(&sc);
    mbedtls_x509_crt_init(&crt);
    mbedtls_pk_init(&key);
    self_signed(&crt, &key);
    configure(&cc, MBEDTLS_SSL_IS_CLIENT, suites);
    configure(&sc, MBEDTLS_SSL_IS_SERVER, suites);
    mbedtls_ssl_init(&s->client);
    mbedtls_ssl_init(&s->server);
    int rc = mbedtls_ssl_conf_own_cert(&sc, &crt, &key);
    rc = rc ? rc : mbedtls_ssl_setup(&s->client, &cc);
    rc = rc ? rc : mbedtls_ssl_setup(&s->server, &sc);
    rc = rc ? rc : mbedtls_ssl_set_hostname(&s->client, NULL);
    if (rc != 0) {
        die("setup", rc);
    }
    mbedtls_ssl_set_bio(&s->client, s, client_send, client_recv, NULL);
    mbedtls_ssl_set_bio(&s->server, s, server_send, server_recv, NULL);
    handshake(s);
    prepare(s);
    measure(name, send_block, s);
}

int main(void)
{
    if (sodium_init() < 0 || psa_crypto_init() != PSA_SUCCESS) {
        return 70;
    }
    run("aes256gcm", MBEDTLS_TLS1_3_AES_256_GCM_SHA384);
    run("chacha20poly1305", MBEDTLS_TLS1_3_CHACHA20_POLY1305_SHA256);
    return 0;
}
