/* SPDX-License-Identifier: MIT */
/* The lines of known_hosts: reading, comparing and making them. No files here. */
#include <ctype.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/codec.h"
#include "base/secret.h"
#include "ssh/known_hosts.h"
#include "ssh/pubkey.h"
#include "ssh/sha1.h"

#define HASH_MAGIC "|1|"

enum { HASH_MAGIC_SIZE = 3, HASH_BASE64 = 28 /* characters of 20 bytes */ };

/* --- reading ---------------------------------------------------------------------------------- */

void ssh_known_read(struct ssh_known_reader *r, const void *p, size_t n)
{
    *r = (struct ssh_known_reader){.p = p, .end = n ? (const uint8_t *)p + n : p};
}

static bool is_blank(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

static void skip_blanks(struct ssh_str *rest)
{
    while (rest->n && is_blank(*rest->p)) {
        rest->p++;
        rest->n--;
    }
}

static struct ssh_str next_word(struct ssh_str *rest)
{
    skip_blanks(rest);
    struct ssh_str w = {rest->p, 0};
    while (w.n < rest->n && !is_blank(w.p[w.n])) {
        w.n++;
    }
    rest->p += w.n;
    rest->n -= w.n;
    return w;
}

static void parse(struct ssh_known_line *l)
{
    struct ssh_str rest = l->whole;
    struct ssh_str word = next_word(&rest);
    if (word.n == 0 || word.p[0] == '#') {
        return;
    }
    if (ssh_str_is(word, "@cert-authority")) {
        l->marker = SSH_KNOWN_CA;
    } else if (ssh_str_is(word, "@revoked")) {
        l->marker = SSH_KNOWN_REVOKED;
    } else if (word.p[0] == '@') {
        l->problem = "unknown marker";
        return;
    }
    l->hosts = l->marker == SSH_KNOWN_PLAIN ? word : next_word(&rest);
    l->type = next_word(&rest);
    l->key = next_word(&rest);
    skip_blanks(&rest);
    while (rest.n && is_blank(rest.p[rest.n - 1])) {
        rest.n--;
    }
    l->comment = rest;
    l->entry = l->key.n > 0;
    l->problem = l->entry ? NULL : "too few words";
}

bool ssh_known_next(struct ssh_known_reader *r, struct ssh_known_line *out)
{
    if (r->p == r->end) {
        return false;
    }
    const uint8_t *nl = memchr(r->p, '\n', (size_t)(r->end - r->p));
    *out = (struct ssh_known_line){.number = ++r->number};
    out->whole = (struct ssh_str){r->p, (size_t)((nl ? nl : r->end) - r->p)};
    r->p = nl ? nl + 1 : r->end;
    parse(out);
    return true;
}

int ssh_known_key(const struct ssh_known_line *l, struct nk_buf *out)
{
    uint8_t *p;
    struct nk_cur c;
    if (l->key.n > NK_BASE64_SIZE(SSH_BLOB_MAX)) {
        return NK_EFORMAT;
    }
    int rc = nk_buf_reserve(out, l->key.n / 4 * 3 + 3, &p);
    if (rc < 0) {
        return rc;
    }
    ssize_t n = nk_base64_decode(p, l->key.n / 4 * 3 + 3, (const char *)l->key.p, l->key.n);
    if (n < 0) {
        return NK_EFORMAT;
    }
    nk_cur_init(&c, p, (size_t)n);
    struct ssh_str name = ssh_cur_string(&c);
    if (c.failed || name.n != l->type.n || memcmp(name.p, l->type.p, name.n) != 0) {
        return NK_EFORMAT;
    }
    nk_buf_commit(out, (size_t)n);
    return 0;
}

/* --- names ------------------------------------------------------------------------------------ */

/* Nothing in it would end a name, or stand for others. */
static bool is_name(const char *p, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if ((unsigned char)p[i] <= ' ' || p[i] == 0x7f || strchr(",*?!#|@[]", p[i])) {
            return false;
        }
    }
    return n > 0 && n <= SSH_KNOWN_HOST_MAX;
}

/* "[host]:port", as a HostKeyAlias may be. */
static bool is_with_port(const char *p)
{
    const char *end = *p == '[' ? strchr(p, ']') : NULL;
    uint64_t port;
    return end && is_name(p + 1, (size_t)(end - p - 1)) && end[1] == ':' &&
           nk_parse_u64(end + 2, &port) == 0 && port > 0 && port <= UINT16_MAX;
}

bool ssh_known_name(char out[SSH_KNOWN_NAME_SIZE], const char *host, uint16_t port)
{
    size_t n = strlen(host);
    if (n > SSH_KNOWN_NAME_SIZE - 1 ||
        !(is_name(host, n) || (port == SSH_PORT && is_with_port(host)))) {
        return false;
    }
    n = 0;
    if (port != SSH_PORT) {
        out[n++] = '[';
    }
    for (; *host; host++) {
        out[n++] = (char)tolower((unsigned char)*host);
    }
    out[n] = '\0';
    if (port != SSH_PORT) {
        snprintf(out + n, SSH_KNOWN_NAME_SIZE - n, "]:%u", port);
    }
    return true;
}

static bool same_letter(uint8_t a, char b, bool fold)
{
    return a == (uint8_t)b || (fold && tolower(a) == tolower((unsigned char)b));
}

bool ssh_pattern_match(struct ssh_str pattern, const char *text, bool fold)
{
    const uint8_t *p = pattern.p, *end = pattern.p + pattern.n, *star = NULL;
    const char *after = NULL; /* where the last star's part is tried next */
    while (*text) {
        if (p < end && *p == '*') {
            star = ++p;
            after = text;
        } else if (p < end && (*p == '?' || same_letter(*p, *text, fold))) {
            p++;
            text++;
        } else if (star) {
            p = star;
            text = ++after;
        } else {
            return false;
        }
    }
    while (p < end && *p == '*') {
        p++;
    }
    return p == end;
}

int ssh_pattern_list(struct ssh_str patterns, const char *text, bool fold)
{
    struct ssh_str one;
    int found = 0;
    while (ssh_names_next(&patterns, &one)) {
        bool negated = one.p[0] == '!';
        one.p += negated;
        one.n -= negated;
        if (ssh_pattern_match(one, text, fold)) {
            if (negated) {
                return -1;
            }
            found = 1;
        }
    }
    return found;
}

bool ssh_known_hashed(struct ssh_str hosts)
{
    return hosts.n >= HASH_MAGIC_SIZE && memcmp(hosts.p, HASH_MAGIC, HASH_MAGIC_SIZE) == 0;
}

bool ssh_known_single(struct ssh_str hosts)
{
    bool plain = true;
    for (size_t i = 0; i < hosts.n; i++) {
        plain = plain && !strchr(",*?!", hosts.p[i]);
    }
    return plain || ssh_known_hashed(hosts);
}

void ssh_known_hash(char out[SSH_KNOWN_HASHED_SIZE], const char *name,
                    const uint8_t salt[SSH_KNOWN_SALT])
{
    uint8_t mac[SSH_SHA1_SIZE];
    char salted[NK_BASE64_SIZE(SSH_KNOWN_SALT)], hashed[NK_BASE64_SIZE(SSH_SHA1_SIZE)];
    ssh_hmac_sha1(salt, SSH_KNOWN_SALT, name, strlen(name), mac);
    nk_base64_encode(salted, salt, SSH_KNOWN_SALT, true);
    nk_base64_encode(hashed, mac, sizeof(mac), true);
    snprintf(out, SSH_KNOWN_HASHED_SIZE, HASH_MAGIC "%s|%s", salted, hashed);
}

static bool hash_matches(struct ssh_str hosts, const char *name)
{
    uint8_t salt[SSH_KNOWN_SALT];
    char want[SSH_KNOWN_HASHED_SIZE];
    const char *text = (const char *)hosts.p + HASH_MAGIC_SIZE;
    if (hosts.n != HASH_MAGIC_SIZE + HASH_BASE64 + 1 + HASH_BASE64 || text[HASH_BASE64] != '|' ||
        nk_base64_decode(salt, sizeof(salt), text, HASH_BASE64) != SSH_KNOWN_SALT) {
        return false;
    }
    ssh_known_hash(want, name, salt);
    return ssh_str_is(hosts, want);
}

bool ssh_known_matches(struct ssh_str hosts, const char *name)
{
    return ssh_known_hashed(hosts) ? hash_matches(hosts, name)
                                   : ssh_pattern_list(hosts, name, true) > 0;
}

/* --- making ----------------------------------------------------------------------------------- */

static int put_blob(struct nk_buf *out, struct ssh_str blob)
{
    struct nk_cur c;
    uint8_t *p;
    nk_cur_init(&c, blob.p, blob.n);
    struct ssh_str type = ssh_cur_string(&c);
    if (c.failed || blob.n > SSH_BLOB_MAX) {
        return NK_EFORMAT;
    }
    int rc = nk_buf_put(out, type.p, type.n);
    rc = rc < 0 ? rc : nk_buf_u8(out, ' ');
    rc = rc < 0 ? rc : nk_buf_reserve(out, NK_BASE64_SIZE(blob.n), &p);
    if (rc == 0) {
        nk_base64_encode((char *)p, blob.p, blob.n, true);
        nk_buf_commit(out, NK_BASE64_SIZE(blob.n) - 1);
    }
    return rc;
}

int ssh_known_put(struct nk_buf *out, enum ssh_known_marker marker, const char *name, bool hash,
                  struct ssh_str blob, const char *comment)
{
    static const char *const markers[] = {"", "@cert-authority ", "@revoked "};
    char hashed[SSH_KNOWN_HASHED_SIZE];
    size_t before = nk_buf_len(out);
    if (hash) {
        uint8_t salt[SSH_KNOWN_SALT];
        nk_random(salt, sizeof(salt));
        ssh_known_hash(hashed, name, salt);
        name = hashed;
    }
    int rc = nk_buf_printf(out, "%s%s ", markers[marker], name);
    rc = rc < 0 ? rc : put_blob(out, blob);
    if (rc == 0) {
        rc = nk_buf_printf(out, "%s%s\n", comment ? " " : "", comment ? comment : "");
    }
    if (rc < 0) {
        out->len = before; /* whole lines only */
    }
    return rc;
}
