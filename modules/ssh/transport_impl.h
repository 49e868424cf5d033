/* SPDX-License-Identifier: MIT */
/* transport_impl - what the files of the transport share: proto_transport.c (packets and their
 * routes), proto_ident.c (identification), proto_kex.c (key exchange). Tests of faults look in. */
#ifndef SSH_TRANSPORT_IMPL_H
#define SSH_TRANSPORT_IMPL_H

#include "ssh/packet.h"
#include "ssh/proto_transport.h"

enum { SSH_SAID_MAX = 200 /* bytes of a line of the server's that an error shows */ };

/* X(name): what is expected of the server. */
#define SSH_TRANSPORT_STATES(X)                                                                    \
    X(IDENT)                                                                                       \
    X(KEXINIT) /* in a re-exchange: after ours; whatever it sends otherwise is taken, too */       \
    X(GROUP)   /* KEX_GEX_GROUP */                                                                 \
    X(REPLY)   /* KEX_REPLY, KEX_GEX_REPLY */                                                      \
    X(WORK)    /* nothing of the server: a computation that the owner has taken */                 \
    X(ANSWER)  /* nothing of the server: the owner's word about its host key */                    \
    X(NEWKEYS) /* ours is sent */                                                                  \
    X(OPEN)                                                                                        \
    X(OVER)

enum ssh_transport_state {
#define SSH_TRANSPORT_ENUM(name) SSH_T_##name,
    SSH_TRANSPORT_STATES(SSH_TRANSPORT_ENUM)
#undef SSH_TRANSPORT_ENUM
};

/* A key exchange under way. */
struct ssh_exchange {
    struct nk_buf ours, theirs;       /* KEXINIT payloads */
    struct nk_buf pub, secret, value; /* value: the server's */
    struct nk_buf group;              /* what a group exchange adds to the hash */
    struct nk_buf host, signature;
    struct ssh_choice choice;
    struct ssh_kex *kex;
    struct ssh_protect *next_in;
    uint8_t hash[SSH_HASH_MAX];
    bool skip; /* the server has guessed, wrongly: its next packet is nobody's */
};

struct ssh_transport {
    struct ssh_sink sink; /* first */
    struct ssh_transport_conf conf;
    struct ssh_proposal proposal;
    enum ssh_transport_state state;
    struct nk_buf in, out;
    struct nk_buf held; /* u32 length and payload of each packet that waits */
    struct ssh_sealer sealer;
    struct ssh_opener opener;
    struct ssh_exchange *x;
    struct ssh_choice choice;
    bool strict;
    bool locked;        /* between our KEXINIT and our NEWKEYS: nothing of those above leaves */
    bool keyed;         /* the first key exchange is done on our side */
    bool ready_due;     /* ops->ready is to be called */
    bool authenticated; /* USERAUTH_SUCCESS came */
    bool busy;          /* within ops calls */
    bool asked, trusted;
    bool since_late; /* `since` is to be the next time there is one */
    int refused;     /* the owner's answer was no, for this reason */
    struct nk_diag why;
    uint64_t now, since, keys_since; /* since: the exchange, or the patience with one, began */
    uint64_t begun;                  /* our KEXINIT */
    uint64_t limit[2];               /* bytes under the current keys */
    uint64_t rekeys;
    uint8_t session_id[SSH_HASH_MAX];
    size_t session_id_n;
    struct nk_buf host, host_signature;
    char ident[SSH_IDENT_MAX + 1], server[SSH_IDENT_MAX + 1]; /* without the end of line */
    char said[SSH_SAID_MAX];
    unsigned lines, ext_infos;
    struct nk_buf sig_algs;
    bool has_sig_algs, hostbound, ping;
};

/* ssh_transport_set - another state; the one place that assigns it. */
void ssh_transport_set(struct ssh_transport *t, enum ssh_transport_state s);

/* ssh_transport_say - ops->trace with the printable form of n bytes. */
void ssh_transport_say(const struct ssh_transport *t, enum ssh_trace what, const void *p, size_t n);

/* ssh_ident_take - the line at the beginning of the input. 1: taken; 0: not whole; or an error. */
int ssh_ident_take(struct ssh_transport *t, struct nk_diag *diag);

/* ssh_kex_begin - our KEXINIT; nothing of those above is sent from here on. 0, -ENOMEM, NK_ELIMIT.
 */
int ssh_kex_begin(struct ssh_transport *t);

/* ssh_kex_message - a message 20..49. 0 or the error. */
int ssh_kex_message(struct ssh_transport *t, const struct ssh_packet *p, struct nk_diag *diag);

/* ssh_kex_computed - a step of the method is done: go on. 0 or the error. */
int ssh_kex_computed(struct ssh_transport *t, struct ssh_kex_task *take_task, struct nk_diag *diag);

/* ssh_kex_accept - the host key is the right one: NEWKEYS, and what was kept. 0 or the error. */
int ssh_kex_accept(struct ssh_transport *t, struct nk_diag *diag);

/* ssh_kex_drop - forget the exchange, wiping it. */
void ssh_kex_drop(struct ssh_transport *t);

/* ssh_transport_flush - what was kept goes out. 0 or the error. */
int ssh_transport_flush(struct ssh_transport *t, struct nk_diag *diag);

/* ssh_transport_full - NK_ELIMIT instead of NK_ETOOBIG of one of our buffers. */
int ssh_transport_full(int rc);

#endif
