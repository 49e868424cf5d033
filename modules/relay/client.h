/* SPDX-License-Identifier: MIT */
/*
 * client - an endpoint's connection to a relay, over either of its wires.
 *
 * The client owns one connection at a time, makes it again after a loss (jittered backoff), keeps
 * what was published and is not settled yet, keeps the demand, and hands over what arrives. What is
 * said on the connection is a wire session's affair (client_wire.h): client_tlspyo.c for tlspyo's
 * wire, client_native.c for `netkit-relay/1`.
 *
 *     DIAL -> GREETING -> LOGIN -> PROBE -> ALIVE -> FINISH -> BYE -> ENDED
 *       ^-------------- BACKOFF <-----------'
 *
 * What the wires can say differs:
 *
 *                         native                            tlspyo
 *     after a reconnect   what is not settled is sent       what was sent stays in doubt: see
 *                         again, the relay drops what it    relay_client_conf.doubt
 *                         has already (producer id, seq)
 *     an object's group   always known                      known when one group was joined
 *     kind, seq, tries    known                             kind known before any demand only
 *     metadata            carried                           dropped (content becomes a pickle)
 *     nack, extend        yes                               NK_EUNSUPPORTED
 *     retained objects    once                              again after each reconnect
 *
 * All callbacks come from the loop, never from inside a call of this header.
 */
#ifndef NK_RELAY_CLIENT_H
#define NK_RELAY_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/secret.h"
#include "relay/login_client.h"
#include "relay/wire_client.h"
#include "relay/wire_meta.h"
#include "relay/wire_native.h"

struct nk_app;
struct nk_endpoint;
struct nk_stream;
struct relay_client;

#define RELAY_CLIENT_NO_GROUP UINT32_MAX /* the group of a delivery that the wire does not tell */
#define RELAY_CLIENT_GROUPS_MAX 65536    /* handles of one client */

enum relay_client_wire { RELAY_CLIENT_AUTO, RELAY_CLIENT_NATIVE, RELAY_CLIENT_TLSPYO };

/* What becomes of objects that were sent over tlspyo's wire and not acknowledged when the
 * connection ended: they may have arrived or not, and a repetition would be a second object. */
enum relay_client_doubt {
    RELAY_CLIENT_DOUBT_ENDS, /* the client ends and says how many */
    RELAY_CLIENT_DOUBT_DROPS /* they are settled with -ECONNRESET, and the client goes on */
};

struct relay_client_conf {
    const struct nk_endpoint *connect; /* everything here is borrowed until relay_client_close */
    const char *where;                 /* how messages name the relay: "tcp:127.0.0.1:3000" */
    /* put TLS over take_lower (as tls_wrap_client does); NULL: the transport is used as it is */
    int (*secure)(void *arg, struct nk_app *app, struct nk_stream *take_lower,
                  struct nk_stream **out, struct nk_diag *diag);
    void *secure_arg;
    const struct nk_secret *password;
    const char *const *groups; /* groups to join, without duplicates: handles 0 .. ngroups-1 */
    size_t ngroups;
    unsigned header_size;
    size_t max_object;     /* largest object accepted from the relay, bytes */
    uint64_t login_ms;     /* longest time from dialling to ALIVE; 0 = 15 s */
    uint64_t retry_ms;     /* before the first ALIVE: for how long to try again; 0 = one attempt */
    bool reconnect;        /* after a loss: come back, for as long as it takes */
    size_t buffer_bytes;   /* most that is kept unsettled, bytes; 0 = no limit */
    uint64_t buffer_count; /* the same, in objects; 0 = no limit */
    enum relay_client_wire wire; /* AUTO: what TLS agrees on (ALPN); without TLS, what the relay's
                                    greeting says; on a unix socket native */
    enum relay_client_doubt doubt;
    const char *name; /* what the native wire calls us towards the relay; NULL = none */
    /* login on the native wire (relay/login_client.h) */
    bool local;                  /* a unix socket: our uid may do */
    bool certificate;            /* the TLS handshake showed one of ours */
    const struct nk_secret *key; /* Ed25519 secret key, or NULL */
    const char *identity;        /* or NULL */
    enum relay_trust trust;      /* what the TLS handshake proves of the relay */
    /* the same, asked for each connection; NULL: trust */
    enum relay_trust (*trust_of)(void *arg, struct nk_stream *s);
    /* the login has succeeded, and by what the relay was authenticated; negative: refuse it. May be
     * NULL */
    int (*on_login)(void *arg, struct nk_stream *s, enum relay_trust trust, struct nk_diag *diag);
    void *login_arg;
};

/* --- objects that arrive ---------------------------------------------------------------------- */

enum relay_client_kind {
    RELAY_KIND_UNKNOWN,  /* tlspyo's wire, after something was asked for */
    RELAY_KIND_RETAINED, /* the broadcast that the group had kept */
    RELAY_KIND_BROADCAST,
    RELAY_KIND_ITEM /* produced: leased until ack or nack */
};

/* Names a delivery towards the relay. */
struct relay_client_lease {
    enum relay_client_wire wire;
    uint32_t group;
    uint64_t seq;        /* native: the item's number; tlspyo: the stamp */
    uint64_t connection; /* the session it belongs to */
};

struct relay_client_object {
    struct relay_client_lease lease;
    uint32_t group; /* handle, or RELAY_CLIENT_NO_GROUP */
    enum relay_client_kind kind;
    enum relay_content content;    /* always RELAY_CONTENT_PICKLE on tlspyo's wire */
    uint64_t seq;                  /* version of a broadcast, number of an item; 0 = not known */
    uint32_t tries;                /* how often the item was delivered before */
    bool asked;                    /* something had been asked for on this connection */
    const struct relay_meta *meta; /* NULL: none. It, its block and data are valid during */
    const uint8_t *meta_block;     /* on_object only (relay_meta_header wants the block) */
    const uint8_t *data;
    size_t len;
};

struct relay_client_ops {
    /* Logged in; again = true after a reconnect (standing demand is renewed by the client). */
    void (*on_alive)(void *owner, bool again);
    /* An object. Items, and everything on tlspyo's wire, are to be acknowledged with
     * relay_client_ack when they are safe; it does no harm for the others. May be NULL. */
    void (*on_object)(void *owner, const struct relay_client_object *d);
    /* Of what was published to the group, the objects numbered first .. last are settled: status 0
     * = the relay has them (1 = it had them already), else what it says. In ascending order, each
     * number once. May be NULL. */
    void (*on_settled)(void *owner, uint32_t group, uint64_t first, uint64_t last, int status);
    /* Everything that a relay_client_drain of the group brings has been delivered. May be NULL. */
    void (*on_drained)(void *owner, uint32_t group);
    /* An item that was to be extended is not ours any more: its time had passed, and the relay has
     * given it to somebody else, or will. May be NULL. */
    void (*on_lease_lost)(void *owner, const struct relay_client_lease *l);
    /* The answer to relay_client_purge: 0, or why not (NK_EAUTH: not allowed). May be NULL. */
    void (*on_purged)(void *owner, uint32_t group, int status);
    /* Something was sent, received or settled; at most once per turn. May be NULL. */
    void (*on_progress)(void *owner);
    /* The connection was lost or refused; another attempt follows in `again_ms`. May be NULL. */
    void (*on_lost)(void *owner, const struct nk_diag *why, uint64_t again_ms);
    /* The end, once: 0 after relay_client_finish, otherwise why. Objects that the relay has not
     * settled are counted in the text. */
    void (*on_end)(void *owner, int status, const struct nk_diag *why);
};

/* --- life ------------------------------------------------------------------------------------- */

/* relay_client_open - begin to connect. 0, -ENOMEM, NK_ETOOBIG (a group's name). */
int relay_client_open(struct nk_app *app, const struct relay_client_conf *conf,
                      const struct relay_client_ops *ops, void *owner, struct relay_client **out);

/* relay_client_close - end now, without waiting for anything; no callback afterwards. Allowed in
 * callbacks. NULL is fine. */
void relay_client_close(struct relay_client *c);

/* relay_client_finish - take no more objects in either direction; when everything published is
 * settled, and our acknowledgements have certainly been read, close and report on_end(0). */
void relay_client_finish(struct relay_client *c);

/* relay_client_alive - logged in at this moment. */
bool relay_client_alive(const struct relay_client *c);

/* --- groups ----------------------------------------------------------------------------------- */

/*
 * relay_client_group - the handle of a group (1..RELAY_NATIVE_NAME bytes), found or made; member:
 * its broadcasts and items are wanted, from then on. 0; NK_ETOOBIG; NK_ELIMIT; -ENOMEM;
 * NK_EUNSUPPORTED: tlspyo's wire learns the joined groups at login only, and that has been.
 */
int relay_client_group(struct relay_client *c, const char *name, bool member, uint32_t *out);

/* relay_client_group_name - its name, or NULL for no such handle. */
const char *relay_client_group_name(const struct relay_client *c, uint32_t group);

/* --- publishing ------------------------------------------------------------------------------- */

/* What tlspyo's members need around bytes or text that they shall read. */
enum relay_client_wrap {
    RELAY_WRAP_NONE,  /* the data are sent as they are */
    RELAY_WRAP_BYTES, /* as a pickled bytes object (content pickle) */
    RELAY_WRAP_STR    /* as a pickled str: they are valid UTF-8 (content pickle) */
};

struct relay_client_publish {
    uint32_t group;
    uint64_t copies; /* 0: a broadcast; n: that many copies into the group's queue */
    enum relay_content content;
    enum relay_client_wrap wrap;
    uint64_t ttl_ms;      /* 0 = for ever */
    const char *reply_to; /* group for the answer, or NULL */
    const uint8_t *correlation;
    size_t correlation_len;     /* <= RELAY_META_CORRELATION_MAX */
    const char *const *headers; /* texts "name=value" */
    size_t nheaders;
};

/*
 * relay_client_publish - queue an object. The data are copied. *number (may be NULL) gets its
 * number within the group: 1, 2 .. 0; NK_ELIMIT (the buffer's limits: again after on_progress;
 * counted in relay_client_state); NK_ETOOBIG (metadata); -ENOMEM; NK_ECLOSED after
 * relay_client_finish.
 */
int relay_client_publish(struct relay_client *c, const struct relay_client_publish *p,
                         const void *data, size_t len, uint64_t *number);

/* relay_client_publish_take - the same for a large object: data (malloc) belongs to c from then on,
 * also on failure, and is not copied. */
int relay_client_publish_take(struct relay_client *c, const struct relay_client_publish *p,
                              uint8_t *take_data, size_t len, uint64_t *number);

/* relay_client_fits - would an object of len bytes be taken, as far as the buffer's limits go? */
bool relay_client_fits(const struct relay_client *c, size_t len);

/* --- receiving -------------------------------------------------------------------------------- */

/* relay_client_credit - ask for n more items of a joined group, now there or later. The demand
 * stands until it is used up, across reconnects. */
void relay_client_credit(struct relay_client *c, uint32_t group, uint64_t n);

/* relay_client_wanted - items of the group that were asked for and have not arrived. */
uint64_t relay_client_wanted(const struct relay_client *c, uint32_t group);

/* relay_client_drain - ask for the items that are queued now, at most so many (0: all); on_drained
 * follows. On tlspyo's wire a limit is a notify, and what is left of it stands as demand. After a
 * loss in between the rest is asked for again. */
void relay_client_drain(struct relay_client *c, uint32_t group, uint64_t most);

/* relay_client_ack - done with it. Without effect when the session has gone. */
void relay_client_ack(struct relay_client *c, const struct relay_client_lease *l);

/* relay_client_nack - give it back, to be delivered again after delay_ms (RELAY_NATIVE_DEAD: to the
 * dead letters). relay_client_extend - keep it for another ms from now. 0; NK_EUNSUPPORTED on
 * tlspyo's wire; NK_ECLOSED when the session has gone (the relay gives it to somebody else). */
int relay_client_nack(struct relay_client *c, const struct relay_client_lease *l,
                      uint32_t delay_ms);
int relay_client_extend(struct relay_client *c, const struct relay_client_lease *l, uint32_t ms);

/* relay_client_holds - does the relay still hold this lease for us, as far as we know? False when
 * the session that it belongs to is over: then somebody else gets the item, or we, once more. */
bool relay_client_holds(const struct relay_client *c, const struct relay_client_lease *l);

/* relay_client_purge - drop what waits in the group's queue and what is retained (the right
 * `admin`); on_purged follows, unless the connection is lost before. 0; NK_EUNSUPPORTED on tlspyo's
 * wire; NK_ECLOSED without a session; -ENOMEM. */
int relay_client_purge(struct relay_client *c, uint32_t group);

/* relay_client_pause - stop (true) or go on (false) reading from the relay. */
void relay_client_pause(struct relay_client *c, bool paused);

/* --- how far it is ---------------------------------------------------------------------------- */

struct relay_client_state {
    enum relay_client_wire wire; /* of the present or last connection; AUTO: none yet */
    uint64_t published;          /* objects taken by relay_client_publish */
    uint64_t settled;            /* of these, with whatever status */
    uint64_t refused;            /* not taken because the buffer was full */
    size_t held;                 /* bytes of memory for what is not settled */
    size_t queued;               /* bytes of objects not sent yet */
    uint64_t sent, received;     /* bytes of objects since the beginning, parts included */
    uint64_t connections;        /* logins so far */
};
/* relay_client_state - a copy of all of it. */
void relay_client_state(const struct relay_client *c, struct relay_client_state *out);

/* relay_client_queued - state.queued. relay_client_unsettled - published minus settled. */
size_t relay_client_queued(const struct relay_client *c);
uint64_t relay_client_unsettled(const struct relay_client *c);

#endif
