/* SPDX-License-Identifier: MIT */
#include "hs/client_dir.h"

#include <stdio.h>
#include <string.h>

#include "base/codec.h"
#include "base/onion.h"
#include "hs/entries.h"

enum { ADDRESS_RAW = 35 }; /* address-spec: key, checksum, version */

bool hs_client_dir_is_key(const char *name)
{
    size_t n = strlen(name), tail = sizeof(HS_CLIENT_DIR_SUFFIX) - 1;
    return n > tail && strcmp(name + n - tail, HS_CLIENT_DIR_SUFFIX) == 0;
}

bool hs_client_dir_address(const void *text, size_t len, uint8_t address[HS_PUBLIC_KEY])
{
    const char *s = text;
    uint8_t raw[ADDRESS_RAW];
    while (len > 0 && (*s == ' ' || *s == '\t' || *s == '\r' || *s == '\n')) {
        s++;
        len--;
    }
    if (len < NK_ONION_LABEL ||
        nk_base32_decode(raw, sizeof(raw), s, NK_ONION_LABEL) != ADDRESS_RAW) {
        return false;
    }
    memcpy(address, raw, HS_PUBLIC_KEY);
    return true;
}

static int fill(const struct hs_place *p, struct hs_client_entry *e)
{
    struct nk_buf b;
    struct hs_item item;
    struct nk_diag diag;
    int rc = hs_entry_read(p, e->name, HS_AUTH_PRIVATE, &b, &item, &diag);
    if (rc == 0) {
        e->has_address = true;
        memcpy(e->address, item.address, sizeof(e->address));
        memcpy(e->key.pub, item.client.pub, sizeof(e->key.pub));
        hs_item_wipe(&item);
    } else {
        e->has_address = hs_client_dir_address(nk_buf_ptr(&b), nk_buf_len(&b), e->address);
        rc = hs_entry_problem(e, &diag);
    }
    nk_buf_clear(&b);
    return rc;
}

int hs_client_dir_list(const struct hs_place *p, struct hs_client_entries *out,
                       struct nk_diag *diag)
{
    struct hs_names names;
    struct hs_client_entries l = {0};
    int rc = hs_place_list(p, &names, diag);
    if (rc < 0) {
        return rc;
    }
    for (size_t i = 0; rc == 0 && i < names.n; i++) {
        if (hs_client_dir_is_key(names.v[i])) {
            struct hs_client_entry *e = hs_entries_add(&l, names.v[i]);
            rc = e ? fill(p, e) : -ENOMEM;
        }
    }
    hs_names_clear(&names);
    if (rc < 0) {
        hs_client_entries_clear(&l);
        return nk_fail_sys(diag, rc, "list of %s", p->path);
    }
    *out = l;
    return 0;
}

void hs_client_dir_name(char out[NK_PATH_MAX], const uint8_t address[HS_PUBLIC_KEY])
{
    char text[NK_ONION_SIZE];
    nk_onion_format(text, address);
    snprintf(out, NK_PATH_MAX, "%.*s" HS_CLIENT_DIR_SUFFIX, NK_ONION_LABEL, text);
}
