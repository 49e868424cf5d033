/* SPDX-License-Identifier: MIT */
#include "hs/backup.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "base/codec.h"
#include "base/cur.h"

static const char magic[] = "netkit-hs-backup"; /* without its NUL */

enum {
    MAGIC = sizeof(magic) - 1,
    KDF_ARGON2ID = 1,
    HEADER = MAGIC + 1 + 1 + 4 + 8 + crypto_pwhash_SALTBYTES + crypto_secretbox_NONCEBYTES,
    CLIENT_LEAST = 2 + 1 + HS_PUBLIC_KEY + 1, /* bytes of a client, of a service in the contents */
    SERVICE_LEAST = 2 + 1 + HS_EXPANDED + 4
};

struct header {
    struct hs_backup_cost cost;
    uint8_t salt[crypto_pwhash_SALTBYTES];
    uint8_t nonce[crypto_secretbox_NONCEBYTES];
};

/* --- the contents ------------------------------------------------------------------------------
 */

bool hs_backup_name_ok(const char *name, size_t len)
{
    bool ok = len >= 1 && len <= HS_BACKUP_NAME && name[0] != '.' && nk_utf8_valid(name, len);
    for (size_t i = 0; i < len && ok; i++) {
        ok = (unsigned char)name[i] >= ' ' && name[i] != 0x7f && name[i] != '/';
    }
    return ok;
}

static bool is_name(const char *have, const char *name, size_t len)
{
    return strlen(have) == len && memcmp(have, name, len) == 0;
}

/* Room for one more of size bytes behind n; memory doubles, and what is left is wiped. */
static int grow(void **v, size_t n, size_t size)
{
    if ((n & (n - 1)) != 0) {
        return 0;
    }
    void *more = calloc(n ? 2 * n : 1, size);
    if (!more) {
        return -ENOMEM;
    }
    if (n) {
        memcpy(more, *v, n * size);
        nk_free_wiped(*v, n * size);
    }
    *v = more;
    return 0;
}

int hs_backup_add_service(struct hs_backup *b, const char *name, size_t len,
                          const struct hs_identity *k)
{
    if (!hs_backup_name_ok(name, len)) {
        return NK_EFORMAT;
    }
    if (b->n == HS_BACKUP_SERVICES) {
        return NK_ELIMIT;
    }
    for (size_t i = 0; i < b->n; i++) {
        if (is_name(b->services[i].name, name, len)) {
            return -EEXIST;
        }
    }
    void *v = b->services;
    char *copy = strndup(name, len);
    if (!copy || grow(&v, b->n, sizeof(*b->services)) < 0) {
        free(copy);
        return -ENOMEM;
    }
    b->services = v;
    b->services[b->n++] = (struct hs_backup_service){.name = copy, .identity = *k};
    return 0;
}

int hs_backup_add_client(struct hs_backup *b, const char *name, size_t len,
                         const uint8_t pub[HS_PUBLIC_KEY], bool enabled)
{
    struct hs_backup_service *s = &b->services[b->n - 1];
    if (!hs_backup_name_ok(name, len)) {
        return NK_EFORMAT;
    }
    if (s->nclients == HS_BACKUP_CLIENTS) {
        return NK_ELIMIT;
    }
    for (size_t i = 0; i < s->nclients; i++) {
        if (is_name(s->clients[i].name, name, len) && s->clients[i].enabled == enabled) {
            return -EEXIST;
        }
    }
    void *v = s->clients;
    char *copy = strndup(name, len);
    if (!copy || grow(&v, s->nclients, sizeof(*s->clients)) < 0) {
        free(copy);
        return -ENOMEM;
    }
    s->clients = v;
    struct hs_backup_client *c = &s->clients[s->nclients++];
    *c = (struct hs_backup_client){.name = copy, .enabled = enabled};
    memcpy(c->pub, pub, sizeof(c->pub));
    return 0;
}

void hs_backup_clear(struct hs_backup *b)
{
    for (size_t i = 0; i < b->n; i++) {
        struct hs_backup_service *s = &b->services[i];
        for (size_t j = 0; j < s->nclients; j++) {
            free(s->clients[j].name);
        }
        free(s->clients);
        free(s->name);
    }
    nk_free_wiped(b->services, b->n * sizeof(*b->services));
    *b = (struct hs_backup){0};
}

static int put_name(struct nk_buf *out, const char *name)
{
    const size_t n = strlen(name);
    int rc = nk_buf_be16(out, (uint16_t)n);
    return rc < 0 ? rc : nk_buf_put(out, name, n);
}

static int put_client(struct nk_buf *out, const struct hs_backup_client *c)
{
    int rc = put_name(out, c->name);
    rc = rc < 0 ? rc : nk_buf_put(out, c->pub, sizeof(c->pub));
    return rc < 0 ? rc : nk_buf_u8(out, c->enabled);
}

int hs_backup_encode(const struct hs_backup *b, struct nk_buf *out)
{
    int rc = nk_buf_be32(out, (uint32_t)b->n);
    for (size_t i = 0; i < b->n && rc == 0; i++) {
        const struct hs_backup_service *s = &b->services[i];
        rc = put_name(out, s->name);
        rc = rc < 0 ? rc : nk_buf_put(out, s->identity.secret, sizeof(s->identity.secret));
        rc = rc < 0 ? rc : nk_buf_be32(out, (uint32_t)s->nclients);
        for (size_t j = 0; j < s->nclients && rc == 0; j++) {
            rc = put_client(out, &s->clients[j]);
        }
    }
    return rc;
}

static int damaged(struct nk_diag *diag, const char *why)
{
    return nk_fail(diag, NK_EFORMAT, "backup: %s", why);
}

/* What adding to a backup that is being read can say. */
static int added(int rc, struct nk_diag *diag)
{
    switch (rc) {
    case 0:
        return 0;
    case -EEXIST:
        return damaged(diag, "a name stands in it twice");
    case NK_EFORMAT:
        return damaged(diag, "a name in it could be none of a file");
    default:
        return nk_fail_sys(diag, rc, "backup");
    }
}

static int decode_client(struct nk_cur *c, struct hs_backup *b, struct nk_diag *diag)
{
    const uint16_t len = nk_cur_be16(c);
    const uint8_t *name = nk_cur_bytes(c, len);
    const uint8_t *pub = nk_cur_bytes(c, HS_PUBLIC_KEY);
    const uint8_t enabled = nk_cur_u8(c);
    struct hs_client k;
    if (c->failed || enabled > 1) {
        return damaged(diag, "a client in it is cut off or malformed");
    }
    int rc = hs_client_from_public(&k, pub, diag);
    if (rc < 0) {
        nk_fail_context(diag, "backup: a client's key");
        return rc;
    }
    return added(hs_backup_add_client(b, (const char *)name, len, pub, enabled), diag);
}

static int decode_service(struct nk_cur *c, struct hs_backup *b, struct nk_diag *diag)
{
    const uint16_t len = nk_cur_be16(c);
    const uint8_t *name = nk_cur_bytes(c, len);
    const uint8_t *expanded = nk_cur_bytes(c, HS_EXPANDED);
    const uint32_t clients = nk_cur_be32(c);
    struct hs_identity k;
    if (c->failed || clients > HS_BACKUP_CLIENTS || clients > nk_cur_left(c) / CLIENT_LEAST) {
        return damaged(diag, "a service in it is cut off or malformed");
    }
    int rc = hs_identity_from_expanded(&k, expanded, diag);
    if (rc < 0) {
        nk_fail_context(diag, "backup: a service's key");
        return rc;
    }
    rc = added(hs_backup_add_service(b, (const char *)name, len, &k), diag);
    hs_identity_wipe(&k);
    for (uint32_t i = 0; i < clients && rc == 0; i++) {
        rc = decode_client(c, b, diag);
    }
    return rc;
}

int hs_backup_decode(const void *p, size_t n, struct hs_backup *out, struct nk_diag *diag)
{
    struct hs_backup b = {0};
    struct nk_cur c;
    nk_cur_init(&c, p, n);
    const uint32_t services = nk_cur_be32(&c);
    int rc = 0;
    if (c.failed || services > HS_BACKUP_SERVICES || services > nk_cur_left(&c) / SERVICE_LEAST) {
        rc = damaged(diag, "its number of services is wrong");
    }
    for (uint32_t i = 0; i < services && rc == 0; i++) {
        rc = decode_service(&c, &b, diag);
    }
    if (rc == 0 && !nk_cur_done(&c)) {
        rc = damaged(diag, "there is more behind its end");
    }
    if (rc < 0) {
        hs_backup_clear(&b);
        return rc;
    }
    *out = b;
    return 0;
}

/* --- the box -----------------------------------------------------------------------------------
 */

static int put_header(struct nk_buf *out, const struct header *h)
{
    int rc = nk_buf_put(out, magic, MAGIC);
    rc = rc < 0 ? rc : nk_buf_u8(out, HS_BACKUP_VERSION);
    rc = rc < 0 ? rc : nk_buf_u8(out, KDF_ARGON2ID);
    rc = rc < 0 ? rc : nk_buf_be32(out, h->cost.passes);
    rc = rc < 0 ? rc : nk_buf_be64(out, h->cost.memory);
    rc = rc < 0 ? rc : nk_buf_put(out, h->salt, sizeof(h->salt));
    return rc < 0 ? rc : nk_buf_put(out, h->nonce, sizeof(h->nonce));
}

static int read_header(const void *p, size_t n, struct header *out, struct nk_diag *diag)
{
    struct header h;
    struct nk_cur c;
    nk_cur_init(&c, p, n);
    const uint8_t *begin = nk_cur_bytes(&c, MAGIC);
    if (!begin || memcmp(begin, magic, MAGIC) != 0) {
        return nk_fail(diag, NK_EFORMAT, "this is no backup of 'netkit hs backup'");
    }
    const uint8_t version = nk_cur_u8(&c), kdf = nk_cur_u8(&c);
    if (!c.failed && (version != HS_BACKUP_VERSION || kdf != KDF_ARGON2ID)) {
        return nk_fail(diag, NK_EVERSION,
                       "backup: version %d.%d is not known, this netkit has %d.%d", version, kdf,
                       HS_BACKUP_VERSION, KDF_ARGON2ID);
    }
    h.cost.passes = nk_cur_be32(&c);
    h.cost.memory = nk_cur_be64(&c);
    if (!nk_cur_copy(&c, h.salt, sizeof(h.salt)) || !nk_cur_copy(&c, h.nonce, sizeof(h.nonce)) ||
        nk_cur_left(&c) < crypto_secretbox_MACBYTES) {
        return damaged(diag, "it is cut off");
    }
    if (h.cost.passes < 1 || h.cost.passes > HS_BACKUP_PASSES_MAX ||
        h.cost.memory < HS_BACKUP_MEMORY_MIN || h.cost.memory > HS_BACKUP_MEMORY_MAX) {
        return nk_fail(diag, NK_ELIMIT,
                       "backup: %u passes over %llu bytes are more than a password may cost here",
                       h.cost.passes, (unsigned long long)h.cost.memory);
    }
    *out = h;
    return 0;
}

int hs_backup_cost_read(const void *p, size_t n, struct hs_backup_cost *out, struct nk_diag *diag)
{
    struct header h;
    int rc = read_header(p, n, &h, diag);
    if (rc == 0) {
        *out = h.cost;
    }
    return rc;
}

/* The box's key into guarded memory. */
static int make_key(struct nk_secret *key, const struct header *h, const struct nk_secret *password,
                    struct nk_diag *diag)
{
    struct nk_buf header;
    struct nk_secret stretched = {0};
    nk_buf_init(&header, HEADER);
    int rc = put_header(&header, h);
    rc = rc < 0 ? rc : nk_secret_alloc(&stretched, crypto_generichash_KEYBYTES);
    rc = rc < 0 ? rc : nk_secret_alloc(key, crypto_secretbox_KEYBYTES);
    if (rc == 0 && crypto_pwhash(stretched.data, stretched.len, (const char *)password->data,
                                 password->len, h->salt, h->cost.passes, (size_t)h->cost.memory,
                                 crypto_pwhash_ALG_ARGON2ID13) != 0) {
        rc = -ENOMEM; /* the one thing that can go wrong here */
    }
    if (rc == 0) {
        (void)crypto_generichash(key->data, key->len, nk_buf_ptr(&header), nk_buf_len(&header),
                                 stretched.data, stretched.len);
    }
    nk_secret_clear(&stretched);
    nk_buf_clear(&header);
    return rc < 0 ? nk_fail_sys(diag, rc, "stretching the password (%llu MiB)",
                                (unsigned long long)(h->cost.memory >> 20))
                  : 0;
}

int hs_backup_seal(const struct hs_backup *b, const struct nk_secret *password,
                   const struct hs_backup_cost *cost, struct nk_buf *out, struct nk_diag *diag)
{
    struct header h = {.cost = *cost};
    struct nk_secret key = {0};
    struct nk_buf clear, sealed;
    uint8_t *box = NULL;
    nk_buf_init_secret(&clear, HS_BACKUP_MAX - HEADER - crypto_secretbox_MACBYTES);
    nk_buf_init(&sealed, HS_BACKUP_MAX - HEADER); /* its own: libsodium wants it aligned */
    nk_random(h.salt, sizeof(h.salt));
    nk_random(h.nonce, sizeof(h.nonce));
    int rc = hs_backup_encode(b, &clear);
    const size_t n = nk_buf_len(&clear);
    rc = rc < 0 ? rc : nk_buf_reserve(&sealed, n + crypto_secretbox_MACBYTES, &box);
    rc = rc < 0 ? nk_fail_sys(diag, rc, "backup") : make_key(&key, &h, password, diag);
    if (rc == 0) {
        (void)crypto_secretbox_easy(box, nk_buf_ptr(&clear), n, h.nonce, key.data);
        rc = put_header(out, &h);
        rc = rc < 0 ? rc : nk_buf_put(out, box, n + crypto_secretbox_MACBYTES);
        rc = rc < 0 ? nk_fail_sys(diag, rc, "backup") : 0;
    }
    nk_secret_clear(&key);
    nk_buf_clear(&sealed);
    nk_buf_clear(&clear);
    return rc;
}

int hs_backup_open(const void *p, size_t n, const struct nk_secret *password, struct hs_backup *out,
                   struct nk_diag *diag)
{
    struct header h;
    struct nk_secret key = {0};
    struct nk_buf box; /* a copy: libsodium wants it aligned, and decrypts it in place */
    int rc =
        n > HS_BACKUP_MAX ? nk_fail_sys(diag, NK_ETOOBIG, "backup") : read_header(p, n, &h, diag);
    if (rc < 0) {
        return rc;
    }
    nk_buf_init_secret(&box, HS_BACKUP_MAX);
    rc = nk_buf_put(&box, (const uint8_t *)p + HEADER, n - HEADER);
    rc = rc < 0 ? nk_fail_sys(diag, rc, "backup") : make_key(&key, &h, password, diag);
    uint8_t *text = nk_buf_ptr(&box);
    if (rc == 0 && crypto_secretbox_open_easy(text, text, n - HEADER, h.nonce, key.data) != 0) {
        rc = nk_fail(diag, NK_EAUTH, "backup: the password is wrong or the file is damaged");
    }
    rc = rc < 0 ? rc : hs_backup_decode(text, n - HEADER - crypto_secretbox_MACBYTES, out, diag);
    nk_secret_clear(&key);
    nk_buf_clear(&box);
    return rc;
}
