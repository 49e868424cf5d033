/* SPDX-License-Identifier: MIT */
/* Paths of circuits: what a user may write, and relays for the places that are left open. */
#include <sodium.h>
#include <string.h>
#include <strings.h>

#include "tor/build.h"
#include "tor/ns.h"

/* The relays that are in a path already. */
struct used {
    size_t n;
    char fingerprint[TOR_HOPS_MAX][TOR_FINGERPRINT + 1];
    struct tor_ns_text net[TOR_HOPS_MAX]; /* first half of the address; borrowed */
};

/* Fingerprints may also be written without their '$'. */
static bool hop_read(struct tor_relay_name *out, const char *word, size_t len)
{
    char full[TOR_FINGERPRINT + 1];
    if (len == TOR_FINGERPRINT) {
        full[0] = '$';
        memcpy(full + 1, word, TOR_FINGERPRINT);
        bool fine = tor_relay_name_read(out, full, sizeof full);
        out->fingerprint = fine ? word : NULL;
        return fine;
    }
    return tor_relay_name_read(out, word, len);
}

static bool same_relay(const struct tor_split *a, const struct tor_split *b)
{
    struct tor_relay_name x, y;
    if (!hop_read(&x, a->word, a->word_len) || !hop_read(&y, b->word, b->word_len))
        return false;
    if (x.fingerprint && y.fingerprint)
        return strncasecmp(x.fingerprint, y.fingerprint, TOR_FINGERPRINT) == 0;
    return x.nickname && y.nickname && x.nickname_len == y.nickname_len &&
           strncasecmp(x.nickname, y.nickname, x.nickname_len) == 0;
}

bool tor_path_ends(const char *path, size_t len, const char *tail)
{
    struct tor_split all = {.text = path, .len = len};
    struct tor_split end = {.text = tail, .len = strlen(tail)}, count = all;
    size_t before = 0, hops = 1;
    while (tor_split_next(&count, ','))
        before++;
    for (const char *c = tail; *c; c++)
        hops += *c == ',';
    if (before < hops)
        return false;
    for (before -= hops; before > 0; before--)
        (void)tor_split_next(&all, ',');
    while (tor_split_next(&all, ',') && tor_split_next(&end, ','))
        if (!same_relay(&all, &end))
            return false;
    return true;
}

static bool is_any(const struct tor_split *hop)
{
    return hop->word_len == 1 && hop->word[0] == '*';
}

int tor_path_check(const char *path, struct nk_diag *diag)
{
    struct tor_split hops = {.text = path, .len = strlen(path)};
    struct tor_relay_name name;
    size_t n = 0;
    bool fine = hops.len > 0 && path[hops.len - 1] != ',';
    while (fine && tor_split_next(&hops, ',')) {
        fine = is_any(&hops) || hop_read(&name, hops.word, hops.word_len);
        n++;
    }
    if (fine && n <= TOR_HOPS_MAX)
        return 0;
    nk_fail(diag, NK_EUSAGE, fine ? "'%s' has more than 8 relays" : "'%s' is no path of relays",
            path);
    nk_hint(diag, "nicknames or fingerprints with commas between, '*' for any: guard1,*,exit2");
    return NK_EUSAGE;
}

static struct tor_ns_text net_of(const struct tor_ns *r)
{
    const char *dot = r->address.p ? memchr(r->address.p, '.', r->address.n) : NULL;
    size_t rest = dot ? r->address.n - (size_t)(dot + 1 - r->address.p) : 0;
    const char *second = dot ? memchr(dot + 1, '.', rest) : NULL;
    return (struct tor_ns_text){r->address.p, second ? (size_t)(second - r->address.p) : 0};
}

static bool is_used(const struct used *u, const struct tor_ns *r, bool by_net)
{
    struct tor_ns_text net = net_of(r);
    for (size_t i = 0; i < u->n; i++) {
        if (strcasecmp(u->fingerprint[i], r->fingerprint) == 0)
            return true;
        if (by_net && net.n > 0 && u->net[i].n == net.n && memcmp(u->net[i].p, net.p, net.n) == 0)
            return true;
    }
    return false;
}

static void use(struct used *u, const struct tor_ns *r)
{
    memcpy(u->fingerprint[u->n], r->fingerprint, sizeof u->fingerprint[0]);
    u->net[u->n++] = net_of(r);
}

/* A relay is drawn while the list goes by, each with its bandwidth as weight. */
static bool draw(struct tor_ns *out, const char *flag, const struct used *u, bool by_net,
                 const char *ns, size_t n)
{
    struct tor_ns_walk walk;
    struct tor_ns r;
    uint64_t total = 0;
    *out = (struct tor_ns){.bandwidth = 0};
    tor_ns_begin(&walk, ns, n);
    while (tor_ns_next(&walk, &r)) {
        uint64_t weight = (r.bandwidth > UINT32_MAX ? UINT32_MAX : r.bandwidth) + 1, dice;
        bool fit = tor_ns_has_flag(&r, flag) && tor_ns_has_flag(&r, "Running") &&
                   tor_ns_has_flag(&r, "Valid") && tor_ns_has_flag(&r, "Fast") &&
                   !tor_ns_has_flag(&r, "BadExit");
        if (!fit || is_used(u, &r, by_net))
            continue;
        total += weight;
        randombytes_buf(&dice, sizeof dice);
        if (dice % total < weight)
            *out = r;
    }
    return total > 0;
}

/* The relays that the path names are in use, before any is drawn. */
static void use_named(struct used *u, const char *path, const char *ns, size_t n)
{
    struct tor_ns_walk walk;
    struct tor_ns r;
    tor_ns_begin(&walk, ns, n);
    while (u->n < TOR_HOPS_MAX && tor_ns_next(&walk, &r)) {
        struct tor_split hops = {.text = path, .len = strlen(path)};
        bool named = false;
        while (!named && tor_split_next(&hops, ',')) {
            struct tor_relay_name name;
            if (is_any(&hops) || !hop_read(&name, hops.word, hops.word_len))
                continue;
            named = name.fingerprint
                        ? strncasecmp(name.fingerprint, r.fingerprint, TOR_FINGERPRINT) == 0
                        : name.nickname_len == r.nickname.n &&
                              strncasecmp(name.nickname, r.nickname.p, r.nickname.n) == 0;
        }
        if (named)
            use(u, &r);
    }
}

int tor_path_choose(struct nk_buf *out, const char *path, bool new, const char *ns, size_t n,
                    struct nk_diag *diag)
{
    struct tor_split hops = {.text = path, .len = strlen(path)};
    struct used u = {.n = 0};
    int rc = tor_path_check(path, diag);
    if (rc == 0)
        use_named(&u, path, ns, n);
    for (size_t i = 0; rc == 0 && tor_split_next(&hops, ','); i++) {
        struct tor_relay_name name;
        struct tor_ns r;
        const char *flag = hops.len == 0 ? "Exit" : i == 0 && new ? "Guard" : "Running";
        rc = i > 0 ? nk_buf_u8(out, ',') : 0;
        if (rc == 0 && is_any(&hops)) {
            if (u.n == TOR_HOPS_MAX ||
                (!draw(&r, flag, &u, true, ns, n) && !draw(&r, flag, &u, false, ns, n)))
                return nk_fail(diag, -ENOENT, "tor knows no relay for place %zu of the path (%s)",
                               i + 1, flag);
            use(&u, &r);
            rc = nk_buf_printf(out, "$%s", r.fingerprint);
        } else if (rc == 0) {
            bool bare = hop_read(&name, hops.word, hops.word_len) && name.fingerprint == hops.word;
            rc = nk_buf_printf(out, "%s%.*s", bare ? "$" : "", (int)hops.word_len, hops.word);
        }
    }
    return rc;
}
