/* SPDX-License-Identifier: MIT */
#include "relay/certshare.h"

#include <sodium.h>
#include <string.h>

#include "base/secret.h"

#define CI                                                                                         \
    "\x0dnetkit-cert/1\x05"                                                                        \
    "fetch\x05"                                                                                    \
    "serve"
#define AD_FETCH "fetch"

enum {
    VERSION = 1,
    PREAMBLE = sizeof(RELAY_CERTSHARE_PREAMBLE) - 1,
    HELLO_LEN = PREAMBLE + RELAY_LOGIN_NONCE,
    PARAMS_LEN = 1 + RELAY_LOGIN_NONCE + RELAY_LOGIN_SALT + 4 + 4,
    ANSWER_HEAD = RELAY_CPACE_SHARE + RELAY_CPACE_TAG + 4,
    OUT_MAX = ANSWER_HEAD + RELAY_CERTSHARE_MAX
};

static void put_u32(uint8_t *p, uint32_t v)
{
    for (int i = 0; i < 4; i++) {
        p[i] = (uint8_t)(v >> (8 * i));
    }
}

static uint32_t get_u32(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static struct relay_cpace_inputs inputs(const struct relay_certshare *s, const uint8_t *prs,
                                        const void *pem, size_t n)
{
    return (struct relay_cpace_inputs){.prs = {prs, RELAY_LOGIN_PRS},
                                       .ci = {CI, sizeof(CI) - 1},
                                       .sid = {s->sid, sizeof(s->sid)},
                                       .ad_a = {AD_FETCH, sizeof(AD_FETCH) - 1},
                                       .ad_b = {pem, n}};
}

static int fail(struct relay_certshare *s, int code)
{
    s->state = RELAY_CERTSHARE_OVER_STATE;
    relay_cpace_clear(&s->cpace);
    nk_wipe(s->own_prs, sizeof(s->own_prs));
    nk_wipe(s->expect, sizeof(s->expect));
    nk_buf_clear(&s->out);
    return code;
}

void relay_certshare_server_init(struct relay_certshare *s,
                                 const struct relay_stretch_params *params, const uint8_t *prs,
                                 const void *pem, size_t n)
{
    memset(s, 0, sizeof(*s));
    s->state = RELAY_CERTSHARE_HELLO_STATE;
    s->params = *params;
    s->prs = prs;
    s->pem = pem;
    s->pem_len = n;
    nk_buf_init(&s->out, OUT_MAX);
}

int relay_certshare_client_init(struct relay_certshare *s)
{
    memset(s, 0, sizeof(*s));
    s->state = RELAY_CERTSHARE_PARAMS_STATE;
    nk_buf_init(&s->out, OUT_MAX);
    nk_buf_init(&s->cert, RELAY_CERTSHARE_MAX);
    nk_random(s->sid, RELAY_LOGIN_NONCE);
    int rc = nk_buf_put(&s->out, RELAY_CERTSHARE_PREAMBLE, PREAMBLE);
    return rc < 0 ? rc : nk_buf_put(&s->out, s->sid, RELAY_LOGIN_NONCE);
}

void relay_certshare_clear(struct relay_certshare *s)
{
    nk_buf_clear(&s->out);
    nk_buf_clear(&s->cert);
    nk_wipe(s, sizeof(*s));
}

/* --- server ----------------------------------------------------------------------------------- */

static int take_hello(struct relay_certshare *s, const uint8_t *p)
{
    uint8_t out[PARAMS_LEN], *o = out;
    if (memcmp(p, RELAY_CERTSHARE_PREAMBLE, PREAMBLE) != 0) {
        return fail(s, NK_EPROTO);
    }
    memcpy(s->sid, p + PREAMBLE, RELAY_LOGIN_NONCE);
    nk_random(s->sid + RELAY_LOGIN_NONCE, RELAY_LOGIN_NONCE);
    *o++ = VERSION;
    memcpy(o, s->sid + RELAY_LOGIN_NONCE, RELAY_LOGIN_NONCE);
    o += RELAY_LOGIN_NONCE;
    memcpy(o, s->params.salt, RELAY_LOGIN_SALT);
    o += RELAY_LOGIN_SALT;
    put_u32(o, s->params.mem_kib);
    put_u32(o + 4, s->params.passes);
    s->state = RELAY_CERTSHARE_SHARE_STATE;
    int rc = nk_buf_put(&s->out, out, sizeof(out));
    return rc < 0 ? fail(s, rc) : RELAY_CERTSHARE_MORE;
}

static int take_share(struct relay_certshare *s, const uint8_t *ya)
{
    struct relay_cpace_inputs in = inputs(s, s->prs, s->pem, s->pem_len);
    struct relay_cpace c;
    struct relay_cpace_result r;
    uint8_t scalar[RELAY_CPACE_SCALAR], length[4];
    relay_cpace_random(scalar);
    int rc = relay_cpace_start(&c, &in, scalar);
    rc = rc < 0 ? rc : relay_cpace_finish(&c, &in, RELAY_CPACE_B, ya, &r);
    if (rc == 0) {
        put_u32(length, (uint32_t)s->pem_len);
        memcpy(s->expect, r.tag_a, sizeof(s->expect));
        rc = nk_buf_put(&s->out, c.share, RELAY_CPACE_SHARE);
        rc = rc < 0 ? rc : nk_buf_put(&s->out, r.tag_b, RELAY_CPACE_TAG);
        rc = rc < 0 ? rc : nk_buf_put(&s->out, length, sizeof(length));
        rc = rc < 0 ? rc : nk_buf_put(&s->out, s->pem, s->pem_len);
    }
    relay_cpace_clear(&c);
    relay_cpace_result_clear(&r);
    nk_wipe(scalar, sizeof(scalar));
    s->state = RELAY_CERTSHARE_CONFIRM_STATE;
    return rc < 0 ? fail(s, rc) : RELAY_CERTSHARE_MORE;
}

static int take_confirm(struct relay_certshare *s, const uint8_t *ta)
{
    bool same = sodium_memcmp(s->expect, ta, RELAY_CPACE_TAG) == 0;
    return fail(s, same ? RELAY_CERTSHARE_DONE : NK_EAUTH);
}

/* --- client ----------------------------------------------------------------------------------- */

static int take_params(struct relay_certshare *s, const uint8_t *p)
{
    if (*p++ != VERSION) {
        return fail(s, NK_EPROTO);
    }
    memcpy(s->sid + RELAY_LOGIN_NONCE, p, RELAY_LOGIN_NONCE);
    p += RELAY_LOGIN_NONCE;
    memcpy(s->params.salt, p, RELAY_LOGIN_SALT);
    p += RELAY_LOGIN_SALT;
    s->params.mem_kib = get_u32(p);
    s->params.passes = get_u32(p + 4);
    if (!relay_login_params_ok(&s->params)) {
        return fail(s, NK_EPROTO);
    }
    s->state = RELAY_CERTSHARE_STRETCH_STATE;
    return RELAY_CERTSHARE_STRETCH;
}

int relay_certshare_client_stretched(struct relay_certshare *s, const uint8_t *prs)
{
    uint8_t scalar[RELAY_CPACE_SCALAR];
    if (s->state != RELAY_CERTSHARE_STRETCH_STATE) {
        return fail(s, NK_EPROTO);
    }
    memcpy(s->own_prs, prs, sizeof(s->own_prs));
    struct relay_cpace_inputs in = inputs(s, s->own_prs, NULL, 0); /* the generator has no ADb */
    relay_cpace_random(scalar);
    int rc = relay_cpace_start(&s->cpace, &in, scalar);
    nk_wipe(scalar, sizeof(scalar));
    rc = rc < 0 ? rc : nk_buf_put(&s->out, s->cpace.share, RELAY_CPACE_SHARE);
    s->state = RELAY_CERTSHARE_ANSWER_STATE;
    return rc < 0 ? fail(s, rc) : RELAY_CERTSHARE_MORE;
}

static int take_answer(struct relay_certshare *s, const uint8_t *p, size_t pem_len)
{
    const uint8_t *pem = p + ANSWER_HEAD;
    struct relay_cpace_inputs in = inputs(s, s->own_prs, pem, pem_len);
    struct relay_cpace_result r;
    int rc = relay_cpace_finish(&s->cpace, &in, RELAY_CPACE_A, p, &r);
    if (rc == 0 && sodium_memcmp(r.tag_b, p + RELAY_CPACE_SHARE, RELAY_CPACE_TAG) != 0) {
        rc = NK_EAUTH;
    }
    rc = rc < 0 ? rc : nk_buf_put(&s->cert, pem, pem_len);
    rc = rc < 0 ? rc : nk_buf_put(&s->out, r.tag_a, RELAY_CPACE_TAG);
    relay_cpace_result_clear(&r);
    relay_cpace_clear(&s->cpace);
    nk_wipe(s->own_prs, sizeof(s->own_prs));
    s->state = RELAY_CERTSHARE_OVER_STATE;
    return rc < 0 ? fail(s, rc) : RELAY_CERTSHARE_DONE;
}

/* --- both ------------------------------------------------------------------------------------- */

/* How many bytes the next message has, as far as it can be told from n; 0: none is expected. */
static size_t message_length(const struct relay_certshare *s, const uint8_t *p, size_t n)
{
    switch (s->state) {
    case RELAY_CERTSHARE_HELLO_STATE:
        return HELLO_LEN;
    case RELAY_CERTSHARE_SHARE_STATE:
        return RELAY_CPACE_SHARE;
    case RELAY_CERTSHARE_CONFIRM_STATE:
        return RELAY_CPACE_TAG;
    case RELAY_CERTSHARE_PARAMS_STATE:
        return PARAMS_LEN;
    case RELAY_CERTSHARE_ANSWER_STATE:
        return n < ANSWER_HEAD ? ANSWER_HEAD : ANSWER_HEAD + (size_t)get_u32(p + ANSWER_HEAD - 4);
    default:
        return 0;
    }
}

int relay_certshare_input(struct relay_certshare *s, const void *p, size_t n, size_t *used)
{
    size_t want = message_length(s, p, n);
    *used = 0;
    if (want == 0 || want > OUT_MAX) {
        return fail(s, NK_EPROTO);
    }
    if (n < want) {
        return RELAY_CERTSHARE_MORE;
    }
    *used = want;
    switch (s->state) {
    case RELAY_CERTSHARE_HELLO_STATE:
        return take_hello(s, p);
    case RELAY_CERTSHARE_SHARE_STATE:
        return take_share(s, p);
    case RELAY_CERTSHARE_CONFIRM_STATE:
        return take_confirm(s, p);
    case RELAY_CERTSHARE_PARAMS_STATE:
        return take_params(s, p);
    default:
        return want == ANSWER_HEAD ? fail(s, NK_EPROTO) : take_answer(s, p, want - ANSWER_HEAD);
    }
}
