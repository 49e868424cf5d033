/* SPDX-License-Identifier: MIT */
/*
 * tls - TLS 1.3 (1.2 on request) over any stream, credentials, and certificates (RFC 8446, RFC
 * 5280).
 *
 * A client always verifies the server, by one of these, and never by nothing (but see
 * `unverified`): pins  the certificate or its public key has one of the given SHA-256 values. The
 * pin is the identity: neither chain, name nor dates are looked at. ca    the chain leads to a
 * certificate of this file (a self-signed leaf may be its own), the dates are right and the name
 * (or IP address, against IP SANs) matches. else  the same against the system's CA bundle. A server
 * asks for a client certificate when it has `ca` or `pins`, and then requires one. No byte reaches
 * the owner of the stream before the peer has been verified.
 *
 * Everything here belongs to the loop thread, as mbedTLS does.
 */
#ifndef NK_TLS_TLS_H
#define NK_TLS_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/buf.h"
#include "base/err.h"
#include "base/secret.h"
#include "core/stream.h"

struct nk_app;
struct tls_creds;

#define TLS_HASH 32                         /* SHA-256 */
#define TLS_PIN_TEXT (7 + 2 * TLS_HASH + 1) /* "sha256:" and hex */
#define TLS_MAX_PINS 64
#define TLS_MAX_ALPN 16
#define TLS_PEM_MAX ((size_t)4 * 1024 * 1024) /* largest CA bundle that is read */
#define TLS_HANDSHAKE_MS 10000                /* default time for a handshake */
#define TLS_REKEY_BYTES                                                                            \
    ((uint64_t)64 << 30) /* KeyUpdate after so many bytes in one direction; the                    \
                            bound of RFC 8446 §5.5 is near 390 GB */
/* Memory of a handshake in progress, charged to the pool of unauthenticated connections: two record
 * buffers of mbedTLS, its handshake state, and parsed certificates (measured 44 KB). */
#define TLS_HANDSHAKE_BYTES ((size_t)48 * 1024)

enum tls_role { TLS_CLIENT, TLS_SERVER };

/* What a verified client's certificate must have in it to be let in. The values of the last four
 * are one higher than the index of their list in a configuration. */
enum tls_allow {
    TLS_ALLOW_VERIFIED, /* nothing: everybody who was verified */
    TLS_ALLOW_CN,       /* one of these common names, exactly */
    TLS_ALLOW_DNS,      /* one of these DNS names among its alternative names */
    TLS_ALLOW_URI,      /* one of these URIs there; access.h has its patterns */
    TLS_ALLOW_PIN       /* it or its key has one of these SHA-256 */
};
#define TLS_ALLOW_LISTS 4

/* Choices of an option "truncation": 0 abort, 1 end (end_unsaid). */
extern const char *const tls_truncations[];
#define TLS_TRUNCATION_HELP                                                                        \
    "What a peer that ends without TLS's close_notify has done: been cut off, so that the other "  \
    "side is reset, or just ended"

/* What credentials are made from. Everything is copied. Paths are read when the object is made and
 * at each reload; a text (PEM) given instead of a path is used as it is and not reloaded. */
struct tls_creds_conf {
    enum tls_role role;
    const char *cert; /* PEM file: own certificate, then intermediates; a server needs it */
    const char *key;  /* PEM private key; NULL: it is in the cert file. File mode is checked */
    const char *ca;   /* PEM bundle that the peer's chain must lead to; see above for NULL */
    const char *cert_text, *key_text, *ca_text; /* PEM instead of the paths */
    const char *const *pins; /* "sha256:" + hex or base64 of a certificate's or SPKI's hash */
    size_t npins;
    const char *const *alpn; /* protocol names (RFC 7301), most wanted first */
    size_t nalpn;
    const char *name;     /* client: the name to expect and send instead of the host's */
    bool unverified;      /* client without ca and pins: any certificate will do, because the owner
                           * of the stream authenticates the peer itself (bound to NK_Q_EXPORTER, or
                           * by comparing NK_Q_PEERSPKI) before it sends or believes anything */
    enum tls_allow allow; /* server with ca: which of the clients with a good certificate are */
    const char *const *allowed; /* let in; the others' handshakes fail with -EACCES, and they are */
    size_t nallowed;            /* told access_denied */
    const char *const *suites;  /* only these cipher suites, most wanted first; "TLS_AES_256_GCM_.."
                                 * (IANA) or "ECDHE-ECDSA-AES256-.." (OpenSSL) */
    size_t nsuites;
    bool optional;   /* server with ca or pins: a client may come without a certificate; one that
                      * it shows must be good all the same */
    bool tls12;      /* also speak TLS 1.2 (ECDHE with AEAD ciphers only) */
    bool no_tls13;   /* with tls12: speak nothing else; for peers that break on 1.3 */
    bool end_unsaid; /* between two records the stream below may end without close_notify: for
                      * peers that never send it. RFC 8446 §6.1 has it that bytes may be missing */
    uint64_t handshake_ms;    /* 0 = TLS_HANDSHAKE_MS */
    uint64_t rekey_bytes;     /* 0 = TLS_REKEY_BYTES */
    const struct nk_app *app; /* whose wall clock dates sessions, and which outlives the
                               * credentials; NULL: the system's */
};

/*
 * tls_creds_new - read and check everything; one reference. Errors: the read error, NK_EBADMODE
 * (key readable by others), NK_ECONFIG (not a certificate, key does not belong to it, bad pin,
 * server without certificate, a rule or suite that cannot be), -ENOMEM. The private key is parsed
 * into the heap and wiped when freed.
 */
int tls_creds_new(struct tls_creds **out, const struct tls_creds_conf *conf, struct nk_diag *diag);

/*
 * tls_creds_shared - as tls_creds_new, for a client: the same object for everybody in this app who
 * asks for the same options, as long as the files hold the same (they are read at each call). So
 * sessions are resumed, but never under other trust settings. The app keeps a few of them until it
 * ends; the caller gets a reference of its own.
 */
int tls_creds_shared(struct nk_app *app, struct tls_creds **out, const struct tls_creds_conf *conf,
                     struct nk_diag *diag);

/* tls_creds_ref - one more reference; returns c. */
struct tls_creds *tls_creds_ref(struct tls_creds *c);

/* tls_creds_unref - drop a reference; the last one frees and wipes. NULL is fine. */
void tls_creds_unref(struct tls_creds *c);

/* tls_creds_reload - read the files again. New streams use the new state, and session tickets
 * issued before are void (a narrowed CA must not be bypassed by resumption); streams that exist go
 * on. On error everything stays as it was. */
int tls_creds_reload(struct tls_creds *c, struct nk_diag *diag);

/* tls_creds_hash - SHA-256 of the own certificate (DER) and of its SPKI; either may be NULL.
 * -ENOENT without a certificate. */
int tls_creds_hash(const struct tls_creds *c, uint8_t cert[TLS_HASH], uint8_t spki[TLS_HASH]);

/* tls_creds_expiry - when the own certificate ends, seconds since 1970; 0 without one. */
int64_t tls_creds_expiry(const struct tls_creds *c);

/* tls_creds_warnings - what is wrong but not fatal with the own certificate at time `now` (seconds
 * since 1970): expired or within 30 days of it, no SAN. The text or "" goes to out; returns true
 * when there is one. (RSA keys below 2048 bits are refused, not warned about.) */
bool tls_creds_warnings(const struct tls_creds *c, int64_t now, char *out, size_t max);

/*
 * tls_wrap_client - TLS client over take_lower (connecting or connected; owned from then on, also
 * on failure). host is the name or address that was asked for (borrowed); it is checked and, when
 * it is a name, sent as SNI; NULL only with pins or conf.name. The stream is born handshaking:
 * NK_CONNECTED comes after the peer was verified; NK_CLOSED with NK_EVERIFY and the exact reason,
 * NK_EPROTO, -ETIMEDOUT, or the lower stream's error. Returns 0, -ENOMEM, NK_ECONFIG (no name to
 * check).
 *
 * The stream: nk_stream_shutdown sends close_notify; the peer's close_notify reads as 0 and does
 * not end our direction; an end without it is NK_ETRUNC (but see end_unsaid). nk_stream_close
 * without a shutdown before sends no close_notify, so that the peer can tell an abort from an end.
 */
int tls_wrap_client(struct nk_app *app, struct tls_creds *creds, const char *host,
                    struct nk_stream *take_lower, struct nk_stream **out, struct nk_diag *diag);

/* tls_wrap_client_to - the same; a session is resumed only when it is one with this `target`
 * (borrowed; NULL: the name that is verified): whatever tells one way to a server from another, as
 * a ticket shows its server that two connections come from one client. */
int tls_wrap_client_to(struct nk_app *app, struct tls_creds *creds, const char *host,
                       const char *target, struct nk_stream *take_lower, struct nk_stream **out,
                       struct nk_diag *diag);

/* tls_wrap_server - TLS server over take_lower; as above. Until the whole first record has come it
 * costs a few hundred bytes, then TLS_HANDSHAKE_BYTES of the pool of unauthenticated connections.
 */
int tls_wrap_server(struct nk_app *app, struct tls_creds *creds, struct nk_stream *take_lower,
                    struct nk_stream **out, struct nk_diag *diag);

/* tls_name_matches - whether a certificate (PEM or DER) is valid for host (DNS name with wildcards
 * per RFC 6125 §6.4.3, or an address against IP SANs). 1, 0, or NK_EFORMAT. */
int tls_name_matches(const void *cert, size_t n, const char *host);

/* --- certificates --------------------------------------------------------------------------- */

/* tls_hash_cert - SHA-256 of the first certificate of n bytes at p (PEM or DER) and of its SPKI;
 * either may be NULL. 0 or NK_EFORMAT. */
int tls_hash_cert(const void *p, size_t n, uint8_t cert[TLS_HASH], uint8_t spki[TLS_HASH],
                  struct nk_diag *diag);

/* tls_pin_format - "sha256:<hex>" into out (TLS_PIN_TEXT bytes). Returns out. */
char *tls_pin_format(char out[TLS_PIN_TEXT], const uint8_t hash[TLS_HASH]);

/* tls_pin_parse - "sha256:" (may be left out) and 64 hex digits (colons allowed) or base64 of 32
 * bytes. "sha256//" as curl writes it is fine too. 0 or NK_EFORMAT. */
int tls_pin_parse(const char *text, uint8_t out[TLS_HASH]);

enum tls_usage { TLS_USE_BOTH, TLS_USE_SERVER, TLS_USE_CLIENT };

/* What a new certificate shall say. NULL or 0 means "not there" unless said otherwise. */
struct tls_cert_spec {
    const char *cn; /* 1..64 bytes UTF-8 (ub-common-name); required but with csr */
    const char *email, *org, *unit, *country, *state, *locality;
    const char *const
        *sans; /* "DNS:name", "IP:addr", "URI:u", "EMAIL:a"; bare words are recognised */
    size_t nsans;
    int64_t not_before, not_after; /* seconds since 1970; before < after, year 1970..9999 */
    const char *serial;   /* positive, decimal or 0x-hex, at most 20 bytes; NULL: 127 random bits */
    bool ca;              /* may sign others (CA:TRUE, keyCertSign), but no CA (pathlen 0) */
    enum tls_usage usage; /* what it is good for, when it is no CA */
    const void *csr; /* a request (PKCS#10, PEM or DER): its key, and, without cn and sans, its */
    size_t csr_len;  /* subject and alternative names; nothing else in it counts. With issuer */
    const char *issuer_cert;            /* PEM of the CA; NULL: self-signed */
    const struct nk_secret *issuer_key; /* its key (PEM), with issuer_cert */
};

/*
 * tls_cert_generate - a new ECDSA P-256 key and a certificate for it, signed with ECDSA-SHA256 by
 * the issuer or by itself. key_pem gets the private key (SEC1 "EC PRIVATE KEY", as OpenSSL reads
 * it) in guarded memory; the certificate's PEM is appended to cert_pem (both untouched on failure).
 * With spec->csr the key is the request's, and key_pem may be NULL. Returns 0, NK_ECONFIG (which
 * field is wrong), NK_EFORMAT (issuer, request), NK_EVERIFY (the request's signature), -ENOMEM. ~3
 * ms.
 */
int tls_cert_generate(const struct tls_cert_spec *spec, struct nk_secret *key_pem,
                      struct nk_buf *cert_pem, struct nk_diag *diag);

#define TLS_NAME_TEXT 512
#define TLS_SANS_TEXT 1024

/* A certificate in words. */
struct tls_cert_info {
    char subject[TLS_NAME_TEXT], issuer[TLS_NAME_TEXT];
    char sans[TLS_SANS_TEXT]; /* "DNS:default, IP:127.0.0.1" */
    char serial[64];          /* hex, colons */
    char key[32];             /* "ECDSA P-256", "RSA 2048" */
    int64_t not_before, not_after;
    bool ca, self_signed, weak; /* weak: RSA below 2048 bits */
    uint8_t cert[TLS_HASH], spki[TLS_HASH];
};

/* tls_cert_describe - the first certificate of n bytes at p (PEM or DER). 0 or NK_EFORMAT. */
int tls_cert_describe(const void *p, size_t n, struct tls_cert_info *out, struct nk_diag *diag);

/* tls_cert_describe_all - fn for each certificate of a chain or bundle, as long as it returns 0. 0,
 * what fn returned, or NK_EFORMAT. */
int tls_cert_describe_all(const void *p, size_t n,
                          int (*fn)(void *owner, const struct tls_cert_info *info), void *owner,
                          struct nk_diag *diag);

/*
 * tls_cert_verify - would a client accept this chain? cert: PEM, leaf first; ca: PEM bundle; name
 * may be NULL (then it is not checked). 0, NK_EVERIFY with the reason in diag, or NK_EFORMAT.
 */
int tls_cert_verify(const void *cert, size_t n, const void *ca, size_t ca_n, const char *name,
                    struct nk_diag *diag);

/* tls_system_bundle - the file that clients without ca and pins trust: $SSL_CERT_FILE, or where the
 * usual distributions keep theirs; NULL when there is none. Static text or the environment's. */
const char *tls_system_bundle(void);

/* tls_format_time - "2026-11-20 23:59:00 UTC" into out (TLS_TIME_TEXT bytes). Returns out. */
#define TLS_TIME_TEXT 32
char *tls_format_time(char out[TLS_TIME_TEXT], int64_t seconds);

#endif
