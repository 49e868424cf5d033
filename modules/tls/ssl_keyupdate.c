/* SPDX-License-Identifier: MIT */
/* Works inside mbedTLS's connection object: see ssl_keyupdate.h for why. */
#define MBEDTLS_ALLOW_PRIVATE_ACCESS

#include "tls/ssl_keyupdate.h"

#include <mbedtls/psa_util.h>
#include <ssl_misc.h>
#include <ssl_tls13_keys.h>
#include <string.h>

#include "base/secret.h"

enum {
    HS_KEY_UPDATE = 24, /* RFC 8446 §4: HandshakeType key_update */
    HS_HEADER = 4,      /* type and 24-bit length */
    KEY_UPDATE_LEN = HS_HEADER + 1,
    UPDATE_NOT_REQUESTED = 0, /* RFC 8446 §4.6.3: KeyUpdateRequest */
    UPDATE_REQUESTED = 1,
    FORCE_FLUSH = 1
};

void tls_keyupdate_count_in(struct tls_keyupdate *k, size_t n)
{
    k->in_bytes += n;
    k->burst = 0;
}

void tls_keyupdate_count_out(struct tls_keyupdate *k, size_t n)
{
    k->out_bytes += n;
}

static bool is_tls13(const mbedtls_ssl_context *ssl)
{
    return ssl->state == MBEDTLS_SSL_HANDSHAKE_OVER && ssl->session &&
           mbedtls_ssl_get_version_number(ssl) == MBEDTLS_SSL_VERSION_TLS1_3;
}

/* The traffic secret of one direction as the session keeps it. */
static unsigned char *traffic_secret(mbedtls_ssl_context *ssl, bool sending)
{
    bool client = ssl->conf->endpoint == MBEDTLS_SSL_IS_CLIENT;
    mbedtls_ssl_tls13_application_secrets *s = &ssl->session->app_secrets;
    return client == sending ? s->client_application_traffic_secret_N
                             : s->server_application_traffic_secret_N;
}

/* Puts key and IV of a traffic secret into one direction of the transform in use. */
static int set_keys(mbedtls_ssl_context *ssl, bool sending, const mbedtls_ssl_key_set *keys)
{
    mbedtls_ssl_transform *t = sending ? ssl->transform_out : ssl->transform_in;
    int rc = mbedtls_cipher_setkey(sending ? &t->cipher_ctx_enc : &t->cipher_ctx_dec,
                                   keys->client_write_key, (int)keys->key_len * 8,
                                   sending ? MBEDTLS_ENCRYPT : MBEDTLS_DECRYPT);
    if (rc != 0) {
        return rc;
    }
    memcpy(sending ? t->iv_enc : t->iv_dec, keys->client_write_iv, keys->iv_len);
    if (sending) {
        memset(ssl->cur_out_ctr, 0, sizeof(ssl->cur_out_ctr));
    } else {
        memset(ssl->in_ctr, 0, MBEDTLS_SSL_SEQUENCE_NUMBER_LEN);
    }
    return 0;
}

/* RFC 8446 §7.2: secret_N+1 = HKDF-Expand-Label(secret_N, "traffic upd", "", Hash.length). */
static int next_keys(mbedtls_ssl_context *ssl, bool sending)
{
    const mbedtls_ssl_ciphersuite_t *suite =
        mbedtls_ssl_ciphersuite_from_id(ssl->session->ciphersuite);
    const mbedtls_cipher_info_t *cipher =
        suite ? mbedtls_cipher_info_from_type((mbedtls_cipher_type_t)suite->cipher) : NULL;
    unsigned char next[MBEDTLS_TLS1_3_MD_MAX_SIZE];
    unsigned char *secret = traffic_secret(ssl, sending);
    mbedtls_ssl_key_set keys;
    if (!cipher) {
        return MBEDTLS_ERR_SSL_INTERNAL_ERROR;
    }
    psa_algorithm_t hash = mbedtls_md_psa_alg_from_type((mbedtls_md_type_t)suite->mac);
    size_t len = PSA_HASH_LENGTH(hash);
    int rc = mbedtls_ssl_tls13_hkdf_expand_label(
        hash, secret, len, MBEDTLS_SSL_TLS1_3_LBL_WITH_LEN(traffic_upd), NULL, 0, next, len);
    if (rc == 0) {
        rc = mbedtls_ssl_tls13_make_traffic_keys(hash, next, next, len,
                                                 mbedtls_cipher_info_get_key_bitlen(cipher) / 8,
                                                 mbedtls_cipher_info_get_iv_size(cipher), &keys);
        if (rc == 0) {
            rc = set_keys(ssl, sending, &keys);
        }
        nk_wipe(&keys, sizeof(keys));
    }
    if (rc == 0) {
        memcpy(secret, next, len);
    }
    nk_wipe(next, sizeof(next));
    return rc;
}

/* Is the message at which mbedTLS gave up a KeyUpdate? */
static bool at_key_update(const mbedtls_ssl_context *ssl, int rc)
{
    return rc == MBEDTLS_ERR_SSL_UNEXPECTED_MESSAGE && is_tls13(ssl) && ssl->in_offt == NULL &&
           ssl->in_msgtype == MBEDTLS_SSL_MSG_HANDSHAKE && ssl->in_hslen >= HS_HEADER &&
           ssl->in_msglen >= HS_HEADER && ssl->in_msg[0] == HS_KEY_UPDATE;
}

int tls_keyupdate_take(mbedtls_ssl_context *ssl, struct tls_keyupdate *k, int rc)
{
    if (!at_key_update(ssl, rc)) {
        return rc;
    }
    if (++k->burst > TLS_KEYUPDATE_BURST) {
        return MBEDTLS_ERR_SSL_UNEXPECTED_MESSAGE;
    }
    /* RFC 8446 §5.1: handshake messages must not span key changes, so it ends its record. */
    if (ssl->in_hslen != KEY_UPDATE_LEN || ssl->in_msglen != KEY_UPDATE_LEN) {
        return MBEDTLS_ERR_SSL_DECODE_ERROR;
    }
    unsigned char request = ssl->in_msg[HS_HEADER];
    if (request != UPDATE_NOT_REQUESTED && request != UPDATE_REQUESTED) {
        return MBEDTLS_ERR_SSL_ILLEGAL_PARAMETER;
    }
    rc = next_keys(ssl, false);
    if (rc != 0) {
        return rc;
    }
    k->received++;
    k->in_bytes = 0;
    k->asked = false;
    k->answer = k->answer || request == UPDATE_REQUESTED; /* several requests need one answer */
    return 0;
}

bool tls_keyupdate_due(const mbedtls_ssl_context *ssl, const struct tls_keyupdate *k)
{
    if (!is_tls13(ssl)) {
        return false;
    }
    return k->answer ||
           (k->limit && (k->out_bytes >= k->limit || (k->in_bytes >= k->limit && !k->asked)));
}

int tls_keyupdate_send(mbedtls_ssl_context *ssl, struct tls_keyupdate *k, bool request)
{
    if (!is_tls13(ssl)) {
        return MBEDTLS_ERR_SSL_BAD_INPUT_DATA;
    }
    int rc = mbedtls_ssl_flush_output(ssl);
    if (rc != 0) {
        return rc;
    }
    request = request || (k->limit && k->in_bytes >= k->limit && !k->asked);
    ssl->out_msgtype = MBEDTLS_SSL_MSG_HANDSHAKE;
    ssl->out_msglen = KEY_UPDATE_LEN;
    ssl->out_msg[0] = HS_KEY_UPDATE;
    ssl->out_msg[1] = 0;
    ssl->out_msg[2] = 0;
    ssl->out_msg[3] = 1;
    ssl->out_msg[HS_HEADER] = request ? UPDATE_REQUESTED : UPDATE_NOT_REQUESTED;
    rc = mbedtls_ssl_write_record(ssl, FORCE_FLUSH);
    if (rc != 0 && rc != MBEDTLS_ERR_SSL_WANT_WRITE) {
        return rc;
    }
    /* The record is sealed with the old key, whether or not it has left mbedTLS's buffer. */
    rc = next_keys(ssl, true);
    if (rc != 0) {
        return rc;
    }
    k->sent++;
    k->out_bytes = 0;
    k->answer = false;
    k->asked = k->asked || request;
    return 0;
}
