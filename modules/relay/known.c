/* SPDX-License-Identifier: MIT */
#include "relay/known.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/codec.h"
#include "base/file.h"
#include "core/app.h"
#include "core/clock.h"

#define MAGIC "netkit-known-relays "
#define PIN_PREFIX "sha256:"

enum { PIN_TEXT = 7 + 2 * RELAY_KNOWN_KEY, LINE_MAX_BYTES = 512 };

/* One line of the file, without its end. */
struct line {
    const char *p;
    size_t n;
};

/* The next line of the n bytes at *p; false at the end. */
static bool next_line(const char **p, const char *end, struct line *out)
{
    if (*p == end) {
        return false;
    }
    const char *nl = memchr(*p, '\n', (size_t)(end - *p));
    out->p = *p;
    out->n = (size_t)((nl ? nl : end) - *p);
    *p = nl ? nl + 1 : end;
    return true;
}

/* The next word of a line. */
static struct line next_word(struct line *l)
{
    while (l->n && (*l->p == ' ' || *l->p == '\t')) {
        l->p++;
        l->n--;
    }
    struct line w = {l->p, 0};
    while (w.n < l->n && w.p[w.n] != ' ' && w.p[w.n] != '\t') {
        w.n++;
    }
    l->p += w.n;
    l->n -= w.n;
    return w;
}

static bool word_is(struct line w, const char *text)
{
    return w.n == strlen(text) && memcmp(w.p, text, w.n) == 0;
}

/* Is this the line about where? 1, 0, or NK_EFORMAT. */
static int parse_line(struct line l, const char *where, struct relay_known *out)
{
    struct relay_known k = {.how = RELAY_KNOWN_PASSWORD};
    struct line host = next_word(&l), pin, how;
    if (host.n == 0 || host.p[0] == '#') {
        return 0;
    }
    pin = next_word(&l);
    how = next_word(&l);
    if (pin.n != PIN_TEXT || memcmp(pin.p, PIN_PREFIX, strlen(PIN_PREFIX)) != 0 ||
        nk_hex_decode(k.key, sizeof(k.key), pin.p + strlen(PIN_PREFIX), pin.n - strlen(PIN_PREFIX),
                      false) != RELAY_KNOWN_KEY) {
        return NK_EFORMAT;
    }
    if (word_is(how, "user")) {
        k.how = RELAY_KNOWN_USER;
    } else if (!word_is(how, "password")) {
        return NK_EFORMAT;
    }
    if (!word_is(host, where)) {
        return 0;
    }
    *out = k;
    return 1;
}

static int check_head(const char **p, const char *end, const char *path, struct nk_diag *diag)
{
    struct line head;
    uint64_t version = 0;
    char text[16];
    size_t skip = strlen(MAGIC);
    if (!next_line(p, end, &head) || head.n <= skip || head.n - skip >= sizeof(text) ||
        memcmp(head.p, MAGIC, skip) != 0) {
        return nk_fail(diag, NK_EFORMAT, "%s does not begin with '" MAGIC "%d'", path,
                       RELAY_KNOWN_VERSION);
    }
    snprintf(text, sizeof(text), "%.*s", (int)(head.n - skip), head.p + skip);
    if (nk_parse_u64(text, &version) < 0 || version != RELAY_KNOWN_VERSION) {
        return nk_fail(diag, NK_EVERSION, "%s is of version %s; known here is %d", path, text,
                       RELAY_KNOWN_VERSION);
    }
    return 0;
}

/* Look where up in the file's text; *line is the line about it. 0, -ENOENT, errors. */
static int find_in(const struct nk_buf *text, const char *path, const char *where,
                   struct relay_known *out, struct line *line, struct nk_diag *diag)
{
    const char *p = (const char *)nk_buf_ptr(text), *end = p + nk_buf_len(text);
    int rc = check_head(&p, end, path, diag);
    for (unsigned number = 2; rc == 0 && next_line(&p, end, line); number++) {
        rc = parse_line(*line, where, out);
        if (rc < 0) {
            return nk_fail(diag, NK_EFORMAT, "%s, line %u: not HOST:PORT sha256:HEX password|user",
                           path, number);
        }
    }
    return rc < 0 ? rc : rc == 1 ? 0 : -ENOENT;
}

static int path_of(char path[NK_PATH_MAX], const char *state_dir, const char *name,
                   struct nk_diag *diag)
{
    if (nk_path_join(path, NK_PATH_MAX, state_dir, name) < 0) {
        return nk_fail(diag, NK_ETOOBIG, "path too long: %s", state_dir);
    }
    return 0;
}

int relay_known_find(const char *state_dir, const char *where, struct relay_known *out,
                     struct nk_diag *diag)
{
    char path[NK_PATH_MAX];
    struct nk_buf text;
    struct line line;
    int rc = path_of(path, state_dir, RELAY_KNOWN_FILE, diag);
    if (rc < 0) {
        return rc;
    }
    if (access(path, F_OK) < 0) {
        return -ENOENT;
    }
    nk_buf_init(&text, RELAY_KNOWN_MAX);
    rc = nk_file_read(path, NK_FILE_SECRET, &text, diag);
    rc = rc < 0 ? rc : find_in(&text, path, where, out, &line, diag);
    nk_buf_clear(&text);
    return rc;
}

/* --- learning --------------------------------------------------------------------------------- */

/* What is to be remembered. */
struct lesson {
    const char *where;
    const uint8_t *key;
    int64_t now;
};

static int put_entry(struct nk_buf *out, const struct lesson *l)
{
    char text[LINE_MAX_BYTES], hex[NK_HEX_SIZE(RELAY_KNOWN_KEY)], day[16];
    time_t now = (time_t)l->now;
    struct tm tm;
    nk_hex_encode(hex, l->key, RELAY_KNOWN_KEY);
    if (!gmtime_r(&now, &tm) || strftime(day, sizeof(day), "%Y-%m-%d", &tm) == 0) {
        snprintf(day, sizeof(day), "-");
    }
    int n = snprintf(text, sizeof(text), "%s " PIN_PREFIX "%s password %s\n", l->where, hex, day);
    return n < 0 || (size_t)n >= sizeof(text) ? NK_ETOOBIG : nk_buf_put(out, text, (size_t)n);
}

/* The file's text with old (may be empty: at the end) replaced by the new entry. */
static int rewrite(struct nk_buf *out, const struct nk_buf *text, struct line old,
                   const struct lesson *l)
{
    const char *p = (const char *)nk_buf_ptr(text);
    size_t n = nk_buf_len(text), before = old.p ? (size_t)(old.p - p) : n;
    int rc = nk_buf_put(out, p, before);
    if (rc == 0 && before > 0 && p[before - 1] != '\n') {
        rc = nk_buf_put(out, "\n", 1);
    }
    rc = rc < 0 ? rc : put_entry(out, l);
    size_t after = before + old.n + (before + old.n < n);
    return rc < 0 || after >= n ? rc : nk_buf_put(out, p + after, n - after);
}

/* What is there, or the beginning of a new file. */
static int read_or_begin(struct nk_buf *text, const char *path, struct nk_diag *diag)
{
    if (access(path, F_OK) == 0) {
        return nk_file_read(path, NK_FILE_SECRET, text, diag);
    }
    char head[64];
    int n = snprintf(head, sizeof(head), MAGIC "%d\n", RELAY_KNOWN_VERSION);
    return nk_buf_put(text, head, (size_t)n);
}

static int learn_locked(const char *path, const struct lesson *l, enum relay_known_change *change,
                        struct nk_diag *diag)
{
    struct nk_buf text, next;
    struct relay_known known;
    struct line line = {0};
    nk_buf_init(&text, RELAY_KNOWN_MAX);
    nk_buf_init(&next, RELAY_KNOWN_MAX);
    int rc = read_or_begin(&text, path, diag);
    if (rc == 0) {
        rc = find_in(&text, path, l->where, &known, &line, diag);
        *change = rc == 0 ? RELAY_KNOWN_CHANGED : RELAY_KNOWN_NEW;
    }
    if (rc == 0 && memcmp(known.key, l->key, RELAY_KNOWN_KEY) == 0) {
        *change = RELAY_KNOWN_SAME;
    } else if (rc == 0 && known.how == RELAY_KNOWN_USER) {
        rc = nk_fail(diag, NK_EVERIFY, "%s has another key than the one that %s says it has",
                     l->where, path);
        nk_hint(diag, "if the relay's key was replaced on purpose, change that line");
    } else if (rc == 0 || rc == -ENOENT) {
        rc = rewrite(&next, &text, rc == 0 ? line : (struct line){0}, l);
        rc = rc < 0 ? nk_fail_sys(diag, rc, "%s", path)
                    : nk_file_write(path, NK_FILE_OVERWRITE, nk_buf_ptr(&next), nk_buf_len(&next),
                                    diag);
    }
    nk_buf_clear(&text);
    nk_buf_clear(&next);
    return rc;
}

int relay_known_learn(const char *state_dir, const char *where, const uint8_t key[RELAY_KNOWN_KEY],
                      int64_t now, enum relay_known_change *change, struct nk_diag *diag)
{
    char path[NK_PATH_MAX], lock[NK_PATH_MAX];
    struct lesson lesson = {where, key, now};
    int fd = -1;
    if (strlen(where) >= RELAY_KNOWN_WHERE || strpbrk(where, " \t\r\n#") || where[0] == '\0') {
        return nk_fail(diag, NK_EFORMAT, "'%s' cannot be remembered", where);
    }
    int rc = path_of(path, state_dir, RELAY_KNOWN_FILE, diag);
    rc = rc < 0 ? rc : path_of(lock, state_dir, RELAY_KNOWN_FILE ".lock", diag);
    rc = rc < 0 ? rc : nk_mkdirs(state_dir, diag);
    rc = rc < 0 ? rc : nk_lock_open(lock, &fd, diag);
    rc = rc < 0 ? rc : learn_locked(path, &lesson, change, diag);
    if (fd >= 0) {
        close(fd);
    }
    return rc;
}

int relay_known_logged_in(struct nk_app *app, const char *where, const uint8_t key[RELAY_KNOWN_KEY],
                          struct nk_diag *diag)
{
    enum relay_known_change change = RELAY_KNOWN_SAME;
    struct nk_diag why = {0};
    char hex[NK_HEX_SIZE(RELAY_KNOWN_KEY)];
    const char *state_dir = nk_app_state_dir(app);
    if (!state_dir) {
        return 0; /* nothing of ours lies anywhere */
    }
    int rc = relay_known_learn(state_dir, where, key, nk_wall_s(app), &change, &why);
    nk_hex_encode(hex, key, RELAY_KNOWN_KEY);
    if (rc == NK_EVERIFY) {
        if (diag) {
            *diag = why;
        }
        return rc;
    }
    if (rc < 0) {
        nk_warn(nk_app_log(app), "relay", "the key of %s is not remembered: %s", where, why.text);
    } else if (change == RELAY_KNOWN_NEW) {
        nk_audit(nk_app_log(app), "relay", NK_LOG_INFO, "trust.new", where,
                 "authenticated by the password; its key is sha256:%s", hex);
    } else if (change == RELAY_KNOWN_CHANGED) {
        nk_audit(nk_app_log(app), "relay", NK_LOG_WARN, "trust.changed", where,
                 "another key than before, authenticated by the password: sha256:%s", hex);
    }
    return 0;
}
