/* SPDX-License-Identifier: MIT */
#include "ssh/ssh_words.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/codec.h"

enum { PORT_MAX = 65535 };

/* What a letter means: with a value, text is what comes before it in an option; without, all. */
struct letter {
    char c;
    bool value;
    const char *text; /* NULL: handled by special() */
};

static const struct letter letters[] = {{'4', false, "AddressFamily=inet"},
                                        {'6', false, "AddressFamily=inet6"},
                                        {'A', false, "ForwardAgent=yes"},
                                        {'a', false, "ForwardAgent=no"},
                                        {'b', true, "BindAddress="},
                                        {'C', false, ""}, /* nothing is ever compressed */
                                        {'c', true, "Ciphers="},
                                        {'D', true, "DynamicForward="},
                                        {'E', true, NULL},
                                        {'e', true, "EscapeChar="},
                                        {'F', true, NULL},
                                        {'f', false, "ForkAfterAuthentication=yes"},
                                        {'G', false, NULL},
                                        {'g', false, "GatewayPorts=yes"},
                                        {'i', true, "IdentityFile="},
                                        {'J', true, "ProxyJump="},
                                        {'k', false, ""}, /* there is no GSSAPI here */
                                        {'L', true, "LocalForward="},
                                        {'l', true, NULL},
                                        {'m', true, "MACs="},
                                        {'N', false, "SessionType=none"},
                                        {'n', false, "StdinNull=yes"},
                                        {'o', true, ""},
                                        {'p', true, NULL},
                                        {'Q', true, NULL},
                                        {'q', false, "LogLevel=QUIET"},
                                        {'R', true, "RemoteForward="},
                                        {'s', false, "SessionType=subsystem"},
                                        {'T', false, "RequestTTY=no"},
                                        {'t', false, NULL},
                                        {'V', false, NULL},
                                        {'v', false, NULL},
                                        {'W', true, NULL},
                                        {'x', false, "ForwardX11=no"}};

static const struct letter *find(char c)
{
    for (size_t i = 0; i < sizeof(letters) / sizeof(letters[0]); i++) {
        if (letters[i].c == c) {
            return &letters[i];
        }
    }
    return NULL;
}

static int add(struct nk_strlist *l, const char *before, const char *value, struct nk_diag *diag)
{
    size_t n = strlen(before) + strlen(value);
    char *text = malloc(n + 1);
    if (text) {
        (void)snprintf(text, n + 1, "%s%s", before, value);
    }
    int rc = text ? nk_strlist_add(l, text, n) : -ENOMEM;
    free(text);
    return rc < 0 ? nk_fail_sys(diag, rc, "the command line") : 0;
}

static int set_port(struct ssh_words *w, const char *text, struct nk_diag *diag)
{
    char *end;
    long v = strtol(text, &end, 10);
    if (*text < '0' || *text > '9' || *end || v < 1 || v > PORT_MAX) {
        return nk_fail(diag, NK_EUSAGE, "'%s' is no port", text);
    }
    w->port = w->port ? w->port : (int)v;
    return 0;
}

static int set_user(struct ssh_words *w, const char *text, size_t n, struct nk_diag *diag)
{
    if (w->user) {
        return 0; /* the first one counts */
    }
    w->user = strndup(text, n);
    return w->user ? 0 : nk_fail_sys(diag, -ENOMEM, "the command line");
}

/* How often -t and -v were said: options of which the last counts, unlike in files. */
struct counts {
    int t, v;
};

static int special(struct ssh_words *w, char c, const char *value, struct counts *n,
                   struct nk_diag *diag)
{
    switch (c) {
    case 'E':
        w->log_file = value;
        return 0;
    case 'F':
        w->file = value;
        return 0;
    case 'G':
        w->print_config = true;
        return 0;
    case 'l':
        return set_user(w, value, strlen(value), diag);
    case 'p':
        return set_port(w, value, diag);
    case 'Q':
        w->query = value;
        return 0;
    case 't':
        n->t++;
        return 0;
    case 'V':
        w->version = true;
        return 0;
    case 'v':
        n->v++;
        return 0;
    default:
        w->stdio_forward = value;
        return 0;
    }
}

/* One word of letters; *i moves over a value of its own. */
static int one_word(struct ssh_words *w, int argc, char *const *argv, int *i, struct counts *n,
                    struct nk_diag *diag)
{
    for (const char *p = argv[*i] + 1; *p; p++) {
        const struct letter *l = find(*p);
        if (!l) {
            return nk_fail(diag, NK_EUSAGE, "there is no option -%c", *p);
        }
        const char *value = l->value && p[1] ? p + 1 : l->value ? argv[++*i] : "";
        if (*i >= argc) {
            return nk_fail(diag, NK_EUSAGE, "option -%c needs a value", l->c);
        }
        int rc = !l->text                           ? special(w, l->c, value, n, diag)
                 : *l->text || (l->value && *value) ? add(&w->options, l->text, value, diag)
                                                    : 0;
        if (rc < 0 || l->value) {
            return rc;
        }
    }
    return 0;
}

static int long_word(struct ssh_words *w, int argc, char *const *argv, int *i, struct nk_diag *diag)
{
    static const char *const names[] = {"--fingerprint", "--answer", "--password-file",
                                        "--socks-login", "--hold"};
    const char **const fields[] = {&w->password_file, &w->socks_login, &w->hold};
    for (size_t k = 0; k < sizeof(names) / sizeof(names[0]); k++) {
        size_t n = strlen(names[k]);
        if (strncmp(argv[*i], names[k], n) != 0 || (argv[*i][n] && argv[*i][n] != '=')) {
            continue;
        }
        const char *value = argv[*i][n] ? argv[*i] + n + 1 : argv[++*i];
        if (*i >= argc) {
            return nk_fail(diag, NK_EUSAGE, "option %s needs a value", names[k]);
        }
        if (k < 2) {
            return add(k ? &w->answers : &w->pins, "", value, diag);
        }
        *fields[k - 2] = value;
        return 0;
    }
    const bool reconnect = strcmp(argv[*i], "--reconnect") == 0,
               match_exec = strcmp(argv[*i], "--match-exec") == 0;
    w->reconnect = w->reconnect || reconnect;
    w->match_exec = w->match_exec || match_exec;
    return reconnect || match_exec ? 0
                                   : nk_fail(diag, NK_EUSAGE, "there is no option %s", argv[*i]);
}

/* [USER@]HOST, or a URI (draft-ietf-secsh-scp-sftp-ssh-uri) */
static int set_host(struct ssh_words *w, const char *text, struct nk_diag *diag)
{
    static const char scheme[] = "ssh://";
    bool uri = strncmp(text, scheme, sizeof(scheme) - 1) == 0;
    text += uri ? sizeof(scheme) - 1 : 0;
    const char *at = strrchr(text, '@');
    int rc = at ? set_user(w, text, (size_t)(at - text), diag) : 0;
    text = at ? at + 1 : text;
    size_t n = uri ? strcspn(text, "/") : strlen(text);
    const char *end = text + n, *colon = NULL;
    if (uri && *text == '[') {
        const char *close = memchr(text, ']', n);
        colon = close && close[1] == ':' ? close + 1 : NULL;
        text += close ? 1 : 0;
        end = close ? close : end;
    } else if (uri && (colon = memchr(text, ':', n)) != NULL) {
        end = colon;
    }
    if (rc == 0 && colon) {
        char port[8];
        (void)snprintf(port, sizeof(port), "%.*s", (int)strcspn(colon + 1, "/"), colon + 1);
        rc = set_port(w, port, diag);
    }
    w->host = strndup(text, (size_t)(end - text));
    return rc < 0 ? rc : w->host ? 0 : nk_fail_sys(diag, -ENOMEM, "the command line");
}

static int counted(struct ssh_words *w, const struct counts *n, struct nk_diag *diag)
{
    static const char *const levels[] = {"LogLevel=DEBUG1", "LogLevel=DEBUG2", "LogLevel=DEBUG3"};
    int rc = 0;
    if (n->t > 0) {
        rc = add(&w->options, n->t > 1 ? "RequestTTY=force" : "RequestTTY=yes", "", diag);
    }
    if (rc == 0 && n->v > 0) {
        rc = add(&w->options, levels[n->v > 3 ? 2 : n->v - 1], "", diag);
    }
    return rc;
}

int ssh_words_parse(struct ssh_words *w, int argc, char *const *argv, struct nk_diag *diag)
{
    struct counts n = {0};
    int i = 0, rc = 0;
    *w = (struct ssh_words){0};
    for (; i < argc && argv[i][0] == '-' && argv[i][1] && rc == 0; i++) {
        if (strcmp(argv[i], "--") == 0) {
            i++;
            break;
        }
        rc = argv[i][1] == '-' ? long_word(w, argc, argv, &i, diag)
                               : one_word(w, argc, argv, &i, &n, diag);
    }
    rc = rc < 0 ? rc : counted(w, &n, diag);
    if (rc < 0 || w->version || w->query) {
        return rc;
    }
    if (i >= argc) {
        return nk_fail(diag, NK_EUSAGE, "which host?");
    }
    w->command = argv + i + 1;
    w->ncommand = argc - i - 1;
    return set_host(w, argv[i], diag);
}

void ssh_words_clear(struct ssh_words *w)
{
    free(w->host);
    free(w->user);
    nk_strlist_clear(&w->options);
    nk_strlist_clear(&w->pins);
    nk_strlist_clear(&w->answers);
    *w = (struct ssh_words){0};
}
