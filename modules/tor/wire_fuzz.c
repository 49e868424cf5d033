/* SPDX-License-Identifier: MIT */
/* Lines of tor: words stay within the line, what was unquoted is the same once quoted again, and a
 * command that is sent is one command. */
#include <stdlib.h>
#include <string.h>

#include "tor/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MOST = 1 << 16 };

static void need(bool ok)
{
    if (!ok) {
        abort();
    }
}

static void words(const char *p, size_t n)
{
    struct tor_words w;
    struct tor_word word;
    struct nk_buf b;
    uint64_t number;
    nk_buf_init(&b, MOST);
    tor_words_init(&w, p, n);
    while (tor_words_next(&w, &word)) {
        need(word.value >= p && word.value + word.value_len <= p + n);
        need(!word.key || (word.key >= p && word.key + word.key_len < word.value));
        need(memchr(word.value, '\0', word.value_len) == NULL);
        (void)tor_word_u64(&word, &number);
        need(tor_word_put(&word, &b) == 0 || word.quoted);
        nk_buf_reset(&b);
    }
    nk_buf_clear(&b);
}

static void quotes(const char *p, size_t n)
{
    struct nk_buf a, b, c;
    size_t used = 0;
    nk_buf_init(&a, MOST);
    nk_buf_init(&b, (size_t)MOST * 4 + 2);
    nk_buf_init(&c, MOST);
    if (tor_wire_unquote(p, n, &a, &used, NULL) == 0) {
        need(used >= 2 && used <= n && nk_buf_len(&a) <= used - 2);
        need(tor_wire_quote_arg(&b, (const char *)nk_buf_ptr(&a), nk_buf_len(&a)) == 0);
        need(tor_wire_unquote((const char *)nk_buf_ptr(&b), nk_buf_len(&b), &c, NULL, NULL) == 0);
        need(nk_buf_len(&a) == nk_buf_len(&c));
        need(nk_buf_len(&a) == 0 || memcmp(nk_buf_ptr(&a), nk_buf_ptr(&c), nk_buf_len(&a)) == 0);
    } else {
        need(nk_buf_len(&a) == 0);
    }
    nk_buf_clear(&a);
    nk_buf_clear(&b);
    nk_buf_clear(&c);
}

/* line up to the first LF, the rest is its data */
static void command(const char *p, size_t n)
{
    struct nk_buf out;
    const char *lf = n ? memchr(p, '\n', n) : NULL;
    size_t len = lf ? (size_t)(lf - p) : n;
    nk_buf_init(&out, (size_t)MOST * 4);
    if (tor_wire_put_command(&out, p, len, lf ? lf + 1 : NULL, lf ? n - len - 1 : 0, NULL) == 0) {
        const char *q = (const char *)nk_buf_ptr(&out);
        size_t have = nk_buf_len(&out);
        need(have >= len + 2 && memchr(q, '\0', have) == NULL);
        const char *end = memmem(q, have, lf ? "\r\n.\r\n" : "\r\n", lf ? 5 : 2);
        need(end && end + (lf ? 5 : 2) == q + have);
    } else {
        need(nk_buf_len(&out) == 0);
    }
    nk_buf_clear(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *p = (const char *)data;
    struct tor_line line;
    if (size == 0 || size > MOST) {
        return 0;
    }
    if (tor_wire_status(p, size, &line, NULL) == 0) {
        struct tor_word pair;
        need(line.code >= 100 && line.code < 700);
        (void)tor_line_pair(&line, &pair);
        need(pair.key_len <= line.len);
        words(line.text, line.len);
    }
    words(p, size);
    quotes(p, size);
    command(p, size);
    return 0;
}
