/* SPDX-License-Identifier: MIT */
/* Checks of arti's keystore. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/onion.h"
#include "base/openssh_key.h"
#include "hs/check_impl.h"
#include "hs/keystore.h"
#include "hs/twins.h"

enum {
    COLUMNS = 70, /* of base64 in a line; arti reads no other width */
    MINUTE = 60,
    PERIOD_NUMBER_MAX = 10000000 /* days for 27,000 years: bounds the arithmetic */
};

#define ARTI_TEMP ".tmp" /* behind the names of files that arti is writing */

/* A key that was read, to be compared with others. */
struct seen {
    struct hs_artipath path;
    const char *name;
    uint8_t pub[HS_PUBLIC_KEY];
};

struct keys {
    struct seen *v;
    size_t n;
};

/* --- one file --------------------------------------------------------------------------------- */

/* Every line between the first and the last has 70 columns, the one before the last at most. */
static bool is_wrapped_right(const char *s, size_t len)
{
    size_t line = 0, short_lines = 0;
    for (const char *end = s + len; s < end; line++) {
        const char *eol = memchr(s, '\n', (size_t)(end - s));
        size_t n = (size_t)((eol ? eol : end) - s);
        if (line > 0 && n > 0 && s[0] != '-') {
            if (n > COLUMNS || short_lines > 0) {
                return false;
            }
            short_lines += n < COLUMNS;
        }
        s += n + (eol ? 1 : 0);
    }
    return true;
}

static void judge_width(struct hs_check *c, const struct hs_place *p, const char *name,
                        const char *path)
{
    struct nk_buf b;
    if (hs_check_read(c, p, name, &b) && nk_openssh_is_private(nk_buf_ptr(&b), nk_buf_len(&b)) &&
        !is_wrapped_right((const char *)nk_buf_ptr(&b), nk_buf_len(&b))) {
        hs_find(c->l, HS_ERROR, path, "lines", "are not of %d columns: arti does not read it",
                COLUMNS);
        hs_find_remedy(c->l, "'netkit hs convert' writes it as arti does");
    }
    nk_buf_clear(&b);
}

static void judge_period(struct hs_check *c, const char *path, const struct hs_artipath *a)
{
    if (!a->has_period || a->period > PERIOD_NUMBER_MAX || a->period_minutes > PERIOD_NUMBER_MAX ||
        a->period_offset > PERIOD_NUMBER_MAX || c->now < 0) {
        return;
    }
    uint64_t end = (a->period + 1) * a->period_minutes * MINUTE + a->period_offset;
    if (end < (uint64_t)c->now) {
        hs_find(c->l, HS_NOTE, path, "period",
                "%" PRIu64 " is over: the key has no use, and arti removes it", a->period);
    }
}

static void judge_key(struct hs_check *c, const struct hs_place *p, const char *name,
                      const struct hs_artipath *a, struct keys *keys)
{
    char path[NK_PATH_MAX];
    struct hs_item item;
    struct nk_diag why;
    hs_check_path(path, p, name);
    judge_period(c, path, a);
    if (a->role == HS_ROLE_OTHER) {
        hs_find(c->l, HS_NOTE, path, NULL, "is a key that netkit does not know");
        return;
    }
    judge_width(c, p, name, path);
    if (hs_keystore_read(p, name, a, &item, &why) < 0) {
        hs_find(c->l, HS_ERROR, path, "key", "%s", why.text);
        return;
    }
    struct seen *s = &keys->v[keys->n++];
    *s = (struct seen){.path = *a, .name = name};
    memcpy(s->pub, hs_item_pub(&item), sizeof(s->pub));
    hs_item_wipe(&item);
    if (a->client[0]) {
        hs_find(c->l, HS_WARNING, path, "path",
                "client/CLIENT/ADDRESS is an old design: arti looks in client/ADDRESS only");
        hs_find_remedy(c->l, "'netkit hsc import' brings it to where arti looks");
    }
}

static bool is_arti_temp(const char *name)
{
    size_t n = strlen(name), tail = sizeof(ARTI_TEMP) - 1;
    return n > tail && strcmp(name + n - tail, ARTI_TEMP) == 0;
}

static void judge_file(struct hs_check *c, const struct hs_place *p, const char *name,
                       struct keys *keys)
{
    char path[NK_PATH_MAX];
    struct hs_artipath a;
    struct nk_diag why;
    const char *slash = strrchr(name, '/');
    hs_check_path(path, p, name);
    if (!hs_trust_entry(&c->trust, p, name, c->l)) {
        return;
    }
    if (hs_is_leftover(slash ? slash + 1 : name) || is_arti_temp(name)) {
        hs_find(c->l, HS_NOTE, path, NULL, "was left by a write that was interrupted");
        hs_find_remedy(c->l, "remove it");
    } else if (hs_artipath_parse(name, &a, &why) < 0) {
        hs_find(c->l, HS_WARNING, path, "path", "arti does not recognize it: %s", why.text);
    } else {
        judge_key(c, p, name, &a, keys);
    }
}

/* --- several ---------------------------------------------------------------------------------- */

static bool is_public(const struct seen *s)
{
    return s->path.role == HS_ROLE_ID_PUBLIC || s->path.role == HS_ROLE_BLIND_PUBLIC;
}

static bool is_blind(const struct seen *s)
{
    return s->path.role == HS_ROLE_BLIND || s->path.role == HS_ROLE_BLIND_PUBLIC;
}

static int order(uint64_t a, uint64_t b)
{
    return (a > b) - (a < b);
}

/* Equal for the two halves of a pair. */
static int by_pair(const struct seen *a, const struct seen *b)
{
    int services = strcmp(a->path.service, b->path.service);
    int kinds = (int)is_blind(a) - (int)is_blind(b);
    int periods = order(a->path.period, b->path.period);
    int minutes = order(a->path.period_minutes, b->path.period_minutes);
    return services  ? services
           : kinds   ? kinds
           : periods ? periods
           : minutes ? minutes
                     : order(a->path.period_offset, b->path.period_offset);
}

/* The secret half first. */
static int by_half(const void *a, const void *b)
{
    const struct seen *const *x = a, *const *y = b;
    int pairs = by_pair(*x, *y);
    return pairs ? pairs : (int)is_public(*x) - (int)is_public(*y);
}

/* v has the identities, blinded ones too. */
static void judge_pairs(struct hs_check *c, const struct hs_place *p, const struct seen **v,
                        size_t n)
{
    char path[NK_PATH_MAX];
    if (n > 0) {
        qsort((void *)v, n, sizeof(*v), by_half);
    }
    for (size_t i = 1; i < n; i++) {
        const struct seen *secret = v[i - 1], *public = v[i];
        if (!is_public(secret) && is_public(public) && by_pair(secret, public) == 0 &&
            memcmp(secret->pub, public->pub, HS_PUBLIC_KEY) != 0) {
            hs_check_path(path, p, public->name);
            hs_find(c->l, HS_ERROR, path, "key", "is not the public half of %s", secret->name);
        }
    }
}

/* Keys of one role that should all be different. */
static void judge_twins(struct hs_check *c, const struct hs_place *p, const struct keys *keys,
                        enum hs_role role, struct hs_twin *v)
{
    char path[NK_PATH_MAX];
    const bool client = role == HS_ROLE_CLIENT;
    size_t n = 0;
    for (size_t i = 0; i < keys->n; i++) {
        const struct seen *s = &keys->v[i];
        if (s->path.role == role) {
            v[n++] = (struct hs_twin){.key = client ? s->path.address : s->pub, .index = i};
        }
    }
    hs_twins_find(v, n);
    for (size_t i = 0; i < n; i++) {
        const char *other = keys->v[v[i].first].name;
        if (v[i].first == v[i].index) {
            continue;
        }
        hs_check_path(path, p, keys->v[v[i].index].name);
        if (client) {
            hs_find(c->l, HS_WARNING, path, "address", "is the same service as of %s", other);
        } else {
            hs_find(c->l, HS_WARNING, path, "key",
                    "is the same identity as %s: two services with one address disturb each other",
                    other);
        }
    }
}

static int judge_all(struct hs_check *c, const struct hs_place *p, const struct keys *keys,
                     struct nk_diag *diag)
{
    struct hs_twin *twins = calloc(keys->n + 1, sizeof(*twins));
    const struct seen **halves = calloc(keys->n + 1, sizeof(*halves));
    int rc = twins && halves ? 0 : nk_fail_sys(diag, -ENOMEM, "check of %s", p->path);
    size_t n = 0;
    for (size_t i = 0; rc == 0 && i < keys->n; i++) {
        const struct seen *s = &keys->v[i];
        if (s->path.role == HS_ROLE_ID || is_blind(s) || is_public(s)) {
            halves[n++] = s;
        }
    }
    if (rc == 0) {
        judge_pairs(c, p, halves, n);
        judge_twins(c, p, keys, HS_ROLE_ID, twins);
        judge_twins(c, p, keys, HS_ROLE_CLIENT, twins);
    }
    free((void *)halves);
    free(twins);
    return rc;
}

/* Blinded keys and introduction points of a service whose identity is nowhere. The keys of a
 * service stand together. */
static void judge_services(struct hs_check *c, const struct hs_place *p, const struct keys *keys)
{
    char path[NK_PATH_MAX], name[HS_SLUG_MAX + sizeof("hss/")];
    for (size_t i = 0, next; i < keys->n; i = next) {
        const char *service = keys->v[i].path.service;
        bool has_identity = service[0] == '\0';
        for (next = i; next < keys->n && strcmp(keys->v[next].path.service, service) == 0; next++) {
            enum hs_role role = keys->v[next].path.role;
            has_identity = has_identity || role == HS_ROLE_ID || role == HS_ROLE_ID_PUBLIC;
        }
        if (!has_identity) {
            snprintf(name, sizeof(name), "hss/%s", service);
            hs_check_path(path, p, name);
            hs_find(c->l, HS_WARNING, path, NULL,
                    "has keys of a service and no identity that can be read");
        }
    }
}

int hs_check_keystore(struct hs_check *c, const struct hs_place *p, struct nk_diag *diag)
{
    struct hs_names names;
    struct keys keys = {0};
    int rc = hs_keystore_files(p, true, &names, diag);
    if (rc < 0) {
        return rc;
    }
    keys.v = calloc(names.n + 1, sizeof(*keys.v));
    if (!keys.v) {
        hs_names_clear(&names);
        return nk_fail_sys(diag, -ENOMEM, "check of %s", p->path);
    }
    for (size_t i = 0; i < names.n; i++) {
        size_t n = strlen(names.v[i]);
        if (names.v[i][n - 1] == '/') {
            names.v[i][n - 1] = '\0';
            hs_trust_entry(&c->trust, p, names.v[i], c->l);
        } else {
            judge_file(c, p, names.v[i], &keys);
        }
    }
    rc = judge_all(c, p, &keys, diag);
    judge_services(c, p, &keys);
    if (hs_keystore_in_use(p)) {
        hs_find(c->l, HS_NOTE, p->path, NULL, "is in use by an arti that runs");
    }
    free(keys.v);
    hs_names_clear(&names);
    return rc;
}
