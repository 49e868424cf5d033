/* SPDX-License-Identifier: MIT */
/*
 * transport_testkit - a server for tests of the transport: the same packets and methods of key
 * exchange, played from the other side, with an Ed25519 host key or another, or a certificate of
 * it. What it sends during key exchange can be changed, left out and mixed with other things.
 */
#ifndef SSH_TRANSPORT_TESTKIT_H
#define SSH_TRANSPORT_TESTKIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "ssh/key.h"
#include "ssh/transport_impl.h"

enum { SSH_KIT_SEEN_MAX = 4096, SSH_KIT_HANDED_MAX = 64 * 1024 };

struct ssh_kit;

/* Sees each payload that the server is about to send in a key exchange, and may change it, or send
 * others first. false: it is not sent. */
typedef bool ssh_kit_tamper_fn(struct ssh_kit *k, struct nk_buf *payload);

/* What came that is not for the transport, 5 and 50 and above; false: the server cannot go on. */
typedef bool ssh_kit_above_fn(struct ssh_kit *k, const uint8_t *p, size_t n);

struct ssh_kit {
    /* set before ssh_kit_start */
    const char *ident;                         /* "SSH-2.0-kit" and its end of line */
    const char *kex, *host_alg, *cipher, *mac; /* offers; NULL: everything */
    const struct ssh_private *host;            /* its host key, borrowed; NULL: an Ed25519 key */
    const char *sign_as;                       /* algorithm of its signature; NULL: the right one */
    bool strict, follows, cert;
    bool wait_for_client; /* KEXINIT only after the client's */
    bool ext_info;        /* after the first NEWKEYS */
    ssh_kit_tamper_fn *tamper;
    ssh_kit_above_fn *above; /* may be NULL */
    void *arg;
    struct ssh_transport_conf conf; /* ops and owner are the kit's own */
    bool slow_answer;               /* to the question whose key it is: only ssh_kit_answer */
    int answer;
    bool slow_kex; /* slow steps of a key exchange wait for ssh_kit_compute */
    size_t chunk;  /* bytes that are moved at once; 0: all there are */
    size_t split;  /* the client gets this many bytes first, once; 0: no */

    /* what came of it */
    struct ssh_transport *t;
    struct ssh_kex_task *task; /* that waits */
    int rc;                    /* of the last call of the client's machine */
    struct nk_diag diag;
    unsigned asked, ready, choices, newkeys, disconnects, pongs, unimplemented;
    bool again; /* the last question was about another certificate */
    char fingerprint[SSH_FINGERPRINT_SIZE];
    uint8_t seen[SSH_KIT_SEEN_MAX]; /* numbers of messages that came to the server */
    size_t nseen;
    struct nk_buf handed; /* payloads that the client's machine has handed up */
    struct nk_buf got;    /* payloads, 50 and above, that came to the server */
    uint64_t now;

    /* the server's state */
    struct nk_buf in, out;
    struct ssh_sealer sealer;
    struct ssh_opener opener;
    struct nk_buf mine, theirs, group;
    struct ssh_choice choice;
    struct ssh_kex *method;
    bool sent_init, got_ident, keyed;
    struct ssh_protect *next_in;
    char client[SSH_IDENT_MAX + 1];
    uint8_t secret_key[64], ca_key[64];
    uint8_t session_id[SSH_HASH_MAX];
    size_t session_id_n;
};

/* ssh_kit_init - a server with everything, strict, and host keys of its own. */
void ssh_kit_init(struct ssh_kit *k);

/* ssh_kit_start - make both sides. ssh_kit_pump - carry bytes to and fro until nothing moves or the
 * client's machine has failed; returns k->rc. ssh_kit_run - both. */
int ssh_kit_start(struct ssh_kit *k);
int ssh_kit_pump(struct ssh_kit *k);
int ssh_kit_run(struct ssh_kit *k);

/* ssh_kit_serve - the server takes what has come to it; false: it cannot go on. */
bool ssh_kit_serve(struct ssh_kit *k);

/* ssh_kit_answer - the late answer about the host key. */
int ssh_kit_answer(struct ssh_kit *k, int answer);

/* ssh_kit_compute - the step that waits is done. Returns as ssh_kit_pump. */
int ssh_kit_compute(struct ssh_kit *k);

/* ssh_kit_send - a packet of the server's; false without memory. ssh_kit_send_number - one that has
 * only its number. */
bool ssh_kit_send(struct ssh_kit *k, const void *payload, size_t n);
bool ssh_kit_send_number(struct ssh_kit *k, uint8_t number);

/* ssh_kit_rekey - the server begins a key exchange. */
bool ssh_kit_rekey(struct ssh_kit *k);

/* ssh_kit_client_send - a packet of n bytes with this number through the client's sink. 0 or its
 * error. */
int ssh_kit_client_send(struct ssh_kit *k, uint8_t number, size_t n);

/* ssh_kit_clear - give everything back. */
void ssh_kit_clear(struct ssh_kit *k);

#endif
