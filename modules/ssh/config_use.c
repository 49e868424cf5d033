/* SPDX-License-Identifier: MIT */
/* What is done with settings that were read: printing, checks of names, what others need of them.
 */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "ssh/config_impl.h"

/* --- printing --------------------------------------------------------------------------------- */

static void lower(char out[40], const char *name)
{
    size_t n = 0;
    for (; n < 39 && name[n]; n++) {
        out[n] = (char)tolower((unsigned char)name[n]);
    }
    out[n] = '\0';
}

/* "FILE:LINE", "-o", or "" */
static int put_origin(const struct ssh_config *c, const struct ssh_config_key *key,
                      struct nk_buf *out)
{
    const struct ssh_config_origins *o = c->origins;
    uint16_t file = o->of[key - ssh_config_keys].file;
    uint32_t line = o->of[key - ssh_config_keys].line;
    if (!file) {
        return 0;
    }
    int rc = nk_buf_puts(out, o->files.v[file - 1]);
    return rc < 0 || line == 0 ? rc : nk_buf_printf(out, ":%u", line);
}

static int print_key(const struct ssh_config *c, const struct ssh_config_key *key, bool origins,
                     struct nk_buf *out)
{
    char name[40];
    lower(name, key->name);
    for (size_t n = 0;; n++) {
        size_t before = nk_buf_len(out);
        int rc = nk_buf_printf(out, "%s ", name);
        rc = rc < 0 ? rc : ssh_config_value_put(c, key, n, out);
        if (rc <= 0) {
            out->len = before;
            return rc;
        }
        if (origins && c->origins->of[key - ssh_config_keys].file) {
            rc = nk_buf_puts(out, "  # ");
            rc = rc < 0 ? rc : put_origin(c, key, out);
        }
        rc = rc < 0 ? rc : nk_buf_u8(out, '\n');
        if (rc < 0) {
            return rc;
        }
    }
}

static int print(const struct ssh_config *c, bool origins, struct nk_buf *out)
{
    int rc = nk_buf_printf(out, "host %s\n", c->original_host);
    for (size_t i = 0; rc == 0 && i < SSH_CONFIG_KEYS; i++) {
        rc = print_key(c, &ssh_config_keys[i], origins, out);
    }
    return rc;
}

int ssh_config_print(const struct ssh_config *c, struct nk_buf *out)
{
    return print(c, false, out);
}

int ssh_config_print_origins(const struct ssh_config *c, struct nk_buf *out)
{
    return print(c, true, out);
}

/* Keywords with several values have an array. */
static bool is_list(const struct ssh_config_key *key)
{
    return key->kind == SSH_KIND_FILES || key->kind == SSH_KIND_NAMES ||
           key->kind == SSH_KIND_FORWARD ||
           (key->kind == SSH_KIND_WORDS && strcmp(key->name, "SetEnv") == 0);
}

static int json_key(const struct ssh_config *c, const struct ssh_config_key *key, struct nk_json *j,
                    struct nk_buf *text)
{
    char name[40];
    bool list = is_list(key);
    lower(name, key->name);
    nk_buf_reset(text);
    int rc = ssh_config_value_put(c, key, 0, text);
    if (rc <= 0) {
        return rc;
    }
    nk_json_key(j, name);
    nk_json_object(j);
    nk_json_key(j, "value");
    if (list) {
        nk_json_array(j);
    }
    for (size_t n = 1; rc > 0; n++) {
        nk_json_strn(j, nk_buf_ptr(text), nk_buf_len(text));
        nk_buf_reset(text);
        rc = ssh_config_value_put(c, key, n, text);
    }
    if (list) {
        nk_json_close(j);
    }
    nk_buf_reset(text);
    rc = rc < 0 ? rc : put_origin(c, key, text);
    if (rc == 0 && nk_buf_len(text) > 0) {
        nk_json_key(j, "from");
        nk_json_strn(j, nk_buf_ptr(text), nk_buf_len(text));
    }
    nk_json_close(j);
    return rc;
}

void ssh_config_json(const struct ssh_config *c, struct nk_json *j)
{
    struct nk_buf text;
    int rc = 0;
    nk_buf_init(&text, SSH_CONFIG_TEXT_MAX);
    nk_json_object(j);
    for (size_t i = 0; rc == 0 && i < SSH_CONFIG_KEYS; i++) {
        rc = json_key(c, &ssh_config_keys[i], j, &text);
    }
    nk_json_close(j);
    if (rc < 0 && j->error == 0) {
        j->error = rc;
    }
    nk_buf_clear(&text);
}

/* --- names ------------------------------------------------------------------------------------ */

/* What a shell could take for something else; ProxyCommand gets these names as %h and %r. */
#define SHELL_BYTES "'`\"$;&<>|(){}"

int ssh_user_check(const char *user, bool typed, struct nk_diag *diag)
{
    bool fine = *user && *user != '-' && !strpbrk(user, SHELL_BYTES) &&
                !(typed && strchr(user, '\\')) && user[strlen(user) - 1] != '\\';
    for (const char *s = user; *s; s++) {
        fine = fine && !iscntrl((unsigned char)*s) &&
               !(isspace((unsigned char)*s) && (s[1] == '-' || typed));
    }
    return fine ? 0 : nk_fail(diag, NK_EUSAGE, "'%s' cannot be the name of a user", user);
}

int ssh_host_check(const char *host, struct nk_diag *diag)
{
    bool fine = *host && *host != '-' && strlen(host) <= SSH_KNOWN_HOST_MAX &&
                !strpbrk(host, SHELL_BYTES "\\");
    for (const char *s = host; *s; s++) {
        fine = fine && !iscntrl((unsigned char)*s) && !isspace((unsigned char)*s);
    }
    return fine ? 0 : nk_fail(diag, NK_EUSAGE, "'%s' cannot be the name of a host", host);
}

/* --- algorithms ------------------------------------------------------------------------------- */

/* The names of the list that netkit has, with the same sign in front. */
static int known_names(enum ssh_list which, const char *spec, char out[SSH_LIST_MAX],
                       struct nk_log *log)
{
    const bool sign = *spec == '+' || *spec == '^';
    struct ssh_str rest = {(const uint8_t *)spec + sign, strlen(spec) - sign}, name;
    char one[SSH_LIST_MAX];
    size_t n = sign;
    out[0] = *spec;
    out[n] = '\0';
    while (ssh_names_next(&rest, &name)) {
        struct ssh_proposal trial;
        if (name.n + 2 > sizeof(one) - n) {
            return NK_ETOOBIG;
        }
        snprintf(one, sizeof(one), "%.*s", (int)name.n, (const char *)name.p);
        ssh_proposal_init(&trial);
        if (ssh_proposal_set(&trial, which, one, NULL) < 0) {
            nk_warn(log, "ssh", "there is no algorithm %s in netkit: it is left out", one);
            continue;
        }
        n += (size_t)snprintf(out + n, SSH_LIST_MAX - n, "%s%s", n > sign ? "," : "", one);
    }
    return n > sign;
}

int ssh_config_offer(struct ssh_proposal *p, enum ssh_list which, const char *spec,
                     struct nk_log *log, struct nk_diag *diag)
{
    char names[SSH_LIST_MAX];
    if (!spec) {
        return 0;
    }
    if (*spec != '-') {
        int rc = known_names(which, spec, names, log);
        if (rc == 0 && (*spec == '+' || *spec == '^')) {
            return 0; /* nothing is added */
        }
        if (rc <= 0) {
            return nk_fail(diag, rc < 0 ? rc : NK_ECONFIG, "%.200s: netkit has none of them", spec);
        }
        spec = names;
    }
    int rc = ssh_proposal_set(p, which, spec, diag);
    return rc == NK_EUSAGE ? NK_ECONFIG : rc;
}

int ssh_config_proposal(const struct ssh_config *c, struct ssh_proposal *out, struct nk_log *log,
                        struct nk_diag *diag)
{
    const char *const specs[SSH_LISTS] = {[SSH_LIST_KEX] = c->kex,
                                          [SSH_LIST_HOST_KEY] = c->host_key_algorithms,
                                          [SSH_LIST_CIPHER] = c->ciphers,
                                          [SSH_LIST_MAC] = c->macs};
    int rc = 0;
    ssh_proposal_init(out);
    for (int which = 0; rc == 0 && which < SSH_LISTS; which++) {
        rc = ssh_config_offer(out, (enum ssh_list)which, specs[which], log, diag);
    }
    return rc;
}

/* --- for others ------------------------------------------------------------------------------- */

void ssh_config_host(const struct ssh_config *c, struct ssh_host_conf *out)
{
    *out = (struct ssh_host_conf){
        .host = c->host_key_alias ? c->host_key_alias : c->host_name,
        .port = c->host_key_alias ? SSH_PORT : (uint16_t)c->port,
        .shown = c->original_host,
        .checking = (enum ssh_checking)c->checking,
        .hash = c->hash_known_hosts,
        .min_rsa = (unsigned)c->min_rsa,
        .user_files = (const char *const *)c->user_known_hosts.v,
        .nuser = c->user_known_hosts.n,
        .global_files = (const char *const *)c->global_known_hosts.v,
        .nglobal = c->global_known_hosts.n,
        .revoked_file = c->revoked_host_keys,
        .ca_algorithms = c->ca_algorithms,
    };
}
