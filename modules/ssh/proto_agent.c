/* SPDX-License-Identifier: MIT */
#include "ssh/proto_agent.h"

#include <string.h>

/* Numbers of draft-ietf-sshm-ssh-agent 6.1; the last two are older agents' failures. */
enum {
    AGENT_FAILURE = 5,
    AGENT_SUCCESS = 6,
    AGENT_REQUEST_IDENTITIES = 11,
    AGENT_IDENTITIES_ANSWER = 12,
    AGENT_SIGN_REQUEST = 13,
    AGENT_SIGN_RESPONSE = 14,
    AGENT_EXTENSION = 27,
    AGENT_EXTENSION_FAILURE = 28,
    AGENT_FAILURE_2 = 30,
    AGENT_FAILURE_COM = 102
};

/* 3.6.1: which hash an RSA key signs with; without a flag it would be SHA-1. */
enum { FLAG_RSA_SHA256 = 2, FLAG_RSA_SHA512 = 4 };

enum { LENGTH = 4, KEY_LEAST = 8 /* bytes of two empty strings */ };

static const char BIND[] = "session-bind@openssh.com";

/* --- requests --------------------------------------------------------------------------------- */

/* Room for a frame of n bytes behind its length, and its beginning; nothing after it can fail. */
static int begin(struct nk_buf *out, size_t n, uint8_t type)
{
    uint8_t *room;
    if (n > SSH_AGENT_MAX) {
        return NK_ETOOBIG;
    }
    int rc = nk_buf_reserve(out, LENGTH + n, &room);
    rc = rc < 0 ? rc : nk_buf_be32(out, (uint32_t)n);
    return rc < 0 ? rc : nk_buf_u8(out, type);
}

int ssh_agent_put_list(struct nk_buf *out)
{
    return begin(out, 1, AGENT_REQUEST_IDENTITIES);
}

int ssh_agent_put_sign(struct nk_buf *out, struct ssh_str blob, const void *data, size_t n,
                       const char *alg)
{
    uint32_t flags = strncmp(alg, "rsa-sha2-512", 12) == 0   ? FLAG_RSA_SHA512
                     : strncmp(alg, "rsa-sha2-256", 12) == 0 ? FLAG_RSA_SHA256
                                                             : 0;
    if (blob.n > SSH_AGENT_MAX || n > SSH_AGENT_MAX) {
        return NK_ETOOBIG;
    }
    int rc = begin(out, 1 + LENGTH + blob.n + LENGTH + n + sizeof(flags), AGENT_SIGN_REQUEST);
    rc = rc < 0 ? rc : ssh_put_string(out, blob.p, blob.n);
    rc = rc < 0 ? rc : ssh_put_string(out, data, n);
    return rc < 0 ? rc : nk_buf_be32(out, flags);
}

int ssh_agent_put_bind(struct nk_buf *out, struct ssh_str host_key, struct ssh_str session_id,
                       struct ssh_str signature, bool forwarding)
{
    const struct ssh_str v[] = {
        {(const uint8_t *)BIND, sizeof(BIND) - 1}, host_key, session_id, signature};
    size_t total = 1 + 1; /* the type, and whether it is forwarded */
    for (size_t i = 0; i < sizeof(v) / sizeof(*v); i++) {
        if (v[i].n > SSH_AGENT_MAX) {
            return NK_ETOOBIG;
        }
        total += LENGTH + v[i].n;
    }
    int rc = begin(out, total, AGENT_EXTENSION);
    for (size_t i = 0; i < sizeof(v) / sizeof(*v); i++) {
        rc = rc < 0 ? rc : ssh_put_string(out, v[i].p, v[i].n);
    }
    return rc < 0 ? rc : ssh_put_bool(out, forwarding);
}

/* --- answers ---------------------------------------------------------------------------------- */

ssize_t ssh_agent_frame(const uint8_t *p, size_t n)
{
    struct nk_cur c;
    if (n < LENGTH) {
        return 0;
    }
    nk_cur_init(&c, p, n);
    uint32_t len = nk_cur_be32(&c);
    if (len == 0) {
        return NK_EFORMAT;
    }
    return len > SSH_AGENT_MAX ? NK_ETOOBIG : (ssize_t)(LENGTH + len);
}

static int malformed(struct nk_diag *diag)
{
    return nk_fail(diag, NK_EPROTO, "the agent's answer is malformed");
}

/* The contents of a frame that must be of this type. */
static int open_frame(struct ssh_str frame, uint8_t want, struct nk_cur *c, struct nk_diag *diag)
{
    nk_cur_init(c, frame.p, frame.n);
    (void)nk_cur_be32(c);
    uint8_t type = nk_cur_u8(c);
    if (c->failed) {
        return malformed(diag);
    }
    if (type == want) {
        return 0;
    }
    if (type == AGENT_FAILURE || type == AGENT_EXTENSION_FAILURE || type == AGENT_FAILURE_2 ||
        type == AGENT_FAILURE_COM) {
        return nk_fail(diag, NK_EAUTH, "the agent refuses");
    }
    return nk_fail(diag, NK_EPROTO, "the agent answers with a message of type %u", type);
}

ssize_t ssh_agent_get_list(struct ssh_str frame, struct ssh_agent_key *keys, size_t max,
                           struct nk_diag *diag)
{
    struct nk_cur c;
    int rc = open_frame(frame, AGENT_IDENTITIES_ANSWER, &c, diag);
    if (rc < 0) {
        return rc;
    }
    uint32_t count = nk_cur_be32(&c);
    if (count > SSH_AGENT_KEYS) {
        return nk_fail(diag, NK_ETOOBIG, "the agent has %u keys; at most %d are looked at", count,
                       SSH_AGENT_KEYS);
    }
    if (c.failed || count > nk_cur_left(&c) / KEY_LEAST) {
        return malformed(diag);
    }
    for (uint32_t i = 0; i < count; i++) {
        struct ssh_agent_key key;
        key.blob = ssh_cur_string(&c);
        key.comment = ssh_cur_string(&c);
        if (i < max) {
            keys[i] = key;
        }
    }
    return nk_cur_done(&c) ? (ssize_t)count : malformed(diag);
}

int ssh_agent_get_signature(struct ssh_str frame, const char *alg, struct ssh_str *signature,
                            struct nk_diag *diag)
{
    struct nk_cur c, in;
    int rc = open_frame(frame, AGENT_SIGN_RESPONSE, &c, diag);
    if (rc < 0) {
        return rc;
    }
    struct ssh_str s = ssh_cur_string(&c);
    if (!nk_cur_done(&c)) {
        return malformed(diag);
    }
    nk_cur_init(&in, s.p, s.n);
    if (!ssh_str_is(ssh_cur_string(&in), alg)) {
        return nk_fail(diag, NK_EPROTO, "the agent did not sign with %s", alg);
    }
    *signature = s;
    return 0;
}

int ssh_agent_get_done(struct ssh_str frame, struct nk_diag *diag)
{
    struct nk_cur c;
    return open_frame(frame, AGENT_SUCCESS, &c, diag);
}
