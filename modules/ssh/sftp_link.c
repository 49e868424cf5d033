/* SPDX-License-Identifier: MIT */
#include "ssh/sftp_link.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "core/app.h"
#include "core/registry.h"
#include "ssh/channel.h"
#include "ssh/client.h"
#include "ssh/config.h"

enum { OPTION_MAX = 2048, HOST_MAX = 512 };

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

/* Options of ssh_config that the command's own are short for; they come before those of -o. */
static int gather(struct nk_strlist *out, const struct sftp_link_conf *conf)
{
    char text[OPTION_MAX];
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < conf->identities.n; i++) {
        int n = snprintf(text, sizeof(text), "IdentityFile=%s", conf->identities.v[i]);
        rc = n < (int)sizeof(text) ? nk_strlist_add(out, text, (size_t)n) : NK_ETOOBIG;
    }
    if (rc == 0 && conf->jump) {
        int n = snprintf(text, sizeof(text), "ProxyJump=%s", conf->jump);
        rc = n < (int)sizeof(text) ? nk_strlist_add(out, text, (size_t)n) : NK_ETOOBIG;
    }
    for (size_t i = 0; rc == 0 && i < conf->options.n; i++) {
        rc = nk_strlist_add(out, conf->options.v[i], strlen(conf->options.v[i]));
    }
    return rc;
}

/* [USER@]HOST in two parts, both within text; user may be NULL. */
static void split(char *text, char **user, char **host)
{
    char *at = strrchr(text, '@');
    *user = at ? text : NULL;
    *host = at ? at + 1 : text;
    if (at) {
        *at = '\0';
    }
    size_t n = strlen(*host);
    if (n > 1 && (*host)[0] == '[' && (*host)[n - 1] == ']') {
        (*host)[n - 1] = '\0';
        (*host)++;
    }
}

static int load(struct sftp_link *l, const struct sftp_link_conf *conf, const char *host,
                struct nk_diag *diag)
{
    char text[HOST_MAX], *user, *name;
    struct nk_strlist options = {0};
    if (strlen(host) >= sizeof(text)) {
        return nk_fail(diag, NK_EUSAGE, "the name of the host is too long");
    }
    memcpy(text, host, strlen(host) + 1);
    split(text, &user, &name);
    int rc = gather(&options, conf);
    if (rc < 0) {
        (void)nk_fail_sys(diag, rc, "the options");
    } else {
        const struct ssh_config_ask ask = {.host = name,
                                           .user = user,
                                           .port = (int)conf->port,
                                           .file = conf->file,
                                           .options = (const char *const *)options.v,
                                           .noptions = options.n,
                                           .log = l->ctx->log};
        rc = ssh_config_load(&l->config, &ask, diag);
    }
    nk_strlist_clear(&options);
    return rc;
}

int sftp_link_open(struct sftp_link *l, const struct sftp_link_conf *conf, const char *host,
                   struct nk_diag *diag)
{
    static const struct ssh_client_ops ops = {.open = on_open, .closed = on_closed};
    if (conf->connect) {
        return dial(l, conf->connect, diag);
    }
    int rc = load(l, conf, host, diag);
    if (rc == 0 && conf->password_file) {
        rc = nk_file_read_secret(conf->password_file, true, &l->password, diag);
    }
    if (rc < 0) {
        return rc;
    }
    const struct ssh_client_conf client = {.app = l->app,
                                           .log = l->ctx->log,
                                           .config = l->config,
                                           .file = conf->file,
                                           .pins = (const char *const *)conf->pins.v,
                                           .npins = conf->pins.n,
                                           .password = l->password.data ? &l->password : NULL,
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
