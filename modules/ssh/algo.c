/* SPDX-License-Identifier: MIT */
#include "ssh/algo.h"

#include <stdio.h>
#include <string.h>

#include "base/codec.h"
#include "base/secret.h"
#include "ssh/known_hosts.h"

enum { NAME_MAX_SHOWN = 64, LIST_SHOWN = 120 };

/* --- the tables as lists ---------------------------------------------------------------------- */

static const char *cipher_name(size_t i)
{
    for (const struct ssh_cipher_type *c = ssh_cipher_types; c->name; c++) {
        if ((!c->usable || c->usable()) && i-- == 0) {
            return c->name;
        }
    }
    return NULL;
}

/* Certificates first: whoever has one has it to be trusted by. */
static const char *host_key_name(size_t i)
{
    size_t n = 0;
    while (ssh_sig_types[n].name) {
        n++;
    }
    return i < n ? ssh_sig_types[i].cert_name : i < 2 * n ? ssh_sig_types[i - n].name : NULL;
}

const char *ssh_algo_name(enum ssh_list which, size_t i)
{
    size_t n = 0;
    switch (which) {
    case SSH_LIST_KEX:
        for (; n < i && ssh_kex_types[n].name; n++) {
        }
        return ssh_kex_types[n].name;
    case SSH_LIST_MAC:
        for (; n < i && ssh_mac_types[n].name; n++) {
        }
        return ssh_mac_types[n].name;
    case SSH_LIST_CIPHER:
        return cipher_name(i);
    default:
        return host_key_name(i);
    }
}

static bool is_known(enum ssh_list which, struct ssh_str name)
{
    const char *known;
    for (size_t i = 0; (known = ssh_algo_name(which, i)) != NULL; i++) {
        if (ssh_str_is(name, known)) {
            return true;
        }
    }
    return false;
}

/* --- our lists -------------------------------------------------------------------------------- */

static struct ssh_str text_of(const char *s)
{
    return (struct ssh_str){.p = (const uint8_t *)s, .n = strlen(s)};
}

/* Appends a name that is not there yet. */
static int append(char list[SSH_LIST_MAX], struct ssh_str name)
{
    struct ssh_str have = text_of(list);
    if (ssh_names_have(have, name)) {
        return 0;
    }
    size_t comma = have.n > 0;
    if (have.n + comma + name.n >= SSH_LIST_MAX) {
        return NK_ETOOBIG;
    }
    char *to = list + have.n;
    *to = ',';
    memcpy(to + comma, name.p, name.n);
    to[comma + name.n] = '\0';
    return 0;
}

static int append_all(char list[SSH_LIST_MAX], struct ssh_str names)
{
    struct ssh_str name;
    int rc = 0;
    while (rc == 0 && ssh_names_next(&names, &name)) {
        rc = append(list, name);
    }
    return rc;
}

void ssh_proposal_init(struct ssh_proposal *p)
{
    memset(p, 0, sizeof(*p));
    for (int which = 0; which < SSH_LISTS; which++) {
        const char *name;
        for (size_t i = 0; (name = ssh_algo_name((enum ssh_list)which, i)) != NULL; i++) {
            (void)append(p->list[which], text_of(name)); /* there is room: algo_test.c */
        }
    }
}

/* Whether one of the patterns matches the name. */
static bool is_matched(struct ssh_str patterns, struct ssh_str name)
{
    char text[SSH_LIST_MAX];
    struct ssh_str one;
    snprintf(text, sizeof(text), "%.*s", (int)name.n, (const char *)name.p);
    while (ssh_names_next(&patterns, &one)) {
        if (ssh_pattern_match(one, text, false)) {
            return true;
        }
    }
    return false;
}

static int check_names(enum ssh_list which, struct ssh_str names, struct nk_diag *diag)
{
    struct ssh_str name;
    char shown[NAME_MAX_SHOWN];
    while (ssh_names_next(&names, &name)) {
        if (!is_known(which, name)) {
            return nk_fail(diag, NK_EUSAGE, "there is no algorithm %s",
                           nk_escape(shown, sizeof(shown), name.p, name.n));
        }
    }
    return 0;
}

/* What is in `all` and matched, or not matched, by the patterns. */
static int append_matching(char list[SSH_LIST_MAX], struct ssh_str all, struct ssh_str patterns,
                           bool matched)
{
    struct ssh_str name;
    int rc = 0;
    while (rc == 0 && ssh_names_next(&all, &name)) {
        rc = is_matched(patterns, name) == matched ? append(list, name) : 0;
    }
    return rc;
}

int ssh_proposal_set(struct ssh_proposal *p, enum ssh_list which, const char *spec,
                     struct nk_diag *diag)
{
    char made[SSH_LIST_MAX] = "";
    char how = *spec && strchr("+-^", *spec) ? *spec : '=';
    struct ssh_str names = text_of(spec + (how != '=')), have = text_of(p->list[which]);
    int rc = how == '-' ? 0 : check_names(which, names, diag);
    if (rc < 0) {
        return rc;
    }
    if (how == '-') {
        rc = append_matching(made, have, names, false);
    } else if (how == '+') {
        rc = append_all(made, have);
        rc = rc < 0 ? rc : append_all(made, names);
    } else {
        rc = append_all(made, names);
        rc = rc < 0 || how == '=' ? rc : append_all(made, have);
    }
    if (rc < 0 || !*made) {
        return nk_fail(diag, rc < 0 ? rc : NK_EUSAGE,
                       rc < 0 ? "the list of algorithms is too long"
                              : "no algorithm is left in the list");
    }
    memcpy(p->list[which], made, sizeof(made));
    return 0;
}

void ssh_proposal_guard(struct ssh_proposal *p)
{
    static const char exposed[] = "chacha20-*";
    char made[SSH_LIST_MAX] = "";
    struct ssh_str have = text_of(p->list[SSH_LIST_CIPHER]), patterns = text_of(exposed);
    (void)append_matching(made, have, patterns, false); /* not longer than it was */
    (void)append_matching(made, have, patterns, true);
    memcpy(p->list[SSH_LIST_CIPHER], made, sizeof(made));
}

/* --- KEXINIT ---------------------------------------------------------------------------------- */

static const char *field_list(const struct ssh_proposal *p, int field)
{
    switch (field) {
    case SSH_FIELD_KEX:
        return p->list[SSH_LIST_KEX];
    case SSH_FIELD_HOST_KEY:
        return p->list[SSH_LIST_HOST_KEY];
    case SSH_FIELD_CIPHER_OUT:
    case SSH_FIELD_CIPHER_IN:
        return p->list[SSH_LIST_CIPHER];
    case SSH_FIELD_MAC_OUT:
    case SSH_FIELD_MAC_IN:
        return p->list[SSH_LIST_MAC];
    case SSH_FIELD_COMPRESSION_OUT:
    case SSH_FIELD_COMPRESSION_IN:
        return "none";
    default:
        return "";
    }
}

int ssh_kexinit_put(const struct ssh_proposal *p, bool first, struct nk_buf *out)
{
    uint8_t cookie[SSH_COOKIE_SIZE];
    char kex[SSH_LIST_MAX + sizeof("," SSH_EXT_INFO_CLIENT "," SSH_STRICT_CLIENT)];
    nk_random(cookie, sizeof(cookie));
    snprintf(kex, sizeof(kex), "%s%s", p->list[SSH_LIST_KEX],
             first ? "," SSH_EXT_INFO_CLIENT "," SSH_STRICT_CLIENT : "");
    int rc = nk_buf_u8(out, SSH_MSG_KEXINIT);
    rc = rc < 0 ? rc : nk_buf_put(out, cookie, sizeof(cookie));
    for (int i = 0; rc == 0 && i < SSH_FIELDS; i++) {
        rc = ssh_put_text(out, i == SSH_FIELD_KEX ? kex : field_list(p, i));
    }
    rc = rc < 0 ? rc : ssh_put_bool(out, false);
    return rc < 0 ? rc : nk_buf_be32(out, 0); /* reserved */
}

int ssh_kexinit_parse(struct ssh_str payload, struct ssh_kexinit *out, struct nk_diag *diag)
{
    struct ssh_kexinit k;
    struct nk_cur c;
    nk_cur_init(&c, payload.p, payload.n);
    bool fine = nk_cur_u8(&c) == SSH_MSG_KEXINIT;
    (void)nk_cur_bytes(&c, SSH_COOKIE_SIZE);
    for (int i = 0; i < SSH_FIELDS; i++) {
        k.list[i] = ssh_cur_names(&c);
    }
    k.follows = ssh_cur_bool(&c);
    (void)nk_cur_be32(&c); /* reserved */
    if (!fine || !nk_cur_done(&c)) {
        return nk_fail(diag, NK_EPROTO, "the server's KEXINIT is malformed");
    }
    *out = k;
    return 0;
}

/* --- negotiation ------------------------------------------------------------------------------ */

static struct ssh_str first_of(struct ssh_str names)
{
    struct ssh_str first = {0};
    (void)ssh_names_next(&names, &first);
    return first;
}

static bool same(struct ssh_str a, struct ssh_str b)
{
    return a.n == b.n && a.n > 0 && memcmp(a.p, b.p, a.n) == 0;
}

/* The first name of ours that is in the server's list. */
static int agree(const struct ssh_proposal *ours, const struct ssh_kexinit *theirs, int field,
                 struct ssh_str *name, struct nk_diag *diag)
{
    static const char *const what[SSH_FIELDS] = {"method of key exchange",
                                                 "type of host key",
                                                 "cipher",
                                                 "cipher",
                                                 "MAC",
                                                 "MAC",
                                                 "compression",
                                                 "compression"};
    struct ssh_str list = text_of(field_list(ours, field)), offer = theirs->list[field];
    char shown[LIST_SHOWN];
    while (ssh_names_next(&list, name)) {
        if (ssh_names_have(offer, *name)) {
            return 0;
        }
    }
    nk_fail(diag, NK_EPROTO, "no %s in common: the server has %s", what[field],
            offer.n ? nk_escape(shown, sizeof(shown), offer.p, offer.n) : "none");
    nk_hint(diag, "this side has %s", field_list(ours, field));
    return NK_EPROTO;
}

static int agree_direction(const struct ssh_proposal *ours, const struct ssh_kexinit *theirs,
                           int direction, struct ssh_choice *out, struct nk_diag *diag)
{
    struct ssh_str name;
    int rc = agree(ours, theirs, SSH_FIELD_CIPHER_OUT + direction, &name, diag);
    out->cipher[direction] = rc < 0 ? NULL : ssh_cipher_find(name.p, name.n);
    if (rc == 0 && out->cipher[direction] && !out->cipher[direction]->aead) {
        rc = agree(ours, theirs, SSH_FIELD_MAC_OUT + direction, &name, diag);
        out->mac[direction] = rc < 0 ? NULL : ssh_mac_find(name.p, name.n);
    }
    return rc < 0 ? rc : agree(ours, theirs, SSH_FIELD_COMPRESSION_OUT + direction, &name, diag);
}

int ssh_negotiate(const struct ssh_proposal *ours, const struct ssh_kexinit *theirs,
                  struct ssh_choice *out, struct nk_diag *diag)
{
    struct ssh_choice c = {0};
    struct ssh_str name;
    int rc = agree(ours, theirs, SSH_FIELD_KEX, &name, diag);
    if (rc < 0) {
        return rc;
    }
    c.kex = ssh_kex_find(name.p, name.n);
    rc = agree(ours, theirs, SSH_FIELD_HOST_KEY, &name, diag);
    if (rc < 0) {
        return rc;
    }
    c.host = ssh_sig_find(name, &c.host_cert);
    for (int d = SSH_OUT; rc == 0 && d <= SSH_IN; d++) {
        rc = agree_direction(ours, theirs, d, &c, diag);
    }
    if (rc < 0) {
        return rc;
    }
    c.guess_right = same(first_of(text_of(field_list(ours, SSH_FIELD_KEX))),
                         first_of(theirs->list[SSH_FIELD_KEX])) &&
                    same(first_of(text_of(field_list(ours, SSH_FIELD_HOST_KEY))),
                         first_of(theirs->list[SSH_FIELD_HOST_KEY]));
    *out = c;
    return 0;
}
