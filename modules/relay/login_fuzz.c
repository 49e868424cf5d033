/* SPDX-License-Identifier: MIT */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "relay/login_client.h"
#include "relay/login_server.h"

enum { CHALLENGE_BYTES = 3 };

static const uint8_t exporter[RELAY_LOGIN_EXPORTER] = "fuzz";

/* Messages: u8 length, u8 step, bytes. Nobody may be let in by them. */
static void fuzz_relay(const uint8_t *p, size_t n)
{
    static const struct relay_stretch_params params = {.mem_kib = RELAY_STRETCH_KIB_MIN,
                                                       .passes = 1};
    static const struct relay_peer peer = {.uid = -1, .own_uid = 1};
    struct relay_login_server s;
    struct relay_identities *set = relay_identities_new(&params);
    struct relay_identity *id;
    struct nk_secret pw = {0};
    if (!set || relay_identities_add(set, "a", &id, NULL) < 0 ||
        nk_secret_set(&pw, "password", 8) < 0 || relay_identity_password(set, id, &pw, NULL) < 0) {
        abort();
    }
    relay_login_server_init(&s, set, exporter, &peer);
    s.challenge.methods = RELAY_LOGIN_PASSWORD | RELAY_LOGIN_KEY;
    while (n >= 2) {
        size_t len = p[0] < n - 2 ? p[0] : n - 2;
        if (relay_login_server_step(&s, p[1], p + 2, len) == RELAY_LOGIN_DONE) {
            abort();
        }
        p += 2 + len;
        n -= 2 + len;
    }
    relay_login_server_clear(&s);
    relay_identities_unref(set);
}

/* A CHALLENGE, then AUTH messages: the relay must never count as authenticated. */
static void fuzz_endpoint(const uint8_t *p, size_t n)
{
    struct relay_login_client c;
    struct nk_secret pw = {0};
    struct nk_diag diag = {0};
    uint8_t prs[RELAY_LOGIN_PRS] = {1};
    struct relay_login_challenge ch = {.methods = p[0], .candidates = p[1]};
    ch.stretch.mem_kib = (uint32_t)p[2] << 8;
    ch.stretch.passes = 1;
    if (nk_secret_set(&pw, "password", 8) < 0) {
        abort();
    }
    struct relay_login_client_conf conf = {.exporter = exporter, .password = &pw};
    relay_login_client_init(&c, &conf);
    int rc = relay_login_client_challenge(&c, &ch, p[1] & 1, &diag);
    if (rc == RELAY_LOGIN_STRETCH) {
        relay_login_client_stretched(&c, prs, &diag);
    }
    relay_login_client_step(&c, 2, p + CHALLENGE_BYTES, n - CHALLENGE_BYTES, &diag);
    if (c.trust != RELAY_TRUST_NONE || relay_login_client_welcome(&c, &diag) == 0) {
        abort();
    }
    relay_login_client_clear(&c);
    nk_secret_clear(&pw);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (nk_crypto_init() < 0 || size < 1 + CHALLENGE_BYTES) {
        return 0;
    }
    if (data[0] & 1) {
        fuzz_relay(data + 1, size - 1);
    } else {
        fuzz_endpoint(data + 1, size - 1);
    }
    return 0;
}
