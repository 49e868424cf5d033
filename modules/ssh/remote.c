/* SPDX-License-Identifier: MIT */
#include "ssh/remote.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/app.h"
#include "core/stream.h"
#include "core/timer.h"

enum { DATA_MAX = 4096, PEER_MAX = 280, HOST_SHOWN = 255 };

struct remote {
    struct nk_listener l; /* first */
    struct ssh_remote_conf conf;
    struct ssh_link_user user;
    struct ssh_channels *asked; /* of this connection; NULL: not asked */
    struct nk_timer again;
    struct nk_defer gone;
    char *text; /* path or host, which conf points to */
    uint16_t port;
    unsigned refusals, active, waiting;
    bool granted, paused, closed;
};

/* --- requests --------------------------------------------------------------------------------- */

static int put_where(const struct remote *r, uint16_t port, struct nk_buf *b)
{
    int rc = ssh_put_text(b, r->text);
    return rc < 0 || r->conf.path ? rc : nk_buf_be32(b, port);
}

static int request(struct remote *r, struct ssh_channels *c, bool cancel, ssh_reply_fn *fn)
{
    static const char *const names[2][2] = {
        {"tcpip-forward", "cancel-tcpip-forward"},
        {"streamlocal-forward@openssh.com", "cancel-streamlocal-forward@openssh.com"}};
    struct nk_buf b;
    nk_buf_init(&b, DATA_MAX);
    int rc = put_where(r, r->port, &b);
    rc = rc < 0 ? rc
                : ssh_global_request(c, names[r->conf.path != NULL][cancel],
                                     (struct ssh_str){nk_buf_ptr(&b), nk_buf_len(&b)}, fn, r);
    nk_buf_clear(&b);
    return rc;
}

static void tell(struct remote *r, int rc, const struct nk_diag *why)
{
    if (r->conf.told) {
        r->conf.told(r->conf.owner, &r->l, rc, r->port, why);
    }
}

static void refused(struct remote *r, int rc)
{
    struct nk_diag why;
    if (r->conf.path) {
        (void)nk_fail(&why, rc, "the server does not listen on %s", r->text);
    } else {
        (void)nk_fail(&why, rc, "the server does not listen on port %u", r->port);
    }
    r->asked = NULL;
    r->port = r->conf.port; /* the one that it chose before is taken: another one then */
    if (!r->conf.once) {
        uint64_t ms = SSH_REMOTE_AGAIN_MS;
        for (unsigned i = 0; i < r->refusals && ms < SSH_REMOTE_AGAIN_MAX_MS; i++) {
            ms *= 2;
        }
        r->refusals++;
        nk_timer_start(&r->again, ms < SSH_REMOTE_AGAIN_MAX_MS ? ms : SSH_REMOTE_AGAIN_MAX_MS);
    }
    if (r->conf.once) {
        nk_listener_turn(&r->l, rc, &why);
    }
    tell(r, rc, &why);
}

static void on_reply(void *owner, int ok, struct ssh_str data)
{
    struct remote *r = owner;
    struct nk_cur cur;
    if (ok < 0) {
        return; /* the connection is over: the link tells */
    }
    if (ok == 0) {
        refused(r, NK_EAUTH);
        return;
    }
    if (!r->conf.path && r->port == 0) { /* RFC 4254 7.1: its choice comes with the answer */
        nk_cur_init(&cur, data.p, data.n);
        uint32_t port = nk_cur_be32(&cur);
        if (!nk_cur_done(&cur) || port == 0 || port > UINT16_MAX) {
            refused(r, NK_EPROTO);
            return;
        }
        r->port = (uint16_t)port;
    }
    r->granted = true;
    r->refusals = 0;
    tell(r, 0, NULL);
    nk_listener_turn(&r->l, 0, NULL); /* nobody watches what was closed in there */
}

static void ask(struct remote *r)
{
    struct ssh_channels *c = ssh_link_channels(r->conf.link);
    if (!c || r->asked || r->closed) {
        return;
    }
    int rc = request(r, c, false, on_reply);
    if (rc < 0) {
        refused(r, rc);
    } else {
        r->asked = c;
    }
}

static void on_again(void *owner)
{
    ask(owner);
}

static void on_up(void *owner, struct ssh_link *link)
{
    (void)link;
    ask(owner);
}

static void on_down(void *owner, struct ssh_link *link, const struct nk_diag *why)
{
    struct remote *r = owner;
    nk_timer_stop(&r->again);
    r->asked = NULL;
    r->granted = false;
    r->refusals = 0;
    int over = why->code < 0 ? why->code : NK_ECLOSED;
    nk_listener_turn(&r->l, ssh_link_state(link) == SSH_LINK_OVER ? over : NK_EAGAIN, why);
}

/* --- connections ------------------------------------------------------------------------------ */

static void release(struct remote *r)
{
    if (r->closed && r->active == 0) {
        nk_app_defer(r->l.app, &r->gone);
    }
}

static void on_stream_closed(void *arg)
{
    struct remote *r = arg;
    r->active--;
    release(r);
}

/* Is it ours? Most servers name the address as we did; else the port is what counts, which for
 * AsyncSSH is 0 where we have left it to the server. */
static bool is_ours(const struct remote *r, struct nk_cur *cur, bool any)
{
    struct ssh_str where = ssh_cur_string(cur);
    bool same = ssh_str_is(where, r->text);
    if (r->conf.path) {
        return !cur->failed && same;
    }
    uint32_t port = nk_cur_be32(cur);
    return !cur->failed &&
           ((port == r->port && (same || any)) || (port == r->conf.port && same && any));
}

/* Who has connected there, into peer; false: malformed. */
static bool get_peer(const struct remote *r, struct nk_cur *cur, char peer[PEER_MAX])
{
    struct ssh_str from = ssh_cur_string(cur); /* of a unix socket: reserved */
    uint32_t port = r->conf.path ? 0 : nk_cur_be32(cur);
    int n = from.n < HOST_SHOWN ? (int)from.n : HOST_SHOWN;
    if (!nk_cur_done(cur)) {
        return false;
    }
    if (r->conf.path) {
        memcpy(peer, "unix", sizeof("unix"));
    } else {
        (void)snprintf(peer, PEER_MAX, memchr(from.p, ':', from.n) ? "[%.*s]:%u" : "%.*s:%u", n,
                       (const char *)from.p, (unsigned)port);
    }
    return true;
}

static bool on_incoming(void *owner, struct ssh_channel *ch, struct ssh_str type,
                        struct ssh_str data, bool any)
{
    struct remote *r = owner;
    char peer[PEER_MAX];
    struct nk_cur cur;
    struct nk_stream *s;
    nk_cur_init(&cur, data.p, data.n);
    if (!r->granted ||
        !ssh_str_is(type, r->conf.path ? "forwarded-streamlocal@openssh.com" : "forwarded-tcpip") ||
        !is_ours(r, &cur, any)) {
        return false;
    }
    if (!get_peer(r, &cur, peer)) {
        return false;
    }
    if (r->paused || r->active >= SSH_REMOTE_MAX || r->waiting >= SSH_REMOTE_WAITING_MAX) {
        (void)ssh_channel_refuse(ch, SSH_REFUSED_RESOURCES, "too many connections");
        return true;
    }
    if (ssh_channel_take(r->l.app, ch, peer, &r->waiting, on_stream_closed, r, &s) == 0) {
        r->active++;
        r->l.on_accept(r->l.owner, &r->l, s);
    }
    return true;
}

/* --- the listener ----------------------------------------------------------------------------- */

static void on_gone(void *owner)
{
    struct remote *r = owner;
    ssh_link_unref(r->conf.link);
    free(r->text);
    free(r);
}

static void remote_close(struct nk_listener *l)
{
    struct remote *r = (struct remote *)l;
    struct ssh_channels *c = ssh_link_channels(r->conf.link);
    if (c && r->asked == c) {
        ssh_global_forget(c, r);
        (void)request(r, c, true, NULL); /* a dead sink ends the connection by itself */
    }
    ssh_link_detach(r->conf.link, &r->user);
    nk_timer_stop(&r->again);
    r->closed = true;
    release(r);
}

static void remote_pause(struct nk_listener *l, int paused)
{
    ((struct remote *)l)->paused = paused != 0;
}

static int remote_local(struct nk_listener *l, char *out, size_t max)
{
    const struct remote *r = (const struct remote *)l;
    const char *host = ssh_link_config(r->conf.link)->original_host;
    int n = r->conf.path
                ? snprintf(out, max, "ssh:%s/listen:unix:%s", host, r->text)
                : snprintf(out, max,
                           strchr(r->text, ':') ? "ssh:%s/listen:[%s]:%u" : "ssh:%s/listen:%s:%u",
                           host, r->text, r->port);
    return n < 0 || (size_t)n >= max ? NK_ETOOBIG : 0;
}

static const struct nk_listener_ops remote_ops = {
    .name = "ssh", .close = remote_close, .pause = remote_pause, .local = remote_local};

int ssh_remote_listen(const struct ssh_remote_conf *conf, nk_accept_fn *fn, void *fn_owner,
                      struct nk_listener **out, struct nk_diag *diag)
{
    if (ssh_link_state(conf->link) == SSH_LINK_OVER) {
        const struct nk_diag *why = ssh_link_why(conf->link);
        return nk_fail(diag, why->code, "%s", why->text);
    }
    struct remote *r = calloc(1, sizeof(*r));
    char *text = strdup(conf->path ? conf->path : conf->host);
    struct nk_app *app = ssh_link_app(conf->link);
    if (!r || !text) {
        free(r);
        free(text);
        return nk_fail_sys(diag, -ENOMEM, "remote forward");
    }
    nk_listener_init(&r->l, &remote_ops, app, fn, fn_owner);
    r->l.state = NK_EAGAIN;
    r->conf = *conf;
    r->conf.link = ssh_link_ref(conf->link);
    r->text = text;
    r->port = conf->port;
    r->gone = (struct nk_defer){.fn = on_gone, .owner = r};
    r->user =
        (struct ssh_link_user){.up = on_up, .down = on_down, .incoming = on_incoming, .owner = r};
    nk_timer_init(&r->again, app, on_again, r);
    ssh_link_attach(conf->link, &r->user);
    if (ssh_link_channels(conf->link)) { /* nobody will say so again */
        nk_timer_start(&r->again, 0);
    }
    *out = &r->l;
    return 0;
}
