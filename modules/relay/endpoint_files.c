/* SPDX-License-Identifier: MIT */
/* One object as a file: its name, its contents, what is told about it. */
#include "relay/endpoint_files.h"

#include <ctype.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/codec.h"

#define GROUP_MAX 120        /* bytes of the group's part of a name, its hash not counted */
#define HASH_BYTES 16        /* crypto_generichash_BYTES_MIN */
#define AGAIN_MAX 1000000000 /* "~N" */
#define LINE_MAX_BYTES                                                                             \
    ((size_t)1 << 20) /* metadata have 64 KiB, and six bytes for each at most                      \
                       */

static const char *const extensions[] = {[RELAY_CONTENT_BYTES] = "bin",
                                         [RELAY_CONTENT_TEXT] = "txt",
                                         [RELAY_CONTENT_JSON] = "json",
                                         [RELAY_CONTENT_PICKLE] = "pickle"};

int relay_endpoint_files_check(enum relay_endpoint_format format, const char *dir,
                               struct nk_diag *diag)
{
    struct stat st;
    if (format != ENDPOINT_FILES) {
        return dir ? nk_fail(diag, NK_EUSAGE, "--dir is for --format files") : 0;
    }
    if (!dir) {
        return nk_fail(diag, NK_EUSAGE, "--format files needs --dir DIR");
    }
    if (stat(dir, &st) < 0) {
        return nk_fail_sys(diag, -errno, "--dir %s", dir);
    }
    return S_ISDIR(st.st_mode) ? 0 : nk_fail_sys(diag, -ENOTDIR, "--dir %s", dir);
}

/* --- names ------------------------------------------------------------------------------------ */

static bool plain(const char *name, size_t at)
{
    unsigned char c = (unsigned char)name[at];
    return (c < 0x80 && isalnum(c)) || c == '_' || (at > 0 && (c == '.' || c == '-'));
}

/* out has room for GROUP_MAX + 1 + 2 * HASH_BYTES + 1. */
static size_t put_group(char *out, const char *name)
{
    static const char digits[] = "0123456789ABCDEF";
    uint8_t hash[HASH_BYTES];
    size_t n = 0, at = 0;
    for (; name[at] && n + 3 <= GROUP_MAX; at++) {
        if (plain(name, at)) {
            out[n++] = name[at];
        } else {
            out[n++] = '%';
            out[n++] = digits[(unsigned char)name[at] >> 4];
            out[n++] = digits[(unsigned char)name[at] & 15];
        }
    }
    if (name[at]) { /* names that begin alike must not become one */
        crypto_generichash(hash, sizeof(hash), (const uint8_t *)name, strlen(name), NULL, 0);
        out[n++] = '~';
        nk_hex_encode(out + n, hash, sizeof(hash));
        n += 2 * sizeof(hash);
    }
    out[n] = '\0';
    return n;
}

static void put_stem(struct relay_endpoint_file *f, const struct relay_client_object *d,
                     const char *group)
{
    static const char *const kinds[] = {[RELAY_KIND_UNKNOWN] = "object",
                                        [RELAY_KIND_RETAINED] = "broadcast",
                                        [RELAY_KIND_BROADCAST] = "broadcast",
                                        [RELAY_KIND_ITEM] = "item"};
    size_t n = group && group[0] ? put_group(f->stem, group) : 0;
    f->count = d->seq == 0;
    int k = snprintf(f->stem + n, sizeof(f->stem) - n, "%s%s-", n > 0 ? "-" : "", kinds[d->kind]);
    if (!f->count && k > 0) {
        n += (size_t)k;
        (void)snprintf(f->stem + n, sizeof(f->stem) - n, "%012" PRIu64, d->seq);
    }
}

/* --- contents --------------------------------------------------------------------------------- */

/* What belongs into the file. v is set for plain Python data. */
static int find_data(struct relay_value_doc *doc, const struct relay_client_object *d,
                     const struct relay_value **v, const uint8_t **p, size_t *n, const char **ext)
{
    *v = NULL;
    *p = d->data;
    *n = d->len;
    *ext = extensions[d->content];
    if (d->content != RELAY_CONTENT_PICKLE) {
        return 0;
    }
    if (relay_value_decode(doc, d->data, d->len) == -ENOMEM) {
        return -ENOMEM;
    }
    *v = relay_value_root(doc);
    if (*v && ((*v)->type == RELAY_VALUE_STR || (*v)->type == RELAY_VALUE_BYTES)) {
        *ext = (*v)->type == RELAY_VALUE_STR ? "txt" : "bin";
        *p = (*v)->u.s.p;
        *n = (*v)->u.s.n;
    }
    return 0;
}

static void put_line(struct relay_endpoint_file *f, const struct relay_client_object *d,
                     const char *group, const struct relay_value *v)
{
    static const char *const types[] = {[RELAY_CONTENT_BYTES] = "bytes",
                                        [RELAY_CONTENT_TEXT] = "str",
                                        [RELAY_CONTENT_JSON] = "json",
                                        [RELAY_CONTENT_PICKLE] = "pickle"};
    struct nk_json j;
    nk_json_init(&j, &f->line, false);
    nk_json_object(&j);
    if (d->lease.wire == RELAY_CLIENT_NATIVE) {
        relay_endpoint_json_origin(&j, d, group);
    }
    nk_json_kv_str(&j, "type", v ? relay_value_type_name(v->type) : types[d->content]);
    nk_json_kv_u64(&j, "bytes", f->len);
    nk_json_close(&j);
    if (nk_json_end(&j) < 0) {
        nk_buf_reset(&f->line); /* relay_endpoint_file_new sees it */
    }
}

int relay_endpoint_file_new(struct relay_endpoint_file **out, struct relay_value_doc *doc,
                            const struct relay_client_object *d, const char *group, bool json)
{
    const struct relay_value *v;
    const uint8_t *p;
    const char *ext;
    size_t n;
    int status = find_data(doc, d, &v, &p, &n, &ext);
    struct relay_endpoint_file *f = status == 0 && n < SIZE_MAX / 2 ? malloc(sizeof(*f) + n) : NULL;
    if (!f) {
        return -ENOMEM;
    }
    *f = (struct relay_endpoint_file){.lease = d->lease, .ext = ext, .json = json, .len = n};
    if (n > 0) {
        memcpy(f->data, p, n);
    }
    put_stem(f, d, group);
    nk_buf_init(&f->line, LINE_MAX_BYTES);
    if (json) {
        put_line(f, d, group, v);
        if (nk_buf_len(&f->line) == 0) {
            relay_endpoint_file_free(f);
            return -ENOMEM;
        }
    }
    *out = f;
    return 0;
}

void relay_endpoint_file_free(struct relay_endpoint_file *f)
{
    if (f) {
        nk_buf_clear(&f->line);
        free(f);
    }
}

/* --- the disk --------------------------------------------------------------------------------- */

/* The n-th name to try. */
static int make_path(struct relay_endpoint_file *f, const char *dir, uint64_t again,
                     uint64_t number)
{
    char name[RELAY_FILE_STEM + 64];
    int n;
    if (f->count) {
        n = snprintf(name, sizeof(name), "%s%012" PRIu64 ".%s", f->stem, number, f->ext);
    } else if (again > 1) {
        n = snprintf(name, sizeof(name), "%s~%" PRIu64 ".%s", f->stem, again, f->ext);
    } else {
        n = snprintf(name, sizeof(name), "%s.%s", f->stem, f->ext);
    }
    return n < (int)sizeof(name) ? nk_path_join(f->path, sizeof(f->path), dir, name) : NK_ETOOBIG;
}

int relay_endpoint_file_write(struct relay_endpoint_file *f, const char *dir, uint64_t *counter,
                              struct nk_diag *diag)
{
    int status = -EEXIST;
    for (uint64_t again = 1; status == -EEXIST && again < AGAIN_MAX; again++) {
        *counter += f->count;
        status = make_path(f, dir, again, *counter);
        if (status < 0) {
            return nk_fail_sys(diag, status, "--dir %s", dir);
        }
        status = nk_file_write(f->path, 0, f->data, f->len, diag);
    }
    if (status < 0) {
        nk_hint(diag, "the object was not acknowledged: it comes again");
    } else if (diag) {
        *diag = (struct nk_diag){0}; /* of names that were taken */
    }
    return status;
}

int relay_endpoint_file_print(const struct relay_endpoint_file *f, struct nk_buf *out)
{
    struct nk_json j;
    struct nk_buf path;
    size_t before = nk_buf_len(out);
    int status;
    if (!f->json) {
        status = nk_buf_puts(out, f->path);
    } else {
        nk_buf_init(&path, 6 * (size_t)NK_PATH_MAX + 16); /* \u00XX */
        nk_json_init(&j, &path, false);
        nk_json_str(&j, f->path);
        status = nk_json_end(&j);
        /* the object was closed without its last member */
        status = status < 0 ? status : nk_buf_put(out, nk_buf_ptr(&f->line), nk_buf_len(&f->line));
        if (status == 0) {
            out->len--;
            status = nk_buf_puts(out, ",\"file\":");
        }
        status = status < 0 ? status : nk_buf_put(out, nk_buf_ptr(&path), nk_buf_len(&path));
        status = status < 0 ? status : nk_buf_u8(out, '}');
        nk_buf_clear(&path);
    }
    if (status == 0) {
        status = nk_buf_u8(out, '\n');
    }
    if (status < 0) {
        out->len = before;
    }
    return status;
}
