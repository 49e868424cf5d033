/* SPDX-License-Identifier: MIT */
/*
 * proto_transport - the client's side of the transport layer (RFC 4253): identification, key
 * exchange, protection of packets, key re-exchange. Bytes and time in, bytes and calls out.
 *
 * The owner reads into ssh_transport_space, says so with ssh_transport_feed, and writes what is in
 * ssh_transport_out whenever there is something. Machines above (userauth, channels) write their
 * packets to ssh_transport_sink and get payloads through ops->payload.
 *
 *   - Our identification is there at once; our KEXINIT follows the server's (or a second later, for
 *     a server that waits for ours), in one flight with the first message of the exchange. That
 *     costs no round trip, and what is offered can depend on whether the server knows strict key
 *     exchange (CVE-2023-48795), which is always used where it does.
 *   - NEWKEYS and what ops->ready makes the machines above send are in one flight.
 *   - During a key exchange, what may not be sent (RFC 4253 7.1) is kept and follows our NEWKEYS;
 *     what came before the server's KEXINIT is taken as ever.
 *   - Keys are exchanged anew after so many bytes, packets or milliseconds, whichever side counts
 *     them, and whenever the server asks.
 */
#ifndef SSH_PROTO_TRANSPORT_H
#define SSH_PROTO_TRANSPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "ssh/algo.h"
#include "ssh/pubkey.h"
#include "ssh/sink.h"
#include "ssh/wire.h"

struct ssh_transport;

#define SSH_NEVER UINT64_MAX /* a time that does not come */
#define SSH_HELD_MAX                                                                               \
    ((size_t)16 * 1024 * 1024) /* bytes that wait for the end of a key exchange                    \
                                */
#define SSH_OUTPUT_MAX ((size_t)64 * 1024 * 1024)
#define SSH_REKEY_PACKETS ((uint64_t)1 << 31) /* under one key (RFC 4344 3.1) */

enum {
    SSH_IDENT_MAX = 255,       /* bytes with CR LF (RFC 4253 4.2) */
    SSH_PRE_IDENT_LINE = 8192, /* bytes of a line that may come before it */
    SSH_PRE_IDENT_LINES = 50,
    SSH_KEXINIT_PATIENCE_MS = 1000, /* for the server's KEXINIT before ours is sent */
    SSH_KEX_TIMEOUT_MS = 120000,    /* for a key exchange, once it has begun */
    SSH_KEXINIT_WAIT_MS = 600000,   /* so long, data that come instead of an answer to our KEXINIT
                                       begin that time anew: they may have been on their way */
    SSH_READ_SIZE = 256 * 1024
};

/* Reasons of DISCONNECT (RFC 4253 11.1). */
enum ssh_reason {
    SSH_REASON_PROTOCOL_ERROR = 2,
    SSH_REASON_KEX_FAILED = 3,
    SSH_REASON_MAC_ERROR = 5,
    SSH_REASON_HOST_KEY = 9,
    SSH_REASON_BY_APPLICATION = 11,
    SSH_REASON_NO_AUTH = 14 /* no more authentication methods available */
};

/* With a server that does not know strict key exchange. */
enum ssh_strict_kex {
    SSH_STRICT_KEX_PREFER, /* what is exposed without it is taken only if there is nothing else */
    SSH_STRICT_KEX_REQUIRE /* the connection is refused */
};

/* The host key with which the server has signed this key exchange; valid until return. */
struct ssh_host_key {
    struct ssh_public key;          /* key.blob: as it came */
    const struct ssh_sig_type *alg; /* with which it has signed */
    bool again; /* another certificate of the authority that was trusted at first, in a later
                   exchange */
};

/* Something happened that a log may tell; text is printable. */
enum ssh_trace {
    SSH_TRACE_IDENT,   /* the server's identification */
    SSH_TRACE_LINE,    /* a line before it */
    SSH_TRACE_CHOICE,  /* what was negotiated (ssh_transport_choice) */
    SSH_TRACE_NEWKEYS, /* both directions have new keys */
    SSH_TRACE_DEBUG,   /* a message DEBUG that the server wants shown */
    SSH_TRACE_EXT_INFO /* the name of an extension that the server has */
};

/* All calls come from within ssh_transport_feed, _tick, _trust or _computed; none after an error.
 * None of them may free the transport. */
struct ssh_transport_ops {
    /* whose key is it? Answer with ssh_transport_trust, now or later; nothing else is read until
     * then. For the first key exchange, and where a later one has `again` */
    void (*host_key)(void *owner, const struct ssh_host_key *k);
    /* the first key exchange is done: SERVICE_REQUEST and what follows may be sent */
    void (*ready)(void *owner);
    /* a message for those above: everything but 1, 2, 4, 7, 20..49 and PING; UNIMPLEMENTED is among
     * them. 1: taken; 0: nobody knows this number, UNIMPLEMENTED is answered; or an error, which
     * ends the connection */
    int (*payload)(void *owner, const uint8_t *payload, size_t n, struct nk_diag *diag);
    /* a computation of more than 10 ms: 0: ssh_kex_task_run is called on any thread, then, never
     * from inside, ssh_transport_computed; nothing is read until then. Or the error for which it
     * cannot be so: it is done at once, as it is without this call. May be NULL */
    int (*compute)(void *owner, struct ssh_kex_task *task);
    /* may be NULL */
    void (*trace)(void *owner, enum ssh_trace what, const char *text);
};

struct ssh_transport_conf {
    const struct ssh_proposal *proposal; /* copied; NULL: ssh_proposal_init's */
    const char *software;                /* without '-' and space, 1..64 printable characters */
    enum ssh_strict_kex strict;
    unsigned min_rsa;       /* bits; 0: SSH_RSA_MIN */
    uint64_t rekey_bytes;   /* in either direction; 0: what the cipher allows (RFC 4344 3.2) */
    uint64_t rekey_packets; /* 0: SSH_REKEY_PACKETS */
    uint64_t rekey_ms;      /* 0: never */
    const struct ssh_transport_ops *ops;
    void *owner;
};

/* ssh_transport_new - our identification is in the output then. 0 or -ENOMEM. now_ms, here and
 * below: a monotonic clock. */
int ssh_transport_new(struct ssh_transport **out, const struct ssh_transport_conf *conf,
                      uint64_t now_ms, struct nk_diag *diag);

/* ssh_transport_free - wipes the keys; NULL is fine. */
void ssh_transport_free(struct ssh_transport *t);

/* ssh_transport_space - where to read to: *n bytes (at least 1) at *p. 0 or -ENOMEM. Until then,
 * and not longer, payloads of ops->payload stay as they are after it has returned, too. */
int ssh_transport_space(struct ssh_transport *t, uint8_t **p, size_t *n, struct nk_diag *diag);

/*
 * ssh_transport_feed - n bytes came and lie where ssh_transport_space said (0: look again at what
 * is there). 0, or why the connection is over, in diag: NK_EPROTO; NK_EVERIFY for a host key; what
 * ops->payload returned; -ENOMEM; NK_ECLOSED when the server said DISCONNECT, with its words. A
 * DISCONNECT for the server, where there is one to send, is in the output then.
 */
int ssh_transport_feed(struct ssh_transport *t, size_t n, uint64_t now_ms, struct nk_diag *diag);

/* ssh_transport_eof - the server has ended the stream: what that means, an error always. */
int ssh_transport_eof(struct ssh_transport *t, struct nk_diag *diag);

/* ssh_transport_trust - the answer to ops->host_key: 0, or why not, in which case why's text (may
 * be NULL) is the diagnosis. From within that call it only takes note, and returns 0; otherwise the
 * connection goes on here: returns as ssh_transport_feed. */
int ssh_transport_trust(struct ssh_transport *t, int answer, const struct nk_diag *why,
                        uint64_t now_ms, struct nk_diag *diag);

/* ssh_transport_computed - a task of ops->compute is done; returns as ssh_transport_feed. Who has
 * closed the transport frees its task instead. */
int ssh_transport_computed(struct ssh_transport *t, struct ssh_kex_task *take_task, uint64_t now_ms,
                           struct nk_diag *diag);

/* ssh_transport_due - when ssh_transport_tick is to be called, or SSH_NEVER. _tick - time has
 * passed; returns as ssh_transport_feed, -ETIMEDOUT included. */
uint64_t ssh_transport_due(const struct ssh_transport *t);
int ssh_transport_tick(struct ssh_transport *t, uint64_t now_ms, struct nk_diag *diag);

/* ssh_transport_out - what is to be written; the owner consumes what it has written. */
struct nk_buf *ssh_transport_out(struct ssh_transport *t);

/* ssh_transport_wants_input - false while the owner's word about the host key, or a task of
 * ops->compute, is missing. */
bool ssh_transport_wants_input(const struct ssh_transport *t);

/* ssh_transport_sink - for packets of those above; open from ops->ready on. ssh_sink_begin:
 * -ENOMEM, NK_ETOOBIG, NK_ELIMIT (SSH_HELD_MAX or SSH_OUTPUT_MAX), NK_ECLOSED. */
struct ssh_sink *ssh_transport_sink(struct ssh_transport *t);

/* ssh_transport_backlog - bytes in the output and of kept packets. Who sends much looks here first,
 * and waits while it is large or keys are exchanged (ssh_transport_in_kex). */
size_t ssh_transport_backlog(const struct ssh_transport *t);
bool ssh_transport_in_kex(const struct ssh_transport *t);

/* ssh_transport_rekey - begin a key exchange; nothing happens when there is one, or before
 * USERAUTH_SUCCESS. 0 or -ENOMEM. */
int ssh_transport_rekey(struct ssh_transport *t, uint64_t now_ms);

/* ssh_transport_disconnect - say DISCONNECT and be over: nothing is read or sent afterwards but
 * what is in the output. text: a few words. Best effort; fine when it is over. */
void ssh_transport_disconnect(struct ssh_transport *t, enum ssh_reason reason, const char *text);

/* What the machines above need; valid from ops->ready on, until ssh_transport_free, and borrowed.
 * session_id: the first exchange hash. host_key: the blob trusted at first; host_signature: the
 * server's signature of the session's identifier by it (for the agent's session-bind). */
struct ssh_str ssh_transport_session_id(const struct ssh_transport *t);
struct ssh_str ssh_transport_host_key(const struct ssh_transport *t);
struct ssh_str ssh_transport_host_signature(const struct ssh_transport *t);

/* ssh_transport_sig_algs - server-sig-algs of EXT_INFO (RFC 8308 3.1), a name-list; no bytes and
 * p NULL when it did not come (yet). _has_hostbound - publickey-hostbound@openssh.com did.
 * _has_ping
 * - ping@openssh.com did: PING is answered by a PONG. */
struct ssh_str ssh_transport_sig_algs(const struct ssh_transport *t);
bool ssh_transport_has_hostbound(const struct ssh_transport *t);
bool ssh_transport_has_ping(const struct ssh_transport *t);

/* ssh_transport_choice - what the last key exchange agreed on. _strict - whether it is strict.
 * _ident - the server's identification without its end of line, "" before it came. _rekeys - key
 * exchanges after the first. */
const struct ssh_choice *ssh_transport_choice(const struct ssh_transport *t);
bool ssh_transport_is_strict(const struct ssh_transport *t);
const char *ssh_transport_ident(const struct ssh_transport *t);
uint64_t ssh_transport_rekeys(const struct ssh_transport *t);

#endif
