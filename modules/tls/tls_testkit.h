/* SPDX-License-Identifier: MIT */
/* Helpers of this module's tests: certificates made on the spot. */
#ifndef NK_TLS_TESTKIT_H
#define NK_TLS_TESTKIT_H

#include "core/app.h"
#include "core/stream.h"
#include "tls/tls.h"

/* A key and certificate, as PEM texts. */
struct kit_cert {
    struct nk_secret key;
    struct nk_buf cert;
};

/* kit_cert_make - CN cn, comma-separated SANs (NULL: none), valid from `from` to `to` seconds
 * relative to now, signed by issuer (NULL: self-signed), a CA or not. Fails the test on errors. */
void kit_cert_make(struct kit_cert *out, const char *cn, const char *sans, int64_t from, int64_t to,
                   const struct kit_cert *issuer, bool ca);
void kit_cert_clear(struct kit_cert *c);

/* The PEM texts, NUL-terminated, valid until kit_cert_clear. */
const char *kit_cert_pem(struct kit_cert *c);
const char *kit_key_pem(struct kit_cert *c);

/* --- a lower stream for tests ----------------------------------------------------------------- */

/* Two streams joined by memory. Each direction holds at most `window` bytes, moves at most `chunk`
 * bytes per read and per write, and can be cut or damaged. */
struct kit_pipe {
    struct kit_end *end[2];
    size_t window, chunk;
    uint64_t moved[2];    /* bytes written by end i so far */
    uint64_t writes[2];   /* calls of writev that moved bytes */
    uint64_t reads[2];    /* calls of read by end i */
    int64_t damage_at[2]; /* flip a bit of the byte at this offset; -1: never */
    int64_t cut_at[2];    /* end of stream for the other end after so many bytes; -1: never */
};

/* kit_pipe_open - both ends, connected in the next turn. p must outlive them. */
void kit_pipe_open(struct nk_app *app, struct kit_pipe *p, size_t window, size_t chunk,
                   struct nk_stream **a, struct nk_stream **b);

/* --- one end of a TLS connection ----------------------------------------------------------------
 */

/* Owns a stream: reads into `got` while `reading`, writes `to_send` when there is something. */
struct kit_peer {
    struct nk_stream *s;
    struct nk_buf got, to_send;
    bool reading, connected, closed, ended, shut_when_sent, shut;
    int error; /* of read, write or the attempt */
    struct nk_diag why;
    size_t read_size; /* bytes asked for per read; 0: 64 KiB */
};

/* kit_peer_init - own the stream and read. kit_peer_send - queue n bytes and write what goes.
 * kit_peer_clear - close the stream and free. */
void kit_peer_init(struct kit_peer *p, struct nk_stream *take_s);
void kit_peer_send(struct kit_peer *p, const void *data, size_t n);
void kit_peer_clear(struct kit_peer *p);

/* kit_run - turn the loop until `done` or for at most 10 seconds; returns whether it was. */
bool kit_run(struct nk_app *app, bool (*done)(void *arg), void *arg);

/* --- both ends of a TLS connection over memory --- */

enum { KIT_DAY = 86400, KIT_WIDE = 1 << 20 };

/* Certificates are made once. */
struct kit_fixture {
    struct kit_cert ca, other_ca, leaf, old_leaf, client, old_client, stranger;
};

struct kit_rig {
    struct nk_app *app;
    struct tls_creds *sc, *cc;
    struct kit_pipe pipe;
    struct kit_peer server, client;
};

/* kit_set_up, kit_tear_down - of a group of tests, whose state is the struct kit_fixture. */
int kit_set_up(void **state);
int kit_tear_down(void **state);

/* kit_server_conf, kit_client_conf - that trust each other; valid as long as the fixture. */
struct tls_creds_conf kit_server_conf(struct kit_fixture *x);
struct tls_creds_conf kit_client_conf(struct kit_fixture *x);

/* kit_rig_new - credentials of both ends. kit_rig_connect - a connection to `host`, whose pipe has
 * this window and chunk. kit_rig_disconnect - end it. kit_rig_free - the rest. */
void kit_rig_new(struct kit_rig *r, const struct tls_creds_conf *sc,
                 const struct tls_creds_conf *cc);
void kit_rig_connect(struct kit_rig *r, const char *host, size_t window, size_t chunk);
void kit_rig_disconnect(struct kit_rig *r);
void kit_rig_free(struct kit_rig *r);

/* For kit_run with a struct kit_rig: both are connected or closed; both are connected; both have
 * ended or failed; both have got five bytes. */
bool kit_both_settled(void *arg);
bool kit_both_connected(void *arg);
bool kit_both_ended(void *arg);
bool kit_got_both(void *arg);

#endif
