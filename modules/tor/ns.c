/* SPDX-License-Identifier: MIT */
#include "tor/ns.h"

#include <string.h>
#include <strings.h>

#include "base/codec.h"

enum {
    IDENTITY = 20,     /* bytes of a relay's identity */
    IDENTITY_B64 = 27, /* the same in base64 without padding */
    R_WORDS = 8,       /* of an "r" line behind the r; 7 in a consensus of microdescriptors */
    PORT_DIGITS = 5
};

void tor_ns_begin(struct tor_ns_walk *w, const char *p, size_t n)
{
    *w = (struct tor_ns_walk){.p = p, .end = p + n};
}

static struct tor_ns_text next_line(struct tor_ns_walk *w)
{
    const char *lf = memchr(w->p, '\n', (size_t)(w->end - w->p));
    struct tor_ns_text line = {w->p, (size_t)((lf ? lf : w->end) - w->p)};
    w->p = lf ? lf + 1 : w->end;
    if (line.n > 0 && line.p[line.n - 1] == '\r')
        line.n--;
    return line;
}

static bool number(const char *p, size_t n, uint64_t *out)
{
    const struct tor_word w = {.value = p, .value_len = n};
    return tor_word_u64(&w, out) == 0;
}

static bool port(const struct tor_ns_text *t, unsigned *out)
{
    uint64_t v;
    if (t->n > PORT_DIGITS || !number(t->p, t->n, &v) || v > UINT16_MAX)
        return false;
    *out = (unsigned)v;
    return true;
}

static bool identity(char *out, const struct tor_ns_text *t)
{
    uint8_t id[IDENTITY];
    if (t->n != IDENTITY_B64 || nk_base64_decode(id, sizeof id, t->p, t->n) != IDENTITY)
        return false;
    nk_hex_encode(out, id, sizeof id);
    for (char *c = out; *c; c++)
        *c = *c >= 'a' ? (char)(*c - ('a' - 'A')) : *c;
    return true;
}

/* "nickname identity [digest] date time address ORPort DirPort" */
static bool read_r(struct tor_ns *out, const char *p, size_t n)
{
    struct tor_split s = {.text = p, .len = n};
    struct tor_ns_text w[R_WORDS + 1];
    size_t count = 0;
    while (count <= R_WORDS && tor_split_next(&s, ' '))
        w[count++] = (struct tor_ns_text){s.word, s.word_len};
    if (count != R_WORDS && count != R_WORDS - 1)
        return false;
    const struct tor_ns_text *last = &w[count - 1];
    memset(out, 0, sizeof *out);
    out->nickname = w[0];
    out->date = last[-4];
    out->time = last[-3];
    out->address = last[-2];
    return identity(out->fingerprint, &w[1]) && port(&last[-1], &out->or_port) &&
           port(&last[0], &out->dir_port);
}

static void read_w(struct tor_ns *out, const char *p, size_t n)
{
    struct tor_words words;
    struct tor_word w;
    tor_words_init(&words, p, n);
    while (tor_words_next(&words, &w)) {
        if (tor_word_key(&w, "Bandwidth"))
            out->measured |= number(w.value, w.value_len, &out->bandwidth);
        else if (tor_word_key(&w, "Unmeasured"))
            out->measured = false;
    }
}

static void read_other(struct tor_ns *out, char what, const struct tor_ns_text *rest)
{
    switch (what) {
    case 'a':
        if (!out->address6.p)
            out->address6 = *rest;
        break;
    case 's':
        out->flags = *rest;
        break;
    case 'v':
        out->version = *rest;
        break;
    case 'w':
        read_w(out, rest->p, rest->n);
        break;
    case 'p':
        out->policy = *rest;
        break;
    default:
        break;
    }
}

bool tor_ns_next(struct tor_ns_walk *w, struct tor_ns *out)
{
    bool found = false;
    while (w->p < w->end) {
        const char *at = w->p;
        struct tor_ns_text line = next_line(w);
        if (line.n < 2 || line.p[1] != ' ')
            continue;
        struct tor_ns_text rest = {line.p + 2, line.n - 2};
        if (line.p[0] == 'r') {
            if (found) {
                w->p = at;
                return true;
            }
            found = read_r(out, rest.p, rest.n);
        } else if (found) {
            read_other(out, line.p[0], &rest);
        }
    }
    return found;
}

bool tor_ns_has_flag(const struct tor_ns *r, const char *flag)
{
    struct tor_split s = {.text = r->flags.p, .len = r->flags.n};
    size_t n = strlen(flag);
    while (tor_split_next(&s, ' ')) {
        if (s.word_len == n && strncasecmp(s.word, flag, n) == 0)
            return true;
    }
    return false;
}

static void put(struct nk_json *j, const char *key, const struct tor_ns_text *t)
{
    if (t->p) {
        nk_json_key(j, key);
        nk_json_strn(j, t->p, t->n);
    }
}

void tor_ns_json(const struct tor_ns *r, struct nk_json *j)
{
    nk_json_kv_str(j, "fingerprint", r->fingerprint);
    put(j, "nickname", &r->nickname);
    put(j, "address", &r->address);
    nk_json_kv_u64(j, "or_port", r->or_port);
    nk_json_kv_u64(j, "dir_port", r->dir_port);
    put(j, "ipv6", &r->address6);
    if (r->country[0])
        nk_json_kv_str(j, "country", r->country);
    nk_json_key(j, "flags");
    nk_json_array(j);
    struct tor_split s = {.text = r->flags.p, .len = r->flags.n};
    while (tor_split_next(&s, ' '))
        nk_json_strn(j, s.word, s.word_len);
    nk_json_close(j);
    nk_json_kv_u64(j, "bandwidth", r->bandwidth);
    nk_json_kv_bool(j, "measured", r->measured);
    put(j, "version", &r->version);
    put(j, "policy", &r->policy);
}
