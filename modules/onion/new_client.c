/* SPDX-License-Identifier: MIT */
#include "onion/new_client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/codec.h"
#include "base/secret.h"

enum { LINE = 64 + NK_BASE32_SIZE(HS_PUBLIC_KEY) /* characters of a client's public line */ };

static const char *const version2[] = {"basic:", "stealth:"};

/* What stands behind a word of version 2. */
static const char *skip_legacy(const char *word, struct nk_log *log)
{
    for (size_t i = 0; i < sizeof(version2) / sizeof(*version2); i++) {
        size_t n = strlen(version2[i]);
        if (strncmp(word, version2[i], n) == 0) {
            nk_warn(log, "onion",
                    "'%.*s' is a word of version 2: version 3 has one kind of client "
                    "authorization, with keys, and hides the service as 'stealth' did",
                    (int)n - 1, word);
            return word + n;
        }
    }
    return word;
}

static int set_file(struct onion_new_client *c, const char *file, struct nk_diag *diag)
{
    int n = *file ? snprintf(c->file, sizeof(c->file), "%s", file)
                  : snprintf(c->file, sizeof(c->file), "%s" HS_CLIENT_DIR_SUFFIX, c->name);
    if (n < 0 || (size_t)n >= sizeof(c->file)) {
        return nk_fail(diag, NK_ETOOBIG, "the path %.64s.. is too long", file);
    }
    if (access(c->file, F_OK) ==
        0) { /* writing makes sure of it; this is before anything happens */
        nk_fail(diag, -EEXIST, "%s exists, and stays as it is", c->file);
        nk_hint(diag, "a client that was made before is let in by its public half: --client-auth");
        return -EEXIST;
    }
    return 0;
}

/* One "NAME[=FILE]" of n characters. */
static int make(struct onion_new_clients *l, const char *word, size_t n, struct onion_clients *into,
                struct nk_diag *diag)
{
    struct onion_new_client *v = reallocarray(l->v, l->n + 1, sizeof(*v));
    if (!v) {
        return nk_fail(diag, -ENOMEM, "out of memory");
    }
    l->v = v;
    struct onion_new_client *c = &v[l->n];
    *c = (struct onion_new_client){.name = ""};
    const char *equals = memchr(word, '=', n);
    size_t len = equals ? (size_t)(equals - word) : n;
    char file[NK_PATH_MAX] = "";
    if (len > HS_SLUG_MAX || n - len > sizeof(file)) {
        return nk_fail(diag, NK_EUSAGE, "%.64s..: the name or the file's path is too long", word);
    }
    memcpy(c->name, word, len);
    if (equals) {
        memcpy(file, equals + 1, n - len - 1);
    }
    int rc = hs_slug_check("client", c->name, diag);
    rc = rc < 0 ? rc : set_file(c, file, diag);
    if (rc == 0 && (rc = hs_client_new(&c->key)) < 0) {
        (void)nk_fail(diag, rc, "cannot make a key");
    }
    rc = rc < 0 ? rc : onion_clients_add(into, c->name, c->key.pub, diag);
    if (rc < 0) {
        hs_client_wipe(&c->key);
        return rc;
    }
    l->n++;
    return 0;
}

int onion_new_clients_make(struct onion_new_clients *l, const struct nk_strlist *words,
                           struct onion_clients *into, struct nk_log *log, struct nk_diag *diag)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < words->n; i++) {
        const char *word = skip_legacy(words->v[i], log);
        bool several = word != words->v[i]; /* version 2: a list of names */
        for (bool more = true; rc == 0 && more;) {
            size_t n = several ? strcspn(word, ",") : strlen(word);
            rc = make(l, word, n, into, diag);
            more = word[n] == ',';
            word += n + more;
        }
    }
    into->restricted = into->restricted || l->n > 0;
    return rc;
}

static int write_one(const struct onion_new_client *c, const uint8_t address[HS_PUBLIC_KEY],
                     struct nk_diag *diag)
{
    struct hs_item item;
    struct nk_buf text;
    nk_buf_init_secret(&text, HS_FORMAT_MAX);
    hs_item_from_client(&item, &c->key, address);
    int rc = hs_format_write(&item, HS_AUTH_PRIVATE, &text, diag);
    rc = rc < 0 ? rc : nk_file_write(c->file, 0, nk_buf_ptr(&text), nk_buf_len(&text), diag);
    hs_item_wipe(&item);
    nk_buf_clear(&text);
    return rc;
}

int onion_new_clients_write(const struct onion_new_clients *l, const uint8_t address[HS_PUBLIC_KEY],
                            struct nk_log *log, struct nk_diag *diag)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < l->n; i++) {
        rc = write_one(&l->v[i], address, diag);
        if (rc == 0) {
            nk_audit(log, "onion", NK_LOG_INFO, "key.created", NULL, "client %s, in %s",
                     l->v[i].name, l->v[i].file);
        }
    }
    return rc;
}

static void public_line(char out[LINE], const struct onion_new_client *c)
{
    char key[NK_BASE32_SIZE(HS_PUBLIC_KEY)];
    nk_base32_encode(key, c->key.pub, HS_PUBLIC_KEY);
    snprintf(out, LINE, "descriptor:x25519:%s", key);
}

void onion_new_clients_json(const struct onion_new_clients *l, struct nk_json *j)
{
    char line[LINE];
    if (l->n == 0) {
        return;
    }
    nk_json_key(j, "new_clients");
    nk_json_array(j);
    for (size_t i = 0; i < l->n; i++) {
        public_line(line, &l->v[i]);
        nk_json_object(j);
        nk_json_kv_str(j, "name", l->v[i].name);
        nk_json_kv_str(j, "file", l->v[i].file);
        nk_json_kv_str(j, "line", line);
        nk_json_close(j);
    }
    nk_json_close(j);
}

int onion_new_clients_print(const struct onion_new_clients *l, struct nk_buf *out)
{
    char line[LINE];
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < l->n; i++) {
        const struct onion_new_client *c = &l->v[i];
        public_line(line, c);
        rc = nk_buf_printf(out,
                           "client %s: give it %s, which is secret; it is used by one of\n"
                           "    netkit hsc import %s          # then tor:ADDRESS finds it\n"
                           "    netkit onion auth add --key %s\n"
                           "    cp %s ClientOnionAuthDir/     # of tor, which reloads then\n"
                           "  and let in again, another time, by --client-auth %s\n",
                           c->name, c->file, c->file, c->file, c->file, line);
    }
    return rc;
}

void onion_new_clients_clear(struct onion_new_clients *l)
{
    for (size_t i = 0; i < l->n; i++) {
        hs_client_wipe(&l->v[i].key);
    }
    free(l->v);
    *l = (struct onion_new_clients){0};
}
