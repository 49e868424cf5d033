/* SPDX-License-Identifier: MIT */
#include "net/exec_words.h"

#include <stdlib.h>
#include <string.h>

#include "base/codec.h"
#include "core/process.h"

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* One word from *at, without its quotes, into raw (as large as the body). Returns its length, or -1
 * for an open quote; *at moves behind it. */
static ssize_t take_word(const char **at, char *raw)
{
    size_t n = 0;
    char quote = '\0';
    const char *p = *at;
    for (; *p && (quote || !is_blank(*p)); p++) {
        if (quote ? *p == quote : *p == '\'' || *p == '"') {
            quote = quote ? '\0' : *p;
        } else {
            raw[n++] = *p;
        }
    }
    *at = p;
    return quote ? -1 : (ssize_t)n;
}

/* Fill the pointers and strings of out; text has room for decoded words, raw for one. */
static int split(const char *body, struct net_words *out, char *text, size_t room, char *raw,
                 struct nk_diag *diag)
{
    for (;;) {
        while (is_blank(*body)) {
            body++;
        }
        if (!*body) {
            return out->n ? 0 : nk_fail(diag, NK_EFORMAT, "exec: needs a command");
        }
        if (out->n == NK_PROCESS_ARGS) {
            return nk_fail(diag, NK_ETOOBIG, "exec: more than %d words", NK_PROCESS_ARGS);
        }
        ssize_t n = take_word(&body, raw);
        if (n < 0) {
            return nk_fail(diag, NK_EFORMAT, "exec: a quote is not closed");
        }
        ssize_t len = nk_percent_decode(text, room, raw, (size_t)n);
        if (len < 0) {
            return nk_fail(diag, NK_EFORMAT, "exec: bad %%-encoding or control byte in word %zu",
                           out->n + 1);
        }
        out->argv[out->n++] = text;
        text += len + 1;
        room -= (size_t)len + 1;
    }
}

int net_exec_words(const char *body, struct net_words *out, struct nk_diag *diag)
{
    /* every word but the last is followed by a blank, so that terminators fit as well */
    size_t len = strlen(body) + 1;
    size_t pointers = (len / 2 < NK_PROCESS_ARGS ? len / 2 : NK_PROCESS_ARGS) + 2;
    if (len > NK_PROCESS_BYTES) {
        return nk_fail(diag, NK_ETOOBIG, "exec: the command is too long");
    }
    struct net_words words = {.argv = calloc(1, pointers * sizeof(char *) + len)};
    char *raw = malloc(len);
    if (!words.argv || !raw) {
        free(raw);
        free(words.argv);
        return nk_fail_sys(diag, -ENOMEM, "exec");
    }
    int rc = split(body, &words, (char *)(words.argv + pointers), len, raw, diag);
    free(raw);
    if (rc < 0) {
        free(words.argv);
        return rc;
    }
    *out = words;
    return 0;
}
