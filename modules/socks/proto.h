/* SPDX-License-Identifier: MIT */
/*
 * proto - the negotiation of SOCKS 5 as a machine without I/O, client or server (RFC 1928 §3-6,
 * RFC 1929). The caller moves bytes: it sends what socks_proto_out shows, and reads exactly as many
 * bytes as socks_proto_room asks for, so that nothing of what follows is ever taken. README.md has
 * the states.
 */
#ifndef NK_SOCKS_PROTO_H
#define NK_SOCKS_PROTO_H

#include "socks/wire.h"

struct nk_secret;

/* X(name) - what the machine waits for. */
#define SOCKS_STATES(X)                                                                            \
    X(AWAIT_CHOICE)   /* client: the server's method */                                            \
    X(AWAIT_STATUS)   /* client: is the login good? */                                             \
    X(AWAIT_REPLY)    /* client: the end of the server's dialling */                               \
    X(AWAIT_GREETING) /* server: the client's methods */                                           \
    X(AWAIT_LOGIN)    /* server: user name and password */                                         \
    X(AWAIT_REQUEST)  /* server: command and address */                                            \
    X(AWAIT_REQUEST4) /* server: all that a client of SOCKS 4 says */                              \
    X(AWAIT_ANSWER)   /* server: its owner, who dials */                                           \
    X(OPEN)           /* nothing: bytes of the two ends follow */                                  \
    X(FAILED)         /* nothing: it is over */

#define SOCKS_STATE_ENUM(name) SOCKS_##name,
enum socks_state { SOCKS_STATES(SOCKS_STATE_ENUM) SOCKS_STATE_COUNT };
#undef SOCKS_STATE_ENUM

enum { SOCKS_OUT_MAX = 4 + SOCKS_MESSAGE_MAX + 7 + SOCKS_TEXT_MAX /* greeting, login, request */ };

struct socks_proto {
    uint8_t state;
    uint8_t command;              /* asked for */
    uint8_t code;                 /* client: reply code, 0xff before; server: what it answered */
    bool pipeline;                /* client, of socks_ask */
    bool none_offered;            /* client: "no authentication" was among the methods */
    bool logged_in;               /* server: a user name and password came */
    bool takes4, is4;             /* server: clients of SOCKS 4 may come; this is one */
    const struct nk_secret *need; /* server: "user:password" that a client must have; or NULL */
    struct socks_addr addr; /* client: what the reply names; server: what the client asks for */
    uint16_t have;          /* bytes of the current message */
    uint16_t out_at, out_end,
        out_held;                  /* out[out_at..out_end) may go, up to out_held may not yet */
    uint16_t login_at, request_at; /* client: where these begin in out */
    uint8_t in[SOCKS_MESSAGE_MAX];
    uint8_t out[SOCKS_OUT_MAX];
    uint8_t user_len, password_len; /* server, logged_in */
    uint8_t user[SOCKS_TEXT_MAX], password[SOCKS_TEXT_MAX];
};

struct socks_ask {
    uint8_t command; /* enum socks_command */
    struct socks_addr addr;
    const struct socks_login *login; /* borrowed; NULL: none */
    bool login_only;                 /* with login: never go on without it (isolation) */
    /* for servers that are known to read message by message: the request goes with the greeting, or
     * behind a login. The login itself waits for the server's choice: tor 0.4.9 answers a greeting
     * and a login that come together with one reply instead of two */
    bool pipeline;
};

/* socks_proto_client - begin as client. */
void socks_proto_client(struct socks_proto *p, const struct socks_ask *ask);

/* socks_proto_server - begin as server. takes4: also of SOCKS 4 and 4a, but not where a login is
 * needed, which they do not have. need: borrowed until it is over; NULL: any login, or none, is
 * good. */
void socks_proto_server(struct socks_proto *p, bool takes4, const struct nk_secret *need);

/* socks_proto_room - where the next bytes from the peer go; *n: how many are wanted, at least 1, or
 * 0 when none are wanted now. */
uint8_t *socks_proto_room(struct socks_proto *p, size_t *n);

/* socks_proto_got - n (<= wanted) bytes were put there. 0, or why it has failed (the state is then
 * SOCKS_FAILED, and a farewell may wait to be sent). */
int socks_proto_got(struct socks_proto *p, size_t n, struct nk_diag *diag);

/* socks_proto_out - bytes that may be sent now. socks_proto_sent - n of them were. */
const uint8_t *socks_proto_out(const struct socks_proto *p, size_t *n);
void socks_proto_sent(struct socks_proto *p, size_t n);

/* socks_proto_answer - server, AWAIT_ANSWER: what came of it; code SOCKS_REPLY_OK opens, any other
 * fails. */
void socks_proto_answer(struct socks_proto *p, unsigned code);

/* socks_proto_clear - wipe it. */
void socks_proto_clear(struct socks_proto *p);

#endif
