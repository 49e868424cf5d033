/* SPDX-License-Identifier: MIT */
#include "relay/known.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/codec.h"
#include "base/file.h"
#include "core/app.h"
#include "core/clock.h"
#include "relay/known_text.h"

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
    struct relay_known_line line;
    int rc = path_of(path, state_dir, RELAY_KNOWN_FILE, diag);
    if (rc < 0) {
        return rc;
    }
    if (access(path, F_OK) < 0) {
        return -ENOENT;
    }
    nk_buf_init(&text, RELAY_KNOWN_MAX);
    rc = nk_file_read(path, NK_FILE_SECRET, &text, diag);
    rc = rc < 0 ? rc : relay_known_text_find(&text, path, where, out, &line, diag);
    nk_buf_clear(&text);
    return rc;
}

/* --- learning --------------------------------------------------------------------------------- */

/* What is there, or the beginning of a new file. */
static int read_or_begin(struct nk_buf *text, const char *path, struct nk_diag *diag)
{
    if (access(path, F_OK) == 0) {
        return nk_file_read(path, NK_FILE_SECRET, text, diag);
    }
    char head[64];
    int n = snprintf(head, sizeof(head), RELAY_KNOWN_MAGIC "%d\n", RELAY_KNOWN_VERSION);
    return nk_buf_put(text, head, (size_t)n);
}

static int learn_locked(const char *path, const struct relay_known_lesson *l,
                        enum relay_known_change *change, struct nk_diag *diag)
{
    struct nk_buf text, next;
    struct relay_known known;
    struct relay_known_line line = {0};
    nk_buf_init(&text, RELAY_KNOWN_MAX);
    nk_buf_init(&next, RELAY_KNOWN_MAX);
    int rc = read_or_begin(&text, path, diag);
    if (rc == 0) {
        rc = relay_known_text_find(&text, path, l->where, &known, &line, diag);
        *change = rc == 0 ? RELAY_KNOWN_CHANGED : RELAY_KNOWN_NEW;
    }
    if (rc == 0 && memcmp(known.key, l->key, RELAY_KNOWN_KEY) == 0) {
        *change = RELAY_KNOWN_SAME;
    } else if (rc == 0 && known.how == RELAY_KNOWN_USER) {
        rc = nk_fail(diag, NK_EVERIFY, "%s has another key than the one that %s says it has",
                     l->where, path);
        nk_hint(diag, "if the relay's key was replaced on purpose, change that line");
    } else if (rc == 0 || rc == -ENOENT) {
        rc = relay_known_text_write(&next, &text, rc == 0 ? line : (struct relay_known_line){0}, l);
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
    struct relay_known_lesson lesson = {where, key, now};
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
