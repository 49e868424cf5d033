/* SPDX-License-Identifier: MIT */
/*
 * A small SSH client on modules/ssh: the worked example of its README.
 *
 *     ssh_guide ENDPOINT USER KEYFILE FINGERPRINT [TEXT]
 *
 * Knows the server by the fingerprint of its host key (MD5 with or without "MD5:", or SHA256), logs
 * in with the key, opens a session channel, executes cat, sends the text, ends its direction,
 * prints what comes back, and ends the connection when the server has closed the channel.
 */
#include <stdio.h>
#include <string.h>

#include "core/app.h"
#include "ssh/host_policy.h"
#include "ssh/ssh.h"
#include "ssh_peer.h"

struct guide {
    struct nk_app *app;
    struct ssh_conn *conn;
    struct ssh_channel *channel;
    const char *fingerprint, *text; /* text: what is left of it */
    bool runs;                      /* cat has been started */
    int rc;
};

static int complain(int rc, const struct nk_diag *why)
{
    fprintf(stderr, "ssh_guide: %s\n", why->text);
    return rc;
}

static void end(struct guide *g, int rc)
{
    g->rc = rc;
    ssh_conn_close(g->conn);
    g->conn = NULL;
    nk_app_stop(g->app, 0);
}

/* --- the channel ------------------------------------------------------------------------------ */

static void on_data(void *owner, struct ssh_channel *ch, uint32_t kind, const uint8_t *p, size_t n)
{
    (void)owner;
    fwrite(p, 1, n, kind == 0 ? stdout : stderr);
    (void)ssh_channel_consumed(ch, n);
}

static bool on_request(void *owner, struct ssh_channel *ch, struct ssh_str type,
                       struct ssh_str data)
{
    struct guide *g = owner;
    (void)ch;
    if (!ssh_str_is(type, "exit-status") || data.n != sizeof(uint32_t)) {
        return false;
    }
    g->rc = data.p[3]; /* cat ends with less than 256 */
    return true;
}

static void on_closed(void *owner, struct ssh_channel *ch, const struct nk_diag *why)
{
    struct guide *g = owner;
    (void)ch;
    if (!why) {
        end(g, g->rc);
    }
}

/* cat gets the text as far as it takes it, and then the end of it. */
static void send_text(struct guide *g, struct ssh_channel *ch)
{
    size_t left = strlen(g->text);
    while (g->runs && left > 0) {
        const struct iovec iov = {.iov_base = (void *)(uintptr_t)g->text, .iov_len = left};
        ssize_t n = ssh_channel_writev(ch, &iov, 1);
        if (n < 0) {
            return; /* on_writable follows */
        }
        g->text += n;
        left -= (size_t)n;
    }
    if (g->runs) {
        (void)ssh_channel_eof(ch);
    }
}

static void on_writable(void *owner, struct ssh_channel *ch)
{
    send_text(owner, ch);
}

/* The answer to the request: the command runs, or not. */
static void on_executed(void *owner, int ok, struct ssh_str data)
{
    struct guide *g = owner;
    (void)data;
    if (ok == 1) {
        g->runs = true;
        send_text(g, g->channel);
    } else {
        end(g, complain(1, &(struct nk_diag){.text = "the server does not run cat"}));
    }
}

static void on_open(void *owner, struct ssh_channel *ch, struct ssh_str data)
{
    struct guide *g = owner;
    (void)data;
    g->channel = ch;
    (void)peer_run_cat(ch, on_executed, g);
}

static void on_failed(void *owner, struct ssh_channel *ch, uint32_t reason,
                      const struct nk_diag *why)
{
    (void)ch;
    (void)reason;
    end(owner, complain(1, why));
}

static const struct ssh_channel_ops channel_ops = {.on_open = on_open,
                                                   .on_failed = on_failed,
                                                   .on_data = on_data,
                                                   .on_writable = on_writable,
                                                   .on_request = on_request,
                                                   .on_closed = on_closed};

/* --- the connection --------------------------------------------------------------------------- */

/* Whose key is it? The server has proven to have it; the fingerprint says whether it is the one. */
static void on_host_key(void *owner, const struct ssh_host_key *k)
{
    struct guide *g = owner;
    bool right = ssh_pin_matches(g->fingerprint, k->key.blob);
    ssh_conn_trust(g->conn, right ? 0 : NK_EVERIFY, NULL);
}

static void on_login(void *owner)
{
    struct guide *g = owner;
    struct nk_diag diag = {0};
    struct ssh_channel *ch;
    if (ssh_channel_open(ssh_conn_channels(g->conn), "session", (struct ssh_str){0}, &channel_ops,
                         g, &ch, &diag) < 0) {
        end(g, complain(1, &diag));
    }
}

static void on_over(void *owner, int rc, const struct nk_diag *why)
{
    end(owner, complain(nk_exit_code(rc), why));
}

static const struct ssh_conn_ops conn_ops = {
    .host_key = on_host_key, .open = on_login, .closed = on_over};

static int run(struct guide *g, const char *where, const char *user, struct ssh_private *key,
               struct nk_diag *diag)
{
    struct nk_stream *s;
    const struct ssh_conn_conf conf = {
        .app = g->app, .ops = &conn_ops, .owner = g, .user = user, .key = key};
    int rc = peer_dial(g->app, where, &s, diag);
    rc = rc < 0 ? rc : ssh_conn_new(&g->conn, &conf, s, diag);
    return rc < 0 ? rc : nk_app_run(g->app);
}

int main(int argc, char **argv)
{
    struct nk_diag diag = {0};
    struct guide g = {.text = argc > 5 ? argv[5] : "Hello, cat\n"};
    struct ssh_private *key = NULL;
    const struct nk_app_conf conf = {0};
    if (argc < 5 || nk_crypto_init() < 0) {
        fprintf(stderr, "usage: ssh_guide ENDPOINT USER KEYFILE FINGERPRINT [TEXT]\n");
        return NK_EXIT_USAGE;
    }
    g.fingerprint = argv[4];
    int rc = ssh_pin_check(g.fingerprint, &diag);
    rc = rc < 0 ? rc : peer_read_key(argv[3], &key, &diag);
    rc = rc < 0 ? rc : nk_app_new(&g.app, &conf, &diag);
    rc = rc < 0 ? rc : run(&g, argv[1], argv[2], key, &diag);
    if (rc < 0) {
        return complain(nk_exit_code(rc), &diag);
    }
    ssh_private_unref(key);
    nk_app_free(g.app);
    return g.rc;
}
