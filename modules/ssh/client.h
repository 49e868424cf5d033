/* SPDX-License-Identifier: MIT */
/*
 * client - a connection to a host as ssh_config(5) describes it: through its jump hosts or its
 * ProxyCommand, its key judged by known_hosts and pins, logged in with what the user has. For
 * commands and endpoints; conn.h is below.
 *
 *     destination's client -> channel of the jump host's client -> ... -> TCP
 */
#ifndef SSH_CLIENT_H
#define SSH_CLIENT_H

#include "base/secret.h"
#include "ssh/config.h"
#include "ssh/conn.h"

struct ssh_client;

enum { SSH_JUMPS_MAX = 8 };

struct ssh_client_ops {
    /* logged in */
    void (*open)(void *owner, struct ssh_client *c);
    /* it is over, once; ssh_client_close is still owed */
    void (*closed)(void *owner, struct ssh_client *c, int rc, const struct nk_diag *why);
    /* as in struct ssh_conn_ops; may be NULL */
    void (*incoming)(void *owner, struct ssh_channel *ch, struct ssh_str type, struct ssh_str data);
};

/* All borrowed until ssh_client_close. */
struct ssh_client_conf {
    struct nk_app *app;
    struct nk_log *log;              /* may be NULL */
    const struct ssh_config *config; /* of the destination */
    const char *file;                /* the configuration that jump hosts are looked up in (-F) */
    const char *const *pins;         /* fingerprints of the destination's key; see host_policy.h */
    size_t npins;
    const struct nk_secret *password; /* of the destination; as in login.h */
    const struct nk_strlist *answers; /* of the destination; as in login.h */
    const struct nk_strlist *env;     /* "NAME=VALUE" for the program of ProxyCommand; or NULL */
    const char *cwd;                  /* its directory; or NULL */
    bool no_input;                    /* nobody can be asked */
    bool quiet;                       /* no banners */
    const struct ssh_client_ops *ops;
    void *owner;
};

/* ssh_client_open - begin to connect. 0, NK_ECONFIG, NK_EUSAGE (no user is known), errors of
 * known_hosts files, -ENOMEM. */
int ssh_client_open(const struct ssh_client_conf *conf, struct ssh_client **out,
                    struct nk_diag *diag);

/* ssh_client_close - end it now, with its jump hosts; allowed in callbacks. Streams over its
 * channels have to be closed before. NULL is fine. */
void ssh_client_close(struct ssh_client *c);

/* ssh_client_channels - for ssh_channel_open and ssh_channel_dial; NULL before ops->open.
 * ssh_client_conn - the connection, NULL before there is one. */
struct ssh_channels *ssh_client_channels(struct ssh_client *c);
struct ssh_conn *ssh_client_conn(struct ssh_client *c);

/* ssh_client_no_more_sessions - tell the server that no session will be asked for on this
 * connection from now on, so that whoever takes it over cannot have one (OpenSSH's PROTOCOL 2.2).
 * Nothing is said before ops->open, and to servers other than OpenSSH's. */
void ssh_client_no_more_sessions(struct ssh_client *c);

#endif
