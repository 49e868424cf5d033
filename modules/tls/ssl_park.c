/* SPDX-License-Identifier: MIT */
/* Works inside mbedTLS's connection object: see ssl_park.h for why. */
#define MBEDTLS_ALLOW_PRIVATE_ACCESS

#include "tls/ssl_park.h"

#include <errno.h>
#include <mbedtls/platform.h>
#include <ssl_misc.h>
#include <string.h>

#include "base/secret.h"

static void take_spare(struct tls_park_pool *pool, unsigned char **in, unsigned char **out)
{
    if (pool->n > 0) {
        pool->n--;
        *in = pool->in[pool->n];
        *out = pool->out[pool->n];
        return;
    }
    *in = mbedtls_calloc(1, MBEDTLS_SSL_IN_BUFFER_LEN);
    *out = mbedtls_calloc(1, MBEDTLS_SSL_OUT_BUFFER_LEN);
}

static void give_spare(struct tls_park_pool *pool, unsigned char *in, unsigned char *out)
{
    nk_wipe(in, MBEDTLS_SSL_IN_BUFFER_LEN);
    nk_wipe(out, MBEDTLS_SSL_OUT_BUFFER_LEN);
    if (pool->n < TLS_PARK_POOL) {
        pool->in[pool->n] = in;
        pool->out[pool->n] = out;
        pool->n++;
        return;
    }
    mbedtls_free(in);
    mbedtls_free(out);
}

/* What mbedtls_ssl_setup does beyond its allocations is what a reset does. */
int tls_park_setup(mbedtls_ssl_context *ssl, const mbedtls_ssl_config *conf,
                   struct tls_park_pool *pool)
{
    if (pool->n == 0) {
        return mbedtls_ssl_setup(ssl, conf);
    }
    ssl->conf = conf;
    take_spare(pool, &ssl->in_buf, &ssl->out_buf);
    return mbedtls_ssl_session_reset(ssl);
}

void tls_park_pool_clear(struct tls_park_pool *pool)
{
    while (pool->n > 0) {
        pool->n--;
        mbedtls_free(pool->in[pool->n]);
        mbedtls_free(pool->out[pool->n]);
    }
}

/* Nothing in the buffers is still needed: no record half read, delivered half or half sent. */
static bool quiescent(mbedtls_ssl_context *ssl)
{
    return ssl->state == MBEDTLS_SSL_HANDSHAKE_OVER && ssl->in_buf && ssl->out_buf &&
           ssl->in_left == 0 && ssl->out_left == 0 && ssl->in_offt == NULL &&
           ssl->keep_current_message == 0 && mbedtls_ssl_check_pending(ssl) == 0 &&
           mbedtls_ssl_get_in_hsfraglen(ssl) == 0 && ssl->in_hdr == ssl->in_buf + TLS_SEQUENCE_LEN;
}

bool tls_park(mbedtls_ssl_context *ssl, struct tls_park *state, struct tls_park_pool *pool)
{
    if (state->parked) {
        return true;
    }
    if (!quiescent(ssl)) {
        return false;
    }
    /* the message that was read last is done with; without its bytes nothing may look for it */
    ssl->in_hslen = 0;
    ssl->in_msglen = 0;
    memcpy(state->in_ctr, ssl->in_ctr, sizeof(state->in_ctr));
    give_spare(pool, ssl->in_buf, ssl->out_buf);
    ssl->in_buf = NULL;
    ssl->out_buf = NULL;
    state->parked = true;
    return true;
}

int tls_unpark(mbedtls_ssl_context *ssl, struct tls_park *state, struct tls_park_pool *pool)
{
    unsigned char *in, *out;
    if (!state->parked) {
        return 0;
    }
    take_spare(pool, &in, &out);
    if (!in || !out) {
        mbedtls_free(in);
        mbedtls_free(out);
        return -ENOMEM;
    }
    ssl->in_buf = in;
    ssl->out_buf = out;
    mbedtls_ssl_reset_in_pointers(ssl);
    mbedtls_ssl_reset_out_pointers(ssl);
    mbedtls_ssl_update_out_pointers(ssl, ssl->transform_out);
    memcpy(ssl->in_ctr, state->in_ctr, sizeof(state->in_ctr));
    state->parked = false;
    return 0;
}

void tls_drop_handshake(mbedtls_ssl_context *ssl)
{
    if (ssl->state != MBEDTLS_SSL_HANDSHAKE_OVER || !ssl->handshake ||
        mbedtls_ssl_get_version_number(ssl) != MBEDTLS_SSL_VERSION_TLS1_3) {
        return;
    }
    mbedtls_ssl_handshake_free(ssl);
    mbedtls_free(ssl->handshake);
    ssl->handshake = NULL;
    /* mbedtls_ssl_free looks for TLS 1.2's unused transform only while there is a handshake */
    mbedtls_ssl_transform_free(ssl->transform_negotiate);
    mbedtls_free(ssl->transform_negotiate);
    ssl->transform_negotiate = NULL;
}

bool tls_skip_ticket(mbedtls_ssl_context *ssl)
{
    if (ssl->handshake || ssl->state != MBEDTLS_SSL_TLS1_3_NEW_SESSION_TICKET) {
        return false;
    }
    ssl->keep_current_message = 0;
    ssl->state = MBEDTLS_SSL_HANDSHAKE_OVER;
    return true;
}
