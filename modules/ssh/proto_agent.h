/* SPDX-License-Identifier: MIT */
/*
 * proto_agent - the messages of an ssh-agent (draft-ietf-sshm-ssh-agent; session-bind: OpenSSH's
 * PROTOCOL.agent), without input and output. A frame is u32 length, u8 type, contents.
 */
#ifndef SSH_PROTO_AGENT_H
#define SSH_PROTO_AGENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/err.h"
#include "ssh/wire.h"

enum {
    SSH_AGENT_MAX = 256 * 1024, /* bytes of an answer, as OpenSSH has it */
    SSH_AGENT_KEYS = 2048       /* keys that an agent may list, as OpenSSH has it */
};

/* A key that an agent has; borrowed from the answer. */
struct ssh_agent_key {
    struct ssh_str blob, comment;
};

/*
 * ssh_agent_put_list, _sign, _bind - append a frame. sign: alg is the name of the algorithm, of
 * which flags for RSA follow. bind: tell the agent whose host key this session is with, and that
 * the host signed its identifier. Errors as nk_buf_put.
 */
int ssh_agent_put_list(struct nk_buf *out);
int ssh_agent_put_sign(struct nk_buf *out, struct ssh_str blob, const void *data, size_t n,
                       const char *alg);
int ssh_agent_put_bind(struct nk_buf *out, struct ssh_str host_key, struct ssh_str session_id,
                       struct ssh_str signature, bool forwarding);

/* ssh_agent_frame - the frame that begins at p, of which n bytes are there: its whole length, 0
 * when that is not known yet. NK_ETOOBIG: longer than SSH_AGENT_MAX, NK_EFORMAT: empty. */
ssize_t ssh_agent_frame(const uint8_t *p, size_t n);

/*
 * ssh_agent_get_list - an answer to put_list, a whole frame: up to max keys to keys; returns how
 * many there are (those beyond max are left out). NK_EAUTH: the agent refuses; NK_EPROTO: it is no
 * such answer, or malformed; NK_ETOOBIG: more than SSH_AGENT_KEYS.
 */
ssize_t ssh_agent_get_list(struct ssh_str frame, struct ssh_agent_key *keys, size_t max,
                           struct nk_diag *diag);

/* ssh_agent_get_signature - an answer to put_sign: the signature (string name, string bytes), whose
 * name is alg (NK_EPROTO else). NK_EAUTH: the agent refuses. */
int ssh_agent_get_signature(struct ssh_str frame, const char *alg, struct ssh_str *signature,
                            struct nk_diag *diag);

/* ssh_agent_get_done - an answer to put_bind: 0, or NK_EAUTH (refused, or not known there). */
int ssh_agent_get_done(struct ssh_str frame, struct nk_diag *diag);

#endif
