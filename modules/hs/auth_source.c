/* SPDX-License-Identifier: MIT */
/* A client's public key, from wherever its service's keeper got it. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "base/file.h"
#include "hs/auth_cli.h"
#include "hs/format.h"

static const char LINE[] = "descriptor:x25519:";

static bool is_line(const void *text, size_t n)
{
    return n >= sizeof(LINE) - 1 && strncasecmp(text, LINE, sizeof(LINE) - 1) == 0;
}

/* QR codes have it in capitals, which tor refuses; a file that is mixed is left to its reader. */
static void undo_capitals(struct nk_buf *text)
{
    uint8_t *p = nk_buf_ptr(text);
    size_t n = nk_buf_len(text);
    if (is_line(p, n) && isupper(p[0])) {
        for (size_t i = 0; i < n; i++) {
            p[i] = (uint8_t)tolower(p[i]);
        }
    }
}

static bool exists(const char *path)
{
    struct stat st;
    return lstat(path, &st) == 0;
}

/* The file that counts in a folder; the one of tor's form has any name. */
static int choose(char out[NK_PATH_MAX], const char *folder, struct nk_log *log,
                  struct nk_diag *diag)
{
    struct hs_place p;
    struct hs_names names;
    const char *line = NULL;
    size_t lines = 0;
    int rc = hs_place_open(&p, folder, 0, diag);
    rc = rc < 0 ? rc : hs_place_list(&p, &names, diag);
    if (rc < 0) {
        hs_place_close(&p);
        return rc;
    }
    for (size_t i = 0; i < names.n; i++) {
        const char *dot = strrchr(names.v[i], '.');
        if (dot && strcmp(dot, HS_AUTH_EXTENSION) == 0) {
            line = names.v[i];
            lines++;
        }
    }
    bool own = hs_place_has(&p, HS_AUTH_ARTI_FILE);
    if (own && lines) {
        nk_warn(log, "hs", "%s has %s and %s: the first one counts", folder, HS_AUTH_ARTI_FILE,
                line);
    }
    if (!own && lines != 1) {
        rc = nk_fail(diag, NK_EUSAGE, "%s has %zu files with a client's public key: name the file",
                     folder, lines);
    } else if (nk_path_join(out, NK_PATH_MAX, folder, own ? HS_AUTH_ARTI_FILE : line) < 0) {
        rc = nk_fail(diag, NK_ETOOBIG, "the path of %s is too long", folder);
    }
    hs_names_clear(&names);
    hs_place_close(&p);
    return rc;
}

static void name_of(char name[HS_SLUG_MAX + 1], const char *path)
{
    const char *slash = strrchr(path, '/');
    const char *base = slash ? slash + 1 : path;
    size_t n = strlen(base), ext = sizeof(HS_AUTH_EXTENSION) - 1;
    name[0] = '\0';
    if (n > ext && n - ext <= HS_SLUG_MAX && strcmp(base + n - ext, HS_AUTH_EXTENSION) == 0) {
        memcpy(name, base, n - ext);
        name[n - ext] = '\0';
    }
}

/* Nothing in these says which half of a key they are; they are taken for the secret one. */
static bool is_bare(enum hs_format f)
{
    return f == HS_BASE32 || f == HS_HEX || f == HS_BASE64;
}

static int parse(const char *from, struct nk_buf *text, const char *path,
                 uint8_t pub[HS_PUBLIC_KEY], struct nk_diag *diag)
{
    const struct hs_hints hints = {.format = HS_DETECT, .kind = HS_CLIENT, .name = path};
    struct hs_item item;
    undo_capitals(text);
    int rc = hs_format_read_as(nk_buf_ptr(text), nk_buf_len(text), &hints, &item, diag);
    if (rc < 0) {
        return nk_fail_context(diag, "%s", is_line(from, strlen(from)) ? "the line" : from);
    }
    if (is_bare(item.format)) {
        rc = nk_fail(diag, NK_EFORMAT, "%s: it could be a public key or a private one", from);
        nk_hint(diag, "write descriptor:x25519: in front of a public key in base32");
    } else if (hs_item_has_secret(&item)) {
        rc = nk_fail(diag, NK_EFORMAT, "%s: this is a client's private key", from);
        nk_hint(diag, "it should never leave the client; the service needs the line "
                      "descriptor:x25519:.. that 'hsc export-pubkey' prints there");
    } else {
        memcpy(pub, item.client.pub, HS_PUBLIC_KEY);
    }
    hs_item_wipe(&item);
    return rc;
}

int hs_auth_load_public(const char *from, uint8_t pub[HS_PUBLIC_KEY], char name[HS_SLUG_MAX + 1],
                        struct nk_log *log, struct nk_diag *diag)
{
    struct stat st;
    struct nk_buf text;
    char inside[NK_PATH_MAX];
    const char *path = from;
    int rc = 0;
    name[0] = '\0';
    nk_buf_init_secret(&text, HS_FORMAT_MAX); /* it may turn out to be one */
    if (is_line(from, strlen(from)) && !exists(from)) {
        path = NULL;
        rc = nk_buf_puts(&text, from);
    } else {
        if (strcmp(from, "-") != 0 && stat(from, &st) == 0 && S_ISDIR(st.st_mode)) {
            rc = choose(inside, from, log, diag);
            path = inside;
        }
        rc = rc < 0 ? rc : nk_file_read(path, 0, &text, diag);
        if (rc == 0) {
            name_of(name, path);
        }
    }
    rc = rc < 0 ? rc : parse(from, &text, path, pub, diag);
    nk_buf_clear(&text);
    return rc;
}
