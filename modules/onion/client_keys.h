/* SPDX-License-Identifier: MIT */
/* client_keys - which clients' keys there are, as a directory of tor's has them and as a tor that
 * runs has them: a service and the public half of its key each; nothing secret. */
#ifndef NK_ONION_CLIENT_KEYS_H
#define NK_ONION_CLIENT_KEYS_H

#include "hs/hs.h"
#include "tor/tor.h"

struct onion_client_key {
    uint8_t address[HS_PUBLIC_KEY], pub[HS_PUBLIC_KEY];
};

/* Zero it. */
struct onion_client_keys {
    struct onion_client_key *v;
    size_t n;
};

/* onion_client_keys_dir - add those of a ClientOnionAuthDir that can be used. Errors of
 * hs_store_list, -ENOMEM. */
int onion_client_keys_dir(struct onion_client_keys *l, const char *dir, struct nk_diag *diag);

/* onion_client_keys_reply - add those of tor's answer to ONION_CLIENT_AUTH_VIEW. NK_EPROTO,
 * NK_EFORMAT, -ENOMEM. */
int onion_client_keys_reply(struct onion_client_keys *l, const struct tor_reply *reply,
                            struct nk_diag *diag);

/* onion_client_keys_find - that of a service, or NULL. onion_client_keys_has - is this one there?
 */
const struct onion_client_key *onion_client_keys_find(const struct onion_client_keys *l,
                                                      const uint8_t address[HS_PUBLIC_KEY]);
bool onion_client_keys_has(const struct onion_client_keys *l, const struct onion_client_key *key);

/* onion_client_keys_clear - free. Safe twice. */
void onion_client_keys_clear(struct onion_client_keys *l);

#endif
