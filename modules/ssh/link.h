/* SPDX-License-Identifier: MIT */
/*
 * link - the connection to one destination, kept and shared: what forwards, tunnels and ssh:
 * endpoints have in common. It is made at once, made again when it is lost, and ends for good when
 * that would not help.
 *
 *     CONNECTING ──► UP ──► WAITING ──► CONNECTING ...     OVER
 *         └─ failed ─────────►┘ ▲ ssh_link_retry          the host's key is not the right one, the
 *                               │ or somebody wants to    configuration is wrong, the login was
 *                               │ connect                 refused and never succeeded; or conf.once
 *
 * Waits are jittered: half a second in the first half minute of an outage, then longer and longer,
 * up to a minute. A server that refuses logins or says that it wants no connections now
 * (PerSourcePenalties, MaxStartups of OpenSSH) is left alone for 15 s and more. While it is not up,
 * new streams wait for it or fail (conf.refuse).
 *
 * Streams hold a reference to the link, so it lives at least as long as they do.
 */
#ifndef SSH_LINK_H
#define SSH_LINK_H

#include "core/stream.h"
#include "ssh/channel.h"
#include "ssh/client.h"

struct ssh_link;

enum ssh_link_state { SSH_LINK_CONNECTING, SSH_LINK_UP, SSH_LINK_WAITING, SSH_LINK_OVER };

enum {
    SSH_LINK_HOLD_MS = 30 * 1000,     /* a stream waits for the connection; 0 in conf means this */
    SSH_LINK_HELD_MAX = 4096,         /* streams that wait at the same time */
    SSH_LINK_WAIT_MS = 500,           /* the first waits */
    SSH_LINK_QUICK_MS = 30 * 1000,    /* so long into an outage; then they double */
    SSH_LINK_WAIT_MAX_MS = 60 * 1000, /* up to here */
    SSH_LINK_WANTED_MS = 1000,        /* at most between tries while a stream waits */
    SSH_LINK_PENALTY_MS = 15 * 1000,  /* after a refused login, or when the server says go away: */
    SSH_LINK_PENALTY_MAX_MS = 600 * 1000, /* doubling up to what sshd_config(5) has as `max` */
    SSH_LINK_GOOD_MS = 30 * 1000,         /* so long up: what was before is forgotten */
    SSH_LINK_SHORT_UPS = 5, /* times that it is lost before that and begins anew all the same */
    SSH_LINK_ALIVE_S = 15,  /* ServerAliveInterval of links that are kept, when it is 0 */
    SSH_LINK_LINGER_MS = 60 * 1000 /* a shared link that nobody uses stays for so long */
};

/* Somebody who wants to know. The struct is the user's and stays valid while attached. All calls
 * come from the loop. Inside them everything is allowed. */
struct ssh_link_user {
    /* logged in: ssh_link_channels is there. May be NULL */
    void (*up)(void *owner, struct ssh_link *l);
    /* it was lost, or could not be made: ssh_link_state says whether it is tried again. Channels
     * have been told before. May be NULL */
    void (*down)(void *owner, struct ssh_link *l, const struct nk_diag *why);
    /* a channel of the server's: true when it was taken (ssh_channel_take) or refused. Everybody is
     * asked, then everybody again with any set: who would take it although it is not quite what was
     * asked for. May be NULL */
    bool (*incoming)(void *owner, struct ssh_channel *ch, struct ssh_str type, struct ssh_str data,
                     bool any);
    void *owner;
    struct ssh_link_user *prev, *next; /* private */
    bool attached;
};

struct ssh_link_conf {
    struct nk_app *app;
    struct nk_log *log;        /* NULL: the app's; outlives the link */
    struct ssh_config *config; /* the link's from then on, also on failure; not changed any more but
                                * for alive_interval */
    const char *file;          /* this and the rest as in struct ssh_client_conf; copied */
    const char *const *pins;
    size_t npins;
    const struct nk_secret *password;
    const struct nk_strlist *answers, *env;
    const char *cwd;
    bool no_input, quiet;
    bool once;        /* not made again: OVER after its first end */
    bool refuse;      /* streams fail while it waits, instead of waiting too */
    uint64_t hold_ms; /* 0: SSH_LINK_HOLD_MS */
};

/* ssh_link_new - begin to connect, with one reference. Errors of ssh_client_open. */
int ssh_link_new(const struct ssh_link_conf *conf, struct ssh_link **out, struct nk_diag *diag);

/* ssh_link_get - the same, or one more reference to a link of this app that was made by this
 * function from equal settings and is not over, or is because its login was refused less than
 * SSH_LINK_PENALTY_MS ago. */
int ssh_link_get(const struct ssh_link_conf *conf, struct ssh_link **out, struct nk_diag *diag);

/* ssh_link_same - would a link of this conf be made from the same settings? conf keeps its config,
 * in which only alive_interval is set as that of a link would be. */
bool ssh_link_same(const struct ssh_link *l, const struct ssh_link_conf *conf);

/* ssh_link_ref, ssh_link_unref - the last one closes it; a shared one later. NULL is fine. */
struct ssh_link *ssh_link_ref(struct ssh_link *l);
void ssh_link_unref(struct ssh_link *l);

/* ssh_link_attach - u is called from now on; look at the state first. ssh_link_detach - and no
 * more; fine when it was not attached. Neither is a reference. */
void ssh_link_attach(struct ssh_link *l, struct ssh_link_user *u);
void ssh_link_detach(struct ssh_link *l, struct ssh_link_user *u);

/* ssh_link_dial - open a channel (ssh_channel_dial): the stream is born connecting, also while
 * there is no connection. fn may be NULL. 0; NK_ELIMIT; NK_ECLOSED; -ENOMEM; why it is over or,
 * with conf.refuse, was lost. ssh_link_dial_tcp, ssh_link_dial_unix - as of channel.h. */
int ssh_link_dial(struct ssh_link *l, const struct ssh_channel_conf *conf, nk_stream_event_fn *fn,
                  void *owner, struct nk_stream **out, struct nk_diag *diag);
int ssh_link_dial_tcp(struct ssh_link *l, const char *host, uint16_t port, nk_stream_event_fn *fn,
                      void *owner, struct nk_stream **out, struct nk_diag *diag);
int ssh_link_dial_unix(struct ssh_link *l, const char *path, nk_stream_event_fn *fn, void *owner,
                       struct nk_stream **out, struct nk_diag *diag);

/* ssh_link_retry - do not wait any longer. */
void ssh_link_retry(struct ssh_link *l);

/* ssh_link_drop - end the connection now, as if the server had: tried again unless conf.once. For
 * owners that find it useless. */
void ssh_link_drop(struct ssh_link *l, const struct nk_diag *why);

enum ssh_link_state ssh_link_state(const struct ssh_link *l);

/* ssh_link_channels - while it is up, else NULL. ssh_link_config - its settings. ssh_link_ups - how
 * often it was up. ssh_link_why - why it is not up; "" when it is or never was tried. */
struct ssh_channels *ssh_link_channels(struct ssh_link *l);
const struct ssh_config *ssh_link_config(const struct ssh_link *l);
struct nk_app *ssh_link_app(const struct ssh_link *l);
uint64_t ssh_link_ups(const struct ssh_link *l);
const struct nk_diag *ssh_link_why(const struct ssh_link *l);

/* ssh_link_no_more_sessions - as ssh_client_no_more_sessions, for this connection: for owners of a
 * link that nobody shares. */
void ssh_link_no_more_sessions(struct ssh_link *l);

/* ssh_link_state_name - "connecting", "up", "waiting", "over". */
const char *ssh_link_state_name(enum ssh_link_state s);

#endif
