/* SPDX-License-Identifier: MIT */
/*
 * Many channels of one SSH connection, for tests of modules/ssh under load:
 *
 *     ssh_many ENDPOINT USER KEYFILE FINGERPRINT CHANNELS BYTES [REKEY_BYTES [CIPHERS]]
 *
 * Each channel executes cat and is sent so many bytes, of which no two channels get the same; every
 * byte that comes back is compared. Prints "channels N bytes N rekeys N cpu SECONDS seconds
 * SECONDS" when all are right and closed.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "core/app.h"
#include "core/clock.h"
#include "ssh/host_policy.h"
#include "ssh/ssh.h"
#include "ssh_peer.h"

enum { PIECE = 64 * 1024, CHANNELS_MAX = 1000 };

struct many;

struct one {
    struct many *all;
    struct ssh_channel *ch;
    uint64_t sent, came;
    uint32_t seed;
    bool runs;
};

struct many {
    struct nk_app *app;
    struct ssh_conn *conn;
    const char *fingerprint;
    struct one *v;
    size_t n, left;
    uint64_t bytes;
    int rc;
};

static void end(struct many *m, int rc, const char *why)
{
    if (rc != 0) {
        fprintf(stderr, "ssh_many: %s\n", why);
    }
    m->rc = rc;
    nk_app_stop(m->app, 0);
}

/* The byte at this place of a channel's data. */
static uint8_t byte_at(const struct one *o, uint64_t at)
{
    uint64_t x = (at + 1) * UINT64_C(0x9e3779b97f4a7c15) + o->seed;
    return (uint8_t)(x >> 29 ^ x >> 51);
}

static void send_more(struct one *o)
{
    uint8_t piece[PIECE];
    while (o->runs && o->sent < o->all->bytes) {
        uint64_t left = o->all->bytes - o->sent;
        size_t n = left < PIECE ? (size_t)left : PIECE;
        for (size_t i = 0; i < n; i++) {
            piece[i] = byte_at(o, o->sent + i);
        }
        const struct iovec iov = {.iov_base = piece, .iov_len = n};
        ssize_t put = ssh_channel_writev(o->ch, &iov, 1);
        if (put < 0) {
            return; /* on_writable follows */
        }
        o->sent += (uint64_t)put;
    }
    if (o->runs) {
        (void)ssh_channel_eof(o->ch);
    }
}

static void on_executed(void *owner, int ok, struct ssh_str data)
{
    struct one *o = owner;
    (void)data;
    o->runs = ok == 1;
    if (o->runs) {
        send_more(o);
    } else {
        end(o->all, 1, "the server does not run cat");
    }
}

static void on_open(void *owner, struct ssh_channel *ch, struct ssh_str data)
{
    struct one *o = owner;
    (void)data;
    o->ch = ch;
    (void)peer_run_cat(ch, on_executed, o);
}

static void on_failed(void *owner, struct ssh_channel *ch, uint32_t reason,
                      const struct nk_diag *why)
{
    struct one *o = owner;
    (void)ch;
    (void)reason;
    end(o->all, 1, why->text);
}

static void on_data(void *owner, struct ssh_channel *ch, uint32_t kind, const uint8_t *p, size_t n)
{
    struct one *o = owner;
    for (size_t i = 0; i < n; i++) {
        if (kind != 0 || p[i] != byte_at(o, o->came + i)) {
            end(o->all, 1, "other bytes came back");
            return;
        }
    }
    o->came += n;
    (void)ssh_channel_consumed(ch, n);
}

static void on_writable(void *owner, struct ssh_channel *ch)
{
    (void)ch;
    send_more(owner);
}

static void on_channel_closed(void *owner, struct ssh_channel *ch, const struct nk_diag *why)
{
    struct one *o = owner;
    (void)ch;
    if (!why && o->came != o->all->bytes) {
        end(o->all, 1, "fewer bytes came back");
    } else if (!why && --o->all->left == 0) {
        end(o->all, 0, "");
    }
}

static const struct ssh_channel_ops channel_ops = {.on_open = on_open,
                                                   .on_failed = on_failed,
                                                   .on_data = on_data,
                                                   .on_writable = on_writable,
                                                   .on_closed = on_channel_closed};

static void on_host_key(void *owner, const struct ssh_host_key *k)
{
    struct many *m = owner;
    ssh_conn_trust(m->conn, ssh_pin_matches(m->fingerprint, k->key.blob) ? 0 : NK_EVERIFY, NULL);
}

static void on_login(void *owner)
{
    struct many *m = owner;
    struct nk_diag diag = {0};
    for (size_t i = 0; i < m->n; i++) {
        m->v[i] = (struct one){.all = m, .seed = (uint32_t)i};
        if (ssh_channel_open(ssh_conn_channels(m->conn), "session", (struct ssh_str){0},
                             &channel_ops, &m->v[i], &m->v[i].ch, &diag) < 0) {
            end(m, 1, diag.text);
            return;
        }
    }
}

static void on_over(void *owner, int rc, const struct nk_diag *why)
{
    end(owner, nk_exit_code(rc), why->text);
}

static const struct ssh_conn_ops conn_ops = {
    .host_key = on_host_key, .open = on_login, .closed = on_over};

static int run(struct many *m, char **argv, int argc, struct nk_diag *diag)
{
    struct nk_stream *s;
    struct ssh_proposal proposal;
    struct ssh_conn_conf conf = {.app = m->app,
                                 .ops = &conn_ops,
                                 .owner = m,
                                 .user = argv[2],
                                 .proposal = &proposal,
                                 .rekey_bytes = argc > 7 ? strtoull(argv[7], NULL, 10) : 0};
    ssh_proposal_init(&proposal);
    int rc = argc > 8 ? ssh_proposal_set(&proposal, SSH_LIST_CIPHER, argv[8], diag) : 0;
    rc = rc < 0 ? rc : peer_read_key(argv[3], &conf.key, diag);
    rc = rc < 0 ? rc : peer_dial(m->app, argv[1], &s, diag);
    rc = rc < 0 ? rc : ssh_conn_new(&m->conn, &conf, s, diag);
    ssh_private_unref(conf.key);
    return rc < 0 ? rc : nk_app_run(m->app);
}

static void report(const struct many *m, uint64_t began_ns)
{
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    printf("channels %zu bytes %llu rekeys %llu cpu %.3f seconds %.3f\n", m->n,
           (unsigned long long)m->bytes,
           (unsigned long long)ssh_transport_rekeys(ssh_conn_transport(m->conn)),
           (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
               (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6,
           (double)(nk_now_ns(m->app) - began_ns) / 1e9);
}

int main(int argc, char **argv)
{
    struct nk_diag diag = {0};
    struct many m = {.rc = 1};
    const struct nk_app_conf conf = {0};
    if (argc < 7 || nk_crypto_init() < 0) {
        fprintf(stderr, "usage: ssh_many ENDPOINT USER KEYFILE FINGERPRINT CHANNELS BYTES "
                        "[REKEY_BYTES [CIPHERS]]\n");
        return NK_EXIT_USAGE;
    }
    m.fingerprint = argv[4];
    m.n = m.left = strtoul(argv[5], NULL, 10);
    m.bytes = strtoull(argv[6], NULL, 10);
    if (m.n < 1 || m.n > CHANNELS_MAX || !(m.v = calloc(m.n, sizeof(*m.v)))) {
        return NK_EXIT_USAGE;
    }
    int rc = ssh_pin_check(m.fingerprint, &diag);
    rc = rc < 0 ? rc : nk_app_new(&m.app, &conf, &diag);
    uint64_t began = rc < 0 ? 0 : nk_now_ns(m.app);
    rc = rc < 0 ? rc : run(&m, argv, argc, &diag);
    if (rc < 0) {
        fprintf(stderr, "ssh_many: %s\n", diag.text);
        return nk_exit_code(rc);
    }
    if (m.rc == 0) {
        report(&m, began);
    }
    ssh_conn_close(m.conn);
    nk_app_free(m.app);
    free(m.v);
    return m.rc;
}
