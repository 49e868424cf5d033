/* SPDX-License-Identifier: MIT */
/* Connections, plain and TLS. OpenSSL writes every record by itself and reads each in two steps:
 * buffers on both sides make it one call for many, so that less of the load is the load's own. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <openssl/bio.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "broker.h"
#include "relay/wire_native.h"

static ssize_t rd(struct conn *c, void *p, size_t n)
{
    if (!c->ssl) {
        return read(c->fd, p, n);
    }
    int r = SSL_read(c->ssl, p, (int)n);
    if (r > 0) {
        return r;
    }
    int e = SSL_get_error(c->ssl, r);
    errno = e == SSL_ERROR_WANT_READ || e == SSL_ERROR_WANT_WRITE ? EAGAIN : EIO;
    return errno == EAGAIN ? -1 : 0;
}

/* Send what the TLS buffer holds: true when it is empty. */
static bool flush(struct conn *c)
{
    if (!c->ssl || BIO_flush(SSL_get_wbio(c->ssl)) == 1) {
        return true;
    }
    if (!BIO_should_retry(SSL_get_wbio(c->ssl))) {
        die("write");
    }
    errno = EAGAIN;
    return false;
}

ssize_t wr(struct conn *c, const void *p, size_t n)
{
    if (!c->ssl) {
        return send(c->fd, p, n, MSG_NOSIGNAL);
    }
    if (!flush(c)) {
        return -1;
    }
    int r = SSL_write(c->ssl, p, (int)n);
    if (r > 0) {
        (void)flush(c); /* the rest goes before what is written next */
        return r;
    }
    int e = SSL_get_error(c->ssl, r);
    errno = e == SSL_ERROR_WANT_READ || e == SSL_ERROR_WANT_WRITE ? EAGAIN : EIO;
    return -1;
}

static void wait_for(struct conn *c, short events, int ms)
{
    poll(&(struct pollfd){.fd = c->fd, .events = events}, 1, ms);
}

void put(struct conn *c, const void *p, size_t n)
{
    const uint8_t *at = p;
    while (n) {
        ssize_t k = wr(c, at, n);
        if (k < 0 && errno != EAGAIN) {
            die("write");
        }
        if (k < 0) {
            wait_for(c, POLLOUT, 100);
            continue;
        }
        at += k;
        n -= (size_t)k;
    }
    while (!flush(c)) {
        wait_for(c, POLLOUT, 100);
    }
}

bool more(struct conn *c)
{
    ssize_t k = rd(c, c->in + c->len, READ - c->len);
    if (k == 0 || (k < 0 && errno != EAGAIN)) {
        die("the broker hung up");
    }
    c->len += k > 0 ? (size_t)k : 0;
    return k > 0;
}

void need(struct conn *c, size_t n)
{
    while (c->len < n) {
        if (!more(c)) {
            wait_for(c, POLLIN, 1000);
        }
    }
}

void eat(struct conn *c, size_t n)
{
    c->len -= n;
    memmove(c->in, c->in + n, c->len);
}

void until(struct conn *c, const char *word)
{
    for (;;) {
        c->in[c->len] = 0;
        char *at = strstr((char *)c->in, word);
        if (at) {
            eat(c, (size_t)(at - (char *)c->in) + strlen(word));
            return;
        }
        need(c, c->len + 1);
    }
}

void start_tls(struct load *o, struct conn *c)
{
    static const uint8_t alpn[] = "\x0e" RELAY_NATIVE_ALPN;
    c->ssl = SSL_new(o->tls);
    if (o->proto == NK) {
        SSL_set_alpn_protos(c->ssl, alpn, sizeof(alpn) - 1);
    }
    if (o->session) {
        SSL_set_session(c->ssl, o->session);
    }
    SSL_set_fd(c->ssl, c->fd);
    if (SSL_connect(c->ssl) != 1) {
        die("TLS");
    }
    BIO *buffer = BIO_new(BIO_f_buffer());
    BIO_set_write_buffer_size(buffer, 2 * BATCH);
    SSL_set0_wbio(c->ssl, BIO_push(buffer, BIO_new_socket(c->fd, BIO_NOCLOSE)));
}

struct conn *dial_tcp(struct load *o)
{
    struct conn *c = calloc(1, sizeof(*c));
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)o->port)};
    int one = 1;
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    c->in = malloc(READ + 1);
    c->fd = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    if (connect(c->fd, (struct sockaddr *)&a, sizeof(a)) < 0) {
        die("connect");
    }
    return c;
}

void hang_up(struct conn *c)
{
    if (c->ssl) {
        SSL_shutdown(c->ssl);
        (void)flush(c);
        SSL_free(c->ssl);
    }
    close(c->fd);
    free(c->in);
    free(c);
}
