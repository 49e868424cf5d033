/* SPDX-License-Identifier: MIT */
/*
 * socks - SOCKS 5 over streams: the client's side and the server's side of a filter. Independent of
 * Tor: `socks5:` endpoints, `tor:` and dynamic forwards of SSH are made of it. The negotiation
 * takes exactly its own bytes, so once it is over everything is the stream below's.
 */
#ifndef NK_SOCKS_SOCKS_H
#define NK_SOCKS_SOCKS_H

#include "core/stream.h"
#include "socks/wire.h"

/*
 * The client. The stream is born connecting and connects when the server has said that the far end
 * stands. Identity, certificates and users that the stream below knows are the proxy's, so they are
 * not passed on.
 */
struct socks_client_conf {
    struct socks_addr to;
    uint8_t command;                 /* enum socks_command; 0 = SOCKS_CONNECT */
    const struct socks_login *login; /* borrowed for the call; NULL: none */
    bool login_only;                 /* with login: fail rather than go on without it */
    bool pipeline;       /* send early; only for servers known to read message by message */
    bool encrypted;      /* NK_Q_ENCRYPTED answers 1 (an onion service) */
    const char *what;    /* put in front of errors; copied; NULL: nothing */
    uint64_t timeout_ms; /* from now until the reply; 0 = none */
    uint64_t linger_ms;  /* a half-close goes down only when nothing has come for so long, as the
                          * proxy takes it for the end of both directions (tor); 0 = at once */
    /* a refusal in words: returns the error, fills diag. NULL: socks_reply_text */
    int (*explain)(unsigned code, const struct socks_addr *to, struct nk_diag *diag);
    /* runs once, inside nk_stream_close: whoever makes the stream below can stop, and give back
     * what had to be there while it lasted; NULL: nothing */
    void (*closed)(void *arg);
    void *arg;
};

/* socks_client_new - a client that waits for its stream to the proxy. conf is copied. 0, -ENOMEM.
 */
int socks_client_new(struct nk_app *app, const struct socks_client_conf *conf,
                     struct nk_stream **out);

/* socks_client_take - here is that stream, connected or connecting. */
void socks_client_take(struct nk_stream *s, struct nk_stream *take_lower);

/* socks_client_fail - there will be none: NK_CLOSED with error and why. */
void socks_client_fail(struct nk_stream *s, int error, const struct nk_diag *why);

/* socks_client_wrap - both in one. Closes take_lower on failure. */
int socks_client_wrap(struct nk_app *app, const struct socks_client_conf *conf,
                      struct nk_stream *take_lower, struct nk_stream **out, struct nk_diag *diag);

/* socks_client_bound - the address in the reply, of a connected stream whose command was
 * SOCKS_RESOLVE or SOCKS_RESOLVE_PTR. 0 or -ENOENT. */
int socks_client_bound(const struct nk_stream *s, struct socks_addr *out);

/* socks_client_reply - the server's reply code (0 .. 255), also of a stream that has failed;
 * -EAGAIN: it speaks SOCKS but has not answered the request; -ENOTCONN: it has said nothing yet. */
int socks_client_reply(const struct nk_stream *s);

/*
 * The server. The stream connects when the client's request stands; NK_Q_TARGET then says what it
 * asks for, and the owner dials and tells the outcome with nk_stream_answer. Nothing can be read or
 * written before. A client that sends anything else, or nothing for handshake_ms, is told so as far
 * as its protocol allows, and the stream fails. Any user name and password is good, unless one is
 * needed: they are part of the target (struct nk_target), to keep connections of different names
 * apart.
 */
struct socks_server_conf {
    uint64_t handshake_ms;        /* 0 = none */
    bool takes4;                  /* SOCKS 4 and 4a too, where no login is needed */
    const struct nk_secret *need; /* "user:password" that clients must have; borrowed until the
                                   * stream is closed. NULL: any, or none */
};

/* socks_server_wrap - such a server over take_lower, which is closed on failure. 0, -ENOMEM,
 * NK_ELIMIT (too much before clients have said who they are). */
int socks_server_wrap(struct nk_app *app, const struct socks_server_conf *conf,
                      struct nk_stream *take_lower, struct nk_stream **out, struct nk_diag *diag);

#endif
