/* SPDX-License-Identifier: MIT */
/* Endpoint strings of Twisted and txtorcon (fields between colons, some of them key=value), put
 * into our words for a hint. */
#include "base/endpoint.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum { FIELDS = 16, FIELD_MAX = 128, BODY_MAX = 300 };

/* Where a key of theirs goes; as NULL: it is left out. */
static const struct word {
    const char *scheme, *key, *as;
} words[] = {
    {"tor", "socksPort", "socks"},
    {"tor", "socksUsername", "isolate"},
    {"tor", "controlPort", "control"},
    {"onion", "controlPort", "control"},
    {"onion", "hiddenServiceDir", "hsdir"},
    {"onion", "privateKeyFile", "key"},
    {"onion", "singleHop", "single-hop"},
    {"tls", "privateKey", "key"},
    {"tls", "certKey", "cert"},
    {"tls", "caCertsDir", "ca"},
    {"tcp", "backlog", "backlog"},
    {"unix", "mode", "mode"},
};

static const char *const schemes[][2] = {{"tor", "tor"},   {"onion", "onion"}, {"tcp", "tcp"},
                                         {"tcp4", "tcp"},  {"tcp6", "tcp"},    {"ssl", "tls"},
                                         {"unix", "unix"}, {"tls", "tls"}};

struct parts {
    char host[FIELD_MAX], port[FIELD_MAX];
    char options[BODY_MAX];
    bool keyed; /* a field was key=value */
};

/* The next field, unescaped (a backslash takes the next character); the rest, or NULL at the end or
 * when it is too long. */
static const char *next_field(const char *p, char out[FIELD_MAX])
{
    size_t n = 0;
    for (; *p && *p != ':'; p++) {
        if (*p == '\\' && p[1]) {
            p++;
        }
        if (n + 1 >= FIELD_MAX) {
            return NULL;
        }
        out[n++] = *p;
    }
    out[n] = '\0';
    return p;
}

static bool is_key(const char *field, const char **value)
{
    const char *p = field;
    while ((*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') || *p == '_') {
        p++;
    }
    *value = p + 1;
    return p > field && *p == '=';
}

static void add_option(struct parts *out, const char *scheme, const char *key, const char *value)
{
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        const struct word *w = &words[i];
        size_t n = strlen(out->options);
        if (strcmp(w->scheme, scheme) == 0 && strncmp(key, w->key, strlen(w->key)) == 0 &&
            key[strlen(w->key)] == '=') {
            (void)snprintf(out->options + n, sizeof(out->options) - n, ",%s=%s", w->as,
                           strcmp(w->as, "single-hop") == 0 ? "yes" : value);
        }
    }
}

static void put(struct parts *out, const char *scheme, const char *field)
{
    const char *value;
    if (!is_key(field, &value)) {
        bool second = out->host[0] != '\0';
        (void)snprintf(second ? out->port : out->host, FIELD_MAX, "%s", field);
        return;
    }
    out->keyed = true;
    if (strncmp(field, "host=", 5) == 0 || strncmp(field, "interface=", 10) == 0 ||
        strncmp(field, "path=", 5) == 0 || strncmp(field, "address=", 8) == 0) {
        if (out->host[0] && !out->port[0]) {
            memcpy(out->port, out->host, FIELD_MAX); /* tcp:80:interface=127.0.0.1 */
        }
        (void)snprintf(out->host, FIELD_MAX, "%s", value);
    } else if (strncmp(field, "port=", 5) == 0 || strncmp(field, "public_port=", 12) == 0) {
        (void)snprintf(out->port, FIELD_MAX, "%s", value);
    } else {
        add_option(out, scheme, field, value);
    }
}

static const char *scheme_of(const char *field)
{
    for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++) {
        if (strcmp(schemes[i][0], field) == 0) {
            return schemes[i][1];
        }
    }
    return NULL;
}

bool nk_ep_twisted_hint(const char *text, struct nk_diag *diag)
{
    struct parts parts = {.keyed = false};
    char field[FIELD_MAX];
    const char *p = next_field(text, field);
    const char *scheme = p ? scheme_of(field) : NULL;
    bool ssl = p && strcmp(field, "ssl") == 0;
    for (int i = 0; scheme && p && *p == ':' && i < FIELDS; i++) {
        p = next_field(p + 1, field);
        if (p) {
            put(&parts, scheme, field);
        }
    }
    if (!scheme || !p || *p || !(parts.keyed || ssl)) {
        return false;
    }
    bool v6 = strchr(parts.host, ':') && strcmp(scheme, "unix") != 0;
    nk_hint(diag, "that is Twisted's way of writing; here it is %s:%s%s%s%s%s%s", scheme,
            v6 ? "[" : "", parts.host, v6 ? "]" : "", parts.host[0] && parts.port[0] ? ":" : "",
            parts.port, parts.options);
    return true;
}
