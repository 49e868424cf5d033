/* SPDX-License-Identifier: MIT */
/*
 * conn - an SSH connection: transport, user authentication and channels over a stream. The
 * application supplies three things: whose key the server's is, credentials, and what is to happen
 * with each channel (struct ssh_channel_ops). README.md has an example.
 *
 * Everything that is sent in one turn of the loop leaves in one write. Nothing waits behind bulk
 * data for more than SSH_CONN_ROOM and SSH_CONN_UNSENT bytes.
 */
#ifndef SSH_CONN_H
#define SSH_CONN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/log.h"
#include "ssh/key.h"
#include "ssh/proto_auth.h"
#include "ssh/proto_channels.h"
#include "ssh/proto_transport.h"

struct nk_app;
struct nk_stream;
struct ssh_conn;

enum {
    SSH_CONN_ROOM = 64 * 1024,      /* bytes of output before channels wait */
    SSH_CONN_UNSENT = 32 * 1024,    /* that the kernel may hold beyond what is on its way */
    SSH_CONN_REPLIES_MAX = 1 << 20, /* of output before the server is not read any more */
    SSH_CONN_CONNECT_MS = 30000,    /* until the server has said who it is */
    SSH_CONN_LOGIN_MS = 120000      /* then until login, the application's own time not counted */
};

/* A question of the login; valid until return. */
struct ssh_question {
    enum ssh_auth_want want; /* SSH_AUTH_CREDENTIAL, _SIGNATURE or _ANSWERS */
    enum ssh_auth_method method;
    unsigned methods;                       /* set of those that the server still takes */
    bool partial;                           /* something was accepted, and it wants more */
    struct ssh_auth_to_sign to_sign;        /* SIGNATURE: by a key that was given without its
                                             * private half; data stays valid until the answer */
    const struct ssh_auth_prompts *prompts; /* ANSWERS; valid until the answer */
};

/* The answer. Everything is borrowed until return. */
enum ssh_gift_kind {
    SSH_GIVE_NOTHING,     /* no more of this method; no signature; no answers */
    SSH_GIVE_KEY,         /* key: to be tried, with its certificate where it has one */
    SSH_GIVE_BLOB,        /* blob: a key of somebody else (an agent), who will be asked to sign */
    SSH_GIVE_PASSWORD,    /* text */
    SSH_GIVE_INTERACTIVE, /* let the server ask */
    SSH_GIVE_SIGNATURE,   /* text: string name, string bytes */
    SSH_GIVE_ANSWERS      /* answers: as many as there are prompts */
};

struct ssh_gift {
    enum ssh_gift_kind kind;
    struct ssh_private *key; /* shared until it is not needed any more */
    struct ssh_str blob, text;
    const struct ssh_str *answers;
    bool at_once; /* KEY, BLOB: sign without asking whether the server would take it */
    void *tag;    /* BLOB: comes back as to_sign.key */
};

/* All calls come from the loop, none from inside a call of this interface, and none after
 * ssh_conn_close, which is allowed in each. */
struct ssh_conn_ops {
    /* whose key is it? ssh_conn_trust answers, now or later */
    void (*host_key)(void *owner, const struct ssh_host_key *k);
    /* ssh_conn_give answers, now or later. NULL: nothing is given but conf.key */
    void (*credential)(void *owner, const struct ssh_question *q);
    /* logged in: ssh_conn_channels is there */
    void (*open)(void *owner);
    /* it is over, and channels have been told before: once. nk_exit_code(rc) is what a command ends
     * with. ssh_conn_close is still owed */
    void (*closed)(void *owner, int rc, const struct nk_diag *why);
    /* what the server has to say before login, printable; may be NULL */
    void (*banner)(void *owner, const char *text);
    /* as in struct ssh_channels_conf; may be NULL */
    void (*incoming)(void *owner, struct ssh_channel *ch, struct ssh_str type, struct ssh_str data);
    bool (*global)(void *owner, struct ssh_str type, struct ssh_str data);
};

/* Strings and the proposal are borrowed until the connection is closed, the key is shared. */
struct ssh_conn_conf {
    struct nk_app *app;
    const struct ssh_conn_ops *ops;
    void *owner;
    const char *user;
    struct ssh_private *key;             /* tried at once, before any question; may be NULL */
    const struct ssh_proposal *proposal; /* NULL: everything */
    enum ssh_strict_kex strict;
    unsigned min_rsa;     /* RequiredRSASize; 0: SSH_RSA_MIN */
    uint64_t rekey_bytes; /* RekeyLimit; 0: what the cipher allows */
    uint64_t rekey_ms;    /* 0: never */
    /* until the server has shown its key, as ConnectTimeout; 0: SSH_CONN_CONNECT_MS until it has
     * said who it is */
    uint64_t connect_ms;
    uint64_t login_ms;                                /* 0: SSH_CONN_LOGIN_MS */
    const char *methods;                              /* PreferredAuthentications; NULL: all */
    const char *sig_algs;                             /* PubkeyAcceptedAlgorithms; NULL: all */
    unsigned tries;                                   /* 0: SSH_AUTH_TRIES_DEFAULT */
    uint32_t keepalive_ms;                            /* ServerAliveInterval; 0: never */
    uint32_t keepalive_count;                         /* 0: 3 */
    uint32_t window_start, window_max, windows_total; /* 0: as in proto_channels.h */
};

/* ssh_conn_new - over take_stream, which may still be connecting (closed on failure, too). 0 or
 * -ENOMEM. */
int ssh_conn_new(struct ssh_conn **out, const struct ssh_conn_conf *conf,
                 struct nk_stream *take_stream, struct nk_diag *diag);

/* ssh_conn_close - say DISCONNECT and end it now, as far as the kernel takes it without waiting;
 * nobody is called any more. From anywhere; NULL is fine. */
void ssh_conn_close(struct ssh_conn *c);

/* ssh_conn_trust - answer to ops->host_key: 0, or the refusal with its reason (may be NULL). Fine
 * when nobody asks any more. */
void ssh_conn_trust(struct ssh_conn *c, int answer, const struct nk_diag *why);

/*
 * ssh_conn_give - answer to ops->credential. NK_EUNSUPPORTED (a key without an algorithm that
 * fits), NK_ETOOBIG, NK_EUSAGE (not what was asked for): nothing has changed, another answer is
 * owed. Any other error ends the connection: ops->closed follows.
 */
int ssh_conn_give(struct ssh_conn *c, const struct ssh_gift *gift, struct nk_diag *diag);

/* ssh_conn_channels - for ssh_channel_open and ssh_global_request; NULL before ops->open. */
struct ssh_channels *ssh_conn_channels(struct ssh_conn *c);

/* ssh_conn_transport - for its questions (session_id, host_key, choice, ident ...); NULL while the
 * stream is connecting. */
struct ssh_transport *ssh_conn_transport(struct ssh_conn *c);

/* ssh_conn_stream - the stream below, for nk_stream_query; NULL when it is over. */
struct nk_stream *ssh_conn_stream(struct ssh_conn *c);

/* ssh_conn_method - with which method we are logged in, static; NULL before ops->open. */
const char *ssh_conn_method(const struct ssh_conn *c);

/* ssh_conn_rekey - exchange keys now. */
void ssh_conn_rekey(struct ssh_conn *c);

#endif
