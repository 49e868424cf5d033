/* SPDX-License-Identifier: MIT */
/*
 * client_wire - what the client's connection part (client.c) and its wire sessions
 * (client_tlspyo.c, client_native.c) know of each other. Nobody else includes this.
 *
 * client.c owns the stream, the state, the timers, the groups and the spool. A session turns bytes
 * into calls of the client_* functions below and says what is to be written; it never touches the
 * stream. Every function of a session runs between client_enter() and client_leave(), or from a
 * function of client.h; sessions must be prepared for c->stream == NULL and for c->closed after
 * whatever may call the owner.
 */
#ifndef NK_RELAY_CLIENT_WIRE_H
#define NK_RELAY_CLIENT_WIRE_H

#include <sys/uio.h>

#include "base/buf.h"
#include "core/app.h"
#include "core/timer.h"
#include "relay/client.h"
#include "relay/client_spool.h"

#define CLIENT_STATES(X)                                                                           \
    X(DIAL)     /* connection and TLS handshake */                                                 \
    X(GREETING) /* the relay's HELLO, or CHALLENGE */                                              \
    X(LOGIN)    /* the answer to our HELLO, or to our proof */                                     \
    X(PROBE)    /* the answer that proves that all our groups were accepted */                     \
    X(ALIVE)                                                                                       \
    X(FINISH)  /* like ALIVE, but the last answers are awaited */                                  \
    X(BYE)     /* our end of stream is sent, the relay's is awaited */                             \
    X(BACKOFF) /* waiting before another attempt */                                                \
    X(ENDED)

#define CLIENT_AS_ENUM(name) CLIENT_##name,
enum client_state { CLIENT_STATES(CLIENT_AS_ENUM) };
#undef CLIENT_AS_ENUM

#define CLIENT_IOV 64 /* buffers of one write */

struct client_group;
struct client_native_group;

/* One wire. Every function is there. */
struct client_wire {
    const char *name;
    enum relay_client_wire kind;
    /* memory for a session, once per client: c->sessions[kind] */
    int (*create)(struct relay_client *c, void **out);
    void (*destroy)(struct relay_client *c, void *session);
    /* the connection stands: say what we have to say first */
    void (*begin)(struct relay_client *c);
    /* act upon the whole frames in c->in; stop when client_holding() or the connection has gone.
     * *missing = how many more bytes the next step needs at least, 0 = unknown */
    void (*input)(struct relay_client *c, size_t *missing);
    /* what to write now: fill iov (CLIENT_IOV), return how many, 0 = nothing, negative = error.
     * After a short write it is asked again for the rest. */
    int (*iov)(struct relay_client *c, struct iovec *iov);
    void (*sent)(struct relay_client *c, size_t n);
    bool (*idle)(const struct relay_client *c); /* nothing to write */
    /* ask for a sign of life; false: not now */
    bool (*probe)(struct relay_client *c);
    /* the owner has paused for long: show that we live, although we read nothing */
    void (*keep)(struct relay_client *c);
    /* FINISH: is everything we said answered? May say something more to find out. */
    bool (*done)(struct relay_client *c);
    /* the connection has gone: forget what was said on it. Objects in doubt (sent, not answered,
     * and not to be sent again) are settled with -ECONNRESET; returns how many */
    uint64_t (*lost)(struct relay_client *c);
    /* the owner ends at once: tell the relay, if that can be written now, so that it need not wait
     * for us; in a session only, and the stream is closed next. NULL: closing is enough */
    void (*leave)(struct relay_client *c);
    uint64_t (*doubt)(const struct relay_client *c); /* how many these would be */
    /* the connection was closed in this state: fill why. *retry: another attempt may help although
     * it looks like a refusal */
    void (*refused)(struct relay_client *c, struct nk_diag *why, bool *retry);
    /* the owner's calls, in any state (the demand was counted before) */
    int (*joined)(struct relay_client *c, struct client_group *g); /* a group, or its membership */
    void (*published)(struct relay_client *c, struct client_group *g);
    void (*demanded)(struct relay_client *c, struct client_group *g);
    void (*ack)(struct relay_client *c, const struct relay_client_lease *l);
    /* does the relay still hold it for us? Also asked without a connection: then a session that can
     * be resumed does */
    bool (*holds)(const struct relay_client *c, const struct relay_client_lease *l);
    int (*nack)(struct relay_client *c, const struct relay_client_lease *l, uint32_t ms);
    int (*extend)(struct relay_client *c, const struct relay_client_lease *l, uint32_t ms);
    int (*purge)(struct relay_client *c, struct client_group *g); /* NULL: the wire cannot */
};

extern const struct client_wire client_wire_tlspyo, client_wire_native;

/* A group that the owner has named. */
struct client_group {
    char *name;
    uint32_t hash; /* of the name */
    uint32_t handle;
    bool member;
    bool drain;          /* asked for, and not over */
    uint64_t drain_most; /* so many of them; 0 = all */
    uint64_t drain_came; /* items since it was asked for */
    uint64_t wanted;     /* items asked for that have not arrived */
    struct client_line line;
    /* tlspyo */
    uint64_t to_ask;                    /* of `wanted`, what this connection was not told yet */
    bool drain_asked;                   /* this connection was told */
    struct client_native_group *native; /* owned; NULL until the native session uses it */
};

struct relay_client {
    struct nk_app *app;
    const struct relay_client_conf *conf;
    const struct relay_client_ops *ops;
    void *owner;
    enum client_state state;
    enum relay_client_wire kind;             /* of the present or last connection */
    const struct client_wire *wire;          /* of this connection; NULL before it is known */
    void *sessions[RELAY_CLIENT_TLSPYO + 1]; /* the wires', once they were used */
    struct nk_stream *stream;
    struct nk_timer timer;  /* of the state: login, idle, backoff, bye */
    struct nk_defer flush;  /* write what this turn gathered */
    struct nk_defer report; /* on_progress */
    struct nk_buf in;
    struct client_group **groups; /* by handle */
    uint32_t ngroups, groups_cap;
    uint32_t *names;    /* by name, open addressing: handle + 1, 0 = free */
    uint32_t names_cap; /* a power of two, at least twice ngroups; 0: none yet */
    struct client_spool spool;
    uint64_t connection; /* how many connections there have been */
    uint64_t opened_ms;  /* when relay_client_open was called */
    uint64_t backoff_ms; /* next pause */
    uint64_t heard_ms;   /* when the relay last sent something */
    uint64_t probe_ms;   /* silence after which a sign of life is asked for, */
    uint64_t answer_ms;  /* and how long it may take to come */
    uint64_t finish_ms;  /* when relay_client_finish was called */
    uint64_t dialled_ms; /* when this attempt began */
    uint64_t refused, sent, received, logins;
    unsigned depth; /* callbacks we are inside of */
    bool been_alive;
    bool silent;  /* the relay has said nothing on this connection */
    bool asked;   /* asked for objects on this connection */
    bool probing; /* a sign of life was asked for */
    bool finishing;
    bool paused;
    bool closed; /* free when depth is 0 */
};

/* --- client.c, for the sessions --- */

/* Every call from the loop runs between these: the client is not freed in between. */
void client_enter(struct relay_client *c);
void client_leave(struct relay_client *c);

/* The session stands (ALIVE or FINISH). */
bool client_in_session(const struct relay_client *c);

/* The owner takes no objects now: nothing is read. Whoever finishes reads on for its last answers.
 */
bool client_holding(const struct relay_client *c);

/* client_set_state - the only place that assigns it. client_set_interest - read, or not, as
 * client_holding() says. */
void client_set_state(struct relay_client *c, enum client_state state);
void client_set_interest(struct relay_client *c);

/* Everything is agreed on: ALIVE (or FINISH), and the owner hears of it. */
void client_become_alive(struct relay_client *c);

/* This connection is spoken on with another wire; begins with what is left in c->in. 0, -ENOMEM. */
int client_use_wire(struct relay_client *c, const struct client_wire *wire);

/* There is something to write: at the end of this turn. */
void client_flush_later(struct relay_client *c);

/* on_progress at the end of this turn. */
void client_changed(struct relay_client *c);

/* The connection cannot go on: code and text; another attempt follows where that makes sense. */
void client_broken(struct relay_client *c, int code, const char *what);
void client_fail(struct relay_client *c, struct nk_diag *why, bool retry_refusal);

/* --- client_api.c --- */

/* Free all groups and what waits in them. */
void client_groups_clear(struct relay_client *c);

/* What is known of the relay on this connection before any login. */
enum relay_trust client_trust(const struct relay_client *c);

/* The wire to begin a connection with: what TLS agreed on, or what the owner said. */
const struct client_wire *client_choose_wire(struct relay_client *c);

/* An object for the owner; counts demand and bytes. */
void client_deliver(struct relay_client *c, struct client_group *g,
                    const struct relay_client_object *d);

/* Objects first .. last of the group are settled: the spool and the owner hear of it. The caller
 * reaps the line. */
void client_settled(struct relay_client *c, struct client_group *g, uint64_t last, int status);

#endif
