/* SPDX-License-Identifier: MIT */
#include "hs/vanity_checkpoint.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/json_read.h"
#include "hs/vanity_filter.h"

static const char kind[] = "netkit-vanity"; /* the member that has the version */

void hs_vanity_checkpoint_clear(struct hs_vanity_checkpoint *c)
{
    nk_strlist_clear(&c->patterns);
    nk_strlist_clear(&c->found);
    *c = (struct hs_vanity_checkpoint){0};
}

int hs_vanity_checkpoint_found(struct hs_vanity_checkpoint *c, const char *address)
{
    return nk_strlist_add(&c->found, address, strlen(address));
}

static int wrong(struct nk_diag *diag, const char *field, const char *why)
{
    return nk_fail(diag, NK_EFORMAT, "checkpoint: '%s' %s", field, why);
}

static int get_number(const struct nk_json_value *root, const char *name, uint64_t *out,
                      struct nk_diag *diag)
{
    const struct nk_json_value *v = nk_json_get(root, name);
    if (!v) {
        return wrong(diag, name, "is missing");
    }
    const enum nk_json_type type = nk_json_type(v);
    if (type == NK_JSON_UINT) {
        *out = nk_json_to_uint(v);
    } else if (type == NK_JSON_INT && nk_json_to_int(v) >= 0) {
        *out = (uint64_t)nk_json_to_int(v);
    } else {
        return wrong(diag, name, "is no natural number");
    }
    return 0;
}

static int get_list(const struct nk_json_value *root, const char *name, size_t most,
                    struct nk_strlist *out, struct nk_diag *diag)
{
    const struct nk_json_value *v = nk_json_get(root, name);
    if (!v || nk_json_type(v) != NK_JSON_ARRAY) {
        return wrong(diag, name, v ? "is no list" : "is missing");
    }
    if (nk_json_size(v) > most) {
        return wrong(diag, name, "is too long");
    }
    struct nk_json_walk walk = {.of = v};
    for (const struct nk_json_value *item; (item = nk_json_next(&walk));) {
        size_t n = 0;
        const char *text = nk_json_to_text(item, &n);
        if (!text || strlen(text) != n) {
            return wrong(diag, name, "has something that is no text");
        }
        if (nk_strlist_add(out, text, strlen(text)) < 0) {
            return nk_fail_sys(diag, -ENOMEM, "checkpoint");
        }
    }
    return 0;
}

static int check_version(const struct nk_json_value *root, struct nk_diag *diag)
{
    uint64_t version = 0;
    if (nk_json_type(root) != NK_JSON_OBJECT || !nk_json_get(root, kind)) {
        return nk_fail(diag, NK_EFORMAT, "this is no checkpoint of a search for vanity addresses");
    }
    int rc = get_number(root, kind, &version, diag);
    if (rc == 0 && version != HS_VANITY_CHECKPOINT_VERSION) {
        rc = nk_fail(diag, NK_EVERSION,
                     "checkpoint: version %llu is not known, this netkit has version %d",
                     (unsigned long long)version, HS_VANITY_CHECKPOINT_VERSION);
    }
    return rc;
}

static int check_contents(const struct hs_vanity_checkpoint *c, struct nk_diag *diag)
{
    struct hs_vanity_filter *filter = NULL;
    int rc = hs_vanity_filter_new(&filter, &c->patterns, diag);
    if (rc < 0) {
        return rc == -ENOMEM ? rc : (nk_fail_context(diag, "checkpoint: 'patterns'"), NK_EFORMAT);
    }
    hs_vanity_filter_free(filter);
    if (c->wanted < 1 || c->wanted > HS_VANITY_FOUND_MAX) {
        return wrong(diag, "wanted", "is out of range");
    }
    for (size_t i = 0; i < c->found.n; i++) {
        uint8_t pub[NK_ONION_KEY];
        rc = nk_onion_parse(pub, c->found.v[i], strlen(c->found.v[i]), diag);
        if (rc < 0) {
            nk_fail_context(diag, "checkpoint: 'found'");
            return NK_EFORMAT;
        }
    }
    return 0;
}

int hs_vanity_checkpoint_parse(const void *p, size_t n, struct hs_vanity_checkpoint *out,
                               struct nk_diag *diag)
{
    struct nk_json_doc *doc = NULL;
    struct hs_vanity_checkpoint c = {0};
    int rc = nk_json_parse(&doc, p, n, diag);
    if (rc < 0) {
        return rc;
    }
    const struct nk_json_value *root = nk_json_root(doc);
    rc = check_version(root, diag);
    rc = rc < 0 ? rc : get_list(root, "patterns", HS_VANITY_PATTERNS, &c.patterns, diag);
    rc = rc < 0 ? rc : get_list(root, "found", HS_VANITY_FOUND_MAX, &c.found, diag);
    rc = rc < 0 ? rc : get_number(root, "wanted", &c.wanted, diag);
    rc = rc < 0 ? rc : get_number(root, "tried", &c.tried, diag);
    rc = rc < 0 ? rc : get_number(root, "busy_ms", &c.busy_ms, diag);
    rc = rc < 0 ? rc : check_contents(&c, diag);
    nk_json_doc_free(doc);
    if (rc < 0) {
        hs_vanity_checkpoint_clear(&c);
        return rc;
    }
    *out = c;
    return 0;
}

int hs_vanity_checkpoint_load(const char *path, struct hs_vanity_checkpoint *out,
                              struct nk_diag *diag)
{
    struct nk_buf text;
    nk_buf_init(&text, HS_VANITY_CHECKPOINT_MAX);
    int rc = nk_file_read(path, NK_FILE_SECRET, &text, diag);
    if (rc == 0) {
        rc = hs_vanity_checkpoint_parse(nk_buf_ptr(&text), nk_buf_len(&text), out, diag);
        if (rc < 0) {
            nk_fail_context(diag, "%s", path);
        }
    }
    nk_buf_clear(&text);
    return rc;
}

static void put_list(struct nk_json *j, const char *name, const struct nk_strlist *l)
{
    nk_json_key(j, name);
    nk_json_array(j);
    for (size_t i = 0; i < l->n; i++) {
        nk_json_str(j, l->v[i]);
    }
    nk_json_close(j);
}

int hs_vanity_checkpoint_save(const char *path, const struct hs_vanity_checkpoint *c,
                              struct nk_diag *diag)
{
    struct nk_buf text;
    struct nk_json j;
    nk_buf_init(&text, HS_VANITY_CHECKPOINT_MAX);
    nk_json_init(&j, &text, true);
    nk_json_object(&j);
    nk_json_kv_u64(&j, kind, HS_VANITY_CHECKPOINT_VERSION);
    nk_json_kv_u64(&j, "wanted", c->wanted);
    nk_json_kv_u64(&j, "tried", c->tried);
    nk_json_kv_u64(&j, "busy_ms", c->busy_ms);
    put_list(&j, "found", &c->found);
    put_list(&j, "patterns", &c->patterns);
    nk_json_close(&j);
    int rc = nk_json_end(&j);
    rc = rc < 0 ? nk_fail_sys(diag, rc, "%s", path) : nk_buf_puts(&text, "\n");
    if (rc == 0) {
        rc = nk_file_write(path, NK_FILE_OVERWRITE, nk_buf_ptr(&text), nk_buf_len(&text), diag);
    }
    nk_buf_clear(&text);
    return rc;
}
