/* SPDX-License-Identifier: MIT */
/*
 * Between records and the lower stream. Reading: up to 64 KiB in one read below, from which whole
 * records are taken: application data of TLS 1.3 is opened from there (ssl_data.h), all else is
 * fetched by mbedTLS, which so never sits in the middle of a record and can be parked. Writing:
 * records of both kinds gather in one block that goes down in one write per turn.
 */
#include <stdlib.h>
#include <string.h>

#include "tls/filter.h"

enum { HEADER = 5, TYPE_FIRST = 20, TYPE_LAST = 23 }; /* RFC 8446 §5.1 */

void tls_bytes_clear(struct tls_stream *f, struct tls_bytes *b)
{
    if (b->exact) {
        free(b->p);
    } else {
        tls_block_give(f->io, b->p);
    }
    memset(b, 0, sizeof(*b));
}

/* Makes b a pooled block with its bytes at the start. */
static bool as_block(struct tls_stream *f, struct tls_bytes *b)
{
    uint8_t *p = b->p;
    if (!p || b->exact) {
        p = tls_block_take(f->io);
        if (!p) {
            return false;
        }
    }
    if (b->p && b->len > 0 && p != b->p + b->off) {
        memmove(p, b->p + b->off, b->len);
    }
    if (b->exact) {
        free(b->p);
    }
    b->p = p;
    b->off = 0;
    b->exact = false;
    return true;
}

static bool no_record_at(const struct tls_bytes *b)
{
    const uint8_t *p = b->p + b->off;
    return p[0] < TYPE_FIRST || p[0] > TYPE_LAST || (b->len > 1 && p[1] != 3);
}

/* Bytes of the first record in the buffer: 0 when it is not whole yet. What cannot be a record is
 * given to mbedTLS as it is, to be refused there. */
static size_t whole_record(const struct tls_bytes *b)
{
    if (b->len == 0) {
        return 0;
    }
    const uint8_t *p = b->p + b->off;
    if (no_record_at(b)) {
        return b->len;
    }
    if (b->len < HEADER) {
        return 0;
    }
    size_t n = HEADER + ((size_t)p[3] << 8 | p[4]);
    if (n > TLS_RECORD_WIRE_MAX) {
        return b->len;
    }
    return b->len >= n ? n : 0;
}

bool tls_has_record(const struct tls_stream *f)
{
    return f->record_left > 0 || whole_record(&f->in) > 0;
}

bool tls_fill(struct tls_stream *f)
{
    while (!tls_has_record(f)) {
        if (f->lower_ended || f->lower_error) {
            return false;
        }
        if (!as_block(f, &f->in)) {
            f->lower_error = -ENOMEM;
            return false;
        }
        size_t room = TLS_BLOCK - f->in.len;
        ssize_t got = nk_stream_read(f->lower, f->in.p + f->in.len,
                                     room < TLS_READ_AHEAD ? room : TLS_READ_AHEAD);
        if (got == NK_EAGAIN) {
            return false;
        }
        if (got <= 0) {
            f->lower_ended = true;
            f->lower_error = (int)got;
            return false;
        }
        f->in.len += (size_t)got;
    }
    return true;
}

/* The first n bytes of the read-ahead are done with. */
static void consume(struct tls_stream *f, size_t n)
{
    f->in.off += n;
    f->in.len -= n;
}

/* Nothing to open is there now: what that means. */
static int no_record(const struct tls_stream *f)
{
    if (!f->park.parked) {
        return 0; /* mbedTLS knows what it still has */
    }
    return f->lower_ended || f->lower_error ? MBEDTLS_ERR_SSL_CONN_EOF : MBEDTLS_ERR_SSL_WANT_READ;
}

int tls_open_data(struct tls_stream *f, uint8_t *p, size_t n, bool more)
{
    if (f->record_left > 0 || !f->data_here) {
        return 0;
    }
    while (tls_fill(f)) {
        const uint8_t *record = f->in.p + f->in.off;
        size_t len = whole_record(&f->in), room = tls_data_room(record, len);
        if (room > n && more) {
            return MBEDTLS_ERR_SSL_WANT_READ;
        }
        if (room == 0 || room > n || !tls_park(&f->ssl, &f->park, tls_io_parking(f->io))) {
            return 0;
        }
        int got = tls_data_open(&f->ssl, &f->park, record, len, p);
        if (got == TLS_DATA_OTHER) {
            return 0;
        }
        consume(f, len);
        f->empty = got == 0 ? (uint8_t)(f->empty + 1) : 0;
        if (got > 0 || f->empty > TLS_EMPTY_MAX) {
            return got > 0 ? got : MBEDTLS_ERR_SSL_UNEXPECTED_MESSAGE;
        }
    }
    return no_record(f);
}

/* 'P' and '\r': how versions 1 and 2 of HAProxy's PROXY protocol begin. */
static void look_for_other(struct tls_stream *f)
{
    if (f->attempt && f->in.len > 0 && no_record_at(&f->in)) {
        uint8_t first = f->in.p[f->in.off];
        f->other = first == 'P' || first == '\r' ? TLS_OTHER_PROXY : TLS_OTHER_SOME;
    }
}

int tls_recv(void *arg, unsigned char *p, size_t n)
{
    struct tls_stream *f = arg;
    if (f->record_left == 0) {
        bool whole = tls_fill(f);
        f->record_left = whole ? whole_record(&f->in) : 0;
        look_for_other(f);
        if (!whole && !f->lower_ended && !f->lower_error) {
            return MBEDTLS_ERR_SSL_WANT_READ;
        }
        if (!whole) {
            return 0; /* a cut record is as good as none: it cannot be authenticated */
        }
    }
    if (n > f->record_left) {
        n = f->record_left;
    }
    memcpy(p, f->in.p + f->in.off, n);
    consume(f, n);
    f->record_left -= n;
    return (int)n;
}

/* Where the next bytes for the lower stream go, n of them if that can be. NULL without memory. */
static uint8_t *out_end(struct tls_stream *f, size_t n, size_t *room)
{
    bool crowded = f->out.off > 0 && f->out.off + f->out.len + n > TLS_BLOCK;
    if ((!f->out.p || crowded) && !as_block(f, &f->out)) {
        return NULL;
    }
    *room = TLS_BLOCK - f->out.off - f->out.len;
    return f->out.p + f->out.off + f->out.len;
}

int tls_seal_data(struct tls_stream *f, const struct iovec *iov, size_t skip, size_t n)
{
    size_t room;
    int rc = f->park.parked ? 0 : tls_rec_flush(&f->ssl); /* the older records first */
    uint8_t *to = rc == 0 ? out_end(f, n + TLS_DATA_ADDED, &room) : NULL;
    if (!to) {
        return rc ? rc : MBEDTLS_ERR_SSL_ALLOC_FAILED;
    }
    if (room < n + TLS_DATA_ADDED) {
        return MBEDTLS_ERR_SSL_WANT_WRITE;
    }
    rc = tls_data_seal(&f->ssl, to, iov, skip, n);
    if (rc == 0) {
        f->out.len += n + TLS_DATA_ADDED;
    }
    return rc;
}

int tls_send(void *arg, const unsigned char *p, size_t n)
{
    struct tls_stream *f = arg;
    size_t room;
    if (f->write_error) {
        return (int)n; /* nobody is there: what is sent to nobody is sent */
    }
    uint8_t *to = out_end(f, n, &room);
    if (!to) {
        return MBEDTLS_ERR_SSL_ALLOC_FAILED;
    }
    if (room == 0) {
        return MBEDTLS_ERR_SSL_WANT_WRITE;
    }
    n = n < room ? n : room;
    memcpy(to, p, n);
    f->out.len += n;
    return (int)n;
}

static void finish_shutdown(struct tls_stream *f)
{
    if (f->shut && !f->shut_below && f->out.len == 0) {
        f->shut_below = true;
        nk_stream_shutdown(f->lower);        /* without half-close below, close_notify has to do */
        nk_stream_raise(&f->s, NK_WRITABLE); /* nothing is unsent any more (NK_Q_UNSENT) */
    }
}

void tls_flush(struct tls_stream *f)
{
    while (f->out.len > 0 && !f->write_error) {
        ssize_t put = nk_stream_write(f->lower, f->out.p + f->out.off, f->out.len);
        if (put == NK_EAGAIN) {
            break;
        }
        if (put < 0) {
            f->write_error = (int)put;
            f->out.len = 0;
            break;
        }
        bool all = (size_t)put == f->out.len;
        f->out.off += (size_t)put;
        f->out.len -= (size_t)put;
        if (!all) {
            break; /* short: the lower stream will say when there is room */
        }
    }
    if (f->out.len == 0) {
        tls_bytes_clear(f, &f->out);
        finish_shutdown(f);
    }
    if (f->want_write && f->state == TLS_OPEN && (f->out.len < TLS_OUT_LIMIT || f->write_error)) {
        f->want_write = false;
        nk_stream_raise(&f->s, NK_WRITABLE);
    }
}

void tls_settle_in(struct tls_stream *f, bool shrink)
{
    struct tls_bytes *b = &f->in;
    if (b->len == 0) {
        tls_bytes_clear(f, b);
    } else if (shrink && !b->exact && !tls_has_record(f)) {
        uint8_t *p = malloc(b->len);
        if (p) { /* without memory the block stays */
            memcpy(p, b->p + b->off, b->len);
            tls_block_give(f->io, b->p);
            b->p = p;
            b->off = 0;
            b->exact = true;
        }
    }
}

void tls_update_lower(struct tls_stream *f)
{
    unsigned mask = f->out.len > 0 ? (unsigned)NK_WRITABLE : 0;
    bool reading = f->state == TLS_HELLO || f->state == TLS_HANDSHAKE ||
                   (f->state == TLS_OPEN && (f->s.interest & NK_READABLE) && !f->ended);
    if (reading && !f->lower_ended && !f->lower_error) {
        mask |= NK_READABLE;
    }
    nk_stream_interest(f->lower, mask);
}
