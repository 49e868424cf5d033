/* SPDX-License-Identifier: MIT */
/* The settings for one host: files, blocks and defaults. Values are config_keys.c's. */
#include "ssh/config.h"

#include <fcntl.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "ssh/config_impl.h"
#include "ssh/config_words.h"
#include "ssh/include.h"

#define SYSTEM_DIR "/etc/ssh"

enum { PASSWD_MAX = 4096, OTHERS_WRITE = 022, FILE_SHOWN = 200 };

static int read_file(struct ssh_config_reading *r, const char *path, bool must);

/* --- messages --------------------------------------------------------------------------------- */

static void where(const struct ssh_config_reading *r, char out[FILE_SHOWN])
{
    if (r->file) {
        snprintf(out, FILE_SHOWN, "%.180s:%u", r->file, r->line);
    } else {
        snprintf(out, FILE_SHOWN, "-o");
    }
}

int ssh_config_wrong(const struct ssh_config_reading *r, const char *fmt, ...)
{
    char text[NK_DIAG_TEXT], at[FILE_SHOWN];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    where(r, at);
    return nk_fail(r->diag, r->file ? NK_ECONFIG : NK_EUSAGE, "%s: %s", at, text);
}

void ssh_config_warn(const struct ssh_config_reading *r, const char *fmt, ...)
{
    char text[NK_DIAG_TEXT], at[FILE_SHOWN];
    va_list ap;
    if (r->final) {
        return;
    }
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    where(r, at);
    nk_warn(r->ask->log, "ssh", "%s: %s", at, text);
}

static int no_memory(const struct ssh_config_reading *r)
{
    return nk_fail_sys(r->diag, -ENOMEM, "ssh_config");
}

/* --- one line --------------------------------------------------------------------------------- */

static bool is_additive(const struct ssh_config_key *key)
{
    return key->kind == SSH_KIND_FILES || key->kind == SSH_KIND_NAMES ||
           key->kind == SSH_KIND_FORWARD;
}

static struct ssh_config_key const *other_proxy(const struct ssh_config_key *key)
{
    if (key->kind == SSH_KIND_JUMP) {
        return ssh_config_key_find("ProxyCommand");
    }
    return strcmp(key->name, "ProxyCommand") == 0 ? ssh_config_key_find("ProxyJump") : NULL;
}

static bool is_set(const struct ssh_config *c, const struct ssh_config_key *key)
{
    return key && c->origins->of[key - ssh_config_keys].file != 0;
}

/* Where a value comes from: the index of this file's name, from 1 on; 0 without memory. */
static uint16_t origin_of(struct ssh_config_reading *r)
{
    struct nk_strlist *l = &r->c->origins->files;
    const char *name = r->file ? r->file : "command line";
    for (size_t i = 0; i < l->n; i++) {
        if (strcmp(l->v[i], name) == 0) {
            return (uint16_t)(i + 1);
        }
    }
    return nk_strlist_add(l, name, strlen(name)) < 0 ? 0 : (uint16_t)l->n;
}

static int set_value(struct ssh_config_reading *r, const struct ssh_config_key *key, char **words,
                     size_t n, const char *rest)
{
    struct ssh_config_value v = {
        .c = r->c, .key = key, .words = words, .n = n, .rest = rest, .apply = r->active};
    /* what Match final was asked about stays */
    bool before =
        is_set(r->c, key) || (r->final && key->offset == offsetof(struct ssh_config, host_name));
    if ((before && !is_additive(key)) || is_set(r->c, other_proxy(key))) {
        v.apply = false;
    }
    int rc = ssh_config_value_set(&v);
    if (rc == NK_ECONFIG) {
        return ssh_config_wrong(r, "%s: %s", key->name, v.problem);
    }
    if (rc == 0 && v.apply && !before) {
        uint16_t file = origin_of(r);
        r->c->origins->of[key - ssh_config_keys].file = file;
        r->c->origins->of[key - ssh_config_keys].line = r->line;
        rc = file ? 0 : -ENOMEM;
    }
    return rc < 0 ? no_memory(r) : 0;
}

/* Passed over, but whoever has written it may rely on it. */
static bool is_missed(const char *keyword, const char *value)
{
    static const char *const names[] = {"CanonicalizeHostname", "KnownHostsCommand",
                                        "VerifyHostKeyDNS", "PKCS11Provider"};
    bool off = strcasecmp(value, "no") == 0 || strcasecmp(value, "none") == 0;
    for (size_t i = 0; !off && i < sizeof(names) / sizeof(*names); i++) {
        if (strcasecmp(keyword, names[i]) == 0) {
            return true;
        }
    }
    return false;
}

static int unknown(const struct ssh_config_reading *r, const char *keyword, const char *value)
{
    const char *ignored = r->c->ignore_unknown;
    struct ssh_str patterns = {(const uint8_t *)ignored, ignored ? strlen(ignored) : 0};
    if (r->active && is_missed(keyword, value)) {
        ssh_config_warn(r, "%s is not there in netkit, and has no effect", keyword);
    }
    if (ssh_config_key_silent(keyword) ||
        (ignored && ssh_pattern_list(patterns, keyword, true) > 0)) {
        return 0;
    }
    if (!r->file) {
        return ssh_config_wrong(r, "there is no option '%.64s'", keyword);
    }
    ssh_config_warn(r, "'%.64s' is not known, and has no effect", keyword);
    return 0;
}

static int take_include(struct ssh_config_reading *r, char **words, size_t n);

static int take_words(struct ssh_config_reading *r, const struct ssh_config_key *key, char **words,
                      size_t n, const char *rest)
{
    int rc;
    switch ((enum ssh_config_kind)key->kind) {
    case SSH_KIND_HOST:
        r->active = ssh_config_hosts(r, words, n) && !r->never;
        return n ? 0 : ssh_config_wrong(r, "Host needs a pattern");
    case SSH_KIND_MATCH:
        rc = ssh_config_match(r, words, n);
        r->active = rc > 0 && !r->never;
        return rc < 0 ? rc : 0;
    case SSH_KIND_INCLUDE:
        return n ? take_include(r, words, n) : ssh_config_wrong(r, "Include needs a file");
    default:
        return set_value(r, key, words, n, rest);
    }
}

/* The line is changed. */
static int take_line(struct ssh_config_reading *r, char *line)
{
    char *words[SSH_CONFIG_WORDS], *rest;
    const char *keyword = ssh_config_keyword(line, &rest);
    int n = 0;
    if (!keyword) {
        return 0;
    }
    const struct ssh_config_key *key = ssh_config_key_find(keyword);
    if (!key) {
        return unknown(r, keyword, rest);
    }
    if (key->kind != SSH_KIND_REST && key->kind != SSH_KIND_JUMP) {
        n = ssh_config_split(rest, words);
        if (n < 0) {
            return ssh_config_wrong(r, "a quote without its end, or too many words");
        }
    }
    return take_words(r, key, words, (size_t)n, rest);
}

/* --- files ------------------------------------------------------------------------------------ */

/* Others could make the user run what they want (ProxyCommand), or trust whom they want. */
static int check_owner(const struct ssh_config_reading *r, const char *path, const struct stat *st)
{
    if (!r->guarded ||
        ((st->st_uid == 0 || st->st_uid == geteuid()) && !(st->st_mode & OTHERS_WRITE))) {
        return 0;
    }
    nk_fail(r->diag, NK_EBADMODE, "%s: owner %u, mode %04o: others could have written it", path,
            (unsigned)st->st_uid, (unsigned)st->st_mode & 07777u);
    nk_hint(r->diag, "chmod go-w '%s'", path);
    return NK_EBADMODE;
}

/* 1: its text is there; 0: there is no such file, or it is none that can be included. */
static int load_text(const struct ssh_config_reading *r, const char *path, bool must,
                     struct nk_buf *text)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0) {
        int why = -errno;
        bool absent = why == -ENOENT || why == -ENOTDIR;
        return absent && !must ? 0
                               : nk_fail(r->diag, absent ? NK_ECONFIG : why, "cannot open %s: %s",
                                         path, nk_strerror(why));
    }
    int rc = fstat(fd, &st) < 0 ? -errno : 0;
    if (rc < 0) {
        nk_fail_sys(r->diag, rc, "%s", path);
    } else if (must || S_ISREG(st.st_mode)) { /* -F may be a pipe */
        rc = check_owner(r, path, &st);
        if (rc == 0) {
            rc = nk_file_read_fd(fd, text, r->diag);
            (void)(rc < 0 ? nk_fail_context(r->diag, "%s", path) : 0);
        }
        rc = rc < 0 ? rc : 1;
    }
    (void)close(fd);
    return rc;
}

static int take_text(struct ssh_config_reading *r, char *text)
{
    int rc = 0;
    for (char *end; rc == 0 && *text; text = end) {
        end = text + strcspn(text, "\n");
        end += *end ? (*end = '\0', 1) : 0;
        r->line++;
        rc = take_line(r, text);
    }
    return rc;
}

/* The state of the reading is the includer's again afterwards. */
static int read_text(struct ssh_config_reading *r, const char *path, struct nk_buf *text)
{
    const struct ssh_config_reading outer = *r;
    char *s = (char *)nk_buf_ptr(text);
    if (nk_buf_len(text) && memchr(s, '\0', nk_buf_len(text) - 1)) {
        return nk_fail(r->diag, NK_ECONFIG, "%s is no text", path);
    }
    r->file = path;
    r->line = 0;
    r->depth++;
    int rc = s ? take_text(r, s) : 0;
    r->file = outer.file;
    r->line = outer.line;
    r->depth = outer.depth;
    r->active = outer.active;
    return rc;
}

static int read_file(struct ssh_config_reading *r, const char *path, bool must)
{
    struct nk_buf text;
    if (r->depth >= SSH_CONFIG_DEPTH || r->files++ >= SSH_CONFIG_FILES) {
        return ssh_config_wrong(r, "too many files include each other");
    }
    nk_buf_init(&text, SSH_CONFIG_FILE_MAX);
    int rc = load_text(r, path, must, &text);
    if (rc > 0) {
        rc = nk_buf_u8(&text, '\0');
        rc = rc < 0 ? no_memory(r) : read_text(r, path, &text);
    }
    nk_buf_clear(&text);
    return rc;
}

/* Every file that the pattern names. */
static int include_all(struct ssh_config_reading *r, const char *pattern)
{
    struct nk_strlist found = {0};
    const bool never = r->never;
    int rc = ssh_include_find(&found, pattern, SSH_CONFIG_FILES + 1);
    rc = rc < 0 ? no_memory(r) : 0;
    r->never = r->never || !r->active;
    for (size_t i = 0; rc == 0 && i < found.n; i++) {
        rc = read_file(r, found.v[i], false);
    }
    r->never = never;
    nk_strlist_clear(&found);
    return rc;
}

static int take_include(struct ssh_config_reading *r, char **words, size_t n)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < n; i++) {
        struct nk_buf path;
        nk_buf_init(&path, NK_PATH_MAX);
        if (*words[i] != '/' && *words[i] != '~') {
            rc = r->user ? nk_buf_printf(&path, "%s/.ssh/", r->c->home)
                         : nk_buf_puts(&path, SYSTEM_DIR "/");
        }
        rc = rc < 0 ? no_memory(r) : ssh_config_expand_path(r->c, words[i], &path, r->diag);
        if (rc == NK_ECONFIG) {
            rc = ssh_config_wrong(r, "Include %.80s cannot be expanded", words[i]);
        }
        const char *pattern = rc < 0 ? NULL : nk_buf_str(&path);
        if (rc == 0) {
            rc = pattern ? include_all(r, pattern) : no_memory(r);
        }
        nk_buf_clear(&path);
    }
    return rc;
}

/* --- everything ------------------------------------------------------------------------------- */

static int take_options(struct ssh_config_reading *r)
{
    int rc = 0;
    r->active = true;
    for (size_t i = 0; rc == 0 && i < r->ask->noptions; i++) {
        char *line = strdup(r->ask->options[i]);
        rc = line ? take_line(r, line) : no_memory(r);
        free(line);
    }
    return rc;
}

static int take_files(struct ssh_config_reading *r)
{
    char path[NK_PATH_MAX];
    int rc = 0;
    r->active = true;
    r->user = true;
    if (r->ask->file) {
        return strcmp(r->ask->file, "none") == 0 ? 0 : read_file(r, r->ask->file, true);
    }
    if (snprintf(path, sizeof(path), "%s/.ssh/config", r->c->home) < (int)sizeof(path)) {
        r->guarded = true;
        rc = read_file(r, path, false);
        r->guarded = false;
    }
    r->user = false;
    return rc < 0 ? rc : read_file(r, SYSTEM_DIR "/ssh_config", false);
}

/* The host's name with what Hostname makes of it. */
static int take_host_name(struct ssh_config_reading *r, bool last)
{
    struct nk_buf name;
    struct ssh_config as_given = {.original_host = r->c->original_host};
    const char *text = r->c->host_name ? r->c->host_name : r->c->original_host;
    nk_buf_init(&name, SSH_CONFIG_TEXT_MAX);
    int rc = r->c->host_name ? ssh_config_expand_some(&as_given, text, "%h", &name, r->diag)
                             : nk_buf_puts(&name, text);
    const char *made = rc < 0 ? NULL : nk_buf_str(&name);
    char *copy = made ? strdup(made) : NULL;
    nk_buf_clear(&name);
    if (rc == 0 && !copy) {
        return no_memory(r);
    }
    if (rc == 0 && last) {
        rc = ssh_host_check(copy, r->diag);
    }
    if (rc < 0) {
        free(copy);
        return rc;
    }
    free(r->c->host_name);
    r->c->host_name = copy;
    r->host = copy;
    return 0;
}

/* A line of our own, where nothing was said. */
static int take_default(struct ssh_config_reading *r, const struct ssh_config_key *key,
                        const char *value)
{
    char text[160], *words[SSH_CONFIG_WORDS];
    struct ssh_config_value v = {
        .c = r->c, .key = key, .words = words, .rest = text, .apply = true};
    if (is_set(r->c, key)) {
        return 0;
    }
    snprintf(text, sizeof(text), "%s", value);
    int n = ssh_config_split(text, words);
    v.n = n < 0 ? 0 : (size_t)n;
    return ssh_config_value_set(&v) < 0 ? no_memory(r) : 0;
}

/* UpdateHostKeys is on where the file that changes is the usual one. */
static int take_defaults(struct ssh_config_reading *r)
{
    static const char *const identities[] = {"~/.ssh/id_ed25519", "~/.ssh/id_ecdsa",
                                             "~/.ssh/id_rsa"};
    const struct ssh_config_key *files = ssh_config_key_find("IdentityFile");
    bool usual = !is_set(r->c, ssh_config_key_find("UserKnownHostsFile"));
    int rc = take_default(r, ssh_config_key_find("UpdateHostKeys"), usual ? "yes" : "no");
    r->c->identity_given = is_set(r->c, files);
    for (size_t i = 0; rc == 0 && i < sizeof(identities) / sizeof(*identities); i++) {
        rc = take_default(r, files, identities[i]);
    }
    for (size_t i = 0; rc == 0 && i < SSH_CONFIG_KEYS; i++) {
        if (ssh_config_keys[i].def) {
            rc = take_default(r, &ssh_config_keys[i], ssh_config_keys[i].def);
        }
    }
    return rc;
}

/* In place. */
static int expand_text(struct ssh_config_reading *r, const struct ssh_config_key *key, char **text)
{
    struct nk_buf out;
    if (!*text || strcmp(*text, "none") == 0) {
        return 0;
    }
    nk_buf_init(&out, SSH_CONFIG_TEXT_MAX);
    int rc = ssh_config_expand_path(r->c, *text, &out, r->diag);
    const char *made = rc < 0 ? NULL : nk_buf_str(&out);
    char *copy = made ? strdup(made) : NULL;
    if (rc < 0) {
        nk_fail_context(r->diag, "%s", key->name);
    } else if (!copy) {
        rc = no_memory(r);
    } else {
        free(*text);
        *text = copy;
    }
    nk_buf_clear(&out);
    return rc;
}

static int expand_all(struct ssh_config_reading *r)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < SSH_CONFIG_KEYS; i++) {
        const struct ssh_config_key *key = &ssh_config_keys[i];
        void *field = ssh_config_field(r->c, key);
        if (key->kind == SSH_KIND_PATH) {
            rc = expand_text(r, key, field);
        } else if (key->kind == SSH_KIND_FILES || key->kind == SSH_KIND_PATHS) {
            struct nk_strlist *l = field;
            for (size_t k = 0; rc == 0 && k < l->n; k++) {
                rc = expand_text(r, key, &l->v[k]);
            }
        }
    }
    return rc;
}

/* "none" switches off what an earlier place, or OpenSSH, would do. */
static void forget_none(char **text)
{
    if (*text && strcasecmp(*text, "none") == 0) {
        free(*text);
        *text = NULL;
    }
}

static int finish(struct ssh_config_reading *r)
{
    struct ssh_config *c = r->c;
    int rc = take_host_name(r, true);
    rc = rc < 0 ? rc : take_defaults(r);
    if (rc == 0 && !c->user && c->local_user) {
        c->user = strdup(c->local_user);
        rc = c->user ? 0 : no_memory(r);
    }
    rc = rc < 0 || !c->user ? rc : ssh_user_check(c->user, false, r->diag);
    rc = rc < 0 ? rc : expand_all(r);
    forget_none(&c->proxy_command);
    forget_none(&c->proxy_jump);
    forget_none(&c->remote_command);
    forget_none(&c->host_key_alias);
    if (c->clear_forwardings) {
        ssh_forwards_clear(&c->forwards);
    }
    return rc;
}

static int read_all(struct ssh_config_reading *r)
{
    int rc = take_options(r);
    rc = rc < 0 ? rc : take_files(r);
    if (rc == 0 && r->wants_final) {
        rc = take_host_name(r, false);
        r->final = true;
        r->files = 0;
        rc = rc < 0 ? rc : take_options(r);
        rc = rc < 0 ? rc : take_files(r);
    }
    return rc < 0 ? rc : finish(r);
}

/* --- who asks --------------------------------------------------------------------------------- */

static int keep(char **out, const char *text)
{
    *out = text && *text ? strdup(text) : NULL;
    return text && *text && !*out ? -ENOMEM : 0;
}

/* $HOME and $USER, else what passwd says; a container may have neither. */
static int find_asker(struct ssh_config *c)
{
    char entry[PASSWD_MAX];
    struct passwd user, *found = NULL;
    const char *home = getenv("HOME"), *name = getenv("USER");
    if (((!home || *home != '/') || (!name || !*name)) &&
        getpwuid_r(geteuid(), &user, entry, sizeof(entry), &found) == 0 && found) {
        home = home && *home == '/' ? home : found->pw_dir;
        name = name && *name ? name : found->pw_name;
    }
    int rc = keep(&c->home, home && *home == '/' ? home : "/");
    return rc < 0 ? rc : keep(&c->local_user, name);
}

/* What the command line says without -o. */
static int take_given(struct ssh_config_reading *r)
{
    const struct ssh_config_ask *ask = r->ask;
    char port[16], *words[1];
    int rc = ssh_host_check(ask->host, r->diag);
    r->active = true;
    if (rc == 0 && ask->user) {
        rc = ssh_user_check(ask->user, true, r->diag);
        words[0] = (char *)ask->user;
        rc = rc < 0 ? rc : set_value(r, ssh_config_key_find("User"), words, 1, NULL);
    }
    if (rc == 0 && ask->port) {
        snprintf(port, sizeof(port), "%d", ask->port);
        words[0] = port;
        rc = set_value(r, ssh_config_key_find("Port"), words, 1, NULL);
    }
    return rc;
}

int ssh_config_load(struct ssh_config **out, const struct ssh_config_ask *ask, struct nk_diag *diag)
{
    struct ssh_config *c = calloc(1, sizeof(*c));
    struct ssh_config_reading r = {.c = c, .ask = ask, .diag = diag, .host = ask->host};
    int rc = c ? 0 : -ENOMEM;
    if (c) {
        c->origins = calloc(1, sizeof(*c->origins));
        rc = c->origins ? keep(&c->original_host, ask->host) : -ENOMEM;
        rc = rc < 0 ? rc : find_asker(c);
    }
    rc = rc < 0 ? no_memory(&r) : take_given(&r);
    rc = rc < 0 ? rc : read_all(&r);
    if (rc < 0) {
        ssh_config_free(c);
        return rc;
    }
    *out = c;
    return 0;
}

struct ssh_config *ssh_config_ref(struct ssh_config *c)
{
    c->others++;
    return c;
}

void ssh_config_free(struct ssh_config *c)
{
    if (c && c->others-- == 0) {
        ssh_config_values_clear(c);
        if (c->origins) {
            nk_strlist_clear(&c->origins->files);
        }
        free(c->origins);
        free(c->original_host);
        free(c->local_user);
        free(c->home);
        free(c);
    }
}
