/* SPDX-License-Identifier: MIT */
#include "hs/where.h"

#include <stdio.h>
#include <string.h>

#include "hs/client_dir.h"
#include "hs/ctor_dir.h"
#include "hs/keystore.h"

enum { LIST_MAX = 160 }; /* characters of the IDs in a message */

#define HS_STORE_CHOICE(constant, name) name,
static const char *const formats[] = {HS_STORES(HS_STORE_CHOICE) NULL};
#undef HS_STORE_CHOICE

static const struct nk_opt rows[] = {
    {.name = "dir",
     .type = NK_OPT_PATH,
     .offset = NK_FIELD(struct hs_keystore_conf, dir),
     .arg = "DIR",
     .flags = NK_OPT_REQUIRED | NK_OPT_RELOAD | NK_OPT_MAY_MISS,
     .help =
         "Directory of the keys: arti's keystore, or tor's ClientOnionAuthDir (for netkit hss: a "
         "HiddenServiceDir)"},
    {.name = "format",
     .type = NK_OPT_ENUM,
     .offset = NK_FIELD(struct hs_keystore_conf, format),
     .arg = "FORMAT",
     .def = "arti",
     .choices = formats,
     .flags = NK_OPT_RELOAD,
     .help = "Whose directory it is"},
    NK_OPT_END};

const struct nk_section hs_keystore_section = {
    .name = "keystore",
    .named = true,
    .summary = "A directory of onion-service keys that commands can name",
    .opts = rows,
    .conf_size = sizeof(struct hs_keystore_conf),
    .reload = true,
};

static int set(struct hs_where *out, enum hs_store_kind kind, const char *dir, struct nk_diag *diag)
{
    size_t n = strlen(dir);
    if (n == 0) {
        return nk_fail(diag, NK_EUSAGE, "the keystore's directory is empty");
    }
    if (n >= sizeof(out->dir)) {
        return nk_fail(diag, NK_ETOOBIG, "the path %.64s.. is too long", dir);
    }
    out->kind = kind;
    memcpy(out->dir, dir, n + 1);
    return 0;
}

static int from_section(struct hs_where *out, const struct hs_keystore_conf *c,
                        struct nk_diag *diag)
{
    return set(out, (enum hs_store_kind)c->format, c->dir, diag);
}

static bool has_client_keys(const struct hs_place *p, int *rc, struct nk_diag *diag)
{
    struct hs_names names;
    bool found = false;
    *rc = hs_place_list(p, &names, diag);
    for (size_t i = 0; *rc == 0 && i < names.n && !found; i++) {
        found = hs_client_dir_is_key(names.v[i]);
    }
    hs_names_clear(&names);
    return found;
}

int hs_where_look(struct hs_where *out, const char *dir, struct nk_diag *diag)
{
    struct hs_place p;
    int rc = hs_place_open(&p, dir, 0, diag);
    if (rc == -ENOENT) {
        return set(out, HS_STORE_ARTI, dir, diag);
    }
    if (rc < 0) {
        return rc;
    }
    if (hs_place_has(&p,
                     HS_KEYSTORE_DIR)) { /* first: arti's state directory has a folder hss, too */
        char sub[NK_PATH_MAX];
        rc = nk_path_join(sub, sizeof(sub), dir, HS_KEYSTORE_DIR) < 0
                 ? nk_fail(diag, NK_ETOOBIG, "the path %.64s.. is too long", dir)
                 : set(out, HS_STORE_ARTI, sub, diag);
    } else {
        bool arti = hs_place_has(&p, "client") || hs_place_has(&p, "hss");
        bool ctor =
            !arti && (hs_place_has(&p, HS_CTOR_SECRET_FILE) ||
                      hs_place_has(&p, HS_CTOR_PUBLIC_FILE) || has_client_keys(&p, &rc, diag));
        rc = rc < 0 ? rc : set(out, ctor ? HS_STORE_CTOR : HS_STORE_ARTI, dir, diag);
    }
    hs_place_close(&p);
    return rc;
}

static bool is_directory(const char *path)
{
    struct hs_place p;
    bool is = hs_place_open(&p, path, 0, NULL) == 0;
    hs_place_close(&p);
    return is;
}

static int unknown(const char *given, const struct nk_conf *ini, struct nk_diag *diag)
{
    char list[LIST_MAX] = "";
    const char *id;
    int rc = nk_fail(diag, NK_EUSAGE, "there is no [keystore %.64s], and no such directory", given);
    for (size_t i = 0; ini && (id = nk_conf_name_at(ini, hs_keystore_section.name, i)); i++) {
        size_t n = strlen(list);
        snprintf(list + n, sizeof(list) - n, "%s%s", i ? ", " : "", id);
    }
    nk_hint(diag, "keystores that the configuration has: %s; a directory is written with a '/'",
            *list ? list : "none");
    return rc;
}

int hs_where_find(struct hs_where *out, const char *given, const struct nk_conf *ini,
                  const char *state_dir, struct nk_diag *diag)
{
    const struct hs_keystore_conf *c =
        ini ? nk_conf_get(ini, hs_keystore_section.name, given ? given : HS_KEYSTORE_DEFAULT)
            : NULL;
    char dir[NK_PATH_MAX];
    if (c) {
        return from_section(out, c, diag);
    }
    if (!given) {
        return nk_path_join(dir, sizeof(dir), state_dir, HS_KEYSTORE_DIR) < 0
                   ? nk_fail(diag, NK_ETOOBIG, "the state directory's path is too long")
                   : set(out, HS_STORE_ARTI, dir, diag);
    }
    for (unsigned kind = 0; kind < HS_NSTORES; kind++) {
        size_t n = strlen(formats[kind]);
        if (strncmp(given, formats[kind], n) == 0 && given[n] == ':') {
            return set(out, (enum hs_store_kind)kind, given + n + 1, diag);
        }
    }
    return strchr(given, '/') || is_directory(given) ? hs_where_look(out, given, diag)
                                                     : unknown(given, ini, diag);
}
