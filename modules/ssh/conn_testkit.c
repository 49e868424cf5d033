/* SPDX-License-Identifier: MIT */
#include "ssh/conn_testkit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/stream.h"
#include "core/work.h"
#include "ssh/conn_impl.h"

enum { TURNS = 20000, CHUNK = 64 * 1024 };

/* --- the application -------------------------------------------------------------------------- */

static bool leave(struct ssh_world *w, enum ssh_world_place at)
{
    if (w->leave != at) {
        return false;
    }
    ssh_conn_close(w->conn);
    w->conn = NULL;
    w->was_closed = true;
    return true;
}

static void write_more(struct ssh_world *w)
{
    static const uint8_t zeros[CHUNK];
    while (w->wrote < w->total) {
        size_t n = w->total - w->wrote < CHUNK ? w->total - w->wrote : CHUNK;
        const struct iovec iov = {.iov_base = (void *)(uintptr_t)zeros, .iov_len = n};
        ssize_t put = ssh_channel_writev(w->ch, &iov, 1);
        if (put <= 0) {
            return;
        }
        w->wrote += (size_t)put;
    }
    (void)ssh_channel_eof(w->ch);
}

static void on_channel_open(void *owner, struct ssh_channel *ch, struct ssh_str data)
{
    struct ssh_world *w = owner;
    (void)data;
    w->ch = ch;
    if (!leave(w, SSH_WORLD_IN_CHANNEL)) {
        write_more(w);
    }
}

static void on_data(void *owner, struct ssh_channel *ch, uint32_t kind, const uint8_t *p, size_t n)
{
    struct ssh_world *w = owner;
    (void)kind;
    (void)p;
    w->came += n;
    if (!leave(w, SSH_WORLD_IN_DATA)) {
        (void)ssh_channel_consumed(ch, n);
    }
}

static void on_writable(void *owner, struct ssh_channel *ch)
{
    (void)ch;
    write_more(owner);
}

static void on_channel_closed(void *owner, struct ssh_channel *ch, const struct nk_diag *why)
{
    struct ssh_world *w = owner;
    (void)ch;
    (void)why;
    w->channel_ends++;
}

static void on_failed(void *owner, struct ssh_channel *ch, uint32_t reason,
                      const struct nk_diag *why)
{
    (void)reason;
    on_channel_closed(owner, ch, why);
}

static const struct ssh_channel_ops channel_ops = {.on_open = on_channel_open,
                                                   .on_failed = on_failed,
                                                   .on_data = on_data,
                                                   .on_writable = on_writable,
                                                   .on_closed = on_channel_closed};

static void on_host_key(void *owner, const struct ssh_host_key *k)
{
    struct ssh_world *w = owner;
    w->host_keys += k->key.blob.n > 0;
    if (!leave(w, SSH_WORLD_IN_HOST_KEY) && !w->late) {
        ssh_conn_trust(w->conn, w->k.answer, NULL);
    }
}

static void give(struct ssh_world *w)
{
    const struct ssh_gift password = {.kind = SSH_GIVE_PASSWORD,
                                      .text = {(const uint8_t *)"secret", 6}};
    const struct ssh_gift nothing = {.kind = SSH_GIVE_NOTHING};
    w->asked = false;
    (void)ssh_conn_give(w->conn, w->questions == 1 ? &password : &nothing, NULL);
}

static void on_credential(void *owner, const struct ssh_question *q)
{
    struct ssh_world *w = owner;
    w->questions += q->want == SSH_AUTH_CREDENTIAL;
    w->asked = true;
    if (!leave(w, SSH_WORLD_IN_CREDENTIAL) && !w->late) {
        give(w);
    }
}

static void on_open(void *owner)
{
    struct ssh_world *w = owner;
    struct ssh_channel *ch;
    w->opens++;
    if (!leave(w, SSH_WORLD_IN_OPEN)) {
        (void)ssh_channel_open(ssh_conn_channels(w->conn), "session", (struct ssh_str){0},
                               &channel_ops, w, &ch, NULL);
    }
}

static void on_closed(void *owner, int rc, const struct nk_diag *why)
{
    struct ssh_world *w = owner;
    w->closes++;
    w->rc = rc;
    w->why = *why;
    (void)leave(w, SSH_WORLD_IN_CLOSED);
}

static const struct ssh_conn_ops conn_ops = {
    .host_key = on_host_key, .credential = on_credential, .open = on_open, .closed = on_closed};

/* --- the server ------------------------------------------------------------------------------- */

static bool answer_login(struct ssh_kit *k, const uint8_t *p, size_t n)
{
    static const uint8_t failure[] = {
        SSH_MSG_USERAUTH_FAILURE, 0, 0, 0, 8, 'p', 'a', 's', 's', 'w', 'o', 'r', 'd', 0};
    struct ssh_world *w = k->arg;
    struct nk_cur c;
    nk_cur_init(&c, p + 1, n - 1);
    (void)ssh_cur_string(&c);
    (void)ssh_cur_string(&c);
    struct ssh_str method = ssh_cur_string(&c);
    bool good = ssh_str_is(method, "password") ||
                (!w->only_password && ssh_str_is(method, "publickey-hostbound-v00@openssh.com"));
    return w->silent || (good ? ssh_kit_send_number(k, SSH_MSG_USERAUTH_SUCCESS)
                              : ssh_kit_send(k, failure, sizeof(failure)));
}

static bool confirm(struct ssh_kit *k, uint32_t client)
{
    struct nk_buf b;
    struct ssh_world *w = k->arg;
    w->peer = client;
    nk_buf_init(&b, 64);
    bool fine = nk_buf_u8(&b, SSH_MSG_CHANNEL_OPEN_CONFIRMATION) == 0 &&
                nk_buf_be32(&b, client) == 0 && nk_buf_be32(&b, 7) == 0 &&
                nk_buf_be32(&b, 64 * 1024 * 1024) == 0 && nk_buf_be32(&b, 32 * 1024) == 0 &&
                ssh_kit_send(k, nk_buf_ptr(&b), nk_buf_len(&b));
    nk_buf_clear(&b);
    return fine;
}

/* A message that has only the client's number of the channel. */
static bool send_about(struct ssh_kit *k, uint8_t number)
{
    const struct ssh_world *w = k->arg;
    const uint8_t p[] = {number, (uint8_t)(w->peer >> 24), (uint8_t)(w->peer >> 16),
                         (uint8_t)(w->peer >> 8), (uint8_t)w->peer};
    return ssh_kit_send(k, p, sizeof(p));
}

/* Logs in whom it likes, opens every channel, sends data back, closes after their end. */
static bool above(struct ssh_kit *k, const uint8_t *p, size_t n)
{
    static const char accept[] = "\6\0\0\0\14ssh-userauth"; /* SERVICE_ACCEPT */
    struct ssh_world *w = k->arg;
    struct nk_cur c;
    nk_cur_init(&c, p + 1, n - 1);
    switch (*p) {
    case SSH_MSG_SERVICE_REQUEST:
        return ssh_kit_send(k, (const uint8_t *)accept, sizeof(accept) - 1);
    case SSH_MSG_USERAUTH_REQUEST:
        return answer_login(k, p, n);
    case SSH_MSG_CHANNEL_OPEN:
        (void)ssh_cur_string(&c);
        return confirm(k, nk_cur_be32(&c));
    case SSH_MSG_CHANNEL_DATA: {
        uint8_t *copy = malloc(n);
        bool fine = copy != NULL;
        if (copy) {
            memcpy(copy, p, n);
            for (int i = 0; i < 4; i++) {
                copy[1 + i] = (uint8_t)(w->peer >> (8 * (3 - i)));
            }
            fine = ssh_kit_send(k, copy, n);
        }
        free(copy);
        return fine;
    }
    case SSH_MSG_CHANNEL_EOF:
        return send_about(k, SSH_MSG_CHANNEL_EOF) && send_about(k, SSH_MSG_CHANNEL_CLOSE);
    default:
        return true;
    }
}

void ssh_world_hang_up(struct ssh_world *w)
{
    if (w->fd >= 0) {
        close(w->fd);
        w->fd = -1;
    }
}

void ssh_world_receive(struct ssh_world *w)
{
    uint8_t *p;
    if (w->deaf || nk_buf_reserve(&w->k.in, CHUNK, &p) < 0) {
        return;
    }
    ssize_t n = read(w->fd, p, CHUNK);
    if (n == 0) {
        ssh_world_hang_up(w);
    } else if (n > 0) {
        nk_buf_commit(&w->k.in, (size_t)n);
        if (!ssh_kit_serve(&w->k)) {
            ssh_world_hang_up(w);
        }
    }
}

void ssh_world_send(struct ssh_world *w)
{
    size_t n = nk_buf_len(&w->k.out);
    if (w->fd < 0 || n == 0) {
        return;
    }
    n = w->cut && n > w->cut - w->sent ? w->cut - w->sent : n;
    ssize_t put = send(w->fd, nk_buf_ptr(&w->k.out), n, MSG_NOSIGNAL);
    if (put > 0) {
        nk_buf_consume(&w->k.out, (size_t)put);
        w->sent += (size_t)put;
    }
    if (w->cut && w->sent == w->cut) {
        ssh_world_hang_up(w);
    }
}

/* --- the world -------------------------------------------------------------------------------- */

void ssh_world_init(struct ssh_world *w)
{
    *w = (struct ssh_world){.fd = -1};
    ssh_kit_init(&w->k);
    w->k.kex = "curve25519-sha256";
    w->k.arg = w;
    w->k.above = above;
    w->k.ext_info = true;
    w->conf = (struct ssh_conn_conf){.ops = &conn_ops, .user = "user"};
}

int ssh_world_open(struct ssh_world *w)
{
    struct nk_diag diag = {0};
    struct nk_stream *s;
    int fds[2];
    const struct nk_app_conf conf = {0};
    int rc = nk_app_new(&w->app, &conf, &diag);
    if (rc < 0 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) < 0) {
        return rc < 0 ? rc : -errno;
    }
    w->fd = fds[1];
    rc = nk_stream_from_fd(w->app, fds[0], "test", &s);
    w->conf.app = w->app;
    w->conf.owner = w;
    rc = rc < 0 ? rc : ssh_conn_new(&w->conn, &w->conf, s, &diag);
    return rc < 0 ? rc : nk_buf_puts(&w->k.out, w->k.ident);
}

/* One turn of everybody; false when it is over. */
bool ssh_world_turn(struct ssh_world *w)
{
    if (w->fd >= 0) {
        ssh_world_receive(w);
        ssh_world_send(w);
    }
    (void)nk_app_turn(w->app, w->wait);
    if (w->late && w->asked && w->conn) {
        give(w);
    } else if (w->late && w->host_keys && w->conn) {
        ssh_conn_trust(w->conn, w->k.answer, NULL); /* fine when nobody asks any more */
    }
    return w->closes == 0 && !w->was_closed && w->channel_ends == 0;
}

void ssh_world_run(struct ssh_world *w)
{
    for (int i = 0; i < TURNS && ssh_world_turn(w); i++) {
    }
}

/* What is under way beside the loop is over then: nk_app_free leaves behind what is not. */
void ssh_world_close(struct ssh_world *w)
{
    struct nk_work *step = w->conn ? w->conn->kex : NULL;
    ssh_conn_close(w->conn);
    w->conn = NULL;
    if (step) {
        (void)nk_work_wait(step);
    }
}

void ssh_world_clear(struct ssh_world *w)
{
    ssh_world_close(w);
    if (w->app) {
        (void)nk_app_turn(w->app, 0);
        nk_app_free(w->app);
    }
    ssh_world_hang_up(w);
    ssh_kit_clear(&w->k);
}
