/* SPDX-License-Identifier: MIT */
/*
 * ssh:[USER@]HOST[:PORT]/.. - what a host reaches or has: a channel of an SSH connection, which all
 * streams to the same host with the same parameters share. Without an end below a socks5: listener,
 * whose clients say where to connect. /listen:.. listens there. See place.h.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "core/app.h"
#include "core/registry.h"
#include "ssh/client_dial.h"
#include "ssh/dest.h"
#include "ssh/link.h"
#include "ssh/place.h"
#include "ssh/remote.h"

struct ep_ssh_conf {
    struct ssh_dest_conf dest;
    uint64_t hold_ms;
};

static const struct nk_opt params[] = {
    SSH_DEST_ROWS(struct ep_ssh_conf, dest),
    {.name = "hold",
     .type = NK_OPT_DURATION,
     .offset = NK_FIELD(struct ep_ssh_conf, hold_ms),
     .arg = "TIME",
     .def = "0",
     .max = 3600 * 1000,
     .help = "Wait for so long while the connection to the host is made again; 0: fail at once"},
    NK_OPT_END};

/* What the string says, with the settings of its host. */
struct known {
    struct ssh_place place;
    struct ssh_config *config;
};

/* Names of jump hosts, and what is said about them. */
static int check_jumps(const struct ssh_config *config, const char *file, struct nk_diag *diag)
{
    struct ssh_config *last = NULL, *next;
    int rc = 0;
    for (int n = 0; rc == 0 && n < SSH_JUMPS_MAX && config->proxy_jump; n++) {
        rc = ssh_jump_config(config->proxy_jump, file, NULL, &next, diag);
        if (rc == 0) {
            ssh_config_free(last);
            config = last = next;
        }
    }
    ssh_config_free(last);
    return rc;
}

static void forget(void *known)
{
    struct known *k = known;
    ssh_config_free(k->config);
    ssh_place_clear(&k->place);
    free(k);
}

static int learn(const struct nk_ep_layer *layer, enum nk_ep_role role, void **known,
                 struct nk_diag *diag)
{
    const struct ssh_dest_conf *dest = &((const struct ep_ssh_conf *)layer->conf)->dest;
    struct known *k = calloc(1, sizeof(*k));
    if (!k) {
        return nk_fail_sys(diag, -ENOMEM, "ssh");
    }
    const struct ssh_place *p = &k->place;
    int rc = ssh_place_parse(&k->place, layer->body, role == NK_EP_LISTEN, diag);
    rc = rc < 0 ? rc : ssh_dest_load(dest, p->host, p->user, p->ssh_port, NULL, &k->config, diag);
    rc = rc < 0 ? rc : check_jumps(k->config, dest->file, diag);
    if (rc < 0) {
        forget(k);
        return rc;
    }
    *known = k;
    return 0;
}

static bool open_end(const struct nk_ep_layer *layer)
{
    return strchr(layer->body, '/') == NULL;
}

/* Of what is reached, not of who leads there. */
static int host_of(const struct nk_ep_layer *layer, char *out, size_t max)
{
    struct ssh_place p;
    int rc = -ENOENT;
    if (ssh_place_parse(&p, layer->body, false, NULL) == 0) {
        if (p.kind == SSH_PLACE_TCP && strlen(p.text) < max) {
            (void)snprintf(out, max, "%s", p.text);
            rc = 0;
        }
        ssh_place_clear(&p);
    }
    return rc;
}

/* One more reference to the connection. Questions can only be asked where somebody looks. */
static int get_link(struct nk_app *app, const struct nk_ep_layer *layer, struct ssh_link **out,
                    struct nk_diag *diag)
{
    const struct ep_ssh_conf *c = layer->conf;
    const struct known *k = layer->known;
    struct nk_secret password = {0};
    if (c->dest.password_file) {
        int rc = nk_file_read_secret(c->dest.password_file, true, &password, diag);
        if (rc < 0) {
            return rc;
        }
    }
    const struct ssh_link_conf conf = {.app = app,
                                       .config = ssh_config_ref(k->config),
                                       .file = c->dest.file,
                                       .pins = (const char *const *)c->dest.pins.v,
                                       .npins = c->dest.pins.n,
                                       .password = c->dest.password_file ? &password : NULL,
                                       .answers = &c->dest.answers,
                                       .env = &c->dest.env,
                                       .cwd = c->dest.cwd,
                                       .no_input = !isatty(STDIN_FILENO) || !isatty(STDERR_FILENO),
                                       .refuse = c->hold_ms == 0,
                                       .hold_ms = c->hold_ms};
    int rc = ssh_link_get(&conf, out, diag);
    nk_secret_clear(&password);
    return rc;
}

static int dial_place(struct ssh_link *link, const struct ssh_place *p, const struct nk_target *t,
                      struct nk_stream **out, struct nk_diag *diag)
{
    const struct ssh_channel_conf session = {.type = "session",
                                             .request =
                                                 p->kind == SSH_PLACE_EXEC ? "exec" : "subsystem",
                                             .request_text = p->text,
                                             .peer = p->text};
    switch (p->kind) {
    case SSH_PLACE_OPEN:
        return ssh_link_dial_tcp(link, t->host, t->port, NULL, NULL, out, diag);
    case SSH_PLACE_TCP:
        return ssh_link_dial_tcp(link, p->text, p->port, NULL, NULL, out, diag);
    case SSH_PLACE_UNIX:
        return ssh_link_dial_unix(link, p->text, NULL, NULL, out, diag);
    case SSH_PLACE_EXEC:
    case SSH_PLACE_SUBSYSTEM:
        return ssh_link_dial(link, &session, NULL, NULL, out, diag);
    }
    return nk_fail(diag, NK_EINTERNAL, "ssh: no such place");
}

static int dial(struct nk_app *app, const struct nk_ep_layer *layer, struct nk_stream **out,
                struct nk_diag *diag)
{
    const struct known *k = layer->known;
    struct ssh_link *link;
    int rc = get_link(app, layer, &link, diag);
    if (rc == 0) {
        rc = dial_place(link, &k->place, layer->target, out, diag);
        ssh_link_unref(link); /* the stream has one */
    }
    return rc;
}

/* Who waits for it learns from the log: a listener has nothing to tell. */
static void on_told(void *owner, struct nk_listener *l, int rc, uint16_t port,
                    const struct nk_diag *why)
{
    char local[512];
    (void)port;
    if (nk_listener_local(l, local, sizeof(local)) < 0) {
        (void)snprintf(local, sizeof(local), "ssh:");
    }
    if (rc < 0) {
        nk_warn(nk_app_log(owner), "ssh", "%s: %s; it is asked again", local, why->text);
    } else {
        nk_info(nk_app_log(owner), "ssh", "%s: ready", local);
    }
}

static int listen_ssh(struct nk_app *app, const struct nk_ep_layer *layer, nk_accept_fn *fn,
                      void *owner, struct nk_listener **out, struct nk_diag *diag)
{
    const struct ssh_place *p = &((const struct known *)layer->known)->place;
    struct ssh_link *link;
    int rc = get_link(app, layer, &link, diag);
    if (rc == 0) {
        bool all = p->text && strcmp(p->text, "*") == 0; /* RFC 4254 7.1: "" are all addresses */
        const struct ssh_remote_conf conf = {.link = link,
                                             .path = p->kind == SSH_PLACE_UNIX ? p->text : NULL,
                                             .host = all       ? ""
                                                     : p->text ? p->text
                                                               : "localhost",
                                             .port = p->port,
                                             .told = on_told,
                                             .owner = app};
        rc = ssh_remote_listen(&conf, fn, owner, out, diag);
        ssh_link_unref(link);
    }
    return rc;
}

extern const struct nk_ep_driver nk_ep_ssh;
const struct nk_ep_driver nk_ep_ssh = {
    .scheme = "ssh",
    .summary = "What an SSH host reaches: ports, sockets, programs; or listen there",
    .body_help = "[USER@]HOST[:PORT]/HOST:PORT, /unix:PATH, /exec:COMMAND, /subsystem:NAME or "
                 "/listen:[ADDRESS:]PORT",
    .flags = NK_EP_CAN_CONNECT | NK_EP_CAN_LISTEN | NK_EP_PUBLIC,
    .params = params,
    .conf_size = sizeof(struct ep_ssh_conf),
    .learn = learn,
    .forget = forget,
    .open_end = open_end,
    .host = host_of,
    .dial = dial,
    .listen = listen_ssh,
};
