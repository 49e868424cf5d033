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

/* The public half of a pair, and its secret one. */
static bool is_pair(const struct seen *a, const struct seen *b)
{
    bool id = a->path.role == HS_ROLE_ID && b->path.role == HS_ROLE_ID_PUBLIC;
    bool blind = a->path.role == HS_ROLE_BLIND && b->path.role == HS_ROLE_BLIND_PUBLIC &&
                 a->path.period == b->path.period &&
                 a->path.period_minutes == b->path.period_minutes &&
                 a->path.period_offset == b->path.period_offset;
    return (id || blind) && strcmp(a->path.service, b->path.service) == 0;
}

static void compare(struct hs_check *c, const struct hs_place *p, const struct seen *a,
                    const struct seen *b)
{
    char path[NK_PATH_MAX];
    bool same = memcmp(a->pub, b->pub, sizeof(a->pub)) == 0;
    hs_check_path(path, p, b->name);
    if (is_pair(a, b) && !same) {
        hs_find(c->l, HS_ERROR, path, "key", "is not the public half of %s", a->name);
    }
    if (a->path.role == HS_ROLE_ID && b->path.role == HS_ROLE_ID && same && a < b) {
        hs_find(c->l, HS_WARNING, path, "key",
                "is the same identity as %s: two services with one address disturb each other",
                a->name);
    }
    if (a->path.role == HS_ROLE_CLIENT && b->path.role == HS_ROLE_CLIENT && a < b &&
        memcmp(a->path.address, b->path.address, HS_PUBLIC_KEY) == 0) {
        hs_find(c->l, HS_WARNING, path, "address", "is the same service as of %s", a->name);
    }
}

/* Only identities, blinded identities and client keys have something to be compared with. */
static bool is_comparable(const struct seen *s)
{
    return s->path.role <= HS_ROLE_BLIND_PUBLIC;
}

static void judge_all(struct hs_check *c, const struct hs_place *p, const struct keys *keys)
{
    for (const struct seen *a = keys->v; a < keys->v + keys->n; a++) {
        for (const struct seen *b = keys->v; is_comparable(a) && b < keys->v + keys->n; b++) {
            if (a != b) {
                compare(c, p, a, b);
            }
        }
    }
}

/* Blinded keys and introduction points of a service whose identity is nowhere. */
static void judge_services(struct hs_check *c, const struct hs_place *p, const struct keys *keys)
{
    char path[NK_PATH_MAX], name[HS_SLUG_MAX + sizeof("hss/")];
    const char *last = "";
    for (const struct seen *a = keys->v; a < keys->v + keys->n; a++) {
        bool has_identity = a->path.service[0] == '\0' || strcmp(last, a->path.service) == 0;
        for (const struct seen *b = keys->v; !has_identity && b < keys->v + keys->n; b++) {
            has_identity = (b->path.role == HS_ROLE_ID || b->path.role == HS_ROLE_ID_PUBLIC) &&
                           strcmp(a->path.service, b->path.service) == 0;
        }
        if (!has_identity) {
            snprintf(name, sizeof(name), "hss/%s", a->path.service);
            hs_check_path(path, p, name);
            hs_find(c->l, HS_WARNING, path, NULL,
                    "has keys of a service and no identity that can be read");
            last = a->path.service;
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
    judge_all(c, p, &keys);
    judge_services(c, p, &keys);
    if (hs_keystore_in_use(p)) {
        hs_find(c->l, HS_NOTE, p->path, NULL, "is in use by an arti that runs");
    }
    free(keys.v);
    hs_names_clear(&names);
    return 0;
}
