/* SPDX-License-Identifier: MIT */
/*
 * agent - a connection to an ssh-agent over its unix socket. Requests are answered in order; any
 * number may be under way.
 */
#ifndef SSH_AGENT_H
#define SSH_AGENT_H

#include "ssh/proto_agent.h"

struct nk_app;
struct nk_stream;
struct ssh_agent;
struct ssh_agent_request;

/* What came of a request; everything is borrowed until return. keys: of a list; signature: of a
 * signature. rc < 0: the reason. */
struct ssh_agent_answer {
    int rc;
    const struct ssh_agent_key *keys;
    size_t nkeys;
    struct ssh_str signature;
    const struct nk_diag *diag;
};

typedef void ssh_agent_fn(void *owner, const struct ssh_agent_answer *answer);

/* ssh_agent_path - the socket that IdentityAgent `setting` means: NULL or "SSH_AUTH_SOCK" the
 * variable of that name, "$NAME" another one, else itself. NULL: none ("none", or not set). */
const char *ssh_agent_path(const char *setting);

/* ssh_agent_open - connect to the socket at path; requests may be made at once, and fail when the
 * connection does. 0, -ENAMETOOLONG, -ENOMEM, -errno. ssh_agent_over - the same over a stream,
 * which it takes, also on failure (-ENOMEM). */
int ssh_agent_over(struct nk_app *app, struct nk_stream *take_stream, struct ssh_agent **out);
int ssh_agent_open(struct nk_app *app, const char *path, struct ssh_agent **out,
                   struct nk_diag *diag);

/* ssh_agent_close - no request is answered any more; NULL is fine. Allowed in callbacks. */
void ssh_agent_close(struct ssh_agent *a);

/*
 * ssh_agent_list, _sign, _bind - ask; fn is called once, not from inside, unless the request is
 * cancelled or the agent closed. What is given is copied. 0, NK_ETOOBIG, -ENOMEM, or why the
 * connection is over.
 */
int ssh_agent_list(struct ssh_agent *a, ssh_agent_fn *fn, void *owner,
                   struct ssh_agent_request **out);
int ssh_agent_sign(struct ssh_agent *a, struct ssh_str blob, const void *data, size_t n,
                   const char *alg, ssh_agent_fn *fn, void *owner, struct ssh_agent_request **out);
int ssh_agent_bind(struct ssh_agent *a, struct ssh_str host_key, struct ssh_str session_id,
                   struct ssh_str signature, bool forwarding, ssh_agent_fn *fn, void *owner,
                   struct ssh_agent_request **out);

/* ssh_agent_cancel - fn is not called; the answer is thrown away when it comes. NULL is fine. */
void ssh_agent_cancel(struct ssh_agent_request *r);

#endif
