/* SPDX-License-Identifier: MIT */
#include "onion/clients.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/codec.h"

static bool has_key(const struct onion_clients *l, const uint8_t pub[HS_PUBLIC_KEY])
{
    for (size_t i = 0; i < l->n; i++) {
        if (memcmp(l->keys[i], pub, HS_PUBLIC_KEY) == 0) {
            return true;
        }
    }
    return false;
}

static int check_name(const struct onion_clients *l, const char *name, struct nk_diag *diag)
{
    int rc = *name ? hs_slug_check("client", name, diag) : 0;
    for (size_t i = 0; rc == 0 && *name && i < l->n; i++) {
        if (strcmp(l->names[i], name) == 0) {
            rc = nk_fail(diag, -EEXIST, "the client '%s' has two keys", name);
        }
    }
    return rc;
}

static int append(struct onion_clients *l, const char *name, const uint8_t pub[HS_PUBLIC_KEY])
{
    void *keys = reallocarray(l->keys, l->n + 1, sizeof(*l->keys));
    if (!keys) {
        return -ENOMEM;
    }
    l->keys = keys;
    void *names = reallocarray(l->names, l->n + 1, sizeof(*l->names));
    if (!names) {
        return -ENOMEM;
    }
    l->names = names;
    memcpy(l->keys[l->n], pub, HS_PUBLIC_KEY);
    snprintf(l->names[l->n], sizeof(l->names[0]), "%s", name);
    l->n++;
    return 0;
}

int onion_clients_add(struct onion_clients *l, const char *name, const uint8_t pub[HS_PUBLIC_KEY],
                      struct nk_diag *diag)
{
    struct hs_client key;
    int rc = hs_client_from_public(&key, pub, diag);
    if (rc < 0 || has_key(l, pub)) {
        return rc;
    }
    rc = check_name(l, name, diag);
    if (rc == 0 && l->n >= ONION_CLIENTS_MAX) {
        rc = nk_fail(diag, NK_ETOOBIG, "a service has at most %d clients", ONION_CLIENTS_MAX);
    }
    if (rc < 0) {
        return rc;
    }
    rc = append(l, name, pub);
    return rc < 0 ? nk_fail_sys(diag, rc, "a client") : 0;
}

/* A key in base32 alone, which here can be the public half only. */
static bool is_bare_key(const char *from)
{
    uint8_t key[HS_PUBLIC_KEY];
    struct stat st;
    return strlen(from) == NK_BASE32_SIZE(HS_PUBLIC_KEY) - 1 &&
           nk_base32_decode(key, sizeof(key), from, strlen(from)) == (ssize_t)sizeof(key) &&
           lstat(from, &st) < 0;
}

int onion_clients_load(struct onion_clients *l, const char *from, struct nk_log *log,
                       struct nk_diag *diag)
{
    char line[64 + NK_BASE32_SIZE(HS_PUBLIC_KEY)], name[HS_SLUG_MAX + 1];
    uint8_t pub[HS_PUBLIC_KEY];
    int rc = hs_legacy_check(from, strlen(from), diag);
    if (rc == 0 && is_bare_key(from)) {
        snprintf(line, sizeof(line), "descriptor:x25519:%s", from);
        from = line;
    }
    rc = rc < 0 ? rc : hs_auth_load_public(from, pub, name, log, diag);
    if (rc == 0 && !hs_slug_ok(name, strlen(name))) {
        name[0] = '\0'; /* tor takes any file name, and a name is not needed */
    }
    rc = rc < 0 ? rc : onion_clients_add(l, name, pub, diag);
    l->restricted = l->restricted || rc == 0;
    return rc;
}

int onion_clients_line(const char *from, struct nk_buf *out, struct nk_log *log,
                       struct nk_diag *diag)
{
    char key[NK_BASE32_SIZE(HS_PUBLIC_KEY)];
    struct onion_clients one = {0};
    int rc = onion_clients_load(&one, from, log, diag);
    if (rc == 0) {
        nk_base32_encode(key, one.keys[0], HS_PUBLIC_KEY);
        rc = nk_buf_printf(out, "descriptor:x25519:%s", key);
        rc = rc < 0 ? nk_fail_sys(diag, rc, "a client's key") : 0;
    }
    onion_clients_clear(&one);
    return rc;
}

static int take_list(struct onion_clients *l, const struct hs_auth_list *from, struct nk_diag *diag)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < from->n; i++) {
        const struct hs_auth_client *c = &from->v[i];
        if (hs_auth_counts(c)) {
            bool ok = hs_slug_ok(c->name, strlen(c->name));
            rc = onion_clients_add(l, ok ? c->name : "", c->pub, diag);
        }
    }
    return rc;
}

/* Whoever can write there can let himself in. */
static int check_dir(const struct hs_auth *a, struct nk_diag *diag)
{
    struct stat st;
    if (fstat(a->on.fd, &st) < 0) {
        return nk_fail_sys(diag, -errno, "%s", a->on.path);
    }
    if (st.st_mode & (S_IWGRP | S_IWOTH)) {
        nk_fail(diag, NK_EBADMODE, "%s can be changed by others (mode %04o)", a->on.path,
                (unsigned)(st.st_mode & 07777));
        nk_hint(diag, "chmod go-w %s", a->on.path);
        return NK_EBADMODE;
    }
    return 0;
}

int onion_clients_read_dir(struct onion_clients *l, const char *dir, struct nk_log *log,
                           struct nk_diag *diag)
{
    struct onion_clients found = {.restricted = true};
    struct hs_auth_list list = {0};
    struct hs_findings findings = {0};
    struct hs_auth a;
    int rc = hs_auth_open_key_dir(&a, dir, HS_AUTH_READ, diag);
    rc = rc < 0 ? rc : check_dir(&a, diag);
    rc = rc < 0 ? rc : hs_auth_list_read(&list, &a, &findings, diag);
    rc = rc < 0 ? rc : take_list(&found, &list, diag);
    if (rc == 0) {
        hs_log_findings(log, &findings);
        rc = onion_clients_join(l, &found, diag);
    }
    onion_clients_clear(&found);
    hs_findings_clear(&findings);
    hs_auth_list_clear(&list);
    hs_auth_close(&a);
    return rc;
}

int onion_clients_join(struct onion_clients *l, const struct onion_clients *from,
                       struct nk_diag *diag)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < from->n; i++) {
        rc = onion_clients_add(l, from->names[i], from->keys[i], diag);
    }
    l->restricted = l->restricted || from->restricted;
    return rc;
}

void onion_clients_drop(struct onion_clients *l, const uint8_t pub[HS_PUBLIC_KEY])
{
    size_t kept = 0;
    for (size_t i = 0; i < l->n; i++) {
        if (memcmp(l->keys[i], pub, HS_PUBLIC_KEY) != 0) {
            memmove(l->keys[kept], l->keys[i], sizeof(l->keys[0]));
            memmove(l->names[kept], l->names[i], sizeof(l->names[0]));
            kept++;
        }
    }
    l->n = kept;
}

bool onion_clients_same(const struct onion_clients *a, const struct onion_clients *b)
{
    if (!a->restricted || !b->restricted) {
        return a->restricted == b->restricted;
    }
    bool same = a->n == b->n;
    for (size_t i = 0; same && i < a->n; i++) {
        same = has_key(b, a->keys[i]);
    }
    return same;
}

void onion_clients_spec(struct onion_clients *l, struct onion_spec *s)
{
    static const uint8_t unset[HS_PUBLIC_KEY];
    s->restricted = l->restricted;
    s->clients = l->keys;
    s->nclients = l->restricted ? l->n : 0;
    if (l->restricted && l->n == 0) {
        if (memcmp(l->nobody, unset, sizeof(unset)) == 0) {
            hs_auth_nobody(l->nobody);
        }
        s->clients = &l->nobody;
        s->nclients = 1;
    }
}

void onion_clients_json(const struct onion_clients *l, struct nk_json *j)
{
    nk_json_kv_bool(j, "restricted", l->restricted);
    nk_json_key(j, "clients");
    nk_json_array(j);
    for (size_t i = 0; l->restricted && i < l->n; i++) {
        char mark[HS_FINGERPRINT_SIZE], key[NK_BASE32_SIZE(HS_PUBLIC_KEY)];
        hs_client_fingerprint(mark, l->keys[i]);
        nk_base32_encode(key, l->keys[i], HS_PUBLIC_KEY);
        nk_json_object(j);
        nk_json_kv_str(j, "name", *l->names[i] ? l->names[i] : NULL);
        nk_json_kv_str(j, "fingerprint", mark);
        nk_json_kv_str(j, "key", key);
        nk_json_close(j);
    }
    nk_json_close(j);
}

int onion_clients_print(const struct onion_clients *l, struct nk_buf *out)
{
    if (!l->restricted) {
        return nk_buf_puts(out, "open to everybody\n");
    }
    int rc = l->n ? 0 : nk_buf_puts(out, "nobody is authorized\n");
    for (size_t i = 0; rc == 0 && i < l->n; i++) {
        char mark[HS_FINGERPRINT_SIZE];
        hs_client_fingerprint(mark, l->keys[i]);
        rc = nk_buf_printf(out, "%s  %s\n", mark, *l->names[i] ? l->names[i] : "-");
    }
    return rc;
}

void onion_clients_clear(struct onion_clients *l)
{
    free(l->keys);
    free(l->names);
    *l = (struct onion_clients){0};
}
