/* SPDX-License-Identifier: MIT */
#include "ssh/sink_testkit.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

enum { OUT_MAX = 256 * 1024 * 1024 };

static int begin(struct ssh_sink *s, size_t max, uint8_t **payload)
{
    struct ssh_kit_sink *k = (struct ssh_kit_sink *)s;
    if (k->fail) {
        return k->fail;
    }
    nk_buf_reset(&k->room);
    return nk_buf_reserve(&k->room, max, payload);
}

static void end(struct ssh_sink *s, uint8_t *payload, size_t n)
{
    struct ssh_kit_sink *k = (struct ssh_kit_sink *)s;
    k->packets++;
    if (ssh_put_string(&k->out, payload, n) < 0) {
        abort();
    }
}

static const struct ssh_sink_ops ops = {begin, end};

void ssh_sink_init(struct ssh_kit_sink *k)
{
    *k = (struct ssh_kit_sink){.sink = {.ops = &ops}};
    nk_buf_init(&k->out, OUT_MAX);
    nk_buf_init(&k->room, OUT_MAX);
}

void ssh_sink_clear(struct ssh_kit_sink *k)
{
    nk_buf_clear(&k->out);
    nk_buf_clear(&k->room);
}

struct ssh_str ssh_kit_take(struct ssh_kit_sink *k, struct nk_buf *keep)
{
    struct nk_cur c;
    nk_buf_reset(keep);
    if (nk_buf_len(&k->out) == 0) {
        return (struct ssh_str){0};
    }
    nk_cur_init(&c, nk_buf_ptr(&k->out), nk_buf_len(&k->out));
    struct ssh_str s = ssh_cur_string(&c);
    if (nk_buf_put(keep, s.p, s.n) < 0) {
        abort();
    }
    nk_buf_consume(&k->out, sizeof(uint32_t) + s.n);
    return (struct ssh_str){.p = nk_buf_ptr(keep), .n = nk_buf_len(keep)};
}

static void put(struct nk_buf *b, const char *format, va_list ap)
{
    int rc = 0;
    for (const char *f = format; *f && rc == 0; f++) {
        struct ssh_str s;
        switch (*f) {
        case 'b':
        case 't':
            rc = nk_buf_u8(b, (uint8_t)va_arg(ap, int));
            break;
        case 'u':
            rc = nk_buf_be32(b, va_arg(ap, unsigned));
            break;
        case 's':
            rc = ssh_put_text(b, va_arg(ap, const char *));
            break;
        case 'x':
            s = va_arg(ap, struct ssh_str);
            rc = ssh_put_string(b, s.p, s.n);
            break;
        case 'r':
            s = va_arg(ap, struct ssh_str);
            rc = nk_buf_put(b, s.p, s.n);
            break;
        default:
            abort();
        }
    }
    if (rc < 0) {
        abort();
    }
}

void ssh_kit_put(struct nk_buf *b, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    put(b, format, ap);
    va_end(ap);
}

bool ssh_kit_next_is(struct ssh_kit_sink *k, struct nk_buf *keep, const char *format, ...)
{
    struct nk_buf want;
    va_list ap;
    nk_buf_init(&want, OUT_MAX);
    va_start(ap, format);
    put(&want, format, ap);
    va_end(ap);
    struct ssh_str got = ssh_kit_take(k, keep);
    bool same = got.n == nk_buf_len(&want) && memcmp(got.p, nk_buf_ptr(&want), got.n) == 0;
    nk_buf_clear(&want);
    return same;
}

struct ssh_str ssh_kit_str(const char *text)
{
    return (struct ssh_str){.p = (const uint8_t *)text, .n = strlen(text)};
}
