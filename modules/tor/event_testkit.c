/* SPDX-License-Identifier: MIT */
#include "tor/event_testkit.h"

#include <string.h>

void tor_test_replies_init(struct tor_test_replies *t, const void *p, size_t n)
{
    memset(t, 0, sizeof *t);
    t->p = p;
    t->end = t->p + n;
    nk_buf_init(&t->data, n + 1);
}

void tor_test_replies_clear(struct tor_test_replies *t)
{
    nk_buf_clear(&t->data);
}

static size_t take_line(struct tor_test_replies *t, const char **line)
{
    const char *lf = memchr(t->p, '\n', (size_t)(t->end - t->p));
    size_t n = (size_t)((lf ? lf : t->end) - t->p);
    *line = t->p;
    t->p = lf ? lf + 1 : t->end;
    return n > 0 && (*line)[n - 1] == '\r' ? n - 1 : n;
}

/* The data block behind a '+' line. Replies have one at most here; of a second one nothing is
 * kept. */
static void take_data(struct tor_test_replies *t, struct tor_line *l)
{
    bool keep = nk_buf_len(&t->data) == 0;
    while (t->p < t->end) {
        const char *p;
        size_t n = take_line(t, &p);
        int skip = tor_wire_undot(p, n);
        if (skip < 0)
            break;
        if (keep && nk_buf_put(&t->data, p + skip, n - (size_t)skip) == 0)
            (void)nk_buf_u8(&t->data, '\n');
    }
    if (keep) {
        l->data = nk_buf_len(&t->data) > 0 ? (const char *)nk_buf_ptr(&t->data) : "";
        l->data_len = nk_buf_len(&t->data);
    }
}

const struct tor_reply *tor_test_replies_next(struct tor_test_replies *t)
{
    t->reply = (struct tor_reply){.lines = t->lines};
    nk_buf_reset(&t->data);
    while (t->p < t->end && t->reply.n < TOR_TEST_LINES) {
        const char *p;
        size_t n = take_line(t, &p);
        struct tor_line *l = &t->lines[t->reply.n];
        if (tor_wire_status(p, n, l, NULL) < 0)
            continue;
        t->reply.n++;
        t->reply.code = l->code;
        if (l->kind == '+')
            take_data(t, l);
        if (l->kind == ' ')
            return &t->reply;
    }
    return NULL;
}
