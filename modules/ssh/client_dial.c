/* SPDX-License-Identifier: MIT */
#include "ssh/client_dial.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "core/registry.h"
#include "ssh/ssh_words.h"

enum { TEXT_MAX = 64 * 1024 };

/* --- streams ---------------------------------------------------------------------------------- */

static int dial_text(struct nk_app *app, struct nk_buf *b, struct nk_stream **out,
                     struct nk_diag *diag)
{
    struct nk_endpoint *ep;
    const char *text = nk_buf_str(b);
    int rc = text ? nk_endpoint_parse(text, NK_EP_CONNECT, &ep, diag)
                  : nk_fail_sys(diag, -ENOMEM, "connecting");
    if (rc < 0) {
        return rc;
    }
    rc = nk_dial(app, ep, NULL, NULL, out, diag); /* the owner comes later */
    nk_endpoint_free(ep);
    return rc;
}

int ssh_put_encoded(struct nk_buf *b, const char *s)
{
    int rc = 0;
    for (; *s && rc == 0; s++) {
        rc = *s == '%' || *s == ',' ? nk_buf_printf(b, "%%%02X", (unsigned char)*s)
                                    : nk_buf_put(b, s, 1);
    }
    return rc;
}

static int put_tcp(const struct ssh_config *c, struct nk_buf *b)
{
    static const char *const families[] = {"", ",family=ipv4", ",family=ipv6"};
    bool six = strchr(c->host_name, ':') != NULL;
    int rc = nk_buf_puts(b, six ? "tcp:[" : "tcp:");
    rc = rc < 0 ? rc : ssh_put_encoded(b, c->host_name);
    rc = rc < 0 ? rc
                : nk_buf_printf(b, "%s:%lld%s", six ? "]" : "", (long long)c->port,
                                families[c->family]);
    const struct {
        const char *name, *value;
    } ours[] = {{"source", c->bind_address}, {"interface", c->bind_interface}};
    for (size_t i = 0; rc == 0 && i < sizeof(ours) / sizeof(*ours); i++) {
        if (ours[i].value) {
            rc = nk_buf_printf(b, ",%s=", ours[i].name);
            rc = rc < 0 ? rc : ssh_put_encoded(b, ours[i].value);
        }
    }
    if (rc == 0 && c->connect_timeout > 0) {
        rc = nk_buf_printf(b, ",timeout=%llds", (long long)c->connect_timeout);
    }
    return rc;
}

/* Names that could be taken for several words were refused when the configuration was read. */
static int put_command(const struct ssh_config *c, const struct nk_strlist *env, const char *cwd,
                       struct nk_buf *b, struct nk_diag *diag)
{
    struct nk_buf words;
    const char *command = c->proxy_command;
    command += strncmp(command, "exec ", 5) == 0 ? 5 : 0; /* what sh users write, for sh */
    if (strpbrk(command, "|&;<>()$`\\*?[]#~\n")) {
        return nk_fail(diag, NK_ECONFIG,
                       "ProxyCommand is started without a shell; it needs one: %s", command);
    }
    nk_buf_init(&words, TEXT_MAX);
    int rc = ssh_config_expand(c, command, &words, diag);
    if (rc >= 0) {
        const char *text = nk_buf_str(&words);
        rc = text ? nk_buf_puts(b, "exec:") : nk_fail_sys(diag, -ENOMEM, "ProxyCommand");
        rc = rc < 0 ? rc : ssh_put_encoded(b, text);
    }
    for (size_t i = 0; rc == 0 && env && i < env->n; i++) {
        rc = nk_buf_puts(b, ",env=");
        rc = rc < 0 ? rc : ssh_put_encoded(b, env->v[i]);
    }
    if (rc == 0 && cwd) {
        rc = nk_buf_puts(b, ",cwd=");
        rc = rc < 0 ? rc : ssh_put_encoded(b, cwd);
    }
    nk_buf_clear(&words);
    return rc;
}

int ssh_client_dial(struct nk_app *app, const struct ssh_config *config,
                    const struct nk_strlist *env, const char *cwd, struct nk_stream **out,
                    struct nk_diag *diag)
{
    struct nk_buf b;
    nk_buf_init(&b, TEXT_MAX);
    int rc = config->proxy_command ? put_command(config, env, cwd, &b, diag) : put_tcp(config, &b);
    if (rc == -ENOMEM || rc == NK_ETOOBIG) {
        rc = nk_fail_sys(diag, rc, "connecting to %s", config->host_name);
    }
    rc = rc < 0 ? rc : dial_text(app, &b, out, diag);
    nk_buf_clear(&b);
    return rc;
}

/* --- jump hosts ------------------------------------------------------------------------------- */

int ssh_jump_config(const char *list, const char *file, struct nk_log *log, struct ssh_config **out,
                    struct nk_diag *diag)
{
    struct ssh_words w;
    const char *comma = strrchr(list, ',');
    const char *last = comma ? comma + 1 : list;
    bool uri = strncmp(last, "ssh://", 6) == 0;
    size_t n = strlen(last) + sizeof("ssh://"), before = comma ? (size_t)(comma - list) : 0;
    char *text = malloc(n), *jump = malloc(before + sizeof("ProxyJump="));
    int rc = text && jump ? 0 : nk_fail_sys(diag, -ENOMEM, "jump hosts");
    if (rc == 0) {
        (void)snprintf(text, n, "%s%s", uri ? "" : "ssh://", last);
        (void)snprintf(jump, before + sizeof("ProxyJump="), "ProxyJump=%.*s", (int)before, list);
        char *argv[] = {text, NULL};
        rc = ssh_words_parse(&w, 1, argv, diag);
        const char *const options[] = {jump};
        const struct ssh_config_ask ask = {.host = w.host,
                                           .user = w.user,
                                           .port = w.port,
                                           .file = file,
                                           .options = options,
                                           .noptions = comma ? 1 : 0,
                                           .log = log};
        rc = rc < 0 ? rc : ssh_config_load(out, &ask, diag);
        ssh_words_clear(&w);
    }
    free(text);
    free(jump);
    return rc;
}
