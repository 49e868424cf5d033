/* SPDX-License-Identifier: MIT */
/* The TLS stream: what its owner and the lower stream call. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sodium.h>

#include "tls/filter.h"

enum {
    MAX_TICKETS = 64, /* in a row, without data between them */
    EXPORT_LEN = 32
};

/* RFC 9266 §2 */
#define EXPORT_LABEL "EXPORTER-Channel-Binding"

static struct tls_stream *of(struct nk_stream *s)
{
    return (struct tls_stream *)s;
}

/* --- parking ---------------------------------------------------------------------------------- */

static int unpark(struct tls_stream *f)
{
    return tls_unpark(&f->ssl, &f->park, tls_io_parking(f->io));
}

static void park(struct tls_stream *f)
{
    tls_park(&f->ssl, &f->park, tls_io_parking(f->io));
}

/* The end of a turn in which something moved. */
static void on_settle(void *owner)
{
    struct tls_stream *f = owner;
    if (f->state != TLS_OPEN) {
        return;
    }
    tls_flush(f);
    tls_settle_in(f, tls_io_crowded(f->io));
    if (f->ku.in_bytes > 0) { /* a server sends its tickets first: later ones are not wanted */
        tls_drop_handshake(&f->ssl);
    }
    park(f);
    tls_update_lower(f);
}

/* --- keys ------------------------------------------------------------------------------------- */

/* RFC 8446 §5.5: new keys before the old ones have protected too much; §4.6.3: an answer to the
 * peer's update before our next data. After close_notify nothing is sent. */
static int update_keys(struct tls_stream *f)
{
    if (f->shut || f->write_error || !tls_keyupdate_due(&f->ssl, &f->ku)) {
        return 0;
    }
    return unpark(f) < 0 ? MBEDTLS_ERR_SSL_ALLOC_FAILED
                         : tls_keyupdate_send(&f->ssl, &f->ku, false);
}

/* --- reading ---------------------------------------------------------------------------------- */

static int explain(struct tls_stream *f, int rc, struct nk_diag *why)
{
    switch (rc) {
    case MBEDTLS_ERR_SSL_CONN_EOF:
        if (f->lower_error) {
            return nk_fail(why, f->lower_error, "%s", nk_strerror(f->lower_error));
        }
        nk_fail(why, NK_ETRUNC, "TLS ended without close_notify");
        nk_hint(why, "bytes may be missing; truncation=end is for peers that never send it");
        return NK_ETRUNC;
    case MBEDTLS_ERR_SSL_FATAL_ALERT_MESSAGE:
        tls_explain_alert(tls_rec_alert(&f->ssl), false, why);
        nk_log_diag(nk_app_log(f->s.app), "tls", NK_LOG_INFO, why);
        return why->code;
    default:
        return tls_check(rc, NK_EPROTO, why, "TLS");
    }
}

/* The reason stays with the stream, for whoever asks by nk_stream_error(). */
static int read_failure(struct tls_stream *f, int rc)
{
    struct nk_diag why = {0};
    int code = explain(f, rc, &why);
    if (!f->s.why && (f->s.why = malloc(sizeof(why))) != NULL) {
        *f->s.why = why; /* without memory the code alone has to do */
    }
    return code;
}

void tls_keep_session(struct tls_stream *f)
{
    struct tls_peer peer = {0};
    const mbedtls_x509_crt *crt = mbedtls_ssl_get_peer_cert(&f->ssl);
    if (f->peer) {
        peer = *f->peer;
    } else if (crt) {
        tls_crt_hash(crt, peer.cert, peer.spki);
        tls_crt_subject(peer.identity, sizeof(peer.identity), &crt->subject);
        peer.known = true;
    }
    if (f->target && f->creds->sessions && peer.known) {
        tls_sessions_put(f->creds->sessions, f->target, &f->ssl, &peer);
    }
}

/* mbedTLS stopped at something that is no data: 0 when it was dealt with and reading may go on. */
static int between_data(struct tls_stream *f, int rc)
{
    bool skipped = rc == MBEDTLS_ERR_SSL_WANT_READ && tls_skip_ticket(&f->ssl);
    if (rc == MBEDTLS_ERR_SSL_RECEIVED_NEW_SESSION_TICKET || skipped) {
        if (!skipped) {
            tls_keep_session(f);
        }
        return ++f->tickets > MAX_TICKETS ? MBEDTLS_ERR_SSL_UNEXPECTED_MESSAGE : 0;
    }
    if (rc == MBEDTLS_ERR_SSL_WANT_READ && !tls_rec_ready(&f->ssl)) {
        return 0; /* a ticket waits to be handled: no input is needed */
    }
    int taken = tls_keyupdate_take(&f->ssl, &f->ku, rc);
    return taken == 0 ? update_keys(f) : taken;
}

/* One attempt at plaintext: > 0 bytes, or an mbedTLS code. more: some was read just before. */
static int read_some(struct tls_stream *f, uint8_t *p, size_t n, bool more)
{
    int rc;
    do {
        rc = tls_open_data(f, p, n, more);
        if (rc == 0) {
            rc = unpark(f) < 0 ? MBEDTLS_ERR_SSL_ALLOC_FAILED : mbedtls_ssl_read(&f->ssl, p, n);
            rc = rc == 0 ? MBEDTLS_ERR_SSL_CONN_EOF : rc;
        }
        if (rc > 0) {
            tls_keyupdate_count_in(&f->ku, (size_t)rc);
            f->tickets = 0;
            return rc;
        }
        rc = between_data(f, rc);
    } while (rc == 0);
    return rc;
}

/* Reading ended: by close_notify or what stands for it, or by something that the peer is told about
 * (RFC 8446 §6.2). */
static void end_reading(struct tls_stream *f, int rc)
{
    bool unsaid = rc == MBEDTLS_ERR_SSL_CONN_EOF && f->creds->end_unsaid && !f->lower_error &&
                  f->in.len == 0 && f->record_left == 0; /* not within a record */
    if (rc == MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY || unsaid) {
        f->ended = true;
        return;
    }
    int alert = tls_rec_alert_for(&f->ssl, rc);
    if (alert >= 0 && !f->shut && unpark(f) == 0) {
        mbedtls_ssl_send_alert_message(&f->ssl, MBEDTLS_SSL_ALERT_LEVEL_FATAL,
                                       (unsigned char)alert);
        tls_flush(f); /* as far as it goes: after a write error nothing is flushed any more */
    }
    f->read_error = read_failure(f, rc);
    f->write_error = f->write_error ? f->write_error : -EPIPE;
}

static ssize_t tls_read(struct nk_stream *s, void *p, size_t n)
{
    struct tls_stream *f = of(s);
    uint8_t *to = p;
    size_t got = 0;
    int rc = 0;
    if (f->read_error || f->ended || f->state != TLS_OPEN) {
        return f->read_error ? f->read_error : f->ended ? 0 : NK_EAGAIN;
    }
    while (got < n && (rc = read_some(f, to + got, n - got, got > 0)) > 0) {
        got += (size_t)rc;
    }
    nk_app_defer(s->app, &f->settle);
    if (rc < 0 && rc != MBEDTLS_ERR_SSL_WANT_READ && rc != MBEDTLS_ERR_SSL_WANT_WRITE) {
        end_reading(f, rc);
    }
    /* what came before the end or an error goes first; core repeats READABLE for the rest */
    if (f->ended || f->read_error || tls_rec_pending(&f->ssl) || tls_has_record(f)) {
        nk_stream_again(s);
    }
    tls_update_lower(f);
    return got > 0 ? (ssize_t)got : f->read_error ? f->read_error : f->ended ? 0 : NK_EAGAIN;
}

/* --- writing ---------------------------------------------------------------------------------- */

static size_t iov_total(const struct iovec *iov, int n)
{
    size_t total = 0;
    for (int i = 0; i < n; i++) {
        total += iov[i].iov_len;
    }
    return total;
}

/* Records for as much of iov as there is room for. Bytes taken, or an error. */
static ssize_t write_records(struct tls_stream *f, const struct iovec *iov, size_t total)
{
    size_t done = 0, skip = 0;
    while (done < total) {
        if (f->out.len >= TLS_OUT_LIMIT) {
            tls_flush(f);
        }
        if (f->out.len >= TLS_OUT_LIMIT || f->write_error) {
            break;
        }
        size_t n = total - done < TLS_RECORD_MAX ? total - done : TLS_RECORD_MAX;
        int rc = update_keys(f);
        if (rc == 0) {
            rc = f->data_here ? tls_seal_data(f, iov, skip, n)
                              : tls_rec_write(&f->ssl, iov, skip, n);
        }
        if (rc == MBEDTLS_ERR_SSL_WANT_WRITE && f->data_here) {
            break; /* nothing was written */
        }
        if (rc != 0) {
            return f->write_error = tls_check(rc, NK_EPROTO, NULL, "TLS");
        }
        tls_keyupdate_count_out(&f->ku, n);
        done += n;
        skip += n;
        while (done < total && skip >= iov->iov_len) {
            skip -= iov->iov_len;
            iov++;
        }
    }
    return done > 0 || !f->write_error ? (ssize_t)done : f->write_error;
}

/* A client that speaks TLS itself was set up twice, as a rule: told once, as it may be meant. */
static void look_for_inner(struct tls_stream *f, const struct iovec *iov)
{
    static const uint8_t client_hello[] = {22, 3, 1}; /* RFC 8446 §5.1 */
    f->looked = true;
    if (f->creds->role == TLS_CLIENT && !f->creds->told_inner &&
        iov->iov_len >= sizeof(client_hello) &&
        memcmp(iov->iov_base, client_hello, sizeof(client_hello)) == 0) {
        f->creds->told_inner = true;
        nk_warn(
            nk_app_log(f->s.app), "tls",
            "what is to be sent over TLS is TLS already (hint: its sender has to speak without, "
            "or to connect to the server itself)");
    }
}

static ssize_t tls_writev(struct nk_stream *s, const struct iovec *iov, int n)
{
    struct tls_stream *f = of(s);
    size_t total = iov_total(iov, n);
    if (f->write_error || f->shut) {
        return f->write_error ? f->write_error : -EPIPE;
    }
    if (f->state != TLS_OPEN || total == 0) {
        f->want_write = total > 0;
        return total > 0 ? NK_EAGAIN : 0;
    }
    if (!f->data_here && unpark(f) < 0) {
        return -ENOMEM;
    }
    if (!f->looked) {
        look_for_inner(f, iov);
    }
    ssize_t put = write_records(f, iov, total);
    if (f->out.len >= TLS_OUT_LIMIT) {
        tls_flush(f);
    }
    nk_app_defer(s->app, &f->settle);
    tls_update_lower(f);
    if (put >= 0 && (size_t)put < total) {
        f->want_write = true;
        if (f->out.len < TLS_OUT_LIMIT) {
            nk_stream_raise(s, NK_WRITABLE); /* the last flush made room after all */
            f->want_write = false;
        }
    }
    return put == 0 ? NK_EAGAIN : put;
}

static int tls_shutdown(struct nk_stream *s)
{
    struct tls_stream *f = of(s);
    if (f->shut || f->write_error) {
        return f->shut ? 0 : f->write_error;
    }
    if (f->state != TLS_OPEN) {
        f->shut = true; /* close_notify follows the handshake */
        return 0;
    }
    if (unpark(f) < 0) {
        return -ENOMEM;
    }
    f->shut = true;
    int rc = tls_check(mbedtls_ssl_close_notify(&f->ssl), NK_EPROTO, NULL, "TLS");
    nk_app_defer(s->app, &f->settle);
    return rc;
}

/* --- the rest of the owner's side ------------------------------------------------------------- */

static void tls_close(struct nk_stream *s)
{
    struct tls_stream *f = of(s);
    nk_app_defer_cancel(s->app, &f->settle);
    tls_attempt_free(f);
    if (f->out.len > 0) {
        tls_flush(f);
    }
    if (f->has_ssl) {
        park(f); /* the buffers are good for others */
        mbedtls_ssl_free(&f->ssl);
    }
    tls_bytes_clear(f, &f->in);
    tls_bytes_clear(f, &f->out);
    nk_stream_close(f->lower);
    tls_state_unref(f->creds);
    free(f->peer);
    free(f->host);
    free(f->target);
    nk_stream_done(s);
}

static int answer_text(void *out, size_t *n, const char *text)
{
    if (!text || *n == 0) {
        return -ENOENT;
    }
    size_t len = strlen(text) + 1;
    snprintf(out, *n, "%s", text);
    *n = len < *n ? len : *n;
    return 0;
}

static int answer(void *out, size_t *n, const void *p, size_t len)
{
    if (*n < len) {
        return -ENOENT;
    }
    memcpy(out, p, len);
    *n = len;
    return 0;
}

static int query_peer(struct tls_stream *f, enum nk_query what, void *out, size_t *n)
{
    const mbedtls_x509_crt *crt = mbedtls_ssl_get_peer_cert(&f->ssl);
    uint8_t hash[TLS_HASH];
    char subject[TLS_NAME_TEXT];
    if (!crt && !(f->peer && f->peer->known)) {
        return -ENOENT;
    }
    if (what == NK_Q_PEERCERT || what == NK_Q_PEERSPKI) {
        bool spki = what == NK_Q_PEERSPKI;
        if (crt) {
            tls_crt_hash(crt, spki ? NULL : hash, spki ? hash : NULL);
            return answer(out, n, hash, TLS_HASH);
        }
        return answer(out, n, spki ? f->peer->spki : f->peer->cert, TLS_HASH);
    }
    if (what == NK_Q_PEERNAMES) {
        char names[TLS_SANS_TEXT];
        if (!crt) { /* a resumed session: nobody may be taken for somebody by half a memory */
            return -ENOENT;
        }
        tls_crt_names(names, sizeof(names), crt);
        return answer_text(out, n, names);
    }
    if (!crt) {
        return answer_text(out, n, f->peer->identity);
    }
    tls_crt_subject(subject, sizeof(subject), &crt->subject);
    if (subject[0] == 0) {
        tls_crt_sans(subject, sizeof(subject), crt);
    }
    return answer_text(out, n, subject);
}

void tls_stream_about(struct nk_stream *s, struct tls_about *out)
{
    const mbedtls_ssl_context *ssl = &of(s)->ssl;
    const mbedtls_x509_crt *crt = mbedtls_ssl_get_peer_cert(ssl);
    *out = (struct tls_about){.version = mbedtls_ssl_get_version(ssl),
                              .suite = tls_suite_name(mbedtls_ssl_get_ciphersuite_id_from_ssl(ssl)),
                              .cert = crt ? crt->raw.p : NULL,
                              .cert_len = crt ? crt->raw.len : 0};
}

static int query_exporter(struct tls_stream *f, void *out, size_t *n)
{
    uint8_t key[EXPORT_LEN];
    if (!f->bindable) {
        return -ENOENT;
    }
    int rc =
        mbedtls_ssl_export_keying_material(&f->ssl, key, sizeof(key), EXPORT_LABEL,
                                           strlen(EXPORT_LABEL), (const unsigned char *)"", 0, 1);
    rc = rc == 0 ? answer(out, n, key, sizeof(key)) : -ENOENT;
    nk_wipe(key, sizeof(key));
    return rc;
}

static int query_unsent(struct tls_stream *f, void *out, size_t *n)
{
    int held = f->write_error ? f->write_error : (int)f->out.len;
    return held != 0 ? answer(out, n, &held, sizeof(held))
                     : nk_stream_query(f->lower, NK_Q_UNSENT, out, n);
}

static int tls_query(struct nk_stream *s, enum nk_query what, void *out, size_t *n)
{
    static const int yes = 1, none = -1;
    struct tls_stream *f = of(s);
    bool open = f->state == TLS_OPEN;
    switch (what) {
    case NK_Q_ENCRYPTED:
        return answer(out, n, &yes, sizeof(yes));
    case NK_Q_FD:
        return answer(out, n, &none, sizeof(none));
    case NK_Q_ALPN:
        return open ? answer_text(out, n, mbedtls_ssl_get_alpn_protocol(&f->ssl)) : -ENOENT;
    case NK_Q_IDENTITY:
    case NK_Q_PEERCERT:
    case NK_Q_PEERSPKI:
    case NK_Q_PEERNAMES:
        return open ? query_peer(f, what, out, n) : -ENOENT;
    case NK_Q_EXPORTER:
        return open ? query_exporter(f, out, n) : -ENOENT;
    case NK_Q_UNSENT:
        return query_unsent(f, out, n);
    default:
        return nk_stream_query(f->lower, what, out, n);
    }
}

static void tls_interest(struct nk_stream *s)
{
    struct tls_stream *f = of(s);
    if (f->state == TLS_OPEN) {
        tls_update_lower(f);
    }
}

static int tls_tune(struct nk_stream *s, enum nk_tune what, int value)
{
    return nk_stream_tune(of(s)->lower, what, value);
}

static const struct nk_stream_ops tls_ops = {
    .name = "tls",
    .read = tls_read,
    .writev = tls_writev,
    .shutdown = tls_shutdown,
    .close = tls_close,
    .query = tls_query,
    .interest = tls_interest,
    .tune = tls_tune,
};

/* --- the lower stream's side ------------------------------------------------------------------ */

static void lower_closed(struct tls_stream *f)
{
    struct nk_diag why = {0};
    int rc = nk_stream_error(f->lower, &why);
    tls_handshake_fail(f, rc < 0 ? rc : NK_ECLOSED, &why);
}

static void on_lower(void *owner, struct nk_stream *lower, unsigned events)
{
    struct tls_stream *f = owner;
    (void)lower;
    if (events & NK_CLOSED) {
        lower_closed(f);
        return;
    }
    if (f->state == TLS_LOWER) {
        tls_handshake_start(f);
        return;
    }
    if (events & NK_WRITABLE) {
        tls_flush(f);
    }
    if (f->state == TLS_HELLO || f->state == TLS_HANDSHAKE) {
        tls_handshake_run(f);
    } else if (f->state == TLS_OPEN) {
        if (events & NK_READABLE) {
            nk_stream_again(&f->s);
        }
        tls_update_lower(f);
    }
}

/* A lower stream that was connected before it was wrapped sends no NK_CONNECTED any more. */
static void on_first_turn(void *owner)
{
    struct tls_stream *f = owner;
    f->settle.fn = on_settle;
    if (f->state == TLS_LOWER && f->lower->connected) {
        tls_handshake_start(f);
    }
}

static int wrap(struct nk_app *app, struct tls_creds *creds, const char *host, const char *target,
                struct nk_stream *take_lower, struct nk_stream **out, struct nk_diag *diag)
{
    struct tls_stream *f = calloc(1, sizeof(*f));
    struct tls_io *io = tls_io_get(app);
    char *host_copy = host ? strdup(host) : NULL, *target_copy = target ? strdup(target) : NULL;
    if (!f || !io || (host && !host_copy) || (target && !target_copy)) {
        free(f);
        free(host_copy);
        free(target_copy);
        nk_stream_close(take_lower);
        return nk_fail_sys(diag, -ENOMEM, "TLS");
    }
    nk_stream_init(&f->s, &tls_ops, app);
    f->lower = take_lower;
    f->io = io;
    f->host = host_copy;
    f->target = target_copy;
    f->creds = tls_creds_state(creds);
    f->settle.owner = f;
    f->settle.fn = take_lower->connected ? on_first_turn : on_settle;
    nk_stream_own(take_lower, on_lower, f);
    if (take_lower->connected) {
        nk_app_defer(app, &f->settle);
    }
    *out = &f->s;
    return 0;
}

static int refuse(struct nk_stream *take_lower, struct nk_diag *diag, const char *why)
{
    nk_stream_close(take_lower);
    return nk_fail(diag, NK_ECONFIG, "%s", why);
}

int tls_wrap_client_to(struct nk_app *app, struct tls_creds *creds, const char *host,
                       const char *target, struct nk_stream *take_lower, struct nk_stream **out,
                       struct nk_diag *diag)
{
    struct tls_state *s = tls_creds_state(creds);
    bool client = s->role == TLS_CLIENT, pinned = s->pins.n > 0;
    const char *name = s->name ? s->name : host;
    name = name && *name ? name : NULL;
    int rc = !client ? refuse(take_lower, diag, "these TLS credentials are a server's")
             : !pinned && !name
                 ? refuse(take_lower, diag,
                          "no host name to verify the TLS server's certificate "
                          "with: give name= or pin=")
                 : wrap(app, creds, name, target ? target : name, take_lower, out, diag);
    tls_state_unref(s);
    return rc;
}

int tls_wrap_client(struct nk_app *app, struct tls_creds *creds, const char *host,
                    struct nk_stream *take_lower, struct nk_stream **out, struct nk_diag *diag)
{
    return tls_wrap_client_to(app, creds, host, NULL, take_lower, out, diag);
}

int tls_wrap_server(struct nk_app *app, struct tls_creds *creds, struct nk_stream *take_lower,
                    struct nk_stream **out, struct nk_diag *diag)
{
    struct tls_state *s = tls_creds_state(creds);
    bool server = s->role == TLS_SERVER;
    tls_state_unref(s);
    return server ? wrap(app, creds, NULL, NULL, take_lower, out, diag)
                  : refuse(take_lower, diag, "these TLS credentials are a client's");
}
