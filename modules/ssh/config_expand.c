/* SPDX-License-Identifier: MIT */
/* Tokens, ~ and ${NAME} in values of ssh_config (ssh_config(5), TOKENS and ENVIRONMENT VARIABLES).
 */
#include <inttypes.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/codec.h"
#include "ssh/config_impl.h"
#include "ssh/sha1.h"

enum { HOST_NAME_SIZE = 256, PASSWD_MAX = 4096 /* bytes of an entry */ };

static int put_local(struct nk_buf *out, bool whole)
{
    char name[HOST_NAME_SIZE] = "";
    if (gethostname(name, sizeof(name) - 1) < 0) {
        return -errno;
    }
    return nk_buf_put(out, name, whole ? strlen(name) : strcspn(name, "."));
}

/* %C: what is different for each connection, and no longer than a hash. */
static int put_hash(const struct ssh_config *c, struct nk_buf *out)
{
    static const char parts[] = "lhprj";
    struct ssh_sha1 s;
    uint8_t hash[SSH_SHA1_SIZE];
    char hex[NK_HEX_SIZE(SSH_SHA1_SIZE)];
    struct nk_buf text;
    int rc = 0;
    nk_buf_init(&text, SSH_CONFIG_TEXT_MAX);
    for (const char *p = parts; rc == 0 && *p; p++) {
        rc = ssh_config_put_token(c, *p, &text);
    }
    if (rc == 0) {
        ssh_sha1_init(&s);
        ssh_sha1_put(&s, nk_buf_ptr(&text), nk_buf_len(&text));
        ssh_sha1_end(&s, hash);
        nk_hex_encode(hex, hash, sizeof(hash));
        rc = nk_buf_puts(out, hex);
    }
    nk_buf_clear(&text);
    return rc;
}

static int put_text(struct nk_buf *out, const char *text)
{
    return text ? nk_buf_puts(out, text) : 0;
}

int ssh_config_put_token(const struct ssh_config *c, char token, struct nk_buf *out)
{
    const char *host = c->host_name ? c->host_name : c->original_host;
    switch (token) {
    case '%':
        return nk_buf_u8(out, '%');
    case 'C':
        return put_hash(c, out);
    case 'd':
        return put_text(out, c->home);
    case 'h':
        return put_text(out, host);
    case 'i':
        return nk_buf_printf(out, "%u", (unsigned)getuid());
    case 'j':
        return put_text(out, c->proxy_jump);
    case 'k':
        return put_text(out, c->host_key_alias ? c->host_key_alias : c->original_host);
    case 'L':
    case 'l':
        return put_local(out, token == 'l');
    case 'n':
        return put_text(out, c->original_host);
    case 'p':
        return nk_buf_printf(out, "%" PRId64, c->port ? c->port : (int64_t)SSH_PORT);
    case 'r':
        return put_text(out, c->user ? c->user : c->local_user);
    case 'u':
        return put_text(out, c->local_user);
    default:
        return NK_ECONFIG;
    }
}

int ssh_config_expand_some(const struct ssh_config *c, const char *text, const char *tokens,
                           struct nk_buf *out, struct nk_diag *diag)
{
    for (int rc; *text; text++) {
        if (*text != '%') {
            rc = nk_buf_u8(out, (uint8_t)*text);
        } else {
            text++;
            rc = *text && strchr(tokens, *text) ? ssh_config_put_token(c, *text, out) : NK_ECONFIG;
        }
        if (rc == NK_ECONFIG) {
            return nk_fail(diag, rc, "'%%%c' means nothing here", *text ? *text : ' ');
        }
        if (rc < 0) {
            return nk_fail_sys(diag, rc, "a value with tokens");
        }
    }
    return 0;
}

int ssh_config_expand(const struct ssh_config *c, const char *text, struct nk_buf *out,
                      struct nk_diag *diag)
{
    return ssh_config_expand_some(c, text, SSH_CONFIG_TOKENS, out, diag);
}

/* ~ or ~name; how many bytes of the text that was, 0: neither, or an error. */
static int put_tilde(const struct ssh_config *c, const char *text, struct nk_buf *out,
                     struct nk_diag *diag)
{
    char name[SSH_NAME_SHOWN], entry[PASSWD_MAX];
    struct passwd user, *found = NULL;
    size_t n = strcspn(text, "/");
    int rc;
    if (*text != '~') {
        return 0;
    }
    if (n == 1) {
        rc = nk_buf_puts(out, c->home);
    } else if (n > sizeof(name)) {
        rc = NK_ECONFIG;
    } else {
        memcpy(name, text + 1, n - 1);
        name[n - 1] = '\0';
        rc = getpwnam_r(name, &user, entry, sizeof(entry), &found) == 0 && found ? 0 : NK_ECONFIG;
        rc = rc < 0 ? rc : nk_buf_puts(out, user.pw_dir);
    }
    if (rc == NK_ECONFIG) {
        return nk_fail(diag, rc, "there is no user for '%.*s'", (int)(n < 64 ? n : 64), text);
    }
    return rc < 0 ? nk_fail_sys(diag, rc, "a path") : (int)n;
}

/* ${NAME} at text; as put_tilde. */
static int put_variable(const char *text, struct nk_buf *out, struct nk_diag *diag)
{
    char name[SSH_NAME_SHOWN];
    const char *end = strchr(text, '}');
    size_t n = end ? (size_t)(end - text) - 2 : 0;
    if (n == 0 || n >= sizeof(name)) {
        return nk_fail(diag, NK_ECONFIG, "a '${' without a name and '}'");
    }
    memcpy(name, text + 2, n);
    name[n] = '\0';
    const char *value = getenv(name);
    if (!value) {
        return nk_fail(diag, NK_ECONFIG, "${%s} is not set", name);
    }
    int rc = nk_buf_puts(out, value);
    return rc < 0 ? nk_fail_sys(diag, rc, "${%s}", name) : (int)n + 3;
}

int ssh_config_expand_path(const struct ssh_config *c, const char *text, struct nk_buf *out,
                           struct nk_diag *diag)
{
    int rc = put_tilde(c, text, out, diag);
    if (rc < 0) {
        return rc;
    }
    for (text += rc; rc >= 0 && *text;) {
        char one[] = {text[0], text[1], '\0'};
        if (*text == '$' && text[1] == '{') {
            rc = put_variable(text, out, diag);
            text += rc > 0 ? rc : 0;
            continue;
        }
        size_t n = *text == '%' && text[1] ? 2 : 1;
        one[n] = '\0';
        rc = ssh_config_expand(c, one, out, diag);
        text += n;
    }
    return rc < 0 ? rc : 0;
}
