/* SPDX-License-Identifier: MIT */
#include "ssh/client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "core/app.h"
#include "core/clock.h"
#include "core/stream.h"
#include "core/timer.h"
#include "ssh/channel.h"
#include "ssh/client_dial.h"
#include "ssh/host_policy.h"
#include "ssh/host_update.h"
#include "ssh/login.h"
#include "ssh/tty.h"

#define MODULE "ssh"

enum { QUESTION_MAX = 4096, PROVE_MAX = 256 * 1024, MS = 1000, PEER_MAX = 128 };

struct ssh_client {
    struct ssh_client_conf conf;
    struct ssh_host_conf host;
    struct ssh_host_policy *policy;
    struct ssh_host_update *update;
    struct ssh_login *login;
    struct ssh_conn *conn;
    struct ssh_proposal proposal;
    bool known;   /* by a known_hosts file: UpdateHostKeys may change it */
    bool changed; /* its key is another one than is known, and is used all the same */
    /* of a client that leads over another one */
    struct ssh_client *jump;
    struct ssh_config *jump_config;
    unsigned depth;
    struct nk_defer late;  /* a failure that is told later */
    struct nk_timer again; /* ConnectionAttempts */
    int64_t attempts;      /* that have failed */
    struct nk_diag failure;
};

static int open_at(const struct ssh_client_conf *conf, unsigned depth, struct ssh_client **out,
                   struct nk_diag *diag);

/* --- the host's key --------------------------------------------------------------------------- */

static int learn(struct ssh_client *c, const struct ssh_host_answer *a, struct nk_diag *diag)
{
    int rc = ssh_host_policy_learn(c->policy, diag);
    if (rc < 0) {
        nk_warn(c->conf.log, MODULE, "the key is not remembered: %s", diag->text);
    } else {
        nk_audit(c->conf.log, MODULE, NK_LOG_WARN, "trust.new", NULL,
                 "Permanently added '%s' (%s) to the list of known hosts", c->host.host, a->type);
    }
    return 0;
}

static int ask(struct ssh_client *c, const struct ssh_host_answer *a, struct nk_diag *diag)
{
    struct nk_buf q;
    struct nk_secret typed = {0};
    nk_buf_init(&q, QUESTION_MAX);
    int rc = ssh_host_policy_question(c->policy, a, &q), yes = NK_EAGAIN;
    const char *prompt = rc == 0 ? nk_buf_str(&q) : NULL;
    rc = prompt ? 0 : nk_fail_sys(diag, -ENOMEM, "cannot ask about the key");
    while (rc == 0 && yes == NK_EAGAIN) {
        rc = ssh_tty_ask(prompt, true, &typed, diag);
        yes = rc < 0 ? 0 : ssh_host_policy_reply(a, (const char *)typed.data, typed.len);
        prompt = "Please type 'yes', 'no' or the fingerprint: ";
    }
    nk_secret_clear(&typed);
    nk_buf_clear(&q);
    if (rc == 0 && yes <= 0) {
        rc = nk_fail(diag, NK_EVERIFY, "the key of %s was not accepted", c->host.host);
    }
    return rc < 0 ? rc : learn(c, a, diag);
}

/* StrictHostKeyChecking=no, and another key. A jump host only leads to one that is verified itself;
 * of others a session is all there is, and who wants something else would have it in vain. */
static int distrust(struct ssh_client *c, struct nk_diag *diag)
{
    const struct ssh_config *f = c->conf.config;
    const bool in_vain =
        f->session == SSH_SESSION_NONE || (f->exit_on_forward_failure && f->forwards.n > 0);
    ssh_login_distrust(c->login);
    c->changed = c->depth == 0;
    if (c->changed && in_vain) {
        return nk_fail(diag, NK_EVERIFY, "nothing is forwarded by %s, whose key has changed",
                       c->host.host);
    }
    nk_warn(c->conf.log, MODULE, "%s has another key: %sno password is given to it, no agent signs",
            c->host.host, c->changed ? "nothing is forwarded, " : "");
    return 0;
}

static int judge(struct ssh_client *c, const struct ssh_host_key *k, struct nk_diag *diag)
{
    struct ssh_host_answer a;
    int rc =
        ssh_host_policy_check(c->policy, k->key.blob, (uint64_t)nk_wall_s(c->conf.app), &a, diag);
    const char *alarm = ssh_host_policy_alarm(c->policy);
    if (*alarm) {
        ssh_tty_say(alarm);
    }
    if (rc < 0) {
        return rc;
    }
    c->known = a.how == SSH_HOST_KNOWN;
    if (c->known) {
        nk_debug(c->conf.log, MODULE, "Host '%s' is known and matches the %s host key",
                 c->host.host, a.type);
    }
    switch (a.how) {
    case SSH_HOST_NEW:
        return learn(c, &a, diag);
    case SSH_HOST_ASK:
        return ask(c, &a, diag);
    case SSH_HOST_CHANGED:
        return distrust(c, diag);
    default:
        return 0;
    }
}

static void on_host_key(void *owner, const struct ssh_host_key *k)
{
    struct ssh_client *c = owner;
    struct nk_diag diag = {0};
    int rc = judge(c, k, &diag);
    ssh_conn_trust(c->conn, rc, &diag);
}

/* --- UpdateHostKeys --------------------------------------------------------------------------- */

static bool can_ask(const struct ssh_client *c)
{
    return !c->conf.no_input && !c->conf.config->batch;
}

/* UpdateHostKeys=ask: the user says yes, or nothing is learnt. */
static bool is_wanted(struct ssh_client *c)
{
    struct nk_buf q;
    struct nk_secret typed = {0};
    struct nk_diag diag;
    if (c->conf.config->update_host_keys != SSH_UPDATE_ASK) {
        return true;
    }
    nk_buf_init(&q, PROVE_MAX);
    int rc = ssh_host_update_question(c->update, &q);
    const char *text = rc == 0 ? nk_buf_str(&q) : NULL;
    rc = text ? ssh_tty_ask(text, true, &typed, &diag) : -ENOMEM;
    bool yes = rc == 0 && typed.len == 3 && memcmp(typed.data, "yes", 3) == 0;
    nk_secret_clear(&typed);
    nk_buf_clear(&q);
    return yes;
}

static void write_update(struct ssh_client *c)
{
    struct nk_diag diag = {0};
    if (!is_wanted(c)) {
        return;
    }
    int rc = ssh_host_update_write(c->update, &diag);
    if (rc < 0) {
        nk_warn(c->conf.log, MODULE, "host keys are not updated: %s", diag.text);
    } else if (rc > 0) {
        nk_audit(c->conf.log, MODULE, NK_LOG_INFO, "trust.changed", NULL,
                 "keys of %s: %zu learnt, %zu removed", c->host.host,
                 ssh_host_update_added(c->update), ssh_host_update_removed(c->update));
    }
}

static void on_proof(void *owner, int ok, struct ssh_str data)
{
    struct ssh_client *c = owner;
    struct nk_diag diag = {0};
    if (ok <= 0) {
        return;
    }
    const struct ssh_transport *t = ssh_conn_transport(c->conn);
    if (ssh_host_update_proof(c->update, data, ssh_transport_session_id(t), &diag) < 0) {
        nk_warn(c->conf.log, MODULE, "host keys are not updated: %s", diag.text);
    } else {
        write_update(c);
    }
}

static bool on_global(void *owner, struct ssh_str type, struct ssh_str data)
{
    struct ssh_client *c = owner;
    struct nk_diag diag = {0};
    struct nk_buf out;
    if (!ssh_str_is(type, SSH_HOSTKEYS) || !c->known || c->update ||
        c->conf.config->update_host_keys == SSH_UPDATE_NO ||
        (c->conf.config->update_host_keys == SSH_UPDATE_ASK && !can_ask(c))) {
        return false;
    }
    const struct ssh_transport *t = ssh_conn_transport(c->conn);
    if (ssh_host_update_new(&c->update, &c->host, ssh_transport_host_key(t), &diag) < 0) {
        return false;
    }
    nk_buf_init(&out, PROVE_MAX);
    int rc = ssh_host_update_offer(c->update, data, &out, &diag);
    if (rc == 1) {
        rc = ssh_global_request(ssh_conn_channels(c->conn), SSH_HOSTKEYS_PROVE,
                                (struct ssh_str){nk_buf_ptr(&out), nk_buf_len(&out)}, on_proof, c);
    } else if (rc == 2) {
        write_update(c);
    }
    if (rc < 0) {
        nk_debug(c->conf.log, MODULE, "the server's host keys: %s", diag.text);
    }
    nk_buf_clear(&out);
    return true;
}

/* --- the connection --------------------------------------------------------------------------- */

static void on_credential(void *owner, const struct ssh_question *q)
{
    struct ssh_client *c = owner;
    ssh_login_answer(c->login, c->conn, q);
}

static void on_open(void *owner)
{
    struct ssh_client *c = owner;
    char peer[PEER_MAX];
    nk_debug(
        c->conf.log, MODULE, "Authenticated to %s ([%s]) using \"%s\"", c->conf.config->host_name,
        nk_stream_peer(ssh_conn_stream(c->conn), peer, sizeof(peer)), ssh_conn_method(c->conn));
    if (c->changed) {
        ssh_channels_restrict(ssh_conn_channels(c->conn));
    }
    c->conf.ops->open(c->conf.owner, c);
}

/* One more attempt a second later, where nothing has answered and there are any left. */
static bool try_again(struct ssh_client *c)
{
    const struct ssh_config *f = c->conf.config;
    if (ssh_conn_transport(c->conn) || f->proxy_command || f->proxy_jump ||
        ++c->attempts >= f->connection_attempts) {
        return false;
    }
    ssh_conn_close(c->conn);
    c->conn = NULL;
    nk_timer_start(&c->again, MS);
    return true;
}

static void on_closed(void *owner, int rc, const struct nk_diag *why)
{
    struct ssh_client *c = owner;
    if (try_again(c)) {
        nk_log_diag(c->conf.log, MODULE, NK_LOG_INFO, why);
        return;
    }
    c->conf.ops->closed(c->conf.owner, c, rc, why);
}

static void on_banner(void *owner, const char *text)
{
    const struct ssh_client *c = owner;
    if (!c->conf.quiet) {
        ssh_tty_say(text);
    }
}

static void on_incoming(void *owner, struct ssh_channel *ch, struct ssh_str type,
                        struct ssh_str data)
{
    const struct ssh_client *c = owner;
    if (c->conf.ops->incoming) {
        c->conf.ops->incoming(c->conf.owner, ch, type, data);
    } else {
        (void)ssh_channel_refuse(ch, SSH_REFUSED_PROHIBITED, "nothing was asked for");
    }
}

static const struct ssh_conn_ops conn_ops = {.host_key = on_host_key,
                                             .credential = on_credential,
                                             .open = on_open,
                                             .closed = on_closed,
                                             .banner = on_banner,
                                             .incoming = on_incoming,
                                             .global = on_global};

static int connect_over(struct ssh_client *c, struct nk_stream *take_s, struct nk_diag *diag)
{
    const struct ssh_config *f = c->conf.config;
    const struct ssh_conn_conf conf = {
        .app = c->conf.app,
        .ops = &conn_ops,
        .owner = c,
        .user = f->user,
        .key = ssh_login_key(c->login),
        .proposal = &c->proposal,
        .min_rsa = (unsigned)f->min_rsa,
        .rekey_bytes = f->rekey_bytes,
        .rekey_ms = f->rekey_seconds * MS,
        .connect_ms = f->connect_timeout > 0 ? (uint64_t)f->connect_timeout * MS : 0,
        .methods = ssh_login_methods(c->login),
        .keepalive_ms = (uint32_t)(f->alive_interval * MS),
        .keepalive_count = (uint32_t)f->alive_count,
    };
    nk_debug(c->conf.log, MODULE, "Connecting to %s port %lld as '%s'", f->host_name,
             (long long)f->port, f->user);
    return ssh_conn_new(&c->conn, &conf, take_s, diag);
}

static int dial(struct ssh_client *c, struct nk_diag *diag)
{
    struct nk_stream *s;
    int rc = ssh_client_dial(c->conf.app, c->conf.config, c->conf.env, c->conf.cwd, &s, diag);
    return rc < 0 ? rc : connect_over(c, s, diag);
}

static void on_again(void *owner)
{
    struct ssh_client *c = owner;
    struct nk_diag diag = {0};
    int rc = dial(c, &diag);
    if (rc < 0) {
        c->conf.ops->closed(c->conf.owner, c, rc, &diag);
    }
}

/* --- jump hosts ------------------------------------------------------------------------------- */

static void fail_late(void *owner)
{
    struct ssh_client *c = owner;
    c->conf.ops->closed(c->conf.owner, c, c->failure.code, &c->failure);
}

static void jump_open(void *owner, struct ssh_client *jump)
{
    struct ssh_client *c = owner;
    const struct ssh_config *f = c->conf.config;
    struct nk_stream *s;
    int rc = ssh_channel_dial_tcp(c->conf.app, ssh_client_channels(jump), f->host_name,
                                  (uint16_t)f->port, &s, &c->failure);
    rc = rc < 0 ? rc : connect_over(c, s, &c->failure);
    if (rc < 0) {
        c->failure.code = rc;
        nk_app_defer(c->conf.app, &c->late);
    }
}

static void jump_closed(void *owner, struct ssh_client *jump, int rc, const struct nk_diag *why)
{
    struct ssh_client *c = owner;
    (void)jump;
    if (!c->conn) { /* else the stream over it has failed, and that is told */
        c->conf.ops->closed(c->conf.owner, c, rc, why);
    }
}

static const struct ssh_client_ops jump_ops = {.open = jump_open, .closed = jump_closed};

static int open_jump(struct ssh_client *c, struct nk_diag *diag)
{
    if (c->depth >= SSH_JUMPS_MAX) {
        return nk_fail(diag, NK_ECONFIG, "more than %d jump hosts", SSH_JUMPS_MAX);
    }
    int rc = ssh_jump_config(c->conf.config->proxy_jump, c->conf.file, c->conf.log, &c->jump_config,
                             diag);
    const struct ssh_client_conf conf = {.app = c->conf.app,
                                         .log = c->conf.log,
                                         .config = c->jump_config,
                                         .file = c->conf.file,
                                         .env = c->conf.env,
                                         .cwd = c->conf.cwd,
                                         .no_input = c->conf.no_input,
                                         .quiet = c->conf.quiet,
                                         .ops = &jump_ops,
                                         .owner = c};
    return rc < 0 ? rc : open_at(&conf, c->depth + 1, &c->jump, diag);
}

/* --- opening ---------------------------------------------------------------------------------- */

static int propose(struct ssh_client *c, struct nk_diag *diag)
{
    const struct ssh_config *f = c->conf.config;
    int rc = ssh_config_proposal(f, &c->proposal, c->conf.log, diag);
    if (rc == 0 && !f->host_key_algorithms) {
        struct nk_buf list;
        nk_buf_init(&list, SSH_LIST_MAX);
        rc = ssh_host_policy_algorithms(c->policy, c->proposal.list[SSH_LIST_HOST_KEY], &list);
        const char *text = rc == 0 ? nk_buf_str(&list) : NULL;
        rc = text ? ssh_proposal_set(&c->proposal, SSH_LIST_HOST_KEY, text, diag)
                  : nk_fail_sys(diag, rc < 0 ? rc : -ENOMEM, "host key algorithms");
        nk_buf_clear(&list);
    }
    return rc;
}

static int set_up(struct ssh_client *c, struct nk_diag *diag)
{
    const struct ssh_config *f = c->conf.config;
    const struct ssh_login_conf login = {.app = c->conf.app,
                                         .log = c->conf.log,
                                         .config = f,
                                         .password = c->conf.password,
                                         .answers = c->conf.answers,
                                         .no_input = c->conf.no_input};
    if (!f->user) {
        return nk_fail(diag, NK_EUSAGE, "as which user? Say -l USER");
    }
    ssh_config_host(f, &c->host);
    c->host.pins = c->conf.pins;
    c->host.npins = c->conf.npins;
    c->host.ask = !c->conf.no_input && !f->batch;
    c->host.log = c->conf.log;
    int rc = ssh_host_policy_new(&c->policy, &c->host, diag);
    rc = rc < 0 ? rc : propose(c, diag);
    return rc < 0 ? rc : ssh_login_new(&login, &c->login, diag);
}

static int open_at(const struct ssh_client_conf *conf, unsigned depth, struct ssh_client **out,
                   struct nk_diag *diag)
{
    struct ssh_client *c = calloc(1, sizeof(*c));
    if (!c) {
        return nk_fail_sys(diag, -ENOMEM, "ssh");
    }
    c->conf = *conf;
    c->depth = depth;
    nk_timer_init(&c->again, conf->app, on_again, c);
    c->late = (struct nk_defer){.fn = fail_late, .owner = c};
    int rc = set_up(c, diag);
    if (rc == 0 && conf->config->proxy_jump) {
        rc = open_jump(c, diag);
    } else if (rc == 0) {
        rc = dial(c, diag);
    }
    if (rc < 0) {
        ssh_client_close(c);
        return rc;
    }
    *out = c;
    return 0;
}

int ssh_client_open(const struct ssh_client_conf *conf, struct ssh_client **out,
                    struct nk_diag *diag)
{
    return open_at(conf, 0, out, diag);
}

void ssh_client_close(struct ssh_client *c)
{
    if (!c) {
        return;
    }
    nk_app_defer_cancel(c->conf.app, &c->late);
    nk_timer_stop(&c->again);
    ssh_login_free(c->login);
    ssh_conn_close(c->conn);
    ssh_client_close(c->jump);
    ssh_config_free(c->jump_config);
    ssh_host_update_free(c->update);
    ssh_host_policy_free(c->policy);
    free(c);
}

struct ssh_channels *ssh_client_channels(struct ssh_client *c)
{
    return c->conn ? ssh_conn_channels(c->conn) : NULL;
}

void ssh_client_no_more_sessions(struct ssh_client *c)
{
    static const char who[] = "SSH-2.0-OpenSSH";
    struct ssh_channels *channels = ssh_client_channels(c);
    if (channels &&
        strncmp(ssh_transport_ident(ssh_conn_transport(c->conn)), who, sizeof(who) - 1) == 0) {
        (void)ssh_global_request(channels, "no-more-sessions@openssh.com", (struct ssh_str){0},
                                 NULL, NULL); /* a dead sink ends the connection by itself */
    }
}

struct ssh_conn *ssh_client_conn(struct ssh_client *c)
{
    return c->conn;
}
