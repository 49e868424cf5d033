/* SPDX-License-Identifier: MIT */
#include "ssh/wire.h"

#include <string.h>

#include "base/err.h"

const char *ssh_message_name(uint8_t number)
{
    switch (number) {
#define SSH_MESSAGE_CASE(name, value)                                                              \
    case value:                                                                                    \
        return #name;
        SSH_MESSAGES(SSH_MESSAGE_CASE)
#undef SSH_MESSAGE_CASE
    default:
        return "?";
    }
}

bool ssh_str_is(struct ssh_str s, const char *text)
{
    return s.n == strlen(text) && s.n > 0 && memcmp(s.p, text, s.n) == 0;
}

struct ssh_str ssh_cur_string(struct nk_cur *c)
{
    size_t n = nk_cur_be32(c);
    const uint8_t *p = nk_cur_bytes(c, n);
    return (struct ssh_str){.p = p, .n = p ? n : 0};
}

bool ssh_cur_bool(struct nk_cur *c)
{
    return nk_cur_u8(c) != 0;
}

struct ssh_str ssh_cur_mpint(struct nk_cur *c)
{
    struct ssh_str s = ssh_cur_string(c);
    if (s.n == 0) {
        return s;
    }
    bool zero = s.p[0] == 0;
    if (s.p[0] & 0x80 || (zero && (s.n == 1 || !(s.p[1] & 0x80)))) {
        nk_cur_fail(c);
        return (struct ssh_str){0};
    }
    return (struct ssh_str){.p = s.p + zero, .n = s.n - zero};
}

struct ssh_str ssh_cur_names(struct nk_cur *c)
{
    struct ssh_str s = ssh_cur_string(c);
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] <= ' ' || s.p[i] > '~') {
            nk_cur_fail(c);
            return (struct ssh_str){0};
        }
    }
    return s;
}

bool ssh_names_next(struct ssh_str *list, struct ssh_str *name)
{
    while (list->n > 0) {
        const uint8_t *comma = memchr(list->p, ',', list->n);
        size_t n = comma ? (size_t)(comma - list->p) : list->n;
        *name = (struct ssh_str){.p = list->p, .n = n};
        list->p += n + (comma ? 1 : 0);
        list->n -= n + (comma ? 1 : 0);
        if (n > 0) {
            return true;
        }
    }
    return false;
}

bool ssh_names_have(struct ssh_str list, struct ssh_str name)
{
    struct ssh_str one;
    while (ssh_names_next(&list, &one)) {
        if (one.n == name.n && memcmp(one.p, name.p, name.n) == 0) {
            return true;
        }
    }
    return false;
}

int ssh_put_string(struct nk_buf *b, const void *p, size_t n)
{
    uint8_t *room;
    if (n > UINT32_MAX) {
        return NK_ETOOBIG;
    }
    int rc = nk_buf_reserve(b, sizeof(uint32_t) + n, &room); /* all or nothing */
    rc = rc < 0 ? rc : nk_buf_be32(b, (uint32_t)n);
    return rc < 0 ? rc : nk_buf_put(b, p, n);
}

int ssh_put_text(struct nk_buf *b, const char *text)
{
    return ssh_put_string(b, text, strlen(text));
}

int ssh_put_bool(struct nk_buf *b, bool v)
{
    return nk_buf_u8(b, v);
}

int ssh_put_mpint(struct nk_buf *b, const uint8_t *p, size_t n)
{
    uint8_t *room;
    while (n > 0 && *p == 0) {
        p++;
        n--;
    }
    if (n >= UINT32_MAX) {
        return NK_ETOOBIG;
    }
    size_t sign = n > 0 && *p & 0x80 ? 1 : 0; /* a zero byte keeps the number positive */
    int rc = nk_buf_reserve(b, sizeof(uint32_t) + sign + n, &room);
    rc = rc < 0 ? rc : nk_buf_be32(b, (uint32_t)(n + sign));
    rc = rc < 0 || !sign ? rc : nk_buf_u8(b, 0);
    return rc < 0 ? rc : nk_buf_put(b, p, n);
}
