/* SPDX-License-Identifier: MIT */
/*
 * From a connected lower stream to a verified peer, bounded in time (deadline), memory (the pool of
 * unauthenticated connections) and work per turn (nk_app_handshake_slot).
 */
#include <stdlib.h>
#include <string.h>

#include "base/cur.h"
#include "core/clock.h"
#include "tls/filter.h"

enum {
    RECORD_HANDSHAKE = 22, /* RFC 8446 §5.1 */
    CLIENT_HELLO = 1,
    RANDOM_LEN = 32,
    SUITE_TLS13_AES_128_GCM = 0x1301,
    SUITE_TLS13_AES_256_GCM = 0x1302,
    SUITE_TLS13_CHACHA20 = 0x1303
};

#define STATE_NAME(name) #name,
static const char *const state_names[] = {TLS_STATES(STATE_NAME)};
#undef STATE_NAME

void tls_stream_set_state(struct tls_stream *f, enum tls_stream_state to)
{
    nk_debug(nk_app_log(f->s.app), "tls", "%s -> %s", state_names[f->state], state_names[to]);
    f->state = (uint8_t)to;
}

/* --- alerts ----------------------------------------------------------------------------------- */

static const struct {
    int alert;
    const char *name;
} alerts[] = {
    /* RFC 8446 §6, RFC 5246 §7.2, RFC 7301 */
    {10, "unexpected_message"},  {20, "bad_record_mac"},          {22, "record_overflow"},
    {40, "handshake_failure"},   {41, "no_certificate"}, /* SSL 3.0; mbedTLS sends it for
                                                            certificate_required */
    {42, "bad_certificate"},     {43, "unsupported_certificate"}, {44, "certificate_revoked"},
    {45, "certificate_expired"}, {46, "certificate_unknown"},     {47, "illegal_parameter"},
    {48, "unknown_ca"},          {49, "access_denied"},           {50, "decode_error"},
    {51, "decrypt_error"},       {70, "protocol_version"},        {71, "insufficient_security"},
    {80, "internal_error"},      {109, "missing_extension"},      {110, "unsupported_extension"},
    {112, "unrecognized_name"},  {116, "certificate_required"},   {120, "no_application_protocol"},
};

const char *tls_alert_name(int alert)
{
    for (size_t i = 0; i < sizeof(alerts) / sizeof(alerts[0]); i++) {
        if (alerts[i].alert == alert) {
            return alerts[i].name;
        }
    }
    return "unknown alert";
}

bool tls_alert_is_refusal(int alert)
{
    return (alert >= 41 && alert <= 46) || alert == 48 || alert == 49 || alert == 116;
}

/* RFC 8446 §6, RFC 5246 §7.2 */
enum {
    ALERT_HANDSHAKE = 40,
    ALERT_NO_CERT = 41,
    ALERT_BAD_CERT = 42,
    ALERT_EXPIRED = 45,
    ALERT_UNKNOWN_CA = 48,
    ALERT_DENIED = 49,
    ALERT_VERSION = 70,
    ALERT_CERT_REQUIRED = 116
};

#define OLDER_HINT "min_version = 1.2 speaks with peers that have no TLS 1.3"

/* --- failing ---------------------------------------------------------------------------------- */

void tls_attempt_free(struct tls_stream *f)
{
    struct tls_attempt *a = f->attempt;
    if (a) {
        nk_timer_stop(&a->deadline);
        nk_preauth_leave(&a->preauth);
        free(a);
        f->attempt = NULL;
    }
}

void tls_handshake_fail(struct tls_stream *f, int rc, const struct nk_diag *why)
{
    if (f->state == TLS_FAILED) {
        return;
    }
    tls_flush(f); /* the alert, as far as it goes, and the end: the peer need not wait */
    if (f->state != TLS_LOWER) {
        nk_stream_shutdown(f->lower);
    }
    tls_stream_set_state(f, TLS_FAILED);
    nk_app_defer_cancel(f->s.app, &f->settle);
    if (f->has_ssl) {
        mbedtls_ssl_set_verify(&f->ssl, NULL, NULL);
        mbedtls_ssl_free(&f->ssl);
        f->has_ssl = false;
    }
    tls_attempt_free(f);
    tls_bytes_clear(f, &f->in);
    f->record_left = 0;
    f->read_error = f->write_error = rc;
    tls_bytes_clear(f, &f->out);
    nk_stream_interest(f->lower, 0);
    nk_stream_fail(&f->s, rc, why);
}

static void on_deadline(void *owner)
{
    struct tls_stream *f = owner;
    struct nk_diag why;
    nk_fail(&why, -ETIMEDOUT, "the TLS handshake was not finished within %u ms",
            (unsigned)f->creds->handshake_ms);
    tls_handshake_fail(f, -ETIMEDOUT, &why);
}

static void on_drop(void *owner)
{
    struct nk_diag why;
    nk_fail(&why, NK_ELIMIT, "too many unfinished TLS handshakes: the oldest was dropped");
    tls_handshake_fail(owner, NK_ELIMIT, &why);
}

int tls_explain_alert(int alert, bool handshake, struct nk_diag *why)
{
    static const struct {
        int alert;
        const char *hint;
    } hints[] = {
        {ALERT_HANDSHAKE, "no cipher in common, or it wants another certificate: its log may say"},
        {ALERT_BAD_CERT, "its log may say what is wrong with our certificate: often the name"},
        {ALERT_EXPIRED, "our certificate is too old, or a clock is wrong"},
        {ALERT_UNKNOWN_CA, "it does not trust the authority that signed our certificate"},
        {ALERT_DENIED, "no rule of its lets our certificate in"},
        {ALERT_VERSION, OLDER_HINT},
        {ALERT_NO_CERT, "it wants a certificate: give cert and key"},
        {ALERT_CERT_REQUIRED, "it wants a certificate: give cert and key"},
    };
    bool refusal = tls_alert_is_refusal(alert);
    nk_fail(why, refusal ? NK_EAUTH : NK_EPROTO, "the peer %s: %s",
            refusal     ? "refused us"
            : handshake ? "ended the TLS handshake"
                        : "ended the connection",
            tls_alert_name(alert));
    for (size_t i = 0; i < sizeof(hints) / sizeof(hints[0]); i++) {
        if (hints[i].alert == alert) {
            nk_hint(why, "%s", hints[i].hint);
        }
    }
    return why->code;
}

/* What came first was no record of TLS. */
static int explain_other(const struct tls_stream *f, struct nk_diag *why)
{
    nk_fail(why, NK_EPROTO, "the peer does not speak TLS");
    nk_hint(why, "%s",
            f->other == TLS_OTHER_PROXY    ? "accept_proxy_protocol is for headers like its"
            : f->creds->role == TLS_SERVER ? "clients have to: https://, or netkit tls client"
                                           : "is that the right port?");
    return NK_EPROTO;
}

static int explain(struct tls_stream *f, int rc, struct nk_diag *why)
{
    const struct nk_diag *verify = &f->attempt->verify.why;
    if (f->other) {
        return explain_other(f, why);
    }
    switch (rc) {
    case MBEDTLS_ERR_SSL_CONN_EOF:
        if (f->lower_error) {
            return nk_fail_sys(why, f->lower_error, "TLS handshake");
        }
        return nk_fail(why, NK_EPROTO, "the peer closed the connection during the TLS handshake");
    case MBEDTLS_ERR_SSL_FATAL_ALERT_MESSAGE:
        rc = tls_explain_alert(tls_rec_alert(&f->ssl), true, why);
        if (f->attempt->resuming) {
            tls_sessions_refused(f->creds->sessions, f->target);
            nk_hint(why, "it may not take resumed sessions: none is offered to it any more");
        }
        return rc;
    case MBEDTLS_ERR_SSL_NO_CLIENT_CERTIFICATE:
        return nk_fail(why, NK_EVERIFY, "the client sent no certificate, and one is required");
    case MBEDTLS_ERR_SSL_INVALID_RECORD:
        return explain_other(f, why);
    case MBEDTLS_ERR_SSL_BAD_PROTOCOL_VERSION:
        nk_fail(why, NK_EPROTO, "TLS handshake: no common protocol version");
        nk_hint(why, "%s", OLDER_HINT);
        return NK_EPROTO;
    case MBEDTLS_ERR_SSL_BAD_CERTIFICATE:
    case MBEDTLS_ERR_X509_CERT_VERIFY_FAILED:
        if (verify->code != 0) {
            *why = *verify;
            return why->code;
        }
        return nk_fail(why, NK_EVERIFY, "the peer's certificate may not be used for this purpose");
    default:
        return tls_check(rc, NK_EPROTO, why, "TLS handshake");
    }
}

/* --- succeeding ------------------------------------------------------------------------------- */

static void open_stream(struct tls_stream *f)
{
    mbedtls_ssl_set_verify(&f->ssl, NULL, NULL); /* its argument ends here */
    f->data_here = tls_data_usable(&f->ssl);
    if (mbedtls_ssl_get_peer_cert(&f->ssl) || !f->attempt->resuming) {
        free(f->peer); /* the offered session was not used */
        f->peer = NULL;
    }
    tls_attempt_free(f);
    if (mbedtls_ssl_get_version_number(&f->ssl) != MBEDTLS_SSL_VERSION_TLS1_3) {
        tls_keep_session(f); /* in TLS 1.3 tickets come later */
    }
    if (f->creds->role == TLS_SERVER) {
        tls_drop_handshake(&f->ssl);
    }
    f->ku.limit = f->creds->rekey_bytes;
    tls_stream_set_state(f, TLS_OPEN);
    if (f->shut) {
        mbedtls_ssl_close_notify(&f->ssl); /* the owner ended its direction while we were busy */
    }
    nk_stream_raise(&f->s, NK_CONNECTED | (f->want_write ? (unsigned)NK_WRITABLE : 0));
    f->want_write = false;
    if (f->in.len > 0) {
        nk_stream_again(&f->s);
    }
    nk_app_defer(f->s.app, &f->settle);
}

/* Where certificates are optional mbedTLS goes on with a bad one: that is worse than none. */
static int refuse_bad_certificate(struct tls_stream *f)
{
    if (f->creds->role != TLS_SERVER || !mbedtls_ssl_get_peer_cert(&f->ssl) ||
        mbedtls_ssl_get_verify_result(&f->ssl) == 0) {
        return 0;
    }
    (void)mbedtls_ssl_send_alert_message(&f->ssl, MBEDTLS_SSL_ALERT_LEVEL_FATAL,
                                         MBEDTLS_SSL_ALERT_MSG_BAD_CERT);
    return MBEDTLS_ERR_X509_CERT_VERIFY_FAILED;
}

static void run(struct tls_stream *f)
{
    struct nk_app *app = f->s.app;
    int rc = 0;
    while (rc == 0 && !tls_rec_ready(&f->ssl)) {
        if (!nk_app_handshake_slot(app)) {
            nk_stream_again(f->lower);
            rc = MBEDTLS_ERR_SSL_WANT_READ;
            break;
        }
        uint64_t from = nk_now_ns(app);
        f->bindable = tls_rec_bindable(&f->ssl, f->bindable);
        rc = mbedtls_ssl_handshake_step(&f->ssl);
        if (rc == 0 && f->creds->role == TLS_SERVER) {
            tls_rec_alert_keys(&f->ssl);
        }
        nk_app_handshake_spent(app, nk_now_ns(app) - from);
    }
    if (rc == 0) {
        rc = refuse_bad_certificate(f);
    }
    if (rc == 0) {
        tls_flush(f);
        open_stream(f);
    } else if (rc == MBEDTLS_ERR_SSL_WANT_READ || rc == MBEDTLS_ERR_SSL_WANT_WRITE) {
        tls_flush(f);
        tls_settle_in(f, true);
    } else {
        struct nk_diag why;
        if (rc == MBEDTLS_ERR_SSL_NO_CLIENT_CERTIFICATE) {
            /* without effect in TLS 1.3, where an alert was sent; RFC 5246 §7.4.6 */
            mbedtls_ssl_send_alert_message(&f->ssl, MBEDTLS_SSL_ALERT_LEVEL_FATAL,
                                           MBEDTLS_SSL_ALERT_MSG_HANDSHAKE_FAILURE);
        }
        rc = explain(f, rc, &why);
        tls_handshake_fail(f, rc, &why);
        return;
    }
    tls_update_lower(f);
}

/* --- beginning -------------------------------------------------------------------------------- */

static int set_up_client(struct tls_stream *f)
{
    const struct tls_verify *v = &f->attempt->verify;
    /* an address is compared by us and not sent as SNI; see verify.c */
    int rc = mbedtls_ssl_set_hostname(&f->ssl, v->ip_len ? NULL : v->host);
    if (rc == 0 && f->target && (f->peer = calloc(1, sizeof(*f->peer))) != NULL) {
        f->attempt->resuming = tls_sessions_take(f->creds->sessions, f->target, &f->ssl, f->peer);
    }
    return rc;
}

static void set_up(struct tls_stream *f, const mbedtls_ssl_config *conf)
{
    struct nk_diag why;
    mbedtls_ssl_init(&f->ssl);
    f->has_ssl = true;
    int rc = tls_park_setup(&f->ssl, conf, tls_io_parking(f->io));
    if (rc == 0) {
        mbedtls_ssl_set_bio(&f->ssl, f, tls_send, tls_recv, NULL);
        f->attempt->verify.ssl = &f->ssl;
        mbedtls_ssl_set_verify(&f->ssl, tls_verify_cb, &f->attempt->verify);
        rc = f->creds->role == TLS_CLIENT ? set_up_client(f) : 0;
    }
    if (rc != 0) {
        rc = tls_check(rc, NK_EINTERNAL, &why, "TLS");
        tls_handshake_fail(f, rc, &why);
        return;
    }
    tls_stream_set_state(f, TLS_HANDSHAKE);
    run(f);
}

bool tls_suites_fast(const uint8_t *p, size_t n)
{
    struct nk_cur c, suites;
    bool slow = false;
    nk_cur_init(&c, p, n);
    if (nk_cur_u8(&c) != RECORD_HANDSHAKE || (nk_cur_bytes(&c, 4), nk_cur_u8(&c)) != CLIENT_HELLO) {
        return true;
    }
    nk_cur_bytes(&c, 3 + 2 + RANDOM_LEN); /* length, legacy_version, random */
    nk_cur_bytes(&c, nk_cur_u8(&c));      /* legacy_session_id */
    suites = nk_cur_sub(&c, nk_cur_be16(&c));
    while (nk_cur_left(&suites) >= 2) {
        uint16_t suite = nk_cur_be16(&suites);
        if (suite == SUITE_TLS13_AES_256_GCM || suite == SUITE_TLS13_CHACHA20) {
            return true;
        }
        slow |= suite == SUITE_TLS13_AES_128_GCM;
    }
    return !slow;
}

static void server_hello(struct tls_stream *f)
{
    struct nk_diag why;
    bool whole = tls_fill(f);
    if (f->in.len > 0 && !f->attempt->preauth.pool) {
        nk_preauth_enter(nk_app_preauth(f->s.app), &f->attempt->preauth);
        int rc = nk_preauth_charge(&f->attempt->preauth, TLS_HANDSHAKE_BYTES);
        if (rc < 0) {
            nk_fail(&why, rc, "no memory is left for unauthenticated connections");
            tls_handshake_fail(f, rc, &why);
            return;
        }
    }
    if (whole) {
        bool fast = tls_suites_fast(f->in.p + f->in.off, f->in.len);
        set_up(f, fast ? &f->creds->ssl : &f->creds->compat);
    } else if (f->lower_ended || f->lower_error) {
        int rc = explain(f, MBEDTLS_ERR_SSL_CONN_EOF, &why);
        tls_handshake_fail(f, rc, &why);
    } else {
        tls_settle_in(f, true);
        tls_update_lower(f);
    }
}

static int new_attempt(struct tls_stream *f)
{
    struct tls_attempt *a = calloc(1, sizeof(*a));
    if (!a) {
        return -ENOMEM;
    }
    f->attempt = a;
    a->preauth.drop = on_drop;
    a->preauth.owner = f;
    tls_verify_init(&a->verify, &f->creds->pins, f->creds->role == TLS_CLIENT ? f->host : NULL);
    a->verify.any = f->creds->unverified;
    a->verify.access = f->creds->role == TLS_SERVER ? &f->creds->access : NULL;
    nk_timer_init(&a->deadline, f->s.app, on_deadline, f);
    nk_timer_start(&a->deadline, f->creds->handshake_ms);
    return 0;
}

void tls_handshake_run(struct tls_stream *f)
{
    if (f->state == TLS_HELLO) {
        server_hello(f);
    } else {
        run(f);
    }
}

void tls_handshake_start(struct tls_stream *f)
{
    struct nk_diag why;
    if (new_attempt(f) < 0) {
        nk_fail_sys(&why, -ENOMEM, "TLS handshake");
        tls_handshake_fail(f, -ENOMEM, &why);
    } else if (f->creds->role == TLS_CLIENT) {
        set_up(f, &f->creds->ssl);
    } else {
        tls_stream_set_state(f, TLS_HELLO);
        server_hello(f);
    }
}
