/* SPDX-License-Identifier: MIT */
/* proto_auth_impl - what the files proto_auth*.c share: the machine, its states, its requests. */
#ifndef SSH_PROTO_AUTH_IMPL_H
#define SSH_PROTO_AUTH_IMPL_H

#include "base/buf.h"
#include "ssh/proto_auth.h"

/* Named by what is expected. */
#define SSH_AUTH_STATES(X)                                                                         \
    X(START)                                                                                       \
    X(NONE)        /* the answer to `none`: a list of methods */                                   \
    X(CREDENTIAL)  /* one of the owner's */                                                        \
    X(QUERY)       /* whether the server would take the key */                                     \
    X(SIGNATURE)   /* the owner's */                                                               \
    X(SIGNED)      /* what the server says to it */                                                \
    X(PASSWORD)    /* what the server says to it */                                                \
    X(INTERACTIVE) /* questions, or the end */                                                     \
    X(ANSWERS)     /* the owner's */                                                               \
    X(DONE)                                                                                        \
    X(DEAD)

#define SSH_AUTH_STATE(name) SSH_AUTH_ST_##name,
enum ssh_auth_state { SSH_AUTH_STATES(SSH_AUTH_STATE) };

enum {
    SSH_AUTH_METHODS = 3,
    SSH_AUTH_LISTED_MAX = 200,   /* of a list that is shown */
    SSH_AUTH_SIG_ALGS_MAX = 8192 /* of the server's list */
};

struct ssh_auth_name {
    const char *name;
    enum ssh_auth_method bit;
};

struct ssh_auth {
    struct ssh_auth_conf conf;
    struct ssh_sink *sink;
    enum ssh_auth_state state;
    const struct ssh_auth_name *order[SSH_AUTH_METHODS]; /* as preferred; NULL at the end */
    unsigned allowed, exhausted;                         /* sets of methods */
    unsigned failures, partials, rounds, banners;
    size_t banner_bytes;
    const char *used; /* the method that got us in */
    bool accepted;    /* the service */
    bool have_sig_algs, hostbound;
    char listed[SSH_AUTH_LISTED_MAX]; /* what the server would take, to be shown */
    struct nk_buf session, host_key, sig_algs;

    struct nk_buf request; /* the last one; before one that is signed, the session's identifier */
    size_t request_at;
    struct nk_buf blob;       /* the key that is tried */
    struct ssh_public public; /* parsed from it */
    const struct ssh_sig_type *alg;
    void *key;

    struct ssh_auth_prompts prompts;
    struct nk_buf texts; /* theirs */
};

/* ssh_auth_become - the one setter of the state. */
void ssh_auth_become(struct ssh_auth *a, enum ssh_auth_state to);

/* ssh_auth_dead - the machine is over, for want of memory or of a sink. Returns rc. */
int ssh_auth_dead(struct ssh_auth *a, int rc, struct nk_diag *diag);

/* ssh_auth_begin - a request's common beginning (RFC 4252 5); what is signed begins with the
 * session's identifier. 0 or as nk_buf_put. */
int ssh_auth_begin(struct ssh_auth *a, bool to_sign, const char *method);

/* ssh_auth_flush - send the request, unless rc says that making it failed; wipe it, and go on in
 * this state. */
int ssh_auth_flush(struct ssh_auth *a, int rc, enum ssh_auth_state then, struct nk_diag *diag);

/* ssh_auth_want_credential - ask the owner for one of the next method; NK_EAUTH: there is none. */
int ssh_auth_want_credential(struct ssh_auth *a, struct nk_diag *diag);

/* ssh_auth_next - the method that is next, or the one in use; NULL: none is left. */
const struct ssh_auth_name *ssh_auth_next(const struct ssh_auth *a);

/* ssh_auth_respond - n answers to the server's questions. */
int ssh_auth_respond(struct ssh_auth *a, const struct ssh_str *answers, size_t n,
                     struct nk_diag *diag);

/* ssh_auth_key_name - the algorithm as it is negotiated for the key that is tried. */
const char *ssh_auth_key_name(const struct ssh_auth *a);

/* ssh_auth_key_alg - the algorithm to begin with for this key; NULL: none is allowed. */
const struct ssh_sig_type *ssh_auth_key_alg(const struct ssh_auth *a, const struct ssh_public *k);

/* ssh_auth_key_told - a line about the key that is tried, for the log. */
void ssh_auth_key_told(const struct ssh_auth *a, const char *what);

/* ssh_auth_key_other - choose another algorithm for the same key, where the server did not say
 * which it takes. false: there is none. */
bool ssh_auth_key_other(struct ssh_auth *a);

/* ssh_auth_query, ssh_auth_ask_signature - go on with the key: ask the server about it, or the
 * owner for its signature. */
int ssh_auth_query(struct ssh_auth *a, struct nk_diag *diag);
int ssh_auth_ask_signature(struct ssh_auth *a, struct nk_diag *diag);

/* ssh_auth_content - what is in a buffer. */
struct ssh_str ssh_auth_content(const struct nk_buf *b);

#endif
