/* SPDX-License-Identifier: MIT */
#include "onion/live_way.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "core/app.h"

enum { TORRC_MAX = 1 << 20, VALUE_MAX = 4096 };

bool onion_live_same_dir(const char *a, const char *b)
{
    struct stat x, y;
    return strcmp(a, b) == 0 ||
           (stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino);
}

static bool has_dir(const struct nk_strlist *l, const char *dir)
{
    for (size_t i = 0; i < l->n; i++) {
        if (onion_live_same_dir(l->v[i], dir)) {
            return true;
        }
    }
    return false;
}

/* --- the torrc -------------------------------------------------------------------------------- */

static bool begins(const char *p, size_t n, const char *word)
{
    size_t len = strlen(word);
    return n > len && strncasecmp(p, word, len) == 0 && (p[len] == ' ' || p[len] == '\t');
}

/* The rest of a line behind its option, which ends at a comment unless it is quoted (torrc(5)). */
static int take_value(const char *p, size_t n, struct nk_strlist *out)
{
    struct nk_buf value;
    while (n > 0 && (*p == ' ' || *p == '\t')) {
        p++;
        n--;
    }
    if (n > 0 && *p != '"') {
        const char *comment = memchr(p, '#', n);
        n = comment ? (size_t)(comment - p) : n;
        while (n > 0 && (p[n - 1] == ' ' || p[n - 1] == '\t' || p[n - 1] == '\r')) {
            n--;
        }
    }
    nk_buf_init(&value, VALUE_MAX);
    size_t used;
    int rc =
        n > 0 && *p == '"' ? tor_wire_unquote(p, n, &value, &used, NULL) : nk_buf_put(&value, p, n);
    rc = rc < 0 ? rc : nk_strlist_add(out, (const char *)nk_buf_ptr(&value), nk_buf_len(&value));
    nk_buf_clear(&value);
    return rc;
}

int onion_live_torrc(const char *path, struct nk_strlist *out)
{
    static const char option[] = "HiddenServiceDir";
    struct nk_buf text;
    nk_buf_init(&text, TORRC_MAX);
    int rc = nk_file_read(path, 0, &text, NULL);
    const char *p = (const char *)nk_buf_ptr(&text);
    size_t left = rc == 0 ? nk_buf_len(&text) : 0;
    while (rc == 0 && left > 0) {
        const char *end = memchr(p, '\n', left);
        size_t line = end ? (size_t)(end - p) : left, n = line;
        const char *q = p;
        while (n > 0 && (*q == ' ' || *q == '\t')) {
            q++;
            n--;
        }
        if (begins(q, n, "%include")) {
            rc = NK_EUNSUPPORTED;
        } else if (begins(q, n, option)) {
            rc = take_value(q + sizeof(option) - 1, n - (sizeof(option) - 1), out);
        }
        p += line + (end != NULL);
        left -= line + (end != NULL);
    }
    nk_buf_clear(&text);
    return rc;
}

/* --- the way of each -------------------------------------------------------------------------- */

/* Its key, if we may see it: a directory can be tor's alone. */
static void find_address(struct onion_live_target *t, const char *dir)
{
    struct hs_identity key = {0};
    if (hs_ctor_dir_read(dir, &key, NULL) == 0) {
        nk_onion_format(t->address, key.pub);
    }
    hs_identity_wipe(&key);
}

static int plan_detached(struct onion_live *l, size_t i, struct nk_diag *diag)
{
    struct onion_live_target *t = &l->v[i];
    const struct hs_target *target = &l->conf.targets->v[i];
    char clients[NK_PATH_MAX];
    const struct onion_conf conf = {
        .ports = *l->conf.ports, .key = (char *)(uintptr_t)target->path, .detach = true};
    if (l->conf.ports->n == 0) {
        nk_fail(diag, NK_EUSAGE, "the service of %s is a detached one: which ports has it?",
                target->path);
        nk_hint(diag, "tor does not tell them: --port PORT[:TARGET], all that it is to have");
        return NK_EUSAGE;
    }
    t->way = ONION_LIVE_DETACHED;
    t->expected = true;
    int rc = onion_plan_init(&t->plan, &conf, nk_app_log(l->conf.app), diag);
    if (rc == 0 && l->conf.sights[i].restricted) {
        rc = nk_path_join(clients, sizeof(clients), target->path, HS_AUTH_DIR);
        rc = rc < 0 ? nk_fail_sys(diag, rc, "%s", target->path)
                    : onion_clients_read_dir(&t->plan.clients, clients, NULL, diag);
        onion_clients_spec(&t->plan.clients, &t->plan.spec);
    }
    return rc;
}

/* torrc: its services; NULL when they are not known. */
static int choose_service(struct onion_live *l, size_t i, const char *detached, size_t len,
                          const struct nk_strlist *torrc, struct nk_diag *diag)
{
    struct onion_live_target *t = &l->v[i];
    const char *path = l->conf.targets->v[i].path;
    find_address(t, path);
    if (has_dir(&l->dirs, path)) {
        t->way = l->tell = l->tell == ONION_LIVE_UNKNOWN ? ONION_LIVE_SETCONF : l->tell;
        return 0;
    }
    if (t->address[0] != '\0' && memmem(detached, len, t->address, NK_ONION_LABEL)) {
        return plan_detached(l, i, diag);
    }
    if (torrc && !has_dir(torrc, path)) {
        nk_fail(diag, -ENOENT, "tor has no service of %s", path);
        nk_hint(diag, "it is named in no HiddenServiceDir, and is no detached one; if a program "
                      "holds it, only that can change it ('netkit onion clients')");
        return -ENOENT;
    }
    t->expected = true; /* it is new in the torrc */
    t->way = l->tell = ONION_LIVE_RELOAD;
    return 0;
}

/* The first service that a reload would drop, or NULL. */
static const char *dropped(const struct onion_live *l, const struct nk_strlist *torrc)
{
    for (size_t i = 0; torrc && i < l->dirs.n; i++) {
        if (!has_dir(torrc, l->dirs.v[i])) {
            return l->dirs.v[i];
        }
    }
    return NULL;
}

/* Keys of clients that tor reads by itself. */
static bool is_client_dir(const struct onion_live *l, size_t i)
{
    const struct hs_target *t = &l->conf.targets->v[i];
    return !t->service && l->client_dir && onion_live_same_dir(l->client_dir, t->path);
}

static bool is_new(const struct onion_live *l, size_t i)
{
    return !l->conf.seen || memcmp(l->conf.seen[i].digest, l->conf.sights[i].digest,
                                   sizeof(l->conf.seen[i].digest)) != 0;
}

/* How tor is to read its own directories. */
static int choose_tell(struct onion_live *l, const struct nk_strlist *torrc, struct nk_diag *diag)
{
    const char *lost = dropped(l, torrc);
    bool clients = false, safe = torrc ? !lost : l->dirs.n == 0;
    for (size_t i = 0; i < l->n; i++) {
        clients = clients || (is_client_dir(l, i) && is_new(l, i));
    }
    if (l->tell == ONION_LIVE_RELOAD && lost) {
        nk_fail(diag, NK_ECONFIG,
                "when tor reads its torrc again it drops the service in %s, which is not there "
                "(SETCONF has made it)",
                lost);
        nk_hint(diag, "'netkit tor conf save' writes it there; 'netkit onion delete' ends it");
        return NK_ECONFIG;
    }
    if (safe && (l->tell != ONION_LIVE_UNKNOWN || clients)) {
        l->tell = ONION_LIVE_RELOAD;
    } else if (lost && (l->tell != ONION_LIVE_UNKNOWN || clients)) {
        nk_info(nk_app_log(l->conf.app), "hs",
                "a reload would drop the service in %s, which tor's torrc has not: tor is told in "
                "another way",
                lost);
    }
    return 0;
}

static enum onion_live_way way_of(const struct onion_live *l, size_t i)
{
    enum onion_live_way now = l->v[i].way;
    if (l->conf.targets->v[i].service) {
        return now == ONION_LIVE_UNKNOWN || now == ONION_LIVE_DETACHED ? now : l->tell;
    }
    if (!is_client_dir(l, i)) {
        return ONION_LIVE_KEYS;
    }
    return l->tell == ONION_LIVE_RELOAD ? ONION_LIVE_RELOAD
           : is_new(l, i)               ? ONION_LIVE_KEYS
                                        : ONION_LIVE_UNKNOWN;
}

int onion_live_choose(struct onion_live *l, const char *detached, size_t len, const char *torrc,
                      struct nk_diag *diag)
{
    struct nk_strlist in_torrc = {0};
    bool known = torrc && onion_live_torrc(torrc, &in_torrc) == 0;
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < l->n; i++) {
        if (l->conf.targets->v[i].service && is_new(l, i)) {
            rc = choose_service(l, i, detached, len, known ? &in_torrc : NULL, diag);
        }
    }
    rc = rc < 0 ? rc : choose_tell(l, known ? &in_torrc : NULL, diag);
    for (size_t i = 0; rc == 0 && i < l->n; i++) {
        l->v[i].way = way_of(l, i);
    }
    nk_strlist_clear(&in_torrc);
    return rc;
}
