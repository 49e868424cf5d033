/* SPDX-License-Identifier: MIT */
#include "onion/hsdir.h"

#include <stdio.h>
#include <string.h>

enum { OPTION_MAX = 64 }; /* characters of an option's name; tor's own have up to 40 */

static const char DIR_OPTION[] = "HiddenServiceDir";

/* One option of the reply, and its value. 0; 1 at a line that has none; the error. */
static int option_of(const struct tor_line *line, struct tor_word *key, struct nk_buf *value,
                     struct nk_diag *diag)
{
    nk_buf_reset(value);
    if (!tor_line_pair(line, key) || !key->value) {
        return 1; /* "HiddenServiceOptions": tor has none */
    }
    return tor_wire_value(key->value, key->value_len, value, diag);
}

static size_t trimmed(const char *p, size_t n)
{
    while (n > 1 && p[n - 1] == '/') {
        n--;
    }
    return n;
}

static bool is_dir_option(const struct tor_word *w)
{
    return w->key_len == sizeof(DIR_OPTION) - 1 && memcmp(w->key, DIR_OPTION, w->key_len) == 0;
}

static bool same_dir(const struct nk_buf *value, const char *dir)
{
    size_t n = trimmed(dir, strlen(dir));
    const char *p = (const char *)nk_buf_ptr(value);
    return p && trimmed(p, nk_buf_len(value)) == n && memcmp(p, dir, n) == 0;
}

static int put_option(struct nk_buf *out, const char *key, size_t key_len, const char *value,
                      size_t len)
{
    int rc = nk_buf_puts(out, " ");
    rc = rc < 0 ? rc : nk_buf_put(out, key, key_len);
    rc = rc < 0 ? rc : nk_buf_puts(out, "=");
    return rc < 0 ? rc : tor_wire_quote_arg(out, value, len);
}

static int put_ours(void *arg, const char *key, const char *value, struct nk_diag *diag)
{
    int rc = put_option(arg, key, strlen(key), value, strlen(value));
    return rc < 0 ? nk_fail_sys(diag, rc, "%s", key) : 0;
}

/* Those of all services but the one in dir; *kept says whether there are any. */
static int put_others(struct nk_buf *out, const struct tor_reply *reply, const char *dir,
                      bool *kept, struct nk_diag *diag)
{
    struct nk_buf value;
    struct tor_word w;
    bool ours = false;
    int rc = 0;
    nk_buf_init(&value, TOR_COMMAND_MAX);
    *kept = false;
    for (size_t i = 0; rc >= 0 && i < reply->n; i++) {
        rc = option_of(&reply->lines[i], &w, &value, diag);
        if (rc != 0) {
            continue;
        }
        ours = is_dir_option(&w) ? same_dir(&value, dir) : ours;
        if (!ours) {
            *kept = true;
            rc = put_option(out, w.key, w.key_len, (const char *)nk_buf_ptr(&value),
                            nk_buf_len(&value));
            rc = rc < 0 ? nk_fail_sys(diag, rc, "the services of tor") : 0;
        }
    }
    nk_buf_clear(&value);
    return rc < 0 ? rc : 0;
}

int onion_hsdir_each(const struct tor_reply *reply, onion_option_fn *each, void *arg,
                     struct nk_diag *diag)
{
    struct nk_buf value;
    struct tor_word w;
    char key[OPTION_MAX];
    int rc = 0;
    nk_buf_init(&value, TOR_COMMAND_MAX);
    for (size_t i = 0; rc >= 0 && i < reply->n; i++) {
        rc = option_of(&reply->lines[i], &w, &value, diag);
        if (rc == 0 && nk_buf_str(&value)) {
            (void)snprintf(key, sizeof(key), "%.*s", (int)w.key_len, w.key);
            rc = each(arg, key, nk_buf_str(&value), diag);
        }
    }
    nk_buf_clear(&value);
    return rc < 0 ? rc : 0;
}

bool onion_hsdir_has(const struct tor_reply *reply, const char *dir)
{
    struct nk_buf value;
    struct tor_word w;
    bool found = false;
    nk_buf_init(&value, TOR_COMMAND_MAX);
    for (size_t i = 0; !found && i < reply->n; i++) {
        found = option_of(&reply->lines[i], &w, &value, NULL) == 0 && is_dir_option(&w) &&
                same_dir(&value, dir);
    }
    nk_buf_clear(&value);
    return found;
}

int onion_hsdir_set(struct nk_buf *out, const struct tor_reply *reply, const char *dir,
                    const struct onion_spec *spec, struct nk_diag *diag)
{
    bool kept = false;
    struct nk_buf line;
    nk_buf_init(&line, TOR_COMMAND_MAX);
    int rc = nk_buf_puts(&line, "SETCONF");
    rc = rc < 0 ? nk_fail_sys(diag, rc, "SETCONF") : put_others(&line, reply, dir, &kept, diag);
    if (rc == 0 && spec) {
        rc = onion_spec_options(spec, dir, put_ours, &line, diag);
    } else if (rc == 0 && !kept) {
        nk_buf_reset(&line);
        rc = nk_buf_puts(&line, "RESETCONF HiddenServiceDir");
        rc = rc < 0 ? nk_fail_sys(diag, rc, "RESETCONF") : 0;
    }
    if (rc == 0) {
        rc = nk_buf_put(out, nk_buf_ptr(&line), nk_buf_len(&line));
        rc = rc < 0 ? nk_fail_sys(diag, rc, "SETCONF") : 0;
    }
    nk_buf_clear(&line);
    return rc;
}
