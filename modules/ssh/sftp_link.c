/* SPDX-License-Identifier: MIT */
#include "ssh/sftp_link.h"

#include <string.h>

#include "base/file.h"
#include "core/app.h"
#include "core/registry.h"
#include "ssh/channel.h"
#include "ssh/client.h"

enum { HOST_MAX = 512 };

static void on_open(void *owner, struct ssh_client *c)
{
    static const struct ssh_channel_conf what = {
        .type = "session", .request = "subsystem", .request_text = "sftp", .peer = "sftp"};
    struct sftp_link *l = owner;
    struct nk_stream *s;
    struct nk_diag why;
    int rc = ssh_channel_dial(l->app, ssh_client_channels(c), &what, &s, &why);
    if (rc < 0) {
        l->failed(l->owner, rc, &why);
    } else {
        l->ready(l->owner, s);
    }
}

int sftp_link_exec(struct sftp_link *l, const char *command, struct nk_stream **out,
                   struct nk_diag *diag)
{
    const struct ssh_channel_conf what = {
        .type = "session", .request = "exec", .request_text = command, .peer = "sh"};
    struct ssh_channels *c = l->client ? ssh_client_channels(l->client) : NULL;
    return c ? ssh_channel_dial(l->app, c, &what, out, diag)
             : nk_fail(diag, NK_ECLOSED, "the connection is over");
}

static void on_closed(void *owner, struct ssh_client *c, int rc, const struct nk_diag *why)
{
    struct sftp_link *l = owner;
    (void)c;
    l->failed(l->owner, rc, why);
}

static int dial(struct sftp_link *l, const char *text, struct nk_diag *diag)
{
    struct nk_endpoint *ep;
    struct nk_stream *s;
    int rc = nk_endpoint_parse(text, NK_EP_CONNECT, &ep, diag);
    if (rc < 0) {
        return rc;
    }
    rc = nk_dial(l->app, ep, NULL, NULL, &s, diag);
    nk_endpoint_free(ep);
    if (rc == 0) {
        l->ready(l->owner, s);
    }
    return rc;
}

static int load(struct sftp_link *l, const struct sftp_link_conf *conf, const char *host,
                struct nk_diag *diag)
{
    char text[HOST_MAX], *user, *name;
    if (strlen(host) >= sizeof(text)) {
        return nk_fail(diag, NK_EUSAGE, "the name of the host is too long");
    }
    memcpy(text, host, strlen(host) + 1);
    ssh_dest_split(text, &user, &name);
    return ssh_dest_load(&conf->dest, name, user, (int)conf->port, l->ctx->log, &l->config, diag);
}

int sftp_link_open(struct sftp_link *l, const struct sftp_link_conf *conf, const char *host,
                   struct nk_diag *diag)
{
    static const struct ssh_client_ops ops = {.open = on_open, .closed = on_closed};
    if (conf->connect) {
        return dial(l, conf->connect, diag);
    }
    int rc = load(l, conf, host, diag);
    if (rc == 0 && conf->dest.password_file) {
        rc = nk_file_read_secret(conf->dest.password_file, true, &l->password, diag);
    }
    if (rc < 0) {
        return rc;
    }
    const struct ssh_client_conf client = {.app = l->app,
                                           .log = l->ctx->log,
                                           .config = l->config,
                                           .file = conf->dest.file,
                                           .pins = (const char *const *)conf->dest.pins.v,
                                           .npins = conf->dest.pins.n,
                                           .password = l->password.data ? &l->password : NULL,
                                           .answers = &conf->dest.answers,
                                           .env = &conf->dest.env,
                                           .cwd = conf->dest.cwd,
                                           .no_input = l->ctx->globals->no_input,
                                           .quiet = l->ctx->globals->quiet,
                                           .ops = &ops,
                                           .owner = l};
    return ssh_client_open(&client, &l->client, diag);
}

void sftp_link_close(struct sftp_link *l)
{
    ssh_client_close(l->client);
    ssh_config_free(l->config);
    nk_secret_clear(&l->password);
}
