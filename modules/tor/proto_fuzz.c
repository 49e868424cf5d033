/* SPDX-License-Identifier: MIT */
/* A control port that says anything: in whatever pieces it comes, it means the same. The first byte
 * tells how many commands wait and which of them come line by line, the second the size of a piece.
 */
#include <stdlib.h>
#include <string.h>

#include "tor/proto.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { HEAD = 2, COMMANDS = 8 };

struct seen {
    uint64_t hash;
    size_t messages;
    int end;
};

static void need(bool ok)
{
    if (!ok) {
        abort();
    }
}

static uint64_t mix(uint64_t h, const void *p, size_t n)
{
    const uint8_t *b = p;
    for (size_t i = 0; i < n; i++) {
        h = (h ^ b[i]) * 0x100000001b3u;
    }
    return (h ^ n) * 0x100000001b3u;
}

static void take(struct tor_proto *p, struct seen *seen)
{
    struct tor_message m;
    while ((seen->end = tor_proto_next(p, &m, NULL)) == 1) {
        seen->messages++;
        need(m.reply.n > 0 && m.reply.code == m.reply.lines[m.reply.n - 1].code);
        need((m.kind == TOR_REPLY_EVENT) == (m.reply.code >= TOR_EVENT));
        need((m.kind == TOR_REPLY_EVENT) == (m.who == NULL));
        seen->hash = mix(seen->hash, &m.kind, sizeof(m.kind));
        for (size_t i = 0; i < m.reply.n; i++) {
            const struct tor_line *l = &m.reply.lines[i];
            need((l->data != NULL) == (l->kind == '+' && m.kind != TOR_REPLY_LINE));
            need(l->data_len == 0 || (l->data && l->data[l->data_len - 1] == '\n'));
            seen->hash = mix(seen->hash, l->text, l->len);
            seen->hash = mix(seen->hash, l->data ? l->data : "", l->data_len);
        }
    }
}

static struct seen run(const uint8_t *data, size_t size, uint8_t how, size_t step)
{
    struct tor_proto p;
    struct seen seen = {0};
    tor_proto_init(&p);
    for (unsigned i = 0; i < how % COMMANDS; i++) {
        bool by_line = (how >> 3) >> i & 1;
        need(tor_proto_send(&p, &p, "X", 1, NULL, 0, by_line, TOR_NEVER, NULL, NULL) == 0);
    }
    for (size_t at = 0; at < size && seen.end >= 0; at += step) {
        uint8_t *space;
        size_t n = size - at < step ? size - at : step;
        need(tor_proto_space(&p, n, &space, NULL) == 0);
        memcpy(space, data + at, n);
        tor_proto_filled(&p, n);
        take(&p, &seen);
    }
    if (seen.end >= 0) {
        seen.end = tor_proto_end(&p, NULL);
        need(seen.end == NK_ETRUNC || seen.end == NK_ECLOSED);
    }
    while (tor_proto_take(&p)) {
    }
    tor_proto_clear(&p);
    return seen;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size <= HEAD) {
        return 0;
    }
    struct seen whole = run(data + HEAD, size - HEAD, data[0], size);
    struct seen pieces = run(data + HEAD, size - HEAD, data[0], (size_t)data[1] % 64 + 1);
    need(whole.hash == pieces.hash && whole.messages == pieces.messages);
    need(whole.end == pieces.end);
    return 0;
}
