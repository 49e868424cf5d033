/* SPDX-License-Identifier: MIT */
/*
 * proto_auth - the client's side of user authentication (RFC 4252, RFC 4256, OpenSSH's PROTOCOL 3.1
 * and PROTOCOL.certkeys), without sockets, clocks or keys: packets in, packets out through a sink,
 * and a question at a time to whoever has the credentials.
 *
 *     ssh_auth_start                     service request, and the first request with it
 *     ssh_auth_want                      what the machine waits for:
 *         SSH_AUTH_SERVER                a packet: ssh_auth_receive
 *         SSH_AUTH_CREDENTIAL            ssh_auth_key, ssh_auth_password, ssh_auth_interactive, or
 *                                        ssh_auth_next_method when there is no more of
 * ssh_auth_method SSH_AUTH_SIGNATURE             ssh_auth_to_sign, then ssh_auth_signed or
 * ssh_auth_not_signed SSH_AUTH_ANSWERS               ssh_auth_prompts, then ssh_auth_answer or
 * ssh_auth_no_answer SSH_AUTH_DONE                  authenticated
 *
 * Whoever drives it asks ssh_auth_want after every call; questions may be answered at once or any
 * time later. Every call returns 0 or a negative error; after an error, but for those that are said
 * to change nothing, the machine is over and the connection is to be ended.
 */
#ifndef SSH_PROTO_AUTH_H
#define SSH_PROTO_AUTH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/log.h"
#include "ssh/pubkey.h"
#include "ssh/sink.h"
#include "ssh/wire.h"

enum {
    SSH_AUTH_USER_MAX = 256,      /* bytes of a user name */
    SSH_AUTH_PASSWORD_MAX = 1024, /* bytes of a password or of an answer; OpenSSH takes as many */
    SSH_AUTH_PROMPTS_MAX = 16,    /* of one request; each has at most SSH_AUTH_PROMPT_MAX bytes */
    SSH_AUTH_PROMPT_MAX = 1024,
    SSH_AUTH_ROUNDS_MAX = 32,        /* requests for answers in one login */
    SSH_AUTH_BANNER_MAX = 16 * 1024, /* bytes of all banners together; the rest is dropped */
    SSH_AUTH_BANNERS_MAX = 256,      /* messages; more are an attack */
    SSH_AUTH_TRIES_DEFAULT = 6       /* OpenSSH's MaxAuthTries */
};

enum ssh_auth_want {
    SSH_AUTH_SERVER,
    SSH_AUTH_CREDENTIAL,
    SSH_AUTH_SIGNATURE,
    SSH_AUTH_ANSWERS,
    SSH_AUTH_DONE
};

/* Values of ssh_auth_method, bits of a set of methods. */
enum ssh_auth_method { SSH_AUTH_PUBLICKEY = 1, SSH_AUTH_PASSWORD = 2, SSH_AUTH_INTERACTIVE = 4 };

struct ssh_auth;

struct ssh_auth_conf {
    const char *user;          /* 1..SSH_AUTH_USER_MAX bytes, no control characters */
    const char *methods;       /* PreferredAuthentications, NULL: all; unknown ones do not matter */
    const char *sig_algs;      /* PubkeyAcceptedAlgorithms: allowed ones, best first; NULL: all */
    struct ssh_str session_id; /* copied */
    struct ssh_str host_key;   /* the server's, as it came in the first key exchange; copied */
    unsigned tries;            /* most requests that may be refused; 0: SSH_AUTH_TRIES_DEFAULT */
    unsigned min_rsa;          /* RequiredRSASize; 0: SSH_RSA_MIN */
    bool skip_none;            /* there is a key to begin with: do not ask for the methods first */
    struct nk_log *log;        /* may be NULL */
    /* A banner (RFC 4252 5.4), made harmless for terminals: printable text, lines end in '\n'. From
     * inside ssh_auth_receive. May be NULL. */
    void (*banner)(void *owner, const char *text);
    void *owner;
};

/* ssh_auth_new - a machine that writes to the sink, both borrowed like conf's strings unless it
 * says otherwise. 0, NK_EUSAGE (an impossible user name, no known method), -ENOMEM. */
int ssh_auth_new(const struct ssh_auth_conf *conf, struct ssh_sink *sink, struct ssh_auth **out,
                 struct nk_diag *diag);

/* ssh_auth_free - wipes everything; NULL is fine. */
void ssh_auth_free(struct ssh_auth *a);

/* ssh_auth_ext - what the server's EXT_INFO says (RFC 8308): the value of server-sig-algs, copied
 * (p NULL: it was not there), and whether publickey-hostbound@openssh.com was. Any time; it matters
 * for what is sent afterwards. */
int ssh_auth_ext(struct ssh_auth *a, struct ssh_str sig_algs, bool hostbound);

/* ssh_auth_start - ask for the service and, unless skip_none, for the methods, in one flight. Once,
 * when the first key exchange is over. Errors are the sink's. */
int ssh_auth_start(struct ssh_auth *a, struct nk_diag *diag);

/* ssh_auth_receive - a payload with the number SERVICE_ACCEPT or 50..79 (borrowed). NK_EPROTO: what
 * may not come now, or is malformed; NK_EAUTH: the server will not let us in, with the methods that
 * it would have taken, or says that the password has expired. */
int ssh_auth_receive(struct ssh_auth *a, const uint8_t *payload, size_t n, struct nk_diag *diag);

enum ssh_auth_want ssh_auth_want(const struct ssh_auth *a);

/* ssh_auth_used - the method that the server was content with, static; NULL before. */
const char *ssh_auth_used(const struct ssh_auth *a);

/* ssh_auth_method - of which method a credential is wanted. ssh_auth_methods - set of those that
 * the server still accepts, as far as it has said so, and we know (before: all of conf's). */
enum ssh_auth_method ssh_auth_method(const struct ssh_auth *a);
unsigned ssh_auth_methods(const struct ssh_auth *a);

/* ssh_auth_partial - something was accepted, and the server wants more. */
bool ssh_auth_partial(const struct ssh_auth *a);

/*
 * ssh_auth_key - try this key or certificate. at_once: sign without asking whether the server would
 * take it. A borrowed `key` comes back with what is to be signed. NK_EUNSUPPORTED, changing
 * nothing: no algorithm fits this key, or it is too short; try another one. NK_EUSAGE (changes
 * nothing): not wanted now.
 */
int ssh_auth_key(struct ssh_auth *a, struct ssh_str blob, bool at_once, void *key,
                 struct nk_diag *diag);

/* ssh_auth_password - try this one; the caller wipes its own. NK_ETOOBIG, changing nothing. */
int ssh_auth_password(struct ssh_auth *a, const char *password, size_t n, struct nk_diag *diag);

/* ssh_auth_interactive - let the server ask. */
int ssh_auth_interactive(struct ssh_auth *a, struct nk_diag *diag);

/* ssh_auth_next_method - nothing more of this method. NK_EAUTH when none is left. */
int ssh_auth_next_method(struct ssh_auth *a, struct nk_diag *diag);

/* What is to be signed; valid until the answer. */
struct ssh_auth_to_sign {
    void *key;                      /* as it was given */
    struct ssh_str blob;            /* the key or certificate */
    const struct ssh_sig_type *alg; /* what to sign with */
    struct ssh_str data;
};

/* ssh_auth_to_sign - what is to be signed, when that is what is wanted. */
void ssh_auth_to_sign(const struct ssh_auth *a, struct ssh_auth_to_sign *out);

/* ssh_auth_signed - the signature (string name, string bytes). One with another algorithm's name is
 * as none. ssh_auth_not_signed - there will be none: the next key is wanted. */
int ssh_auth_signed(struct ssh_auth *a, struct ssh_str signature, struct nk_diag *diag);
int ssh_auth_not_signed(struct ssh_auth *a, struct nk_diag *diag);

/* Questions of the server (RFC 4256 3.2); texts are harmless for terminals. */
struct ssh_auth_prompts {
    const char *name, *instruction; /* "" when there is none; lines end in '\n' */
    size_t n;                       /* 1..SSH_AUTH_PROMPTS_MAX */
    const char *text[SSH_AUTH_PROMPTS_MAX];
    bool echo[SSH_AUTH_PROMPTS_MAX];
};

/* ssh_auth_prompts - valid until they are answered. */
const struct ssh_auth_prompts *ssh_auth_prompts(const struct ssh_auth *a);

/* ssh_auth_answer - answers to all of them (0..SSH_AUTH_PASSWORD_MAX bytes each; the caller wipes
 * its own; NK_ETOOBIG changes nothing). ssh_auth_no_answer - there will be none: the next method is
 * tried. */
int ssh_auth_answer(struct ssh_auth *a, const struct ssh_str *answers, struct nk_diag *diag);
int ssh_auth_no_answer(struct ssh_auth *a, struct nk_diag *diag);

#endif
