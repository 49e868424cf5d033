/* SPDX-License-Identifier: MIT */
/* The stream itself; see README.md for its states. */
#ifndef NK_TLS_FILTER_H
#define NK_TLS_FILTER_H

#include "core/app.h"
#include "core/budget.h"
#include "core/stream.h"
#include "core/timer.h"
#include "tls/internal.h"
#include "tls/ssl_data.h"
#include "tls/ssl_keyupdate.h"

/* X(name) - what the stream waits for. */
#define TLS_STATES(X)                                                                              \
    X(LOWER)     /* the stream below to be connected */                                            \
    X(HELLO)     /* server: the whole first record; nothing is allocated yet */                    \
    X(HANDSHAKE) /* messages of the handshake */                                                   \
    X(OPEN)      /* application data */                                                            \
    X(FAILED)    /* the owner to close */

#define TLS_STATE_ENUM(name) TLS_##name,
enum tls_stream_state { TLS_STATES(TLS_STATE_ENUM) TLS_STATE_COUNT };
#undef TLS_STATE_ENUM

/* What somebody who does not speak TLS has sent instead. */
enum tls_other { TLS_OTHER_NONE, TLS_OTHER_SOME, TLS_OTHER_PROXY /* a PROXY protocol header */ };

/* Bytes at p + off; p is a pooled block, or (exact) a heap block of just these bytes, or NULL. */
struct tls_bytes {
    uint8_t *p;
    size_t off, len;
    bool exact;
};

/* Only during the handshake. */
struct tls_attempt {
    struct tls_verify verify;
    struct nk_preauth preauth;
    struct nk_timer deadline;
    bool resuming; /* client: a session was offered */
};

struct tls_stream {
    struct nk_stream s; /* first */
    struct nk_stream *lower;
    struct tls_state *creds;
    struct tls_io *io;
    struct tls_attempt *attempt; /* NULL once open or failed */
    struct tls_peer *peer;       /* client, resumed session: who it was */
    bool bindable;               /* NK_Q_EXPORTER may answer */
    char *host;                  /* client */
    char *target;                /* client: what sessions are kept by; NULL: not at all */
    mbedtls_ssl_context ssl;
    struct tls_bytes in, out; /* records from and to the lower stream */
    size_t record_left;       /* bytes of the current record that mbedTLS may fetch */
    struct nk_defer settle;   /* end of turn: flush, park */
    int lower_error;          /* why reading below ended; 0 and lower_ended: end of stream */
    int read_error, write_error;
    struct tls_keyupdate ku;
    struct tls_park park;
    uint8_t state;
    uint8_t tickets; /* received without data in between */
    uint8_t empty;   /* empty records received in a row */
    uint8_t other;   /* enum tls_other: what came first */
    bool data_here;  /* application data goes through ssl_data.h */
    bool looked;     /* at the first bytes to send */
    bool lower_ended, ended, shut, shut_below, has_ssl, want_write;
};

/* tls_stream_set_state - the only way a state changes; logged at debug level. */
void tls_stream_set_state(struct tls_stream *f, enum tls_stream_state to);

/* What a server knows about the client of an open stream; borrowed from it. */
struct tls_about {
    const char *version, *suite; /* "TLSv1.3", as OpenSSL calls them */
    const uint8_t *cert;         /* the client's certificate (DER), or NULL */
    size_t cert_len;
};

/* tls_stream_about - s is the open stream of tls_wrap_server. */
void tls_stream_about(struct nk_stream *s, struct tls_about *out);

/* --- io.c: between mbedTLS and the lower stream ----------------------------------------------- */

/* mbedTLS's callbacks; arg is the stream. tls_recv gives whole records only, as long as more can
 * come. */
int tls_send(void *arg, const unsigned char *p, size_t n);
int tls_recv(void *arg, unsigned char *p, size_t n);

/* Empty records that a peer may send in a row (RFC 8446 §5.1 allows them); more is an attack. */
#define TLS_EMPTY_MAX 32

/*
 * tls_open_data - the next record's application data to p, if it has room (n bytes) for all of it.
 * > 0: bytes. MBEDTLS_ERR_SSL_WANT_READ: nothing is there (with `more`, also: no room).
 * MBEDTLS_ERR_SSL_CONN_EOF, MBEDTLS_ERR_SSL_UNEXPECTED_MESSAGE (too many empty records). 0: it is
 * for mbedTLS to look at what is there.
 */
int tls_open_data(struct tls_stream *f, uint8_t *p, size_t n, bool more);

/* tls_seal_data - a record of n (1..TLS_RECORD_MAX) bytes of iov from byte skip on, behind what
 * waits for the lower stream. 0; MBEDTLS_ERR_SSL_WANT_WRITE: no room; or how the connection ends.
 */
int tls_seal_data(struct tls_stream *f, const struct iovec *iov, size_t skip, size_t n);

/* tls_fill - read ahead until a whole record is there (true), or nothing more comes now or ever. */
bool tls_fill(struct tls_stream *f);

/* tls_has_record - a whole record, or what cannot become one, is buffered. */
bool tls_has_record(const struct tls_stream *f);

/* tls_flush - hand waiting records down in one write. Errors end up in write_error. */
void tls_flush(struct tls_stream *f);

/* tls_settle_in - nothing left: give the block back; a partial record moves to a block of its size
 * when `shrink`. */
void tls_settle_in(struct tls_stream *f, bool shrink);

/* tls_bytes_clear - give the block back, or free it. */
void tls_bytes_clear(struct tls_stream *f, struct tls_bytes *b);

/* tls_update_lower - tell the lower stream what we wait for. */
void tls_update_lower(struct tls_stream *f);

/* --- handshake.c ------------------------------------------------------------------------------ */

/* tls_handshake_start - the lower stream is connected. tls_handshake_run - go on as far as
 * possible. */
void tls_handshake_start(struct tls_stream *f);
void tls_handshake_run(struct tls_stream *f);

/* tls_handshake_fail - end the attempt with rc and why. */
void tls_handshake_fail(struct tls_stream *f, int rc, const struct nk_diag *why);

/* tls_attempt_free - stop the timer, leave the pool, free. */
void tls_attempt_free(struct tls_stream *f);

/* tls_alert_name - "bad_certificate" (RFC 8446 §6), or "alert N" style text for unknown ones. */
const char *tls_alert_name(int alert);

/* tls_alert_is_refusal - the alert says that our certificate (or its absence) was not accepted. */
bool tls_alert_is_refusal(int alert);

/* tls_explain_alert - the fatal alert of the peer, during the handshake or later, with what to do.
 * Returns its code: NK_EAUTH for a refusal, else NK_EPROTO. */
int tls_explain_alert(int alert, bool handshake, struct nk_diag *why);

/* tls_keep_session - a client's session for later resumption. */
void tls_keep_session(struct tls_stream *f);

/* tls_suites_fast - does the ClientHello record at p offer a suite of the fast list? Also true when
 * it cannot be told. */
bool tls_suites_fast(const uint8_t *p, size_t n);

#endif
