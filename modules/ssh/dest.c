/* SPDX-License-Identifier: MIT */
#include "ssh/dest.h"

#include <string.h>

#include "base/buf.h"

#define OPTION_MAX ((size_t)8 * 1024)

const char *const ssh_dest_no_file[] = {"none", NULL};

/* KEYWORD=VALUE, as a line of ssh_config: what is split into words there is quoted. */
static int add(struct nk_strlist *l, const char *keyword, const char *value, bool words)
{
    struct nk_buf b;
    nk_buf_init(&b, OPTION_MAX);
    int rc = nk_buf_printf(&b, words ? "%s=\"" : "%s=", keyword);
    for (; *value && rc == 0; value++) {
        bool plain = !words || (*value != '"' && *value != '\\');
        rc = nk_buf_printf(&b, plain ? "%c" : "\\%c", *value);
    }
    rc = rc < 0 || !words ? rc : nk_buf_puts(&b, "\"");
    const char *text = rc == 0 ? nk_buf_str(&b) : NULL;
    rc = rc < 0 ? rc : text ? nk_strlist_add(l, text, nk_buf_len(&b)) : -ENOMEM;
    nk_buf_clear(&b);
    return rc;
}

/* Rows of their own come before those of --option. */
static int gather(struct nk_strlist *out, const struct ssh_dest_conf *c)
{
    int rc = c->jump ? add(out, "ProxyJump", c->jump, false) : 0;
    for (size_t i = 0; rc == 0 && i < c->identities.n; i++) {
        rc = add(out, "IdentityFile", c->identities.v[i], true);
    }
    for (size_t i = 0; rc == 0 && i < c->options.n; i++) {
        rc = nk_strlist_add(out, c->options.v[i], strlen(c->options.v[i]));
    }
    return rc;
}

int ssh_dest_load(const struct ssh_dest_conf *c, const char *host, const char *user, int port,
                  struct nk_log *log, struct ssh_config **out, struct nk_diag *diag)
{
    struct nk_strlist options = {0};
    int rc = gather(&options, c);
    if (rc < 0) {
        (void)nk_fail_sys(diag, rc, "the options");
    } else {
        const struct ssh_config_ask ask = {.host = host,
                                           .user = user,
                                           .port = port,
                                           .file = c->file,
                                           .options = (const char *const *)options.v,
                                           .noptions = options.n,
                                           .log = log};
        rc = ssh_config_load(out, &ask, diag);
    }
    nk_strlist_clear(&options);
    return rc;
}

void ssh_dest_split(char *text, char **user, char **host)
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
