/* SPDX-License-Identifier: MIT */
/* The conditions of ssh_config's blocks. */
#include <string.h>
#include <strings.h>

#include "ssh/config_impl.h"

static struct ssh_str str(const char *s)
{
    return (struct ssh_str){(const uint8_t *)s, strlen(s)};
}

bool ssh_config_hosts(const struct ssh_config_reading *r, char **words, size_t n)
{
    bool found = false;
    for (size_t i = 0; i < n; i++) {
        bool negated = words[i][0] == '!';
        if (ssh_pattern_match(str(words[i] + negated), r->host, false)) {
            if (negated) {
                return false;
            }
            found = true;
        }
    }
    return found;
}

/* The name that would be connected to, as far as is known by now. */
static int match_host(const struct ssh_config_reading *r, const char *patterns)
{
    struct nk_buf name;
    nk_buf_init(&name, SSH_CONFIG_TEXT_MAX);
    const char *text = r->host;
    int rc = 0;
    if (r->c->host_name) {
        struct ssh_config as_given = {.original_host = (char *)r->host};
        rc = ssh_config_expand_some(&as_given, r->c->host_name, "%h", &name, r->diag);
        text = rc < 0 ? NULL : nk_buf_str(&name);
        rc = text ? 0 : rc < 0 ? rc : -ENOMEM;
    }
    rc = rc < 0 ? rc : ssh_pattern_list(str(patterns), text, true) > 0;
    nk_buf_clear(&name);
    return rc;
}

/* Other people's programs are run only for those who have asked for that. */
static int match_exec(const struct ssh_config_reading *r, const char *command, bool so_far)
{
    struct nk_buf text;
    if (!so_far) {
        return 0;
    }
    if (!r->ask->exec) {
        ssh_config_warn(r, "Match exec is not run, and does not match");
        return 0;
    }
    nk_buf_init(&text, SSH_CONFIG_TEXT_MAX);
    int rc = ssh_config_expand(r->c, command, &text, r->diag);
    if (rc == 0) {
        const char *expanded = nk_buf_str(&text);
        rc = expanded ? r->ask->exec(r->ask->exec_arg, expanded) : -ENOMEM;
    }
    nk_buf_clear(&text);
    return rc;
}

/* A criterion with its patterns. */
static int match_one(struct ssh_config_reading *r, const char *what, const char *patterns,
                     bool so_far)
{
    const struct ssh_config *c = r->c;
    if (strcasecmp(what, "host") == 0) {
        return match_host(r, patterns);
    }
    if (strcasecmp(what, "originalhost") == 0) {
        return ssh_pattern_list(str(patterns), c->original_host, true) > 0;
    }
    if (strcasecmp(what, "user") == 0 || strcasecmp(what, "localuser") == 0) {
        const char *user = *what == 'u' || *what == 'U' ? c->user : NULL;
        user = user ? user : c->local_user;
        return user && ssh_pattern_list(str(patterns), user, false) > 0;
    }
    if (strcasecmp(what, "exec") == 0) {
        return match_exec(r, patterns, so_far);
    }
    return -ENOENT;
}

int ssh_config_match(struct ssh_config_reading *r, char **words, size_t n)
{
    bool result = true;
    for (size_t i = 0; i < n; i++) {
        char *word = words[i];
        bool negated = *word == '!';
        word += negated;
        int rc;
        if (strcasecmp(word, "all") == 0) {
            if (n > i + 1 || i > 1 || negated) {
                return ssh_config_wrong(r, "'all' stands alone in Match");
            }
            continue;
        }
        if (strcasecmp(word, "final") == 0 || strcasecmp(word, "canonical") == 0) {
            r->wants_final = r->wants_final || (*word | 0x20) == 'f';
            rc = r->final;
        } else {
            char *value = strchr(word, '=');
            if (value) {
                *value++ = '\0';
            } else if (i + 1 < n) {
                value = words[++i];
            }
            if (!value || !*value) {
                return ssh_config_wrong(r, "Match %.40s needs a value", word);
            }
            rc = match_one(r, word, value, result);
        }
        if (rc == -ENOENT) {
            ssh_config_warn(r, "Match %.40s is not known, and does not match", word);
            return 0;
        }
        if (rc < 0) {
            return rc;
        }
        result = result && (rc > 0) != negated;
    }
    return n == 0 ? ssh_config_wrong(r, "Match needs a condition") : result;
}
