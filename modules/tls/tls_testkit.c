/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tls/tls_testkit.h"

enum { KIT_SANS = 8 };

void kit_cert_make(struct kit_cert *out, const char *cn, const char *sans, int64_t from, int64_t to,
                   const struct kit_cert *issuer, bool ca)
{
    const char *list[KIT_SANS];
    char *copy = sans ? strdup(sans) : NULL, *save = NULL;
    struct tls_cert_spec spec = {.cn = cn, .sans = list, .ca = ca};
    struct nk_diag diag = {0};
    int64_t now = (int64_t)time(NULL);
    memset(out, 0, sizeof(*out));
    nk_buf_init(&out->cert, 65536);
    for (char *s = copy ? strtok_r(copy, ",", &save) : NULL; s; s = strtok_r(NULL, ",", &save)) {
        assert_true(spec.nsans < KIT_SANS);
        list[spec.nsans++] = s;
    }
    spec.not_before = now + from;
    spec.not_after = now + to;
    if (issuer) {
        spec.issuer_cert = kit_cert_pem((struct kit_cert *)(uintptr_t)issuer);
        spec.issuer_key = &issuer->key;
    }
    int rc = tls_cert_generate(&spec, &out->key, &out->cert, &diag);
    if (rc != 0) {
        fail_msg("%s", diag.text);
    }
    free(copy);
}

const char *kit_cert_pem(struct kit_cert *c)
{
    return nk_buf_str(&c->cert);
}

const char *kit_key_pem(struct kit_cert *c)
{
    struct nk_secret z = {0};
    if (c->key.len == 0 || c->key.data[c->key.len - 1] != 0) {
        assert_int_equal(nk_secret_alloc(&z, c->key.len + 1), 0);
        memcpy(z.data, c->key.data, c->key.len);
        nk_secret_clear(&c->key);
        c->key = z;
    }
    return (const char *)c->key.data;
}

void kit_cert_clear(struct kit_cert *c)
{
    nk_secret_clear(&c->key);
    nk_buf_clear(&c->cert);
}

/* --- the lower stream ------------------------------------------------------------------------- */

struct kit_end {
    struct nk_stream s;
    struct kit_pipe *pipe;
    int side;
    struct nk_buf in; /* written by the other end */
    bool in_ended, shut, want_write;
};

static struct kit_end *end_of(struct nk_stream *s)
{
    return (struct kit_end *)s;
}

static struct kit_end *other(struct kit_end *e)
{
    return e->pipe ? e->pipe->end[!e->side] : NULL;
}

static ssize_t kit_read(struct nk_stream *s, void *p, size_t n)
{
    struct kit_end *e = end_of(s), *o = other(e);
    size_t have = nk_buf_len(&e->in);
    e->pipe->reads[e->side]++;
    if (have == 0) {
        return e->in_ended ? 0 : NK_EAGAIN;
    }
    n = n < have ? n : have;
    n = n < e->pipe->chunk ? n : e->pipe->chunk;
    memcpy(p, nk_buf_ptr(&e->in), n);
    nk_buf_consume(&e->in, n);
    if (nk_buf_len(&e->in) > 0 || e->in_ended) {
        nk_stream_again(s);
    }
    if (o && o->want_write) {
        o->want_write = false;
        nk_stream_raise(&o->s, NK_WRITABLE);
    }
    return (ssize_t)n;
}

static void arrive(struct kit_end *to, const uint8_t *p, size_t n)
{
    struct kit_pipe *pipe = to->pipe;
    int from = !to->side;
    for (size_t i = 0; i < n && !to->in_ended; i++) {
        int64_t at = (int64_t)pipe->moved[from]++;
        uint8_t b = p[i] ^ (uint8_t)(at == pipe->damage_at[from]);
        if (pipe->cut_at[from] >= 0 && at >= pipe->cut_at[from]) {
            to->in_ended = true;
        } else {
            assert_int_equal(nk_buf_u8(&to->in, b), 0);
        }
    }
    nk_stream_again(&to->s);
}

static ssize_t kit_writev(struct nk_stream *s, const struct iovec *iov, int n)
{
    struct kit_end *e = end_of(s), *o = other(e);
    size_t done = 0, total = 0;
    if (!o || e->shut) {
        return -EPIPE;
    }
    for (int i = 0; i < n; i++) {
        size_t room = e->pipe->window - nk_buf_len(&o->in), take = iov[i].iov_len;
        total += take;
        take = take < room ? take : room;
        take = take < e->pipe->chunk - done ? take : e->pipe->chunk - done;
        arrive(o, iov[i].iov_base, take);
        done += take;
    }
    e->want_write = done < total;
    if (e->want_write && nk_buf_len(&o->in) < e->pipe->window) {
        e->want_write = false; /* only the chunk was full */
        nk_stream_raise(s, NK_WRITABLE);
    }
    e->pipe->writes[e->side] += done > 0;
    return done > 0 || total == 0 ? (ssize_t)done : NK_EAGAIN;
}

static int kit_shutdown(struct nk_stream *s)
{
    struct kit_end *e = end_of(s), *o = other(e);
    e->shut = true;
    if (o) {
        o->in_ended = true;
        nk_stream_again(&o->s);
    }
    return 0;
}

static void kit_close(struct nk_stream *s)
{
    struct kit_end *e = end_of(s), *o = other(e);
    kit_shutdown(s);
    if (o && o->want_write) { /* what it writes fails from now on */
        o->want_write = false;
        nk_stream_raise(&o->s, NK_WRITABLE);
    }
    e->pipe->end[e->side] = NULL;
    nk_buf_clear(&e->in);
    nk_stream_done(s);
}

static void kit_interest(struct nk_stream *s)
{
    (void)s;
}

static const struct nk_stream_ops kit_ops = {.name = "kit",
                                             .read = kit_read,
                                             .writev = kit_writev,
                                             .shutdown = kit_shutdown,
                                             .close = kit_close,
                                             .interest = kit_interest};

void kit_pipe_open(struct nk_app *app, struct kit_pipe *p, size_t window, size_t chunk,
                   struct nk_stream **a, struct nk_stream **b)
{
    memset(p, 0, sizeof(*p));
    p->window = window;
    p->chunk = chunk;
    for (int i = 0; i < 2; i++) {
        struct kit_end *e = calloc(1, sizeof(*e));
        assert_non_null(e);
        nk_stream_init(&e->s, &kit_ops, app);
        e->pipe = p;
        e->side = i;
        nk_buf_init(&e->in, window + 1);
        p->end[i] = e;
        p->damage_at[i] = p->cut_at[i] = -1;
        nk_stream_raise(&e->s, NK_CONNECTED);
    }
    *a = &p->end[0]->s;
    *b = &p->end[1]->s;
}

/* --- the peer --------------------------------------------------------------------------------- */

static void peer_interest(struct kit_peer *p)
{
    unsigned mask = p->reading && !p->ended && !p->error ? (unsigned)NK_READABLE : 0;
    if (nk_buf_len(&p->to_send) > 0 && !p->error) {
        mask |= NK_WRITABLE;
    }
    nk_stream_interest(p->s, mask);
}

static void peer_write(struct kit_peer *p)
{
    while (p->connected && nk_buf_len(&p->to_send) > 0 && !p->error) {
        size_t n = nk_buf_len(&p->to_send);
        /* three pieces: gathering is part of the test */
        uint8_t *d = nk_buf_ptr(&p->to_send);
        struct iovec iov[3] = {{d, n / 3}, {d + n / 3, 0}, {d + n / 3, n - n / 3}};
        ssize_t put = nk_stream_writev(p->s, iov, 3);
        if (put == NK_EAGAIN) {
            break;
        }
        if (put < 0) {
            p->error = (int)put;
            break;
        }
        assert_true((size_t)put <= n);
        nk_buf_consume(&p->to_send, (size_t)put);
    }
    if (p->connected && p->shut_when_sent && !p->shut && nk_buf_len(&p->to_send) == 0) {
        p->shut = true;
        assert_int_equal(nk_stream_shutdown(p->s), 0);
    }
}

static void peer_read(struct kit_peer *p)
{
    uint8_t *to;
    size_t max = p->read_size ? p->read_size : 65536;
    assert_int_equal(nk_buf_reserve(&p->got, max, &to), 0);
    ssize_t n = nk_stream_read(p->s, to, max);
    if (n > 0) {
        nk_buf_commit(&p->got, (size_t)n);
    } else if (n == 0) {
        p->ended = true;
    } else if (n != NK_EAGAIN) {
        p->error = (int)n;
    }
}

static void peer_event(void *owner, struct nk_stream *s, unsigned events)
{
    struct kit_peer *p = owner;
    assert_ptr_equal(s, p->s);
    if (events & NK_CLOSED) {
        p->closed = true;
        p->error = nk_stream_error(s, &p->why);
        return;
    }
    if (events & NK_CONNECTED) {
        assert_false(p->connected);
        p->connected = true;
    }
    if (events & NK_READABLE) {
        assert_true(p->connected);
        peer_read(p);
    }
    peer_write(p);
    peer_interest(p);
}

void kit_peer_init(struct kit_peer *p, struct nk_stream *take_s)
{
    memset(p, 0, sizeof(*p));
    nk_buf_init(&p->got, (size_t)64 << 20);
    nk_buf_init(&p->to_send, (size_t)64 << 20);
    p->s = take_s;
    p->reading = true;
    nk_stream_own(take_s, peer_event, p);
}

void kit_peer_send(struct kit_peer *p, const void *data, size_t n)
{
    assert_int_equal(nk_buf_put(&p->to_send, data, n), 0);
    peer_write(p);
    if (p->connected) {
        peer_interest(p);
    }
}

void kit_peer_clear(struct kit_peer *p)
{
    nk_stream_close(p->s);
    p->s = NULL;
    nk_buf_clear(&p->got);
    nk_buf_clear(&p->to_send);
}

bool kit_run(struct nk_app *app, bool (*done)(void *arg), void *arg)
{
    time_t end = time(NULL) + 10;
    while (!done(arg)) {
        if (time(NULL) > end) {
            return false;
        }
        nk_app_turn(app, 20);
    }
    return true;
}

/* --- both ends --- */

int kit_set_up(void **state)
{
    struct kit_fixture *x = calloc(1, sizeof(*x));
    kit_cert_make(&x->ca, "test CA", NULL, -KIT_DAY, KIT_DAY, NULL, true);
    kit_cert_make(&x->other_ca, "other CA", NULL, -KIT_DAY, KIT_DAY, NULL, true);
    kit_cert_make(&x->leaf, "server", "DNS:srv.test,IP:127.0.0.1", -KIT_DAY, KIT_DAY, &x->ca,
                  false);
    kit_cert_make(&x->old_leaf, "server", "DNS:srv.test", -2 * KIT_DAY, -KIT_DAY, &x->ca, false);
    kit_cert_make(&x->client, "alice", "EMAIL:alice@test", -KIT_DAY, KIT_DAY, &x->ca, false);
    kit_cert_make(&x->old_client, "alice", NULL, -2 * KIT_DAY, -KIT_DAY, &x->ca, false);
    kit_cert_make(&x->stranger, "mallory", NULL, -KIT_DAY, KIT_DAY, &x->other_ca, false);
    *state = x;
    return 0;
}

int kit_tear_down(void **state)
{
    struct kit_fixture *x = *state;
    struct kit_cert *all[] = {&x->ca,     &x->other_ca,   &x->leaf,    &x->old_leaf,
                              &x->client, &x->old_client, &x->stranger};
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        kit_cert_clear(all[i]);
    }
    free(x);
    return 0;
}

struct tls_creds_conf kit_server_conf(struct kit_fixture *x)
{
    return (struct tls_creds_conf){
        .role = TLS_SERVER, .cert_text = kit_cert_pem(&x->leaf), .key_text = kit_key_pem(&x->leaf)};
}

struct tls_creds_conf kit_client_conf(struct kit_fixture *x)
{
    return (struct tls_creds_conf){.role = TLS_CLIENT, .ca_text = kit_cert_pem(&x->ca)};
}

void kit_rig_new(struct kit_rig *r, const struct tls_creds_conf *sc,
                 const struct tls_creds_conf *cc)
{
    struct nk_diag diag;
    struct nk_app_conf conf = {0};
    memset(r, 0, sizeof(*r));
    assert_int_equal(nk_app_new(&r->app, &conf, NULL), 0);
    if (tls_creds_new(&r->sc, sc, &diag) < 0 || tls_creds_new(&r->cc, cc, &diag) < 0) {
        fail_msg("%s", diag.text);
    }
}

void kit_rig_connect(struct kit_rig *r, const char *host, size_t window, size_t chunk)
{
    struct nk_stream *a, *b, *ts, *tc;
    kit_pipe_open(r->app, &r->pipe, window, chunk, &a, &b);
    assert_int_equal(tls_wrap_server(r->app, r->sc, a, &ts, NULL), 0);
    assert_int_equal(tls_wrap_client(r->app, r->cc, host, b, &tc, NULL), 0);
    kit_peer_init(&r->server, ts);
    kit_peer_init(&r->client, tc);
}

void kit_rig_disconnect(struct kit_rig *r)
{
    kit_peer_clear(&r->server);
    kit_peer_clear(&r->client);
    nk_app_turn(r->app, 0);
}

void kit_rig_free(struct kit_rig *r)
{
    tls_creds_unref(r->sc);
    tls_creds_unref(r->cc);
    nk_app_free(r->app);
}

bool kit_both_settled(void *arg)
{
    struct kit_rig *r = arg;
    return (r->server.connected || r->server.closed) && (r->client.connected || r->client.closed);
}

bool kit_both_connected(void *arg)
{
    struct kit_rig *r = arg;
    return r->server.connected && r->client.connected;
}

bool kit_both_ended(void *arg)
{
    struct kit_rig *r = arg;
    return (r->server.ended || r->server.error) && (r->client.ended || r->client.error);
}
bool kit_got_both(void *arg)
{
    struct kit_rig *r = arg;
    return nk_buf_len(&r->server.got) >= 5 && nk_buf_len(&r->client.got) >= 5;
}
