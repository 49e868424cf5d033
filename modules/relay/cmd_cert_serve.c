/* SPDX-License-Identifier: MIT */
/* netkit cert serve: hand out a relay's certificate, authenticated by the relay's password. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cmd.h"
#include "base/file.h"
#include "core/app.h"
#include "core/clock.h"
#include "core/registry.h"
#include "core/signal.h"
#include "core/timer.h"
#include "relay/certshare.h"
#include "relay/guard.h"
#include "relay/password.h"
#include "relay/relay.h"
#include "relay/stretch.h"
#include "tls/tls.h"

enum {
    SILENCE_MS = 500,    /* a client that says nothing for so long is tlspyo's, and waits for us */
    DEADLINE_MS = 10000, /* of one exchange */
    INPUT_MAX = 128,     /* longest message of a client */
    CONNECTIONS_MAX = 256
};

struct serve_conf {
    int64_t port;
    char *cert, *password_file;
    bool no_plain;
};

struct server {
    struct nk_cmd_ctx *ctx;
    const struct serve_conf *conf;
    struct nk_app *app;
    struct nk_listener *listener;
    struct relay_guard *guard;
    struct nk_buf pem;
    bool has_password;
    struct relay_stretch_params params;
    uint8_t prs[RELAY_LOGIN_PRS];
    struct conn *conns;
    size_t n;
};

struct conn {
    struct server *server;
    struct nk_stream *s;
    struct nk_timer timer;
    struct relay_guest guest;
    struct relay_certshare share;
    struct nk_buf out;
    uint8_t in[INPUT_MAX];
    size_t in_len;
    bool talking;  /* it speaks our protocol */
    bool delayed;  /* the answer waits for the timer */
    bool answered; /* it knows by now whether its guess was right */
    bool ending;   /* closes when out is empty */
    struct conn *prev, *next;
    char peer[96];
};

static const struct nk_opt opts[] = {
    {.name = "port",
     .type = NK_OPT_INT,
     .offset = NK_FIELD(struct serve_conf, port),
     .arg = "PORT",
     .def = "7776",
     .min = 0,
     .max = UINT16_MAX,
     .help = "Port to listen on, on all addresses"},
    {.name = "cert",
     .type = NK_OPT_PATH,
     .offset = NK_FIELD(struct serve_conf, cert),
     .arg = "FILE",
     .help = "Certificate to hand out; default: certificate.pem of the credentials folder"},
    {.name = "password-file",
     .type = NK_OPT_PATH,
     .offset = NK_FIELD(struct serve_conf, password_file),
     .arg = "FILE",
     .help = "File with the relay's password; default: password of the credentials folder"},
    {.name = "no-plain",
     .type = NK_OPT_FLAG,
     .offset = NK_FIELD(struct serve_conf, no_plain),
     .help = "Do not serve tlspyo's --retrieve and 'cert fetch --fingerprint', which get it as it "
             "is"},
    NK_OPT_END};

/* --- one connection --------------------------------------------------------------------------- */

static void conn_close(struct conn *c)
{
    struct server *v = c->server;
    if (c->answered) {
        nk_audit(nk_app_log(v->app), "cert", NK_LOG_WARN, "auth.fail", c->peer,
                 "did not show that it knows the password");
    }
    nk_timer_stop(&c->timer);
    nk_stream_close(c->s);
    relay_guard_leave(v->guard, &c->guest);
    relay_certshare_clear(&c->share);
    nk_buf_clear(&c->out);
    *(c->prev ? &c->prev->next : &v->conns) = c->next;
    if (c->next) {
        c->next->prev = c->prev;
    }
    v->n--;
    free(c);
}

static void on_drop(void *owner)
{
    conn_close(owner);
}

/* Write what waits. Returns false when the connection is gone. */
static bool flush(struct conn *c)
{
    while (nk_buf_len(&c->out)) {
        ssize_t put = nk_stream_write(c->s, nk_buf_ptr(&c->out), nk_buf_len(&c->out));
        if (put == NK_EAGAIN) {
            return true;
        }
        if (put < 0) {
            conn_close(c);
            return false;
        }
        nk_buf_consume(&c->out, (size_t)put);
    }
    if (c->ending) {
        nk_stream_shutdown(c->s); /* what was written still arrives; the peer closes */
    }
    return true;
}

static bool send_share(struct conn *c)
{
    struct nk_buf *from = &c->share.out;
    if (nk_buf_put(&c->out, nk_buf_ptr(from), nk_buf_len(from)) < 0) {
        conn_close(c);
        return false;
    }
    nk_buf_reset(from);
    return flush(c);
}

static void finish_exchange(struct conn *c)
{
    c->answered = false;
    relay_guard_forgive(c->server->guard, &c->guest);
    nk_audit(nk_app_log(c->server->app), "cert", NK_LOG_INFO, "auth.ok", c->peer,
             "has the certificate, authenticated by the password");
    conn_close(c);
}

/* Take the messages that are there. */
static void run_exchange(struct conn *c)
{
    size_t used = 1;
    while (used && !c->delayed) {
        bool share = c->share.state == RELAY_CERTSHARE_SHARE_STATE;
        int rc = relay_certshare_input(&c->share, c->in, c->in_len, &used);
        c->in_len -= used;
        memmove(c->in, c->in + used, c->in_len);
        if (rc == RELAY_CERTSHARE_DONE) {
            finish_exchange(c);
            return;
        }
        if (rc < 0) {
            conn_close(c);
            return;
        }
        c->answered |= share && used;
        if (!send_share(c)) {
            return;
        }
    }
}

/* A share is here whole: the answer to it is what a guess is made for. */
static bool must_delay(struct conn *c)
{
    if (c->share.state != RELAY_CERTSHARE_SHARE_STATE || c->in_len < RELAY_CPACE_SHARE) {
        return false;
    }
    uint64_t ms = relay_guard_attempt(c->server->guard, &c->guest, nk_now_ms(c->server->app));
    if (ms == 0) {
        return false;
    }
    c->delayed = true;
    nk_stream_interest(c->s, NK_WRITABLE);
    nk_timer_start(&c->timer, ms);
    return true;
}

static void send_plain(struct conn *c)
{
    struct server *v = c->server;
    if (v->conf->no_plain) {
        conn_close(c);
        return;
    }
    nk_warn(nk_app_log(v->app), "cert",
            "%s gets the certificate as it is (tlspyo's way): compare its fingerprint there",
            c->peer);
    c->ending = true;
    nk_timer_start(&c->timer, DEADLINE_MS);
    if (nk_buf_put(&c->out, nk_buf_ptr(&v->pem), nk_buf_len(&v->pem)) < 0) {
        conn_close(c);
        return;
    }
    flush(c);
}

static void on_timer(void *owner)
{
    struct conn *c = owner;
    if (c->delayed) {
        c->delayed = false;
        nk_timer_start(&c->timer, DEADLINE_MS);
        nk_stream_interest(c->s, NK_READABLE | NK_WRITABLE);
        run_exchange(c);
    } else if (!c->talking && !c->ending) {
        send_plain(c);
    } else {
        conn_close(c);
    }
}

static void on_readable(struct conn *c)
{
    uint8_t scratch[INPUT_MAX];
    size_t room = c->ending ? sizeof(scratch) : INPUT_MAX - c->in_len;
    if (room == 0) {
        conn_close(c);
        return;
    }
    ssize_t got = nk_stream_read(c->s, c->ending ? scratch : c->in + c->in_len, room);
    if (got == NK_EAGAIN || (got > 0 && c->ending)) {
        return;
    }
    if (got <= 0 || !c->server->has_password) {
        conn_close(c);
        return;
    }
    if (!c->talking) {
        c->talking = true;
        nk_timer_start(&c->timer, DEADLINE_MS);
    }
    c->in_len += (size_t)got;
    if (!must_delay(c)) {
        run_exchange(c);
    }
}

static void on_event(void *owner, struct nk_stream *s, unsigned events)
{
    struct conn *c = owner;
    (void)s;
    if (events & NK_CLOSED) {
        conn_close(c);
        return;
    }
    if ((events & NK_WRITABLE) && !flush(c)) {
        return;
    }
    if (events & NK_READABLE) {
        on_readable(c);
    }
}

static void on_accept(void *owner, struct nk_listener *l, struct nk_stream *take_s)
{
    struct server *v = owner;
    struct conn *c = v->n < CONNECTIONS_MAX ? calloc(1, sizeof(*c)) : NULL;
    (void)l;
    if (!c) {
        nk_stream_close(take_s);
        return;
    }
    c->server = v;
    c->s = take_s;
    c->guest = (struct relay_guest){.drop = on_drop, .owner = c};
    nk_stream_peer(take_s, c->peer, sizeof(c->peer));
    nk_timer_init(&c->timer, v->app, on_timer, c);
    nk_buf_init(&c->out, 2 * RELAY_CERTSHARE_MAX);
    relay_certshare_server_init(&c->share, &v->params, v->prs, nk_buf_ptr(&v->pem),
                                nk_buf_len(&v->pem));
    c->next = v->conns;
    if (c->next) {
        c->next->prev = c;
    }
    v->conns = c;
    v->n++;
    if (relay_guard_enter(v->guard, &c->guest, c->peer) < 0) {
        conn_close(c);
        return;
    }
    nk_timer_start(&c->timer, SILENCE_MS);
    nk_stream_own(take_s, on_event, c);
    nk_stream_interest(take_s, NK_READABLE | NK_WRITABLE);
}

/* --- the command ------------------------------------------------------------------------------ */

static int default_path(const struct server *v, const char *given, const char *name, char *out,
                        struct nk_diag *diag)
{
    char dir[NK_PATH_MAX];
    if (given) {
        snprintf(out, NK_PATH_MAX, "%s", given);
        return 0;
    }
    if (nk_path_join(dir, sizeof(dir), v->ctx->globals->state_dir, RELAY_CREDENTIALS_DIR) < 0 ||
        nk_path_join(out, NK_PATH_MAX, dir, name) < 0) {
        return nk_fail(diag, NK_ETOOBIG, "the state directory's path is too long");
    }
    return 0;
}

/* The certificate must be one: nobody shall get something else under its name. */
static int load_cert(struct server *v, struct tls_cert_info *info, struct nk_diag *diag)
{
    char path[NK_PATH_MAX];
    int rc = default_path(v, v->conf->cert, RELAY_CERT_FILE, path, diag);
    rc = rc < 0 ? rc : nk_file_read(path, NK_FILE_CONFIG, &v->pem, diag);
    rc = rc < 0 ? rc : tls_cert_describe(nk_buf_ptr(&v->pem), nk_buf_len(&v->pem), info, diag);
    if (rc == 0 && memmem(nk_buf_ptr(&v->pem), nk_buf_len(&v->pem), "PRIVATE KEY", 11)) {
        rc = nk_fail(diag, NK_ECONFIG, "%s holds a private key, too", path);
        nk_hint(diag, "give a file with the certificate alone");
    }
    return rc;
}

static int load_password(struct server *v, struct nk_diag *diag)
{
    char path[NK_PATH_MAX];
    struct nk_secret pw = {0};
    int rc = default_path(v, v->conf->password_file, RELAY_PASSWORD_FILE, path, diag);
    if (rc == 0 && !v->conf->password_file && access(path, F_OK) < 0) {
        if (v->conf->no_plain) {
            return nk_fail(diag, NK_ECONFIG, "--no-plain needs a password: %s is not there", path);
        }
        nk_warn(v->ctx->log, "cert", "no password: %s is not there; fetch with --fingerprint only",
                path);
        return 0;
    }
    rc = rc < 0 ? rc : relay_password_load(path, &pw, diag);
    v->params.mem_kib = RELAY_STRETCH_KIB_DEFAULT;
    v->params.passes = RELAY_STRETCH_PASSES_DEFAULT;
    nk_random(v->params.salt, sizeof(v->params.salt));
    if (rc == 0 && (rc = relay_stretch(&v->params, pw.data, pw.len, v->prs)) < 0) {
        nk_fail_sys(diag, rc, "stretching the password");
    }
    v->has_password = rc == 0;
    nk_secret_clear(&pw);
    return rc;
}

static int start(struct server *v, struct nk_diag *diag)
{
    char text[32];
    struct nk_endpoint *ep;
    const struct nk_app_conf conf = {.log = v->ctx->log, .state_dir = v->ctx->globals->state_dir};
    int rc = nk_app_new(&v->app, &conf, diag);
    v->guard = relay_guard_new(RELAY_GUESTS_DEFAULT);
    if (rc < 0 || !v->guard) {
        return rc < 0 ? rc : nk_fail_sys(diag, -ENOMEM, "cert serve");
    }
    snprintf(text, sizeof(text), "tcp::%u", (unsigned)v->conf->port);
    rc = nk_endpoint_parse(text, NK_EP_LISTEN, &ep, diag);
    if (rc == 0) {
        rc = nk_listen(v->app, ep, on_accept, v, &v->listener, diag);
        nk_endpoint_free(ep);
    }
    return rc;
}

static void on_signal(void *owner, int signum)
{
    struct server *v = owner;
    (void)signum;
    nk_app_stop(v->app, 0);
}

static void on_timeout(void *owner)
{
    on_signal(owner, SIGTERM);
}

static void announce(const struct server *v, const struct tls_cert_info *info)
{
    char where[128], pin[TLS_PIN_TEXT];
    if (nk_listener_local(v->listener, where, sizeof(where)) < 0) {
        snprintf(where, sizeof(where), "port %u", (unsigned)v->conf->port);
    }
    nk_info(v->ctx->log, "cert", "serving the certificate of %s on %s", info->subject, where);
    nk_info(v->ctx->log, "cert", "fingerprint %s", tls_pin_format(pin, info->spki));
}

static int serve(struct server *v, const struct tls_cert_info *info, struct nk_diag *diag)
{
    struct nk_signal *term = NULL, *interrupt = NULL;
    struct nk_timer timeout;
    int rc = nk_signal_watch(v->app, SIGTERM, on_signal, v, &term);
    rc = rc < 0 ? rc : nk_signal_watch(v->app, SIGINT, on_signal, v, &interrupt);
    nk_timer_init(&timeout, v->app, on_timeout, v);
    if (v->ctx->globals->timeout_ms) {
        nk_timer_start(&timeout, v->ctx->globals->timeout_ms);
    }
    if (rc < 0) {
        nk_fail_sys(diag, rc, "cannot watch signals");
    } else {
        announce(v, info);
        rc = nk_app_run(v->app);
    }
    nk_timer_stop(&timeout);
    if (term) {
        nk_signal_close(term);
    }
    if (interrupt) {
        nk_signal_close(interrupt);
    }
    return rc;
}

static int run(struct nk_cmd_ctx *ctx)
{
    struct tls_cert_info info;
    struct server v = {.ctx = ctx, .conf = ctx->conf};
    nk_buf_init(&v.pem, RELAY_CERTSHARE_MAX);
    int rc = load_cert(&v, &info, &ctx->diag);
    rc = rc < 0 ? rc : load_password(&v, &ctx->diag);
    rc = rc < 0 ? rc : start(&v, &ctx->diag);
    rc = rc < 0 ? rc : serve(&v, &info, &ctx->diag);
    for (struct conn *c = v.conns, *next; c; c = next) {
        next = c->next;
        conn_close(c);
    }
    nk_listener_close(v.listener);
    relay_guard_free(v.guard);
    if (v.app) {
        nk_app_free(v.app);
    }
    nk_buf_clear(&v.pem);
    nk_wipe(v.prs, sizeof(v.prs));
    return rc;
}

const struct nk_cmd nk_cmd_cert_serve = {
    .synopsis = "[--port PORT] [--cert FILE] [--password-file FILE] [--no-plain]",
    .summary = "Hand out a relay's certificate",
    .opts = opts,
    .conf_size = sizeof(struct serve_conf),
    .flags = NK_CMD_NO_CONFIG,
    .run = run,
};
