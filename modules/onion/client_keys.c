/* SPDX-License-Identifier: MIT */
#include "onion/client_keys.h"

#include <stdlib.h>
#include <string.h>

static int append(struct onion_client_keys *l, const uint8_t address[HS_PUBLIC_KEY],
                  const uint8_t pub[HS_PUBLIC_KEY], struct nk_diag *diag)
{
    struct onion_client_key *v = reallocarray(l->v, l->n + 1, sizeof(*v));
    if (!v) {
        return nk_fail(diag, -ENOMEM, "out of memory");
    }
    l->v = v;
    memcpy(v[l->n].address, address, HS_PUBLIC_KEY);
    memcpy(v[l->n].pub, pub, HS_PUBLIC_KEY);
    l->n++;
    return 0;
}

int onion_client_keys_dir(struct onion_client_keys *l, const char *dir, struct nk_diag *diag)
{
    struct hs_client_entries found = {0};
    struct hs_store s;
    int rc = hs_store_open(&s, HS_STORE_CTOR, dir, HS_STORE_READ, diag);
    rc = rc < 0 ? rc : hs_store_list(&s, &found, diag);
    for (size_t i = 0; rc == 0 && i < found.n; i++) {
        const struct hs_client_entry *e = &found.v[i];
        if (!e->problem && e->has_address) {
            rc = append(l, e->address, e->key.pub, diag);
        }
    }
    hs_client_entries_clear(&found);
    hs_store_close(&s);
    return rc;
}

int onion_client_keys_reply(struct onion_client_keys *l, const struct tor_reply *reply,
                            struct nk_diag *diag)
{
    struct tor_client_row row;
    int rc = tor_client_auth_error(reply, false, diag);
    for (size_t i = 1; rc == 0 && i + 1 < reply->n; i++) {
        rc = tor_client_row_read(&row, &reply->lines[i])
                 ? append(l, row.address, row.client.pub, diag)
                 : nk_fail(diag, NK_EPROTO, "tor's answer has a line that is no client's key");
        hs_client_wipe(&row.client);
    }
    return rc;
}

const struct onion_client_key *onion_client_keys_find(const struct onion_client_keys *l,
                                                      const uint8_t address[HS_PUBLIC_KEY])
{
    for (size_t i = 0; i < l->n; i++) {
        if (memcmp(l->v[i].address, address, HS_PUBLIC_KEY) == 0) {
            return &l->v[i];
        }
    }
    return NULL;
}

bool onion_client_keys_has(const struct onion_client_keys *l, const struct onion_client_key *key)
{
    const struct onion_client_key *found = onion_client_keys_find(l, key->address);
    return found && memcmp(found->pub, key->pub, HS_PUBLIC_KEY) == 0;
}

void onion_client_keys_clear(struct onion_client_keys *l)
{
    free(l->v);
    *l = (struct onion_client_keys){0};
}
