/* SPDX-License-Identifier: MIT */
#include "tor/bootstrap.h"

#include <stdint.h>
#include <string.h>

#include "base/buf.h"

enum { VALUE_MAX = 4096 }; /* longest value that is looked at */

/* A value as text for people. */
static int copy(char *out, size_t max, const struct tor_word *w)
{
    struct nk_buf value;
    nk_buf_init(&value, VALUE_MAX);
    int rc = tor_word_put(w, &value);
    if (rc == 0) {
        const uint8_t *p = nk_buf_ptr(&value);
        size_t n = nk_buf_len(&value) < max ? nk_buf_len(&value) : max - 1;
        for (size_t i = 0; i < n; i++) {
            out[i] = p[i] < ' ' || p[i] == 0x7f ? '?' : (char)p[i];
        }
        out[n] = '\0';
    }
    nk_buf_clear(&value);
    return rc == -ENOMEM ? rc : rc < 0 ? NK_EPROTO : 0;
}

static int number(unsigned *out, uint64_t max, const struct tor_word *w)
{
    uint64_t n;
    if (tor_word_u64(w, &n) < 0 || n > max) {
        return NK_EPROTO;
    }
    *out = (unsigned)n;
    return 0;
}

static int take(struct tor_bootstrap *b, const struct tor_word *w)
{
    const struct {
        const char *key;
        char *out;
        size_t max;
    } texts[] = {{"TAG", b->tag, sizeof(b->tag)},
                 {"SUMMARY", b->summary, sizeof(b->summary)},
                 {"WARNING", b->warning, sizeof(b->warning)},
                 {"REASON", b->reason, sizeof(b->reason)},
                 {"HOSTADDR", b->host, sizeof(b->host)}};
    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
        if (tor_word_key(w, texts[i].key)) {
            return copy(texts[i].out, texts[i].max, w);
        }
    }
    if (tor_word_key(w, "PROGRESS")) {
        return number(&b->percent, TOR_BOOTSTRAP_DONE, w);
    }
    if (tor_word_key(w, "COUNT")) {
        return number(&b->count, UINT32_MAX, w);
    }
    if (tor_word_key(w, "RECOMMENDATION")) {
        b->serious = w->value_len == 4 && memcmp(w->value, "warn", 4) == 0;
    }
    return 0; /* keys that come later in tor's life are no error */
}

int tor_bootstrap_parse(struct tor_bootstrap *out, const char *text, size_t len)
{
    struct tor_words words;
    struct tor_word w;
    struct tor_bootstrap b = {0};
    bool progress = false;
    tor_words_init(&words, text, len);
    bool more = tor_words_next(&words, &w);
    if (more && tor_word_is(&w, "STATUS_CLIENT")) {
        more = tor_words_next(&words, &w);
    }
    if (!more || w.key) {
        return NK_EPROTO; /* the severity */
    }
    if (!tor_words_next(&words, &w) || w.key) {
        return NK_EPROTO;
    }
    if (!tor_word_is(&w, "BOOTSTRAP")) {
        return -ENOENT;
    }
    while (tor_words_next(&words, &w)) {
        int rc = w.key ? take(&b, &w) : 0;
        if (rc < 0) {
            return rc;
        }
        progress = progress || (w.key && tor_word_key(&w, "PROGRESS"));
    }
    if (words.bad || !progress) {
        return NK_EPROTO;
    }
    b.trouble = b.warning[0] || b.reason[0];
    *out = b;
    return 0;
}
