/* SPDX-License-Identifier: MIT */
/* What the files of this module share: error mapping, credentials' inside, buffers, the filter. */
#ifndef NK_TLS_INTERNAL_H
#define NK_TLS_INTERNAL_H

#include <mbedtls/pk.h>
#include <mbedtls/ssl.h>
#include <mbedtls/x509_crt.h>
#include <mbedtls/x509_csr.h>
#include <sys/uio.h>

#include "tls/access.h"
#include "tls/ssl_park.h"
#include "tls/tls.h"

/* tls_crypto_start - PSA is needed by TLS 1.3; idempotent. 0 or NK_EINTERNAL. */
int tls_crypto_start(struct nk_diag *diag);

/* tls_check - 0 for 0; else an mbedTLS code becomes -ENOMEM or `code`, with "what: reason" in diag.
 * mbedTLS's numbers overlap ours, so its results never travel further than the next statement. */
int tls_check(int mbedtls_rc, int code, struct nk_diag *diag, const char *what);

/* tls_strerror - what an mbedTLS code means, for the ones that users meet; static text. */
const char *tls_strerror(int mbedtls_rc);

/* tls_parse_key - PEM or DER private key. An mbedTLS code. */
int tls_parse_key(mbedtls_pk_context *out, const struct nk_secret *key);

/* tls_csr_load - a certificate request (PEM or DER) into out, which is initialised: its signature
 * is checked, and that its key is not weak. 0, NK_EFORMAT, NK_EVERIFY, NK_ECONFIG, -ENOMEM. */
int tls_csr_load(mbedtls_x509_csr *out, const void *p, size_t n, struct nk_diag *diag);

/* tls_parse_certs - PEM (all blocks) or one DER certificate, appended to out. Unusable ones of a
 * bundle are left out. 0, NK_EFORMAT, -ENOMEM; diag starts with `what`. */
int tls_parse_certs(mbedtls_x509_crt *out, const void *p, size_t n, struct nk_diag *diag,
                    const char *what);

/* Hashes, texts and dates of a parsed certificate. */
void tls_crt_hash(const mbedtls_x509_crt *crt, uint8_t cert[TLS_HASH], uint8_t spki[TLS_HASH]);
void tls_crt_sans(char *out, size_t max, const mbedtls_x509_crt *crt);
void tls_crt_subject(char *out, size_t max, const mbedtls_x509_name *name);
/* Everything that a certificate calls its owner, a line each: "CN:alice", "DNS:a", "URI:b". A name
 * that does not fit, or whose bytes could be taken for another, is left out as a whole. */
void tls_crt_names(char *out, size_t max, const mbedtls_x509_crt *crt);
void tls_crt_describe(struct tls_cert_info *out, const mbedtls_x509_crt *crt);
int64_t tls_x509_seconds(const mbedtls_x509_time *t);

/* --- verification ---------------------------------------------------------------------------- */

struct tls_pins {
    size_t n;
    uint8_t (*hash)[TLS_HASH]; /* of certificates or SPKIs */
};

/* What one verification is about, and why it failed. */
struct tls_verify {
    const struct tls_pins *pins; /* not empty: they decide alone */
    const char *host;            /* expected name or address, or NULL */
    uint8_t ip[16];
    size_t ip_len;  /* not 0: host is an address */
    bool any;       /* everybody is let through: the stream's owner decides */
    bool untrusted; /* the chain leads to no authority of ours */
    struct nk_diag why;
    mbedtls_ssl_context *ssl;        /* the connection, or NULL */
    const struct tls_access *access; /* server: who is let in; NULL: everybody who is verified */
};

/* tls_verify_init - for one connection: pins and host (may be NULL) are borrowed while v is in use.
 */
void tls_verify_init(struct tls_verify *v, const struct tls_pins *pins, const char *host);

/* tls_verify_cb - mbedTLS's callback for each certificate, from the root (depth n) to the leaf (0);
 * arg is a struct tls_verify. */
int tls_verify_cb(void *arg, mbedtls_x509_crt *crt, int depth, uint32_t *flags);

/* --- tickets --------------------------------------------------------------------------------- */

#define TLS_TICKET_SECONDS                                                                         \
    (12 * 3600) /* how long a session may be resumed; RFC 8446 allows 7 days */

struct tls_ticket_keys;

/* Server: keys that encrypt session tickets; in guarded memory, replaced every TLS_TICKET_SECONDS
 * of app's wall clock (NULL: the system's). */
int tls_ticket_keys_new(const struct nk_app *app, struct tls_ticket_keys **out);
void tls_ticket_keys_free(struct tls_ticket_keys *k);

/* mbedTLS's callbacks (mbedtls_ssl_conf_session_tickets_cb); arg is a struct tls_ticket_keys. */
int tls_ticket_write(void *arg, const mbedtls_ssl_session *session, unsigned char *start,
                     const unsigned char *end, size_t *len, uint32_t *lifetime);
int tls_ticket_parse(void *arg, mbedtls_ssl_session *session, unsigned char *buf, size_t len);

/* Who the peer proved to be; kept with a client's session, because resumption sends no certificate.
 */
struct tls_peer {
    bool known;
    uint8_t cert[TLS_HASH], spki[TLS_HASH];
    char identity[256]; /* subject and SANs */
};

/* Client: sessions by server name, each used once (RFC 8446 appendix C.4), oldest dropped. */
struct tls_sessions;
struct tls_sessions *tls_sessions_new(const struct nk_app *app);
void tls_sessions_free(struct tls_sessions *s);

/* tls_sessions_put - keep the session of ssl for name. Failure only costs a full handshake later.
 */
void tls_sessions_put(struct tls_sessions *s, const char *name, const mbedtls_ssl_context *ssl,
                      const struct tls_peer *peer);

/* tls_sessions_refused - its server breaks off at resumed sessions, as OpenSSL's do that verify
 * clients and have set no session id context: none is kept for name any more. */
void tls_sessions_refused(struct tls_sessions *s, const char *name);

/* tls_sessions_take - set the session for name on ssl, if there is one that is young enough; true
 * then, and peer is who it was. */
bool tls_sessions_take(struct tls_sessions *s, const char *name, mbedtls_ssl_context *ssl,
                       struct tls_peer *peer);

/* --- credentials ----------------------------------------------------------------------------- */

#define TLS_SUITES_MAX 7 /* that mbedTLS is built with */

/* tls_suites_parse - n names of suites to their numbers, ended by 0. NK_ECONFIG: not one of ours,
 * twice, or (tls12 or tls13 not spoken) none that could ever be used. */
int tls_suites_parse(int out[TLS_SUITES_MAX + 1], const char *const *names, size_t n, bool tls12,
                     bool tls13, struct nk_diag *diag);

/* tls_suite_name - as OpenSSL calls a suite, NULL for one that is not ours. */
const char *tls_suite_name(int id);

/* What one reading of the files gave; shared by all streams that were made from it. */
struct tls_state {
    unsigned refs;
    enum tls_role role;
    mbedtls_ssl_config ssl;    /* with AES-256 and ChaCha20 */
    mbedtls_ssl_config compat; /* server: also AES-128, for peers that offer nothing else */
    mbedtls_x509_crt chain;    /* own certificate */
    mbedtls_pk_context key;
    mbedtls_x509_crt ca;
    bool has_cert;
    struct tls_pins pins;
    struct tls_access access;
    int suites[TLS_SUITES_MAX + 1]; /* as configured, ended by 0; empty: the usual ones */
    bool unverified, end_unsaid;
    bool told_inner; /* TLS within TLS was seen */
    char **alpn;     /* NULL-terminated, as mbedTLS keeps a pointer to it */
    char *name;      /* expected name, or NULL */
    uint64_t handshake_ms, rekey_bytes;
    struct tls_ticket_keys *tickets; /* server without client certificates */
    struct tls_sessions *sessions;   /* client */
};

/* tls_state_ref / tls_state_unref - the last one frees and wipes; unref of NULL is fine. */
struct tls_state *tls_state_ref(struct tls_state *s);
void tls_state_unref(struct tls_state *s);

/* tls_creds_state - the current state, with a reference of its own. */
struct tls_state *tls_creds_state(const struct tls_creds *c);

/* --- buffers --------------------------------------------------------------------------------- */

#define TLS_RECORD_MAX 16384                   /* RFC 8446 §5.1 */
#define TLS_RECORD_WIRE_MAX (5 + 16384 + 2048) /* header and the most that TLS 1.2 allows */
#define TLS_READ_AHEAD (64 * 1024)
#define TLS_OUT_LIMIT                                                                              \
    (64 * 1024)               /* bytes waiting for the lower stream before writes are refused      \
                               */
#define TLS_BLOCK (84 * 1024) /* either of the two, and one more record */

/* The buffers of all streams of an app: only streams that move bytes hold some. */
struct tls_io;

/* tls_io_get - the app's; made when first asked for. NULL without memory. */
struct tls_io *tls_io_get(struct nk_app *app);

/* Blocks of TLS_BLOCK bytes. */
uint8_t *tls_block_take(struct tls_io *io);
void tls_block_give(struct tls_io *io, uint8_t *block);

/* tls_io_crowded - so many blocks are out that a partial record should not keep one. */
bool tls_io_crowded(const struct tls_io *io);

/* tls_io_parking - mbedTLS's record buffers of parked connections (ssl_park.h). */
struct tls_park_pool *tls_io_parking(struct tls_io *io);

/* --- inside mbedTLS (record.c; see also ssl_park.h and ssl_keyupdate.h) --------------------------
 */

/* tls_rec_write - TLS 1.2: one record of n (1..TLS_RECORD_MAX) bytes gathered from iov, starting at
 * byte skip of the first one. An mbedTLS code. */
int tls_rec_write(mbedtls_ssl_context *ssl, const struct iovec *iov, size_t skip, size_t n);

/* tls_rec_flush - send what mbedTLS still holds of earlier records. An mbedTLS code. */
int tls_rec_flush(mbedtls_ssl_context *ssl);

/* tls_rec_ready - no message of the (post-)handshake is being worked on. mbedTLS's own question
 * says yes also while it has a ticket in hand. */
bool tls_rec_ready(const mbedtls_ssl_context *ssl);

/* tls_rec_bindable - may the exporter stand for this connection alone? In TLS 1.2 only behind a
 * full handshake with the extended master secret (RFC 7627, RFC 9266 §4.2). Known while the
 * handshake is there: asked before each step, with the answer before; afterwards that one stands.
 */
bool tls_rec_bindable(const mbedtls_ssl_context *ssl, bool before);

/* tls_rec_alert_keys - protect what is sent next with the keys that the peer expects alerts under.
 * In TLS 1.3, mbedTLS changes keys for its next message only, so that an alert in between would be
 * unreadable (a server's after its Finished, a client's after ServerHello; RFC 8446 §7.3, appendix
 * A). */
void tls_rec_alert_keys(mbedtls_ssl_context *ssl);

/* tls_rec_pending - plaintext is left from the last record. */
bool tls_rec_pending(const mbedtls_ssl_context *ssl);

/* tls_rec_alert_for - the alert that tells the peer why reading failed with rc (RFC 8446 §6.2), or
 * -1 when it has nothing to do with what it sent, or was told already. */
int tls_rec_alert_for(const mbedtls_ssl_context *ssl, int rc);

/* tls_rec_alert - description of the last alert received (RFC 8446 §6). */
int tls_rec_alert(const mbedtls_ssl_context *ssl);

#endif
