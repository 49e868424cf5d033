/* SPDX-License-Identifier: MIT */
/*
 * Any text as known_relays: reading it finds an entry or says why not; a text that is understood
 * can be written anew, and says afterwards what was written and whatever it said of others.
 */
#include <stdlib.h>
#include <string.h>

#include "relay/known_text.h"

#define WHERE "a:1"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void need(bool ok)
{
    if (!ok) {
        abort();
    }
}

static int find(const struct nk_buf *text, const char *where, struct relay_known *out,
                struct relay_known_line *line)
{
    struct nk_diag why = {0};
    int rc = relay_known_text_find(text, "known_relays", where, out, line, &why);
    need(rc == 0 || rc == -ENOENT || rc == NK_EFORMAT || rc == NK_EVERSION);
    need(rc == 0 || rc == -ENOENT || why.text[0]);
    return rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t key[RELAY_KNOWN_KEY] = {7};
    const struct relay_known_lesson lesson = {WHERE, key, size > 0 ? (int64_t)data[0] << 40 : 0};
    struct nk_buf text, next;
    struct relay_known known, other = {0}, after = {0};
    struct relay_known_line line = {0}, ignored;
    nk_buf_init(&text, RELAY_KNOWN_MAX);
    nk_buf_init(&next, RELAY_KNOWN_MAX);
    need(nk_buf_put(&text, data, size) == 0);
    int had = find(&text, "b:2", &other, &ignored);
    int rc = find(&text, WHERE, &known, &line);
    if (rc == 0 || (rc == -ENOENT && had != NK_EFORMAT)) {
        need(relay_known_text_write(&next, &text, rc == 0 ? line : (struct relay_known_line){0},
                                    &lesson) == 0);
        need(find(&next, WHERE, &known, &line) == 0);
        need(memcmp(known.key, key, sizeof(key)) == 0 && known.how == RELAY_KNOWN_PASSWORD);
        if (had == 0) {
            need(find(&next, "b:2", &after, &ignored) == 0);
            need(memcmp(&other, &after, sizeof(other)) == 0);
        }
    }
    nk_buf_clear(&text);
    nk_buf_clear(&next);
    return 0;
}
