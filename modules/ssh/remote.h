/* SPDX-License-Identifier: MIT */
/*
 * remote - a listener on the server's side of a link (RFC 4254 7.1; streamlocal-forward of
 * OpenSSH's PROTOCOL 2.4): its streams are the connections that the server has accepted there for
 * us. It is asked for when the link is up, and again whenever it is up again; a server that
 * refuses, as it does while a lost session still holds the port, is asked again. Closing it cancels
 * it. Its state (core/listener.h) is NK_EAGAIN until the server listens and while there is no
 * connection, and an error when the link is over, or when the server refuses and conf.once is set.
 */
#ifndef SSH_REMOTE_H
#define SSH_REMOTE_H

#include "core/listener.h"
#include "ssh/link.h"

enum {
    SSH_REMOTE_AGAIN_MS = 500,           /* after a refusal, of links that are kept; doubling */
    SSH_REMOTE_AGAIN_MAX_MS = 15 * 1000, /* up to here */
    SSH_REMOTE_MAX = 1024,               /* connections at once; more are refused, and */
    SSH_REMOTE_WAITING_MAX = 128         /* those that nobody has answered yet (nk_stream_waits) */
};

struct ssh_remote_conf {
    struct ssh_link *link; /* referred to while the listener exists */
    const char *path;      /* a socket there; NULL: host and port. Strings are copied */
    const char *host; /* "": all addresses, "localhost", or an address as the server takes it */
    uint16_t port;    /* 0: the server chooses */
    bool once;        /* a refusal is not tried again */
    /* the server listens (rc 0, each time; port is the one it has), or refuses. From the loop. May
     * be NULL */
    void (*told)(void *owner, struct nk_listener *l, int rc, uint16_t port,
                 const struct nk_diag *why);
    void *owner;
};

/* ssh_remote_listen - begin. nk_listener_local answers "ssh:HOST/listen:ADDRESS:PORT" or with
 * "unix:PATH". 0, -ENOMEM, or why the link is over. */
int ssh_remote_listen(const struct ssh_remote_conf *conf, nk_accept_fn *fn, void *fn_owner,
                      struct nk_listener **out, struct nk_diag *diag);

#endif
