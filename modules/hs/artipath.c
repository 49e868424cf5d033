/* SPDX-License-Identifier: MIT */
#include "hs/artipath.h"

#include <stdio.h>
#include <string.h>

#include "base/codec.h"
#include "base/onion.h"

enum {
    PARTS_MAX = 4,    /* client/CLIENT/ADDRESS/file, hss/SERVICE/ipts/file */
    NUMBER_SIZE = 21, /* of 64 bits in decimal, with NUL */
    SID_HEX = 64      /* of an introduction point's id */
};

/* Borrowed characters. */
struct span {
    const char *p;
    size_t n;
};

const struct hs_role_info *hs_role_info(enum hs_role role)
{
#define HS_ROLE_ROW(constant, slug, type, kind, form, summary) {slug, type, kind, form, summary},
    static const struct hs_role_info rows[] = {HS_ROLES(HS_ROLE_ROW)};
#undef HS_ROLE_ROW
    return &rows[role];
}

static bool is(struct span s, const char *text)
{
    return s.n == strlen(text) && memcmp(s.p, text, s.n) == 0;
}

/* The part of *s up to `end`, which is skipped; all of it without one. */
static struct span cut(struct span *s, char end)
{
    const char *at = memchr(s->p, end, s->n);
    struct span head = {s->p, at ? (size_t)(at - s->p) : s->n};
    size_t skip = head.n + (at ? 1 : 0);
    *s = (struct span){s->p + skip, s->n - skip};
    return head;
}

static int split(const char *path, struct span *part, size_t *n, struct nk_diag *diag)
{
    struct span rest = {path, strlen(path)};
    *n = 0;
    if (rest.n > 0 && rest.p[rest.n - 1] == '/') {
        return nk_fail(diag, NK_EFORMAT, "is a directory's name");
    }
    do {
        if (*n == PARTS_MAX) {
            return nk_fail(diag, NK_EFORMAT, "no key is so deep in a keystore");
        }
        part[*n] = cut(&rest, '/');
        ++*n;
    } while (rest.n > 0);
    for (size_t i = 0; i + 1 < *n; i++) {
        if (!hs_slug_ok(part[i].p, part[i].n)) {
            return nk_fail(diag, NK_EFORMAT, "'%.*s' is no name that arti knows: a-z, 0-9, _ and -",
                           (int)part[i].n, part[i].p);
        }
    }
    return 0;
}

static void copy_slug(char out[HS_SLUG_MAX + 1], struct span s)
{
    memcpy(out, s.p, s.n); /* hs_slug_ok has seen its length */
    out[s.n] = '\0';
}

/* --- the last part ---------------------------------------------------------------------------- */

static bool is_type(struct span s)
{
    static const char *const types[] = {
        "ed25519_private", "ed25519_public",  "ed25519_expanded_private",
        "x25519_private",  "x25519_public",   "rsa_private",
        "rsa_public",      "tor_ed25519_cert"};
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        if (is(s, types[i])) {
            return true;
        }
    }
    return false;
}

static bool parse_number(struct span s, uint64_t *out)
{
    char text[NUMBER_SIZE];
    if (s.n == 0 || s.n >= sizeof(text) || (s.n > 1 && s.p[0] == '0')) {
        return false;
    }
    memcpy(text, s.p, s.n);
    text[s.n] = '\0';
    return nk_parse_u64(text, out) == 0;
}

/* "20326_1440_43200" */
static bool parse_period(struct span s, struct hs_artipath *out)
{
    struct span number = cut(&s, '_'), minutes = cut(&s, '_');
    out->has_period = parse_number(number, &out->period) &&
                      parse_number(minutes, &out->period_minutes) &&
                      parse_number(s, &out->period_offset);
    return out->has_period;
}

static bool is_hex(struct span s)
{
    uint8_t id[SID_HEX / 2];
    return s.n == SID_HEX && nk_hex_decode(id, sizeof(id), s.p, s.n, false) == SID_HEX / 2;
}

/* s is what stands behind a '+', if there is any. */
static int check_denotator(struct span s, bool any, struct hs_artipath *out, struct nk_diag *diag)
{
    switch (out->role) {
    case HS_ROLE_BLIND:
    case HS_ROLE_BLIND_PUBLIC:
    case HS_ROLE_SIGN:
        return parse_period(s, out)
                   ? 0
                   : nk_fail(diag, NK_EFORMAT, "'+%.*s' is no time period NUMBER_MINUTES_OFFSET",
                             (int)s.n, s.p);
    case HS_ROLE_SID:
    case HS_ROLE_NTOR:
        return is_hex(s) ? 0
                         : nk_fail(diag, NK_EFORMAT, "'+%.*s' is no id of %d hex digits", (int)s.n,
                                   s.p, SID_HEX);
    case HS_ROLE_CLIENT:
    case HS_ROLE_ID:
    case HS_ROLE_ID_PUBLIC:
        return !any ? 0
                    : nk_fail(diag, NK_EFORMAT, "'+%.*s' has no meaning for this key", (int)s.n,
                              s.p);
    case HS_ROLE_OTHER:
        break;
    }
    return 0;
}

static int parse_last(struct span last, struct hs_artipath *out, struct nk_diag *diag)
{
    struct span type = last, name = cut(&type, '.'), denotators = name;
    struct span slug = cut(&denotators, '+');
    bool any = slug.n < name.n;
    if (!hs_slug_ok(slug.p, slug.n)) {
        return nk_fail(diag, NK_EFORMAT, "'%.*s' is no name that arti knows: a-z, 0-9, _ and -",
                       (int)slug.n, slug.p);
    }
    if (!is_type(type)) {
        return nk_fail(diag, NK_EFORMAT, "'.%.*s' is no type of key that arti knows", (int)type.n,
                       type.p);
    }
    out->role = HS_ROLE_OTHER;
    for (unsigned i = 0; i < HS_NROLES; i++) {
        const struct hs_role_info *info = hs_role_info((enum hs_role)i);
        if (!is(slug, info->slug)) {
            continue;
        }
        if (!is(type, info->type)) {
            return nk_fail(diag, NK_EFORMAT, "%s has the type .%s, not .%.*s", info->slug,
                           info->type, (int)type.n, type.p);
        }
        out->role = (enum hs_role)i;
    }
    return check_denotator(denotators, any, out, diag);
}

/* --- directories ------------------------------------------------------------------------------ */

static int parse_client(const struct span *part, size_t n, struct hs_artipath *out,
                        struct nk_diag *diag)
{
    struct span address = part[n - 2];
    if (n < 3 || address.n != NK_ONION_LABEL) {
        return nk_fail(diag, NK_EFORMAT, "a client's key is in client/ADDRESS, with %d characters",
                       NK_ONION_LABEL);
    }
    int rc = nk_onion_parse(out->address, address.p, address.n, diag);
    if (rc < 0) {
        return rc;
    }
    out->has_address = true;
    if (n == PARTS_MAX) {
        copy_slug(out->client, part[1]);
    }
    return 0;
}

static int parse_service(const struct span *part, size_t n, struct hs_artipath *out,
                         struct nk_diag *diag)
{
    bool point = out->role == HS_ROLE_SID || out->role == HS_ROLE_NTOR;
    bool in_ipts = n == PARTS_MAX && is(part[2], "ipts");
    if (n < 3 || point != in_ipts || (n == PARTS_MAX && !in_ipts)) {
        return nk_fail(diag, NK_EFORMAT, "this key belongs into hss/SERVICE%s",
                       point ? "/ipts" : "");
    }
    copy_slug(out->service, part[1]);
    return 0;
}

int hs_artipath_parse(const char *path, struct hs_artipath *out, struct nk_diag *diag)
{
    struct span part[PARTS_MAX];
    size_t n;
    struct hs_artipath v = {0};
    int rc = split(path, part, &n, diag);
    rc = rc < 0 ? rc : parse_last(part[n - 1], &v, diag);
    if (rc == 0 && v.role == HS_ROLE_CLIENT) {
        rc = is(part[0], "client")
                 ? parse_client(part, n, &v, diag)
                 : nk_fail(diag, NK_EFORMAT, "a client's key belongs into client/ADDRESS");
    } else if (rc == 0 && v.role != HS_ROLE_OTHER) {
        rc = is(part[0], "hss") ? parse_service(part, n, &v, diag)
                                : nk_fail(diag, NK_EFORMAT, "this key belongs into hss/SERVICE");
    }
    if (rc == 0) {
        *out = v;
    }
    return rc < 0 ? NK_EFORMAT : 0;
}

int hs_artipath_client(char *out, size_t max, const uint8_t address[HS_PUBLIC_KEY])
{
    char text[NK_ONION_SIZE];
    const struct hs_role_info *info = hs_role_info(HS_ROLE_CLIENT);
    nk_onion_format(text, address);
    int n = snprintf(out, max, "client/%.*s/%s.%s", NK_ONION_LABEL, text, info->slug, info->type);
    return n < 0 || (size_t)n >= max ? NK_ETOOBIG : 0;
}

int hs_artipath_identity(char *out, size_t max, const char *service)
{
    const struct hs_role_info *info = hs_role_info(HS_ROLE_ID);
    int n = snprintf(out, max, "hss/%s/%s.%s", service, info->slug, info->type);
    return n < 0 || (size_t)n >= max ? NK_ETOOBIG : 0;
}
