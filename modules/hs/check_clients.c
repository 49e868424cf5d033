/* SPDX-License-Identifier: MIT */
/* Checks of tor's directory of keys as a client (ClientOnionAuthDir). */
#include <stdlib.h>
#include <string.h>

#include "base/onion.h"
#include "base/secret.h"
#include "hs/check_impl.h"
#include "hs/client_dir.h"
#include "hs/format.h"
#include "hs/twins.h"

/* A file that tor would load. */
struct loaded {
    uint8_t address[HS_PUBLIC_KEY];
    const char *name;
};

/* tor does not look at the checksum (measured): the same line with the right one, if it is good
 * otherwise. */
static bool good_but_for_checksum(const struct nk_buf *b, uint8_t address[HS_PUBLIC_KEY])
{
    char line[HS_AUTH_LINE_MAX], text[NK_ONION_SIZE];
    uint8_t secret[HS_CLIENT_SECRET], key[HS_PUBLIC_KEY];
    const char *s = (const char *)nk_buf_ptr(b);
    size_t len = nk_buf_len(b);
    if (len > sizeof(line) || !hs_client_dir_address(s, len, address)) {
        return false;
    }
    size_t lead = 0;
    while (s[lead] == ' ' || s[lead] == '\t' || s[lead] == '\r' || s[lead] == '\n') {
        lead++;
    }
    nk_onion_format(text, address);
    memcpy(line, s, len);
    memcpy(line + lead, text, NK_ONION_LABEL);
    bool good = hs_auth_private_line_parse(line, len, key, secret, NULL, NULL) == 0;
    nk_wipe(secret, sizeof(secret));
    nk_wipe(line, sizeof(line));
    return good;
}

static bool judge_line(struct hs_check *c, const char *path, const struct nk_buf *b,
                       uint8_t address[HS_PUBLIC_KEY])
{
    uint8_t secret[HS_CLIENT_SECRET];
    struct hs_auth_oddities odd = {0};
    struct nk_diag why;
    char text[NK_ONION_SIZE];
    int rc = hs_auth_private_line_parse(nk_buf_ptr(b), nk_buf_len(b), address, secret, &odd, &why);
    nk_wipe(secret, sizeof(secret));
    if (rc == 0) {
        hs_check_oddities(c, path, &odd);
        return true;
    }
    if (good_but_for_checksum(b, address)) {
        nk_onion_format(text, address);
        hs_find(c->l, HS_ERROR, path, "address", "%s; tor does not check this and takes it for %s",
                why.text, text);
        hs_find_remedy(c->l, "correct the address");
        return true;
    }
    hs_find(c->l, HS_ERROR, path, NULL, "%s; tor passes over this file, mostly without a word",
            why.text);
    return false;
}

static bool judge_file(struct hs_check *c, const struct hs_place *p, const char *name,
                       uint8_t address[HS_PUBLIC_KEY])
{
    char path[NK_PATH_MAX];
    struct nk_buf b;
    bool loads = false;
    hs_check_path(path, p, name);
    if (hs_check_leftover(c, p, name)) {
        return false;
    }
    if (!hs_client_dir_is_key(name)) {
        hs_find(c->l, HS_WARNING, path, "name",
                "does not end in " HS_CLIENT_DIR_SUFFIX ": tor ignores it");
        return false;
    }
    if (hs_trust_entry(&c->trust, p, name, c->l)) {
        if (hs_check_read(c, p, name, &b)) {
            loads = judge_line(c, path, &b, address);
        }
        nk_buf_clear(&b);
    }
    return loads;
}

static int judge_twins(struct hs_check *c, const struct hs_place *p, const struct loaded *v,
                       size_t n, struct nk_diag *diag)
{
    char path[NK_PATH_MAX];
    struct hs_twin *twins = calloc(n + 1, sizeof(*twins));
    if (!twins) {
        return nk_fail_sys(diag, -ENOMEM, "check of %s", p->path);
    }
    for (size_t i = 0; i < n; i++) {
        twins[i] = (struct hs_twin){.key = v[i].address, .index = i};
    }
    hs_twins_find(twins, n);
    for (size_t i = 0; i < n; i++) {
        if (twins[i].first != i) {
            hs_check_path(path, p, v[i].name);
            hs_find(c->l, HS_ERROR, path, "address",
                    "is for the same service as %s: tor does not start with both, and a running "
                    "one ends at SIGHUP",
                    v[twins[i].first].name);
            hs_find_remedy(c->l, "remove one of the two");
        }
    }
    free(twins);
    return 0;
}

int hs_check_clients(struct hs_check *c, const struct hs_place *p, struct nk_diag *diag)
{
    struct hs_names names;
    int rc = hs_place_list(p, &names, diag);
    if (rc < 0) {
        return rc;
    }
    size_t n = 0;
    struct loaded *v = calloc(names.n + 1, sizeof(*v));
    if (!v) {
        rc = nk_fail_sys(diag, -ENOMEM, "check of %s", p->path);
    }
    for (size_t i = 0; rc == 0 && i < names.n; i++) {
        if (judge_file(c, p, names.v[i], v[n].address)) {
            v[n++].name = names.v[i];
        }
    }
    rc = rc < 0 ? rc : judge_twins(c, p, v, n, diag);
    free(v);
    hs_names_clear(&names);
    return rc;
}
