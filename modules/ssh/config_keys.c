/* SPDX-License-Identifier: MIT */
/* The keywords of ssh_config, and how their values are read and printed. */
#include "ssh/config_impl.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/codec.h"

#define FIELD(f) .offset = offsetof(struct ssh_config, f)
#define BOOL(n, f, d)                                                                              \
    {                                                                                              \
        .name = n, .kind = SSH_KIND_BOOL, FIELD(f), .def = d                                       \
    }
#define ENUM(n, f, w, d)                                                                           \
    {                                                                                              \
        .name = n, .kind = SSH_KIND_ENUM, FIELD(f), .words = w, .def = d                           \
    }
#define KEY(n, k, f, d)                                                                            \
    {                                                                                              \
        .name = n, .kind = SSH_KIND_##k, FIELD(f), .def = d                                        \
    }
#define ALGOS(n, f, list)                                                                          \
    {                                                                                              \
        .name = n, .kind = SSH_KIND_TEXT, FIELD(f), .arg = list                                    \
    }
#define FORWARD(n, k)                                                                              \
    {                                                                                              \
        .name = n, .kind = SSH_KIND_FORWARD, FIELD(forwards), .arg = k                             \
    }
#define BLOCK(n, k)                                                                                \
    {                                                                                              \
        .name = n, .kind = SSH_KIND_##k                                                            \
    }

enum { LIST_MAX = 1024 /* values of a keyword: a bound, nobody needs so many */ };

/* The order is that of printing. */
const struct ssh_config_key ssh_config_keys[SSH_CONFIG_KEYS] = {
    BLOCK("Host", HOST),
    BLOCK("Match", MATCH),
    BLOCK("Include", INCLUDE),
    KEY("User", TEXT, user, NULL),
    KEY("Hostname", TEXT, host_name, NULL),
    KEY("Port", PORT, port, "22"),
    ENUM("AddressFamily", family, "any inet inet6", "any"),
    BOOL("BatchMode", batch, "no"),
    BOOL("ClearAllForwardings", clear_forwardings, "no"),
    BOOL("ExitOnForwardFailure", exit_on_forward_failure, "no"),
    ENUM("GatewayPorts", gateway_ports, "no|false yes|true", "no"),
    BOOL("HashKnownHosts", hash_known_hosts, "no"),
    BOOL("IdentitiesOnly", identities_only, "no"),
    BOOL("KbdInteractiveAuthentication", keyboard_auth, "yes"),
    BOOL("PasswordAuthentication", password_auth, "yes"),
    ENUM("PubkeyAuthentication", pubkey_auth, "false|no true|yes unbound host-bound", "true"),
    ENUM("RequestTTY", request_tty, "auto false|no true|yes force", "auto"),
    ENUM("SessionType", session, "default none subsystem", "default"),
    BOOL("StdinNull", stdin_null, "no"),
    BOOL("ForkAfterAuthentication", fork, "no"),
    BOOL("StreamLocalBindUnlink", stream_local_unlink, "no"),
    ENUM("StrictHostKeyChecking", checking, "ask true|yes accept-new false|no|off", "ask"),
    BOOL("TCPKeepAlive", tcp_keepalive, "yes"),
    ENUM("UpdateHostKeys", update_host_keys, "false|no true|yes ask", NULL),
    KEY("ConnectionAttempts", NUMBER, connection_attempts, "1"),
    KEY("NumberOfPasswordPrompts", NUMBER, password_prompts, "3"),
    KEY("ServerAliveCountMax", NUMBER, alive_count, "3"),
    KEY("ServerAliveInterval", TIME, alive_interval, "0"),
    KEY("RequiredRSASize", NUMBER, min_rsa, "2048"),
    KEY("BindAddress", TEXT, bind_address, NULL),
    KEY("BindInterface", TEXT, bind_interface, NULL),
    ALGOS("Ciphers", ciphers, 1 + SSH_LIST_CIPHER),
    ALGOS("HostKeyAlgorithms", host_key_algorithms, 1 + SSH_LIST_HOST_KEY),
    KEY("HostKeyAlias", TEXT, host_key_alias, NULL),
    KEY("IdentityAgent", PATH, identity_agent, NULL),
    KEY("IgnoreUnknown", TEXT, ignore_unknown, NULL),
    ALGOS("KexAlgorithms", kex, 1 + SSH_LIST_KEX),
    KEY("CASignatureAlgorithms", TEXT, ca_algorithms, NULL),
    KEY("RemoteCommand", REST, remote_command, NULL),
    ENUM("LogLevel", log_level, "QUIET FATAL ERROR INFO VERBOSE DEBUG|DEBUG1 DEBUG2 DEBUG3",
         "INFO"),
    ALGOS("MACs", macs, 1 + SSH_LIST_MAC),
    KEY("PreferredAuthentications", TEXT, preferred_authentications, NULL),
    KEY("PubkeyAcceptedAlgorithms", TEXT, pubkey_algorithms, NULL),
    KEY("RevokedHostKeys", PATH, revoked_host_keys, NULL),
    FORWARD("DynamicForward", SSH_FORWARD_DYNAMIC),
    FORWARD("LocalForward", SSH_FORWARD_LOCAL),
    FORWARD("RemoteForward", SSH_FORWARD_REMOTE),
    KEY("IdentityFile", FILES, identity_files, NULL),
    KEY("CertificateFile", FILES, certificate_files, NULL),
    KEY("GlobalKnownHostsFile", PATHS, global_known_hosts,
        "/etc/ssh/ssh_known_hosts /etc/ssh/ssh_known_hosts2"),
    KEY("UserKnownHostsFile", PATHS, user_known_hosts, "~/.ssh/known_hosts ~/.ssh/known_hosts2"),
    KEY("SendEnv", NAMES, send_env, NULL),
    KEY("SetEnv", WORDS, set_env, NULL),
    KEY("PermitRemoteOpen", WORDS, permit_remote_open, "any"),
    KEY("ForwardAgent", PATH, forward_agent, "no"),
    KEY("ConnectTimeout", TIME, connect_timeout, "none"),
    KEY("EscapeChar", TEXT, escape_char, "~"),
    KEY("RekeyLimit", REKEY, rekey_bytes, "default"),
    KEY("StreamLocalBindMask", OCTAL, stream_local_mask, "0177"),
    KEY("ProxyCommand", REST, proxy_command, NULL),
    KEY("ProxyJump", JUMP, proxy_jump, NULL),
};

/* Older names. */
static const char *const aliases[][2] = {
    {"ChallengeResponseAuthentication", "KbdInteractiveAuthentication"},
    {"KeepAlive", "TCPKeepAlive"},
    {"PubkeyAcceptedKeyTypes", "PubkeyAcceptedAlgorithms"},
    {"SkeyAuthentication", "KbdInteractiveAuthentication"},
    {"DSAAuthentication", "PubkeyAuthentication"},
};

/* In lower case, a space around each. */
static const char silent[] =
    " addkeystoagent afstokenpassing canonicaldomains canonicalizefallbacklocal "
    "canonicalizehostname canonicalizemaxdots canonicalizepermittedcnames channeltimeout "
    "checkhostip cipher compression compressionlevel controlmaster controlpath controlpersist "
    "enableescapecommandline enablesshkeysign fallbacktorsh fingerprinthash forwardx11 "
    "forwardx11timeout forwardx11trusted gssapiauthentication gssapiclientidentity "
    "gssapidelegatecredentials gssapikexalgorithms gssapikeyexchange gssapirenewalforcesrekey "
    "gssapiserveridentity gssapitrustdns globalknownhostsfile2 hostbasedacceptedalgorithms "
    "hostbasedauthentication "
    "hostbasedkeytypes ipqos kerberosauthentication kerberostgtpassing knownhostscommand "
    "localcommand logverbose nohostauthenticationforlocalhost obscurekeystroketiming "
    "permitlocalcommand pkcs11provider protocol proxyusefdpass "
    "rhostsrsaauthentication rsaauthentication securitykeyprovider smartcarddevice syslogfacility "
    "tag tunnel tunneldevice useprivilegedport usersh userknownhostsfile2 verifyhostkeydns "
    "versionaddendum visualhostkey warnweakcrypto xauthlocation ";

/* --- finding ---------------------------------------------------------------------------------- */

const struct ssh_config_key *ssh_config_key_find(const char *name)
{
    for (size_t i = 0; i < sizeof(aliases) / sizeof(*aliases); i++) {
        if (strcasecmp(name, aliases[i][0]) == 0) {
            name = aliases[i][1];
        }
    }
    for (size_t i = 0; i < SSH_CONFIG_KEYS; i++) {
        if (strcasecmp(name, ssh_config_keys[i].name) == 0) {
            return &ssh_config_keys[i];
        }
    }
    return NULL;
}

bool ssh_config_key_silent(const char *name)
{
    char word[40];
    int n = snprintf(word, sizeof(word), " %s ", name);
    return n > 2 && (size_t)n < sizeof(word) && !strchr(name, ' ') && strcasestr(silent, word);
}

/* --- reading ---------------------------------------------------------------------------------- */

__attribute__((format(printf, 2, 3))) static int wrong(struct ssh_config_value *v, const char *fmt,
                                                       ...)
{
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(v->problem, sizeof(v->problem), fmt, ap);
    va_end(ap);
    return NK_ECONFIG;
}

static int wrong_value(struct ssh_config_value *v)
{
    return wrong(v, "it cannot be '%.40s'", v->words[0]);
}

/* The group of words that has this one, or -1. */
static int group_of(const char *words, const char *word)
{
    size_t n = strlen(word);
    for (int group = 0; *words; words += strspn(words, "| ")) {
        size_t len = strcspn(words, "| ");
        if (len == n && strncasecmp(words, word, n) == 0) {
            return group;
        }
        words += len;
        group += *words == ' ';
    }
    return -1;
}

/* The first word of a group. */
static int put_group(const char *words, int group, struct nk_buf *out)
{
    for (; group > 0; group--) {
        words += strcspn(words, " ") + 1;
    }
    return nk_buf_put(out, words, strcspn(words, "| "));
}

/* A number of seconds, as "90", "1m30s", "2h" (sshd_config(5), TIME FORMATS). */
static bool read_time(const char *s, int64_t *out)
{
    static const char units[] = "smhdw";
    static const int64_t seconds[] = {1, 60, 3600, 86400, 604800};
    int64_t sum = 0;
    if (!*s) {
        return false;
    }
    while (*s) {
        int64_t n = 0;
        if (!isdigit((unsigned char)*s)) {
            return false;
        }
        for (; isdigit((unsigned char)*s); s++) {
            n = n * 10 + (*s - '0');
            if (n > INT32_MAX) {
                return false;
            }
        }
        const char *unit = *s ? strchr(units, tolower((unsigned char)*s)) : units;
        if (!unit) {
            return false;
        }
        sum += n * seconds[unit - units];
        s += *s != '\0';
        if (sum > INT32_MAX) {
            return false;
        }
    }
    *out = sum;
    return true;
}

/* All that ends up as an int64_t. */
static bool read_number(const struct ssh_config_key *key, const char *s, int64_t *out)
{
    uint64_t v = 0;
    if (key->kind == SSH_KIND_TIME) {
        bool none = strcasecmp(s, "none") == 0 && key->def && strcmp(key->def, "none") == 0;
        *out = SSH_CONFIG_NONE;
        return none || read_time(s, out);
    }
    if (key->kind == SSH_KIND_OCTAL) {
        char *end;
        v = strtoul(s, &end, 8);
        *out = (int64_t)v;
        return isdigit((unsigned char)*s) && !*end && v <= 0777;
    }
    bool is = nk_parse_u64(s, &v) == 0;
    *out = (int64_t)v;
    return is && v <= (key->kind == SSH_KIND_PORT ? UINT16_MAX : INT32_MAX) &&
           (v > 0 || key->kind != SSH_KIND_PORT);
}

static int set_number(struct ssh_config_value *v)
{
    int64_t n;
    if (!read_number(v->key, v->words[0], &n)) {
        return wrong_value(v);
    }
    if (v->apply) {
        memcpy(ssh_config_field(v->c, v->key), &n, sizeof(n));
    }
    return 0;
}

static int set_choice(struct ssh_config_value *v)
{
    bool is_bool = v->key->kind == SSH_KIND_BOOL;
    int group = group_of(is_bool ? "no|false yes|true" : v->key->words, v->words[0]);
    if (group < 0) {
        return wrong_value(v);
    }
    if (v->apply && is_bool) {
        *(bool *)ssh_config_field(v->c, v->key) = group == 1;
    } else if (v->apply) {
        *(int *)ssh_config_field(v->c, v->key) = group;
    }
    return 0;
}

static int set_text(struct ssh_config_value *v, const char *text)
{
    char **field = ssh_config_field(v->c, v->key);
    size_t n = strlen(text);
    if (v->key->offset == offsetof(struct ssh_config, escape_char) && n != 1 &&
        !(n == 2 && *text == '^') && strcmp(text, "none") != 0) {
        return wrong_value(v);
    }
    if (!v->apply) {
        return 0;
    }
    char *copy = strdup(text);
    if (!copy) {
        return -ENOMEM;
    }
    free(*field);
    *field = copy;
    return 0;
}

static int set_rest(struct ssh_config_value *v)
{
    return *v->rest ? set_text(v, v->rest) : wrong(v, "it needs a value");
}

static bool has(const struct nk_strlist *l, const char *word)
{
    for (size_t i = 0; i < l->n; i++) {
        if (strcmp(l->v[i], word) == 0) {
            return true;
        }
    }
    return false;
}

static int set_words(struct ssh_config_value *v)
{
    struct nk_strlist *l = ssh_config_field(v->c, v->key);
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < v->n; i++) {
        if (strcasecmp(v->key->name, "SetEnv") == 0 && !strchr(v->words[i], '=')) {
            rc = wrong(v, "'%.40s' has no '='", v->words[i]);
        } else if (l->n >= LIST_MAX) {
            rc = wrong(v, "there are too many");
        } else if (v->apply && !has(l, v->words[i])) {
            rc = nk_strlist_add(l, v->words[i], strlen(v->words[i]));
        }
    }
    return rc;
}

/* Bytes and, perhaps, a time. */
static int set_rekey(struct ssh_config_value *v)
{
    uint64_t limit[2] = {0, 0};
    int64_t seconds = 0;
    bool fine = strcasecmp(v->words[0], "default") == 0 || strcasecmp(v->words[0], "none") == 0;
    if (!fine) {
        const char *s = v->words[0];
        size_t n = strlen(s);
        fine = n > 0 && strspn(s, "0123456789kKmMgG") == n && nk_parse_size(s, &limit[0]) == 0 &&
               limit[0] >= 16;
    }
    if (fine && v->n == 2 && strcasecmp(v->words[1], "none") != 0) {
        fine = read_time(v->words[1], &seconds);
    }
    if (!fine) {
        return wrong_value(v);
    }
    limit[1] = (uint64_t)seconds;
    if (v->apply) {
        memcpy(ssh_config_field(v->c, v->key), limit, sizeof(limit));
    }
    return 0;
}

static bool same_end(const struct ssh_forward_end *a, const struct ssh_forward_end *b)
{
    return strcmp(a->path ? a->path : "", b->path ? b->path : "") == 0 && !a->host == !b->host &&
           strcmp(a->host ? a->host : "", b->host ? b->host : "") == 0 && a->port == b->port;
}

static void drop_last_if_there(struct ssh_forwards *l)
{
    const struct ssh_forward *last = &l->v[l->n - 1];
    for (size_t i = 0; i + 1 < l->n; i++) {
        const struct ssh_forward *f = &l->v[i];
        if (f->kind == last->kind && same_end(&f->listen, &last->listen) &&
            same_end(&f->connect, &last->connect)) {
            ssh_forwards_pop(l);
            return;
        }
    }
}

static int set_forward(struct ssh_config_value *v)
{
    struct ssh_forwards checked = {0}, *to = v->apply ? &v->c->forwards : &checked;
    struct nk_diag why = {0};
    struct nk_buf text;
    nk_buf_init(&text, SSH_CONFIG_TEXT_MAX);
    int rc = nk_buf_printf(&text, "%s%s%s", v->words[0], v->n > 1 ? " " : "",
                           v->n > 1 ? v->words[1] : "");
    if (rc == 0 && !nk_buf_str(&text)) {
        rc = -ENOMEM;
    }
    rc = rc < 0 ? rc
                : ssh_forwards_add(to, (enum ssh_forward_kind)v->key->arg, nk_buf_str(&text), &why);
    if (rc == 0) {
        drop_last_if_there(to);
    } else if (rc != -ENOMEM) {
        rc = wrong(v, "%.90s", why.text);
    }
    ssh_forwards_clear(&checked);
    nk_buf_clear(&text);
    return rc;
}

static int check_count(struct ssh_config_value *v)
{
    size_t max = 1;
    switch (v->key->kind) {
    case SSH_KIND_PATHS:
    case SSH_KIND_WORDS:
    case SSH_KIND_NAMES:
        max = SIZE_MAX;
        break;
    case SSH_KIND_REKEY:
    case SSH_KIND_FORWARD:
        max = 2;
        break;
    default:
        break;
    }
    if (v->n == 0 || !*v->words[0]) {
        return wrong(v, "it needs a value");
    }
    return v->n > max ? wrong(v, "'%.40s' is one word too many", v->words[max]) : 0;
}

int ssh_config_value_set(struct ssh_config_value *v)
{
    if (v->key->kind == SSH_KIND_REST || v->key->kind == SSH_KIND_JUMP) {
        return set_rest(v);
    }
    int rc = check_count(v);
    if (rc < 0) {
        return rc;
    }
    switch ((enum ssh_config_kind)v->key->kind) {
    case SSH_KIND_BOOL:
    case SSH_KIND_ENUM:
        return set_choice(v);
    case SSH_KIND_NUMBER:
    case SSH_KIND_PORT:
    case SSH_KIND_TIME:
    case SSH_KIND_OCTAL:
        return set_number(v);
    case SSH_KIND_TEXT:
    case SSH_KIND_PATH:
        return set_text(v, v->words[0]);
    case SSH_KIND_PATHS:
    case SSH_KIND_FILES:
    case SSH_KIND_WORDS:
    case SSH_KIND_NAMES:
        return set_words(v);
    case SSH_KIND_REKEY:
        return set_rekey(v);
    case SSH_KIND_FORWARD:
        return set_forward(v);
    default: /* blocks and REST are done elsewhere */
        return NK_EINTERNAL;
    }
}

void ssh_config_values_clear(struct ssh_config *c)
{
    for (size_t i = 0; i < SSH_CONFIG_KEYS; i++) {
        const struct ssh_config_key *key = &ssh_config_keys[i];
        switch ((enum ssh_config_kind)key->kind) {
        case SSH_KIND_TEXT:
        case SSH_KIND_PATH:
        case SSH_KIND_REST:
        case SSH_KIND_JUMP:
            free(*(char **)ssh_config_field(c, key));
            break;
        case SSH_KIND_PATHS:
        case SSH_KIND_FILES:
        case SSH_KIND_WORDS:
        case SSH_KIND_NAMES:
            nk_strlist_clear(ssh_config_field(c, key));
            break;
        default:
            break;
        }
    }
    ssh_forwards_clear(&c->forwards);
}

/* --- printing --------------------------------------------------------------------------------- */

static int put_list(const struct nk_strlist *l, bool one_line, size_t n, struct nk_buf *out)
{
    int rc = 0;
    if (n >= (one_line && l->n ? 1 : l->n)) {
        return 0;
    }
    for (size_t i = one_line ? 0 : n; rc == 0 && i < (one_line ? l->n : n + 1); i++) {
        rc = nk_buf_printf(out, "%s%s", i > 0 && one_line ? " " : "", l->v[i]);
    }
    return rc < 0 ? rc : 1;
}

static int put_forward(const struct ssh_config *c, const struct ssh_config_key *key, size_t n,
                       struct nk_buf *out)
{
    for (size_t i = 0; i < c->forwards.n; i++) {
        if (c->forwards.v[i].kind == key->arg && n-- == 0) {
            int rc = ssh_forward_put(&c->forwards.v[i], out);
            return rc < 0 ? rc : 1;
        }
    }
    return 0;
}

/* What is offered, with what the line changes. */
static int put_algorithms(const char *spec, enum ssh_list which, struct nk_buf *out)
{
    struct ssh_proposal p;
    ssh_proposal_init(&p);
    (void)ssh_config_offer(&p, which, spec, NULL, NULL); /* an error shows when it is used */
    return nk_buf_puts(out, p.list[which]);
}

static int put_number(const struct ssh_config_key *key, int64_t n, struct nk_buf *out)
{
    if (key->kind == SSH_KIND_TIME && n == SSH_CONFIG_NONE) {
        return nk_buf_puts(out, "none");
    }
    return key->kind == SSH_KIND_OCTAL ? nk_buf_printf(out, "0%" PRIo64, (uint64_t)n)
                                       : nk_buf_printf(out, "%" PRId64, n);
}

static int put_single(const struct ssh_config_key *key, const void *field, struct nk_buf *out)
{
    switch ((enum ssh_config_kind)key->kind) {
    case SSH_KIND_BOOL:
        return nk_buf_puts(out, *(const bool *)field ? "yes" : "no");
    case SSH_KIND_ENUM:
        return put_group(key->words, *(const int *)field, out);
    case SSH_KIND_REKEY:
        return nk_buf_printf(out, "%" PRIu64 " %" PRIu64, ((const uint64_t *)field)[0],
                             ((const uint64_t *)field)[1]);
    case SSH_KIND_NUMBER:
    case SSH_KIND_PORT:
    case SSH_KIND_TIME:
    case SSH_KIND_OCTAL:
        return put_number(key, *(const int64_t *)field, out);
    default:
        return nk_buf_puts(out, *(char *const *)field);
    }
}

int ssh_config_value_put(const struct ssh_config *c, const struct ssh_config_key *key, size_t n,
                         struct nk_buf *out)
{
    const void *field = (const char *)c + key->offset;
    int rc;
    switch ((enum ssh_config_kind)key->kind) {
    case SSH_KIND_HOST:
    case SSH_KIND_MATCH:
    case SSH_KIND_INCLUDE:
        return 0;
    case SSH_KIND_FORWARD:
        return put_forward(c, key, n, out);
    case SSH_KIND_PATHS:
    case SSH_KIND_FILES:
    case SSH_KIND_WORDS:
    case SSH_KIND_NAMES:
        return put_list(
            field, key->kind == SSH_KIND_PATHS || field == (const void *)&c->permit_remote_open, n,
            out);
    case SSH_KIND_TEXT:
    case SSH_KIND_PATH:
    case SSH_KIND_REST:
    case SSH_KIND_JUMP:
        if (n == 0 && key->arg) {
            rc = put_algorithms(*(char *const *)field, (enum ssh_list)(key->arg - 1), out);
            return rc < 0 ? rc : 1;
        }
        if (!*(char *const *)field) {
            return 0;
        }
        break;
    default:
        break;
    }
    rc = n > 0 ? 0 : put_single(key, field, out);
    return rc < 0 ? rc : n == 0;
}
