/* SPDX-License-Identifier: MIT */
#include "relay/login.h"

#include <string.h>

/* CI of CPace: prefix-free fields - protocol, what the session id is, initiator, responder. The
 * kind of binding stands in it so that a login over a plain socket, whose nonce its peer chooses,
 * can never be passed on to a TLS connection with that exporter. */
#define CI_HEAD "\x14netkit-relay/1 login"
#define CI_ROLES                                                                                   \
    "\x08"                                                                                         \
    "endpoint\x05"                                                                                 \
    "relay"
#define CI_TLS                                                                                     \
    CI_HEAD "\x0c"                                                                                 \
            "tls-exporter" CI_ROLES
#define CI_PLAIN                                                                                   \
    CI_HEAD "\x05"                                                                                 \
            "nonce" CI_ROLES
#define AD_CLIENT "endpoint"
#define AD_RELAY "relay"
#define SIGNED_LABEL "netkit-relay/1 login"

bool relay_login_params_ok(const struct relay_stretch_params *p)
{
    return p->mem_kib >= RELAY_STRETCH_KIB_MIN && p->mem_kib <= RELAY_STRETCH_KIB_MAX &&
           p->passes >= RELAY_STRETCH_PASSES_MIN && p->passes <= RELAY_STRETCH_PASSES_MAX;
}

void relay_login_bind(struct relay_login_binding *b, const uint8_t *exporter,
                      const uint8_t nonce[RELAY_LOGIN_NONCE])
{
    b->tls = exporter != NULL;
    memcpy(b->id, exporter ? exporter : nonce, sizeof(b->id));
}

struct relay_cpace_inputs relay_login_inputs(const struct relay_login_binding *b,
                                             const uint8_t *prs)
{
    return (struct relay_cpace_inputs){
        .prs = {prs, RELAY_LOGIN_PRS},
        .ci = b->tls ? (struct relay_cpace_bytes){CI_TLS, sizeof(CI_TLS) - 1}
                     : (struct relay_cpace_bytes){CI_PLAIN, sizeof(CI_PLAIN) - 1},
        .sid = {b->id, sizeof(b->id)},
        .ad_a = {AD_CLIENT, sizeof(AD_CLIENT) - 1},
        .ad_b = {AD_RELAY, sizeof(AD_RELAY) - 1},
    };
}

size_t relay_login_signed(uint8_t out[RELAY_LOGIN_SIGNED_MAX], const struct relay_login_binding *b,
                          const uint8_t nonce[RELAY_LOGIN_NONCE], const char *identity, size_t len)
{
    size_t n = sizeof(SIGNED_LABEL); /* with its NUL: no label is the beginning of another */
    memcpy(out, SIGNED_LABEL, n);
    out[n++] = b->tls;
    memcpy(out + n, b->id, sizeof(b->id));
    n += sizeof(b->id);
    memcpy(out + n, nonce, RELAY_LOGIN_NONCE);
    n += RELAY_LOGIN_NONCE;
    len = len < RELAY_IDENTITY_MAX ? len : RELAY_IDENTITY_MAX;
    out[n++] = (uint8_t)len;
    if (len) {
        memcpy(out + n, identity, len);
    }
    return n + len;
}
