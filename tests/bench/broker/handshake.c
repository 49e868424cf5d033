/* SPDX-License-Identifier: MIT */
/* n connections, one after the other, each closed again: prints the broker's CPU for one of them in
 * us. With TLS each waits for its session's ticket; with `resume` it goes on with the session of
 * the one before. */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "broker.h"

enum { WARM = 20, SETTLE_US = 200000 };

static int on_session(SSL *ssl, SSL_SESSION *s)
{
    struct load *o = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
    SSL_SESSION_free(o->session);
    o->session = s;
    return 1; /* the reference is ours */
}

/* A session's ticket comes behind the handshake, at the latest with the first data. */
static void take_ticket(struct conn *c, const SSL_SESSION *old, struct load *o)
{
    uint8_t b;
    for (int i = 0; i < 100 && o->session == old; i++) {
        if (SSL_peek(c->ssl, &b, 1) <= 0) {
            poll(&(struct pollfd){.fd = c->fd, .events = POLLIN}, 1, 10);
        }
    }
}

static bool one(struct load *o, bool resume)
{
    if (!resume) {
        SSL_SESSION_free(o->session);
        o->session = NULL;
    }
    const SSL_SESSION *old = o->session;
    struct conn *c = dial_tcp(o);
    until_tls(o, c);
    bool resumed = SSL_session_reused(c->ssl) == 1;
    take_ticket(c, old, o);
    hang_up(c);
    return resumed;
}

void connections(struct load *o)
{
    double cpu = cpu_of(o->pid);
    for (int i = 0; i < o->n; i++) {
        struct conn *c = dial_tcp(o);
        until_tls(o, c);
        hang_up(c);
    }
    usleep(SETTLE_US);
    printf("%.1f\n", (cpu_of(o->pid) - cpu) * 1e6 / o->n);
}

void handshakes(struct load *o, bool resume)
{
    int resumed = 0;
    SSL_CTX_set_app_data(o->tls, o);
    SSL_CTX_set_session_cache_mode(o->tls,
                                   SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL_STORE);
    SSL_CTX_sess_set_new_cb(o->tls, on_session);
    if (o->one_cpu) {
        share_cpu(o);
    }
    for (int i = 0; i < WARM; i++) {
        one(o, resume);
    }
    double cpu = cpu_of(o->pid);
    for (int i = 0; i < o->n; i++) {
        resumed += one(o, resume);
    }
    cpu = cpu_of(o->pid) - cpu;
    free_cpu(o);
    if (resumed != (resume ? o->n : 0)) {
        fprintf(stderr, "broker_load: %d of %d sessions were resumed\n", resumed, o->n);
        exit(1);
    }
    printf("%.1f\n", cpu * 1e6 / o->n);
}
